/* SPDX-License-Identifier: Apache-2.0
 * The patterns made of a list of numbers of any length. */
#include "core/sort.h"
#include "pattern/pattern.h"

/* One strip over all rows, of the diagonals c - r or the columns c that are `sign` times an argument. */
static rmask_status put_singles(rmask_draft *draft, const rmask_arguments *arguments, int sign, bool sliding)
{
    const rmask_allocator *allocator = &draft->allocator;
    const int64_t origin = draft->rows; /* keys to sort by are not negative */
    rmask_vec(uint64_t) keys = {0};
    rmask_int32_vec list = {0};
    bool enough = rmask_vec_reserve(allocator, &keys, arguments->num) &&
                  rmask_vec_reserve(allocator, &list, 2 * arguments->num);
    for (size_t i = 0; enough && i < arguments->num; i++) {
        const int64_t place = sign * (int64_t)arguments->at[i].value;
        if (-origin < place && place < draft->cols) rmask_vec_put(&keys, (uint64_t)(place + origin));
    }
    enough = enough && rmask_sort_u64(allocator, keys.at, keys.len);
    for (size_t i = 0; enough && i < keys.len; i++) {
        if (i == 0 || keys.at[i] != keys.at[i - 1]) rmask_list_put(&list, (int32_t)((int64_t)keys.at[i] - origin));
    }
    rmask_vec_free(allocator, &keys);
    const rmask_status status = enough ? rmask_put_list(draft, &list, sliding) : RMASK_ERR_NOMEM;
    rmask_vec_free(allocator, &list);
    return status;
}

rmask_status rmask_build_columns(rmask_draft *draft, const rmask_arguments *arguments, rmask_error *error)
{
    (void)error;
    return put_singles(draft, arguments, 1, false);
}

rmask_status rmask_build_diagonals(rmask_draft *draft, const rmask_arguments *arguments, rmask_error *error)
{
    (void)error;
    return put_singles(draft, arguments, -1, true);
}

rmask_status rmask_build_documents(rmask_draft *draft, const rmask_arguments *arguments, rmask_error *error)
{
    (void)error;
    int64_t begin = 0;
    for (size_t i = 0; i < arguments->num && begin < draft->cols; i++) {
        const int64_t size = arguments->at[i].value;
        /* neighbours of one block are one piece of a diagonal, not a strip each */
        RMASK_TRY(size == 1 ? rmask_put_band(draft, begin, 0, 1) : rmask_put_range(draft, begin, begin, begin + size));
        begin += size;
    }
    return rmask_put_range(draft, begin, 0, 0);
}
