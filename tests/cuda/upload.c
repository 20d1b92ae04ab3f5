/* SPDX-License-Identifier: Apache-2.0
 * Uploading masks of every kind, damaged ones among them, and arguments that make no sense. */
#include "checks.h"

#include "support/folder.h"
#include "support/model.h"
#include "support/seal.h"
#include "support/ways.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

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

int run_upload_tests(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_atlas_is_one_copy, make_folder, remove_folder),
        cmocka_unit_test(a_mask_that_grew_is_uploaded),
        cmocka_unit_test_setup_teardown(hostile_bytes_are_not_uploaded, make_folder, remove_folder),
        cmocka_unit_test(senseless_arguments_are_refused),
    };
    return run_test_program(tests);
}
