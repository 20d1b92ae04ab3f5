/* SPDX-License-Identifier: Apache-2.0
 * Files of every feature of format version 1, written once: they open for ever, in every way, and hold the cells that their
 * texts say. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/folder.h"
#include "support/golden.h"
#include "support/golden_atlas.h"
#include "support/naive.h"
#include "support/raw.h"

typedef struct source {
    const golden *file;
    size_t at;
} source;

static int give(void *context, void *buffer, size_t num_bytes, size_t *num_read)
{
    source *from = context;
    const size_t left = from->file->num_bytes - from->at;
    *num_read = left < num_bytes ? left : num_bytes;
    if (*num_read) memcpy(buffer, from->file->bytes + from->at, *num_read);
    from->at += *num_read;
    return 0;
}

static rmask *take(const golden *file, int way)
{
    rmask *mask;
    source from = {file, 0};
    const char *path = golden_path(file->name, "rmask");
    switch (way) {
    case 0: expect_ok(rmask_open(path, NULL, &mask, test_error)); break;
    case 1: expect_ok(rmask_load(path, NULL, &mask, test_error)); break;
    case 2: expect_ok(rmask_from_data(file->bytes, file->num_bytes, NULL, &mask, test_error)); break;
    default: expect_ok(rmask_read(give, &from, NULL, &mask, test_error));
    }
    return mask;
}

static void golden_files_open_for_ever(void **state)
{
    (void)state;
    size_t num_files, total = 0;
    golden *files = golden_list(GOLDEN_MASK, &num_files);
    expect(num_files >= 19, "only %zu golden files", num_files);
    for (size_t i = 0; i < num_files; i++) {
        total += files[i].num_bytes;
        expect(files[i].num_bytes <= 8192, "%s has %zu bytes", files[i].name, files[i].num_bytes);
        for (int way = 0; way < 4; way++) {
            note("%s, way %d", files[i].name, way);
            rmask *mask = take(&files[i], way);
            expect_ok(rmask_verify(mask, test_error));
            golden_check(mask, files[i].name);
            size_t num_bytes;
            const void *data = rmask_data(mask, &num_bytes);
            expect(num_bytes == files[i].num_bytes && memcmp(data, files[i].bytes, num_bytes) == 0, "other bytes");
            rmask_release(mask);
        }
    }
    expect(total <= 65536, "%zu bytes of golden files", total);
    golden_free(files, num_files);
}

/* The third opinion. */
static void the_naive_reader_agrees(void **state)
{
    (void)state;
    size_t num_files, num_read = 0;
    golden *files = golden_list(GOLDEN_MASK, &num_files);
    for (size_t i = 0; i < num_files; i++) {
        rmask *mask = take(&files[i], 2);
        note("%s", files[i].name);
        if ((int64_t)rmask_rows(mask) * rmask_cols(mask) < 2000000) {
            naive n = naive_read(files[i].bytes);
            twin *t = twin_of(mask);
            expect(n.all_sound && twin_equal(t, n.t), "it reads something else");
            twin_free(t), naive_free(&n);
            num_read++;
        }
        rmask_release(mask);
    }
    expect(num_read + 2 >= num_files, "only %zu are small enough", num_read);
    golden_free(files, num_files);
}

/* ---------------------------------------------------------------- atlases */

static rmask_atlas *take_atlas(const char *name, const golden *file, int way)
{
    rmask_atlas *atlas;
    source from = {file, 0};
    const char *path = golden_path(name, "ratlas");
    switch (way) {
    case 0: expect_ok(rmask_atlas_open(path, NULL, &atlas, test_error)); break;
    case 1: expect_ok(rmask_atlas_load(path, NULL, &atlas, test_error)); break;
    case 2: expect_ok(rmask_atlas_from_data(file->bytes, file->num_bytes, NULL, &atlas, test_error)); break;
    default: expect_ok(rmask_atlas_read(give, &from, NULL, &atlas, test_error));
    }
    return atlas;
}

static void golden_atlases_open_for_ever(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        uint32_t num_masks;
    } atlases[] = {{"dense", 0}, {"model", 6}};
    for (int i = 0; i < 2; i++) {
        const char *name = atlases[i].name;
        golden file = {.name = ""};
        file.bytes = read_file(golden_path(name, "ratlas"), &file.num_bytes);
        rmask_atlas *wanted = golden_atlas(name);
        for (int way = 0; way < 4; way++) {
            bool equal = false;
            note("%s, way %d", name, way);
            rmask_atlas *atlas = take_atlas(name, &file, way);
            expect_ok(rmask_atlas_verify(atlas, test_error));
            expect_ok(rmask_atlas_equal(atlas, wanted, &equal, test_error));
            expect(equal && strcmp(rmask_atlas_note(atlas), rmask_atlas_note(wanted)) == 0, "not what its text says");
            expect(rmask_atlas_num_masks(atlas) == atlases[i].num_masks, "%u masks", rmask_atlas_num_masks(atlas));
            rmask_atlas_release(atlas);
        }
        rmask_atlas_release(wanted), free(file.bytes);
    }
}

/* ---------------------------------------------------------------- the drawing in docs/format.md */

/* Lines that begin with eight hexadecimal digits: an offset and, up to two blanks, the bytes from there on. */
static void the_drawing_is_the_file(void **state)
{
    (void)state;
    FILE *page = fopen(FORMAT_PAGE, "r");
    expect(page != NULL, "%s", FORMAT_PAGE);
    golden drawn = {.name = "drawn"};
    size_t num_files, at = 0;
    golden *files = golden_list(GOLDEN_MASK, &num_files);
    for (size_t i = 0; i < num_files; i++)
        if (strcmp(files[i].name, "drawn") == 0) drawn = files[i];
    char line[1024];
    while (fgets(line, sizeof line, page)) {
        unsigned offset, byte;
        int length = 0;
        if (strspn(line, "0123456789abcdef") != 8 || sscanf(line, "%8x%n", &offset, &length) != 1) continue;
        expect(offset == at, "the drawing goes on at %u, wanted %zu", offset, at);
        for (const char *hex = line + length + 2; sscanf(hex, "%2x", &byte) == 1 && hex[0] != ' '; hex += hex[2] ? 3 : 2, at++)
            expect(at < drawn.num_bytes && byte == drawn.bytes[at], "byte %zu is drawn as %02x", at, byte);
    }
    fclose(page);
    expect(at == drawn.num_bytes, "%zu of %zu bytes are drawn", at, drawn.num_bytes);
    golden_free(files, num_files);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_files_open_for_ever),
        cmocka_unit_test(the_naive_reader_agrees),
        cmocka_unit_test(golden_atlases_open_for_ever),
        cmocka_unit_test(the_drawing_is_the_file),
    };
    return run_test_program(tests);
}
