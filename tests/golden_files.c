/* SPDX-License-Identifier: Apache-2.0
 * golden-files DIR: writes the golden files of format version 1 with their text twins. Nothing calls it: the files in
 * tests/golden stay as they are for as long as version 1 does, whatever the library writes today. It shows where they came
 * from, and makes the file of a feature to come: write to another folder and copy that file. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/folder.h"
#include "support/generate.h"
#include "support/golden.h"
#include "support/golden_atlas.h"
#include "support/naive.h"
#include "support/raw.h"
#include "support/seal.h"
#include "support/ways.h"

static const char *folder;

static FILE *create_text(const char *name, const char *about, int32_t rows, int32_t cols, const rmask *mask)
{
    char path[PATH_MAX], made_of[GOLDEN_LINE];
    snprintf(path, sizeof path, "%s/%s.txt", folder, name);
    FILE *text = fopen(path, "w");
    expect(text != NULL, "%s: %s", path, strerror(errno));
    golden_made_of(mask, made_of);
    fprintf(text, "# %s\ngrid %d x %d\n%s\n", about, rows, cols, made_of);
    return text;
}

static void finish(FILE *text, const char *name, const void *bytes, size_t num_bytes)
{
    char path[PATH_MAX];
    expect(fclose(text) == 0, "%s.txt: %s", name, strerror(errno));
    snprintf(path, sizeof path, "%s/%s.rmask", folder, name);
    write_file(path, bytes, num_bytes);
    printf("%6zu  %s\n", num_bytes, path);
}

static void finish_mask(FILE *text, const char *name, rmask *mask)
{
    size_t num_bytes;
    const void *data = rmask_data(mask, &num_bytes);
    finish(text, name, data, num_bytes);
    rmask_release(mask);
}

/* ---------------------------------------------------------------- by formula */

static const struct {
    const char *name, *about;
    int32_t rows, cols;
    const char *expression;
} formulas[] = {
    {"empty-0x0", "no rows, no columns", 0, 0, "none"},
    {"empty-0x9", "no rows", 0, 9, "none"},
    {"empty-9x0", "no columns", 9, 0, "none"},
    {"no-cells", "one strip without boundaries", 5, 9, "none"},
    {"structured", "fixed and sliding boundaries", 64, 80, "causal & (sink(4) | window(9))"},
    {"shared-lists", "strips over slices of the same lists", 60, 70,
     "columns(1, 4, 9, 16, 25, 36, 49, 64) & causal | window(2)"},
    {"documents", "many strips, fixed boundaries only", 48, 48, "documents(3, 7, 1, 20, 17)"},
    {"dense-directory", "rows with arrays, most of them neighbours", 40, 600, "causal & window(100) | random(0.01, seed=1)"},
    {"bitsets", "rows with bitsets", 12, 203, "random(0.5, seed=2)"},
    {"holes", "exceptions inside of strips and outside", 20, 90, "causal ^ random(0.05, seed=3)"},
    {"largest", "the largest grid, by formula", INT32_MAX, INT32_MAX, "causal & (sink(64) | window(512))"},
};

static void write_formulas(void)
{
    for (size_t i = 0; i < sizeof formulas / sizeof formulas[0]; i++) {
        rmask *mask;
        expect_ok(rmask_parse(formulas[i].expression, formulas[i].rows, formulas[i].cols, NULL, &mask, test_error));
        FILE *text = create_text(formulas[i].name, formulas[i].about, formulas[i].rows, formulas[i].cols, mask);
        fprintf(text, "cells %s\n", formulas[i].expression);
        finish_mask(text, formulas[i].name, mask);
    }
}

/* ---------------------------------------------------------------- row by row */

static void print_rows(FILE *text, const twin *t)
{
    int32_t *ranges = must_allocate(((size_t)t->cols + 1) * sizeof *ranges);
    for (int32_t row = 0; row < t->rows; row++) {
        const size_t n = twin_row_ranges(t, row, ranges);
        if (n) fprintf(text, "row %d:", row);
        for (size_t i = 0; i < n; i++) {
            fprintf(text, " %d", ranges[2 * i]);
            if (ranges[2 * i + 1] - ranges[2 * i] > 1) fprintf(text, "-%d", ranges[2 * i + 1] - 1);
        }
        if (n) fprintf(text, "\n");
    }
    free(ranges);
}

static void write_twin(const char *name, const char *about, twin *t)
{
    rmask *mask = make_plain(t);
    FILE *text = create_text(name, about, t->rows, t->cols, mask);
    print_rows(text, t);
    finish_mask(text, name, mask);
    twin_free(t);
}

static void write_twins(void)
{
    rng random = rng_fixed();
    twin *t = twin_create(2000, 50);
    for (int i = 0; i < 25; i++) twin_at(t, (int32_t)rng_below(&random, 2000))[rng_below(&random, 50)] = 1;
    write_twin("sparse-directory", "rows with arrays, far apart", t);

    t = twin_create(5, 2 * 65536 + 100);
    for (int i = 0; i < 60; i++) twin_at(t, (int32_t)rng_below(&random, 3))[rng_below(&random, t->cols)] = 1;
    for (int32_t col = 2 * 65536; col < t->cols; col++) twin_at(t, 1)[col] = twin_at(t, 4)[col] = rng_chance(&random, 0.5);
    write_twin("wide", "rows of several chunks, with arrays and bitsets", t);

    t = twin_create(30, 120);
    for (int32_t row = 0; row < t->rows; row++)
        for (int32_t col = 0; col < t->cols; col++)
            twin_at(t, row)[col] = rng_chance(&random, row % 3 == 0 ? 0.04 : row % 3 == 1 ? 0.6 : 0);
    write_twin("arrays-and-bitsets", "rows with arrays, rows with bitsets, rows without exceptions", t);
}

/* ---------------------------------------------------------------- byte by byte */

static const struct {
    const char *name;
    raw bytes;
} made_by_hand[] = {
    {"drawn",
     {"the one that docs/format.md draws: two strips, an array, a bitset", .rows = 8, .cols = 40,
      STRIPS({0, 0, 1, 0, 1}, {6, 0, 2, 0, 0}), FIXED(0, 3), SLIDING(1), ROWS_FROM(2), EXCEPTION_ROWS(2), OFFSETS(0, 2, 2, 5),
      UNITS(1, 20, 0x0004, 0x0300, 0x0080)}},
    {"grown",
     {"laid out for more columns than there are", .rows = 10, .cols = 40, .container_cols = 90, STRIPS({0, 0, 1, 0, 1}),
      FIXED(0), SLIDING(1), ROWS_FROM(4), EXCEPTION_ROWS(3), OFFSETS(0, 2, 8, 9), UNITS(3, 39, 0xe7, 5, 0x80, 0, 0, 0, 12)}},
    {"grown-across",
     {"laid out for two chunks, with the columns of one", .rows = 10, .cols = 65530, .container_cols = 65600,
      STRIPS({0, 0, 1, 0, 1}), FIXED(0), SLIDING(1), ROWS_LISTED(4, 7), EXCEPTION_ROWS(2), OFFSETS(0, 5, 11),
      UNITS(1, 0, 2, 3, 65529, 1, 0, 3, 5, 6, 7)}},
    {"grown-wide",
     {"laid out for more columns than there are, in two chunks", .rows = 10, .cols = 65546, .container_cols = 65600,
      STRIPS({0}), ROWS_FROM(4), EXCEPTION_ROWS(2), OFFSETS(0, 10, 16),
      UNITS(2, 0, 1, 1, 4, 7, 0x26d, 0, 0, 0, 1, 1, 3, 1, 2, 9)}},
};

static rmask *take(uint8_t *bytes, size_t num_bytes)
{
    rmask *mask;
    seal(bytes, num_bytes);
    expect_ok(rmask_from_data(bytes, num_bytes, NULL, &mask, test_error));
    return mask;
}

static void write_by_hand(void)
{
    uint8_t bytes[RAW_MAX_BYTES];
    for (size_t i = 0; i < sizeof made_by_hand / sizeof made_by_hand[0]; i++) {
        const raw *r = &made_by_hand[i].bytes;
        (void)raw_lay_out(r, 0, 0, bytes);
        naive n = naive_read(bytes);
        const size_t num_bytes = raw_lay_out(r, twin_count(n.t), n.num_exceptions, bytes);
        rmask *mask = take(bytes, num_bytes);
        FILE *text = create_text(made_by_hand[i].name, r->what, n.t->rows, n.t->cols, mask);
        print_rows(text, n.t);
        finish(text, made_by_hand[i].name, bytes, num_bytes);
        rmask_release(mask), naive_free(&n);
    }
}

/* Too large for a twin: the text is written by hand, too. */
static void write_last_cells(void)
{
    static const raw last = {"exceptions in the last rows and columns of the largest grid",
                             .rows = INT32_MAX,
                             .cols = INT32_MAX,
                             STRIPS({0}),
                             ROWS_LISTED(0, 2147483646),
                             EXCEPTION_ROWS(2),
                             OFFSETS(0, 4, 11),
                             UNITS(1, 32767, 1, 65534, 2, 0, 1, 32767, 1, 5, 65533)};
    uint8_t bytes[RAW_MAX_BYTES];
    const size_t num_bytes = raw_lay_out(&last, 3, 3, bytes);
    rmask *mask = take(bytes, num_bytes);
    FILE *text = create_text("last-cells", last.what, INT32_MAX, INT32_MAX, mask);
    fprintf(text, "row 0: 2147483646\nrow 2147483646: 5 2147483645\n");
    finish(text, "last-cells", bytes, num_bytes);
    rmask_release(mask);
}

/* ---------------------------------------------------------------- atlases, whose texts come first */

static const char *const atlases[] = {"dense", "model"};

static void write_atlas(const char *name)
{
    char path[PATH_MAX];
    size_t num_bytes;
    rmask_atlas *atlas = golden_atlas(name);
    const void *data = rmask_atlas_data(atlas, &num_bytes);
    snprintf(path, sizeof path, "%s/%s.ratlas", folder, name);
    write_file(path, data, num_bytes);
    printf("%6zu  %s\n", num_bytes, path);
    rmask_atlas_release(atlas);
}

static void write_all(void **state)
{
    (void)state;
    write_formulas();
    write_twins();
    write_by_hand();
    write_last_cells();
    for (size_t i = 0; i < sizeof atlases / sizeof atlases[0]; i++) write_atlas(atlases[i]);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: golden-files DIR\n");
        return 2;
    }
    folder = argv[1];
    const struct CMUnitTest tests[] = {cmocka_unit_test(write_all)}; /* for the expectations */
    return run_test_program(tests);
}
