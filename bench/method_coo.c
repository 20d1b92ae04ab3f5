/* SPDX-License-Identifier: Apache-2.0
 * Sorted pairs of int32, as two arrays. A row is found by binary search. */
#include "heap.h"
#include "method.h"
#include "sorted.h"

#include <string.h>

struct coo {
    int32_t rows, cols;
    size_t count;
    int32_t *row_indices, *col_indices; /* count entries each, sorted by row, then column */
};

static struct coo *coo_create(int32_t rows, int32_t cols, size_t capacity)
{
    struct coo *coo = bench_alloc(sizeof *coo);
    *coo = (struct coo){rows, cols, 0, bench_alloc(capacity * sizeof(int32_t)), bench_alloc(capacity * sizeof(int32_t))};
    return coo;
}

static size_t coo_estimate(const struct bench_csr *csr)
{
    return (size_t)csr->indptr[csr->rows] * 2 * sizeof(int32_t);
}

static void fill(int32_t *out, size_t count, int32_t value)
{
    for (size_t i = 0; i < count; i++)
        out[i] = value;
}

static void *coo_build(const struct bench_csr *csr)
{
    size_t count = (size_t)csr->indptr[csr->rows];
    struct coo *coo = coo_create(csr->rows, csr->cols, count);
    coo->count = count;
    memcpy(coo->col_indices, csr->indices, count * sizeof(int32_t));
    for (int32_t row = 0; row < csr->rows; row++)
        fill(coo->row_indices + csr->indptr[row], (size_t)(csr->indptr[row + 1] - csr->indptr[row]), row);
    return coo;
}

static void coo_release(void *mask)
{
    struct coo *coo = mask;
    bench_free(coo->row_indices);
    bench_free(coo->col_indices);
    bench_free(coo);
}

/* Where the row that entry `begin` belongs to, or precedes, ends. */
static size_t row_end(const struct coo *coo, size_t begin, int32_t row)
{
    return begin + sorted_gallop(coo->row_indices + begin, coo->count - begin, row + 1);
}

static const int32_t *find_row(const struct coo *coo, int32_t row, size_t *count)
{
    size_t begin = sorted_lower_bound(coo->row_indices, coo->count, row);
    *count = row_end(coo, begin, row) - begin;
    return coo->col_indices + begin;
}

static size_t coo_row(const void *mask, int32_t row, int32_t *out)
{
    size_t count;
    const int32_t *cols = find_row(mask, row, &count);
    memcpy(out, cols, count * sizeof *out);
    return count;
}

static size_t coo_row_and(const void *mask, int32_t row_a, int32_t row_b, int32_t *out)
{
    size_t num_a, num_b;
    const int32_t *cols_a = find_row(mask, row_a, &num_a);
    const int32_t *cols_b = find_row(mask, row_b, &num_b);
    return sorted_intersect(cols_a, num_a, cols_b, num_b, out);
}

static void *coo_and(const void *mask_a, const void *mask_b)
{
    const struct coo *a = mask_a, *b = mask_b;
    struct coo *out = coo_create(a->rows, a->cols, (a->count < b->count ? a->count : b->count) + 1);
    for (size_t i = 0, j = 0; i < a->count && j < b->count;) {
        int32_t row = a->row_indices[i] > b->row_indices[j] ? a->row_indices[i] : b->row_indices[j];
        i += sorted_gallop(a->row_indices + i, a->count - i, row);
        j += sorted_gallop(b->row_indices + j, b->count - j, row);
        size_t end_a = row_end(a, i, row), end_b = row_end(b, j, row);
        size_t count =
            sorted_intersect(a->col_indices + i, end_a - i, b->col_indices + j, end_b - j, out->col_indices + out->count);
        fill(out->row_indices + out->count, count, row);
        out->count += count;
        i = end_a, j = end_b;
    }
    out->row_indices = bench_realloc(out->row_indices, out->count * sizeof(int32_t));
    out->col_indices = bench_realloc(out->col_indices, out->count * sizeof(int32_t));
    return out;
}

static void coo_to_csr(const void *mask, int64_t *indptr, int32_t *indices)
{
    const struct coo *coo = mask;
    size_t at = 0;
    indptr[0] = 0;
    for (int32_t row = 0; row < coo->rows; row++) {
        at = row_end(coo, at, row);
        indptr[row + 1] = (int64_t)at;
    }
    memcpy(indices, coo->col_indices, coo->count * sizeof(int32_t));
}

static size_t coo_serialized_bytes(const void *mask)
{
    return 8 + ((const struct coo *)mask)->count * 8;
}

static void coo_serialize(const void *mask, void *buffer)
{
    const struct coo *coo = mask;
    char *bytes = buffer;
    memcpy(bytes, coo, 8);
    memcpy(bytes + 8, coo->row_indices, coo->count * sizeof(int32_t));
    memcpy(bytes + 8 + coo->count * sizeof(int32_t), coo->col_indices, coo->count * sizeof(int32_t));
}

static void *coo_deserialize(const void *buffer, size_t num_bytes)
{
    const char *bytes = buffer;
    int32_t shape[2];
    memcpy(shape, bytes, 8);
    size_t count = (num_bytes - 8) / 8;
    struct coo *coo = coo_create(shape[0], shape[1], count);
    coo->count = count;
    memcpy(coo->row_indices, bytes + 8, count * sizeof(int32_t));
    memcpy(coo->col_indices, bytes + 8 + count * sizeof(int32_t), count * sizeof(int32_t));
    return coo;
}

const struct bench_method bench_coo = {
    .name = "coo",
    .estimate_bytes = coo_estimate,
    .build_rows = coo_build,
    .release = coo_release,
    .row = coo_row,
    .row_and = coo_row_and,
    .mask_and = coo_and,
    .to_csr = coo_to_csr,
    .serialized_bytes = coo_serialized_bytes,
    .serialize = coo_serialize,
    .deserialize = coo_deserialize,
};
