/* SPDX-License-Identifier: Apache-2.0
 * Every reader of a mask that came out of hostile bytes. */
#ifndef ROARMASK_TESTS_READERS_H
#define ROARMASK_TESTS_READERS_H

#include "fuzz.h"

/* A call that meets damage says so, in one line. Returns whether it succeeded. */
#define survives(call) (test_error_reset(), survived_at(#call, (call)))
bool survived_at(const char *call, rmask_status status);

/* For a mask whose rows nobody has checked: readers of one row are of one opinion, and whatever is made of the mask has sound rows. Returns
 * whether every row was read and is sound; then the rows have `total` cells. */
bool readers_survive(const rmask *mask, uint64_t *total);

/* For a mask that is verified: nothing fails, and all agree. Large grids are read here and there. */
void readers_agree(const rmask *mask);

#endif
