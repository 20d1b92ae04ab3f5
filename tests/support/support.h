/* SPDX-License-Identifier: Apache-2.0
 * What every test program shares: expectations with words, seeded randomness, and the frame that runs the tests. */
#ifndef ROARMASK_TESTS_SUPPORT_H
#define ROARMASK_TESTS_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "roarmask/roarmask.h"

/* ---------------------------------------------------------------- running */

enum { TESTS_SKIPPED = 77 };

/* Runs an array of cmocka_unit_test and gives the value for main to return. Skips everything when ROARMASK_SIMD names a tier
 * that this machine lacks, because the tests would silently run another one. After a failure comes the seed that repeats it. */
#define run_test_program(tests) (tests_may_run() ? tests_result(cmocka_run_group_tests(tests, NULL, NULL)) : TESTS_SKIPPED)

bool tests_may_run(void);
int tests_result(int num_failed);

/* Names the case that is being tried; printed when an expectation fails. */
void note(const char *format, ...) __attribute__((format(printf, 1, 2)));
const char *noted(void);

/* ---------------------------------------------------------------- expectations (main thread only) */

/* Fails the test with these words when `condition` is false. */
#define expect(condition, ...) ((condition) ? (void)0 : expect_failed(__FILE__, __LINE__, #condition, __VA_ARGS__))

/* For the error parameter of a call inside expect_ok and expect_fails. */
extern rmask_error *test_error;

/* The call succeeds and leaves the error alone. */
#define expect_ok(call) (test_error_reset(), expect_ok_at(__FILE__, __LINE__, #call, (call)))

/* The call fails with `status` and one line of message, also when it is given no error to fill. It is evaluated twice. */
#define expect_fails(status, call)                                                                         \
    (test_error = NULL, expect_status_at(__FILE__, __LINE__, #call, (status), (call)), test_error_reset(), \
     expect_fails_at(__FILE__, __LINE__, #call, (status), (call)))

/* The same for a call that makes a mask or builder in `out`, which must become NULL. */
#define expect_makes_nothing(status, out, call) \
    ((out) = (void *)&test_poison, expect_fails(status, call), expect((out) == NULL, "the output of a failed call is not NULL"))

extern char test_poison;

_Noreturn void expect_failed(const char *file, int line, const char *condition, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void expect_ok_at(const char *file, int line, const char *call, rmask_status status);
void expect_status_at(const char *file, int line, const char *call, rmask_status wanted, rmask_status status);
void expect_fails_at(const char *file, int line, const char *call, rmask_status wanted, rmask_status status);
void test_error_reset(void);

/* Where files of a test's own go: TMPDIR or its default. */
const char *temporary_folder(void);

/* malloc that never returns NULL; 0 bytes are fine. */
void *must_allocate(size_t num_bytes);

/* ---------------------------------------------------------------- randomness */

typedef struct rng {
    uint64_t state;
} rng;

/* A generator of the test's own, so that tests do not depend on their order. The seed is ROARMASK_TEST_SEED or a constant. */
#define rng_here() rng_named(__func__)

/* The same whatever the seed: for sizes, which heuristics keep small nearly always. */
#define rng_fixed() ((rng){UINT64_C(0x9e3779b97f4a7c15)})

rng rng_named(const char *name);
uint64_t rng_next(rng *random);
int64_t rng_below(rng *random, int64_t limit);               /* 0 <= result < limit; 0 when limit <= 0 */
int64_t rng_between(rng *random, int64_t low, int64_t high); /* both ends included */
bool rng_chance(rng *random, double probability);
void rng_shuffle(rng *random, void *items, size_t num_items, size_t item_bytes);

#endif
