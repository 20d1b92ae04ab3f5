/* SPDX-License-Identifier: Apache-2.0
 *
 * The sizes of other forms, all exact, and the choice among them. */
#include "costs.h"
#include "cli.h"

#include <roarmask/exchange.h>

#include <stdio.h>

/* A row of a Roaring bitmap takes some 100 ns, and 20 ns for each 65,536 columns: this is about a second. */
enum { MAX_ROARING_CHUNKS = 10000000, CACHE_BYTES = 32768, FORMULA_BYTES = 1024 };

/* The sum of the rows' bitmaps; -1 where the grid is too large to go through. */
static long double roaring_rows_bytes(const rmask *mask)
{
    long double num_bytes = 0;
    if ((int64_t)rmask_rows(mask) * (1 + rmask_cols(mask) / 65536) > MAX_ROARING_CHUNKS)
        return -1;
    for (int32_t row = 0; row < rmask_rows(mask); row++) {
        size_t row_bytes;
        rmask_error error;
        cli_check(rmask_row_to_roaring(mask, row, NULL, 0, &row_bytes, &error), &error, NULL);
        num_bytes += row_bytes;
    }
    return num_bytes;
}

void get_costs(const rmask *mask, struct cost costs[NUM_COST_FORMS])
{
    long double rows = rmask_rows(mask), cols = rmask_cols(mask), cells = (long double)rmask_count(mask);
    costs[COST_DENSE] = (struct cost){"dense", "a byte a cell", rows * cols};
    costs[COST_BITSET] = (struct cost){"bitset", "a bit a cell", rows * (long double)(((int64_t)rmask_cols(mask) + 7) / 8)};
    costs[COST_CSR] = (struct cost){"csr", "int64 row offsets, int32 columns", 8 * (rows + 1) + 4 * cells};
    costs[COST_COO] = (struct cost){"coo", "pairs of int32", 8 * cells};
    costs[COST_ROARING_ROWS] = (struct cost){"roaring", "a portable bitmap a row", roaring_rows_bytes(mask)};
    if (costs[COST_ROARING_ROWS].num_bytes < 0)
        costs[COST_ROARING_ROWS].what = "a portable bitmap a row; not counted in so large a grid";
    costs[COST_FLEX] = (struct cost){"flexattention", "kv_num_blocks and kv_indices, full and partial", 2 * (4 * rows + 4 * rows * cols)};
    if (cells <= INT32_MAX)
        costs[COST_BSR] = (struct cost){"flashinfer", "BSR: int32 indptr and indices", 4 * (rows + 1) + 4 * cells};
    else
        costs[COST_BSR] = (struct cost){"flashinfer", "BSR: more cells than int32 indptr counts", -1};
}

const char *get_advice(const rmask_stats *stats, const struct cost costs[NUM_COST_FORMS], double density, char reason[ADVICE_SIZE])
{
    long double own = (long double)stats->num_bytes, bitset = costs[COST_BITSET].num_bytes, csr = costs[COST_CSR].num_bytes;
    long double smaller = bitset < csr ? bitset : csr;
    const char *name = bitset < csr ? "bitset" : "csr";
    char bytes[32], own_bytes[32];
    if (stats->count == 0) {
        snprintf(reason, ADVICE_SIZE, "there are no cells to keep");
        return "none";
    }
    if (bitset <= CACHE_BYTES) {
        snprintf(reason, ADVICE_SIZE, "%s fit into the nearest cache, and nothing is simpler", cost_text(bytes, bitset));
        return "bitset";
    }
    if (stats->num_exceptions == 0 && stats->num_bytes <= FORMULA_BYTES) {
        snprintf(reason, ADVICE_SIZE, "%s say all of it as a formula: an expression is as good as a file", cost_text(own_bytes, own));
        return "roarmask";
    }
    if (smaller < 2 * own) {
        snprintf(reason, ADVICE_SIZE, "at a density of %.3g%% without much structure %s takes %s, %.2Lg times roarmask's bytes, and is read as it is",
                 100 * density, name, cost_text(bytes, smaller), smaller / own);
        return name;
    }
    snprintf(reason, ADVICE_SIZE, "%s is %.3Lg times smaller than %s, the smaller one of csr and bitset", cost_text(own_bytes, own),
             smaller / own, name);
    return "roarmask";
}

char *cost_text(char text[32], long double num_bytes)
{
    static const char *const units[] = {"B", "KB", "MB", "GB", "TB", "PB", "EB"};
    size_t unit = 0;
    for (; num_bytes >= 1000 && unit + 1 < sizeof units / sizeof *units; unit++)
        num_bytes /= 1000;
    snprintf(text, 32, "%.4Lg %s", num_bytes, units[unit]);
    return text;
}
