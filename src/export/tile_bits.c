/* SPDX-License-Identifier: Apache-2.0
 * The cells inside of tiles as bits: tile by tile, or as the rows of a kernel that sees each row of tiles as one narrow matrix. */
#include "roarmask/export.h"

#include "core/check.h"
#include "core/row.h"

#include <string.h>

/* Where a part of the mask goes: its first bit, and from there on the bits from one row to the next. */
typedef struct place {
    uint8_t *bits;
    uint64_t first_bit, bits_of_row;
} place;

/* Sets those bits from `at` on that are set in chunk[0 .. num_bytes). */
static void add_bits(uint8_t *bits, uint64_t at, const uint8_t *chunk, size_t num_bytes)
{
    const unsigned shift = at % 8;
    uint8_t *out = bits + at / 8;
    for (size_t i = 0; i < num_bytes; i++) {
        const unsigned both = (unsigned)chunk[i] << shift;
        out[i] = (uint8_t)(out[i] | (both & 0xff));
        if (both >> 8) out[i + 1] = (uint8_t)(out[i + 1] | both >> 8);
    }
}

static int32_t within_sides(int64_t position) { return position < INT32_MAX ? (int32_t)position : INT32_MAX; }

/* A part of the mask, some of which may be beyond the grid. Where places are no whole bytes its bits are 0 before. */
static rmask_status put_cells(const rmask *mask, int64_t row, int64_t col, int64_t num_rows, int64_t num_cols, place to,
                              rmask_error *error)
{
    enum { CHUNK_COLS = 512 };
    if (to.first_bit % 8 == 0 && to.bits_of_row % 8 == 0 && num_cols % 8 == 0)
        return rmask_to_bits(mask, (int32_t)row, within_sides(row + num_rows), (int32_t)col, within_sides(col + num_cols),
                             to.bits + to.first_bit / 8, (size_t)(to.bits_of_row / 8), error);
    const int64_t row_end = row + num_rows < mask->rows ? row + num_rows : mask->rows,
                  col_end = col + num_cols < mask->cols ? col + num_cols : mask->cols;
    for (uint64_t row_bit = to.first_bit; row < row_end; row++, row_bit += to.bits_of_row)
        for (int64_t begin = col; begin < col_end; begin += CHUNK_COLS) {
            uint8_t chunk[CHUNK_COLS / 8];
            const int64_t end = begin + CHUNK_COLS < col_end ? begin + CHUNK_COLS : col_end;
            RMASK_TRY(
                rmask_to_bits(mask, (int32_t)row, (int32_t)row + 1, (int32_t)begin, (int32_t)end, chunk, sizeof chunk, error));
            add_bits(to.bits, row_bit + (uint64_t)(begin - col), chunk, (size_t)(end - begin + 7) / 8);
        }
    return RMASK_OK;
}

/* ---------------------------------------------------------------- rows of tiles */

typedef struct layout layout;

/* Writes the tiles of a row to layout->next, which it moves on. */
typedef rmask_status row_writer(layout *l, int64_t row, const int32_t *tile_cols, size_t num_tiles);

struct layout {
    const rmask *mask;
    int32_t tile_rows, tile_cols;
    row_writer *write;
    uint8_t *next;
    rmask_status status;
    rmask_error *error;
};

/* The bytes of tiles that lie one behind the other, bit behind bit. */
static size_t bytes_of_tiles(int32_t tile_rows, int32_t tile_cols, uint64_t num_tiles)
{
    return (size_t)((num_tiles * (uint64_t)tile_cols * (uint64_t)tile_rows + 7) / 8);
}

/* What put_cells does not write: all where places are no whole bytes, and what is beyond the largest grid. */
static void clear(const layout *l, int64_t row, size_t num_bytes)
{
    if (l->tile_cols % 8 != 0 || row + l->tile_rows > INT32_MAX) memset(l->next, 0, num_bytes);
}

static rmask_status write_each_tile(layout *l, int64_t row, const int32_t *tile_cols, size_t num_tiles)
{
    const size_t num_bytes = bytes_of_tiles(l->tile_rows, l->tile_cols, 1);
    for (size_t i = 0; i < num_tiles; i++, l->next += num_bytes) {
        const place to = {l->next, 0, (uint64_t)l->tile_cols};
        clear(l, row, num_bytes);
        RMASK_TRY(put_cells(l->mask, row, (int64_t)tile_cols[i] * l->tile_cols, l->tile_rows, l->tile_cols, to, l->error));
    }
    return RMASK_OK;
}

/* Neighbours are written at once. */
static rmask_status write_side_by_side(layout *l, int64_t row, const int32_t *tile_cols, size_t num_tiles)
{
    const size_t num_bytes = bytes_of_tiles(l->tile_rows, l->tile_cols, num_tiles);
    clear(l, row, num_bytes);
    for (size_t i = 0, end; i < num_tiles; i = end) {
        for (end = i + 1; end < num_tiles && tile_cols[end] == tile_cols[end - 1] + 1;) end++;
        const place to = {l->next, i * (uint64_t)l->tile_cols, num_tiles * (uint64_t)l->tile_cols};
        RMASK_TRY(put_cells(l->mask, row, (int64_t)tile_cols[i] * l->tile_cols, l->tile_rows, (int64_t)(end - i) * l->tile_cols,
                            to, l->error));
    }
    l->next += num_bytes;
    return RMASK_OK;
}

static int put_tile_row(void *context, int32_t tile_row, const int32_t *tile_cols, size_t num_tiles)
{
    layout *l = context;
    l->status = l->write(l, (int64_t)tile_row * l->tile_rows, tile_cols, num_tiles);
    return l->status != RMASK_OK;
}

static rmask_status check_tiles(const rmask *mask, const rmask *tiles, int32_t tile_rows, int32_t tile_cols, rmask_error *error)
{
    if (tile_rows < 1 || tile_cols < 1)
        return rmask_fail(error, RMASK_ERR_ARGUMENT, "tiles of %d x %d: both sides are at least 1", (int)tile_rows,
                          (int)tile_cols);
    const int64_t rows = (mask->rows + (int64_t)tile_rows - 1) / tile_rows,
                  cols = (mask->cols + (int64_t)tile_cols - 1) / tile_cols;
    if (tiles->rows != rows || tiles->cols != cols)
        return rmask_fail(error, RMASK_ERR_ARGUMENT,
                          "tiles of %d x %d of a grid of %d x %d make %lld x %lld tiles, not %d x %d", (int)tile_rows,
                          (int)tile_cols, (int)mask->rows, (int)mask->cols, (long long)rows, (long long)cols, (int)tiles->rows,
                          (int)tiles->cols);
    return RMASK_OK;
}

static rmask_status put_tiles(const rmask *tiles, layout l)
{
    RMASK_TRY(rmask_trust(tiles, l.error));
    RMASK_TRY(rmask_trust(l.mask, l.error));
    const rmask_status status = rmask_for_each_row(tiles, 0, tiles->rows, put_tile_row, &l, l.error);
    return l.status ? l.status : status;
}

/* ---------------------------------------------------------------- the two layouts */

rmask_status rmask_export_tile_bits(const rmask *mask, const rmask *tiles, int32_t tile_rows, int32_t tile_cols, uint8_t *bits,
                                    size_t capacity, rmask_error *error)
{
    RMASK_TRY(check_tiles(mask, tiles, tile_rows, tile_cols, error));
    const size_t tile_bytes = bytes_of_tiles(tile_rows, tile_cols, 1);
    if (rmask_count(tiles) > capacity / tile_bytes)
        return rmask_fail(error, RMASK_ERR_CAPACITY, "the buffer has room for %zu bytes, %llu tiles of %zu bytes are needed",
                          capacity, (unsigned long long)rmask_count(tiles), tile_bytes);
    return put_tiles(tiles, (layout){mask, tile_rows, tile_cols, write_each_tile, bits, RMASK_OK, error});
}

rmask_status rmask_export_packed_mask(const rmask *mask, const rmask *tiles, int32_t tile_rows, int32_t tile_cols,
                                      int32_t *starts, uint8_t *bits, size_t capacity, rmask_error *error)
{
    RMASK_TRY(check_tiles(mask, tiles, tile_rows, tile_cols, error));
    RMASK_TRY(rmask_check_readable(tiles, 0, tiles->rows, error));
    rmask_row_reader reader = rmask_read_rows(tiles, 0);
    uint64_t total = 0;
    starts[0] = 0;
    for (int32_t row = 0; row < tiles->rows; row++) {
        total += bytes_of_tiles(tile_rows, tile_cols, rmask_read_row_count(&reader));
        if (total > INT32_MAX)
            return rmask_fail(error, RMASK_ERR_LIMIT,
                              "int32 starts hold 2^31 - 1 bytes of bits: row %d of the tiles is past them", (int)row);
        starts[row + 1] = (int32_t)total;
    }
    if (!bits) return RMASK_OK;
    if (total > capacity)
        return rmask_fail(error, RMASK_ERR_CAPACITY, "the buffer has room for %zu bytes, %llu are needed", capacity,
                          (unsigned long long)total);
    return put_tiles(tiles, (layout){mask, tile_rows, tile_cols, write_side_by_side, bits, RMASK_OK, error});
}
