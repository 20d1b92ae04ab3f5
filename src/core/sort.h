/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ROARMASK_CORE_SORT_H
#define ROARMASK_CORE_SORT_H

#include "core/memory.h"

/* Sorts 64-bit keys in ascending order: least significant byte first, bytes that are the same in all keys skipped. Linear time;
 * allocates as much as the keys take. False when out of memory. */
bool rmask_sort_u64(const rmask_allocator *allocator, uint64_t *keys, size_t n);

#endif
