/* SPDX-License-Identifier: Apache-2.0
 * Reading: every function on every kind of mask, the largest grids, and bad input. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "support/generate.h"
#include "support/ways.h"

static void read_shapes(int first, int last)
{
    rng random = rng_here();
    for (int i = first; i < last; i++)
        for (int kind = 0; kind < NUM_KINDS; kind++) {
            twin *t = generate(kind, shapes[i].rows, shapes[i].cols, &random);
            note("%s %d x %d", kind_name(kind), t->rows, t->cols);
            check_same_release(make_plain(t), t);
            twin_free(t);
        }
}

static void small_grids(void **state)
{
    (void)state;
    read_shapes(0, num_small_shapes);
}

static void large_grids(void **state)
{
    (void)state;
    read_shapes(num_small_shapes, num_shapes);
}

/* Each width up to past two vectors, each cell pattern up to a word: where the tails of vector loops go wrong. */
static void every_narrow_width(void **state)
{
    (void)state;
    rng random = rng_here();
    for (int32_t cols = 1; cols <= 140; cols++) {
        static const double densities[] = {0.03, 0.3, 0.5, 0.9};
        twin *t = twin_create(8, cols);
        for (int32_t row = 0; row < 8; row++)
            for (int32_t col = 0; col < cols; col++) twin_at(t, row)[col] = rng_chance(&random, densities[row % 4]);
        note("random rows of %d columns", cols);
        check_same_release(make_plain(t), t);
        twin_free(t);
    }
}

/* Exceptions inside and outside of long intervals, at their ends, and at the edges of vectors. */
static void holes_in_long_intervals(void **state)
{
    (void)state;
    rng random = rng_here();
    for (int i = 0; i < 60; i++) {
        int32_t cols = (int32_t)rng_between(&random, 50, 3000), rows = 24;
        int32_t begin = (int32_t)rng_below(&random, cols), end = (int32_t)rng_between(&random, begin, cols);
        twin *t = twin_create(rows, cols);
        for (int32_t row = 0; row < rows; row++) {
            twin_put(t, row, begin, end, true);
            for (int64_t flips = rng_below(&random, 6); flips > 0; flips--) twin_at(t, row)[rng_below(&random, cols)] ^= 1;
            if (rng_chance(&random, 0.3) && begin < cols) twin_at(t, row)[begin] ^= 1;
            if (rng_chance(&random, 0.3) && end < cols) twin_at(t, row)[end] ^= 1;
            if (rng_chance(&random, 0.3) && end > 0) twin_at(t, row)[end - 1] ^= 1;
            if (rng_chance(&random, 0.1)) twin_at(t, row)[0] ^= 1, twin_at(t, row)[cols - 1] ^= 1;
        }
        note("interval [%d, %d) of %d with exceptions", begin, end, cols);
        check_same_release(make_plain(t), t);
        twin_free(t);
    }
}

/* ---------------------------------------------------------------- the largest grids, by formula */

static rmask *parse_largest(const char *expression)
{
    rmask *mask;
    note("%s on the largest grid", expression);
    expect_ok(rmask_parse(expression, RMASK_MAX_SIDE, RMASK_MAX_SIDE, NULL, &mask, test_error));
    return mask;
}

static void check_row_is_range(const rmask *mask, int32_t row, int32_t begin, int32_t end)
{
    int32_t range[2] = {-1, -1};
    size_t num_ranges, count;
    expect_ok(rmask_row_count(mask, row, &count, test_error));
    expect(count == (size_t)(end - begin), "row %d has %zu", row, count);
    expect_ok(rmask_row_ranges(mask, row, range, 1, &num_ranges, test_error));
    expect(num_ranges == 1 && range[0] == begin && range[1] == end, "row %d is [%d, %d)", row, range[0], range[1]);
    expect(rmask_contains(mask, row, begin) && rmask_contains(mask, row, end - 1), "the ends of row %d", row);
    expect(!rmask_contains(mask, row, begin - 1) && !rmask_contains(mask, row, end), "beyond the ends of row %d", row);
}

static void causal_in_the_largest_grid(void **state)
{
    (void)state;
    const uint64_t side = RMASK_MAX_SIDE;
    uint64_t counts[4];
    rmask *mask = parse_largest("causal");
    expect(rmask_count(mask) == side * (side + 1) / 2, "count %llu", (unsigned long long)rmask_count(mask));
    expect(rmask_density(mask) > 0.5 && rmask_density(mask) < 0.5000001, "density %g", rmask_density(mask));
    check_row_is_range(mask, 0, 0, 1);
    check_row_is_range(mask, 12345, 0, 12346);
    check_row_is_range(mask, RMASK_MAX_SIDE - 1, 0, RMASK_MAX_SIDE);
    expect_ok(rmask_raster(mask, 0, RMASK_MAX_SIDE, 0, RMASK_MAX_SIDE, 2, 2, counts, test_error));
    uint64_t half = side / 2, rest = side - half;
    expect(counts[0] == half * (half + 1) / 2 && counts[1] == 0 && counts[2] == half * rest &&
               counts[3] == rest * (rest + 1) / 2,
           "raster %llu %llu %llu %llu", (unsigned long long)counts[0], (unsigned long long)counts[1],
           (unsigned long long)counts[2], (unsigned long long)counts[3]);
    rmask_release(mask);
}

static void all_of_the_largest_grid(void **state)
{
    (void)state;
    const uint64_t side = RMASK_MAX_SIDE;
    rmask *mask = parse_largest("full"), *none;
    expect(rmask_count(mask) == side * side && rmask_density(mask) == 1, "count %llu", (unsigned long long)rmask_count(mask));
    check_row_is_range(mask, RMASK_MAX_SIDE / 3, 0, RMASK_MAX_SIDE);
    expect_ok(rmask_not(mask, &none, test_error));
    expect(rmask_count(none) == 0 && rmask_density(none) == 0, "count %llu", (unsigned long long)rmask_count(none));
    check_consistent(none);
    rmask_release(mask), rmask_release(none);
}

static void window_in_the_largest_grid(void **state)
{
    (void)state;
    enum { LAST = RMASK_MAX_SIDE - 1, ROWS = 50 };
    rmask *mask = parse_largest("window(3, 2)");
    int64_t indptr[ROWS + 1];
    int32_t indices[ROWS * 6];
    check_row_is_range(mask, 0, 0, 3);
    check_row_is_range(mask, 1 << 30, (1 << 30) - 3, (1 << 30) + 3);
    check_row_is_range(mask, LAST, LAST - 3, LAST + 1);
    expect(rmask_count(mask) == (uint64_t)RMASK_MAX_SIDE * 6 - (3 + 2 + 1) - (1 + 2), "count %llu",
           (unsigned long long)rmask_count(mask));
    expect_ok(rmask_to_csr(mask, LAST - 100, LAST - 100 + ROWS, indptr, indices, ROWS * 6, test_error));
    for (int32_t i = 0; i < ROWS * 6; i++)
        expect(indices[i] == LAST - 100 + i / 6 - 3 + i % 6, "entry %d is %d", i, indices[i]);
    rmask_release(mask);
}

static void structure_and_cells_in_the_largest_grid(void **state)
{
    (void)state;
    enum { LAST = RMASK_MAX_SIDE - 1 };
    const int32_t rows[] = {LAST, LAST, 0, 1 << 29}, cols[] = {LAST, 100, LAST, (1 << 29) + 1};
    rmask *window = parse_largest("causal & window(1000) | sink(7)"), *cells, *both;
    uint64_t count;
    expect_ok(rmask_from_coo(RMASK_MAX_SIDE, RMASK_MAX_SIDE, rows, cols, 4, NULL, &cells, test_error));
    expect_ok(rmask_xor(window, cells, &both, test_error));
    for (int i = 0; i < 4; i++)
        expect(rmask_contains(both, rows[i], cols[i]) != rmask_contains(window, rows[i], cols[i]), "cell %d", i);
    expect(rmask_count(both) == rmask_count(window) + 2, "one of the four cells lies in the window");
    expect_ok(rmask_combine_count(window, both, RMASK_XOR, &count, test_error));
    expect(count == 4, "%llu cells differ", (unsigned long long)count);
    check_consistent(both);
    rmask_release(window), rmask_release(cells), rmask_release(both);
}

/* ---------------------------------------------------------------- exports larger than the caches */

/* Into a buffer that begins `offset` entries past an aligned address and has `capacity` of them, guard words behind. */
static void check_export(const rmask *mask, size_t offset, size_t capacity)
{
    enum { NUM_GUARDS = 32, GUARD = 0x5bad5bad };
    int32_t rows = rmask_rows(mask), *memory = must_allocate((offset + capacity + NUM_GUARDS) * sizeof *memory);
    int32_t *indices = memory + offset, *cols = must_allocate((size_t)rmask_cols(mask) * sizeof *cols);
    int64_t *indptr = must_allocate(((size_t)rows + 1) * sizeof *indptr);
    note("an export of %llu cells into room for %zu, %zu entries off", (unsigned long long)rmask_count(mask), capacity, offset);
    for (int i = 0; i < NUM_GUARDS; i++) indices[capacity + (size_t)i] = GUARD;
    if (capacity < rmask_count(mask)) {
        expect_fails(RMASK_ERR_CAPACITY, rmask_to_csr(mask, 0, rows, indptr, indices, capacity, test_error));
    } else {
        expect_ok(rmask_to_csr(mask, 0, rows, indptr, indices, capacity, test_error));
        for (int32_t row = 0; row < rows; row++) {
            size_t num_cols;
            expect_ok(rmask_row(mask, row, cols, (size_t)rmask_cols(mask), &num_cols, test_error));
            expect(indptr[row + 1] - indptr[row] == (int64_t)num_cols, "row %d has another length", row);
            expect(memcmp(indices + indptr[row], cols, num_cols * sizeof *cols) == 0, "row %d has other columns", row);
        }
    }
    for (int i = 0; i < NUM_GUARDS; i++) expect(indices[capacity + (size_t)i] == GUARD, "written past the buffer");
    free(memory), free(cols), free(indptr);
}

static void exports_larger_than_the_caches(void **state)
{
    (void)state;
    static const struct {
        const char *expression;
        shape grid;
    } large[] = {
        {"window(290) | random(0.0003, seed=1)", {33000, 33000}},
        {"full - random(0.01, seed=2)", {450, 20000}},
        {"columns(1, 5, 6) | (sink(12000) & !sink(20) - random(0.2, seed=3))", {1000, 12001}},
    };
    for (size_t i = 0; i < sizeof large / sizeof large[0]; i++) {
        rmask *mask;
        expect_ok(rmask_parse(large[i].expression, large[i].grid.rows, large[i].grid.cols, NULL, &mask, test_error));
        size_t count = (size_t)rmask_count(mask);
        expect(count * sizeof(int32_t) > 32 << 20, "%s is too small for this test: %zu cells", large[i].expression, count);
        for (size_t offset = 0; offset < 20; offset += 7) check_export(mask, offset, count);
        check_export(mask, 1, count + 1000);
        check_export(mask, 3, count - 1);
        check_export(mask, 0, count / 2);
        check_export(mask, 0, 10);
        rmask_release(mask);
    }
}

/* ---------------------------------------------------------------- bad input */

static int keep_going(void *context, int32_t row, const int32_t *cols, size_t num_cols)
{
    (void)row, (void)cols, (void)num_cols;
    ++*(int *)context;
    return 0;
}

static void rows_out_of_range(void **state)
{
    (void)state;
    rng random = rng_here();
    twin *t = generate_named("noisy structure", 10, 20, &random);
    rmask *mask = make_plain(t);
    const int32_t bad[] = {-1, 10, INT32_MIN, INT32_MAX};
    int32_t cols[20];
    int64_t indptr[32];
    size_t count;
    int num_calls = 0;
    for (size_t i = 0; i < 4; i++) {
        note("row %d", bad[i]);
        expect_fails(RMASK_ERR_RANGE, rmask_row_count(mask, bad[i], &count, test_error));
        expect_fails(RMASK_ERR_RANGE, rmask_row(mask, bad[i], cols, 20, &count, test_error));
        expect_fails(RMASK_ERR_RANGE, rmask_row(mask, bad[i], NULL, 0, &count, test_error));
        expect_fails(RMASK_ERR_RANGE, rmask_row_ranges(mask, bad[i], cols, 10, &count, test_error));
    }
    const int32_t spans[][2] = {{-1, 5}, {0, 11}, {5, 4}, {11, 11}, {INT32_MIN, INT32_MAX}, {10, 9}};
    for (size_t i = 0; i < 6; i++) {
        int32_t begin = spans[i][0], end = spans[i][1];
        note("rows [%d, %d)", begin, end);
        expect_fails(RMASK_ERR_RANGE, rmask_for_each_row(mask, begin, end, keep_going, &num_calls, test_error));
        expect_fails(RMASK_ERR_RANGE, rmask_to_csr(mask, begin, end, indptr, NULL, 0, test_error));
    }
    expect(num_calls == 0, "%d rows were visited", num_calls);
    expect_ok(rmask_for_each_row(mask, 10, 10, keep_going, &num_calls, test_error));
    expect(num_calls == 0, "%d rows were visited", num_calls);
    rmask_release(mask), twin_free(t);
}

/* Rows that have nothing are counted together, however many they are. A row of a tall mask does not walk along the diagonals that are
 * right of it. */
static void many_rows_of_little(void **state)
{
    (void)state;
    const clock_t start = clock();
    rmask *nothing, *tall;
    uint64_t counts[4];
    expect_ok(rmask_parse("none", RMASK_MAX_SIDE, RMASK_MAX_SIDE, NULL, &nothing, test_error));
    expect_ok(rmask_parse("strided(3)", 1 << 20, 3, NULL, &tall, test_error));
    for (int i = 0; i < 20; i++) {
        expect_ok(rmask_raster(nothing, 0, RMASK_MAX_SIDE, 0, RMASK_MAX_SIDE, 2, 2, counts, test_error));
        expect(counts[0] + counts[1] + counts[2] + counts[3] == 0, "cells in an empty mask");
    }
    for (int32_t row = 0; row < 1 << 20; row++) {
        int32_t cols[3];
        size_t count;
        expect_ok(rmask_row(tall, row, cols, 3, &count, test_error));
        expect(count == 1 && cols[0] == row % 3, "row %d: %zu columns, the first is %d", row, count, cols[0]);
    }
    const double seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
    expect(seconds < 10, "%.1f s for what takes a fraction of one", seconds);
    rmask_release(nothing), rmask_release(tall);
}

static void rasters_out_of_range(void **state)
{
    (void)state;
    rng random = rng_here();
    twin *t = generate_named("window", 10, 20, &random);
    rmask *mask = make_plain(t);
    uint64_t counts[4] = {0};
    const int32_t windows[][4] = {{-1, 5, 0, 20}, {0, 11, 0, 20}, {0, 10, -1, 5},  {0, 10, 0, 21},
                                  {5, 4, 0, 20},  {0, 10, 9, 8},  {0, 10, 21, 21}, {INT32_MIN, INT32_MAX, 0, 1}};
    for (size_t i = 0; i < 8; i++) {
        const int32_t *w = windows[i];
        note("raster of [%d, %d) x [%d, %d)", w[0], w[1], w[2], w[3]);
        expect_fails(RMASK_ERR_RANGE, rmask_raster(mask, w[0], w[1], w[2], w[3], 2, 2, counts, test_error));
    }
    const int32_t sides[][2] = {{0, 2}, {2, 0}, {-1, 2}, {2, INT32_MIN}};
    for (size_t i = 0; i < 4; i++) {
        note("raster of %d x %d fields", sides[i][0], sides[i][1]);
        expect_fails(RMASK_ERR_RANGE, rmask_raster(mask, 0, 10, 0, 20, sides[i][0], sides[i][1], counts, test_error));
    }
    rmask_release(mask), twin_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_grids),
        cmocka_unit_test(large_grids),
        cmocka_unit_test(every_narrow_width),
        cmocka_unit_test(holes_in_long_intervals),
        cmocka_unit_test(causal_in_the_largest_grid),
        cmocka_unit_test(all_of_the_largest_grid),
        cmocka_unit_test(window_in_the_largest_grid),
        cmocka_unit_test(structure_and_cells_in_the_largest_grid),
        cmocka_unit_test(exports_larger_than_the_caches),
        cmocka_unit_test(rows_out_of_range),
        cmocka_unit_test(many_rows_of_little),
        cmocka_unit_test(rasters_out_of_range),
    };
    return run_test_program(tests);
}
