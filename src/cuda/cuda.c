/* SPDX-License-Identifier: Apache-2.0
 * The library's functions: masks are verified, arguments checked, and jobs handed to the device. */
#include "roarmask/cuda.h"

#include "core/coarsen.h"
#include "core/mask.h"
#include "cuda/device.h"

static_assert(sizeof(rmask_cuda_mask) == 80, "cuda.h says how large a handle is");

const char *rmask_cuda_version(void) { return RMASK_VERSION_STRING; }

int32_t rmask_cuda_num_devices(void) { return rmask_cu_num_devices(); }

/* ---------------------------------------------------------------- uploading */

static rmask_status check_alignment(const void *address, size_t alignment, const char *what, rmask_error *error)
{
    if ((uintptr_t)address % alignment == 0) return RMASK_OK;
    return rmask_fail(error, RMASK_ERR_ARGUMENT, "the %s at %p begins at no multiple of %zu bytes", what, address, alignment);
}

rmask_status rmask_cuda_handle(const rmask *mask, const void *device_data, rmask_cuda_mask *out, rmask_error *error)
{
    memset(out, 0, sizeof *out);
    RMASK_TRY(check_alignment(device_data, 8, "device memory", error));
    if (mask->keeper && !mask->apart) RMASK_TRY(rmask_verify(mask, error)); /* it may be a mapped file; others are sound from the beginning */
    const rmask_layout at = rmask_layout_of(mask->header);
    const uint8_t *data = device_data;
    *out = (rmask_cuda_mask){
        .rows = mask->rows,
        .cols = mask->cols,
        .count = mask->header->count,
        .strips = data + at.strips,
        .fixed = (const int32_t *)(data + at.fixed),
        .sliding = (const int32_t *)(data + at.sliding),
        .directory_rows = mask->header->features & RMASK_FEATURE_SPARSE_DIRECTORY ? (const uint32_t *)(data + at.directory_rows) : NULL,
        .directory_offsets = (const uint32_t *)(data + at.directory_offsets),
        .containers = (const uint16_t *)(data + at.containers),
        .num_strips = mask->header->num_strips,
        .first_directory_row = mask->header->first_directory_row,
        .num_directory_rows = mask->header->num_directory_rows,
        .container_cols = (int32_t)mask->header->container_cols,
    };
    return RMASK_OK;
}

static rmask_status check_capacity(size_t needed, size_t capacity, const char *what, rmask_error *error)
{
    if (needed <= capacity) return RMASK_OK;
    return rmask_fail(error, RMASK_ERR_CAPACITY, "the %s has room for %zu bytes, %zu are needed", what, capacity, needed);
}

rmask_status rmask_cuda_upload(const rmask *mask, void *device_memory, size_t capacity, rmask_cuda_stream stream, rmask_cuda_mask *out, rmask_error *error)
{
    RMASK_TRY(rmask_cuda_handle(mask, device_memory, out, error));
    size_t num_bytes;
    const void *data = rmask_data(mask, &num_bytes);
    rmask_status status = data ? check_capacity(num_bytes, capacity, "device memory", error) : rmask_fail_nomem(error);
    if (!status) status = rmask_cu_copy(device_memory, data, num_bytes, stream, error);
    if (status) memset(out, 0, sizeof *out);
    return status;
}

rmask_status rmask_cuda_upload_atlas(const rmask_atlas *atlas, void *device_memory, size_t capacity, rmask_cuda_stream stream, rmask_cuda_mask *masks,
                                     rmask_error *error)
{
    size_t num_bytes, mask_bytes;
    const uint8_t *data = rmask_atlas_data(atlas, &num_bytes);
    const uint32_t num_masks = rmask_atlas_num_masks(atlas);
    rmask_status status = check_capacity(num_bytes, capacity, "device memory", error);
    if (!status) status = check_alignment(device_memory, 8, "device memory", error);
    for (uint32_t i = 0; i < num_masks && !status; i++) { /* the masks' flat buffers lie in the atlas's */
        const rmask *mask = rmask_atlas_distinct(atlas, i);
        const size_t at = (size_t)((const uint8_t *)rmask_data(mask, &mask_bytes) - data);
        status = rmask_cuda_handle(mask, (uint8_t *)device_memory + at, &masks[i], error);
    }
    if (!status) status = rmask_cu_copy(device_memory, data, num_bytes, stream, error);
    if (status) memset(masks, 0, num_masks * sizeof *masks);
    return status;
}

/* ---------------------------------------------------------------- folds */

static rmask_status take_fold(rmask_cuda_fold what, cu_fold *out, rmask_error *error)
{
    if (what.num_masks < 1 || what.num_masks > RMASK_CUDA_MAX_FOLD)
        return rmask_fail(error, RMASK_ERR_ARGUMENT, "a fold of %d masks: there are 1 to %d", (int)what.num_masks, RMASK_CUDA_MAX_FOLD);
    if ((unsigned)what.function > RMASK_ALL)
        return rmask_fail(error, RMASK_ERR_ARGUMENT, "%d is no boolean function: they are 0 to 15", (int)what.function);
    if ((unsigned)what.tiles > RMASK_CUDA_PARTIAL)
        return rmask_fail(error, RMASK_ERR_ARGUMENT, "%d says not which tiles: any (0), full (1) and partial (2) do", (int)what.tiles);
    const bool has_tiles = what.tile_rows != 0 || what.tile_cols != 0;
    if (has_tiles && (what.tile_rows < 1 || what.tile_cols < 1))
        return rmask_fail(error, RMASK_ERR_RANGE, "tiles of %d x %d are out of range: their sides are at least 1", (int)what.tile_rows,
                          (int)what.tile_cols);
    memset(out, 0, sizeof *out);
    for (int32_t i = 0; i < what.num_masks; i++) {
        const rmask_cuda_mask *first = &what.masks[0], *mask = &what.masks[i];
        if (mask->rows != first->rows || mask->cols != first->cols)
            return rmask_fail(error, RMASK_ERR_ARGUMENT, "the grids differ: mask %d is %d x %d, and the first one %d x %d", (int)i, (int)mask->rows,
                              (int)mask->cols, (int)first->rows, (int)first->cols);
        out->masks[i] = *mask;
    }
    out->num_masks = what.num_masks;
    out->function = (uint32_t)what.function;
    out->tile_rows = has_tiles ? what.tile_rows : 1;
    out->tile_cols = has_tiles ? what.tile_cols : 1;
    out->rows = rmask_num_tiles(what.masks[0].rows, out->tile_rows);
    out->cols = rmask_num_tiles(what.masks[0].cols, out->tile_cols);
    out->tiles = what.tiles;
    out->is_tiled = out->tile_rows > 1 || out->tile_cols > 1 || (has_tiles && what.tiles == RMASK_CUDA_PARTIAL);
    return RMASK_OK;
}

static rmask_status take_rows(rmask_cuda_fold what, cu_fold *out, int32_t row_begin, int32_t row_end, int32_t *num_rows, rmask_error *error)
{
    RMASK_TRY(take_fold(what, out, error));
    if (row_begin < 0 || row_begin > row_end || row_end > out->rows)
        return rmask_fail(error, RMASK_ERR_RANGE, "rows [%d, %d) are out of range: the grid has %d rows", (int)row_begin, (int)row_end, (int)out->rows);
    *num_rows = row_end - row_begin;
    return RMASK_OK;
}

/* ---------------------------------------------------------------- index tensors */

/* The workspace holds the rows' sums, and what summing needs behind them. */
static size_t sums_bytes(int32_t num_rows) { return (((size_t)num_rows + 1) * sizeof(int64_t) + 255) / 256 * 256; }

rmask_status rmask_cuda_csr_workspace(int32_t num_rows, size_t *num_bytes, rmask_error *error)
{
    *num_bytes = 0;
    if (num_rows < 0) return rmask_fail(error, RMASK_ERR_RANGE, "%d rows", (int)num_rows);
    size_t needed = 0;
    RMASK_TRY(rmask_cu_sums(NULL, (int64_t)num_rows + 1, NULL, &needed, NULL, error));
    *num_bytes = sums_bytes(num_rows) + needed;
    return RMASK_OK;
}

/* A workspace that was checked. */
typedef struct sum_space {
    int64_t *sums;
    void *rest;
    size_t rest_bytes;
} sum_space;

static rmask_status take_workspace(void *memory, size_t num_bytes, int32_t num_rows, sum_space *out, rmask_error *error)
{
    size_t needed;
    RMASK_TRY(rmask_cuda_csr_workspace(num_rows, &needed, error));
    RMASK_TRY(check_capacity(needed, num_bytes, "workspace", error));
    RMASK_TRY(check_alignment(memory, 16, "workspace", error));
    const size_t own = sums_bytes(num_rows);
    *out = (sum_space){memory, (uint8_t *)memory + own, num_bytes - own};
    return RMASK_OK;
}

static rmask_status sum_rows(sum_space *w, int32_t num_rows, rmask_cuda_stream stream, rmask_error *error)
{
    return rmask_cu_sums(w->sums, (int64_t)num_rows + 1, w->rest, &w->rest_bytes, stream, error);
}

static rmask_status compress(cu_rows_job *job, void *memory, size_t num_bytes, rmask_cuda_stream stream, rmask_error *error)
{
    sum_space w;
    RMASK_TRY(take_workspace(memory, num_bytes, job->num_rows, &w, error));
    job->sums = w.sums;
    job->kind = CU_COUNTS;
    RMASK_TRY(rmask_cu_rows(job, stream, error));
    RMASK_TRY(sum_rows(&w, job->num_rows, stream, error));
    job->kind = CU_COMPRESSED;
    return rmask_cu_rows(job, stream, error);
}

rmask_status rmask_cuda_csr(rmask_cuda_fold what, int32_t row_begin, int32_t row_end, int64_t *indptr, int32_t *indices, uint64_t capacity,
                            void *workspace, size_t workspace_bytes, rmask_cuda_stream stream, rmask_error *error)
{
    cu_rows_job job = {.row_begin = row_begin, .wide = indptr, .indices = indices, .room = capacity};
    RMASK_TRY(take_rows(what, &job.what, row_begin, row_end, &job.num_rows, error));
    return compress(&job, workspace, workspace_bytes, stream, error);
}

rmask_status rmask_cuda_bsr(rmask_cuda_fold what, int32_t row_begin, int32_t row_end, int32_t *indptr, int32_t *indices, uint64_t capacity,
                            void *workspace, size_t workspace_bytes, rmask_cuda_stream stream, rmask_error *error)
{
    cu_rows_job job = {.row_begin = row_begin, .narrow = indptr, .indices = indices, .room = capacity};
    RMASK_TRY(take_rows(what, &job.what, row_begin, row_end, &job.num_rows, error));
    const uint64_t cells = (uint64_t)job.num_rows * (uint64_t)job.what.cols;
    if (cells > INT32_MAX && (what.num_masks > 1 || what.masks[0].count > INT32_MAX))
        return rmask_fail(error, RMASK_ERR_LIMIT, "int32 starts hold 2^31 - 1 cells, and %d rows of %d columns may have more: export fewer rows",
                          (int)job.num_rows, (int)job.what.cols);
    return compress(&job, workspace, workspace_bytes, stream, error);
}

rmask_status rmask_cuda_padded(rmask_cuda_fold what, int32_t row_begin, int32_t row_end, int32_t *counts, int32_t *indices, uint64_t row_stride,
                               rmask_cuda_stream stream, rmask_error *error)
{
    cu_rows_job job = {.row_begin = row_begin, .kind = CU_PADDED, .counts = counts, .indices = indices, .room = row_stride};
    RMASK_TRY(take_rows(what, &job.what, row_begin, row_end, &job.num_rows, error));
    return job.num_rows > 0 ? rmask_cu_rows(&job, stream, error) : RMASK_OK;
}

/* ---------------------------------------------------------------- cells */

static rmask_status put_window(rmask_cuda_fold what, cu_dense_job *job, int32_t row_end, rmask_cuda_stream stream, rmask_error *error)
{
    RMASK_TRY(take_fold(what, &job->what, error));
    if (job->row_begin < 0 || job->row_begin > row_end || job->col_begin < 0 || job->col_begin > job->col_end)
        return rmask_fail(error, RMASK_ERR_RANGE, "rows [%d, %d) and columns [%d, %d) are no window", (int)job->row_begin, (int)row_end,
                          (int)job->col_begin, (int)job->col_end);
    job->num_rows = row_end - job->row_begin;
    const uint64_t cols = (uint64_t)(job->col_end - job->col_begin), needed = job->as_bytes ? cols : (cols + 7) / 8;
    if (job->row_stride < needed)
        return rmask_fail(error, RMASK_ERR_ARGUMENT, "a row stride of %llu bytes is too small for %llu columns: %llu are needed",
                          (unsigned long long)job->row_stride, (unsigned long long)cols, (unsigned long long)needed);
    return job->num_rows > 0 && cols > 0 ? rmask_cu_dense(job, stream, error) : RMASK_OK;
}

rmask_status rmask_cuda_to_bytes(rmask_cuda_fold what, int32_t row_begin, int32_t row_end, int32_t col_begin, int32_t col_end, uint8_t *cells,
                                 uint64_t row_stride, rmask_cuda_stream stream, rmask_error *error)
{
    cu_dense_job job = {.row_begin = row_begin, .col_begin = col_begin, .col_end = col_end, .out = cells, .row_stride = row_stride, .as_bytes = true};
    return put_window(what, &job, row_end, stream, error);
}

rmask_status rmask_cuda_to_bits(rmask_cuda_fold what, int32_t row_begin, int32_t row_end, int32_t col_begin, int32_t col_end, uint8_t *bits,
                                uint64_t row_stride, rmask_cuda_stream stream, rmask_error *error)
{
    cu_dense_job job = {.row_begin = row_begin, .col_begin = col_begin, .col_end = col_end, .out = bits, .row_stride = row_stride};
    return put_window(what, &job, row_end, stream, error);
}

static rmask_status take_tiles(rmask_cuda_fold what, cu_tiles_job *job, int32_t row_end, rmask_error *error)
{
    RMASK_TRY(take_rows(what, &job->what, job->row_begin, row_end, &job->num_rows, error));
    if ((int64_t)job->what.tile_rows * job->what.tile_cols <= INT32_MAX) return RMASK_OK;
    return rmask_fail(error, RMASK_ERR_RANGE, "tiles of %d x %d have more than 2^31 - 1 cells", (int)job->what.tile_rows, (int)job->what.tile_cols);
}

rmask_status rmask_cuda_tile_bits(rmask_cuda_fold what, int32_t row_begin, int32_t row_end, const int32_t *indptr, const int32_t *indices,
                                  uint64_t num_indices, uint8_t *bits, uint64_t capacity, rmask_cuda_stream stream, rmask_error *error)
{
    cu_tiles_job job = {.row_begin = row_begin, .indptr = indptr, .indices = indices, .num_indices = num_indices, .bits = bits};
    RMASK_TRY(take_tiles(what, &job, row_end, error));
    job.tile_bytes = ((uint64_t)job.what.tile_rows * (uint64_t)job.what.tile_cols + 7) / 8;
    job.max_tiles = capacity / job.tile_bytes < num_indices ? capacity / job.tile_bytes : num_indices;
    if (job.max_tiles > INT32_MAX) job.max_tiles = INT32_MAX;
    return job.num_rows > 0 && job.max_tiles > 0 ? rmask_cu_tiles(&job, stream, error) : RMASK_OK;
}

rmask_status rmask_cuda_packed_mask(rmask_cuda_fold what, int32_t row_begin, int32_t row_end, const int32_t *indptr, const int32_t *indices,
                                    uint64_t num_indices, int32_t *starts, uint8_t *bits, uint64_t capacity, void *memory, size_t num_bytes,
                                    rmask_cuda_stream stream, rmask_error *error)
{
    cu_tiles_job job = {
        .row_begin = row_begin, .indptr = indptr, .indices = indices, .num_indices = num_indices, .bits = bits, .starts = starts, .is_count = true};
    job.room = capacity < INT32_MAX ? capacity : INT32_MAX;
    RMASK_TRY(take_tiles(what, &job, row_end, error));
    sum_space w;
    RMASK_TRY(take_workspace(memory, num_bytes, job.num_rows, &w, error));
    job.sums = w.sums;
    RMASK_TRY(rmask_cu_packed(&job, stream, error));
    RMASK_TRY(sum_rows(&w, job.num_rows, stream, error));
    job.is_count = false;
    return rmask_cu_packed(&job, stream, error);
}

/* ---------------------------------------------------------------- decoding */

rmask_status rmask_cuda_pages(const rmask_cuda_requests *r, rmask_cuda_stream stream, rmask_error *error)
{
    if (r->page_tokens < 1) return rmask_fail(error, RMASK_ERR_ARGUMENT, "pages of %d tokens: they have at least 1", (int)r->page_tokens);
    if (r->num_masks < 0 || r->num_requests < 0)
        return rmask_fail(error, RMASK_ERR_ARGUMENT, "%d requests over %d masks", (int)r->num_requests, (int)r->num_masks);
    if (r->num_groups < 1 || r->heads_per_group < 1 || r->heads_per_group > RMASK_CUDA_MAX_FOLD)
        return rmask_fail(error, RMASK_ERR_ARGUMENT, "%d groups of %d heads: there is at least one, of 1 to %d heads", (int)r->num_groups,
                          (int)r->heads_per_group, RMASK_CUDA_MAX_FOLD);
    const int64_t heads = (int64_t)r->num_groups * r->heads_per_group;
    if (r->which_stride != 0 && r->which_stride < (uint64_t)heads)
        return rmask_fail(error, RMASK_ERR_ARGUMENT, "a stride of %llu is too small for the masks of %lld heads", (unsigned long long)r->which_stride,
                          (long long)heads);
    if ((int64_t)r->num_requests * r->num_groups > INT32_MAX)
        return rmask_fail(error, RMASK_ERR_LIMIT, "%d requests of %d groups are more than 2^31 - 1", (int)r->num_requests, (int)r->num_groups);
    return r->num_requests > 0 ? rmask_cu_pages(r, stream, error) : RMASK_OK;
}
