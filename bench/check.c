/* SPDX-License-Identifier: Apache-2.0
 * Answers are compared before anything is timed: a fast wrong answer is no answer. */
#include "cli.h"
#include "clock.h"
#include "heap.h"
#include "run.h"
#include "sorted.h"

#include <inttypes.h>
#include <string.h>

enum { SAMPLED_ROWS = 200, SAMPLED_CELLS = 20000 };

static const int32_t *row_of(const struct bench_csr *csr, int32_t row, size_t *count)
{
    *count = (size_t)(csr->indptr[row + 1] - csr->indptr[row]);
    return csr->indices + csr->indptr[row];
}

void check_source(struct run *run, const rmask *mask)
{
    const struct bench_csr *csr = &run->csr;
    if ((uint64_t)csr->indptr[csr->rows] != rmask_count(mask))
        cli_die(CLI_FAILED, "check failed: the rows have %" PRId64 " cells, the mask says %" PRIu64, csr->indptr[csr->rows],
                rmask_count(mask));
    for (int i = 0; i < SAMPLED_CELLS; i++) {
        size_t count;
        int32_t row = bench_random_below(&run->random, csr->rows);
        const int32_t *cols = row_of(csr, row, &count);
        /* Half of them beside a cell of the row, where the edges are. */
        int32_t col = bench_random_below(&run->random, csr->cols);
        if (i % 2 && count)
            col = cols[bench_random_below(&run->random, (int32_t)count)] + bench_random_below(&run->random, 3) - 1;
        size_t at = sorted_lower_bound(cols, count, col);
        if ((at < count && cols[at] == col) != rmask_contains(mask, row, col))
            cli_die(CLI_FAILED, "check failed: row %" PRId32 ", column %" PRId32 ": the row and the cell disagree", row, col);
    }
}

static void check_export(struct run *run, const struct run_subject *subject, const void *object,
                         const struct bench_csr *expected, const char *what)
{
    subject->method->to_csr(object, run->scratch.indptr, run->scratch.indices);
    for (int32_t row = 0; row < expected->rows; row++)
        if (run->scratch.indptr[row + 1] != expected->indptr[row + 1])
            cli_die(CLI_FAILED, "check failed: method %s, %s: row %" PRId32 " has %" PRId64 " cells instead of %" PRId64,
                    subject->method->name, what, row, run->scratch.indptr[row + 1] - expected->indptr[row],
                    expected->indptr[row + 1] - expected->indptr[row]);
    size_t total = (size_t)expected->indptr[expected->rows];
    if (memcmp(run->scratch.indices, expected->indices, total * sizeof(int32_t)) == 0)
        return;
    int32_t row = 0;
    for (size_t i = 0; i < total && run->scratch.indices[i] == expected->indices[i]; i++)
        while (expected->indptr[row + 1] <= (int64_t)i + 1)
            row++;
    cli_die(CLI_FAILED, "check failed: method %s, %s: row %" PRId32 " has other columns", subject->method->name, what, row);
}

/* The first and the last row, and random ones. */
static int32_t sampled_row(struct run *run, int i)
{
    return i == 0 ? 0 : i == 1 ? run->csr.rows - 1 : bench_random_below(&run->random, run->csr.rows);
}

static void compare_lists(const struct run *run, const struct run_subject *subject, const char *what, int32_t row,
                          size_t expected, size_t count)
{
    if (expected != count || memcmp(run->out[0], run->out[1], count * sizeof(int32_t)) != 0)
        cli_die(CLI_FAILED, "check failed: method %s, %s, row %" PRId32 ": %zu columns that are not the %zu of the reference",
                subject->method->name, what, row, count, expected);
}

static void check_rows(struct run *run, const struct run_subject *reference, const struct run_subject *subject)
{
    const struct bench_method *good = reference->method, *method = subject->method;
    for (int i = 0; i < SAMPLED_ROWS; i++) {
        int32_t row = sampled_row(run, i), with = sampled_row(run, 2 * i + 1);
        compare_lists(run, subject, "row query", row, good->row(reference->mask, row, run->out[0]),
                      method->row(subject->mask, row, run->out[1]));
        compare_lists(run, subject, "row intersection", row, good->row_and(reference->mask, row, with, run->out[0]),
                      method->row_and(subject->mask, row, with, run->out[1]));
    }
}

/* What the reference finds in both masks becomes both_csr. */
static void intersect_masks(struct run *run, const struct run_subject *reference)
{
    const struct bench_method *method = reference->method;
    void *other = method->build_rows(&run->other_csr);
    void *both = method->mask_and(reference->mask, other);
    method->release(other);
    method->to_csr(both, run->both_csr.indptr, run->both_csr.indices);
    method->release(both);
}

/* An object that was made for this check only. */
static void check_made(struct run *run, const struct run_subject *subject, void *object, const struct bench_csr *expected,
                       const char *what)
{
    check_export(run, subject, object, expected, what);
    subject->method->release(object);
}

static void check_round_trip(struct run *run, const struct run_subject *subject)
{
    const struct bench_method *method = subject->method;
    size_t num_bytes = method->serialized_bytes(subject->mask);
    void *buffer = bench_alloc(num_bytes);
    method->serialize(subject->mask, buffer);
    check_made(run, subject, method->deserialize(buffer, num_bytes), &run->csr, "round trip");
    bench_free(buffer);
}

static void check_subject(struct run *run, const struct run_subject *reference, const struct run_subject *subject)
{
    const struct bench_method *method = subject->method;
    bench_progress("%s: checking the answers of %s", run->label, method->name);
    check_export(run, subject, subject->mask, &run->csr, "export");
    check_rows(run, reference, subject);
    if (method->build_formula)
        check_made(run, subject, method->build_formula(run->config->expression, run->csr.rows, run->csr.cols), &run->csr,
                   "build from the formula");
    if (run->config->effort.round_trip)
        check_round_trip(run, subject);
    void *other = method->build_rows(&run->other_csr);
    check_made(run, subject, method->mask_and(subject->mask, other), &run->both_csr, "mask AND");
    method->release(other);
}

void check_against_reference(struct run *run, const struct bench_method *method)
{
    struct run_subject reference = {.method = method};
    bench_progress("%s: checking the answers against %s", run->label, method->name);
    reference.mask = method->build_rows(&run->csr);
    check_export(run, &reference, reference.mask, &run->csr, "export");
    intersect_masks(run, &reference);
    for (int i = 0; i < run->num_subjects; i++)
        check_subject(run, &reference, &run->subjects[i]);
    method->release(reference.mask);
}
