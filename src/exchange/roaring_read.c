/* SPDX-License-Identifier: Apache-2.0
 * Masks from Roaring bitmaps whose bytes may come from anywhere. */
#include "core/finder.h"
#include "core/inversion.h"
#include "exchange/roaring.h"

#include <string.h>

/* Bytes that are read from the front. */
typedef struct source {
    const uint8_t *bytes;
    size_t num_bytes, at;
} source;

static rmask_status fail_at(rmask_error *error, size_t offset, const char *what)
{
    return rmask_fail(error, RMASK_ERR_FORMAT, "not a valid Roaring bitmap: %s at byte %zu", what, offset);
}

/* Goes past `n` bytes and returns the first of them; NULL with the message of an RMASK_ERR_FORMAT where there are fewer. */
static const uint8_t *take(source *from, size_t n, rmask_error *error)
{
    const size_t at = from->at, left = from->num_bytes - at;
    if (n > left) {
        rmask_fail(error, RMASK_ERR_FORMAT,
                   "not a valid Roaring bitmap: cut off, %zu bytes are needed at byte %zu and %zu are left",
                   n, at, left);
        return NULL;
    }
    from->at += n;
    return from->bytes + at;
}

static rmask_status expect_end(const source *from, rmask_error *error)
{
    return from->at == from->num_bytes ? RMASK_OK : fail_at(error, from->at, "bytes behind the bitmap");
}

static uint32_t get_16(const uint8_t *at)
{
    uint16_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

static uint32_t get_32(const uint8_t *at)
{
    uint32_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

/* ---------------------------------------------------------------- headers */

typedef struct bitmap {
    size_t begin;
    uint32_t num_containers, num_taken;
    const uint8_t *run_flags, *heads, *offsets; /* NULL: no runs, no offsets */
} bitmap;

static rmask_status open_bitmap(source *from, bitmap *b, rmask_error *error)
{
    const size_t begin = from->at;
    const uint8_t *cookie = take(from, 4, error);
    if (!cookie) return RMASK_ERR_FORMAT;
    const bool has_runs = get_16(cookie) == ROARING_COOKIE_RUNS;
    if (has_runs) {
        *b = (bitmap){.begin = begin, .num_containers = get_16(cookie + 2) + 1};
    } else {
        if (get_32(cookie) != ROARING_COOKIE_NO_RUNS) return fail_at(error, begin, "neither cookie, 12346 or 12347,");
        const uint8_t *count = take(from, 4, error);
        if (!count) return RMASK_ERR_FORMAT;
        *b = (bitmap){.begin = begin, .num_containers = get_32(count)};
        if (b->num_containers > ROARING_MAX_CONTAINERS) return fail_at(error, begin + 4, "more than 65536 containers");
    }
    const roaring_layout at = roaring_layout_of(b->num_containers, has_runs);
    if (!take(from, at.containers - (from->at - begin), error)) return RMASK_ERR_FORMAT;
    const uint8_t *header = from->bytes + begin;
    if (has_runs) b->run_flags = header + 4;
    if (at.offsets < at.containers) b->offsets = header + at.offsets;
    b->heads = header + at.heads;
    return RMASK_OK;
}

typedef struct container {
    size_t offset; /* of its content */
    uint32_t key, cardinality;
    bool is_runs;
    const uint8_t *values;
    uint32_t num_values; /* of an array; runs */
} container;

static rmask_status next_container(source *from, bitmap *b, container *c, rmask_error *error)
{
    const uint32_t i = b->num_taken++;
    const uint8_t *head = b->heads + 4 * (size_t)i;
    const size_t head_offset = (size_t)(head - from->bytes);
    *c = (container){.offset = from->at, .key = get_16(head), .cardinality = get_16(head + 2) + 1};
    if (i > 0 && c->key <= get_16(head - 4)) return fail_at(error, head_offset, "keys out of order");
    if (b->offsets && get_32(b->offsets + 4 * (size_t)i) != c->offset - b->begin)
        return fail_at(error, (size_t)(b->offsets - from->bytes) + 4 * (size_t)i, "an offset that is not its container's");
    c->is_runs = b->run_flags && b->run_flags[i / 8] >> i % 8 & 1;
    c->num_values = c->cardinality;
    if (c->is_runs) {
        const uint8_t *num_runs = take(from, 2, error);
        if (!num_runs) return RMASK_ERR_FORMAT;
        c->num_values = get_16(num_runs);
        c->values = take(from, 4 * (size_t)c->num_values, error);
    } else {
        c->values = take(from, c->cardinality <= ROARING_MAX_ARRAY ? 2 * (size_t)c->cardinality : ROARING_BITSET_BYTES, error);
    }
    return c->values ? RMASK_OK : RMASK_ERR_FORMAT;
}

/* ---------------------------------------------------------------- rows */

/* A row that is being read. Its flips are those of whole ranges: the last one of a row may be at the last column's end. */
typedef struct row_reader {
    rmask_finder finder;
    int32_t rows, cols;
    uint32_t row;
    rmask_int32_vec flips;
} row_reader;

static rmask_status fail_outside(const row_reader *r, uint64_t col, rmask_error *error)
{
    return rmask_fail(error, RMASK_ERR_RANGE, "the cell at row %u, column %llu lies outside of the grid of %d x %d",
                      (unsigned)r->row, (unsigned long long)col, (int)r->rows, (int)r->cols);
}

static bool reserve(row_reader *r, size_t num_flips)
{
    return rmask_vec_reserve(&r->finder.draft.allocator, &r->flips, num_flips);
}

/* Appends a range that begins where the last one ends, or further right. */
static void put_range(rmask_int32_vec *flips, int32_t begin, int32_t end)
{
    if (flips->len && flips->at[flips->len - 1] == begin)
        flips->len--;
    else
        rmask_vec_put(flips, begin);
    rmask_vec_put(flips, end);
}

/* Below, `base` is the container's first column and `width` says how many of its columns are in the grid. */

static rmask_status put_array(row_reader *r, const container *c, uint32_t base, uint32_t width, rmask_error *error)
{
    if (!reserve(r, 2 * (size_t)c->num_values)) return rmask_fail_nomem(error);
    int64_t last = -1;
    for (uint32_t i = 0; i < c->num_values; i++) {
        const uint32_t value = get_16(c->values + 2 * (size_t)i);
        if (value <= last) return fail_at(error, c->offset + 2 * (size_t)i, "values out of order");
        if (value >= width) return fail_outside(r, (uint64_t)base + value, error);
        put_range(&r->flips, (int32_t)(base + value), (int32_t)(base + value + 1));
        last = value;
    }
    return RMASK_OK;
}

static rmask_status put_runs(row_reader *r, const container *c, uint32_t base, uint32_t width, rmask_error *error)
{
    if (!reserve(r, 2 * (size_t)c->num_values)) return rmask_fail_nomem(error);
    uint32_t last_end = 0, cardinality = 0;
    for (uint32_t i = 0; i < c->num_values; i++) {
        const uint8_t *run = c->values + 4 * (size_t)i;
        const size_t offset = c->offset + 2 + 4 * (size_t)i;
        const uint32_t begin = get_16(run), end = begin + get_16(run + 2) + 1;
        if (i > 0 && begin <= last_end) return fail_at(error, offset, "runs that are out of order, overlap or touch");
        if (end > ROARING_CHUNK) return fail_at(error, offset + 2, "a run past its container's last value");
        if (end > width) return fail_outside(r, (uint64_t)base + (begin > width ? begin : width), error);
        put_range(&r->flips, (int32_t)(base + begin), (int32_t)(base + end));
        cardinality += end - begin;
        last_end = end;
    }
    if (cardinality != c->cardinality) return fail_at(error, c->offset, "runs without the announced cardinality");
    return RMASK_OK;
}

static rmask_status put_bitset(row_reader *r, const container *c, uint32_t base, uint32_t width, rmask_error *error)
{
    uint64_t words[ROARING_CHUNK / 64], last = 0;
    uint32_t cardinality = 0;
    memcpy(words, c->values, sizeof words);
    for (uint32_t i = 0; i < ROARING_CHUNK / 64; i++) {
        cardinality += (uint32_t)__builtin_popcountll(words[i]);
        const uint64_t outside = 64 * i >= width ? words[i] : 64 * i + 64 > width ? words[i] >> width % 64 << width % 64 : 0;
        if (outside) return fail_outside(r, (uint64_t)base + 64 * i + (uint32_t)__builtin_ctzll(outside), error);
    }
    if (cardinality != c->cardinality) return fail_at(error, c->offset, "a bitset without the announced cardinality");
    if (r->flips.len && r->flips.at[r->flips.len - 1] == (int32_t)base) { /* goes on with the last range */
        r->flips.len--;
        last = 1;
    }
    for (uint32_t i = 0; 64 * i < width; i++) {
        if (!reserve(r, 65)) return rmask_fail_nomem(error);
        rmask_put_word_flips(&r->flips, words[i], (int32_t)(base + 64 * i), &last);
    }
    if (last) rmask_vec_put(&r->flips, (int32_t)(base + width));
    return RMASK_OK;
}

static rmask_status put_container(row_reader *r, const container *c, uint32_t base, rmask_error *error)
{
    const uint32_t num_cols = r->row < (uint32_t)r->rows && base < (uint32_t)r->cols ? (uint32_t)r->cols - base : 0;
    const uint32_t width = num_cols < ROARING_CHUNK ? num_cols : ROARING_CHUNK;
    if (c->is_runs) return put_runs(r, c, base, width, error);
    return (c->cardinality <= ROARING_MAX_ARRAY ? put_array : put_bitset)(r, c, base, width, error);
}

/* Hands the row over to the finder. */
static rmask_status end_row(row_reader *r)
{
    if (r->flips.len == 0) return RMASK_OK;
    r->flips.len -= r->flips.at[r->flips.len - 1] == r->cols;
    const rmask_status status = rmask_finder_row(&r->finder, (int32_t)r->row, (rmask_finder_input){.flips = &r->flips});
    r->flips.len = 0;
    return status;
}

/* ---------------------------------------------------------------- bitmaps */

/* A bitmap that is one row. */
static rmask_status read_row(row_reader *r, source *from, rmask_error *error)
{
    bitmap b;
    container c;
    RMASK_TRY(open_bitmap(from, &b, error));
    while (b.num_taken < b.num_containers) {
        RMASK_TRY(next_container(from, &b, &c, error));
        RMASK_TRY(put_container(r, &c, c.key * ROARING_CHUNK, error));
    }
    return end_row(r);
}

/* A bitmap whose containers are the rows. */
static rmask_status read_32(row_reader *r, source *from, rmask_error *error)
{
    bitmap b;
    container c;
    RMASK_TRY(open_bitmap(from, &b, error));
    while (b.num_taken < b.num_containers) {
        RMASK_TRY(next_container(from, &b, &c, error));
        r->row = c.key;
        RMASK_TRY(put_container(r, &c, 0, error));
        RMASK_TRY(end_row(r));
    }
    return RMASK_OK;
}

/* One whose buckets are the rows. */
static rmask_status read_64(row_reader *r, source *from, rmask_error *error)
{
    uint64_t num_buckets;
    const uint8_t *part = take(from, sizeof num_buckets, error);
    if (!part) return RMASK_ERR_FORMAT;
    memcpy(&num_buckets, part, sizeof num_buckets);
    if (num_buckets > (uint64_t)UINT32_MAX + 1) return fail_at(error, 0, "more than 2^32 buckets");
    for (uint64_t i = 0; i < num_buckets; i++) {
        part = take(from, sizeof r->row, error);
        if (!part) return RMASK_ERR_FORMAT;
        const uint32_t row = get_32(part);
        if (i > 0 && row <= r->row) return fail_at(error, from->at - sizeof r->row, "buckets out of order");
        r->row = row;
        RMASK_TRY(read_row(r, from, error));
    }
    return RMASK_OK;
}

/* ---------------------------------------------------------------- masks */

static rmask_status start(row_reader *r, int32_t rows, int32_t cols, const rmask_allocator *allocator, rmask **out,
                          rmask_error *error)
{
    *out = NULL;
    RMASK_TRY(rmask_check_grid(rows, cols, error));
    rmask_finder_init(&r->finder, rows, cols, allocator);
    r->rows = rows;
    r->cols = cols;
    r->row = 0;
    r->flips = (rmask_int32_vec){0};
    return RMASK_OK;
}

static rmask_status end(row_reader *r, rmask_status status, rmask **out, rmask_error *error)
{
    rmask_vec_free(&r->finder.draft.allocator, &r->flips);
    return rmask_finder_end(&r->finder, status, out, error);
}

rmask_status rmask_from_roaring(int32_t rows, int32_t cols, const void *bytes, size_t num_bytes,
                                const rmask_allocator *allocator, rmask **out, rmask_error *error)
{
    row_reader r;
    RMASK_TRY(start(&r, rows, cols, allocator, out, error));
    source from = {bytes, num_bytes, 0};
    rmask_status status = (roaring_is_32(rows, cols) ? read_32 : read_64)(&r, &from, error);
    if (!status) status = expect_end(&from, error);
    return end(&r, status, out, error);
}

rmask_status rmask_from_roaring_rows(int32_t rows, int32_t cols, const void *const *bitmaps, const size_t *num_bytes,
                                     const rmask_allocator *allocator, rmask **out, rmask_error *error)
{
    row_reader r;
    RMASK_TRY(start(&r, rows, cols, allocator, out, error));
    rmask_status status = RMASK_OK;
    for (int32_t row = 0; row < rows && !status; row++) {
        if (num_bytes[row] == 0) continue;
        rmask_error cause;
        source from = {bitmaps[row], num_bytes[row], 0};
        r.row = (uint32_t)row;
        status = read_row(&r, &from, &cause);
        if (!status) status = expect_end(&from, &cause);
        if (status == RMASK_ERR_FORMAT)
            rmask_fail(error, status, "row %d: %.200s", (int)row, cause.message);
        else if (status && error)
            *error = cause;
    }
    return end(&r, status, out, error);
}
