/* SPDX-License-Identifier: Apache-2.0
 * How the queries of a tile are grouped, and a group's way through its keys. */
#include "attention/score.h"
#include "core/status.h"

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

static void run_tile(const attention_job *job, const tile_item *item, int32_t first_query, int32_t num_queries,
                     const key_runs *runs, tile_scratch *scratch, float *partials)
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
    key_walk walk = rmask_key_walk_begin(runs, limit, (int64_t)item->split * SPLIT_KEYS, last_share ? INT64_MAX : SPLIT_KEYS);

    if (item->split == 0) {
        const uint64_t keys = (uint64_t)rmask_key_runs_count(runs, limit);
        scratch->work.computed_pairs += keys * (uint64_t)num_queries * (uint64_t)item->num_heads;
        scratch->work.key_tokens += keys;
        if (job->args->work || job->dry)
            scratch->work.visible_pairs +=
                count_visible(job, &tile, &scratch->rows, sequence->num_keys) * (uint64_t)item->num_heads;
    }
    if (job->dry) return;

    chunk chunks[2], *keys = &chunks[0], *other = &chunks[1];
    rmask_key_walk_next(job, sequence, &walk, keys);
    lookahead next = {keys, 0, 0};
    rmask_ask_for_keys(job, &tile, &next, CHUNK_KEYS);
    rmask_ask_for_values(job, &tile, &next, CHUNK_KEYS);
    rmask_rows_begin(job, &tile, scratch);
    while (keys->num_keys > 0) {
        rmask_key_walk_next(job, sequence, &walk, other);
        next = (lookahead){other, 0, 0};
        if (tile.wide && scratch->keys) rmask_chunk_widen(job, &tile, keys, &next, scratch);
        for (int panel = 0; tile.wide && panel < tile.num_panels; panel++)
            rmask_score_panel(job, &tile, &scratch->rows, keys, &next, panel, scratch);
        if (!tile.wide) rmask_score_rows(job, &tile, &scratch->rows, keys, &next, scratch);
        chunk *done = keys;
        keys = other;
        other = done;
    }
    rmask_rows_end(job, &tile, scratch, item->num_splits > 1 ? partials : NULL);
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
    const int64_t query_bytes = args->head_dim * (int64_t)dtype_size(args->query.dtype),
                  out_bytes = args->head_dim * (int64_t)dtype_size(args->out.dtype);
    for (int head = item->first_head; head < item->first_head + item->num_heads; head++)
        for (int query = item->first_query; query < item->first_query + item->num_queries; query++) {
            const char *from = tensor_at(&args->query, sequence->query_batch, sequence->query_token + query, head);
            const char *to = tensor_at(&args->out, sequence->query_batch, sequence->query_token + query, head);
            for (int64_t byte = 0; byte < query_bytes; byte += 64) __builtin_prefetch(from + byte, 0, 2);
            for (int64_t byte = 0; byte < out_bytes; byte += 64) __builtin_prefetch(to + byte, 1, 2);
        }
}

rmask_status rmask_tile_run(const attention_job *job, const tile_item *item, tile_scratch *scratch, float *partials,
                            rmask_error *error)
{
    const rmask_attention_sequence *sequence = &job->args->sequences[item->sequence];
    const int32_t position = sequence_position(sequence) + item->first_query, num_keys = sequence->num_keys,
                  n = item->num_queries;
    const int64_t end = (int64_t)position + n;
    const int32_t limit = job->args->causal && end < num_keys ? (int32_t)end : num_keys;
    tile_rows *rows = &scratch->rows;
    if (!job->dry) ask_for_rows(job, item);
    RMASK_TRY(
        rmask_tile_rows_read(job, rmask_attention_mask_of(job, sequence, item->first_head), position, n, limit, rows, error));

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
        if (!rmask_tile_rows_unite(job, rows, tile_row_of(rows, position + at), tile_row_of(rows, position + next - 1) + 1,
                                   units[num_units].runs, &scratch->spare))
            return rmask_fail_nomem(error);
        num_units++;
        at = next;
    }
    const int num_pairs = (num_units + 1) / 2;
    int64_t cost[3] = {0};
    for (int i = 0; i < num_units; i++) {
        const int32_t unit_end = units[i].first - item->first_query + units[i].count + position;
        cost[0] += cost_of(item, units[i].count, rmask_key_runs_count(units[i].runs, job->args->causal ? unit_end : num_keys));
    }
    for (int i = 0; i < num_pairs; i++) {
        const struct group *a = &units[2 * i], *b = 2 * i + 1 < num_units ? a + 1 : NULL;
        pairs[i] = b ? (struct group){a->first, a->count + b->count, &scratch->pairs[i]} : *a;
        if (b && !rmask_key_runs_unite(job, a->runs, b->runs, pairs[i].runs)) return rmask_fail_nomem(error);
        const int32_t pair_end = pairs[i].first - item->first_query + pairs[i].count + position;
        cost[1] += cost_of(item, pairs[i].count, rmask_key_runs_count(pairs[i].runs, job->args->causal ? pair_end : num_keys));
    }
    if (num_pairs == 1)
        whole = pairs[0];
    else if (!rmask_key_runs_unite(job, pairs[0].runs, pairs[1].runs, whole.runs))
        return rmask_fail_nomem(error);
    cost[2] = cost_of(item, n, rmask_key_runs_count(whole.runs, job->args->causal ? (int32_t)end : num_keys));

    if (item->split == 0)
        scratch->work.tiles +=
            (uint64_t)item->num_heads *
            (uint64_t)((rmask_key_runs_count(whole.runs, job->args->causal ? (int32_t)end : num_keys) + LANE_UNIT - 1) /
                       LANE_UNIT);
    if (cost[2] <= cost[1] && cost[2] <= cost[0])
        run_tile(job, item, whole.first, whole.count, whole.runs, scratch, partials);
    else if (cost[1] <= cost[0])
        for (int i = 0; i < num_pairs; i++)
            run_tile(job, item, pairs[i].first, pairs[i].count, pairs[i].runs, scratch, partials);
    else
        for (int i = 0; i < num_units; i++)
            run_tile(job, item, units[i].first, units[i].count, units[i].runs, scratch, partials);
    return RMASK_OK;
}
