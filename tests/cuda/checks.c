/* SPDX-License-Identifier: Apache-2.0 */
#include "checks.h"

#include "roarmask/export.h"

#include <stdlib.h>
#include <string.h>

enum { GUARD_BYTES = 64 };

/* ---------------------------------------------------------------- buffers */

buffer buffer_make(size_t num_bytes, size_t shift)
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

buffer buffer_of(const void *bytes, size_t num_bytes)
{
    const buffer b = buffer_make(num_bytes, 0);
    if (num_bytes > 0) place_put(b.at, bytes, num_bytes);
    return b;
}

void *buffer_take(buffer b)
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

void buffer_drop(buffer b) { free(buffer_take(b)); }

buffer workspace_for(int32_t num_rows)
{
    size_t num_bytes;
    expect_ok(rmask_cuda_csr_workspace(num_rows, &num_bytes, test_error));
    return buffer_make(num_bytes, 0);
}

/* ---------------------------------------------------------------- masks there */

buffer upload(const rmask *mask, rmask_cuda_mask *handle)
{
    const buffer data = buffer_make((size_t)rmask_num_bytes(mask), 0);
    expect_ok(rmask_cuda_upload(mask, data.at, data.num_bytes, NULL, handle, test_error));
    return data;
}

void uploaded_put(uploaded *u, const rmask *const *masks, int num_masks, rmask_function function, const rmask *result)
{
    for (int i = 0; i < num_masks; i++) u->data[i] = upload(masks[i], &u->masks[i]);
    u->what = (rmask_cuda_fold){.masks = u->masks, .num_masks = num_masks, .function = function};
    u->mask = result;
}

void uploaded_drop(uploaded *u)
{
    for (int i = 0; i < u->what.num_masks; i++) buffer_drop(u->data[i]);
}

/* ---------------------------------------------------------------- index tensors */

void check_csr(const uploaded *u, const twin *t, int32_t begin, int32_t end, bool is_wide, rng *random)
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

void check_indices(const uploaded *u, const twin *t, rng *random)
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

void check_window(const uploaded *u, bool as_bytes, int32_t row_begin, int32_t row_end, int32_t col_begin, int32_t col_end, rng *random)
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

void check_windows(const uploaded *u, const twin *t, rng *random)
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
void check_tiles(const uploaded *u, const twin *t, shape tile, rng *random)
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
