/* SPDX-License-Identifier: Apache-2.0
 *
 * roarmask atlas build: an atlas as a JSON file says. */
#include "atlas.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct argp build_argp = {
    .parser = cli_pass_input,
    .args_doc = "SPEC",
    .doc = "Make an atlas, the masks of a whole model, as the JSON file SPEC says, and write it to a file, which appears whole "
           "or not at all."
           "\vSPEC is an object:\n"
           "  {\"layers\": 32, \"heads\": 32, \"rows\": 62500, \"cols\": 62500, \"note\": \"...\",\n"
           "   \"default\": MASK,\n"
           "   \"entries\": [{\"layers\": \"0-3,7\", \"heads\": \"*\", \"mask\": MASK}, ...]}\n"
           "MASK is an expression, {\"file\": \"x.rmask\"}, or null for dense. Layers and heads count from 0: a number, "
           "numbers and ranges in a text, or \"*\" for all, which is also meant where they are left out. Later entries win. "
           "Where they are left out, \"cols\" is \"rows\", \"default\" null, \"note\" empty and \"entries\" an empty list.\n"
           "\n"
           "Example:\n  roarmask atlas build model.json -o model.ratlas",
    .children = (const struct argp_child[]){{&atlas_output_argp, 0, NULL, 0}, {0}},
};

struct spec {
    const char *path;
    json_t *root;
    int32_t rows, cols, layers, heads;
};

/* Where in the SPEC something is, to begin a message with: "model.json: entries[3].mask: ". */
typedef struct place {
    char text[512];
} place;

static place place_in(const struct spec *spec, const char *name)
{
    place where;
    snprintf(where.text, sizeof where.text, "%.400s: %s%s", spec->path, name, *name != '\0' ? ": " : "");
    return where;
}

static place place_in_entry(const struct spec *spec, size_t entry, const char *name)
{
    char text[64];
    snprintf(text, sizeof text, "entries[%zu]%s%s", entry, *name != '\0' ? "." : "", name);
    return place_in(spec, text);
}

/* A misspelt name would otherwise be ignored. */
static void check_names(const json_t *object, place where, const char *const *names)
{
    if (!json_is_object(object))
        cli_die(CLI_USAGE, "%sexpected an object", where.text);
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)object, name, value) {
        size_t i = 0;
        while (names[i] != NULL && strcmp(names[i], name) != 0)
            i++;
        if (names[i] == NULL)
            cli_die(CLI_USAGE, "%sunknown name '%s'", where.text, name);
    }
}

/* ---------------------------------------------------------------- parts of a SPEC */

static int32_t get_side(const struct spec *spec, const char *name, int64_t min, int64_t max)
{
    const json_t *value = json_object_get(spec->root, name);
    if (!json_is_integer(value) || json_integer_value(value) < min || json_integer_value(value) > max)
        cli_die(CLI_USAGE, "%sexpected a whole number from %lld to %lld", place_in(spec, name).text, (long long)min,
                (long long)max);
    return (int32_t)json_integer_value(value);
}

/* Marks a number or range such as "3" or "0-7", and returns what follows it; NULL where it makes no sense. */
static const char *mark_range(const char *text, bool *chosen, int32_t limit)
{
    char *end;
    if (*text < '0' || *text > '9')
        return NULL;
    long long first = strtoll(text, &end, 10), last = first;
    if (*end == '-') {
        text = end + 1;
        if (*text < '0' || *text > '9')
            return NULL;
        last = strtoll(text, &end, 10);
    }
    if (last < first || last >= limit)
        return NULL;
    for (long long i = first; i <= last; i++)
        chosen[i] = true;
    return end;
}

/* Which of `limit` layers or heads are meant. The caller frees the answer. */
static bool *get_indices(const json_t *value, place where, int32_t limit)
{
    bool *chosen = cli_alloc((size_t)limit, sizeof *chosen);
    char number[32];
    const char *text = value == NULL ? "*" : json_is_string(value) ? json_string_value(value) : "";
    if (json_is_integer(value)) {
        snprintf(number, sizeof number, "%lld", (long long)json_integer_value(value));
        text = number;
    }
    if (strcmp(text, "*") == 0) {
        memset(chosen, true, (size_t)limit * sizeof *chosen);
        return chosen;
    }
    while ((text = mark_range(text, chosen, limit)) != NULL && *text == ',')
        text++;
    if (text == NULL || *text != '\0')
        cli_die(CLI_USAGE, "%sexpected numbers up to %d and ranges of them, such as \"0-3,7\", or \"*\"", where.text,
                limit - 1);
    return chosen;
}

/* The mask of a MASK, NULL for dense. The caller releases it. */
static rmask *get_mask(const struct spec *spec, const json_t *value, place where)
{
    rmask *mask = NULL;
    rmask_error error;
    const json_t *file = json_object_get(value, "file");
    if (json_is_null(value))
        return NULL;
    if (json_is_string(value)) {
        cli_check(rmask_parse(json_string_value(value), spec->rows, spec->cols, NULL, &mask, &error), &error, where.text);
        return mask;
    }
    if (!json_is_string(file) || json_object_size(value) != 1)
        cli_die(CLI_USAGE, "%sexpected an expression, {\"file\": \"x.rmask\"} or null", where.text);
    cli_check(rmask_load(json_string_value(file), NULL, &mask, &error), &error, where.text);
    if (rmask_rows(mask) != spec->rows || rmask_cols(mask) != spec->cols)
        cli_die(CLI_USAGE, "%sthe grid of '%s' is %d x %d, and not %d x %d", where.text, json_string_value(file),
                rmask_rows(mask), rmask_cols(mask), spec->rows, spec->cols);
    return mask;
}

/* ---------------------------------------------------------------- a SPEC */

static struct spec load_spec(const char *path)
{
    static const char *const names[] = {"layers", "heads", "rows", "cols", "note", "default", "entries", NULL};
    struct spec spec = {.path = path};
    json_error_t error;
    spec.root = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
    if (spec.root == NULL && error.line < 0)
        cli_die(CLI_FAILED, "%s", error.text);
    if (spec.root == NULL)
        cli_die(CLI_USAGE, "%s: line %d, column %d: %s", path, error.line, error.column, error.text);
    check_names(spec.root, place_in(&spec, ""), names);
    spec.layers = get_side(&spec, "layers", 1, RMASK_ATLAS_MAX_SIDE);
    spec.heads = get_side(&spec, "heads", 1, RMASK_ATLAS_MAX_SIDE);
    spec.rows = get_side(&spec, "rows", 0, RMASK_MAX_SIDE);
    spec.cols = json_object_get(spec.root, "cols") != NULL ? get_side(&spec, "cols", 0, RMASK_MAX_SIDE) : spec.rows;
    return spec;
}

/* Puts a mask in place of what the entries had. */
static void put_entry(const struct spec *spec, size_t index, const json_t *entry, const rmask *mask, const rmask **masks)
{
    bool *layers = get_indices(json_object_get(entry, "layers"), place_in_entry(spec, index, "layers"), spec->layers);
    bool *heads = get_indices(json_object_get(entry, "heads"), place_in_entry(spec, index, "heads"), spec->heads);
    for (int32_t layer = 0; layer < spec->layers; layer++)
        for (int32_t head = 0; layers[layer] && head < spec->heads; head++)
            if (heads[head])
                masks[(size_t)layer * (size_t)spec->heads + (size_t)head] = mask;
    free(layers);
    free(heads);
}

static rmask_atlas *make_atlas(const struct spec *spec)
{
    static const char *const names[] = {"layers", "heads", "mask", NULL};
    const json_t *note = json_object_get(spec->root, "note"), *entries = json_object_get(spec->root, "entries");
    const json_t *usual = json_object_get(spec->root, "default");
    if (note != NULL && !json_is_string(note))
        cli_die(CLI_USAGE, "%sexpected a text", place_in(spec, "note").text);
    if (entries != NULL && !json_is_array(entries))
        cli_die(CLI_USAGE, "%sexpected a list", place_in(spec, "entries").text);
    size_t num_entries = json_array_size(entries), num_masks = (size_t)spec->layers * (size_t)spec->heads;
    rmask **made = cli_alloc(num_entries + 1, sizeof *made);
    const rmask **masks = cli_alloc(num_masks, sizeof *masks);

    made[num_entries] = usual != NULL ? get_mask(spec, usual, place_in(spec, "default")) : NULL;
    for (size_t i = 0; i < num_masks; i++)
        masks[i] = made[num_entries];
    for (size_t i = 0; i < num_entries; i++) {
        const json_t *entry = json_array_get(entries, i);
        cli_progress("entry", i, num_entries);
        check_names(entry, place_in_entry(spec, i, ""), names);
        made[i] = get_mask(spec, json_object_get(entry, "mask"), place_in_entry(spec, i, "mask"));
        put_entry(spec, i, entry, made[i], masks);
    }

    rmask_atlas *atlas;
    rmask_error error;
    rmask_status status = rmask_atlas_create(spec->layers, spec->heads, spec->rows, spec->cols, masks, json_string_value(note), NULL,
                                             &atlas, &error);
    cli_check(status, &error, NULL);
    for (size_t i = 0; i <= num_entries; i++)
        rmask_release(made[i]);
    free(made);
    free(masks);
    return atlas;
}

int atlas_build_main(int argc, char **argv)
{
    const char *output = NULL;
    int first = cli_parse(&build_argp, argc, argv, &output, 1, 1);
    cli_check_output(output);
    struct spec spec = load_spec(argv[first]);
    rmask_atlas *atlas = make_atlas(&spec);
    atlas_save(atlas, output);
    rmask_atlas_release(atlas);
    json_decref(spec.root);
    return 0;
}
