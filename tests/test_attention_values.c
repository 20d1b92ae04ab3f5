/* SPDX-License-Identifier: Apache-2.0
 * Attention where the numbers are what matters: parts that are merged, NaN and infinity, scores that are large. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "support/problem.h"

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
        problem_spec spec = problem_plain(100, 150);
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
                for (size_t d = 0; d < dim; d++)
                    part[side][row * dim + d] = (float)problem_out(&p, 0, (int)(row % 2), (int32_t)(row / 2), (int32_t)d);
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
            expect(fabs((double)lse[0][row] - sum) <= 2e-5 * fmax(1, fabs(sum)), "row %zu: log-sum-exp %g, wanted %g", row,
                   (double)lse[0][row], sum);
            for (size_t d = 0; d < dim; d++)
                expect(fabs((double)part[0][row * dim + d] - whole[d]) <= 4e-5 * size[d] + 1e-30,
                       "row %zu dim %zu: %g, wanted %g", row, d, (double)part[0][row * dim + d], whole[d]);
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

/* `where` 0: the query; 1: a key; 2: a value. Rows that see it become NaN; the others stay as they were, but for values within
 * a tile. */
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
                if (d != 3)
                    expect(fabs(problem_out(p, 0, 0, i, d) - wanted[d]) <= 2e-5 * size[d], "row %d dim %d is another", i, d);
            if (!sees && (i < POISONED_KEY - 64 || i > POISONED_KEY + 110))
                expect(row_has(p, i, is_finite), "row %d does not see it", i);
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
                    problem_spec spec = problem_plain(POISON_QUERIES, POISON_QUERIES);
                    note("method %d, %s, poison %d in %d", method, few ? "decode" : "prefill", with, where);
                    spec.num_heads = 1;
                    spec.block_queries = spec.block_keys = 1;
                    spec.sequences[0].num_masks = 1;
                    spec.sequences[0].kind[0] = "all";
                    problem_create(&p, &spec, &random);
                    rmask_release(p.masks[0][0]);
                    expect_ok(
                        rmask_parse("causal & window(40)", POISON_QUERIES, POISON_QUERIES, NULL, &p.masks[0][0], test_error));
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
            problem_spec spec = problem_plain(queries, 64);
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
                    if (problem_visible(&p, 0, 0, i, 5))
                        expect(isnan(problem_out(&p, 0, 1, i, 0)), "query %d", i);
                    else
                        expect(isfinite(problem_out(&p, 0, 1, i, 0)), "query %d", i);
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
        problem_spec spec = problem_plain(queries, 600);
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
        cmocka_unit_test(halves_merge),
        cmocka_unit_test(nan_and_infinity),
        cmocka_unit_test(infinite_scores),
        cmocka_unit_test(large_scores),
    };
    return run_test_program(tests);
}
