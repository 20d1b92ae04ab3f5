/* SPDX-License-Identifier: Apache-2.0
 * Tensors that say a mask by its shapes, FlashMask's intervals, slices, columns and diagonals: each read by the obvious loops over its
 * written definition and held against the twin, there and back, and what is refused. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "roarmask/export.h"
#include "support/generate.h"
#include "support/hook.h"
#include "support/ways.h"

enum { GUARD = 0x5a5a5a5a, NUM_CASES = 300 };

/* ---------------------------------------------------------------- FlashMask */

/* The one interval of masked rows in [begin, end) of a column: its number of runs, and where the first lies. */
static int masked_runs(const twin *t, int32_t col, int32_t begin, int32_t end, int32_t *from, int32_t *to)
{
    int runs = 0;
    *from = *to = begin;
    for (int32_t row = begin; row < end; row++) {
        if (twin_at(t, row)[col]) continue;
        if (row == begin || twin_at(t, row - 1)[col]) {
            runs++;
            *from = row;
        }
        *to = row + 1;
    }
    return runs;
}

static bool fits_flashmask(const twin *t, bool causal, int32_t num_bounds)
{
    const bool is_suffix = num_bounds == (causal ? 1 : 2);
    for (int32_t col = 0; col < t->cols; col++) {
        int32_t from, to;
        const int lower = masked_runs(t, col, col, t->rows, &from, &to);
        if (lower > 1 || (is_suffix && lower == 1 && to != t->rows)) return false;
        const int upper = masked_runs(t, col, 0, col, &from, &to);
        if (causal ? upper != (col > 0) || (col > 0 && to - from != col) : upper > 1 || (is_suffix && upper == 1 && from != 0))
            return false;
    }
    return true;
}

static bool flashmask_masks(const int32_t *b, int32_t row, int32_t col, bool causal, int32_t num_bounds)
{
    if (causal) return row < col || (row >= b[0] && (num_bounds == 1 || row < b[1]));
    if (num_bounds == 2) return row >= col ? row >= b[0] : row < b[1];
    return row >= col ? row >= b[0] && row < b[1] : row >= b[2] && row < b[3];
}

static void check_flashmask(const rmask *mask, const twin *t, bool causal, int32_t num_bounds)
{
    const size_t n = (size_t)t->cols * (size_t)num_bounds;
    int32_t *bounds = must_allocate((n + 1) * sizeof *bounds);
    bounds[n] = GUARD;
    note("%d x %d, %s, %d bounds", (int)t->rows, (int)t->cols, causal ? "causal" : "not causal", (int)num_bounds);
    if (!fits_flashmask(t, causal, num_bounds)) {
        expect_fails(RMASK_ERR_ARGUMENT, rmask_export_flashmask(mask, causal, num_bounds, bounds, test_error));
    } else {
        rmask *back;
        expect_ok(rmask_export_flashmask(mask, causal, num_bounds, bounds, test_error));
        for (int32_t row = 0; row < t->rows; row++)
            for (int32_t col = 0; col < t->cols; col++)
                expect(twin_at(t, row)[col] != flashmask_masks(bounds + col * num_bounds, row, col, causal, num_bounds),
                       "(%d, %d)", (int)row, (int)col);
        expect_ok(rmask_from_flashmask(t->rows, causal, num_bounds, bounds, NULL, &back, test_error));
        check_rows_release(back, t);
    }
    expect(bounds[n] == GUARD, "a guard is gone");
    free(bounds);
}

static twin *random_intervals(int32_t side, bool causal, rng *random)
{
    twin *t = twin_create(side, side);
    for (int32_t col = 0; col < side; col++) {
        const int32_t a = (int32_t)rng_between(random, col, side), b = (int32_t)rng_between(random, a, side);
        const int32_t c = (int32_t)rng_between(random, 0, col), d = (int32_t)rng_between(random, c, col);
        for (int32_t row = 0; row < side; row++)
            twin_at(t, row)[col] = row >= col ? row < a || row >= b : !causal && (row < c || row >= d);
    }
    return t;
}

static void flashmask_says_the_mask_or_refuses(void **state)
{
    (void)state;
    rng random = rng_here();
    for (int i = 0; i < NUM_CASES; i++) {
        const int32_t side = (int32_t)rng_between(&random, 0, 60);
        twin *t = i % 2 ? random_intervals(side, i % 4 == 1, &random) : generate_any(side, side, &random);
        rmask *mask = make_any(t, &random);
        for (int32_t num_bounds = 1; num_bounds <= 2; num_bounds++) check_flashmask(mask, t, true, num_bounds);
        for (int32_t num_bounds = 2; num_bounds <= 4; num_bounds += 2) check_flashmask(mask, t, false, num_bounds);
        rmask_release(mask), twin_free(t);
    }
}

/* Any bounds in range are a mask, not only those that the exporter writes. */
static void flashmask_reads_any_bounds(void **state)
{
    (void)state;
    rng random = rng_here();
    for (int i = 0; i < NUM_CASES; i++) {
        const int32_t side = (int32_t)rng_between(&random, 1, 40), num_bounds = i % 2 ? 2 : i % 4 ? 4 : 1;
        const bool causal = i % 2 ? i % 3 == 0 : num_bounds == 1;
        int32_t bounds[40 * 4];
        for (int32_t k = 0; k < side * num_bounds; k++) bounds[k] = (int32_t)rng_between(&random, 0, side);
        for (int32_t k = 0; k < side && (num_bounds == 4 || (causal && num_bounds == 2)); k++)
            for (int32_t j = 0; j < num_bounds; j += 2)
                if (bounds[k * num_bounds + j] > bounds[k * num_bounds + j + 1])
                    bounds[k * num_bounds + j] = bounds[k * num_bounds + j + 1];
        twin *t = twin_create(side, side);
        for (int32_t row = 0; row < side; row++)
            for (int32_t col = 0; col < side; col++)
                twin_at(t, row)[col] = !flashmask_masks(bounds + col * num_bounds, row, col, causal, num_bounds);
        rmask *back;
        note("side %d, %s, %d bounds", (int)side, causal ? "causal" : "not causal", (int)num_bounds);
        expect_ok(rmask_from_flashmask(side, causal, num_bounds, bounds, NULL, &back, test_error));
        check_rows_release(back, t);
        twin_free(t);
    }
}

static void bad_flashmasks_are_refused(void **state)
{
    (void)state;
    rmask *mask, *out;
    int32_t bounds[16];
    expect_ok(rmask_parse("causal", 3, 4, NULL, &mask, test_error));
    expect_fails(RMASK_ERR_ARGUMENT, rmask_export_flashmask(mask, true, 1, bounds, test_error)); /* not square */
    rmask_release(mask);
    expect_ok(rmask_parse("causal", 4, 4, NULL, &mask, test_error));
    static const int32_t kinds[][2] = {{1, 0}, {1, 3}, {1, 4}, {0, 1}, {0, 3}, {0, -2}};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        expect_fails(RMASK_ERR_ARGUMENT, rmask_export_flashmask(mask, kinds[i][0], kinds[i][1], bounds, test_error));
        expect_makes_nothing(RMASK_ERR_ARGUMENT, out,
                             rmask_from_flashmask(4, kinds[i][0], kinds[i][1], bounds, NULL, &out, test_error));
    }
    rmask_release(mask);
    expect_makes_nothing(RMASK_ERR_RANGE, out, rmask_from_flashmask(1, true, 1, (int32_t[]){2}, NULL, &out, test_error));
    expect_makes_nothing(RMASK_ERR_RANGE, out, rmask_from_flashmask(1, true, 1, (int32_t[]){-1}, NULL, &out, test_error));
    expect_makes_nothing(RMASK_ERR_RANGE, out,
                         rmask_from_flashmask(1, false, 4, (int32_t[]){0, 1, 0, INT_MAX}, NULL, &out, test_error));
    expect_makes_nothing(RMASK_ERR_ARGUMENT, out, rmask_from_flashmask(1, true, 2, (int32_t[]){1, 0}, NULL, &out, test_error));
}

/* ---------------------------------------------------------------- slices */

static bool in_slice(const int32_t *q, const int32_t *k, int32_t type, int64_t row, int64_t col)
{
    if (row < q[0] || row >= q[1] || col < k[0] || col >= k[1]) return false;
    if (type & RMASK_SLICE_CAUSAL && col - k[1] > row - q[1]) return false;
    return !(type & RMASK_SLICE_INVERSE_CAUSAL && col - k[0] < row - q[0]);
}

static void slices_cover_the_mask_once(void **state)
{
    (void)state;
    rng random = rng_here();
    for (int i = 0; i < NUM_CASES; i++) {
        const shape grid = i < num_small_shapes ? shapes[i] : random_shape(2500, &random);
        twin *t = generate_any(grid.rows, grid.cols, &random);
        rmask *mask = make_any(t, &random), *back;
        size_t count, again;
        note("%d x %d", (int)grid.rows, (int)grid.cols);
        expect_ok(rmask_export_slices(mask, NULL, NULL, NULL, 0, &count, test_error));
        int32_t *q = must_allocate((2 * count + 1) * sizeof *q), *k = must_allocate((2 * count + 1) * sizeof *k),
                *types = must_allocate((count + 1) * sizeof *types);
        q[2 * count] = k[2 * count] = types[count] = GUARD;
        expect_ok(rmask_export_slices(mask, q, k, types, count, &again, test_error));
        expect(again == count && q[2 * count] == GUARD && k[2 * count] == GUARD && types[count] == GUARD, "%zu, then %zu",
               count, again);
        twin *covered = twin_create(grid.rows, grid.cols);
        for (size_t s = 0; s < count; s++) {
            expect(q[2 * s] >= 0 && q[2 * s] < q[2 * s + 1] && q[2 * s + 1] <= grid.rows, "rows of slice %zu", s);
            expect(k[2 * s] >= 0 && k[2 * s] < k[2 * s + 1] && k[2 * s + 1] <= grid.cols, "columns of slice %zu", s);
            for (int32_t row = q[2 * s]; row < q[2 * s + 1]; row++)
                for (int32_t col = k[2 * s]; col < k[2 * s + 1]; col++) {
                    if (!in_slice(q + 2 * s, k + 2 * s, types[s], row, col)) continue;
                    expect(!twin_at(covered, row)[col], "(%d, %d) is covered twice", (int)row, (int)col);
                    twin_at(covered, row)[col] = 1;
                }
        }
        expect(twin_equal(covered, t), "the slices are another mask");
        expect_ok(rmask_from_slices(grid.rows, grid.cols, q, k, types, count, NULL, &back, test_error));
        check_rows_release(back, t);
        if (count > 0) {
            types[count - 1] = GUARD;
            expect_fails(RMASK_ERR_CAPACITY, rmask_export_slices(mask, q, k, types, count - 1, &again, test_error));
            expect(types[count - 1] == GUARD, "written beyond the capacity");
        }
        free(q), free(k), free(types), twin_free(covered), rmask_release(mask), twin_free(t);
    }
}

static void structured_masks_of_any_size_are_few_slices(void **state)
{
    (void)state;
    static const struct {
        const char *expression;
        size_t most;
    } cases[] = {
        {"full", 1},     {"none", 0}, {"causal", 1}, {"causal & window(4096)", 2}, {"causal & (sink(4) | window(4096))", 5},
        {"prefix(9)", 2}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        rmask *mask;
        size_t count;
        note("%s", cases[i].expression);
        expect_ok(rmask_parse(cases[i].expression, INT_MAX, INT_MAX, NULL, &mask, test_error));
        expect_ok(rmask_export_slices(mask, NULL, NULL, NULL, 0, &count, test_error));
        expect(count <= cases[i].most, "%zu slices", count);
        rmask_release(mask);
    }
}

static void any_slices_are_read(void **state)
{
    (void)state;
    rng random = rng_here();
    for (int i = 0; i < NUM_CASES; i++) {
        const shape grid = random_shape(1500, &random);
        int32_t q[16], k[16], types[8];
        twin *t = twin_create(grid.rows, grid.cols);
        for (int s = 0; s < 8; s++) {
            q[2 * s] = (int32_t)rng_between(&random, 0, grid.rows),
                  q[2 * s + 1] = (int32_t)rng_between(&random, q[2 * s], grid.rows);
            k[2 * s] = (int32_t)rng_between(&random, 0, grid.cols),
                  k[2 * s + 1] = (int32_t)rng_between(&random, k[2 * s], grid.cols);
            types[s] = (int32_t)rng_below(&random, 4);
            for (int32_t row = 0; row < grid.rows; row++)
                for (int32_t col = 0; col < grid.cols; col++)
                    twin_at(t, row)[col] |= in_slice(q + 2 * s, k + 2 * s, types[s], row, col);
        }
        rmask *mask;
        expect_ok(rmask_from_slices(grid.rows, grid.cols, q, k, types, 8, NULL, &mask, test_error));
        check_rows_release(mask, t);
        twin_free(t);
    }
}

static void bad_slices_are_refused(void **state)
{
    (void)state;
    static const struct {
        int32_t q[2], k[2], type;
        rmask_status status;
    } cases[] = {
        {{-1, 2}, {0, 1}, 0, RMASK_ERR_RANGE},   {{2, 1}, {0, 1}, 0, RMASK_ERR_RANGE},
        {{0, 9}, {0, 1}, 0, RMASK_ERR_RANGE},    {{0, 1}, {0, 11}, 0, RMASK_ERR_RANGE},
        {{0, 1}, {3, 2}, 0, RMASK_ERR_RANGE},    {{0, 1}, {-1, 2}, 0, RMASK_ERR_RANGE},
        {{0, 1}, {0, 1}, 4, RMASK_ERR_ARGUMENT}, {{0, 1}, {0, 1}, -1, RMASK_ERR_ARGUMENT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        rmask *out;
        note("case %zu", i);
        expect_makes_nothing(cases[i].status, out,
                             rmask_from_slices(8, 10, cases[i].q, cases[i].k, &cases[i].type, 1, NULL, &out, test_error));
    }
}

/* ---------------------------------------------------------------- vertical slash */

/* The definition, cell by cell: what a tile's blocks and columns must and may have. */
static void check_vertical_slash(const int32_t *v, size_t num_v, const int32_t *s, size_t num_s, int32_t n, int32_t tile)
{
    const size_t tiles = ((size_t)n + (size_t)tile - 1) / (size_t)tile;
    int32_t *blocks = must_allocate((tiles * num_s + 1) * sizeof *blocks),
            *listed = must_allocate((tiles * num_v + 1) * sizeof *listed);
    int32_t *num_blocks = must_allocate((tiles + 1) * sizeof *num_blocks),
            *num_listed = must_allocate((tiles + 1) * sizeof *num_listed);
    uint8_t *of_blocks = must_allocate((size_t)n + 2 * (size_t)tile);
    blocks[tiles * num_s] = listed[tiles * num_v] = num_blocks[tiles] = num_listed[tiles] = GUARD;
    expect_ok(rmask_export_vertical_slash(v, num_v, s, num_s, n, tile, num_blocks, blocks, num_listed, listed, test_error));
    for (size_t i = 0; i < tiles; i++) {
        const int32_t begin = (int32_t)i * tile;
        memset(of_blocks, 0, (size_t)n + 2 * (size_t)tile);
        for (int32_t j = 0; j < num_blocks[i]; j++)
            for (int32_t c = 0; c < tile; c++) {
                uint8_t *cell = &of_blocks[blocks[i * num_s + (size_t)j] + c];
                expect(!*cell, "blocks of tile %zu overlap", i);
                *cell = 1;
            }
        for (size_t j = 0; j < num_s; j++) /* each diagonal's cells are in blocks */
            for (int32_t row = begin; row < begin + tile && row < n; row++)
                expect(row < s[j] || of_blocks[row - s[j]], "distance %d of row %d", (int)s[j], (int)row);
        size_t at = 0; /* and what is in blocks only is no column */
        for (size_t j = 0; j < num_v; j++) {
            if (v[j] >= n || v[j] >= begin + tile || of_blocks[v[j]]) continue;
            expect(at < (size_t)num_listed[i] && listed[i * num_v + at] == v[j], "column %d of tile %zu", (int)v[j], i);
            expect(v[j] < begin, "column %d is not left of tile %zu", (int)v[j], i);
            at++;
        }
        expect(at == (size_t)num_listed[i], "tile %zu lists %d columns, not %zu", i, (int)num_listed[i], at);
    }
    expect(blocks[tiles * num_s] == GUARD && listed[tiles * num_v] == GUARD && num_blocks[tiles] == GUARD &&
               num_listed[tiles] == GUARD,
           "a guard is gone");
    free(blocks), free(listed), free(num_blocks), free(num_listed), free(of_blocks);
}

static void vertical_slash_covers_columns_and_diagonals(void **state)
{
    (void)state;
    rng random = rng_here();
    for (int i = 0; i < NUM_CASES; i++) {
        const int32_t n = (int32_t)rng_below(&random, 300), tile = (int32_t)rng_between(&random, 1, 70);
        int32_t v[40], s[40];
        size_t num_v = 0, num_s = 0;
        const double dense = rng_chance(&random, 0.5) ? 0.05 : 0.3;
        for (int32_t c = 0; c < n && num_v < 38; c++)
            if (rng_chance(&random, dense)) v[num_v++] = c;
        for (int filled = 0; filled < 2; filled++) v[num_v++] = n; /* filled up */
        for (int32_t d = n + 3; d > 0 && num_s < 38; d--)
            if (rng_chance(&random, dense)) s[num_s++] = d;
        s[num_s++] = 0;
        s[num_s++] = 0;
        note("%d tokens, tiles of %d", (int)n, (int)tile);
        check_vertical_slash(v, num_v, s, num_s, n, tile);
    }
}

static void bad_vertical_slashes_are_refused(void **state)
{
    (void)state;
    int32_t room[64];
    static const int32_t v[] = {1, 5}, s[] = {7, 0};
#define SLASH(columns, num_columns, distances, num_distances, tokens, tile)                                           \
    rmask_export_vertical_slash(columns, num_columns, distances, num_distances, tokens, tile, room, room, room, room, \
                                test_error)
    expect_ok(SLASH(v, 2, s, 2, 10, 64));
    expect_ok(SLASH(NULL, 0, NULL, 0, 0, 64));
    expect_fails(RMASK_ERR_ARGUMENT, SLASH(v, 2, s, 2, 10, 0));
    expect_fails(RMASK_ERR_ARGUMENT, SLASH(v, 2, s, 2, -1, 64));
    expect_fails(RMASK_ERR_ARGUMENT, SLASH(v, 2, s, 2, INT_MAX, 64));
    expect_fails(RMASK_ERR_ARGUMENT, SLASH(v, 2, s, 1, 10, 64)); /* no main diagonal */
    expect_fails(RMASK_ERR_ARGUMENT, SLASH(v, 2, NULL, 0, 10, 64));
    expect_fails(RMASK_ERR_ARGUMENT, SLASH(s, 2, s, 2, 10, 64)); /* descending columns */
    expect_fails(RMASK_ERR_ARGUMENT, SLASH(v, 2, ((int32_t[]){0, 7, 0}), 3, 10, 64));
    expect_fails(RMASK_ERR_ARGUMENT, SLASH(((int32_t[]){-1}), 1, s, 2, 10, 64));
    expect_fails(RMASK_ERR_ARGUMENT, SLASH(v, 2, ((int32_t[]){0, -1}), 2, 10, 64));
}

/* ---------------------------------------------------------------- out of memory */

typedef struct job {
    const twin *t;
    int32_t *room, *more, *types;
    size_t num_slices;
} job;

static rmask_status use_flashmask(const rmask *mask, void *context)
{
    const job *j = context;
    return rmask_export_flashmask(mask, false, 4, j->room, NULL);
}

static rmask_status use_slices(const rmask *mask, void *context)
{
    const job *j = context;
    size_t count;
    return rmask_export_slices(mask, j->room, j->more, j->types, j->num_slices, &count, NULL);
}

static rmask_status run_flashmask(const rmask_allocator *a, void *j) { return with_mask(((job *)j)->t, a, use_flashmask, j); }
static rmask_status run_slices(const rmask_allocator *a, void *j) { return with_mask(((job *)j)->t, a, use_slices, j); }

static rmask_status made(rmask_status status, rmask *out, const twin *t)
{
    expect((status == RMASK_OK) == (out != NULL), "status \"%s\" with %s", rmask_status_name(status),
           out ? "an output" : "no output");
    if (out) check_rows(out, t);
    rmask_release(out);
    return status;
}

static rmask_status run_from_flashmask(const rmask_allocator *allocator, void *context)
{
    const job *j = context;
    rmask *out = (void *)&test_poison;
    const rmask_status status = rmask_from_flashmask(j->t->rows, false, 4, j->room, allocator, &out, NULL);
    return made(status, out, j->t);
}

static rmask_status run_from_slices(const rmask_allocator *allocator, void *context)
{
    const job *j = context;
    rmask *out = (void *)&test_poison;
    const rmask_status status =
        rmask_from_slices(j->t->rows, j->t->cols, j->room, j->more, j->types, j->num_slices, allocator, &out, NULL);
    return made(status, out, j->t);
}

static void out_of_memory_leaves_nothing(void **state)
{
    (void)state;
    rng random = rng_here();
    for (int i = 0; i < 6; i++) {
        twin *t = i % 2 ? random_intervals(24, false, &random) : generate_any(24, 24, &random);
        rmask *mask = make_plain(t);
        job j = {.t = t};
        expect_ok(rmask_export_slices(mask, NULL, NULL, NULL, 0, &j.num_slices, test_error));
        const size_t room = 2 * j.num_slices + 24 * 4;
        j.room = must_allocate(room * sizeof *j.room), j.more = must_allocate(room * sizeof *j.more);
        j.types = must_allocate((j.num_slices + 1) * sizeof *j.types);
        check_out_of_memory(run_slices, &j);
        check_out_of_memory(run_from_slices, &j);
        if (fits_flashmask(t, false, 4)) {
            check_out_of_memory(run_flashmask, &j);
            check_out_of_memory(run_from_flashmask, &j);
        }
        free(j.room), free(j.more), free(j.types), rmask_release(mask), twin_free(t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flashmask_says_the_mask_or_refuses),
        cmocka_unit_test(flashmask_reads_any_bounds),
        cmocka_unit_test(bad_flashmasks_are_refused),
        cmocka_unit_test(slices_cover_the_mask_once),
        cmocka_unit_test(structured_masks_of_any_size_are_few_slices),
        cmocka_unit_test(any_slices_are_read),
        cmocka_unit_test(bad_slices_are_refused),
        cmocka_unit_test(vertical_slash_covers_columns_and_diagonals),
        cmocka_unit_test(bad_vertical_slashes_are_refused),
        cmocka_unit_test(out_of_memory_leaves_nothing),
    };
    return run_test_program(tests);
}
