/* SPDX-License-Identifier: Apache-2.0
 * The suite `when`: contexts from 1k to 1M tokens, densities from 0.1% to 60%, structured to random. */
#include "suite_when.h"

#include "format.h"
#include "heap.h"
#include "pattern.h"
#include "report.h"
#include "suites.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

const char *const when_kind_names[WHEN_NUM_KINDS] = {"structured", "mixed", "random"};
const int32_t when_contexts[WHEN_NUM_CONTEXTS] = {64, 256, 625, 1250, 3125, 6250, 16384, 62500};
const double when_densities[WHEN_NUM_DENSITIES] = {0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6};

/* More cells than this take minutes, a byte a cell past this many blocks takes gigabytes. */
static const double max_cells = 40e6;
enum { MAX_DENSE_BLOCKS = 20000 };

static int32_t at_least_1(double size)
{
    return size < 1 ? 1 : (int32_t)(size + 0.5);
}

/* An eighth of the density is columns that all see, the rest a window around the diagonal; of the mixed kind half is random. */
static char *write_expression(enum when_kind kind, int32_t num_blocks, double density, uint64_t seed)
{
    char *random = bench_pattern_random(at_least_1(density * num_blocks * (kind == WHEN_MIXED ? 0.5 : 1)), num_blocks, seed);
    if (kind == WHEN_RANDOM)
        return random;
    double structured = kind == WHEN_MIXED ? density / 2 : density;
    /* A window of h blocks to either side leaves (1 - h/n)^2 of the grid uncovered. */
    int32_t side = (int32_t)(num_blocks * (1 - sqrt(1 - structured * 7 / 8)));
    int32_t sinks = (int32_t)(structured / 8 * num_blocks + 0.5);
    char *text = bench_pattern_format("sink(%d) | window(%d, %d)%s%s", (int)sinks, (int)side, (int)side,
                                      kind == WHEN_MIXED ? " | " : "", kind == WHEN_MIXED ? random : "");
    free(random);
    return text;
}

static unsigned methods_for(int32_t num_blocks, unsigned wanted)
{
    unsigned methods = 0;
    for (int i = 0; i < BENCH_NUM_METHODS; i++) {
        const struct bench_method *method = bench_methods[i];
        bool is_too_large = method == &bench_dense && num_blocks > MAX_DENSE_BLOCKS;
        if (!is_too_large && method != &bench_coo && method != &bench_croaring2d)
            methods |= 1u << i;
    }
    return methods & wanted;
}

static json_t *measure_point(struct when_point *point, const struct bench_flags *flags)
{
    char label[64];
    snprintf(label, sizeof label, "when: %s, %d blocks, density %s", when_kind_names[point->kind], (int)point->num_blocks,
             format_percent(point->density).text);
    char *expression = write_expression(point->kind, point->num_blocks, point->density, flags->seed);
    char *reseeded = bench_pattern_reseed(expression, 1);
    struct bench_config config = {
        .preset = label,
        .expression = expression,
        .other = bench_pattern_widen(reseeded),
        .num_blocks = point->num_blocks,
        .sparsity = -1,
        .seed = flags->seed,
        .methods = methods_for(point->num_blocks, flags->methods),
        .effort = {.queries = 200, .min_seconds = 0.004, .min_rounds = 3, .max_seconds = 0.2, .round_trip = true},
    };
    bench_measure(&config, &point->result);
    point->measured = true;
    json_t *json = report_json(&config, &point->result);
    json_object_set_new(json, "kind", json_string(when_kind_names[point->kind]));
    json_object_set_new(json, "wanted_density", json_real(point->density));
    json_object_set_new(json, "tokens", json_integer((json_int_t)point->num_blocks * WHEN_TOKENS_PER_BLOCK));
    free(config.expression);
    free(config.other);
    free(reseeded);
    return json;
}

static json_t *measure_points(struct when_points *points, const struct bench_flags *flags)
{
    json_t *list = json_array();
    for (int kind = 0; kind < WHEN_NUM_KINDS; kind++)
        for (int i = 0; i < WHEN_NUM_CONTEXTS; i++)
            for (int j = 0; j < WHEN_NUM_DENSITIES; j++) {
                struct when_point *point = &points->at[kind][i][j];
                *point = (struct when_point){.kind = kind, .num_blocks = when_contexts[i], .density = when_densities[j]};
                double row_cells = point->density * point->num_blocks;
                if (row_cells >= 0.9 && row_cells * point->num_blocks <= max_cells)
                    json_array_append_new(list, measure_point(point, flags));
            }
    return list;
}

const struct bench_method_result *when_find(const struct when_point *point, const struct bench_method *method)
{
    for (int i = 0; i < point->result.num_methods; i++)
        if (point->result.methods[i].method == method && point->result.methods[i].measured)
            return &point->result.methods[i];
    return NULL;
}

json_t *suite_when(const struct bench_flags *flags, bool quiet)
{
    struct when_points *points = bench_alloc_zeroed(1, sizeof *points);
    json_t *list = measure_points(points, flags);
    bench_progress("when: the block pool");
    struct pool_factors pool = suite_block_pool_factors(flags->seed);
    if (!quiet) {
        printf("when: the published claims put to the test\n  %s\n", report_machine());
        printf("  coo and croaring2d are left out, dense past %d blocks, and points of more than %.0f million cells\n",
               (int)MAX_DENSE_BLOCKS, max_cells / 1e6);
        when_print_winners(points);
        when_print_crossovers(points);
        when_print_claims(points, pool);
    }
    json_t *object = json_pack("{s:s, s:I, s:o, s:o, s:o}", "suite", "when", "seed", (json_int_t)flags->seed, "points", list,
                               "crossovers", when_crossovers_json(points), "claims", when_claims_json(points, pool));
    report_add_machine(object);
    bench_free(points);
    return object;
}
