/* SPDX-License-Identifier: Apache-2.0
 *
 * Other programs' files, as bytes in memory. Nothing here prints or exits, and all bytes may come from anywhere: the readers
 * refuse what is wrong with RMASK_ERR_FORMAT and a message that names the offset, and their memory grows with the bytes they
 * are given, not with what those announce. Fuzz targets and tests call them as the command does. docs/exchange.md describes the
 * formats.
 *
 * Masks come from the default allocator and are the caller's to release; on failure *out is NULL. `progress` and `error` may be
 * NULL. The writers call `write` with one piece after another, in order.
 */
#ifndef ROARMASK_CONVERT_H
#define ROARMASK_CONVERT_H

#include <roarmask/roarmask.h>

/* Called now and then with how much of the work is done, in any unit. */
typedef struct convert_progress {
    void (*report)(void *context, uint64_t done, uint64_t total);
    void *context;
} convert_progress;

/* A dense two-dimensional NumPy array of booleans, integers or floating-point numbers: what is not 0 is in the mask. */
rmask_status npy_read(const void *data, size_t num_bytes, const convert_progress *progress, rmask **out, rmask_error *error);

/* Writes booleans in C order: rows * cols bytes and a header. */
rmask_status npy_write(const rmask *mask, rmask_writer write, void *context, const convert_progress *progress,
                       rmask_error *error);

/* A SciPy sparse matrix or array in CSR or COO form, as scipy.sparse.save_npz writes it, compressed or not. Entries whose value
 * is 0 are left out. */
rmask_status npz_read(const void *data, size_t num_bytes, const convert_progress *progress, rmask **out, rmask_error *error);

/* Writes the matrix compressed, with True as its values. The archive is put together in memory first. */
rmask_status npz_write_csr(const rmask *mask, rmask_writer write, void *context, const convert_progress *progress,
                           rmask_error *error);
rmask_status npz_write_coo(const rmask *mask, rmask_writer write, void *context, const convert_progress *progress,
                           rmask_error *error);

/* Matrix Market coordinates of any field and symmetry. Entries whose value is 0 are left out. */
rmask_status mtx_read(const void *data, size_t num_bytes, const convert_progress *progress, rmask **out, rmask_error *error);

/* Writes "coordinate pattern general". */
rmask_status mtx_write(const rmask *mask, rmask_writer write, void *context, const convert_progress *progress,
                       rmask_error *error);

/* ---------------------------------------------------------------- for the readers and writers themselves */

/* Fills `error` (may be NULL) with one line and returns `status`. */
rmask_status convert_fail(rmask_error *error, rmask_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

rmask_status convert_fail_nomem(rmask_error *error);

/* RMASK_ERR_IO for what a writer returned, RMASK_OK for 0. */
rmask_status convert_written(int reason, rmask_error *error);

void convert_report(const convert_progress *progress, uint64_t done, uint64_t total);

/* Returns from the calling function when `expression` is not RMASK_OK. */
#define CONVERT_TRY(expression)                                \
    do {                                                       \
        rmask_status convert_status_ = (expression);           \
        if (convert_status_ != RMASK_OK)                       \
            return convert_status_;                            \
    } while (0)

#endif
