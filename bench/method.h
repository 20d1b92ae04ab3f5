/* SPDX-License-Identifier: Apache-2.0
 * The one interface behind which every representation of a mask is measured. */
#ifndef ROARMASK_BENCH_METHOD_H
#define ROARMASK_BENCH_METHOD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Compressed sparse rows: row r has the columns indices[indptr[r] .. indptr[r + 1]), strictly increasing. What every method is
 * built from and exported to. */
struct bench_csr {
    int32_t rows, cols;
    int64_t *indptr;  /* rows + 1 entries */
    int32_t *indices; /* indptr[rows] entries */
};

/* Every buffer that a method writes indices to has room for this many entries past the last one, so that loops may store whole
 * words' worth at a time. */
enum { BENCH_SLACK = 64 };

/* One representation. Objects come from the allocator in heap.h and are never NULL: running out of memory ends the program
 * with a message. Functions that may be NULL say so. */
struct bench_method {
    const char *name;

    /* Why this method cannot hold such a grid at all, or NULL if it can. May be NULL: it always can. */
    const char *(*refuses)(int32_t rows, int32_t cols);
    /* The bytes of an object with these rows, at least roughly, without building it. */
    size_t (*estimate_bytes)(const struct bench_csr *csr);

    void *(*build_rows)(const struct bench_csr *csr);
    /* May be NULL: the method knows no formulas. */
    void *(*build_formula)(const char *expression, int32_t rows, int32_t cols);
    void (*release)(void *mask);

    /* A row's columns, or the columns that two rows share, sorted, into `out`. Returns their number. `out` has room for
     * cols + BENCH_SLACK entries. */
    size_t (*row)(const void *mask, int32_t row, int32_t *out);
    size_t (*row_and)(const void *mask, int32_t row_a, int32_t row_b, int32_t *out);

    /* A new object with the cells that are in both. */
    void *(*mask_and)(const void *a, const void *b);
    /* All rows: rows + 1 entries of indptr, and the indices with BENCH_SLACK entries of room behind them. */
    void (*to_csr)(const void *mask, int64_t *indptr, int32_t *indices);

    /* To bytes that another process can read, and back. */
    size_t (*serialized_bytes)(const void *mask);
    void (*serialize)(const void *mask, void *buffer);
    void *(*deserialize)(const void *buffer, size_t num_bytes);
};

extern const struct bench_method bench_dense;      /* a byte a cell */
extern const struct bench_method bench_bitset;     /* a bit a cell, rows padded to 64-bit words */
extern const struct bench_method bench_coo;        /* sorted pairs of int32 */
extern const struct bench_method bench_csr;        /* int64 row starts and int32 columns */
extern const struct bench_method bench_croaring;   /* a run-optimised Roaring bitmap a row */
extern const struct bench_method bench_croaring2d; /* one Roaring bitmap of row << 16 | col */
extern const struct bench_method bench_roarmask;   /* strips and exceptions */

enum { BENCH_NUM_METHODS = 7 };

/* All of them, in the order of the tables. */
extern const struct bench_method *const bench_methods[BENCH_NUM_METHODS];

/* The version of CRoaring that the peers are built with, or NULL if they are not. */
const char *bench_croaring_version(void);

/* Loops over long rows are compiled for each of these, and the loader takes the best one the machine can run: the plain
 * methods get the same vector instructions that CRoaring and roarmask choose for themselves. Sanitizers cannot live with it. */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_THREAD__) && !defined(BENCH_NO_CLONES)
#define BENCH_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define BENCH_CLONES
#endif

#endif
