/* SPDX-License-Identifier: Apache-2.0
 *
 * roarmask op: a mask file from other masks, combined cell by cell or reshaped. */
#include "axis.h"
#include "cli.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* ---------------------------------------------------------------- options */

enum { KEY_ROW_RANGE = 0x100, KEY_COL_RANGE, KEY_TILE, KEY_ALL, KEY_TO, KEY_TIMES, KEY_DOWN, KEY_RIGHT };

struct op_args {
    cli_output_args output;
    const char *row_range, *col_range, *tile, *all, *to, *times, *down, *right; /* NULL where not given */
};

/* Where the value of an option of some operations goes; NULL: it is none. */
static const char **place_of(struct op_args *args, int key)
{
    switch (key) {
    case KEY_ROW_RANGE: return &args->row_range;
    case KEY_COL_RANGE: return &args->col_range;
    case KEY_TILE: return &args->tile;
    case KEY_ALL: return &args->all;
    case KEY_TO: return &args->to;
    case KEY_TIMES: return &args->times;
    case KEY_DOWN: return &args->down;
    case KEY_RIGHT: return &args->right;
    default: return NULL;
    }
}

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    struct op_args *args = state->input;
    if (key == ARGP_KEY_INIT) {
        state->child_inputs[0] = &args->output;
        return 0;
    }
    const char **place = place_of(args, key);
    if (place == NULL)
        return ARGP_ERR_UNKNOWN;
    *place = argument;
    return 0;
}

static const struct argp_option op_options[] = {
    {"row-range", KEY_ROW_RANGE, "A:B", 0, "slice: the rows A to B - 1", 0},
    {"col-range", KEY_COL_RANGE, "A:B", 0, "slice: the columns A to B - 1", 0},
    {"down", KEY_DOWN, "N", 0, "shift: by N rows; upwards if negative", 0},
    {"right", KEY_RIGHT, "N", 0, "shift: by N columns; to the left if negative", 0},
    {"times", KEY_TIMES, "N", 0, "repeat: how many copies", 0},
    {"tile", KEY_TILE, "RxC", 0, "coarsen, refine: the tile's rows and columns", 0},
    {"all", KEY_ALL, "FILE", 0, "coarsen: where the tiles with all their cells go; those with any go to -o", 0},
    {"to", KEY_TO, "RxC", 0, "refine: the result's grid, where the last tiles are cut off", 0},
    {0},
};

static const struct argp op_argp = {
    .options = op_options,
    .parser = parse_option,
    .args_doc = "OPERATION A [B...]",
    .doc = "Make a mask out of masks and write it to a file, which appears whole or not at all. A, B ... are files or expressions.\n\n"
           "Cell by cell, of equal grids: and, or, xor, andnot A B; not A.\n"
           "Reshaped: transpose, slice, shift, repeat, coarsen, refine A; concat A B..., which packs masks along the diagonal; "
           "stack A B..., which puts their rows below each other."
           "\vExamples:\n  roarmask op andnot m.rmask 'window(16)' --rows 62500 -o far.rmask\n"
           "  roarmask op coarsen m.rmask --tile 8x8 -o any.rmask --all full.rmask",
    .children = (const struct argp_child[]){{&cli_output_argp, 0, NULL, 0}, {0}},
};

/* "RxC", two numbers from 1, or from 0 where `min` is. */
static void parse_pair(const char *option, const char *text, int32_t min, int32_t pair[2])
{
    char *cross = NULL, *end = NULL;
    long long rows = strtoll(text, &cross, 10), cols = *cross == 'x' ? strtoll(cross + 1, &end, 10) : 0;
    if (cross == text || end == NULL || end == cross + 1 || *end != '\0' || rows < min || cols < min || rows > RMASK_MAX_SIDE ||
        cols > RMASK_MAX_SIDE)
        cli_die(CLI_USAGE, "%s must be RxC with numbers from %d to %d, not '%s'", option, min, RMASK_MAX_SIDE, text);
    pair[0] = (int32_t)rows;
    pair[1] = (int32_t)cols;
}

/* ---------------------------------------------------------------- reshaping */

/* What an operation works on: its masks, checked by number, and its options, checked by name. */
typedef rmask_status (*reshape)(const struct op_args *args, rmask *const *masks, size_t num_masks, rmask **out, rmask_error *error);

static rmask_status transpose(const struct op_args *args, rmask *const *masks, size_t num_masks, rmask **out, rmask_error *error)
{
    (void)args, (void)num_masks;
    return rmask_transpose(masks[0], out, error);
}

static rmask_status slice(const struct op_args *args, rmask *const *masks, size_t num_masks, rmask **out, rmask_error *error)
{
    (void)num_masks;
    struct axis rows = axis_parse("--row-range", args->row_range, rmask_rows(masks[0]));
    struct axis cols = axis_parse("--col-range", args->col_range, rmask_cols(masks[0]));
    return rmask_slice(masks[0], rows.begin, rows.end, cols.begin, cols.end, out, error);
}

static rmask_status shift(const struct op_args *args, rmask *const *masks, size_t num_masks, rmask **out, rmask_error *error)
{
    (void)num_masks;
    int64_t down = args->down != NULL ? cli_integer("--down", args->down, -RMASK_MAX_SIDE, RMASK_MAX_SIDE) : 0;
    int64_t right = args->right != NULL ? cli_integer("--right", args->right, -RMASK_MAX_SIDE, RMASK_MAX_SIDE) : 0;
    return rmask_shift(masks[0], (int32_t)down, (int32_t)right, out, error);
}

static rmask_status concat(const struct op_args *args, rmask *const *masks, size_t num_masks, rmask **out, rmask_error *error)
{
    (void)args;
    return rmask_concat((const rmask *const *)masks, num_masks, NULL, out, error);
}

static rmask_status stack(const struct op_args *args, rmask *const *masks, size_t num_masks, rmask **out, rmask_error *error)
{
    (void)args;
    return rmask_stack((const rmask *const *)masks, num_masks, out, error);
}

static rmask_status repeat(const struct op_args *args, rmask *const *masks, size_t num_masks, rmask **out, rmask_error *error)
{
    (void)num_masks;
    return rmask_repeat(masks[0], (int32_t)cli_integer("--times", args->times, 0, RMASK_MAX_SIDE), out, error);
}

static rmask_status coarsen(const struct op_args *args, rmask *const *masks, size_t num_masks, rmask **out, rmask_error *error)
{
    (void)num_masks;
    int32_t tile[2];
    rmask *all = NULL;
    parse_pair("--tile", args->tile, 1, tile);
    rmask_status status = rmask_coarsen(masks[0], tile[0], tile[1], out, args->all != NULL ? &all : NULL, error);
    if (all != NULL)
        cli_save(all, args->all);
    rmask_release(all);
    return status;
}

static rmask_status refine(const struct op_args *args, rmask *const *masks, size_t num_masks, rmask **out, rmask_error *error)
{
    (void)num_masks;
    int32_t tile[2], grid[2];
    parse_pair("--tile", args->tile, 1, tile);
    int64_t rows = (int64_t)rmask_rows(masks[0]) * tile[0], cols = (int64_t)rmask_cols(masks[0]) * tile[1];
    if (args->to != NULL)
        parse_pair("--to", args->to, 0, grid);
    else if (rows > RMASK_MAX_SIDE || cols > RMASK_MAX_SIDE)
        cli_die(CLI_USAGE, "%lld x %lld cells are more than a grid has: its sides go up to %d", (long long)rows, (long long)cols,
                RMASK_MAX_SIDE);
    else
        grid[0] = (int32_t)rows, grid[1] = (int32_t)cols;
    return rmask_refine(masks[0], tile[0], tile[1], grid[0], grid[1], out, error);
}

static const struct reshaping {
    const char *name;
    reshape run;
    bool takes_many;  /* masks, rather than one */
    int needs;        /* the key of an option that must be given; 0: none */
    int keys[3];      /* of the options that may be given */
} reshapings[] = {
    {"transpose", transpose, false, 0, {0}},
    {"slice", slice, false, 0, {KEY_ROW_RANGE, KEY_COL_RANGE}},
    {"shift", shift, false, 0, {KEY_DOWN, KEY_RIGHT}},
    {"concat", concat, true, 0, {0}},
    {"stack", stack, true, 0, {0}},
    {"repeat", repeat, false, KEY_TIMES, {KEY_TIMES}},
    {"coarsen", coarsen, false, KEY_TILE, {KEY_TILE, KEY_ALL}},
    {"refine", refine, false, KEY_TILE, {KEY_TILE, KEY_TO}},
};

static const struct reshaping *find_reshaping(const char *name)
{
    for (size_t i = 0; i < sizeof reshapings / sizeof *reshapings; i++)
        if (strcmp(name, reshapings[i].name) == 0)
            return &reshapings[i];
    return NULL;
}

/* An operation takes its own options and no others; NULL is one that combines cell by cell, which has none. */
static void check_options(struct op_args *args, const char *name, const struct reshaping *reshaping)
{
    for (const struct argp_option *option = op_options; option->name != NULL; option++) {
        bool given = *place_of(args, option->key) != NULL, taken = false;
        for (int i = 0; reshaping != NULL && i < 3; i++)
            taken |= reshaping->keys[i] == option->key;
        if (given && !taken)
            cli_die(CLI_USAGE, "'%s' takes no --%s; see 'roarmask op --help'", name, option->name);
        if (!given && reshaping != NULL && reshaping->needs == option->key)
            cli_die(CLI_USAGE, "'%s' needs --%s %s; see 'roarmask op --help'", name, option->name, option->arg);
    }
}

/* ---------------------------------------------------------------- combining */

static const cli_operation operations[] = {
    {"and", RMASK_AND, 2}, {"or", RMASK_OR, 2}, {"xor", RMASK_XOR, 2}, {"andnot", RMASK_AND_NOT, 2}, {"not", RMASK_NOT_A, 1},
};

const cli_operation *cli_find_operation(const char *name, int num_operands, const char *one, const char *two, const char *known)
{
    for (size_t i = 0; i < sizeof operations / sizeof *operations; i++) {
        const cli_operation *operation = &operations[i];
        if (strcmp(name, operation->name) != 0)
            continue;
        if (num_operands != operation->num_operands)
            cli_die(CLI_USAGE, "'%s' takes %s, not %d; see '%s --help'", name, operation->num_operands == 1 ? one : two, num_operands,
                    cli_program());
        return operation;
    }
    cli_die(CLI_USAGE, "unknown operation '%s': %s; see '%s --help'", name, known, cli_program());
}

static rmask_status combine(const cli_operation *operation, rmask *const *masks, rmask **out, rmask_error *error)
{
    return rmask_combine(masks[0], masks[operation->num_operands - 1], operation->function, out, error);
}

int op_main(int argc, char **argv)
{
    struct op_args args = {.output.grid = CLI_GRID_UNSET};
    int first = cli_parse(&op_argp, argc, argv, &args, 1, INT_MAX);
    const char *name = argv[first];
    size_t num_masks = (size_t)(argc - first - 1);
    const struct reshaping *reshaping = find_reshaping(name);
    const cli_operation *operation = NULL;
    if (reshaping == NULL)
        operation = cli_find_operation(name, (int)num_masks, "one mask", "two masks",
                                       "and, or, xor, andnot, not, transpose, slice, shift, concat, stack, repeat, coarsen or refine");
    if (reshaping != NULL && (reshaping->takes_many ? num_masks == 0 : num_masks != 1))
        cli_die(CLI_USAGE, "'%s' takes %s, not %zu; see 'roarmask op --help'", name,
                reshaping->takes_many ? "at least one mask" : "one mask", num_masks);
    check_options(&args, name, reshaping);
    if (args.all != NULL && args.output.output != NULL && strcmp(args.all, args.output.output) == 0)
        cli_die(CLI_USAGE, "--all and -o are both %s; give each mask a place of its own", args.all);
    cli_check_output(args.output.output);

    rmask **masks = cli_alloc(num_masks, sizeof *masks), *result = NULL;
    for (size_t i = 0; i < num_masks; i++)
        masks[i] = cli_operand(argv[first + 1 + (int)i], args.output.grid);
    rmask_error error;
    cli_check(reshaping != NULL ? reshaping->run(&args, masks, num_masks, &result, &error) : combine(operation, masks, &result, &error),
              &error, NULL);
    cli_save(result, args.output.output);
    rmask_release(result);
    for (size_t i = 0; i < num_masks; i++)
        rmask_release(masks[i]);
    free(masks);
    return 0;
}
