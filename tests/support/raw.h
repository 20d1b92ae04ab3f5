/* SPDX-License-Identifier: Apache-2.0
 * Flat buffers made by hand, as docs/format.md draws them and without the library. */
#ifndef ROARMASK_TESTS_RAW_H
#define ROARMASK_TESTS_RAW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RAW_HEADER_BYTES = 128, RAW_MAX_BYTES = 1024 };

typedef struct raw_header {
    uint8_t magic[8];
    uint32_t version, features, rows, cols;
    uint64_t num_bytes, count, num_exceptions;
    uint32_t num_exception_rows, num_strips, num_fixed, num_sliding;
    uint32_t first_directory_row, num_directory_rows, num_container_units, container_cols;
    uint32_t container_checksum, index_checksum, header_checksum, reserved_a;
    uint64_t reserved[4];
} raw_header;

_Static_assert(sizeof(raw_header) == RAW_HEADER_BYTES, "the header is laid out without gaps");

/* The lists of a buffer. What follows from them is filled in; what may be wrong is given. */
typedef struct raw {
    const char *what;
    uint32_t rows, cols, container_cols, num_strips, num_fixed, num_sliding;
    uint32_t strips[3][5]; /* first row, fixed from and number, sliding from and number */
    int32_t fixed[4], sliding[4];
    bool sparse;
    uint32_t num_exception_rows, first_row, num_directory_rows, directory[3], offsets[4];
    uint32_t num_units;
    uint16_t units[64];
    uint8_t padding;
} raw;

/* The fields of a raw that belong together, with the numbers that follow from the lists. */
#define STRIPS(...) .strips = {__VA_ARGS__}, .num_strips = sizeof((uint32_t[][5]){__VA_ARGS__}) / sizeof(uint32_t[5])
#define FIXED(...) .fixed = {__VA_ARGS__}, .num_fixed = sizeof((int32_t[]){__VA_ARGS__}) / sizeof(int32_t)
#define SLIDING(...) .sliding = {__VA_ARGS__}, .num_sliding = sizeof((int32_t[]){__VA_ARGS__}) / sizeof(int32_t)
#define UNITS(...) .units = {__VA_ARGS__}, .num_units = sizeof((uint16_t[]){__VA_ARGS__}) / sizeof(uint16_t)
#define ROWS_FROM(row) .first_row = (row)
#define ROWS_LISTED(...) .sparse = true, .directory = {__VA_ARGS__}
#define OFFSETS(...) .offsets = {__VA_ARGS__}, .num_directory_rows = sizeof((uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t) - 1
#define EXCEPTION_ROWS(number) .num_exception_rows = (number)

/* Writes the buffer, without checksums (see seal.h); returns its length. */
size_t raw_lay_out(const raw *r, uint64_t count, uint64_t num_exceptions, uint8_t bytes[RAW_MAX_BYTES]);

#endif
