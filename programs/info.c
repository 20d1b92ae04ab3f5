/* SPDX-License-Identifier: Apache-2.0
 *
 * roarmask info: what a mask is made of, and what its cells would cost in other forms. */
#include "cli.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct info_args {
    cli_grid grid;
    const char *json;
};

enum { KEY_JSON = 0x100 };

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    struct info_args *args = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &args->grid;
        return 0;
    case KEY_JSON:
        args->json = argument;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp info_argp = {
    .options = (const struct argp_option[]){{"json", KEY_JSON, "FILE", 0, "write JSON too; - prints it in place of text", 0},
                                            {0}},
    .parser = parse_option,
    .args_doc = "FILE|EXPR",
    .doc = "Print a mask's grid, its cells, what it is made of, and the bytes that the same cells take in other forms."
           "\vExample:\n  roarmask info 'global(64) | window(512)' --rows 62500",
    .children = (const struct argp_child[]){{&cli_grid_argp, 0, NULL, 0}, {0}},
};

/* Bytes of the same cells in the usual forms. In floating point: the largest grids pass 2^64 bytes. */
struct equivalents {
    long double dense;  /* a byte a cell of the grid */
    long double bitset; /* a bit a cell of the grid, rows of whole bytes */
    long double csr;    /* int64 row offsets and int32 columns */
    long double coo;    /* pairs of int32 */
};

static struct equivalents get_equivalents(const rmask *mask)
{
    long double rows = rmask_rows(mask), cols = rmask_cols(mask), cells = (long double)rmask_count(mask);
    return (struct equivalents){
        .dense = rows * cols,
        .bitset = rows * (long double)(((int64_t)rmask_cols(mask) + 7) / 8),
        .csr = 8 * (rows + 1) + 4 * cells,
        .coo = 8 * cells,
    };
}

static json_t *json_bytes(long double num_bytes)
{
    return num_bytes < 0x1p63L ? json_integer((json_int_t)num_bytes) : json_real((double)num_bytes);
}

static json_t *to_json(const rmask *mask, const rmask_stats *stats)
{
    struct equivalents other = get_equivalents(mask);
    return json_pack("{si si sI sf sI sI sI sI sI sI sI s{sI sI sI sI sI} s{so so so so}}",
                     "rows", rmask_rows(mask), "cols", rmask_cols(mask),
                     "nnz", (json_int_t)stats->count, "density", rmask_density(mask),
                     "num_bytes", (json_int_t)stats->num_bytes,
                     "strips", (json_int_t)stats->num_strips, "boundaries", (json_int_t)stats->num_boundaries,
                     "exceptions", (json_int_t)stats->num_exceptions,
                     "exception_rows", (json_int_t)stats->num_exception_rows,
                     "arrays", (json_int_t)stats->num_arrays, "bitsets", (json_int_t)stats->num_bitsets,
                     "sections",
                     "header", (json_int_t)stats->header_bytes, "strips", (json_int_t)stats->strip_bytes,
                     "boundaries", (json_int_t)stats->boundary_bytes, "directory", (json_int_t)stats->directory_bytes,
                     "containers", (json_int_t)stats->container_bytes,
                     "equivalents",
                     "dense", json_bytes(other.dense), "bitset", json_bytes(other.bitset),
                     "csr", json_bytes(other.csr), "coo", json_bytes(other.coo));
}

static void print_other(const char *name, long double num_bytes, const rmask_stats *stats)
{
    static const char *const units[] = {"B", "KB", "MB", "GB", "TB", "PB", "EB"};
    long double value = num_bytes, ratio = num_bytes / (long double)stats->num_bytes;
    size_t unit = 0;
    for (; value >= 1000 && unit + 1 < sizeof units / sizeof *units; unit++)
        value /= 1000;
    printf("  %-10s %20.0Lf  %6.4Lg %-2s  %.4Lg times\n", name, num_bytes, value, units[unit], ratio);
}

static void print_text(const rmask *mask, const rmask_stats *stats)
{
    printf("grid         %d rows x %d columns\n", rmask_rows(mask), rmask_cols(mask));
    printf("cells        %" PRIu64 ", density %.4g%%\n", stats->count, 100 * rmask_density(mask));
    printf("strips       %" PRIu64 " with %" PRIu64 " boundaries\n", stats->num_strips, stats->num_boundaries);
    printf("exceptions   %" PRIu64 " in %" PRIu64 " rows: %" PRIu64 " arrays, %" PRIu64 " bitsets\n", stats->num_exceptions,
           stats->num_exception_rows, stats->num_arrays, stats->num_bitsets);
    printf("bytes        %20" PRIu64 "\n", stats->num_bytes);
    printf("  header     %20" PRIu64 "\n", stats->header_bytes);
    printf("  strips     %20" PRIu64 "\n", stats->strip_bytes);
    printf("  boundaries %20" PRIu64 "\n", stats->boundary_bytes);
    printf("  directory  %20" PRIu64 "\n", stats->directory_bytes);
    printf("  containers %20" PRIu64 "\n", stats->container_bytes);
    struct equivalents other = get_equivalents(mask);
    puts("the same cells as");
    print_other("dense", other.dense, stats);
    print_other("bitset", other.bitset, stats);
    print_other("csr", other.csr, stats);
    print_other("coo", other.coo, stats);
}

int info_main(int argc, char **argv)
{
    struct info_args args = {.grid = CLI_GRID_UNSET};
    int first = cli_parse(&info_argp, argc, argv, &args, 1, 1);
    rmask *mask = cli_operand(argv[first], args.grid);
    rmask_stats stats;
    rmask_get_stats(mask, &stats);
    if (args.json != NULL)
        cli_write_json(to_json(mask, &stats), args.json);
    if (args.json == NULL || strcmp(args.json, "-") != 0)
        print_text(mask, &stats);
    rmask_release(mask);
    return 0;
}
