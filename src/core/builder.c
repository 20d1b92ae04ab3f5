/* SPDX-License-Identifier: Apache-2.0
 * The mutable builder. A row is an inversion list plus a log of calls that are still to be applied to it. The log is applied when it
 * has grown as long as the list, or when the row is read, so a call costs O(log) however the cells come. */
#include "core/check.h"
#include "core/finder.h"
#include "core/inversion.h"
#include "core/row.h"
#include "core/status.h"

#include <string.h>

typedef struct change {
    int32_t begin, end;
    bool add;
} change;

typedef struct builder_row {
    rmask_int32_vec flips; /* ascending; a run that reaches the last column ends at `cols` */
    rmask_vec(change) log; /* in the order of the calls */
} builder_row;

/* Rows come in pages, so that huge grids with few rows in use stay small. */
enum { PAGE_ROWS = 1024, MIN_LOG = 32 };

struct rmask_builder {
    rmask_allocator allocator;
    int32_t rows, cols;
    size_t num_pages;
    builder_row **pages; /* NULL for a page without cells */
};

rmask_status rmask_builder_create(int32_t rows, int32_t cols, const rmask_allocator *allocator, rmask_builder **out, rmask_error *error)
{
    *out = NULL;
    RMASK_TRY(rmask_check_grid(rows, cols, error));
    const rmask_allocator chosen = rmask_allocator_or_default(allocator);
    const size_t num_pages = ((size_t)rows + PAGE_ROWS - 1) / PAGE_ROWS;
    rmask_builder *builder = rmask_allocate(&chosen, 1, sizeof *builder);
    builder_row **pages = builder ? rmask_allocate(&chosen, num_pages, sizeof *pages) : NULL;
    if (!pages) {
        rmask_free(&chosen, builder, 1, sizeof *builder);
        return rmask_fail_nomem(error);
    }
    for (size_t i = 0; i < num_pages; i++) pages[i] = NULL;
    *builder = (rmask_builder){chosen, rows, cols, num_pages, pages};
    *out = builder;
    return RMASK_OK;
}

void rmask_builder_destroy(rmask_builder *builder)
{
    if (!builder) return;
    const rmask_allocator allocator = builder->allocator;
    for (size_t i = 0; i < builder->num_pages; i++) {
        for (size_t j = 0; builder->pages[i] && j < PAGE_ROWS; j++) {
            rmask_vec_free(&allocator, &builder->pages[i][j].flips);
            rmask_vec_free(&allocator, &builder->pages[i][j].log);
        }
        rmask_free(&allocator, builder->pages[i], PAGE_ROWS, sizeof(builder_row));
    }
    rmask_free(&allocator, builder->pages, builder->num_pages, sizeof *builder->pages);
    rmask_free(&allocator, builder, 1, sizeof *builder);
}

/* NULL when out of memory. */
static builder_row *row_of(rmask_builder *builder, int32_t row)
{
    builder_row **page = &builder->pages[row / PAGE_ROWS];
    if (!*page) {
        *page = rmask_allocate(&builder->allocator, PAGE_ROWS, sizeof **page);
        if (!*page) return NULL;
        memset(*page, 0, PAGE_ROWS * sizeof **page);
    }
    return &(*page)[row % PAGE_ROWS];
}

/* ---------------------------------------------------------------- applying the log */

/* What a stretch of the log comes to: the columns it leaves added, and those it leaves removed. */
typedef struct effect {
    rmask_int32_vec added, removed;
} effect;

static rmask_status combine_into(const rmask_allocator *allocator, rmask_int32_vec *out, unsigned function, const rmask_int32_vec *a,
                                 const rmask_int32_vec *b)
{
    out->len = 0;
    if (!rmask_vec_reserve(allocator, out, a->len + b->len)) return RMASK_ERR_NOMEM;
    out->len = rmask_combine_lists(out->at, function, a->at, a->len, b->at, b->len);
    return RMASK_OK;
}

/* list = (list - without) | with */
static rmask_status replace(const rmask_allocator *allocator, rmask_int32_vec *list, const rmask_int32_vec *without,
                            const rmask_int32_vec *with)
{
    rmask_int32_vec kept = {0};
    rmask_status status = combine_into(allocator, &kept, RMASK_AND_NOT, list, without);
    if (!status) {
        rmask_int32_vec whole = {0};
        status = combine_into(allocator, &whole, RMASK_OR, &kept, with);
        if (!status) {
            const rmask_int32_vec old = *list;
            *list = whole;
            whole = old;
        }
        rmask_vec_free(allocator, &whole);
    }
    rmask_vec_free(allocator, &kept);
    return status;
}

/* The effect of n calls: that of the first half, overruled by that of the second. */
static rmask_status sum_up(const rmask_allocator *allocator, const change *log, size_t n, effect *sum)
{
    *sum = (effect){{0}, {0}};
    if (n == 1) {
        rmask_int32_vec *list = log->add ? &sum->added : &sum->removed;
        if (!rmask_vec_reserve(allocator, list, 2)) return RMASK_ERR_NOMEM;
        rmask_vec_put(list, log->begin);
        rmask_vec_put(list, log->end);
        return RMASK_OK;
    }
    effect later;
    rmask_status status = sum_up(allocator, log, n / 2, sum);
    if (!status) {
        status = sum_up(allocator, log + n / 2, n - n / 2, &later);
        if (!status) status = replace(allocator, &sum->added, &later.removed, &later.added);
        if (!status) status = replace(allocator, &sum->removed, &later.added, &later.removed);
        rmask_vec_free(allocator, &later.added);
        rmask_vec_free(allocator, &later.removed);
    }
    return status;
}

/* On failure the row is as before. */
static rmask_status apply_log(const rmask_allocator *allocator, builder_row *row)
{
    if (row->log.len == 0) return RMASK_OK;
    effect sum;
    rmask_status status = sum_up(allocator, row->log.at, row->log.len, &sum);
    if (!status) status = replace(allocator, &row->flips, &sum.removed, &sum.added);
    if (!status) row->log.len = 0;
    rmask_vec_free(allocator, &sum.added);
    rmask_vec_free(allocator, &sum.removed);
    return status;
}

/* ---------------------------------------------------------------- calls */

/* Most calls go on where the last one ended: those need no log. */
static bool append(rmask_builder *builder, builder_row *row, int32_t begin, int32_t end, rmask_status *status)
{
    rmask_int32_vec *flips = &row->flips;
    if (row->log.len || (flips->len && flips->at[flips->len - 1] > begin)) return false;
    if (flips->len && flips->at[flips->len - 1] == begin) {
        flips->at[flips->len - 1] = end;
    } else if (rmask_vec_reserve(&builder->allocator, flips, 2)) {
        rmask_vec_put(flips, begin);
        rmask_vec_put(flips, end);
    } else {
        *status = RMASK_ERR_NOMEM;
    }
    return true;
}

static rmask_status change_row(rmask_builder *builder, int32_t row, int32_t begin, int32_t end, bool add, rmask_error *error)
{
    RMASK_TRY(rmask_check_row(row, builder->rows, error));
    if (begin < 0 || begin > end || end > builder->cols)
        return rmask_fail(error, RMASK_ERR_RANGE, "columns [%d, %d) are out of range: the grid has %d columns", (int)begin, (int)end,
                          (int)builder->cols);
    if (begin == end) return RMASK_OK;
    rmask_status status = RMASK_OK;
    builder_row *at = row_of(builder, row);
    if (!at) return rmask_fail_nomem(error);
    if (add && append(builder, at, begin, end, &status)) return status ? rmask_fail_nomem(error) : RMASK_OK;
    if (at->log.len >= MIN_LOG && at->log.len >= at->flips.len) status = apply_log(&builder->allocator, at);
    const change call = {begin, end, add};
    if (status || !rmask_vec_push(&builder->allocator, &at->log, call)) return rmask_fail_nomem(error);
    return RMASK_OK;
}

rmask_status rmask_builder_add(rmask_builder *builder, int32_t row, int32_t col_begin, int32_t col_end, rmask_error *error)
{
    return change_row(builder, row, col_begin, col_end, true, error);
}

rmask_status rmask_builder_remove(rmask_builder *builder, int32_t row, int32_t col_begin, int32_t col_end, rmask_error *error)
{
    return change_row(builder, row, col_begin, col_end, false, error);
}

/* Adds whole ranges, given as flips in pairs. */
static rmask_status add_ranges(rmask_builder *builder, int32_t row, const rmask_int32_vec *ranges)
{
    if (ranges->len == 0) return RMASK_OK;
    builder_row *at = row_of(builder, row);
    if (!at) return RMASK_ERR_NOMEM;
    RMASK_TRY(apply_log(&builder->allocator, at));
    const rmask_int32_vec nothing = {0};
    return replace(&builder->allocator, &at->flips, &nothing, ranges);
}

rmask_status rmask_builder_add_sorted(rmask_builder *builder, int32_t row, const int32_t *cols, size_t num_cols, rmask_error *error)
{
    RMASK_TRY(rmask_check_row(row, builder->rows, error));
    if (num_cols == 0) return RMASK_OK;
    rmask_int32_vec flips = {0};
    rmask_status status = rmask_flips_of_cols(&builder->allocator, &flips, row, builder->cols, cols, num_cols, error);
    if (!status && add_ranges(builder, row, &flips)) status = rmask_fail_nomem(error);
    rmask_vec_free(&builder->allocator, &flips);
    return status;
}

rmask_status rmask_builder_add_mask(rmask_builder *builder, const rmask *mask, rmask_error *error)
{
    if (mask->rows != builder->rows || mask->cols != builder->cols)
        return rmask_fail(error, RMASK_ERR_ARGUMENT, "the grids differ: the builder's is %d x %d, the mask's %d x %d",
                          (int)builder->rows, (int)builder->cols, (int)mask->rows, (int)mask->cols);
    RMASK_TRY(rmask_trust(mask, error));
    rmask_int32_vec ranges = {0};
    rmask_status status = RMASK_OK;
    for (int32_t row = 0; row < mask->rows && !status; row++) {
        ranges.len = 0;
        status = rmask_append_ranges(mask, row, &builder->allocator, &ranges);
        if (!status) status = add_ranges(builder, row, &ranges);
    }
    rmask_vec_free(&builder->allocator, &ranges);
    return status ? rmask_fail_nomem(error) : RMASK_OK;
}

/* ---------------------------------------------------------------- freezing */

static rmask_status freeze_rows(rmask_builder *builder, rmask_finder *finder, rmask_int32_vec *flips)
{
    for (size_t i = 0; i < builder->num_pages; i++)
        for (size_t j = 0; builder->pages[i] && j < PAGE_ROWS; j++) {
            builder_row *row = &builder->pages[i][j];
            RMASK_TRY(apply_log(&builder->allocator, row));
            const size_t n = row->flips.len;
            if (n == 0) continue;
            flips->len = 0;
            if (!rmask_vec_reserve(&builder->allocator, flips, n)) return RMASK_ERR_NOMEM;
            memcpy(flips->at, row->flips.at, n * sizeof *flips->at);
            flips->len = n - (flips->at[n - 1] == builder->cols);
            RMASK_TRY(rmask_finder_row(finder, (int32_t)(i * PAGE_ROWS + j), (rmask_finder_input){.flips = flips}));
        }
    return RMASK_OK;
}

rmask_status rmask_builder_freeze(rmask_builder *builder, rmask **out, rmask_error *error)
{
    *out = NULL;
    rmask_finder finder;
    rmask_finder_init(&finder, builder->rows, builder->cols, &builder->allocator);
    rmask_int32_vec flips = {0};
    const rmask_status status = freeze_rows(builder, &finder, &flips);
    rmask_vec_free(&builder->allocator, &flips);
    if (status && !finder.draft.failed) finder.draft.failed = status;
    return rmask_finder_finish(&finder, out, error);
}
