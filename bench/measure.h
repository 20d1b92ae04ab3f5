/* SPDX-License-Identifier: Apache-2.0
 * One configuration measured: every method built, checked and timed. */
#ifndef ROARMASK_BENCH_MEASURE_H
#define ROARMASK_BENCH_MEASURE_H

#include "method.h"
#include "preset.h"

enum bench_op {
    BENCH_BUILD_ROWS,
    BENCH_BUILD_FORMULA,
    BENCH_QUERY,
    BENCH_INTERSECTION,
    BENCH_MASK_AND,
    BENCH_EXPORT,
    BENCH_ROUND_TRIP, /* serialised and deserialised */
    BENCH_NUM_OPS
};

/* How long and how often. */
struct bench_effort {
    int32_t queries;    /* row queries, and row intersections, a round */
    double min_seconds; /* a method is timed for at least so long per operation, */
    int min_rounds;     /* and for at least so many rounds, */
    double max_seconds; /* but no round begins after so long */
    bool round_trip;    /* whether to time serialising at all */
};

struct bench_config {
    const char *preset; /* its name, or NULL */
    char *expression;
    char *other; /* the expression of the other mask of mask AND mask */
    int32_t num_blocks;
    /* The flags of the published pattern; sparsity is below 0 where the pattern is another. */
    int32_t window_size, global_tokens;
    double sparsity;
    uint64_t seed;
    unsigned methods; /* bit i: bench_methods[i] */
    struct bench_effort effort;
    const struct bench_published *published; /* may be NULL */
};

struct bench_method_result {
    const struct bench_method *method;
    size_t memory_bytes; /* what the heap holds for the mask built from rows; computed where it is not measured */
    size_t formula_bytes;
    size_t serialized_bytes; /* 0 where it was not measured */
    double ns[BENCH_NUM_OPS]; /* medians; NAN where there is none */
    char note[192];          /* why something is missing, or empty */
    bool measured;
};

struct bench_result {
    uint64_t nnz;
    double density, entropy_bytes, memcpy_ns;
    const char *reference; /* the method that the answers were checked against */
    int num_methods;
    struct bench_method_result methods[BENCH_NUM_METHODS];
};

/* Measures a configuration. Ends the program when an answer is wrong, an expression is, or memory runs out. */
void bench_measure(const struct bench_config *config, struct bench_result *result);

/* Sorts the values. NAN if there are none. */
double bench_median(double *values, int count);

/* Nanoseconds since `begin` (of bench_now_ns), less what reading the clock costs. */
double bench_since_ns(double begin);

/* What the operation is called in JSON ("query_ns") and in tables ("row query"). */
extern const char *const bench_op_keys[BENCH_NUM_OPS];
extern const char *const bench_op_names[BENCH_NUM_OPS];

#endif
