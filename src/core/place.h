/* SPDX-License-Identifier: Apache-2.0
 * Placing pieces of masks into a grid: what slicing, shifting, packing, stacking and taking rows have in common. */
#ifndef ROARMASK_CORE_PLACE_H
#define ROARMASK_CORE_PLACE_H

#include "core/draft.h"

/* The cells of a mask in some rows and columns, and where the first of them comes to lie. */
typedef struct rmask_piece {
    const rmask *mask;
    int32_t row_begin, row_end, col_begin, col_end;
    int32_t row_at, col_at;
} rmask_piece;

typedef struct rmask_placer {
    rmask_draft draft;
    bool cut;          /* pieces may be narrower than the grid */
    rmask_draft bands; /* where there are pieces; with `cut` */
    int32_t next_row;  /* below the last piece */
    uint16_t *units, *other_units; /* a container being put together, and room to turn it into its other kind */
    rmask_int32_vec fixed, sliding;
} rmask_placer;

/* Starts with an empty grid. Without `cut` all pieces are as wide as the grid. Owns nothing until the first piece. */
void rmask_placer_init(rmask_placer *placer, int32_t rows, int32_t cols, bool cut, const rmask_allocator *allocator);

/* Pieces come from the top to the bottom and share no rows. They lie in their masks and in the grid, and the rows they take are trusted.
 * Should memory run out, rmask_placer_finish says so. */
void rmask_place(rmask_placer *placer, rmask_piece piece);

/* `times` copies of one row of a mask as wide as the grid, below each other. */
void rmask_place_row(rmask_placer *placer, const rmask *mask, int32_t row, int32_t times, int32_t row_at);

/* Makes the mask and frees the placer, also on failure. */
rmask_status rmask_placer_finish(rmask_placer *placer, rmask **out, rmask_error *error);

#endif
