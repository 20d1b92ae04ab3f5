/* SPDX-License-Identifier: Apache-2.0
 *
 * Counting the fields of a mask's picture, and their colours. */
#include "density.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

uint64_t *density_counts(const rmask *mask, struct axis rows, struct axis cols)
{
    uint64_t *counts = cli_alloc((size_t)rows.fields * (size_t)cols.fields, sizeof *counts);
    rmask_error error;
    if (rows.fields > 0 && cols.fields > 0)
        cli_check(rmask_raster(mask, rows.begin, rows.end, cols.begin, cols.end, rows.fields, cols.fields, counts, &error), &error,
                  NULL);
    return counts;
}

/* Steps are decades, so that a thousandth of random cells shows, and then halves and fifths. Of about equal distance in lightness. */
static const struct swatch field_swatches[] = {
    {"none", "none", 0xffffff},   {"below-0.02", "<0.02%", 0xcbe08c}, {"below-0.2", "<0.2%", 0x9fd2a5},
    {"below-2", "<2%", 0x6fc3b4}, {"below-20", "<20%", 0x43a8c0},     {"below-50", "<50%", 0x2a85b8},
    {"below-80", "<80%", 0x2b60a4}, {"below-100", "<100%", 0x263a86}, {"all", "all", 0x0c1740},
};
static const double field_limits[] = {0, 0.0002, 0.002, 0.02, 0.2, 0.5, 0.8};
static const struct swatch cell_swatches[] = {{"none", "not", 0xffffff}, {"all", "in the mask", 0x1d3f80}};
enum { NUM_FIELD_SWATCHES = sizeof field_swatches / sizeof *field_swatches };

static uint8_t swatch_of(uint64_t count, uint64_t area)
{
    if (count == 0)
        return 0;
    if (count == area)
        return NUM_FIELD_SWATCHES - 1;
    uint8_t swatch = 1;
    while (swatch < NUM_FIELD_SWATCHES - 2 && (double)count >= (double)area * field_limits[swatch])
        swatch++;
    return swatch;
}

static void paint_density(const void *context, struct axis rows, struct axis cols, uint8_t *swatches)
{
    uint64_t *counts = density_counts(context, rows, cols);
    bool cells = axis_largest_field(rows) == 1 && axis_largest_field(cols) == 1;
    for (int32_t i = 0; i < rows.fields; i++) {
        uint64_t height = (uint64_t)(axis_edge(rows, i + 1) - axis_edge(rows, i));
        for (int32_t j = 0; j < cols.fields; j++) {
            size_t field = (size_t)i * (size_t)cols.fields + (size_t)j;
            uint64_t area = height * (uint64_t)(axis_edge(cols, j + 1) - axis_edge(cols, j));
            swatches[field] = cells ? counts[field] != 0 : swatch_of(counts[field], area);
        }
    }
    free(counts);
}

void density_summarise(char summary[DENSITY_SUMMARY_SIZE], const rmask *mask, struct axis rows, struct axis cols)
{
    char numbers[3][AXIS_LABEL_SIZE], grid[2 * AXIS_LABEL_SIZE + 16], window[6 * AXIS_LABEL_SIZE] = "";
    bool whole = axis_length(rows) == rmask_rows(mask) && axis_length(cols) == rmask_cols(mask);
    rows.fields = cols.fields = 1;
    uint64_t *counted = whole ? NULL : density_counts(mask, rows, cols), count = whole ? rmask_count(mask) : *counted;
    double area = (double)axis_length(rows) * axis_length(cols), density = area > 0 ? (double)count / area : 0;
    snprintf(grid, sizeof grid, "%s × %s blocks", axis_label(numbers[0], (uint64_t)rmask_rows(mask)),
             axis_label(numbers[1], (uint64_t)rmask_cols(mask)));
    if (!whole)
        snprintf(window, sizeof window, "rows %d:%d, columns %d:%d of ", rows.begin, rows.end, cols.begin, cols.end);
    snprintf(summary, DENSITY_SUMMARY_SIZE, "%s%s: %s cell%s, density %.4g%%", window, grid, axis_label(numbers[2], count),
             count == 1 ? "" : "s", 100 * density);
    free(counted);
}

void density_picture(struct picture *picture, const rmask *mask, const char *name, const struct picture_args *args,
                     char summary[DENSITY_SUMMARY_SIZE])
{
    *picture = (struct picture){
        .name = name,
        .summary = summary,
        .legend = "share of a field's cells that are in the mask; a field is %s",
        .cell_swatches = cell_swatches,
        .field_swatches = field_swatches,
        .num_cell_swatches = sizeof cell_swatches / sizeof *cell_swatches,
        .num_field_swatches = NUM_FIELD_SWATCHES,
        .paint = paint_density,
        .context = mask,
    };
    picture_set(picture, args, rmask_rows(mask), rmask_cols(mask));
    density_summarise(summary, mask, picture->rows, picture->cols);
}
