/* SPDX-License-Identifier: Apache-2.0
 * Expressions to masks: recursive descent that combines masks as it goes, without a tree in between. */
#include "pattern/pattern.h"

#include <string.h>

enum { MAX_DEPTH = 200 }; /* open parentheses: a bound on the C stack */

typedef struct parse_state {
    rmask_scanner scanner;
    int32_t rows, cols;
    rmask_allocator allocator;
    int depth;
} parse_state;

/* ---------------------------------------------------------------- patterns */

typedef rmask_vec(rmask_argument) argument_vec;

static rmask_status parse_arguments(parse_state *parser, const rmask_pattern *pattern, argument_vec *list)
{
    rmask_scanner *scanner = &parser->scanner;
    RMASK_TRY(rmask_scan_expect(scanner, '(', pattern->usage));
    for (;;) {
        rmask_argument argument;
        const int32_t least = list->len ? pattern->least : pattern->least_first;
        RMASK_TRY(rmask_scan_integer(scanner, least, pattern->usage, &argument.value, &argument.position));
        if (!rmask_vec_push(&parser->allocator, list, argument)) return rmask_fail_nomem(scanner->error);
        if (list->len < pattern->min_args) RMASK_TRY(rmask_scan_expect(scanner, ',', pattern->usage));
        else if (list->len == pattern->max_args || !rmask_scan_take(scanner, ',')) break;
    }
    return rmask_scan_expect(scanner, ')', pattern->usage);
}

/* Makes a mask of what a pattern has put into a draft, or passes its failure on. */
static rmask_status finish(rmask_draft *draft, rmask_status status, rmask **out, rmask_error *error)
{
    if (status == RMASK_OK || draft->failed) return rmask_draft_finish(draft, out, error);
    rmask_draft_discard(draft);
    return status == RMASK_ERR_NOMEM ? rmask_fail_nomem(error) : status;
}

/* A pattern of numbers, behind its name. */
static rmask_status parse_numbers(parse_state *parser, const rmask_pattern *pattern, rmask **out)
{
    rmask_error *error = parser->scanner.error;
    argument_vec list = {0};
    rmask_status status = pattern->max_args ? parse_arguments(parser, pattern, &list) : RMASK_OK;
    const rmask_arguments arguments = {list.at, list.len, pattern->usage};
    if (!status && pattern->build) {
        rmask_draft draft;
        rmask_draft_init(&draft, parser->rows, parser->cols, &parser->allocator);
        status = finish(&draft, pattern->build(&draft, &arguments, error), out, error);
    } else if (!status) {
        status = rmask_make_tree(&arguments, parser->rows, parser->cols, &parser->allocator, out, error);
    }
    rmask_vec_free(&parser->allocator, &list);
    return status;
}

/* random(...) behind its name. */
static rmask_status parse_random(parse_state *parser, rmask **out)
{
    rmask_draft draft;
    rmask_draft_init(&draft, parser->rows, parser->cols, &parser->allocator);
    return finish(&draft, rmask_build_random(&draft, &parser->scanner), out, parser->scanner.error);
}

/* ---------------------------------------------------------------- files */

/* The mask of a file; its own failures keep their status, a grid that does not fit is a mistake in the expression. */
static rmask_status load(parse_state *parser, const char *path, size_t position, rmask **out)
{
    RMASK_TRY(rmask_load(path, &parser->allocator, out, parser->scanner.error));
    const int rows = rmask_rows(*out), cols = rmask_cols(*out);
    if (rows == parser->rows && cols == parser->cols) return RMASK_OK;
    rmask_release(*out);
    *out = NULL;
    return rmask_fail_at(parser->scanner.error, position, "the file at position %zu has a %d x %d grid; expected %d x %d",
                         position, rows, cols, (int)parser->rows, (int)parser->cols);
}

/* ("path") behind the name. */
static rmask_status parse_file(parse_state *parser, rmask **out)
{
    static const char usage[] = "file(\"x.rmask\")";
    rmask_scanner *scanner = &parser->scanner;
    RMASK_TRY(rmask_scan_expect(scanner, '(', usage));
    rmask_scan_peek(scanner);
    const size_t position = scanner->at, capacity = strlen(scanner->text + position) + 1;
    char *path = rmask_allocate(&parser->allocator, capacity, 1);
    if (!path) return rmask_fail_nomem(scanner->error);
    rmask_status status = rmask_scan_string(scanner, usage, path);
    if (!status) status = rmask_scan_expect(scanner, ')', usage);
    if (!status) status = load(parser, path, position, out);
    rmask_free(&parser->allocator, path, capacity, 1);
    return status;
}

/* ---------------------------------------------------------------- expressions */

static rmask_status parse_binary(parse_state *parser, int level, rmask **out);

static rmask_status parse_parentheses(parse_state *parser, rmask **out)
{
    rmask_scanner *scanner = &parser->scanner;
    const size_t position = scanner->at - 1;
    if (++parser->depth > MAX_DEPTH) {
        return rmask_fail_at(scanner->error, position, "too deep at position %zu; expected at most %d open parentheses",
                             position, (int)MAX_DEPTH);
    }
    RMASK_TRY(parse_binary(parser, 0, out));
    parser->depth--;
    if (rmask_scan_take(scanner, ')')) return RMASK_OK;
    rmask_release(*out);
    *out = NULL;
    return rmask_scan_unexpected(scanner, "an operator, or ')' for the '(' at position %zu", position);
}

static rmask_status parse_name(parse_state *parser, rmask **out)
{
    rmask_scanner *scanner = &parser->scanner;
    const size_t length = rmask_scan_word_length(scanner), position = scanner->at;
    const char *name = scanner->text + position;
    if (length == 0) return rmask_scan_unexpected(scanner, "a pattern, '!' or '('");
    scanner->at += length;
    const rmask_pattern *pattern = rmask_pattern_find(name, length);
    if (pattern) return parse_numbers(parser, pattern, out);
    if (length == 6 && memcmp(name, "random", 6) == 0) return parse_random(parser, out);
    if (length == 4 && memcmp(name, "file", 4) == 0) return parse_file(parser, out);
    return rmask_fail_at(scanner->error, position, "unknown pattern '%.*s' at position %zu; expected one of %s",
                         length < 24 ? (int)length : 24, name, position, rmask_pattern_names);
}

/* Any number of '!', then a pattern or an expression in parentheses. */
static rmask_status parse_operand(parse_state *parser, rmask **out)
{
    bool negate = false;
    while (rmask_scan_take(&parser->scanner, '!')) negate = !negate;
    RMASK_TRY(rmask_scan_take(&parser->scanner, '(') ? parse_parentheses(parser, out) : parse_name(parser, out));
    if (!negate) return RMASK_OK;
    rmask *mask = *out;
    const rmask_status status = rmask_not(mask, out, parser->scanner.error);
    rmask_release(mask);
    return status;
}

/* From the loosest operators to the tightest; those of one level are taken from the left. */
static const struct level {
    const char *symbols;
    rmask_function functions[2];
} levels[] = {{"|", {RMASK_OR}}, {"^", {RMASK_XOR}}, {"&-", {RMASK_AND, RMASK_AND_NOT}}};

static rmask_status parse_binary(parse_state *parser, int level, rmask **out)
{
    if (level == sizeof levels / sizeof *levels) return parse_operand(parser, out);
    RMASK_TRY(parse_binary(parser, level + 1, out));
    for (;;) {
        const char next = rmask_scan_peek(&parser->scanner);
        const char *symbol = next ? strchr(levels[level].symbols, next) : NULL;
        if (!symbol) return RMASK_OK;
        parser->scanner.at++;
        rmask *left = *out, *right = NULL;
        *out = NULL;
        rmask_status status = parse_binary(parser, level + 1, &right);
        const rmask_function function = levels[level].functions[symbol - levels[level].symbols];
        if (!status) status = rmask_combine(left, right, function, out, parser->scanner.error);
        rmask_release(left);
        rmask_release(right);
        if (status) return status;
    }
}

rmask_status rmask_parse(const char *expression, int32_t rows, int32_t cols, const rmask_allocator *allocator, rmask **out,
                         rmask_error *error)
{
    *out = NULL;
    RMASK_TRY(rmask_check_grid(rows, cols, error));
    parse_state parser = {{expression, 0, error}, rows, cols, rmask_allocator_or_default(allocator), 0};
    RMASK_TRY(parse_binary(&parser, 0, out));
    if (rmask_scan_peek(&parser.scanner) == '\0') return RMASK_OK;
    rmask_release(*out);
    *out = NULL;
    return rmask_scan_unexpected(&parser.scanner, "an operator (&, -, ^, |) or the end");
}
