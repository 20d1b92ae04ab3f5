/* SPDX-License-Identifier: Apache-2.0
 * Coarsening and refining: against the twin, by their laws, on the largest grids, and what the results cost. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/generate.h"
#include "support/ways.h"

static const shape tiles[] = {
    {1, 1}, {2, 2}, {3, 3}, {4, 4},   {7, 7},   {16, 16}, {1, 5},   {5, 1},
    {2, 3}, {8, 4}, {4, 8}, {16, 64}, {64, 16}, {1, 64},  {300, 2}, {1000, 1000},
};
enum { NUM_TILES = sizeof tiles / sizeof tiles[0] };

static int32_t num_tiles(int32_t side, int32_t tile) { return (int32_t)(((int64_t)side + tile - 1) / tile); }

/* ---------------------------------------------------------------- twins */

static twin *refine_twin(const twin *t, shape tile, int32_t rows, int32_t cols)
{
    twin *fine = twin_create(rows, cols);
    for (int32_t row = 0; row < rows; row++)
        for (int32_t col = 0; col < cols; col++) twin_at(fine, row)[col] = twin_at(t, row / tile.rows)[col / tile.cols];
    return fine;
}

/* ---------------------------------------------------------------- against the twin */

/* A result is in proportion: what it is made of, or its bits, and what a mask costs at least. */
static void check_bytes(const rmask *mask, const rmask *tiled)
{
    rmask_stats stats, tiled_stats;
    rmask_get_stats(mask, &stats);
    rmask_get_stats(tiled, &tiled_stats);
    uint64_t num_rows = (uint64_t)rmask_rows(tiled), dense = ((uint64_t)rmask_cols(tiled) + 15) / 16 * 2 * num_rows;
    uint64_t fixed_cost = 400 + 12 * num_rows;
    expect(tiled_stats.num_bytes <= stats.num_bytes + dense + fixed_cost, "%llu bytes out of %llu, %llu as bits",
           (unsigned long long)tiled_stats.num_bytes, (unsigned long long)stats.num_bytes, (unsigned long long)dense);
}

/* A partial tile has some of its cells, and not all of those inside the grid. */
static void check_partial(const rmask *mask, const rmask *any, const rmask *all, shape tile, rng *random)
{
    rmask *partial;
    expect_ok(rmask_and_not(any, all, &partial, test_error));
    if (rmask_count(partial) > 0 && (int64_t)tile.rows * tile.cols <= 4096) {
        int32_t row = (int32_t)rng_below(random, rmask_rows(partial));
        size_t num_cols;
        int32_t *cols = must_allocate((size_t)rmask_cols(partial) * sizeof *cols);
        uint8_t *cells = must_allocate((size_t)tile.rows * (size_t)tile.cols);
        expect_ok(rmask_row(partial, row, cols, (size_t)rmask_cols(partial), &num_cols, test_error));
        for (size_t i = 0; i < num_cols; i++) {
            int32_t begin = row * tile.rows, left = cols[i] * tile.cols, set = 0;
            int32_t end = begin + tile.rows < rmask_rows(mask) ? begin + tile.rows : rmask_rows(mask);
            int32_t right = left + tile.cols < rmask_cols(mask) ? left + tile.cols : rmask_cols(mask);
            size_t stride = (size_t)tile.cols;
            expect_ok(rmask_to_bytes(mask, begin, begin + tile.rows, left, left + tile.cols, cells, stride, test_error));
            for (int32_t k = 0; k < tile.rows * tile.cols; k++) set += cells[k];
            expect(set > 0 && set < (end - begin) * (right - left), "tile (%d, %d) is partial and has %d cells", row, cols[i],
                   set);
        }
        free(cols), free(cells);
    }
    rmask_release(partial);
}

static void check_coarsen(const rmask *mask, const twin *t, shape tile, rng *random)
{
    twin *any_twin, *all_twin;
    rmask *any, *all, *again;
    twin_coarsen(t, tile.rows, tile.cols, &any_twin, &all_twin);
    expect_ok(rmask_coarsen(mask, tile.rows, tile.cols, &any, &all, test_error));
    check_rows(any, any_twin);
    check_bytes(mask, any);
    check_rows(all, all_twin);
    check_bytes(mask, all);
    check_partial(mask, any, all, tile, random);
    if (rng_chance(random, 0.1)) {
        check_same(any, any_twin), check_same(all, all_twin);
        expect_ok(rmask_coarsen(mask, tile.rows, tile.cols, &again, NULL, test_error));
        check_equal(any, again, true);
        rmask_release(again);
        expect_ok(rmask_coarsen(mask, tile.rows, tile.cols, NULL, &again, test_error));
        check_equal(all, again, true);
        rmask_release(again);
        expect_ok(rmask_coarsen(mask, tile.rows, tile.cols, NULL, NULL, test_error));
    }
    rmask_release(any), rmask_release(all);
    twin_free(any_twin), twin_free(all_twin);
}

static void check_case(const char *name, const rmask *mask, const twin *t, shape tile, rng *random)
{
    note("%s, %d x %d, by %d x %d", name, t->rows, t->cols, tile.rows, tile.cols);
    check_coarsen(mask, t, tile, random);
}

static void every_kind(void **state)
{
    (void)state;
    rng random = rng_here();
    for (int kind = 0; kind < NUM_KINDS; kind++)
        for (int repeat = 0; repeat < 8; repeat++) {
            shape s = random_shape(repeat % 2 ? 3000 : 30000, &random);
            twin *t = generate(kind, s.rows, s.cols, &random);
            rmask *mask = make_any(t, &random);
            for (int i = 0; i < NUM_TILES; i++) check_case(kind_name(kind), mask, t, tiles[i], &random);
            rmask_release(mask), twin_free(t);
        }
}

static void every_shape(void **state)
{
    (void)state;
    rng random = rng_here();
    for (int i = 0; i < num_shapes; i++)
        for (int repeat = 0; repeat < (i < num_small_shapes ? 6 : 2); repeat++) {
            int kind = (int)rng_below(&random, NUM_KINDS);
            twin *t = generate(kind, shapes[i].rows, shapes[i].cols, &random);
            rmask *mask = make_plain(t);
            for (int k = 0; k < NUM_TILES; k++) check_case(kind_name(kind), mask, t, tiles[k], &random);
            const shape whole = {t->rows > 1 ? t->rows - 1 : 1, t->cols > 0 ? t->cols : 1};
            const shape beyond = {RMASK_MAX_SIDE, RMASK_MAX_SIDE};
            check_case(kind_name(kind), mask, t, whole, &random);
            check_case(kind_name(kind), mask, t, beyond, &random);
            rmask_release(mask), twin_free(t);
        }
}

/* Long masks of strips, so that stretches of many tile rows are made at once. */
static void long_strips(void **state)
{
    (void)state;
    rng random = rng_here();
    for (int i = 0; i < 150; i++) {
        int32_t rows = (int32_t)rng_between(&random, 300, 1200), cols = (int32_t)rng_between(&random, 20, 200);
        char expression[300];
        int32_t p[6];
        for (int k = 0; k < 6; k++) p[k] = (int32_t)rng_below(&random, k % 2 ? rows : 40);
#define WRITE(format) snprintf(expression, sizeof expression, format, p[0], p[1], p[2] % cols, p[3], p[4], p[5] % cols + 1)
        if (i % 3 == 0) WRITE("(sink(%d) ^ window(%d, %d)) - window(%d, %d) | columns(%d)");
        if (i % 3 == 1) WRITE("!(diagonals(%d, %d, %d, %d) | prefix(%d) & window(%d))");
        if (i % 3 == 2) WRITE("window(%d, %d) ^ prefix(%d) ^ window(%d) ^ sink(%d) ^ local(%d)");
#undef WRITE
        rmask *mask;
        expect_ok(rmask_parse(expression, rows, cols, NULL, &mask, test_error));
        twin *t = twin_of(mask);
        for (int k = 0; k < 6; k++) check_case(expression, mask, t, tiles[k], &random);
        check_case(expression, mask, t, tiles[rng_below(&random, NUM_TILES)], &random);
        rmask_release(mask), twin_free(t);
    }
}

/* Tiles that exceptions empty: strips of which single tiles, or all but some cells of them, are taken out. */
static void emptied_tiles(void **state)
{
    (void)state;
    rng random = rng_here();
    for (int i = 0; i < 600; i++) {
        shape s = random_shape(6000, &random), tile = tiles[1 + rng_below(&random, NUM_TILES - 4)];
        twin *t = generate(i % 2 ? (int)rng_below(&random, NUM_KINDS) : 1, s.rows, s.cols, &random);
        bool in = rng_chance(&random, 0.5);
        for (int k = 0; k < 6; k++) {
            int32_t row = (int32_t)rng_below(&random, num_tiles(s.rows, tile.rows)) * tile.rows;
            int32_t col = (int32_t)rng_below(&random, num_tiles(s.cols, tile.cols)) * tile.cols;
            for (int32_t r = row; r < row + tile.rows && r < s.rows; r++)
                twin_put(t, r, col, col + tile.cols < s.cols ? col + tile.cols : s.cols, in);
            if (rng_chance(&random, 0.3)) twin_at(t, row)[col] = !in;
        }
        rmask *mask = make_any(t, &random);
        check_case("emptied tiles", mask, t, tile, &random);
        rmask_release(mask), twin_free(t);
    }
}

/* ---------------------------------------------------------------- laws */

static rmask *any_of(const rmask *mask, shape tile)
{
    rmask *out;
    expect_ok(rmask_coarsen(mask, tile.rows, tile.cols, &out, NULL, test_error));
    return out;
}

static rmask *all_of(const rmask *mask, shape tile)
{
    rmask *out;
    expect_ok(rmask_coarsen(mask, tile.rows, tile.cols, NULL, &out, test_error));
    return out;
}

static void check_equal_release(rmask *a, rmask *b)
{
    check_equal(a, b, true);
    rmask_release(a), rmask_release(b);
}

static rmask *combined_release(rmask *a, rmask *b, rmask_function function)
{
    rmask *out;
    expect_ok(rmask_combine(a, b, function, &out, test_error));
    rmask_release(a), rmask_release(b);
    return out;
}

static void laws(void **state)
{
    (void)state;
    rng random = rng_here();
    for (int i = 0; i < 400; i++) {
        shape s = random_shape(20000, &random), tile = tiles[rng_below(&random, NUM_TILES)];
        shape more = tiles[rng_below(&random, 9)];
        shape product = {tile.rows * more.rows, tile.cols * more.cols};
        twin *ta = generate_any(s.rows, s.cols, &random), *tb = generate_any(s.rows, s.cols, &random);
        rmask *a = make_any(ta, &random), *b = make_any(tb, &random), *out;
        uint64_t outside;
        note("laws, %d x %d by %d x %d", s.rows, s.cols, tile.rows, tile.cols);

        rmask *any = any_of(a, tile), *all = all_of(a, tile);
        expect_ok(rmask_combine_count(all, any, RMASK_AND_NOT, &outside, test_error));
        expect(outside == 0, "%llu tiles are in all and not in any", (unsigned long long)outside);
        check_equal_release(any_of(any, more), any_of(a, product));
        check_equal_release(all_of(all, more), all_of(a, product));

        expect_ok(rmask_or(a, b, &out, test_error));
        check_equal_release(any_of(out, tile), combined_release(any_of(a, tile), any_of(b, tile), RMASK_OR));
        rmask_release(out);
        expect_ok(rmask_and(a, b, &out, test_error));
        check_equal_release(all_of(out, tile), combined_release(all_of(a, tile), all_of(b, tile), RMASK_AND));
        rmask_release(out);

        rmask_release(any), rmask_release(all), rmask_release(a), rmask_release(b);
        twin_free(ta), twin_free(tb);
    }
}

/* ---------------------------------------------------------------- refining */

static void refining(void **state)
{
    (void)state;
    rng random = rng_here();
    for (int kind = 0; kind < NUM_KINDS; kind++)
        for (int i = 0; i < NUM_TILES - 2; i++) {
            shape s = random_shape(400, &random), tile = tiles[i];
            int32_t rows = s.rows * tile.rows - (int32_t)rng_below(&random, tile.rows);
            int32_t cols = s.cols * tile.cols - (int32_t)rng_below(&random, tile.cols);
            twin *t = generate(kind, s.rows, s.cols, &random), *fine_twin = refine_twin(t, tile, rows, cols);
            rmask *mask = make_any(t, &random), *fine;
            note("%s, %d x %d, each cell %d x %d", kind_name(kind), s.rows, s.cols, tile.rows, tile.cols);
            expect_ok(rmask_refine(mask, tile.rows, tile.cols, rows, cols, &fine, test_error));
            check_rows(fine, fine_twin);
            check_equal_release(any_of(fine, tile), rmask_retain(mask));
            check_equal_release(all_of(fine, tile), rmask_retain(mask));
            rmask_release(fine), rmask_release(mask);
            twin_free(t), twin_free(fine_twin);
        }
}

/* ---------------------------------------------------------------- the largest grids */

static void check_structured(const char *expression, int32_t rows, int32_t cols, shape tile, size_t most_strips)
{
    rmask *mask, *any, *all;
    rmask_stats stats;
    note("%s, %d x %d by %d x %d", expression, rows, cols, tile.rows, tile.cols);
    expect_ok(rmask_parse(expression, rows, cols, NULL, &mask, test_error));
    expect_ok(rmask_coarsen(mask, tile.rows, tile.cols, &any, &all, test_error));
    rmask_get_stats(any, &stats);
    expect(stats.num_strips <= most_strips && stats.num_bytes < 2000, "any: %llu strips, %llu bytes",
           (unsigned long long)stats.num_strips, (unsigned long long)stats.num_bytes);
    rmask_get_stats(all, &stats);
    expect(stats.num_strips <= most_strips && stats.num_bytes < 2000, "all: %llu strips, %llu bytes",
           (unsigned long long)stats.num_strips, (unsigned long long)stats.num_bytes);
    int32_t edges[] = {0, 1, 2, rmask_rows(any) / 2, rmask_rows(any) - 2, rmask_rows(any) - 1};
    rng random = rng_fixed();
    for (int i = 0; i < 300; i++) {
        int32_t row = i < 60 ? edges[i % 6] : (int32_t)rng_below(&random, rmask_rows(any));
        int32_t col = row - (i % 3 == 1 ? (int32_t)rng_below(&random, 40) : 0);
        if (i % 3 == 2) col = (int32_t)rng_below(&random, rmask_cols(any));
        if (row < 0 || row >= rmask_rows(any) || col < 0 || col >= rmask_cols(any)) continue;
        int64_t end_row = ((int64_t)row + 1) * tile.rows, end_col = ((int64_t)col + 1) * tile.cols;
        int32_t bottom = end_row < rows ? (int32_t)end_row : rows, right = end_col < cols ? (int32_t)end_col : cols;
        uint64_t cells, size = (uint64_t)(bottom - row * tile.rows) * (uint64_t)(right - col * tile.cols);
        expect_ok(rmask_raster(mask, row * tile.rows, bottom, col * tile.cols, right, 1, 1, &cells, test_error));
        expect(rmask_contains(any, row, col) == (cells > 0), "any (%d, %d), which has %llu cells", row, col,
               (unsigned long long)cells);
        expect(rmask_contains(all, row, col) == (cells == size), "all (%d, %d), which has %llu cells", row, col,
               (unsigned long long)cells);
    }
    rmask_release(mask), rmask_release(any), rmask_release(all);
}

static void the_largest_grids(void **state)
{
    (void)state;
    const int32_t most = RMASK_MAX_SIDE, million = 1 << 20;
    const shape square = {128, 128}, odd = {7, 7}, flat = {1 << 24, 5}, high = {3, 1 << 20};
    check_structured("causal & (sink(4) | window(4096))", million, million, square, 5);
    check_structured("causal", million, million, square, 3);
    check_structured("window(300, 200)", million, million, square, 3);
    check_structured("global(64) | window(512)", million, million, (shape){8, 8}, 8);
    check_structured("causal & (sink(4) | window(4096))", most, most, square, 8);
    check_structured("global(10) | window(100, 1000) | columns(5, 700, 2000000000) | diagonals(50000, 9)", most, most, odd, 40);
    check_structured("sink(100) | columns(2000000000)", most, most, flat, 3);
    check_structured("sink(100) | columns(2000000000)", most, most, high, 3);
    check_structured("causal", most, most, (shape){most, most}, 3);
    check_structured("!causal", most, most, (shape){most, 1000}, 3);
}

/* Holes and extras in a grid that no bitmap spans. */
static void few_exceptions_in_a_large_grid(void **state)
{
    (void)state;
    rmask *mask, *any, *all;
    rmask_builder *builder;
    const int32_t side = 2000000000;
    expect_ok(rmask_builder_create(1000, side, NULL, &builder, test_error));
    expect_ok(rmask_builder_add(builder, 3, 1999999999, side, test_error));
    expect_ok(rmask_builder_add(builder, 999, 17, 18, test_error));
    expect_ok(rmask_builder_freeze(builder, &mask, test_error));
    expect_ok(rmask_coarsen(mask, 2, 2, &any, &all, test_error));
    expect(rmask_count(any) == 2 && rmask_contains(any, 1, 999999999) && rmask_contains(any, 499, 8), "any has %llu tiles",
           (unsigned long long)rmask_count(any));
    expect(rmask_count(all) == 0, "all has %llu tiles", (unsigned long long)rmask_count(all));
    rmask_release(any), rmask_release(all), rmask_release(mask);

    expect_ok(rmask_builder_remove(builder, 3, 1999999999, side, test_error));
    for (int32_t row = 4; row < 6; row++) expect_ok(rmask_builder_add(builder, row, 1000000000, 1000000002, test_error));
    expect_ok(rmask_builder_freeze(builder, &mask, test_error));
    expect_ok(rmask_coarsen(mask, 2, 2, &any, &all, test_error));
    expect(rmask_count(all) == 1 && rmask_contains(all, 2, 500000000) && rmask_count(any) == 2, "all has %llu tiles",
           (unsigned long long)rmask_count(all));
    rmask_release(any), rmask_release(all), rmask_release(mask);
    rmask_builder_destroy(builder);
}

/* Columns and diagonals meet in every row; their tiles are columns and diagonals again. */
static void crossed_masks_stay_small(void **state)
{
    (void)state;
    rmask *mask, *any;
    rmask_stats stats;
    char expression[2000], *end = expression + sprintf(expression, "causal & (window(4) | columns(1");
    for (int i = 1; i < 60; i++) end += sprintf(end, ", %d", i * 131 + i * i % 50);
    end += sprintf(end, ") | diagonals(9");
    for (int i = 1; i < 20; i++) end += sprintf(end, ", %d", i * 300 + i * i % 77);
    sprintf(end, "))");
    expect_ok(rmask_parse(expression, 8192, 8192, NULL, &mask, test_error));
    expect_ok(rmask_coarsen(mask, 8, 8, &any, NULL, test_error));
    rmask_get_stats(any, &stats);
    expect(stats.num_bytes < 16 * 1024, "%llu bytes", (unsigned long long)stats.num_bytes);
    rmask_release(mask), rmask_release(any);
}

/* ---------------------------------------------------------------- errors */

static void errors(void **state)
{
    (void)state;
    static const shape wrong[] = {{0, 1}, {1, 0}, {-1, 4}, {4, INT32_MIN}};
    rmask *mask, *any, *all;
    expect_ok(rmask_parse("causal", 10, 7, NULL, &mask, test_error));
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        all = (void *)&test_poison;
        expect_makes_nothing(RMASK_ERR_RANGE, any, rmask_coarsen(mask, wrong[i].rows, wrong[i].cols, &any, &all, test_error));
        expect(all == NULL, "the second output of a failed call is not NULL");
        expect_fails(RMASK_ERR_RANGE, rmask_coarsen(mask, wrong[i].rows, wrong[i].cols, NULL, NULL, test_error));
        expect_makes_nothing(RMASK_ERR_RANGE, any, rmask_refine(mask, wrong[i].rows, wrong[i].cols, 10, 7, &any, test_error));
    }
    expect_makes_nothing(RMASK_ERR_ARGUMENT, any, rmask_refine(mask, 4, 2, 36, 14, &any, test_error));
    expect(strstr(test_error->message, "9 x 7 tiles of 4 x 2, the mask has 10 x 7") != NULL, "%s", test_error->message);
    expect_makes_nothing(RMASK_ERR_ARGUMENT, any, rmask_refine(mask, 4, 2, 41, 14, &any, test_error));
    expect_makes_nothing(RMASK_ERR_ARGUMENT, any, rmask_refine(mask, 4, 2, 40, 15, &any, test_error));
    expect_makes_nothing(RMASK_ERR_RANGE, any, rmask_refine(mask, 4, 2, -1, 14, &any, test_error));
    const int32_t most = RMASK_MAX_SIDE;
    expect_makes_nothing(RMASK_ERR_ARGUMENT, any, rmask_refine(mask, most, most, most, most, &any, test_error));
    rmask_release(mask);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind),        cmocka_unit_test(every_shape),
        cmocka_unit_test(long_strips),       cmocka_unit_test(emptied_tiles),
        cmocka_unit_test(laws),              cmocka_unit_test(refining),
        cmocka_unit_test(the_largest_grids), cmocka_unit_test(few_exceptions_in_a_large_grid),
        cmocka_unit_test(crossed_masks_stay_small), cmocka_unit_test(errors),
    };
    return run_test_program(tests);
}
