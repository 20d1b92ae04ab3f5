/* SPDX-License-Identifier: Apache-2.0
 * What a mask tells about itself: version, names, references, counts, stats, equality. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/generate.h"
#include "support/hook.h"
#include "support/ways.h"

static void version_has_three_numbers(void **state)
{
    (void)state;
    unsigned major, minor, patch;
    char end;
    expect(sscanf(rmask_version(), "%u.%u.%u%c", &major, &minor, &patch, &end) == 3, "version \"%s\"", rmask_version());
}

static void statuses_have_names(void **state)
{
    (void)state;
    const char *names[RMASK_ERR_STOPPED + 1];
    for (int status = RMASK_OK; status <= RMASK_ERR_STOPPED; status++) {
        names[status] = rmask_status_name((rmask_status)status);
        expect(names[status] && names[status][0] && !strchr(names[status], '\n'), "status %d has no name", status);
        for (int other = RMASK_OK; other < status; other++)
            expect(strcmp(names[status], names[other]) != 0, "statuses %d and %d have one name", status, other);
    }
    expect(rmask_status_name((rmask_status)(RMASK_ERR_STOPPED + 1)) != NULL, "no name past the last status");
    expect(rmask_status_name((rmask_status)12345) != NULL && rmask_status_name((rmask_status)-1) != NULL,
           "no name for rubbish");
}

static void references_are_counted(void **state)
{
    (void)state;
    hook h = {0};
    rmask_allocator allocator = hook_allocator(&h);
    rng random = rng_here();
    twin *t = generate_any(20, 30, &random);
    rmask *mask = make(0, t, &allocator, &random);
    expect(h.num_blocks > 0, "the mask does not live in its allocator's memory");
    for (int i = 0; i < 5; i++) expect(rmask_retain(mask) == mask, "retain returns another mask");
    for (int i = 0; i < 5; i++) {
        rmask_release(mask);
        check_rows(mask, t);
    }
    rmask_release(mask);
    check_hook_empty(&h);
    rmask_release(NULL);
    twin_free(t);
}

/* Masks made of masks live in the first one's memory, and go on living without either. */
static void masks_remember_their_allocator(void **state)
{
    (void)state;
    hook ha = {0}, hb = {0};
    rmask_allocator allocator_a = hook_allocator(&ha), allocator_b = hook_allocator(&hb);
    rng random = rng_here();
    twin *ta = generate_named("window", 40, 50, &random), *tb = generate_any(40, 50, &random),
         *both = twin_combine(ta, tb, RMASK_AND);
    rmask *a = make(0, ta, &allocator_a, &random), *b = make(0, tb, &allocator_b, &random), *c;
    size_t blocks_b = hb.num_blocks;
    expect_ok(rmask_and(a, b, &c, test_error));
    rmask_release(a);
    expect(ha.num_blocks > 0 && hb.num_blocks == blocks_b, "the result is not in the first mask's memory");
    rmask_release(b);
    check_hook_empty(&hb);
    check_rows_release(c, both);
    check_hook_empty(&ha);
    twin_free(ta), twin_free(tb), twin_free(both);
}

static void nothing_is_kept_beyond_the_mask(void **state)
{
    (void)state;
    rng random = rng_here();
    for (int way = 0; way < NUM_WAYS; way++)
        for (int kind = 0; kind < NUM_KINDS; kind++) {
            hook h = {0};
            rmask_allocator allocator = hook_allocator(&h);
            size_t num_bytes;
            twin *t = generate(kind, 30, 70, &random);
            note("%s by %s", kind_name(kind), way_name(way));
            rmask *mask = make(way, t, &allocator, &random);
            (void)rmask_data(mask, &num_bytes);
            expect(h.num_blocks >= 1 && h.num_bytes >= num_bytes, "%zu bytes held for %zu", h.num_bytes, num_bytes);
            expect(h.num_bytes <= num_bytes + 512, "%zu bytes held for %zu", h.num_bytes, num_bytes);
            rmask_release(mask);
            check_hook_empty(&h);
            twin_free(t);
        }
}

static void equality_sees_cells_and_grids_only(void **state)
{
    (void)state;
    rng random = rng_here();
    for (int kind = 0; kind < NUM_KINDS; kind++) {
        shape s = random_shape(3000, &random);
        twin *t = generate(kind, s.rows, s.cols, &random);
        note("%s %d x %d", kind_name(kind), s.rows, s.cols);
        rmask *a = make_any(t, &random), *b = make_any(t, &random);
        check_equal(a, b, true);
        rmask_release(b);
        int32_t row = (int32_t)rng_below(&random, s.rows), col = (int32_t)rng_below(&random, s.cols);
        twin_at(t, row)[col] ^= 1;
        b = make_any(t, &random);
        check_equal(a, b, false);
        rmask_release(b), twin_free(t);
        t = twin_create(s.rows, s.cols + 1);
        b = make_plain(t);
        check_equal(a, b, false);
        rmask_release(a), rmask_release(b), twin_free(t);
    }
}

/* The same number of cells, and other cells. */
static void equality_is_not_a_count(void **state)
{
    (void)state;
    rng random = rng_here();
    for (int i = 0; i < 200; i++) {
        shape s = random_shape(3000, &random);
        if (s.cols < 2) continue;
        twin *t = generate_any(s.rows, s.cols, &random), *moved = twin_copy(t);
        int32_t row = (int32_t)rng_below(&random, s.rows), col = (int32_t)rng_below(&random, s.cols - 1);
        twin_at(moved, row)[col] = twin_at(t, row)[col + 1], twin_at(moved, row)[col + 1] = twin_at(t, row)[col];
        rmask *a = make_any(t, &random), *b = make_any(moved, &random);
        check_equal(a, b, twin_equal(t, moved));
        rmask_release(a), rmask_release(b), twin_free(t), twin_free(moved);
    }
}

static void stats_tell_arrays_from_bitsets(void **state)
{
    (void)state;
    enum { COLS = 4000 };
    rng random = rng_here();
    twin *t = twin_create(3, COLS);
    for (int32_t col = 0; col < COLS; col++) {
        twin_at(t, 0)[col] = rng_chance(&random, 0.01);
        twin_at(t, 1)[col] = rng_chance(&random, 0.5);
    }
    rmask *mask = make_plain(t);
    rmask_stats stats;
    rmask_get_stats(mask, &stats);
    expect(stats.num_arrays == 1, "%llu arrays", (unsigned long long)stats.num_arrays);
    expect(stats.num_bitsets == 1, "%llu bitsets", (unsigned long long)stats.num_bitsets);
    expect(stats.num_exception_rows == 2, "%llu rows", (unsigned long long)stats.num_exception_rows);
    expect(stats.container_bytes <= twin_row_count(t, 0) * 2 + (COLS + 15) / 16 * 2 + 8, "%llu bytes of containers",
           (unsigned long long)stats.container_bytes);
    rmask_release(mask), twin_free(t);
}

/* Strips as they are seen from outside cover all rows, and explain every cell but as many as there are exceptions. */
static void strips_can_be_read(void **state)
{
    (void)state;
    rng random = rng_here();
    for (int kind = 0; kind < NUM_KINDS; kind++) {
        twin *t = generate(kind, (int32_t)rng_between(&random, 1, 90), (int32_t)rng_between(&random, 1, 90), &random);
        rmask *mask = make_plain(t);
        rmask_stats stats;
        rmask_get_stats(mask, &stats);
        rmask_strip_view strip = {0};
        int32_t row = 0;
        uint64_t num_exceptions = 0;
        note("%s %d x %d", kind_name(kind), t->rows, t->cols);
        for (size_t i = 0; i < stats.num_strips; i++) {
            expect_ok(rmask_get_strip(mask, i, &strip, test_error));
            expect(strip.row_begin == row && strip.row_end > row, "strip %zu has the rows [%d, %d) after row %d", i, strip.row_begin,
                   strip.row_end, row);
            for (; row < strip.row_end; row++)
                for (int32_t col = 0; col < t->cols; col++) {
                    size_t passed = 0;
                    for (size_t k = 0; k < strip.num_fixed; k++) passed += strip.fixed[k] <= col;
                    for (size_t k = 0; k < strip.num_sliding; k++) passed += strip.sliding[k] + row <= col;
                    num_exceptions += passed % 2 != twin_at(t, row)[col];
                }
        }
        expect(row == t->rows, "the strips end at row %d", row);
        expect(num_exceptions == stats.num_exceptions, "%llu cells are not explained", (unsigned long long)num_exceptions);
        expect_fails(RMASK_ERR_RANGE, rmask_get_strip(mask, stats.num_strips, &strip, test_error));
        expect(strip.row_begin == strip.row_end && strip.num_fixed + strip.num_sliding == 0, "a strip that there is not");
        rmask_release(mask), twin_free(t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(version_has_three_numbers),       cmocka_unit_test(statuses_have_names),
        cmocka_unit_test(references_are_counted),          cmocka_unit_test(masks_remember_their_allocator),
        cmocka_unit_test(nothing_is_kept_beyond_the_mask), cmocka_unit_test(equality_sees_cells_and_grids_only),
        cmocka_unit_test(equality_is_not_a_count),         cmocka_unit_test(stats_tell_arrays_from_bitsets),
        cmocka_unit_test(strips_can_be_read),
    };
    return run_test_program(tests);
}
