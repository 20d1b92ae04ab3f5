/* SPDX-License-Identifier: Apache-2.0
 * Coarsening: the tiles of a mask that have a cell in it. */
#ifndef ROARMASK_CORE_COARSEN_H
#define ROARMASK_CORE_COARSEN_H

#include "core/mask.h"

/* A mask seen through tiles: itself or, where `inverted`, its complement. At least one side is larger than 1. */
typedef struct rmask_tiling {
    const rmask *mask;
    bool inverted;
    int32_t tile_rows, tile_cols; /* of one tile, in cells */
    int32_t rows, cols;           /* of the grid of tiles */
} rmask_tiling;

/* ceil(side / tile): the tiles that a side takes, the last one perhaps cut off. */
static inline int32_t rmask_num_tiles(int32_t side, int32_t tile) { return side / tile + (side % tile != 0); }

/* Checks that both sides are at least 1. */
rmask_status rmask_check_tile(int32_t tile_rows, int32_t tile_cols, rmask_error *error);

/* The tiles that have a cell in the strips, exceptions left out. */
rmask_status rmask_coarsen_strips(const rmask_tiling *tiling, rmask **out, rmask_error *error);

#endif
