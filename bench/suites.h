/* SPDX-License-Identifier: Apache-2.0
 * The suites: questions that take more than one configuration to answer. */
#ifndef ROARMASK_BENCH_SUITES_H
#define ROARMASK_BENCH_SUITES_H

#include "flags.h"

#include <jansson.h>

/* Each measures, prints its tables unless `quiet`, and returns its JSON object. */
json_t *suite_when(const struct bench_flags *flags, bool quiet);
json_t *suite_block_pool(const struct bench_flags *flags, bool quiet);
json_t *suite_files(const struct bench_flags *flags, bool quiet);
json_t *suite_algebra(const struct bench_flags *flags, bool quiet);
json_t *suite_growth(const struct bench_flags *flags, bool quiet);

struct bench_suite {
    const char *name;
    json_t *(*run)(const struct bench_flags *flags, bool quiet);
};

/* The suite of that name; NULL where there is none. */
const struct bench_suite *bench_find_suite(const char *name);

/* The published claims of the block pool: the Roaring bitmap takes more memory than the free list, and more time. */
struct pool_factors {
    double memory, time; /* the bitmap's to the free list's; NAN where this build has no CRoaring */
};

/* "holds" where a factor is above 1, "does not hold", or "not measured". */
const char *suite_block_pool_verdict(double factor);

/* Measures a pool of 62,500 blocks. */
struct pool_factors suite_block_pool_factors(uint64_t seed);

#endif
