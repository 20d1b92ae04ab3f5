/* SPDX-License-Identifier: Apache-2.0
 * The naive twin of the pattern language: each pattern is the line of the table in docs/patterns.md, asked for every cell. */
#include "pattern_twin.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---------------------------------------------------------------- cells */

static bool is_listed(const pattern *p, int64_t value) {
    for (int i = 0; i < p->num_numbers; i++)
        if (p->numbers[i] == value) return true;
    return false;
}

/* -1 behind the last document. */
static int document_of(const pattern *p, int64_t block) {
    int64_t end = 0;
    for (int i = 0; i < p->num_numbers; i++)
        if (block < (end += p->numbers[i])) return i;
    return -1;
}

static bool is_ancestor_or_self(const pattern *p, int64_t node, int64_t other) {
    for (; 0 <= node && node < p->num_numbers; node = p->numbers[node])
        if (node == other) return true;
    return false;
}

static bool has_cell(const pattern *p, int64_t rows, int64_t cols, int64_t r, int64_t c) {
    const int64_t *n = p->numbers;
    const bool causal = c <= r + (cols - rows);
    switch (p->kind) {
    case PATTERN_FULL: return true;
    case PATTERN_NONE: return false;
    case PATTERN_CAUSAL: return causal;
    case PATTERN_WINDOW: return r - n[0] < c && c <= r;
    case PATTERN_WINDOW_BETWEEN: return r - n[0] <= c && c <= r + n[1];
    case PATTERN_SINK: return c < n[0];
    case PATTERN_GLOBAL: return c < n[0] || r < n[0];
    case PATTERN_LOCAL: return c / n[0] == r / n[0];
    case PATTERN_DILATED: return c <= r && (r - c) % n[1] == 0 && (r - c) / n[1] < n[0];
    case PATTERN_STRIDED: return (r - c) % n[0] == 0;
    case PATTERN_COLUMNS: return is_listed(p, c);
    case PATTERN_DIAGONALS: return is_listed(p, r - c);
    case PATTERN_DOCUMENTS: return document_of(p, r) >= 0 && document_of(p, r) == document_of(p, c);
    case PATTERN_PREFIX: return c < n[0] || causal;
    case PATTERN_TREE: return is_ancestor_or_self(p, r, c);
    default: expect(false, "kind %d has no cells of its own", (int)p->kind);
    }
    return false;
}

static uint64_t scramble(uint64_t x) {
    x ^= x >> 30;
    x *= 0xbf58476d1ce4e5b9;
    x ^= x >> 27;
    x *= 0x94d049bb133111eb;
    x ^= x >> 31;
    return x;
}

/* Output number `index` of SplitMix64 with this seed. */
static uint64_t splitmix(uint64_t seed, uint64_t index) {
    return scramble(seed + (index + 1) * 0x9e3779b97f4a7c15);
}

void pattern_draw(uint8_t *cells, int64_t num_cols, int64_t count, uint64_t seed, int64_t row) {
    const uint64_t stream = splitmix(splitmix(seed, 0), (uint64_t)row);
    const bool holes = 2 * count > num_cols;
    const int64_t num_drawn = holes ? num_cols - count : count;
    uint64_t index = 0;
    memset(cells, 0, (size_t)num_cols);
    for (int64_t last = num_cols - num_drawn; last < num_cols; last++) {
        const uint64_t bound = (uint64_t)last + 1, unfair = (UINT64_C(1) << 32) % bound;
        uint64_t product;
        do product = (splitmix(stream, index++) >> 32) * bound;
        while (product % (UINT64_C(1) << 32) < unfair);
        const uint64_t col = product >> 32;
        cells[cells[col] ? (uint64_t)last : col] = 1;
    }
    if (holes)
        for (int64_t col = 0; col < num_cols; col++) cells[col] = !cells[col];
}

static twin *leaf_cells(const pattern *p, int32_t rows, int32_t cols) {
    twin *t = twin_create(rows, cols);
    for (int32_t r = 0; r < rows; r++) {
        if (p->kind == PATTERN_RANDOM) pattern_draw(twin_at(t, r), cols, p->millionths * cols / 1000000, p->seed, r);
        else
            for (int32_t c = 0; c < cols; c++) twin_at(t, r)[c] = has_cell(p, rows, cols, r, c);
    }
    return t;
}

twin *pattern_cells(const pattern *p, int32_t rows, int32_t cols) {
    static const rmask_function functions[] = {[PATTERN_OR] = RMASK_OR,
                                               [PATTERN_XOR] = RMASK_XOR,
                                               [PATTERN_AND] = RMASK_AND,
                                               [PATTERN_AND_NOT] = RMASK_AND_NOT,
                                               [PATTERN_NOT] = RMASK_NOT_A};
    if (p->kind < NUM_PATTERNS) return leaf_cells(p, rows, cols);
    twin *left = pattern_cells(p->left, rows, cols);
    twin *right = p->right ? pattern_cells(p->right, rows, cols) : twin_copy(left);
    twin *t = twin_combine(left, right, functions[p->kind]);
    twin_free(left), twin_free(right);
    return t;
}

/* ---------------------------------------------------------------- generating */

static pattern *pattern_create(pattern_kind kind, pattern *left, pattern *right) {
    pattern *p = must_allocate(sizeof *p);
    *p = (pattern){.kind = kind, .left = left, .right = right};
    return p;
}

void pattern_free(pattern *p) {
    if (!p) return;
    pattern_free(p->left);
    pattern_free(p->right);
    free(p);
}

/* Mostly about the grid, sometimes far outside. */
static int64_t draw_number(shape grid, int64_t least, rng *random) {
    const int64_t side = grid.rows > grid.cols ? grid.rows : grid.cols;
    switch (rng_below(random, 12)) {
    case 0: return least;
    case 1: return rng_between(random, least, INT32_MAX);
    case 2: return INT32_MAX - rng_below(random, 3);
    case 3:
    case 4:
    case 5: return rng_between(random, least, least + 5);
    default: return rng_between(random, least < 0 && least > -2 ? least : least < 0 ? -side - 2 : least, side + 2);
    }
}

static void draw_numbers(pattern *p, int count, shape grid, int64_t least, rng *random) {
    for (p->num_numbers = 0; p->num_numbers < count;) p->numbers[p->num_numbers++] = draw_number(grid, least, random);
}

/* Numbers of a list are small, with repetitions and neighbours. */
static void draw_list(pattern *p, shape grid, int64_t least, rng *random) {
    draw_numbers(p, (int)rng_between(random, 1, MAX_PATTERN_NUMBERS), grid, least, random);
    for (int i = 1; i < p->num_numbers; i++)
        if (p->numbers[i - 1] < INT32_MAX && rng_chance(random, 0.3)) p->numbers[i] = p->numbers[i - 1] + rng_below(random, 2);
}

static void draw_documents(pattern *p, shape grid, rng *random) {
    const int64_t average = 2 * grid.rows / MAX_PATTERN_NUMBERS + 1;
    p->num_numbers = (int)rng_between(random, 1, MAX_PATTERN_NUMBERS);
    for (int i = 0; i < p->num_numbers; i++) p->numbers[i] = rng_below(random, 2 * average + 1);
    if (rng_chance(random, 0.1)) p->numbers[p->num_numbers - 1] = INT32_MAX;
}

/* Parents come before their children in a shuffled order, or it is a chain. */
static void draw_tree(pattern *p, rng *random) {
    int64_t order[MAX_PATTERN_NUMBERS];
    const int n = p->num_numbers = (int)rng_between(random, 1, MAX_PATTERN_NUMBERS);
    for (int i = 0; i < n; i++) order[i] = i;
    if (rng_chance(random, 0.5)) rng_shuffle(random, order, (size_t)n, sizeof *order);
    const bool deep = rng_chance(random, 0.3);
    for (int i = 0; i < n; i++) {
        const int64_t parent = deep ? i - 1 : rng_between(random, -1, i - 1);
        p->numbers[order[i]] = parent < 0 ? -1 : order[parent];
    }
}

static void draw_random(pattern *p, rng *random) {
    static const int64_t often[] = {0, 1, 10, 1000, 5000, 10000, 250000, 499999, 500000, 500001, 900000, 999999, 1000000};
    const int64_t num_often = sizeof often / sizeof *often;
    p->millionths = rng_chance(random, 0.5) ? often[rng_below(random, num_often)] : rng_between(random, 0, 1000000);
    p->seed = rng_chance(random, 0.3) ? 0 : rng_chance(random, 0.5) ? rng_next(random) : (uint64_t)rng_below(random, 100);
}

pattern *pattern_generate(pattern_kind kind, shape grid, rng *random) {
    pattern *p = pattern_create(kind, NULL, NULL);
    switch (kind) {
    case PATTERN_WINDOW:
    case PATTERN_SINK:
    case PATTERN_GLOBAL:
    case PATTERN_PREFIX: draw_numbers(p, 1, grid, 0, random); break;
    case PATTERN_WINDOW_BETWEEN: draw_numbers(p, 2, grid, -INT32_MAX, random); break;
    case PATTERN_LOCAL:
    case PATTERN_STRIDED: draw_numbers(p, 1, grid, 1, random); break;
    case PATTERN_DILATED:
        draw_numbers(p, 2, grid, 1, random);
        p->numbers[0] -= rng_below(random, 2);
        break;
    case PATTERN_COLUMNS: draw_list(p, grid, 0, random); break;
    case PATTERN_DIAGONALS: draw_list(p, grid, -INT32_MAX, random); break;
    case PATTERN_DOCUMENTS: draw_documents(p, grid, random); break;
    case PATTERN_TREE: draw_tree(p, random); break;
    case PATTERN_RANDOM: draw_random(p, random); break;
    default: break;
    }
    return p;
}

pattern *expression_generate(shape grid, int depth, rng *random) {
    if (depth == 0 || rng_chance(random, 0.15))
        return pattern_generate((pattern_kind)rng_below(random, NUM_PATTERNS), grid, random);
    const pattern_kind kind = (pattern_kind)rng_between(random, PATTERN_OR, PATTERN_NOT);
    pattern *left = expression_generate(grid, depth - 1, random);
    return pattern_create(kind, left, kind == PATTERN_NOT ? NULL : expression_generate(grid, depth - 1, random));
}

/* ---------------------------------------------------------------- printing */

typedef struct printer {
    char *text;
    size_t len, capacity;
    rng *random;
} printer;

/* A token, and perhaps white space before it. */
static void put(printer *out, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void put(printer *out, const char *format, ...) {
    expect(out->capacity - out->len > 128, "no room for the expression");
    while (rng_chance(out->random, 0.2)) out->text[out->len++] = "    \t\n\r\v\f"[rng_below(out->random, 9)];
    va_list arguments;
    va_start(arguments, format);
    out->len += (size_t)vsnprintf(out->text + out->len, out->capacity - out->len, format, arguments);
    va_end(arguments);
}

/* p in one of the ways to write it. */
static void put_share(printer *out, int64_t millionths) {
    const long long digits = (long long)millionths;
    switch (rng_below(out->random, 4)) {
    case 0: put(out, "%llde-6", digits); break;
    case 1: put(out, "%lld.%02lld00E-004", digits / 100, digits % 100); break;
    case 2: put(out, digits < 1000000 ? ".%06lld" : "%lld.0e-6", digits); break;
    default: put(out, "%lld.%06lld", digits / 1000000, digits % 1000000);
    }
}

static void print_leaf(printer *out, const pattern *p) {
    static const char *const names[NUM_PATTERNS] = {
        "full",    "none",    "causal",  "window",    "window",    "sink",   "global", "local",
        "dilated", "strided", "columns", "diagonals", "documents", "prefix", "tree",   "random",
    };
    put(out, "%s", names[p->kind]);
    if (p->kind == PATTERN_RANDOM) {
        put(out, "(");
        put_share(out, p->millionths);
        if (p->seed) put(out, ","), put(out, "seed"), put(out, "="), put(out, "%" PRIu64, p->seed);
        put(out, ")");
    }
    for (int i = 0; i < p->num_numbers; i++) {
        put(out, i ? "," : "(");
        put(out, "%" PRId64, p->numbers[i]);
    }
    if (p->num_numbers) put(out, ")");
}

/* How tightly it binds. */
static int level_of(const pattern *p) {
    switch (p->kind) {
    case PATTERN_OR: return 0;
    case PATTERN_XOR: return 1;
    case PATTERN_AND:
    case PATTERN_AND_NOT: return 2;
    default: return 3;
    }
}

static void print(printer *out, const pattern *p, int level) {
    const bool parentheses = level_of(p) < level || rng_chance(out->random, 0.1);
    if (parentheses) put(out, "(");
    if (p->kind < NUM_PATTERNS) {
        print_leaf(out, p);
    } else if (p->kind == PATTERN_NOT) {
        put(out, "!");
        print(out, p->left, 3);
    } else {
        print(out, p->left, level_of(p));
        put(out, "%c", "|^&-"[p->kind - PATTERN_OR]);
        print(out, p->right, level_of(p) + 1);
    }
    if (parentheses) put(out, ")");
}

void pattern_print(const pattern *p, char *text, size_t capacity, rng *random) {
    printer out = {text, 0, capacity, random};
    text[0] = '\0';
    print(&out, p, 0);
}
