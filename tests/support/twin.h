/* SPDX-License-Identifier: Apache-2.0
 * The naive twin of a mask: a byte a cell and the obvious loops, to hold every answer of the library against. */
#ifndef ROARMASK_TESTS_TWIN_H
#define ROARMASK_TESTS_TWIN_H

#include "support.h"

typedef struct twin {
    int32_t rows, cols;
    uint8_t *cells; /* rows x cols, 0 or 1 */
} twin;

twin *twin_create(int32_t rows, int32_t cols); /* no cells */
twin *twin_copy(const twin *from);
twin *twin_of(const rmask *mask); /* read with rmask_row */
void twin_free(twin *t);          /* NULL is allowed */

static inline uint8_t *twin_at(const twin *t, int32_t row) { return t->cells + (size_t)row * (size_t)t->cols; }

/* Puts the cells [col_begin, col_end) of a row in or out. */
void twin_put(twin *t, int32_t row, int32_t col_begin, int32_t col_end, bool in);

uint64_t twin_count(const twin *t);
size_t twin_row_count(const twin *t, int32_t row);
size_t twin_row(const twin *t, int32_t row, int32_t *cols);          /* `cols` has room for t->cols; returns the count */
size_t twin_row_ranges(const twin *t, int32_t row, int32_t *ranges); /* `ranges` has room for t->cols + 1 entries */
bool twin_equal(const twin *a, const twin *b);
bool function_holds(rmask_function function, bool a, bool b);
twin *twin_combine(const twin *a, const twin *b, rmask_function function);
void twin_coarsen(const twin *t, int32_t tile_rows, int32_t tile_cols, twin **any, twin **all); /* tiles with a cell; with all of theirs */

/* ---------------------------------------------------------------- holding a mask against its twin */

/* Compares through every function that reads: contains, rows in each capacity, ranges, iteration, CSR, counts, rasters, stats
 * and the copy of the flat buffer. */
void check_same(const rmask *mask, const twin *t);

/* Compares grid, count and rows only: for loops over many results. */
void check_rows(const rmask *mask, const twin *t);

/* check_same or check_rows, then the mask is released. */
void check_same_release(rmask *mask, const twin *t);
void check_rows_release(rmask *mask, const twin *t);

/* Calls a function that fills a buffer as rmask_row does in every capacity that differs, and expects `num_cols` columns. Guard
 * words behind the buffer must survive. `fill` passes its arguments on to the function under test. */
typedef rmask_status (*fill_function)(void *context, int32_t *buffer, size_t capacity, size_t *count, rmask_error *error);
void check_fill(fill_function fill, void *context, const int32_t *wanted, size_t num_wanted, size_t ints_per_item);

/* Expects two masks to be equal, or not, in the eyes of rmask_equal. */
void check_equal(const rmask *a, const rmask *b, bool wanted);

/* For a mask that nothing is known about, perhaps made of hostile bytes: reads it everywhere that is affordable and expects its
 * answers to agree with each other. */
void check_consistent(const rmask *mask);

/* The same for one row, which is only counted where it has more than `most_cells`. Returns its count. */
uint64_t check_row_consistent(const rmask *mask, int32_t row, size_t most_cells);

#endif
