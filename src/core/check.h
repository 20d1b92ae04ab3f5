/* SPDX-License-Identifier: Apache-2.0
 * Distrust of flat buffers, in three steps: the header, the index (strips, lists and directory: time linear in those), and the
 * rows. A mask whose index is checked may be used before its rows are: whoever reads rows asks rmask_trust_rows first. */
#ifndef ROARMASK_CORE_CHECK_H
#define ROARMASK_CORE_CHECK_H

#include "core/mask.h"

/* Checks that `num_bytes` bytes, perhaps not all that will come, begin with the header of a mask, and copies it. */
rmask_status rmask_peek_header(const void *data, size_t num_bytes, rmask_header *header, rmask_error *error);

/* Checks that `num_bytes` bytes begin with the header of a mask that takes exactly that many, and copies it. */
rmask_status rmask_check_header(const void *data, size_t num_bytes, rmask_header *header, rmask_error *error);

/* Checks everything between header and containers of a mask whose header has been checked. */
rmask_status rmask_check_index(const rmask *mask, rmask_error *error);

/* Checks the containers, every row, the padding and the counts of a mask whose index has been checked; the rows are trusted
 * then. */
rmask_status rmask_check_contents(const rmask *mask, rmask_error *error);

/* The containers of the rows [row_begin, row_end), in the grid, each checked by itself. Checking all rows makes the mask
 * trusted. */
rmask_status rmask_check_rows(const rmask *mask, int32_t row_begin, int32_t row_end, rmask_error *error);

/* Those of a directory entry. */
rmask_status rmask_check_entry(const rmask *mask, uint32_t index, rmask_error *error);

/* What every reader of rows calls before it looks at containers. Nearly always it is one load. Thread-safe. */
static inline rmask_status rmask_trust_rows(const rmask *mask, int32_t row_begin, int32_t row_end, rmask_error *error)
{
    return atomic_load_explicit(&mask->trusted, memory_order_relaxed) ? RMASK_OK
                                                                      : rmask_check_rows(mask, row_begin, row_end, error);
}

static inline rmask_status rmask_trust(const rmask *mask, rmask_error *error)
{
    return rmask_trust_rows(mask, 0, mask->rows, error);
}

static inline rmask_status rmask_trust_entry(const rmask *mask, uint32_t index, rmask_error *error)
{
    return atomic_load_explicit(&mask->trusted, memory_order_relaxed) ? RMASK_OK : rmask_check_entry(mask, index, error);
}

#endif
