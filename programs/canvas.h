/* SPDX-License-Identifier: Apache-2.0
 *
 * What pictures are drawn on: rectangles and text in whole pixels, as SVG or as PNG. The same calls give the same bytes, but for the
 * fonts of a PNG, which are the machine's. Out of memory ends the program. */
#ifndef ROARMASK_CANVAS_H
#define ROARMASK_CANVAS_H

#include <stddef.h>
#include <stdint.h>

struct rect {
    int x, y, width, height;
};

enum anchor { ANCHOR_START, ANCHOR_MIDDLE, ANCHOR_END };

struct text_style {
    int size;         /* of the font in pixels */
    uint32_t color;   /* 0xRRGGBB */
    enum anchor anchor;
    int quarter_turns; /* clockwise: 0; 1, read from above; or 3, read from below */
    int bold;
};

enum canvas_kind { CANVAS_SVG, CANVAS_PNG };

struct canvas;

/* A white canvas. An SVG carries title and description for those who cannot see it; all text is UTF-8. */
struct canvas *canvas_create(enum canvas_kind kind, int width, int height, const char *title, const char *description);

/* Fills rectangles. `what` is their class in the SVG, or NULL. */
void canvas_fill(struct canvas *canvas, const char *what, uint32_t color, const struct rect *rects, size_t num_rects);

/* One line of text. (x, y) is the end of its baseline, or its middle, that the anchor says. */
void canvas_text(struct canvas *canvas, int x, int y, struct text_style style, const char *text);

/* Ends the picture and frees the canvas. The caller frees the file's bytes. */
void *canvas_finish(struct canvas *canvas, size_t *num_bytes);

#endif
