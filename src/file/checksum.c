/* SPDX-License-Identifier: Apache-2.0
 * CRC-32C by table. The tables are made anew for each call: that takes microseconds, and keeps the library without state. */
#include "file/checksum.h"

#include "simd/simd.h"

#include <string.h>

enum { SLICES = 8, MIN_TABLE_BYTES = 2048 };

static const uint32_t polynomial = UINT32_C(0x82f63b78); /* 0x1edc6f41 with its bits reversed */

static uint32_t shift_out_byte(uint32_t crc)
{
    for (int i = 0; i < 8; i++) crc = crc >> 1 ^ (crc & 1 ? polynomial : 0);
    return crc;
}

/* table[k][b] is what byte b does when k more bytes follow it: eight bytes at a time (Kounavis and Berry, 2005, "slicing by
 * 8"). */
static void make_table(uint32_t table[SLICES][256])
{
    for (uint32_t byte = 0; byte < 256; byte++) table[0][byte] = shift_out_byte(byte);
    for (int k = 1; k < SLICES; k++)
        for (uint32_t byte = 0; byte < 256; byte++)
            table[k][byte] = table[k - 1][byte] >> 8 ^ table[0][table[k - 1][byte] & 255];
}

uint32_t rmask_checksum_plain(uint32_t before, const void *data, size_t num_bytes)
{
    const uint8_t *at = data;
    uint32_t crc = ~before;
    if (num_bytes >= MIN_TABLE_BYTES) {
        uint32_t table[SLICES][256];
        make_table(table);
        for (; num_bytes >= 8; at += 8, num_bytes -= 8) {
            uint64_t word;
            memcpy(&word, at, sizeof word);
            word ^= crc;
            crc = 0;
            for (int k = 0; k < SLICES; k++) crc ^= table[SLICES - 1 - k][word >> 8 * k & 255];
        }
    }
    for (; num_bytes > 0; at++, num_bytes--) crc = shift_out_byte(crc ^ *at);
    return ~crc;
}

/* The product of two polynomials modulo that of the checksum. The highest bit is the coefficient of 1, as in the checksum.
 * Without a branch on the data. */
static uint32_t multiply(uint32_t a, uint32_t b)
{
    uint32_t product = 0;
    for (; a; a <<= 1) {
        product ^= b & (0 - (a >> 31));
        b = b >> 1 ^ (polynomial & (0 - (b & 1)));
    }
    return product;
}

/* A checksum is linear: n bytes behind a stretch multiply its checksum by x^(8 n), and theirs is added. */
uint32_t rmask_checksum_join(uint32_t first, uint32_t second, size_t num_bytes_second)
{
    uint32_t power = UINT32_C(1) << 23; /* x^8, then its squares */
    for (; num_bytes_second > 0; num_bytes_second >>= 1, power = multiply(power, power))
        if (num_bytes_second & 1) first = multiply(first, power);
    return first ^ second;
}

uint32_t rmask_checksum(uint32_t before, const void *data, size_t num_bytes)
{
    return rmask_simd_get()->checksum(before, data, num_bytes);
}
