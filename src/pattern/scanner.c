/* SPDX-License-Identifier: Apache-2.0
 * Tokens by hand: <ctype.h> and strtol follow the locale, which must not change what an expression means. */
#include "pattern/scanner.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

static bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
static bool is_digit(char c) { return c >= '0' && c <= '9'; }
static bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }

char rmask_scan_peek(rmask_scanner *scanner)
{
    while (is_space(scanner->text[scanner->at])) scanner->at++;
    return scanner->text[scanner->at];
}

bool rmask_scan_take(rmask_scanner *scanner, char symbol)
{
    if (rmask_scan_peek(scanner) != symbol) return false;
    scanner->at++;
    return true;
}

size_t rmask_scan_word_length(rmask_scanner *scanner)
{
    if (!is_letter(rmask_scan_peek(scanner))) return 0;
    const char *word = scanner->text + scanner->at;
    size_t length = 1;
    while (is_letter(word[length]) || is_digit(word[length])) length++;
    return length;
}

/* Reads digits up to the end of the token; false when there are none or something else clings to them, as in 1.5 or 3x. */
static bool read_digits(const char **text, uint64_t *value, bool *overflow)
{
    const char *at = *text;
    *value = 0;
    *overflow = false;
    for (; is_digit(*at); at++) {
        const uint64_t digit = (uint64_t)(*at - '0');
        *overflow |= *value > (UINT64_MAX - digit) / 10;
        *value = *value * 10 + digit;
    }
    const bool any = at > *text;
    *text = at;
    return any && !is_letter(*at) && *at != '.';
}

rmask_status rmask_scan_integer(rmask_scanner *scanner, int32_t least, const char *usage, int32_t *value, size_t *position)
{
    const bool negative = rmask_scan_peek(scanner) == '-';
    const char *at = scanner->text + scanner->at + negative;
    uint64_t magnitude;
    bool overflow;
    *position = scanner->at;
    if (!read_digits(&at, &magnitude, &overflow)) return rmask_scan_unexpected(scanner, "a whole number in %s", usage);
    const int64_t number = overflow || magnitude > INT32_MAX ? INT64_MIN : negative ? -(int64_t)magnitude : (int64_t)magnitude;
    if (number < least) return rmask_fail_number(scanner->error, *position, least, INT32_MAX, usage);
    *value = (int32_t)number;
    scanner->at = (size_t)(at - scanner->text);
    return RMASK_OK;
}

rmask_status rmask_scan_unsigned(rmask_scanner *scanner, const char *usage, uint64_t *value)
{
    rmask_scan_peek(scanner);
    const char *at = scanner->text + scanner->at;
    bool overflow;
    if (!read_digits(&at, value, &overflow)) return rmask_scan_unexpected(scanner, "a whole number in %s", usage);
    if (overflow) return rmask_fail_number(scanner->error, scanner->at, 0, UINT64_MAX, usage);
    scanner->at = (size_t)(at - scanner->text);
    return RMASK_OK;
}

rmask_status rmask_scan_string(rmask_scanner *scanner, const char *usage, char *string)
{
    if (rmask_scan_peek(scanner) != '"') return rmask_scan_unexpected(scanner, "a path in double quotes in %s", usage);
    const size_t position = scanner->at++;
    for (;; scanner->at++) {
        char c = scanner->text[scanner->at];
        if (c == '"') break;
        if (c == '\0') return rmask_scan_unexpected(scanner, "the '\"' that ends the path at position %zu", position);
        if (c == '\\') {
            c = scanner->text[scanner->at + 1];
            if (c != '"' && c != '\\') return rmask_scan_unexpected(scanner, "\\\" or \\\\ in a path");
            scanner->at++;
        }
        *string++ = c;
    }
    scanner->at++;
    *string = '\0';
    return RMASK_OK;
}

rmask_status rmask_scan_expect(rmask_scanner *scanner, char symbol, const char *usage)
{
    if (rmask_scan_take(scanner, symbol)) return RMASK_OK;
    return rmask_scan_unexpected(scanner, "'%c' in %s", symbol, usage);
}

/* What stands at `at`, in a form that is safe to print: a word or number, one symbol, or a byte. */
static void describe(const char *at, char *text, size_t capacity)
{
    size_t length = 0;
    while (is_letter(at[length]) || is_digit(at[length]) || at[length] == '.') length++;
    if (length > 24) snprintf(text, capacity, "'%.24s...'", at);
    else if (length) snprintf(text, capacity, "'%.*s'", (int)length, at);
    else if (*at == '\0') snprintf(text, capacity, "end");
    else if (*at > ' ' && *at <= '~') snprintf(text, capacity, "'%c'", *at);
    else snprintf(text, capacity, "byte 0x%02x", (unsigned)(unsigned char)*at);
}

rmask_status rmask_scan_unexpected(rmask_scanner *scanner, const char *expected_format, ...)
{
    char found[32], expected[sizeof scanner->error->message];
    rmask_scan_peek(scanner);
    describe(scanner->text + scanner->at, found, sizeof found);
    va_list arguments;
    va_start(arguments, expected_format);
    vsnprintf(expected, sizeof expected, expected_format, arguments);
    va_end(arguments);
    return rmask_fail_at(scanner->error, scanner->at, "unexpected %s at position %zu; expected %s", found, scanner->at,
                         expected);
}

rmask_status rmask_fail_number(rmask_error *error, size_t position, int32_t least, uint64_t most, const char *usage)
{
    return rmask_fail_at(error, position, "number out of range at position %zu; expected %" PRId32 " to %" PRIu64 " in %s",
                         position, least, most, usage);
}
