/* SPDX-License-Identifier: Apache-2.0
 * The first byte chooses a grid, the others are an expression. What is refused comes with a place in the expression; what is taken and small is
 * the naive twin of the expression, read by a parser that knows it to be right; and on every grid the masks obey a few laws. */
#include "fuzz.h"
#include "support/pattern_twin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const shape grids[] = {{8, 8},   {0, 0},   {0, 7},     {7, 0},     {1, 1},    {5, 64},   {64, 5},
                              {33, 31}, {70, 70}, {3, 65537}, {2, 65536}, {9000, 3}, {1, 70000}, {INT32_MAX, INT32_MAX}};
enum { NUM_GRIDS = sizeof grids / sizeof *grids, MOST_TEXT = 2000 };

/* ---------------------------------------------------------------- a parser for what is known to be right */

typedef struct reader {
    const char *at;
    bool unknown; /* something that the twin has no words for */
} reader;

static char peek(reader *in)
{
    in->at += strspn(in->at, " \t\n\v\f\r");
    return *in->at;
}

static bool take(reader *in, char symbol)
{
    if (peek(in) != symbol) return false;
    in->at++;
    return true;
}

static pattern *node(pattern_kind kind, pattern *left, pattern *right)
{
    pattern *p = must_allocate(sizeof *p);
    *p = (pattern){.kind = kind, .left = left, .right = right};
    return p;
}

/* The share in millionths where it is written as digits, a point and up to six digits. */
static void read_random(reader *in, pattern *p)
{
    int64_t digits = 0;
    int num_behind = -1;
    for (peek(in); (*in->at >= '0' && *in->at <= '9') || *in->at == '.'; in->at++) {
        if (num_behind >= 0) num_behind++;
        if (*in->at == '.') num_behind = 0;
        else digits = digits * 10 + *in->at - '0';
        if (num_behind > 6 || digits > 1000000000) in->unknown = true;
        if (in->unknown) return;
    }
    for (int i = num_behind < 0 ? 0 : num_behind; i < 6; i++) digits *= 10;
    p->millionths = digits;
    if (take(in, ',')) {
        while (peek(in) != '=') in->at++;
        in->at++, peek(in);
        p->seed = strtoull(in->at, (char **)&in->at, 10);
    }
    in->unknown |= peek(in) != ')';
}

static pattern *read_pattern(reader *in)
{
    static const char *const names[] = {"full",    "none",    "causal",  "window",    "",          "sink",   "global", "local",
                                        "dilated", "strided", "columns", "diagonals", "documents", "prefix", "tree",   "random"};
    peek(in);
    const size_t length = strspn(in->at, "abcdefghijklmnopqrstuvwxyz");
    pattern *p = node(PATTERN_NONE, NULL, NULL);
    int kind = 0;
    while (kind < NUM_PATTERNS && (strlen(names[kind]) != length || strncmp(names[kind], in->at, length) != 0)) kind++;
    in->unknown |= kind == NUM_PATTERNS;
    in->at += length;
    if (in->unknown || !take(in, '(')) {
        p->kind = in->unknown ? PATTERN_NONE : (pattern_kind)kind;
        return p;
    }
    p->kind = (pattern_kind)kind;
    if (kind == PATTERN_RANDOM) read_random(in, p);
    else
        do {
            in->unknown |= p->num_numbers == MAX_PATTERN_NUMBERS;
            if (in->unknown) return p;
            peek(in);
            p->numbers[p->num_numbers++] = strtoll(in->at, (char **)&in->at, 10);
        } while (take(in, ','));
    if (kind == PATTERN_WINDOW && p->num_numbers == 2) p->kind = PATTERN_WINDOW_BETWEEN;
    in->unknown |= !take(in, ')');
    return p;
}

static pattern *read_level(reader *in, int level)
{
    static const char *const symbols[] = {"|", "^", "&-"};
    if (level == 3) {
        if (take(in, '!')) return node(PATTERN_NOT, read_level(in, 3), NULL);
        if (!take(in, '(')) return read_pattern(in);
        pattern *inside = read_level(in, 0);
        in->unknown |= !take(in, ')');
        return inside;
    }
    pattern *left = read_level(in, level + 1);
    while (!in->unknown && peek(in) && strchr(symbols[level], *in->at)) {
        const char symbol = *in->at++;
        const pattern_kind kind = symbol == '|' ? PATTERN_OR : symbol == '^' ? PATTERN_XOR : symbol == '&' ? PATTERN_AND : PATTERN_AND_NOT;
        left = node(kind, left, read_level(in, level + 1));
    }
    return left;
}

static void check_twin(const rmask *mask, const char *text)
{
    reader in = {text, false};
    pattern *p = read_level(&in, 0);
    if (!in.unknown) {
        expect(peek(&in) == '\0', "the twin's parser ends at '%s'", in.at);
        twin *t = pattern_cells(p, rmask_rows(mask), rmask_cols(mask));
        check_rows(mask, t);
        twin_free(t);
    }
    pattern_free(p);
}

/* ---------------------------------------------------------------- laws */

static rmask *parse_as(const char *format, const char *text, shape grid)
{
    static char longer[2 * MOST_TEXT + 100];
    rmask *mask;
    snprintf(longer, sizeof longer, format, text, text);
    expect_ok(rmask_parse(longer, grid.rows, grid.cols, NULL, &mask, test_error));
    return mask;
}

static void check_laws(const rmask *mask, const char *text, shape grid)
{
    rmask *not_it = parse_as("!\n(%s)", text, grid), *nothing = parse_as("(%s) ^ (%s)", text, grid), *same = parse_as("full&( %s )", text, grid);
    expect(rmask_count(mask) + rmask_count(not_it) == (uint64_t)grid.rows * (uint64_t)grid.cols, "not: %llu and %llu cells",
           (unsigned long long)rmask_count(mask), (unsigned long long)rmask_count(not_it));
    expect(rmask_count(nothing) == 0, "%llu cells in one of two equal masks", (unsigned long long)rmask_count(nothing));
    check_equal(mask, same, true);
    rmask_release(not_it), rmask_release(nothing), rmask_release(same);
}

/* ---------------------------------------------------------------- the target */

/* Cells without end, and files of the machine that this runs on, are left out. */
static bool may_be_tried(const char *text, shape grid)
{
    static const char *const many[] = {"random", "strided", "dilated", "local", "documents", "tree"};
    if (strstr(text, "file") && strpbrk(text, "/.")) return false;
    for (size_t i = 0; grid.rows == INT32_MAX && i < sizeof many / sizeof *many; i++)
        if (strstr(text, many[i])) return false;
    return true;
}

/* Parentheses count against the limit of depth, which the laws add to. */
static bool is_deep(const char *text)
{
    int num_open = 0;
    for (; *text; text++) num_open += *text == '(';
    return num_open > 190;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t num_bytes)
{
    if (num_bytes == 0 || num_bytes > MOST_TEXT) return 0;
    const shape grid = grids[bytes[0] % NUM_GRIDS];
    char *text = must_allocate(num_bytes);
    memcpy(text, bytes + 1, num_bytes - 1);
    text[num_bytes - 1] = '\0';
    rmask *mask = (void *)&test_poison;
    if (may_be_tried(text, grid)) {
        test_error_reset();
        const rmask_status status = rmask_parse(text, grid.rows, grid.cols, NULL, &mask, test_error);
        if (status) {
            expect(status == RMASK_ERR_SYNTAX || (strstr(text, "file") && status == RMASK_ERR_IO) || status == RMASK_ERR_LIMIT, "status \"%s\": %s",
                   rmask_status_name(status), test_error->message);
            expect_fails_at(__FILE__, __LINE__, "rmask_parse", status, status);
            expect(test_error->position <= strlen(text), "position %zu of %zu", test_error->position, strlen(text));
            expect(mask == NULL, "the output of a refusal is not NULL");
        } else {
            expect_ok(rmask_verify(mask, test_error));
            if ((int64_t)grid.rows * grid.cols <= 5000) check_twin(mask, text);
            if (!is_deep(text)) check_laws(mask, text, grid);
            for (int64_t row = 0; row < grid.rows; row += grid.rows / 10 + 1) (void)check_row_consistent(mask, (int32_t)row, 70000);
            rmask_release(mask);
        }
    }
    free(text);
    return 0;
}
