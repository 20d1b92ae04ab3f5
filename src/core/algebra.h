/* SPDX-License-Identifier: Apache-2.0
 * The two halves of the algebra: strips with strips, exceptions with exceptions. */
#ifndef ROARMASK_CORE_ALGEBRA_H
#define ROARMASK_CORE_ALGEBRA_H

#include "core/draft.h"
#include "core/exception.h"
#include "core/inversion.h"

/* Puts the strips of function(a, b) into the draft. Where exact strips would cost more than a few wrong cells, those cells (row << 32 |
 * col, ascending) go to `crossings`: there the strips in the draft are wrong, and they have to become exceptions. `balance`
 * is the number of them outside the draft's strips minus the number inside. Mostly they are where fixed boundaries of one mask meet sliding
 * ones of the other. */
rmask_status rmask_combine_strips(rmask_draft *draft, const rmask *a, const rmask *b, unsigned function, rmask_u64_vec *crossings,
                                  int64_t *balance);

/* Whether two strips have so many boundaries for their columns that their rows are cheaper as bits. */
bool rmask_suits_bits(rmask_boundaries a, rmask_boundaries b, int32_t cols);

/* Appends the cells (row << 32 | col, ascending) of a function of two strips in these rows; `cells` has room for them. The allocator is
 * for working memory in proportion to the columns. */
rmask_status rmask_put_cells_of_strips(rmask_boundaries a, rmask_boundaries b, int32_t row_begin, int32_t row_end, int32_t cols,
                                       unsigned function, const rmask_allocator *allocator, rmask_u64_vec *cells);

/* Where the strips of two rows have the memberships s1 and s2, function(full memberships) differs from function(s1, s2) just where
 * the function returned here holds for the exceptions. It is false of none and none. */
unsigned rmask_exceptions_function(unsigned function, bool s1, bool s2);

/* A function, false of none and none, of two ascending arrays; returns the length. `out` has room for both plus 8. */
size_t rmask_combine_arrays(uint16_t *out, unsigned function, const uint16_t *a, size_t num_a, const uint16_t *b, size_t num_b);

/* A container as a bitset of `num_units`: its own units, or `space` filled in. */
const uint16_t *rmask_bits_of(uint16_t *space, const rmask_container *container, uint32_t num_units);

/* A function of the bits [begin, end) of two bitsets. The bits of `out` before `begin` in the same unit are kept, those from `end`
 * on in the last unit are cleared. */
void rmask_combine_bits(uint16_t *out, unsigned function, const uint16_t *a, const uint16_t *b, uint32_t begin, uint32_t end);

/* Room for the exceptions of one row of one chunk. */
typedef struct rmask_chunk_space {
    uint16_t bits_a[RMASK_CHUNK_UNITS], bits_b[RMASK_CHUNK_UNITS];
    uint16_t units[2 * RMASK_CHUNK_UNITS + 64];
} rmask_chunk_space;

/* What is known about the exceptions of a combined row. */
typedef struct rmask_tally {
    uint64_t num_exceptions;
    int64_t balance; /* exceptions outside the strips minus exceptions inside */
} rmask_tally;

/* One chunk of one row: where function(a, b) differs from function(strip of a, strip of b), given both rows' strips as walks that
 * stand at or left of the chunk, and both rows' containers (units NULL for none). The result lies in space->units; its num_units is
 * 0 where there is none. The tally is added to. */
rmask_container rmask_combine_chunk(rmask_chunk_space *space, unsigned function, int32_t cols, int32_t chunk, rmask_flips *flips_a,
                                    const rmask_container *a, rmask_flips *flips_b, const rmask_container *b, rmask_tally *tally);

/* The container of a row of a grid of one chunk; units NULL for none. */
static inline rmask_container rmask_only_container(rmask_row_containers row)
{
    rmask_container container = {.chunk = 0};
    rmask_next_container(&row, &container);
    return container;
}

/* Walks two rows' containers chunk by chunk: false at the end, otherwise the next chunk and its containers (units NULL for none). */
typedef struct rmask_chunk_pairs {
    rmask_row_containers rows[2];
    rmask_container next[2];
    bool has[2], started;
} rmask_chunk_pairs;

bool rmask_next_chunk_pair(rmask_chunk_pairs *pairs, int32_t *chunk, rmask_container *a, rmask_container *b);

#endif
