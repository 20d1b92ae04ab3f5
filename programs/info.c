/* SPDX-License-Identifier: Apache-2.0
 *
 * roarmask info: what a mask is made of, and what its cells would cost in other forms. */
#include "cli.h"
#include "costs.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct info_args {
    cli_grid grid;
    const char *json;
    int num_strips; /* that are listed */
};

enum { KEY_JSON = 0x100, KEY_STRIPS, DEFAULT_STRIPS = 6, LISTED_BOUNDARIES = 6 };

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
    case KEY_STRIPS:
        args->num_strips = (int)cli_integer("--strips", argument, 0, 1000000);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp info_argp = {
    .options = (const struct argp_option[]){
        {"strips", KEY_STRIPS, "N", 0, "list the first N strips, instead of 6", 0},
        {"json", KEY_JSON, "FILE", 0, "write JSON too; - prints it in place of text", 0},
        {0}},
    .parser = parse_option,
    .args_doc = "FILE|EXPR",
    .doc = "Print a mask's grid, its cells, what it is made of, the bytes that the same cells take in other forms, and the form that these "
           "numbers speak for."
           "\vExample:\n  roarmask info 'global(64) | window(512)' --rows 62500",
    .children = (const struct argp_child[]){{&cli_grid_argp, 0, NULL, 0}, {0}},
};

struct facts {
    const rmask *mask;
    rmask_stats stats;
    struct cost costs[NUM_COST_FORMS];
    const char *advice;
    char reason[ADVICE_SIZE];
    size_t num_strips; /* that are listed */
};

static rmask_strip_view get_strip(const struct facts *facts, size_t index)
{
    rmask_strip_view strip;
    rmask_error error;
    cli_check(rmask_get_strip(facts->mask, index, &strip, &error), &error, NULL);
    return strip;
}

/* ---------------------------------------------------------------- JSON */

static json_t *json_bytes(long double num_bytes)
{
    return num_bytes < 0         ? json_null()
           : num_bytes < 0x1p63L ? json_integer((json_int_t)num_bytes)
                                 : json_real((double)num_bytes);
}

static json_t *json_list(const int32_t *numbers, size_t count)
{
    json_t *list = json_array();
    for (size_t i = 0; i < count && i < LISTED_BOUNDARIES; i++)
        if (json_array_append_new(list, json_integer(numbers[i])) != 0)
            cli_die(CLI_FAILED, "out of memory for the JSON output");
    return list;
}

static json_t *json_strips(const struct facts *facts)
{
    json_t *list = json_array();
    for (size_t i = 0; i < facts->num_strips; i++) {
        rmask_strip_view strip = get_strip(facts, i);
        json_t *item = json_pack("{si si sI so sI so}", "row_begin", strip.row_begin, "row_end", strip.row_end,
                                 "num_fixed", (json_int_t)strip.num_fixed, "fixed", json_list(strip.fixed, strip.num_fixed),
                                 "num_sliding", (json_int_t)strip.num_sliding, "sliding", json_list(strip.sliding, strip.num_sliding));
        if (json_array_append_new(list, item) != 0)
            cli_die(CLI_FAILED, "out of memory for the JSON output");
    }
    return list;
}

static json_t *json_costs(const struct facts *facts)
{
    json_t *object = json_object();
    for (int i = 0; i < NUM_COST_FORMS; i++)
        if (json_object_set_new(object, facts->costs[i].name, json_bytes(facts->costs[i].num_bytes)) != 0)
            cli_die(CLI_FAILED, "out of memory for the JSON output");
    return object;
}

static json_t *to_json(const struct facts *facts)
{
    const rmask *mask = facts->mask;
    const rmask_stats *stats = &facts->stats;
    return json_pack("{si si sI sf sI sI sI sI sI sI sI s{sI sI sI sI sI} so so s{ss ss}}",
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
                     "first_strips", json_strips(facts), "equivalents", json_costs(facts),
                     "advice", "form", facts->advice, "reason", facts->reason);
}

/* ---------------------------------------------------------------- text */

static void print_list(const char *name, const int32_t *numbers, size_t count)
{
    if (count == 0)
        return;
    printf("  %s", name);
    for (size_t i = 0; i < count && i < LISTED_BOUNDARIES; i++)
        printf(" %d", numbers[i]);
    if (count > LISTED_BOUNDARIES)
        printf(" ... %zu in all", count);
}

static void print_strips(const struct facts *facts)
{
    for (size_t i = 0; i < facts->num_strips; i++) {
        char rows[32];
        rmask_strip_view strip = get_strip(facts, i);
        snprintf(rows, sizeof rows, "%d:%d", strip.row_begin, strip.row_end);
        printf("  rows %-12s", rows);
        print_list("fixed", strip.fixed, strip.num_fixed);
        print_list("sliding", strip.sliding, strip.num_sliding);
        puts(strip.num_fixed + strip.num_sliding == 0 ? "  no boundaries" : "");
    }
    if (facts->num_strips < facts->stats.num_strips && facts->num_strips > 0)
        printf("  and %" PRIu64 " more\n", facts->stats.num_strips - facts->num_strips);
}

static void print_cost(const struct cost *cost, const rmask_stats *stats)
{
    char bytes[32], ratio[32];
    if (cost->num_bytes < 0) {
        printf("  %-13s %20s  %-9s  %-15s  %s\n", cost->name, "-", "", "", cost->what);
        return;
    }
    snprintf(ratio, sizeof ratio, "%.4Lg times", cost->num_bytes / (long double)stats->num_bytes);
    printf("  %-13s %20.0Lf  %9s  %-15s  %s\n", cost->name, cost->num_bytes, cost_text(bytes, cost->num_bytes), ratio, cost->what);
}

static void print_text(const struct facts *facts)
{
    const rmask *mask = facts->mask;
    const rmask_stats *stats = &facts->stats;
    printf("grid         %d rows x %d columns\n", rmask_rows(mask), rmask_cols(mask));
    printf("cells        %" PRIu64 ", density %.4g%%\n", stats->count, 100 * rmask_density(mask));
    printf("strips       %" PRIu64 " with %" PRIu64 " boundaries\n", stats->num_strips, stats->num_boundaries);
    print_strips(facts);
    printf("exceptions   %" PRIu64 " in %" PRIu64 " rows: %" PRIu64 " arrays, %" PRIu64 " bitsets\n", stats->num_exceptions,
           stats->num_exception_rows, stats->num_arrays, stats->num_bitsets);
    printf("bytes           %20" PRIu64 "\n", stats->num_bytes);
    printf("  header        %20" PRIu64 "\n", stats->header_bytes);
    printf("  strips        %20" PRIu64 "\n", stats->strip_bytes);
    printf("  boundaries    %20" PRIu64 "\n", stats->boundary_bytes);
    printf("  directory     %20" PRIu64 "\n", stats->directory_bytes);
    printf("  containers    %20" PRIu64 "\n", stats->container_bytes);
    puts("the same cells as");
    for (int i = 0; i < NUM_COST_FORMS; i++)
        print_cost(&facts->costs[i], stats);
    printf("advice       %s: %s\n", facts->advice, facts->reason);
}

int info_main(int argc, char **argv)
{
    struct info_args args = {.grid = CLI_GRID_UNSET, .num_strips = DEFAULT_STRIPS};
    int first = cli_parse(&info_argp, argc, argv, &args, 1, 1);
    rmask *mask = cli_operand(argv[first], args.grid);
    struct facts facts = {.mask = mask};
    rmask_get_stats(mask, &facts.stats);
    get_costs(mask, facts.costs);
    facts.advice = get_advice(&facts.stats, facts.costs, rmask_density(mask), facts.reason);
    facts.num_strips = facts.stats.num_strips < (uint64_t)args.num_strips ? (size_t)facts.stats.num_strips : (size_t)args.num_strips;
    if (args.json != NULL)
        cli_write_json(to_json(&facts), args.json);
    if (args.json == NULL || strcmp(args.json, "-") != 0)
        print_text(&facts);
    rmask_release(mask);
    return 0;
}
