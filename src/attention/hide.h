/* SPDX-License-Identifier: Apache-2.0
 * Hiding, among the scores of a chunk, what a row does not see. */
#ifndef ROARMASK_ATTENTION_HIDE_H
#define ROARMASK_ATTENTION_HIDE_H

#include "attention/chunk.h"

/* Scores of a chunk: key k of row r is at[k * key_stride + r * row_stride]. */
typedef struct score_block {
    float *at;
    ptrdiff_t key_stride, row_stride;
} score_block;

/* Hides what the mask and the causal limit hide from the queries of one head, whose rows begin at `first_row`. */
void rmask_hide_invisible(const attention_job *job, const rows_of_tile *tile, const tile_rows *rows, const chunk *keys,
                          score_block scores, int first_row);

#endif
