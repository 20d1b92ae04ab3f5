/* SPDX-License-Identifier: Apache-2.0
 * The patterns with a few numbers, in closed form, and the table of all patterns whose arguments are numbers. Positions are
 * worked out in 64 bits: windows and distances may be far larger than the grid. */
#include "pattern/pattern.h"

#include <string.h>

enum { ANY = -INT32_MAX };

static int64_t min64(int64_t a, int64_t b) { return a < b ? a : b; }

static int32_t clamp(int64_t value, int64_t least, int64_t most)
{
    return (int32_t)(value < least ? least : value > most ? most : value);
}

static bool is_empty(const rmask_draft *draft) { return draft->rows == 0 || draft->cols == 0; }

rmask_status rmask_put_range(rmask_draft *draft, int64_t row_begin, int64_t col_begin, int64_t col_end)
{
    if (row_begin >= draft->rows) return RMASK_OK;
    const int32_t fixed[] = {clamp(col_begin, 0, draft->cols), clamp(col_end, 0, draft->cols)};
    const rmask_boundaries boundaries = {.fixed = fixed, .num_fixed = fixed[0] < fixed[1] ? 2 : 0};
    return rmask_draft_strip(draft, (int32_t)row_begin, boundaries);
}

rmask_status rmask_put_band(rmask_draft *draft, int64_t row_begin, int64_t begin, int64_t end)
{
    if (row_begin >= draft->rows) return RMASK_OK;
    const int64_t least = -(int64_t)draft->rows;
    const int32_t sliding[] = {clamp(begin, least, draft->cols), clamp(end, least, draft->cols)};
    const rmask_boundaries boundaries = {.sliding = sliding, .num_sliding = sliding[0] < sliding[1] ? 2 : 0};
    return rmask_draft_strip(draft, (int32_t)row_begin, boundaries);
}

rmask_status rmask_put_list(rmask_draft *draft, const rmask_int32_vec *list, bool sliding)
{
    rmask_boundaries boundaries = {0};
    *(sliding ? &boundaries.sliding : &boundaries.fixed) = list->at;
    *(sliding ? &boundaries.num_sliding : &boundaries.num_fixed) = list->len;
    return rmask_draft_strip(draft, 0, boundaries);
}

/* c - r in every `step`th place of [first, last], step >= 2. */
static rmask_status put_comb(rmask_draft *draft, int64_t first, int64_t last, int64_t step)
{
    rmask_int32_vec list = {0};
    if (!rmask_vec_reserve(&draft->allocator, &list, 2 * ((last - first) / step + 1))) return RMASK_ERR_NOMEM;
    for (int64_t start = first; start <= last; start += step) rmask_list_put(&list, (int32_t)start);
    const rmask_status status = rmask_put_list(draft, &list, true);
    rmask_vec_free(&draft->allocator, &list);
    return status;
}

/* From `row_begin` on, c <= r + (cols - rows). */
static rmask_status put_causal(rmask_draft *draft, int64_t row_begin)
{
    if (row_begin >= draft->rows) return RMASK_OK;
    const int32_t fixed = 0, sliding = clamp(1 + (int64_t)draft->cols - draft->rows, -(int64_t)draft->rows, draft->cols);
    return rmask_draft_strip(draft, (int32_t)row_begin, (rmask_boundaries){&fixed, 1, &sliding, 1});
}

static rmask_status build_full(rmask_draft *draft, const rmask_arguments *arguments, rmask_error *error)
{
    (void)arguments, (void)error;
    return rmask_put_range(draft, 0, 0, draft->cols);
}

static rmask_status build_none(rmask_draft *draft, const rmask_arguments *arguments, rmask_error *error)
{
    (void)draft, (void)arguments, (void)error;
    return RMASK_OK;
}

static rmask_status build_causal(rmask_draft *draft, const rmask_arguments *arguments, rmask_error *error)
{
    (void)arguments, (void)error;
    return put_causal(draft, 0);
}

static rmask_status build_window(rmask_draft *draft, const rmask_arguments *arguments, rmask_error *error)
{
    const int64_t first = arguments->at[0].value;
    if (arguments->num == 2) return rmask_put_band(draft, 0, -first, arguments->at[1].value + INT64_C(1));
    if (first < 0) return rmask_fail_number(error, arguments->at[0].position, 0, INT32_MAX, "window(w)");
    return rmask_put_band(draft, 0, 1 - first, 1);
}

static rmask_status build_sink(rmask_draft *draft, const rmask_arguments *arguments, rmask_error *error)
{
    (void)error;
    return rmask_put_range(draft, 0, 0, arguments->at[0].value);
}

static rmask_status build_global(rmask_draft *draft, const rmask_arguments *arguments, rmask_error *error)
{
    (void)error;
    const int32_t size = arguments->at[0].value;
    RMASK_TRY(rmask_put_range(draft, 0, 0, draft->cols));
    return rmask_put_range(draft, size, 0, size);
}

static rmask_status build_local(rmask_draft *draft, const rmask_arguments *arguments, rmask_error *error)
{
    (void)error;
    const int64_t size = arguments->at[0].value;
    if (size == 1) return rmask_put_band(draft, 0, 0, 1);
    int64_t begin = 0;
    for (; begin < min64(draft->rows, draft->cols); begin += size) {
        RMASK_TRY(rmask_put_range(draft, begin, begin, begin + size));
    }
    return rmask_put_range(draft, begin, 0, 0);
}

static rmask_status build_dilated(rmask_draft *draft, const rmask_arguments *arguments, rmask_error *error)
{
    (void)error;
    const int64_t count = arguments->at[0].value, step = arguments->at[1].value;
    if (count == 0 || is_empty(draft)) return RMASK_OK;
    if (step == 1) return rmask_put_band(draft, 0, 1 - count, 1);
    return put_comb(draft, -min64(count - 1, (draft->rows - 1) / step) * step, 0, step);
}

static rmask_status build_strided(rmask_draft *draft, const rmask_arguments *arguments, rmask_error *error)
{
    (void)error;
    const int64_t step = arguments->at[0].value;
    if (is_empty(draft)) return RMASK_OK;
    if (step == 1) return rmask_put_range(draft, 0, 0, draft->cols);
    return put_comb(draft, -((draft->rows - 1) / step) * step, (draft->cols - 1) / step * step, step);
}

static rmask_status build_prefix(rmask_draft *draft, const rmask_arguments *arguments, rmask_error *error)
{
    (void)error;
    const int64_t size = arguments->at[0].value;
    const int64_t passing_row = size - ((int64_t)draft->cols - draft->rows); /* from here on causal reaches past the prefix */
    RMASK_TRY(rmask_put_range(draft, 0, 0, size));
    return put_causal(draft, passing_row > 0 ? passing_row : 0);
}

static const rmask_pattern patterns[] = {
    {"full", "full", 0, 0, 0, 0, build_full},
    {"none", "none", 0, 0, 0, 0, build_none},
    {"causal", "causal", 0, 0, 0, 0, build_causal},
    {"window", "window(w) or window(a, b)", 1, 2, ANY, ANY, build_window},
    {"sink", "sink(g)", 1, 1, 0, 0, build_sink},
    {"global", "global(g)", 1, 1, 0, 0, build_global},
    {"local", "local(b)", 1, 1, 1, 1, build_local},
    {"dilated", "dilated(k, d)", 2, 2, 0, 1, build_dilated},
    {"strided", "strided(s)", 1, 1, 1, 1, build_strided},
    {"columns", "columns(c1, c2, ...)", 1, SIZE_MAX, 0, 0, rmask_build_columns},
    {"diagonals", "diagonals(d1, d2, ...)", 1, SIZE_MAX, ANY, ANY, rmask_build_diagonals},
    {"documents", "documents(n1, n2, ...)", 1, SIZE_MAX, 0, 0, rmask_build_documents},
    {"prefix", "prefix(p)", 1, 1, 0, 0, build_prefix},
    {"tree", "tree(p0, p1, ...)", 1, SIZE_MAX, -1, -1, NULL},
};

const char rmask_pattern_names[] = "full, none, causal, window, sink, global, local, dilated, strided, columns, diagonals, "
                                   "documents, prefix, random, tree, file";

const rmask_pattern *rmask_pattern_find(const char *name, size_t length)
{
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
        if (strlen(patterns[i].name) == length && memcmp(patterns[i].name, name, length) == 0) return &patterns[i];
    }
    return NULL;
}
