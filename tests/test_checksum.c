/* SPDX-License-Identifier: Apache-2.0
 * CRC-32C against its plainest form, in every length and place that the faster forms may treat specially. */
#include <stdlib.h>

#include "file/checksum.h"
#include "support/seal.h"
#include "support/support.h"

static void known_values(void **state)
{
    (void)state;
    const uint8_t zeros[32] = {0};
    expect(rmask_checksum(0, "123456789", 9) == 0xe3069283, "the value of the check string");
    expect(rmask_checksum(0, zeros, sizeof zeros) == 0x8a9136aa, "32 bytes of 0, RFC 3720, appendix B.4");
    expect(rmask_checksum(0, zeros, 0) == 0, "nothing");
}

static void every_form_is_the_plain_one(void **state)
{
    (void)state;
    enum { ROOM = 70000 };
    rng random = rng_here();
    uint8_t *bytes = must_allocate(ROOM);
    for (size_t i = 0; i < ROOM; i++) bytes[i] = (uint8_t)rng_next(&random);
    for (size_t i = 0; i < 600; i++) {
        const size_t wanted = i < 100 ? i : (size_t)rng_below(&random, i < 400 ? 3000 : ROOM - 8);
        const size_t num_bytes = i == 599 ? 3 * 8192 : i == 598 ? 3 * 8192 - 1 : wanted, at = (size_t)rng_below(&random, 8);
        const uint32_t sum = seal_checksum(bytes + at, num_bytes);
        note("%zu bytes at %zu", num_bytes, at);
        expect(rmask_checksum(0, bytes + at, num_bytes) == sum, "the tier's form");
        expect(rmask_checksum_plain(0, bytes + at, num_bytes) == sum, "the form without instructions");
        const size_t first = (size_t)rng_between(&random, 0, (int64_t)num_bytes), second = num_bytes - first;
        const uint32_t before = rmask_checksum(0, bytes + at, first);
        expect(rmask_checksum(before, bytes + at + first, second) == sum, "gone on from %zu bytes", first);
        expect(rmask_checksum_plain(before, bytes + at + first, second) == sum, "gone on from %zu bytes, plain", first);
        expect(rmask_checksum_join(before, rmask_checksum(0, bytes + at + first, second), second) == sum, "joined at %zu",
               first);
    }
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(known_values), cmocka_unit_test(every_form_is_the_plain_one)};
    return run_test_program(tests);
}
