/* SPDX-License-Identifier: Apache-2.0 */
#include "attention/rows.h"

#include <math.h>
#include <string.h>

static size_t round_to_line(size_t floats) { return (floats + 15) & ~(size_t)15; }

bool rmask_tile_scratch_create(const attention_job *job, int max_group, tile_scratch *scratch)
{
    memset(scratch, 0, sizeof *scratch);
    const size_t dim = (size_t)job->args->head_dim, panels = (size_t)max_group;
    const bool widened = job->args->key.dtype != RMASK_FLOAT32;
    const size_t lanes = panels * MAX_LANES;
    const size_t sizes[] = {
        lanes * dim,
        lanes * dim,
        (size_t)CHUNK_KEYS * MAX_LANES,
        widened ? CHUNK_KEYS * dim : 0,
        widened ? CHUNK_KEYS * dim : 0,
        dim,
        lanes,
        lanes,
        MAX_LANES,
        MAX_LANES,
        MAX_LANES,
    };
    float **const places[] = {&scratch->query,  &scratch->out,      &scratch->scores, &scratch->keys,
                              &scratch->values, &scratch->line,     &scratch->max,    &scratch->sum,
                              &scratch->factor, &scratch->position, &scratch->slope};
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

void rmask_tile_scratch_destroy(const attention_job *job, tile_scratch *scratch)
{
    rmask_free(&job->allocator, scratch->memory, scratch->num_floats, sizeof(float));
    rmask_vec_free(&job->allocator, &scratch->rows.runs);
    for (int i = 0; i < TILE_QUERIES / LANE_UNIT; i++) rmask_vec_free(&job->allocator, &scratch->unions[i]);
    for (int i = 0; i < 2; i++) rmask_vec_free(&job->allocator, &scratch->pairs[i]);
    rmask_vec_free(&job->allocator, &scratch->whole);
    rmask_vec_free(&job->allocator, &scratch->spare);
}

/* Where a row lies in query or out. */
static void *row_at(const rows_of_tile *tile, const rmask_tensor *tensor, int head, int query)
{
    return tensor_at(tensor, tile->sequence->query_batch, tile->sequence->query_token + tile->first_query + query,
                     tile->item->first_head + head);
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

void rmask_rows_begin(const attention_job *job, const rows_of_tile *tile, tile_scratch *scratch)
{
    const rmask_tensor *query = &job->args->query;
    const int dim = job->args->head_dim;
    for (int panel = 0; tile->wide && panel < tile->num_panels; panel++) {
        const int rows = panel_rows(tile, panel), lanes = panel_lanes(tile, panel), first_row = panel * MAX_LANES;
        const size_t at = (size_t)first_row * (size_t)dim;
        const void *from[MAX_LANES];
        for (int lane = 0; lane < rows; lane++)
            from[lane] = row_at(tile, query, panel_head(tile, panel, lane), lane % tile->num_queries);
        job->kernels->rows_to_lanes(scratch->query + at, lanes, from, rows, query->dtype, dim, job->query_scale);
        memset(scratch->out + at, 0, (size_t)lanes * (size_t)dim * sizeof(float));
        for (int lane = 0; lane < rows; lane += tile->num_queries)
            begin_rows(job, tile, scratch, panel_head(tile, panel, lane), first_row + lane);
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
    if (job->args->lse)
        *lse_at(job->args, sequence->query_batch, sequence->query_token + query, head) = (max + log2f(sum)) * LN_2;
}

static void write_row(const attention_job *job, const tile_item *item, int64_t query, int head, float *row, float max,
                      float sum)
{
    const rmask_attention_sequence *sequence = &job->args->sequences[item->sequence];
    const rmask_tensor *out = &job->args->out;
    const float inverse = inverse_of(sum);
    for (int d = 0; d < job->args->head_dim; d++) row[d] *= inverse;
    job->kernels->narrow(tensor_at(out, sequence->query_batch, sequence->query_token + query, head), row, out->dtype,
                         (size_t)job->args->head_dim);
    write_lse(job, item, query, head, max, sum);
}

/* A partial row: its maximum, its sum, and its values. */
static float *partial_row(const attention_job *job, const rows_of_tile *tile, float *partials, int head, int query)
{
    const tile_item *item = tile->item;
    const size_t row = (size_t)head * (size_t)item->num_queries + (size_t)(tile->first_query - item->first_query + query);
    return partials + item->partial + (size_t)item->split * rmask_tile_partial_floats(job, item) +
           row * ((size_t)job->args->head_dim + 2);
}

void rmask_rows_end(const attention_job *job, const rows_of_tile *tile, tile_scratch *scratch, float *partials)
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
        job->kernels->lanes_to_rows(to, rows, partials ? RMASK_FLOAT32 : job->args->out.dtype,
                                    scratch->out + (size_t)first_row * (size_t)dim, panel_lanes(tile, panel), dim,
                                    scratch->factor);
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
            write_row(job, item, tile->first_query + query, item->first_head + head, values, scratch->max[row],
                      scratch->sum[row]);
        }
    }
}

size_t rmask_tile_partial_floats(const attention_job *job, const tile_item *item)
{
    return (size_t)item->num_heads * (size_t)item->num_queries * ((size_t)job->args->head_dim + 2);
}

void rmask_tile_merge(const attention_job *job, const tile_item *item, float *partials, float *line)
{
    const size_t dim = (size_t)job->args->head_dim, share = rmask_tile_partial_floats(job, item);
    for (int head = 0; head < item->num_heads; head++)
        for (int query = 0; query < item->num_queries; query++) {
            const float *from =
                partials + item->partial + ((size_t)head * (size_t)item->num_queries + (size_t)query) * (dim + 2);
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
