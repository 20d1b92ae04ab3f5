/* SPDX-License-Identifier: Apache-2.0
 * FlashMask: a masked interval of rows for each key column and triangle. */
#include "roarmask/export.h"

#include "core/finder.h"
#include "core/mask.h"
#include "core/row.h"

typedef struct interval {
    int32_t begin, end;
} interval;

/* The rows of [begin, end) that are not in a column's ranges; the first two intervals, and how many there are. */
static int masked_rows(const int32_t *ranges, size_t num_ranges, int32_t begin, int32_t end, interval masked[2])
{
    int count = 0;
    int32_t at = begin;
    for (size_t i = 0; i <= num_ranges && at < end; i++) {
        const int32_t range_begin = i < num_ranges ? ranges[2 * i] : end, range_end = i < num_ranges ? ranges[2 * i + 1] : end;
        if (range_end <= at && i < num_ranges) continue;
        const int32_t stop = range_begin < end ? range_begin : end;
        if (stop > at) {
            if (count < 2) masked[count] = (interval){at, stop};
            count++;
        }
        at = range_end;
    }
    return count;
}

static rmask_status fail_fit(rmask_error *error, int32_t col, const char *triangle, const interval masked[2], int count)
{
    if (count > 1)
        return rmask_fail(error, RMASK_ERR_ARGUMENT,
                          "column %d does not fit FlashMask: rows [%d, %d) and [%d, %d) of its %s triangle are masked, and one interval can be",
                          (int)col, (int)masked[0].begin, (int)masked[0].end, (int)masked[1].begin, (int)masked[1].end, triangle);
    return rmask_fail(error, RMASK_ERR_ARGUMENT,
                      "column %d does not fit FlashMask with so few bounds: the masked rows [%d, %d) of its %s triangle do not reach its edge", (int)col,
                      (int)masked[0].begin, (int)masked[0].end, triangle);
}

static rmask_status check_kind(bool causal, int32_t num_bounds, rmask_error *error)
{
    if (causal ? num_bounds == 1 || num_bounds == 2 : num_bounds == 2 || num_bounds == 4) return RMASK_OK;
    return rmask_fail(error, RMASK_ERR_ARGUMENT, "FlashMask has %s bounds a column, not %d", causal ? "1 or 2" : "2 or 4", (int)num_bounds);
}

static rmask_status put_column(const int32_t *ranges, size_t num_ranges, int32_t col, int32_t side, bool causal, int32_t num_bounds, int32_t *bounds,
                               rmask_error *error)
{
    interval lower[2] = {{side, side}}, upper[2] = {{0, 0}};
    const int num_lower = masked_rows(ranges, num_ranges, col, side, lower);
    const int num_upper = masked_rows(ranges, num_ranges, 0, col, upper);
    const bool is_suffix = causal ? num_bounds == 1 : num_bounds == 2;
    if (causal && num_ranges > 0 && ranges[0] < col)
        return rmask_fail(error, RMASK_ERR_ARGUMENT, "column %d does not fit causal FlashMask: row %d above the diagonal is in the mask", (int)col,
                          (int)ranges[0]);
    if (num_lower > 1 || (is_suffix && num_lower == 1 && lower[0].end != side)) return fail_fit(error, col, "lower", lower, num_lower);
    if (!causal && (num_upper > 1 || (is_suffix && num_upper == 1 && upper[0].begin != 0))) return fail_fit(error, col, "upper", upper, num_upper);
    bounds[0] = lower[0].begin;
    if (num_bounds == 2) bounds[1] = causal ? lower[0].end : upper[0].end;
    if (num_bounds == 4) {
        bounds[1] = lower[0].end;
        bounds[2] = upper[0].begin;
        bounds[3] = upper[0].end;
    }
    return RMASK_OK;
}

rmask_status rmask_export_flashmask(const rmask *mask, bool causal, int32_t num_bounds, int32_t *bounds, rmask_error *error)
{
    RMASK_TRY(check_kind(causal, num_bounds, error));
    if (mask->rows != mask->cols)
        return rmask_fail(error, RMASK_ERR_ARGUMENT, "FlashMask is for square masks, not %d x %d", (int)mask->rows, (int)mask->cols);
    rmask *columns;
    RMASK_TRY(rmask_transpose(mask, &columns, error));
    rmask_int32_vec ranges = {0};
    rmask_status status = RMASK_OK;
    for (int32_t col = 0; col < columns->rows && !status; col++) {
        ranges.len = 0;
        status = rmask_append_ranges(columns, col, &columns->allocator, &ranges);
        if (status)
            rmask_fail_nomem(error);
        else
            status = put_column(ranges.at, ranges.len / 2, col, columns->rows, causal, num_bounds, bounds + (size_t)col * (size_t)num_bounds, error);
    }
    rmask_vec_free(&columns->allocator, &ranges);
    rmask_release(columns);
    return status;
}

/* ---------------------------------------------------------------- the way back */

static rmask_status check_interval(interval masked, int32_t side, int32_t col, rmask_error *error)
{
    if (masked.begin < 0 || masked.begin > side || masked.end < 0 || masked.end > side)
        return rmask_fail(error, RMASK_ERR_RANGE, "column %d has the bounds %d and %d: they go from 0 to %d", (int)col, (int)masked.begin, (int)masked.end,
                          (int)side);
    if (masked.begin > masked.end)
        return rmask_fail(error, RMASK_ERR_ARGUMENT, "column %d has an interval that begins at %d and ends at %d", (int)col, (int)masked.begin,
                          (int)masked.end);
    return RMASK_OK;
}

static int32_t clamp(int32_t value, int32_t low, int32_t high) { return value < low ? low : value > high ? high : value; }

/* Appends a range, joined to one that ends where it begins. */
static void put_run(rmask_int32_vec *flips, int32_t begin, int32_t end)
{
    if (begin >= end) return;
    if (flips->len && flips->at[flips->len - 1] == begin) {
        flips->at[flips->len - 1] = end;
        return;
    }
    rmask_vec_put(flips, begin);
    rmask_vec_put(flips, end);
}

/* Appends the rows of [begin, end) outside of an interval. */
static void put_rest(rmask_int32_vec *flips, int32_t begin, int32_t end, interval masked)
{
    const int32_t stop = clamp(masked.begin, begin, end), resume = clamp(masked.end, stop, end);
    put_run(flips, begin, stop);
    put_run(flips, resume, end);
}

static rmask_status add_column(rmask_finder *finder, rmask_int32_vec *flips, int32_t col, int32_t side, bool causal, int32_t num_bounds,
                               const int32_t *bounds, rmask_error *error)
{
    const bool has_ends = causal ? num_bounds == 2 : num_bounds == 4;
    const interval lower = {bounds[0], has_ends ? bounds[1] : side};
    const interval upper = causal ? (interval){0, col} : has_ends ? (interval){bounds[2], bounds[3]} : (interval){0, bounds[1]};
    RMASK_TRY(check_interval(lower, side, col, error));
    RMASK_TRY(check_interval(upper, side, col, error));
    flips->len = 0;
    if (!rmask_vec_reserve(&finder->draft.allocator, flips, 8)) return RMASK_ERR_NOMEM;
    put_rest(flips, 0, col, upper);
    put_rest(flips, col, side, lower);
    if (flips->len == 0) return RMASK_OK;
    if (flips->at[flips->len - 1] == side) flips->len--; /* a run that reaches the last column has no end */
    return rmask_finder_row(finder, col, (rmask_finder_input){.flips = flips});
}

rmask_status rmask_from_flashmask(int32_t side, bool causal, int32_t num_bounds, const int32_t *bounds, const rmask_allocator *allocator, rmask **out,
                                  rmask_error *error)
{
    *out = NULL;
    RMASK_TRY(rmask_check_grid(side, side, error));
    RMASK_TRY(check_kind(causal, num_bounds, error));
    rmask_finder finder;
    rmask_finder_init(&finder, side, side, allocator);
    rmask_int32_vec flips = {0};
    rmask_status status = RMASK_OK;
    for (int32_t col = 0; col < side && !status; col++)
        status = add_column(&finder, &flips, col, side, causal, num_bounds, bounds + (size_t)col * (size_t)num_bounds, error);
    rmask_vec_free(&finder.draft.allocator, &flips);
    rmask *columns = NULL;
    RMASK_TRY(rmask_finder_end(&finder, status, &columns, error));
    status = rmask_transpose(columns, out, error);
    rmask_release(columns);
    return status;
}
