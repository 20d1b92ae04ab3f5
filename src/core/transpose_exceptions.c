/* SPDX-License-Identifier: Apache-2.0
 * Transposing exceptions.
 *
 * The grid is cut into blocks of 2^16 x 2^16 cells, so rows and columns inside a block are 16-bit numbers, and a column of a block becomes
 * one container. Arrays are sorted: by 256 columns first, and then, where all of it lies in the nearest cache, by column. Both steps keep
 * the order of the rows. Blocks with many cells in bitsets are transposed as bits, 64 x 64 at a time. */
#include "core/transpose.h"

#include "core/algebra.h"
#include "core/exception.h"
#include "core/sort.h"
#include "simd/simd.h"

#include <string.h>

/* A container, and where it lies. */
typedef struct source {
    const uint16_t *units;
    uint32_t num_units;
    int32_t row;
    uint16_t chunk;
    bool is_bitset;
    uint32_t next, end; /* of an array read from left to right: the entries to come, and where they are enough for now */
} source;

/* A column of a block, kept until all blocks that have it are done. */
typedef struct made_container {
    size_t units_at;
    uint32_t num_units, num_cells;
    int32_t chunk;
} made_container;

enum {
    GROUP_COLS = 256,
    NUM_GROUPS = RMASK_CHUNK_COLS / GROUP_COLS,
    PANEL_COLS = 512, /* a cache line of bits */
    PANEL_WORDS = PANEL_COLS / 64,
    FETCH_AHEAD = 16, /* containers */
    PASS_CELLS = 1 << 24, /* sorted at a time, which bounds the memory */
    CELLS_A_BIT = 32,     /* with more than one cell in so many in bitsets, bits are faster than sorting */
};

typedef struct transposer {
    rmask_draft *draft;
    rmask_vec(source) sources;
    rmask_vec(uint32_t) cells;    /* of a block, by groups of columns: row << 8 | column in the group */
    rmask_vec(uint16_t) rows;     /* of a group, by columns */
    rmask_u64_vec panel;          /* bits: PANEL_COLS times `stride` words */
    size_t stride;
    uint16_t units[RMASK_CHUNK_COLS + 64];
    rmask_vec(made_container) made;
    rmask_u64_vec made_cols;      /* column << 32 | index of what was made */
    rmask_vec(uint16_t) made_units;
} transposer;

static const rmask_allocator *allocator_of(const transposer *t) { return &t->draft->allocator; }

/* ---------------------------------------------------------------- what is made */

/* A column's container: at once a row of the result where that has one chunk, else one of several. */
static rmask_status put_container(transposer *t, int32_t col, int32_t chunk, const uint16_t *units, uint32_t num_units, uint32_t num_cells)
{
    if (t->draft->cols <= RMASK_CHUNK_COLS) return rmask_draft_row_units(t->draft, col, units, num_units, num_cells, 0);
    if (!rmask_vec_reserve(allocator_of(t), &t->made, 1) || !rmask_vec_reserve(allocator_of(t), &t->made_cols, 1) ||
        !rmask_vec_reserve(allocator_of(t), &t->made_units, num_units))
        return RMASK_ERR_NOMEM;
    rmask_vec_put(&t->made_cols, (uint64_t)col << 32 | t->made.len);
    rmask_vec_put(&t->made, ((made_container){t->made_units.len, num_units, num_cells, chunk}));
    memcpy(t->made_units.at + t->made_units.len, units, num_units * sizeof *units);
    t->made_units.len += num_units;
    return RMASK_OK;
}

static rmask_status put_array(transposer *t, int32_t col, int32_t chunk, const uint16_t *rows, uint32_t n)
{
    const uint32_t bitset_units = rmask_bitset_units(t->draft->cols, chunk);
    const rmask_container array = {.units = rows, .num_units = n};
    if (n < bitset_units) return put_container(t, col, chunk, rows, n, n);
    return put_container(t, col, chunk, rmask_bits_of(t->units, &array, bitset_units), bitset_units, n);
}

/* The rows of the result that have several chunks. */
static rmask_status put_made_rows(transposer *t)
{
    const uint64_t *cols = t->made_cols.at;
    if (!rmask_sort_u64(allocator_of(t), t->made_cols.at, t->made_cols.len)) return RMASK_ERR_NOMEM;
    for (size_t i = 0, end; i < t->made_cols.len; i = end) {
        const int32_t col = (int32_t)(cols[i] >> 32);
        uint64_t num_cells = 0;
        for (end = i; end < t->made_cols.len && cols[end] >> 32 == cols[i] >> 32;) end++;
        RMASK_TRY(rmask_draft_begin_row(t->draft, (uint32_t)(end - i)));
        for (; i < end; i++) {
            const made_container *made = &t->made.at[(uint32_t)cols[i]];
            const rmask_container container = {made->chunk, made->num_units, false, t->made_units.at + made->units_at};
            RMASK_TRY(rmask_draft_container(t->draft, col, &container));
            num_cells += made->num_cells;
        }
        RMASK_TRY(rmask_draft_end_row(t->draft, col, num_cells, 0));
    }
    t->made.len = t->made_cols.len = t->made_units.len = 0;
    return RMASK_OK;
}

/* ---------------------------------------------------------------- a block with few cells */

/* The columns from where the container was left up to `limit`, in t->units where they come from a bitset, and moves on with `take`. */
static const uint16_t *cols_up_to(transposer *t, source *s, uint32_t limit, bool take, size_t *n)
{
    const uint32_t begin = s->next;
    uint32_t end = s->end;
    if (s->is_bitset) {
        end = limit / 16 < s->num_units ? limit / 16 : s->num_units;
        *n = rmask_simd_get()->positions(t->units, s->units + begin, end - begin);
        for (size_t i = 0; i < *n; i++) t->units[i] = (uint16_t)(t->units[i] + begin * 16);
    } else {
        if (!take) end = begin + (uint32_t)rmask_count_below(rmask_simd_get(), s->units + begin, s->num_units - begin, (int32_t)limit);
        s->end = end;
        *n = end - begin;
    }
    if (take) s->next = end;
    return s->is_bitset ? t->units : s->units + begin;
}

static rmask_status sort_group(transposer *t, int32_t first_col, int32_t chunk, const uint32_t *cells, size_t n)
{
    uint32_t ends[GROUP_COLS + 1] = {0};
    if (n == 0) return RMASK_OK;
    t->rows.len = 0;
    if (!rmask_vec_reserve(allocator_of(t), &t->rows, n)) return RMASK_ERR_NOMEM;
    uint16_t *const rows = t->rows.at;
    for (size_t i = 0; i < n; i++) ends[cells[i] % GROUP_COLS + 1]++;
    for (int i = 0; i < GROUP_COLS; i++) ends[i + 1] += ends[i];
    for (size_t i = 0; i < n; i++) rows[ends[cells[i] % GROUP_COLS]++] = (uint16_t)(cells[i] / GROUP_COLS);
    for (uint32_t i = 0, begin = 0; i < GROUP_COLS; begin = ends[i++])
        if (ends[i] > begin) RMASK_TRY(put_array(t, first_col + (int32_t)i, chunk, rows + begin, ends[i] - begin));
    return RMASK_OK;
}

/* The columns from `first` up to `limit`, both multiples of a group's. */
static rmask_status sort_pass(transposer *t, source *sources, size_t num_sources, uint32_t first, uint32_t limit)
{
    size_t ends[NUM_GROUPS + 1] = {0}, n;
    const int32_t chunk = sources[0].row / RMASK_CHUNK_COLS, first_col = sources[0].chunk * RMASK_CHUNK_COLS;
    const uint32_t first_group = first / GROUP_COLS, end_group = limit / GROUP_COLS;
    for (size_t k = 0; k < num_sources; k++) {
        if (k + FETCH_AHEAD < num_sources) __builtin_prefetch(sources[k + FETCH_AHEAD].units + sources[k + FETCH_AHEAD].next);
        const uint16_t *cols = cols_up_to(t, &sources[k], limit, false, &n);
        for (size_t i = 0; i < n; i++) ends[cols[i] / GROUP_COLS + 1]++;
    }
    for (uint32_t i = first_group; i < end_group; i++) ends[i + 1] += ends[i];
    t->cells.len = 0;
    if (!rmask_vec_reserve(allocator_of(t), &t->cells, ends[end_group])) return RMASK_ERR_NOMEM;
    uint32_t *const cells = t->cells.at;
    for (size_t k = 0; k < num_sources; k++) {
        if (k + FETCH_AHEAD < num_sources) __builtin_prefetch(sources[k + FETCH_AHEAD].units + sources[k + FETCH_AHEAD].next);
        const uint16_t *cols = cols_up_to(t, &sources[k], limit, true, &n);
        const uint32_t row = (uint32_t)sources[k].row % RMASK_CHUNK_COLS * GROUP_COLS;
        for (size_t i = 0; i < n; i++) cells[ends[cols[i] / GROUP_COLS]++] = row | cols[i] % GROUP_COLS;
    }
    size_t begin = 0;
    for (uint32_t i = first_group; i < end_group; begin = ends[i++])
        RMASK_TRY(sort_group(t, first_col + (int32_t)i * GROUP_COLS, chunk, cells + begin, ends[i] - begin));
    return RMASK_OK;
}

static rmask_status sort_block(transposer *t, source *sources, size_t num_sources, int32_t num_cols, size_t num_cells)
{
    const uint32_t num_groups = ((uint32_t)num_cols + GROUP_COLS - 1) / GROUP_COLS, num_passes = (uint32_t)(num_cells / PASS_CELLS) + 1;
    const uint32_t pass_groups = (num_groups + num_passes - 1) / num_passes;
    for (uint32_t group = 0; group < num_groups; group += pass_groups) {
        const uint32_t end = group + pass_groups < num_groups ? group + pass_groups : num_groups;
        RMASK_TRY(sort_pass(t, sources, num_sources, group * GROUP_COLS, end * GROUP_COLS));
    }
    return RMASK_OK;
}

/* ---------------------------------------------------------------- a block with many cells */

/* In each square of 2 x `step` bits, exchanges the quarter above the diagonal with that below. Inlined, so that `step` is a constant. */
static inline void exchange_quarters(uint64_t words[64], unsigned step, uint64_t mask)
{
    for (unsigned first = 0; first < 64; first += 2 * step)
        for (unsigned i = first; i < first + step; i++) {
            const uint64_t moved = (words[i] >> step ^ words[i + step]) & mask;
            words[i] ^= moved << step;
            words[i + step] ^= moved;
        }
}

/* Exchanges bit c of word r with bit r of word c. */
static void transpose_bits(uint64_t words[64])
{
    exchange_quarters(words, 32, UINT64_C(0x00000000ffffffff));
    exchange_quarters(words, 16, UINT64_C(0x0000ffff0000ffff));
    exchange_quarters(words, 8, UINT64_C(0x00ff00ff00ff00ff));
    exchange_quarters(words, 4, UINT64_C(0x0f0f0f0f0f0f0f0f));
    exchange_quarters(words, 2, UINT64_C(0x3333333333333333));
    exchange_quarters(words, 1, UINT64_C(0x5555555555555555));
}

/* Writes the columns from `first` on, a panel's width, of a container as bits. */
static void read_line(uint64_t line[PANEL_WORDS], source *s, uint32_t first)
{
    memset(line, 0, PANEL_WORDS * sizeof *line);
    if (s->is_bitset) {
        const uint32_t unit = first / 16, left = s->num_units - unit;
        if (unit < s->num_units) memcpy(line, s->units + unit, (left < PANEL_COLS / 16 ? left : PANEL_COLS / 16) * sizeof *s->units);
        return;
    }
    for (; s->next < s->num_units && s->units[s->next] < first + PANEL_COLS; s->next++) {
        const uint32_t col = s->units[s->next] - first;
        line[col / 64] |= UINT64_C(1) << col % 64;
    }
}

/* Transposes a panel: column c of it goes to the words from c * stride on, where the bit of a row is its distance from `first_row`. */
static void fill_panel(transposer *t, source *sources, size_t num_sources, uint32_t first_col, int32_t first_row)
{
    uint64_t lines[PANEL_WORDS][64], line[PANEL_WORDS];
    for (size_t k = 0; k < num_sources;) {
        const int32_t word = (sources[k].row - first_row) / 64;
        memset(lines, 0, sizeof lines);
        for (; k < num_sources && (sources[k].row - first_row) / 64 == word; k++) {
            if (k + FETCH_AHEAD < num_sources && sources[k + FETCH_AHEAD].is_bitset)
                __builtin_prefetch(sources[k + FETCH_AHEAD].units + first_col / 16);
            read_line(line, &sources[k], first_col);
            for (int i = 0; i < PANEL_WORDS; i++) lines[i][(sources[k].row - first_row) % 64] = line[i];
        }
        for (int i = 0; i < PANEL_WORDS; i++) {
            transpose_bits(lines[i]);
            for (int col = 0; col < 64; col++) t->panel.at[(size_t)(i * 64 + col) * t->stride + (size_t)word] = lines[i][col];
        }
    }
}

/* A column of a panel, whose first bit is that of row `first_row`, as the smaller kind of container. */
static rmask_status put_bits(transposer *t, int32_t col, int32_t first_row, const uint64_t *words, int32_t num_words)
{
    const rmask_simd *simd = rmask_simd_get();
    const int32_t chunk = first_row / RMASK_CHUNK_COLS;
    const uint32_t bitset_units = rmask_bitset_units(t->draft->cols, chunk), before = (uint32_t)(first_row % RMASK_CHUNK_COLS) / 16;
    uint16_t *const bits = t->units, *const rows = t->units + RMASK_CHUNK_UNITS;
    memset(bits, 0, bitset_units * sizeof *bits);
    const uint32_t room = bitset_units - before, given = (uint32_t)num_words * 4;
    memcpy(bits + before, words, (given < room ? given : room) * sizeof *bits);
    const uint32_t n = (uint32_t)simd->popcount(bits, bitset_units);
    if (n == 0) return RMASK_OK;
    if (n >= bitset_units) return put_container(t, col, chunk, bits, bitset_units, n);
    simd->positions(rows, bits, bitset_units);
    return put_container(t, col, chunk, rows, n, n);
}

static rmask_status transpose_block(transposer *t, source *sources, size_t num_sources, int32_t num_cols)
{
    const int32_t first_row = sources[0].row / 64 * 64, num_words = (sources[num_sources - 1].row - first_row) / 64 + 1;
    t->stride = (((size_t)num_words + 7) / 8 | 1) * 8; /* in cache lines an odd number: columns do not crowd a few sets of the cache */
    if (!rmask_vec_reserve(allocator_of(t), &t->panel, PANEL_COLS * t->stride)) return RMASK_ERR_NOMEM;
    memset(t->panel.at, 0, PANEL_COLS * t->stride * sizeof *t->panel.at);
    for (int32_t panel = 0; panel < num_cols; panel += PANEL_COLS) {
        fill_panel(t, sources, num_sources, (uint32_t)panel, first_row);
        for (int32_t i = 0; i < PANEL_COLS && panel + i < num_cols; i++)
            RMASK_TRY(put_bits(t, sources[0].chunk * RMASK_CHUNK_COLS + panel + i, first_row, t->panel.at + (size_t)i * t->stride, num_words));
    }
    return RMASK_OK;
}

/* ---------------------------------------------------------------- all blocks */

static rmask_status list_sources(transposer *t, const rmask *mask)
{
    rmask_exception_walk walk = rmask_walk_exceptions(mask, 0);
    for (int32_t row; (row = rmask_walk_row(&walk)) < mask->rows;) {
        rmask_row_containers containers = rmask_walk_take(&walk);
        if (!rmask_vec_reserve(allocator_of(t), &t->sources, containers.left)) return RMASK_ERR_NOMEM;
        for (rmask_container container; rmask_next_container(&containers, &container);)
            rmask_vec_put(&t->sources, ((source){container.units, container.num_units, row, (uint16_t)container.chunk, container.is_bitset, 0, 0}));
    }
    return RMASK_OK;
}

/* Sorts by chunk, rows in their order. */
static rmask_status sort_sources(transposer *t)
{
    const rmask_allocator *allocator = allocator_of(t);
    const size_t n = t->sources.len;
    uint64_t *keys = rmask_allocate(allocator, n, sizeof *keys);
    source *sorted = rmask_allocate(allocator, n, sizeof *sorted);
    for (size_t i = 0; keys && i < n; i++) keys[i] = (uint64_t)t->sources.at[i].chunk << 32 | i;
    const bool done = keys && sorted && rmask_sort_u64(allocator, keys, n);
    for (size_t i = 0; done && i < n; i++) sorted[i] = t->sources.at[(uint32_t)keys[i]];
    if (done) memcpy(t->sources.at, sorted, n * sizeof *sorted);
    rmask_free(allocator, keys, n, sizeof *keys);
    rmask_free(allocator, sorted, n, sizeof *sorted);
    return done ? RMASK_OK : RMASK_ERR_NOMEM;
}

static rmask_status put_block(transposer *t, source *sources, size_t num_sources, int32_t num_cols)
{
    size_t num_cells = 0, in_bitsets = 0;
    for (size_t i = 0; i < num_sources; i++) {
        const size_t n = sources[i].is_bitset ? rmask_simd_get()->popcount(sources[i].units, sources[i].num_units) : sources[i].num_units;
        num_cells += n;
        in_bitsets += sources[i].is_bitset ? n : 0;
    }
    const int64_t num_rows = (int64_t)sources[num_sources - 1].row - sources[0].row + 1;
    if (in_bitsets > (uint64_t)(num_rows * num_cols) / CELLS_A_BIT) return transpose_block(t, sources, num_sources, num_cols);
    return sort_block(t, sources, num_sources, num_cols, num_cells);
}

static rmask_status put_blocks(transposer *t, const rmask *mask)
{
    RMASK_TRY(list_sources(t, mask));
    if (mask->cols > RMASK_CHUNK_COLS) RMASK_TRY(sort_sources(t));
    source *const sources = t->sources.at;
    for (size_t i = 0, end; i < t->sources.len; i = end) {
        for (end = i; end < t->sources.len && sources[end].chunk == sources[i].chunk &&
                      sources[end].row / RMASK_CHUNK_COLS == sources[i].row / RMASK_CHUNK_COLS;)
            end++;
        RMASK_TRY(put_block(t, sources + i, end - i, rmask_chunk_width(mask->cols, sources[i].chunk)));
        if (end == t->sources.len || sources[end].chunk != sources[i].chunk) RMASK_TRY(put_made_rows(t));
    }
    return RMASK_OK;
}

rmask_status rmask_transpose_exceptions(rmask_draft *draft, const rmask *mask)
{
    const rmask_allocator *allocator = &draft->allocator;
    if (mask->header->num_exceptions == 0) return RMASK_OK;
    transposer *t = rmask_allocate(allocator, 1, sizeof *t);
    if (!t) return RMASK_ERR_NOMEM;
    memset(t, 0, sizeof *t);
    t->draft = draft;
    const uint64_t as_arrays = mask->header->num_exceptions, as_bitsets = (uint64_t)draft->rows * (((uint64_t)draft->cols + 15) / 16);
    rmask_draft_reserve(draft, as_arrays < as_bitsets ? as_arrays : as_bitsets);
    const rmask_status status = put_blocks(t, mask);
    rmask_vec_free(allocator, &t->sources);
    rmask_vec_free(allocator, &t->cells);
    rmask_vec_free(allocator, &t->rows);
    rmask_vec_free(allocator, &t->panel);
    rmask_vec_free(allocator, &t->made);
    rmask_vec_free(allocator, &t->made_cols);
    rmask_vec_free(allocator, &t->made_units);
    rmask_free(allocator, t, 1, sizeof *t);
    return status;
}
