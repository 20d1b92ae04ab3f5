/* SPDX-License-Identifier: Apache-2.0
 * A mask being made: its exceptions. Here containers are chosen and laid out. */
#include "core/draft.h"

#include "core/status.h"
#include "simd/simd.h"

#include <string.h>

static rmask_status fail(rmask_draft *draft, rmask_status status)
{
    if (draft->failed == RMASK_OK) draft->failed = status;
    return status;
}

/* Units that may be overwritten behind a row: bitsets are written in whole words. */
enum { WORD_SLACK = 3 };

/* Room for a row of up to `num_units` units. Where it is short, for as many as the rows so far lead to expect of all rows: rows are
 * mostly alike, and memory that is never copied to larger memory is touched once. */
static rmask_status begin_row(rmask_draft *draft, int32_t row, size_t num_units)
{
    if (draft->failed) return draft->failed;
    num_units += WORD_SLACK;
    if (draft->containers.cap - draft->containers.len < num_units) {
        const double share = ((double)row + 1) / draft->rows, len = (double)draft->containers.len;
        double expected = len / share * 1.05 - len;
        if (expected > 15 * len) expected = 15 * len;
        const size_t more = num_units + (size_t)expected;
        if (!rmask_vec_reserve(&draft->allocator, &draft->containers, more) &&
            !rmask_vec_reserve(&draft->allocator, &draft->containers, num_units))
            return fail(draft, RMASK_ERR_NOMEM);
    }
    if (!rmask_vec_reserve(&draft->allocator, &draft->exception_rows, 1) ||
        !rmask_vec_reserve(&draft->allocator, &draft->exception_ends, 1))
        return fail(draft, RMASK_ERR_NOMEM);
    return RMASK_OK;
}

void rmask_draft_reserve(rmask_draft *draft, uint64_t num_units)
{
    if (num_units > 0 && num_units <= UINT32_MAX)
        (void)rmask_vec_reserve(&draft->allocator, &draft->containers, (size_t)num_units + WORD_SLACK);
}

static rmask_status end_row(rmask_draft *draft, int32_t row, uint64_t num_exceptions, int64_t balance)
{
    if (draft->containers.len > UINT32_MAX) return fail(draft, RMASK_ERR_LIMIT);
    rmask_vec_put(&draft->exception_rows, row);
    rmask_vec_put(&draft->exception_ends, (uint32_t)draft->containers.len);
    draft->num_exceptions += num_exceptions;
    draft->exception_balance += balance;
    return RMASK_OK;
}

/* Runs of one chunk: begins at even places of `flips`, ends at odd ones, all cut to [base, limit). */
typedef struct chunk_runs {
    const int32_t *flips;
    size_t num_flips; /* even */
    int32_t base, limit;
    size_t num_cells;
} chunk_runs;

static inline uint32_t run_begin(const chunk_runs *runs, size_t i)
{
    return runs->flips[i] > runs->base ? (uint32_t)(runs->flips[i] - runs->base) : 0;
}

static inline uint32_t run_end(const chunk_runs *runs, size_t i)
{
    return (uint32_t)((runs->flips[i + 1] < runs->limit ? runs->flips[i + 1] : runs->limit) - runs->base);
}

static void put_array(uint16_t *out, const chunk_runs *runs)
{
    for (size_t i = 0; i < runs->num_flips; i += 2) {
        const uint32_t begin = run_begin(runs, i), end = run_end(runs, i);
        *out++ = (uint16_t)begin;
        for (uint32_t col = begin + 1; col < end; col++) *out++ = (uint16_t)col;
    }
}

/* Sets bits within one aligned word of 64. `out` has room for whole words. */
static inline void set_in_word(uint16_t *out, uint32_t begin, uint32_t last)
{
    uint64_t word;
    memcpy(&word, out + begin / 64 * 4, sizeof word);
    word |= ((UINT64_C(2) << last % 64) - 1) & ~UINT64_C(0) << begin % 64;
    memcpy(out + begin / 64 * 4, &word, sizeof word);
}

static void put_bitset(uint16_t *out, uint32_t bitset_units, const chunk_runs *runs)
{
    memset(out, 0, (bitset_units + WORD_SLACK) * sizeof *out);
    for (size_t i = 0; i < runs->num_flips; i += 2) {
        uint32_t begin = run_begin(runs, i);
        const uint32_t last = run_end(runs, i) - 1;
        for (; begin / 64 < last / 64; begin = (begin / 64 + 1) * 64) set_in_word(out, begin, begin | 63);
        set_in_word(out, begin, last);
    }
}

/* Writes one chunk as the smaller kind of container; returns its units. */
static uint32_t put_container(uint16_t *out, uint32_t bitset_units, const chunk_runs *runs)
{
    if (runs->num_cells < bitset_units) {
        put_array(out, runs);
        return (uint32_t)runs->num_cells;
    }
    put_bitset(out, bitset_units, runs);
    return bitset_units;
}

static size_t count_cells(const chunk_runs *runs)
{
    size_t cells = 0;
    for (size_t i = 0; i < runs->num_flips; i += 2) cells += run_end(runs, i) - run_begin(runs, i);
    return cells;
}

/* Takes the runs of the chunk that column `col` is in, from flip *i on; a run may go on in the next chunk, where it is found again. */
static chunk_runs take_chunk(const rmask_draft *draft, const int32_t *flips, size_t num_flips, size_t *i, int32_t col)
{
    const int32_t chunk = col / RMASK_CHUNK_COLS, base = chunk * RMASK_CHUNK_COLS;
    chunk_runs runs = {flips + *i, 0, base, base + rmask_chunk_width(draft->cols, chunk), 0};
    while (*i + runs.num_flips < num_flips && runs.flips[runs.num_flips] < runs.limit) runs.num_flips += 2;
    *i += runs.num_flips;
    if (runs.flips[runs.num_flips - 1] > runs.limit) *i -= 2;
    runs.num_cells = count_cells(&runs);
    return runs;
}

/* Where the walk over chunks goes on. */
static int32_t next_col(const chunk_runs *runs, const int32_t *next_flip)
{
    return *next_flip > runs->limit ? *next_flip : runs->limit;
}

/* A row of a wide grid: heads first, units behind them. */
static rmask_status put_wide_row(rmask_draft *draft, int32_t row, const int32_t *flips, size_t num_flips)
{
    size_t num_chunks = 0, num_units = 0, i = 0;
    for (int32_t col = flips[0]; i < num_flips; num_chunks++) {
        const chunk_runs runs = take_chunk(draft, flips, num_flips, &i, col);
        const uint32_t bitset_units = rmask_bitset_units(draft->cols, runs.base / RMASK_CHUNK_COLS);
        num_units += runs.num_cells < bitset_units ? runs.num_cells : bitset_units;
        if (i < num_flips) col = next_col(&runs, flips + i);
    }
    RMASK_TRY(begin_row(draft, row, 1 + 2 * num_chunks + num_units));
    uint16_t *heads = draft->containers.at + draft->containers.len, *units = heads + 1 + 2 * num_chunks;
    *heads++ = (uint16_t)num_chunks;
    i = 0;
    for (int32_t col = flips[0]; i < num_flips;) {
        const chunk_runs runs = take_chunk(draft, flips, num_flips, &i, col);
        const int32_t chunk = runs.base / RMASK_CHUNK_COLS;
        *heads++ = (uint16_t)chunk;
        *heads = (uint16_t)put_container(units, rmask_bitset_units(draft->cols, chunk), &runs);
        units += *heads++;
        if (i < num_flips) col = next_col(&runs, flips + i);
    }
    draft->containers.len = (size_t)(units - draft->containers.at);
    return RMASK_OK;
}

/* The same from columns, for the only chunk of a grid. A bitset's words are put together in a register. */
static uint32_t put_cols(uint16_t *out, uint32_t bitset_units, const int32_t *cols, size_t n)
{
    if (n < bitset_units) {
        for (size_t i = 0; i < n; i++) out[i] = (uint16_t)cols[i];
        return (uint32_t)n;
    }
    memset(out, 0, bitset_units * sizeof *out);
    for (size_t i = 0; i < n;) {
        const int32_t at = cols[i] / 64;
        uint64_t word = 0;
        do
            word |= UINT64_C(1) << cols[i] % 64;
        while (++i < n && cols[i] / 64 == at);
        memcpy(out + at * 4, &word, sizeof word);
    }
    return bitset_units;
}

static rmask_status put_narrow_row(rmask_draft *draft, int32_t row, const int32_t *flips, size_t num_flips, const int32_t *cols,
                                   uint64_t num_cells)
{
    const chunk_runs runs = {flips, num_flips, 0, draft->cols, num_cells};
    const uint32_t bitset_units = rmask_bitset_units(draft->cols, 0);
    RMASK_TRY(begin_row(draft, row, num_cells < bitset_units ? num_cells : bitset_units));
    uint16_t *out = draft->containers.at + draft->containers.len;
    draft->containers.len += cols ? put_cols(out, bitset_units, cols, num_cells) : put_container(out, bitset_units, &runs);
    return RMASK_OK;
}

rmask_status rmask_draft_flips(rmask_draft *draft, int32_t row, const int32_t *flips, size_t num_flips, const int32_t *cols,
                               uint64_t num_cells)
{
    if (draft->failed) return draft->failed;
    if (num_flips % 2) { /* every run gets an end */
        draft->scratch.len = 0;
        if (!rmask_vec_reserve(&draft->allocator, &draft->scratch, num_flips + 1)) return fail(draft, RMASK_ERR_NOMEM);
        memcpy(draft->scratch.at, flips, num_flips * sizeof *flips);
        draft->scratch.at[num_flips++] = draft->cols;
        flips = draft->scratch.at;
    }
    if (draft->cols <= RMASK_CHUNK_COLS)
        RMASK_TRY(put_narrow_row(draft, row, flips, num_flips, cols, num_cells));
    else
        RMASK_TRY(put_wide_row(draft, row, flips, num_flips));
    return end_row(draft, row, num_cells, 0);
}

rmask_status rmask_draft_exceptions(rmask_draft *draft, int32_t row, const int32_t *cols, size_t n, int64_t balance)
{
    if (draft->failed) return draft->failed;
    draft->flips.len = 0;
    if (!rmask_vec_reserve(&draft->allocator, &draft->flips, 2 * n + 16)) return fail(draft, RMASK_ERR_NOMEM);
    const int32_t *end = rmask_simd_get()->flips(draft->flips.at, cols, n);
    draft->exception_balance += balance;
    return rmask_draft_flips(draft, row, draft->flips.at, (size_t)(end - draft->flips.at), cols, n);
}

rmask_status rmask_draft_row_units(rmask_draft *draft, int32_t row, const uint16_t *units, size_t num_units,
                                   uint64_t num_exceptions, int64_t balance)
{
    RMASK_TRY(begin_row(draft, row, num_units));
    memcpy(draft->containers.at + draft->containers.len, units, num_units * sizeof *units);
    draft->containers.len += num_units;
    return end_row(draft, row, num_exceptions, balance);
}

/* ---------------------------------------------------------------- containers one by one */

rmask_status rmask_draft_begin_row(rmask_draft *draft, uint32_t max_containers)
{
    if (draft->failed) return draft->failed;
    draft->row_at = draft->containers.len;
    draft->num_containers = 0;
    draft->num_heads = draft->cols > RMASK_CHUNK_COLS ? max_containers : 0;
    if (draft->num_heads == 0) return RMASK_OK;
    const size_t heads = 1 + 2 * (size_t)draft->num_heads;
    if (!rmask_vec_reserve(&draft->allocator, &draft->containers, heads)) return fail(draft, RMASK_ERR_NOMEM);
    draft->containers.len += heads;
    return RMASK_OK;
}

/* Counts in a container of a row whose units have been written behind the others. */
static void end_container(rmask_draft *draft, int32_t chunk, uint32_t num_units)
{
    draft->containers.len += num_units;
    if (draft->num_heads) {
        uint16_t *head = draft->containers.at + draft->row_at + 1 + 2 * (size_t)draft->num_containers;
        head[0] = (uint16_t)chunk;
        head[1] = (uint16_t)num_units;
    }
    draft->num_containers++;
}

rmask_status rmask_draft_container(rmask_draft *draft, int32_t row, const rmask_container *container)
{
    RMASK_TRY(begin_row(draft, row, container->num_units));
    memcpy(draft->containers.at + draft->containers.len, container->units, container->num_units * sizeof *container->units);
    end_container(draft, container->chunk, container->num_units);
    return RMASK_OK;
}

rmask_status rmask_draft_end_row(rmask_draft *draft, int32_t row, uint64_t num_exceptions, int64_t balance)
{
    if (draft->failed) return draft->failed;
    if (draft->num_containers == 0) {
        draft->containers.len = draft->row_at;
        return RMASK_OK;
    }
    if (draft->num_heads) { /* units move up to the heads that there are */
        uint16_t *heads = draft->containers.at + draft->row_at, *units = heads + 1 + 2 * (size_t)draft->num_heads;
        const size_t num_units = (size_t)(draft->containers.at + draft->containers.len - units);
        heads[0] = (uint16_t)draft->num_containers;
        memmove(heads + 1 + 2 * (size_t)draft->num_containers, units, num_units * sizeof *units);
        draft->containers.len -= 2 * (size_t)(draft->num_heads - draft->num_containers);
    }
    return end_row(draft, row, num_exceptions, balance);
}

/* Writes one chunk, given as a bitset, as the smaller kind of container; returns its units. Behind them it needs room for as many again. */
static uint32_t put_bits(uint16_t *out, uint32_t bitset_units, const uint64_t *words, uint64_t *num_exceptions)
{
    const rmask_simd *simd = rmask_simd_get();
    memcpy(out, words, bitset_units * sizeof *out);
    const size_t n = simd->popcount(out, bitset_units);
    *num_exceptions += n;
    if (n >= bitset_units) return bitset_units;
    simd->positions(out + bitset_units, out, bitset_units);
    memmove(out, out + bitset_units, n * sizeof *out);
    return (uint32_t)n;
}

rmask_status rmask_draft_bits(rmask_draft *draft, int32_t row, const uint64_t *words, int64_t balance)
{
    enum { POSITIONS_SLACK = 64 };
    const int32_t num_chunks = rmask_num_chunks(draft->cols);
    uint64_t num_exceptions = 0;
    RMASK_TRY(rmask_draft_begin_row(draft, (uint32_t)num_chunks));
    for (int32_t chunk = 0; chunk < num_chunks; chunk++, words += RMASK_CHUNK_COLS / 64) {
        const uint32_t bitset_units = rmask_bitset_units(draft->cols, chunk);
        RMASK_TRY(begin_row(draft, row, 2 * (size_t)bitset_units + POSITIONS_SLACK));
        const uint32_t num_units = put_bits(draft->containers.at + draft->containers.len, bitset_units, words, &num_exceptions);
        if (num_units > 0) end_container(draft, chunk, num_units);
    }
    return rmask_draft_end_row(draft, row, num_exceptions, balance);
}

rmask_status rmask_draft_rows(rmask_draft *draft, const rmask *mask, int32_t row_begin, int32_t row_end, int32_t row_at)
{
    if (draft->failed) return draft->failed;
    const uint32_t first = rmask_directory_find(mask, row_begin), end = rmask_directory_find(mask, row_end);
    if (first == end) return RMASK_OK;
    const uint32_t *offsets = mask->directory_offsets;
    const uint64_t num_units = offsets[end] - offsets[first], len = draft->containers.len;
    if (len + num_units > UINT32_MAX) return fail(draft, RMASK_ERR_LIMIT);
    RMASK_TRY(begin_row(draft, row_at + (row_end - row_begin) - 1, num_units));
    if (!rmask_vec_reserve(&draft->allocator, &draft->exception_rows, end - first) ||
        !rmask_vec_reserve(&draft->allocator, &draft->exception_ends, end - first))
        return fail(draft, RMASK_ERR_NOMEM);
    memcpy(draft->containers.at + len, mask->containers + offsets[first], num_units * sizeof *mask->containers);
    draft->containers.len += num_units;
    for (uint32_t i = first; i < end; i++) {
        if (offsets[i] == offsets[i + 1]) continue;
        rmask_vec_put(&draft->exception_rows, rmask_directory_row(mask, i) - row_begin + row_at);
        rmask_vec_put(&draft->exception_ends, (uint32_t)(len + offsets[i + 1] - offsets[first]));
    }
    return RMASK_OK;
}

void rmask_draft_move_exceptions(rmask_draft *to, rmask_draft *from)
{
#define MOVE(vec) (to->vec.at = from->vec.at, to->vec.len = from->vec.len, to->vec.cap = from->vec.cap, \
                   from->vec.at = NULL, from->vec.len = from->vec.cap = 0)
    MOVE(exception_rows);
    MOVE(exception_ends);
    MOVE(containers);
#undef MOVE
    to->num_exceptions = from->num_exceptions;
    to->exception_balance = from->exception_balance;
    from->num_exceptions = 0;
    from->exception_balance = 0;
}
