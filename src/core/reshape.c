/* SPDX-License-Identifier: Apache-2.0
 * Slicing, shifting, packing, stacking and taking rows: which piece goes where. */
#include "core/check.h"
#include "core/finder.h"
#include "core/place.h"
#include "core/row.h"

static rmask_piece whole(const rmask *mask, int32_t row_at, int32_t col_at)
{
    return (rmask_piece){mask, 0, mask->rows, 0, mask->cols, row_at, col_at};
}

static int32_t at_least_0(int64_t x) { return x > 0 ? (int32_t)x : 0; }

rmask_status rmask_slice(const rmask *mask, int32_t row_begin, int32_t row_end, int32_t col_begin, int32_t col_end, rmask **out,
                         rmask_error *error)
{
    *out = NULL;
    RMASK_TRY(rmask_check_window(mask, row_begin, row_end, col_begin, col_end, error));
    RMASK_TRY(rmask_trust_rows(mask, row_begin, row_end, error));
    rmask_placer placer;
    rmask_placer_init(&placer, row_end - row_begin, col_end - col_begin, false, &mask->allocator);
    rmask_place(&placer, (rmask_piece){mask, row_begin, row_end, col_begin, col_end, 0, 0});
    return rmask_placer_finish(&placer, out, error);
}

/* The part of [0, size) that stays in it when moved by `shift`. */
static void cut_shifted(int32_t size, int64_t shift, int32_t *begin, int32_t *end)
{
    *begin = at_least_0(-shift < size ? -shift : size);
    *end = at_least_0(shift > 0 ? size - shift : size);
}

rmask_status rmask_shift(const rmask *mask, int32_t row_shift, int32_t col_shift, rmask **out, rmask_error *error)
{
    *out = NULL;
    RMASK_TRY(rmask_trust(mask, error));
    rmask_placer placer;
    rmask_piece piece = {.mask = mask, .row_at = at_least_0(row_shift), .col_at = at_least_0(col_shift)};
    cut_shifted(mask->rows, row_shift, &piece.row_begin, &piece.row_end);
    cut_shifted(mask->cols, col_shift, &piece.col_begin, &piece.col_end);
    rmask_placer_init(&placer, mask->rows, mask->cols, col_shift != 0, &mask->allocator);
    if (piece.col_begin < piece.col_end) rmask_place(&placer, piece);
    return rmask_placer_finish(&placer, out, error);
}

static rmask_status check_sides(int64_t rows, int64_t cols, rmask_error *error)
{
    if (rows <= RMASK_MAX_SIDE && cols <= RMASK_MAX_SIDE) return RMASK_OK;
    return rmask_fail(error, RMASK_ERR_RANGE, "a grid of %lld x %lld is out of range: rows and columns go up to %d", (long long)rows,
                      (long long)cols, (int)RMASK_MAX_SIDE);
}

rmask_status rmask_concat(const rmask *const *masks, size_t num_masks, const rmask_allocator *allocator, rmask **out,
                          rmask_error *error)
{
    *out = NULL;
    int64_t rows = 0, cols = 0;
    uint64_t num_units = 0;
    for (size_t i = 0; i < num_masks; i++) {
        rows += masks[i]->rows;
        cols += masks[i]->cols;
        num_units += masks[i]->header->num_container_units;
        RMASK_TRY(check_sides(rows, cols, error));
        RMASK_TRY(rmask_trust(masks[i], error));
    }
    rmask_placer placer;
    rmask_placer_init(&placer, (int32_t)rows, (int32_t)cols, num_masks > 1, num_masks ? &masks[0]->allocator : allocator);
    rmask_draft_reserve(&placer.draft, num_units);
    rows = cols = 0;
    for (size_t i = 0; i < num_masks; i++) {
        rmask_place(&placer, whole(masks[i], (int32_t)rows, (int32_t)cols));
        rows += masks[i]->rows;
        cols += masks[i]->cols;
    }
    return rmask_placer_finish(&placer, out, error);
}

rmask_status rmask_repeat(const rmask *mask, int32_t times, rmask **out, rmask_error *error)
{
    *out = NULL;
    if (times < 0) return rmask_fail(error, RMASK_ERR_RANGE, "%d copies are out of range: there are 0 or more", (int)times);
    RMASK_TRY(check_sides((int64_t)mask->rows * times, (int64_t)mask->cols * times, error));
    RMASK_TRY(rmask_trust(mask, error));
    rmask_placer placer;
    rmask_placer_init(&placer, mask->rows * times, mask->cols * times, times > 1, &mask->allocator);
    rmask_draft_reserve(&placer.draft, (uint64_t)mask->header->num_container_units * (uint64_t)times);
    for (int32_t i = 0; i < times && mask->rows; i++) rmask_place(&placer, whole(mask, mask->rows * i, mask->cols * i));
    return rmask_placer_finish(&placer, out, error);
}

rmask_status rmask_stack(const rmask *const *masks, size_t num_masks, rmask **out, rmask_error *error)
{
    *out = NULL;
    if (num_masks == 0) return rmask_fail(error, RMASK_ERR_ARGUMENT, "there is no mask to stack");
    int64_t rows = 0;
    uint64_t num_units = 0;
    for (size_t i = 0; i < num_masks; i++) {
        if (masks[i]->cols != masks[0]->cols)
            return rmask_fail(error, RMASK_ERR_ARGUMENT, "the masks to stack differ in their columns: mask 0 has %d, mask %zu has %d",
                              (int)masks[0]->cols, i, (int)masks[i]->cols);
        rows += masks[i]->rows;
        num_units += masks[i]->header->num_container_units;
        RMASK_TRY(check_sides(rows, masks[0]->cols, error));
        RMASK_TRY(rmask_trust(masks[i], error));
    }
    rmask_placer placer;
    rmask_placer_init(&placer, (int32_t)rows, masks[0]->cols, false, &masks[0]->allocator);
    rmask_draft_reserve(&placer.draft, num_units);
    rows = 0;
    for (size_t i = 0; i < num_masks; rows += masks[i++]->rows) rmask_place(&placer, whole(masks[i], (int32_t)rows, 0));
    return rmask_placer_finish(&placer, out, error);
}

/* ---------------------------------------------------------------- rows */

/* How many of the n rows at `rows` go on with one step of 0 or 1. */
static int32_t run_length(const int32_t *rows, size_t n, int32_t *step)
{
    int32_t len = 1;
    *step = n > 1 && rows[1] == rows[0] ? 0 : 1;
    while ((size_t)len < n && rows[len] - rows[len - 1] == *step) len++;
    return len;
}

/* Bytes of strips that placing the rows makes, where only runs share lists. It stops counting beyond `enough`. */
static uint64_t placed_bytes(const rmask *mask, const int32_t *rows, size_t num_rows, uint64_t enough)
{
    uint64_t bytes = 0;
    for (size_t at = 0; at < num_rows && bytes <= enough;) {
        int32_t step;
        const int32_t len = run_length(rows + at, num_rows - at, &step), row_end = rows[at] + (step ? len : 1);
        const rmask_strip *strip = rmask_strip_of(mask, rows[at]);
        for (int32_t row = rows[at]; row < row_end; row = rmask_strip_end(mask, strip++))
            bytes += sizeof *strip + ((step ? 0 : strip->num_fixed) + (uint64_t)strip->num_sliding) * sizeof(int32_t);
        at += (size_t)len;
    }
    return bytes;
}

static rmask_status place_rows(const rmask *mask, const int32_t *rows, size_t num_rows, rmask **out, rmask_error *error)
{
    rmask_placer placer;
    rmask_placer_init(&placer, (int32_t)num_rows, mask->cols, false, &mask->allocator);
    for (size_t at = 0; at < num_rows;) {
        int32_t step;
        const int32_t row = rows[at], len = run_length(rows + at, num_rows - at, &step);
        if (step == 0)
            rmask_place_row(&placer, mask, row, len, (int32_t)at);
        else
            rmask_place(&placer, (rmask_piece){mask, row, row + len, 0, mask->cols, (int32_t)at, 0});
        at += (size_t)len;
    }
    return rmask_placer_finish(&placer, out, error);
}

static rmask_status give_rows(const rmask *mask, const int32_t *rows, size_t num_rows, rmask_finder *finder)
{
    rmask_int32_vec flips = {0};
    rmask_status status = RMASK_OK;
    for (size_t i = 0; i < num_rows && !status; i++) {
        flips.len = 0;
        status = rmask_append_flips(mask, rows[i], &mask->allocator, &flips);
        if (!status && flips.len) status = rmask_finder_row(finder, (int32_t)i, (rmask_finder_input){.flips = &flips});
    }
    rmask_vec_free(&mask->allocator, &flips);
    return status;
}

static rmask_status find_rows(const rmask *mask, const int32_t *rows, size_t num_rows, rmask **out, rmask_error *error)
{
    rmask_finder *finder = rmask_allocate(&mask->allocator, 1, sizeof *finder);
    if (!finder) return rmask_fail_nomem(error);
    rmask_finder_init(finder, (int32_t)num_rows, mask->cols, &mask->allocator);
    const rmask_status status = rmask_finder_end(finder, give_rows(mask, rows, num_rows, finder), out, error);
    rmask_free(&mask->allocator, finder, 1, sizeof *finder);
    return status;
}

/* Strips of so many bytes a row are not doubted; the lists of more are looked at by the finder, which may make exceptions of them. */
enum { FEW_BYTES_A_ROW = 128, FEW_TIMES = 4 };

rmask_status rmask_take_rows(const rmask *mask, const int32_t *rows, size_t num_rows, rmask **out, rmask_error *error)
{
    *out = NULL;
    if (num_rows > RMASK_MAX_SIDE)
        return rmask_fail(error, RMASK_ERR_RANGE, "%zu rows are out of range: a grid has up to %d", num_rows, (int)RMASK_MAX_SIDE);
    for (size_t i = 0; i < num_rows; i++) RMASK_TRY(rmask_check_row(rows[i], mask->rows, error));
    RMASK_TRY(rmask_trust(mask, error));
    const uint64_t few_bytes = FEW_TIMES * rmask_strip_bytes(mask) + FEW_BYTES_A_ROW * (uint64_t)num_rows;
    const bool is_cheap = placed_bytes(mask, rows, num_rows, few_bytes) <= few_bytes;
    return (is_cheap ? place_rows : find_rows)(mask, rows, num_rows, out, error);
}
