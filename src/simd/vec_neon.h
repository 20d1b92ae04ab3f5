/* SPDX-License-Identifier: Apache-2.0
 * The vector operations of the NEON tier (AArch64). */
#include <arm_neon.h>

#define TIER neon
enum { LANES = 4 };

typedef int32x4_t vec;

static inline vec vec_set1(int32_t x) { return vdupq_n_s32(x); }
static inline vec vec_iota(void)
{
    static const int32_t lanes[4] = {0, 1, 2, 3};
    return vld1q_s32(lanes);
}
static inline vec vec_add(vec a, vec b) { return vaddq_s32(a, b); }
static inline vec vec_load(const int32_t *p) { return vld1q_s32(p); }
static inline vec vec_widen(const uint16_t *p) { return vreinterpretq_s32_u32(vmovl_u16(vld1_u16(p))); }
static inline void vec_store(int32_t *p, vec a) { vst1q_s32(p, a); }

static inline bool vec_any_not_above(vec cur, vec prev)
{
    return vmaxvq_u32(vcleq_u32(vreinterpretq_u32_s32(cur), vreinterpretq_u32_s32(prev))) != 0;
}
static inline uint32_t vec_breaks(vec cur, vec prev)
{
    static const uint32_t lane_bits[4] = {1, 2, 4, 8};
    uint32x4_t equal = vceqq_s32(cur, vaddq_s32(prev, vdupq_n_s32(1)));
    return vaddvq_u32(vandq_u32(vmvnq_u32(equal), vld1q_u32(lane_bits)));
}

static inline int32_t *vec_put_breaks(int32_t *out, vec cur, vec prev, uint32_t breaks)
{
    vec ends = vaddq_s32(prev, vdupq_n_s32(1));
    vec lo = vzip1q_s32(ends, cur), hi = vzip2q_s32(ends, cur);
    vst1_s32(out, vget_low_s32(lo));
    out += 2 * (breaks & 1);
    vst1_s32(out, vget_high_s32(lo));
    out += 2 * (breaks >> 1 & 1);
    vst1_s32(out, vget_low_s32(hi));
    out += 2 * (breaks >> 2 & 1);
    vst1_s32(out, vget_high_s32(hi));
    return out + 2 * (breaks >> 3);
}

enum { BELOW_LANES = 8 };
static inline size_t vec_count_below(const uint16_t *p, uint16_t key)
{
    return vaddvq_u16(vshrq_n_u16(vcltq_u16(vld1q_u16(p), vdupq_n_u16(key)), 15));
}

#define VEC_INTERSECT 1
static inline uint16x8_t vec_load_units(const uint16_t *p) { return vld1q_u16(p); }

/* Up to 8 units, without touching memory behind them; the last one fills the rest. */
static inline uint16x8_t vec_load_some_units(const uint16_t *p, int n)
{
    uint16_t units[8];
    for (int i = 0; i < 8; i++) units[i] = p[i < n ? i : n - 1];
    return vld1q_u16(units);
}

/* Which of the first num_a units of `a` are among the first num_b of `b`, filled up as above. */
static inline uint32_t vec_any_equal(uint16x8_t a, int num_a, uint16x8_t b, int num_b)
{
    static const uint16_t lane_bits[8] = {1, 2, 4, 8, 16, 32, 64, 128};
    uint16x8_t any = vceqq_u16(a, b);
    (void)num_b;
    for (int i = 1; i < 8; i++) {
        b = vextq_u16(b, b, 1);
        any = vorrq_u16(any, vceqq_u16(a, b));
    }
    return vaddvq_u16(vandq_u16(any, vld1q_u16(lane_bits))) & ((1u << num_a) - 1);
}

static inline uint16_t *vec_put_units(uint16_t *out, const uint16_t *a, uint32_t keep)
{
    for (; keep; keep &= keep - 1) *out++ = a[__builtin_ctz(keep)];
    return out;
}

static inline int32_t *vec_put_bits(int32_t *out, uint64_t word, int32_t base) { return put_bits_plain(out, word, base); }

static inline uint16_t *vec_put_positions(uint16_t *out, uint64_t word, uint16_t base) { return put_positions_plain(out, word, base); }

/* Stores the columns of RUN_LANES runs; false, and nothing useful is stored, when one of them has more than one column. */
enum { RUN_LANES = 4 };
static inline bool vec_put_single_runs(int32_t *out, const int32_t *flips, vec shift)
{
    const int32x4x2_t apart = vld2q_s32(flips); /* begins, ends */
    const uint32x4_t single = vceqq_s32(vaddq_s32(apart.val[0], vdupq_n_s32(1)), apart.val[1]);
    if (vminvq_u32(single) == 0) return false;
    vst1q_s32(out, vaddq_s32(apart.val[0], shift));
    return true;
}

static inline size_t vec_count_less(vec a, int32_t key) { return vaddvq_u32(vshrq_n_u32(vcltq_s32(a, vdupq_n_s32(key)), 31)); }

static inline void vec_spread(uint8_t *out, uint64_t word)
{
    const uint8x16_t bit = vreinterpretq_u8_u64(vdupq_n_u64(UINT64_C(0x8040201008040201)));
    for (size_t i = 0; i < 4; i++, word >>= 16) {
        const uint8x16_t bytes = vcombine_u8(vdup_n_u8((uint8_t)word), vdup_n_u8((uint8_t)(word >> 8)));
        vst1q_u8(out + 16 * i, vandq_u8(vtstq_u8(bytes, bit), vdupq_n_u8(1)));
    }
}
