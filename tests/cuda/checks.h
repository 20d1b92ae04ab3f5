/* SPDX-License-Identifier: Apache-2.0
 * What the tests of libroarmask-cuda share: memory there with guards around it, masks there, and expansions held against the twin and, bit for bit,
 * against the exports of the library. */
#ifndef ROARMASK_TESTS_CUDA_CHECKS_H
#define ROARMASK_TESTS_CUDA_CHECKS_H

#include "place.h"
#include "roarmask/cuda.h"
#include "support/generate.h"

enum { RUBBISH = 0x5a }; /* what buffers hold at first */

/* Memory there that begins `shift` bytes behind an aligned place, with guards on both sides. */
typedef struct buffer {
    uint8_t *memory, *at;
    size_t num_bytes, shift;
} buffer;

buffer buffer_make(size_t num_bytes, size_t shift);
buffer buffer_of(const void *bytes, size_t num_bytes);

/* What is in it; malloc'ed. The buffer goes, and its guards must be as they were. */
void *buffer_take(buffer b);
void buffer_drop(buffer b);
buffer workspace_for(int32_t num_rows); /* for compressed rows */

enum { MAX_MASKS = RMASK_CUDA_MAX_FOLD };

/* A fold whose masks are uploaded, and what it has on the host. */
typedef struct uploaded {
    rmask_cuda_mask masks[MAX_MASKS];
    buffer data[MAX_MASKS];
    rmask_cuda_fold what;
    const rmask *mask;
} uploaded;

buffer upload(const rmask *mask, rmask_cuda_mask *handle);
void uploaded_put(uploaded *u, const rmask *const *masks, int num_masks, rmask_function function, const rmask *result);
void uploaded_drop(uploaded *u);

/* `t` has what the fold has. Rows, windows and strides are drawn where they are not given. */
void check_csr(const uploaded *u, const twin *t, int32_t begin, int32_t end, bool is_wide, rng *random);
void check_indices(const uploaded *u, const twin *t, rng *random);
void check_window(const uploaded *u, bool as_bytes, int32_t row_begin, int32_t row_end, int32_t col_begin, int32_t col_end, rng *random);
void check_windows(const uploaded *u, const twin *t, rng *random);
void check_tiles(const uploaded *u, const twin *t, shape tile, rng *random);

/* The other files' groups of tests; each gives the value for main to return. */
int run_decode_tests(void);
int run_upload_tests(void);

#endif
