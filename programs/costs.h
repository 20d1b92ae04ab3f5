/* SPDX-License-Identifier: Apache-2.0
 *
 * What the cells of a mask cost in other forms, and which form its numbers speak for. */
#ifndef ROARMASK_COSTS_H
#define ROARMASK_COSTS_H

#include <roarmask/roarmask.h>

enum cost_form { COST_DENSE, COST_BITSET, COST_CSR, COST_COO, COST_ROARING_ROWS, COST_FLEX, COST_BSR, NUM_COST_FORMS };

struct cost {
    const char *name;      /* in JSON and text */
    const char *what;      /* a few words */
    long double num_bytes; /* in floating point: the largest grids pass 2^64. Below 0 where there is no such form, or it would take too long */
};

/* Fills in every form. Time linear in the rows and their ranges for Roaring, which is left out where that is more than some seconds; O(1) for
 * the others. Dies where the mask cannot be read. */
void get_costs(const rmask *mask, struct cost costs[NUM_COST_FORMS]);

enum { ADVICE_SIZE = 256 };

/* The form to choose, by its name or "roarmask", and why in one sentence. Follows from costs and stats alone. */
const char *get_advice(const rmask_stats *stats, const struct cost costs[NUM_COST_FORMS], double density, char reason[ADVICE_SIZE]);

/* A number of bytes for people: "3.906 GB". Returns `text`. */
char *cost_text(char text[32], long double num_bytes);

#endif
