/* SPDX-License-Identifier: Apache-2.0
 * The vector operations of the AVX-512 tier (F, BW, VL, DQ, VBMI, VBMI2, VPOPCNTDQ, BITALG: Ice Lake, Zen 4 and later). */
#include <immintrin.h>

#define TIER avx512
enum { LANES = 16 };

typedef __m512i vec;

static inline vec vec_set1(int32_t x) { return _mm512_set1_epi32(x); }
static inline vec vec_iota(void) { return _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15); }
static inline vec vec_add(vec a, vec b) { return _mm512_add_epi32(a, b); }
static inline vec vec_load(const int32_t *p) { return _mm512_loadu_si512(p); }
static inline vec vec_widen(const uint16_t *p) { return _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)p)); }
static inline void vec_store(int32_t *p, vec a) { _mm512_storeu_si512(p, a); }

static inline bool vec_any_not_above(vec cur, vec prev) { return _mm512_cmple_epu32_mask(cur, prev) != 0; }
static inline uint32_t vec_breaks(vec cur, vec prev)
{
    return _mm512_cmpneq_epi32_mask(cur, _mm512_add_epi32(prev, _mm512_set1_epi32(1)));
}

static inline int32_t *vec_put_breaks(int32_t *out, vec cur, vec prev, uint32_t breaks)
{
    vec ends = _mm512_add_epi32(prev, _mm512_set1_epi32(1));
    vec lo = _mm512_permutex2var_epi32(ends, _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23), cur);
    vec hi = _mm512_permutex2var_epi32(ends, _mm512_setr_epi32(8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31), cur);
    vec_store(out, _mm512_maskz_compress_epi64((__mmask8)(breaks & 0xff), lo));
    out += 2 * __builtin_popcount(breaks & 0xff);
    vec_store(out, _mm512_maskz_compress_epi64((__mmask8)(breaks >> 8), hi));
    return out + 2 * __builtin_popcount(breaks >> 8);
}

enum { BELOW_LANES = 32 };
static inline size_t vec_count_below(const uint16_t *p, uint16_t key)
{
    return (size_t)__builtin_popcount(_mm512_cmplt_epu16_mask(_mm512_loadu_si512(p), _mm512_set1_epi16((short)key)));
}

#define VEC_INTERSECT 1
static inline __m128i vec_load_units(const uint16_t *p) { return _mm_loadu_si128((const __m128i *)p); }

/* Which of the first num_a units of `a` are among the first num_b of `b`. */
static inline uint32_t vec_any_equal(__m128i a, int num_a, __m128i b, int num_b)
{
    __m128i mask = _mm_cmpestrm(b, num_b, a, num_a, _SIDD_UWORD_OPS | _SIDD_CMP_EQUAL_ANY | _SIDD_BIT_MASK);
    return (uint32_t)_mm_cvtsi128_si32(mask);
}

/* Up to 8 units, without touching memory behind them. */
static inline __m128i vec_load_some_units(const uint16_t *p, int n) { return _mm_maskz_loadu_epi16((__mmask8)((1u << n) - 1), p); }

static inline uint16_t *vec_put_units(uint16_t *out, const uint16_t *a, uint32_t keep)
{
    _mm_storeu_si128((__m128i *)out, _mm_maskz_compress_epi16((__mmask8)keep, _mm_loadu_si128((const __m128i *)a)));
    return out + __builtin_popcount(keep);
}

/* The positions of the set bits of a word, as bytes. */
static inline __m512i word_positions(uint64_t word)
{
    const __m512i places = _mm512_set_epi8(63, 62, 61, 60, 59, 58, 57, 56, 55, 54, 53, 52, 51, 50, 49, 48, 47, 46, 45, 44, 43, 42,
                                           41, 40, 39, 38, 37, 36, 35, 34, 33, 32, 31, 30, 29, 28, 27, 26, 25, 24, 23, 22, 21, 20,
                                           19, 18, 17, 16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    return _mm512_maskz_compress_epi8(word, places);
}

static inline int32_t *vec_put_bits(int32_t *out, uint64_t word, int32_t base)
{
    const int n = __builtin_popcountll(word);
    const __m512i packed = word_positions(word);
    const vec first = vec_set1(base);
    vec_store(out, vec_add(first, _mm512_cvtepu8_epi32(_mm512_castsi512_si128(packed))));
    vec_store(out + 16, vec_add(first, _mm512_cvtepu8_epi32(_mm512_extracti32x4_epi32(packed, 1))));
    if (n > 32) { /* rarely for one word and not for the next, unlike 16 */
        vec_store(out + 32, vec_add(first, _mm512_cvtepu8_epi32(_mm512_extracti32x4_epi32(packed, 2))));
        vec_store(out + 48, vec_add(first, _mm512_cvtepu8_epi32(_mm512_extracti32x4_epi32(packed, 3))));
    }
    return out + n;
}

static inline uint16_t *vec_put_positions(uint16_t *out, uint64_t word, uint16_t base)
{
    const __m512i packed = word_positions(word), first = _mm512_set1_epi16((short)base);
    _mm512_storeu_si512(out, _mm512_add_epi16(first, _mm512_cvtepu8_epi16(_mm512_castsi512_si256(packed))));
    _mm512_storeu_si512(out + 32, _mm512_add_epi16(first, _mm512_cvtepu8_epi16(_mm512_extracti64x4_epi64(packed, 1))));
    return out + __builtin_popcountll(word);
}

/* Stores the columns of RUN_LANES runs; false, and nothing useful is stored, when one of them has more than one column. */
enum { RUN_LANES = 8 };
static inline bool vec_put_single_runs(int32_t *out, const int32_t *flips, vec shift)
{
    const vec apart = _mm512_permutexvar_epi32(_mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 1, 3, 5, 7, 9, 11, 13, 15), vec_load(flips));
    const __m256i begins = _mm512_castsi512_si256(apart), ends = _mm512_extracti64x4_epi64(apart, 1);
    if (_mm256_cmpneq_epi32_mask(_mm256_add_epi32(begins, _mm256_set1_epi32(1)), ends)) return false;
    _mm256_storeu_si256((__m256i *)out, _mm256_add_epi32(begins, _mm512_castsi512_si256(shift)));
    return true;
}

static inline size_t vec_count_less(vec a, int32_t key)
{
    return (size_t)__builtin_popcount(_mm512_cmplt_epi32_mask(a, _mm512_set1_epi32(key)));
}

static inline void vec_spread(uint8_t *out, uint64_t word) { _mm512_storeu_si512(out, _mm512_maskz_set1_epi8(word, 1)); }
