/* SPDX-License-Identifier: Apache-2.0
 * Placing pieces of masks into a grid.
 *
 * A strip moves by adding to its boundaries. What a piece's strips reach beyond the edges of the grid needs no care, parity sees to that;
 * what they reach beyond the edges of a piece narrower than the grid is cut off at the end, by AND with the strips of a mask of bands.
 *
 * Exceptions move with their containers: rows that stay in their columns are copied as they are, many at once; otherwise a container goes
 * into one or two chunks, arrays by an addition, bitsets by a shift of bits. */
#include "core/place.h"

#include "core/algebra.h"
#include "core/mask.h"
#include "core/row.h"
#include "simd/simd.h"

#include <string.h>

enum { CONTAINER_ROOM = 2 * RMASK_CHUNK_UNITS + 64 };

void rmask_placer_init(rmask_placer *placer, int32_t rows, int32_t cols, bool cut, const rmask_allocator *allocator)
{
    *placer = (rmask_placer){.cut = cut};
    rmask_draft_init(&placer->draft, rows, cols, allocator);
    rmask_draft_init(&placer->bands, rows, cols, allocator);
}

static rmask_status fail_nomem(rmask_placer *placer)
{
    if (!placer->draft.failed) placer->draft.failed = RMASK_ERR_NOMEM;
    return RMASK_ERR_NOMEM;
}

/* ---------------------------------------------------------------- strips */

/* out[i] = list[i] + shift, clamped. */
static void shift_list(int32_t *out, const int32_t *list, size_t n, int64_t shift, int64_t low, int64_t high)
{
    for (size_t i = 0; i < n; i++) {
        const int64_t moved = list[i] + shift;
        out[i] = (int32_t)(moved < low ? low : moved > high ? high : moved);
    }
}

static rmask_status put_strip(rmask_placer *placer, rmask_boundaries strip, int32_t row_at, int64_t fixed_shift, int64_t sliding_shift)
{
    rmask_draft *draft = &placer->draft;
    placer->fixed.len = placer->sliding.len = 0;
    if (!rmask_vec_reserve(&draft->allocator, &placer->fixed, strip.num_fixed) ||
        !rmask_vec_reserve(&draft->allocator, &placer->sliding, strip.num_sliding))
        return fail_nomem(placer);
    shift_list(placer->fixed.at, strip.fixed, strip.num_fixed, fixed_shift, 0, draft->cols);
    shift_list(placer->sliding.at, strip.sliding, strip.num_sliding, sliding_shift, -(int64_t)draft->rows, draft->cols);
    return rmask_draft_strip(draft, row_at, (rmask_boundaries){placer->fixed.at, strip.num_fixed, placer->sliding.at, strip.num_sliding});
}

static rmask_status put_strips(rmask_placer *placer, const rmask_piece *piece)
{
    const rmask *mask = piece->mask;
    const int64_t down = (int64_t)piece->row_at - piece->row_begin, right = (int64_t)piece->col_at - piece->col_begin;
    const rmask_strip *strip = rmask_strip_of(mask, piece->row_begin);
    for (int32_t row = piece->row_begin; row < piece->row_end; row = rmask_strip_end(mask, strip++))
        RMASK_TRY(put_strip(placer, rmask_boundaries_of(mask, strip), (int32_t)(row + down), right, right - down));
    return RMASK_OK;
}

/* ---------------------------------------------------------------- exceptions: one container */

/* A container of the grid being put together. */
typedef struct assembly {
    rmask_draft *draft;
    int32_t row, chunk; /* chunk: -1 for none */
    bool is_bitset;
    uint32_t len;       /* of an array */
    uint16_t *units, *other_units;
    uint64_t num_exceptions;
} assembly;

static void turn_into_bitset(assembly *a)
{
    const rmask_container array = {.units = a->units, .num_units = a->len};
    rmask_bits_of(a->other_units, &array, rmask_bitset_units(a->draft->cols, a->chunk));
    uint16_t *const bits = a->other_units;
    a->other_units = a->units;
    a->units = bits;
    a->is_bitset = true;
}

/* Puts the container into the draft as whichever kind is smaller. */
static rmask_status close_container(assembly *a)
{
    if (a->chunk < 0) return RMASK_OK;
    const uint32_t bitset_units = rmask_bitset_units(a->draft->cols, a->chunk);
    const size_t n = a->is_bitset ? rmask_simd_get()->popcount(a->units, bitset_units) : a->len;
    rmask_container made = {a->chunk, (uint32_t)n, n >= bitset_units, a->units};
    if (n == 0) return RMASK_OK;
    if (made.is_bitset) {
        if (!a->is_bitset) turn_into_bitset(a);
        made.num_units = bitset_units;
        made.units = a->units;
    } else if (a->is_bitset) {
        rmask_simd_get()->positions(a->other_units, a->units, bitset_units);
        made.units = a->other_units;
    }
    a->num_exceptions += n;
    return rmask_draft_container(a->draft, a->row, &made);
}

static rmask_status open_container(assembly *a, int32_t chunk)
{
    if (chunk == a->chunk) return RMASK_OK;
    RMASK_TRY(close_container(a));
    a->chunk = chunk;
    a->is_bitset = false;
    a->len = 0;
    return RMASK_OK;
}

static void add_array(assembly *a, const rmask_container *array, uint32_t begin, uint32_t end, int32_t shift)
{
    const rmask_simd *simd = rmask_simd_get();
    const size_t first = rmask_count_below(simd, array->units, array->num_units, (int32_t)begin);
    const uint16_t *values = array->units + first;
    const size_t n = rmask_count_below(simd, values, array->num_units - first, (int32_t)end);
    if (a->is_bitset) {
        for (size_t i = 0; i < n; i++) {
            const uint32_t bit = (uint32_t)(values[i] + shift);
            a->units[bit / 16] = (uint16_t)(a->units[bit / 16] | 1u << bit % 16);
        }
        return;
    }
    uint16_t *const out = a->units + a->len;
    for (size_t i = 0; i < n; i++) out[i] = (uint16_t)(values[i] + shift);
    a->len += (uint32_t)n;
}

/* The 16 bits of a bitset from bit `at` on, those outside of [begin, end) being 0. */
static uint16_t bits_at(const uint16_t *units, int32_t at, int32_t begin, int32_t end)
{
    uint32_t bits = 0;
    for (int32_t bit = at > begin ? at : begin; bit < at + 16 && bit < end; bit++)
        bits |= (uint32_t)(units[bit / 16] >> bit % 16 & 1) << (bit - at);
    return (uint16_t)bits;
}

static void add_bitset(assembly *a, const rmask_container *bitset, uint32_t begin, uint32_t end, int32_t shift)
{
    if (!a->is_bitset) turn_into_bitset(a);
    const int32_t first = ((int32_t)begin + shift) / 16, last = ((int32_t)end + shift - 1) / 16;
    uint16_t *const out = a->units;
    out[first] |= bits_at(bitset->units, first * 16 - shift, (int32_t)begin, (int32_t)end);
    if (first == last) return;
    const int32_t from = (first + 1) * 16 - shift, skewed = from % 16;
    const uint16_t *in = bitset->units + from / 16;
    if (skewed == 0)
        memcpy(out + first + 1, in, (size_t)(last - first - 1) * sizeof *out);
    else
        for (int32_t i = first + 1; i < last; i++, in++) out[i] = (uint16_t)((in[0] | (uint32_t)in[1] << 16) >> skewed);
    out[last] |= bits_at(bitset->units, last * 16 - shift, (int32_t)begin, (int32_t)end);
}

/* ---------------------------------------------------------------- exceptions: rows */

/* Moves the columns [begin, end) of one container, which come to lie in one chunk or two. */
static rmask_status move_container(assembly *a, const rmask_container *container, int32_t begin, int32_t end, int64_t right)
{
    const int64_t base = (int64_t)container->chunk * RMASK_CHUNK_COLS;
    for (int64_t col = begin; col < end;) {
        const int64_t chunk = (col + right) / RMASK_CHUNK_COLS, stop = (chunk + 1) * RMASK_CHUNK_COLS - right;
        const int64_t part_end = stop < end ? stop : end;
        RMASK_TRY(open_container(a, (int32_t)chunk));
        (container->is_bitset ? add_bitset : add_array)(a, container, (uint32_t)(col - base), (uint32_t)(part_end - base),
                                                       (int32_t)(base + right - chunk * RMASK_CHUNK_COLS));
        col = part_end;
    }
    return RMASK_OK;
}

static rmask_status move_row(rmask_placer *placer, const rmask_piece *piece, rmask_boundaries strip, int32_t row,
                             rmask_row_containers containers)
{
    const int64_t right = (int64_t)piece->col_at - piece->col_begin;
    const rmask_row_containers all = containers;
    assembly a = {.draft = &placer->draft, .row = row - piece->row_begin + piece->row_at, .chunk = -1,
                  .units = placer->units, .other_units = placer->other_units};
    RMASK_TRY(rmask_draft_begin_row(a.draft, 2 * containers.left));
    for (rmask_container container; rmask_next_container(&containers, &container);) {
        const int32_t base = container.chunk * RMASK_CHUNK_COLS, limit = base + rmask_chunk_width(piece->mask->cols, container.chunk);
        const int32_t begin = base > piece->col_begin ? base : piece->col_begin, end = limit < piece->col_end ? limit : piece->col_end;
        RMASK_TRY(move_container(&a, &container, begin, end, right));
    }
    RMASK_TRY(close_container(&a));
    const uint64_t inside = rmask_exceptions_inside(strip, row, all, piece->col_begin, piece->col_end);
    return rmask_draft_end_row(a.draft, a.row, a.num_exceptions, (int64_t)(a.num_exceptions - 2 * inside));
}

/* Room for containers, from the first row on that needs it. */
static rmask_status make_room(rmask_placer *placer)
{
    const rmask_allocator *allocator = &placer->draft.allocator;
    if (!placer->units) placer->units = rmask_allocate(allocator, CONTAINER_ROOM, sizeof *placer->units);
    if (!placer->other_units) placer->other_units = rmask_allocate(allocator, CONTAINER_ROOM, sizeof *placer->other_units);
    return placer->units && placer->other_units ? RMASK_OK : fail_nomem(placer);
}

static rmask_status move_rows(rmask_placer *placer, const rmask_piece *piece)
{
    const rmask *mask = piece->mask;
    const rmask_strip *strip = rmask_strip_of(mask, piece->row_begin);
    rmask_exception_walk walk = rmask_walk_exceptions(mask, piece->row_begin);
    for (int32_t row; (row = rmask_walk_row(&walk)) < piece->row_end;) {
        while (rmask_strip_end(mask, strip) <= row) strip++;
        RMASK_TRY(make_room(placer));
        RMASK_TRY(move_row(placer, piece, rmask_boundaries_of(mask, strip), row, rmask_walk_take(&walk)));
    }
    return RMASK_OK;
}

/* Rows that stay in their columns, and whose containers are laid out for as many columns. */
static rmask_status copy_rows(rmask_placer *placer, const rmask_piece *piece)
{
    const rmask *mask = piece->mask;
    rmask_draft *draft = &placer->draft;
    const rmask_strip *strip = rmask_strip_of(mask, piece->row_begin);
    uint64_t num_exceptions = 0, inside = 0;
    rmask_exception_walk walk = rmask_walk_exceptions(mask, piece->row_begin);
    for (int32_t row; (row = rmask_walk_row(&walk)) < piece->row_end;) {
        while (rmask_strip_end(mask, strip) <= row) strip++;
        rmask_row_containers containers = rmask_walk_take(&walk);
        inside += rmask_exceptions_inside(rmask_boundaries_of(mask, strip), row, containers, 0, mask->cols);
        for (rmask_container container; rmask_next_container(&containers, &container);)
            num_exceptions += rmask_container_count(&container);
    }
    draft->num_exceptions += num_exceptions;
    draft->exception_balance += (int64_t)(num_exceptions - 2 * inside);
    return rmask_draft_rows(draft, mask, piece->row_begin, piece->row_end, piece->row_at);
}

static rmask_status put_exceptions(rmask_placer *placer, const rmask_piece *piece)
{
    const rmask *mask = piece->mask;
    if (mask->header->num_exceptions == 0 || piece->col_begin == piece->col_end) return RMASK_OK;
    const bool same_cols = piece->col_begin == 0 && piece->col_end == mask->cols && piece->col_at == 0;
    return (same_cols && mask->container_cols == placer->draft.cols ? copy_rows : move_rows)(placer, piece);
}

/* ---------------------------------------------------------------- pieces */

/* The rows from `row` on have the columns [begin, end). */
static rmask_status put_band(rmask_placer *placer, int32_t row, int32_t begin, int32_t end)
{
    const int32_t edges[2] = {begin, end};
    return placer->cut ? rmask_draft_strip(&placer->bands, row, (rmask_boundaries){edges, 2, NULL, 0}) : RMASK_OK;
}

/* Rows without a piece have no cells. */
static rmask_status fill_gap(rmask_placer *placer, int32_t row)
{
    if (row == placer->next_row) return RMASK_OK;
    RMASK_TRY(put_band(placer, placer->next_row, 0, 0));
    return rmask_draft_strip(&placer->draft, placer->next_row, (rmask_boundaries){0});
}

void rmask_place(rmask_placer *placer, rmask_piece piece)
{
    if (piece.row_begin == piece.row_end || fill_gap(placer, piece.row_at)) return;
    if (put_band(placer, piece.row_at, piece.col_at, piece.col_at + (piece.col_end - piece.col_begin))) return;
    if (put_strips(placer, &piece) || put_exceptions(placer, &piece)) return;
    placer->next_row = piece.row_at + (piece.row_end - piece.row_begin);
}

/* In one row the sliding boundaries stand still, and lists of equal rows are shared. */
static rmask_status put_still_strip(rmask_placer *placer, rmask_boundaries strip, int32_t row, int32_t row_at)
{
    rmask_draft *draft = &placer->draft;
    placer->fixed.len = placer->sliding.len = 0;
    if (!rmask_vec_reserve(&draft->allocator, &placer->fixed, strip.num_fixed + strip.num_sliding) ||
        !rmask_vec_reserve(&draft->allocator, &placer->sliding, strip.num_sliding))
        return fail_nomem(placer);
    shift_list(placer->sliding.at, strip.sliding, strip.num_sliding, row, 0, draft->cols);
    const size_t n = rmask_combine_lists(placer->fixed.at, RMASK_XOR, strip.fixed, strip.num_fixed, placer->sliding.at, strip.num_sliding);
    return rmask_draft_strip(draft, row_at, (rmask_boundaries){placer->fixed.at, n, NULL, 0});
}

void rmask_place_row(rmask_placer *placer, const rmask *mask, int32_t row, int32_t times, int32_t row_at)
{
    const rmask_boundaries strip = rmask_boundaries_of(mask, rmask_strip_of(mask, row));
    if (fill_gap(placer, row_at) || put_still_strip(placer, strip, row, row_at)) return;
    for (int32_t i = 0; i < times; i++) {
        const rmask_piece piece = {mask, row, row + 1, 0, mask->cols, row_at + i, 0};
        if (put_exceptions(placer, &piece)) return;
    }
    placer->next_row = row_at + times;
}

/* A mask of the cells (row << 32 | col, ascending). */
static rmask_status mask_of_cells(const rmask_placer *placer, const rmask_u64_vec *cells, rmask **out, rmask_error *error)
{
    rmask_draft draft;
    rmask_draft_init(&draft, placer->draft.rows, placer->draft.cols, &placer->draft.allocator);
    rmask_int32_vec cols = {0};
    for (size_t i = 0; i < cells->len && !draft.failed;) {
        const uint64_t row = cells->at[i] >> 32;
        cols.len = 0;
        for (; i < cells->len && cells->at[i] >> 32 == row && !draft.failed; i++)
            if (!rmask_vec_push(&draft.allocator, &cols, (int32_t)(uint32_t)cells->at[i])) draft.failed = RMASK_ERR_NOMEM;
        (void)rmask_draft_exceptions(&draft, (int32_t)row, cols.at, cols.len, (int64_t)cols.len);
    }
    rmask_vec_free(&draft.allocator, &cols);
    return rmask_draft_finish(&draft, out, error);
}

/* Cuts the strips off at the edges of the bands. The exceptions are inside them, and stay what they are; but where `crossings` are cheaper
 * than cuts, these cells have yet to be exchanged. */
static rmask_status cut_strips(rmask_placer *placer, rmask_u64_vec *crossings, rmask **out, rmask_error *error)
{
    rmask_draft result;
    rmask_draft_init(&result, placer->draft.rows, placer->draft.cols, &placer->draft.allocator);
    rmask_draft_move_exceptions(&result, &placer->draft);
    rmask *uncut, *bands = NULL;
    rmask_status status = rmask_draft_finish(&placer->draft, &uncut, error);
    if (!status) status = rmask_draft_finish(&placer->bands, &bands, error);
    if (!status) {
        int64_t balance; /* the cells' exchange counts them */
        status = rmask_combine_strips(&result, uncut, bands, RMASK_AND, crossings, &balance);
        if (status && !result.failed) result.failed = status;
        status = rmask_draft_finish(&result, out, error);
    }
    rmask_draft_discard(&result);
    rmask_release(uncut);
    rmask_release(bands);
    return status;
}

static rmask_status exchange_cells(const rmask_placer *placer, const rmask_u64_vec *cells, rmask **mask, rmask_error *error)
{
    rmask *crossed, *exchanged = NULL;
    rmask_status status = mask_of_cells(placer, cells, &crossed, error);
    if (!status) status = rmask_xor(*mask, crossed, &exchanged, error);
    rmask_release(crossed);
    rmask_release(*mask);
    *mask = exchanged;
    return status;
}

static rmask_status finish(rmask_placer *placer, rmask **out, rmask_error *error)
{
    (void)fill_gap(placer, placer->draft.rows);
    if (!placer->cut) return rmask_draft_finish(&placer->draft, out, error);
    rmask_u64_vec crossings = {0};
    rmask_status status = cut_strips(placer, &crossings, out, error);
    if (!status && crossings.len) status = exchange_cells(placer, &crossings, out, error);
    rmask_vec_free(&placer->draft.allocator, &crossings);
    return status;
}

rmask_status rmask_placer_finish(rmask_placer *placer, rmask **out, rmask_error *error)
{
    *out = NULL;
    const rmask_status status = finish(placer, out, error);
    const rmask_allocator *allocator = &placer->draft.allocator;
    rmask_free(allocator, placer->units, CONTAINER_ROOM, sizeof *placer->units);
    rmask_free(allocator, placer->other_units, CONTAINER_ROOM, sizeof *placer->other_units);
    rmask_vec_free(allocator, &placer->fixed);
    rmask_vec_free(allocator, &placer->sliding);
    rmask_draft_discard(&placer->draft);
    rmask_draft_discard(&placer->bands);
    return status;
}
