/* SPDX-License-Identifier: Apache-2.0
 * Instructions that make masks, out of cells, formulas, bytes and builders. */
#include "ops.h"
#include "support/pattern_twin.h"
#include "support/ways.h"

#include <stdlib.h>
#include <string.h>

/* ---------------------------------------------------------------- cells and formulas */

/* The first few ways take all cells at once. The others are too slow for large grids. */
enum { NUM_QUICK_WAYS = 4, MOST_CELLS_ONE_BY_ONE = 10000 };

void op_generate(world *w)
{
    const shape grid = ops_grid(w);
    const int kind = (int)fuzz_between(&w->in, 0, NUM_KINDS - 1);
    int way = (int)fuzz_between(&w->in, 0, NUM_WAYS - 1);
    rng random = fuzz_rng(&w->in);
    if (!ops_affordable(w, grid.rows, grid.cols)) return;
    if ((int64_t)grid.rows * grid.cols > MOST_CELLS_ONE_BY_ONE) way %= NUM_QUICK_WAYS;
    twin *t = generate(kind, grid.rows, grid.cols, &random);
    ops_put(w, make(way, t, &w->allocator, &random), t);
}

void op_expression(world *w)
{
    const shape grid = ops_grid(w);
    const int depth = (int)fuzz_between(&w->in, 0, 2);
    rng random = fuzz_rng(&w->in);
    if (!ops_affordable(w, grid.rows, grid.cols)) return;
    pattern *p = expression_generate(grid, depth, &random);
    char text[16384];
    rmask *mask;
    pattern_print(p, text, sizeof text, &random);
    succeeds(w, &mask, rmask_parse(text, grid.rows, grid.cols, &w->allocator, &mask, test_error));
    ops_put(w, mask, pattern_cells(p, grid.rows, grid.cols));
    pattern_free(p);
}

/* A few bits of the program as a wallpaper: repeated in every row, each time moved by the same number of columns. */
void op_raw(world *w)
{
    const shape grid = ops_grid(w);
    const int64_t num_bits = 8 * fuzz_between(&w->in, 1, 24), step = fuzz_between(&w->in, -3, 3);
    uint8_t bits[24];
    for (int64_t i = 0; i < num_bits / 8; i++) bits[i] = fuzz_byte(&w->in);
    if (!ops_affordable(w, grid.rows, grid.cols)) return;
    twin *t = twin_create(grid.rows, grid.cols);
    for (int64_t row = 0; row < grid.rows; row++)
        for (int64_t col = 0; col < grid.cols; col++) {
            const int64_t bit = (((col - step * row) % num_bits) + num_bits) % num_bits;
            twin_at(t, (int32_t)row)[col] = bits[bit / 8] >> bit % 8 & 1;
        }
    rmask *mask;
    succeeds(w, &mask, rmask_from_bytes(t->rows, t->cols, t->cells, (size_t)t->cols, &w->allocator, &mask, test_error));
    ops_put(w, mask, t);
}

/* ---------------------------------------------------------------- flat buffers */

void op_data(world *w)
{
    const slot *s = ops_slot(w);
    size_t num_bytes;
    const void *data = rmask_data(s->mask, &num_bytes);
    rmask *copy;
    succeeds(w, &copy, rmask_from_data(data, num_bytes, &w->allocator, &copy, test_error));
    check_equal(s->mask, copy, true);
    ops_put(w, copy, twin_copy(s->t));
}

/* Bytes on their way from a writer to a reader, which comes for them in pieces. */
typedef struct pipeline {
    uint8_t *bytes;
    size_t num_bytes, at, piece;
} pipeline;

static int write_pipeline(void *context, const void *data, size_t num_bytes)
{
    pipeline *p = context;
    p->bytes = must_allocate(num_bytes);
    memcpy(p->bytes, data, num_bytes);
    p->num_bytes = num_bytes;
    return 0;
}

static int read_pipeline(void *context, void *buffer, size_t num_bytes, size_t *num_read)
{
    pipeline *p = context;
    size_t n = p->num_bytes - p->at;
    if (n > num_bytes) n = num_bytes;
    if (n > p->piece) n = p->piece;
    memcpy(buffer, p->bytes + p->at, n);
    p->at += n;
    *num_read = n;
    return 0;
}

void op_stream(world *w)
{
    const slot *s = ops_slot(w);
    pipeline p = {.piece = (size_t)fuzz_between(&w->in, 1, 500)};
    rmask *mask;
    expect_ok(rmask_write(s->mask, write_pipeline, &p, test_error));
    succeeds(w, &mask, (p.at = 0, rmask_read(read_pipeline, &p, &w->allocator, &mask, test_error)));
    expect(p.at == p.num_bytes, "the stream was left at %zu of %zu", p.at, p.num_bytes);
    free(p.bytes);
    ops_put(w, mask, twin_copy(s->t));
}

/* A mapped mask takes the place of another one as it is, so that what comes next meets rows that nobody has read. */
void op_open(world *w)
{
    const slot *from = ops_slot(w);
    slot *to = ops_slot(w);
    size_t num_bytes;
    const void *data = rmask_data(from->mask, &num_bytes);
    rmask *mask;
    succeeds(w, &mask, fuzz_open(data, num_bytes, &w->allocator, &mask, test_error));
    twin *t = twin_copy(from->t);
    rmask_release(to->mask), twin_free(to->t);
    *to = (slot){mask, t};
}

/* ---------------------------------------------------------------- the builder */

void op_new_builder(world *w)
{
    const shape grid = ops_grid(w);
    if (!ops_affordable(w, grid.rows, grid.cols)) return;
    rmask_builder_destroy(w->builder), twin_free(w->built);
    w->built = NULL;
    succeeds(w, &w->builder, rmask_builder_create(grid.rows, grid.cols, &w->allocator, &w->builder, test_error));
    w->built = twin_create(grid.rows, grid.cols);
}

void op_edit(world *w)
{
    if (!w->builder || w->built->rows == 0) return;
    for (int64_t edits = fuzz_between(&w->in, 1, 20); edits > 0 && !fuzz_is_over(&w->in); edits--) {
        const uint8_t how = fuzz_byte(&w->in);
        const int32_t row = (int32_t)fuzz_between(&w->in, 0, w->built->rows - 1);
        const int32_t begin = (int32_t)fuzz_between(&w->in, 0, w->built->cols), rest = w->built->cols - begin;
        const int32_t end = begin + (int32_t)fuzz_between(&w->in, 0, how & 2 && rest > 1 ? 1 : rest);
        if (how & 1)
            succeeds(w, NULL, rmask_builder_remove(w->builder, row, begin, end, test_error));
        else
            succeeds(w, NULL, rmask_builder_add(w->builder, row, begin, end, test_error));
        twin_put(w->built, row, begin, end, !(how & 1));
    }
}

void op_edit_row(world *w)
{
    if (!w->builder || w->built->rows == 0) return;
    const int32_t row = (int32_t)fuzz_between(&w->in, 0, w->built->rows - 1);
    int32_t cols[64];
    size_t num_cols = 0;
    for (int32_t col = -1; num_cols < 64 && !fuzz_is_over(&w->in);) {
        const uint8_t step = fuzz_byte(&w->in);
        if (step == 0 || col + step >= w->built->cols) break;
        cols[num_cols++] = col += step;
    }
    succeeds(w, NULL, rmask_builder_add_sorted(w->builder, row, cols, num_cols, test_error));
    for (size_t i = 0; i < num_cols; i++) twin_at(w->built, row)[cols[i]] = 1;
}

void op_add_mask(world *w)
{
    const slot *s = ops_slot(w);
    if (!w->builder || s->t->rows != w->built->rows || s->t->cols != w->built->cols) return;
    twin *either = twin_combine(w->built, s->t, RMASK_OR);
    succeeds(w, NULL, rmask_builder_add_mask(w->builder, s->mask, test_error));
    twin_free(w->built);
    w->built = either;
}

void op_freeze(world *w)
{
    rmask *mask;
    if (!w->builder) return;
    succeeds(w, &mask, rmask_builder_freeze(w->builder, &mask, test_error));
    ops_put(w, mask, twin_copy(w->built));
}
