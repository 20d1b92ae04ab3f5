/* SPDX-License-Identifier: Apache-2.0
 * Strips: consecutive rows that share one list of fixed and one list of sliding boundaries.
 *
 * A row is an inversion list: walking columns from the left, membership starts false and flips at each boundary. A fixed
 * boundary u stands at column u, a sliding boundary w at column w + row. Column c of row r is in the strip when an odd number of
 * boundaries is at or left of c. Boundaries left of column 0 or right of the grid need no clipping, parity takes care of them. */
#ifndef ROARMASK_CORE_STRIP_H
#define ROARMASK_CORE_STRIP_H

#include "core/search.h"
#include "roarmask/roarmask.h"

/* Two ascending lists, borrowed from whoever owns them. */
typedef struct rmask_boundaries {
    const int32_t *fixed;
    size_t num_fixed;
    const int32_t *sliding;
    size_t num_sliding;
} rmask_boundaries;

/* Whether column `col` of row `row` is in the strip. */
static inline bool rmask_strip_has(rmask_boundaries strip, int64_t row, int64_t col)
{
    return (rmask_upper_bound(strip.fixed, strip.num_fixed, col) + rmask_upper_bound(strip.sliding, strip.num_sliding, col - row)) & 1;
}

/* Cells in the rows [row_begin, row_end) and the columns [0, cols), by arithmetic: O(boundaries), whatever the rows. */
uint64_t rmask_strip_count(rmask_boundaries strip, int64_t row_begin, int64_t row_end, int64_t cols);

/* The same for the columns [0, limit) of a grid that has more. */
static inline uint64_t rmask_strip_count_left(rmask_boundaries strip, int64_t row_begin, int64_t row_end, int64_t limit)
{
    strip.num_fixed = rmask_upper_bound(strip.fixed, strip.num_fixed, limit - 1);
    return rmask_strip_count(strip, row_begin, row_end, limit);
}

/* The flips of one row in [0, cols), ascending; returns their number. A run that reaches the last column has no end. `out` has room for
 * all boundaries and one more. */
size_t rmask_strip_flips(int32_t *out, rmask_boundaries strip, int32_t row, int64_t cols);

/* Whether two strips have the same cells in these rows and `cols` columns. Both are normalised as in a mask. It may say no where
 * boundaries happen to meet in every row, which takes a range of one row. */
bool rmask_strips_agree(rmask_boundaries a, rmask_boundaries b, int64_t row_begin, int64_t row_end, int64_t cols);

/* Walks one row from left to right, segment by segment. */
typedef struct rmask_flips {
    const int32_t *fixed, *fixed_end, *sliding, *sliding_end;
    int64_t row;
    int32_t at; /* where the next segment begins */
    bool inside;
} rmask_flips;

static inline rmask_flips rmask_flips_of(rmask_boundaries strip, int32_t row)
{
    rmask_flips flips = {strip.fixed, strip.fixed + strip.num_fixed, strip.sliding, strip.sliding + strip.num_sliding, row, 0, false};
    if (strip.num_sliding > 8) { /* many diagonals lie wholly left of the grid */
        const size_t passed = rmask_upper_bound(strip.sliding, strip.num_sliding, -(int64_t)row);
        flips.sliding += passed;
        flips.inside = passed & 1;
    }
    return flips;
}

/* The next segment [*begin, *end) of equal membership, cut off at `limit`; false when the walk has come to `limit`. Neighbouring
 * segments may have the same membership. */
static inline bool rmask_next_segment(rmask_flips *flips, int32_t limit, int32_t *begin, int32_t *end, bool *inside)
{
    const int32_t at = flips->at;
    if (at >= limit) return false;
    int64_t next = limit;
    for (; flips->fixed < flips->fixed_end; flips->fixed++, flips->inside = !flips->inside)
        if (*flips->fixed > at) {
            if (*flips->fixed < next) next = *flips->fixed;
            break;
        }
    for (; flips->sliding < flips->sliding_end; flips->sliding++, flips->inside = !flips->inside) {
        const int64_t col = *flips->sliding + flips->row;
        if (col > at) {
            if (col < next) next = col;
            break;
        }
    }
    *begin = at;
    *end = flips->at = (int32_t)next;
    *inside = flips->inside;
    return true;
}

/* Moves the walk forward to column `col`, skipping whole segments by galloping. */
void rmask_flips_seek(rmask_flips *flips, int32_t col);

#endif
