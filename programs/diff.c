/* SPDX-License-Identifier: Apache-2.0
 *
 * roarmask diff: where two masks differ, in numbers and as a picture. */
#include "cli.h"
#include "density.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NUM_BANDS = 8, EXIT_DIFFERENT = 3 };

struct diff_args {
    cli_grid grid;
    struct picture_args picture;
    const char *json;
    bool exit_code;
};

enum { KEY_JSON = 0x100, KEY_EXIT_CODE };

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    struct diff_args *args = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &args->picture;
        state->child_inputs[1] = &args->grid;
        return 0;
    case KEY_JSON:
        args->json = argument;
        return 0;
    case KEY_EXIT_CODE:
        args->exit_code = true;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp diff_argp = {
    .options = (const struct argp_option[]){{"json", KEY_JSON, "FILE", 0, "write JSON too; - prints it in place of text", 0},
                                            {"exit-code", KEY_EXIT_CODE, NULL, 0, "exit with 3 where the masks differ", 0},
                                            {0}},
    .parser = parse_option,
    .args_doc = "A B",
    .doc = "Compare two masks of equal grids, files or expressions: how many cells are in both or only in one, whether one contains the other, "
           "and in which rows they differ. With --png and --svg also a picture, in which any difference shows, however small. An expression "
           "takes the grid of A where --rows is not given."
           "\vExample:\n  roarmask diff a.rmask 'causal & window(512)' --svg difference.svg",
    .children = (const struct argp_child[]){{&picture_argp, 0, NULL, 0}, {&cli_grid_argp, 0, NULL, 0}, {0}},
};

/* ---------------------------------------------------------------- what there is to know */

/* Some rows, and their cells that are only in one of the masks. */
struct band {
    int32_t begin, end;
    uint64_t only_a, only_b;
};

struct diff {
    rmask *both, *only_a, *only_b;
    uint64_t num_both, num_only_a, num_only_b;
    double overlap;
    int32_t first_row, first_col; /* the first cell that differs, if any */
    int32_t last_row;
    struct band bands[NUM_BANDS]; /* the rows from the first to the last that differs */
    int num_bands;
};

static rmask *combine(const rmask *a, const rmask *b, rmask_function function)
{
    rmask *result;
    rmask_error error;
    cli_check(rmask_combine(a, b, function, &result, &error), &error, NULL);
    return result;
}

/* The first row that has a cell, or the last one, by halves: at least one has. */
static int32_t find_row(const rmask *mask, bool last)
{
    struct axis rows = {0, rmask_rows(mask), 2}, cols = {0, rmask_cols(mask), 1};
    while (axis_length(rows) > 1) {
        uint64_t *counts = density_counts(mask, rows, cols);
        if (counts[last] > 0 ? last : !last)
            rows.begin = axis_edge(rows, 1);
        else
            rows.end = axis_edge(rows, 1);
        free(counts);
    }
    return rows.begin;
}

static int32_t first_col(const rmask *mask, int32_t row)
{
    size_t num_ranges;
    rmask_error error;
    cli_check(rmask_row_ranges(mask, row, NULL, 0, &num_ranges, &error), &error, NULL);
    int32_t *ranges = cli_alloc(num_ranges, 2 * sizeof *ranges), col;
    cli_check(rmask_row_ranges(mask, row, ranges, num_ranges, &num_ranges, &error), &error, NULL);
    col = ranges[0];
    free(ranges);
    return col;
}

static void find_bands(struct diff *diff)
{
    struct axis rows = {diff->first_row, diff->last_row + 1, 0}, cols = {0, rmask_cols(diff->only_a), 1};
    diff->num_bands = rows.fields = axis_length(rows) < NUM_BANDS ? axis_length(rows) : NUM_BANDS;
    uint64_t *only_a = density_counts(diff->only_a, rows, cols), *only_b = density_counts(diff->only_b, rows, cols);
    for (int i = 0; i < diff->num_bands; i++)
        diff->bands[i] = (struct band){axis_edge(rows, i), axis_edge(rows, i + 1), only_a[i], only_b[i]};
    free(only_a);
    free(only_b);
}

static void compare(struct diff *diff, const rmask *a, const rmask *b)
{
    diff->both = combine(a, b, RMASK_AND);
    diff->only_a = combine(a, b, RMASK_AND_NOT);
    diff->only_b = combine(b, a, RMASK_AND_NOT);
    diff->num_both = rmask_count(diff->both);
    diff->num_only_a = rmask_count(diff->only_a);
    diff->num_only_b = rmask_count(diff->only_b);
    rmask_error error;
    cli_check(rmask_jaccard(a, b, &diff->overlap, &error), &error, NULL);
    if (diff->num_only_a + diff->num_only_b == 0)
        return;
    rmask *differing = combine(a, b, RMASK_XOR);
    diff->first_row = find_row(differing, false);
    diff->last_row = find_row(differing, true);
    diff->first_col = first_col(differing, diff->first_row);
    find_bands(diff);
    rmask_release(differing);
}

static const char *relation_of(const struct diff *diff)
{
    if (diff->num_only_a == 0 && diff->num_only_b == 0)
        return "equal";
    if (diff->num_only_b == 0)
        return "A contains B";
    if (diff->num_only_a == 0)
        return "B contains A";
    return diff->num_both == 0 ? "nothing in common" : "neither contains the other";
}

static const char *owner_of_first(const struct diff *diff)
{
    return rmask_contains(diff->only_a, diff->first_row, diff->first_col) ? "A" : "B";
}

/* ---------------------------------------------------------------- words */

static void print_text(const struct diff *diff)
{
    printf("in both      %" PRIu64 "\nonly in A    %" PRIu64 "\nonly in B    %" PRIu64 "\noverlap      %.6g\nrelation     %s\n", diff->num_both,
           diff->num_only_a, diff->num_only_b, diff->overlap, relation_of(diff));
    if (diff->num_bands == 0)
        return;
    printf("first        row %d, column %d, only in %s\n", diff->first_row, diff->first_col, owner_of_first(diff));
    printf("last         row %d\n", diff->last_row);
    printf("  %-21s %15s %15s\n", "rows", "only in A", "only in B");
    for (int i = 0; i < diff->num_bands; i++) {
        char rows[32];
        snprintf(rows, sizeof rows, "%d:%d", diff->bands[i].begin, diff->bands[i].end);
        printf("  %-21s %15" PRIu64 " %15" PRIu64 "\n", rows, diff->bands[i].only_a, diff->bands[i].only_b);
    }
}

static json_t *json_bands(const struct diff *diff)
{
    json_t *list = json_array();
    for (int i = 0; i < diff->num_bands; i++) {
        const struct band *band = &diff->bands[i];
        if (json_array_append_new(list, json_pack("{si si sI sI}", "row_begin", band->begin, "row_end", band->end, "only_a",
                                                  (json_int_t)band->only_a, "only_b", (json_int_t)band->only_b)) != 0)
            cli_die(CLI_FAILED, "out of memory for the JSON output");
    }
    return list;
}

static json_t *to_json(const struct diff *diff)
{
    json_t *first = diff->num_bands == 0 ? json_null()
                                         : json_pack("{si si ss}", "row", diff->first_row, "col", diff->first_col, "only_in",
                                                     owner_of_first(diff));
    return json_pack("{si si sI sI sI sf ss so so}", "rows", rmask_rows(diff->both), "cols", rmask_cols(diff->both), "both",
                     (json_int_t)diff->num_both, "only_a", (json_int_t)diff->num_only_a, "only_b", (json_int_t)diff->num_only_b, "overlap",
                     diff->overlap, "relation", relation_of(diff), "first", first, "bands",
                     json_bands(diff));
}

/* ---------------------------------------------------------------- picture */

/* Darker in this order, for printers without colour; orange and blue are told apart by nearly everybody. */
static const struct swatch swatches[] = {{"none", "in neither", 0xffffff},
                                         {"both", "in both", 0xc5cbd3},
                                         {"only-a", "only in A", 0xe08214},
                                         {"only-b", "only in B", 0x0b5cad},
                                         {"some-of-each", "some of each", 0x2a1a4a}};
enum { NEITHER, BOTH, ONLY_A, ONLY_B, EACH, NUM_FIELD_SWATCHES };

static void paint(const void *context, struct axis rows, struct axis cols, uint8_t *fields)
{
    const struct diff *diff = context;
    uint64_t *both = density_counts(diff->both, rows, cols), *only_a = density_counts(diff->only_a, rows, cols),
             *only_b = density_counts(diff->only_b, rows, cols);
    for (size_t i = 0; i < (size_t)rows.fields * (size_t)cols.fields; i++)
        fields[i] = only_a[i] && only_b[i] ? EACH : only_a[i] ? ONLY_A : only_b[i] ? ONLY_B : both[i] ? BOTH : NEITHER;
    free(both);
    free(only_a);
    free(only_b);
}

static void draw(const struct diff *diff, const char *a, const char *b, const struct picture_args *args)
{
    size_t length = strlen(a) + strlen(b) + sizeof "A:    B: ";
    char *name = cli_alloc(length, 1), summary[256], numbers[3][AXIS_LABEL_SIZE];
    snprintf(name, length, "A: %s   B: %s", a, b);
    snprintf(summary, sizeof summary, "%s cells in both, %s only in A, %s only in B, overlap %.4g", axis_label(numbers[0], diff->num_both),
             axis_label(numbers[1], diff->num_only_a), axis_label(numbers[2], diff->num_only_b), diff->overlap);
    struct picture picture = {
        .name = name,
        .summary = summary,
        .legend = "a field has the colour of its differences, however few; a field is %s",
        .cell_swatches = swatches,
        .field_swatches = swatches,
        .num_cell_swatches = NUM_FIELD_SWATCHES - 1, /* a cell cannot be some of each */
        .num_field_swatches = NUM_FIELD_SWATCHES,
        .paint = paint,
        .context = diff,
    };
    picture_set(&picture, args, rmask_rows(diff->both), rmask_cols(diff->both));
    picture_write(&picture, args);
    free(name);
}

int diff_main(int argc, char **argv)
{
    struct diff_args args = {.grid = CLI_GRID_UNSET};
    int first = cli_parse(&diff_argp, argc, argv, &args, 2, 2);
    picture_check_args(&args.picture);
    rmask *a = cli_operand(argv[first], args.grid);
    if (args.grid.rows < 0 && !cli_is_file(argv[first + 1]))
        args.grid = (cli_grid){rmask_rows(a), rmask_cols(a)};
    rmask *b = cli_operand(argv[first + 1], args.grid);
    struct diff diff = {0};
    compare(&diff, a, b);
    if (args.picture.png != NULL || args.picture.svg != NULL)
        draw(&diff, argv[first], argv[first + 1], &args.picture);
    if (args.json != NULL)
        cli_write_json(to_json(&diff), args.json);
    if (args.json == NULL || strcmp(args.json, "-") != 0)
        print_text(&diff);
    rmask_release(diff.both);
    rmask_release(diff.only_a);
    rmask_release(diff.only_b);
    rmask_release(a);
    rmask_release(b);
    return args.exit_code && diff.num_bands > 0 ? EXIT_DIFFERENT : 0;
}
