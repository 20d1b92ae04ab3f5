/* SPDX-License-Identifier: Apache-2.0
 * Runs a fuzz target over files, and over the files of folders: what the ordinary tests do with the corpora and the fixtures. */
#define _GNU_SOURCE
#include "fuzz.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int num_inputs;

/* The file's name goes ahead of what the target does with it, so that it is the last word of a crash. */
static void replay_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file) perror(path), exit(EXIT_FAILURE);
    printf("%s\n", path);
    fflush(stdout);
    fseek(file, 0, SEEK_END);
    const size_t num_bytes = (size_t)ftell(file);
    rewind(file);
    uint8_t *bytes = must_allocate(num_bytes);
    if (fread(bytes, 1, num_bytes, file) != num_bytes) perror(path), exit(EXIT_FAILURE);
    fclose(file);
    (void)LLVMFuzzerTestOneInput(bytes, num_bytes);
    free(bytes);
    num_inputs++;
}

static void replay(const char *path)
{
    struct dirent **entries;
    const int num_entries = scandir(path, &entries, NULL, alphasort);
    if (num_entries < 0) {
        replay_file(path);
        return;
    }
    for (int i = 0; i < num_entries; free(entries[i++])) {
        char inside[PATH_MAX];
        snprintf(inside, sizeof inside, "%s/%s", path, entries[i]->d_name);
        if (entries[i]->d_name[0] != '.') replay_file(inside);
    }
    free(entries);
}

int main(int num_arguments, char **arguments)
{
    if (!tests_may_run()) return TESTS_SKIPPED;
    (void)LLVMFuzzerInitialize(&num_arguments, &arguments);
    for (int i = 1; i < num_arguments; i++) replay(arguments[i]);
    printf("%d inputs\n", num_inputs);
    return num_inputs ? EXIT_SUCCESS : EXIT_FAILURE;
}
