/* SPDX-License-Identifier: Apache-2.0
 * Expectations, randomness and the frame of the test programs. */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEFAULT_SEED = 20260927 };

char test_poison;

static rmask_error failure;
rmask_error *test_error = &failure;

static char current_case[256] = "the first case";

/* ---------------------------------------------------------------- running */

static uint64_t seed(void)
{
    const char *given = getenv("ROARMASK_TEST_SEED");
    return given ? strtoull(given, NULL, 0) : DEFAULT_SEED;
}

bool tests_may_run(void)
{
    const char *refused = rmask_simd_refused();
    if (refused) printf("skipped: ROARMASK_SIMD=%s is no tier of this machine\n", refused);
    return refused == NULL;
}

int tests_result(int num_failed)
{
    if (num_failed)
        print_error("repeat with ROARMASK_SIMD=%s ROARMASK_TEST_SEED=%llu\n", rmask_simd_tier(), (unsigned long long)seed());
    return num_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

void note(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(current_case, sizeof current_case, format, arguments);
    va_end(arguments);
}

const char *noted(void) { return current_case; }

/* ---------------------------------------------------------------- expectations */

_Noreturn void expect_failed(const char *file, int line, const char *condition, const char *format, ...)
{
    char words[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(words, sizeof words, format, arguments);
    va_end(arguments);
    print_error("%s\n  case: %s\n  not so: %s\n", words, current_case, condition);
    _fail(file, line);
    abort();
}

void expect_ok_at(const char *file, int line, const char *call, rmask_status status)
{
    if (status != RMASK_OK) expect_failed(file, line, call, "%s: %s", rmask_status_name(status), failure.message);
    if (failure.message[0] != '\n') expect_failed(file, line, call, "success has changed the error");
}

void expect_status_at(const char *file, int line, const char *call, rmask_status wanted, rmask_status status)
{
    if (status != wanted)
        expect_failed(file, line, call, "status \"%s\", wanted \"%s\"", rmask_status_name(status), rmask_status_name(wanted));
}

void expect_fails_at(const char *file, int line, const char *call, rmask_status wanted, rmask_status status)
{
    expect_status_at(file, line, call, wanted, status);
    size_t length = strnlen(failure.message, sizeof failure.message);
    if (length == 0 || length == sizeof failure.message || strchr(failure.message, '\n'))
        expect_failed(file, line, call, "the message is not one line: \"%.*s\"", (int)length, failure.message);
    if (status == RMASK_ERR_IO && failure.position != 0 && !strstr(failure.message, strerror((int)failure.position)))
        expect_failed(file, line, call, "errno %zu with another's message: %s", failure.position, failure.message);
    if (status != RMASK_ERR_SYNTAX && status != RMASK_ERR_IO && failure.position != 0)
        expect_failed(file, line, call, "position %zu of something that is no expression", failure.position);
}

void test_error_reset(void)
{
    /* A newline in every byte: a message left as it was is then never taken for one. */
    memset(&failure, '\n', sizeof failure);
    test_error = &failure;
}

const char *temporary_folder(void)
{
    const char *folder = getenv("TMPDIR");
    return folder && *folder ? folder : "/tmp";
}

void *must_allocate(size_t num_bytes)
{
    void *memory = malloc(num_bytes ? num_bytes : 1);
    if (!memory) expect_failed(__FILE__, __LINE__, "malloc", "the test itself is out of memory");
    return memory;
}

/* ---------------------------------------------------------------- randomness */

rng rng_named(const char *name)
{
    rng random = {seed()};
    for (; *name; name++) random.state = (random.state ^ (uint8_t)*name) * 0x100000001b3u;
    return random;
}

/* splitmix64 */
uint64_t rng_next(rng *random)
{
    uint64_t mixed = random->state += 0x9e3779b97f4a7c15u;
    mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9u;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebu;
    return mixed ^ (mixed >> 31);
}

int64_t rng_below(rng *random, int64_t limit) { return limit <= 0 ? 0 : (int64_t)(rng_next(random) % (uint64_t)limit); }

int64_t rng_between(rng *random, int64_t low, int64_t high) { return low + rng_below(random, high - low + 1); }

bool rng_chance(rng *random, double probability) { return (double)(rng_next(random) >> 11) * 0x1p-53 < probability; }

void rng_shuffle(rng *random, void *items, size_t num_items, size_t item_bytes)
{
    char held[16], *at = items;
    for (size_t i = num_items; i > 1; i--) {
        char *last = at + (i - 1) * item_bytes, *other = at + (size_t)rng_below(random, (int64_t)i) * item_bytes;
        memcpy(held, last, item_bytes);
        memmove(last, other, item_bytes);
        memcpy(other, held, item_bytes);
    }
}
