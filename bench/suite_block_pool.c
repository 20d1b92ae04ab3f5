/* SPDX-License-Identifier: Apache-2.0
 * The published failure: blocks of a KV cache allocated and released from a pool that is a free list, a bitset, or a Roaring
 * bitmap of the free blocks. Requests come and go at random while the pool stays nine tenths full. */
#include "clock.h"
#include "format.h"
#include "heap.h"
#include "pool.h"
#include "report.h"
#include "suites.h"

#include "cli.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NUM_POOLS = 3, NUM_SIZES = 3, SCRIPT_BLOCKS = 400000, MAX_REQUEST = 512, ROUNDS = 7 };

static const int32_t pool_sizes[NUM_SIZES] = {6250, 62500, 1000000};
static const double published_memory_factor = 2.3, published_time_factor = 4.6;

/* A request takes `count` blocks at once, or, where `count` is 0, gives back what it has. */
struct step {
    int32_t request, count;
};

/* What happens to a pool, the same for all kinds. Request i keeps its blocks at blocks + i * MAX_REQUEST. */
struct script {
    struct step *steps;
    int num_steps;
    int64_t num_block_ops; /* allocations plus releases of blocks */
    int32_t *held;         /* the blocks that each request has */
    int32_t *blocks;
    int32_t num_requests;
};

static int32_t draw_length(uint64_t *random)
{
    int32_t octave = 4 << bench_random_below(random, 7);
    return octave + bench_random_below(random, octave) + 1;
}

/* Starts with an empty pool, fills it to nine tenths, and then lets random requests go and new ones come. */
static struct script script_create(int32_t num_blocks, uint64_t random)
{
    int32_t target = num_blocks - num_blocks / 10, num_live = 0;
    struct script script = {.num_requests = num_blocks / 4 + 1};
    script.steps = bench_alloc((size_t)(SCRIPT_BLOCKS + 4 * (int64_t)num_blocks) * sizeof *script.steps);
    script.held = bench_alloc_zeroed((size_t)script.num_requests, sizeof *script.held);
    script.blocks = bench_alloc((size_t)script.num_requests * MAX_REQUEST * sizeof *script.blocks);
    int32_t *live = bench_alloc((size_t)script.num_requests * sizeof *live), *lengths = script.held;
    for (int32_t i = 0; i < script.num_requests; i++)
        live[i] = i;
    for (int32_t in_use = 0; script.num_block_ops < SCRIPT_BLOCKS + num_blocks;) {
        int32_t length = draw_length(&random);
        if (in_use + length <= target && num_live < script.num_requests) {
            int32_t request = live[num_live++];
            script.steps[script.num_steps++] = (struct step){request, length};
            lengths[request] = length;
            in_use += length;
        } else {
            int32_t *picked = &live[bench_random_below(&random, num_live)], request = *picked;
            *picked = live[--num_live];
            live[num_live] = request;
            script.steps[script.num_steps++] = (struct step){request, 0};
            length = lengths[request];
            in_use -= length;
        }
        script.num_block_ops += length;
    }
    bench_free(live);
    return script;
}

static void script_release(struct script *script)
{
    bench_free(script->steps);
    bench_free(script->held);
    bench_free(script->blocks);
}

static void play_step(const struct pool_kind *kind, void *pool, struct script *script, struct step step)
{
    int32_t *blocks = script->blocks + (size_t)step.request * MAX_REQUEST, *held = &script->held[step.request];
    if (step.count > 0)
        kind->allocate(pool, blocks, step.count);
    else
        kind->release(pool, blocks, *held);
    *held = step.count;
}

/* Nanoseconds for a block allocated or released. */
static double play(const struct pool_kind *kind, int32_t num_blocks, struct script *script)
{
    void *pool = kind->create(num_blocks);
    double begin = bench_now_ns();
    for (int i = 0; i < script->num_steps; i++)
        play_step(kind, pool, script, script->steps[i]);
    double taken = bench_now_ns() - begin;
    kind->destroy(pool);
    return taken / (double)script->num_block_ops;
}

/* Plays the script once, watching that no block is given to two. Returns the most bytes that the pool ever took. */
static size_t check(const struct pool_kind *kind, int32_t num_blocks, struct script *script)
{
    bool *taken = bench_alloc_zeroed((size_t)num_blocks, sizeof *taken);
    size_t before = bench_live_bytes(), most = 0;
    void *pool = kind->create(num_blocks);
    for (int i = 0; i < script->num_steps; i++) {
        struct step step = script->steps[i];
        int32_t *blocks = script->blocks + (size_t)step.request * MAX_REQUEST;
        int32_t num_given_back = step.count > 0 ? 0 : script->held[step.request];
        for (int32_t j = 0; j < num_given_back; j++)
            taken[blocks[j]] = false;
        play_step(kind, pool, script, step);
        for (int32_t j = 0; j < step.count; j++) {
            if (blocks[j] < 0 || blocks[j] >= num_blocks || taken[blocks[j]])
                cli_die(CLI_FAILED, "check failed: pool %s gave block %d, which is not free", kind->name, (int)blocks[j]);
            taken[blocks[j]] = true;
        }
        if (bench_live_bytes() - before > most)
            most = bench_live_bytes() - before;
    }
    kind->destroy(pool);
    bench_free(taken);
    return most;
}

struct pool_result {
    size_t memory_bytes;
    double block_ns; /* NAN where the kind is not built in */
};

static void measure_size(int32_t num_blocks, uint64_t seed, struct pool_result results[NUM_POOLS])
{
    double ns[NUM_POOLS][ROUNDS];
    struct script script = script_create(num_blocks, seed);
    for (int kind = 0; kind < NUM_POOLS; kind++)
        results[kind] = (struct pool_result){pool_kinds[kind]->create ? check(pool_kinds[kind], num_blocks, &script) : 0, NAN};
    for (int round = 0; round < ROUNDS; round++)
        for (int kind = 0; kind < NUM_POOLS; kind++)
            if (pool_kinds[kind]->create)
                ns[kind][round] = play(pool_kinds[kind], num_blocks, &script);
    for (int kind = 0; kind < NUM_POOLS; kind++)
        if (pool_kinds[kind]->create)
            results[kind].block_ns = bench_median(ns[kind], ROUNDS);
    script_release(&script);
}

static struct pool_factors compare_pools(const struct pool_result results[NUM_POOLS])
{
    if (results[2].memory_bytes == 0)
        return (struct pool_factors){NAN, NAN};
    return (struct pool_factors){(double)results[2].memory_bytes / (double)results[0].memory_bytes,
                                 results[2].block_ns / results[0].block_ns};
}

const char *suite_block_pool_verdict(double factor)
{
    return isnan(factor) ? "not measured" : factor > 1 ? "holds" : "does not hold";
}

struct pool_factors suite_block_pool_factors(uint64_t seed)
{
    struct pool_result results[NUM_POOLS];
    measure_size(pool_sizes[1], seed, results);
    return compare_pools(results);
}

static json_t *size_json(int32_t num_blocks, const struct pool_result results[NUM_POOLS])
{
    json_t *pools = json_array();
    for (int kind = 0; kind < NUM_POOLS; kind++)
        json_array_append_new(pools, json_pack("{s:s, s:o, s:o}", "name", pool_kinds[kind]->name, "memory_bytes",
                                               results[kind].memory_bytes ? json_integer((json_int_t)results[kind].memory_bytes)
                                                                          : json_null(),
                                               "block_ns", report_ns(results[kind].block_ns)));
    return json_pack("{s:i, s:o}", "num_blocks", (int)num_blocks, "pools", pools);
}

static void print_size(int32_t num_blocks, const struct pool_result results[NUM_POOLS])
{
    printf("\nPool of %s blocks      bytes  to free list   allocate, release   to free list\n",
           format_count((uint64_t)num_blocks).text);
    for (int kind = 0; kind < NUM_POOLS; kind++) {
        const struct pool_result *result = &results[kind];
        double num_bytes = result->memory_bytes ? (double)result->memory_bytes : NAN;
        printf("  %-10s%20s%14s%20s%15s\n", pool_kinds[kind]->name, format_bytes(num_bytes).text,
               format_factor(num_bytes / (double)results[0].memory_bytes).text, format_ns(result->block_ns).text,
               format_factor(result->block_ns / results[0].block_ns).text);
    }
}

json_t *suite_block_pool(const struct bench_flags *flags, bool quiet)
{
    json_t *sizes = json_array(), *claims = json_array();
    if (!quiet)
        printf("block-pool: blocks allocated and released, %d%% in use\n  %s\n", 90, report_machine());
    for (int i = 0; i < NUM_SIZES; i++) {
        struct pool_result results[NUM_POOLS];
        bench_progress("block-pool: %d blocks", (int)pool_sizes[i]);
        measure_size(pool_sizes[i], flags->seed, results);
        struct pool_factors factors = compare_pools(results);
        const char *memory = suite_block_pool_verdict(factors.memory), *time = suite_block_pool_verdict(factors.time);
        json_array_append_new(sizes, size_json(pool_sizes[i], results));
        json_array_append_new(claims, json_pack("{s:i, s:s, s:s}", "num_blocks", (int)pool_sizes[i],
                                                "roaring_takes_more_memory", memory, "roaring_is_slower", time));
        if (quiet)
            continue;
        print_size(pool_sizes[i], results);
        printf("  published: roaring takes %.1fx the memory: %s; and %.1fx the time: %s\n", published_memory_factor, memory,
               published_time_factor, time);
    }
    json_t *object = json_pack("{s:s, s:I, s:o, s:o}", "suite", "block-pool", "seed", (json_int_t)flags->seed, "sizes", sizes,
                               "claims", claims);
    report_add_machine(object);
    return object;
}
