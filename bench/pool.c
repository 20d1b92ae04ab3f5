/* SPDX-License-Identifier: Apache-2.0
 * The three pools: a free list threaded through the blocks, a bitset of the free ones, a Roaring bitmap of the free ones. */
#include "pool.h"

#include "croaring.h"
#include "heap.h"

#include <stddef.h>
#include <string.h>

/* ---------------------------------------------------------------- free list */

/* A queue that is linked both ways, as vLLM's is: least recently released first, and a block in the middle can be taken out.
 * The entry at num_blocks is both ends of the list. */
struct list_link {
    int32_t previous, next;
};

struct list_pool {
    int32_t end;
    struct list_link links[];
};

static void *list_create(int32_t num_blocks)
{
    struct list_pool *pool = bench_alloc(sizeof *pool + ((size_t)num_blocks + 1) * sizeof *pool->links);
    pool->end = num_blocks;
    for (int32_t i = 0; i <= num_blocks; i++)
        pool->links[i] = (struct list_link){i > 0 ? i - 1 : num_blocks, i < num_blocks ? i + 1 : 0};
    return pool;
}

static void list_allocate(void *object, int32_t *blocks, int32_t count)
{
    struct list_pool *pool = object;
    int32_t first = pool->links[pool->end].next;
    for (int32_t i = 0; i < count; i++) {
        blocks[i] = first;
        first = pool->links[first].next;
    }
    pool->links[pool->end].next = first;
    pool->links[first].previous = pool->end;
}

static void list_release(void *object, const int32_t *blocks, int32_t count)
{
    struct list_pool *pool = object;
    int32_t last = pool->links[pool->end].previous;
    for (int32_t i = 0; i < count; i++) {
        pool->links[last].next = blocks[i];
        pool->links[blocks[i]].previous = last;
        last = blocks[i];
    }
    pool->links[last].next = pool->end;
    pool->links[pool->end].previous = last;
}

static const struct pool_kind list_kind = {"free list", list_create, bench_free, list_allocate, list_release};

/* ---------------------------------------------------------------- bitset */

struct bits_pool {
    size_t hint; /* no word before this one has a free block */
    uint64_t words[];
};

static void *bits_create(int32_t num_blocks)
{
    size_t num_words = ((size_t)num_blocks + 63) / 64;
    struct bits_pool *pool = bench_alloc(sizeof *pool + num_words * sizeof *pool->words);
    pool->hint = 0;
    memset(pool->words, 0xff, num_words * sizeof *pool->words);
    if (num_blocks % 64)
        pool->words[num_words - 1] = (UINT64_C(1) << num_blocks % 64) - 1;
    return pool;
}

static void bits_allocate(void *object, int32_t *blocks, int32_t count)
{
    struct bits_pool *pool = object;
    size_t at = pool->hint;
    for (int32_t i = 0; i < count;) {
        uint64_t word = pool->words[at];
        for (; word && i < count; word &= word - 1)
            blocks[i++] = (int32_t)(64 * at) + __builtin_ctzll(word);
        pool->words[at] = word;
        at += word == 0;
    }
    pool->hint = at;
}

static void bits_release(void *object, const int32_t *blocks, int32_t count)
{
    struct bits_pool *pool = object;
    for (int32_t i = 0; i < count; i++) {
        size_t at = (size_t)blocks[i] / 64;
        pool->words[at] |= UINT64_C(1) << blocks[i] % 64;
        pool->hint = at < pool->hint ? at : pool->hint;
    }
}

static const struct pool_kind bits_kind = {"bitset", bits_create, bench_free, bits_allocate, bits_release};

/* ---------------------------------------------------------------- Roaring */

#ifdef ROARMASK_HAVE_CROARING

static void *roaring_create(int32_t num_blocks)
{
    bench_croaring_hook();
    return roaring_bitmap_from_range(0, (uint64_t)num_blocks, 1);
}

static void roaring_destroy(void *pool)
{
    roaring_bitmap_free(pool);
}

static void roaring_allocate(void *pool, int32_t *blocks, int32_t count)
{
    roaring_bitmap_range_uint32_array(pool, 0, (size_t)count, (uint32_t *)blocks);
    roaring_bitmap_remove_many(pool, (size_t)count, (const uint32_t *)blocks);
}

static void roaring_release(void *pool, const int32_t *blocks, int32_t count)
{
    roaring_bitmap_add_many(pool, (size_t)count, (const uint32_t *)blocks);
}

static const struct pool_kind roaring_kind = {"roaring", roaring_create, roaring_destroy, roaring_allocate, roaring_release};

#else

static const struct pool_kind roaring_kind = {.name = "roaring"};

#endif

const struct pool_kind *const pool_kinds[3] = {&list_kind, &bits_kind, &roaring_kind};
