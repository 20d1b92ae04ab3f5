/* SPDX-License-Identifier: Apache-2.0
 * One chunk of keys for the rows of a tile: score, hide, softmax, add up values. */
#ifndef ROARMASK_ATTENTION_SCORE_H
#define ROARMASK_ATTENTION_SCORE_H

#include "attention/chunk.h"

/* Rows as lanes: a panel at a time, small products. */
void rmask_score_panel(const attention_job *job, const rows_of_tile *tile, const tile_rows *rows, const chunk *keys,
                       lookahead *next, int panel, tile_scratch *scratch);

/* A few rows, each by itself: every key is read once from memory and used for each row while it is in cache. */
void rmask_score_rows(const attention_job *job, const rows_of_tile *tile, const tile_rows *rows, const chunk *keys,
                      lookahead *next, tile_scratch *scratch);

#endif
