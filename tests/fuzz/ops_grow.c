/* SPDX-License-Identifier: Apache-2.0
 * Instructions of a grower. Masks taken from it stay in their slots while it goes on, and are compared again at the end of the program. */
#include "ops.h"

#include "core/mask.h"

#include <stdlib.h>
#include <string.h>

/* Remembers the structure that the grower goes on with: that of the last row which came in a mask, row `first_row` on. */
static void set_structure(world *w, const slot *s, int32_t first_row)
{
    if (s->t->rows == 0) return;
    rmask_release(w->structure);
    w->structure = rmask_retain(s->mask);
    w->structure_row = first_row;
}

void op_new_grower(world *w)
{
    const slot *s = ops_slot(w);
    rmask_grower_destroy(w->grower), twin_free(w->grown), rmask_release(w->structure);
    w->grown = NULL, w->structure = NULL;
    succeeds(w, &w->grower, rmask_grower_create(s->mask, &w->grower, test_error));
    w->grown = twin_copy(s->t);
    set_structure(w, s, 0);
}

/* The grower has the grid of its twin, and after a failure the cells, too. */
static void check_grower(const world *w)
{
    expect(rmask_grower_rows(w->grower) == w->grown->rows && rmask_grower_cols(w->grower) == w->grown->cols, "the grower has %d x %d",
           rmask_grower_rows(w->grower), rmask_grower_cols(w->grower));
}

/* The twin gets another grid and keeps what it has. */
static void regrid(world *w, int32_t rows, int32_t cols)
{
    twin *t = twin_create(rows, cols);
    for (int32_t row = 0; row < w->grown->rows && w->grown->cols > 0; row++) memcpy(twin_at(t, row), twin_at(w->grown, row), (size_t)w->grown->cols);
    twin_free(w->grown);
    w->grown = t;
}

void op_grow_cols(world *w)
{
    if (!w->grower) return;
    const int32_t num_cols = (int32_t)fuzz_between(&w->in, 0, fuzz_byte(&w->in) >= 250 ? 65600 : 20);
    if (!ops_affordable(w, w->grown->rows + 1, (int64_t)w->grown->cols + num_cols)) return;
    succeeds(w, NULL, rmask_grower_add_cols(w->grower, num_cols, test_error));
    regrid(w, w->grown->rows, w->grown->cols + num_cols);
    check_grower(w);
}

/* What a row's structure is, only its mask can tell; how it goes on follows from that. */
void op_grow_extend(world *w)
{
    if (!w->grower) return;
    const int32_t num_rows = (int32_t)fuzz_between(&w->in, 0, 20), before = w->grown->rows;
    if (!ops_affordable(w, (int64_t)before + num_rows, w->grown->cols)) return;
    succeeds(w, NULL, rmask_grower_extend(w->grower, num_rows, test_error));
    regrid(w, before + num_rows, w->grown->cols);
    check_grower(w);
    if (!w->structure) return;
    const rmask_boundaries boundaries = rmask_boundaries_of(w->structure, rmask_strip_of(w->structure, rmask_rows(w->structure) - 1));
    for (int32_t row = before; row < w->grown->rows; row++)
        for (int32_t col = 0; col < w->grown->cols; col++)
            twin_at(w->grown, row)[col] = rmask_strip_has(boundaries, row - w->structure_row, col);
}

void op_grow_row(world *w)
{
    if (!w->grower || !ops_affordable(w, w->grown->rows + 1, w->grown->cols)) return;
    int32_t cols[80];
    size_t num_cols = 0;
    for (int32_t col = -1; num_cols < 80 && !fuzz_is_over(&w->in);) {
        const uint8_t step = fuzz_byte(&w->in);
        if (step == 0 || col + step >= w->grown->cols) break;
        cols[num_cols++] = col += step;
    }
    succeeds(w, NULL, rmask_grower_add_row(w->grower, cols, num_cols, test_error));
    regrid(w, w->grown->rows + 1, w->grown->cols);
    for (size_t i = 0; i < num_cols; i++) twin_at(w->grown, w->grown->rows - 1)[cols[i]] = 1;
    check_grower(w);
}

void op_grow_rows(world *w)
{
    const slot *s = ops_slot(w);
    if (!w->grower || s->t->cols != w->grown->cols || !ops_affordable(w, (int64_t)w->grown->rows + s->t->rows, s->t->cols)) return;
    const int32_t before = w->grown->rows;
    succeeds(w, NULL, rmask_grower_add_rows(w->grower, s->mask, test_error));
    regrid(w, before + s->t->rows, s->t->cols);
    set_structure(w, s, before);
    if (s->t->rows > 0 && s->t->cols > 0) memcpy(twin_at(w->grown, before), s->t->cells, (size_t)s->t->rows * (size_t)s->t->cols);
    check_grower(w);
}

void op_grower_mask(world *w)
{
    rmask *mask;
    if (!w->grower) return;
    succeeds(w, &mask, rmask_grower_mask(w->grower, &mask, test_error));
    ops_put(w, mask, twin_copy(w->grown));
}
