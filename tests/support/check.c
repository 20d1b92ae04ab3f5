/* SPDX-License-Identifier: Apache-2.0
 * Holding a mask against its twin, through every function that reads. */
#include <stdlib.h>
#include <string.h>

#include "twin.h"

enum {
    NUM_GUARDS = 24, /* more than the widest vector store */
    GUARD = 0x5bad5bad,
    MAX_CELLS_EXHAUSTIVE = 30000, /* beyond this `contains` is asked for a sample */
    NUM_CELLS_SAMPLED = 15000,
    MAX_ROWS_READ = 2500,      /* of a mask of unknown cells */
    MAX_ROW_EXPANDED = 100000, /* cells */
};

/* ---------------------------------------------------------------- buffers with guards */

static void guard(int32_t *buffer, size_t capacity)
{
    for (size_t i = 0; i < NUM_GUARDS; i++) buffer[capacity + i] = GUARD;
}

static bool guarded(const int32_t *buffer, size_t capacity)
{
    for (size_t i = 0; i < NUM_GUARDS; i++)
        if (buffer[capacity + i] != GUARD) return false;
    return true;
}

static void check_roomy(fill_function fill, void *context, size_t roomy_by, const int32_t *wanted, size_t num_wanted,
                        size_t ints_per_item)
{
    size_t capacity = num_wanted + roomy_by, count = SIZE_MAX;
    int32_t *buffer = must_allocate((capacity * ints_per_item + NUM_GUARDS) * sizeof *buffer);
    guard(buffer, capacity * ints_per_item);
    expect_ok(fill(context, buffer, capacity, &count, test_error));
    expect(count == num_wanted, "count %zu, wanted %zu", count, num_wanted);
    for (size_t i = 0; i < num_wanted * ints_per_item; i++)
        expect(buffer[i] == wanted[i], "entry %zu is %d, wanted %d", i, buffer[i], wanted[i]);
    expect(guarded(buffer, capacity * ints_per_item), "written past a buffer of %zu, count %zu", capacity, count);
    free(buffer);
}

static void check_cramped(fill_function fill, void *context, size_t capacity, size_t num_wanted, size_t ints_per_item)
{
    size_t count = SIZE_MAX;
    int32_t *buffer = must_allocate((capacity * ints_per_item + NUM_GUARDS) * sizeof *buffer);
    guard(buffer, capacity * ints_per_item);
    expect_fails(RMASK_ERR_CAPACITY, fill(context, buffer, capacity, &count, test_error));
    expect(count == num_wanted, "count %zu beside a small capacity, wanted %zu", count, num_wanted);
    expect(guarded(buffer, capacity * ints_per_item), "written past a buffer of %zu, count %zu", capacity, count);
    free(buffer);
}

void check_fill(fill_function fill, void *context, const int32_t *wanted, size_t num_wanted, size_t ints_per_item)
{
    size_t count = SIZE_MAX;
    expect_ok(fill(context, NULL, 0, &count, test_error));
    expect(count == num_wanted, "asked for the count only: %zu, wanted %zu", count, num_wanted);
    check_roomy(fill, context, 0, wanted, num_wanted, ints_per_item);
    check_roomy(fill, context, 1 + num_wanted % 7, wanted, num_wanted, ints_per_item);
    check_roomy(fill, context, 100, wanted, num_wanted, ints_per_item);
    if (num_wanted == 0) return;
    check_cramped(fill, context, num_wanted - 1, num_wanted, ints_per_item);
    check_cramped(fill, context, num_wanted / 2, num_wanted, ints_per_item);
    check_cramped(fill, context, 0, num_wanted, ints_per_item);
}

/* ---------------------------------------------------------------- cells, rows */

static void check_cell(const rmask *mask, const twin *t, int32_t row, int32_t col)
{
    bool wanted = twin_at(t, row)[col];
    expect(rmask_contains(mask, row, col) == wanted, "contains(%d, %d) is not %d", row, col, wanted);
}

static void check_cells(const rmask *mask, const twin *t, rng *random)
{
    int64_t num_cells = (int64_t)t->rows * t->cols;
    if (num_cells <= MAX_CELLS_EXHAUSTIVE) {
        for (int32_t row = 0; row < t->rows; row++)
            for (int32_t col = 0; col < t->cols; col++) check_cell(mask, t, row, col);
    } else {
        for (int i = 0; i < NUM_CELLS_SAMPLED; i++)
            check_cell(mask, t, (int32_t)rng_below(random, t->rows), (int32_t)rng_below(random, t->cols));
        for (int32_t row = 0; row < t->rows; row++) check_cell(mask, t, row, 0), check_cell(mask, t, row, t->cols - 1);
    }
    const int32_t outside_rows[] = {-1, t->rows, INT32_MIN, INT32_MAX}, outside_cols[] = {-1, t->cols, INT32_MIN, INT32_MAX};
    for (size_t i = 0; i < 4; i++) {
        int32_t row = (int32_t)rng_below(random, t->rows), col = (int32_t)rng_below(random, t->cols);
        expect(!rmask_contains(mask, outside_rows[i], col), "row %d outside contains", outside_rows[i]);
        expect(!rmask_contains(mask, row, outside_cols[i]), "column %d outside contains", outside_cols[i]);
    }
}

struct one_row {
    const rmask *mask;
    int32_t row;
};

static rmask_status fill_row(void *context, int32_t *buffer, size_t capacity, size_t *count, rmask_error *error)
{
    const struct one_row *one = context;
    return rmask_row(one->mask, one->row, buffer, capacity, count, error);
}

static rmask_status fill_ranges(void *context, int32_t *buffer, size_t capacity, size_t *count, rmask_error *error)
{
    const struct one_row *one = context;
    return rmask_row_ranges(one->mask, one->row, buffer, capacity, count, error);
}

static void check_each_row_alone(const rmask *mask, const twin *t)
{
    int32_t *wanted = must_allocate(((size_t)t->cols + 1) * sizeof *wanted);
    for (int32_t row = 0; row < t->rows; row++) {
        struct one_row one = {mask, row};
        size_t num_cols = twin_row(t, row, wanted), count = SIZE_MAX;
        expect_ok(rmask_row_count(mask, row, &count, test_error));
        expect(count == num_cols, "row %d has count %zu, wanted %zu", row, count, num_cols);
        check_fill(fill_row, &one, wanted, num_cols, 1);
        check_fill(fill_ranges, &one, wanted, twin_row_ranges(t, row, wanted), 2);
    }
    free(wanted);
}

struct walk {
    const twin *t;
    int32_t next_row, stop_at, *wanted;
    bool differs;
};

static int check_walked_row(void *context, int32_t row, const int32_t *cols, size_t num_cols)
{
    struct walk *walk = context;
    if (row != walk->next_row++ || num_cols != twin_row(walk->t, row, walk->wanted))
        walk->differs = true;
    else if (num_cols && memcmp(cols, walk->wanted, num_cols * sizeof *cols) != 0)
        walk->differs = true;
    return row == walk->stop_at ? 1 : 0;
}

static void check_walk(const rmask *mask, const twin *t, int32_t row_begin, int32_t row_end)
{
    struct walk walk = {t, row_begin, -1, must_allocate((size_t)t->cols * sizeof(int32_t)), false};
    expect_ok(rmask_for_each_row(mask, row_begin, row_end, check_walked_row, &walk, test_error));
    expect(!walk.differs && walk.next_row == row_end, "for_each_row over [%d, %d) differs", row_begin, row_end);
    if (row_end > row_begin) {
        walk.next_row = row_begin, walk.stop_at = (row_begin + row_end) / 2;
        test_error_reset();
        rmask_status status = rmask_for_each_row(mask, row_begin, row_end, check_walked_row, &walk, test_error);
        expect_fails_at(__FILE__, __LINE__, "rmask_for_each_row", RMASK_ERR_STOPPED, status);
        expect(!walk.differs && walk.next_row == walk.stop_at + 1, "for_each_row stopped after row %d", walk.next_row - 1);
    }
    free(walk.wanted);
}

/* ---------------------------------------------------------------- many rows */

static void check_csr(const rmask *mask, const twin *t, int32_t row_begin, int32_t row_end)
{
    size_t num_rows = (size_t)(row_end - row_begin), num_cells = 0;
    int64_t *indptr = must_allocate((num_rows + 2) * sizeof *indptr);
    for (int32_t row = row_begin; row < row_end; row++) num_cells += twin_row_count(t, row);
    int32_t *indices = must_allocate((num_cells + NUM_GUARDS) * sizeof *indices);
    int32_t *wanted = must_allocate((size_t)t->cols * sizeof *wanted);

    for (int with_indices = 0; with_indices < 2; with_indices++) {
        memset(indptr, 0x77, (num_rows + 2) * sizeof *indptr);
        guard(indices, num_cells);
        expect_ok(rmask_to_csr(mask, row_begin, row_end, indptr, with_indices ? indices : NULL, with_indices ? num_cells : 0,
                               test_error));
        expect(indptr[0] == 0 && indptr[num_rows] == (int64_t)num_cells, "to_csr [%d, %d): last entry %lld, wanted %zu",
               row_begin, row_end, (long long)indptr[num_rows], num_cells);
        expect(indptr[num_rows + 1] == 0x7777777777777777, "to_csr wrote past indptr");
        expect(guarded(indices, num_cells), "to_csr wrote past %zu indices", num_cells);
        for (int32_t row = row_begin; row < row_end; row++) {
            size_t num_cols = twin_row(t, row, wanted);
            const int64_t *ends = indptr + (row - row_begin);
            expect(ends[1] - ends[0] == (int64_t)num_cols, "to_csr: row %d has %lld", row, (long long)(ends[1] - ends[0]));
            expect(!with_indices || !num_cols || memcmp(indices + ends[0], wanted, num_cols * sizeof *wanted) == 0,
                   "to_csr: the columns of row %d differ", row);
        }
    }
    for (size_t capacity = num_cells / 2, i = 0; num_cells > 0 && i < 2; capacity = num_cells - 1, i++) {
        guard(indices, capacity);
        expect_fails(RMASK_ERR_CAPACITY, rmask_to_csr(mask, row_begin, row_end, indptr, indices, capacity, test_error));
        expect(guarded(indices, capacity), "to_csr wrote past a capacity of %zu", capacity);
    }
    free(indptr), free(indices), free(wanted);
}

static void check_raster(const rmask *mask, const twin *t, const int32_t window[4], int32_t raster_rows, int32_t raster_cols)
{
    int64_t num_rows = window[1] - window[0], num_cols = window[3] - window[2];
    size_t num_bytes = ((size_t)raster_rows * (size_t)raster_cols + 1) * sizeof(uint64_t);
    uint64_t *counts = must_allocate(num_bytes), *field = counts;
    memset(counts, 0x77, num_bytes);
    expect_ok(rmask_raster(mask, window[0], window[1], window[2], window[3], raster_rows, raster_cols, counts, test_error));
    for (int64_t i = 0; i < raster_rows; i++)
        for (int64_t j = 0; j < raster_cols; j++, field++) {
            uint64_t wanted = 0;
            for (int64_t row = i * num_rows / raster_rows; row < (i + 1) * num_rows / raster_rows; row++)
                for (int64_t col = j * num_cols / raster_cols; col < (j + 1) * num_cols / raster_cols; col++)
                    wanted += twin_at(t, window[0] + (int32_t)row)[window[2] + col];
            expect(*field == wanted, "raster %d x %d of [%d, %d) x [%d, %d): field (%lld, %lld) is %llu, wanted %llu",
                   raster_rows, raster_cols, window[0], window[1], window[2], window[3], (long long)i, (long long)j,
                   (unsigned long long)*field, (unsigned long long)wanted);
        }
    expect(*field == 0x7777777777777777, "raster wrote past its counts");
    free(counts);
}

static void check_rasters(const rmask *mask, const twin *t, rng *random)
{
    const int32_t all[4] = {0, t->rows, 0, t->cols};
    check_raster(mask, t, all, 1, 1);
    check_raster(mask, t, all, 3, 5);
    check_raster(mask, t, all, t->rows / 2 + 1, 2);
    if ((int64_t)t->rows * t->cols <= 5000) check_raster(mask, t, all, t->rows + 1, t->cols + 2);
    for (int i = 0; i < 3; i++) {
        int32_t part[4];
        part[0] = (int32_t)rng_between(random, 0, t->rows), part[1] = (int32_t)rng_between(random, part[0], t->rows);
        part[2] = (int32_t)rng_between(random, 0, t->cols), part[3] = (int32_t)rng_between(random, part[2], t->cols);
        check_raster(mask, t, part, (int32_t)rng_between(random, 1, 9), (int32_t)rng_between(random, 1, 70));
    }
}

/* ---------------------------------------------------------------- the whole mask */

static void check_totals(const rmask *mask, const twin *t)
{
    uint64_t count = twin_count(t);
    double num_cells = (double)t->rows * t->cols;
    expect(rmask_rows(mask) == t->rows && rmask_cols(mask) == t->cols, "grid %d x %d", rmask_rows(mask), rmask_cols(mask));
    expect(rmask_count(mask) == count, "count %llu, wanted %llu", (unsigned long long)rmask_count(mask),
           (unsigned long long)count);
    double density = num_cells > 0 ? (double)count / num_cells : 0, difference = rmask_density(mask) - density;
    expect(difference < 1e-12 && difference > -1e-12, "density %g, wanted %g", rmask_density(mask), density);
}

static void check_stats(const rmask *mask)
{
    rmask_stats stats;
    size_t num_bytes;
    memset(&stats, 0x77, sizeof stats);
    rmask_get_stats(mask, &stats);
    expect(rmask_data(mask, &num_bytes) != NULL, "a mask without data");
    expect(stats.num_bytes == num_bytes, "stats: %llu bytes of %zu", (unsigned long long)stats.num_bytes, num_bytes);
    expect(stats.count == rmask_count(mask), "stats: another count");
    expect(stats.header_bytes + stats.strip_bytes + stats.boundary_bytes + stats.directory_bytes + stats.container_bytes ==
               stats.num_bytes,
           "stats: the sections do not add up");
    expect(stats.num_boundaries * sizeof(int32_t) == stats.boundary_bytes, "stats: bytes of the boundaries");
    expect(stats.num_arrays + stats.num_bitsets >= stats.num_exception_rows, "stats: rows without containers");
    expect(stats.num_exceptions >= stats.num_arrays + stats.num_bitsets, "stats: empty containers");
    expect((stats.num_exceptions == 0) == (stats.num_exception_rows == 0), "stats: rows without exceptions");
    expect((stats.container_bytes == 0) == (stats.num_exceptions == 0), "stats: containers without exceptions");
}

/* In masks that the library has made, each container is the smaller of its two kinds. */
static void check_containers(const rmask *mask)
{
    rmask_stats stats;
    rmask_get_stats(mask, &stats);
    uint64_t heads = rmask_cols(mask) > 65536 ? stats.num_exception_rows + 2 * (stats.num_arrays + stats.num_bitsets) : 0;
    expect(stats.container_bytes <= 2 * (stats.num_exceptions + heads), "%llu bytes of containers for %llu exceptions",
           (unsigned long long)stats.container_bytes, (unsigned long long)stats.num_exceptions);
}

static void check_copy(const rmask *mask)
{
    size_t num_bytes, num_bytes_copy;
    const void *data = rmask_data(mask, &num_bytes);
    for (size_t offset = 0; offset < 2; offset++) {
        char *moved = must_allocate(num_bytes + offset);
        rmask *copy;
        memcpy(moved + offset, data, num_bytes);
        expect_ok(rmask_from_data(moved + offset, num_bytes, NULL, &copy, test_error));
        free(moved);
        check_equal(mask, copy, true);
        expect(memcmp(data, rmask_data(copy, &num_bytes_copy), num_bytes) == 0 && num_bytes == num_bytes_copy,
               "the copy has other bytes");
        rmask_release(copy);
    }
}

void check_equal(const rmask *a, const rmask *b, bool wanted)
{
    bool equal = !wanted;
    expect_ok(rmask_equal(a, b, &equal, test_error));
    expect(equal == wanted, "rmask_equal says %d", equal);
    equal = !wanted;
    expect_ok(rmask_equal(b, a, &equal, test_error));
    expect(equal == wanted, "rmask_equal the other way round says %d", equal);
}

void check_same(const rmask *mask, const twin *t)
{
    rng random = rng_here();
    random.state ^= rmask_count(mask);
    int32_t row_begin = (int32_t)rng_between(&random, 0, t->rows), row_end = (int32_t)rng_between(&random, row_begin, t->rows);
    check_totals(mask, t);
    check_stats(mask);
    check_containers(mask);
    check_cells(mask, t, &random);
    check_each_row_alone(mask, t);
    check_walk(mask, t, 0, t->rows);
    check_walk(mask, t, row_begin, row_end);
    check_csr(mask, t, 0, t->rows);
    check_csr(mask, t, row_begin, row_end);
    check_csr(mask, t, row_begin, row_begin);
    check_rasters(mask, t, &random);
    check_copy(mask);
}

void check_rows(const rmask *mask, const twin *t)
{
    int32_t *wanted = must_allocate((size_t)t->cols * sizeof *wanted), *cols = must_allocate((size_t)t->cols * sizeof *cols);
    check_totals(mask, t);
    check_containers(mask);
    for (int32_t row = 0; row < t->rows; row++) {
        size_t num_cols = twin_row(t, row, wanted), count = SIZE_MAX;
        expect_ok(rmask_row(mask, row, cols, (size_t)t->cols, &count, test_error));
        expect(count == num_cols, "row %d has %zu, wanted %zu", row, count, num_cols);
        expect(!count || memcmp(cols, wanted, count * sizeof *cols) == 0, "the columns of row %d differ", row);
    }
    free(wanted), free(cols);
}

void check_same_release(rmask *mask, const twin *t)
{
    check_same(mask, t);
    rmask_release(mask);
}

void check_rows_release(rmask *mask, const twin *t)
{
    check_rows(mask, t);
    rmask_release(mask);
}

/* ---------------------------------------------------------------- masks of unknown cells */

uint64_t check_row_consistent(const rmask *mask, int32_t row, size_t most_cells)
{
    size_t count = SIZE_MAX, num_cols, num_ranges, in_ranges = 0;
    int32_t last = -1;
    expect_ok(rmask_row_count(mask, row, &count, test_error));
    expect(count <= (size_t)rmask_cols(mask), "row %d has %zu cells", row, count);
    expect_ok(rmask_row_ranges(mask, row, NULL, 0, &num_ranges, test_error));
    expect(num_ranges <= count && (num_ranges > 0) == (count > 0), "row %d has %zu ranges", row, num_ranges);
    if (count > most_cells) return count;

    int32_t *cols = must_allocate((count + 2 * num_ranges) * sizeof *cols), *ranges = cols + count;
    expect_ok(rmask_row(mask, row, cols, count, &num_cols, test_error));
    expect(num_cols == count, "row %d: %zu columns, count %zu", row, num_cols, count);
    for (size_t i = 0; i < count; last = cols[i++]) expect(cols[i] > last, "row %d: columns %d, %d", row, last, cols[i]);
    expect(last < rmask_cols(mask), "row %d: column %d", row, last);
    for (size_t i = 0; i < count; i += 1 + count / 8)
        expect(rmask_contains(mask, row, cols[i]), "row %d: column %d is not contained", row, cols[i]);

    expect_ok(rmask_row_ranges(mask, row, ranges, num_ranges, &num_ranges, test_error));
    for (size_t i = 0; i < num_ranges; i++) {
        expect(ranges[2 * i] < ranges[2 * i + 1], "row %d: an empty range", row);
        expect(i == 0 || ranges[2 * i] > ranges[2 * i - 1], "row %d: ranges that touch", row);
        expect(cols[in_ranges] == ranges[2 * i], "row %d: ranges and columns differ", row);
        in_ranges += (size_t)(ranges[2 * i + 1] - ranges[2 * i]);
    }
    expect(in_ranges == count, "row %d: %zu cells in ranges, count %zu", row, in_ranges, count);
    free(cols);
    return count;
}

void check_consistent(const rmask *mask)
{
    int32_t rows = rmask_rows(mask);
    uint64_t num_cells = (uint64_t)rows * (uint64_t)rmask_cols(mask), count = rmask_count(mask), total = 0, result;
    int32_t step = rows / MAX_ROWS_READ + 1;
    for (int64_t row = 0; row < rows; row += step) total += check_row_consistent(mask, (int32_t)row, MAX_ROW_EXPANDED);
    if (rows > 0) (void)check_row_consistent(mask, rows - 1, MAX_ROW_EXPANDED);
    expect(step > 1 || total == count, "%llu cells in rows, count %llu", (unsigned long long)total, (unsigned long long)count);
    expect_ok(rmask_raster(mask, 0, rows, 0, rmask_cols(mask), 1, 1, &result, test_error));
    expect(result == count, "%llu cells in the raster, count %llu", (unsigned long long)result, (unsigned long long)count);
    expect_ok(rmask_combine_count(mask, mask, RMASK_NAND, &result, test_error));
    expect(result == num_cells - count, "%llu cells outside, %llu inside", (unsigned long long)result,
           (unsigned long long)count);
    check_stats(mask);
    check_copy(mask);
}
