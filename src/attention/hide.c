/* SPDX-License-Identifier: Apache-2.0 */
#include "attention/hide.h"

#include <math.h>

static void hide(score_block scores, int row_begin, int row_end, int key_begin, int key_end)
{
    for (int key = key_begin; key < key_end; key++)
        for (int row = row_begin; row < row_end; row++)
            scores.at[key * scores.key_stride + row * scores.row_stride] = -INFINITY;
}

/* Hides from rows [row_begin, row_end) what is not among the runs. */
static void hide_between_runs(score_block scores, int row_begin, int row_end, const chunk *keys, const key_run *run,
                              const key_run *end)
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
        if (middle->end > key)
            end = middle;
        else
            run = middle + 1;
    }
    return run;
}

void rmask_hide_invisible(const attention_job *job, const rows_of_tile *tile, const tile_rows *rows, const chunk *keys,
                          score_block scores, int first_row)
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
