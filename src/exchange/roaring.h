/* SPDX-License-Identifier: Apache-2.0
 * Roaring's portable format (RoaringFormatSpec), little-endian throughout:
 *
 *     without runs   uint32 12346, uint32 number of containers
 *     with runs      uint32 12347 | (number of containers - 1) << 16, a bit a container that says whether it holds runs
 *     heads          per container uint16 key, uint16 cardinality - 1
 *     offsets        per container uint32 from the bitmap's beginning; left out of less than 4 containers with runs
 *     containers     runs:   uint16 number of runs, per run uint16 first value, uint16 length - 1
 *                    array:  up to 4,096 sorted uint16
 *                    bitset: 8,192 bytes, from 4,097 values on
 *
 * A 64-bit bitmap is a uint64 number of buckets, and per bucket the uint32 upper half of its keys and a 32-bit bitmap. */
#ifndef ROARMASK_EXCHANGE_ROARING_H
#define ROARMASK_EXCHANGE_ROARING_H

#include "roarmask/exchange.h"

enum {
    ROARING_COOKIE_NO_RUNS = 12346,
    ROARING_COOKIE_RUNS = 12347,
    ROARING_MAX_CONTAINERS = 65536,
    ROARING_CHUNK = 65536, /* values that a container is for */
    ROARING_FEW_CONTAINERS = 4,
    ROARING_MAX_ARRAY = 4096,
    ROARING_BITSET_BYTES = ROARING_CHUNK / 8,
};

/* Where the parts of a bitmap begin. */
typedef struct roaring_layout {
    size_t heads, offsets, containers; /* offsets == containers: there are none */
} roaring_layout;

static inline roaring_layout roaring_layout_of(uint32_t num_containers, bool has_runs)
{
    roaring_layout at;
    at.heads = has_runs ? 4 + ((size_t)num_containers + 7) / 8 : 8;
    at.offsets = at.heads + 4 * (size_t)num_containers;
    at.containers = has_runs && num_containers < ROARING_FEW_CONTAINERS ? at.offsets : at.offsets + 4 * (size_t)num_containers;
    return at;
}

/* Whether a whole mask is a 32-bit bitmap. */
static inline bool roaring_is_32(int32_t rows, int32_t cols)
{
    return rows <= RMASK_ROARING_MAX_SIDE && cols <= RMASK_ROARING_MAX_SIDE;
}

#endif
