/* SPDX-License-Identifier: Apache-2.0
 * Every way of making a mask of given cells. */
#include "ways.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct cell {
    int32_t row, col;
} cell;

/* The twin's cells in the order of reading. */
static cell *cells_of(const twin *t, size_t *num_cells)
{
    cell *cells = must_allocate(twin_count(t) * sizeof *cells);
    *num_cells = 0;
    for (int32_t row = 0; row < t->rows; row++)
        for (int32_t col = 0; col < t->cols; col++)
            if (twin_at(t, row)[col]) cells[(*num_cells)++] = (cell){row, col};
    return cells;
}

/* ---------------------------------------------------------------- in one call */

static rmask *make_csr(const twin *t, const rmask_allocator *allocator, rng *random)
{
    (void)random;
    int64_t *indptr = must_allocate(((size_t)t->rows + 1) * sizeof *indptr);
    int32_t *indices = must_allocate(twin_count(t) * sizeof *indices);
    rmask *mask;
    indptr[0] = 0;
    for (int32_t row = 0; row < t->rows; row++)
        indptr[row + 1] = indptr[row] + (int64_t)twin_row(t, row, indices + indptr[row]);
    expect_ok(rmask_from_csr(t->rows, t->cols, indptr, indices, allocator, &mask, test_error));
    free(indptr), free(indices);
    return mask;
}

/* Shuffled; some cells are given twice. */
static rmask *make_coo(const twin *t, const rmask_allocator *allocator, rng *random)
{
    size_t num_cells, num_twice;
    cell *cells = cells_of(t, &num_cells);
    num_twice = (size_t)rng_below(random, (int64_t)num_cells / 4 + 1);
    rng_shuffle(random, cells, num_cells, sizeof *cells);
    int32_t *rows = must_allocate((num_cells + num_twice) * sizeof *rows);
    int32_t *cols = must_allocate((num_cells + num_twice) * sizeof *cols);
    for (size_t i = 0; i < num_cells + num_twice; i++) {
        size_t from = i < num_cells ? i : (size_t)rng_below(random, (int64_t)num_cells);
        rows[i] = cells[from].row, cols[i] = cells[from].col;
    }
    rmask *mask;
    expect_ok(rmask_from_coo(t->rows, t->cols, rows, cols, num_cells + num_twice, allocator, &mask, test_error));
    free(cells), free(rows), free(cols);
    return mask;
}

static rmask *make_bytes(const twin *t, const rmask_allocator *allocator, rng *random)
{
    size_t stride = (size_t)t->cols + (size_t)rng_below(random, 2) * (size_t)rng_below(random, 70);
    uint8_t *bytes = must_allocate(stride * (size_t)t->rows);
    for (size_t i = 0; i < stride * (size_t)t->rows; i++) {
        size_t row = i / stride, col = i % stride;
        uint8_t rubbish = (uint8_t)rng_between(random, 1, 255);
        bytes[i] = col >= (size_t)t->cols || twin_at(t, (int32_t)row)[col] ? rubbish : 0;
    }
    rmask *mask;
    expect_ok(rmask_from_bytes(t->rows, t->cols, bytes, stride, allocator, &mask, test_error));
    free(bytes);
    return mask;
}

static rmask *make_bits(const twin *t, const rmask_allocator *allocator, rng *random)
{
    size_t stride = ((size_t)t->cols + 7) / 8 + (size_t)rng_below(random, 2) * (size_t)rng_below(random, 20);
    uint8_t *bits = must_allocate(stride * (size_t)t->rows);
    for (size_t i = 0; i < stride * (size_t)t->rows; i++) bits[i] = (uint8_t)rng_next(random);
    for (int32_t row = 0; row < t->rows; row++)
        for (int32_t col = 0; col < t->cols; col++) {
            uint8_t *byte = bits + (size_t)row * stride + col / 8, bit = (uint8_t)(1 << col % 8);
            *byte = twin_at(t, row)[col] ? *byte | bit : *byte & (uint8_t)~bit;
        }
    rmask *mask;
    expect_ok(rmask_from_bits(t->rows, t->cols, bits, stride, allocator, &mask, test_error));
    free(bits);
    return mask;
}

/* ---------------------------------------------------------------- with a builder */

static rmask_builder *new_builder(const twin *t, const rmask_allocator *allocator)
{
    rmask_builder *builder;
    expect_ok(rmask_builder_create(t->rows, t->cols, allocator, &builder, test_error));
    return builder;
}

static rmask *freeze_and_destroy(rmask_builder *builder)
{
    rmask *mask;
    expect_ok(rmask_builder_freeze(builder, &mask, test_error));
    rmask_builder_destroy(builder);
    return mask;
}

/* In random order, with freezes in between. */
static rmask *make_cell_by_cell(const twin *t, const rmask_allocator *allocator, rng *random)
{
    size_t num_cells;
    cell *cells = cells_of(t, &num_cells);
    rmask_builder *builder = new_builder(t, allocator);
    rng_shuffle(random, cells, num_cells, sizeof *cells);
    for (size_t i = 0; i < num_cells; i++) {
        expect_ok(rmask_builder_add(builder, cells[i].row, cells[i].col, cells[i].col + 1, test_error));
        if (rng_chance(random, 1.0 / (double)num_cells)) {
            rmask *early;
            expect_ok(rmask_builder_freeze(builder, &early, test_error));
            expect(rmask_count(early) == i + 1, "frozen early: %llu cells", (unsigned long long)rmask_count(early));
            rmask_release(early);
        }
    }
    free(cells);
    return freeze_and_destroy(builder);
}

static rmask *make_ranges(const twin *t, const rmask_allocator *allocator, rng *random)
{
    rmask_builder *builder = new_builder(t, allocator);
    int32_t *ranges = must_allocate(((size_t)t->cols + 1) * sizeof *ranges);
    for (int32_t i = 0; i < t->rows; i++) {
        int32_t row = t->rows - 1 - i;
        size_t num_ranges = twin_row_ranges(t, row, ranges);
        rng_shuffle(random, ranges, num_ranges, 2 * sizeof *ranges);
        for (size_t k = 0; k < num_ranges; k++) {
            int32_t begin = ranges[2 * k], end = ranges[2 * k + 1], from = (int32_t)rng_between(random, begin, end);
            int32_t to = (int32_t)rng_between(random, from, end);
            expect_ok(rmask_builder_add(builder, row, from, to, test_error));
            expect_ok(rmask_builder_add(builder, row, begin, end, test_error));
        }
    }
    free(ranges);
    return freeze_and_destroy(builder);
}

/* Every row in one call; before that, sometimes, a random half of it. */
static rmask *make_sorted(const twin *t, const rmask_allocator *allocator, rng *random)
{
    rmask_builder *builder = new_builder(t, allocator);
    int32_t *cols = must_allocate((size_t)t->cols * sizeof *cols), *half = must_allocate((size_t)t->cols * sizeof *half);
    for (int32_t row = 0; row < t->rows; row++) {
        size_t num_cols = twin_row(t, row, cols), num_half = 0;
        if (rng_chance(random, 0.5))
            for (size_t i = 0; i < num_cols; i++)
                if (rng_chance(random, 0.5)) half[num_half++] = cols[i];
        expect_ok(rmask_builder_add_sorted(builder, row, half, num_half, test_error));
        expect_ok(rmask_builder_add_sorted(builder, row, cols, num_cols, test_error));
    }
    free(cols), free(half);
    return freeze_and_destroy(builder);
}

/* Rubbish first; then whole rows in and what does not belong out, or the rubbish out and what belongs in. */
static rmask *make_edited(const twin *t, const rmask_allocator *allocator, rng *random)
{
    rmask_builder *builder = new_builder(t, allocator);
    for (int32_t i = 0; i < 3 * t->rows; i++) {
        int32_t row = (int32_t)rng_below(random, t->rows), begin = (int32_t)rng_between(random, 0, t->cols);
        expect_ok(rmask_builder_add(builder, row, begin, (int32_t)rng_between(random, begin, t->cols), test_error));
    }
    for (int32_t row = 0; row < t->rows; row++) {
        bool fill_first = rng_chance(random, 0.5);
        if (fill_first) expect_ok(rmask_builder_add(builder, row, 0, t->cols, test_error));
        for (int32_t col = 0; col < t->cols;) {
            int32_t end = col + 1;
            bool in = twin_at(t, row)[col];
            while (end < t->cols && twin_at(t, row)[end] == in) end++;
            if (in && !fill_first) expect_ok(rmask_builder_add(builder, row, col, end, test_error));
            if (!in) expect_ok(rmask_builder_remove(builder, row, col, end, test_error));
            col = end;
        }
    }
    return freeze_and_destroy(builder);
}

/* ---------------------------------------------------------------- out of masks */

/* Two masks that overlap, added one on top of the other, and a last correction of cells that belong to neither. */
static rmask *make_from_masks(const twin *t, const rmask_allocator *allocator, rng *random)
{
    rmask_builder *builder = new_builder(t, allocator);
    for (int part = 0; part < 2; part++) {
        twin *some = twin_copy(t);
        for (int32_t row = 0; row < t->rows; row++)
            if (row % 3 == part) twin_put(some, row, 0, t->cols, rng_chance(random, 0.1));
        rmask *mask = make_csr(some, allocator, random);
        expect_ok(rmask_builder_add_mask(builder, mask, test_error));
        rmask_release(mask);
        twin_free(some);
    }
    for (int32_t row = 0; row < t->rows; row++)
        for (int32_t col = 0; row % 3 < 2 && col < t->cols; col++)
            if (!twin_at(t, row)[col]) expect_ok(rmask_builder_remove(builder, row, col, col + 1, test_error));
    return freeze_and_destroy(builder);
}

static rmask *make_from_data(const twin *t, const rmask_allocator *allocator, rng *random)
{
    size_t num_bytes;
    rmask *copy, *mask = make_bits(t, NULL, random);
    const void *data = rmask_data(mask, &num_bytes);
    expect_ok(rmask_from_data(data, num_bytes, allocator, &copy, test_error));
    rmask_release(mask);
    return copy;
}

/* (t xor n) xor n, with n the noise. */
static rmask *make_by_algebra(const twin *t, const rmask_allocator *allocator, rng *random)
{
    twin *noise = twin_create(t->rows, t->cols);
    for (int32_t row = 0; row < t->rows; row++) {
        int32_t begin = (int32_t)rng_between(random, 0, t->cols);
        twin_put(noise, row, begin, (int32_t)rng_between(random, begin, t->cols), true);
    }
    twin *mixed = twin_combine(t, noise, RMASK_XOR);
    rmask *a = make_csr(mixed, allocator, random), *b = make_csr(noise, allocator, random), *mask;
    expect_ok(rmask_xor(a, b, &mask, test_error));
    rmask_release(a), rmask_release(b);
    twin_free(noise), twin_free(mixed);
    return mask;
}

static const struct {
    const char *name;
    rmask *(*make)(const twin *t, const rmask_allocator *allocator, rng *random);
} ways[] = {
    {"csr", make_csr},
    {"coo", make_coo},
    {"bytes", make_bytes},
    {"bits", make_bits},
    {"builder, cell by cell", make_cell_by_cell},
    {"builder, ranges", make_ranges},
    {"builder, sorted rows", make_sorted},
    {"builder, edited", make_edited},
    {"builder, masks", make_from_masks},
    {"data", make_from_data},
    {"algebra", make_by_algebra},
};

_Static_assert(NUM_WAYS == sizeof ways / sizeof ways[0], "NUM_WAYS counts the ways");

const char *way_name(int way) { return ways[way].name; }

rmask *make(int way, const twin *t, const rmask_allocator *allocator, rng *random)
{
    return ways[way].make(t, allocator, random);
}

rmask *make_plain(const twin *t) { return make_csr(t, NULL, NULL); }

rmask *make_any(const twin *t, rng *random) { return make((int)rng_below(random, NUM_WAYS), t, NULL, random); }

/* Puts the cells of a family of lines into the twin, and its name and numbers into the text; returns the text's end. */
static char *draw_lines(const char *name, int32_t begin, int32_t end, double share, twin *t, char *text, rng *random)
{
    char *at = text + sprintf(text, "%s(%d", name, end); /* outside of the grid: no list is empty */
    for (int32_t line = begin; line < end; line++) {
        if (!rng_chance(random, share)) continue;
        at += sprintf(at, ", %d", line);
        for (int32_t row = 0; row < t->rows; row++) {
            const int32_t col = strcmp(name, "columns") == 0 ? line : row - line;
            if (col >= 0 && col < t->cols) twin_at(t, row)[col] = 1;
        }
    }
    return at + sprintf(at, ")");
}

rmask *make_columns_and_diagonals(int32_t rows, int32_t cols, double share, twin **t, rng *random)
{
    twin *toggled = twin_create(rows, cols);
    char *text = must_allocate(24 * ((size_t)rows + 2 * (size_t)cols + 4)), *end;
    *t = twin_create(rows, cols);
    end = draw_lines("columns", 0, cols, share, *t, text, random);
    end += sprintf(end, " | ");
    draw_lines("diagonals", -cols + 1, rows, share, *t, end, random);
    for (int32_t row = 0; row < rows; row++)
        for (int64_t i = rng_chance(random, 0.2) ? 0 : rng_below(random, 30); i > 0; i--) {
            const int32_t col = (int32_t)rng_below(random, cols);
            twin_at(toggled, row)[col] = 1;
        }
    for (size_t i = 0; i < (size_t)rows * (size_t)cols; i++) (*t)->cells[i] ^= toggled->cells[i];
    rmask *lines, *exceptions = make_plain(toggled), *made;
    expect_ok(rmask_parse(text, rows, cols, NULL, &lines, test_error));
    expect_ok(rmask_xor(lines, exceptions, &made, test_error));
    rmask_release(lines), rmask_release(exceptions);
    twin_free(toggled);
    free(text);
    return made;
}

rmask_status with_mask(const twin *t, const rmask_allocator *allocator, rmask_status (*use)(const rmask *mask, void *context),
                       void *context)
{
    rmask *mask = NULL;
    rmask_status status = rmask_from_bytes(t->rows, t->cols, t->cells, (size_t)t->cols, allocator, &mask, NULL);
    if (!status) status = use(mask, context);
    rmask_release(mask);
    return status;
}
