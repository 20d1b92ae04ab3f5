/* SPDX-License-Identifier: Apache-2.0
 * Reading rows. */
#include "core/row.h"

#include "core/check.h"
#include "core/row_walk.h"
#include "core/row_words.h"

ALWAYS_INLINE void count_row(row_sink *s, int32_t cols, rmask_flips flips, rmask_row_containers containers)
{
    if (!rmask_row_is_narrow(cols, rmask_row_effort(flips, containers), containers.left)) {
        walk_row(s, COUNT, cols, flips, containers);
        return;
    }
    uint64_t words[RMASK_NARROW_WORDS];
    rmask_row_words(words, cols, flips, containers);
    s->count += count_words(s, words, cols);
}

/* Lists a row whose strip has one long list of boundaries and nothing else: dilated and strided windows, many columns. */
static void list_long_row(row_sink *s, int32_t cols, const int32_t *list, size_t n, int32_t shift)
{
    if (n > 0 && list[n - 1] + (int64_t)shift >= cols) n = rmask_upper_bound(list, n, cols - 1 - (int64_t)shift);
    const size_t passed = rmask_upper_bound(list, n, -(int64_t)shift);
    list += passed;
    n -= passed;
    if (passed % 2) {
        put_range(s, COLUMNS, 0, n ? *list + shift : cols);
        if (n == 0) return;
        list++;
        n--;
    }
    const size_t num_runs = n / 2;
    size_t num_cols = 0;
    for (size_t i = 0; i < num_runs; i++) num_cols += (uint32_t)(list[2 * i + 1] - list[2 * i]);
    s->count += num_cols;
    if (has_room(s, num_cols)) s->out = s->simd->runs(s->out, s->limit, list, 2 * num_runs, shift);
    if (n % 2) put_range(s, COLUMNS, list[n - 1] + shift, cols);
}

enum { LONG_LIST = 16, LONG_LISTS = 64, MAX_PART = 4096, MAX_PART_EXCEPTIONS = 256 };

/* Lists a row whose strip has long lists of both kinds, columns crossed by diagonals: each kind by itself, and what is in one of them only.
 * The exceptions, mostly crossings, count with the diagonals. False where some part is too long for that. */
static bool list_crossed_row(row_sink *s, int32_t cols, rmask_boundaries strip, int32_t row, rmask_row_containers containers)
{
    enum { ROOM = MAX_PART + RMASK_MERGE_SLACK };
    int32_t by_fixed[ROOM], by_sliding[ROOM], crossed[MAX_PART + MAX_PART_EXCEPTIONS + RMASK_MERGE_SLACK];
    int32_t exceptions[MAX_PART_EXCEPTIONS];
    rmask_container container = {.num_units = 0};
    if (cols > RMASK_CHUNK_COLS) return false;
    rmask_next_container(&containers, &container);
    if (container.is_bitset || container.num_units > MAX_PART_EXCEPTIONS) return false;
    row_sink fixed = {.simd = s->simd, .out = by_fixed, .limit = by_fixed + MAX_PART};
    row_sink sliding = {.simd = s->simd, .out = by_sliding, .limit = by_sliding + MAX_PART};
    list_long_row(&fixed, cols, strip.fixed, strip.num_fixed, 0);
    list_long_row(&sliding, cols, strip.sliding, strip.num_sliding, row);
    const size_t room = (size_t)(s->limit - s->out);
    if (fixed.overflow || sliding.overflow || room < fixed.count + sliding.count + container.num_units + RMASK_MERGE_SLACK) return false;

    const int32_t *diagonals = by_sliding;
    size_t num_diagonals = sliding.count;
    for (int i = 0; i < RMASK_MERGE_SLACK; i++) by_fixed[fixed.count + (size_t)i] = by_sliding[sliding.count + (size_t)i] = INT32_MAX;
    if (container.num_units) {
        s->simd->widen(exceptions, exceptions + MAX_PART_EXCEPTIONS, container.units, container.num_units, 0);
        num_diagonals = s->simd->merge(crossed, by_sliding, sliding.count, exceptions, container.num_units);
        diagonals = crossed;
    }
    const size_t n = s->simd->merge(s->out, by_fixed, fixed.count, diagonals, num_diagonals);
    s->out += n;
    s->count += n;
    return true;
}

ALWAYS_INLINE void list_narrow_row(row_sink *s, int32_t cols, rmask_flips flips, rmask_row_containers containers)
{
    uint64_t words[RMASK_NARROW_WORDS];
    rmask_row_words(words, cols, flips, containers);
    put_words(s, words, cols);
}

/* The ways to list a row, by its strip's lists. */
ALWAYS_INLINE void list_row(row_sink *s, int32_t cols, rmask_boundaries strip, int32_t row, rmask_row_containers containers)
{
    if (strip.num_fixed + strip.num_sliding >= LONG_LIST) {
        if (containers.left == 0 && strip.num_fixed == 0) {
            list_long_row(s, cols, strip.sliding, strip.num_sliding, row);
            return;
        }
        if (containers.left == 0 && strip.num_sliding == 0) {
            list_long_row(s, cols, strip.fixed, strip.num_fixed, 0);
            return;
        }
        if (strip.num_fixed + strip.num_sliding >= LONG_LISTS && list_crossed_row(s, cols, strip, row, containers)) return;
    }
    const rmask_flips flips = rmask_flips_of(strip, row);
    if (rmask_row_is_narrow(cols, rmask_row_effort(flips, containers), containers.left))
        list_narrow_row(s, cols, flips, containers);
    else
        walk_row(s, COLUMNS, cols, flips, containers);
}

ALWAYS_INLINE void range_row(row_sink *s, int32_t cols, rmask_flips flips, rmask_row_containers containers)
{
    walk_row(s, RANGES, cols, flips, containers);
}

ALWAYS_INLINE rmask_flips flips_of_row(const rmask *mask, int32_t row)
{
    return rmask_flips_of(rmask_boundaries_of(mask, rmask_strip_of(mask, row)), row);
}

/* The entries of an array in [begin, end), relative to its chunk, that lie inside; segments without entries are jumped over. */
static size_t array_inside(rmask_flips *flips, const rmask_container *array, int32_t base, int32_t begin, int32_t end)
{
    const rmask_simd *simd = rmask_simd_get();
    const size_t before = rmask_count_below(simd, array->units, array->num_units, begin);
    const uint16_t *values = array->units + before;
    size_t left = rmask_count_below(simd, values, array->num_units - before, end), count = 0;
    while (left > 0) {
        int32_t segment_begin, segment_end = base + end;
        bool inside = false;
        if (flips->at < base + *values) rmask_flips_seek(flips, base + *values);
        rmask_next_segment(flips, base + end, &segment_begin, &segment_end, &inside);
        const size_t n = rmask_count_below(simd, values, left, segment_end - base);
        count += inside ? n : 0;
        values += n;
        left -= n;
    }
    return count;
}

static size_t bitset_inside(rmask_flips *flips, const rmask_container *bitset, int32_t base, int32_t begin, int32_t end)
{
    size_t count = 0;
    bool inside;
    if (flips->at < base + begin) rmask_flips_seek(flips, base + begin);
    for (int32_t segment_begin, segment_end; rmask_next_segment(flips, base + end, &segment_begin, &segment_end, &inside);)
        if (inside) count += rmask_container_count_range(bitset, (uint32_t)(segment_begin - base), (uint32_t)(segment_end - base));
    return count;
}

uint64_t rmask_exceptions_inside(rmask_boundaries strip, int32_t row, rmask_row_containers containers, int32_t col_begin, int32_t col_end)
{
    rmask_flips flips = rmask_flips_of(strip, row);
    uint64_t count = 0;
    for (rmask_container container; rmask_next_container(&containers, &container);) {
        const int32_t base = container.chunk * RMASK_CHUNK_COLS;
        const int32_t width = col_end - base < RMASK_CHUNK_COLS ? col_end - base : RMASK_CHUNK_COLS;
        const int32_t begin = col_begin > base ? col_begin - base : 0;
        if (begin >= width) continue;
        count += (container.is_bitset ? bitset_inside : array_inside)(&flips, &container, base, begin, width);
    }
    return count;
}

/* ---------------------------------------------------------------- one row */

bool rmask_contains(const rmask *mask, int32_t row, int32_t col)
{
    if (row < 0 || row >= mask->rows || col < 0 || col >= mask->cols || rmask_trust_rows(mask, row, row + 1, NULL)) return false;
    bool inside = rmask_strip_has(rmask_boundaries_of(mask, rmask_strip_of(mask, row)), row, col);
    rmask_row_containers containers = rmask_containers_of(mask, row);
    for (rmask_container container; rmask_next_container(&containers, &container);)
        if (container.chunk == col / RMASK_CHUNK_COLS)
            return inside != rmask_container_has(&container, (uint32_t)(col % RMASK_CHUNK_COLS));
    return inside;
}

static rmask_status check_row(const rmask *mask, int32_t row, rmask_error *error)
{
    RMASK_TRY(rmask_check_row(row, mask->rows, error));
    return rmask_trust_rows(mask, row, row + 1, error);
}

rmask_status rmask_row_count(const rmask *mask, int32_t row, size_t *count, rmask_error *error)
{
    *count = 0;
    RMASK_TRY(check_row(mask, row, error));
    row_sink s = {.simd = rmask_simd_get()};
    count_row(&s, mask->cols, flips_of_row(mask, row), rmask_containers_of(mask, row));
    *count = s.count;
    return RMASK_OK;
}

static rmask_status fail_capacity(rmask_error *error, size_t capacity, size_t count, const char *what)
{
    return rmask_fail(error, RMASK_ERR_CAPACITY, "the buffer has room for %zu %s, %zu are needed", capacity, what, count);
}

rmask_status rmask_row(const rmask *mask, int32_t row, int32_t *cols, size_t capacity, size_t *count, rmask_error *error)
{
    if (!cols) return rmask_row_count(mask, row, count, error);
    *count = 0;
    RMASK_TRY(check_row(mask, row, error));
    row_sink s = sink_to(cols, capacity);
    list_row(&s, mask->cols, rmask_boundaries_of(mask, rmask_strip_of(mask, row)), row, rmask_containers_of(mask, row));
    *count = s.count;
    return s.overflow ? fail_capacity(error, capacity, s.count, "columns") : RMASK_OK;
}

static size_t ranges_of_row(const rmask *mask, int32_t row, int32_t *ranges, size_t capacity)
{
    row_sink s = {.simd = rmask_simd_get(), .out = ranges, .limit = capacity ? ranges + 2 * capacity : ranges};
    range_row(&s, mask->cols, flips_of_row(mask, row), rmask_containers_of(mask, row));
    return s.count;
}

rmask_status rmask_row_ranges(const rmask *mask, int32_t row, int32_t *ranges, size_t capacity, size_t *count, rmask_error *error)
{
    *count = 0;
    RMASK_TRY(check_row(mask, row, error));
    const size_t room = ranges ? capacity : 0;
    *count = ranges_of_row(mask, row, ranges, room);
    return ranges && *count > room ? fail_capacity(error, room, *count, "ranges") : RMASK_OK;
}

rmask_status rmask_append_ranges(const rmask *mask, int32_t row, const rmask_allocator *allocator, rmask_int32_vec *ranges)
{
    for (;;) {
        const size_t room = (ranges->cap - ranges->len) / 2;
        const size_t n = ranges_of_row(mask, row, room ? ranges->at + ranges->len : NULL, room);
        if (n <= room) {
            ranges->len += 2 * n;
            return RMASK_OK;
        }
        if (!rmask_vec_reserve(allocator, ranges, 2 * n)) return RMASK_ERR_NOMEM;
    }
}

rmask_status rmask_append_flips(const rmask *mask, int32_t row, const rmask_allocator *allocator, rmask_int32_vec *flips)
{
    const size_t before = flips->len;
    RMASK_TRY(rmask_append_ranges(mask, row, allocator, flips));
    if (flips->len > before && flips->at[flips->len - 1] == mask->cols) flips->len--;
    return RMASK_OK;
}

/* ---------------------------------------------------------------- many rows */

rmask_status rmask_check_readable(const rmask *mask, int32_t row_begin, int32_t row_end, rmask_error *error)
{
    if (row_begin >= 0 && row_begin <= row_end && row_end <= mask->rows) return rmask_trust_rows(mask, row_begin, row_end, error);
    return rmask_fail(error, RMASK_ERR_RANGE, "rows [%d, %d) are out of range: the grid has %d rows", (int)row_begin, (int)row_end,
                      (int)mask->rows);
}

rmask_row_reader rmask_read_rows(const rmask *mask, int32_t row)
{
    rmask_row_reader r = {.mask = mask, .row = row, .walk = rmask_walk_exceptions(mask, row)};
    r.exception_row = rmask_walk_row(&r.walk);
    return r;
}

/* The strip and the exceptions of the reader's row, which it leaves behind. */
ALWAYS_INLINE rmask_boundaries read_next(rmask_row_reader *r, int32_t *row, rmask_row_containers *containers)
{
    if (r->row >= r->strip_end) {
        const rmask_strip *strip = rmask_strip_of(r->mask, r->row);
        r->boundaries = rmask_boundaries_of(r->mask, strip);
        r->strip_end = rmask_strip_end(r->mask, strip);
    }
    *containers = (rmask_row_containers){.left = 0};
    if (r->row == r->exception_row) {
        *containers = rmask_walk_take(&r->walk);
        r->exception_row = rmask_walk_row(&r->walk);
    }
    *row = r->row++;
    return r->boundaries;
}

size_t rmask_read_row(rmask_row_reader *reader, int32_t *cols, size_t capacity)
{
    int32_t row;
    rmask_row_containers containers;
    const rmask_boundaries strip = read_next(reader, &row, &containers);
    row_sink s = sink_to(cols, capacity);
    list_row(&s, reader->mask->cols, strip, row, containers);
    return s.count;
}

size_t rmask_read_row_count(rmask_row_reader *reader)
{
    int32_t row;
    rmask_row_containers containers;
    const rmask_boundaries strip = read_next(reader, &row, &containers);
    row_sink s = {.simd = rmask_simd_get()};
    count_row(&s, reader->mask->cols, rmask_flips_of(strip, row), containers);
    return s.count;
}

rmask_status rmask_to_csr(const rmask *mask, int32_t row_begin, int32_t row_end, int64_t *indptr, int32_t *indices, size_t capacity,
                          rmask_error *error)
{
    indptr[0] = 0;
    RMASK_TRY(rmask_check_readable(mask, row_begin, row_end, error));
    rmask_row_reader reader = rmask_read_rows(mask, row_begin);
    uint64_t total = 0;
    for (int32_t row = row_begin; row < row_end; row++) {
        const bool has_room = indices && total < capacity;
        total += has_room ? rmask_read_row(&reader, indices + total, capacity - (size_t)total) : rmask_read_row_count(&reader);
        indptr[row - row_begin + 1] = (int64_t)total;
    }
    return indices && total > capacity ? fail_capacity(error, capacity, (size_t)total, "indices") : RMASK_OK;
}

rmask_status rmask_for_each_row(const rmask *mask, int32_t row_begin, int32_t row_end, rmask_row_callback callback, void *context,
                                rmask_error *error)
{
    RMASK_TRY(rmask_check_readable(mask, row_begin, row_end, error));
    size_t capacity = 0;
    rmask_row_reader reader = rmask_read_rows(mask, row_begin);
    for (int32_t row = row_begin; row < row_end; row++) {
        const size_t count = rmask_read_row_count(&reader);
        if (count > capacity) capacity = count;
    }
    int32_t *cols = rmask_allocate(&mask->allocator, capacity, sizeof *cols);
    if (!cols) return rmask_fail_nomem(error);
    rmask_status status = RMASK_OK;
    reader = rmask_read_rows(mask, row_begin);
    for (int32_t row = row_begin; row < row_end && !status; row++) {
        const size_t count = rmask_read_row(&reader, cols, capacity);
        if (callback(context, row, cols, count))
            status = rmask_fail(error, RMASK_ERR_STOPPED, "the callback stopped at row %d", (int)row);
    }
    rmask_free(&mask->allocator, cols, capacity, sizeof *cols);
    return status;
}
