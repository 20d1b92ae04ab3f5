/* SPDX-License-Identifier: Apache-2.0
 * Transposing, slicing, shifting, packing, repeating, stacking and taking rows: their laws, what they cost, and what they refuse. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/generate.h"
#include "support/ways.h"

/* ---------------------------------------------------------------- laws */

static rmask *parsed(const char *expression, int32_t rows, int32_t cols)
{
    rmask *mask;
    expect_ok(rmask_parse(expression, rows, cols, NULL, &mask, test_error));
    return mask;
}

static size_t bytes_of(const rmask *mask)
{
    size_t num_bytes;
    (void)rmask_data(mask, &num_bytes);
    return num_bytes;
}

static void check_equal_release(rmask *a, rmask *b)
{
    check_equal(a, b, true);
    rmask_release(a), rmask_release(b);
}

static rmask *sliced(const rmask *mask, const int32_t window[4])
{
    rmask *slice;
    expect_ok(rmask_slice(mask, window[0], window[1], window[2], window[3], &slice, test_error));
    return slice;
}

static rmask *taken(const rmask *mask, const int32_t *rows, size_t num_rows)
{
    rmask *result;
    expect_ok(rmask_take_rows(mask, rows, num_rows, &result, test_error));
    return result;
}

static void check_slices_of_slices(const rmask *mask, const rmask *other, rng *random)
{
    int32_t outer[4], inner[4], both[4];
    rmask *a, *b, *result;
    draw_part(rmask_rows(mask), &outer[0], &outer[1], random);
    draw_part(rmask_cols(mask), &outer[2], &outer[3], random);
    draw_part(outer[1] - outer[0], &inner[0], &inner[1], random);
    draw_part(outer[3] - outer[2], &inner[2], &inner[3], random);
    for (int i = 0; i < 4; i++) both[i] = outer[i / 2 * 2] + inner[i];
    a = sliced(mask, outer);
    check_equal_release(sliced(a, inner), sliced(mask, both));
    b = sliced(other, outer);
    rmask *and_of_slices, *and;
    expect_ok(rmask_and(a, b, &and_of_slices, test_error));
    expect_ok(rmask_and(mask, other, &and, test_error));
    check_equal_release(sliced(and, outer), and_of_slices);
    rmask_release(a), rmask_release(b), rmask_release(and);

    rmask *halves[2] = {sliced(mask, (int32_t[4]){0, outer[0], 0, rmask_cols(mask)}),
                        sliced(mask, (int32_t[4]){outer[0], rmask_rows(mask), 0, rmask_cols(mask)})};
    expect_ok(rmask_stack((const rmask *const *)halves, 2, &result, test_error));
    expect(rmask_count(halves[0]) + rmask_count(halves[1]) == rmask_count(mask), "cells are lost between slices");
    check_equal_release(result, rmask_retain(mask));
    rmask_release(halves[0]), rmask_release(halves[1]);
}

/* There and back: what has not left the grid is as it was. */
static void check_shift_back(const rmask *mask, rng *random)
{
    int32_t row_shift = draw_shift(rmask_rows(mask), random), col_shift = draw_shift(rmask_cols(mask), random);
    rmask *all, *nothing, *there, *back, *kept_there, *kept, *wanted;
    if (row_shift == INT32_MIN || col_shift == INT32_MIN) return;
    expect_ok(rmask_shift(mask, row_shift, col_shift, &there, test_error));
    expect_ok(rmask_shift(there, -row_shift, -col_shift, &back, test_error));
    expect_ok(rmask_xor(mask, mask, &nothing, test_error));
    expect_ok(rmask_not(nothing, &all, test_error));
    expect_ok(rmask_shift(all, row_shift, col_shift, &kept_there, test_error));
    expect_ok(rmask_shift(kept_there, -row_shift, -col_shift, &kept, test_error));
    expect_ok(rmask_and(mask, kept, &wanted, test_error));
    check_equal_release(back, wanted);
    rmask_release(all), rmask_release(nothing), rmask_release(there), rmask_release(kept_there), rmask_release(kept);
}

static void check_rows_reversed(const rmask *mask)
{
    int32_t num_rows = rmask_rows(mask), *up = must_allocate((size_t)num_rows * sizeof *up), *down = must_allocate((size_t)num_rows * sizeof *down);
    for (int32_t i = 0; i < num_rows; i++) up[i] = i, down[i] = num_rows - 1 - i;
    rmask *reversed = taken(mask, down, (size_t)num_rows);
    expect(rmask_count(reversed) == rmask_count(mask), "cells are lost when rows are reversed");
    check_equal_release(taken(reversed, down, (size_t)num_rows), rmask_retain(mask));
    check_equal_release(taken(mask, up, (size_t)num_rows), rmask_retain(mask));
    rmask_release(reversed);
    free(up), free(down);
}

static rmask *transposed(const rmask *mask)
{
    rmask *result;
    expect_ok(rmask_transpose(mask, &result, test_error));
    return result;
}

/* Transposing twice changes nothing, and it may be done before AND or after. Either way it costs what the mask costs, or its bits. */
static void check_transposes(const rmask *a, const rmask *b)
{
    rmask *of_a = transposed(a), *of_b = transposed(b), *and, *and_of_both;
    expect(rmask_count(of_a) == rmask_count(a), "cells are lost");
    check_equal_release(transposed(of_a), rmask_retain(a));
    expect_ok(rmask_and(a, b, &and, test_error));
    expect_ok(rmask_and(of_a, of_b, &and_of_both, test_error));
    check_equal_release(transposed(and), and_of_both);
    const size_t bits = (size_t)rmask_cols(a) * (((size_t)rmask_rows(a) + 15) / 16 * 2 + 8);
    expect(bytes_of(of_a) <= 5 * bytes_of(a) + bits + 2000, "%zu bytes of %zu", bytes_of(of_a), bytes_of(a));
    rmask_release(of_a), rmask_release(of_b), rmask_release(and);
}

static void check_repeat_is_concat(const rmask *mask)
{
    const rmask *const three[3] = {mask, mask, mask};
    rmask *packed_mask, *repeated;
    expect_ok(rmask_concat(three, 3, NULL, &packed_mask, test_error));
    expect_ok(rmask_repeat(mask, 3, &repeated, test_error));
    expect(rmask_count(repeated) == 3 * rmask_count(mask), "repeated cells");
    check_equal_release(packed_mask, repeated);
}

static void laws(void **state)
{
    (void)state;
    rng random = rng_here();
    for (int kind = 0; kind < NUM_KINDS; kind++)
        for (int repeat = 0; repeat < 20; repeat++) {
            shape s = random_shape(10000, &random);
            twin *ta = generate(kind, s.rows, s.cols, &random), *tb = generate_any(s.rows, s.cols, &random);
            rmask *a = make_plain(ta), *b = make_plain(tb);
            note("laws of %s, %d x %d", kind_name(kind), s.rows, s.cols);
            check_slices_of_slices(a, b, &random);
            check_shift_back(a, &random);
            check_rows_reversed(a);
            check_repeat_is_concat(a);
            check_transposes(a, b);
            rmask_release(a), rmask_release(b);
            twin_free(ta), twin_free(tb);
        }
}

/* ---------------------------------------------------------------- costs */

static void check_small(rmask *mask, size_t most_bytes)
{
    expect(bytes_of(mask) <= most_bytes, "%zu bytes, at most %zu are wanted", bytes_of(mask), most_bytes);
    rmask_release(mask);
}

static void huge_structured_grids_cost_nothing(void **state)
{
    (void)state;
    const int32_t side = RMASK_MAX_SIDE, half = side / 2;
    rmask *mask = parsed("causal & (sink(64) | window(4096))", side, side), *other, *result;
    const size_t num_bytes = bytes_of(mask);
    note("the greatest grid");
    other = sliced(mask, (int32_t[4]){half, side, half, side});
    expect_ok(rmask_slice(mask, 0, half, 0, half, &result, test_error));
    const rmask *const two[2] = {result, other};
    rmask *both;
    expect_ok(rmask_concat(two, 2, NULL, &both, test_error));
    expect(rmask_count(both) == rmask_count(result) + rmask_count(other), "cells are lost");
    check_equal_release(sliced(both, (int32_t[4]){half, side, half, side}), other);
    check_equal_release(sliced(both, (int32_t[4]){0, half, 0, half}), result);
    check_small(both, 4 * num_bytes);

    expect_ok(rmask_shift(mask, 1 << 30, 1 << 30, &result, test_error));
    expect(!rmask_contains(result, side - 1, (1 << 30) - 1) && rmask_contains(result, side - 1, 1 << 30), "the sink has not moved");
    check_small(result, 2 * num_bytes);
    expect_ok(rmask_shift(mask, -side, 0, &result, test_error));
    expect(rmask_count(result) == 0, "cells that have left");
    rmask_release(result);
    const rmask *const tops[2] = {mask, mask};
    expect_makes_nothing(RMASK_ERR_RANGE, result, rmask_stack(tops, 2, &result, test_error));
    expect_makes_nothing(RMASK_ERR_RANGE, result, rmask_concat(tops, 2, NULL, &result, test_error));
    expect_makes_nothing(RMASK_ERR_RANGE, result, rmask_repeat(mask, 2, &result, test_error));
    result = transposed(mask);
    expect(rmask_count(result) == rmask_count(mask), "cells are lost");
    for (int32_t row = 0; row < 3; row++)
        for (int32_t col = 0; col < 3; col++)
            expect(rmask_contains(result, half - 5000 + row * 5000, half + col) == rmask_contains(mask, half + col, half - 5000 + row * 5000),
                   "a cell");
    check_small(transposed(result), 2 * num_bytes);
    check_small(result, 2 * num_bytes);
    const int32_t rows[] = {side - 3, side - 2, side - 1, 0, 0, 7};
    result = taken(mask, rows, 6);
    expect(rmask_count(result) == 3 * (64 + 4096) + 1 + 1 + 8, "%llu cells", (unsigned long long)rmask_count(result));
    rmask_release(result), rmask_release(mask);
}

/* Rows of random lengths have an event in nearly every column: exceptions, or strips a row high, cost less than long lists. */
static void ragged_rows_stay_in_proportion(void **state)
{
    (void)state;
    rng random = rng_here();
    enum { ROWS = 3000, COLS = 4000 };
    twin *t = twin_create(ROWS, COLS);
    for (int32_t row = 0; row < ROWS; row++) twin_put(t, row, 0, (int32_t)rng_below(&random, COLS), true);
    rmask *mask = make_plain(t), *result = transposed(mask);
    note("ragged rows");
    check_equal_release(transposed(result), mask);
    check_small(result, COLS * (ROWS / 8 + 8) + 5000);
    twin_free(t);
}

static void windows_stay_strips(void **state)
{
    (void)state;
    static const char *const expressions[] = {"causal", "window(512, 512)", "window(4096)", "global(64) | window(512, 512)",
                                              "causal & (sink(64) | window(512))", "!window(7)", "local(100000)", "prefix(1000000)"};
    for (size_t i = 0; i < sizeof expressions / sizeof *expressions; i++) {
        rmask *mask = parsed(expressions[i], 1000000, 1000000);
        note("%s", expressions[i]);
        check_small(transposed(mask), 2 * bytes_of(mask) + 100);
        rmask_release(mask);
    }
}

/* A causal document is one strip, wherever it is packed. */
static void packed_documents_are_a_strip_each(void **state)
{
    (void)state;
    rmask *document = parsed("causal", 100, 100), *repeated;
    rmask_stats stats;
    expect_ok(rmask_repeat(document, 500, &repeated, test_error));
    rmask_get_stats(repeated, &stats);
    expect(stats.num_strips <= 500 && stats.num_exceptions == 0, "%llu strips", (unsigned long long)stats.num_strips);
    rmask_release(repeated), rmask_release(document);
}

/* A diagonal shift of a dilated mask would be cut in every row: exceptions in one column cost less. */
static void cuts_stay_in_proportion(void **state)
{
    (void)state;
    rmask *mask = parsed("strided(2)", 20000, 20000), *shifted;
    note("strided(2)");
    expect_ok(rmask_shift(mask, 0, 1, &shifted, test_error));
    expect(rmask_count(shifted) == 200000000 - 10000, "%llu cells", (unsigned long long)rmask_count(shifted));
    check_small(shifted, bytes_of(mask) + 10 * 20000);
    rmask_release(mask);
}

/* Each row several times, as for query heads that share their keys, costs no more strips than the rows. */
static void rows_repeated_share_a_strip(void **state)
{
    (void)state;
    enum { ROWS = 1000, TIMES = 8 };
    rmask *mask = parsed("causal", ROWS, ROWS), *result;
    int32_t rows[ROWS * TIMES];
    rmask_stats stats;
    for (int32_t i = 0; i < ROWS * TIMES; i++) rows[i] = i / TIMES;
    result = taken(mask, rows, ROWS * TIMES);
    rmask_get_stats(result, &stats);
    expect(stats.num_strips <= ROWS, "%llu strips", (unsigned long long)stats.num_strips);
    expect(rmask_count(result) == TIMES * rmask_count(mask), "cells");
    rmask_release(result), rmask_release(mask);
}

/* The diagonals of rows in another order are no diagonals, so lists of them would cost more than the cells. */
static void rows_out_of_order_stay_in_proportion(void **state)
{
    (void)state;
    enum { ROWS = 4000 };
    rmask *mask = parsed("dilated(300, 4)", ROWS, ROWS), *reversed;
    int32_t rows[ROWS];
    for (int32_t i = 0; i < ROWS; i++) rows[i] = ROWS - 1 - i;
    note("dilated rows, reversed");
    reversed = taken(mask, rows, ROWS);
    check_equal_release(taken(reversed, rows, ROWS), mask);
    check_small(reversed, ROWS * (ROWS / 8 + 50));
}

/* ---------------------------------------------------------------- edges and errors */

static void nothing(void **state)
{
    (void)state;
    rmask *out, *mask = parsed("causal", 5, 7), *empty = parsed("full", 0, 7);
    note("nothing");
    expect_ok(rmask_concat(NULL, 0, NULL, &out, test_error));
    expect(rmask_rows(out) == 0 && rmask_cols(out) == 0, "no masks make %d x %d", rmask_rows(out), rmask_cols(out));
    rmask_release(out);
    expect_ok(rmask_repeat(mask, 0, &out, test_error));
    expect(rmask_rows(out) == 0 && rmask_cols(out) == 0, "no copies make %d x %d", rmask_rows(out), rmask_cols(out));
    rmask_release(out);
    expect_ok(rmask_take_rows(mask, NULL, 0, &out, test_error));
    expect(rmask_rows(out) == 0 && rmask_cols(out) == 7, "no rows make %d x %d", rmask_rows(out), rmask_cols(out));
    rmask_release(out);
    expect_ok(rmask_repeat(empty, RMASK_MAX_SIDE / 7, &out, test_error));
    expect(rmask_rows(out) == 0 && rmask_cols(out) == RMASK_MAX_SIDE / 7 * 7, "%d x %d", rmask_rows(out), rmask_cols(out));
    rmask_release(out), rmask_release(empty), rmask_release(mask);
}

static void expect_message(const char *words)
{
    expect(strstr(test_error->message, words) != NULL, "\"%s\" does not say \"%s\"", test_error->message, words);
}

static void errors(void **state)
{
    (void)state;
    rmask *out, *mask = parsed("causal", 5, 7), *other = parsed("causal", 5, 8);
    static const int32_t windows[][4] = {{-1, 2, 0, 7}, {0, 6, 0, 7}, {3, 2, 0, 7}, {0, 5, -1, 7}, {0, 5, 0, 8}, {0, 5, 5, 4}};
    for (size_t i = 0; i < sizeof windows / sizeof *windows; i++) {
        const int32_t *w = windows[i];
        note("window %zu", i);
        expect_makes_nothing(RMASK_ERR_RANGE, out, rmask_slice(mask, w[0], w[1], w[2], w[3], &out, test_error));
        expect_message("5 x 7");
    }
    const rmask *const both[2] = {mask, other};
    expect_makes_nothing(RMASK_ERR_ARGUMENT, out, rmask_stack(both, 2, &out, test_error));
    expect_message("mask 1 has 8");
    expect_makes_nothing(RMASK_ERR_ARGUMENT, out, rmask_stack(NULL, 0, &out, test_error));
    expect_makes_nothing(RMASK_ERR_RANGE, out, rmask_repeat(mask, -1, &out, test_error));
    expect_makes_nothing(RMASK_ERR_RANGE, out, rmask_repeat(mask, RMASK_MAX_SIDE / 5, &out, test_error));
    expect_message("2147483647");
    const int32_t rows[] = {4, 0, 5}, negative[] = {-1};
    expect_makes_nothing(RMASK_ERR_RANGE, out, rmask_take_rows(mask, rows, 3, &out, test_error));
    expect_message("row 5");
    expect_makes_nothing(RMASK_ERR_RANGE, out, rmask_take_rows(mask, negative, 1, &out, test_error));
    rmask_release(mask), rmask_release(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(laws),
        cmocka_unit_test(huge_structured_grids_cost_nothing),
        cmocka_unit_test(ragged_rows_stay_in_proportion),
        cmocka_unit_test(windows_stay_strips),
        cmocka_unit_test(packed_documents_are_a_strip_each),
        cmocka_unit_test(cuts_stay_in_proportion),
        cmocka_unit_test(rows_repeated_share_a_strip),
        cmocka_unit_test(rows_out_of_order_stay_in_proportion),
        cmocka_unit_test(nothing),
        cmocka_unit_test(errors),
    };
    return run_test_program(tests);
}
