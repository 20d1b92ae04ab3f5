/* SPDX-License-Identifier: Apache-2.0 */
#include "attention/chunk.h"

key_walk rmask_key_walk_begin(const key_runs *runs, int32_t limit, int64_t skip, int64_t count)
{
    key_walk walk = {runs, 0, 0, limit, count};
    while (walk.at < runs->len && skip >= runs->at[walk.at].end - runs->at[walk.at].begin) {
        skip -= runs->at[walk.at].end - runs->at[walk.at].begin;
        walk.at++;
    }
    if (walk.at < runs->len) walk.key = runs->at[walk.at].begin + (int32_t)skip;
    return walk;
}

void rmask_key_walk_next(const attention_job *job, const rmask_attention_sequence *sequence, key_walk *walk, chunk *out)
{
    out->num_segments = out->num_keys = 0;
    while (out->num_keys < CHUNK_KEYS && walk->left > 0 && walk->at < walk->runs->len && walk->key < walk->limit) {
        const key_run *run = &walk->runs->at[walk->at];
        int32_t end = run->end < walk->limit ? run->end : walk->limit, count = end - walk->key;
        if (sequence->pages) {
            int32_t in_page = job->args->page_tokens - walk->key % job->args->page_tokens;
            if (count > in_page) count = in_page;
        }
        if (count > CHUNK_KEYS - out->num_keys) count = CHUNK_KEYS - out->num_keys;
        if (count > walk->left) count = (int32_t)walk->left;
        out->segments[out->num_segments++] = (segment){walk->key, count, out->num_keys};
        out->num_keys += count;
        walk->key += count;
        walk->left -= count;
        if (walk->key == run->end && ++walk->at < walk->runs->len) walk->key = walk->runs->at[walk->at].begin;
    }
}

static void ask_for(const attention_job *job, const rows_of_tile *tile, const rmask_tensor *tensor, const segment *s)
{
    const char *at = key_at(job->args, tensor, tile->sequence, s->key, tile->kv_head);
    const int64_t size = (int64_t)dtype_size(tensor->dtype);
    const bool columns = tensor->dim_stride > 1;
    const int64_t outer = columns ? job->args->head_dim : s->count,
                  outer_bytes = (columns ? tensor->dim_stride : tensor->token_stride) * size;
    const int64_t inner_bytes = (columns ? s->count : job->args->head_dim) * size;
    for (int64_t i = 0; i < outer; i++)
        for (int64_t byte = 0; byte < inner_bytes; byte += 64) __builtin_prefetch(at + i * outer_bytes + byte, 0, 2);
}

void rmask_ask_for_keys(const attention_job *job, const rows_of_tile *tile, lookahead *next, int upto)
{
    while (next->keys_asked < next->chunk->num_segments && next->chunk->segments[next->keys_asked].place < upto)
        ask_for(job, tile, &job->args->key, &next->chunk->segments[next->keys_asked++]);
}

void rmask_ask_for_values(const attention_job *job, const rows_of_tile *tile, lookahead *next, int upto)
{
    while (next->values_asked < next->chunk->num_segments && next->chunk->segments[next->values_asked].place < upto)
        ask_for(job, tile, &job->args->value, &next->chunk->segments[next->values_asked++]);
}

void rmask_chunk_widen(const attention_job *job, const rows_of_tile *tile, const chunk *keys, lookahead *next,
                       tile_scratch *scratch)
{
    const rmask_attention_args *args = job->args;
    const size_t dim = (size_t)args->head_dim, size = dtype_size(args->key.dtype);
    const bool columns = args->key.dim_stride > 1;
    for (int i = 0; i < keys->num_segments; i++) {
        const segment *s = &keys->segments[i];
        const char *key = key_at(args, &args->key, tile->sequence, s->key, tile->kv_head);
        const char *value = key_at(args, &args->value, tile->sequence, s->key, tile->kv_head);
        if (columns)
            for (size_t d = 0; d < dim; d++)
                job->kernels->widen(scratch->keys + d * CHUNK_KEYS + s->place, key + d * (size_t)args->key.dim_stride * size,
                                    args->key.dtype, (size_t)s->count);
        for (int k = 0; k < s->count; k++) {
            if (!columns)
                job->kernels->widen(scratch->keys + (size_t)(s->place + k) * dim,
                                    key + k * args->key.token_stride * (int64_t)size, args->key.dtype, dim);
            job->kernels->widen(scratch->values + (size_t)(s->place + k) * dim,
                                value + k * args->value.token_stride * (int64_t)size, args->value.dtype, dim);
        }
        rmask_ask_for_keys(job, tile, next, s->place + s->count);
        rmask_ask_for_values(job, tile, next, s->place + s->count);
    }
}
