/* SPDX-License-Identifier: Apache-2.0
 * An atlas's life and its facts. */
#include "atlas/atlas.h"

#include <string.h>

/* ---------------------------------------------------------------- memory of its own */

typedef struct kept_bytes {
    rmask_keeper keeper;
    rmask_allocator allocator;
    rmask_byte_vec bytes;
} kept_bytes;

static void free_kept_bytes(rmask_keeper *keeper)
{
    kept_bytes *kept = (kept_bytes *)keeper;
    const rmask_allocator allocator = kept->allocator;
    rmask_vec_free(&allocator, &kept->bytes);
    rmask_free(&allocator, kept, 1, sizeof *kept);
}

rmask_keeper *rmask_keep_bytes(rmask_byte_vec *bytes, const rmask_allocator *allocator)
{
    kept_bytes *kept = rmask_allocate(allocator, 1, sizeof *kept);
    if (!kept) return NULL;
    *kept = (kept_bytes){.keeper = {.let_go = free_kept_bytes}, .allocator = *allocator, .bytes = *bytes};
    atomic_init(&kept->keeper.references, 1);
    *bytes = (rmask_byte_vec){0};
    return &kept->keeper;
}

/* ---------------------------------------------------------------- life */

static size_t struct_bytes(uint32_t num_masks) { return sizeof(rmask_atlas) + num_masks * sizeof(rmask *); }

rmask_atlas *rmask_atlas_new(const uint8_t *data, rmask_keeper *keeper, const rmask_allocator *allocator)
{
    const rmask_atlas_header *header = (const void *)data;
    const rmask_atlas_layout at = rmask_atlas_layout_of(header);
    rmask_atlas *atlas = rmask_allocate(allocator, struct_bytes(header->num_masks), 1);
    if (!atlas) return NULL;
    memset(atlas, 0, struct_bytes(header->num_masks));
    atomic_init(&atlas->references, 1);
    atlas->allocator = *allocator;
    atlas->keeper = keeper;
    rmask_keep(keeper);
    atlas->data = data;
    atlas->header = header;
    atlas->offsets = (const void *)(data + at.offsets);
    atlas->table = (const void *)(data + at.table);
    atlas->note = (const char *)(data + at.note);
    atlas->num_masks = header->num_masks;
    return atlas;
}

bool rmask_atlas_put_masks(rmask_atlas *atlas)
{
    for (uint32_t i = 0; i < atlas->num_masks; i++) {
        atlas->masks[i] = rmask_new_view(atlas->data + atlas->offsets[i], atlas->keeper, &atlas->allocator);
        if (!atlas->masks[i]) return false;
    }
    return true;
}

rmask_atlas *rmask_atlas_retain(const rmask_atlas *atlas)
{
    rmask_atlas *counted = (rmask_atlas *)(uintptr_t)atlas; /* the reference count is not part of the atlas's value */
    atomic_fetch_add_explicit(&counted->references, 1, memory_order_relaxed);
    return counted;
}

void rmask_atlas_release(rmask_atlas *atlas)
{
    if (!atlas || atomic_fetch_sub_explicit(&atlas->references, 1, memory_order_acq_rel) != 1) return;
    const rmask_allocator allocator = atlas->allocator;
    rmask_keeper *keeper = atlas->keeper;
    for (uint32_t i = 0; i < atlas->num_masks; i++) rmask_release(atlas->masks[i]);
    rmask_free(&allocator, atlas, struct_bytes(atlas->num_masks), 1);
    rmask_let_go(keeper);
}

/* ---------------------------------------------------------------- facts */

int32_t rmask_atlas_layers(const rmask_atlas *atlas) { return (int32_t)atlas->header->layers; }

int32_t rmask_atlas_heads(const rmask_atlas *atlas) { return (int32_t)atlas->header->heads; }

int32_t rmask_atlas_rows(const rmask_atlas *atlas) { return (int32_t)atlas->header->rows; }

int32_t rmask_atlas_cols(const rmask_atlas *atlas) { return (int32_t)atlas->header->cols; }

const char *rmask_atlas_note(const rmask_atlas *atlas) { return atlas->note; }

uint32_t rmask_atlas_num_masks(const rmask_atlas *atlas) { return atlas->num_masks; }

const uint32_t *rmask_atlas_table(const rmask_atlas *atlas) { return atlas->table; }

const rmask *rmask_atlas_distinct(const rmask_atlas *atlas, uint32_t index)
{
    return index < atlas->num_masks ? atlas->masks[index] : NULL;
}

rmask_status rmask_atlas_mask(const rmask_atlas *atlas, int32_t layer, int32_t head, const rmask **mask, rmask_error *error)
{
    const int32_t layers = rmask_atlas_layers(atlas), heads = rmask_atlas_heads(atlas);
    *mask = NULL;
    if (layer < 0 || layer >= layers)
        return rmask_fail(error, RMASK_ERR_RANGE, "layer %d is out of range: layers go from 0 to %d", (int)layer,
                          (int)layers - 1);
    if (head < 0 || head >= heads)
        return rmask_fail(error, RMASK_ERR_RANGE, "head %d is out of range: heads go from 0 to %d", (int)head, (int)heads - 1);
    *mask = rmask_atlas_entry(atlas, (size_t)layer * (size_t)heads + (size_t)head);
    return RMASK_OK;
}

const void *rmask_atlas_data(const rmask_atlas *atlas, size_t *num_bytes)
{
    *num_bytes = (size_t)atlas->header->num_bytes;
    return atlas->data;
}
