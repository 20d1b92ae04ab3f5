/* SPDX-License-Identifier: Apache-2.0
 * Compacted block tables for a decode step over a paged cache. */
#include "roarmask/export.h"

#include "core/mask.h"

typedef struct request {
    const rmask *mask;
    int32_t row, num_tokens, num_pages;
    const int32_t *table;
} request;

static rmask_status check_request(const request *r, int32_t index, size_t table_stride, rmask_error *error)
{
    if (r->num_tokens < 1) return rmask_fail(error, RMASK_ERR_RANGE, "request %d has %d tokens: it has at least 1", (int)index, (int)r->num_tokens);
    if (r->num_pages > r->mask->cols)
        return rmask_fail(error, RMASK_ERR_RANGE, "request %d has %d pages, and its mask %d columns", (int)index, (int)r->num_pages, (int)r->mask->cols);
    if ((size_t)r->num_pages > table_stride)
        return rmask_fail(error, RMASK_ERR_RANGE, "request %d has %d pages, and the block table room for %zu", (int)index, (int)r->num_pages, table_stride);
    return rmask_check_row(r->row, r->mask->rows, error);
}

/* Keeps the row's pages before the last one, which is kept in any case. */
static size_t put_pages(const request *r, const int32_t *cols, size_t num_cols, int32_t *out)
{
    const int32_t last = r->num_pages - 1;
    size_t count = 0;
    for (; count < num_cols && cols[count] < last; count++) out[count] = r->table[cols[count]];
    out[count++] = r->table[last];
    return count;
}

rmask_status rmask_export_pages(const rmask *const *masks, const int32_t *rows, int32_t num_requests, const int32_t *block_table, size_t table_stride,
                                const int32_t *seq_lens, int32_t page_tokens, int32_t *out_table, size_t out_stride, int32_t *out_counts,
                                int32_t *out_lens, rmask_error *error)
{
    if (page_tokens < 1) return rmask_fail(error, RMASK_ERR_ARGUMENT, "pages of %d tokens: they have at least 1", (int)page_tokens);
    if (num_requests <= 0) return RMASK_OK;
    const rmask_allocator *allocator = &masks[0]->allocator;
    rmask_int32_vec cols = {0};
    rmask_status status = RMASK_OK;
    for (int32_t i = 0; i < num_requests && !status; i++) {
        const request r = {masks[i], rows[i], seq_lens[i], (int32_t)(((int64_t)seq_lens[i] + page_tokens - 1) / page_tokens),
                           block_table + (size_t)i * table_stride};
        size_t count;
        status = check_request(&r, i, table_stride, error);
        if (!status) status = rmask_row_count(r.mask, r.row, &count, error);
        if (status) break;
        if (cols.cap < count && !rmask_vec_reserve(allocator, &cols, count)) {
            status = rmask_fail_nomem(error);
            break;
        }
        status = rmask_row(r.mask, r.row, cols.at, count, &count, error);
        if (status) break;
        size_t kept = 0;
        while (kept < count && cols.at[kept] < r.num_pages - 1) kept++;
        if (kept + 1 > out_stride) {
            status = rmask_fail(error, RMASK_ERR_CAPACITY, "request %d needs %zu pages, and there is room for %zu", (int)i, kept + 1, out_stride);
            break;
        }
        kept = put_pages(&r, cols.at, kept, out_table + (size_t)i * out_stride);
        out_counts[i] = (int32_t)kept;
        out_lens[i] = (int32_t)((kept - 1) * (size_t)page_tokens) + (r.num_tokens - 1) % page_tokens + 1;
    }
    rmask_vec_free(allocator, &cols);
    return status;
}
