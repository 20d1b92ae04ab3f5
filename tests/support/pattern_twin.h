/* SPDX-License-Identifier: Apache-2.0
 * The naive twin of the pattern language: expressions as trees whose cells follow from the definitions one by one. */
#ifndef ROARMASK_TESTS_PATTERN_TWIN_H
#define ROARMASK_TESTS_PATTERN_TWIN_H

#include "generate.h"

typedef enum pattern_kind {
    PATTERN_FULL,
    PATTERN_NONE,
    PATTERN_CAUSAL,
    PATTERN_WINDOW,         /* window(w) */
    PATTERN_WINDOW_BETWEEN, /* window(a, b) */
    PATTERN_SINK,
    PATTERN_GLOBAL,
    PATTERN_LOCAL,
    PATTERN_DILATED,
    PATTERN_STRIDED,
    PATTERN_COLUMNS,
    PATTERN_DIAGONALS,
    PATTERN_DOCUMENTS,
    PATTERN_PREFIX,
    PATTERN_TREE,
    PATTERN_RANDOM,
    NUM_PATTERNS,
    PATTERN_OR = NUM_PATTERNS, /* operators, from the loosest to the tightest */
    PATTERN_XOR,
    PATTERN_AND,
    PATTERN_AND_NOT,
    PATTERN_NOT
} pattern_kind;

enum { MAX_PATTERN_NUMBERS = 40 };

typedef struct pattern {
    pattern_kind kind;
    int num_numbers;
    int64_t numbers[MAX_PATTERN_NUMBERS];
    int64_t millionths; /* p of random */
    uint64_t seed;      /* of random */
    struct pattern *left, *right;
} pattern;

/* A pattern of this kind with arguments that suit the grid, or overshoot it. */
pattern *pattern_generate(pattern_kind kind, shape grid, rng *random);

/* An expression with up to `depth` operators above each pattern. */
pattern *expression_generate(shape grid, int depth, rng *random);

void pattern_free(pattern *p); /* with what is below it */

/* Writes the expression with white space and superfluous parentheses here and there. */
void pattern_print(const pattern *p, char *text, size_t capacity, rng *random);

twin *pattern_cells(const pattern *p, int32_t rows, int32_t cols);

/* The columns that random(p, seed=...) draws for one row, p being `count` / `num_cols`, as one byte a column. */
void pattern_draw(uint8_t *cells, int64_t num_cols, int64_t count, uint64_t seed, int64_t row);

#endif
