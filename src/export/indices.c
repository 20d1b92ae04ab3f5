/* SPDX-License-Identifier: Apache-2.0
 * Index tensors: compressed rows, padded rows, and the bits of tiles. */
#include "roarmask/export.h"

#include "core/check.h"
#include "core/row.h"

#include <string.h>

rmask_status rmask_export_bsr(const rmask *mask, int32_t row_begin, int32_t row_end, int32_t *indptr, int32_t *indices, size_t capacity,
                              rmask_error *error)
{
    RMASK_TRY(rmask_check_readable(mask, row_begin, row_end, error));
    rmask_row_reader reader = rmask_read_rows(mask, row_begin);
    uint64_t total = 0;
    indptr[0] = 0;
    for (int32_t row = row_begin; row < row_end; row++) {
        const bool has_room = indices && total < capacity;
        total += has_room ? rmask_read_row(&reader, indices + total, capacity - (size_t)total) : rmask_read_row_count(&reader);
        if (total > INT32_MAX)
            return rmask_fail(error, RMASK_ERR_LIMIT, "int32 starts hold 2^31 - 1 cells: row %d is past them; export fewer rows", (int)row);
        indptr[row - row_begin + 1] = (int32_t)total;
    }
    if (!indices || total <= capacity) return RMASK_OK;
    return rmask_fail(error, RMASK_ERR_CAPACITY, "the buffer has room for %zu indices, %llu are needed", capacity, (unsigned long long)total);
}

rmask_status rmask_export_padded(const rmask *mask, int32_t row_begin, int32_t row_end, int32_t *counts, int32_t *indices, size_t row_stride,
                                 rmask_error *error)
{
    RMASK_TRY(rmask_check_readable(mask, row_begin, row_end, error));
    rmask_row_reader reader = rmask_read_rows(mask, row_begin);
    for (int32_t row = row_begin; row < row_end; row++, indices += row_stride) {
        const size_t count = rmask_read_row(&reader, indices, row_stride);
        if (count > row_stride)
            return rmask_fail(error, RMASK_ERR_CAPACITY, "row %d has %zu columns, and rows have room for %zu", (int)row, count, row_stride);
        counts[row - row_begin] = (int32_t)count;
    }
    return RMASK_OK;
}

rmask_status rmask_export_max_row_count(const rmask *mask, int32_t row_begin, int32_t row_end, size_t *count, rmask_error *error)
{
    *count = 0;
    RMASK_TRY(rmask_check_readable(mask, row_begin, row_end, error));
    rmask_row_reader reader = rmask_read_rows(mask, row_begin);
    for (int32_t row = row_begin; row < row_end; row++) {
        const size_t cells = rmask_read_row_count(&reader);
        if (cells > *count) *count = cells;
    }
    return RMASK_OK;
}

/* ---------------------------------------------------------------- bits */

/* Tiles begin at whole bytes. */
static size_t bytes_of_tile(int32_t tile_rows, int32_t tile_cols) { return ((size_t)tile_rows * (size_t)tile_cols + 7) / 8; }

/* One tile: its rows are whole bytes, or packed one behind the other. */
static rmask_status put_tile(const rmask *mask, int64_t row, int64_t col, int32_t tile_rows, int32_t tile_cols, uint8_t *bits, rmask_error *error)
{
    const int32_t row_end = row + tile_rows > INT32_MAX ? INT32_MAX : (int32_t)(row + tile_rows);
    const int32_t col_end = col + tile_cols > INT32_MAX ? INT32_MAX : (int32_t)(col + tile_cols);
    if (tile_cols % 8 == 0)
        return rmask_to_bits(mask, (int32_t)row, row_end, (int32_t)col, col_end, bits, (size_t)tile_cols / 8, error);
    memset(bits, 0, bytes_of_tile(tile_rows, tile_cols));
    for (int32_t i = 0; i < tile_rows; i++)
        for (int32_t j = 0; j < tile_cols; j++) {
            const size_t bit = (size_t)i * (size_t)tile_cols + (size_t)j;
            if (row + i < mask->rows && col + j < mask->cols && rmask_contains(mask, (int32_t)(row + i), (int32_t)(col + j)))
                bits[bit / 8] = (uint8_t)(bits[bit / 8] | 1u << bit % 8);
        }
    return RMASK_OK;
}

typedef struct tile_bits {
    const rmask *mask;
    int32_t tile_rows, tile_cols;
    uint8_t *next;
    rmask_status status;
    rmask_error *error;
} tile_bits;

static int put_tile_row(void *context, int32_t tile_row, const int32_t *tile_cols, size_t num_tiles)
{
    tile_bits *t = context;
    for (size_t i = 0; i < num_tiles && !t->status; i++) {
        t->status = put_tile(t->mask, (int64_t)tile_row * t->tile_rows, (int64_t)tile_cols[i] * t->tile_cols, t->tile_rows, t->tile_cols, t->next,
                             t->error);
        t->next += bytes_of_tile(t->tile_rows, t->tile_cols);
    }
    return t->status != RMASK_OK;
}

rmask_status rmask_export_tile_bits(const rmask *mask, const rmask *tiles, int32_t tile_rows, int32_t tile_cols, uint8_t *bits, size_t capacity,
                                    rmask_error *error)
{
    if (tile_rows < 1 || tile_cols < 1)
        return rmask_fail(error, RMASK_ERR_ARGUMENT, "tiles of %d x %d: both sides are at least 1", (int)tile_rows, (int)tile_cols);
    if (tiles->rows != (mask->rows + (int64_t)tile_rows - 1) / tile_rows || tiles->cols != (mask->cols + (int64_t)tile_cols - 1) / tile_cols)
        return rmask_fail(error, RMASK_ERR_ARGUMENT, "tiles of %d x %d of a grid of %d x %d make %lld x %lld tiles, not %d x %d", (int)tile_rows,
                          (int)tile_cols, (int)mask->rows, (int)mask->cols, ((long long)mask->rows + tile_rows - 1) / tile_rows,
                          ((long long)mask->cols + tile_cols - 1) / tile_cols, (int)tiles->rows, (int)tiles->cols);
    const size_t tile_bytes = bytes_of_tile(tile_rows, tile_cols);
    if (rmask_count(tiles) > capacity / tile_bytes)
        return rmask_fail(error, RMASK_ERR_CAPACITY, "the buffer has room for %zu bytes, %llu tiles of %zu bytes are needed", capacity,
                          (unsigned long long)rmask_count(tiles), tile_bytes);
    RMASK_TRY(rmask_trust(tiles, error));
    RMASK_TRY(rmask_trust(mask, error));
    tile_bits context = {mask, tile_rows, tile_cols, bits, RMASK_OK, error};
    const rmask_status status = rmask_for_each_row(tiles, 0, tiles->rows, put_tile_row, &context, error);
    return context.status ? context.status : status;
}
