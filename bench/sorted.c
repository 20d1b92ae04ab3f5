/* SPDX-License-Identifier: Apache-2.0
 * Intersection of sorted lists, for the methods that hold lists. */
#include "sorted.h"

#include "cli.h"

#include <stdlib.h>
#include <string.h>

/* Few against many: each of the few is looked for by doubling steps. */
static size_t intersect_gallop(const int32_t *few, size_t num_few, const int32_t *many, size_t num_many, int32_t *out)
{
    size_t count = 0, at = 0;
    for (size_t i = 0; i < num_few && at < num_many; i++) {
        at += sorted_gallop(many + at, num_many - at, few[i]);
        if (at < num_many && many[at] == few[i])
            out[count++] = few[i];
    }
    return count;
}

struct cursor {
    const int32_t *a, *b;
    size_t num_a, num_b, count;
};

static void advance(struct cursor *at, size_t by_a, size_t by_b)
{
    at->a += by_a, at->num_a -= by_a;
    at->b += by_b, at->num_b -= by_b;
}

/* At most so many steps. No branch depends on the values: lists of random columns would mispredict at every other one. */
static void merge_steps(struct cursor *at, int32_t *out, size_t max_steps)
{
    const int32_t *a = at->a, *b = at->b;
    size_t i = 0, j = 0, count = at->count;
    for (size_t step = 0; step < max_steps && i < at->num_a && j < at->num_b; step++) {
        int32_t x = a[i], y = b[j];
        out[count] = x;
        count += x == y;
        i += x <= y;
        j += y <= x;
    }
    at->count = count;
    advance(at, i, j);
}

/* Marks the columns of one list in a bitset and looks up those of the other: three passes without any branch on the values, and
 * unlike in a merge no step waits for the one before. */
static void intersect_marked(struct cursor *at, int32_t *out)
{
    static uint64_t *marks;
    static size_t num_words;
    int32_t last = at->a[at->num_a - 1];
    size_t wanted = (size_t)last / 64 + 1, count = at->count;
    if (wanted > num_words) {
        free(marks);
        marks = cli_alloc(wanted, sizeof *marks);
        num_words = wanted;
    }
    size_t num_b = sorted_lower_bound(at->b, at->num_b, last);
    num_b += num_b < at->num_b && at->b[num_b] == last;
    for (size_t i = 0; i < at->num_a; i++)
        marks[at->a[i] / 64] |= UINT64_C(1) << at->a[i] % 64;
    for (size_t i = 0; i < num_b; i++) {
        int32_t col = at->b[i];
        out[count] = col;
        count += marks[col / 64] >> col % 64 & 1;
    }
    for (size_t i = 0; i < at->num_a; i++)
        marks[at->a[i] / 64] = 0;
    at->count = count;
}

/* Whole blocks that lie before the other list's next value are skipped, and equal ones copied: lists of runs are mostly those,
 * and lists that turn out not to be are marked instead. */
static size_t intersect_merge(const int32_t *a, size_t num_a, const int32_t *b, size_t num_b, int32_t *out)
{
    enum { BLOCK = 16, PATIENCE = 4 };
    struct cursor at = {a, b, num_a, num_b, 0};
    int num_mixed = 0;
    while (at.num_a >= BLOCK && at.num_b >= BLOCK) {
        if (at.a[BLOCK - 1] < at.b[0]) {
            advance(&at, BLOCK, 0);
        } else if (at.b[BLOCK - 1] < at.a[0]) {
            advance(&at, 0, BLOCK);
        } else if (at.a[0] == at.b[0] && at.a[BLOCK - 1] == at.b[BLOCK - 1] && memcmp(at.a, at.b, BLOCK * sizeof *a) == 0) {
            memcpy(out + at.count, at.a, BLOCK * sizeof *out);
            at.count += BLOCK;
            advance(&at, BLOCK, BLOCK);
        } else if (num_mixed++ < PATIENCE) {
            merge_steps(&at, out, BLOCK);
        } else {
            intersect_marked(&at, out);
            return at.count;
        }
    }
    merge_steps(&at, out, SIZE_MAX);
    return at.count;
}

size_t sorted_intersect(const int32_t *a, size_t num_a, const int32_t *b, size_t num_b, int32_t *out)
{
    enum { GALLOP_RATIO = 32 };
    if (num_a == 0 || num_b == 0)
        return 0;
    /* Two windows seldom cover the same columns: what lies before the other's begin or after its end is not walked. */
    size_t skip_a = sorted_gallop(a, num_a, b[0]), skip_b = sorted_gallop(b, num_b, a[0]);
    a += skip_a, num_a -= skip_a;
    b += skip_b, num_b -= skip_b;
    if (num_a / GALLOP_RATIO > num_b)
        return intersect_gallop(b, num_b, a, num_a, out);
    if (num_b / GALLOP_RATIO > num_a)
        return intersect_gallop(a, num_a, b, num_b, out);
    return intersect_merge(a, num_a, b, num_b, out);
}
