/* SPDX-License-Identifier: Apache-2.0
 * Index tensors: compressed rows and padded rows. */
#include "roarmask/export.h"

#include "core/check.h"
#include "core/row.h"

#include <string.h>

rmask_status rmask_export_bsr(const rmask *mask, int32_t row_begin, int32_t row_end, int32_t *indptr, int32_t *indices, size_t capacity,
                              rmask_error *error)
{
    RMASK_TRY(rmask_check_readable(mask, row_begin, row_end, error));
    rmask_row_reader reader = rmask_read_rows(mask, row_begin);
    uint64_t total = 0;
    indptr[0] = 0;
    for (int32_t row = row_begin; row < row_end; row++) {
        const bool has_room = indices && total < capacity;
        total += has_room ? rmask_read_row(&reader, indices + total, capacity - (size_t)total) : rmask_read_row_count(&reader);
        if (total > INT32_MAX)
            return rmask_fail(error, RMASK_ERR_LIMIT, "int32 starts hold 2^31 - 1 cells: row %d is past them; export fewer rows", (int)row);
        indptr[row - row_begin + 1] = (int32_t)total;
    }
    if (!indices || total <= capacity) return RMASK_OK;
    return rmask_fail(error, RMASK_ERR_CAPACITY, "the buffer has room for %zu indices, %llu are needed", capacity, (unsigned long long)total);
}

rmask_status rmask_export_padded(const rmask *mask, int32_t row_begin, int32_t row_end, int32_t *counts, int32_t *indices, size_t row_stride,
                                 rmask_error *error)
{
    RMASK_TRY(rmask_check_readable(mask, row_begin, row_end, error));
    if (rmask_count(mask) == 0) { /* the partial tiles of masks that have none */
        memset(counts, 0, (size_t)(row_end - row_begin) * sizeof *counts);
        return RMASK_OK;
    }
    rmask_row_reader reader = rmask_read_rows(mask, row_begin);
    for (int32_t row = row_begin; row < row_end; row++, indices += row_stride) {
        const size_t count = rmask_read_row(&reader, indices, row_stride);
        if (count > row_stride)
            return rmask_fail(error, RMASK_ERR_CAPACITY, "row %d has %zu columns, and rows have room for %zu", (int)row, count, row_stride);
        counts[row - row_begin] = (int32_t)count;
    }
    return RMASK_OK;
}

rmask_status rmask_export_max_row_count(const rmask *mask, int32_t row_begin, int32_t row_end, size_t *count, rmask_error *error)
{
    *count = 0;
    RMASK_TRY(rmask_check_readable(mask, row_begin, row_end, error));
    if (rmask_count(mask) == 0) return RMASK_OK;
    rmask_row_reader reader = rmask_read_rows(mask, row_begin);
    for (int32_t row = row_begin; row < row_end; row++) {
        const size_t cells = rmask_read_row_count(&reader);
        if (cells > *count) *count = cells;
    }
    return RMASK_OK;
}
