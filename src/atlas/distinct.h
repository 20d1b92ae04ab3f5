/* SPDX-License-Identifier: Apache-2.0
 * Telling equal masks: a list of masks in which no two have the same cells. */
#ifndef ROARMASK_ATLAS_DISTINCT_H
#define ROARMASK_ATLAS_DISTINCT_H

#include "atlas/lookup.h"

/* Zeroed but for the allocator is empty and owns nothing. The masks are borrowed. */
typedef struct rmask_distinct {
    rmask_allocator allocator;
    rmask_vec(const rmask *) masks;
    rmask_lookup by_pointer, by_fingerprint; /* what was asked for, and what is in the list */
} rmask_distinct;

/* The index of the mask with the cells of `mask`, which goes to the end of the list where there is none yet. All masks have
 * one grid. */
rmask_status rmask_distinct_add(rmask_distinct *distinct, const rmask *mask, uint32_t *index, rmask_error *error);

void rmask_distinct_free(rmask_distinct *distinct);

#endif
