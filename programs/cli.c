/* SPDX-License-Identifier: Apache-2.0
 *
 * Options, numbers and endings that the subcommands share. argp does the parsing and the help; it is kept silent because its
 * own complaints take two lines. */
#define _XOPEN_SOURCE 700
#include "cli.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* "roarmask", or "roarmask COMMAND" once a subcommand parses its arguments. */
static char program_name[32] = "roarmask";

const char *cli_program(void) { return program_name; }

void cli_die(int exit_code, const char *format, ...)
{
    static char line[8192]; /* room for two paths of any length */
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    for (char *p = line; *p != '\0'; p++)
        if ((unsigned char)*p < ' ' || *p == 0x7f)
            *p = '?';
    fprintf(stderr, "%s: %s\n", program_name, line);
    exit(exit_code);
}

void cli_check(rmask_status status, const rmask_error *error, const char *prefix)
{
    if (status == RMASK_OK)
        return;
    bool usage = status == RMASK_ERR_SYNTAX || status == RMASK_ERR_RANGE || status == RMASK_ERR_ARGUMENT;
    cli_die(usage ? CLI_USAGE : CLI_FAILED, "%s%s", prefix ? prefix : "", error->message);
}

void *cli_alloc(size_t count, size_t size)
{
    void *memory = calloc(count > 0 ? count : 1, size);
    if (memory == NULL)
        cli_die(CLI_FAILED, "out of memory: %zu x %zu bytes", count, size);
    return memory;
}

void cli_progress(const char *what, uint64_t done, uint64_t total)
{
    static time_t last;
    time_t now = time(NULL);
    if (last == 0 || done == 0)
        last = now;
    if (now - last < 2 || !isatty(STDERR_FILENO))
        return;
    last = now;
    fprintf(stderr, "%s: %s %llu of %llu\n", program_name, what, (unsigned long long)done, (unsigned long long)total);
}

void cli_close_stdout(void)
{
    /* A write that failed earlier left its reason in errno. Closing what the caller had closed already loses nothing. */
    bool lost = ferror(stdout) != 0 || fflush(stdout) != 0;
    if (lost || (fclose(stdout) != 0 && errno != EBADF))
        cli_die(CLI_FAILED, "cannot write to standard output: %s", strerror(errno));
}

/* ---------------------------------------------------------------- options */

/* argp's own rule: a heading has neither name nor key. */
static bool is_end(const struct argp_option *option)
{
    return option->name == NULL && option->key == 0 && option->doc == NULL && option->group == 0;
}

/* Finds an option by its long name (`length` bytes), or by its key where `name` is NULL. */
static const struct argp_option *find_option(const struct argp *argp, const char *name, size_t length, int key)
{
    for (const struct argp_option *o = argp->options; o != NULL && !is_end(o); o++)
        if (name == NULL ? o->key == key : o->name != NULL && strlen(o->name) == length && memcmp(o->name, name, length) == 0)
            return o;
    for (const struct argp_child *child = argp->children; child != NULL && child->argp != NULL; child++) {
        const struct argp_option *found = find_option(child->argp, name, length, key);
        if (found != NULL)
            return found;
    }
    return NULL;
}

static const struct argp_option *find_short_option(const struct argp *argp, const char *text)
{
    return text[0] == '-' && text[1] != '-' && text[1] != '\0' ? find_option(argp, NULL, 0, text[1]) : NULL;
}

/* Says what is wrong with the option that argp's getopt did not take. It lies before state->next, unless it is several short
 * options in one argument, which getopt leaves only after the last. */
static _Noreturn void die_of_bad_option(const struct argp_state *state)
{
    const char *next = state->next < state->argc ? state->argv[state->next] : "";
    bool cluster = next[0] == '-' && next[1] != '-' && strlen(next) > 2 && find_short_option(state->root_argp, next) == NULL;
    const char *text = cluster ? next : state->argv[state->next - 1];
    bool is_long = strncmp(text, "--", 2) == 0;
    const char *name = is_long ? text + 2 : NULL;
    const struct argp_option *option =
        is_long ? find_option(state->root_argp, name, strcspn(name, "="), 0) : find_short_option(state->root_argp, text);
    if (option != NULL && option->arg != NULL)
        cli_die(CLI_USAGE, "option '%s' needs a value: %s; see '%s --help'", text, option->arg, program_name);
    if (option != NULL)
        cli_die(CLI_USAGE, "option '--%s' takes no value; see '%s --help'", option->name, program_name);
    if (!is_long && text[1] >= '0' && text[1] <= '9')
        cli_die(CLI_USAGE, "'%s' is negative, and operands never are; see '%s --help'", text, program_name);
    cli_die(CLI_USAGE, "unknown option '%s'; see '%s --help'", text, program_name);
}

static error_t parse_common(int key, char *argument, struct argp_state *state)
{
    (void)argument;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = state->input;
        return 0;
    case 'h':
        argp_help(state->root_argp, stdout, ARGP_HELP_STD_HELP, program_name);
        cli_close_stdout();
        exit(0);
    case ARGP_KEY_ERROR:
        die_of_bad_option(state);
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static void check_simd(void)
{
    if (rmask_simd_refused() == NULL)
        return;
    char names[128] = "";
    for (const char *const *tier = rmask_simd_tiers(); *tier != NULL; tier++)
        snprintf(names + strlen(names), sizeof names - strlen(names), " %s", *tier);
    cli_die(CLI_USAGE, "ROARMASK_SIMD is '%s', which this machine cannot run; it can run:%s", rmask_simd_refused(), names);
}

int cli_parse(const struct argp *argp, int argc, char **argv, void *input, int min_operands, int max_operands)
{
    static const struct argp_option options[] = {{"help", 'h', NULL, 0, "print this help and exit", -1}, {0}};
    const struct argp_child children[] = {{argp, 0, NULL, 0}, {0}};
    const struct argp root = {.options = options, .parser = parse_common, .children = children};

    snprintf(program_name, sizeof program_name, "roarmask %s", argv[0]);
    int first = argc; /* argp sets it where operands are left */
    error_t error = argp_parse(&root, argc, argv, ARGP_NO_ERRS | ARGP_NO_HELP, &first, input);
    if (error != 0)
        cli_die(CLI_FAILED, "cannot read the arguments: %s", strerror(error));
    if (argc - first < min_operands)
        cli_die(CLI_USAGE, "%s expected; see '%s --help'", argp->args_doc, program_name);
    if (argc - first > max_operands)
        cli_die(CLI_USAGE, "unexpected operand '%s'; see '%s --help'", argv[first + max_operands], program_name);
    check_simd();
    return first;
}

error_t cli_pass_input(int key, char *argument, struct argp_state *state)
{
    (void)argument;
    if (key != ARGP_KEY_INIT)
        return ARGP_ERR_UNKNOWN;
    state->child_inputs[0] = state->input;
    return 0;
}

/* ---------------------------------------------------------------- numbers */

int64_t cli_integer(const char *what, const char *text, int64_t min, int64_t max)
{
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (end == text || *end != '\0' || errno != 0 || value < min || value > max)
        cli_die(CLI_USAGE, "%s must be a whole number from %lld to %lld, not '%s'", what, (long long)min, (long long)max, text);
    return value;
}

double cli_number(const char *what, const char *text, double min, double max)
{
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end != '\0' || isnan(value) || value < min || value > max)
        cli_die(CLI_USAGE, "%s must be a number from %g to %g, not '%s'", what, min, max, text);
    return value;
}
