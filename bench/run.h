/* SPDX-License-Identifier: Apache-2.0
 * The state of a measurement, between measure.c, which leads, check.c and timing.c. */
#ifndef ROARMASK_BENCH_RUN_H
#define ROARMASK_BENCH_RUN_H

#include "measure.h"

#include <roarmask/roarmask.h>

enum { RUN_MAX_ROUNDS = 201 };

struct run_samples {
    double ns[RUN_MAX_ROUNDS]; /* per operation */
    int count;
    int repeats;     /* operations a round, so that a round is long beside the clock's own cost; 0 = not known yet */
    double total_ns; /* of whole rounds */
};

/* A method at work. */
struct run_subject {
    const struct bench_method *method;
    struct bench_method_result *result;
    void *mask, *other;
    void *buffer; /* for serialising, or NULL */
    bool is_large;
    struct run_samples samples[BENCH_NUM_OPS];
};

struct run {
    const struct bench_config *config;
    struct bench_result *result;
    const char *label;          /* for progress */
    struct bench_csr csr;       /* the mask */
    struct bench_csr other_csr; /* the other mask */
    struct bench_csr both_csr;  /* what the reference says is in both */
    struct bench_csr scratch;   /* exports go here */
    int32_t *rows;              /* two random rows for each query of a round */
    int32_t *out[2];            /* room for a row each */
    uint64_t random;
    int num_subjects;
    struct run_subject subjects[BENCH_NUM_METHODS];
};

/* check.c. All of these end the program with a message that names the method and the row when something differs. */

/* That csr says what `mask` says, asked in other ways. */
void check_source(struct run *run, const rmask *mask);
/* Builds the reference, and checks all that the subjects can do against it. Fills both_csr. */
void check_against_reference(struct run *run, const struct bench_method *reference);
/* timing.c */

/* Builds the subject's mask. If that took so long that it should not be done again just for a median, it is the sample. */
void *time_first_build(struct run *run, struct run_subject *subject);
/* Times an operation of several subjects in rounds, each of which gives every one of them a turn. */
void time_operation(struct run *run, struct run_subject *const *subjects, int num_subjects, enum bench_op op);
/* Times BENCH_EXPORT of all subjects together with the memcpy of the indices, which is returned. */
double time_exports(struct run *run, struct run_subject *const *subjects, int num_subjects);
#endif
