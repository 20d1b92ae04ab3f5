/* SPDX-License-Identifier: Apache-2.0
 * Putting a file in the place of another, whole or not at all. */
#ifndef ROARMASK_FILE_REPLACE_H
#define ROARMASK_FILE_REPLACE_H

#include "core/status.h"

/* Bytes of a file. */
typedef struct rmask_bytes {
    const void *data;
    size_t num_bytes;
} rmask_bytes;

/* Writes the parts, one behind the other, to a temporary file beside `path`, flushes it to the disk and renames it over `path`.
 * Killed at any moment, the old file or the new one is there; the temporary one may be left behind. A symbolic link is replaced
 * itself; a pipe or a device is refused. */
rmask_status rmask_replace_file(const char *path, const rmask_bytes *parts, size_t num_parts, rmask_error *error);

/* RMASK_ERR_IO with "cannot <verb> <path>: <what errno `reason` means>". */
rmask_status rmask_fail_io(rmask_error *error, const char *verb, const char *path, int reason);

#endif
