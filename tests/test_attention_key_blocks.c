/* SPDX-License-Identifier: Apache-2.0
 * Summaries of blocks of keys and scores against them, beside loops over their definitions. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "roarmask/attention.h"
#include "support/hook.h"
#include "support/support.h"

enum { ENTRIES = 5, ENTRY_BLOCKS = 3, KV_HEADS = 2, BLOCKS = ENTRIES * ENTRY_BLOCKS };

typedef struct world {
    rmask_key_blocks blocks;
    rmask_tensor key, query;
    float *keys, *queries, *numbers;
    int tokens, dim, width;
    int32_t which[BLOCKS], filled[BLOCKS];
} world;

static float any_float(rng *random) { return (float)(int)(rng_next(random) % 2001) / 500 - 2; }

static float key_of(const world *w, int entry, int token, int head, int d)
{
    const rmask_tensor *k = &w->key;
    return w->keys[entry * k->batch_stride + token * k->token_stride + head * k->head_stride + d * k->dim_stride];
}

/* Keys as [entries, heads, tokens, dim], or [.., dim, tokens] with `columns`; unwritten ones are NaN, as stale memory may be. */
static void make(world *w, rng *random, int block, int dim, bool columns, rmask_key_summary summary, int num_queries,
                 int num_heads)
{
    const int tokens = ENTRY_BLOCKS * block;
    memset(w, 0, sizeof *w);
    w->tokens = tokens, w->dim = dim, w->width = summary == RMASK_KEY_BOUNDS ? 2 * dim : dim;
    w->keys = must_allocate(sizeof(float) * (size_t)(ENTRIES * KV_HEADS * tokens * dim));
    w->numbers = must_allocate(sizeof(float) * (size_t)(BLOCKS * KV_HEADS * w->width));
    w->queries = must_allocate(sizeof(float) * (size_t)(num_queries * num_heads * dim));
    w->key =
        (rmask_tensor){w->keys, RMASK_FLOAT32, KV_HEADS * tokens * dim, columns ? 1 : dim, tokens * dim, columns ? tokens : 1};
    w->query = (rmask_tensor){w->queries, RMASK_FLOAT32, 0, num_heads * dim, dim, 1};
    w->blocks = (rmask_key_blocks){summary, block, ENTRY_BLOCKS, ENTRIES, KV_HEADS, dim, w->numbers, NULL};
    for (int i = 0; i < num_queries * num_heads * dim; i++) w->queries[i] = any_float(random);
    for (int i = 0; i < BLOCKS; i++) w->which[i] = i, w->filled[i] = 1 + (int32_t)(rng_next(random) % (uint64_t)block);
    for (int e = 0; e < ENTRIES; e++)
        for (int h = 0; h < KV_HEADS; h++)
            for (int t = 0; t < tokens; t++)
                for (int d = 0; d < dim; d++)
                    w->keys[e * w->key.batch_stride + h * w->key.head_stride + t * w->key.token_stride +
                            d * w->key.dim_stride] =
                        t % block < w->filled[e * ENTRY_BLOCKS + t / block] ? any_float(random) : NAN;
}

static void destroy(world *w)
{
    free(w->keys);
    free(w->queries);
    free(w->numbers);
}

static void check_numbers(const world *w, int32_t which)
{
    const int entry = which / ENTRY_BLOCKS, first = which % ENTRY_BLOCKS * w->blocks.block;
    for (int h = 0; h < KV_HEADS; h++)
        for (int d = 0; d < w->dim; d++) {
            double sum = 0, low = INFINITY, high = -INFINITY;
            for (int t = 0; t < w->filled[which]; t++) {
                const double x = (double)key_of(w, entry, first + t, h, d);
                sum += x, low = fmin(low, x), high = fmax(high, x);
            }
            const float *at = w->numbers + (which * KV_HEADS + h) * w->width;
            if (w->blocks.summary == RMASK_KEY_MEANS) {
                assert_true(fabs((double)at[d] - sum / w->filled[which]) < 1e-5);
            } else {
                assert_true((double)at[d] == high);
                assert_true((double)at[w->dim + d] == low);
            }
        }
}

/* From the numbers, which were checked: in float64. */
static double score_of(const world *w, const rmask_key_row *row, int num_heads, int head, int32_t which)
{
    const float *at = w->numbers + (which * KV_HEADS + head / (num_heads / KV_HEADS)) * w->width;
    double best = -INFINITY, mean = 0;
    for (int q = 0; q < row->num_queries; q++) {
        const float *query = w->queries + ((row->query_token + q) * num_heads + head) * w->dim;
        double bound = 0, product = 0;
        for (int d = 0; d < w->dim; d++) {
            product += (double)query[d] * (double)at[d];
            if (w->blocks.summary == RMASK_KEY_BOUNDS)
                bound += fmax((double)query[d] * (double)at[d], (double)query[d] * (double)at[w->dim + d]);
        }
        best = fmax(best, bound), mean += product / row->num_queries;
    }
    return w->blocks.summary == RMASK_KEY_BOUNDS ? best : mean;
}

/* Rows of one to 100 queries over lists in any order, some of them shared: all paths, and rows that do not fit the lanes. */
static void check_scores(const world *w, rng *random, int num_queries, int num_heads)
{
    enum { ROWS = 40, LISTS = 3, LONG = 200 };
    int32_t lists[LISTS][LONG];
    for (int i = 0; i < LISTS; i++)
        for (int j = 0; j < LONG; j++) lists[i][j] = i == 0 ? j % BLOCKS : (int32_t)(rng_next(random) % BLOCKS);
    rmask_key_row rows[ROWS];
    for (int r = 0; r < ROWS; r++) {
        const int n =
            rng_next(random) % 4 ? 1 + (int)(rng_next(random) % 20) : 1 + (int)(rng_next(random) % (uint64_t)num_queries);
        rows[r] = (rmask_key_row){(int64_t)(rng_next(random) % (uint64_t)(num_queries - n + 1)), n,
                                  (int32_t)(rng_next(random) % (LONG + 1)), lists[r * LISTS / ROWS]};
    }
    float *scores = must_allocate(sizeof(float) * (size_t)(ROWS * num_heads * LONG)),
          *again = must_allocate(sizeof(float) * (size_t)(ROWS * num_heads * LONG));
    for (int i = 0; i < ROWS * num_heads * LONG; i++) scores[i] = again[i] = 77;
    expect_ok(rmask_score_keys(&w->blocks, &w->query, num_heads, 0.5f, rows, ROWS, scores, LONG, 1, test_error));
    expect_ok(rmask_score_keys(&w->blocks, &w->query, num_heads, 0.5f, rows, ROWS, again, LONG, 3, test_error));
    assert_memory_equal(scores, again, sizeof(float) * (size_t)(ROWS * num_heads * LONG));
    for (int r = 0; r < ROWS; r++)
        for (int h = 0; h < num_heads; h++)
            for (int i = 0; i < LONG; i++) {
                const double got = (double)scores[(r * num_heads + h) * LONG + i];
                if (i >= rows[r].num_blocks)
                    assert_true(got == 77);
                else
                    assert_true(fabs(got - 0.5 * score_of(w, &rows[r], num_heads, h, rows[r].blocks[i])) < 1e-3);
            }
    free(scores);
    free(again);
}

static void by_definition(void **state)
{
    (void)state;
    rng random = rng_here();
    static const int dims[] = {1, 7, 32, 64, 80}, sizes[] = {1, 4, 16, 33};
    for (int round = 0; round < 40; round++) {
        const int dim = dims[rng_next(&random) % 5], block = sizes[rng_next(&random) % 4],
                  num_heads = KV_HEADS * (1 + round % 4);
        const rmask_key_summary summary = round % 2 ? RMASK_KEY_BOUNDS : RMASK_KEY_MEANS;
        const bool columns = rng_next(&random) % 2;
        note("dim %d block %d heads %d summary %d columns %d", dim, block, num_heads, summary, columns);
        world w;
        make(&w, &random, block, dim, columns, summary, 100, num_heads);
        for (int i = 0; i < BLOCKS * KV_HEADS * w.width; i++) w.numbers[i] = 77;
        expect_ok(rmask_summarize_keys(&w.blocks, &w.key, w.which + 1, w.filled + 1, BLOCKS - 1, round % 3, test_error));
        for (int i = 0; i < KV_HEADS * w.width; i++) assert_true(w.numbers[i] == 77.0f); /* the others stay */
        expect_ok(rmask_summarize_keys(&w.blocks, &w.key, w.which, w.filled, 1, 1, test_error));
        for (int i = 0; i < BLOCKS; i++) check_numbers(&w, i);
        check_scores(&w, &random, 100, num_heads);
        destroy(&w);
    }
}

/* What is not a number counts least; a NaN among keys is in no bound. */
static void nan_counts_least(void **state)
{
    (void)state;
    rng random = rng_here();
    world w;
    make(&w, &random, 4, 8, true, RMASK_KEY_MEANS, 1, 2);
    for (int i = 0; i < BLOCKS; i++) w.filled[i] = 4;
    expect_ok(rmask_summarize_keys(&w.blocks, &w.key, w.which, w.filled, BLOCKS, 1, test_error));
    for (int i = 0; i < KV_HEADS * w.width; i++) w.numbers[i] = NAN;
    float scores[2];
    const rmask_key_row row = {0, 1, 1, w.which};
    expect_ok(rmask_score_keys(&w.blocks, &w.query, 2, 1, &row, 1, scores, 1, 1, test_error));
    assert_true(scores[0] == -INFINITY && scores[1] == -INFINITY);
    destroy(&w);
}

static void refusals(void **state)
{
    (void)state;
    rng random = rng_here();
    world w;
    make(&w, &random, 4, 8, false, RMASK_KEY_BOUNDS, 2, 4);
    const int32_t bad = BLOCKS, five = 5, none = 0;
    float scores[8];
    assert_int_equal(rmask_summarize_keys(&w.blocks, &w.key, &bad, w.filled, 1, 1, NULL), RMASK_ERR_RANGE);
    assert_int_equal(rmask_summarize_keys(&w.blocks, &w.key, w.which, &five, 1, 1, NULL), RMASK_ERR_ARGUMENT);
    assert_int_equal(rmask_summarize_keys(&w.blocks, &w.key, w.which, &none, 1, 1, NULL), RMASK_ERR_ARGUMENT);
    rmask_key_row row = {0, 2, 1, &bad};
    assert_int_equal(rmask_score_keys(&w.blocks, &w.query, 4, 1, &row, 1, scores, 1, 1, NULL), RMASK_ERR_RANGE);
    row.blocks = w.which, row.num_blocks = 2;
    assert_int_equal(rmask_score_keys(&w.blocks, &w.query, 4, 1, &row, 1, scores, 1, 1, NULL), RMASK_ERR_ARGUMENT);
    row.num_blocks = 1;
    assert_int_equal(rmask_score_keys(&w.blocks, &w.query, 3, 1, &row, 1, scores, 1, 1, NULL), RMASK_ERR_ARGUMENT);
    assert_int_equal(rmask_score_keys(&w.blocks, &w.query, 4, 0, &row, 1, scores, 1, 1, NULL), RMASK_ERR_ARGUMENT);
    assert_int_equal(rmask_score_keys(&w.blocks, &w.query, 4, 1, &row, -1, scores, 1, 1, NULL), RMASK_ERR_ARGUMENT);
    row.num_queries = 0;
    assert_int_equal(rmask_score_keys(&w.blocks, &w.query, 4, 1, &row, 1, scores, 1, 1, NULL), RMASK_ERR_ARGUMENT);
    w.blocks.head_dim = 513;
    assert_int_equal(rmask_score_keys(&w.blocks, &w.query, 4, 1, &row, 1, scores, 1, 1, test_error), RMASK_ERR_ARGUMENT);
    assert_non_null(strstr(test_error->message, "head dimension of 513"));
    destroy(&w);
}

typedef struct scoring {
    world w;
    rmask_key_row row;
    float *scores;
} scoring;

static rmask_status score_with(const rmask_allocator *allocator, void *context)
{
    const scoring *s = context;
    rmask_key_blocks blocks = s->w.blocks;
    blocks.allocator = allocator;
    for (int i = 0; i < 2 * BLOCKS; i++) s->scores[i] = 77;
    const rmask_status status =
        rmask_score_keys(&blocks, &s->w.query, 2, 0.5f, &s->row, 1, s->scores, BLOCKS, 1, test_error);
    if (status == RMASK_OK)
        for (int i = 0; i < 2 * BLOCKS; i++)
            assert_true(fabs((double)s->scores[i] - 0.5 * score_of(&s->w, &s->row, 2, i / BLOCKS, i % BLOCKS)) < 1e-3);
    return status;
}

static void out_of_memory_leaves_nothing(void **state)
{
    (void)state;
    rng random = rng_here();
    for (int summary = RMASK_KEY_MEANS; summary <= RMASK_KEY_BOUNDS; summary++) {
        scoring s;
        make(&s.w, &random, 4, 32, false, (rmask_key_summary)summary, 20, 2);
        expect_ok(rmask_summarize_keys(&s.w.blocks, &s.w.key, s.w.which, s.w.filled, BLOCKS, 1, test_error));
        s.row = (rmask_key_row){0, 20, BLOCKS, s.w.which};
        s.scores = must_allocate(sizeof(float) * 2 * BLOCKS);
        expect(check_out_of_memory(score_with, &s) == 2, "the list of rows and one thread's scratch");
        free(s.scores);
        destroy(&s.w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_definition),
        cmocka_unit_test(nan_counts_least),
        cmocka_unit_test(refusals),
        cmocka_unit_test(out_of_memory_leaves_nothing),
    };
    return run_test_program(tests);
}
