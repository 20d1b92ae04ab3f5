/* SPDX-License-Identifier: Apache-2.0
 * The tables: the two that were published with ours beside them, and then everything. */
#include "report.h"

#include "format.h"
#include "preset.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { PUBLISHED_QUERIES = 100, TOKENS_PER_BLOCK = 16, PATTERN_WIDTH = 110 };

static const struct bench_method_result *find(const struct bench_result *result, const struct bench_method *method)
{
    for (int i = 0; i < result->num_methods; i++)
        if (result->methods[i].method == method)
            return &result->methods[i];
    return NULL;
}

static double ns_of(const struct bench_method_result *result, enum bench_op op)
{
    return result ? result->ns[op] : NAN;
}

/* The least of a column; NAN where it is empty. */
static double best_ns(const struct bench_result *result, enum bench_op op)
{
    double best = NAN;
    for (int i = 0; i < result->num_methods; i++)
        best = fmin(best, result->methods[i].ns[op]);
    return best;
}

static double best_bytes(const struct bench_result *result)
{
    double best = NAN;
    for (int i = 0; i < result->num_methods; i++)
        if (result->methods[i].measured)
            best = fmin(best, (double)result->methods[i].memory_bytes);
    return best;
}

static void print_cell(int width, const char *text, bool is_best)
{
    printf("%*s%s", width, text, is_best ? "*" : " ");
}

static void print_ns(int width, double ns, double best)
{
    print_cell(width, format_ns(ns).text, ns == best);
}

/* Bytes that were computed, not measured, stand behind a "~". */
static void print_bytes(int width, const struct bench_method_result *result, double best)
{
    char text[40] = "-";
    if (result->memory_bytes)
        snprintf(text, sizeof text, "%s%s", result->measured ? "" : "~", format_bytes((double)result->memory_bytes).text);
    print_cell(width, text, result->measured && (double)result->memory_bytes == best);
}

/* A column of the published table, which is not there where nothing was published. */
static void print_published(const struct bench_config *config, int width, const char *text)
{
    if (config->published)
        printf("%*s", width, text ? text : "");
}

/* ---------------------------------------------------------------- the published tables */

static void print_memory(const struct bench_config *config, const struct bench_result *result)
{
    const struct bench_published none = {0}, *published = config->published ? config->published : &none;
    double dense_bytes = (double)config->num_blocks * config->num_blocks, best = best_bytes(result);
    printf("\nMemory             bytes   dense/this");
    print_published(config, 13, "published");
    putchar('\n');
    for (int i = 0; i < result->num_methods; i++) {
        const struct bench_method_result *entry = &result->methods[i];
        const struct bench_method *method = entry->method;
        const char *theirs = method == &bench_dense      ? published->dense_bytes
                             : method == &bench_coo      ? published->coo_bytes
                             : method == &bench_croaring ? published->roaring_bytes
                                                         : NULL;
        printf("  %-10s", method->name);
        print_bytes(12, entry, best);
        printf("%12s", format_factor(entry->memory_bytes ? dense_bytes / (double)entry->memory_bytes : NAN).text);
        print_published(config, 13, theirs);
        putchar('\n');
    }
}

static void print_times(const struct bench_config *config, const struct bench_result *result,
                        const struct bench_method_result *entry, enum bench_op op)
{
    const struct bench_published none = {0}, *published = config->published ? config->published : &none;
    bool is_query = op == BENCH_QUERY;
    const char *dense = is_query ? published->dense_query : published->dense_intersection;
    const char *roaring = is_query ? published->roaring_query : published->roaring_intersection;
    double ns = entry->ns[op];
    print_ns(op == BENCH_QUERY ? 12 : 14, PUBLISHED_QUERIES * ns, PUBLISHED_QUERIES * best_ns(result, op));
    printf("%13s", format_factor(ns_of(find(result, &bench_dense), op) / ns).text);
    print_published(config, 12, entry->method == &bench_dense ? dense : entry->method == &bench_croaring ? roaring : NULL);
}

static void print_queries(const struct bench_config *config, const struct bench_result *result)
{
    static const char *const headers[] = {"100 queries", "100 intersects"};
    printf("\nRows      ");
    for (int i = 0; i < 2; i++) {
        printf("%*s%13s", i == 0 ? 14 : 15, headers[i], "dense/this");
        print_published(config, 12, "published");
    }
    putchar('\n');
    for (int i = 0; i < result->num_methods; i++) {
        printf("  %-10s", result->methods[i].method->name);
        print_times(config, result, &result->methods[i], BENCH_QUERY);
        print_times(config, result, &result->methods[i], BENCH_INTERSECTION);
        putchar('\n');
    }
}

/* ---------------------------------------------------------------- everything */

static void print_all(const struct bench_config *config, const struct bench_result *result)
{
    static const enum bench_op ops[] = {BENCH_BUILD_ROWS, BENCH_BUILD_FORMULA, BENCH_QUERY,
                                        BENCH_INTERSECTION, BENCH_MASK_AND, BENCH_EXPORT};
    printf("\nAll               bytes   build rows      formula    row query row intersect    mask AND       export\n");
    for (int i = 0; i < result->num_methods; i++) {
        const struct bench_method_result *entry = &result->methods[i];
        printf("  %-10s", entry->method->name);
        print_bytes(11, entry, best_bytes(result));
        for (size_t j = 0; j < sizeof ops / sizeof *ops; j++)
            print_ns(12, entry->ns[ops[j]], best_ns(result, ops[j]));
        putchar('\n');
    }
    printf("  %-10s%12s%77s\n", "memcpy", "", format_ns(result->memcpy_ns).text);
    printf("  * the best of its column; export and memcpy are all rows to CSR, and the same indices copied\n");
    if (config->published && config->published->dense_build)
        printf("  published build: dense %s, roaring %s\n", config->published->dense_build, config->published->roaring_build);
}

static void print_notes(const struct bench_result *result)
{
    if (result->entropy_bytes > 0) {
        printf("  entropy of the random part: %s", format_bytes(result->entropy_bytes).text);
        const struct bench_method_result *ours = find(result, &bench_roarmask);
        if (ours && ours->measured)
            printf(" (roarmask, with all the rest: %.2f times that)", (double)ours->memory_bytes / result->entropy_bytes);
        putchar('\n');
    }
    for (int i = 0; i < result->num_methods; i++)
        if (result->methods[i].note[0])
            printf("  %s: %s\n", result->methods[i].method->name, result->methods[i].note);
}

static void print_expression(const char *label, const char *expression)
{
    size_t length = strlen(expression);
    bool is_long = length > PATTERN_WIDTH;
    printf("  %-9s%.*s%s%s\n", label, PATTERN_WIDTH - (is_long ? 30 : 0), expression, is_long ? " ... " : "",
           is_long ? expression + length - 25 : "");
}

void report_tables(const struct bench_config *config, const struct bench_result *result)
{
    uint64_t tokens = (uint64_t)config->num_blocks * TOKENS_PER_BLOCK;
    printf("%s\n", config->preset ? config->preset : "roarmask bench");
    print_expression("pattern", config->expression);
    print_expression("other", config->other);
    printf("  grid     %s x %s blocks", format_count((uint64_t)config->num_blocks).text,
           format_count((uint64_t)config->num_blocks).text);
    printf(" (%s tokens at %d a block), %s cells", format_count(tokens).text, TOKENS_PER_BLOCK, format_count(result->nnz).text);
    printf(", density %s\n", format_percent(result->density).text);
    printf("  ran      %s\n", report_machine());
    printf("  checked  every method's answers, against %s\n", result->reference);
    print_memory(config, result);
    print_queries(config, result);
    print_all(config, result);
    print_notes(result);
}
