/* SPDX-License-Identifier: Apache-2.0
 * A file mapped into memory, kept for as long as a mask lies in it. */
#ifndef ROARMASK_FILE_MAPPING_H
#define ROARMASK_FILE_MAPPING_H

#include "core/mask.h"

typedef struct rmask_mapping {
    rmask_keeper keeper;
    rmask_allocator allocator;
    const uint8_t *data; /* page-aligned; NULL for an empty file */
    size_t num_bytes;
    int file; /* open until the file has settled, then -1: a process may hold more mappings than open files */
} rmask_mapping;

/* Maps a regular file for reading. The caller gets one reference to the keeper. */
rmask_status rmask_map_file(const char *path, const rmask_allocator *allocator, rmask_mapping **out, rmask_error *error);

/* Called once, when everything that is read at opening has been read. Fails when the file by now has another size than what was
 * mapped: somebody is writing to it. Closes the file; the mapping stays. */
rmask_status rmask_mapping_settled(rmask_mapping *mapping, rmask_error *error);

#endif
