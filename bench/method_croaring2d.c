/* SPDX-License-Identifier: Apache-2.0
 * One Roaring bitmap of row << 16 | col: a row is one container. Grids up to 65,536 a side. */
#include "croaring.h"
#include "heap.h"
#include "method.h"
#include "sorted.h"

#include <string.h>

#ifndef ROARMASK_HAVE_CROARING

const struct bench_method bench_croaring2d = {.name = "croaring2d", .refuses = bench_croaring_missing};

#else

struct grid_bitmap {
    int32_t rows, cols;
    roaring_bitmap_t *bitmap;
};

static const char *grid_refuses(int32_t rows, int32_t cols)
{
    return rows > 65536 || cols > 65536 ? "row << 16 | col holds at most 65,536 rows and columns" : NULL;
}

static struct grid_bitmap *grid_create(int32_t rows, int32_t cols, roaring_bitmap_t *bitmap)
{
    struct grid_bitmap *mask = bench_alloc(sizeof *mask);
    *mask = (struct grid_bitmap){rows, cols, bitmap};
    return mask;
}

static size_t grid_estimate(const struct bench_csr *csr)
{
    return (size_t)csr->rows * 64 + (size_t)csr->indptr[csr->rows] * 2;
}

static uint32_t key_of(int32_t row)
{
    return (uint32_t)row << 16;
}

static void *grid_build(const struct bench_csr *csr)
{
    bench_croaring_hook();
    roaring_bitmap_t *bitmap = roaring_bitmap_create_with_capacity((uint32_t)csr->rows);
    uint32_t *scratch = bench_alloc((size_t)csr->cols * sizeof *scratch);
    for (int32_t row = 0; row < csr->rows; row++) {
        size_t count = (size_t)(csr->indptr[row + 1] - csr->indptr[row]);
        bench_croaring_add(bitmap, key_of(row), csr->indices + csr->indptr[row], count, scratch);
    }
    bench_free(scratch);
    roaring_bitmap_run_optimize(bitmap);
    roaring_bitmap_shrink_to_fit(bitmap);
    return grid_create(csr->rows, csr->cols, bitmap);
}

static void grid_release(void *object)
{
    roaring_bitmap_free(((struct grid_bitmap *)object)->bitmap);
    bench_free(object);
}

static void keep_columns(int32_t *values, size_t count)
{
    for (size_t i = 0; i < count; i++)
        values[i] &= 0xffff;
}

static size_t row_count(const roaring_bitmap_t *bitmap, int32_t row)
{
    return (size_t)roaring_bitmap_range_cardinality_closed(bitmap, key_of(row), key_of(row) | 0xffff);
}

static size_t grid_row(const void *object, int32_t row, int32_t *out)
{
    const roaring_bitmap_t *bitmap = ((const struct grid_bitmap *)object)->bitmap;
    size_t count = row_count(bitmap, row);
    roaring_uint32_iterator_t iterator;
    roaring_iterator_init(bitmap, &iterator);
    if (count && roaring_uint32_iterator_move_equalorlarger(&iterator, key_of(row)))
        roaring_uint32_iterator_read(&iterator, (uint32_t *)out, (uint32_t)count);
    keep_columns(out, count);
    return count;
}

/* The library intersects whole bitmaps, not parts of one: the rows are read and then intersected as lists. */
static size_t grid_row_and(const void *object, int32_t row_a, int32_t row_b, int32_t *out)
{
    static int32_t columns[2][65536 + BENCH_SLACK];
    size_t num_a = grid_row(object, row_a, columns[0]);
    size_t num_b = grid_row(object, row_b, columns[1]);
    return sorted_intersect(columns[0], num_a, columns[1], num_b, out);
}

static void *grid_and(const void *object_a, const void *object_b)
{
    const struct grid_bitmap *a = object_a, *b = object_b;
    return grid_create(a->rows, a->cols, roaring_bitmap_and(a->bitmap, b->bitmap));
}

static void grid_to_csr(const void *object, int64_t *indptr, int32_t *indices)
{
    const struct grid_bitmap *mask = object;
    roaring_bitmap_to_uint32_array(mask->bitmap, (uint32_t *)indices);
    indptr[0] = 0;
    for (int32_t row = 0; row < mask->rows; row++) {
        size_t count = row_count(mask->bitmap, row);
        keep_columns(indices + indptr[row], count);
        indptr[row + 1] = indptr[row] + (int64_t)count;
    }
}

static size_t grid_serialized_bytes(const void *object)
{
    return 8 + roaring_bitmap_portable_size_in_bytes(((const struct grid_bitmap *)object)->bitmap);
}

static void grid_serialize(const void *object, void *buffer)
{
    const struct grid_bitmap *mask = object;
    memcpy(buffer, mask, 8);
    roaring_bitmap_portable_serialize(mask->bitmap, (char *)buffer + 8);
}

static void *grid_deserialize(const void *buffer, size_t num_bytes)
{
    int32_t shape[2];
    memcpy(shape, buffer, 8);
    bench_croaring_hook();
    return grid_create(shape[0], shape[1],
                       roaring_bitmap_portable_deserialize_safe((const char *)buffer + 8, num_bytes - 8));
}

const struct bench_method bench_croaring2d = {
    .name = "croaring2d",
    .refuses = grid_refuses,
    .estimate_bytes = grid_estimate,
    .build_rows = grid_build,
    .release = grid_release,
    .row = grid_row,
    .row_and = grid_row_and,
    .mask_and = grid_and,
    .to_csr = grid_to_csr,
    .serialized_bytes = grid_serialized_bytes,
    .serialize = grid_serialize,
    .deserialize = grid_deserialize,
};

#endif
