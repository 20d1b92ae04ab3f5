/* SPDX-License-Identifier: Apache-2.0
 * Open addressing, at most half full. */
#include "atlas/lookup.h"

static rmask_slot *slot_at(const rmask_lookup *lookup, uint64_t key, size_t probe)
{
    const uint64_t mixed = (key ^ key >> 32) * UINT64_C(0x9e3779b97f4a7c15);
    return &lookup->slots[((size_t)(mixed >> 32) + probe) & (lookup->capacity - 1)];
}

static void put(rmask_lookup *lookup, uint64_t key, uint32_t index)
{
    size_t probe = 0;
    while (slot_at(lookup, key, probe)->index != RMASK_ABSENT) probe++;
    *slot_at(lookup, key, probe) = (rmask_slot){key, index};
    lookup->len++;
}

static bool grow(const rmask_allocator *allocator, rmask_lookup *lookup)
{
    rmask_lookup bigger = {.capacity = lookup->capacity ? 2 * lookup->capacity : 16};
    bigger.slots = rmask_allocate(allocator, bigger.capacity, sizeof *bigger.slots);
    if (!bigger.slots) return false;
    for (size_t i = 0; i < bigger.capacity; i++) bigger.slots[i].index = RMASK_ABSENT;
    for (size_t i = 0; i < lookup->capacity; i++)
        if (lookup->slots[i].index != RMASK_ABSENT) put(&bigger, lookup->slots[i].key, lookup->slots[i].index);
    rmask_lookup_free(allocator, lookup);
    *lookup = bigger;
    return true;
}

bool rmask_lookup_put(const rmask_allocator *allocator, rmask_lookup *lookup, uint64_t key, uint32_t index)
{
    if (2 * (lookup->len + 1) > lookup->capacity && !grow(allocator, lookup)) return false;
    put(lookup, key, index);
    return true;
}

uint32_t rmask_lookup_next(const rmask_lookup *lookup, uint64_t key, size_t *probe)
{
    if (lookup->capacity == 0) return RMASK_ABSENT;
    for (;;) {
        const rmask_slot *slot = slot_at(lookup, key, *probe);
        if (slot->index == RMASK_ABSENT) return RMASK_ABSENT;
        (*probe)++;
        if (slot->key == key) return slot->index;
    }
}

void rmask_lookup_free(const rmask_allocator *allocator, rmask_lookup *lookup)
{
    rmask_free(allocator, lookup->slots, lookup->capacity, sizeof *lookup->slots);
    *lookup = (rmask_lookup){0};
}
