/* SPDX-License-Identifier: Apache-2.0
 * What attention is, in float64 and one pair after another. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "problem.h"

int32_t problem_position(const problem *p, int sequence)
{
    const rmask_attention_sequence *s = &p->sequences[sequence];
    return s->first_position < 0 ? s->num_keys - s->num_queries : s->first_position;
}

const rmask *problem_mask(const problem *p, int sequence, int head)
{
    const int n = p->sequences[sequence].num_masks, kv_head = head / (p->spec.num_heads / p->spec.num_kv_heads);
    return n == 0 ? NULL : p->masks[sequence][n == 1 ? 0 : n == p->spec.num_heads ? head : kv_head];
}

bool problem_visible(const problem *p, int sequence, int head, int32_t query, int32_t key)
{
    const int32_t position = problem_position(p, sequence) + query;
    const rmask *mask = problem_mask(p, sequence, head);
    if (p->args.causal && key > position) return false;
    return !mask || rmask_contains(mask, position / p->args.block_queries, key / p->args.block_keys);
}

uint64_t problem_visible_pairs(const problem *p)
{
    uint64_t pairs = 0;
    for (int s = 0; s < p->spec.num_sequences; s++)
        for (int h = 0; h < p->spec.num_heads; h++)
            for (int32_t i = 0; i < p->sequences[s].num_queries; i++)
                for (int32_t j = 0; j < p->sequences[s].num_keys; j++) pairs += problem_visible(p, s, h, i, j);
    return pairs;
}

double problem_row(const problem *p, int sequence, int head, int32_t query, double *out, double *size)
{
    const size_t dim = (size_t)p->spec.head_dim, heads = (size_t)p->spec.num_heads, kv_heads = (size_t)p->spec.num_kv_heads;
    const size_t kv_head = (size_t)head / (heads / kv_heads);
    const int32_t num_keys = p->sequences[sequence].num_keys, position = problem_position(p, sequence) + query;
    const float *q = p->query[sequence] + ((size_t)query * heads + (size_t)head) * dim;
    const double scale = p->args.scale != 0 ? (double)p->args.scale : 1 / sqrt((double)dim), cap = (double)p->args.soft_cap;
    double *scores = must_allocate((size_t)num_keys * sizeof *scores);
    double max = p->args.sinks ? (double)p->args.sinks[head] : -INFINITY;
    for (int32_t j = 0; j < num_keys; j++) {
        scores[j] = -INFINITY;
        if (!problem_visible(p, sequence, head, query, j)) continue;
        const float *k = p->key[sequence] + ((size_t)j * kv_heads + kv_head) * dim;
        double score = 0;
        for (size_t d = 0; d < dim; d++) score += (double)q[d] * (double)k[d];
        score *= scale;
        if (cap > 0) score = cap * tanh(score / cap);
        if (p->args.alibi_slopes) score += (double)p->args.alibi_slopes[head] * (j - position);
        scores[j] = score;
        max = fmax(max, score);
    }
    double sum = p->args.sinks && max > -INFINITY ? exp((double)p->args.sinks[head] - max) : 0;
    memset(out, 0, dim * sizeof *out);
    memset(size, 0, dim * sizeof *size);
    for (int32_t j = 0; j < num_keys; j++) {
        if (scores[j] == -INFINITY) continue;
        const double weight = exp(scores[j] - max);
        const float *v = p->value[sequence] + ((size_t)j * kv_heads + kv_head) * dim;
        sum += weight;
        for (size_t d = 0; d < dim; d++) {
            out[d] += weight * (double)v[d];
            size[d] += weight * fabs((double)v[d]);
        }
    }
    free(scores);
    if (sum == 0) return -INFINITY;
    for (size_t d = 0; d < dim; d++) {
        out[d] /= sum;
        size[d] /= sum;
    }
    return max + log(sum);
}

/* ---------------------------------------------------------------- holding the library against it */

double problem_out(const problem *p, int sequence, int head, int32_t query, int32_t dim)
{
    const rmask_attention_sequence *s = &p->sequences[sequence];
    const rmask_tensor *out = &p->args.out;
    const int64_t at =
        s->query_batch * out->batch_stride + (s->query_token + query) * out->token_stride + head * out->head_stride + dim;
    return number_at((const char *)out->data + at * (out->dtype == RMASK_FLOAT32 ? 4 : 2), out->dtype);
}

float problem_lse(const problem *p, int sequence, int head, int32_t query)
{
    const rmask_attention_sequence *s = &p->sequences[sequence];
    return p->args.lse[s->query_batch * p->args.lse_batch_stride + (s->query_token + query) * p->args.lse_token_stride +
                       head * p->args.lse_head_stride];
}

static void check_row(const problem *p, int s, int h, int32_t i, double *row, double *size)
{
    const double lse = problem_row(p, s, h, i, row, size);
    const double half_unit = p->spec.out_dtype == RMASK_FLOAT32 ? 0 : p->spec.out_dtype == RMASK_BFLOAT16 ? 0x1p-8 : 0x1p-11;
    const double tiny = p->spec.out_dtype == RMASK_FLOAT16 ? 0x1p-25 : 1e-30;
    /* A score of hundreds, as ALiBi ahead of the query makes them, is rounded by that much more. */
    const double relative = 2e-5 + (isfinite(lse) ? 0x1p-23 * fabs(lse) : 0);
    for (int32_t d = 0; d < p->spec.head_dim; d++) {
        const double got = problem_out(p, s, h, i, d), wanted = row[d];
        const bool same =
            isnan(wanted) ? isnan(got)
                          : got == wanted || fabs(got - wanted) <= relative * size[d] + half_unit * fabs(wanted) * 1.001 + tiny;
        expect(same, "sequence %d head %d query %d dim %d: %.9g, wanted %.9g; the values are of size %g", s, h, i, d, got,
               wanted, size[d]);
    }
    if (!p->args.lse) return;
    const double got = (double)problem_lse(p, s, h, i);
    const bool same = isnan(lse) ? isnan(got) : got == lse || fabs(got - lse) <= 2e-5 * fmax(1, fabs(lse));
    expect(same, "sequence %d head %d query %d: log-sum-exp %.9g, wanted %.9g", s, h, i, got, lse);
}

/* The bytes that are not a row's are as they were laid out. */
static void check_gaps(const problem *p)
{
    const size_t width = p->spec.out_dtype == RMASK_FLOAT32 ? 4 : 2;
    uint8_t *copy = must_allocate(p->out_bytes);
    memcpy(copy, p->args.out.data, p->out_bytes);
    for (int s = 0; s < p->spec.num_sequences; s++)
        for (int32_t i = 0; i < p->sequences[s].num_queries; i++)
            for (int h = 0; h < p->spec.num_heads; h++) {
                const rmask_attention_sequence *q = &p->sequences[s];
                const int64_t at = q->query_batch * p->args.out.batch_stride + (q->query_token + i) * p->args.out.token_stride +
                                   h * p->args.out.head_stride;
                memset(copy + (size_t)at * width, 0xff, (size_t)p->spec.head_dim * width);
            }
    for (size_t i = 0; i < p->out_bytes; i++) expect(copy[i] == 0xff, "byte %zu of out belongs to no row and was written", i);
    free(copy);
}

void problem_check(const problem *p)
{
    double *row = must_allocate((size_t)p->spec.head_dim * sizeof *row),
           *size = must_allocate((size_t)p->spec.head_dim * sizeof *size);
    for (int s = 0; s < p->spec.num_sequences; s++)
        for (int h = 0; h < p->spec.num_heads; h++)
            for (int32_t i = 0; i < p->sequences[s].num_queries; i++) check_row(p, s, h, i, row, size);
    free(row), free(size);
    check_gaps(p);
}

void problem_run_and_check(problem *p)
{
    expect_ok(rmask_attention(&p->args, test_error));
    problem_check(p);
}
