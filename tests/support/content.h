/* SPDX-License-Identifier: Apache-2.0
 * What a file holds, a mask or an atlas, through the functions that both have. Errors go to test_error. */
#ifndef ROARMASK_TESTS_CONTENT_H
#define ROARMASK_TESTS_CONTENT_H

#include "golden.h"
#include "roarmask/atlas.h"

/* One of the two, or none. */
typedef struct content {
    rmask *mask;
    rmask_atlas *atlas;
} content;

rmask_status content_from_data(golden_kind kind, const void *bytes, size_t num_bytes, content *out);
rmask_status content_open(golden_kind kind, const char *path, content *out);
rmask_status content_verify(const content *c);
void content_release(content c);

/* The masks in it one after the other, borrowed; NULL beyond the last. */
const rmask *content_mask(const content *c, uint32_t index);

/* The same grid, cells, entries and note. */
bool content_equal(const content *a, const content *b);

/* check_consistent of every mask, and of an atlas's facts with those of its masks. */
void content_check(const content *c);

#endif
