/* SPDX-License-Identifier: Apache-2.0
 * Growing: random sequences beside a naive twin, and masks that stay as they are while the grower goes on. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/mask.h"
#include "support/generate.h"
#include "support/hook.h"
#include "support/ways.h"

/* ---------------------------------------------------------------- the twin of a grower */

enum {
    MOST_SNAPSHOTS = 8,
    MOST_COLS_TURNED = 100000, /* checking a transposed mask takes time with its rows */
};

/* The structure that rows are extended by: boundaries, the sliding ones for row 0. */
typedef struct structure {
    int64_t *fixed, *sliding;
    size_t num_fixed, num_sliding;
} structure;

typedef struct world {
    hook h;
    rmask_allocator allocator;
    rmask_grower *grower;
    twin *t;
    structure last;
    struct {
        rmask *mask;
        twin *t;
    } snapshots[MOST_SNAPSHOTS];
    int num_snapshots;
    int64_t most_cells; /* no call lets the grid grow beyond */
    rng random;
} world;

static void free_structure(structure *s) { free(s->fixed), free(s->sliding); }

/* The structure of a mask's last row, which becomes row first_row + rows - 1 of another. */
static void take_structure(structure *s, const rmask *mask, int32_t first_row)
{
    if (rmask_rows(mask) == 0) return;
    const rmask_boundaries b = rmask_boundaries_of(mask, &mask->strips[mask->num_strips - 1]);
    free_structure(s);
    s->fixed = must_allocate(b.num_fixed * sizeof *s->fixed), s->num_fixed = b.num_fixed;
    s->sliding = must_allocate(b.num_sliding * sizeof *s->sliding), s->num_sliding = b.num_sliding;
    for (size_t i = 0; i < b.num_fixed; i++) s->fixed[i] = b.fixed[i];
    for (size_t i = 0; i < b.num_sliding; i++) s->sliding[i] = (int64_t)b.sliding[i] - first_row;
}

static bool in_structure(const structure *s, int64_t row, int64_t col)
{
    bool in = false;
    for (size_t i = 0; i < s->num_fixed; i++) in ^= s->fixed[i] <= col;
    for (size_t i = 0; i < s->num_sliding; i++) in ^= s->sliding[i] + row <= col;
    return in;
}

/* Copies all rows of one twin into another, which may have more columns. */
static void copy_rows(const twin *to, int32_t first_row, const twin *from)
{
    for (int32_t row = 0; row < from->rows; row++)
        if (from->cols) memcpy(twin_at(to, first_row + row), twin_at(from, row), (size_t)from->cols);
}

/* Replaces a twin by a larger one; what is new is empty. */
static void twin_grow(twin **t, int32_t more_rows, int32_t more_cols)
{
    twin *grown = twin_create((*t)->rows + more_rows, (*t)->cols + more_cols);
    copy_rows(grown, 0, *t);
    twin_free(*t);
    *t = grown;
}

static void start_world(world *w, const twin *start, int way, uint64_t seed, int64_t most_cells)
{
    *w = (world){.random = {seed}, .most_cells = most_cells};
    w->allocator = hook_allocator(&w->h);
    rmask *mask = make(way, start, &w->allocator, &w->random);
    w->t = twin_copy(start);
    expect_ok(rmask_grower_create(mask, &w->grower, test_error));
    take_structure(&w->last, mask, 0);
    rmask_release(mask);
}

static bool fits(const world *w, int64_t rows, int64_t cols)
{
    return (w->t->rows + rows) * (w->t->cols + cols) <= w->most_cells;
}

/* ---------------------------------------------------------------- calls */

static void add_cols(world *w, int32_t num_cols)
{
    if (!fits(w, 0, num_cols)) return;
    expect_ok(rmask_grower_add_cols(w->grower, num_cols, test_error));
    twin_grow(&w->t, 0, num_cols);
}

static void extend(world *w, int32_t num_rows)
{
    if (!fits(w, num_rows, 0)) return;
    const int32_t first = w->t->rows;
    expect_ok(rmask_grower_extend(w->grower, num_rows, test_error));
    twin_grow(&w->t, num_rows, 0);
    for (int32_t row = first; row < w->t->rows; row++)
        for (int32_t col = 0; col < w->t->cols; col++) twin_at(w->t, row)[col] = in_structure(&w->last, row, col);
}

static void add_row(world *w, const uint8_t *cells)
{
    if (!fits(w, 1, 0)) return;
    const int32_t row = w->t->rows;
    int32_t *cols = must_allocate((size_t)w->t->cols * sizeof *cols);
    twin_grow(&w->t, 1, 0);
    if (w->t->cols) memcpy(twin_at(w->t, row), cells, (size_t)w->t->cols);
    expect_ok(rmask_grower_add_row(w->grower, cols, twin_row(w->t, row, cols), test_error));
    free(cols);
}

static void add_rows(world *w, const twin *rows, int way)
{
    if (!fits(w, rows->rows, 0)) return;
    const int32_t first = w->t->rows;
    rmask *mask = make(way, rows, &w->allocator, &w->random);
    expect_ok(rmask_grower_add_rows(w->grower, mask, test_error));
    take_structure(&w->last, mask, first);
    rmask_release(mask);
    twin_grow(&w->t, rows->rows, 0);
    copy_rows(w->t, first, rows);
}

static void take_snapshot(world *w)
{
    int i = w->num_snapshots < MOST_SNAPSHOTS ? w->num_snapshots++ : (int)rng_below(&w->random, MOST_SNAPSHOTS);
    rmask_release(w->snapshots[i].mask), twin_free(w->snapshots[i].t);
    expect_ok(rmask_grower_mask(w->grower, &w->snapshots[i].mask, test_error));
    w->snapshots[i].t = twin_copy(w->t);
    check_rows(w->snapshots[i].mask, w->t);
}

/* ---------------------------------------------------------------- rows to add */

static void put_chance(world *w, uint8_t *cells, double chance)
{
    for (int32_t col = 0; col < w->t->cols; col++) cells[col] = rng_chance(&w->random, chance);
}

static void put_ranges(world *w, uint8_t *cells)
{
    for (int32_t col = 0, end; col < w->t->cols; col = end) {
        end = (int32_t)rng_between(&w->random, col + 1, w->t->cols);
        memset(cells + col, rng_chance(&w->random, 0.5), (size_t)(end - col));
    }
}

/* What came before, or what rmask_grower_extend would add, here and there otherwise. */
static void put_likeness(world *w, uint8_t *cells, bool as_extended, int64_t num_others)
{
    for (int32_t col = 0; col < w->t->cols; col++)
        cells[col] = as_extended ? in_structure(&w->last, w->t->rows, col) : w->t->rows && twin_at(w->t, w->t->rows - 1)[col];
    for (int64_t i = 0; i < num_others && w->t->cols; i++) cells[rng_below(&w->random, w->t->cols)] ^= 1;
}

static void step_add_row(world *w)
{
    uint8_t *cells = must_allocate((size_t)w->t->cols);
    switch (rng_below(&w->random, 8)) {
    case 0: put_chance(w, cells, 0); break;
    case 1: put_chance(w, cells, 1); break;
    case 2: put_chance(w, cells, 0.02); break;
    case 3: put_chance(w, cells, 0.5); break;
    case 4: put_ranges(w, cells); break;
    case 5: put_likeness(w, cells, true, 0); break;
    case 6: put_likeness(w, cells, true, 3); break;
    default: put_likeness(w, cells, false, rng_below(&w->random, 3)); break;
    }
    add_row(w, cells);
    free(cells);
}

static void step_series(world *w)
{
    for (int64_t i = rng_between(&w->random, 2, 12); i > 0; i--) {
        if (rng_chance(&w->random, 0.3)) add_cols(w, 1);
        step_add_row(w);
    }
}

static void step_decode(world *w)
{
    for (int64_t i = rng_between(&w->random, 2, 12); i > 0; i--) {
        const int32_t n = (int32_t)rng_between(&w->random, 1, 1 + rng_below(&w->random, 3));
        add_cols(w, n);
        extend(w, n);
    }
}

static void step_add_rows(world *w)
{
    twin *rows = generate_any((int32_t)rng_below(&w->random, 12), w->t->cols, &w->random);
    add_rows(w, rows, (int)rng_below(&w->random, NUM_WAYS));
    twin_free(rows);
}

/* Older rows, added again. */
static void step_add_itself(world *w)
{
    if (w->num_snapshots == 0 || !fits(w, w->t->rows, 0)) return;
    const int i = (int)rng_below(&w->random, w->num_snapshots);
    const twin *old = w->snapshots[i].t;
    if (old->cols != w->t->cols || !fits(w, old->rows, 0)) return;
    const int32_t first = w->t->rows;
    expect_ok(rmask_grower_add_rows(w->grower, w->snapshots[i].mask, test_error));
    take_structure(&w->last, w->snapshots[i].mask, first);
    twin_grow(&w->t, old->rows, 0);
    copy_rows(w->t, first, old);
}

static void step_add_cols(world *w) { add_cols(w, (int32_t)rng_below(&w->random, rng_chance(&w->random, 0.2) ? 70 : 6)); }

static void step_extend(world *w) { extend(w, (int32_t)rng_below(&w->random, rng_chance(&w->random, 0.2) ? 20 : 4)); }

/* Calls that are refused change nothing; that shows when the masks are checked. */
static void step_refused(world *w)
{
    const int32_t cols = w->t->cols, unsorted[] = {1, 0}, twice[] = {0, 0}, low[] = {-1}, high[] = {cols};
    rmask *other;
    expect_fails(RMASK_ERR_RANGE, rmask_grower_add_cols(w->grower, -1, test_error));
    expect_fails(RMASK_ERR_RANGE, rmask_grower_extend(w->grower, -1, test_error));
    expect_fails(RMASK_ERR_RANGE, rmask_grower_add_row(w->grower, low, 1, test_error));
    expect_fails(RMASK_ERR_RANGE, rmask_grower_add_row(w->grower, high, 1, test_error));
    if (cols >= 2) expect_fails(RMASK_ERR_ARGUMENT, rmask_grower_add_row(w->grower, unsorted, 2, test_error));
    if (cols >= 2) expect_fails(RMASK_ERR_ARGUMENT, rmask_grower_add_row(w->grower, twice, 2, test_error));
    if (cols) expect_fails(RMASK_ERR_RANGE, rmask_grower_add_cols(w->grower, INT32_MAX, test_error));
    if (w->t->rows) expect_fails(RMASK_ERR_RANGE, rmask_grower_extend(w->grower, INT32_MAX, test_error));
    expect_ok(rmask_parse("causal", 3, cols + 1, NULL, &other, test_error));
    expect_fails(RMASK_ERR_ARGUMENT, rmask_grower_add_rows(w->grower, other, test_error));
    rmask_release(other);
}

/* ---------------------------------------------------------------- snapshots as operands */

static void use_combine(world *w, const rmask *mask, const twin *t, const rmask *other, const twin *cells)
{
    const rmask_function function = (rmask_function)rng_below(&w->random, 16);
    rmask *out;
    uint64_t count;
    twin *combined = twin_combine(t, cells, function), *reversed = twin_combine(cells, t, function);
    expect_ok(rmask_combine(mask, other, function, &out, test_error));
    check_rows_release(out, combined);
    expect_ok(rmask_combine(other, mask, function, &out, test_error));
    check_rows_release(out, reversed);
    expect_ok(rmask_combine_count(mask, other, function, &count, test_error));
    expect(count == twin_count(combined), "combine_count %llu", (unsigned long long)count);
    check_equal(mask, other, twin_equal(t, cells));
    twin_free(combined), twin_free(reversed);
}

static void use_rows(world *w, const rmask *mask, const twin *t, const rmask *other, const twin *cells)
{
    if (t->rows == 0) return;
    const rmask_function function = (rmask_function)rng_below(&w->random, 16);
    const int32_t row_a = (int32_t)rng_below(&w->random, t->rows), row_b = (int32_t)rng_below(&w->random, t->rows);
    int32_t *cols = must_allocate(((size_t)t->cols + 1) * sizeof *cols);
    size_t count, at = 0;
    expect_ok(rmask_row_combine(mask, row_a, other, row_b, function, cols, (size_t)t->cols, &count, test_error));
    for (int32_t col = 0; col < t->cols; col++)
        if (function_holds(function, twin_at(t, row_a)[col], twin_at(cells, row_b)[col]))
            expect(at < count && cols[at++] == col, "row_combine without column %d", col);
    expect(at == count, "row_combine with %zu columns instead of %zu", count, at);
    free(cols);
}

static void use_builder(const world *w, const rmask *mask, const twin *t, const rmask *other, const twin *cells)
{
    rmask_builder *builder;
    rmask *out;
    twin *either = twin_combine(t, cells, RMASK_OR);
    expect_ok(rmask_builder_create(t->rows, t->cols, &w->allocator, &builder, test_error));
    expect_ok(rmask_builder_add_mask(builder, mask, test_error));
    expect_ok(rmask_builder_add_mask(builder, other, test_error));
    expect_ok(rmask_builder_freeze(builder, &out, test_error));
    check_rows_release(out, either);
    rmask_builder_destroy(builder);
    twin_free(either);
}

static void use_file(const rmask *mask, const twin *t)
{
    char path[PATH_MAX];
    rmask *loaded, *opened;
    snprintf(path, sizeof path, "%s/roarmask-test-XXXXXX", temporary_folder());
    const int file = mkstemp(path);
    expect(file >= 0 && close(file) == 0, "mkstemp");
    expect_ok(rmask_save(mask, path, test_error));
    expect_ok(rmask_load(path, NULL, &loaded, test_error));
    expect_ok(rmask_open(path, NULL, &opened, test_error));
    check_equal(mask, loaded, true);
    check_rows_release(loaded, t);
    check_rows(opened, t);
    expect_ok(rmask_verify(opened, test_error));
    rmask_release(opened);
    (void)unlink(path);
}

/* The cells of a window. */
static twin *twin_window(const twin *t, const int32_t window[4])
{
    twin *part = twin_create(window[1] - window[0], window[3] - window[2]);
    for (int32_t row = 0; row < part->rows && part->cols; row++)
        memcpy(twin_at(part, row), twin_at(t, window[0] + row) + window[2], (size_t)part->cols);
    return part;
}

static void use_slice(world *w, const rmask *mask, const twin *t)
{
    int32_t window[4];
    window[0] = (int32_t)rng_between(&w->random, 0, t->rows), window[1] = (int32_t)rng_between(&w->random, window[0], t->rows);
    window[2] = (int32_t)rng_between(&w->random, 0, t->cols), window[3] = (int32_t)rng_between(&w->random, window[2], t->cols);
    if (rng_chance(&w->random, 0.5)) window[2] = 0, window[3] = t->cols; /* rows keep their layout, perhaps */
    twin *part = twin_window(t, window);
    const size_t num_cells = (size_t)part->rows * (size_t)part->cols;
    uint8_t *cells = must_allocate(num_cells);
    rmask *out;
    expect_ok(rmask_slice(mask, window[0], window[1], window[2], window[3], &out, test_error));
    check_rows_release(out, part);
    expect_ok(rmask_to_bytes(mask, window[0], window[1], window[2], window[3], cells, (size_t)part->cols, test_error));
    expect(memcmp(cells, part->cells, num_cells) == 0, "to_bytes differs");
    free(cells);
    twin_free(part);
}

/* The same rows below each other, and side by side along the diagonal. */
static void use_packing(const rmask *mask, const twin *t)
{
    const rmask *const both[] = {mask, mask};
    rmask *out;
    twin *stacked = twin_create(2 * t->rows, t->cols), *packed = twin_create(2 * t->rows, 2 * t->cols);
    for (int i = 0; i < 2; i++) copy_rows(stacked, i * t->rows, t);
    for (int32_t row = 0; row < 2 * t->rows && t->cols; row++)
        memcpy(twin_at(packed, row) + (row < t->rows ? 0 : t->cols), twin_at(stacked, row), (size_t)t->cols);
    expect_ok(rmask_stack(both, 2, &out, test_error));
    check_rows_release(out, stacked);
    expect_ok(rmask_repeat(mask, 2, &out, test_error));
    check_rows_release(out, packed);
    twin_free(stacked), twin_free(packed);
}

static void use_transpose(const rmask *mask, const twin *t)
{
    rmask *out, *back;
    twin *turned = twin_create(t->cols, t->rows);
    for (int32_t row = 0; row < t->rows; row++)
        for (int32_t col = 0; col < t->cols; col++) twin_at(turned, col)[row] = twin_at(t, row)[col];
    expect_ok(rmask_transpose(mask, &out, test_error));
    check_rows(out, turned);
    expect_ok(rmask_transpose(out, &back, test_error));
    check_equal(back, mask, true);
    rmask_release(out), rmask_release(back);
    twin_free(turned);
}

static void use_tiles(world *w, const rmask *mask, const twin *t)
{
    const int32_t tile_rows = (int32_t)rng_between(&w->random, 1, 9), tile_cols = (int32_t)rng_between(&w->random, 1, 70);
    const int32_t rows = (t->rows + tile_rows - 1) / tile_rows, cols = (t->cols + tile_cols - 1) / tile_cols;
    twin *any = twin_create(rows, cols), *all = twin_create(rows, cols);
    rmask *out[2];
    memset(all->cells, 1, (size_t)rows * (size_t)cols);
    for (int32_t row = 0; row < t->rows; row++)
        for (int32_t col = 0; col < t->cols; col++) {
            twin_at(any, row / tile_rows)[col / tile_cols] |= twin_at(t, row)[col];
            twin_at(all, row / tile_rows)[col / tile_cols] &= twin_at(t, row)[col];
        }
    expect_ok(rmask_coarsen(mask, tile_rows, tile_cols, &out[0], &out[1], test_error));
    check_rows_release(out[0], any), check_rows_release(out[1], all);
    twin_free(any), twin_free(all);
}

/* A grower that starts where the snapshot was. */
static void use_as_start(const rmask *mask, const twin *t)
{
    rmask_grower *again;
    rmask *out;
    expect_ok(rmask_grower_create(mask, &again, test_error));
    expect_ok(rmask_grower_mask(again, &out, test_error));
    rmask_grower_destroy(again);
    expect_ok(rmask_verify(out, test_error));
    check_rows_release(out, t);
}

static void use_snapshot(world *w, const rmask *mask, const twin *t)
{
    twin *cells = rng_chance(&w->random, 0.2) ? twin_copy(t) : generate_any(t->rows, t->cols, &w->random);
    rmask *other = make_any(cells, &w->random);
    use_combine(w, mask, t, mask, t);
    use_combine(w, mask, t, other, cells);
    use_rows(w, mask, t, other, cells);
    use_rows(w, other, cells, mask, t);
    use_rows(w, mask, t, mask, t);
    use_builder(w, mask, t, other, cells);
    use_file(mask, t);
    use_as_start(mask, t);
    use_slice(w, mask, t);
    use_packing(mask, t);
    use_tiles(w, mask, t);
    if (t->cols < MOST_COLS_TURNED) use_transpose(mask, t);
    rmask_release(other), twin_free(cells);
}

static void step_use(world *w)
{
    if (w->num_snapshots == 0) return;
    const int i = (int)rng_below(&w->random, w->num_snapshots);
    use_snapshot(w, w->snapshots[i].mask, w->snapshots[i].t);
}

/* The grower goes on from one of its masks. */
static void step_restart(world *w)
{
    rmask *mask;
    expect_ok(rmask_grower_mask(w->grower, &mask, test_error));
    rmask_grower_destroy(w->grower);
    expect_ok(rmask_grower_create(mask, &w->grower, test_error));
    take_structure(&w->last, mask, 0);
    rmask_release(mask);
}

/* ---------------------------------------------------------------- sequences */

static const struct {
    const char *name;
    void (*take)(world *w);
    int weight;
} steps[] = {
    {"add columns", step_add_cols, 4}, {"extend", step_extend, 4},     {"add row", step_add_row, 6},
    {"series", step_series, 2},        {"decode", step_decode, 2},     {"add rows", step_add_rows, 2},
    {"add itself", step_add_itself, 1}, {"snapshot", take_snapshot, 6}, {"refused", step_refused, 1},
    {"use", step_use, 1},              {"restart", step_restart, 1},
};
enum { NUM_STEPS = sizeof steps / sizeof steps[0] };

static void take_steps(world *w, const char *name, int num_steps)
{
    int total_weight = 0;
    for (int i = 0; i < NUM_STEPS; i++) total_weight += steps[i].weight;
    for (int step = 0; step < num_steps; step++) {
        int64_t lot = rng_below(&w->random, total_weight);
        int i = 0;
        while (lot >= steps[i].weight) lot -= steps[i++].weight;
        note("%s, %d x %d, step %d: %s", name, w->t->rows, w->t->cols, step, steps[i].name);
        steps[i].take(w);
        expect(rmask_grower_rows(w->grower) == w->t->rows && rmask_grower_cols(w->grower) == w->t->cols, "a grower of %d x %d",
               rmask_grower_rows(w->grower), rmask_grower_cols(w->grower));
    }
}

/* Snapshots outlive the grower, and are what they were. */
static void end_world(world *w)
{
    take_snapshot(w);
    rmask_grower_destroy(w->grower);
    for (int i = 0; i < w->num_snapshots; i++) {
        rmask *mask = w->snapshots[i].mask;
        check_rows(mask, w->snapshots[i].t);
        expect_ok(rmask_verify(mask, test_error));
        use_snapshot(w, mask, w->snapshots[i].t);
        if (i == 0) check_same(mask, w->snapshots[i].t);
        rmask_release(mask), twin_free(w->snapshots[i].t);
    }
    free_structure(&w->last);
    twin_free(w->t);
    check_hook_empty(&w->h);
}

static void masks_of_every_kind_grow(void **state)
{
    (void)state;
    rng random = rng_here();
    for (int i = 0; i < 5 * NUM_KINDS; i++) {
        const shape grid = random_shape(2000, &random);
        char name[100];
        world w;
        snprintf(name, sizeof name, "sequence %d from %s", i, kind_name(i % NUM_KINDS));
        twin *start = generate(i % NUM_KINDS, grid.rows, grid.cols, &random);
        start_world(&w, start, i % NUM_WAYS, rng_next(&random), 12000);
        twin_free(start);
        take_steps(&w, name, 60);
        end_world(&w);
    }
}

static void masks_of_every_shape_grow(void **state)
{
    (void)state;
    rng random = rng_here();
    for (int i = 0; i < num_shapes; i++) {
        char name[100];
        world w;
        snprintf(name, sizeof name, "from %d x %d", shapes[i].rows, shapes[i].cols);
        twin *start = generate_any(shapes[i].rows, shapes[i].cols, &random);
        start_world(&w, start, (int)rng_below(&random, NUM_WAYS), rng_next(&random), 10 + 10 * (int64_t)shapes[i].cols);
        twin_free(start);
        take_steps(&w, name, 25);
        end_world(&w);
    }
}

/* ---------------------------------------------------------------- chunks */

/* Rows of every density, and of every layout before and after. */
static void grids_grow_past_chunks(void **state)
{
    (void)state;
    rng random = rng_here();
    static const int32_t widths[] = {65534, 65535, 65536, 65537, 65600, 131071, 131072, 131073, 200000};
    enum { NUM_WIDTHS = sizeof widths / sizeof widths[0] };
    for (int first = 0; first < NUM_WIDTHS - 1; first++) {
        world w;
        twin *start = generate_any(2, widths[first], &random);
        start_world(&w, start, (int)rng_below(&random, NUM_WAYS), rng_next(&random), INT64_MAX);
        twin_free(start);
        for (int i = first; i < NUM_WIDTHS; i++) {
            note("from %d columns to %d", widths[first], widths[i]);
            add_cols(&w, widths[i] - w.t->cols);
            step_add_row(&w);
            if (i % 2) step_add_rows(&w);
            step_refused(&w);
            take_snapshot(&w);
            extend(&w, 1);
        }
        end_world(&w);
    }
}

/* Containers are chosen anew as the columns double: dense rows turn from bitsets into arrays, and none is too large. */
static void layouts_double(void **state)
{
    (void)state;
    rng random = rng_here();
    world w;
    twin *start = twin_create(0, 0);
    start_world(&w, start, 0, rng_next(&random), INT64_MAX);
    twin_free(start);
    for (int32_t cols = 1; cols < 70000; cols += 1 + cols / 3) {
        note("%d columns", cols);
        add_cols(&w, cols - w.t->cols);
        uint8_t *cells = must_allocate((size_t)cols);
        put_chance(&w, cells, rng_chance(&w.random, 0.5) ? 0.05 : 0.5);
        add_row(&w, cells);
        free(cells);
        take_snapshot(&w);
    }
    end_world(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(masks_of_every_kind_grow),
        cmocka_unit_test(masks_of_every_shape_grow),
        cmocka_unit_test(grids_grow_past_chunks),
        cmocka_unit_test(layouts_double),
    };
    return run_test_program(tests);
}
