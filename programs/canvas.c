/* SPDX-License-Identifier: Apache-2.0
 *
 * Two ways to draw: SVG as text of our own, because cairo's has glyphs in the place of text, and PNG by cairo. */
#define _XOPEN_SOURCE 700
#include "canvas.h"
#include "cli.h"

#include <cairo.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct canvas {
    FILE *file; /* the bytes so far; for a PNG, the bytes at the end */
    char *data;
    size_t num_bytes;
    cairo_t *cairo; /* NULL for an SVG */
};

static const char *const font_family = "sans-serif";

/* ---------------------------------------------------------------- SVG */

/* The text with what means something to XML escaped. It has no control characters. */
static void write_escaped(FILE *file, const char *text)
{
    for (; *text != '\0'; text++)
        if (*text == '&')
            fputs("&amp;", file);
        else if (*text == '<')
            fputs("&lt;", file);
        else if (*text == '>')
            fputs("&gt;", file);
        else
            fputc(*text, file);
}

static void begin_svg(FILE *file, int width, int height, const char *title, const char *description)
{
    fprintf(file,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\" role=\"img\" "
            "font-family=\"Helvetica, Arial, 'DejaVu Sans', sans-serif\">\n<title>",
            width, height, width, height);
    write_escaped(file, title);
    fputs("</title>\n<desc>", file);
    write_escaped(file, description);
    fputs("</desc>\n", file);
}

static void fill_svg(FILE *file, const char *what, uint32_t color, const struct rect *rects, size_t num_rects)
{
    fputs("<path ", file);
    if (what != NULL)
        fprintf(file, "class=\"%s\" ", what);
    fprintf(file, "fill=\"#%06x\" shape-rendering=\"crispEdges\" d=\"", color);
    for (size_t i = 0; i < num_rects; i++) {
        const struct rect *r = &rects[i];
        fprintf(file, "%sM%d %dh%dv%dh-%dz", i % 8 == 7 ? "\n" : "", r->x, r->y, r->width, r->height, r->width);
    }
    fputs("\"/>\n", file);
}

static void write_svg_text(FILE *file, int x, int y, struct text_style style, const char *text)
{
    static const char *const anchors[] = {"", " text-anchor=\"middle\"", " text-anchor=\"end\""};
    fprintf(file, "<text x=\"%d\" y=\"%d\" font-size=\"%d\" fill=\"#%06x\"%s%s", x, y, style.size, style.color,
            style.bold ? " font-weight=\"bold\"" : "", anchors[style.anchor]);
    if (style.quarter_turns != 0)
        fprintf(file, " transform=\"rotate(%d %d %d)\"", 90 * style.quarter_turns, x, y);
    fputc('>', file);
    write_escaped(file, text);
    fputs("</text>\n", file);
}

/* ---------------------------------------------------------------- PNG */

static void set_color(cairo_t *cairo, uint32_t color)
{
    cairo_set_source_rgb(cairo, (color >> 16) / 255.0, (color >> 8 & 0xff) / 255.0, (color & 0xff) / 255.0);
}

/* fontconfig never frees some of what it reads, which is not ours to report. */
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/lsan_interface.h>
#else
#define __lsan_disable()
#define __lsan_enable()
#endif

static cairo_t *begin_png(int width, int height)
{
    cairo_surface_t *surface = cairo_image_surface_create(CAIRO_FORMAT_RGB24, width, height);
    cairo_t *cairo = cairo_create(surface);
    cairo_surface_destroy(surface); /* the cairo_t keeps it */
    return cairo;
}

/* Straight into the pixels: cairo takes a microsecond for a rectangle, and there may be a million of them. */
static void fill_png(cairo_t *cairo, uint32_t color, const struct rect *rects, size_t num_rects)
{
    cairo_surface_t *surface = cairo_get_target(cairo);
    cairo_surface_flush(surface);
    unsigned char *data = cairo_image_surface_get_data(surface);
    if (data == NULL)
        return; /* no memory: canvas_finish says so */
    size_t stride = (size_t)cairo_image_surface_get_stride(surface);
    for (const struct rect *r = rects; r < rects + num_rects; r++)
        for (int y = r->y; y < r->y + r->height; y++) {
            uint32_t *line = (uint32_t *)(void *)(data + (size_t)y * stride);
            for (int x = r->x; x < r->x + r->width; x++)
                line[x] = color;
        }
    cairo_surface_mark_dirty(surface);
}

static void write_png_text(cairo_t *cairo, int x, int y, struct text_style style, const char *text)
{
    cairo_text_extents_t extents;
    __lsan_disable();
    cairo_save(cairo);
    cairo_select_font_face(cairo, font_family, CAIRO_FONT_SLANT_NORMAL,
                           style.bold ? CAIRO_FONT_WEIGHT_BOLD : CAIRO_FONT_WEIGHT_NORMAL);
    cairo_set_font_size(cairo, style.size);
    set_color(cairo, style.color);
    cairo_text_extents(cairo, text, &extents);
    cairo_translate(cairo, x, y);
    cairo_rotate(cairo, style.quarter_turns * acos(0));
    cairo_move_to(cairo, floor(-extents.x_advance * style.anchor / 2), 0);
    cairo_show_text(cairo, text);
    cairo_restore(cairo);
    __lsan_enable();
}

static cairo_status_t write_bytes(void *file, const unsigned char *data, unsigned num_bytes)
{
    return fwrite(data, 1, num_bytes, file) == num_bytes ? CAIRO_STATUS_SUCCESS : CAIRO_STATUS_WRITE_ERROR;
}

static cairo_status_t finish_png(cairo_t *cairo, FILE *file)
{
    cairo_status_t status = cairo_status(cairo);
    if (status == CAIRO_STATUS_SUCCESS)
        status = cairo_surface_write_to_png_stream(cairo_get_target(cairo), write_bytes, file);
    cairo_destroy(cairo);
    return status;
}

/* ---------------------------------------------------------------- both */

struct canvas *canvas_create(enum canvas_kind kind, int width, int height, const char *title, const char *description)
{
    struct canvas *canvas = cli_alloc(1, sizeof *canvas);
    canvas->file = open_memstream(&canvas->data, &canvas->num_bytes);
    if (canvas->file == NULL)
        cli_die(CLI_FAILED, "out of memory for the picture");
    if (kind == CANVAS_PNG)
        canvas->cairo = begin_png(width, height);
    else
        begin_svg(canvas->file, width, height, title, description);
    canvas_fill(canvas, NULL, 0xffffff, &(struct rect){0, 0, width, height}, 1);
    return canvas;
}

void canvas_fill(struct canvas *canvas, const char *what, uint32_t color, const struct rect *rects, size_t num_rects)
{
    if (num_rects == 0)
        return;
    if (canvas->cairo != NULL)
        fill_png(canvas->cairo, color, rects, num_rects);
    else
        fill_svg(canvas->file, what, color, rects, num_rects);
}

void canvas_text(struct canvas *canvas, int x, int y, struct text_style style, const char *text)
{
    if (canvas->cairo != NULL)
        write_png_text(canvas->cairo, x, y, style, text);
    else
        write_svg_text(canvas->file, x, y, style, text);
}

void *canvas_finish(struct canvas *canvas, size_t *num_bytes)
{
    if (canvas->cairo != NULL) {
        cairo_status_t status = finish_png(canvas->cairo, canvas->file);
        if (status != CAIRO_STATUS_SUCCESS)
            cli_die(CLI_FAILED, "cannot draw the picture: %s", cairo_status_to_string(status));
    } else {
        fputs("</svg>\n", canvas->file);
    }
    bool lost = ferror(canvas->file) != 0;
    if (fclose(canvas->file) != 0 || lost)
        cli_die(CLI_FAILED, "out of memory for the picture");
    void *data = canvas->data;
    *num_bytes = canvas->num_bytes;
    free(canvas);
    return data;
}
