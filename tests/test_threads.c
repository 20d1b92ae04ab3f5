/* SPDX-License-Identifier: Apache-2.0
 * Many threads with one mask, or one atlas: reading, retaining and releasing, combining; and with masks of a grower that goes on
 * meanwhile. The thread sanitizer watches; without it, answers and references still have to be right. Expectations are for the main
 * thread, so the others only count what is wrong. */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "support/folder.h"
#include "support/model.h"
#include "support/ways.h"

enum { NUM_THREADS = 8, NUM_ROUNDS = 30 };

/* ---------------------------------------------------------------- an allocator that threads may share */

typedef struct shared_hook {
    _Atomic size_t num_blocks, num_bytes;
} shared_hook;

static void *shared_allocate(void *context, size_t num_bytes)
{
    shared_hook *h = context;
    atomic_fetch_add(&h->num_blocks, 1);
    atomic_fetch_add(&h->num_bytes, num_bytes);
    return malloc(num_bytes);
}

static void shared_release(void *context, void *memory, size_t num_bytes)
{
    shared_hook *h = context;
    atomic_fetch_sub(&h->num_blocks, 1);
    atomic_fetch_sub(&h->num_bytes, num_bytes);
    free(memory);
}

/* ---------------------------------------------------------------- what each thread does */

typedef struct task {
    rmask *mask, *other;
    const twin *t, *both; /* both: the cells of mask and other */
    int number;
    size_t num_wrong;
} task;

static int compare_row(void *context, int32_t row, const int32_t *cols, size_t num_cols)
{
    task *k = context;
    int32_t *wanted = malloc(((size_t)k->t->cols + 1) * sizeof *wanted);
    if (!wanted) return 1;
    size_t num_wanted = twin_row(k->t, row, wanted);
    k->num_wrong += num_cols != num_wanted || (num_cols && memcmp(cols, wanted, num_cols * sizeof *cols) != 0);
    free(wanted);
    return 0;
}

static void read_everything(task *k)
{
    rmask_error error;
    int32_t rows = k->t->rows, row = k->number % rows;
    uint64_t counts[4], sum = 0;
    size_t count;
    k->num_wrong += rmask_for_each_row(k->mask, 0, rows, compare_row, k, &error) != RMASK_OK;
    for (int32_t col = 0; col < k->t->cols; col++) k->num_wrong += rmask_contains(k->mask, row, col) != twin_at(k->t, row)[col];
    k->num_wrong += rmask_row_count(k->mask, row, &count, &error) != RMASK_OK || count != twin_row_count(k->t, row);
    k->num_wrong += rmask_row(k->mask, rows, NULL, 0, &count, &error) != RMASK_ERR_RANGE;
    k->num_wrong += rmask_raster(k->mask, 0, rows, 0, k->t->cols, 2, 2, counts, &error) != RMASK_OK;
    for (int i = 0; i < 4; i++) sum += counts[i];
    k->num_wrong += sum != rmask_count(k->mask);
}

static void combine_everything(task *k)
{
    uint64_t count = 0;
    bool equal = true;
    rmask *result;
    rmask_error error;
    if (rmask_and(k->mask, k->other, &result, &error) != RMASK_OK) {
        k->num_wrong++;
        return;
    }
    k->num_wrong += rmask_count(result) != twin_count(k->both);
    k->num_wrong += rmask_combine_count(result, k->other, RMASK_AND_NOT, &count, &error) != RMASK_OK || count != 0;
    k->num_wrong += rmask_equal(result, k->mask, &equal, &error) != RMASK_OK || equal != twin_equal(k->t, k->both);
    rmask_release(result);
}

/* Owns a reference to both masks and drops it at the end: the last thread frees them. */
static void *work(void *argument)
{
    task *k = argument;
    for (int round = 0; round < NUM_ROUNDS; round++) {
        rmask *again = rmask_retain(k->mask);
        if (round % 2)
            read_everything(k);
        else
            combine_everything(k);
        rmask_release(again);
    }
    rmask_release(k->mask), rmask_release(k->other);
    return NULL;
}

/* ---------------------------------------------------------------- tests */

static void run_threads(rmask *mask, rmask *other, const twin *t, const twin *both)
{
    pthread_t threads[NUM_THREADS];
    task tasks[NUM_THREADS];
    for (int i = 0; i < NUM_THREADS; i++) {
        tasks[i] = (task){rmask_retain(mask), rmask_retain(other), t, both, i, 0};
        expect(pthread_create(&threads[i], NULL, work, &tasks[i]) == 0, "pthread_create");
    }
    rmask_release(mask), rmask_release(other);
    for (int i = 0; i < NUM_THREADS; i++) {
        expect(pthread_join(threads[i], NULL) == 0, "pthread_join");
        expect(tasks[i].num_wrong == 0, "thread %d: %zu wrong answers", i, tasks[i].num_wrong);
    }
}

static void threads_share_masks(void **state)
{
    (void)state;
    rng random = rng_here();
    for (int kind = 0; kind < NUM_KINDS; kind += 3) {
        shared_hook h = {0};
        rmask_allocator allocator = {shared_allocate, shared_release, &h};
        twin *ta = generate(kind, 50, 120, &random), *tb = generate_any(50, 120, &random);
        twin *both = twin_combine(ta, tb, RMASK_AND);
        note("%s in %d threads", kind_name(kind), NUM_THREADS);
        run_threads(make(0, ta, &allocator, &random), make(1, tb, &allocator, &random), ta, both);
        expect(h.num_blocks == 0 && h.num_bytes == 0, "%zu blocks have leaked", (size_t)h.num_blocks);
        twin_free(ta), twin_free(tb), twin_free(both);
    }
}

static pthread_barrier_t together;

static void *use_first(void *argument)
{
    (void)argument;
    const uint8_t cells[64] = {1, 0, 1};
    rmask *mask = NULL;
    int32_t cols[64];
    size_t count = 0;
    pthread_barrier_wait(&together);
    bool right = rmask_from_bytes(1, 64, cells, 64, NULL, &mask, NULL) == RMASK_OK &&
                 rmask_row(mask, 0, cols, 64, &count, NULL) == RMASK_OK && count == 2 && cols[0] == 0 && cols[1] == 2;
    rmask_release(mask);
    return right ? (void *)rmask_simd_tier() : NULL;
}

/* The choice of a tier is the library's only state, and the first calls of all may come from many threads at once. That is why
 * main runs this before anything else has used the library. */
static size_t num_first_uses_wrong(void)
{
    pthread_t threads[NUM_THREADS];
    size_t num_wrong = 0;
    const void *first = NULL;
    pthread_barrier_init(&together, NULL, NUM_THREADS);
    for (int i = 0; i < NUM_THREADS; i++)
        if (pthread_create(&threads[i], NULL, use_first, NULL) != 0) abort();
    for (int i = 0; i < NUM_THREADS; i++) {
        void *tier = NULL;
        pthread_join(threads[i], &tier);
        if (i == 0) first = tier;
        num_wrong += tier == NULL || tier != first;
    }
    pthread_barrier_destroy(&together);
    return num_wrong;
}

static size_t num_wrong_at_first;

static void threads_use_the_library_first(void **state)
{
    (void)state;
    expect(num_wrong_at_first == 0, "%zu threads disagree", num_wrong_at_first);
}

/* One builder a thread: nothing is shared behind their backs. */
static void *build_alone(void *argument)
{
    task *k = argument;
    rmask_builder *builder;
    rmask *mask;
    if (rmask_builder_create(k->t->rows, k->t->cols, NULL, &builder, NULL) != RMASK_OK) return NULL;
    for (int32_t row = 0; row < k->t->rows; row++)
        for (int32_t col = 0; col < k->t->cols; col++)
            if (twin_at(k->t, row)[col]) k->num_wrong += rmask_builder_add(builder, row, col, col + 1, NULL) != RMASK_OK;
    k->num_wrong += rmask_builder_add_mask(builder, k->other, NULL) != RMASK_OK;
    if (rmask_builder_freeze(builder, &mask, NULL) == RMASK_OK) k->mask = mask;
    rmask_builder_destroy(builder);
    return NULL;
}

static void threads_build_masks(void **state)
{
    (void)state;
    rng random = rng_here();
    pthread_t threads[NUM_THREADS];
    task tasks[NUM_THREADS];
    twin *t = generate_named("noisy structure", 40, 90, &random), *other = generate_named("window", 40, 90, &random);
    twin *either = twin_combine(t, other, RMASK_OR);
    rmask *mask = make_plain(other);
    for (int i = 0; i < NUM_THREADS; i++) {
        tasks[i] = (task){NULL, mask, t, NULL, i, 0};
        expect(pthread_create(&threads[i], NULL, build_alone, &tasks[i]) == 0, "pthread_create");
    }
    for (int i = 0; i < NUM_THREADS; i++) {
        expect(pthread_join(threads[i], NULL) == 0, "pthread_join");
        expect(tasks[i].num_wrong == 0 && tasks[i].mask, "thread %d failed", i);
        check_rows_release(tasks[i].mask, either);
    }
    rmask_release(mask);
    twin_free(t), twin_free(other), twin_free(either);
}

/* ---------------------------------------------------------------- an atlas */

typedef struct atlas_task {
    rmask_atlas *atlas;
    const model *m;
    int number;
    size_t num_wrong;
} atlas_task;

/* A mask that outlives this thread's reference to the atlas, and perhaps the atlas. */
static void read_entry(atlas_task *k, int entry, rmask **kept)
{
    const rmask *mask;
    k->num_wrong += rmask_atlas_mask(k->atlas, entry / k->m->heads, entry % k->m->heads, &mask, NULL) != RMASK_OK;
    k->num_wrong += (mask ? rmask_count(mask) : (uint64_t)k->m->rows * (uint64_t)k->m->cols) != twin_count(model_entry(k->m, entry));
    rmask_release(*kept);
    *kept = mask ? rmask_retain(mask) : NULL;
}

static void *use_atlas(void *argument)
{
    atlas_task *k = argument;
    rmask *kept = NULL;
    for (int round = 0; round < NUM_ROUNDS; round++) {
        rmask_atlas *same = NULL;
        bool equal = false;
        read_entry(k, (round + k->number) % model_entries(k->m), &kept);
        k->num_wrong += rmask_atlas_combine(k->atlas, k->atlas, RMASK_AND, NULL, &same, NULL) != RMASK_OK;
        k->num_wrong += !same || rmask_atlas_equal(k->atlas, same, &equal, NULL) != RMASK_OK || !equal;
        k->num_wrong += round == 0 && rmask_atlas_verify(k->atlas, NULL) != RMASK_OK;
        rmask_atlas_release(same);
    }
    rmask_atlas_release(k->atlas);
    size_t count;
    for (int32_t row = 0; kept && row < k->m->rows; row++) k->num_wrong += rmask_row_count(kept, row, &count, NULL) != RMASK_OK;
    rmask_release(kept);
    return NULL;
}

/* The atlas is mapped, so the threads also compete for saying that its rows are sound. */
static void threads_share_an_atlas(void **state)
{
    (void)state;
    rng random = rng_here();
    for (int i = 0; i < 4; i++) {
        pthread_t threads[NUM_THREADS];
        atlas_task tasks[NUM_THREADS];
        shared_hook h = {0};
        rmask_allocator allocator = {shared_allocate, shared_release, &h};
        model m = model_create(3, 4, (shape){30, 60}, 6, &random);
        rmask_atlas *atlas = model_atlas(&m, NULL, &random);
        expect_ok(rmask_atlas_save(atlas, in_folder("a.ratlas"), test_error));
        rmask_atlas_release(atlas);
        expect_ok(rmask_atlas_open(in_folder("a.ratlas"), &allocator, &atlas, test_error));
        for (int k = 0; k < NUM_THREADS; k++) {
            tasks[k] = (atlas_task){rmask_atlas_retain(atlas), &m, k, 0};
            expect(pthread_create(&threads[k], NULL, use_atlas, &tasks[k]) == 0, "pthread_create");
        }
        rmask_atlas_release(atlas);
        for (int k = 0; k < NUM_THREADS; k++) {
            expect(pthread_join(threads[k], NULL) == 0, "pthread_join");
            expect(tasks[k].num_wrong == 0, "thread %d: %zu wrong answers", k, tasks[k].num_wrong);
        }
        expect(h.num_blocks == 0 && h.num_bytes == 0, "%zu blocks have leaked", (size_t)h.num_blocks);
        model_free(&m);
    }
}

/* ---------------------------------------------------------------- one appender, many readers */

enum { NUM_READERS = 4, NUM_GROWN_ROWS = 600, HANDED_OVER_EVERY = 20, NUM_HANDED_OVER = NUM_GROWN_ROWS / HANDED_OVER_EVERY };

/* Masks that the appender has taken from its grower, in their order. */
typedef struct handover {
    rmask *_Atomic masks[NUM_HANDED_OVER];
    _Atomic size_t num_wrong;
} handover;

static bool in_grown(int32_t row, int32_t col)
{
    return col <= row && (row % 7 == 0 ? col * 2654435761u >> 30 == 0 : row - col < 9);
}

static size_t num_wrong_in_row(const rmask *mask, int32_t row)
{
    int32_t cols[NUM_GROWN_ROWS];
    size_t count = 0, at = 0, num_wrong = rmask_row(mask, row, cols, NUM_GROWN_ROWS, &count, NULL) != RMASK_OK;
    for (int32_t col = 0; col <= row; col++)
        if (in_grown(row, col)) num_wrong += at >= count || cols[at++] != col;
    return num_wrong + (at != count);
}

/* Reads masks as they come, the flat buffer of each at the same time as the other readers. */
static void *read_handed_over(void *argument)
{
    handover *h = argument;
    size_t num_wrong = 0, num_bytes, num_bytes_copy;
    for (int i = 0; i < NUM_HANDED_OVER; i++) {
        rmask *mask, *copy;
        bool equal = false;
        while (!(mask = atomic_load(&h->masks[i]))) sched_yield();
        for (int32_t row = 0; row < rmask_rows(mask); row++) num_wrong += num_wrong_in_row(mask, row);
        num_wrong += rmask_rows(mask) != (i + 1) * HANDED_OVER_EVERY;
        const void *data = rmask_data(mask, &num_bytes);
        num_wrong += !data || rmask_from_data(data, num_bytes, NULL, &copy, NULL) != RMASK_OK;
        num_wrong += rmask_equal(mask, copy, &equal, NULL) != RMASK_OK || !equal || !rmask_data(copy, &num_bytes_copy);
        num_wrong += num_bytes != num_bytes_copy || rmask_verify(mask, NULL) != RMASK_OK;
        rmask_release(copy), rmask_release(mask);
    }
    atomic_fetch_add(&h->num_wrong, num_wrong);
    return NULL;
}

static void append_and_hand_over(handover *h, rmask_grower *grower)
{
    for (int32_t row = 0; row < NUM_GROWN_ROWS; row++) {
        int32_t cols[NUM_GROWN_ROWS];
        size_t num_cols = 0;
        for (int32_t col = 0; col <= row; col++)
            if (in_grown(row, col)) cols[num_cols++] = col;
        expect_ok(rmask_grower_add_cols(grower, 1, test_error));
        expect_ok(rmask_grower_add_row(grower, cols, num_cols, test_error));
        if ((row + 1) % HANDED_OVER_EVERY) continue;
        rmask *mask;
        expect_ok(rmask_grower_mask(grower, &mask, test_error));
        for (int i = 1; i < NUM_READERS; i++) rmask_retain(mask);
        atomic_store(&h->masks[row / HANDED_OVER_EVERY], mask);
    }
}

static void threads_read_while_one_appends(void **state)
{
    (void)state;
    static handover h;
    shared_hook memory = {0};
    const rmask_allocator allocator = {shared_allocate, shared_release, &memory};
    pthread_t threads[NUM_READERS];
    rmask *nothing;
    rmask_grower *grower;
    expect_ok(rmask_parse("none", 0, 0, &allocator, &nothing, test_error));
    expect_ok(rmask_grower_create(nothing, &grower, test_error));
    rmask_release(nothing);
    for (int i = 0; i < NUM_READERS; i++)
        expect(pthread_create(&threads[i], NULL, read_handed_over, &h) == 0, "pthread_create");
    append_and_hand_over(&h, grower);
    rmask_grower_destroy(grower);
    for (int i = 0; i < NUM_READERS; i++) expect(pthread_join(threads[i], NULL) == 0, "pthread_join");
    expect(h.num_wrong == 0, "%zu wrong answers", (size_t)h.num_wrong);
    expect(memory.num_blocks == 0 && memory.num_bytes == 0, "%zu blocks have leaked", (size_t)memory.num_blocks);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_use_the_library_first),
        cmocka_unit_test(threads_share_masks),
        cmocka_unit_test(threads_build_masks),
        cmocka_unit_test_setup_teardown(threads_share_an_atlas, make_folder, remove_folder),
        cmocka_unit_test(threads_read_while_one_appends),
    };
    num_wrong_at_first = num_first_uses_wrong();
    return run_test_program(tests);
}
