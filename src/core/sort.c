/* SPDX-License-Identifier: Apache-2.0
 * Radix sort. */
#include "core/sort.h"

#include <string.h>

static bool is_sorted(const uint64_t *keys, size_t n)
{
    for (size_t i = 1; i < n; i++)
        if (keys[i - 1] > keys[i]) return false;
    return true;
}

bool rmask_sort_u64(const rmask_allocator *allocator, uint64_t *keys, size_t n)
{
    if (is_sorted(keys, n)) return true;
    uint64_t *const scratch = rmask_allocate(allocator, n, sizeof *keys);
    if (!scratch) return false;
    uint64_t *from = keys, *to = scratch, varying = 0;
    for (size_t i = 0; i < n; i++) varying |= keys[i] ^ keys[0];
    for (unsigned shift = 0; shift < 64; shift += 8) {
        if (!(varying >> shift & 0xff)) continue;
        size_t starts[257] = {0};
        for (size_t i = 0; i < n; i++) starts[(from[i] >> shift & 0xff) + 1]++;
        for (unsigned digit = 0; digit < 256; digit++) starts[digit + 1] += starts[digit];
        for (size_t i = 0; i < n; i++) to[starts[from[i] >> shift & 0xff]++] = from[i];
        uint64_t *const swap = from;
        from = to;
        to = swap;
    }
    if (from != keys) memcpy(keys, from, n * sizeof *keys);
    rmask_free(allocator, scratch, n, sizeof *keys);
    return true;
}
