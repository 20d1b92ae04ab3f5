/* SPDX-License-Identifier: Apache-2.0
 *
 * Writing SciPy's .npz. Each member is made row by row while libzip compresses it, so that only the archive itself is in
 * memory. */
#include "convert/npy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zip.h>

/* What a member holds of each row. */
typedef enum member_content {
    INDPTR, /* where the next row's columns begin */
    COLS,   /* the columns */
    ROWS,   /* the row, once for each column */
    ONES    /* True, once for each column */
} member_content;

/* The archive in the making. Errors wait here until zip_close gives up. */
typedef struct work {
    const rmask *mask;
    bool wide;          /* more cells than 32-bit indices can count */
    size_t longest_row; /* in cells */
    const convert_progress *progress;
    uint64_t done_bytes, total_bytes;
    rmask_status status;
    rmask_error *error;
} work;

/* One member: its bytes are made a header or a row at a time. */
typedef struct member {
    work *work;
    member_content content;
    bool wide;
    uint64_t num_bytes;
    uint8_t header[NPY_HEADER_BYTES];
    int32_t *cols;  /* room for a row */
    uint8_t *piece; /* the bytes made last: room for a row of this content */
    size_t at, end; /* of them, those not yet handed on */
    int32_t row;    /* the next one */
    int64_t count;  /* cells of the rows before */
    zip_error_t reason;
} member;

/* ---------------------------------------------------------------- bytes of members */

static void put_integer(member *m, int64_t value)
{
    int32_t narrow = (int32_t)value;
    memcpy(m->piece + m->end, m->wide ? (const void *)&value : &narrow, m->wide ? sizeof value : sizeof narrow);
    m->end += m->wide ? sizeof value : sizeof narrow;
}

static rmask_status make_row(member *m)
{
    const rmask *mask = m->work->mask;
    size_t num_cols;
    if (m->content == COLS)
        CONVERT_TRY(rmask_row(mask, m->row, m->cols, m->work->longest_row, &num_cols, m->work->error));
    else
        CONVERT_TRY(rmask_row_count(mask, m->row, &num_cols, m->work->error));
    m->at = m->end = 0;
    m->count += (int64_t)num_cols;
    if (m->content == INDPTR) {
        put_integer(m, m->count);
    } else if (m->content == ONES) {
        memset(m->piece, 1, num_cols);
        m->end = num_cols;
    } else if (m->content == COLS && !m->wide) {
        memcpy(m->piece, m->cols, num_cols * sizeof *m->cols);
        m->end = num_cols * sizeof *m->cols;
    } else {
        for (size_t i = 0; i < num_cols; i++)
            put_integer(m, m->content == COLS ? m->cols[i] : m->row);
    }
    m->row++;
    return RMASK_OK;
}

/* The member from its beginning. */
static void rewind_member(member *m)
{
    m->row = 0;
    m->count = 0;
    m->at = 0;
    m->end = NPY_HEADER_BYTES;
    memcpy(m->piece, m->header, NPY_HEADER_BYTES);
    if (m->content == INDPTR)
        put_integer(m, 0);
}

static zip_int64_t read_member(member *m, uint8_t *bytes, zip_uint64_t num_bytes)
{
    work *w = m->work;
    zip_uint64_t num_read = 0;
    while (num_read < num_bytes) {
        if (m->at == m->end) {
            if (m->row == rmask_rows(w->mask))
                break;
            w->status = make_row(m);
            if (w->status != RMASK_OK) {
                zip_error_set(&m->reason, ZIP_ER_READ, 0);
                return -1;
            }
        }
        size_t n = m->end - m->at < num_bytes - num_read ? m->end - m->at : (size_t)(num_bytes - num_read);
        memcpy(bytes + num_read, m->piece + m->at, n);
        m->at += n;
        num_read += n;
    }
    w->done_bytes += num_read;
    convert_report(w->progress, w->done_bytes, w->total_bytes);
    return (zip_int64_t)num_read;
}

static void free_member(member *m)
{
    free(m->cols);
    free(m->piece);
    zip_error_fini(&m->reason);
    free(m);
}

/* libzip's way of asking. */
static zip_int64_t serve_member(void *context, void *data, zip_uint64_t num_bytes, zip_source_cmd_t command)
{
    member *m = context;
    switch (command) {
    case ZIP_SOURCE_SUPPORTS:
        return zip_source_make_command_bitmap(ZIP_SOURCE_OPEN, ZIP_SOURCE_READ, ZIP_SOURCE_CLOSE, ZIP_SOURCE_STAT,
                                              ZIP_SOURCE_ERROR, ZIP_SOURCE_FREE, -1);
    case ZIP_SOURCE_OPEN:
        rewind_member(m);
        return 0;
    case ZIP_SOURCE_READ: return read_member(m, data, num_bytes);
    case ZIP_SOURCE_CLOSE: return 0;
    case ZIP_SOURCE_STAT: {
        zip_stat_t *about = data;
        zip_stat_init(about);
        about->size = m->num_bytes;
        about->valid |= ZIP_STAT_SIZE;
        return sizeof *about;
    }
    case ZIP_SOURCE_ERROR: return zip_error_to_data(&m->reason, data, num_bytes);
    case ZIP_SOURCE_FREE:
        free_member(m);
        return 0;
    default:
        zip_error_set(&m->reason, ZIP_ER_OPNOTSUPP, 0);
        return -1;
    }
}

/* ---------------------------------------------------------------- the archive */

/* The time is left at the first that zip knows: equal masks make equal files. */
static rmask_status add_source(zip_t *zip, const char *name, zip_source_t *source, rmask_error *error)
{
    zip_int64_t index = source != NULL ? zip_file_add(zip, name, source, 0) : -1;
    if (index < 0) {
        zip_source_free(source);
        return convert_fail(error, RMASK_ERR_NOMEM, "cannot make the archive: %s", zip_strerror(zip));
    }
    zip_file_set_dostime(zip, (zip_uint64_t)index, 0, 0x21, 0);
    zip_set_file_compression(zip, (zip_uint64_t)index, ZIP_CM_DEFLATE, 1);
    return RMASK_OK;
}

static rmask_status add_member(zip_t *zip, work *w, const char *name, member_content content)
{
    uint64_t num_items = content == INDPTR ? (uint64_t)rmask_rows(w->mask) + 1 : rmask_count(w->mask);
    size_t row_items = content == INDPTR ? 1 : w->longest_row;
    bool wide = w->wide && content != ROWS;
    size_t item_bytes = content == ONES ? 1 : wide ? 8 : 4;
    member *m = calloc(1, sizeof *m);
    if (m == NULL)
        return convert_fail_nomem(w->error);
    *m = (member){.work = w, .content = content, .wide = wide, .num_bytes = NPY_HEADER_BYTES + num_items * item_bytes};
    zip_error_init(&m->reason);
    m->piece = malloc(NPY_HEADER_BYTES + (row_items + 1) * item_bytes);
    m->cols = content == COLS ? malloc((row_items + 1) * sizeof *m->cols) : NULL;
    bool has_room = m->piece != NULL && (m->cols != NULL || content != COLS);
    zip_source_t *source = has_room ? zip_source_function(zip, serve_member, m) : NULL;
    if (source == NULL) {
        free_member(m);
        return convert_fail_nomem(w->error);
    }
    char shape[32];
    snprintf(shape, sizeof shape, "(%llu,)", (unsigned long long)num_items);
    npy_put_header(m->header, content == ONES ? "|b1" : wide ? "<i8" : "<i4", shape);
    w->total_bytes += m->num_bytes;
    return add_source(zip, name, source, w->error);
}

/* A short array, which libzip frees. */
static rmask_status add_small(zip_t *zip, const char *name, const char *type, const char *shape, const void *items,
                              size_t num_bytes, rmask_error *error)
{
    uint8_t *bytes = malloc(NPY_HEADER_BYTES + num_bytes);
    if (bytes == NULL)
        return convert_fail_nomem(error);
    npy_put_header(bytes, type, shape);
    memcpy(bytes + NPY_HEADER_BYTES, items, num_bytes);
    zip_source_t *source = zip_source_buffer(zip, bytes, NPY_HEADER_BYTES + num_bytes, 1);
    if (source == NULL)
        free(bytes);
    return add_source(zip, name, source, error);
}

/* The members in SciPy's order. */
static rmask_status add_all(zip_t *zip, work *w, bool is_coo)
{
    int64_t shape[] = {rmask_rows(w->mask), rmask_cols(w->mask)};
    CONVERT_TRY(is_coo ? add_member(zip, w, "row.npy", ROWS) : add_member(zip, w, "indices.npy", COLS));
    CONVERT_TRY(is_coo ? add_member(zip, w, "col.npy", COLS) : add_member(zip, w, "indptr.npy", INDPTR));
    CONVERT_TRY(add_small(zip, "format.npy", "|S3", "()", is_coo ? "coo" : "csr", 3, w->error));
    CONVERT_TRY(add_small(zip, "shape.npy", "<i8", "(2,)", shape, sizeof shape, w->error));
    return add_member(zip, w, "data.npy", ONES);
}

static rmask_status copy_out(zip_source_t *archive, rmask_writer write, void *context, rmask_error *error)
{
    uint8_t bytes[1 << 15];
    if (zip_source_open(archive) != 0)
        return convert_fail_nomem(error);
    rmask_status status = RMASK_OK;
    zip_int64_t got = 1;
    while (status == RMASK_OK && (got = zip_source_read(archive, bytes, sizeof bytes)) > 0)
        status = convert_written(write(context, bytes, (size_t)got), error);
    zip_source_close(archive);
    return got < 0 ? convert_fail_nomem(error) : status;
}

static rmask_status find_longest_row(work *w)
{
    for (int32_t row = 0; row < rmask_rows(w->mask); row++) {
        size_t num_cols;
        CONVERT_TRY(rmask_row_count(w->mask, row, &num_cols, w->error));
        if (num_cols > w->longest_row)
            w->longest_row = num_cols;
    }
    return RMASK_OK;
}

static rmask_status npz_write(const rmask *mask, bool is_coo, rmask_writer write, void *context,
                              const convert_progress *progress, rmask_error *error)
{
    work w = {.mask = mask, .wide = !is_coo && rmask_count(mask) > INT32_MAX, .progress = progress, .error = error};
    CONVERT_TRY(find_longest_row(&w));
    zip_source_t *archive = zip_source_buffer_create(NULL, 0, 0, NULL);
    zip_t *zip = archive != NULL ? zip_open_from_source(archive, ZIP_CREATE | ZIP_TRUNCATE, NULL) : NULL;
    if (zip == NULL) {
        zip_source_free(archive);
        return convert_fail_nomem(error);
    }
    zip_source_keep(archive);
    rmask_status status = add_all(zip, &w, is_coo);
    if (status == RMASK_OK && zip_close(zip) != 0) {
        status = w.status;
        if (status == RMASK_OK)
            status = convert_fail(error, RMASK_ERR_NOMEM, "cannot make the archive: %s", zip_strerror(zip));
        zip_discard(zip);
    } else if (status != RMASK_OK) {
        zip_discard(zip);
    } else {
        status = copy_out(archive, write, context, error);
    }
    zip_source_free(archive);
    return status;
}

rmask_status npz_write_csr(const rmask *mask, rmask_writer write, void *context, const convert_progress *progress,
                           rmask_error *error)
{
    return npz_write(mask, false, write, context, progress, error);
}

rmask_status npz_write_coo(const rmask *mask, rmask_writer write, void *context, const convert_progress *progress,
                           rmask_error *error)
{
    return npz_write(mask, true, write, context, progress, error);
}
