/* SPDX-License-Identifier: Apache-2.0
 * Atlases in files and streams, there and back, and what happens when memory runs out. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/folder.h"
#include "support/hook.h"
#include "support/model.h"
#include "support/ways.h"

/* ---------------------------------------------------------------- files and streams */

/* A stream in memory that hands out a few bytes at a time. */
typedef struct tape {
    uint8_t *bytes;
    size_t num_bytes, at, step;
} tape;

static int play(void *context, void *buffer, size_t num_bytes, size_t *num_read)
{
    tape *t = context;
    size_t n = num_bytes < t->step ? num_bytes : t->step;
    if (n > t->num_bytes - t->at) n = t->num_bytes - t->at;
    memcpy(buffer, t->bytes + t->at, n);
    t->at += n;
    *num_read = n;
    return 0;
}

static int record(void *context, const void *data, size_t num_bytes)
{
    tape *t = context;
    t->bytes = realloc(t->bytes, t->num_bytes + num_bytes);
    if (!t->bytes) return ENOMEM;
    memcpy(t->bytes + t->num_bytes, data, num_bytes);
    t->num_bytes += num_bytes;
    return 0;
}

static int refuse_to_write(void *context, const void *data, size_t num_bytes)
{
    (void)context, (void)data, (void)num_bytes;
    return EPIPE;
}

static int refuse_to_read(void *context, void *buffer, size_t num_bytes, size_t *num_read)
{
    (void)context, (void)buffer, (void)num_bytes, (void)num_read;
    return EIO;
}

static void atlases_come_back(void **state)
{
    (void)state;
    rng random = rng_here();
    for (int i = 0; i < 40; i++) {
        model m = model_any(&random);
        rmask_atlas *atlas = model_atlas(&m, "there and back", &random), *back[4];
        size_t num_bytes;
        const void *data = rmask_atlas_data(atlas, &num_bytes);
        tape t = {.step = (size_t)rng_between(&random, 1, 100)};
        note("model %d", i);
        expect_ok(rmask_atlas_save(atlas, in_folder("a.ratlas"), test_error));
        expect_ok(rmask_atlas_write(atlas, record, &t, test_error));
        expect_ok(rmask_atlas_write(atlas, record, &t, test_error)); /* the next one follows at once */
        expect_ok(rmask_atlas_load(in_folder("a.ratlas"), NULL, &back[0], test_error));
        expect_ok(rmask_atlas_open(in_folder("a.ratlas"), NULL, &back[1], test_error));
        expect_ok(rmask_atlas_from_data(data, num_bytes, NULL, &back[2], test_error));
        expect_ok(rmask_atlas_read(play, &t, NULL, &back[3], test_error));
        expect(t.at == num_bytes, "%zu bytes read of %zu", t.at, num_bytes);
        rmask_atlas_release(atlas);
        for (int k = 0; k < 4; k++) {
            size_t num_bytes_back;
            const void *data_back = rmask_atlas_data(back[k], &num_bytes_back);
            expect(num_bytes_back == num_bytes && memcmp(data_back, t.bytes, num_bytes) == 0, "way %d: other bytes", k);
            expect(strcmp(rmask_atlas_note(back[k]), "there and back") == 0, "way %d: another note", k);
            check_atlas_release(back[k], &m);
        }
        free(t.bytes);
        model_free(&m);
    }
}

static void streams_that_end_early_are_refused(void **state)
{
    (void)state;
    rng random = rng_here();
    model m = model_any(&random);
    rmask_atlas *atlas = model_atlas(&m, NULL, &random), *out;
    size_t num_bytes;
    const void *data = rmask_atlas_data(atlas, &num_bytes);
    for (size_t length = 0; length < num_bytes; length++) {
        tape t = {(uint8_t *)(uintptr_t)data, length, 0, 17};
        note("%zu of %zu bytes", length, num_bytes);
        expect_makes_nothing(RMASK_ERR_FORMAT, out, (t.at = 0, rmask_atlas_read(play, &t, NULL, &out, test_error)));
    }
    rmask_atlas_release(atlas), model_free(&m);
}

static void masks_outlive_their_atlas(void **state)
{
    (void)state;
    rng random = rng_here();
    for (int way = 0; way < 3; way++) {
        model m = model_create(2, 4, (shape){30, 50}, 5, &random);
        rmask_atlas *atlas = model_atlas(&m, NULL, &random);
        rmask *kept[8];
        if (way > 0) {
            expect_ok(rmask_atlas_save(atlas, in_folder("a.ratlas"), test_error));
            rmask_atlas_release(atlas);
            expect_ok((way == 1 ? rmask_atlas_open : rmask_atlas_load)(in_folder("a.ratlas"), NULL, &atlas, test_error));
        }
        for (int i = 0; i < 8; i++) {
            const rmask *mask;
            expect_ok(rmask_atlas_mask(atlas, i / 4, i % 4, &mask, test_error));
            kept[i] = mask ? rmask_retain(mask) : NULL;
        }
        rmask_atlas_release(rmask_atlas_retain(atlas));
        rmask_atlas_release(atlas);
        (void)unlink(in_folder("a.ratlas"));
        write_file(in_folder("a.ratlas"), "another file", 12);
        for (int i = 0; i < 8; i++)
            if (kept[i]) check_same_release(kept[i], model_entry(&m, i));
        model_free(&m);
    }
}

static void what_cannot_be_read_or_written(void **state)
{
    (void)state;
    rng random = rng_here();
    model m = model_any(&random);
    rmask_atlas *atlas = model_atlas(&m, NULL, &random), *out;
    rmask *mask;
    expect_fails(RMASK_ERR_IO, rmask_atlas_save(atlas, in_folder("missing/a.ratlas"), test_error));
    expect_fails(RMASK_ERR_IO, rmask_atlas_write(atlas, refuse_to_write, NULL, test_error));
    expect(strstr(test_error->message, "atlas") && strstr(test_error->message, strerror(EPIPE)), "%s", test_error->message);
    expect_makes_nothing(RMASK_ERR_IO, out, rmask_atlas_read(refuse_to_read, NULL, NULL, &out, test_error));
    expect(strstr(test_error->message, "atlas") && strstr(test_error->message, strerror(EIO)), "%s", test_error->message);
    expect_makes_nothing(RMASK_ERR_IO, out, rmask_atlas_load(in_folder("missing/a.ratlas"), NULL, &out, test_error));
    expect_makes_nothing(RMASK_ERR_IO, out, rmask_atlas_open(in_folder("missing/a.ratlas"), NULL, &out, test_error));
    expect_makes_nothing(RMASK_ERR_IO, out, rmask_atlas_load(the_folder(), NULL, &out, test_error));
    expect_makes_nothing(RMASK_ERR_IO, out, rmask_atlas_open(the_folder(), NULL, &out, test_error));
    write_file(in_folder("a.ratlas"), "", 0);
    expect_makes_nothing(RMASK_ERR_FORMAT, out, rmask_atlas_load(in_folder("a.ratlas"), NULL, &out, test_error));
    expect_makes_nothing(RMASK_ERR_FORMAT, out, rmask_atlas_open(in_folder("a.ratlas"), NULL, &out, test_error));
    expect_ok(rmask_parse("causal", 9, 9, NULL, &mask, test_error));
    expect_ok(rmask_save(mask, in_folder("a.ratlas"), test_error));
    expect_makes_nothing(RMASK_ERR_FORMAT, out, rmask_atlas_load(in_folder("a.ratlas"), NULL, &out, test_error));
    expect_makes_nothing(RMASK_ERR_FORMAT, out, rmask_atlas_open(in_folder("a.ratlas"), NULL, &out, test_error));
    rmask_release(mask);
    expect_ok(rmask_atlas_save(atlas, in_folder("a.ratlas"), test_error));
    expect_makes_nothing(RMASK_ERR_FORMAT, mask, rmask_load(in_folder("a.ratlas"), NULL, &mask, test_error));
    rmask_atlas_release(atlas), model_free(&m);
}

/* ---------------------------------------------------------------- out of memory */

/* Checks the output of a function that has just ended. Releases it. */
static rmask_status done(rmask_status status, rmask_atlas *out)
{
    expect((status == RMASK_OK) == (out != NULL), "status \"%s\" with%s an output", rmask_status_name(status),
           out ? "" : "out");
    rmask_atlas_release(out);
    return status;
}

static rmask_status flip(void *context, const rmask *mask, rmask **out, rmask_error *error)
{
    (void)context;
    return rmask_not(mask, out, error);
}

/* Everything that makes an atlas of one, one after the other until memory runs out. */
static rmask_status make_others(const rmask_atlas *atlas, const rmask_allocator *allocator)
{
    size_t num_bytes;
    const void *data = rmask_atlas_data(atlas, &num_bytes);
    tape t = {(uint8_t *)(uintptr_t)data, num_bytes, 0, 1000};
    rmask_atlas *out = (void *)&test_poison;
    rmask_status status = rmask_atlas_combine(atlas, atlas, RMASK_XOR, NULL, &out, NULL);
    status = done(status, out);
    if (!status)
        out = (void *)&test_poison, status = rmask_atlas_map(atlas, flip, NULL, &out, NULL), status = done(status, out);
    if (!status)
        out = (void *)&test_poison, status = rmask_atlas_from_data(data, num_bytes, allocator, &out, NULL),
        status = done(status, out);
    if (!status)
        out = (void *)&test_poison, status = rmask_atlas_read(play, &t, allocator, &out, NULL), status = done(status, out);
    if (!status) status = rmask_atlas_save(atlas, in_folder("a.ratlas"), NULL);
    if (!status)
        out = (void *)&test_poison, status = rmask_atlas_load(in_folder("a.ratlas"), allocator, &out, NULL),
        status = done(status, out);
    if (!status)
        out = (void *)&test_poison, status = rmask_atlas_open(in_folder("a.ratlas"), allocator, &out, NULL),
        status = done(status, out);
    return status;
}

static rmask_status ask(const rmask_atlas *atlas)
{
    rmask_atlas_stats stats;
    double overlaps[6];
    bool equal;
    rmask_status status = rmask_atlas_verify(atlas, NULL);
    if (!status) status = rmask_atlas_equal(atlas, atlas, &equal, NULL);
    if (!status) status = rmask_atlas_get_stats(atlas, 0, rmask_atlas_layers(atlas), &stats, NULL);
    return status ? status : rmask_atlas_overlaps(atlas, overlaps, NULL, NULL);
}

/* An atlas in the memory under test, and all that can be done with it. */
static rmask_status work_with_atlases(const rmask_allocator *allocator, void *context)
{
    const model *m = context;
    hook *h = allocator->context;
    rng random = rng_fixed();
    rmask_atlas *atlas = (void *)&test_poison;
    const rmask *masks[16];
    for (int i = 0; i < model_entries(m); i++) masks[i] = make(i % NUM_WAYS, model_entry(m, i), NULL, &random);
    rmask_status status = rmask_atlas_create(m->layers, m->heads, m->rows, m->cols, masks, "memory", allocator, &atlas, NULL);
    expect((status == RMASK_OK) == (atlas != NULL), "status \"%s\" of create", rmask_status_name(status));
    for (int i = 0; i < model_entries(m); i++) rmask_release((rmask *)(uintptr_t)masks[i]);
    if (!status) status = make_others(atlas, allocator);
    if (!status) status = ask(atlas);
    if (status && atlas) h->fail_at = 0, check_atlas(atlas, m);
    rmask_atlas_release(atlas);
    return status;
}

static void atlases_run_out_of_memory(void **state)
{
    (void)state;
    rng random = rng_here();
    for (int i = 0; i < 6; i++) {
        model m = model_create(2, 8, random_shape(300, &random), 6, &random);
        note("model %d", i);
        expect(check_out_of_memory(work_with_atlases, &m) > 20, "few allocations go through the hook");
        model_free(&m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(atlases_come_back, make_folder, remove_folder),
        cmocka_unit_test(streams_that_end_early_are_refused),
        cmocka_unit_test_setup_teardown(masks_outlive_their_atlas, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(what_cannot_be_read_or_written, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(atlases_run_out_of_memory, make_folder, remove_folder),
    };
    return run_test_program(tests);
}
