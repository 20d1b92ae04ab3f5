/* SPDX-License-Identifier: Apache-2.0
 * A tile of queries: up to 64 neighbouring query tokens of the heads that share a KV head and a mask. */
#ifndef ROARMASK_ATTENTION_TILE_H
#define ROARMASK_ATTENTION_TILE_H

#include "attention/job.h"
#include "attention/keys.h"
#include "attention/product.h"

/* CHUNK_KEYS keys are scored, softmaxed and used up at a time: their scores for MAX_LANES lanes are 64 KB. */
enum { TILE_QUERIES = RMASK_ATTENTION_TILE_QUERIES, CHUNK_KEYS = 256, MIN_ROWS_WIDE = 7 };

typedef struct tile_item {
    int32_t sequence;
    int32_t first_head, num_heads; /* query heads of one KV head */
    int32_t first_query, num_queries;
    int32_t split, num_splits; /* this item's share of the keys, SPLIT_KEYS at a time; 1: all of them */
    int64_t partial;           /* with splits: where the tile's partial results begin, in floats */
    int64_t cost;
} tile_item;

/* Keys of one share of a tile that is split. The shares depend on the problem alone, so that the result does not depend on threads. */
enum { SPLIT_KEYS = 2048 };

/* Everything that a thread needs. */
typedef struct tile_scratch {
    float *memory;
    size_t num_floats;
    float *query, *out; /* lanes: [panel][dim][lane]; rows: [row][dim] */
    float *scores;      /* lanes: [key][lane]; rows: [key] */
    float *keys,
        *values; /* widened: [key][dim], or keys [dim][key] where pages hold columns; NULL where tensors hold float32 */
    float *line; /* one row */
    float *max, *sum, *factor, *position, *slope;
    tile_rows rows;
    key_runs unions[TILE_QUERIES / LANE_UNIT], pairs[2], whole, spare;
    attention_product score_product, value_product;
    rmask_attention_work work;
} tile_scratch;

bool rmask_tile_scratch_create(const attention_job *job, int max_group, tile_scratch *scratch);
void rmask_tile_scratch_destroy(const attention_job *job, tile_scratch *scratch);

/* Computes one item. With splits the results go to `partials`: for each row (head, query) the maximum, the sum, and head_dim sums of values. */
rmask_status rmask_tile_run(const attention_job *job, const tile_item *item, tile_scratch *scratch, float *partials,
                            rmask_error *error);

/* Puts the partial results of a split tile together, in the order of the splits. `item` is any of its items. */
void rmask_tile_merge(const attention_job *job, const tile_item *item, float *partials, float *line);

/* Floats of one share's partial results. */
size_t rmask_tile_partial_floats(const attention_job *job, const tile_item *item);

#endif
