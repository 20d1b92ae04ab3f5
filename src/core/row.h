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

#endif
