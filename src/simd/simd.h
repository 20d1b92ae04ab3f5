/* SPDX-License-Identifier: Apache-2.0
 * The loops that are worth an instruction set. Each is written once (kernels.h) over a few vector operations (vec_*.h), compiled
 * once per tier (tier_*.c) and chosen once at run time (dispatch.c). The scalar tier is the plain twin of the others. */
#ifndef ROARMASK_SIMD_SIMD_H
#define ROARMASK_SIMD_SIMD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RMASK_MERGE_SLACK = 16 };

/* Writers return the end of what they wrote. The caller has checked that it lies at or before `limit`; up to `limit` they may
 * also scribble past it, so that whole vectors can be stored. */
typedef struct rmask_simd {
    const char *name;

    /* first, first + 1, ... n values. */
    int32_t *(*iota)(int32_t *out, const int32_t *limit, int32_t first, size_t n);

    /* base + values[i] for n values. */
    int32_t *(*widen)(int32_t *out, const int32_t *limit, const uint16_t *values, size_t n, int32_t base);

    /* The columns of runs given as flips, shifted: n is even, entries 2 i and 2 i + 1 begin and end run i. Made for single columns. */
    int32_t *(*runs)(int32_t *out, const int32_t *limit, const int32_t *flips, size_t n, int32_t shift);

    /* The columns in just one of two ascending lists, a long one and a short one; returns their number. Behind `a` stand
     * RMASK_MERGE_SLACK entries of INT32_MAX, and `out` has room for both lists and as many more. */
    size_t (*merge)(int32_t *out, const int32_t *a, size_t num_a, const int32_t *b, size_t num_b);

    /* base + i for every bit i in [begin, end) of a bitset that is set, or that is clear where `invert` is 0xffff. */
    int32_t *(*bits)(int32_t *out, const int32_t *limit, const uint16_t *units, uint32_t begin, uint32_t end, uint16_t invert,
                     int32_t base);

    /* How many of n ascending values are below `key` (0 to 65,536). */
    size_t (*lower_bound)(const uint16_t *values, size_t n, uint32_t key);

    /* The values in both of two ascending lists; returns their number. `out` has room for the smaller list plus 8 values and
     * overlaps neither list. */
    size_t (*intersect)(uint16_t *out, const uint16_t *a, size_t num_a, const uint16_t *b, size_t num_b);

    /* The flips of a row given as ascending columns: the start and the end of every run of consecutive columns, 2 n + 16 entries
     * of room. n is at least 1. Returns the end of the flips, or NULL when the columns, as unsigned numbers, are not strictly increasing.
     * That a run of consecutive columns does not wrap around is for the caller to see: it takes 2^31 columns to come back to 0. */
    int32_t *(*flips)(int32_t *out, const int32_t *cols, size_t n);

    /* out[i] = f(a[i], b[i]) bit by bit; bit 2 * a + b of `function` is f(a, b). */
    void (*combine)(uint16_t *out, const uint16_t *a, const uint16_t *b, size_t num_units, unsigned function);

    /* Set bits. */
    size_t (*popcount)(const uint16_t *units, size_t num_units);

    /* The positions of the set bits, ascending. `out` has room for them and 64 more. Returns their number. */
    size_t (*positions)(uint16_t *out, const uint16_t *units, size_t num_units);

    /* Every bit as a byte of 0 or 1: 64 bytes a word. */
    void (*spread)(uint8_t *out, const uint64_t *words, size_t num_words);

    /* CRC-32C; see file/checksum.h. */
    uint32_t (*checksum)(uint32_t before, const void *data, size_t num_bytes);
} rmask_simd;

/* The tier in use. Thread-safe. */
const rmask_simd *rmask_simd_get(void);

/* As lower_bound, where all or none of the values are mostly below `key`. */
static inline size_t rmask_count_below(const rmask_simd *simd, const uint16_t *values, size_t n, int32_t key)
{
    if (n == 0 || values[n - 1] < key) return n;
    return values[0] >= key ? 0 : simd->lower_bound(values, n, (uint32_t)key);
}

extern const rmask_simd rmask_simd_scalar;
#if defined(__x86_64__)
extern const rmask_simd rmask_simd_avx2;
extern const rmask_simd rmask_simd_avx512;
#elif defined(__aarch64__)
extern const rmask_simd rmask_simd_neon;
#endif

#endif
