/* SPDX-License-Identifier: Apache-2.0
 * The tokens of the pattern language, and its error messages. White space may stand before every token. */
#ifndef ROARMASK_PATTERN_SCANNER_H
#define ROARMASK_PATTERN_SCANNER_H

#include "core/status.h"

typedef struct rmask_scanner {
    const char *text; /* the whole expression */
    size_t at;        /* byte offset of what is read next */
    rmask_error *error;
} rmask_scanner;

/* Skips white space and returns the byte behind it, 0 at the end of the text. */
char rmask_scan_peek(rmask_scanner *scanner);

/* Takes `symbol` if it is next. */
bool rmask_scan_take(rmask_scanner *scanner, char symbol);

/* The length of the word ([A-Za-z_][A-Za-z0-9_]*) that is next, 0 for none. It stands at scanner->text + scanner->at. */
size_t rmask_scan_word_length(rmask_scanner *scanner);

/* A whole number from `least`, itself at least -(2^31 - 1), to 2^31 - 1, and the byte offset where it stands. `usage` says in a
 * message where it was wanted. */
rmask_status rmask_scan_integer(rmask_scanner *scanner, int32_t least, const char *usage, int32_t *value, size_t *position);

/* A whole number from 0 to 2^64 - 1. */
rmask_status rmask_scan_unsigned(rmask_scanner *scanner, const char *usage, uint64_t *value);

/* A string in double quotes, where \" and \\ stand for " and \. Written to `string`, NUL-terminated and without the quotes;
 * it has room for all the text from here on. */
rmask_status rmask_scan_string(rmask_scanner *scanner, const char *usage, char *string);

/* Takes `symbol`, or fails naming it and `usage`. */
rmask_status rmask_scan_expect(rmask_scanner *scanner, char symbol, const char *usage);

/* Fails: "unexpected X at position N; expected ..." where X is what is next and the format says what should have been. */
rmask_status rmask_scan_unexpected(rmask_scanner *scanner, const char *expected_format, ...) RMASK_PRINTF(2, 3);

/* Fails: "number out of range at position N; expected `least` to `most` in `usage`". */
rmask_status rmask_fail_number(rmask_error *error, size_t position, int32_t least, uint64_t most, const char *usage);

#endif
