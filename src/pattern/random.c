/* SPDX-License-Identifier: Apache-2.0
 * random(p, seed=s): the algorithm of docs/patterns.md. Whole numbers only, so that every machine draws the same cells. */
#include "pattern/pattern.h"
#include "simd/simd.h"

#include <string.h>

static const char usage[] = "random(p) or random(p, seed=s)";

/* ---------------------------------------------------------------- arguments */

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

/* floor(value * total) where value is the digits and at most one point of [begin, end) times 10^exponent; false when value > 1.
 * With the digits d1 d2 ... behind the point it is (d1 total + (d2 total + ...) / 10) / 10, and as floors of floors by a whole
 * number are floors, one pass from the last digit is exact for any number of digits. */
static bool share_of(const char *begin, const char *end, int64_t exponent, int32_t total, int32_t *share)
{
    const char *point = memchr(begin, '.', (size_t)(end - begin));
    int64_t place = (point ? end - point - 1 : 0) - exponent; /* the last digit is this many places behind the point */
    int64_t carry = 0;
    bool is_one = false, has_fraction = false;
    for (const char *at = end; at-- > begin;) {
        if (at == point) continue;
        const int digit = *at - '0';
        if (place > 0) {
            carry = (digit * (int64_t)total + carry) / 10;
            has_fraction |= digit > 0;
        } else if (digit > 0) {
            if (place < 0 || digit > 1) return false;
            is_one = true;
        }
        place--;
    }
    for (; place > 0 && carry > 0; place--) carry /= 10;
    *share = is_one ? total : (int32_t)carry;
    return !(is_one && has_fraction);
}

/* A decimal number from 0 to 1, such as 0.001, .5, 1 or 2e-3, as a share of `total`. */
static rmask_status scan_share(rmask_scanner *scanner, int32_t total, int32_t *share)
{
    rmask_scan_peek(scanner);
    const char *const begin = scanner->text + scanner->at, *at = begin;
    size_t num_digits = 0;
    int64_t exponent = 0;
    for (bool seen_point = false; is_digit(*at) || (*at == '.' && !seen_point); at++) {
        if (*at == '.') seen_point = true;
        else num_digits++;
    }
    const char *const end = at;
    bool good = num_digits > 0;
    if (good && (*at == 'e' || *at == 'E')) {
        const bool negative = *++at == '-';
        if (negative || *at == '+') at++;
        good = is_digit(*at);
        for (; is_digit(*at); at++) exponent = exponent < INT32_MAX ? 10 * exponent + (*at - '0') : exponent;
        if (negative) exponent = -exponent;
    }
    if (!good || !share_of(begin, end, exponent, total, share))
        return rmask_scan_unexpected(scanner, "a number from 0 to 1, such as 0.001, in %s", usage);
    scanner->at = (size_t)(at - scanner->text);
    return RMASK_OK;
}

/* (p, seed=s), the seed being optional. */
static rmask_status scan_arguments(rmask_scanner *scanner, int32_t total, int32_t *share, uint64_t *seed)
{
    RMASK_TRY(rmask_scan_expect(scanner, '(', usage));
    RMASK_TRY(scan_share(scanner, total, share));
    if (rmask_scan_take(scanner, ',')) {
        if (rmask_scan_word_length(scanner) != 4 || memcmp(scanner->text + scanner->at, "seed", 4) != 0)
            return rmask_scan_unexpected(scanner, "seed= in %s", usage);
        scanner->at += 4;
        RMASK_TRY(rmask_scan_expect(scanner, '=', usage));
        RMASK_TRY(rmask_scan_unsigned(scanner, usage, seed));
    }
    return rmask_scan_expect(scanner, ')', usage);
}

/* ---------------------------------------------------------------- drawing */

/* SplitMix64: a counter and a bijective scrambler of its steps. */
static const uint64_t golden = UINT64_C(0x9e3779b97f4a7c15);

static uint64_t scramble(uint64_t x)
{
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

/* Uniform in [0, bound), by Lemire's multiplication: the few products that would favour some results are drawn again. */
static inline uint32_t draw_below(uint64_t *state, uint32_t bound)
{
    for (;;) {
        const uint64_t product = (scramble(*state += golden) >> 32) * bound;
        const uint32_t low = (uint32_t)product;
        if (low >= bound || low >= -bound % bound) return (uint32_t)(product >> 32);
    }
}

/* A set of columns that is filled by drawing and read in order. Where many columns are drawn it is a bitset; where they are few
 * among many, a hash table that keeps the order: slots ascend with the columns, and uniform columns fill them evenly. */
typedef struct sample {
    uint32_t num_cols, num_drawn;
    uint16_t *units; /* bitset, or NULL */
    size_t num_units;
    uint32_t *slots; /* hash table, or NULL */
    size_t num_slots;
    uint64_t slots_per_col; /* 32 bits of fraction */
    int32_t *cols;          /* the columns drawn, ascending */
} sample;

enum {
    EMPTY = INT32_MAX,   /* above every column */
    SLOTS_PER_DRAW = 4,  /* few collisions, and still in the cache */
    SPARSE = 128,        /* columns per draw from which scanning the bitset costs more than the table */
    STORE_AHEAD = 64     /* room behind the columns for whole vectors */
};

static void sample_free(const rmask_allocator *allocator, sample *s)
{
    rmask_free(allocator, s->units, s->num_units, sizeof *s->units);
    rmask_free(allocator, s->slots, s->num_slots, sizeof *s->slots);
    rmask_free(allocator, s->cols, s->num_drawn + (size_t)STORE_AHEAD, sizeof *s->cols);
}

static bool sample_init(const rmask_allocator *allocator, sample *s, uint32_t num_cols, uint32_t num_drawn)
{
    *s = (sample){.num_cols = num_cols, .num_drawn = num_drawn};
    s->cols = rmask_allocate(allocator, num_drawn + (size_t)STORE_AHEAD, sizeof *s->cols);
    if (num_drawn < num_cols / SPARSE) {
        /* columns that crowd the last slots run over the end, at most all of them */
        s->num_slots = (SLOTS_PER_DRAW + 1) * (size_t)num_drawn + 1;
        s->slots = rmask_allocate(allocator, s->num_slots, sizeof *s->slots);
        s->slots_per_col = ((uint64_t)num_drawn * SLOTS_PER_DRAW << 32) / num_cols;
        for (size_t i = 0; s->slots && i < s->num_slots; i++) s->slots[i] = EMPTY;
    } else {
        s->num_units = ((size_t)num_cols + 15) / 16;
        s->units = rmask_allocate(allocator, s->num_units, sizeof *s->units);
        if (s->units) memset(s->units, 0, s->num_units * sizeof *s->units);
    }
    if (s->cols && (s->slots || s->units)) return true;
    sample_free(allocator, s);
    return false;
}

/* Floyd's sampling: every set of columns is equally likely, and each draw gives a new member. */
static void draw_bits(sample *s, uint64_t state)
{
    uint16_t *units = s->units;
    for (uint32_t last = s->num_cols - s->num_drawn; last < s->num_cols; last++) {
        uint32_t col = draw_below(&state, last + 1);
        if (units[col / 16] >> col % 16 & 1) col = last;
        units[col / 16] = (uint16_t)(units[col / 16] | 1u << col % 16);
    }
    int32_t *end = s->cols + s->num_drawn + STORE_AHEAD;
    rmask_simd_get()->bits(s->cols, end, units, 0, s->num_cols, 0, 0);
    memset(units, 0, s->num_units * sizeof *units);
}

/* The slot of a column, or the one that it should take. */
static size_t find_slot(const sample *s, uint32_t col)
{
    size_t i = (size_t)(col * s->slots_per_col >> 32);
    while (s->slots[i] < col) i++;
    return i;
}

/* The same with the hash table. */
static void draw_slots(sample *s, uint64_t state)
{
    for (uint32_t last = s->num_cols - s->num_drawn; last < s->num_cols; last++) {
        uint32_t col = draw_below(&state, last + 1);
        size_t i = find_slot(s, col);
        if (s->slots[i] == col) i = find_slot(s, col = last);
        for (; col != EMPTY; i++) {
            const uint32_t moved = s->slots[i];
            s->slots[i] = col;
            col = moved;
        }
    }
    size_t len = 0;
    for (size_t i = 0; len < s->num_drawn; i++) {
        s->cols[len] = (int32_t)s->slots[i];
        len += s->slots[i] != EMPTY;
        s->slots[i] = EMPTY;
    }
}

/* Room for all rows at once: growing step by step would touch twice the pages, and what cannot fit fails before it is drawn. */
static rmask_status reserve_rows(rmask_draft *draft, size_t num_drawn)
{
    const size_t num_rows = (size_t)draft->rows, bitset_units = ((size_t)draft->cols + 15) / 16;
    const size_t num_chunks = (bitset_units - 1) / (RMASK_CHUNK_COLS / 16) + 1;
    const size_t head_units = num_chunks > 1 ? 1 + 2 * (num_drawn < num_chunks ? num_drawn : num_chunks) : 0;
    const size_t row_units = head_units + (num_drawn < bitset_units ? num_drawn : bitset_units);
    if (num_rows * row_units > UINT32_MAX) return draft->failed = RMASK_ERR_LIMIT;
    const bool fits = rmask_vec_reserve(&draft->allocator, &draft->containers, num_rows * row_units + head_units + num_drawn) &&
                      rmask_vec_reserve(&draft->allocator, &draft->exception_rows, num_rows) &&
                      rmask_vec_reserve(&draft->allocator, &draft->exception_ends, num_rows);
    return fits ? RMASK_OK : RMASK_ERR_NOMEM;
}

rmask_status rmask_build_random(rmask_draft *draft, rmask_scanner *scanner)
{
    int32_t count = 0;
    uint64_t seed = 0;
    RMASK_TRY(scan_arguments(scanner, draft->cols, &count, &seed));
    /* past one half it is the holes that are drawn, and the strip below them is full */
    const bool holes = count > draft->cols / 2;
    const int32_t num_drawn = holes ? draft->cols - count : count;
    if (holes) RMASK_TRY(rmask_put_range(draft, 0, 0, draft->cols));
    if (num_drawn == 0 || draft->rows == 0) return RMASK_OK;

    RMASK_TRY(reserve_rows(draft, (size_t)num_drawn));
    sample s;
    if (!sample_init(&draft->allocator, &s, (uint32_t)draft->cols, (uint32_t)num_drawn)) return RMASK_ERR_NOMEM;
    const uint64_t rows_state = scramble(seed + golden);
    rmask_status status = RMASK_OK;
    for (int32_t row = 0; row < draft->rows && !status; row++) {
        const uint64_t state = scramble(rows_state + ((uint64_t)row + 1) * golden);
        s.units ? draw_bits(&s, state) : draw_slots(&s, state);
        status = rmask_draft_exceptions(draft, row, s.cols, (size_t)num_drawn, holes ? -num_drawn : num_drawn);
    }
    sample_free(&draft->allocator, &s);
    return status;
}
