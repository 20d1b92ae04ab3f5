/* SPDX-License-Identifier: Apache-2.0
 * Distrust of flat buffers: nothing in one is used before it has been checked here. */
#include "core/check.h"

#include "core/row.h"
#include "file/checksum.h"
#include "simd/simd.h"

#include <string.h>

static rmask_status fail_at(rmask_error *error, uint64_t offset, const char *what)
{
    return rmask_fail(error, RMASK_ERR_FORMAT, "not a valid mask: %s at byte %llu", what, (unsigned long long)offset);
}

/* ---------------------------------------------------------------- header */

rmask_status rmask_peek_header(const void *data, size_t num_bytes, rmask_header *header, rmask_error *error)
{
    static const rmask_header zero;
    if (num_bytes < sizeof header->magic || memcmp(data, RMASK_MAGIC, sizeof header->magic) != 0)
        return rmask_fail(error, RMASK_ERR_FORMAT, "not a mask: it does not begin with the header of one");
    if (num_bytes < sizeof *header) return fail_at(error, num_bytes, "a header cut off");
    memcpy(header, data, sizeof *header);
    if (header->version != RMASK_FORMAT_VERSION)
        return rmask_fail(error, RMASK_ERR_FORMAT, "the mask has format version %u, this library reads version %d",
                          (unsigned)header->version, RMASK_FORMAT_VERSION);
    if (header->features & ~RMASK_FEATURES_KNOWN)
        return rmask_fail(error, RMASK_ERR_FORMAT, "the mask uses features 0x%x that this library does not know",
                          (unsigned)(header->features & ~RMASK_FEATURES_KNOWN));
    const size_t summed = offsetof(rmask_header, header_checksum);
    if (rmask_checksum(0, data, summed) != header->header_checksum)
        return fail_at(error, summed, "a wrong checksum of the header");
    if (header->rows > RMASK_MAX_SIDE) return fail_at(error, offsetof(rmask_header, rows), "too many rows");
    if (header->cols > RMASK_MAX_SIDE) return fail_at(error, offsetof(rmask_header, cols), "too many columns");
    if (header->container_cols > RMASK_MAX_SIDE || header->container_cols < header->cols)
        return fail_at(error, offsetof(rmask_header, container_cols), "containers for an impossible number of columns");
    if (header->reserved_a || memcmp(header->reserved, zero.reserved, sizeof zero.reserved) != 0)
        return fail_at(error, offsetof(rmask_header, reserved_a), "reserved bytes that are not 0");
    if (header->num_bytes != rmask_layout_of(header).end)
        return rmask_fail(error, RMASK_ERR_FORMAT,
                          "not a valid mask: it announces %llu bytes at byte %zu, and its sections take %llu",
                          (unsigned long long)header->num_bytes, offsetof(rmask_header, num_bytes),
                          (unsigned long long)rmask_layout_of(header).end);
    if ((header->num_strips == 0) != (header->rows == 0) || header->num_strips > header->rows)
        return fail_at(error, offsetof(rmask_header, num_strips), "a number of strips that does not fit the rows");
    if (header->count > (uint64_t)header->rows * header->cols)
        return fail_at(error, offsetof(rmask_header, count), "more cells than the grid has");
    if (header->num_exceptions < header->num_exception_rows ||
        header->num_exceptions > (uint64_t)header->num_container_units * 16)
        return fail_at(error, offsetof(rmask_header, num_exceptions), "an impossible number of exceptions");
    return RMASK_OK;
}

rmask_status rmask_check_header(const void *data, size_t num_bytes, rmask_header *header, rmask_error *error)
{
    RMASK_TRY(rmask_peek_header(data, num_bytes, header, error));
    if (header->num_bytes == num_bytes) return RMASK_OK;
    return rmask_fail(error, RMASK_ERR_FORMAT, "not a valid mask: it announces %llu bytes at byte %zu, and there are %zu",
                      (unsigned long long)header->num_bytes, offsetof(rmask_header, num_bytes), num_bytes);
}

/* ---------------------------------------------------------------- strips */

/* For each pool entry where the ascending list that it belongs to begins. With it a slice is checked in constant time, however
 * many strips share it. NULL when out of memory. */
static uint32_t *list_begins(const rmask_allocator *allocator, const int32_t *pool, uint32_t n)
{
    uint32_t *begins = rmask_allocate(allocator, n, sizeof *begins);
    for (uint32_t i = 0; begins && i < n; i++) begins[i] = i > 0 && pool[i] > pool[i - 1] ? begins[i - 1] : i;
    return begins;
}

static bool is_list(const uint32_t *begins, const int32_t *pool, uint32_t num_pool, uint32_t begin, uint32_t n, int64_t min,
                    int64_t max)
{
    if (n == 0) return begin == 0;
    if (begin >= num_pool || n > num_pool - begin) return false;
    return begins[begin + n - 1] <= begin && pool[begin] >= min && pool[begin + n - 1] <= max;
}

static rmask_status check_strips(const rmask *mask, const uint32_t *fixed_begins, const uint32_t *sliding_begins,
                                 rmask_error *error)
{
    const rmask_header *header = mask->header;
    uint64_t sum = 0;
    for (uint32_t i = 0; i < header->num_strips; i++) {
        const rmask_strip *strip = &mask->strips[i];
        const uint64_t at = rmask_layout_of(header).strips + i * sizeof *strip;
        if (i == 0 ? strip->row_begin != 0 : strip->row_begin <= strip[-1].row_begin || strip->row_begin >= header->rows)
            return fail_at(error, at + offsetof(rmask_strip, row_begin), "strips out of order");
        if (!is_list(fixed_begins, mask->fixed, header->num_fixed, strip->fixed_begin, strip->num_fixed, 0, mask->cols))
            return fail_at(error, at + offsetof(rmask_strip, fixed_begin), "a bad list of fixed boundaries");
        if (!is_list(sliding_begins, mask->sliding, header->num_sliding, strip->sliding_begin, strip->num_sliding,
                     -(int64_t)mask->rows, mask->cols))
            return fail_at(error, at + offsetof(rmask_strip, sliding_begin), "a bad list of sliding boundaries");
        sum += (uint64_t)strip->num_fixed + strip->num_sliding;
        if (sum > RMASK_MAX_STRIP_BOUNDARIES)
            return fail_at(error, at + offsetof(rmask_strip, num_sliding), "strips with more than 2^32 boundaries in all");
    }
    return RMASK_OK;
}

static rmask_status check_lists(const rmask *mask, rmask_error *error)
{
    const rmask_header *header = mask->header;
    uint32_t *fixed_begins = list_begins(&mask->allocator, mask->fixed, header->num_fixed);
    uint32_t *sliding_begins = list_begins(&mask->allocator, mask->sliding, header->num_sliding);
    const rmask_status status = fixed_begins && sliding_begins ? check_strips(mask, fixed_begins, sliding_begins, error)
                                                               : rmask_fail_nomem(error);
    rmask_free(&mask->allocator, fixed_begins, header->num_fixed, sizeof *fixed_begins);
    rmask_free(&mask->allocator, sliding_begins, header->num_sliding, sizeof *sliding_begins);
    return status;
}

/* ---------------------------------------------------------------- exceptions */

/* Whether n values increase and stay below `limit`. */
static bool ascending(const uint32_t *values, uint32_t n, uint32_t limit)
{
    uint32_t num_bad = values[n - 1] >= limit;
    for (uint32_t i = 1; i < n; i++) num_bad += values[i] <= values[i - 1];
    return num_bad == 0;
}

static rmask_status check_directory(const rmask *mask, rmask_error *error)
{
    const rmask_header *header = mask->header;
    const rmask_layout at = rmask_layout_of(header);
    const uint32_t n = header->num_directory_rows, *offsets = mask->directory_offsets;
    if (n == 0) {
        if (header->features || header->first_directory_row || header->num_exception_rows || header->num_container_units)
            return fail_at(error, offsetof(rmask_header, num_directory_rows), "exceptions without a directory");
        return RMASK_OK;
    }
    if ((uint64_t)header->first_directory_row + n > header->rows || (mask->directory_rows && header->first_directory_row))
        return fail_at(error, offsetof(rmask_header, first_directory_row), "a directory beyond the rows");
    if (mask->directory_rows && !ascending(mask->directory_rows, n, header->rows)) {
        uint32_t i = 0;
        while (mask->directory_rows[i] < header->rows && (i == 0 || mask->directory_rows[i] > mask->directory_rows[i - 1])) i++;
        return fail_at(error, at.directory_rows + i * sizeof(uint32_t), "directory rows out of order");
    }
    /* Without a branch on the data, so that the compiler makes vectors of it. */
    uint32_t num_rows = 0, num_falling = 0;
    for (uint32_t i = 0; i < n; i++) {
        num_falling += offsets[i + 1] < offsets[i];
        num_rows += offsets[i + 1] > offsets[i];
    }
    for (uint32_t i = 0; num_falling && i < n; i++)
        if (offsets[i + 1] < offsets[i])
            return fail_at(error, at.directory_offsets + i * sizeof(uint32_t), "offsets out of order");
    if (offsets[0] != 0 || offsets[n] != header->num_container_units)
        return fail_at(error, at.directory_offsets, "offsets that do not cover the containers");
    if (num_rows != header->num_exception_rows)
        return fail_at(error, offsetof(rmask_header, num_exception_rows), "a wrong number of rows with exceptions");
    return RMASK_OK;
}

/* Why a container's units are bad, or NULL. */
static const char *container_fault(const uint16_t *units, uint32_t n, const rmask *mask, int32_t chunk)
{
    if ((int64_t)chunk * RMASK_CHUNK_COLS >= mask->cols) return "a chunk beyond the columns";
    const uint32_t bitset_units = rmask_bitset_units(mask->container_cols, chunk),
                   width = (uint32_t)rmask_chunk_width(mask->cols, chunk);
    if (n == 0 || n > bitset_units) return "a container of impossible length";
    if (n == bitset_units) {
        uint32_t beyond = width % 16 ? units[width / 16] >> width % 16 : 0;
        for (uint32_t i = (width + 15) / 16; i < n; i++) beyond |= units[i];
        if (beyond) return "a bitset beyond its columns";
        return rmask_simd_get()->popcount(units, n) ? NULL : "an empty bitset";
    }
    uint16_t bad = 0; /* as wide as the units, so that vectors of them stay whole */
    for (uint32_t i = 1; i < n; i++) bad |= units[i] <= units[i - 1];
    if (bad) return "an array out of order";
    return units[n - 1] < width ? NULL : "an array beyond its columns";
}

static rmask_status check_row_units(const rmask *mask, uint32_t begin, uint32_t end, rmask_error *error)
{
    const uint16_t *units = mask->containers + begin;
    const uint64_t at = rmask_layout_of(mask->header).containers + (uint64_t)begin * sizeof *units;
    uint64_t n = end - begin, used = 0;
    const char *fault = NULL;
    if (mask->container_cols <= RMASK_CHUNK_COLS) {
        fault = container_fault(units, (uint32_t)n, mask, 0);
        return fault ? fail_at(error, at, fault) : RMASK_OK;
    }
    const uint64_t num_containers = units[0], heads = 1 + 2 * num_containers;
    if (num_containers == 0 || heads > n) return fail_at(error, at, "a row with an impossible number of containers");
    n -= heads;
    for (uint64_t i = 0; i < num_containers && !fault; i++) {
        const uint16_t *head = units + 1 + 2 * i;
        if (i > 0 && head[0] <= head[-2]) return fail_at(error, at, "chunks out of order");
        if (head[1] > n - used) return fail_at(error, at, "a container beyond its row");
        fault = container_fault(units + heads + used, head[1], mask, head[0]);
        used += head[1];
    }
    if (!fault && used != n) fault = "a row with more units than its containers";
    return fault ? fail_at(error, at, fault) : RMASK_OK;
}

/* ---------------------------------------------------------------- counts */

static rmask_status check_counts(const rmask *mask, rmask_error *error)
{
    uint64_t count = 0, num_exceptions = 0;
    for (uint32_t i = 0; i < mask->header->num_strips; i++) {
        const rmask_strip *strip = &mask->strips[i];
        count +=
            rmask_strip_count(rmask_boundaries_of(mask, strip), strip->row_begin, rmask_strip_end(mask, strip), mask->cols);
    }
    rmask_exception_walk walk = rmask_walk_exceptions(mask, 0);
    for (int32_t row; (row = rmask_walk_row(&walk)) < mask->rows;) {
        rmask_row_containers containers = rmask_walk_take(&walk);
        count -=
            2 * rmask_exceptions_inside(rmask_boundaries_of(mask, rmask_strip_of(mask, row)), row, containers, 0, mask->cols);
        for (rmask_container container; rmask_next_container(&containers, &container);)
            num_exceptions += rmask_container_count(&container);
    }
    if (num_exceptions != mask->header->num_exceptions)
        return fail_at(error, offsetof(rmask_header, num_exceptions), "a wrong number of exceptions");
    count += num_exceptions; /* those inside were taken off twice */
    if (count != mask->header->count) return fail_at(error, offsetof(rmask_header, count), "a wrong number of cells");
    return RMASK_OK;
}

/* ---------------------------------------------------------------- all */

rmask_status rmask_check_index(const rmask *mask, rmask_error *error)
{
    const rmask_layout at = rmask_layout_of(mask->header);
    const uint8_t *data = atomic_load_explicit(&mask->data, memory_order_acquire);
    if (rmask_checksum(0, data + at.strips, (size_t)(at.containers - at.strips)) !=
        ((const rmask_header *)(const void *)data)->index_checksum)
        return fail_at(error, offsetof(rmask_header, index_checksum), "a wrong checksum of strips, boundaries and directory");
    RMASK_TRY(check_lists(mask, error));
    return check_directory(mask, error);
}

rmask_status rmask_check_entry(const rmask *mask, uint32_t index, rmask_error *error)
{
    const uint32_t begin = mask->directory_offsets[index], end = mask->directory_offsets[index + 1];
    return begin < end ? check_row_units(mask, begin, end, error) : RMASK_OK;
}

rmask_status rmask_check_rows(const rmask *mask, int32_t row_begin, int32_t row_end, rmask_error *error)
{
    const uint32_t end = rmask_directory_find(mask, row_end);
    for (uint32_t i = rmask_directory_find(mask, row_begin); i < end; i++) RMASK_TRY(rmask_check_entry(mask, i, error));
    if (row_begin == 0 && row_end == mask->rows)
        atomic_store_explicit(&((rmask *)(uintptr_t)mask)->trusted, true, memory_order_relaxed);
    return RMASK_OK;
}

rmask_status rmask_check_contents(const rmask *mask, rmask_error *error)
{
    const rmask_layout at = rmask_layout_of(mask->header);
    const uint8_t *data = atomic_load_explicit(&mask->data, memory_order_acquire);
    if (rmask_checksum(0, data + at.containers, (size_t)(at.end - at.containers)) !=
        ((const rmask_header *)(const void *)data)->container_checksum)
        return fail_at(error, offsetof(rmask_header, container_checksum), "a wrong checksum of the containers");
    for (uint64_t i = at.containers + (uint64_t)mask->header->num_container_units * sizeof(uint16_t); i < at.end; i++)
        if (data[i]) return fail_at(error, i, "padding that is not 0");
    RMASK_TRY(rmask_check_rows(mask, 0, mask->rows, error));
    return check_counts(mask, error);
}

rmask_status rmask_verify(const rmask *mask, rmask_error *error)
{
    rmask_header header;
    size_t num_bytes;
    const void *data = rmask_data(mask, &num_bytes);
    if (!data) return rmask_fail_nomem(error);
    RMASK_TRY(rmask_check_header(data, num_bytes, &header, error));
    RMASK_TRY(rmask_check_index(mask, error));
    return rmask_check_contents(mask, error);
}
