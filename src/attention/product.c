/* SPDX-License-Identifier: Apache-2.0 */
#include "attention/product.h"

#include <string.h>

#ifdef ROARMASK_HAVE_LIBXSMM
#include <libxsmm.h>

/* Code is generated for a few numbers of keys; others are made of them. */
static int step_of(int num_keys, int *index)
{
    static const int sizes[] = {256, 128, 64, 32, 16};
    for (int i = 0; i < 5; i++)
        if (num_keys >= sizes[i]) {
            *index = LANE_UNIT + i;
            return sizes[i];
        }
    *index = num_keys;
    return num_keys;
}

static void forget_other_shape(attention_product *product, int lanes, ptrdiff_t stride)
{
    if (product->lanes == lanes && product->stride == stride) return;
    *product = (attention_product){.lanes = lanes, .stride = stride};
}

/* C is lanes x n, A lanes x k, B k x n or its transpose, all column-major. NULL where no code can be generated. */
static libxsmm_smmfunction generate(void **code, int lanes, int n, int k, ptrdiff_t ldb, bool transposed, bool add)
{
    if (!*code) {
        const int lda = lanes, ldb_int = (int)ldb, ldc = lanes,
                  flags = transposed ? LIBXSMM_GEMM_FLAG_TRANS_B : LIBXSMM_GEMM_FLAG_NONE;
        const float alpha = 1, beta = add ? 1 : 0;
        libxsmm_smmfunction made = libxsmm_smmdispatch(lanes, n, k, &lda, &ldb_int, &ldc, &alpha, &beta, &flags, NULL);
        memcpy(code, &made, sizeof made);
    }
    libxsmm_smmfunction function;
    memcpy(&function, code, sizeof function);
    return function;
}

/* Generated code is for the machine: a slower tier that was asked for gets the tier's own. */
static bool use_generated(const rmask_attention_kernels *kernels) { return kernels != &rmask_attention_plain; }
#endif

void rmask_attention_scores(const rmask_attention_kernels *kernels, attention_product *product, const float *query,
                            const float *keys, ptrdiff_t stride, bool columns, float *scores, int lanes, int head_dim,
                            int num_keys)
{
#ifdef ROARMASK_HAVE_LIBXSMM
    if (use_generated(kernels)) {
        forget_other_shape(product, lanes, stride);
        while (num_keys > 0) {
            int index, n = step_of(num_keys, &index);
            libxsmm_smmfunction multiply = generate(&product->code[index], lanes, n, head_dim, stride, columns, false);
            if (!multiply) break;
            multiply(query, keys, scores);
            keys += columns ? n : n * stride;
            scores += (ptrdiff_t)n * lanes;
            num_keys -= n;
        }
    }
#endif
    if (num_keys > 0)
        kernels->product(query, keys, columns ? 1 : stride, columns ? stride : 1, scores, lanes, num_keys, head_dim, false);
    (void)product;
}

void rmask_attention_values(const rmask_attention_kernels *kernels, attention_product *product, const float *weights,
                            const float *values, ptrdiff_t stride, float *out, int lanes, int head_dim, int num_keys)
{
#ifdef ROARMASK_HAVE_LIBXSMM
    if (use_generated(kernels)) {
        forget_other_shape(product, lanes, stride);
        while (num_keys > 0) {
            int index, n = step_of(num_keys, &index);
            libxsmm_smmfunction multiply = generate(&product->code[index], lanes, head_dim, n, stride, true, true);
            if (!multiply) break;
            multiply(weights, values, out);
            values += n * stride;
            weights += (ptrdiff_t)n * lanes;
            num_keys -= n;
        }
    }
#endif
    if (num_keys > 0) kernels->product(weights, values, 1, stride, out, lanes, head_dim, num_keys, true);
    (void)product;
}
