/* SPDX-License-Identifier: Apache-2.0
 * Flat buffers made by hand. */
#include "raw.h"

#include <string.h>

static size_t append(uint8_t *bytes, size_t at, const void *section, size_t num_bytes)
{
    memcpy(bytes + at, section, num_bytes);
    return at + num_bytes;
}

size_t raw_lay_out(const raw *r, uint64_t count, uint64_t num_exceptions, uint8_t bytes[RAW_MAX_BYTES])
{
    raw_header header = {.magic = "\x93RMASK\r\n",
                         .version = 1,
                         .features = r->sparse,
                         .rows = r->rows,
                         .cols = r->cols,
                         .count = count,
                         .num_exceptions = num_exceptions,
                         .num_exception_rows = r->num_exception_rows,
                         .num_strips = r->num_strips,
                         .num_fixed = r->num_fixed,
                         .num_sliding = r->num_sliding,
                         .first_directory_row = r->first_row,
                         .num_directory_rows = r->num_directory_rows,
                         .num_container_units = r->num_units,
                         .container_cols = r->container_cols ? r->container_cols : r->cols};
    size_t at = append(bytes, RAW_HEADER_BYTES, r->strips, r->num_strips * sizeof r->strips[0]);
    at = append(bytes, at, r->fixed, r->num_fixed * sizeof r->fixed[0]);
    at = append(bytes, at, r->sliding, r->num_sliding * sizeof r->sliding[0]);
    if (r->sparse) at = append(bytes, at, r->directory, r->num_directory_rows * sizeof r->directory[0]);
    if (r->num_directory_rows) at = append(bytes, at, r->offsets, (r->num_directory_rows + 1) * sizeof r->offsets[0]);
    at = append(bytes, at, r->units, r->num_units * sizeof r->units[0]);
    while (at % 8) bytes[at++] = r->padding;
    header.num_bytes = at;
    append(bytes, 0, &header, sizeof header);
    return at;
}
