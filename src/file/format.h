/* SPDX-License-Identifier: Apache-2.0
 * The flat buffer of a mask, byte by byte. docs/format.md draws it. Little-endian throughout; the sections follow the header in
 * the order below without gaps, and zero bytes pad the end to a multiple of 8.
 *
 *     header             rmask_header                                  128 bytes
 *     strips             rmask_strip      x num_strips                 20 bytes each
 *     fixed boundaries   int32            x num_fixed
 *     sliding boundaries int32            x num_sliding
 *     directory rows     uint32           x num_directory_rows         only with RMASK_FEATURE_SPARSE_DIRECTORY
 *     directory offsets  uint32           x num_directory_rows + 1     only when num_directory_rows > 0
 *     containers         uint16           x num_container_units
 * */
#ifndef ROARMASK_FILE_FORMAT_H
#define ROARMASK_FILE_FORMAT_H

#include "core/strip.h"

#include <assert.h>
#include <stddef.h>

#define RMASK_MAGIC "\x93RMASK\r\n"

/* A file of version 1 opens for ever: what comes later gets feature bits or another version. */
enum { RMASK_FORMAT_VERSION = 1 };

/* The directory lists its rows; without it, it covers num_directory_rows rows from first_directory_row on. */
#define RMASK_FEATURE_SPARSE_DIRECTORY UINT32_C(1)
#define RMASK_FEATURES_KNOWN RMASK_FEATURE_SPARSE_DIRECTORY

typedef struct rmask_header {
    uint8_t magic[8];
    uint32_t version;
    uint32_t features;
    uint32_t rows;
    uint32_t cols;
    uint64_t num_bytes; /* of the whole buffer, padding included */
    uint64_t count;     /* cells of the mask */
    uint64_t num_exceptions;
    uint32_t num_exception_rows;
    uint32_t num_strips;
    uint32_t num_fixed;
    uint32_t num_sliding;
    uint32_t first_directory_row;
    uint32_t num_directory_rows;
    uint32_t num_container_units;
    uint32_t container_cols;     /* the columns that containers are laid out for: cols, or more in a mask that grows */
    uint32_t container_checksum; /* CRC-32C of the containers and the padding */
    uint32_t index_checksum;     /* CRC-32C of everything between header and containers */
    uint32_t header_checksum;    /* CRC-32C of the bytes of the header before this field */
    uint32_t reserved_a;         /* zero */
    uint64_t reserved[4];        /* zero */
} rmask_header;

/* The sum of all strips' list lengths. Strips may share lists, so this, and not the bytes, bounds the time to count the
 * cells. */
#define RMASK_MAX_STRIP_BOUNDARIES (UINT64_C(1) << 32)

#define RMASK_AT(type, field, offset) \
    static_assert(offsetof(type, field) == (offset), #field " is not where docs/format.md has it")
RMASK_AT(rmask_header, version, 8);
RMASK_AT(rmask_header, features, 12);
RMASK_AT(rmask_header, rows, 16);
RMASK_AT(rmask_header, cols, 20);
RMASK_AT(rmask_header, num_bytes, 24);
RMASK_AT(rmask_header, count, 32);
RMASK_AT(rmask_header, num_exceptions, 40);
RMASK_AT(rmask_header, num_exception_rows, 48);
RMASK_AT(rmask_header, num_strips, 52);
RMASK_AT(rmask_header, num_fixed, 56);
RMASK_AT(rmask_header, num_sliding, 60);
RMASK_AT(rmask_header, first_directory_row, 64);
RMASK_AT(rmask_header, num_directory_rows, 68);
RMASK_AT(rmask_header, num_container_units, 72);
RMASK_AT(rmask_header, container_cols, 76);
RMASK_AT(rmask_header, container_checksum, 80);
RMASK_AT(rmask_header, index_checksum, 84);
RMASK_AT(rmask_header, header_checksum, 88);
RMASK_AT(rmask_header, reserved_a, 92);
RMASK_AT(rmask_header, reserved, 96);
RMASK_AT(rmask_strip, row_begin, 0);
RMASK_AT(rmask_strip, fixed_begin, 4);
RMASK_AT(rmask_strip, num_fixed, 8);
RMASK_AT(rmask_strip, sliding_begin, 12);
RMASK_AT(rmask_strip, num_sliding, 16);
static_assert(sizeof(rmask_header) == 128, "the header has no hidden padding");
static_assert(sizeof(rmask_strip) == 20, "a strip has no hidden padding");

/* Where the sections begin and how long they are, from the counts of a header. */
typedef struct rmask_layout {
    uint64_t strips, fixed, sliding, directory_rows, directory_offsets, containers, end;
} rmask_layout;

static inline rmask_layout rmask_layout_of(const rmask_header *header)
{
    rmask_layout at;
    const uint64_t listed = header->features & RMASK_FEATURE_SPARSE_DIRECTORY ? header->num_directory_rows : 0;
    const uint64_t offsets = header->num_directory_rows ? (uint64_t)header->num_directory_rows + 1 : 0;
    at.strips = sizeof(rmask_header);
    at.fixed = at.strips + (uint64_t)header->num_strips * sizeof(rmask_strip);
    at.sliding = at.fixed + (uint64_t)header->num_fixed * sizeof(int32_t);
    at.directory_rows = at.sliding + (uint64_t)header->num_sliding * sizeof(int32_t);
    at.directory_offsets = at.directory_rows + listed * sizeof(uint32_t);
    at.containers = at.directory_offsets + offsets * sizeof(uint32_t);
    at.end = (at.containers + (uint64_t)header->num_container_units * sizeof(uint16_t) + 7) / 8 * 8;
    return at;
}

#endif
