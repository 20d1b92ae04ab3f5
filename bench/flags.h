/* SPDX-License-Identifier: Apache-2.0
 * The command line of `roarmask bench`. */
#ifndef ROARMASK_BENCH_FLAGS_H
#define ROARMASK_BENCH_FLAGS_H

#include "measure.h"

struct bench_flags {
    int32_t num_blocks, window_size, global_tokens; /* -1 where not given */
    double sparsity;                                /* NAN where not given */
    const char *pattern, *preset, *suite, *json;    /* NULL where not given */
    uint64_t seed;
    unsigned methods; /* bit i: bench_methods[i] */
    struct bench_effort effort;
};

/* Parses the arguments, or ends the program. */
void bench_flags_parse(int argc, char **argv, struct bench_flags *flags);

#endif
