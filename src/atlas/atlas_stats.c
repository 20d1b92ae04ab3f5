/* SPDX-License-Identifier: Apache-2.0
 * What the entries of an atlas come to, layer by layer. */
#include "atlas/atlas.h"
#include "atlas/lookup.h"
#include "atlas/progress.h"

#include <string.h>

/* ---------------------------------------------------------------- counts */

static uint64_t add_up_to_max(uint64_t a, uint64_t b) { return a > UINT64_MAX - b ? UINT64_MAX : a + b; }

static void count_entry(rmask_atlas_stats *stats, const rmask_atlas *atlas, const rmask *mask)
{
    const uint64_t grid = (uint64_t)atlas->header->rows * atlas->header->cols;
    const double density = mask ? rmask_density(mask) : grid > 0;
    if (stats->num_entries == 0 || density < stats->density_min) stats->density_min = density;
    if (stats->num_entries == 0 || density > stats->density_max) stats->density_max = density;
    stats->density_mean += density;
    stats->num_entries++;
    stats->num_dense += mask == NULL;
    stats->num_cells = add_up_to_max(stats->num_cells, mask ? rmask_count(mask) : grid);
    if (mask) stats->unshared_bytes += mask->header->num_bytes;
}

rmask_status rmask_atlas_get_stats(const rmask_atlas *atlas, int32_t layer_begin, int32_t layer_end, rmask_atlas_stats *stats,
                                   rmask_error *error)
{
    *stats = (rmask_atlas_stats){0};
    const int32_t layers = rmask_atlas_layers(atlas);
    if (layer_begin < 0 || layer_begin >= layer_end || layer_end > layers)
        return rmask_fail(error, RMASK_ERR_RANGE, "layers %d to %d are out of range: there are %d", (int)layer_begin,
                          (int)layer_end, (int)layers);
    bool *seen = rmask_allocate(&atlas->allocator, atlas->num_masks, sizeof *seen);
    if (!seen) return rmask_fail_nomem(error);
    memset(seen, 0, atlas->num_masks * sizeof *seen);
    const size_t heads = atlas->header->heads;
    for (size_t i = (size_t)layer_begin * heads; i < (size_t)layer_end * heads; i++) {
        const rmask *mask = rmask_atlas_entry(atlas, i);
        count_entry(stats, atlas, mask);
        if (!mask || seen[atlas->table[i]]) continue;
        seen[atlas->table[i]] = true;
        stats->num_masks++;
        stats->mask_bytes += mask->header->num_bytes;
    }
    stats->density_mean /= (double)stats->num_entries;
    rmask_free(&atlas->allocator, seen, atlas->num_masks, sizeof *seen);
    return RMASK_OK;
}

/* ---------------------------------------------------------------- overlaps */

/* A mask, or RMASK_ATLAS_DENSE, and how many heads of a layer have it. */
typedef struct group {
    uint32_t index, num_heads;
} group;

typedef struct overlaps {
    const rmask_atlas *atlas;
    rmask_vec(group) groups; /* of the layer in hand */
    rmask_lookup group_of;
    rmask_lookup pairs; /* the overlap of two indices, as an index into `known` */
    rmask_vec(double) known;
} overlaps;

static rmask_status group_layer(overlaps *o, size_t layer, rmask_error *error)
{
    const rmask_allocator *allocator = &o->atlas->allocator;
    const uint32_t heads = o->atlas->header->heads, *table = o->atlas->table + layer * heads;
    o->groups.len = 0;
    rmask_lookup_free(allocator, &o->group_of);
    for (uint32_t head = 0; head < heads; head++) {
        size_t probe = 0;
        uint32_t at = rmask_lookup_next(&o->group_of, table[head], &probe);
        if (at == RMASK_ABSENT) {
            at = (uint32_t)o->groups.len;
            if (!rmask_lookup_put(allocator, &o->group_of, table[head], at) ||
                !rmask_vec_push(allocator, &o->groups, ((group){table[head], 0})))
                return rmask_fail_nomem(error);
        }
        o->groups.at[at].num_heads++;
    }
    return RMASK_OK;
}

/* Of two different entries. The overlap of a mask with the full grid is its density. */
static rmask_status compare(const rmask_atlas *atlas, uint32_t a, uint32_t b, double *overlap, rmask_error *error)
{
    if (a == RMASK_ATLAS_DENSE || b == RMASK_ATLAS_DENSE) {
        *overlap = rmask_density(atlas->masks[a == RMASK_ATLAS_DENSE ? b : a]);
        return RMASK_OK;
    }
    return rmask_jaccard(atlas->masks[a], atlas->masks[b], overlap, error);
}

static rmask_status get_overlap(overlaps *o, uint32_t a, uint32_t b, double *overlap, rmask_error *error)
{
    const uint64_t key = a < b ? (uint64_t)a << 32 | b : (uint64_t)b << 32 | a;
    size_t probe = 0;
    const uint32_t at = rmask_lookup_next(&o->pairs, key, &probe);
    if (at != RMASK_ABSENT) {
        *overlap = o->known.at[at];
        return RMASK_OK;
    }
    RMASK_TRY(compare(o->atlas, a, b, overlap, error));
    const bool kept = rmask_lookup_put(&o->atlas->allocator, &o->pairs, key, (uint32_t)o->known.len) &&
                      rmask_vec_push(&o->atlas->allocator, &o->known, *overlap);
    return kept ? RMASK_OK : rmask_fail_nomem(error);
}

static rmask_status mean_overlap(overlaps *o, double *mean, rmask_error *error)
{
    const double heads = o->atlas->header->heads;
    double sum = 0;
    for (size_t i = 0; i < o->groups.len; i++) {
        const group a = o->groups.at[i];
        sum += (double)a.num_heads * ((double)a.num_heads - 1) / 2;
        for (size_t j = 0; j < i; j++) {
            const group b = o->groups.at[j];
            double overlap;
            RMASK_TRY(get_overlap(o, a.index, b.index, &overlap, error));
            sum += overlap * a.num_heads * b.num_heads;
        }
    }
    *mean = heads > 1 ? sum / (heads * (heads - 1) / 2) : 1;
    return RMASK_OK;
}

static rmask_status all_overlaps(overlaps *o, double *means, const rmask_progress *progress, rmask_error *error)
{
    const size_t layers = o->atlas->header->layers;
    for (size_t layer = 0; layer < layers; layer++) {
        RMASK_TRY(rmask_report(progress, layer, layers, error));
        RMASK_TRY(group_layer(o, layer, error));
        RMASK_TRY(mean_overlap(o, &means[layer], error));
    }
    return RMASK_OK;
}

rmask_status rmask_atlas_overlaps(const rmask_atlas *atlas, double *means, const rmask_progress *progress, rmask_error *error)
{
    overlaps o = {.atlas = atlas};
    const rmask_status status = all_overlaps(&o, means, progress, error);
    rmask_vec_free(&atlas->allocator, &o.groups);
    rmask_lookup_free(&atlas->allocator, &o.group_of);
    rmask_lookup_free(&atlas->allocator, &o.pairs);
    rmask_vec_free(&atlas->allocator, &o.known);
    return status;
}
