/* SPDX-License-Identifier: Apache-2.0
 * Mapped files whose containers are damaged behind a sound index. Every function that reads rows answers for the bytes as they
 * are, as the naive reader of the format does, or refuses just where a row that it reads makes no sense. rmask_verify notices
 * every damage. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "roarmask/atlas.h"
#include "roarmask/exchange.h"
#include "support/folder.h"
#include "support/generate.h"
#include "support/naive.h"
#include "support/raw.h"
#include "support/seal.h"
#include "support/ways.h"

/* ---------------------------------------------------------------- masks to damage */

static uint8_t *copy_data(rmask *mask, size_t *num_bytes)
{
    const void *data = rmask_data(mask, num_bytes);
    uint8_t *bytes = must_allocate(*num_bytes);
    memcpy(bytes, data, *num_bytes);
    rmask_release(mask);
    return bytes;
}

static rmask *scattered(int32_t rows, int32_t cols, int num_cells, rng *random)
{
    twin *t = twin_create(rows, cols);
    for (int i = 0; i < num_cells; i++) twin_at(t, (int32_t)rng_below(random, rows))[rng_below(random, cols)] = 1;
    for (int32_t col = cols - 60; col < cols; col++) twin_at(t, rows / 2)[col] = rng_chance(random, 0.5);
    rmask *mask = make_plain(t);
    twin_free(t);
    return mask;
}

/* As masks that have grown: laid out for more columns than they have, in one chunk and across the end of one. */
static const raw grown[] = {
    {"grown", .rows = 10, .cols = 40, .container_cols = 90, STRIPS({0, 0, 1, 0, 1}), FIXED(0), SLIDING(1), ROWS_FROM(4),
     EXCEPTION_ROWS(3), OFFSETS(0, 2, 8, 9), UNITS(3, 39, 7, 0, 0x80, 0, 0, 0, 12)},
    {"grown across a chunk", .rows = 10, .cols = 65530, .container_cols = 65600, STRIPS({0, 0, 1, 0, 1}), FIXED(0), SLIDING(1),
     ROWS_LISTED(4, 7), EXCEPTION_ROWS(2), OFFSETS(0, 5, 11), UNITS(1, 0, 2, 3, 65529, 1, 0, 3, 5, 6, 7)},
    {"grown, two chunks", .rows = 10, .cols = 65546, .container_cols = 65600, STRIPS({0}), ROWS_FROM(4), EXCEPTION_ROWS(2),
     OFFSETS(0, 10, 16), UNITS(2, 0, 1, 1, 4, 7, 0x201, 0, 0, 0, 1, 1, 3, 1, 2, 9)},
};

static uint8_t *victim(int i, rng *random, size_t *num_bytes)
{
    static const char *const kinds[] = {"random 1%", "random 50%",    "noisy structure",
                                        "runs",      "ragged window", "changing structure"};
    enum { NUM_KINDS_HERE = sizeof kinds / sizeof kinds[0] };
    if (i < NUM_KINDS_HERE) {
        twin *t = generate_named(kinds[i], 20, 100, random);
        rmask *mask = make_plain(t);
        twin_free(t);
        return copy_data(mask, num_bytes);
    }
    if (i == NUM_KINDS_HERE) return copy_data(scattered(900, 70, 40, random), num_bytes);
    if (i == NUM_KINDS_HERE + 1) return copy_data(scattered(3, 65536 + 200, 50, random), num_bytes);
    const raw *r = &grown[i - NUM_KINDS_HERE - 2];
    uint8_t *bytes = must_allocate(RAW_MAX_BYTES);
    *num_bytes = raw_lay_out(r, 0, 0, bytes);
    return bytes;
}
enum { NUM_VICTIMS = 11 };

static size_t containers_at(const uint8_t *bytes)
{
    raw_header header;
    memcpy(&header, bytes, sizeof header);
    const size_t listed = header.features & 1 ? header.num_directory_rows : 0;
    const size_t offsets = header.num_directory_rows ? (size_t)header.num_directory_rows + 1 : 0;
    return RAW_HEADER_BYTES + 20 * (size_t)header.num_strips +
           4 * ((size_t)header.num_fixed + header.num_sliding + listed + offsets);
}

static size_t containers_end(const uint8_t *bytes)
{
    raw_header header;
    memcpy(&header, bytes, sizeof header);
    return containers_at(bytes) + 2 * (size_t)header.num_container_units;
}

/* Makes the counts right for what the containers now say, and all checksums. */
static void repair(uint8_t *bytes, size_t num_bytes, const naive *n)
{
    uint32_t num_rows;
    memcpy(&num_rows, bytes + offsetof(raw_header, num_exception_rows), sizeof num_rows);
    const uint64_t count = twin_count(n->t), num_exceptions = n->all_sound ? n->num_exceptions : n->num_exceptions + num_rows;
    memcpy(bytes + offsetof(raw_header, count), &count, sizeof count);
    memcpy(bytes + offsetof(raw_header, num_exceptions), &num_exceptions, sizeof num_exceptions);
    seal(bytes, num_bytes);
}

static void damage(uint8_t *bytes, rng *random)
{
    static const uint16_t words[] = {0, 1, 2, 3, 4, 5, 6, 39, 40, 0x7fff, 0x8000, 65529, 65530, 0xffff};
    const size_t begin = containers_at(bytes), end = containers_end(bytes), units = (end - begin) / 2;
    for (int64_t changes = rng_between(random, 1, 3); changes > 0; changes--) {
        const size_t at = begin + 2 * (size_t)rng_below(random, (int64_t)units);
        switch (rng_below(random, 4)) {
        case 0: bytes[at + (size_t)rng_below(random, 2)] ^= (uint8_t)(1 << rng_below(random, 8)); break;
        case 1: memcpy(bytes + at, &words[rng_below(random, sizeof words / sizeof words[0])], 2); break;
        case 2: memcpy(bytes + at, bytes + begin + 2 * (size_t)rng_below(random, (int64_t)units), 2); break;
        default: bytes[at] = (uint8_t)(bytes[at] + 1); break;
        }
    }
}

/* ---------------------------------------------------------------- functions of rows */

typedef struct reading {
    const rmask *mask;
    const naive *n;
    rng *random;
    int32_t *cols; /* room for a row's ranges */
    bool counts_are_right;
} reading;

static void expect_status(rmask_status status, bool sound, const char *what)
{
    expect(status == (sound ? RMASK_OK : RMASK_ERR_FORMAT), "%s of %s rows: status \"%s\"", what, sound ? "sound" : "damaged",
           rmask_status_name(status));
}

static void read_row(const reading *r, int32_t row)
{
    const bool sound = r->n->sound[row];
    const twin *t = r->n->t;
    const size_t room = (size_t)t->cols;
    int32_t *wanted = must_allocate((room + 2) * sizeof *wanted);
    size_t count, num_wanted = twin_row(t, row, wanted);
    test_error_reset();
    expect_status(rmask_row(r->mask, row, r->cols, room, &count, test_error), sound, "rmask_row");
    expect(count == num_wanted, "row %d has %zu columns, wanted %zu", row, count, num_wanted);
    expect(!count || memcmp(r->cols, wanted, count * sizeof *wanted) == 0, "row %d has other columns", row);
    expect(sound || strstr(test_error->message, "at byte ") != NULL, "without the offset: %s", test_error->message);
    expect_status(rmask_row_count(r->mask, row, &count, NULL), sound, "rmask_row_count");
    expect(count == num_wanted, "row %d has count %zu, wanted %zu", row, count, num_wanted);
    num_wanted = twin_row_ranges(t, row, wanted);
    expect_status(rmask_row_ranges(r->mask, row, r->cols, room, &count, NULL), sound, "rmask_row_ranges");
    expect(count == num_wanted && (!count || memcmp(r->cols, wanted, 2 * count * sizeof *wanted) == 0),
           "other ranges in row %d", row);
    for (int i = 0; i < 40; i++) {
        const int32_t col = (int32_t)rng_below(r->random, t->cols);
        expect(rmask_contains(r->mask, row, col) == twin_at(t, row)[col], "contains(%d, %d)", row, col);
    }
    free(wanted);
    expect_status(rmask_row_to_roaring(r->mask, row, NULL, 0, &count, NULL), sound, "rmask_row_to_roaring");
}

static void combine_row_pair(const reading *r, int32_t row_a, int32_t row_b)
{
    const twin *t = r->n->t;
    const bool sound = r->n->sound[row_a] && r->n->sound[row_b];
    const int32_t rows[2] = {row_a, row_b};
    size_t counts[3], wanted[3] = {0};
    for (int32_t col = 0; col < t->cols && sound; col++) {
        const bool a = twin_at(t, row_a)[col], b = twin_at(t, row_b)[col];
        wanted[0] += a != b, wanted[1] += a && b, wanted[2] += a || b;
    }
    const rmask *m = r->mask;
    const size_t room = (size_t)t->cols;
    expect_status(rmask_row_combine(m, row_a, m, row_b, RMASK_XOR, r->cols, room, &counts[0], NULL), sound,
                  "rmask_row_combine");
    expect_status(rmask_rows_and(m, rows, 2, r->cols, room, &counts[1], NULL), sound, "rmask_rows_and");
    expect_status(rmask_rows_or(m, rows, 2, r->cols, room, &counts[2], NULL), sound, "rmask_rows_or");
    for (int i = 0; i < 3; i++)
        expect(counts[i] == wanted[i], "function %d has %zu columns, wanted %zu", i, counts[i], wanted[i]);
}

/* ---------------------------------------------------------------- functions of many rows */

static int ignore_row(void *context, int32_t row, const int32_t *cols, size_t num_cols)
{
    (void)row, (void)cols;
    *(uint64_t *)context += num_cols;
    return 0;
}

static void read_rows(const reading *r, int32_t begin, int32_t end)
{
    const twin *t = r->n->t;
    bool sound = true;
    uint64_t wanted = 0, visited = 0, field = 0;
    for (int32_t row = begin; row < end; row++) {
        sound &= r->n->sound[row];
        wanted += twin_row_count(t, row);
    }
    int64_t *indptr = must_allocate(((size_t)(end - begin) + 1) * sizeof *indptr);
    expect_status(rmask_to_csr(r->mask, begin, end, indptr, NULL, 0, NULL), sound, "rmask_to_csr");
    expect_status(rmask_for_each_row(r->mask, begin, end, ignore_row, &visited, NULL), sound, "rmask_for_each_row");
    expect_status(rmask_raster(r->mask, begin, end, 0, t->cols, 1, 1, &field, NULL), sound, "rmask_raster");
    const size_t stride = (size_t)t->cols;
    uint8_t *cells = must_allocate(stride * (size_t)(end - begin));
    expect_status(rmask_to_bits(r->mask, begin, end, 0, t->cols, cells, (stride + 7) / 8, NULL), sound, "rmask_to_bits");
    expect_status(rmask_to_bytes(r->mask, begin, end, 0, t->cols, cells, stride, NULL), sound, "rmask_to_bytes");
    expect(!sound || memcmp(cells, twin_at(t, begin), stride * (size_t)(end - begin)) == 0, "other bytes");
    free(cells);
    if (sound) {
        expect((uint64_t)indptr[end - begin] == wanted && visited == wanted && field == wanted,
               "%lld, %llu and %llu cells, wanted %llu", (long long)indptr[end - begin], (unsigned long long)visited,
               (unsigned long long)field, (unsigned long long)wanted);
    }
    free(indptr);
}

/* ---------------------------------------------------------------- functions of the whole mask */

static rmask_status freeze_copy(const rmask *mask, rmask **out)
{
    rmask_builder *builder;
    expect_ok(rmask_builder_create(rmask_rows(mask), rmask_cols(mask), NULL, &builder, test_error));
    *out = NULL;
    rmask_status status = rmask_builder_add_mask(builder, mask, NULL);
    if (status == RMASK_OK) status = rmask_builder_freeze(builder, out, NULL);
    rmask_builder_destroy(builder);
    return status;
}

static rmask_status through_roaring(const rmask *mask, rmask **out)
{
    size_t num_bytes;
    *out = NULL;
    const rmask_status status = rmask_to_roaring(mask, NULL, 0, &num_bytes, NULL);
    if (status) return status;
    void *bytes = must_allocate(num_bytes);
    expect_ok(rmask_to_roaring(mask, bytes, num_bytes, &num_bytes, test_error));
    expect_ok(rmask_from_roaring(rmask_rows(mask), rmask_cols(mask), bytes, num_bytes, NULL, out, test_error));
    free(bytes);
    return RMASK_OK;
}

static rmask_status take_every_row(const rmask *mask, rmask **out)
{
    const int32_t rows = rmask_rows(mask);
    int32_t *list = must_allocate((size_t)rows * sizeof *list);
    for (int32_t row = 0; row < rows; row++) list[row] = row;
    const rmask_status status = rmask_take_rows(mask, list, (size_t)rows, out, NULL);
    free(list);
    return status;
}

static rmask_status transpose_twice(const rmask *mask, rmask **out)
{
    rmask *turned;
    *out = NULL;
    const rmask_status status = rmask_transpose(mask, &turned, NULL);
    expect((status == RMASK_OK) == (turned != NULL), "an output beside a failure");
    if (status) return status;
    expect_ok(rmask_transpose(turned, out, test_error));
    rmask_release(turned);
    return RMASK_OK;
}

/* Without what has been added, it is the mask that the grower started with. */
static rmask_status grow(const rmask *mask, rmask **out)
{
    rmask_grower *grower;
    rmask *more;
    *out = NULL;
    const rmask_status status = rmask_grower_create(mask, &grower, NULL);
    expect((status == RMASK_OK) == (grower != NULL), "an output beside a failure");
    if (status) return status;
    expect_ok(rmask_grower_add_cols(grower, 3, test_error));
    expect_ok(rmask_grower_add_row(grower, (int32_t[]){0, rmask_cols(mask) + 1}, 2, test_error));
    expect_ok(rmask_grower_mask(grower, &more, test_error));
    expect_ok(rmask_slice(more, 0, rmask_rows(mask), 0, rmask_cols(mask), out, test_error));
    rmask_release(more), rmask_grower_destroy(grower);
    return RMASK_OK;
}

/* A grower that a damaged mask is refused by holds what it held before. */
static rmask_status append_to_grower(const rmask *mask, rmask **out)
{
    rmask *start;
    rmask_grower *grower;
    *out = NULL;
    expect_ok(rmask_parse("none", 0, rmask_cols(mask), NULL, &start, test_error));
    expect_ok(rmask_grower_create(start, &grower, test_error));
    const rmask_status status = rmask_grower_add_rows(grower, mask, NULL);
    expect(rmask_grower_rows(grower) == (status ? 0 : rmask_rows(mask)), "%d rows", rmask_grower_rows(grower));
    if (status == RMASK_OK) expect_ok(rmask_grower_mask(grower, out, test_error));
    rmask_release(start), rmask_grower_destroy(grower);
    return status;
}

static rmask_status through_atlas(const rmask *mask, rmask **out)
{
    rmask_atlas *atlas;
    const rmask *kept;
    *out = NULL;
    const rmask_status status = rmask_atlas_create(1, 1, rmask_rows(mask), rmask_cols(mask), &mask, NULL, NULL, &atlas, NULL);
    if (status) return status;
    expect_ok(rmask_atlas_mask(atlas, 0, 0, &kept, test_error));
    expect(kept != NULL, "a mask with every cell");
    expect_ok(rmask_and(kept, kept, out, test_error));
    rmask_atlas_release(atlas);
    return RMASK_OK;
}

static rmask_status differ_from_nothing(const rmask *mask, rmask **out)
{
    rmask *nothing;
    expect_ok(rmask_parse("none", rmask_rows(mask), rmask_cols(mask), NULL, &nothing, test_error));
    const rmask_status status = rmask_xor(nothing, mask, out, NULL);
    rmask_release(nothing);
    return status;
}

/* One of the ways to a mask with the same cells, or with all others. Those from BY_COUNTS on go by the counts of the header,
 * which only rmask_verify finds wrong. */
enum { BY_COUNTS = 13, NUM_DERIVED = 16 };

static rmask_status derive(const rmask *mask, int way, rmask **out)
{
    const int32_t rows = rmask_rows(mask), cols = rmask_cols(mask);
    switch (way) {
    case 0: return rmask_not(mask, out, NULL);
    case 1: return rmask_and(mask, mask, out, NULL);
    case 2: return freeze_copy(mask, out);
    case 3: return rmask_slice(mask, 0, rows, 0, cols, out, NULL);
    case 4: return rmask_shift(mask, 0, 0, out, NULL);
    case 5: return rmask_concat(&mask, 1, NULL, out, NULL);
    case 6: return rmask_repeat(mask, 1, out, NULL);
    case 7: return rmask_stack(&mask, 1, out, NULL);
    case 8: return take_every_row(mask, out);
    case 9: return through_roaring(mask, out);
    case 10: return through_atlas(mask, out);
    case 11: return rmask_refine(mask, 1, 1, rows, cols, out, NULL);
    case 12: return differ_from_nothing(mask, out);
    case BY_COUNTS: return transpose_twice(mask, out);
    case BY_COUNTS + 1: return grow(mask, out);
    default: return append_to_grower(mask, out);
    }
}

/* Coarsening may go by the counts of the header, which only rmask_verify finds wrong: then it must end, and well-formed. */
static void coarsen_all(const reading *r)
{
    rmask *any = NULL, *all = NULL;
    const twin *t = r->n->t;
    const int32_t tile_rows = 3, tile_cols = 1 + t->cols / 9;
    const rmask_status status = rmask_coarsen(r->mask, tile_rows, tile_cols, &any, &all, NULL);
    expect_status(status, r->n->all_sound, "rmask_coarsen");
    if (status == RMASK_OK) {
        expect_ok(rmask_verify(any, test_error));
        expect_ok(rmask_verify(all, test_error));
    }
    for (int32_t i = 0; i * tile_rows < t->rows && status == RMASK_OK && r->counts_are_right; i++)
        for (int32_t j = 0; j * tile_cols < t->cols; j++) {
            bool has_any = false, has_all = true;
            for (int32_t row = i * tile_rows; row < t->rows && row < (i + 1) * tile_rows; row++)
                for (int32_t col = j * tile_cols; col < t->cols && col < (j + 1) * tile_cols; col++) {
                    has_any |= twin_at(t, row)[col];
                    has_all &= twin_at(t, row)[col];
                }
            expect(rmask_contains(any, i, j) == has_any && rmask_contains(all, i, j) == has_all, "tile (%d, %d)", i, j);
        }
    rmask_release(any), rmask_release(all);
}

static void read_all(const reading *r, int way)
{
    rmask *out = NULL;
    rmask_stats stats;
    uint64_t count;
    const naive *n = r->n;
    twin *t = twin_combine(n->t, n->t, way == 0 ? RMASK_NOT_A : RMASK_A);
    expect_status(derive(r->mask, way, &out), n->all_sound, "a function of the whole mask");
    expect(n->all_sound == (out != NULL), "an output beside a failure");
    if (out) {
        twin *found = twin_of(out);
        expect(twin_equal(found, t), "a function of the whole mask, %d, makes other cells", way);
        const bool is_new = out != r->mask; /* and has the right counts */
        if (is_new && (way < BY_COUNTS || r->counts_are_right)) expect_ok(rmask_verify(out, test_error));
        twin_free(found);
    }
    rmask_release(out);
    twin_free(t);
    expect_status(rmask_combine_count(r->mask, r->mask, RMASK_OR, &count, NULL), n->all_sound, "rmask_combine_count");
    expect(!n->all_sound || count == twin_count(n->t), "%llu cells", (unsigned long long)count);
    rmask_get_stats(r->mask, &stats);
    coarsen_all(r);
}

/* ---------------------------------------------------------------- tests */

/* In any order, for whoever comes first finds a mask that nobody has trusted. */
static void read_damaged(const reading *r)
{
    const int32_t rows = r->n->t->rows;
    for (int i = 0; i < 12; i++) {
        const int32_t a = (int32_t)rng_below(r->random, rows), b = (int32_t)rng_below(r->random, rows);
        switch (rng_below(r->random, 4)) {
        case 0: read_row(r, a); break;
        case 1: combine_row_pair(r, a, b); break;
        case 2: read_rows(r, a < b ? a : b, (a < b ? b : a) + 1); break;
        default: read_all(r, (int)rng_below(r->random, NUM_DERIVED));
        }
    }
}

/* Whether rmask_verify and the copying readers take the bytes, all the same. */
static bool passes(const rmask *opened, const uint8_t *bytes, size_t num_bytes)
{
    rmask *copy;
    const rmask_status status = rmask_verify(opened, NULL);
    expect(rmask_from_data(bytes, num_bytes, NULL, &copy, NULL) == status, "rmask_verify and rmask_from_data disagree");
    expect(status == RMASK_OK || status == RMASK_ERR_FORMAT, "status \"%s\"", rmask_status_name(status));
    rmask_release(copy);
    return status == RMASK_OK;
}

enum { UNSEALED, SEALED, REPAIRED };

static void try_damage(const uint8_t *bytes, const uint8_t *whole, size_t num_bytes, int how, rng *random, int tally[3][2])
{
    rmask *mask;
    naive n = naive_read(bytes);
    write_file(in_folder("mask.rmask"), bytes, num_bytes);
    const size_t cols = (size_t)n.t->cols;
    reading r = {.n = &n, .random = random, .cols = must_allocate((2 * cols + 64) * sizeof(int32_t))};
    expect_ok(rmask_open(in_folder("mask.rmask"), NULL, &mask, test_error));
    expect(unlink(in_folder("mask.rmask")) == 0, "cannot remove the file");
    r.mask = mask;
    rmask_stats stats;
    rmask_get_stats(mask, &stats);
    r.counts_are_right = stats.count == twin_count(n.t) && stats.num_exceptions == n.num_exceptions;
    read_damaged(&r);
    const bool taken = passes(mask, bytes, num_bytes);
    if (how == UNSEALED)
        expect(taken == (memcmp(bytes, whole, num_bytes) == 0), "%s though damaged", taken ? "taken" : "refused");
    if (how == REPAIRED) expect(taken == n.all_sound, "%s with right counts", taken ? "taken" : "refused");
    expect(!taken || n.all_sound, "taken with rows that make no sense");
    tally[how][taken]++;
    read_damaged(&r);
    rmask_release(mask), naive_free(&n);
    free(r.cols);
}

static void damaged_rows_are_refused_one_by_one(void **state)
{
    (void)state;
    rng random = rng_here();
    for (int i = 0; i < NUM_VICTIMS; i++) {
        int tally[3][2] = {{0}};
        size_t num_bytes;
        uint8_t *whole = victim(i, &random, &num_bytes), *bytes = must_allocate(num_bytes);
        naive n = naive_read(whole);
        const bool is_large = (int64_t)n.t->rows * n.t->cols > 100000;
        repair(whole, num_bytes, &n);
        naive_free(&n);
        for (int k = 0; k < (is_large ? 150 : 600); k++) {
            note("damage %d of victim %d", k, i);
            memcpy(bytes, whole, num_bytes);
            if (k > 0) damage(bytes, &random);
            const int how = k % 3;
            if (how == SEALED) seal(bytes, num_bytes);
            if (how == REPAIRED) {
                n = naive_read(bytes);
                repair(bytes, num_bytes, &n);
                naive_free(&n);
            }
            try_damage(bytes, whole, num_bytes, how, &random, tally);
        }
        for (int how = 0; how < 3; how++)
            expect(tally[how][0] > 3, "victim %d: %d refused, %d taken in way %d", i, tally[how][0], tally[how][1], how);
        expect(tally[REPAIRED][1] > 3, "victim %d: only %d damages that make sense", i, tally[REPAIRED][1]);
        free(whole), free(bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(damaged_rows_are_refused_one_by_one, make_folder, remove_folder),
    };
    return run_test_program(tests);
}
