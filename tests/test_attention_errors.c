/* SPDX-License-Identifier: Apache-2.0
 * What attention refuses, with its words; memory that runs out; masks that turn out to be damaged. */
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/folder.h"
#include "support/hook.h"
#include "support/problem.h"
#include "support/raw.h"

/* 4 heads over 2, 20 queries and keys in two pages, a mask of 2 x 2 blocks. */
static problem_spec spec_here(key_layout layout)
{
    return (problem_spec){
        .num_heads = 4,
        .num_kv_heads = 2,
        .head_dim = 8,
        .layout = layout,
        .page_tokens = 16,
        .block_queries = 16,
        .block_keys = 16,
        .lse = true,
        .slopes = true,
        .sinks = true,
        .num_sequences = 1,
        .sequences = {{.num_queries = 20, .num_keys = 20, .first_position = -1, .num_masks = 1, .kind = {"all"}}},
    };
}

/* Neither the computation nor the count takes it, and nothing is written. */
static void refused(const problem *p, rmask_status status, const char *words)
{
    note("%s", words);
    uint8_t *before = must_allocate(p->out_bytes);
    memcpy(before, p->args.out.data, p->out_bytes);
    for (int method = 0; method < 2; method++) {
        rmask_attention_args args = p->args;
        if ((int)args.method < 2) args.method = (rmask_attention_method)method;
        expect_fails(status, rmask_attention(&args, test_error));
        expect(strstr(test_error->message, words) != NULL, "says \"%s\"", test_error->message);
    }
    expect(memcmp(before, p->args.out.data, p->out_bytes) == 0, "out was written");
    free(before);
    rmask_attention_work work;
    if (!strstr(words, "no data")) expect_fails(status, rmask_attention_count(&p->args, &work, test_error));
}

#define REFUSED(p, field, value, status, words)  \
    do {                                         \
        const __typeof__(field) held_ = (field); \
        (field) = (value);                       \
        refused((p), (status), (words));         \
        (field) = held_;                         \
    } while (0)
#define WRONG(p, field, value, words) REFUSED(p, field, value, RMASK_ERR_ARGUMENT, words)

static void shapes_and_strides(void **state)
{
    (void)state;
    rng random = rng_here();
    problem p;
    problem_spec spec = spec_here(PAGES_AS_COLUMNS);
    problem_create(&p, &spec, &random);
    problem_run_and_check(&p);
    problem_lay_out(&p);

    rmask_tensor *const tensors[] = {&p.args.query, &p.args.key, &p.args.value, &p.args.out};
    static const char *const names[] = {"query", "key", "value", "out"};
    for (int i = 0; i < 4; i++) {
        char words[64];
        snprintf(words, sizeof words, "%s has the unknown dtype 3", names[i]);
        WRONG(&p, tensors[i]->dtype, (rmask_dtype)3, words);
        snprintf(words, sizeof words, "%s has", names[i]);
        WRONG(&p, tensors[i]->dtype, (rmask_dtype)-1, words);
        WRONG(&p, tensors[i]->token_stride, -1, words);
        WRONG(&p, tensors[i]->token_stride, INT64_C(1) << 40, words);
        WRONG(&p, tensors[i]->dim_stride, i == 1 ? -16 : 2, words);
        WRONG(&p, tensors[i]->dim_stride, INT64_MIN, words);
        void *held = tensors[i]->data;
        tensors[i]->data = NULL;
        snprintf(words, sizeof words, "no data for %s", names[i]);
        rmask_attention_args args = p.args;
        expect_fails(RMASK_ERR_ARGUMENT, rmask_attention(&args, test_error));
        expect(strstr(test_error->message, words) != NULL, "says \"%s\"", test_error->message);
        tensors[i]->data = held;
    }
    WRONG(&p, p.args.key.token_stride, 2, "one of them must be 1");
    WRONG(&p, p.args.key.dtype, RMASK_FLOAT16, "keys and values differ in dtype");
    static const int32_t wrong_dims[] = {0, -1, 513, INT32_MIN, INT32_MAX};
    for (int i = 0; i < 5; i++) WRONG(&p, p.args.head_dim, wrong_dims[i], "head dimension of");
    static const int32_t wrong_heads[] = {0, -4, 3, 5, INT32_MIN, INT32_MAX};
    for (int i = 0; i < 6; i++) WRONG(&p, p.args.num_heads, wrong_heads[i], "heads must be a multiple of KV heads");
    static const int32_t wrong_kv_heads[] = {0, -2, 3, 8, INT32_MIN, INT32_MAX};
    for (int i = 0; i < 6; i++) WRONG(&p, p.args.num_kv_heads, wrong_kv_heads[i], "heads must be a multiple of KV heads");
    WRONG(&p, p.args.num_sequences, -1, "sequences without a list");
    WRONG(&p, p.args.sequences, NULL, "sequences without a list");
    problem_run_and_check(&p);
    problem_free(&p);
}

static void numbers(void **state)
{
    (void)state;
    rng random = rng_here();
    problem p;
    problem_spec spec = spec_here(KEYS_BY_TOKEN);
    problem_create(&p, &spec, &random);
    WRONG(&p, p.args.scale, NAN, "scale is not a finite number");
    WRONG(&p, p.args.scale, -INFINITY, "scale is not a finite number");
    WRONG(&p, p.args.soft_cap, NAN, "the soft cap is");
    WRONG(&p, p.args.soft_cap, INFINITY, "the soft cap is");
    WRONG(&p, p.args.soft_cap, -1.0f, "the soft cap is -1");
    WRONG(&p, p.args.soft_cap, 1e-45f, "beyond float32");
    WRONG(&p, p.args.scale, 3e38f, "beyond float32");
    WRONG(&p, p.slopes[3], NAN, "ALiBi slope of head 3");
    WRONG(&p, p.slopes[0], INFINITY, "ALiBi slope of head 0");
    WRONG(&p, p.sinks[2], NAN, "sink of head 2");
    WRONG(&p, p.sinks[2], INFINITY, "sink of head 2");
    WRONG(&p, p.args.num_threads, -1, "-1 threads");
    WRONG(&p, p.args.method, (rmask_attention_method)2, "unknown method 2");
    problem_run_and_check(&p);
    problem_free(&p);
}

static void sequences_masks_and_pages(void **state)
{
    (void)state;
    rng random = rng_here();
    problem p;
    problem_spec spec = spec_here(PAGES_SPLIT);
    problem_create(&p, &spec, &random);
    rmask_attention_sequence *s = &p.sequences[0];
    WRONG(&p, s->num_queries, -1, "sequence 0 has -1 queries");
    WRONG(&p, s->num_keys, INT32_MIN, "keys");
    WRONG(&p, s->num_queries, 21, "say where they are in first_position");
    WRONG(&p, s->first_position, -2, "has the first position -2");
    REFUSED(&p, s->first_position, INT32_MAX, RMASK_ERR_RANGE, "ends past token");
    REFUSED(&p, s->num_keys, INT32_MAX, RMASK_ERR_RANGE, "ends past token");
    static const int wrong_masks[] = {-1, 3, 5, INT_MAX, INT_MIN};
    for (int i = 0; i < 5; i++) WRONG(&p, s->num_masks, wrong_masks[i], "it takes 1, one a KV head (2) or one a head (4)");
    WRONG(&p, s->masks, NULL, "it takes 1");
    static const int32_t wrong_blocks[] = {0, -16, INT32_MIN, INT32_MAX};
    for (int i = 0; i < 4; i++) {
        WRONG(&p, p.args.block_queries, wrong_blocks[i], "masks in blocks of");
        WRONG(&p, p.args.block_keys, wrong_blocks[i], "masks in blocks of");
    }
    REFUSED(&p, p.args.block_queries, 1, RMASK_ERR_RANGE, "mask 0 of sequence 0 covers");
    REFUSED(&p, p.args.block_keys, 1, RMASK_ERR_RANGE, "mask 0 of sequence 0 covers");
    REFUSED(&p, s->first_position, 100000, RMASK_ERR_RANGE, "mask 0 of sequence 0 covers");
    WRONG(&p, p.args.page_tokens, 0, "pages of 0 tokens");
    WRONG(&p, p.args.page_tokens, INT32_MIN, "pages of");
    REFUSED(&p, p.pages[0][1], -1, RMASK_ERR_RANGE, "entry 1 of sequence 0's block table is page -1");
    REFUSED(&p, p.pages[0][0], INT32_MIN, RMASK_ERR_RANGE, "entry 0 of sequence 0's block table");
    REFUSED(&p, p.pages[0][0], p.args.num_pages, RMASK_ERR_RANGE, "but the cache has");
    REFUSED(&p, p.args.num_pages, 0, RMASK_ERR_RANGE, "but the cache has 0");
    REFUSED(&p, p.args.num_pages, -7, RMASK_ERR_RANGE, "but the cache has -7");
    problem_run_and_check(&p);
    problem_free(&p);
}

/* Nothing to do is no error. */
static void nothing_at_all(void **state)
{
    (void)state;
    rng random = rng_here();
    problem p;
    problem_spec spec = spec_here(KEYS_BY_HEAD);
    problem_create(&p, &spec, &random);
    p.args.num_sequences = 0;
    p.args.sequences = NULL;
    rmask_attention_work work;
    memset(&work, 0xff, sizeof work);
    p.args.work = &work;
    expect_ok(rmask_attention(&p.args, test_error));
    expect(work.visible_pairs == 0 && work.computed_pairs == 0 && work.tiles == 0 && work.key_tokens == 0, "work of nothing");
    rmask_attention_merge(NULL, NULL, NULL, NULL, 0, 64);
    problem_free(&p);
}

/* What a machine of 1 GB would do. */
static void *allocate_some(void *context, size_t num_bytes)
{
    (void)context;
    return num_bytes < (size_t)1 << 30 ? malloc(num_bytes) : NULL;
}

static void release_some(void *context, void *memory, size_t num_bytes)
{
    (void)context;
    (void)num_bytes;
    free(memory);
}

/* Sizes at the upper end are counted, not computed: no overflow on the way. */
/* Tensors without tokens may have no data. */
static void no_tokens_need_no_data(void **state)
{
    (void)state;
    static const rmask_attention_method methods[] = {RMASK_ATTENTION_FAST, RMASK_ATTENTION_REFERENCE};
    for (int m = 0; m < 2; m++) {
        float query[3 * 8], out[3 * 8];
        for (int i = 0; i < 24; i++) query[i] = out[i] = 1;
        rmask_attention_sequence s = {.num_queries = 3, .num_keys = 0, .first_position = 0};
        rmask_attention_args args = {
            .query = {query, .token_stride = 8}, .key = {.token_stride = 8}, .value = {.token_stride = 8}, .out = {out, .token_stride = 8},
            .head_dim = 8, .num_heads = 1, .num_kv_heads = 1, .num_sequences = 1, .sequences = &s, .method = methods[m],
        };
        expect_ok(rmask_attention(&args, test_error));
        for (int i = 0; i < 24; i++) expect(out[i] == 0, "entry %d is %g", i, (double)out[i]);
        args.out.data = NULL;
        expect_fails(RMASK_ERR_ARGUMENT, rmask_attention(&args, test_error));
        s = (rmask_attention_sequence){.num_queries = 0, .num_keys = 3, .first_position = -1};
        args.query.data = NULL, args.key.data = args.value.data = query;
        expect_ok(rmask_attention(&args, test_error));
        args.value.data = NULL;
        expect_fails(RMASK_ERR_ARGUMENT, rmask_attention(&args, test_error));
    }
}

static void hostile_sizes(void **state)
{
    (void)state;
    const int32_t most = INT32_MAX - 64;
    rmask *mask;
    expect_ok(rmask_parse("causal & window(2)", 2, 2, NULL, &mask, test_error));
    const rmask *const masks[] = {mask};
    rmask_attention_sequence s = {.num_queries = 3, .num_keys = most, .first_position = -1, .masks = masks, .num_masks = 1};
    rmask_attention_args args = {.num_heads = 2,
                                 .num_kv_heads = 1,
                                 .head_dim = 512,
                                 .sequences = &s,
                                 .num_sequences = 1,
                                 .block_queries = 1 << 30,
                                 .block_keys = 1 << 30,
                                 .causal = true};
    rmask_attention_work work;
    expect_ok(rmask_attention_count(&args, &work, test_error));
    const uint64_t visible = 2 * ((uint64_t)most - 2 + (uint64_t)most - 1 + (uint64_t)most);
    expect(work.visible_pairs == visible, "%llu pairs, wanted %llu", (unsigned long long)work.visible_pairs,
           (unsigned long long)visible);
    s.first_position = most - 3;
    s.num_keys = 1;
    expect_ok(rmask_attention_count(&args, &work, test_error));
    rmask_release(mask);
    /* Scratch that nobody has. */
    s = (rmask_attention_sequence){.num_queries = 1, .num_keys = 1, .first_position = -1};
    args.num_heads = INT32_MAX;
    const rmask_allocator some = {allocate_some, release_some, NULL};
    args.allocator = &some;
    float x = 1;
    args.query.data = args.key.data = args.value.data = args.out.data = &x;
    expect_fails(RMASK_ERR_NOMEM, rmask_attention(&args, test_error));
}

/* ---------------------------------------------------------------- memory */

static rmask_status attend(const rmask_allocator *allocator, void *context)
{
    problem *p = context;
    p->args.allocator = allocator;
    problem_lay_out(p);
    rmask_status status = rmask_attention(&p->args, NULL);
    if (status == RMASK_OK) problem_check(p);
    p->args.allocator = NULL;
    return status;
}

static rmask_status count(const rmask_allocator *allocator, void *context)
{
    rmask_attention_args args = ((problem *)context)->args;
    rmask_attention_work work;
    args.allocator = allocator;
    return rmask_attention_count(&args, &work, NULL);
}

static void runs_out_of_memory(void **state)
{
    (void)state;
    rng random = rng_here();
    static const char *const kinds[] = {"all", "random 20%", "checkerboard", "columns and diagonals"};
    for (int k = 0; k < 4; k++)
        for (int method = 0; method < 2; method++) {
            problem p;
            problem_spec spec = spec_here(k % 2 ? PAGES_JOINED : KEYS_BY_TOKEN);
            spec.key_dtype = (rmask_dtype)(k % 3);
            spec.sequences[0].kind[0] = kinds[k];
            spec.block_queries = spec.block_keys = k == 2 ? 1 : 16;
            spec.sequences[0].num_queries = spec.sequences[0].num_keys = 150;
            note("%s, method %d", kinds[k], method);
            problem_create(&p, &spec, &random);
            p.args.method = (rmask_attention_method)method;
            p.args.num_threads = 1; /* the hook is for one */
            expect(check_out_of_memory(attend, &p) > 0, "no allocation goes through the hook");
            expect(check_out_of_memory(count, &p) > 0, "no allocation goes through the hook");
            problem_free(&p);
        }
    problem p;
    problem_spec spec = spec_here(KEYS_BY_TOKEN);
    spec.sequences[0].num_queries = 1, spec.sequences[0].num_keys = 9000, spec.sequences[0].num_masks = 0;
    note("shares of the keys");
    problem_create(&p, &spec, &random);
    p.args.num_threads = 1;
    expect(check_out_of_memory(attend, &p) > 2, "no allocation for the shares");
    problem_free(&p);
}

/* 64k tokens in a tenth of what the tensors take: nothing grows with queries times keys. */
static void memory_stays_small(void **state)
{
    (void)state;
    rng random = rng_here();
    problem p;
    problem_spec spec = spec_here(KEYS_BY_TOKEN);
    spec.num_heads = spec.num_kv_heads = 1, spec.head_dim = 64, spec.lse = false, spec.causal = true;
    spec.sequences[0].num_queries = spec.sequences[0].num_keys = 65536, spec.sequences[0].num_masks = 0;
    static const char *const expressions[] = {"causal & (sink(1) | window(4))", "causal & random(0.002, seed=3)",
                                              "columns(1, 50, 900, 3000)"};
    problem_create(&p, &spec, &random);
    for (int i = 0; i < 3; i++) {
        note("%s", expressions[i]);
        expect_ok(rmask_parse(expressions[i], 4096, 4096, NULL, &p.masks[0][0], test_error));
        p.sequences[0].num_masks = 1;
        hook h = {0};
        rmask_allocator allocator = hook_allocator(&h);
        p.args.allocator = &allocator;
        p.args.num_threads = 1;
        expect_ok(rmask_attention(&p.args, test_error));
        check_hook_empty(&h);
        const size_t tensors = p.query_bytes + p.key_bytes + p.value_bytes + p.out_bytes;
        expect(h.most_bytes < tensors / 10, "%zu bytes beside tensors of %zu", h.most_bytes, tensors);
        rmask_release(p.masks[0][0]);
        p.masks[0][0] = NULL;
    }
    problem_free(&p);
}

/* ---------------------------------------------------------------- damage */

/* Every row of exceptions of a mapped mask in turn loses its order. */
static void damaged_rows(void **state)
{
    (void)state;
    rng random = rng_here();
    problem p;
    problem_spec spec = spec_here(KEYS_BY_TOKEN);
    spec.sequences[0].num_queries = spec.sequences[0].num_keys = 200;
    spec.block_queries = spec.block_keys = 4;
    spec.sequences[0].kind[0] = "random 20%";
    problem_create(&p, &spec, &random);
    rmask *whole = p.masks[0][0];
    size_t num_bytes;
    const void *data = rmask_data(whole, &num_bytes);
    uint8_t *bytes = must_allocate(num_bytes);
    memcpy(bytes, data, num_bytes);
    raw_header header;
    memcpy(&header, bytes, sizeof header);
    expect(header.num_container_units > 100, "%u units to damage", header.num_container_units);
    int num_refused = 0;
    for (uint32_t unit = 0; unit < header.num_container_units; unit += 7) {
        memcpy(bytes, data, num_bytes);
        const size_t padding = num_bytes % 8; /* containers are the last section */
        memset(bytes + num_bytes - padding - 2 * (size_t)(header.num_container_units - unit), 0xff, 2);
        write_file(in_folder("mask.rmask"), bytes, num_bytes);
        rmask_status status[3];
        for (int i = 0; i < 3; i++) {
            expect_ok(rmask_open(in_folder("mask.rmask"), NULL, &p.masks[0][0], test_error));
            p.args.num_threads = i == 1 ? 3 : 1;
            p.args.method = i == 2 ? RMASK_ATTENTION_REFERENCE : RMASK_ATTENTION_FAST;
            status[i] = rmask_attention(&p.args, test_error);
            expect(status[i] == RMASK_OK || (status[i] == RMASK_ERR_FORMAT && strstr(test_error->message, "at byte ")),
                   "status \"%s\": %s", rmask_status_name(status[i]), test_error->message);
            rmask_release(p.masks[0][0]);
        }
        expect(status[0] == status[1], "other statuses with more threads");
        num_refused += status[0] == RMASK_ERR_FORMAT;
    }
    expect(num_refused > 5, "%d damages found", num_refused);
    p.masks[0][0] = whole;
    free(bytes);
    problem_free(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shapes_and_strides),
        cmocka_unit_test(numbers),
        cmocka_unit_test(sequences_masks_and_pages),
        cmocka_unit_test(nothing_at_all),
        cmocka_unit_test(no_tokens_need_no_data),
        cmocka_unit_test(hostile_sizes),
        cmocka_unit_test(runs_out_of_memory),
        cmocka_unit_test(memory_stays_small),
        cmocka_unit_test_setup_teardown(damaged_rows, make_folder, remove_folder),
    };
    return run_test_program(tests);
}
