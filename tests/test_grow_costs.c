/* SPDX-License-Identifier: Apache-2.0
 * What growing costs: structure that goes on in the same strips, bytes of rows that fit and of odd ones, memory copied on the way. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/generate.h"
#include "support/ways.h"

/* ---------------------------------------------------------------- structure */

static rmask_grower *grower_of(const char *expression, int32_t rows, int32_t cols)
{
    rmask *mask;
    rmask_grower *grower;
    expect_ok(rmask_parse(expression, rows, cols, NULL, &mask, test_error));
    expect_ok(rmask_grower_create(mask, &grower, test_error));
    rmask_release(mask);
    return grower;
}

static rmask *mask_of(const rmask_grower *grower)
{
    rmask *mask;
    expect_ok(rmask_grower_mask(grower, &mask, test_error));
    return mask;
}

static rmask_stats stats_of(const rmask_grower *grower)
{
    rmask_stats stats;
    rmask *mask = mask_of(grower);
    rmask_get_stats(mask, &stats);
    rmask_release(mask);
    return stats;
}

/* Steps of a decoding loop: columns come, and then rows by rmask_grower_extend. The cells follow from the formula on a grid so
 * large that nothing ends at its edge, as far as there were columns when the row came. */
static void check_decoding(const char *expression, int32_t start, int32_t step, uint64_t most_strips)
{
    enum { END = 120, LARGE = 200 };
    rmask *whole, *mask;
    rmask_grower *grower = grower_of(expression, start, start);
    note("%s from %d by %d", expression, start, step);
    expect_ok(rmask_parse(expression, LARGE, LARGE, NULL, &whole, test_error));
    twin *cells = twin_of(whole), *wanted = twin_create(END, END);
    for (int32_t row = 0; row < END; row++) {
        const int32_t cols = row < start ? start : start + (row - start + step) / step * step;
        memcpy(twin_at(wanted, row), twin_at(cells, row), (size_t)cols);
    }
    for (int32_t row = start; row < END; row += step) {
        expect_ok(rmask_grower_add_cols(grower, step, test_error));
        expect_ok(rmask_grower_extend(grower, step, test_error));
    }
    mask = mask_of(grower);
    check_same(mask, wanted);
    const rmask_stats stats = stats_of(grower);
    expect(stats.num_exceptions == 0 && stats.num_strips <= most_strips, "%llu strips", (unsigned long long)stats.num_strips);
    rmask_grower_destroy(grower);
    rmask_release(mask), rmask_release(whole);
    twin_free(cells), twin_free(wanted);
}

static void structure_goes_on(void **state)
{
    (void)state;
    static const struct {
        const char *expression;
        uint64_t most_strips; /* with a row a step */
    } cases[] = {
        {"none", 1},
        {"full", 2},
        {"causal", 1},
        {"sink(3)", 1},
        {"global(4)", 2},
        {"window(5)", 1},
        {"window(3, 4)", 3},
        {"causal & (sink(3) | window(9))", 2},
        {"sink(3) | window(2, 30)", 4},
        {"columns(1, 4, 5, 9)", 1},
        {"diagonals(0, 3, 5)", 1},
        {"!window(3, 4)", 3},
        {"prefix(4)", 2},
        {"window(0, 7) ^ window(4, 2)", 4},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        check_decoding(cases[i].expression, 20, 1, cases[i].most_strips);
        check_decoding(cases[i].expression, 20, 4, cases[i].most_strips + 100);
        check_decoding(cases[i].expression, 60, 20, cases[i].most_strips + 100);
    }
}

/* A causal mask on huge grids, and rows that end at the last possible column. */
static void huge_grids_grow(void **state)
{
    (void)state;
    enum { SIDE = INT32_MAX - 10 };
    rmask_grower *grower = grower_of("causal & (sink(3) | window(1000))", SIDE, SIDE);
    const int32_t chosen[] = {0, 65535, 65536, 1 << 30, INT32_MAX - 1};
    expect_ok(rmask_grower_add_cols(grower, 10, test_error));
    expect_ok(rmask_grower_extend(grower, 9, test_error));
    expect_ok(rmask_grower_add_row(grower, chosen, 5, test_error));
    expect_fails(RMASK_ERR_RANGE, rmask_grower_add_cols(grower, 1, test_error));
    expect_fails(RMASK_ERR_RANGE, rmask_grower_extend(grower, 1, test_error));
    expect_fails(RMASK_ERR_RANGE, rmask_grower_add_row(grower, chosen, 5, test_error));
    rmask *mask = mask_of(grower);
    rmask_grower_destroy(grower);
    expect_ok(rmask_verify(mask, test_error));
    int32_t cols[1100];
    size_t count;
    const uint64_t ramp = UINT64_C(999) * 1000 / 2; /* 1 + 2 + ... + 999 cells in the first rows of the window */
    const uint64_t wanted = ramp + (INT32_MAX - 1 - 999) * UINT64_C(1000) + (INT32_MAX - 1 - 1002) * UINT64_C(3) + 1 + 2 + 5;
    expect(rmask_count(mask) == wanted, "%llu cells", (unsigned long long)rmask_count(mask));
    expect_ok(rmask_row(mask, INT32_MAX - 2, cols, 1100, &count, test_error));
    expect(count == 1003 && cols[2] == 2 && cols[3] == INT32_MAX - 1001 && cols[1002] == INT32_MAX - 2, "row 2^31 - 3");
    expect_ok(rmask_row(mask, INT32_MAX - 1, cols, 1100, &count, test_error));
    expect(count == 5 && memcmp(cols, chosen, sizeof chosen) == 0, "row 2^31 - 2");
    rmask_release(mask);
}
/* ---------------------------------------------------------------- bytes */

static uint64_t bytes_after_row(rmask_grower *grower, const int32_t *cols, size_t num_cols)
{
    const uint64_t before = stats_of(grower).num_bytes;
    expect_ok(rmask_grower_add_row(grower, cols, num_cols, test_error));
    return stats_of(grower).num_bytes - before;
}

enum { PADDING = 7, STRIP_BYTES = 20, ENTRY_BYTES = 8 };

static void a_row_that_fits_costs_nothing(void **state)
{
    (void)state;
    rmask_grower *grower = grower_of("causal & (sink(3) | window(9))", 100, 100);
    for (int32_t row = 100; row < 200; row++) {
        const int32_t cols[] = {0, 1, 2, row - 8, row - 7, row - 6, row - 5, row - 4, row - 3, row - 2, row - 1, row};
        expect_ok(rmask_grower_add_cols(grower, 1, test_error));
        if (row % 3 == 0) expect_ok(rmask_grower_extend(grower, 1, test_error));
        if (row % 3) expect(bytes_after_row(grower, cols, 12) == 0, "row %d costs bytes", row);
    }
    const rmask_stats stats = stats_of(grower);
    expect(stats.num_strips == 2 && stats.num_exceptions == 0, "%llu strips", (unsigned long long)stats.num_strips);
    rmask_grower_destroy(grower);
}

/* A row with three cells that do not fit costs those, and the window goes on as if nothing had been. */
static void an_odd_row_costs_its_exceptions(void **state)
{
    (void)state;
    rmask_grower *grower = grower_of("causal & window(9)", 100, 100);
    for (int32_t row = 100; row < 200; row++) {
        const int32_t cols[] = {5, 7, row - 8, row - 7, row - 6, row - 5, row - 3, row - 2, row - 1, row};
        expect_ok(rmask_grower_add_cols(grower, 1, test_error));
        if (row % 10)
            expect_ok(rmask_grower_extend(grower, 1, test_error));
        else
            expect(bytes_after_row(grower, cols, 10) <= ENTRY_BYTES + 4 + 3 * 2 + PADDING, "row %d costs more", row);
    }
    const rmask_stats stats = stats_of(grower);
    expect(stats.num_strips == 1 && stats.num_exceptions == 30, "%llu strips", (unsigned long long)stats.num_strips);
    rmask_grower_destroy(grower);
}

/* A row with other cells than the window's would be smaller beside an empty strip, but not by the two strips that this takes. */
static void an_odd_row_changes_no_strip(void **state)
{
    (void)state;
    rmask_grower *grower = grower_of("causal & window(9)", 100, 100);
    for (int32_t row = 100; row < 200; row++) {
        const int32_t cols[] = {5, 17, 50, 80};
        expect_ok(rmask_grower_add_cols(grower, 1, test_error));
        if (row % 5)
            expect_ok(rmask_grower_extend(grower, 1, test_error));
        else
            expect_ok(rmask_grower_add_row(grower, cols, 4, test_error));
    }
    const rmask_stats stats = stats_of(grower);
    expect(stats.num_strips == 1 && stats.num_exceptions == 20 * 13, "%llu strips", (unsigned long long)stats.num_strips);
    rmask_grower_destroy(grower);
}

/* Rows without structure after a window cost 2 bytes a cell and a directory entry; a row of runs costs its runs. */
static void irregular_rows_cost_their_cells(void **state)
{
    (void)state;
    rng random = rng_here();
    enum { COLS = 10000, NUM_ROWS = 200, NUM_CELLS = 40 };
    rmask_grower *grower = grower_of("causal & window(600)", COLS, COLS);
    const uint64_t before = stats_of(grower).num_bytes;
    for (int i = 0; i < NUM_ROWS; i++) {
        int32_t cols[NUM_CELLS], col = 0;
        for (int k = 0; k < NUM_CELLS; k++) cols[k] = col += (int32_t)rng_between(&random, 2, 200);
        expect_ok(rmask_grower_add_row(grower, cols, NUM_CELLS, test_error));
    }
    const uint64_t bytes = stats_of(grower).num_bytes - before;
    expect(bytes <= NUM_ROWS * (2 * NUM_CELLS + ENTRY_BYTES) + 2 * STRIP_BYTES + PADDING + 4, "%llu bytes",
           (unsigned long long)bytes);
    for (int i = 0; i < NUM_ROWS; i++) {
        int32_t cols[NUM_CELLS], col = (int32_t)rng_below(&random, 1000);
        for (int k = 0; k < NUM_CELLS; k++) cols[k] = col++;
        expect_ok(rmask_grower_add_row(grower, cols, NUM_CELLS, test_error));
    }
    const uint64_t runs = stats_of(grower).num_bytes - before - bytes;
    expect(runs <= (NUM_ROWS + 2) * (STRIP_BYTES + 2 * sizeof(int32_t)) + 2 * (2 * NUM_CELLS + ENTRY_BYTES) + PADDING,
           "%llu bytes of runs", (unsigned long long)runs);
    rmask_grower_destroy(grower);
}

/* ---------------------------------------------------------------- time and memory */

/* What comes from the allocator, all in all: copying more than it has to would show here. */
static _Thread_local uint64_t bytes_allocated;

static void *counting_allocate(void *context, size_t num_bytes)
{
    (void)context;
    bytes_allocated += num_bytes;
    return malloc(num_bytes);
}

static void counting_release(void *context, void *memory, size_t num_bytes)
{
    (void)context, (void)num_bytes;
    free(memory);
}

/* 64 cells a row among columns that grow with the rows, a mask taken and kept now and then. */
static void grow_rows(int32_t num_rows, int32_t cols_a_row, int32_t first_cols)
{
    enum { MOST_CELLS = 64, EVERY = 1000, KEPT = 8, MASK_BYTES = 1024 };
    rng random = rng_here();
    const rmask_allocator allocator = {counting_allocate, counting_release, NULL};
    rmask *start, *kept[KEPT] = {NULL};
    rmask_grower *grower;
    int32_t cols = first_cols;
    uint64_t count = 0;
    expect_ok(rmask_parse("none", 0, first_cols, &allocator, &start, test_error));
    bytes_allocated = 0;
    expect_ok(rmask_grower_create(start, &grower, test_error));
    for (int32_t row = 0; row < num_rows; row++) {
        int32_t chosen[MOST_CELLS], num_chosen = 0;
        expect_ok(rmask_grower_add_cols(grower, cols_a_row, test_error));
        cols += cols_a_row;
        for (int32_t i = 0; i < MOST_CELLS; i++) { /* one in each of 64 parts of the columns */
            const int64_t begin = (int64_t)cols * i / MOST_CELLS, end = (int64_t)cols * (i + 1) / MOST_CELLS;
            if (begin < end) chosen[num_chosen++] = (int32_t)rng_between(&random, begin, end - 1);
        }
        expect_ok(rmask_grower_add_row(grower, chosen, (size_t)num_chosen, test_error));
        count += (uint64_t)num_chosen;
        if (row % EVERY) continue;
        rmask_release(kept[row / EVERY % KEPT]);
        kept[row / EVERY % KEPT] = mask_of(grower);
        expect(rmask_count(kept[row / EVERY % KEPT]) == count, "another count in row %d", row);
    }
    const rmask_stats stats = stats_of(grower);
    /* Blocks that double come to four times the bytes at most, and all layouts to twice the last one. */
    expect(stats.count == count && bytes_allocated <= 6 * stats.num_bytes + num_rows / EVERY * MASK_BYTES + (1 << 20),
           "%llu bytes allocated for a mask of %llu", (unsigned long long)bytes_allocated, (unsigned long long)stats.num_bytes);
    rmask_grower_destroy(grower);
    for (int i = 0; i < KEPT; i++) rmask_release(kept[i]);
    rmask_release(start);
}

static void growing_copies_in_proportion(void **state)
{
    (void)state;
    note("among 62,500 columns");
    grow_rows(60000, 0, 62500);
    note("a column a row");
    grow_rows(60000, 1, 0);
    note("three columns a row");
    grow_rows(60000, 3, 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(structure_goes_on),
        cmocka_unit_test(huge_grids_grow),
        cmocka_unit_test(a_row_that_fits_costs_nothing),
        cmocka_unit_test(an_odd_row_costs_its_exceptions),
        cmocka_unit_test(an_odd_row_changes_no_strip),
        cmocka_unit_test(irregular_rows_cost_their_cells),
        cmocka_unit_test(growing_copies_in_proportion),
    };
    return run_test_program(tests);
}
