/* SPDX-License-Identifier: Apache-2.0
 *
 * roarmask: block-sparse attention masks in bytes to megabytes.
 *
 * A mask is a set of cells (row, col) of a grid: row r is a query block, column c is a key block, and a cell in the set
 * says that the query block may look at the key block. Grids are rows x cols, each from 0 to RMASK_MAX_SIDE, so a grid
 * may as well be token-exact (one row a query token, one column a key token).
 *
 *     rmask *mask = NULL;
 *     rmask_error error;
 *     if (rmask_parse("causal & (sink(64) | window(512))", 62500, 62500, NULL, &mask, &error) != RMASK_OK)
 *         return report(error.message);
 *     int32_t *cols = malloc(sizeof *cols * (size_t)rmask_cols(mask));
 *     size_t num_cols;
 *     rmask_row(mask, 1000, cols, (size_t)rmask_cols(mask), &num_cols, NULL);
 *     rmask_release(mask);
 *
 * Rules that hold for every function here
 * ---------------------------------------
 * Status.      A function that can fail returns an rmask_status; RMASK_OK is 0. On failure every output pointer to a mask
 *              or builder is set to NULL, other outputs are as the function says, and nothing leaks.
 * Message.     The last parameter `error` may be NULL. Otherwise a failure fills it with one line of English that says what
 *              is wrong and, where there is one, the remedy. It is left alone on success.
 * Ownership.   Masks are immutable and reference counted. A function with an `rmask **` output gives the caller one
 *              reference; rmask_retain adds one, rmask_release drops one. Buffers are the caller's and are never kept.
 * Threads.     Any number of threads may read, retain and release one mask at once. A builder belongs to one thread at
 *              a time. There is no other state in the library but the choice of SIMD tier, made once and thread-safe.
 * Memory.      Every object remembers the allocator that it was made with. A mask made out of masks uses the allocator of
 *              the first one. Running out of memory is RMASK_ERR_NOMEM, never an abort.
 * Printing.    The library never prints, never exits and never aborts.
 * Arguments.   NULL where a pointer is required is a caller's error and undefined, except where said otherwise. Numbers are
 *              checked: a row or column out of range is RMASK_ERR_RANGE.
 */
#ifndef ROARMASK_ROARMASK_H
#define ROARMASK_ROARMASK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(RMASK_SHARED) && defined(__GNUC__)
#define RMASK_API __attribute__((visibility("default")))
#else
#define RMASK_API
#endif

/* The largest number of rows or columns of a grid: 2^31 - 1. */
#define RMASK_MAX_SIDE INT32_MAX

/* The version of the library, "major.minor.patch". Static storage. */
RMASK_API const char *rmask_version(void);

/* ---------------------------------------------------------------- status, errors, memory */

typedef enum rmask_status {
    RMASK_OK = 0,
    RMASK_ERR_NOMEM,    /* the allocator returned NULL */
    RMASK_ERR_ARGUMENT, /* an argument makes no sense: unsorted indices, grids that differ, an unknown function */
    RMASK_ERR_RANGE,    /* a row, a column or a side of a grid is out of range */
    RMASK_ERR_SYNTAX,   /* an expression does not parse; rmask_error.position says where */
    RMASK_ERR_FORMAT,   /* bytes that claim to be a mask are not one */
    RMASK_ERR_IO,       /* the operating system refused: the message carries its reason */
    RMASK_ERR_CAPACITY, /* the caller's buffer is too small; the needed count is in the count output */
    RMASK_ERR_LIMIT,    /* the mask needs more than the format holds (8 GiB of exceptions) */
    RMASK_ERR_STOPPED   /* the caller's callback asked to stop */
} rmask_status;

/* A short constant name for a status, such as "out of memory". Static storage; any value is allowed. */
RMASK_API const char *rmask_status_name(rmask_status status);

typedef struct rmask_error {
    char message[256]; /* one line, NUL-terminated, without a newline */
    size_t position;   /* RMASK_ERR_SYNTAX: byte offset into the expression; RMASK_ERR_IO: the errno, 0 without one; otherwise 0 */
} rmask_error;

/* Where an object gets its memory. `allocate` returns `num_bytes` (never 0) aligned for any type, or NULL; `release` takes
 * what `allocate` returned, with the same size. Both get `context`. They are called from whichever thread uses the object,
 * so they must be thread-safe if the object is shared. The struct is copied; `context` must outlive every object. */
typedef struct rmask_allocator {
    void *(*allocate)(void *context, size_t num_bytes);
    void (*release)(void *context, void *memory, size_t num_bytes);
    void *context;
} rmask_allocator;

/* ---------------------------------------------------------------- masks */

typedef struct rmask rmask;

/* Adds a reference and returns `mask`, so that it can be stored in one expression. */
RMASK_API rmask *rmask_retain(const rmask *mask);

/* Drops a reference; the last one frees the mask. NULL is allowed. */
RMASK_API void rmask_release(rmask *mask);

RMASK_API int32_t rmask_rows(const rmask *mask); /* query blocks */
RMASK_API int32_t rmask_cols(const rmask *mask); /* key blocks */

/* The number of cells in the mask. O(1). */
RMASK_API uint64_t rmask_count(const rmask *mask);

/* rmask_count over rows * cols, from 0 to 1; 0 for an empty grid. O(1). */
RMASK_API double rmask_density(const rmask *mask);

/* The bytes of the mask's flat buffer (see rmask_data), which is what it takes in memory but for some 150 bytes. O(1). */
RMASK_API uint64_t rmask_num_bytes(const rmask *mask);

/* What a mask is made of. All sizes in bytes of the flat buffer (see rmask_data). */
typedef struct rmask_stats {
    uint64_t count;               /* cells */
    uint64_t num_bytes;           /* the whole flat buffer: the sum of the sections below */
    uint64_t header_bytes;        /* header and padding */
    uint64_t strip_bytes;         /* strip table */
    uint64_t boundary_bytes;      /* both boundary lists */
    uint64_t directory_bytes;     /* which rows have exceptions, and where */
    uint64_t container_bytes;     /* the exceptions themselves */
    uint64_t num_strips;          /* strips */
    uint64_t num_boundaries;      /* entries of both boundary lists */
    uint64_t num_exception_rows;  /* rows with at least one exception */
    uint64_t num_exceptions;      /* cells where the mask differs from its strips */
    uint64_t num_arrays;          /* containers that are sorted 16-bit arrays */
    uint64_t num_bitsets;         /* containers that are bitsets */
} rmask_stats;

/* Fills `stats`. Time linear in the number of containers. In a mapped file the containers of damaged rows are not counted. */
RMASK_API void rmask_get_stats(const rmask *mask, rmask_stats *stats);

/* One strip: the rows [row_begin, row_end) flip at each of the fixed boundaries, which are columns, and at each of the sliding ones
 * plus the row. A cell lies in the strip when an odd number of them is at or left of it, and in the mask when it lies in the strip or
 * is an exception, but not both. Both lists ascend and live as long as the mask. */
typedef struct rmask_strip_view {
    int32_t row_begin, row_end;
    const int32_t *fixed, *sliding;
    size_t num_fixed, num_sliding;
} rmask_strip_view;

/* The strip at `index`, from 0 for the uppermost; rmask_stats.num_strips says how many there are. O(1). RMASK_ERR_RANGE, with a view of
 * no rows, where there is none. */
RMASK_API rmask_status rmask_get_strip(const rmask *mask, size_t index, rmask_strip_view *view, rmask_error *error);

/* ---------------------------------------------------------------- memory, files, streams
 *
 * A mask in memory, in a file and on the wire is one flat buffer: contiguous, relocatable, little-endian, without pointers,
 * with checksums. docs/format.md draws it byte by byte. Bytes may come from anywhere: what is wrong is RMASK_ERR_FORMAT, and
 * the message names the offset. */

/* The mask's flat buffer, 8-byte aligned. It lives as long as the mask. The first call writes the checksums: time linear in the
 * bytes. Only for a mask out of rmask_grower_mask it allocates, and may return NULL with *num_bytes 0 for lack of memory. */
RMASK_API const void *rmask_data(const rmask *mask, size_t *num_bytes);

/* Makes a mask from a copy of a flat buffer. Everything in it is checked first, as rmask_verify does. `data` need not be
 * aligned. */
RMASK_API rmask_status rmask_from_data(const void *data, size_t num_bytes, const rmask_allocator *allocator, rmask **out,
                                       rmask_error *error);

/* Writes the flat buffer to a file. The file appears whole or not at all: the bytes go to a temporary file beside it, which is
 * flushed to the disk and renamed over `path`. Killed at any moment, the old file or the new one is there; a temporary file
 * named after `path`, ending in .tmp, may be left. A symbolic link is replaced itself; a pipe or a device is refused: see
 * rmask_write. */
RMASK_API rmask_status rmask_save(const rmask *mask, const char *path, rmask_error *error);

/* Reads a file, or a pipe up to its end, into memory and checks everything. */
RMASK_API rmask_status rmask_load(const char *path, const rmask_allocator *allocator, rmask **out, rmask_error *error);

/* Maps a file. Header, strips, boundaries and directory are checked, with their checksums; the exceptions stay on the disk
 * until they are read, so the time does not depend on them. Whoever reads rows of such a mask checks the containers of those
 * rows first and fails with RMASK_ERR_FORMAT where they make no sense: damage cannot crash the reader. A damage that still
 * makes sense is noticed by rmask_verify only, which also makes later reads as fast as with any other mask. The file may be
 * replaced (as rmask_save does), but must not be cut off or overwritten in place while a mask lies in it: the system then kills
 * the reader. Where others may do that, use rmask_load. */
RMASK_API rmask_status rmask_open(const char *path, const rmask_allocator *allocator, rmask **out, rmask_error *error);

/* Checks everything about a mask: checksums, order, counts. Time linear in the bytes plus the boundaries of all strips
 * together, which are at most 2^32. Of use after rmask_open; the functions that copy have done it. */
RMASK_API rmask_status rmask_verify(const rmask *mask, rmask_error *error);

/* Reads up to `num_bytes` (at least 1) into `buffer`. *num_read gets their number, 0 at the end. Returns 0, or an errno, which
 * ends the reading: repeating what a signal interrupted is the reader's own. */
typedef int (*rmask_reader)(void *context, void *buffer, size_t num_bytes, size_t *num_read);

/* Writes all `num_bytes`. Returns 0, or an errno. */
typedef int (*rmask_writer)(void *context, const void *data, size_t num_bytes);

/* Reads one mask from a stream, not a byte more, and checks everything. Memory grows with the bytes that come, not with what a
 * header announces. */
RMASK_API rmask_status rmask_read(rmask_reader read, void *context, const rmask_allocator *allocator, rmask **out, rmask_error *error);

/* Writes the flat buffer to a stream, in one call of `write`. */
RMASK_API rmask_status rmask_write(const rmask *mask, rmask_writer write, void *context, rmask_error *error);

/* ---------------------------------------------------------------- making masks */

/* Makes a mask from an expression of the pattern language (docs/patterns.md), for example
 * "causal & (sink(64) | window(512)) | random(0.001, seed=42)". `!` binds tightest, then `&` and `-` (and-not), then `^`, then
 * `|`, each from the left. RMASK_ERR_SYNTAX carries the position and what was expected there. `file("x.rmask")` reads files:
 * do not parse expressions from strangers where that matters. */
RMASK_API rmask_status rmask_parse(const char *expression, int32_t rows, int32_t cols, const rmask_allocator *allocator,
                                   rmask **out, rmask_error *error);

/* From compressed sparse rows: row r has the columns indices[indptr[r] .. indptr[r + 1]), strictly increasing.
 * `indptr` has rows + 1 entries, starts at 0 and never decreases. Structure is found by itself: a window given cell by cell
 * costs the bytes of the window's formula. Time linear in the cells. */
RMASK_API rmask_status rmask_from_csr(int32_t rows, int32_t cols, const int64_t *indptr, const int32_t *indices,
                                      const rmask_allocator *allocator, rmask **out, rmask_error *error);

/* From coordinates in any order, duplicates allowed: cell i is (row_indices[i], col_indices[i]). */
RMASK_API rmask_status rmask_from_coo(int32_t rows, int32_t cols, const int32_t *row_indices, const int32_t *col_indices,
                                      size_t num_cells, const rmask_allocator *allocator, rmask **out, rmask_error *error);

/* From one byte a cell, not 0 meaning in the mask. Row r starts at cells + r * row_stride (bytes, >= cols). */
RMASK_API rmask_status rmask_from_bytes(int32_t rows, int32_t cols, const uint8_t *cells, size_t row_stride,
                                        const rmask_allocator *allocator, rmask **out, rmask_error *error);

/* From one bit a cell, bit c % 8 of byte c / 8 of its row (little-endian bit order). Row r starts at bits + r * row_stride
 * (bytes, >= ceil(cols / 8)). Bits past the last column are ignored. */
RMASK_API rmask_status rmask_from_bits(int32_t rows, int32_t cols, const uint8_t *bits, size_t row_stride,
                                       const rmask_allocator *allocator, rmask **out, rmask_error *error);

/* A builder is a mutable set of cells. Calls take effect in their order; a later one wins. Memory grows with the runs of
 * consecutive cells, not with the cells. Adding k scattered cells to a row costs O(k log k) in any order. */
typedef struct rmask_builder rmask_builder;

RMASK_API rmask_status rmask_builder_create(int32_t rows, int32_t cols, const rmask_allocator *allocator, rmask_builder **out,
                                            rmask_error *error);
RMASK_API void rmask_builder_destroy(rmask_builder *builder); /* NULL is allowed */

/* Adds, or removes, the cells (row, col_begin) .. (row, col_end - 1). 0 <= col_begin <= col_end <= cols, else
 * RMASK_ERR_RANGE and no change. One cell is (col, col + 1), a whole row is (0, cols). */
RMASK_API rmask_status rmask_builder_add(rmask_builder *builder, int32_t row, int32_t col_begin, int32_t col_end,
                                         rmask_error *error);
RMASK_API rmask_status rmask_builder_remove(rmask_builder *builder, int32_t row, int32_t col_begin, int32_t col_end,
                                            rmask_error *error);

/* Adds a row's columns, strictly increasing: one call for a whole row of indices. On an error nothing is added. */
RMASK_API rmask_status rmask_builder_add_sorted(rmask_builder *builder, int32_t row, const int32_t *cols, size_t num_cols,
                                                rmask_error *error);

/* Adds every cell of a mask with the builder's grid: the way to change a few cells of a mask. */
RMASK_API rmask_status rmask_builder_add_mask(rmask_builder *builder, const rmask *mask, rmask_error *error);

/* Makes a mask of the cells in the builder, which keeps them and may go on changing. */
RMASK_API rmask_status rmask_builder_freeze(rmask_builder *builder, rmask **out, rmask_error *error);

/* ---------------------------------------------------------------- reading */

/* Whether a cell is in the mask. A cell outside the grid is not, nor is one in a damaged row of a mapped file (see rmask_open). */
RMASK_API bool rmask_contains(const rmask *mask, int32_t row, int32_t col);

/* The number of cells in a row, without expanding it. */
RMASK_API rmask_status rmask_row_count(const rmask *mask, int32_t row, size_t *count, rmask_error *error);

/* A row's columns in increasing order. `cols` has room for `capacity` entries; NULL asks for the count only. `count` gets the
 * number of cells. A `capacity` below it is RMASK_ERR_CAPACITY, and `cols` is then unspecified. `capacity` = rmask_cols is
 * always enough. Entries between `count` and `capacity` may be overwritten: whole vectors are stored. Nothing is allocated. */
RMASK_API rmask_status rmask_row(const rmask *mask, int32_t row, int32_t *cols, size_t capacity, size_t *count,
                                 rmask_error *error);

/* A row as half-open ranges [ranges[2 i], ranges[2 i + 1]), increasing, not touching each other. `capacity` and `count` are in
 * ranges; otherwise as rmask_row. */
RMASK_API rmask_status rmask_row_ranges(const rmask *mask, int32_t row, int32_t *ranges, size_t capacity, size_t *count,
                                        rmask_error *error);

/* Called for each row in turn with its columns, which are valid during the call. Not 0 stops the iteration. */
typedef int (*rmask_row_callback)(void *context, int32_t row, const int32_t *cols, size_t num_cols);

/* Calls `callback` for the rows [row_begin, row_end). RMASK_ERR_STOPPED when the callback asked for it. Allocates one row. */
RMASK_API rmask_status rmask_for_each_row(const rmask *mask, int32_t row_begin, int32_t row_end, rmask_row_callback callback,
                                          void *context, rmask_error *error);

/* The rows [row_begin, row_end) as compressed sparse rows: row row_begin + i has indices[indptr[i] .. indptr[i + 1]).
 * `indptr` has row_end - row_begin + 1 entries and starts at 0. With `indices` NULL only `indptr` is written: its last entry is
 * the capacity to come back with. A `capacity` (entries) that is too small is RMASK_ERR_CAPACITY. Nothing is allocated. */
RMASK_API rmask_status rmask_to_csr(const rmask *mask, int32_t row_begin, int32_t row_end, int64_t *indptr, int32_t *indices,
                                    size_t capacity, rmask_error *error);

/* The cells of a window as bits: row row_begin + i begins at bits + i * row_stride (bytes, >= ceil((col_end - col_begin) / 8)), and
 * column col_begin + j is bit j % 8 of its byte j / 8 (little-endian bit order). Bits past the last column in its byte are 0. The
 * window may hang over the grid to the right and below, where there are no cells: so a kernel's partial tile at the edge is filled up
 * with zeros. 0 <= begin <= end, else RMASK_ERR_RANGE; a stride that is too small is RMASK_ERR_ARGUMENT. Nothing is allocated. */
RMASK_API rmask_status rmask_to_bits(const rmask *mask, int32_t row_begin, int32_t row_end, int32_t col_begin, int32_t col_end,
                                     uint8_t *bits, size_t row_stride, rmask_error *error);

/* The same as one byte a cell, 1 or 0. `row_stride` in bytes, >= col_end - col_begin. */
RMASK_API rmask_status rmask_to_bytes(const rmask *mask, int32_t row_begin, int32_t row_end, int32_t col_begin, int32_t col_end,
                                      uint8_t *cells, size_t row_stride, rmask_error *error);

/* How many cells lie in each field of a raster: the rows [row_begin, row_end) and columns [col_begin, col_end) cut into
 * raster_rows x raster_cols fields of (nearly) equal size. Field (i, j) covers the rows row_begin + i * n / raster_rows up to
 * row_begin + (i + 1) * n / raster_rows with n = row_end - row_begin, likewise the columns, and counts[i * raster_cols + j]
 * gets its cells. Strips are counted by arithmetic: a 1M x 1M mask is drawn without expanding it. Sides of the raster are
 * at least 1. */
RMASK_API rmask_status rmask_raster(const rmask *mask, int32_t row_begin, int32_t row_end, int32_t col_begin, int32_t col_end,
                                    int32_t raster_rows, int32_t raster_cols, uint64_t *counts, rmask_error *error);

/* ---------------------------------------------------------------- algebra */

/* One of the 16 boolean functions of two memberships a and b, as its truth table: bit 2 * a + b of the number is f(a, b). The
 * named ones are the usual ones; every number from 0 to 15 is a function. */
typedef enum rmask_function {
    RMASK_NONE = 0,
    RMASK_AND = 8,
    RMASK_AND_NOT = 4, /* a and not b */
    RMASK_A = 12,
    RMASK_XOR = 6,
    RMASK_OR = 14,
    RMASK_XNOR = 9,
    RMASK_NOT_A = 3,
    RMASK_IMPLIES = 11, /* not a, or b */
    RMASK_NAND = 7,
    RMASK_NOR = 1,
    RMASK_ALL = 15
} rmask_function;

/* The mask of the cells where function(a, b) holds. The grids must be equal. Strips are combined with strips: two structured
 * masks of any size take microseconds. */
RMASK_API rmask_status rmask_combine(const rmask *a, const rmask *b, rmask_function function, rmask **out, rmask_error *error);

RMASK_API rmask_status rmask_and(const rmask *a, const rmask *b, rmask **out, rmask_error *error);
RMASK_API rmask_status rmask_or(const rmask *a, const rmask *b, rmask **out, rmask_error *error);
RMASK_API rmask_status rmask_xor(const rmask *a, const rmask *b, rmask **out, rmask_error *error);
RMASK_API rmask_status rmask_and_not(const rmask *a, const rmask *b, rmask **out, rmask_error *error);
RMASK_API rmask_status rmask_not(const rmask *a, rmask **out, rmask_error *error);

/* The number of cells where function(a, b) holds, without making that mask. */
RMASK_API rmask_status rmask_combine_count(const rmask *a, const rmask *b, rmask_function function, uint64_t *count,
                                           rmask_error *error);

/* Jaccard overlap: cells in both over cells in either, from 0 to 1; 1 when both are empty. */
RMASK_API rmask_status rmask_jaccard(const rmask *a, const rmask *b, double *overlap, rmask_error *error);

/* Whether two masks have the same grid and the same cells, however each was made. Fails only for lack of memory and for damaged rows of a
 * mapped file. */
RMASK_API rmask_status rmask_equal(const rmask *a, const rmask *b, bool *equal, rmask_error *error);

/* The columns where function(row `row_a` of a, row `row_b` of b) holds. `a` and `b` may be the same mask; they must have
 * the same number of columns. `cols`, `capacity` and `count` as in rmask_row. Nothing is allocated. */
RMASK_API rmask_status rmask_row_combine(const rmask *a, int32_t row_a, const rmask *b, int32_t row_b, rmask_function function,
                                         int32_t *cols, size_t capacity, size_t *count, rmask_error *error);

/* The columns that all, or any, of a list of rows have. Rows may repeat. An empty list gives all columns for `rows_and` and none
 * for `rows_or`. `cols`, `capacity` and `count` as in rmask_row. Allocates a few rows' worth of ranges. */
RMASK_API rmask_status rmask_rows_and(const rmask *mask, const int32_t *rows, size_t num_rows, int32_t *cols, size_t capacity,
                                      size_t *count, rmask_error *error);
RMASK_API rmask_status rmask_rows_or(const rmask *mask, const int32_t *rows, size_t num_rows, int32_t *cols, size_t capacity,
                                     size_t *count, rmask_error *error);

/* ---------------------------------------------------------------- reshaping
 *
 * All of it works on strips and containers: masks of a few strips take microseconds, however large their grid; many strips,
 * long lists and exceptions take time linear in them. The results are masks of their own. A damaged row of a mapped file (see
 * rmask_open) among those that are read is RMASK_ERR_FORMAT. */

/* The cells (c, r) of all cells (r, c); the grid is cols x rows. */
RMASK_API rmask_status rmask_transpose(const rmask *mask, rmask **out, rmask_error *error);

/* The rows [row_begin, row_end) and columns [col_begin, col_end) as a grid of their own. 0 <= begin <= end, within the grid, else
 * RMASK_ERR_RANGE. */
RMASK_API rmask_status rmask_slice(const rmask *mask, int32_t row_begin, int32_t row_end, int32_t col_begin, int32_t col_end,
                                   rmask **out, rmask_error *error);

/* Moves every cell (r, c) to (r + row_shift, c + col_shift) in the same grid. What leaves the grid is lost, what comes in is empty.
 * Equal shifts move along the diagonal. Any shift is allowed. */
RMASK_API rmask_status rmask_shift(const rmask *mask, int32_t row_shift, int32_t col_shift, rmask **out, rmask_error *error);

/* Packs masks along the diagonal: sequences that are attended to in one batch and not by each other. The grid's sides are the sums of the
 * masks' sides: RMASK_ERR_RANGE beyond RMASK_MAX_SIDE. With no mask it is 0 x 0; `allocator` is for that case and may be NULL. */
RMASK_API rmask_status rmask_concat(const rmask *const *masks, size_t num_masks, const rmask_allocator *allocator, rmask **out,
                                    rmask_error *error);

/* `times` copies of one mask packed along the diagonal, as rmask_concat does. 0 <= times. */
RMASK_API rmask_status rmask_repeat(const rmask *mask, int32_t times, rmask **out, rmask_error *error);

/* Puts the rows of masks with equal numbers of columns below each other. At least one mask. RMASK_ERR_ARGUMENT where columns differ,
 * RMASK_ERR_RANGE for more than RMASK_MAX_SIDE rows. */
RMASK_API rmask_status rmask_stack(const rmask *const *masks, size_t num_masks, rmask **out, rmask_error *error);

/* Row i of the result is row rows[i] of the mask: any order, and rows may repeat. num_rows is at most RMASK_MAX_SIDE. Runs of
 * consecutive rows stay strips; a row among others costs what it has of boundaries or of cells. */
RMASK_API rmask_status rmask_take_rows(const rmask *mask, const int32_t *rows, size_t num_rows, rmask **out, rmask_error *error);

/* Coarsens to tiles of tile_rows x tile_cols cells (each at least 1). The grids of the results are ceil(rows / tile_rows) x
 * ceil(cols / tile_cols). A tile is in `any` when at least one of its cells is in the mask, in `all` when every one is; at the
 * grid's edge only the cells inside the grid count. So `all` are the full tiles, and any - all the partial ones. Either output may be NULL.
 * Time does not depend on the rows where tiles are squares and boundaries meet rarely; where a window slides under tiles of unequal
 * sides every tile row is another. Tile sides below 1 are RMASK_ERR_RANGE. */
RMASK_API rmask_status rmask_coarsen(const rmask *mask, int32_t tile_rows, int32_t tile_cols, rmask **any, rmask **all,
                                     rmask_error *error);

/* The other way: every cell becomes a tile of tile_rows x tile_cols cells. The result's grid is rows x cols, which may cut the last tiles off:
 * ceil(rows / tile_rows) and ceil(cols / tile_cols) must be the mask's sides, else RMASK_ERR_ARGUMENT. Time linear in the rows that have
 * sliding boundaries or exceptions. */
RMASK_API rmask_status rmask_refine(const rmask *mask, int32_t tile_rows, int32_t tile_cols, int32_t rows, int32_t cols, rmask **out,
                                    rmask_error *error);

/* ---------------------------------------------------------------- growing
 *
 * A grower holds a mask that gets rows and columns while decoding. Masks taken from it are ordinary, immutable masks: they share the grower's
 * memory, cost O(1), stay as they are while the grower goes on, and live on without it. One thread at a time may use a
 * grower; any number may read masks taken from it meanwhile. A call that fails leaves the grower as it was. RMASK_ERR_LIMIT is as
 * for other masks, RMASK_ERR_RANGE a side beyond RMASK_MAX_SIDE.
 *
 * A decoding step with a structured mask is rmask_grower_add_cols(grower, 1, ..) and rmask_grower_extend(grower, 1, ..). */
typedef struct rmask_grower rmask_grower;

/* Starts with the cells of a mask, in time linear in its bytes. The mask is not needed afterwards; its allocator is. */
RMASK_API rmask_status rmask_grower_create(const rmask *start, rmask_grower **out, rmask_error *error);
RMASK_API void rmask_grower_destroy(rmask_grower *grower); /* NULL is allowed */

RMASK_API int32_t rmask_grower_rows(const rmask_grower *grower);
RMASK_API int32_t rmask_grower_cols(const rmask_grower *grower);

/* Adds columns at the right, which no row so far has: a key block is new to everyone, also to a row whose window would have
 * reached it. O(1), but that exceptions are laid out anew as the columns double up to 65,536, and once more beyond: linear
 * in their bytes. */
RMASK_API rmask_status rmask_grower_add_cols(rmask_grower *grower, int32_t num_cols, rmask_error *error);

/* Adds rows that go on as the structure does: that of the last row which came in a mask, by rmask_grower_create or
 * rmask_grower_add_rows. Its fixed boundaries stay, its sliding ones move on, and where it looks ahead it takes all columns
 * that there are by now. Exceptions are not repeated, nor rows of rmask_grower_add_row. Without any such row they are empty.
 * As a rule the last strip lasts longer: O(boundaries of one row). Where boundaries pass the last column within the rows,
 * each of them begins a strip. */
RMASK_API rmask_status rmask_grower_extend(rmask_grower *grower, int32_t num_rows, rmask_error *error);

/* Adds one row with these columns, strictly increasing: a row that was chosen step by step. Where the row fits the structure
 * so far it costs no bytes, where it differs its exceptions, and a series of rows without structure costs about 2 bytes a
 * cell and 8 bytes a row. Amortised O(num_cols + boundaries of one row). */
RMASK_API rmask_status rmask_grower_add_row(rmask_grower *grower, const int32_t *cols, size_t num_cols, rmask_error *error);

/* Adds the rows of a mask with as many columns, one taken from this grower included. Time linear in its bytes. */
RMASK_API rmask_status rmask_grower_add_rows(rmask_grower *grower, const rmask *rows, rmask_error *error);

/* The mask as it is now. O(1). */
RMASK_API rmask_status rmask_grower_mask(const rmask_grower *grower, rmask **out, rmask_error *error);

/* ---------------------------------------------------------------- SIMD tiers */

/* The name of the instruction-set tier in use: "scalar", "avx2", "avx512" or "neon". The best one of the machine, unless the
 * environment variable ROARMASK_SIMD named another when the library was first used. Results never depend on it. Static storage. */
RMASK_API const char *rmask_simd_tier(void);

/* The tiers that this machine can run, best first, ended by NULL. Static storage. */
RMASK_API const char *const *rmask_simd_tiers(void);

/* NULL when ROARMASK_SIMD is unset or was followed; otherwise its value, which names no tier of this machine and was
 * therefore not followed. Static storage. Programs should report it. */
RMASK_API const char *rmask_simd_refused(void);

#ifdef __cplusplus
}
#endif

#endif
