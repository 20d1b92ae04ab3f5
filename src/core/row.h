/* SPDX-License-Identifier: Apache-2.0
 * Rows: reading one, or the function of two. */
#ifndef ROARMASK_CORE_ROW_H
#define ROARMASK_CORE_ROW_H

#include "core/exception.h"

/* The exceptions of one row outside its strip minus those inside. */
int64_t rmask_exception_balance(const rmask *mask, int32_t row, rmask_row_containers containers);

/* A row as ranges appended to `ranges` (pairs, increasing, not touching). RMASK_ERR_NOMEM is the only failure. */
rmask_status rmask_append_ranges(const rmask *mask, int32_t row, const rmask_allocator *allocator, rmask_int32_vec *ranges);

#endif
