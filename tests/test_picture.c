/* SPDX-License-Identifier: Apache-2.0
 * Pictures: every pixel of random ones against the twin, the SVG against the PNG, windows of the largest grids, layouts. */
#define _XOPEN_SOURCE 700
#include <cairo.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/generate.h"
#include "support/ways.h"

#include "density.h"
#include "heap.h"
#include "preset.h"

/* ---------------------------------------------------------------- decoding */

typedef struct image {
    int width, height;
    uint32_t *pixels; /* 0xRRGGBB */
} image;

typedef struct bytes {
    const uint8_t *data;
    size_t num_bytes, at;
} bytes;

static cairo_status_t read_bytes(void *context, unsigned char *data, unsigned length)
{
    bytes *from = context;
    if (from->num_bytes - from->at < length) return CAIRO_STATUS_READ_ERROR;
    memcpy(data, from->data + from->at, length);
    from->at += length;
    return CAIRO_STATUS_SUCCESS;
}

static image decode_png(const void *data, size_t num_bytes)
{
    bytes from = {data, num_bytes, 0};
    cairo_surface_t *surface = cairo_image_surface_create_from_png_stream(read_bytes, &from);
    expect(cairo_surface_status(surface) == CAIRO_STATUS_SUCCESS, "%s", cairo_status_to_string(cairo_surface_status(surface)));
    image result = {cairo_image_surface_get_width(surface), cairo_image_surface_get_height(surface), NULL};
    result.pixels = must_allocate((size_t)result.width * (size_t)result.height * sizeof *result.pixels);
    for (int y = 0; y < result.height; y++) {
        const unsigned char *line = cairo_image_surface_get_data(surface) + (ptrdiff_t)y * cairo_image_surface_get_stride(surface);
        for (int x = 0; x < result.width; x++) {
            uint32_t pixel;
            memcpy(&pixel, line + 4 * x, sizeof pixel);
            result.pixels[y * result.width + x] = pixel & 0xffffff;
        }
    }
    cairo_surface_destroy(surface);
    return result;
}

/* Paints the rectangles of an SVG's paths and leaves its text out. */
static image decode_svg(const char *text)
{
    image result = {0};
    const char *header = strstr(text, "<svg ");
    expect(header != NULL && sscanf(strstr(header, "width="), "width=\"%d\" height=\"%d\"", &result.width, &result.height) == 2,
           "the SVG has no size");
    result.pixels = must_allocate((size_t)result.width * (size_t)result.height * sizeof *result.pixels);
    for (const char *path = text; (path = strstr(path, "<path ")) != NULL; path++) {
        const char *fill = strstr(path, "fill=\"#"), *d = strstr(path, " d=\"");
        unsigned color;
        expect(fill != NULL && d != NULL && sscanf(fill, "fill=\"#%6x\"", &color) == 1, "a path without a colour");
        d += 4;
        for (int length = 0; *d != '"'; d += length) {
            int x, y, width, height, back;
            expect(sscanf(d, " M%d %dh%dv%dh-%dz%n", &x, &y, &width, &height, &back, &length) == 5 && width == back,
                   "not a rectangle: %.40s", d);
            expect(x >= 0 && y >= 0 && width > 0 && height > 0 && x + width <= result.width && y + height <= result.height,
                   "a rectangle outside of the picture: %.40s", d);
            for (int i = y; i < y + height; i++)
                for (int j = x; j < x + width; j++) result.pixels[i * result.width + j] = color;
        }
    }
    return result;
}

/* ---------------------------------------------------------------- what pictures should be */

/* The scale, in words of its own: none, five decades, halves, all. */
static uint32_t density_color(uint64_t count, uint64_t area)
{
    static const struct { double below; uint32_t color; } scale[] = {
        {0.0002, 0xcbe08c}, {0.002, 0x9fd2a5}, {0.02, 0x6fc3b4}, {0.2, 0x43a8c0}, {0.5, 0x2a85b8}, {0.8, 0x2b60a4}, {1, 0x263a86}};
    if (count == 0) return 0xffffff;
    if (count == area) return 0x0c1740;
    int i = 0;
    while ((double)count / (double)area >= scale[i].below) i++;
    return scale[i].color;
}

static bool on_grid(int at, int pixels, bool cells) { return cells && pixels >= 6 && at % pixels == 0 && at > 0; }

static uint32_t wanted_color(const twin *t, const struct layout *l, int x, int y)
{
    const bool cells = l->rows.fields == l->rows.end - l->rows.begin && l->cols.fields == l->cols.end - l->cols.begin;
    const bool square = l->row_pixels >= 6 && l->col_pixels >= 6;
    if (square && (on_grid(x, l->col_pixels, cells) || on_grid(y, l->row_pixels, cells))) return 0xc3ccd6;
    const int64_t i = y / l->row_pixels, j = x / l->col_pixels, rows = l->rows.end - l->rows.begin, cols = l->cols.end - l->cols.begin;
    uint64_t count = 0, area = 0;
    for (int64_t row = l->rows.begin + i * rows / l->rows.fields; row < l->rows.begin + (i + 1) * rows / l->rows.fields; row++)
        for (int64_t col = l->cols.begin + j * cols / l->cols.fields; col < l->cols.begin + (j + 1) * cols / l->cols.fields; col++) {
            count += twin_at(t, (int32_t)row)[col];
            area++;
        }
    return cells ? count ? 0x1d3f80 : 0xffffff : density_color(count, area);
}

/* A picture under test with what it borrows. */
typedef struct drawing {
    struct picture picture;
    struct picture_args args;
    char summary[DENSITY_SUMMARY_SIZE], row_range[32], col_range[32], width[16], height[16];
} drawing;

static struct picture *draw(drawing *d, const rmask *mask, const char *name)
{
    density_picture(&d->picture, mask, name, &d->args, d->summary);
    return &d->picture;
}

static void set_window(drawing *d, int row_begin, int row_end, int col_begin, int col_end)
{
    snprintf(d->row_range, sizeof d->row_range, "%d:%d", row_begin, row_end);
    snprintf(d->col_range, sizeof d->col_range, "%d:%d", col_begin, col_end);
    d->args.row_range = d->row_range;
    d->args.col_range = d->col_range;
}

static void set_size(drawing *d, int width, int height)
{
    snprintf(d->width, sizeof d->width, "%d", width);
    snprintf(d->height, sizeof d->height, "%d", height);
    d->args.width = d->width;
    d->args.height = d->height;
}

static image png_of(const struct picture *picture)
{
    size_t num_bytes;
    void *data = picture_png(picture, &num_bytes);
    image result = decode_png(data, num_bytes);
    free(data);
    return result;
}

static char *svg_of(const struct picture *picture)
{
    size_t num_bytes;
    char *text = picture_svg(picture, &num_bytes);
    expect(strlen(text) == num_bytes, "an SVG of %zu bytes says that it has %zu", strlen(text), num_bytes);
    expect(num_bytes < 1000000, "an SVG of %zu bytes", num_bytes);
    return text;
}

static void check_pixels(const image *picture, const struct layout *l, const twin *t, const char *form)
{
    const int width = l->cols.fields * l->col_pixels, height = l->rows.fields * l->row_pixels;
    expect(l->left + width <= picture->width && l->top + height <= picture->height && picture->width == l->width &&
               picture->height == l->height,
           "a plot of %d x %d in a picture of %d x %d", width, height, picture->width, picture->height);
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++) {
            const uint32_t color = picture->pixels[(l->top + y) * picture->width + l->left + x], wanted = wanted_color(t, l, x, y);
            expect(color == wanted, "%s: pixel %d, %d of the plot is #%06x and not #%06x", form, x, y, color, wanted);
        }
}

/* Which layout an SVG took shows in its background. */
static struct layout svg_layout(const struct picture *picture, const char *text)
{
    const char *none = strstr(text, "class=\"none\"");
    int x, y, width, height;
    expect(none != NULL && sscanf(strstr(none, " d="), " d=\"M%d %dh%dv%d", &x, &y, &width, &height) == 4, "an SVG without background");
    for (int pixels = 1; pixels <= 32; pixels++) {
        struct layout l = picture_layout(picture, pixels);
        if (l.left == x && l.top == y && l.cols.fields * l.col_pixels == width && l.rows.fields * l.row_pixels == height) return l;
    }
    expect(false, "no layout has a plot of %d x %d", width, height);
    return (struct layout){0};
}

/* ---------------------------------------------------------------- tests */

static void every_pixel(void **state)
{
    (void)state;
    rng random = rng_here();
    for (int i = 0; i < NUM_KINDS; i++) {
        twin *t = generate(i, (int32_t)rng_between(&random, 1, 900), (int32_t)rng_between(&random, 1, 900), &random);
        rmask *mask = make_plain(t);
        drawing d = {0};
        if (rng_chance(&random, 0.7)) {
            const int row = (int)rng_below(&random, t->rows), col = (int)rng_below(&random, t->cols);
            set_window(&d, row, (int)rng_between(&random, row + 1, t->rows), col, (int)rng_between(&random, col + 1, t->cols));
        }
        if (rng_chance(&random, 0.8)) set_size(&d, (int)rng_between(&random, 480, 700), (int)rng_between(&random, 480, 700));
        note("%s %d x %d, window %s %s, size %s %s", kind_name(i), t->rows, t->cols, d.row_range, d.col_range, d.width,
             d.height);
        struct picture *picture = draw(&d, mask, "mask");
        const struct layout finest = picture_layout(picture, 1);
        image png = png_of(picture);
        check_pixels(&png, &finest, t, "PNG");
        char *text = svg_of(picture);
        image svg = decode_svg(text);
        const struct layout coarser = svg_layout(picture, text);
        check_pixels(&svg, &coarser, t, "SVG");
        free(text);
        free(svg.pixels);
        free(png.pixels);
        rmask_release(mask);
        twin_free(t);
    }
}

/* The same picture is the same bytes. */
static void deterministic(void **state)
{
    (void)state;
    rmask *mask;
    expect_ok(rmask_parse("causal | random(0.01)", 5000, 5000, NULL, &mask, test_error));
    drawing d = {0};
    struct picture *picture = draw(&d, mask, "mask");
    size_t size_a, size_b;
    void *a = picture_png(picture, &size_a), *b = picture_png(picture, &size_b);
    expect(size_a == size_b && memcmp(a, b, size_a) == 0, "two PNGs of one picture differ");
    free(a);
    free(b);
    char *c = svg_of(picture), *e = svg_of(picture);
    expect(strcmp(c, e) == 0, "two SVGs of one picture differ");
    free(c);
    free(e);
    rmask_release(mask);
}

/* The last of the fields that begin at or before a position, `at` rows or columns into `length`. */
static int field_of(int64_t at, int64_t length, int64_t fields)
{
    int64_t i = at * fields / length;
    while (i + 1 < fields && (i + 1) * length / fields <= at) i++;
    return (int)i;
}

static uint32_t color_at(const image *png, const struct layout *l, int64_t row, int64_t col)
{
    const int64_t rows = l->rows.end - l->rows.begin, cols = l->cols.end - l->cols.begin;
    const int y = field_of(row - l->rows.begin, rows, l->rows.fields) * l->row_pixels + l->row_pixels / 2;
    const int x = field_of(col - l->cols.begin, cols, l->cols.fields) * l->col_pixels + l->col_pixels / 2;
    return png->pixels[(l->top + y) * png->width + l->left + x];
}

static void largest_grids(void **state)
{
    (void)state;
    const int32_t side = RMASK_MAX_SIDE, middle = side / 2;
    rmask *mask;
    expect_ok(rmask_parse("causal & (sink(1) | window(500000000))", side, side, NULL, &mask, test_error));
    drawing d = {0};
    struct picture *picture = draw(&d, mask, "mask");
    struct layout l = picture_layout(picture, 1);
    image png = png_of(picture);
    expect(color_at(&png, &l, middle, middle - 250000000) == 0x0c1740, "the window is not full");
    expect(color_at(&png, &l, middle, middle + 250000000) == 0xffffff, "there is something above the diagonal");
    expect(color_at(&png, &l, side - 1, 1) == 0xcbe08c, "one column in three million does not show");
    expect(color_at(&png, &l, side - 1, middle) == 0xffffff, "there is something between sink and window");
    free(png.pixels);
    free(svg_of(picture));

    /* The last cells of all. */
    drawing corner = {0};
    set_window(&corner, side - 20, side, side - 30, side);
    picture = draw(&corner, mask, "mask");
    l = picture_layout(picture, 1);
    png = png_of(picture);
    for (int64_t row = side - 20; row < side; row++)
        for (int64_t col = side - 30; col < side; col++) {
            const uint32_t wanted = col <= row ? 0x1d3f80 : 0xffffff;
            expect(color_at(&png, &l, row, col) == wanted, "the cell %d, %d is wrong", (int)row, (int)col);
        }
    free(png.pixels);
    free(svg_of(picture));
    rmask_release(mask);
}

/* One cell is seen in any grid, and one hole. */
static void nothing_vanishes(void **state)
{
    (void)state;
    static const int32_t sides[] = {1000, 62500, 1000000, RMASK_MAX_SIDE};
    for (size_t i = 0; i < sizeof sides / sizeof *sides; i++) {
        const int32_t side = sides[i], at = side / 3;
        char expression[64];
        rmask *cell, *hole;
        snprintf(expression, sizeof expression, "columns(%d) & diagonals(0)", at);
        expect_ok(rmask_parse(expression, side, side, NULL, &cell, test_error));
        expect_ok(rmask_not(cell, &hole, test_error));
        drawing d = {0}, e = {0};
        image a = png_of(draw(&d, cell, "cell")), b = png_of(draw(&e, hole, "hole"));
        const struct layout l = picture_layout(&d.picture, 1);
        note("grid of %d", side);
        expect(color_at(&a, &l, at, at) != 0xffffff && color_at(&a, &l, at, at) != 0x0c1740, "the cell does not show");
        expect(color_at(&b, &l, at, at) != 0xffffff && color_at(&b, &l, at, at) != 0x0c1740, "the hole does not show");
        expect(color_at(&a, &l, side - 1, at) == 0xffffff && color_at(&b, &l, side - 1, at) == 0x0c1740, "more shows than there is");
        free(a.pixels);
        free(b.pixels);
        rmask_release(cell);
        rmask_release(hole);
    }
}

/* A grid without cells has a picture all the same. */
static void empty_grids(void **state)
{
    (void)state;
    static const int32_t sides[][2] = {{0, 0}, {0, 5}, {5, 0}, {0, RMASK_MAX_SIDE}};
    for (size_t i = 0; i < sizeof sides / sizeof *sides; i++) {
        rmask *mask;
        expect_ok(rmask_parse("none", sides[i][0], sides[i][1], NULL, &mask, test_error));
        drawing d = {0};
        note("grid of %d x %d", sides[i][0], sides[i][1]);
        char *text = svg_of(draw(&d, mask, "nothing"));
        expect(strstr(text, ">nothing</text>") != NULL && strstr(text, "0 cells, density 0%</text>") != NULL, "no title");
        free(text);
        image png = png_of(&d.picture);
        free(png.pixels);
        rmask_release(mask);
    }
}

static void layouts(void **state)
{
    (void)state;
    rng random = rng_here();
    for (int i = 0; i < 20000; i++) {
        drawing d = {0};
        struct picture *p = &d.picture;
        p->rows.begin = (int32_t)(rng_next(&random) >> rng_between(&random, 33, 63));
        p->cols.begin = (int32_t)(rng_next(&random) >> rng_between(&random, 33, 63));
        p->rows.end = (int32_t)rng_between(&random, p->rows.begin + 1, RMASK_MAX_SIDE);
        p->cols.end = (int32_t)rng_between(&random, p->cols.begin + 1, RMASK_MAX_SIDE);
        if (i % 2) { /* cells of many pixels */
            p->rows.end = p->rows.begin + 1 + (p->rows.end - p->rows.begin) % 1500;
            p->cols.end = p->cols.begin + 1 + (p->cols.end - p->cols.begin) % 1500;
        }
        const double rows = p->rows.end - p->rows.begin, cols = p->cols.end - p->cols.begin;
        p->block_tokens = (int)rng_between(&random, 1, 128);
        p->width = rng_chance(&random, 0.5) ? (int)rng_between(&random, PICTURE_MIN_SIDE, PICTURE_MAX_SIDE) : 0;
        p->height = rng_chance(&random, 0.5) ? (int)rng_between(&random, PICTURE_MIN_SIDE, PICTURE_MAX_SIDE) : 0;
        const int min_pixels = (int)rng_between(&random, 1, 8);
        const struct layout l = picture_layout(p, min_pixels);
        note("window of %.0f x %.0f at %d, %d, size %d x %d", rows, cols, p->rows.begin, p->cols.begin, p->width, p->height);
        const int width = l.cols.fields * l.col_pixels, height = l.rows.fields * l.row_pixels;
        expect(l.rows.fields >= 1 && l.cols.fields >= 1 && l.rows.fields <= rows && l.cols.fields <= cols, "%d x %d fields",
               l.rows.fields, l.cols.fields);
        expect(l.row_pixels >= min_pixels && l.col_pixels >= min_pixels, "fields of %d x %d", l.row_pixels, l.col_pixels);
        expect((p->width == 0 || l.width == p->width) && (p->height == 0 || l.height == p->height), "size %d x %d", l.width, l.height);
        expect(l.left + width < l.width && l.top + height < l.height, "the plot is too large");
        expect(p->width != 0 || p->height != 0 || (width < 1050 && height < 1050), "a picture of %d x %d", l.width, l.height);
        const double aspect = rows > cols ? rows / cols : cols / rows;
        if (aspect <= 4 && l.rows.fields == rows && l.cols.fields == cols)
            expect(l.row_pixels == l.col_pixels, "cells of %d x %d pixels are not square", l.row_pixels, l.col_pixels);
    }
}

/* Text comes out as text, whatever the name has in it. */
static void words(void **state)
{
    (void)state;
    rmask *mask;
    expect_ok(rmask_parse("causal", 62500, 62500, NULL, &mask, test_error));
    static const struct { const char *name, *title; } cases[] = {
        {"causal & (sink(4) | window(9))", "causal &amp; (sink(4) | window(9))"},
        {"a<b>&\"c\"", "a&lt;b&gt;&amp;\"c\""},
        {"two\nlines\t\x01\x7f", "two?lines???"},
        {"caf\xc3\xa9.rmask", "caf\xc3\xa9.rmask"},
        {"caf\xe9.rmask", "caf?.rmask"},
        {"", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        drawing d = {0};
        char *text = svg_of(draw(&d, mask, cases[i].name)), title[256];
        note("%s", cases[i].name);
        snprintf(title, sizeof title, "<title>%s</title>", cases[i].title);
        expect(strstr(text, title) != NULL, "no %s", title);
        free(text);
        image png = png_of(&d.picture);
        free(png.pixels);
    }
    char long_name[3001];
    for (size_t i = 0; i < 1000; i++) memcpy(long_name + 3 * i, "\xe2\x82\xac", 4);
    drawing d = {0};
    char *text = svg_of(draw(&d, mask, long_name));
    const char *title = strstr(text, "<title>") + 7, *end = strstr(text, "</title>");
    expect(end - title < 300 && (end - title) % 3 == 0 && memcmp(title, "\xe2\x82\xac", 3) == 0 && memcmp(end - 3, "\xe2\x82\xac", 3) == 0,
           "the title is not cut at characters: %.*s", (int)(end - title), title);
    expect(strstr(text, "\xe2\x80\xa6") != NULL, "no ellipsis");
    expect(strstr(text, ">10,000</text>") != NULL && strstr(text, ">1M</text>") != NULL && strstr(text, ">200k</text>") != NULL,
           "scales without round numbers");
    free(text);
    rmask_release(mask);
}

static void every_preset(void **state)
{
    (void)state;
    for (int i = 0; i < bench_num_presets; i++) {
        char *expression = bench_preset_expression(&bench_presets[i], 42);
        const int32_t side = bench_presets[i].num_blocks;
        rmask *mask;
        expect_ok(rmask_parse(expression, side, side, NULL, &mask, test_error));
        note("preset %s", bench_presets[i].name);
        drawing d = {0};
        free(svg_of(draw(&d, mask, expression)));
        image png = png_of(&d.picture);
        free(png.pixels);
        rmask_release(mask);
        bench_free(expression);
    }
}

int main(void)
{
    setlocale(LC_CTYPE, "");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layouts), cmocka_unit_test(empty_grids),       cmocka_unit_test(every_pixel), cmocka_unit_test(deterministic),
        cmocka_unit_test(largest_grids), cmocka_unit_test(nothing_vanishes), cmocka_unit_test(words), cmocka_unit_test(every_preset),
    };
    return run_test_program(tests);
}
