/* SPDX-License-Identifier: Apache-2.0
 * Putting a file in the place of another, whole or not at all. */
#define _POSIX_C_SOURCE 200809L
#include "file/replace.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

rmask_status rmask_fail_io(rmask_error *error, const char *verb, const char *path, int reason)
{
    rmask_fail(error, RMASK_ERR_IO, "cannot %s %.160s: %s", verb, path, strerror(reason));
    if (error) error->position = (size_t)reason;
    return RMASK_ERR_IO;
}

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

/* Makes the new name of a file last through a crash. Some file systems cannot flush a directory; the file itself is safe by
 * then. */
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

rmask_status rmask_replace_file(const char *path, const rmask_bytes *parts, size_t num_parts, rmask_error *error)
{
    struct stat facts;
    if (stat(path, &facts) == 0 && !S_ISREG(facts.st_mode) && !S_ISDIR(facts.st_mode))
        return rmask_fail(error, RMASK_ERR_IO,
                          "cannot replace %.120s: it is not a regular file; write to it as a stream instead", path);
    char temporary[4096];
    const int file = open_beside(path, temporary, sizeof temporary);
    if (file < 0) return rmask_fail_io(error, "write", path, errno);
    int reason = 0;
    for (size_t i = 0; i < num_parts && !reason; i++) reason = write_all(file, parts[i].data, parts[i].num_bytes);
    if (!reason && fsync(file) != 0) reason = errno;
    if (close(file) != 0 && !reason) reason = errno;
    if (!reason && rename(temporary, path) != 0) reason = errno;
    if (reason) {
        unlink(temporary);
        return rmask_fail_io(error, "write", path, reason);
    }
    flush_directory(path);
    return RMASK_OK;
}
