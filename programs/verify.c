/* SPDX-License-Identifier: Apache-2.0
 *
 * roarmask verify: whether files are whole. Everything in them is checked: checksums, order, counts. */
#include "cli.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

static error_t parse_json(int key, char *argument, struct argp_state *state)
{
    if (key != 'j')
        return ARGP_ERR_UNKNOWN;
    *(const char **)state->input = argument;
    return 0;
}

static const struct argp verify_argp = {
    .options = (const struct argp_option[]){{"json", 'j', "FILE", 0, "write JSON too; - prints it in place of text", 0}, {0}},
    .parser = parse_json,
    .args_doc = "FILE...",
    .doc = "Check everything about mask files: checksums, order, counts. One line for each file, and exit code 1 if one of them is not "
           "whole."
           "\vExample:\n  roarmask verify *.rmask",
};

/* Prints "FILE: " and text on one line, whatever is in the name. A message that begins with the file's name goes on without it. */
static void print_line(const char *path, const char *verdict, const char *text)
{
    size_t length = strlen(path);
    if (strncmp(text, path, length) == 0 && strncmp(text + length, ": ", 2) == 0)
        text += length + 2;
    const char *const parts[] = {path, ": ", verdict, text};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        for (const unsigned char *c = (const unsigned char *)parts[i]; *c != '\0'; c++)
            putchar(*c < ' ' || *c == 0x7f ? '?' : *c);
    putchar('\n');
}

/* Checks one file and adds it to the list. */
static bool verify(const char *path, bool quiet, json_t *list)
{
    rmask *mask;
    rmask_error error;
    bool good = rmask_load(path, NULL, &mask, &error) == RMASK_OK;
    json_t *item = json_pack("{so sb}", "file", cli_json_text(path), "ok", good);
    if (good) {
        size_t num_bytes;
        rmask_data(mask, &num_bytes);
        json_object_set_new(item, "num_bytes", json_integer((json_int_t)num_bytes));
        char facts[96];
        snprintf(facts, sizeof facts, "%d x %d, %zu bytes", rmask_rows(mask), rmask_cols(mask), num_bytes);
        if (!quiet)
            print_line(path, "ok, ", facts);
    } else {
        json_object_set_new(item, "error", cli_json_text(error.message));
        if (!quiet)
            print_line(path, "bad: ", error.message);
    }
    if (json_array_append_new(list, item) != 0)
        cli_die(CLI_FAILED, "out of memory for the JSON output");
    rmask_release(mask);
    return good;
}

int verify_main(int argc, char **argv)
{
    const char *json = NULL;
    int first = cli_parse(&verify_argp, argc, argv, &json, 1, INT_MAX);
    bool quiet = json != NULL && strcmp(json, "-") == 0, all_good = true;
    json_t *list = json_array();
    for (int i = first; i < argc; i++)
        all_good &= verify(argv[i], quiet, list);
    if (json != NULL)
        cli_write_json(list, json);
    else
        json_decref(list);
    return all_good ? 0 : CLI_FAILED;
}
