/* SPDX-License-Identifier: Apache-2.0
 * The vector work of attention: what each tier provides. Scores are in log base 2 (they were multiplied by log2(e) on their way), so that
 * the exponential is 2 to the power of them.
 *
 * Two layouts. Lanes: scores[key][lane], a lane being a query of a head, for many queries; what happens to one key happens to whole
 * vectors of lanes. Row: scores[key] of one query, for a few queries, where the keys' memory traffic is what counts. */
#ifndef ROARMASK_ATTENTION_KERNELS_H
#define ROARMASK_ATTENTION_KERNELS_H

#include "roarmask/attention.h"

/* Lanes come in multiples of this, up to MAX_LANES. */
enum { LANE_UNIT = RMASK_ATTENTION_TILE_KEYS, MAX_LANES = 64 };

typedef struct rmask_attention_kernels {
    const char *name;

    /* c[j][lane] (+)= sum over i < depth of a[i][lane] * b[j * b_outer + i * b_inner], for j < outer; rows of a and c are `lanes` long. */
    void (*product)(const float *a, const float *b, ptrdiff_t b_outer, ptrdiff_t b_inner, float *c, int lanes, int outer,
                    int depth, bool add);

    /* Between float32 and what tensors hold, rounding to nearest even. */
    void (*widen)(float *to, const void *from, rmask_dtype dtype, size_t count);
    void (*narrow)(void *to, const float *from, rmask_dtype dtype, size_t count);

    /* Rows become lanes: to[d][lane] = rows[lane][d] * scale, zeros from num_rows on; and lanes rows: rows[lane][d] = from[d][lane] * factor[lane].
     * Lanes [0, lanes), of which the first num_rows have rows. */
    void (*rows_to_lanes)(float *to, int lanes, const void *const *rows, int num_rows, rmask_dtype dtype, int head_dim,
                          float scale);
    void (*lanes_to_rows)(void *const *rows, int num_rows, rmask_dtype dtype, const float *from, int lanes, int head_dim,
                          const float *factor);

    /* scores = cap * tanh(scores), over `count` of them. */
    void (*cap)(float *scores, size_t count, float cap);

    /* scores[key][lane] += slope[lane] * (first_key + key - position[lane]). */
    void (*slope_lanes)(float *scores, int keys, int lanes, float first_key, const float *position, const float *slope);

    /* One step of the running softmax: scores become weights relative to the new maximum; max and sum are brought up to date, and `factor` is
     * what everything gathered so far must be multiplied by. False when that is 1 in every lane. */
    bool (*softmax_lanes)(float *scores, int keys, int lanes, float *max, float *sum, float *factor);
    bool (*softmax_row)(float *scores, int keys, float *max, float *sum, float *factor);

    /* values[i][lane] *= factor[lane] */
    void (*scale_lanes)(float *values, int depth, int lanes, const float *factor);

    /* scores[key] = dot(query, keys[key]); weights[key] * values[key] added to `out`. Strides in elements. `dim_stride` is 1 or
     * `token_stride` is. */
    void (*dot_keys)(const float *query, int head_dim, const void *keys, rmask_dtype dtype, ptrdiff_t token_stride,
                     ptrdiff_t dim_stride, int num_keys, float *scores);
    void (*add_values)(float *out, int head_dim, const float *weights, const void *values, rmask_dtype dtype,
                       ptrdiff_t token_stride, int num_keys);
} rmask_attention_kernels;

extern const rmask_attention_kernels rmask_attention_avx512, rmask_attention_avx2, rmask_attention_plain;

/* Those of the tier that the rest of the library uses (ROARMASK_SIMD). */
const rmask_attention_kernels *rmask_attention_kernels_get(void);

#endif
