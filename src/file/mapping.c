/* SPDX-License-Identifier: Apache-2.0
 * A file mapped into memory, kept for as long as a mask lies in it. */
#define _POSIX_C_SOURCE 200809L
#include "file/mapping.h"

#include "file/replace.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static void unmap(rmask_keeper *keeper)
{
    rmask_mapping *mapping = (rmask_mapping *)keeper;
    if (mapping->data) munmap((void *)(uintptr_t)mapping->data, mapping->num_bytes);
    if (mapping->file >= 0) close(mapping->file);
    const rmask_allocator allocator = mapping->allocator;
    rmask_free(&allocator, mapping, 1, sizeof *mapping);
}

static rmask_status map(rmask_mapping *mapping, const char *path, rmask_error *error)
{
    struct stat facts;
    if (fstat(mapping->file, &facts) != 0) return rmask_fail_io(error, "open", path, errno);
    if (S_ISDIR(facts.st_mode)) return rmask_fail_io(error, "open", path, EISDIR);
    if (!S_ISREG(facts.st_mode))
        return rmask_fail(error, RMASK_ERR_IO, "cannot map %.120s: it is not a regular file; load it instead", path);
    if ((uint64_t)facts.st_size > PTRDIFF_MAX) return rmask_fail_io(error, "open", path, EFBIG);
    if (facts.st_size == 0) return RMASK_OK;
    void *data = mmap(NULL, (size_t)facts.st_size, PROT_READ, MAP_PRIVATE, mapping->file, 0);
    if (data == MAP_FAILED) return rmask_fail_io(error, "map", path, errno);
    mapping->data = data;
    mapping->num_bytes = (size_t)facts.st_size;
    return RMASK_OK;
}

rmask_status rmask_map_file(const char *path, const rmask_allocator *allocator, rmask_mapping **out, rmask_error *error)
{
    *out = NULL;
    rmask_mapping *mapping = rmask_allocate(allocator, 1, sizeof *mapping);
    if (!mapping) return rmask_fail_nomem(error);
    *mapping = (rmask_mapping){.keeper = {.let_go = unmap}, .allocator = *allocator};
    atomic_init(&mapping->keeper.references, 1);
    mapping->file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe without a writer must not hold us up */
    if (mapping->file < 0) {
        const int reason = errno;
        rmask_free(allocator, mapping, 1, sizeof *mapping);
        return rmask_fail_io(error, "open", path, reason);
    }
    const rmask_status status = map(mapping, path, error);
    if (status)
        rmask_let_go(&mapping->keeper);
    else
        *out = mapping;
    return status;
}

rmask_status rmask_mapping_settled(rmask_mapping *mapping, rmask_error *error)
{
    struct stat facts = {.st_size = -1};
    const bool same = fstat(mapping->file, &facts) == 0 && (uint64_t)facts.st_size == mapping->num_bytes;
    close(mapping->file);
    mapping->file = -1;
    if (same) return RMASK_OK;
    return rmask_fail(error, RMASK_ERR_FORMAT, "the file is being written to: it had %zu bytes and now has %lld",
                      mapping->num_bytes, (long long)facts.st_size);
}
