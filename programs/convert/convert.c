/* SPDX-License-Identifier: Apache-2.0
 *
 * What the readers and writers share. */
#include "convert/convert.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

rmask_status convert_fail(rmask_error *error, rmask_status status, const char *format, ...)
{
    if (error == NULL)
        return status;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(error->message, sizeof error->message, format, arguments);
    va_end(arguments);
    error->position = 0;
    return status;
}

rmask_status convert_fail_nomem(rmask_error *error) { return convert_fail(error, RMASK_ERR_NOMEM, "out of memory"); }

rmask_status convert_written(int reason, rmask_error *error)
{
    return reason == 0 ? RMASK_OK : convert_fail(error, RMASK_ERR_IO, "cannot write the file: %s", strerror(reason));
}

void convert_report(const convert_progress *progress, uint64_t done, uint64_t total)
{
    if (progress != NULL)
        progress->report(progress->context, done, total);
}
