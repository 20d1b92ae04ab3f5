/* SPDX-License-Identifier: Apache-2.0
 * The allocator behind every measured object, which counts what the heap really gave. */
#ifndef ROARMASK_BENCH_HEAP_H
#define ROARMASK_BENCH_HEAP_H

#include <stddef.h>

/* Like malloc, calloc, aligned_alloc, realloc and free, but never NULL: without memory the program ends with a message. */
void *bench_alloc(size_t num_bytes);
void *bench_alloc_zeroed(size_t count, size_t num_bytes);
void *bench_alloc_aligned(size_t alignment, size_t num_bytes);
void *bench_realloc(void *memory, size_t num_bytes);
void bench_free(void *memory);

/* The bytes that the heap holds for blocks from the functions above: usable size plus the heap's own word for each block. */
size_t bench_live_bytes(void);

/* Makes the heap keep what is freed, so that later builds reuse warm pages as they would in a long-lived process. */
void bench_heap_keep(void);

/* Touches so many bytes of the heap that are free, for the same reason: the first touch of a page costs more than any of the
 * operations, and says nothing about them. */
void bench_heap_warm(size_t num_bytes);

/* Bytes that the system could give to new objects now, and those that the heap has kept. */
size_t bench_available_bytes(void);

/* Prints "roarmask bench: MESSAGE" as one line on stderr. */
__attribute__((format(printf, 1, 2))) void bench_announce(const char *format, ...);

/* The same, if two seconds have passed since the program began or printed the last one. */
__attribute__((format(printf, 1, 2))) void bench_progress(const char *format, ...);

#endif
