/* SPDX-License-Identifier: Apache-2.0
 * The bytes claim to be a NumPy array, a SciPy archive or a Matrix Market file: their first ones tell which. What is taken comes back from
 * what is written of it. */
#include "convert/convert.h"
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_CELLS = 1 << 16, MOST_ROWS = 1 << 16 };

typedef rmask_status reader(const void *data, size_t num_bytes, const convert_progress *progress, rmask **out, rmask_error *error);
typedef rmask_status writer(const rmask *mask, rmask_writer write, void *context, const convert_progress *progress,
                            rmask_error *error);

static const struct {
    const char *magic;
    reader *read;
    writer *write, *other_write;
    bool is_dense;
} formats[] = {
    {"\x93NUMPY", npy_read, npy_write, npy_write, true},
    {"PK", npz_read, npz_write_csr, npz_write_coo, false},
    {"%%", mtx_read, mtx_write, mtx_write, false},
};

typedef struct pile {
    uint8_t *bytes;
    size_t num_bytes;
} pile;

static int put(void *context, const void *data, size_t num_bytes)
{
    pile *p = context;
    uint8_t *longer = must_allocate(p->num_bytes + num_bytes);
    if (p->num_bytes) memcpy(longer, p->bytes, p->num_bytes);
    if (num_bytes) memcpy(longer + p->num_bytes, data, num_bytes);
    free(p->bytes);
    p->bytes = longer;
    p->num_bytes += num_bytes;
    return 0;
}

static void check_there_and_back(const rmask *mask, reader *read, writer *write)
{
    pile p = {0};
    rmask *again;
    expect_ok(write(mask, put, &p, NULL, test_error));
    expect_ok(read(p.bytes, p.num_bytes, NULL, &again, test_error));
    check_equal(mask, again, true);
    rmask_release(again);
    free(p.bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t num_bytes)
{
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        const size_t length = strlen(formats[i].magic);
        if (num_bytes < length || memcmp(bytes, formats[i].magic, length) != 0) continue;
        uint8_t *exact = must_allocate(num_bytes); /* so that a sanitizer sees a read past the end */
        memcpy(exact, bytes, num_bytes);
        rmask *mask = (void *)&test_poison;
        test_error_reset();
        const rmask_status status = formats[i].read(exact, num_bytes, NULL, &mask, test_error);
        free(exact);
        if (status) {
            expect_fails_at(__FILE__, __LINE__, "read", RMASK_ERR_FORMAT, status);
            expect(mask == NULL, "the output of a refusal is not NULL");
            continue;
        }
        expect_ok(rmask_verify(mask, test_error));
        const int64_t rows = rmask_rows(mask), cols = rmask_cols(mask);
        if (rmask_count(mask) <= MOST_CELLS && rows <= MOST_ROWS && (!formats[i].is_dense || rows * cols <= MOST_CELLS)) {
            check_there_and_back(mask, formats[i].read, formats[i].write);
            check_there_and_back(mask, formats[i].read, formats[i].other_write);
        }
        rmask_release(mask);
    }
    return 0;
}
