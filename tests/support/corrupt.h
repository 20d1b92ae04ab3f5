/* SPDX-License-Identifier: Apache-2.0
 * Random corruption of bytes: flipped bits, other bytes and numbers, cuts, and pieces that come from elsewhere. */
#ifndef ROARMASK_TESTS_CORRUPT_H
#define ROARMASK_TESTS_CORRUPT_H

#include "support.h"

enum { CORRUPT_ROOM = 32768 };

/* Changes `bytes`, which have CORRUPT_ROOM bytes of room, one to four times, with pieces of themselves and of `other`. Returns
 * the new length. */
size_t corrupt(uint8_t *bytes, size_t num_bytes, const uint8_t *other, size_t num_other, rng *random);

#endif
