/* SPDX-License-Identifier: Apache-2.0
 * Masks as Roaring bitmaps, written from the ranges of their rows. */
#include "core/check.h"
#include "core/row.h"
#include "exchange/roaring.h"

#include <string.h>

/* ---------------------------------------------------------------- a row in chunks */

/* The part of a row that goes into one container: its runs are the ranges, the first and the last one cut off at the chunk. */
typedef struct chunk {
    uint32_t begin, end; /* columns; end is beyond the row's last one by up to a chunk */
    const int32_t *ranges;
    uint32_t num_runs, cardinality;
} chunk;

/* What is left of a row. */
typedef struct chunk_walk {
    const int32_t *ranges, *end;
    uint32_t done; /* the columns below are taken */
} chunk_walk;

static chunk_walk chunks_of(const rmask_int32_vec *ranges)
{
    return (chunk_walk){ranges->at, ranges->len ? ranges->at + ranges->len : ranges->at, 0};
}

static uint32_t run_begin(const chunk *c, uint32_t i)
{
    const uint32_t begin = (uint32_t)c->ranges[2 * i];
    return begin > c->begin ? begin : c->begin;
}

static uint32_t run_end(const chunk *c, uint32_t i)
{
    const uint32_t end = (uint32_t)c->ranges[2 * i + 1];
    return end < c->end ? end : c->end;
}

static bool next_chunk(chunk_walk *walk, chunk *c)
{
    while (walk->ranges < walk->end && (uint32_t)walk->ranges[1] <= walk->done) walk->ranges += 2;
    if (walk->ranges == walk->end) return false;
    const uint32_t first = (uint32_t)walk->ranges[0] > walk->done ? (uint32_t)walk->ranges[0] : walk->done;
    *c = (chunk){.begin = first / ROARING_CHUNK * ROARING_CHUNK, .ranges = walk->ranges};
    c->end = walk->done = c->begin + ROARING_CHUNK;
    for (const int32_t *range = walk->ranges; range < walk->end && (uint32_t)range[0] < c->end; range += 2) {
        c->cardinality += run_end(c, c->num_runs) - run_begin(c, c->num_runs);
        c->num_runs++;
    }
    return true;
}

/* ---------------------------------------------------------------- containers */

static size_t bytes_as_runs(const chunk *c) { return 2 + 4 * (size_t)c->num_runs; }

static size_t bytes_of_cells(const chunk *c)
{
    return c->cardinality <= ROARING_MAX_ARRAY ? 2 * (size_t)c->cardinality : ROARING_BITSET_BYTES;
}

static bool holds_runs(const chunk *c) { return bytes_as_runs(c) < bytes_of_cells(c); }

static size_t container_bytes(const chunk *c) { return holds_runs(c) ? bytes_as_runs(c) : bytes_of_cells(c); }

static uint8_t *put_16(uint8_t *at, uint32_t value)
{
    const uint16_t unit = (uint16_t)value;
    memcpy(at, &unit, sizeof unit);
    return at + sizeof unit;
}

static uint8_t *put_32(uint8_t *at, uint32_t value)
{
    memcpy(at, &value, sizeof value);
    return at + sizeof value;
}

static uint8_t *put_runs(uint8_t *at, const chunk *c)
{
    at = put_16(at, c->num_runs);
    for (uint32_t i = 0; i < c->num_runs; i++) {
        const uint32_t begin = run_begin(c, i);
        at = put_16(at, begin - c->begin);
        at = put_16(at, run_end(c, i) - begin - 1);
    }
    return at;
}

static uint8_t *put_array(uint8_t *at, const chunk *c)
{
    for (uint32_t i = 0; i < c->num_runs; i++) {
        const uint32_t end = run_end(c, i);
        for (uint32_t col = run_begin(c, i); col < end; col++) at = put_16(at, col - c->begin);
    }
    return at;
}

static uint8_t *put_bitset(uint8_t *at, const chunk *c)
{
    uint64_t words[ROARING_CHUNK / 64] = {0};
    for (uint32_t i = 0; i < c->num_runs; i++) {
        const uint32_t first = run_begin(c, i) - c->begin, last = run_end(c, i) - c->begin - 1;
        const uint64_t from_first = ~UINT64_C(0) << first % 64, to_last = ~UINT64_C(0) >> (63 - last % 64);
        uint64_t *word = words + first / 64, *const last_word = words + last / 64;
        if (word == last_word) {
            *word |= from_first & to_last;
            continue;
        }
        *word++ |= from_first;
        while (word < last_word) *word++ = ~UINT64_C(0);
        *word |= to_last;
    }
    memcpy(at, words, sizeof words);
    return at + sizeof words;
}

/* ---------------------------------------------------------------- bitmaps */

/* What must be known of a bitmap before its first byte is written. */
typedef struct bitmap_size {
    uint32_t num_containers;
    bool has_runs;
    uint64_t container_bytes;
} bitmap_size;

static void add_chunks(bitmap_size *size, const rmask_int32_vec *ranges)
{
    chunk_walk walk = chunks_of(ranges);
    for (chunk c; next_chunk(&walk, &c);) {
        size->num_containers++;
        size->has_runs |= holds_runs(&c);
        size->container_bytes += container_bytes(&c);
    }
}

static uint64_t bitmap_bytes(const bitmap_size *size)
{
    return roaring_layout_of(size->num_containers, size->has_runs).containers + size->container_bytes;
}

typedef struct bitmap_writer {
    uint8_t *begin, *next; /* of the bitmap; of the next container */
    roaring_layout at;
    bool has_runs;
    uint32_t num_written;
} bitmap_writer;

static bitmap_writer start_bitmap(uint8_t *begin, const bitmap_size *size)
{
    const roaring_layout at = roaring_layout_of(size->num_containers, size->has_runs);
    if (size->has_runs) {
        uint8_t *flags = put_32(begin, ROARING_COOKIE_RUNS | (size->num_containers - 1) << 16);
        memset(flags, 0, at.heads - 4);
    } else {
        put_32(put_32(begin, ROARING_COOKIE_NO_RUNS), size->num_containers);
    }
    return (bitmap_writer){begin, begin + at.containers, at, size->has_runs, 0};
}

static void put_container(bitmap_writer *w, uint32_t key, const chunk *c)
{
    const uint32_t i = w->num_written++;
    put_16(put_16(w->begin + w->at.heads + 4 * (size_t)i, key), c->cardinality - 1);
    if (w->at.offsets < w->at.containers) put_32(w->begin + w->at.offsets + 4 * (size_t)i, (uint32_t)(w->next - w->begin));
    if (holds_runs(c)) {
        w->begin[4 + i / 8] |= (uint8_t)(1 << i % 8);
        w->next = put_runs(w->next, c);
    } else {
        w->next = (c->cardinality <= ROARING_MAX_ARRAY ? put_array : put_bitset)(w->next, c);
    }
}

/* A row as a bitmap of its own. Returns its end. */
static uint8_t *put_row(uint8_t *begin, const rmask_int32_vec *ranges, const bitmap_size *size)
{
    bitmap_writer writer = start_bitmap(begin, size);
    chunk_walk walk = chunks_of(ranges);
    for (chunk c; next_chunk(&walk, &c);) put_container(&writer, c.begin / ROARING_CHUNK, &c);
    return writer.next;
}

static rmask_status check_capacity(uint64_t needed, const void *bytes, size_t capacity, size_t *num_bytes, rmask_error *error)
{
    if (needed > PTRDIFF_MAX) return rmask_fail(error, RMASK_ERR_LIMIT, "the bitmap has more bytes than memory can have");
    *num_bytes = (size_t)needed;
    if (!bytes || capacity >= needed) return RMASK_OK;
    return rmask_fail(error, RMASK_ERR_CAPACITY, "the buffer has room for %zu bytes, %zu are needed", capacity, *num_bytes);
}

/* ---------------------------------------------------------------- one row */

rmask_status rmask_row_to_roaring(const rmask *mask, int32_t row, void *bytes, size_t capacity, size_t *num_bytes,
                                  rmask_error *error)
{
    *num_bytes = 0;
    RMASK_TRY(rmask_check_row(row, mask->rows, error));
    RMASK_TRY(rmask_trust_rows(mask, row, row + 1, error));
    rmask_int32_vec ranges = {0};
    rmask_status status = rmask_append_ranges(mask, row, &mask->allocator, &ranges);
    if (status) {
        rmask_fail_nomem(error);
    } else {
        bitmap_size size = {0};
        add_chunks(&size, &ranges);
        status = check_capacity(bitmap_bytes(&size), bytes, capacity, num_bytes, error);
        if (!status && bytes) put_row(bytes, &ranges, &size);
    }
    rmask_vec_free(&mask->allocator, &ranges);
    return status;
}

/* ---------------------------------------------------------------- all rows */

/* Walks the rows that have cells. */
typedef struct row_ranges {
    const rmask *mask;
    int32_t row, next_row;
    rmask_int32_vec ranges;
    bool failed;
} row_ranges;

static row_ranges rows_of(const rmask *mask) { return (row_ranges){.mask = mask}; }

static bool next_row(row_ranges *walk)
{
    const rmask *mask = walk->mask;
    while (walk->next_row < mask->rows) {
        const int32_t row = walk->row = walk->next_row++;
        const rmask_strip *strip = rmask_strip_of(mask, row);
        if (strip->num_fixed + strip->num_sliding == 0) { /* goes to the next exception, or the next strip */
            rmask_exception_walk exceptions = rmask_walk_exceptions(mask, row);
            const int32_t strip_end = rmask_strip_end(mask, strip), exception_row = rmask_walk_row(&exceptions);
            if (exception_row != row) {
                walk->next_row = exception_row < strip_end ? exception_row : strip_end;
                continue;
            }
        }
        walk->ranges.len = 0;
        if (rmask_append_ranges(mask, row, &mask->allocator, &walk->ranges) != RMASK_OK) {
            walk->failed = true;
            return false;
        }
        if (walk->ranges.len) return true;
    }
    return false;
}

/* A mask's rows are containers of one bitmap, or buckets. */
typedef struct mask_size {
    bitmap_size bitmap;
    uint64_t num_buckets, bucket_bytes;
} mask_size;

static uint64_t mask_bytes(const mask_size *size, bool is_32)
{
    return is_32 ? bitmap_bytes(&size->bitmap) : sizeof size->num_buckets + size->bucket_bytes;
}

static void measure(row_ranges *walk, bool is_32, mask_size *size)
{
    while (next_row(walk)) {
        if (is_32) {
            add_chunks(&size->bitmap, &walk->ranges);
        } else {
            bitmap_size bucket = {0};
            add_chunks(&bucket, &walk->ranges);
            size->bucket_bytes += sizeof(uint32_t) + bitmap_bytes(&bucket);
            size->num_buckets++;
        }
    }
}

static void write_32(row_ranges *walk, uint8_t *bytes, const bitmap_size *size)
{
    bitmap_writer writer = start_bitmap(bytes, size);
    while (next_row(walk)) {
        chunk_walk chunks = chunks_of(&walk->ranges);
        for (chunk c; next_chunk(&chunks, &c);) put_container(&writer, (uint32_t)walk->row, &c);
    }
}

static void write_64(row_ranges *walk, uint8_t *bytes, uint64_t num_buckets)
{
    memcpy(bytes, &num_buckets, sizeof num_buckets);
    bytes += sizeof num_buckets;
    while (next_row(walk)) {
        bitmap_size size = {0};
        add_chunks(&size, &walk->ranges);
        bytes = put_row(put_32(bytes, (uint32_t)walk->row), &walk->ranges, &size);
    }
}

rmask_status rmask_to_roaring(const rmask *mask, void *bytes, size_t capacity, size_t *num_bytes, rmask_error *error)
{
    *num_bytes = 0;
    RMASK_TRY(rmask_trust(mask, error));
    const bool is_32 = roaring_is_32(mask->rows, mask->cols);
    row_ranges walk = rows_of(mask);
    mask_size size = {0};
    measure(&walk, is_32, &size);
    rmask_status status = walk.failed ? rmask_fail_nomem(error)
                                      : check_capacity(mask_bytes(&size, is_32), bytes, capacity, num_bytes, error);
    if (!status && bytes) {
        walk.next_row = 0; /* the longest row has room in the ranges now: nothing is allocated any more */
        if (is_32)
            write_32(&walk, bytes, &size.bitmap);
        else
            write_64(&walk, bytes, size.num_buckets);
    }
    rmask_vec_free(&mask->allocator, &walk.ranges);
    return status;
}
