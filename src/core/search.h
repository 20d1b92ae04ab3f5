/* SPDX-License-Identifier: Apache-2.0
 * Binary searches in the flat buffer, for the library and for kernels on a device alike. */
#ifndef ROARMASK_CORE_SEARCH_H
#define ROARMASK_CORE_SEARCH_H

#include <stddef.h>
#include <stdint.h>

#if defined(__CUDACC__)
#define RMASK_ANYWHERE static __host__ __device__ __forceinline__
#else
#define RMASK_ANYWHERE static inline
#endif

/* As it stands in the flat buffer. The strip's rows end where the next strip's begin. */
typedef struct rmask_strip {
    uint32_t row_begin;
    uint32_t fixed_begin, num_fixed;     /* slice of the fixed boundary pool */
    uint32_t sliding_begin, num_sliding; /* slice of the sliding boundary pool */
} rmask_strip;

/* Index of the first of n ascending values above `key`. */
RMASK_ANYWHERE uint32_t rmask_upper_bound(const int32_t *values, uint32_t n, int64_t key)
{
    uint32_t begin = 0;
    while (n > 0) {
        const uint32_t half = n / 2;
        if (values[begin + half] <= key) {
            begin += half + 1;
            n -= half + 1;
        } else {
            n = half;
        }
    }
    return begin;
}

/* The last of n strips, at least one, that begins at or above `row`: the one that the row belongs to. */
RMASK_ANYWHERE const rmask_strip *rmask_find_strip(const rmask_strip *strip, uint32_t n, uint32_t row)
{
    while (n > 1) {
        const uint32_t half = n / 2;
        if (strip[half].row_begin <= row) strip += half;
        n -= half;
    }
    return strip;
}

/* The first of n entries of a directory at or after `row`. `rows` is NULL where they are the rows from first_row on. */
RMASK_ANYWHERE uint32_t rmask_find_entry(const uint32_t *rows, uint32_t n, uint32_t first_row, uint32_t row)
{
    if (!rows) return row < first_row ? 0 : row - first_row < n ? row - first_row : n;
    uint32_t begin = 0;
    for (uint32_t end = n; begin < end;) {
        const uint32_t middle = begin + (end - begin) / 2;
        if (rows[middle] < row)
            begin = middle + 1;
        else
            end = middle;
    }
    return begin;
}

#endif
