/* SPDX-License-Identifier: Apache-2.0
 * roarmask bench: one configuration, all presets, or a suite. */
#include "bench.h"

#include "cli.h"
#include "flags.h"
#include "heap.h"
#include "pattern.h"
#include "preset.h"
#include "report.h"
#include "suites.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_quiet(const struct bench_flags *flags)
{
    return flags->json && strcmp(flags->json, "-") == 0;
}

static void list_presets(void)
{
    for (int i = 0; i < bench_num_presets; i++)
        printf("%-18s %6d blocks  %s\n", bench_presets[i].name, (int)bench_presets[i].num_blocks, bench_presets[i].summary);
}

/* Measures, prints, and returns the JSON object. Takes the expressions over. */
static json_t *run_config(struct bench_config *config, bool quiet)
{
    struct bench_result result;
    bench_measure(config, &result);
    if (!quiet)
        report_tables(config, &result);
    json_t *json = report_json(config, &result);
    free(config->expression);
    free(config->other);
    return json;
}

static json_t *run_preset(const struct bench_flags *flags, const struct bench_preset *preset)
{
    char *other = bench_preset_expression(preset, flags->seed + 1);
    struct bench_config config = {
        .preset = preset->name,
        .expression = bench_preset_expression(preset, flags->seed),
        .other = bench_pattern_widen(other),
        .num_blocks = preset->num_blocks,
        .window_size = preset->window_size,
        .global_tokens = preset->global_tokens,
        .sparsity = preset->expression || preset->pattern ? -1 : preset->sparsity,
        .seed = flags->seed,
        .methods = flags->methods,
        .effort = flags->effort,
        .published = preset->published,
    };
    free(other);
    return run_config(&config, is_quiet(flags));
}

/* A list of names, or all. One preset is one object, several are a list. */
static json_t *run_presets(const struct bench_flags *flags)
{
    int count = 0, done = 0;
    json_t *list = json_array();
    for (int i = 0; i < bench_num_presets; i++)
        count += bench_preset_is_named(flags->preset, &bench_presets[i]);
    for (int i = 0; i < bench_num_presets; i++) {
        if (!bench_preset_is_named(flags->preset, &bench_presets[i]))
            continue;
        if (count > 1)
            bench_announce("[%d/%d] %s", done + 1, count, bench_presets[i].name);
        if (done++ > 0 && !is_quiet(flags))
            putchar('\n');
        json_array_append_new(list, run_preset(flags, &bench_presets[i]));
        fflush(stdout);
    }
    if (count > 1)
        return list;
    json_t *only = json_incref(json_array_get(list, 0));
    json_decref(list);
    return only;
}

/* The preset that the flags spell out, if they do: its published figures belong beside it. */
static const struct bench_preset *find_same(const struct bench_flags *flags)
{
    for (int i = 0; i < bench_num_presets && !flags->pattern; i++) {
        const struct bench_preset *preset = &bench_presets[i];
        if (!preset->expression && !preset->pattern && preset->num_blocks == flags->num_blocks &&
            preset->window_size == flags->window_size && preset->global_tokens == flags->global_tokens &&
            preset->sparsity == flags->sparsity)
            return preset;
    }
    return NULL;
}

/* The published pattern with the numbers of the flags, or the user's own. */
static json_t *run_flags(const struct bench_flags *flags)
{
    if (find_same(flags))
        return run_preset(flags, find_same(flags));
    struct bench_config config = {
        .num_blocks = flags->num_blocks,
        .window_size = flags->window_size,
        .global_tokens = flags->global_tokens,
        .sparsity = flags->pattern ? -1 : flags->sparsity,
        .seed = flags->seed,
        .methods = flags->methods,
        .effort = flags->effort,
    };
    char *other;
    if (flags->pattern) {
        config.expression = bench_pattern_format("%s", flags->pattern);
        other = bench_pattern_reseed(flags->pattern, 1);
    } else {
        config.expression = bench_pattern_published(flags->num_blocks, flags->window_size, flags->global_tokens,
                                                    flags->sparsity, flags->seed);
        other = bench_pattern_published(flags->num_blocks, flags->window_size, flags->global_tokens, flags->sparsity,
                                        flags->seed + 1);
    }
    config.other = bench_pattern_widen(other);
    free(other);
    return run_config(&config, is_quiet(flags));
}

static const struct bench_suite suites[] = {
    {"when", suite_when},       {"block-pool", suite_block_pool}, {"files", suite_files},
    {"algebra", suite_algebra}, {"growth", suite_growth},
};

const struct bench_suite *bench_find_suite(const char *name)
{
    for (size_t i = 0; i < sizeof suites / sizeof *suites; i++)
        if (strcmp(name, suites[i].name) == 0)
            return &suites[i];
    return NULL;
}

static json_t *run(const struct bench_flags *flags)
{
    if (flags->suite)
        return bench_find_suite(flags->suite)->run(flags, is_quiet(flags));
    if (flags->preset)
        return run_presets(flags);
    return run_flags(flags);
}

int bench_main(int argc, char **argv)
{
    struct bench_flags flags;
    bench_flags_parse(argc, argv, &flags);
    if (flags.preset && strcmp(flags.preset, "list") == 0) {
        list_presets();
        return 0;
    }
    cli_check_writable(flags.json);
    bench_heap_keep();
    bench_progress("starting");
    json_t *json = run(&flags);
    if (flags.json) {
        cli_write_json(json, flags.json);
        return 0;
    }
    json_decref(json);
    printf("\nAs JSON: add --json -. More: roarmask bench --preset all, --suite when, block-pool, files, algebra or growth\n");
    return 0;
}
