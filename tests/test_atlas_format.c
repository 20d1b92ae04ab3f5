/* SPDX-License-Identifier: Apache-2.0
 * The flat buffer of an atlas, byte by byte, and bytes that claim to be one. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/corrupt.h"
#include "support/folder.h"
#include "support/hook.h"
#include "support/model.h"
#include "support/naive.h"
#include "support/seal.h"

/* ---------------------------------------------------------------- bytes */

static uint64_t word(const uint8_t *data, size_t at, size_t num_bytes)
{
    uint64_t value = 0;
    for (size_t i = 0; i < num_bytes; i++) value |= (uint64_t)data[at + i] << 8 * i;
    return value;
}

static size_t up_to_64(size_t num_bytes) { return (num_bytes + 63) / 64 * 64; }

/* What docs/format.md says about an atlas of 32 layers, 32 heads and 6 masks, byte by byte. */
static void six_masks_cost_six_masks(void **state)
{
    (void)state;
    static const char *const expressions[] = {"causal",      "window(9)",           "causal & sink(4)",
                                              "random(0.1)", "random(0.1, seed=2)", "none"};
    static const char note_text[] = "six masks";
    const rmask *masks[6], *entries[32 * 32];
    rmask_atlas *atlas;
    size_t num_bytes, at = up_to_64(64 + 6 * 8 + 32 * 32 * 4 + sizeof note_text), mask_bytes;
    for (int i = 0; i < 6; i++) {
        rmask *mask;
        expect_ok(rmask_parse(expressions[i], 300, 200, NULL, &mask, test_error));
        masks[i] = mask;
    }
    for (int i = 0; i < 32 * 32; i++) entries[i] = i < 64 ? NULL : masks[i % 6];
    expect_ok(rmask_atlas_create(32, 32, 300, 200, entries, note_text, NULL, &atlas, test_error));
    const uint8_t *data = rmask_atlas_data(atlas, &num_bytes);
    expect(memcmp(data, "\x93RATLS\r\n", 8) == 0, "another magic");
    const uint32_t fields[] = {1, 0, 300, 200, (uint32_t)num_bytes, 0, 32, 32, 6, sizeof note_text - 1};
    for (size_t i = 0; i < 10; i++)
        expect(word(data, 8 + 4 * i, 4) == fields[i], "field %zu is %llu", i, (unsigned long long)word(data, 8 + 4 * i, 4));
    expect(word(data, 60, 4) == 0, "reserved bytes");
    for (int i = 64; i < 32 * 32; i++) /* the first entry that is not dense has mask 64 % 6 */
        expect(word(data, 64 + 48 + 4 * (size_t)i, 4) == (uint64_t)(i - 64) % 6, "entry %d", i);
    for (int i = 0; i < 64; i++) expect(word(data, 64 + 48 + 4 * (size_t)i, 4) == UINT32_MAX, "entry %d", i);
    expect(memcmp(data + 64 + 48 + 4096, note_text, sizeof note_text) == 0, "another note");
    for (size_t i = 0; i < 6; i++) {
        const void *mask = rmask_data(masks[(i + 64) % 6], &mask_bytes);
        expect(word(data, 64 + 8 * i, 8) == at, "mask %zu begins at %llu", i, (unsigned long long)word(data, 64 + 8 * i, 8));
        expect(memcmp(data + at, mask, mask_bytes) == 0, "mask %zu has other bytes", i);
        at += up_to_64(mask_bytes);
    }
    expect(num_bytes == at, "%zu bytes instead of %zu", num_bytes, at);
    uint8_t *copy = must_allocate(num_bytes);
    memcpy(copy, data, num_bytes);
    seal_atlas(copy, num_bytes);
    expect(memcmp(copy, data, num_bytes) == 0, "other checksums");
    free(copy);
    rmask_atlas_release(atlas);
    for (int i = 0; i < 6; i++) rmask_release((rmask *)(uintptr_t)masks[i]);
}

/* ---------------------------------------------------------------- hostile bytes */

/* A mask that was taken has the cells that its bytes say, in the eyes of somebody who reads them one by one. */
static void check_naively(const rmask *mask)
{
    size_t num_bytes;
    check_consistent(mask);
    if ((int64_t)rmask_rows(mask) * rmask_cols(mask) > 100000) return;
    naive n = naive_read(rmask_data(mask, &num_bytes));
    expect(n.all_sound, "a mask that is not sound was taken");
    check_rows(mask, n.t);
    naive_free(&n);
}

/* Takes bytes in every way there is. They are refused with a message, or they are an atlas whose masks agree with
 * themselves. Returns whether rmask_atlas_from_data takes them. */
static bool try_bytes(const uint8_t *bytes, size_t num_bytes)
{
    rmask_atlas *atlas = (void *)&test_poison;
    uint8_t *exact = must_allocate(num_bytes); /* so that a sanitizer sees a read past the end */
    memcpy(exact, bytes, num_bytes);
    test_error_reset();
    const rmask_status status = rmask_atlas_from_data(exact, num_bytes, NULL, &atlas, test_error);
    free(exact);
    if (status) {
        expect_fails_at(__FILE__, __LINE__, "rmask_atlas_from_data", RMASK_ERR_FORMAT, status);
        expect(atlas == NULL, "the output of a refusal is not NULL");
        return false;
    }
    for (uint32_t i = 0; i < rmask_atlas_num_masks(atlas); i++) check_naively(rmask_atlas_distinct(atlas, i));
    expect_ok(rmask_atlas_verify(atlas, test_error));
    rmask_atlas_release(atlas);
    return true;
}

static bool try_sealed(uint8_t *bytes, size_t num_bytes)
{
    const bool taken_as_is = try_bytes(bytes, num_bytes);
    seal_atlas(bytes, num_bytes);
    const bool taken = try_bytes(bytes, num_bytes);
    expect(taken || !taken_as_is, "refused with the right checksums, taken with the wrong ones");
    return taken;
}

/* A small atlas of four masks with containers in some. */
static uint8_t *victim(size_t *num_bytes, rng *random)
{
    model m = model_create(3, 3, (shape){12, 40}, 6, random);
    rmask_atlas *atlas = model_atlas(&m, "victim", random);
    const void *data = rmask_atlas_data(atlas, num_bytes);
    uint8_t *bytes = must_allocate(*num_bytes + 64);
    memcpy(bytes, data, *num_bytes);
    rmask_atlas_release(atlas), model_free(&m);
    return bytes;
}

static void every_changed_byte_is_noticed(void **state)
{
    (void)state;
    rng random = rng_here();
    for (int round = 0; round < 3; round++) {
        size_t num_bytes;
        uint8_t *bytes = victim(&num_bytes, &random), *changed = must_allocate(num_bytes);
        for (size_t i = 0; i < num_bytes; i++) {
            memcpy(changed, bytes, num_bytes);
            changed[i] ^= (uint8_t)rng_between(&random, 1, 255);
            note("round %d, byte %zu of %zu", round, i, num_bytes);
            expect(!try_bytes(changed, num_bytes), "not noticed");
            seal_atlas(changed, num_bytes);
            (void)try_bytes(changed, num_bytes);
        }
        free(bytes), free(changed);
    }
}

static void every_cut_is_noticed(void **state)
{
    (void)state;
    rng random = rng_here();
    size_t num_bytes;
    uint8_t *bytes = victim(&num_bytes, &random), *cut = must_allocate(num_bytes);
    for (size_t length = 0; length < num_bytes; length++) {
        note("%zu of %zu bytes", length, num_bytes);
        memcpy(cut, bytes, length);
        expect(!try_sealed(cut, length), "not noticed");
    }
    memset(bytes + num_bytes, 0, 64);
    expect(!try_sealed(bytes, num_bytes + 64) && !try_sealed(bytes, num_bytes + 1), "bytes behind the end are not noticed");
    free(bytes), free(cut);
}

/* What is taken with the checksums that it came with is what it was. */
static void random_corruption_is_survived(void **state)
{
    (void)state;
    rng random = rng_here();
    for (int round = 0; round < 20; round++) {
        size_t num_bytes, num_other, length;
        uint8_t *bytes = victim(&num_bytes, &random), *other = victim(&num_other, &random), *changed = must_allocate(CORRUPT_ROOM);
        for (int i = 0; i < 200; i++) {
            memcpy(changed, bytes, num_bytes);
            length = corrupt(changed, num_bytes, other, num_other, &random);
            note("round %d, corruption %d", round, i);
            const bool unharmed = (length == num_bytes && memcmp(changed, bytes, length) == 0) ||
                                  (length == num_other && memcmp(changed, other, length) == 0);
            expect(try_bytes(changed, length) == unharmed, "%s", unharmed ? "the atlas is refused" : "not noticed");
            seal_atlas(changed, length);
            (void)try_bytes(changed, length);
        }
        free(bytes), free(other), free(changed);
    }
}

/* Changes one number of a sound atlas, makes the checksums right, and expects a refusal that says where. */
static void expect_refusal(const uint8_t *bytes, size_t num_bytes, size_t at, uint64_t value, size_t width, const char *message)
{
    uint8_t *changed = must_allocate(num_bytes);
    memcpy(changed, bytes, num_bytes);
    memcpy(changed + at, &value, width);
    note("byte %zu becomes %llu", at, (unsigned long long)value);
    expect(!try_sealed(changed, num_bytes), "not refused");
    expect(strstr(test_error->message, message) != NULL, "\"%s\" does not say \"%s\"", test_error->message, message);
    free(changed);
}

enum { TABLE_AT = 64 + 3 * 8, NOTE_AT = TABLE_AT + 6 * 4, MASKS_AT = 192 };

/* Two layers of three heads with the masks 0 1 2, dense, 0 2. The note ends where the first mask begins but for its NUL and
 * a gap. */
static rmask_atlas *plain_atlas(void)
{
    static const char *const expressions[] = {"causal", "window(2)", "random(0.5)"};
    rmask *masks[3];
    rmask_atlas *atlas;
    for (int i = 0; i < 3; i++) expect_ok(rmask_parse(expressions[i], 9, 9, NULL, &masks[i], test_error));
    const rmask *entries[] = {masks[0], masks[1], masks[2], NULL, masks[0], masks[2]};
    expect_ok(rmask_atlas_create(2, 3, 9, 9, entries, "a note of some words", NULL, &atlas, test_error));
    for (int i = 0; i < 3; i++) rmask_release(masks[i]);
    return atlas;
}

static void unsound_tables_never_pass(void **state)
{
    (void)state;
    rmask_atlas *atlas = plain_atlas();
    size_t num_bytes;
    const uint8_t *bytes = rmask_atlas_data(atlas, &num_bytes);
    const uint64_t second = word(bytes, 72, 8), third = word(bytes, 80, 8);
    expect(word(bytes, 64, 8) == MASKS_AT, "the first mask begins at %llu", (unsigned long long)word(bytes, 64, 8));

    expect_refusal(bytes, num_bytes, 0, 'R', 1, "not an atlas");
    expect_refusal(bytes, num_bytes, 8, 2, 4, "version 2");
    expect_refusal(bytes, num_bytes, 12, 4, 4, "features 0x4");
    expect_refusal(bytes, num_bytes, 16, UINT32_C(1) << 31, 4, "byte 16");
    expect_refusal(bytes, num_bytes, 20, UINT32_MAX, 4, "byte 20");
    expect_refusal(bytes, num_bytes, 16, 10, 4, "grid");
    expect_refusal(bytes, num_bytes, 20, 10, 4, "grid");
    expect_refusal(bytes, num_bytes, 24, num_bytes + 64, 8, "announces");
    expect_refusal(bytes, num_bytes, 24, MASKS_AT + 3 * 128 - 1, 8, "byte 24");
    expect_refusal(bytes, num_bytes, 24, 0, 8, "byte 24");
    expect_refusal(bytes, num_bytes, 24, UINT64_MAX, 8, "announces");
    expect_refusal(bytes, num_bytes, 32, 0, 4, "byte 32");
    expect_refusal(bytes, num_bytes, 32, 65536, 4, "byte 32");
    expect_refusal(bytes, num_bytes, 32, 65535, 4, "byte 24");
    expect_refusal(bytes, num_bytes, 36, 0, 4, "byte 36");
    expect_refusal(bytes, num_bytes, 36, UINT32_MAX, 4, "byte 36");
    expect_refusal(bytes, num_bytes, 40, 7, 4, "byte 40");
    expect_refusal(bytes, num_bytes, 40, 0, 4, "byte 24");
    expect_refusal(bytes, num_bytes, 44, 65537, 4, "byte 44");
    expect_refusal(bytes, num_bytes, 44, 65536, 4, "byte 24");
    expect_refusal(bytes, num_bytes, 44, 21, 4, "a note that is not UTF-8 at byte 132"); /* takes the NUL in */
    expect_refusal(bytes, num_bytes, 44, 19, 4, "a gap that is not 0 at byte 131");
    for (size_t at = 60; at < 64; at++) expect_refusal(bytes, num_bytes, at, 1, 1, "byte 60");

    expect_refusal(bytes, num_bytes, 64, MASKS_AT + 64, 8, "an offset out of place at byte 64");
    expect_refusal(bytes, num_bytes, 64, MASKS_AT - 64, 8, "an offset out of place at byte 64");
    expect_refusal(bytes, num_bytes, 72, second + 8, 8, "not a valid mask"); /* misaligned */
    expect_refusal(bytes, num_bytes, 72, second + 64, 8, "mask 0 at byte 192");
    expect_refusal(bytes, num_bytes, 72, second - 64, 8, "mask 0 at byte 192");
    expect_refusal(bytes, num_bytes, 72, MASKS_AT, 8, "an offset out of place at byte 64"); /* mask 0 has no bytes */
    expect_refusal(bytes, num_bytes, 72, third, 8, "mask 0 at byte 192");
    expect_refusal(bytes, num_bytes, 80, second, 8, "an offset out of place at byte 72");
    expect_refusal(bytes, num_bytes, 80, num_bytes, 8, "mask 1 at byte");
    expect_refusal(bytes, num_bytes, 80, num_bytes + 64, 8, "an offset out of place at byte 72");
    expect_refusal(bytes, num_bytes, 80, UINT64_MAX - 63, 8, "an offset out of place at byte 72");

    expect_refusal(bytes, num_bytes, TABLE_AT, 1, 4, "a mask out of order at byte 88");
    expect_refusal(bytes, num_bytes, TABLE_AT, UINT32_MAX, 4, "a mask out of order at byte 92");
    expect_refusal(bytes, num_bytes, TABLE_AT + 4, 0, 4, "a mask out of order at byte 96");
    expect_refusal(bytes, num_bytes, TABLE_AT + 12, 3, 4, "an entry without a mask at byte 100");
    expect_refusal(bytes, num_bytes, TABLE_AT + 16, UINT32_MAX - 1, 4, "an entry without a mask at byte 104");

    expect_refusal(bytes, num_bytes, NOTE_AT + 3, 0, 1, "a note that is not UTF-8 at byte 115");
    expect_refusal(bytes, num_bytes, NOTE_AT + 5, 0xff, 1, "a note that is not UTF-8 at byte 117");
    for (size_t at = NOTE_AT + 20; at < MASKS_AT; at++) {
        char where[60];
        snprintf(where, sizeof where, "a gap that is not 0 at byte %zu", at);
        expect_refusal(bytes, num_bytes, at, 1, 1, where);
    }
    for (int i = 0; i < 3; i++) {
        const size_t begin = (size_t)word(bytes, 64 + 8 * (size_t)i, 8), length = (size_t)word(bytes, begin + 24, 8);
        expect_refusal(bytes, num_bytes, begin + 24, length - 8, 8, "not a valid mask");
        for (size_t at = begin + length; at % 64; at++) {
            char where[60];
            snprintf(where, sizeof where, "a gap that is not 0 at byte %zu", at);
            expect_refusal(bytes, num_bytes, at, 1, 1, where);
        }
    }
    rmask_atlas_release(atlas);
}

/* Atlases that only a forger makes: masks twice, masks that nobody uses, masks that are full. */
static void needless_masks_never_pass(void **state)
{
    (void)state;
    rmask_atlas *atlas = plain_atlas();
    rmask *again, *full;
    size_t num_bytes, mask_bytes, other_bytes;
    const uint8_t *bytes = rmask_atlas_data(atlas, &num_bytes);
    uint8_t *forged = must_allocate(num_bytes);
    const size_t second = (size_t)word(bytes, 72, 8);
    expect_ok(rmask_parse("causal", 9, 9, NULL, &again, test_error));
    expect_ok(rmask_parse("full", 9, 9, NULL, &full, test_error));
    const void *data = rmask_data(again, &mask_bytes), *other = rmask_data(full, &other_bytes);
    expect(up_to_64(mask_bytes) == (size_t)word(bytes, 80, 8) - second && up_to_64(other_bytes) == up_to_64(mask_bytes),
           "the masks do not fit each other's place");

    memcpy(forged, bytes, num_bytes);
    memset(forged + second, 0, up_to_64(mask_bytes)), memcpy(forged + second, data, mask_bytes);
    expect(!try_sealed(forged, num_bytes), "a mask twice");
    expect(strstr(test_error->message, "a mask that is there already at byte 384") != NULL, "%s", test_error->message);
    memset(forged + second, 0, up_to_64(mask_bytes)), memcpy(forged + second, other, other_bytes);
    expect(!try_sealed(forged, num_bytes), "a full mask");
    expect(strstr(test_error->message, "mask 1 at byte 384") != NULL, "%s", test_error->message);

    memcpy(forged, bytes, num_bytes);
    const uint32_t nobody = 0;
    memcpy(forged + TABLE_AT + 8, &nobody, 4), memcpy(forged + TABLE_AT + 20, &nobody, 4);
    expect(!try_sealed(forged, num_bytes), "a mask that no entry uses");
    expect(strstr(test_error->message, "a mask that no entry uses at byte 40") != NULL, "%s", test_error->message);
    free(forged);
    rmask_release(again), rmask_release(full), rmask_atlas_release(atlas);
}

/* A mask with right checksums of its own in place of another. */
static void exchanged_masks_are_noticed(void **state)
{
    (void)state;
    rmask_atlas *atlas = plain_atlas();
    rmask *mask;
    size_t num_bytes, mask_bytes;
    const uint8_t *bytes = rmask_atlas_data(atlas, &num_bytes);
    uint8_t *forged = must_allocate(num_bytes);
    expect_ok(rmask_parse("window(3)", 9, 9, NULL, &mask, test_error));
    const void *data = rmask_data(mask, &mask_bytes);
    memcpy(forged, bytes, num_bytes);
    memcpy(forged + (size_t)word(bytes, 72, 8), data, mask_bytes);
    expect(!try_bytes(forged, num_bytes), "not noticed");
    expect(strstr(test_error->message, "a wrong checksum of the masks at byte 52") != NULL, "%s", test_error->message);
    expect(try_sealed(forged, num_bytes), "not even with the right checksum");
    free(forged), rmask_release(mask), rmask_atlas_release(atlas);
}

/* A header that claims as much as it can, in a file of 64 bytes and with 1 KB behind it. */
static void huge_claims_allocate_little(void **state)
{
    (void)state;
    const struct {
        uint32_t layers, heads, num_masks, num_note_bytes;
        uint64_t num_bytes;
    } claims[] = {
        {65535, 65535, 1, 0, 17179344064}, {65535, 65535, UINT32_C(4294836225), 65536, UINT64_C(1) << 62},
        {65535, 65535, 0, 0, 17178820032}, {1, 1, 1, 0, UINT64_C(1) << 40},
        {1, 1, 1, 0, UINT64_MAX},          {1, 1, 1, 0, UINT64_MAX / 2},
        {65535, 65535, 0, 0, 64},
    };
    for (size_t i = 0; i < sizeof claims / sizeof *claims; i++) {
        uint8_t bytes[1088] = "\x93RATLS\r\n\x01";
        hook h = {0};
        rmask_allocator allocator = hook_allocator(&h);
        rmask_atlas *out;
        memcpy(bytes + 24, &claims[i].num_bytes, 8), memcpy(bytes + 32, &claims[i].layers, 4),
            memcpy(bytes + 36, &claims[i].heads, 4);
        memcpy(bytes + 40, &claims[i].num_masks, 4), memcpy(bytes + 44, &claims[i].num_note_bytes, 4);
        for (size_t num_bytes = 64; num_bytes <= sizeof bytes; num_bytes += 1024) {
            seal_atlas(bytes, num_bytes);
            note("claim %zu in %zu bytes", i, num_bytes);
            write_file(in_folder("a.ratlas"), bytes, num_bytes);
            expect_makes_nothing(RMASK_ERR_FORMAT, out, rmask_atlas_from_data(bytes, num_bytes, &allocator, &out, test_error));
            expect_makes_nothing(RMASK_ERR_FORMAT, out, rmask_atlas_load(in_folder("a.ratlas"), &allocator, &out, test_error));
            expect_makes_nothing(RMASK_ERR_FORMAT, out, rmask_atlas_open(in_folder("a.ratlas"), &allocator, &out, test_error));
        }
        expect(h.most_bytes < 5 << 20, "%zu bytes were allocated", h.most_bytes);
        check_hook_empty(&h);
    }
}

/* In a mapped file the containers are looked at when they are read: damage spoils its own mask only. */
static void mapped_atlases_survive_damage(void **state)
{
    (void)state;
    rng random = rng_here();
    rmask_atlas *atlas = plain_atlas(), *mapped, *out;
    size_t num_bytes, count;
    const uint8_t *bytes = rmask_atlas_data(atlas, &num_bytes);
    uint8_t *damaged = must_allocate(num_bytes);
    const size_t third = (size_t)word(bytes, 80, 8);
    const rmask *masks[3];
    memcpy(damaged, bytes, num_bytes);
    const size_t containers = third + 128 + 20 * (size_t)word(bytes, third + 52, 4) +
                              4 * ((size_t)word(bytes, third + 56, 4) + (size_t)word(bytes, third + 60, 4)) +
                              4 * ((size_t)word(bytes, third + 68, 4) + 1);
    memset(damaged + containers, 0xff, 2 * (size_t)word(bytes, third + 72, 4));
    write_file(in_folder("a.ratlas"), damaged, num_bytes);
    expect_ok(rmask_atlas_open(in_folder("a.ratlas"), NULL, &mapped, test_error));
    for (uint32_t i = 0; i < 3; i++) masks[i] = rmask_atlas_distinct(mapped, i);
    expect_fails(RMASK_ERR_FORMAT, rmask_atlas_verify(mapped, test_error));
    expect(strstr(test_error->message, "mask 2 at byte") != NULL, "%s", test_error->message);
    expect_ok(rmask_verify(masks[0], test_error));
    expect_ok(rmask_verify(masks[1], test_error));
    expect_fails(RMASK_ERR_FORMAT, rmask_row(masks[2], 4, NULL, 0, &count, test_error));
    expect_makes_nothing(RMASK_ERR_FORMAT, out, rmask_atlas_combine(mapped, mapped, RMASK_AND, NULL, &out, test_error));
    double overlaps[2];
    expect_fails(RMASK_ERR_FORMAT, rmask_atlas_overlaps(mapped, overlaps, NULL, test_error));
    expect_makes_nothing(RMASK_ERR_FORMAT, out, rmask_atlas_load(in_folder("a.ratlas"), NULL, &out, test_error));
    const rmask *entries[] = {masks[0], masks[2]};
    expect_makes_nothing(RMASK_ERR_FORMAT, out, rmask_atlas_create(1, 2, 9, 9, entries, NULL, NULL, &out, test_error));
    expect(strstr(test_error->message, "layer 0, head 1") != NULL, "%s", test_error->message);
    rmask_atlas_release(mapped);

    memcpy(damaged, bytes, num_bytes); /* the index of a mask, as opposed to its containers, is checked at once */
    damaged[third + 130] ^= 1;
    write_file(in_folder("a.ratlas"), damaged, num_bytes);
    expect_makes_nothing(RMASK_ERR_FORMAT, out, rmask_atlas_open(in_folder("a.ratlas"), NULL, &out, test_error));
    for (int i = 0; i < 300; i++) {
        memcpy(damaged, bytes, num_bytes);
        damaged[rng_below(&random, (int64_t)num_bytes)] ^= (uint8_t)rng_between(&random, 1, 255);
        seal_atlas(damaged, num_bytes);
        write_file(in_folder("a.ratlas"), damaged, num_bytes);
        note("damage %d", i);
        if (rmask_atlas_open(in_folder("a.ratlas"), NULL, &mapped, NULL) != RMASK_OK) continue;
        for (uint32_t k = 0; k < rmask_atlas_num_masks(mapped); k++)
            for (int32_t row = 0; row < rmask_rows(rmask_atlas_distinct(mapped, k)); row++)
                (void)rmask_row(rmask_atlas_distinct(mapped, k), row, NULL, 0, &count, NULL);
        rmask_atlas_release(mapped);
    }
    free(damaged), rmask_atlas_release(atlas);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(six_masks_cost_six_masks),
        cmocka_unit_test(every_changed_byte_is_noticed),
        cmocka_unit_test(every_cut_is_noticed),
        cmocka_unit_test(random_corruption_is_survived),
        cmocka_unit_test(unsound_tables_never_pass),
        cmocka_unit_test(needless_masks_never_pass),
        cmocka_unit_test(exchanged_masks_are_noticed),
        cmocka_unit_test_setup_teardown(huge_claims_allocate_little, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(mapped_atlases_survive_damage, make_folder, remove_folder),
    };
    return run_test_program(tests);
}
