/* SPDX-License-Identifier: Apache-2.0
 * Allocation through the caller's hook, and growable arrays on top of it. */
#include "core/memory.h"

#include <stdlib.h>
#include <string.h>

static void *libc_allocate(void *context, size_t num_bytes)
{
    (void)context;
    return malloc(num_bytes);
}

static void libc_release(void *context, void *memory, size_t num_bytes)
{
    (void)context;
    (void)num_bytes;
    free(memory);
}

rmask_allocator rmask_allocator_or_default(const rmask_allocator *allocator)
{
    return allocator ? *allocator : (rmask_allocator){libc_allocate, libc_release, NULL};
}

void *rmask_allocate(const rmask_allocator *allocator, size_t count, size_t size)
{
    if (count > PTRDIFF_MAX / size) return NULL;
    return allocator->allocate(allocator->context, count ? count * size : 1);
}

void rmask_free(const rmask_allocator *allocator, void *memory, size_t count, size_t size)
{
    if (memory) allocator->release(allocator->context, memory, count ? count * size : 1);
}

bool rmask_vec_grow(const rmask_allocator *allocator, void **memory, size_t len, size_t *cap, size_t extra, size_t size)
{
    if (extra > PTRDIFF_MAX / size - len) return false;
    size_t wanted = len + extra;
    if (wanted < *cap + *cap / 2) wanted = *cap + *cap / 2;
    if (wanted < 8) wanted = 8;
    void *bigger = rmask_allocate(allocator, wanted, size);
    if (!bigger) return false;
    if (len) memcpy(bigger, *memory, len * size);
    rmask_free(allocator, *memory, *cap, size);
    *memory = bigger;
    *cap = wanted;
    return true;
}
