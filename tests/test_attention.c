/* SPDX-License-Identifier: Apache-2.0
 * Attention against its naive twin: random problems of every kind, and those that chance would seldom bring. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/problem.h"

static void note_problem(const problem_spec *spec, int round)
{
    char lengths[120] = "";
    size_t at = 0;
    for (int s = 0; s < spec->num_sequences; s++)
        at += (size_t)snprintf(lengths + at, sizeof lengths - at, " %d@%d/%d(%d)", spec->sequences[s].num_queries,
                               spec->sequences[s].first_position, spec->sequences[s].num_keys, spec->sequences[s].num_masks);
    note("%d: heads %d/%d dim %d dtypes %d%d%d layout %d page %d block %dx%d%s%s%s cap %g:%s", round, spec->num_heads,
         spec->num_kv_heads, spec->head_dim, spec->query_dtype, spec->key_dtype, spec->out_dtype, spec->layout,
         spec->page_tokens, spec->block_queries, spec->block_keys, spec->causal ? " causal" : "", spec->slopes ? " alibi" : "",
         spec->sinks ? " sinks" : "", (double)spec->soft_cap, lengths);
}

/* ---------------------------------------------------------------- everything at random */

static void *copy_of(const void *bytes, size_t num_bytes)
{
    void *copy = must_allocate(num_bytes);
    if (num_bytes) memcpy(copy, bytes, num_bytes);
    return copy;
}

/* The same bits for any number of threads, with the same work. */
static void check_threads(problem *p)
{
    void *out = NULL, *lse = NULL;
    rmask_attention_work first, work;
    for (int threads = 1; threads <= 8; threads += threads < 3 ? 1 : 5) {
        p->args.num_threads = threads;
        problem_lay_out(p);
        p->args.work = threads == 1 ? &first : &work;
        expect_ok(rmask_attention(&p->args, test_error));
        p->args.work = NULL;
        if (threads == 1) {
            out = copy_of(p->args.out.data, p->out_bytes);
            lse = copy_of(p->args.lse, p->lse_bytes);
            continue;
        }
        expect(memcmp(out, p->args.out.data, p->out_bytes) == 0, "%d threads give other bits than one", threads);
        expect(p->lse_bytes == 0 || memcmp(lse, p->args.lse, p->lse_bytes) == 0, "%d threads give another log-sum-exp than one",
               threads);
        expect(memcmp(&first, &work, sizeof work) == 0, "%d threads count another work than one", threads);
    }
    free(out), free(lse);
    p->args.num_threads = 0;
}

/* Tiles of the kernel with a visible pair. `most` counts those on the diagonal whether or not the causal limit leaves them
 * anything. */
static uint64_t count_tiles(const problem *p, uint64_t *most)
{
    uint64_t tiles = 0;
    *most = 0;
    for (int s = 0; s < p->spec.num_sequences; s++) {
        const rmask_attention_sequence *q = &p->sequences[s];
        const int32_t first = problem_position(p, s),
                      across = (q->num_keys + RMASK_ATTENTION_TILE_KEYS - 1) / RMASK_ATTENTION_TILE_KEYS;
        bool *seen = must_allocate((size_t)across * sizeof *seen);
        for (int h = 0; h < p->spec.num_heads; h++)
            for (int32_t i = 0; i < q->num_queries; i++) {
                if (i == 0 || (first + i) % RMASK_ATTENTION_TILE_QUERIES == 0) {
                    memset(seen, 0, (size_t)across * sizeof *seen);
                    if (p->args.causal) *most += RMASK_ATTENTION_TILE_QUERIES / RMASK_ATTENTION_TILE_KEYS;
                }
                for (int32_t j = 0; j < q->num_keys; j++) {
                    bool *tile = &seen[j / RMASK_ATTENTION_TILE_KEYS];
                    if (*tile || !problem_visible(p, s, h, i, j)) continue;
                    *tile = true;
                    tiles++;
                }
            }
        free(seen);
    }
    *most += tiles;
    return tiles;
}

static void check_work(problem *p)
{
    rmask_attention_work counted, done;
    expect_ok(rmask_attention_count(&p->args, &counted, test_error));
    p->args.work = &done;
    expect_ok(rmask_attention(&p->args, test_error));
    p->args.work = NULL;
    const uint64_t visible = problem_visible_pairs(p);
    uint64_t most = 0, most_tiles, tiles = count_tiles(p, &most_tiles);
    for (int s = 0; s < p->spec.num_sequences; s++)
        most += (uint64_t)p->sequences[s].num_queries * (uint64_t)p->sequences[s].num_keys * (uint64_t)p->spec.num_heads;
    expect(done.visible_pairs == visible, "%llu visible pairs, wanted %llu", (unsigned long long)done.visible_pairs,
           (unsigned long long)visible);
    expect(visible <= done.computed_pairs && done.computed_pairs <= most,
           "%llu pairs computed, of %llu visible and %llu in all", (unsigned long long)done.computed_pairs,
           (unsigned long long)visible, (unsigned long long)most);
    expect(tiles <= done.tiles && done.tiles <= most_tiles, "%llu tiles, wanted %llu", (unsigned long long)done.tiles,
           (unsigned long long)tiles);
    expect((done.computed_pairs == 0) == (done.key_tokens == 0), "%llu key tokens", (unsigned long long)done.key_tokens);
    expect(counted.visible_pairs == done.visible_pairs && counted.tiles == done.tiles,
           "counted %llu in %llu tiles, done %llu in %llu", (unsigned long long)counted.visible_pairs,
           (unsigned long long)counted.tiles, (unsigned long long)done.visible_pairs, (unsigned long long)done.tiles);
    expect(counted.computed_pairs == done.computed_pairs && counted.key_tokens == done.key_tokens,
           "counted %llu/%llu, done %llu/%llu", (unsigned long long)counted.computed_pairs,
           (unsigned long long)counted.key_tokens, (unsigned long long)done.computed_pairs,
           (unsigned long long)done.key_tokens);
}

static void random_problems(void **state)
{
    (void)state;
    rng random = rng_here();
    for (int round = 0; round < 80; round++) {
        problem p;
        problem_spec spec = problem_any(&random);
        note_problem(&spec, round);
        problem_create(&p, &spec, &random);
        problem_run_and_check(&p);
        check_threads(&p);
        check_work(&p);
        if (round % 5 == 0) {
            p.args.method = RMASK_ATTENTION_REFERENCE;
            problem_lay_out(&p);
            problem_run_and_check(&p);
        }
        problem_free(&p);
    }
}

/* ---------------------------------------------------------------- each kind */

static void run_spec(const problem_spec *spec, rng *random)
{
    problem p;
    problem_create(&p, spec, random);
    problem_run_and_check(&p);
    check_work(&p);
    problem_free(&p);
}

static void every_head_dimension_and_dtype(void **state)
{
    (void)state;
    rng random = rng_here();
    static const int32_t dims[] = {1, 2, 7, 15, 16, 17, 32, 40, 64, 65, 80, 96, 128, 200, 256, 512};
    for (size_t d = 0; d < sizeof dims / sizeof dims[0]; d++)
        for (int dtype = 0; dtype < 3; dtype++)
            for (int queries = 1; queries <= 70; queries += 69) {
                problem_spec spec = problem_plain(queries, 133);
                note("dim %d dtype %d, %d queries", dims[d], dtype, queries);
                spec.head_dim = dims[d];
                spec.query_dtype = spec.key_dtype = spec.out_dtype = (rmask_dtype)dtype;
                run_spec(&spec, &random);
            }
}

static void every_layout_and_page_size(void **state)
{
    (void)state;
    rng random = rng_here();
    static const int32_t pages[] = {1, 5, 16, 24, 128, 256};
    for (int layout = 0; layout < NUM_KEY_LAYOUTS; layout++)
        for (int page = 0; page < 6; page++)
            for (int queries = 1; queries <= 100; queries += 33) {
                problem_spec spec = problem_plain(queries, 300);
                note("layout %d, pages of %d, %d queries", layout, pages[page], queries);
                if (layout == PAGES_AS_COLUMNS && pages[page] == 1)
                    continue; /* a dim stride of 1 says rows, which it is as well */
                spec.num_kv_heads = 2;
                spec.layout = (key_layout)layout;
                spec.page_tokens = pages[page];
                spec.key_dtype = queries % 2 ? RMASK_BFLOAT16 : RMASK_FLOAT32;
                spec.sequences[0].num_masks = 2;
                spec.sequences[0].kind[0] = "random 20%", spec.sequences[0].kind[1] = "sink and window";
                run_spec(&spec, &random);
            }
}

static void every_group_and_number_of_queries(void **state)
{
    (void)state;
    rng random = rng_here();
    static const int32_t groups[] = {1, 2, 3, 4, 8, 16, 33};
    static const int32_t queries[] = {1, 2, 3, 4, 5, 8, 9, 15, 16, 17, 31, 33, 63, 64, 65, 127, 129};
    for (size_t g = 0; g < sizeof groups / sizeof groups[0]; g++)
        for (size_t q = 0; q < sizeof queries / sizeof queries[0]; q++) {
            problem_spec spec = problem_plain(queries[q], 150);
            note("groups of %d, %d queries", groups[g], queries[q]);
            spec.num_heads = groups[g];
            spec.slopes = q % 2;
            spec.sinks = q % 3 == 0;
            spec.sequences[0].num_masks = 1;
            spec.sequences[0].kind[0] = "noisy structure";
            run_spec(&spec, &random);
        }
}

static void every_kind_of_mask_and_block(void **state)
{
    (void)state;
    rng random = rng_here();
    static const char *const kinds[] = {"none",
                                        "all",
                                        "causal",
                                        "diagonal",
                                        "window",
                                        "sink and window",
                                        "global and window",
                                        "dilated",
                                        "strided",
                                        "columns and diagonals",
                                        "checkerboard",
                                        "corners",
                                        "one row",
                                        "random 1%",
                                        "random 50%",
                                        "random 95%",
                                        "documents",
                                        "ragged window",
                                        "few rows"};
    static const int32_t blocks[][2] = {{1, 1},   {16, 16}, {48, 48}, {128, 128}, {64, 16},
                                        {16, 64}, {1, 7},   {7, 1},   {300, 1000}};
    for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++)
        for (size_t b = 0; b < sizeof blocks / sizeof blocks[0]; b++) {
            problem_spec spec = problem_plain(k % 3 == 2 ? 90 : 260, 260);
            note("%s in blocks of %d x %d", kinds[k], blocks[b][0], blocks[b][1]);
            spec.causal = (k + b) % 2;
            spec.block_queries = blocks[b][0], spec.block_keys = blocks[b][1];
            spec.sequences[0].num_masks = b % 2 ? 1 : 2;
            spec.sequences[0].kind[0] = kinds[k];
            spec.sequences[0].kind[1] = kinds[(k + 5) % (sizeof kinds / sizeof kinds[0])];
            run_spec(&spec, &random);
        }
}

/* Rows and keys of a batch whose sequences have nothing in common. */
static void mixed_batches(void **state)
{
    (void)state;
    rng random = rng_here();
    for (int layout = 0; layout < NUM_KEY_LAYOUTS; layout++) {
        problem_spec spec = problem_plain(0, 0);
        note("layout %d", layout);
        spec.layout = (key_layout)layout;
        spec.num_sequences = 4;
        spec.sequences[1].num_queries = 5, spec.sequences[1].num_keys = 0, spec.sequences[1].first_position = 3;
        spec.sequences[2].num_queries = 1, spec.sequences[2].num_keys = 1, spec.sequences[2].first_position = -1;
        spec.sequences[3].num_queries = 120, spec.sequences[3].num_keys = 333, spec.sequences[3].first_position = 401;
        spec.sequences[3].num_masks = 1, spec.sequences[3].kind[0] = "random 20%";
        run_spec(&spec, &random);
    }
}

/* Long enough for shares of the keys, which several threads take. */
static void long_decode(void **state)
{
    (void)state;
    rng random = rng_here();
    for (int queries = 1; queries <= 40; queries += queries < 3 ? 1 : 37)
        for (int masked = 0; masked < 3; masked++) {
            problem p;
            problem_spec spec = problem_plain(queries, 20001);
            note("%d queries, %d masks", queries, masked);
            spec.num_heads = 8, spec.num_kv_heads = 2, spec.layout = PAGES_JOINED, spec.key_dtype = RMASK_BFLOAT16,
            spec.sinks = true;
            spec.block_keys = masked == 2 ? 1 : 16;
            spec.block_queries = 4000; /* few rows, so that making them takes no time */
            spec.sequences[0].num_masks = masked;
            spec.sequences[0].kind[0] = "random 50%", spec.sequences[0].kind[1] = NULL;
            problem_create(&p, &spec, &random);
            problem_run_and_check(&p);
            check_threads(&p);
            check_work(&p);
            problem_free(&p);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_problems),
        cmocka_unit_test(every_head_dimension_and_dtype),
        cmocka_unit_test(every_layout_and_page_size),
        cmocka_unit_test(every_group_and_number_of_queries),
        cmocka_unit_test(every_kind_of_mask_and_block),
        cmocka_unit_test(mixed_batches),
        cmocka_unit_test(long_decode),
    };
    return run_test_program(tests);
}
