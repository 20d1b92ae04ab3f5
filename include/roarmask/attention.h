/* SPDX-License-Identifier: Apache-2.0
 *
 * roarmask attention: exact softmax attention on the CPU over the cells of a mask.
 *
 * For every query token i and head h of a sequence
 *
 *     score[j] = cap(scale * dot(query[i][h], key[j][g])) + slope[h] * (j - position(i))     for every visible key token j
 *     out[i][h] = sum_j exp(score[j]) * value[j][g] / (exp(sink[h]) + sum_j exp(score[j]))
 *
 * where g = h / (heads / kv_heads) is the head's KV head. Key j is visible to query i when
 *
 *     j < num_keys,   and with `causal` also   j <= position(i),   and with a mask also the cell
 *     (position(i) / block_queries, j / block_keys) is in the mask.
 *
 * Work and memory traffic are in proportion to the visible keys, and the matrix of scores never exists: tiles of it are made,
 * softmaxed with a running maximum and sum (Milakov and Gimelshein 2018; FlashAttention, Dao et al. 2022), and used up.
 * Intervals of a mask are worked as runs of keys, in the order of the mask's strips, without expanding them to indices.
 *
 *     rmask_attention_sequence sequence = {.num_queries = tokens, .num_keys = tokens, .masks = &mask, .num_masks = 1};
 *     rmask_attention_args args = {
 *         .query = {q, RMASK_FLOAT32, .token_stride = heads * 64, .head_stride = 64},     // [tokens, heads, 64]
 *         .key = {k, RMASK_FLOAT32, .token_stride = kv_heads * 64, .head_stride = 64},    // [tokens, kv_heads, 64]
 *         .value = {v, RMASK_FLOAT32, .token_stride = kv_heads * 64, .head_stride = 64},
 *         .out = {o, RMASK_FLOAT32, .token_stride = heads * 64, .head_stride = 64},
 *         .num_heads = heads, .num_kv_heads = kv_heads, .head_dim = 64,
 *         .sequences = &sequence, .num_sequences = 1,
 *         .block_queries = 16, .block_keys = 16, .causal = true,
 *     };
 *     if (rmask_attention(&args, &error) != RMASK_OK) ...
 *
 * Fields that are zero have the meaning that is said beside them. The rules of roarmask.h hold here too: nothing prints or
 * aborts.
 *
 * Rows without a visible key give zeros, and minus infinity as their log-sum-exp. NaN and Inf go the way that they go in a
 * softmax over the visible keys: a NaN in a query makes its row NaN, one in a visible key or value the rows that see it. What
 * stands in a value that a row does not see may reach the row as 0 * Inf = NaN when the key lies in a tile with visible ones,
 * as it does in dense attention with a mask added to the scores. Keys at or past num_keys are never read.
 *
 * The result is the same, bit for bit, for any number of threads. Arithmetic is float32, whatever the tensors hold.
 */
#ifndef ROARMASK_ATTENTION_H
#define ROARMASK_ATTENTION_H

#include "roarmask/roarmask.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum rmask_dtype { RMASK_FLOAT32 = 0, RMASK_BFLOAT16, RMASK_FLOAT16 } rmask_dtype;

/* A tensor of batch x tokens x heads x head_dim. Strides are in elements. Element (b, t, h, d) is at
 * data[b * batch_stride + t * token_stride + h * head_stride + d * dim_stride]. `dim_stride` 0 means 1. All need a
 * dim_stride of 1, but for keys, which may have a token_stride of 1 instead: pages that hold head_dim x tokens.
 * Data is aligned for its type and stays the caller's; it may be NULL where no sequence has a token of it. */
typedef struct rmask_tensor {
    void *data;
    rmask_dtype dtype;
    int64_t batch_stride;
    int64_t token_stride;
    int64_t head_stride;
    int64_t dim_stride;
} rmask_tensor;

/* One sequence of a batch: its query tokens, and the keys they may look at, which begin at position 0.
 *
 * Contiguous keys (`pages` NULL): key j is token key_token + j of batch entry key_batch of the key and value tensors.
 * Paged keys: key j is token j % page_tokens of batch entry pages[j / page_tokens]. So for a cache of shape (pages, kv_heads,
 * page_tokens, head_dim) batch_stride is kv_heads * page_tokens * head_dim, and a cache that keeps all keys, then all values of
 * a page and head differs in its strides only. */
typedef struct rmask_attention_sequence {
    int64_t query_batch;    /* batch entry of query, out and lse */
    int64_t query_token;    /* the first query's token there */
    int32_t num_queries;    /* 0 is allowed */
    int32_t first_position; /* the first query's position among the keys; -1 for num_keys - num_queries: the last ones */
    int32_t num_keys;       /* 0 is allowed: zeros come out */
    int64_t key_batch;
    int64_t key_token;
    /* The block table: ceil(num_keys / page_tokens) entries in [0, num_pages). Pages without a visible key are not read. */
    const int32_t *pages;
    const rmask *const *masks; /* num_masks masks: 1 for all heads, one a KV head, or one a head. A NULL among them is dense */
    int32_t num_masks;         /* 0: dense */
} rmask_attention_sequence;

typedef enum rmask_attention_method {
    RMASK_ATTENTION_FAST = 0,
    RMASK_ATTENTION_REFERENCE /* plain loops in float64, one query and head after another: the oracle */
} rmask_attention_method;

/* What a call did. Pairs are of a query token and a key token, counted once for each head. The kernel's tile is
 * RMASK_ATTENTION_TILE_QUERIES queries by RMASK_ATTENTION_TILE_KEYS keys, at multiples of these; where the keys of a tile's
 * queries overlap little, groups of 16 queries are worked by themselves, and then fewer pairs are computed than tiles hold. */
enum { RMASK_ATTENTION_TILE_QUERIES = 64, RMASK_ATTENTION_TILE_KEYS = 16 };
typedef struct rmask_attention_work {
    uint64_t visible_pairs;  /* pairs whose score counts */
    uint64_t computed_pairs; /* pairs whose score was computed */
    uint64_t tiles;          /* tiles with a visible pair */
    uint64_t key_tokens;     /* key tokens that were read, counted once for each group of queries that shared the reading */
} rmask_attention_work;

typedef struct rmask_attention_args {
    rmask_tensor query; /* num_heads heads */
    rmask_tensor key;   /* num_kv_heads heads */
    rmask_tensor value; /* num_kv_heads heads; the dtype of key */
    rmask_tensor out;   /* num_heads heads; may not overlap the inputs */
    /* NULL, or the log (base e) of the denominator: entry (b, t, h) at b * lse_batch_stride + t * lse_token_stride + h *
     * lse_head_stride */
    float *lse;
    int64_t lse_batch_stride, lse_token_stride, lse_head_stride;

    int32_t num_heads; /* a multiple of num_kv_heads */
    int32_t num_kv_heads;
    int32_t head_dim; /* 1 to 512; fastest for multiples of 16 */

    const rmask_attention_sequence *sequences;
    int32_t num_sequences;
    int32_t page_tokens; /* tokens a page; only with pages */
    int32_t num_pages;   /* pages in the cache; only with pages */

    int32_t block_queries; /* tokens a row of the masks; only with masks. 1 for token-exact ones */
    int32_t block_keys;    /* tokens a column of the masks */
    bool causal;

    float scale;               /* 0 for 1 / sqrt(head_dim) */
    float soft_cap;            /* 0 for none; otherwise cap(x) = soft_cap * tanh(x / soft_cap) */
    const float *alibi_slopes; /* NULL, or one a head */
    const float *sinks;        /* NULL, or one a head: a score that every row has once more, with a value of zeros */

    int32_t num_threads; /* 0 for OpenMP's own choice (OMP_NUM_THREADS) */
    rmask_attention_method method;
    /* NULL for malloc. Scratch a thread: 64 KB, 512 bytes * head_dim for each head of a KV head, and 2 KB * head_dim for keys that are
     * not float32; and some 50 bytes a tile of queries. */
    const rmask_allocator *allocator;
    rmask_attention_work *work; /* NULL, or what was done is written here */
} rmask_attention_args;

/* Computes `out` (and `lse`). Everything is checked before anything is written: RMASK_ERR_ARGUMENT for shapes, strides, dtypes
 * and numbers that make no sense or are not finite, RMASK_ERR_RANGE for a mask whose grid does not cover the positions and keys
 * and for a page number outside the cache, RMASK_ERR_NOMEM. RMASK_ERR_FORMAT for a damaged row of a mapped mask, which is found
 * on the way: `out` is then unspecified. */
RMASK_API rmask_status rmask_attention(const rmask_attention_args *args, rmask_error *error);

/* Counts what rmask_attention would do, without tensors: data pointers may be NULL. Time in proportion to the masks' runs. */
RMASK_API rmask_status rmask_attention_count(const rmask_attention_args *args, rmask_attention_work *work, rmask_error *error);

/* Merges two partial results over disjoint keys: out_a and lse_a become those of both. Each is `num_rows` contiguous rows of
 * head_dim float32 and their log-sum-exp. At most one of the two may have been made with sinks. A side whose log-sum-exp is
 * minus infinity counts for nothing. */
RMASK_API void rmask_attention_merge(float *out_a, float *lse_a, const float *out_b, const float *lse_b, size_t num_rows,
                                     int32_t head_dim);

/* Blocks of keys, told by a few numbers each, and how well queries go with them: what policies that choose masks step by step look at
 * instead of keys. Whoever keeps a cache makes the numbers of the blocks that were written into, and no others. */
typedef enum rmask_key_summary {
    RMASK_KEY_MEANS = 0, /* head_dim numbers: the mean of the keys */
    RMASK_KEY_BOUNDS     /* 2 * head_dim numbers: the greatest of the keys in each dimension, then the least. NaN is neither */
} rmask_key_summary;

/* Block b of batch entry e of the keys (a page, or a sequence) has the number e * entry_blocks + b and holds its tokens b * block to
 * (b + 1) * block. The numbers of block n and KV head h begin at numbers[(n * num_kv_heads + h) * width], width being head_dim or
 * 2 * head_dim. */
typedef struct rmask_key_blocks {
    rmask_key_summary summary;
    int32_t block; /* tokens a block */
    int32_t entry_blocks;
    int32_t num_entries;
    int32_t num_kv_heads;
    int32_t head_dim; /* 1 to 512 */
    float *numbers;   /* the caller's */
    /* NULL for malloc. Only scoring allocates: 4 bytes a row, and 16 KB and 768 bytes * width a thread. */
    const rmask_allocator *allocator;
} rmask_key_blocks;

/* Makes the numbers of the `count` blocks `which`, each named once, from their first num_tokens[i] (1 to block) keys. Errors: RMASK_ERR_ARGUMENT,
 * RMASK_ERR_RANGE for a block that is not there, before anything is written. num_threads as for rmask_attention. */
RMASK_API rmask_status rmask_summarize_keys(const rmask_key_blocks *blocks, const rmask_tensor *key, const int32_t *which,
                                            const int32_t *num_tokens, size_t count, int32_t num_threads, rmask_error *error);

/* Queries that are scored together, and the blocks that they are scored against. Rows behind each other with the same `blocks` pointer
 * share the reading of them. */
typedef struct rmask_key_row {
    int64_t query_token; /* of batch entry 0 */
    int32_t num_queries; /* 1 or more */
    int32_t num_blocks;  /* 0 is allowed */
    const int32_t *blocks;
} rmask_key_row;

/* scores[(row * num_heads + head) * stride + i], for i < num_blocks of the row, becomes `scale` (above 0) times the product of the row's mean
 * query with the mean of blocks[i]; or of its queries' greatest possible product with a key within the bounds, the sum over dimensions of
 * max(query * greatest, query * least). What is not a number becomes minus infinity. Errors as above, and RMASK_ERR_NOMEM: scores are then unspecified. */
RMASK_API rmask_status rmask_score_keys(const rmask_key_blocks *blocks, const rmask_tensor *query, int32_t num_heads,
                                        float scale, const rmask_key_row *rows, int32_t num_rows, float *scores, size_t stride,
                                        int32_t num_threads, rmask_error *error);

/* The float32 operations a second that one core reaches in the library's own product of tiles that fit its cache, measured now,
 * for some 20 ms: what attention's speed can be compared with. 0 when memory runs out. */
RMASK_API double rmask_attention_peak_flops(void);

#ifdef __cplusplus
}
#endif
#endif
