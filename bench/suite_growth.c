/* SPDX-License-Identifier: Apache-2.0
 * The suite `growth`: decoding appends a key block and a row of 64 random earlier blocks, a million times. What a row costs must not
 * depend on how many there are. */
#include "clock.h"
#include "croaring.h"
#include "format.h"
#include "heap.h"
#include "method.h"
#include "report.h"
#include "suites.h"

#include "cli.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NUM_ROWS = 1000000, ROW_BLOCKS = 64, NUM_PARTS = 10, PART_ROWS = NUM_ROWS / NUM_PARTS, ROWS_A_MASK = 1000 };

static void die_unless(rmask_status status, const rmask_error *error) { cli_check(status, error, "growth: "); }

static int compare_cols(const void *a, const void *b)
{
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

/* Row r has 64 distinct columns up to r, or all of them where there are not more. */
static struct bench_csr draw_rows(uint64_t random)
{
    struct bench_csr csr = {NUM_ROWS, NUM_ROWS, bench_alloc((NUM_ROWS + 1) * sizeof *csr.indptr),
                            bench_alloc((size_t)NUM_ROWS * ROW_BLOCKS * sizeof *csr.indices)};
    csr.indptr[0] = 0;
    for (int32_t row = 0; row < NUM_ROWS; row++) {
        int32_t *cols = csr.indices + csr.indptr[row], count = 0;
        while (count < ROW_BLOCKS && count <= row) {
            while (count < ROW_BLOCKS && count <= row) {
                cols[count] = row < ROW_BLOCKS ? count : bench_random_below(&random, row + 1);
                count++;
            }
            qsort(cols, (size_t)count, sizeof *cols, compare_cols);
            int32_t kept = 0;
            for (int32_t i = 0; i < count; i++)
                if (i == 0 || cols[i] != cols[kept - 1]) cols[kept++] = cols[i];
            count = kept;
        }
        csr.indptr[row + 1] = csr.indptr[row] + count;
    }
    return csr;
}

/* ---------------------------------------------------------------- the ways to grow */

/* Nanoseconds of each part, for all its rows. */
struct times {
    double ns[NUM_PARTS];
    uint64_t num_bytes;
};

static const int32_t *row_of(const struct bench_csr *csr, int32_t row, size_t *count)
{
    *count = (size_t)(csr->indptr[row + 1] - csr->indptr[row]);
    return csr->indices + csr->indptr[row];
}

/* A mask is taken every thousand rows, and each must still be what it was when all is done. */
static void grow_mask(const struct bench_csr *csr, struct times *times)
{
    enum { NUM_MASKS = NUM_ROWS / ROWS_A_MASK };
    rmask_error error;
    rmask *start, *masks[NUM_MASKS];
    rmask_grower *grower;
    die_unless(rmask_parse("none", 0, 0, NULL, &start, &error), &error);
    die_unless(rmask_grower_create(start, &grower, &error), &error);
    for (int part = 0; part < NUM_PARTS; part++) {
        bench_progress("growth: roarmask, row %d", part * PART_ROWS);
        double begin = bench_now_ns();
        for (int32_t row = part * PART_ROWS; row < (part + 1) * PART_ROWS; row++) {
            size_t count;
            const int32_t *cols = row_of(csr, row, &count);
            die_unless(rmask_grower_add_cols(grower, 1, &error), &error);
            die_unless(rmask_grower_add_row(grower, cols, count, &error), &error);
            if (row % ROWS_A_MASK == ROWS_A_MASK - 1)
                die_unless(rmask_grower_mask(grower, &masks[row / ROWS_A_MASK], &error), &error);
        }
        times->ns[part] = bench_since_ns(begin);
    }
    rmask_grower_destroy(grower);
    for (int i = 0; i < NUM_MASKS; i++) {
        static int32_t out[ROW_BLOCKS + BENCH_SLACK];
        const int32_t rows = (i + 1) * ROWS_A_MASK;
        if (rmask_rows(masks[i]) != rows || rmask_cols(masks[i]) != rows ||
            rmask_count(masks[i]) != (uint64_t)csr->indptr[rows])
            cli_die(CLI_FAILED, "growth: the mask of %d rows has changed", (int)rows);
        for (int32_t row = i == NUM_MASKS - 1 ? 0 : rows - ROWS_A_MASK; row < rows; row += i == NUM_MASKS - 1 ? 1 : 37) {
            size_t count, wanted_count;
            const int32_t *wanted = row_of(csr, row, &wanted_count);
            die_unless(rmask_row(masks[i], row, out, ROW_BLOCKS, &count, &error), &error);
            if (count != wanted_count || memcmp(out, wanted, count * sizeof *out) != 0)
                cli_die(CLI_FAILED, "growth: row %d of the mask of %d rows is wrong", (int)row, (int)rows);
        }
    }
    rmask_stats stats;
    rmask_get_stats(masks[NUM_MASKS - 1], &stats);
    times->num_bytes = stats.num_bytes;
    for (int i = 0; i < NUM_MASKS; i++) rmask_release(masks[i]);
    rmask_release(start);
}

/* Arrays that double. */
static void grow_csr(const struct bench_csr *csr, struct times *times)
{
    size_t room = 64, len = 0, row_room = 64;
    int32_t *indices = bench_alloc(room * sizeof *indices);
    int64_t *indptr = bench_alloc(row_room * sizeof *indptr);
    indptr[0] = 0;
    for (int part = 0; part < NUM_PARTS; part++) {
        double begin = bench_now_ns();
        for (int32_t row = part * PART_ROWS; row < (part + 1) * PART_ROWS; row++) {
            size_t count;
            const int32_t *cols = row_of(csr, row, &count);
            if (len + count > room) indices = bench_realloc(indices, (room *= 2) * sizeof *indices);
            if ((size_t)row + 2 > row_room) indptr = bench_realloc(indptr, (row_room *= 2) * sizeof *indptr);
            memcpy(indices + len, cols, count * sizeof *cols);
            len += count;
            indptr[row + 1] = (int64_t)len;
        }
        times->ns[part] = bench_since_ns(begin);
    }
    times->num_bytes = len * sizeof *indices + ((size_t)NUM_ROWS + 1) * sizeof *indptr;
    bench_free(indices);
    bench_free(indptr);
}

#ifdef ROARMASK_HAVE_CROARING

static void grow_croaring(const struct bench_csr *csr, struct times *times)
{
    bench_croaring_hook();
    size_t before = bench_live_bytes();
    roaring_bitmap_t **bitmaps = bench_alloc((size_t)NUM_ROWS * sizeof *bitmaps);
    for (int part = 0; part < NUM_PARTS; part++) {
        bench_progress("growth: croaring, row %d", part * PART_ROWS);
        double begin = bench_now_ns();
        for (int32_t row = part * PART_ROWS; row < (part + 1) * PART_ROWS; row++) {
            size_t count;
            const int32_t *cols = row_of(csr, row, &count);
            bitmaps[row] = roaring_bitmap_of_ptr(count, (const uint32_t *)cols);
            roaring_bitmap_shrink_to_fit(bitmaps[row]);
        }
        times->ns[part] = bench_since_ns(begin);
    }
    times->num_bytes = bench_live_bytes() - before;
    for (int32_t row = 0; row < NUM_ROWS; row++) roaring_bitmap_free(bitmaps[row]);
    bench_free(bitmaps);
}

#endif

static const struct {
    const char *name;
    void (*grow)(const struct bench_csr *csr, struct times *times);
} ways[] = {
    {"roarmask", grow_mask},
    {"csr", grow_csr},
#ifdef ROARMASK_HAVE_CROARING
    {"croaring", grow_croaring},
#endif
};
enum { NUM_WAYS = sizeof ways / sizeof *ways };

static double row_ns(const struct times *times, int part_begin, int part_end)
{
    double sum = 0;
    for (int part = part_begin; part < part_end; part++) sum += times->ns[part];
    return sum / ((part_end - part_begin) * (double)PART_ROWS);
}

json_t *suite_growth(const struct bench_flags *flags, bool quiet)
{
    bench_progress("growth: drawing rows");
    struct bench_csr csr = draw_rows(flags->seed);
    struct times times[NUM_WAYS] = {{{0}, 0}};
    for (int i = 0; i < NUM_WAYS; i++) ways[i].grow(&csr, &times[i]);
    bench_free(csr.indptr);
    bench_free(csr.indices);
    json_t *list = json_array();
    if (!quiet)
        printf("growth: a million times one more column, and one more row of 64 random ones; time a row\n  %s\n\n  %-14s",
               report_machine(), "rows from");
    for (int i = 0; i < NUM_WAYS && !quiet; i++) printf("%14s", ways[i].name);
    for (int part = 0; part < NUM_PARTS && !quiet; part++) {
        printf("\n  %-14s", format_count((uint64_t)part * PART_ROWS).text);
        for (int i = 0; i < NUM_WAYS; i++) printf("%14s", format_ns(row_ns(&times[i], part, part + 1)).text);
    }
    if (!quiet) printf("\n  %-14s", "bytes");
    for (int i = 0; i < NUM_WAYS; i++) {
        double first = row_ns(&times[i], 0, NUM_PARTS / 2), second = row_ns(&times[i], NUM_PARTS / 2, NUM_PARTS);
        json_t *parts = json_array();
        for (int part = 0; part < NUM_PARTS; part++) json_array_append_new(parts, report_ns(row_ns(&times[i], part, part + 1)));
        json_array_append_new(list, json_pack("{s:s, s:o, s:o, s:f, s:I}", "name", ways[i].name, "row_ns",
                                              report_ns((first + second) / 2), "row_ns_by_part", parts, "second_half_to_first",
                                              second / first, "num_bytes", (json_int_t)times[i].num_bytes));
        if (!quiet) printf("%14s", format_bytes((double)times[i].num_bytes).text);
    }
    if (!quiet)
        printf("\n\nThe second half of the rows took %s as long as the first; a mask was taken every %d rows, and all of them "
               "stayed as "
               "they were.\n",
               format_factor(row_ns(&times[0], NUM_PARTS / 2, NUM_PARTS) / row_ns(&times[0], 0, NUM_PARTS / 2)).text,
               ROWS_A_MASK);
    json_t *object = json_pack("{s:s, s:I, s:i, s:o}", "suite", "growth", "seed", (json_int_t)flags->seed, "num_rows", NUM_ROWS,
                               "methods", list);
    report_add_machine(object);
    return object;
}
