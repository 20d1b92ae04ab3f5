/* SPDX-License-Identifier: Apache-2.0
 * Instructions that go to coarser and to finer grids. */
#include "ops.h"

static int32_t take_side(world *w)
{
    const uint8_t lot = fuzz_byte(&w->in);
    if (lot == 255) return INT32_MAX;
    return lot >= 240 ? 128 << (lot - 240) : lot % 20 + 1;
}

static int32_t num_tiles(int64_t side, int64_t tile) { return (int32_t)((side + tile - 1) / tile); }

void op_coarsen(world *w)
{
    const slot *s = ops_slot(w);
    const uint8_t lot = fuzz_byte(&w->in);
    const int32_t tile_rows = take_side(w), tile_cols = lot & 4 ? tile_rows : take_side(w);
    twin *any = twin_create(num_tiles(s->t->rows, tile_rows), num_tiles(s->t->cols, tile_cols)), *all = twin_copy(any);
    for (int32_t row = 0; row < all->rows; row++) twin_put(all, row, 0, all->cols, true);
    for (int32_t row = 0; row < s->t->rows; row++)
        for (int32_t col = 0; col < s->t->cols; col++) {
            twin_at(any, row / tile_rows)[col / tile_cols] |= twin_at(s->t, row)[col];
            twin_at(all, row / tile_rows)[col / tile_cols] &= twin_at(s->t, row)[col];
        }
    rmask *any_mask = NULL, *all_mask = NULL;
    if ((lot & 3) == 1) succeeds(w, &any_mask, rmask_coarsen(s->mask, tile_rows, tile_cols, &any_mask, NULL, test_error));
    else if ((lot & 3) == 2) succeeds(w, &all_mask, rmask_coarsen(s->mask, tile_rows, tile_cols, NULL, &all_mask, test_error));
    else succeeds(w, &any_mask, rmask_coarsen(s->mask, tile_rows, tile_cols, &any_mask, &all_mask, test_error));
    if (any_mask) ops_put(w, any_mask, any);
    else twin_free(any);
    if (all_mask) ops_put(w, all_mask, all);
    else twin_free(all);
}

void op_refine(world *w)
{
    const slot *s = ops_slot(w);
    const int32_t tile_rows = take_side(w), tile_cols = take_side(w);
    const int64_t cut_rows = fuzz_between(&w->in, 0, tile_rows - 1), cut_cols = fuzz_between(&w->in, 0, tile_cols - 1);
    int64_t rows = (int64_t)s->t->rows * tile_rows, cols = (int64_t)s->t->cols * tile_cols;
    if (rows > 0) rows -= cut_rows;
    if (cols > 0) cols -= cut_cols;
    if (!ops_affordable(w, rows, cols)) return;
    twin *t = twin_create((int32_t)rows, (int32_t)cols);
    for (int32_t row = 0; row < t->rows; row++)
        for (int32_t col = 0; col < t->cols; col++) twin_at(t, row)[col] = twin_at(s->t, row / tile_rows)[col / tile_cols];
    rmask *mask;
    succeeds(w, &mask, rmask_refine(s->mask, tile_rows, tile_cols, t->rows, t->cols, &mask, test_error));
    ops_put(w, mask, t);
}
