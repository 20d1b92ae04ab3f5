/* SPDX-License-Identifier: Apache-2.0
 * The bytes claim to be a mask. They are taken as they are, and once more as whoever wants to do harm would write them: with the right length
 * and the right checksums. Then they are mapped, so that every reader meets rows that nobody has checked. Each either fails cleanly or
 * agrees with the others. */
#include "fuzz.h"
#include "support/seal.h"

#include "core/exception.h"

#include <stdlib.h>
#include <string.h>

enum {
    MOST_BYTES = 1 << 16,
    MOST_ROWS = 100,  /* that are read of a mask */
    MOST_CELLS = 2000, /* that are read of a row */
};

/* ---------------------------------------------------------------- masks without a fault */

/* Reads a sound mask here and there. */
static void check_sound(const rmask *mask)
{
    const int32_t rows = rmask_rows(mask), cols = rmask_cols(mask), step = rows / MOST_ROWS + 1;
    const uint64_t num_cells = (uint64_t)rows * (uint64_t)cols;
    uint64_t total = 0, count;
    for (int64_t row = 0; row < rows; row += step) total += check_row_consistent(mask, (int32_t)row, MOST_CELLS);
    expect(step > 1 || total == rmask_count(mask), "%llu cells in rows, count %llu", (unsigned long long)total,
           (unsigned long long)rmask_count(mask));
    expect_ok(rmask_raster(mask, 0, rows, 0, cols, 1, 1, &count, test_error));
    expect(count == rmask_count(mask), "%llu cells in the raster, count %llu", (unsigned long long)count,
           (unsigned long long)rmask_count(mask));
    expect_ok(rmask_combine_count(mask, mask, RMASK_NAND, &count, test_error));
    expect(count == num_cells - rmask_count(mask), "%llu cells outside, %llu inside", (unsigned long long)count,
           (unsigned long long)rmask_count(mask));
}

/* Returns whether the bytes are taken. */
static bool try_data(const uint8_t *bytes, size_t num_bytes)
{
    uint8_t *exact = must_allocate(num_bytes); /* so that a sanitizer sees a read past the end */
    rmask *mask = (void *)&test_poison;
    memcpy(exact, bytes, num_bytes);
    test_error_reset();
    const rmask_status status = rmask_from_data(exact, num_bytes, NULL, &mask, test_error);
    free(exact);
    if (status) {
        expect_fails_at(__FILE__, __LINE__, "rmask_from_data", RMASK_ERR_FORMAT, status);
        expect(mask == NULL, "the output of a refusal is not NULL");
        return false;
    }
    check_sound(mask);
    expect_ok(rmask_verify(mask, test_error));
    rmask_release(mask);
    return true;
}

/* ---------------------------------------------------------------- masks that may be damaged */

/* A call that meets a damaged row says so, in one line. Returns whether it succeeded. */
#define survives(call) (test_error_reset(), survived_at(#call, (call)))

static bool survived_at(const char *call, rmask_status status)
{
    if (status)
        expect_fails_at(__FILE__, __LINE__, call, RMASK_ERR_FORMAT, status);
    else
        expect_ok_at(__FILE__, __LINE__, call, status);
    return status == RMASK_OK;
}

/* All readers of one row are of one opinion. */
static bool check_row(const rmask *mask, int32_t row, size_t *count)
{
    if (survives(rmask_row_count(mask, row, count, test_error))) {
        (void)check_row_consistent(mask, row, MOST_CELLS);
        return true;
    }
    int32_t buffer[64];
    size_t num_found;
    int64_t indptr[2];
    uint64_t field;
    expect_fails(RMASK_ERR_FORMAT, rmask_row(mask, row, buffer, 64, &num_found, test_error));
    expect_fails(RMASK_ERR_FORMAT, rmask_row_ranges(mask, row, buffer, 32, &num_found, test_error));
    expect_fails(RMASK_ERR_FORMAT, rmask_to_csr(mask, row, row + 1, indptr, NULL, 0, test_error));
    expect_fails(RMASK_ERR_FORMAT, rmask_row_combine(mask, row, mask, row, RMASK_NAND, buffer, 64, &num_found, test_error));
    expect_fails(RMASK_ERR_FORMAT, rmask_rows_or(mask, &row, 1, buffer, 64, &num_found, test_error));
    expect_fails(RMASK_ERR_FORMAT, rmask_raster(mask, row, row + 1, 0, rmask_cols(mask), 1, 1, &field, test_error));
    for (int32_t col = 0; col < 20; col++) expect(!rmask_contains(mask, row, col), "a cell in a damaged row");
    return false;
}

static int count_row(void *context, int32_t row, const int32_t *cols, size_t num_cols)
{
    (void)row, (void)cols;
    *(uint64_t *)context += num_cols;
    return 0;
}

/* A mask that was made of a mapped one has sound rows, whatever else. Its count is only as true as the header of the first. */
static void check_result(rmask *result, bool sound)
{
    const int32_t rows = rmask_rows(result), step = rows / 8 + 1;
    for (int64_t row = 0; row < rows; row += step) (void)check_row_consistent(result, (int32_t)row, MOST_CELLS);
    if (sound) expect_ok(rmask_verify(result, test_error));
    rmask_release(result);
}

static void check_algebra(const rmask *mask, bool sound)
{
    rmask *other, *result;
    uint64_t count;
    bool equal;
    expect_ok(rmask_parse("window(5) | sink(3)", rmask_rows(mask), rmask_cols(mask), NULL, &other, test_error));
    if (survives(rmask_combine(mask, other, RMASK_XOR, &result, test_error))) check_result(result, sound);
    if (survives(rmask_combine(other, mask, RMASK_AND_NOT, &result, test_error))) check_result(result, sound);
    if (survives(rmask_not(mask, &result, test_error))) check_result(result, sound);
    (void)survives(rmask_combine_count(mask, other, RMASK_AND, &count, test_error));
    (void)survives(rmask_equal(mask, other, &equal, test_error));
    rmask_release(other);
}

static void check_builder(const rmask *mask, bool sound)
{
    rmask_builder *builder;
    rmask *result;
    expect_ok(rmask_builder_create(rmask_rows(mask), rmask_cols(mask), NULL, &builder, test_error));
    if (survives(rmask_builder_add_mask(builder, mask, test_error))) {
        expect_ok(rmask_builder_freeze(builder, &result, test_error));
        check_result(result, sound);
    }
    rmask_builder_destroy(builder);
}

/* Whatever reads a whole mask. Where all rows are known to be sound it must succeed. */
static void check_whole(rmask *mask, bool sound)
{
    rmask_stats stats;
    rmask_get_stats(mask, &stats);
    const int32_t rows = rmask_rows(mask), cols = rmask_cols(mask);
    uint64_t counts[30];
    (void)survives(rmask_raster(mask, rows / 3, rows, cols / 3, cols, 3, 10, counts, test_error));
    check_algebra(mask, sound);
    if (stats.count <= 20 * MOST_CELLS && rows <= 20 * MOST_CELLS) {
        check_builder(mask, sound);
        uint64_t total = 0;
        if (survives(rmask_for_each_row(mask, 0, rows, count_row, &total, test_error)) && sound)
            expect(total == stats.count, "%llu cells in turn, count %llu", (unsigned long long)total, (unsigned long long)stats.count);
    }
}

static void try_mapped(uint8_t *bytes, size_t num_bytes)
{
    rmask *mask = (void *)&test_poison;
    if (!survives(fuzz_open(bytes, num_bytes, NULL, &mask, test_error))) {
        expect(mask == NULL, "the output of a refusal is not NULL");
        expect(!try_data(bytes, num_bytes), "refused when mapped, taken when read");
        return;
    }
    const int32_t rows = rmask_rows(mask), step = rows / MOST_ROWS + 1;
    rmask_header *header = (void *)bytes;
    bool all_read = step == 1;
    uint64_t total = 0;
    for (int64_t row = 0; row < rows; row += step) {
        size_t count;
        if (check_row(mask, (int32_t)row, &count)) total += count;
        else all_read = false;
    }
    check_whole(mask, false);
    const bool sound = survives(rmask_verify(mask, test_error));
    expect(sound == try_data(bytes, num_bytes), "verified, but refused when read, or the reverse");
    if (sound) check_sound(mask), check_whole(mask, true);
    rmask_release(mask);
    if (sound || !all_read) return;

    /* Nothing but the counts can be wrong. With the right ones the bytes are a mask. */
    header->count = total;
    header->num_exceptions = 0;
    seal(bytes, num_bytes);
    expect_ok(fuzz_open(bytes, num_bytes, NULL, &mask, test_error));
    rmask_exception_walk walk = rmask_walk_exceptions(mask, 0);
    while (rmask_walk_row(&walk) < rows) {
        rmask_row_containers containers = rmask_walk_take(&walk);
        for (rmask_container container; rmask_next_container(&containers, &container);)
            header->num_exceptions += rmask_container_count(&container);
    }
    rmask_release(mask);
    seal(bytes, num_bytes);
    expect(try_data(bytes, num_bytes), "refused with the right counts");
}

/* ---------------------------------------------------------------- the target */

/* A copy with the length and the checksums that its header asks for; NULL where that is no header or asks for too much. */
static uint8_t *repair(const uint8_t *bytes, size_t num_bytes, size_t *num_repaired)
{
    rmask_header header;
    if (num_bytes < sizeof header) return NULL;
    memcpy(&header, bytes, sizeof header);
    const rmask_layout at = rmask_layout_of(&header);
    if (at.end > MOST_BYTES) return NULL;
    uint8_t *repaired = must_allocate((size_t)at.end);
    memset(repaired, 0, (size_t)at.end);
    memcpy(repaired, bytes, num_bytes < at.end ? num_bytes : (size_t)at.end);
    ((rmask_header *)(void *)repaired)->num_bytes = at.end;
    for (uint64_t i = at.containers + 2 * (uint64_t)header.num_container_units; i < at.end; i++) repaired[i] = 0;
    seal(repaired, (size_t)at.end);
    *num_repaired = (size_t)at.end;
    return repaired;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t num_bytes)
{
    size_t num_repaired;
    note("the bytes as they are");
    const bool taken = try_data(bytes, num_bytes);
    uint8_t *repaired = repair(bytes, num_bytes, &num_repaired);
    if (!repaired) return 0;
    expect(!taken || (num_repaired == num_bytes && memcmp(bytes, repaired, num_bytes) == 0), "taken in need of repair");
    note("the bytes repaired");
    try_mapped(repaired, num_repaired);
    free(repaired);
    return 0;
}
