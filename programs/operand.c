/* SPDX-License-Identifier: Apache-2.0
 *
 * Masks from files or expressions, and results to files, standard output or devices. */
#define _XOPEN_SOURCE 700
#include "cli.h"

#include <errno.h>
#include <libgen.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---------------------------------------------------------------- in */

enum { KEY_ROWS = 0x1000, KEY_COLS };

static error_t parse_grid(int key, char *argument, struct argp_state *state)
{
    cli_grid *grid = state->input;
    switch (key) {
    case KEY_ROWS:
        grid->rows = (int32_t)cli_integer("--rows", argument, 0, RMASK_MAX_SIDE);
        return 0;
    case KEY_COLS:
        grid->cols = (int32_t)cli_integer("--cols", argument, 0, RMASK_MAX_SIDE);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

const struct argp cli_grid_argp = {
    .options = (const struct argp_option[]){{"rows", KEY_ROWS, "N", 0, "rows (query blocks) of an expression's grid", 1},
                                            {"cols", KEY_COLS, "N", 0, "columns (key blocks); --rows if not given", 1},
                                            {0}},
    .parser = parse_grid,
};

static error_t parse_output(int key, char *argument, struct argp_state *state)
{
    cli_output_args *args = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &args->grid;
        return 0;
    case 'o':
        args->output = argument;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

const struct argp cli_output_argp = {
    .options = (const struct argp_option[]){{NULL, 'o', "FILE", 0, "where the mask goes; - is standard output", 0}, {0}},
    .parser = parse_output,
    .children = (const struct argp_child[]){{&cli_grid_argp, 0, NULL, 0}, {0}},
};

/* `prefix` goes before a complaint about the syntax; NULL is none. */
static rmask *parse_expression(const char *expression, cli_grid grid, const char *prefix)
{
    rmask *mask;
    rmask_error error;
    int32_t cols = grid.cols >= 0 ? grid.cols : grid.rows;
    rmask_status status = rmask_parse(expression, grid.rows, cols, NULL, &mask, &error);
    cli_check(status, &error, status == RMASK_ERR_SYNTAX ? prefix : NULL);
    return mask;
}

rmask *cli_expression(const char *expression, cli_grid grid)
{
    if (grid.rows < 0)
        cli_die(CLI_USAGE, "an expression needs a grid: give --rows N");
    return parse_expression(expression, grid, NULL);
}

void cli_check_grid(const rmask *mask, const char *path, cli_grid grid)
{
    if ((grid.rows >= 0 && grid.rows != rmask_rows(mask)) || (grid.cols >= 0 && grid.cols != rmask_cols(mask)))
        cli_die(CLI_USAGE, "'%s' is a mask of %d rows x %d columns, which is not what --rows or --cols says", path,
                rmask_rows(mask), rmask_cols(mask));
}

static rmask *load_file(const char *path, cli_grid grid)
{
    rmask *mask;
    rmask_error error;
    cli_check(rmask_load(path, NULL, &mask, &error), &error, NULL);
    cli_check_grid(mask, path, grid);
    return mask;
}

bool cli_is_file(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 || !(errno == ENOENT || errno == ENOTDIR || errno == ENAMETOOLONG);
}

rmask *cli_operand(const char *operand, cli_grid grid)
{
    if (cli_is_file(operand))
        return load_file(operand, grid);
    if (grid.rows < 0)
        cli_die(CLI_USAGE, "'%s' is not a file; if it is an expression, give --rows N", operand);
    return parse_expression(operand, grid, "no such file, and as an expression: ");
}

/* ---------------------------------------------------------------- out */

/* Whether `path` is written into rather than replaced: standard output, a device, a pipe. */
static bool is_stream(const char *path)
{
    struct stat status;
    return strcmp(path, "-") == 0 || (stat(path, &status) == 0 && !S_ISREG(status.st_mode));
}

/* The file that is being written beside its place: it goes where the command is interrupted. */
static const char *volatile unfinished;

static void leave_nothing(int number)
{
    if (unfinished != NULL)
        unlink(unfinished);
    signal(number, SIG_DFL);
    raise(number);
}

static void watch(const char *part)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    unfinished = part;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (signal(numbers[i], leave_nothing) == SIG_IGN)
            signal(numbers[i], SIG_IGN); /* nohup, and jobs in the background */
}

void cli_abandon(cli_file *file)
{
    if (file->part != NULL)
        remove(file->part);
    unfinished = NULL;
}

static _Noreturn void die_unwritten(cli_file *file, int reason)
{
    cli_abandon(file);
    cli_die(CLI_FAILED, "cannot write %s%s: %s", file->part != NULL ? "" : "to ", file->path, strerror(reason));
}

cli_file cli_create(const char *path)
{
    cli_file file = {.path = path};
    if (strcmp(path, "-") == 0) {
        file.path = "standard output";
        file.stream = stdout;
    } else if (is_stream(path)) {
        file.stream = fopen(path, "wb");
    } else {
        size_t length = strlen(path) + sizeof ".part";
        file.part = cli_alloc(length, 1);
        snprintf(file.part, length, "%s.part", path);
        file.stream = fopen(file.part, "wb");
    }
    if (file.stream == NULL)
        die_unwritten(&file, errno);
    if (file.part != NULL)
        watch(file.part);
    return file;
}

int cli_put(void *file, const void *data, size_t num_bytes)
{
    return fwrite(data, 1, num_bytes, ((cli_file *)file)->stream) == num_bytes ? 0 : errno;
}

void cli_finish(cli_file *file)
{
    bool written = fflush(file->stream) == 0 && (file->part == NULL || fsync(fileno(file->stream)) == 0);
    int reason = errno;
    bool closed = file->stream == stdout || fclose(file->stream) == 0;
    if (!written)
        errno = reason;
    if (!written || !closed || (file->part != NULL && rename(file->part, file->path) != 0))
        die_unwritten(file, errno);
    unfinished = NULL;
    free(file->part);
}

void cli_write(const char *path, const void *data, size_t num_bytes)
{
    cli_file file = cli_create(path);
    int reason = cli_put(&file, data, num_bytes);
    if (reason != 0)
        die_unwritten(&file, reason);
    cli_finish(&file);
}

void cli_check_output(const char *path)
{
    if (path == NULL)
        cli_die(CLI_USAGE, "no output file: give -o FILE");
    if (strcmp(path, "-") == 0 && isatty(STDOUT_FILENO))
        cli_die(CLI_USAGE, "the output is binary and standard output is a terminal: redirect it, or give -o FILE");
}

void cli_save_bytes(const void *data, size_t num_bytes, const char *path,
                    rmask_status (*save)(const void *context, const char *path, rmask_error *error), const void *context)
{
    rmask_error error;
    if (is_stream(path))
        cli_write(path, data, num_bytes);
    else
        cli_check(save(context, path, &error), &error, NULL);
}

void cli_check_writable(const char *path)
{
    if (path == NULL || strcmp(path, "-") == 0)
        return;
    struct stat status;
    bool stream = is_stream(path); /* any other file is replaced: what counts is its folder */
    char *copy = cli_alloc(strlen(path) + 1, 1);
    strcpy(copy, path);
    bool writable = access(stream ? path : dirname(copy), W_OK) == 0;
    int reason = errno;
    if (stream && stat(path, &status) == 0 && S_ISDIR(status.st_mode)) {
        writable = false;
        reason = EISDIR;
    }
    if (!writable)
        cli_die(CLI_FAILED, "cannot write %s%s: %s", stream ? "to " : "", path, strerror(reason));
    free(copy);
}

static rmask_status save_mask(const void *mask, const char *path, rmask_error *error) { return rmask_save(mask, path, error); }

void cli_save(const rmask *mask, const char *path)
{
    size_t num_bytes;
    const void *data = rmask_data(mask, &num_bytes);
    cli_save_bytes(data, num_bytes, path, save_mask, mask);
}

json_t *cli_json_text(const char *text)
{
    json_t *string = json_string(text);
    return string != NULL ? string : json_string("(not UTF-8)");
}

void cli_write_json(json_t *json, const char *path)
{
    char *text = json != NULL ? json_dumps(json, JSON_INDENT(2) | JSON_REAL_PRECISION(12)) : NULL;
    if (text == NULL)
        cli_die(CLI_FAILED, "out of memory for the JSON output");
    size_t length = strlen(text);
    text[length] = '\n'; /* in place of the NUL, which a file does not need */
    cli_write(path, text, length + 1);
    free(text);
    json_decref(json);
}
