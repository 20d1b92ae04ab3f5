/* SPDX-License-Identifier: Apache-2.0
 * CRoaring as the second oracle: masks too large for the naive twin, one bitmap a row. */
#include "support/support.h"

#ifdef ROARMASK_HAVE_CROARING

#include <stdlib.h>
#include <string.h>

#include <roaring.h>

typedef struct bitmaps {
    int32_t rows, cols;
    roaring_bitmap_t **row;
} bitmaps;

/* ---------------------------------------------------------------- masks and bitmaps */

static bitmaps no_bitmaps(int32_t rows, int32_t cols)
{
    return (bitmaps){rows, cols, must_allocate((size_t)rows * sizeof(roaring_bitmap_t *))};
}

static void free_bitmaps(bitmaps *b)
{
    for (int32_t row = 0; row < b->rows; row++) roaring_bitmap_free(b->row[row]);
    free(b->row);
}

/* Window, sinks and, in some rows, noise at very different densities; nothing of the library is used. */
static bitmaps random_bitmaps(int32_t rows, int32_t cols, rng *random)
{
    bitmaps b = no_bitmaps(rows, cols);
    static const double densities[] = {0, 0.0001, 0.001, 0.01, 0.1, 0.5};
    int64_t window = rng_below(random, cols / 4 + 1), sinks = rng_below(random, 50);
    double density = densities[rng_below(random, 6)];
    bool causal = rng_chance(random, 0.5), structured = rng_chance(random, 0.7);
    for (int64_t row = 0; row < rows; row++) {
        int64_t begin = row > window ? row - window : 0, end = causal ? row + 1 : row + window / 2 + 1;
        roaring_bitmap_t *bitmap = b.row[row] = roaring_bitmap_create();
        if (rng_chance(random, 0.01)) density = densities[rng_below(random, 6)];
        for (int64_t left = (int64_t)(density * (double)cols); left > 0; left--)
            roaring_bitmap_add(bitmap, (uint32_t)rng_below(random, cols));
        if (structured) {
            if (end > cols) end = cols;
            roaring_bitmap_add_range(bitmap, 0, (uint64_t)(sinks < cols ? sinks : cols));
            if (begin < end) roaring_bitmap_add_range(bitmap, (uint64_t)begin, (uint64_t)end);
        }
        roaring_bitmap_run_optimize(bitmap);
    }
    return b;
}

static rmask *mask_of(const bitmaps *b)
{
    int64_t *indptr = must_allocate(((size_t)b->rows + 1) * sizeof *indptr);
    indptr[0] = 0;
    for (int32_t row = 0; row < b->rows; row++)
        indptr[row + 1] = indptr[row] + (int64_t)roaring_bitmap_get_cardinality(b->row[row]);
    int32_t *indices = must_allocate((size_t)indptr[b->rows] * sizeof *indices);
    for (int32_t row = 0; row < b->rows; row++)
        roaring_bitmap_to_uint32_array(b->row[row], (uint32_t *)(void *)(indices + indptr[row]));
    rmask *mask;
    expect_ok(rmask_from_csr(b->rows, b->cols, indptr, indices, NULL, &mask, test_error));
    free(indptr), free(indices);
    return mask;
}

static void check_columns(const roaring_bitmap_t *wanted, const int32_t *cols, size_t num_cols, uint32_t *buffer)
{
    expect(num_cols == roaring_bitmap_get_cardinality(wanted), "%zu columns, wanted %llu", num_cols,
           (unsigned long long)roaring_bitmap_get_cardinality(wanted));
    roaring_bitmap_to_uint32_array(wanted, buffer);
    expect(!num_cols || memcmp(cols, buffer, num_cols * sizeof *cols) == 0, "other columns");
}

static void check_against_bitmaps(const rmask *mask, const bitmaps *b, rng *random)
{
    int32_t *cols = must_allocate((size_t)b->cols * sizeof *cols);
    uint32_t *buffer = must_allocate((size_t)b->cols * sizeof *buffer);
    uint64_t total = 0;
    for (int32_t row = 0; row < b->rows; row++) {
        const roaring_bitmap_t *wanted = b->row[row];
        size_t num_cols, num_ranges;
        expect_ok(rmask_row(mask, row, cols, (size_t)b->cols, &num_cols, test_error));
        check_columns(wanted, cols, num_cols, buffer);
        total += num_cols;
        for (int i = 0; i < 20; i++) {
            int32_t col = (int32_t)rng_below(random, b->cols);
            expect(rmask_contains(mask, row, col) == roaring_bitmap_contains(wanted, (uint32_t)col), "(%d, %d)", row, col);
        }
        if (row % 16) continue;
        expect_ok(rmask_row_ranges(mask, row, cols, (size_t)b->cols / 2, &num_ranges, test_error));
        uint64_t in_ranges = 0;
        for (size_t i = 0; i < num_ranges; i++) {
            bool whole = roaring_bitmap_contains_range(wanted, (uint64_t)cols[2 * i], (uint64_t)cols[2 * i + 1]);
            expect(whole, "row %d: [%d, %d) is no range", row, cols[2 * i], cols[2 * i + 1]);
            in_ranges += (uint64_t)(cols[2 * i + 1] - cols[2 * i]);
        }
        expect(in_ranges == num_cols, "row %d: %llu cells in ranges", row, (unsigned long long)in_ranges);
    }
    expect(rmask_count(mask) == total, "count %llu, wanted %llu", (unsigned long long)rmask_count(mask),
           (unsigned long long)total);
    free(cols), free(buffer);
}

/* How many cells lie in a window of the grid. */
static void check_windows(const rmask *mask, const bitmaps *b, rng *random)
{
    for (int i = 0; i < 10; i++) {
        int32_t row_begin = (int32_t)rng_between(random, 0, b->rows),
                row_end = (int32_t)rng_between(random, row_begin, b->rows);
        int32_t col_begin = (int32_t)rng_between(random, 0, b->cols),
                col_end = (int32_t)rng_between(random, col_begin, b->cols);
        uint64_t count, wanted = 0;
        for (int32_t row = row_begin; row < row_end; row++)
            wanted += roaring_bitmap_range_cardinality(b->row[row], (uint64_t)col_begin, (uint64_t)col_end);
        expect_ok(rmask_raster(mask, row_begin, row_end, col_begin, col_end, 1, 1, &count, test_error));
        expect(count == wanted, "%llu cells in [%d, %d) x [%d, %d), wanted %llu", (unsigned long long)count, row_begin, row_end,
               col_begin, col_end, (unsigned long long)wanted);
    }
}

/* ---------------------------------------------------------------- tests */

static const struct {
    int32_t rows, cols;
} grids[] = {{2000, 2000}, {3000, 1000}, {700, 8192}, {300, 20000}, {60, 200000}, {12, 1000000}};
enum { NUM_GRIDS = sizeof grids / sizeof grids[0] };

static void masks_read_as_their_bitmaps(void **state)
{
    (void)state;
    rng random = rng_here();
    for (int i = 0; i < 3 * NUM_GRIDS; i++) {
        bitmaps b = random_bitmaps(grids[i / 3].rows, grids[i / 3].cols, &random);
        rmask *mask = mask_of(&b);
        note("%d x %d, %d", b.rows, b.cols, i);
        check_against_bitmaps(mask, &b, &random);
        check_windows(mask, &b, &random);
        rmask_release(mask);
        free_bitmaps(&b);
    }
}

typedef roaring_bitmap_t *(*bitmap_operation)(const roaring_bitmap_t *a, const roaring_bitmap_t *b);
typedef uint64_t (*bitmap_count)(const roaring_bitmap_t *a, const roaring_bitmap_t *b);

static const struct {
    rmask_function function;
    bitmap_operation operate;
    bitmap_count count;
} operations[] = {
    {RMASK_AND, roaring_bitmap_and, roaring_bitmap_and_cardinality},
    {RMASK_OR, roaring_bitmap_or, roaring_bitmap_or_cardinality},
    {RMASK_XOR, roaring_bitmap_xor, roaring_bitmap_xor_cardinality},
    {RMASK_AND_NOT, roaring_bitmap_andnot, roaring_bitmap_andnot_cardinality},
};

static void check_operation(const rmask *a, const rmask *b, const bitmaps *ba, const bitmaps *bb, int k, rng *random)
{
    bitmaps wanted = no_bitmaps(ba->rows, ba->cols);
    uint64_t total = 0, count;
    for (int32_t row = 0; row < wanted.rows; row++) {
        wanted.row[row] = operations[k].operate(ba->row[row], bb->row[row]);
        total += operations[k].count(ba->row[row], bb->row[row]);
    }
    rmask *result, *complement;
    expect_ok(rmask_combine(a, b, operations[k].function, &result, test_error));
    check_against_bitmaps(result, &wanted, random);
    expect_ok(rmask_combine_count(a, b, operations[k].function, &count, test_error));
    expect(count == total, "combine_count %llu, wanted %llu", (unsigned long long)count, (unsigned long long)total);
    expect_ok(rmask_combine(a, b, (rmask_function)(15 - operations[k].function), &complement, test_error));
    expect_ok(rmask_combine_count(result, complement, RMASK_XOR, &count, test_error));
    expect(count == (uint64_t)ba->rows * (uint64_t)ba->cols, "a result and its complement differ in %llu cells only",
           (unsigned long long)count);
    rmask_release(result), rmask_release(complement);
    free_bitmaps(&wanted);
}

static void masks_combine_as_their_bitmaps(void **state)
{
    (void)state;
    rng random = rng_here();
    for (int i = 0; i < 2 * NUM_GRIDS; i++) {
        bitmaps ba = random_bitmaps(grids[i / 2].rows, grids[i / 2].cols, &random);
        bitmaps bb = random_bitmaps(grids[i / 2].rows, grids[i / 2].cols, &random);
        rmask *a = mask_of(&ba), *b = mask_of(&bb);
        for (int k = 0; k < 4; k++) {
            note("%d x %d, pair %d, function %d", ba.rows, ba.cols, i, operations[k].function);
            check_operation(a, b, &ba, &bb, k, &random);
        }
        rmask_release(a), rmask_release(b);
        free_bitmaps(&ba), free_bitmaps(&bb);
    }
}

static void check_lists(const rmask *a, const bitmaps *ba, rng *random)
{
    int32_t *cols = must_allocate((size_t)ba->cols * sizeof *cols), rows[6];
    uint32_t *buffer = must_allocate((size_t)ba->cols * sizeof *buffer);
    size_t num_rows = (size_t)rng_between(random, 1, 6), num_cols;
    for (size_t i = 0; i < num_rows; i++) rows[i] = (int32_t)rng_below(random, ba->rows);
    roaring_bitmap_t *all = roaring_bitmap_copy(ba->row[rows[0]]), *any = roaring_bitmap_copy(all);
    for (size_t i = 1; i < num_rows; i++) {
        roaring_bitmap_and_inplace(all, ba->row[rows[i]]);
        roaring_bitmap_or_inplace(any, ba->row[rows[i]]);
    }
    expect_ok(rmask_rows_and(a, rows, num_rows, cols, (size_t)ba->cols, &num_cols, test_error));
    check_columns(all, cols, num_cols, buffer);
    expect_ok(rmask_rows_or(a, rows, num_rows, cols, (size_t)ba->cols, &num_cols, test_error));
    check_columns(any, cols, num_cols, buffer);
    roaring_bitmap_free(all), roaring_bitmap_free(any);
    free(cols), free(buffer);
}

static void rows_combine_as_their_bitmaps(void **state)
{
    (void)state;
    rng random = rng_here();
    for (int i = 0; i < NUM_GRIDS; i++) {
        bitmaps ba = random_bitmaps(grids[i].rows, grids[i].cols, &random);
        bitmaps bb = random_bitmaps(10, grids[i].cols, &random);
        rmask *a = mask_of(&ba), *b = mask_of(&bb);
        int32_t *cols = must_allocate((size_t)ba.cols * sizeof *cols);
        uint32_t *buffer = must_allocate((size_t)ba.cols * sizeof *buffer);
        note("rows of %d columns", ba.cols);
        for (int repeat = 0; repeat < 60; repeat++) {
            int32_t row_a = (int32_t)rng_below(&random, ba.rows), row_b = (int32_t)rng_below(&random, bb.rows);
            int k = repeat % 4;
            size_t num_cols;
            roaring_bitmap_t *wanted = operations[k].operate(ba.row[row_a], bb.row[row_b]);
            expect_ok(
                rmask_row_combine(a, row_a, b, row_b, operations[k].function, cols, (size_t)ba.cols, &num_cols, test_error));
            check_columns(wanted, cols, num_cols, buffer);
            roaring_bitmap_free(wanted);
            check_lists(a, &ba, &random);
        }
        free(cols), free(buffer);
        rmask_release(a), rmask_release(b);
        free_bitmaps(&ba), free_bitmaps(&bb);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(masks_read_as_their_bitmaps),
        cmocka_unit_test(masks_combine_as_their_bitmaps),
        cmocka_unit_test(rows_combine_as_their_bitmaps),
    };
    return run_test_program(tests);
}

#else

#include <stdio.h>

int main(void)
{
    puts("skipped: built without CRoaring");
    return TESTS_SKIPPED;
}

#endif
