/* SPDX-License-Identifier: Apache-2.0
 * The builder: calls in their order, freezes in between, bad input, and rows of many scattered cells. */
#include <stdlib.h>
#include <string.h>

#include "support/generate.h"
#include "support/hook.h"
#include "support/ways.h"

static void check_frozen(rmask_builder *builder, const twin *t)
{
    rmask *mask;
    expect_ok(rmask_builder_freeze(builder, &mask, test_error));
    check_rows_release(mask, t);
}

static void random_change(rmask_builder *builder, twin *t, rng *random)
{
    int32_t row = (int32_t)rng_below(random, t->rows), begin = (int32_t)rng_between(random, 0, t->cols), end, *cols;
    size_t num_cols = 0;
    switch (rng_below(random, 6)) {
    case 0:
    case 1:
        if (begin == t->cols) return;
        end = begin + 1;
        break;
    case 2: begin = 0, end = t->cols; break;
    case 3: /* touches the end of what came before */ end = (int32_t)rng_between(random, begin, t->cols); break;
    default: end = (int32_t)rng_between(random, begin, begin + (t->cols - begin) / 4); break;
    }
    switch (rng_below(random, 5)) {
    case 0:
    case 1:
        expect_ok(rmask_builder_add(builder, row, begin, end, test_error));
        twin_put(t, row, begin, end, true);
        break;
    case 2:
    case 3:
        expect_ok(rmask_builder_remove(builder, row, begin, end, test_error));
        twin_put(t, row, begin, end, false);
        break;
    default:
        cols = must_allocate((size_t)t->cols * sizeof *cols);
        for (int32_t col = begin; col < end; col++)
            if (rng_chance(random, 0.4)) cols[num_cols++] = col;
        expect_ok(rmask_builder_add_sorted(builder, row, cols, num_cols, test_error));
        for (size_t i = 0; i < num_cols; i++) twin_at(t, row)[cols[i]] = 1;
        free(cols);
    }
}

static void calls_take_effect_in_order(void **state)
{
    (void)state;
    rng random = rng_here();
    for (int i = 0; i < 400; i++) {
        shape s = random_shape(1500, &random);
        twin *t = twin_create(s.rows, s.cols);
        rmask_builder *builder;
        note("builder %d, %d x %d", i, s.rows, s.cols);
        expect_ok(rmask_builder_create(s.rows, s.cols, NULL, &builder, test_error));
        for (int call = 0; call < 300; call++) {
            random_change(builder, t, &random);
            if (rng_chance(&random, 0.02)) check_frozen(builder, t);
        }
        check_frozen(builder, t);
        check_frozen(builder, t);
        rmask_builder_destroy(builder);
        twin_free(t);
    }
}

static void few_rows_and_many_calls(void **state)
{
    (void)state;
    rng random = rng_here();
    const shape many_cols[] = {{1, 3000}, {2, 70000}, {1, 140000}};
    for (size_t i = 0; i < 3; i++) {
        twin *t = twin_create(many_cols[i].rows, many_cols[i].cols);
        rmask_builder *builder;
        expect_ok(rmask_builder_create(t->rows, t->cols, NULL, &builder, test_error));
        for (int call = 0; call < 3000; call++) {
            random_change(builder, t, &random);
            if (call % 500 == 499) check_frozen(builder, t);
        }
        rmask_builder_destroy(builder);
        twin_free(t);
    }
}

static void frozen_masks_do_not_change(void **state)
{
    (void)state;
    rng random = rng_here();
    twin *t = twin_create(20, 40), *before;
    rmask_builder *builder;
    rmask *mask;
    expect_ok(rmask_builder_create(20, 40, NULL, &builder, test_error));
    for (int i = 0; i < 60; i++) random_change(builder, t, &random);
    expect_ok(rmask_builder_freeze(builder, &mask, test_error));
    before = twin_copy(t);
    for (int i = 0; i < 60; i++) random_change(builder, t, &random);
    rmask_builder_destroy(builder);
    check_same_release(mask, before);
    twin_free(t), twin_free(before);
    rmask_builder_destroy(NULL);
}

static void masks_can_be_added_and_edited(void **state)
{
    (void)state;
    rng random = rng_here();
    for (int kind = 0; kind < NUM_KINDS; kind++) {
        shape s = random_shape(3000, &random);
        twin *a = generate(kind, s.rows, s.cols, &random), *b = generate_any(s.rows, s.cols, &random);
        twin *t = twin_combine(a, b, RMASK_OR);
        rmask *mask_a = make_any(a, &random), *mask_b = make_any(b, &random);
        rmask_builder *builder;
        note("%s %d x %d", kind_name(kind), s.rows, s.cols);
        expect_ok(rmask_builder_create(s.rows, s.cols, NULL, &builder, test_error));
        expect_ok(rmask_builder_add_mask(builder, mask_a, test_error));
        check_frozen(builder, a);
        expect_ok(rmask_builder_add_mask(builder, mask_b, test_error));
        rmask_release(mask_a), rmask_release(mask_b);
        for (int i = 0; i < 20; i++) random_change(builder, t, &random);
        check_frozen(builder, t);
        rmask_builder_destroy(builder);
        twin_free(a), twin_free(b), twin_free(t);
    }
}

static void grids_without_cells(void **state)
{
    (void)state;
    const shape none[] = {{0, 0}, {0, 9}, {9, 0}};
    for (size_t i = 0; i < 3; i++) {
        rmask_builder *builder;
        rmask *mask;
        twin *t = twin_create(none[i].rows, none[i].cols);
        expect_ok(rmask_builder_create(t->rows, t->cols, NULL, &builder, test_error));
        if (t->rows) expect_ok(rmask_builder_add(builder, 8, 0, 0, test_error));
        if (t->rows) expect_ok(rmask_builder_add_sorted(builder, 8, NULL, 0, test_error));
        expect_fails(RMASK_ERR_RANGE, rmask_builder_add(builder, t->rows, 0, 0, test_error));
        expect_ok(rmask_builder_freeze(builder, &mask, test_error));
        check_same_release(mask, t);
        rmask_builder_destroy(builder);
        twin_free(t);
    }
}

/* Any order costs k log k; moving the rest of the row at each call would take minutes here. */
static void many_scattered_cells_in_one_row(void **state)
{
    (void)state;
    enum { NUM_CELLS = 300000, COLS = 2000003 };
    static int32_t scattered[NUM_CELLS], cols[NUM_CELLS];
    for (int order = 0; order < 4; order++) {
        rmask_builder *builder;
        rmask *mask;
        size_t count;
        expect_ok(rmask_builder_create(3, COLS, NULL, &builder, test_error));
        for (int64_t i = 0; i < NUM_CELLS; i++) {
            int64_t rising = i * 6 + 2, col = order == 0 ? rising : order == 1 ? COLS - rising : i * 777779 % COLS;
            scattered[i] = (int32_t)col;
            expect_ok(rmask_builder_add(builder, 1, (int32_t)col, (int32_t)col + 1, test_error));
        }
        for (int i = 0; order == 3 && i < NUM_CELLS; i += 2)
            expect_ok(rmask_builder_remove(builder, 1, scattered[i], scattered[i] + 1, test_error));
        expect_ok(rmask_builder_freeze(builder, &mask, test_error));
        rmask_builder_destroy(builder);
        expect_ok(rmask_row(mask, 1, cols, NUM_CELLS, &count, test_error));
        expect(count == (order == 3 ? NUM_CELLS / 2 : NUM_CELLS) && rmask_count(mask) == count, "order %d: %zu cells", order,
               count);
        for (int i = 0; i < NUM_CELLS; i++)
            expect(rmask_contains(mask, 1, scattered[i]) == (order < 3 || i % 2 == 1), "order %d: column %d", order,
                   scattered[i]);
        rmask_release(mask);
    }
}

static void the_largest_grid(void **state)
{
    (void)state;
    enum { SIDE = RMASK_MAX_SIDE };
    rmask_builder *builder;
    rmask *mask;
    int32_t ranges[8];
    size_t count;
    expect_ok(rmask_builder_create(SIDE, SIDE, NULL, &builder, test_error));
    expect_ok(rmask_builder_add(builder, SIDE - 1, 0, SIDE, test_error));
    expect_ok(rmask_builder_remove(builder, SIDE - 1, 5, 6, test_error));
    expect_ok(rmask_builder_add(builder, 7, SIDE - 1, SIDE, test_error));
    expect_ok(rmask_builder_add(builder, 1 << 30, 3, 4, test_error));
    expect_ok(rmask_builder_freeze(builder, &mask, test_error));
    rmask_builder_destroy(builder);
    expect(rmask_count(mask) == (uint64_t)SIDE + 1, "count %llu", (unsigned long long)rmask_count(mask));
    expect_ok(rmask_row_ranges(mask, SIDE - 1, ranges, 4, &count, test_error));
    expect(count == 2 && ranges[0] == 0 && ranges[1] == 5 && ranges[2] == 6 && ranges[3] == SIDE, "the last row");
    expect(rmask_contains(mask, 7, SIDE - 1) && !rmask_contains(mask, 8, SIDE - 1), "the last column");
    expect(rmask_contains(mask, 1 << 30, 3) && !rmask_contains(mask, (1 << 30) + 1, 3), "a row in the middle");
    rmask_release(mask);
}

static void bad_input_changes_nothing(void **state)
{
    (void)state;
    rng random = rng_here();
    twin *t = twin_create(8, 30);
    rmask_builder *builder;
    const int32_t twice[] = {1, 5, 5}, falling[] = {4, 3}, outside[] = {0, 30}, below[] = {-1, 0}, fine[] = {2, 4};
    expect_ok(rmask_builder_create(8, 30, NULL, &builder, test_error));
    for (int i = 0; i < 25; i++) random_change(builder, t, &random);
    expect_fails(RMASK_ERR_RANGE, rmask_builder_add(builder, -1, 0, 5, test_error));
    expect_fails(RMASK_ERR_RANGE, rmask_builder_add(builder, 8, 0, 5, test_error));
    expect_fails(RMASK_ERR_RANGE, rmask_builder_add(builder, 2, -1, 5, test_error));
    expect_fails(RMASK_ERR_RANGE, rmask_builder_add(builder, 2, 5, 4, test_error));
    expect_fails(RMASK_ERR_RANGE, rmask_builder_add(builder, 2, 0, 31, test_error));
    expect_fails(RMASK_ERR_RANGE, rmask_builder_add(builder, 2, 31, 31, test_error));
    expect_fails(RMASK_ERR_RANGE, rmask_builder_remove(builder, -1, 0, 5, test_error));
    expect_fails(RMASK_ERR_RANGE, rmask_builder_remove(builder, 8, 0, 5, test_error));
    expect_fails(RMASK_ERR_RANGE, rmask_builder_remove(builder, 2, INT32_MIN, 5, test_error));
    expect_fails(RMASK_ERR_RANGE, rmask_builder_remove(builder, 2, 0, INT32_MAX, test_error));
    expect_fails(RMASK_ERR_RANGE, rmask_builder_remove(builder, 2, 9, 8, test_error));
    expect_fails(RMASK_ERR_ARGUMENT, rmask_builder_add_sorted(builder, 2, twice, 3, test_error));
    expect_fails(RMASK_ERR_ARGUMENT, rmask_builder_add_sorted(builder, 2, falling, 2, test_error));
    expect_fails(RMASK_ERR_RANGE, rmask_builder_add_sorted(builder, 2, outside, 2, test_error));
    expect_fails(RMASK_ERR_RANGE, rmask_builder_add_sorted(builder, 2, below, 2, test_error));
    expect_fails(RMASK_ERR_RANGE, rmask_builder_add_sorted(builder, 8, fine, 2, test_error));
    expect_fails(RMASK_ERR_RANGE, rmask_builder_add_sorted(builder, -1, fine, 2, test_error));
    for (int transposed = 0; transposed < 2; transposed++) {
        twin *other = transposed ? generate_any(30, 8, &random) : generate_any(8, 31, &random);
        rmask *mask = make_plain(other);
        expect_fails(RMASK_ERR_ARGUMENT, rmask_builder_add_mask(builder, mask, test_error));
        rmask_release(mask), twin_free(other);
    }
    check_frozen(builder, t);
    rmask_builder_destroy(builder);
    twin_free(t);
}

/* Memory goes with the runs: whole rows of a wide grid cost next to nothing. */
static void memory_grows_with_runs(void **state)
{
    (void)state;
    enum { ROWS = 1000, COLS = 1000000 };
    hook h = {0};
    rmask_allocator allocator = hook_allocator(&h);
    rmask_builder *builder;
    rmask *mask;
    expect_ok(rmask_builder_create(ROWS, COLS, &allocator, &builder, test_error));
    for (int32_t row = 0; row < ROWS; row++) {
        expect_ok(rmask_builder_add(builder, row, 0, COLS, test_error));
        expect_ok(rmask_builder_remove(builder, row, row, row + 1, test_error));
    }
    expect_ok(rmask_builder_freeze(builder, &mask, test_error));
    expect(h.most_bytes < 1000 * ROWS, "%zu bytes at most", h.most_bytes);
    expect(rmask_count(mask) == (uint64_t)ROWS * (COLS - 1), "count %llu", (unsigned long long)rmask_count(mask));
    rmask_builder_destroy(builder);
    rmask_release(mask);
    check_hook_empty(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_take_effect_in_order), cmocka_unit_test(few_rows_and_many_calls),
        cmocka_unit_test(frozen_masks_do_not_change), cmocka_unit_test(masks_can_be_added_and_edited),
        cmocka_unit_test(grids_without_cells),        cmocka_unit_test(many_scattered_cells_in_one_row),
        cmocka_unit_test(the_largest_grid),           cmocka_unit_test(bad_input_changes_nothing),
        cmocka_unit_test(memory_grows_with_runs),
    };
    return run_test_program(tests);
}
