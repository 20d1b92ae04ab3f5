/* SPDX-License-Identifier: Apache-2.0
 * Atlases against naive models: an array of twins, one for each layer and head. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "roarmask/atlas.h"
#include "support/generate.h"
#include "support/hook.h"
#include "support/seal.h"
#include "support/ways.h"

/* ---------------------------------------------------------------- models */

enum { MAX_TWINS = 12 };

/* Entry i has the cells of twins[of_entry[i]]. Twins may be equal, and full ones stand for dense entries. */
typedef struct model {
    int32_t layers, heads, rows, cols;
    int num_twins;
    twin *twins[MAX_TWINS];
    int *of_entry;
} model;

static int num_entries(const model *m) { return m->layers * m->heads; }

static const twin *entry_of(const model *m, int entry) { return m->twins[m->of_entry[entry]]; }

static bool is_full(const twin *t) { return twin_count(t) == (uint64_t)t->rows * (uint64_t)t->cols; }

static twin *full_twin(int32_t rows, int32_t cols)
{
    twin *t = twin_create(rows, cols);
    for (int32_t row = 0; row < rows; row++) twin_put(t, row, 0, cols, true);
    return t;
}

/* The first twin is full, the last a copy of another. */
static model make_model(int32_t layers, int32_t heads, shape grid, int num_twins, rng *random)
{
    model m = {layers, heads, grid.rows, grid.cols, num_twins, {full_twin(grid.rows, grid.cols)}, NULL};
    for (int i = 1; i < num_twins - 1; i++) m.twins[i] = generate_any(grid.rows, grid.cols, random);
    m.twins[num_twins - 1] = twin_copy(m.twins[rng_below(random, num_twins - 1)]);
    m.of_entry = must_allocate((size_t)num_entries(&m) * sizeof *m.of_entry);
    for (int i = 0; i < num_entries(&m); i++) m.of_entry[i] = (int)rng_below(random, num_twins);
    return m;
}

static model any_model(rng *random)
{
    return make_model((int32_t)rng_between(random, 1, 6), (int32_t)rng_between(random, 1, 6), random_shape(800, random),
                      (int)rng_between(random, 2, 8), random);
}

static void free_model(model *m)
{
    for (int i = 0; i < m->num_twins; i++) twin_free(m->twins[i]);
    free(m->of_entry);
}

/* Every entry gets a mask object of its own, made in any way, or NULL now and then where it is full. */
static rmask_atlas *make_atlas(const model *m, const char *note, rng *random)
{
    rmask_atlas *atlas;
    const rmask **masks = must_allocate((size_t)num_entries(m) * sizeof *masks);
    for (int i = 0; i < num_entries(m); i++)
        masks[i] = is_full(entry_of(m, i)) && rng_chance(random, 0.5) ? NULL : make_any(entry_of(m, i), random);
    expect_ok(rmask_atlas_create(m->layers, m->heads, m->rows, m->cols, masks, note, NULL, &atlas, test_error));
    for (int i = 0; i < num_entries(m); i++) rmask_release((rmask *)(uintptr_t)masks[i]);
    free(masks);
    return atlas;
}

/* The entries' masks numbered in the order of their first use, naively. Returns how many there are. */
static uint32_t number_masks(const model *m, uint32_t *table)
{
    uint32_t num_masks = 0;
    for (int i = 0; i < num_entries(m); i++) {
        table[i] = is_full(entry_of(m, i)) ? RMASK_ATLAS_DENSE : num_masks;
        for (int k = 0; k < i && table[i] == num_masks; k++)
            if (twin_equal(entry_of(m, i), entry_of(m, k))) table[i] = table[k];
        num_masks += table[i] == num_masks;
    }
    return num_masks;
}

static void check_atlas(const rmask_atlas *atlas, const model *m)
{
    uint32_t *table = must_allocate((size_t)num_entries(m) * sizeof *table), num_masks = number_masks(m, table);
    expect(rmask_atlas_layers(atlas) == m->layers && rmask_atlas_heads(atlas) == m->heads, "%d x %d entries",
           (int)rmask_atlas_layers(atlas), (int)rmask_atlas_heads(atlas));
    expect(rmask_atlas_rows(atlas) == m->rows && rmask_atlas_cols(atlas) == m->cols, "a grid of %d x %d", (int)rmask_atlas_rows(atlas),
           (int)rmask_atlas_cols(atlas));
    expect(rmask_atlas_num_masks(atlas) == num_masks, "%u masks instead of %u", rmask_atlas_num_masks(atlas), num_masks);
    expect(memcmp(rmask_atlas_table(atlas), table, (size_t)num_entries(m) * sizeof *table) == 0, "another table");
    for (int i = 0; i < num_entries(m); i++) {
        const rmask *mask = (const void *)&test_poison;
        expect_ok(rmask_atlas_mask(atlas, i / m->heads, i % m->heads, &mask, test_error));
        expect((mask == NULL) == is_full(entry_of(m, i)), "entry %d is%s dense", i, mask ? " not" : "");
        expect(mask == rmask_atlas_distinct(atlas, table[i]), "entry %d is another mask than its index says", i);
        if (mask) check_rows(mask, entry_of(m, i));
    }
    expect(rmask_atlas_distinct(atlas, num_masks) == NULL, "a mask behind the last");
    expect_ok(rmask_atlas_verify(atlas, test_error));
    free(table);
}

static void check_atlas_release(rmask_atlas *atlas, const model *m)
{
    check_atlas(atlas, m);
    rmask_atlas_release(atlas);
}

/* ---------------------------------------------------------------- making */

static void entries_come_back(void **state)
{
    (void)state;
    rng random = rng_here();
    for (int i = 0; i < 150; i++) {
        model m = any_model(&random);
        note("model %d: %d x %d of %d x %d", i, (int)m.layers, (int)m.heads, (int)m.rows, (int)m.cols);
        rmask_atlas *atlas = make_atlas(&m, NULL, &random);
        expect(strcmp(rmask_atlas_note(atlas), "") == 0, "the empty note is \"%s\"", rmask_atlas_note(atlas));
        check_atlas_release(atlas, &m);
        free_model(&m);
    }
}

static void grids_without_cells_are_dense(void **state)
{
    (void)state;
    rng random = rng_here();
    const shape grids[] = {{0, 0}, {0, 9}, {9, 0}};
    for (int i = 0; i < 3; i++) {
        model m = make_model(2, 3, grids[i], 2, &random);
        rmask_atlas *atlas = make_atlas(&m, "nothing to see", &random);
        expect(rmask_atlas_num_masks(atlas) == 0, "%u masks of no cells", rmask_atlas_num_masks(atlas));
        check_atlas_release(atlas, &m);
        free_model(&m);
    }
}

static void equal_masks_are_one_however_made(void **state)
{
    (void)state;
    rng random = rng_here();
    for (int kind = 0; kind < NUM_KINDS; kind++) {
        model m = make_model(1, NUM_WAYS, (shape){20, 70}, 2, &random);
        const rmask *masks[NUM_WAYS];
        rmask_atlas *atlas;
        twin_free(m.twins[0]), m.twins[0] = generate(kind, 20, 70, &random);
        for (int way = 0; way < NUM_WAYS; way++) masks[way] = make(way, m.twins[0], NULL, &random), m.of_entry[way] = 0;
        note("%s", kind_name(kind));
        expect_ok(rmask_atlas_create(1, NUM_WAYS, 20, 70, masks, NULL, NULL, &atlas, test_error));
        expect(rmask_atlas_num_masks(atlas) <= 1, "%u masks", rmask_atlas_num_masks(atlas));
        check_atlas_release(atlas, &m);
        for (int way = 0; way < NUM_WAYS; way++) rmask_release((rmask *)(uintptr_t)masks[way]);
        free_model(&m);
    }
}

/* They differ by one cell that moves within a field of the 8 x 8 that masks are first told by. */
static void masks_that_look_alike_stay_apart(void **state)
{
    (void)state;
    rng random = rng_here();
    model m = make_model(1, MAX_TWINS, (shape){400, 400}, MAX_TWINS, &random);
    for (int i = 0; i < MAX_TWINS; i++) {
        twin_free(m.twins[i]), m.twins[i] = twin_create(400, 400);
        twin_put(m.twins[i], 30 + i % 3, 20 + i / 3, 21 + i / 3, true);
        m.of_entry[i] = i;
    }
    rmask_atlas *atlas = make_atlas(&m, NULL, &random);
    expect(rmask_atlas_num_masks(atlas) == MAX_TWINS, "%u masks", rmask_atlas_num_masks(atlas));
    check_atlas_release(atlas, &m);
    free_model(&m);
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
    expect(stats.num_cells == UINT64_MAX, "%llu cells, which are more than can be counted", (unsigned long long)stats.num_cells);
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
    expect(strcmp(test_error->message, "layer 1, head 1: the mask's grid is 5 x 5, the atlas's 4 x 5") == 0, "%s", test_error->message);
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
    static const char *const good[] = {"", "a", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xee\x80\x80", "\xef\xbf\xbf",
                                       "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf", "Modell \xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80 1"};
    static const char *const bad[] = {"\x80",         "\xc0\x80",         "\xc1\xbf",         "\xc2",     "\xc2z",
                                      "\xe0\x9f\xbf", "\xed\xa0\x80",     "\xe2\x82",         "\xe2\x82z", "\xf0\x8f\xbf\xbf",
                                      "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xf0\x9f\x98", "\xff", "text\xfe"};
    const rmask *dense = NULL;
    rmask_atlas *atlas;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        expect_ok(rmask_atlas_create(1, 1, 4, 5, &dense, good[i], NULL, &atlas, test_error));
        expect(strcmp(rmask_atlas_note(atlas), good[i]) == 0, "note %zu is another", i);
        rmask_atlas_release(atlas);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        expect_makes_nothing(RMASK_ERR_ARGUMENT, atlas, rmask_atlas_create(1, 1, 4, 5, &dense, bad[i], NULL, &atlas, test_error));
}

/* ---------------------------------------------------------------- bytes */

static uint64_t word(const uint8_t *data, size_t at, size_t num_bytes)
{
    uint64_t value = 0;
    for (size_t i = 0; i < num_bytes; i++) value |= (uint64_t)data[at + i] << 8 * i;
    return value;
}

static size_t up_to_64(size_t num_bytes) { return (num_bytes + 63) / 64 * 64; }

/* What docs/format.md says about an atlas of 32 layers, 32 heads and 6 masks, byte by byte. */
static void six_masks_cost_six_masks(void **state)
{
    (void)state;
    static const char *const expressions[] = {"causal", "window(9)", "causal & sink(4)", "random(0.1)", "random(0.1, seed=2)", "none"};
    static const char note_text[] = "six masks";
    const rmask *masks[6], *entries[32 * 32];
    rmask_atlas *atlas;
    size_t num_bytes, at = up_to_64(64 + 6 * 8 + 32 * 32 * 4 + sizeof note_text), mask_bytes;
    for (int i = 0; i < 6; i++) {
        rmask *mask;
        expect_ok(rmask_parse(expressions[i], 300, 200, NULL, &mask, test_error));
        masks[i] = mask;
    }
    for (int i = 0; i < 32 * 32; i++) entries[i] = i < 64 ? NULL : masks[i % 6];
    expect_ok(rmask_atlas_create(32, 32, 300, 200, entries, note_text, NULL, &atlas, test_error));
    const uint8_t *data = rmask_atlas_data(atlas, &num_bytes);
    expect(memcmp(data, "\x93RATLS\r\n", 8) == 0, "another magic");
    const uint32_t fields[] = {1, 0, 300, 200, (uint32_t)num_bytes, 0, 32, 32, 6, sizeof note_text - 1};
    for (size_t i = 0; i < 10; i++) expect(word(data, 8 + 4 * i, 4) == fields[i], "field %zu is %llu", i, (unsigned long long)word(data, 8 + 4 * i, 4));
    expect(word(data, 56, 8) == 0, "reserved bytes");
    for (int i = 64; i < 32 * 32; i++) /* the first entry that is not dense has mask 64 % 6 */
        expect(word(data, 64 + 48 + 4 * (size_t)i, 4) == (uint64_t)(i - 64) % 6, "entry %d", i);
    for (int i = 0; i < 64; i++) expect(word(data, 64 + 48 + 4 * (size_t)i, 4) == UINT32_MAX, "entry %d", i);
    expect(memcmp(data + 64 + 48 + 4096, note_text, sizeof note_text) == 0, "another note");
    for (size_t i = 0; i < 6; i++) {
        const void *mask = rmask_data(masks[(i + 64) % 6], &mask_bytes);
        expect(word(data, 64 + 8 * i, 8) == at, "mask %zu begins at %llu", i, (unsigned long long)word(data, 64 + 8 * i, 8));
        expect(memcmp(data + at, mask, mask_bytes) == 0, "mask %zu has other bytes", i);
        at += up_to_64(mask_bytes);
    }
    expect(num_bytes == at, "%zu bytes instead of %zu", num_bytes, at);
    uint8_t *copy = must_allocate(num_bytes);
    memcpy(copy, data, num_bytes);
    seal_atlas(copy, num_bytes);
    expect(memcmp(copy, data, num_bytes) == 0, "other checksums");
    free(copy);
    rmask_atlas_release(atlas);
    for (int i = 0; i < 6; i++) rmask_release((rmask *)(uintptr_t)masks[i]);
}

/* ---------------------------------------------------------------- all masks at once */

static void every_function_combines_entry_by_entry(void **state)
{
    (void)state;
    rng random = rng_here();
    for (int i = 0; i < 160; i++) {
        const rmask_function function = (rmask_function)(i % 16);
        model a = any_model(&random), b = make_model(a.layers, a.heads, (shape){a.rows, a.cols}, 5, &random);
        rmask_atlas *atlas_a = make_atlas(&a, "a", &random), *atlas_b = make_atlas(&b, "b", &random), *out;
        note("function %d, model %d", function, i);
        expect_ok(rmask_atlas_combine(atlas_a, atlas_b, function, NULL, &out, test_error));
        expect(strcmp(rmask_atlas_note(out), "a") == 0, "the note is %s", rmask_atlas_note(out));
        for (int entry = 0; entry < num_entries(&a); entry++) {
            twin *t = twin_combine(entry_of(&a, entry), entry_of(&b, entry), function);
            const rmask *mask;
            expect_ok(rmask_atlas_mask(out, entry / a.heads, entry % a.heads, &mask, test_error));
            expect((mask == NULL) == is_full(t), "entry %d is%s dense", entry, mask ? " not" : "");
            if (mask) check_rows(mask, t);
            twin_free(t);
        }
        expect_ok(rmask_atlas_verify(out, test_error));
        rmask_atlas_release(atlas_a), rmask_atlas_release(atlas_b), rmask_atlas_release(out);
        free_model(&a), free_model(&b);
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
    model m = make_model(3, 4, (shape){30, 40}, 3, &random);
    rmask_atlas *atlas = make_atlas(&m, NULL, &random), *out;
    for (int i = 0; i < 4; i++) {
        const bool same_grid = i < 2;
        model other = make_model(same_grid ? sides[i].rows : 3, same_grid ? sides[i].cols : 4, (shape){i == 2 ? 31 : 30, i == 3 ? 41 : 40}, 3, &random);
        rmask_atlas *unlike = make_atlas(&other, NULL, &random);
        bool equal = true;
        expect_makes_nothing(RMASK_ERR_ARGUMENT, out, rmask_atlas_combine(atlas, unlike, RMASK_AND, NULL, &out, test_error));
        expect_ok(rmask_atlas_equal(atlas, unlike, &equal, test_error));
        expect(!equal, "equal in spite of their sides");
        rmask_atlas_release(unlike), free_model(&other);
    }
    expect_makes_nothing(RMASK_ERR_ARGUMENT, out, rmask_atlas_combine(atlas, atlas, (rmask_function)16, NULL, &out, test_error));
    expect_makes_nothing(RMASK_ERR_STOPPED, out, rmask_atlas_combine(atlas, atlas, RMASK_AND, &progress, &out, test_error));
    expect_fails(RMASK_ERR_STOPPED, rmask_atlas_overlaps(atlas, means, &progress, test_error));
    last = 99;
    expect_ok(rmask_atlas_combine(atlas, atlas, RMASK_AND, &progress, &out, test_error));
    expect_ok(rmask_atlas_overlaps(atlas, means, &progress, test_error));
    check_atlas_release(out, &m);
    rmask_atlas_release(atlas), free_model(&m);
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
        model m = any_model(&random);
        mapping context = {0};
        rmask_atlas *atlas = make_atlas(&m, "kept", &random), *out;
        int num_dense = 0;
        for (int k = 0; k < num_entries(&m); k++) num_dense += is_full(entry_of(&m, k));
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
        rmask_atlas_release(atlas), free_model(&m);
    }
}

static void maps_that_fail(void **state)
{
    (void)state;
    rng random = rng_here();
    model m = make_model(3, 3, (shape){20, 30}, 5, &random);
    rmask_atlas *atlas = make_atlas(&m, NULL, &random), *out = (void *)&test_poison;
    for (int fail_at = 1; fail_at <= (int)rmask_atlas_num_masks(atlas); fail_at++) {
        mapping context = {.fail_at = fail_at};
        rmask_error error;
        expect(rmask_atlas_map(atlas, turn, &context, &out, &error) == RMASK_ERR_LIMIT, "the callback's status is lost");
        expect(out == NULL && strcmp(error.message, "no more") == 0, "the callback's message is lost");
    }
    mapping context = {.odd_at = 2};
    expect(rmask_atlas_num_masks(atlas) >= 2, "too few masks to differ");
    expect(rmask_atlas_map(atlas, turn, &context, &out, NULL) == RMASK_ERR_ARGUMENT && out == NULL, "grids that differ pass");
    rmask_atlas_release(atlas), free_model(&m);
}

static void equality_is_of_cells(void **state)
{
    (void)state;
    rng random = rng_here();
    for (int i = 0; i < 60; i++) {
        model m = any_model(&random);
        rmask_atlas *a = make_atlas(&m, "one", &random), *b = make_atlas(&m, "other", &random);
        bool equal = false;
        note("model %d", i);
        expect_ok(rmask_atlas_equal(a, b, &equal, test_error));
        expect(equal, "not equal to the same");
        rmask_atlas_release(b);
        twin *t = m.twins[m.of_entry[rng_below(&random, num_entries(&m))]];
        uint8_t *cell = &twin_at(t, (int32_t)rng_below(&random, m.rows))[rng_below(&random, m.cols)];
        *cell = !*cell;
        b = make_atlas(&m, "one", &random);
        expect_ok(rmask_atlas_equal(a, b, &equal, test_error));
        expect(!equal, "equal in spite of a cell");
        rmask_atlas_release(a), rmask_atlas_release(b), free_model(&m);
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
        const twin *t = entry_of(m, i);
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
    expect(stats.num_entries == wanted.num_entries && stats.num_dense == wanted.num_dense && stats.num_masks == wanted.num_masks,
           "%llu entries, %llu dense, %u masks", (unsigned long long)stats.num_entries, (unsigned long long)stats.num_dense, stats.num_masks);
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
                sum += naive_overlap(entry_of(m, layer * m->heads + i), entry_of(m, layer * m->heads + k));
        const double wanted = num_pairs ? sum / num_pairs : 1;
        expect(near(means[layer], wanted), "layer %d: %g instead of %g", (int)layer, means[layer], wanted);
    }
}

static void statistics_are_counted(void **state)
{
    (void)state;
    rng random = rng_here();
    for (int i = 0; i < 60; i++) {
        model m = any_model(&random);
        rmask_atlas *atlas = make_atlas(&m, NULL, &random);
        note("model %d", i);
        for (int32_t layer = 0; layer < m.layers; layer++) check_stats(atlas, &m, layer, layer + 1);
        check_stats(atlas, &m, 0, m.layers);
        check_overlaps(atlas, &m);
        rmask_atlas_release(atlas), free_model(&m);
    }
}

/* ---------------------------------------------------------------- files and streams */

static char path[PATH_MAX];

static int make_path(void **state)
{
    (void)state;
    snprintf(path, sizeof path, "%s/roarmask-test-XXXXXX", temporary_folder());
    const int file = mkstemp(path);
    return file >= 0 ? close(file) : -1;
}

static int remove_path(void **state)
{
    (void)state;
    return unlink(path);
}

static void write_path(const void *bytes, size_t num_bytes)
{
    FILE *file = fopen(path, "wb");
    expect(file && fwrite(bytes, 1, num_bytes, file) == num_bytes && fclose(file) == 0, "%s: %s", path, strerror(errno));
}

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
        model m = any_model(&random);
        rmask_atlas *atlas = make_atlas(&m, "there and back", &random), *back[4];
        size_t num_bytes;
        const void *data = rmask_atlas_data(atlas, &num_bytes);
        tape t = {.step = (size_t)rng_between(&random, 1, 100)};
        note("model %d", i);
        expect_ok(rmask_atlas_save(atlas, path, test_error));
        expect_ok(rmask_atlas_write(atlas, record, &t, test_error));
        expect_ok(rmask_atlas_write(atlas, record, &t, test_error)); /* the next one follows at once */
        expect_ok(rmask_atlas_load(path, NULL, &back[0], test_error));
        expect_ok(rmask_atlas_open(path, NULL, &back[1], test_error));
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
        free_model(&m);
    }
}

static void masks_outlive_their_atlas(void **state)
{
    (void)state;
    rng random = rng_here();
    for (int way = 0; way < 3; way++) {
        model m = make_model(2, 4, (shape){30, 50}, 5, &random);
        rmask_atlas *atlas = make_atlas(&m, NULL, &random);
        rmask *kept[8];
        if (way > 0) {
            expect_ok(rmask_atlas_save(atlas, path, test_error));
            rmask_atlas_release(atlas);
            expect_ok((way == 1 ? rmask_atlas_open : rmask_atlas_load)(path, NULL, &atlas, test_error));
        }
        for (int i = 0; i < 8; i++) {
            const rmask *mask;
            expect_ok(rmask_atlas_mask(atlas, i / 4, i % 4, &mask, test_error));
            kept[i] = mask ? rmask_retain(mask) : NULL;
        }
        rmask_atlas_release(rmask_atlas_retain(atlas));
        rmask_atlas_release(atlas);
        (void)unlink(path);
        write_path("another file", 12);
        for (int i = 0; i < 8; i++)
            if (kept[i]) check_same_release(kept[i], entry_of(&m, i));
        free_model(&m);
    }
}

static void what_cannot_be_read_or_written(void **state)
{
    (void)state;
    rng random = rng_here();
    model m = any_model(&random);
    rmask_atlas *atlas = make_atlas(&m, NULL, &random), *out;
    rmask *mask;
    char missing[PATH_MAX + 20];
    snprintf(missing, sizeof missing, "%s/missing", path);
    expect_fails(RMASK_ERR_IO, rmask_atlas_save(atlas, missing, test_error));
    expect_fails(RMASK_ERR_IO, rmask_atlas_write(atlas, refuse_to_write, NULL, test_error));
    expect(strstr(test_error->message, "atlas") && strstr(test_error->message, strerror(EPIPE)), "%s", test_error->message);
    expect_makes_nothing(RMASK_ERR_IO, out, rmask_atlas_read(refuse_to_read, NULL, NULL, &out, test_error));
    expect(strstr(test_error->message, "atlas") && strstr(test_error->message, strerror(EIO)), "%s", test_error->message);
    expect_makes_nothing(RMASK_ERR_IO, out, rmask_atlas_load(missing, NULL, &out, test_error));
    expect_makes_nothing(RMASK_ERR_IO, out, rmask_atlas_open(missing, NULL, &out, test_error));
    expect_makes_nothing(RMASK_ERR_IO, out, rmask_atlas_load(temporary_folder(), NULL, &out, test_error));
    expect_makes_nothing(RMASK_ERR_IO, out, rmask_atlas_open(temporary_folder(), NULL, &out, test_error));
    expect_makes_nothing(RMASK_ERR_FORMAT, out, rmask_atlas_load(path, NULL, &out, test_error)); /* empty */
    expect_makes_nothing(RMASK_ERR_FORMAT, out, rmask_atlas_open(path, NULL, &out, test_error));
    expect_ok(rmask_parse("causal", 9, 9, NULL, &mask, test_error));
    expect_ok(rmask_save(mask, path, test_error));
    expect_makes_nothing(RMASK_ERR_FORMAT, out, rmask_atlas_load(path, NULL, &out, test_error));
    expect_makes_nothing(RMASK_ERR_FORMAT, out, rmask_atlas_open(path, NULL, &out, test_error));
    rmask_release(mask);
    expect_ok(rmask_atlas_save(atlas, path, test_error));
    expect_makes_nothing(RMASK_ERR_FORMAT, mask, rmask_load(path, NULL, &mask, test_error));
    rmask_atlas_release(atlas), free_model(&m);
}

/* ---------------------------------------------------------------- hostile bytes */

/* Takes bytes in every way there is. They are refused with a message, or they are an atlas whose masks agree with themselves. Returns
 * whether rmask_atlas_from_data takes them. */
static bool try_bytes(const uint8_t *bytes, size_t num_bytes)
{
    rmask_atlas *atlas = (void *)&test_poison;
    uint8_t *exact = must_allocate(num_bytes); /* so that a sanitizer sees a read past the end */
    memcpy(exact, bytes, num_bytes);
    test_error_reset();
    const rmask_status status = rmask_atlas_from_data(exact, num_bytes, NULL, &atlas, test_error);
    free(exact);
    if (status) {
        expect_fails_at(__FILE__, __LINE__, "rmask_atlas_from_data", RMASK_ERR_FORMAT, status);
        expect(atlas == NULL, "the output of a refusal is not NULL");
        return false;
    }
    for (uint32_t i = 0; i < rmask_atlas_num_masks(atlas); i++) check_consistent(rmask_atlas_distinct(atlas, i));
    expect_ok(rmask_atlas_verify(atlas, test_error));
    rmask_atlas_release(atlas);
    return true;
}

static bool try_sealed(uint8_t *bytes, size_t num_bytes)
{
    const bool taken_as_is = try_bytes(bytes, num_bytes);
    seal_atlas(bytes, num_bytes);
    const bool taken = try_bytes(bytes, num_bytes);
    expect(taken || !taken_as_is, "refused with the right checksums, taken with the wrong ones");
    return taken;
}

/* A small atlas of four masks with containers in some. */
static uint8_t *victim(size_t *num_bytes, rng *random)
{
    model m = make_model(3, 3, (shape){12, 40}, 6, random);
    rmask_atlas *atlas = make_atlas(&m, "victim", random);
    const void *data = rmask_atlas_data(atlas, num_bytes);
    uint8_t *bytes = must_allocate(*num_bytes + 64);
    memcpy(bytes, data, *num_bytes);
    rmask_atlas_release(atlas), free_model(&m);
    return bytes;
}

static void every_changed_byte_is_noticed(void **state)
{
    (void)state;
    rng random = rng_here();
    for (int round = 0; round < 3; round++) {
        size_t num_bytes;
        uint8_t *bytes = victim(&num_bytes, &random), *changed = must_allocate(num_bytes);
        for (size_t i = 0; i < num_bytes; i++) {
            memcpy(changed, bytes, num_bytes);
            changed[i] ^= (uint8_t)rng_between(&random, 1, 255);
            note("round %d, byte %zu of %zu", round, i, num_bytes);
            expect(!try_bytes(changed, num_bytes), "not noticed");
            seal_atlas(changed, num_bytes);
            (void)try_bytes(changed, num_bytes);
        }
        free(bytes), free(changed);
    }
}

static void every_cut_is_noticed(void **state)
{
    (void)state;
    rng random = rng_here();
    size_t num_bytes;
    uint8_t *bytes = victim(&num_bytes, &random), *cut = must_allocate(num_bytes);
    for (size_t length = 0; length < num_bytes; length++) {
        note("%zu of %zu bytes", length, num_bytes);
        memcpy(cut, bytes, length);
        expect(!try_sealed(cut, length), "not noticed");
        tape t = {bytes, length, 0, 17};
        rmask_atlas *out;
        expect_makes_nothing(RMASK_ERR_FORMAT, out, (t.at = 0, rmask_atlas_read(play, &t, NULL, &out, test_error)));
    }
    memset(bytes + num_bytes, 0, 64);
    expect(!try_sealed(bytes, num_bytes + 64) && !try_sealed(bytes, num_bytes + 1), "bytes behind the end are not noticed");
    free(bytes), free(cut);
}

static void random_corruption_is_survived(void **state)
{
    (void)state;
    rng random = rng_here();
    for (int round = 0; round < 20; round++) {
        size_t num_bytes;
        uint8_t *bytes = victim(&num_bytes, &random), *changed = must_allocate(num_bytes);
        for (int i = 0; i < 100; i++) {
            memcpy(changed, bytes, num_bytes);
            for (int64_t k = rng_between(&random, 1, 4); k > 0; k--) {
                const uint32_t values[] = {0, 1, UINT32_MAX, INT32_MAX, (uint32_t)rng_next(&random), (uint32_t)rng_below(&random, 300)};
                const size_t at = (size_t)rng_below(&random, rng_chance(&random, 0.5) ? 160 : (int64_t)num_bytes - 4) / 4 * 4;
                memcpy(changed + at, &values[rng_below(&random, 6)], 4);
            }
            note("round %d, corruption %d", round, i);
            (void)try_sealed(changed, num_bytes);
        }
        free(bytes), free(changed);
    }
}

/* Changes one number of a sound atlas, makes the checksums right, and expects a refusal that says where. */
static void expect_refusal(const uint8_t *bytes, size_t num_bytes, size_t at, uint64_t value, size_t width, const char *message)
{
    uint8_t *changed = must_allocate(num_bytes);
    memcpy(changed, bytes, num_bytes);
    memcpy(changed + at, &value, width);
    note("byte %zu becomes %llu", at, (unsigned long long)value);
    expect(!try_sealed(changed, num_bytes), "not refused");
    expect(strstr(test_error->message, message) != NULL, "\"%s\" does not say \"%s\"", test_error->message, message);
    free(changed);
}

enum { TABLE_AT = 64 + 3 * 8, NOTE_AT = TABLE_AT + 6 * 4, MASKS_AT = 192 };

/* Two layers of three heads with the masks 0 1 2, dense, 0 2. The note ends where the first mask begins but for its NUL and a gap. */
static rmask_atlas *plain_atlas(void)
{
    static const char *const expressions[] = {"causal", "window(2)", "random(0.5)"};
    rmask *masks[3];
    rmask_atlas *atlas;
    for (int i = 0; i < 3; i++) expect_ok(rmask_parse(expressions[i], 9, 9, NULL, &masks[i], test_error));
    const rmask *entries[] = {masks[0], masks[1], masks[2], NULL, masks[0], masks[2]};
    expect_ok(rmask_atlas_create(2, 3, 9, 9, entries, "a note of some words", NULL, &atlas, test_error));
    for (int i = 0; i < 3; i++) rmask_release(masks[i]);
    return atlas;
}

static void unsound_tables_never_pass(void **state)
{
    (void)state;
    rmask_atlas *atlas = plain_atlas();
    size_t num_bytes;
    const uint8_t *bytes = rmask_atlas_data(atlas, &num_bytes);
    const uint64_t second = word(bytes, 72, 8), third = word(bytes, 80, 8);
    expect(word(bytes, 64, 8) == MASKS_AT, "the first mask begins at %llu", (unsigned long long)word(bytes, 64, 8));

    expect_refusal(bytes, num_bytes, 0, 'R', 1, "not an atlas");
    expect_refusal(bytes, num_bytes, 8, 2, 4, "version 2");
    expect_refusal(bytes, num_bytes, 12, 4, 4, "features 0x4");
    expect_refusal(bytes, num_bytes, 16, UINT32_C(1) << 31, 4, "byte 16");
    expect_refusal(bytes, num_bytes, 20, UINT32_MAX, 4, "byte 20");
    expect_refusal(bytes, num_bytes, 16, 10, 4, "grid");
    expect_refusal(bytes, num_bytes, 20, 10, 4, "grid");
    expect_refusal(bytes, num_bytes, 24, num_bytes + 64, 8, "announces");
    expect_refusal(bytes, num_bytes, 24, MASKS_AT + 3 * 128 - 1, 8, "byte 24");
    expect_refusal(bytes, num_bytes, 24, 0, 8, "byte 24");
    expect_refusal(bytes, num_bytes, 24, UINT64_MAX, 8, "announces");
    expect_refusal(bytes, num_bytes, 32, 0, 4, "byte 32");
    expect_refusal(bytes, num_bytes, 32, 65536, 4, "byte 32");
    expect_refusal(bytes, num_bytes, 32, 65535, 4, "byte 24");
    expect_refusal(bytes, num_bytes, 36, 0, 4, "byte 36");
    expect_refusal(bytes, num_bytes, 36, UINT32_MAX, 4, "byte 36");
    expect_refusal(bytes, num_bytes, 40, 7, 4, "byte 40");
    expect_refusal(bytes, num_bytes, 40, 0, 4, "byte 24");
    expect_refusal(bytes, num_bytes, 44, 65537, 4, "byte 44");
    expect_refusal(bytes, num_bytes, 44, 65536, 4, "byte 24");
    expect_refusal(bytes, num_bytes, 44, 21, 4, "a note that is not UTF-8 at byte 132"); /* takes the NUL in */
    expect_refusal(bytes, num_bytes, 44, 19, 4, "a gap that is not 0 at byte 131");
    for (size_t at = 56; at < 64; at++) expect_refusal(bytes, num_bytes, at, 1, 1, "byte 56");

    expect_refusal(bytes, num_bytes, 64, MASKS_AT + 64, 8, "an offset out of place at byte 64");
    expect_refusal(bytes, num_bytes, 64, MASKS_AT - 64, 8, "an offset out of place at byte 64");
    expect_refusal(bytes, num_bytes, 72, second + 8, 8, "not a valid mask");  /* misaligned */
    expect_refusal(bytes, num_bytes, 72, second + 64, 8, "mask 0 at byte 192");
    expect_refusal(bytes, num_bytes, 72, second - 64, 8, "mask 0 at byte 192");
    expect_refusal(bytes, num_bytes, 72, MASKS_AT, 8, "an offset out of place at byte 64"); /* mask 0 has no bytes */
    expect_refusal(bytes, num_bytes, 72, third, 8, "mask 0 at byte 192");
    expect_refusal(bytes, num_bytes, 80, second, 8, "an offset out of place at byte 72");
    expect_refusal(bytes, num_bytes, 80, num_bytes, 8, "mask 1 at byte");
    expect_refusal(bytes, num_bytes, 80, num_bytes + 64, 8, "an offset out of place at byte 72");
    expect_refusal(bytes, num_bytes, 80, UINT64_MAX - 63, 8, "an offset out of place at byte 72");

    expect_refusal(bytes, num_bytes, TABLE_AT, 1, 4, "a mask out of order at byte 88");
    expect_refusal(bytes, num_bytes, TABLE_AT, UINT32_MAX, 4, "a mask out of order at byte 92");
    expect_refusal(bytes, num_bytes, TABLE_AT + 4, 0, 4, "a mask out of order at byte 96");
    expect_refusal(bytes, num_bytes, TABLE_AT + 12, 3, 4, "an entry without a mask at byte 100");
    expect_refusal(bytes, num_bytes, TABLE_AT + 16, UINT32_MAX - 1, 4, "an entry without a mask at byte 104");

    expect_refusal(bytes, num_bytes, NOTE_AT + 3, 0, 1, "a note that is not UTF-8 at byte 115");
    expect_refusal(bytes, num_bytes, NOTE_AT + 5, 0xff, 1, "a note that is not UTF-8 at byte 117");
    for (size_t at = NOTE_AT + 20; at < MASKS_AT; at++) {
        char where[60];
        snprintf(where, sizeof where, "a gap that is not 0 at byte %zu", at);
        expect_refusal(bytes, num_bytes, at, 1, 1, where);
    }
    for (int i = 0; i < 3; i++) {
        const size_t begin = (size_t)word(bytes, 64 + 8 * (size_t)i, 8), length = (size_t)word(bytes, begin + 24, 8);
        expect_refusal(bytes, num_bytes, begin + 24, length - 8, 8, "not a valid mask");
        for (size_t at = begin + length; at % 64; at++) {
            char where[60];
            snprintf(where, sizeof where, "a gap that is not 0 at byte %zu", at);
            expect_refusal(bytes, num_bytes, at, 1, 1, where);
        }
    }
    rmask_atlas_release(atlas);
}

/* Atlases that only a forger makes: masks twice, masks that nobody uses, masks that are full. */
static void needless_masks_never_pass(void **state)
{
    (void)state;
    rmask_atlas *atlas = plain_atlas();
    rmask *again, *full;
    size_t num_bytes, mask_bytes, other_bytes;
    const uint8_t *bytes = rmask_atlas_data(atlas, &num_bytes);
    uint8_t *forged = must_allocate(num_bytes);
    const size_t second = (size_t)word(bytes, 72, 8);
    expect_ok(rmask_parse("causal", 9, 9, NULL, &again, test_error));
    expect_ok(rmask_parse("full", 9, 9, NULL, &full, test_error));
    const void *data = rmask_data(again, &mask_bytes), *other = rmask_data(full, &other_bytes);
    expect(up_to_64(mask_bytes) == (size_t)word(bytes, 80, 8) - second && up_to_64(other_bytes) == up_to_64(mask_bytes),
           "the masks do not fit each other's place");

    memcpy(forged, bytes, num_bytes);
    memset(forged + second, 0, up_to_64(mask_bytes)), memcpy(forged + second, data, mask_bytes);
    expect(!try_sealed(forged, num_bytes), "a mask twice");
    expect(strstr(test_error->message, "a mask that is there already at byte 384") != NULL, "%s", test_error->message);
    memset(forged + second, 0, up_to_64(mask_bytes)), memcpy(forged + second, other, other_bytes);
    expect(!try_sealed(forged, num_bytes), "a full mask");
    expect(strstr(test_error->message, "mask 1 at byte 384") != NULL, "%s", test_error->message);

    memcpy(forged, bytes, num_bytes);
    const uint32_t nobody = 0;
    memcpy(forged + TABLE_AT + 8, &nobody, 4), memcpy(forged + TABLE_AT + 20, &nobody, 4);
    expect(!try_sealed(forged, num_bytes), "a mask that no entry uses");
    expect(strstr(test_error->message, "a mask that no entry uses at byte 40") != NULL, "%s", test_error->message);
    free(forged);
    rmask_release(again), rmask_release(full), rmask_atlas_release(atlas);
}

/* A header that claims as much as it can, in a file of 64 bytes and with 1 KB behind it. */
static void huge_claims_allocate_little(void **state)
{
    (void)state;
    const struct {
        uint32_t layers, heads, num_masks, num_note_bytes;
        uint64_t num_bytes;
    } claims[] = {
        {65535, 65535, 1, 0, 17179344064},
        {65535, 65535, UINT32_C(4294836225), 65536, UINT64_C(1) << 62},
        {65535, 65535, 0, 0, 17178820032},
        {1, 1, 1, 0, UINT64_C(1) << 40},
        {1, 1, 1, 0, UINT64_MAX},
        {1, 1, 1, 0, UINT64_MAX / 2},
        {65535, 65535, 0, 0, 64},
    };
    for (size_t i = 0; i < sizeof claims / sizeof *claims; i++) {
        uint8_t bytes[1088] = "\x93RATLS\r\n\x01";
        hook h = {0};
        rmask_allocator allocator = hook_allocator(&h);
        rmask_atlas *out;
        memcpy(bytes + 24, &claims[i].num_bytes, 8), memcpy(bytes + 32, &claims[i].layers, 4), memcpy(bytes + 36, &claims[i].heads, 4);
        memcpy(bytes + 40, &claims[i].num_masks, 4), memcpy(bytes + 44, &claims[i].num_note_bytes, 4);
        for (size_t num_bytes = 64; num_bytes <= sizeof bytes; num_bytes += 1024) {
            seal_atlas(bytes, num_bytes);
            note("claim %zu in %zu bytes", i, num_bytes);
            write_path(bytes, num_bytes);
            expect_makes_nothing(RMASK_ERR_FORMAT, out, rmask_atlas_from_data(bytes, num_bytes, &allocator, &out, test_error));
            expect_makes_nothing(RMASK_ERR_FORMAT, out, rmask_atlas_load(path, &allocator, &out, test_error));
            expect_makes_nothing(RMASK_ERR_FORMAT, out, rmask_atlas_open(path, &allocator, &out, test_error));
        }
        expect(h.most_bytes < 5 << 20, "%zu bytes were allocated", h.most_bytes);
        check_hook_empty(&h);
    }
}

/* In a mapped file the containers are looked at when they are read: damage spoils its own mask only. */
static void mapped_atlases_survive_damage(void **state)
{
    (void)state;
    rng random = rng_here();
    rmask_atlas *atlas = plain_atlas(), *mapped, *out;
    size_t num_bytes, count;
    const uint8_t *bytes = rmask_atlas_data(atlas, &num_bytes);
    uint8_t *damaged = must_allocate(num_bytes);
    const size_t third = (size_t)word(bytes, 80, 8);
    const rmask *masks[3];
    memcpy(damaged, bytes, num_bytes);
    const size_t containers = third + 128 + 20 * (size_t)word(bytes, third + 52, 4) + 4 * ((size_t)word(bytes, third + 56, 4) + (size_t)word(bytes, third + 60, 4)) +
                              4 * ((size_t)word(bytes, third + 68, 4) + 1);
    memset(damaged + containers, 0xff, 2 * (size_t)word(bytes, third + 72, 4));
    write_path(damaged, num_bytes);
    expect_ok(rmask_atlas_open(path, NULL, &mapped, test_error));
    for (uint32_t i = 0; i < 3; i++) masks[i] = rmask_atlas_distinct(mapped, i);
    expect_fails(RMASK_ERR_FORMAT, rmask_atlas_verify(mapped, test_error));
    expect(strstr(test_error->message, "mask 2 at byte") != NULL, "%s", test_error->message);
    expect_ok(rmask_verify(masks[0], test_error));
    expect_ok(rmask_verify(masks[1], test_error));
    expect_fails(RMASK_ERR_FORMAT, rmask_row(masks[2], 4, NULL, 0, &count, test_error));
    expect_makes_nothing(RMASK_ERR_FORMAT, out, rmask_atlas_combine(mapped, mapped, RMASK_AND, NULL, &out, test_error));
    double overlaps[2];
    expect_fails(RMASK_ERR_FORMAT, rmask_atlas_overlaps(mapped, overlaps, NULL, test_error));
    expect_makes_nothing(RMASK_ERR_FORMAT, out, rmask_atlas_load(path, NULL, &out, test_error));
    const rmask *entries[] = {masks[0], masks[2]};
    expect_makes_nothing(RMASK_ERR_FORMAT, out, rmask_atlas_create(1, 2, 9, 9, entries, NULL, NULL, &out, test_error));
    expect(strstr(test_error->message, "layer 0, head 1") != NULL, "%s", test_error->message);
    rmask_atlas_release(mapped);

    memcpy(damaged, bytes, num_bytes); /* the index of a mask, as opposed to its containers, is checked at once */
    damaged[third + 130] ^= 1;
    write_path(damaged, num_bytes);
    expect_makes_nothing(RMASK_ERR_FORMAT, out, rmask_atlas_open(path, NULL, &out, test_error));
    for (int i = 0; i < 300; i++) {
        memcpy(damaged, bytes, num_bytes);
        damaged[rng_below(&random, (int64_t)num_bytes)] ^= (uint8_t)rng_between(&random, 1, 255);
        seal_atlas(damaged, num_bytes);
        write_path(damaged, num_bytes);
        note("damage %d", i);
        if (rmask_atlas_open(path, NULL, &mapped, NULL) != RMASK_OK) continue;
        for (uint32_t k = 0; k < rmask_atlas_num_masks(mapped); k++)
            for (int32_t row = 0; row < rmask_rows(rmask_atlas_distinct(mapped, k)); row++)
                (void)rmask_row(rmask_atlas_distinct(mapped, k), row, NULL, 0, &count, NULL);
        rmask_atlas_release(mapped);
    }
    free(damaged), rmask_atlas_release(atlas);
}

/* ---------------------------------------------------------------- out of memory */

/* Checks the output of a function that has just ended. Releases it. */
static rmask_status done(rmask_status status, rmask_atlas *out)
{
    expect((status == RMASK_OK) == (out != NULL), "status \"%s\" with%s an output", rmask_status_name(status), out ? "" : "out");
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
    if (!status) out = (void *)&test_poison, status = rmask_atlas_map(atlas, flip, NULL, &out, NULL), status = done(status, out);
    if (!status) out = (void *)&test_poison, status = rmask_atlas_from_data(data, num_bytes, allocator, &out, NULL), status = done(status, out);
    if (!status) out = (void *)&test_poison, status = rmask_atlas_read(play, &t, allocator, &out, NULL), status = done(status, out);
    if (!status) status = rmask_atlas_save(atlas, path, NULL);
    if (!status) out = (void *)&test_poison, status = rmask_atlas_load(path, allocator, &out, NULL), status = done(status, out);
    if (!status) out = (void *)&test_poison, status = rmask_atlas_open(path, allocator, &out, NULL), status = done(status, out);
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
    for (int i = 0; i < num_entries(m); i++) masks[i] = make(i % NUM_WAYS, entry_of(m, i), NULL, &random);
    rmask_status status = rmask_atlas_create(m->layers, m->heads, m->rows, m->cols, masks, "memory", allocator, &atlas, NULL);
    expect((status == RMASK_OK) == (atlas != NULL), "status \"%s\" of create", rmask_status_name(status));
    for (int i = 0; i < num_entries(m); i++) rmask_release((rmask *)(uintptr_t)masks[i]);
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
        model m = make_model(2, 8, random_shape(300, &random), 6, &random);
        note("model %d", i);
        expect(check_out_of_memory(work_with_atlases, &m) > 20, "few allocations go through the hook");
        free_model(&m);
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
        cmocka_unit_test(six_masks_cost_six_masks),
        cmocka_unit_test(every_function_combines_entry_by_entry),
        cmocka_unit_test(unlike_atlases_and_impatient_callers),
        cmocka_unit_test(maps_go_over_each_mask_once),
        cmocka_unit_test(maps_that_fail),
        cmocka_unit_test(equality_is_of_cells),
        cmocka_unit_test(statistics_are_counted),
        cmocka_unit_test_setup_teardown(atlases_come_back, make_path, remove_path),
        cmocka_unit_test_setup_teardown(masks_outlive_their_atlas, make_path, remove_path),
        cmocka_unit_test_setup_teardown(what_cannot_be_read_or_written, make_path, remove_path),
        cmocka_unit_test(every_changed_byte_is_noticed),
        cmocka_unit_test(every_cut_is_noticed),
        cmocka_unit_test(random_corruption_is_survived),
        cmocka_unit_test(unsound_tables_never_pass),
        cmocka_unit_test(needless_masks_never_pass),
        cmocka_unit_test_setup_teardown(huge_claims_allocate_little, make_path, remove_path),
        cmocka_unit_test_setup_teardown(mapped_atlases_survive_damage, make_path, remove_path),
        cmocka_unit_test_setup_teardown(atlases_run_out_of_memory, make_path, remove_path),
    };
    return run_test_program(tests);
}
