/* SPDX-License-Identifier: Apache-2.0
 * Bytes that claim to be a mask. They are refused or they make a mask whose answers agree with each other. Run
 * with the address and undefined sanitizers this also finds every read beyond them. */
#include <stdlib.h>
#include <string.h>

#include "support/generate.h"
#include "support/raw.h"
#include "support/seal.h"
#include "support/ways.h"

/* In memory of exactly this size, so that a sanitizer sees a read past the end. */
static bool try_as_is(const uint8_t *bytes, size_t num_bytes, bool sealed)
{
    uint8_t *exact = must_allocate(num_bytes);
    rmask *mask = (void *)&test_poison;
    memcpy(exact, bytes, num_bytes);
    if (sealed) seal(exact, num_bytes);
    test_error_reset();
    rmask_status status = rmask_from_data(exact, num_bytes, NULL, &mask, test_error);
    free(exact);
    if (status == RMASK_OK) {
        check_consistent(mask);
        rmask_release(mask);
        return true;
    }
    expect_fails_at(__FILE__, __LINE__, "rmask_from_data", RMASK_ERR_FORMAT, status);
    expect(mask == NULL, "the output of a refusal is not NULL");
    const char *message = test_error->message;
    expect(strstr(message, "at byte ") || strstr(message, "not a mask:") || strstr(message, "version") || strstr(message, "features"),
           "without the offset: %s", message);
    return false;
}

/* Whether the bytes pass with the right checksums, as an attacker would write them. With those that they have they pass no
 * better. */
static bool try_bytes(const uint8_t *bytes, size_t num_bytes)
{
    const bool taken = try_as_is(bytes, num_bytes, true);
    expect(taken || !try_as_is(bytes, num_bytes, false), "refused with the right checksums, taken with the wrong ones");
    return taken;
}

/* ---------------------------------------------------------------- masks to corrupt, with every section in some form */

enum { NUM_VICTIMS = 11 };

static rmask *plain(twin *t)
{
    rmask *mask = make_plain(t);
    twin_free(t);
    return mask;
}

/* Rows without and with exceptions, far apart, so that the directory lists its rows. */
static twin *scattered(int32_t rows, int32_t cols, rng *random)
{
    twin *t = twin_create(rows, cols);
    for (int i = 0; i < 5; i++)
        for (int k = 0; k < 3; k++) twin_at(t, (int32_t)rng_below(random, rows))[rng_below(random, cols)] = 1;
    return t;
}

/* Arrays and bitsets in several chunks of a row. */
static twin *chunked(rng *random)
{
    twin *t = twin_create(3, 2 * 65536 + 100);
    for (int i = 0; i < 40; i++) twin_at(t, (int32_t)rng_below(random, 3))[rng_below(random, t->cols)] = 1;
    for (int32_t col = 2 * 65536; col < t->cols; col++) twin_at(t, 1)[col] = rng_chance(random, 0.5);
    return t;
}

static rmask *victim(int i, rng *random)
{
    switch (i) {
    case 0: return plain(twin_create(0, 0));
    case 1: return plain(twin_create(5, 9));
    case 2: return plain(generate_named("window", 40, 60, random));
    case 3: return plain(generate_named("columns and diagonals", 12, 40, random));
    case 4: return plain(generate_named("random 1%", 12, 100, random));
    case 5: return plain(generate_named("random 50%", 6, 200, random));
    case 6: return plain(scattered(2000, 50, random));
    case 7: return plain(chunked(random));
    case 8: return plain(generate_named("noisy structure", 20, 90, random));
    case 9: return plain(generate_named("changing structure", 30, 31, random));
    default: return plain(generate_named("runs", 5, 80, random));
    }
}

/* ---------------------------------------------------------------- tests */

static void every_truncation_is_refused(void **state)
{
    (void)state;
    rng random = rng_here();
    for (int i = 0; i < NUM_VICTIMS; i++) {
        rmask *mask = victim(i, &random);
        size_t num_bytes;
        const uint8_t *data = rmask_data(mask, &num_bytes);
        for (size_t length = 0; length < num_bytes; length++) {
            note("victim %d cut to %zu of %zu bytes", i, length, num_bytes);
            expect(!try_bytes(data, length), "not refused");
        }
        rmask_release(mask);
    }
}

static void bytes_behind_the_mask_are_refused(void **state)
{
    (void)state;
    rng random = rng_here();
    for (int i = 0; i < NUM_VICTIMS; i++)
        for (size_t extra = 1; extra <= 16; extra++) {
            rmask *mask = victim(i, &random);
            size_t num_bytes;
            const void *data = rmask_data(mask, &num_bytes);
            uint8_t *longer = must_allocate(num_bytes + extra);
            memcpy(longer, data, num_bytes);
            memset(longer + num_bytes, 0, extra);
            note("victim %d with %zu bytes more", i, extra);
            expect(!try_bytes(longer, num_bytes + extra), "not refused");
            free(longer);
            rmask_release(mask);
        }
}

static void every_changed_byte_is_survived(void **state)
{
    (void)state;
    rng random = rng_here();
    for (int i = 0; i < NUM_VICTIMS; i++) {
        rmask *mask = victim(i, &random);
        size_t num_bytes, num_refused = 0;
        const uint8_t *data = rmask_data(mask, &num_bytes);
        uint8_t *changed = must_allocate(num_bytes);
        memcpy(changed, data, num_bytes);
        for (size_t at = 0; at < num_bytes; at++) {
            const uint8_t others[] = {0x00,
                                      0x01,
                                      0x7f,
                                      0x80,
                                      0xff,
                                      (uint8_t)(data[at] + 1),
                                      (uint8_t)(data[at] - 1),
                                      data[at] ^ 0x02,
                                      data[at] ^ 0x04,
                                      data[at] ^ 0x10,
                                      data[at] ^ 0x20,
                                      data[at] ^ 0x40};
            for (size_t k = 0; k < sizeof others; k++) {
                changed[at] = others[k];
                note("victim %d with byte %zu changed from %d to %d", i, at, data[at], others[k]);
                bool taken = try_bytes(changed, num_bytes);
                expect(others[k] != data[at] || taken, "the mask itself is refused");
                expect(others[k] == data[at] || at >= 16 || !taken, "another magic, version or feature is taken");
                num_refused += !taken;
            }
            changed[at] = data[at];
        }
        expect(num_refused > RAW_HEADER_BYTES, "victim %d: only %zu refused", i, num_refused);
        free(changed);
        rmask_release(mask);
    }
}

/* Counts, offsets and boundaries at once: words set to what is most likely to overflow. */
static void absurd_words_are_survived(void **state)
{
    (void)state;
    static const uint32_t absurd[] = {0,          1,          2,          0x7fff,     0x8000,     0xffff,     0x10000,
                                      0x20000000, 0x33333334, 0x40000000, 0x7ffffffe, 0x7fffffff, 0x80000000, 0xffffffff};
    enum { NUM_ABSURD = sizeof absurd / sizeof absurd[0] };
    rng random = rng_here();
    for (int i = 0; i < NUM_VICTIMS; i++) {
        rmask *mask = victim(i, &random);
        size_t num_bytes;
        const uint8_t *data = rmask_data(mask, &num_bytes);
        uint8_t *changed = must_allocate(num_bytes);
        for (size_t at = 8; at + 4 <= num_bytes && at < 600; at += 4)
            for (size_t k = 0; k < NUM_ABSURD; k++) {
                memcpy(changed, data, num_bytes);
                memcpy(changed + at, &absurd[k], 4);
                note("victim %d with the word at %zu set to %#x", i, at, absurd[k]);
                (void)try_bytes(changed, num_bytes);
                size_t other = 16 + 4 * (size_t)rng_below(&random, RAW_HEADER_BYTES / 4 - 4);
                uint32_t word = absurd[rng_below(&random, NUM_ABSURD)];
                memcpy(changed + other, &word, 4);
                note("victim %d with the words at %zu and %zu set to %#x and %#x", i, at, other, absurd[k], word);
                (void)try_bytes(changed, num_bytes);
            }
        free(changed);
        rmask_release(mask);
    }
}

static void random_corruption_is_survived(void **state)
{
    (void)state;
    rng random = rng_here();
    for (int i = 0; i < 20000; i++) {
        rmask *mask = victim(i % NUM_VICTIMS, &random);
        size_t num_bytes;
        const uint8_t *data = rmask_data(mask, &num_bytes);
        uint8_t *changed = must_allocate(num_bytes);
        memcpy(changed, data, num_bytes);
        for (int64_t changes = rng_between(&random, 1, 4); changes > 0; changes--) {
            size_t first = rng_chance(&random, 0.5) ? RAW_HEADER_BYTES : 0, at;
            if (first >= num_bytes) first = 0;
            at = first + (size_t)rng_below(&random, (int64_t)(num_bytes - first));
            if (rng_chance(&random, 0.5))
                changed[at] ^= (uint8_t)(1 << rng_below(&random, 8));
            else
                changed[at] = changed[rng_below(&random, (int64_t)num_bytes)];
        }
        note("corruption %d of victim %d", i, i % NUM_VICTIMS);
        (void)try_bytes(changed, num_bytes);
        free(changed);
        rmask_release(mask);
    }
}

static void rubbish_is_refused(void **state)
{
    (void)state;
    rng random = rng_here();
    for (size_t num_bytes = 0; num_bytes < 700; num_bytes++) {
        uint8_t *rubbish = must_allocate(num_bytes);
        note("%zu bytes of rubbish", num_bytes);
        for (size_t i = 0; i < num_bytes; i++) rubbish[i] = (uint8_t)rng_next(&random);
        expect(!try_bytes(rubbish, num_bytes), "not refused");
        memset(rubbish, 0, num_bytes);
        expect(!try_bytes(rubbish, num_bytes), "not refused");
        free(rubbish);
    }
}

/* ---------------------------------------------------------------- buffers made by hand */

/* In how many ways the buffer passes when its counts may be anything: the counts must not be what refuses it. */
static int num_ways_to_pass(const raw *r)
{
    enum { MOST_CELLS = 200, MOST_EXCEPTIONS = 40 };
    uint8_t bytes[RAW_MAX_BYTES];
    int num_passed = 0;
    for (uint64_t count = 0; count <= MOST_CELLS; count++)
        for (uint64_t num_exceptions = 0; num_exceptions <= MOST_EXCEPTIONS; num_exceptions++) {
            size_t num_bytes = raw_lay_out(r, count, num_exceptions, bytes);
            num_passed += try_bytes(bytes, num_bytes);
        }
    return num_passed;
}

static void sound_buffers_pass_with_the_right_counts(void **state)
{
    (void)state;
    static const raw sound[] = {
        {"nothing", .rows = 0, .cols = 9},
        {"one strip", .rows = 10, .cols = 12, STRIPS({0, 0, 2, 0, 2}), FIXED(0, 3), SLIDING(1, 4)},
        {"a fixed boundary at the right edge", .rows = 10, .cols = 12, STRIPS({0, 0, 2}), FIXED(5, 12)},
        {"three strips that share lists", .rows = 10, .cols = 12, STRIPS({0, 0, 1, 0, 0}, {3, 0, 2, 1, 1}, {4, 1, 1, 0, 2}),
         FIXED(5, 9), SLIDING(-2, 1)},
        {"a dense directory", .rows = 10, .cols = 12, STRIPS({0}), ROWS_FROM(4), EXCEPTION_ROWS(2), OFFSETS(0, 1, 1, 2),
         UNITS(0x800, 0x801)},
        {"a sparse directory", .rows = 10, .cols = 40, STRIPS({0}), ROWS_LISTED(1, 9), EXCEPTION_ROWS(2), OFFSETS(0, 1, 3),
         UNITS(7, 8, 39)},
        {"a bitset", .rows = 10, .cols = 40, STRIPS({0}), ROWS_FROM(4), EXCEPTION_ROWS(1), OFFSETS(0, 3),
         UNITS(1, 0x8000, 0x80)},
        {"two chunks", .rows = 10, .cols = 70000, STRIPS({0}), ROWS_FROM(4), EXCEPTION_ROWS(1), OFFSETS(0, 7),
         UNITS(2, 0, 1, 1, 1, 9, 4463)},
    };
    for (size_t i = 0; i < sizeof sound / sizeof sound[0]; i++) {
        note("%s", sound[i].what);
        expect(num_ways_to_pass(&sound[i]) == 1, "it passes in %d ways", num_ways_to_pass(&sound[i]));
    }
}

static void unsound_buffers_never_pass(void **state)
{
    (void)state;
    static const raw unsound[] = {
        {"no strip", .rows = 10, .cols = 12},
        {"more strips than rows", .rows = 1, .cols = 12, STRIPS({0}, {0})},
        {"strips without rows", .rows = 0, .cols = 12, STRIPS({0})},
        {"a first strip that begins late", .rows = 10, .cols = 12, STRIPS({1})},
        {"two strips that begin together", .rows = 10, .cols = 12, STRIPS({0}, {0})},
        {"two later strips that begin together", .rows = 10, .cols = 12, STRIPS({0}, {5, 0, 1}, {5}), FIXED(3)},
        {"strips that go up", .rows = 10, .cols = 12, STRIPS({0}, {5, 0, 1}, {4}), FIXED(3)},
        {"a strip that begins behind the rows", .rows = 10, .cols = 12, STRIPS({0}, {10})},
        {"a boundary twice", .rows = 10, .cols = 12, STRIPS({0, 0, 2}), FIXED(5, 5)},
        {"boundaries that descend", .rows = 10, .cols = 12, STRIPS({0, 0, 2}), FIXED(6, 5)},
        {"a fixed boundary left of the grid", .rows = 10, .cols = 12, STRIPS({0, 0, 2}), FIXED(-5, 5)},
        {"a fixed boundary right of the grid", .rows = 10, .cols = 12, STRIPS({0, 0, 2}), FIXED(5, 13)},
        {"a sliding boundary twice", .rows = 10, .cols = 12, STRIPS({0, 0, 0, 0, 2}), SLIDING(5, 5)},
        {"a sliding boundary left of the grid", .rows = 10, .cols = 12, STRIPS({0, 0, 0, 0, 2}), SLIDING(-11, 5)},
        {"a sliding boundary right of the grid", .rows = 10, .cols = 12, STRIPS({0, 0, 0, 0, 2}), SLIDING(5, 13)},
        {"a list longer than the pool", .rows = 10, .cols = 12, STRIPS({0, 0, 3}), FIXED(5, 7)},
        {"a list behind the pool", .rows = 10, .cols = 12, STRIPS({0, 2, 1}), FIXED(5, 7)},
        {"a list that wraps around", .rows = 10, .cols = 12, STRIPS({0, 1, 0xffffffff}), FIXED(5, 7)},
        {"a directory of rows that are not there", .rows = 10, .cols = 12, STRIPS({0}), ROWS_FROM(10), EXCEPTION_ROWS(1),
         OFFSETS(0, 1), UNITS(8)},
        {"a directory of too many rows", .rows = 10, .cols = 12, STRIPS({0}), ROWS_FROM(8), EXCEPTION_ROWS(1),
         OFFSETS(0, 1, 1, 1), UNITS(8)},
        {"a sparse directory row not there", .rows = 10, .cols = 40, STRIPS({0}), ROWS_LISTED(10), EXCEPTION_ROWS(1),
         OFFSETS(0, 1), UNITS(8)},
        {"a sparse directory row twice", .rows = 10, .cols = 40, STRIPS({0}), ROWS_LISTED(4, 4), EXCEPTION_ROWS(2),
         OFFSETS(0, 1, 2), UNITS(8, 9)},
        {"a sparse directory that goes up", .rows = 10, .cols = 40, STRIPS({0}), ROWS_LISTED(4, 3), EXCEPTION_ROWS(2),
         OFFSETS(0, 1, 2), UNITS(8, 9)},
        {"a sparse directory with a first row", .rows = 10, .cols = 40, STRIPS({0}), ROWS_LISTED(4), ROWS_FROM(3),
         EXCEPTION_ROWS(1), OFFSETS(0, 1), UNITS(8)},
        {"a sparse directory without rows", .rows = 10, .cols = 40, STRIPS({0}), .sparse = true},
        {"a first row without a directory", .rows = 10, .cols = 40, STRIPS({0}), ROWS_FROM(3)},
        {"containers without a directory", .rows = 10, .cols = 40, STRIPS({0}), UNITS(8)},
        {"offsets that begin late", .rows = 10, .cols = 40, STRIPS({0}), ROWS_FROM(4), EXCEPTION_ROWS(1), OFFSETS(1, 2),
         UNITS(8, 9)},
        {"offsets that end early", .rows = 10, .cols = 40, STRIPS({0}), ROWS_FROM(4), EXCEPTION_ROWS(1), OFFSETS(0, 1),
         UNITS(8, 9)},
        {"offsets that end late", .rows = 10, .cols = 40, STRIPS({0}), ROWS_FROM(4), EXCEPTION_ROWS(1), OFFSETS(0, 2),
         UNITS(8)},
        {"offsets that descend", .rows = 10, .cols = 40, STRIPS({0}), ROWS_FROM(4), EXCEPTION_ROWS(2), OFFSETS(0, 2, 1, 2),
         UNITS(8, 9)},
        {"a wrong number of rows", .rows = 10, .cols = 40, STRIPS({0}), ROWS_FROM(4), EXCEPTION_ROWS(2), OFFSETS(0, 1),
         UNITS(8)},
        {"a container longer than a bitset", .rows = 10, .cols = 40, STRIPS({0}), ROWS_FROM(4), EXCEPTION_ROWS(1),
         OFFSETS(0, 4), UNITS(1, 2, 3, 4)},
        {"a bitset beyond its columns", .rows = 10, .cols = 40, STRIPS({0}), ROWS_FROM(4), EXCEPTION_ROWS(1), OFFSETS(0, 3),
         UNITS(1, 0, 0x100)},
        {"an empty bitset", .rows = 10, .cols = 40, STRIPS({0}), ROWS_FROM(4), EXCEPTION_ROWS(1), OFFSETS(0, 3),
         UNITS(0, 0, 0)},
        {"an array beyond its columns", .rows = 10, .cols = 40, STRIPS({0}), ROWS_FROM(4), EXCEPTION_ROWS(1), OFFSETS(0, 2),
         UNITS(1, 40)},
        {"an array with a column twice", .rows = 10, .cols = 40, STRIPS({0}), ROWS_FROM(4), EXCEPTION_ROWS(1), OFFSETS(0, 2),
         UNITS(7, 7)},
        {"an array that descends", .rows = 10, .cols = 40, STRIPS({0}), ROWS_FROM(4), EXCEPTION_ROWS(1), OFFSETS(0, 2),
         UNITS(9, 7)},
        {"a row of no chunks", .rows = 10, .cols = 70000, STRIPS({0}), ROWS_FROM(4), EXCEPTION_ROWS(1), OFFSETS(0, 1),
         UNITS(0)},
        {"a row of too many chunks", .rows = 10, .cols = 70000, STRIPS({0}), ROWS_FROM(4), EXCEPTION_ROWS(1), OFFSETS(0, 4),
         UNITS(2, 0, 1, 9)},
        {"a row of very many chunks", .rows = 10, .cols = 70000, STRIPS({0}), ROWS_FROM(4), EXCEPTION_ROWS(1), OFFSETS(0, 1),
         UNITS(0xffff)},
        {"a chunk that is not there", .rows = 10, .cols = 70000, STRIPS({0}), ROWS_FROM(4), EXCEPTION_ROWS(1), OFFSETS(0, 4),
         UNITS(1, 2, 1, 9)},
        {"a chunk twice", .rows = 10, .cols = 70000, STRIPS({0}), ROWS_FROM(4), EXCEPTION_ROWS(1), OFFSETS(0, 7),
         UNITS(2, 0, 1, 0, 1, 9, 10)},
        {"chunks that go back", .rows = 10, .cols = 70000, STRIPS({0}), ROWS_FROM(4), EXCEPTION_ROWS(1), OFFSETS(0, 7),
         UNITS(2, 1, 1, 0, 1, 9, 10)},
        {"an empty chunk", .rows = 10, .cols = 70000, STRIPS({0}), ROWS_FROM(4), EXCEPTION_ROWS(1), OFFSETS(0, 6),
         UNITS(2, 0, 0, 1, 1, 9)},
        {"a chunk longer than its row", .rows = 10, .cols = 70000, STRIPS({0}), ROWS_FROM(4), EXCEPTION_ROWS(1), OFFSETS(0, 4),
         UNITS(1, 0, 2, 9)},
        {"a bitset far longer than its row", .rows = 10, .cols = 70000, STRIPS({0}), ROWS_FROM(4), EXCEPTION_ROWS(1),
         OFFSETS(0, 4), UNITS(1, 0, 4096, 9)},
        {"a chunk shorter than its row", .rows = 10, .cols = 70000, STRIPS({0}), ROWS_FROM(4), EXCEPTION_ROWS(1), OFFSETS(0, 5),
         UNITS(1, 0, 1, 9, 10)},
        {"a last chunk beyond its columns", .rows = 10, .cols = 70000, STRIPS({0}), ROWS_FROM(4), EXCEPTION_ROWS(1),
         OFFSETS(0, 4), UNITS(1, 1, 1, 4464)},
        {"padding that is not 0", .rows = 10, .cols = 12, STRIPS({0}), .padding = 1},
    };
    for (size_t i = 0; i < sizeof unsound / sizeof unsound[0]; i++) {
        note("%s", unsound[i].what);
        expect(num_ways_to_pass(&unsound[i]) == 0, "it passes in %d ways", num_ways_to_pass(&unsound[i]));
    }
}

static void reserved_fields_are_refused(void **state)
{
    (void)state;
    static const raw plain_strip = {"one strip", .rows = 10, .cols = 12, STRIPS({0, 0, 1}), FIXED(3)};
    uint8_t bytes[RAW_MAX_BYTES];
    size_t num_bytes = raw_lay_out(&plain_strip, 90, 0, bytes);
    expect(try_bytes(bytes, num_bytes), "the buffer itself is refused");
    for (size_t at = offsetof(raw_header, reserved_a); at < RAW_HEADER_BYTES; at++) {
        note("reserved byte %zu is not 0", at);
        bytes[at] = 1;
        expect(!try_bytes(bytes, num_bytes), "not refused");
        bytes[at] = 0;
    }
    for (uint32_t features = 2; features; features <<= 1) {
        note("unknown feature %#x", features);
        memcpy(bytes + offsetof(raw_header, features), &features, sizeof features);
        expect(!try_bytes(bytes, num_bytes), "not refused");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(bytes_behind_the_mask_are_refused),
        cmocka_unit_test(every_changed_byte_is_survived),
        cmocka_unit_test(absurd_words_are_survived),
        cmocka_unit_test(random_corruption_is_survived),
        cmocka_unit_test(rubbish_is_refused),
        cmocka_unit_test(sound_buffers_pass_with_the_right_counts),
        cmocka_unit_test(unsound_buffers_never_pass),
        cmocka_unit_test(reserved_fields_are_refused),
    };
    return run_test_program(tests);
}
