/* SPDX-License-Identifier: Apache-2.0
 * Strips seen through tiles.
 *
 * A piece is a stretch of rows of one strip in which the boundaries keep their order: it ends where a sliding boundary meets a
 * fixed one. In a piece every run of cells between two boundaries has ends that stay or move on by one a row, so what it covers
 * in some rows [x, y) is one run again: from its begin in row x to its end in row y - 1. In tiles that is [floor(begin / tile),
 * ceil(end / tile)), and runs of tiles that touch become one.
 *
 * With equal tile sides the runs of tiles stay or move on by one a tile row as well, so all tile rows that lie wholly in a
 * piece are one strip, but for the tile rows where two runs begin or cease to touch, and those where a run begins in the part
 * of the last tile that is outside of the grid. Nor do tile rows differ where nothing slides in the grid. All others are the
 * union of what their pieces cover, and go through the finder. */
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
    bool moves;          /* it has a sliding boundary in the grid in its first row */
    int64_t change;      /* where that ceases to be so, or the first one comes in */
    rmask_int32_vec flips, strip, cluster, part, spare; /* of tiles: of a tile row, and of parts of it */
    rmask_int32_vec fixed, sliding;
} walk;

static const rmask_allocator *allocator_of(const walk *w) { return &w->tiling->mask->allocator; }

/* ---------------------------------------------------------------- pieces */

/* Boundaries of a strip that stand in the columns [begin, end), whatever the row, but for those that leave the grid; `inside`
 * says what is left of them. */
typedef struct columns {
    rmask_boundaries boundaries;
    int32_t begin, end;
    bool inside;
} columns;

static columns all_columns(const walk *w, rmask_boundaries b)
{
    const bool at_zero = b.num_fixed > 0 && b.fixed[0] == 0; /* left of all that slides */
    b.fixed += at_zero;
    b.num_fixed -= at_zero;
    return (columns){b, 0, w->tiling->mask->cols, w->tiling->inverted != at_zero};
}

/* The piece that begins at `row`, up to `row_end` at most. In the row where a fixed and a sliding boundary meet the fixed one
 * is first: so they stand in the rows below. */
static rmask_status find_piece(walk *w, const columns *at, int32_t row, int32_t row_end)
{
    const rmask_boundaries b = at->boundaries;
    int64_t until = row_end;
    size_t i = 0, j = 0;
    bool inside = at->inside, slid = false;
    run open = {.begin = at->begin};
    int32_t last = 0;
    w->runs.len = 0;
    w->moves = false;
    w->change = row_end;
    if (!rmask_vec_reserve(allocator_of(w), &w->runs, (b.num_fixed + b.num_sliding) / 2 + 1)) return RMASK_ERR_NOMEM;
    for (;;) {
        const int64_t u = i < b.num_fixed ? b.fixed[i] : at->end;
        const bool slides = j < b.num_sliding && b.sliding[j] + (int64_t)row < u;
        if (!slides && i == b.num_fixed) break;
        if (!slides && slid && u - last < until) until = u - last;
        last = slides ? b.sliding[j++] : b.fixed[i++];
        slid = slides;
        if (slides && !w->moves) {
            w->moves = last + (int64_t)row > 0;
            w->change = w->moves ? w->tiling->mask->cols - (int64_t)last : 1 - (int64_t)last;
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
        open.end = at->end;
        open.end_slides = false;
        rmask_vec_put(&w->runs, open);
    }
    w->piece_end = (int32_t)until;
    return RMASK_OK;
}

/* Appends the flips of what the piece's rows [row_begin, row_end) cover, in tiles. */
static rmask_status cover(const walk *w, rmask_int32_vec *out, int32_t row_begin, int32_t row_end)
{
    const int32_t tile = w->tiling->tile_cols, cols = w->tiling->mask->cols;
    if (!rmask_vec_reserve(allocator_of(w), out, 2 * w->runs.len)) return RMASK_ERR_NOMEM;
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
    return RMASK_OK;
}

/* ---------------------------------------------------------------- tile rows one by one */

/* Adds the tiles in `part` to those in `to`. */
static rmask_status unite(walk *w, rmask_int32_vec *to, const rmask_int32_vec *part)
{
    if (!rmask_vec_reserve(allocator_of(w), &w->spare, to->len + part->len)) return RMASK_ERR_NOMEM;
    const rmask_int32_vec before = *to;
    w->spare.len = rmask_combine_lists(w->spare.at, RMASK_OR, before.at, before.len, part->at, part->len);
    *to = w->spare;
    w->spare = before;
    return RMASK_OK;
}

/* Appends to w->strip what the rows [row_begin, row_end) cover in some columns, piece by piece. */
static rmask_status cover_columns(walk *w, const columns *at, int32_t row_begin, int32_t row_end)
{
    RMASK_TRY(find_piece(w, at, row_begin, row_end));
    if (w->piece_end == row_end) return cover(w, &w->strip, row_begin, row_end);
    w->cluster.len = 0;
    for (int32_t row = row_begin;;) {
        w->part.len = 0;
        RMASK_TRY(cover(w, &w->part, row, w->piece_end));
        RMASK_TRY(unite(w, &w->cluster, &w->part));
        row = w->piece_end;
        if (row == row_end) break;
        RMASK_TRY(find_piece(w, at, row, row_end));
    }
    rmask_int32_vec *strip = &w->strip;
    if (!rmask_vec_reserve(allocator_of(w), strip, w->cluster.len)) return RMASK_ERR_NOMEM;
    const bool joins = strip->len > 0 && w->cluster.len > 0 && strip->at[strip->len - 1] >= w->cluster.at[0];
    strip->len -= joins;
    for (size_t i = joins; i < w->cluster.len; i++) rmask_vec_put(strip, w->cluster.at[i]);
    return RMASK_OK;
}

/* A place between two boundaries: before fixed[i] and sliding[j], at column `col`. */
typedef struct place {
    size_t i, j;
    int32_t col;
} place;

static rmask_status cover_between(walk *w, const columns *all, place from, place to, int32_t row_begin, int32_t row_end)
{
    const rmask_boundaries *b = &all->boundaries;
    if (from.col >= to.col) return RMASK_OK;
    const columns at = {{b->fixed + from.i, to.i - from.i, b->sliding + from.j, to.j - from.j}, from.col, to.col,
                        all->inside != ((from.i + from.j) % 2 == 1)};
    return cover_columns(w, &at, row_begin, row_end);
}

/* w->strip = what the rows [row_begin, row_end) of a strip cover. Where many boundaries meet, they do so here and there: each
 * cluster of fixed and sliding boundaries that meet is cut into pieces by itself, and what is between clusters is one piece. A
 * cluster begins and ends where no boundary to the left comes to stand at or right of one to the right. */
static rmask_status cover_strip(walk *w, const columns *all, int32_t row_begin, int32_t row_end)
{
    const rmask_boundaries *b = &all->boundaries;
    const size_t end = rmask_upper_bound(b->sliding, b->num_sliding, (int64_t)all->end - row_begin - 1);
    place at = {0, rmask_upper_bound(b->sliding, b->num_sliding, -(int64_t)row_end), 0}, from = at, gap = at;
    int64_t reach = INT64_MIN; /* how far right the boundaries so far come */
    bool meets = false;
    w->strip.len = 0;
    while (at.i < b->num_fixed || at.j < end) {
        const int64_t u = at.i < b->num_fixed ? b->fixed[at.i] : INT64_MAX;
        const int64_t s = at.j < end ? b->sliding[at.j] + (int64_t)row_begin : INT64_MAX;
        const bool slides = s < u;
        at.col = (int32_t)(slides ? s : u);
        if (at.col > reach) {
            gap = at;
            if (meets) {
                RMASK_TRY(cover_between(w, all, from, gap, row_begin, row_end));
                from = gap;
                meets = false;
            }
        } else if (!slides && !meets) {
            RMASK_TRY(cover_between(w, all, from, gap, row_begin, row_end));
            from = gap;
            meets = true;
        }
        const int64_t last = slides ? s + row_end - row_begin - 1 : u;
        if (last > reach) reach = last;
        at.i += !slides;
        at.j += slides;
    }
    return cover_between(w, all, from, (place){at.i, at.j, all->end}, row_begin, row_end);
}

/* Adds rows of a strip to w->flips. */
static rmask_status add_rows(walk *w, const columns *all, int32_t row_begin, int32_t row_end)
{
    RMASK_TRY(cover_strip(w, all, row_begin, row_end));
    if (w->flips.len > 0) return unite(w, &w->flips, &w->strip);
    const rmask_int32_vec spare = w->flips;
    w->flips = w->strip;
    w->strip = spare;
    return RMASK_OK;
}

/* A run that reaches the last tile has no end. */
static void cut_last(const walk *w, rmask_int32_vec *flips)
{
    if (flips->len > 0 && flips->at[flips->len - 1] == w->tiling->cols) flips->len--;
}

/* Hands w->flips on as a tile row and empties them. */
static rmask_status put_row(walk *w, int32_t tile_row)
{
    cut_last(w, &w->flips);
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

/* The tile row in which a run that begins at `begin`, sliding, is outside of the grid, but in its last tile; -1 where there is
 * none. */
static int64_t edge_row(const rmask_tiling *t, int32_t begin)
{
    const int32_t rest = t->mask->cols % t->tile_cols, first = floor_of(begin, t->tile_cols);
    return rest > 0 && begin - (int64_t)first * t->tile_cols >= rest ? (int64_t)t->cols - 1 - first : -1;
}

/* w->fixed and w->sliding = the boundaries of tile row `tile_row`, which lies wholly in the piece, for equal tile sides. They
 * hold until the tile row returned, `tile_end` at most. */
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

/* The tile rows from `tile_row` on that one strip serves, which is then in w->fixed and w->sliding: *tile_end gets their end,
 * `tile_row` where there are so few that they are better left to the finder. */
static rmask_status find_stretch(walk *w, const columns *all, int32_t tile_row, int32_t row_end, int32_t *tile_end)
{
    const rmask_tiling *t = w->tiling;
    const int32_t row = tile_row * t->tile_rows;
    *tile_end = tile_row;
    if (row_end / t->tile_rows - tile_row < RMASK_RING_ROWS) return RMASK_OK;
    RMASK_TRY(find_piece(w, all, row, row_end));
    const bool equal = t->tile_rows == t->tile_cols;
    int64_t end = w->piece_end;
    if (!(equal && w->moves) && w->change < end) end = w->change;
    int32_t last = (int32_t)(end / t->tile_rows);
    if (last - tile_row < RMASK_RING_ROWS || (w->moves && !equal)) return RMASK_OK;
    w->fixed.len = w->sliding.len = 0;
    if (!rmask_vec_reserve(allocator_of(w), &w->fixed, 2 * w->runs.len) ||
        !rmask_vec_reserve(allocator_of(w), &w->sliding, 2 * w->runs.len))
        return RMASK_ERR_NOMEM;
    if (w->moves)
        last = list_boundaries(w, tile_row, last);
    else
        RMASK_TRY(cover(w, &w->fixed, row, row + 1));
    cut_last(w, &w->fixed);
    if (last - tile_row >= RMASK_RING_ROWS) *tile_end = last;
    return RMASK_OK;
}

/* ---------------------------------------------------------------- all rows */

/* The strip's rows from `row` on that belong to one tile row, or to a stretch of them; *row gets their end. */
static rmask_status put_rows(walk *w, const columns *all, int32_t strip_end, int32_t *row)
{
    const rmask_tiling *t = w->tiling;
    const int32_t tile_row = *row / t->tile_rows, begin = *row;
    if (begin % t->tile_rows == 0) {
        int32_t tile_end;
        RMASK_TRY(find_stretch(w, all, tile_row, strip_end, &tile_end));
        if (tile_end > tile_row) {
            *row = tile_end * t->tile_rows;
            return rmask_finder_strip(&w->finder, tile_row, tile_end,
                                      (rmask_boundaries){w->fixed.at, w->fixed.len, w->sliding.at, w->sliding.len});
        }
    }
    const int64_t whole_end = ((int64_t)tile_row + 1) * t->tile_rows;
    const int32_t tile_row_end = whole_end < t->mask->rows ? (int32_t)whole_end : t->mask->rows;
    *row = tile_row_end < strip_end ? tile_row_end : strip_end;
    RMASK_TRY(add_rows(w, all, begin, *row));
    return *row == tile_row_end ? put_row(w, tile_row) : RMASK_OK;
}

static rmask_status put_all(walk *w)
{
    const rmask *mask = w->tiling->mask;
    for (uint32_t i = 0; i < mask->num_strips; i++) {
        const rmask_strip *strip = &mask->strips[i];
        const columns all = all_columns(w, rmask_boundaries_of(mask, strip));
        for (int32_t row = (int32_t)strip->row_begin, end = rmask_strip_end(mask, strip); row < end;)
            RMASK_TRY(put_rows(w, &all, end, &row));
    }
    return RMASK_OK;
}

rmask_status rmask_coarsen_strips(const rmask_tiling *tiling, rmask **out, rmask_error *error)
{
    walk w;
    w.tiling = tiling;
    rmask_int32_vec *const lists[] = {&w.flips, &w.strip, &w.cluster, &w.part, &w.spare, &w.fixed, &w.sliding};
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) *lists[i] = (rmask_int32_vec){0};
    w.runs.at = NULL, w.runs.len = w.runs.cap = 0;
    rmask_finder_init(&w.finder, tiling->rows, tiling->cols, allocator_of(&w));
    const rmask_status status = put_all(&w);
    if (status && !w.finder.draft.failed) w.finder.draft.failed = status;
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) rmask_vec_free(allocator_of(&w), lists[i]);
    rmask_vec_free(allocator_of(&w), &w.runs);
    return rmask_finder_finish(&w.finder, out, error);
}
