/* SPDX-License-Identifier: Apache-2.0
 * The golden atlases. */
#include "golden_atlas.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "golden.h"

/* Every entry gets a mask of its own, so that equal ones have to be told. */
static rmask *entry_of_text(const char *expression, int32_t rows, int32_t cols)
{
    rmask *mask = NULL;
    if (strcmp(expression, "dense") != 0) expect_ok(rmask_parse(expression, rows, cols, NULL, &mask, test_error));
    return mask;
}

rmask_atlas *golden_atlas(const char *name)
{
    FILE *text = fopen(golden_path(name, "ratlas.txt"), "r");
    expect(text != NULL, "%s: %s", golden_path(name, "ratlas.txt"), strerror(errno));
    char line[1024], note_text[1024] = "";
    int32_t layers = 0, heads = 0, rows = 0, cols = 0, layer, head;
    rmask **masks = NULL;
    size_t num_entries = 0, num_given = 0;
    while (fgets(line, sizeof line, text)) {
        int at = 0;
        line[strcspn(line, "\n")] = '\0';
        if (line[0] == '#') continue;
        if (strncmp(line, "note ", 5) == 0) {
            strcpy(note_text, line + 5);
        } else if (sscanf(line, "atlas %d x %d of %d x %d", &layers, &heads, &rows, &cols) == 4) {
            num_entries = (size_t)layers * (size_t)heads;
            masks = must_allocate(num_entries * sizeof *masks);
        } else {
            expect(masks && sscanf(line, "%d %d %n", &layer, &head, &at) == 2, "%s: %s", name, line);
            expect(num_given < num_entries && num_given == (size_t)layer * (size_t)heads + (size_t)head, "%s: %s", name, line);
            masks[num_given++] = entry_of_text(line + at, rows, cols);
        }
    }
    fclose(text);
    expect(num_given == num_entries, "%s: %zu entries", name, num_given);
    rmask_atlas *atlas;
    expect_ok(rmask_atlas_create(layers, heads, rows, cols, (const rmask *const *)masks, note_text, NULL, &atlas, test_error));
    for (size_t i = 0; i < num_entries; i++) rmask_release(masks[i]);
    free(masks);
    return atlas;
}
