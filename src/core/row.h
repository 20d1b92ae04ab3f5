/* SPDX-License-Identifier: Apache-2.0
 * Rows: reading one, or the function of two. */
#ifndef ROARMASK_CORE_ROW_H
#define ROARMASK_CORE_ROW_H

#include "core/exception.h"

/* How many of a row's exceptions in the columns [col_begin, col_end) lie inside its strip. */
uint64_t rmask_exceptions_inside(rmask_boundaries strip, int32_t row, rmask_row_containers containers, int32_t col_begin, int32_t col_end);

/* A row as ranges appended to `ranges` (pairs, increasing, not touching). RMASK_ERR_NOMEM is the only failure. */
rmask_status rmask_append_ranges(const rmask *mask, int32_t row, const rmask_allocator *allocator, rmask_int32_vec *ranges);

/* The same as flips, for the finder: a run that reaches the last column has no end. */
rmask_status rmask_append_flips(const rmask *mask, int32_t row, const rmask_allocator *allocator, rmask_int32_vec *flips);

/* RMASK_ERR_RANGE unless 0 <= row_begin <= row_end <= rows; then rmask_trust_rows. */
rmask_status rmask_check_readable(const rmask *mask, int32_t row_begin, int32_t row_end, rmask_error *error);

/* Reads rows one after the other, without looking up strip and exceptions anew for each. The rows are readable. */
typedef struct rmask_row_reader {
    const rmask *mask;
    rmask_exception_walk walk;
    int32_t row, exception_row; /* to read next; the next one with exceptions */
    int32_t strip_end;          /* of `boundaries`; not after `row` when they are not known yet */
    rmask_boundaries boundaries;
} rmask_row_reader;

rmask_row_reader rmask_read_rows(const rmask *mask, int32_t row);

/* The next row's columns, and how many they are. Where that is more than `capacity`, `cols` is unspecified. Entries up to `capacity` may be
 * overwritten. */
size_t rmask_read_row(rmask_row_reader *reader, int32_t *cols, size_t capacity);

/* Only the number of the next row's columns. */
size_t rmask_read_row_count(rmask_row_reader *reader);

#endif
