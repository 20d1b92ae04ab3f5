/* SPDX-License-Identifier: Apache-2.0
 * The vector operations of the AVX2 tier. */
#include <immintrin.h>

#define TIER avx2
enum { LANES = 8 };

typedef __m256i vec;

static inline vec vec_set1(int32_t x) { return _mm256_set1_epi32(x); }
static inline vec vec_iota(void) { return _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7); }
static inline vec vec_add(vec a, vec b) { return _mm256_add_epi32(a, b); }
static inline vec vec_load(const int32_t *p) { return _mm256_loadu_si256((const __m256i *)p); }
static inline vec vec_widen(const uint16_t *p) { return _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)p)); }
static inline void vec_store(int32_t *p, vec a) { _mm256_storeu_si256((__m256i *)p, a); }

static inline uint32_t vec_mask(vec a) { return (uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(a)); }
static inline bool vec_any_not_above(vec cur, vec prev) { return vec_mask(_mm256_cmpeq_epi32(_mm256_max_epu32(cur, prev), prev)) != 0; }
static inline uint32_t vec_breaks(vec cur, vec prev)
{
    return vec_mask(_mm256_cmpeq_epi32(cur, _mm256_add_epi32(prev, _mm256_set1_epi32(1)))) ^ 0xff;
}

/* Which of four (prev + 1, cur) pairs stay, as a permutation of 32-bit lanes. */
static const uint32_t keep_pairs[16][8] = {
    {0, 0, 0, 0, 0, 0, 0, 0}, {0, 1, 0, 0, 0, 0, 0, 0}, {2, 3, 0, 0, 0, 0, 0, 0}, {0, 1, 2, 3, 0, 0, 0, 0},
    {4, 5, 0, 0, 0, 0, 0, 0}, {0, 1, 4, 5, 0, 0, 0, 0}, {2, 3, 4, 5, 0, 0, 0, 0}, {0, 1, 2, 3, 4, 5, 0, 0},
    {6, 7, 0, 0, 0, 0, 0, 0}, {0, 1, 6, 7, 0, 0, 0, 0}, {2, 3, 6, 7, 0, 0, 0, 0}, {0, 1, 2, 3, 6, 7, 0, 0},
    {4, 5, 6, 7, 0, 0, 0, 0}, {0, 1, 4, 5, 6, 7, 0, 0}, {2, 3, 4, 5, 6, 7, 0, 0}, {0, 1, 2, 3, 4, 5, 6, 7}};

static inline int32_t *put_pairs(int32_t *out, vec pairs, uint32_t keep)
{
    vec order = _mm256_loadu_si256((const __m256i *)keep_pairs[keep]);
    vec_store(out, _mm256_permutevar8x32_epi32(pairs, order));
    return out + 2 * __builtin_popcount(keep);
}

static inline int32_t *vec_put_breaks(int32_t *out, vec cur, vec prev, uint32_t breaks)
{
    vec ends = _mm256_add_epi32(prev, _mm256_set1_epi32(1));
    vec lo = _mm256_unpacklo_epi32(ends, cur), hi = _mm256_unpackhi_epi32(ends, cur);
    out = put_pairs(out, _mm256_permute2x128_si256(lo, hi, 0x20), breaks & 15);
    return put_pairs(out, _mm256_permute2x128_si256(lo, hi, 0x31), breaks >> 4);
}

enum { BELOW_LANES = 16 };
static inline size_t vec_count_below(const uint16_t *p, uint16_t key)
{
    __m256i values = _mm256_loadu_si256((const __m256i *)p);
    __m256i below = _mm256_cmpeq_epi16(_mm256_subs_epu16(_mm256_set1_epi16((short)key), values), _mm256_setzero_si256());
    return 16 - (size_t)__builtin_popcount((uint32_t)_mm256_movemask_epi8(below)) / 2;
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
static inline __m128i vec_load_some_units(const uint16_t *p, int n)
{
    uint16_t units[8] = {0};
    memcpy(units, p, (size_t)n * sizeof *p);
    return vec_load_units(units);
}

/* The positions of the set bits of a byte, packed; unused places repeat anything. */
static inline uint64_t byte_positions(uint32_t byte)
{
    return _pext_u64(UINT64_C(0x0706050403020100), _pdep_u64(byte, UINT64_C(0x0101010101010101)) * 0xff);
}

static inline uint16_t *vec_put_units(uint16_t *out, const uint16_t *a, uint32_t keep)
{
    __m128i places = _mm_cvtsi64_si128((long long)byte_positions(keep));
    __m128i twice = _mm_add_epi8(places, places);
    __m128i order = _mm_unpacklo_epi8(twice, _mm_add_epi8(twice, _mm_set1_epi8(1)));
    _mm_storeu_si128((__m128i *)out, _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)a), order));
    return out + __builtin_popcount(keep);
}

static inline int32_t *vec_put_bits(int32_t *out, uint64_t word, int32_t base)
{
    for (; word; word >>= 8, base += 8) {
        __m128i places = _mm_cvtsi64_si128((long long)byte_positions((uint32_t)word & 0xff));
        vec_store(out, vec_add(_mm256_cvtepu8_epi32(places), vec_set1(base)));
        out += __builtin_popcount((uint32_t)word & 0xff);
    }
    return out;
}

static inline uint16_t *vec_put_positions(uint16_t *out, uint64_t word, uint16_t base)
{
    for (; word; word >>= 8, base = (uint16_t)(base + 8)) {
        __m128i places = _mm_cvtepu8_epi16(_mm_cvtsi64_si128((long long)byte_positions((uint32_t)word & 0xff)));
        _mm_storeu_si128((__m128i *)out, _mm_add_epi16(places, _mm_set1_epi16((short)base)));
        out += __builtin_popcount((uint32_t)word & 0xff);
    }
    return out;
}

/* Stores the columns of RUN_LANES runs; false, and nothing useful is stored, when one of them has more than one column. */
enum { RUN_LANES = 4 };
static inline bool vec_put_single_runs(int32_t *out, const int32_t *flips, vec shift)
{
    const vec apart = _mm256_permutevar8x32_epi32(vec_load(flips), _mm256_setr_epi32(0, 2, 4, 6, 1, 3, 5, 7));
    const __m128i begins = _mm256_castsi256_si128(apart), ends = _mm256_extracti128_si256(apart, 1);
    const __m128i single = _mm_cmpeq_epi32(_mm_add_epi32(begins, _mm_set1_epi32(1)), ends);
    if (_mm_movemask_epi8(single) != 0xffff) return false;
    _mm_storeu_si128((__m128i *)out, _mm_add_epi32(begins, _mm256_castsi256_si128(shift)));
    return true;
}

static inline size_t vec_count_less(vec a, int32_t key)
{
    return (size_t)__builtin_popcount(vec_mask(_mm256_cmpgt_epi32(_mm256_set1_epi32(key), a)));
}

static inline void vec_spread(uint8_t *out, uint64_t word)
{
    const __m256i bit = _mm256_set1_epi64x((long long)UINT64_C(0x8040201008040201)), ones = _mm256_set1_epi8(1);
    const __m256i source = _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303);
    for (size_t i = 0; i < 2; i++, word >>= 32) {
        const __m256i bytes = _mm256_shuffle_epi8(_mm256_set1_epi32((int32_t)(uint32_t)word), source);
        const __m256i set = _mm256_cmpeq_epi8(_mm256_and_si256(bytes, bit), bit);
        _mm256_storeu_si256((__m256i *)(void *)(out + 32 * i), _mm256_and_si256(set, ones));
    }
}
