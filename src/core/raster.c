/* SPDX-License-Identifier: Apache-2.0
 * Counting the cells of a mask in the fields of a raster. */
#include "core/check.h"
#include "core/exception.h"
#include "core/mask.h"

#include <string.h>

typedef struct raster {
    const rmask *mask;
    int32_t row_begin, row_end, col_begin, col_end, num_rows, num_cols;
    uint64_t *counts;
} raster;

/* Where field i of `parts` begins. */
static int32_t edge(int32_t begin, int32_t end, int32_t parts, int32_t i)
{
    return (int32_t)(begin + ((int64_t)end - begin) * i / parts);
}

/* The field that a position lies in: the last one that begins at or before it. */
static int32_t field_of(int32_t begin, int32_t end, int32_t parts, int32_t position)
{
    int32_t i = (int32_t)(((int64_t)position - begin) * parts / ((int64_t)end - begin));
    while (i + 1 < parts && edge(begin, end, parts, i + 1) <= position) i++;
    return i;
}

static int32_t col_edge(const raster *r, int32_t i) { return edge(r->col_begin, r->col_end, r->num_cols, i); }

/* Adds `sign` for every column of [begin, end) to a row of fields. */
static void add_range(const raster *r, uint64_t *fields, int32_t begin, int32_t end, uint64_t sign)
{
    if (begin < r->col_begin) begin = r->col_begin;
    if (end > r->col_end) end = r->col_end;
    if (begin >= end) return;
    for (int32_t i = field_of(r->col_begin, r->col_end, r->num_cols, begin); begin < end; i++) {
        const int32_t field_end = col_edge(r, i + 1), stop = field_end < end ? field_end : end;
        fields[i] += sign * (uint64_t)(stop - begin);
        begin = stop;
    }
}

/* ---------------------------------------------------------------- strips */

/* A boundary that stands at or left of a field in all of the rows flips the field as a whole, one right of it not at all. So only those in
 * between are counted by arithmetic, and each is near few fields. */
static void add_by_arithmetic(const raster *r, uint64_t *fields, rmask_boundaries strip, int32_t row_begin, int32_t row_end)
{
    size_t fixed = 0, fixed_end = 0, sliding = 0, sliding_end = 0; /* the boundaries near a field */
    for (int32_t i = 0; i < r->num_cols; i++) {
        const int32_t begin = col_edge(r, i), end = col_edge(r, i + 1);
        while (fixed < strip.num_fixed && strip.fixed[fixed] <= begin) fixed++;
        while (fixed_end < strip.num_fixed && strip.fixed[fixed_end] < end) fixed_end++;
        while (sliding < strip.num_sliding && (int64_t)strip.sliding[sliding] + row_end - 1 <= begin) sliding++;
        while (sliding_end < strip.num_sliding && (int64_t)strip.sliding[sliding_end] + row_begin < end) sliding_end++;
        const size_t num_fixed = fixed_end > fixed ? fixed_end - fixed : 0, num_sliding = sliding_end > sliding ? sliding_end - sliding : 0;
        const rmask_boundaries near = {strip.fixed + fixed, num_fixed, strip.sliding + sliding, num_sliding};
        const rmask_boundaries left = {NULL, 0, near.sliding, num_sliding}; /* of the field there are no fixed ones */
        uint64_t count = 0;
        if (num_fixed + num_sliding > 0)
            count = rmask_strip_count(near, row_begin, row_end, end) - rmask_strip_count(left, row_begin, row_end, begin);
        const uint64_t area = (uint64_t)(row_end - row_begin) * (uint64_t)(end - begin);
        fields[i] += (fixed + sliding) % 2 ? area - count : count;
    }
}

static void add_by_rows(const raster *r, uint64_t *fields, rmask_boundaries strip, int32_t row_begin, int32_t row_end)
{
    for (int32_t row = row_begin; row < row_end; row++) {
        rmask_flips flips = rmask_flips_of(strip, row);
        int32_t begin, end;
        bool inside;
        while (rmask_next_segment(&flips, r->col_end, &begin, &end, &inside))
            if (inside) add_range(r, fields, begin, end, 1);
    }
}

static void add_strips(const raster *r, uint64_t *fields, int32_t row_begin, int32_t row_end)
{
    for (int32_t row = row_begin, end; row < row_end; row = end) {
        const rmask_strip *strip = rmask_strip_of(r->mask, row);
        const rmask_boundaries boundaries = rmask_boundaries_of(r->mask, strip);
        const int32_t strip_end = rmask_strip_end(r->mask, strip);
        end = strip_end < row_end ? strip_end : row_end;
        /* Arithmetic takes a few steps a field and some thirty a boundary, rows one a boundary and row. */
        const int64_t row_steps = 1 + (int64_t)(boundaries.num_fixed + boundaries.num_sliding);
        if ((end - row - 32) * row_steps > 4 * (int64_t)r->num_cols)
            add_by_arithmetic(r, fields, boundaries, row, end);
        else
            add_by_rows(r, fields, boundaries, row, end);
    }
}

/* ---------------------------------------------------------------- exceptions */

/* Adds the exceptions of a chunk in one segment of a strip. */
static void add_segment(const raster *r, uint64_t *fields, const rmask_container *container, int32_t begin, int32_t end, bool inside,
                        uint32_t *next)
{
    const uint64_t sign = inside ? UINT64_MAX : 1;
    const int32_t base = container->chunk * RMASK_CHUNK_COLS;
    if (!container->is_bitset) {
        for (; *next < container->num_units && base + container->units[*next] < end; ++*next) {
            const int32_t col = base + container->units[*next];
            add_range(r, fields, col, col + 1, sign);
        }
        return;
    }
    if (begin < r->col_begin) begin = r->col_begin;
    if (end > r->col_end) end = r->col_end;
    if (begin >= end) return;
    for (int32_t i = field_of(r->col_begin, r->col_end, r->num_cols, begin); begin < end; i++) {
        const int32_t field_end = col_edge(r, i + 1), stop = field_end < end ? field_end : end;
        fields[i] += sign * rmask_container_count_range(container, (uint32_t)(begin - base), (uint32_t)(stop - base));
        begin = stop;
    }
}

/* Few exceptions ask for the strip one by one, rather than walk along all of its boundaries. */
static void add_few(const raster *r, uint64_t *fields, const rmask_container *array, rmask_boundaries strip, int32_t row)
{
    for (uint32_t i = 0; i < array->num_units; i++) {
        const int32_t col = array->chunk * RMASK_CHUNK_COLS + array->units[i];
        add_range(r, fields, col, col + 1, rmask_strip_has(strip, row, col) ? UINT64_MAX : 1);
    }
}

static void add_exceptions(const raster *r, uint64_t *fields, int32_t row, rmask_row_containers containers)
{
    const rmask_boundaries strip = rmask_boundaries_of(r->mask, rmask_strip_of(r->mask, row));
    rmask_flips flips = rmask_flips_of(strip, row);
    for (rmask_container container; rmask_next_container(&containers, &container);) {
        const int32_t base = container.chunk * RMASK_CHUNK_COLS;
        if (!container.is_bitset && 16 * (size_t)container.num_units < strip.num_fixed + strip.num_sliding) {
            add_few(r, fields, &container, strip, row);
            continue;
        }
        const int32_t limit = base + rmask_chunk_width(r->mask->cols, container.chunk);
        int32_t begin, end;
        bool inside;
        uint32_t next = 0;
        if (flips.at < base) rmask_flips_seek(&flips, base);
        while (rmask_next_segment(&flips, limit, &begin, &end, &inside))
            add_segment(r, fields, &container, begin, end, inside, &next);
    }
}

/* ---------------------------------------------------------------- all */

static rmask_status check(const raster *r, rmask_error *error)
{
    const rmask *mask = r->mask;
    if (r->num_rows < 1 || r->num_cols < 1)
        return rmask_fail(error, RMASK_ERR_RANGE, "a raster of %d x %d is out of range: its sides are at least 1", (int)r->num_rows,
                          (int)r->num_cols);
    return rmask_check_window(mask, r->row_begin, r->row_end, r->col_begin, r->col_end, error);
}

rmask_status rmask_raster(const rmask *mask, int32_t row_begin, int32_t row_end, int32_t col_begin, int32_t col_end,
                          int32_t raster_rows, int32_t raster_cols, uint64_t *counts, rmask_error *error)
{
    const raster r = {mask, row_begin, row_end, col_begin, col_end, raster_rows, raster_cols, counts};
    RMASK_TRY(check(&r, error));
    RMASK_TRY(rmask_trust_rows(mask, row_begin, row_end, error));
    memset(counts, 0, (size_t)raster_rows * (size_t)raster_cols * sizeof *counts);
    if (row_begin == row_end || col_begin == col_end) return RMASK_OK;
    for (int32_t i = 0; i < raster_rows; i++)
        add_strips(&r, counts + (size_t)i * (size_t)raster_cols, edge(row_begin, row_end, raster_rows, i),
                   edge(row_begin, row_end, raster_rows, i + 1));
    rmask_exception_walk walk = rmask_walk_exceptions(mask, row_begin);
    for (int32_t row; (row = rmask_walk_row(&walk)) < row_end;) {
        const int32_t i = field_of(row_begin, row_end, raster_rows, row);
        add_exceptions(&r, counts + (size_t)i * (size_t)raster_cols, row, rmask_walk_take(&walk));
    }
    return RMASK_OK;
}
