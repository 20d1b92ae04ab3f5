/* SPDX-License-Identifier: Apache-2.0
 * A call as a list of items, and threads that take them one after another, the largest first. */
#include "attention/tile.h"
#include "core/status.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#ifdef _OPENMP
#include <omp.h>
#endif

/* Tiles are split over their keys where there are few of them, as in decoding. */
enum { SPLIT_BELOW_TILES = 64 };

typedef struct work_plan {
    rmask_vec(tile_item) items;
    size_t num_partials; /* floats */
    int max_heads;       /* of an item */
} work_plan;

static int item_heads(const attention_job *job, const rmask_attention_sequence *sequence)
{
    return sequence->num_masks == job->args->num_heads && sequence->num_masks > job->args->num_kv_heads ? 1 : job->group;
}

/* Tiles of a sequence begin at multiples of TILE_QUERIES positions, so that rows of blocks are not cut where that can be helped. */
static int32_t tile_end(const rmask_attention_sequence *sequence, int32_t query)
{
    const int32_t position = sequence_position(sequence) + query;
    const int64_t end = (int64_t)query + TILE_QUERIES - position % TILE_QUERIES;
    return end < sequence->num_queries ? (int32_t)end : sequence->num_queries;
}

static int64_t count_tiles(const attention_job *job)
{
    int64_t tiles = 0;
    for (int i = 0; i < job->args->num_sequences; i++) {
        const rmask_attention_sequence *sequence = &job->args->sequences[i];
        if (sequence->num_queries == 0) continue;
        const int32_t position = sequence_position(sequence);
        tiles += (int64_t)((position + sequence->num_queries - 1) / TILE_QUERIES - position / TILE_QUERIES + 1) *
                 (job->args->num_heads / item_heads(job, sequence));
    }
    return tiles;
}

/* Keys that a query sees, but for the causal limit's effect within its row of the mask. */
static rmask_status count_keys(const attention_job *job, const rmask_attention_sequence *sequence, int head, int32_t query,
                               int64_t *count, rmask_error *error)
{
    const int32_t position = sequence_position(sequence) + query;
    const int64_t limit = job->args->causal && position < sequence->num_keys ? position + 1 : sequence->num_keys;
    const rmask *mask = rmask_attention_mask_of(job, sequence, head);
    *count = limit;
    if (!mask) return RMASK_OK;
    size_t blocks;
    RMASK_TRY(rmask_row_count(mask, position / job->args->block_queries, &blocks, error));
    if ((int64_t)blocks * job->args->block_keys < limit) *count = (int64_t)blocks * job->args->block_keys;
    return RMASK_OK;
}

static rmask_status plan_tile(const attention_job *job, tile_item item, bool split, work_plan *plan, rmask_error *error)
{
    const rmask_attention_sequence *sequence = &job->args->sequences[item.sequence];
    int64_t keys;
    RMASK_TRY(count_keys(job, sequence, item.first_head, item.first_query + item.num_queries - 1, &keys, error));
    if (split) item.num_splits = (int32_t)((keys + SPLIT_KEYS / 2) / SPLIT_KEYS);
    if (item.num_splits < 1) item.num_splits = 1;
    item.cost = (keys / item.num_splits + 1) * item.num_queries * item.num_heads;
    if (item.num_splits > 1 && !job->dry) {
        item.partial = (int64_t)plan->num_partials;
        plan->num_partials += (size_t)item.num_splits * rmask_tile_partial_floats(job, &item);
    }
    if (item.num_heads > plan->max_heads) plan->max_heads = item.num_heads;
    const int32_t num_items = job->dry ? 1 : item.num_splits; /* the first share counts for all */
    if (!rmask_vec_reserve(&job->allocator, &plan->items, (size_t)num_items)) return rmask_fail_nomem(error);
    for (item.split = 0; item.split < num_items; item.split++) rmask_vec_put(&plan->items, item);
    return RMASK_OK;
}

static rmask_status make_plan(const attention_job *job, work_plan *plan, rmask_error *error)
{
    const int64_t num_tiles = count_tiles(job);
    const bool split = num_tiles < SPLIT_BELOW_TILES;
    if (!rmask_vec_reserve(&job->allocator, &plan->items, (size_t)num_tiles)) return rmask_fail_nomem(error);
    for (int i = 0; i < job->args->num_sequences; i++) {
        const rmask_attention_sequence *sequence = &job->args->sequences[i];
        const int heads = item_heads(job, sequence);
        for (int head = 0; head < job->args->num_heads; head += heads)
            for (int32_t query = 0; query < sequence->num_queries; query = tile_end(sequence, query)) {
                tile_item item = {i, head, heads, query, tile_end(sequence, query) - query, 0, 1, 0, 0};
                RMASK_TRY(plan_tile(job, item, split, plan, error));
            }
    }
    return RMASK_OK;
}

/* Largest first, so that no thread is left with a large one at the end. */
static int compare_cost(const void *a, const void *b)
{
    const tile_item *x = a, *y = b;
    return (x->cost < y->cost) - (x->cost > y->cost);
}

/* Not more than have something to do for longer than it takes to wake them, and to wait for them where others use the processor too: some 100 us. */
static int thread_count(const attention_job *job, const work_plan *plan)
{
#ifdef _OPENMP
    const double products_a_thread = 1 << 20;
    int threads = job->args->num_threads > 0 ? job->args->num_threads : omp_get_max_threads();
    double products = 0;
    for (size_t i = 0; i < plan->items.len; i++) products += (double)plan->items.at[i].cost * job->args->head_dim;
    if (threads > products / products_a_thread + 1) threads = (int)(products / products_a_thread) + 1;
    return (size_t)threads < plan->items.len ? threads : plan->items.len > 0 ? (int)plan->items.len : 1;
#else
    (void)job;
    (void)plan;
    return 1;
#endif
}

/* The first failure of any thread; the others then stop taking items. */
typedef struct first_failure {
    atomic_flag taken;
    atomic_int status;
    rmask_error error;
} first_failure;

static void fail_once(first_failure *failure, rmask_status status, const rmask_error *error)
{
    if (atomic_flag_test_and_set(&failure->taken)) return;
    failure->error = *error;
    atomic_store(&failure->status, (int)status);
}

static void add_work(rmask_attention_work *total, const rmask_attention_work *part)
{
    total->visible_pairs += part->visible_pairs;
    total->computed_pairs += part->computed_pairs;
    total->tiles += part->tiles;
    total->key_tokens += part->key_tokens;
}

static rmask_status run_plan(const attention_job *job, work_plan *plan, float *partials, rmask_attention_work *work,
                             rmask_error *error)
{
    const int64_t num_items = (int64_t)plan->items.len;
    const int threads = thread_count(job, plan);
    first_failure failure = {.taken = ATOMIC_FLAG_INIT};
    atomic_init(&failure.status, RMASK_OK);
    if (threads > 1) qsort(plan->items.at, plan->items.len, sizeof *plan->items.at, compare_cost);

#pragma omp parallel num_threads(threads)
    {
        tile_scratch scratch;
        rmask_error own;
        if (!rmask_tile_scratch_create(job, plan->max_heads, &scratch)) fail_once(&failure, rmask_fail_nomem(&own), &own);
#pragma omp for schedule(dynamic, 1)
        for (int64_t i = 0; i < num_items; i++) {
            if (atomic_load_explicit(&failure.status, memory_order_relaxed) != RMASK_OK) continue;
            rmask_status status =
                scratch.memory ? rmask_tile_run(job, &plan->items.at[i], &scratch, partials, &own) : rmask_fail_nomem(&own);
            if (status != RMASK_OK) fail_once(&failure, status, &own);
        }
#pragma omp for schedule(dynamic, 1)
        for (int64_t i = 0; i < num_items; i++)
            if (!job->dry && plan->items.at[i].num_splits > 1 && plan->items.at[i].split == 0 &&
                atomic_load_explicit(&failure.status, memory_order_relaxed) == RMASK_OK)
                rmask_tile_merge(job, &plan->items.at[i], partials, scratch.line);
#pragma omp critical(rmask_attention_work)
        add_work(work, &scratch.work);
        rmask_tile_scratch_destroy(job, &scratch);
    }
    rmask_status status = (rmask_status)atomic_load(&failure.status);
    if (status != RMASK_OK && error) *error = failure.error;
    return status;
}

static rmask_status run(const attention_job *job, rmask_attention_work *work, rmask_error *error)
{
    work_plan plan = {.max_heads = 1};
    float *partials = NULL;
    memset(work, 0, sizeof *work);
    rmask_status status = make_plan(job, &plan, error);
    if (status == RMASK_OK && plan.num_partials > 0) {
        partials = rmask_allocate(&job->allocator, plan.num_partials, sizeof *partials);
        if (!partials) status = rmask_fail_nomem(error);
    }
    if (status == RMASK_OK && plan.items.len > 0) status = run_plan(job, &plan, partials, work, error);
    rmask_free(&job->allocator, partials, plan.num_partials, sizeof *partials);
    rmask_vec_free(&job->allocator, &plan.items);
    return status;
}

rmask_status rmask_attention(const rmask_attention_args *args, rmask_error *error)
{
    attention_job job;
    RMASK_TRY(rmask_attention_check(args, false, &job, error));
    if (args->method == RMASK_ATTENTION_REFERENCE) {
        if (args->work) RMASK_TRY(rmask_attention_count(args, args->work, error));
        return rmask_attention_reference(&job, error);
    }
    rmask_attention_work work;
    RMASK_TRY(run(&job, &work, error));
    if (args->work) *args->work = work;
    return RMASK_OK;
}

rmask_status rmask_attention_count(const rmask_attention_args *args, rmask_attention_work *work, rmask_error *error)
{
    attention_job job;
    RMASK_TRY(rmask_attention_check(args, true, &job, error));
    return run(&job, work, error);
}

void rmask_attention_merge(float *out_a, float *lse_a, const float *out_b, const float *lse_b, size_t num_rows,
                           int32_t head_dim)
{
    for (size_t row = 0; row < num_rows; row++) {
        const float a = lse_a[row], b = lse_b[row], max = a > b ? a : b;
        if (max == -INFINITY) continue;
        const float weight_a = expf(a - max), weight_b = expf(b - max), sum = weight_a + weight_b;
        float *into = out_a + row * (size_t)head_dim;
        const float *from = out_b + row * (size_t)head_dim;
        for (int32_t d = 0; d < head_dim; d++) {
            /* A side that saw nothing holds zeros or anything at all. */
            const float part_a = weight_a > 0 ? into[d] * (weight_a / sum) : 0,
                        part_b = weight_b > 0 ? from[d] * (weight_b / sum) : 0;
            into[d] = part_a + part_b;
        }
        lse_a[row] = max + logf(sum);
    }
}

double rmask_attention_peak_flops(void)
{
    enum { LANES = MAX_LANES, DEPTH = 64, KEYS = 64, TIMES = 200, ROUNDS = 9 };
    const rmask_attention_kernels *kernels = rmask_attention_kernels_get();
    const size_t size = sizeof(float) * (LANES * DEPTH + KEYS * DEPTH + KEYS * LANES) + 64;
    char *memory = malloc(size);
    if (!memory) return 0;
    memset(memory, 0, size);
    float *query = (float *)(((uintptr_t)memory + 63) & ~(uintptr_t)63), *keys = query + LANES * DEPTH,
          *scores = keys + KEYS * DEPTH;
    attention_product product = {0};
    double best = 0;
    for (int round = 0; round < ROUNDS; round++) {
        struct timespec begin, end;
        timespec_get(&begin, TIME_UTC);
        for (int i = 0; i < TIMES; i++)
            rmask_attention_scores(kernels, &product, query, keys, DEPTH, false, scores, LANES, DEPTH, KEYS);
        timespec_get(&end, TIME_UTC);
        double seconds = (double)(end.tv_sec - begin.tv_sec) + 1e-9 * (double)(end.tv_nsec - begin.tv_nsec);
        double flops = 2.0 * LANES * DEPTH * KEYS * TIMES / seconds;
        if (round > 0 && flops > best) best = flops;
    }
    free(memory);
    return best;
}
