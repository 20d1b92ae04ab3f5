/* SPDX-License-Identifier: Apache-2.0
 * Every way of making a mask of given cells. */
#ifndef ROARMASK_TESTS_WAYS_H
#define ROARMASK_TESTS_WAYS_H

#include "twin.h"

enum { NUM_WAYS = 11 };

/* "csr", "builder, cell by cell", ...: for notes. */
const char *way_name(int way);

/* A mask with the twin's cells. `random` draws orders, strides and rubbish in the padding. `allocator` may be NULL. */
rmask *make(int way, const twin *t, const rmask_allocator *allocator, rng *random);

/* The plainest way, and one by lot. */
rmask *make_plain(const twin *t);
rmask *make_any(const twin *t, rng *random);

/* A mask whose rows have many columns crossed by many diagonals, about `share` of each, and single cells toggled; its twin goes to `t`. */
rmask *make_columns_and_diagonals(int32_t rows, int32_t cols, double share, twin **t, rng *random);

/* Makes a mask of the twin's cells with `allocator`, hands it on to `use`, and releases it: for work that may run out of memory. */
rmask_status with_mask(const twin *t, const rmask_allocator *allocator, rmask_status (*use)(const rmask *mask, void *context),
                       void *context);

#endif
