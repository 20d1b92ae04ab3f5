/* SPDX-License-Identifier: Apache-2.0
 * Allocation through the caller's hook, and growable arrays on top of it. */
#ifndef ROARMASK_CORE_MEMORY_H
#define ROARMASK_CORE_MEMORY_H

#include "roarmask/roarmask.h"

/* The hook itself, or malloc and free where the caller gave none. */
rmask_allocator rmask_allocator_or_default(const rmask_allocator *allocator);

/* NULL when the hook refuses or count * size overflows. Memory is not cleared. */
void *rmask_allocate(const rmask_allocator *allocator, size_t count, size_t size);

/* NULL is allowed. `count` and `size` as they were at rmask_allocate. */
void rmask_free(const rmask_allocator *allocator, void *memory, size_t count, size_t size);

/* A growable array of any element type: rmask_vec(int32_t) list = {0}. Zeroed is empty and owns nothing. */
#define rmask_vec(type) \
    struct {            \
        type *at;       \
        size_t len;     \
        size_t cap;     \
    }

typedef rmask_vec(int32_t) rmask_int32_vec;
typedef rmask_vec(uint64_t) rmask_u64_vec;

/* Makes room for `extra` more elements; false when out of memory, and the array is as before. */
#define rmask_vec_reserve(allocator, vec, extra)                                                                  \
    ((vec)->cap - (vec)->len >= (size_t)(extra) ||                                                                \
     rmask_vec_grow((allocator), (void **)&(vec)->at, (vec)->len, &(vec)->cap, (size_t)(extra), sizeof *(vec)->at))

/* Appends `value` where rmask_vec_reserve has made room. */
#define rmask_vec_put(vec, value) ((void)((vec)->at[(vec)->len++] = (value)))

/* Appends `value`; false when out of memory. */
#define rmask_vec_push(allocator, vec, value) (rmask_vec_reserve(allocator, vec, 1) && (rmask_vec_put(vec, value), true))

#define rmask_vec_free(allocator, vec) \
    (rmask_free((allocator), (vec)->at, (vec)->cap, sizeof *(vec)->at), (vec)->at = NULL, (vec)->len = (vec)->cap = 0)

bool rmask_vec_grow(const rmask_allocator *allocator, void **memory, size_t len, size_t *cap, size_t extra, size_t size);

#endif
