/* SPDX-License-Identifier: Apache-2.0
 *
 * roarmask show: a picture of a mask in the terminal. A character is a field of cells, or one cell where the grid is small
 * enough; the denser the field, the darker the character. */
#define _XOPEN_SOURCE 700
#include "cli.h"

#include <inttypes.h>
#include <langinfo.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { MIN_WIDTH = 24, MIN_HEIGHT = 8, MAX_SIDE = 1000, TEXT_WIDTH = 76 };

struct show_args {
    cli_grid grid;
    int width; /* of the window in characters; 0: ask the terminal */
    int height;
    const char *row_range;
    const char *col_range;
    bool ascii;
};

enum { KEY_WIDTH = 0x100, KEY_HEIGHT, KEY_ROW_RANGE, KEY_COL_RANGE, KEY_ASCII };

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    struct show_args *args = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &args->grid;
        return 0;
    case KEY_WIDTH:
        args->width = (int)cli_integer("--width", argument, MIN_WIDTH, MAX_SIDE);
        return 0;
    case KEY_HEIGHT:
        args->height = (int)cli_integer("--height", argument, MIN_HEIGHT, MAX_SIDE);
        return 0;
    case KEY_ROW_RANGE:
        args->row_range = argument;
        return 0;
    case KEY_COL_RANGE:
        args->col_range = argument;
        return 0;
    case KEY_ASCII:
        args->ascii = true;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp show_argp = {
    .options = (const struct argp_option[]){{"row-range", KEY_ROW_RANGE, "A:B", 0, "only the rows A to B - 1", 0},
                                            {"col-range", KEY_COL_RANGE, "A:B", 0, "only the columns A to B - 1", 0},
                                            {"width", KEY_WIDTH, "CHARS", 0, "instead of the window's width", 0},
                                            {"height", KEY_HEIGHT, "LINES", 0, "instead of the window's height", 0},
                                            {"ascii", KEY_ASCII, NULL, 0, "ASCII characters, as in locales without UTF-8", 0},
                                            {0}},
    .parser = parse_option,
    .args_doc = "FILE|EXPR",
    .doc = "Draw a mask in the terminal, denser fields darker. A blank field has no cell and a full one has all; the numbers "
           "are the first row of a line and the first column at a tick."
           "\vExample:\n  roarmask show 'causal & (sink(4) | window(9))' --rows 64",
    .children = (const struct argp_child[]){{&cli_grid_argp, 0, NULL, 0}, {0}},
};

/* ---------------------------------------------------------------- how it looks */

/* The shades from none to all. Shade i in between is for densities below limits[i]. */
enum { NUM_SHADES = 6 };
static const int limits_percent[NUM_SHADES] = {0, 5, 35, 65, 100, 100};

struct style {
    const char *shades[NUM_SHADES];
    const char *corners[4]; /* top left, top right, bottom left, bottom right */
    const char *horizontal, *vertical, *tick;
};
static const struct style unicode_style = {{" ", "·", "░", "▒", "▓", "█"}, {"┌", "┐", "└", "┘"}, "─", "│", "┴"};
static const struct style ascii_style = {{" ", ".", ":", "+", "*", "#"}, {"+", "+", "+", "+"}, "-", "|", "+"};

static int shade_of(uint64_t count, uint64_t area)
{
    if (count == 0)
        return 0;
    if (count == area)
        return NUM_SHADES - 1;
    int shade = 1;
    while (shade < NUM_SHADES - 2 && (double)count * 100 >= (double)area * limits_percent[shade])
        shade++;
    return shade;
}

/* ---------------------------------------------------------------- the part that is drawn */

/* One side of the picture: the rows, or the columns, begin to end - 1 in `fields` fields. */
struct axis {
    int32_t begin, end;
    int32_t fields;
};

static struct axis parse_axis(const char *option, const char *range, int32_t size)
{
    if (range == NULL)
        return (struct axis){0, size, 0};
    char *colon, *end;
    long long first = strtoll(range, &colon, 10);
    bool valid = colon != range && *colon == ':';
    long long last = valid ? strtoll(colon + 1, &end, 10) : 0;
    if (!valid || end == colon + 1 || *end != '\0' || first < 0 || first >= last || last > size)
        cli_die(CLI_USAGE, "%s must be A:B with 0 <= A < B <= %d, not '%s'", option, size, range);
    return (struct axis){(int32_t)first, (int32_t)last, 0};
}

static int32_t axis_length(struct axis axis)
{
    return axis.end - axis.begin;
}

/* Where field `i` begins, as rmask_raster cuts it; the last one ends at field_begin(fields). */
static int32_t field_begin(struct axis axis, int32_t i)
{
    return (int32_t)(axis.begin + (int64_t)i * axis_length(axis) / axis.fields);
}

/* Fields differ by one row or column where they do not divide the axis. */
static int32_t largest_field(struct axis axis)
{
    return (int32_t)(((int64_t)axis_length(axis) + axis.fields - 1) / axis.fields);
}

static int num_digits(int32_t number)
{
    return snprintf(NULL, 0, "%d", number);
}

/* ---------------------------------------------------------------- drawing */

struct picture {
    const struct style *style;
    struct axis rows, cols;
    int margin;     /* characters left of the frame, for row numbers and a space */
    int cell_width; /* characters a field is wide */
    uint64_t *counts;
};

static void repeat(const char *text, int times)
{
    for (int i = 0; i < times; i++)
        fputs(text, stdout);
}

/* The column numbers, and under them the upper edge of the frame with a tick below the first digit of each number. Numbers that
 * would stand out beyond the frame are left out. */
static void draw_column_axis(const struct picture *p)
{
    int label_width = num_digits(p->cols.end) + 2;
    int step = label_width > 10 ? label_width : 10, width = p->cols.fields * p->cell_width;
    int column = -p->margin - 1; /* of the cursor, counted from the frame's inside */
    for (int x = 0; x < width; x += step) {
        int32_t label = field_begin(p->cols, x / p->cell_width);
        if (x > 0 && x + num_digits(label) > width)
            break;
        printf("%*s%d", x - column, "", label);
        column = x + num_digits(label);
    }
    printf("\n%*s%s", p->margin, "", p->style->corners[0]);
    for (int x = 0; x < width; x++)
        fputs(x % step == 0 && x < column ? p->style->tick : p->style->horizontal, stdout);
    puts(p->style->corners[1]);
}

static void draw_fields(const struct picture *p)
{
    for (int32_t i = 0; i < p->rows.fields; i++) {
        int32_t first_row = field_begin(p->rows, i);
        uint64_t height = (uint64_t)(field_begin(p->rows, i + 1) - first_row);
        printf("%*d %s", p->margin - 1, first_row, p->style->vertical);
        for (int32_t j = 0; j < p->cols.fields; j++) {
            uint64_t width = (uint64_t)(field_begin(p->cols, j + 1) - field_begin(p->cols, j));
            uint64_t count = p->counts[(size_t)i * (size_t)p->cols.fields + (size_t)j];
            repeat(p->style->shades[shade_of(count, height * width)], p->cell_width);
        }
        puts(p->style->vertical);
    }
    printf("%*s%s", p->margin, "", p->style->corners[2]);
    repeat(p->style->horizontal, p->cols.fields * p->cell_width);
    puts(p->style->corners[3]);
}

static void draw_legend(const struct picture *p)
{
    int32_t height = largest_field(p->rows), width = largest_field(p->cols);
    if (height == 1 && width == 1) {
        printf("%s in the mask, ' ' not\n", p->style->shades[NUM_SHADES - 1]);
        return;
    }
    printf("field of %d x %d: ' ' 0", height, width);
    for (int i = 1; i < NUM_SHADES; i++)
        printf(", %s %s%d%%", p->style->shades[i], i < NUM_SHADES - 1 ? "<" : "", limits_percent[i]);
    putchar('\n');
}

static void draw(const struct picture *p)
{
    uint64_t count = 0;
    for (size_t i = 0; i < (size_t)p->rows.fields * (size_t)p->cols.fields; i++)
        count += p->counts[i];
    double area = (double)axis_length(p->rows) * axis_length(p->cols);
    printf("rows %d:%d, columns %d:%d: %" PRIu64 " cell%s, density %.4g%%\n", p->rows.begin, p->rows.end, p->cols.begin,
           p->cols.end, count, count == 1 ? "" : "s", area > 0 ? 100 * (double)count / area : 0.0);
    if (p->rows.fields == 0 || p->cols.fields == 0)
        return;
    draw_column_axis(p);
    draw_fields(p);
    draw_legend(p);
}

/* ---------------------------------------------------------------- the window */

/* A side of the window from the environment, or `otherwise`. */
static int side_from_environment(const char *variable, int otherwise)
{
    const char *text = getenv(variable);
    int side = text != NULL ? atoi(text) : 0;
    return side > 0 ? side : otherwise;
}

static int between(int value, int min, int max)
{
    return value < min ? min : value > max ? max : value;
}

static void find_window(struct show_args *args)
{
    struct winsize window;
    bool is_terminal = ioctl(STDOUT_FILENO, TIOCGWINSZ, &window) == 0 && window.ws_col > 0 && window.ws_row > 0;
    if (args->width == 0)
        args->width = between(is_terminal ? window.ws_col : side_from_environment("COLUMNS", 80), MIN_WIDTH, MAX_SIDE);
    if (args->height == 0)
        args->height = between(is_terminal ? window.ws_row : side_from_environment("LINES", 24), MIN_HEIGHT, MAX_SIDE);
}

/* Fits the picture into the window. The column numbers, two edges of the frame and the prompt that follows take a line each,
 * the title and the legend more than one where the window is narrow. */
static struct picture fit(const rmask *mask, const struct show_args *args)
{
    bool utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
    struct picture p = {
        .style = utf8 && !args->ascii ? &unicode_style : &ascii_style,
        .rows = parse_axis("--row-range", args->row_range, rmask_rows(mask)),
        .cols = parse_axis("--col-range", args->col_range, rmask_cols(mask)),
        .cell_width = 1,
    };
    p.margin = num_digits(p.rows.end) + 1;
    int text_lines = (TEXT_WIDTH + args->width - 1) / args->width;
    int width = args->width - p.margin - 2, height = args->height - 4 - 2 * text_lines;
    p.rows.fields = between(axis_length(p.rows), 0, height > 0 ? height : 1);
    p.cols.fields = between(axis_length(p.cols), 0, width);
    bool cell_by_cell = p.rows.fields == axis_length(p.rows) && p.cols.fields == axis_length(p.cols);
    if (cell_by_cell && 2 * p.cols.fields <= width)
        p.cell_width = 2; /* characters are twice as high as wide: cells come out square */
    return p;
}

int show_main(int argc, char **argv)
{
    struct show_args args = {.grid = CLI_GRID_UNSET};
    int first = cli_parse(&show_argp, argc, argv, &args, 1, 1);
    rmask *mask = cli_operand(argv[first], args.grid);
    find_window(&args);
    struct picture picture = fit(mask, &args);
    picture.counts = cli_alloc((size_t)picture.rows.fields * (size_t)picture.cols.fields, sizeof *picture.counts);
    rmask_error error;
    if (picture.rows.fields > 0 && picture.cols.fields > 0)
        cli_check(rmask_raster(mask, picture.rows.begin, picture.rows.end, picture.cols.begin, picture.cols.end,
                               picture.rows.fields, picture.cols.fields, picture.counts, &error),
                  &error, NULL);
    draw(&picture);
    free(picture.counts);
    rmask_release(mask);
    return 0;
}
