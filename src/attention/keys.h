/* SPDX-License-Identifier: Apache-2.0
 * Which keys a tile of queries sees: runs of key tokens read from the mask's rows, and their union in units of LANE_UNIT keys. */
#ifndef ROARMASK_ATTENTION_KEYS_H
#define ROARMASK_ATTENTION_KEYS_H

#include "attention/job.h"

/* Key tokens [begin, end). Lists of runs ascend and do not touch. */
typedef struct key_run {
    int32_t begin, end;
} key_run;
typedef rmask_vec(key_run) key_runs;

/* The mask's rows of one tile. Row i covers the queries at positions [first_row + i) * block_queries and on, and sees
 * runs.at[row_begin[i]] up to row_begin[i + 1]. A dense tile is one row without a mask. */
typedef struct tile_rows {
    int32_t first_row, num_rows;
    int32_t block_queries;
    key_runs runs;
    size_t row_begin[MAX_LANES + 1];
} tile_rows;

/* Reads the rows of the positions [first, first + count), count at most MAX_LANES, cut at `key_limit`. */
rmask_status rmask_tile_rows_read(const attention_job *job, const rmask *mask, int32_t first, int count, int32_t key_limit,
                                  tile_rows *rows, rmask_error *error);

/* Index of the row that a position lies in. */
static inline int tile_row_of(const tile_rows *rows, int32_t position)
{
    return (int)(position / rows->block_queries - rows->first_row);
}

/* The union of the rows [row_begin, row_end), rounded out to whole units, perhaps past the last key. `spare` is for work. False: out of memory. */
bool rmask_tile_rows_unite(const attention_job *job, const tile_rows *rows, int row_begin, int row_end, key_runs *out,
                           key_runs *spare);

/* The union of two lists. */
bool rmask_key_runs_unite(const attention_job *job, const key_runs *a, const key_runs *b, key_runs *out);

/* Keys in the list below `limit`. */
int64_t rmask_key_runs_count(const key_runs *runs, int32_t limit);

#endif
