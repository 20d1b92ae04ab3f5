/* SPDX-License-Identifier: Apache-2.0
 * The subcommand `roarmask bench`: what each way of holding a block-sparse attention mask costs. See docs/benchmarking.md. */
#ifndef ROARMASK_BENCH_BENCH_H
#define ROARMASK_BENCH_BENCH_H

/* Runs the subcommand and returns its exit code: 0 done, 1 a check or an operation failed, 2 bad usage. argv[0] is
 * "roarmask bench". May exit the process itself. */
int bench_main(int argc, char **argv);

#endif
