/* SPDX-License-Identifier: Apache-2.0
 * Small loops that several methods share: sorted lists of indices, and set bits to indices. */
#ifndef ROARMASK_BENCH_SORTED_H
#define ROARMASK_BENCH_SORTED_H

#include <stddef.h>
#include <stdint.h>

/* The first of `count` sorted values that is not below `value`; `count` if there is none. */
static inline size_t sorted_lower_bound(const int32_t *values, size_t count, int32_t value)
{
    const int32_t *base = values;
    while (count > 1) {
        size_t half = count / 2;
        base += base[half - 1] < value ? half : 0;
        count -= half;
    }
    return (size_t)(base - values) + (count == 1 && *base < value);
}

/* The same, in time logarithmic in the answer. */
static inline size_t sorted_gallop(const int32_t *values, size_t count, int32_t value)
{
    size_t step = 1;
    while (step < count && values[step - 1] < value)
        step *= 2;
    size_t begin = step / 2, end = step < count ? step : count;
    return begin + sorted_lower_bound(values + begin, end - begin, value);
}

/* The values in both of two sorted lists. `out` has room for the shorter one and an entry more. */
size_t sorted_intersect(const int32_t *a, size_t num_a, const int32_t *b, size_t num_b, int32_t *out);

/* Writes the positions of a word's set bits, plus `base`. Up to 64 entries behind `out` may be overwritten. */
static inline int32_t *sorted_emit_word(int32_t *out, uint64_t word, int32_t base)
{
    if (word == UINT64_MAX) {
        for (int32_t i = 0; i < 64; i++)
            out[i] = base + i;
        return out + 64;
    }
    while (word) {
        *out++ = base + __builtin_ctzll(word);
        word &= word - 1;
    }
    return out;
}

#endif
