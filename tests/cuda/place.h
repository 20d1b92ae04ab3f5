/* SPDX-License-Identifier: Apache-2.0
 * Where the tests of libroarmask-cuda run: on a device (device.c; for it simt/ may stand in), or on the host,
 * where loops stand in for the kernels (host.c). */
#ifndef ROARMASK_TESTS_CUDA_PLACE_H
#define ROARMASK_TESTS_CUDA_PLACE_H

#include "support/support.h"

/* Whether the tests can run; says why not. */
bool place_is_there(void);

/* Memory there, aligned to 256 bytes; what it holds at first is rubbish. */
void *place_allocate(size_t num_bytes);
void place_free(void *memory);

/* Copies, and waits for all work before. */
void place_put(void *there, const void *here, size_t num_bytes);
void place_get(void *here, const void *there, size_t num_bytes);

/* In which order blocks, warps and lanes come from now on. */
void place_shuffle(rng *random);

#endif
