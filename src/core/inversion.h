/* SPDX-License-Identifier: Apache-2.0
 * Inversion lists: a set of columns as ascending flips. Membership starts false and flips at each entry. */
#ifndef ROARMASK_CORE_INVERSION_H
#define ROARMASK_CORE_INVERSION_H

#include "core/memory.h"

/* f(a, b) of one of the 16 boolean functions: bit 2 * a + b of its truth table. */
static inline bool rmask_apply(unsigned function, bool a, bool b) { return function >> (2 * a + b) & 1; }

/* The flips of function(a, b) where the function of (0, 0) counts as false, so that nothing flips at infinity. Lists ascend, equal
 * neighbours cancel; `out` has room for both. Returns the number of flips. One routine for all 16 functions: walk both lists
 * with their parities and keep each flip at which the function changes. */
size_t rmask_combine_lists(int32_t *out, unsigned function, const int32_t *a, size_t num_a, const int32_t *b, size_t num_b);

/* The flips of a ^ b, where b's entries are shifted; neither list repeats an entry. Without a branch on the data. `out` has room for
 * both. */
size_t rmask_toggle_lists(int32_t *out, const int32_t *a, size_t num_a, const int32_t *b, size_t num_b, int32_t shift);

/* Appends the flips in 64 memberships from column `base` on, for which there is room; `last` is the membership before them, and then the
 * last of them. */
static inline void rmask_put_word_flips(rmask_int32_vec *flips, uint64_t word, int32_t base, uint64_t *last)
{
    for (uint64_t changes = word ^ (word << 1 | *last); changes; changes &= changes - 1)
        rmask_vec_put(flips, base + __builtin_ctzll(changes));
    *last = word >> 63;
}

#endif
