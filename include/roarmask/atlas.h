/* SPDX-License-Identifier: Apache-2.0
 *
 * roarmask atlas: the masks of a whole model, layers x heads -> mask, equal masks stored once.
 *
 * An atlas has one grid. Every entry (layer, head) is a mask of that grid or *dense*: attended to in full, so that there is
 * no mask to keep. A mask that has every cell of the grid says the same and becomes a dense entry. Masks with the same cells,
 * however each was made, are one mask of the atlas. A model of 32 layers and 32 heads with 6 distinct masks costs these 6 and
 * a table of 4 KB.
 *
 *     const rmask *masks[32 * 32];                                    // entry (layer, head) is masks[layer * 32 + head]
 *     for (int i = 0; i < 32 * 32; i++) masks[i] = i / 32 < 2 ? NULL : i % 32 < 8 ? global : local;
 *     rmask_atlas *atlas = NULL;
 *     rmask_error error;
 *     if (rmask_atlas_create(32, 32, rows, cols, masks, "first two layers dense", NULL, &atlas, &error) != RMASK_OK ||
 *         rmask_atlas_save(atlas, "model.ratlas", &error) != RMASK_OK)
 *         report(error.message);
 *     rmask_atlas_release(atlas);
 *
 * The rules at the top of roarmask.h hold here too: statuses, messages, ownership, threads, memory. An atlas is immutable and
 * reference counted as a mask is, and any number of threads may use it at once. An atlas made out of atlases uses the
 * allocator of the first.
 */
#ifndef ROARMASK_ATLAS_H
#define ROARMASK_ATLAS_H

#include <roarmask/roarmask.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The largest number of layers, and of heads in each. There is at least one of both. */
#define RMASK_ATLAS_MAX_SIDE 65535

/* The largest note in bytes, its NUL not counted. */
#define RMASK_ATLAS_MAX_NOTE_BYTES 65536

/* In the table: the entry is dense. */
#define RMASK_ATLAS_DENSE UINT32_MAX

typedef struct rmask_atlas rmask_atlas;

/* ---------------------------------------------------------------- making
 *
 * Makes an atlas out of `layers` x `heads` masks, layer by layer; NULL is a dense entry. All masks have `rows` x `cols`
 * cells. They are copied: the caller keeps its references. `note` says in UTF-8 what the atlas is, such as the model's name;
 * NULL is the empty note. Time: linear in the bytes of the masks that differ, one comparison for each mask object that
 * repeats another, and nothing but a look-up for a pointer that was there before. Masks that agree in how many cells lie in
 * each of 8 x 8 fields, and yet differ, are compared with each other. */
RMASK_API rmask_status rmask_atlas_create(int32_t layers, int32_t heads, int32_t rows, int32_t cols, const rmask *const *masks,
                                          const char *note, const rmask_allocator *allocator, rmask_atlas **out,
                                          rmask_error *error);

/* Adds a reference and returns `atlas`; drops one, and the last frees the atlas. NULL may be released. */
RMASK_API rmask_atlas *rmask_atlas_retain(const rmask_atlas *atlas);
RMASK_API void rmask_atlas_release(rmask_atlas *atlas);

/* ---------------------------------------------------------------- reading. All O(1), nothing is allocated. */

RMASK_API int32_t rmask_atlas_layers(const rmask_atlas *atlas);
RMASK_API int32_t rmask_atlas_heads(const rmask_atlas *atlas); /* in each layer */
RMASK_API int32_t rmask_atlas_rows(const rmask_atlas *atlas);  /* of the grid: query blocks */
RMASK_API int32_t rmask_atlas_cols(const rmask_atlas *atlas);  /* of the grid: key blocks */

/* The note, NUL-terminated UTF-8, empty when there is none. It lives as long as the atlas. */
RMASK_API const char *rmask_atlas_note(const rmask_atlas *atlas);

/* The mask of an entry, or NULL where it is dense. It is borrowed from the atlas. One that rmask_retain keeps outlives the
 * atlas, and holds its memory (or the mapped file) until it is released. */
RMASK_API rmask_status rmask_atlas_mask(const rmask_atlas *atlas, int32_t layer, int32_t head, const rmask **mask,
                                        rmask_error *error);

/* The masks without repetition, in the order in which the entries first use them: 0 <= index < rmask_atlas_num_masks.
 * Borrowed as above; NULL for any other index. */
RMASK_API uint32_t rmask_atlas_num_masks(const rmask_atlas *atlas);
RMASK_API const rmask *rmask_atlas_distinct(const rmask_atlas *atlas, uint32_t index);

/* The index of each entry's mask, or RMASK_ATLAS_DENSE: entry (layer, head) is table[layer * heads + head]. It lives as long
 * as the atlas. */
RMASK_API const uint32_t *rmask_atlas_table(const rmask_atlas *atlas);

/* ---------------------------------------------------------------- memory, files, streams
 *
 * As with masks, the atlas in memory, in a file (*.ratlas) and on the wire is one flat buffer; docs/format.md draws it. The
 * masks' own flat buffers lie in it, each on a multiple of 64 bytes. What is wrong is RMASK_ERR_FORMAT, and the message
 * names the offset. */

/* The atlas's flat buffer, 8-byte aligned. It lives as long as the atlas. O(1). */
RMASK_API const void *rmask_atlas_data(const rmask_atlas *atlas, size_t *num_bytes);

/* Makes an atlas from a copy of a flat buffer. Everything in it is checked first, as rmask_atlas_verify does. */
RMASK_API rmask_status rmask_atlas_from_data(const void *data, size_t num_bytes, const rmask_allocator *allocator,
                                             rmask_atlas **out, rmask_error *error);

/* Writes a file that appears whole or not at all, as rmask_save does. */
RMASK_API rmask_status rmask_atlas_save(const rmask_atlas *atlas, const char *path, rmask_error *error);

/* Reads a file, or a pipe up to its end, into memory and checks everything. */
RMASK_API rmask_status rmask_atlas_load(const char *path, const rmask_allocator *allocator, rmask_atlas **out,
                                        rmask_error *error);

/* Maps a file. Header, tables, and of each mask header and index are checked, so the time does not depend on the masks'
 * exceptions. For what is left unchecked, and for files that others write to, see rmask_open. */
RMASK_API rmask_status rmask_atlas_open(const char *path, const rmask_allocator *allocator, rmask_atlas **out,
                                        rmask_error *error);

/* Checks everything: tables, every mask as rmask_verify does, that no two masks have the same cells, and that there is
 * nothing in between. */
RMASK_API rmask_status rmask_atlas_verify(const rmask_atlas *atlas, rmask_error *error);

/* Reads one atlas from a stream, not a byte more, and checks everything. Memory grows with the bytes that come. */
RMASK_API rmask_status rmask_atlas_read(rmask_reader read, void *context, const rmask_allocator *allocator, rmask_atlas **out,
                                        rmask_error *error);

/* Writes the flat buffer to a stream, in one call of `write`. */
RMASK_API rmask_status rmask_atlas_write(const rmask_atlas *atlas, rmask_writer write, void *context, rmask_error *error);

/* ---------------------------------------------------------------- all masks at once
 *
 * A dense entry counts as the full grid, and what comes out with every cell is a dense entry again. Results are stored once
 * as in rmask_atlas_create. The note of the (first) atlas goes with them. */

/* Makes a mask out of a mask. The caller of the callback gets the reference in *out. A status other than RMASK_OK ends the
 * work and is passed on with the error. */
typedef rmask_status (*rmask_atlas_function)(void *context, const rmask *mask, rmask **out, rmask_error *error);

/* Sends every distinct mask through `function` once, and the full mask once where there are dense entries. The function may
 * change the grid (transpose, coarsen, slice), but all results must have the same one. */
RMASK_API rmask_status rmask_atlas_map(const rmask_atlas *atlas, rmask_atlas_function function, void *context,
                                       rmask_atlas **out, rmask_error *error);

/* Told now and then that `done` of `total` steps are done. Not 0 ends the work with RMASK_ERR_STOPPED. */
typedef struct rmask_progress {
    int (*report)(void *context, uint64_t done, uint64_t total);
    void *context;
} rmask_progress;

/* Entry by entry function(entry of a, entry of b). Each pair of masks that meet is worked out once. Layers, heads and grids
 * must be equal. `progress` may be NULL. */
RMASK_API rmask_status rmask_atlas_combine(const rmask_atlas *a, const rmask_atlas *b, rmask_function function,
                                           const rmask_progress *progress, rmask_atlas **out, rmask_error *error);

/* Whether two atlases have equal layers, heads and grids, and the same cells in every entry. Notes do not count. */
RMASK_API rmask_status rmask_atlas_equal(const rmask_atlas *a, const rmask_atlas *b, bool *equal, rmask_error *error);

/* ---------------------------------------------------------------- statistics */

/* Of the entries of some layers. */
typedef struct rmask_atlas_stats {
    uint64_t num_entries;
    uint64_t num_dense; /* of these entries */
    uint32_t num_masks; /* distinct masks among the others */
    uint64_t num_cells; /* of all entries, a dense one having all of the grid's; UINT64_MAX when there are more */
    double density_min, density_mean, density_max; /* of the entries, a dense one having 1; 0 in an empty grid */
    uint64_t mask_bytes;     /* of the distinct masks' flat buffers */
    uint64_t unshared_bytes; /* what they would be if every entry that is not dense had a buffer of its own */
} rmask_atlas_stats;

/* Of the layers [layer_begin, layer_end), at least one: of one layer, or of the whole atlas. Time linear in the entries. */
RMASK_API rmask_status rmask_atlas_get_stats(const rmask_atlas *atlas, int32_t layer_begin, int32_t layer_end,
                                             rmask_atlas_stats *stats, rmask_error *error);

/* How alike the heads of each layer are: overlaps[layer] is the mean of rmask_jaccard over all pairs of its heads, from 0 to
 * 1, and 1 for a single head. Each pair of distinct masks is compared once. `overlaps` has room for all layers. `progress`
 * may be NULL. */
RMASK_API rmask_status rmask_atlas_overlaps(const rmask_atlas *atlas, double *overlaps, const rmask_progress *progress,
                                            rmask_error *error);

#ifdef __cplusplus
}
#endif

#endif
