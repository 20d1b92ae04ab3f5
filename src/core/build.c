/* SPDX-License-Identifier: Apache-2.0
 * Masks from somebody else's arrays: each row becomes an inversion list, and the finder does the rest. */
#include "core/finder.h"
#include "core/inversion.h"
#include "core/sort.h"
#include "core/status.h"
#include "simd/simd.h"

#include <string.h>

static rmask_status start(rmask_finder *finder, int32_t rows, int32_t cols, const rmask_allocator *allocator, rmask **out,
                          rmask_error *error)
{
    *out = NULL;
    RMASK_TRY(rmask_check_grid(rows, cols, error));
    rmask_finder_init(finder, rows, cols, allocator);
    return RMASK_OK;
}

/* Ends with the mask, or with the failure that came before. */
static rmask_status end(rmask_finder *finder, rmask_int32_vec *scratch, rmask_status status, rmask **out, rmask_error *error)
{
    rmask_vec_free(&finder->draft.allocator, scratch);
    return rmask_finder_end(finder, status, out, error);
}

/* ---------------------------------------------------------------- sparse */

/* Which of the columns of a row is wrong, in words. */
static rmask_status fail_cols(int32_t row, int32_t num_cols, const int32_t *cols, size_t n, rmask_error *error)
{
    for (size_t i = 0; i < n; i++) {
        if (cols[i] < 0 || cols[i] >= num_cols)
            return rmask_fail(error, RMASK_ERR_RANGE, "column %d in row %d is out of range: columns go from 0 to %d", (int)cols[i],
                              (int)row, (int)num_cols - 1);
        if (i > 0 && cols[i] <= cols[i - 1])
            return rmask_fail(error, RMASK_ERR_ARGUMENT, "row %d is not strictly increasing: column %d follows %d", (int)row,
                              (int)cols[i], (int)cols[i - 1]);
    }
    return RMASK_OK;
}

rmask_status rmask_flips_of_cols(const rmask_allocator *allocator, rmask_int32_vec *flips, int32_t row, int32_t num_cols,
                                 const int32_t *cols, size_t n, rmask_error *error)
{
    flips->len = 0;
    if (n > (size_t)num_cols || cols[0] < 0 || cols[n - 1] < 0 || cols[n - 1] >= num_cols) {
        const rmask_status status = fail_cols(row, num_cols, cols, n, error);
        if (status) return status;
    }
    if (!rmask_vec_reserve(allocator, flips, 2 * n + 16)) return rmask_fail_nomem(error);
    const int32_t *end = rmask_simd_get()->flips(flips->at, cols, n);
    if (!end) return fail_cols(row, num_cols, cols, n, error);
    flips->len = (size_t)(end - flips->at);
    return RMASK_OK;
}

/* One row of ascending columns, which `stay` valid or not; n is at least 1. */
static rmask_status add_cols(rmask_finder *finder, rmask_int32_vec *flips, int32_t row, const int32_t *cols, size_t n, bool stay,
                             rmask_error *error)
{
    const int32_t num_cols = finder->draft.cols;
    RMASK_TRY(rmask_flips_of_cols(&finder->draft.allocator, flips, row, num_cols, cols, n, error));
    flips->len -= flips->at[flips->len - 1] == num_cols;
    return rmask_finder_row(finder, row, (rmask_finder_input){flips, stay ? cols : NULL, n});
}

rmask_status rmask_from_csr(int32_t rows, int32_t cols, const int64_t *indptr, const int32_t *indices,
                            const rmask_allocator *allocator, rmask **out, rmask_error *error)
{
    rmask_finder finder;
    rmask_int32_vec flips = {0};
    RMASK_TRY(start(&finder, rows, cols, allocator, out, error));
    rmask_status status = RMASK_OK;
    if (indptr[0] != 0) status = rmask_fail(error, RMASK_ERR_ARGUMENT, "indptr begins with %lld: it begins with 0", (long long)indptr[0]);
    for (int32_t row = 0; row < rows && !status; row++) {
        const int64_t begin = indptr[row], row_end = indptr[row + 1];
        if (row_end < begin)
            status = rmask_fail(error, RMASK_ERR_ARGUMENT, "indptr decreases from %lld to %lld at row %d", (long long)begin,
                                (long long)row_end, (int)row);
        else if (row_end > begin)
            status = add_cols(&finder, &flips, row, indices + begin, (size_t)(row_end - begin), true, error);
    }
    return end(&finder, &flips, status, out, error);
}

/* Sorted cells with duplicates, row by row. */
static rmask_status add_cells(rmask_finder *finder, rmask_int32_vec *flips, rmask_int32_vec *cols, const uint64_t *cells, size_t n,
                              rmask_error *error)
{
    for (size_t i = 0; i < n;) {
        const uint64_t row = cells[i] >> 32;
        cols->len = 0;
        for (; i < n && cells[i] >> 32 == row; i++) {
            const int32_t col = (int32_t)(uint32_t)cells[i];
            if (cols->len > 0 && cols->at[cols->len - 1] == col) continue;
            if (!rmask_vec_push(&finder->draft.allocator, cols, col)) return RMASK_ERR_NOMEM;
        }
        RMASK_TRY(add_cols(finder, flips, (int32_t)row, cols->at, cols->len, false, error));
    }
    return RMASK_OK;
}

rmask_status rmask_from_coo(int32_t rows, int32_t cols, const int32_t *row_indices, const int32_t *col_indices, size_t num_cells,
                            const rmask_allocator *allocator, rmask **out, rmask_error *error)
{
    rmask_finder finder;
    rmask_int32_vec flips = {0}, row_cols = {0};
    RMASK_TRY(start(&finder, rows, cols, allocator, out, error));
    const rmask_allocator *chosen = &finder.draft.allocator;
    rmask_status status = RMASK_OK;
    uint64_t *cells = rmask_allocate(chosen, num_cells, sizeof *cells);
    if (!cells) status = RMASK_ERR_NOMEM;
    for (size_t i = 0; i < num_cells && !status; i++) {
        const int32_t row = row_indices[i], col = col_indices[i];
        if (row < 0 || row >= rows || col < 0 || col >= cols)
            status = rmask_fail(error, RMASK_ERR_RANGE, "cell %zu at row %d, column %d lies outside of the grid of %d x %d", i, (int)row,
                                (int)col, (int)rows, (int)cols);
        else
            cells[i] = (uint64_t)row << 32 | (uint32_t)col;
    }
    if (!status && !rmask_sort_u64(chosen, cells, num_cells)) status = RMASK_ERR_NOMEM;
    if (!status) status = add_cells(&finder, &flips, &row_cols, cells, num_cells, error);
    rmask_free(chosen, cells, num_cells, sizeof *cells);
    rmask_vec_free(chosen, &row_cols);
    return end(&finder, &flips, status, out, error);
}

/* ---------------------------------------------------------------- dense */

/* The 64 memberships of a row from column `base` on; those past the last column are false. */
typedef uint64_t read_word(const uint8_t *row, int32_t base, int32_t cols);

static uint64_t word_of_bytes(const uint8_t *row, int32_t base, int32_t cols)
{
    uint8_t cells[64] = {0};
    const size_t n = cols - base < 64 ? (size_t)(cols - base) : 64;
    uint64_t word = 0;
    memcpy(cells, row + base, n);
    for (int i = 0; i < 8; i++) {
        uint64_t eight;
        memcpy(&eight, cells + 8 * i, sizeof eight);
        /* The top bit of each byte that is not 0, then the eight of them gathered by one multiplication. */
        const uint64_t low = UINT64_C(0x7f7f7f7f7f7f7f7f), tops = (((eight & low) + low) | eight) & ~low;
        word |= ((tops >> 7) * UINT64_C(0x0102040810204080) >> 56) << 8 * i;
    }
    return word;
}

static uint64_t word_of_bits(const uint8_t *row, int32_t base, int32_t cols)
{
    uint64_t word = 0;
    const int32_t n = cols - base < 64 ? cols - base : 64;
    memcpy(&word, row + base / 8, ((size_t)n + 7) / 8);
    return n < 64 ? word & ~(~UINT64_C(0) << n) : word;
}

static rmask_status from_dense(int32_t rows, int32_t cols, const uint8_t *cells, size_t row_stride, size_t min_stride, read_word *read,
                               const rmask_allocator *allocator, rmask **out, rmask_error *error)
{
    rmask_finder finder;
    rmask_int32_vec flips = {0};
    RMASK_TRY(start(&finder, rows, cols, allocator, out, error));
    rmask_status status = RMASK_OK;
    if (row_stride < min_stride)
        status = rmask_fail(error, RMASK_ERR_ARGUMENT, "a row stride of %zu bytes is too small for %d columns: %zu are needed",
                            row_stride, (int)cols, min_stride);
    for (int32_t row = 0; row < rows && cols > 0 && !status; row++) {
        const uint8_t *at = cells + (size_t)row * row_stride;
        uint64_t last = 0;
        flips.len = 0;
        for (int64_t base = 0; base < cols && !status; base += 64) {
            if (rmask_vec_reserve(&finder.draft.allocator, &flips, 64))
                rmask_put_word_flips(&flips, read(at, (int32_t)base, cols), (int32_t)base, &last);
            else
                status = RMASK_ERR_NOMEM;
        }
        if (flips.len && flips.at[flips.len - 1] == cols) flips.len--; /* the padding of the last word */
        if (!status) status = rmask_finder_row(&finder, row, (rmask_finder_input){.flips = &flips});
    }
    return end(&finder, &flips, status, out, error);
}

rmask_status rmask_from_bytes(int32_t rows, int32_t cols, const uint8_t *cells, size_t row_stride, const rmask_allocator *allocator,
                              rmask **out, rmask_error *error)
{
    return from_dense(rows, cols, cells, row_stride, cols > 0 ? (size_t)cols : 0, word_of_bytes, allocator, out, error);
}

rmask_status rmask_from_bits(int32_t rows, int32_t cols, const uint8_t *bits, size_t row_stride, const rmask_allocator *allocator,
                             rmask **out, rmask_error *error)
{
    return from_dense(rows, cols, bits, row_stride, cols > 0 ? ((size_t)cols + 7) / 8 : 0, word_of_bits, allocator, out, error);
}
