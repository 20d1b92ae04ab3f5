/* SPDX-License-Identifier: Apache-2.0
 * CRC-32C (Castagnoli; RFC 3720, appendix B.4), the checksum of the sections of a flat buffer. */
#ifndef ROARMASK_FILE_CHECKSUM_H
#define ROARMASK_FILE_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

/* The checksum of `num_bytes`; with the checksum of the bytes before them as `before`, that of both. `before` is 0 at the
 * start. */
uint32_t rmask_checksum(uint32_t before, const void *data, size_t num_bytes);

/* The checksum of two stretches, one behind the other, from theirs and the length of the second. Takes about a microsecond. */
uint32_t rmask_checksum_join(uint32_t first, uint32_t second, size_t num_bytes_second);

/* rmask_checksum without the processor's own instruction. */
uint32_t rmask_checksum_plain(uint32_t before, const void *data, size_t num_bytes);

#endif
