/* SPDX-License-Identifier: Apache-2.0
 * The rows of a tile, a row being a query of a head: how they lie in scratch, queries on their way in and results on their way out. */
#ifndef ROARMASK_ATTENTION_ROWS_H
#define ROARMASK_ATTENTION_ROWS_H

#include "attention/tile.h"

/* Neighbouring queries of a tile with the heads that work on them. */
typedef struct rows_of_tile {
    const tile_item *item;
    const rmask_attention_sequence *sequence;
    int32_t first_query, num_queries;
    int32_t position; /* of the first query */
    int kv_head;
    bool
        wide; /* rows are lanes of vectors, in panels of whole heads; else each is a row of its own, head * num_queries + query */
    int heads_a_panel, num_panels;
} rows_of_tile;

static inline int heads_a_panel(int num_queries, int num_heads)
{
    int heads = MAX_LANES / num_queries;
    return heads < num_heads ? heads : num_heads;
}

/* Lanes of a panel are its heads' queries, head after head. */
static inline int panel_head(const rows_of_tile *tile, int panel, int lane)
{
    return panel * tile->heads_a_panel + lane / tile->num_queries;
}

/* How many of a panel's lanes are rows. */
static inline int panel_rows(const rows_of_tile *tile, int panel)
{
    int heads = tile->item->num_heads - panel * tile->heads_a_panel;
    return (heads < tile->heads_a_panel ? heads : tile->heads_a_panel) * tile->num_queries;
}

static inline int panel_lanes(const rows_of_tile *tile, int panel)
{
    return (panel_rows(tile, panel) + LANE_UNIT - 1) / LANE_UNIT * LANE_UNIT;
}

/* Fills scratch with the queries, and with sums of nothing. */
void rmask_rows_begin(const attention_job *job, const rows_of_tile *tile, tile_scratch *scratch);

/* Writes the results: to the output, or to `partials` where the tile is split. */
void rmask_rows_end(const attention_job *job, const rows_of_tile *tile, tile_scratch *scratch, float *partials);

#endif
