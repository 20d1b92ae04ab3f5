/* SPDX-License-Identifier: Apache-2.0
 * Roaring's portable format, with CRoaring as the oracle: equal bytes out, equal cells in, and hostile bytes refused. */
#include "support/generate.h"
#include "support/ways.h"

#include "roarmask/exchange.h"

#ifdef ROARMASK_HAVE_CROARING

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <roaring.h>

typedef struct buffer {
    char *at;
    size_t num_bytes;
} buffer;

static buffer buffer_of(size_t num_bytes) { return (buffer){must_allocate(num_bytes), num_bytes}; }

static bool is_32(const twin *t) { return t->rows <= 65536 && t->cols <= 65536; }

/* ---------------------------------------------------------------- CRoaring's side */

static roaring_bitmap_t *bitmap_of_row(const twin *t, int32_t row)
{
    roaring_bitmap_t *bitmap = roaring_bitmap_create();
    for (int32_t col = 0; col < t->cols; col++)
        if (twin_at(t, row)[col]) roaring_bitmap_add(bitmap, (uint32_t)col);
    return bitmap;
}

static buffer bytes_of(roaring_bitmap_t *bitmap, bool optimize)
{
    if (optimize) roaring_bitmap_run_optimize(bitmap);
    buffer b = buffer_of(roaring_bitmap_portable_size_in_bytes(bitmap));
    expect(roaring_bitmap_portable_serialize(bitmap, b.at) == b.num_bytes, "CRoaring's own size");
    roaring_bitmap_free(bitmap);
    return b;
}

static buffer bytes_of_64(roaring64_bitmap_t *bitmap, bool optimize)
{
    if (optimize) roaring64_bitmap_run_optimize(bitmap);
    buffer b = buffer_of(roaring64_bitmap_portable_size_in_bytes(bitmap));
    expect(roaring64_bitmap_portable_serialize(bitmap, b.at) == b.num_bytes, "CRoaring's own size");
    roaring64_bitmap_free(bitmap);
    return b;
}

static buffer bytes_of_twin(const twin *t, bool optimize)
{
    if (is_32(t)) {
        roaring_bitmap_t *bitmap = roaring_bitmap_create();
        for (int32_t row = 0; row < t->rows; row++)
            for (int32_t col = 0; col < t->cols; col++)
                if (twin_at(t, row)[col]) roaring_bitmap_add(bitmap, (uint32_t)row << 16 | (uint32_t)col);
        return bytes_of(bitmap, optimize);
    }
    roaring64_bitmap_t *bitmap = roaring64_bitmap_create();
    for (int32_t row = 0; row < t->rows; row++)
        for (int32_t col = 0; col < t->cols; col++)
            if (twin_at(t, row)[col]) roaring64_bitmap_add(bitmap, (uint64_t)row << 32 | (uint32_t)col);
    return bytes_of_64(bitmap, optimize);
}

/* ---------------------------------------------------------------- ours */

typedef rmask_status (*write_function)(const rmask *mask, int32_t row, void *bytes, size_t capacity, size_t *num_bytes,
                                       rmask_error *error);

static rmask_status write_mask(const rmask *mask, int32_t row, void *bytes, size_t capacity, size_t *num_bytes,
                               rmask_error *error)
{
    (void)row;
    return rmask_to_roaring(mask, bytes, capacity, num_bytes, error);
}

static void check_written(write_function write, const rmask *mask, int32_t row, buffer wanted)
{
    size_t num_bytes = 1;
    expect_ok(write(mask, row, NULL, 0, &num_bytes, test_error));
    expect(num_bytes == wanted.num_bytes, "row %d: %zu bytes, CRoaring has %zu", row, num_bytes, wanted.num_bytes);
    char *bytes = must_allocate(num_bytes + 1);
    memset(bytes, 0x5a, num_bytes + 1);
    expect_ok(write(mask, row, bytes, num_bytes, &num_bytes, test_error));
    expect(bytes[num_bytes] == 0x5a, "row %d: a byte behind the buffer is written", row);
    size_t i = 0;
    while (i < num_bytes && bytes[i] == wanted.at[i]) i++;
    expect(i == num_bytes, "row %d: byte %zu of %zu is %02x, CRoaring has %02x", row, i, num_bytes, (uint8_t)bytes[i],
           (uint8_t)wanted.at[i]);
    bytes[0] = 0x5a;
    expect_fails(RMASK_ERR_CAPACITY, write(mask, row, bytes, num_bytes - 1, &num_bytes, test_error));
    expect(num_bytes == wanted.num_bytes && bytes[0] == 0x5a, "a buffer that is too small is written to, or its need not told");
    free(bytes);
}

static void check_whole(const twin *t)
{
    rmask *mask = make_plain(t), *back;
    for (int optimized = 1; optimized >= 0; optimized--) {
        buffer wanted = bytes_of_twin(t, optimized);
        if (optimized) check_written(write_mask, mask, 0, wanted);
        expect_ok(rmask_from_roaring(t->rows, t->cols, wanted.at, wanted.num_bytes, NULL, &back, test_error));
        check_rows_release(back, t);
        free(wanted.at);
    }
    rmask_release(mask);
}

static void check_by_rows(const twin *t, rng *random)
{
    rmask *mask = make_plain(t), *back;
    const void **bitmaps = must_allocate((size_t)t->rows * sizeof *bitmaps);
    size_t *num_bytes = must_allocate((size_t)t->rows * sizeof *num_bytes);
    for (int32_t row = 0; row < t->rows; row++) {
        buffer wanted = bytes_of(bitmap_of_row(t, row), true);
        check_written(rmask_row_to_roaring, mask, row, wanted);
        if (rng_chance(random, 0.5)) {
            free(wanted.at);
            wanted = bytes_of(bitmap_of_row(t, row), false);
        }
        bitmaps[row] = wanted.at;
        num_bytes[row] = wanted.num_bytes;
        if (twin_row_count(t, row) == 0 && rng_chance(random, 0.5)) num_bytes[row] = 0;
    }
    expect_ok(rmask_from_roaring_rows(t->rows, t->cols, bitmaps, num_bytes, NULL, &back, test_error));
    check_rows_release(back, t);
    for (int32_t row = 0; row < t->rows; row++) free((void *)(uintptr_t)bitmaps[row]);
    free(bitmaps), free(num_bytes);
    rmask_release(mask);
}

/* ---------------------------------------------------------------- the same bytes both ways */

static void masks_of_every_kind(void **state)
{
    (void)state;
    rng random = rng_here();
    for (int kind = 0; kind < NUM_KINDS; kind++)
        for (int i = 0; i < num_shapes; i++) {
            twin *t = generate(kind, shapes[i].rows, shapes[i].cols, &random);
            note("%s %d x %d", kind_name(kind), t->rows, t->cols);
            check_whole(t);
            if (i % 4 == kind % 4) check_by_rows(t, &random);
            twin_free(t);
        }
}

static void more_rows_than_32_bits_hold(void **state)
{
    (void)state;
    rng random = rng_here();
    for (int32_t rows = 65535; rows <= 65537; rows++)
        for (int i = 0; i < 4; i++) {
            twin *t = generate_any(rows, 20, &random);
            note("%d x %d, %d", rows, t->cols, i);
            check_whole(t);
            twin_free(t);
        }
}

/* Puts `num_cells` cells into a row's columns from `base` on, as runs of `length` cells that lie one column apart, or as far as
 * they can. */
static void put_runs(twin *t, int32_t row, int32_t base, int32_t width, int32_t num_cells, int32_t length)
{
    const int32_t num_runs = (num_cells + length - 1) / length, gap = num_runs > 1 ? (width - num_cells) / (num_runs - 1) : 0;
    for (int32_t col = base; num_cells > 0; num_cells -= length, col += length + gap)
        twin_put(t, row, col, col + (num_cells < length ? num_cells : length), true);
}

/* Where one form of a container becomes smaller than another, at the ends of chunks, and in every number of containers about
 * the one from which on offsets are written. */
static void containers_at_their_limits(void **state)
{
    (void)state;
    rng random = rng_here();
    static const int32_t counts[] = {1, 2, 3, 4, 4094, 4095, 4096, 4097, 4098, 6141, 6142, 8190, 16000, 32768, 65535, 65536};
    static const int32_t lengths[] = {1, 2, 3, 4, 7, 65536};
    twin *t = twin_create(6, 5 * 65536);
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++)
        for (size_t k = 0; k < sizeof lengths / sizeof lengths[0]; k++) {
            note("%d cells in runs of %d", counts[i], lengths[k]);
            for (int32_t row = 0; row < t->rows; row++) {
                twin_put(t, row, 0, t->cols, false);
                for (int32_t chunk = 0; chunk < row; chunk++)
                    if (counts[i] + counts[i] / lengths[k] < 65536 || counts[i] == 65536)
                        put_runs(t, row, chunk * 65536, 65536, counts[i], lengths[k]);
                if (row == 5) twin_put(t, row, 65535, 65537, rng_chance(&random, 0.5));
            }
            check_whole(t);
            if (k % 2) check_by_rows(t, &random);
        }
    twin_free(t);
}

/* The number of runs at which a container of more than 4,096 values is a bitset: 2,048. */
static void runs_until_they_are_a_bitset(void **state)
{
    (void)state;
    rng random = rng_here();
    twin *t = twin_create(1, 65536);
    for (int32_t num_runs = 2045; num_runs <= 2050; num_runs++)
        for (int32_t length = 1; length <= 32; length += length < 4 ? 1 : 14) {
            twin_put(t, 0, 0, t->cols, false);
            for (int32_t i = 0; i < num_runs; i++) twin_put(t, 0, 31 * i, 31 * i + (length < 30 ? length : 30), true);
            twin_put(t, 0, 65535, 65536, rng_chance(&random, 0.5));
            note("%d runs of %d", num_runs, length);
            check_whole(t);
            check_by_rows(t, &random);
        }
    twin_free(t);
}

/* ---------------------------------------------------------------- beyond what cells could tell */

/* Structure is found again, whatever it is exchanged as. */
static void structure_comes_back(void **state)
{
    (void)state;
    rmask *mask, *back;
    size_t num_bytes;
    rmask_stats stats, stats_back;
    expect_ok(rmask_parse("causal & (sink(64) | window(512))", 62500, 62500, NULL, &mask, test_error));
    expect_ok(rmask_to_roaring(mask, NULL, 0, &num_bytes, test_error));
    void *bytes = must_allocate(num_bytes);
    expect_ok(rmask_to_roaring(mask, bytes, num_bytes, &num_bytes, test_error));
    expect_ok(rmask_from_roaring(62500, 62500, bytes, num_bytes, NULL, &back, test_error));
    check_equal(mask, back, true);
    rmask_get_stats(mask, &stats);
    rmask_get_stats(back, &stats_back);
    expect(stats_back.num_bytes == stats.num_bytes, "%llu bytes", (unsigned long long)stats_back.num_bytes);
    free(bytes);
    rmask_release(mask), rmask_release(back);
}

/* A grid as large as grids get, nearly empty: rows without cells cost nothing, and the last column is an ordinary one. */
static void the_largest_grid(void **state)
{
    (void)state;
    const int32_t side = RMASK_MAX_SIDE;
    const int32_t rows[] = {0, 5, 5, 5, side - 1}, cols[] = {side - 1, 0, 65536, side - 1, side - 2};
    rmask *mask, *back;
    size_t num_bytes;
    expect_ok(rmask_from_coo(side, side, rows, cols, 5, NULL, &mask, test_error));
    expect_ok(rmask_to_roaring(mask, NULL, 0, &num_bytes, test_error));
    roaring64_bitmap_t *bitmap = roaring64_bitmap_create();
    for (int i = 0; i < 5; i++) roaring64_bitmap_add(bitmap, (uint64_t)rows[i] << 32 | (uint32_t)cols[i]);
    buffer wanted = bytes_of_64(bitmap, true);
    check_written(write_mask, mask, 0, wanted);
    expect_ok(rmask_from_roaring(side, side, wanted.at, wanted.num_bytes, NULL, &back, test_error));
    check_equal(mask, back, true);
    free(wanted.at);
    rmask_release(mask), rmask_release(back);

    /* A whole row of it: 32,768 containers, the last one of them a cell short. */
    expect_ok(rmask_parse("full", 2, side, NULL, &mask, test_error));
    roaring_bitmap_t *row = roaring_bitmap_from_range(0, (uint64_t)side, 1);
    wanted = bytes_of(row, true);
    check_written(rmask_row_to_roaring, mask, 1, wanted);
    const void *const bitmaps[] = {wanted.at, wanted.at};
    const size_t sizes[] = {wanted.num_bytes, wanted.num_bytes};
    expect_ok(rmask_from_roaring_rows(2, side, bitmaps, sizes, NULL, &back, test_error));
    check_equal(mask, back, true);
    free(wanted.at);
    rmask_release(mask), rmask_release(back);
}

/* ---------------------------------------------------------------- distrust */

static bool mentions(const char *words) { return strstr(test_error->message, words) != NULL; }

#define expect_refused(status, bytes, rows, cols, words)                                                                   \
    do {                                                                                                                   \
        rmask *refused_;                                                                                                   \
        expect_makes_nothing(status, refused_,                                                                             \
                             rmask_from_roaring(rows, cols, (bytes), sizeof(bytes), NULL, &refused_, test_error));         \
        expect(mentions(words), "\"%s\" does not say \"%s\"", test_error->message, words);                                 \
    } while (0)

static void messages_name_the_byte(void **state)
{
    (void)state;
    const uint16_t no_cookie[] = {12345, 0, 0, 0};
    expect_refused(RMASK_ERR_FORMAT, no_cookie, 9, 9, "cookie, 12346 or 12347, at byte 0");
    const uint16_t too_many[] = {12346, 0, 1, 1};
    expect_refused(RMASK_ERR_FORMAT, too_many, 9, 9, "more than 65536 containers at byte 4");
    const uint16_t billions[] = {12346, 0, 0xffff, 0xffff};
    expect_refused(RMASK_ERR_FORMAT, billions, 9, 9, "at byte 4");
    const uint16_t cut_off[] = {12346, 0, 0, 1};
    expect_refused(RMASK_ERR_FORMAT, cut_off, 9, 9, "524288 bytes are needed at byte 8 and 0 are left");
    const uint16_t no_heads[] = {12346, 0, 3, 0, 0, 0};
    expect_refused(RMASK_ERR_FORMAT, no_heads, 9, 9, "24 bytes are needed at byte 8 and 4 are left");
    const uint16_t trailing[] = {12346, 0, 0, 0, 7};
    expect_refused(RMASK_ERR_FORMAT, trailing, 9, 9, "bytes behind the bitmap at byte 8");
    const uint16_t bad_offset[] = {12346, 0, 1, 0, 4, 1, 17, 0, 3, 5};
    expect_refused(RMASK_ERR_FORMAT, bad_offset, 9, 9, "offset that is not its container's at byte 12");
    const uint16_t array[] = {12346, 0, 1, 0, 4, 1, 16, 0, 5, 5};
    expect_refused(RMASK_ERR_FORMAT, array, 9, 9, "values out of order at byte 18");
    const uint16_t keys[] = {12346, 0, 2, 0, 4, 0, 4, 0, 24, 0, 26, 0, 5, 5};
    expect_refused(RMASK_ERR_FORMAT, keys, 9, 9, "keys out of order at byte 12");
    const uint8_t touching[] = {0x3b, 0x30, 0, 0, 1, 0, 0, 4, 0, 2, 0, 1, 0, 1, 0, 3, 0, 2, 0};
    expect_refused(RMASK_ERR_FORMAT, touching, 9, 9, "overlap or touch at byte 15");
    const uint8_t past[] = {0x3b, 0x30, 0, 0, 1, 0, 0, 1, 0, 1, 0, 0xff, 0xff, 1, 0};
    expect_refused(RMASK_ERR_FORMAT, past, 9, 65536, "past its container's last value at byte 13");
    const uint8_t none[] = {0x3b, 0x30, 0, 0, 1, 0, 0, 1, 0, 0, 0};
    expect_refused(RMASK_ERR_FORMAT, none, 9, 9, "cardinality at byte 9");
    const uint8_t fewer[] = {0x3b, 0x30, 0, 0, 1, 0, 0, 4, 0, 1, 0, 0, 0, 3, 0};
    expect_refused(RMASK_ERR_FORMAT, fewer, 9, 9, "cardinality at byte 9");
    uint16_t bitset[8 + 4096] = {12346, 0, 1, 0, 4, 9000, 16, 0, 0xff};
    expect_refused(RMASK_ERR_FORMAT, bitset, 9, 65536, "a bitset without the announced cardinality at byte 16");
    const uint32_t buckets[] = {0, 2, 0, 0};
    expect_refused(RMASK_ERR_FORMAT, buckets, 9, 65537, "more than 2^32 buckets at byte 0");
    const uint32_t descending[] = {2, 0, 5, 12346, 0, 5, 12346, 0};
    expect_refused(RMASK_ERR_FORMAT, descending, 9, 65537, "buckets out of order at byte 20");
    const uint32_t claim[] = {0xffffffff, 0, 5, 12346, 0};
    expect_refused(RMASK_ERR_FORMAT, claim, 9, 65537, "4 bytes are needed at byte 20 and 0 are left");
}

static void cells_outside_of_the_grid(void **state)
{
    (void)state;
    const uint16_t array[] = {12346, 0, 1, 0, 4, 1, 16, 0, 5, 7};
    expect_refused(RMASK_ERR_RANGE, array, 5, 7, "row 4, column 7 lies outside of the grid of 5 x 7");
    expect_refused(RMASK_ERR_RANGE, array, 4, 8, "row 4, column 5 ");
    expect_refused(RMASK_ERR_RANGE, array, 0, 0, "row 4, column 5 ");
    const uint8_t runs[] = {0x3b, 0x30, 0, 0, 1, 0, 0, 3, 0, 1, 0, 5, 0, 3, 0};
    expect_refused(RMASK_ERR_RANGE, runs, 1, 7, "row 0, column 7 ");
    expect_refused(RMASK_ERR_RANGE, runs, 1, 3, "row 0, column 5 ");
    uint16_t bitset[8 + 4096] = {12346, 0, 1, 0, 2, 65535, 16, 0};
    memset(bitset + 8, 0xff, 8192);
    expect_refused(RMASK_ERR_RANGE, bitset, 3, 65535, "row 2, column 65535 ");
    expect_refused(RMASK_ERR_RANGE, bitset, 3, 64, "row 2, column 64 ");
    expect_refused(RMASK_ERR_RANGE, bitset, 3, 1, "row 2, column 1 ");
    expect_refused(RMASK_ERR_RANGE, bitset, 2, 65536, "row 2, column 0 ");
    const uint32_t wide[] = {1, 0, 0xfffffffe, 12346, 1, 0xffff, 16, 0};
    expect_refused(RMASK_ERR_RANGE, wide, RMASK_MAX_SIDE, RMASK_MAX_SIDE, "row 4294967294, column 4294901760 ");
}

static void rows_are_named(void **state)
{
    (void)state;
    const uint16_t good[] = {12346, 0, 1, 0, 0, 0, 16, 0, 6}, bad[] = {12346, 0, 1, 0, 0, 0, 16, 0, 6, 0};
    const void *const bitmaps[] = {good, NULL, bad};
    const size_t num_bytes[] = {sizeof good, 0, sizeof bad};
    rmask *out;
    expect_makes_nothing(RMASK_ERR_FORMAT, out, rmask_from_roaring_rows(3, 7, bitmaps, num_bytes, NULL, &out, test_error));
    expect(mentions("row 2: ") && mentions("at byte 18"), "%s", test_error->message);
    expect_makes_nothing(RMASK_ERR_RANGE, out, rmask_from_roaring_rows(3, 6, bitmaps, num_bytes, NULL, &out, test_error));
    expect(mentions("row 0, column 6 "), "%s", test_error->message);
    expect_makes_nothing(RMASK_ERR_RANGE, out, rmask_from_roaring_rows(-1, 6, bitmaps, num_bytes, NULL, &out, test_error));
    rmask *mask;
    size_t size;
    expect_ok(rmask_from_roaring_rows(2, 7, bitmaps, num_bytes, NULL, &mask, test_error));
    expect(rmask_count(mask) == 1 && rmask_contains(mask, 0, 6), "other cells");
    expect_fails(RMASK_ERR_RANGE, rmask_row_to_roaring(mask, 2, NULL, 0, &size, test_error));
    rmask_release(mask);
}

static void put_cell(twin *t, uint32_t row, uint32_t col)
{
    if (row < (uint32_t)t->rows && col < (uint32_t)t->cols) twin_at(t, (int32_t)row)[col] = 1;
}

/* What CRoaring makes of the bytes, or NULL. It ignores offsets, and bytes behind the bitmap. */
static twin *twin_of_bytes(const twin *like, buffer b)
{
    twin *t = NULL;
    const char *reason;
    if (is_32(like)) {
        roaring_bitmap_t *bitmap = roaring_bitmap_portable_deserialize_safe(b.at, b.num_bytes);
        if (bitmap && roaring_bitmap_internal_validate(bitmap, &reason)) {
            t = twin_create(like->rows, like->cols);
            roaring_uint32_iterator_t *i = roaring_iterator_create(bitmap);
            for (; i->has_value; roaring_uint32_iterator_advance(i)) put_cell(t, i->current_value >> 16,
                                                                              i->current_value & 0xffff);
            roaring_uint32_iterator_free(i);
        }
        if (bitmap) roaring_bitmap_free(bitmap);
        return t;
    }
    roaring64_bitmap_t *bitmap = roaring64_bitmap_portable_deserialize_safe(b.at, b.num_bytes);
    if (bitmap && roaring64_bitmap_internal_validate(bitmap, &reason)) {
        t = twin_create(like->rows, like->cols);
        roaring64_iterator_t *i = roaring64_iterator_create(bitmap);
        for (; roaring64_iterator_has_value(i); roaring64_iterator_advance(i))
            put_cell(t, (uint32_t)(roaring64_iterator_value(i) >> 32), (uint32_t)roaring64_iterator_value(i));
        roaring64_iterator_free(i);
    }
    if (bitmap) roaring64_bitmap_free(bitmap);
    return t;
}

static void damage(buffer b, rng *random)
{
    for (int64_t n = rng_between(random, 1, 3); n > 0 && b.num_bytes; n--) {
        const size_t at = (size_t)rng_below(random, rng_chance(random, 0.5) && b.num_bytes > 40 ? 40 : (int64_t)b.num_bytes);
        switch (rng_below(random, 3)) {
        case 0: b.at[at] ^= (char)(1 << rng_below(random, 8)); break;
        case 1: b.at[at] = (char)rng_next(random); break;
        default: b.at[at] = rng_chance(random, 0.5) ? 0 : (char)0xff;
        }
    }
}

/* What is read of damaged bytes is what CRoaring reads of them. */
static void check_damaged(const twin *t, buffer damaged, uint64_t *num_refused, uint64_t *num_read)
{
    rmask *mask;
    const rmask_status status = rmask_from_roaring(t->rows, t->cols, damaged.at, damaged.num_bytes, NULL, &mask, test_error);
    if (status) {
        expect(!mask && (status == RMASK_ERR_FORMAT || status == RMASK_ERR_RANGE), "status \"%s\"", rmask_status_name(status));
        ++*num_refused;
        return;
    }
    twin *wanted = twin_of_bytes(t, damaged);
    expect(wanted != NULL, "CRoaring refuses what was read");
    check_rows_release(mask, wanted);
    twin_free(wanted);
    ++*num_read;
}

static void damaged_bytes(void **state)
{
    (void)state;
    rng random = rng_here();
    uint64_t num_refused = 0, num_read = 0;
    for (int i = 0; i < 2 * NUM_KINDS; i++) {
        twin *t = i % 2 ? generate(i / 2, 12, 70000, &random) : generate(i / 2, 40, 200, &random);
        buffer whole = bytes_of_twin(t, rng_chance(&random, 0.7));
        for (int repeat = 0; repeat < 60; repeat++) {
            /* Exactly as long as what is in it, so that a sanitizer sees every byte too far. */
            const bool cut = rng_chance(&random, 0.2);
            buffer damaged = buffer_of(cut ? (size_t)rng_below(&random, (int64_t)whole.num_bytes) : whole.num_bytes);
            memcpy(damaged.at, whole.at, damaged.num_bytes);
            if (!cut || rng_chance(&random, 0.5)) damage(damaged, &random);
            note("%s %d x %d, damage %d", kind_name(i / 2), t->rows, t->cols, repeat);
            check_damaged(t, damaged, &num_refused, &num_read);
            free(damaged.at);
        }
        free(whole.at), twin_free(t);
    }
    expect(num_refused > 1000 && num_read > 100, "%llu refused, %llu read: too one-sided to tell anything",
           (unsigned long long)num_refused, (unsigned long long)num_read);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(masks_of_every_kind),        cmocka_unit_test(more_rows_than_32_bits_hold),
        cmocka_unit_test(containers_at_their_limits), cmocka_unit_test(runs_until_they_are_a_bitset),
        cmocka_unit_test(structure_comes_back),       cmocka_unit_test(the_largest_grid),
        cmocka_unit_test(messages_name_the_byte),     cmocka_unit_test(cells_outside_of_the_grid),
        cmocka_unit_test(rows_are_named),             cmocka_unit_test(damaged_bytes),
    };
    return run_test_program(tests);
}

#else

#include <stdio.h>

int main(void)
{
    puts("skipped: built without CRoaring");
    return TESTS_SKIPPED;
}

#endif
