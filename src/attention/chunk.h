/* SPDX-License-Identifier: Apache-2.0
 * Keys in the portions that they are worked in. */
#ifndef ROARMASK_ATTENTION_CHUNK_H
#define ROARMASK_ATTENTION_CHUNK_H

#include "attention/rows.h"

/* Keys of a chunk that lie behind one another in memory. */
typedef struct segment {
    int32_t key; /* first key token */
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

/* The next chunk's keys and values are asked for while this one is worked: what a mask leaves of them is scattered too far for the processor to
 * foresee. `upto` is how far the work on this chunk is, in keys. */
typedef struct lookahead {
    const chunk *chunk;
    int keys_asked, values_asked; /* segments */
} lookahead;

/* A walk over `count` keys below `limit`, the first `skip` left out. */
key_walk rmask_key_walk_begin(const key_runs *runs, int32_t limit, int64_t skip, int64_t count);

/* The next up to CHUNK_KEYS keys; none at the end. */
void rmask_key_walk_next(const attention_job *job, const rmask_attention_sequence *sequence, key_walk *walk, chunk *out);

void rmask_ask_for_keys(const attention_job *job, const rows_of_tile *tile, lookahead *next, int upto);
void rmask_ask_for_values(const attention_job *job, const rows_of_tile *tile, lookahead *next, int upto);

/* Widens the chunk's keys and values into scratch: one segment then. */
void rmask_chunk_widen(const attention_job *job, const rows_of_tile *tile, const chunk *keys, lookahead *next,
                       tile_scratch *scratch);

#endif
