/* SPDX-License-Identifier: Apache-2.0
 * The bytes claim to be an atlas. They are taken as they are, and once more with the right length and the right checksums, its masks'
 * among them; then they are mapped. */
#include "readers.h"
#include "support/seal.h"

#include "atlas/format.h"

#include <stdlib.h>
#include <string.h>

static rmask_status square(void *context, const rmask *mask, rmask **out, rmask_error *error)
{
    (void)context;
    return rmask_combine(mask, mask, RMASK_NAND, out, error);
}

/* Whatever goes over all entries. */
static void check_atlas(const rmask_atlas *atlas, bool sound)
{
    const int32_t layers = rmask_atlas_layers(atlas), heads = rmask_atlas_heads(atlas);
    rmask_atlas_stats stats;
    rmask_atlas *result;
    const rmask *mask;
    bool equal;
    uint64_t total;
    for (uint32_t i = 0; i < rmask_atlas_num_masks(atlas); i++)
        if (sound) readers_agree(rmask_atlas_distinct(atlas, i));
        else (void)readers_survive(rmask_atlas_distinct(atlas, i), &total);
    expect(strlen(rmask_atlas_note(atlas)) <= RMASK_ATLAS_MAX_NOTE_BYTES, "a note without an end");
    expect_ok(rmask_atlas_mask(atlas, layers - 1, heads - 1, &mask, test_error));
    expect_fails(RMASK_ERR_RANGE, rmask_atlas_mask(atlas, layers, 0, &mask, test_error));
    expect_ok(rmask_atlas_get_stats(atlas, 0, layers, &stats, test_error));
    expect(stats.num_entries == (uint64_t)layers * (uint64_t)heads && stats.num_dense <= stats.num_entries, "%llu entries",
           (unsigned long long)stats.num_entries);
    if (survives(rmask_atlas_equal(atlas, atlas, &equal, test_error))) expect(equal, "an atlas is not equal to itself");
    if (survives(rmask_atlas_map(atlas, square, NULL, &result, test_error))) rmask_atlas_release(result);
    if (!survives(rmask_atlas_combine(atlas, atlas, RMASK_XOR, NULL, &result, test_error))) return;
    expect_ok(rmask_atlas_get_stats(result, 0, layers, &stats, test_error));
    expect(!sound || stats.num_cells == 0, "an atlas differs from itself in %llu cells", (unsigned long long)stats.num_cells);
    rmask_atlas_release(result);
}

static bool try_data(const uint8_t *bytes, size_t num_bytes)
{
    uint8_t *exact = must_allocate(num_bytes); /* so that a sanitizer sees a read past the end */
    rmask_atlas *atlas = (void *)&test_poison;
    memcpy(exact, bytes, num_bytes);
    const bool taken = survives(rmask_atlas_from_data(exact, num_bytes, NULL, &atlas, test_error));
    free(exact);
    if (taken) {
        expect_ok(rmask_atlas_verify(atlas, test_error));
        check_atlas(atlas, true);
        rmask_atlas_release(atlas);
    } else {
        expect(atlas == NULL, "the output of a refusal is not NULL");
    }
    return taken;
}

static void try_mapped(const uint8_t *bytes, size_t num_bytes)
{
    char path[FUZZ_PATH_BYTES];
    const int file = fuzz_file(bytes, num_bytes, path);
    rmask_atlas *atlas = (void *)&test_poison;
    const bool opened = survives(rmask_atlas_open(path, NULL, &atlas, test_error));
    fuzz_close(file);
    if (!opened) {
        expect(atlas == NULL, "the output of a refusal is not NULL");
        expect(!try_data(bytes, num_bytes), "refused when mapped, taken when read");
        return;
    }
    check_atlas(atlas, false);
    const bool sound = survives(rmask_atlas_verify(atlas, test_error));
    expect(sound == try_data(bytes, num_bytes), "verified, but refused when read, or the reverse");
    if (sound) check_atlas(atlas, true);
    rmask_atlas_release(atlas);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t num_bytes)
{
    note("the bytes as they are");
    const bool taken = try_data(bytes, num_bytes);
    if (num_bytes < sizeof(rmask_atlas_header)) return 0;
    uint8_t *repaired = must_allocate(num_bytes);
    memcpy(repaired, bytes, num_bytes);
    ((rmask_atlas_header *)(void *)repaired)->num_bytes = num_bytes;
    seal_atlas(repaired, num_bytes);
    expect(!taken || memcmp(bytes, repaired, num_bytes) == 0, "taken in need of repair");
    note("the bytes repaired");
    try_mapped(repaired, num_bytes);
    free(repaired);
    return 0;
}
