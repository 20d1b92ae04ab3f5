/* SPDX-License-Identifier: Apache-2.0
 *
 * The command roarmask: finds the subcommand, and makes sure that its output arrived. */
#define _XOPEN_SOURCE 700
#include "bench.h"
#include "cli.h"

#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

static const struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *summary;
} commands[] = {
    {"build", build_main, "make a mask file from an expression"},
    {"info", info_main, "what a mask is made of, and what it costs in other forms"},
    {"row", row_main, "the columns of one row"},
    {"op", op_main, "masks combined cell by cell, cut, packed, coarsened ..."},
    {"convert", convert_main, "between .rmask, Roaring, NumPy, SciPy and Matrix Market files"},
    {"show", show_main, "a picture of a mask, in the terminal or as PNG and SVG"},
    {"diff", diff_main, "where two masks differ, in numbers and as a picture"},
    {"verify", verify_main, "whether files are whole"},
    {"atlas", atlas_main, "the masks of a whole model in one file"},
#ifdef ROARMASK_HAVE_ATTENTION
    {"attention", attention_main, "how much faster attention gets by a mask"},
#endif
    {"bench", bench_main, "measure this and other ways to hold a mask"},
};

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (strcmp(name, commands[i].name) == 0)
            return &commands[i];
    cli_die(CLI_USAGE, "unknown %s '%s'; see 'roarmask --help'", name[0] == '-' ? "option" : "command", name);
}

static int print_help(void)
{
    puts("Usage: roarmask COMMAND [OPERAND...] [OPTION...]\n"
         "Block-sparse attention masks in bytes to megabytes.\n");
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        printf("  %-9s %s\n", commands[i].name, commands[i].summary);
    puts("\n"
         "  roarmask COMMAND --help    the operands and options of a command\n"
         "  roarmask --version         the version\n"
         "\n"
         "Where a command takes FILE|EXPR, a file of that name is meant if there is one, otherwise an expression such as\n"
         "'causal & (sink(64) | window(512))', whose grid --rows and --cols give.\n"
         "\n"
         "Exit codes: 0 done; 1 failed (a file, the disk, memory); 2 used wrongly (options, expressions, numbers).\n"
         "ROARMASK_SIMD in the environment chooses the instruction set: scalar, avx2, avx512 or neon.");
    return 0;
}

static int run(int argc, char **argv)
{
    if (argc < 2)
        cli_die(CLI_USAGE, "no command given; see 'roarmask --help'");
    if (strcmp(argv[1], "--version") == 0)
        return printf("roarmask %s\n", rmask_version()) < 0;
    bool help = strcmp(argv[1], "help") == 0;
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || (help && argc == 2))
        return print_help();
    if (help) {
        const struct command *command = find_command(argv[2]);
        char option[] = "--help";
        return command->run(2, (char *[]){argv[2], option, NULL});
    }
    return find_command(argv[1])->run(argc - 1, argv + 1);
}

int main(int argc, char **argv)
{
    setlocale(LC_CTYPE, "");
    signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is then a failed write, which is cleaned up after */
    int exit_code = run(argc, argv);
    cli_close_stdout();
    return exit_code;
}
