/* SPDX-License-Identifier: Apache-2.0
 * Instructions that read masks. Every result is read row by row in any case. */
#include "ops.h"

#include <stdlib.h>

/* Rows, then columns, half-open. */
static void take_window(world *w, const slot *s, int32_t hang_over, int32_t window[4])
{
    window[0] = (int32_t)fuzz_between(&w->in, 0, s->t->rows), window[1] = (int32_t)fuzz_between(&w->in, window[0], s->t->rows + hang_over);
    window[2] = (int32_t)fuzz_between(&w->in, 0, s->t->cols), window[3] = (int32_t)fuzz_between(&w->in, window[2], s->t->cols + hang_over);
}

void op_check_same(world *w)
{
    const slot *s = ops_slot(w);
    if ((int64_t)s->t->rows * s->t->cols > 2500) return;
    check_same(s->mask, s->t);
    w->work -= 100000;
}

void op_raster(world *w)
{
    const slot *s = ops_slot(w);
    int32_t window[4];
    take_window(w, s, 0, window);
    const int64_t num_rows = window[1] - window[0], num_cols = window[3] - window[2];
    const int32_t raster_rows = (int32_t)fuzz_between(&w->in, 1, 9), raster_cols = (int32_t)fuzz_between(&w->in, 1, 40);
    uint64_t counts[9 * 40], *field = counts;
    expect_ok(rmask_raster(s->mask, window[0], window[1], window[2], window[3], raster_rows, raster_cols, counts, test_error));
    for (int64_t i = 0; i < raster_rows; i++)
        for (int64_t j = 0; j < raster_cols; j++, field++) {
            uint64_t wanted = 0;
            for (int64_t row = i * num_rows / raster_rows; row < (i + 1) * num_rows / raster_rows; row++)
                for (int64_t col = j * num_cols / raster_cols; col < (j + 1) * num_cols / raster_cols; col++)
                    wanted += twin_at(s->t, window[0] + (int32_t)row)[window[2] + col];
            expect(*field == wanted, "field (%d, %d) has %llu cells, wanted %llu", (int)i, (int)j, (unsigned long long)*field,
                   (unsigned long long)wanted);
        }
    w->work -= num_rows * num_cols;
}

/* The window may hang over the grid, and a row of the result is longer than it needs to be. */
void op_window(world *w)
{
    const slot *s = ops_slot(w);
    int32_t window[4];
    take_window(w, s, 20, window);
    const size_t num_rows = (size_t)(window[1] - window[0]), num_cols = (size_t)(window[3] - window[2]), slack = fuzz_byte(&w->in) % 3;
    const size_t stride = num_cols + slack, bit_stride = (num_cols + 7) / 8 + slack;
    uint8_t *cells = must_allocate(num_rows * stride), *bits = must_allocate(num_rows * bit_stride);
    expect_ok(rmask_to_bytes(s->mask, window[0], window[1], window[2], window[3], cells, stride, test_error));
    expect_ok(rmask_to_bits(s->mask, window[0], window[1], window[2], window[3], bits, bit_stride, test_error));
    for (size_t i = 0; i < num_rows; i++)
        for (size_t j = 0; j < (num_cols + 7) / 8 * 8; j++) {
            const int64_t row = window[0] + (int64_t)i, col = window[2] + (int64_t)j;
            const bool wanted = j < num_cols && row < s->t->rows && col < s->t->cols && twin_at(s->t, (int32_t)row)[col];
            expect((bits[i * bit_stride + j / 8] >> j % 8 & 1) == wanted, "bit (%d, %d) is not %d", (int)row, (int)col, wanted);
            expect(j >= num_cols || cells[i * stride + j] == wanted, "byte (%d, %d) is not %d", (int)row, (int)col, wanted);
        }
    free(cells), free(bits);
    w->work -= (int64_t)(num_rows * num_cols);
}

void op_csr(world *w)
{
    const slot *s = ops_slot(w);
    const int32_t rows = s->t->rows;
    int64_t *indptr = must_allocate(((size_t)rows + 1) * sizeof *indptr);
    rmask *again;
    expect_ok(rmask_to_csr(s->mask, 0, rows, indptr, NULL, 0, test_error));
    const size_t capacity = (size_t)indptr[rows];
    int32_t *indices = must_allocate(capacity * sizeof *indices);
    expect_ok(rmask_to_csr(s->mask, 0, rows, indptr, indices, capacity, test_error));
    succeeds(w, &again, rmask_from_csr(rows, s->t->cols, indptr, indices, &w->allocator, &again, test_error));
    check_equal(s->mask, again, true);
    free(indptr), free(indices);
    ops_put(w, again, twin_copy(s->t));
}
