/* SPDX-License-Identifier: Apache-2.0
 * The cells of a window as bits or bytes. Rows are put together block by block as bits in the first cache: what the fixed boundaries
 * give, which is the same for all rows of a strip, toggled by the sliding ones and by the exceptions. */
#include "core/bits.h"
#include "core/check.h"

#include <string.h>

enum { BLOCK_COLS = 65536, BLOCK_WORDS = BLOCK_COLS / 64 };

/* Writes `num_cols` cells, from a whole block on, into a row of the output. */
typedef void block_writer(uint8_t *out, const uint64_t *words, size_t num_cols);

typedef struct window {
    const rmask *mask;
    int32_t row_begin, row_end, col_begin, col_end; /* cut to the grid */
    size_t block_bytes;                             /* of a block in the output */
    block_writer *write;
    uint64_t fixed[BLOCK_WORDS], words[BLOCK_WORDS];
} window;

/* ---------------------------------------------------------------- writing blocks */

static void write_bits(uint8_t *out, const uint64_t *words, size_t num_cols) { memcpy(out, words, (num_cols + 7) / 8); }

/* Eight bits as eight bytes of 0 or 1. */
static inline uint64_t spread(unsigned bits)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    const uint64_t apart = bits * ones & UINT64_C(0x8040201008040201); /* byte i has bit i, in place i */
    return (apart + 0x7f * ones) >> 7 & ones;
}

static inline void write_word(uint8_t *out, uint64_t word)
{
    if (word == 0) {
        memset(out, 0, 64);
    } else if (word == ~UINT64_C(0)) {
        memset(out, 1, 64);
    } else {
        for (size_t i = 0; i < 8; i++) {
            const uint64_t cells = spread((unsigned)(word >> 8 * i & 0xff));
            memcpy(out + 8 * i, &cells, sizeof cells);
        }
    }
}

static void write_bytes(uint8_t *out, const uint64_t *words, size_t num_cols)
{
    uint8_t last[64];
    size_t i = 0;
    for (; i + 64 <= num_cols; i += 64) write_word(out + i, words[i / 64]);
    if (i == num_cols) return;
    write_word(last, words[i / 64]);
    memcpy(out + i, last, num_cols - i);
}

/* ---------------------------------------------------------------- rows */

/* One row's containers, from block to block. */
typedef struct row_exceptions {
    rmask_row_containers rest;
    rmask_container container;
    bool has; /* there is one, and it reaches past the last block */
} row_exceptions;

static void toggle_exceptions(uint64_t *words, int64_t begin, int64_t end, row_exceptions *row)
{
    while (row->has) {
        const int64_t base = (int64_t)row->container.chunk * RMASK_CHUNK_COLS, limit = base + RMASK_CHUNK_COLS;
        if (base >= end) return;
        if (limit > begin) rmask_bits_toggle_container(words, begin, end, &row->container);
        if (limit > end) return;
        row->has = rmask_next_container(&row->rest, &row->container);
    }
}

static void write_row(window *w, int32_t row, rmask_boundaries strip, bool is_first, rmask_row_containers containers, uint8_t *out)
{
    row_exceptions exceptions = {.rest = containers};
    exceptions.has = rmask_next_container(&exceptions.rest, &exceptions.container);
    const bool fits = w->col_end - w->col_begin <= BLOCK_COLS;
    for (int64_t begin = w->col_begin; begin < w->col_end; begin += BLOCK_COLS, out += w->block_bytes) {
        const int64_t end = begin + BLOCK_COLS < w->col_end ? begin + BLOCK_COLS : w->col_end;
        const size_t num_cols = (size_t)(end - begin), num_bytes = rmask_words_of(num_cols) * sizeof *w->words;
        if (is_first || !fits) {
            memset(w->fixed, 0, num_bytes);
            rmask_bits_toggle_list(w->fixed, begin, end, strip.fixed, strip.num_fixed, 0);
        }
        memcpy(w->words, w->fixed, num_bytes);
        rmask_bits_toggle_list(w->words, begin, end, strip.sliding, strip.num_sliding, row);
        toggle_exceptions(w->words, begin, end, &exceptions);
        w->write(out, w->words, num_cols);
    }
}

static void write_rows(window *w, uint8_t *out, size_t row_stride)
{
    const rmask *mask = w->mask;
    rmask_exception_walk walk = rmask_walk_exceptions(mask, w->row_begin);
    int32_t exception_row = rmask_walk_row(&walk);
    for (int32_t row = w->row_begin; row < w->row_end;) {
        const rmask_strip *strip = rmask_strip_of(mask, row);
        const rmask_boundaries boundaries = rmask_boundaries_of(mask, strip);
        const int32_t strip_end = rmask_strip_end(mask, strip);
        for (bool is_first = true; row < strip_end && row < w->row_end; row++, is_first = false, out += row_stride) {
            rmask_row_containers containers = {.left = 0};
            if (row == exception_row) {
                containers = rmask_walk_take(&walk);
                exception_row = rmask_walk_row(&walk);
            }
            write_row(w, row, boundaries, is_first, containers, out);
        }
    }
}

/* ---------------------------------------------------------------- windows */

/* What a row takes, as bits or as bytes. */
static size_t row_bytes(int32_t num_cols, block_writer *write)
{
    return write == write_bits ? ((size_t)num_cols + 7) / 8 : (size_t)num_cols;
}

static rmask_status check(const window *w, size_t row_stride, rmask_error *error)
{
    if (w->row_begin < 0 || w->row_begin > w->row_end || w->col_begin < 0 || w->col_begin > w->col_end)
        return rmask_fail(error, RMASK_ERR_RANGE, "rows [%d, %d) and columns [%d, %d) are no window", (int)w->row_begin,
                          (int)w->row_end, (int)w->col_begin, (int)w->col_end);
    const size_t needed = row_bytes(w->col_end - w->col_begin, w->write);
    if (row_stride < needed)
        return rmask_fail(error, RMASK_ERR_ARGUMENT, "a row stride of %zu bytes is too small for %d columns: %zu are needed", row_stride,
                          (int)(w->col_end - w->col_begin), needed);
    return RMASK_OK;
}

static int32_t cut(int32_t position, int32_t side) { return position < side ? position : side; }

static rmask_status write_window(window *w, uint8_t *out, size_t row_stride, rmask_error *error)
{
    const rmask *mask = w->mask;
    RMASK_TRY(check(w, row_stride, error));
    const size_t num_rows = (size_t)(w->row_end - w->row_begin), all_bytes = row_bytes(w->col_end - w->col_begin, w->write);
    w->row_begin = cut(w->row_begin, mask->rows);
    w->row_end = cut(w->row_end, mask->rows);
    w->col_begin = cut(w->col_begin, mask->cols);
    w->col_end = cut(w->col_end, mask->cols);
    RMASK_TRY(rmask_trust_rows(mask, w->row_begin, w->row_end, error));
    const size_t rows_inside = (size_t)(w->row_end - w->row_begin), bytes_inside = row_bytes(w->col_end - w->col_begin, w->write);
    w->block_bytes = row_bytes(BLOCK_COLS, w->write);
    if (bytes_inside > 0) write_rows(w, out, row_stride);
    for (size_t row = 0; row < num_rows; row++) {
        const size_t begin = row < rows_inside ? bytes_inside : 0;
        if (begin < all_bytes) memset(out + row * row_stride + begin, 0, all_bytes - begin);
    }
    return RMASK_OK;
}

rmask_status rmask_to_bits(const rmask *mask, int32_t row_begin, int32_t row_end, int32_t col_begin, int32_t col_end, uint8_t *bits,
                           size_t row_stride, rmask_error *error)
{
    window w;
    w.mask = mask, w.row_begin = row_begin, w.row_end = row_end, w.col_begin = col_begin, w.col_end = col_end, w.write = write_bits;
    return write_window(&w, bits, row_stride, error);
}

rmask_status rmask_to_bytes(const rmask *mask, int32_t row_begin, int32_t row_end, int32_t col_begin, int32_t col_end, uint8_t *cells,
                            size_t row_stride, rmask_error *error)
{
    window w;
    w.mask = mask, w.row_begin = row_begin, w.row_end = row_end, w.col_begin = col_begin, w.col_end = col_end, w.write = write_bytes;
    return write_window(&w, cells, row_stride, error);
}
