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

#endif
