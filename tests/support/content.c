/* SPDX-License-Identifier: Apache-2.0
 * Masks and atlases alike. */
#include "content.h"

#include <string.h>

#include "twin.h"

rmask_status content_from_data(golden_kind kind, const void *bytes, size_t num_bytes, content *out)
{
    *out = (content){0};
    return kind == GOLDEN_ATLAS ? rmask_atlas_from_data(bytes, num_bytes, NULL, &out->atlas, test_error)
                                : rmask_from_data(bytes, num_bytes, NULL, &out->mask, test_error);
}

rmask_status content_open(golden_kind kind, const char *path, content *out)
{
    *out = (content){0};
    return kind == GOLDEN_ATLAS ? rmask_atlas_open(path, NULL, &out->atlas, test_error)
                                : rmask_open(path, NULL, &out->mask, test_error);
}

rmask_status content_verify(const content *c)
{
    return c->atlas ? rmask_atlas_verify(c->atlas, test_error) : rmask_verify(c->mask, test_error);
}

void content_release(content c)
{
    rmask_release(c.mask);
    rmask_atlas_release(c.atlas);
}

const rmask *content_mask(const content *c, uint32_t index)
{
    if (c->atlas) return rmask_atlas_distinct(c->atlas, index);
    return index == 0 ? c->mask : NULL;
}

bool content_equal(const content *a, const content *b)
{
    bool equal = false;
    if (a->mask && b->mask) expect_ok(rmask_equal(a->mask, b->mask, &equal, test_error));
    if (!a->atlas || !b->atlas) return equal;
    expect_ok(rmask_atlas_equal(a->atlas, b->atlas, &equal, test_error));
    return equal && strcmp(rmask_atlas_note(a->atlas), rmask_atlas_note(b->atlas)) == 0;
}

static void check_entries(const rmask_atlas *atlas)
{
    const int32_t layers = rmask_atlas_layers(atlas), heads = rmask_atlas_heads(atlas);
    const uint64_t area = (uint64_t)rmask_atlas_rows(atlas) * (uint64_t)rmask_atlas_cols(atlas);
    uint64_t num_dense = 0;
    double num_cells = 0; /* as a number that does not overflow */
    rmask_atlas_stats stats;
    rmask_atlas *difference;
    for (int32_t layer = 0; layer < layers; layer++)
        for (int32_t head = 0; head < heads; head++) {
            const rmask *mask;
            expect_ok(rmask_atlas_mask(atlas, layer, head, &mask, test_error));
            expect(!mask || (rmask_rows(mask) == rmask_atlas_rows(atlas) && rmask_cols(mask) == rmask_atlas_cols(atlas)),
                   "entry (%d, %d) has another grid", layer, head);
            expect(!mask || rmask_count(mask) < area, "entry (%d, %d) is full and not dense", layer, head);
            num_dense += mask == NULL;
            num_cells += (double)(mask ? rmask_count(mask) : area);
        }
    expect_ok(rmask_atlas_get_stats(atlas, 0, layers, &stats, test_error));
    expect(stats.num_entries == (uint64_t)layers * (uint64_t)heads && stats.num_dense == num_dense &&
               stats.num_masks == rmask_atlas_num_masks(atlas),
           "stats: other entries");
    expect(stats.num_cells == UINT64_MAX || (double)stats.num_cells == num_cells, "stats: %llu cells, entries have %g",
           (unsigned long long)stats.num_cells, num_cells);
    expect_ok(rmask_atlas_combine(atlas, atlas, RMASK_XOR, NULL, &difference, test_error));
    expect_ok(rmask_atlas_get_stats(difference, 0, layers, &stats, test_error));
    expect(stats.num_cells == 0, "it differs from itself in %llu cells", (unsigned long long)stats.num_cells);
    rmask_atlas_release(difference);
}

void content_check(const content *c)
{
    const rmask *mask;
    for (uint32_t i = 0; (mask = content_mask(c, i)) != NULL; i++) check_consistent(mask);
    if (c->atlas) check_entries(c->atlas);
}
