/* SPDX-License-Identifier: Apache-2.0
 * Attention as it is written down: for each query and head, all scores, their exponentials, a weighted mean. In float64, with nothing skipped
 * and nothing shared with the tiles but the reading of tensors. */
#include "attention/job.h"
#include "core/status.h"

#include <math.h>

typedef struct reference_scratch {
    double *scores, *sums;
    float *query, *line;
    uint8_t *visible;
} reference_scratch;

static double dot(const attention_job *job, const float *query, const rmask_attention_sequence *sequence, int32_t key,
                  int kv_head, float *line)
{
    const rmask_attention_args *args = job->args;
    const size_t size = dtype_size(args->key.dtype);
    const int64_t stride = args->key.dim_stride > 1 ? args->key.dim_stride : 1;
    const char *at = key_at(args, &args->key, sequence, key, kv_head);
    double sum = 0;
    for (int32_t d = 0; d < args->head_dim; d++) {
        job->kernels->widen(line, at + (size_t)(d * stride) * size, args->key.dtype, 1);
        sum += (double)query[d] * (double)line[0];
    }
    return sum;
}

static rmask_status attend(const attention_job *job, const rmask_attention_sequence *sequence, int32_t i, int head,
                           const reference_scratch *scratch, rmask_error *error)
{
    const rmask_attention_args *args = job->args;
    const int32_t position = sequence_position(sequence) + i;
    const int kv_head = head / job->group;
    const rmask *mask = rmask_attention_mask_of(job, sequence, head);
    if (mask) {
        const int32_t row = position / args->block_queries;
        RMASK_TRY(rmask_to_bytes(mask, row, row + 1, 0, rmask_cols(mask), scratch->visible, (size_t)rmask_cols(mask), error));
    }
    job->kernels->widen(scratch->query, tensor_at(&args->query, sequence->query_batch, sequence->query_token + i, head),
                        args->query.dtype, (size_t)args->head_dim);

    const double scale = args->scale != 0 ? (double)args->scale : 1 / sqrt((double)args->head_dim);
    const double sink = args->sinks ? (double)args->sinks[head] : -INFINITY;
    double max = sink;
    for (int32_t key = 0; key < sequence->num_keys; key++) {
        bool visible = (!args->causal || key <= position) && (!mask || scratch->visible[key / args->block_keys]);
        double score = -INFINITY;
        if (visible) {
            score = scale * dot(job, scratch->query, sequence, key, kv_head, scratch->line);
            if (args->soft_cap > 0) score = (double)args->soft_cap * tanh(score / (double)args->soft_cap);
            if (args->alibi_slopes) score += (double)args->alibi_slopes[head] * ((double)key - (double)position);
            if (score > max || isnan(score)) max = score;
        }
        scratch->scores[key] = score;
    }
    const double base = max == -INFINITY ? 0 : max;
    double sum = exp(sink - base);
    for (int32_t d = 0; d < args->head_dim; d++) scratch->sums[d] = 0;
    for (int32_t key = 0; key < sequence->num_keys; key++) {
        if (scratch->scores[key] == -INFINITY) continue;
        const double weight = exp(scratch->scores[key] - base);
        sum += weight;
        job->kernels->widen(scratch->line, key_at(args, &args->value, sequence, key, kv_head), args->value.dtype,
                            (size_t)args->head_dim);
        for (int32_t d = 0; d < args->head_dim; d++) scratch->sums[d] += weight * (double)scratch->line[d];
    }
    for (int32_t d = 0; d < args->head_dim; d++) scratch->line[d] = sum == 0 ? 0 : (float)(scratch->sums[d] / sum);
    job->kernels->narrow(tensor_at(&args->out, sequence->query_batch, sequence->query_token + i, head), scratch->line,
                         args->out.dtype, (size_t)args->head_dim);
    if (args->lse) *lse_at(args, sequence->query_batch, sequence->query_token + i, head) = (float)(max + log(sum));
    return RMASK_OK;
}

rmask_status rmask_attention_reference(const attention_job *job, rmask_error *error)
{
    const rmask_attention_args *args = job->args;
    size_t max_keys = 1, max_cols = 1;
    for (int s = 0; s < args->num_sequences; s++) {
        const rmask_attention_sequence *sequence = &args->sequences[s];
        if ((size_t)sequence->num_keys > max_keys) max_keys = (size_t)sequence->num_keys;
        for (int m = 0; m < sequence->num_masks; m++)
            if (sequence->masks[m] && (size_t)rmask_cols(sequence->masks[m]) > max_cols)
                max_cols = (size_t)rmask_cols(sequence->masks[m]);
    }
    const size_t dim = (size_t)args->head_dim, num_doubles = max_keys + 2 * dim;
    double *doubles = rmask_allocate(&job->allocator, num_doubles, sizeof *doubles);
    uint8_t *visible = rmask_allocate(&job->allocator, max_cols, 1);
    rmask_status status = doubles && visible ? RMASK_OK : rmask_fail_nomem(error);
    if (status == RMASK_OK) {
        float *floats = (float *)(doubles + max_keys + dim);
        reference_scratch scratch = {doubles, doubles + max_keys, floats, floats + dim, visible};
        for (int s = 0; s < args->num_sequences && status == RMASK_OK; s++)
            for (int32_t i = 0; i < args->sequences[s].num_queries && status == RMASK_OK; i++)
                for (int head = 0; head < args->num_heads && status == RMASK_OK; head++)
                    status = attend(job, &args->sequences[s], i, head, &scratch, error);
    }
    rmask_free(&job->allocator, doubles, num_doubles, sizeof *doubles);
    rmask_free(&job->allocator, visible, max_cols, 1);
    return status;
}
