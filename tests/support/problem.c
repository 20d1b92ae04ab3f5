/* SPDX-License-Identifier: Apache-2.0
 * Attention problems and their naive twin. */
#include "problem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "generate.h"
#include "ways.h"

/* ---------------------------------------------------------------- numbers */

static int num_bytes_of(rmask_dtype dtype) { return dtype == RMASK_FLOAT32 ? 4 : 2; }

static uint32_t bits_of(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static float float_of(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static uint16_t half_of(float x)
{
    uint16_t sign = signbit(x) ? 0x8000 : 0;
    if (isnan(x)) return sign | 0x7e00;
    int exponent;
    float fraction = frexpf(fabsf(x), &exponent);
    if (exponent > 16) return sign | 0x7c00;
    if (x == 0 || exponent < -24) return sign;
    if (exponent < -13) return (uint16_t)(sign | (uint16_t)ldexpf(fraction, exponent + 24));
    return (uint16_t)(sign | (unsigned)(exponent + 14) << 10 | ((unsigned)ldexpf(fraction, 11) & 0x3ff));
}

static double double_of_half(uint16_t half)
{
    int exponent = half >> 10 & 31, fraction = half & 0x3ff;
    double x = exponent == 31 ? (fraction ? (double)NAN : (double)INFINITY)
               : exponent     ? ldexp(1024 + fraction, exponent - 25)
                              : ldexp(fraction, -24);
    return half & 0x8000 ? -x : x;
}

static void write_number(void *at, float x, rmask_dtype dtype)
{
    uint16_t narrow = dtype == RMASK_BFLOAT16 ? (uint16_t)(bits_of(x) >> 16) : half_of(x);
    if (dtype == RMASK_FLOAT32)
        memcpy(at, &x, sizeof x);
    else
        memcpy(at, &narrow, sizeof narrow);
}

double number_at(const void *at, rmask_dtype dtype)
{
    uint16_t narrow;
    float x;
    if (dtype == RMASK_FLOAT32) {
        memcpy(&x, at, sizeof x);
        return (double)x;
    }
    memcpy(&narrow, at, sizeof narrow);
    return dtype == RMASK_BFLOAT16 ? (double)float_of((uint32_t)narrow << 16) : double_of_half(narrow);
}

float as_dtype(float x, rmask_dtype dtype)
{
    if (dtype == RMASK_FLOAT32) return x;
    if (dtype == RMASK_FLOAT16) return (float)double_of_half(half_of(x));
    int exponent; /* in arithmetic: GCC 12 loses the mask when the low bits are masked out of what was a double before */
    const float fraction = frexpf(x, &exponent);
    return ldexpf(truncf(ldexpf(fraction, 8)), exponent - 8);
}

/* About normal: the sum of four uniform numbers, of variance 1. */
static float draw(rng *random)
{
    double sum = -2;
    for (int i = 0; i < 4; i++) sum += (double)rng_below(random, 1 << 20) / (1 << 20);
    return (float)(sum * 1.7320508);
}

static float *draw_array(size_t count, rmask_dtype dtype, rng *random)
{
    float *array = must_allocate(count * sizeof *array);
    for (size_t i = 0; i < count; i++) array[i] = as_dtype(draw(random), dtype);
    return array;
}

/* ---------------------------------------------------------------- specs */

#define ONE_OF(random, ...) \
    (((const int32_t[]){__VA_ARGS__})[rng_below((random), (int64_t)(sizeof((const int32_t[]){__VA_ARGS__}) / sizeof(int32_t)))])

problem_spec problem_any(rng *random)
{
    problem_spec spec = {
        .num_kv_heads = ONE_OF(random, 1, 1, 2, 3),
        .head_dim = ONE_OF(random, 1, 7, 16, 32, 40, 64, 80, 128, 256),
        .query_dtype = (rmask_dtype)rng_below(random, 3),
        .key_dtype = (rmask_dtype)rng_below(random, 3),
        .out_dtype = (rmask_dtype)rng_below(random, 3),
        .layout = (key_layout)rng_below(random, NUM_KEY_LAYOUTS),
        .page_tokens = ONE_OF(random, 16, 24, 128, 256),
        .block_queries = ONE_OF(random, 1, 16, 48, 64, 128),
        .causal = rng_chance(random, 0.6),
        .lse = rng_chance(random, 0.7),
        .slopes = rng_chance(random, 0.25),
        .sinks = rng_chance(random, 0.25),
        .query_by_head = rng_chance(random, 0.5),
        .scale = rng_chance(random, 0.3) ? 0.3f : 0,
        .soft_cap = rng_chance(random, 0.25) ? (float)rng_between(random, 1, 40) : 0,
        .num_sequences = (int32_t)rng_between(random, 1, MAX_SEQUENCES - 1),
    };
    spec.num_heads = spec.num_kv_heads * ONE_OF(random, 1, 1, 3, 4, 8, 16);
    spec.block_keys = rng_chance(random, 0.6) ? spec.block_queries : ONE_OF(random, 1, 16, 48, 64, 128);
    const int64_t cost = (int64_t)spec.num_heads * spec.head_dim;
    for (int s = 0; s < spec.num_sequences; s++) {
        const int64_t most_keys = cost > 2000 ? 150 : cost > 500 ? 300 : 700;
        int32_t keys = (int32_t)rng_below(random, most_keys + 1);
        if (rng_chance(random, 0.1)) keys = ONE_OF(random, 0, 1, 16, 64);
        spec.sequences[s].num_keys = keys;
        spec.sequences[s].first_position = -1;
        switch (rng_below(random, 5)) {
        case 0: spec.sequences[s].num_queries = keys; break;                                                 /* prefill */
        case 1: spec.sequences[s].num_queries = keys < 1 ? keys : 1; break;                                  /* decode */
        case 2: spec.sequences[s].num_queries = (int32_t)rng_between(random, 0, keys < 4 ? keys : 4); break; /* a few */
        case 3: spec.sequences[s].num_queries = (int32_t)rng_between(random, 0, keys); break; /* the last chunk */
        default:                                                                              /* any chunk */
            spec.sequences[s].num_queries = (int32_t)rng_below(random, 130);
            spec.sequences[s].first_position = (int32_t)rng_below(random, keys + 50);
        }
        const int choices[] = {0, 1, spec.num_kv_heads, spec.num_heads};
        spec.sequences[s].num_masks = choices[rng_below(random, 4)];
        for (int m = 0; m < spec.sequences[s].num_masks; m++)
            spec.sequences[s].kind[m] = rng_chance(random, 0.15) ? NULL : rng_chance(random, 0.1) ? "none" : "";
    }
    return spec;
}

problem_spec problem_plain(int32_t queries, int32_t keys)
{
    problem_spec spec = {
        .num_heads = 2,
        .num_kv_heads = 1,
        .head_dim = 32,
        .page_tokens = 16,
        .block_queries = 16,
        .block_keys = 16,
        .causal = true,
        .lse = true,
        .num_sequences = 1,
        .sequences = {{.num_queries = queries, .num_keys = keys, .first_position = -1}},
    };
    return spec;
}

/* ---------------------------------------------------------------- layouts */

static bool is_paged(const problem *p) { return p->spec.layout >= PAGES_SPLIT; }

static void lay_out_keys(problem *p, int32_t batch, int32_t tokens)
{
    const problem_spec *spec = &p->spec;
    const int64_t heads = spec->num_kv_heads, dim = spec->head_dim, t = tokens;
    rmask_tensor *key = &p->args.key, *value = &p->args.value;
    const size_t all = (size_t)(batch * heads * t * dim) * (size_t)num_bytes_of(spec->key_dtype);
    *key = *value = (rmask_tensor){NULL, spec->key_dtype, heads * t * dim, dim, t * dim, 1};
    bool shared = false;
    switch (spec->layout) {
    case KEYS_BY_TOKEN:
        key->token_stride = value->token_stride = heads * dim;
        key->head_stride = value->head_stride = dim;
        key->dim_stride = 0; /* the same as 1 */
        break;
    case KEYS_BY_HEAD:
    case PAGES_SPLIT:
    case NUM_KEY_LAYOUTS: break;
    case KEYS_AS_COLUMNS:
        key->token_stride = 1;
        key->dim_stride = t;
        break;
    case PAGES_JOINED:
    case PAGES_INTERLEAVED:
    case PAGES_AS_COLUMNS:
        shared = true;
        key->batch_stride = value->batch_stride = 2 * heads * t * dim;
        key->head_stride = value->head_stride = 2 * t * dim;
        if (spec->layout == PAGES_INTERLEAVED) key->token_stride = value->token_stride = 2 * dim;
        if (spec->layout == PAGES_AS_COLUMNS) {
            key->token_stride = 1;
            key->dim_stride = t;
        }
        break;
    }
    p->key_bytes = shared ? 2 * all : all;
    p->key_memory = must_allocate(p->key_bytes);
    p->value_bytes = shared ? 0 : all;
    p->value_memory = shared ? NULL : must_allocate(all);
    const int64_t apart = spec->layout == PAGES_INTERLEAVED ? dim : t * dim;
    key->data = p->key_memory;
    value->data = shared ? (char *)p->key_memory + apart * num_bytes_of(spec->key_dtype) : p->value_memory;
}

static void lay_out_queries(problem *p, int32_t batch, int32_t tokens)
{
    const problem_spec *spec = &p->spec;
    const int64_t heads = spec->num_heads, dim = spec->head_dim, gap = 3; /* something between the rows that is not ours */
    const int64_t token = spec->query_by_head ? dim + gap : heads * dim + gap,
                  head = spec->query_by_head ? tokens * (dim + gap) : dim;
    const int64_t each = heads * tokens * (dim + gap) + gap;
    p->args.query = (rmask_tensor){NULL, spec->query_dtype, each, token, head, 1};
    p->args.out = p->args.query;
    p->args.out.dtype = spec->out_dtype;
    p->query_bytes = (size_t)(batch * each) * (size_t)num_bytes_of(spec->query_dtype);
    p->out_bytes = (size_t)(batch * each) * (size_t)num_bytes_of(spec->out_dtype);
    p->args.query.data = must_allocate(p->query_bytes);
    p->args.out.data = must_allocate(p->out_bytes);
    if (!spec->lse) return;
    p->lse_bytes = (size_t)(batch * heads * tokens) * sizeof(float);
    p->args.lse = must_allocate(p->lse_bytes);
    p->args.lse_batch_stride = heads * tokens;
    p->args.lse_head_stride = spec->query_by_head ? tokens : 1;
    p->args.lse_token_stride = spec->query_by_head ? 1 : heads;
}

static void *element(const rmask_tensor *tensor, int64_t batch, int64_t token, int64_t head, int64_t dim)
{
    int64_t at = batch * tensor->batch_stride + token * tensor->token_stride + head * tensor->head_stride +
                 dim * (tensor->dim_stride ? tensor->dim_stride : 1);
    return (char *)tensor->data + at * num_bytes_of(tensor->dtype);
}

void problem_lay_out(problem *p)
{
    const problem_spec *spec = &p->spec;
    memset(p->args.query.data, 0xff, p->query_bytes);
    memset(p->args.out.data, 0xff, p->out_bytes);
    if (p->args.lse) memset(p->args.lse, 0xff, p->lse_bytes);
    memset(p->key_memory, 0xff, p->key_bytes);
    if (p->value_memory) memset(p->value_memory, 0xff, p->value_bytes);
    for (int s = 0; s < spec->num_sequences; s++) {
        const rmask_attention_sequence *q = &p->sequences[s];
        const size_t dim = (size_t)spec->head_dim, heads = (size_t)spec->num_heads, kv_heads = (size_t)spec->num_kv_heads;
        for (int32_t i = 0; i < q->num_queries; i++)
            for (size_t h = 0; h < heads; h++)
                for (size_t d = 0; d < dim; d++)
                    write_number(element(&p->args.query, q->query_batch, q->query_token + i, (int64_t)h, (int64_t)d),
                                 p->query[s][((size_t)i * heads + h) * dim + d], spec->query_dtype);
        for (int32_t j = 0; j < q->num_keys; j++) {
            const int64_t batch = q->pages ? q->pages[j / spec->page_tokens] : q->key_batch;
            const int64_t token = q->pages ? j % spec->page_tokens : q->key_token + j;
            for (size_t h = 0; h < kv_heads; h++)
                for (size_t d = 0; d < dim; d++) {
                    const size_t at = ((size_t)j * kv_heads + h) * dim + d;
                    write_number(element(&p->args.key, batch, token, (int64_t)h, (int64_t)d), p->key[s][at], spec->key_dtype);
                    write_number(element(&p->args.value, batch, token, (int64_t)h, (int64_t)d), p->value[s][at],
                                 spec->key_dtype);
                }
        }
    }
}

/* ---------------------------------------------------------------- making */

static void make_masks(problem *p, int s, rng *random)
{
    const problem_spec *spec = &p->spec;
    const int64_t positions = problem_position(p, s) + p->sequences[s].num_queries;
    const int32_t rows = (int32_t)((positions + spec->block_queries - 1) / spec->block_queries + rng_below(random, 3));
    const int32_t cols = (int32_t)((p->sequences[s].num_keys + spec->block_keys - 1) / spec->block_keys + rng_below(random, 3));
    for (int m = 0; m < spec->sequences[s].num_masks; m++) {
        const char *kind = spec->sequences[s].kind[m];
        if (!kind) continue;
        twin *t = *kind ? generate_named(kind, rows, cols, random) : generate_any(rows, cols, random);
        p->masks[s][m] = make_any(t, random);
        twin_free(t);
    }
    p->sequences[s].masks = (const rmask *const *)p->masks[s];
    p->sequences[s].num_masks = spec->sequences[s].num_masks;
}

/* Pages in any order, and some of the cache that no sequence has. Returns their number. */
static int32_t deal_pages(problem *p, rng *random)
{
    const int32_t size = p->spec.page_tokens;
    int32_t num_pages = 3, next = 0;
    for (int s = 0; s < p->spec.num_sequences; s++) num_pages += (p->sequences[s].num_keys + size - 1) / size;
    int32_t *order = must_allocate((size_t)num_pages * sizeof *order);
    for (int32_t i = 0; i < num_pages; i++) order[i] = i;
    rng_shuffle(random, order, (size_t)num_pages, sizeof *order);
    for (int s = 0; s < p->spec.num_sequences; s++) {
        const int32_t count = (p->sequences[s].num_keys + size - 1) / size;
        p->pages[s] = must_allocate((size_t)count * sizeof *p->pages[s]);
        if (count) memcpy(p->pages[s], order + next, (size_t)count * sizeof *order);
        p->sequences[s].pages = p->pages[s];
        next += count;
    }
    free(order);
    return num_pages;
}

void problem_create(problem *p, const problem_spec *spec, rng *random)
{
    memset(p, 0, sizeof *p);
    p->spec = *spec;
    const bool packed = rng_chance(random, 0.5); /* sequences behind one another, or each a batch entry */
    int32_t most_queries = 1, all_queries = 1, most_keys = 1;
    for (int s = 0; s < spec->num_sequences; s++) {
        const int32_t queries = spec->sequences[s].num_queries, keys = spec->sequences[s].num_keys;
        p->sequences[s] = (rmask_attention_sequence){
            .query_batch = packed ? 0 : s,
            .query_token = packed ? all_queries : rng_below(random, 2),
            .num_queries = queries,
            .first_position = spec->sequences[s].first_position,
            .num_keys = keys,
            .key_batch = s,
            .key_token = rng_below(random, 4),
        };
        all_queries += queries;
        if (queries > most_queries) most_queries = queries;
        if (keys > most_keys) most_keys = keys;
        make_masks(p, s, random);
        const size_t heads = (size_t)spec->num_heads, kv_heads = (size_t)spec->num_kv_heads, dim = (size_t)spec->head_dim;
        p->query[s] = draw_array((size_t)queries * heads * dim, spec->query_dtype, random);
        p->key[s] = draw_array((size_t)keys * kv_heads * dim, spec->key_dtype, random);
        p->value[s] = draw_array((size_t)keys * kv_heads * dim, spec->key_dtype, random);
    }
    lay_out_queries(p, packed ? 1 : spec->num_sequences, packed ? all_queries : most_queries + 1);
    if (is_paged(p)) p->args.num_pages = deal_pages(p, random);
    if (is_paged(p))
        lay_out_keys(p, p->args.num_pages, spec->page_tokens);
    else
        lay_out_keys(p, spec->num_sequences, most_keys + 3);
    for (int h = 0; h < spec->num_heads; h++) {
        p->slopes[h] = (float)exp2(-8.0 * (h + 1) / spec->num_heads);
        p->sinks[h] = rng_chance(random, 0.2) ? -INFINITY : draw(random);
    }
    p->args.num_heads = spec->num_heads;
    p->args.num_kv_heads = spec->num_kv_heads;
    p->args.head_dim = spec->head_dim;
    p->args.sequences = p->sequences;
    p->args.num_sequences = spec->num_sequences;
    p->args.page_tokens = spec->page_tokens;
    p->args.block_queries = spec->block_queries;
    p->args.block_keys = spec->block_keys;
    p->args.causal = spec->causal;
    p->args.scale = spec->scale;
    p->args.soft_cap = spec->soft_cap;
    p->args.alibi_slopes = spec->slopes ? p->slopes : NULL;
    p->args.sinks = spec->sinks ? p->sinks : NULL;
    problem_lay_out(p);
}

void problem_free(problem *p)
{
    for (int s = 0; s < p->spec.num_sequences; s++) {
        for (int m = 0; m < MAX_PROBLEM_HEADS; m++) rmask_release(p->masks[s][m]);
        free(p->pages[s]), free(p->query[s]), free(p->key[s]), free(p->value[s]);
    }
    free(p->key_memory), free(p->value_memory), free(p->args.query.data), free(p->args.out.data), free(p->args.lse);
}
