/* SPDX-License-Identifier: Apache-2.0
 * Counting, comparing and skipping in strips. */
#include "core/strip.h"

#include "core/inversion.h"

/* n (n - 1) / 2 modulo 2^64, for n up to 2^33. */
static uint64_t triangle(uint64_t n) { return n % 2 ? (n - 1) / 2 * n : n / 2 * (n - 1); }

/* Sum over x < y of min(max(x - begin, 0), end - begin): how many cells of [begin, end) lie left of x, for all x up to y. */
static uint64_t cells_left_of(int64_t y, int64_t begin, int64_t end)
{
    if (y <= begin) return 0;
    if (y <= end) return triangle((uint64_t)(y - begin));
    return triangle((uint64_t)(end - begin)) + (uint64_t)(y - end) * (uint64_t)(end - begin);
}

/* The sum that counts a family of sliding boundaries against a list of fixed ones. Let G(x) be the number of columns left of x that
 * the fixed boundaries select. A sliding boundary w that opens or closes an interval takes away or adds G(w + row), so over all rows
 * it adds H(w + row_end) - H(w + row_begin) with H(y) = sum over x < y of G(x). This returns the alternating sum of H(w + row),
 * modulo 2^64. Both lists ascend, so one walk serves: intervals that lie left of y are summed up as passed_length * y + passed_rest. */
static uint64_t alternating_sum(rmask_boundaries strip, int64_t row, int64_t cols)
{
    uint64_t sum = 0, passed_length = 0, passed_rest = 0;
    size_t i = 0;
    for (size_t j = 0; j < strip.num_sliding; j++) {
        const int64_t y = strip.sliding[j] + row;
        int64_t begin = cols, end = cols;
        for (; i < strip.num_fixed; i += 2) {
            begin = strip.fixed[i];
            end = i + 1 < strip.num_fixed ? strip.fixed[i + 1] : cols;
            if (end > y) break;
            const uint64_t length = (uint64_t)(end - begin);
            passed_length += length;
            passed_rest += triangle(length) - length * (uint64_t)end;
        }
        uint64_t h = passed_length * (uint64_t)y + passed_rest;
        if (i < strip.num_fixed) h += cells_left_of(y, begin, end);
        sum += j % 2 ? h : 0 - h;
    }
    return sum;
}

uint64_t rmask_strip_count(rmask_boundaries strip, int64_t row_begin, int64_t row_end, int64_t cols)
{
    /* |F xor D| = |F| + |D| - 2 |F and D| for the fixed part F and the sliding part D; D is D counted against all columns. */
    static const int32_t zero = 0;
    const uint64_t num_rows = (uint64_t)(row_end - row_begin);
    const rmask_boundaries against_all = {&zero, 1, strip.sliding, strip.num_sliding};
    uint64_t fixed_cols = 0;
    for (size_t i = 0; i < strip.num_fixed; i += 2)
        fixed_cols += (uint64_t)((i + 1 < strip.num_fixed ? strip.fixed[i + 1] : cols) - strip.fixed[i]);
    uint64_t sliding_cells = alternating_sum(against_all, row_end, cols) - alternating_sum(against_all, row_begin, cols);
    uint64_t common_cells = alternating_sum(strip, row_end, cols) - alternating_sum(strip, row_begin, cols);
    if (strip.num_sliding % 2) { /* the last interval is open to the right */
        sliding_cells += num_rows * (uint64_t)cols;
        common_cells += num_rows * fixed_cols;
    }
    return num_rows * fixed_cols + sliding_cells - 2 * common_cells;
}

size_t rmask_strip_flips(int32_t *out, rmask_boundaries strip, int32_t row, int64_t cols)
{
    size_t i = 0, j = rmask_upper_bound(strip.sliding, strip.num_sliding, -(int64_t)row), len = 0;
    size_t odd = j; /* flips at or left of column 0 */
    for (; i < strip.num_fixed && strip.fixed[i] <= 0; i++) odd++;
    size_t num_fixed = strip.num_fixed, num_sliding = strip.num_sliding;
    while (num_fixed > i && strip.fixed[num_fixed - 1] >= cols) num_fixed--;
    while (num_sliding > j && strip.sliding[num_sliding - 1] + (int64_t)row >= cols) num_sliding--;
    if (odd % 2 && cols > 0) out[len++] = 0;
    return len + rmask_toggle_lists(out + len, strip.fixed + i, num_fixed - i, strip.sliding + j, num_sliding - j, row);
}

bool rmask_strips_agree(rmask_boundaries a, rmask_boundaries b, int64_t row_begin, int64_t row_end, int64_t cols)
{
    bool odd = false; /* flips at column 0 that one of the two has more */
    size_t i = 0, j = 0;
    while (i < a.num_fixed || j < b.num_fixed) {
        const int64_t u = i < a.num_fixed ? a.fixed[i] : INT64_MAX, v = j < b.num_fixed ? b.fixed[j] : INT64_MAX;
        if (u != v) {
            const int64_t position = u < v ? u : v;
            if (position <= 0)
                odd = !odd;
            else if (position < cols)
                return false;
            else
                break; /* this one and all that follow are right of the grid */
        }
        i += u <= v;
        j += v <= u;
    }
    i = j = 0;
    while (i < a.num_sliding || j < b.num_sliding) {
        const int64_t u = i < a.num_sliding ? a.sliding[i] : INT64_MAX, v = j < b.num_sliding ? b.sliding[j] : INT64_MAX;
        if (u != v) {
            const int64_t w = u < v ? u : v;
            if (w + row_end - 1 <= 0)
                odd = !odd;
            else if (w + row_begin < cols)
                return false;
            else
                break;
        }
        i += u <= v;
        j += v <= u;
    }
    return !odd;
}

/* The first of the ascending values at or after `from` that is above `key`: doubling steps, then bisection. */
static const int32_t *gallop(const int32_t *from, const int32_t *end, int64_t key)
{
    size_t step = 1;
    while ((size_t)(end - from) > step && from[step] <= key) {
        from += step;
        step *= 2;
    }
    const size_t n = (size_t)(end - from) < step ? (size_t)(end - from) : step;
    return from + rmask_upper_bound(from, n, key);
}

void rmask_flips_seek(rmask_flips *flips, int32_t col)
{
    const int32_t *const fixed = gallop(flips->fixed, flips->fixed_end, col);
    const int32_t *const sliding = gallop(flips->sliding, flips->sliding_end, (int64_t)col - flips->row);
    if (((fixed - flips->fixed) + (sliding - flips->sliding)) % 2) flips->inside = !flips->inside;
    flips->fixed = fixed;
    flips->sliding = sliding;
    flips->at = col;
}
