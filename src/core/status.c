/* SPDX-License-Identifier: Apache-2.0
 * Statuses, messages and the checks that every entry shares. */
#include "core/status.h"

#include <stdarg.h>
#include <stdio.h>

const char *rmask_version(void) { return RMASK_VERSION_STRING; }

const char *rmask_status_name(rmask_status status)
{
    switch (status) {
    case RMASK_OK: return "ok";
    case RMASK_ERR_NOMEM: return "out of memory";
    case RMASK_ERR_ARGUMENT: return "bad argument";
    case RMASK_ERR_RANGE: return "out of range";
    case RMASK_ERR_SYNTAX: return "syntax error";
    case RMASK_ERR_FORMAT: return "not a valid mask";
    case RMASK_ERR_IO: return "input or output failed";
    case RMASK_ERR_CAPACITY: return "buffer too small";
    case RMASK_ERR_LIMIT: return "beyond the limits of the format";
    case RMASK_ERR_STOPPED: return "stopped by the caller";
    }
    return "unknown status";
}

static rmask_status fail_with(rmask_error *error, rmask_status status, size_t position, const char *format, va_list arguments)
{
    if (error) {
        vsnprintf(error->message, sizeof error->message, format, arguments);
        /* A path that is quoted may hold anything; a message is one line that a terminal can show. */
        for (char *c = error->message; *c; c++)
            if ((unsigned char)*c < ' ' || *c == 0x7f) *c = '?';
        error->position = position;
    }
    return status;
}

rmask_status rmask_fail(rmask_error *error, rmask_status status, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fail_with(error, status, 0, format, arguments);
    va_end(arguments);
    return status;
}

rmask_status rmask_fail_at(rmask_error *error, size_t position, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fail_with(error, RMASK_ERR_SYNTAX, position, format, arguments);
    va_end(arguments);
    return RMASK_ERR_SYNTAX;
}

rmask_status rmask_fail_nomem(rmask_error *error) { return rmask_fail(error, RMASK_ERR_NOMEM, "out of memory"); }

rmask_status rmask_check_grid(int32_t rows, int32_t cols, rmask_error *error)
{
    if (rows >= 0 && cols >= 0) return RMASK_OK;
    return rmask_fail(error, RMASK_ERR_RANGE, "a grid of %d x %d is out of range: rows and columns go from 0 to %d", (int)rows,
                      (int)cols, (int)RMASK_MAX_SIDE);
}

rmask_status rmask_check_row(int32_t row, int32_t rows, rmask_error *error)
{
    if (row >= 0 && row < rows) return RMASK_OK;
    if (rows == 0) return rmask_fail(error, RMASK_ERR_RANGE, "row %d is out of range: the grid has no rows", (int)row);
    return rmask_fail(error, RMASK_ERR_RANGE, "row %d is out of range: rows go from 0 to %d", (int)row, (int)rows - 1);
}
