/* SPDX-License-Identifier: Apache-2.0
 * Distrust of atlases: nothing in a flat buffer is used before it has been checked here. */
#include "atlas/atlas.h"
#include "atlas/distinct.h"
#include "core/check.h"
#include "file/checksum.h"

#include <string.h>

static rmask_status fail_at(rmask_error *error, uint64_t offset, const char *what)
{
    return rmask_fail(error, RMASK_ERR_FORMAT, "not a valid atlas: %s at byte %llu", what, (unsigned long long)offset);
}

/* Says which mask a message is about. */
static rmask_status fail_in_mask(rmask_error *error, rmask_status status, uint32_t index, uint64_t offset,
                                 const rmask_error *cause)
{
    return rmask_fail(error, status, "mask %u at byte %llu of the atlas: %.180s", (unsigned)index, (unsigned long long)offset,
                      cause->message);
}

/* Checks that the bytes from `begin` to `end` are 0. */
static rmask_status check_gap(const uint8_t *data, uint64_t begin, uint64_t end, rmask_error *error)
{
    for (uint64_t i = begin; i < end; i++)
        if (data[i]) return fail_at(error, i, "a gap that is not 0");
    return RMASK_OK;
}

/* ---------------------------------------------------------------- note */

/* The length of the character that begins `text`, or 0 where it is not UTF-8 (Unicode, table 3-7) or NUL. */
static size_t character_bytes(const uint8_t *text, size_t num_bytes)
{
    const uint8_t first = text[0];
    if (first < 0x80) return first != 0;
    const size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc2 || first > 0xf4 || length > num_bytes) return 0;
    const uint8_t low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    const uint8_t high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
    if (text[1] < low || text[1] > high) return 0;
    for (size_t i = 2; i < length; i++)
        if ((text[i] & 0xc0) != 0x80) return 0;
    return length;
}

/* How many bytes are sound: all of them, or those before a fault. */
static size_t sound_note_bytes(const uint8_t *note, size_t num_bytes)
{
    size_t at = 0;
    for (size_t length; at < num_bytes && (length = character_bytes(note + at, num_bytes - at)) > 0;) at += length;
    return at;
}

rmask_status rmask_atlas_check_note(const char *note, rmask_error *error)
{
    const size_t num_bytes = strlen(note);
    if (num_bytes > RMASK_ATLAS_MAX_NOTE_BYTES)
        return rmask_fail(error, RMASK_ERR_ARGUMENT, "the note has %zu bytes, and room is for %d", num_bytes,
                          RMASK_ATLAS_MAX_NOTE_BYTES);
    const size_t sound = sound_note_bytes((const uint8_t *)note, num_bytes);
    return sound == num_bytes ? RMASK_OK : rmask_fail(error, RMASK_ERR_ARGUMENT, "the note is not UTF-8 at byte %zu", sound);
}

/* ---------------------------------------------------------------- header */

rmask_status rmask_atlas_peek_header(const void *data, size_t num_bytes, rmask_atlas_header *header, rmask_error *error)
{
    if (num_bytes < sizeof header->magic || memcmp(data, RMASK_ATLAS_MAGIC, sizeof header->magic) != 0)
        return rmask_fail(error, RMASK_ERR_FORMAT, "not an atlas: it does not begin with the header of one");
    if (num_bytes < sizeof *header) return fail_at(error, num_bytes, "a header cut off");
    memcpy(header, data, sizeof *header);
    if (header->version != RMASK_ATLAS_VERSION)
        return rmask_fail(error, RMASK_ERR_FORMAT, "the atlas has format version %u, this library reads version %d",
                          (unsigned)header->version, RMASK_ATLAS_VERSION);
    if (header->features)
        return rmask_fail(error, RMASK_ERR_FORMAT, "the atlas uses features 0x%x that this library does not know",
                          (unsigned)header->features);
    const size_t summed = offsetof(rmask_atlas_header, header_checksum);
    if (rmask_checksum(0, data, summed) != header->header_checksum)
        return fail_at(error, summed, "a wrong checksum of the header");
    if (header->rows > RMASK_MAX_SIDE) return fail_at(error, offsetof(rmask_atlas_header, rows), "too many rows");
    if (header->cols > RMASK_MAX_SIDE) return fail_at(error, offsetof(rmask_atlas_header, cols), "too many columns");
    if (header->layers < 1 || header->layers > RMASK_ATLAS_MAX_SIDE)
        return fail_at(error, offsetof(rmask_atlas_header, layers), "an impossible number of layers");
    if (header->heads < 1 || header->heads > RMASK_ATLAS_MAX_SIDE)
        return fail_at(error, offsetof(rmask_atlas_header, heads), "an impossible number of heads");
    if (header->num_masks > (uint64_t)header->layers * header->heads)
        return fail_at(error, offsetof(rmask_atlas_header, num_masks), "more masks than entries");
    if (header->num_note_bytes > RMASK_ATLAS_MAX_NOTE_BYTES)
        return fail_at(error, offsetof(rmask_atlas_header, num_note_bytes), "too long a note");
    if (header->reserved) return fail_at(error, offsetof(rmask_atlas_header, reserved), "reserved bytes that are not 0");
    const uint64_t masks = rmask_atlas_layout_of(header).masks;
    if (header->num_bytes < masks || (header->num_bytes - masks) / sizeof(rmask_header) < header->num_masks ||
        (header->num_masks == 0 && header->num_bytes > masks))
        return fail_at(error, offsetof(rmask_atlas_header, num_bytes),
                       "a number of bytes that does not fit the tables and masks");
    return RMASK_OK;
}

/* ---------------------------------------------------------------- tables */

/* Masks are numbered in the order in which the entries first use them, so each is used. */
static rmask_status check_table(const rmask_atlas_header *header, const uint8_t *data, rmask_error *error)
{
    const rmask_atlas_layout at = rmask_atlas_layout_of(header);
    const uint32_t *table = (const void *)(data + at.table);
    uint32_t num_used = 0;
    for (uint64_t i = 0; i < (uint64_t)header->layers * header->heads; i++) {
        if (table[i] == RMASK_ATLAS_DENSE || table[i] < num_used) continue;
        if (table[i] >= header->num_masks) return fail_at(error, at.table + i * sizeof *table, "an entry without a mask");
        if (table[i] > num_used) return fail_at(error, at.table + i * sizeof *table, "a mask out of order");
        num_used++;
    }
    if (num_used < header->num_masks)
        return fail_at(error, offsetof(rmask_atlas_header, num_masks), "a mask that no entry uses");
    return RMASK_OK;
}

static rmask_status check_mask_header(const rmask_atlas_header *header, const uint8_t *data, uint64_t begin, uint64_t end,
                                      rmask_error *error)
{
    rmask_header mask;
    RMASK_TRY(rmask_peek_header(data + begin, (size_t)(end - begin), &mask, error));
    if (mask.num_bytes > end - begin || rmask_atlas_align(mask.num_bytes) != end - begin)
        return rmask_fail(error, RMASK_ERR_FORMAT, "not a valid mask: it announces %llu bytes, and there is room for %llu",
                          (unsigned long long)mask.num_bytes, (unsigned long long)(end - begin));
    if (mask.rows != header->rows || mask.cols != header->cols)
        return rmask_fail(error, RMASK_ERR_FORMAT, "not a mask of this atlas: its grid is another");
    if (rmask_is_full(&mask))
        return rmask_fail(error, RMASK_ERR_FORMAT, "not a mask of this atlas: it has every cell, so its entries are dense");
    return RMASK_OK;
}

static rmask_status check_mask_headers(const rmask_atlas_header *header, const uint8_t *data, rmask_error *error)
{
    const rmask_atlas_layout at = rmask_atlas_layout_of(header);
    const uint64_t *offsets = (const void *)(data + at.offsets);
    uint32_t checksum = 0;
    for (uint32_t i = 0; i < header->num_masks; i++) {
        const uint64_t begin = offsets[i], end = i + 1 < header->num_masks ? offsets[i + 1] : header->num_bytes;
        if ((i == 0 && begin != at.masks) || begin % RMASK_ATLAS_ALIGNMENT || end <= begin || end > header->num_bytes)
            return fail_at(error, at.offsets + i * sizeof *offsets, "an offset out of place");
        rmask_error cause;
        const rmask_status status = check_mask_header(header, data, begin, end, &cause);
        if (status) return fail_in_mask(error, status, i, begin, &cause);
        checksum = rmask_checksum(checksum, data + begin + offsetof(rmask_header, header_checksum), sizeof(uint32_t));
    }
    if (checksum != header->masks_checksum)
        return fail_at(error, offsetof(rmask_atlas_header, masks_checksum), "a wrong checksum of the masks");
    return RMASK_OK;
}

rmask_status rmask_atlas_check_head(const void *buffer, size_t num_bytes, rmask_error *error)
{
    const uint8_t *data = buffer;
    rmask_atlas_header header;
    RMASK_TRY(rmask_atlas_peek_header(data, num_bytes, &header, error));
    if (header.num_bytes != num_bytes)
        return rmask_fail(error, RMASK_ERR_FORMAT, "not a valid atlas: it announces %llu bytes, and there are %zu",
                          (unsigned long long)header.num_bytes, num_bytes);
    const rmask_atlas_layout at = rmask_atlas_layout_of(&header);
    if (rmask_checksum(0, data + at.offsets, (size_t)(at.masks - at.offsets)) != header.index_checksum)
        return fail_at(error, offsetof(rmask_atlas_header, index_checksum), "a wrong checksum of the tables and the note");
    const size_t sound = sound_note_bytes(data + at.note, header.num_note_bytes);
    if (sound != header.num_note_bytes) return fail_at(error, at.note + sound, "a note that is not UTF-8");
    RMASK_TRY(check_gap(data, at.note + header.num_note_bytes, at.masks, error));
    RMASK_TRY(check_table(&header, data, error));
    return check_mask_headers(&header, data, error);
}

/* ---------------------------------------------------------------- masks */

/* Asks `check` about every mask. */
static rmask_status check_each(const rmask_atlas *atlas, rmask_status (*check)(const rmask *mask, rmask_error *error),
                               rmask_error *error)
{
    for (uint32_t i = 0; i < atlas->num_masks; i++) {
        rmask_error cause;
        const rmask_status status = check(atlas->masks[i], &cause);
        if (status) return fail_in_mask(error, status, i, atlas->offsets[i], &cause);
    }
    return RMASK_OK;
}

rmask_status rmask_atlas_check_masks(const rmask_atlas *atlas, rmask_error *error)
{
    return check_each(atlas, rmask_check_index, error);
}

static rmask_status check_gaps(const rmask_atlas *atlas, rmask_error *error)
{
    for (uint32_t i = 0; i < atlas->num_masks; i++) {
        const uint64_t end = atlas->offsets[i] + atlas->masks[i]->header->num_bytes;
        RMASK_TRY(check_gap(atlas->data, end, rmask_atlas_align(end), error));
    }
    return RMASK_OK;
}

static rmask_status check_distinct(const rmask_atlas *atlas, rmask_error *error)
{
    rmask_distinct distinct = {.allocator = atlas->allocator};
    rmask_status status = RMASK_OK;
    for (uint32_t i = 0, index; i < atlas->num_masks && !status; i++) {
        status = rmask_distinct_add(&distinct, atlas->masks[i], &index, error);
        if (!status && index != i) status = fail_at(error, atlas->offsets[i], "a mask that is there already");
    }
    rmask_distinct_free(&distinct);
    return status;
}

rmask_status rmask_atlas_verify(const rmask_atlas *atlas, rmask_error *error)
{
    size_t num_bytes;
    const void *data = rmask_atlas_data(atlas, &num_bytes);
    RMASK_TRY(rmask_atlas_check_head(data, num_bytes, error));
    RMASK_TRY(check_each(atlas, rmask_verify, error));
    RMASK_TRY(check_gaps(atlas, error));
    return check_distinct(atlas, error);
}
