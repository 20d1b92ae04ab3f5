/* SPDX-License-Identifier: Apache-2.0
 *
 * roarmask row: the columns of one row, for people and for scripts. */
#include "cli.h"

#include <stdio.h>
#include <stdlib.h>

static const struct argp row_argp = {
    .parser = cli_pass_input,
    .args_doc = "FILE|EXPR ROW",
    .doc = "Print the columns of a row in increasing order, separated by spaces; an empty row is an empty line."
           "\vExample:\n  roarmask row 'causal & window(4)' 10 --rows 100",
    .children = (const struct argp_child[]){{&cli_grid_argp, 0, NULL, 0}, {0}},
};

/* Stops at the first write that fails, so that errno still has its reason when standard output is closed. */
static void print_ranges(const int32_t *ranges, size_t num_ranges)
{
    const char *separator = "";
    for (size_t i = 0; i < num_ranges; i++)
        for (int32_t col = ranges[2 * i]; col < ranges[2 * i + 1]; col++, separator = " ")
            if (printf("%s%d", separator, col) < 0)
                return;
    putchar('\n');
}

int row_main(int argc, char **argv)
{
    cli_grid grid = CLI_GRID_UNSET;
    int first = cli_parse(&row_argp, argc, argv, &grid, 2, 2);
    rmask *mask = cli_operand(argv[first], grid);
    if (rmask_rows(mask) == 0)
        cli_die(CLI_USAGE, "the mask has no rows");
    int32_t row = (int32_t)cli_integer("the row", argv[first + 1], 0, rmask_rows(mask) - 1);

    /* Ranges, because a row of a token-exact mask may have 2^31 columns in a handful of them. */
    size_t num_ranges;
    rmask_error error;
    cli_check(rmask_row_ranges(mask, row, NULL, 0, &num_ranges, &error), &error, NULL);
    int32_t *ranges = cli_alloc(num_ranges, 2 * sizeof *ranges);
    cli_check(rmask_row_ranges(mask, row, ranges, num_ranges, &num_ranges, &error), &error, NULL);
    print_ranges(ranges, num_ranges);
    free(ranges);
    rmask_release(mask);
    return 0;
}
