/* SPDX-License-Identifier: Apache-2.0
 * The naive twin itself. */
#include "twin.h"

#include <stdlib.h>
#include <string.h>

twin *twin_create(int32_t rows, int32_t cols)
{
    twin *t = must_allocate(sizeof *t);
    size_t num_cells = (size_t)rows * (size_t)cols;
    *t = (twin){rows, cols, must_allocate(num_cells)};
    memset(t->cells, 0, num_cells);
    return t;
}

twin *twin_copy(const twin *from)
{
    twin *t = twin_create(from->rows, from->cols);
    memcpy(t->cells, from->cells, (size_t)t->rows * (size_t)t->cols);
    return t;
}

twin *twin_of(const rmask *mask)
{
    twin *t = twin_create(rmask_rows(mask), rmask_cols(mask));
    int32_t *cols = must_allocate((size_t)t->cols * sizeof *cols);
    for (int32_t row = 0; row < t->rows; row++) {
        size_t num_cols;
        expect_ok(rmask_row(mask, row, cols, (size_t)t->cols, &num_cols, test_error));
        for (size_t i = 0; i < num_cols; i++) twin_at(t, row)[cols[i]] = 1;
    }
    free(cols);
    return t;
}

void twin_free(twin *t)
{
    if (t) free(t->cells);
    free(t);
}

void twin_put(twin *t, int32_t row, int32_t col_begin, int32_t col_end, bool in)
{
    memset(twin_at(t, row) + col_begin, in, (size_t)(col_end - col_begin));
}

uint64_t twin_count(const twin *t)
{
    uint64_t count = 0;
    for (int32_t row = 0; row < t->rows; row++) count += twin_row_count(t, row);
    return count;
}

size_t twin_row_count(const twin *t, int32_t row)
{
    size_t count = 0;
    for (int32_t col = 0; col < t->cols; col++) count += twin_at(t, row)[col];
    return count;
}

size_t twin_row(const twin *t, int32_t row, int32_t *cols)
{
    size_t count = 0;
    for (int32_t col = 0; col < t->cols; col++)
        if (twin_at(t, row)[col]) cols[count++] = col;
    return count;
}

size_t twin_row_ranges(const twin *t, int32_t row, int32_t *ranges)
{
    size_t num_ends = 0;
    bool inside = false;
    for (int32_t col = 0; col < t->cols; col++)
        if (twin_at(t, row)[col] != inside) {
            ranges[num_ends++] = col;
            inside = !inside;
        }
    if (inside) ranges[num_ends++] = t->cols;
    return num_ends / 2;
}

bool twin_equal(const twin *a, const twin *b)
{
    return a->rows == b->rows && a->cols == b->cols && memcmp(a->cells, b->cells, (size_t)a->rows * (size_t)a->cols) == 0;
}

bool function_holds(rmask_function function, bool a, bool b) { return function >> (2 * a + b) & 1; }

twin *twin_combine(const twin *a, const twin *b, rmask_function function)
{
    twin *t = twin_create(a->rows, a->cols);
    size_t num_cells = (size_t)t->rows * (size_t)t->cols;
    for (size_t i = 0; i < num_cells; i++) t->cells[i] = function_holds(function, a->cells[i], b->cells[i]);
    return t;
}

void twin_coarsen(const twin *t, int32_t tile_rows, int32_t tile_cols, twin **any, twin **all)
{
    *any = twin_create((int32_t)(((int64_t)t->rows + tile_rows - 1) / tile_rows), (int32_t)(((int64_t)t->cols + tile_cols - 1) / tile_cols));
    *all = twin_create((*any)->rows, (*any)->cols);
    memset((*all)->cells, 1, (size_t)(*all)->rows * (size_t)(*all)->cols);
    for (int32_t row = 0; row < t->rows; row++)
        for (int32_t col = 0; col < t->cols; col++) {
            twin_at(*any, row / tile_rows)[col / tile_cols] |= twin_at(t, row)[col];
            twin_at(*all, row / tile_rows)[col / tile_cols] &= twin_at(t, row)[col];
        }
}
