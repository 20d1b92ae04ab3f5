/* SPDX-License-Identifier: Apache-2.0
 * The suite `algebra`: masks reshaped and combined, beside the same on compressed sparse rows and, where it has the operation, CRoaring.
 * Every result is compared with that of compressed sparse rows before anything is timed. */
#include "csr_ops.h"
#include "format.h"
#include "heap.h"
#include "pattern.h"
#include "preset.h"
#include "race.h"
#include "report.h"
#include "suites.h"

#include "cli.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const preset_names[] = {"1m-structured", "1m", "1m-vertical-slash", "bigbird", "documents", "random-5"};
enum { NUM_PRESETS = sizeof preset_names / sizeof *preset_names, TILE = 8 };

/* A preset's masks in each representation. */
struct subject {
    const rmask *mask, *other;
    struct bench_csr csr, other_csr;
    void *bitmap, *other_bitmap; /* croaring2d; NULL where there is none */
    volatile uint64_t sink;
};

struct pair {
    void *first, *second;
};

static void die_unless(rmask_status status, const rmask_error *error) { cli_check(status, error, "algebra: "); }

static struct pair *new_pair(void *first, void *second)
{
    struct pair *pair = bench_alloc(sizeof *pair);
    *pair = (struct pair){first, second};
    return pair;
}

/* ---------------------------------------------------------------- operations */

/* The least that can be done with a mask: every word of it once. */
static void *read_bytes(void *context)
{
    struct subject *subject = context;
    size_t num_bytes;
    const uint64_t *words = rmask_data(subject->mask, &num_bytes);
    uint64_t sum = 0;
    for (size_t i = 0; i < num_bytes / 8; i++) sum += words[i];
    subject->sink = sum;
    return NULL;
}

/* Each of these makes a pair of masks (the second NULL but for coarsen), or of bench_csr. */
#define MASK_OP(name, call)                \
    static void *name(void *context)       \
    {                                      \
        const struct subject *s = context; \
        rmask *out = NULL, *second = NULL; \
        rmask_error error;                 \
        die_unless(call, &error);          \
        return new_pair(out, second);      \
    }
#define CSR_OP(name, call)                 \
    static void *name(void *context)       \
    {                                      \
        const struct subject *s = context; \
        return new_pair(call, NULL);       \
    }

MASK_OP(mask_transpose, rmask_transpose(s->mask, &out, &error))
CSR_OP(rows_transpose, csr_transpose(&s->csr))
MASK_OP(mask_slice,
        rmask_slice(s->mask, s->csr.rows / 4, s->csr.rows / 4 * 3, s->csr.cols / 4, s->csr.cols / 4 * 3, &out, &error))
CSR_OP(rows_slice, csr_slice(&s->csr, s->csr.rows / 4, s->csr.rows / 4 * 3, s->csr.cols / 4, s->csr.cols / 4 * 3))
MASK_OP(mask_shift, rmask_shift(s->mask, s->csr.rows / 10, s->csr.rows / 10, &out, &error))
CSR_OP(rows_shift, csr_shift(&s->csr, s->csr.rows / 10, s->csr.rows / 10))
MASK_OP(mask_coarsen, rmask_coarsen(s->mask, TILE, TILE, &out, &second, &error))
MASK_OP(mask_and, rmask_and(s->mask, s->other, &out, &error))
CSR_OP(rows_and, csr_combine(&s->csr, &s->other_csr, RMASK_AND))
MASK_OP(mask_or, rmask_or(s->mask, s->other, &out, &error))
CSR_OP(rows_or, csr_combine(&s->csr, &s->other_csr, RMASK_OR))
MASK_OP(mask_xor, rmask_xor(s->mask, s->other, &out, &error))
CSR_OP(rows_xor, csr_combine(&s->csr, &s->other_csr, RMASK_XOR))
MASK_OP(mask_and_not, rmask_and_not(s->mask, s->other, &out, &error))
CSR_OP(rows_and_not, csr_combine(&s->csr, &s->other_csr, RMASK_AND_NOT))

static void *rows_coarsen(void *context)
{
    const struct subject *s = context;
    struct bench_csr *any, *all;
    csr_coarsen(&s->csr, TILE, &any, &all);
    return new_pair(any, all);
}

static void *bitmap_and(void *context)
{
    const struct subject *s = context;
    return bench_croaring2d.mask_and(s->bitmap, s->other_bitmap);
}

static void let_go_of_masks(void *made)
{
    struct pair *pair = made;
    rmask_release(pair->first);
    rmask_release(pair->second);
    bench_free(pair);
}

static void let_go_of_rows(void *made)
{
    struct pair *pair = made;
    csr_release(pair->first);
    csr_release(pair->second);
    bench_free(pair);
}

static const struct operation {
    const char *key, *text;
    void *(*mask)(void *), *(*rows)(void *), *(*bitmap)(void *);
} operations[] = {
    {"transpose", "transpose", mask_transpose, rows_transpose, NULL},
    {"slice", "slice: the middle half of both sides", mask_slice, rows_slice, NULL},
    {"shift", "shift by a tenth along the diagonal", mask_shift, rows_shift, NULL},
    {"coarsen", "coarsen 8 x 8: any and all", mask_coarsen, rows_coarsen, NULL},
    {"and", "and", mask_and, rows_and, bitmap_and},
    {"or", "or", mask_or, rows_or, NULL},
    {"xor", "xor", mask_xor, rows_xor, NULL},
    {"andnot", "and not", mask_and_not, rows_and_not, NULL},
};
enum { NUM_OPERATIONS = sizeof operations / sizeof *operations };

/* ---------------------------------------------------------------- checking */

static struct bench_csr *export(const rmask *mask)
{
    struct bench_csr *csr = bench_alloc(sizeof *csr);
    rmask_error error;
    *csr = (struct bench_csr){rmask_rows(mask), rmask_cols(mask),
                              bench_alloc(((size_t)rmask_rows(mask) + 1) * sizeof *csr->indptr),
                              bench_alloc(((size_t)rmask_count(mask) + BENCH_SLACK) * sizeof *csr->indices)};
    die_unless(rmask_to_csr(mask, 0, csr->rows, csr->indptr, csr->indices, (size_t)rmask_count(mask), &error), &error);
    return csr;
}

static void compare(const char *preset, const char *operation, const rmask *mask, const struct bench_csr *wanted)
{
    if (!wanted) return;
    struct bench_csr *got = export(mask);
    if (got->rows != wanted->rows || got->cols != wanted->cols ||
        memcmp(got->indptr, wanted->indptr, ((size_t)got->rows + 1) * sizeof *got->indptr) != 0 ||
        memcmp(got->indices, wanted->indices, (size_t)got->indptr[got->rows] * sizeof *got->indices) != 0)
        cli_die(CLI_FAILED, "algebra: %s of %s is wrong", operation, preset);
    csr_release(got);
}

static void check(const struct bench_preset *preset, const struct operation *operation, struct subject *subject)
{
    struct pair *masks = operation->mask(subject), *rows = operation->rows(subject);
    compare(preset->name, operation->text, masks->first, rows->first);
    compare(preset->name, operation->text, masks->second, rows->second);
    let_go_of_masks(masks);
    let_go_of_rows(rows);
}

/* ---------------------------------------------------------------- a preset */

static rmask *parse(char *expression, int32_t num_blocks)
{
    rmask *mask;
    rmask_error error;
    die_unless(rmask_parse(expression, num_blocks, num_blocks, NULL, &mask, &error), &error);
    free(expression);
    return mask;
}

static void *make_bitmap(const struct bench_csr *csr)
{
    bool refuses = bench_croaring2d.refuses && bench_croaring2d.refuses(csr->rows, csr->cols);
    return refuses ? NULL : bench_croaring2d.build_rows(csr);
}

static json_t *measure_operation(const struct bench_preset *preset, const struct operation *operation, struct subject *subject,
                                 const struct bench_flags *flags, bool quiet)
{
    char label[96];
    snprintf(label, sizeof label, "algebra: %s of %s", operation->key, preset->name);
    bench_progress("%s: checking", label);
    check(preset, operation, subject);
    struct racer racers[4] = {
        {"reading", read_bytes, NULL, subject, NAN},
        {"roarmask", operation->mask, let_go_of_masks, subject, NAN},
        {"csr", operation->rows, let_go_of_rows, subject, NAN},
        {"croaring2d", operation->bitmap, bench_croaring2d.release, subject, NAN},
    };
    race(label, racers, operation->bitmap && subject->bitmap ? 4 : 3, flags->effort.min_seconds);
    double factor = racers[1].ns / racers[0].ns;
    if (!quiet)
        printf("  %-38s %12s %12s %12s %16s\n", operation->text, format_ns(racers[1].ns).text, format_ns(racers[2].ns).text,
               format_ns(racers[3].ns).text, format_factor(factor).text);
    return json_pack("{s:s, s:o, s:o, s:o, s:o}", "operation", operation->key, "roarmask_ns", report_ns(racers[1].ns), "csr_ns",
                     report_ns(racers[2].ns), "croaring2d_ns", report_ns(racers[3].ns), "reading_bytes_ns",
                     report_ns(racers[0].ns));
}

static json_t *measure(const struct bench_preset *preset, const struct bench_flags *flags, bool quiet)
{
    char *reseeded = bench_preset_expression(preset, flags->seed + 1);
    rmask *mask = parse(bench_preset_expression(preset, flags->seed), preset->num_blocks);
    rmask *other = parse(bench_pattern_widen(reseeded), preset->num_blocks);
    free(reseeded);
    struct bench_csr *csr = export(mask), *other_csr = export(other);
    struct subject subject = {.mask = mask,
                              .other = other,
                              .csr = *csr,
                              .other_csr = *other_csr,
                              .bitmap = make_bitmap(csr),
                              .other_bitmap = make_bitmap(other_csr)};
    size_t num_bytes;
    rmask_data(mask, &num_bytes);
    if (!quiet)
        printf("\n%s: %s; %s of mask\n  %-38s %12s %12s %12s %16s\n", preset->name, preset->summary,
               format_bytes((double)num_bytes).text, "", "roarmask", "csr", "croaring2d", "reading the mask");
    json_t *rows = json_array();
    for (int i = 0; i < NUM_OPERATIONS; i++)
        json_array_append_new(rows, measure_operation(preset, &operations[i], &subject, flags, quiet));
    if (subject.bitmap) {
        bench_croaring2d.release(subject.bitmap);
        bench_croaring2d.release(subject.other_bitmap);
    }
    csr_release(csr);
    csr_release(other_csr);
    rmask_release(mask);
    rmask_release(other);
    return json_pack("{s:s, s:I, s:o}", "preset", preset->name, "num_bytes", (json_int_t)num_bytes, "operations", rows);
}

/* ---------------------------------------------------------------- token-exact */

enum { TOKENS = 1 << 20, TOKEN_TILE = 128 };
static const char *const token_pattern = "causal & (sink(4) | window(4096))";

static void *coarsen_tokens(void *context)
{
    rmask *any, *all;
    rmask_error error;
    die_unless(rmask_coarsen(context, TOKEN_TILE, TOKEN_TILE, &any, &all, &error), &error);
    return new_pair(any, all);
}

/* The number of tiles with a cell, and of tiles full of cells, from the definition of the pattern: row r has the columns below 4 and
 * those from r - 4095 to r. */
static void check_tokens(const struct pair *made)
{
    uint64_t num_any = 0, num_all = 0;
    for (int64_t tile = 0; tile < TOKENS / TOKEN_TILE; tile++) {
        int64_t first = tile * TOKEN_TILE, last = first + TOKEN_TILE - 1, leftmost = first - 4095 > 0 ? first - 4095 : 0;
        int64_t full_from = (last - 4095 > 0 ? last - 4095 : 0) + TOKEN_TILE - 1;
        num_any += (uint64_t)(tile - leftmost / TOKEN_TILE + 1) + (leftmost >= TOKEN_TILE);
        num_all += (uint64_t)(tile - full_from / TOKEN_TILE);
    }
    if (rmask_count(made->first) != num_any || rmask_count(made->second) != num_all)
        cli_die(CLI_FAILED, "algebra: the token-exact mask has wrong tiles");
}

static json_t *measure_tokens(const struct bench_flags *flags, bool quiet)
{
    rmask *mask = parse(bench_pattern_format("%s", token_pattern), TOKENS);
    struct pair *made = coarsen_tokens(mask);
    check_tokens(made);
    struct racer racer = {"coarsen", coarsen_tokens, let_go_of_masks, mask, NAN};
    race("algebra: token-exact", &racer, 1, flags->effort.min_seconds);
    if (!quiet)
        printf("\n%s, token-exact, %s x %s, to tiles of 128 x 128: any (%s tiles) and all (%s) in %s\n", token_pattern,
               format_count(TOKENS).text, format_count(TOKENS).text, format_count(rmask_count(made->first)).text,
               format_count(rmask_count(made->second)).text, format_ns(racer.ns).text);
    json_t *object = json_pack("{s:s, s:i, s:i, s:I, s:I, s:o}", "pattern", token_pattern, "tokens", TOKENS, "tile", TOKEN_TILE,
                               "any", (json_int_t)rmask_count(made->first), "all", (json_int_t)rmask_count(made->second), "ns",
                               report_ns(racer.ns));
    let_go_of_masks(made);
    rmask_release(mask);
    return object;
}

json_t *suite_algebra(const struct bench_flags *flags, bool quiet)
{
    json_t *list = json_array();
    if (!quiet)
        printf("algebra: masks reshaped and combined; results checked against csr, `reading the mask` is all its bytes once\n  "
               "%s\n",
               report_machine());
    for (int i = 0; i < bench_num_presets; i++)
        for (int j = 0; j < NUM_PRESETS; j++)
            if (strcmp(bench_presets[i].name, preset_names[j]) == 0)
                json_array_append_new(list, measure(&bench_presets[i], flags, quiet));
    json_t *object = json_pack("{s:s, s:I, s:o, s:o}", "suite", "algebra", "seed", (json_int_t)flags->seed, "presets", list,
                               "token_exact", measure_tokens(flags, quiet));
    report_add_machine(object);
    return object;
}
