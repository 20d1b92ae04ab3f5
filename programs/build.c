/* SPDX-License-Identifier: Apache-2.0
 *
 * roarmask build: a mask file from an expression. */
#include "cli.h"

static const struct argp build_argp = {
    .parser = cli_pass_input,
    .args_doc = "EXPR",
    .doc = "Make a mask from an expression and write it to a file, which appears whole or not at all."
           "\vExample:\n  roarmask build 'causal & (sink(64) | window(512))' --rows 62500 -o m.rmask",
    .children = (const struct argp_child[]){{&cli_output_argp, 0, NULL, 0}, {0}},
};

int build_main(int argc, char **argv)
{
    cli_output_args args = {.grid = CLI_GRID_UNSET};
    int first = cli_parse(&build_argp, argc, argv, &args, 1, 1);
    cli_check_output(args.output);
    rmask *mask = cli_expression(argv[first], args.grid);
    cli_save(mask, args.output);
    rmask_release(mask);
    return 0;
}
