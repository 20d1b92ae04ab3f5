/* SPDX-License-Identifier: Apache-2.0
 * The naive reader of flat buffers: docs/format.md in the plainest words, cell by cell and without the library. Of a buffer
 * with a sound header and index it also says which rows have sound containers. */
#ifndef ROARMASK_TESTS_NAIVE_H
#define ROARMASK_TESTS_NAIVE_H

#include "twin.h"

typedef struct naive {
    twin *t;       /* rows that are not sound have no cells */
    bool *sound;   /* a row's containers make sense */
    bool all_sound;
    uint64_t num_exceptions; /* of sound rows */
} naive;

/* `bytes` begin with a sound header and index. The grid is small enough for a twin. */
naive naive_read(const uint8_t *bytes);
void naive_free(naive *n);

#endif
