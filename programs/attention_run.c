/* SPDX-License-Identifier: Apache-2.0
 *
 * One problem of attention: its tensors, the two runs in turns, the check. */
#include "attention_run.h"

#include "clock.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SAMPLED_ROWS = 12, LEAST_ROUNDS = 3, MOST_SECONDS = 20 };

struct tensors {
    const struct attention_problem *problem;
    rmask_attention_args args;
    rmask_attention_sequence sequence;
    int32_t *pages;
    float *row; /* one token of the reference */
};

static size_t dtype_bytes(rmask_dtype dtype) { return dtype == RMASK_FLOAT32 ? 4 : 2; }

double attention_error_limit(rmask_dtype dtype)
{
    return dtype == RMASK_FLOAT32 ? 2e-5 : dtype == RMASK_BFLOAT16 ? 2e-2 : 4e-3;
}

/* ---------------------------------------------------------------- numbers */

/* n / 512 as float16, |n| < 1024. */
static uint16_t half_of(int32_t n)
{
    unsigned magnitude = (unsigned)(n < 0 ? -n : n), exponent = 0;
    if (magnitude == 0) return 0;
    while (magnitude >> (exponent + 1) != 0) exponent++;
    return (uint16_t)((n < 0 ? 0x8000u : 0) | (exponent + 6) << 10 | ((magnitude << (10 - exponent)) & 0x3ff));
}

static uint16_t bfloat16_of(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return (uint16_t)(bits >> 16);
}

static double number_at(const void *data, size_t index, rmask_dtype dtype)
{
    if (dtype == RMASK_FLOAT32) return (double)((const float *)data)[index];
    uint16_t narrow = ((const uint16_t *)data)[index];
    if (dtype == RMASK_BFLOAT16) {
        uint32_t bits = (uint32_t)narrow << 16;
        float x;
        memcpy(&x, &bits, sizeof x);
        return (double)x;
    }
    int exponent = narrow >> 10 & 31, fraction = narrow & 0x3ff;
    double x = exponent == 31 ? (fraction != 0 ? NAN : INFINITY)
               : exponent > 0 ? ldexp(1024 + fraction, exponent - 25)
                              : ldexp(fraction, -24);
    return (narrow & 0x8000) != 0 ? -x : x;
}

/* Uniform from -2 to 2. */
static void *random_numbers(size_t count, rmask_dtype dtype, uint64_t *state)
{
    void *data = cli_alloc(count, dtype_bytes(dtype));
    for (size_t i = 0; i < count; i++) {
        int32_t n = bench_random_below(state, 1 << 22) - (1 << 21);
        float x = (float)n * 0x1p-20f;
        if (dtype == RMASK_FLOAT32)
            ((float *)data)[i] = x;
        else
            ((uint16_t *)data)[i] = dtype == RMASK_BFLOAT16 ? bfloat16_of(x) : half_of(n / 2049);
    }
    return data;
}

/* ---------------------------------------------------------------- tensors */

/* Pages of (kv_heads, keys then values, page_tokens, head_dim), in random order. */
static void create_pages(struct tensors *t, uint64_t *state)
{
    const struct attention_problem *problem = t->problem;
    int64_t size = problem->page_tokens, dim = problem->head_dim;
    int32_t num_pages = (int32_t)((problem->tokens + size - 1) / size);
    t->pages = cli_alloc((size_t)num_pages, sizeof *t->pages);
    for (int32_t i = 0; i < num_pages; i++) {
        int32_t j = bench_random_below(state, i + 1);
        t->pages[i] = t->pages[j];
        t->pages[j] = i;
    }
    size_t count = (size_t)num_pages * (size_t)problem->kv_heads * 2 * (size_t)size * (size_t)dim;
    rmask_tensor cache = {random_numbers(count, problem->dtype, state),
                          problem->dtype,
                          problem->kv_heads * 2 * size * dim,
                          dim,
                          2 * size * dim,
                          1};
    t->args.key = t->args.value = cache;
    t->args.value.data = (char *)cache.data + (size_t)(size * dim) * dtype_bytes(problem->dtype);
    t->args.page_tokens = problem->page_tokens;
    t->args.num_pages = num_pages;
    t->sequence.pages = t->pages;
}

static void create(struct tensors *t, const struct attention_problem *problem)
{
    uint64_t state = 42;
    const int32_t queries = problem->decode ? 1 : problem->tokens;
    const int64_t dim = problem->head_dim, row = problem->heads * dim, kv_row = problem->kv_heads * dim;
    memset(t, 0, sizeof *t);
    t->problem = problem;
    t->sequence = (rmask_attention_sequence){
        .num_queries = queries, .first_position = -1, .num_keys = problem->tokens, .masks = &problem->mask};
    t->args = (rmask_attention_args){
        .query = {random_numbers((size_t)queries * (size_t)row, problem->dtype, &state), problem->dtype, 0, row, dim, 1},
        .out = {cli_alloc((size_t)queries * (size_t)row, dtype_bytes(problem->dtype)), problem->dtype, 0, row, dim, 1},
        .num_heads = problem->heads,
        .num_kv_heads = problem->kv_heads,
        .head_dim = problem->head_dim,
        .sequences = &t->sequence,
        .num_sequences = 1,
        .block_queries = problem->block,
        .block_keys = problem->block,
        .causal = true,
        .num_threads = problem->threads,
    };
    t->row = cli_alloc((size_t)row, sizeof *t->row);
    if (problem->page_tokens > 0) {
        create_pages(t, &state);
        return;
    }
    t->args.key = (rmask_tensor){
        random_numbers((size_t)problem->tokens * (size_t)kv_row, problem->dtype, &state), problem->dtype, 0, kv_row, dim, 1};
    t->args.value = t->args.key;
    t->args.value.data = random_numbers((size_t)problem->tokens * (size_t)kv_row, problem->dtype, &state);
}

static void destroy(struct tensors *t)
{
    free(t->args.query.data);
    free(t->args.out.data);
    free(t->args.key.data);
    if (t->pages == NULL) free(t->args.value.data);
    free(t->pages);
    free(t->row);
}

static void use_mask(struct tensors *t, bool sparse) { t->sequence.num_masks = sparse ? 1 : 0; }

/* ---------------------------------------------------------------- the check */

/* The error of the first, the last and some queries between. */
static double check(struct tensors *t)
{
    const struct attention_problem *problem = t->problem;
    const rmask_attention_sequence whole = t->sequence;
    const int32_t first_position = whole.num_keys - whole.num_queries;
    uint64_t state = 7;
    double worst = 0;
    for (int sample = 0; sample < SAMPLED_ROWS && sample < whole.num_queries; sample++) {
        const int32_t query = sample == 0   ? whole.num_queries - 1
                              : sample == 1 ? 0
                                            : bench_random_below(&state, whole.num_queries);
        rmask_attention_sequence one = whole;
        one.query_token = query;
        one.num_queries = 1;
        one.first_position = first_position + query;
        rmask_attention_args args = t->args;
        args.sequences = &one;
        args.method = RMASK_ATTENTION_REFERENCE;
        args.out = (rmask_tensor){t->row, RMASK_FLOAT32, 0, 0, problem->head_dim, 1}; /* every token at the same place */
        rmask_error error;
        cli_check(rmask_attention(&args, &error), &error, NULL);
        cli_progress("checked row", (uint64_t)sample, SAMPLED_ROWS);
        for (int32_t head = 0; head < problem->heads; head++) {
            double largest = 0, difference = 0;
            for (int32_t d = 0; d < problem->head_dim; d++) {
                const size_t at = (size_t)head * (size_t)problem->head_dim + (size_t)d;
                const double wanted = (double)t->row[at];
                const double got =
                    number_at(t->args.out.data, (size_t)query * (size_t)t->args.out.token_stride + at, problem->dtype);
                largest = fmax(largest, fabs(wanted));
                difference = isnan(got) ? INFINITY : fmax(difference, fabs(got - wanted));
            }
            if (difference > 0) worst = fmax(worst, difference / largest);
        }
    }
    return worst;
}

/* ---------------------------------------------------------------- the runs */

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, int count)
{
    qsort(values, (size_t)count, sizeof *values, compare_doubles);
    return (values[(count - 1) / 2] + values[count / 2]) / 2;
}

static double run_once(struct tensors *t)
{
    rmask_error error;
    double begin = bench_now_ns();
    rmask_status status = rmask_attention(&t->args, &error);
    double taken = bench_now_ns() - begin;
    cli_check(status, &error, NULL);
    return taken / 1e6;
}

static void count_work(struct tensors *t, struct attention_figures *figures)
{
    rmask_error error;
    cli_check(rmask_attention_count(&t->args, &figures->work, &error), &error, NULL);
}

struct attention_result attention_run(const struct attention_problem *problem)
{
    struct attention_result result = {0};
    struct attention_figures *const figures[2] = {&result.dense, &result.sparse};
    struct tensors t;
    create(&t, problem);
    result.peak_gflops = rmask_attention_peak_flops() / 1e9;

    /* The first run of each finds cold memory; its result is what is checked. */
    for (int sparse = 0; sparse < 2; sparse++) {
        use_mask(&t, sparse);
        count_work(&t, figures[sparse]);
        run_once(&t);
        figures[sparse]->max_error = check(&t);
    }
    double *times[2] = {cli_alloc((size_t)problem->rounds, sizeof(double)), cli_alloc((size_t)problem->rounds, sizeof(double))};
    const double begin = bench_now_ns();
    cli_progress("round", 0, (uint64_t)problem->rounds);
    while (result.rounds < problem->rounds && (result.rounds < LEAST_ROUNDS || bench_now_ns() - begin < MOST_SECONDS * 1e9)) {
        for (int sparse = 0; sparse < 2; sparse++) {
            use_mask(&t, sparse);
            times[sparse][result.rounds] = run_once(&t);
        }
        result.rounds++;
        cli_progress("round", (uint64_t)result.rounds, (uint64_t)problem->rounds);
    }
    /* The clock may have been slower the first time. */
    result.peak_gflops = fmax(result.peak_gflops, rmask_attention_peak_flops() / 1e9) * problem->threads;
    for (int sparse = 0; sparse < 2; sparse++) {
        figures[sparse]->ms = median(times[sparse], result.rounds);
        figures[sparse]->gflops =
            4.0 * (double)figures[sparse]->work.visible_pairs * problem->head_dim / figures[sparse]->ms / 1e6;
        free(times[sparse]);
    }
    destroy(&t);
    return result;
}
