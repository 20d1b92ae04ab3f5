/* SPDX-License-Identifier: Apache-2.0
 * Failing with a message, and passing failures on. */
#ifndef ROARMASK_CORE_STATUS_H
#define ROARMASK_CORE_STATUS_H

#include "roarmask/roarmask.h"

#if defined(__GNUC__)
#define RMASK_PRINTF(format_index, first_argument) __attribute__((format(printf, format_index, first_argument)))
#else
#define RMASK_PRINTF(format_index, first_argument)
#endif

/* Fills `error` (may be NULL) with one line and returns `status`. */
rmask_status rmask_fail(rmask_error *error, rmask_status status, const char *format, ...) RMASK_PRINTF(3, 4);

/* As rmask_fail, for RMASK_ERR_SYNTAX at a byte offset of an expression. */
rmask_status rmask_fail_at(rmask_error *error, size_t position, const char *format, ...) RMASK_PRINTF(3, 4);

/* RMASK_ERR_NOMEM with its message. */
rmask_status rmask_fail_nomem(rmask_error *error);

/* Returns from the calling function when `expression` is not RMASK_OK. */
#define RMASK_TRY(expression)                         \
    do {                                              \
        rmask_status try_status_ = (expression);      \
        if (try_status_ != RMASK_OK) return try_status_; \
    } while (0)

/* Checks both sides of a grid: 0 to RMASK_MAX_SIDE. */
rmask_status rmask_check_grid(int32_t rows, int32_t cols, rmask_error *error);

/* Checks 0 <= row < rows. */
rmask_status rmask_check_row(int32_t row, int32_t rows, rmask_error *error);

#endif
