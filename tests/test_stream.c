/* SPDX-License-Identifier: Apache-2.0
 * Masks through callbacks: in pieces, several behind each other, with errors, cut off, and with claims that the bytes do not
 * keep. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "support/generate.h"
#include "support/hook.h"
#include "support/raw.h"
#include "support/seal.h"
#include "support/ways.h"

/* ---------------------------------------------------------------- a stream in memory */

typedef struct tape {
    uint8_t *bytes;
    size_t len, at;
    size_t most;      /* bytes that a call gives; 0: all it is asked for */
    rng *random;      /* where not NULL, a call gives a random part of that */
    int num_calls, fail_at, reason; /* call `fail_at` fails for this reason */
} tape;

static int play(void *context, void *buffer, size_t num_bytes, size_t *num_read)
{
    tape *t = context;
    expect(num_bytes > 0, "a call asks for nothing");
    if (++t->num_calls == t->fail_at) return t->reason;
    size_t n = t->len - t->at < num_bytes ? t->len - t->at : num_bytes;
    if (t->most && n > t->most) n = t->most;
    if (t->random && n > 1) n = (size_t)rng_between(t->random, 1, (int64_t)n);
    if (n) memcpy(buffer, t->bytes + t->at, n);
    t->at += n;
    *num_read = n;
    return 0;
}

static int tape_up(void *context, const void *data, size_t num_bytes)
{
    tape *t = context;
    if (++t->num_calls == t->fail_at) return t->reason;
    t->bytes = realloc(t->bytes, t->len + num_bytes);
    expect(t->bytes != NULL, "the test itself is out of memory");
    memcpy(t->bytes + t->len, data, num_bytes);
    t->len += num_bytes;
    return 0;
}

/* ---------------------------------------------------------------- there and back */

static void masks_behind_each_other_come_back(void **state)
{
    (void)state;
    rng random = rng_here();
    enum { MANY = NUM_KINDS };
    tape t = {0};
    twin *twins[MANY];
    size_t ends[MANY];
    for (int i = 0; i < MANY; i++) {
        const shape s = i == 3 ? (shape){0, 7} : random_shape(3000, &random);
        twins[i] = generate(i, s.rows, s.cols, &random);
        rmask *mask = make_plain(twins[i]);
        size_t num_bytes;
        const int calls_before = t.num_calls;
        expect_ok(rmask_write(mask, tape_up, &t, test_error));
        expect(t.num_calls == calls_before + 1, "%d calls to write", t.num_calls - calls_before);
        const void *data = rmask_data(mask, &num_bytes);
        expect(memcmp(t.bytes + t.len - num_bytes, data, num_bytes) == 0, "other bytes are written");
        ends[i] = t.len;
        rmask_release(mask);
    }
    for (int way = 0; way < 4; way++) {
        t.at = 0;
        t.most = way == 0 ? 0 : way == 1 ? 1 : 100;
        t.random = way == 3 ? &random : NULL;
        rmask *mask;
        for (int i = 0; i < MANY; i++) {
            note("way %d, mask %d, %s", way, i, kind_name(i));
            expect_ok(rmask_read(play, &t, NULL, &mask, test_error));
            expect(t.at == ends[i], "read up to byte %zu of a mask that ends at %zu", t.at, ends[i]);
            check_rows_release(mask, twins[i]);
        }
        expect_makes_nothing(RMASK_ERR_FORMAT, mask, rmask_read(play, &t, NULL, &mask, test_error));
    }
    for (int i = 0; i < MANY; i++) twin_free(twins[i]);
    free(t.bytes);
}

/* Past the first piece of memory that a stream gets, in pieces of odd sizes. */
static void long_masks_come_back(void **state)
{
    (void)state;
    rng random = rng_here();
    rmask *mask, *read;
    expect_ok(rmask_parse("causal ^ random(0.05, seed=7)", 6000, 6000, NULL, &mask, test_error));
    tape t = {.most = 77777, .random = &random};
    expect_ok(rmask_write(mask, tape_up, &t, test_error));
    expect(t.len > 2 << 20, "only %zu bytes", t.len);
    expect_ok(rmask_read(play, &t, NULL, &read, test_error));
    check_equal(mask, read, true);
    rmask_release(mask), rmask_release(read);
    free(t.bytes);
}

/* ---------------------------------------------------------------- errors */

static tape some_tape(rng *random)
{
    twin *t = generate_named("noisy structure", 30, 40, random);
    rmask *mask = make_plain(t);
    tape made = {0};
    expect_ok(rmask_write(mask, tape_up, &made, test_error));
    rmask_release(mask), twin_free(t);
    made.num_calls = 0;
    return made;
}

static void errors_are_passed_on(void **state)
{
    (void)state;
    rng random = rng_here();
    static const int reasons[] = {EIO, EINTR, EPIPE, ENOSPC, 4711};
    tape t = some_tape(&random);
    t.most = 50;
    rmask *mask;
    for (size_t k = 0; k < sizeof reasons / sizeof reasons[0]; k++)
        for (int fail_at = 1; fail_at < 5; fail_at++) {
            note("call %d fails with %s", fail_at, strerror(reasons[k]));
            t.at = 0, t.num_calls = 0, t.reason = reasons[k], t.fail_at = fail_at;
            mask = (void *)&test_poison;
            test_error_reset();
            expect_fails_at(__FILE__, __LINE__, "rmask_read", RMASK_ERR_IO, rmask_read(play, &t, NULL, &mask, test_error));
            expect(mask == NULL && t.num_calls == fail_at, "%d calls", t.num_calls);
            expect(strstr(test_error->message, strerror(reasons[k])) != NULL, "without the reason: %s", test_error->message);
        }
    t.fail_at = 0, t.at = 0;
    expect_ok(rmask_read(play, &t, NULL, &mask, test_error));
    tape full = {.fail_at = 1, .reason = ENOSPC};
    test_error_reset();
    expect_fails_at(__FILE__, __LINE__, "rmask_write", RMASK_ERR_IO, rmask_write(mask, tape_up, &full, test_error));
    expect(strstr(test_error->message, strerror(ENOSPC)) != NULL, "without the reason: %s", test_error->message);
    rmask_release(mask);
    free(t.bytes);
}

static void streams_that_end_early_are_refused(void **state)
{
    (void)state;
    rng random = rng_here();
    tape t = some_tape(&random);
    const size_t len = t.len;
    rmask *mask;
    for (t.len = 0; t.len < len; t.len++) {
        note("cut to %zu of %zu bytes", t.len, len);
        t.at = 0;
        expect_makes_nothing(RMASK_ERR_FORMAT, mask, rmask_read(play, (t.at = 0, &t), NULL, &mask, test_error));
    }
    free(t.bytes);
}

static size_t most_bytes_asked(tape *t)
{
    hook h = {0};
    const rmask_allocator allocator = hook_allocator(&h);
    rmask *mask;
    expect_makes_nothing(RMASK_ERR_FORMAT, mask, rmask_read(play, (t->at = 0, t), &allocator, &mask, test_error));
    check_hook_empty(&h);
    return h.most_bytes;
}

/* A header of gigabytes before a few bytes, right in itself: what is asked for follows what comes, not what is announced. */
static void claims_cost_nothing(void **state)
{
    (void)state;
    enum { FEW = 300 };
    raw_header header = {
        .magic = "\x93RMASK\r\n", .version = 1, .rows = INT32_MAX, .cols = INT32_MAX, .container_cols = INT32_MAX};
    uint8_t bytes[FEW] = {0};
    for (int i = 0; i < 6; i++) {
        raw_header claim = header;
        uint32_t *const fields[] = {&claim.num_strips, &claim.num_fixed, &claim.num_sliding, &claim.num_directory_rows};
        claim.num_strips = 1;
        if (i < 4) *fields[i] = i == 0 || i == 3 ? INT32_MAX : UINT32_MAX;
        if (i >= 4) {
            claim.num_directory_rows = 1;
            claim.num_container_units = UINT32_MAX;
            claim.num_exceptions = claim.num_exception_rows = 1;
            claim.features = i == 5;
        }
        claim.num_bytes = 128 + 20 * (uint64_t)claim.num_strips + 4 * ((uint64_t)claim.num_fixed + claim.num_sliding);
        claim.num_bytes += claim.features ? 4 * (uint64_t)claim.num_directory_rows : 0;
        claim.num_bytes += claim.num_directory_rows ? 4 * ((uint64_t)claim.num_directory_rows + 1) : 0;
        claim.num_bytes = (claim.num_bytes + 2 * (uint64_t)claim.num_container_units + 7) / 8 * 8;
        memcpy(bytes, &claim, sizeof claim);
        seal(bytes, sizeof bytes);
        for (size_t len = 0; len <= FEW; len += len == 120 ? 8 : 20) {
            note("claim %d of %llu bytes before %zu", i, (unsigned long long)claim.num_bytes, len);
            tape t = {.bytes = bytes, .len = len};
            const size_t most = most_bytes_asked(&t);
            expect(most <= (1 << 20) + 1000, "%zu bytes were asked for", most);
            if (len >= 128)
                expect(strstr(test_error->message, "announces") != NULL, "refused for another reason: %s", test_error->message);
            rmask *mask;
            hook h = {0};
            const rmask_allocator allocator = hook_allocator(&h);
            expect_makes_nothing(RMASK_ERR_FORMAT, mask, rmask_from_data(bytes, len, &allocator, &mask, test_error));
            expect(h.num_calls == 0, "rmask_from_data has asked for memory");
        }
    }
}

/* What comes, and a copy of it. */
static void reading_asks_for_a_few_times_the_mask(void **state)
{
    (void)state;
    rmask *mask;
    expect_ok(rmask_parse("random(0.1, seed=7)", 9000, 9000, NULL, &mask, test_error));
    tape t = {0};
    expect_ok(rmask_write(mask, tape_up, &t, test_error));
    rmask_release(mask);
    hook h = {0};
    const rmask_allocator allocator = hook_allocator(&h);
    expect_ok(rmask_read(play, &t, &allocator, &mask, test_error));
    expect(h.most_bytes < 3 * t.len, "%zu bytes for a mask of %zu", h.most_bytes, t.len);
    rmask_release(mask);
    check_hook_empty(&h);
    free(t.bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(masks_behind_each_other_come_back), cmocka_unit_test(long_masks_come_back),
        cmocka_unit_test(errors_are_passed_on),              cmocka_unit_test(streams_that_end_early_are_refused),
        cmocka_unit_test(claims_cost_nothing),               cmocka_unit_test(reading_asks_for_a_few_times_the_mask),
    };
    return run_test_program(tests);
}
