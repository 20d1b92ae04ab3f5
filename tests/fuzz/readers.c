/* SPDX-License-Identifier: Apache-2.0 */
#include "readers.h"

enum {
    MOST_ROWS = 100,   /* that are read of a mask */
    MOST_CELLS = 2000, /* that are read of a row */
};

/* ---------------------------------------------------------------- masks that may be damaged */

bool survived_at(const char *call, rmask_status status)
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

static void check_tiles(const rmask *mask, bool sound)
{
    const int32_t rows = rmask_rows(mask), cols = rmask_cols(mask), begin = rows - rows / 5, col_begin = cols / 2;
    uint8_t bits[16 * 20], cells[16 * 150];
    rmask *any, *all;
    const bool read = survives(rmask_to_bits(mask, begin, begin + 16, col_begin, col_begin + 150, bits, 20, test_error));
    expect(survives(rmask_to_bytes(mask, begin, begin + 16, col_begin, col_begin + 150, cells, 150, test_error)) == read,
           "bits and bytes are not of one opinion");
    for (size_t i = 0; read && i < sizeof cells; i++)
        expect(cells[i] == (bits[i / 150 * 20 + i % 150 / 8] >> i % 150 % 8 & 1), "a bit and a byte differ");
    if (rows <= 20 * MOST_CELLS && survives(rmask_coarsen(mask, 3, 7, &any, &all, test_error)))
        check_result(any, sound), check_result(all, sound);
    if (survives(rmask_coarsen(mask, rows / 10 + 1, cols / 10 + 1, &any, NULL, test_error))) check_result(any, sound);
}

static void check_reshaping(const rmask *mask, bool sound)
{
    const int32_t rows = rmask_rows(mask), cols = rmask_cols(mask), taken[] = {0, rows - 1, rows / 2};
    const rmask *const twice[] = {mask, mask};
    rmask *result;
    if (survives(rmask_slice(mask, rows / 3, rows - rows / 4, cols / 3, cols, &result, test_error))) check_result(result, sound);
    if (survives(rmask_shift(mask, 1, -2, &result, test_error))) check_result(result, sound);
    if (survives(rmask_transpose(mask, &result, test_error))) check_result(result, sound);
    if (rows > 0 && survives(rmask_take_rows(mask, taken, 3, &result, test_error))) check_result(result, sound);
    if (rows > INT32_MAX / 2 || cols > INT32_MAX / 2) return;
    if (survives(rmask_stack(twice, 2, &result, test_error))) check_result(result, sound);
    if (survives(rmask_repeat(mask, 2, &result, test_error))) check_result(result, sound);
}

static void check_grower(const rmask *mask, bool sound)
{
    const int32_t cols[] = {0, 2};
    rmask_grower *grower;
    rmask *result;
    if (rmask_rows(mask) > INT32_MAX - 9 || rmask_cols(mask) > INT32_MAX - 9) return;
    if (!survives(rmask_grower_create(mask, &grower, test_error))) return;
    expect_ok(rmask_grower_add_cols(grower, 3, test_error));
    expect_ok(rmask_grower_extend(grower, 2, test_error));
    expect_ok(rmask_grower_add_row(grower, cols, 2, test_error));
    expect_ok(rmask_grower_mask(grower, &result, test_error));
    rmask_grower_destroy(grower);
    check_result(result, sound);
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

/* Whether all of the cells can be gone through, by what the rows say: the header of a mapped mask may say anything. */
static bool has_few_cells(const rmask *mask)
{
    if (rmask_rows(mask) > 20 * MOST_CELLS) return false;
    uint64_t total = 0;
    size_t count;
    for (int32_t row = 0; row < rmask_rows(mask) && total <= 20 * MOST_CELLS; row++)
        if (rmask_row_count(mask, row, &count, test_error) == RMASK_OK) total += count;
    return total <= 20 * MOST_CELLS;
}

/* Whatever reads a whole mask. Where all rows are known to be sound it must succeed. */
static void check_whole(const rmask *mask, bool sound)
{
    rmask_stats stats;
    rmask_get_stats(mask, &stats);
    const int32_t rows = rmask_rows(mask), cols = rmask_cols(mask);
    uint64_t counts[30];
    (void)survives(rmask_raster(mask, rows / 3, rows, cols / 3, cols, 3, 10, counts, test_error));
    check_algebra(mask, sound);
    check_tiles(mask, sound);
    check_reshaping(mask, sound);
    check_grower(mask, sound);
    if (has_few_cells(mask)) {
        check_builder(mask, sound);
        uint64_t total = 0;
        if (survives(rmask_for_each_row(mask, 0, rows, count_row, &total, test_error)) && sound)
            expect(total == stats.count, "%llu cells in turn, count %llu", (unsigned long long)total, (unsigned long long)stats.count);
    }
}

bool readers_survive(const rmask *mask, uint64_t *total)
{
    const int32_t rows = rmask_rows(mask), step = rows / MOST_ROWS + 1;
    bool all_read = step == 1;
    *total = 0;
    for (int64_t row = 0; row < rows; row += step) {
        size_t count;
        if (check_row(mask, (int32_t)row, &count)) *total += count;
        else all_read = false;
    }
    check_whole(mask, false);
    return all_read;
}

/* ---------------------------------------------------------------- masks without a fault */

void readers_agree(const rmask *mask)
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
    check_whole(mask, true);
}
