/* SPDX-License-Identifier: Apache-2.0
 *
 * What `roarmask attention` measures: one problem of random numbers, run dense and with a mask in turns, and held against the
 * library's reference. */
#ifndef ROARMASK_PROGRAMS_ATTENTION_RUN_H
#define ROARMASK_PROGRAMS_ATTENTION_RUN_H

#include "cli.h"

#include <roarmask/attention.h>

struct attention_problem {
    int32_t tokens; /* keys; and queries, unless `decode` */
    int32_t heads, kv_heads, head_dim, block, threads;
    int32_t page_tokens; /* 0: contiguous keys */
    int rounds;
    rmask_dtype dtype;
    bool decode; /* one query, the last token */
    const rmask *mask;
};

struct attention_figures {
    double ms;        /* median over the rounds */
    double gflops;    /* of the pairs that are visible: two products of head_dim multiplications and additions for each */
    double max_error; /* the largest difference from the reference in the sampled rows, over the row's largest number */
    rmask_attention_work work;
};

struct attention_result {
    struct attention_figures dense, sparse;
    double peak_gflops; /* of one core, times the threads */
    int rounds;
};

/* What max_error may be for numbers of this kind. */
double attention_error_limit(rmask_dtype dtype);

/* Dies where the problem makes no sense or memory runs out. */
struct attention_result attention_run(const struct attention_problem *problem);

#endif
