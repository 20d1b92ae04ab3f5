/* SPDX-License-Identifier: Apache-2.0
 * A pool of the blocks 0 .. num_blocks - 1, all free at first, in three kinds. */
#ifndef ROARMASK_BENCH_POOL_H
#define ROARMASK_BENCH_POOL_H

#include <stdint.h>

struct pool_kind {
    const char *name;
    void *(*create)(int32_t num_blocks); /* NULL where this build lacks what it takes */
    void (*destroy)(void *pool);
    /* The pool never has fewer than `count` free blocks. */
    void (*allocate)(void *pool, int32_t *blocks, int32_t count);
    void (*release)(void *pool, const int32_t *blocks, int32_t count);
};

/* The free list first. */
extern const struct pool_kind *const pool_kinds[3];

#endif
