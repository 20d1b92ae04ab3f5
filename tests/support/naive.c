/* SPDX-License-Identifier: Apache-2.0
 * The naive reader of flat buffers. */
#include "naive.h"

#include "raw.h"

#include <stdlib.h>
#include <string.h>

typedef struct sections {
    raw_header header;
    const uint8_t *strips, *fixed, *sliding, *directory, *offsets, *containers;
} sections;

static uint32_t word(const uint8_t *section, uint64_t i)
{
    uint32_t value;
    memcpy(&value, section + 4 * i, sizeof value);
    return value;
}

static uint16_t unit(const sections *s, uint64_t i)
{
    uint16_t value;
    memcpy(&value, s->containers + 2 * i, sizeof value);
    return value;
}

static sections find_sections(const uint8_t *bytes)
{
    sections s;
    memcpy(&s.header, bytes, sizeof s.header);
    const uint64_t num_directory_rows = s.header.num_directory_rows;
    s.strips = bytes + RAW_HEADER_BYTES;
    s.fixed = s.strips + 20 * (uint64_t)s.header.num_strips;
    s.sliding = s.fixed + 4 * (uint64_t)s.header.num_fixed;
    s.directory = s.sliding + 4 * (uint64_t)s.header.num_sliding;
    s.offsets = s.directory + (s.header.features & 1 ? 4 * num_directory_rows : 0);
    s.containers = s.offsets + (num_directory_rows ? 4 * (num_directory_rows + 1) : 0);
    return s;
}

static void fill_strip(const sections *s, uint8_t *cells, uint32_t row)
{
    uint64_t strip = 0;
    while (strip + 1 < s->header.num_strips && word(s->strips, 5 * (strip + 1)) <= row) strip++;
    for (int64_t col = 0; col < (int64_t)s->header.cols; col++) {
        uint32_t flips = 0;
        for (uint32_t i = 0; i < word(s->strips, 5 * strip + 2); i++)
            flips += (int32_t)word(s->fixed, word(s->strips, 5 * strip + 1) + i) <= col;
        for (uint32_t i = 0; i < word(s->strips, 5 * strip + 4); i++)
            flips += (int64_t)(int32_t)word(s->sliding, word(s->strips, 5 * strip + 3) + i) + row <= col;
        cells[col] = flips % 2;
    }
}

/* Toggles what a container holds, the units [begin, begin + n); false when it makes no sense. */
static bool toggle_container(const sections *s, uint8_t *cells, uint64_t chunk, uint64_t begin, uint64_t n, uint64_t *count)
{
    const uint64_t base = 65536 * chunk, cols = s->header.cols, laid_out = s->header.container_cols;
    if (base >= cols || n == 0) return false;
    const uint64_t width = laid_out - base < 65536 ? laid_out - base : 65536, bitset_units = (width + 15) / 16;
    if (n > bitset_units) return false;
    const uint64_t before = *count;
    for (uint64_t i = 0; n == bitset_units && i < 16 * n; i++) {
        if (!(unit(s, begin + i / 16) >> i % 16 & 1)) continue;
        if (base + i >= cols) return false;
        cells[base + i] ^= 1;
        ++*count;
    }
    for (uint64_t i = 0; n < bitset_units && i < n; i++) {
        const uint64_t col = base + unit(s, begin + i);
        if (col >= cols || (i > 0 && unit(s, begin + i) <= unit(s, begin + i - 1))) return false;
        cells[col] ^= 1;
        ++*count;
    }
    return *count > before;
}

static bool toggle_row(const sections *s, uint8_t *cells, uint64_t begin, uint64_t end, uint64_t *count)
{
    if (begin == end) return true;
    if (s->header.container_cols <= 65536) return toggle_container(s, cells, 0, begin, end - begin, count);
    const uint64_t num_containers = unit(s, begin);
    uint64_t at = begin + 1 + 2 * num_containers;
    if (num_containers == 0 || at > end) return false;
    for (uint64_t i = 0; i < num_containers; i++) {
        const uint64_t chunk = unit(s, begin + 1 + 2 * i), n = unit(s, begin + 2 + 2 * i);
        if (i > 0 && chunk <= unit(s, begin - 1 + 2 * i)) return false;
        if (n > end - at || !toggle_container(s, cells, chunk, at, n, count)) return false;
        at += n;
    }
    return at == end;
}

naive naive_read(const uint8_t *bytes)
{
    const sections s = find_sections(bytes);
    naive n = {twin_create((int32_t)s.header.rows, (int32_t)s.header.cols), must_allocate(s.header.rows), true, 0};
    memset(n.sound, true, s.header.rows);
    for (uint32_t row = 0; row < s.header.rows; row++) fill_strip(&s, twin_at(n.t, (int32_t)row), row);
    for (uint32_t i = 0; i < s.header.num_directory_rows; i++) {
        const uint32_t row = s.header.features & 1 ? word(s.directory, i) : s.header.first_directory_row + i;
        uint64_t count = 0;
        if (toggle_row(&s, twin_at(n.t, (int32_t)row), word(s.offsets, i), word(s.offsets, i + 1), &count)) {
            n.num_exceptions += count;
            continue;
        }
        n.sound[row] = n.all_sound = false;
        twin_put(n.t, (int32_t)row, 0, n.t->cols, false);
    }
    return n;
}

void naive_free(naive *n)
{
    twin_free(n->t);
    free(n->sound);
}
