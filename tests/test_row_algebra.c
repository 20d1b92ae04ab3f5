/* SPDX-License-Identifier: Apache-2.0
 * Functions of two rows, and of lists of rows. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/generate.h"
#include "support/ways.h"

/* ---------------------------------------------------------------- two rows */

struct two_rows {
    const rmask *a, *b;
    int32_t row_a, row_b;
    rmask_function function;
};

static rmask_status fill_combined(void *context, int32_t *buffer, size_t capacity, size_t *count, rmask_error *error)
{
    const struct two_rows *two = context;
    return rmask_row_combine(two->a, two->row_a, two->b, two->row_b, two->function, buffer, capacity, count, error);
}

static void check_two_rows(const rmask *a, const rmask *b, const twin *ta, const twin *tb, rng *random)
{
    int32_t row_a = (int32_t)rng_below(random, ta->rows), row_b = (int32_t)rng_below(random, tb->rows);
    int32_t *wanted = must_allocate((size_t)ta->cols * sizeof *wanted);
    for (int function = 0; function < 16; function++) {
        struct two_rows two = {a, b, row_a, row_b, (rmask_function)function};
        size_t num_wanted = 0;
        for (int32_t col = 0; col < ta->cols; col++)
            if (function_holds(two.function, twin_at(ta, row_a)[col], twin_at(tb, row_b)[col])) wanted[num_wanted++] = col;
        check_fill(fill_combined, &two, wanted, num_wanted, 1);
    }
    free(wanted);
}

static void two_rows_of_every_kind(void **state)
{
    (void)state;
    rng random = rng_here();
    for (int kind_a = 0; kind_a < NUM_KINDS; kind_a++)
        for (int kind_b = 0; kind_b < NUM_KINDS; kind_b++) {
            shape s = random_shape(4000, &random);
            int32_t other_rows = rng_chance(&random, 0.5) ? s.rows : (int32_t)rng_between(&random, 1, 30);
            twin *ta = generate(kind_a, s.rows, s.cols, &random), *tb = generate(kind_b, other_rows, s.cols, &random);
            rmask *a = make_plain(ta), *b = make_plain(tb);
            note("a row of %s, a row of %s, %d columns", kind_name(kind_a), kind_name(kind_b), s.cols);
            for (int i = 0; i < 3; i++) check_two_rows(a, b, ta, tb, &random);
            check_two_rows(a, a, ta, ta, &random);
            rmask_release(a), rmask_release(b);
            twin_free(ta), twin_free(tb);
        }
}

static void two_rows_of_every_width(void **state)
{
    (void)state;
    rng random = rng_here();
    for (int i = 0; i < num_shapes; i++)
        for (int repeat = 0; shapes[i].rows > 0 && repeat < 8; repeat++) {
            twin *ta = generate_any(shapes[i].rows, shapes[i].cols, &random);
            twin *tb = generate_any(shapes[i].rows, shapes[i].cols, &random);
            rmask *a = make_plain(ta), *b = make_plain(tb);
            note("two rows, %d x %d, %d", shapes[i].rows, shapes[i].cols, repeat);
            check_two_rows(a, b, ta, tb, &random);
            rmask_release(a), rmask_release(b);
            twin_free(ta), twin_free(tb);
        }
}

/* Columns crossed by diagonals, from few boundaries to more than a list of cells has room for. */
static rmask *make_crossed(int32_t cols, rng *random)
{
    char text[60000];
    int len = snprintf(text, sizeof text, "sink(3) | columns(%d) | ", (int)cols - 1);
    for (int kind = 0; kind < 2; kind++) {
        const int32_t num = (int32_t)rng_between(random, 1, rng_chance(random, 0.2) ? 2600 : 120);
        len += snprintf(text + len, sizeof text - (size_t)len, "%s", kind ? ") | diagonals(" : "columns(");
        for (int32_t i = 0; i < num; i++)
            len += snprintf(text + len, sizeof text - (size_t)len, "%s%d", i ? ", " : "", (kind ? -1 : 1) * (int)rng_below(random, cols));
    }
    len += snprintf(text + len, sizeof text - (size_t)len, ")%s", rng_chance(random, 0.5) ? " | random(0.002, seed=5)" : "");
    rmask *mask;
    expect_ok(rmask_parse(text, 24, cols, NULL, &mask, test_error));
    return mask;
}

static void two_crossed_rows(void **state)
{
    (void)state;
    rng random = rng_here();
    static const int32_t widths[] = {700, 5000, 65535, 65536, 65537};
    for (int i = 0; i < 60; i++) {
        rmask *all[2];
        twin *twins[2];
        const int32_t cols = widths[i % 5];
        for (int k = 0; k < 2; k++) {
            all[k] = make_crossed(cols, &random);
            twins[k] = twin_of(all[k]);
        }
        note("crossed rows of %d columns, %d", (int)cols, i);
        check_two_rows(all[0], all[1], twins[0], twins[1], &random);
        check_two_rows(all[0], all[0], twins[0], twins[0], &random);
        for (int k = 0; k < 2; k++) rmask_release(all[k]), twin_free(twins[k]);
    }
}

/* ---------------------------------------------------------------- lists of rows */

struct row_list {
    const rmask *mask;
    const int32_t *rows;
    size_t num_rows;
};

static rmask_status fill_rows_and(void *context, int32_t *buffer, size_t capacity, size_t *count, rmask_error *error)
{
    const struct row_list *list = context;
    return rmask_rows_and(list->mask, list->rows, list->num_rows, buffer, capacity, count, error);
}

static rmask_status fill_rows_or(void *context, int32_t *buffer, size_t capacity, size_t *count, rmask_error *error)
{
    const struct row_list *list = context;
    return rmask_rows_or(list->mask, list->rows, list->num_rows, buffer, capacity, count, error);
}

static void check_row_list(const rmask *mask, const twin *t, const int32_t *rows, size_t num_rows)
{
    struct row_list list = {mask, rows, num_rows};
    int32_t *in_all = must_allocate((size_t)t->cols * sizeof *in_all),
            *in_any = must_allocate((size_t)t->cols * sizeof *in_any);
    size_t num_all = 0, num_any = 0;
    for (int32_t col = 0; col < t->cols; col++) {
        size_t num_having = 0;
        for (size_t i = 0; i < num_rows; i++) num_having += twin_at(t, rows[i])[col];
        if (num_having == num_rows) in_all[num_all++] = col;
        if (num_having > 0) in_any[num_any++] = col;
    }
    check_fill(fill_rows_and, &list, in_all, num_all, 1);
    check_fill(fill_rows_or, &list, in_any, num_any, 1);
    free(in_all), free(in_any);
}

static void lists_of_rows(void **state)
{
    (void)state;
    rng random = rng_here();
    for (int kind = 0; kind < NUM_KINDS; kind++)
        for (int repeat = 0; repeat < 12; repeat++) {
            enum { MOST = 80 };
            shape s = repeat == 0 ? shapes[num_small_shapes + rng_below(&random, num_shapes - num_small_shapes)]
                                  : random_shape(4000, &random);
            twin *t = generate(kind, s.rows, s.cols, &random);
            rmask *mask = make_plain(t);
            int32_t rows[MOST], near = (int32_t)rng_below(&random, s.rows);
            size_t num_rows = (size_t)rng_below(&random, repeat % 3 == 0 ? MOST : 5);
            for (size_t i = 0; i < num_rows; i++) {
                rows[i] = (int32_t)rng_below(&random, s.rows);
                if (repeat % 2 && near + (int32_t)i / 2 < s.rows) rows[i] = near + (int32_t)i / 2;
            }
            note("%zu rows of %s, %d x %d", num_rows, kind_name(kind), s.rows, s.cols);
            check_row_list(mask, t, rows, num_rows);
            rmask_release(mask), twin_free(t);
        }
}

static void no_rows_at_all(void **state)
{
    (void)state;
    rng random = rng_here();
    for (int32_t cols = 0; cols < 70; cols += 23) {
        twin *t = generate_any(4, cols, &random), *none = twin_create(0, cols);
        rmask *mask = make_plain(t), *empty = make_plain(none);
        check_row_list(mask, t, NULL, 0);
        check_row_list(empty, none, NULL, 0);
        rmask_release(mask), rmask_release(empty);
        twin_free(t), twin_free(none);
    }
}

/* ---------------------------------------------------------------- bad input */

static void bad_input(void **state)
{
    (void)state;
    rng random = rng_here();
    twin *t = generate_named("window", 10, 20, &random), *wider = generate_named("window", 10, 21, &random);
    rmask *a = make_plain(t), *b = make_plain(wider);
    int32_t cols[32];
    size_t count;
    const int32_t bad[] = {-1, 10, INT32_MIN, INT32_MAX};
    expect_fails(RMASK_ERR_ARGUMENT, rmask_row_combine(a, 0, b, 0, RMASK_OR, cols, 32, &count, test_error));
    expect_fails(RMASK_ERR_ARGUMENT, rmask_row_combine(a, 0, a, 0, (rmask_function)16, cols, 32, &count, test_error));
    expect_fails(RMASK_ERR_ARGUMENT, rmask_row_combine(a, 0, a, 0, (rmask_function)-1, cols, 32, &count, test_error));
    for (size_t i = 0; i < 4; i++) {
        const int32_t rows[] = {0, bad[i], 3};
        note("row %d", bad[i]);
        expect_fails(RMASK_ERR_RANGE, rmask_row_combine(a, bad[i], a, 0, RMASK_OR, cols, 32, &count, test_error));
        expect_fails(RMASK_ERR_RANGE, rmask_row_combine(a, 0, a, bad[i], RMASK_OR, cols, 32, &count, test_error));
        expect_fails(RMASK_ERR_RANGE, rmask_row_combine(a, 0, a, bad[i], RMASK_NONE, cols, 32, &count, test_error));
        expect_fails(RMASK_ERR_RANGE, rmask_rows_and(a, rows, 3, cols, 32, &count, test_error));
        expect_fails(RMASK_ERR_RANGE, rmask_rows_or(a, rows, 3, cols, 32, &count, test_error));
        expect_fails(RMASK_ERR_RANGE, rmask_rows_and(a, rows + 1, 1, NULL, 0, &count, test_error));
        expect_fails(RMASK_ERR_RANGE, rmask_rows_or(a, rows, 2, NULL, 0, &count, test_error));
    }
    rmask_release(a), rmask_release(b);
    twin_free(t), twin_free(wider);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_rows_of_every_kind),
        cmocka_unit_test(two_rows_of_every_width),
        cmocka_unit_test(two_crossed_rows),
        cmocka_unit_test(lists_of_rows),
        cmocka_unit_test(no_rows_at_all),
        cmocka_unit_test(bad_input),
    };
    return run_test_program(tests);
}
