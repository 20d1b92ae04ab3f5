/* SPDX-License-Identifier: Apache-2.0
 * The bytes claim to be a mask. They are taken as they are, and once more as whoever wants to do harm would write them: with the right length
 * and the right checksums. Then they are mapped, so that every reader meets rows that nobody has checked. Each either fails cleanly or
 * agrees with the others. */
#include "readers.h"
#include "support/seal.h"

#include "core/exception.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_BYTES = 1 << 16 };

/* ---------------------------------------------------------------- in memory */

/* Returns whether the bytes are taken. */
static bool try_data(const uint8_t *bytes, size_t num_bytes)
{
    uint8_t *exact = must_allocate(num_bytes); /* so that a sanitizer sees a read past the end */
    rmask *mask = (void *)&test_poison;
    memcpy(exact, bytes, num_bytes);
    test_error_reset();
    const rmask_status status = rmask_from_data(exact, num_bytes, NULL, &mask, test_error);
    free(exact);
    if (status) {
        expect_fails_at(__FILE__, __LINE__, "rmask_from_data", RMASK_ERR_FORMAT, status);
        expect(mask == NULL, "the output of a refusal is not NULL");
        return false;
    }
    readers_agree(mask);
    expect_ok(rmask_verify(mask, test_error));
    rmask_release(mask);
    return true;
}

/* ---------------------------------------------------------------- mapped */

/* The rows are sound. */
static uint64_t count_exceptions(const rmask *mask)
{
    uint64_t count = 0;
    rmask_exception_walk walk = rmask_walk_exceptions(mask, 0);
    while (rmask_walk_row(&walk) < rmask_rows(mask)) {
        rmask_row_containers containers = rmask_walk_take(&walk);
        for (rmask_container container; rmask_next_container(&containers, &container);) count += rmask_container_count(&container);
    }
    return count;
}

static void try_mapped(uint8_t *bytes, size_t num_bytes)
{
    rmask *mask = (void *)&test_poison;
    if (!survives(fuzz_open(bytes, num_bytes, NULL, &mask, test_error))) {
        expect(mask == NULL, "the output of a refusal is not NULL");
        expect(!try_data(bytes, num_bytes), "refused when mapped, taken when read");
        return;
    }
    rmask_header *header = (void *)bytes;
    uint64_t total;
    const bool all_read = readers_survive(mask, &total);
    const bool sound = survives(rmask_verify(mask, test_error));
    expect(sound == try_data(bytes, num_bytes), "verified, but refused when read, or the reverse");
    if (sound) readers_agree(mask);
    if (!sound && all_read) {
        /* Nothing but the counts can be wrong. With the right ones the bytes are a mask. */
        header->count = total;
        header->num_exceptions = count_exceptions(mask);
        seal(bytes, num_bytes);
        expect(try_data(bytes, num_bytes), "refused with the right counts");
    }
    rmask_release(mask);
}

/* ---------------------------------------------------------------- the target */

/* A copy with the length and the checksums that its header asks for; NULL where that is no header or asks for too much. */
static uint8_t *repair(const uint8_t *bytes, size_t num_bytes, size_t *num_repaired)
{
    rmask_header header;
    if (num_bytes < sizeof header) return NULL;
    memcpy(&header, bytes, sizeof header);
    const rmask_layout at = rmask_layout_of(&header);
    if (at.end > MOST_BYTES) return NULL;
    uint8_t *repaired = must_allocate((size_t)at.end);
    memset(repaired, 0, (size_t)at.end);
    memcpy(repaired, bytes, num_bytes < at.end ? num_bytes : (size_t)at.end);
    ((rmask_header *)(void *)repaired)->num_bytes = at.end;
    for (uint64_t i = at.containers + 2 * (uint64_t)header.num_container_units; i < at.end; i++) repaired[i] = 0;
    seal(repaired, (size_t)at.end);
    *num_repaired = (size_t)at.end;
    return repaired;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t num_bytes)
{
    size_t num_repaired;
    note("the bytes as they are");
    const bool taken = try_data(bytes, num_bytes);
    uint8_t *repaired = repair(bytes, num_bytes, &num_repaired);
    if (!repaired) return 0;
    expect(!taken || (num_repaired == num_bytes && memcmp(bytes, repaired, num_bytes) == 0), "taken in need of repair");
    note("the bytes repaired");
    try_mapped(repaired, num_repaired);
    free(repaired);
    return 0;
}
