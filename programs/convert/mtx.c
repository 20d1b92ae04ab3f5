/* SPDX-License-Identifier: Apache-2.0
 *
 * Matrix Market: a banner, comments, a line with rows, columns and number of entries, and a line with row, column (from 1 on)
 * and value for each entry. */
#include "convert/convert.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---------------------------------------------------------------- reading */

enum { MAX_WORD = 64, SHORTEST_ENTRY = 4 /* "1 1" and the end of its line */ };

typedef struct cursor {
    const char *start, *at, *end;
    const char *token; /* where the last word or number begins */
    rmask_error *error;
} cursor;

static rmask_status fail_at(const cursor *c, const char *at, const char *what)
{
    return convert_fail(c->error, RMASK_ERR_FORMAT, "not a valid Matrix Market file: %s at byte %zu", what,
                        (size_t)(at - c->start));
}

static bool is_blank(char character) { return character == ' ' || character == '\t' || character == '\r'; }

static void skip_blanks(cursor *c)
{
    while (c->at < c->end && is_blank(*c->at))
        c->at++;
}

/* Goes past the end of the line; false where something else comes first. The last line may lack its end. */
static bool skip_line_end(cursor *c)
{
    skip_blanks(c);
    if (c->at == c->end)
        return true;
    if (*c->at != '\n')
        return false;
    c->at++;
    return true;
}

/* Goes to the next line that says something. */
static void skip_empty_lines(cursor *c)
{
    while (c->at < c->end && (is_blank(*c->at) || *c->at == '\n'))
        c->at++;
}

/* The next word of the line in small letters; "" at the line's end. */
static rmask_status take_word(cursor *c, char word[MAX_WORD])
{
    size_t length = 0;
    skip_blanks(c);
    for (c->token = c->at; c->at < c->end && !is_blank(*c->at) && *c->at != '\n'; c->at++) {
        if (length == MAX_WORD - 1)
            return fail_at(c, c->token, "a word that is too long");
        word[length++] = *c->at >= 'A' && *c->at <= 'Z' ? (char)(*c->at - 'A' + 'a') : *c->at;
    }
    word[length] = '\0';
    return RMASK_OK;
}

static rmask_status take_count(cursor *c, int64_t max, const char *what, int64_t *value)
{
    int64_t sum = 0;
    skip_blanks(c);
    for (c->token = c->at; c->at < c->end && *c->at >= '0' && *c->at <= '9' && sum <= max; c->at++)
        sum = sum * 10 + (*c->at - '0');
    if (c->at == c->token || sum > max || (c->at < c->end && !is_blank(*c->at) && *c->at != '\n'))
        return fail_at(c, c->token, what);
    *value = sum;
    return RMASK_OK;
}

/* A number; whether it is 0 is all that matters. */
static rmask_status take_value(cursor *c, bool *is_set)
{
    char word[MAX_WORD], *end;
    CONVERT_TRY(take_word(c, word));
    double value = strtod(word, &end);
    if (end == word || *end != '\0')
        return fail_at(c, c->token, "no value");
    *is_set |= value != 0;
    return RMASK_OK;
}

typedef struct matrix {
    int32_t rows, cols;
    int64_t num_entries;
    int num_values; /* of an entry */
    bool mirrored;  /* entries stand for those on the other side of the diagonal, too */
    int32_t *row_indices, *col_indices;
    size_t num_cells;
} matrix;

static rmask_status take_banner(cursor *c, matrix *m)
{
    static const char *const fields[] = {"pattern", "real", "integer", "complex"};
    static const char *const symmetries[] = {"general", "symmetric", "skew-symmetric", "hermitian"};
    static const int num_values[] = {0, 1, 1, 2};
    char word[MAX_WORD];
    int field = 0, symmetry = 0;
    CONVERT_TRY(take_word(c, word));
    if (strcmp(word, "%%matrixmarket") != 0)
        return convert_fail(c->error, RMASK_ERR_FORMAT, "not a Matrix Market file: it does not begin with %%%%MatrixMarket");
    CONVERT_TRY(take_word(c, word));
    if (strcmp(word, "matrix") != 0)
        return fail_at(c, c->token, "an object other than 'matrix'");
    CONVERT_TRY(take_word(c, word));
    if (strcmp(word, "coordinate") != 0)
        return fail_at(c, c->token, "a format other than 'coordinate', the only one that is read,");
    CONVERT_TRY(take_word(c, word));
    while (field < 4 && strcmp(word, fields[field]) != 0)
        field++;
    if (field == 4)
        return fail_at(c, c->token, "an unknown field");
    CONVERT_TRY(take_word(c, word));
    while (symmetry < 4 && strcmp(word, symmetries[symmetry]) != 0)
        symmetry++;
    if (symmetry == 4)
        return fail_at(c, c->token, "an unknown symmetry");
    m->num_values = num_values[field];
    m->mirrored = symmetry > 0;
    return skip_line_end(c) ? RMASK_OK : fail_at(c, c->at, "something behind the banner");
}

static rmask_status take_sizes(cursor *c, matrix *m)
{
    int64_t rows, cols;
    for (skip_empty_lines(c); c->at < c->end && *c->at == '%'; skip_empty_lines(c)) {
        const char *line_end = memchr(c->at, '\n', (size_t)(c->end - c->at));
        c->at = line_end != NULL ? line_end + 1 : c->end;
    }
    CONVERT_TRY(take_count(c, RMASK_MAX_SIDE, "no number of rows up to 2^31 - 1", &rows));
    CONVERT_TRY(take_count(c, RMASK_MAX_SIDE, "no number of columns up to 2^31 - 1", &cols));
    if (m->mirrored && rows != cols)
        return fail_at(c, c->at, "a symmetric matrix that is not square");
    CONVERT_TRY(take_count(c, INT64_MAX / 100, "no number of entries", &m->num_entries));
    if (!skip_line_end(c))
        return fail_at(c, c->at, "something behind the sizes");
    if (m->num_entries > (c->end - c->at + 1) / SHORTEST_ENTRY)
        return fail_at(c, c->token, "more entries than the file has room for");
    m->rows = (int32_t)rows;
    m->cols = (int32_t)cols;
    return RMASK_OK;
}

static void put_cell(matrix *m, int64_t row, int64_t col)
{
    m->row_indices[m->num_cells] = (int32_t)row;
    m->col_indices[m->num_cells++] = (int32_t)col;
}

static rmask_status take_entry(cursor *c, matrix *m)
{
    int64_t row, col;
    bool is_set = m->num_values == 0;
    skip_empty_lines(c);
    CONVERT_TRY(take_count(c, INT32_MAX, "no row", &row));
    const char *entry = c->token;
    CONVERT_TRY(take_count(c, INT32_MAX, "no column", &col));
    if (row < 1 || row > m->rows || col < 1 || col > m->cols)
        return fail_at(c, entry, "an entry outside of the matrix");
    for (int i = 0; i < m->num_values; i++)
        CONVERT_TRY(take_value(c, &is_set));
    if (!skip_line_end(c))
        return fail_at(c, c->at, "something behind an entry");
    if (is_set)
        put_cell(m, row - 1, col - 1);
    if (is_set && m->mirrored && row != col)
        put_cell(m, col - 1, row - 1);
    return RMASK_OK;
}

static rmask_status take_entries(cursor *c, matrix *m, const convert_progress *progress)
{
    size_t most = (size_t)m->num_entries * (m->mirrored ? 2 : 1) + 1;
    m->row_indices = malloc(most * sizeof *m->row_indices);
    m->col_indices = malloc(most * sizeof *m->col_indices);
    if (m->row_indices == NULL || m->col_indices == NULL)
        return convert_fail_nomem(c->error);
    for (int64_t i = 0; i < m->num_entries; i++) {
        CONVERT_TRY(take_entry(c, m));
        if (i % 65536 == 0)
            convert_report(progress, (uint64_t)i, (uint64_t)m->num_entries);
    }
    skip_empty_lines(c);
    return c->at == c->end ? RMASK_OK : fail_at(c, c->at, "something behind the last entry");
}

rmask_status mtx_read(const void *data, size_t num_bytes, const convert_progress *progress, rmask **out, rmask_error *error)
{
    cursor c = {.start = data, .at = data, .end = (const char *)data + num_bytes, .error = error};
    matrix m = {0};
    *out = NULL;
    CONVERT_TRY(take_banner(&c, &m));
    CONVERT_TRY(take_sizes(&c, &m));
    rmask_status status = take_entries(&c, &m, progress);
    if (status == RMASK_OK)
        status = rmask_from_coo(m.rows, m.cols, m.row_indices, m.col_indices, m.num_cells, NULL, out, error);
    free(m.row_indices);
    free(m.col_indices);
    return status;
}

/* ---------------------------------------------------------------- writing */

enum { MAX_NUMBER = 10, MAX_LINE = 2 * MAX_NUMBER + 2 };

typedef struct sink {
    rmask_writer write;
    void *context;
    const convert_progress *progress;
    uint64_t done, total; /* cells */
    int reason;           /* why writing failed */
    size_t length;
    char text[1 << 16];
} sink;

/* Writes a number's digits and returns their end. */
static char *put_number(char *at, uint32_t number)
{
    char digits[MAX_NUMBER];
    int first = MAX_NUMBER;
    do
        digits[--first] = (char)('0' + number % 10);
    while ((number /= 10) > 0);
    memcpy(at, digits + first, (size_t)(MAX_NUMBER - first));
    return at + (MAX_NUMBER - first);
}

static int flush(sink *s)
{
    s->reason = s->write(s->context, s->text, s->length);
    s->length = 0;
    convert_report(s->progress, s->done, s->total);
    return s->reason;
}

static int write_row(void *context, int32_t row, const int32_t *cols, size_t num_cols)
{
    sink *s = context;
    char row_text[MAX_NUMBER + 1], *end = put_number(row_text, (uint32_t)row + 1);
    *end++ = ' ';
    size_t row_length = (size_t)(end - row_text);
    for (size_t i = 0; i < num_cols; i++) {
        if (sizeof s->text - s->length < MAX_LINE && flush(s) != 0)
            return 1;
        char *at = s->text + s->length;
        memcpy(at, row_text, row_length);
        at = put_number(at + row_length, (uint32_t)cols[i] + 1);
        *at++ = '\n';
        s->length = (size_t)(at - s->text);
    }
    s->done += num_cols;
    return 0;
}

rmask_status mtx_write(const rmask *mask, rmask_writer write, void *context, const convert_progress *progress,
                       rmask_error *error)
{
    sink s = {.write = write, .context = context, .progress = progress, .total = rmask_count(mask)};
    s.length = (size_t)snprintf(s.text, sizeof s.text,
                                "%%%%MatrixMarket matrix coordinate pattern general\n%d %d %" PRIu64 "\n",
                                rmask_rows(mask), rmask_cols(mask), rmask_count(mask));
    rmask_status status = rmask_for_each_row(mask, 0, rmask_rows(mask), write_row, &s, error);
    if (status == RMASK_OK && flush(&s) == 0)
        return RMASK_OK;
    return s.reason != 0 ? convert_written(s.reason, error) : status;
}
