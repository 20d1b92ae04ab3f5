/* SPDX-License-Identifier: Apache-2.0
 * What the parser and the patterns share. A pattern is a set of cells of the infinite grid, of which a mask takes its part. */
#ifndef ROARMASK_PATTERN_PATTERN_H
#define ROARMASK_PATTERN_PATTERN_H

#include "core/draft.h"
#include "core/status.h"
#include "pattern/scanner.h"

/* A whole number between a pattern's parentheses. */
typedef struct rmask_argument {
    int32_t value;
    size_t position; /* byte offset into the expression */
} rmask_argument;

typedef struct rmask_arguments {
    const rmask_argument *at;
    size_t num;
    const char *usage; /* the pattern's, for messages */
} rmask_arguments;

/* Adds a pattern's strips to an empty draft. Fails with a message of its own for arguments that make no sense; statuses of
 * the draft are passed on, their message is the draft's to give. */
typedef rmask_status (*rmask_pattern_build)(rmask_draft *draft, const rmask_arguments *arguments, rmask_error *error);

/* A pattern whose arguments are whole numbers. */
typedef struct rmask_pattern {
    const char *name;
    const char *usage;          /* as messages show it */
    size_t min_args, max_args;  /* 0 and 0: written without parentheses */
    int32_t least_first, least; /* smallest value of the first argument and of the others */
    rmask_pattern_build build;  /* NULL for the one that has no closed form: rmask_make_tree */
} rmask_pattern;

/* NULL when there is no such pattern. `name` is not terminated. */
const rmask_pattern *rmask_pattern_find(const char *name, size_t length);

/* Every name that an expression may call, separated by ", ". */
extern const char rmask_pattern_names[];

/* Patterns that are lists of any length: lists.c, tree.c. */
rmask_status rmask_build_columns(rmask_draft *draft, const rmask_arguments *arguments, rmask_error *error);
rmask_status rmask_build_diagonals(rmask_draft *draft, const rmask_arguments *arguments, rmask_error *error);
rmask_status rmask_build_documents(rmask_draft *draft, const rmask_arguments *arguments, rmask_error *error);
rmask_status rmask_make_tree(const rmask_arguments *arguments, int32_t rows, int32_t cols, const rmask_allocator *allocator,
                             rmask **out, rmask_error *error);

/* `random(...)` from its opening parenthesis on: random.c. */
rmask_status rmask_build_random(rmask_draft *draft, rmask_scanner *scanner);

/* Strips of one list, from `row_begin` on; boundaries may lie anywhere. Rows past the grid are left out. */
rmask_status rmask_put_range(rmask_draft *draft, int64_t row_begin, int64_t col_begin, int64_t col_end); /* c in [begin, end) */
rmask_status rmask_put_band(rmask_draft *draft, int64_t row_begin, int64_t begin, int64_t end); /* c - r in [begin, end) */

/* Adds the boundaries of [start, start + 1), which is right of what the list has, as a part of the last range if it touches
 * that. There is room for two entries. */
static inline void rmask_list_put(rmask_int32_vec *list, int32_t start)
{
    if (list->len && list->at[list->len - 1] == start) {
        list->at[list->len - 1] = start + 1;
    } else {
        rmask_vec_put(list, start);
        rmask_vec_put(list, start + 1);
    }
}

/* One strip over all rows with the list's boundaries. */
rmask_status rmask_put_list(rmask_draft *draft, const rmask_int32_vec *list, bool sliding);

#endif
