/* SPDX-License-Identifier: Apache-2.0
 * Slices: an interval of a strip is a parallelogram, and a slice is one with its corners. */
#include "roarmask/export.h"

#include "core/check.h"
#include "core/exception.h"
#include "core/row.h"

#include <stdlib.h>

typedef struct slice_sink {
    int32_t *q_ranges, *k_ranges, *types;
    size_t capacity, count;
} slice_sink;

static void put_slice(slice_sink *s, int32_t row_begin, int32_t row_end, int32_t col_begin, int32_t col_end, int32_t type)
{
    if (s->q_ranges && s->count < s->capacity) {
        s->q_ranges[2 * s->count] = row_begin;
        s->q_ranges[2 * s->count + 1] = row_end;
        s->k_ranges[2 * s->count] = col_begin;
        s->k_ranges[2 * s->count + 1] = col_end;
        s->types[s->count] = row_end - row_begin > 1 ? type : 0;
    }
    s->count++;
}

/* ---------------------------------------------------------------- strips */

/* An end of an interval: a column, or one that slides. */
typedef struct edge {
    int64_t col; /* in the first row */
    bool slides;
} edge;

/* The boundary lists of rows in which their order does not change, as edges from left to right, cut to the grid. */
static rmask_status put_rows(slice_sink *s, rmask_boundaries strip, int32_t row_begin, int32_t row_end, int32_t cols)
{
    size_t i = 0, j = 0;
    bool inside = false;
    edge begin = {0, false};
    while (i < strip.num_fixed || j < strip.num_sliding) {
        const int64_t fixed = i < strip.num_fixed ? strip.fixed[i] : INT64_MAX;
        const int64_t sliding = j < strip.num_sliding ? (int64_t)strip.sliding[j] + row_begin : INT64_MAX;
        /* Where both stand at one column, the fixed one is left of the other in the rows below. */
        edge at = fixed <= sliding ? (edge){fixed, false} : (edge){sliding, true};
        i += !at.slides;
        j += at.slides;
        if (at.col < 0 || (at.slides && at.col == 0 && row_end - row_begin == 1)) at = (edge){0, false};
        if (at.col >= cols) break;
        if (inside && (begin.col < at.col || (at.slides && row_end - row_begin > 1))) {
            const int32_t last_end = (int32_t)at.col + (at.slides ? row_end - 1 - row_begin : 0);
            put_slice(s, row_begin, row_end, (int32_t)begin.col, last_end,
                      (at.slides ? RMASK_SLICE_CAUSAL : 0) | (begin.slides ? RMASK_SLICE_INVERSE_CAUSAL : 0));
        }
        inside = !inside;
        begin = at;
    }
    if (inside && begin.col < cols) put_slice(s, row_begin, row_end, (int32_t)begin.col, cols, begin.slides ? RMASK_SLICE_INVERSE_CAUSAL : 0);
    return RMASK_OK;
}

static int compare_rows(const void *a, const void *b)
{
    const int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

/* Cuts the rows where a sliding boundary comes to column 0, meets a fixed one, or passes the last column. */
static rmask_status put_strip(const rmask *mask, slice_sink *s, rmask_int32_vec *cuts, rmask_boundaries strip, int32_t row_begin, int32_t row_end)
{
    cuts->len = 0;
    if (!rmask_vec_reserve(&mask->allocator, cuts, 1)) return RMASK_ERR_NOMEM;
    rmask_vec_put(cuts, row_begin);
    for (size_t j = 0; j < strip.num_sliding; j++) {
        const int64_t w = strip.sliding[j];
        size_t i = rmask_upper_bound(strip.fixed, strip.num_fixed, w + row_begin);
        const size_t end = rmask_upper_bound(strip.fixed, strip.num_fixed, w + row_end - 1);
        if (!rmask_vec_reserve(&mask->allocator, cuts, (end > i ? end - i : 0) + 2)) return RMASK_ERR_NOMEM;
        for (; i < end; i++) rmask_vec_put(cuts, (int32_t)(strip.fixed[i] - w));
        if (-w > row_begin && -w < row_end) rmask_vec_put(cuts, (int32_t)-w);
        const int64_t passes = mask->cols + INT64_C(1) - w;
        if (passes > row_begin && passes < row_end) rmask_vec_put(cuts, (int32_t)passes);
    }
    if (cuts->len > 2) qsort(cuts->at, cuts->len, sizeof *cuts->at, compare_rows);
    for (size_t i = 0; i < cuts->len; i++) {
        const int32_t next = i + 1 < cuts->len ? cuts->at[i + 1] : row_end;
        if (next > cuts->at[i]) RMASK_TRY(put_rows(s, strip, cuts->at[i], next, mask->cols));
    }
    return RMASK_OK;
}

/* ---------------------------------------------------------------- all rows */

static rmask_status put_ranges(const rmask *mask, slice_sink *s, rmask_int32_vec *ranges, int32_t row)
{
    ranges->len = 0;
    RMASK_TRY(rmask_append_ranges(mask, row, &mask->allocator, ranges));
    for (size_t i = 0; i < ranges->len; i += 2) put_slice(s, row, row + 1, ranges->at[i], ranges->at[i + 1], 0);
    return RMASK_OK;
}

static rmask_status put_all(const rmask *mask, slice_sink *s, rmask_int32_vec *scratch)
{
    rmask_exception_walk walk = rmask_walk_exceptions(mask, 0);
    int32_t exception_row = rmask_walk_row(&walk);
    for (uint32_t i = 0; i < mask->num_strips; i++) {
        const rmask_strip *strip = &mask->strips[i];
        const int32_t end = rmask_strip_end(mask, strip);
        for (int32_t row = (int32_t)strip->row_begin; row < end;) {
            if (row == exception_row) {
                RMASK_TRY(put_ranges(mask, s, scratch, row++));
                rmask_walk_take(&walk);
                exception_row = rmask_walk_row(&walk);
                continue;
            }
            const int32_t stop = exception_row < end ? exception_row : end;
            RMASK_TRY(put_strip(mask, s, scratch, rmask_boundaries_of(mask, strip), row, stop));
            row = stop;
        }
    }
    return RMASK_OK;
}

rmask_status rmask_export_slices(const rmask *mask, int32_t *q_ranges, int32_t *k_ranges, int32_t *types, size_t capacity, size_t *count,
                                 rmask_error *error)
{
    *count = 0;
    RMASK_TRY(rmask_trust(mask, error));
    slice_sink s = {q_ranges, k_ranges, types, capacity, 0};
    rmask_int32_vec scratch = {0};
    const rmask_status status = put_all(mask, &s, &scratch);
    rmask_vec_free(&mask->allocator, &scratch);
    if (status) return rmask_fail_nomem(error);
    *count = s.count;
    if (!q_ranges || s.count <= capacity) return RMASK_OK;
    return rmask_fail(error, RMASK_ERR_CAPACITY, "the buffers have room for %zu slices, %zu are needed", capacity, s.count);
}

/* ---------------------------------------------------------------- the way back */

static rmask_status add_slice(rmask_builder *builder, const int32_t *q, const int32_t *k, int32_t type, int32_t rows, int32_t cols, size_t index,
                              rmask_error *error)
{
    if (q[0] < 0 || q[0] > q[1] || q[1] > rows || k[0] < 0 || k[0] > k[1] || k[1] > cols)
        return rmask_fail(error, RMASK_ERR_RANGE, "slice %zu with rows [%d, %d) and columns [%d, %d) is not in the grid of %d x %d", index, (int)q[0],
                          (int)q[1], (int)k[0], (int)k[1], (int)rows, (int)cols);
    if (type < 0 || type > 3) return rmask_fail(error, RMASK_ERR_ARGUMENT, "slice %zu has the type %d: there are 0 to 3", index, (int)type);
    for (int32_t row = q[0]; row < q[1]; row++) {
        const int64_t begin = k[0] + (type & RMASK_SLICE_INVERSE_CAUSAL ? (int64_t)row - q[0] : 0);
        const int64_t end = k[1] - (type & RMASK_SLICE_CAUSAL ? (int64_t)q[1] - 1 - row : 0);
        if (begin < end) RMASK_TRY(rmask_builder_add(builder, row, (int32_t)begin, (int32_t)end, error));
    }
    return RMASK_OK;
}

rmask_status rmask_from_slices(int32_t rows, int32_t cols, const int32_t *q_ranges, const int32_t *k_ranges, const int32_t *types, size_t num_slices,
                               const rmask_allocator *allocator, rmask **out, rmask_error *error)
{
    *out = NULL;
    rmask_builder *builder;
    RMASK_TRY(rmask_builder_create(rows, cols, allocator, &builder, error));
    rmask_status status = RMASK_OK;
    for (size_t i = 0; i < num_slices && !status; i++)
        status = add_slice(builder, q_ranges + 2 * i, k_ranges + 2 * i, types[i], rows, cols, i, error);
    if (!status) status = rmask_builder_freeze(builder, out, error);
    rmask_builder_destroy(builder);
    return status;
}
