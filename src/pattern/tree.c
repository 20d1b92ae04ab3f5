/* SPDX-License-Identifier: Apache-2.0
 * tree(p0, p1, ...): the one built-in pattern without a closed form. Its rows are listed and the strip finder takes them. */
#include "core/finder.h"
#include "core/sort.h"
#include "pattern/pattern.h"

#include <string.h>

typedef rmask_vec(uint64_t) key_vec;

static int32_t parent_of(const rmask_arguments *arguments, int32_t node) { return arguments->at[node].value; }

/* Parents are nodes, and every node's ancestors end at a root. */
static rmask_status check_tree(const rmask_arguments *arguments, const rmask_allocator *allocator, rmask_error *error)
{
    const size_t n = arguments->num;
    for (size_t i = 0; i < n; i++) {
        const rmask_argument *parent = &arguments->at[i];
        if (parent->value >= 0 && (size_t)parent->value >= n)
            return rmask_fail_number(error, parent->position, -1, n - 1, arguments->usage);
    }
    size_t *seen_from = rmask_allocate(allocator, n, sizeof *seen_from); /* 1 + the first node whose walk upwards came by */
    if (!seen_from) return rmask_fail_nomem(error);
    memset(seen_from, 0, n * sizeof *seen_from);
    int32_t in_cycle = -1;
    for (size_t i = 0; i < n && in_cycle < 0; i++) {
        int32_t node = (int32_t)i;
        for (; node >= 0 && !seen_from[node]; node = parent_of(arguments, node)) seen_from[node] = i + 1;
        if (node >= 0 && seen_from[node] == i + 1) in_cycle = node;
    }
    rmask_free(allocator, seen_from, n, sizeof *seen_from);
    if (in_cycle < 0) return RMASK_OK;
    const size_t position = arguments->at[in_cycle].position;
    return rmask_fail_at(error, position, "node %d is its own ancestor at position %zu; expected a tree in %s", (int)in_cycle,
                         position, arguments->usage);
}

/* The flips of one row: a node and its ancestors, as far as they are columns. */
static bool list_ancestors(const rmask_arguments *arguments, int32_t node, int32_t cols, const rmask_allocator *allocator,
                           key_vec *keys, rmask_int32_vec *flips)
{
    keys->len = flips->len = 0;
    for (; node >= 0; node = parent_of(arguments, node)) {
        if (node < cols && !rmask_vec_push(allocator, keys, (uint64_t)node)) return false;
    }
    if (!rmask_vec_reserve(allocator, flips, 2 * keys->len) || !rmask_sort_u64(allocator, keys->at, keys->len)) return false;
    for (size_t i = 0; i < keys->len; i++) rmask_list_put(flips, (int32_t)keys->at[i]);
    if (flips->len && flips->at[flips->len - 1] == cols) flips->len--;
    return true;
}

rmask_status rmask_make_tree(const rmask_arguments *arguments, int32_t rows, int32_t cols, const rmask_allocator *allocator,
                             rmask **out, rmask_error *error)
{
    RMASK_TRY(check_tree(arguments, allocator, error));
    key_vec keys = {0};
    rmask_int32_vec flips = {0};
    rmask_finder finder;
    rmask_finder_init(&finder, rows, cols, allocator);
    rmask_status status = RMASK_OK;
    for (int32_t row = 0; row < rows && (size_t)row < arguments->num && !status; row++) {
        status = RMASK_ERR_NOMEM;
        if (list_ancestors(arguments, row, cols, allocator, &keys, &flips))
            status = rmask_finder_row(&finder, row, (rmask_finder_input){.flips = &flips});
    }
    rmask_vec_free(allocator, &keys);
    rmask_vec_free(allocator, &flips);
    if (status == RMASK_OK || finder.draft.failed) return rmask_finder_finish(&finder, out, error);
    rmask_finder_discard(&finder);
    return rmask_fail_nomem(error);
}
