/* SPDX-License-Identifier: Apache-2.0
 * Columns and diagonals by tiles of query rows: what MInference's kernel takes (arXiv 2407.02490). */
#include "roarmask/export.h"

#include "core/status.h"

typedef struct pattern {
    const int32_t *columns, *distances;
    size_t num_columns, num_distances;
    int32_t num_tokens, tile;
} pattern;

static rmask_status check_pattern(const pattern *p, rmask_error *error)
{
    if (p->tile < 1 || p->num_tokens < 0 || p->num_tokens > INT32_MAX - 2 * (int64_t)p->tile)
        return rmask_fail(error, RMASK_ERR_ARGUMENT, "%d tokens in tiles of %d: a tile has at least 1, and two more tiles must be countable",
                          (int)p->num_tokens, (int)p->tile);
    for (size_t i = 0; i < p->num_columns; i++)
        if (p->columns[i] < 0 || (i > 0 && p->columns[i] <= p->columns[i - 1] && p->columns[i - 1] < p->num_tokens))
            return rmask_fail(error, RMASK_ERR_ARGUMENT, "column %d at place %zu: columns ascend from 0", (int)p->columns[i], i);
    for (size_t i = 0; i < p->num_distances; i++)
        if (p->distances[i] < 0 || (i > 0 && p->distances[i] > p->distances[i - 1]))
            return rmask_fail(error, RMASK_ERR_ARGUMENT, "distance %d at place %zu: distances descend to 0", (int)p->distances[i], i);
    if (p->num_tokens > 0 && (p->num_distances == 0 || p->distances[p->num_distances - 1] != 0))
        return rmask_fail(error, RMASK_ERR_ARGUMENT, "the main diagonal, distance 0, is missing: the kernel needs its blocks");
    return RMASK_OK;
}

/* The tile of query rows before `row_end`. A diagonal reaches as many key tokens as the tile has rows; those that touch what is covered so
 * far add a block to it, others begin anew, and the columns before them are listed. */
static void put_tile(const pattern *p, int64_t row_end, int32_t *num_blocks, int32_t *blocks, int32_t *num_listed, int32_t *listed)
{
    size_t i = 0, column = 0;
    int64_t covered = 0;
    *num_blocks = *num_listed = 0;
    for (size_t n = p->num_distances; n > 0;) { /* the first that is not above all rows */
        const size_t half = n / 2;
        const bool is_above = p->distances[i + half] >= row_end;
        i += is_above ? half + 1 : 0;
        n = is_above ? n - half - 1 : half;
    }
    for (; i < p->num_distances; i++) {
        const int64_t reach = row_end - p->distances[i] > p->tile ? row_end - p->distances[i] : p->tile;
        if (reach <= covered) continue;
        const bool joins = *num_blocks > 0 && reach <= covered + p->tile;
        const int64_t begin = joins ? covered : reach - p->tile;
        for (; column < p->num_columns && p->columns[column] < begin; column++)
            if (p->columns[column] >= covered) listed[(*num_listed)++] = p->columns[column];
        blocks[(*num_blocks)++] = (int32_t)begin;
        covered = begin + p->tile;
    }
}

rmask_status rmask_export_vertical_slash(const int32_t *columns, size_t num_columns, const int32_t *distances, size_t num_distances,
                                         int32_t num_tokens, int32_t tile, int32_t *block_count, int32_t *block_offset, int32_t *column_count,
                                         int32_t *column_index, rmask_error *error)
{
    const pattern p = {columns, distances, num_columns, num_distances, num_tokens, tile};
    RMASK_TRY(check_pattern(&p, error));
    for (int64_t row = 0, i = 0; row < num_tokens; row += tile, i++)
        put_tile(&p, row + tile, block_count + i, block_offset + (size_t)i * num_distances, column_count + i,
                 column_index + (size_t)i * num_columns);
    return RMASK_OK;
}
