/* SPDX-License-Identifier: Apache-2.0
 * One call of rmask_attention, checked: what all parts of it look at and none of them changes. */
#ifndef ROARMASK_ATTENTION_JOB_H
#define ROARMASK_ATTENTION_JOB_H

#include "attention/kernels.h"
#include "core/memory.h"

typedef struct attention_job {
    const rmask_attention_args *args;
    rmask_allocator allocator;
    const rmask_attention_kernels *kernels;
    int group;         /* query heads a KV head */
    float query_scale; /* what queries are multiplied by, so that scores come out in log base 2, or ready for the soft cap */
    float cap;         /* soft cap in log base 2, or 0 */
    bool dry;          /* count only */
} attention_job;

#define LOG2_E 1.44269504088896341f
#define LN_2 0.693147180559945309f

/* Checks everything that can be checked without reading a mask's rows, and fills `job`. */
rmask_status rmask_attention_check(const rmask_attention_args *args, bool dry, attention_job *job, rmask_error *error);

/* One tensor: data unless `may_be_null`, a dtype, strides. */
rmask_status rmask_attention_check_tensor(const rmask_tensor *tensor, const char *name, bool may_be_columns, bool may_be_null,
                                          rmask_error *error);

/* The first query's position. */
static inline int32_t sequence_position(const rmask_attention_sequence *sequence)
{
    return sequence->first_position < 0 ? sequence->num_keys - sequence->num_queries : sequence->first_position;
}

/* The mask of a query head, or NULL where it is dense. */
const rmask *rmask_attention_mask_of(const attention_job *job, const rmask_attention_sequence *sequence, int head);

/* How many elements the dtype's numbers are wide, in bytes. */
static inline size_t dtype_size(rmask_dtype dtype) { return dtype == RMASK_FLOAT32 ? 4 : 2; }

static inline char *tensor_at(const rmask_tensor *tensor, int64_t batch, int64_t token, int head)
{
    int64_t at = batch * tensor->batch_stride + token * tensor->token_stride + head * tensor->head_stride;
    return (char *)tensor->data + at * (int64_t)dtype_size(tensor->dtype);
}

/* Where key (or value) token `key` of a sequence begins. */
static inline char *key_at(const rmask_attention_args *args, const rmask_tensor *tensor,
                           const rmask_attention_sequence *sequence, int32_t key, int kv_head)
{
    if (!sequence->pages) return tensor_at(tensor, sequence->key_batch, sequence->key_token + key, kv_head);
    return tensor_at(tensor, sequence->pages[key / args->page_tokens], key % args->page_tokens, kv_head);
}

static inline float *lse_at(const rmask_attention_args *args, int64_t batch, int64_t token, int head)
{
    return args->lse + batch * args->lse_batch_stride + token * args->lse_token_stride + head * args->lse_head_stride;
}

/* The oracle: the whole job in plain loops. */
rmask_status rmask_attention_reference(const attention_job *job, rmask_error *error);

#endif
