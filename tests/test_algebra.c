/* SPDX-License-Identifier: Apache-2.0
 * All 16 boolean functions of two masks, the counts without making them, the laws, and what structured results cost. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "support/generate.h"
#include "support/ways.h"

/* ---------------------------------------------------------------- against the twin */

static void check_function(const rmask *a, const rmask *b, const twin *ta, const twin *tb, rmask_function function, bool fully)
{
    twin *t = twin_combine(ta, tb, function);
    uint64_t count = UINT64_MAX, wanted = twin_count(t);
    rmask *result;
    expect_ok(rmask_combine(a, b, function, &result, test_error));
    if (fully)
        check_same_release(result, t);
    else
        check_rows_release(result, t);
    expect_ok(rmask_combine_count(a, b, function, &count, test_error));
    expect(count == wanted, "function %d: combine_count %llu, wanted %llu", function, (unsigned long long)count,
           (unsigned long long)wanted);
    twin_free(t);
}

static double jaccard_of(const twin *a, const twin *b)
{
    twin *both = twin_combine(a, b, RMASK_AND), *either = twin_combine(a, b, RMASK_OR);
    uint64_t num_either = twin_count(either);
    double overlap = num_either ? (double)twin_count(both) / (double)num_either : 1;
    twin_free(both), twin_free(either);
    return overlap;
}

static void check_pair(const rmask *a, const rmask *b, const twin *ta, const twin *tb, rng *random)
{
    double overlap = -1, wanted = jaccard_of(ta, tb);
    int64_t chosen = rng_below(random, 64);
    for (int function = 0; function < 16; function++)
        check_function(a, b, ta, tb, (rmask_function)function, function == chosen);
    expect_ok(rmask_jaccard(a, b, &overlap, test_error));
    expect(overlap - wanted < 1e-12 && wanted - overlap < 1e-12, "jaccard %g, wanted %g", overlap, wanted);
    check_equal(a, b, twin_equal(ta, tb));
}

static void check_kinds(int kind_a, int kind_b, shape s, rng *random)
{
    twin *ta = generate(kind_a, s.rows, s.cols, random), *tb = generate(kind_b, s.rows, s.cols, random);
    rmask *a = make_plain(ta), *b = make_plain(tb);
    note("%s, %s, %d x %d", kind_name(kind_a), kind_name(kind_b), s.rows, s.cols);
    check_pair(a, b, ta, tb, random);
    rmask_release(a), rmask_release(b);
    twin_free(ta), twin_free(tb);
}

static void every_pair_of_kinds(void **state)
{
    (void)state;
    rng random = rng_here();
    for (int kind_a = 0; kind_a < NUM_KINDS; kind_a++)
        for (int kind_b = 0; kind_b < NUM_KINDS; kind_b++) check_kinds(kind_a, kind_b, random_shape(2500, &random), &random);
}

static void every_shape(void **state)
{
    (void)state;
    rng random = rng_here();
    for (int i = 0; i < num_shapes; i++)
        for (int repeat = 0; repeat < (i < num_small_shapes ? 8 : 3); repeat++)
            check_kinds((int)rng_below(&random, NUM_KINDS), (int)rng_below(&random, NUM_KINDS), shapes[i], &random);
}

/* Masks that share their strips or their exceptions, wholly or in part. */
static void relatives(void **state)
{
    (void)state;
    rng random = rng_here();
    for (int kind = 0; kind < NUM_KINDS; kind++)
        for (int relation = 0; relation < 4; relation++) {
            shape s = random_shape(4000, &random);
            twin *ta = generate(kind, s.rows, s.cols, &random), *tb = twin_copy(ta),
                 *other = generate_any(s.rows, s.cols, &random);
            if (relation == 1) twin_at(tb, (int32_t)rng_below(&random, s.rows))[rng_below(&random, s.cols)] ^= 1;
            if (relation == 2) twin_free(tb), tb = twin_combine(ta, other, RMASK_XOR);
            if (relation == 3) twin_free(tb), tb = twin_combine(ta, other, RMASK_NOT_A);
            rmask *a = make_any(ta, &random), *b = relation ? make_any(tb, &random) : rmask_retain(a);
            note("relation %d of %s, %d x %d", relation, kind_name(kind), s.rows, s.cols);
            check_pair(a, b, ta, tb, &random);
            rmask_release(a), rmask_release(b);
            twin_free(ta), twin_free(tb), twin_free(other);
        }
}

/* Long lists of fixed and sliding boundaries that meet in many places: strips or exceptions, whichever is smaller. */
static void many_columns_meet_many_diagonals(void **state)
{
    (void)state;
    rng random = rng_here();
    for (int i = 0; i < 20; i++) {
        shape s = {(int32_t)rng_between(&random, 50, 300), (int32_t)rng_between(&random, 50, 300)};
        double density = i % 4 == 0 ? 0.5 : i % 4 == 1 ? 0.1 : 0.02;
        twin *ta = twin_create(s.rows, s.cols), *tb = twin_create(s.rows, s.cols);
        for (int32_t col = 0; col < s.cols; col++) {
            bool in = rng_chance(&random, density);
            for (int32_t row = 0; row < s.rows; row++) twin_at(ta, row)[col] = in;
        }
        for (int32_t distance = -s.cols; distance < s.rows; distance++) {
            bool in = rng_chance(&random, density);
            for (int32_t row = 0; row < s.rows; row++)
                if (row - distance >= 0 && row - distance < s.cols) twin_at(tb, row)[row - distance] = in;
        }
        rmask *a = make_plain(ta), *b = make_plain(tb), *product;
        note("columns and diagonals at density %g, %d x %d", density, s.rows, s.cols);
        check_pair(a, b, ta, tb, &random);
        check_pair(b, a, tb, ta, &random);
        expect_ok(rmask_and(a, b, &product, test_error));
        twin *tp = twin_combine(ta, tb, RMASK_AND);
        check_pair(product, a, tp, ta, &random);
        rmask_release(a), rmask_release(b), rmask_release(product);
        twin_free(ta), twin_free(tb), twin_free(tp);
    }
}

/* Both masks have columns and diagonals, and single cells toggled: strips so long that their rows are combined as bits. */
static void crossed_masks_meet(void **state)
{
    (void)state;
    rng random = rng_here();
    static const double shares[] = {0.02, 0.1, 0.4};
    for (int i = 0; i < 24; i++) {
        shape s = {(int32_t)rng_between(&random, 1, 200), (int32_t)rng_between(&random, 60, 400)};
        if (i % 8 == 0) s = (shape){i == 0 ? 700 : 300, i == 0 ? 64 : 128}; /* more rows than are drawn at once */
        twin *ta, *tb;
        rmask *a = make_columns_and_diagonals(s.rows, s.cols, shares[i % 3], &ta, &random);
        rmask *b = make_columns_and_diagonals(s.rows, s.cols, shares[i / 3 % 3], &tb, &random);
        note("columns and diagonals in both, %g and %g, %d x %d", shares[i % 3], shares[i / 3 % 3], s.rows, s.cols);
        check_pair(a, b, ta, tb, &random);
        rmask_release(a), rmask_release(b);
        twin_free(ta), twin_free(tb);
    }
}

static void wide_rows_with_chunks(void **state)
{
    (void)state;
    rng random = rng_here();
    static const double densities[] = {0, 0.0003, 0.05, 0.5, 0.999};
    for (int i = 0; i < 10; i++) {
        twin *ta = twin_create(2, 3 * 65536 + 77), *tb = twin_create(2, 3 * 65536 + 77);
        for (int32_t col = 0; col < ta->cols; col++)
            for (int32_t row = 0; row < 2; row++) {
                int chunk = col >> 16;
                twin_at(ta, row)[col] = rng_chance(&random, densities[(i + chunk + row) % 5]);
                twin_at(tb, row)[col] = rng_chance(&random, densities[(2 * i + 3 * chunk + row) % 5]);
            }
        rmask *a = make_plain(ta), *b = make_plain(tb);
        note("wide pair %d", i);
        check_pair(a, b, ta, tb, &random);
        rmask_release(a), rmask_release(b);
        twin_free(ta), twin_free(tb);
    }
}

/* ---------------------------------------------------------------- names and laws */

static rmask *combined(const rmask *a, const rmask *b, rmask_function function)
{
    rmask *result;
    expect_ok(rmask_combine(a, b, function, &result, test_error));
    return result;
}

static void check_equal_release(rmask *a, rmask *b)
{
    check_equal(a, b, true);
    rmask_release(a), rmask_release(b);
}

static void check_names(const rmask *a, const rmask *b)
{
    rmask *named;
    expect_ok(rmask_and(a, b, &named, test_error));
    check_equal_release(named, combined(a, b, RMASK_AND));
    expect_ok(rmask_or(a, b, &named, test_error));
    check_equal_release(named, combined(a, b, RMASK_OR));
    expect_ok(rmask_xor(a, b, &named, test_error));
    check_equal_release(named, combined(a, b, RMASK_XOR));
    expect_ok(rmask_and_not(a, b, &named, test_error));
    check_equal_release(named, combined(a, b, RMASK_AND_NOT));
    expect_ok(rmask_not(a, &named, test_error));
    check_equal_release(named, combined(a, b, RMASK_NOT_A));
}

static void check_laws(const rmask *a, const rmask *b)
{
    rmask *not_a = combined(a, a, RMASK_NOT_A), *not_b = combined(b, b, RMASK_NOT_A), *none = combined(a, a, RMASK_XOR);
    rmask *and = combined(a, b, RMASK_AND), * or = combined(a, b, RMASK_OR), *xor = combined(a, b, RMASK_XOR), *again;
    expect(rmask_count(none) == 0, "a xor a has cells");
    expect(rmask_count(and) + rmask_count(or) == rmask_count(a) + rmask_count(b), "the counts do not add up");
    check_equal_release(combined(b, a, RMASK_AND), rmask_retain(and));
    check_equal_release(combined(b, a, RMASK_OR), rmask_retain(or));
    check_equal_release(combined(b, a, RMASK_XOR), rmask_retain(xor));
    check_equal_release(combined(not_a, not_b, RMASK_NOR), rmask_retain(and));
    check_equal_release(combined(not_a, not_b, RMASK_NAND), rmask_retain(or));
    check_equal_release(combined(a, not_b, RMASK_AND), combined(a, b, RMASK_AND_NOT));
    check_equal_release(combined(xor, b, RMASK_XOR), rmask_retain(a));
    check_equal_release(combined(or, and, RMASK_AND_NOT), rmask_retain(xor));
    check_equal_release(combined(not_a, not_b, RMASK_XOR), rmask_retain(xor));
    check_equal_release(combined(a, or, RMASK_AND), rmask_retain(a));
    check_equal_release(combined(a, b, RMASK_A), rmask_retain(a));
    expect_ok(rmask_not(not_a, &again, test_error));
    check_equal_release(again, rmask_retain(a));
    rmask_release(not_a), rmask_release(not_b), rmask_release(none);
    rmask_release(and), rmask_release(or), rmask_release(xor);
}

static void names_and_laws(void **state)
{
    (void)state;
    rng random = rng_here();
    for (int i = 0; i < 400; i++) {
        shape s = i % 8 == 0 ? shapes[rng_below(&random, num_shapes)] : random_shape(3000, &random);
        twin *ta = generate_any(s.rows, s.cols, &random), *tb = generate_any(s.rows, s.cols, &random);
        rmask *a = make_any(ta, &random), *b = make_any(tb, &random);
        note("laws, pair %d, %d x %d", i, s.rows, s.cols);
        check_names(a, b);
        check_laws(a, b);
        rmask_release(a), rmask_release(b);
        twin_free(ta), twin_free(tb);
    }
}

/* ---------------------------------------------------------------- structured masks stay structured */

static uint64_t bytes_of(const rmask *mask)
{
    size_t num_bytes;
    (void)rmask_data(mask, &num_bytes);
    return num_bytes;
}

static void structured_results_are_small(void **state)
{
    (void)state;
    enum { SIDE = 62500 };
    static const char *const expressions[] = {"causal",     "window(512)", "window(256, 256)",    "sink(64)",
                                              "global(64)", "prefix(999)", "window(7) | sink(3)", "full",
                                              "none"};
    enum { NUM_EXPRESSIONS = sizeof expressions / sizeof expressions[0] };
    for (size_t i = 0; i < NUM_EXPRESSIONS; i++)
        for (size_t j = 0; j < NUM_EXPRESSIONS; j++) {
            rmask *a, *b;
            expect_ok(rmask_parse(expressions[i], SIDE, SIDE, NULL, &a, test_error));
            expect_ok(rmask_parse(expressions[j], SIDE, SIDE, NULL, &b, test_error));
            for (int function = 0; function < 16; function++) {
                rmask_stats stats;
                rmask *result = combined(a, b, (rmask_function)function);
                note("function %d of %s, %s", function, expressions[i], expressions[j]);
                rmask_get_stats(result, &stats);
                expect(bytes_of(result) <= 1024, "%llu bytes", (unsigned long long)bytes_of(result));
                expect(stats.num_strips <= 24, "%llu strips", (unsigned long long)stats.num_strips);
                rmask_release(result);
            }
            rmask_release(a), rmask_release(b);
        }
}

/* Where a plainer function stands for another one, the few cells in which they differ are found without a look at every row. */
static void few_cells_in_many_rows(void **state)
{
    (void)state;
    const clock_t begin = clock();
    for (int swap = 0; swap < 2; swap++) {
        rmask *a, *b;
        expect_ok(rmask_parse("causal ^ columns(100000, 200000)", INT32_MAX, INT32_MAX, NULL, &a, test_error));
        expect_ok(rmask_parse("window(5) | sink(3)", INT32_MAX, INT32_MAX, NULL, &b, test_error));
        for (int function = 0; function < 16; function++) {
            rmask *result = combined(swap ? b : a, swap ? a : b, (rmask_function)function);
            note("function %d%s", function, swap ? ", swapped" : "");
            expect(bytes_of(result) <= 1024, "%llu bytes", (unsigned long long)bytes_of(result));
            expect_ok(rmask_verify(result, test_error));
            for (int32_t row = 199990; row < 200010; row++)
                for (int32_t col = 199990; col < 200010; col++) {
                    const bool in_a = rmask_contains(swap ? b : a, row, col), in_b = rmask_contains(swap ? a : b, row, col);
                    expect(rmask_contains(result, row, col) == function_holds((rmask_function)function, in_a, in_b),
                           "cell (%d, %d)", row, col);
                }
            rmask_release(result);
        }
        rmask_release(a), rmask_release(b);
    }
    const double seconds = (double)(clock() - begin) / CLOCKS_PER_SEC;
    expect(seconds < 10, "%.1f s for what takes milliseconds", seconds);
}

/* x & (x | y) is x, and costs about what x and y do, though not always what x alone does. */
static void results_forget_how_they_were_made(void **state)
{
    (void)state;
    rng random = rng_fixed();
    for (int kind = 0; kind < NUM_KINDS; kind++) {
        twin *ta = generate(kind, 60, 90, &random), *tb = generate_any(60, 90, &random);
        rmask *a = make_plain(ta), *b = make_plain(tb), * or = combined(a, b, RMASK_OR), *back = combined(a, or, RMASK_AND);
        note("%s within something larger", kind_name(kind));
        check_equal(a, back, true);
        expect(bytes_of(back) <= 2 * (bytes_of(a) + bytes_of(b)), "%llu bytes of %llu and %llu",
               (unsigned long long)bytes_of(back), (unsigned long long)bytes_of(a), (unsigned long long)bytes_of(b));
        rmask_release(a), rmask_release(b), rmask_release(or), rmask_release(back);
        twin_free(ta), twin_free(tb);
    }
}

/* Whatever is combined, the result is not larger than both masks and a dense one together. */
static void results_stay_in_proportion(void **state)
{
    (void)state;
    enum { ROWS = 150, COLS = 220 };
    const uint64_t dense = ROWS * ((COLS + 15) / 16 * 2 + 4), fixed = 256;
    rng random = rng_here();
    for (int kind = 0; kind < NUM_KINDS; kind++)
        for (int other = 0; other < NUM_KINDS; other++) {
            twin *ta = generate(kind, ROWS, COLS, &random), *tb = generate(other, ROWS, COLS, &random);
            rmask *a = make_plain(ta), *b = make_plain(tb);
            for (int function = 0; function < 16; function++) {
                rmask *result = combined(a, b, function);
                note("function %d of %s and %s", function, kind_name(kind), kind_name(other));
                expect(bytes_of(result) <= bytes_of(a) + bytes_of(b) + dense + fixed, "%llu bytes of %llu and %llu",
                       (unsigned long long)bytes_of(result), (unsigned long long)bytes_of(a), (unsigned long long)bytes_of(b));
                rmask_release(result);
            }
            rmask_release(a), rmask_release(b);
            twin_free(ta), twin_free(tb);
        }
}

/* ---------------------------------------------------------------- bad input */

static void grids_that_differ(void **state)
{
    (void)state;
    const shape others[] = {{10, 21}, {11, 20}, {20, 10}, {0, 20}, {10, 0}};
    twin *t = twin_create(10, 20);
    rmask *a = make_plain(t);
    for (size_t i = 0; i < 5; i++) {
        twin *other = twin_create(others[i].rows, others[i].cols);
        rmask *b = make_plain(other), *out;
        uint64_t count;
        double overlap;
        note("10 x 20 with %d x %d", others[i].rows, others[i].cols);
        expect_makes_nothing(RMASK_ERR_ARGUMENT, out, rmask_combine(a, b, RMASK_AND, &out, test_error));
        expect_makes_nothing(RMASK_ERR_ARGUMENT, out, rmask_and(a, b, &out, test_error));
        expect_makes_nothing(RMASK_ERR_ARGUMENT, out, rmask_or(b, a, &out, test_error));
        expect_makes_nothing(RMASK_ERR_ARGUMENT, out, rmask_xor(a, b, &out, test_error));
        expect_makes_nothing(RMASK_ERR_ARGUMENT, out, rmask_and_not(a, b, &out, test_error));
        expect_fails(RMASK_ERR_ARGUMENT, rmask_combine_count(a, b, RMASK_OR, &count, test_error));
        expect_fails(RMASK_ERR_ARGUMENT, rmask_jaccard(a, b, &overlap, test_error));
        check_equal(a, b, false);
        rmask_release(b);
        twin_free(other);
    }
    rmask_release(a);
    twin_free(t);
}

static void functions_that_do_not_exist(void **state)
{
    (void)state;
    const int bad[] = {-1, 16, 17, 255, INT32_MIN, INT32_MAX};
    twin *t = twin_create(10, 20);
    rmask *a = make_plain(t), *out;
    for (size_t i = 0; i < 6; i++) {
        rmask_function function = (rmask_function)bad[i];
        uint64_t count;
        note("function %d", bad[i]);
        expect_makes_nothing(RMASK_ERR_ARGUMENT, out, rmask_combine(a, a, function, &out, test_error));
        expect_fails(RMASK_ERR_ARGUMENT, rmask_combine_count(a, a, function, &count, test_error));
    }
    rmask_release(a);
    twin_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_pair_of_kinds),
        cmocka_unit_test(every_shape),
        cmocka_unit_test(relatives),
        cmocka_unit_test(many_columns_meet_many_diagonals),
        cmocka_unit_test(crossed_masks_meet),
        cmocka_unit_test(wide_rows_with_chunks),
        cmocka_unit_test(names_and_laws),
        cmocka_unit_test(structured_results_are_small),
        cmocka_unit_test(few_cells_in_many_rows),
        cmocka_unit_test(results_forget_how_they_were_made),
        cmocka_unit_test(results_stay_in_proportion),
        cmocka_unit_test(grids_that_differ),
        cmocka_unit_test(functions_that_do_not_exist),
    };
    return run_test_program(tests);
}
