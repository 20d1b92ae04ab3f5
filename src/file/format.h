/* SPDX-License-Identifier: Apache-2.0
 * The flat buffer of a mask, byte by byte. docs/format.md draws it. Little-endian throughout; the sections follow the header in the
 * order below without gaps, and zero bytes pad the end to a multiple of 8.
 *
 *     header             rmask_header                                  128 bytes
 *     strips             rmask_strip      x num_strips                 20 bytes each
 *     fixed boundaries   int32            x num_fixed
 *     sliding boundaries int32            x num_sliding
 *     directory rows     uint32           x num_directory_rows         only with RMASK_FEATURE_SPARSE_DIRECTORY
 *     directory offsets  uint32           x num_directory_rows + 1     only when num_directory_rows > 0
 *     containers         uint16           x num_container_units
 */
#ifndef ROARMASK_FILE_FORMAT_H
#define ROARMASK_FILE_FORMAT_H

#include "core/strip.h"

#include <assert.h>

#define RMASK_MAGIC "\x93RMASK\r\n"

/* Version 0 may still change without notice. */
enum { RMASK_FORMAT_VERSION = 0 };

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
    uint32_t reserved_a;
    uint64_t reserved[6]; /* zero */
} rmask_header;

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
