/* SPDX-License-Identifier: Apache-2.0
 * Making an atlas: equal masks are told, then header, tables and masks are laid out in one buffer. */
#include "atlas/atlas.h"
#include "atlas/distinct.h"
#include "core/check.h"
#include "file/checksum.h"

#include <string.h>

/* ---------------------------------------------------------------- laying out */

/* The sizes that the header needs; RMASK_ERR_NOMEM where a mask has no flat buffer and gets none. */
static rmask_status measure(rmask_atlas_header *header, const rmask_distinct *distinct, rmask_error *error)
{
    header->num_masks = (uint32_t)distinct->masks.len;
    header->num_bytes = rmask_atlas_layout_of(header).masks;
    for (size_t i = 0; i < distinct->masks.len; i++) {
        size_t num_bytes;
        if (!rmask_data(distinct->masks.at[i], &num_bytes)) return rmask_fail_nomem(error);
        header->num_bytes += rmask_atlas_align(num_bytes);
    }
    return header->num_bytes <= PTRDIFF_MAX ? RMASK_OK : rmask_fail_nomem(error);
}

/* Copies a section to `at` in the buffer, and clears what lies between it and `end`. */
static void put(uint8_t *data, uint64_t at, const void *section, uint64_t num_bytes, uint64_t end)
{
    if (num_bytes) memcpy(data + at, section, (size_t)num_bytes);
    memset(data + at + num_bytes, 0, (size_t)(end - at - num_bytes));
}

static void fill(uint8_t *data, rmask_atlas_header *header, const rmask_distinct *distinct, const uint32_t *table,
                 const char *note)
{
    const rmask_atlas_layout at = rmask_atlas_layout_of(header);
    uint64_t next = at.masks;
    for (size_t i = 0; i < distinct->masks.len; i++) {
        const uint64_t begin = next;
        size_t num_bytes;
        const void *mask = rmask_data(distinct->masks.at[i], &num_bytes);
        next += rmask_atlas_align(num_bytes);
        memcpy(data + at.offsets + i * sizeof begin, &begin, sizeof begin);
        put(data, begin, mask, num_bytes, next);
        const uint32_t *mask_checksum = &((const rmask_header *)mask)->header_checksum;
        header->masks_checksum = rmask_checksum(header->masks_checksum, mask_checksum, sizeof *mask_checksum);
    }
    put(data, at.table, table, at.note - at.table, at.note);
    put(data, at.note, note, header->num_note_bytes, at.masks);
    header->index_checksum = rmask_checksum(0, data + at.offsets, (size_t)(at.masks - at.offsets));
    header->header_checksum = rmask_checksum(0, header, offsetof(rmask_atlas_header, header_checksum));
    memcpy(data, header, sizeof *header);
}

/* Copies of sound masks are as sound. */
static void trust_masks(rmask_atlas *atlas)
{
    for (uint32_t i = 0; i < atlas->num_masks; i++)
        atomic_store_explicit(&atlas->masks[i]->trusted, true, memory_order_relaxed);
}

static rmask_status lay_out(rmask_atlas_header *header, const rmask_distinct *distinct, const uint32_t *table, const char *note,
                            rmask_atlas **out, rmask_error *error)
{
    const rmask_allocator *allocator = &distinct->allocator;
    RMASK_TRY(measure(header, distinct, error));
    rmask_byte_vec bytes = {.len = (size_t)header->num_bytes, .cap = (size_t)header->num_bytes};
    bytes.at = rmask_allocate(allocator, bytes.cap, 1);
    if (!bytes.at) return rmask_fail_nomem(error);
    const uint8_t *data = bytes.at;
    fill(bytes.at, header, distinct, table, note);
    rmask_keeper *keeper = rmask_keep_bytes(&bytes, allocator);
    rmask_atlas *atlas = keeper ? rmask_atlas_new(data, keeper, allocator) : NULL;
    rmask_vec_free(allocator, &bytes);
    rmask_let_go(keeper);
    if (!atlas || !rmask_atlas_put_masks(atlas)) {
        rmask_atlas_release(atlas);
        return rmask_fail_nomem(error);
    }
    trust_masks(atlas);
    *out = atlas;
    return RMASK_OK;
}

/* ---------------------------------------------------------------- entries */

static rmask_status index_of(rmask_distinct *distinct, const rmask_atlas_header *header, const rmask *mask, uint32_t *index,
                             rmask_error *error)
{
    *index = RMASK_ATLAS_DENSE;
    if (!mask) return RMASK_OK;
    if (mask->header->rows != header->rows || mask->header->cols != header->cols)
        return rmask_fail(error, RMASK_ERR_ARGUMENT, "the mask's grid is %d x %d, the atlas's %d x %d", (int)mask->rows,
                          (int)mask->cols, (int)header->rows, (int)header->cols);
    if (rmask_is_full(mask->header)) return RMASK_OK;
    RMASK_TRY(rmask_trust(mask, error));
    return rmask_distinct_add(distinct, mask, index, error);
}

static rmask_status fill_table(uint32_t *table, rmask_distinct *distinct, const rmask_atlas_header *header,
                               const rmask *const *masks, rmask_error *error)
{
    for (uint32_t layer = 0, entry = 0; layer < header->layers; layer++)
        for (uint32_t head = 0; head < header->heads; head++, entry++) {
            rmask_error cause;
            const rmask_status status = index_of(distinct, header, masks[entry], &table[entry], &cause);
            if (status)
                return rmask_fail(error, status, "layer %u, head %u: %.200s", (unsigned)layer, (unsigned)head, cause.message);
        }
    return RMASK_OK;
}

static rmask_status check_sides(int32_t layers, int32_t heads, rmask_error *error)
{
    if (layers >= 1 && layers <= RMASK_ATLAS_MAX_SIDE && heads >= 1 && heads <= RMASK_ATLAS_MAX_SIDE) return RMASK_OK;
    return rmask_fail(error, RMASK_ERR_RANGE, "%d layers of %d heads are out of range: both go from 1 to %d", (int)layers,
                      (int)heads, RMASK_ATLAS_MAX_SIDE);
}

rmask_status rmask_atlas_create(int32_t layers, int32_t heads, int32_t rows, int32_t cols, const rmask *const *masks,
                                const char *note, const rmask_allocator *allocator, rmask_atlas **out, rmask_error *error)
{
    *out = NULL;
    RMASK_TRY(check_sides(layers, heads, error));
    RMASK_TRY(rmask_check_grid(rows, cols, error));
    if (!note) note = "";
    RMASK_TRY(rmask_atlas_check_note(note, error));
    rmask_atlas_header header = {
        .magic = RMASK_ATLAS_MAGIC,
        .version = RMASK_ATLAS_VERSION,
        .rows = (uint32_t)rows,
        .cols = (uint32_t)cols,
        .layers = (uint32_t)layers,
        .heads = (uint32_t)heads,
        .num_note_bytes = (uint32_t)strlen(note),
    };
    const size_t num_entries = (size_t)layers * (size_t)heads;
    rmask_distinct distinct = {.allocator = rmask_allocator_or_default(allocator)};
    uint32_t *table = rmask_allocate(&distinct.allocator, num_entries, sizeof *table);
    if (!table) return rmask_fail_nomem(error);
    rmask_status status = fill_table(table, &distinct, &header, masks, error);
    if (!status) status = lay_out(&header, &distinct, table, note, out, error);
    rmask_free(&distinct.allocator, table, num_entries, sizeof *table);
    rmask_distinct_free(&distinct);
    return status;
}
