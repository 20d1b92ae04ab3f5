/* SPDX-License-Identifier: Apache-2.0
 * The pattern language: every pattern and operator against the naive twin, sizes, files and memory. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/hook.h"
#include "support/pattern_twin.h"

enum { TEXT_BYTES = 1 << 16 };

static rmask *parse(const char *text, int32_t rows, int32_t cols) {
    rmask *mask;
    note("%d x %d: %.200s", (int)rows, (int)cols, text);
    expect_ok(rmask_parse(text, rows, cols, NULL, &mask, test_error));
    return mask;
}

static void expect_same_cells(const char *text, const char *other, int32_t rows, int32_t cols) {
    rmask *a = parse(text, rows, cols), *b = parse(other, rows, cols);
    note("%s and %s, %d x %d", text, other, (int)rows, (int)cols);
    check_equal(a, b, true);
    rmask_release(a), rmask_release(b);
}

/* ---------------------------------------------------------------- cells */

static void check_expression(pattern *p, shape grid, rng *random) {
    static char text[TEXT_BYTES];
    pattern_print(p, text, sizeof text, random);
    twin *t = pattern_cells(p, grid.rows, grid.cols);
    check_rows_release(parse(text, grid.rows, grid.cols), t);
    twin_free(t);
    pattern_free(p);
}

static void patterns_follow_their_definitions(void **state) {
    (void)state;
    static const shape grids[] = {{2, 2}, {3, 2}, {17, 17}, {64, 17}, {17, 64}, {100, 100}, {3, 70000}, {2, 131073}};
    rng random = rng_here();
    for (int kind = 0; kind < NUM_PATTERNS; kind++) {
        for (int i = 0; i < num_small_shapes; i++)
            for (int again = 0; again < 12; again++)
                check_expression(pattern_generate((pattern_kind)kind, shapes[i], &random), shapes[i], &random);
        for (size_t i = 0; i < sizeof grids / sizeof *grids; i++)
            for (int again = 0; again < 4; again++)
                check_expression(pattern_generate((pattern_kind)kind, grids[i], &random), grids[i], &random);
    }
}

static void expressions_follow_their_twins(void **state) {
    (void)state;
    rng random = rng_here();
    for (int i = 0; i < 4000; i++) {
        const shape grid = random_shape(i % 20 ? 300 : 5000, &random);
        check_expression(expression_generate(grid, 1 + i % 4, &random), grid, &random);
    }
    for (int i = 0; i < 30; i++) {
        const shape grid = {(int32_t)rng_between(&random, 1, 3), (int32_t)rng_between(&random, 65000, 70000)};
        check_expression(expression_generate(grid, 3, &random), grid, &random);
    }
}

static void operators_bind_as_documented(void **state) {
    (void)state;
    static const char *const pairs[][2] = {
        {"A | B & C", "A | (B & C)"},         {"A & B | C", "(A & B) | C"},       {"A | B ^ C", "A | (B ^ C)"},
        {"A ^ B & C", "A ^ (B & C)"},         {"A - B & C", "(A - B) & C"},       {"A & B - C", "(A & B) - C"},
        {"A - B - C", "(A - B) - C"},         {"A - B | C", "(A - B) | C"},       {"A ^ B - C", "A ^ (B - C)"},
        {"!A & B", "(!A) & B"},               {"!A | B", "(!A) | B"},             {"!!A", "A"},
        {"!!!A", "!A"},                       {"A - !B", "A & B"},                {"A ^ B ^ C", "A ^ (B ^ C)"},
        {"A | B ^ C & !A", "A | (B ^ (C & (!A)))"},
    };
    static const char *const leaves[] = {"columns(4, 5, 6, 7)", "columns(2, 3, 6, 7)", "columns(1, 3, 5, 7)"};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        char texts[2][256] = {"", ""};
        for (int side = 0; side < 2; side++)
            for (const char *at = pairs[i][side]; *at; at++) {
                const char symbol[] = {*at, '\0'};
                strcat(texts[side], 'A' <= *at && *at <= 'C' ? leaves[*at - 'A'] : symbol);
            }
        expect_same_cells(texts[0], texts[1], 1, 8);
    }
}

static void clipped_patterns(void **state) {
    (void)state;
    static const char *const pairs[][2] = {
        {"sink(64)", "full"},
        {"columns(70000)", "none"},
        {"window(2147483647)", "causal"},
        {"window(2147483647, 2147483647)", "full"},
        {"window(-2147483647, -2147483647)", "none"},
        {"window(0)", "none"},
        {"window(-1, 0)", "none"},
        {"window(-2, 3)", "diagonals(-2, -3)"},
        {"dilated(2147483647, 2147483647)", "window(1)"},
        {"dilated(2147483647, 1)", "causal"},
        {"dilated(2147483647, 3)", "strided(3) & causal"},
        {"strided(2147483647)", "window(1)"},
        {"local(2147483647)", "full"},
        {"documents(2147483647, 2147483647, 2147483647)", "full"},
        {"documents(0, 0, 10)", "full"},
        {"prefix(2147483647)", "full"},
        {"prefix(0)", "causal"},
        {"global(2147483647)", "full"},
        {"diagonals(2147483647, -2147483647)", "none"},
        {"random(1)", "full"},
        {"random(0.0999999999)", "none"},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) expect_same_cells(pairs[i][0], pairs[i][1], 10, 10);
}

/* Every picture in docs/patterns.md: a line of expressions, each above its own picture of eight columns. */
static void pictures_in_the_documentation_are_right(void **state) {
    (void)state;
    char path[512], lines[16][160];
    const char *end = strstr(__FILE__, "tests/test_pattern.c");
    expect(end != NULL, "the test was compiled as %s", __FILE__);
    snprintf(path, sizeof path, "%.*sdocs/patterns.md", (int)(end - __FILE__), __FILE__);
    FILE *file = fopen(path, "r");
    expect(file != NULL, "cannot read %s", path);
    int num_pictures = 0, num_lines = 0;
    for (bool more = true; more;) {
        more = fgets(lines[num_lines], sizeof *lines, file) != NULL;
        if (more && strncmp(lines[num_lines], "    ", 4) == 0 && num_lines + 1 < 16) {
            num_lines++;
            continue;
        }
        const int rows = num_lines - 1;
        for (size_t at = 4; rows > 0 && strspn(lines[1] + 4, "#. \n") == strlen(lines[1] + 4) && lines[0][at] > '\n';) {
            const char *gap = strstr(lines[0] + at, "  ");
            const size_t length = gap ? (size_t)(gap - lines[0]) - at : strcspn(lines[0] + at, "\n");
            char text[160];
            snprintf(text, sizeof text, "%.*s", (int)length, lines[0] + at);
            twin *t = twin_create(rows, 8);
            for (int r = 0; r < rows; r++)
                for (int c = 0; c < 8; c++) twin_at(t, r)[c] = lines[r + 1][at + (size_t)c] == '#';
            check_rows_release(parse(text, rows, 8), t);
            twin_free(t);
            num_pictures++;
            at += length + strspn(lines[0] + at + length, " ");
        }
        num_lines = 0;
    }
    fclose(file);
    expect(num_pictures >= 20, "%d pictures found", num_pictures);
}

/* ---------------------------------------------------------------- random */

static void expect_row(const char *text, int32_t rows, int32_t num_cols, int32_t row, const int32_t *wanted,
                       size_t num_wanted) {
    rmask *mask = parse(text, rows, num_cols);
    int32_t cols[64];
    size_t count;
    expect_ok(rmask_row(mask, row, cols, 64, &count, test_error));
    expect(count == num_wanted && memcmp(cols, wanted, count * sizeof *cols) == 0, "row %d has other columns", (int)row);
    rmask_release(mask);
}

/* The vectors of docs/patterns.md, and one that was drawn through a table. */
static void random_cells_never_change(void **state) {
    (void)state;
    static const int32_t row_0[] = {61, 82, 178, 317, 383, 406, 495, 599, 839, 913};
    static const int32_t row_1[] = {33, 80, 110, 116, 189, 522, 559, 563, 767, 885};
    static const int32_t holes[] = {82, 385, 498, 602, 918};
    static const int32_t sparse[] = {8311, 38695, 49813, 60348, 92128};
    expect_row("random(0.01, seed=42)", 2, 1000, 0, row_0, 10);
    expect_row("random(0.01, seed=42)", 2, 1000, 1, row_1, 10);
    expect_row("!random(0.995, seed=42)", 1, 1000, 0, holes, 5);
    expect_row("random(0.00005, seed=42)", 1, 100000, 0, sparse, 5);
}

/* p is the decimal that was written, not a binary number near it. */
static void random_counts_are_exact(void **state) {
    (void)state;
    static const struct {
        const char *p;
        int32_t cols;
        uint64_t count;
    } cases[] = {
        {"0.29", 100, 29},  {".58", 100, 58},       {"0.3", 10, 3},           {"0.7", 10, 7},
        {"0.1", 9, 0},      {"1e-1", 10, 1},        {"100E-2", 7, 7},         {"0.0000001e+7", 7, 7},
        {"1.", 7, 7},       {"0", 7, 0},            {"0e999999999999", 7, 0}, {"1e-999999999999", 7, 0},
        {"0.9999999999999999999999999999999999999", 70000, 69999},
        {"0.33333333333333333333333333333333333333", 3, 0},
        {"0.33333333333333333333333333333333333334", 3, 1},
        {"0000000000000000000000000000001.0000", 3, 3},
        {"00.50", 99999, 49999},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[128];
        snprintf(text, sizeof text, "random(%s)", cases[i].p);
        rmask *mask = parse(text, 3, cases[i].cols);
        expect(rmask_count(mask) == 3 * cases[i].count, "%llu cells", (unsigned long long)rmask_count(mask));
        rmask_release(mask);
    }
}

/* Each column about as often as the others, in each way of drawing; rows and seeds differ. */
static void random_cells_are_uniform(void **state) {
    (void)state;
    static const struct {
        const char *p;
        int32_t rows, cols;
    } cases[] = {{"0.1", 40000, 20}, {"0.5", 40000, 20}, {"0.7", 40000, 20}, {"0.005", 40000, 1000}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[64];
        snprintf(text, sizeof text, "random(%s)", cases[i].p);
        rmask *mask = parse(text, cases[i].rows, cases[i].cols);
        uint64_t counts[20]; /* of cells, in twenty equal parts of the columns */
        expect_ok(rmask_raster(mask, 0, cases[i].rows, 0, cases[i].cols, 1, 20, counts, test_error));
        const double mean = (double)rmask_count(mask) / 20;
        for (int part = 0; part < 20; part++) {
            const double off = (double)counts[part] - mean;
            expect(off * off < 25 * mean, "part %d has %llu cells where %.0f are usual", part,
                   (unsigned long long)counts[part], mean);
        }
        rmask_release(mask);
    }
    rmask *a = parse("random(0.1, seed=1)", 100, 1000), *b = parse("random(0.1, seed=2)", 100, 1000);
    double overlap;
    check_equal(a, b, false);
    expect_ok(rmask_jaccard(a, b, &overlap, test_error));
    expect(overlap < 0.1, "seeds 1 and 2 share %.3f of their cells", overlap);
    rmask_release(a), rmask_release(b);
}

/* ---------------------------------------------------------------- size */

static uint64_t num_bytes_of(const char *text, int32_t rows, int32_t cols) {
    rmask_stats stats;
    rmask *mask = parse(text, rows, cols);
    rmask_get_stats(mask, &stats);
    rmask_release(mask);
    return stats.num_bytes;
}

static void append_list(char *text, const char *name, int count, int step) {
    text += strlen(text);
    text += sprintf(text, "%s(", name);
    for (int i = 0; i < count; i++) text += sprintf(text, i ? ",%d" : "%d", i * step);
    strcpy(text, ")");
}

static void structured_patterns_stay_small(void **state) {
    (void)state;
    static const struct {
        const char *text;
        uint64_t most_strips, most_bytes;
    } cases[] = {
        {"full", 1, 256},
        {"causal", 1, 256},
        {"window(512)", 1, 256},
        {"causal & window(512)", 1, 256},
        {"prefix(1000)", 2, 256},
        {"global(64)", 2, 256},
        {"dilated(100, 16)", 1, 1200},
        {"strided(1000)", 1, 1300},
        {"local(62500)", 1, 256},
        {"local(1)", 1, 256},
        {"documents(1, 1, 1, 1, 100)", 3, 300},
        {"tree(-1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)", 2, 256},
        {"global(64) | window(256, 255)", 4, 1024},
        {"causal & (sink(64) | window(512))", 3, 1024},
        {"random(1)", 1, 256},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rmask_stats stats;
        rmask *mask = parse(cases[i].text, 62500, 62500);
        rmask_get_stats(mask, &stats);
        expect(stats.num_strips <= cases[i].most_strips && stats.num_bytes <= cases[i].most_bytes, "%llu strips, %llu bytes",
               (unsigned long long)stats.num_strips, (unsigned long long)stats.num_bytes);
        rmask_release(mask);
    }
    static char text[TEXT_BYTES] = "causal & (";
    append_list(text, "columns", 1000, 62);
    strcat(text, " | ");
    append_list(text, "diagonals", 200, 311);
    strcat(text, " | window(4))");
    expect(num_bytes_of(text, 62500, 62500) <= 2 << 20, "%llu bytes", (unsigned long long)num_bytes_of(text, 62500, 62500));
    const uint64_t cells = num_bytes_of("random(0.01)", 1000, 62500), holes = num_bytes_of("random(0.99)", 1000, 62500);
    expect(holes <= cells + 64, "%llu bytes of holes, %llu of cells", (unsigned long long)holes, (unsigned long long)cells);
}

static void huge_grids_count_by_formula(void **state) {
    (void)state;
    const int32_t n = RMASK_MAX_SIDE;
    const uint64_t m = (uint64_t)n, half = m * (m + 1) / 2;
    const struct {
        const char *text;
        int32_t rows, cols;
        uint64_t count;
    } cases[] = {
        {"full", n, n, m * m},
        {"none", n, n, 0},
        {"causal", n, n, half},
        {"!causal", n, n, m * m - half},
        {"window(2147483647)", n, n, half},
        {"window(100)", n, n, 100 * m - 4950},
        {"window(100, 100)", n, n, 201 * m - 10100},
        {"window(2147483647, -2147483646)", n, n, 1},
        {"sink(64)", n, n, 64 * m},
        {"global(64)", n, n, 64 * m + 64 * (m - 64)},
        {"dilated(2147483647, 2147483646)", n, n, m + 1},
        {"strided(2147483646)", n, n, m + 2},
        {"diagonals(2147483646, -2147483646, 0)", n, n, m + 2},
        {"columns(0, 2147483646, 2147483647)", n, n, 2 * m},
        {"prefix(2147483647)", n, n, m * m},
        {"local(1073741824)", n, n, (UINT64_C(1) << 60) + ((UINT64_C(1) << 30) - 1) * ((UINT64_C(1) << 30) - 1)},
        {"documents(2147483646, 2147483647)", n, n, (m - 1) * (m - 1) + 1},
        {"causal", 1, n, m},
        {"causal", n, 1, 1},
        {"random(0.000000001, seed=7)", 10, n, 20},
        {"random(0.5)", 0, n, 0},
        {"random(0.9999999999, seed=7)", 3, n, 3 * (m - 1)},
        {"causal & (sink(64) | window(512))", n, n, 512 * m - 512 * 511 / 2 + 64 * (m - 512) - 64 * 63 / 2},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rmask *mask = parse(cases[i].text, cases[i].rows, cases[i].cols);
        expect(rmask_count(mask) == cases[i].count, "%llu cells, not %llu", (unsigned long long)rmask_count(mask),
               (unsigned long long)cases[i].count);
        rmask_release(mask);
    }
    rmask *mask;
    expect_makes_nothing(RMASK_ERR_LIMIT, mask, rmask_parse("random(0.5)", n, n, NULL, &mask, test_error));
}

/* ---------------------------------------------------------------- files and memory */

static void files_are_patterns(void **state) {
    (void)state;
    const char *parent = getenv("TMPDIR");
    char folder[256], path[320], text[512];
    snprintf(folder, sizeof folder, "%s/roarmask-test-XXXXXX", parent && *parent ? parent : "/tmp");
    expect(mkdtemp(folder) != NULL, "no folder %s", folder);
    snprintf(path, sizeof path, "%s/a \"b\" \\ c.rmask", folder);
    rmask *saved = parse("window(3) | random(0.1)", 30, 40), *mask;
    expect_ok(rmask_save(saved, path, test_error));
    rmask_release(saved);

    snprintf(text, sizeof text, "full & ! file ( \"%s/a \\\"b\\\" \\\\ c.rmask\" )", folder);
    expect_same_cells(text, "full - (window(3) | random(0.1))", 30, 40);
    const size_t position = (size_t)(strchr(text, '"') - text);
    expect_makes_nothing(RMASK_ERR_SYNTAX, mask, rmask_parse(text, 30, 41, NULL, &mask, test_error));
    expect(test_error->position == position, "position %zu", test_error->position);
    expect(strstr(test_error->message, "30 x 40") && strstr(test_error->message, "30 x 41"), "%s", test_error->message);

    unlink(path);
    expect_makes_nothing(RMASK_ERR_IO, mask, rmask_parse(text, 30, 40, NULL, &mask, test_error));
    expect(strstr(test_error->message, "a \"b\" \\ c.rmask") != NULL, "no file in \"%s\"", test_error->message);
    FILE *file = fopen(path, "w");
    expect(file && fputs("this is no mask", file) >= 0 && fclose(file) == 0, "cannot write %s", path);
    expect_makes_nothing(RMASK_ERR_FORMAT, mask, rmask_parse(text, 30, 40, NULL, &mask, test_error));
    expect(strstr(test_error->message, "c.rmask") != NULL, "no file in \"%s\"", test_error->message);
    unlink(path);
    rmdir(folder);
}

static rmask_status parse_and_release(const rmask_allocator *allocator, void *context) {
    rmask *mask = (void *)&test_poison;
    rmask_error error;
    const rmask_status status = rmask_parse(context, 100, 140, allocator, &mask, &error);
    expect((status == RMASK_OK) == (mask != NULL), "status \"%s\" and a mask of %p", rmask_status_name(status), (void *)mask);
    rmask_release(mask);
    return status;
}

static void running_out_of_memory_is_survived(void **state) {
    (void)state;
    static const char *const texts[] = {
        "full",
        "!!!(causal - window(3))",
        "causal & (sink(6) | window(12)) | random(0.1, seed=42)",
        "random(0.001) ^ random(0.6) & random(0.9)",
        "(columns(5, 3, 1) | diagonals(7, -3, 9)) & strided(3) ^ dilated(4, 5) - global(3)",
        "documents(3, 4, 1, 1, 50) | local(7) ^ prefix(20)",
        "tree(-1, 0, 0, 1, 1, 4, 5, 5, 6, 3) | none",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        note("%s", texts[i]);
        const size_t num_calls = check_out_of_memory(parse_and_release, (void *)(uintptr_t)texts[i]);
        expect(num_calls >= 1, "%zu allocations", num_calls);
    }
    static const char *const mistakes[] = {
        "full & (random(0.5) | widow", "columns(1, 2, 3", "tree(1, 0)", "(full | random(0.5) 3)", "(file(\"/nowhere/x\"))",
    };
    for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; i++) {
        hook h = {0};
        const rmask_allocator allocator = hook_allocator(&h);
        note("%s", mistakes[i]);
        expect(parse_and_release(&allocator, (void *)(uintptr_t)mistakes[i]) != RMASK_OK, "no failure");
        check_hook_empty(&h);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(patterns_follow_their_definitions),
        cmocka_unit_test(expressions_follow_their_twins),
        cmocka_unit_test(operators_bind_as_documented),
        cmocka_unit_test(clipped_patterns),
        cmocka_unit_test(pictures_in_the_documentation_are_right),
        cmocka_unit_test(random_cells_never_change),
        cmocka_unit_test(random_counts_are_exact),
        cmocka_unit_test(random_cells_are_uniform),
        cmocka_unit_test(structured_patterns_stay_small),
        cmocka_unit_test(huge_grids_count_by_formula),
        cmocka_unit_test(files_are_patterns),
        cmocka_unit_test(running_out_of_memory_is_survived),
    };
    return run_test_program(tests);
}
