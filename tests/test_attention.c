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
    note("%d: heads %d/%d dim %d dtypes %d%d%d layout %d page %d block %dx%d%s%s%s cap %g:%s", round, spec->num_heads, spec->num_kv_heads,
         spec->head_dim, spec->query_dtype, spec->key_dtype, spec->out_dtype, spec->layout, spec->page_tokens, spec->block_queries,
         spec->block_keys, spec->causal ? " causal" : "", spec->slopes ? " alibi" : "", spec->sinks ? " sinks" : "", (double)spec->soft_cap,
         lengths);
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
        expect(p->lse_bytes == 0 || memcmp(lse, p->args.lse, p->lse_bytes) == 0, "%d threads give another log-sum-exp than one", threads);
        expect(memcmp(&first, &work, sizeof work) == 0, "%d threads count another work than one", threads);
    }
    free(out), free(lse);
    p->args.num_threads = 0;
}

/* Tiles of the kernel with a visible pair. `most` counts those on the diagonal whether or not the causal limit leaves them anything. */
static uint64_t count_tiles(const problem *p, uint64_t *most)
{
    uint64_t tiles = 0;
    *most = 0;
    for (int s = 0; s < p->spec.num_sequences; s++) {
        const rmask_attention_sequence *q = &p->sequences[s];
        const int32_t first = problem_position(p, s), across = (q->num_keys + RMASK_ATTENTION_TILE_KEYS - 1) / RMASK_ATTENTION_TILE_KEYS;
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
    expect(done.visible_pairs == visible, "%llu visible pairs, wanted %llu", (unsigned long long)done.visible_pairs, (unsigned long long)visible);
    expect(visible <= done.computed_pairs && done.computed_pairs <= most, "%llu pairs computed, of %llu visible and %llu in all",
           (unsigned long long)done.computed_pairs, (unsigned long long)visible, (unsigned long long)most);
    expect(tiles <= done.tiles && done.tiles <= most_tiles, "%llu tiles, wanted %llu", (unsigned long long)done.tiles, (unsigned long long)tiles);
    expect((done.computed_pairs == 0) == (done.key_tokens == 0), "%llu key tokens", (unsigned long long)done.key_tokens);
    expect(counted.visible_pairs == done.visible_pairs && counted.tiles == done.tiles, "counted %llu in %llu tiles, done %llu in %llu",
           (unsigned long long)counted.visible_pairs, (unsigned long long)counted.tiles, (unsigned long long)done.visible_pairs,
           (unsigned long long)done.tiles);
    expect(counted.computed_pairs == done.computed_pairs && counted.key_tokens == done.key_tokens, "counted %llu/%llu, done %llu/%llu",
           (unsigned long long)counted.computed_pairs, (unsigned long long)counted.key_tokens, (unsigned long long)done.computed_pairs,
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

/* A problem that the tests below change. */
static problem_spec plain_spec(int32_t queries, int32_t keys)
{
    problem_spec spec = {
        .num_heads = 2, .num_kv_heads = 1, .head_dim = 32, .page_tokens = 16, .block_queries = 16, .block_keys = 16, .causal = true, .lse = true,
        .num_sequences = 1, .sequences = {{.num_queries = queries, .num_keys = keys, .first_position = -1}},
    };
    return spec;
}

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
                problem_spec spec = plain_spec(queries, 133);
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
                problem_spec spec = plain_spec(queries, 300);
                note("layout %d, pages of %d, %d queries", layout, pages[page], queries);
                if (layout == PAGES_AS_COLUMNS && pages[page] == 1) continue; /* a dim stride of 1 says rows, which it is as well */
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
            problem_spec spec = plain_spec(queries[q], 150);
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
    static const char *const kinds[] = {"none", "all", "causal", "diagonal", "window", "sink and window", "global and window", "dilated",
                                        "strided", "columns and diagonals", "checkerboard", "corners", "one row", "random 1%",
                                        "random 50%", "random 95%", "documents", "ragged window", "few rows"};
    static const int32_t blocks[][2] = {{1, 1}, {16, 16}, {48, 48}, {128, 128}, {64, 16}, {16, 64}, {1, 7}, {7, 1}, {300, 1000}};
    for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++)
        for (size_t b = 0; b < sizeof blocks / sizeof blocks[0]; b++) {
            problem_spec spec = plain_spec(k % 3 == 2 ? 90 : 260, 260);
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
        problem_spec spec = plain_spec(0, 0);
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
            problem_spec spec = plain_spec(queries, 20001);
            note("%d queries, %d masks", queries, masked);
            spec.num_heads = 8, spec.num_kv_heads = 2, spec.layout = PAGES_JOINED, spec.key_dtype = RMASK_BFLOAT16, spec.sinks = true;
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

/* ---------------------------------------------------------------- parts of the keys */

static rmask *complement(const rmask *mask)
{
    rmask *out;
    expect_ok(rmask_not(mask, &out, test_error));
    return out;
}

/* Half of the keys and the other half, merged, are all keys; and a half with nothing changes nothing. */
static void halves_merge(void **state)
{
    (void)state;
    rng random = rng_here();
    static const char *const kinds[] = {"random 50%", "columns", "window", "none", "all"};
    for (int k = 0; k < 5; k++) {
        problem p;
        problem_spec spec = plain_spec(100, 150);
        note("%s", kinds[k]);
        spec.sequences[0].num_masks = 1;
        spec.sequences[0].kind[0] = kinds[k];
        problem_create(&p, &spec, &random);
        rmask *half = p.masks[0][0], *other = complement(half);
        const size_t rows = 100 * 2, dim = 32;
        float *part[2], lse[2][100 * 2];
        for (int side = 0; side < 2; side++) {
            p.masks[0][0] = side ? other : half;
            expect_ok(rmask_attention(&p.args, test_error));
            part[side] = must_allocate(rows * dim * sizeof(float));
            for (size_t row = 0; row < rows; row++) {
                for (size_t d = 0; d < dim; d++) part[side][row * dim + d] = (float)problem_out(&p, 0, (int)(row % 2), (int32_t)(row / 2), (int32_t)d);
                lse[side][row] = problem_lse(&p, 0, (int)(row % 2), (int32_t)(row / 2));
                /* What a side without keys holds does not matter. */
                if (lse[side][row] == -INFINITY) memset(part[side] + row * dim, 0xff, dim * sizeof(float));
            }
        }
        rmask_attention_merge(part[0], lse[0], part[1], lse[1], rows, 32);
        rmask_release(half), rmask_release(other);
        p.masks[0][0] = NULL; /* all keys */
        double whole[32], size[32];
        for (size_t row = 0; row < rows; row++) {
            double sum = problem_row(&p, 0, (int)(row % 2), (int32_t)(row / 2), whole, size);
            expect(fabs((double)lse[0][row] - sum) <= 2e-5 * fmax(1, fabs(sum)), "row %zu: log-sum-exp %g, wanted %g", row, (double)lse[0][row], sum);
            for (size_t d = 0; d < dim; d++)
                expect(fabs((double)part[0][row * dim + d] - whole[d]) <= 4e-5 * size[d] + 1e-30, "row %zu dim %zu: %g, wanted %g", row, d,
                       (double)part[0][row * dim + d], whole[d]);
        }
        free(part[0]), free(part[1]);
        problem_free(&p);
    }
}

/* ---------------------------------------------------------------- NaN and infinity */

static bool row_has(const problem *p, int32_t query, int (*test)(double))
{
    for (int32_t d = 0; d < p->spec.head_dim; d++)
        if (!test(problem_out(p, 0, 0, query, d))) return false;
    return true;
}

static int is_nan(double x) { return isnan(x); }
static int is_finite(double x) { return isfinite(x); }

enum { POISONED_KEY = 70, POISON_QUERIES = 200 };

/* All queries at once, or a few at a time as in decoding. */
static void attend(problem *p, int32_t at_once)
{
    const rmask_attention_sequence whole = p->sequences[0];
    for (int32_t i = 0; i < whole.num_queries; i += at_once) {
        rmask_attention_sequence *part = &p->sequences[0];
        part->query_token = whole.query_token + i;
        part->first_position = i;
        part->num_queries = whole.num_queries - i < at_once ? whole.num_queries - i : at_once;
        expect_ok(rmask_attention(&p->args, test_error));
    }
    p->sequences[0] = whole;
}

/* `where` 0: the query; 1: a key; 2: a value. Rows that see it become NaN; the others stay as they were, but for values within a tile. */
static void poison(problem *p, int where, float with, int32_t at_once)
{
    const size_t row = (size_t)POISONED_KEY * 32;
    float *at = where == 0 ? p->query[0] + row + 3 : where == 1 ? p->key[0] + row + 3 : p->value[0] + row + 3;
    const float held = *at;
    *at = with;
    problem_lay_out(p);
    *at = held;
    attend(p, at_once);
    double wanted[32], size[32];
    for (int32_t i = 0; i < POISON_QUERIES; i++) {
        const bool sees = where == 0 ? i == POISONED_KEY : problem_visible(p, 0, 0, i, POISONED_KEY);
        problem_row(p, 0, 0, i, wanted, size);
        if (where == 2) {
            if (sees) expect(!isfinite(problem_out(p, 0, 0, i, 3)), "row %d sees %g in a value, and has not", i, (double)with);
            for (int32_t d = 0; d < 32; d++)
                if (d != 3) expect(fabs(problem_out(p, 0, 0, i, d) - wanted[d]) <= 2e-5 * size[d], "row %d dim %d is another", i, d);
            if (!sees && (i < POISONED_KEY - 64 || i > POISONED_KEY + 110)) expect(row_has(p, i, is_finite), "row %d does not see it", i);
        } else if (sees && isnan(with)) {
            expect(row_has(p, i, is_nan), "row %d sees a NaN, and has %g", i, problem_out(p, 0, 0, i, 0));
            expect(isnan(problem_lse(p, 0, 0, i)), "its log-sum-exp is %g", (double)problem_lse(p, 0, 0, i));
        } else if (!sees) {
            for (int32_t d = 0; d < 32; d++)
                expect(fabs(problem_out(p, 0, 0, i, d) - wanted[d]) <= 2e-5 * size[d], "row %d does not see it, and is %g", i,
                       problem_out(p, 0, 0, i, d));
        }
    }
}

static void nan_and_infinity(void **state)
{
    (void)state;
    rng random = rng_here();
    for (int method = 0; method < 2; method++)
        for (int few = 0; few < 2; few++)
            for (int where = 0; where < 3; where++)
                for (int with = 0; with < 3; with++) {
                    problem p;
                    problem_spec spec = plain_spec(POISON_QUERIES, POISON_QUERIES);
                    note("method %d, %s, poison %d in %d", method, few ? "decode" : "prefill", with, where);
                    spec.num_heads = 1;
                    spec.block_queries = spec.block_keys = 1;
                    spec.sequences[0].num_masks = 1;
                    spec.sequences[0].kind[0] = "all";
                    problem_create(&p, &spec, &random);
                    rmask_release(p.masks[0][0]);
                    expect_ok(rmask_parse("causal & window(40)", POISON_QUERIES, POISON_QUERIES, NULL, &p.masks[0][0], test_error));
                    p.args.method = (rmask_attention_method)method;
                    const float poisons[] = {NAN, INFINITY, -INFINITY};
                    poison(&p, where, poisons[with], few ? 3 : POISON_QUERIES);
                    problem_free(&p);
                }
}

/* An infinite score makes its row NaN, as inf - inf does in a softmax; minus infinity makes a weight of nothing. */
static void infinite_scores(void **state)
{
    (void)state;
    rng random = rng_here();
    for (int queries = 1; queries <= 64; queries += 63)
        for (int sign = -1; sign <= 1; sign += 2) {
            problem p;
            problem_spec spec = plain_spec(queries, 64);
            note("%d queries, sign %d", queries, sign);
            spec.head_dim = 16;
            problem_create(&p, &spec, &random);
            for (size_t i = 0; i < (size_t)queries * 2 * 16; i++) p.query[0][i] = fabsf(p.query[0][i]) + 0.01f;
            p.key[0][5 * 16] = (float)sign * INFINITY;
            problem_lay_out(&p);
            if (sign < 0) {
                problem_run_and_check(&p);
            } else {
                expect_ok(rmask_attention(&p.args, test_error));
                for (int32_t i = 0; i < queries; i++)
                    if (problem_visible(&p, 0, 0, i, 5)) expect(isnan(problem_out(&p, 0, 1, i, 0)), "query %d", i);
                    else expect(isfinite(problem_out(&p, 0, 1, i, 0)), "query %d", i);
            }
            problem_free(&p);
        }
}

/* Scores up to thousands: exponentials of them need the running maximum. */
static void large_scores(void **state)
{
    (void)state;
    rng random = rng_here();
    for (int queries = 2; queries <= 100; queries += 98) {
        problem p;
        problem_spec spec = plain_spec(queries, 600);
        note("%d queries", queries);
        spec.head_dim = 1, spec.scale = 100;
        problem_create(&p, &spec, &random);
        /* Exact products, so that the twin's scores are the same. */
        for (int32_t i = 0; i < queries * 2; i++) p.query[0][i] = roundf(p.query[0][i]);
        for (int32_t j = 0; j < 600; j++) p.key[0][j] = roundf(4 * p.key[0][j]) / 4;
        problem_lay_out(&p);
        expect_ok(rmask_attention(&p.args, test_error));
        double wanted[1], size[1];
        for (int32_t i = 0; i < queries; i++) {
            problem_row(&p, 0, 0, i, wanted, size);
            const double got = problem_out(&p, 0, 0, i, 0);
            expect(fabs(got - wanted[0]) <= 2e-4 * size[0] + 1e-30, "query %d: %g, wanted %g", i, got, wanted[0]);
        }
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
        cmocka_unit_test(halves_merge),
        cmocka_unit_test(nan_and_infinity),
        cmocka_unit_test(infinite_scores),
        cmocka_unit_test(large_scores),
    };
    return run_test_program(tests);
}
