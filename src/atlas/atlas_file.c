/* SPDX-License-Identifier: Apache-2.0
 * Atlases in files, streams and memory. Everywhere it is the flat buffer of an atlas and nothing else. */
#include "atlas/atlas.h"
#include "file/mapping.h"
#include "file/replace.h"

#include <string.h>

/* ---------------------------------------------------------------- out */

rmask_status rmask_atlas_save(const rmask_atlas *atlas, const char *path, rmask_error *error)
{
    rmask_bytes bytes;
    bytes.data = rmask_atlas_data(atlas, &bytes.num_bytes);
    return rmask_replace_file(path, &bytes, 1, error);
}

rmask_status rmask_atlas_write(const rmask_atlas *atlas, rmask_writer write, void *context, rmask_error *error)
{
    size_t num_bytes;
    const void *data = rmask_atlas_data(atlas, &num_bytes);
    return rmask_write_bytes("atlas", data, num_bytes, write, context, error);
}

/* ---------------------------------------------------------------- in */

/* An atlas over bytes that lie in `keeper`, its head and the masks' indices checked. */
static rmask_status lay_over(const uint8_t *data, size_t num_bytes, rmask_keeper *keeper, const rmask_allocator *allocator,
                             rmask_atlas **out, rmask_error *error)
{
    RMASK_TRY(rmask_atlas_check_head(data, num_bytes, error));
    rmask_atlas *atlas = rmask_atlas_new(data, keeper, allocator);
    if (!atlas) return rmask_fail_nomem(error);
    const rmask_status status = rmask_atlas_put_masks(atlas) ? rmask_atlas_check_masks(atlas, error) : rmask_fail_nomem(error);
    if (status)
        rmask_atlas_release(atlas);
    else
        *out = atlas;
    return status;
}

/* Takes the bytes over, whether it succeeds or not, and checks everything. */
static rmask_status take_over(rmask_byte_vec *bytes, const rmask_allocator *allocator, rmask_atlas **out, rmask_error *error)
{
    const uint8_t *data = bytes->at;
    const size_t num_bytes = bytes->len;
    rmask_keeper *keeper = rmask_keep_bytes(bytes, allocator);
    if (!keeper) {
        rmask_vec_free(allocator, bytes);
        return rmask_fail_nomem(error);
    }
    rmask_status status = lay_over(data, num_bytes, keeper, allocator, out, error);
    rmask_let_go(keeper);
    if (!status) status = rmask_atlas_verify(*out, error);
    if (status) {
        rmask_atlas_release(*out);
        *out = NULL;
    }
    return status;
}

rmask_status rmask_atlas_from_data(const void *data, size_t num_bytes, const rmask_allocator *allocator, rmask_atlas **out,
                                   rmask_error *error)
{
    *out = NULL;
    const rmask_allocator chosen = rmask_allocator_or_default(allocator);
    rmask_byte_vec bytes = {0};
    if (!rmask_vec_reserve(&chosen, &bytes, num_bytes)) return rmask_fail_nomem(error);
    if (num_bytes) memcpy(bytes.at, data, num_bytes);
    bytes.len = num_bytes;
    return take_over(&bytes, &chosen, out, error);
}

static rmask_status measure(const void *data, size_t num_bytes, uint64_t *total, rmask_error *error)
{
    rmask_atlas_header header;
    RMASK_TRY(rmask_atlas_peek_header(data, num_bytes, &header, error));
    *total = header.num_bytes;
    return RMASK_OK;
}

static const rmask_announced announced = {"atlas", sizeof(rmask_atlas_header), measure};

rmask_status rmask_atlas_read(rmask_reader read, void *context, const rmask_allocator *allocator, rmask_atlas **out,
                              rmask_error *error)
{
    *out = NULL;
    const rmask_allocator chosen = rmask_allocator_or_default(allocator);
    rmask_byte_vec bytes = {0};
    const rmask_status status = rmask_read_announced(&announced, read, context, &chosen, &bytes, error);
    if (!status) return take_over(&bytes, &chosen, out, error);
    rmask_vec_free(&chosen, &bytes);
    return status;
}

rmask_status rmask_atlas_load(const char *path, const rmask_allocator *allocator, rmask_atlas **out, rmask_error *error)
{
    *out = NULL;
    const rmask_allocator chosen = rmask_allocator_or_default(allocator);
    rmask_byte_vec bytes = {0};
    rmask_error cause;
    const rmask_status status = rmask_read_file(&announced, path, &chosen, &bytes, error);
    if (!status) return rmask_name_file(error, path, take_over(&bytes, &chosen, out, &cause), &cause);
    rmask_vec_free(&chosen, &bytes);
    return status;
}

rmask_status rmask_atlas_open(const char *path, const rmask_allocator *allocator, rmask_atlas **out, rmask_error *error)
{
    *out = NULL;
    const rmask_allocator chosen = rmask_allocator_or_default(allocator);
    rmask_mapping *mapping;
    RMASK_TRY(rmask_map_file(path, &chosen, &mapping, error));
    rmask_error cause;
    rmask_status status = lay_over(mapping->data, mapping->num_bytes, &mapping->keeper, &chosen, out, &cause);
    if (!status) status = rmask_mapping_settled(mapping, &cause);
    rmask_let_go(&mapping->keeper);
    if (status) {
        rmask_atlas_release(*out);
        *out = NULL;
    }
    return rmask_name_file(error, path, status, &cause);
}
