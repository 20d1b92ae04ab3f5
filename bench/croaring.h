/* SPDX-License-Identifier: Apache-2.0
 * What the two CRoaring methods and the block pool share. Only where the program is built with CRoaring. */
#ifndef ROARMASK_BENCH_CROARING_H
#define ROARMASK_BENCH_CROARING_H

#include <stdint.h>

#ifdef ROARMASK_HAVE_CROARING

#include <roaring.h>

/* Makes CRoaring allocate through heap.h. Before the first bitmap; may be called again. */
void bench_croaring_hook(void);

/* Adds `base` plus each of `count` sorted columns: long runs as ranges, the rest in bulk. `scratch` has room for `count`. */
void bench_croaring_add(roaring_bitmap_t *bitmap, uint32_t base, const int32_t *cols, size_t count, uint32_t *scratch);

#endif

/* For methods that need CRoaring in a build without it. */
const char *bench_croaring_missing(int32_t rows, int32_t cols);

#endif
