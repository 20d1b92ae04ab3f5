/* SPDX-License-Identifier: Apache-2.0
 * The kernels of kernels.h, written once over the compiler's vectors of WIDTH floats and compiled once for each tier. Includers define TIER, the
 * tier's name, and WIDTH: 4, 8 or 16. */
#include "attention/kernels.h"

#include <math.h>
#include <string.h>

#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)
#define QUOTE_(a) #a
#define QUOTE(a) QUOTE_(a)

typedef float vf __attribute__((vector_size(4 * WIDTH)));
typedef int32_t vi __attribute__((vector_size(4 * WIDTH)));
typedef uint32_t vu __attribute__((vector_size(4 * WIDTH)));
typedef uint16_t vh __attribute__((vector_size(2 * WIDTH)));

static inline vf load(const float *p)
{
    vf v;
    memcpy(&v, p, sizeof v);
    return v;
}
static inline void store(float *p, vf v) { memcpy(p, &v, sizeof v); }
static inline vf all(float x) { return x - (vf){0}; }
static inline vf choose(vi condition, vf yes, vf no) { return (vf)(((vi)yes & condition) | ((vi)no & ~condition)); }

/* 2^x for x <= 127; 0 below the smallest normal number, NaN for NaN. The polynomial is a minimax fit of 2^f on [-1/2, 1/2] with the
 * constant 1, so that 2^0 is 1; relative error below 1.7e-7. */
static inline vf exp2_of(vf x)
{
    const float round_to_int = 0x1.8p23f;
    vf shifted = x + round_to_int;
    vf whole = shifted - round_to_int;
    vf f = x - whole;
    vf p = f * 0x1.5bba14p-10f + 0x1.3cea88p-7f;
    p = p * f + 0x1.c6b752p-5f;
    p = p * f + 0x1.ebf9bcp-3f;
    p = p * f + 0x1.62e42ap-1f;
    p = p * f + 1.0f;
    vf power = (vf)(((vi)shifted + 127) << 23);
    return choose(x < -126.0f, (vf){0}, p * power);
}

/* The few conversions that tensors need, without a branch. */
static inline vf widen_bfloat16(vh h) { return (vf)(__builtin_convertvector(h, vu) << 16); }
static inline vf widen_float16(vh h)
{
#ifdef WIDEN_FLOAT16
    return WIDEN_FLOAT16(h);
#else
    vu bits = __builtin_convertvector(h, vu);
    vu magnitude = bits & 0x7fff;
    vf scaled = (vf)(magnitude << 13) * 0x1p112f; /* right for subnormal numbers too */
    vu special = (vu)(magnitude >= 0x7c00) & 0x7f800000;
    return (vf)((vu)scaled | special | (bits & 0x8000) << 16);
#endif
}

static inline vh narrow_bfloat16(vf v)
{
    vu bits = (vu)v;
    vu rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
    vu quiet = (bits >> 16) | 0x40;
    vu is_nan = (vu)(v != v);
    return __builtin_convertvector((rounded & ~is_nan) | (quiet & is_nan), vh);
}

static inline vh narrow_float16(vf v)
{
    vu sign = (vu)v & 0x80000000;
    vu bits = (vu)v ^ sign;
    vu normal = (bits - (112u << 23) + 0xfff + ((bits >> 13) & 1)) >> 13;
    vu small = (vu)((vf)bits + 0.5f) - 0x3f000000; /* adding 1/2 rounds at the place of the last subnormal bit */
    vu large = 0x7c00 | ((vu)(bits > 0x7f800000) & 0x200);
    vu is_small = (vu)(bits < 0x38800000), is_large = (vu)(bits >= 0x47800000);
    vu out = (small & is_small) | (large & is_large) | (normal & ~(is_small | is_large));
    return __builtin_convertvector(out | sign >> 16, vh);
}

static inline vf load_as(const void *from, rmask_dtype dtype, size_t at)
{
    if (dtype == RMASK_FLOAT32) return load((const float *)from + at);
    vh h;
    memcpy(&h, (const uint16_t *)from + at, sizeof h);
    return dtype == RMASK_BFLOAT16 ? widen_bfloat16(h) : widen_float16(h);
}

/* The last count % WIDTH elements. */
static inline vf load_some_as(const void *from, rmask_dtype dtype, size_t at, size_t count)
{
    const size_t size = dtype == RMASK_FLOAT32 ? 4 : 2;
    char padded[4 * WIDTH] = {0};
    memcpy(padded, (const char *)from + at * size, count * size);
    return load_as(padded, dtype, 0);
}
static inline void store_some(float *to, vf v, size_t count) { memcpy(to, &v, count * sizeof *to); }

static inline __attribute__((always_inline)) void widen_as(float *to, const void *from, rmask_dtype dtype, size_t count)
{
    size_t i = 0;
    for (; i + WIDTH <= count; i += WIDTH) store(to + i, load_as(from, dtype, i));
    if (i < count) store_some(to + i, load_some_as(from, dtype, i, count - i), count - i);
}

static void widen(float *to, const void *from, rmask_dtype dtype, size_t count)
{
    switch (dtype) {
    case RMASK_FLOAT32: memcpy(to, from, count * sizeof *to); break;
    case RMASK_BFLOAT16: widen_as(to, from, RMASK_BFLOAT16, count); break;
    case RMASK_FLOAT16: widen_as(to, from, RMASK_FLOAT16, count); break;
    }
}

/* ---------------------------------------------------------------- shuffles */

/* In groups of 2 d lanes: the lower halves of both groups, and the upper halves. */
#define LOW(i, d) ((i) & (d) ? (i) - (d) + WIDTH : (i))
#define HIGH(i, d) ((i) & (d) ? (i) + WIDTH : (i) + (d))
#define FOUR(f, i, d) f(i, d), f(i + 1, d), f(i + 2, d), f(i + 3, d)
#if WIDTH == 16
#define LIST(f, d) FOUR(f, 0, d), FOUR(f, 4, d), FOUR(f, 8, d), FOUR(f, 12, d)
#elif WIDTH == 8
#define LIST(f, d) FOUR(f, 0, d), FOUR(f, 4, d)
#else
#define LIST(f, d) FOUR(f, 0, d)
#endif
#if defined(__clang__)
#define SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define SHUFFLE(a, b, ...) __builtin_shuffle(a, b, (vi){__VA_ARGS__})
#endif
#define LOWER(a, b, d) SHUFFLE(a, b, LIST(LOW, d))
#define UPPER(a, b, d) SHUFFLE(a, b, LIST(HIGH, d))

/* Lane j of v[i] changes places with lane i of v[j]. */
static inline void transpose(vf v[WIDTH])
{
#define SWAP(d)                                      \
    for (int i = 0; i < WIDTH; i++)                  \
        if (!(i & (d))) {                            \
            vf low = LOWER(v[i], v[i + (d)], d);     \
            v[i + (d)] = UPPER(v[i], v[i + (d)], d); \
            v[i] = low;                              \
        }
    SWAP(1)
    SWAP(2)
#if WIDTH >= 8
    SWAP(4)
#endif
#if WIDTH >= 16
    SWAP(8)
#endif
}

static inline __attribute__((always_inline)) void rows_to_lanes_as(float *to, int lanes, const void *const *rows, int num_rows,
                                                                   rmask_dtype dtype, int head_dim, float scale)
{
    for (int lane = 0; lane < lanes; lane += WIDTH)
        for (int d = 0; d < head_dim; d += WIDTH) {
            const int n = head_dim - d < WIDTH ? head_dim - d : WIDTH;
            vf v[WIDTH];
#pragma GCC unroll 16
            for (int i = 0; i < WIDTH; i++) {
                if (lane + i >= num_rows)
                    v[i] = (vf){0};
                else
                    v[i] = (n == WIDTH ? load_as(rows[lane + i], dtype, (size_t)d)
                                       : load_some_as(rows[lane + i], dtype, (size_t)d, (size_t)n)) *
                           scale;
            }
            transpose(v);
#pragma GCC unroll 16
            for (int i = 0; i < WIDTH; i++)
                if (i < n) store(to + (ptrdiff_t)(d + i) * lanes + lane, v[i]);
        }
}

static void rows_to_lanes(float *to, int lanes, const void *const *rows, int num_rows, rmask_dtype dtype, int head_dim,
                          float scale)
{
    switch (dtype) {
    case RMASK_FLOAT32: rows_to_lanes_as(to, lanes, rows, num_rows, RMASK_FLOAT32, head_dim, scale); break;
    case RMASK_BFLOAT16: rows_to_lanes_as(to, lanes, rows, num_rows, RMASK_BFLOAT16, head_dim, scale); break;
    case RMASK_FLOAT16: rows_to_lanes_as(to, lanes, rows, num_rows, RMASK_FLOAT16, head_dim, scale); break;
    }
}

static inline void store_as(void *to, rmask_dtype dtype, size_t at, vf v, size_t count)
{
    if (dtype == RMASK_FLOAT32) {
        memcpy((float *)to + at, &v, count * sizeof(float));
    } else {
        vh h = dtype == RMASK_BFLOAT16 ? narrow_bfloat16(v) : narrow_float16(v);
        memcpy((uint16_t *)to + at, &h, count * sizeof(uint16_t));
    }
}

static void narrow(void *to, const float *from, rmask_dtype dtype, size_t count)
{
    for (size_t i = 0; i < count; i += WIDTH) {
        size_t n = count - i < WIDTH ? count - i : WIDTH;
        store_as(to, dtype, i, n == WIDTH ? load(from + i) : load_some_as(from, RMASK_FLOAT32, i, n), n);
    }
}

static inline __attribute__((always_inline)) void lanes_to_rows_as(void *const *rows, int num_rows, rmask_dtype dtype,
                                                                   const float *from, int lanes, int head_dim,
                                                                   const float *factor)
{
    for (int lane = 0; lane < num_rows; lane += WIDTH)
        for (int d = 0; d < head_dim; d += WIDTH) {
            const int n = head_dim - d < WIDTH ? head_dim - d : WIDTH;
            const vf by = load(factor + lane);
            vf v[WIDTH];
#pragma GCC unroll 16
            for (int i = 0; i < WIDTH; i++) v[i] = i < n ? load(from + (ptrdiff_t)(d + i) * lanes + lane) * by : (vf){0};
            transpose(v);
#pragma GCC unroll 16
            for (int i = 0; i < WIDTH; i++)
                if (lane + i < num_rows) {
                    if (n == WIDTH)
                        store_as(rows[lane + i], dtype, (size_t)d, v[i], WIDTH);
                    else
                        store_as(rows[lane + i], dtype, (size_t)d, v[i], (size_t)n);
                }
        }
}

static void lanes_to_rows(void *const *rows, int num_rows, rmask_dtype dtype, const float *from, int lanes, int head_dim,
                          const float *factor)
{
    switch (dtype) {
    case RMASK_FLOAT32: lanes_to_rows_as(rows, num_rows, RMASK_FLOAT32, from, lanes, head_dim, factor); break;
    case RMASK_BFLOAT16: lanes_to_rows_as(rows, num_rows, RMASK_BFLOAT16, from, lanes, head_dim, factor); break;
    case RMASK_FLOAT16: lanes_to_rows_as(rows, num_rows, RMASK_FLOAT16, from, lanes, head_dim, factor); break;
    }
}

/* ---------------------------------------------------------------- lanes */

/* `vectors` vectors of lanes times `step` outer entries are in registers at once. */
static inline __attribute__((always_inline)) void product_block(const float *a, const float *b, ptrdiff_t b_outer,
                                                                ptrdiff_t b_inner, float *c, int lanes, int depth, bool add,
                                                                const int vectors, const int step)
{
    vf sum[6][4];
    for (int j = 0; j < step; j++)
        for (int v = 0; v < vectors; v++) sum[j][v] = add ? load(c + j * lanes + v * WIDTH) : (vf){0};
    for (int i = 0; i < depth; i++) {
        vf from[4];
        for (int v = 0; v < vectors; v++) from[v] = load(a + (ptrdiff_t)i * lanes + v * WIDTH);
#pragma GCC unroll 6
        for (int j = 0; j < step; j++) {
            float weight = b[j * b_outer + i * b_inner];
#pragma GCC unroll 4
            for (int v = 0; v < vectors; v++) sum[j][v] += from[v] * weight;
        }
    }
    for (int j = 0; j < step; j++)
        for (int v = 0; v < vectors; v++) store(c + j * lanes + v * WIDTH, sum[j][v]);
}

static inline __attribute__((always_inline)) void product_lanes(const float *a, const float *b, ptrdiff_t b_outer,
                                                                ptrdiff_t b_inner, float *c, int lanes, int outer, int depth,
                                                                bool add, const int vectors)
{
    int j = 0;
    for (; j + 6 <= outer; j += 6)
        product_block(a, b + j * b_outer, b_outer, b_inner, c + (ptrdiff_t)j * lanes, lanes, depth, add, vectors, 6);
    for (; j < outer; j++)
        product_block(a, b + j * b_outer, b_outer, b_inner, c + (ptrdiff_t)j * lanes, lanes, depth, add, vectors, 1);
}

static void product(const float *a, const float *b, ptrdiff_t b_outer, ptrdiff_t b_inner, float *c, int lanes, int outer,
                    int depth, bool add)
{
    enum { AT_ONCE = WIDTH == 16 ? 4 : 2 }; /* registers: 32 with AVX-512, 16 without */
    int lane = 0;
    for (; lane + AT_ONCE * WIDTH <= lanes; lane += AT_ONCE * WIDTH)
        product_lanes(a + lane, b, b_outer, b_inner, c + lane, lanes, outer, depth, add, AT_ONCE);
    for (; lane < lanes; lane += WIDTH) product_lanes(a + lane, b, b_outer, b_inner, c + lane, lanes, outer, depth, add, 1);
}

static inline vf cap_of(vf score, float cap)
{
    vf twice = score * (2 * 1.44269504088896341f);
    vf e = exp2_of(choose(twice > 126.0f, all(126.0f), twice));
    return cap - 2 * cap / (e + 1.0f);
}

static void cap(float *scores, size_t count, float limit)
{
    size_t i = 0;
    for (; i + WIDTH <= count; i += WIDTH) store(scores + i, cap_of(load(scores + i), limit));
    if (i < count) store_some(scores + i, cap_of(load_some_as(scores, RMASK_FLOAT32, i, count - i), limit), count - i);
}

static void slope_lanes(float *scores, int keys, int lanes, float first_key, const float *position, const float *slope)
{
    for (int key = 0; key < keys; key++)
        for (int lane = 0; lane < lanes; lane += WIDTH) {
            float *at = scores + (ptrdiff_t)key * lanes + lane;
            store(at, load(at) + load(slope + lane) * (first_key + (float)key - load(position + lane)));
        }
}

/* A row that has seen nothing yet has the maximum minus infinity, and nothing may be subtracted from that. */
static inline vf finite_or_zero(vf max) { return choose(max == -INFINITY, (vf){0}, max); }

static inline vf larger(vf a, vf b) { return choose(a > b, a, b); }

/* `vectors` vectors of lanes and `rows` keys at a time, four in all: whole cache lines in their order in memory, and independent work for the
 * pipeline. */
static inline __attribute__((always_inline)) vi softmax_vectors(float *scores, int keys, int lanes, float *max, float *sum,
                                                                float *factor, const int vectors, const int rows)
{
    vf top[4][4], base[4], total[4][4];
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < vectors; v++) {
            top[r][v] = load(max + v * WIDTH);
            total[r][v] = (vf){0};
        }
    int key = 0;
    for (; key + rows <= keys; key += rows)
        for (int r = 0; r < rows; r++)
            for (int v = 0; v < vectors; v++)
                top[r][v] = larger(load(scores + (ptrdiff_t)(key + r) * lanes + v * WIDTH), top[r][v]);
    for (; key < keys; key++)
        for (int v = 0; v < vectors; v++) top[0][v] = larger(load(scores + (ptrdiff_t)key * lanes + v * WIDTH), top[0][v]);
    for (int v = 0; v < vectors; v++) {
        for (int r = 1; r < rows; r++) top[0][v] = larger(top[r][v], top[0][v]);
        base[v] = finite_or_zero(top[0][v]);
    }
    for (key = 0; key + rows <= keys; key += rows)
        for (int r = 0; r < rows; r++)
            for (int v = 0; v < vectors; v++) {
                float *at = scores + (ptrdiff_t)(key + r) * lanes + v * WIDTH;
                vf weight = exp2_of(load(at) - base[v]);
                store(at, weight);
                total[r][v] += weight;
            }
    for (; key < keys; key++)
        for (int v = 0; v < vectors; v++) {
            float *at = scores + (ptrdiff_t)key * lanes + v * WIDTH;
            vf weight = exp2_of(load(at) - base[v]);
            store(at, weight);
            total[0][v] += weight;
        }
    vi changed = {0};
    for (int v = 0; v < vectors; v++) {
        const int lane = v * WIDTH;
        for (int r = 1; r < rows; r++) total[0][v] += total[r][v];
        vf back = exp2_of(load(max + lane) - base[v]);
        store(max + lane, top[0][v]);
        store(sum + lane, load(sum + lane) * back + total[0][v]);
        store(factor + lane, back);
        changed |= back != 1.0f;
    }
    return changed;
}

static bool softmax_lanes(float *scores, int keys, int lanes, float *max, float *sum, float *factor)
{
    vi changed = {0};
    int lane = 0;
    for (; lane + 4 * WIDTH <= lanes; lane += 4 * WIDTH)
        changed |= softmax_vectors(scores + lane, keys, lanes, max + lane, sum + lane, factor + lane, 4, 1);
    for (; lane + 2 * WIDTH <= lanes; lane += 2 * WIDTH)
        changed |= softmax_vectors(scores + lane, keys, lanes, max + lane, sum + lane, factor + lane, 2, 2);
    for (; lane < lanes; lane += WIDTH)
        changed |= softmax_vectors(scores + lane, keys, lanes, max + lane, sum + lane, factor + lane, 1, 4);
    int32_t any = 0;
    for (int i = 0; i < WIDTH; i++) any |= changed[i];
    return any != 0;
}

static void scale_lanes(float *values, int depth, int lanes, const float *factor)
{
    for (int i = 0; i < depth; i++)
        for (int lane = 0; lane < lanes; lane += WIDTH) {
            float *at = values + (ptrdiff_t)i * lanes + lane;
            store(at, load(at) * load(factor + lane));
        }
}

/* ---------------------------------------------------------------- row */

static bool softmax_row(float *scores, int keys, float *max, float *sum, float *factor)
{
    float old = *max, new = old;
    vf top = all(old);
    int key = 0;
    for (; key + WIDTH <= keys; key += WIDTH) top = larger(load(scores + key), top);
    for (int i = 0; i < WIDTH; i++) new = top[i] > new ? top[i] : new;
    for (; key < keys; key++) new = scores[key] > new ? scores[key] : new;
    float base = new == -INFINITY ? 0.0f : new;
    vf total = {0};
    for (key = 0; key + WIDTH <= keys; key += WIDTH) {
        vf weight = exp2_of(load(scores + key) - base);
        store(scores + key, weight);
        total += weight;
    }
    if (key < keys) {
        size_t rest = (size_t)(keys - key);
        vf weight = exp2_of(load_some_as(scores, RMASK_FLOAT32, (size_t)key, rest) - base);
        store_some(scores + key, weight, rest);
        for (size_t i = 0; i < rest; i++) total[i] += weight[i];
    }
    float back = exp2_of(all(old - base))[0], gathered = 0;
    for (int i = 0; i < WIDTH; i++) gathered += total[i];
    *max = new;
    *sum = *sum * back + gathered;
    *factor = back;
    return back != 1.0f;
}

/* Lane i of the result is the sum of the lanes of v[i]: WIDTH sums in 2 (WIDTH - 1) shuffles. */
static inline vf sums(vf v[WIDTH])
{
#define HALVE(d) \
    for (int i = 0; i < WIDTH / (2 * (d)); i++) v[i] = LOWER(v[2 * i], v[2 * i + 1], d) + UPPER(v[2 * i], v[2 * i + 1], d)
    HALVE(1);
    HALVE(2);
#if WIDTH >= 8
    HALVE(4);
#endif
#if WIDTH >= 16
    HALVE(8);
#endif
    return v[0];
}

static inline __attribute__((always_inline)) void dot_rows(const float *query, int head_dim, const void *keys,
                                                           rmask_dtype dtype, ptrdiff_t token_stride, int num_keys,
                                                           float *scores)
{
    const int whole = head_dim - head_dim % WIDTH;
    for (int key = 0; key < num_keys; key += WIDTH) {
        vf part[WIDTH];
        for (int i = 0; i < WIDTH; i++) {
            /* Past the last key the last one is read again, and its sum dropped. */
            ptrdiff_t at = (key + i < num_keys ? key + i : num_keys - 1) * token_stride;
            vf sum = {0};
            int d = 0;
            for (; d < whole; d += WIDTH) sum += load(query + d) * load_as(keys, dtype, (size_t)(at + d));
            if (d < head_dim)
                sum += load_some_as(query, RMASK_FLOAT32, (size_t)d, (size_t)(head_dim - d)) *
                       load_some_as(keys, dtype, (size_t)(at + d), (size_t)(head_dim - d));
            part[i] = sum;
        }
        vf score = sums(part);
        if (key + WIDTH <= num_keys)
            store(scores + key, score);
        else
            store_some(scores + key, score, (size_t)(num_keys - key));
    }
}

/* Scores of `vectors` vectors of keys, whose sums are independent work for the pipeline. */
static inline __attribute__((always_inline)) void dot_column_block(const float *query, int head_dim, const void *keys,
                                                                   rmask_dtype dtype, ptrdiff_t dim_stride, int first_key,
                                                                   float *scores, const int vectors)
{
    vf even[4] = {{0}, {0}, {0}, {0}}, odd[4] = {{0}, {0}, {0}, {0}};
    int d = 0;
    for (; d + 2 <= head_dim; d += 2)
        for (int v = 0; v < vectors; v++) {
            size_t at = (size_t)(d * dim_stride + first_key + v * WIDTH);
            even[v] += query[d] * load_as(keys, dtype, at);
            odd[v] += query[d + 1] * load_as(keys, dtype, at + (size_t)dim_stride);
        }
    for (int v = 0; v < vectors; v++) {
        if (d < head_dim) even[v] += query[d] * load_as(keys, dtype, (size_t)(d * dim_stride + first_key + v * WIDTH));
        store(scores + first_key + v * WIDTH, even[v] + odd[v]);
    }
}

static inline __attribute__((always_inline)) void dot_columns(const float *query, int head_dim, const void *keys,
                                                              rmask_dtype dtype, ptrdiff_t dim_stride, int num_keys,
                                                              float *scores)
{
    int key = 0;
    for (; key + 4 * WIDTH <= num_keys; key += 4 * WIDTH)
        dot_column_block(query, head_dim, keys, dtype, dim_stride, key, scores, 4);
    for (; key + WIDTH <= num_keys; key += WIDTH) dot_column_block(query, head_dim, keys, dtype, dim_stride, key, scores, 1);
    if (key == num_keys) return;
    const size_t n = (size_t)(num_keys - key);
    vf sum = {0};
    for (int d = 0; d < head_dim; d++) sum += query[d] * load_some_as(keys, dtype, (size_t)(d * dim_stride + key), n);
    store_some(scores + key, sum, n);
}

static inline __attribute__((always_inline)) void dot_as(const float *query, int head_dim, const void *keys, rmask_dtype dtype,
                                                         ptrdiff_t token_stride, ptrdiff_t dim_stride, int num_keys,
                                                         float *scores)
{
    if (dim_stride == 1)
        dot_rows(query, head_dim, keys, dtype, token_stride, num_keys, scores);
    else
        dot_columns(query, head_dim, keys, dtype, dim_stride, num_keys, scores);
}

static void dot_keys(const float *query, int head_dim, const void *keys, rmask_dtype dtype, ptrdiff_t token_stride,
                     ptrdiff_t dim_stride, int num_keys, float *scores)
{
    switch (dtype) {
    case RMASK_FLOAT32: dot_as(query, head_dim, keys, RMASK_FLOAT32, token_stride, dim_stride, num_keys, scores); break;
    case RMASK_BFLOAT16: dot_as(query, head_dim, keys, RMASK_BFLOAT16, token_stride, dim_stride, num_keys, scores); break;
    case RMASK_FLOAT16: dot_as(query, head_dim, keys, RMASK_FLOAT16, token_stride, dim_stride, num_keys, scores); break;
    }
}

/* `vectors` vectors of `out` stay in registers while all keys go by. */
static inline __attribute__((always_inline)) int add_value_blocks(float *out, int d, int head_dim, const float *weights,
                                                                  const void *values, rmask_dtype dtype, ptrdiff_t token_stride,
                                                                  int num_keys, const int vectors)
{
    for (; d + vectors * WIDTH <= head_dim; d += vectors * WIDTH) {
        vf sum[8];
        for (int i = 0; i < vectors; i++) sum[i] = load(out + d + i * WIDTH);
        for (int key = 0; key < num_keys; key++)
            for (int i = 0; i < vectors; i++)
                sum[i] += weights[key] * load_as(values, dtype, (size_t)(key * token_stride + d + i * WIDTH));
        for (int i = 0; i < vectors; i++) store(out + d + i * WIDTH, sum[i]);
    }
    return d;
}

static inline __attribute__((always_inline)) void add_values_as(float *out, int head_dim, const float *weights,
                                                                const void *values, rmask_dtype dtype, ptrdiff_t token_stride,
                                                                int num_keys)
{
    int d = add_value_blocks(out, 0, head_dim, weights, values, dtype, token_stride, num_keys, 8);
    d = add_value_blocks(out, d, head_dim, weights, values, dtype, token_stride, num_keys, 4);
    d = add_value_blocks(out, d, head_dim, weights, values, dtype, token_stride, num_keys, 1);
    if (d == head_dim) return;
    const size_t n = (size_t)(head_dim - d);
    vf sum = load_some_as(out, RMASK_FLOAT32, (size_t)d, n);
    for (int key = 0; key < num_keys; key++)
        sum += weights[key] * load_some_as(values, dtype, (size_t)(key * token_stride + d), n);
    store_some(out + d, sum, n);
}

static void add_values(float *out, int head_dim, const float *weights, const void *values, rmask_dtype dtype,
                       ptrdiff_t token_stride, int num_keys)
{
    switch (dtype) {
    case RMASK_FLOAT32: add_values_as(out, head_dim, weights, values, RMASK_FLOAT32, token_stride, num_keys); break;
    case RMASK_BFLOAT16: add_values_as(out, head_dim, weights, values, RMASK_BFLOAT16, token_stride, num_keys); break;
    case RMASK_FLOAT16: add_values_as(out, head_dim, weights, values, RMASK_FLOAT16, token_stride, num_keys); break;
    }
}

const rmask_attention_kernels JOIN(rmask_attention_, TIER) = {
    QUOTE(TIER), product,       widen,       narrow,      rows_to_lanes, lanes_to_rows, cap,
    slope_lanes, softmax_lanes, softmax_row, scale_lanes, dot_keys,      add_values,
};
