/* SPDX-License-Identifier: Apache-2.0
 * The pattern language: every mistake that can be made in it, its place and its message. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/pattern_twin.h"

typedef struct mistake {
    const char *text;
    size_t position;
    const char *message; /* how it begins */
} mistake;

static void expect_mistake(const char *text, size_t position, const char *message) {
    char place[40];
    rmask *mask;
    note("%.200s", text);
    expect_makes_nothing(RMASK_ERR_SYNTAX, mask, rmask_parse(text, 10, 20, NULL, &mask, test_error));
    snprintf(place, sizeof place, " at position %zu", position);
    expect(test_error->position == position, "position %zu: %s", test_error->position, test_error->message);
    expect(strstr(test_error->message, place) != NULL, "no place in \"%s\"", test_error->message);
    expect(strncmp(test_error->message, message, strlen(message)) == 0, "\"%s\" does not begin with \"%s\"",
           test_error->message, message);
    for (const char *at = test_error->message; *at; at++) expect(' ' <= *at && *at <= '~', "unprintable in the message");
}

static void mistakes_are_placed_and_explained(void **state) {
    (void)state;
    static const mistake mistakes[] = {
        /* expressions */
        {"", 0, "unexpected end at position 0; expected a pattern, '!' or '('"},
        {" \t\n", 3, "unexpected end at position 3"},
        {"causal &", 8, "unexpected end at position 8; expected a pattern, '!' or '('"},
        {"causal & | full", 9, "unexpected '|' at position 9; expected a pattern, '!' or '('"},
        {"& full", 0, "unexpected '&'"},
        {"- full", 0, "unexpected '-'"},
        {"3", 0, "unexpected '3'"},
        {"!", 1, "unexpected end"},
        {"full!", 4, "unexpected '!' at position 4; expected an operator (&, -, ^, |) or the end"},
        {"full none", 5, "unexpected 'none' at position 5; expected an operator (&, -, ^, |) or the end"},
        {"full)", 4, "unexpected ')' at position 4; expected an operator (&, -, ^, |) or the end"},
        {"full || none", 6, "unexpected '|' at position 6"},
        {"full; none", 4, "unexpected ';'"},
        {"full\x80", 4, "unexpected byte 0x80 at position 4"},
        {"full\x01", 4, "unexpected byte 0x01 at position 4"},
        {"()", 1, "unexpected ')' at position 1; expected a pattern, '!' or '('"},
        {"(full", 5, "unexpected end at position 5; expected an operator, or ')' for the '(' at position 0"},
        {"full & (none | (full)", 21, "unexpected end at position 21; expected an operator, or ')' for the '(' at position 7"},
        {"(full none)", 6, "unexpected 'none' at position 6; expected an operator, or ')'"},
        /* names */
        {"causal & widow(3)", 9, "unknown pattern 'widow' at position 9; expected one of full, none, causal, window, "},
        {"Causal", 0, "unknown pattern 'Causal' at position 0; expected one of full, none, causal, "},
        {"a_name_that_is_far_too_long_to_show(1)", 0, "unknown pattern 'a_name_that_is_far_too_l' at position 0; "},
        {"seed", 0, "unknown pattern 'seed'"},
        {"causal()", 6, "unexpected '(' at position 6; expected an operator"},
        /* numbers */
        {"window", 6, "unexpected end at position 6; expected '(' in window(w) or window(a, b)"},
        {"window & full", 7, "unexpected '&' at position 7; expected '(' in window(w) or window(a, b)"},
        {"window()", 7, "unexpected ')' at position 7; expected a whole number in window(w) or window(a, b)"},
        {"window(", 7, "unexpected end at position 7; expected a whole number in window(w)"},
        {"window(3", 8, "unexpected end at position 8; expected ')' in window(w) or window(a, b)"},
        {"window(3,)", 9, "unexpected ')' at position 9; expected a whole number in window(w)"},
        {"window(3, 4, 5)", 11, "unexpected ',' at position 11; expected ')' in window(w) or window(a, b)"},
        {"window(3 4)", 9, "unexpected '4' at position 9; expected ')'"},
        {"window(1.5)", 7, "unexpected '1.5' at position 7; expected a whole number in window(w) or window(a, b)"},
        {"window(1e3)", 7, "unexpected '1e3' at position 7; expected a whole number"},
        {"window(x)", 7, "unexpected 'x' at position 7; expected a whole number"},
        {"window(- 3, 1)", 7, "unexpected '-' at position 7; expected a whole number"},
        {"window(+3)", 7, "unexpected '+' at position 7; expected a whole number"},
        {"window( -3 )", 8, "number out of range at position 8; expected 0 to 2147483647 in window(w)"},
        {"window(2147483648)", 7, "number out of range at position 7; expected -2147483647 to 2147483647 in window(w)"},
        {"window(1, -2147483648)", 10, "number out of range at position 10; expected -2147483647 to 2147483647"},
        {"window(99999999999999999999999999)", 7, "number out of range at position 7"},
        {"sink(-1)", 5, "number out of range at position 5; expected 0 to 2147483647 in sink(g)"},
        {"global(-1)", 7, "number out of range at position 7; expected 0 to 2147483647 in global(g)"},
        {"local(0)", 6, "number out of range at position 6; expected 1 to 2147483647 in local(b)"},
        {"dilated(3)", 9, "unexpected ')' at position 9; expected ',' in dilated(k, d)"},
        {"dilated(-1, 2)", 8, "number out of range at position 8; expected 0 to 2147483647 in dilated(k, d)"},
        {"dilated(3, 0)", 11, "number out of range at position 11; expected 1 to 2147483647 in dilated(k, d)"},
        {"strided(0)", 8, "number out of range at position 8; expected 1 to 2147483647 in strided(s)"},
        {"columns()", 8, "unexpected ')' at position 8; expected a whole number in columns(c1, c2, ...)"},
        {"columns(1, -2)", 11, "number out of range at position 11; expected 0 to 2147483647 in columns(c1, c2, ...)"},
        {"diagonals(1; 2)", 11, "unexpected ';' at position 11; expected ')' in diagonals(d1, d2, ...)"},
        {"documents(3, -1)", 13, "number out of range at position 13; expected 0 to 2147483647 in documents(n1, n2, ...)"},
        {"prefix(-1)", 7, "number out of range at position 7; expected 0 to 2147483647 in prefix(p)"},
        {"tree(-2)", 5, "number out of range at position 5; expected -1 to 2147483647 in tree(p0, p1, ...)"},
        {"tree(-1, 2)", 9, "number out of range at position 9; expected -1 to 1 in tree(p0, p1, ...)"},
        {"tree(0)", 5, "node 0 is its own ancestor at position 5; expected a tree in tree(p0, p1, ...)"},
        {"tree(-1, 2, 3, 1)", 9, "node 1 is its own ancestor at position 9"},
        {"tree(1, 2, 1)", 8, "node 1 is its own ancestor at position 8"},
        /* random */
        {"random", 6, "unexpected end at position 6; expected '(' in random(p) or random(p, seed=s)"},
        {"random()", 7, "unexpected ')' at position 7; expected a number from 0 to 1, such as 0.001, in random(p)"},
        {"random(1.01)", 7, "unexpected '1.01' at position 7; expected a number from 0 to 1, such as 0.001, in random(p)"},
        {"random(10e-0)", 7, "unexpected '10e' at position 7; expected a number from 0 to 1"},
        {"random(1.00000000000000000000000000000000001)", 7, "unexpected '1.0000000000000000000000...' at position 7"},
        {"random(1e999999999999)", 7, "unexpected '1e999999999999' at position 7"},
        {"random(-0.1)", 7, "unexpected '-' at position 7; expected a number from 0 to 1"},
        {"random(.)", 7, "unexpected '.' at position 7; expected a number from 0 to 1"},
        {"random(1e)", 7, "unexpected '1e' at position 7"},
        {"random(1e-)", 7, "unexpected '1e' at position 7"},
        {"random(nan)", 7, "unexpected 'nan' at position 7"},
        {"random(0x1)", 8, "unexpected 'x1' at position 8; expected ')'"},
        {"random(0,5)", 9, "unexpected '5' at position 9; expected seed= in random(p) or random(p, seed=s)"},
        {"random(0.5, )", 12, "unexpected ')' at position 12; expected seed= in random(p) or random(p, seed=s)"},
        {"random(0.5, sed=3)", 12, "unexpected 'sed' at position 12; expected seed="},
        {"random(0.5, seed 3)", 17, "unexpected '3' at position 17; expected '='"},
        {"random(0.5, seed=)", 17, "unexpected ')' at position 17; expected a whole number"},
        {"random(0.5, seed=-1)", 17, "unexpected '-' at position 17; expected a whole number"},
        {"random(0.5, seed=18446744073709551616)", 17,
         "number out of range at position 17; expected 0 to 18446744073709551615 in"},
        {"random(0.5, seed=1, seed=2)", 18, "unexpected ',' at position 18; expected ')' in random(p) or random(p, seed=s)"},
        {"random(seed=1)", 7, "unexpected 'seed' at position 7; expected a number from 0 to 1"},
        /* file */
        {"file", 4, "unexpected end at position 4; expected '(' in file(\"x.rmask\")"},
        {"file(x)", 5, "unexpected 'x' at position 5; expected a path in double quotes in file(\"x.rmask\")"},
        {"file(\"x)", 8, "unexpected end at position 8; expected the '\"' that ends the path at position 5"},
        {"file(\"x\\n\")", 7, "unexpected '\\' at position 7; expected \\\" or \\\\ in a path"},
        {"file(\"x\\", 7, "unexpected '\\' at position 7; expected \\\" or \\\\ in a path"},
        {"file(\"x\" 3)", 9, "unexpected '3' at position 9; expected ')' in file(\"x.rmask\")"},
    };
    for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; i++)
        expect_mistake(mistakes[i].text, mistakes[i].position, mistakes[i].message);
    /* what was built before a mistake is given back */
    expect_mistake("full | (random(0.5) & widow", 22, "unknown pattern");
}

/* Expressions with bytes changed, left out and put in: whatever they are now, there is a mask or a message with a place. */
static void rubbish_is_a_mask_or_a_mistake(void **state) {
    (void)state;
    static const char bytes[] = "()!&-^|,.=\"\\ 0123456789eEx\xff\n";
    static char text[1 << 16];
    rng random = rng_here();
    for (int i = 0; i < 5000; i++) {
        pattern *p = expression_generate((shape){10, 20}, 2, &random);
        pattern_print(p, text, sizeof text, &random);
        pattern_free(p);
        for (int64_t edits = rng_between(&random, 1, 3); edits > 0; edits--) {
            const size_t length = strlen(text), at = (size_t)rng_below(&random, (int64_t)length + 1);
            const char byte = bytes[rng_below(&random, sizeof bytes - 1)];
            if (rng_chance(&random, 0.3)) memmove(text + at, text + at + (at < length), length - at + (at == length));
            else if (at < length && rng_chance(&random, 0.5)) text[at] = byte;
            else memmove(text + at + 1, text + at, length - at + 1), text[at] = byte;
        }
        rmask *mask;
        note("%.200s", text);
        test_error_reset();
        const rmask_status status = rmask_parse(text, 10, 20, NULL, &mask, test_error);
        expect(status == RMASK_OK || status == RMASK_ERR_SYNTAX, "%s", rmask_status_name(status));
        expect((status == RMASK_OK) == (mask != NULL), "status and mask disagree");
        expect(status == RMASK_OK || test_error->position <= strlen(text), "position %zu", test_error->position);
        rmask_release(mask);
    }
}

static void deep_nesting_is_bounded(void **state) {
    (void)state;
    const size_t much = 1000000;
    char *text = must_allocate(much + 512);
    memset(text, '(', 200);
    strcpy(text + 200, "full");
    memset(text + 204, ')', 200);
    text[404] = '\0';
    rmask *mask, *full;
    expect_ok(rmask_parse(text, 10, 20, NULL, &mask, test_error));
    rmask_release(mask);
    memset(text, '(', much);
    strcpy(text + much, "full");
    expect_mistake(text, 200, "too deep at position 200; expected at most 200 open parentheses");
    memset(text, '!', much); /* an even number */
    expect_ok(rmask_parse(text, 10, 20, NULL, &mask, test_error));
    expect_ok(rmask_parse("full", 10, 20, NULL, &full, test_error));
    check_equal(mask, full, true);
    rmask_release(mask), rmask_release(full);
    free(text);
}

static void bad_grids_are_refused(void **state) {
    (void)state;
    rmask *mask;
    expect_makes_nothing(RMASK_ERR_RANGE, mask, rmask_parse("full", -1, 5, NULL, &mask, test_error));
    expect_makes_nothing(RMASK_ERR_RANGE, mask, rmask_parse("full", 5, -1, NULL, &mask, test_error));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mistakes_are_placed_and_explained),
        cmocka_unit_test(rubbish_is_a_mask_or_a_mistake),
        cmocka_unit_test(deep_nesting_is_bounded),
        cmocka_unit_test(bad_grids_are_refused),
    };
    return run_test_program(tests);
}
