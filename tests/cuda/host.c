/* SPDX-License-Identifier: Apache-2.0
 * The device of the tests that need none: blocks, warps and lanes one after the other, in an order that is drawn by lot. */
#include "place.h"

#include "cuda/device.h"

#include <stdlib.h>

unsigned rmask_cu_lane_order;
static uint64_t order;

bool place_is_there(void) { return true; }

void *place_allocate(size_t num_bytes)
{
    void *memory = aligned_alloc(256, (num_bytes + 256) / 256 * 256);
    if (!memory) abort();
    memset(memory, 0xa7, num_bytes);
    return memory;
}

void place_free(void *memory) { free(memory); }
void place_put(void *there, const void *here, size_t num_bytes) { memcpy(there, here, num_bytes); }
void place_get(void *here, const void *there, size_t num_bytes) { memcpy(here, there, num_bytes); }

void place_shuffle(rng *random)
{
    order = rng_next(random);
    rmask_cu_lane_order = (unsigned)(rng_next(random) % CU_LANES);
}

/* A walk over 0 .. num - 1 that takes steps of a length without a common divisor with it. */
typedef struct shuffled {
    uint64_t num, step, at, left;
} shuffled;

static shuffled shuffle(uint64_t num)
{
    shuffled s = {num, 1, num ? order % num : 0, num};
    for (uint64_t step = num ? order / 7 % num : 0; step > 1; step--) {
        uint64_t a = step, b = num;
        while (b) {
            const uint64_t rest = a % b;
            a = b;
            b = rest;
        }
        if (a == 1) {
            s.step = step;
            break;
        }
    }
    return s;
}

static bool next(shuffled *s, uint64_t *index)
{
    if (s->left == 0) return false;
    s->left--;
    *index = s->at;
    s->at = (s->at + s->step) % s->num;
    return true;
}

rmask_status rmask_cu_copy(void *to, const void *from, size_t num_bytes, rmask_cuda_stream stream, rmask_error *error)
{
    (void)stream, (void)error;
    memcpy(to, from, num_bytes);
    return RMASK_OK;
}

rmask_status rmask_cu_rows(const cu_rows_job *job, rmask_cuda_stream stream, rmask_error *error)
{
    (void)stream, (void)error;
    uint64_t i;
    for (shuffled rows = shuffle((uint64_t)job->num_rows + 1); next(&rows, &i);)
        cu_rows_warp(job, cu_form_of(&job->what), (int32_t)i);
    return RMASK_OK;
}

rmask_status rmask_cu_dense(const cu_dense_job *job, rmask_cuda_stream stream, rmask_error *error)
{
    (void)stream, (void)error;
    uint64_t i, piece;
    for (shuffled rows = shuffle((uint64_t)job->num_rows); next(&rows, &i);)
        for (shuffled pieces = shuffle((uint64_t)cu_dense_pieces(job)); next(&pieces, &piece);)
            cu_dense_thread(job, job->what.is_tiled, (int64_t)i, (int64_t)piece);
    return RMASK_OK;
}

rmask_status rmask_cu_tiles(const cu_tiles_job *job, rmask_cuda_stream stream, rmask_error *error)
{
    (void)stream, (void)error;
    uint64_t tile, piece;
    for (shuffled tiles = shuffle(job->max_tiles); next(&tiles, &tile);)
        for (shuffled pieces = shuffle(cu_tile_pieces(job)); next(&pieces, &piece);) cu_tile_thread(job, tile, piece);
    return RMASK_OK;
}

rmask_status rmask_cu_packed(const cu_tiles_job *job, rmask_cuda_stream stream, rmask_error *error)
{
    enum { NUM_THREADS = 3 };
    (void)stream, (void)error;
    uint64_t i, thread;
    for (shuffled rows = shuffle((uint64_t)job->num_rows + 1); next(&rows, &i);)
        for (shuffled threads = shuffle(NUM_THREADS); next(&threads, &thread);) cu_packed_thread(job, (int32_t)i, (uint32_t)thread, NUM_THREADS);
    return RMASK_OK;
}

rmask_status rmask_cu_pages(const rmask_cuda_requests *requests, rmask_cuda_stream stream, rmask_error *error)
{
    (void)stream, (void)error;
    const int num = requests->heads_per_group;
    uint64_t i, warp;
    for (shuffled blocks = shuffle((uint64_t)requests->num_requests * (uint64_t)requests->num_groups); next(&blocks, &i);) {
        uint32_t counts[CU_PAGE_WARPS];
        for (shuffled warps = shuffle(CU_PAGE_WARPS); next(&warps, &warp);) counts[warp] = cu_pages_count(requests, num, (int32_t)i, (int32_t)warp);
        for (shuffled warps = shuffle(CU_PAGE_WARPS); next(&warps, &warp);) cu_pages_write(requests, num, (int32_t)i, (int32_t)warp, counts);
    }
    return RMASK_OK;
}

/* Wants a byte, and sees to it that it gets what it wants. */
rmask_status rmask_cu_sums(int64_t *values, int64_t num, void *workspace, size_t *workspace_bytes, rmask_cuda_stream stream, rmask_error *error)
{
    (void)stream;
    if (!workspace) {
        *workspace_bytes = 1;
        return RMASK_OK;
    }
    if (*workspace_bytes < 1) return RMASK_ERR_CAPACITY;
    (void)error;
    *(char *)workspace = 1;
    for (int64_t i = 1; i < num; i++) values[i] += values[i - 1];
    return RMASK_OK;
}

int32_t rmask_cu_num_devices(void) { return 1; }

/* By its name the Python package knows that tensors in the host's memory will do. */
RMASK_API void rmask_cuda_runs_on_the_host(void);
void rmask_cuda_runs_on_the_host(void) {}
