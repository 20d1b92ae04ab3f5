/* SPDX-License-Identifier: Apache-2.0
 *
 * Masks to and from other libraries' formats: Roaring bitmaps, in the portable format of RoaringFormatSpec that CRoaring,
 * pyroaring, Java's and Go's libraries read and write. The rules at the top of roarmask.h hold here, too. docs/exchange.md has
 * examples.
 *
 *     size_t num_bytes;
 *     rmask_to_roaring(mask, NULL, 0, &num_bytes, NULL);
 *     char *bytes = malloc(num_bytes);
 *     rmask_to_roaring(mask, bytes, num_bytes, &num_bytes, NULL);
 *     roaring_bitmap_t *bitmap = roaring_bitmap_portable_deserialize_safe(bytes, num_bytes);
 *
 * A whole mask is one bitmap. Where neither side of the grid exceeds RMASK_ROARING_MAX_SIDE it is a 32-bit one with the keys
 * row << 16 | col. Beyond that it is a 64-bit one (the spec's extension, CRoaring's roaring64_bitmap_t) with the keys
 * row << 32 | col, so that each row is a bucket. The grid itself is not in the bytes.
 *
 * Written is, byte by byte, what CRoaring writes of a bitmap whose values were added one by one, after run_optimize: each
 * container of 65,536 values in the smallest of its three forms. */
#ifndef ROARMASK_EXCHANGE_H
#define ROARMASK_EXCHANGE_H

#include <roarmask/roarmask.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The longest side of a grid whose masks are 32-bit bitmaps. */
#define RMASK_ROARING_MAX_SIDE 65536

/* Writes a whole mask as one bitmap. `bytes` has room for `capacity` bytes; NULL asks for the size only. *num_bytes gets the
 * size. A `capacity` below it is RMASK_ERR_CAPACITY, and nothing is written. Made from ranges, not from cells: time linear in
 * the rows that have cells, their ranges and the bytes. Allocates one row of ranges. */
RMASK_API rmask_status rmask_to_roaring(const rmask *mask, void *bytes, size_t capacity, size_t *num_bytes, rmask_error *error);

/* Writes the columns of one row as a 32-bit bitmap. Otherwise as rmask_to_roaring. */
RMASK_API rmask_status rmask_row_to_roaring(const rmask *mask, int32_t row, void *bytes, size_t capacity, size_t *num_bytes,
                                            rmask_error *error);

/* Makes a mask from one bitmap, 32-bit or 64-bit as the grid says. Structure is found by itself, as with rmask_from_csr. The
 * bytes may come from anywhere: RMASK_ERR_FORMAT names the offset of what is wrong, and memory grows with the bytes, not with
 * what they announce. The bitmap must fill them. A key outside of the grid is RMASK_ERR_RANGE. */
RMASK_API rmask_status rmask_from_roaring(int32_t rows, int32_t cols, const void *bytes, size_t num_bytes,
                                          const rmask_allocator *allocator, rmask **out, rmask_error *error);

/* Makes a mask from one 32-bit bitmap a row, that of row r being the num_bytes[r] bytes at bitmaps[r]. Where num_bytes[r] is 0
 * the row has no cells and bitmaps[r] is not looked at. Otherwise as rmask_from_roaring. */
RMASK_API rmask_status rmask_from_roaring_rows(int32_t rows, int32_t cols, const void *const *bitmaps, const size_t *num_bytes,
                                               const rmask_allocator *allocator, rmask **out, rmask_error *error);

#ifdef __cplusplus
}
#endif

#endif
