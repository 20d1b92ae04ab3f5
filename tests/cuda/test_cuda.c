/* SPDX-License-Identifier: Apache-2.0
 * libroarmask-cuda: every expansion of every kind of mask and fold. The same tests are three programs: test_cuda_logic runs what the kernels'
 * threads do on the host, blocks and lanes in random order; test_cuda_simt runs the kernels themselves there; test_cuda_device runs them on a
 * device. */
#include "checks.h"

#include "roarmask/export.h"
#include "support/ways.h"

#include <stdlib.h>
#include <string.h>

enum { NUM_CASES = 400 };

/* ---------------------------------------------------------------- one mask */

static shape random_tile(rng *random)
{
    static const shape usual[] = {{1, 1}, {2, 2}, {8, 8}, {16, 16}, {64, 16}, {128, 128}, {64, 128}, {3, 7}, {5, 33}, {1, 200}, {200, 1}, {7, 129}};
    if (rng_chance(random, 0.7)) return usual[rng_below(random, sizeof usual / sizeof usual[0])];
    return (shape){(int32_t)rng_between(random, 1, 40), (int32_t)rng_between(random, 1, 300)};
}

static void every_expansion_has_the_cells(void **state)
{
    (void)state;
    rng random = rng_here();
    for (int i = 0; i < NUM_CASES; i++) {
        const shape grid = i < num_shapes ? shapes[i] : random_shape(4000, &random);
        twin *t = i < 2 * num_shapes && i >= num_shapes ? generate(i % NUM_KINDS, grid.rows, grid.cols, &random) : generate_any(grid.rows, grid.cols, &random);
        rmask *mask = make_any(t, &random);
        note("case %d, %d x %d", i, (int)grid.rows, (int)grid.cols);
        uploaded u;
        uploaded_put(&u, (const rmask *const[]){mask}, 1, RMASK_A, mask);
        check_indices(&u, t, &random);
        check_windows(&u, t, &random);
        check_tiles(&u, t, random_tile(&random), &random);
        uploaded_drop(&u);
        rmask_release(mask), twin_free(t);
    }
}

/* Every kind, and rows of several chunks with arrays and bitsets in them. */
static void every_kind_is_expanded(void **state)
{
    (void)state;
    rng random = rng_here();
    for (int kind = 0; kind < NUM_KINDS; kind++)
        for (int wide = 0; wide < 2; wide++) {
            const shape grid = wide ? (shape){2, 140000} : (shape){90, 700};
            twin *t = generate(kind, grid.rows, grid.cols, &random);
            rmask *mask = make_any(t, &random);
            note("%s, %d x %d", kind_name(kind), (int)grid.rows, (int)grid.cols);
            uploaded u;
            uploaded_put(&u, (const rmask *const[]){mask}, 1, RMASK_NONE, mask);
            check_csr(&u, t, 0, grid.rows, true, &random);
            check_windows(&u, t, &random);
            if (wide) {
                check_window(&u, false, 0, 2, 65536 - (int32_t)rng_below(&random, 200), 65536 + (int32_t)rng_below(&random, 200), &random);
                check_window(&u, true, 0, 2, 131072 - (int32_t)rng_below(&random, 200), 131072 + (int32_t)rng_below(&random, 200), &random);
            }
            check_tiles(&u, t, wide ? (shape){2, (int32_t)rng_between(&random, 1, 400)} : random_tile(&random), &random);
            uploaded_drop(&u);
            rmask_release(mask), twin_free(t);
        }
}

/* ---------------------------------------------------------------- folds */

static void folds_are_the_algebra(void **state)
{
    (void)state;
    rng random = rng_here();
    for (int i = 0; i < NUM_CASES; i++) {
        const shape grid = i < num_shapes ? shapes[i] : random_shape(3000, &random);
        const int num = i % 3 == 0 ? (int)rng_between(&random, 3, MAX_MASKS) : 2;
        const rmask_function function = num == 2 ? (rmask_function)(i % 16) : rng_chance(&random, 0.5) ? RMASK_OR : (rmask_function)rng_below(&random, 16);
        rmask *masks[MAX_MASKS], *result = NULL;
        twin *folded = NULL;
        note("case %d, %d masks of %d x %d, function %d", i, num, (int)grid.rows, (int)grid.cols, (int)function);
        for (int k = 0; k < num; k++) {
            twin *t = generate_any(grid.rows, grid.cols, &random), *before = folded;
            rmask *so_far = result;
            masks[k] = make_any(t, &random);
            folded = k ? twin_combine(before, t, function) : twin_copy(t);
            if (k)
                expect_ok(rmask_combine(so_far, masks[k], function, &result, test_error));
            else
                result = rmask_retain(masks[0]);
            rmask_release(so_far), twin_free(before), twin_free(t);
        }
        uploaded u;
        uploaded_put(&u, (const rmask *const *)masks, num, function, result);
        check_indices(&u, folded, &random);
        check_windows(&u, folded, &random);
        check_tiles(&u, folded, random_tile(&random), &random);
        uploaded_drop(&u);
        for (int k = 0; k < num; k++) rmask_release(masks[k]);
        rmask_release(result), twin_free(folded);
    }
}

/* Boundaries of two masks that come past the last column of the grid, whose tile is reached after a long stretch: each is in some rows and not in
 * others, and the union in all. */
static void a_union_is_full_where_its_masks_are_not(void **state)
{
    (void)state;
    rng random = rng_here();
    rmask *diagonal, *masks[2], *all;
    expect_ok(rmask_parse("diagonals(0)", 40, 129, NULL, &diagonal, test_error));
    expect_ok(rmask_shift(diagonal, 0, 128, &masks[0], test_error));
    expect_ok(rmask_not(masks[0], &masks[1], test_error));
    expect_ok(rmask_parse("full", 40, 129, NULL, &all, test_error));
    uploaded u;
    uploaded_put(&u, (const rmask *const *)masks, 2, RMASK_OR, all);
    twin *t = twin_of(all);
    check_tiles(&u, t, (shape){40, 1}, &random);
    check_tiles(&u, t, (shape){7, 1}, &random);
    uploaded_drop(&u);
    twin_free(t), rmask_release(diagonal), rmask_release(masks[0]), rmask_release(masks[1]), rmask_release(all);
}

/* ---------------------------------------------------------------- the largest grids */

static void the_largest_grids_are_expanded(void **state)
{
    (void)state;
    rng random = rng_here();
    enum { SIDE = INT32_MAX };
    static const char *const expressions[] = {"causal & window(300)", "causal & (sink(5) | window(2000))", "causal & columns(3, 70000, 2147483646)",
                                              "window(200, 200)", "diagonals(0, 1, 5) | causal & diagonals(1000)"};
    for (size_t i = 0; i < sizeof expressions / sizeof expressions[0]; i++) {
        rmask *mask;
        expect_ok(rmask_parse(expressions[i], SIDE, SIDE, NULL, &mask, test_error));
        note("%s", expressions[i]);
        uploaded u;
        uploaded_put(&u, (const rmask *const[]){mask}, 1, RMASK_A, mask);
        static const int32_t begins[] = {0, 70000, 1 << 30, SIDE - 4};
        for (int k = 0; k < 4; k++) {
            int64_t indptr[5];
            expect_ok(rmask_to_csr(mask, begins[k], begins[k] + 4, indptr, NULL, 0, test_error));
            const size_t bytes = (size_t)indptr[4] * sizeof(int32_t);
            int32_t *wanted = must_allocate(bytes);
            expect_ok(rmask_to_csr(mask, begins[k], begins[k] + 4, indptr, wanted, (size_t)indptr[4], test_error));
            const buffer there = buffer_make(sizeof indptr, 0), indices = buffer_make(bytes, 0), workspace = workspace_for(4);
            expect_ok(rmask_cuda_csr(u.what, begins[k], begins[k] + 4, (int64_t *)(void *)there.at, (int32_t *)(void *)indices.at, (uint64_t)indptr[4],
                                     workspace.at, workspace.num_bytes, NULL, test_error));
            buffer_drop(workspace);
            int64_t *got_ptr = buffer_take(there);
            int32_t *got = buffer_take(indices);
            expect(memcmp(got_ptr, indptr, sizeof indptr) == 0 && memcmp(got, wanted, bytes) == 0, "rows from %d on", (int)begins[k]);
            free(got_ptr), free(got), free(wanted);
        }
        for (int k = 0; k < 3; k++) { /* in tiles of some sizes, rows near the end */
            static const shape sizes[] = {{128, 128}, {65536, 1 << 20}, {16, 16}, {INT32_MAX, INT32_MAX}, {1 << 20, 4096}};
            const shape tile = sizes[rng_below(&random, 5)];
            rmask *tiles, *full;
            uploaded of_tiles = u;
            of_tiles.what.tile_rows = tile.rows;
            of_tiles.what.tile_cols = tile.cols;
            expect_ok(rmask_coarsen(mask, tile.rows, tile.cols, &tiles, &full, test_error));
            const int32_t rows = rmask_rows(tiles), begin = rows > 3 ? rows - 3 : 0;
            for (int which = 0; which < 2; which++) {
                of_tiles.what.tiles = which ? RMASK_CUDA_FULL : RMASK_CUDA_ANY;
                of_tiles.mask = which ? full : tiles;
                const int32_t cols = rmask_cols(tiles), left = cols > 3000 ? cols - 3000 : 0;
                check_window(&of_tiles, true, begin, rows, left, cols, &random);
                check_window(&of_tiles, false, 0, rows < 3 ? rows : 3, 0, cols < 5000 ? cols : 5000, &random);
                int64_t wanted_ptr[4];
                expect_ok(rmask_to_csr(of_tiles.mask, begin, rows, wanted_ptr, NULL, 0, test_error));
                const buffer there = buffer_make(4 * sizeof(int64_t), 0), workspace = workspace_for(rows - begin);
                expect_ok(rmask_cuda_csr(of_tiles.what, begin, rows, (int64_t *)(void *)there.at, NULL, 0, workspace.at, workspace.num_bytes, NULL, test_error));
                buffer_drop(workspace);
                int64_t *got = buffer_take(there);
                expect(memcmp(got, wanted_ptr, (size_t)(rows - begin + 1) * sizeof *got) == 0, "tiles of %d x %d", (int)tile.rows, (int)tile.cols);
                free(got);
            }
            rmask_release(tiles), rmask_release(full);
        }
        check_window(&u, true, SIDE - 3, SIDE, SIDE - 100, SIDE, &random);
        check_window(&u, false, SIDE - 3, SIDE, SIDE - 100, SIDE, &random);
        uploaded_drop(&u);
        rmask_release(mask);
    }
    rmask *full;
    expect_ok(rmask_parse("full", 3, SIDE, NULL, &full, test_error));
    uploaded u;
    uploaded_put(&u, (const rmask *const[]){full}, 1, RMASK_A, full);
    const buffer there = buffer_make(4 * sizeof(int64_t), 0), workspace = workspace_for(3);
    expect_ok(rmask_cuda_csr(u.what, 0, 3, (int64_t *)(void *)there.at, NULL, 0, workspace.at, workspace.num_bytes, NULL, test_error));
    expect_fails(RMASK_ERR_LIMIT, rmask_cuda_bsr(u.what, 0, 3, NULL, NULL, 0, workspace.at, workspace.num_bytes, NULL, test_error));
    buffer_drop(workspace);
    int64_t *got = buffer_take(there);
    expect(got[0] == 0 && got[1] == SIDE && got[3] == 3 * (int64_t)SIDE, "%lld", (long long)got[3]);
    free(got), uploaded_drop(&u), rmask_release(full);
}

/* A launch takes 65,535 rows of blocks; a few columns are all it takes to go beyond. */
static void more_rows_than_a_launch_are_expanded(void **state)
{
    (void)state;
    rng random = rng_here();
    rmask *mask;
    expect_ok(rmask_parse("local(3) | columns(2, 11) | random(0.1, seed=1)", 140000, 37, NULL, &mask, test_error));
    uploaded u;
    uploaded_put(&u, (const rmask *const[]){mask}, 1, RMASK_A, mask);
    check_window(&u, true, 0, 140000, 0, 37, &random);
    check_window(&u, false, 1, 139999, 3, 37, &random);
    uploaded_drop(&u), rmask_release(mask);
}

static int run_expansion_tests(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_expansion_has_the_cells),
        cmocka_unit_test(every_kind_is_expanded),
        cmocka_unit_test(folds_are_the_algebra),
        cmocka_unit_test(a_union_is_full_where_its_masks_are_not),
        cmocka_unit_test(the_largest_grids_are_expanded),
        cmocka_unit_test(more_rows_than_a_launch_are_expanded),
    };
    return run_test_program(tests);
}

int main(void)
{
    if (!place_is_there()) return TESTS_SKIPPED;
    const int expansion = run_expansion_tests(), decode = run_decode_tests(), upload = run_upload_tests();
    return expansion ? expansion : decode ? decode : upload;
}
