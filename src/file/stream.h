/* SPDX-License-Identifier: Apache-2.0
 * Reading what announces its own length: from streams, of which nobody knows how much will come, and from files. */
#ifndef ROARMASK_FILE_STREAM_H
#define ROARMASK_FILE_STREAM_H

#include "core/memory.h"

typedef rmask_vec(uint8_t) rmask_byte_vec;

/* What begins with a header that says how long it is. */
typedef struct rmask_announced {
    const char *name; /* "mask" */
    size_t header_bytes;
    /* Checks the header that `num_bytes` bytes begin with; *total gets the length of all, at least that of the header. */
    rmask_status (*measure)(const void *data, size_t num_bytes, uint64_t *total, rmask_error *error);
} rmask_announced;

/* Appends one such thing to `bytes`, or what came of it, and not a byte more. Memory grows with the bytes that come. Nothing
 * behind the header is checked. The caller frees the bytes, also after a failure. */
rmask_status rmask_read_announced(const rmask_announced *kind, rmask_reader read, void *context,
                                  const rmask_allocator *allocator, rmask_byte_vec *bytes, rmask_error *error);

/* The same for a file or pipe, which must end there. Messages name the file. */
rmask_status rmask_read_file(const rmask_announced *kind, const char *path, const rmask_allocator *allocator,
                             rmask_byte_vec *bytes, rmask_error *error);

/* Names the file in front of the message of a failure. Returns `status`. */
rmask_status rmask_name_file(rmask_error *error, const char *path, rmask_status status, const rmask_error *cause);

/* Hands bytes to a writer, and says what it could not write. */
rmask_status rmask_write_bytes(const char *name, const void *data, size_t num_bytes, rmask_writer write, void *context,
                               rmask_error *error);

#endif
