/* SPDX-License-Identifier: Apache-2.0
 * All masks of an atlas at once. A dense entry takes part as the full mask, and rmask_atlas_create makes full results dense
 * again. */
#include "atlas/atlas.h"
#include "atlas/lookup.h"
#include "atlas/progress.h"
#include "core/draft.h"

#include <string.h>

static rmask_status make_full(const rmask_atlas *atlas, rmask **out, rmask_error *error)
{
    rmask *nothing;
    rmask_draft draft;
    rmask_draft_init(&draft, rmask_atlas_rows(atlas), rmask_atlas_cols(atlas), &atlas->allocator);
    RMASK_TRY(rmask_draft_finish(&draft, &nothing, error));
    const rmask_status status = rmask_not(nothing, out, error);
    rmask_release(nothing);
    return status;
}

/* ---------------------------------------------------------------- results, of which an entry names one */

typedef struct results {
    rmask_allocator allocator;
    rmask_vec(rmask *) masks;     /* owned */
    rmask_vec(uint32_t) of_entry; /* index into `masks` */
} results;

/* Frees the results, having made the atlas of them unless `status` says that they are not complete. */
static rmask_status finish(results *r, rmask_status status, const rmask_atlas *like, rmask_atlas **out, rmask_error *error)
{
    const size_t num_entries = rmask_atlas_num_entries(like);
    const rmask **masks = status ? NULL : rmask_allocate(&r->allocator, num_entries, sizeof *masks);
    if (!status && !masks) status = rmask_fail_nomem(error);
    for (size_t i = 0; !status && i < num_entries; i++) masks[i] = r->masks.at[r->of_entry.at[i]];
    if (!status)
        status = rmask_atlas_create(rmask_atlas_layers(like), rmask_atlas_heads(like), rmask_rows(masks[0]),
                                    rmask_cols(masks[0]), masks, like->note, &r->allocator, out, error);
    rmask_free(&r->allocator, masks, num_entries, sizeof *masks);
    for (size_t i = 0; i < r->masks.len; i++) rmask_release(r->masks.at[i]);
    rmask_vec_free(&r->allocator, &r->masks);
    rmask_vec_free(&r->allocator, &r->of_entry);
    return status;
}

/* ---------------------------------------------------------------- one atlas */

static rmask_status map_mask(results *r, const rmask *mask, rmask_atlas_function function, void *context, rmask_error *error)
{
    rmask *made = NULL;
    if (!rmask_vec_reserve(&r->allocator, &r->masks, 1)) return rmask_fail_nomem(error);
    RMASK_TRY(function(context, mask, &made, error));
    rmask_vec_put(&r->masks, made);
    return RMASK_OK;
}

/* The result of the full mask, if there is one, stands behind those of the masks. */
static rmask_status map_all(results *r, const rmask_atlas *atlas, rmask_atlas_function function, void *context,
                            rmask_error *error)
{
    const size_t num_entries = rmask_atlas_num_entries(atlas);
    bool any_dense = false;
    if (!rmask_vec_reserve(&r->allocator, &r->of_entry, num_entries)) return rmask_fail_nomem(error);
    for (size_t i = 0; i < num_entries; i++) {
        const bool dense = atlas->table[i] == RMASK_ATLAS_DENSE;
        rmask_vec_put(&r->of_entry, dense ? atlas->num_masks : atlas->table[i]);
        any_dense |= dense;
    }
    for (uint32_t i = 0; i < atlas->num_masks; i++) RMASK_TRY(map_mask(r, atlas->masks[i], function, context, error));
    if (!any_dense) return RMASK_OK;
    rmask *full;
    RMASK_TRY(make_full(atlas, &full, error));
    const rmask_status status = map_mask(r, full, function, context, error);
    rmask_release(full);
    return status;
}

rmask_status rmask_atlas_map(const rmask_atlas *atlas, rmask_atlas_function function, void *context, rmask_atlas **out,
                             rmask_error *error)
{
    *out = NULL;
    results r = {.allocator = atlas->allocator};
    return finish(&r, map_all(&r, atlas, function, context, error), atlas, out, error);
}

/* ---------------------------------------------------------------- two atlases */

typedef struct combiner {
    const rmask_atlas *a, *b;
    rmask_function function;
    const rmask *full;
    rmask_lookup pairs; /* which result has the masks of both entries */
    results results;
} combiner;

static rmask_status combine_entry(combiner *c, size_t entry, rmask_error *error)
{
    const rmask_allocator *allocator = &c->results.allocator;
    const uint64_t key = (uint64_t)c->a->table[entry] << 32 | c->b->table[entry];
    size_t probe = 0;
    uint32_t index = rmask_lookup_next(&c->pairs, key, &probe);
    if (index == RMASK_ABSENT) {
        const rmask *a = rmask_atlas_entry(c->a, entry), *b = rmask_atlas_entry(c->b, entry);
        rmask *made;
        index = (uint32_t)c->results.masks.len;
        if (!rmask_vec_reserve(allocator, &c->results.masks, 1) || !rmask_lookup_put(allocator, &c->pairs, key, index))
            return rmask_fail_nomem(error);
        RMASK_TRY(rmask_combine(a ? a : c->full, b ? b : c->full, c->function, &made, error));
        rmask_vec_put(&c->results.masks, made);
    }
    rmask_vec_put(&c->results.of_entry, index);
    return RMASK_OK;
}

static rmask_status combine_all(combiner *c, const rmask_progress *progress, rmask_error *error)
{
    const size_t num_entries = rmask_atlas_num_entries(c->a);
    if (!rmask_vec_reserve(&c->results.allocator, &c->results.of_entry, num_entries)) return rmask_fail_nomem(error);
    for (size_t i = 0; i < num_entries; i++) {
        RMASK_TRY(rmask_report(progress, i, num_entries, error));
        RMASK_TRY(combine_entry(c, i, error));
    }
    return RMASK_OK;
}

static bool same_shape(const rmask_atlas *a, const rmask_atlas *b)
{
    return a->header->layers == b->header->layers && a->header->heads == b->header->heads &&
           a->header->rows == b->header->rows && a->header->cols == b->header->cols;
}

rmask_status rmask_atlas_combine(const rmask_atlas *a, const rmask_atlas *b, rmask_function function,
                                 const rmask_progress *progress, rmask_atlas **out, rmask_error *error)
{
    *out = NULL;
    if (!same_shape(a, b))
        return rmask_fail(
            error, RMASK_ERR_ARGUMENT, "the atlases differ: %u x %u entries of %u x %u cells, and %u x %u of %u x %u",
            (unsigned)a->header->layers, (unsigned)a->header->heads, (unsigned)a->header->rows, (unsigned)a->header->cols,
            (unsigned)b->header->layers, (unsigned)b->header->heads, (unsigned)b->header->rows, (unsigned)b->header->cols);
    rmask *full;
    RMASK_TRY(make_full(a, &full, error));
    combiner c = {.a = a, .b = b, .function = function, .full = full, .results.allocator = a->allocator};
    const rmask_status status = combine_all(&c, progress, error);
    rmask_lookup_free(&a->allocator, &c.pairs);
    rmask_release(full);
    return finish(&c.results, status, a, out, error);
}

/* Masks are numbered in the order of their first use, so equal atlases have equal tables. */
rmask_status rmask_atlas_equal(const rmask_atlas *a, const rmask_atlas *b, bool *equal, rmask_error *error)
{
    *equal = false;
    if (!same_shape(a, b) || memcmp(a->table, b->table, rmask_atlas_num_entries(a) * sizeof *a->table) != 0) return RMASK_OK;
    bool alike = true;
    for (uint32_t i = 0; i < a->num_masks && alike; i++) RMASK_TRY(rmask_equal(a->masks[i], b->masks[i], &alike, error));
    *equal = alike;
    return RMASK_OK;
}
