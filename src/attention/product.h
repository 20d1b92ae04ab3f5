/* SPDX-License-Identifier: Apache-2.0
 * The small products of attention: libxsmm's generated code where it is built in and runs here, else the tier's own loops. */
#ifndef ROARMASK_ATTENTION_PRODUCT_H
#define ROARMASK_ATTENTION_PRODUCT_H

#include "attention/kernels.h"

enum { PRODUCT_SIZES = LANE_UNIT + 5 };

/* The products of one shape but for the number of keys: filled on first use. Zeroed is empty. One a thread. */
typedef struct attention_product {
    int lanes;
    ptrdiff_t stride;
    void *code[PRODUCT_SIZES];
} attention_product;

/* scores[key][lane] = sum over d of query[d][lane] * keys[key][d]; `columns` says that `stride` separates dims, not keys. */
void rmask_attention_scores(const rmask_attention_kernels *kernels, attention_product *product, const float *query,
                            const float *keys, ptrdiff_t stride, bool columns, float *scores, int lanes, int head_dim,
                            int num_keys);

/* out[d][lane] += sum over keys of weights[key][lane] * values[key][d]. */
void rmask_attention_values(const rmask_attention_kernels *kernels, attention_product *product, const float *weights,
                            const float *values, ptrdiff_t stride, float *out, int lanes, int head_dim, int num_keys);

#endif
