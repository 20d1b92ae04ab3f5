/* SPDX-License-Identifier: Apache-2.0
 *
 * One mask, every attention kernel's own tensors.
 *
 * All functions write into buffers of the caller, allocate nothing unless said otherwise, and follow the rules of roarmask.h (status, error,
 * threads). A mask is in the kernel's own tiles: one row a query tile, one column a key tile; rmask_coarsen makes those, with full
 * and partial tiles apart, out of a token-exact mask. Indices are int32, as kernels take them.
 */
#ifndef ROARMASK_EXPORT_H
#define ROARMASK_EXPORT_H

#include <roarmask/roarmask.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---------------------------------------------------------------- index tensors */

/* Compressed rows with int32 starts: FlashInfer's BSR (indptr, indices) of BlockSparseAttentionWrapper. `indptr` has
 * row_end - row_begin + 1 entries. With `indices` NULL only `indptr` is written: its last entry is the capacity to come back with. A
 * `capacity` that is too small is RMASK_ERR_CAPACITY, more than 2^31 - 1 cells RMASK_ERR_LIMIT. */
RMASK_API rmask_status rmask_export_bsr(const rmask *mask, int32_t row_begin, int32_t row_end, int32_t *indptr,
                                        int32_t *indices, size_t capacity, rmask_error *error);

/* Padded rows: counts[i] is the number of row row_begin + i's columns, which begin at indices + i * row_stride (entries). The rest of each
 * row is not part of the result, and may be overwritten. FlexAttention's kv_num_blocks and kv_indices (BlockMask.from_kv_blocks), with
 * row_stride the number of columns; FlashAttention-4's mask_block_cnt and mask_block_idx, with the row_stride that
 * rmask_export_max_row_count gives. A row that does not fit is RMASK_ERR_CAPACITY. */
RMASK_API rmask_status rmask_export_padded(const rmask *mask, int32_t row_begin, int32_t row_end, int32_t *counts,
                                           int32_t *indices, size_t row_stride, rmask_error *error);

/* The largest number of cells in a row of the range; 0 for an empty one. */
RMASK_API rmask_status rmask_export_max_row_count(const rmask *mask, int32_t row_begin, int32_t row_end, size_t *count,
                                                  rmask_error *error);

/* The cells inside of tiles, for kernels that take them with partial tiles. `tiles` are tiles of tile_rows x tile_cols cells of
 * `mask`; for each cell of `tiles`, row by row, tile_rows * tile_cols bits are written (little-endian bit order, rows of a tile one
 * behind the other, each tile beginning at a whole byte). Cells beyond the grid are 0. `capacity` in bytes: for each of
 * rmask_count(tiles) tiles ceil(tile_rows * tile_cols / 8) are needed. Tiles whose rows are whole bytes are faster than others.
 * Allocates one row of `tiles`. */
RMASK_API rmask_status rmask_export_tile_bits(const rmask *mask, const rmask *tiles, int32_t tile_rows, int32_t tile_cols,
                                              uint8_t *bits, size_t capacity, rmask_error *error);

/* The same as FlashInfer packs it: a row of n tiles is one matrix of tile_rows x (n * tile_cols) bits, row behind row, that begins
 * at the whole byte starts[row]; `starts` has rmask_rows(tiles) + 1 entries. With `bits` NULL only `starts` is written: its last
 * entry is the capacity to come back with. More than 2^31 - 1 bytes are RMASK_ERR_LIMIT. */
RMASK_API rmask_status rmask_export_packed_mask(const rmask *mask, const rmask *tiles, int32_t tile_rows, int32_t tile_cols,
                                                int32_t *starts, uint8_t *bits, size_t capacity, rmask_error *error);

/* ---------------------------------------------------------------- paged caches */

/* The decode step over a paged cache: for each of `num_requests` requests, the pages that its query may look at, in logical order.
 * Request i is row rows[i] of masks[i] (key blocks are pages of page_tokens tokens) and has seq_lens[i] tokens, the newest one
 * the query's own, on the pages block_table[i * table_stride ...]. The columns of its row that are pages of the sequence are kept, and
 * the page of the query's own token always: out_table[i * out_stride ...] gets their physical numbers, out_counts[i] how many, and
 * out_lens[i] the tokens on them: all pages full but the last. With keys rotated before they are cached, attention over such a table is
 * exact sparse attention. A row of more pages than out_stride is RMASK_ERR_CAPACITY; a sequence longer than its mask's columns or its block
 * table, or a length below 1, RMASK_ERR_RANGE with the request. Allocates one row. */
RMASK_API rmask_status rmask_export_pages(const rmask *const *masks, const int32_t *rows, int32_t num_requests,
                                          const int32_t *block_table, size_t table_stride, const int32_t *seq_lens,
                                          int32_t page_tokens, int32_t *out_table, size_t out_stride, int32_t *out_counts,
                                          int32_t *out_lens, rmask_error *error);

/* ---------------------------------------------------------------- intervals of rows: FlashMask (arXiv 2410.01359) */

/* For each key column the masked rows, token-exact, of a square mask. The lower triangle of column c is the rows from c on, the upper one the
 * rows above; each may have one masked interval. `bounds` has rmask_cols * num_bounds entries:
 *
 *     causal,     1: rows >= b0 are masked            2: rows [b0, b1); the upper triangle always is
 *     not causal, 2: lower rows >= b0, upper rows < b1     4: lower rows [b0, b1), upper rows [b2, b3)
 *
 * RMASK_ERR_ARGUMENT says which column does not fit and why, or that the mask is not square or num_bounds none of these. Transposes the
 * mask; otherwise allocates nothing. Time linear in the columns. */
RMASK_API rmask_status rmask_export_flashmask(const rmask *mask, bool causal, int32_t num_bounds, int32_t *bounds,
                                              rmask_error *error);

/* The way back: the mask of side x side tokens. RMASK_ERR_RANGE for a bound outside of 0 to side, RMASK_ERR_ARGUMENT for an interval that ends
 * before it begins. */
RMASK_API rmask_status rmask_from_flashmask(int32_t side, bool causal, int32_t num_bounds, const int32_t *bounds,
                                            const rmask_allocator *allocator, rmask **out, rmask_error *error);

/* ---------------------------------------------------------------- slices: MagiAttention's AttnSlice */

/* Edges of a slice, as bits. Without both it is full. */
enum {
    RMASK_SLICE_CAUSAL = 1,        /* the right edge is a diagonal that ends in the bottom right corner */
    RMASK_SLICE_INVERSE_CAUSAL = 2 /* the left edge is a diagonal that begins in the top left corner */
};

/* A token-exact mask as slices: slice i has the query rows [q_ranges[2 i], q_ranges[2 i + 1]) and key columns [k_ranges[2 i],
 * k_ranges[2 i + 1]) between the edges that types[i] says. Slices do not overlap. A strip is a slice for each of its intervals, cut where its
 * boundaries meet each other or the edges of the grid; a row with exceptions is one for each of its ranges. So every mask fits, but irregular
 * ones make many. `capacity` is in slices; *count gets their number, and with the arrays NULL only that. Too small a capacity is
 * RMASK_ERR_CAPACITY. */
RMASK_API rmask_status rmask_export_slices(const rmask *mask, int32_t *q_ranges, int32_t *k_ranges, int32_t *types,
                                           size_t capacity, size_t *count, rmask_error *error);

/* The union of slices, in any order. RMASK_ERR_RANGE for a slice that is not in the grid, RMASK_ERR_ARGUMENT for an unknown type. Time linear
 * in the slices' rows. */
RMASK_API rmask_status rmask_from_slices(int32_t rows, int32_t cols, const int32_t *q_ranges, const int32_t *k_ranges,
                                         const int32_t *types, size_t num_slices, const rmask_allocator *allocator, rmask **out,
                                         rmask_error *error);

/* ---------------------------------------------------------------- tiles of columns and diagonals: MInference */

/* What MInference's sparse kernel takes of a pattern of whole key columns (ascending) and whole diagonals (distances q - k, descending, the
 * last one 0) over num_tokens tokens, causal. Of each tile of `tile` (64 there) query rows: block_count[i] key blocks of `tile` tokens, whose
 * first tokens begin at block_offset + i * num_distances, and column_count[i] columns outside of them at column_index + i * num_columns. There
 * are ceil(num_tokens / tile) tiles. The kernel compares the tokens of blocks with the queries, columns not, so these lie left of every
 * query of their tile.
 *
 * In a tile that ends before row e a diagonal of distance d has the keys [e - d - tile, e - d), which become a block, or one more at the end
 * of the blocks that they touch: all cells of the diagonals are covered, and some others. Columns from num_tokens on, and repeated distances,
 * are nothing. RMASK_ERR_ARGUMENT where an order is wrong, a distance is negative, or 0 is missing while there are tokens. */
RMASK_API rmask_status rmask_export_vertical_slash(const int32_t *columns, size_t num_columns, const int32_t *distances,
                                                   size_t num_distances, int32_t num_tokens, int32_t tile, int32_t *block_count,
                                                   int32_t *block_offset, int32_t *column_count, int32_t *column_index,
                                                   rmask_error *error);

#ifdef __cplusplus
}
#endif

#endif
