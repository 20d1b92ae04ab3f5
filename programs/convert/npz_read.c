/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading SciPy's .npz: a zip archive with one .npy a member. A CSR matrix has format, shape, indptr, indices and data; a COO
 * one format, shape, row, col (or coords) and data. */
#include "convert/npy.h"

#include <stdlib.h>
#include <string.h>
#include <zip.h>

/* Deflate cannot make less than a byte of this many, so a member that claims more is refused before there is memory for it. */
enum { MOST_BYTES_OF_ONE = 1032, READ_BYTES = 1 << 20 };

/* A matrix's members as they are read; those that it does not have are without bytes. */
enum { FORMAT, SHAPE, DATA, INDPTR, INDICES, ROW, COL, COORDS, NUM_MEMBERS };

static const char *const names[NUM_MEMBERS] = {"format.npy",  "shape.npy", "data.npy", "indptr.npy",
                                               "indices.npy", "row.npy",   "col.npy",  "coords.npy"};

typedef struct matrix {
    size_t num_bytes; /* of the archive */
    uint8_t *bytes[NUM_MEMBERS];
    npy_array array[NUM_MEMBERS];
    int32_t rows, cols;
} matrix;

static rmask_status fail(rmask_error *error, const char *what)
{
    return convert_fail(error, RMASK_ERR_FORMAT, "not a sparse matrix as SciPy saves it: %s", what);
}

/* ---------------------------------------------------------------- members */

/* Reads a member's bytes to the end, which checks their CRC. */
static rmask_status read_bytes(zip_file_t *file, uint8_t *bytes, uint64_t num_bytes, const char *name,
                               const convert_progress *progress, rmask_error *error)
{
    uint64_t at = 0;
    for (;;) {
        uint8_t beyond;
        uint64_t left = num_bytes - at;
        zip_int64_t got = left > 0 ? zip_fread(file, bytes + at, left < READ_BYTES ? left : READ_BYTES)
                                   : zip_fread(file, &beyond, 1);
        if (got < 0)
            return convert_fail(error, RMASK_ERR_FORMAT, "not a valid .npz: %s: %s at its byte %llu", name,
                                zip_error_strerror(zip_file_get_error(file)), (unsigned long long)at);
        if (got == 0 && left == 0)
            return RMASK_OK;
        if (got == 0 || left == 0)
            return convert_fail(error, RMASK_ERR_FORMAT, "not a valid .npz: %s does not have the %llu bytes that it claims",
                                name, (unsigned long long)num_bytes);
        at += (uint64_t)got;
        convert_report(progress, at, num_bytes);
    }
}

static rmask_status parse_member(matrix *m, int member, zip_file_t *file, uint64_t num_bytes, const convert_progress *progress,
                                 rmask_error *error)
{
    m->bytes[member] = malloc(num_bytes);
    if (m->bytes[member] == NULL)
        return convert_fail_nomem(error);
    CONVERT_TRY(read_bytes(file, m->bytes[member], num_bytes, names[member], progress, error));
    rmask_error cause;
    rmask_status status = npy_parse(m->bytes[member], num_bytes, &m->array[member], &cause);
    return status == RMASK_OK ? RMASK_OK : convert_fail(error, status, "%s: %.200s", names[member], cause.message);
}

/* A member that is not there is none; whoever needs it says so. */
static rmask_status read_member(zip_t *zip, matrix *m, int member, const convert_progress *progress, rmask_error *error)
{
    zip_stat_t about;
    zip_int64_t index = zip_name_locate(zip, names[member], 0);
    if (index < 0)
        return RMASK_OK;
    const zip_uint64_t needed = ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE | ZIP_STAT_COMP_METHOD;
    if (zip_stat_index(zip, (zip_uint64_t)index, 0, &about) != 0 || (about.valid & needed) != needed)
        return convert_fail(error, RMASK_ERR_FORMAT, "not a valid .npz: %s has no size", names[member]);
    if (about.comp_method != ZIP_CM_STORE && about.comp_method != ZIP_CM_DEFLATE)
        return convert_fail(error, RMASK_ERR_FORMAT, "not a valid .npz: %s is compressed in a way that NumPy does not use",
                            names[member]);
    if (about.size == 0 || about.comp_size > m->num_bytes || about.size / MOST_BYTES_OF_ONE > about.comp_size)
        return convert_fail(error, RMASK_ERR_FORMAT, "not a valid .npz: %s claims %llu bytes out of %llu compressed ones",
                            names[member], (unsigned long long)about.size, (unsigned long long)about.comp_size);
    zip_file_t *file = zip_fopen_index(zip, (zip_uint64_t)index, 0);
    if (file == NULL)
        return convert_fail(error, RMASK_ERR_FORMAT, "not a valid .npz: %s: %s", names[member], zip_strerror(zip));
    rmask_status status = parse_member(m, member, file, about.size, progress, error);
    zip_fclose(file);
    return status;
}

static bool is_there(const matrix *m, int member) { return m->bytes[member] != NULL; }

static bool is_list_of(const npy_array *array, uint64_t num_items)
{
    return array->num_dims == 1 && array->num_items == num_items && array->kind != 'S' && array->kind != 'U';
}

static bool has_integers(const matrix *m, int member) { return m->array[member].kind == 'i' || m->array[member].kind == 'u'; }

static rmask_status take_shape(matrix *m, rmask_error *error)
{
    if (!is_there(m, FORMAT) || !is_there(m, SHAPE) || !is_there(m, DATA))
        return fail(error, "format, shape or data is missing");
    const npy_array *shape = &m->array[SHAPE];
    if (!is_list_of(shape, 2) || !has_integers(m, SHAPE))
        return fail(error, "shape.npy does not hold two integers");
    int64_t rows = npy_integer(shape, 0), cols = npy_integer(shape, 1);
    if (rows < 0 || rows > RMASK_MAX_SIDE || cols < 0 || cols > RMASK_MAX_SIDE)
        return convert_fail(error, RMASK_ERR_FORMAT, "a matrix of %lld x %lld: sides go from 0 to %d", (long long)rows,
                            (long long)cols, RMASK_MAX_SIDE);
    m->rows = (int32_t)rows;
    m->cols = (int32_t)cols;
    if (!is_list_of(&m->array[DATA], m->array[DATA].num_items))
        return fail(error, "data.npy is no list of numbers");
    return RMASK_OK;
}

/* Text of one byte a character, or four. */
static bool has_format(const matrix *m, const char *name)
{
    const npy_array *format = &m->array[FORMAT];
    uint32_t step = format->kind == 'U' ? 4 : 1, length = format->item_bytes / step;
    if ((format->kind != 'S' && format->kind != 'U') || format->num_items != 1 || length != strlen(name))
        return false;
    for (uint32_t i = 0; i < length; i++)
        if (format->items[i * step + (format->big_endian ? step - 1 : 0)] != (uint8_t)name[i])
            return false;
    return true;
}

/* ---------------------------------------------------------------- cells */

/* The coordinates of the values that are not 0. In CSR form they are in the order of their rows, which only `indptr` tells. */
typedef struct cells {
    int32_t *rows, *cols;
    int64_t *indptr;
    size_t num_cells;
    bool ascending; /* each row's columns increase */
} cells;

static rmask_status fail_outside(const matrix *m, int64_t row, int64_t col, uint64_t entry, rmask_error *error)
{
    return convert_fail(error, RMASK_ERR_FORMAT, "entry %llu at row %lld, column %lld lies outside of the matrix of %d x %d",
                        (unsigned long long)entry, (long long)row, (long long)col, m->rows, m->cols);
}

static rmask_status take_csr_row(const matrix *m, int32_t row, int64_t begin, int64_t end, cells *c, rmask_error *error)
{
    for (int64_t i = begin; i < end; i++) {
        int64_t col = npy_integer(&m->array[INDICES], (uint64_t)i);
        if (col < 0 || col >= m->cols)
            return fail_outside(m, row, col, (uint64_t)i, error);
        if (!npy_is_set(&m->array[DATA], (uint64_t)i))
            continue;
        c->ascending &= c->num_cells == (size_t)c->indptr[row] || c->cols[c->num_cells - 1] < col;
        c->cols[c->num_cells++] = (int32_t)col;
    }
    return RMASK_OK;
}

static rmask_status take_csr(const matrix *m, cells *c, rmask_error *error)
{
    uint64_t num_entries = m->array[DATA].num_items;
    if (!is_there(m, INDICES) || !is_there(m, INDPTR) || !has_integers(m, INDICES) || !has_integers(m, INDPTR))
        return fail(error, "indices or indptr is missing, or not of integers");
    if (!is_list_of(&m->array[INDICES], num_entries) || !is_list_of(&m->array[INDPTR], (uint64_t)m->rows + 1))
        return fail(error, "the lengths of data, indices, indptr and shape do not fit each other");
    c->indptr = malloc(((size_t)m->rows + 1) * sizeof *c->indptr);
    if (c->indptr == NULL)
        return convert_fail_nomem(error);
    int64_t begin = npy_integer(&m->array[INDPTR], 0);
    if (begin != 0)
        return fail(error, "indptr does not begin with 0");
    c->ascending = true;
    for (int32_t row = 0; row < m->rows; row++) {
        int64_t end = npy_integer(&m->array[INDPTR], (uint64_t)row + 1);
        if (end < begin || (uint64_t)end > num_entries)
            return convert_fail(error, RMASK_ERR_FORMAT, "indptr goes from %lld to %lld at row %d of a matrix of %llu entries",
                                (long long)begin, (long long)end, row, (unsigned long long)num_entries);
        c->indptr[row] = (int64_t)c->num_cells;
        CONVERT_TRY(take_csr_row(m, row, begin, end, c, error));
        begin = end;
    }
    c->indptr[m->rows] = (int64_t)c->num_cells;
    return RMASK_OK;
}

/* Rows whose columns are in no order, or repeat, become coordinates. */
static rmask_status spread_rows(const matrix *m, cells *c, rmask_error *error)
{
    c->rows = malloc((c->num_cells + 1) * sizeof *c->rows);
    if (c->rows == NULL)
        return convert_fail_nomem(error);
    for (int32_t row = 0; row < m->rows; row++)
        for (int64_t i = c->indptr[row]; i < c->indptr[row + 1]; i++)
            c->rows[i] = row;
    return RMASK_OK;
}

static rmask_status take_coo(const matrix *m, cells *c, rmask_error *error)
{
    uint64_t num_entries = m->array[DATA].num_items;
    bool both = is_there(m, COORDS);
    const npy_array *rows = &m->array[both ? COORDS : ROW], *cols = &m->array[both ? COORDS : COL];
    if ((!both && (!is_there(m, ROW) || !is_there(m, COL))) || (rows->kind != 'i' && rows->kind != 'u') ||
        (cols->kind != 'i' && cols->kind != 'u'))
        return fail(error, "row or col is missing, or not of integers");
    bool fits = both ? rows->num_dims == 2 && rows->shape[0] == 2 && rows->shape[1] == num_entries
                     : is_list_of(rows, num_entries) && is_list_of(cols, num_entries);
    if (!fits)
        return fail(error, "the lengths of data, row and col do not fit each other");
    c->rows = malloc(((size_t)num_entries + 1) * sizeof *c->rows);
    if (c->rows == NULL)
        return convert_fail_nomem(error);
    uint64_t step = both && rows->fortran_order ? 2 : 1, col_begin = !both ? 0 : rows->fortran_order ? 1 : num_entries;
    for (uint64_t i = 0; i < num_entries; i++) {
        int64_t row = npy_integer(rows, i * step), col = npy_integer(cols, col_begin + i * step);
        if (row < 0 || row >= m->rows || col < 0 || col >= m->cols)
            return fail_outside(m, row, col, i, error);
        if (!npy_is_set(&m->array[DATA], i))
            continue;
        c->rows[c->num_cells] = (int32_t)row;
        c->cols[c->num_cells++] = (int32_t)col;
    }
    return RMASK_OK;
}

/* ---------------------------------------------------------------- masks */

static rmask_status make_mask(const matrix *m, cells *c, rmask **out, rmask_error *error)
{
    c->cols = malloc(((size_t)m->array[DATA].num_items + 1) * sizeof *c->cols);
    if (c->cols == NULL)
        return convert_fail_nomem(error);
    if (has_format(m, "csr")) {
        CONVERT_TRY(take_csr(m, c, error));
        if (c->ascending)
            return rmask_from_csr(m->rows, m->cols, c->indptr, c->cols, NULL, out, error);
        CONVERT_TRY(spread_rows(m, c, error));
    } else if (has_format(m, "coo")) {
        CONVERT_TRY(take_coo(m, c, error));
    } else {
        return fail(error, "its format is neither CSR nor COO: save matrix.tocsr()");
    }
    return rmask_from_coo(m->rows, m->cols, c->rows, c->cols, c->num_cells, NULL, out, error);
}

static rmask_status read_archive(zip_t *zip, matrix *m, const convert_progress *progress, rmask **out, rmask_error *error)
{
    for (int member = 0; member < NUM_MEMBERS; member++)
        CONVERT_TRY(read_member(zip, m, member, progress, error));
    CONVERT_TRY(take_shape(m, error));
    cells c = {0};
    rmask_status status = make_mask(m, &c, out, error);
    free(c.rows);
    free(c.cols);
    free(c.indptr);
    return status;
}

rmask_status npz_read(const void *data, size_t num_bytes, const convert_progress *progress, rmask **out, rmask_error *error)
{
    zip_error_t reason;
    *out = NULL;
    zip_error_init(&reason);
    zip_source_t *source = zip_source_buffer_create(data, num_bytes, 0, &reason);
    zip_t *zip = source != NULL ? zip_open_from_source(source, ZIP_RDONLY, &reason) : NULL;
    if (zip == NULL) {
        rmask_status status = zip_error_code_zip(&reason) == ZIP_ER_MEMORY ? RMASK_ERR_NOMEM : RMASK_ERR_FORMAT;
        convert_fail(error, status, "not a valid .npz: %s", zip_error_strerror(&reason));
        zip_source_free(source);
        zip_error_fini(&reason);
        return status;
    }
    matrix m = {.num_bytes = num_bytes};
    rmask_status status = read_archive(zip, &m, progress, out, error);
    for (int member = 0; member < NUM_MEMBERS; member++)
        free(m.bytes[member]);
    zip_discard(zip);
    return status;
}
