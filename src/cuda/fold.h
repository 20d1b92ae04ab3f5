/* SPDX-License-Identifier: Apache-2.0
 * Rows of a fold: the same row, or band, of each of its masks, and the function of them. `num` is a constant 1 wherever one mask is read, so that
 * its row stays in registers. */
#ifndef ROARMASK_CUDA_FOLD_H
#define ROARMASK_CUDA_FOLD_H

#include "cuda/row.h"

/* A fold with its masks in it, so that it travels as an argument, and the grid that is expanded: of cells, or of tiles. */
typedef struct cu_fold {
    rmask_cuda_mask masks[RMASK_CUDA_MAX_FOLD];
    int32_t num_masks;
    uint32_t function;
    int32_t rows, cols;
    int32_t tile_rows, tile_cols; /* at least 1 */
    bool is_tiled;
    rmask_cuda_tiles tiles;
} cu_fold;

typedef struct cu_rows {
    const cu_row *row; /* one of each mask */
    int num;
    uint32_t function;
} cu_rows;

/* The fold's function of 32 memberships each. */
CU_FN uint32_t cu_apply(uint32_t function, uint32_t a, uint32_t b)
{
    return (function & 8 ? a & b : 0) | (function & 4 ? a & ~b : 0) | (function & 2 ? ~a & b : 0) | (function & 1 ? ~a & ~b : 0);
}

/* The function of sets of memberships. Where both are mixed it may be that not all pairs are met, so that what would be mixed is unknown. */
CU_FN uint32_t cu_apply_members(uint32_t function, uint32_t a, uint32_t b)
{
    const bool is_sure = a == CU_OUT || a == CU_IN || (a == CU_MIXED && b != CU_MIXED);
    if (a == CU_UNKNOWN) a = CU_MIXED;
    uint32_t result = 0;
    for (uint32_t x = 0; x < 2; x++)
        for (uint32_t y = 0; y < 2; y++)
            if (a >> x & b >> y & 1) result |= CU_OUT << (function >> (2 * x + y) & 1);
    return result == CU_MIXED && !is_sure ? (uint32_t)CU_UNKNOWN : result;
}

/* The columns [col, col + 32) of the fold's row, those from `end` on being 0. */
CU_FN uint32_t cu_fold_word(cu_rows rows, int64_t col, int64_t end)
{
    if (col >= end) return 0;
    uint32_t word = cu_row_word(&rows.row[0], col);
    for (int i = 1; i < rows.num; i++) word = cu_apply(rows.function, word, cu_row_word(&rows.row[i], col));
    return end - col < 32 ? word & ~(0xffffffffu << (end - col)) : word;
}

/* The stretch without the exceptions in it: it ends at the first. */
CU_FN void cu_cut(cu_stretch *s)
{
    if (s->num_values > 0) s->end = s->base + s->values[0];
    s->num_values = 0;
}

/* The fold's stretch, as cu_stretch_at has it. That of several masks has no exceptions in it, and ends where it would begin with one. */
CU_FN cu_stretch cu_fold_stretch(cu_rows rows, int32_t at, int32_t limit)
{
    cu_stretch s = cu_stretch_at(&rows.row[0], at, limit);
    if (rows.num > 1) cu_cut(&s);
    for (int i = 1; i < rows.num && s.end > at; i++) {
        cu_stretch t = cu_stretch_at(&rows.row[i], at, s.end);
        cu_cut(&t);
        s.end = t.end;
        s.members = cu_apply_members(rows.function, s.members, t.members);
    }
    return s;
}

/* The fold's band of the rows from `row` on, to *end at most, which is lowered to where it ends. `band` has room for `num`. */
CU_FN cu_rows cu_fold_band(const cu_fold *what, int num, int32_t row, int32_t *end, cu_row *band)
{
    for (int k = 0; k < num; k++) band[k] = cu_band_from(&what->masks[k], row, end);
    for (int k = 0; k < num; k++) band[k].last_row = *end - 1;
    cu_rows rows;
    rows.row = band;
    rows.num = num;
    rows.function = what->function;
    return rows;
}

#endif
