/* SPDX-License-Identifier: Apache-2.0
 * Finding and reading exceptions. */
#include "core/exception.h"

#include "simd/simd.h"

bool rmask_container_has(const rmask_container *container, uint32_t offset)
{
    if (container->is_bitset) return container->units[offset / 16] >> offset % 16 & 1;
    const size_t i = rmask_simd_get()->lower_bound(container->units, container->num_units, offset);
    return i < container->num_units && container->units[i] == offset;
}

size_t rmask_container_count(const rmask_container *container)
{
    return container->is_bitset ? rmask_simd_get()->popcount(container->units, container->num_units) : container->num_units;
}

size_t rmask_container_count_range(const rmask_container *container, uint32_t begin, uint32_t end)
{
    const rmask_simd *simd = rmask_simd_get();
    const uint16_t *units = container->units;
    if (begin >= end) return 0;
    if (!container->is_bitset)
        return simd->lower_bound(units, container->num_units, end) - simd->lower_bound(units, container->num_units, begin);
    const uint32_t first = begin / 16, last = (end - 1) / 16;
    const unsigned keep_first = 0xffffu << begin % 16 & 0xffff, keep_last = 0xffffu >> (15 - (end - 1) % 16);
    if (first == last) return (size_t)__builtin_popcount(units[first] & keep_first & keep_last);
    return (size_t)__builtin_popcount(units[first] & keep_first) + simd->popcount(units + first + 1, last - first - 1) +
           (size_t)__builtin_popcount(units[last] & keep_last);
}

rmask_status rmask_append_columns(rmask_row_containers row, const rmask_allocator *allocator, rmask_int32_vec *cols)
{
    for (rmask_container container; rmask_next_container(&row, &container);) {
        const int32_t base = container.chunk * RMASK_CHUNK_COLS;
        if (!rmask_vec_reserve(allocator, cols, rmask_container_count(&container))) return RMASK_ERR_NOMEM;
        if (!container.is_bitset)
            for (uint32_t i = 0; i < container.num_units; i++) rmask_vec_put(cols, base + container.units[i]);
        else
            for (uint32_t i = 0; i < container.num_units; i++)
                for (unsigned word = container.units[i]; word; word &= word - 1)
                    rmask_vec_put(cols, base + (int32_t)(i * 16) + __builtin_ctz(word));
    }
    return RMASK_OK;
}

rmask_exception_walk rmask_walk_exceptions(const rmask *mask, int32_t row)
{
    return (rmask_exception_walk){mask, rmask_directory_find(mask, row)};
}
