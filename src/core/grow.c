/* SPDX-License-Identifier: Apache-2.0
 * Masks that grow by rows and columns while others read them.
 *
 * The sections of the flat buffer are blocks that are only ever appended to: what a mask can see is never written again, so its
 * readers need no lock. A full block is replaced by one of twice the size, and lives on for as long as a mask needs it. As all
 * of the grower's state but its blocks is a few counts, a call that fails puts those back.
 *
 * New columns cost nothing because every strip is closed: its boundaries stand at or left of the last column's right edge in
 * each of its rows, and there is an even number of them. So no row reaches into columns that come later. */
#include "core/algebra.h"
#include "core/check.h"
#include "core/finder.h"
#include "simd/simd.h"

#include <string.h>

typedef enum section { STRIPS, FIXED, SLIDING, DIRECTORY_ROWS, DIRECTORY_OFFSETS, CONTAINERS, NUM_SECTIONS } section;

static const size_t entry_bytes[NUM_SECTIONS] = {sizeof(rmask_strip), sizeof(int32_t),  sizeof(int32_t),
                                                 sizeof(uint32_t),    sizeof(uint32_t), sizeof(uint16_t)};

/* The memory of a section, entries behind the struct. The grower holds a reference, and so does each mask. */
typedef struct block {
    rmask_keeper keeper;
    rmask_allocator allocator;
    size_t capacity; /* bytes of entries */
} block;

/* What a mask lies in. */
typedef struct holder {
    rmask_keeper keeper;
    rmask_allocator allocator;
    block *blocks[NUM_SECTIONS];
} holder;

/* What changes when the mask grows, but for the blocks' entries. */
typedef struct growth {
    int32_t rows, cols, container_cols;
    uint64_t count, num_exceptions;
    uint64_t num_boundaries; /* of all strips together */
    size_t len[NUM_SECTIONS];
    rmask_strip pattern;     /* the structure that rmask_grower_extend goes on with, not closed; its lists are in the pools */
    int32_t last_cols;       /* the columns when the last row came */
    int64_t regret;          /* bytes that another strip than the last would have saved in the latest rows */
} growth;

struct rmask_grower {
    rmask_allocator allocator;
    block *blocks[NUM_SECTIONS];
    growth now;
    rmask_int32_vec row, strip_flips, left; /* of the row that comes: its flips, those of a strip, and those that differ */
    rmask_draft encoder;                    /* lays out the exceptions of one row */
};

/* ---------------------------------------------------------------- blocks */

static void free_block(rmask_keeper *keeper)
{
    block *old = (block *)keeper;
    const rmask_allocator allocator = old->allocator;
    rmask_free(&allocator, old, sizeof *old + old->capacity, 1);
}

static block *new_block(const rmask_allocator *allocator, size_t capacity)
{
    block *made = rmask_allocate(allocator, sizeof *made + capacity, 1);
    if (!made) return NULL;
    *made = (block){.keeper = {.let_go = free_block}, .allocator = *allocator, .capacity = capacity};
    atomic_init(&made->keeper.references, 1);
    return made;
}

static void let_go(block *old)
{
    if (old) rmask_let_go(&old->keeper);
}

static void *entries(const rmask_grower *g, section s) { return g->blocks[s] + 1; }

/* Where the next entry goes. */
static void *entries_end(const rmask_grower *g, section s) { return (uint8_t *)entries(g, s) + g->now.len[s] * entry_bytes[s]; }

/* Makes room for `extra` more entries. */
static rmask_status reserve(rmask_grower *g, section s, size_t extra)
{
    enum { FIRST_BYTES = 256 };
    block *old = g->blocks[s];
    if (extra > UINT32_MAX - g->now.len[s]) return RMASK_ERR_LIMIT;
    const size_t used = g->now.len[s] * entry_bytes[s], wanted = used + extra * entry_bytes[s];
    if (old && wanted <= old->capacity) return RMASK_OK;
    size_t capacity = old ? 2 * old->capacity : FIRST_BYTES;
    if (capacity < wanted) capacity = wanted;
    block *bigger = new_block(&g->allocator, capacity);
    if (!bigger) return RMASK_ERR_NOMEM;
    if (used) memcpy(bigger + 1, old + 1, used);
    let_go(old);
    g->blocks[s] = bigger;
    return RMASK_OK;
}

static rmask_status append(rmask_grower *g, section s, const void *from, size_t n)
{
    RMASK_TRY(reserve(g, s, n));
    if (n) memcpy(entries_end(g, s), from, n * entry_bytes[s]);
    g->now.len[s] += n;
    return RMASK_OK;
}

/* ---------------------------------------------------------------- strips */

static rmask_boundaries boundaries_of(const rmask_grower *g, const rmask_strip *strip)
{
    return (rmask_boundaries){(const int32_t *)entries(g, FIXED) + strip->fixed_begin, strip->num_fixed,
                              (const int32_t *)entries(g, SLIDING) + strip->sliding_begin, strip->num_sliding};
}

/* NULL when there are no rows. */
static const rmask_strip *last_strip(const rmask_grower *g)
{
    return g->now.len[STRIPS] ? (const rmask_strip *)entries_end(g, STRIPS) - 1 : NULL;
}

/* Whether a strip with at least one row above `row` is closed there, too. Its fixed boundaries are as they were. */
static bool stays_closed(const rmask_grower *g, const rmask_strip *strip, int64_t row)
{
    const rmask_boundaries b = boundaries_of(g, strip);
    return b.num_sliding == 0 || b.sliding[b.num_sliding - 1] + row <= g->now.cols;
}

/* `flips` = the flips of a row of a strip, an end at the last column included. */
static rmask_status list_flips(const rmask_grower *g, rmask_int32_vec *flips, rmask_boundaries b, int32_t row)
{
    flips->len = 0;
    if (!rmask_vec_reserve(&g->allocator, flips, b.num_fixed + b.num_sliding + 2)) return RMASK_ERR_NOMEM;
    flips->len = rmask_strip_flips(flips->at, b, row, g->now.cols);
    if (flips->len % 2) rmask_vec_put(flips, g->now.cols);
    return RMASK_OK;
}

static bool same_lists(const rmask_strip *a, const rmask_strip *b)
{
    return a->num_fixed == b->num_fixed && a->num_sliding == b->num_sliding &&
           (a->num_fixed == 0 || a->fixed_begin == b->fixed_begin) &&
           (a->num_sliding == 0 || a->sliding_begin == b->sliding_begin);
}

/* Whether the last strip has, in the rows [row, row_end), the cells of another one. */
static rmask_status last_strip_serves(rmask_grower *g, const rmask_strip *strip, int32_t row, int32_t row_end, bool *serves)
{
    const rmask_strip *last = last_strip(g);
    *serves = last && stays_closed(g, last, (int64_t)row_end - 1);
    if (!*serves || same_lists(last, strip)) return RMASK_OK;
    const rmask_boundaries a = boundaries_of(g, last), b = boundaries_of(g, strip);
    if (row_end - row > 1) {
        *serves = rmask_strips_agree(a, b, row, row_end, g->now.cols);
        return RMASK_OK;
    }
    RMASK_TRY(list_flips(g, &g->strip_flips, a, row));
    RMASK_TRY(list_flips(g, &g->left, b, row));
    *serves = g->strip_flips.len == g->left.len && memcmp(g->strip_flips.at, g->left.at, g->left.len * sizeof(int32_t)) == 0;
    return RMASK_OK;
}

/* Appends `value` to a slice of a pool, or takes it away where it is the slice's last. The slice is copied but where it ends
 * its pool, or such a copy does. */
static rmask_status toggle_end(rmask_grower *g, section pool, uint32_t *begin, uint32_t *n, int32_t value)
{
    const int32_t *values = entries(g, pool);
    if (*n && values[*begin + *n - 1] == value) {
        --*n;
        return RMASK_OK;
    }
    const uint32_t end = (uint32_t)g->now.len[pool];
    if (end > *n && values[end - 1] == value && memcmp(values + (end - 1 - *n), values + *begin, *n * sizeof value) == 0) {
        *begin = end - 1 - *n;
        ++*n;
        return RMASK_OK;
    }
    if (*begin + *n != end) {
        RMASK_TRY(reserve(g, pool, (size_t)*n + 1));
        RMASK_TRY(append(g, pool, (const int32_t *)entries(g, pool) + *begin, *n));
        *begin = end;
    }
    ++*n;
    return append(g, pool, &value, 1);
}

/* Closes a strip: what opens in its rows ends at the last column. A lone row that brings a column with it ends there by a
 * sliding boundary: so most likely will the next one, and both are one strip. */
static rmask_status close_strip(rmask_grower *g, rmask_strip *strip, bool slides)
{
    if ((strip->num_fixed + strip->num_sliding) % 2 == 0) return RMASK_OK;
    if (slides)
        return toggle_end(g, SLIDING, &strip->sliding_begin, &strip->num_sliding, g->now.cols - (int32_t)strip->row_begin);
    return toggle_end(g, FIXED, &strip->fixed_begin, &strip->num_fixed, g->now.cols);
}

static rmask_status put_strip(rmask_grower *g, rmask_strip strip)
{
    if (strip.num_fixed == 0) strip.fixed_begin = 0;
    if (strip.num_sliding == 0) strip.sliding_begin = 0;
    g->now.num_boundaries += (uint64_t)strip.num_fixed + strip.num_sliding;
    if (g->now.num_boundaries > RMASK_MAX_STRIP_BOUNDARIES) return RMASK_ERR_LIMIT;
    return append(g, STRIPS, &strip, 1);
}

/* Gives the rows [row, row_end), which are new, the structure of a strip, which need not be closed: from row to row fewer of
 * its sliding boundaries stand within the columns. */
static rmask_status put_rows(rmask_grower *g, const rmask_strip *structure, int32_t row, int32_t row_end)
{
    const bool slides = row_end - row == 1 && g->now.last_cols != g->now.cols;
    const int64_t cols = g->now.cols;
    for (int32_t stop; row < row_end; row = stop) {
        const int32_t *sliding = boundaries_of(g, structure).sliding;
        rmask_strip strip = *structure;
        bool serves;
        stop = row_end;
        strip.row_begin = (uint32_t)row;
        strip.num_sliding = (uint32_t)rmask_upper_bound(sliding, structure->num_sliding, cols - row);
        if (strip.num_sliding && cols - sliding[strip.num_sliding - 1] + 1 < stop)
            stop = (int32_t)(cols - sliding[strip.num_sliding - 1] + 1);
        RMASK_TRY(last_strip_serves(g, &strip, row, stop, &serves));
        if (serves) continue;
        RMASK_TRY(close_strip(g, &strip, slides));
        RMASK_TRY(put_strip(g, strip));
    }
    g->now.last_cols = g->now.cols;
    return RMASK_OK;
}

/* ---------------------------------------------------------------- exceptions */

/* The columns that containers are laid out for. Where they grow, bitsets do, so they double; from one chunk on all chunks
 * are whole and a row's layout stays as it is. */
static int32_t layout_cols(int32_t cols)
{
    enum { LEAST = 64 };
    int64_t layout = LEAST;
    while (layout < cols && layout < RMASK_CHUNK_COLS) layout *= 2;
    if (layout < cols) layout = (int64_t)rmask_num_chunks(cols) * RMASK_CHUNK_COLS;
    return layout < RMASK_MAX_SIDE ? (int32_t)layout : RMASK_MAX_SIDE;
}

static bool same_layout(int32_t a, int32_t b) { return a == b || (a > RMASK_CHUNK_COLS && b > RMASK_CHUNK_COLS); }

/* Notes the row whose containers have just been appended. */
static rmask_status end_row(rmask_grower *g, int32_t row)
{
    const uint32_t listed = (uint32_t)row, end = (uint32_t)g->now.len[CONTAINERS];
    RMASK_TRY(append(g, DIRECTORY_ROWS, &listed, 1));
    return append(g, DIRECTORY_OFFSETS, &end, 1);
}

/* Writes a container as the smaller kind for a chunk whose bitset has `bitset_units`; returns its units. */
static uint32_t put_container(uint16_t *out, uint32_t bitset_units, const rmask_container *from)
{
    const size_t n = rmask_container_count(from);
    if (n < bitset_units) {
        if (from->is_bitset) return (uint32_t)rmask_simd_get()->positions(out, from->units, from->num_units);
        memcpy(out, from->units, n * sizeof *out);
        return (uint32_t)n;
    }
    const uint16_t *bits = rmask_bits_of(out, from, bitset_units);
    if (bits != out) {
        const uint32_t common = from->num_units < bitset_units ? from->num_units : bitset_units;
        memcpy(out, bits, common * sizeof *out);
        memset(out + common, 0, (bitset_units - common) * sizeof *out);
    }
    return bitset_units;
}

/* Appends a row's containers, whatever they are laid out for. */
static rmask_status put_containers(rmask_grower *g, int32_t row, rmask_row_containers from)
{
    enum { SLACK = 64 };
    const bool wide = g->now.container_cols > RMASK_CHUNK_COLS;
    size_t num_containers = 0, num_units = 0;
    rmask_row_containers ahead = from;
    for (rmask_container container; rmask_next_container(&ahead, &container); num_containers++) {
        const size_t n = rmask_container_count(&container), most = rmask_bitset_units(g->now.container_cols, container.chunk);
        num_units += n < most ? n : most;
    }
    RMASK_TRY(reserve(g, CONTAINERS, 1 + 2 * num_containers + num_units + SLACK));
    uint16_t *heads = entries_end(g, CONTAINERS), *units = heads + (wide ? 1 + 2 * num_containers : 0);
    if (wide) *heads++ = (uint16_t)num_containers;
    for (rmask_container container; rmask_next_container(&from, &container);) {
        const uint32_t n = put_container(units, rmask_bitset_units(g->now.container_cols, container.chunk), &container);
        units += n;
        if (!wide) continue;
        *heads++ = (uint16_t)container.chunk;
        *heads++ = (uint16_t)n;
    }
    g->now.len[CONTAINERS] = (size_t)(units - (uint16_t *)entries(g, CONTAINERS));
    return end_row(g, row);
}

/* Appends the exceptions of a mask, its first row being `first_row`. */
static rmask_status put_exceptions(rmask_grower *g, const rmask *mask, int32_t first_row)
{
    rmask_exception_walk walk = rmask_walk_exceptions(mask, 0);
    for (int32_t row; (row = rmask_walk_row(&walk)) < mask->rows;)
        RMASK_TRY(put_containers(g, first_row + row, rmask_walk_take(&walk)));
    return RMASK_OK;
}

/* Appends g->left as the exceptions of a row. `cols` are the same cells as columns, or NULL. */
static rmask_status put_left(rmask_grower *g, int32_t row, const int32_t *cols, uint64_t num_cells)
{
    rmask_draft *encoder = &g->encoder;
    encoder->cols = g->now.container_cols;
    encoder->failed = RMASK_OK;
    encoder->containers.len = encoder->exception_rows.len = encoder->exception_ends.len = 0;
    RMASK_TRY(rmask_draft_flips(encoder, 0, g->left.at, g->left.len, cols, num_cells));
    RMASK_TRY(append(g, CONTAINERS, encoder->containers.at, encoder->containers.len));
    g->now.num_exceptions += num_cells;
    return end_row(g, row);
}

/* Lays all containers out for more columns, in blocks of their own. */
static rmask_status lay_out_anew(rmask_grower *g)
{
    static const section anew[] = {DIRECTORY_ROWS, DIRECTORY_OFFSETS, CONTAINERS};
    enum { NUM_ANEW = sizeof anew / sizeof anew[0] };
    block *before[NUM_ANEW];
    rmask *old;
    rmask_status status = rmask_grower_mask(g, &old, NULL);
    if (status) return status;
    g->now.container_cols = layout_cols(g->now.cols);
    for (size_t i = 0; i < NUM_ANEW; i++) {
        const section s = anew[i];
        const size_t len = g->now.len[s];
        before[i] = g->blocks[s];
        g->blocks[s] = NULL;
        g->now.len[s] = 0;
        if (!status) status = reserve(g, s, len);
    }
    if (!status) status = append(g, DIRECTORY_OFFSETS, &(uint32_t){0}, 1);
    if (!status) status = put_exceptions(g, old, 0);
    for (size_t i = 0; i < NUM_ANEW; i++) {
        let_go(status ? g->blocks[anew[i]] : before[i]);
        if (status) g->blocks[anew[i]] = before[i];
    }
    rmask_release(old);
    return status;
}

/* ---------------------------------------------------------------- a row that was chosen */

static uint64_t num_cells(const rmask_int32_vec *flips)
{
    uint64_t cells = 0;
    for (size_t i = 0; i < flips->len; i += 2) cells += (uint32_t)(flips->at[i + 1] - flips->at[i]);
    return cells;
}

/* Bytes of a row with so many exceptions, its place in the directory included. */
static int64_t row_cost(const rmask_grower *g, uint64_t cells)
{
    if (cells == 0) return 0;
    const uint64_t array_bytes = 2 * cells, bitset_bytes = ((uint64_t)g->now.container_cols + 15) / 16 * 2;
    return (int64_t)(2 * sizeof(uint32_t) + (array_bytes < bitset_bytes ? array_bytes : bitset_bytes));
}

/* g->left = what a strip does not explain of g->row; `cells` gets the number of its cells. */
static rmask_status leave(rmask_grower *g, const rmask_strip *strip, int32_t row, uint64_t *cells)
{
    RMASK_TRY(list_flips(g, &g->strip_flips, boundaries_of(g, strip), row));
    g->left.len = 0;
    if (!rmask_vec_reserve(&g->allocator, &g->left, g->row.len + g->strip_flips.len)) return RMASK_ERR_NOMEM;
    g->left.len = rmask_toggle_lists(g->left.at, g->row.at, g->row.len, g->strip_flips.at, g->strip_flips.len, 0);
    *cells = num_cells(&g->left);
    return RMASK_OK;
}

/* Two strips: one for this row, and one for the way back. */
enum { CHANGE_COST = 2 * sizeof(rmask_strip) };

/* Chooses what the new row is an exception to: the last strip, or another one that the row begins. Another one is chosen
 * once it would have saved its bytes, so an odd row changes nothing and a series of them does. */
static rmask_status choose_structure(rmask_grower *g, int32_t row, rmask_strip *strip)
{
    const rmask_strip *last = last_strip(g), empty = {0};
    uint64_t cells;
    int64_t last_cost = INT64_MAX;
    if (last && stays_closed(g, last, row)) {
        RMASK_TRY(leave(g, last, row, &cells));
        *strip = *last;
        last_cost = row_cost(g, cells);
        if (last_cost == 0) return RMASK_OK;
    }
    RMASK_TRY(leave(g, &g->now.pattern, row, &cells));
    rmask_strip best = g->now.pattern;
    int64_t best_cost = row_cost(g, cells);
    const int64_t empty_cost = row_cost(g, num_cells(&g->row));
    const int64_t own_cost = (int64_t)(sizeof(rmask_strip) + g->row.len * sizeof(int32_t));
    if (empty_cost < best_cost) {
        best = empty;
        best_cost = empty_cost;
    }
    const bool own = own_cost < best_cost;
    if (own) best_cost = own_cost;

    if (last_cost != INT64_MAX) {
        const int64_t regret = g->now.regret + last_cost - best_cost;
        g->now.regret = regret > 0 ? regret : 0;
        if (last_cost <= best_cost || regret <= CHANGE_COST) return RMASK_OK;
    }
    g->now.regret = 0;
    *strip = best;
    if (!own) return RMASK_OK;
    *strip = (rmask_strip){.fixed_begin = (uint32_t)g->now.len[FIXED], .num_fixed = (uint32_t)g->row.len};
    return append(g, FIXED, g->row.at, g->row.len);
}

static rmask_status add_row(rmask_grower *g, const int32_t *cols, size_t num_cols)
{
    const int32_t row = g->now.rows;
    uint64_t cells;
    rmask_strip strip;
    RMASK_TRY(choose_structure(g, row, &strip));
    RMASK_TRY(put_rows(g, &strip, row, row + 1));
    RMASK_TRY(leave(g, &strip, row, &cells));
    g->now.rows++;
    g->now.count += num_cols;
    const bool is_row = g->strip_flips.len == 0;
    return cells ? put_left(g, row, is_row ? cols : NULL, cells) : RMASK_OK;
}

/* ---------------------------------------------------------------- rows with structure */

static rmask_status extend(rmask_grower *g, int32_t num_rows)
{
    const int32_t row = g->now.rows, row_end = row + num_rows;
    RMASK_TRY(put_rows(g, &g->now.pattern, row, row_end));
    g->now.count += rmask_strip_count(boundaries_of(g, &g->now.pattern), row, row_end, g->now.cols);
    g->now.rows = row_end;
    g->now.regret = 0;
    return RMASK_OK;
}

/* Appends the strips of a mask: its lists as they are, and then slices of them. */
static rmask_status put_strips(rmask_grower *g, const rmask *mask)
{
    const uint32_t fixed_at = (uint32_t)g->now.len[FIXED], sliding_at = (uint32_t)g->now.len[SLIDING];
    const int32_t first_row = g->now.rows;
    RMASK_TRY(append(g, FIXED, mask->fixed, mask->header->num_fixed));
    RMASK_TRY(append(g, SLIDING, mask->sliding, mask->header->num_sliding));
    int32_t *sliding = (int32_t *)entries(g, SLIDING) + sliding_at;
    for (uint32_t i = 0; i < mask->header->num_sliding; i++) sliding[i] -= first_row;
    for (uint32_t i = 0; i < mask->num_strips; i++) {
        rmask_strip strip = mask->strips[i];
        const int32_t row = first_row + (int32_t)strip.row_begin, row_end = first_row + rmask_strip_end(mask, &mask->strips[i]);
        strip.fixed_begin += fixed_at;
        strip.sliding_begin += sliding_at;
        RMASK_TRY(put_rows(g, &strip, row, row_end));
        g->now.pattern = strip;
    }
    return RMASK_OK;
}

static rmask_status add_rows(rmask_grower *g, const rmask *mask)
{
    RMASK_TRY(put_strips(g, mask));
    RMASK_TRY(put_exceptions(g, mask, g->now.rows));
    g->now.rows += mask->rows;
    g->now.count += rmask_count(mask);
    g->now.num_exceptions += mask->header->num_exceptions;
    g->now.regret = 0;
    return RMASK_OK;
}

/* ---------------------------------------------------------------- the calls */

/* What every call ends with: a growth that failed has not happened. */
static rmask_status finish(rmask_grower *g, const growth *before, rmask_status status, rmask_error *error)
{
    if (status) g->now = *before;
    if (status == RMASK_ERR_NOMEM) return rmask_fail_nomem(error);
    if (status)
        return rmask_fail(error, status, "the mask has grown too irregular: its exceptions need more than 8 GiB, or its strips more "
                                         "than 2^32 boundaries");
    return RMASK_OK;
}

static rmask_status check_room(const char *what, int32_t side, int32_t more, rmask_error *error)
{
    if (more >= 0 && more <= RMASK_MAX_SIDE - side) return RMASK_OK;
    return rmask_fail(error, RMASK_ERR_RANGE, "%d more %s are out of range: there are %d, and at most %d are possible", (int)more,
                      what, (int)side, (int)RMASK_MAX_SIDE);
}

rmask_status rmask_grower_add_cols(rmask_grower *g, int32_t num_cols, rmask_error *error)
{
    RMASK_TRY(check_room("columns", g->now.cols, num_cols, error));
    const growth before = g->now;
    rmask_status status = RMASK_OK;
    g->now.cols += num_cols;
    if (g->now.len[CONTAINERS] && !same_layout(g->now.container_cols, layout_cols(g->now.cols)))
        status = lay_out_anew(g);
    else
        g->now.container_cols = layout_cols(g->now.cols);
    return finish(g, &before, status, error);
}

rmask_status rmask_grower_extend(rmask_grower *g, int32_t num_rows, rmask_error *error)
{
    RMASK_TRY(check_room("rows", g->now.rows, num_rows, error));
    const growth before = g->now;
    return finish(g, &before, num_rows ? extend(g, num_rows) : RMASK_OK, error);
}

rmask_status rmask_grower_add_row(rmask_grower *g, const int32_t *cols, size_t num_cols, rmask_error *error)
{
    RMASK_TRY(check_room("rows", g->now.rows, 1, error));
    g->row.len = 0;
    if (num_cols) RMASK_TRY(rmask_flips_of_cols(&g->allocator, &g->row, g->now.rows, g->now.cols, cols, num_cols, error));
    const growth before = g->now;
    return finish(g, &before, add_row(g, cols, num_cols), error);
}

rmask_status rmask_grower_add_rows(rmask_grower *g, const rmask *rows, rmask_error *error)
{
    if (rows->cols != g->now.cols)
        return rmask_fail(error, RMASK_ERR_ARGUMENT, "rows of %d columns do not fit: the grid has %d", (int)rows->cols,
                          (int)g->now.cols);
    RMASK_TRY(check_room("rows", g->now.rows, rows->rows, error));
    RMASK_TRY(rmask_trust(rows, error));
    const growth before = g->now;
    return finish(g, &before, add_rows(g, rows), error);
}

int32_t rmask_grower_rows(const rmask_grower *g) { return g->now.rows; }

int32_t rmask_grower_cols(const rmask_grower *g) { return g->now.cols; }

/* ---------------------------------------------------------------- life */

static rmask_status fill(rmask_grower *g, const rmask *start, rmask_error *error)
{
    rmask_status status = RMASK_OK;
    for (section s = 0; s < NUM_SECTIONS && !status; s++) status = reserve(g, s, 1);
    if (!status) status = append(g, DIRECTORY_OFFSETS, &(uint32_t){0}, 1);
    return status ? rmask_fail_nomem(error) : rmask_grower_add_rows(g, start, error);
}

rmask_status rmask_grower_create(const rmask *start, rmask_grower **out, rmask_error *error)
{
    *out = NULL;
    rmask_grower *g = rmask_allocate(&start->allocator, 1, sizeof *g);
    if (!g) return rmask_fail_nomem(error);
    *g = (rmask_grower){.allocator = start->allocator};
    g->now = (growth){.cols = start->cols, .container_cols = layout_cols(start->cols), .last_cols = -1};
    rmask_draft_init(&g->encoder, 1, 0, &g->allocator);
    const rmask_status status = fill(g, start, error);
    if (status)
        rmask_grower_destroy(g);
    else
        *out = g;
    return status;
}

void rmask_grower_destroy(rmask_grower *g)
{
    if (!g) return;
    const rmask_allocator allocator = g->allocator;
    for (section s = 0; s < NUM_SECTIONS; s++) let_go(g->blocks[s]);
    rmask_vec_free(&allocator, &g->row);
    rmask_vec_free(&allocator, &g->strip_flips);
    rmask_vec_free(&allocator, &g->left);
    rmask_draft_discard(&g->encoder);
    rmask_free(&allocator, g, 1, sizeof *g);
}

static void free_holder(rmask_keeper *keeper)
{
    holder *old = (holder *)keeper;
    const rmask_allocator allocator = old->allocator;
    for (section s = 0; s < NUM_SECTIONS; s++) let_go(old->blocks[s]);
    rmask_free(&allocator, old, 1, sizeof *old);
}

rmask_status rmask_grower_mask(const rmask_grower *g, rmask **out, rmask_error *error)
{
    *out = NULL;
    const growth *now = &g->now;
    const uint32_t num_directory_rows = (uint32_t)now->len[DIRECTORY_ROWS];
    const rmask_header header = {.magic = RMASK_MAGIC,
                                 .version = RMASK_FORMAT_VERSION,
                                 .features = num_directory_rows ? RMASK_FEATURE_SPARSE_DIRECTORY : 0,
                                 .rows = (uint32_t)now->rows,
                                 .cols = (uint32_t)now->cols,
                                 .count = now->count,
                                 .num_exceptions = now->num_exceptions,
                                 .num_exception_rows = num_directory_rows,
                                 .num_strips = (uint32_t)now->len[STRIPS],
                                 .num_fixed = (uint32_t)now->len[FIXED],
                                 .num_sliding = (uint32_t)now->len[SLIDING],
                                 .num_directory_rows = num_directory_rows,
                                 .num_container_units = (uint32_t)now->len[CONTAINERS],
                                 .container_cols = (uint32_t)now->container_cols};
    holder *made = rmask_allocate(&g->allocator, 1, sizeof *made);
    if (!made) return rmask_fail_nomem(error);
    *made = (holder){.keeper = {.let_go = free_holder}, .allocator = g->allocator};
    atomic_init(&made->keeper.references, 1);
    for (section s = 0; s < NUM_SECTIONS; s++) {
        rmask_keep(&g->blocks[s]->keeper);
        made->blocks[s] = g->blocks[s];
    }
    *out = rmask_new_apart(&header, entries(g, STRIPS), entries(g, FIXED), entries(g, SLIDING), entries(g, DIRECTORY_ROWS),
                           entries(g, DIRECTORY_OFFSETS), entries(g, CONTAINERS), &made->keeper, &g->allocator);
    rmask_let_go(&made->keeper);
    return *out ? RMASK_OK : rmask_fail_nomem(error);
}
