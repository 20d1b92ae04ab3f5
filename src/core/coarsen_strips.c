/* SPDX-License-Identifier: Apache-2.0
 * Strips seen through tiles.
 *
 * A piece is a stretch of rows of one strip in which the boundaries keep their order: it ends where a sliding boundary meets a fixed one,
 * and where the first one comes into the grid or the last one has left it. In a piece every run of cells between two boundaries has ends that stay or move on by one a
 * row, so what it covers in some rows [x, y) is one run again: from its begin in row x to its end in row y - 1. In tiles that is
 * [floor(begin / tile), ceil(end / tile)), and runs of tiles that touch become one.
 *
 * With equal tile sides the runs of tiles stay or move on by one a tile row as well, so all tile rows that lie wholly in a piece are one
 * strip, but for the tile rows where two runs begin or cease to touch, and those where a run begins in the part of the last tile that is
 * outside of the grid. A tile row with several pieces is the union of what they cover.
 * Those rows go through the finder. */
#include "core/coarsen.h"

#include "core/finder.h"
#include "core/inversion.h"

/* Cells [begin, end) of a row; an end that slides is that much right of column `row`. */
typedef struct run {
    int32_t begin, end;
    bool begin_slides, end_slides;
} run;

typedef struct walk {
    const rmask_tiling *tiling;
    rmask_finder finder;
    rmask_vec(run) runs; /* of the piece, from left to right */
    int32_t piece_end;   /* one past its last row */
    bool moves;          /* it has a sliding boundary in the grid */
    rmask_int32_vec flips, part, both, fixed, sliding;
} walk;

static const rmask_allocator *allocator_of(const walk *w) { return &w->tiling->mask->allocator; }

/* ---------------------------------------------------------------- pieces */

/* The piece that begins at `row`. In the row where a fixed and a sliding boundary meet the fixed one is first: so they stand in the rows
 * below. A fixed boundary at 0 is left of all. */
static rmask_status find_piece(walk *w, int32_t row)
{
    const rmask *mask = w->tiling->mask;
    const rmask_strip *strip = rmask_strip_of(mask, row);
    const rmask_boundaries b = rmask_boundaries_of(mask, strip);
    int64_t until = rmask_strip_end(mask, strip), enters = until, leaves = until;
    size_t i = b.num_fixed > 0 && b.fixed[0] == 0, j = 0;
    bool inside = w->tiling->inverted != (i == 1), slid = false;
    run open = {.begin = 0};
    int32_t last = 0;
    w->runs.len = 0;
    w->moves = false;
    if (!rmask_vec_reserve(allocator_of(w), &w->runs, (b.num_fixed + b.num_sliding) / 2 + 1)) return RMASK_ERR_NOMEM;
    for (;;) {
        const int64_t u = i < b.num_fixed ? b.fixed[i] : mask->cols;
        const bool slides = j < b.num_sliding && b.sliding[j] + (int64_t)row < u;
        if (!slides && i == b.num_fixed) break;
        if (!slides && slid && u - last < until) until = u - last;
        last = slides ? b.sliding[j++] : b.fixed[i++];
        slid = slides;
        if (slides && last + (int64_t)row <= 0) {
            enters = 1 - (int64_t)last;
        } else if (slides && !w->moves) {
            w->moves = true;
            leaves = mask->cols - (int64_t)last;
        }
        if (inside) {
            open.end = last;
            open.end_slides = slides;
            rmask_vec_put(&w->runs, open);
        } else {
            open.begin = last;
            open.begin_slides = slides;
        }
        inside = !inside;
    }
    if (inside) {
        open.end = mask->cols;
        open.end_slides = false;
        rmask_vec_put(&w->runs, open);
    }
    if (!w->moves && enters < until) until = enters;
    if (w->moves && leaves < until) until = leaves;
    w->piece_end = (int32_t)until;
    return RMASK_OK;
}

/* out = the flips of what the piece's rows [row_begin, row_end) cover, in tiles. */
static rmask_status cover(const walk *w, rmask_int32_vec *out, int32_t row_begin, int32_t row_end)
{
    const int32_t tile = w->tiling->tile_cols, cols = w->tiling->mask->cols;
    out->len = 0;
    if (!rmask_vec_reserve(allocator_of(w), out, 2 * w->runs.len + 1)) return RMASK_ERR_NOMEM;
    for (size_t i = 0; i < w->runs.len; i++) {
        const run *at = &w->runs.at[i];
        int64_t begin = at->begin + (at->begin_slides ? (int64_t)row_begin : 0);
        int64_t end = at->end + (at->end_slides ? (int64_t)row_end - 1 : 0);
        if (begin < 0) begin = 0;
        if (end > cols) end = cols;
        if (begin >= end) continue;
        const int32_t first = (int32_t)begin / tile, after = rmask_num_tiles((int32_t)end, tile);
        if (out->len > 0 && out->at[out->len - 1] >= first) {
            out->at[out->len - 1] = after;
        } else {
            rmask_vec_put(out, first);
            rmask_vec_put(out, after);
        }
    }
    if (out->len > 0 && out->at[out->len - 1] == w->tiling->cols) out->len--; /* a run that reaches the last column has no end */
    return RMASK_OK;
}

/* ---------------------------------------------------------------- tile rows one by one */

/* Adds the piece's rows [row_begin, row_end) to w->flips. */
static rmask_status add_rows(walk *w, int32_t row_begin, int32_t row_end)
{
    if (w->flips.len == 0) return cover(w, &w->flips, row_begin, row_end);
    RMASK_TRY(cover(w, &w->part, row_begin, row_end));
    if (!rmask_vec_reserve(allocator_of(w), &w->both, w->flips.len + w->part.len)) return RMASK_ERR_NOMEM;
    const rmask_int32_vec before = w->flips;
    w->both.len = rmask_combine_lists(w->both.at, RMASK_OR, before.at, before.len, w->part.at, w->part.len);
    w->flips = w->both;
    w->both = before;
    return RMASK_OK;
}

/* Hands w->flips on as a tile row and empties them. */
static rmask_status put_row(walk *w, int32_t tile_row)
{
    RMASK_TRY(rmask_finder_row(&w->finder, tile_row, (rmask_finder_input){.flips = &w->flips}));
    w->flips.len = 0;
    return RMASK_OK;
}

/* ---------------------------------------------------------------- stretches of tile rows */

static int32_t floor_of(int64_t position, int32_t tile) { return (int32_t)((position - (position < 0 ? tile - 1 : 0)) / tile); }

static void put_flip(walk *w, int32_t at, bool slides)
{
    if (slides)
        rmask_vec_put(&w->sliding, at);
    else if (at < w->tiling->cols)
        rmask_vec_put(&w->fixed, at);
}

/* The tile row in which a run that begins at `begin`, sliding, is outside of the grid, but in its last tile; -1 where there is none. */
static int64_t edge_row(const rmask_tiling *t, int32_t begin)
{
    const int32_t rest = t->mask->cols % t->tile_cols, first = floor_of(begin, t->tile_cols);
    return rest > 0 && begin - (int64_t)first * t->tile_cols >= rest ? (int64_t)t->cols - 1 - first : -1;
}

/* w->fixed and w->sliding = the boundaries of tile row `tile_row`, which lies wholly in the piece, for equal tile sides. They hold until
 * the tile row returned, `tile_end` at most. */
static int32_t list_boundaries(walk *w, int32_t tile_row, int32_t tile_end)
{
    const int32_t tile = w->tiling->tile_cols;
    int32_t last = 0;
    bool slid = false;
    for (size_t i = 0; i < w->runs.len; i++) {
        const run *at = &w->runs.at[i];
        const int32_t begin = floor_of(at->begin, tile);
        const bool slides = at->begin_slides;
        const int64_t edge = slides ? edge_row(w->tiling, at->begin) : -1;
        if (edge >= tile_row && edge < tile_end) tile_end = (int32_t)edge;
        bool joins = i > 0 && last + (slid ? (int64_t)tile_row : 0) >= begin + (slides ? (int64_t)tile_row : 0);
        if (i > 0 && slid != slides) {
            const int64_t change = slid ? (int64_t)begin - last : (int64_t)last - begin + 1;
            if (change > tile_row && change < tile_end) tile_end = (int32_t)change;
        }
        if (i > 0 && !joins) put_flip(w, last, slid);
        if (!joins) put_flip(w, begin, slides);
        slid = at->end_slides;
        last = floor_of(at->end + (slid ? (int64_t)tile - 1 : 0) + tile - 1, tile);
    }
    if (w->runs.len > 0) put_flip(w, last, slid);
    return tile_end;
}

/* The tile rows from `tile_row` on that one strip serves, which is then in w->fixed and w->sliding: *tile_end gets their end, `tile_row` where
 * there is no such strip. All up to *tile_end as given lie wholly in the piece. A strip for fewer tile rows than the finder sees at
 * once is better left to it. */
static rmask_status find_stretch(walk *w, int32_t tile_row, int32_t *tile_end)
{
    const rmask_tiling *t = w->tiling;
    const bool equal = t->tile_rows == t->tile_cols;
    w->fixed.len = w->sliding.len = 0;
    if (*tile_end - tile_row >= RMASK_RING_ROWS && (equal || !w->moves)) {
        if (!rmask_vec_reserve(allocator_of(w), &w->fixed, 2 * w->runs.len) ||
            !rmask_vec_reserve(allocator_of(w), &w->sliding, 2 * w->runs.len))
            return RMASK_ERR_NOMEM;
        if (w->moves)
            *tile_end = list_boundaries(w, tile_row, *tile_end);
        else
            RMASK_TRY(cover(w, &w->fixed, tile_row * t->tile_rows, tile_row * t->tile_rows + 1));
    }
    if (*tile_end - tile_row < RMASK_RING_ROWS || (w->moves && !equal)) *tile_end = tile_row;
    return RMASK_OK;
}

/* ---------------------------------------------------------------- all rows */

/* The piece's rows from `row` on that belong to one tile row, or to a stretch of them; *row gets their end. */
static rmask_status put_rows(walk *w, int32_t *row)
{
    const rmask_tiling *t = w->tiling;
    const int32_t tile_row = *row / t->tile_rows;
    if (*row % t->tile_rows == 0) {
        int32_t tile_end = w->piece_end / t->tile_rows;
        RMASK_TRY(find_stretch(w, tile_row, &tile_end));
        if (tile_end > tile_row) {
            *row = tile_end * t->tile_rows;
            return rmask_finder_strip(&w->finder, tile_row, tile_end,
                                      (rmask_boundaries){w->fixed.at, w->fixed.len, w->sliding.at, w->sliding.len});
        }
    }
    const int64_t whole_end = ((int64_t)tile_row + 1) * t->tile_rows;
    const int32_t tile_row_end = whole_end < t->mask->rows ? (int32_t)whole_end : t->mask->rows;
    const int32_t begin = *row, end = tile_row_end < w->piece_end ? tile_row_end : w->piece_end;
    *row = end;
    RMASK_TRY(add_rows(w, begin, end));
    return end == tile_row_end ? put_row(w, tile_row) : RMASK_OK;
}

static rmask_status put_all(walk *w)
{
    for (int32_t row = 0; row < w->tiling->mask->rows;) {
        RMASK_TRY(find_piece(w, row));
        while (row < w->piece_end) RMASK_TRY(put_rows(w, &row));
    }
    return RMASK_OK;
}

rmask_status rmask_coarsen_strips(const rmask_tiling *tiling, rmask **out, rmask_error *error)
{
    walk w;
    w.tiling = tiling;
    rmask_int32_vec *const lists[] = {&w.flips, &w.part, &w.both, &w.fixed, &w.sliding};
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) *lists[i] = (rmask_int32_vec){0};
    w.runs.at = NULL, w.runs.len = w.runs.cap = 0;
    rmask_finder_init(&w.finder, tiling->rows, tiling->cols, allocator_of(&w));
    const rmask_status status = put_all(&w);
    if (status && !w.finder.draft.failed) w.finder.draft.failed = status;
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) rmask_vec_free(allocator_of(&w), lists[i]);
    rmask_vec_free(allocator_of(&w), &w.runs);
    return rmask_finder_finish(&w.finder, out, error);
}
