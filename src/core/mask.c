/* SPDX-License-Identifier: Apache-2.0
 * A mask's life, its facts, and its flat buffer. */
#include "core/mask.h"

#include "core/check.h"
#include "core/exception.h"
#include "file/checksum.h"

#include <sched.h>
#include <string.h>

void rmask_keep(rmask_keeper *keeper) { atomic_fetch_add_explicit(&keeper->references, 1, memory_order_relaxed); }

void rmask_let_go(rmask_keeper *keeper)
{
    if (keeper && atomic_fetch_sub_explicit(&keeper->references, 1, memory_order_acq_rel) == 1) keeper->let_go(keeper);
}

/* ---------------------------------------------------------------- life */

enum { NOT_SEALED, BEING_SEALED, SEALED };

/* Keeps what lies behind the struct aligned. */
static const size_t struct_bytes = (sizeof(rmask) + 7) / 8 * 8;

static rmask *new_struct(uint64_t bytes_behind, rmask_keeper *keeper, const rmask_allocator *allocator)
{
    if (bytes_behind > PTRDIFF_MAX - struct_bytes) return NULL;
    const size_t allocated_bytes = struct_bytes + (size_t)bytes_behind;
    rmask *mask = rmask_allocate(allocator, allocated_bytes, 1);
    if (!mask) return NULL;
    memset(mask, 0, sizeof *mask);
    mask->allocator = *allocator;
    mask->allocated_bytes = allocated_bytes;
    mask->keeper = keeper;
    if (keeper) rmask_keep(keeper);
    atomic_init(&mask->references, 1);
    atomic_init(&mask->data, NULL);
    atomic_init(&mask->seal, NOT_SEALED);
    atomic_init(&mask->trusted, keeper == NULL);
    return mask;
}

static void take_header(rmask *mask, const rmask_header *header)
{
    mask->header = header;
    mask->rows = (int32_t)header->rows;
    mask->cols = (int32_t)header->cols;
    mask->container_cols = (int32_t)header->container_cols;
    mask->num_strips = header->num_strips;
    mask->first_directory_row = header->first_directory_row;
    mask->num_directory_rows = header->num_directory_rows;
}

static void take_sections(rmask *mask, const uint8_t *data)
{
    const rmask_header *header = (const void *)data;
    const rmask_layout at = rmask_layout_of(header);
    take_header(mask, header);
    mask->strips = (const void *)(data + at.strips);
    mask->fixed = (const void *)(data + at.fixed);
    mask->sliding = (const void *)(data + at.sliding);
    mask->directory_rows = header->features & RMASK_FEATURE_SPARSE_DIRECTORY ? (const void *)(data + at.directory_rows) : NULL;
    mask->directory_offsets = (const void *)(data + at.directory_offsets);
    mask->containers = (const void *)(data + at.containers);
}

rmask *rmask_new(const rmask_header *header, const rmask_allocator *allocator)
{
    rmask *mask = new_struct(header->num_bytes, NULL, allocator);
    if (!mask) return NULL;
    uint8_t *data = (uint8_t *)mask + struct_bytes;
    memcpy(data, header, sizeof *header);
    memset(data + header->num_bytes - 8, 0, 8);
    atomic_init(&mask->data, data);
    take_sections(mask, data);
    return mask;
}

rmask *rmask_new_view(const void *data, rmask_keeper *keeper, const rmask_allocator *allocator)
{
    rmask *mask = new_struct(0, keeper, allocator);
    if (!mask) return NULL;
    atomic_init(&mask->data, (uint8_t *)(uintptr_t)data);
    atomic_init(&mask->seal, SEALED);
    take_sections(mask, data);
    return mask;
}

rmask *rmask_new_apart(const rmask_header *header, const rmask_strip *strips, const int32_t *fixed, const int32_t *sliding,
                       const uint32_t *directory_rows, const uint32_t *directory_offsets, const uint16_t *containers,
                       rmask_keeper *keeper, const rmask_allocator *allocator)
{
    rmask *mask = new_struct(sizeof *header, keeper, allocator);
    if (!mask) return NULL;
    rmask_header *own = (void *)((uint8_t *)mask + struct_bytes);
    *own = *header;
    own->num_bytes = rmask_layout_of(header).end;
    take_header(mask, own);
    atomic_init(&mask->trusted, true);
    mask->apart = true;
    mask->strips = strips;
    mask->fixed = fixed;
    mask->sliding = sliding;
    mask->directory_rows = header->features & RMASK_FEATURE_SPARSE_DIRECTORY ? directory_rows : NULL;
    mask->directory_offsets = directory_offsets;
    mask->containers = containers;
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
    if (mask->apart) rmask_free(&allocator, atomic_load(&mask->data), (size_t)mask->header->num_bytes, 1);
    rmask_keeper *keeper = mask->keeper;
    rmask_free(&allocator, mask, mask->allocated_bytes, 1);
    rmask_let_go(keeper);
}

/* ---------------------------------------------------------------- the flat buffer */

static void copy_section(uint8_t *section, const void *from, uint64_t num_bytes)
{
    if (num_bytes) memcpy(section, from, (size_t)num_bytes);
}

/* A flat copy of sections that lie apart. NULL when out of memory. */
static uint8_t *flatten(const rmask *mask)
{
    const rmask_header *header = mask->header;
    const rmask_layout at = rmask_layout_of(header);
    uint8_t *data = rmask_allocate(&mask->allocator, (size_t)at.end, 1);
    if (!data) return NULL;
    memset(data + at.end - 8, 0, 8);
    memcpy(data, header, sizeof *header);
    copy_section(data + at.strips, mask->strips, at.fixed - at.strips);
    copy_section(data + at.fixed, mask->fixed, at.sliding - at.fixed);
    copy_section(data + at.sliding, mask->sliding, at.directory_rows - at.sliding);
    copy_section(data + at.directory_rows, mask->directory_rows, at.directory_offsets - at.directory_rows);
    copy_section(data + at.directory_offsets, mask->directory_offsets, at.containers - at.directory_offsets);
    copy_section(data + at.containers, mask->containers, (uint64_t)header->num_container_units * sizeof(uint16_t));
    return data;
}

/* Several threads may come at once: the first one to put its copy in place wins. */
static uint8_t *flat_data(rmask *mask)
{
    uint8_t *data = atomic_load_explicit(&mask->data, memory_order_acquire);
    if (data) return data;
    uint8_t *made = flatten(mask);
    if (!made || atomic_compare_exchange_strong(&mask->data, &data, made)) return made;
    rmask_free(&mask->allocator, made, (size_t)mask->header->num_bytes, 1);
    return data;
}

void rmask_seal_header(uint8_t *data)
{
    rmask_header *header = (void *)data;
    const rmask_layout at = rmask_layout_of(header);
    header->container_checksum = rmask_checksum(0, data + at.containers, (size_t)(at.end - at.containers));
    header->index_checksum = rmask_checksum(0, data + at.strips, (size_t)(at.containers - at.strips));
    header->header_checksum = rmask_checksum(0, data, offsetof(rmask_header, header_checksum));
}

/* Checksums are for bytes that leave the process, so they are written when the bytes are asked for; again only one thread does. */
const void *rmask_data(const rmask *mask, size_t *num_bytes)
{
    rmask *own = (rmask *)(uintptr_t)mask; /* nor is the seal */
    uint8_t *data = flat_data(own);
    *num_bytes = data ? (size_t)mask->header->num_bytes : 0;
    if (!data || atomic_load_explicit(&own->seal, memory_order_acquire) == SEALED) return data;
    int before = NOT_SEALED;
    if (atomic_compare_exchange_strong(&own->seal, &before, BEING_SEALED)) {
        rmask_seal_header(data);
        atomic_store_explicit(&own->seal, SEALED, memory_order_release);
    } else {
        while (atomic_load_explicit(&own->seal, memory_order_acquire) != SEALED) sched_yield();
    }
    return data;
}

bool rmask_same_bytes(const rmask *a, const rmask *b)
{
    const uint8_t *data_a = atomic_load_explicit(&a->data, memory_order_acquire), *data_b = atomic_load_explicit(&b->data, memory_order_acquire);
    const size_t head = offsetof(rmask_header, container_checksum), tail = sizeof(rmask_header);
    return data_a && data_b && a->header->num_bytes == b->header->num_bytes && memcmp(data_a, data_b, head) == 0 &&
           memcmp(data_a + tail, data_b + tail, (size_t)a->header->num_bytes - tail) == 0;
}

/* ---------------------------------------------------------------- facts */

int32_t rmask_rows(const rmask *mask) { return mask->rows; }

int32_t rmask_cols(const rmask *mask) { return mask->cols; }

uint64_t rmask_count(const rmask *mask) { return mask->header->count; }

uint64_t rmask_num_bytes(const rmask *mask) { return mask->header->num_bytes; }

double rmask_density(const rmask *mask)
{
    const double cells = (double)mask->rows * (double)mask->cols;
    return cells > 0 ? (double)mask->header->count / cells : 0;
}

rmask_status rmask_check_window(const rmask *mask, int32_t row_begin, int32_t row_end, int32_t col_begin, int32_t col_end,
                                rmask_error *error)
{
    if (0 <= row_begin && row_begin <= row_end && row_end <= mask->rows && 0 <= col_begin && col_begin <= col_end && col_end <= mask->cols)
        return RMASK_OK;
    return rmask_fail(error, RMASK_ERR_RANGE, "rows [%d, %d) and columns [%d, %d) are out of range: the grid is %d x %d", (int)row_begin,
                      (int)row_end, (int)col_begin, (int)col_end, (int)mask->rows, (int)mask->cols);
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
        if (rmask_trust_entry(mask, walk.index, NULL)) {
            walk.index++;
            continue;
        }
        rmask_row_containers row = rmask_walk_take(&walk);
        for (rmask_container container; rmask_next_container(&row, &container);)
            *(container.is_bitset ? &stats->num_bitsets : &stats->num_arrays) += 1;
    }
}

rmask_status rmask_get_strip(const rmask *mask, size_t index, rmask_strip_view *view, rmask_error *error)
{
    *view = (rmask_strip_view){0};
    if (index >= mask->num_strips)
        return rmask_fail(error, RMASK_ERR_RANGE, "strip %zu is out of range: the mask has %u", index, mask->num_strips);
    const rmask_strip *strip = &mask->strips[index];
    const rmask_boundaries b = rmask_boundaries_of(mask, strip);
    *view = (rmask_strip_view){
        .row_begin = (int32_t)strip->row_begin,
        .row_end = rmask_strip_end(mask, strip),
        .fixed = b.fixed,
        .sliding = b.sliding,
        .num_fixed = b.num_fixed,
        .num_sliding = b.num_sliding,
    };
    return RMASK_OK;
}
