/* SPDX-License-Identifier: Apache-2.0
 *
 * NumPy's .npy: "\x93NUMPY", two bytes of version, the length of the header (16 bits in version 1, 32 in 2 and 3), the header,
 * which is a Python dictionary such as
 *
 *     {'descr': '<i4', 'fortran_order': False, 'shape': (3, 4), }
 *
 * and the items. */
#include "convert/npy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char magic[] = "\x93NUMPY";
enum { MAGIC_BYTES = 6, LENGTH_AT = 8 };

/* ---------------------------------------------------------------- the header */

/* The header's text, read from the left. `start` is the file's first byte. */
typedef struct cursor {
    const char *start, *at, *end;
    rmask_error *error;
} cursor;

static rmask_status fail_here(const cursor *c, const char *what)
{
    return convert_fail(c->error, RMASK_ERR_FORMAT, "not a valid .npy: %s at byte %zu", what, (size_t)(c->at - c->start));
}

static void skip_spaces(cursor *c)
{
    while (c->at < c->end && (*c->at == ' ' || *c->at == '\t' || *c->at == '\n'))
        c->at++;
}

/* Goes past `character`, and spaces before it, if it is there. */
static bool skip(cursor *c, char character)
{
    skip_spaces(c);
    if (c->at == c->end || *c->at != character)
        return false;
    c->at++;
    return true;
}

static bool skip_word(cursor *c, const char *word)
{
    size_t length = strlen(word);
    skip_spaces(c);
    if ((size_t)(c->end - c->at) < length || memcmp(c->at, word, length) != 0)
        return false;
    c->at += length;
    return true;
}

/* A string in quotes of either kind, without escapes. */
static rmask_status take_string(cursor *c, char *text, size_t size)
{
    skip_spaces(c);
    char quote = c->at < c->end ? *c->at : '\0';
    if (quote != '\'' && quote != '"')
        return fail_here(c, "no string");
    const char *begin = ++c->at, *end = memchr(begin, quote, (size_t)(c->end - begin));
    if (end == NULL || (size_t)(end - begin) >= size)
        return fail_here(c, "a string without end");
    memcpy(text, begin, (size_t)(end - begin));
    text[end - begin] = '\0';
    c->at = end + 1;
    return RMASK_OK;
}

static rmask_status take_number(cursor *c, uint64_t *value)
{
    skip_spaces(c);
    const char *begin = c->at;
    for (*value = 0; c->at < c->end && *c->at >= '0' && *c->at <= '9'; c->at++) {
        if (*value > (UINT64_MAX - 9) / 10)
            return fail_here(c, "a number that is too large");
        *value = *value * 10 + (uint64_t)(*c->at - '0');
    }
    return c->at > begin ? RMASK_OK : fail_here(c, "no number");
}

/* "<i4" and the like. */
static rmask_status take_type(cursor *c, npy_array *array)
{
    char type[16];
    cursor before = *c;
    if (skip(c, '['))
        return fail_here(&before, "records, which are no mask,");
    CONVERT_TRY(take_string(c, type, sizeof type));
    if (strchr("<>|=", type[0]) == NULL || type[0] == '\0' || type[1] == '\0')
        return fail_here(&before, "an unknown type");
    char *end;
    unsigned long size = strtoul(type + 2, &end, 10);
    array->kind = type[1];
    array->big_endian = type[0] == '>';
    array->item_bytes = (uint32_t)size;
    if (array->kind == 'O')
        return fail_here(&before, "Python objects, which are not read,");
    bool is_number = strchr("biuf", array->kind) != NULL, is_text = array->kind == 'S' || array->kind == 'U';
    if (type[2] < '0' || type[2] > '9' || *end != '\0' || (!is_number && !is_text))
        return fail_here(&before, "a type that is neither bool, integer nor floating-point");
    unsigned long smallest = array->kind == 'f' ? 2 : 1, largest = array->kind == 'b' ? 1 : 8;
    if (is_number && (size < smallest || size > largest || (size & (size - 1)) != 0))
        return fail_here(&before, "numbers of a size that is not read");
    if (is_text && size > 64)
        return fail_here(&before, "text that is too long");
    if (array->kind == 'U')
        array->item_bytes *= 4;
    return RMASK_OK;
}

static rmask_status take_shape(cursor *c, npy_array *array)
{
    cursor before = *c;
    if (!skip(c, '('))
        return fail_here(c, "no shape");
    for (array->num_dims = 0; !skip(c, ')'); array->num_dims++) {
        if (array->num_dims == 2)
            return fail_here(&before, "an array of more than two dimensions");
        CONVERT_TRY(take_number(c, &array->shape[array->num_dims]));
        if (!skip(c, ',') && array->num_dims == 0)
            return fail_here(c, "no comma");
    }
    if (array->num_dims == 2 && (array->shape[0] > RMASK_MAX_SIDE || array->shape[1] > RMASK_MAX_SIDE))
        return fail_here(&before, "a side of more than 2^31 - 1");
    return RMASK_OK;
}

static rmask_status take_dictionary(cursor *c, npy_array *array)
{
    unsigned seen = 0;
    if (!skip(c, '{'))
        return fail_here(c, "no dictionary");
    while (!skip(c, '}')) {
        char key[16];
        cursor before = *c;
        CONVERT_TRY(take_string(c, key, sizeof key));
        if (!skip(c, ':'))
            return fail_here(c, "no colon");
        unsigned bit = 0;
        if (strcmp(key, "descr") == 0) {
            bit = 1;
            CONVERT_TRY(take_type(c, array));
        } else if (strcmp(key, "fortran_order") == 0) {
            bit = 2;
            array->fortran_order = skip_word(c, "True");
            if (!array->fortran_order && !skip_word(c, "False"))
                return fail_here(c, "neither True nor False");
        } else if (strcmp(key, "shape") == 0) {
            bit = 4;
            CONVERT_TRY(take_shape(c, array));
        }
        if (bit == 0 || seen & bit)
            return fail_here(&before, "an unknown key, or one for the second time,");
        seen |= bit;
        if (!skip(c, ',') && (c->at == c->end || *c->at != '}'))
            return fail_here(c, "no comma");
    }
    skip_spaces(c);
    if (c->at != c->end)
        return fail_here(c, "something behind the dictionary");
    return seen == 7 ? RMASK_OK : fail_here(c, "the end of a dictionary that lacks 'descr', 'fortran_order' or 'shape'");
}

/* Sets *num_items to the product of the shape. The items take at most `num_bytes`. */
static bool count_items(npy_array *array, size_t num_bytes)
{
    array->num_items = 1;
    for (int i = 0; i < array->num_dims; i++)
        if (array->shape[i] == 0)
            return array->num_items = 0, true;
    for (int i = 0; i < array->num_dims; i++) {
        if (array->shape[i] > num_bytes / array->num_items)
            return false;
        array->num_items *= array->shape[i];
    }
    return array->item_bytes == 0 || array->num_items <= num_bytes / array->item_bytes;
}

rmask_status npy_parse(const void *data, size_t num_bytes, npy_array *array, rmask_error *error)
{
    const uint8_t *bytes = data;
    if (num_bytes < LENGTH_AT || memcmp(bytes, magic, MAGIC_BYTES) != 0)
        return convert_fail(error, RMASK_ERR_FORMAT, "not a .npy: it does not begin with the header of one");
    uint8_t version = bytes[MAGIC_BYTES];
    if (version < 1 || version > 3)
        return convert_fail(error, RMASK_ERR_FORMAT, "a .npy of version %d, and those of 1 to 3 are read", version);
    size_t header_at = version == 1 ? LENGTH_AT + 2 : LENGTH_AT + 4;
    uint32_t length = 0;
    if (num_bytes >= header_at)
        memcpy(&length, bytes + LENGTH_AT, header_at - LENGTH_AT);
    if (num_bytes < header_at || length > num_bytes - header_at)
        return convert_fail(error, RMASK_ERR_FORMAT,
                            "not a valid .npy: its header of %u bytes at byte %zu goes beyond its end at byte %zu",
                            (unsigned)length, header_at, num_bytes);
    *array = (npy_array){0};
    const char *text = (const char *)bytes;
    cursor c = {text, text + header_at, text + header_at + length, error};
    CONVERT_TRY(take_dictionary(&c, array));
    size_t items_at = header_at + length, left = num_bytes - items_at;
    array->items = bytes + items_at;
    if (!count_items(array, left) || array->num_items * array->item_bytes != left)
        return convert_fail(error, RMASK_ERR_FORMAT,
                            "not a valid .npy: its shape does not fit the %zu bytes of items at byte %zu", left,
                            items_at);
    return RMASK_OK;
}

/* ---------------------------------------------------------------- items */

static uint64_t load(const npy_array *array, uint64_t index)
{
    const uint8_t *item = array->items + index * array->item_bytes;
    uint64_t value = 0;
    switch (array->item_bytes) {
    case 1: return *item;
    case 2: memcpy(&value, item, 2); break;
    case 4: memcpy(&value, item, 4); break;
    default: memcpy(&value, item, 8);
    }
    return array->big_endian ? __builtin_bswap64(value) >> (64 - 8 * array->item_bytes) : value;
}

/* -0.0 is 0, and nothing else that has a bit set. */
bool npy_is_set(const npy_array *array, uint64_t index)
{
    uint64_t value = load(array, index);
    return array->kind == 'f' ? value << (65 - 8 * array->item_bytes) != 0 : value != 0;
}

int64_t npy_integer(const npy_array *array, uint64_t index)
{
    uint64_t value = load(array, index);
    unsigned unused = 64 - 8 * array->item_bytes;
    if (array->kind == 'i')
        return (int64_t)(value << unused) >> unused;
    return value > INT64_MAX ? INT64_MAX : (int64_t)value;
}

/* ---------------------------------------------------------------- dense masks */

enum { BLOCK_ROWS = 64 }; /* read together in Fortran order, where they lie side by side */

/* A byte a cell in C order. */
static void expand(const npy_array *array, uint8_t *cells, const convert_progress *progress)
{
    uint64_t rows = array->shape[0], cols = array->shape[1];
    for (uint64_t begin = 0; begin < rows; begin += BLOCK_ROWS) {
        uint64_t end = begin + BLOCK_ROWS < rows ? begin + BLOCK_ROWS : rows;
        if (array->fortran_order)
            for (uint64_t col = 0; col < cols; col++)
                for (uint64_t row = begin; row < end; row++)
                    cells[row * cols + col] = npy_is_set(array, col * rows + row);
        else
            for (uint64_t i = begin * cols; i < end * cols; i++)
                cells[i] = npy_is_set(array, i);
        convert_report(progress, end, rows);
    }
}

rmask_status npy_read(const void *data, size_t num_bytes, const convert_progress *progress, rmask **out, rmask_error *error)
{
    npy_array array;
    *out = NULL;
    CONVERT_TRY(npy_parse(data, num_bytes, &array, error));
    if (array.num_dims != 2)
        return convert_fail(error, RMASK_ERR_FORMAT, "an array of %d dimensions; a mask has two", array.num_dims);
    if (array.kind == 'S' || array.kind == 'U')
        return convert_fail(error, RMASK_ERR_FORMAT, "an array of text is no mask");
    int32_t rows = (int32_t)array.shape[0], cols = (int32_t)array.shape[1];
    if (array.item_bytes == 1 && !array.fortran_order)
        return rmask_from_bytes(rows, cols, array.items, (size_t)cols, NULL, out, error);
    uint8_t *cells = malloc(array.num_items > 0 ? array.num_items : 1);
    if (cells == NULL)
        return convert_fail_nomem(error);
    expand(&array, cells, progress);
    rmask_status status = rmask_from_bytes(rows, cols, cells, (size_t)cols, NULL, out, error);
    free(cells);
    return status;
}

void npy_put_header(uint8_t header[NPY_HEADER_BYTES], const char *type, const char *shape)
{
    char *text = (char *)header + LENGTH_AT + 2;
    int room = NPY_HEADER_BYTES - LENGTH_AT - 2;
    memcpy(header, magic, MAGIC_BYTES);
    header[MAGIC_BYTES] = 1;
    header[MAGIC_BYTES + 1] = 0;
    header[LENGTH_AT] = (uint8_t)room;
    header[LENGTH_AT + 1] = 0;
    int length = snprintf(text, (size_t)room, "{'descr': '%s', 'fortran_order': False, 'shape': %s, }", type, shape);
    memset(text + length, ' ', (size_t)(room - length));
    text[room - 1] = '\n';
}

/* Room for a row. */
typedef struct row_buffer {
    int32_t *ranges;
    size_t max_ranges;
    uint8_t *cells;
} row_buffer;

static rmask_status write_row(const rmask *mask, int32_t row, row_buffer *room, rmask_writer write, void *context,
                              rmask_error *error)
{
    size_t cols = (size_t)rmask_cols(mask), num_ranges;
    CONVERT_TRY(rmask_row_ranges(mask, row, NULL, 0, &num_ranges, error));
    if (num_ranges > room->max_ranges) {
        free(room->ranges);
        room->max_ranges = 2 * num_ranges;
        room->ranges = malloc(room->max_ranges * 2 * sizeof *room->ranges);
        if (room->ranges == NULL)
            return convert_fail_nomem(error);
    }
    CONVERT_TRY(rmask_row_ranges(mask, row, room->ranges, room->max_ranges, &num_ranges, error));
    memset(room->cells, 0, cols);
    for (size_t i = 0; i < num_ranges; i++)
        memset(room->cells + room->ranges[2 * i], 1, (size_t)(room->ranges[2 * i + 1] - room->ranges[2 * i]));
    return convert_written(write(context, room->cells, cols), error);
}

rmask_status npy_write(const rmask *mask, rmask_writer write, void *context, const convert_progress *progress,
                       rmask_error *error)
{
    int32_t rows = rmask_rows(mask), cols = rmask_cols(mask);
    uint8_t header[NPY_HEADER_BYTES];
    char shape[32];
    snprintf(shape, sizeof shape, "(%d, %d)", rows, cols);
    npy_put_header(header, "|b1", shape);
    CONVERT_TRY(convert_written(write(context, header, sizeof header), error));
    row_buffer room = {.cells = malloc((size_t)cols + 1)};
    rmask_status status = room.cells != NULL ? RMASK_OK : convert_fail_nomem(error);
    for (int32_t row = 0; row < rows && cols > 0 && status == RMASK_OK; row++) {
        status = write_row(mask, row, &room, write, context, error);
        convert_report(progress, (uint64_t)row + 1, (uint64_t)rows);
    }
    free(room.cells);
    free(room.ranges);
    return status;
}
