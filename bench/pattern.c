/* SPDX-License-Identifier: Apache-2.0
 * Writing and rewriting expressions. They are rewritten as text, so that any pattern the user gives has its relatives. */
#include "pattern.h"

#include "cli.h"
#include "heap.h"

#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WINDOW_LONGER = 7 };

/* ---------------------------------------------------------------- writing */

static FILE *open_text(char **text)
{
    static size_t length; /* the stream keeps its address; nobody reads it */
    FILE *out = open_memstream(text, &length);
    if (out == NULL)
        cli_die(CLI_FAILED, "out of memory");
    return out;
}

char *bench_pattern_format(const char *format, ...)
{
    char *text;
    FILE *out = open_text(&text);
    va_list arguments;
    va_start(arguments, format);
    vfprintf(out, format, arguments);
    va_end(arguments);
    fclose(out);
    return text;
}

int32_t bench_pattern_random_columns(int32_t num_blocks, double sparsity)
{
    return (int32_t)((1.0 - sparsity) * num_blocks / 10);
}

char *bench_pattern_random(int32_t count, int32_t num_blocks, uint64_t seed)
{
    /* Half a column more than wanted, so that neither the printed digits nor the rounding down can lose one. */
    char share[32];
    int length = snprintf(share, sizeof share, "%.12f", (count + 0.5) / num_blocks);
    while (share[length - 1] == '0')
        share[--length] = '\0';
    return bench_pattern_format("random(%s, seed=%" PRIu64 ")", count < num_blocks ? share : "1", seed);
}

char *bench_pattern_published(int32_t num_blocks, int32_t window_size, int32_t global_tokens, double sparsity, uint64_t seed)
{
    char *text;
    FILE *out = open_text(&text);
    const char *between = "";
    if (global_tokens > 0)
        fprintf(out, "global(%" PRId32 ")", global_tokens), between = " | ";
    if (window_size >= 2)
        fprintf(out, "%swindow(%" PRId32 ", %" PRId32 ")", between, window_size / 2, window_size / 2 - 1), between = " | ";
    int32_t count = bench_pattern_random_columns(num_blocks, sparsity);
    if (count > 0) {
        char *random = bench_pattern_random(count, num_blocks, seed);
        fprintf(out, "%s%s", between, random), between = " | ";
        free(random);
    }
    if (between[0] == '\0')
        fputs("none", out);
    fclose(out);
    return text;
}

/* ---------------------------------------------------------------- rewriting */

/* Writes what stands for a call; `arguments` is the text between its parentheses. */
typedef void rewrite_call(FILE *out, const char *arguments, const void *context);

static const char *end_of_string(const char *at)
{
    for (at++; *at != '"' && *at != '\0'; at++)
        if (*at == '\\' && at[1] != '\0')
            at++;
    return *at == '"' ? at + 1 : at;
}

static const char *end_of_word(const char *at)
{
    while (isalnum((unsigned char)*at) || *at == '_')
        at++;
    return at;
}

/* The opening parenthesis of a call whose name ends at `at`, or NULL. */
static const char *find_open(const char *at)
{
    while (isspace((unsigned char)*at))
        at++;
    return *at == '(' ? at : NULL;
}

/* Replaces each call of `name`, which has neither strings nor parentheses between its own. Returns how many there were. */
static int rewrite(const char *expression, const char *name, rewrite_call *call, const void *context, char **text)
{
    int count = 0;
    FILE *out = open_text(text);
    for (const char *at = expression, *end; *at != '\0'; at = end) {
        end = *at == '"' ? end_of_string(at) : end_of_word(at);
        if (end == at)
            end++;
        const char *open = find_open(end);
        const char *close = open ? strchr(open, ')') : NULL;
        bool is_call = close && (size_t)(end - at) == strlen(name) && memcmp(at, name, strlen(name)) == 0;
        if (is_call) {
            char *arguments = bench_pattern_format("%.*s", (int)(close - open - 1), open + 1);
            call(out, arguments, context);
            free(arguments);
            end = close + 1;
            count++;
        } else {
            fwrite(at, 1, (size_t)(end - at), out);
        }
    }
    fclose(out);
    return count;
}

static void add_to_seed(FILE *out, const char *arguments, const void *context)
{
    const char *comma = strchr(arguments, ','), *equals = strchr(arguments, '=');
    uint64_t seed = equals ? strtoull(equals + 1, NULL, 10) : 0;
    int share_length = (int)(comma ? (size_t)(comma - arguments) : strlen(arguments));
    fprintf(out, "random(%.*s, seed=%" PRIu64 ")", share_length, arguments, seed + *(const uint64_t *)context);
}

static long long longer(long long size, int by)
{
    return size < INT32_MAX - by ? size + by : INT32_MAX;
}

static void longer_window(FILE *out, const char *arguments, const void *context)
{
    (void)context;
    long long back, ahead;
    enum { AHEAD_LONGER = WINDOW_LONGER / 2, BACK_LONGER = WINDOW_LONGER - AHEAD_LONGER };
    if (sscanf(arguments, "%lld , %lld", &back, &ahead) == 2)
        fprintf(out, "window(%lld, %lld)", longer(back, BACK_LONGER), longer(ahead, AHEAD_LONGER));
    else
        fprintf(out, "window(%lld)", longer(back, WINDOW_LONGER));
}

static void replace_with(FILE *out, const char *arguments, const void *context)
{
    (void)arguments;
    fputs(context, out);
}

char *bench_pattern_reseed(const char *expression, uint64_t by)
{
    char *text;
    rewrite(expression, "random", add_to_seed, &by, &text);
    return text;
}

char *bench_pattern_widen(const char *expression)
{
    char *text;
    if (rewrite(expression, "window", longer_window, NULL, &text) > 0)
        return text;
    free(text);
    return bench_pattern_format("%s | window(%d)", expression, WINDOW_LONGER);
}

/* ---------------------------------------------------------------- entropy */

/* The cells of each row, as running totals. */
static int64_t *count_rows(const rmask *mask)
{
    rmask_error error;
    int64_t *indptr = bench_alloc(((size_t)rmask_rows(mask) + 1) * sizeof *indptr);
    cli_check(rmask_to_csr(mask, 0, rmask_rows(mask), indptr, NULL, 0, &error), &error, NULL);
    return indptr;
}

static double log2_choose(double n, double k)
{
    return (lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)) / M_LN2;
}

/* The expression's mask when every random(...) is `value`. NULL if there is none. */
static rmask *parse_without_random(const char *expression, const char *value, const rmask *mask)
{
    char *text;
    rmask *out = NULL;
    rmask_error error;
    if (rewrite(expression, "random", replace_with, value, &text) > 0)
        cli_check(rmask_parse(text, rmask_rows(mask), rmask_cols(mask), NULL, &out, &error), &error, NULL);
    free(text);
    return out;
}

double bench_pattern_entropy_bytes(const char *expression, const rmask *mask)
{
    rmask *least = parse_without_random(expression, "none", mask);
    rmask *most = parse_without_random(expression, "full", mask);
    if (least == NULL)
        return 0;
    rmask *decided, *chosen;
    rmask_error error;
    cli_check(rmask_xor(least, most, &decided, &error), &error, NULL);
    cli_check(rmask_and(mask, decided, &chosen, &error), &error, NULL);
    int64_t *num_decided = count_rows(decided), *num_chosen = count_rows(chosen);
    double bits = 0;
    for (int32_t row = 0; row < rmask_rows(mask); row++)
        bits += log2_choose((double)(num_decided[row + 1] - num_decided[row]), (double)(num_chosen[row + 1] - num_chosen[row]));
    bench_free(num_decided);
    bench_free(num_chosen);
    rmask_release(least);
    rmask_release(most);
    rmask_release(decided);
    rmask_release(chosen);
    return bits / 8;
}
