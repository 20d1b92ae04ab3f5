/* SPDX-License-Identifier: Apache-2.0
 * Reading what announces its own length. */
#define _POSIX_C_SOURCE 200809L
#include "file/stream.h"

#include "core/status.h"
#include "file/replace.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---------------------------------------------------------------- streams */

/* Nobody knows how many bytes a stream holds until they have come: memory grows with them, whatever the header announces. What
 * lies in a file is there already. */
enum { FIRST_STREAM_BYTES = 1 << 20 };

typedef struct stream {
    const char *name;
    rmask_reader read;
    void *context;
    const rmask_allocator *allocator;
    rmask_byte_vec *bytes;
    uint64_t file_bytes; /* 0 where it is no file */
} stream;

/* Reads up to `num_bytes` more; fewer when the stream ends. */
static rmask_status read_some(const stream *from, uint64_t num_bytes, rmask_error *error)
{
    rmask_byte_vec *bytes = from->bytes;
    while (num_bytes > 0) {
        if (bytes->len == bytes->cap) {
            uint64_t step = bytes->len < FIRST_STREAM_BYTES ? FIRST_STREAM_BYTES : bytes->len;
            if (step < from->file_bytes) step = from->file_bytes;
            if (step > num_bytes) step = num_bytes;
            if (step > PTRDIFF_MAX || !rmask_vec_reserve(from->allocator, bytes, (size_t)step)) return rmask_fail_nomem(error);
        }
        const size_t room = bytes->cap - bytes->len;
        size_t got = 0;
        const int reason = from->read(from->context, bytes->at + bytes->len, room < num_bytes ? room : (size_t)num_bytes, &got);
        if (reason) return rmask_fail_io(error, "read the", from->name, reason);
        if (got == 0) break;
        bytes->len += got;
        num_bytes -= got;
    }
    return RMASK_OK;
}

static rmask_status read_announced(const rmask_announced *kind, const stream *from, rmask_error *error)
{
    const size_t begin = from->bytes->len;
    uint64_t total;
    RMASK_TRY(read_some(from, kind->header_bytes, error));
    RMASK_TRY(kind->measure(from->bytes->at + begin, from->bytes->len - begin, &total, error));
    return read_some(from, total - kind->header_bytes, error);
}

rmask_status rmask_read_announced(const rmask_announced *kind, rmask_reader read, void *context,
                                  const rmask_allocator *allocator, rmask_byte_vec *bytes, rmask_error *error)
{
    return read_announced(kind, &(stream){kind->name, read, context, allocator, bytes, 0}, error);
}

rmask_status rmask_write_bytes(const char *name, const void *data, size_t num_bytes, rmask_writer write, void *context,
                               rmask_error *error)
{
    const int reason = write(context, data, num_bytes);
    return reason ? rmask_fail_io(error, "write the", name, reason) : RMASK_OK;
}

/* ---------------------------------------------------------------- files */

rmask_status rmask_name_file(rmask_error *error, const char *path, rmask_status status, const rmask_error *cause)
{
    if (!status) return RMASK_OK;
    rmask_fail(error, status, "%.100s: %.150s", path, cause->message);
    if (error) error->position = cause->position;
    return status;
}

static int read_descriptor(void *context, void *buffer, size_t num_bytes, size_t *num_read)
{
    ssize_t got;
    do
        got = read(*(const int *)context, buffer, num_bytes);
    while (got < 0 && errno == EINTR);
    if (got < 0) return errno;
    *num_read = (size_t)got;
    return 0;
}

/* Refuses what stands behind the end. */
static rmask_status expect_end(const char *name, int file, size_t num_bytes, rmask_error *error)
{
    char more;
    size_t got = 0;
    const int reason = read_descriptor(&file, &more, 1, &got);
    if (reason) return rmask_fail_io(error, "read the end of the", name, reason);
    if (!got) return RMASK_OK;
    return rmask_fail(error, RMASK_ERR_FORMAT, "not a valid %s: the file goes on behind its end at byte %zu", name, num_bytes);
}

rmask_status rmask_read_file(const rmask_announced *kind, const char *path, const rmask_allocator *allocator,
                             rmask_byte_vec *bytes, rmask_error *error)
{
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return rmask_fail_io(error, "read", path, errno);
    rmask_error cause;
    struct stat facts;
    stream from = {kind->name, read_descriptor, &file, allocator, bytes, 0};
    if (fstat(file, &facts) == 0 && S_ISREG(facts.st_mode)) from.file_bytes = (uint64_t)facts.st_size;
    rmask_status status = read_announced(kind, &from, &cause);
    if (!status) status = expect_end(kind->name, file, bytes->len, &cause);
    close(file);
    return rmask_name_file(error, path, status, &cause);
}
