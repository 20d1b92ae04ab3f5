/* SPDX-License-Identifier: Apache-2.0
 * A mask being made. Strips come in the order of their rows, exceptions in the order of theirs; the two do not wait on each
 * other. Everything that makes a mask (patterns, the strip finder, the algebra, files) ends here, so this is the one place that
 * normalises boundaries, joins neighbouring strips, shares lists and chooses containers. */
#ifndef ROARMASK_CORE_DRAFT_H
#define ROARMASK_CORE_DRAFT_H

#include "core/exception.h"
#include "core/memory.h"
#include "core/strip.h"

/* Lists one behind the other. The last few are remembered, for lists to come to share. */
enum { RMASK_RECENT_LISTS = 8 };

typedef struct rmask_pool {
    rmask_int32_vec values;
    size_t begins[RMASK_RECENT_LISTS]; /* of the last lists, each ascending up to the next one's begin */
    size_t num_lists;
} rmask_pool;

typedef struct rmask_draft {
    rmask_allocator allocator;
    int32_t rows, cols;
    rmask_vec(rmask_strip) strips;
    rmask_pool fixed, sliding; /* the boundaries that strips point into */
    rmask_int32_vec exception_rows;
    rmask_vec(uint32_t) exception_ends; /* of each exception row, the end of its containers, in uint16 units */
    rmask_vec(uint16_t) containers;
    uint64_t num_exceptions;
    int64_t exception_balance; /* exceptions outside the strips minus exceptions inside */
    size_t row_at;         /* of the row whose containers come one by one, where it begins */
    uint32_t num_heads, num_containers; /* of that row: room for heads, and containers so far */
    rmask_int32_vec scratch, flips;
    rmask_status failed; /* the first failure; it sticks */
} rmask_draft;

/* Starts an empty draft. `allocator` may be NULL. It owns nothing yet, so an error before the first call needs no clean-up. */
void rmask_draft_init(rmask_draft *draft, int32_t rows, int32_t cols, const rmask_allocator *allocator);

/* The rows from `row_begin` up to the next call's (or the last row) have these boundaries. `row_begin` increases from call to
 * call (the same again replaces the last); rows before the first call have none. Lists are non-decreasing and need no clipping: a fixed boundary at or left of
 * 0 is one at 0, one at or right of `cols` is none; two equal entries cancel. A sliding boundary w stands at column w + row;
 * values beyond [-rows, cols] may be clamped to that. The lists are copied. */
rmask_status rmask_draft_strip(rmask_draft *draft, int32_t row_begin, rmask_boundaries boundaries);

/* Makes room for the containers of all exceptions to come, where their number of units is known about. */
void rmask_draft_reserve(rmask_draft *draft, uint64_t num_units);

/* The exceptions of one row: strictly increasing columns within the grid, at least one. Rows come in increasing order.
 * `balance` is the number of them outside the strips minus the number inside. */
rmask_status rmask_draft_exceptions(rmask_draft *draft, int32_t row, const int32_t *cols, size_t num_cols, int64_t balance);

/* The same for a row of `num_cells` given as flips, at least one: an odd last one reaches to the last column. Where the caller has the
 * row as columns, too, `cols` saves time; it may be NULL. The balance is left to the caller, who adds to draft->exception_balance. */
rmask_status rmask_draft_flips(rmask_draft *draft, int32_t row, const int32_t *flips, size_t num_flips, const int32_t *cols,
                               uint64_t num_cells);

/* The same for a row whose units are laid out already, as exception.h says. They are copied. */
rmask_status rmask_draft_row_units(rmask_draft *draft, int32_t row, const uint16_t *units, size_t num_units,
                                   uint64_t num_exceptions, int64_t balance);

/* The same for a row whose containers come one by one, in the order of their chunks, at most `max_containers` of them. In a grid of one
 * chunk that is 1. A row of none is no exceptional row. */
rmask_status rmask_draft_begin_row(rmask_draft *draft, uint32_t max_containers);
rmask_status rmask_draft_container(rmask_draft *draft, int32_t row, const rmask_container *container);
rmask_status rmask_draft_end_row(rmask_draft *draft, int32_t row, uint64_t num_exceptions, int64_t balance);

/* The same for a row given as bits: column c is bit c % 64 of word c / 64, those past the last column are 0. A row of none is no
 * exceptional row. */
rmask_status rmask_draft_bits(rmask_draft *draft, int32_t row, const uint64_t *words, int64_t balance);

/* The same for the rows [row_begin, row_end) of a mask whose containers are laid out for the draft's columns; they become the rows from
 * `row_at` on. Their numbers are left to the caller, who adds to draft->num_exceptions and draft->exception_balance. */
rmask_status rmask_draft_rows(rmask_draft *draft, const rmask *mask, int32_t row_begin, int32_t row_end, int32_t row_at);

/* Gives all exceptions so far to a draft that has none. */
void rmask_draft_move_exceptions(rmask_draft *to, rmask_draft *from);

/* The lists of one of the draft's strips, valid until the next call. */
rmask_boundaries rmask_draft_boundaries(const rmask_draft *draft, const rmask_strip *strip);

/* Bytes of strips and lists so far. They may shrink at the end. */
static inline uint64_t rmask_draft_strip_bytes(const rmask_draft *draft)
{
    return draft->strips.len * sizeof(rmask_strip) + (draft->fixed.values.len + draft->sliding.values.len) * sizeof(int32_t);
}

/* The cells of the mask as it is now, should no call come any more. */
uint64_t rmask_draft_count(rmask_draft *draft);

/* Turns the draft into a mask and frees it, also on failure. A failure of an earlier call comes back here, so that callers may
 * look at the last status only; `error` gets its message. */
rmask_status rmask_draft_finish(rmask_draft *draft, rmask **out, rmask_error *error);

/* Frees a draft that will not be finished. Calling it again, or after rmask_draft_finish, does nothing. */
void rmask_draft_discard(rmask_draft *draft);

#endif
