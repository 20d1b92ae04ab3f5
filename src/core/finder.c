/* SPDX-License-Identifier: Apache-2.0
 * Finding strips in a mask that comes as rows. */
#include "core/finder.h"

#include "core/inversion.h"
#include "core/status.h"

#include <string.h>

/* A search in vain may take a fraction of the time that goes into reading. Reading earns credit by flips and rows; a flip costs the
 * search, which merges lists, so many times what it costs to read. A search that finds something pays for itself. */
enum { WORK_PRICE = 128, ROW_CREDIT = 1024, FIRST_CREDIT = 1 << 23 };

static const rmask_allocator *allocator_of(const rmask_finder *f) { return &f->draft.allocator; }

static rmask_ring_row *slot(rmask_finder *f, int32_t row) { return &f->ring[row % RMASK_RING_ROWS]; }

static rmask_found_strip *current(rmask_finder *f) { return &f->strips[f->num_strips - 1]; }

static rmask_boundaries boundaries_of(const rmask_found_strip *strip)
{
    return (rmask_boundaries){strip->fixed.at, strip->fixed.len, strip->sliding.at, strip->sliding.len};
}

static rmask_status copy_list(rmask_finder *f, rmask_int32_vec *to, const int32_t *list, size_t n)
{
    to->len = 0;
    if (!rmask_vec_reserve(allocator_of(f), to, n + 1)) return RMASK_ERR_NOMEM;
    if (n) memcpy(to->at, list, n * sizeof *list);
    to->len = n;
    return RMASK_OK;
}

/* ---------------------------------------------------------------- what a strip explains */

/* The flips of a row of a strip, in [0, cols). */
static rmask_status explain(rmask_finder *f, rmask_int32_vec *out, rmask_boundaries strip, int32_t row)
{
    out->len = 0;
    if (!rmask_vec_reserve(allocator_of(f), out, strip.num_fixed + strip.num_sliding + 1)) return RMASK_ERR_NOMEM;
    out->len = rmask_strip_flips(out->at, strip, row, f->draft.cols);
    return RMASK_OK;
}

/* out = a ^ b as sets of flips. `out` has room for both. Long common stretches, and a short list against a long one, are the rule. */
static size_t toggle(int32_t *out, const int32_t *a, size_t num_a, const int32_t *b, size_t num_b)
{
    size_t len = 0, i = 0;
    if (num_b > num_a) {
        const int32_t *const list = a;
        const size_t n = num_a;
        a = b, num_a = num_b, b = list, num_b = n;
    }
    if (num_b * 8 > num_a) return rmask_toggle_lists(out, a, num_a, b, num_b, 0);
    for (size_t j = 0; j < num_b; j++) {
        const size_t stop = i + rmask_upper_bound(a + i, num_a - i, b[j]);
        const bool common = stop > i && a[stop - 1] == b[j];
        const size_t n = stop - i - common;
        if (n) memcpy(out + len, a + i, n * sizeof *out);
        len += n;
        if (!common) out[len++] = b[j];
        i = stop;
    }
    if (num_a > i) memcpy(out + len, a + i, (num_a - i) * sizeof *out);
    return len + num_a - i;
}

/* f->toggled = flips of a ring row, with fixed and sliding boundaries toggled; positions are those of row `at`. */
static rmask_status toggle_row(rmask_finder *f, int32_t row, const rmask_int32_vec *fixed, const rmask_int32_vec *sliding, int32_t at)
{
    const rmask_int32_vec *flips = &slot(f, row)->flips;
    const size_t room = flips->len + fixed->len + sliding->len + 1;
    f->row.len = f->toggled.len = 0;
    if (!rmask_vec_reserve(allocator_of(f), &f->row, room) || !rmask_vec_reserve(allocator_of(f), &f->toggled, room))
        return RMASK_ERR_NOMEM;
    /* Sliding boundaries are kept as columns of row `at`; a row above has them further left. Left of column 0 they all stand at 0. */
    int32_t *const shifted = f->toggled.at;
    size_t n = 0, odd = 0;
    for (size_t i = 0; i < sliding->len; i++) {
        const int32_t col = sliding->at[i] - (at - row);
        if (col <= 0)
            odd++;
        else
            shifted[++n] = col;
    }
    shifted[0] = 0;
    const size_t num_shifted = odd % 2 ? n + 1 : n;
    f->row.len = toggle(f->row.at, flips->at, flips->len, odd % 2 ? shifted : shifted + 1, num_shifted);
    f->toggled.len = toggle(f->toggled.at, f->row.at, f->row.len, fixed->at, fixed->len);
    return RMASK_OK;
}

/* ---------------------------------------------------------------- costs, in bytes */

static uint64_t num_cells(const rmask_finder *f, const int32_t *flips, size_t n)
{
    uint64_t cells = n % 2 ? (uint64_t)(f->draft.cols - flips[n - 1]) : 0;
    for (size_t i = 0; i + 1 < n; i += 2) cells += (uint32_t)(flips[i + 1] - flips[i]);
    return cells;
}

/* A row as exceptions, its place in the directory included. */
static uint64_t row_cost(const rmask_finder *f, uint64_t cells)
{
    if (cells == 0) return 0;
    const uint64_t array_bytes = 2 * cells, bitset_bytes = ((uint64_t)f->draft.cols + 15) / 16 * 2;
    return sizeof(uint32_t) + (array_bytes < bitset_bytes ? array_bytes : bitset_bytes);
}

/* A new list next to the old one: nothing where one is the beginning of the other but for what is new, else all of it. */
static uint64_t list_cost(const rmask_int32_vec *old, const rmask_int32_vec *new)
{
    const size_t common = old->len < new->len ? old->len : new->len;
    if (common && memcmp(old->at, new->at, common * sizeof *old->at) != 0) return new->len * sizeof *new->at;
    return (new->len - common) * sizeof *new->at;
}

/* ---------------------------------------------------------------- rows that leave the ring */

/* The oldest row as a strip of its own, when that is smaller than its exceptions. */
static rmask_status try_single_row(rmask_finder *f, int32_t row, const rmask_ring_row *left, bool *done)
{
    const rmask_found_strip *strip = &f->strips[0];
    const uint64_t lists = 2 * strip->fixed.len + left->flips.len;
    *done = row_cost(f, left->num_cells) > 2 * sizeof(rmask_strip) + lists * sizeof(int32_t);
    if (!*done) return RMASK_OK;
    f->row.len = 0;
    if (!rmask_vec_reserve(allocator_of(f), &f->row, strip->fixed.len + left->flips.len)) return RMASK_ERR_NOMEM;
    f->row.len = toggle(f->row.at, strip->fixed.at, strip->fixed.len, left->flips.at, left->flips.len);
    f->resume = true;
    return rmask_draft_strip(&f->draft, row, (rmask_boundaries){f->row.at, f->row.len, strip->sliding.at, strip->sliding.len});
}

static rmask_status leave_ring(rmask_finder *f)
{
    const int32_t row = f->ring_begin++;
    const rmask_ring_row *left = slot(f, row);
    const bool begins = f->num_strips > 1 && f->strips[1].row_begin == row;
    if (begins) {
        const rmask_found_strip finished = f->strips[0];
        f->num_strips--;
        memmove(f->strips, f->strips + 1, f->num_strips * sizeof f->strips[0]);
        f->strips[f->num_strips] = finished; /* its memory serves the next strip */
    }
    f->ring_flips -= left->flips.len;
    bool done = false;
    if (left->flips.len) RMASK_TRY(try_single_row(f, row, left, &done));
    if (done) return RMASK_OK;
    if (begins || f->resume || row == f->strips[0].row_begin)
        RMASK_TRY(rmask_draft_strip(&f->draft, row, boundaries_of(&f->strips[0])));
    f->resume = false;
    return left->flips.len ? rmask_draft_flips(&f->draft, row, left->flips.at, left->flips.len, left->cols, left->num_cells) : RMASK_OK;
}

/* ---------------------------------------------------------------- the search */

/* Keeps of ascending candidates those that a row has, too, columns shifted by `shift`. `flips` are the row's run begins or its run
 * ends: every second flip. */
static void keep_common(rmask_int32_vec *candidates, const int32_t *flips, size_t num_flips, int32_t shift)
{
    int32_t *list = candidates->at;
    size_t len = 0;
    for (size_t i = 0, j = 0; i < candidates->len && j < num_flips;) {
        const int32_t x = list[i], y = flips[j] + shift;
        list[len] = x;
        len += x == y;
        i += x <= y;
        j += y <= x ? 2 : 0;
    }
    candidates->len = len;
}

/* The flips of the last row, apart by what they may be: 2 * (0 for fixed, 1 for sliding) + (0 for a run's begin, 1 for its end). A
 * boundary that begins a run in one row does not end one in the next. */
static rmask_status list_candidates(rmask_finder *f, const rmask_int32_vec *flips)
{
    for (size_t kind = 0; kind < 4; kind++) {
        rmask_int32_vec *list = &f->candidates[kind];
        list->len = 0;
        if (!rmask_vec_reserve(allocator_of(f), list, flips->len / 2 + 1)) return RMASK_ERR_NOMEM;
        for (size_t i = kind % 2; i < flips->len; i += 2) rmask_vec_put(list, flips->at[i]);
    }
    return RMASK_OK;
}

/* Keeps the candidates that row `row` has; returns how many are left. */
static size_t narrow_candidates(rmask_finder *f, int32_t row, int32_t last, uint64_t *work)
{
    const rmask_int32_vec *flips = &slot(f, row)->flips;
    size_t left = 0;
    for (size_t kind = 0; kind < 4; kind++) {
        rmask_int32_vec *list = &f->candidates[kind];
        *work += list->len ? flips->len / 2 + list->len : 0;
        if (flips->len > kind % 2)
            keep_common(list, flips->at + kind % 2, flips->len - kind % 2, kind < 2 ? 0 : last - row);
        else
            list->len = 0;
        left += list->len;
    }
    return left;
}

/* f->fixed and f->sliding = the candidates. */
static rmask_status merge_candidates(rmask_finder *f)
{
    const rmask_int32_vec *list = f->candidates;
    f->fixed.len = f->sliding.len = 0;
    if (!rmask_vec_reserve(allocator_of(f), &f->fixed, list[0].len + list[1].len) ||
        !rmask_vec_reserve(allocator_of(f), &f->sliding, list[2].len + list[3].len))
        return RMASK_ERR_NOMEM;
    f->fixed.len = toggle(f->fixed.at, list[0].at, list[0].len, list[1].at, list[1].len);
    f->sliding.len = toggle(f->sliding.at, list[2].at, list[2].len, list[3].at, list[3].len);
    return RMASK_OK;
}

/* Whether the toggled boundaries are most of the last row's many flips: no coincidence comes to that. */
static bool are_most(const rmask_finder *f, int32_t last)
{
    const size_t num_flips = f->ring[last % RMASK_RING_ROWS].flips.len;
    return num_flips >= 16 && f->fixed.len + f->sliding.len >= num_flips * 3 / 5;
}

/* How many rows the toggled boundaries are expected to last in all, when the last `num_rows` rows have them: as long again when they
 * have lasted long, longer when they reach out of the ring or are most of a row's flips. */
static int64_t expected_rows(const rmask_finder *f, int32_t last, int32_t num_rows)
{
    int64_t times = num_rows >= RMASK_RING_ROWS - 1 ? 8 : num_rows >= 16 ? 2 : 1;
    if (are_most(f, last)) times = num_rows >= 4 ? 8 : 2;
    const int64_t most = (int64_t)f->draft.rows - last - 1 + num_rows;
    return times * num_rows < most ? times * num_rows : most;
}

/* Whether toggling f->fixed and f->sliding can be worth it at all. What they leave of the last row is at least as many cells as half the
 * flips, and the rows above are taken to be like it. */
static bool is_promising(const rmask_finder *f, int32_t last, int32_t num_rows)
{
    const rmask_ring_row *left = &f->ring[last % RMASK_RING_ROWS];
    const size_t num_toggled = f->fixed.len + f->sliding.len, num_flips = left->flips.len;
    const uint64_t cost = row_cost(f, left->num_cells);
    const uint64_t least = num_flips > num_toggled ? row_cost(f, (num_flips - num_toggled) / 2) : 0;
    return cost > least && (cost - least) * (uint64_t)expected_rows(f, last, num_rows) > num_toggled * sizeof(int32_t);
}

/* What it costs to go on with f->new_fixed and f->new_sliding from `row_begin` on. */
static uint64_t strip_cost(const rmask_finder *f, int32_t row_begin)
{
    const rmask_found_strip *strip = &f->strips[f->num_strips - 1];
    const size_t old_len = strip->fixed.len + strip->sliding.len, new_len = f->new_fixed.len + f->new_sliding.len;
    const rmask_boundaries new = {f->new_fixed.at, f->new_fixed.len, f->new_sliding.at, f->new_sliding.len};
    /* Where the new lists serve the rows before as well, the old ones will be dropped. */
    if (row_begin == strip->row_begin ||
        rmask_strips_agree(boundaries_of(strip), new, strip->row_begin, row_begin, f->draft.cols))
        return new_len > old_len ? (new_len - old_len) * sizeof(int32_t) : 0;
    /* Twice, as what comes may go: the way back is another strip. */
    return 2 * (sizeof(rmask_strip) + list_cost(&strip->fixed, &f->new_fixed) + list_cost(&strip->sliding, &f->new_sliding));
}

/* What it gains, in bytes, to toggle f->fixed and f->sliding (columns of row `last`) from `row_begin` on. */
static rmask_status judge(rmask_finder *f, int32_t row_begin, int32_t last, int64_t *gain, uint64_t *work)
{
    const rmask_found_strip *strip = current(f);
    int64_t saved = 0;
    for (int32_t row = row_begin; row <= last; row++) {
        const rmask_ring_row *left = slot(f, row);
        RMASK_TRY(toggle_row(f, row, &f->fixed, &f->sliding, last));
        const uint64_t toggled_cells = num_cells(f, f->toggled.at, f->toggled.len);
        saved += (int64_t)row_cost(f, left->num_cells) - (int64_t)row_cost(f, toggled_cells);
        *work += left->flips.len + f->toggled.len;
    }
    *gain = saved;
    if (saved <= 0) return RMASK_OK;
    saved = saved * expected_rows(f, last, last - row_begin + 1) / (last - row_begin + 1);

    f->new_fixed.len = f->new_sliding.len = 0;
    if (!rmask_vec_reserve(allocator_of(f), &f->new_fixed, strip->fixed.len + f->fixed.len) ||
        !rmask_vec_reserve(allocator_of(f), &f->new_sliding, strip->sliding.len + f->sliding.len))
        return RMASK_ERR_NOMEM;
    f->new_fixed.len = toggle(f->new_fixed.at, strip->fixed.at, strip->fixed.len, f->fixed.at, f->fixed.len);
    int32_t *shifted = f->sliding.at;
    for (size_t i = 0; i < f->sliding.len; i++) shifted[i] -= last;
    f->new_sliding.len = toggle(f->new_sliding.at, strip->sliding.at, strip->sliding.len, shifted, f->sliding.len);
    for (size_t i = 0; i < f->sliding.len; i++) shifted[i] += last;
    *work += f->new_fixed.len + f->new_sliding.len;
    *gain = saved - (int64_t)strip_cost(f, row_begin);
    return RMASK_OK;
}

/* What a row costs more with the best boundaries toggled. */
static rmask_status toggled_cost(rmask_finder *f, int32_t row, int32_t last, int64_t *more)
{
    RMASK_TRY(toggle_row(f, row, &f->best_fixed, &f->best_sliding, last));
    const uint64_t toggled_cells = num_cells(f, f->toggled.at, f->toggled.len);
    *more = (int64_t)row_cost(f, toggled_cells) - (int64_t)row_cost(f, slot(f, row)->num_cells);
    return RMASK_OK;
}

/* Moves the beginning up: as long as rows get cheaper, and to the current strip's own beginning where that makes another strip
 * unnecessary for fewer bytes of exceptions than it would cost. */
static rmask_status find_beginning(rmask_finder *f, int32_t last, int32_t *row_begin)
{
    const int32_t strip_begin = current(f)->row_begin, first = f->ring_begin > strip_begin ? f->ring_begin : strip_begin;
    int64_t more = -1, sum = 0;
    int32_t row = *row_begin;
    for (; row > first && more < 0; row--) {
        RMASK_TRY(toggled_cost(f, row - 1, last, &more));
        if (more < 0) *row_begin = row - 1;
    }
    const rmask_found_strip *strip = current(f);
    const int64_t strip_bytes = (int64_t)(sizeof(rmask_strip) + (strip->fixed.len + strip->sliding.len) * sizeof(int32_t));
    for (row = *row_begin; row > strip_begin && first == strip_begin && sum < strip_bytes; row--) {
        RMASK_TRY(toggled_cost(f, row - 1, last, &more));
        sum += more;
    }
    if (row == strip_begin && sum < strip_bytes) *row_begin = strip_begin;
    return RMASK_OK;
}

/* Starts a strip at `row_begin` or above that has the best boundaries toggled, or changes the current one when that begins there. */
static rmask_status accept(rmask_finder *f, int32_t row_begin, int32_t last)
{
    RMASK_TRY(find_beginning(f, last, &row_begin));
    for (int32_t row = row_begin; row <= last; row++) {
        rmask_ring_row *left = slot(f, row);
        RMASK_TRY(toggle_row(f, row, &f->best_fixed, &f->best_sliding, last));
        f->ring_flips += f->toggled.len - left->flips.len;
        left->num_cells = num_cells(f, f->toggled.at, f->toggled.len);
        left->cols = NULL;
        RMASK_TRY(copy_list(f, &left->flips, f->toggled.at, f->toggled.len));
    }
    for (size_t i = 0; i < f->best_sliding.len; i++) f->best_sliding.at[i] -= last;
    const rmask_found_strip *from = current(f);
    rmask_found_strip *to = row_begin == from->row_begin ? current(f) : &f->strips[f->num_strips++];
    f->new_fixed.len = f->new_sliding.len = 0;
    if (!rmask_vec_reserve(allocator_of(f), &f->new_fixed, from->fixed.len + f->best_fixed.len) ||
        !rmask_vec_reserve(allocator_of(f), &f->new_sliding, from->sliding.len + f->best_sliding.len))
        return RMASK_ERR_NOMEM;
    f->new_fixed.len = toggle(f->new_fixed.at, from->fixed.at, from->fixed.len, f->best_fixed.at, f->best_fixed.len);
    f->new_sliding.len = toggle(f->new_sliding.at, from->sliding.at, from->sliding.len, f->best_sliding.at, f->best_sliding.len);
    RMASK_TRY(copy_list(f, &to->fixed, f->new_fixed.at, f->new_fixed.len));
    RMASK_TRY(copy_list(f, &to->sliding, f->new_sliding.at, f->new_sliding.len));
    to->row_begin = row_begin;
    return RMASK_OK;
}

/* What to toggle, from which row on, and what it gains. */
typedef struct proposal {
    int64_t gain;
    int32_t row_begin;
} proposal;

/* Keeps what f->fixed and f->sliding propose when it is better than the best so far. */
static rmask_status consider(rmask_finder *f, int32_t row_begin, int32_t last, proposal *best, uint64_t *work)
{
    int64_t gain;
    RMASK_TRY(judge(f, row_begin, last, &gain, work));
    if (gain <= best->gain) return RMASK_OK;
    *best = (proposal){gain, row_begin};
    RMASK_TRY(copy_list(f, &f->best_fixed, f->fixed.at, f->fixed.len));
    return copy_list(f, &f->best_sliding, f->sliding.at, f->sliding.len);
}

/* Adds the last row's other flips to the kind that most are of. Where most flips are structure, so are nearly all, and one that noise hides
 * in some row would leave everything up to the next such one wrong. */
static rmask_status complete_candidates(rmask_finder *f, int32_t last)
{
    const rmask_int32_vec *flips = &slot(f, last)->flips;
    rmask_int32_vec *most = f->fixed.len > f->sliding.len ? &f->fixed : &f->sliding;
    const rmask_int32_vec *rest = most == &f->fixed ? &f->sliding : &f->fixed;
    RMASK_TRY(copy_list(f, &f->row, flips->at, flips->len));
    if (!rmask_vec_reserve(allocator_of(f), most, flips->len + rest->len)) return RMASK_ERR_NOMEM;
    most->len = toggle(most->at, f->row.at, f->row.len, rest->at, rest->len);
    return RMASK_OK;
}

/* Follows the unexplained flips of the last row upwards and toggles those that are worth it. The longer they are followed, the fewer
 * are left and the surer they are; every doubling of the rows is judged. */
static rmask_status search(rmask_finder *f)
{
    const int32_t last = f->next_row - 1;
    const rmask_int32_vec *flips = &slot(f, last)->flips;
    const int32_t first = f->ring_begin > current(f)->row_begin ? f->ring_begin : current(f)->row_begin;
    uint64_t work = flips->len;
    proposal best = {0, last};
    RMASK_TRY(list_candidates(f, flips));
    for (int32_t row = last - 1; row >= first; row--) {
        const int32_t distance = last - row;
        if (narrow_candidates(f, row, last, &work) == 0) break;
        if ((distance & (distance + 1)) != 0 && row > first) continue;
        RMASK_TRY(merge_candidates(f));
        if (!is_promising(f, last, distance + 1)) continue;
        RMASK_TRY(consider(f, row, last, &best, &work));
        if (!are_most(f, last)) continue;
        RMASK_TRY(complete_candidates(f, last));
        RMASK_TRY(consider(f, row, last, &best, &work));
    }
    if (best.gain > 0) return accept(f, best.row_begin, last);
    work *= WORK_PRICE;
    f->credit = f->credit > work ? f->credit - work : 0;
    return RMASK_OK;
}

/* ---------------------------------------------------------------- rows that come */

static rmask_status flush_ring(rmask_finder *f)
{
    while (f->ring_begin < f->next_row) RMASK_TRY(leave_ring(f));
    return RMASK_OK;
}

/* What the current strip leaves of a row. */
static rmask_status take_left(rmask_finder *f, rmask_ring_row *left, int32_t row, const rmask_finder_input *input)
{
    rmask_int32_vec *flips = input->flips;
    RMASK_TRY(explain(f, &f->row, boundaries_of(current(f)), row));
    left->cols = NULL;
    left->flips.len = left->num_cells = 0;
    if (f->row.len == 0) {
        const rmask_int32_vec kept = left->flips;
        left->flips = *flips;
        *flips = kept;
        left->cols = input->cols;
        left->num_cells = input->cols ? input->num_cols : num_cells(f, left->flips.at, left->flips.len);
    } else if (f->row.len != flips->len || memcmp(f->row.at, flips->at, flips->len * sizeof *flips->at) != 0) {
        if (!rmask_vec_reserve(allocator_of(f), &left->flips, flips->len + f->row.len)) return RMASK_ERR_NOMEM;
        left->flips.len = toggle(left->flips.at, flips->at, flips->len, f->row.at, f->row.len);
        left->num_cells = num_cells(f, left->flips.at, left->flips.len);
    }
    return RMASK_OK;
}

static rmask_status take_row(rmask_finder *f, rmask_finder_input input)
{
    if (f->next_row - f->ring_begin == RMASK_RING_ROWS) RMASK_TRY(leave_ring(f));
    while (f->ring_flips > RMASK_RING_FLIPS && f->next_row - f->ring_begin > 4) RMASK_TRY(leave_ring(f));
    const int32_t row = f->next_row;
    rmask_ring_row *left = slot(f, row);
    f->credit += input.flips->len + ROW_CREDIT;
    f->count += input.cols ? input.num_cols : num_cells(f, input.flips->at, input.flips->len);
    RMASK_TRY(take_left(f, left, row, &input));
    f->next_row++;
    f->ring_flips += left->flips.len;
    if (left->flips.len && f->credit >= WORK_PRICE * left->flips.len) return search(f);
    return RMASK_OK;
}

static rmask_status take_empty_row(rmask_finder *f)
{
    f->empty.len = 0;
    return take_row(f, (rmask_finder_input){.flips = &f->empty});
}

/* Rows without cells. Many of them become a strip without boundaries, and none of them is looked at. */
static rmask_status skip_to(rmask_finder *f, int32_t row)
{
    if (row - f->next_row <= 4 * RMASK_RING_ROWS) {
        while (f->next_row < row) RMASK_TRY(take_empty_row(f));
        return RMASK_OK;
    }
    RMASK_TRY(flush_ring(f));
    rmask_found_strip *strip = current(f);
    if (strip->fixed.len + strip->sliding.len > 0 || f->resume) {
        strip->fixed.len = strip->sliding.len = 0;
        strip->row_begin = f->next_row;
        f->resume = false;
        RMASK_TRY(rmask_draft_strip(&f->draft, f->next_row, (rmask_boundaries){0}));
    }
    f->ring_begin = f->next_row = row;
    return RMASK_OK;
}

void rmask_finder_init(rmask_finder *f, int32_t rows, int32_t cols, const rmask_allocator *allocator)
{
    memset(f, 0, sizeof *f);
    rmask_draft_init(&f->draft, rows, cols, allocator);
    f->num_strips = 1;
    f->credit = FIRST_CREDIT;
}

rmask_status rmask_finder_row(rmask_finder *f, int32_t row, rmask_finder_input input)
{
    rmask_status status = row > f->next_row ? skip_to(f, row) : RMASK_OK;
    if (!status) status = take_row(f, input);
    if (status && !f->draft.failed) f->draft.failed = status;
    return status;
}

static rmask_status take_strip(rmask_finder *f, int32_t row_begin, int32_t row_end, rmask_boundaries b)
{
    RMASK_TRY(flush_ring(f));
    rmask_found_strip *strip = current(f);
    RMASK_TRY(copy_list(f, &strip->fixed, b.fixed, b.num_fixed));
    RMASK_TRY(copy_list(f, &strip->sliding, b.sliding, b.num_sliding));
    strip->row_begin = row_begin;
    f->resume = false;
    f->count += rmask_strip_count(b, row_begin, row_end, f->draft.cols);
    f->ring_begin = f->next_row = row_end;
    return rmask_draft_strip(&f->draft, row_begin, b);
}

rmask_status rmask_finder_strip(rmask_finder *f, int32_t row_begin, int32_t row_end, rmask_boundaries boundaries)
{
    rmask_status status = row_begin > f->next_row ? skip_to(f, row_begin) : RMASK_OK;
    if (!status) status = take_strip(f, row_begin, row_end, boundaries);
    if (status && !f->draft.failed) f->draft.failed = status;
    return status;
}

rmask_status rmask_finder_finish(rmask_finder *f, rmask **out, rmask_error *error)
{
    rmask_status status = f->draft.failed;
    if (!status && f->next_row < f->draft.rows) status = skip_to(f, f->draft.rows);
    if (!status) status = flush_ring(f);
    if (!status) f->draft.exception_balance = (int64_t)(f->count - rmask_draft_count(&f->draft));
    if (status && !f->draft.failed) f->draft.failed = status;
    status = rmask_draft_finish(&f->draft, out, error);
    rmask_finder_discard(f);
    return status;
}

rmask_status rmask_finder_end(rmask_finder *f, rmask_status status, rmask **out, rmask_error *error)
{
    if (status == RMASK_OK || f->draft.failed) return rmask_finder_finish(f, out, error);
    rmask_finder_discard(f);
    return status == RMASK_ERR_NOMEM ? rmask_fail_nomem(error) : status;
}

void rmask_finder_discard(rmask_finder *f)
{
    const rmask_allocator *allocator = allocator_of(f);
    rmask_int32_vec *const lists[] = {&f->row, &f->fixed, &f->sliding, &f->toggled, &f->best_fixed, &f->best_sliding, &f->new_fixed,
                                      &f->new_sliding, &f->empty};
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) rmask_vec_free(allocator, lists[i]);
    for (size_t i = 0; i < 4; i++) rmask_vec_free(allocator, &f->candidates[i]);
    for (size_t i = 0; i < RMASK_RING_ROWS; i++) rmask_vec_free(allocator, &f->ring[i].flips);
    for (size_t i = 0; i < RMASK_RING_ROWS + 1; i++) {
        rmask_vec_free(allocator, &f->strips[i].fixed);
        rmask_vec_free(allocator, &f->strips[i].sliding);
    }
    rmask_draft_discard(&f->draft);
}
