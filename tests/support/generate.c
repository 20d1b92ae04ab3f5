/* SPDX-License-Identifier: Apache-2.0
 * Random masks: structured ones from predicates, noise, and mixtures of the two. */
#include "generate.h"

#include <stdlib.h>
#include <string.h>

const shape shapes[] = {
    {0, 0},     {0, 7},     {7, 0},     {1, 1},      {1, 2},      {2, 1},      {1, 300},    {300, 1},  {3, 3},
    {7, 15},    {16, 16},   {17, 31},   {31, 32},    {33, 33},    {20, 63},    {20, 64},    {20, 65},  {64, 64},
    {65, 64},   {9, 127},   {9, 128},   {9, 129},    {3, 511},    {3, 512},    {3, 513},    {100, 50}, {100, 49},
    {100, 100}, {250, 120}, {120, 250}, {6, 4095},   {6, 4097},   {4, 8191},   {4, 8192},   {4, 8193}, {1000, 40},
    {3, 65535}, {3, 65536}, {3, 65537}, {2, 131071}, {2, 131072}, {2, 131073}, {1, 200001},
};
const int num_shapes = sizeof shapes / sizeof shapes[0], num_small_shapes = 27;

shape random_shape(int64_t max_cells, rng *random)
{
    int64_t rows = rng_between(random, 1, 1 + rng_below(random, 200)), most = max_cells / rows > 1 ? max_cells / rows : 1;
    if (rows > max_cells) rows = 1;
    if (!rng_chance(random, 0.1) && most > 600) most = 600;
    return (shape){(int32_t)rows, (int32_t)rng_between(random, 1, most)};
}

/* ---------------------------------------------------------------- structure */

/* Cell (r, c) of an n x m grid under parameters p, each drawn from 0 to about the larger side, small ones often. */
typedef bool (*predicate)(int64_t r, int64_t c, int64_t n, int64_t m, const int64_t p[3]);

#define PREDICATE(name, expression)                                                  \
    static bool name(int64_t r, int64_t c, int64_t n, int64_t m, const int64_t p[3]) \
    {                                                                                \
        (void)r, (void)c, (void)n, (void)m, (void)p;                                 \
        return expression;                                                           \
    }

PREDICATE(in_none, false)
PREDICATE(in_all, true)
PREDICATE(in_causal, c <= r + (m - n))
PREDICATE(in_diagonal, c == r)
PREDICATE(in_window, r - p[0] <= c && c <= r + p[1])
PREDICATE(in_causal_window, r - p[0] < c && c <= r)
PREDICATE(in_sink, c < p[0])
PREDICATE(in_sink_window, c <= r && (c < p[0] || r - p[1] < c))
PREDICATE(in_global_window, c < p[0] || r < p[0] || (r - p[1] <= c && c <= r + p[1]))
PREDICATE(in_local, c / (p[0] + 1) == r / (p[0] + 1))
PREDICATE(in_causal_local, c <= r && c / (p[0] + 1) == r / (p[0] + 1))
PREDICATE(in_prefix, c < p[0] || c <= r)
PREDICATE(in_dilated, c <= r && (r - c) % (p[0] % 7 + 2) == 0 && r - c < p[1])
PREDICATE(in_strided, (r - c) % (p[0] % 9 + 1) == 0)
PREDICATE(in_columns, c % (p[0] + 2) == p[1] % (p[0] + 2))
PREDICATE(in_cross, c % (p[0] + 3) == 0 || (r - c) % (p[1] + 3) == 0)
PREDICATE(in_causal_cross, c <= r && (c % (p[0] + 3) == 0 || (r - c) % (p[1] + 3) == 0))
PREDICATE(in_antidiagonal, (r + c) % (p[0] + 5) == 0)
PREDICATE(in_checkerboard, (r + c) % 2 == 0)
PREDICATE(in_corners, (r == 0 || r == n - 1) && (c == 0 || c == m - 1))
PREDICATE(in_one_row, r == p[0] % n)
PREDICATE(in_bands, r % (p[0] + 2) == 0)
PREDICATE(in_reverse_window, r - p[0] > c || c > r + p[1])
PREDICATE(in_growing_columns, c % (p[0] % 11 + 2) == 0 && c <= r)

static int64_t draw_parameter(const twin *t, rng *random)
{
    int64_t side = t->rows > t->cols ? t->rows : t->cols;
    return rng_below(random, rng_chance(random, 0.6) ? (side < 12 ? side : 12) : side);
}

static void fill(twin *t, rng *random, predicate holds)
{
    int64_t p[3] = {draw_parameter(t, random), draw_parameter(t, random), draw_parameter(t, random)};
    for (int32_t row = 0; row < t->rows; row++)
        for (int32_t col = 0; col < t->cols; col++) twin_at(t, row)[col] = holds(row, col, t->rows, t->cols, p);
}

/* ---------------------------------------------------------------- noise */

/* Flips each cell with this probability. */
static void flip(twin *t, rng *random, double probability)
{
    size_t num_cells = (size_t)t->rows * (size_t)t->cols;
    for (size_t i = 0; i < num_cells; i++) t->cells[i] ^= rng_chance(random, probability);
}

static void fill_random(twin *t, rng *random, double density)
{
    memset(t->cells, 0, (size_t)t->rows * (size_t)t->cols);
    flip(t, random, density);
}

static void random_runs_in_row(twin *t, rng *random, int32_t row)
{
    int64_t longest = rng_chance(random, 0.5) ? 5 : 80;
    for (int64_t col = rng_below(random, longest); col < t->cols;) {
        int64_t end = col + rng_between(random, 1, longest);
        twin_put(t, row, (int32_t)col, (int32_t)(end < t->cols ? end : t->cols), true);
        col = end + rng_between(random, 1, 2 * longest);
    }
}

static void fill_runs(twin *t, rng *random)
{
    for (int32_t row = 0; row < t->rows; row++) random_runs_in_row(t, random, row);
}

/* One random row that every row repeats, moved along by `step` columns a row. */
static void fill_repeated(twin *t, rng *random, int32_t step)
{
    if (t->rows == 0) return;
    if (rng_chance(random, 0.5))
        random_runs_in_row(t, random, 0);
    else
        for (int32_t col = 0; col < t->cols; col++) twin_at(t, 0)[col] = rng_chance(random, 0.1);
    for (int32_t row = 1; row < t->rows; row++)
        for (int32_t col = step; col < t->cols; col++) twin_at(t, row)[col] = twin_at(t, row - 1)[col - step];
}

static void fill_few_rows(twin *t, rng *random)
{
    for (int32_t row = 0; row < t->rows; row++) {
        double density = rng_chance(random, 0.1) ? 0.3 : 0;
        for (int32_t col = 0; col < t->cols; col++) twin_at(t, row)[col] = rng_chance(random, density);
    }
}

static void fill_ragged_window(twin *t, rng *random)
{
    int64_t back = draw_parameter(t, random), ahead = draw_parameter(t, random);
    for (int64_t row = 0; row < t->rows; row++) {
        int64_t begin = row - back + rng_below(random, 3), end = row + ahead + rng_below(random, 3);
        if (begin < 0) begin = 0;
        if (end > t->cols) end = t->cols;
        if (begin < end) twin_put(t, (int32_t)row, (int32_t)begin, (int32_t)end, true);
    }
}

static void fill_documents(twin *t, rng *random)
{
    for (int32_t begin = 0, end; begin < t->rows && begin < t->cols; begin = end) {
        end = (int32_t)(begin + rng_between(random, 1, 1 + t->rows / 3));
        for (int32_t row = begin; row < end && row < t->rows; row++)
            twin_put(t, row, begin, end < t->cols ? end : t->cols, true);
    }
}

/* ---------------------------------------------------------------- mixtures */

typedef void (*filler)(twin *t, rng *random);

static const struct {
    const char *name;
    predicate holds;
} structured[] = {
    {"none", in_none},
    {"all", in_all},
    {"causal", in_causal},
    {"diagonal", in_diagonal},
    {"window", in_window},
    {"causal window", in_causal_window},
    {"sink", in_sink},
    {"sink and window", in_sink_window},
    {"global and window", in_global_window},
    {"local", in_local},
    {"causal local", in_causal_local},
    {"prefix", in_prefix},
    {"dilated", in_dilated},
    {"strided", in_strided},
    {"columns", in_columns},
    {"columns and diagonals", in_cross},
    {"causal columns and diagonals", in_causal_cross},
    {"antidiagonals", in_antidiagonal},
    {"checkerboard", in_checkerboard},
    {"corners", in_corners},
    {"one row", in_one_row},
    {"bands", in_bands},
    {"all but a window", in_reverse_window},
    {"growing columns", in_growing_columns},
};
enum { NUM_STRUCTURED = sizeof structured / sizeof structured[0] };

static void fill_structured(twin *t, rng *random) { fill(t, random, structured[rng_below(random, NUM_STRUCTURED)].holds); }

/* Copies the part of `from` where row and column are in the given ranges. */
static void paste(twin *t, twin *from, int32_t row_begin, int32_t row_end, int32_t col_begin, int32_t col_end)
{
    for (int32_t row = row_begin; row < row_end; row++)
        memcpy(twin_at(t, row) + col_begin, twin_at(from, row) + col_begin, (size_t)(col_end - col_begin));
    twin_free(from);
}

static twin *structured_twin(const twin *like, rng *random)
{
    twin *t = twin_create(like->rows, like->cols);
    fill_structured(t, random);
    return t;
}

static void fill_noisy_structure(twin *t, rng *random)
{
    fill_structured(t, random);
    flip(t, random, rng_chance(random, 0.5) ? 0.002 : 0.03);
}

static void fill_half_random_rows(twin *t, rng *random)
{
    int32_t half = t->rows / 2;
    fill_random(t, random, 0.1);
    paste(t, structured_twin(t, random), half, t->rows, 0, t->cols);
}

static void fill_half_random_cols(twin *t, rng *random)
{
    fill_random(t, random, 0.1);
    paste(t, structured_twin(t, random), 0, t->rows, 0, t->cols / 2);
}

static void fill_changing(twin *t, rng *random)
{
    for (int32_t row = 0, end; row < t->rows; row = end) {
        end = row + (int32_t)rng_between(random, 1, 1 + t->rows / 4);
        if (end > t->rows) end = t->rows;
        paste(t, structured_twin(t, random), row, end, 0, t->cols);
    }
}

static void fill_mixed_density(twin *t, rng *random)
{
    for (int32_t row = 0; row < t->rows; row++) {
        double density = rng_chance(random, 0.5) ? 0.01 : 0.6;
        for (int32_t col = 0; col < t->cols; col++) twin_at(t, row)[col] = rng_chance(random, density);
    }
}

static void fill_repeated_fixed(twin *t, rng *random) { fill_repeated(t, random, 0); }

static void fill_repeated_sliding(twin *t, rng *random) { fill_repeated(t, random, 1); }

static const struct {
    const char *name;
    filler fill;
    double density; /* where fill is NULL */
} irregular[] = {
    {"random 0.1%", NULL, 0.001},
    {"random 1%", NULL, 0.01},
    {"random 20%", NULL, 0.2},
    {"random 50%", NULL, 0.5},
    {"random 95%", NULL, 0.95},
    {"runs", fill_runs, 0},
    {"repeated row", fill_repeated_fixed, 0},
    {"repeated sliding row", fill_repeated_sliding, 0},
    {"few rows", fill_few_rows, 0},
    {"ragged window", fill_ragged_window, 0},
    {"noisy structure", fill_noisy_structure, 0},
    {"random rows, structured rows", fill_half_random_rows, 0},
    {"structured columns, random columns", fill_half_random_cols, 0},
    {"changing structure", fill_changing, 0},
    {"sparse rows, dense rows", fill_mixed_density, 0},
    {"documents", fill_documents, 0},
};
enum { NUM_IRREGULAR = sizeof irregular / sizeof irregular[0] };

_Static_assert(NUM_KINDS == NUM_STRUCTURED + NUM_IRREGULAR, "NUM_KINDS counts the kinds");

const char *kind_name(int kind)
{
    return kind < NUM_STRUCTURED ? structured[kind].name : irregular[kind - NUM_STRUCTURED].name;
}

twin *generate(int kind, int32_t rows, int32_t cols, rng *random)
{
    twin *t = twin_create(rows, cols);
    if (kind < NUM_STRUCTURED)
        fill(t, random, structured[kind].holds);
    else if (irregular[kind - NUM_STRUCTURED].fill)
        irregular[kind - NUM_STRUCTURED].fill(t, random);
    else
        fill_random(t, random, irregular[kind - NUM_STRUCTURED].density);
    return t;
}

twin *generate_named(const char *name, int32_t rows, int32_t cols, rng *random)
{
    int kind = 0;
    while (kind < NUM_KINDS && strcmp(kind_name(kind), name) != 0) kind++;
    expect(kind < NUM_KINDS, "there is no kind \"%s\"", name);
    return generate(kind, rows, cols, random);
}

twin *generate_any(int32_t rows, int32_t cols, rng *random)
{
    return generate((int)rng_below(random, NUM_KINDS), rows, cols, random);
}

void draw_part(int32_t size, int32_t *begin, int32_t *end, rng *random)
{
    *begin = rng_chance(random, 0.3) ? 0 : (int32_t)rng_between(random, 0, size);
    *end = rng_chance(random, 0.3) ? size : (int32_t)rng_between(random, *begin, size);
}

int32_t draw_shift(int32_t size, rng *random)
{
    if (rng_chance(random, 0.2)) return 0;
    if (rng_chance(random, 0.1)) return (int32_t)rng_between(random, -INT32_MAX - 1, INT32_MAX);
    return (int32_t)rng_between(random, -(rng_chance(random, 0.5) ? 5 : size), rng_chance(random, 0.5) ? 5 : size);
}
