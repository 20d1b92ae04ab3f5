/* SPDX-License-Identifier: Apache-2.0
 * Functions of single rows. */
#include "core/algebra.h"
#include "core/check.h"
#include "core/row.h"
#include "core/row_walk.h"
#include "core/row_words.h"

static rmask_status fail_capacity(rmask_error *error, size_t capacity, size_t count)
{
    return rmask_fail(error, RMASK_ERR_CAPACITY, "the buffer has room for %zu columns, %zu are needed", capacity, count);
}

/* ---------------------------------------------------------------- two rows */

/* Both rows' segments at once. */
typedef struct pair_walk {
    rmask_flips a, b;
    int32_t end_a, end_b, at, cols;
    bool inside_a, inside_b;
    unsigned function;
} pair_walk;

/* The next segment [*begin, *end) in which neither strip flips, cut off at `limit`; false when the walk has come to `limit`. */
ALWAYS_INLINE bool next_pair(pair_walk *walk, int32_t limit, int32_t *begin, int32_t *end)
{
    const int32_t at = walk->at;
    if (at >= limit) return false;
    if (walk->end_a == at) rmask_next_segment(&walk->a, walk->cols, begin, &walk->end_a, &walk->inside_a);
    if (walk->end_b == at) rmask_next_segment(&walk->b, walk->cols, begin, &walk->end_b, &walk->inside_b);
    const int32_t next = walk->end_a < walk->end_b ? walk->end_a : walk->end_b;
    *begin = at;
    *end = walk->at = next < limit ? next : limit;
    return true;
}

ALWAYS_INLINE bool pair_inside(const pair_walk *walk) { return rmask_apply(walk->function, walk->inside_a, walk->inside_b); }

ALWAYS_INLINE unsigned pair_exceptions(const pair_walk *walk)
{
    return rmask_exceptions_function(walk->function, walk->inside_a, walk->inside_b);
}

static void put_pair_plain(row_sink *s, pair_walk *walk, int32_t limit)
{
    for (int32_t begin, end; next_pair(walk, limit, &begin, &end);)
        if (pair_inside(walk)) put_range(s, COLUMNS, begin, end);
}

static void put_pair_arrays(row_sink *s, pair_walk *walk, int32_t base, int32_t limit, const rmask_container containers[2])
{
    uint16_t combined[2 * RMASK_CHUNK_UNITS + 8];
    const uint16_t *a = containers[0].units, *b = containers[1].units;
    size_t left_a = containers[0].num_units, left_b = containers[1].num_units;
    for (int32_t begin, end; next_pair(walk, limit, &begin, &end);) {
        const size_t num_a = rmask_count_below(s->simd, a, left_a, end - base);
        const size_t num_b = rmask_count_below(s->simd, b, left_b, end - base);
        if (num_a + num_b) {
            const size_t n = rmask_combine_arrays(combined, pair_exceptions(walk), a, num_a, b, num_b);
            put_array(s, COLUMNS, begin, end, pair_inside(walk), combined, n, base);
            a += num_a, left_a -= num_a;
            b += num_b, left_b -= num_b;
        } else if (pair_inside(walk)) {
            put_range(s, COLUMNS, begin, end);
        }
    }
}

static void put_pair_bitsets(row_sink *s, pair_walk *walk, int32_t base, int32_t limit, const rmask_container containers[2])
{
    uint16_t space[2][RMASK_CHUNK_UNITS], combined[RMASK_CHUNK_UNITS];
    const uint32_t num_units = ((uint32_t)(limit - base) + 15) / 16;
    const rmask_container result = {0, num_units, true, combined};
    const uint16_t *bits[2];
    for (int i = 0; i < 2; i++) bits[i] = rmask_bits_of(space[i], &containers[i], num_units);
    for (int32_t begin, end; next_pair(walk, limit, &begin, &end);) {
        rmask_combine_bits(combined, pair_exceptions(walk), bits[0], bits[1], (uint32_t)(begin - base), (uint32_t)(end - base));
        put_bitset(s, COLUMNS, begin, end, pair_inside(walk), &result, base);
    }
}

static void put_pair_chunk(row_sink *s, pair_walk *walk, int32_t chunk, const rmask_container containers[2])
{
    const int32_t base = chunk * RMASK_CHUNK_COLS, limit = base + rmask_chunk_width(walk->cols, chunk);
    put_pair_plain(s, walk, base);
    if (containers[0].is_bitset || containers[1].is_bitset)
        put_pair_bitsets(s, walk, base, limit, containers);
    else
        put_pair_arrays(s, walk, base, limit, containers);
}

static void list_narrow_pair(row_sink *s, const pair_walk *walk, rmask_row_containers a, rmask_row_containers b)
{
    uint64_t words[3][RMASK_NARROW_WORDS];
    rmask_row_words(words[0], walk->cols, walk->a, a);
    rmask_row_words(words[1], walk->cols, walk->b, b);
    rmask_combine_words(words[2], words[0], words[1], walk->cols, walk->function);
    put_words(s, words[2], walk->cols);
}

static void list_pair(row_sink *s, pair_walk *walk, rmask_row_containers a, rmask_row_containers b)
{
    if (rmask_row_is_narrow(walk->cols, rmask_row_effort(walk->a, a) + rmask_row_effort(walk->b, b), a.left + b.left)) {
        list_narrow_pair(s, walk, a, b);
        return;
    }
    if (walk->cols <= RMASK_CHUNK_COLS && a.left + b.left) {
        put_pair_chunk(s, walk, 0, (const rmask_container[2]){rmask_only_container(a), rmask_only_container(b)});
        return;
    }
    rmask_chunk_pairs chunks = {.rows = {a, b}};
    rmask_container containers[2];
    for (int32_t chunk; a.left + b.left && rmask_next_chunk_pair(&chunks, &chunk, &containers[0], &containers[1]);)
        put_pair_chunk(s, walk, chunk, containers);
    put_pair_plain(s, walk, walk->cols);
}

enum { LONG_LISTS = 64, MAX_LISTED = 4096 };

static bool is_long(rmask_flips flips)
{
    return (flips.fixed_end - flips.fixed) + (flips.sliding_end - flips.sliding) >= LONG_LISTS;
}

/* A row's columns, when there are at most MAX_LISTED. Reading may need twice the room. */
static bool list_short_row(const rmask *mask, int32_t row, uint16_t *values, size_t *num)
{
    int32_t cols[2 * MAX_LISTED];
    if (rmask_row(mask, row, cols, 2 * MAX_LISTED, num, NULL) || *num > MAX_LISTED) return false;
    for (size_t i = 0; i < *num; i++) values[i] = (uint16_t)cols[i];
    return true;
}

/* Between many boundaries, columns crossed by diagonals, there are few cells: both rows are listed, and the lists combined as those of
 * exceptions are. False where that is not so, or the function holds outside of both. */
static bool combine_listed(row_sink *s, const pair_walk *walk, const rmask *a, int32_t row_a, const rmask *b, int32_t row_b)
{
    uint16_t values[2][MAX_LISTED], combined[2 * MAX_LISTED + 8];
    size_t num[2];
    if (walk->cols > RMASK_CHUNK_COLS || walk->function & 1 || !is_long(walk->a) || !is_long(walk->b)) return false;
    if (!list_short_row(a, row_a, values[0], &num[0]) || !list_short_row(b, row_b, values[1], &num[1])) return false;
    const size_t n = rmask_combine_arrays(combined, walk->function, values[0], num[0], values[1], num[1]);
    put_array(s, COLUMNS, 0, walk->cols, false, combined, n, 0);
    return true;
}

rmask_status rmask_row_combine(const rmask *a, int32_t row_a, const rmask *b, int32_t row_b, rmask_function function, int32_t *cols,
                               size_t capacity, size_t *count, rmask_error *error)
{
    *count = 0;
    RMASK_TRY(rmask_check_row(row_a, a->rows, error));
    RMASK_TRY(rmask_check_row(row_b, b->rows, error));
    if ((unsigned)function > 15)
        return rmask_fail(error, RMASK_ERR_ARGUMENT, "%d is no boolean function: they are numbered from 0 to 15", (int)function);
    if (a->cols != b->cols)
        return rmask_fail(error, RMASK_ERR_ARGUMENT, "the rows have %d and %d columns", (int)a->cols, (int)b->cols);
    RMASK_TRY(rmask_trust_rows(a, row_a, row_a + 1, error));
    RMASK_TRY(rmask_trust_rows(b, row_b, row_b + 1, error));
    row_sink s = sink_to(cols, capacity);
    pair_walk walk = {.a = rmask_flips_of(rmask_boundaries_of(a, rmask_strip_of(a, row_a)), row_a),
                      .b = rmask_flips_of(rmask_boundaries_of(b, rmask_strip_of(b, row_b)), row_b),
                      .cols = a->cols,
                      .function = (unsigned)function};
    if (!combine_listed(&s, &walk, a, row_a, b, row_b))
        list_pair(&s, &walk, rmask_containers_of(a, row_a), rmask_containers_of(b, row_b));
    *count = s.count;
    return cols && s.overflow ? fail_capacity(error, capacity, s.count) : RMASK_OK;
}

/* ---------------------------------------------------------------- lists of rows */

/* Folds the rows as inversion lists: ranges are flips in pairs. */
static rmask_status fold_rows(const rmask *mask, const int32_t *rows, size_t num_rows, unsigned function, rmask_int32_vec lists[3])
{
    const rmask_allocator *allocator = &mask->allocator;
    for (size_t i = 0; i < num_rows; i++) {
        rmask_int32_vec *so_far = &lists[i % 2], *next = &lists[1 - i % 2], *row = &lists[2];
        row->len = next->len = 0;
        RMASK_TRY(rmask_append_ranges(mask, rows[i], allocator, row));
        if (!rmask_vec_reserve(allocator, next, so_far->len + row->len)) return RMASK_ERR_NOMEM;
        next->len = rmask_combine_lists(next->at, function, so_far->at, so_far->len, row->at, row->len);
    }
    return RMASK_OK;
}

static rmask_status combine_rows(const rmask *mask, const int32_t *rows, size_t num_rows, unsigned function, int32_t *cols,
                                 size_t capacity, size_t *count, rmask_error *error)
{
    *count = 0;
    for (size_t i = 0; i < num_rows; i++) {
        RMASK_TRY(rmask_check_row(rows[i], mask->rows, error));
        RMASK_TRY(rmask_trust_rows(mask, rows[i], rows[i] + 1, error));
    }
    rmask_int32_vec lists[3] = {{0}, {0}, {0}};
    rmask_status status = RMASK_OK;
    if (!rmask_vec_reserve(&mask->allocator, &lists[0], 2)) status = RMASK_ERR_NOMEM;
    if (!status && function == RMASK_AND && mask->cols > 0) {
        rmask_vec_put(&lists[0], 0);
        rmask_vec_put(&lists[0], mask->cols);
    }
    if (!status) status = fold_rows(mask, rows, num_rows, function, lists);
    if (!status) {
        const rmask_int32_vec *folded = &lists[num_rows % 2];
        row_sink s = sink_to(cols, capacity);
        rmask_flips flips = rmask_flips_of((rmask_boundaries){folded->at, folded->len, NULL, 0}, 0);
        put_plain(&s, COLUMNS, &flips, mask->cols);
        *count = s.count;
        if (cols && s.overflow) status = RMASK_ERR_CAPACITY;
    }
    for (int i = 0; i < 3; i++) rmask_vec_free(&mask->allocator, &lists[i]);
    if (status == RMASK_ERR_CAPACITY) return fail_capacity(error, capacity, *count);
    return status ? rmask_fail_nomem(error) : RMASK_OK;
}

rmask_status rmask_rows_and(const rmask *mask, const int32_t *rows, size_t num_rows, int32_t *cols, size_t capacity, size_t *count,
                            rmask_error *error)
{
    return combine_rows(mask, rows, num_rows, RMASK_AND, cols, capacity, count, error);
}

rmask_status rmask_rows_or(const rmask *mask, const int32_t *rows, size_t num_rows, int32_t *cols, size_t capacity, size_t *count,
                           rmask_error *error)
{
    return combine_rows(mask, rows, num_rows, RMASK_OR, cols, capacity, count, error);
}
