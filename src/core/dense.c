/* SPDX-License-Identifier: Apache-2.0
 * The cells of a window as bits or bytes. Rows are put together block by block as bits in the first cache: what the fixed
 * boundaries give, which is the same for all rows of a strip, toggled by the sliding ones and by the exceptions. */
#include "core/bits.h"
#include "core/check.h"
#include "simd/simd.h"

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

/* The words of a tile have just been stored, one by one: a load of both at once would have to wait until they are in the
 * cache. */
static void write_bits(uint8_t *out, const uint64_t *words, size_t num_cols)
{
    if (num_cols != 128) {
        memcpy(out, words, (num_cols + 7) / 8);
        return;
    }
    const volatile uint64_t *const stored = words;
    const uint64_t low = stored[0], high = stored[1];
    memcpy(out, &low, sizeof low);
    memcpy(out + sizeof low, &high, sizeof high);
}

static void write_bytes(uint8_t *out, const uint64_t *words, size_t num_cols)
{
    const rmask_simd *simd = rmask_simd_get();
    const size_t whole = num_cols / 64;
    simd->spread(out, words, whole);
    if (num_cols % 64 == 0) return;
    uint8_t last[64];
    simd->spread(last, words + whole, 1);
    memcpy(out + 64 * whole, last, num_cols % 64);
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

/* A strip's boundaries that matter in the window: of the sliding ones those that come into it. */
typedef struct view {
    rmask_boundaries boundaries;
    bool odd; /* the sliding boundaries left of it, in all rows, are an odd number */
} view;

static view view_of(const window *w, rmask_boundaries b, int32_t row_begin, int32_t row_end)
{
    const size_t first = rmask_upper_bound(b.sliding, b.num_sliding, (int64_t)w->col_begin - row_end + 1);
    const size_t end = rmask_upper_bound(b.sliding, b.num_sliding, (int64_t)w->col_end - row_begin - 1);
    return (view){{b.fixed, b.num_fixed, b.sliding + first, end > first ? end - first : 0}, first % 2};
}

static void draw_fixed(window *w, const view *v, int64_t begin, int64_t end)
{
    const size_t num_cols = (size_t)(end - begin);
    memset(w->fixed, 0, rmask_words_of(num_cols) * sizeof *w->fixed);
    rmask_bits_toggle_list(w->fixed, begin, end, v->boundaries.fixed, v->boundaries.num_fixed, 0);
    if (v->odd) rmask_bits_toggle(w->fixed, 0, num_cols);
}

/* The block of columns [begin, end); the fixed boundaries are drawn. */
static inline void write_block(window *w, int32_t row, const view *v, int64_t begin, int64_t end, row_exceptions *exceptions,
                               uint8_t *out)
{
    const rmask_boundaries *b = &v->boundaries;
    const size_t num_cols = (size_t)(end - begin), num_words = rmask_words_of(num_cols);
    if (num_words <= 2) { /* tiles: a call would take as long as all the rest */
        w->words[0] = w->fixed[0];
        w->words[1] = w->fixed[1];
    } else {
        memcpy(w->words, w->fixed, num_words * sizeof *w->words);
    }
    if (b->num_sliding > 0) rmask_bits_toggle_list(w->words, begin, end, b->sliding, b->num_sliding, row);
    if (exceptions->has) toggle_exceptions(w->words, begin, end, exceptions);
    w->write(out, w->words, num_cols);
}

static void write_row(window *w, int32_t row, const view *v, bool is_first, rmask_row_containers containers, uint8_t *out)
{
    row_exceptions exceptions = {.rest = containers};
    exceptions.has = rmask_next_container(&exceptions.rest, &exceptions.container);
    if (w->col_end - w->col_begin <= BLOCK_COLS) {
        if (is_first) draw_fixed(w, v, w->col_begin, w->col_end);
        write_block(w, row, v, w->col_begin, w->col_end, &exceptions, out);
        return;
    }
    for (int64_t begin = w->col_begin; begin < w->col_end; begin += BLOCK_COLS, out += w->block_bytes) {
        const int64_t end = begin + BLOCK_COLS < w->col_end ? begin + BLOCK_COLS : w->col_end;
        draw_fixed(w, v, begin, end);
        write_block(w, row, v, begin, end, &exceptions, out);
    }
}

static void write_rows(window *w, uint8_t *out, size_t row_stride)
{
    const rmask *mask = w->mask;
    rmask_exception_walk walk = rmask_walk_exceptions(mask, w->row_begin);
    int32_t exception_row = rmask_walk_row(&walk);
    for (int32_t row = w->row_begin; row < w->row_end;) {
        const rmask_strip *strip = rmask_strip_of(mask, row);
        const int32_t strip_end = rmask_strip_end(mask, strip), end = strip_end < w->row_end ? strip_end : w->row_end;
        const view v = view_of(w, rmask_boundaries_of(mask, strip), row, end);
        for (bool is_first = true; row < end; row++, is_first = false, out += row_stride) {
            rmask_row_containers containers = {.left = 0};
            if (row == exception_row) {
                containers = rmask_walk_take(&walk);
                exception_row = rmask_walk_row(&walk);
            }
            write_row(w, row, &v, is_first, containers, out);
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
        return rmask_fail(error, RMASK_ERR_ARGUMENT, "a row stride of %zu bytes is too small for %d columns: %zu are needed",
                          row_stride, (int)(w->col_end - w->col_begin), needed);
    return RMASK_OK;
}

static int32_t cut(int32_t position, int32_t side) { return position < side ? position : side; }

static rmask_status write_window(window *w, uint8_t *out, size_t row_stride, rmask_error *error)
{
    const rmask *mask = w->mask;
    w->fixed[0] = w->fixed[1] = 0;
    RMASK_TRY(check(w, row_stride, error));
    const size_t num_rows = (size_t)(w->row_end - w->row_begin), all_bytes = row_bytes(w->col_end - w->col_begin, w->write);
    w->row_begin = cut(w->row_begin, mask->rows);
    w->row_end = cut(w->row_end, mask->rows);
    w->col_begin = cut(w->col_begin, mask->cols);
    w->col_end = cut(w->col_end, mask->cols);
    RMASK_TRY(rmask_trust_rows(mask, w->row_begin, w->row_end, error));
    const size_t rows_inside = (size_t)(w->row_end - w->row_begin);
    const size_t bytes_inside = row_bytes(w->col_end - w->col_begin, w->write);
    w->block_bytes = row_bytes(BLOCK_COLS, w->write);
    if (bytes_inside > 0) write_rows(w, out, row_stride);
    for (size_t row = 0; row < num_rows; row++) {
        const size_t begin = row < rows_inside ? bytes_inside : 0;
        if (begin < all_bytes) memset(out + row * row_stride + begin, 0, all_bytes - begin);
    }
    return RMASK_OK;
}

rmask_status rmask_to_bits(const rmask *mask, int32_t row_begin, int32_t row_end, int32_t col_begin, int32_t col_end,
                           uint8_t *bits, size_t row_stride, rmask_error *error)
{
    window w; /* its blocks are drawn before they are read */
    w.mask = mask;
    w.row_begin = row_begin, w.row_end = row_end, w.col_begin = col_begin, w.col_end = col_end;
    w.write = write_bits;
    return write_window(&w, bits, row_stride, error);
}

rmask_status rmask_to_bytes(const rmask *mask, int32_t row_begin, int32_t row_end, int32_t col_begin, int32_t col_end,
                            uint8_t *cells, size_t row_stride, rmask_error *error)
{
    window w;
    w.mask = mask;
    w.row_begin = row_begin, w.row_end = row_end, w.col_begin = col_begin, w.col_end = col_end;
    w.write = write_bytes;
    return write_window(&w, cells, row_stride, error);
}
