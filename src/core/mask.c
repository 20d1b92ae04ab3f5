/* SPDX-License-Identifier: Apache-2.0
 * A mask's life, its facts, and its flat buffer. */
#include "core/mask.h"

#include "core/exception.h"

#include <string.h>

/* Keeps the flat buffer aligned behind the struct. */
static const size_t struct_bytes = (sizeof(rmask) + 7) / 8 * 8;

rmask *rmask_new(const rmask_header *header, const rmask_allocator *allocator)
{
    if (header->num_bytes > PTRDIFF_MAX - struct_bytes) return NULL;
    const size_t allocated_bytes = struct_bytes + (size_t)header->num_bytes;
    rmask *mask = rmask_allocate(allocator, allocated_bytes, 1);
    if (!mask) return NULL;
    mask->allocator = *allocator;
    mask->allocated_bytes = allocated_bytes;
    atomic_init(&mask->references, 1);
    mask->data = (uint8_t *)mask + struct_bytes;
    memcpy(mask->data, header, sizeof *header);
    memset(mask->data + header->num_bytes - 8, 0, 8);
    mask->header = (const rmask_header *)(const void *)mask->data;
    mask->rows = (int32_t)header->rows;
    mask->cols = (int32_t)header->cols;
    mask->num_strips = header->num_strips;
    mask->first_directory_row = header->first_directory_row;
    mask->num_directory_rows = header->num_directory_rows;

    const rmask_layout at = rmask_layout_of(header);
    mask->strips = (const void *)(mask->data + at.strips);
    mask->fixed = (const void *)(mask->data + at.fixed);
    mask->sliding = (const void *)(mask->data + at.sliding);
    mask->directory_rows =
        header->features & RMASK_FEATURE_SPARSE_DIRECTORY ? (const void *)(mask->data + at.directory_rows) : NULL;
    mask->directory_offsets = (const void *)(mask->data + at.directory_offsets);
    mask->containers = (const void *)(mask->data + at.containers);
    return mask;
}

rmask *rmask_retain(const rmask *mask)
{
    rmask *counted = (rmask *)(uintptr_t)mask; /* the reference count is not part of the mask's value */
    atomic_fetch_add_explicit(&counted->references, 1, memory_order_relaxed);
    return counted;
}

void rmask_release(rmask *mask)
{
    if (!mask || atomic_fetch_sub_explicit(&mask->references, 1, memory_order_acq_rel) != 1) return;
    const rmask_allocator allocator = mask->allocator;
    rmask_free(&allocator, mask, mask->allocated_bytes, 1);
}

int32_t rmask_rows(const rmask *mask) { return mask->rows; }

int32_t rmask_cols(const rmask *mask) { return mask->cols; }

uint64_t rmask_count(const rmask *mask) { return mask->header->count; }

double rmask_density(const rmask *mask)
{
    const double cells = (double)mask->rows * (double)mask->cols;
    return cells > 0 ? (double)mask->header->count / cells : 0;
}

const void *rmask_data(const rmask *mask, size_t *num_bytes)
{
    *num_bytes = (size_t)mask->header->num_bytes;
    return mask->data;
}

void rmask_get_stats(const rmask *mask, rmask_stats *stats)
{
    const rmask_header *header = mask->header;
    const rmask_layout at = rmask_layout_of(header);
    const uint64_t container_bytes = (uint64_t)header->num_container_units * sizeof(uint16_t);
    *stats = (rmask_stats){
        .count = header->count,
        .num_bytes = header->num_bytes,
        .header_bytes = sizeof *header + (at.end - at.containers - container_bytes),
        .strip_bytes = at.fixed - at.strips,
        .boundary_bytes = at.directory_rows - at.fixed,
        .directory_bytes = at.containers - at.directory_rows,
        .container_bytes = container_bytes,
        .num_strips = header->num_strips,
        .num_boundaries = (uint64_t)header->num_fixed + header->num_sliding,
        .num_exception_rows = header->num_exception_rows,
        .num_exceptions = header->num_exceptions,
    };
    rmask_exception_walk walk = rmask_walk_exceptions(mask, 0);
    while (rmask_walk_row(&walk) < mask->rows) {
        rmask_row_containers row = rmask_walk_take(&walk);
        for (rmask_container container; rmask_next_container(&row, &container);)
            *(container.is_bitset ? &stats->num_bitsets : &stats->num_arrays) += 1;
    }
}
