/* SPDX-License-Identifier: Apache-2.0
 * The walk of a warp over a row, of cells or of tiles, which counting, listing and the decode step share. It goes from stretch to stretch: nothing,
 * a run of columns, a list of exceptions; and where these are short, 1,024 columns as bits, 32 of each lane. */
#ifndef ROARMASK_CUDA_WALK_H
#define ROARMASK_CUDA_WALK_H

#include "cuda/tile.h"

/* Stretches from this length on are worth a step of their own. */
enum { CU_LONG = 128, CU_WORDS_COLS = 32 * CU_LANES };

/* A row that is expanded. `tiles` is a constant NULL wherever cells are. */
typedef struct cu_line {
    cu_rows cells;
    const cu_fold *tiles; /* the row `tile_row` of its tiles instead */
    int32_t tile_row;
} cu_line;

CU_FN uint32_t cu_line_word(cu_line line, int64_t col, int64_t end)
{
    if (line.tiles) return cu_tile_word(line.tiles, line.cells.num, line.tile_row, col, end);
    return cu_fold_word(line.cells, col, end);
}

CU_FN cu_stretch cu_line_stretch(cu_line line, int32_t at, int32_t limit)
{
    if (line.tiles) return cu_tile_stretch(line.tiles, line.cells.num, line.tile_row, at, limit, CU_LONG);
    cu_stretch s = cu_fold_stretch(line.cells, at, limit);
    if (s.members == CU_IN) cu_cut(&s);
    return s;
}

/* ---------------------------------------------------------------- steps */

typedef enum cu_kind { CU_END, CU_PLAIN, CU_WORDS } cu_kind;

typedef struct cu_step {
    cu_kind kind;
    int32_t begin, end;     /* CU_WORDS: of the columns; CU_PLAIN without values: the run itself */
    const uint16_t *values; /* the columns are base + values[0 .. num) */
    uint32_t num;           /* of columns, in CU_PLAIN */
    int32_t base;
} cu_step;

/* Takes the next step from *at on, which it moves behind it. `limit` is in the grid. */
CU_FN cu_step cu_next(cu_line line, int32_t *at, int32_t limit)
{
    cu_step step;
    step.kind = CU_END;
    step.values = NULL;
    step.num = 0;
    step.base = 0;
    step.begin = step.end = limit;
    while (*at < limit) {
        step.begin = *at;
        const cu_stretch s = cu_line_stretch(line, *at, limit);
        const bool inside = s.members == CU_IN;
        if (s.end < limit && s.end - *at < CU_LONG) {
            step.kind = CU_WORDS;
            step.end = limit - *at < CU_WORDS_COLS ? limit : *at + CU_WORDS_COLS;
            *at = step.end;
            return step;
        }
        *at = step.end = s.end;
        if (!inside && s.num_values == 0) continue;
        step.kind = CU_PLAIN;
        step.num = inside ? (uint32_t)(s.end - step.begin) : s.num_values;
        step.values = inside ? NULL : s.values;
        step.base = inside ? step.begin : s.base;
        return step;
    }
    return step;
}

/* ---------------------------------------------------------------- writing */

/* Column i of a plain step, or what a table has for it. */
CU_FN int32_t cu_item(const cu_step *step, const int32_t *table, uint32_t i)
{
    const int32_t col = step->base + (int32_t)(step->values ? step->values[i] : i);
    return table ? table[col] : col;
}

/* The first `num` columns of a plain step, most of them four at a time. */
CU_FN void cu_put_plain(const cu_step *step, uint32_t num, const int32_t *table, int32_t *out)
{
    const uint32_t to_boundary = (uint32_t)(16 - (uintptr_t)out % 16) % 16 / 4, head = to_boundary < num ? to_boundary : num;
    const uint32_t quads = (num - head) / 4, tail = head + 4 * quads;
    CU_EACH_LANE(slot, lane)
    {
        if ((uint32_t)lane < head) out[lane] = cu_item(step, table, (uint32_t)lane);
        for (uint32_t i = (uint32_t)lane; i < quads; i += CU_LANES) {
            cu_quad quad;
            for (uint32_t k = 0; k < 4; k++) quad.part[k] = (uint32_t)cu_item(step, table, head + 4 * i + k);
            cu_store_quad(out + head + 4 * i, quad);
        }
        if ((uint32_t)lane < num - tail) out[tail + (uint32_t)lane] = cu_item(step, table, tail + (uint32_t)lane);
    }
}

/* The columns of a word from `place` on, as far as there is room. */
CU_FN void cu_put_word(uint32_t word, int32_t col, uint32_t place, const int32_t *table, int32_t *out, uint64_t room)
{
    for (; word && place < room; word &= word - 1, place++) {
        const int32_t member = col + cu_lowest(word);
        out[place] = table ? table[member] : member;
    }
}

/* Counts the line's columns in [begin, end), in the grid, and writes the first `room` of them, or what `table` has for them, to `out`, which is
 * aligned to 4 bytes. `out` may be NULL. */
CU_FN uint32_t cu_walk(cu_line line, int32_t begin, int32_t end, const int32_t *table, int32_t *out, uint64_t room)
{
    uint32_t count = 0;
    for (int32_t at = begin; at < end;) {
        const cu_step step = cu_next(line, &at, end);
        if (step.kind == CU_END) break;
        const uint64_t left = out && room > count ? room - count : 0;
        if (step.kind == CU_PLAIN) {
            if (left > 0) cu_put_plain(&step, step.num < left ? step.num : (uint32_t)left, table, out + count);
            count += step.num;
            continue;
        }
        uint32_t word[CU_LANES_HERE], place[CU_LANES_HERE];
        CU_EACH_LANE(slot, lane)
        {
            word[slot] = cu_line_word(line, step.begin + (int64_t)32 * lane, step.end);
            place[slot] = (uint32_t)cu_popcount(word[slot]);
        }
        const uint32_t num = cu_scan(place);
        if (left > 0)
            CU_EACH_LANE(slot, lane) cu_put_word(word[slot], (int32_t)((uint32_t)step.begin + 32u * (uint32_t)lane), place[slot], table, out + count, left);
        count += num;
    }
    return count;
}

#endif
