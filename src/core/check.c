/* SPDX-License-Identifier: Apache-2.0
 * Distrust of flat buffers: nothing in one is used before it has been checked here. */
#include "core/check.h"

#include "core/row.h"
#include "simd/simd.h"

#include <string.h>

static rmask_status fail_at(rmask_error *error, uint64_t offset, const char *what)
{
    return rmask_fail(error, RMASK_ERR_FORMAT, "not a valid mask: %s at byte %llu", what, (unsigned long long)offset);
}

/* ---------------------------------------------------------------- header */

rmask_status rmask_check_header(const void *data, size_t num_bytes, rmask_header *header, rmask_error *error)
{
    static const rmask_header zero;
    if (num_bytes < sizeof *header || memcmp(data, RMASK_MAGIC, sizeof header->magic) != 0)
        return rmask_fail(error, RMASK_ERR_FORMAT, "not a mask: it does not begin with the header of one");
    memcpy(header, data, sizeof *header);
    if (header->version != RMASK_FORMAT_VERSION)
        return rmask_fail(error, RMASK_ERR_FORMAT, "the mask has format version %u, this library reads version %d",
                          (unsigned)header->version, RMASK_FORMAT_VERSION);
    if (header->features & ~RMASK_FEATURES_KNOWN)
        return rmask_fail(error, RMASK_ERR_FORMAT, "the mask uses features 0x%x that this library does not know",
                          (unsigned)(header->features & ~RMASK_FEATURES_KNOWN));
    if (header->rows > RMASK_MAX_SIDE) return fail_at(error, offsetof(rmask_header, rows), "too many rows");
    if (header->cols > RMASK_MAX_SIDE) return fail_at(error, offsetof(rmask_header, cols), "too many columns");
    if (header->reserved_a || memcmp(header->reserved, zero.reserved, sizeof zero.reserved) != 0)
        return fail_at(error, offsetof(rmask_header, reserved_a), "reserved bytes that are not 0");
    if (header->num_bytes != num_bytes || rmask_layout_of(header).end != num_bytes)
        return rmask_fail(error, RMASK_ERR_FORMAT, "not a valid mask: it announces %llu bytes in sections of %llu, and there are %zu",
                          (unsigned long long)header->num_bytes, (unsigned long long)rmask_layout_of(header).end, num_bytes);
    if ((header->num_strips == 0) != (header->rows == 0) || header->num_strips > header->rows)
        return fail_at(error, offsetof(rmask_header, num_strips), "a number of strips that does not fit the rows");
    return RMASK_OK;
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

static bool is_list(const uint32_t *begins, const int32_t *pool, uint32_t num_pool, uint32_t begin, uint32_t n, int64_t min, int64_t max)
{
    if (n == 0) return begin == 0;
    if (begin >= num_pool || n > num_pool - begin) return false;
    return begins[begin + n - 1] <= begin && pool[begin] >= min && pool[begin + n - 1] <= max;
}

static rmask_status check_strips(const rmask *mask, const uint32_t *fixed_begins, const uint32_t *sliding_begins, rmask_error *error)
{
    const rmask_header *header = mask->header;
    for (uint32_t i = 0; i < header->num_strips; i++) {
        const rmask_strip *strip = &mask->strips[i];
        const uint64_t at = rmask_layout_of(header).strips + i * sizeof *strip;
        if (i == 0 ? strip->row_begin != 0 : strip->row_begin <= strip[-1].row_begin || strip->row_begin >= header->rows)
            return fail_at(error, at + offsetof(rmask_strip, row_begin), "strips out of order");
        if (!is_list(fixed_begins, mask->fixed, header->num_fixed, strip->fixed_begin, strip->num_fixed, 0, (int64_t)mask->cols - 1))
            return fail_at(error, at + offsetof(rmask_strip, fixed_begin), "a bad list of fixed boundaries");
        if (!is_list(sliding_begins, mask->sliding, header->num_sliding, strip->sliding_begin, strip->num_sliding,
                     -(int64_t)mask->rows, mask->cols))
            return fail_at(error, at + offsetof(rmask_strip, sliding_begin), "a bad list of sliding boundaries");
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
    for (uint32_t i = 0; mask->directory_rows && i < n; i++)
        if (mask->directory_rows[i] >= header->rows || (i > 0 && mask->directory_rows[i] <= mask->directory_rows[i - 1]))
            return fail_at(error, at.directory_rows + i * sizeof(uint32_t), "directory rows out of order");
    uint32_t num_rows = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (offsets[i + 1] < offsets[i]) return fail_at(error, at.directory_offsets + i * sizeof(uint32_t), "offsets out of order");
        num_rows += offsets[i + 1] > offsets[i];
    }
    if (offsets[0] != 0 || offsets[n] != header->num_container_units)
        return fail_at(error, at.directory_offsets, "offsets that do not cover the containers");
    if (num_rows != header->num_exception_rows)
        return fail_at(error, offsetof(rmask_header, num_exception_rows), "a wrong number of rows with exceptions");
    return RMASK_OK;
}

/* Why a container's units are bad, or NULL. */
static const char *container_fault(const uint16_t *units, uint32_t n, int32_t cols, int32_t chunk)
{
    const uint32_t bitset_units = rmask_bitset_units(cols, chunk), width = (uint32_t)rmask_chunk_width(cols, chunk);
    if (n == 0 || n > bitset_units) return "a container of impossible length";
    if (n == bitset_units) {
        if (width % 16 && units[n - 1] >> width % 16) return "a bitset beyond its columns";
        return rmask_simd_get()->popcount(units, n) ? NULL : "an empty bitset";
    }
    for (uint32_t i = 1; i < n; i++)
        if (units[i] <= units[i - 1]) return "an array out of order";
    return units[n - 1] < width ? NULL : "an array beyond its columns";
}

static rmask_status check_row_units(const rmask *mask, uint32_t begin, uint32_t end, rmask_error *error)
{
    const uint16_t *units = mask->containers + begin;
    const uint64_t at = rmask_layout_of(mask->header).containers + (uint64_t)begin * sizeof *units;
    uint64_t n = end - begin, used = 0;
    const char *fault = NULL;
    if (mask->cols <= RMASK_CHUNK_COLS) {
        fault = container_fault(units, (uint32_t)n, mask->cols, 0);
        return fault ? fail_at(error, at, fault) : RMASK_OK;
    }
    const uint64_t num_containers = units[0], heads = 1 + 2 * num_containers;
    if (num_containers == 0 || heads > n) return fail_at(error, at, "a row with an impossible number of containers");
    n -= heads;
    for (uint64_t i = 0; i < num_containers && !fault; i++) {
        const uint16_t *head = units + 1 + 2 * i;
        if (head[0] >= rmask_num_chunks(mask->cols) || (i > 0 && head[0] <= head[-2])) return fail_at(error, at, "chunks out of order");
        if (head[1] > n - used) return fail_at(error, at, "a container beyond its row");
        fault = container_fault(units + heads + used, head[1], mask->cols, head[0]);
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
        count += rmask_strip_count(rmask_boundaries_of(mask, strip), strip->row_begin, rmask_strip_end(mask, strip), mask->cols);
    }
    rmask_exception_walk walk = rmask_walk_exceptions(mask, 0);
    for (int32_t row; (row = rmask_walk_row(&walk)) < mask->rows;) {
        rmask_row_containers containers = rmask_walk_take(&walk);
        count += (uint64_t)rmask_exception_balance(mask, row, containers);
        for (rmask_container container; rmask_next_container(&containers, &container);)
            num_exceptions += rmask_container_count(&container);
    }
    if (num_exceptions != mask->header->num_exceptions)
        return fail_at(error, offsetof(rmask_header, num_exceptions), "a wrong number of exceptions");
    if (count != mask->header->count) return fail_at(error, offsetof(rmask_header, count), "a wrong number of cells");
    return RMASK_OK;
}

rmask_status rmask_check_sections(const rmask *mask, rmask_error *error)
{
    RMASK_TRY(check_lists(mask, error));
    RMASK_TRY(check_directory(mask, error));
    for (uint32_t i = 0; i < mask->header->num_directory_rows; i++) {
        const uint32_t begin = mask->directory_offsets[i], end = mask->directory_offsets[i + 1];
        if (begin < end) RMASK_TRY(check_row_units(mask, begin, end, error));
    }
    const rmask_layout at = rmask_layout_of(mask->header);
    for (uint64_t i = at.containers + (uint64_t)mask->header->num_container_units * sizeof(uint16_t); i < at.end; i++)
        if (mask->data[i]) return fail_at(error, i, "padding that is not 0");
    return check_counts(mask, error);
}

rmask_status rmask_from_data(const void *data, size_t num_bytes, const rmask_allocator *allocator, rmask **out, rmask_error *error)
{
    *out = NULL;
    rmask_header header;
    RMASK_TRY(rmask_check_header(data, num_bytes, &header, error));
    const rmask_allocator chosen = rmask_allocator_or_default(allocator);
    rmask *mask = rmask_new(&header, &chosen);
    if (!mask) return rmask_fail_nomem(error);
    memcpy(mask->data, data, num_bytes);
    const rmask_status status = rmask_check_sections(mask, error);
    if (status)
        rmask_release(mask);
    else
        *out = mask;
    return status;
}
