/* SPDX-License-Identifier: Apache-2.0 */
#include "support/seal.h"

#include <string.h>

uint32_t seal_checksum(const uint8_t *bytes, size_t num_bytes)
{
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < num_bytes; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++) crc = crc & 1 ? crc >> 1 ^ UINT32_C(0x82f63b78) : crc >> 1;
    }
    return ~crc;
}

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
