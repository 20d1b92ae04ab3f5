/* SPDX-License-Identifier: Apache-2.0
 * Flags, what they may be together, and the help. */
#include "flags.h"

#include "cli.h"
#include "preset.h"
#include "suites.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    KEY_NUM_BLOCKS = 0x2000,
    KEY_WINDOW_SIZE,
    KEY_GLOBAL_TOKENS,
    KEY_SPARSITY,
    KEY_QUERIES,
    KEY_SEED,
    KEY_PATTERN,
    KEY_METHODS,
    KEY_PRESET,
    KEY_SUITE,
    KEY_JSON,
    KEY_MIN_TIME,
    KEY_ROUNDS
};

static const struct argp_option options[] = {
    {NULL, 0, NULL, 0, "What is measured (the published configuration if nothing is said):", 1},
    {"num-blocks", KEY_NUM_BLOCKS, "N", 0, "query blocks, and key blocks (1000)", 1},
    {"window-size", KEY_WINDOW_SIZE, "W", 0, "row q sees the blocks from q - W/2 up to, without, q + W/2 (128)", 1},
    {"global-tokens", KEY_GLOBAL_TOKENS, "G", 0, "blocks that see all and that all see (16)", 1},
    {"sparsity", KEY_SPARSITY, "S", 0, "every row sees (1 - S) * N / 10 random blocks more (0.99)", 1},
    {"pattern", KEY_PATTERN, "EXPR", 0, "another pattern, an expression, in place of the three above", 1},
    {"preset", KEY_PRESET, "A,B,...", 0, "configurations with names; 'list' lists them, 'all' runs them all", 1},
    {"suite", KEY_SUITE, "NAME", 0, "a question of its own: when, block-pool, files, algebra or growth; see docs/benchmarking.md", 1},
    {"methods", KEY_METHODS, "A,B,...", 0, "only these of dense, bitset, coo, csr, croaring, croaring2d, roarmask", 1},
    {NULL, 0, NULL, 0, "How:", 2},
    {"queries", KEY_QUERIES, "N", 0, "random rows a round (1000)", 2},
    {"seed", KEY_SEED, "S", 0, "of the random blocks and rows (42)", 2},
    {"min-time", KEY_MIN_TIME, "SECONDS", 0, "least time for each method and operation (0.3)", 2},
    {"rounds", KEY_ROUNDS, "N", 0, "least rounds for each, unless they take two seconds (5)", 2},
    {NULL, 0, NULL, 0, "Output:", 3},
    {"json", KEY_JSON, "FILE", 0, "write the figures as JSON too; - is standard output, without the tables", 3},
    {0},
};

static bool is_name(const char *name, const char *text, size_t length)
{
    return strlen(name) == length && strncmp(name, text, length) == 0;
}

static unsigned parse_methods(const char *list)
{
    unsigned methods = 0;
    for (const char *at = list;; at++) {
        size_t length = strcspn(at, ",");
        int i = 0;
        while (i < BENCH_NUM_METHODS && !is_name(bench_methods[i]->name, at, length))
            i++;
        if (i == BENCH_NUM_METHODS)
            cli_die(CLI_USAGE, "unknown method '%.*s'; there are dense, bitset, coo, csr, croaring, croaring2d, roarmask",
                    (int)length, at);
        methods |= 1u << i;
        at += length;
        if (*at == '\0')
            return methods;
    }
}

static int32_t parse_size(const char *what, const char *text, int32_t min)
{
    return (int32_t)cli_integer(what, text, min, RMASK_MAX_SIDE);
}

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    struct bench_flags *flags = state->input;
    switch (key) {
    case KEY_NUM_BLOCKS:
        flags->num_blocks = parse_size("--num-blocks", argument, 1);
        return 0;
    case KEY_WINDOW_SIZE:
        flags->window_size = parse_size("--window-size", argument, 0);
        return 0;
    case KEY_GLOBAL_TOKENS:
        flags->global_tokens = parse_size("--global-tokens", argument, 0);
        return 0;
    case KEY_SPARSITY:
        flags->sparsity = cli_number("--sparsity", argument, 0, 1);
        return 0;
    case KEY_QUERIES:
        flags->effort.queries = (int32_t)cli_integer("--queries", argument, 1, 1000000);
        return 0;
    case KEY_SEED:
        flags->seed = (uint64_t)cli_integer("--seed", argument, 0, INT64_MAX);
        return 0;
    case KEY_PATTERN:
        flags->pattern = argument;
        return 0;
    case KEY_METHODS:
        flags->methods = parse_methods(argument);
        return 0;
    case KEY_PRESET:
        flags->preset = argument;
        return 0;
    case KEY_SUITE:
        flags->suite = argument;
        return 0;
    case KEY_JSON:
        flags->json = argument;
        return 0;
    case KEY_MIN_TIME:
        flags->effort.min_seconds = cli_number("--min-time", argument, 0, 3600);
        return 0;
    case KEY_ROUNDS:
        flags->effort.min_rounds = (int)cli_integer("--rounds", argument, 1, 200);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp bench_argp = {
    .options = options,
    .parser = parse_option,
    .args_doc = "",
    .doc = "Measure what each way of holding a block-sparse attention mask costs: real bytes, and the median time of each "
           "operation. Every answer is checked before anything is timed."
           "\vExamples:\n"
           "  roarmask bench\n"
           "  roarmask bench --preset 1m --json results.json\n"
           "  roarmask bench --pattern 'causal & (sink(4) | window(64))' --num-blocks 8192 --methods csr,roarmask",
};

static void refuse_together(const char *a, bool has_a, const char *b, bool has_b)
{
    if (has_a && has_b)
        cli_die(CLI_USAGE, "%s and %s exclude each other; give one of them", a, b);
}

static void check_preset(const char *name, size_t length)
{
    char copy[64];
    snprintf(copy, sizeof copy, "%.*s", (int)length, name);
    bool is_known = strcmp(copy, "all") == 0 || strcmp(copy, "list") == 0;
    for (int i = 0; i < bench_num_presets; i++)
        is_known |= strcmp(copy, bench_presets[i].name) == 0;
    if (!is_known)
        cli_die(CLI_USAGE, "unknown preset '%s'; --preset list lists them", copy);
}

static void check_names(const struct bench_flags *flags)
{
    for (const char *at = flags->preset; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL)
        check_preset(at, strcspn(at, ","));
    if (flags->suite && !bench_find_suite(flags->suite))
        cli_die(CLI_USAGE, "unknown suite '%s'; there are when, block-pool, files, algebra and growth", flags->suite);
}

/* The published defaults, where neither a preset nor a suite has its own. */
static void complete(struct bench_flags *flags)
{
    bool window_given = flags->window_size >= 0, global_given = flags->global_tokens >= 0;
    if (flags->num_blocks < 0)
        flags->num_blocks = 1000;
    if (!window_given)
        flags->window_size = flags->num_blocks < 128 ? flags->num_blocks : 128;
    if (!global_given)
        flags->global_tokens = flags->num_blocks < 16 ? flags->num_blocks : 16;
    if (isnan(flags->sparsity))
        flags->sparsity = 0.99;
    if (flags->window_size > flags->num_blocks)
        cli_die(CLI_USAGE, "--window-size %d is larger than the grid of %d blocks", flags->window_size, flags->num_blocks);
    if (flags->global_tokens > flags->num_blocks)
        cli_die(CLI_USAGE, "--global-tokens %d is larger than the grid of %d blocks", flags->global_tokens, flags->num_blocks);
}

void bench_flags_parse(int argc, char **argv, struct bench_flags *flags)
{
    *flags = (struct bench_flags){
        .num_blocks = -1,
        .window_size = -1,
        .global_tokens = -1,
        .sparsity = NAN,
        .seed = 42,
        .methods = (1u << BENCH_NUM_METHODS) - 1,
        .effort = {.queries = 1000, .min_seconds = 0.3, .min_rounds = 5, .max_seconds = 2},
    };
    cli_parse(&bench_argp, argc, argv, flags, 0, 0);
    bool sized = flags->num_blocks >= 0;
    bool shaped = flags->window_size >= 0 || flags->global_tokens >= 0 || !isnan(flags->sparsity);
    refuse_together("--preset", flags->preset, "--suite", flags->suite);
    refuse_together("--preset", flags->preset, "--pattern", flags->pattern);
    refuse_together("--suite", flags->suite, "--pattern", flags->pattern);
    refuse_together("--preset or --suite", flags->preset || flags->suite, "the flags of the published pattern",
                    sized || shaped);
    refuse_together("--pattern", flags->pattern, "--window-size, --global-tokens or --sparsity", shaped);
    check_names(flags);
    complete(flags);
}
