/* SPDX-License-Identifier: Apache-2.0
 * Instructions that combine masks and rows. */
#include "ops.h"

#include <stdlib.h>
#include <string.h>

static rmask_function take_function(world *w) { return (rmask_function)fuzz_between(&w->in, 0, 15); }

void op_combine(world *w)
{
    const slot *a = ops_slot(w), *b = ops_slot_like(w, a);
    const rmask_function function = take_function(w);
    rmask *mask;
    succeeds(w, &mask, rmask_combine(a->mask, b->mask, function, &mask, test_error));
    ops_put(w, mask, twin_combine(a->t, b->t, function));
}

void op_not(world *w)
{
    const slot *a = ops_slot(w);
    rmask *mask;
    succeeds(w, &mask, rmask_not(a->mask, &mask, test_error));
    ops_put(w, mask, twin_combine(a->t, a->t, RMASK_NOT_A));
}

void op_compare(world *w)
{
    const slot *a = ops_slot(w), *b = ops_slot_like(w, a);
    const rmask_function function = take_function(w);
    uint64_t count = UINT64_MAX;
    bool equal = false;
    twin *t = twin_combine(a->t, b->t, function);
    succeeds(w, NULL, rmask_combine_count(a->mask, b->mask, function, &count, test_error));
    expect(count == twin_count(t), "combine_count with %d: %llu, wanted %llu", (int)function, (unsigned long long)count,
           (unsigned long long)twin_count(t));
    succeeds(w, NULL, rmask_equal(a->mask, b->mask, &equal, test_error));
    expect(equal == twin_equal(a->t, b->t), "equal says %d", equal);
    twin_free(t);
}

void op_row_combine(world *w)
{
    const slot *a = ops_slot(w), *b = ops_slot_like(w, a);
    const rmask_function function = take_function(w);
    if (a->t->rows == 0) return;
    const int32_t row_a = ops_row(w, a), row_b = ops_row(w, b), width = a->t->cols;
    int32_t *cols = must_allocate((size_t)width * sizeof *cols);
    uint8_t *wanted = must_allocate((size_t)width);
    size_t count = SIZE_MAX;
    for (int32_t col = 0; col < width; col++) wanted[col] = function_holds(function, twin_at(a->t, row_a)[col], twin_at(b->t, row_b)[col]);
    expect_ok(rmask_row_combine(a->mask, row_a, b->mask, row_b, function, cols, (size_t)width, &count, test_error));
    ops_check_columns(cols, count, wanted, width, "row_combine");
    free(cols), free(wanted);
}

void op_rows(world *w)
{
    const slot *s = ops_slot(w);
    if (s->t->rows == 0) return;
    const int32_t width = s->t->cols;
    int32_t rows[12], *cols = must_allocate((size_t)width * sizeof *cols);
    uint8_t *all = must_allocate((size_t)width), *any = must_allocate((size_t)width);
    const size_t num_rows = (size_t)fuzz_between(&w->in, 0, 12);
    size_t count = SIZE_MAX;
    memset(all, 1, (size_t)width), memset(any, 0, (size_t)width);
    for (size_t i = 0; i < num_rows; i++) {
        rows[i] = ops_row(w, s);
        for (int32_t col = 0; col < width; col++) {
            all[col] &= twin_at(s->t, rows[i])[col];
            any[col] |= twin_at(s->t, rows[i])[col];
        }
    }
    succeeds(w, NULL, rmask_rows_and(s->mask, rows, num_rows, cols, (size_t)width, &count, test_error));
    ops_check_columns(cols, count, all, width, "rows_and");
    expect_ok(rmask_rows_or(s->mask, rows, num_rows, cols, (size_t)width, &count, test_error));
    ops_check_columns(cols, count, any, width, "rows_or");
    free(cols), free(all), free(any);
}
