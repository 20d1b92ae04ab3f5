/* SPDX-License-Identifier: Apache-2.0
 * Summaries of blocks of keys, and the scores of queries against them. For bounds, max(q * greatest, q * least) is q * greatest where q is above
 * 0 and q * least elsewhere: so a score is one product of (max(q, 0), min(q, 0)) with (greatest, least), and both kinds are products. */
#include "attention/job.h"
#include "core/status.h"

#include <math.h>
#include <stdatomic.h>
#include <string.h>

#ifdef _OPENMP
#include <omp.h>
#endif

enum {
    MOST_DIM = 512,
    AT_ONCE = 64, /* blocks whose numbers and scores are in the cache together */
    FEW = 8       /* vectors up to which each goes along the numbers by itself */
};

static int32_t width_of(const rmask_key_blocks *blocks)
{
    return blocks->summary == RMASK_KEY_BOUNDS ? 2 * blocks->head_dim : blocks->head_dim;
}

static float *numbers_at(const rmask_key_blocks *blocks, int32_t which, int kv_head)
{
    return blocks->numbers + ((ptrdiff_t)which * blocks->num_kv_heads + kv_head) * width_of(blocks);
}

static rmask_status check_blocks(const rmask_key_blocks *blocks, int32_t num_threads, rmask_error *error)
{
    if ((unsigned)blocks->summary > RMASK_KEY_BOUNDS)
        return rmask_fail(error, RMASK_ERR_ARGUMENT, "key blocks: unknown summary %d", (int)blocks->summary);
    if (blocks->head_dim < 1 || blocks->head_dim > MOST_DIM)
        return rmask_fail(error, RMASK_ERR_ARGUMENT, "key blocks: a head dimension of %d; it must be 1 to %d", blocks->head_dim,
                          MOST_DIM);
    if (blocks->block < 1 || blocks->entry_blocks < 1 || blocks->num_entries < 0 || blocks->num_kv_heads < 1 || num_threads < 0)
        return rmask_fail(error, RMASK_ERR_ARGUMENT,
                          "key blocks: %d tokens a block, %d blocks an entry, %d entries, %d KV heads, %d threads",
                          blocks->block, blocks->entry_blocks, blocks->num_entries, blocks->num_kv_heads, num_threads);
    if ((int64_t)blocks->entry_blocks * blocks->num_entries > INT32_MAX ||
        (int64_t)blocks->entry_blocks * blocks->block > INT32_MAX)
        return rmask_fail(error, RMASK_ERR_RANGE, "key blocks: %d entries of %d blocks of %d tokens are too many",
                          blocks->num_entries, blocks->entry_blocks, blocks->block);
    if (!blocks->numbers) return rmask_fail(error, RMASK_ERR_ARGUMENT, "key blocks: no room for their numbers");
    return RMASK_OK;
}

static rmask_status check_block(const rmask_key_blocks *blocks, int32_t which, rmask_error *error)
{
    const int32_t num_blocks = blocks->entry_blocks * blocks->num_entries;
    if (which >= 0 && which < num_blocks) return RMASK_OK;
    return rmask_fail(error, RMASK_ERR_RANGE, "key blocks: block %d, and there are %d", which, num_blocks);
}

/* Threads that have something to do for longer than it takes to wake them. */
static int thread_count(int32_t asked, double operations, int64_t num_tasks)
{
#ifdef _OPENMP
    int threads = asked > 0 ? asked : omp_get_max_threads();
    const double of_operations = operations / (1 << 20) + 1;
    if (threads > of_operations) threads = (int)of_operations;
    if (threads > num_tasks) threads = (int)num_tasks;
    return threads > 1 ? threads : 1;
#else
    (void)asked, (void)operations, (void)num_tasks;
    return 1;
#endif
}

/* ---------------------------------------------------------------- summaries */

/* `a` begins the gathered numbers of a block, or a token of it is added to them. */
static void gather_token(rmask_key_summary summary, float *a, const float *token, int dim, bool first)
{
    float *restrict least = a + dim;
    float *restrict greatest = a;
    if (summary == RMASK_KEY_MEANS) {
        for (int d = 0; d < dim; d++) greatest[d] = first ? token[d] : greatest[d] + token[d];
        return;
    }
    if (first)
        for (int d = 0; d < dim; d++) greatest[d] = -INFINITY, least[d] = INFINITY;
    for (int d = 0; d < dim; d++) {
        greatest[d] = token[d] > greatest[d] ? token[d] : greatest[d];
        least[d] = token[d] < least[d] ? token[d] : least[d];
    }
}

/* One dimension of tokens that lie side by side. */
static void gather_dimension(rmask_key_summary summary, float *greatest, float *least, const float *values, int num_tokens)
{
    float sum = 0, low = INFINITY, high = -INFINITY;
    if (summary == RMASK_KEY_MEANS) {
        for (int t = 0; t < num_tokens; t++) sum += values[t];
        *greatest = sum;
        return;
    }
    for (int t = 0; t < num_tokens; t++) {
        high = values[t] > high ? values[t] : high;
        low = values[t] < low ? values[t] : low;
    }
    *greatest = high, *least = low;
}

static void summarize(const rmask_key_blocks *blocks, const rmask_tensor *key, const rmask_attention_kernels *kernels,
                      int32_t which, int32_t num_tokens, int kv_head)
{
    enum { PART = 512 };
    float line[PART];
    const int dim = blocks->head_dim;
    float *out = numbers_at(blocks, which, kv_head);
    const int64_t entry = which / blocks->entry_blocks, first = (int64_t)(which % blocks->entry_blocks) * blocks->block;
    const bool columns = key->dim_stride > 1;
    const char *at = tensor_at(key, entry, first, kv_head);
    const size_t size = dtype_size(key->dtype);
    if (!columns) {
        for (int32_t t = 0; t < num_tokens; t++) {
            kernels->widen(line, at + (size_t)t * (size_t)key->token_stride * size, key->dtype, (size_t)dim);
            gather_token(blocks->summary, out, line, dim, t == 0);
        }
    } else {
        for (int d = 0; d < dim; d++)
            for (int32_t t = 0; t < num_tokens; t += PART) {
                const int n = num_tokens - t < PART ? num_tokens - t : PART;
                float low = INFINITY, high = 0;
                kernels->widen(line, at + ((size_t)d * (size_t)key->dim_stride + (size_t)t) * size, key->dtype, (size_t)n);
                gather_dimension(blocks->summary, &high, &low, line, n);
                if (blocks->summary == RMASK_KEY_MEANS) {
                    out[d] = t == 0 ? high : out[d] + high;
                } else {
                    out[d] = t == 0 || high > out[d] ? high : out[d];
                    out[dim + d] = t == 0 || low < out[dim + d] ? low : out[dim + d];
                }
            }
    }
    if (blocks->summary == RMASK_KEY_MEANS)
        for (int d = 0; d < dim; d++) out[d] /= (float)num_tokens;
}

rmask_status rmask_summarize_keys(const rmask_key_blocks *blocks, const rmask_tensor *key, const int32_t *which,
                                  const int32_t *num_tokens, size_t count, int32_t num_threads, rmask_error *error)
{
    RMASK_TRY(check_blocks(blocks, num_threads, error));
    RMASK_TRY(rmask_attention_check_tensor(key, "key", true, false, error));
    for (size_t i = 0; i < count; i++) {
        RMASK_TRY(check_block(blocks, which[i], error));
        if (num_tokens[i] < 1 || num_tokens[i] > blocks->block)
            return rmask_fail(error, RMASK_ERR_ARGUMENT, "key blocks: %d keys in a block of %d", num_tokens[i], blocks->block);
    }
    const rmask_attention_kernels *kernels = rmask_attention_kernels_get();
    const int64_t num_tasks = (int64_t)count * blocks->num_kv_heads;
    const int threads = thread_count(num_threads, (double)num_tasks * blocks->block * blocks->head_dim, num_tasks);
#pragma omp parallel for num_threads(threads)
    for (int64_t i = 0; i < num_tasks; i++) {
        const int64_t at = i / blocks->num_kv_heads;
        summarize(blocks, key, kernels, which[at], num_tokens[at], (int)(i % blocks->num_kv_heads));
    }
    (void)threads;
    return RMASK_OK;
}

/* ---------------------------------------------------------------- scores */

typedef struct scoring {
    const rmask_key_blocks *blocks;
    const rmask_tensor *query;
    const rmask_attention_kernels *kernels;
    int num_heads, group;
    float scale;
    const rmask_key_row *rows;
    float *scores;
    size_t stride;
} scoring;

/* Vectors that are scored together: neighbours of one row and head are one segment, whose largest score counts. */
typedef struct score_scratch {
    float *vectors;  /* [MAX_LANES][width] */
    float *lanes;    /* [width][MAX_LANES] */
    float *numbers;  /* [AT_ONCE][width]: gathered */
    float *products; /* [AT_ONCE][MAX_LANES], or [MAX_LANES][AT_ONCE] of few */
    int num_vectors, num_segments;
    int segment_end[MAX_LANES];
    const rmask_key_row *segment_row[MAX_LANES];
    float *segment_scores[MAX_LANES];
} score_scratch;

static size_t scratch_floats(int32_t width) { return (size_t)width * (2 * MAX_LANES + AT_ONCE) + (size_t)AT_ONCE * MAX_LANES; }

/* The numbers of blocks[first] and so on, `count` of them: where they lie if they lie in order, else gathered. */
static const float *numbers_of(const scoring *s, score_scratch *scratch, const int32_t *list, int count, int kv_head,
                               ptrdiff_t *stride)
{
    const int32_t width = width_of(s->blocks);
    int same = 1;
    while (same < count && list[same] == list[0] + same) same++;
    *stride = same == count ? (ptrdiff_t)s->blocks->num_kv_heads * width : width;
    if (same == count) return numbers_at(s->blocks, list[0], kv_head);
    for (int i = 0; i < count; i++)
        memcpy(scratch->numbers + (ptrdiff_t)i * width, numbers_at(s->blocks, list[i], kv_head), (size_t)width * sizeof(float));
    return scratch->numbers;
}

/* Scores of AT_ONCE blocks at most: `step` lies between the vectors' products, `next` between the blocks'. */
static void take_largest(const scoring *s, const score_scratch *scratch, int32_t first, int count, ptrdiff_t step,
                         ptrdiff_t next)
{
    for (int g = 0, vector = 0; g < scratch->num_segments; vector = scratch->segment_end[g++]) {
        const int left = scratch->segment_row[g]->num_blocks - first, n = left < count ? left : count;
        float *to = scratch->segment_scores[g] + first;
        for (int i = 0; i < n; i++) {
            float largest = -INFINITY;
            for (int v = vector; v < scratch->segment_end[g]; v++) {
                const float product = scratch->products[v * step + i * next];
                largest = product > largest ? product : largest;
            }
            largest *= s->scale;
            to[i] = largest > to[i] ? largest : to[i];
        }
    }
}

/* All vectors against all blocks of their rows, which share one list. */
static void score_vectors(const scoring *s, score_scratch *scratch, int kv_head)
{
    const int32_t width = width_of(s->blocks);
    const int num = scratch->num_vectors, lanes = (num + LANE_UNIT - 1) / LANE_UNIT * LANE_UNIT;
    int32_t most = 0;
    for (int g = 0; g < scratch->num_segments; g++)
        most = scratch->segment_row[g]->num_blocks > most ? scratch->segment_row[g]->num_blocks : most;
    if (num > FEW) {
        const void *rows[MAX_LANES];
        for (int v = 0; v < num; v++) rows[v] = scratch->vectors + (ptrdiff_t)v * width;
        s->kernels->rows_to_lanes(scratch->lanes, lanes, rows, num, RMASK_FLOAT32, width, 1.0f);
    }
    for (int32_t first = 0; first < most; first += AT_ONCE) {
        const int count = most - first < AT_ONCE ? most - first : AT_ONCE;
        ptrdiff_t stride;
        const float *numbers = numbers_of(s, scratch, scratch->segment_row[0]->blocks + first, count, kv_head, &stride);
        if (num > FEW) {
            s->kernels->product(scratch->lanes, numbers, stride, 1, scratch->products, lanes, count, width, false);
            take_largest(s, scratch, first, count, 1, lanes);
        } else {
            for (int v = 0; v < num; v++)
                s->kernels->dot_keys(scratch->vectors + (ptrdiff_t)v * width, width, numbers, RMASK_FLOAT32, stride, 1, count,
                                     scratch->products + (ptrdiff_t)v * AT_ONCE);
            take_largest(s, scratch, first, count, AT_ONCE, 1);
        }
    }
    scratch->num_vectors = scratch->num_segments = 0;
}

static void end_segment(score_scratch *scratch, const rmask_key_row *row, float *scores)
{
    const int g = scratch->num_segments++;
    scratch->segment_end[g] = scratch->num_vectors;
    scratch->segment_row[g] = row;
    scratch->segment_scores[g] = scores;
}

static void add_row(const scoring *s, score_scratch *scratch, const rmask_key_row *row, int head)
{
    const int dim = s->blocks->head_dim, kv_head = head / s->group;
    const int32_t width = width_of(s->blocks);
    float line[MOST_DIM];
    float *scores = s->scores + ((size_t)(row - s->rows) * (size_t)s->num_heads + (size_t)head) * s->stride;
    for (int32_t i = 0; i < row->num_blocks; i++) scores[i] = -INFINITY;
    for (int32_t q = 0; q < row->num_queries; q++) {
        const bool begins = q == 0 || s->blocks->summary == RMASK_KEY_BOUNDS;
        if (begins && scratch->num_vectors == MAX_LANES) {
            if (q > 0) end_segment(scratch, row, scores);
            score_vectors(s, scratch, kv_head);
        }
        s->kernels->widen(line, tensor_at(s->query, 0, row->query_token + q, head), s->query->dtype, (size_t)dim);
        if (begins) scratch->num_vectors++;
        float *vector = scratch->vectors + (ptrdiff_t)(scratch->num_vectors - 1) * width;
        if (s->blocks->summary == RMASK_KEY_BOUNDS)
            for (int d = 0; d < dim; d++) vector[d] = line[d] < 0 ? 0 : line[d], vector[dim + d] = line[d] < 0 ? line[d] : 0;
        else
            gather_token(RMASK_KEY_MEANS, vector, line, dim, q == 0);
    }
    if (s->blocks->summary == RMASK_KEY_MEANS) {
        float *vector = scratch->vectors + (ptrdiff_t)(scratch->num_vectors - 1) * width;
        for (int d = 0; d < dim; d++) vector[d] /= (float)row->num_queries;
    }
    end_segment(scratch, row, scores);
}

/* Rows begin..end, which share a list of blocks, for the query heads of a KV head. */
static void score_rows(const scoring *s, score_scratch *scratch, int32_t begin, int32_t end, int kv_head)
{
    scratch->num_vectors = scratch->num_segments = 0;
    for (int32_t r = begin; r < end; r++)
        for (int head = kv_head * s->group; head < (kv_head + 1) * s->group; head++) add_row(s, scratch, &s->rows[r], head);
    if (scratch->num_vectors > 0) score_vectors(s, scratch, kv_head);
}

static rmask_status check_scoring(const scoring *s, int32_t num_rows, int32_t num_threads, rmask_error *error)
{
    RMASK_TRY(check_blocks(s->blocks, num_threads, error));
    RMASK_TRY(rmask_attention_check_tensor(s->query, "query", false, false, error));
    if (s->num_heads < 1 || s->num_heads % s->blocks->num_kv_heads != 0)
        return rmask_fail(error, RMASK_ERR_ARGUMENT,
                          "key blocks: %d heads over %d KV heads; heads must be a multiple of KV heads", s->num_heads,
                          s->blocks->num_kv_heads);
    if (!isfinite(s->scale) || s->scale <= 0)
        return rmask_fail(error, RMASK_ERR_ARGUMENT, "key blocks: a scale of %g; it must be above 0", (double)s->scale);
    if (num_rows < 0) return rmask_fail(error, RMASK_ERR_ARGUMENT, "key blocks: %d rows", num_rows);
    for (int32_t r = 0; r < num_rows; r++) {
        const rmask_key_row *row = &s->rows[r];
        if (row->num_queries < 1 || row->num_blocks < 0 || (size_t)row->num_blocks > s->stride)
            return rmask_fail(error, RMASK_ERR_ARGUMENT,
                              "key blocks: row %d has %d queries and %d blocks, and room for %zu scores", r, row->num_queries,
                              row->num_blocks, s->stride);
        /* A list that rows share is looked at once, as far as the longest of them goes. */
        const bool shared = r > 0 && row[-1].blocks == row->blocks;
        for (int32_t i = shared ? row[-1].num_blocks : 0; i < row->num_blocks; i++)
            RMASK_TRY(check_block(s->blocks, row->blocks[i], error));
    }
    return RMASK_OK;
}

rmask_status rmask_score_keys(const rmask_key_blocks *blocks, const rmask_tensor *query, int32_t num_heads, float scale,
                              const rmask_key_row *rows, int32_t num_rows, float *scores, size_t stride, int32_t num_threads,
                              rmask_error *error)
{
    const scoring s = {blocks, query, rmask_attention_kernels_get(), num_heads, 1, scale, rows, scores, stride};
    RMASK_TRY(check_scoring(&s, num_rows, num_threads, error));
    scoring job = s;
    job.group = num_heads / blocks->num_kv_heads;
    if (num_rows == 0) return RMASK_OK;

    /* Tasks: rows that share a list, of means as many as fill the lanes. */
    const rmask_allocator allocator = rmask_allocator_or_default(blocks->allocator);
    const int most_rows = blocks->summary == RMASK_KEY_BOUNDS ? 1 : MAX_LANES / job.group > 1 ? MAX_LANES / job.group : 1;
    int32_t *starts = rmask_allocate(&allocator, (size_t)num_rows + 1, sizeof *starts);
    if (!starts) return rmask_fail_nomem(error);
    int64_t num_batches = 0;
    double operations = 0;
    for (int32_t r = 0; r < num_rows; r++) {
        if (r == 0 || rows[r].blocks != rows[r - 1].blocks || r - starts[num_batches - 1] == most_rows)
            starts[num_batches++] = r;
        const int vectors = blocks->summary == RMASK_KEY_BOUNDS ? rows[r].num_queries : 1;
        operations += (double)vectors * rows[r].num_blocks * width_of(blocks) * num_heads;
    }
    starts[num_batches] = num_rows;
    const int64_t num_tasks = num_batches * blocks->num_kv_heads;
    const int threads = thread_count(num_threads, operations, num_tasks);
    const int32_t width = width_of(blocks);
    atomic_bool failed = false;
#pragma omp parallel num_threads(threads)
    {
        score_scratch scratch;
        scratch.vectors = rmask_allocate(&allocator, scratch_floats(width), sizeof(float));
        if (!scratch.vectors) {
            atomic_store(&failed, true);
        } else {
            scratch.lanes = scratch.vectors + (size_t)width * MAX_LANES;
            scratch.numbers = scratch.lanes + (size_t)width * MAX_LANES;
            scratch.products = scratch.numbers + (size_t)width * AT_ONCE;
        }
#pragma omp for schedule(dynamic, 1)
        for (int64_t i = 0; i < num_tasks; i++) {
            const int64_t batch = i / blocks->num_kv_heads;
            if (scratch.vectors) score_rows(&job, &scratch, starts[batch], starts[batch + 1], (int)(i % blocks->num_kv_heads));
        }
        rmask_free(&allocator, scratch.vectors, scratch_floats(width), sizeof(float));
    }
    (void)threads;
    rmask_free(&allocator, starts, (size_t)num_rows + 1, sizeof *starts);
    return atomic_load(&failed) ? rmask_fail_nomem(error) : RMASK_OK;
}
