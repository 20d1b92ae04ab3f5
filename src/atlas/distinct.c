/* SPDX-License-Identifier: Apache-2.0
 * Telling equal masks: by pointer, then by a fingerprint of their cells, and where that agrees by comparing them. */
#include "atlas/distinct.h"

#include "core/status.h"

enum { FINGERPRINT_SIDE = 8 };

/* Depends on the cells only. Masks with as many cells, such as random ones of one density, differ in where the cells lie. */
static rmask_status take_fingerprint(const rmask *mask, uint64_t *fingerprint, rmask_error *error)
{
    uint64_t counts[FINGERPRINT_SIDE * FINGERPRINT_SIDE];
    RMASK_TRY(rmask_raster(mask, 0, rmask_rows(mask), 0, rmask_cols(mask), FINGERPRINT_SIDE, FINGERPRINT_SIDE, counts, error));
    uint64_t mixed = 0;
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        mixed = (mixed ^ counts[i]) * UINT64_C(0x9e3779b97f4a7c15);
        mixed ^= mixed >> 29;
    }
    *fingerprint = mixed;
    return RMASK_OK;
}

static rmask_status find_equal(rmask_distinct *distinct, const rmask *mask, uint32_t *index, rmask_error *error)
{
    uint64_t fingerprint;
    RMASK_TRY(take_fingerprint(mask, &fingerprint, error));
    for (size_t probe = 0; (*index = rmask_lookup_next(&distinct->by_fingerprint, fingerprint, &probe)) != RMASK_ABSENT;) {
        bool equal;
        RMASK_TRY(rmask_equal(distinct->masks.at[*index], mask, &equal, error));
        if (equal) return RMASK_OK;
    }
    *index = (uint32_t)distinct->masks.len;
    if (!rmask_lookup_put(&distinct->allocator, &distinct->by_fingerprint, fingerprint, *index) ||
        !rmask_vec_push(&distinct->allocator, &distinct->masks, mask))
        return rmask_fail_nomem(error);
    return RMASK_OK;
}

rmask_status rmask_distinct_add(rmask_distinct *distinct, const rmask *mask, uint32_t *index, rmask_error *error)
{
    size_t probe = 0;
    *index = rmask_lookup_next(&distinct->by_pointer, (uintptr_t)mask, &probe);
    if (*index != RMASK_ABSENT) return RMASK_OK;
    RMASK_TRY(find_equal(distinct, mask, index, error));
    const bool put = rmask_lookup_put(&distinct->allocator, &distinct->by_pointer, (uintptr_t)mask, *index);
    return put ? RMASK_OK : rmask_fail_nomem(error);
}

void rmask_distinct_free(rmask_distinct *distinct)
{
    rmask_vec_free(&distinct->allocator, &distinct->masks);
    rmask_lookup_free(&distinct->allocator, &distinct->by_pointer);
    rmask_lookup_free(&distinct->allocator, &distinct->by_fingerprint);
}
