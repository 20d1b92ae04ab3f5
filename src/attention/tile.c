/* SPDX-License-Identifier: Apache-2.0 */
#include "attention/tile.h"
#include "core/status.h"

#include <math.h>
#include <string.h>

/* Keys of a chunk that lie behind one another in memory. */
typedef struct segment {
    int32_t key;   /* first key token */
    int32_t count;
    int32_t place; /* its place in the chunk */
} segment;

typedef struct chunk {
    int num_segments, num_keys;
    segment segments[CHUNK_KEYS];
} chunk;

/* Walks the keys of a list below `limit`, from the skip-th on. */
typedef struct key_walk {
    const key_runs *runs;
    size_t at;
    int32_t key, limit;
    int64_t left;
} key_walk;

/* Neighbouring queries of a tile with the heads that work on them. Query i and head h are row h * num_queries + i. */
typedef struct rows_of_tile {
    const tile_item *item;
    const rmask_attention_sequence *sequence;
    int32_t first_query, num_queries;
    int32_t position; /* of the first query */
    int kv_head;
    bool wide;              /* rows are lanes of vectors; else each is a row of its own */
    int heads_a_panel, num_panels;
} rows_of_tile;

/* ---------------------------------------------------------------- scratch */

static size_t round_to_line(size_t floats) { return (floats + 15) & ~(size_t)15; }

static int heads_a_panel(int num_queries, int num_heads)
{
    int heads = MAX_LANES / num_queries;
    return heads < num_heads ? heads : num_heads;
}

bool tile_scratch_create(const attention_job *job, int max_group, tile_scratch *scratch)
{
    memset(scratch, 0, sizeof *scratch);
    const size_t dim = (size_t)job->args->head_dim, panels = (size_t)max_group;
    const bool widened = job->args->key.dtype != RMASK_FLOAT32;
    const size_t lanes = panels * MAX_LANES;
    const size_t sizes[] = {
        lanes * dim, lanes * dim, (size_t)CHUNK_KEYS * MAX_LANES, widened ? CHUNK_KEYS * dim : 0, widened ? CHUNK_KEYS * dim : 0,
        dim,         lanes,       lanes,                          MAX_LANES,                      MAX_LANES,
        MAX_LANES,
    };
    float **const places[] = {&scratch->query, &scratch->out, &scratch->scores, &scratch->keys,     &scratch->values, &scratch->line,
                              &scratch->max,   &scratch->sum, &scratch->factor, &scratch->position, &scratch->slope};
    size_t total = 16;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) total += round_to_line(sizes[i]);
    scratch->memory = rmask_allocate(&job->allocator, total, sizeof(float));
    if (!scratch->memory) return false;
    scratch->num_floats = total;
    float *at = (float *)(((uintptr_t)scratch->memory + 63) & ~(uintptr_t)63);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        *places[i] = sizes[i] ? at : NULL;
        at += round_to_line(sizes[i]);
    }
    return true;
}

void tile_scratch_destroy(const attention_job *job, tile_scratch *scratch)
{
    rmask_free(&job->allocator, scratch->memory, scratch->num_floats, sizeof(float));
    rmask_vec_free(&job->allocator, &scratch->rows.runs);
    for (int i = 0; i < TILE_QUERIES / LANE_UNIT; i++) rmask_vec_free(&job->allocator, &scratch->unions[i]);
    for (int i = 0; i < 2; i++) rmask_vec_free(&job->allocator, &scratch->pairs[i]);
    rmask_vec_free(&job->allocator, &scratch->whole);
    rmask_vec_free(&job->allocator, &scratch->spare);
}

/* ---------------------------------------------------------------- queries in, results out */

/* Lanes of a panel are its heads' queries, head after head. */
static int panel_head(const rows_of_tile *tile, int panel, int lane) { return panel * tile->heads_a_panel + lane / tile->num_queries; }

/* How many of a panel's lanes are rows. */
static int panel_rows(const rows_of_tile *tile, int panel)
{
    int heads = tile->item->num_heads - panel * tile->heads_a_panel;
    return (heads < tile->heads_a_panel ? heads : tile->heads_a_panel) * tile->num_queries;
}

static int panel_lanes(const rows_of_tile *tile, int panel) { return (panel_rows(tile, panel) + LANE_UNIT - 1) / LANE_UNIT * LANE_UNIT; }

/* Where a row lies in query or out. */
static void *row_at(const rows_of_tile *tile, const rmask_tensor *tensor, int head, int query)
{
    return tensor_at(tensor, tile->sequence->query_batch, tile->sequence->query_token + tile->first_query + query, tile->item->first_head + head);
}

/* A sink is a key that was seen before the first one. */
static void begin_rows(const attention_job *job, const rows_of_tile *tile, tile_scratch *scratch, int head, int first_row)
{
    const bool sink = job->args->sinks && tile->item->split == 0;
    const float max = sink ? job->args->sinks[tile->item->first_head + head] * LOG2_E : -INFINITY;
    for (int row = first_row; row < first_row + tile->num_queries; row++) {
        scratch->max[row] = max;
        scratch->sum[row] = max > -INFINITY ? 1.0f : 0.0f;
    }
}

static void begin_tile(const attention_job *job, const rows_of_tile *tile, tile_scratch *scratch)
{
    const rmask_tensor *query = &job->args->query;
    const int dim = job->args->head_dim;
    for (int panel = 0; tile->wide && panel < tile->num_panels; panel++) {
        const int rows = panel_rows(tile, panel), lanes = panel_lanes(tile, panel), first_row = panel * MAX_LANES;
        const size_t at = (size_t)first_row * (size_t)dim;
        const void *from[MAX_LANES];
        for (int lane = 0; lane < rows; lane++) from[lane] = row_at(tile, query, panel_head(tile, panel, lane), lane % tile->num_queries);
        job->kernels->rows_to_lanes(scratch->query + at, lanes, from, rows, query->dtype, dim, job->query_scale);
        memset(scratch->out + at, 0, (size_t)lanes * (size_t)dim * sizeof(float));
        for (int lane = 0; lane < rows; lane += tile->num_queries) begin_rows(job, tile, scratch, panel_head(tile, panel, lane), first_row + lane);
        for (int lane = rows; lane < lanes; lane++) {
            scratch->max[first_row + lane] = -INFINITY;
            scratch->sum[first_row + lane] = 0;
        }
    }
    if (tile->wide) return;
    for (int head = 0; head < tile->item->num_heads; head++) {
        const int first_row = head * tile->num_queries;
        begin_rows(job, tile, scratch, head, first_row);
        for (int i = 0; i < tile->num_queries; i++) {
            float *row = scratch->query + (size_t)(first_row + i) * (size_t)dim;
            job->kernels->widen(row, row_at(tile, query, head, i), query->dtype, (size_t)dim);
            for (int d = 0; d < dim; d++) row[d] *= job->query_scale;
        }
        memset(scratch->out + (size_t)first_row * (size_t)dim, 0, (size_t)tile->num_queries * (size_t)dim * sizeof(float));
    }
}

static float inverse_of(float sum) { return sum == 0 ? 0 : 1 / sum; }

static void write_lse(const attention_job *job, const tile_item *item, int64_t query, int head, float max, float sum)
{
    const rmask_attention_sequence *sequence = &job->args->sequences[item->sequence];
    if (job->args->lse) *lse_at(job->args, sequence->query_batch, sequence->query_token + query, head) = (max + log2f(sum)) * LN_2;
}

static void write_row(const attention_job *job, const tile_item *item, int64_t query, int head, float *row, float max, float sum)
{
    const rmask_attention_sequence *sequence = &job->args->sequences[item->sequence];
    const rmask_tensor *out = &job->args->out;
    const float inverse = inverse_of(sum);
    for (int d = 0; d < job->args->head_dim; d++) row[d] *= inverse;
    job->kernels->narrow(tensor_at(out, sequence->query_batch, sequence->query_token + query, head), row, out->dtype, (size_t)job->args->head_dim);
    write_lse(job, item, query, head, max, sum);
}

/* A partial row: its maximum, its sum, and its values. */
static float *partial_row(const attention_job *job, const rows_of_tile *tile, float *partials, int head, int query)
{
    const tile_item *item = tile->item;
    const size_t row = (size_t)head * (size_t)item->num_queries + (size_t)(tile->first_query - item->first_query + query);
    return partials + item->partial + (size_t)item->split * tile_partial_floats(job, item) + row * ((size_t)job->args->head_dim + 2);
}

static void end_tile(const attention_job *job, const rows_of_tile *tile, tile_scratch *scratch, float *partials)
{
    const tile_item *item = tile->item;
    const int dim = job->args->head_dim;
    for (int panel = 0; tile->wide && panel < tile->num_panels; panel++) {
        const int rows = panel_rows(tile, panel), first_row = panel * MAX_LANES;
        void *to[MAX_LANES];
        for (int lane = 0; lane < rows; lane++) {
            const int head = panel_head(tile, panel, lane), query = lane % tile->num_queries;
            const float max = scratch->max[first_row + lane], sum = scratch->sum[first_row + lane];
            if (partials) {
                float *row = partial_row(job, tile, partials, head, query);
                row[0] = max;
                row[1] = sum;
                to[lane] = row + 2;
                scratch->factor[lane] = 1;
            } else {
                to[lane] = row_at(tile, &job->args->out, head, query);
                write_lse(job, item, tile->first_query + query, item->first_head + head, max, sum);
                scratch->factor[lane] = inverse_of(sum);
            }
        }
        job->kernels->lanes_to_rows(to, rows, partials ? RMASK_FLOAT32 : job->args->out.dtype, scratch->out + (size_t)first_row * (size_t)dim,
                                    panel_lanes(tile, panel), dim, scratch->factor);
    }
    for (int row = 0; !tile->wide && row < item->num_heads * tile->num_queries; row++) {
        const int head = row / tile->num_queries, query = row % tile->num_queries;
        float *values = scratch->out + (size_t)row * (size_t)dim;
        if (partials) {
            float *to = partial_row(job, tile, partials, head, query);
            to[0] = scratch->max[row];
            to[1] = scratch->sum[row];
            memcpy(to + 2, values, (size_t)dim * sizeof *values);
        } else {
            write_row(job, item, tile->first_query + query, item->first_head + head, values, scratch->max[row], scratch->sum[row]);
        }
    }
}

size_t tile_partial_floats(const attention_job *job, const tile_item *item)
{
    return (size_t)item->num_heads * (size_t)item->num_queries * ((size_t)job->args->head_dim + 2);
}

void tile_merge(const attention_job *job, const tile_item *item, float *partials, float *line)
{
    const size_t dim = (size_t)job->args->head_dim, share = tile_partial_floats(job, item);
    for (int head = 0; head < item->num_heads; head++)
        for (int query = 0; query < item->num_queries; query++) {
            const float *from = partials + item->partial + ((size_t)head * (size_t)item->num_queries + (size_t)query) * (dim + 2);
            float max = -INFINITY, sum = 0;
            for (int split = 0; split < item->num_splits; split++)
                if (from[(size_t)split * share] > max) max = from[(size_t)split * share];
            memset(line, 0, dim * sizeof *line);
            for (int split = 0; split < item->num_splits; split++) {
                const float *part = from + (size_t)split * share;
                if (part[1] == 0) continue;
                const float weight = exp2f(part[0] - max);
                sum += part[1] * weight;
                for (size_t d = 0; d < dim; d++) line[d] += part[2 + d] * weight;
            }
            write_row(job, item, item->first_query + query, item->first_head + head, line, max, sum);
        }
}

/* ---------------------------------------------------------------- keys */

static key_walk begin_walk(const key_runs *runs, int32_t limit, int64_t skip, int64_t count)
{
    key_walk walk = {runs, 0, 0, limit, count};
    while (walk.at < runs->len && skip >= runs->at[walk.at].end - runs->at[walk.at].begin) {
        skip -= runs->at[walk.at].end - runs->at[walk.at].begin;
        walk.at++;
    }
    if (walk.at < runs->len) walk.key = runs->at[walk.at].begin + (int32_t)skip;
    return walk;
}

/* The next up to CHUNK_KEYS keys; none at the end. */
static void next_chunk(const attention_job *job, const rmask_attention_sequence *sequence, key_walk *walk, chunk *out)
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

/* The next chunk's keys and values are asked for while this one is worked: what a mask leaves of them is scattered too far for the processor to
 * foresee. `upto` is how far the work on this chunk is, in keys. */
typedef struct lookahead {
    const chunk *chunk;
    int keys_asked, values_asked; /* segments */
} lookahead;

static void ask_for(const attention_job *job, const rows_of_tile *tile, const rmask_tensor *tensor, const segment *s)
{
    const char *at = key_at(job->args, tensor, tile->sequence, s->key, tile->kv_head);
    const int64_t size = (int64_t)dtype_size(tensor->dtype);
    const bool columns = tensor->dim_stride > 1;
    const int64_t outer = columns ? job->args->head_dim : s->count, outer_bytes = (columns ? tensor->dim_stride : tensor->token_stride) * size;
    const int64_t inner_bytes = (columns ? s->count : job->args->head_dim) * size;
    for (int64_t i = 0; i < outer; i++)
        for (int64_t byte = 0; byte < inner_bytes; byte += 64) __builtin_prefetch(at + i * outer_bytes + byte, 0, 2);
}

static void ask_for_keys(const attention_job *job, const rows_of_tile *tile, lookahead *next, int upto)
{
    while (next->keys_asked < next->chunk->num_segments && next->chunk->segments[next->keys_asked].place < upto)
        ask_for(job, tile, &job->args->key, &next->chunk->segments[next->keys_asked++]);
}

static void ask_for_values(const attention_job *job, const rows_of_tile *tile, lookahead *next, int upto)
{
    while (next->values_asked < next->chunk->num_segments && next->chunk->segments[next->values_asked].place < upto)
        ask_for(job, tile, &job->args->value, &next->chunk->segments[next->values_asked++]);
}

/* Widens the chunk's keys and values into scratch: one segment then. */
static void widen_chunk(const attention_job *job, const rows_of_tile *tile, const chunk *keys, lookahead *next, tile_scratch *scratch)
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
                job->kernels->widen(scratch->keys + d * CHUNK_KEYS + s->place, key + d * (size_t)args->key.dim_stride * size, args->key.dtype,
                                    (size_t)s->count);
        for (int k = 0; k < s->count; k++) {
            if (!columns)
                job->kernels->widen(scratch->keys + (size_t)(s->place + k) * dim, key + k * args->key.token_stride * (int64_t)size, args->key.dtype,
                                    dim);
            job->kernels->widen(scratch->values + (size_t)(s->place + k) * dim, value + k * args->value.token_stride * (int64_t)size,
                                args->value.dtype, dim);
        }
        ask_for_keys(job, tile, next, s->place + s->count);
        ask_for_values(job, tile, next, s->place + s->count);
    }
}

/* ---------------------------------------------------------------- hiding what a row does not see */

/* Scores of a chunk: key k of row r is at[k * key_stride + r * row_stride]. */
typedef struct score_block {
    float *at;
    ptrdiff_t key_stride, row_stride;
} score_block;

static void hide(score_block scores, int row_begin, int row_end, int key_begin, int key_end)
{
    for (int key = key_begin; key < key_end; key++)
        for (int row = row_begin; row < row_end; row++) scores.at[key * scores.key_stride + row * scores.row_stride] = -INFINITY;
}

/* Hides from rows [row_begin, row_end) what is not among the runs. */
static void hide_between_runs(score_block scores, int row_begin, int row_end, const chunk *keys, const key_run *run, const key_run *end)
{
    for (int i = 0; i < keys->num_segments; i++) {
        const segment *s = &keys->segments[i];
        const int32_t segment_end = s->key + s->count, shift = s->place - s->key;
        int32_t at = s->key;
        while (run < end && run->end <= at) run++;
        while (at < segment_end) {
            int32_t seen = run < end && run->begin < segment_end ? run->begin : segment_end;
            if (seen > at) hide(scores, row_begin, row_end, at + shift, seen + shift);
            if (seen == segment_end || run->end >= segment_end) break;
            at = run->end;
            run++;
        }
    }
}

/* The first run that ends past a key. */
static const key_run *first_past(const key_run *run, const key_run *end, int32_t key)
{
    while (run < end) {
        const key_run *middle = run + (end - run) / 2;
        if (middle->end > key) end = middle;
        else run = middle + 1;
    }
    return run;
}

/* Hides what the mask and the causal limit hide from the queries of one head, whose rows begin at `first_row`. */
static void hide_invisible(const attention_job *job, const rows_of_tile *tile, const tile_rows *rows, const chunk *keys, score_block scores,
                           int first_row)
{
    const segment *first = &keys->segments[0], *last = &keys->segments[keys->num_segments - 1];
    const int32_t first_key = first->key, last_key = last->key + last->count - 1;
    for (int query = 0; query < tile->num_queries;) {
        const int row = tile_row_of(rows, tile->position + query);
        const int64_t past_row = ((int64_t)rows->first_row + row + 1) * rows->block_queries - tile->position;
        const int query_end = past_row < tile->num_queries ? (int)past_row : tile->num_queries;
        const key_run *end = rows->runs.at + rows->row_begin[row + 1];
        const key_run *run = first_past(rows->runs.at + rows->row_begin[row], end, first_key);
        if (run == end || run->begin > first_key || run->end <= last_key)
            hide_between_runs(scores, first_row + query, first_row + query_end, keys, run, end);
        query = query_end;
    }
    if (!job->args->causal || last_key <= tile->position) return;
    for (int i = 0; i < keys->num_segments; i++) {
        const segment *s = &keys->segments[i];
        for (int query = 0; query < tile->num_queries; query++) {
            int32_t hidden = tile->position + query + 1;
            if (hidden < s->key) hidden = s->key;
            hide(scores, first_row + query, first_row + query + 1, hidden - s->key + s->place, s->count + s->place);
        }
    }
}

/* ---------------------------------------------------------------- the two layouts */

static void run_panel(const attention_job *job, const rows_of_tile *tile, const tile_rows *rows, const chunk *keys, lookahead *next, int panel,
                      tile_scratch *scratch)
{
    const rmask_attention_args *args = job->args;
    const int lanes = panel_lanes(tile, panel), dim = args->head_dim;
    const size_t at = (size_t)panel * MAX_LANES * (size_t)dim;
    const bool widened = scratch->keys != NULL, columns = args->key.dim_stride > 1;
    float *max = scratch->max + panel * MAX_LANES, *sum = scratch->sum + panel * MAX_LANES;

    if (widened)
        rmask_attention_scores(job->kernels, &scratch->score_product, scratch->query + at, scratch->keys, columns ? CHUNK_KEYS : dim, columns,
                               scratch->scores, lanes, dim, keys->num_keys);
    for (int i = 0; !widened && i < keys->num_segments; i++) {
        const segment *s = &keys->segments[i];
        const void *key = key_at(args, &args->key, tile->sequence, s->key, tile->kv_head);
        rmask_attention_scores(job->kernels, &scratch->score_product, scratch->query + at, key,
                               columns ? args->key.dim_stride : args->key.token_stride, columns, scratch->scores + (ptrdiff_t)s->place * lanes,
                               lanes, dim, s->count);
        ask_for_keys(job, tile, next, s->place + s->count);
    }
    if (job->cap > 0) job->kernels->cap(scratch->scores, (size_t)keys->num_keys * (size_t)lanes, job->cap);

    const int first_head = panel * tile->heads_a_panel;
    const int end_head = first_head + tile->heads_a_panel < tile->item->num_heads ? first_head + tile->heads_a_panel : tile->item->num_heads;
    if (args->alibi_slopes) {
        for (int lane = 0; lane < lanes; lane++) {
            int head = first_head + lane / tile->num_queries;
            scratch->slope[lane] = head < end_head ? args->alibi_slopes[tile->item->first_head + head] * LOG2_E : 0;
            scratch->position[lane] = (float)(tile->position + lane % tile->num_queries);
        }
        for (int i = 0; i < keys->num_segments; i++) {
            const segment *s = &keys->segments[i];
            job->kernels->slope_lanes(scratch->scores + (ptrdiff_t)s->place * lanes, s->count, lanes, (float)s->key, scratch->position,
                                      scratch->slope);
        }
    }
    for (int head = first_head; head < end_head; head++)
        hide_invisible(job, tile, rows, keys, (score_block){scratch->scores, lanes, 1}, (head - first_head) * tile->num_queries);

    if (job->kernels->softmax_lanes(scratch->scores, keys->num_keys, lanes, max, sum, scratch->factor))
        job->kernels->scale_lanes(scratch->out + at, dim, lanes, scratch->factor);
    if (widened)
        rmask_attention_values(job->kernels, &scratch->value_product, scratch->scores, scratch->values, dim, scratch->out + at, lanes, dim,
                               keys->num_keys);
    for (int i = 0; !widened && i < keys->num_segments; i++) {
        const segment *s = &keys->segments[i];
        const void *value = key_at(args, &args->value, tile->sequence, s->key, tile->kv_head);
        rmask_attention_values(job->kernels, &scratch->value_product, scratch->scores + (ptrdiff_t)s->place * lanes, value,
                               args->value.token_stride, scratch->out + at, lanes, dim, s->count);
        ask_for_values(job, tile, next, s->place + s->count);
    }
}

/* For a few rows: every key is read once from memory and used for each row while it is in cache. */
static void run_rows(const attention_job *job, const rows_of_tile *tile, const tile_rows *rows, const chunk *keys, lookahead *next,
                     tile_scratch *scratch)
{
    const rmask_attention_args *args = job->args;
    const int dim = args->head_dim, num_rows = tile->item->num_heads * tile->num_queries;
    const ptrdiff_t dim_stride = args->key.dim_stride > 1 ? (ptrdiff_t)args->key.dim_stride : 1;
    for (int i = 0; i < keys->num_segments; i++) {
        const segment *s = &keys->segments[i];
        const void *key = key_at(args, &args->key, tile->sequence, s->key, tile->kv_head);
        for (int row = 0; row < num_rows; row++)
            job->kernels->dot_keys(scratch->query + (ptrdiff_t)row * dim, dim, key, args->key.dtype, (ptrdiff_t)args->key.token_stride, dim_stride,
                                   s->count, scratch->scores + row * CHUNK_KEYS + s->place);
        ask_for_keys(job, tile, next, s->place + s->count);
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
        hide_invisible(job, tile, rows, keys, (score_block){scratch->scores, 1, CHUNK_KEYS}, head * tile->num_queries);
    for (int row = 0; row < num_rows; row++) {
        float factor;
        if (job->kernels->softmax_row(scratch->scores + row * CHUNK_KEYS, keys->num_keys, &scratch->max[row], &scratch->sum[row], &factor))
            for (int d = 0; d < dim; d++) scratch->out[(ptrdiff_t)row * dim + d] *= factor;
    }
    for (int i = 0; i < keys->num_segments; i++) {
        const segment *s = &keys->segments[i];
        const void *value = key_at(args, &args->value, tile->sequence, s->key, tile->kv_head);
        for (int row = 0; row < num_rows; row++)
            job->kernels->add_values(scratch->out + (ptrdiff_t)row * dim, dim, scratch->scores + row * CHUNK_KEYS + s->place, value,
                                     args->value.dtype, (ptrdiff_t)args->value.token_stride, s->count);
        ask_for_values(job, tile, next, s->place + s->count);
    }
}

/* ---------------------------------------------------------------- a tile */

static uint64_t count_visible(const attention_job *job, const rows_of_tile *tile, const tile_rows *rows, int32_t limit)
{
    uint64_t pairs = 0;
    for (int query = 0; query < tile->num_queries; query++) {
        const int row = tile_row_of(rows, tile->position + query);
        int32_t end = job->args->causal && tile->position + query + 1 < limit ? tile->position + query + 1 : limit;
        for (size_t i = rows->row_begin[row]; i < rows->row_begin[row + 1] && rows->runs.at[i].begin < end; i++)
            pairs += (uint64_t)((rows->runs.at[i].end < end ? rows->runs.at[i].end : end) - rows->runs.at[i].begin);
    }
    return pairs;
}

static void run_tile(const attention_job *job, const tile_item *item, int32_t first_query, int32_t num_queries, const key_runs *runs,
                     tile_scratch *scratch, float *partials)
{
    const rmask_attention_sequence *sequence = &job->args->sequences[item->sequence];
    rows_of_tile tile = {
        .item = item,
        .sequence = sequence,
        .first_query = first_query,
        .num_queries = num_queries,
        .position = sequence_position(sequence) + first_query,
        .kv_head = item->first_head / job->group,
        .wide = item->num_heads * num_queries >= MIN_ROWS_WIDE,
        .heads_a_panel = heads_a_panel(num_queries, item->num_heads),
    };
    tile.num_panels = (item->num_heads + tile.heads_a_panel - 1) / tile.heads_a_panel;

    int32_t limit = sequence->num_keys;
    if (job->args->causal) {
        int64_t end = ((int64_t)tile.position + num_queries + LANE_UNIT - 1) / LANE_UNIT * LANE_UNIT;
        if (end < limit) limit = (int32_t)end;
    }
    const bool last_share = item->split == item->num_splits - 1;
    key_walk walk = begin_walk(runs, limit, (int64_t)item->split * SPLIT_KEYS, last_share ? INT64_MAX : SPLIT_KEYS);

    if (item->split == 0) {
        const uint64_t keys = (uint64_t)key_runs_count(runs, limit);
        scratch->work.computed_pairs += keys * (uint64_t)num_queries * (uint64_t)item->num_heads;
        scratch->work.key_tokens += keys;
        if (job->args->work || job->dry)
            scratch->work.visible_pairs += count_visible(job, &tile, &scratch->rows, sequence->num_keys) * (uint64_t)item->num_heads;
    }
    if (job->dry) return;

    chunk chunks[2], *keys = &chunks[0], *other = &chunks[1];
    next_chunk(job, sequence, &walk, keys);
    lookahead next = {keys, 0, 0};
    ask_for_keys(job, &tile, &next, CHUNK_KEYS);
    ask_for_values(job, &tile, &next, CHUNK_KEYS);
    begin_tile(job, &tile, scratch);
    while (keys->num_keys > 0) {
        next_chunk(job, sequence, &walk, other);
        next = (lookahead){other, 0, 0};
        if (tile.wide && scratch->keys) widen_chunk(job, &tile, keys, &next, scratch);
        for (int panel = 0; tile.wide && panel < tile.num_panels; panel++)
            run_panel(job, &tile, &scratch->rows, keys, &next, panel, scratch);
        if (!tile.wide) run_rows(job, &tile, &scratch->rows, keys, &next, scratch);
        chunk *done = keys;
        keys = other;
        other = done;
    }
    end_tile(job, &tile, scratch, item->num_splits > 1 ? partials : NULL);
}

/* Queries whose keys overlap are worked together, for then a key is read once and vectors are full; where they do not, each group of LANE_UNIT queries
 * is worked by itself. In hundredths of the time of a full panel. */
static int64_t cost_of(const tile_item *item, int num_queries, int64_t keys)
{
    const int lanes = heads_a_panel(num_queries, item->num_heads) * num_queries;
    const int slower = lanes > 32 ? 100 : lanes > 16 ? 106 : 120;
    return keys * num_queries * slower;
}

/* Asks for the lines of the tile's queries and results while its keys are listed. */
static void ask_for_rows(const attention_job *job, const tile_item *item)
{
    const rmask_attention_args *args = job->args;
    const rmask_attention_sequence *sequence = &args->sequences[item->sequence];
    const int64_t query_bytes = args->head_dim * (int64_t)dtype_size(args->query.dtype), out_bytes = args->head_dim * (int64_t)dtype_size(args->out.dtype);
    for (int head = item->first_head; head < item->first_head + item->num_heads; head++)
        for (int query = item->first_query; query < item->first_query + item->num_queries; query++) {
            const char *from = tensor_at(&args->query, sequence->query_batch, sequence->query_token + query, head);
            const char *to = tensor_at(&args->out, sequence->query_batch, sequence->query_token + query, head);
            for (int64_t byte = 0; byte < query_bytes; byte += 64) __builtin_prefetch(from + byte, 0, 2);
            for (int64_t byte = 0; byte < out_bytes; byte += 64) __builtin_prefetch(to + byte, 1, 2);
        }
}

rmask_status tile_run(const attention_job *job, const tile_item *item, tile_scratch *scratch, float *partials, rmask_error *error)
{
    const rmask_attention_sequence *sequence = &job->args->sequences[item->sequence];
    const int32_t position = sequence_position(sequence) + item->first_query, num_keys = sequence->num_keys, n = item->num_queries;
    const int64_t end = (int64_t)position + n;
    const int32_t limit = job->args->causal && end < num_keys ? (int32_t)end : num_keys;
    tile_rows *rows = &scratch->rows;
    if (!job->dry) ask_for_rows(job, item);
    RMASK_TRY(tile_rows_read(job, rmask_attention_mask_of(job, sequence, item->first_head), position, n, limit, rows, error));

    /* Groups of LANE_UNIT positions, their pairs, and all of the tile. */
    struct group {
        int32_t first, count;
        key_runs *runs;
    } units[TILE_QUERIES / LANE_UNIT], pairs[2], whole = {item->first_query, n, &scratch->whole};
    int num_units = 0;
    for (int32_t at = 0; at < n;) {
        int32_t next = LANE_UNIT - (position + at) % LANE_UNIT + at;
        if (next > n || item->num_splits > 1) next = n;
        units[num_units] = (struct group){item->first_query + at, next - at, &scratch->unions[num_units]};
        if (!tile_rows_unite(job, rows, tile_row_of(rows, position + at), tile_row_of(rows, position + next - 1) + 1, num_keys,
                             units[num_units].runs, &scratch->spare))
            return rmask_fail_nomem(error);
        num_units++;
        at = next;
    }
    const int num_pairs = (num_units + 1) / 2;
    int64_t cost[3] = {0};
    for (int i = 0; i < num_units; i++) {
        const int32_t unit_end = units[i].first - item->first_query + units[i].count + position;
        cost[0] += cost_of(item, units[i].count, key_runs_count(units[i].runs, job->args->causal ? unit_end : num_keys));
    }
    for (int i = 0; i < num_pairs; i++) {
        const struct group *a = &units[2 * i], *b = 2 * i + 1 < num_units ? a + 1 : NULL;
        pairs[i] = b ? (struct group){a->first, a->count + b->count, &scratch->pairs[i]} : *a;
        if (b && !key_runs_unite(job, a->runs, b->runs, pairs[i].runs)) return rmask_fail_nomem(error);
        const int32_t pair_end = pairs[i].first - item->first_query + pairs[i].count + position;
        cost[1] += cost_of(item, pairs[i].count, key_runs_count(pairs[i].runs, job->args->causal ? pair_end : num_keys));
    }
    if (num_pairs == 1) whole = pairs[0];
    else if (!key_runs_unite(job, pairs[0].runs, pairs[1].runs, whole.runs)) return rmask_fail_nomem(error);
    cost[2] = cost_of(item, n, key_runs_count(whole.runs, job->args->causal ? (int32_t)end : num_keys));

    if (item->split == 0)
        scratch->work.tiles += (uint64_t)item->num_heads *
                               (uint64_t)((key_runs_count(whole.runs, job->args->causal ? (int32_t)end : num_keys) + LANE_UNIT - 1) / LANE_UNIT);
    if (cost[2] <= cost[1] && cost[2] <= cost[0]) run_tile(job, item, whole.first, whole.count, whole.runs, scratch, partials);
    else if (cost[1] <= cost[0])
        for (int i = 0; i < num_pairs; i++) run_tile(job, item, pairs[i].first, pairs[i].count, pairs[i].runs, scratch, partials);
    else
        for (int i = 0; i < num_units; i++) run_tile(job, item, units[i].first, units[i].count, units[i].runs, scratch, partials);
    return RMASK_OK;
}
