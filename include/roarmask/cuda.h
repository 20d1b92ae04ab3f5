/* SPDX-License-Identifier: Apache-2.0
 *
 * Masks on NVIDIA GPUs: a mask's bytes to megabytes are copied once, and the tensors of attention kernels are written where they are used.
 *
 *     rmask_cuda_mask on_device;                                       // device_memory: rmask_num_bytes(mask) bytes from cudaMalloc
 *     rmask_cuda_upload(mask, device_memory, rmask_num_bytes(mask), stream, &on_device, &error);
 *     const rmask_cuda_fold what = {&on_device, 1, RMASK_A, 128, 128, RMASK_CUDA_PARTIAL};
 *     rmask_cuda_bsr(what, 0, num_tile_rows, indptr, indices, capacity, workspace, workspace_bytes, stream, &error);
 *
 * The rules of roarmask.h hold (status, message, printing), and these:
 *
 * Streams.   Every function puts its work on the caller's CUDA stream and returns; nothing waits for the device. The device is the calling
 *            thread's current one, the stream and all device memory belong to it. Everything but the uploads can be captured in a graph.
 * Memory.    Nothing is allocated on the device. "Device" pointers are addresses there, of the caller's memory, kept until the
 *            stream has come past the call. Handles and structs are plain values and own nothing.
 * Checks.    A mask is verified before it is uploaded, so kernels trust it. Arguments on the host are checked and refused before anything is
 *            launched. What only the device knows cannot fail a call: nothing is ever written beyond the caller's buffer, and the counts
 *            that are written say how much was needed.
 * Failures.  What CUDA refuses is RMASK_ERR_IO with its reason; no CUDA device or driver is one of these.
 * Threads.   There is no state in this library: any thread may call anything at any time.
 *
 * To link: roarmask::cuda in CMake, roarmask-cuda by pkg-config.
 */
#ifndef ROARMASK_CUDA_H
#define ROARMASK_CUDA_H

#include <roarmask/atlas.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A cudaStream_t; NULL is the default stream. */
typedef struct CUstream_st *rmask_cuda_stream;

/* The version of this library, "major.minor.patch". It must be that of the library of masks (rmask_version). Static storage. */
RMASK_API const char *rmask_cuda_version(void);

/* The devices that CUDA shows; 0 without a driver. */
RMASK_API int32_t rmask_cuda_num_devices(void);

/* ---------------------------------------------------------------- uploading */

/* A mask on the device: where its sections lie there. 80 bytes, to be copied about like a number, to the device too. It is of use as long
 * as the memory that it points into holds the mask's bytes. */
typedef struct rmask_cuda_mask {
    int32_t rows, cols;
    uint64_t count; /* cells */
    const void *strips;
    const int32_t *fixed, *sliding;
    const uint32_t *directory_rows, *directory_offsets;
    const uint16_t *containers;
    uint32_t num_strips, first_directory_row, num_directory_rows;
    int32_t container_cols;
} rmask_cuda_mask;

/* The handle of a mask whose flat buffer (rmask_data) the caller has brought to `device_data`, 8-byte aligned. A mask that lies in a mapped
 * file or in an atlas is verified (rmask_verify, time linear in its bytes): RMASK_ERR_FORMAT where it is damaged. Others are sound. Does
 * not touch the device. On failure the handle is zeroed. */
RMASK_API rmask_status rmask_cuda_handle(const rmask *mask, const void *device_data, rmask_cuda_mask *out, rmask_error *error);

/* Brings a mask to the device by one asynchronous copy into `device_memory`: 8-byte aligned, with room for `capacity` bytes;
 * rmask_num_bytes(mask) are needed, else RMASK_ERR_CAPACITY. The mask must live until the stream has come past the copy. A mask's memory
 * is pageable, which CUDA copies by way of its own; who has the flat buffer in pinned memory copies that and asks rmask_cuda_handle. */
RMASK_API rmask_status rmask_cuda_upload(const rmask *mask, void *device_memory, size_t capacity, rmask_cuda_stream stream,
                                         rmask_cuda_mask *out, rmask_error *error);

/* The same for all masks of an atlas, by one copy of its flat buffer (rmask_atlas_data). `masks` has room for rmask_atlas_num_masks
 * handles, in the order of rmask_atlas_distinct: rmask_atlas_table says which of them a layer and head has. */
RMASK_API rmask_status rmask_cuda_upload_atlas(const rmask_atlas *atlas, void *device_memory, size_t capacity,
                                               rmask_cuda_stream stream, rmask_cuda_mask *masks, rmask_error *error);

/* ---------------------------------------------------------------- what is expanded */

enum { RMASK_CUDA_MAX_FOLD = 16 };

/* Which tiles: those with any cell, with every cell, or with some and not all. At the grid's edge only the cells inside the grid count. */
typedef enum rmask_cuda_tiles { RMASK_CUDA_ANY = 0, RMASK_CUDA_FULL, RMASK_CUDA_PARTIAL } rmask_cuda_tiles;

/* Masks of one grid, from 1 to RMASK_CUDA_MAX_FOLD, folded from the left: masks[0], then function(so far, masks[i]) for each further one. So
 * one mask is itself (with any function), two are one of the 16 functions of the algebra, and RMASK_OR over the heads of a group is
 * their union. It is worked out row by row while it is expanded. `masks` is an array on the host, read during the call.
 *
 * With tile_rows and tile_cols 0 the fold's cells are expanded. With both at least 1 it is tiles of so many cells, a grid of
 * ceil(rows / tile_rows) x ceil(cols / tile_cols) as rmask_coarsen makes it: "rows" and "columns" below are those of tiles then. Tiles are
 * made on the device, as they are written: where masks are structured by arithmetic, in time that does not depend on the rows of a tile. */
typedef struct rmask_cuda_fold {
    const rmask_cuda_mask *masks;
    int32_t num_masks;
    rmask_function function;
    int32_t tile_rows, tile_cols;
    rmask_cuda_tiles tiles;
} rmask_cuda_fold;

/* ---------------------------------------------------------------- index tensors
 *
 * All outputs are on the device. */

/* The bytes of workspace on the device that rmask_cuda_csr, rmask_cuda_bsr and rmask_cuda_packed_mask want for so many rows. Asks the current device. */
RMASK_API rmask_status rmask_cuda_csr_workspace(int32_t num_rows, size_t *num_bytes, rmask_error *error);

/* Compressed rows: indptr int64 [row_end - row_begin + 1], starting at 0, and indices int32 [capacity], ascending in each row. What lies
 * beyond `capacity` is not written, while indptr says how much there is: the last entry is the needed capacity. For all rows of one mask's
 * cells that is its `count`, and tiles are never more. `indices` may be NULL: only indptr is written. `workspace` is aligned to 16 bytes; too small is RMASK_ERR_CAPACITY. */
RMASK_API rmask_status rmask_cuda_csr(rmask_cuda_fold what, int32_t row_begin, int32_t row_end, int64_t *indptr, int32_t *indices,
                                      uint64_t capacity, void *workspace, size_t workspace_bytes, rmask_cuda_stream stream,
                                      rmask_error *error);

/* The same with int32 starts: FlashInfer's BSR. RMASK_ERR_LIMIT where the rows might have more than 2^31 - 1 cells: for one mask when its
 * `count` and the rows' size are both beyond, for several when the rows' size is. */
RMASK_API rmask_status rmask_cuda_bsr(rmask_cuda_fold what, int32_t row_begin, int32_t row_end, int32_t *indptr, int32_t *indices,
                                      uint64_t capacity, void *workspace, size_t workspace_bytes, rmask_cuda_stream stream,
                                      rmask_error *error);

/* Padded rows: counts int32 [row_end - row_begin], indices int32 [row_end - row_begin, row_stride]. FlexAttention's kv_num_blocks and
 * kv_indices with row_stride = columns, FlashAttention-4's compact ones with what its longest row needs; once for the full tiles and once
 * for the partial ones. The rest of each row is left as it is. Of a row longer than row_stride the first row_stride
 * columns are written, and its count is the true one. */
RMASK_API rmask_status rmask_cuda_padded(rmask_cuda_fold what, int32_t row_begin, int32_t row_end, int32_t *counts, int32_t *indices,
                                         uint64_t row_stride, rmask_cuda_stream stream, rmask_error *error);

/* ---------------------------------------------------------------- cells */

/* The cells of a window, as rmask_to_bytes and rmask_to_bits write them: uint8 [rows, row_stride] of 0 and 1, and bits in little-endian
 * order with the bits past the last column of its byte 0. The window may hang over the grid to the right and below; there are no cells.
 * Fastest where rows begin at multiples of 16 bytes. `row_stride` in bytes; too small is RMASK_ERR_ARGUMENT. */
RMASK_API rmask_status rmask_cuda_to_bytes(rmask_cuda_fold what, int32_t row_begin, int32_t row_end, int32_t col_begin, int32_t col_end,
                                           uint8_t *cells, uint64_t row_stride, rmask_cuda_stream stream, rmask_error *error);
RMASK_API rmask_status rmask_cuda_to_bits(rmask_cuda_fold what, int32_t row_begin, int32_t row_end, int32_t col_begin, int32_t col_end,
                                          uint8_t *bits, uint64_t row_stride, rmask_cuda_stream stream, rmask_error *error);

/* The cells inside of tiles, as rmask_export_tile_bits writes them. `what` gives the cells and the sides of a tile. The tiles are compressed rows
 * on the device, of the rows [row_begin, row_end) of tiles, as rmask_cuda_bsr writes them for the same `what` (the partial ones, say):
 * indptr int32 [row_end - row_begin + 1], indices int32 [num_indices]. Tile i of the list gets the ceil(tile_rows * tile_cols / 8) bytes from
 * bits + i * that on. `capacity` in bytes: whole tiles that fit, and that are among the indices, are written. Of a tile that hangs over the
 * grid the bits beyond it are 0. A tile has at most 2^31 - 1 cells, else RMASK_ERR_RANGE. */
RMASK_API rmask_status rmask_cuda_tile_bits(rmask_cuda_fold what, int32_t row_begin, int32_t row_end, const int32_t *indptr,
                                            const int32_t *indices, uint64_t num_indices, uint8_t *bits, uint64_t capacity,
                                            rmask_cuda_stream stream, rmask_error *error);

/* The same as FlashInfer packs it (rmask_export_packed_mask): a row of n tiles is one matrix of tile_rows x (n * tile_cols) bits, row behind
 * row, that begins at the whole byte starts[i]; starts int32 [row_end - row_begin + 1]. Rows of tiles that do not fit into `capacity` bytes,
 * or whose tiles are not all among the indices, are not written; the last start is the needed capacity, 2^31 - 1 where it is that or more.
 * `bits` may be NULL: only the starts are written. `workspace` as for rmask_cuda_csr, of as many rows. */
RMASK_API rmask_status rmask_cuda_packed_mask(rmask_cuda_fold what, int32_t row_begin, int32_t row_end, const int32_t *indptr,
                                              const int32_t *indices, uint64_t num_indices, int32_t *starts, uint8_t *bits,
                                              uint64_t capacity, void *workspace, size_t workspace_bytes, rmask_cuda_stream stream,
                                              rmask_error *error);

/* ---------------------------------------------------------------- decoding over a paged cache */

/* The decode step of rmask_export_pages in one launch whose shape depends on num_requests and num_groups only, so that a captured graph goes
 * on working while everything that it reads changes. Heads come in groups that read the same pages, one for each KV head: a group keeps the
 * union of what its heads' masks keep. All pointers are on the device; sizes in entries.
 *
 *     masks         rmask_cuda_mask [num_masks]             handles, copied to the device by the caller; key blocks are pages
 *     which         int32 [num_requests, which_stride]      the masks of the heads, group by group; a negative one is dense: all pages
 *     rows          int32 [num_requests], or NULL           the query's row; NULL: that of the newest token's page
 *     seq_lens      int32 [num_requests]                    tokens, the newest one the query's own
 *     block_table   int32 [num_requests, table_stride]      logical to physical pages
 *     out_table     int32 [num_requests, num_groups, out_stride]   the physical pages to read, in logical order, the newest one last
 *     out_counts    int32 [num_requests, num_groups]        how many
 *     out_lens      int32 [num_requests, num_groups]        the tokens on them
 *
 * which_stride is at least num_groups * heads_per_group, or 0: all requests share one row. So with the masks of rmask_cuda_upload_atlas, and
 * the atlas's table brought to the device, `which` = table + layer * heads serves a whole layer; RMASK_ATLAS_DENSE is negative there.
 *
 * A length below 1 is an empty slot of the batch: count and length are 0. Where a request makes no sense (an unknown mask, a row out of range,
 * more pages than a mask has columns or its block table room, or more kept pages than out_stride), out_counts is -1 and out_lens 0. A
 * length of 2^31 - 1 tokens or less never overflows. */
typedef struct rmask_cuda_requests {
    const rmask_cuda_mask *masks;
    int32_t num_masks;
    int32_t num_requests;
    int32_t num_groups;      /* at least 1 */
    int32_t heads_per_group; /* 1 to RMASK_CUDA_MAX_FOLD */
    const int32_t *which;
    uint64_t which_stride;
    const int32_t *rows, *seq_lens, *block_table;
    uint64_t table_stride;
    int32_t page_tokens; /* at least 1 */
    int32_t *out_table;
    uint64_t out_stride;
    int32_t *out_counts, *out_lens;
} rmask_cuda_requests;

RMASK_API rmask_status rmask_cuda_pages(const rmask_cuda_requests *requests, rmask_cuda_stream stream, rmask_error *error);

#ifdef __cplusplus
}
#endif

#endif
