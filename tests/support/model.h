/* SPDX-License-Identifier: Apache-2.0
 * The naive model of an atlas: twins, and which of them each layer and head has. */
#ifndef ROARMASK_TESTS_MODEL_H
#define ROARMASK_TESTS_MODEL_H

#include "generate.h"
#include "roarmask/atlas.h"

enum { MAX_TWINS = 12 };

/* Entry (layer, head) is number layer * heads + head and has the cells of twins[of_entry[number]]. Twins may be equal, and
 * full ones stand for dense entries. */
typedef struct model {
    int32_t layers, heads, rows, cols;
    int num_twins;
    twin *twins[MAX_TWINS];
    int *of_entry;
} model;

/* The first twin is full, the last a copy of another; which an entry has is drawn by lot. */
model model_create(int32_t layers, int32_t heads, shape grid, int num_twins, rng *random);
model model_any(rng *random);
void model_free(model *m);

int model_entries(const model *m);
const twin *model_entry(const model *m, int entry);
bool twin_is_full(const twin *t);

/* Every entry gets a mask object of its own, made in any way, or NULL now and then where it is full. */
rmask_atlas *model_atlas(const model *m, const char *note, rng *random);

/* Compares every entry, the table and its order, and verifies the atlas. */
void check_atlas(const rmask_atlas *atlas, const model *m);
void check_atlas_release(rmask_atlas *atlas, const model *m);

#endif
