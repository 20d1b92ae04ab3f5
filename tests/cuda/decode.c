/* SPDX-License-Identifier: Apache-2.0
 * The decode step, held against a loop over pages. */
#include "checks.h"

#include "roarmask/export.h"
#include "support/ways.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_REQUESTS = 12, MAX_PAGES = 3000, MAX_HEADS = 24 };

/* Requests on the host, sent there and worked on. */
typedef struct batch {
    int32_t num, page, rows[MAX_REQUESTS], lens[MAX_REQUESTS], stride, out_stride;
    int32_t num_groups, num_heads, which_stride, which[MAX_REQUESTS * (MAX_HEADS + 2)]; /* heads of a group */
    bool has_rows;
    int32_t *table, *out, *counts, *out_lens; /* results are malloc'ed */
} batch;

static void batch_run(batch *b, const rmask_cuda_mask *handles, int32_t num_masks, rng *random)
{
    const size_t ints = (size_t)b->num * sizeof(int32_t);
    const buffer masks = buffer_of(handles, (size_t)num_masks * sizeof *handles), which = buffer_of(b->which, sizeof b->which), rows = buffer_of(b->rows, ints),
                 lens = buffer_of(b->lens, ints), table = buffer_of(b->table, ints * (size_t)b->stride),
                 out = buffer_make(ints * (size_t)b->num_groups * (size_t)b->out_stride, 0), counts = buffer_make(ints * (size_t)b->num_groups, 0),
                 out_lens = buffer_make(ints * (size_t)b->num_groups, 0);
    const rmask_cuda_requests requests = {
        .masks = (const rmask_cuda_mask *)(const void *)masks.at,
        .num_masks = num_masks,
        .num_requests = b->num,
        .num_groups = b->num_groups,
        .heads_per_group = b->num_heads,
        .which_stride = (uint64_t)b->which_stride,
        .which = (const int32_t *)(const void *)which.at,
        .rows = b->has_rows ? (const int32_t *)(const void *)rows.at : NULL,
        .seq_lens = (const int32_t *)(const void *)lens.at,
        .block_table = (const int32_t *)(const void *)table.at,
        .table_stride = (uint64_t)b->stride,
        .page_tokens = b->page,
        .out_table = (int32_t *)(void *)out.at,
        .out_stride = (uint64_t)b->out_stride,
        .out_counts = (int32_t *)(void *)counts.at,
        .out_lens = (int32_t *)(void *)out_lens.at,
    };
    place_shuffle(random);
    expect_ok(rmask_cuda_pages(&requests, NULL, test_error));
    buffer_drop(masks), buffer_drop(which), buffer_drop(rows), buffer_drop(lens), buffer_drop(table);
    b->out = buffer_take(out);
    b->counts = buffer_take(counts);
    b->out_lens = buffer_take(out_lens);
}

/* What a group of a request wants, worked out page by page: the kept pages in `pages`; -1 for one that makes no sense. */
static int32_t wanted_pages(const batch *b, int32_t r, int32_t group, const twin *const *twins, int32_t num_masks, int32_t *pages, int32_t *tokens)
{
    *tokens = 0;
    if (b->lens[r] < 1) return 0;
    const int32_t last = (b->lens[r] - 1) / b->page, row = b->has_rows ? b->rows[r] : last, *which = b->which + r * b->which_stride + group * b->num_heads;
    if (last >= b->stride) return -1;
    for (int32_t h = 0; h < b->num_heads; h++)
        if (which[h] >= num_masks || (which[h] >= 0 && (last >= twins[which[h]]->cols || row < 0 || row >= twins[which[h]]->rows))) return -1;
    int32_t kept = 0;
    for (int32_t p = 0; p <= last; p++) {
        bool is_kept = p == last;
        for (int32_t h = 0; h < b->num_heads; h++) is_kept |= which[h] < 0 || twin_at(twins[which[h]], row)[p];
        if (!is_kept) continue;
        pages[kept++] = b->table[r * b->stride + p];
        *tokens += p < last ? b->page : b->lens[r] - last * b->page;
    }
    if (kept <= b->out_stride) return kept;
    *tokens = 0;
    return -1;
}

static void the_decode_step_keeps_the_pages(void **state)
{
    (void)state;
    rng random = rng_here();
    int32_t *pages = must_allocate(MAX_PAGES * sizeof *pages);
    int seen_bad = 0, seen_empty = 0, seen_dense = 0, seen_union = 0;
    for (int i = 0; i < 300; i++) {
        enum { NUM_MASKS = 4 };
        const shape grid = i % 10 == 0 ? (shape){20, MAX_PAGES} : random_shape(4000, &random);
        twin *twins[NUM_MASKS];
        rmask *masks[NUM_MASKS];
        rmask_cuda_mask handles[NUM_MASKS];
        buffer data[NUM_MASKS];
        for (int k = 0; k < NUM_MASKS; k++) {
            twins[k] = generate_any(grid.rows, grid.cols, &random);
            masks[k] = make_any(twins[k], &random);
            data[k] = upload(masks[k], &handles[k]);
        }
        batch b = {.num = (int32_t)rng_between(&random, 1, MAX_REQUESTS), .page = (int32_t)rng_between(&random, 1, 17), .has_rows = rng_chance(&random, 0.5)};
        const bool careful = i % 2 == 0;
        b.num_groups = i % 3 ? 1 : (int32_t)rng_between(&random, 2, 4);
        b.num_heads = i % 3 == 1 ? 1 : (int32_t)rng_between(&random, 1, MAX_HEADS / b.num_groups < MAX_MASKS ? MAX_HEADS / b.num_groups : MAX_MASKS);
        b.which_stride = rng_chance(&random, 0.2) ? 0 : b.num_groups * b.num_heads + (int32_t)rng_below(&random, 3);
        b.stride = careful ? grid.cols : (int32_t)rng_between(&random, 1, grid.cols + 2);
        b.out_stride = careful ? grid.cols : (int32_t)rng_below(&random, grid.cols + 1);
        b.table = must_allocate((size_t)b.num * (size_t)b.stride * sizeof *b.table);
        for (int32_t k = 0; k < b.num * b.stride; k++) b.table[k] = (int32_t)rng_next(&random);
        for (int32_t r = 0; r < b.num; r++) {
            for (int32_t h = 0; h < b.num_groups * b.num_heads; h++) {
                const bool is_odd = !careful && rng_chance(&random, 0.5 / (b.num_groups * b.num_heads));
                b.which[r * b.which_stride + h] = is_odd ? (rng_chance(&random, 0.7) ? -2 : NUM_MASKS) : (int32_t)rng_below(&random, NUM_MASKS);
            }
            b.rows[r] = (int32_t)rng_between(&random, careful ? 0 : -1, careful ? grid.rows - 1 : grid.rows);
            b.lens[r] = (int32_t)(!careful && rng_chance(&random, 0.1) ? rng_between(&random, -1, 0) : rng_between(&random, 1, (grid.cols + !careful) * b.page));
            if (careful && !b.has_rows && b.lens[r] > grid.rows * b.page) b.lens[r] = grid.rows * b.page;
        }
        note("case %d: %d requests on %d x %d, pages of %d, strides %d and %d", i, (int)b.num, (int)grid.rows, (int)grid.cols, (int)b.page, (int)b.stride,
             (int)b.out_stride);
        batch_run(&b, handles, NUM_MASKS, &random);
        for (int32_t k = 0; k < b.num * b.num_groups; k++) {
            const int32_t r = k / b.num_groups, group = k % b.num_groups, *which = b.which + r * b.which_stride + group * b.num_heads;
            int32_t tokens;
            const int32_t kept = wanted_pages(&b, r, group, (const twin *const *)twins, NUM_MASKS, pages, &tokens);
            seen_bad += kept < 0, seen_empty += kept == 0, seen_union += kept > 0 && b.num_heads > 1;
            for (int32_t h = 0; h < b.num_heads && kept > 0; h++) seen_dense += which[h] < 0;
            expect(b.counts[k] == kept && b.out_lens[k] == tokens, "request %d, group %d: %d pages of %d tokens, not %d of %d", (int)r, (int)group,
                   (int)b.counts[k], (int)b.out_lens[k], (int)kept, (int)tokens);
            const int32_t *out = b.out + (size_t)k * (size_t)b.out_stride;
            if (kept > 0) expect(memcmp(out, pages, (size_t)kept * sizeof *pages) == 0, "request %d, group %d", (int)r, (int)group);
            for (int32_t p = kept > 0 ? kept : 0; p < b.out_stride; p++) expect(out[p] == 0x5a5a5a5a, "request %d is written past its end", (int)r);
            if (!careful) continue;
            rmask *mask = rmask_retain(masks[which[0]]); /* bit for bit what the library exports */
            for (int32_t h = 1; h < b.num_heads; h++) {
                rmask *before = mask;
                expect_ok(rmask_or(before, masks[which[h]], &mask, test_error));
                rmask_release(before);
            }
            const rmask *const_mask = mask;
            const int32_t row = b.has_rows ? b.rows[r] : (b.lens[r] - 1) / b.page;
            int32_t count, len;
            expect_ok(rmask_export_pages(&const_mask, &row, 1, b.table + r * b.stride, (size_t)b.stride, &b.lens[r], b.page, pages, MAX_PAGES, &count, &len,
                                         test_error));
            expect(count == b.counts[k] && len == b.out_lens[k] && memcmp(pages, out, (size_t)count * sizeof *pages) == 0, "request %d", (int)r);
            rmask_release(mask);
        }
        free(b.table), free(b.out), free(b.counts), free(b.out_lens);
        for (int k = 0; k < NUM_MASKS; k++) buffer_drop(data[k]), rmask_release(masks[k]), twin_free(twins[k]);
    }
    expect(seen_bad > 50 && seen_empty > 20 && seen_dense > 50 && seen_union > 200, "too few of a sort: %d, %d, %d, %d", seen_bad, seen_empty, seen_dense,
           seen_union);
    free(pages);
}

static void the_longest_sequence_does_not_overflow(void **state)
{
    (void)state;
    rng random = rng_here();
    rmask *mask;
    rmask_cuda_mask handle;
    expect_ok(rmask_parse("full", 1 << 12, 1 << 12, NULL, &mask, test_error));
    const buffer data = upload(mask, &handle);
    batch b = {.num = 2, .page = 1 << 19, .num_groups = 1, .num_heads = 1, .which_stride = 1, .which = {0, -1}, .lens = {INT32_MAX, INT32_MAX}, .stride = 1 << 12, .out_stride = 1 << 12};
    b.table = must_allocate(sizeof(int32_t) * 2 * (1 << 12));
    memset(b.table, 0, sizeof(int32_t) * 2 * (1 << 12));
    batch_run(&b, &handle, 1, &random);
    for (int r = 0; r < 2; r++) expect(b.counts[r] == 1 << 12 && b.out_lens[r] == INT32_MAX, "%d pages of %d tokens", (int)b.counts[r], (int)b.out_lens[r]);
    free(b.table), free(b.out), free(b.counts), free(b.out_lens), buffer_drop(data), rmask_release(mask);
}

int run_decode_tests(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_decode_step_keeps_the_pages),
        cmocka_unit_test(the_longest_sequence_does_not_overflow),
    };
    return run_test_program(tests);
}
