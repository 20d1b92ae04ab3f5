/* SPDX-License-Identifier: Apache-2.0 */
#include "attention/keys.h"
#include "core/status.h"

#include <string.h>

rmask_status rmask_tile_rows_read(const attention_job *job, const rmask *mask, int32_t first, int count, int32_t key_limit,
                                  tile_rows *rows, rmask_error *error)
{
    rows->runs.len = 0;
    rows->row_begin[0] = 0;
    if (!mask) {
        rows->block_queries = INT32_MAX;
        rows->first_row = 0;
        rows->num_rows = 1;
        if (!rmask_vec_reserve(&job->allocator, &rows->runs, 1)) return rmask_fail_nomem(error);
        if (key_limit > 0) rmask_vec_put(&rows->runs, ((key_run){0, key_limit}));
        rows->row_begin[1] = rows->runs.len;
        return RMASK_OK;
    }
    const int32_t block_queries = job->args->block_queries, block_keys = job->args->block_keys;
    rows->block_queries = block_queries;
    rows->first_row = first / block_queries;
    rows->num_rows = (first + count - 1) / block_queries - rows->first_row + 1;
    for (int i = 0; i < rows->num_rows; i++) {
        size_t room = rows->runs.cap - rows->runs.len, n;
        rmask_status status = rmask_row_ranges(mask, rows->first_row + i,
                                               room ? (int32_t *)(rows->runs.at + rows->runs.len) : NULL, room, &n, NULL);
        if (status == RMASK_ERR_CAPACITY || (status == RMASK_OK && n > room)) {
            if (!rmask_vec_reserve(&job->allocator, &rows->runs, n + 1)) return rmask_fail_nomem(error);
            i--;
            continue;
        }
        if (status != RMASK_OK) return rmask_row_ranges(mask, rows->first_row + i, NULL, 0, &n, error);
        key_run *run = rows->runs.at + rows->runs.len;
        size_t kept = 0;
        for (; kept < n && (int64_t)run[kept].begin * block_keys < key_limit; kept++) {
            int64_t end = (int64_t)run[kept].end * block_keys;
            run[kept] = (key_run){run[kept].begin * block_keys, end < key_limit ? (int32_t)end : key_limit};
        }
        rows->runs.len += kept;
        rows->row_begin[i + 1] = rows->runs.len;
    }
    return RMASK_OK;
}

/* Appends a run that begins at or after the last one's begin. */
static void append(key_runs *out, key_run run)
{
    if (out->len > 0 && run.begin <= out->at[out->len - 1].end) {
        if (run.end > out->at[out->len - 1].end) out->at[out->len - 1].end = run.end;
    } else {
        rmask_vec_put(out, run);
    }
}

static key_run round_out(key_run run)
{
    return (key_run){run.begin / LANE_UNIT * LANE_UNIT, (run.end + LANE_UNIT - 1) / LANE_UNIT * LANE_UNIT};
}

static bool unite(const attention_job *job, const key_run *a, size_t num_a, const key_run *b, size_t num_b, key_runs *out)
{
    out->len = 0;
    if (!rmask_vec_reserve(&job->allocator, out, num_a + num_b)) return false;
    size_t i = 0, j = 0;
    while (i < num_a || j < num_b) {
        bool take_a = j == num_b || (i < num_a && a[i].begin <= b[j].begin);
        append(out, round_out(take_a ? a[i++] : b[j++]));
    }
    return true;
}

bool rmask_key_runs_unite(const attention_job *job, const key_runs *a, const key_runs *b, key_runs *out)
{
    return unite(job, a->at, a->len, b->at, b->len, out);
}

bool rmask_tile_rows_unite(const attention_job *job, const tile_rows *rows, int row_begin, int row_end, key_runs *out,
                           key_runs *spare)
{
    const key_run *previous = NULL;
    size_t num_previous = 0;
    out->len = 0;
    for (int i = row_begin; i < row_end; i++) {
        const key_run *run = rows->runs.at + rows->row_begin[i];
        size_t n = rows->row_begin[i + 1] - rows->row_begin[i];
        /* Neighbouring rows are often the same. */
        if (i > row_begin && n == num_previous && (n == 0 || memcmp(run, previous, n * sizeof *run) == 0)) continue;
        if (!unite(job, out->at, out->len, run, n, spare)) return false;
        key_runs swap = *out;
        *out = *spare;
        *spare = swap;
        previous = run;
        num_previous = n;
    }
    return true;
}

int64_t rmask_key_runs_count(const key_runs *runs, int32_t limit)
{
    int64_t count = 0;
    for (size_t i = 0; i < runs->len && runs->at[i].begin < limit; i++)
        count += (runs->at[i].end < limit ? runs->at[i].end : limit) - runs->at[i].begin;
    return count;
}
