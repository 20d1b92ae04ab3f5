/* SPDX-License-Identifier: Apache-2.0
 * Inversion lists. */
#include "core/inversion.h"

size_t rmask_combine_lists(int32_t *out, unsigned function, const int32_t *a, size_t num_a, const int32_t *b, size_t num_b)
{
    if (function == 0 || function == 15) return 0;
    size_t len = 0, i = 0, j = 0;
    bool before = rmask_apply(function, false, false);
    while (i < num_a || j < num_b) {
        const int32_t at = j == num_b || (i < num_a && a[i] <= b[j]) ? a[i] : b[j];
        while (i < num_a && a[i] == at) i++;
        while (j < num_b && b[j] == at) j++;
        const bool after = rmask_apply(function, i & 1, j & 1);
        if (after != before) out[len++] = at;
        before = after;
    }
    return len;
}

size_t rmask_toggle_lists(int32_t *out, const int32_t *a, size_t num_a, const int32_t *b, size_t num_b, int32_t shift)
{
    size_t len = 0, i = 0, j = 0;
    while (i < num_a && j < num_b) {
        const int32_t u = a[i], w = b[j] + shift;
        out[len] = u < w ? u : w;
        len += u != w;
        i += u <= w;
        j += w <= u;
    }
    for (; i < num_a; i++) out[len++] = a[i];
    for (; j < num_b; j++) out[len++] = b[j] + shift;
    return len;
}
