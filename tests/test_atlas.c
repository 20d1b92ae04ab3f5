/* SPDX-License-Identifier: Apache-2.0
 * Atlases against naive models: what they hold, operations on all of them, statistics. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/model.h"
#include "support/ways.h"

/* ---------------------------------------------------------------- making */

static void entries_come_back(void **state)
{
    (void)state;
    rng random = rng_here();
    for (int i = 0; i < 150; i++) {
        model m = model_any(&random);
        note("model %d: %d x %d of %d x %d", i, (int)m.layers, (int)m.heads, (int)m.rows, (int)m.cols);
        rmask_atlas *atlas = model_atlas(&m, NULL, &random);
        expect(strcmp(rmask_atlas_note(atlas), "") == 0, "the empty note is \"%s\"", rmask_atlas_note(atlas));
        check_atlas_release(atlas, &m);
        model_free(&m);
    }
}

static void grids_without_cells_are_dense(void **state)
{
    (void)state;
    rng random = rng_here();
    const shape grids[] = {{0, 0}, {0, 9}, {9, 0}};
    for (int i = 0; i < 3; i++) {
        model m = model_create(2, 3, grids[i], 2, &random);
        rmask_atlas *atlas = model_atlas(&m, "nothing to see", &random);
        expect(rmask_atlas_num_masks(atlas) == 0, "%u masks of no cells", rmask_atlas_num_masks(atlas));
        check_atlas_release(atlas, &m);
        model_free(&m);
    }
}

static void equal_masks_are_one_however_made(void **state)
{
    (void)state;
    rng random = rng_here();
    for (int kind = 0; kind < NUM_KINDS; kind++) {
        model m = model_create(1, NUM_WAYS, (shape){20, 70}, 2, &random);
        const rmask *masks[NUM_WAYS];
        rmask_atlas *atlas;
        twin_free(m.twins[0]), m.twins[0] = generate(kind, 20, 70, &random);
        for (int way = 0; way < NUM_WAYS; way++) masks[way] = make(way, m.twins[0], NULL, &random), m.of_entry[way] = 0;
        note("%s", kind_name(kind));
        expect_ok(rmask_atlas_create(1, NUM_WAYS, 20, 70, masks, NULL, NULL, &atlas, test_error));
        expect(rmask_atlas_num_masks(atlas) <= 1, "%u masks", rmask_atlas_num_masks(atlas));
        check_atlas_release(atlas, &m);
        for (int way = 0; way < NUM_WAYS; way++) rmask_release((rmask *)(uintptr_t)masks[way]);
        model_free(&m);
    }
}

/* They differ by one cell that moves within a field of the 8 x 8 that masks are first told by. */
static void masks_that_look_alike_stay_apart(void **state)
{
    (void)state;
    rng random = rng_here();
    model m = model_create(1, MAX_TWINS, (shape){400, 400}, MAX_TWINS, &random);
    for (int i = 0; i < MAX_TWINS; i++) {
        twin_free(m.twins[i]), m.twins[i] = twin_create(400, 400);
        twin_put(m.twins[i], 30 + i % 3, 20 + i / 3, 21 + i / 3, true);
        m.of_entry[i] = i;
    }
    rmask_atlas *atlas = model_atlas(&m, NULL, &random);
    expect(rmask_atlas_num_masks(atlas) == MAX_TWINS, "%u masks", rmask_atlas_num_masks(atlas));
    check_atlas_release(atlas, &m);
    model_free(&m);
}

static void huge_structured_masks_fit(void **state)
{
    (void)state;
    const int32_t side = RMASK_MAX_SIDE;
    rmask *masks[4];
    const rmask *entries[32 * 32];
    rmask_atlas *atlas, *flipped;
    rmask_atlas_stats stats;
    size_t num_bytes;
    expect_ok(rmask_parse("causal & (sink(4) | window(4096))", side, side, NULL, &masks[0], test_error));
    expect_ok(rmask_parse("causal - !(sink(4) | window(4096))", side, side, NULL, &masks[1], test_error));
    expect_ok(rmask_parse("causal", side, side, NULL, &masks[2], test_error));
    expect_ok(rmask_parse("full", side, side, NULL, &masks[3], test_error));
    for (int i = 0; i < 32 * 32; i++) entries[i] = masks[i % 4];
    expect_ok(rmask_atlas_create(32, 32, side, side, entries, NULL, NULL, &atlas, test_error));
    expect(rmask_atlas_num_masks(atlas) == 2, "%u masks", rmask_atlas_num_masks(atlas));
    (void)rmask_atlas_data(atlas, &num_bytes);
    expect(num_bytes < 6000, "%zu bytes", num_bytes);
    expect_ok(rmask_atlas_get_stats(atlas, 0, 32, &stats, test_error));
    expect(stats.num_cells == UINT64_MAX, "%llu cells, which are more than can be counted",
           (unsigned long long)stats.num_cells);
    expect_ok(rmask_atlas_combine(atlas, atlas, RMASK_NOT_A, NULL, &flipped, test_error));
    expect(rmask_count(rmask_atlas_distinct(flipped, 1)) == (uint64_t)side * (uint64_t)(side - 1) / 2, "wrong cells");
    rmask_atlas_release(flipped), rmask_atlas_release(atlas);
    for (int i = 0; i < 4; i++) rmask_release(masks[i]);
}

static void arguments_are_checked(void **state)
{
    (void)state;
    static char long_note[RMASK_ATLAS_MAX_NOTE_BYTES + 2];
    rmask *mask, *other;
    rmask_atlas *out;
    const rmask *got;
    rmask_atlas_stats stats;
    expect_ok(rmask_parse("causal", 4, 5, NULL, &mask, test_error));
    expect_ok(rmask_parse("causal", 5, 5, NULL, &other, test_error));
    const rmask *masks[] = {NULL, mask, mask, other};
    expect_makes_nothing(RMASK_ERR_RANGE, out, rmask_atlas_create(0, 2, 4, 5, masks, NULL, NULL, &out, test_error));
    expect_makes_nothing(RMASK_ERR_RANGE, out, rmask_atlas_create(2, 0, 4, 5, masks, NULL, NULL, &out, test_error));
    expect_makes_nothing(RMASK_ERR_RANGE, out, rmask_atlas_create(-1, -1, 4, 5, masks, NULL, NULL, &out, test_error));
    expect_makes_nothing(RMASK_ERR_RANGE, out, rmask_atlas_create(65536, 1, 4, 5, masks, NULL, NULL, &out, test_error));
    expect_makes_nothing(RMASK_ERR_RANGE, out, rmask_atlas_create(1, 65536, 4, 5, masks, NULL, NULL, &out, test_error));
    expect_makes_nothing(RMASK_ERR_RANGE, out, rmask_atlas_create(1, 2, -4, 5, masks, NULL, NULL, &out, test_error));
    expect_makes_nothing(RMASK_ERR_ARGUMENT, out, rmask_atlas_create(2, 2, 4, 5, masks, NULL, NULL, &out, test_error));
    expect(strcmp(test_error->message, "layer 1, head 1: the mask's grid is 5 x 5, the atlas's 4 x 5") == 0, "%s",
           test_error->message);
    memset(long_note, 'n', sizeof long_note - 1);
    expect_makes_nothing(RMASK_ERR_ARGUMENT, out, rmask_atlas_create(1, 3, 4, 5, masks, long_note, NULL, &out, test_error));
    expect_ok(rmask_atlas_create(1, 3, 4, 5, masks, long_note + 1, NULL, &out, test_error));
    expect(strcmp(rmask_atlas_note(out), long_note + 1) == 0, "the longest note is another");
    expect_fails(RMASK_ERR_RANGE, rmask_atlas_mask(out, 1, 0, &got, test_error));
    expect_fails(RMASK_ERR_RANGE, rmask_atlas_mask(out, -1, 0, &got, test_error));
    expect_fails(RMASK_ERR_RANGE, rmask_atlas_mask(out, 0, 3, &got, test_error));
    expect_fails(RMASK_ERR_RANGE, rmask_atlas_mask(out, 0, -1, &got, test_error));
    expect_fails(RMASK_ERR_RANGE, rmask_atlas_get_stats(out, 0, 2, &stats, test_error));
    expect_fails(RMASK_ERR_RANGE, rmask_atlas_get_stats(out, 0, 0, &stats, test_error));
    expect_fails(RMASK_ERR_RANGE, rmask_atlas_get_stats(out, -1, 1, &stats, test_error));
    rmask_atlas_release(out), rmask_atlas_release(NULL);
    rmask_release(mask), rmask_release(other);
}

static void notes_are_utf8(void **state)
{
    (void)state;
    static const char *const good[] = {"",
                                       "a",
                                       "\xc2\x80",
                                       "\xdf\xbf",
                                       "\xe0\xa0\x80",
                                       "\xed\x9f\xbf",
                                       "\xee\x80\x80",
                                       "\xef\xbf\xbf",
                                       "\xf0\x90\x80\x80",
                                       "\xf4\x8f\xbf\xbf",
                                       "Modell \xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80 1"};
    static const char *const bad[] = {"\x80",
                                      "\xc0\x80",
                                      "\xc1\xbf",
                                      "\xc2",
                                      "\xc2z",
                                      "\xe0\x9f\xbf",
                                      "\xed\xa0\x80",
                                      "\xe2\x82",
                                      "\xe2\x82z",
                                      "\xf0\x8f\xbf\xbf",
                                      "\xf4\x90\x80\x80",
                                      "\xf5\x80\x80\x80",
                                      "\xf0\x9f\x98",
                                      "\xff",
                                      "text\xfe"};
    const rmask *dense = NULL;
    rmask_atlas *atlas;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        expect_ok(rmask_atlas_create(1, 1, 4, 5, &dense, good[i], NULL, &atlas, test_error));
        expect(strcmp(rmask_atlas_note(atlas), good[i]) == 0, "note %zu is another", i);
        rmask_atlas_release(atlas);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        expect_makes_nothing(RMASK_ERR_ARGUMENT, atlas,
                             rmask_atlas_create(1, 1, 4, 5, &dense, bad[i], NULL, &atlas, test_error));
}

/* ---------------------------------------------------------------- all masks at once */

static void every_function_combines_entry_by_entry(void **state)
{
    (void)state;
    rng random = rng_here();
    for (int i = 0; i < 160; i++) {
        const rmask_function function = (rmask_function)(i % 16);
        model a = model_any(&random), b = model_create(a.layers, a.heads, (shape){a.rows, a.cols}, 5, &random);
        rmask_atlas *atlas_a = model_atlas(&a, "a", &random), *atlas_b = model_atlas(&b, "b", &random), *out;
        note("function %d, model %d", function, i);
        expect_ok(rmask_atlas_combine(atlas_a, atlas_b, function, NULL, &out, test_error));
        expect(strcmp(rmask_atlas_note(out), "a") == 0, "the note is %s", rmask_atlas_note(out));
        for (int entry = 0; entry < model_entries(&a); entry++) {
            twin *t = twin_combine(model_entry(&a, entry), model_entry(&b, entry), function);
            const rmask *mask;
            expect_ok(rmask_atlas_mask(out, entry / a.heads, entry % a.heads, &mask, test_error));
            expect((mask == NULL) == twin_is_full(t), "entry %d is%s dense", entry, mask ? " not" : "");
            if (mask) check_rows(mask, t);
            twin_free(t);
        }
        expect_ok(rmask_atlas_verify(out, test_error));
        rmask_atlas_release(atlas_a), rmask_atlas_release(atlas_b), rmask_atlas_release(out);
        model_free(&a), model_free(&b);
    }
}

static int stop_at(void *context, uint64_t done, uint64_t total)
{
    expect(total == 12 || total == 3, "%llu steps", (unsigned long long)total);
    return done == *(const uint64_t *)context;
}

static void unlike_atlases_and_impatient_callers(void **state)
{
    (void)state;
    rng random = rng_here();
    uint64_t last = 1;
    double means[3];
    const rmask_progress progress = {stop_at, &last};
    const shape sides[] = {{3, 5}, {4, 3}};
    model m = model_create(3, 4, (shape){30, 40}, 3, &random);
    rmask_atlas *atlas = model_atlas(&m, NULL, &random), *out;
    for (int i = 0; i < 4; i++) {
        const bool same_grid = i < 2;
        model other = model_create(same_grid ? sides[i].rows : 3, same_grid ? sides[i].cols : 4,
                                   (shape){i == 2 ? 31 : 30, i == 3 ? 41 : 40}, 3, &random);
        rmask_atlas *unlike = model_atlas(&other, NULL, &random);
        bool equal = true;
        expect_makes_nothing(RMASK_ERR_ARGUMENT, out, rmask_atlas_combine(atlas, unlike, RMASK_AND, NULL, &out, test_error));
        expect_ok(rmask_atlas_equal(atlas, unlike, &equal, test_error));
        expect(!equal, "equal in spite of their sides");
        rmask_atlas_release(unlike), model_free(&other);
    }
    expect_makes_nothing(RMASK_ERR_ARGUMENT, out,
                         rmask_atlas_combine(atlas, atlas, (rmask_function)16, NULL, &out, test_error));
    expect_makes_nothing(RMASK_ERR_STOPPED, out, rmask_atlas_combine(atlas, atlas, RMASK_AND, &progress, &out, test_error));
    expect_fails(RMASK_ERR_STOPPED, rmask_atlas_overlaps(atlas, means, &progress, test_error));
    last = 99;
    expect_ok(rmask_atlas_combine(atlas, atlas, RMASK_AND, &progress, &out, test_error));
    expect_ok(rmask_atlas_overlaps(atlas, means, &progress, test_error));
    check_atlas_release(out, &m);
    rmask_atlas_release(atlas), model_free(&m);
}

typedef struct mapping {
    int num_calls, fail_at, odd_at;
} mapping;

static twin *transposed(const twin *t)
{
    twin *other = twin_create(t->cols, t->rows);
    for (int32_t row = 0; row < t->rows; row++)
        for (int32_t col = 0; col < t->cols; col++) twin_at(other, col)[row] = twin_at(t, row)[col];
    return other;
}

/* Transposes, by way of twins. */
static rmask_status turn(void *context, const rmask *mask, rmask **out, rmask_error *error)
{
    mapping *m = context;
    if (++m->num_calls == m->fail_at) {
        if (error) snprintf(error->message, sizeof error->message, "no more");
        return RMASK_ERR_LIMIT;
    }
    twin *t = twin_of(mask), *other = m->num_calls == m->odd_at ? twin_copy(t) : transposed(t);
    *out = make_plain(other);
    twin_free(t), twin_free(other);
    return RMASK_OK;
}

/* Makes masks that differ in one row equal, and leaves nothing full. */
static rmask_status clear_first_row(void *context, const rmask *mask, rmask **out, rmask_error *error)
{
    (void)context, (void)error;
    twin *t = twin_of(mask);
    twin_put(t, 0, 0, t->cols, false);
    *out = make_plain(t);
    twin_free(t);
    return RMASK_OK;
}

static void maps_go_over_each_mask_once(void **state)
{
    (void)state;
    rng random = rng_here();
    for (int i = 0; i < 60; i++) {
        model m = model_any(&random);
        mapping context = {0};
        rmask_atlas *atlas = model_atlas(&m, "kept", &random), *out;
        int num_dense = 0;
        for (int k = 0; k < model_entries(&m); k++) num_dense += twin_is_full(model_entry(&m, k));
        note("model %d", i);
        expect_ok(rmask_atlas_map(atlas, turn, &context, &out, test_error));
        expect(context.num_calls == (int)rmask_atlas_num_masks(atlas) + (num_dense > 0), "%d calls", context.num_calls);
        expect(strcmp(rmask_atlas_note(out), "kept") == 0, "the note is %s", rmask_atlas_note(out));
        model turned = m;
        turned.rows = m.cols, turned.cols = m.rows;
        for (int k = 0; k < m.num_twins; k++) turned.twins[k] = transposed(m.twins[k]);
        check_atlas_release(out, &turned);
        for (int k = 0; k < m.num_twins; k++) twin_free(turned.twins[k]);

        expect_ok(rmask_atlas_map(atlas, clear_first_row, NULL, &out, test_error));
        for (int k = 0; k < m.num_twins; k++) twin_put(m.twins[k], 0, 0, m.cols, false);
        check_atlas_release(out, &m);
        rmask_atlas_release(atlas), model_free(&m);
    }
}

static void maps_that_fail(void **state)
{
    (void)state;
    rng random = rng_here();
    model m = model_create(3, 3, (shape){20, 30}, 5, &random);
    rmask_atlas *atlas = model_atlas(&m, NULL, &random), *out = (void *)&test_poison;
    for (int fail_at = 1; fail_at <= (int)rmask_atlas_num_masks(atlas); fail_at++) {
        mapping context = {.fail_at = fail_at};
        rmask_error error;
        expect(rmask_atlas_map(atlas, turn, &context, &out, &error) == RMASK_ERR_LIMIT, "the callback's status is lost");
        expect(out == NULL && strcmp(error.message, "no more") == 0, "the callback's message is lost");
    }
    mapping context = {.odd_at = 2};
    expect(rmask_atlas_num_masks(atlas) >= 2, "too few masks to differ");
    expect(rmask_atlas_map(atlas, turn, &context, &out, NULL) == RMASK_ERR_ARGUMENT && out == NULL, "grids that differ pass");
    rmask_atlas_release(atlas), model_free(&m);
}

static void equality_is_of_cells(void **state)
{
    (void)state;
    rng random = rng_here();
    for (int i = 0; i < 60; i++) {
        model m = model_any(&random);
        rmask_atlas *a = model_atlas(&m, "one", &random), *b = model_atlas(&m, "other", &random);
        bool equal = false;
        note("model %d", i);
        expect_ok(rmask_atlas_equal(a, b, &equal, test_error));
        expect(equal, "not equal to the same");
        rmask_atlas_release(b);
        twin *t = m.twins[m.of_entry[rng_below(&random, model_entries(&m))]];
        uint8_t *cell = &twin_at(t, (int32_t)rng_below(&random, m.rows))[rng_below(&random, m.cols)];
        *cell = !*cell;
        b = model_atlas(&m, "one", &random);
        expect_ok(rmask_atlas_equal(a, b, &equal, test_error));
        expect(!equal, "equal in spite of a cell");
        rmask_atlas_release(a), rmask_atlas_release(b), model_free(&m);
    }
}

/* ---------------------------------------------------------------- statistics */

static double naive_overlap(const twin *a, const twin *b)
{
    twin *both = twin_combine(a, b, RMASK_AND), *either = twin_combine(a, b, RMASK_OR);
    const double overlap = twin_count(either) ? (double)twin_count(both) / (double)twin_count(either) : 1;
    twin_free(both), twin_free(either);
    return overlap;
}

static bool near(double a, double b) { return a - b < 1e-12 && b - a < 1e-12; }

static void check_stats(const rmask_atlas *atlas, const model *m, int32_t layer_begin, int32_t layer_end)
{
    rmask_atlas_stats stats, wanted = {.density_min = 2, .density_max = -1};
    bool seen[MAX_TWINS * MAX_TWINS] = {false};
    for (int i = layer_begin * m->heads; i < layer_end * m->heads; i++) {
        const twin *t = model_entry(m, i);
        const rmask *mask = rmask_atlas_distinct(atlas, rmask_atlas_table(atlas)[i]);
        const double density = (double)twin_count(t) / ((double)m->rows * m->cols);
        size_t num_bytes = 0;
        if (mask) (void)rmask_data(mask, &num_bytes);
        wanted.num_entries++;
        wanted.num_dense += mask == NULL;
        wanted.num_cells += twin_count(t);
        wanted.density_mean += density;
        if (density < wanted.density_min) wanted.density_min = density;
        if (density > wanted.density_max) wanted.density_max = density;
        wanted.unshared_bytes += num_bytes;
        if (mask && !seen[rmask_atlas_table(atlas)[i]]) {
            wanted.num_masks++, wanted.mask_bytes += num_bytes;
            seen[rmask_atlas_table(atlas)[i]] = true;
        }
    }
    wanted.density_mean /= (double)wanted.num_entries;
    expect_ok(rmask_atlas_get_stats(atlas, layer_begin, layer_end, &stats, test_error));
    expect(stats.num_entries == wanted.num_entries && stats.num_dense == wanted.num_dense &&
               stats.num_masks == wanted.num_masks,
           "%llu entries, %llu dense, %u masks", (unsigned long long)stats.num_entries, (unsigned long long)stats.num_dense,
           stats.num_masks);
    expect(stats.num_cells == wanted.num_cells, "%llu cells", (unsigned long long)stats.num_cells);
    expect(near(stats.density_min, wanted.density_min) && near(stats.density_max, wanted.density_max) &&
               near(stats.density_mean, wanted.density_mean),
           "densities %g %g %g", stats.density_min, stats.density_mean, stats.density_max);
    expect(stats.mask_bytes == wanted.mask_bytes && stats.unshared_bytes == wanted.unshared_bytes, "%llu bytes, %llu unshared",
           (unsigned long long)stats.mask_bytes, (unsigned long long)stats.unshared_bytes);
}

static void check_overlaps(const rmask_atlas *atlas, const model *m)
{
    double means[6];
    expect_ok(rmask_atlas_overlaps(atlas, means, NULL, test_error));
    for (int32_t layer = 0; layer < m->layers; layer++) {
        double sum = 0;
        int num_pairs = 0;
        for (int32_t i = 0; i < m->heads; i++)
            for (int32_t k = 0; k < i; k++, num_pairs++)
                sum += naive_overlap(model_entry(m, layer * m->heads + i), model_entry(m, layer * m->heads + k));
        const double wanted = num_pairs ? sum / num_pairs : 1;
        expect(near(means[layer], wanted), "layer %d: %g instead of %g", (int)layer, means[layer], wanted);
    }
}

static void statistics_are_counted(void **state)
{
    (void)state;
    rng random = rng_here();
    for (int i = 0; i < 60; i++) {
        model m = model_any(&random);
        rmask_atlas *atlas = model_atlas(&m, NULL, &random);
        note("model %d", i);
        for (int32_t layer = 0; layer < m.layers; layer++) check_stats(atlas, &m, layer, layer + 1);
        check_stats(atlas, &m, 0, m.layers);
        check_overlaps(atlas, &m);
        rmask_atlas_release(atlas), model_free(&m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entries_come_back),
        cmocka_unit_test(grids_without_cells_are_dense),
        cmocka_unit_test(equal_masks_are_one_however_made),
        cmocka_unit_test(masks_that_look_alike_stay_apart),
        cmocka_unit_test(huge_structured_masks_fit),
        cmocka_unit_test(arguments_are_checked),
        cmocka_unit_test(notes_are_utf8),
        cmocka_unit_test(every_function_combines_entry_by_entry),
        cmocka_unit_test(unlike_atlases_and_impatient_callers),
        cmocka_unit_test(maps_go_over_each_mask_once),
        cmocka_unit_test(maps_that_fail),
        cmocka_unit_test(equality_is_of_cells),
        cmocka_unit_test(statistics_are_counted),
    };
    return run_test_program(tests);
}
