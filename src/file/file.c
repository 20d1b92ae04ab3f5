/* SPDX-License-Identifier: Apache-2.0
 * Masks in files, streams and memory. Everywhere it is the flat buffer of a mask and nothing else. */
#define _POSIX_C_SOURCE 200809L
#include "core/check.h"
#include "file/mapping.h"
#include "file/replace.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---------------------------------------------------------------- out */

rmask_status rmask_save(const rmask *mask, const char *path, rmask_error *error)
{
    rmask_bytes bytes;
    bytes.data = rmask_data(mask, &bytes.num_bytes);
    return bytes.data ? rmask_replace_file(path, &bytes, 1, error) : rmask_fail_nomem(error);
}

rmask_status rmask_write(const rmask *mask, rmask_writer write, void *context, rmask_error *error)
{
    size_t num_bytes;
    const void *data = rmask_data(mask, &num_bytes);
    if (!data) return rmask_fail_nomem(error);
    const int reason = write(context, data, num_bytes);
    return reason ? rmask_fail(error, RMASK_ERR_IO, "cannot write the mask: %s", strerror(reason)) : RMASK_OK;
}

/* ---------------------------------------------------------------- memory */

/* Checks all of a mask whose header is checked and whose sections are filled in. On failure it is released. */
static rmask_status check_filled(rmask *mask, rmask **out, rmask_error *error)
{
    rmask_status status = rmask_check_index(mask, error);
    if (!status) status = rmask_check_contents(mask, error);
    if (status)
        rmask_release(mask);
    else
        *out = mask;
    return status;
}

rmask_status rmask_from_data(const void *data, size_t num_bytes, const rmask_allocator *allocator, rmask **out, rmask_error *error)
{
    *out = NULL;
    rmask_header header;
    RMASK_TRY(rmask_check_header(data, num_bytes, &header, error));
    const rmask_allocator chosen = rmask_allocator_or_default(allocator);
    rmask *mask = rmask_new(&header, &chosen);
    if (!mask) return rmask_fail_nomem(error);
    memcpy(mask->data, data, num_bytes);
    return check_filled(mask, out, error);
}

/* ---------------------------------------------------------------- streams */

/* Nobody knows how many bytes a stream holds until they have come: memory grows with them, whatever the header announces. */
enum { FIRST_STREAM_BYTES = 1 << 20 };

typedef struct stream {
    rmask_reader read;
    void *context;
    rmask_allocator allocator;
    rmask_vec(uint8_t) bytes;
} stream;

/* Reads up to `num_bytes` more; fewer when the stream ends. */
static rmask_status read_some(stream *from, size_t num_bytes, rmask_error *error)
{
    while (num_bytes > 0) {
        if (from->bytes.len == from->bytes.cap) {
            size_t more = from->bytes.len < FIRST_STREAM_BYTES ? FIRST_STREAM_BYTES : from->bytes.len;
            if (more > num_bytes) more = num_bytes;
            if (!rmask_vec_reserve(&from->allocator, &from->bytes, more)) return rmask_fail_nomem(error);
        }
        const size_t room = from->bytes.cap - from->bytes.len;
        size_t got = 0;
        const int reason = from->read(from->context, from->bytes.at + from->bytes.len, room < num_bytes ? room : num_bytes, &got);
        if (reason) return rmask_fail(error, RMASK_ERR_IO, "cannot read the mask: %s", strerror(reason));
        if (got == 0) break;
        from->bytes.len += got;
        num_bytes -= got;
    }
    return RMASK_OK;
}

static rmask_status read_mask(stream *from, rmask **out, rmask_error *error)
{
    rmask_header header;
    RMASK_TRY(read_some(from, sizeof header, error));
    RMASK_TRY(rmask_peek_header(from->bytes.at, from->bytes.len, &header, error));
    RMASK_TRY(read_some(from, (size_t)header.num_bytes - sizeof header, error));
    return rmask_from_data(from->bytes.at, from->bytes.len, &from->allocator, out, error);
}

rmask_status rmask_read(rmask_reader read, void *context, const rmask_allocator *allocator, rmask **out, rmask_error *error)
{
    *out = NULL;
    stream from = {.read = read, .context = context, .allocator = rmask_allocator_or_default(allocator)};
    const rmask_status status = read_mask(&from, out, error);
    rmask_vec_free(&from.allocator, &from.bytes);
    return status;
}

/* ---------------------------------------------------------------- files */

static int read_file(void *context, void *buffer, size_t num_bytes, size_t *num_read)
{
    ssize_t got;
    do
        got = read(*(const int *)context, buffer, num_bytes);
    while (got < 0 && errno == EINTR);
    if (got < 0) return errno;
    *num_read = (size_t)got;
    return 0;
}

/* Refuses what stands behind the mask. */
static rmask_status expect_end(int file, rmask_error *error)
{
    char more;
    size_t got = 0;
    const int reason = read_file(&file, &more, 1, &got);
    if (reason) return rmask_fail(error, RMASK_ERR_IO, "%s", strerror(reason));
    return got ? rmask_fail(error, RMASK_ERR_FORMAT, "not a valid mask: the file goes on behind it") : RMASK_OK;
}

rmask_status rmask_load(const char *path, const rmask_allocator *allocator, rmask **out, rmask_error *error)
{
    *out = NULL;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return rmask_fail_io(error, "read", path, errno);
    rmask_error cause;
    rmask_status status = rmask_read(read_file, &file, allocator, out, &cause);
    if (!status) status = expect_end(file, &cause);
    close(file);
    if (!status) return RMASK_OK;
    rmask_release(*out);
    *out = NULL;
    return rmask_name_file(error, path, status, &cause);
}

static rmask_status open_mapping(rmask_mapping *mapping, rmask **out, rmask_error *error)
{
    rmask_header header;
    RMASK_TRY(rmask_check_header(mapping->data, mapping->num_bytes, &header, error));
    rmask *mask = rmask_new_view(mapping->data, &mapping->keeper, &mapping->allocator);
    if (!mask) return rmask_fail_nomem(error);
    rmask_status status = rmask_check_index(mask, error);
    if (!status) status = rmask_mapping_settled(mapping, error);
    if (status)
        rmask_release(mask);
    else
        *out = mask;
    return status;
}

rmask_status rmask_open(const char *path, const rmask_allocator *allocator, rmask **out, rmask_error *error)
{
    *out = NULL;
    const rmask_allocator chosen = rmask_allocator_or_default(allocator);
    rmask_mapping *mapping;
    RMASK_TRY(rmask_map_file(path, &chosen, &mapping, error));
    rmask_error cause;
    const rmask_status status = open_mapping(mapping, out, &cause);
    rmask_let_go(&mapping->keeper);
    return rmask_name_file(error, path, status, &cause);
}
