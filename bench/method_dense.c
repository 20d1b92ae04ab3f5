/* SPDX-License-Identifier: Apache-2.0
 * A byte a cell, 0 or 1, rows one behind the other: what a boolean tensor costs. */
#include "heap.h"
#include "method.h"
#include "sorted.h"

#include <string.h>

struct dense {
    int32_t rows, cols;
    uint8_t *cells; /* rows * cols, and BENCH_SLACK zeros that loops may read past the last row */
};

static size_t num_cells(int32_t rows, int32_t cols)
{
    return (size_t)rows * (size_t)cols;
}

static const uint8_t *row_of(const struct dense *dense, int32_t row)
{
    return dense->cells + (size_t)row * (size_t)dense->cols;
}

static struct dense *dense_create(int32_t rows, int32_t cols)
{
    struct dense *dense = bench_alloc(sizeof *dense);
    *dense = (struct dense){rows, cols, bench_alloc(num_cells(rows, cols) + BENCH_SLACK)};
    return dense;
}

static size_t dense_estimate(const struct bench_csr *csr)
{
    return num_cells(csr->rows, csr->cols);
}

static void *dense_build(const struct bench_csr *csr)
{
    struct dense *dense = dense_create(csr->rows, csr->cols);
    memset(dense->cells, 0, num_cells(csr->rows, csr->cols) + BENCH_SLACK);
    for (int32_t row = 0; row < csr->rows; row++) {
        uint8_t *cells = dense->cells + (size_t)row * (size_t)csr->cols;
        int64_t end = csr->indptr[row + 1];
        for (int64_t i = csr->indptr[row]; i < end;) {
            int32_t col = csr->indices[i];
            bool run = i + 63 < end && csr->indices[i + 63] == col + 63;
            memset(cells + col, 1, run ? 64 : 1);
            i += run ? 64 : 1;
        }
    }
    return dense;
}

static void dense_release(void *mask)
{
    bench_free(((struct dense *)mask)->cells);
    bench_free(mask);
}

/* 8 bytes of 0 or 1 as 8 bits, the first byte lowest. */
static inline uint64_t pack8(uint64_t bytes)
{
    return bytes * 0x0102040810204080u >> 56;
}

/* The columns where a, and b unless it is NULL, have a 1. Runs of 64 zeros cost 8 loads and a branch. */
static inline __attribute__((always_inline)) size_t scan(const uint8_t *a, const uint8_t *b, int32_t cols, int32_t *out)
{
    int32_t *begin = out;
    for (int32_t col = 0; col < cols; col += 64) {
        uint64_t words[8], any = 0, bits = 0;
        memcpy(words, a + col, 64);
        if (b) {
            uint64_t others[8];
            memcpy(others, b + col, 64);
            for (int i = 0; i < 8; i++)
                words[i] &= others[i];
        }
        for (int i = 0; i < 8; i++)
            any |= words[i];
        if (!any)
            continue;
        for (int i = 0; i < 8; i++)
            bits |= pack8(words[i]) << 8 * i;
        if (cols - col < 64)
            bits &= (UINT64_C(1) << (cols - col)) - 1;
        out = sorted_emit_word(out, bits, col);
    }
    return (size_t)(out - begin);
}

BENCH_CLONES static size_t dense_row(const void *mask, int32_t row, int32_t *out)
{
    const struct dense *dense = mask;
    return scan(row_of(dense, row), NULL, dense->cols, out);
}

BENCH_CLONES static size_t dense_row_and(const void *mask, int32_t row_a, int32_t row_b, int32_t *out)
{
    const struct dense *dense = mask;
    return scan(row_of(dense, row_a), row_of(dense, row_b), dense->cols, out);
}

BENCH_CLONES static void and_bytes(uint8_t *restrict out, const uint8_t *restrict a, const uint8_t *restrict b, size_t count)
{
    for (size_t i = 0; i < count; i++)
        out[i] = a[i] & b[i];
}

static void *dense_and(const void *mask_a, const void *mask_b)
{
    const struct dense *a = mask_a, *b = mask_b;
    struct dense *out = dense_create(a->rows, a->cols);
    and_bytes(out->cells, a->cells, b->cells, num_cells(a->rows, a->cols) + BENCH_SLACK);
    return out;
}

static void dense_to_csr(const void *mask, int64_t *indptr, int32_t *indices)
{
    const struct dense *dense = mask;
    indptr[0] = 0;
    for (int32_t row = 0; row < dense->rows; row++)
        indptr[row + 1] = indptr[row] + (int64_t)dense_row(mask, row, indices + indptr[row]);
}

static size_t dense_serialized_bytes(const void *mask)
{
    const struct dense *dense = mask;
    return 8 + num_cells(dense->rows, dense->cols);
}

static void dense_serialize(const void *mask, void *buffer)
{
    const struct dense *dense = mask;
    memcpy(buffer, dense, 8);
    memcpy((char *)buffer + 8, dense->cells, num_cells(dense->rows, dense->cols));
}

static void *dense_deserialize(const void *buffer, size_t num_bytes)
{
    int32_t shape[2];
    memcpy(shape, buffer, 8);
    struct dense *dense = dense_create(shape[0], shape[1]);
    memcpy(dense->cells, (const char *)buffer + 8, num_bytes - 8);
    memset(dense->cells + num_bytes - 8, 0, BENCH_SLACK);
    return dense;
}

const struct bench_method bench_dense = {
    .name = "dense",
    .estimate_bytes = dense_estimate,
    .build_rows = dense_build,
    .release = dense_release,
    .row = dense_row,
    .row_and = dense_row_and,
    .mask_and = dense_and,
    .to_csr = dense_to_csr,
    .serialized_bytes = dense_serialized_bytes,
    .serialize = dense_serialize,
    .deserialize = dense_deserialize,
};
