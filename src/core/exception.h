/* SPDX-License-Identifier: Apache-2.0
 * Exceptions: the cells where a mask differs from its strips, one container per row and chunk of 2^16 columns.
 *
 * A container is a sorted array of 16-bit column offsets or, where that is not larger, a bitset of the chunk's real width. So an
 * array is always shorter than the chunk's bitset, and the length alone tells the two apart.
 *
 * In a grid of one chunk a row's units are its container. In a wider grid they are: uint16 number of containers, then per container
 * uint16 chunk and uint16 number of units, then the containers' units one after the other. */
#ifndef ROARMASK_CORE_EXCEPTION_H
#define ROARMASK_CORE_EXCEPTION_H

#include "core/mask.h"

enum {
    RMASK_CHUNK_COLS = 65536,
    RMASK_CHUNK_UNITS = RMASK_CHUNK_COLS / 16, /* a full chunk's bitset */
};

/* One chunk of one row: a sorted array of `num_units` 16-bit column offsets, or a bitset of the chunk's width. */
typedef struct rmask_container {
    int32_t chunk;         /* column / 65536 */
    uint32_t num_units;    /* length of `units` */
    bool is_bitset;
    const uint16_t *units; /* array: offsets, strictly increasing; bitset: bit c % 16 of unit c / 16 */
} rmask_container;

static inline int32_t rmask_num_chunks(int32_t cols) { return (int32_t)(((int64_t)cols + RMASK_CHUNK_COLS - 1) / RMASK_CHUNK_COLS); }

/* Columns of a chunk: 65,536 but for the last one. */
static inline int32_t rmask_chunk_width(int32_t cols, int32_t chunk)
{
    const int64_t rest = (int64_t)cols - (int64_t)chunk * RMASK_CHUNK_COLS;
    return rest < RMASK_CHUNK_COLS ? (int32_t)rest : RMASK_CHUNK_COLS;
}

/* Units of a chunk's bitset: an array has fewer. */
static inline uint32_t rmask_bitset_units(int32_t cols, int32_t chunk)
{
    return ((uint32_t)rmask_chunk_width(cols, chunk) + 15) / 16;
}

/* The containers of one row, in the order of their chunks. */
typedef struct rmask_row_containers {
    int32_t cols;           /* that the containers are laid out for */
    uint32_t left;          /* containers still to come */
    uint32_t num_units;     /* a single chunk's */
    const uint16_t *heads;  /* pairs (chunk, units); NULL in a grid of one chunk */
    const uint16_t *units;
} rmask_row_containers;

/* The directory entry of the first row at or after `row`. */
static inline uint32_t rmask_directory_find(const rmask *mask, int32_t row)
{
    return rmask_find_entry(mask->directory_rows, mask->num_directory_rows, mask->first_directory_row, (uint32_t)row);
}

/* The row of a directory entry. */
static inline int32_t rmask_directory_row(const rmask *mask, uint32_t index)
{
    return (int32_t)(mask->directory_rows ? mask->directory_rows[index] : mask->first_directory_row + index);
}

/* Walks a row's containers, given where the directory says they lie. */
static inline rmask_row_containers rmask_containers_at(const rmask *mask, uint32_t begin, uint32_t end)
{
    const uint16_t *units = mask->containers + begin;
    if (mask->container_cols <= RMASK_CHUNK_COLS) return (rmask_row_containers){mask->container_cols, 1, end - begin, NULL, units};
    const uint32_t n = units[0];
    return (rmask_row_containers){mask->container_cols, n, 0, units + 1, units + 1 + 2 * (size_t)n};
}

/* Starts at the first container of a row; none where the row has no exceptions. */
static inline rmask_row_containers rmask_containers_of(const rmask *mask, int32_t row)
{
    const rmask_row_containers none = {.left = 0};
    const uint32_t i = rmask_directory_find(mask, row);
    if (i == mask->num_directory_rows || rmask_directory_row(mask, i) != row) return none;
    const uint32_t begin = mask->directory_offsets[i], end = mask->directory_offsets[i + 1];
    for (uint32_t line = begin; line < end && line < begin + 256; line += 32) /* rows are read in any order: fetch it all at once */
        __builtin_prefetch(mask->containers + line);
    return begin < end ? rmask_containers_at(mask, begin, end) : none;
}

/* Takes the next container; false after the last. */
static inline bool rmask_next_container(rmask_row_containers *row, rmask_container *container)
{
    if (!row->left) return false;
    row->left--;
    container->units = row->units;
    if (row->heads) {
        container->chunk = row->heads[0];
        container->num_units = row->heads[1];
        row->heads += 2;
    } else {
        container->chunk = 0;
        container->num_units = row->num_units;
    }
    row->units += container->num_units;
    container->is_bitset = container->num_units == rmask_bitset_units(row->cols, container->chunk);
    return true;
}

/* Whether a column, relative to the chunk, is in a container. */
bool rmask_container_has(const rmask_container *container, uint32_t offset);

/* Entries of a container. */
size_t rmask_container_count(const rmask_container *container);

/* Entries of a container in the columns [begin, end) relative to the chunk. */
size_t rmask_container_count_range(const rmask_container *container, uint32_t begin, uint32_t end);

/* Appends the columns of a row's containers, increasing. RMASK_ERR_NOMEM is the only failure. */
rmask_status rmask_append_columns(rmask_row_containers row, const rmask_allocator *allocator, rmask_int32_vec *cols);

/* Walks the rows of a mask that have exceptions, in order. */
typedef struct rmask_exception_walk {
    const rmask *mask;
    uint32_t index; /* of the directory entry to look at next */
} rmask_exception_walk;

/* From the first exceptional row at or after `row` on. */
rmask_exception_walk rmask_walk_exceptions(const rmask *mask, int32_t row);

/* The row the walk stands at, or rmask_rows(mask) at its end. Skips rows without exceptions. */
static inline int32_t rmask_walk_row(rmask_exception_walk *walk)
{
    const rmask *mask = walk->mask;
    const uint32_t n = mask->num_directory_rows;
    while (walk->index < n && mask->directory_offsets[walk->index] == mask->directory_offsets[walk->index + 1]) walk->index++;
    return walk->index < n ? rmask_directory_row(mask, walk->index) : mask->rows;
}

/* The containers of the row the walk stands at; moves on to the next. Only when rmask_walk_row was in range. */
static inline rmask_row_containers rmask_walk_take(rmask_exception_walk *walk)
{
    const uint32_t *offsets = walk->mask->directory_offsets + walk->index++;
    return rmask_containers_at(walk->mask, offsets[0], offsets[1]);
}

#endif
