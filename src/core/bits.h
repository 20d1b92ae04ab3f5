/* SPDX-License-Identifier: Apache-2.0
 * Stretches of a row as bits: column `begin` + i is bit i % 64 of word i / 64. */
#ifndef ROARMASK_CORE_BITS_H
#define ROARMASK_CORE_BITS_H

#include "core/exception.h"

static inline size_t rmask_words_of(size_t num_bits) { return (num_bits + 63) / 64; }

/* Toggles the bits [begin, end). */
static inline void rmask_bits_toggle(uint64_t *words, size_t begin, size_t end)
{
    if (begin >= end) return;
    const size_t first = begin / 64, last = (end - 1) / 64;
    const uint64_t from = ~UINT64_C(0) << begin % 64, to = ~UINT64_C(0) >> (63 - (end - 1) % 64);
    if (first == last) {
        words[first] ^= from & to;
        return;
    }
    words[first] ^= from;
    for (size_t i = first + 1; i < last; i++) words[i] = ~words[i];
    words[last] ^= to;
}

/* Toggles the bits of columns [begin, end) that have an odd number of boundaries of one list at or left of them; boundary w
 * stands at column w + shift. */
static inline void rmask_bits_toggle_list(uint64_t *words, int64_t begin, int64_t end, const int32_t *list, size_t n,
                                          int64_t shift)
{
    size_t i = rmask_upper_bound(list, n, begin - shift), from = 0;
    for (; i < n && list[i] + shift < end; i++) {
        const size_t at = (size_t)(list[i] + shift - begin);
        if (i % 2) rmask_bits_toggle(words, from, at);
        from = at;
    }
    if (i % 2) rmask_bits_toggle(words, from, (size_t)(end - begin));
}

/* Toggles the bits of columns [begin, end) that a container has. */
void rmask_bits_toggle_container(uint64_t *words, int64_t begin, int64_t end, const rmask_container *container);

#endif
