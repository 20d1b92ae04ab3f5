/* SPDX-License-Identifier: Apache-2.0
 * The configurations that have names. */
#ifndef ROARMASK_BENCH_PRESET_H
#define ROARMASK_BENCH_PRESET_H

#include <stdbool.h>
#include <stdint.h>

/* What the proposal that this benchmark answers has published for a configuration, as text; NULL where nothing is known. */
struct bench_published {
    const char *dense_bytes, *coo_bytes, *roaring_bytes;
    const char *dense_query, *roaring_query;               /* 100 row queries */
    const char *dense_intersection, *roaring_intersection; /* 100 row intersections */
    const char *dense_build, *roaring_build;
};

struct bench_preset {
    const char *name;
    const char *summary;
    int32_t num_blocks; /* the grid is num_blocks x num_blocks */
    /* One of: a function that writes the pattern; the pattern, its random(...) without seeds; or, where both are NULL, the
     * published pattern with the numbers below. */
    char *(*expression)(int32_t num_blocks, uint64_t seed);
    const char *pattern;
    int32_t window_size, global_tokens;
    double sparsity;
    const struct bench_published *published; /* may be NULL */
};

extern const struct bench_preset bench_presets[];
extern const int bench_num_presets;

/* Whether the preset is in a list of names separated by commas; every one is in "all". */
bool bench_preset_is_named(const char *list, const struct bench_preset *preset);

/* The preset's expression, which the caller frees. */
char *bench_preset_expression(const struct bench_preset *preset, uint64_t seed);

#endif
