/* SPDX-License-Identifier: Apache-2.0
 * The tiers: which are there, how one is chosen, and that results never depend on it. The choice is made once in a process, so
 * each tier works in a child of its own, and the parent compares. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/generate.h"
#include "support/ways.h"

/* ---------------------------------------------------------------- what a child does */

/* FNV-1a over every result; a long one costs a byte at a time, which is fast enough here. */
static uint64_t digest(uint64_t so_far, const void *bytes, size_t num_bytes)
{
    const uint8_t *at = bytes;
    for (size_t i = 0; i < num_bytes; i++) so_far = (so_far ^ at[i]) * 0x100000001b3u;
    return so_far;
}

static uint64_t digest_mask(uint64_t so_far, const rmask *mask)
{
    size_t num_bytes, num_cols;
    const void *data = rmask_data(mask, &num_bytes);
    int32_t *cols = must_allocate((size_t)rmask_cols(mask) * sizeof *cols);
    so_far = digest(so_far, data, num_bytes);
    for (int32_t row = 0; row < rmask_rows(mask); row++) {
        expect_ok(rmask_row(mask, row, cols, (size_t)rmask_cols(mask), &num_cols, test_error));
        so_far = digest(so_far, cols, num_cols * sizeof *cols);
    }
    free(cols);
    return so_far;
}

static uint64_t digest_pair(uint64_t so_far, const rmask *a, const rmask *b, rng *random)
{
    int32_t rows = rmask_rows(a), cols = rmask_cols(a), *found = must_allocate((size_t)cols * sizeof *found);
    int32_t row_a = (int32_t)rng_below(random, rows), row_b = (int32_t)rng_below(random, rows), list[3] = {row_a, row_b, row_a};
    size_t num_cols = 0;
    for (int function = 0; function < 16; function++) {
        rmask *result;
        uint64_t count;
        expect_ok(rmask_combine(a, b, (rmask_function)function, &result, test_error));
        so_far = digest_mask(so_far, result);
        rmask_release(result);
        expect_ok(rmask_combine_count(a, b, (rmask_function)function, &count, test_error));
        so_far = digest(so_far, &count, sizeof count);
        if (rows == 0) continue;
        expect_ok(rmask_row_combine(a, row_a, b, row_b, (rmask_function)function, found, (size_t)cols, &num_cols, test_error));
        so_far = digest(so_far, found, num_cols * sizeof *found);
    }
    if (rows > 0) {
        expect_ok(rmask_rows_and(a, list, 3, found, (size_t)cols, &num_cols, test_error));
        so_far = digest(so_far, found, num_cols * sizeof *found);
        expect_ok(rmask_rows_or(b, list, 3, found, (size_t)cols, &num_cols, test_error));
        so_far = digest(so_far, found, num_cols * sizeof *found);
    }
    free(found);
    return so_far;
}

static uint64_t digest_everything(void)
{
    uint64_t so_far = 0xcbf29ce484222325u;
    rng random = rng_here();
    for (int i = 0; i < num_shapes; i++)
        for (int kind = i % 3; kind < NUM_KINDS; kind += i < num_small_shapes ? 3 : 11) {
            twin *ta = generate(kind, shapes[i].rows, shapes[i].cols, &random);
            twin *tb = generate_any(shapes[i].rows, shapes[i].cols, &random);
            note("%s and another, %d x %d", kind_name(kind), shapes[i].rows, shapes[i].cols);
            rmask *a = make_any(ta, &random), *b = make_any(tb, &random);
            check_rows(a, ta);
            so_far = digest_mask(digest_mask(so_far, a), b);
            so_far = digest_pair(so_far, a, b, &random);
            rmask_release(a), rmask_release(b);
            twin_free(ta), twin_free(tb);
        }
    static const char *const expressions[] = {"random(0.01, seed=5)", "random(0.4, seed=6)",
                                              "random(0.001, seed=7) | window(9)"};
    for (int i = 0; i < 3; i++) {
        rmask *mask;
        expect_ok(rmask_parse(expressions[i], 300, 1000, NULL, &mask, test_error));
        so_far = digest_mask(so_far, mask);
        rmask_release(mask);
    }
    return so_far;
}

typedef struct report {
    char tier[16], refused[16], tiers[8][16];
    uint64_t digest;
} report;

static void copy_name(char to[16], const char *name) { snprintf(to, 16, "%s", name ? name : ""); }

/* The library has not been used yet in this process. */
static report work(bool compute)
{
    report done;
    memset(&done, 0, sizeof done);
    if (compute) done.digest = digest_everything();
    copy_name(done.tier, rmask_simd_tier());
    copy_name(done.refused, rmask_simd_refused());
    for (int i = 0; i < 8 && rmask_simd_tiers()[i]; i++) copy_name(done.tiers[i], rmask_simd_tiers()[i]);
    return done;
}

/* ---------------------------------------------------------------- the parent */

/* What a child says in which ROARMASK_SIMD is `tier`, or unset for NULL. */
static report ask_child(const char *tier, bool compute)
{
    report answer;
    int ends[2], status = 0;
    note("ROARMASK_SIMD=%s", tier ? tier : "(unset)");
    memset(&answer, 0, sizeof answer);
    expect(pipe(ends) == 0, "pipe: %s", strerror(errno));
    fflush(stdout);
    pid_t child = fork();
    expect(child >= 0, "fork: %s", strerror(errno));
    if (child == 0) {
        if (tier)
            setenv("ROARMASK_SIMD", tier, 1);
        else
            unsetenv("ROARMASK_SIMD");
        report done = work(compute);
        _exit(write(ends[1], &done, sizeof done) == (ssize_t)sizeof done ? 0 : 1);
    }
    close(ends[1]);
    ssize_t num_read = read(ends[0], &answer, sizeof answer);
    close(ends[0]);
    expect(waitpid(child, &status, 0) == child && status == 0, "the child ended with %d", status);
    expect(num_read == (ssize_t)sizeof answer, "the child's report has %zd bytes", num_read);
    return answer;
}

static void the_best_tier_is_chosen(void **state)
{
    (void)state;
    report unforced = ask_child(NULL, false);
    expect(strcmp(unforced.tier, unforced.tiers[0]) == 0, "chosen %s, best %s", unforced.tier, unforced.tiers[0]);
    expect(unforced.refused[0] == '\0', "refused %s", unforced.refused);
}

static void tiers_have_known_names(void **state)
{
    (void)state;
    report unforced = ask_child(NULL, false);
    bool has_scalar = false;
    for (int i = 0; i < 8 && unforced.tiers[i][0]; i++) {
        const char *tier = unforced.tiers[i];
        has_scalar |= strcmp(tier, "scalar") == 0;
        expect(strcmp(tier, "scalar") == 0 || strcmp(tier, "avx2") == 0 || strcmp(tier, "avx512") == 0 ||
                   strcmp(tier, "neon") == 0,
               "a tier named %s", tier);
        for (int k = 0; k < i; k++) expect(strcmp(tier, unforced.tiers[k]) != 0, "%s is there twice", tier);
    }
    expect(has_scalar, "no scalar tier");
}

static void what_the_compiler_knows_is_there(void **state)
{
    (void)state;
#if defined(__x86_64__)
    report unforced = ask_child(NULL, false);
    bool has_avx2 = false;
    for (int i = 0; i < 8; i++) has_avx2 |= strcmp(unforced.tiers[i], "avx2") == 0;
    expect(!has_avx2 || __builtin_cpu_supports("avx2"), "avx2 on a machine without it");
    expect(has_avx2 || !__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("bmi2"), "no avx2 on a machine with it");
#elif defined(__aarch64__)
    expect(strcmp(ask_child(NULL, false).tier, "neon") == 0, "no neon on a machine with it");
#endif
}

static void results_do_not_depend_on_the_tier(void **state)
{
    (void)state;
    report unforced = ask_child(NULL, true);
    for (int i = 0; i < 8 && unforced.tiers[i][0]; i++) {
        report forced = ask_child(unforced.tiers[i], true);
        expect(strcmp(forced.tier, unforced.tiers[i]) == 0, "%s instead", forced.tier);
        expect(forced.refused[0] == '\0', "refused");
        expect(forced.digest == unforced.digest, "the results differ from those of %s", unforced.tier);
    }
}

static void unknown_tiers_are_refused_and_named(void **state)
{
    (void)state;
    static const char *const unknown[] = {"sse9", "AVX2", "avx", "avx5120", "scalar ", "-1"};
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++) {
        report refused = ask_child(unknown[i], false);
        expect(strcmp(refused.refused, unknown[i]) == 0, "named \"%s\"", refused.refused);
        expect(strcmp(refused.tier, refused.tiers[0]) == 0, "chosen %s, best %s", refused.tier, refused.tiers[0]);
    }
}

/* Not run_test_program: that asks the library for its tier, which the children are to choose themselves. */
int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_best_tier_is_chosen),
        cmocka_unit_test(tiers_have_known_names),
        cmocka_unit_test(what_the_compiler_knows_is_there),
        cmocka_unit_test(results_do_not_depend_on_the_tier),
        cmocka_unit_test(unknown_tiers_are_refused_and_named),
    };
    return tests_result(cmocka_run_group_tests(tests, NULL, NULL));
}
