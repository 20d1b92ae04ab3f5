/* SPDX-License-Identifier: Apache-2.0
 * Out of memory: each allocation of each function fails once. The status says so, outputs are NULL, nothing leaks, and what was
 * there before is as it was. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/folder.h"
#include "support/generate.h"
#include "support/hook.h"
#include "support/ways.h"

#include "roarmask/exchange.h"

/* A case is one or two masks in rows; every piece of work makes what it needs of them with the allocator under test. */
typedef struct pair {
    const twin *a, *b;
    int64_t *indptr; /* of a */
    int32_t *indices, *row_indices;
    uint8_t *bits;
    rmask *mask; /* a, made with malloc */
    rmask_function function;
} pair;

/* Checks the output of a function that has just ended: the mask of `t`, or NULL. Releases it. */
static rmask_status done(rmask_status status, rmask *out, const twin *t)
{
    expect((status == RMASK_OK) == (out != NULL), "status \"%s\" with %s", rmask_status_name(status),
           out ? "an output" : "no output");
    if (out && t) check_rows(out, t);
    rmask_release(out);
    return status;
}

/* ---------------------------------------------------------------- making */

static rmask_status from_csr(const rmask_allocator *allocator, void *context)
{
    const pair *p = context;
    rmask *out = (void *)&test_poison;
    rmask_status status = rmask_from_csr(p->a->rows, p->a->cols, p->indptr, p->indices, allocator, &out, NULL);
    return done(status, out, p->a);
}

static rmask_status from_coo(const rmask_allocator *allocator, void *context)
{
    const pair *p = context;
    rmask *out = (void *)&test_poison;
    size_t num_cells = (size_t)p->indptr[p->a->rows];
    rmask_status status = rmask_from_coo(p->a->rows, p->a->cols, p->row_indices, p->indices, num_cells, allocator, &out, NULL);
    return done(status, out, p->a);
}

static rmask_status from_bytes(const rmask_allocator *allocator, void *context)
{
    const pair *p = context;
    rmask *out = (void *)&test_poison;
    rmask_status status = rmask_from_bytes(p->a->rows, p->a->cols, p->a->cells, (size_t)p->a->cols, allocator, &out, NULL);
    return done(status, out, p->a);
}

static rmask_status from_bits(const rmask_allocator *allocator, void *context)
{
    const pair *p = context;
    rmask *out = (void *)&test_poison;
    size_t stride = ((size_t)p->a->cols + 7) / 8;
    rmask_status status = rmask_from_bits(p->a->rows, p->a->cols, p->bits, stride, allocator, &out, NULL);
    return done(status, out, p->a);
}

static rmask_status from_data(const rmask_allocator *allocator, void *context)
{
    const pair *p = context;
    rmask *out = (void *)&test_poison;
    size_t num_bytes;
    const void *data = rmask_data(p->mask, &num_bytes);
    rmask_status status = rmask_from_data(data, num_bytes, allocator, &out, NULL);
    return done(status, out, p->a);
}

static rmask_status from_expression(const rmask_allocator *allocator, void *context)
{
    const char *expression = context;
    rmask *out = (void *)&test_poison;
    rmask_status status = rmask_parse(expression, 60, 60, allocator, &out, NULL);
    return done(status, out, NULL);
}

/* ---------------------------------------------------------------- builders */

static rmask_status add_everything(rmask_builder *builder, const pair *p, const rmask *mask)
{
    rmask_status status = RMASK_OK;
    for (int32_t row = 0; row < p->a->rows && status == RMASK_OK; row++) {
        const int32_t *cols = p->indices + p->indptr[row];
        size_t num_cols = (size_t)(p->indptr[row + 1] - p->indptr[row]);
        if (row % 2) status = rmask_builder_add_sorted(builder, row, cols, num_cols, NULL);
        for (size_t i = 0; row % 2 == 0 && i < num_cols && status == RMASK_OK; i++)
            status = rmask_builder_add(builder, row, cols[i], cols[i] + 1, NULL);
        for (size_t i = 0; row % 3 == 0 && i <= num_cols && status == RMASK_OK; i++) {
            int32_t begin = i > 0 ? cols[i - 1] + 1 : 0, end = i < num_cols ? cols[i] : p->a->cols;
            status = rmask_builder_remove(builder, row, begin, end, NULL);
        }
    }
    return status == RMASK_OK ? rmask_builder_add_mask(builder, mask, NULL) : status;
}

static rmask_status build(const rmask_allocator *allocator, void *context)
{
    const pair *p = context;
    rmask_builder *builder = (void *)&test_poison;
    rmask *out = NULL;
    rmask_status status = rmask_builder_create(p->a->rows, p->a->cols, allocator, &builder, NULL);
    expect((status == RMASK_OK) == (builder != NULL), "status \"%s\" of create", rmask_status_name(status));
    if (status == RMASK_OK) status = add_everything(builder, p, p->mask);
    if (status == RMASK_OK) out = (void *)&test_poison, status = rmask_builder_freeze(builder, &out, NULL);
    rmask_builder_destroy(builder);
    return done(status, out, p->a);
}

/* Adds a row in a builder whose memory runs out there, sees that it is as it was before, and adds the row after all. */
static void add_row_again(rmask_builder *builder, const pair *p, int32_t row, const int32_t *cols, size_t num_cols)
{
    twin *t = twin_copy(p->a);
    rmask *out;
    for (int32_t later = row; later < t->rows; later++) twin_put(t, later, 0, t->cols, false);
    expect_ok(rmask_builder_freeze(builder, &out, test_error));
    check_rows_release(out, t);
    twin_free(t);
    expect_ok(rmask_builder_add_sorted(builder, row, cols, num_cols, test_error));
}

/* A call that fails for lack of memory leaves the builder as it was, and it can go on. */
static rmask_status build_and_go_on(const rmask_allocator *allocator, void *context)
{
    const pair *p = context;
    hook *h = allocator->context;
    rmask_builder *builder;
    rmask *out = NULL;
    rmask_status first = rmask_builder_create(p->a->rows, p->a->cols, allocator, &builder, NULL);
    if (first != RMASK_OK) return first;
    for (int32_t row = 0; row < p->a->rows; row++) {
        const int32_t *cols = p->indices + p->indptr[row];
        size_t num_cols = (size_t)(p->indptr[row + 1] - p->indptr[row]);
        rmask_status status = rmask_builder_add_sorted(builder, row, cols, num_cols, NULL);
        if (status == RMASK_OK) continue;
        first = status;
        h->fail_at = 0;
        add_row_again(builder, p, row, cols, num_cols);
    }
    rmask_status status = rmask_builder_freeze(builder, &out, NULL);
    if (status != RMASK_OK) {
        expect(out == NULL, "the output of a failed freeze is not NULL");
        first = status;
        h->fail_at = 0;
        expect_ok(rmask_builder_freeze(builder, &out, test_error));
    }
    rmask_builder_destroy(builder);
    check_rows_release(out, p->a);
    return first;
}

/* The same with calls in no order, which the builder may put off: a call that fails and a freeze that fails are made again. */
static rmask_status build_in_no_order(const rmask_allocator *allocator, void *context)
{
    rng random = *(const rng *)context;
    hook *h = allocator->context;
    rmask_builder *builder;
    rmask *out = NULL;
    twin *t = twin_create(3, 60);
    rmask_status first = rmask_builder_create(t->rows, t->cols, allocator, &builder, NULL), status = RMASK_OK;
    for (int i = 0; i < 300 && first == RMASK_OK; i++) {
        int32_t row = (int32_t)rng_below(&random, 3), begin = (int32_t)rng_between(&random, 0, t->cols);
        int32_t end = (int32_t)rng_between(&random, begin, t->cols);
        bool in = rng_chance(&random, 0.6);
        rmask_status (*change)(rmask_builder *, int32_t, int32_t, int32_t, rmask_error *) =
            in ? rmask_builder_add : rmask_builder_remove;
        twin_put(t, row, begin, end, in);
        status = change(builder, row, begin, end, NULL);
        if (status == RMASK_OK) continue;
        h->fail_at = 0;
        expect_ok(change(builder, row, begin, end, test_error));
        first = status;
    }
    if (builder && first == RMASK_OK) first = rmask_builder_freeze(builder, &out, NULL);
    h->fail_at = 0;
    rmask_release(out);
    if (builder) {
        expect_ok(rmask_builder_freeze(builder, &out, test_error));
        check_rows_release(out, t);
    }
    rmask_builder_destroy(builder);
    twin_free(t);
    return first;
}

/* ---------------------------------------------------------------- functions of masks */

/* Both masks live in the memory under test. */
static rmask_status make_both(const pair *p, const rmask_allocator *allocator, rmask **a, rmask **b)
{
    *a = *b = NULL;
    rmask_status status = rmask_from_bytes(p->a->rows, p->a->cols, p->a->cells, (size_t)p->a->cols, allocator, a, NULL);
    if (status == RMASK_OK)
        status = rmask_from_bytes(p->b->rows, p->b->cols, p->b->cells, (size_t)p->b->cols, allocator, b, NULL);
    return status;
}

static rmask_status combine(const rmask_allocator *allocator, void *context)
{
    const pair *p = context;
    rmask *a, *b, *out = NULL;
    rmask_status status = make_both(p, allocator, &a, &b);
    if (status == RMASK_OK) out = (void *)&test_poison, status = rmask_combine(a, b, p->function, &out, NULL);
    rmask_release(a), rmask_release(b);
    twin *t = twin_combine(p->a, p->b, p->function);
    status = done(status, out, t);
    twin_free(t);
    return status;
}

static rmask_status combine_by_name(const rmask_allocator *allocator, void *context)
{
    const pair *p = context;
    rmask *a, *b, *out[5] = {NULL};
    rmask_status status = make_both(p, allocator, &a, &b);
    if (status == RMASK_OK) status = rmask_and(a, b, &out[0], NULL);
    if (status == RMASK_OK) status = rmask_or(a, b, &out[1], NULL);
    if (status == RMASK_OK) status = rmask_xor(a, b, &out[2], NULL);
    if (status == RMASK_OK) status = rmask_and_not(a, b, &out[3], NULL);
    if (status == RMASK_OK) status = rmask_not(a, &out[4], NULL);
    for (int i = 0; i < 5; i++) rmask_release(out[i]);
    rmask_release(a), rmask_release(b);
    return status;
}

static rmask_status reshape(const rmask_allocator *allocator, void *context)
{
    const pair *p = context;
    const int32_t rows = p->a->rows, cols = p->a->cols, some_rows[] = {rows - 1, 0, 0, rows / 2};
    rmask *a, *b, *out[7] = {NULL};
    rmask_status status = make_both(p, allocator, &a, &b);
    const rmask *const both[2] = {a, b};
    if (status == RMASK_OK) status = rmask_slice(a, rows / 3, rows, cols / 3, cols, &out[0], NULL);
    if (status == RMASK_OK) status = rmask_shift(a, 1, -3, &out[1], NULL);
    if (status == RMASK_OK) status = rmask_concat(both, 2, NULL, &out[2], NULL);
    if (status == RMASK_OK) status = rmask_repeat(a, 2, &out[3], NULL);
    if (status == RMASK_OK) status = rmask_stack(both, 2, &out[4], NULL);
    if (status == RMASK_OK) status = rmask_take_rows(a, some_rows, 4, &out[5], NULL);
    if (status == RMASK_OK) status = rmask_transpose(a, &out[6], NULL);
    if (status == RMASK_OK) {
        expect(rmask_count(out[2]) == rmask_count(a) + rmask_count(b) && rmask_count(out[2]) == rmask_count(out[4]), "cells are lost");
        expect(rmask_count(out[3]) == 2 * rmask_count(a), "cells of a copy are lost");
    }
    for (int i = 0; i < 7; i++) rmask_release(out[i]);
    rmask_release(a), rmask_release(b);
    return status;
}

static rmask_status coarsen_and_refine(const rmask_allocator *allocator, void *context)
{
    const pair *p = context;
    rmask *a, *any = NULL, *all = NULL, *fine = NULL;
    rmask_status status = rmask_from_bytes(p->a->rows, p->a->cols, p->a->cells, (size_t)p->a->cols, allocator, &a, NULL);
    if (status == RMASK_OK) {
        any = all = (void *)&test_poison;
        status = rmask_coarsen(a, 2, 2, &any, &all, NULL);
        expect((status == RMASK_OK) == (any != NULL) && (any != NULL) == (all != NULL), "a failed coarsen has an output");
    }
    if (status == RMASK_OK) {
        rmask_release(all);
        all = (void *)&test_poison;
        status = rmask_coarsen(a, 3, 1, NULL, &all, NULL);
    }
    if (status == RMASK_OK) fine = (void *)&test_poison, status = rmask_refine(a, 2, 3, 2 * p->a->rows, 3 * p->a->cols - 1, &fine, NULL);
    rmask_release(a), rmask_release(any), rmask_release(all);
    return done(status, fine, NULL);
}

static int count_cells(void *context, int32_t row, const int32_t *cols, size_t num_cols)
{
    (void)row, (void)cols;
    *(uint64_t *)context += num_cols;
    return 0;
}

static rmask_status ask_rows(const rmask *a, const rmask *b, const twin *t)
{
    size_t count, wanted = twin_row_count(t, 0);
    const int32_t rows[] = {0, t->rows - 1, 0};
    int32_t *cols = must_allocate((size_t)t->cols * sizeof *cols);
    rmask_status status = rmask_row_combine(a, 0, b, 0, RMASK_OR, cols, (size_t)t->cols, &count, NULL);
    if (status == RMASK_OK) status = rmask_rows_or(a, rows, 1, cols, (size_t)t->cols, &count, NULL);
    expect(status != RMASK_OK || count == wanted, "rows_or of one row has %zu columns", count);
    if (status == RMASK_OK) status = rmask_rows_and(a, rows, 3, cols, (size_t)t->cols, &count, NULL);
    free(cols);
    return status;
}

static rmask_status ask(const rmask_allocator *allocator, void *context)
{
    const pair *p = context;
    rmask *a, *b;
    uint64_t count, visited = 0, wanted = twin_count(p->a);
    double overlap;
    bool equal;
    rmask_status status = make_both(p, allocator, &a, &b);
    if (status == RMASK_OK) status = rmask_combine_count(a, b, RMASK_OR, &count, NULL);
    if (status == RMASK_OK) status = rmask_jaccard(a, b, &overlap, NULL);
    if (status == RMASK_OK) status = rmask_equal(a, b, &equal, NULL);
    if (status == RMASK_OK) status = rmask_for_each_row(a, 0, p->a->rows, count_cells, &visited, NULL);
    expect(status != RMASK_OK || visited == wanted, "%llu cells visited", (unsigned long long)visited);
    status = status == RMASK_OK ? ask_rows(a, b, p->a) : status;
    if (a && status != RMASK_OK) check_rows(a, p->a);
    rmask_release(a), rmask_release(b);
    return status;
}

/* Out as one bitmap and as one a row, and back. */
static rmask_status exchange_bitmaps(const rmask_allocator *allocator, void *context)
{
    const pair *p = context;
    const size_t room = 1 << 20, row_room = 64 + (size_t)p->a->cols * 2;
    uint8_t *bytes = must_allocate(room), *row_bytes = must_allocate((size_t)p->a->rows * row_room);
    const void **bitmaps = must_allocate((size_t)p->a->rows * sizeof *bitmaps);
    size_t *num_bytes = must_allocate((size_t)p->a->rows * sizeof *num_bytes), size;
    rmask *a, *b, *out = NULL, *by_rows = NULL;
    rmask_status status = make_both(p, allocator, &a, &b);
    if (status == RMASK_OK) status = rmask_to_roaring(a, bytes, room, &size, NULL);
    for (int32_t row = 0; row < p->a->rows && status == RMASK_OK; row++) {
        bitmaps[row] = row_bytes + (size_t)row * row_room;
        status = rmask_row_to_roaring(a, row, row_bytes + (size_t)row * row_room, row_room, &num_bytes[row], NULL);
    }
    if (status == RMASK_OK)
        out = (void *)&test_poison,
        status = rmask_from_roaring(p->a->rows, p->a->cols, bytes, size, allocator, &out, NULL);
    if (status == RMASK_OK)
        by_rows = (void *)&test_poison,
        status = rmask_from_roaring_rows(p->a->rows, p->a->cols, bitmaps, num_bytes, allocator, &by_rows, NULL);
    expect(status == RMASK_OK || by_rows == NULL, "a failed output is not NULL");
    if (by_rows) check_rows_release(by_rows, p->a);
    if (status != RMASK_OK && out) rmask_release(out), out = NULL;
    rmask_release(a), rmask_release(b);
    free(bytes), free(row_bytes), free(bitmaps), free(num_bytes);
    return done(status, out, p->a);
}

static rmask_status save_and_load(const rmask_allocator *allocator, void *context)
{
    const pair *p = context;
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/roarmask-test-XXXXXX", temporary_folder());
    int file = mkstemp(path);
    rmask *a, *b, *out = NULL;
    expect(file >= 0 && close(file) == 0, "mkstemp");
    rmask_status status = make_both(p, allocator, &a, &b);
    if (status == RMASK_OK) status = rmask_save(a, path, NULL);
    if (status == RMASK_OK) out = (void *)&test_poison, status = rmask_load(path, allocator, &out, NULL);
    rmask_release(a), rmask_release(b);
    (void)unlink(path);
    return done(status, out, p->a);
}

/* A mapped mask: its rows are read before anybody has verified them, and after. */
static rmask_status open_and_verify(const rmask_allocator *allocator, void *context)
{
    const pair *p = context;
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/roarmask-test-XXXXXX", temporary_folder());
    int file = mkstemp(path);
    rmask *opened = (void *)&test_poison, *out = NULL;
    expect(file >= 0 && close(file) == 0, "mkstemp");
    size_t num_bytes;
    const void *data = rmask_data(p->mask, &num_bytes);
    write_file(path, data, num_bytes);
    rmask_status status = rmask_open(path, allocator, &opened, NULL);
    expect(status == RMASK_OK || opened == NULL, "the output of a failed call is not NULL");
    (void)unlink(path);
    if (status == RMASK_OK) check_rows(opened, p->a);
    if (status == RMASK_OK) status = rmask_verify(opened, NULL);
    if (status == RMASK_OK) out = (void *)&test_poison, status = rmask_and(opened, opened, &out, NULL);
    rmask_release(opened);
    return done(status, out, p->a);
}

/* ---------------------------------------------------------------- growing */

/* Grows a mask by rows of its own, by columns, and by all its rows again. */
enum { NUM_GROWTH_STEPS = 9 };

static rmask_status growth_step(rmask_grower *grower, const pair *p, int step, rmask_error *error)
{
    const int64_t *ends = p->indptr + p->a->rows / 2;
    switch (step % 4) {
    case 0: return rmask_grower_add_row(grower, p->indices + ends[0], (size_t)(ends[1] - ends[0]), error);
    case 1: return rmask_grower_add_cols(grower, step == 1 ? 0 : p->a->cols, error);
    case 2: return rmask_grower_extend(grower, step, error);
    default: return step == 3 ? rmask_grower_add_rows(grower, p->mask, error) : RMASK_OK;
    }
}

/* The mask as it is, made in spite of everything and without a trace in the hook's calls. */
static rmask *grown_mask(const rmask_grower *grower, hook *h)
{
    rmask *out;
    const size_t fail_at = h->fail_at, num_calls = h->num_calls;
    h->fail_at = 0;
    expect_ok(rmask_grower_mask(grower, &out, test_error));
    h->fail_at = fail_at;
    h->num_calls = num_calls;
    return out;
}

/* What a call leaves when it fails: rows, columns and cells of before. */
static void check_not_grown(const rmask_grower *grower, const rmask *before, hook *h)
{
    rmask *after = grown_mask(grower, h);
    h->fail_at = 0;
    expect_ok(rmask_verify(after, test_error));
    check_equal(before, after, true);
    rmask_release(after);
}

/* Whichever call fails, the grower is as it was, and goes on to the same mask; so do the masks taken before. */
static rmask_status grow_and_go_on(const rmask_allocator *allocator, void *context)
{
    const pair *p = context;
    hook *h = allocator->context;
    rmask_grower *grower = NULL, *sound;
    rmask *start, *before[NUM_GROWTH_STEPS + 1] = {NULL}, *wanted;
    rmask_status first = rmask_from_csr(p->a->rows, p->a->cols, p->indptr, p->indices, allocator, &start, NULL);
    if (first == RMASK_OK) grower = (void *)&test_poison, first = rmask_grower_create(start, &grower, NULL);
    rmask_release(start);
    expect((first == RMASK_OK) == (grower != NULL), "status \"%s\" of create", rmask_status_name(first));
    if (first != RMASK_OK) return first;
    expect_ok(rmask_grower_create(p->mask, &sound, test_error));
    for (int step = 0; step < NUM_GROWTH_STEPS; step++) {
        before[step] = grown_mask(grower, h);
        const rmask_status status = growth_step(grower, p, step, NULL);
        expect_ok(growth_step(sound, p, step, test_error));
        if (status == RMASK_OK) continue;
        first = status;
        check_not_grown(grower, before[step], h);
        expect_ok(growth_step(grower, p, step, test_error));
    }
    const rmask_status status = rmask_grower_mask(grower, &before[NUM_GROWTH_STEPS], NULL);
    size_t num_bytes = 1;
    if (status != RMASK_OK) {
        expect(before[NUM_GROWTH_STEPS] == NULL, "the output of a failed call is not NULL");
        first = status;
        before[NUM_GROWTH_STEPS] = grown_mask(grower, h);
    }
    if (!rmask_data(before[NUM_GROWTH_STEPS], &num_bytes)) {
        expect(num_bytes == 0, "no data, and %zu bytes of it", num_bytes);
        const rmask_status verified = rmask_verify(before[NUM_GROWTH_STEPS], NULL);
        expect(verified == (h->fail_on ? RMASK_ERR_NOMEM : RMASK_OK), "status \"%s\" of verify", rmask_status_name(verified));
        first = RMASK_ERR_NOMEM;
    }
    h->fail_at = 0;
    expect_ok(rmask_grower_mask(sound, &wanted, test_error));
    check_equal(wanted, before[NUM_GROWTH_STEPS], true);
    rmask_grower_destroy(grower), rmask_grower_destroy(sound);
    check_rows(before[0], p->a);
    for (int step = 0; step <= NUM_GROWTH_STEPS; step++) rmask_release(before[step]);
    rmask_release(wanted);
    return first;
}

/* ---------------------------------------------------------------- tests */

static const struct {
    const char *name;
    work_function work;
} works[] = {
    {"from_csr", from_csr},
    {"from_coo", from_coo},
    {"from_bytes", from_bytes},
    {"from_bits", from_bits},
    {"from_data", from_data},
    {"a builder", build},
    {"a builder that goes on", build_and_go_on},
    {"and, or, xor, and_not, not", combine_by_name},
    {"slice, shift, concat, repeat, stack, take_rows, transpose", reshape},
    {"counts, overlap, equality, rows", ask},
    {"coarsen and refine", coarsen_and_refine},
    {"save and load", save_and_load},
    {"a grower that goes on", grow_and_go_on},
    {"Roaring bitmaps", exchange_bitmaps},
    {"open and verify", open_and_verify},
};
enum { NUM_WORKS = sizeof works / sizeof works[0] };

static pair make_pair(const twin *a, const twin *b)
{
    size_t num_cells = twin_count(a), stride = ((size_t)a->cols + 7) / 8;
    pair p = {.a = a, .b = b, .mask = make_plain(a)};
    p.indptr = must_allocate(((size_t)a->rows + 1) * sizeof *p.indptr);
    p.indices = must_allocate(num_cells * sizeof *p.indices);
    p.row_indices = must_allocate(num_cells * sizeof *p.row_indices);
    p.bits = must_allocate((size_t)a->rows * stride);
    memset(p.bits, 0, (size_t)a->rows * stride);
    p.indptr[0] = 0;
    for (int32_t row = 0; row < a->rows; row++) {
        p.indptr[row + 1] = p.indptr[row] + (int64_t)twin_row(a, row, p.indices + p.indptr[row]);
        for (int64_t i = p.indptr[row]; i < p.indptr[row + 1]; i++) {
            p.row_indices[i] = row;
            p.bits[(size_t)row * stride + (size_t)p.indices[i] / 8] |= (uint8_t)(1 << p.indices[i] % 8);
        }
    }
    return p;
}

static void free_pair(pair *p)
{
    rmask_release(p->mask);
    free(p->indptr), free(p->indices), free(p->row_indices), free(p->bits);
}

static void every_function_runs_out_of_memory(void **state)
{
    (void)state;
    rng random = rng_here();
    for (int kind = 0; kind < NUM_KINDS; kind++) {
        twin *a = generate(kind, 25, 60, &random), *b = generate_any(25, 60, &random);
        pair p = make_pair(a, b);
        for (int i = 0; i < NUM_WORKS; i++) {
            note("%s of %s", works[i].name, kind_name(kind));
            expect(check_out_of_memory(works[i].work, &p) > 0, "no allocation goes through the hook");
        }
        for (int function = 0; function < 16; function++) {
            p.function = (rmask_function)function;
            note("function %d of %s and another", function, kind_name(kind));
            check_out_of_memory(combine, &p);
        }
        free_pair(&p);
        twin_free(a), twin_free(b);
    }
}

static void builders_run_out_of_memory_in_no_order(void **state)
{
    (void)state;
    rng random = rng_here();
    for (int i = 0; i < 4; i++) {
        note("calls in no order, %d", i);
        check_out_of_memory(build_in_no_order, &random);
        (void)rng_next(&random);
    }
}

/* Rows of several chunks take other paths. */
static void wide_rows_run_out_of_memory(void **state)
{
    (void)state;
    rng random = rng_here();
    for (int i = 0; i < 3; i++) {
        twin *a = twin_create(3, 150000), *b = twin_create(3, 150000);
        for (int k = 0; k < 60; k++) twin_at(a, (int32_t)rng_below(&random, 3))[rng_below(&random, a->cols)] = 1;
        for (int32_t col = 0; col < b->cols; col++) twin_at(b, i)[col] = rng_chance(&random, 0.3);
        pair p = make_pair(a, b);
        for (int k = 0; k < NUM_WORKS; k++) {
            note("%s of wide rows", works[k].name);
            check_out_of_memory(works[k].work, &p);
        }
        free_pair(&p);
        twin_free(a), twin_free(b);
    }
}

static void every_pattern_runs_out_of_memory(void **state)
{
    (void)state;
    static const char *const expressions[] = {
        "full",
        "causal",
        "window(5)",
        "window(5, 6)",
        "sink(3)",
        "global(4)",
        "local(8)",
        "dilated(4, 3)",
        "strided(5)",
        "columns(1, 5, 9)",
        "diagonals(0, 3, 40)",
        "documents(20, 30, 10)",
        "prefix(7)",
        "random(0.1, seed=4)",
        "tree(-1, 0, 0, 1, 2)",
        "causal & (sink(4) | window(9)) | random(0.05, seed=42)",
        "!((causal ^ strided(3)) - columns(4, 6)) & diagonals(1, 2, 5)",
    };
    for (size_t i = 0; i < sizeof expressions / sizeof expressions[0]; i++) {
        char expression[100];
        snprintf(expression, sizeof expression, "%s", expressions[i]);
        note("%s", expression);
        expect(check_out_of_memory(from_expression, expression) > 0, "no allocation goes through the hook");
    }
}

/* Where the header says that nothing is allocated. */
static void check_nothing_is_allocated(const rmask *mask, const twin *t, const hook *h)
{
    size_t num_calls = h->num_calls, room = (size_t)t->cols, count;
    int32_t *cols = must_allocate(room * sizeof *cols), *indices = must_allocate(twin_count(t) * sizeof *indices);
    int64_t *indptr = must_allocate(((size_t)t->rows + 1) * sizeof *indptr);
    uint64_t counts[9];
    rmask_stats stats;
    rmask_get_stats(mask, &stats);
    (void)rmask_contains(mask, t->rows / 2, t->cols / 2);
    for (int32_t row = 0; row < t->rows; row++) {
        expect_ok(rmask_row_count(mask, row, &count, test_error));
        expect_ok(rmask_row(mask, row, cols, room, &count, test_error));
        expect_ok(rmask_row_ranges(mask, row, cols, room / 2, &count, test_error));
        expect_ok(rmask_row_combine(mask, row, mask, t->rows - 1 - row, RMASK_XOR, cols, room, &count, test_error));
    }
    expect_ok(rmask_to_csr(mask, 0, t->rows, indptr, indices, (size_t)twin_count(t), test_error));
    expect_ok(rmask_raster(mask, 0, t->rows, 0, t->cols, 3, 3, counts, test_error));
    expect_ok(rmask_to_bits(mask, 0, 1, 0, t->cols, (uint8_t *)cols, room * sizeof *cols, test_error));
    expect_ok(rmask_to_bytes(mask, 0, 1, 0, t->cols, (uint8_t *)cols, room * sizeof *cols, test_error));
    expect(h->num_calls == num_calls, "%zu allocations while reading", h->num_calls - num_calls);
    free(cols), free(indices), free(indptr);
}

static void reading_allocates_nothing(void **state)
{
    (void)state;
    rng random = rng_here();
    for (int kind = 0; kind < NUM_KINDS; kind++) {
        hook h = {0};
        rmask_allocator allocator = hook_allocator(&h);
        twin *t = generate(kind, 150, 400, &random);
        rmask *mask = make(0, t, &allocator, &random);
        note("%s", kind_name(kind));
        check_nothing_is_allocated(mask, t, &h);
        rmask_release(mask), twin_free(t);
    }
}

static void messages_name_the_memory(void **state)
{
    (void)state;
    rmask *out;
    hook h = {.fail_at = 1, .fail_on = true};
    rmask_allocator allocator = hook_allocator(&h);
    const int64_t indptr[] = {0, 1, 2};
    const int32_t indices[] = {0, 1};
    expect_makes_nothing(RMASK_ERR_NOMEM, out, rmask_from_csr(2, 2, indptr, indices, &allocator, &out, test_error));
    expect(strstr(test_error->message, "memory") != NULL, "%s", test_error->message);
    expect_makes_nothing(RMASK_ERR_NOMEM, out, rmask_parse("causal", 9, 9, &allocator, &out, test_error));
    rmask_builder *builder;
    expect_makes_nothing(RMASK_ERR_NOMEM, builder, rmask_builder_create(2, 2, &allocator, &builder, test_error));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_function_runs_out_of_memory), cmocka_unit_test(builders_run_out_of_memory_in_no_order),
        cmocka_unit_test(wide_rows_run_out_of_memory),       cmocka_unit_test(every_pattern_runs_out_of_memory),
        cmocka_unit_test(reading_allocates_nothing),         cmocka_unit_test(messages_name_the_memory),
    };
    return run_test_program(tests);
}
