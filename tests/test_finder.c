/* SPDX-License-Identifier: Apache-2.0
 * Finding structure in rows: what comes cell by cell costs what its formula costs, and what has no structure costs what its
 * containers cost. */
#include <stdlib.h>
#include <string.h>

#include "support/generate.h"
#include "support/ways.h"

static uint64_t bytes_of(const rmask *mask)
{
    size_t num_bytes;
    (void)rmask_data(mask, &num_bytes);
    return num_bytes;
}

static size_t num_too_large;

/* A structured mask given cell by cell ends within 5% of its formula. Where noise hides the structure, or it changes every few
 * rows, the finder decides before it has seen all rows: it may be wrong about some, but not by much. */
enum { EXACT_PERCENT = 5, GREEDY_PERCENT = 40 };

/* Prints a mask that takes more than `percent` more than it should: a test goes on after one, for the whole picture. */
static void judge(const rmask *mask, uint64_t most, uint64_t percent)
{
    if (bytes_of(mask) * 100 <= most * (100 + percent)) return;
    print_error("%s: %llu bytes, %llu would do\n", noted(), (unsigned long long)bytes_of(mask), (unsigned long long)most);
    num_too_large++;
}

static void check_judgement(void)
{
    size_t num = num_too_large;
    num_too_large = 0;
    expect(num == 0, "%zu masks are too large", num);
}

/* ---------------------------------------------------------------- masks with a formula */

typedef struct formula {
    const char *expression;
    shape grid;
} formula;

static const formula formulas[] = {
    {"none", {500, 500}},
    {"full", {500, 500}},
    {"causal", {600, 600}},
    {"causal", {300, 700}},
    {"causal", {700, 300}},
    {"window(50)", {600, 600}},
    {"window(1)", {600, 600}},
    {"window(500)", {600, 600}},
    {"window(30, 20)", {600, 600}},
    {"window(40)", {300, 700}},
    {"window(40)", {700, 300}},
    {"causal & (sink(16) | window(64))", {600, 600}},
    {"sink(1) | window(3)", {600, 600}},
    {"sink(40) | window(20, 20)", {600, 600}},
    {"global(10) | window(30, 30)", {600, 600}},
    {"global(10) | window(30, 29) & causal", {600, 600}},
    {"!window(20, 20)", {600, 600}},
    {"causal - window(20)", {600, 600}},
    {"local(64)", {600, 600}},
    {"local(7)", {600, 600}},
    {"local(32) & causal", {600, 600}},
    {"documents(100, 37, 263, 1, 99, 100)", {600, 600}},
    {"documents(100, 37, 263, 1, 99, 100) & causal", {600, 600}},
    {"documents(100, 37, 263, 1, 99, 100) & causal & window(50)", {600, 600}},
    {"prefix(100)", {600, 600}},
    {"prefix(3)", {600, 600}},
    {"dilated(8, 4)", {600, 600}},
    {"dilated(100, 2)", {600, 600}},
    {"strided(16)", {600, 600}},
    {"strided(16) & causal", {600, 600}},
    {"columns(3, 17, 18, 90, 400)", {600, 600}},
    {"columns(3, 17, 18, 90, 400) | window(5)", {600, 600}},
    {"causal & columns(3, 17, 18, 90, 400)", {600, 600}},
    {"diagonals(0, 5, 6, 77)", {600, 600}},
    {"causal & (columns(3, 80, 311) | diagonals(0, 1, 50))", {600, 600}},
    {"columns(3, 80, 311) ^ window(10)", {600, 600}},
    {"window(64) | random(0.001, seed=3)", {600, 600}},
    {"causal & (sink(8) | window(32) | random(0.01, seed=4))", {600, 600}},
    {"global(8) | window(32, 32) | random(0.01, seed=5)", {1000, 1000}},
    {"full - random(0.01, seed=6)", {600, 600}},
    {"causal ^ random(0.02, seed=7)", {600, 600}},
    {"random(0.001, seed=8)", {600, 600}},
    {"random(0.2, seed=9)", {600, 600}},
    {"random(0.5, seed=10)", {600, 600}},
    {"random(0.95, seed=11)", {600, 600}},
    {"window(2000, 300)", {5000, 5000}},
    {"causal & (sink(64) | window(512))", {5000, 5000}},
    {"global(64) | window(256, 255)", {5000, 5000}},
    {"causal & (sink(64) | window(512)) | random(0.001, seed=12)", {5000, 5000}},
    {"local(700)", {5000, 5000}},
    {"sink(5) | window(100)", {20, 140000}},
};
enum { NUM_FORMULAS = sizeof formulas / sizeof formulas[0] };

/* All but the two ways that are not about rows: "data" and "algebra". */
static bool is_built_from_rows(int way) { return strcmp(way_name(way), "data") != 0 && strcmp(way_name(way), "algebra") != 0; }

static void cell_by_cell_costs_what_the_formula_costs(void **state)
{
    (void)state;
    rng random = rng_here();
    for (int i = 0; i < NUM_FORMULAS; i++) {
        const formula *f = &formulas[i];
        bool large = (int64_t)f->grid.rows * f->grid.cols > 1500000;
        rmask *by_formula;
        note("%s, %d x %d", f->expression, f->grid.rows, f->grid.cols);
        expect_ok(rmask_parse(f->expression, f->grid.rows, f->grid.cols, NULL, &by_formula, test_error));
        twin *t = twin_of(by_formula);
        for (int way = 0; way < NUM_WAYS; way++) {
            if (!is_built_from_rows(way) || (large && strstr(way_name(way), "builder, "))) continue;
            note("%s, %d x %d by %s", f->expression, f->grid.rows, f->grid.cols, way_name(way));
            rmask *by_cells = make(way, t, NULL, &random);
            check_equal(by_formula, by_cells, true);
            judge(by_cells, bytes_of(by_formula), EXACT_PERCENT);
            rmask_release(by_cells);
        }
        rmask_release(by_formula);
        twin_free(t);
    }
    check_judgement();
}

/* Independent of what the formula makes of it: these are the strips that there are, and nothing else. */
static void structure_is_found_to_the_strip(void **state)
{
    (void)state;
    static const struct {
        const char *expression;
        uint64_t most_strips, most_boundaries;
    } wanted[] = {
        {"full", 1, 1},
        {"causal", 1, 2},
        {"window(50)", 1, 2},
        {"window(30, 20)", 1, 2},
        {"columns(3, 17, 18, 90, 400)", 1, 8},
        {"diagonals(5, 6, 77)", 1, 4},
        {"strided(16) & causal", 1, 80},
        {"prefix(100)", 2, 3},
        {"causal & (sink(16) | window(64))", 2, 4},
        {"global(10) | window(30, 30)", 4, 8},
        {"local(50)", 12, 13},
    };
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        rmask *by_formula, *by_cells;
        rmask_stats stats;
        expect_ok(rmask_parse(wanted[i].expression, 600, 600, NULL, &by_formula, test_error));
        twin *t = twin_of(by_formula);
        by_cells = make_plain(t);
        rmask_get_stats(by_cells, &stats);
        note("%s", wanted[i].expression);
        expect(stats.num_strips <= wanted[i].most_strips, "%llu strips", (unsigned long long)stats.num_strips);
        expect(stats.num_boundaries <= wanted[i].most_boundaries, "%llu boundaries", (unsigned long long)stats.num_boundaries);
        expect(stats.num_exceptions == 0, "%llu exceptions", (unsigned long long)stats.num_exceptions);
        rmask_release(by_formula), rmask_release(by_cells);
        twin_free(t);
    }
}

/* ---------------------------------------------------------------- masks without one */

static uint64_t smaller(uint64_t a, uint64_t b) { return a < b ? a : b; }

/* What the rows cost one by one, each at its cheapest: an array or a bitset below no strip, or a strip of its own. */
static uint64_t bytes_row_by_row(const twin *t)
{
    const uint64_t bytes_of_strip = 20, bytes_of_range = 8, bytes_of_bitset = ((uint64_t)t->cols + 15) / 16 * 2;
    uint64_t below_none = bytes_of_strip, below_own = UINT32_MAX; /* so far, by what the last row was */
    int32_t *ranges = must_allocate(((size_t)t->cols + 1) * sizeof *ranges);
    for (int32_t row = 0; row < t->rows; row++) {
        uint64_t exceptions = smaller(2 * twin_row_count(t, row), bytes_of_bitset);
        uint64_t strip = bytes_of_strip + bytes_of_range * twin_row_ranges(t, row, ranges);
        uint64_t best = smaller(below_none, below_own);
        below_none = smaller(below_none, below_own + bytes_of_strip) + exceptions;
        below_own = best + strip;
    }
    free(ranges);
    return smaller(below_none, below_own);
}

static void nothing_costs_more_than_its_rows(void **state)
{
    (void)state;
    rng random = rng_fixed();
    for (int kind = 0; kind < NUM_KINDS; kind++)
        for (int repeat = 0; repeat < 6; repeat++) {
            shape s = random_shape(120000, &random);
            twin *t = generate(kind, s.rows, s.cols, &random);
            rmask *mask = make_plain(t);
            uint64_t most = bytes_row_by_row(t);
            note("%s %d x %d", kind_name(kind), s.rows, s.cols);
            most += 128 + 7 + 4 * ((uint64_t)s.rows + 1); /* header, padding, directory */
            judge(mask, most, GREEDY_PERCENT);
            rmask_release(mask), twin_free(t);
        }
    check_judgement();
}

/* Structure that lasts for many rows is found below noise, wherever it starts and ends. */
static void structure_below_noise(void **state)
{
    (void)state;
    enum { SIDE = 800 };
    static const char *const kinds[] = {"window", "sink and window", "causal", "columns", "all but a window", "causal local"};
    rng random = rng_fixed();
    for (size_t i = 0; i < 6; i++)
        for (int repeat = 0; repeat < 5; repeat++) {
            twin *t = generate_named(kinds[i], SIDE, SIDE, &random);
            rmask *clean = make_plain(t);
            uint64_t num_flips = 0;
            for (int32_t row = 0; row < SIDE; row++)
                for (int32_t col = 0; col < SIDE; col++)
                    if (rng_chance(&random, 0.004)) twin_at(t, row)[col] ^= 1, num_flips++;
            rmask *noisy = make_plain(t);
            uint64_t most = bytes_of(clean) + 2 * num_flips + 4 * (SIDE + 1) + 8;
            note("%s below noise", kinds[i]);
            judge(noisy, most, GREEDY_PERCENT);
            rmask_release(clean), rmask_release(noisy);
            twin_free(t);
        }
    check_judgement();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cell_by_cell_costs_what_the_formula_costs),
        cmocka_unit_test(structure_is_found_to_the_strip),
        cmocka_unit_test(nothing_costs_more_than_its_rows),
        cmocka_unit_test(structure_below_noise),
    };
    return run_test_program(tests);
}
