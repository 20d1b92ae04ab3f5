/* SPDX-License-Identifier: Apache-2.0
 * Attention called by many threads at once, over the same masks, keys and values. Each call runs on its own thread only:
 * OpenMP's runtime is not built for the thread sanitizer, which would take what it does between its threads for races. That
 * these share nothing shows in test_attention: the bits are the same for any number. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "support/problem.h"

enum { NUM_CALLERS = 6, NUM_ROUNDS = 10 };

typedef struct caller {
    rmask_attention_args args;
    void *out;
    size_t out_bytes;
    const void *wanted;
    int num_wrong;
} caller;

static void *call(void *context)
{
    caller *c = context;
    c->args.out.data = c->out;
    for (int round = 0; round < NUM_ROUNDS; round++) {
        rmask_attention_work work;
        memset(c->out, 0xff, c->out_bytes);
        c->num_wrong += rmask_attention(&c->args, NULL) != RMASK_OK;
        c->num_wrong += memcmp(c->out, c->wanted, c->out_bytes) != 0;
        c->num_wrong += rmask_attention_count(&c->args, &work, NULL) != RMASK_OK;
    }
    return NULL;
}

static void many_callers(void **state)
{
    (void)state;
    rng random = rng_here();
    for (int layout = 0; layout < NUM_KEY_LAYOUTS; layout++) {
        problem p;
        problem_spec spec = {
            .num_heads = 4,
            .num_kv_heads = 2,
            .head_dim = 24,
            .key_dtype = (rmask_dtype)(layout % 3),
            .layout = (key_layout)layout,
            .page_tokens = 24,
            .block_queries = 16,
            .block_keys = 16,
            .causal = true,
            .num_sequences = 2,
            .sequences =
                {{.num_queries = 90, .num_keys = 120, .first_position = -1, .num_masks = 2, .kind = {"random 20%", "window"}},
                 {.num_queries = 1, .num_keys = 200, .first_position = -1, .num_masks = 1, .kind = {"noisy structure"}}},
        };
        note("layout %d", layout);
        problem_create(&p, &spec, &random);
        p.args.num_threads = 1;
        problem_run_and_check(&p);
        caller callers[NUM_CALLERS];
        pthread_t threads[NUM_CALLERS];
        for (int i = 0; i < NUM_CALLERS; i++) {
            callers[i] = (caller){
                .args = p.args, .out = must_allocate(p.out_bytes), .out_bytes = p.out_bytes, .wanted = p.args.out.data};
            expect(pthread_create(&threads[i], NULL, call, &callers[i]) == 0, "no thread");
        }
        for (int i = 0; i < NUM_CALLERS; i++) pthread_join(threads[i], NULL);
        for (int i = 0; i < NUM_CALLERS; i++) {
            expect(callers[i].num_wrong == 0, "caller %d: %d wrong", i, callers[i].num_wrong);
            free(callers[i].out);
        }
        problem_free(&p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(many_callers)};
    return run_test_program(tests);
}
