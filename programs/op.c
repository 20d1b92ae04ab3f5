/* SPDX-License-Identifier: Apache-2.0
 *
 * roarmask op: a mask file from one or two masks. */
#include "cli.h"

#include <string.h>

static const struct argp op_argp = {
    .parser = cli_pass_input,
    .args_doc = "and|or|xor|andnot|not A [B]",
    .doc = "Combine masks of equal grids cell by cell and write the result to a file, which appears whole or not at all. A and "
           "B are files or expressions."
           "\vExample:\n  roarmask op andnot m.rmask 'window(16)' --rows 62500 -o far.rmask",
    .children = (const struct argp_child[]){{&cli_output_argp, 0, NULL, 0}, {0}},
};

static const cli_operation operations[] = {
    {"and", RMASK_AND, 2}, {"or", RMASK_OR, 2}, {"xor", RMASK_XOR, 2}, {"andnot", RMASK_AND_NOT, 2}, {"not", RMASK_NOT_A, 1},
};

const cli_operation *cli_find_operation(const char *name, int num_operands, const char *one, const char *two)
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
    cli_die(CLI_USAGE, "unknown operation '%s': and, or, xor, andnot or not; see '%s --help'", name, cli_program());
}

int op_main(int argc, char **argv)
{
    cli_output_args args = {.grid = CLI_GRID_UNSET};
    int first = cli_parse(&op_argp, argc, argv, &args, 1, 3);
    const cli_operation *operation = cli_find_operation(argv[first], argc - first - 1, "one mask", "two masks");
    cli_check_output(args.output);
    rmask *a = cli_operand(argv[first + 1], args.grid);
    rmask *b = operation->num_operands == 2 ? cli_operand(argv[first + 2], args.grid) : rmask_retain(a);
    rmask *result;
    rmask_error error;
    cli_check(rmask_combine(a, b, operation->function, &result, &error), &error, NULL);
    cli_save(result, args.output);
    rmask_release(result);
    rmask_release(b);
    rmask_release(a);
    return 0;
}
