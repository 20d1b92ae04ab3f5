/* SPDX-License-Identifier: Apache-2.0
 * Transposing: strips by the events that their boundaries become.
 *
 * A cell (r, c) of a strip is in when an odd number of its boundaries is at or left of c. Seen from the transposed row c, a fixed
 * boundary u that rows [a, b) have counts in these rows where c >= u: from row u on there are fixed boundaries a and b. A sliding
 * boundary w that rows [a, b) have counts in the rows r of them with r <= c - w: from row w + a on there are a fixed boundary a and a
 * sliding one 1 - w, and when that comes to b, in row w + b, it goes, and b comes. So wherever a list changes between two strips, at row e,
 * a boundary that comes or goes toggles boundaries in one transposed row: u toggles the fixed e in row u, w toggles the fixed e and
 * the sliding 1 - w in row w + e. At e = 0 the latter two cancel left of the grid before they are wanted, so they may be there from the start.
 *
 * A mask of ragged rows has events in every transposed row. Where the strips then cost much more than they did, the rows go to the strip
 * finder. */
#include "core/transpose.h"

#include "core/check.h"
#include "core/finder.h"
#include "core/inversion.h"
#include "core/row.h"
#include "core/sort.h"

/* ---------------------------------------------------------------- events */

/* Toggles a boundary in the rows from `row` on: row << 33 | kind << 32 | boundary. Ascending events ascend in all three. */
typedef uint64_t event;

enum event_kind { FIXED, SLIDING };

static event event_of(int64_t row, enum event_kind kind, int64_t boundary)
{
    return (uint64_t)(row > 0 ? row : 0) << 33 | (uint64_t)kind << 32 | (uint32_t)((int32_t)boundary ^ INT32_MIN);
}

static int32_t event_row(event e) { return (int32_t)(e >> 33); }
static enum event_kind event_kind(event e) { return (enum event_kind)(e >> 32 & 1); }
static int32_t event_boundary(event e) { return (int32_t)(uint32_t)e ^ INT32_MIN; }

typedef struct transposition {
    const rmask *mask;
    const rmask_allocator *allocator;
    rmask_u64_vec events;
    size_t next_event;
    rmask_int32_vec fixed, sliding, batch, made; /* the boundaries of the row that the sweep has come to */
    rmask_int32_vec flips, exceptions, row; /* a row's */
} transposition;

/* A slice of a pool. */
typedef struct slice {
    uint32_t begin, len;
} slice;

static bool append(transposition *t, const int32_t *values, size_t n)
{
    if (!rmask_vec_reserve(t->allocator, &t->made, n)) return false;
    for (size_t i = 0; i < n; i++) rmask_vec_put(&t->made, values[i]);
    return true;
}

/* t->made = what only one of two lists has. Lists that overlap in their pool are compared by their ends. */
static bool find_changes(transposition *t, const int32_t *pool, slice a, slice b)
{
    const uint32_t end_a = a.begin + a.len, end_b = b.begin + b.len;
    t->made.len = 0;
    if (a.begin < end_b && b.begin < end_a) {
        const slice first = a.begin < b.begin ? a : b;
        const uint32_t begin = a.begin < b.begin ? b.begin : a.begin, end = end_a < end_b ? end_a : end_b;
        return append(t, pool + first.begin, begin - first.begin) && append(t, pool + end, (end_a < end_b ? end_b : end_a) - end);
    }
    if (!rmask_vec_reserve(t->allocator, &t->made, (size_t)a.len + b.len)) return false;
    t->made.len = rmask_toggle_lists(t->made.at, pool + a.begin, a.len, pool + b.begin, b.len, 0);
    return true;
}

/* The events of the lists that change at row `edge`. */
static bool list_changes(transposition *t, int32_t edge, const rmask_strip *before, const rmask_strip *after)
{
    const rmask *mask = t->mask;
    if (!find_changes(t, mask->fixed, (slice){before->fixed_begin, before->num_fixed}, (slice){after->fixed_begin, after->num_fixed}) ||
        !rmask_vec_reserve(t->allocator, &t->events, t->made.len))
        return false;
    for (size_t i = 0; i < t->made.len; i++) rmask_vec_put(&t->events, event_of(t->made.at[i], FIXED, edge));
    if (!find_changes(t, mask->sliding, (slice){before->sliding_begin, before->num_sliding},
                      (slice){after->sliding_begin, after->num_sliding}) ||
        !rmask_vec_reserve(t->allocator, &t->events, 2 * t->made.len))
        return false;
    for (size_t i = 0; i < t->made.len; i++) {
        const int64_t w = t->made.at[i], row = edge ? w + edge : 0;
        if (row >= mask->cols) break;
        rmask_vec_put(&t->events, event_of(row, FIXED, edge));
        rmask_vec_put(&t->events, event_of(row, SLIDING, 1 - w));
    }
    return true;
}

static bool list_events(transposition *t)
{
    static const rmask_strip none = {0};
    const rmask *mask = t->mask;
    for (uint32_t i = 0; i < mask->num_strips; i++)
        if (!list_changes(t, (int32_t)mask->strips[i].row_begin, i ? &mask->strips[i - 1] : &none, &mask->strips[i])) return false;
    return rmask_sort_u64(t->allocator, t->events.at, t->events.len);
}

/* ---------------------------------------------------------------- sweep */

static bool toggle(transposition *t, rmask_int32_vec *list)
{
    if (t->batch.len == 0) return true;
    t->made.len = 0;
    if (!rmask_vec_reserve(t->allocator, &t->made, list->len + t->batch.len)) return false;
    t->made.len = rmask_combine_lists(t->made.at, RMASK_XOR, list->at, list->len, t->batch.at, t->batch.len);
    const rmask_int32_vec old = *list;
    *list = t->made;
    t->made = old;
    return true;
}

/* Applies the events of the next row that has some. */
static bool take_events(transposition *t, int32_t *row)
{
    const event *events = t->events.at;
    *row = event_row(events[t->next_event]);
    for (enum event_kind kind = FIXED; kind <= SLIDING; kind++) {
        t->batch.len = 0;
        for (; t->next_event < t->events.len; t->next_event++) {
            const event e = events[t->next_event];
            if (event_row(e) != *row || event_kind(e) != kind) break;
            if (!rmask_vec_push(t->allocator, &t->batch, event_boundary(e))) return false;
        }
        if (!toggle(t, kind == FIXED ? &t->fixed : &t->sliding)) return false;
    }
    return true;
}

static rmask_boundaries active(const transposition *t) { return (rmask_boundaries){t->fixed.at, t->fixed.len, t->sliding.at, t->sliding.len}; }

static void rewind_events(transposition *t) { t->next_event = t->fixed.len = t->sliding.len = 0; }

/* Puts a strip for every row with events, until they cost more than `most_bytes`; `done` says whether it came to the end. */
static rmask_status put_strips(transposition *t, rmask_draft *draft, uint64_t most_bytes, bool *done)
{
    rewind_events(t);
    *done = true;
    while (t->next_event < t->events.len) {
        int32_t row;
        if (!take_events(t, &row)) return RMASK_ERR_NOMEM;
        RMASK_TRY(rmask_draft_strip(draft, row, active(t)));
        *done = rmask_draft_strip_bytes(draft) <= most_bytes;
        if (!*done) return RMASK_OK;
    }
    return RMASK_OK;
}

static rmask_status end_draft(rmask_draft *draft, rmask_status status, rmask **out, rmask_error *error)
{
    if (status && !draft->failed) draft->failed = status;
    return rmask_draft_finish(draft, out, error);
}

/* Strips from events; exceptions by themselves. *out stays NULL where that would cost more than `most_bytes`. */
static rmask_status sweep(transposition *t, uint64_t most_bytes, rmask **out, rmask_error *error)
{
    const rmask *mask = t->mask;
    bool done = false;
    rmask_draft draft;
    rmask_draft_init(&draft, mask->cols, mask->rows, t->allocator);
    rmask_status status = put_strips(t, &draft, most_bytes, &done);
    if (!status && !done) {
        rmask_draft_discard(&draft);
        return RMASK_OK;
    }
    /* What the strips do not count, the exceptions do: there are as many cells as before. */
    if (!status) draft.exception_balance = (int64_t)(rmask_count(mask) - rmask_draft_count(&draft));
    if (!status) status = rmask_transpose_exceptions(&draft, mask);
    return end_draft(&draft, status, out, error);
}

/* ---------------------------------------------------------------- row by row */

/* t->flips = the flips of the structured part of a row. */
static rmask_status list_flips(transposition *t, int32_t row)
{
    rmask_flips flips = rmask_flips_of(active(t), row);
    int32_t begin, end;
    bool inside, before = false;
    t->flips.len = 0;
    if (!rmask_vec_reserve(t->allocator, &t->flips, t->fixed.len + t->sliding.len + 1)) return RMASK_ERR_NOMEM;
    for (; rmask_next_segment(&flips, t->mask->rows, &begin, &end, &inside); before = inside)
        if (inside != before) rmask_vec_put(&t->flips, begin);
    return RMASK_OK;
}

/* t->row = the flips of a row with its exceptions. */
static rmask_status list_row(transposition *t, const rmask *exceptions, int32_t row)
{
    RMASK_TRY(list_flips(t, row));
    t->exceptions.len = t->row.len = 0;
    RMASK_TRY(rmask_append_flips(exceptions, row, t->allocator, &t->exceptions));
    if (!rmask_vec_reserve(t->allocator, &t->row, t->flips.len + t->exceptions.len)) return RMASK_ERR_NOMEM;
    t->row.len = rmask_toggle_lists(t->row.at, t->flips.at, t->flips.len, t->exceptions.at, t->exceptions.len, 0);
    return RMASK_OK;
}

static rmask_status give_rows(transposition *t, const rmask *exceptions, rmask_finder *finder)
{
    rewind_events(t);
    for (int32_t row = 0; row < t->mask->cols; row++) {
        int32_t event_at;
        if (t->next_event < t->events.len && event_row(t->events.at[t->next_event]) == row && !take_events(t, &event_at))
            return RMASK_ERR_NOMEM;
        RMASK_TRY(list_row(t, exceptions, row));
        if (t->row.len) RMASK_TRY(rmask_finder_row(finder, row, (rmask_finder_input){.flips = &t->row}));
    }
    return RMASK_OK;
}

static rmask_status find_strips(transposition *t, rmask **out, rmask_error *error)
{
    rmask *exceptions;
    rmask_draft draft;
    rmask_draft_init(&draft, t->mask->cols, t->mask->rows, t->allocator);
    draft.exception_balance = (int64_t)t->mask->header->num_exceptions;
    RMASK_TRY(end_draft(&draft, rmask_transpose_exceptions(&draft, t->mask), &exceptions, error));
    rmask_finder *finder = rmask_allocate(t->allocator, 1, sizeof *finder);
    rmask_status status = finder ? RMASK_OK : rmask_fail_nomem(error);
    if (finder) {
        rmask_finder_init(finder, t->mask->cols, t->mask->rows, t->allocator);
        status = rmask_finder_end(finder, give_rows(t, exceptions, finder), out, error);
    }
    rmask_free(t->allocator, finder, 1, sizeof *finder);
    rmask_release(exceptions);
    return status;
}

/* ---------------------------------------------------------------- choosing */

/* Strips that cost at most so many times what they did, and a little more, are not doubted. The lists of a draft shrink at its end, so a
 * sweep may go further than that. */
enum { FEW_TIMES = 4, SOME_TIMES = 64, FEW_BYTES = 1024 };

/* Rows are looked at one by one only where so many have events. */
enum { ROWS_AN_EVENT = 16 };

static rmask_status choose(transposition *t, rmask **out, rmask_error *error)
{
    const uint64_t bytes = rmask_strip_bytes(t->mask) + FEW_BYTES;
    if (!list_events(t)) return rmask_fail_nomem(error);
    const bool many_rows = (uint64_t)t->mask->cols > ROWS_AN_EVENT * (uint64_t)t->events.len;
    RMASK_TRY(sweep(t, many_rows ? UINT64_MAX : SOME_TIMES * bytes, out, error));
    if (*out && (many_rows || rmask_strip_bytes(*out) <= FEW_TIMES * bytes)) return RMASK_OK;
    rmask *swept = *out, *found = NULL;
    *out = NULL;
    rmask_status status = find_strips(t, &found, error);
    if (!status && swept && swept->header->num_bytes <= found->header->num_bytes) {
        *out = swept;
        swept = found;
    } else {
        *out = found;
    }
    rmask_release(swept);
    return status;
}

rmask_status rmask_transpose(const rmask *mask, rmask **out, rmask_error *error)
{
    *out = NULL;
    RMASK_TRY(rmask_trust(mask, error));
    transposition t = {.mask = mask, .allocator = &mask->allocator};
    const rmask_status status = choose(&t, out, error);
    rmask_int32_vec *const lists[] = {&t.fixed, &t.sliding, &t.batch, &t.made, &t.flips, &t.exceptions, &t.row};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) rmask_vec_free(t.allocator, lists[i]);
    rmask_vec_free(t.allocator, &t.events);
    return status;
}
