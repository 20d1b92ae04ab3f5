/* SPDX-License-Identifier: Apache-2.0
 *
 * Pictures of masks: a raster of fields in a few colours, with scales in blocks and tokens and a legend, as SVG and PNG.
 *
 * Rows go down and columns go right. Cells are drawn as squares where the window is at most four times as long as wide; where they are
 * smaller than a pixel, a pixel is a field of cells. */
#ifndef ROARMASK_PICTURE_H
#define ROARMASK_PICTURE_H

#include "axis.h"
#include "cli.h"

enum { PICTURE_MIN_SIDE = 480, PICTURE_MAX_SIDE = 4096 };

/* A colour and what it says. */
struct swatch {
    const char *name; /* the class of its fields in an SVG */
    const char *label;
    uint32_t color; /* 0xRRGGBB */
};

struct picture {
    const char *name;      /* the file or expression; shortened where it is too long */
    const char *summary;   /* one line about the cells */
    const char *legend;    /* what the swatches say; "%s" is the size of a field, such as "80 x 80 blocks" */
    struct axis rows, cols; /* the window */
    int block_tokens;      /* tokens a row or column */
    int width, height;     /* of the picture in pixels; 0: about 900, and as high as it takes */

    /* The swatches where a field is one cell, and where it may be more. The first one is the background. */
    const struct swatch *cell_swatches, *field_swatches;
    int num_cell_swatches, num_field_swatches;

    /* Fills in which swatch each field of rows.fields x cols.fields gets. Called once a picture, or a few times for an SVG. */
    void (*paint)(const void *context, struct axis rows, struct axis cols, uint8_t *swatches);
    const void *context;
};

/* Where things are in the picture, in pixels. */
struct layout {
    struct axis rows, cols; /* with their fields */
    int row_pixels, col_pixels; /* a field's height and width */
    int left, top;              /* of the first field */
    int width, height;          /* of the picture */
};

/* The layout where fields have at least `min_pixels`. Pure arithmetic. */
struct layout picture_layout(const struct picture *picture, int min_pixels);

/* Draws and returns the file's bytes, which the caller frees. A PNG has the finest fields; an SVG the finest that are less than a
 * megabyte of rectangles. */
void *picture_svg(const struct picture *picture, size_t *num_bytes);
void *picture_png(const struct picture *picture, size_t *num_bytes);

/* ---------------------------------------------------------------- options */

/* --png, --svg, --row-range, --col-range, --width, --height, --block: what the commands that draw have in common. Fill with zeros. */
struct picture_args {
    const char *png, *svg; /* NULL where not given, as the others */
    const char *row_range, *col_range;
    const char *width, *height;
    int block_tokens; /* 0 where not given */
};

/* A child for a subcommand's argp, with a struct picture_args as its child input. */
extern const struct argp picture_argp;

/* Dies where the options contradict each other. To be called before the work. */
void picture_check_args(const struct picture_args *args);

/* Fills in window, sizes and block from the arguments. */
void picture_set(struct picture *picture, const struct picture_args *args, int32_t rows, int32_t cols);

/* Writes the files that were asked for. */
void picture_write(const struct picture *picture, const struct picture_args *args);

#endif
