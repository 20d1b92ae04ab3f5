/* SPDX-License-Identifier: Apache-2.0
 * Who wins where, and where that ends. */
#include "suite_when.h"

#include "format.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const struct rival {
    const struct bench_method *method;
    char letter;
} rivals[] = {
    {&bench_dense, 'D'}, {&bench_bitset, 'B'}, {&bench_csr, 'C'}, {&bench_croaring, 'R'}, {&bench_roarmask, 'M'},
};
enum { NUM_RIVALS = sizeof rivals / sizeof *rivals, NUM_PLAIN = 3, NUM_MEASURES = BENCH_NUM_OPS };

/* What is compared: measure 0 is the bytes, the others are times. */
static const struct measure {
    const char *name;
    enum bench_op op;
} measures[NUM_MEASURES] = {
    {"bytes", BENCH_NUM_OPS},
    {"row query", BENCH_QUERY},
    {"row intersection", BENCH_INTERSECTION},
    {"mask AND", BENCH_MASK_AND},
    {"export", BENCH_EXPORT},
    {"build from rows", BENCH_BUILD_ROWS},
    {"round trip", BENCH_ROUND_TRIP},
};

/* What a method needs at a point; NAN where it was not measured. */
static double cost(const struct when_point *point, const struct bench_method *method, enum bench_op op)
{
    const struct bench_method_result *result = when_find(point, method);
    if (!result)
        return NAN;
    return op == BENCH_NUM_OPS ? (double)result->memory_bytes : result->ns[op];
}

static char winner(const struct when_point *point, enum bench_op op)
{
    double best = INFINITY;
    char letter = '.';
    for (int i = 0; i < NUM_RIVALS; i++) {
        double needed = cost(point, rivals[i].method, op);
        if (needed < best) {
            best = needed;
            letter = rivals[i].letter;
        }
    }
    return letter;
}

static const char *context_name(int context)
{
    static char text[16];
    int64_t tokens = (int64_t)when_contexts[context] * WHEN_TOKENS_PER_BLOCK;
    snprintf(text, sizeof text, tokens >= 1000000 ? "%dM" : "%dk", (int)(tokens / (tokens >= 1000000 ? 1000000 : 1000)));
    return text;
}

static void print_contexts(int width)
{
    for (int i = 0; i < WHEN_NUM_CONTEXTS; i++)
        printf("%*s", width, context_name(i));
}

static void print_winners_of(const struct when_points *points, const struct measure *measure)
{
    printf("\n%-16s", measure->name);
    for (int kind = 0; kind < WHEN_NUM_KINDS; kind++)
        printf("   %-*s", 5 * WHEN_NUM_CONTEXTS, when_kind_names[kind]);
    printf("\n  density       ");
    for (int kind = 0; kind < WHEN_NUM_KINDS; kind++) {
        print_contexts(5);
        printf("   ");
    }
    putchar('\n');
    for (int j = 0; j < WHEN_NUM_DENSITIES; j++) {
        printf("  %-14s", format_percent(when_densities[j]).text);
        for (int kind = 0; kind < WHEN_NUM_KINDS; kind++) {
            for (int i = 0; i < WHEN_NUM_CONTEXTS; i++)
                printf("%5c", winner(&points->at[kind][i][j], measure->op));
            printf("   ");
        }
        putchar('\n');
    }
}

void when_print_winners(const struct when_points *points)
{
    printf("\nWho needs the least, by context in tokens: D dense, B bitset, C csr, R croaring, M roarmask, . not measured\n");
    for (int i = 0; i < NUM_MEASURES; i++)
        print_winners_of(points, &measures[i]);
}

/* Where a method is ahead of its rivals: of dense alone, as in the published comparison, or of dense, bitset and csr. */
struct stretch {
    double from, to;         /* the least and the greatest density where it is; NAN if nowhere */
    bool has_gaps, measured; /* it is not ahead at some density between; it was measured at one at all */
};

static struct stretch find_stretch(const struct when_point points[WHEN_NUM_DENSITIES], const struct bench_method *method,
                                   enum bench_op op, int num_rivals)
{
    struct stretch stretch = {NAN, NAN, false, false};
    bool is_behind = false;
    for (int j = 0; j < WHEN_NUM_DENSITIES; j++) {
        double ours = cost(&points[j], method, op), best = NAN;
        for (int i = 0; i < num_rivals; i++)
            best = fmin(best, cost(&points[j], rivals[i].method, op));
        if (isnan(ours) || isnan(best))
            continue;
        stretch.measured = true;
        is_behind |= ours >= best;
        if (ours >= best)
            continue;
        if (isnan(stretch.from)) {
            stretch.from = points[j].density;
            is_behind = false;
        }
        stretch.to = points[j].density;
        stretch.has_gaps |= is_behind;
    }
    return stretch;
}

typedef void visit_crossovers(void *context, int kind, const struct rival *rival, const struct measure *measure,
                              const struct stretch stretches[WHEN_NUM_CONTEXTS]);

static void for_each_crossover(const struct when_points *points, int num_rivals, visit_crossovers *visit, void *context)
{
    for (int kind = 0; kind < WHEN_NUM_KINDS; kind++)
        for (int i = NUM_PLAIN; i < NUM_RIVALS; i++)
            for (int m = 0; m < NUM_MEASURES; m++) {
                struct stretch stretches[WHEN_NUM_CONTEXTS];
                for (int c = 0; c < WHEN_NUM_CONTEXTS; c++)
                    stretches[c] = find_stretch(points->at[kind][c], rivals[i].method, measures[m].op, num_rivals);
                visit(context, kind, &rivals[i], &measures[m], stretches);
            }
}

static void print_crossover(void *context, int kind, const struct rival *rival, const struct measure *measure,
                            const struct stretch stretches[WHEN_NUM_CONTEXTS])
{
    (void)context;
    printf("  %-12s%-10s%-17s", when_kind_names[kind], rival->method->name, measure->name);
    for (int i = 0; i < WHEN_NUM_CONTEXTS; i++) {
        char text[32];
        const struct stretch *stretch = &stretches[i];
        snprintf(text, sizeof text, "%g-%g%s", 100 * stretch->from, 100 * stretch->to, stretch->has_gaps ? "~" : "");
        printf("%9s", !stretch->measured ? "." : isnan(stretch->from) ? "never" : text);
    }
    putchar('\n');
}

void when_print_crossovers(const struct when_points *points)
{
    static const int num_rivals[] = {1, NUM_PLAIN};
    static const char *const names[] = {"dense", "dense, bitset and csr, all three"};
    for (int i = 0; i < 2; i++) {
        printf("\nCrossovers: the densities in %% between which it is ahead of %s (~ with gaps)\n%41s", names[i], "");
        print_contexts(9);
        putchar('\n');
        for_each_crossover(points, num_rivals[i], print_crossover, NULL);
    }
}

static json_t *number_or_null(double number)
{
    return isnan(number) ? json_null() : json_real(number);
}

struct crossover_list {
    json_t *list;
    const char *against;
};

static void append_crossover(void *context, int kind, const struct rival *rival, const struct measure *measure,
                             const struct stretch stretches[WHEN_NUM_CONTEXTS])
{
    const struct crossover_list *into = context;
    json_t *ahead = json_array();
    for (int i = 0; i < WHEN_NUM_CONTEXTS; i++)
        if (stretches[i].measured)
            json_array_append_new(ahead, json_pack("{s:I, s:o, s:o, s:b}", "tokens",
                                                   (json_int_t)when_contexts[i] * WHEN_TOKENS_PER_BLOCK, "from_density",
                                                   number_or_null(stretches[i].from), "to_density",
                                                   number_or_null(stretches[i].to), "has_gaps", stretches[i].has_gaps));
    json_array_append_new(into->list, json_pack("{s:s, s:s, s:s, s:s, s:o}", "kind", when_kind_names[kind], "method",
                                                rival->method->name, "measure", measure->name, "against", into->against,
                                                "ahead", ahead));
}

json_t *when_crossovers_json(const struct when_points *points)
{
    struct crossover_list into = {json_array(), "dense"};
    for_each_crossover(points, 1, append_crossover, &into);
    into.against = "dense, bitset, csr";
    for_each_crossover(points, NUM_PLAIN, append_crossover, &into);
    return into.list;
}
