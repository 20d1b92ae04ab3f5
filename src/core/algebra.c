/* SPDX-License-Identifier: Apache-2.0
 * The 16 boolean functions of two masks: strips first, then the rows that have exceptions. */
#include "core/algebra.h"

#include "core/check.h"

typedef struct combiner {
    const rmask *a, *b;
    unsigned function;
    bool count_only;
    rmask_draft draft;
    rmask_u64_vec crossings;
    size_t next_crossing;
    rmask_chunk_space *space;
    rmask_int32_vec cols;      /* of a row with crossings */
} combiner;

static rmask_boundaries strip_at(const rmask *mask, int32_t row) { return rmask_boundaries_of(mask, rmask_strip_of(mask, row)); }

/* ---------------------------------------------------------------- a row of exceptions */

static rmask_status put_units(combiner *c, int32_t row, const uint16_t *units, size_t num_units, const rmask_tally *tally)
{
    if (c->count_only) {
        c->draft.exception_balance += tally->balance;
        return RMASK_OK;
    }
    if (tally->num_exceptions == 0) return RMASK_OK;
    return rmask_draft_row_units(&c->draft, row, units, num_units, tally->num_exceptions, tally->balance);
}

static rmask_status combine_wide_row(combiner *c, int32_t row, rmask_chunk_pairs *pairs, rmask_tally *tally)
{
    rmask_flips flips_a = rmask_flips_of(strip_at(c->a, row), row), flips_b = rmask_flips_of(strip_at(c->b, row), row);
    rmask_container a, b;
    if (!c->count_only) RMASK_TRY(rmask_draft_begin_row(&c->draft, pairs->rows[0].left + pairs->rows[1].left));
    for (int32_t chunk; rmask_next_chunk_pair(pairs, &chunk, &a, &b);) {
        const rmask_container made =
            rmask_combine_chunk(c->space, c->function, c->a->cols, chunk, &flips_a, &a, &flips_b, &b, tally);
        if (made.num_units && !c->count_only) RMASK_TRY(rmask_draft_container(&c->draft, row, &made));
    }
    if (!c->count_only) return rmask_draft_end_row(&c->draft, row, tally->num_exceptions, tally->balance);
    c->draft.exception_balance += tally->balance;
    return RMASK_OK;
}

static rmask_status combine_row(combiner *c, int32_t row, rmask_row_containers row_a, rmask_row_containers row_b)
{
    rmask_tally tally = {0};
    if (c->a->cols > RMASK_CHUNK_COLS) {
        rmask_chunk_pairs pairs = {.rows = {row_a, row_b}};
        return combine_wide_row(c, row, &pairs, &tally);
    }
    rmask_flips flips_a = rmask_flips_of(strip_at(c->a, row), row), flips_b = rmask_flips_of(strip_at(c->b, row), row);
    const rmask_container a = rmask_only_container(row_a), b = rmask_only_container(row_b);
    const rmask_container made = rmask_combine_chunk(c->space, c->function, c->a->cols, 0, &flips_a, &a, &flips_b, &b, &tally);
    return put_units(c, row, made.units, made.num_units, &tally);
}

/* ---------------------------------------------------------------- a row with crossings */

/* The row's exceptions are among the exceptions of both masks and the crossings. A crossing that is neither mask's exception is one, and
 * the balance has it already; the others are looked at one by one. */
static rmask_status combine_crossed_row(combiner *c, int32_t row, rmask_row_containers row_a, rmask_row_containers row_b)
{
    const rmask_boundaries strip_a = strip_at(c->a, row), strip_b = strip_at(c->b, row);
    rmask_int32_vec *cols = &c->cols;
    cols->len = 0;
    RMASK_TRY(rmask_append_columns(row_a, &c->draft.allocator, cols));
    const size_t end_a = cols->len;
    RMASK_TRY(rmask_append_columns(row_b, &c->draft.allocator, cols));
    const size_t end_b = cols->len, first = c->next_crossing;
    while (c->next_crossing < c->crossings.len && c->crossings.at[c->next_crossing] >> 32 == (uint64_t)row) c->next_crossing++;
    const uint64_t *crossings = c->crossings.at + first;
    const size_t num_crossings = c->next_crossing - first, len = end_b + num_crossings;
    if (!rmask_vec_reserve(&c->draft.allocator, cols, len)) return RMASK_ERR_NOMEM;

    int64_t balance = 0;
    size_t i = 0, j = end_a, k = 0;
    for (;;) {
        const int64_t next_a = i < end_a ? cols->at[i] : INT64_MAX, next_b = j < end_b ? cols->at[j] : INT64_MAX;
        const int64_t next_crossing = k < num_crossings ? (int64_t)(uint32_t)crossings[k] : INT64_MAX;
        int64_t col = next_a < next_b ? next_a : next_b;
        if (next_crossing < col) col = next_crossing;
        if (col == INT64_MAX) break;
        const bool crossed = next_crossing == col, in_a = next_a == col, in_b = next_b == col;
        i += in_a;
        j += in_b;
        k += crossed;
        if (!in_a && !in_b) {
            rmask_vec_put(cols, (int32_t)col);
            continue;
        }
        const bool strip_in_a = rmask_strip_has(strip_a, row, col), strip_in_b = rmask_strip_has(strip_b, row, col);
        const bool member = rmask_apply(c->function, strip_in_a != in_a, strip_in_b != in_b);
        const bool combined = rmask_apply(c->function, strip_in_a, strip_in_b), strip_member = combined != crossed;
        balance += member - combined;
        if (member != strip_member) rmask_vec_put(cols, (int32_t)col);
    }
    c->draft.exception_balance += balance; /* which a row whose exceptions all cancel has, too */
    if (c->count_only || cols->len == end_b) return RMASK_OK;
    return rmask_draft_exceptions(&c->draft, row, cols->at + end_b, cols->len - end_b, 0);
}

/* ---------------------------------------------------------------- all rows */

static rmask_status combine_exceptions(combiner *c)
{
    const rmask_row_containers none = {.left = 0};
    rmask_exception_walk walk_a = rmask_walk_exceptions(c->a, 0), walk_b = rmask_walk_exceptions(c->b, 0);
    for (;;) {
        const int32_t row_a = rmask_walk_row(&walk_a), row_b = rmask_walk_row(&walk_b);
        const int32_t crossed_row =
            c->next_crossing < c->crossings.len ? (int32_t)(c->crossings.at[c->next_crossing] >> 32) : c->a->rows;
        int32_t row = row_a < row_b ? row_a : row_b;
        if (crossed_row < row) row = crossed_row;
        if (row == c->a->rows) return RMASK_OK;
        const rmask_row_containers in_a = row_a == row ? rmask_walk_take(&walk_a) : none;
        const rmask_row_containers in_b = row_b == row ? rmask_walk_take(&walk_b) : none;
        RMASK_TRY((crossed_row == row ? combine_crossed_row : combine_row)(c, row, in_a, in_b));
    }
}

static rmask_status combine_all(combiner *c)
{
    int64_t balance;
    RMASK_TRY(rmask_combine_strips(&c->draft, c->a, c->b, c->function, &c->crossings, &balance));
    c->draft.exception_balance += balance;
    if (c->a->header->num_exceptions + c->b->header->num_exceptions + c->crossings.len == 0) return RMASK_OK;
    c->space = rmask_allocate(&c->draft.allocator, 1, sizeof *c->space);
    if (!c->space) return RMASK_ERR_NOMEM;
    const rmask_status status = combine_exceptions(c);
    rmask_free(&c->draft.allocator, c->space, 1, sizeof *c->space);
    return status;
}

/* Either makes the mask or, where `out` is NULL, counts its cells. */
static rmask_status combine(const rmask *a, const rmask *b, rmask_function function, rmask **out, uint64_t *count,
                            rmask_error *error)
{
    if ((unsigned)function > 15)
        return rmask_fail(error, RMASK_ERR_ARGUMENT, "%d is no boolean function: they are numbered from 0 to 15", (int)function);
    if (a->rows != b->rows || a->cols != b->cols)
        return rmask_fail(error, RMASK_ERR_ARGUMENT, "the grids differ: %d x %d and %d x %d", (int)a->rows, (int)a->cols,
                          (int)b->rows, (int)b->cols);
    RMASK_TRY(rmask_trust(a, error));
    RMASK_TRY(rmask_trust(b, error));
    combiner c = {.a = a, .b = b, .function = (unsigned)function, .count_only = out == NULL};
    rmask_draft_init(&c.draft, a->rows, a->cols, &a->allocator);
    rmask_status status = combine_all(&c);
    rmask_vec_free(&c.draft.allocator, &c.crossings);
    rmask_vec_free(&c.draft.allocator, &c.cols);
    if (out) {
        if (status && !c.draft.failed) c.draft.failed = status;
        return rmask_draft_finish(&c.draft, out, error);
    }
    if (!status) *count = rmask_draft_count(&c.draft);
    rmask_draft_discard(&c.draft);
    return status ? rmask_fail_nomem(error) : RMASK_OK;
}

rmask_status rmask_combine(const rmask *a, const rmask *b, rmask_function function, rmask **out, rmask_error *error)
{
    *out = NULL;
    return combine(a, b, function, out, NULL, error);
}

rmask_status rmask_combine_count(const rmask *a, const rmask *b, rmask_function function, uint64_t *count, rmask_error *error)
{
    *count = 0;
    return combine(a, b, function, NULL, count, error);
}

rmask_status rmask_and(const rmask *a, const rmask *b, rmask **out, rmask_error *error) { return rmask_combine(a, b, RMASK_AND, out, error); }

rmask_status rmask_or(const rmask *a, const rmask *b, rmask **out, rmask_error *error) { return rmask_combine(a, b, RMASK_OR, out, error); }

rmask_status rmask_xor(const rmask *a, const rmask *b, rmask **out, rmask_error *error) { return rmask_combine(a, b, RMASK_XOR, out, error); }

rmask_status rmask_and_not(const rmask *a, const rmask *b, rmask **out, rmask_error *error)
{
    return rmask_combine(a, b, RMASK_AND_NOT, out, error);
}

rmask_status rmask_not(const rmask *a, rmask **out, rmask_error *error)
{
    *out = NULL;
    rmask *nothing;
    rmask_draft draft;
    rmask_draft_init(&draft, a->rows, a->cols, &a->allocator);
    RMASK_TRY(rmask_draft_finish(&draft, &nothing, error));
    const rmask_status status = rmask_combine(a, nothing, RMASK_NOT_A, out, error);
    rmask_release(nothing);
    return status;
}

/* ---------------------------------------------------------------- comparing */

rmask_status rmask_jaccard(const rmask *a, const rmask *b, double *overlap, rmask_error *error)
{
    uint64_t common;
    *overlap = 0;
    RMASK_TRY(rmask_combine_count(a, b, RMASK_AND, &common, error));
    const uint64_t either = rmask_count(a) + rmask_count(b) - common;
    *overlap = either ? (double)common / (double)either : 1;
    return RMASK_OK;
}

rmask_status rmask_equal(const rmask *a, const rmask *b, bool *equal, rmask_error *error)
{
    *equal = false;
    if (a->rows != b->rows || a->cols != b->cols || rmask_count(a) != rmask_count(b)) return RMASK_OK;
    if (rmask_same_bytes(a, b)) {
        *equal = true;
        return RMASK_OK;
    }
    uint64_t different;
    RMASK_TRY(rmask_combine_count(a, b, RMASK_XOR, &different, error));
    *equal = different == 0;
    return RMASK_OK;
}
