/* SPDX-License-Identifier: Apache-2.0
 * The first byte chooses a grid and a way in, the others claim to be a Roaring bitmap in the portable format. What is taken holds the cells
 * that CRoaring reads, and comes back from the bytes that are written of it. */
#include "fuzz.h"

#include "roarmask/exchange.h"

#include <stdlib.h>
#include <string.h>

#ifdef ROARMASK_HAVE_CROARING
#include <roaring.h>
#endif

static const struct {
    int32_t rows, cols;
} grids[] = {{1, 65536},  {40, 200},  {65536, 65536}, {12, 70000}, {70000, 12}, {1, 200000}, {INT32_MAX, INT32_MAX},
             {1, INT32_MAX}, {65536, 1}, {0, 0},        {1, 1},      {3, 65535}, {65537, 65537}};
enum { NUM_GRIDS = sizeof grids / sizeof *grids, MOST_VALUES = 10000 };

#ifdef ROARMASK_HAVE_CROARING

/* Whether CRoaring takes the bytes, and how many of its values are not in the mask. */
static bool peer_reads(const rmask *mask, bool by_row, const void *bytes, size_t num_bytes, uint64_t *num_values, uint64_t *num_strange)
{
    const bool is_32 = by_row || (rmask_rows(mask) <= RMASK_ROARING_MAX_SIDE && rmask_cols(mask) <= RMASK_ROARING_MAX_SIDE);
    *num_strange = 0;
    if (is_32) {
        roaring_bitmap_t *bitmap = roaring_bitmap_portable_deserialize_safe(bytes, num_bytes);
        if (!bitmap) return false;
        roaring_uint32_iterator_t *it = roaring_iterator_create(bitmap);
        *num_values = roaring_bitmap_get_cardinality(bitmap);
        for (int i = 0; it->has_value && i < MOST_VALUES; roaring_uint32_iterator_advance(it), i++) {
            const int32_t row = by_row ? 0 : (int32_t)(it->current_value >> 16);
            const uint32_t col = by_row ? it->current_value : it->current_value & 0xffff;
            *num_strange += col > INT32_MAX || !rmask_contains(mask, row, (int32_t)col);
        }
        roaring_uint32_iterator_free(it);
        roaring_bitmap_free(bitmap);
        return true;
    }
    roaring64_bitmap_t *bitmap = roaring64_bitmap_portable_deserialize_safe(bytes, num_bytes);
    if (!bitmap) return false;
    roaring64_iterator_t *it = roaring64_iterator_create(bitmap);
    *num_values = roaring64_bitmap_get_cardinality(bitmap);
    for (int i = 0; roaring64_iterator_has_value(it) && i < MOST_VALUES; roaring64_iterator_advance(it), i++) {
        const uint64_t value = roaring64_iterator_value(it);
        *num_strange += value >> 32 > INT32_MAX || (uint32_t)value > INT32_MAX || !rmask_contains(mask, (int32_t)(value >> 32), (int32_t)(uint32_t)value);
    }
    roaring64_iterator_free(it);
    roaring64_bitmap_free(bitmap);
    return true;
}

static void check_peer(const rmask *mask, bool by_row, const void *bytes, size_t num_bytes)
{
    uint64_t num_values = 0, num_strange;
    expect(peer_reads(mask, by_row, bytes, num_bytes, &num_values, &num_strange), "CRoaring refuses what was read");
    expect(num_values == rmask_count(mask), "CRoaring reads %llu values, here are %llu", (unsigned long long)num_values,
           (unsigned long long)rmask_count(mask));
    expect(num_strange == 0, "%llu values of CRoaring's are not in the mask", (unsigned long long)num_strange);
}

#else

static void check_peer(const rmask *mask, bool by_row, const void *bytes, size_t num_bytes) { (void)mask, (void)by_row, (void)bytes, (void)num_bytes; }

#endif

static rmask_status from_bytes(bool by_row, int32_t rows, int32_t cols, const void *bytes, size_t num_bytes, rmask **out, rmask_error *error)
{
    return by_row ? rmask_from_roaring_rows(1, cols, &bytes, &num_bytes, NULL, out, error)
                  : rmask_from_roaring(rows, cols, bytes, num_bytes, NULL, out, error);
}

static void check_there_and_back(const rmask *mask, bool by_row)
{
    size_t num_bytes, num_written;
    rmask *again;
    expect_ok(by_row ? rmask_row_to_roaring(mask, 0, NULL, 0, &num_bytes, test_error) : rmask_to_roaring(mask, NULL, 0, &num_bytes, test_error));
    if (num_bytes > 1 << 20) return; /* many full rows are few bytes here and many there */
    void *bytes = must_allocate(num_bytes);
    expect_ok(by_row ? rmask_row_to_roaring(mask, 0, bytes, num_bytes, &num_written, test_error)
                     : rmask_to_roaring(mask, bytes, num_bytes, &num_written, test_error));
    expect(num_written == num_bytes, "%zu bytes written, %zu announced", num_written, num_bytes);
    expect_ok(from_bytes(by_row, rmask_rows(mask), rmask_cols(mask), bytes, num_bytes, &again, test_error));
    check_equal(mask, again, true);
    check_peer(mask, by_row, bytes, num_bytes);
    rmask_release(again);
    free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t num_bytes)
{
    if (num_bytes == 0) return 0;
    const int32_t rows = grids[(bytes[0] & 0x7f) % NUM_GRIDS].rows, cols = grids[(bytes[0] & 0x7f) % NUM_GRIDS].cols;
    const bool by_row = bytes[0] >> 7;
    uint8_t *exact = must_allocate(--num_bytes);
    memcpy(exact, bytes + 1, num_bytes);
    rmask *mask = (void *)&test_poison;
    test_error_reset();
    const rmask_status status = from_bytes(by_row, rows, cols, exact, num_bytes, &mask, test_error);
    if (status) {
        expect(status == RMASK_ERR_FORMAT || status == RMASK_ERR_RANGE, "status \"%s\"", rmask_status_name(status));
        expect_fails_at(__FILE__, __LINE__, "rmask_from_roaring", status, status);
        expect(mask == NULL, "the output of a refusal is not NULL");
    } else {
        expect_ok(rmask_verify(mask, test_error));
        if (num_bytes > 0) check_peer(mask, by_row, exact, num_bytes); /* a row may have no bitmap at all */
        check_there_and_back(mask, by_row);
        rmask_release(mask);
    }
    free(exact);
    return 0;
}
