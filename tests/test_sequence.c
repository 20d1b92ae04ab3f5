/* SPDX-License-Identifier: Apache-2.0
 * Random sequences of calls: a few masks and a builder that are made out of each other over and over, each beside its twin. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/generate.h"
#include "support/hook.h"
#include "support/ways.h"

enum { NUM_SLOTS = 5 };

typedef struct world {
    shape grid;
    rmask_allocator allocator;
    struct {
        rmask *mask;
        twin *t;
    } slots[NUM_SLOTS];
    rmask_builder *builder;
    twin *built;
    rng random;
} world;

static int any_slot(world *w) { return (int)rng_below(&w->random, NUM_SLOTS); }

/* Takes over the mask and the twin. */
static void put(world *w, rmask *mask, twin *t)
{
    int i = any_slot(w);
    check_rows(mask, t);
    if (rng_chance(&w->random, 0.03)) check_same(mask, t);
    rmask_release(w->slots[i].mask), twin_free(w->slots[i].t);
    w->slots[i].mask = mask, w->slots[i].t = t;
}

/* ---------------------------------------------------------------- steps */

static void step_new(world *w)
{
    twin *t = generate_any(w->grid.rows, w->grid.cols, &w->random);
    put(w, make((int)rng_below(&w->random, NUM_WAYS), t, &w->allocator, &w->random), t);
}

static void step_combine(world *w)
{
    int a = any_slot(w), b = any_slot(w);
    rmask_function function = (rmask_function)rng_below(&w->random, 16);
    rmask *result;
    expect_ok(rmask_combine(w->slots[a].mask, w->slots[b].mask, function, &result, test_error));
    put(w, result, twin_combine(w->slots[a].t, w->slots[b].t, function));
}

static void step_count(world *w)
{
    int a = any_slot(w), b = any_slot(w);
    rmask_function function = (rmask_function)rng_below(&w->random, 16);
    uint64_t count;
    twin *t = twin_combine(w->slots[a].t, w->slots[b].t, function);
    expect_ok(rmask_combine_count(w->slots[a].mask, w->slots[b].mask, function, &count, test_error));
    expect(count == twin_count(t), "combine_count %llu", (unsigned long long)count);
    check_equal(w->slots[a].mask, w->slots[b].mask, twin_equal(w->slots[a].t, w->slots[b].t));
    twin_free(t);
}

static void step_rows(world *w)
{
    int a = any_slot(w), b = any_slot(w);
    const twin *ta = w->slots[a].t, *tb = w->slots[b].t;
    if (w->grid.rows == 0) return;
    int32_t row_a = (int32_t)rng_below(&w->random, w->grid.rows), row_b = (int32_t)rng_below(&w->random, w->grid.rows);
    rmask_function function = (rmask_function)rng_below(&w->random, 16);
    int32_t *cols = must_allocate(((size_t)w->grid.cols + 1) * sizeof *cols);
    size_t count, at = 0;
    expect_ok(rmask_row_combine(w->slots[a].mask, row_a, w->slots[b].mask, row_b, function, cols, (size_t)w->grid.cols, &count,
                                test_error));
    for (int32_t col = 0; col < w->grid.cols; col++)
        if (function_holds(function, twin_at(ta, row_a)[col], twin_at(tb, row_b)[col]))
            expect(at < count && cols[at++] == col, "row_combine without column %d", col);
    expect(at == count, "row_combine with %zu columns instead of %zu", count, at);
    free(cols);
}

static void step_csr(world *w)
{
    const rmask *mask = w->slots[any_slot(w)].mask;
    int64_t *indptr = must_allocate(((size_t)w->grid.rows + 1) * sizeof *indptr);
    expect_ok(rmask_to_csr(mask, 0, w->grid.rows, indptr, NULL, 0, test_error));
    size_t capacity = (size_t)indptr[w->grid.rows];
    int32_t *indices = must_allocate(capacity * sizeof *indices);
    rmask *again;
    expect_ok(rmask_to_csr(mask, 0, w->grid.rows, indptr, indices, capacity, test_error));
    expect_ok(rmask_from_csr(w->grid.rows, w->grid.cols, indptr, indices, &w->allocator, &again, test_error));
    check_equal(mask, again, true);
    free(indptr), free(indices);
    put(w, again, twin_of(mask));
}

static void step_data(world *w)
{
    int i = any_slot(w);
    size_t num_bytes;
    const void *data = rmask_data(w->slots[i].mask, &num_bytes);
    rmask *copy;
    expect_ok(rmask_from_data(data, num_bytes, &w->allocator, &copy, test_error));
    put(w, copy, twin_copy(w->slots[i].t));
}

static void step_retain(world *w)
{
    int i = any_slot(w);
    put(w, rmask_retain(w->slots[i].mask), twin_copy(w->slots[i].t));
}

static void step_build(world *w)
{
    if (w->grid.rows == 0) return;
    for (int64_t calls = rng_below(&w->random, 40); calls > 0; calls--) {
        int32_t row = (int32_t)rng_below(&w->random, w->grid.rows), begin = (int32_t)rng_between(&w->random, 0, w->grid.cols);
        int32_t end = (int32_t)rng_between(&w->random, begin, w->grid.cols);
        bool in = rng_chance(&w->random, 0.6);
        if (rng_chance(&w->random, 0.6) && begin < end) end = begin + 1;
        if (in)
            expect_ok(rmask_builder_add(w->builder, row, begin, end, test_error));
        else
            expect_ok(rmask_builder_remove(w->builder, row, begin, end, test_error));
        twin_put(w->built, row, begin, end, in);
    }
}

static void step_freeze(world *w)
{
    rmask *frozen;
    expect_ok(rmask_builder_freeze(w->builder, &frozen, test_error));
    put(w, frozen, twin_copy(w->built));
}

static void step_add_mask(world *w)
{
    int i = any_slot(w);
    twin *either = twin_combine(w->built, w->slots[i].t, RMASK_OR);
    expect_ok(rmask_builder_add_mask(w->builder, w->slots[i].mask, test_error));
    twin_free(w->built);
    w->built = either;
}

/* The builder starts again, which drops what it has. */
static void step_new_builder(world *w)
{
    rmask_builder_destroy(w->builder);
    twin_free(w->built);
    expect_ok(rmask_builder_create(w->grid.rows, w->grid.cols, &w->allocator, &w->builder, test_error));
    w->built = twin_create(w->grid.rows, w->grid.cols);
}

static const struct {
    const char *name;
    void (*take)(world *w);
    int weight;
} steps[] = {
    {"new", step_new, 3},
    {"combine", step_combine, 8},
    {"count", step_count, 3},
    {"rows", step_rows, 3},
    {"csr", step_csr, 2},
    {"data", step_data, 1},
    {"retain", step_retain, 1},
    {"build", step_build, 4},
    {"freeze", step_freeze, 3},
    {"add mask", step_add_mask, 2},
    {"new builder", step_new_builder, 1},
};
enum { NUM_STEPS = sizeof steps / sizeof steps[0] };

/* ---------------------------------------------------------------- sequences */

static void take_steps(world *w, int sequence, int num_steps)
{
    int total_weight = 0;
    for (int i = 0; i < NUM_STEPS; i++) total_weight += steps[i].weight;
    for (int step = 0; step < num_steps; step++) {
        int64_t lot = rng_below(&w->random, total_weight);
        int i = 0;
        while (lot >= steps[i].weight) lot -= steps[i++].weight;
        note("sequence %d, %d x %d, step %d: %s", sequence, w->grid.rows, w->grid.cols, step, steps[i].name);
        steps[i].take(w);
    }
}

static void run_sequence(rng *random, int sequence, shape grid, int num_steps)
{
    hook h = {0};
    world w = {.grid = grid, .allocator = hook_allocator(&h), .random = {rng_next(random)}};
    for (int i = 0; i < NUM_SLOTS; i++) {
        w.slots[i].t = generate_any(grid.rows, grid.cols, &w.random);
        w.slots[i].mask = make(0, w.slots[i].t, &w.allocator, &w.random);
    }
    step_new_builder(&w);
    take_steps(&w, sequence, num_steps);
    for (int i = 0; i < NUM_SLOTS; i++) {
        check_same_release(w.slots[i].mask, w.slots[i].t);
        twin_free(w.slots[i].t);
    }
    rmask_builder_destroy(w.builder);
    twin_free(w.built);
    check_hook_empty(&h);
}

static void many_short_sequences(void **state)
{
    (void)state;
    rng random = rng_here();
    for (int i = 0; i < 250; i++) run_sequence(&random, i, random_shape(1500, &random), 60);
}

static void few_long_sequences(void **state)
{
    (void)state;
    rng random = rng_here();
    for (int i = 0; i < 6; i++) run_sequence(&random, i, random_shape(6000, &random), 800);
}

static void sequences_on_every_shape(void **state)
{
    (void)state;
    rng random = rng_here();
    for (int i = 0; i < num_shapes; i++) run_sequence(&random, i, shapes[i], i < num_small_shapes ? 80 : 25);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_short_sequences),
        cmocka_unit_test(few_long_sequences),
        cmocka_unit_test(sequences_on_every_shape),
    };
    return run_test_program(tests);
}
