/* SPDX-License-Identifier: Apache-2.0
 * Compressed sparse rows: int64 row starts and int32 columns. */
#include "heap.h"
#include "method.h"
#include "sorted.h"

#include <string.h>

static int64_t num_indices(const struct bench_csr *csr)
{
    return csr->indptr[csr->rows];
}

static size_t indptr_bytes(int32_t rows)
{
    return ((size_t)rows + 1) * sizeof(int64_t);
}

static struct bench_csr *csr_create(int32_t rows, int32_t cols, size_t capacity)
{
    struct bench_csr *csr = bench_alloc(sizeof *csr);
    *csr = (struct bench_csr){rows, cols, bench_alloc(indptr_bytes(rows)), bench_alloc(capacity * sizeof(int32_t))};
    return csr;
}

static size_t csr_estimate(const struct bench_csr *csr)
{
    return indptr_bytes(csr->rows) + (size_t)num_indices(csr) * sizeof(int32_t);
}

static void csr_to_csr(const void *mask, int64_t *indptr, int32_t *indices)
{
    const struct bench_csr *csr = mask;
    memcpy(indptr, csr->indptr, indptr_bytes(csr->rows));
    memcpy(indices, csr->indices, (size_t)num_indices(csr) * sizeof(int32_t));
}

static void *csr_build(const struct bench_csr *source)
{
    struct bench_csr *csr = csr_create(source->rows, source->cols, (size_t)num_indices(source));
    csr_to_csr(source, csr->indptr, csr->indices);
    return csr;
}

static void csr_release(void *mask)
{
    struct bench_csr *csr = mask;
    bench_free(csr->indptr);
    bench_free(csr->indices);
    bench_free(csr);
}

static const int32_t *row_of(const struct bench_csr *csr, int32_t row, size_t *count)
{
    *count = (size_t)(csr->indptr[row + 1] - csr->indptr[row]);
    return csr->indices + csr->indptr[row];
}

static size_t csr_row(const void *mask, int32_t row, int32_t *out)
{
    size_t count;
    const int32_t *cols = row_of(mask, row, &count);
    memcpy(out, cols, count * sizeof *out);
    return count;
}

static size_t intersect_rows(const struct bench_csr *a, int32_t row_a, const struct bench_csr *b, int32_t row_b, int32_t *out)
{
    size_t num_a, num_b;
    const int32_t *cols_a = row_of(a, row_a, &num_a);
    const int32_t *cols_b = row_of(b, row_b, &num_b);
    return sorted_intersect(cols_a, num_a, cols_b, num_b, out);
}

static size_t csr_row_and(const void *mask, int32_t row_a, int32_t row_b, int32_t *out)
{
    return intersect_rows(mask, row_a, mask, row_b, out);
}

static void *csr_and(const void *mask_a, const void *mask_b)
{
    const struct bench_csr *a = mask_a, *b = mask_b;
    int64_t most = num_indices(a) < num_indices(b) ? num_indices(a) : num_indices(b);
    struct bench_csr *out = csr_create(a->rows, a->cols, (size_t)most + 1);
    out->indptr[0] = 0;
    for (int32_t row = 0; row < a->rows; row++)
        out->indptr[row + 1] =
            out->indptr[row] + (int64_t)intersect_rows(a, row, b, row, out->indices + out->indptr[row]);
    out->indices = bench_realloc(out->indices, (size_t)num_indices(out) * sizeof(int32_t));
    return out;
}

static size_t csr_serialized_bytes(const void *mask)
{
    return 8 + csr_estimate(mask);
}

static void csr_serialize(const void *mask, void *buffer)
{
    const struct bench_csr *csr = mask;
    char *bytes = buffer;
    memcpy(bytes, csr, 8);
    memcpy(bytes + 8, csr->indptr, indptr_bytes(csr->rows));
    memcpy(bytes + 8 + indptr_bytes(csr->rows), csr->indices, (size_t)num_indices(csr) * sizeof(int32_t));
}

static void *csr_deserialize(const void *buffer, size_t num_bytes)
{
    const char *bytes = buffer;
    int32_t shape[2];
    memcpy(shape, bytes, 8);
    size_t indices_bytes = num_bytes - 8 - indptr_bytes(shape[0]);
    struct bench_csr *csr = csr_create(shape[0], shape[1], indices_bytes / sizeof(int32_t));
    memcpy(csr->indptr, bytes + 8, indptr_bytes(shape[0]));
    memcpy(csr->indices, bytes + 8 + indptr_bytes(shape[0]), indices_bytes);
    return csr;
}

const struct bench_method bench_csr = {
    .name = "csr",
    .estimate_bytes = csr_estimate,
    .build_rows = csr_build,
    .release = csr_release,
    .row = csr_row,
    .row_and = csr_row_and,
    .mask_and = csr_and,
    .to_csr = csr_to_csr,
    .serialized_bytes = csr_serialized_bytes,
    .serialize = csr_serialize,
    .deserialize = csr_deserialize,
};
