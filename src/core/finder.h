/* SPDX-License-Identifier: Apache-2.0
 * Finding strips in a mask that comes as rows.
 *
 * Rows arrive from the top as inversion lists. What the current strip does not explain of a row, the symmetric difference of the row's
 * flips and the strip's, waits in a ring of the last rows. Flips of that remainder that persist from row to row, at the same column
 * or one to the right, are boundaries that the strip should have, or has and should not: toggling them starts a new strip. It
 * does so, from the row where they began, as soon as the rows in the ring have cost more as exceptions than the strip costs.
 * Rows that leave the ring become exceptions, or a strip of one row where that is smaller.
 *
 * Looking for persistent flips is paid out of what reading the rows costs, so noise without structure takes linear time. */
#ifndef ROARMASK_CORE_FINDER_H
#define ROARMASK_CORE_FINDER_H

#include "core/draft.h"

enum {
    RMASK_RING_ROWS = 64,         /* how far back a strip can begin */
    RMASK_RING_FLIPS = 64 * 1024, /* the ring holds fewer rows where they are this noisy */
};

/* A strip that begins in the ring, or the one before. */
typedef struct rmask_found_strip {
    int32_t row_begin;
    rmask_int32_vec fixed, sliding;
} rmask_found_strip;

/* A row in the ring. */
typedef struct rmask_ring_row {
    rmask_int32_vec flips; /* that its strip does not explain */
    uint64_t num_cells;    /* between them */
    const int32_t *cols;   /* the same cells as columns, where the caller gave them; else NULL */
} rmask_ring_row;

/* One row as it comes. */
typedef struct rmask_finder_input {
    rmask_int32_vec *flips; /* ascending, in [0, cols); a run that reaches the last column has no end. The finder may keep the array
                               and leave another one in its place. */
    const int32_t *cols;    /* the same row as columns, valid until the finder is done; or NULL */
    size_t num_cols;        /* with `cols` */
} rmask_finder_input;

typedef struct rmask_finder {
    rmask_draft draft;
    uint64_t count;                          /* cells so far */
    int32_t ring_begin, next_row;            /* rows [ring_begin, next_row) are in the ring */
    rmask_ring_row ring[RMASK_RING_ROWS];    /* row r in slot r % 64 */
    size_t ring_flips;
    rmask_found_strip strips[RMASK_RING_ROWS + 1]; /* [0] is the strip of the oldest row, the last one the current strip */
    size_t num_strips;
    bool resume;                             /* the row before was a strip of its own: go back to strips[0] */
    rmask_int32_vec candidates[4];           /* flips that may be boundaries, by kind; see list_candidates */
    uint64_t credit;                         /* work that may go into the search */
    rmask_int32_vec row, fixed, sliding, toggled, best_fixed, best_sliding, new_fixed, new_sliding, empty;
} rmask_finder;

/* Owns nothing until the first row. `allocator` may be NULL. */
void rmask_finder_init(rmask_finder *finder, int32_t rows, int32_t cols, const rmask_allocator *allocator);

/* Rows come in increasing order; rows left out are empty. After a failure only rmask_finder_finish or _discard may follow. */
rmask_status rmask_finder_row(rmask_finder *finder, int32_t row, rmask_finder_input input);

/* The next rows, up to `row_end`, by their boundaries, normalised as in a mask: rows of which all is known. Time does not depend on
 * the rows. `row_begin` follows the last row that came. */
rmask_status rmask_finder_strip(rmask_finder *finder, int32_t row_begin, int32_t row_end, rmask_boundaries boundaries);

/* The flips of a row given as columns, checked to be strictly increasing and in [0, num_cols); n is at least 1. A run that reaches
 * the last column ends at `num_cols`. */
rmask_status rmask_flips_of_cols(const rmask_allocator *allocator, rmask_int32_vec *flips, int32_t row, int32_t num_cols,
                                 const int32_t *cols, size_t n, rmask_error *error);

/* Makes the mask and frees the finder, also on failure. */
rmask_status rmask_finder_finish(rmask_finder *finder, rmask **out, rmask_error *error);

/* Finishes where reading the rows ended in `status` RMASK_OK, or for want of memory. Otherwise frees the finder and passes the status on,
 * whose message is written already. */
rmask_status rmask_finder_end(rmask_finder *finder, rmask_status status, rmask **out, rmask_error *error);

/* Frees a finder that will not be finished. */
void rmask_finder_discard(rmask_finder *finder);

#endif
