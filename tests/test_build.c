/* SPDX-License-Identifier: Apache-2.0
 * Masks from CSR, coordinates, bytes and bits: every way makes the same mask, and bad input makes none. */
#include <stdlib.h>
#include <string.h>

#include "support/generate.h"
#include "support/ways.h"

/* ---------------------------------------------------------------- every way, every kind */

static void check_ways(const twin *t, const char *name, rng *random)
{
    rmask *plain = make_plain(t);
    for (int way = 0; way < NUM_WAYS; way++) {
        note("%s %d x %d by %s", name, t->rows, t->cols, way_name(way));
        rmask *mask = make(way, t, NULL, random);
        check_equal(plain, mask, true);
        check_rows_release(mask, t);
    }
    rmask_release(plain);
}

static void small_grids_by_every_way(void **state)
{
    (void)state;
    rng random = rng_here();
    for (int i = 0; i < num_small_shapes; i++)
        for (int kind = 0; kind < NUM_KINDS; kind++) {
            twin *t = generate(kind, shapes[i].rows, shapes[i].cols, &random);
            check_ways(t, kind_name(kind), &random);
            twin_free(t);
        }
}

static void large_grids_by_every_way(void **state)
{
    (void)state;
    rng random = rng_here();
    for (int i = num_small_shapes; i < num_shapes; i++)
        for (int repeat = 0; repeat < 3; repeat++) {
            int kind = (int)rng_below(&random, NUM_KINDS);
            twin *t = generate(kind, shapes[i].rows, shapes[i].cols, &random);
            check_ways(t, kind_name(kind), &random);
            twin_free(t);
        }
}

static void every_way_reads_the_same(void **state)
{
    (void)state;
    rng random = rng_here();
    for (int way = 0; way < NUM_WAYS; way++)
        for (int kind = 0; kind < NUM_KINDS; kind++) {
            shape s = random_shape(2500, &random);
            twin *t = generate(kind, s.rows, s.cols, &random);
            note("%s %d x %d by %s", kind_name(kind), s.rows, s.cols, way_name(way));
            check_same_release(make(way, t, NULL, &random), t);
            twin_free(t);
        }
}

/* ---------------------------------------------------------------- corners of each way */

static void coordinates_may_repeat_without_end(void **state)
{
    (void)state;
    enum { NUM_CELLS = 5000 };
    int32_t rows[NUM_CELLS], cols[NUM_CELLS];
    twin *t = twin_create(4, 9);
    rmask *mask;
    for (int i = 0; i < NUM_CELLS; i++) rows[i] = i % 2 ? 3 : 0, cols[i] = i % 2 ? 8 : i % 4;
    for (int i = 0; i < NUM_CELLS; i++) twin_at(t, rows[i])[cols[i]] = 1;
    expect_ok(rmask_from_coo(4, 9, rows, cols, NUM_CELLS, NULL, &mask, test_error));
    check_same_release(mask, t);
    expect_ok(rmask_from_coo(4, 9, rows, cols, 0, NULL, &mask, test_error));
    expect(rmask_count(mask) == 0, "cells out of nothing");
    rmask_release(mask);
    twin_free(t);
}

/* Sides that no array could hold; the cells lie in the corners and on a line. */
static void coordinates_in_the_largest_grid(void **state)
{
    (void)state;
    enum { LAST = RMASK_MAX_SIDE - 1, NUM_CELLS = 6 };
    const int32_t rows[NUM_CELLS] = {LAST, 0, LAST, 0, 1000000, LAST};
    const int32_t cols[NUM_CELLS] = {LAST, LAST, 0, 0, 1234567890, 65536};
    rmask *mask, *inverse;
    int64_t indptr[2];
    int32_t indices[4];
    uint64_t corners[4];
    expect_ok(rmask_from_coo(RMASK_MAX_SIDE, RMASK_MAX_SIDE, rows, cols, NUM_CELLS, NULL, &mask, test_error));
    expect(rmask_count(mask) == NUM_CELLS, "count %llu", (unsigned long long)rmask_count(mask));
    for (int i = 0; i < NUM_CELLS; i++) {
        expect(rmask_contains(mask, rows[i], cols[i]), "(%d, %d) is missing", rows[i], cols[i]);
        expect(!rmask_contains(mask, rows[i] ^ 1, cols[i]), "(%d, %d) is too much", rows[i] ^ 1, cols[i]);
        expect(!rmask_contains(mask, rows[i], cols[i] ^ 1), "(%d, %d) is too much", rows[i], cols[i] ^ 1);
    }
    expect_ok(rmask_to_csr(mask, LAST, RMASK_MAX_SIDE, indptr, indices, 4, test_error));
    expect(indptr[1] == 3 && indices[0] == 0 && indices[1] == 65536 && indices[2] == LAST, "the last row is another");
    expect_ok(rmask_raster(mask, 0, RMASK_MAX_SIDE, 0, RMASK_MAX_SIDE, 2, 2, corners, test_error));
    expect(corners[0] == 1 && corners[1] == 2 && corners[2] == 2 && corners[3] == 1, "raster %llu %llu %llu %llu",
           (unsigned long long)corners[0], (unsigned long long)corners[1], (unsigned long long)corners[2],
           (unsigned long long)corners[3]);
    expect_ok(rmask_not(mask, &inverse, test_error));
    uint64_t num_cells = (uint64_t)RMASK_MAX_SIDE * RMASK_MAX_SIDE;
    expect(rmask_count(inverse) == num_cells - NUM_CELLS, "count %llu", (unsigned long long)rmask_count(inverse));
    expect(!rmask_contains(inverse, LAST, LAST) && rmask_contains(inverse, LAST, LAST - 1), "not");
    check_consistent(inverse);
    rmask_release(mask), rmask_release(inverse);
}

static void one_row_of_the_largest_width(void **state)
{
    (void)state;
    const int64_t indptr[] = {0, 4};
    const int32_t indices[] = {0, 1 << 16, 1 << 30, RMASK_MAX_SIDE - 1};
    int32_t cols[4];
    size_t count;
    rmask *mask;
    expect_ok(rmask_from_csr(1, RMASK_MAX_SIDE, indptr, indices, NULL, &mask, test_error));
    expect_ok(rmask_row(mask, 0, cols, 4, &count, test_error));
    expect(count == 4 && memcmp(cols, indices, sizeof cols) == 0, "the row is another");
    check_consistent(mask);
    rmask_release(mask);
}

static void strides_may_be_exactly_the_width(void **state)
{
    (void)state;
    const uint8_t bytes[6] = {1, 0, 255, 0, 0, 7}, bits[4] = {0xff, 0x03, 0x00, 0xfe};
    rmask *mask;
    twin *t = twin_create(2, 3), *wide = twin_create(2, 10);
    for (int32_t i = 0; i < 6; i++) t->cells[i] = bytes[i] != 0;
    expect_ok(rmask_from_bytes(2, 3, bytes, 3, NULL, &mask, test_error));
    check_same_release(mask, t);
    twin_put(wide, 0, 0, 10, true), twin_put(wide, 1, 9, 10, true);
    expect_ok(rmask_from_bits(2, 10, bits, 2, NULL, &mask, test_error));
    check_same_release(mask, wide);
    twin_free(t), twin_free(wide);
}

/* ---------------------------------------------------------------- bad input */

static void sides_below_zero(void **state)
{
    (void)state;
    const int64_t indptr[] = {0};
    const int32_t none[] = {0};
    const uint8_t byte[] = {0};
    const int32_t bad[][2] = {{-1, 5}, {5, -1}, {INT32_MIN, 0}, {0, INT32_MIN}};
    rmask *out;
    rmask_builder *builder;
    for (size_t i = 0; i < 4; i++) {
        int32_t rows = bad[i][0], cols = bad[i][1];
        note("%d x %d", rows, cols);
        expect_makes_nothing(RMASK_ERR_RANGE, out, rmask_from_csr(rows, cols, indptr, none, NULL, &out, test_error));
        expect_makes_nothing(RMASK_ERR_RANGE, out, rmask_from_coo(rows, cols, none, none, 0, NULL, &out, test_error));
        expect_makes_nothing(RMASK_ERR_RANGE, out, rmask_from_bytes(rows, cols, byte, 9, NULL, &out, test_error));
        expect_makes_nothing(RMASK_ERR_RANGE, out, rmask_from_bits(rows, cols, byte, 9, NULL, &out, test_error));
        expect_makes_nothing(RMASK_ERR_RANGE, out, rmask_parse("causal", rows, cols, NULL, &out, test_error));
        expect_makes_nothing(RMASK_ERR_RANGE, builder, rmask_builder_create(rows, cols, NULL, &builder, test_error));
    }
}

static void rows_that_are_not_sorted(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        rmask_status status;
        int64_t indptr[4];
        int32_t indices[6];
    } bad[] = {
        {"a decreasing column", RMASK_ERR_ARGUMENT, {0, 2, 4, 6}, {0, 1, 5, 4, 0, 1}},
        {"a column twice", RMASK_ERR_ARGUMENT, {0, 2, 4, 6}, {0, 1, 2, 3, 7, 7}},
        {"a column below 0", RMASK_ERR_RANGE, {0, 2, 4, 6}, {-1, 1, 2, 3, 7, 8}},
        {"a column past the grid", RMASK_ERR_RANGE, {0, 2, 4, 6}, {0, 1, 2, 3, 7, 10}},
        {"the largest column", RMASK_ERR_RANGE, {0, 2, 4, 6}, {0, 1, 2, INT32_MAX, 7, 8}},
        {"the smallest column", RMASK_ERR_RANGE, {0, 2, 4, 6}, {0, 1, INT32_MIN, 3, 7, 8}},
        {"an indptr that decreases", RMASK_ERR_ARGUMENT, {0, 3, 2, 6}, {0, 1, 2, 3, 4, 5}},
        {"an indptr that starts at 1", RMASK_ERR_ARGUMENT, {1, 2, 4, 6}, {0, 1, 2, 3, 4, 5}},
        {"an indptr that starts below 0", RMASK_ERR_ARGUMENT, {-1, 2, 4, 6}, {0, 1, 2, 3, 4, 5}},
        {"an indptr that ends below 0", RMASK_ERR_ARGUMENT, {0, 0, 0, -1}, {0, 1, 2, 3, 4, 5}},
        {"a row longer than the grid is wide", RMASK_ERR_ARGUMENT, {0, 0, 0, INT64_MAX}, {0, 1, 2, 2, 4, 5}},
    };
    rmask *out;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        note("%s", bad[i].what);
        expect_makes_nothing(bad[i].status, out, rmask_from_csr(3, 10, bad[i].indptr, bad[i].indices, NULL, &out, test_error));
    }
}

/* The same faults where a vector loop would look, in rows that would nearly continue a window. */
static void faults_deep_in_long_rows(void **state)
{
    (void)state;
    enum { ROWS = 40, COLS = 500, WIDTH = 100 };
    int64_t indptr[ROWS + 1];
    int32_t indices[ROWS * WIDTH];
    rng random = rng_here();
    for (int i = 0; i < 600; i++) {
        rmask *out;
        for (int32_t row = 0; row <= ROWS; row++) indptr[row] = row * WIDTH;
        for (int32_t at = 0; at < ROWS * WIDTH; at++) indices[at] = at / WIDTH + at % WIDTH;
        size_t first = (size_t)rng_below(&random, ROWS) * WIDTH, at = first + (size_t)rng_between(&random, 1, WIDTH - 1);
        if (i % 4 == 0)
            indices[at] = indices[at - 1];
        else if (i % 4 == 1)
            indices[at] = (int32_t)rng_between(&random, indices[first], indices[at - 1]);
        else if (i % 4 == 2)
            indices[at = first + WIDTH - 1] = (int32_t)rng_between(&random, COLS, INT32_MAX);
        else
            indices[at = first] = (int32_t)rng_between(&random, INT32_MIN, -1);
        note("entry %zu changed to %d", at, indices[at]);
        expect_makes_nothing(i % 4 < 2 ? RMASK_ERR_ARGUMENT : RMASK_ERR_RANGE, out,
                             rmask_from_csr(ROWS, COLS, indptr, indices, NULL, &out, test_error));
    }
}

/* Columns that go up by one from the largest integer to the smallest: to arithmetic that wraps, each is one above the last. */
static void columns_that_wrap_around(void **state)
{
    (void)state;
    enum { NUM_COLS = 200, COLS = 1000 };
    int32_t cols[NUM_COLS];
    const int64_t indptr[] = {0, NUM_COLS};
    for (int32_t first = 1; first < 60; first++)
        for (int32_t half = 1; half < 40; half += 3) {
            int32_t i = 0;
            rmask_builder *builder;
            rmask *out;
            note("columns wrap from entry %d on, %d before and after", first, half);
            for (; i < first; i++) cols[i] = i;
            for (; i < first + half; i++) cols[i] = INT32_MAX - (first + half - 1 - i);
            for (; i < first + 2 * half; i++) cols[i] = INT32_MIN + (i - first - half);
            for (; i < NUM_COLS; i++) cols[i] = COLS - NUM_COLS + i;
            expect_makes_nothing(RMASK_ERR_RANGE, out, rmask_from_csr(1, COLS, indptr, cols, NULL, &out, test_error));
            expect_ok(rmask_builder_create(1, COLS, NULL, &builder, test_error));
            expect_fails(RMASK_ERR_RANGE, rmask_builder_add_sorted(builder, 0, cols, NUM_COLS, test_error));
            rmask_builder_destroy(builder);
        }
}

static void coordinates_outside(void **state)
{
    (void)state;
    const int32_t good[3] = {0, 1, 2};
    const int32_t bad[] = {-1, 3, INT32_MIN, INT32_MAX};
    rmask *out;
    for (size_t i = 0; i < 4; i++)
        for (size_t at = 0; at < 3; at++) {
            int32_t changed[3] = {0, 1, 2};
            changed[at] = bad[i];
            note("coordinate %zu is %d", at, bad[i]);
            expect_makes_nothing(RMASK_ERR_RANGE, out, rmask_from_coo(3, 3, changed, good, 3, NULL, &out, test_error));
            expect_makes_nothing(RMASK_ERR_RANGE, out, rmask_from_coo(3, 3, good, changed, 3, NULL, &out, test_error));
        }
    expect_makes_nothing(RMASK_ERR_RANGE, out, rmask_from_coo(0, 3, good, good, 1, NULL, &out, test_error));
    expect_makes_nothing(RMASK_ERR_RANGE, out, rmask_from_coo(3, 0, good, good, 1, NULL, &out, test_error));
}

static void strides_too_small(void **state)
{
    (void)state;
    const uint8_t cells[100] = {0};
    rmask *out;
    for (size_t stride = 0; stride < 17; stride++)
        expect_makes_nothing(RMASK_ERR_ARGUMENT, out, rmask_from_bytes(3, 17, cells, stride, NULL, &out, test_error));
    for (size_t stride = 0; stride < 3; stride++)
        expect_makes_nothing(RMASK_ERR_ARGUMENT, out, rmask_from_bits(3, 17, cells, stride, NULL, &out, test_error));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_grids_by_every_way),
        cmocka_unit_test(large_grids_by_every_way),
        cmocka_unit_test(every_way_reads_the_same),
        cmocka_unit_test(coordinates_may_repeat_without_end),
        cmocka_unit_test(coordinates_in_the_largest_grid),
        cmocka_unit_test(one_row_of_the_largest_width),
        cmocka_unit_test(strides_may_be_exactly_the_width),
        cmocka_unit_test(sides_below_zero),
        cmocka_unit_test(rows_that_are_not_sorted),
        cmocka_unit_test(faults_deep_in_long_rows),
        cmocka_unit_test(columns_that_wrap_around),
        cmocka_unit_test(coordinates_outside),
        cmocka_unit_test(strides_too_small),
    };
    return run_test_program(tests);
}
