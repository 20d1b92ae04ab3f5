/* SPDX-License-Identifier: Apache-2.0
 * The checksums of flat buffers, written as docs/format.md says and without the library: so a test can change bytes and still
 * get past them to the checks behind. */
#ifndef ROARMASK_TESTS_SEAL_H
#define ROARMASK_TESTS_SEAL_H

#include <stddef.h>
#include <stdint.h>

enum { SEAL_HEADER_BYTES = 128, SEAL_ATLAS_HEADER_BYTES = 64 };

/* CRC-32C, bit by bit. */
uint32_t seal_checksum(const uint8_t *bytes, size_t num_bytes);

/* Makes the checksums of a mask right, as far as the sections that the header announces lie within the bytes. */
void seal(uint8_t *bytes, size_t num_bytes);

/* The same for an atlas and every mask in it whose offset lies within the bytes. */
void seal_atlas(uint8_t *bytes, size_t num_bytes);

#endif
