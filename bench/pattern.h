/* SPDX-License-Identifier: Apache-2.0
 * The expressions that are measured: the published pattern, its relatives, and the entropy of their random part. */
#ifndef ROARMASK_BENCH_PATTERN_H
#define ROARMASK_BENCH_PATTERN_H

#include <roarmask/roarmask.h>

/* The published benchmark's pattern for a grid of n x n, as an expression: row q sees [q - w/2, q + w/2), the first g rows see
 * all, all rows see the first g, and int((1 - sparsity) * n / 10) random columns a row. The caller frees it, as with every
 * expression from here. */
char *bench_pattern_published(int32_t num_blocks, int32_t window_size, int32_t global_tokens, double sparsity, uint64_t seed);

/* The random columns a row of that pattern. */
int32_t bench_pattern_random_columns(int32_t num_blocks, double sparsity);

/* The expression `random(P, seed=S)` that takes exactly `count` of n columns. */
char *bench_pattern_random(int32_t count, int32_t num_blocks, uint64_t seed);

/* printf into a new expression. */
__attribute__((format(printf, 1, 2))) char *bench_pattern_format(const char *format, ...);

/* The expression with `by` added to the seed of each random(...); no seed is seed 0. */
char *bench_pattern_reseed(const char *expression, uint64_t by);

/* The expression with every window 7 blocks longer; one without a window gets `| window(7)`. */
char *bench_pattern_widen(const char *expression);

/* The least bytes that any code could hold the random part in, given all the rest: for each row the logarithm of the ways to
 * choose as many as the mask has of the cells that random(...) decides about, which are those that differ between all of them
 * being none and all being full. 0 if there is no random(...). `mask` is the expression's mask. */
double bench_pattern_entropy_bytes(const char *expression, const rmask *mask);

#endif
