/* SPDX-License-Identifier: Apache-2.0
 * Windows as bits and as bytes: inside the grid, over its edges, outside of it. */
#include <stdlib.h>
#include <string.h>

#include "support/generate.h"
#include "support/ways.h"

enum { GUARD = 0xa5 };

typedef struct window {
    int32_t row_begin, row_end, col_begin, col_end;
} window;

static bool cell_of(const twin *t, int64_t row, int64_t col)
{
    return row < t->rows && col < t->cols && twin_at(t, (int32_t)row)[col];
}

static void check_bits(const rmask *mask, const twin *t, window w, size_t slack)
{
    size_t num_rows = (size_t)(w.row_end - w.row_begin), num_cols = (size_t)(w.col_end - w.col_begin);
    size_t num_bytes = (num_cols + 7) / 8, stride = num_bytes + slack;
    uint8_t *bits = must_allocate(num_rows * stride + 64);
    memset(bits, GUARD, num_rows * stride + 64);
    expect_ok(rmask_to_bits(mask, w.row_begin, w.row_end, w.col_begin, w.col_end, bits, stride, test_error));
    for (size_t i = 0; i < num_rows; i++) {
        const uint8_t *row = bits + i * stride;
        for (size_t j = 0; j < num_bytes * 8; j++) {
            bool wanted = j < num_cols && cell_of(t, w.row_begin + (int64_t)i, w.col_begin + (int64_t)j);
            expect((row[j / 8] >> j % 8 & 1) == wanted, "bit (%zu, %zu) of [%d, %d) x [%d, %d) is not %d", i, j,
                   w.row_begin, w.row_end, w.col_begin, w.col_end, wanted);
        }
        for (size_t j = num_bytes; j < stride; j++) expect(row[j] == GUARD, "byte %zu behind row %zu is written", j, i);
    }
    for (size_t j = 0; j < 64; j++) expect(bits[num_rows * stride + j] == GUARD, "byte %zu behind the window is written", j);
    free(bits);
}

static void check_bytes(const rmask *mask, const twin *t, window w, size_t slack)
{
    size_t num_rows = (size_t)(w.row_end - w.row_begin), num_cols = (size_t)(w.col_end - w.col_begin);
    size_t stride = num_cols + slack;
    uint8_t *cells = must_allocate(num_rows * stride + 64);
    memset(cells, GUARD, num_rows * stride + 64);
    expect_ok(rmask_to_bytes(mask, w.row_begin, w.row_end, w.col_begin, w.col_end, cells, stride, test_error));
    for (size_t i = 0; i < num_rows; i++) {
        const uint8_t *row = cells + i * stride;
        for (size_t j = 0; j < num_cols; j++)
            expect(row[j] == cell_of(t, w.row_begin + (int64_t)i, w.col_begin + (int64_t)j),
                   "byte (%zu, %zu) of [%d, %d) x [%d, %d) is %d", i, j, w.row_begin, w.row_end, w.col_begin, w.col_end, row[j]);
        for (size_t j = num_cols; j < stride; j++) expect(row[j] == GUARD, "byte %zu behind row %zu is written", j, i);
    }
    for (size_t j = 0; j < 64; j++) expect(cells[num_rows * stride + j] == GUARD, "byte %zu behind the window is written", j);
    free(cells);
}

static void check_window(const rmask *mask, const twin *t, window w, size_t slack)
{
    check_bits(mask, t, w, slack);
    check_bytes(mask, t, w, slack);
}

/* A begin in the grid or beside it, an end after it, perhaps far outside. */
static window random_window(const twin *t, rng *random)
{
    window w;
    w.row_begin = (int32_t)rng_below(random, t->rows + 3);
    w.row_end = w.row_begin + (int32_t)rng_below(random, rng_chance(random, 0.5) ? 20 : t->rows + 9);
    w.col_begin = (int32_t)rng_below(random, t->cols + 3);
    w.col_end = w.col_begin + (int32_t)rng_below(random, rng_chance(random, 0.5) ? 140 : t->cols + 99);
    return w;
}

static void check_mask(const rmask *mask, const twin *t, int num_windows, rng *random)
{
    check_window(mask, t, (window){0, t->rows, 0, t->cols}, 0);
    check_window(mask, t, (window){0, t->rows + 2, 0, t->cols + 70}, 3);
    for (int i = 0; i < num_windows; i++) check_window(mask, t, random_window(t, random), (size_t)rng_below(random, 9));
}

static void every_kind(void **state)
{
    (void)state;
    rng random = rng_here();
    for (int kind = 0; kind < NUM_KINDS; kind++)
        for (int repeat = 0; repeat < 6; repeat++) {
            shape s = random_shape(8000, &random);
            twin *t = generate(kind, s.rows, s.cols, &random);
            rmask *mask = make_any(t, &random);
            note("%s, %d x %d", kind_name(kind), s.rows, s.cols);
            check_mask(mask, t, 12, &random);
            rmask_release(mask), twin_free(t);
        }
}

/* Rows of several blocks and chunks among them. */
static void every_shape(void **state)
{
    (void)state;
    rng random = rng_here();
    for (int i = 0; i < num_shapes; i++)
        for (int repeat = 0; repeat < (i < num_small_shapes ? 6 : 3); repeat++) {
            int kind = (int)rng_below(&random, NUM_KINDS);
            twin *t = generate(kind, shapes[i].rows, shapes[i].cols, &random);
            rmask *mask = make_plain(t);
            note("%s, %d x %d", kind_name(kind), shapes[i].rows, shapes[i].cols);
            check_mask(mask, t, 4, &random);
            rmask_release(mask), twin_free(t);
        }
}

/* Tiles as kernels take them, cut off nowhere. */
static void tiles_of_a_large_mask(void **state)
{
    (void)state;
    enum { TILE = 128, SIDE = 1 << 20 };
    rng random = rng_here();
    rmask *mask;
    uint8_t bits[TILE * TILE / 8];
    expect_ok(rmask_parse("causal & (sink(4) | window(4096)) | random(0.00001, seed=3)", SIDE, SIDE, NULL, &mask, test_error));
    for (int i = 0; i < 200; i++) {
        int32_t row = (int32_t)rng_below(&random, SIDE), near = row - (int32_t)rng_below(&random, 5000);
        int32_t col = i % 2 || near < 0 ? (int32_t)rng_below(&random, SIDE) : near;
        expect_ok(rmask_to_bits(mask, row, row + TILE, col, col + TILE, bits, TILE / 8, test_error));
        for (int32_t r = 0; r < TILE; r++)
            for (int32_t c = 0; c < TILE; c++)
                expect((bits[r * (TILE / 8) + c / 8] >> c % 8 & 1) == rmask_contains(mask, row + r, col + c), "cell (%d, %d)",
                       row + r, col + c);
    }
    rmask_release(mask);
}

static void the_largest_grid(void **state)
{
    (void)state;
    rmask *mask;
    uint8_t cells[4 * 8], wanted[4 * 8] = {1, 1, 1, 0, 0, 0, 0, 0, 1, 1, 1, 1};
    const int32_t most = RMASK_MAX_SIDE;
    expect_ok(rmask_parse("causal & window(9)", most, most, NULL, &mask, test_error));
    expect_ok(rmask_to_bytes(mask, most - 2, most, most - 4, most, cells, 8, test_error));
    expect(memcmp(cells, wanted, 4) == 0 && memcmp(cells + 8, wanted + 8, 4) == 0, "the last cells differ");
    expect_ok(rmask_to_bits(mask, most - 2, most, most - 4, most, cells, 1, test_error));
    expect(cells[0] == 7 && cells[1] == 15, "the last bits are %d and %d", cells[0], cells[1]);
    rmask_release(mask);
}

static void errors(void **state)
{
    (void)state;
    static const window wrong[] = {{-1, 2, 0, 2}, {3, 2, 0, 2}, {0, 2, -1, 2}, {0, 2, 3, 2}, {INT32_MIN, INT32_MAX, 0, 2}};
    rmask *mask;
    uint8_t cells[64];
    memset(cells, GUARD, sizeof cells);
    expect_ok(rmask_parse("full", 5, 20, NULL, &mask, test_error));
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        window w = wrong[i];
        const int32_t row = w.row_begin, row_end = w.row_end, col = w.col_begin, col_end = w.col_end;
        expect_fails(RMASK_ERR_RANGE, rmask_to_bits(mask, row, row_end, col, col_end, cells, 64, test_error));
        expect_fails(RMASK_ERR_RANGE, rmask_to_bytes(mask, row, row_end, col, col_end, cells, 64, test_error));
    }
    expect_fails(RMASK_ERR_ARGUMENT, rmask_to_bits(mask, 0, 2, 0, 17, cells, 2, test_error));
    expect(strstr(test_error->message, "3 are needed") != NULL, "%s", test_error->message);
    expect_fails(RMASK_ERR_ARGUMENT, rmask_to_bytes(mask, 0, 2, 0, 17, cells, 16, test_error));
    expect(strstr(test_error->message, "17 are needed") != NULL, "%s", test_error->message);
    for (size_t i = 0; i < sizeof cells; i++) expect(cells[i] == GUARD, "a call that failed wrote byte %zu", i);
    expect_ok(rmask_to_bits(mask, 2, 2, 0, 20, cells, 3, test_error));
    expect_ok(rmask_to_bytes(mask, 0, 5, 7, 7, cells, 0, test_error));
    for (size_t i = 0; i < sizeof cells; i++) expect(cells[i] == GUARD, "an empty window wrote byte %zu", i);
    rmask_release(mask);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind),       cmocka_unit_test(every_shape), cmocka_unit_test(tiles_of_a_large_mask),
        cmocka_unit_test(the_largest_grid), cmocka_unit_test(errors),
    };
    return run_test_program(tests);
}
