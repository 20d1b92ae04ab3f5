/* SPDX-License-Identifier: Apache-2.0
 * Masks in files, streams and memory. Everywhere it is the flat buffer of a mask and nothing else. */
#include "core/check.h"
#include "file/mapping.h"
#include "file/replace.h"
#include "file/stream.h"

#include <string.h>

/* ---------------------------------------------------------------- out */

rmask_status rmask_save(const rmask *mask, const char *path, rmask_error *error)
{
    rmask_bytes bytes;
    bytes.data = rmask_data(mask, &bytes.num_bytes);
    return bytes.data ? rmask_replace_file(path, &bytes, 1, error) : rmask_fail_nomem(error);
}

rmask_status rmask_write(const rmask *mask, rmask_writer write, void *context, rmask_error *error)
{
    size_t num_bytes;
    const void *data = rmask_data(mask, &num_bytes);
    if (!data) return rmask_fail_nomem(error);
    return rmask_write_bytes("mask", data, num_bytes, write, context, error);
}

/* ---------------------------------------------------------------- memory */

/* Checks all of a mask whose header is checked and whose sections are filled in. On failure it is released. */
static rmask_status check_filled(rmask *mask, rmask **out, rmask_error *error)
{
    rmask_status status = rmask_check_index(mask, error);
    if (!status) status = rmask_check_contents(mask, error);
    if (status)
        rmask_release(mask);
    else
        *out = mask;
    return status;
}

rmask_status rmask_from_data(const void *data, size_t num_bytes, const rmask_allocator *allocator, rmask **out,
                             rmask_error *error)
{
    *out = NULL;
    rmask_header header;
    RMASK_TRY(rmask_check_header(data, num_bytes, &header, error));
    const rmask_allocator chosen = rmask_allocator_or_default(allocator);
    rmask *mask = rmask_new(&header, &chosen);
    if (!mask) return rmask_fail_nomem(error);
    /* The header is there already, as it was checked: `data` may lie where others write. */
    memcpy(mask->data + sizeof header, (const uint8_t *)data + sizeof header, num_bytes - sizeof header);
    return check_filled(mask, out, error);
}

/* ---------------------------------------------------------------- streams and files */

static rmask_status measure(const void *data, size_t num_bytes, uint64_t *total, rmask_error *error)
{
    rmask_header header;
    RMASK_TRY(rmask_peek_header(data, num_bytes, &header, error));
    *total = header.num_bytes;
    return RMASK_OK;
}

static const rmask_announced announced = {"mask", sizeof(rmask_header), measure};

rmask_status rmask_read(rmask_reader read, void *context, const rmask_allocator *allocator, rmask **out, rmask_error *error)
{
    *out = NULL;
    const rmask_allocator chosen = rmask_allocator_or_default(allocator);
    rmask_byte_vec bytes = {0};
    rmask_status status = rmask_read_announced(&announced, read, context, &chosen, &bytes, error);
    if (!status) status = rmask_from_data(bytes.at, bytes.len, &chosen, out, error);
    rmask_vec_free(&chosen, &bytes);
    return status;
}

rmask_status rmask_load(const char *path, const rmask_allocator *allocator, rmask **out, rmask_error *error)
{
    *out = NULL;
    const rmask_allocator chosen = rmask_allocator_or_default(allocator);
    rmask_byte_vec bytes = {0};
    rmask_status status = rmask_read_file(&announced, path, &chosen, &bytes, error);
    if (!status) {
        rmask_error cause;
        status = rmask_name_file(error, path, rmask_from_data(bytes.at, bytes.len, &chosen, out, &cause), &cause);
    }
    rmask_vec_free(&chosen, &bytes);
    return status;
}

static rmask_status open_mapping(rmask_mapping *mapping, rmask **out, rmask_error *error)
{
    rmask_header header;
    RMASK_TRY(rmask_check_header(mapping->data, mapping->num_bytes, &header, error));
    rmask *mask = rmask_new_view(mapping->data, &mapping->keeper, &mapping->allocator);
    if (!mask) return rmask_fail_nomem(error);
    rmask_status status = rmask_check_index(mask, error);
    if (!status) status = rmask_mapping_settled(mapping, error);
    if (status)
        rmask_release(mask);
    else
        *out = mask;
    return status;
}

rmask_status rmask_open(const char *path, const rmask_allocator *allocator, rmask **out, rmask_error *error)
{
    *out = NULL;
    const rmask_allocator chosen = rmask_allocator_or_default(allocator);
    rmask_mapping *mapping;
    RMASK_TRY(rmask_map_file(path, &chosen, &mapping, error));
    rmask_error cause;
    const rmask_status status = open_mapping(mapping, out, &cause);
    rmask_let_go(&mapping->keeper);
    return rmask_name_file(error, path, status, &cause);
}
