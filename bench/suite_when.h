/* SPDX-License-Identifier: Apache-2.0
 * The points that the suite `when` measures, and what is said about them. */
#ifndef ROARMASK_BENCH_SUITE_WHEN_H
#define ROARMASK_BENCH_SUITE_WHEN_H

#include "measure.h"
#include "suites.h"

#include <jansson.h>

enum when_kind { WHEN_STRUCTURED, WHEN_MIXED, WHEN_RANDOM, WHEN_NUM_KINDS };

enum { WHEN_NUM_CONTEXTS = 8, WHEN_NUM_DENSITIES = 9, WHEN_TOKENS_PER_BLOCK = 16 };

extern const char *const when_kind_names[WHEN_NUM_KINDS];
extern const int32_t when_contexts[WHEN_NUM_CONTEXTS];   /* in blocks */
extern const double when_densities[WHEN_NUM_DENSITIES];

struct when_point {
    enum when_kind kind;
    int32_t num_blocks;
    double density; /* as wanted; what came out is in the result */
    bool measured;  /* not where a row would have less than a block, or where there would be too many cells */
    struct bench_result result;
};

struct when_points {
    struct when_point at[WHEN_NUM_KINDS][WHEN_NUM_CONTEXTS][WHEN_NUM_DENSITIES];
};

/* A point's result of a method; NULL where it was not measured. */
const struct bench_method_result *when_find(const struct when_point *point, const struct bench_method *method);

/* Who has the least of something at a point, as tables of letters. */
void when_print_winners(const struct when_points *points);
/* Between which densities croaring and roarmask are ahead of the plain methods. */
void when_print_crossovers(const struct when_points *points);
json_t *when_crossovers_json(const struct when_points *points);

/* The published claims with their verdicts. */
void when_print_claims(const struct when_points *points, struct pool_factors pool);
json_t *when_claims_json(const struct when_points *points, struct pool_factors pool);

#endif
