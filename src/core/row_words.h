/* SPDX-License-Identifier: Apache-2.0
 * Narrow rows as bits. A row of some hundred columns with exceptions all over has few cells between two flips, and walking its
 * segments costs more than all of its words. */
#ifndef ROARMASK_CORE_ROW_WORDS_H
#define ROARMASK_CORE_ROW_WORDS_H

#include "core/exception.h"

#include <string.h>

enum { RMASK_NARROW_COLS = 1024, RMASK_NARROW_WORDS = RMASK_NARROW_COLS / 64 };

/* Boundaries to walk along, and what exceptions come to in boundaries. */
static inline size_t rmask_row_effort(rmask_flips flips, rmask_row_containers containers)
{
    return (size_t)(flips.fixed_end - flips.fixed) + (size_t)(flips.sliding_end - flips.sliding) + containers.num_units / 4;
}

/* Whether a row, or a pair of rows, of that effort takes less time as bits; measured. Without exceptions segments are quick in any
 * case. */
static inline bool rmask_row_is_narrow(int32_t cols, size_t effort, bool has_exceptions)
{
    return cols <= RMASK_NARROW_COLS && has_exceptions && effort >= 3 + (size_t)cols / 64;
}

/* Toggles bit `at` of a bitset. */
static inline void rmask_toggle_bit(uint64_t *words, uint32_t at) { words[at / 64] ^= UINT64_C(1) << at % 64; }

/* The bits of a row's last word that are columns. */
static inline uint64_t rmask_last_word(int32_t cols) { return ~UINT64_C(0) >> (63 - (uint32_t)(cols - 1) % 64); }

/* The bits of a row of at most RMASK_NARROW_COLS columns; those behind its last column are 0. */
static inline void rmask_row_words(uint64_t words[RMASK_NARROW_WORDS], int32_t cols, rmask_flips flips,
                                   rmask_row_containers containers)
{
    const size_t num_words = ((size_t)cols + 63) / 64;
    /* Sums of parts: a bit that is toggled does not wait for the one before. A boundary may stand behind the last column. */
    uint64_t sums[3 * (RMASK_NARROW_WORDS + 1)];
    uint64_t *const even = sums, *const odd = even + num_words + 1, *const exceptions = odd + num_words + 1;
    memset(sums, 0, 3 * (num_words + 1) * sizeof *sums);
    even[0] = flips.inside;
    const int32_t *fixed = flips.fixed;
    for (; flips.fixed_end - fixed >= 2; fixed += 2) {
        rmask_toggle_bit(even, (uint32_t)fixed[0]);
        rmask_toggle_bit(odd, (uint32_t)fixed[1]);
    }
    if (fixed < flips.fixed_end) rmask_toggle_bit(even, (uint32_t)*fixed);
    for (; flips.sliding < flips.sliding_end && *flips.sliding + flips.row < cols; flips.sliding++) {
        const int64_t col = *flips.sliding + flips.row;
        rmask_toggle_bit(odd, col > 0 ? (uint32_t)col : 0);
    }
    rmask_container container = {.num_units = 0};
    rmask_next_container(&containers, &container);
    if (container.is_bitset)
        memcpy(exceptions, container.units, ((size_t)cols + 15) / 16 * sizeof *container.units);
    else
        for (uint32_t i = 0; i < container.num_units; i++) rmask_toggle_bit(exceptions, container.units[i]);

    uint64_t inside = 0; /* all ones or none */
    for (size_t i = 0; i < num_words; i++) {
        uint64_t word = even[i] ^ odd[i];
        for (int shift = 1; shift < 64; shift *= 2) word ^= word << shift;
        word ^= inside;
        inside = 0 - (word >> 63);
        words[i] = word ^ exceptions[i];
    }
    words[num_words - 1] &= rmask_last_word(cols);
}

/* A function of two rows as bits: bit 2 * a + b of `function` is f(a, b). */
static inline void rmask_combine_words(uint64_t *out, const uint64_t *a, const uint64_t *b, int32_t cols, unsigned function)
{
    const size_t num_words = ((size_t)cols + 63) / 64;
    const uint64_t f00 = 0 - (uint64_t)(function & 1), f01 = 0 - (uint64_t)(function >> 1 & 1);
    const uint64_t f10 = 0 - (uint64_t)(function >> 2 & 1), f11 = 0 - (uint64_t)(function >> 3 & 1);
    for (size_t i = 0; i < num_words; i++)
        out[i] = (a[i] & ((b[i] & f11) | (~b[i] & f10))) | (~a[i] & ((b[i] & f01) | (~b[i] & f00)));
    out[num_words - 1] &= rmask_last_word(cols);
}

#endif
