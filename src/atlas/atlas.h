/* SPDX-License-Identifier: Apache-2.0
 * What an atlas is in memory: this struct, a flat buffer in a keeper, and a mask over each mask's part of it. */
#ifndef ROARMASK_ATLAS_ATLAS_H
#define ROARMASK_ATLAS_ATLAS_H

#include "atlas/format.h"
#include "core/mask.h"
#include "file/stream.h"

struct rmask_atlas {
    _Atomic size_t references;
    rmask_allocator allocator;
    rmask_keeper *keeper;
    const uint8_t *data;
    const rmask_atlas_header *header;
    const uint64_t *offsets;
    const uint32_t *table;
    const char *note;
    uint32_t num_masks; /* as in the header */
    rmask *masks[];     /* NULL until rmask_atlas_put_masks has come to it */
};

/* A keeper of one reference for bytes, which it takes over and empties the array of. NULL when out of memory, and then it
 * does not. */
rmask_keeper *rmask_keep_bytes(rmask_byte_vec *bytes, const rmask_allocator *allocator);

/* An atlas of one reference over a flat buffer, 8-byte aligned, that lies in `keeper`, which gets one reference more. Header
 * and tables are sound; the masks are not filled in. NULL when out of memory. */
rmask_atlas *rmask_atlas_new(const uint8_t *data, rmask_keeper *keeper, const rmask_allocator *allocator);

/* Lays a mask over each mask's part of the buffer. False when out of memory. */
bool rmask_atlas_put_masks(rmask_atlas *atlas);

static inline size_t rmask_atlas_num_entries(const rmask_atlas *atlas)
{
    return (size_t)atlas->header->layers * atlas->header->heads;
}

/* The mask of an entry, or NULL. */
static inline const rmask *rmask_atlas_entry(const rmask_atlas *atlas, size_t entry)
{
    return atlas->table[entry] == RMASK_ATLAS_DENSE ? NULL : atlas->masks[atlas->table[entry]];
}

/* Whether every cell of its grid is in a mask, which is then none for an atlas. */
static inline bool rmask_is_full(const rmask_header *header) { return header->count == (uint64_t)header->rows * header->cols; }

/* ---------------------------------------------------------------- checks */

/* Checks that `num_bytes` bytes, perhaps not all that will come, begin with the header of an atlas, and copies it. */
rmask_status rmask_atlas_peek_header(const void *data, size_t num_bytes, rmask_atlas_header *header, rmask_error *error);

/* Checks header and tables of an atlas that takes exactly `num_bytes` bytes, and each mask's header. */
rmask_status rmask_atlas_check_head(const void *data, size_t num_bytes, rmask_error *error);

/* Checks the index of each mask. */
rmask_status rmask_atlas_check_masks(const rmask_atlas *atlas, rmask_error *error);

/* Whether a note may stand in an atlas: RMASK_ERR_ARGUMENT if not. */
rmask_status rmask_atlas_check_note(const char *note, rmask_error *error);

#endif
