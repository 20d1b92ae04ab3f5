/* SPDX-License-Identifier: Apache-2.0
 * Transposing, slicing, shifting, packing, repeating, stacking and taking rows: against the twin. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/generate.h"
#include "support/seal.h"
#include "support/ways.h"

/* ---------------------------------------------------------------- twins */

/* Copies a window of `from` to (row_at, col_at) of `t`; what falls outside is lost. */
static void paste(twin *t, int64_t row_at, int64_t col_at, const twin *from, const int32_t window[4])
{
    for (int64_t row = window[0]; row < window[1]; row++)
        for (int64_t col = window[2]; col < window[3]; col++) {
            int64_t to_row = row_at + row - window[0], to_col = col_at + col - window[2];
            if (to_row < 0 || to_row >= t->rows || to_col < 0 || to_col >= t->cols) continue;
            twin_at(t, (int32_t)to_row)[to_col] = twin_at(from, (int32_t)row)[col];
        }
}

static void paste_all(twin *t, int64_t row_at, int64_t col_at, const twin *from)
{
    paste(t, row_at, col_at, from, (int32_t[4]){0, from->rows, 0, from->cols});
}

static void check_release(rmask *mask, twin *t, bool fully)
{
    (fully ? check_same : check_rows)(mask, t);
    rmask_release(mask), twin_free(t);
}

/* ---------------------------------------------------------------- each against its twin */

static void check_slice(const rmask *mask, const twin *t, const int32_t window[4], bool fully)
{
    rmask *slice;
    twin *wanted = twin_create(window[1] - window[0], window[3] - window[2]);
    note("%s; rows [%d, %d), columns [%d, %d)", noted(), window[0], window[1], window[2], window[3]);
    paste(wanted, 0, 0, t, window);
    expect_ok(rmask_slice(mask, window[0], window[1], window[2], window[3], &slice, test_error));
    check_release(slice, wanted, fully);
}

static void check_shift(const rmask *mask, const twin *t, int32_t row_shift, int32_t col_shift)
{
    rmask *shifted;
    twin *wanted = twin_create(t->rows, t->cols);
    paste_all(wanted, row_shift, col_shift, t);
    expect_ok(rmask_shift(mask, row_shift, col_shift, &shifted, test_error));
    check_release(shifted, wanted, false);
}

static void check_take_rows(const rmask *mask, const twin *t, const int32_t *rows, int32_t num_rows)
{
    rmask *taken;
    twin *wanted = twin_create(num_rows, t->cols);
    for (int32_t i = 0; i < num_rows; i++) paste(wanted, i, 0, t, (int32_t[4]){rows[i], rows[i] + 1, 0, t->cols});
    expect_ok(rmask_take_rows(mask, rows, (size_t)num_rows, &taken, test_error));
    check_release(taken, wanted, false);
}

static void check_transpose(const rmask *mask, const twin *t, bool fully)
{
    rmask *transposed;
    twin *wanted = twin_create(t->cols, t->rows);
    for (int32_t row = 0; row < t->rows; row++)
        for (int32_t col = 0; col < t->cols; col++) twin_at(wanted, col)[row] = twin_at(t, row)[col];
    expect_ok(rmask_transpose(mask, &transposed, test_error));
    check_release(transposed, wanted, fully);
}

/* Runs up, runs of one row, and rows by lot. */
static int32_t draw_rows(int32_t *rows, int32_t capacity, int32_t num_rows, rng *random)
{
    int32_t n = 0;
    if (num_rows == 0) return 0;
    while (n < capacity && !rng_chance(random, 0.02)) {
        int32_t row = (int32_t)rng_below(random, num_rows), step = (int32_t)rng_between(random, -1, 1);
        int64_t len = rng_chance(random, 0.3) ? 1 : rng_between(random, 1, 20);
        for (int64_t i = 0; i < len && n < capacity && row >= 0 && row < num_rows; i++, row += step) rows[n++] = row;
    }
    return n;
}

static void check_one_mask(const rmask *mask, const twin *t, bool fully, rng *random)
{
    char name[200];
    int32_t window[4], rows[150];
    memcpy(name, noted(), sizeof name - 1), name[sizeof name - 1] = 0;
    for (int i = 0; i < 4; i++) {
        draw_part(t->rows, &window[0], &window[1], random);
        draw_part(t->cols, &window[2], &window[3], random);
        if (i == 0) window[2] = 0, window[3] = t->cols;
        check_slice(mask, t, window, fully);
        note("%s", name);
    }
    for (int i = 0; i < 4; i++) {
        int32_t row_shift = draw_shift(t->rows, random), col_shift = draw_shift(t->cols, random);
        if (i == 0) col_shift = 0;
        if (i == 1) col_shift = row_shift;
        note("%s, shifted by %d, %d", name, row_shift, col_shift);
        check_shift(mask, t, row_shift, col_shift);
    }
    note("%s, transposed", name);
    check_transpose(mask, t, fully);
    note("%s, rows taken", name);
    check_take_rows(mask, t, rows, draw_rows(rows, 150, t->rows, random));
    note("%s, repeated", name);
    for (int32_t times = 0; times < 4; times++) {
        rmask *repeated;
        twin *wanted = twin_create(t->rows * times, t->cols * times);
        for (int32_t i = 0; i < times; i++) paste_all(wanted, (int64_t)t->rows * i, (int64_t)t->cols * i, t);
        expect_ok(rmask_repeat(mask, times, &repeated, test_error));
        check_release(repeated, wanted, fully && times == 2);
    }
    note("%s", name);
}

static void every_kind(void **state)
{
    (void)state;
    rng random = rng_here();
    for (int kind = 0; kind < NUM_KINDS; kind++)
        for (int repeat = 0; repeat < 12; repeat++) {
            shape s = random_shape(3000, &random);
            twin *t = generate(kind, s.rows, s.cols, &random);
            rmask *mask = make_any(t, &random);
            note("%s, %d x %d", kind_name(kind), s.rows, s.cols);
            check_one_mask(mask, t, repeat == 0, &random);
            rmask_release(mask), twin_free(t);
        }
}

static void every_way(void **state)
{
    (void)state;
    rng random = rng_here();
    for (int way = 0; way < NUM_WAYS; way++)
        for (int repeat = 0; repeat < 8; repeat++) {
            shape s = random_shape(3000, &random);
            twin *t = generate_any(s.rows, s.cols, &random);
            rmask *mask = make(way, t, NULL, &random);
            note("%s, %d x %d", way_name(way), s.rows, s.cols);
            check_one_mask(mask, t, false, &random);
            rmask_release(mask), twin_free(t);
        }
}

static void every_shape(void **state)
{
    (void)state;
    rng random = rng_here();
    for (int i = 0; i < num_shapes; i++)
        for (int repeat = 0; repeat < (i < num_small_shapes ? 6 : 2); repeat++) {
            int kind = (int)rng_below(&random, NUM_KINDS);
            twin *t = generate(kind, shapes[i].rows, shapes[i].cols, &random);
            rmask *mask = make_any(t, &random);
            note("%s, %d x %d", kind_name(kind), t->rows, t->cols);
            check_one_mask(mask, t, false, &random);
            rmask_release(mask), twin_free(t);
        }
}

/* Arrays and bitsets that move within their chunk, by whole chunks, and across the edges of chunks. */
static void containers_move_across_chunks(void **state)
{
    (void)state;
    rng random = rng_here();
    static const double densities[] = {0.0003, 0.5, 0.05, 0.999, 0};
    static const int32_t steps[] = {0, 1, 15, 16, 17, 64, 65535, 65536, 65537, 131072, 140000};
    enum { NUM_STEPS = sizeof steps / sizeof *steps };
    for (int i = 0; i < 6; i++) {
        twin *t = twin_create(3, i % 2 ? 3 * 65536 + 77 : 2 * 65536);
        for (int32_t row = 0; row < t->rows; row++)
            for (int32_t col = 0; col < t->cols; col++)
                twin_at(t, row)[col] = rng_chance(&random, densities[(i + (col >> 16) + 2 * row) % 5]);
        rmask *mask = make_plain(t);
        for (int k = 0; k < NUM_STEPS; k++) {
            note("wide rows %d, moved by %d", i, steps[k]);
            check_shift(mask, t, 0, steps[k]);
            check_shift(mask, t, 1, -steps[k]);
            int32_t begin = steps[k] < t->cols ? steps[k] : t->cols;
            check_slice(mask, t, (int32_t[4]){0, 3, begin, (int32_t)rng_between(&random, begin, t->cols)}, false);
            check_slice(mask, t, (int32_t[4]){1, 3, 0, begin}, false);
        }
        rmask_release(mask), twin_free(t);
    }
}

enum { HEADER_CONTAINER_COLS = 76 };

/* A mask's bytes, to be changed. */
static uint8_t *copied_bytes(const rmask *mask, size_t *num_bytes)
{
    const void *data = rmask_data(mask, num_bytes);
    uint8_t *bytes = must_allocate(*num_bytes);
    memcpy(bytes, data, *num_bytes);
    return bytes;
}

/* Containers that are laid out for more columns than there are, as in a mask that grew. */
static void masks_with_room_for_columns(void **state)
{
    (void)state;
    rng random = rng_here();
    for (int i = 0; i < 40; i++) {
        twin *t = generate_named(i % 2 ? "random 1%" : "random 0.1%", 20, i % 4 < 2 ? 3000 : 66000, &random);
        rmask *mask = make_plain(t), *roomy;
        size_t num_bytes;
        uint8_t *bytes = copied_bytes(mask, &num_bytes);
        const uint32_t container_cols = (uint32_t)t->cols + (uint32_t)rng_between(&random, 1, 60000);
        const uint32_t kept = t->cols <= 65536 && container_cols > 65536 ? 65536 : container_cols;
        memcpy(bytes + HEADER_CONTAINER_COLS, &kept, sizeof kept);
        seal(bytes, num_bytes);
        if (rmask_from_data(bytes, num_bytes, NULL, &roomy, NULL) == RMASK_OK) { /* unless a bitset is in it */
            note("%d columns, containers for %u", t->cols, kept);
            check_one_mask(roomy, t, false, &random);
            rmask_release(roomy);
        } else {
            expect(t->cols > 65536, "containers for %u columns instead of %d are refused", kept, t->cols);
        }
        rmask_release(mask), twin_free(t);
        free(bytes);
    }
}

/* The exceptions of a mapped file are looked at for the first time here. */
static void damaged_rows_are_refused(void **state)
{
    (void)state;
    rng random = rng_here();
    char path[PATH_MAX];
    const int32_t rows[] = {3, 3, 5};
    size_t num_bytes;
    twin *t = generate_named("random 1%", 30, 4000, &random);
    rmask *mask = make_plain(t), *open, *out;
    rmask_stats stats;
    rmask_get_stats(mask, &stats);
    uint8_t *bytes = copied_bytes(mask, &num_bytes), *containers = bytes + num_bytes - stats.container_bytes / 8 * 8;
    memset(containers, 0xee, stats.container_bytes / 8 * 8);
    snprintf(path, sizeof path, "%s/roarmask-test-XXXXXX", temporary_folder());
    const int descriptor = mkstemp(path);
    expect(descriptor >= 0 && write(descriptor, bytes, num_bytes) == (ssize_t)num_bytes && close(descriptor) == 0, "%s", path);
    expect_ok(rmask_open(path, NULL, &open, test_error));
    const rmask *const both[2] = {mask, open};
    expect_makes_nothing(RMASK_ERR_FORMAT, out, rmask_slice(open, 1, 7, 0, 4000, &out, test_error));
    expect_makes_nothing(RMASK_ERR_FORMAT, out, rmask_shift(open, 1, 1, &out, test_error));
    expect_makes_nothing(RMASK_ERR_FORMAT, out, rmask_concat(both, 2, NULL, &out, test_error));
    expect_makes_nothing(RMASK_ERR_FORMAT, out, rmask_repeat(open, 2, &out, test_error));
    expect_makes_nothing(RMASK_ERR_FORMAT, out, rmask_stack(both, 2, &out, test_error));
    expect_makes_nothing(RMASK_ERR_FORMAT, out, rmask_take_rows(open, rows, 3, &out, test_error));
    expect_makes_nothing(RMASK_ERR_FORMAT, out, rmask_transpose(open, &out, test_error));
    (void)unlink(path);
    rmask_release(open), rmask_release(mask), twin_free(t);
    free(bytes);
}

/* Rows by the ten thousand become columns in several chunks, from arrays and from bits, in grids of one chunk and more. */
static void tall_masks_are_transposed(void **state)
{
    (void)state;
    rng random = rng_here();
    static const shape tall[] = {{65536, 3}, {65537, 5}, {150000, 2}, {70000, 70}, {131072, 1}, {66000, 600}};
    for (size_t i = 0; i < sizeof tall / sizeof *tall; i++)
        for (int k = 0; k < 4; k++) {
            static const double densities[] = {0.0005, 0.01, 0.3, 0.97};
            twin *t = twin_create(tall[i].rows, tall[i].cols);
            const int32_t first = (int32_t)rng_below(&random, t->rows / 2), last = k % 2 ? t->rows : first + t->rows / 2;
            for (int32_t row = first; row < last; row++)
                for (int32_t col = 0; col < t->cols; col++) twin_at(t, row)[col] = rng_chance(&random, densities[(k + col / 300) % 4]);
            rmask *mask = make_plain(t);
            note("%d x %d, density %d", t->rows, t->cols, k);
            check_transpose(mask, t, false);
            rmask_release(mask), twin_free(t);
        }
}

/* ---------------------------------------------------------------- several masks */

enum { MOST_MASKS = 6 };

static void check_several(rng *random, bool same_cols)
{
    int32_t num_masks = (int32_t)rng_between(random, 1, MOST_MASKS), rows = 0, cols = 0, row_at = 0, col_at = 0;
    int32_t shared_cols = (int32_t)rng_between(random, 0, 90);
    twin *twins[MOST_MASKS];
    rmask *masks[MOST_MASKS], *made;
    for (int32_t i = 0; i < num_masks; i++) {
        int32_t part_rows = (int32_t)rng_below(random, 40), part_cols = (int32_t)rng_below(random, 40);
        twins[i] = generate_any(part_rows, same_cols ? shared_cols : rng_chance(random, 0.5) ? part_rows : part_cols, random);
        masks[i] = make_any(twins[i], random);
        rows += twins[i]->rows;
        cols += twins[i]->cols;
    }
    twin *wanted = twin_create(rows, same_cols ? shared_cols : cols);
    for (int32_t i = 0; i < num_masks; i++) {
        paste_all(wanted, row_at, same_cols ? 0 : col_at, twins[i]);
        row_at += twins[i]->rows;
        col_at += twins[i]->cols;
    }
    if (same_cols)
        expect_ok(rmask_stack((const rmask *const *)masks, (size_t)num_masks, &made, test_error));
    else
        expect_ok(rmask_concat((const rmask *const *)masks, (size_t)num_masks, NULL, &made, test_error));
    check_same(made, wanted);
    twin_free(wanted);
    row_at = col_at = 0;
    for (int32_t i = 0; i < num_masks; i++) { /* each part comes out again */
        rmask *part;
        expect_ok(rmask_slice(made, row_at, row_at + twins[i]->rows, col_at, col_at + twins[i]->cols, &part, test_error));
        check_equal(part, masks[i], true);
        row_at += twins[i]->rows;
        col_at += same_cols ? 0 : twins[i]->cols;
        rmask_release(part), rmask_release(masks[i]), twin_free(twins[i]);
    }
    rmask_release(made);
}

static void packed(void **state)
{
    (void)state;
    rng random = rng_here();
    for (int i = 0; i < 300; i++) {
        note("packed %d", i);
        check_several(&random, false);
    }
}

static void stacked(void **state)
{
    (void)state;
    rng random = rng_here();
    for (int i = 0; i < 300; i++) {
        note("stacked %d", i);
        check_several(&random, true);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind),
        cmocka_unit_test(every_way),
        cmocka_unit_test(every_shape),
        cmocka_unit_test(containers_move_across_chunks),
        cmocka_unit_test(tall_masks_are_transposed),
        cmocka_unit_test(masks_with_room_for_columns),
        cmocka_unit_test(damaged_rows_are_refused),
        cmocka_unit_test(packed),
        cmocka_unit_test(stacked),
    };
    return run_test_program(tests);
}
