/* SPDX-License-Identifier: Apache-2.0
 * The course of a measurement: the rows, what fits, build, check, time. */
#include "measure.h"

#include "cli.h"
#include "heap.h"
#include "pattern.h"
#include "run.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const bench_op_keys[BENCH_NUM_OPS] = {
    "build_rows_ns", "build_formula_ns", "query_ns", "intersection_ns", "mask_and_ns", "export_ns", "round_trip_ns",
};
const char *const bench_op_names[BENCH_NUM_OPS] = {
    "build rows", "build formula", "row query", "row intersection", "mask AND", "export", "round trip",
};

/* Past this many blocks a byte a cell is too much to check against. */
enum { MAX_DENSE_REFERENCE = 20000 };

static const double memory_share = 0.7; /* of what is available, for everything */
static const double gib = 1024.0 * 1024 * 1024;

/* ---------------------------------------------------------------- the rows */

static struct bench_csr csr_create(int32_t rows, int32_t cols, size_t count)
{
    return (struct bench_csr){
        .rows = rows,
        .cols = cols,
        .indptr = bench_alloc(((size_t)rows + 1) * sizeof(int64_t)),
        .indices = bench_alloc((count + BENCH_SLACK) * sizeof(int32_t)),
    };
}

static void csr_release(struct bench_csr *csr)
{
    bench_free(csr->indptr);
    bench_free(csr->indices);
}

static rmask *parse(const char *expression, int32_t num_blocks)
{
    rmask *mask;
    rmask_error error;
    cli_check(rmask_parse(expression, num_blocks, num_blocks, NULL, &mask, &error), &error, NULL);
    return mask;
}

static struct bench_csr csr_of(const rmask *mask)
{
    rmask_error error;
    size_t count = (size_t)rmask_count(mask);
    struct bench_csr csr = csr_create(rmask_rows(mask), rmask_cols(mask), count);
    cli_check(rmask_to_csr(mask, 0, csr.rows, csr.indptr, csr.indices, count + BENCH_SLACK, &error), &error, NULL);
    return csr;
}

/* Two masks, what is in both, and the buffer for exports. Returns what is left of the memory for the methods. */
static double make_rows(struct run *run)
{
    const struct bench_config *config = run->config;
    double budget = memory_share * (double)bench_available_bytes();
    rmask *mask = parse(config->expression, config->num_blocks), *other = parse(config->other, config->num_blocks);
    uint64_t most = rmask_count(mask) > rmask_count(other) ? rmask_count(mask) : rmask_count(other);
    double needed = 4.0 * ((double)most * sizeof(int32_t) + (double)config->num_blocks * sizeof(int64_t));
    if (needed > budget)
        cli_die(CLI_FAILED, "the pattern has %" PRIu64 " cells: their rows alone need %.1f GiB of the %.1f GiB that are left; "
                "use fewer blocks or a sparser pattern", most, needed / gib, budget / gib);
    run->result->nnz = rmask_count(mask);
    run->result->density = rmask_density(mask);
    run->result->entropy_bytes = bench_pattern_entropy_bytes(config->expression, mask);
    run->csr = csr_of(mask);
    run->other_csr = csr_of(other);
    run->both_csr = csr_create(run->csr.rows, run->csr.cols, (size_t)most);
    run->scratch = csr_create(run->csr.rows, run->csr.cols, (size_t)most);
    check_source(run, mask);
    rmask_release(mask);
    rmask_release(other);
    return budget - needed;
}

/* ---------------------------------------------------------------- what fits */

/* Every method's mask lives through all of the timing, its other mask and the result only while mask AND is timed: for large
 * ones one method at a time, for all others together. */
static double peak_bytes(const struct run *run, double budget)
{
    double masks = 0, small = 0, large = 0;
    for (int i = 0; i < run->num_subjects; i++) {
        double num_bytes = (double)run->subjects[i].result->memory_bytes;
        masks += num_bytes;
        if (num_bytes <= budget / 16)
            small += 2 * num_bytes;
        else if (2 * num_bytes > large)
            large = 2 * num_bytes;
    }
    return masks + (small > large ? small : large);
}

static void note(struct bench_method_result *result, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void note(struct bench_method_result *result, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(result->note, sizeof result->note, format, arguments);
    va_end(arguments);
}

static void admit(struct run *run, struct bench_method_result *result, double budget)
{
    struct run_subject *subject = &run->subjects[run->num_subjects];
    *subject = (struct run_subject){.method = result->method, .result = result};
    subject->is_large = (double)result->memory_bytes > budget / 16;
    run->num_subjects++;
    if (peak_bytes(run, budget) <= budget)
        return;
    run->num_subjects--;
    note(result, "does not fit: mask, other mask and result are %.1f GiB, and %.1f GiB are left for all methods together",
         3 * (double)result->memory_bytes / gib, budget / gib);
}

static int compare_sizes(const void *a, const void *b)
{
    size_t x = (*(struct bench_method_result *const *)a)->memory_bytes;
    size_t y = (*(struct bench_method_result *const *)b)->memory_bytes;
    return (x > y) - (x < y);
}

/* Small methods first, so that one giant does not push out the others. */
static void plan_subjects(struct run *run, double budget)
{
    struct bench_result *result = run->result;
    struct bench_method_result *order[BENCH_NUM_METHODS];
    int num_ordered = 0;
    for (int i = 0; i < BENCH_NUM_METHODS; i++) {
        if (!(run->config->methods >> i & 1))
            continue;
        struct bench_method_result *entry = &result->methods[result->num_methods++];
        *entry = (struct bench_method_result){.method = bench_methods[i]};
        for (int op = 0; op < BENCH_NUM_OPS; op++)
            entry->ns[op] = NAN;
        const char *reason = entry->method->refuses ? entry->method->refuses(run->csr.rows, run->csr.cols) : NULL;
        if (reason) {
            note(entry, "%s", reason);
            continue;
        }
        entry->memory_bytes = entry->method->estimate_bytes(&run->csr);
        order[num_ordered++] = entry;
    }
    qsort(order, (size_t)num_ordered, sizeof *order, compare_sizes);
    for (int i = 0; i < num_ordered; i++)
        admit(run, order[i], budget);
    bench_heap_warm((size_t)peak_bytes(run, budget));
}

static const struct bench_method *choose_reference(const struct run *run, double budget)
{
    if (run->csr.rows <= MAX_DENSE_REFERENCE)
        return &bench_dense;
    return 2.0 * (double)bench_bitset.estimate_bytes(&run->csr) < budget / 2 ? &bench_bitset : &bench_csr;
}

/* ---------------------------------------------------------------- build, check, time */

static void build_subject(struct run *run, struct run_subject *subject)
{
    struct bench_method_result *result = subject->result;
    bench_progress("%s: building %s", run->label, subject->method->name);
    size_t before = bench_live_bytes();
    subject->mask = time_first_build(run, subject);
    result->memory_bytes = bench_live_bytes() - before;
    result->measured = true;
    result->serialized_bytes = subject->method->serialized_bytes(subject->mask);
    if (!subject->method->build_formula)
        return;
    before = bench_live_bytes();
    void *object = subject->method->build_formula(run->config->expression, run->csr.rows, run->csr.cols);
    result->formula_bytes = bench_live_bytes() - before;
    subject->method->release(object);
}

/* The other masks live only in here. */
static void time_mask_and(struct run *run, struct run_subject *const *subjects, int num_subjects)
{
    for (int i = 0; i < num_subjects; i++) {
        struct run_subject *subject = subjects[i];
        bench_progress("%s: building the other mask of %s", run->label, subject->method->name);
        subject->other = subject->method->build_rows(&run->other_csr);
    }
    time_operation(run, subjects, num_subjects, BENCH_MASK_AND);
    for (int i = 0; i < num_subjects; i++)
        subjects[i]->method->release(subjects[i]->other);
}

static void time_round_trip(struct run *run, struct run_subject *subject)
{
    subject->buffer = bench_alloc(subject->result->serialized_bytes);
    time_operation(run, &subject, 1, BENCH_ROUND_TRIP);
    bench_free(subject->buffer);
}

/* The subjects for which `wanted` is true. Returns their number. */
static int select_subjects(struct run *run, struct run_subject **selected, bool (*wanted)(const struct run_subject *subject))
{
    int count = 0;
    for (int i = 0; i < run->num_subjects; i++)
        if (wanted(&run->subjects[i]))
            selected[count++] = &run->subjects[i];
    return count;
}

static bool is_any(const struct run_subject *subject)
{
    return subject != NULL;
}

static bool is_small(const struct run_subject *subject)
{
    return !subject->is_large;
}

static bool has_formula(const struct run_subject *subject)
{
    return subject->method->build_formula != NULL;
}

static void time_subjects(struct run *run)
{
    struct run_subject *some[BENCH_NUM_METHODS];
    int count = select_subjects(run, some, is_any);
    time_operation(run, some, count, BENCH_QUERY);
    time_operation(run, some, count, BENCH_INTERSECTION);
    time_operation(run, some, count, BENCH_BUILD_ROWS);
    run->result->memcpy_ns = time_exports(run, some, count);
    count = select_subjects(run, some, has_formula);
    time_operation(run, some, count, BENCH_BUILD_FORMULA);
    count = select_subjects(run, some, is_small);
    time_mask_and(run, some, count);
    for (int i = 0; i < run->num_subjects; i++) {
        struct run_subject *subject = &run->subjects[i];
        if (subject->is_large)
            time_mask_and(run, &subject, 1);
        if (run->config->effort.round_trip)
            time_round_trip(run, subject);
    }
}

void bench_measure(const struct bench_config *config, struct bench_result *result)
{
    struct run *run = bench_alloc_zeroed(1, sizeof *run);
    *result = (struct bench_result){0};
    run->config = config;
    run->result = result;
    run->label = config->preset ? config->preset : "measuring";
    run->random = config->seed;
    bench_progress("%s: making the rows", run->label);
    double budget = make_rows(run);
    run->rows = bench_alloc((size_t)config->effort.queries * 2 * sizeof *run->rows);
    for (int i = 0; i < 2; i++)
        run->out[i] = bench_alloc(((size_t)run->csr.cols + BENCH_SLACK) * sizeof(int32_t));

    plan_subjects(run, budget);
    for (int i = 0; i < run->num_subjects; i++)
        build_subject(run, &run->subjects[i]);
    const struct bench_method *reference = choose_reference(run, budget);
    result->reference = reference->name;
    check_against_reference(run, reference);
    time_subjects(run);

    for (int i = 0; i < run->num_subjects; i++)
        run->subjects[i].method->release(run->subjects[i].mask);
    for (int i = 0; i < 2; i++)
        bench_free(run->out[i]);
    bench_free(run->rows);
    csr_release(&run->csr);
    csr_release(&run->other_csr);
    csr_release(&run->both_csr);
    csr_release(&run->scratch);
    bench_free(run);
}
