/* SPDX-License-Identifier: Apache-2.0
 * Instructions that reshape masks. */
#include "ops.h"

#include <stdlib.h>
#include <string.h>

/* Puts all cells of one twin into another, from (row, col) on. What does not fit is lost. */
static void paste(twin *to, const twin *from, int64_t row, int64_t col)
{
    for (int64_t r = 0; r < from->rows; r++)
        for (int64_t c = 0; c < from->cols; c++)
            if (row + r >= 0 && row + r < to->rows && col + c >= 0 && col + c < to->cols)
                twin_at(to, (int32_t)(row + r))[col + c] = twin_at(from, (int32_t)r)[c];
}

void op_transpose(world *w)
{
    const slot *s = ops_slot(w);
    rmask *mask;
    twin *t = twin_create(s->t->cols, s->t->rows);
    for (int32_t row = 0; row < t->rows; row++)
        for (int32_t col = 0; col < t->cols; col++) twin_at(t, row)[col] = twin_at(s->t, col)[row];
    succeeds(w, &mask, rmask_transpose(s->mask, &mask, test_error));
    ops_put(w, mask, t);
}

void op_slice(world *w)
{
    const slot *s = ops_slot(w);
    const int32_t row_begin = (int32_t)fuzz_between(&w->in, 0, s->t->rows), row_end = (int32_t)fuzz_between(&w->in, row_begin, s->t->rows);
    const int32_t col_begin = (int32_t)fuzz_between(&w->in, 0, s->t->cols), col_end = (int32_t)fuzz_between(&w->in, col_begin, s->t->cols);
    rmask *mask;
    twin *t = twin_create(row_end - row_begin, col_end - col_begin);
    paste(t, s->t, -row_begin, -col_begin);
    succeeds(w, &mask, rmask_slice(s->mask, row_begin, row_end, col_begin, col_end, &mask, test_error));
    ops_put(w, mask, t);
}

/* Sometimes far out of the grid. */
static int32_t take_shift(world *w, int32_t side)
{
    const uint8_t lot = fuzz_byte(&w->in);
    if (lot == 0) return INT32_MIN;
    if (lot == 255) return INT32_MAX;
    return (int32_t)fuzz_between(&w->in, -(int64_t)side - 1, (int64_t)side + 1);
}

void op_shift(world *w)
{
    const slot *s = ops_slot(w);
    const bool diagonal = fuzz_byte(&w->in) & 1;
    const int32_t row_shift = take_shift(w, s->t->rows), col_shift = diagonal ? row_shift : take_shift(w, s->t->cols);
    rmask *mask;
    twin *t = twin_create(s->t->rows, s->t->cols);
    paste(t, s->t, row_shift, col_shift);
    succeeds(w, &mask, rmask_shift(s->mask, row_shift, col_shift, &mask, test_error));
    ops_put(w, mask, t);
}

void op_concat(world *w)
{
    const rmask *masks[5];
    const twin *parts[5];
    const size_t num_masks = (size_t)fuzz_between(&w->in, 0, 5);
    int64_t rows = 0, cols = 0;
    for (size_t i = 0; i < num_masks; i++) {
        const slot *s = ops_slot(w);
        masks[i] = s->mask, parts[i] = s->t;
        rows += s->t->rows, cols += s->t->cols;
    }
    if (!ops_affordable(w, rows, cols)) return;
    twin *t = twin_create((int32_t)rows, (int32_t)cols);
    for (size_t i = num_masks; i-- > 0;) paste(t, parts[i], rows -= parts[i]->rows, cols -= parts[i]->cols);
    rmask *mask;
    succeeds(w, &mask, rmask_concat(masks, num_masks, &w->allocator, &mask, test_error));
    ops_put(w, mask, t);
}

void op_repeat(world *w)
{
    const slot *s = ops_slot(w);
    const int32_t times = (int32_t)fuzz_between(&w->in, 0, 9);
    if (!ops_affordable(w, (int64_t)times * s->t->rows, (int64_t)times * s->t->cols)) return;
    twin *t = twin_create(times * s->t->rows, times * s->t->cols);
    for (int64_t i = 0; i < times; i++) paste(t, s->t, i * s->t->rows, i * s->t->cols);
    rmask *mask;
    succeeds(w, &mask, rmask_repeat(s->mask, times, &mask, test_error));
    ops_put(w, mask, t);
}

void op_stack(world *w)
{
    const slot *first = ops_slot(w);
    const rmask *masks[4];
    const twin *parts[4];
    size_t num_masks = 0;
    int64_t rows = 0;
    for (int64_t lots = fuzz_between(&w->in, 1, 4); lots > 0; lots--) {
        const slot *s = ops_slot(w);
        if (s->t->cols != first->t->cols) s = first;
        masks[num_masks] = s->mask, parts[num_masks++] = s->t;
        rows += s->t->rows;
    }
    if (!ops_affordable(w, rows, first->t->cols)) return;
    twin *t = twin_create((int32_t)rows, first->t->cols);
    for (size_t i = num_masks; i-- > 0;) paste(t, parts[i], rows -= parts[i]->rows, 0);
    rmask *mask;
    succeeds(w, &mask, rmask_stack(masks, num_masks, &mask, test_error));
    ops_put(w, mask, t);
}

/* Rows in any order, or runs of rows up or down from one on. */
void op_take_rows(world *w)
{
    enum { MAX_TAKEN = 80 };
    const slot *s = ops_slot(w);
    int32_t rows[MAX_TAKEN];
    size_t num_rows = 0;
    const int64_t num_runs = s->t->rows > 0 ? fuzz_between(&w->in, 0, 10) : 0;
    for (int64_t i = 0; i < num_runs; i++) {
        const int64_t step = fuzz_between(&w->in, -1, 2);
        int64_t row = ops_row(w, s);
        for (int64_t n = fuzz_between(&w->in, 1, 20); n > 0 && num_rows < MAX_TAKEN && row >= 0 && row < s->t->rows; n--, row += step)
            rows[num_rows++] = (int32_t)row;
    }
    if (!ops_affordable(w, (int64_t)num_rows, s->t->cols)) return;
    rmask *mask;
    twin *t = twin_create((int32_t)num_rows, s->t->cols);
    for (size_t i = 0; i < num_rows && t->cols > 0; i++) memcpy(twin_at(t, (int32_t)i), twin_at(s->t, rows[i]), (size_t)t->cols);
    succeeds(w, &mask, rmask_take_rows(s->mask, rows, num_rows, &mask, test_error));
    ops_put(w, mask, t);
}
