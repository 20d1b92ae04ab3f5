/* SPDX-License-Identifier: Apache-2.0
 * The library that this benchmark belongs to, through its public header. */
#include "heap.h"
#include "method.h"

#include "cli.h"

#include <string.h>

static void *allocate(void *context, size_t num_bytes)
{
    (void)context;
    return bench_alloc(num_bytes);
}

static void release(void *context, void *memory, size_t num_bytes)
{
    (void)context;
    (void)num_bytes;
    bench_free(memory);
}

static const rmask_allocator allocator = {allocate, release, NULL};

static void check(rmask_status status, const rmask_error *error)
{
    cli_check(status, error, "method roarmask: ");
}

static size_t roarmask_estimate(const struct bench_csr *csr)
{
    return (size_t)csr->rows * 4 + (size_t)csr->indptr[csr->rows] * 2;
}

static void *roarmask_build(const struct bench_csr *csr)
{
    rmask *mask;
    rmask_error error;
    check(rmask_from_csr(csr->rows, csr->cols, csr->indptr, csr->indices, &allocator, &mask, &error), &error);
    return mask;
}

static void *roarmask_build_formula(const char *expression, int32_t rows, int32_t cols)
{
    rmask *mask;
    rmask_error error;
    check(rmask_parse(expression, rows, cols, &allocator, &mask, &error), &error);
    return mask;
}

static void roarmask_release(void *mask)
{
    rmask_release(mask);
}

static size_t roarmask_row(const void *mask, int32_t row, int32_t *out)
{
    size_t count;
    rmask_error error;
    check(rmask_row(mask, row, out, (size_t)rmask_cols(mask) + BENCH_SLACK, &count, &error), &error);
    return count;
}

static size_t roarmask_row_and(const void *mask, int32_t row_a, int32_t row_b, int32_t *out)
{
    size_t count;
    rmask_error error;
    size_t capacity = (size_t)rmask_cols(mask) + BENCH_SLACK;
    check(rmask_row_combine(mask, row_a, mask, row_b, RMASK_AND, out, capacity, &count, &error), &error);
    return count;
}

static void *roarmask_and(const void *a, const void *b)
{
    rmask *out;
    rmask_error error;
    check(rmask_and(a, b, &out, &error), &error);
    return out;
}

static void roarmask_to_csr(const void *mask, int64_t *indptr, int32_t *indices)
{
    rmask_error error;
    size_t capacity = (size_t)rmask_count(mask) + BENCH_SLACK;
    check(rmask_to_csr(mask, 0, rmask_rows(mask), indptr, indices, capacity, &error), &error);
}

static size_t roarmask_serialized_bytes(const void *mask)
{
    size_t num_bytes;
    rmask_data(mask, &num_bytes);
    return num_bytes;
}

static void roarmask_serialize(const void *mask, void *buffer)
{
    size_t num_bytes;
    const void *data = rmask_data(mask, &num_bytes);
    memcpy(buffer, data, num_bytes);
}

static void *roarmask_deserialize(const void *buffer, size_t num_bytes)
{
    rmask *mask;
    rmask_error error;
    check(rmask_from_data(buffer, num_bytes, &allocator, &mask, &error), &error);
    return mask;
}

const struct bench_method bench_roarmask = {
    .name = "roarmask",
    .estimate_bytes = roarmask_estimate,
    .build_rows = roarmask_build,
    .build_formula = roarmask_build_formula,
    .release = roarmask_release,
    .row = roarmask_row,
    .row_and = roarmask_row_and,
    .mask_and = roarmask_and,
    .to_csr = roarmask_to_csr,
    .serialized_bytes = roarmask_serialized_bytes,
    .serialize = roarmask_serialize,
    .deserialize = roarmask_deserialize,
};
