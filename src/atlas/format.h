/* SPDX-License-Identifier: Apache-2.0
 * The flat buffer of an atlas, byte by byte. docs/format.md draws it. Little-endian throughout.
 *
 *     header    rmask_atlas_header             64 bytes
 *     offsets   uint64 x num_masks             where each mask begins
 *     table     uint32 x layers * heads        each entry's mask, or RMASK_ATLAS_DENSE
 *     note      num_note_bytes and a NUL
 *     masks     flat buffers (file/format.h), each followed by zero bytes up to a multiple of RMASK_ATLAS_ALIGNMENT
 *
 * Zero bytes lead from the note to the first mask, which begins at such a multiple too. */
#ifndef ROARMASK_ATLAS_FORMAT_H
#define ROARMASK_ATLAS_FORMAT_H

#include "file/format.h"
#include "roarmask/atlas.h"

#define RMASK_ATLAS_MAGIC "\x93RATLS\r\n"

/* As with masks, a file of version 1 opens for ever. There are no features yet. */
enum { RMASK_ATLAS_VERSION = 1, RMASK_ATLAS_ALIGNMENT = 64 };

typedef struct rmask_atlas_header {
    uint8_t magic[8];
    uint32_t version;
    uint32_t features;
    uint32_t rows;
    uint32_t cols;
    uint64_t num_bytes; /* of the whole buffer */
    uint32_t layers;
    uint32_t heads;
    uint32_t num_masks;
    uint32_t num_note_bytes;
    uint32_t index_checksum;  /* CRC-32C of everything between header and masks */
    uint32_t masks_checksum;  /* CRC-32C of the masks' header checksums; of whole headers it would be the same for all */
    uint32_t header_checksum; /* CRC-32C of the bytes of the header before this field */
    uint32_t reserved;        /* zero */
} rmask_atlas_header;

RMASK_AT(rmask_atlas_header, version, 8);
RMASK_AT(rmask_atlas_header, features, 12);
RMASK_AT(rmask_atlas_header, rows, 16);
RMASK_AT(rmask_atlas_header, cols, 20);
RMASK_AT(rmask_atlas_header, num_bytes, 24);
RMASK_AT(rmask_atlas_header, layers, 32);
RMASK_AT(rmask_atlas_header, heads, 36);
RMASK_AT(rmask_atlas_header, num_masks, 40);
RMASK_AT(rmask_atlas_header, num_note_bytes, 44);
RMASK_AT(rmask_atlas_header, index_checksum, 48);
RMASK_AT(rmask_atlas_header, masks_checksum, 52);
RMASK_AT(rmask_atlas_header, header_checksum, 56);
RMASK_AT(rmask_atlas_header, reserved, 60);
static_assert(sizeof(rmask_atlas_header) == 64, "the header has no hidden padding");

/* Where the sections begin, from the counts of a header. */
typedef struct rmask_atlas_layout {
    uint64_t offsets, table, note, masks;
} rmask_atlas_layout;

static inline uint64_t rmask_atlas_align(uint64_t at)
{
    return (at + RMASK_ATLAS_ALIGNMENT - 1) / RMASK_ATLAS_ALIGNMENT * RMASK_ATLAS_ALIGNMENT;
}

static inline rmask_atlas_layout rmask_atlas_layout_of(const rmask_atlas_header *header)
{
    rmask_atlas_layout at;
    at.offsets = sizeof *header;
    at.table = at.offsets + (uint64_t)header->num_masks * sizeof(uint64_t);
    at.note = at.table + (uint64_t)header->layers * header->heads * sizeof(uint32_t);
    at.masks = rmask_atlas_align(at.note + header->num_note_bytes + 1);
    return at;
}

#endif
