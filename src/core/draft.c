/* SPDX-License-Identifier: Apache-2.0
 * A mask being made: strips, and the mask at the end. The exceptions' side is in draft_exceptions.c. */
#include "core/draft.h"

#include "core/mask.h"

#include <string.h>

void rmask_draft_init(rmask_draft *draft, int32_t rows, int32_t cols, const rmask_allocator *allocator)
{
    *draft = (rmask_draft){.allocator = rmask_allocator_or_default(allocator), .rows = rows, .cols = cols};
}

void rmask_draft_discard(rmask_draft *draft)
{
    const rmask_allocator *allocator = &draft->allocator;
    rmask_vec_free(allocator, &draft->strips);
    rmask_vec_free(allocator, &draft->fixed.values);
    rmask_vec_free(allocator, &draft->sliding.values);
    rmask_vec_free(allocator, &draft->exception_rows);
    rmask_vec_free(allocator, &draft->exception_ends);
    rmask_vec_free(allocator, &draft->containers);
    rmask_vec_free(allocator, &draft->scratch);
    rmask_vec_free(allocator, &draft->flips);
}

static rmask_status fail(rmask_draft *draft, rmask_status status)
{
    if (draft->failed == RMASK_OK) draft->failed = status;
    return status;
}

/* ---------------------------------------------------------------- lists */

/* Copies an ascending list without what lies outside (first, end) and without pairs of equal entries. Returns the new length;
 * `num_before` gets the number of entries at or left of `first`. */
static size_t normalise(int32_t *out, const int32_t *list, size_t n, int64_t first, int64_t end, size_t *num_before)
{
    size_t len = 0, i = rmask_upper_bound(list, n, first);
    *num_before = i;
    for (; i < n && list[i] < end; i++) {
        if (len > 0 && out[len - 1] == list[i])
            len--;
        else
            out[len++] = list[i];
    }
    return len;
}

/* Where a list begins in one of the pool's remembered lists, and how much of it stands there. Only the last list can grow, so in the
 * others all of it must. */
static bool find_shared(const rmask_pool *pool, const int32_t *list, size_t n, size_t *begin, size_t *shared)
{
    size_t end = pool->values.len;
    for (size_t i = pool->num_lists; i-- > 0; end = pool->begins[i]) {
        const size_t list_begin = pool->begins[i];
        const size_t after = rmask_upper_bound(pool->values.at + list_begin, end - list_begin, list[0]);
        if (after == 0 || pool->values.at[list_begin + after - 1] != list[0]) continue;
        *begin = list_begin + after - 1;
        *shared = end - *begin < n ? end - *begin : n;
        if (*shared < n && end < pool->values.len) continue;
        if (memcmp(pool->values.at + *begin, list, *shared * sizeof *list) == 0) return true;
    }
    return false;
}

/* Puts an ascending list into a pool, sharing what it can: the same list, a part of it, or the last one's end, from where it goes on.
 * So lists that grow, shrink, move on or alternate with the rows cost what is new in them. */
static rmask_status intern(const rmask_allocator *allocator, rmask_pool *pool, const int32_t *list, size_t n, uint32_t *begin)
{
    size_t at = pool->values.len, shared = 0;
    *begin = 0;
    if (n == 0) return RMASK_OK;
    if (pool->values.len + n > UINT32_MAX) return RMASK_ERR_LIMIT;
    const bool found = find_shared(pool, list, n, &at, &shared);
    if (!found) {
        at = pool->values.len;
        shared = 0;
    }
    if (!rmask_vec_reserve(allocator, &pool->values, n - shared)) return RMASK_ERR_NOMEM;
    if (!found) {
        if (pool->num_lists == RMASK_RECENT_LISTS)
            memmove(pool->begins, pool->begins + 1, --pool->num_lists * sizeof *pool->begins);
        pool->begins[pool->num_lists++] = at;
    }
    if (n > shared) memcpy(pool->values.at + pool->values.len, list + shared, (n - shared) * sizeof *list);
    pool->values.len += n - shared;
    *begin = (uint32_t)at;
    return RMASK_OK;
}

/* ---------------------------------------------------------------- strips */

rmask_boundaries rmask_draft_boundaries(const rmask_draft *draft, const rmask_strip *strip)
{
    return (rmask_boundaries){draft->fixed.values.at + strip->fixed_begin, strip->num_fixed, draft->sliding.values.at + strip->sliding_begin,
                              strip->num_sliding};
}

static bool agree(const rmask_draft *draft, const rmask_strip *a, const rmask_strip *b, int64_t row_begin, int64_t row_end)
{
    if (a->num_fixed == b->num_fixed && a->num_sliding == b->num_sliding && a->fixed_begin == b->fixed_begin &&
        a->sliding_begin == b->sliding_begin)
        return true;
    return rmask_strips_agree(rmask_draft_boundaries(draft, a), rmask_draft_boundaries(draft, b), row_begin, row_end, draft->cols);
}

/* Joins the last strip, whose rows are now known to end at `row_end`, with those before it: two neighbours become one when the lists
 * of one give the right cells in the rows of the other, too. */
static void join_last(rmask_draft *draft, int32_t row_end)
{
    while (draft->strips.len >= 2) {
        rmask_strip *last = &draft->strips.at[draft->strips.len - 1], *before = last - 1;
        if (!agree(draft, before, last, last->row_begin, row_end)) {
            if (!agree(draft, before, last, before->row_begin, last->row_begin)) return;
            last->row_begin = before->row_begin;
            *before = *last;
        }
        draft->strips.len--;
    }
}

rmask_status rmask_draft_strip(rmask_draft *draft, int32_t row_begin, rmask_boundaries b)
{
    if (draft->failed) return draft->failed;
    if (row_begin >= draft->rows) return RMASK_OK;
    if (draft->strips.len == 0 && row_begin > 0) RMASK_TRY(rmask_draft_strip(draft, 0, (rmask_boundaries){0}));
    if (draft->strips.len && draft->strips.at[draft->strips.len - 1].row_begin == (uint32_t)row_begin)
        draft->strips.len--;
    else
        join_last(draft, row_begin);

    draft->scratch.len = 0;
    if (!rmask_vec_reserve(&draft->allocator, &draft->scratch, b.num_fixed + 1 + b.num_sliding) ||
        !rmask_vec_reserve(&draft->allocator, &draft->strips, 1))
        return fail(draft, RMASK_ERR_NOMEM);
    size_t fixed_before, sliding_before;
    int32_t *fixed = draft->scratch.at + 1, *sliding = fixed + b.num_fixed;
    rmask_strip strip = {.row_begin = (uint32_t)row_begin};
    strip.num_fixed = (uint32_t)normalise(fixed, b.fixed, b.num_fixed, 0, draft->cols, &fixed_before);
    strip.num_sliding =
        (uint32_t)normalise(sliding, b.sliding, b.num_sliding, 1 - (int64_t)draft->rows, draft->cols, &sliding_before);
    if ((fixed_before + sliding_before) % 2 && draft->cols > 0) {
        *--fixed = 0;
        strip.num_fixed++;
    }
    rmask_status status = intern(&draft->allocator, &draft->fixed, fixed, strip.num_fixed, &strip.fixed_begin);
    if (!status)
        status = intern(&draft->allocator, &draft->sliding, sliding, strip.num_sliding, &strip.sliding_begin);
    if (status) return fail(draft, status);
    rmask_vec_put(&draft->strips, strip);
    return RMASK_OK;
}

/* Puts the lists that are used into fresh pools, from the first strip to the last or the other way round. */
static rmask_status pool_lists(const rmask_draft *draft, bool backwards, rmask_strip *strips, rmask_pool pools[2])
{
    const size_t n = draft->strips.len;
    for (size_t i = 0; i < n; i++) {
        rmask_strip *strip = &strips[backwards ? n - 1 - i : i];
        const rmask_boundaries b = rmask_draft_boundaries(draft, strip);
        RMASK_TRY(intern(&draft->allocator, &pools[0], b.fixed, b.num_fixed, &strip->fixed_begin));
        RMASK_TRY(intern(&draft->allocator, &pools[1], b.sliding, b.num_sliding, &strip->sliding_begin));
    }
    return RMASK_OK;
}

/* Joining leaves lists behind that nobody uses, and lists that grow at their end share more in one order, those that grow at their
 * beginning in the other. */
static rmask_status tidy_pools(rmask_draft *draft)
{
    const rmask_allocator *allocator = &draft->allocator;
    const size_t n = draft->strips.len;
    rmask_pool pools[2][2] = {{{.num_lists = 0}}};
    rmask_strip *strips[2] = {rmask_allocate(allocator, n, sizeof(rmask_strip)), rmask_allocate(allocator, n, sizeof(rmask_strip))};
    rmask_status status = strips[0] && strips[1] ? RMASK_OK : RMASK_ERR_NOMEM;
    for (int way = 0; way < 2 && !status; way++) {
        if (n) memcpy(strips[way], draft->strips.at, n * sizeof(rmask_strip));
        status = pool_lists(draft, way == 1, strips[way], pools[way]);
    }
    if (!status) {
        const int best = pools[1][0].values.len + pools[1][1].values.len < pools[0][0].values.len + pools[0][1].values.len;
        const rmask_pool old[2] = {draft->fixed, draft->sliding};
        if (n) memcpy(draft->strips.at, strips[best], n * sizeof(rmask_strip));
        draft->fixed = pools[best][0];
        draft->sliding = pools[best][1];
        memcpy(pools[best], old, sizeof old);
    }
    for (int way = 0; way < 2; way++) {
        for (int pool = 0; pool < 2; pool++) rmask_vec_free(allocator, &pools[way][pool].values);
        rmask_free(allocator, strips[way], n, sizeof(rmask_strip));
    }
    return status;
}

/* All strips' list lengths together. */
static uint64_t boundaries_sum(const rmask_draft *draft)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < draft->strips.len; i++) sum += (uint64_t)draft->strips.at[i].num_fixed + draft->strips.at[i].num_sliding;
    return sum;
}

uint64_t rmask_draft_count(rmask_draft *draft)
{
    uint64_t count = (uint64_t)draft->exception_balance;
    for (size_t i = 0; i < draft->strips.len; i++) {
        const rmask_strip *strip = &draft->strips.at[i];
        const int64_t row_end = i + 1 < draft->strips.len ? (int64_t)strip[1].row_begin : draft->rows;
        count += rmask_strip_count(rmask_draft_boundaries(draft, strip), strip->row_begin, row_end, draft->cols);
    }
    return count;
}

/* ---------------------------------------------------------------- finishing */

/* A directory of consecutive rows costs 4 bytes a row of the span, a sparse one 8 bytes a row with exceptions. */
static void choose_directory(const rmask_draft *draft, rmask_header *header)
{
    const size_t n = draft->exception_rows.len;
    if (n == 0) return;
    const uint32_t first = (uint32_t)draft->exception_rows.at[0], span = (uint32_t)draft->exception_rows.at[n - 1] - first + 1;
    header->num_exception_rows = (uint32_t)n;
    if (2 * (uint64_t)n < span) {
        header->features |= RMASK_FEATURE_SPARSE_DIRECTORY;
        header->num_directory_rows = (uint32_t)n;
    } else {
        header->first_directory_row = first;
        header->num_directory_rows = span;
    }
}

static void write_directory(const rmask_draft *draft, rmask *mask)
{
    const size_t n = draft->exception_rows.len;
    if (n == 0) return;
    uint32_t *rows = (uint32_t *)(uintptr_t)mask->directory_rows, *offsets = (uint32_t *)(uintptr_t)mask->directory_offsets;
    if (rows) {
        memcpy(rows, draft->exception_rows.at, n * sizeof *rows);
        offsets[0] = 0;
        memcpy(offsets + 1, draft->exception_ends.at, n * sizeof *offsets);
        return;
    }
    const int32_t first = draft->exception_rows.at[0];
    uint32_t end = 0;
    for (size_t i = 0, j = 0; i < n; i++) {
        for (; j <= (size_t)(draft->exception_rows.at[i] - first); j++) offsets[j] = end;
        end = draft->exception_ends.at[i];
    }
    offsets[mask->header->num_directory_rows] = end;
}

static void copy_section(const void *section, const void *from, size_t num_bytes)
{
    if (num_bytes) memcpy((void *)(uintptr_t)section, from, num_bytes);
}

static rmask_status finish(rmask_draft *draft, rmask **out)
{
    if (draft->failed) return draft->failed;
    if (draft->strips.len == 0) RMASK_TRY(rmask_draft_strip(draft, 0, (rmask_boundaries){0}));
    join_last(draft, draft->rows);
    RMASK_TRY(tidy_pools(draft));
    if (boundaries_sum(draft) > RMASK_MAX_STRIP_BOUNDARIES) return RMASK_ERR_LIMIT;
    rmask_header header = {.magic = RMASK_MAGIC,
                           .version = RMASK_FORMAT_VERSION,
                           .rows = (uint32_t)draft->rows,
                           .cols = (uint32_t)draft->cols,
                           .count = rmask_draft_count(draft),
                           .num_exceptions = draft->num_exceptions,
                           .num_strips = (uint32_t)draft->strips.len,
                           .num_fixed = (uint32_t)draft->fixed.values.len,
                           .num_sliding = (uint32_t)draft->sliding.values.len,
                           .num_container_units = (uint32_t)draft->containers.len,
                           .container_cols = (uint32_t)draft->cols};
    choose_directory(draft, &header);
    header.num_bytes = rmask_layout_of(&header).end;

    rmask *mask = rmask_new(&header, &draft->allocator);
    if (!mask) return RMASK_ERR_NOMEM;
    copy_section(mask->strips, draft->strips.at, draft->strips.len * sizeof(rmask_strip));
    copy_section(mask->fixed, draft->fixed.values.at, draft->fixed.values.len * sizeof(int32_t));
    copy_section(mask->sliding, draft->sliding.values.at, draft->sliding.values.len * sizeof(int32_t));
    copy_section(mask->containers, draft->containers.at, draft->containers.len * sizeof(uint16_t));
    write_directory(draft, mask);
    *out = mask;
    return RMASK_OK;
}

rmask_status rmask_draft_finish(rmask_draft *draft, rmask **out, rmask_error *error)
{
    *out = NULL;
    const rmask_status status = finish(draft, out);
    rmask_draft_discard(draft);
    if (status == RMASK_ERR_NOMEM) return rmask_fail_nomem(error);
    if (status)
        return rmask_fail(error, status, "the mask is too irregular: its exceptions need more than 8 GiB, or its strips more than 2^32 boundaries");
    return RMASK_OK;
}
