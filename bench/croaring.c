/* SPDX-License-Identifier: Apache-2.0
 * CRoaring on the counting allocator. */
#include "croaring.h"

#include "heap.h"
#include "method.h"

const char *bench_croaring_missing(int32_t rows, int32_t cols)
{
    (void)rows;
    (void)cols;
    return "this build has no CRoaring";
}

#ifndef ROARMASK_HAVE_CROARING

const char *bench_croaring_version(void)
{
    return NULL;
}

#else

const char *bench_croaring_version(void)
{
    return ROARING_VERSION;
}

void bench_croaring_hook(void)
{
    roaring_init_memory_hook((roaring_memory_t){
        .malloc = bench_alloc,
        .realloc = bench_realloc,
        .calloc = bench_alloc_zeroed,
        .free = bench_free,
        .aligned_malloc = bench_alloc_aligned,
        .aligned_free = bench_free,
    });
}

void bench_croaring_add(roaring_bitmap_t *bitmap, uint32_t base, const int32_t *cols, size_t count, uint32_t *scratch)
{
    enum { LONG_RUN = 32 }; /* below it a range costs more than its values in bulk */
    size_t pending = 0;
    for (size_t i = 0; i < count;) {
        size_t end = i + 1;
        if (i + LONG_RUN <= count && cols[i + LONG_RUN - 1] - cols[i] == LONG_RUN - 1)
            for (end = i + LONG_RUN; end < count && cols[end] == cols[end - 1] + 1; end++)
                ;
        if (end - i == 1) {
            scratch[pending++] = base + (uint32_t)cols[i];
        } else {
            roaring_bitmap_add_many(bitmap, pending, scratch);
            pending = 0;
            roaring_bitmap_add_range_closed(bitmap, base + (uint32_t)cols[i], base + (uint32_t)cols[end - 1]);
        }
        i = end;
    }
    roaring_bitmap_add_many(bitmap, pending, scratch);
}

#endif
