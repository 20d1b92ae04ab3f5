/* SPDX-License-Identifier: Apache-2.0
 * What each warp or thread of a kernel does. A job is a kernel's argument; all of its pointers are on the device. */
#ifndef ROARMASK_CUDA_EXPAND_H
#define ROARMASK_CUDA_EXPAND_H

#include "cuda/walk.h"

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

/* How many masks there are, and whether tiles are expanded: constants, where they are known when a kernel is compiled. */
typedef struct cu_form {
    int num;
    bool is_tiled;
} cu_form;

CU_FN cu_form cu_form_of(const cu_fold *what)
{
    cu_form form;
    form.num = what->num_masks;
    form.is_tiled = what->is_tiled;
    return form;
}

/* One row of the output, by a warp. */
CU_FN uint32_t cu_put_row(const cu_rows_job *job, cu_form form, int32_t i, int32_t *out, uint64_t room)
{
    cu_row row[RMASK_CUDA_MAX_FOLD];
    cu_line line;
    line.tiles = form.is_tiled ? &job->what : NULL;
    line.tile_row = job->row_begin + i;
    line.cells.row = row;
    line.cells.num = form.num;
    line.cells.function = job->what.function;
    for (int k = 0; k < form.num && !form.is_tiled; k++) row[k] = cu_row_of(&job->what.masks[k], line.tile_row);
    return cu_walk(line, 0, job->what.cols, NULL, out, room);
}

/* 0 <= i <= num_rows */
CU_FN void cu_rows_warp(const cu_rows_job *job, cu_form form, int32_t i)
{
    if (job->kind == CU_COUNTS) {
        const uint32_t count = i > 0 ? cu_put_row(job, form, i - 1, NULL, 0) : 0;
        CU_EACH_LANE(slot, lane) if (lane == 0) job->sums[i] = count;
    } else if (job->kind == CU_COMPRESSED) {
        const int64_t begin = job->sums[i];
        CU_EACH_LANE(slot, lane) if (lane == 0 && job->wide) job->wide[i] = begin;
        CU_EACH_LANE(slot, lane) if (lane == 0 && job->narrow) job->narrow[i] = (int32_t)begin;
        if (i < job->num_rows && job->indices && (uint64_t)begin < job->room)
            cu_put_row(job, form, i, job->indices + begin, job->room - (uint64_t)begin);
    } else if (i < job->num_rows) {
        const uint32_t count = cu_put_row(job, form, i, job->indices + (uint64_t)i * job->room, job->room);
        CU_EACH_LANE(slot, lane) if (lane == 0) job->counts[i] = (int32_t)count;
    }
}

/* ---------------------------------------------------------------- cells */

enum { CU_PIECE_WORDS = 4, CU_PIECE_BITS = 128 };

/* The first `num_cols` of 128 columns of cells, or of tiles, from `col` on; the rest, and what is beyond the grid, is 0. */
CU_FN void cu_cells(const cu_fold *what, bool is_tiled, int64_t row, int64_t col, int32_t num_cols, uint32_t words[CU_PIECE_WORDS])
{
    const int64_t rows = is_tiled ? what->rows : what->masks[0].rows, cols = is_tiled ? what->cols : what->masks[0].cols;
    const int64_t end = col + num_cols < cols ? col + num_cols : cols;
    for (int k = 0; k < CU_PIECE_WORDS; k++) words[k] = 0;
    if (row >= rows) return;
    if (is_tiled) {
        for (int k = 0; k < CU_PIECE_WORDS; k++) words[k] = cu_tile_word(what, what->num_masks, (int32_t)row, col + 32 * k, end);
        return;
    }
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

CU_FN void cu_dense_thread(const cu_dense_job *job, bool is_tiled, int64_t i, int64_t piece)
{
    const int32_t piece_cols = cu_dense_piece_cols(job);
    const int64_t col = job->col_begin + piece * piece_cols, rest = job->col_end - col;
    const int32_t num_cols = rest < piece_cols ? (int32_t)rest : piece_cols;
    cu_quad quad;
    cu_cells(&job->what, is_tiled, (int64_t)job->row_begin + i, col, num_cols, quad.part);
    if (job->as_bytes) {
        const uint32_t word = quad.part[0];
        for (int k = 0; k < 4; k++) quad.part[k] = (word >> 4 * k & 15) * 0x00204081u & 0x01010101u; /* a bit to each byte */
    }
    cu_store_some(job->out + (uint64_t)i * job->row_stride + (uint64_t)piece * 16, quad, job->as_bytes ? num_cols : (num_cols + 7) / 8);
}

/* The cells inside of tiles that a list names: each tile by itself, or the tiles of a row side by side. */
typedef struct cu_tiles_job {
    cu_fold what;
    int32_t row_begin, num_rows;     /* of tiles */
    const int32_t *indptr, *indices; /* of these rows */
    uint64_t num_indices;
    uint8_t *bits;
    uint64_t tile_bytes, max_tiles; /* each by itself: that fit */
    int32_t *starts;                /* side by side */
    int64_t *sums;                  /* where rows begin, in bytes; written, where `is_count`, as 0 and the rows' bytes */
    uint64_t room;
    bool is_count;
} cu_tiles_job;

/* 16 bytes of a matrix of bits, n tiles side by side; `row` is that of the cells above. */
CU_FN void cu_put_matrix(const cu_tiles_job *job, int64_t row, const int32_t *tiles, int64_t n, int64_t piece, uint8_t *out)
{
    const int64_t width = n * job->what.tile_cols, first = piece * CU_PIECE_BITS, rest = width * job->what.tile_rows - first;
    const int32_t wanted = rest < CU_PIECE_BITS ? (int32_t)rest : CU_PIECE_BITS;
    cu_quad quad;
    for (int k = 0; k < CU_PIECE_WORDS; k++) quad.part[k] = 0;
    int64_t down = first / width, right = first % width;
    for (int32_t done = 0; done < wanted;) { /* row by row of a tile */
        const int64_t tile = right / job->what.tile_cols, inside = right - tile * job->what.tile_cols, left = job->what.tile_cols - inside;
        const int32_t num = left < wanted - done ? (int32_t)left : wanted - done;
        uint32_t words[CU_PIECE_WORDS];
        cu_cells(&job->what, false, row + down, (int64_t)tiles[tile] * job->what.tile_cols + inside, num, words);
        for (int k = 0; k < CU_PIECE_WORDS && 32 * k < num; k++) {
            const int32_t to = done + 32 * k, shift = to % 32;
            quad.part[to / 32] |= words[k] << shift;
            if (shift > 0 && to / 32 + 1 < CU_PIECE_WORDS) quad.part[to / 32 + 1] |= words[k] >> (32 - shift);
        }
        done += num;
        right += num;
        if (right == width) down++, right = 0;
    }
    cu_store_some(out + piece * 16, quad, (wanted + 7) / 8);
}

CU_FN uint64_t cu_tile_pieces(const cu_tiles_job *job) { return (job->tile_bytes + 15) / 16; }

/* A thread for each 16 bytes of a tile. */
CU_FN void cu_tile_thread(const cu_tiles_job *job, uint64_t tile, uint64_t piece)
{
    if ((int64_t)tile >= job->indptr[job->num_rows]) return;
    const int64_t tile_row = job->row_begin + (int64_t)rmask_upper_bound(job->indptr, (uint32_t)job->num_rows, (int64_t)tile) - 1;
    cu_put_matrix(job, tile_row * job->what.tile_rows, job->indices + tile, 1, (int64_t)piece, job->bits + tile * job->tile_bytes);
}

/* Some threads for each row of tiles, and one row more. What is beyond the room, or lists tiles beyond the indices, is not written. */
CU_FN void cu_packed_thread(const cu_tiles_job *job, int32_t i, uint32_t thread, uint32_t num_threads)
{
    if (job->is_count) {
        const int64_t n = i > 0 ? (int64_t)job->indptr[i] - job->indptr[i - 1] : 0;
        if (thread == 0) job->sums[i] = (n * job->what.tile_cols * job->what.tile_rows + 7) / 8;
        return;
    }
    const int64_t begin = job->sums[i];
    if (thread == 0) job->starts[i] = begin < INT32_MAX ? (int32_t)begin : INT32_MAX;
    if (i == job->num_rows || !job->bits) return;
    const int64_t end = job->sums[i + 1], pieces = (end - begin + 15) / 16;
    if ((uint64_t)end > job->room || (uint64_t)job->indptr[i + 1] > job->num_indices) return;
    const int64_t n = (int64_t)job->indptr[i + 1] - job->indptr[i], row = ((int64_t)job->row_begin + i) * job->what.tile_rows;
    for (int64_t piece = thread; piece < pieces; piece += num_threads)
        cu_put_matrix(job, row, job->indices + job->indptr[i], n, piece, job->bits + begin);
}

/* ---------------------------------------------------------------- the decode step */

/* A block of warps for each request and group of heads. Each has a part of the row: all count theirs, and then all write. */
enum { CU_PAGE_WARPS = 8 };

typedef struct cu_request {
    int32_t num_pages, row, num_tokens; /* no pages: an empty slot, or one that makes no sense */
    bool is_bad, is_dense;
    const int32_t *which; /* of the group's heads */
    const int32_t *table;
} cu_request;

/* `num` is the number of heads in a group, a constant where it is 1. i: request * num_groups + group. */
CU_FN cu_request cu_request_of(const rmask_cuda_requests *r, int num, int32_t i)
{
    const int32_t slot = i / r->num_groups, group = i % r->num_groups;
    cu_request request;
    const int32_t tokens = r->seq_lens[slot], pages = (int32_t)(((int64_t)tokens + r->page_tokens - 1) / r->page_tokens);
    request.num_pages = 0;
    request.num_tokens = tokens;
    request.row = 0;
    request.is_bad = request.is_dense = false;
    request.which = r->which + (uint64_t)slot * r->which_stride + (uint64_t)group * (uint64_t)num;
    request.table = r->block_table + (uint64_t)slot * r->table_stride;
    if (tokens < 1) return request;
    request.row = r->rows ? r->rows[slot] : pages - 1;
    request.is_bad = (uint64_t)pages > r->table_stride;
    for (int k = 0; k < num; k++) {
        const int32_t which = request.which[k];
        if (which < 0)
            request.is_dense = true;
        else if (which >= r->num_masks)
            request.is_bad = true;
        else if (pages > r->masks[which].cols || request.row < 0 || request.row >= r->masks[which].rows)
            request.is_bad = true;
    }
    if (!request.is_bad) request.num_pages = pages;
    return request;
}

/* A warp's part of the pages before the newest one: how many are kept, and with `out` they are written, as far as there is room. */
CU_FN uint32_t cu_pages_part(const rmask_cuda_requests *r, int num, const cu_request *request, int32_t warp, int32_t *out, uint64_t room)
{
    const int64_t last = request->num_pages > 0 ? request->num_pages - 1 : 0;
    const int32_t begin = (int32_t)(last * warp / CU_PAGE_WARPS), end = (int32_t)(last * (warp + 1) / CU_PAGE_WARPS);
    if (request->num_pages > 0 && !request->is_dense) {
        cu_row row[RMASK_CUDA_MAX_FOLD];
        for (int k = 0; k < num; k++) row[k] = cu_row_of(r->masks + request->which[k], request->row);
        cu_line line;
        line.cells.row = row;
        line.cells.num = num;
        line.cells.function = RMASK_OR;
        line.tiles = NULL;
        line.tile_row = 0;
        return cu_walk(line, begin, end, request->table, out, room);
    }
    const uint32_t num_pages = (uint32_t)(end - begin);
    cu_step step;
    step.kind = CU_PLAIN;
    step.begin = step.base = begin;
    step.end = end;
    step.values = NULL;
    step.num = num_pages;
    if (out && room > 0) cu_put_plain(&step, num_pages < room ? num_pages : (uint32_t)room, request->table, out);
    return num_pages;
}

CU_FN uint32_t cu_pages_count(const rmask_cuda_requests *r, int num, int32_t i, int32_t warp)
{
    const cu_request request = cu_request_of(r, num, i);
    return cu_pages_part(r, num, &request, warp, NULL, 0);
}

/* `counts` are those of all warps. */
CU_FN void cu_pages_write(const rmask_cuda_requests *r, int num, int32_t i, int32_t warp, const uint32_t counts[CU_PAGE_WARPS])
{
    const cu_request request = cu_request_of(r, num, i);
    uint64_t before = 0, kept = 0;
    for (int32_t k = 0; k < CU_PAGE_WARPS; k++) {
        before += k < warp ? counts[k] : 0;
        kept += counts[k];
    }
    int32_t *const out = r->out_table + (uint64_t)i * r->out_stride;
    const bool fits = request.num_pages > 0 && kept + 1 <= r->out_stride;
    if (fits) cu_pages_part(r, num, &request, warp, out + before, kept - before);
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
