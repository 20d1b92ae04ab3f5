/* SPDX-License-Identifier: Apache-2.0
 *
 * roarmask attention: how much faster attention gets by a mask, beside how sparse the mask is. */
#define _XOPEN_SOURCE 700
#include "attention_run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    KEY_TOKENS = 0x3000,
    KEY_HEADS,
    KEY_KV_HEADS,
    KEY_HEAD_DIM,
    KEY_DTYPE,
    KEY_MASK,
    KEY_BLOCK,
    KEY_THREADS,
    KEY_DECODE,
    KEY_PAGED,
    KEY_ROUNDS,
    KEY_JSON
};

static const char default_mask[] = "causal & (sink(4) | window(32))";
static const char *const dtype_names[] = {"float32", "bfloat16", "float16"};

struct attention_options {
    struct attention_problem problem;
    const char *mask, *json;
};

static rmask_dtype parse_dtype(const char *text)
{
    for (int i = 0; i < 3; i++)
        if (strcmp(text, dtype_names[i]) == 0) return (rmask_dtype)i;
    cli_die(CLI_USAGE, "--dtype must be float32, bfloat16 or float16, not '%s'", text);
}

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    struct attention_options *options = state->input;
    struct attention_problem *problem = &options->problem;
    switch (key) {
    case KEY_TOKENS: problem->tokens = (int32_t)cli_integer("--tokens", argument, 1, 1 << 26); return 0;
    case KEY_HEADS: problem->heads = (int32_t)cli_integer("--heads", argument, 1, 1024); return 0;
    case KEY_KV_HEADS: problem->kv_heads = (int32_t)cli_integer("--kv-heads", argument, 1, 1024); return 0;
    case KEY_HEAD_DIM: problem->head_dim = (int32_t)cli_integer("--head-dim", argument, 1, 512); return 0;
    case KEY_DTYPE: problem->dtype = parse_dtype(argument); return 0;
    case KEY_MASK: options->mask = argument; return 0;
    case KEY_BLOCK: problem->block = (int32_t)cli_integer("--block", argument, 1, 1 << 20); return 0;
    case KEY_THREADS: problem->threads = (int32_t)cli_integer("--threads", argument, 1, 1024); return 0;
    case KEY_DECODE: problem->decode = true; return 0;
    case KEY_PAGED:
        problem->page_tokens = argument != NULL ? (int32_t)cli_integer("--paged", argument, 1, 1 << 16) : 128;
        return 0;
    case KEY_ROUNDS: problem->rounds = (int)cli_integer("--rounds", argument, 1, 10000); return 0;
    case KEY_JSON: options->json = argument; return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_option option_list[] = {
    {NULL, 0, NULL, 0, "What is computed:", 1},
    {"tokens", KEY_TOKENS, "N", 0, "keys, and queries (4096)", 1},
    {"heads", KEY_HEADS, "N", 0, "query heads (8)", 1},
    {"kv-heads", KEY_KV_HEADS, "N", 0, "heads of keys and values; --heads is a multiple of it, and it is --heads if not given",
     1},
    {"head-dim", KEY_HEAD_DIM, "N", 0, "numbers a head (64)", 1},
    {"dtype", KEY_DTYPE, "NAME", 0, "float32, bfloat16 or float16 (float32)", 1},
    {"mask", KEY_MASK, "FILE|EXPR", 0, "the mask, in blocks (causal & (sink(4) | window(32)))", 1},
    {"block", KEY_BLOCK, "N", 0, "tokens a row and a column of the mask; 1 is a token-exact one (16)", 1},
    {"decode", KEY_DECODE, NULL, 0, "one query, the last token, instead of all", 1},
    {"paged", KEY_PAGED, "N", OPTION_ARG_OPTIONAL, "keys and values in shuffled pages of N tokens (128)", 1},
    {NULL, 0, NULL, 0, "How:", 2},
    {"threads", KEY_THREADS, "N", 0, "threads (as many as there are processors)", 2},
    {"rounds", KEY_ROUNDS, "N", 0, "a dense and a sparse run each; fewer, but three, once they take 20 seconds (9)", 2},
    {NULL, 0, NULL, 0, "Output:", 3},
    {"json", KEY_JSON, "FILE", 0, "write the figures as JSON too; - is standard output, without the table", 3},
    {0},
};

static const struct argp attention_argp = {
    .options = option_list,
    .parser = parse_option,
    .doc = "Time causal attention over random numbers, dense and under a mask, in turns; hold sampled rows of both against "
           "plain loops in float64; "
           "and print the speed-up beside the mask's sparsity. The exit code is 1 when a row is wrong."
           "\vExample:\n  roarmask attention --tokens 16384 --mask 'causal & (sink(4) | window(64))' --dtype bfloat16",
};

static rmask *read_mask(const struct attention_options *options)
{
    if (cli_is_file(options->mask)) return cli_operand(options->mask, CLI_GRID_UNSET);
    int32_t blocks = (options->problem.tokens - 1) / options->problem.block + 1;
    return cli_operand(options->mask, (cli_grid){blocks, blocks});
}

/* ---------------------------------------------------------------- what comes out */

static double share(uint64_t part, uint64_t whole) { return whole > 0 ? (double)part / (double)whole : 0; }

static void print_run(const char *name, const struct attention_figures *figures, double peak)
{
    printf("%-10s %12.3f %10.1f %8.1f%% %12.1e\n", name, figures->ms, figures->gflops, 100 * figures->gflops / peak,
           figures->max_error);
}

static void print_table(const struct attention_options *options, const struct attention_result *result)
{
    const struct attention_problem *problem = &options->problem;
    printf("problem    %s of %d tokens, %d heads over %d, dimension %d, %s, %d thread%s",
           problem->decode ? "decoding" : "prefill", problem->tokens, problem->heads, problem->kv_heads, problem->head_dim,
           dtype_names[problem->dtype], problem->threads, problem->threads > 1 ? "s" : "");
    if (problem->page_tokens > 0) printf(", pages of %d", problem->page_tokens);
    printf("\nmask       %s, in blocks of %d\n", options->mask, problem->block);
    printf("needs      %.2f%% of the dense run's pairs, in %.2f%% of its tiles of %d x %d\n",
           100 * share(result->sparse.work.visible_pairs, result->dense.work.visible_pairs),
           100 * share(result->sparse.work.tiles, result->dense.work.tiles), RMASK_ATTENTION_TILE_QUERIES,
           RMASK_ATTENTION_TILE_KEYS);
    printf("peak       %.1f GFLOP/s\n", result->peak_gflops);
    printf("                     ms    GFLOP/s  of peak    max error\n");
    print_run("dense", &result->dense, result->peak_gflops);
    print_run("sparse", &result->sparse, result->peak_gflops);
    printf("speed-up   %.2f", result->dense.ms / result->sparse.ms);
    if (result->sparse.work.tiles > 0)
        printf(", where the tiles alone would give %.2f", (double)result->dense.work.tiles / (double)result->sparse.work.tiles);
    putchar('\n');
}

static void write_json(const struct attention_options *options, const struct attention_result *result, double max_error)
{
    const struct attention_problem *problem = &options->problem;
    json_t *json =
        json_pack("{s:i, s:i, s:i, s:i, s:s, s:o, s:i, s:i, s:s, s:i, s:i}", "tokens", problem->tokens, "heads", problem->heads,
                  "kv_heads", problem->kv_heads, "head_dim", problem->head_dim, "dtype", dtype_names[problem->dtype], "mask",
                  cli_json_text(options->mask), "block", problem->block, "threads", problem->threads, "mode",
                  problem->decode ? "decode" : "prefill", "page_tokens", problem->page_tokens, "rounds", result->rounds);
    json_t *figures = json_pack("{s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f}", "dense_ms", result->dense.ms, "sparse_ms",
                                result->sparse.ms, "speedup", result->dense.ms / result->sparse.ms, "tile_share",
                                share(result->sparse.work.tiles, result->dense.work.tiles), "pair_share",
                                share(result->sparse.work.visible_pairs, result->dense.work.visible_pairs), "max_error",
                                max_error, "error_limit", attention_error_limit(problem->dtype), "peak_gflops",
                                result->peak_gflops, "gflops", result->sparse.gflops, "dense_gflops", result->dense.gflops);
    if (json != NULL && (figures == NULL || json_object_update(json, figures) != 0)) {
        json_decref(json);
        json = NULL;
    }
    json_decref(figures);
    cli_write_json(json, options->json);
}

int attention_main(int argc, char **argv)
{
    struct attention_options options = {
        .problem = {.tokens = 4096, .heads = 8, .head_dim = 64, .block = 16, .rounds = 9},
        .mask = default_mask,
    };
    struct attention_problem *problem = &options.problem;
    cli_parse(&attention_argp, argc, argv, &options, 0, 0);
    if (problem->kv_heads == 0) problem->kv_heads = problem->heads;
    if (problem->heads % problem->kv_heads != 0)
        cli_die(CLI_USAGE, "--heads %d is not a multiple of --kv-heads %d", problem->heads, problem->kv_heads);
    if (problem->threads == 0) problem->threads = (int32_t)sysconf(_SC_NPROCESSORS_ONLN);
    cli_check_writable(options.json);
    rmask *mask = read_mask(&options);
    problem->mask = mask;

    const struct attention_result result = attention_run(problem);
    const double limit = attention_error_limit(problem->dtype);
    const double max_error =
        result.dense.max_error > result.sparse.max_error ? result.dense.max_error : result.sparse.max_error;
    if (options.json == NULL || strcmp(options.json, "-") != 0) print_table(&options, &result);
    if (options.json != NULL) write_json(&options, &result, max_error);
    rmask_release(mask);
    if (max_error > limit) {
        fflush(stdout);
        cli_die(CLI_FAILED, "the results are wrong: an error of %.1e, where %.1e is the limit", max_error, limit);
    }
    return 0;
}
