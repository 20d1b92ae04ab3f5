/* SPDX-License-Identifier: Apache-2.0
 * What makes no sense is said before anything is written. */
#include "attention/job.h"
#include "core/status.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>

enum { MAX_HEAD_DIM = 512, MAX_BLOCK = 1 << 30 };

rmask_status rmask_attention_check_tensor(const rmask_tensor *tensor, const char *name, bool may_be_columns, bool may_be_null,
                                          rmask_error *error)
{
    if (!tensor->data && !may_be_null) return rmask_fail(error, RMASK_ERR_ARGUMENT, "attention: no data for %s", name);
    if ((unsigned)tensor->dtype > RMASK_FLOAT16)
        return rmask_fail(error, RMASK_ERR_ARGUMENT, "attention: %s has the unknown dtype %d", name, (int)tensor->dtype);
    if (tensor->dim_stride == 0 || tensor->dim_stride == 1) {
        if (tensor->token_stride > INT_MAX || tensor->token_stride < 0)
            return rmask_fail(error, RMASK_ERR_ARGUMENT, "attention: %s has the token stride %lld; it must be 0 to 2^31 - 1",
                              name, (long long)tensor->token_stride);
        return RMASK_OK;
    }
    if (!may_be_columns)
        return rmask_fail(error, RMASK_ERR_ARGUMENT,
                          "attention: %s has the dim stride %lld; it must be contiguous in the head dimension", name,
                          (long long)tensor->dim_stride);
    if (tensor->token_stride != 1 || tensor->dim_stride < 0 || tensor->dim_stride > INT_MAX)
        return rmask_fail(
            error, RMASK_ERR_ARGUMENT,
            "attention: %s has token stride %lld and dim stride %lld; one of them must be 1, the other 1 to 2^31 - 1", name,
            (long long)tensor->token_stride, (long long)tensor->dim_stride);
    return RMASK_OK;
}

static rmask_status check_shape(const rmask_attention_args *args, rmask_error *error)
{
    if (args->head_dim < 1 || args->head_dim > MAX_HEAD_DIM)
        return rmask_fail(error, RMASK_ERR_ARGUMENT, "attention: a head dimension of %d; it must be 1 to %d", args->head_dim,
                          MAX_HEAD_DIM);
    if (args->num_kv_heads < 1 || args->num_heads < 1 || args->num_heads % args->num_kv_heads != 0)
        return rmask_fail(error, RMASK_ERR_ARGUMENT,
                          "attention: %d heads over %d KV heads; heads must be a multiple of KV heads", args->num_heads,
                          args->num_kv_heads);
    if (args->num_sequences < 0 || (args->num_sequences > 0 && !args->sequences))
        return rmask_fail(error, RMASK_ERR_ARGUMENT, "attention: %d sequences without a list of them", args->num_sequences);
    if (args->key.dtype != args->value.dtype)
        return rmask_fail(error, RMASK_ERR_ARGUMENT, "attention: keys and values differ in dtype");
    return RMASK_OK;
}

static rmask_status check_numbers(const rmask_attention_args *args, rmask_error *error)
{
    if (!isfinite(args->scale)) return rmask_fail(error, RMASK_ERR_ARGUMENT, "attention: scale is not a finite number");
    if (!isfinite(args->soft_cap) || args->soft_cap < 0)
        return rmask_fail(error, RMASK_ERR_ARGUMENT, "attention: the soft cap is %g; it must be above 0, or 0 for none",
                          (double)args->soft_cap);
    for (int head = 0; head < args->num_heads; head++) {
        if (args->alibi_slopes && !isfinite(args->alibi_slopes[head]))
            return rmask_fail(error, RMASK_ERR_ARGUMENT, "attention: the ALiBi slope of head %d is not a finite number", head);
        if (args->sinks && (isnan(args->sinks[head]) || args->sinks[head] == INFINITY))
            return rmask_fail(error, RMASK_ERR_ARGUMENT, "attention: the sink of head %d is not a number below infinity", head);
    }
    if (args->num_threads < 0)
        return rmask_fail(error, RMASK_ERR_ARGUMENT, "attention: %d threads; 0 means as many as OpenMP likes",
                          args->num_threads);
    if ((unsigned)args->method > RMASK_ATTENTION_REFERENCE)
        return rmask_fail(error, RMASK_ERR_ARGUMENT, "attention: unknown method %d", (int)args->method);
    return RMASK_OK;
}

static rmask_status check_masks(const rmask_attention_args *args, int index, rmask_error *error)
{
    const rmask_attention_sequence *sequence = &args->sequences[index];
    const int n = sequence->num_masks;
    if (n == 0) return RMASK_OK;
    if (!sequence->masks || (n != 1 && n != args->num_kv_heads && n != args->num_heads))
        return rmask_fail(error, RMASK_ERR_ARGUMENT,
                          "attention: sequence %d has %d masks; it takes 1, one a KV head (%d) or one a head (%d)", index, n,
                          args->num_kv_heads, args->num_heads);
    if (args->block_queries < 1 || args->block_keys < 1 || args->block_queries > MAX_BLOCK || args->block_keys > MAX_BLOCK)
        return rmask_fail(error, RMASK_ERR_ARGUMENT, "attention: masks in blocks of %d x %d tokens; sides must be 1 to 2^30",
                          args->block_queries, args->block_keys);
    const int64_t positions = (int64_t)sequence_position(sequence) + sequence->num_queries;
    for (int i = 0; i < n; i++) {
        const rmask *mask = sequence->masks[i];
        if (!mask) continue;
        int64_t rows = (int64_t)rmask_rows(mask) * args->block_queries, cols = (int64_t)rmask_cols(mask) * args->block_keys;
        if (rows < positions || cols < sequence->num_keys)
            return rmask_fail(error, RMASK_ERR_RANGE,
                              "attention: mask %d of sequence %d covers %lld query and %lld key tokens (%d x %d blocks of %d x "
                              "%d), but there are "
                              "%lld and %d",
                              i, index, (long long)rows, (long long)cols, rmask_rows(mask), rmask_cols(mask),
                              args->block_queries, args->block_keys, (long long)positions, sequence->num_keys);
    }
    return RMASK_OK;
}

static rmask_status check_pages(const rmask_attention_args *args, int index, rmask_error *error)
{
    const rmask_attention_sequence *sequence = &args->sequences[index];
    if (!sequence->pages) return RMASK_OK;
    if (args->page_tokens < 1)
        return rmask_fail(error, RMASK_ERR_ARGUMENT, "attention: sequence %d has pages of %d tokens", index, args->page_tokens);
    const int64_t num_pages = ((int64_t)sequence->num_keys + args->page_tokens - 1) / args->page_tokens;
    for (int64_t i = 0; i < num_pages; i++)
        if (sequence->pages[i] < 0 || sequence->pages[i] >= args->num_pages)
            return rmask_fail(error, RMASK_ERR_RANGE,
                              "attention: entry %lld of sequence %d's block table is page %d, but the cache has %d",
                              (long long)i, index, sequence->pages[i], args->num_pages);
    return RMASK_OK;
}

static rmask_status check_sequence(const rmask_attention_args *args, int index, rmask_error *error)
{
    const rmask_attention_sequence *sequence = &args->sequences[index];
    if (sequence->num_queries < 0 || sequence->num_keys < 0)
        return rmask_fail(error, RMASK_ERR_ARGUMENT, "attention: sequence %d has %d queries and %d keys", index,
                          sequence->num_queries, sequence->num_keys);
    if (sequence->first_position < -1)
        return rmask_fail(error, RMASK_ERR_ARGUMENT, "attention: sequence %d has the first position %d; it must be -1 or more",
                          index, sequence->first_position);
    if (sequence->first_position < 0 && sequence->num_queries > sequence->num_keys)
        return rmask_fail(error, RMASK_ERR_ARGUMENT,
                          "attention: sequence %d has %d queries at the end of %d keys; say where they are in first_position",
                          index, sequence->num_queries, sequence->num_keys);
    if ((int64_t)sequence_position(sequence) + sequence->num_queries > INT32_MAX - MAX_LANES ||
        sequence->num_keys > INT32_MAX - MAX_LANES)
        return rmask_fail(error, RMASK_ERR_RANGE, "attention: sequence %d ends past token %d", index, INT32_MAX - MAX_LANES);
    RMASK_TRY(check_masks(args, index, error));
    return check_pages(args, index, error);
}

/* Data where there are tokens: an empty tensor may have none. */
static rmask_status check_tensors(const rmask_attention_args *args, bool dry, rmask_error *error)
{
    bool no_queries = true, no_keys = true;
    for (int i = 0; args->sequences && i < args->num_sequences; i++) {
        no_queries &= args->sequences[i].num_queries == 0;
        no_keys &= args->sequences[i].num_keys == 0;
    }
    RMASK_TRY(rmask_attention_check_tensor(&args->query, "query", false, dry || no_queries, error));
    RMASK_TRY(rmask_attention_check_tensor(&args->key, "key", true, dry || no_keys, error));
    RMASK_TRY(rmask_attention_check_tensor(&args->value, "value", false, dry || no_keys, error));
    return rmask_attention_check_tensor(&args->out, "out", false, dry || no_queries, error);
}

rmask_status rmask_attention_check(const rmask_attention_args *args, bool dry, attention_job *job, rmask_error *error)
{
    RMASK_TRY(check_tensors(args, dry, error));
    RMASK_TRY(check_shape(args, error));
    RMASK_TRY(check_numbers(args, error));
    for (int i = 0; i < args->num_sequences; i++) RMASK_TRY(check_sequence(args, i, error));

    float scale = args->scale != 0 ? args->scale : 1.0f / sqrtf((float)args->head_dim);
    const float query_scale = args->soft_cap > 0 ? scale / args->soft_cap : scale * LOG2_E, cap = args->soft_cap * LOG2_E;
    if (!isfinite(query_scale) || !isfinite(cap))
        return rmask_fail(error, RMASK_ERR_ARGUMENT, "attention: a scale of %g with a soft cap of %g is beyond float32",
                          (double)scale, (double)args->soft_cap);
    *job = (attention_job){
        .args = args,
        .allocator = rmask_allocator_or_default(args->allocator),
        .kernels = rmask_attention_kernels_get(),
        .group = args->num_heads / args->num_kv_heads,
        .query_scale = query_scale,
        .cap = cap,
        .dry = dry,
    };
    return RMASK_OK;
}

const rmask *rmask_attention_mask_of(const attention_job *job, const rmask_attention_sequence *sequence, int head)
{
    if (sequence->num_masks == 0) return NULL;
    if (sequence->num_masks == 1) return sequence->masks[0];
    return sequence->masks[sequence->num_masks == job->args->num_heads ? head : head / job->group];
}
