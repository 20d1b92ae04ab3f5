/* SPDX-License-Identifier: Apache-2.0
 * Containers as bits. */
#include "core/bits.h"

#include "simd/simd.h"

#include <string.h>

/* The 64 bits of a bitset from bit `at` on; zeros past its end. */
static uint64_t word_at(const rmask_container *bitset, uint32_t at)
{
    const uint16_t *units = bitset->units + at / 16;
    const uint32_t left = bitset->num_units - at / 16, shift = at % 16;
    uint16_t last[5] = {0};
    if (left < 5) units = memcpy(last, units, left * sizeof *units);
    uint64_t word;
    memcpy(&word, units, sizeof word);
    return shift ? word >> shift | (uint64_t)units[4] << (64 - shift) : word;
}

static void toggle_bitset(uint64_t *words, size_t to, const rmask_container *bitset, uint32_t begin, uint32_t end)
{
    while (begin < end) {
        const uint32_t room = 64 - to % 64, n = end - begin < room ? end - begin : room;
        words[to / 64] ^= (word_at(bitset, begin) & ~UINT64_C(0) >> (64 - n)) << to % 64;
        begin += n;
        to += n;
    }
}

void rmask_bits_toggle_container(uint64_t *words, int64_t begin, int64_t end, const rmask_container *container)
{
    const int64_t base = (int64_t)container->chunk * RMASK_CHUNK_COLS;
    const uint32_t lo = begin > base ? (uint32_t)(begin - base) : 0;
    const uint32_t hi = end - base < RMASK_CHUNK_COLS ? (uint32_t)(end - base) : RMASK_CHUNK_COLS;
    if (container->is_bitset) {
        const uint32_t num_bits = container->num_units * 16;
        toggle_bitset(words, (size_t)(base + lo - begin), container, lo, hi < num_bits ? hi : num_bits);
        return;
    }
    const rmask_simd *simd = rmask_simd_get();
    const uint16_t *values = container->units;
    size_t n = rmask_count_below(simd, values, container->num_units, (int32_t)hi);
    for (size_t i = rmask_count_below(simd, values, n, (int32_t)lo); i < n; i++) {
        const size_t bit = (size_t)(base - begin + values[i]);
        words[bit / 64] ^= UINT64_C(1) << bit % 64;
    }
}
