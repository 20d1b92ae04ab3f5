/* SPDX-License-Identifier: Apache-2.0
 * Attention problems and their naive twin. What a problem is about, the numbers of each sequence, lies in plain arrays; the
 * tensors that the library gets are laid out from them, with NaN wherever nothing belongs. The twin reads the arrays only, in
 * float64, and asks rmask_contains for each pair. */
#ifndef ROARMASK_TESTS_PROBLEM_H
#define ROARMASK_TESTS_PROBLEM_H

#include "roarmask/attention.h"
#include "twin.h"

enum { MAX_SEQUENCES = 4, MAX_PROBLEM_HEADS = 48 };

typedef enum key_layout {
    KEYS_BY_TOKEN,     /* [batch, token, head, dim] */
    KEYS_BY_HEAD,      /* [batch, head, token, dim] */
    KEYS_AS_COLUMNS,   /* [batch, head, dim, token]; values by head */
    PAGES_SPLIT,       /* [2, page, head, token, dim] */
    PAGES_JOINED,      /* [page, head, 2, token, dim] */
    PAGES_INTERLEAVED, /* [page, head, token, 2, dim] */
    PAGES_AS_COLUMNS,  /* as PAGES_JOINED, with keys [dim, token] */
    NUM_KEY_LAYOUTS
} key_layout;

/* What is drawn by lot may be set beforehand: a field that is not 0 (first_position: as it is) stays. */
typedef struct problem_spec {
    int32_t num_heads, num_kv_heads, head_dim;
    rmask_dtype query_dtype, key_dtype, out_dtype;
    key_layout layout;
    int32_t page_tokens;
    int32_t block_queries, block_keys;
    bool causal, lse, slopes, sinks, query_by_head;
    float scale, soft_cap;
    int32_t num_sequences;
    struct {
        int32_t num_queries, num_keys, first_position;
        int num_masks;
        const char *kind[MAX_PROBLEM_HEADS]; /* generate.h's name of each mask; NULL is dense, "" any */
    } sequences[MAX_SEQUENCES];
} problem_spec;

typedef struct problem {
    problem_spec spec;
    rmask_attention_args args;
    rmask_attention_sequence sequences[MAX_SEQUENCES];
    rmask *masks[MAX_SEQUENCES][MAX_PROBLEM_HEADS];
    int32_t *pages[MAX_SEQUENCES];
    float *query[MAX_SEQUENCES], *key[MAX_SEQUENCES], *value[MAX_SEQUENCES]; /* [token, head, dim], as the dtypes hold them */
    size_t out_bytes, lse_bytes, key_bytes, value_bytes, query_bytes;
    void *key_memory, *value_memory; /* what was allocated: value_memory is NULL where both share it */
    float slopes[MAX_PROBLEM_HEADS], sinks[MAX_PROBLEM_HEADS];
} problem;

/* A small problem of any kind, and a plain one to change: two float32 heads over one KV head, causal, without a mask. */
problem_spec problem_any(rng *random);
problem_spec problem_plain(int32_t queries, int32_t keys);

void problem_create(problem *p, const problem_spec *spec, rng *random);
void problem_free(problem *p);

/* Lays the arrays out again, after a change to them. Out and lse become NaN everywhere. */
void problem_lay_out(problem *p);

/* The mask of a head of a sequence, or NULL. */
const rmask *problem_mask(const problem *p, int sequence, int head);
int32_t problem_position(const problem *p, int sequence);
bool problem_visible(const problem *p, int sequence, int head, int32_t query, int32_t key);
uint64_t problem_visible_pairs(const problem *p);

/* One row of the result in float64: `out` has head_dim entries; `size` gets for each of them the mean of the values'
 * magnitudes, which is what errors are relative to. Returns the log-sum-exp. */
double problem_row(const problem *p, int sequence, int head, int32_t query, double *out, double *size);

/* Where the library wrote a row, and its log-sum-exp. */
double problem_out(const problem *p, int sequence, int head, int32_t query, int32_t dim);
float problem_lse(const problem *p, int sequence, int head, int32_t query);

/* Compares every row with the twin's: float32 arithmetic within 2e-5, and half a unit in the last place of the output. Whatever
 * lies between the rows must not have been written. */
void problem_check(const problem *p);

/* Runs it and compares. */
void problem_run_and_check(problem *p);

/* A tensor's number, and a number as its dtype holds it: rounded towards zero. */
double number_at(const void *at, rmask_dtype dtype);
float as_dtype(float x, rmask_dtype dtype);

#endif
