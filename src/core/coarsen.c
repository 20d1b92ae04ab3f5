/* SPDX-License-Identifier: Apache-2.0
 * Coarsening. A tile is in `all` when no cell of it is in the complement, so `all` is the complement of the complement's `any`,
 * and one routine serves both.
 *
 * The tiles of the strips come first (coarsen_strips.c). Exceptions change them in two ways. An extra cell puts its tile in; so
 * does a hole, as its tile has a cell of the strips: all exceptions of a tile row are marked alike, and what the strips have is
 * taken away. A tile whose cells of the strips are all holes goes out. Such a tile is met in few places: a boundary stands in
 * it, or in any row of the strip all its columns are exceptions. Only those places are looked at. */
#include "core/coarsen.h"

#include "core/bits.h"
#include "core/check.h"
#include "core/draft.h"
#include "core/sort.h"
#include "simd/simd.h"

#include <string.h>

typedef struct coarsener {
    rmask_tiling tiling;
    const rmask *tiles; /* of the strips */
    rmask_draft draft;
    bool has_extras, has_holes; /* in the mask */
    uint64_t factor;            /* column / tile_cols = column * factor >> shift */
    unsigned shift;
    int64_t num_more;        /* tiles more than the strips have */
    uint64_t *words, *inside; /* a bit a tile column, each */
    rmask_u64_vec touched, emptied; /* tile columns */
    rmask_int32_vec cols;
} coarsener;

/* The exceptions of one tile row: directory entries [begin, end) in the rows [row_begin, row_end). */
typedef struct tile_row {
    int32_t at, row_begin, row_end;
    uint32_t begin, end;
} tile_row;

static const rmask_allocator *allocator_of(const coarsener *c) { return &c->draft.allocator; }

/* ---------------------------------------------------------------- tile columns */

/* With 2^(k - 1) < tile <= 2^k and the factor ceil(2^(31 + k) / tile) it is exact for columns below 2^31. */
static void find_factor(coarsener *c)
{
    const uint64_t tile = (uint64_t)c->tiling.tile_cols;
    c->shift = 31;
    while (UINT64_C(1) << (c->shift - 31) < tile) c->shift++;
    c->factor = ((UINT64_C(1) << c->shift) + tile - 1) / tile;
}

static inline uint32_t tile_of(const coarsener *c, uint32_t col) { return (uint32_t)(col * c->factor >> c->shift); }

static inline int64_t tile_end(const coarsener *c, int64_t tile)
{
    const int64_t end = (tile + 1) * c->tiling.tile_cols, cols = c->tiling.mask->cols;
    return end < cols ? end : cols;
}

/* The next directory entry of the tile row that has exceptions; t->end after the last. */
static uint32_t next_entry(const rmask *mask, const tile_row *t, uint32_t entry)
{
    while (entry < t->end && mask->directory_offsets[entry] == mask->directory_offsets[entry + 1]) entry++;
    return entry;
}

static uint32_t entry_units(const rmask *mask, uint32_t entry)
{
    return mask->directory_offsets[entry + 1] - mask->directory_offsets[entry];
}

static rmask_row_containers entry_containers(const rmask *mask, uint32_t entry)
{
    return rmask_containers_at(mask, mask->directory_offsets[entry], mask->directory_offsets[entry + 1]);
}

static rmask_boundaries boundaries_at(const rmask *mask, int32_t row)
{
    return rmask_boundaries_of(mask, rmask_strip_of(mask, row));
}

/* ---------------------------------------------------------------- marking */

static void mark_array(const coarsener *c, const rmask_container *array)
{
    const uint64_t factor = c->factor, base = (uint64_t)array->chunk * RMASK_CHUNK_COLS;
    const unsigned shift = c->shift;
    uint64_t *const words = c->words;
    for (uint32_t i = 0; i < array->num_units; i++) {
        const uint64_t tile = (base + array->units[i]) * factor >> shift;
        words[tile / 64] |= UINT64_C(1) << tile % 64;
    }
}

/* From tile to tile: what else a tile has is passed over. */
static void mark_bitset(const coarsener *c, const rmask_container *bitset)
{
    const int64_t base = (int64_t)bitset->chunk * RMASK_CHUNK_COLS;
    int64_t next = base; /* the first column of which nothing is known */
    for (uint32_t i = 0; i < bitset->num_units; i++) {
        const int64_t first = base + (int64_t)i * 16;
        unsigned bits = bitset->units[i];
        for (;;) {
            if (next > first) bits = next - first < 16 ? bits & 0xffffu << (next - first) : 0;
            if (bits == 0) break;
            const uint32_t tile = tile_of(c, (uint32_t)first + (uint32_t)__builtin_ctz(bits));
            c->words[tile / 64] |= UINT64_C(1) << tile % 64;
            next = tile_end(c, tile);
        }
    }
}

/* Sets in c->words the tiles with exceptions. */
static void mark_tiles(const coarsener *c, const tile_row *t)
{
    const rmask *mask = c->tiling.mask;
    for (uint32_t entry = next_entry(mask, t, t->begin); entry < t->end; entry = next_entry(mask, t, entry + 1)) {
        rmask_row_containers row = entry_containers(mask, entry);
        for (rmask_container container; rmask_next_container(&row, &container);)
            (container.is_bitset ? mark_bitset : mark_array)(c, &container);
    }
}

/* Sorts tile columns and keeps of equal ones one, or none of each two. */
static rmask_status sort_tiles(const coarsener *c, rmask_u64_vec *tiles, bool cancel)
{
    if (!rmask_sort_u64(allocator_of(c), tiles->at, tiles->len)) return RMASK_ERR_NOMEM;
    size_t len = 0;
    for (size_t i = 0; i < tiles->len; i++) {
        if (len == 0 || tiles->at[len - 1] != tiles->at[i])
            tiles->at[len++] = tiles->at[i];
        else if (cancel)
            len--;
    }
    tiles->len = len;
    return RMASK_OK;
}

/* Appends columns, divided by the width of a tile, to c->touched. */
static rmask_status put_touched(coarsener *c, rmask_row_containers row, bool divide)
{
    c->cols.len = 0;
    RMASK_TRY(rmask_append_columns(row, allocator_of(c), &c->cols));
    if (!rmask_vec_reserve(allocator_of(c), &c->touched, c->cols.len)) return RMASK_ERR_NOMEM;
    for (size_t i = 0; i < c->cols.len; i++)
        rmask_vec_put(&c->touched, divide ? tile_of(c, (uint32_t)c->cols.at[i]) : (uint32_t)c->cols.at[i]);
    return RMASK_OK;
}

/* c->touched = the tiles with exceptions, ascending. */
static rmask_status list_touched(coarsener *c, const tile_row *t)
{
    const rmask *mask = c->tiling.mask;
    c->touched.len = 0;
    for (uint32_t entry = next_entry(mask, t, t->begin); entry < t->end; entry = next_entry(mask, t, entry + 1))
        RMASK_TRY(put_touched(c, entry_containers(mask, entry), true));
    return sort_tiles(c, &c->touched, false);
}

/* ---------------------------------------------------------------- tiles that go out */

/* Whether the columns [begin, end) of one chunk, relative to it, are all exceptions, or none of them, as asked. */
static bool are_alike(const rmask_container *container, uint32_t begin, uint32_t end, bool wanted)
{
    if (container->is_bitset) return rmask_container_count_range(container, begin, end) == (wanted ? end - begin : 0);
    const uint16_t *values = container->units;
    const size_t n = container->num_units, i = rmask_count_below(rmask_simd_get(), values, n, (int32_t)begin);
    if (!wanted) return i == n || values[i] >= end;
    return n - i >= end - begin && values[i + (end - begin) - 1] == end - 1;
}

/* The same for the columns [begin, end) of a row. */
static bool are_row_alike(rmask_row_containers row, int64_t begin, int64_t end, bool wanted)
{
    for (rmask_container container; begin < end && rmask_next_container(&row, &container);) {
        const int64_t base = (int64_t)container.chunk * RMASK_CHUNK_COLS, limit = base + RMASK_CHUNK_COLS;
        if (limit <= begin) continue;
        if (base >= end || (wanted && base > begin)) return !wanted;
        const int64_t from = begin > base ? begin : base, to = end < limit ? end : limit;
        if (!are_alike(&container, (uint32_t)(from - base), (uint32_t)(to - base), wanted)) return false;
        begin = limit;
    }
    return begin >= end || !wanted;
}

/* Whether no cell of a row is in the columns [begin, end); *strip_cells gets what the strips have there more. */
static bool is_row_empty(const coarsener *c, uint32_t entry, int64_t begin, int64_t end, uint64_t *strip_cells)
{
    const rmask *mask = c->tiling.mask;
    const int32_t row = rmask_directory_row(mask, entry);
    const rmask_row_containers containers = entry_containers(mask, entry);
    rmask_flips flips = rmask_flips_of(boundaries_at(mask, row), row);
    int32_t from, to;
    bool inside;
    if (begin > flips.at) rmask_flips_seek(&flips, (int32_t)begin);
    while (rmask_next_segment(&flips, (int32_t)end, &from, &to, &inside)) {
        inside = inside != c->tiling.inverted;
        if (!are_row_alike(containers, from, to, inside)) return false;
        if (inside) *strip_cells += (uint64_t)(to - from);
    }
    return true;
}

/* What the strips have in some rows and columns. */
static uint64_t count_strip_cells(const coarsener *c, int32_t row_begin, int32_t row_end, int64_t begin, int64_t end)
{
    const rmask *mask = c->tiling.mask;
    uint64_t cells = 0;
    for (int32_t row = row_begin, stop; row < row_end; row = stop) {
        const rmask_strip *strip = rmask_strip_of(mask, row);
        const rmask_boundaries b = rmask_boundaries_of(mask, strip);
        stop = rmask_strip_end(mask, strip) < row_end ? rmask_strip_end(mask, strip) : row_end;
        cells += rmask_strip_count_left(b, row, stop, end) - rmask_strip_count_left(b, row, stop, begin);
    }
    return c->tiling.inverted ? (uint64_t)(row_end - row_begin) * (uint64_t)(end - begin) - cells : cells;
}

/* Whether the strips have cells in a tile and all of them are holes, without extras. */
static bool is_emptied(const coarsener *c, const tile_row *t, int64_t tile)
{
    const int64_t begin = tile * c->tiling.tile_cols, end = tile_end(c, tile);
    const rmask *mask = c->tiling.mask;
    uint64_t holes = 0;
    for (uint32_t entry = next_entry(mask, t, t->begin); entry < t->end; entry = next_entry(mask, t, entry + 1))
        if (!is_row_empty(c, entry, begin, end, &holes)) return false;
    return holes > 0 && holes == count_strip_cells(c, t->row_begin, t->row_end, begin, end);
}

static rmask_status look_at(coarsener *c, const tile_row *t, int64_t tile)
{
    if (!is_emptied(c, t, tile)) return RMASK_OK;
    return rmask_vec_push(allocator_of(c), &c->emptied, (uint64_t)tile) ? RMASK_OK : RMASK_ERR_NOMEM;
}

/* Looks at the tiles in which a boundary stands in some of the rows [row_begin, row_end) of a strip. */
static rmask_status look_at_boundaries(coarsener *c, const tile_row *t, rmask_boundaries b, int32_t row_begin, int32_t row_end)
{
    const int32_t cols = c->tiling.mask->cols;
    for (size_t i = 0; i < b.num_fixed; i++)
        if (b.fixed[i] % c->tiling.tile_cols) RMASK_TRY(look_at(c, t, b.fixed[i] / c->tiling.tile_cols));
    for (size_t j = rmask_upper_bound(b.sliding, b.num_sliding, -(int64_t)row_end); j < b.num_sliding; j++) {
        const int64_t first = b.sliding[j] + (int64_t)row_begin, last = b.sliding[j] + (int64_t)row_end - 1;
        if (first >= cols) break;
        const int64_t end = (last < cols ? last : cols - 1) / c->tiling.tile_cols;
        for (int64_t tile = (first > 0 ? first : 0) / c->tiling.tile_cols; tile <= end; tile++) RMASK_TRY(look_at(c, t, tile));
    }
    return RMASK_OK;
}

/* Looks at the tiles that lie wholly in the columns [begin, end). */
static rmask_status look_at_columns(coarsener *c, const tile_row *t, int64_t begin, int64_t end)
{
    int64_t tile = (begin + c->tiling.tile_cols - 1) / c->tiling.tile_cols;
    for (; tile < c->tiling.cols && tile_end(c, tile) <= end; tile++) RMASK_TRY(look_at(c, t, tile));
    return RMASK_OK;
}

/* Whether an array has `n` consecutive columns: mostly not, so that all of it is looked at, without a branch. */
static bool has_run(const rmask_container *array, uint32_t n)
{
    const uint16_t *values = array->units;
    unsigned found = 0;
    for (uint32_t i = 0; i + n <= array->num_units; i++) found |= (unsigned)(values[i + n - 1] - values[i]) == n - 1;
    return found;
}

/* Looks at the tiles whose columns are all exceptions in a row. */
static rmask_status look_at_runs(coarsener *c, const tile_row *t, uint32_t entry)
{
    rmask_row_containers row = entry_containers(c->tiling.mask, entry);
    const int32_t cols = c->tiling.mask->cols, width = c->tiling.tile_cols, last_width = cols - (c->tiling.cols - 1) * width;
    const uint32_t least = (uint32_t)(last_width < width ? last_width : width);
    int64_t begin = 0, end = 0; /* a run of exceptions */
#define TAKE(col)                                                  \
    do {                                                           \
        const int64_t col_ = (col);                                \
        if (col_ != end) {                                         \
            if (end > begin) RMASK_TRY(look_at_columns(c, t, begin, end)); \
            begin = col_;                                          \
        }                                                          \
        end = col_ + 1;                                            \
    } while (0)
    for (rmask_container container; rmask_next_container(&row, &container);) {
        const int64_t base = (int64_t)container.chunk * RMASK_CHUNK_COLS;
        if (cols <= RMASK_CHUNK_COLS && !container.is_bitset && !has_run(&container, least)) break;
        for (uint32_t i = 0; i < container.num_units; i++) {
            if (!container.is_bitset)
                TAKE(base + container.units[i]);
            else
                for (unsigned word = container.units[i]; word; word &= word - 1) TAKE(base + i * 16 + __builtin_ctz(word));
        }
    }
#undef TAKE
    return end > begin ? look_at_columns(c, t, begin, end) : RMASK_OK;
}

/* Looks where tiles may go out in the rows [row_begin, row_end) of a strip, whose directory entries begin at *entry; that moves
 * on. */
static rmask_status look_at_strip(coarsener *c, const tile_row *t, rmask_boundaries b, int32_t row_begin, int32_t row_end,
                                  uint32_t *entry)
{
    const rmask *mask = c->tiling.mask;
    int32_t num_rows = 0;
    uint32_t shortest = *entry;
    for (; *entry < t->end && rmask_directory_row(mask, *entry) < row_end; *entry = next_entry(mask, t, *entry + 1), num_rows++)
        if (entry_units(mask, *entry) < entry_units(mask, shortest)) shortest = *entry;
    RMASK_TRY(look_at_boundaries(c, t, b, row_begin, row_end));
    return num_rows == row_end - row_begin ? look_at_runs(c, t, shortest) : RMASK_OK;
}

static size_t num_boundaries(const rmask *mask, const tile_row *t)
{
    size_t n = 0;
    for (const rmask_strip *strip = rmask_strip_of(mask, t->row_begin);; strip++) {
        n += strip->num_fixed + strip->num_sliding;
        if (rmask_strip_end(mask, strip) >= t->row_end) return n;
    }
}

/* c->emptied = the tiles that go out, ascending. */
static rmask_status find_emptied(coarsener *c, const tile_row *t)
{
    const rmask *mask = c->tiling.mask;
    c->emptied.len = 0;
    if (!c->has_holes || t->begin == t->end) return RMASK_OK;
    if (mask->directory_offsets[t->end] - mask->directory_offsets[t->begin] < num_boundaries(mask, t)) {
        RMASK_TRY(list_touched(c, t));
        for (size_t i = 0; i < c->touched.len; i++) RMASK_TRY(look_at(c, t, (int64_t)c->touched.at[i]));
        return RMASK_OK;
    }
    uint32_t entry = next_entry(mask, t, t->begin);
    for (int32_t row = t->row_begin, stop; row < t->row_end; row = stop) {
        const rmask_strip *strip = rmask_strip_of(mask, row);
        stop = rmask_strip_end(mask, strip) < t->row_end ? rmask_strip_end(mask, strip) : t->row_end;
        RMASK_TRY(look_at_strip(c, t, rmask_boundaries_of(mask, strip), row, stop, &entry));
    }
    return sort_tiles(c, &c->emptied, false);
}

/* ---------------------------------------------------------------- tile rows */

/* The exceptions of a tile row with few of them; `marks` says whether those of the mask put tiles in. */
static rmask_status put_list(coarsener *c, const tile_row *t, bool marks, rmask_row_containers of_tiles)
{
    rmask_u64_vec *tiles = &c->touched;
    size_t len = 0;
    if (marks)
        RMASK_TRY(list_touched(c, t));
    else
        tiles->len = 0;
    for (size_t i = 0; i < tiles->len; i++)
        if (!rmask_contains(c->tiles, t->at, (int32_t)tiles->at[i])) tiles->at[len++] = tiles->at[i];
    tiles->len = len;
    c->num_more += (int64_t)len - (int64_t)c->emptied.len;
    RMASK_TRY(put_touched(c, of_tiles, false));
    for (size_t i = 0; i < c->emptied.len; i++)
        if (!rmask_vec_push(allocator_of(c), tiles, c->emptied.at[i])) return RMASK_ERR_NOMEM;
    RMASK_TRY(sort_tiles(c, tiles, true));
    c->cols.len = 0;
    if (tiles->len == 0) return RMASK_OK;
    if (!rmask_vec_reserve(allocator_of(c), &c->cols, tiles->len)) return RMASK_ERR_NOMEM;
    for (size_t i = 0; i < tiles->len; i++) rmask_vec_put(&c->cols, (int32_t)tiles->at[i]);
    return rmask_draft_exceptions(&c->draft, t->at, c->cols.at, c->cols.len, 0);
}

static size_t popcount(const uint64_t *words, size_t num_words)
{
    return rmask_simd_get()->popcount((const uint16_t *)(const void *)words, num_words * 4);
}

static void toggle_row(uint64_t *words, int32_t cols, rmask_row_containers row)
{
    for (rmask_container container; rmask_next_container(&row, &container);)
        rmask_bits_toggle_container(words, 0, cols, &container);
}

/* The same with many of them. */
static rmask_status put_bits(coarsener *c, const tile_row *t, bool marks, rmask_row_containers of_tiles)
{
    const int32_t cols = c->tiling.cols;
    const size_t num_words = rmask_words_of((size_t)cols);
    const rmask_boundaries b = boundaries_at(c->tiles, t->at);
    memset(c->words, 0, num_words * sizeof *c->words);
    if (marks) {
        mark_tiles(c, t);
        memset(c->inside, 0, num_words * sizeof *c->inside);
        rmask_bits_toggle_list(c->inside, 0, cols, b.fixed, b.num_fixed, 0);
        rmask_bits_toggle_list(c->inside, 0, cols, b.sliding, b.num_sliding, t->at);
        toggle_row(c->inside, cols, of_tiles);
        for (size_t i = 0; i < num_words; i++) c->words[i] &= ~c->inside[i];
        c->num_more += (int64_t)popcount(c->words, num_words);
    }
    c->num_more -= (int64_t)c->emptied.len;
    for (size_t i = 0; i < c->emptied.len; i++) c->words[c->emptied.at[i] / 64] ^= UINT64_C(1) << c->emptied.at[i] % 64;
    toggle_row(c->words, cols, of_tiles);
    return rmask_draft_bits(&c->draft, t->at, c->words, 0);
}

/* A word of bits costs about as much as a few exceptions. */
enum { BITS_AN_EXCEPTION = 256 };

static rmask_status put_tile_row(coarsener *c, const tile_row *t, rmask_row_containers of_tiles, uint32_t num_tile_units)
{
    const rmask *mask = c->tiling.mask;
    RMASK_TRY(find_emptied(c, t));
    const bool marks = c->has_extras && t->begin < t->end;
    const uint64_t num_units = (uint64_t)(marks ? mask->directory_offsets[t->end] - mask->directory_offsets[t->begin] : 0) +
                               num_tile_units + c->emptied.len;
    if (num_units == 0) return RMASK_OK;
    if (num_units * BITS_AN_EXCEPTION < (uint64_t)c->tiling.cols) return put_list(c, t, marks, of_tiles);
    if (!c->words) {
        const size_t num_words = rmask_words_of((size_t)c->tiling.cols);
        c->words = rmask_allocate(allocator_of(c), 2 * num_words, sizeof *c->words);
        if (!c->words) return RMASK_ERR_NOMEM;
        c->inside = c->words + num_words;
    }
    return put_bits(c, t, marks, of_tiles);
}

/* ---------------------------------------------------------------- the whole mask */

static rmask_status put_strips(coarsener *c)
{
    const rmask *tiles = c->tiles;
    if (!c->tiling.inverted) {
        for (uint32_t i = 0; i < tiles->num_strips; i++) {
            const rmask_strip *strip = &tiles->strips[i];
            RMASK_TRY(rmask_draft_strip(&c->draft, (int32_t)strip->row_begin, rmask_boundaries_of(tiles, strip)));
        }
        return RMASK_OK;
    }
    for (uint32_t i = 0; i < tiles->num_strips; i++) { /* one more flip at column 0 */
        rmask_boundaries b = rmask_boundaries_of(tiles, &tiles->strips[i]);
        c->cols.len = 0;
        if (!rmask_vec_reserve(allocator_of(c), &c->cols, b.num_fixed + 1)) return RMASK_ERR_NOMEM;
        rmask_vec_put(&c->cols, 0);
        if (b.num_fixed > 0) memcpy(c->cols.at + 1, b.fixed, b.num_fixed * sizeof *b.fixed);
        b.fixed = c->cols.at;
        b.num_fixed++;
        RMASK_TRY(rmask_draft_strip(&c->draft, (int32_t)tiles->strips[i].row_begin, b));
    }
    return RMASK_OK;
}

/* Walks the tile rows in which the mask, or its strips' tiles, have exceptions. */
static rmask_status put_exceptions(coarsener *c)
{
    const rmask_tiling *tiling = &c->tiling;
    const rmask *mask = tiling->mask;
    rmask_exception_walk walk = rmask_walk_exceptions(mask, 0), of_tiles = rmask_walk_exceptions(c->tiles, 0);
    for (;;) {
        const int32_t row = rmask_walk_row(&walk), next = row < mask->rows ? row / tiling->tile_rows : tiling->rows;
        const int32_t next_of_tiles = rmask_walk_row(&of_tiles);
        tile_row t = {.at = next < next_of_tiles ? next : next_of_tiles, .begin = walk.index, .end = walk.index};
        if (t.at == tiling->rows) return RMASK_OK;
        t.row_begin = t.at * tiling->tile_rows;
        t.row_end = mask->rows - t.row_begin < tiling->tile_rows ? mask->rows : t.row_begin + tiling->tile_rows;
        for (; rmask_walk_row(&walk) < t.row_end; t.end = walk.index) walk.index++;
        rmask_row_containers containers = {.left = 0};
        uint32_t num_tile_units = 0;
        if (next_of_tiles == t.at) {
            num_tile_units = entry_units(c->tiles, of_tiles.index);
            containers = rmask_walk_take(&of_tiles);
        }
        RMASK_TRY(put_tile_row(c, &t, containers, num_tile_units));
    }
}

/* Holes and extras of the mask, known from its counts: it has as many cells as its strips, and the extras more, and the holes
 * less. */
static void count_kinds(coarsener *c)
{
    const rmask *mask = c->tiling.mask;
    const uint64_t num_exceptions = mask->header->num_exceptions;
    uint64_t strip_cells = count_strip_cells(c, 0, mask->rows, 0, mask->cols);
    if (c->tiling.inverted) strip_cells = (uint64_t)mask->rows * (uint64_t)mask->cols - strip_cells;
    const uint64_t num_holes = (strip_cells + num_exceptions - mask->header->count) / 2;
    const uint64_t num_extras = num_exceptions - num_holes;
    c->has_extras = (c->tiling.inverted ? num_holes : num_extras) > 0;
    c->has_holes = (c->tiling.inverted ? num_extras : num_holes) > 0;
}

static rmask_status put_all(coarsener *c)
{
    RMASK_TRY(put_strips(c));
    count_kinds(c);
    find_factor(c);
    RMASK_TRY(put_exceptions(c));
    const uint64_t num_tiles = (uint64_t)c->tiling.rows * (uint64_t)c->tiling.cols;
    const uint64_t num_any = c->tiles->header->count + (uint64_t)c->num_more;
    c->draft.exception_balance = (int64_t)((c->tiling.inverted ? num_tiles - num_any : num_any) - rmask_draft_count(&c->draft));
    return RMASK_OK;
}

static rmask_status coarsen(rmask_tiling tiling, rmask **out, rmask_error *error)
{
    rmask *tiles;
    RMASK_TRY(rmask_coarsen_strips(&tiling, &tiles, error));
    if (tiling.mask->header->num_exceptions == 0 && !tiling.inverted) {
        *out = tiles;
        return RMASK_OK;
    }
    coarsener c = {.tiling = tiling, .tiles = tiles};
    rmask_draft_init(&c.draft, tiling.rows, tiling.cols, &tiling.mask->allocator);
    const rmask_status status = put_all(&c);
    if (status && !c.draft.failed) c.draft.failed = status;
    rmask_free(allocator_of(&c), c.words, 2 * rmask_words_of((size_t)tiling.cols), sizeof *c.words);
    rmask_vec_free(allocator_of(&c), &c.touched);
    rmask_vec_free(allocator_of(&c), &c.emptied);
    rmask_vec_free(allocator_of(&c), &c.cols);
    rmask_release(tiles);
    return rmask_draft_finish(&c.draft, out, error);
}

rmask_status rmask_check_tile(int32_t tile_rows, int32_t tile_cols, rmask_error *error)
{
    if (tile_rows >= 1 && tile_cols >= 1) return RMASK_OK;
    return rmask_fail(error, RMASK_ERR_RANGE, "tiles of %d x %d are out of range: their sides are at least 1", (int)tile_rows,
                      (int)tile_cols);
}

rmask_status rmask_coarsen(const rmask *mask, int32_t tile_rows, int32_t tile_cols, rmask **any, rmask **all,
                           rmask_error *error)
{
    if (any) *any = NULL;
    if (all) *all = NULL;
    RMASK_TRY(rmask_check_tile(tile_rows, tile_cols, error));
    RMASK_TRY(rmask_trust(mask, error));
    if (tile_rows == 1 && tile_cols == 1) {
        if (any) *any = rmask_retain(mask);
        if (all) *all = rmask_retain(mask);
        return RMASK_OK;
    }
    rmask_tiling tiling = {mask,      false,
                           tile_rows, tile_cols,
                           rmask_num_tiles(mask->rows, tile_rows),
                           rmask_num_tiles(mask->cols, tile_cols)};
    if (any) RMASK_TRY(coarsen(tiling, any, error));
    tiling.inverted = true;
    const rmask_status status = all ? coarsen(tiling, all, error) : RMASK_OK;
    if (status && any) {
        rmask_release(*any);
        *any = NULL;
    }
    return status;
}
