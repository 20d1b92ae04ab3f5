/* SPDX-License-Identifier: Apache-2.0
 *
 * roarmask atlas: the subcommands for the masks of a whole model, and the short ones of them. */
#include "atlas.h"

#include <stdio.h>
#include <string.h>

/* ---------------------------------------------------------------- what they share */

static error_t parse_output(int key, char *argument, struct argp_state *state)
{
    if (key != 'o')
        return ARGP_ERR_UNKNOWN;
    *(const char **)state->input = argument;
    return 0;
}

const struct argp atlas_output_argp = {
    .options = (const struct argp_option[]){{NULL, 'o', "FILE", 0, "where the result goes; - is standard output", 0}, {0}},
    .parser = parse_output,
};

rmask_atlas *atlas_load(const char *path)
{
    rmask_atlas *atlas;
    rmask_error error;
    cli_check(rmask_atlas_load(path, NULL, &atlas, &error), &error, NULL);
    return atlas;
}

static rmask_status save(const void *atlas, const char *path, rmask_error *error)
{
    return rmask_atlas_save(atlas, path, error);
}

void atlas_save(const rmask_atlas *atlas, const char *path)
{
    size_t num_bytes;
    const void *data = rmask_atlas_data(atlas, &num_bytes);
    cli_save_bytes(data, num_bytes, path, save, atlas);
}

/* ---------------------------------------------------------------- atlas get */

static const struct argp get_argp = {
    .parser = cli_pass_input,
    .args_doc = "FILE LAYER HEAD",
    .doc = "Write the mask of one entry of an atlas to a file, which appears whole or not at all. A dense entry gives the full "
           "mask. Only this mask is read, whatever the size of the atlas."
           "\vExample:\n  roarmask atlas get model.ratlas 0 7 -o head.rmask",
    .children = (const struct argp_child[]){{&atlas_output_argp, 0, NULL, 0}, {0}},
};

static int get_main(int argc, char **argv)
{
    const char *output = NULL;
    int first = cli_parse(&get_argp, argc, argv, &output, 3, 3);
    cli_check_output(output);
    int32_t layer = (int32_t)cli_integer("LAYER", argv[first + 1], 0, RMASK_ATLAS_MAX_SIDE);
    int32_t head = (int32_t)cli_integer("HEAD", argv[first + 2], 0, RMASK_ATLAS_MAX_SIDE);
    rmask_atlas *atlas;
    const rmask *entry;
    rmask *mask;
    rmask_error error;
    cli_check(rmask_atlas_open(argv[first], NULL, &atlas, &error), &error, NULL);
    cli_check(rmask_atlas_mask(atlas, layer, head, &entry, &error), &error, NULL);
    if (entry != NULL)
        mask = rmask_retain(entry);
    else
        cli_check(rmask_parse("full", rmask_atlas_rows(atlas), rmask_atlas_cols(atlas), NULL, &mask, &error), &error, NULL);
    cli_check(rmask_verify(mask, &error), &error, NULL);
    cli_save(mask, output);
    rmask_release(mask);
    rmask_atlas_release(atlas);
    return 0;
}

/* ---------------------------------------------------------------- atlas op */

static const struct argp op_argp = {
    .parser = cli_pass_input,
    .args_doc = "and|or|xor|andnot|not A [B]",
    .doc = "Combine atlases entry by entry and write the result to a file, which appears whole or not at all. A dense entry "
           "counts as the full mask."
           "\vExample:\n  roarmask atlas op and model.ratlas limits.ratlas -o limited.ratlas",
    .children = (const struct argp_child[]){{&atlas_output_argp, 0, NULL, 0}, {0}},
};

static int report(void *context, uint64_t done, uint64_t total)
{
    cli_progress(context, done, total);
    return 0;
}

static int atlas_op_main(int argc, char **argv)
{
    const char *output = NULL;
    int first = cli_parse(&op_argp, argc, argv, &output, 1, 3);
    const cli_operation *operation = cli_find_operation(argv[first], argc - first - 1, "one atlas", "two atlases",
                                                        "and, or, xor, andnot or not");
    cli_check_output(output);
    rmask_atlas *a = atlas_load(argv[first + 1]), *result;
    rmask_atlas *b = operation->num_operands == 2 ? atlas_load(argv[first + 2]) : rmask_atlas_retain(a);
    rmask_error error;
    char what[] = "entry";
    const rmask_progress progress = {report, what};
    cli_check(rmask_atlas_combine(a, b, operation->function, &progress, &result, &error), &error, NULL);
    atlas_save(result, output);
    rmask_atlas_release(result);
    rmask_atlas_release(b);
    rmask_atlas_release(a);
    return 0;
}

/* ---------------------------------------------------------------- all */

static const struct argp atlas_argp = {
    .args_doc = "build|info|get|op [OPERAND...]",
    .doc = "The masks of a whole model in one file: a mask for each layer and head, equal masks stored once."
           "\v  roarmask atlas build SPEC -o FILE            an atlas as a JSON file says\n"
           "  roarmask atlas info FILE                     what is in it, layer by layer\n"
           "  roarmask atlas get FILE LAYER HEAD -o FILE   the mask of one head\n"
           "  roarmask atlas op and|or|... A [B] -o FILE   combine entry by entry\n"
           "\n"
           "'roarmask atlas build --help' and so on tell more.",
};

int atlas_main(int argc, char **argv)
{
    static const struct {
        const char *name;
        char title[16]; /* a subcommand's argv[0] */
        int (*run)(int argc, char **argv);
    } commands[] = {
        {"build", "atlas build", atlas_build_main},
        {"info", "atlas info", atlas_info_main},
        {"get", "atlas get", get_main},
        {"op", "atlas op", atlas_op_main},
    };
    for (size_t i = 0; argc > 1 && i < sizeof commands / sizeof *commands; i++)
        if (strcmp(argv[1], commands[i].name) == 0) {
            char title[sizeof commands[i].title];
            argv[1] = strcpy(title, commands[i].title);
            return commands[i].run(argc - 1, argv + 1);
        }
    int first = cli_parse(&atlas_argp, argc, argv, NULL, 1, argc);
    cli_die(CLI_USAGE, "unknown command '%s': build, info, get or op; see '%s --help'", argv[first], cli_program());
}
