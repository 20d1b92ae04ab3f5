/* SPDX-License-Identifier: Apache-2.0
 * The vector operations of the scalar tier: one lane. */
#define TIER scalar
enum { LANES = 1 };

typedef int32_t vec;

static inline vec vec_set1(int32_t x) { return x; }
static inline vec vec_iota(void) { return 0; }
static inline vec vec_add(vec a, vec b) { return a + b; }
static inline vec vec_load(const int32_t *p) { return *p; }
static inline vec vec_widen(const uint16_t *p) { return *p; }
static inline void vec_store(int32_t *p, vec a) { *p = a; }

static inline bool vec_any_not_above(vec cur, vec prev) { return (uint32_t)cur <= (uint32_t)prev; }
static inline uint32_t vec_breaks(vec cur, vec prev) { return (uint32_t)cur != (uint32_t)prev + 1; }
static inline int32_t *vec_put_breaks(int32_t *out, vec cur, vec prev, uint32_t breaks)
{
    out[0] = (int32_t)((uint32_t)prev + 1);
    out[1] = cur;
    return out + 2 * breaks;
}

enum { BELOW_LANES = 1 };
static inline size_t vec_count_below(const uint16_t *p, uint16_t key) { return *p < key; }

#define VEC_INTERSECT 0

static inline int32_t *vec_put_bits(int32_t *out, uint64_t word, int32_t base) { return put_bits_plain(out, word, base); }

static inline uint16_t *vec_put_positions(uint16_t *out, uint64_t word, uint16_t base) { return put_positions_plain(out, word, base); }

enum { RUN_LANES = 1 };
static inline bool vec_put_single_runs(int32_t *out, const int32_t *flips, vec shift)
{
    *out = flips[0] + shift;
    return false;
}

static inline size_t vec_count_less(vec a, int32_t key) { return a < key; }

/* The eight bits of a byte are copied into eight bytes, where each keeps one. */
static inline void vec_spread(uint8_t *out, uint64_t word)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    for (size_t i = 0; i < 8; i++, word >>= 8) {
        const uint64_t apart = (word & 0xff) * ones & UINT64_C(0x8040201008040201);
        const uint64_t cells = (apart + 0x7f * ones) >> 7 & ones;
        memcpy(out + 8 * i, &cells, sizeof cells);
    }
}
