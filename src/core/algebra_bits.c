/* SPDX-License-Identifier: Apache-2.0
 * Rows of two strips with many boundaries, as bits. What the fixed boundaries draw is the same in all rows, what the sliding ones draw
 * moves by a bit a row: both are drawn once, and a row costs its words whatever the number of boundaries. */
#include "core/algebra.h"
#include "core/bits.h"
#include "simd/simd.h"

#include <string.h>

/* One strip in some rows. */
typedef struct drawn_strip {
    rmask_boundaries boundaries;
    uint64_t *fixed;   /* column c is bit c */
    uint64_t *sliding; /* column c of the last row is bit c, of the row before it bit c + 1 ... */
    uint64_t *row;
} drawn_strip;

bool rmask_suits_bits(rmask_boundaries a, rmask_boundaries b, int32_t cols)
{
    return a.num_fixed + a.num_sliding + b.num_fixed + b.num_sliding >= 16 + rmask_words_of((size_t)cols);
}

/* Columns of a row outside of which the strip has no cells. */
static int32_t end_of_row(rmask_boundaries strip, int32_t row, int32_t cols)
{
    if ((strip.num_fixed + strip.num_sliding) % 2) return cols;
    int64_t end = strip.num_fixed ? strip.fixed[strip.num_fixed - 1] : 0;
    if (strip.num_sliding && strip.sliding[strip.num_sliding - 1] + (int64_t)row > end)
        end = strip.sliding[strip.num_sliding - 1] + (int64_t)row;
    return end < cols ? (int32_t)end : cols;
}

static void draw_row(const drawn_strip *strip, size_t num_words, size_t rows_below)
{
    const uint64_t *const sliding = strip->sliding + rows_below / 64, *const fixed = strip->fixed;
    const unsigned shift = rows_below % 64;
    for (size_t i = 0; i < num_words; i++)
        strip->row[i] = fixed[i] ^ (sliding[i] >> shift | sliding[i + 1] << 1 << (63 - shift));
}

static void put_bits(rmask_u64_vec *cells, int32_t row, const uint64_t *words, int32_t end)
{
    const size_t num_words = rmask_words_of((size_t)end);
    for (size_t i = 0; i < num_words; i++) {
        uint64_t word = words[i];
        if (i + 1 == num_words) word &= ~UINT64_C(0) >> (63 - ((unsigned)end - 1) % 64);
        for (; word; word &= word - 1)
            rmask_vec_put(cells, (uint64_t)row << 32 | (i * 64 + (unsigned)__builtin_ctzll(word)));
    }
}

/* Few enough rows that drawing them takes memory in proportion to the columns. */
static void put_some_rows(drawn_strip strips[2], int32_t row_begin, int32_t row_end, int32_t cols, unsigned function,
                          rmask_u64_vec *cells)
{
    for (int i = 0; i < 2; i++) {
        const rmask_boundaries *list = &strips[i].boundaries;
        rmask_bits_toggle_list(strips[i].fixed, 0, cols, list->fixed, list->num_fixed, 0);
        rmask_bits_toggle_list(strips[i].sliding, 1 - (int64_t)row_end, (int64_t)cols - row_begin, list->sliding, list->num_sliding, 0);
    }
    for (int32_t row = row_begin; row < row_end; row++) {
        int32_t end = cols;
        if (!(function & 1)) {
            const int32_t end_a = end_of_row(strips[0].boundaries, row, cols), end_b = end_of_row(strips[1].boundaries, row, cols);
            end = end_a > end_b ? end_a : end_b;
        }
        if (end <= 0) continue;
        const size_t num_words = rmask_words_of((size_t)end);
        for (int i = 0; i < 2; i++) draw_row(&strips[i], num_words, (size_t)(row_end - 1 - row));
        uint16_t *const out = (uint16_t *)(void *)strips[0].row;
        rmask_simd_get()->combine(out, out, (const uint16_t *)(void *)strips[1].row, 4 * num_words, function);
        put_bits(cells, row, strips[0].row, end);
    }
}

rmask_status rmask_put_cells_of_strips(rmask_boundaries a, rmask_boundaries b, int32_t row_begin, int32_t row_end, int32_t cols,
                                       unsigned function, const rmask_allocator *allocator, rmask_u64_vec *cells)
{
    const int32_t most_rows = row_end - row_begin < cols ? row_end - row_begin : cols;
    const size_t num_words = rmask_words_of((size_t)cols), num_sliding = rmask_words_of((size_t)cols + (size_t)most_rows) + 1;
    const size_t total = 2 * (2 * num_words + num_sliding);
    uint64_t *const words = rmask_allocate(allocator, total, sizeof *words);
    if (!words) return RMASK_ERR_NOMEM;
    drawn_strip strips[2] = {{.boundaries = a}, {.boundaries = b}};
    uint64_t *at = words;
    for (int i = 0; i < 2; i++) {
        strips[i].fixed = at;
        strips[i].sliding = at + num_words;
        strips[i].row = at + num_words + num_sliding;
        at += 2 * num_words + num_sliding;
    }
    for (int32_t row = row_begin; row < row_end;) {
        const int32_t stop = row_end - row < most_rows ? row_end : row + most_rows;
        memset(words, 0, total * sizeof *words);
        put_some_rows(strips, row, stop, cols, function, cells);
        row = stop;
    }
    rmask_free(allocator, words, total, sizeof *words);
    return RMASK_OK;
}
