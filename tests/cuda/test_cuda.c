/* SPDX-License-Identifier: Apache-2.0
 * libroarmask-cuda: every expansion held against the twin and, bit for bit, against the exports of the library. The same text is three programs:
 * test_cuda_logic runs what the kernels' threads do on the host, blocks and lanes in random order; test_cuda_simt runs the kernels themselves
 * there; test_cuda_device runs them on a device. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "place.h"
#include "roarmask/cuda.h"
#include "roarmask/export.h"
#include "support/folder.h"
#include "support/generate.h"
#include "support/model.h"
#include "support/seal.h"
#include "support/ways.h"

enum { NUM_CASES = 400, GUARD_BYTES = 64, RUBBISH = 0x5a };

/* ---------------------------------------------------------------- buffers */

/* Memory there that begins `shift` bytes behind an aligned place, with guards on both sides. */
typedef struct buffer {
    uint8_t *memory, *at;
    size_t num_bytes, shift;
} buffer;

static buffer buffer_make(size_t num_bytes, size_t shift)
{
    const size_t all = num_bytes + 2 * GUARD_BYTES + shift;
    uint8_t *rubbish = must_allocate(all);
    memset(rubbish, RUBBISH, all);
    buffer b = {place_allocate(all), NULL, num_bytes, shift};
    b.at = b.memory + GUARD_BYTES + shift;
    place_put(b.memory, rubbish, all);
    free(rubbish);
    return b;
}

static buffer buffer_of(const void *bytes, size_t num_bytes)
{
    const buffer b = buffer_make(num_bytes, 0);
    if (num_bytes > 0) place_put(b.at, bytes, num_bytes);
    return b;
}

/* What is in it; malloc'ed. The buffer goes, and its guards must be as they were. */
static void *buffer_take(buffer b)
{
    const size_t before = GUARD_BYTES + b.shift, all = before + b.num_bytes + GUARD_BYTES;
    uint8_t *bytes = must_allocate(all);
    place_get(bytes, b.memory, all);
    place_free(b.memory);
    for (size_t i = 0; i < all; i++)
        if (i < before || i >= before + b.num_bytes) expect(bytes[i] == RUBBISH, "written %zu bytes from the begin of %zu", i - before, b.num_bytes);
    memmove(bytes, bytes + before, b.num_bytes);
    return bytes;
}

static void buffer_drop(buffer b) { free(buffer_take(b)); }

static buffer workspace_for(int32_t num_rows)
{
    size_t num_bytes;
    expect_ok(rmask_cuda_csr_workspace(num_rows, &num_bytes, test_error));
    return buffer_make(num_bytes, 0);
}

/* ---------------------------------------------------------------- masks there */

enum { MAX_MASKS = RMASK_CUDA_MAX_FOLD };

/* A fold whose masks are uploaded, and what it has on the host. */
typedef struct uploaded {
    rmask_cuda_mask masks[MAX_MASKS];
    buffer data[MAX_MASKS];
    rmask_cuda_fold what;
    const rmask *mask;
} uploaded;

static buffer upload(const rmask *mask, rmask_cuda_mask *handle)
{
    const buffer data = buffer_make((size_t)rmask_num_bytes(mask), 0);
    expect_ok(rmask_cuda_upload(mask, data.at, data.num_bytes, NULL, handle, test_error));
    return data;
}

static void uploaded_put(uploaded *u, const rmask *const *masks, int num_masks, rmask_function function, const rmask *result)
{
    for (int i = 0; i < num_masks; i++) u->data[i] = upload(masks[i], &u->masks[i]);
    u->what = (rmask_cuda_fold){.masks = u->masks, .num_masks = num_masks, .function = function};
    u->mask = result;
}

static void uploaded_drop(uploaded *u)
{
    for (int i = 0; i < u->what.num_masks; i++) buffer_drop(u->data[i]);
}

/* ---------------------------------------------------------------- index tensors */

static void check_csr(const uploaded *u, const twin *t, int32_t begin, int32_t end, bool is_wide, rng *random)
{
    const size_t rows = (size_t)(end - begin), width = is_wide ? sizeof(int64_t) : sizeof(int32_t);
    int64_t *wanted_ptr = must_allocate((rows + 1) * sizeof *wanted_ptr);
    expect_ok(rmask_to_csr(u->mask, begin, end, wanted_ptr, NULL, 0, test_error));
    const size_t total = (size_t)wanted_ptr[rows];
    int32_t *wanted = must_allocate(total * sizeof *wanted);
    expect_ok(rmask_to_csr(u->mask, begin, end, wanted_ptr, wanted, total, test_error));
    for (int lack = 0; lack < 3; lack++) { /* enough room, too little, none asked for */
        const size_t capacity = lack == 0 ? total : lack == 1 ? (size_t)rng_below(random, (int64_t)total + 1) : 0;
        const buffer workspace = workspace_for(end - begin), indptr = buffer_make((rows + 1) * width, 0),
                     indices = buffer_make(capacity * sizeof(int32_t), 4 * (size_t)rng_below(random, 4));
        int32_t *const out = lack == 2 ? NULL : (int32_t *)(void *)indices.at;
        place_shuffle(random);
        if (is_wide)
            expect_ok(rmask_cuda_csr(u->what, begin, end, (int64_t *)(void *)indptr.at, out, capacity, workspace.at, workspace.num_bytes, NULL, test_error));
        else
            expect_ok(rmask_cuda_bsr(u->what, begin, end, (int32_t *)(void *)indptr.at, out, capacity, workspace.at, workspace.num_bytes, NULL, test_error));
        buffer_drop(workspace);
        void *got_ptr = buffer_take(indptr);
        int32_t *got = buffer_take(indices);
        for (size_t i = 0; i <= rows; i++) {
            const int64_t at = is_wide ? ((int64_t *)got_ptr)[i] : ((int32_t *)got_ptr)[i];
            expect(at == wanted_ptr[i], "row %zu of [%d, %d) begins at %lld, not %lld", i, (int)begin, (int)end, (long long)at, (long long)wanted_ptr[i]);
        }
        if (lack < 2) expect(memcmp(got, wanted, capacity * sizeof *got) == 0, "indices of the rows [%d, %d), capacity %zu of %zu", (int)begin, (int)end, capacity, total);
        free(got), free(got_ptr);
    }
    int32_t *cols = must_allocate((size_t)t->cols * sizeof *cols);
    for (size_t i = 0; i < rows; i++) { /* and the library is right */
        const size_t count = twin_row(t, begin + (int32_t)i, cols);
        expect(wanted_ptr[i] + (int64_t)count == wanted_ptr[i + 1] && memcmp(cols, wanted + wanted_ptr[i], count * sizeof *cols) == 0, "row %zu", i);
    }
    free(cols), free(wanted), free(wanted_ptr);
}

static void check_padded(const uploaded *u, const twin *t, int32_t begin, int32_t end, size_t stride, rng *random)
{
    const size_t rows = (size_t)(end - begin);
    const buffer counts = buffer_make(rows * sizeof(int32_t), 0), indices = buffer_make(rows * stride * sizeof(int32_t), 4 * (size_t)rng_below(random, 4));
    place_shuffle(random);
    expect_ok(rmask_cuda_padded(u->what, begin, end, (int32_t *)(void *)counts.at, (int32_t *)(void *)indices.at, stride, NULL, test_error));
    int32_t *got_counts = buffer_take(counts), *got = buffer_take(indices), *cols = must_allocate((size_t)t->cols * sizeof *cols);
    for (size_t i = 0; i < rows; i++) {
        const size_t count = twin_row(t, begin + (int32_t)i, cols), written = count < stride ? count : stride;
        expect((size_t)got_counts[i] == count, "row %zu has %d columns, not %zu", i, (int)got_counts[i], count);
        expect(memcmp(got + i * stride, cols, written * sizeof *cols) == 0, "row %zu", i);
        for (size_t k = written; k < stride; k++) expect(got[i * stride + k] == 0x5a5a5a5a, "row %zu is written past its end, at %zu of %zu", i, k, written);
    }
    free(cols), free(got), free(got_counts);
}

static void check_indices(const uploaded *u, const twin *t, rng *random)
{
    const int32_t begin = (int32_t)rng_below(random, t->rows + 1), end = (int32_t)rng_between(random, begin, t->rows);
    size_t most;
    check_csr(u, t, 0, t->rows, true, random);
    check_csr(u, t, 0, t->rows, false, random);
    check_csr(u, t, begin, end, rng_chance(random, 0.5), random);
    expect_ok(rmask_export_max_row_count(u->mask, begin, end, &most, test_error));
    check_padded(u, t, begin, end, most, random);
    check_padded(u, t, begin, end, (size_t)rng_below(random, (int64_t)most + 1), random);
    if ((int64_t)t->rows * t->cols < 100000) check_padded(u, t, 0, t->rows, (size_t)t->cols + 3, random);
}

/* ---------------------------------------------------------------- cells */

static void check_window(const uploaded *u, bool as_bytes, int32_t row_begin, int32_t row_end, int32_t col_begin, int32_t col_end, rng *random)
{
    const size_t rows = (size_t)(row_end - row_begin), cols = (size_t)(col_end - col_begin), needed = as_bytes ? cols : (cols + 7) / 8;
    const size_t stride = rng_chance(random, 0.5) ? (needed + 15) / 16 * 16 : needed + (size_t)rng_below(random, 20);
    const buffer out = buffer_make(rows * stride, rng_chance(random, 0.5) ? 0 : (size_t)rng_below(random, 16));
    uint8_t *wanted = must_allocate(rows * stride);
    memset(wanted, RUBBISH, rows * stride);
    place_shuffle(random);
    if (as_bytes) {
        expect_ok(rmask_to_bytes(u->mask, row_begin, row_end, col_begin, col_end, wanted, stride, test_error));
        expect_ok(rmask_cuda_to_bytes(u->what, row_begin, row_end, col_begin, col_end, out.at, stride, NULL, test_error));
    } else {
        expect_ok(rmask_to_bits(u->mask, row_begin, row_end, col_begin, col_end, wanted, stride, test_error));
        expect_ok(rmask_cuda_to_bits(u->what, row_begin, row_end, col_begin, col_end, out.at, stride, NULL, test_error));
    }
    uint8_t *got = buffer_take(out);
    for (size_t i = 0; i < rows * stride; i++)
        expect(got[i] == wanted[i], "rows [%d, %d), columns [%d, %d), stride %zu: byte %zu is %d, not %d", (int)row_begin, (int)row_end, (int)col_begin,
               (int)col_end, stride, i, got[i], wanted[i]);
    free(got), free(wanted);
}

static void check_windows(const uploaded *u, const twin *t, rng *random)
{
    for (int as_bytes = 0; as_bytes < 2; as_bytes++) {
        const int32_t row_begin = (int32_t)rng_below(random, t->rows + 2), col_begin = (int32_t)rng_below(random, t->cols + 2);
        if ((int64_t)t->rows * t->cols < 100000) check_window(u, as_bytes, 0, t->rows, 0, t->cols, random);
        check_window(u, as_bytes, row_begin, row_begin + (int32_t)rng_below(random, 20), col_begin, col_begin + (int32_t)rng_below(random, 700), random);
    }
}

/* The cells inside of a range of tiles, each by itself and side by side as FlashInfer packs them. `u` is the fold's cells. */
static void check_tile_cells(const uploaded *u, rmask_cuda_fold what, const rmask *tiles, rng *random)
{
    const int32_t begin = (int32_t)rng_below(random, rmask_rows(tiles) + 1), end = (int32_t)rng_between(random, begin, rmask_rows(tiles)), rows = end - begin;
    rmask *part;
    rmask *cells;
    expect_ok(rmask_slice(tiles, begin, end, 0, rmask_cols(tiles), &part, test_error));
    const int64_t first = (int64_t)begin * what.tile_rows, last = (int64_t)end * what.tile_rows;
    expect_ok(rmask_slice(u->mask, (int32_t)(first < rmask_rows(u->mask) ? first : rmask_rows(u->mask)),
                          (int32_t)(last < rmask_rows(u->mask) ? last : rmask_rows(u->mask)), 0, rmask_cols(u->mask), &cells, test_error));
    const size_t count = (size_t)rmask_count(part), tile_bytes = ((size_t)what.tile_rows * (size_t)what.tile_cols + 7) / 8;
    const buffer workspace = workspace_for(rows), indptr = buffer_make(((size_t)rows + 1) * sizeof(int32_t), 0), indices = buffer_make(count * sizeof(int32_t), 0);
    int32_t *const ptr = (int32_t *)(void *)indptr.at, *const index = (int32_t *)(void *)indices.at;
    place_shuffle(random);
    expect_ok(rmask_cuda_bsr(what, begin, end, ptr, index, count, workspace.at, workspace.num_bytes, NULL, test_error));

    const size_t fitting = rng_chance(random, 0.5) ? count : (size_t)rng_below(random, (int64_t)count + 3), capacity = fitting * tile_bytes + tile_bytes / 2;
    const size_t listed = rng_chance(random, 0.7) ? count : (size_t)rng_below(random, (int64_t)count + 1);
    const buffer bits = buffer_make(capacity, rng_chance(random, 0.5) ? 0 : (size_t)rng_below(random, 16));
    uint8_t *wanted = must_allocate(count * tile_bytes);
    expect_ok(rmask_export_tile_bits(cells, part, what.tile_rows, what.tile_cols, wanted, count * tile_bytes, test_error));
    expect_ok(rmask_cuda_tile_bits(what, begin, end, ptr, index, listed, bits.at, capacity, NULL, test_error));
    uint8_t *got = buffer_take(bits);
    for (size_t i = 0; i < capacity; i++) {
        const uint8_t there = i < fitting * tile_bytes && i < listed * tile_bytes ? wanted[i] : RUBBISH;
        expect(got[i] == there, "tiles of %d x %d: byte %zu of %zu is %d, not %d", (int)what.tile_rows, (int)what.tile_cols, i, capacity, got[i], there);
    }
    free(got), free(wanted);

    int32_t *wanted_starts = must_allocate(((size_t)rows + 1) * sizeof *wanted_starts), *wanted_ptr = must_allocate(((size_t)rows + 1) * sizeof *wanted_ptr);
    expect_ok(rmask_export_packed_mask(cells, part, what.tile_rows, what.tile_cols, wanted_starts, NULL, 0, test_error));
    expect_ok(rmask_export_bsr(part, 0, rows, wanted_ptr, NULL, 0, test_error));
    const size_t packed = (size_t)wanted_starts[rows], room = rng_chance(random, 0.7) ? packed : (size_t)rng_below(random, (int64_t)packed + 1);
    wanted = must_allocate(packed);
    expect_ok(rmask_export_packed_mask(cells, part, what.tile_rows, what.tile_cols, wanted_starts, wanted, packed, test_error));
    const buffer starts = buffer_make(((size_t)rows + 1) * sizeof(int32_t), 0), out = buffer_make(room, rng_chance(random, 0.5) ? 0 : (size_t)rng_below(random, 16));
    uint8_t *const to = rng_chance(random, 0.9) ? out.at : NULL;
    expect_ok(rmask_cuda_packed_mask(what, begin, end, ptr, index, listed, (int32_t *)(void *)starts.at, to, room, workspace.at, workspace.num_bytes, NULL, test_error));
    int32_t *got_starts = buffer_take(starts);
    got = buffer_take(out);
    for (int32_t i = 0; i <= rows; i++) expect(got_starts[i] == wanted_starts[i], "row %d begins at %d, not %d", (int)i, (int)got_starts[i], (int)wanted_starts[i]);
    for (int32_t i = 0; i < rows; i++) {
        const bool is_written = to && (size_t)wanted_starts[i + 1] <= room && (size_t)wanted_ptr[i + 1] <= listed;
        for (size_t k = (size_t)wanted_starts[i]; k < (size_t)wanted_starts[i + 1] && k < room; k++)
            expect(got[k] == (is_written ? wanted[k] : RUBBISH), "packed row %d: byte %zu is %d", (int)i, k, got[k]);
    }
    free(got), free(got_starts), free(wanted), free(wanted_starts), free(wanted_ptr);
    buffer_drop(workspace), buffer_drop(indptr), buffer_drop(indices);
    rmask_release(part), rmask_release(cells);
}

/* Tiles made on the device are those of the twin and of rmask_coarsen, in every expansion. */
static void check_tiles(const uploaded *u, const twin *t, shape tile, rng *random)
{
    rmask *masks[3];
    twin *twins[3];
    expect_ok(rmask_coarsen(u->mask, tile.rows, tile.cols, &masks[RMASK_CUDA_ANY], &masks[RMASK_CUDA_FULL], test_error));
    expect_ok(rmask_and_not(masks[RMASK_CUDA_ANY], masks[RMASK_CUDA_FULL], &masks[RMASK_CUDA_PARTIAL], test_error));
    twin_coarsen(t, tile.rows, tile.cols, &twins[RMASK_CUDA_ANY], &twins[RMASK_CUDA_FULL]);
    twins[RMASK_CUDA_PARTIAL] = twin_combine(twins[RMASK_CUDA_ANY], twins[RMASK_CUDA_FULL], RMASK_AND_NOT);
    for (int k = 0; k < 3; k++) {
        uploaded tiles = *u;
        tiles.what.tile_rows = tile.rows;
        tiles.what.tile_cols = tile.cols;
        tiles.what.tiles = (rmask_cuda_tiles)k;
        tiles.mask = masks[k];
        check_indices(&tiles, twins[k], random);
        check_windows(&tiles, twins[k], random);
        if (rng_chance(random, 0.5)) check_tile_cells(u, tiles.what, masks[k], random);
        rmask_release(masks[k]), twin_free(twins[k]);
    }
}

static shape random_tile(rng *random)
{
    static const shape usual[] = {{1, 1}, {2, 2}, {8, 8}, {16, 16}, {64, 16}, {128, 128}, {64, 128}, {3, 7}, {5, 33}, {1, 200}, {200, 1}, {7, 129}};
    if (rng_chance(random, 0.7)) return usual[rng_below(random, sizeof usual / sizeof usual[0])];
    return (shape){(int32_t)rng_between(random, 1, 40), (int32_t)rng_between(random, 1, 300)};
}

/* ---------------------------------------------------------------- one mask */

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

/* ---------------------------------------------------------------- decoding */

enum { MAX_REQUESTS = 12, MAX_PAGES = 3000, MAX_HEADS = 24 };

/* Requests on the host, sent there and worked on. */
typedef struct batch {
    int32_t num, page, rows[MAX_REQUESTS], lens[MAX_REQUESTS], stride, out_stride;
    int32_t num_groups, num_heads, which_stride, which[MAX_REQUESTS * (MAX_HEADS + 2)]; /* heads of a group */
    bool has_rows;
    int32_t *table, *out, *counts, *out_lens; /* results are malloc'ed */
} batch;

static void batch_run(batch *b, const rmask_cuda_mask *handles, int32_t num_masks, rng *random)
{
    const size_t ints = (size_t)b->num * sizeof(int32_t);
    const buffer masks = buffer_of(handles, (size_t)num_masks * sizeof *handles), which = buffer_of(b->which, sizeof b->which), rows = buffer_of(b->rows, ints),
                 lens = buffer_of(b->lens, ints), table = buffer_of(b->table, ints * (size_t)b->stride),
                 out = buffer_make(ints * (size_t)b->num_groups * (size_t)b->out_stride, 0), counts = buffer_make(ints * (size_t)b->num_groups, 0),
                 out_lens = buffer_make(ints * (size_t)b->num_groups, 0);
    const rmask_cuda_requests requests = {
        .masks = (const rmask_cuda_mask *)(const void *)masks.at,
        .num_masks = num_masks,
        .num_requests = b->num,
        .num_groups = b->num_groups,
        .heads_per_group = b->num_heads,
        .which_stride = (uint64_t)b->which_stride,
        .which = (const int32_t *)(const void *)which.at,
        .rows = b->has_rows ? (const int32_t *)(const void *)rows.at : NULL,
        .seq_lens = (const int32_t *)(const void *)lens.at,
        .block_table = (const int32_t *)(const void *)table.at,
        .table_stride = (uint64_t)b->stride,
        .page_tokens = b->page,
        .out_table = (int32_t *)(void *)out.at,
        .out_stride = (uint64_t)b->out_stride,
        .out_counts = (int32_t *)(void *)counts.at,
        .out_lens = (int32_t *)(void *)out_lens.at,
    };
    place_shuffle(random);
    expect_ok(rmask_cuda_pages(&requests, NULL, test_error));
    buffer_drop(masks), buffer_drop(which), buffer_drop(rows), buffer_drop(lens), buffer_drop(table);
    b->out = buffer_take(out);
    b->counts = buffer_take(counts);
    b->out_lens = buffer_take(out_lens);
}

/* What a group of a request wants, worked out page by page: the kept pages in `pages`; -1 for one that makes no sense. */
static int32_t wanted_pages(const batch *b, int32_t r, int32_t group, const twin *const *twins, int32_t num_masks, int32_t *pages, int32_t *tokens)
{
    *tokens = 0;
    if (b->lens[r] < 1) return 0;
    const int32_t last = (b->lens[r] - 1) / b->page, row = b->has_rows ? b->rows[r] : last, *which = b->which + r * b->which_stride + group * b->num_heads;
    if (last >= b->stride) return -1;
    for (int32_t h = 0; h < b->num_heads; h++)
        if (which[h] >= num_masks || (which[h] >= 0 && (last >= twins[which[h]]->cols || row < 0 || row >= twins[which[h]]->rows))) return -1;
    int32_t kept = 0;
    for (int32_t p = 0; p <= last; p++) {
        bool is_kept = p == last;
        for (int32_t h = 0; h < b->num_heads; h++) is_kept |= which[h] < 0 || twin_at(twins[which[h]], row)[p];
        if (!is_kept) continue;
        pages[kept++] = b->table[r * b->stride + p];
        *tokens += p < last ? b->page : b->lens[r] - last * b->page;
    }
    if (kept <= b->out_stride) return kept;
    *tokens = 0;
    return -1;
}

static void the_decode_step_keeps_the_pages(void **state)
{
    (void)state;
    rng random = rng_here();
    int32_t *pages = must_allocate(MAX_PAGES * sizeof *pages);
    int seen_bad = 0, seen_empty = 0, seen_dense = 0, seen_union = 0;
    for (int i = 0; i < 300; i++) {
        enum { NUM_MASKS = 4 };
        const shape grid = i % 10 == 0 ? (shape){20, MAX_PAGES} : random_shape(4000, &random);
        twin *twins[NUM_MASKS];
        rmask *masks[NUM_MASKS];
        rmask_cuda_mask handles[NUM_MASKS];
        buffer data[NUM_MASKS];
        for (int k = 0; k < NUM_MASKS; k++) {
            twins[k] = generate_any(grid.rows, grid.cols, &random);
            masks[k] = make_any(twins[k], &random);
            data[k] = upload(masks[k], &handles[k]);
        }
        batch b = {.num = (int32_t)rng_between(&random, 1, MAX_REQUESTS), .page = (int32_t)rng_between(&random, 1, 17), .has_rows = rng_chance(&random, 0.5)};
        const bool careful = i % 2 == 0;
        b.num_groups = i % 3 ? 1 : (int32_t)rng_between(&random, 2, 4);
        b.num_heads = i % 3 == 1 ? 1 : (int32_t)rng_between(&random, 1, MAX_HEADS / b.num_groups < MAX_MASKS ? MAX_HEADS / b.num_groups : MAX_MASKS);
        b.which_stride = rng_chance(&random, 0.2) ? 0 : b.num_groups * b.num_heads + (int32_t)rng_below(&random, 3);
        b.stride = careful ? grid.cols : (int32_t)rng_between(&random, 1, grid.cols + 2);
        b.out_stride = careful ? grid.cols : (int32_t)rng_below(&random, grid.cols + 1);
        b.table = must_allocate((size_t)b.num * (size_t)b.stride * sizeof *b.table);
        for (int32_t k = 0; k < b.num * b.stride; k++) b.table[k] = (int32_t)rng_next(&random);
        for (int32_t r = 0; r < b.num; r++) {
            for (int32_t h = 0; h < b.num_groups * b.num_heads; h++) {
                const bool is_odd = !careful && rng_chance(&random, 0.5 / (b.num_groups * b.num_heads));
                b.which[r * b.which_stride + h] = is_odd ? (rng_chance(&random, 0.7) ? -2 : NUM_MASKS) : (int32_t)rng_below(&random, NUM_MASKS);
            }
            b.rows[r] = (int32_t)rng_between(&random, careful ? 0 : -1, careful ? grid.rows - 1 : grid.rows);
            b.lens[r] = (int32_t)(!careful && rng_chance(&random, 0.1) ? rng_between(&random, -1, 0) : rng_between(&random, 1, (grid.cols + !careful) * b.page));
            if (careful && !b.has_rows && b.lens[r] > grid.rows * b.page) b.lens[r] = grid.rows * b.page;
        }
        note("case %d: %d requests on %d x %d, pages of %d, strides %d and %d", i, (int)b.num, (int)grid.rows, (int)grid.cols, (int)b.page, (int)b.stride,
             (int)b.out_stride);
        batch_run(&b, handles, NUM_MASKS, &random);
        for (int32_t k = 0; k < b.num * b.num_groups; k++) {
            const int32_t r = k / b.num_groups, group = k % b.num_groups, *which = b.which + r * b.which_stride + group * b.num_heads;
            int32_t tokens;
            const int32_t kept = wanted_pages(&b, r, group, (const twin *const *)twins, NUM_MASKS, pages, &tokens);
            seen_bad += kept < 0, seen_empty += kept == 0, seen_union += kept > 0 && b.num_heads > 1;
            for (int32_t h = 0; h < b.num_heads && kept > 0; h++) seen_dense += which[h] < 0;
            expect(b.counts[k] == kept && b.out_lens[k] == tokens, "request %d, group %d: %d pages of %d tokens, not %d of %d", (int)r, (int)group,
                   (int)b.counts[k], (int)b.out_lens[k], (int)kept, (int)tokens);
            const int32_t *out = b.out + (size_t)k * (size_t)b.out_stride;
            if (kept > 0) expect(memcmp(out, pages, (size_t)kept * sizeof *pages) == 0, "request %d, group %d", (int)r, (int)group);
            for (int32_t p = kept > 0 ? kept : 0; p < b.out_stride; p++) expect(out[p] == 0x5a5a5a5a, "request %d is written past its end", (int)r);
            if (!careful) continue;
            rmask *mask = rmask_retain(masks[which[0]]); /* bit for bit what the library exports */
            for (int32_t h = 1; h < b.num_heads; h++) {
                rmask *before = mask;
                expect_ok(rmask_or(before, masks[which[h]], &mask, test_error));
                rmask_release(before);
            }
            const rmask *const_mask = mask;
            const int32_t row = b.has_rows ? b.rows[r] : (b.lens[r] - 1) / b.page;
            int32_t count, len;
            expect_ok(rmask_export_pages(&const_mask, &row, 1, b.table + r * b.stride, (size_t)b.stride, &b.lens[r], b.page, pages, MAX_PAGES, &count, &len,
                                         test_error));
            expect(count == b.counts[k] && len == b.out_lens[k] && memcmp(pages, out, (size_t)count * sizeof *pages) == 0, "request %d", (int)r);
            rmask_release(mask);
        }
        free(b.table), free(b.out), free(b.counts), free(b.out_lens);
        for (int k = 0; k < NUM_MASKS; k++) buffer_drop(data[k]), rmask_release(masks[k]), twin_free(twins[k]);
    }
    expect(seen_bad > 50 && seen_empty > 20 && seen_dense > 50 && seen_union > 200, "too few of a sort: %d, %d, %d, %d", seen_bad, seen_empty, seen_dense,
           seen_union);
    free(pages);
}

static void the_longest_sequence_does_not_overflow(void **state)
{
    (void)state;
    rng random = rng_here();
    rmask *mask;
    rmask_cuda_mask handle;
    expect_ok(rmask_parse("full", 1 << 12, 1 << 12, NULL, &mask, test_error));
    const buffer data = upload(mask, &handle);
    batch b = {.num = 2, .page = 1 << 19, .num_groups = 1, .num_heads = 1, .which_stride = 1, .which = {0, -1}, .lens = {INT32_MAX, INT32_MAX}, .stride = 1 << 12, .out_stride = 1 << 12};
    b.table = must_allocate(sizeof(int32_t) * 2 * (1 << 12));
    memset(b.table, 0, sizeof(int32_t) * 2 * (1 << 12));
    batch_run(&b, &handle, 1, &random);
    for (int r = 0; r < 2; r++) expect(b.counts[r] == 1 << 12 && b.out_lens[r] == INT32_MAX, "%d pages of %d tokens", (int)b.counts[r], (int)b.out_lens[r]);
    free(b.table), free(b.out), free(b.counts), free(b.out_lens), buffer_drop(data), rmask_release(mask);
}

/* ---------------------------------------------------------------- uploading */

static void an_atlas_is_one_copy(void **state)
{
    (void)state;
    rng random = rng_here();
    for (int i = 0; i < 30; i++) {
        model m = model_any(&random);
        rmask_atlas *atlas = model_atlas(&m, "", &random), *opened;
        expect_ok(rmask_atlas_save(atlas, in_folder("a.ratlas"), test_error));
        expect_ok(rmask_atlas_open(in_folder("a.ratlas"), NULL, &opened, test_error));
        const rmask_atlas *const from = i % 2 ? opened : atlas;
        size_t num_bytes;
        rmask_atlas_data(from, &num_bytes);
        const buffer data = buffer_make(num_bytes, 0);
        rmask_cuda_mask *handles = must_allocate((rmask_atlas_num_masks(from) + 1) * sizeof *handles);
        expect_fails(RMASK_ERR_CAPACITY, rmask_cuda_upload_atlas(from, data.at, num_bytes - 1, NULL, handles, test_error));
        expect_fails(RMASK_ERR_ARGUMENT, rmask_cuda_upload_atlas(from, data.at + 4, num_bytes, NULL, handles, test_error));
        expect_ok(rmask_cuda_upload_atlas(from, data.at, num_bytes, NULL, handles, test_error));
        for (int entry = 0; entry < model_entries(&m); entry++) {
            const uint32_t which = rmask_atlas_table(from)[entry];
            note("atlas %d, entry %d", i, entry);
            if (which == RMASK_ATLAS_DENSE) continue;
            const uploaded u = {.what = {.masks = &handles[which], .num_masks = 1}, .mask = rmask_atlas_distinct(from, which)};
            check_csr(&u, model_entry(&m, entry), 0, m.rows, true, &random);
        }
        buffer_drop(data), free(handles), rmask_atlas_release(atlas), rmask_atlas_release(opened), model_free(&m);
    }
}

/* A mask that grew has its sections apart, and containers laid out for more columns than it has. */
static void a_mask_that_grew_is_uploaded(void **state)
{
    (void)state;
    rng random = rng_here();
    for (int i = 0; i < 20; i++) {
        rmask *start, *mask;
        rmask_grower *grower;
        expect_ok(rmask_parse("causal & window(9)", 5, i < 10 ? 40 : 65530, NULL, &start, test_error));
        expect_ok(rmask_grower_create(start, &grower, test_error));
        for (int step = 0; step < 20; step++) {
            int32_t cols[6], num = 0;
            for (int32_t col = 0; num < 6 && col < rmask_grower_cols(grower); col += 1 + (int32_t)rng_below(&random, rmask_grower_cols(grower) / 4)) cols[num++] = col;
            expect_ok(rmask_grower_add_row(grower, cols, (size_t)num, test_error));
            expect_ok(rmask_grower_add_cols(grower, 1, test_error));
        }
        expect_ok(rmask_grower_mask(grower, &mask, test_error));
        twin *t = twin_of(mask);
        note("grown to %d columns", (int)rmask_cols(mask));
        uploaded u;
        uploaded_put(&u, (const rmask *const[]){mask}, 1, RMASK_A, mask);
        check_csr(&u, t, 0, t->rows, false, &random);
        check_windows(&u, t, &random);
        uploaded_drop(&u);
        rmask_release(start), rmask_release(mask), rmask_grower_destroy(grower), twin_free(t);
    }
}

/* Damaged containers behind a sound index: a mapped file opens, and nothing of it gets to the device. */
static void hostile_bytes_are_not_uploaded(void **state)
{
    (void)state;
    rng random = rng_here();
    int refused = 0;
    for (int i = 0; i < 60; i++) {
        twin *t = generate_named(i % 2 ? "random 1%" : "random 50%", 40, 3000, &random);
        rmask *mask = make_plain(t), *opened = NULL;
        size_t num_bytes;
        const void *data = rmask_data(mask, &num_bytes);
        uint8_t *bytes = must_allocate(num_bytes);
        memcpy(bytes, data, num_bytes);
        for (int k = 0; k < 1 + i % 5; k++) bytes[num_bytes - 16 - (size_t)rng_below(&random, 500)] ^= (uint8_t)(1 << rng_below(&random, 8));
        if (i % 3 == 0) seal(bytes, num_bytes);
        write_file(in_folder("damaged.rmask"), bytes, num_bytes);
        expect_ok(rmask_open(in_folder("damaged.rmask"), NULL, &opened, test_error));
        rmask *sound = NULL;
        const bool damaged = rmask_from_data(bytes, num_bytes, NULL, &sound, NULL) != RMASK_OK;
        rmask_release(sound);
        const buffer there = buffer_make(num_bytes, 0);
        rmask_cuda_mask handle;
        note("file %d", i);
        if (damaged) {
            refused++;
            expect_fails(RMASK_ERR_FORMAT, rmask_cuda_upload(opened, there.at, num_bytes, NULL, &handle, test_error));
            expect(handle.strips == NULL && handle.rows == 0, "a refused mask has a handle");
            expect_fails(RMASK_ERR_FORMAT, rmask_cuda_handle(opened, there.at, &handle, test_error));
            uint8_t *left = buffer_take(there);
            for (size_t k = 0; k < num_bytes; k++) expect(left[k] == RUBBISH, "bytes of a refused mask are copied");
            free(left);
        } else {
            expect_ok(rmask_cuda_upload(opened, there.at, num_bytes, NULL, &handle, test_error));
            buffer_drop(there);
        }
        rmask_release(mask), rmask_release(opened), twin_free(t), free(bytes);
    }
    expect(refused > 30, "only %d were refused", refused);
}

/* ---------------------------------------------------------------- refusals */

static void senseless_arguments_are_refused(void **state)
{
    (void)state;
    rmask *mask, *other;
    rmask_cuda_mask handles[2], bad;
    expect_ok(rmask_parse("causal", 5, 6, NULL, &mask, test_error));
    expect_ok(rmask_parse("causal", 6, 6, NULL, &other, test_error));
    const buffer data[2] = {upload(mask, &handles[0]), upload(other, &handles[1])}, room = buffer_make(4096, 0);
    const rmask_cuda_fold what = {.masks = handles, .num_masks = 1}, differ = {.masks = handles, .num_masks = 2}, none = {.masks = handles},
                          many = {.masks = handles, .num_masks = 17}, odd = {.masks = handles, .num_masks = 1, .function = (rmask_function)16},
                          odder = {handles, 1, RMASK_A, 2, 2, (rmask_cuda_tiles)3};
    int32_t *const ints = (int32_t *)(void *)room.at;
    int64_t *const longs = (int64_t *)(void *)room.at;
    size_t needed;
    expect_fails(RMASK_ERR_CAPACITY, rmask_cuda_upload(mask, room.at, (size_t)rmask_num_bytes(mask) - 1, NULL, &bad, test_error));
    expect(bad.strips == NULL, "a failed upload has a handle");
    expect_fails(RMASK_ERR_ARGUMENT, rmask_cuda_upload(mask, room.at + 4, 4000, NULL, &bad, test_error));
    const rmask_cuda_fold folds[] = {differ, none, many, odd, odder};
    for (int i = 0; i < 5; i++) {
        expect_fails(RMASK_ERR_ARGUMENT, rmask_cuda_csr(folds[i], 0, 5, longs, ints, 0, room.at, 4096, NULL, test_error));
        expect_fails(RMASK_ERR_ARGUMENT, rmask_cuda_bsr(folds[i], 0, 5, ints, ints, 0, room.at, 4096, NULL, test_error));
        expect_fails(RMASK_ERR_ARGUMENT, rmask_cuda_padded(folds[i], 0, 5, ints, ints, 6, NULL, test_error));
        expect_fails(RMASK_ERR_ARGUMENT, rmask_cuda_to_bytes(folds[i], 0, 5, 0, 6, room.at, 6, NULL, test_error));
        expect_fails(RMASK_ERR_ARGUMENT, rmask_cuda_to_bits(folds[i], 0, 5, 0, 6, room.at, 6, NULL, test_error));
        expect_fails(RMASK_ERR_ARGUMENT, rmask_cuda_tile_bits(folds[i], 0, 5, ints, ints, 6, room.at, 6, NULL, test_error));
        expect_fails(RMASK_ERR_ARGUMENT, rmask_cuda_packed_mask(folds[i], 0, 5, ints, ints, 6, ints, room.at, 6, room.at, 4096, NULL, test_error));
    }
    static const int32_t rows[][2] = {{-1, 2}, {2, 1}, {0, 6}, {INT_MIN, INT_MAX}};
    for (int i = 0; i < 4; i++) {
        expect_fails(RMASK_ERR_RANGE, rmask_cuda_csr(what, rows[i][0], rows[i][1], longs, ints, 0, room.at, 4096, NULL, test_error));
        expect_fails(RMASK_ERR_RANGE, rmask_cuda_bsr(what, rows[i][0], rows[i][1], ints, ints, 0, room.at, 4096, NULL, test_error));
        expect_fails(RMASK_ERR_RANGE, rmask_cuda_padded(what, rows[i][0], rows[i][1], ints, ints, 6, NULL, test_error));
        if (i == 2) continue; /* windows may hang over the grid */
        expect_fails(RMASK_ERR_RANGE, rmask_cuda_to_bytes(what, rows[i][0], rows[i][1], 0, 1, room.at, 6, NULL, test_error));
        expect_fails(RMASK_ERR_RANGE, rmask_cuda_to_bits(what, 0, 1, rows[i][0], rows[i][1], room.at, SIZE_MAX, NULL, test_error));
    }
    expect_ok(rmask_cuda_csr_workspace(5, &needed, test_error));
    expect_fails(RMASK_ERR_CAPACITY, rmask_cuda_csr(what, 0, 5, longs, ints, 0, room.at, needed - 1, NULL, test_error));
    expect_fails(RMASK_ERR_ARGUMENT, rmask_cuda_csr(what, 0, 5, longs, ints, 0, room.at + 8, 4000, NULL, test_error));
    expect_fails(RMASK_ERR_RANGE, rmask_cuda_csr_workspace(-1, &needed, test_error));
    expect_fails(RMASK_ERR_ARGUMENT, rmask_cuda_to_bytes(what, 0, 5, 0, 6, room.at, 5, NULL, test_error));
    expect_fails(RMASK_ERR_ARGUMENT, rmask_cuda_to_bits(what, 0, 5, 0, 9, room.at, 1, NULL, test_error));
    static const int32_t sides[][2] = {{0, 1}, {1, 0}, {-1, 1}, {INT_MIN, INT_MIN}};
    for (int i = 0; i < 4; i++) {
        const rmask_cuda_fold tiled = {handles, 1, RMASK_A, sides[i][0], sides[i][1], RMASK_CUDA_ANY};
        expect_fails(RMASK_ERR_RANGE, rmask_cuda_padded(tiled, 0, 1, ints, ints, 6, NULL, test_error));
    }
    const rmask_cuda_fold pairs = {handles, 1, RMASK_A, 2, 2, RMASK_CUDA_ANY}, large = {handles, 1, RMASK_A, 65536, 32768, RMASK_CUDA_ANY};
    expect_fails(RMASK_ERR_RANGE, rmask_cuda_padded(pairs, 0, 4, ints, ints, 6, NULL, test_error)); /* 3 rows of tiles */
    expect_fails(RMASK_ERR_RANGE, rmask_cuda_tile_bits(pairs, 0, 4, ints, ints, 1, room.at, 6, NULL, test_error));
    expect_fails(RMASK_ERR_RANGE, rmask_cuda_tile_bits(large, 0, 1, ints, ints, 1, room.at, 6, NULL, test_error));
    expect_fails(RMASK_ERR_CAPACITY, rmask_cuda_packed_mask(pairs, 0, 3, ints, ints, 1, ints, NULL, 0, room.at, 7, NULL, test_error));
    const rmask_cuda_requests sound = {.page_tokens = 1, .num_groups = 1, .heads_per_group = 1};
    rmask_cuda_requests r = sound;
    expect_ok(rmask_cuda_pages(&r, NULL, test_error));
#define REFUSED(status, field, value)                                      \
    do {                                                                   \
        r = sound;                                                         \
        r.num_requests = 1, r.field = (value);                             \
        expect_fails(status, rmask_cuda_pages(&r, NULL, test_error));      \
    } while (0)
    REFUSED(RMASK_ERR_ARGUMENT, page_tokens, 0);
    REFUSED(RMASK_ERR_ARGUMENT, num_requests, -1);
    REFUSED(RMASK_ERR_ARGUMENT, num_masks, -1);
    REFUSED(RMASK_ERR_ARGUMENT, num_groups, 0);
    REFUSED(RMASK_ERR_ARGUMENT, heads_per_group, 0);
    REFUSED(RMASK_ERR_ARGUMENT, heads_per_group, RMASK_CUDA_MAX_FOLD + 1);
#undef REFUSED
    r = sound;
    r.num_requests = 1, r.num_groups = 3, r.heads_per_group = 2, r.which_stride = 5;
    expect_fails(RMASK_ERR_ARGUMENT, rmask_cuda_pages(&r, NULL, test_error));
    r.which_stride = 0, r.num_requests = INT32_MAX;
    expect_fails(RMASK_ERR_LIMIT, rmask_cuda_pages(&r, NULL, test_error));
    buffer_drop(data[0]), buffer_drop(data[1]), buffer_drop(room), rmask_release(mask), rmask_release(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_expansion_has_the_cells),
        cmocka_unit_test(every_kind_is_expanded),
        cmocka_unit_test(folds_are_the_algebra),
        cmocka_unit_test(a_union_is_full_where_its_masks_are_not),
        cmocka_unit_test(the_largest_grids_are_expanded),
        cmocka_unit_test(more_rows_than_a_launch_are_expanded),
        cmocka_unit_test(the_decode_step_keeps_the_pages),
        cmocka_unit_test(the_longest_sequence_does_not_overflow),
        cmocka_unit_test_setup_teardown(an_atlas_is_one_copy, make_folder, remove_folder),
        cmocka_unit_test(a_mask_that_grew_is_uploaded),
        cmocka_unit_test_setup_teardown(hostile_bytes_are_not_uploaded, make_folder, remove_folder),
        cmocka_unit_test(senseless_arguments_are_refused),
    };
    return place_is_there() ? run_test_program(tests) : TESTS_SKIPPED;
}
