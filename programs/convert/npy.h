/* SPDX-License-Identifier: Apache-2.0
 *
 * One NumPy array: a file of its own, or a member of an archive. */
#ifndef ROARMASK_CONVERT_NPY_H
#define ROARMASK_CONVERT_NPY_H

#include "convert/convert.h"

/* An array whose header is checked and whose items are all there. */
typedef struct npy_array {
    char kind;           /* 'b' bool, 'i' and 'u' integers, 'f' floating-point, 'S' and 'U' text */
    bool big_endian;
    bool fortran_order;  /* the first index varies fastest */
    uint32_t item_bytes; /* 1, 2, 4 or 8 but for text */
    int num_dims;        /* 0 to 2 */
    uint64_t shape[2];   /* each up to RMASK_MAX_SIDE where there are two */
    uint64_t num_items;
    const uint8_t *items;
} npy_array;

rmask_status npy_parse(const void *data, size_t num_bytes, npy_array *array, rmask_error *error);

/* Whether an item of a kind other than text is not 0. */
bool npy_is_set(const npy_array *array, uint64_t index);

/* An item of an array of integers; those above INT64_MAX are INT64_MAX. */
int64_t npy_integer(const npy_array *array, uint64_t index);

/* A header's bytes for this type and shape, each as NumPy writes it: "<i4" and "(3, 4)". */
enum { NPY_HEADER_BYTES = 128 };
void npy_put_header(uint8_t header[NPY_HEADER_BYTES], const char *type, const char *shape);

#endif
