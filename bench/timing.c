/* SPDX-License-Identifier: Apache-2.0
 * Rounds, samples and medians. Within a round every method has its turn, so that whatever slows the machine slows them all. */
#include "clock.h"
#include "heap.h"
#include "run.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MIN_ROUND_NS = 20000, MAX_REPEATS = 1000 };

/* What reading the clock twice adds to an interval. */
static double clock_cost_ns(void)
{
    static double cost;
    for (int i = 0; i < 1000 && cost == 0; i++) {
        double least = 1e9;
        for (int j = 0; j < 1000; j++) {
            double begin = bench_now_ns(), taken = bench_now_ns() - begin;
            least = taken > 0 && taken < least ? taken : least;
        }
        cost = least;
    }
    return cost;
}

double bench_since_ns(double begin)
{
    double taken = bench_now_ns() - begin - clock_cost_ns();
    return taken > 0 ? taken : 0;
}

/* ---------------------------------------------------------------- one round of one method */

static void *create_object(const struct run *run, const struct run_subject *subject, enum bench_op op)
{
    const struct bench_method *method = subject->method;
    switch (op) {
    case BENCH_BUILD_ROWS:
        return method->build_rows(&run->csr);
    case BENCH_BUILD_FORMULA:
        return method->build_formula(run->config->expression, run->csr.rows, run->csr.cols);
    case BENCH_MASK_AND:
        return method->mask_and(subject->mask, subject->other);
    default:
        method->serialize(subject->mask, subject->buffer);
        return method->deserialize(subject->buffer, subject->result->serialized_bytes);
    }
}

/* Letting go of the objects is not part of it. */
static double time_creation(const struct run *run, const struct run_subject *subject, enum bench_op op)
{
    double taken = 0;
    for (int i = 0; i < subject->samples[op].repeats; i++) {
        double begin = bench_now_ns();
        void *object = create_object(run, subject, op);
        taken += bench_since_ns(begin);
        subject->method->release(object);
    }
    return taken / subject->samples[op].repeats;
}

static double time_queries(const struct run *run, const struct run_subject *subject)
{
    int32_t queries = run->config->effort.queries;
    double begin = bench_now_ns();
    for (int32_t i = 0; i < queries; i++)
        subject->method->row(subject->mask, run->rows[2 * i], run->out[0]);
    return bench_since_ns(begin) / queries;
}

static double time_intersections(const struct run *run, const struct run_subject *subject)
{
    int32_t queries = run->config->effort.queries;
    double begin = bench_now_ns();
    for (int32_t i = 0; i < queries; i++)
        subject->method->row_and(subject->mask, run->rows[2 * i], run->rows[2 * i + 1], run->out[0]);
    return bench_since_ns(begin) / queries;
}

static double time_export(const struct run *run, const struct run_subject *subject)
{
    double begin = bench_now_ns();
    for (int i = 0; i < subject->samples[BENCH_EXPORT].repeats; i++)
        subject->method->to_csr(subject->mask, run->scratch.indptr, run->scratch.indices);
    return bench_since_ns(begin) / subject->samples[BENCH_EXPORT].repeats;
}

static double time_once(const struct run *run, const struct run_subject *subject, enum bench_op op)
{
    switch (op) {
    case BENCH_QUERY:
        return time_queries(run, subject);
    case BENCH_INTERSECTION:
        return time_intersections(run, subject);
    case BENCH_EXPORT:
        return time_export(run, subject);
    default:
        return time_creation(run, subject, op);
    }
}

/* ---------------------------------------------------------------- rounds */

static void take_sample(struct run *run, struct run_subject *subject, enum bench_op op)
{
    struct run_samples *samples = &subject->samples[op];
    if (samples->repeats == 0) {
        samples->repeats = 1;
        double ns = time_once(run, subject, op);
        samples->repeats = ns * MAX_REPEATS > MIN_ROUND_NS ? 1 + (int)(MIN_ROUND_NS / ns) : MAX_REPEATS;
        /* A first time that is long enough is a sample like any other. */
        if (samples->repeats == 1) {
            samples->ns[samples->count++] = ns;
            samples->total_ns += ns;
            return;
        }
    }
    double begin = bench_now_ns();
    samples->ns[samples->count++] = time_once(run, subject, op);
    samples->total_ns += bench_now_ns() - begin;
}

static bool wants_more(const struct run_samples *samples, const struct bench_effort *effort)
{
    if (samples->count == 0)
        return true;
    if (samples->count == RUN_MAX_ROUNDS || samples->total_ns >= effort->max_seconds * 1e9)
        return false;
    return samples->count < effort->min_rounds || samples->total_ns < effort->min_seconds * 1e9;
}

/* Fresh rows each round, the same ones for every method: no method lives off rows that its caches still hold. */
static void draw_rows(struct run *run)
{
    for (int32_t i = 0; i < 2 * run->config->effort.queries; i++)
        run->rows[i] = bench_random_below(&run->random, run->csr.rows);
}

void time_operation(struct run *run, struct run_subject *const *subjects, int num_subjects, enum bench_op op)
{
    bool again = true;
    for (int round = 0; again; round++) {
        again = false;
        draw_rows(run);
        for (int i = 0; i < num_subjects; i++) {
            /* The first in a round starts with colder caches than the others: each has its turn at that too. */
            struct run_subject *subject = subjects[(i + round) % num_subjects];
            struct run_samples *samples = &subject->samples[op];
            if (!wants_more(samples, &run->config->effort))
                continue;
            bench_progress("%s: timing %s of %s", run->label, bench_op_names[op], subject->method->name);
            take_sample(run, subject, op);
            again |= wants_more(samples, &run->config->effort);
        }
    }
    for (int i = 0; i < num_subjects; i++)
        if (subjects[i]->result)
            subjects[i]->result->ns[op] = bench_median(subjects[i]->samples[op].ns, subjects[i]->samples[op].count);
}

void *time_first_build(struct run *run, struct run_subject *subject)
{
    struct run_samples *samples = &subject->samples[BENCH_BUILD_ROWS];
    double begin = bench_now_ns();
    void *mask = subject->method->build_rows(&run->csr);
    double taken = bench_since_ns(begin);
    if (taken >= run->config->effort.max_seconds * 1e9) {
        samples->repeats = samples->count = 1;
        samples->ns[0] = samples->total_ns = taken;
    }
    return mask;
}

static void copy_indices(const void *mask, int64_t *indptr, int32_t *indices)
{
    const struct bench_csr *csr = mask;
    (void)indptr;
    memcpy(indices, csr->indices, (size_t)csr->indptr[csr->rows] * sizeof *indices);
}

double time_exports(struct run *run, struct run_subject *const *subjects, int num_subjects)
{
    static const struct bench_method method = {.name = "memcpy", .to_csr = copy_indices};
    struct run_subject memory = {.method = &method, .mask = &run->csr};
    struct run_subject *all[BENCH_NUM_METHODS + 1] = {&memory};
    memcpy(all + 1, subjects, (size_t)num_subjects * sizeof *all);
    time_operation(run, all, num_subjects + 1, BENCH_EXPORT);
    return bench_median(memory.samples[BENCH_EXPORT].ns, memory.samples[BENCH_EXPORT].count);
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double bench_median(double *values, int count)
{
    if (count == 0)
        return NAN;
    qsort(values, (size_t)count, sizeof *values, compare_doubles);
    return (values[count / 2] + values[(count - 1) / 2]) / 2;
}
