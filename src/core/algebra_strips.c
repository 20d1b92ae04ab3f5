/* SPDX-License-Identifier: Apache-2.0
 * Strips with strips: any boolean function of two structured masks, without looking at cells.
 *
 * A boundary of one mask stays a boundary of the result where the function depends on that mask, given the other's membership there.
 * That membership changes only in the rows where the boundary meets one of the other kind of the other mask (row = u - w for a fixed
 * u and a sliding w), so the common rows of two strips are cut there, and between cuts one walk over all boundaries does it.
 * Boundaries of the same mask may pass each other freely: swapping two flips of one parity changes nothing. Nor does the order
 * matter left of column 0, so a fixed boundary at 0 is taken to lie left of everything and never needs a cut.
 *
 * Long lists meet too often for that. Over GF(2) let F and D be the parities of the fixed and of the sliding boundaries of a mask.
 * With S = F ^ D every function is f(S1, S2) = f(F1, F2) ^ f(D1, D2) ^ f(0, 0) ^ c (F1 D2 ^ D1 F2), where c is the coefficient of the
 * product. The first three terms are plain lists; the last is the crossings, which become exceptions where they are few.
 *
 * There is another way. Any of the eight functions without a product can stand for f, with strips that need no cuts, when the cells with
 * the pairs of memberships for which the two differ become exceptions. How many cells have each pair follows from |S1|, |S2| and
 * |S1 ^ S2|, by arithmetic. With a product one pair is enough; and where long lists would be copied strip by strip, the function that
 * leaves the longer list as it is may be better even without one.
 *
 * What cuts cost is known only when they have been made, as it depends on what their lists share; so they are made on trial, up to the
 * cost of the best other way. */
#include "core/algebra.h"
#include "core/mask.h"
#include "core/sort.h"

#include <stdlib.h>

typedef struct rows_pair {
    rmask_draft *draft;
    unsigned function;
    rmask_boundaries a, b;
    bool a_goes_on, b_goes_on; /* the strip began above row_begin: its lists are in the draft, most likely */
    int32_t row_begin, row_end, cols;
    rmask_int32_vec fixed, sliding; /* the lists being made */
    rmask_int32_vec cuts;
    rmask_u64_vec *crossings;
    int64_t balance; /* of the crossings */
} rows_pair;

static const rmask_allocator *allocator_of(const rows_pair *pair) { return &pair->draft->allocator; }

static rmask_status put_strip(const rows_pair *pair, int32_t row_begin)
{
    const rmask_boundaries made = {pair->fixed.at, pair->fixed.len, pair->sliding.at, pair->sliding.len};
    return rmask_draft_strip(pair->draft, row_begin, made);
}

static bool reserve_lists(rows_pair *pair)
{
    pair->fixed.len = pair->sliding.len = 0;
    return rmask_vec_reserve(allocator_of(pair), &pair->fixed, pair->a.num_fixed + pair->b.num_fixed + 1) &&
           rmask_vec_reserve(allocator_of(pair), &pair->sliding, pair->a.num_sliding + pair->b.num_sliding);
}

/* ---------------------------------------------------------------- cuts */

/* For each sliding boundary, the fixed ones that it meets strictly inside the rows: those that meet in the last one are in order up to
 * there. Appends the rows to `cuts` where given. Stops where there are more than `most`. */
static uint64_t find_cuts(const rows_pair *pair, rmask_boundaries fixed, rmask_boundaries sliding, rmask_int32_vec *cuts, uint64_t most)
{
    uint64_t num_cuts = 0;
    if (pair->row_end - pair->row_begin < 2) return 0;
    for (size_t j = 0; j < sliding.num_sliding && num_cuts <= most; j++) {
        const int64_t w = sliding.sliding[j];
        const int64_t lowest = w + pair->row_begin > 0 ? w + pair->row_begin : 0;
        const size_t begin = rmask_upper_bound(fixed.fixed, fixed.num_fixed, lowest);
        const size_t end = rmask_upper_bound(fixed.fixed, fixed.num_fixed, w + pair->row_end - 2);
        for (size_t i = begin; cuts && i < end; i++) rmask_vec_put(cuts, (int32_t)(fixed.fixed[i] - w));
        num_cuts += end > begin ? end - begin : 0;
    }
    return num_cuts;
}

/* The cuts in these rows; any number above `most` where there are more. */
static uint64_t count_cuts(const rows_pair *pair, uint64_t most)
{
    const uint64_t num_cuts = find_cuts(pair, pair->a, pair->b, NULL, most);
    return num_cuts > most ? num_cuts : num_cuts + find_cuts(pair, pair->b, pair->a, NULL, most - num_cuts);
}

/* The next boundary of four ascending lists in the order of their columns in row `row`; lists 0 and 1 are fixed, 2 and 3 sliding. In
 * the row where a fixed and a sliding one meet, the fixed one is first: so they stand in the rows below. */
static int next_boundary(const int32_t *const lists[4], const size_t lengths[4], const size_t at[4], int64_t row)
{
    int best = -1;
    int64_t best_col = 0;
    for (int i = 0; i < 4; i++) {
        if (at[i] == lengths[i]) continue;
        int64_t col = lists[i][at[i]];
        if (i >= 2)
            col += row;
        else if (col == 0)
            col = INT64_MIN;
        if (best < 0 || col < best_col) {
            best = i;
            best_col = col;
        }
    }
    return best;
}

/* The strip of the rows from `row` to the next cut. */
static rmask_status put_cut_rows(rows_pair *pair, int32_t row)
{
    const int32_t *const lists[4] = {pair->a.fixed, pair->b.fixed, pair->a.sliding, pair->b.sliding};
    const size_t lengths[4] = {pair->a.num_fixed, pair->b.num_fixed, pair->a.num_sliding, pair->b.num_sliding};
    size_t at[4] = {0};
    bool inside[2] = {false, false}, before = rmask_apply(pair->function, false, false);
    if (!reserve_lists(pair)) return RMASK_ERR_NOMEM;
    if (before) rmask_vec_put(&pair->fixed, 0);
    for (int i; (i = next_boundary(lists, lengths, at, row)) >= 0;) {
        const int32_t boundary = lists[i][at[i]++];
        inside[i % 2] = !inside[i % 2];
        const bool after = rmask_apply(pair->function, inside[0], inside[1]);
        if (after == before) continue;
        if (i < 2)
            rmask_vec_put(&pair->fixed, boundary);
        else
            rmask_vec_put(&pair->sliding, boundary);
        before = after;
    }
    return put_strip(pair, row);
}

static int compare_int32(const void *a, const void *b)
{
    const int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

/* Makes the strips between cuts. Stops when they cost more than `most_bytes`; `done` says whether it came to the end. */
static rmask_status cut_rows(rows_pair *pair, uint64_t num_cuts, uint64_t most_bytes, bool *done)
{
    pair->cuts.len = 0;
    if (num_cuts > INT32_MAX || !rmask_vec_reserve(allocator_of(pair), &pair->cuts, num_cuts + 1)) return RMASK_ERR_NOMEM;
    rmask_vec_put(&pair->cuts, pair->row_begin);
    find_cuts(pair, pair->a, pair->b, &pair->cuts, UINT64_MAX);
    find_cuts(pair, pair->b, pair->a, &pair->cuts, UINT64_MAX);
    if (pair->cuts.len > 2) qsort(pair->cuts.at, pair->cuts.len, sizeof *pair->cuts.at, compare_int32);
    *done = true;
    for (size_t i = 0; i < pair->cuts.len && *done; i++) {
        if (i > 0 && pair->cuts.at[i] == pair->cuts.at[i - 1]) continue;
        RMASK_TRY(put_cut_rows(pair, pair->cuts.at[i]));
        *done = rmask_draft_strip_bytes(pair->draft) <= most_bytes;
    }
    return RMASK_OK;
}

/* The strips of a trial, put into the draft that it was for. */
static rmask_status take_trial(rmask_draft *draft, const rmask_draft *trial, int32_t row_begin)
{
    for (size_t i = 0; i < trial->strips.len; i++) {
        const rmask_strip *strip = &trial->strips.at[i];
        if (i + 1 < trial->strips.len && strip[1].row_begin <= (uint32_t)row_begin) continue; /* rows before the trial's */
        const int32_t begin = strip->row_begin > (uint32_t)row_begin ? (int32_t)strip->row_begin : row_begin;
        RMASK_TRY(rmask_draft_strip(draft, begin, rmask_draft_boundaries(trial, strip)));
    }
    return RMASK_OK;
}

static rmask_status try_cuts(rows_pair *pair, uint64_t num_cuts, uint64_t most_bytes, bool *done)
{
    rmask_draft trial, *const draft = pair->draft;
    rmask_draft_init(&trial, draft->rows, draft->cols, &draft->allocator);
    pair->draft = &trial;
    rmask_status status = cut_rows(pair, num_cuts, most_bytes, done);
    pair->draft = draft;
    if (!status && *done) status = take_trial(draft, &trial, pair->row_begin);
    rmask_draft_discard(&trial);
    return status;
}

/* ---------------------------------------------------------------- crossings */

/* The three terms that need no cuts: fixed lists with each other, sliding lists with each other. */
static rmask_status put_uncut_rows(rows_pair *pair)
{
    if (!reserve_lists(pair)) return RMASK_ERR_NOMEM;
    int32_t *fixed = pair->fixed.at;
    if (rmask_apply(pair->function, false, false)) *fixed++ = 0;
    fixed += rmask_combine_lists(fixed, pair->function, pair->a.fixed, pair->a.num_fixed, pair->b.fixed, pair->b.num_fixed);
    pair->fixed.len = (size_t)(fixed - pair->fixed.at);
    pair->sliding.len = rmask_combine_lists(pair->sliding.at, pair->function, pair->a.sliding, pair->a.num_sliding, pair->b.sliding,
                                            pair->b.num_sliding);
    return put_strip(pair, pair->row_begin);
}

/* The cells in the fixed part of one strip and in the sliding part of the other. */
static uint64_t count_crossings(const rows_pair *pair, rmask_boundaries fixed, rmask_boundaries sliding)
{
    /* |F and D| = (|F| + |D| - |F xor D|) / 2 */
    const rmask_boundaries f = {fixed.fixed, fixed.num_fixed, NULL, 0}, d = {NULL, 0, sliding.sliding, sliding.num_sliding};
    const rmask_boundaries both = {f.fixed, f.num_fixed, d.sliding, d.num_sliding};
    return (rmask_strip_count(f, pair->row_begin, pair->row_end, pair->cols) +
            rmask_strip_count(d, pair->row_begin, pair->row_end, pair->cols) -
            rmask_strip_count(both, pair->row_begin, pair->row_end, pair->cols)) /
           2;
}

/* Appends the cells of fixed [u, u_end) and sliding [w, w_end). */
static void put_crossing(const rows_pair *pair, int64_t u, int64_t u_end, int64_t w, int64_t w_end)
{
    const int64_t row_begin = u - w_end + 1 > pair->row_begin ? u - w_end + 1 : pair->row_begin;
    const int64_t row_end = u_end - w < pair->row_end ? u_end - w : pair->row_end;
    for (int64_t row = row_begin; row < row_end; row++) {
        const int64_t begin = w + row > u ? w + row : u, end = w_end + row < u_end ? w_end + row : u_end;
        for (int64_t col = begin; col < end; col++) rmask_vec_put(pair->crossings, (uint64_t)row << 32 | (uint64_t)col);
    }
}

static void put_crossings(const rows_pair *pair, rmask_boundaries fixed, rmask_boundaries sliding)
{
    for (size_t j = 0; j < sliding.num_sliding; j += 2) {
        const int64_t w = sliding.sliding[j];
        const int64_t w_end = j + 1 < sliding.num_sliding ? sliding.sliding[j + 1] : pair->cols; /* beyond any column */
        /* Intervals that end left of where this one begins are no concern of it; those that begin right of its end neither. */
        size_t i = rmask_upper_bound(fixed.fixed, fixed.num_fixed, w + pair->row_begin) / 2 * 2;
        for (; i < fixed.num_fixed && fixed.fixed[i] < w_end + pair->row_end; i += 2)
            put_crossing(pair, fixed.fixed[i], i + 1 < fixed.num_fixed ? fixed.fixed[i + 1] : pair->cols, w, w_end);
    }
}

/* Sorts the cells from `begin` on; cells that are there twice belong to both products and cancel. */
static rmask_status sort_crossings(const rows_pair *pair, size_t begin)
{
    uint64_t *cells = pair->crossings->at;
    if (!rmask_sort_u64(allocator_of(pair), cells + begin, pair->crossings->len - begin)) return RMASK_ERR_NOMEM;
    size_t len = begin;
    for (size_t i = begin; i < pair->crossings->len; i++) {
        if (len > begin && cells[len - 1] == cells[i])
            len--;
        else
            cells[len++] = cells[i];
    }
    pair->crossings->len = len;
    return RMASK_OK;
}

/* ---------------------------------------------------------------- functions that stand for another */

/* How many cells of these rows have each pair of memberships: entry 2 * a + b. */
static rmask_status count_memberships(rows_pair *pair, int32_t row_begin, int32_t row_end, uint64_t counts[4])
{
    if (!reserve_lists(pair)) return RMASK_ERR_NOMEM;
    const rmask_boundaries *a = &pair->a, *b = &pair->b;
    const rmask_boundaries either = {
        pair->fixed.at, rmask_toggle_lists(pair->fixed.at, a->fixed, a->num_fixed, b->fixed, b->num_fixed, 0),
        pair->sliding.at, rmask_toggle_lists(pair->sliding.at, a->sliding, a->num_sliding, b->sliding, b->num_sliding, 0)};
    const uint64_t in_a = rmask_strip_count(*a, row_begin, row_end, pair->cols);
    const uint64_t in_b = rmask_strip_count(*b, row_begin, row_end, pair->cols);
    const uint64_t in_one = rmask_strip_count(either, row_begin, row_end, pair->cols);
    counts[3] = (in_a + in_b - in_one) / 2;
    counts[2] = in_a - counts[3];
    counts[1] = in_b - counts[3];
    counts[0] = (uint64_t)(row_end - row_begin) * (uint64_t)pair->cols - in_one - counts[3];
    return RMASK_OK;
}

/* How many of them are of the kinds in `wrong`, a truth table. */
static uint64_t count_wrong(const uint64_t memberships[4], unsigned wrong)
{
    uint64_t cells = 0;
    for (unsigned i = 0; i < 4; i++) cells += wrong >> i & 1 ? memberships[i] : 0;
    return cells;
}

/* Appends, of the columns [begin, end) of a row, those whose membership is wanted: bit 0 for false, bit 1 for true. There is room. */
static void put_members(const rows_pair *pair, int32_t row, int32_t begin, int32_t end, rmask_flips *flips, unsigned wanted)
{
    bool inside;
    int32_t stop;
    if (wanted == 0) return;
    if (begin > flips->at) rmask_flips_seek(flips, begin);
    while (rmask_next_segment(flips, end, &begin, &stop, &inside))
        for (int32_t col = begin; col < stop && (wanted >> inside & 1); col++)
            rmask_vec_put(pair->crossings, (uint64_t)row << 32 | (uint32_t)col);
}

/* Appends the cells of a row where `wrong` holds. */
static void put_wrong_row(const rows_pair *pair, int32_t row, unsigned wrong)
{
    rmask_flips a = rmask_flips_of(pair->a, row), b = rmask_flips_of(pair->b, row);
    int32_t begin, end;
    bool inside;
    while (rmask_next_segment(&a, pair->cols, &begin, &end, &inside))
        put_members(pair, row, begin, end, &b, wrong >> (2 * inside) & 3);
}

/* Rows for each cell that are looked at one by one. More are halved: arithmetic finds the halves without a cell. */
enum { ROWS_A_CELL = 16 };

/* Appends the `num_cells` cells of some rows where `wrong` holds. There is room. */
static rmask_status put_wrong_rows(rows_pair *pair, int32_t row_begin, int32_t row_end, unsigned wrong, uint64_t num_cells)
{
    if (num_cells == 0) return RMASK_OK;
    if ((uint64_t)(row_end - row_begin) <= ROWS_A_CELL * num_cells) {
        if (rmask_suits_bits(pair->a, pair->b, pair->cols))
            return rmask_put_cells_of_strips(pair->a, pair->b, row_begin, row_end, pair->cols, wrong, allocator_of(pair),
                                             pair->crossings);
        for (int32_t row = row_begin; row < row_end; row++) put_wrong_row(pair, row, wrong);
        return RMASK_OK;
    }
    const int32_t middle = row_begin + (row_end - row_begin) / 2;
    uint64_t memberships[4];
    RMASK_TRY(count_memberships(pair, row_begin, middle, memberships));
    const uint64_t above = count_wrong(memberships, wrong);
    RMASK_TRY(put_wrong_rows(pair, row_begin, middle, wrong, above));
    return put_wrong_rows(pair, middle, row_end, wrong, num_cells - above);
}

/* The strips of a function without a product, and the `num_cells` cells where it is wrong. */
static rmask_status put_stand_in(rows_pair *pair, unsigned stand_in, uint64_t num_cells, int64_t balance)
{
    const unsigned function = pair->function;
    if (!rmask_vec_reserve(allocator_of(pair), pair->crossings, num_cells)) return RMASK_ERR_NOMEM;
    RMASK_TRY(put_wrong_rows(pair, pair->row_begin, pair->row_end, function ^ stand_in, num_cells));
    pair->balance += balance;
    pair->function = stand_in;
    const rmask_status status = put_uncut_rows(pair);
    pair->function = function;
    return status;
}

/* ---------------------------------------------------------------- choosing */

/* Bytes of a strip whose lists share most of their entries with its neighbours'. */
enum { STRIP_BYTES = sizeof(rmask_strip) + 2 * sizeof(int32_t) };

/* Strips that cost so little in all and for a row, whatever their lists share, that no other way is looked for. */
enum { FEW_BYTES = 512, FEW_BYTES_A_ROW = 16 };

static bool has_product(unsigned function) { return (function ^ function >> 1 ^ function >> 2 ^ function >> 3) & 1; }

static uint64_t list_bytes(rmask_boundaries strip) { return (strip.num_fixed + strip.num_sliding) * sizeof(int32_t); }

/* More cells than this are not worth their list, which takes 8 bytes a cell for the time being. */
enum { MANY_CELLS = 1 << 26 };

static uint64_t exception_bytes(const rows_pair *pair, uint64_t cells)
{
    if (cells > MANY_CELLS) return sizeof(uint64_t) * cells;
    const uint64_t rows = (uint64_t)(pair->row_end - pair->row_begin), bitset_bytes = rows * (((uint64_t)pair->cols + 15) / 16 * 2);
    return (2 * cells < bitset_bytes ? 2 * cells : bitset_bytes) + (2 * cells < rows ? 8 * cells : 4 * rows);
}

/* The lists of a function without a product: those of one mask may be in the draft already, those of both are new. */
static uint64_t stand_in_bytes(const rows_pair *pair, unsigned stand_in)
{
    const bool needs_a = ((stand_in >> 2) ^ stand_in) & 1, needs_b = ((stand_in >> 1) ^ stand_in) & 1;
    const uint64_t bytes_a = pair->a_goes_on && !needs_b ? 0 : list_bytes(pair->a);
    const uint64_t bytes_b = pair->b_goes_on && !needs_a ? 0 : list_bytes(pair->b);
    return (needs_a ? bytes_a : 0) + (needs_b ? bytes_b : 0);
}

/* A way to put the strips of these rows. */
typedef struct way {
    unsigned stand_in; /* CROSSINGS for the crossings */
    uint64_t cells, bytes;
    int64_t balance; /* cells of the function minus those of the stand-in; with CROSSINGS minus nothing */
} way;

enum { CROSSINGS = 16 };

/* The cheapest way without cuts. */
static rmask_status find_way(rows_pair *pair, way *best)
{
    uint64_t memberships[4];
    RMASK_TRY(count_memberships(pair, pair->row_begin, pair->row_end, memberships));
    const uint64_t members = count_wrong(memberships, pair->function);
    *best = (way){.bytes = UINT64_MAX};
    for (unsigned stand_in = 0; stand_in < 16; stand_in++) {
        if (has_product(stand_in)) continue;
        const uint64_t cells = count_wrong(memberships, pair->function ^ stand_in);
        const uint64_t bytes = exception_bytes(pair, cells) + stand_in_bytes(pair, stand_in);
        const int64_t balance = (int64_t)(members - count_wrong(memberships, stand_in));
        if (bytes < best->bytes) *best = (way){stand_in, cells, bytes, balance};
    }
    const uint64_t bytes_both = list_bytes(pair->a) + list_bytes(pair->b);
    if (has_product(pair->function) && bytes_both <= best->bytes) {
        const uint64_t cells = count_crossings(pair, pair->a, pair->b) + count_crossings(pair, pair->b, pair->a);
        const uint64_t bytes = exception_bytes(pair, cells) + bytes_both;
        if (bytes <= best->bytes) *best = (way){CROSSINGS, cells, bytes, (int64_t)members};
    }
    return RMASK_OK;
}

/* The strips without the crossings, and those; `members` is the number of cells that the rows have with them. */
static rmask_status put_crossed_rows(rows_pair *pair, uint64_t num_cells, int64_t members)
{
    const size_t begin = pair->crossings->len;
    if (!rmask_vec_reserve(allocator_of(pair), pair->crossings, num_cells)) return RMASK_ERR_NOMEM;
    put_crossings(pair, pair->a, pair->b);
    put_crossings(pair, pair->b, pair->a);
    RMASK_TRY(sort_crossings(pair, begin));
    RMASK_TRY(put_uncut_rows(pair));
    const rmask_boundaries uncut = {pair->fixed.at, pair->fixed.len, pair->sliding.at, pair->sliding.len};
    pair->balance += members - (int64_t)rmask_strip_count(uncut, pair->row_begin, pair->row_end, pair->cols);
    return RMASK_OK;
}

static rmask_status combine_rows(rows_pair *pair)
{
    bool done;
    const bool product = has_product(pair->function);
    const uint64_t rows = (uint64_t)(pair->row_end - pair->row_begin);
    const uint64_t cut_bytes = sizeof(rmask_strip) + list_bytes(pair->a) + list_bytes(pair->b);
    const uint64_t few_bytes = rows < FEW_BYTES / FEW_BYTES_A_ROW ? rows * FEW_BYTES_A_ROW : FEW_BYTES;
    if (cut_bytes <= few_bytes) {
        const uint64_t most = few_bytes / cut_bytes - 1, num_cuts = product ? count_cuts(pair, most) : 0;
        if (num_cuts <= most) return product ? cut_rows(pair, num_cuts, UINT64_MAX, &done) : put_uncut_rows(pair);
    }

    way best;
    RMASK_TRY(find_way(pair, &best));
    const uint64_t most_cuts = best.bytes / STRIP_BYTES, num_cuts = product ? count_cuts(pair, most_cuts) : 0;
    if (product && num_cuts <= most_cuts) {
        RMASK_TRY(try_cuts(pair, num_cuts, sizeof(rmask_strip) + best.bytes, &done));
        if (done) return RMASK_OK;
    }
    return best.stand_in == CROSSINGS ? put_crossed_rows(pair, best.cells, best.balance)
                                      : put_stand_in(pair, best.stand_in, best.cells, best.balance);
}

rmask_status rmask_combine_strips(rmask_draft *draft, const rmask *a, const rmask *b, unsigned function, rmask_u64_vec *crossings,
                                  int64_t *balance)
{
    rows_pair pair = {.draft = draft, .function = function, .cols = a->cols, .crossings = crossings};
    const rmask_strip *strip_a = a->strips, *strip_b = b->strips;
    rmask_status status = RMASK_OK;
    for (int32_t row = 0; row < a->rows && !status; row = pair.row_end) {
        const int32_t end_a = rmask_strip_end(a, strip_a), end_b = rmask_strip_end(b, strip_b);
        pair.a = rmask_boundaries_of(a, strip_a);
        pair.b = rmask_boundaries_of(b, strip_b);
        pair.row_begin = row;
        pair.row_end = end_a < end_b ? end_a : end_b;
        pair.a_goes_on = strip_a->row_begin < (uint32_t)row;
        pair.b_goes_on = strip_b->row_begin < (uint32_t)row;
        status = combine_rows(&pair);
        strip_a += end_a == pair.row_end;
        strip_b += end_b == pair.row_end;
    }
    *balance = pair.balance;
    rmask_vec_free(&draft->allocator, &pair.fixed);
    rmask_vec_free(&draft->allocator, &pair.sliding);
    rmask_vec_free(&draft->allocator, &pair.cuts);
    return status;
}
