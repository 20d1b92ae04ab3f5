/* SPDX-License-Identifier: Apache-2.0
 * Masks in files. A file is the flat buffer of a mask and nothing else. */
#define _POSIX_C_SOURCE 200809L
#include "core/mask.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static rmask_status fail_io(rmask_error *error, const char *verb, const char *path, int reason)
{
    return rmask_fail(error, RMASK_ERR_IO, "cannot %s %.160s: %s", verb, path, strerror(reason));
}

/* ---------------------------------------------------------------- saving */

/* 0, or the errno of what failed. */
static int write_all(int file, const uint8_t *data, size_t num_bytes)
{
    while (num_bytes > 0) {
        const ssize_t written = write(file, data, num_bytes);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return errno;
        data += written;
        num_bytes -= (size_t)written;
    }
    return 0;
}

/* Opens a new file beside `path`; its name goes to `temporary`. -1 with errno. */
static int open_beside(const char *path, char *temporary, size_t size)
{
    for (unsigned attempt = 0; attempt < 100; attempt++) {
        const int length = snprintf(temporary, size, "%s.%ld-%u.tmp", path, (long)getpid(), attempt);
        if (length < 0 || (size_t)length >= size) {
            errno = ENAMETOOLONG;
            return -1;
        }
        const int file = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (file >= 0 || errno != EEXIST) return file;
    }
    return -1;
}

/* Makes the new name of a file last through a crash. Some file systems cannot flush a directory; the file itself is safe by then. */
static void flush_directory(const char *path)
{
    char directory[4096] = ".";
    const char *slash = strrchr(path, '/');
    const size_t length = slash ? (size_t)(slash - path) + 1 : 0;
    if (length >= sizeof directory) return;
    if (length) {
        memcpy(directory, path, length);
        directory[length] = 0;
    }
    const int file = open(directory, O_RDONLY | O_CLOEXEC);
    if (file < 0) return;
    fsync(file);
    close(file);
}

rmask_status rmask_save(const rmask *mask, const char *path, rmask_error *error)
{
    char temporary[4096];
    const int file = open_beside(path, temporary, sizeof temporary);
    if (file < 0) return fail_io(error, "write", path, errno);
    int reason = write_all(file, mask->data, (size_t)mask->header->num_bytes);
    if (!reason && fsync(file) != 0) reason = errno;
    if (close(file) != 0 && !reason) reason = errno;
    if (!reason && rename(temporary, path) != 0) reason = errno;
    if (reason) {
        unlink(temporary);
        return fail_io(error, "write", path, reason);
    }
    flush_directory(path);
    return RMASK_OK;
}

/* ---------------------------------------------------------------- loading */

static int read_all(int file, uint8_t *data, size_t num_bytes, size_t *num_read)
{
    *num_read = 0;
    while (*num_read < num_bytes) {
        const ssize_t got = read(file, data + *num_read, num_bytes - *num_read);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return errno;
        if (got == 0) break;
        *num_read += (size_t)got;
    }
    return 0;
}

/* Names the file in front of a message about its contents. */
static rmask_status name_file(rmask_error *error, const char *path, rmask_status status, const rmask_error *cause)
{
    return status ? rmask_fail(error, status, "%.100s: %.150s", path, cause->message) : RMASK_OK;
}

static rmask_status load_file(int file, const char *path, const rmask_allocator *allocator, rmask **out, rmask_error *error)
{
    struct stat facts;
    if (fstat(file, &facts) != 0) return fail_io(error, "read", path, errno);
    if (S_ISDIR(facts.st_mode)) return fail_io(error, "read", path, EISDIR);
    if (!S_ISREG(facts.st_mode)) return rmask_fail(error, RMASK_ERR_IO, "cannot read %.160s: it is not a regular file", path);
    const size_t size = (size_t)facts.st_size;
    uint8_t *data = rmask_allocate(allocator, size, 1);
    if (!data) return rmask_fail_nomem(error);
    size_t num_read;
    rmask_error cause;
    const int reason = read_all(file, data, size, &num_read);
    const rmask_status status = reason ? fail_io(error, "read", path, reason)
                                       : name_file(error, path, rmask_from_data(data, num_read, allocator, out, &cause), &cause);
    rmask_free(allocator, data, size, 1);
    return status;
}

rmask_status rmask_load(const char *path, const rmask_allocator *allocator, rmask **out, rmask_error *error)
{
    *out = NULL;
    const rmask_allocator chosen = rmask_allocator_or_default(allocator);
    const int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return fail_io(error, "read", path, errno);
    const rmask_status status = load_file(file, path, &chosen, out, error);
    close(file);
    return status;
}
