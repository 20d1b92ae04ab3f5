/* SPDX-License-Identifier: Apache-2.0
 * A Roaring bitmap a row, run-optimised and shrunk to fit. */
#include "croaring.h"
#include "heap.h"
#include "method.h"

#include <string.h>

#ifndef ROARMASK_HAVE_CROARING

const struct bench_method bench_croaring = {.name = "croaring", .refuses = bench_croaring_missing};

#else

struct row_bitmaps {
    int32_t rows, cols;
    roaring_bitmap_t *bitmaps[];
};

static struct row_bitmaps *rows_create(int32_t rows, int32_t cols)
{
    bench_croaring_hook();
    struct row_bitmaps *mask = bench_alloc(sizeof *mask + (size_t)rows * sizeof *mask->bitmaps);
    mask->rows = rows;
    mask->cols = cols;
    return mask;
}

/* A bitmap with one container takes some 120 bytes of heap, a scattered value 2 bytes. */
static size_t rows_estimate(const struct bench_csr *csr)
{
    return (size_t)csr->rows * 128 + (size_t)csr->indptr[csr->rows] * 2;
}

static void *rows_build(const struct bench_csr *csr)
{
    struct row_bitmaps *mask = rows_create(csr->rows, csr->cols);
    uint32_t *scratch = bench_alloc((size_t)csr->cols * sizeof *scratch);
    for (int32_t row = 0; row < csr->rows; row++) {
        size_t count = (size_t)(csr->indptr[row + 1] - csr->indptr[row]);
        roaring_bitmap_t *bitmap = roaring_bitmap_create_with_capacity(1);
        bench_croaring_add(bitmap, 0, csr->indices + csr->indptr[row], count, scratch);
        roaring_bitmap_run_optimize(bitmap);
        roaring_bitmap_shrink_to_fit(bitmap);
        mask->bitmaps[row] = bitmap;
    }
    bench_free(scratch);
    return mask;
}

static void rows_release(void *object)
{
    struct row_bitmaps *mask = object;
    for (int32_t row = 0; row < mask->rows; row++)
        roaring_bitmap_free(mask->bitmaps[row]);
    bench_free(mask);
}

static size_t rows_row(const void *object, int32_t row, int32_t *out)
{
    const roaring_bitmap_t *bitmap = ((const struct row_bitmaps *)object)->bitmaps[row];
    roaring_bitmap_to_uint32_array(bitmap, (uint32_t *)out);
    return (size_t)roaring_bitmap_get_cardinality(bitmap);
}

static size_t rows_row_and(const void *object, int32_t row_a, int32_t row_b, int32_t *out)
{
    const struct row_bitmaps *mask = object;
    roaring_bitmap_t *both = roaring_bitmap_and(mask->bitmaps[row_a], mask->bitmaps[row_b]);
    roaring_bitmap_to_uint32_array(both, (uint32_t *)out);
    size_t count = (size_t)roaring_bitmap_get_cardinality(both);
    roaring_bitmap_free(both);
    return count;
}

static void *rows_and(const void *object_a, const void *object_b)
{
    const struct row_bitmaps *a = object_a, *b = object_b;
    struct row_bitmaps *out = rows_create(a->rows, a->cols);
    for (int32_t row = 0; row < a->rows; row++)
        out->bitmaps[row] = roaring_bitmap_and(a->bitmaps[row], b->bitmaps[row]);
    return out;
}

static void rows_to_csr(const void *object, int64_t *indptr, int32_t *indices)
{
    const struct row_bitmaps *mask = object;
    indptr[0] = 0;
    for (int32_t row = 0; row < mask->rows; row++)
        indptr[row + 1] = indptr[row] + (int64_t)rows_row(object, row, indices + indptr[row]);
}

/* Written as the grid, a uint32 size a row, and the rows in the portable format. */
static size_t header_bytes(int32_t rows)
{
    return 8 + (size_t)rows * sizeof(uint32_t);
}

static size_t rows_serialized_bytes(const void *object)
{
    const struct row_bitmaps *mask = object;
    size_t num_bytes = header_bytes(mask->rows);
    for (int32_t row = 0; row < mask->rows; row++)
        num_bytes += roaring_bitmap_portable_size_in_bytes(mask->bitmaps[row]);
    return num_bytes;
}

static void rows_serialize(const void *object, void *buffer)
{
    const struct row_bitmaps *mask = object;
    char *sizes = (char *)buffer + 8, *out = (char *)buffer + header_bytes(mask->rows);
    memcpy(buffer, mask, 8);
    for (int32_t row = 0; row < mask->rows; row++) {
        uint32_t size = (uint32_t)roaring_bitmap_portable_serialize(mask->bitmaps[row], out);
        memcpy(sizes + (size_t)row * sizeof size, &size, sizeof size);
        out += size;
    }
}

static void *rows_deserialize(const void *buffer, size_t num_bytes)
{
    int32_t shape[2];
    memcpy(shape, buffer, 8);
    struct row_bitmaps *mask = rows_create(shape[0], shape[1]);
    const char *sizes = (const char *)buffer + 8, *in = (const char *)buffer + header_bytes(shape[0]);
    for (int32_t row = 0; row < mask->rows; row++) {
        uint32_t size;
        memcpy(&size, sizes + (size_t)row * sizeof size, sizeof size);
        mask->bitmaps[row] = roaring_bitmap_portable_deserialize_safe(in, size);
        in += size;
    }
    (void)num_bytes;
    return mask;
}

const struct bench_method bench_croaring = {
    .name = "croaring",
    .estimate_bytes = rows_estimate,
    .build_rows = rows_build,
    .release = rows_release,
    .row = rows_row,
    .row_and = rows_row_and,
    .mask_and = rows_and,
    .to_csr = rows_to_csr,
    .serialized_bytes = rows_serialized_bytes,
    .serialize = rows_serialize,
    .deserialize = rows_deserialize,
};

#endif
