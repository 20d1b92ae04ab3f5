/* SPDX-License-Identifier: Apache-2.0 */
#include "support/seal.h"

#include <string.h>

static uint32_t take_in(uint32_t crc, const uint8_t *bytes, size_t num_bytes)
{
    for (size_t i = 0; i < num_bytes; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++) crc = crc & 1 ? crc >> 1 ^ UINT32_C(0x82f63b78) : crc >> 1;
    }
    return crc;
}

uint32_t seal_checksum(const uint8_t *bytes, size_t num_bytes) { return ~take_in(UINT32_MAX, bytes, num_bytes); }

static uint64_t field(const uint8_t *bytes, size_t at)
{
    uint32_t value;
    memcpy(&value, bytes + at, sizeof value);
    return value;
}

static void put(uint8_t *bytes, size_t at, uint32_t value) { memcpy(bytes + at, &value, sizeof value); }

void seal(uint8_t *bytes, size_t num_bytes)
{
    if (num_bytes < SEAL_HEADER_BYTES) return;
    const uint64_t listed = field(bytes, 12) & 1 ? field(bytes, 68) : 0, offsets = field(bytes, 68) ? field(bytes, 68) + 1 : 0;
    const uint64_t containers =
        SEAL_HEADER_BYTES + 20 * field(bytes, 52) + 4 * (field(bytes, 56) + field(bytes, 60) + listed + offsets);
    if (containers <= num_bytes) {
        put(bytes, 80, seal_checksum(bytes + containers, num_bytes - (size_t)containers));
        put(bytes, 84, seal_checksum(bytes + SEAL_HEADER_BYTES, (size_t)containers - SEAL_HEADER_BYTES));
    }
    put(bytes, 88, seal_checksum(bytes, 88));
}

static uint64_t offset_of_mask(const uint8_t *bytes, size_t num_bytes, uint64_t index)
{
    uint64_t offset;
    if (index >= field(bytes, 40) || SEAL_ATLAS_HEADER_BYTES + 8 * (index + 1) > num_bytes) return num_bytes;
    memcpy(&offset, bytes + SEAL_ATLAS_HEADER_BYTES + 8 * index, sizeof offset);
    return offset < num_bytes ? offset : num_bytes;
}

void seal_atlas(uint8_t *bytes, size_t num_bytes)
{
    if (num_bytes < SEAL_ATLAS_HEADER_BYTES) return;
    uint32_t checksums = UINT32_MAX;
    for (uint64_t i = 0; offset_of_mask(bytes, num_bytes, i) < num_bytes; i++) {
        const uint64_t begin = offset_of_mask(bytes, num_bytes, i), left = num_bytes - begin;
        uint64_t length = 0;
        if (left >= 32) memcpy(&length, bytes + begin + 24, sizeof length);
        if (length <= left) seal(bytes + begin, (size_t)length);
        if (left >= SEAL_HEADER_BYTES) checksums = take_in(checksums, bytes + begin + 88, 4);
    }
    const uint64_t tables = 8 * field(bytes, 40) + 4 * field(bytes, 32) * field(bytes, 36) + field(bytes, 44) + 1;
    const uint64_t masks = (SEAL_ATLAS_HEADER_BYTES + tables + 63) / 64 * 64;
    if (masks <= num_bytes)
        put(bytes, 48, seal_checksum(bytes + SEAL_ATLAS_HEADER_BYTES, (size_t)masks - SEAL_ATLAS_HEADER_BYTES));
    put(bytes, 52, ~checksums);
    put(bytes, 56, seal_checksum(bytes, 56));
}
