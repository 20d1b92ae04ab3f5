/* SPDX-License-Identifier: Apache-2.0
 * The walk of a warp over a row, which counting, listing and the decode step share. It goes from stretch to stretch: nothing, a run of columns,
 * a list of exceptions; and where these are short, 1,024 columns as bits, 32 of each lane.
 *
 * A row is one of each mask of a fold. `num` is a constant 1 wherever one mask is walked, so that its row stays in registers. */
#ifndef ROARMASK_CUDA_WALK_H
#define ROARMASK_CUDA_WALK_H

#include "cuda/row.h"

/* Stretches from this length on are worth a step of their own. */
enum { CU_LONG = 128, CU_WORDS_COLS = 32 * CU_LANES };

/* The fold's function of 32 memberships each. */
CU_FN uint32_t cu_apply(uint32_t function, uint32_t a, uint32_t b)
{
    return (function & 8 ? a & b : 0) | (function & 4 ? a & ~b : 0) | (function & 2 ? ~a & b : 0) | (function & 1 ? ~a & ~b : 0);
}

typedef struct cu_rows {
    const cu_row *row; /* one of each mask */
    int num;
    uint32_t function;
} cu_rows;

/* The columns [col, col + 32) of the fold, those from `end` on being 0. */
CU_FN uint32_t cu_fold_word(cu_rows rows, int64_t col, int64_t end)
{
    if (col >= end) return 0;
    uint32_t word = cu_row_word(&rows.row[0], col);
    for (int i = 1; i < rows.num; i++) word = cu_apply(rows.function, word, cu_row_word(&rows.row[i], col));
    return end - col < 32 ? word & ~(0xffffffffu << (end - col)) : word;
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

/* The stretch without the exceptions in it: it ends at the first. */
CU_FN void cu_cut(cu_stretch *s)
{
    if (s->num_values > 0) s->end = s->base + s->values[0];
    s->num_values = 0;
}

/* Takes the next step from *at on, which it moves behind it. limit <= cols. */
CU_FN cu_step cu_next(cu_rows rows, int32_t *at, int32_t limit)
{
    cu_step step;
    step.kind = CU_END;
    step.values = NULL;
    step.num = 0;
    step.base = 0;
    step.begin = step.end = limit;
    while (*at < limit) {
        step.begin = *at;
        cu_stretch s = cu_stretch_at(&rows.row[0], *at, limit);
        if (s.inside || rows.num > 1) cu_cut(&s);
        uint32_t inside = s.inside;
        for (int i = 1; i < rows.num && s.end > *at; i++) {
            cu_stretch t = cu_stretch_at(&rows.row[i], *at, s.end);
            cu_cut(&t);
            s.end = t.end;
            inside = cu_apply(rows.function, inside, t.inside) & 1;
        }
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

/* Counts the fold's columns in [begin, end), end <= cols, and writes the first `room` of them, or what `table` has for them, to `out`, which is
 * aligned to 4 bytes. `out` may be NULL. */
CU_FN uint32_t cu_walk(cu_rows rows, int32_t begin, int32_t end, const int32_t *table, int32_t *out, uint64_t room)
{
    uint32_t count = 0;
    for (int32_t at = begin; at < end;) {
        const cu_step step = cu_next(rows, &at, end);
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
            word[slot] = cu_fold_word(rows, step.begin + (int64_t)32 * lane, step.end);
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
