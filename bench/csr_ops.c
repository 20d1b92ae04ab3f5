/* SPDX-License-Identifier: Apache-2.0 */
#include "csr_ops.h"

#include "heap.h"

#include <string.h>

static struct bench_csr *create(int32_t rows, int32_t cols, int64_t max_cells)
{
    struct bench_csr *csr = bench_alloc(sizeof *csr);
    *csr = (struct bench_csr){rows, cols, bench_alloc_zeroed((size_t)rows + 1, sizeof *csr->indptr),
                              bench_alloc(((size_t)max_cells + BENCH_SLACK) * sizeof *csr->indices)};
    return csr;
}

void csr_release(struct bench_csr *csr)
{
    if (!csr) return;
    bench_free(csr->indptr);
    bench_free(csr->indices);
    bench_free(csr);
}

/* A counting sort by column. */
struct bench_csr *csr_transpose(const struct bench_csr *csr)
{
    struct bench_csr *out = create(csr->cols, csr->rows, csr->indptr[csr->rows]);
    for (int64_t i = 0; i < csr->indptr[csr->rows]; i++) out->indptr[csr->indices[i] + 1]++;
    for (int32_t col = 0; col < csr->cols; col++) out->indptr[col + 1] += out->indptr[col];
    int64_t *next = bench_alloc(((size_t)csr->cols + 1) * sizeof *next);
    memcpy(next, out->indptr, ((size_t)csr->cols + 1) * sizeof *next);
    for (int32_t row = 0; row < csr->rows; row++)
        for (int64_t i = csr->indptr[row]; i < csr->indptr[row + 1]; i++) out->indices[next[csr->indices[i]]++] = row;
    bench_free(next);
    return out;
}

static int64_t first_at_least(const struct bench_csr *csr, int32_t row, int32_t col)
{
    int64_t begin = csr->indptr[row], n = csr->indptr[row + 1] - begin;
    while (n > 0) {
        int64_t half = n / 2;
        if (csr->indices[begin + half] < col) {
            begin += half + 1;
            n -= half + 1;
        } else {
            n = half;
        }
    }
    return begin;
}

/* The window's cells, `col_by` to the right, as the rows from `row_at` on of a grid of rows x cols. */
static struct bench_csr *place(const struct bench_csr *csr, int32_t row_begin, int32_t row_end, int32_t col_begin,
                               int32_t col_end, int32_t rows, int32_t cols, int32_t row_at, int32_t col_by)
{
    struct bench_csr *out = create(rows, cols, csr->indptr[row_end] - csr->indptr[row_begin]);
    int64_t count = 0;
    for (int32_t row = 0; row < rows; row++) {
        int32_t from = row - row_at + row_begin;
        if (from >= row_begin && from < row_end)
            for (int64_t i = first_at_least(csr, from, col_begin), end = first_at_least(csr, from, col_end); i < end; i++)
                out->indices[count++] = csr->indices[i] + col_by;
        out->indptr[row + 1] = count;
    }
    return out;
}

struct bench_csr *csr_slice(const struct bench_csr *csr, int32_t row_begin, int32_t row_end, int32_t col_begin, int32_t col_end)
{
    return place(csr, row_begin, row_end, col_begin, col_end, row_end - row_begin, col_end - col_begin, 0, -col_begin);
}

struct bench_csr *csr_shift(const struct bench_csr *csr, int32_t row_shift, int32_t col_shift)
{
    return place(csr, 0, csr->rows - row_shift, 0, csr->cols - col_shift, csr->rows, csr->cols, row_shift, col_shift);
}

static int32_t least(int32_t a, int32_t b) { return a < b ? a : b; }

void csr_coarsen(const struct bench_csr *csr, int32_t side, struct bench_csr **any, struct bench_csr **all)
{
    int32_t rows = (csr->rows + side - 1) / side, cols = (csr->cols + side - 1) / side;
    int64_t num_any = 0, num_all = 0;
    *any = create(rows, cols, csr->indptr[csr->rows]);
    *all = create(rows, cols, csr->indptr[csr->rows]);
    int32_t *counts = bench_alloc_zeroed((size_t)cols, sizeof *counts);
    for (int32_t tile_row = 0; tile_row < rows; tile_row++) {
        int32_t row_begin = tile_row * side, height = least(side, csr->rows - row_begin);
        for (int64_t i = csr->indptr[row_begin]; i < csr->indptr[row_begin + height]; i++) counts[csr->indices[i] / side]++;
        for (int32_t col = 0; col < cols; col++) {
            if (counts[col] > 0) (*any)->indices[num_any++] = col;
            if (counts[col] == height * least(side, csr->cols - col * side)) (*all)->indices[num_all++] = col;
            counts[col] = 0;
        }
        (*any)->indptr[tile_row + 1] = num_any;
        (*all)->indptr[tile_row + 1] = num_all;
    }
    bench_free(counts);
}

struct bench_csr *csr_combine(const struct bench_csr *a, const struct bench_csr *b, unsigned function)
{
    struct bench_csr *out = create(a->rows, a->cols, a->indptr[a->rows] + b->indptr[b->rows]);
    int64_t count = 0;
    for (int32_t row = 0; row < a->rows; row++) {
        int64_t i = a->indptr[row], j = b->indptr[row], end_i = a->indptr[row + 1], end_j = b->indptr[row + 1];
        while (i < end_i && j < end_j) {
            int32_t x = a->indices[i], y = b->indices[j];
            bool in_a = x <= y, in_b = y <= x;
            out->indices[count] = in_a ? x : y;
            count += function >> (2 * in_a + in_b) & 1;
            i += in_a;
            j += in_b;
        }
        for (; i < end_i && function & 4; i++) out->indices[count++] = a->indices[i];
        for (; j < end_j && function & 2; j++) out->indices[count++] = b->indices[j];
        out->indptr[row + 1] = count;
    }
    return out;
}
