/* SPDX-License-Identifier: Apache-2.0
 * The naive model of an atlas. */
#include "model.h"

#include <stdlib.h>
#include <string.h>

#include "ways.h"

int model_entries(const model *m) { return m->layers * m->heads; }

const twin *model_entry(const model *m, int entry) { return m->twins[m->of_entry[entry]]; }

bool twin_is_full(const twin *t) { return twin_count(t) == (uint64_t)t->rows * (uint64_t)t->cols; }

static twin *full_twin(int32_t rows, int32_t cols)
{
    twin *t = twin_create(rows, cols);
    for (int32_t row = 0; row < rows; row++) twin_put(t, row, 0, cols, true);
    return t;
}

model model_create(int32_t layers, int32_t heads, shape grid, int num_twins, rng *random)
{
    model m = {layers, heads, grid.rows, grid.cols, num_twins, {full_twin(grid.rows, grid.cols)}, NULL};
    for (int i = 1; i < num_twins - 1; i++) m.twins[i] = generate_any(grid.rows, grid.cols, random);
    m.twins[num_twins - 1] = twin_copy(m.twins[rng_below(random, num_twins - 1)]);
    m.of_entry = must_allocate((size_t)model_entries(&m) * sizeof *m.of_entry);
    for (int i = 0; i < model_entries(&m); i++) m.of_entry[i] = (int)rng_below(random, num_twins);
    return m;
}

model model_any(rng *random)
{
    return model_create((int32_t)rng_between(random, 1, 6), (int32_t)rng_between(random, 1, 6), random_shape(800, random),
                        (int)rng_between(random, 2, 8), random);
}

void model_free(model *m)
{
    for (int i = 0; i < m->num_twins; i++) twin_free(m->twins[i]);
    free(m->of_entry);
}

rmask_atlas *model_atlas(const model *m, const char *note, rng *random)
{
    rmask_atlas *atlas;
    const rmask **masks = must_allocate((size_t)model_entries(m) * sizeof *masks);
    for (int i = 0; i < model_entries(m); i++)
        masks[i] = twin_is_full(model_entry(m, i)) && rng_chance(random, 0.5) ? NULL : make_any(model_entry(m, i), random);
    expect_ok(rmask_atlas_create(m->layers, m->heads, m->rows, m->cols, masks, note, NULL, &atlas, test_error));
    for (int i = 0; i < model_entries(m); i++) rmask_release((rmask *)(uintptr_t)masks[i]);
    free(masks);
    return atlas;
}

/* The entries' masks numbered in the order of their first use, naively. Returns how many there are. */
static uint32_t model_table(const model *m, uint32_t *table)
{
    uint32_t num_masks = 0;
    for (int i = 0; i < model_entries(m); i++) {
        table[i] = twin_is_full(model_entry(m, i)) ? RMASK_ATLAS_DENSE : num_masks;
        for (int k = 0; k < i && table[i] == num_masks; k++)
            if (twin_equal(model_entry(m, i), model_entry(m, k))) table[i] = table[k];
        num_masks += table[i] == num_masks;
    }
    return num_masks;
}

void check_atlas(const rmask_atlas *atlas, const model *m)
{
    uint32_t *table = must_allocate((size_t)model_entries(m) * sizeof *table), num_masks = model_table(m, table);
    expect(rmask_atlas_layers(atlas) == m->layers && rmask_atlas_heads(atlas) == m->heads, "%d x %d entries",
           (int)rmask_atlas_layers(atlas), (int)rmask_atlas_heads(atlas));
    expect(rmask_atlas_rows(atlas) == m->rows && rmask_atlas_cols(atlas) == m->cols, "a grid of %d x %d",
           (int)rmask_atlas_rows(atlas), (int)rmask_atlas_cols(atlas));
    expect(rmask_atlas_num_masks(atlas) == num_masks, "%u masks instead of %u", rmask_atlas_num_masks(atlas), num_masks);
    expect(memcmp(rmask_atlas_table(atlas), table, (size_t)model_entries(m) * sizeof *table) == 0, "another table");
    for (int i = 0; i < model_entries(m); i++) {
        const rmask *mask = (const void *)&test_poison;
        expect_ok(rmask_atlas_mask(atlas, i / m->heads, i % m->heads, &mask, test_error));
        expect((mask == NULL) == twin_is_full(model_entry(m, i)), "entry %d is%s dense", i, mask ? " not" : "");
        expect(mask == rmask_atlas_distinct(atlas, table[i]), "entry %d is another mask than its index says", i);
        if (mask) check_rows(mask, model_entry(m, i));
    }
    expect(rmask_atlas_distinct(atlas, num_masks) == NULL, "a mask behind the last");
    expect_ok(rmask_atlas_verify(atlas, test_error));
    free(table);
}

void check_atlas_release(rmask_atlas *atlas, const model *m)
{
    check_atlas(atlas, m);
    rmask_atlas_release(atlas);
}
