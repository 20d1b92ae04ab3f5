/* SPDX-License-Identifier: Apache-2.0
 * The kernels' tensors: each read by the obvious loops over its written definition and held against the twin, in every capacity, and what
 * is refused. Masks are made in every way, damaged files included. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "roarmask/export.h"
#include "support/folder.h"
#include "support/generate.h"
#include "support/hook.h"
#include "support/seal.h"
#include "support/ways.h"

enum { GUARD = 0x5a5a5a5a, NUM_CASES = 300 };

/* ---------------------------------------------------------------- index tensors */

static void check_bsr(const rmask *mask, const twin *t, int32_t begin, int32_t end)
{
    const size_t rows = (size_t)(end - begin);
    int32_t *wanted = must_allocate((size_t)t->cols * sizeof *wanted), *indptr = must_allocate((rows + 2) * sizeof *indptr);
    indptr[rows + 1] = GUARD;
    expect_ok(rmask_export_bsr(mask, begin, end, indptr, NULL, 0, test_error));
    const size_t total = (size_t)indptr[rows];
    int32_t *indices = must_allocate((total + 1) * sizeof *indices);
    indices[total] = GUARD;
    memset(indptr, 0xff, (rows + 1) * sizeof *indptr);
    expect_ok(rmask_export_bsr(mask, begin, end, indptr, indices, total, test_error));
    expect(indptr[0] == 0 && indptr[rows + 1] == GUARD && indices[total] == GUARD, "starts at %d, or a guard is gone",
           (int)indptr[0]);
    for (int32_t row = begin; row < end; row++) {
        const size_t count = twin_row(t, row, wanted);
        const int32_t *at = indptr + (row - begin);
        expect(at[1] >= at[0] && (size_t)(at[1] - at[0]) == count, "row %d has %d entries, not %zu", (int)row,
               (int)(at[1] - at[0]), count);
        expect(memcmp(indices + at[0], wanted, count * sizeof *wanted) == 0, "row %d", (int)row);
    }
    if (total > 0) {
        indices[total - 1] = GUARD;
        expect_fails(RMASK_ERR_CAPACITY, rmask_export_bsr(mask, begin, end, indptr, indices, total - 1, test_error));
        expect(indices[total - 1] == GUARD, "written beyond the capacity");
        expect((size_t)indptr[rows] == total, "a failure for lack of room still says how much is needed");
    }
    free(indices), free(indptr), free(wanted);
}

static void check_padded(const rmask *mask, const twin *t, int32_t begin, int32_t end)
{
    const size_t rows = (size_t)(end - begin);
    size_t width, most = 0;
    int32_t *wanted = must_allocate((size_t)t->cols * sizeof *wanted);
    for (int32_t row = begin; row < end; row++) most = twin_row_count(t, row) > most ? twin_row_count(t, row) : most;
    expect_ok(rmask_export_max_row_count(mask, begin, end, &width, test_error));
    expect(width == most, "the longest row has %zu columns, not %zu", most, width);
    for (int wide = 0; wide < 2; wide++) {
        const size_t stride = wide ? (size_t)t->cols + 3 : width;
        int32_t *counts = must_allocate((rows + 1) * sizeof *counts),
                *indices = must_allocate((rows * stride + 1) * sizeof *indices);
        counts[rows] = indices[rows * stride] = GUARD;
        expect_ok(rmask_export_padded(mask, begin, end, counts, indices, stride, test_error));
        for (size_t i = 0; i < rows; i++) {
            const size_t count = twin_row(t, begin + (int32_t)i, wanted);
            expect((size_t)counts[i] == count && memcmp(indices + i * stride, wanted, count * sizeof *wanted) == 0, "row %zu",
                   i);
        }
        expect(counts[rows] == GUARD && indices[rows * stride] == GUARD, "a guard is gone");
        if (width > 0)
            expect_fails(RMASK_ERR_CAPACITY, rmask_export_padded(mask, begin, end, counts, indices, width - 1, test_error));
        free(indices), free(counts);
    }
    free(wanted);
}

static void index_tensors_have_the_rows(void **state)
{
    (void)state;
    rng random = rng_here();
    for (int i = 0; i < NUM_CASES; i++) {
        const shape grid = i < num_shapes ? shapes[i] : random_shape(4000, &random);
        twin *t = generate_any(grid.rows, grid.cols, &random);
        rmask *mask = make_any(t, &random);
        const int32_t begin = (int32_t)rng_below(&random, grid.rows + 1), end = (int32_t)rng_between(&random, begin, grid.rows);
        note("%d x %d, rows %d to %d", (int)grid.rows, (int)grid.cols, (int)begin, (int)end);
        check_bsr(mask, t, 0, grid.rows);
        check_bsr(mask, t, begin, end);
        if ((int64_t)grid.rows * grid.cols < 200000) {
            check_padded(mask, t, 0, grid.rows);
            check_padded(mask, t, begin, end);
        }
        rmask_release(mask), twin_free(t);
    }
}

static void rows_out_of_range_are_refused(void **state)
{
    (void)state;
    rmask *mask;
    int32_t room[8];
    size_t count;
    static const int32_t bad[][2] = {{-1, 2}, {2, 1}, {0, 6}, {INT_MIN, INT_MAX}};
    expect_ok(rmask_parse("causal", 5, 5, NULL, &mask, test_error));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        const int32_t begin = bad[i][0], end = bad[i][1];
        expect_fails(RMASK_ERR_RANGE, rmask_export_bsr(mask, begin, end, room, NULL, 0, test_error));
        expect_fails(RMASK_ERR_RANGE, rmask_export_padded(mask, begin, end, room, room, 5, test_error));
        expect_fails(RMASK_ERR_RANGE, rmask_export_max_row_count(mask, begin, end, &count, test_error));
        expect(count == 0, "%zu", count);
    }
    rmask_release(mask);
}

/* 2^31 cells and more have no int32 starts. */
static void too_many_cells_for_int32_are_refused(void **state)
{
    (void)state;
    rmask *mask;
    int32_t *indptr = must_allocate(65537 * sizeof *indptr);
    expect_ok(rmask_parse("full", 65536, 32768, NULL, &mask, test_error));
    expect_fails(RMASK_ERR_LIMIT, rmask_export_bsr(mask, 0, 65536, indptr, NULL, 0, test_error));
    expect_ok(rmask_export_bsr(mask, 0, 65535, indptr, NULL, 0, test_error));
    expect(indptr[65535] == 65535 * 32768, "%d", (int)indptr[65535]);
    rmask_release(mask), free(indptr);
}

/* ---------------------------------------------------------------- bits */

static bool bit(const uint8_t *bits, size_t at) { return bits[at / 8] >> at % 8 & 1; }

static void check_tile_bits(const rmask *mask, const twin *t, shape tile)
{
    rmask *any;
    expect_ok(rmask_coarsen(mask, tile.rows, tile.cols, &any, NULL, test_error));
    const size_t tile_bits = (size_t)tile.rows * (size_t)tile.cols, tile_bytes = (tile_bits + 7) / 8;
    const size_t num_bytes = (size_t)rmask_count(any) * tile_bytes;
    uint8_t *bits = must_allocate(num_bytes + 1), *next = bits;
    memset(bits, 0xa5, num_bytes + 1);
    expect_ok(rmask_export_tile_bits(mask, any, tile.rows, tile.cols, bits, num_bytes, test_error));
    expect(bits[num_bytes] == 0xa5, "written beyond the capacity");
    for (int32_t i = 0; i < rmask_rows(any); i++)
        for (int32_t j = 0; j < rmask_cols(any); j++) {
            if (!rmask_contains(any, i, j)) continue;
            for (size_t k = 0; k < 8 * tile_bytes; k++) {
                const int64_t row = (int64_t)i * tile.rows + (int64_t)k / tile.cols,
                              col = (int64_t)j * tile.cols + (int64_t)k % tile.cols;
                const bool wanted = k < tile_bits && row < t->rows && col < t->cols && twin_at(t, (int32_t)row)[col];
                expect(bit(next, k) == wanted, "bit %zu of tile (%d, %d)", k, (int)i, (int)j);
            }
            next += tile_bytes;
        }
    if (num_bytes > 0)
        expect_fails(RMASK_ERR_CAPACITY,
                     rmask_export_tile_bits(mask, any, tile.rows, tile.cols, bits, num_bytes - 1, test_error));
    free(bits), rmask_release(any);
}

/* Bit by bit: in a row of n tiles, cell (r, c) of the k-th is bit r * n * cols + k * cols + c. */
static void check_packed_mask(const rmask *mask, const twin *t, shape tile)
{
    rmask *any;
    expect_ok(rmask_coarsen(mask, tile.rows, tile.cols, &any, NULL, test_error));
    const int32_t rows = rmask_rows(any), cols = rmask_cols(any);
    int32_t *starts = must_allocate(((size_t)rows + 2) * sizeof *starts),
            *again = must_allocate(((size_t)rows + 1) * sizeof *again);
    int32_t *columns = must_allocate(((size_t)cols + 1) * sizeof *columns);
    starts[rows + 1] = GUARD;
    expect_ok(rmask_export_packed_mask(mask, any, tile.rows, tile.cols, starts, NULL, 0, test_error));
    expect(starts[0] == 0 && starts[rows + 1] == GUARD, "starts");
    const size_t num_bytes = (size_t)starts[rows];
    uint8_t *bits = must_allocate(num_bytes + 1);
    memset(bits, 0xa5, num_bytes + 1);
    expect_ok(rmask_export_packed_mask(mask, any, tile.rows, tile.cols, again, bits, num_bytes, test_error));
    expect(memcmp(starts, again, ((size_t)rows + 1) * sizeof *starts) == 0, "other starts with bits than without");
    expect(bits[num_bytes] == 0xa5, "written beyond the capacity");
    for (int32_t i = 0; i < rows; i++) {
        size_t n = 0;
        for (int32_t j = 0; j < cols; j++)
            if (rmask_contains(any, i, j)) columns[n++] = j;
        const size_t row_bits = n * (size_t)tile.cols, num_bits = row_bits * (size_t)tile.rows;
        expect((size_t)(starts[i + 1] - starts[i]) == (num_bits + 7) / 8, "row %d of the tiles has %d bytes", (int)i,
               (int)(starts[i + 1] - starts[i]));
        for (size_t at = 0; at < (num_bits + 7) / 8 * 8; at++) {
            bool wanted = false;
            if (at < num_bits) {
                const int64_t row = (int64_t)i * tile.rows + (int64_t)(at / row_bits);
                const int64_t col =
                    (int64_t)columns[at % row_bits / (size_t)tile.cols] * tile.cols + (int64_t)(at % (size_t)tile.cols);
                wanted = row < t->rows && col < t->cols && twin_at(t, (int32_t)row)[col];
            }
            expect(bit(bits + starts[i], at) == wanted, "bit %zu of row %d of the tiles", at, (int)i);
        }
    }
    if (num_bytes > 0)
        expect_fails(RMASK_ERR_CAPACITY,
                     rmask_export_packed_mask(mask, any, tile.rows, tile.cols, again, bits, num_bytes - 1, test_error));
    free(bits), free(columns), free(again), free(starts), rmask_release(any);
}

static void tile_bits_are_the_cells(void **state)
{
    (void)state;
    static const shape tiles[] = {{1, 1}, {3, 3},  {8, 8},     {1, 8}, {8, 1},  {16, 16},
                                  {4, 4}, {5, 24}, {128, 128}, {2, 3}, {3, 700}};
    rng random = rng_here();
    for (int i = 0; i < NUM_CASES / 2; i++) {
        const shape grid = random_shape(3000, &random), tile = tiles[i % 11];
        twin *t = generate_any(grid.rows, grid.cols, &random);
        rmask *mask = make_any(t, &random);
        note("%d x %d in tiles of %d x %d", (int)grid.rows, (int)grid.cols, (int)tile.rows, (int)tile.cols);
        check_tile_bits(mask, t, tile);
        check_packed_mask(mask, t, tile);
        rmask_release(mask), twin_free(t);
    }
}

/* 2^20 x 2^20 cells in tiles of 2^16 x 2^16: 2^29 bytes each. */
static void too_many_bits_for_int32_are_refused(void **state)
{
    (void)state;
    rmask *mask, *tiles;
    int32_t starts[17];
    expect_ok(rmask_parse("full", 1 << 20, 1 << 20, NULL, &mask, test_error));
    expect_ok(rmask_parse("full", 16, 16, NULL, &tiles, test_error));
    expect_fails(RMASK_ERR_LIMIT, rmask_export_packed_mask(mask, tiles, 1 << 16, 1 << 16, starts, NULL, 0, test_error));
    rmask_release(tiles);
    expect_ok(rmask_parse("diagonals(0) & columns(0, 1, 2)", 16, 16, NULL, &tiles, test_error));
    expect_ok(rmask_export_packed_mask(mask, tiles, 1 << 16, 1 << 16, starts, NULL, 0, test_error));
    expect(starts[1] == 1 << 29 && starts[3] == 3 << 29 && starts[16] == 3 << 29, "starts");
    rmask_release(tiles), rmask_release(mask);
}

static void tile_bits_refuse_other_tiles(void **state)
{
    (void)state;
    rmask *mask, *tiles;
    uint8_t bits[64];
    expect_ok(rmask_parse("causal", 20, 20, NULL, &mask, test_error));
    expect_ok(rmask_parse("causal", 3, 3, NULL, &tiles, test_error));
    expect_ok(rmask_export_tile_bits(mask, tiles, 8, 8, bits, sizeof bits, test_error));
    expect_fails(RMASK_ERR_ARGUMENT, rmask_export_tile_bits(mask, tiles, 4, 8, bits, sizeof bits, test_error));
    expect_fails(RMASK_ERR_ARGUMENT, rmask_export_tile_bits(mask, tiles, 8, 4, bits, sizeof bits, test_error));
    expect_fails(RMASK_ERR_ARGUMENT, rmask_export_tile_bits(mask, tiles, 0, 8, bits, sizeof bits, test_error));
    expect_fails(RMASK_ERR_ARGUMENT, rmask_export_tile_bits(mask, tiles, 8, -8, bits, sizeof bits, test_error));
    int32_t starts[4];
    expect_fails(RMASK_ERR_ARGUMENT, rmask_export_packed_mask(mask, tiles, 4, 8, starts, bits, sizeof bits, test_error));
    expect_fails(RMASK_ERR_ARGUMENT, rmask_export_packed_mask(mask, tiles, 8, 0, starts, NULL, 0, test_error));
    rmask_release(mask), rmask_release(tiles);
}

/* ---------------------------------------------------------------- pages */

enum { MAX_REQUESTS = 5, MAX_PAGES = 40 };

static void pages_are_those_of_the_rows(void **state)
{
    (void)state;
    rng random = rng_here();
    for (int i = 0; i < NUM_CASES; i++) {
        twin *twins[MAX_REQUESTS];
        rmask *masks[MAX_REQUESTS];
        const int32_t n = (int32_t)rng_between(&random, 1, MAX_REQUESTS), page = (int32_t)rng_between(&random, 1, 17);
        int32_t rows[MAX_REQUESTS], lens[MAX_REQUESTS], table[MAX_REQUESTS * MAX_PAGES], out[MAX_REQUESTS * MAX_PAGES],
            counts[MAX_REQUESTS], out_lens[MAX_REQUESTS];
        for (int32_t r = 0; r < n; r++) {
            const int32_t cols = (int32_t)rng_between(&random, 1, MAX_PAGES), grid_rows = (int32_t)rng_between(&random, 1, 20);
            twins[r] = generate_any(grid_rows, cols, &random);
            masks[r] = make_any(twins[r], &random);
            rows[r] = (int32_t)rng_below(&random, grid_rows);
            lens[r] = (int32_t)rng_between(&random, 1, cols * page);
        }
        for (int k = 0; k < MAX_REQUESTS * MAX_PAGES; k++) table[k] = (int32_t)rng_below(&random, 1000000);
        expect_ok(rmask_export_pages((const rmask *const *)masks, rows, n, table, MAX_PAGES, lens, page, out, MAX_PAGES, counts,
                                     out_lens, test_error));
        for (int32_t r = 0; r < n; r++) {
            const int32_t last = (lens[r] - 1) / page;
            int32_t kept = 0, tokens = 0;
            for (int32_t p = 0; p <= last; p++) {
                if (p < last && !twin_at(twins[r], rows[r])[p]) continue;
                expect(out[r * MAX_PAGES + kept] == table[r * MAX_PAGES + p], "request %d, page %d", (int)r, (int)p);
                tokens += p < last ? page : lens[r] - last * page;
                kept++;
            }
            expect(counts[r] == kept && out_lens[r] == tokens, "request %d has %d pages of %d tokens, not %d of %d", (int)r,
                   (int)counts[r], (int)out_lens[r], (int)kept, (int)tokens);
        }
        for (int32_t r = 0; r < n; r++) rmask_release(masks[r]), twin_free(twins[r]);
    }
}

static void bad_pages_are_refused(void **state)
{
    (void)state;
    rmask *mask;
    int32_t row = 4, len = 10, table[8] = {0}, out[8], count, out_len;
    expect_ok(rmask_parse("causal", 5, 5, NULL, &mask, test_error));
    const rmask *const masks[] = {mask};
#define PAGES(page, stride, out_stride) \
    rmask_export_pages(masks, &row, 1, table, (stride), &len, (page), out, (out_stride), &count, &out_len, test_error)
    expect_ok(PAGES(2, 8, 5));
    expect(count == 5 && out_len == 10, "%d pages, %d tokens", (int)count, (int)out_len);
    expect_fails(RMASK_ERR_ARGUMENT, PAGES(0, 8, 8));
    expect_fails(RMASK_ERR_CAPACITY, PAGES(2, 8, 4));
    expect_fails(RMASK_ERR_RANGE, PAGES(2, 4, 8));
    expect_fails(RMASK_ERR_RANGE, PAGES(1, 8, 8));
    len = 0;
    expect_fails(RMASK_ERR_RANGE, PAGES(2, 8, 8));
    len = INT_MAX;
    expect_fails(RMASK_ERR_RANGE, PAGES(2, 8, 8));
    len = 10, row = 5;
    expect_fails(RMASK_ERR_RANGE, PAGES(2, 8, 8));
    row = -1;
    expect_fails(RMASK_ERR_RANGE, PAGES(2, 8, 8));
    expect_ok(rmask_export_pages(NULL, NULL, 0, NULL, 0, NULL, 2, NULL, 0, NULL, NULL, test_error));
    rmask_release(mask);
}

/* ---------------------------------------------------------------- files that are damaged */

/* A row's columns out of order, behind checksums that are right: whoever reads it refuses. */
static void damaged_rows_are_refused(void **state)
{
    (void)state;
    rng random = rng_here();
    rmask *mask, *opened, *tiles;
    size_t num_bytes;
    rmask_stats stats;
    twin *t = generate_named("random 1%", 300, 300, &random);
    mask = make_plain(t);
    rmask_get_stats(mask, &stats);
    expect(stats.num_arrays > 0, "no arrays to damage");
    expect_ok(rmask_coarsen(mask, 8, 8, &tiles, NULL, test_error));
    expect_ok(rmask_save(mask, in_folder("mask.rmask"), test_error));
    uint8_t *bytes = read_file(in_folder("mask.rmask"), &num_bytes);
    const uint64_t containers = num_bytes - stats.container_bytes;
    memset(bytes + containers, 0xff, (size_t)stats.container_bytes / 2);
    seal(bytes, num_bytes);
    write_file(in_folder("mask.rmask"), bytes, num_bytes);

    int32_t *room = must_allocate(300 * 301 * sizeof *room), rows[] = {0, 150}, lens[] = {300, 300}, counts[2], out_lens[2];
    uint8_t *bits = must_allocate(300 * 300 * 8);
    size_t count;
#define REFUSED(call)                                                                                                 \
    (expect_ok(rmask_open(in_folder("mask.rmask"), NULL, &opened, test_error)), expect_fails(RMASK_ERR_FORMAT, call), \
     rmask_release(opened))
    REFUSED(rmask_export_bsr(opened, 0, 300, room, NULL, 0, test_error));
    REFUSED(rmask_export_bsr(opened, 0, 300, room, room, 300, test_error));
    REFUSED(rmask_export_padded(opened, 0, 300, room, room + 300, 300, test_error));
    REFUSED(rmask_export_max_row_count(opened, 0, 300, &count, test_error));
    REFUSED(rmask_export_tile_bits(opened, tiles, 8, 8, bits, 300 * 300 * 8, test_error));
    REFUSED(rmask_export_packed_mask(opened, tiles, 8, 8, room, bits, 300 * 300 * 8, test_error));
    REFUSED(rmask_export_flashmask(opened, false, 4, room, test_error));
    REFUSED(rmask_export_slices(opened, NULL, NULL, NULL, 0, &count, test_error));
    REFUSED(rmask_export_pages(((const rmask *const[]){opened, opened}), rows, 2, room, 300, lens, 1, room, 300, counts,
                               out_lens, test_error));
    free(room), free(bits), free(bytes), rmask_release(tiles), rmask_release(mask), twin_free(t);
}

/* ---------------------------------------------------------------- out of memory */

typedef struct job {
    const twin *t;
    int32_t *room, *more;
    uint8_t *bits;
} job;

static rmask_status use_bits(const rmask *mask, void *context)
{
    const job *j = context;
    rmask *tiles;
    rmask_status status = rmask_coarsen(mask, 8, 8, &tiles, NULL, NULL);
    if (!status) status = rmask_export_tile_bits(mask, tiles, 8, 8, j->bits, (size_t)-1, NULL);
    rmask_release(tiles);
    return status;
}

static rmask_status use_packed_mask(const rmask *mask, void *context)
{
    const job *j = context;
    rmask *tiles;
    rmask_status status = rmask_coarsen(mask, 8, 8, &tiles, NULL, NULL);
    if (!status) status = rmask_export_packed_mask(mask, tiles, 8, 8, j->room, j->bits, (size_t)-1, NULL);
    rmask_release(tiles);
    return status;
}

static rmask_status use_pages(const rmask *mask, void *context)
{
    const job *j = context;
    const int32_t row = mask ? rmask_rows(mask) - 1 : 0, len = rmask_cols(mask);
    int32_t count, out_len;
    memset(j->room, 0, (size_t)len * sizeof *j->room);
    return rmask_export_pages(&mask, &row, 1, j->room, (size_t)len, &len, 1, j->more, (size_t)len, &count, &out_len, NULL);
}

static rmask_status run_bits(const rmask_allocator *a, void *j) { return with_mask(((job *)j)->t, a, use_bits, j); }
static rmask_status run_packed_mask(const rmask_allocator *a, void *j) { return with_mask(((job *)j)->t, a, use_packed_mask, j); }
static rmask_status run_pages(const rmask_allocator *a, void *j) { return with_mask(((job *)j)->t, a, use_pages, j); }

static void out_of_memory_leaves_nothing(void **state)
{
    (void)state;
    rng random = rng_here();
    for (int i = 0; i < 6; i++) {
        twin *t = generate_any(24, 24, &random);
        job j = {.t = t, .bits = must_allocate(24 * 24 * 8)};
        j.room = must_allocate(24 * 24 * sizeof *j.room), j.more = must_allocate(24 * 24 * sizeof *j.more);
        expect(check_out_of_memory(run_bits, &j) > 0, "nothing is allocated");
        expect(check_out_of_memory(run_packed_mask, &j) > 0, "nothing is allocated");
        check_out_of_memory(run_pages, &j);
        free(j.room), free(j.more), free(j.bits), twin_free(t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(index_tensors_have_the_rows),
        cmocka_unit_test(rows_out_of_range_are_refused),
        cmocka_unit_test(too_many_cells_for_int32_are_refused),
        cmocka_unit_test(tile_bits_are_the_cells),
        cmocka_unit_test(tile_bits_refuse_other_tiles),
        cmocka_unit_test(too_many_bits_for_int32_are_refused),
        cmocka_unit_test(pages_are_those_of_the_rows),
        cmocka_unit_test(bad_pages_are_refused),
        cmocka_unit_test_setup_teardown(damaged_rows_are_refused, make_folder, remove_folder),
        cmocka_unit_test(out_of_memory_leaves_nothing),
    };
    return run_test_program(tests);
}
