/* SPDX-License-Identifier: Apache-2.0 */
#include "attention/score.h"

#include "attention/hide.h"

void rmask_score_panel(const attention_job *job, const rows_of_tile *tile, const tile_rows *rows, const chunk *keys,
                       lookahead *next, int panel, tile_scratch *scratch)
{
    const rmask_attention_args *args = job->args;
    const int lanes = panel_lanes(tile, panel), dim = args->head_dim;
    const size_t at = (size_t)panel * MAX_LANES * (size_t)dim;
    const bool widened = scratch->keys != NULL, columns = args->key.dim_stride > 1;
    float *max = scratch->max + panel * MAX_LANES, *sum = scratch->sum + panel * MAX_LANES;

    if (widened)
        rmask_attention_scores(job->kernels, &scratch->score_product, scratch->query + at, scratch->keys,
                               columns ? CHUNK_KEYS : dim, columns, scratch->scores, lanes, dim, keys->num_keys);
    for (int i = 0; !widened && i < keys->num_segments; i++) {
        const segment *s = &keys->segments[i];
        const void *key = key_at(args, &args->key, tile->sequence, s->key, tile->kv_head);
        rmask_attention_scores(job->kernels, &scratch->score_product, scratch->query + at, key,
                               columns ? args->key.dim_stride : args->key.token_stride, columns,
                               scratch->scores + (ptrdiff_t)s->place * lanes, lanes, dim, s->count);
        rmask_ask_for_keys(job, tile, next, s->place + s->count);
    }
    if (job->cap > 0) job->kernels->cap(scratch->scores, (size_t)keys->num_keys * (size_t)lanes, job->cap);

    const int first_head = panel * tile->heads_a_panel;
    const int end_head =
        first_head + tile->heads_a_panel < tile->item->num_heads ? first_head + tile->heads_a_panel : tile->item->num_heads;
    if (args->alibi_slopes) {
        for (int lane = 0; lane < lanes; lane++) {
            int head = first_head + lane / tile->num_queries;
            scratch->slope[lane] = head < end_head ? args->alibi_slopes[tile->item->first_head + head] * LOG2_E : 0;
            scratch->position[lane] = (float)(tile->position + lane % tile->num_queries);
        }
        for (int i = 0; i < keys->num_segments; i++) {
            const segment *s = &keys->segments[i];
            job->kernels->slope_lanes(scratch->scores + (ptrdiff_t)s->place * lanes, s->count, lanes, (float)s->key,
                                      scratch->position, scratch->slope);
        }
    }
    for (int head = first_head; head < end_head; head++)
        rmask_hide_invisible(job, tile, rows, keys, (score_block){scratch->scores, lanes, 1},
                             (head - first_head) * tile->num_queries);

    if (job->kernels->softmax_lanes(scratch->scores, keys->num_keys, lanes, max, sum, scratch->factor))
        job->kernels->scale_lanes(scratch->out + at, dim, lanes, scratch->factor);
    if (widened)
        rmask_attention_values(job->kernels, &scratch->value_product, scratch->scores, scratch->values, dim, scratch->out + at,
                               lanes, dim, keys->num_keys);
    for (int i = 0; !widened && i < keys->num_segments; i++) {
        const segment *s = &keys->segments[i];
        const void *value = key_at(args, &args->value, tile->sequence, s->key, tile->kv_head);
        rmask_attention_values(job->kernels, &scratch->value_product, scratch->scores + (ptrdiff_t)s->place * lanes, value,
                               args->value.token_stride, scratch->out + at, lanes, dim, s->count);
        rmask_ask_for_values(job, tile, next, s->place + s->count);
    }
}

void rmask_score_rows(const attention_job *job, const rows_of_tile *tile, const tile_rows *rows, const chunk *keys,
                      lookahead *next, tile_scratch *scratch)
{
    const rmask_attention_args *args = job->args;
    const int dim = args->head_dim, num_rows = tile->item->num_heads * tile->num_queries;
    const ptrdiff_t dim_stride = args->key.dim_stride > 1 ? (ptrdiff_t)args->key.dim_stride : 1;
    for (int i = 0; i < keys->num_segments; i++) {
        const segment *s = &keys->segments[i];
        const void *key = key_at(args, &args->key, tile->sequence, s->key, tile->kv_head);
        for (int row = 0; row < num_rows; row++)
            job->kernels->dot_keys(scratch->query + (ptrdiff_t)row * dim, dim, key, args->key.dtype,
                                   (ptrdiff_t)args->key.token_stride, dim_stride, s->count,
                                   scratch->scores + row * CHUNK_KEYS + s->place);
        rmask_ask_for_keys(job, tile, next, s->place + s->count);
    }
    for (int row = 0; row < num_rows; row++) {
        float *scores = scratch->scores + row * CHUNK_KEYS;
        const int head = row / tile->num_queries, query = row % tile->num_queries;
        if (job->cap > 0) job->kernels->cap(scores, (size_t)keys->num_keys, job->cap);
        if (args->alibi_slopes)
            for (int i = 0; i < keys->num_segments; i++)
                for (int k = 0; k < keys->segments[i].count; k++)
                    scores[keys->segments[i].place + k] += args->alibi_slopes[tile->item->first_head + head] * LOG2_E *
                                                           (float)(keys->segments[i].key + k - tile->position - query);
    }
    for (int head = 0; head < tile->item->num_heads; head++)
        rmask_hide_invisible(job, tile, rows, keys, (score_block){scratch->scores, 1, CHUNK_KEYS}, head * tile->num_queries);
    for (int row = 0; row < num_rows; row++) {
        float factor;
        if (job->kernels->softmax_row(scratch->scores + row * CHUNK_KEYS, keys->num_keys, &scratch->max[row],
                                      &scratch->sum[row], &factor))
            for (int d = 0; d < dim; d++) scratch->out[(ptrdiff_t)row * dim + d] *= factor;
    }
    for (int i = 0; i < keys->num_segments; i++) {
        const segment *s = &keys->segments[i];
        const void *value = key_at(args, &args->value, tile->sequence, s->key, tile->kv_head);
        for (int row = 0; row < num_rows; row++)
            job->kernels->add_values(scratch->out + (ptrdiff_t)row * dim, dim, scratch->scores + row * CHUNK_KEYS + s->place,
                                     value, args->value.dtype, (ptrdiff_t)args->value.token_stride, s->count);
        rmask_ask_for_values(job, tile, next, s->place + s->count);
    }
}
