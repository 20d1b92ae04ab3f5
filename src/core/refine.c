/* SPDX-License-Identifier: Apache-2.0
 * Refining: cells become tiles. A row becomes a strip as high as a tile, with a boundary at each end of the row's ranges of
 * tiles. */
#include "core/check.h"
#include "core/coarsen.h"
#include "core/draft.h"
#include "core/row.h"

static rmask_status put_row(rmask_draft *draft, const rmask *mask, int32_t row, int32_t tile_rows, int32_t tile_cols,
                            rmask_int32_vec *ranges)
{
    ranges->len = 0;
    RMASK_TRY(rmask_append_ranges(mask, row, &draft->allocator, ranges));
    for (size_t i = 0; i < ranges->len; i++) {
        const int64_t col = (int64_t)ranges->at[i] * tile_cols;
        ranges->at[i] = col < draft->cols ? (int32_t)col : draft->cols;
    }
    return rmask_draft_strip(draft, row * tile_rows, (rmask_boundaries){ranges->at, ranges->len, NULL, 0});
}

/* One past the last row that looks like `row`: in a strip without sliding boundaries the next row with exceptions ends it. */
static int32_t same_until(const rmask *mask, int32_t row, rmask_exception_walk *walk)
{
    const rmask_strip *strip = rmask_strip_of(mask, row);
    while (rmask_walk_row(walk) < row) walk->index++;
    if (strip->num_sliding > 0 || rmask_walk_row(walk) == row) return row + 1;
    const int32_t strip_end = rmask_strip_end(mask, strip), exception_row = rmask_walk_row(walk);
    return exception_row < strip_end ? exception_row : strip_end;
}

static rmask_status check(const rmask *mask, int32_t tile_rows, int32_t tile_cols, int32_t rows, int32_t cols,
                          rmask_error *error)
{
    RMASK_TRY(rmask_check_tile(tile_rows, tile_cols, error));
    RMASK_TRY(rmask_check_grid(rows, cols, error));
    if (rmask_num_tiles(rows, tile_rows) == mask->rows && rmask_num_tiles(cols, tile_cols) == mask->cols) return RMASK_OK;
    return rmask_fail(error, RMASK_ERR_ARGUMENT, "a grid of %d x %d takes %d x %d tiles of %d x %d, the mask has %d x %d",
                      (int)rows, (int)cols, (int)rmask_num_tiles(rows, tile_rows), (int)rmask_num_tiles(cols, tile_cols),
                      (int)tile_rows, (int)tile_cols, (int)mask->rows, (int)mask->cols);
}

rmask_status rmask_refine(const rmask *mask, int32_t tile_rows, int32_t tile_cols, int32_t rows, int32_t cols, rmask **out,
                          rmask_error *error)
{
    *out = NULL;
    RMASK_TRY(check(mask, tile_rows, tile_cols, rows, cols, error));
    RMASK_TRY(rmask_trust(mask, error));
    if (tile_rows == 1 && tile_cols == 1) {
        *out = rmask_retain(mask);
        return RMASK_OK;
    }
    rmask_draft draft;
    rmask_int32_vec ranges = {0};
    rmask_status status = RMASK_OK;
    rmask_exception_walk walk = rmask_walk_exceptions(mask, 0);
    rmask_draft_init(&draft, rows, cols, &mask->allocator);
    for (int32_t row = 0; row < mask->rows && !status; row = same_until(mask, row, &walk))
        status = put_row(&draft, mask, row, tile_rows, tile_cols, &ranges);
    if (status && !draft.failed) draft.failed = status;
    rmask_vec_free(&draft.allocator, &ranges);
    return rmask_draft_finish(&draft, out, error);
}
