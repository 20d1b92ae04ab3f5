/* SPDX-License-Identifier: Apache-2.0
 * What each warp or thread of a kernel does. A job is a kernel's argument; all of its pointers are on the device. */
#ifndef ROARMASK_CUDA_EXPAND_H
#define ROARMASK_CUDA_EXPAND_H

#include "cuda/walk.h"

/* A fold with its masks in it, so that it travels as an argument. */
typedef struct cu_fold {
    rmask_cuda_mask masks[RMASK_CUDA_MAX_FOLD];
    int32_t num_masks;
    uint32_t function;
} cu_fold;

/* ---------------------------------------------------------------- rows */

typedef enum cu_rows_kind { CU_COUNTS, CU_COMPRESSED, CU_PADDED } cu_rows_kind;

/* A warp for each row, and one more. */
typedef struct cu_rows_job {
    cu_fold what;
    cu_rows_kind kind;
    int32_t row_begin, num_rows;
    int64_t *sums;     /* CU_COUNTS writes 0 and the rows' counts; CU_COMPRESSED reads where rows begin */
    int64_t *wide;     /* CU_COMPRESSED: indptr is written here */
    int32_t *narrow;   /* or here */
    int32_t *counts;   /* CU_PADDED */
    int32_t *indices;
    uint64_t room;     /* of all rows; CU_PADDED: of each */
} cu_rows_job;

/* One row of the output, by a warp. `num` is the number of masks, a constant where it is 1. */
CU_FN uint32_t cu_put_row(const cu_rows_job *job, int num, int32_t i, int32_t *out, uint64_t room)
{
    cu_row row[RMASK_CUDA_MAX_FOLD];
    for (int k = 0; k < num; k++) row[k] = cu_row_of(&job->what.masks[k], job->row_begin + i);
    cu_rows rows;
    rows.row = row;
    rows.num = num;
    rows.function = job->what.function;
    return cu_walk(rows, 0, job->what.masks[0].cols, NULL, out, room);
}

/* 0 <= i <= num_rows */
CU_FN void cu_rows_warp(const cu_rows_job *job, int num, int32_t i)
{
    if (job->kind == CU_COUNTS) {
        const uint32_t count = i > 0 ? cu_put_row(job, num, i - 1, NULL, 0) : 0;
        CU_EACH_LANE(slot, lane) if (lane == 0) job->sums[i] = count;
    } else if (job->kind == CU_COMPRESSED) {
        const int64_t begin = job->sums[i];
        CU_EACH_LANE(slot, lane) if (lane == 0 && job->wide) job->wide[i] = begin;
        CU_EACH_LANE(slot, lane) if (lane == 0 && job->narrow) job->narrow[i] = (int32_t)begin;
        if (i < job->num_rows && job->indices && (uint64_t)begin < job->room)
            cu_put_row(job, num, i, job->indices + begin, job->room - (uint64_t)begin);
    } else if (i < job->num_rows) {
        const uint32_t count = cu_put_row(job, num, i, job->indices + (uint64_t)i * job->room, job->room);
        CU_EACH_LANE(slot, lane) if (lane == 0) job->counts[i] = (int32_t)count;
    }
}

/* ---------------------------------------------------------------- cells */

enum { CU_PIECE_WORDS = 4, CU_PIECE_BITS = 128 };

/* The first `num_cols` of 128 columns of the fold from `col` on; the rest, and what is beyond the grid, is 0. */
CU_FN void cu_cells(const cu_fold *what, int64_t row, int64_t col, int32_t num_cols, uint32_t words[CU_PIECE_WORDS])
{
    const int64_t cols = what->masks[0].cols, end = col + num_cols < cols ? col + num_cols : cols;
    for (int k = 0; k < CU_PIECE_WORDS; k++) words[k] = 0;
    if (row >= what->masks[0].rows) return;
    for (int i = 0; i < what->num_masks; i++) {
        const cu_row r = cu_row_of(&what->masks[i], (int32_t)row);
        for (int k = 0; k < CU_PIECE_WORDS; k++) {
            const int64_t at = col + 32 * k;
            if (at >= end) break;
            const uint32_t word = cu_row_word(&r, at);
            words[k] = i == 0 ? word : cu_apply(what->function, words[k], word);
            if (end - at < 32) words[k] &= ~(0xffffffffu << (end - at));
        }
    }
}

/* A thread for each 16 bytes of a row. */
typedef struct cu_dense_job {
    cu_fold what;
    int32_t row_begin, num_rows, col_begin, col_end;
    uint8_t *out;
    uint64_t row_stride;
    bool as_bytes;
} cu_dense_job;

CU_FN int32_t cu_dense_piece_cols(const cu_dense_job *job) { return job->as_bytes ? 16 : CU_PIECE_BITS; }

CU_FN int64_t cu_dense_pieces(const cu_dense_job *job)
{
    const int32_t piece = cu_dense_piece_cols(job);
    return ((int64_t)job->col_end - job->col_begin + piece - 1) / piece;
}

CU_FN void cu_dense_thread(const cu_dense_job *job, int64_t i, int64_t piece)
{
    const int32_t piece_cols = cu_dense_piece_cols(job);
    const int64_t col = job->col_begin + piece * piece_cols, rest = job->col_end - col;
    const int32_t num_cols = rest < piece_cols ? (int32_t)rest : piece_cols;
    cu_quad quad;
    cu_cells(&job->what, job->row_begin + i, col, num_cols, quad.part);
    if (job->as_bytes) {
        const uint32_t word = quad.part[0];
        for (int k = 0; k < 4; k++) quad.part[k] = (word >> 4 * k & 15) * 0x00204081u & 0x01010101u; /* a bit to each byte */
    }
    cu_store_some(job->out + (uint64_t)i * job->row_stride + (uint64_t)piece * 16, quad, job->as_bytes ? num_cols : (num_cols + 7) / 8);
}

/* A thread for each 16 bytes of a tile. */
typedef struct cu_tiles_job {
    cu_fold what;
    int32_t tile_rows, tile_cols, num_tile_rows;
    const int32_t *indptr, *indices;
    uint8_t *bits;
    uint64_t tile_bytes, max_tiles; /* that fit */
} cu_tiles_job;

CU_FN uint64_t cu_tile_pieces(const cu_tiles_job *job) { return (job->tile_bytes + 15) / 16; }

CU_FN void cu_tile_thread(const cu_tiles_job *job, uint64_t tile, uint64_t piece)
{
    if ((int64_t)tile >= job->indptr[job->num_tile_rows]) return;
    const int64_t tile_row = (int64_t)cu_upper_bound(job->indptr, (uint32_t)job->num_tile_rows, (int64_t)tile) - 1;
    const int64_t row = tile_row * job->tile_rows, col = (int64_t)job->indices[tile] * job->tile_cols;
    const int64_t num_bits = (int64_t)job->tile_rows * job->tile_cols, first = (int64_t)piece * CU_PIECE_BITS;
    const int64_t rest = num_bits - first;
    const int32_t wanted = rest < CU_PIECE_BITS ? (int32_t)rest : CU_PIECE_BITS;
    cu_quad quad;
    for (int k = 0; k < CU_PIECE_WORDS; k++) quad.part[k] = 0;
    for (int32_t done = 0; done < wanted;) { /* row by row of the tile */
        const int64_t at = first + done, tile_col = at % job->tile_cols, in_row = job->tile_cols - tile_col;
        const int32_t num = in_row < wanted - done ? (int32_t)in_row : wanted - done;
        uint32_t words[CU_PIECE_WORDS];
        cu_cells(&job->what, row + at / job->tile_cols, col + tile_col, num, words);
        for (int k = 0; 32 * k < num; k++) {
            const int32_t to = done + 32 * k, shift = to % 32;
            quad.part[to / 32] |= words[k] << shift;
            if (shift > 0 && to / 32 + 1 < CU_PIECE_WORDS) quad.part[to / 32 + 1] |= words[k] >> (32 - shift);
        }
        done += num;
    }
    cu_store_some(job->bits + tile * job->tile_bytes + piece * 16, quad, (wanted + 7) / 8);
}

/* ---------------------------------------------------------------- the decode step */

/* A block of warps for each request. Each has a part of the row: all count theirs, and then all write. */
enum { CU_PAGE_WARPS = 8 };

typedef struct cu_request {
    int32_t num_pages, row, num_tokens; /* no pages: an empty slot, or one that makes no sense */
    bool is_bad;
    const rmask_cuda_mask *mask; /* NULL: dense */
    const int32_t *table;
} cu_request;

CU_FN cu_request cu_request_of(const rmask_cuda_requests *r, int32_t i)
{
    cu_request request;
    const int32_t tokens = r->seq_lens[i], which = r->which[i], pages = (int32_t)(((int64_t)tokens + r->page_tokens - 1) / r->page_tokens);
    request.num_pages = 0;
    request.num_tokens = tokens;
    request.row = 0;
    request.is_bad = false;
    request.mask = NULL;
    request.table = r->block_table + (uint64_t)i * r->table_stride;
    if (tokens < 1) return request;
    request.is_bad = (uint64_t)pages > r->table_stride || which >= r->num_masks;
    if (request.is_bad) return request;
    if (which >= 0) {
        request.mask = r->masks + which;
        request.row = r->rows ? r->rows[i] : pages - 1;
        request.is_bad = pages > request.mask->cols || request.row < 0 || request.row >= request.mask->rows;
    }
    if (!request.is_bad) request.num_pages = pages;
    return request;
}

/* A warp's part of the pages before the newest one: how many are kept, and with `out` they are written, as far as there is room. */
CU_FN uint32_t cu_pages_part(const cu_request *request, int32_t warp, int32_t *out, uint64_t room)
{
    const int64_t last = request->num_pages > 0 ? request->num_pages - 1 : 0;
    const int32_t begin = (int32_t)(last * warp / CU_PAGE_WARPS), end = (int32_t)(last * (warp + 1) / CU_PAGE_WARPS);
    if (request->mask) {
        const cu_row row = cu_row_of(request->mask, request->row);
        cu_rows rows;
        rows.row = &row;
        rows.num = 1;
        rows.function = RMASK_A;
        return cu_walk(rows, begin, end, request->table, out, room);
    }
    const uint32_t num = (uint32_t)(end - begin);
    cu_step step;
    step.kind = CU_PLAIN;
    step.begin = step.base = begin;
    step.end = end;
    step.values = NULL;
    step.num = num;
    if (out && room > 0) cu_put_plain(&step, num < room ? num : (uint32_t)room, request->table, out);
    return num;
}

CU_FN uint32_t cu_pages_count(const rmask_cuda_requests *r, int32_t i, int32_t warp)
{
    const cu_request request = cu_request_of(r, i);
    return cu_pages_part(&request, warp, NULL, 0);
}

/* `counts` are those of all warps. */
CU_FN void cu_pages_write(const rmask_cuda_requests *r, int32_t i, int32_t warp, const uint32_t counts[CU_PAGE_WARPS])
{
    const cu_request request = cu_request_of(r, i);
    uint64_t before = 0, kept = 0;
    for (int32_t k = 0; k < CU_PAGE_WARPS; k++) {
        before += k < warp ? counts[k] : 0;
        kept += counts[k];
    }
    int32_t *const out = r->out_table + (uint64_t)i * r->out_stride;
    const bool fits = request.num_pages > 0 && kept + 1 <= r->out_stride;
    if (fits) cu_pages_part(&request, warp, out + before, kept - before);
    if (warp > 0) return;
    CU_EACH_LANE(slot, lane)
    {
        if (lane > 0) continue;
        if (fits) out[kept] = request.table[request.num_pages - 1];
        r->out_counts[i] = fits ? (int32_t)kept + 1 : request.num_pages > 0 || request.is_bad ? -1 : 0;
        r->out_lens[i] = fits ? (int32_t)kept * r->page_tokens + (request.num_tokens - 1) % r->page_tokens + 1 : 0;
    }
}

#endif
