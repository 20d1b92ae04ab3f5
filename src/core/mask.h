/* SPDX-License-Identifier: Apache-2.0
 * What a mask is in memory: one allocation that holds this struct and, behind it, the flat buffer that the pointers look into. */
#ifndef ROARMASK_CORE_MASK_H
#define ROARMASK_CORE_MASK_H

#include "core/memory.h"
#include "core/status.h"
#include "core/strip.h"
#include "file/format.h"

#include <stdatomic.h>

/* Memory that several masks lie in: a mapped file, an atlas, what a grower has written. Each mask in it holds one reference. */
typedef struct rmask_keeper {
    _Atomic size_t references;
    void (*let_go)(struct rmask_keeper *keeper); /* when the last reference is dropped */
} rmask_keeper;

void rmask_keep(rmask_keeper *keeper);
void rmask_let_go(rmask_keeper *keeper); /* NULL is allowed */

struct rmask {
    _Atomic size_t references;
    rmask_allocator allocator;
    size_t allocated_bytes;
    rmask_keeper *keeper;      /* what the sections lie in; NULL: behind this struct */
    bool apart;                /* the sections lie apart, and rmask_data puts a flat buffer together, which then is the mask's own */
    _Atomic(uint8_t *) data;   /* the flat buffer, 8-byte aligned; NULL when there is none yet */
    _Atomic int seal;          /* whether the buffer's checksums are written; see rmask_data */
    _Atomic bool trusted;      /* every row's containers are known to be sound; see check.h */
    const rmask_header *header;
    int32_t rows, cols, container_cols;
    uint32_t num_strips, first_directory_row, num_directory_rows; /* as in the header, one step nearer */
    const rmask_strip *strips;
    const int32_t *fixed, *sliding;
    const uint32_t *directory_rows; /* NULL when the directory covers a span of rows */
    const uint32_t *directory_offsets;
    const uint16_t *containers;
};

/* A mask of one reference whose buffer has room for what `header` announces; header copied, sections not filled in. It is trusted and
 * not sealed. NULL when out of memory. */
rmask *rmask_new(const rmask_header *header, const rmask_allocator *allocator);

/* A mask of one reference over a flat buffer, 8-byte aligned, that lies in `keeper`, which gets one reference more. Header and index are
 * checked already; the rows are not trusted. NULL when out of memory. */
rmask *rmask_new_view(const void *data, rmask_keeper *keeper, const rmask_allocator *allocator);

/* A mask of one reference whose sections lie apart, in `keeper`, which gets one reference more. The header is copied; num_bytes is filled in.
 * It is trusted. NULL when out of memory. */
rmask *rmask_new_apart(const rmask_header *header, const rmask_strip *strips, const int32_t *fixed, const int32_t *sliding,
                       const uint32_t *directory_rows, const uint32_t *directory_offsets, const uint16_t *containers,
                       rmask_keeper *keeper, const rmask_allocator *allocator);

/* Writes the checksums into a flat buffer whose layout is sound. */
void rmask_seal_header(uint8_t *data);

/* Whether two flat buffers hold the same bytes, the checksums aside; false where one of them has yet to be put together. */
bool rmask_same_bytes(const rmask *a, const rmask *b);

/* Bytes of strips and lists. */
static inline uint64_t rmask_strip_bytes(const rmask *mask)
{
    const rmask_layout at = rmask_layout_of(mask->header);
    return at.directory_rows - at.strips;
}

/* Checks that rows and columns of a window, begins before ends, lie in the grid. */
rmask_status rmask_check_window(const rmask *mask, int32_t row_begin, int32_t row_end, int32_t col_begin, int32_t col_end,
                                rmask_error *error);

/* The strip that a row belongs to. The row is in range. */
static inline const rmask_strip *rmask_strip_of(const rmask *mask, int32_t row)
{
    return rmask_find_strip(mask->strips, mask->num_strips, (uint32_t)row);
}

/* One past a strip's last row. */
static inline int32_t rmask_strip_end(const rmask *mask, const rmask_strip *strip)
{
    const bool is_last = strip + 1 == mask->strips + mask->num_strips;
    return is_last ? mask->rows : (int32_t)strip[1].row_begin;
}

static inline rmask_boundaries rmask_boundaries_of(const rmask *mask, const rmask_strip *strip)
{
    return (rmask_boundaries){mask->fixed + strip->fixed_begin, strip->num_fixed, mask->sliding + strip->sliding_begin,
                              strip->num_sliding};
}

/* Multi-byte fields are used in place, so the library is for little-endian machines; this makes others fail at build time. */
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "roarmask is for little-endian machines"
#endif

#endif
