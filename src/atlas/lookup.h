/* SPDX-License-Identifier: Apache-2.0
 * A hash table from 64-bit keys to indices. Several indices may have the same key. */
#ifndef ROARMASK_ATLAS_LOOKUP_H
#define ROARMASK_ATLAS_LOOKUP_H

#include "core/memory.h"

/* No index. */
#define RMASK_ABSENT UINT32_MAX

typedef struct rmask_slot {
    uint64_t key;
    uint32_t index; /* RMASK_ABSENT in a free slot */
} rmask_slot;

/* Zeroed is empty and owns nothing. */
typedef struct rmask_lookup {
    rmask_slot *slots;
    size_t capacity, len; /* capacity: a power of two, or 0 */
} rmask_lookup;

/* False when out of memory, and the table is as before. */
bool rmask_lookup_put(const rmask_allocator *allocator, rmask_lookup *lookup, uint64_t key, uint32_t index);

/* The indices of a key, one a call, with *probe 0 before the first; RMASK_ABSENT after the last. */
uint32_t rmask_lookup_next(const rmask_lookup *lookup, uint64_t key, size_t *probe);

void rmask_lookup_free(const rmask_allocator *allocator, rmask_lookup *lookup);

#endif
