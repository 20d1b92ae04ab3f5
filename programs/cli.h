/* SPDX-License-Identifier: Apache-2.0
 *
 * What the subcommands share: options, numbers, operands, output, and ending with one line on standard error.
 *
 * Every function here either does what it says or ends the program: exit code 1 when an operation failed (a file that cannot be
 * read, a full disk, no memory), 2 when the command was used wrongly (options, expressions, numbers out of range). Callers
 * therefore check nothing and release nothing on the way out.
 */
#ifndef ROARMASK_CLI_H
#define ROARMASK_CLI_H

#include <argp.h>
#include <jansson.h>
#include <roarmask/roarmask.h>
#include <stdio.h>

enum { CLI_FAILED = 1, CLI_USAGE = 2 };

/* ---------------------------------------------------------------- ending */

/* Prints "roarmask COMMAND: MESSAGE" as one line on standard error and exits. Control characters become '?', so that a file
 * name cannot make it two lines. */
_Noreturn void cli_die(int exit_code, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Returns if `status` is RMASK_OK. Otherwise dies with the message of `error`: a wrong expression, range or argument is bad
 * usage, everything else a failure. `prefix` goes before the message; NULL is none. */
void cli_check(rmask_status status, const rmask_error *error, const char *prefix);

/* malloc(count * size) that dies instead of returning NULL; `count` may be 0. */
void *cli_alloc(size_t count, size_t size);

/* "roarmask COMMAND": what to ask for --help. */
const char *cli_program(void);

/* To be called during long work: every two seconds prints how far it is, where standard error is a terminal. */
void cli_progress(const char *what, uint64_t done, uint64_t total);

/* Flushes and closes standard output; dies if anything written to it was lost. The last thing a program does. */
void cli_close_stdout(void);

/* ---------------------------------------------------------------- options */

/* Parses a subcommand's arguments; argv[0] is its name, such as "bench". Every bad option gives one line such as
 *     roarmask bench: unknown option '--foo'; see 'roarmask bench --help'
 * and exit code 2. --help is added, and prints the help that argp makes of `argp`. `argp` leaves the operands alone: there
 * must be `min_operands` to `max_operands` of them, and the return value is the index of the first one in argv, which ends
 * after the last one. `input` is passed to argp's parser. */
int cli_parse(const struct argp *argp, int argc, char **argv, void *input, int min_operands, int max_operands);

/* The parser of an argp without options of its own: its input becomes its first child's. */
error_t cli_pass_input(int key, char *argument, struct argp_state *state);

/* A whole number from `min` to `max`. `what` names it in messages: "--rows", "row". */
int64_t cli_integer(const char *what, const char *text, int64_t min, int64_t max);

/* A number from `min` to `max`. */
double cli_number(const char *what, const char *text, double min, double max);

/* ---------------------------------------------------------------- masks in, results out */

/* --rows and --cols: -1 where not given. */
typedef struct cli_grid {
    int32_t rows;
    int32_t cols;
} cli_grid;

#define CLI_GRID_UNSET ((cli_grid){-1, -1})

/* A child for a subcommand's argp that reads --rows and --cols into the cli_grid in its child input. */
extern const struct argp cli_grid_argp;

/* What a subcommand that writes a mask is told. */
typedef struct cli_output_args {
    cli_grid grid;
    const char *output; /* NULL where not given */
} cli_output_args;

/* The same as cli_grid_argp for -o too, into the cli_output_args in its child input. */
extern const struct argp cli_output_argp;

/* Makes a mask of an expression. --rows is required; --cols is --rows where it is not given. The caller releases it. */
rmask *cli_expression(const char *expression, cli_grid grid);

/* Whether an operand is a file and not an expression: anything that is there is one, even where it cannot be read, so that the message
 * is then about the file. */
bool cli_is_file(const char *operand);

/* Loads the mask of an operand. A file of that name is the mask, and has the grid that --rows and --cols say where they
 * are given. Otherwise the operand is an expression. The caller releases it. */
rmask *cli_operand(const char *operand, cli_grid grid);

/* Dies where --rows or --cols, if they are given, are not the grid of a mask that was read from `path`. */
void cli_check_grid(const rmask *mask, const char *path, cli_grid grid);

/* Dies where -o is missing, or would send a mask to a terminal. To be called before the work. */
void cli_check_output(const char *path);

/* Saves a mask to `path`, which appears whole or not at all. "-" is standard output; devices and pipes are written into. */
void cli_save(const rmask *mask, const char *path);

/* Dies if it is plain already that `path` cannot be written: for what is written after minutes of measuring. NULL is fine. */
void cli_check_writable(const char *path);

/* The same for the bytes of anything else. `save` makes a file of them, and gets `context`. */
void cli_save_bytes(const void *data, size_t num_bytes, const char *path,
                    rmask_status (*save)(const void *context, const char *path, rmask_error *error), const void *context);

/* A file in the making. It is at its path, whole, once it is finished; before that there is only a temporary file beside it.
 * "-" is standard output; devices and pipes are written into. */
typedef struct cli_file {
    const char *path; /* for messages */
    char *part;       /* the temporary file; NULL: there is none */
    FILE *stream;
} cli_file;

cli_file cli_create(const char *path);

/* Writes to the cli_file that `file` points at: an rmask_writer. Returns 0 or an errno. */
int cli_put(void *file, const void *data, size_t num_bytes);

void cli_finish(cli_file *file);

/* Removes the temporary file; for those who die next. */
void cli_abandon(cli_file *file);

/* Writes a whole file to `path`, as cli_save does. */
void cli_write(const char *path, const void *data, size_t num_bytes);

/* A name or message in JSON, which has to be UTF-8: where it is not, that is what stands there. */
json_t *cli_json_text(const char *text);

/* Writes `json` to `path` as cli_save does, and releases it. NULL is out of memory, as jansson's constructors have it. */
void cli_write_json(json_t *json, const char *path);

/* ---------------------------------------------------------------- operations */

typedef struct cli_operation {
    const char *name; /* and, or, xor, andnot, not */
    rmask_function function;
    int num_operands; /* 1 or 2 */
} cli_operation;

/* Dies where there is no operation of that name, or where it takes another number of operands. `one` and `two` say what it
 * takes, `known` which names there are. */
const cli_operation *cli_find_operation(const char *name, int num_operands, const char *one, const char *two,
                                        const char *known);

/* ---------------------------------------------------------------- subcommands */

/* argv[0] is the subcommand's name. The return value is the exit code. */
int build_main(int argc, char **argv);
int info_main(int argc, char **argv);
int row_main(int argc, char **argv);
int op_main(int argc, char **argv);
int convert_main(int argc, char **argv);
int show_main(int argc, char **argv);
int diff_main(int argc, char **argv);
int verify_main(int argc, char **argv);
int atlas_main(int argc, char **argv);
int attention_main(int argc, char **argv);

#endif
