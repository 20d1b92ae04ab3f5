/* SPDX-License-Identifier: Apache-2.0
 * Random masks of every kind, as twins. */
#ifndef ROARMASK_TESTS_GENERATE_H
#define ROARMASK_TESTS_GENERATE_H

#include "twin.h"

enum { NUM_KINDS = 40 };

/* "window", "random 1%", ...: for notes. */
const char *kind_name(int kind);

/* A mask of this kind with parameters drawn from `random`. Every kind works on every grid. */
twin *generate(int kind, int32_t rows, int32_t cols, rng *random);
twin *generate_named(const char *name, int32_t rows, int32_t cols, rng *random);
twin *generate_any(int32_t rows, int32_t cols, rng *random);

typedef struct shape {
    int32_t rows, cols;
} shape;

/* Grids whose sides lie on and beside what the code may treat specially: nothing, one, vector widths, words, chunks. */
extern const shape shapes[];
extern const int num_shapes, num_small_shapes; /* the small ones come first and have at most 5,000 cells */

/* A small grid of any form, none of its sides 0, with at most `max_cells` cells. */
shape random_shape(int64_t max_cells, rng *random);

/* A side's part, from nothing to all of it. */
void draw_part(int32_t size, int32_t *begin, int32_t *end, rng *random);

/* How far to shift a side: not at all, a little, within its size, or by anything. */
int32_t draw_shift(int32_t size, rng *random);

#endif
