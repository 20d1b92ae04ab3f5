/* SPDX-License-Identifier: Apache-2.0
 *
 * roarmask show: a picture of a mask, in the terminal or as a file. A character, or a pixel, is a field of cells, or one cell where
 * the grid is small enough; the denser the field, the darker it is. */
#define _XOPEN_SOURCE 700
#include "cli.h"
#include "density.h"

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
    struct picture_args picture;
    bool ascii;
};

enum { KEY_ASCII = 0x100 };

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    struct show_args *args = state->input;
    (void)argument;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &args->picture;
        state->child_inputs[1] = &args->grid;
        return 0;
    case KEY_ASCII:
        args->ascii = true;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp show_argp = {
    .options = (const struct argp_option[]){{"ascii", KEY_ASCII, NULL, 0, "ASCII characters, as in locales without UTF-8", 0}, {0}},
    .parser = parse_option,
    .args_doc = "FILE|EXPR",
    .doc = "Draw a mask in the terminal, or to files with --png and --svg; denser fields are darker. A field without a cell is blank, and "
           "only one with all its cells has the darkest colour. In the terminal --width and --height are in characters, the window's "
           "if not given, and the numbers are the first row of a line and the first column at a tick."
           "\vExamples:\n  roarmask show 'causal & (sink(4) | window(9))' --rows 64\n"
           "  roarmask show m.rmask --row-range 0:4096 --svg m.svg --png m.png",
    .children = (const struct argp_child[]){{&picture_argp, 0, NULL, 0}, {&cli_grid_argp, 0, NULL, 0}, {0}},
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

/* ---------------------------------------------------------------- in the terminal */

static int num_digits(int32_t number)
{
    return snprintf(NULL, 0, "%d", number);
}

struct screen {
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
static void draw_column_axis(const struct screen *p)
{
    int label_width = num_digits(p->cols.end) + 2;
    int step = label_width > 10 ? label_width : 10, width = p->cols.fields * p->cell_width;
    int column = -p->margin - 1; /* of the cursor, counted from the frame's inside */
    for (int x = 0; x < width; x += step) {
        int32_t label = axis_edge(p->cols, x / p->cell_width);
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

static void draw_fields(const struct screen *p)
{
    for (int32_t i = 0; i < p->rows.fields; i++) {
        int32_t first_row = axis_edge(p->rows, i);
        uint64_t height = (uint64_t)(axis_edge(p->rows, i + 1) - first_row);
        printf("%*d %s", p->margin - 1, first_row, p->style->vertical);
        for (int32_t j = 0; j < p->cols.fields; j++) {
            uint64_t width = (uint64_t)(axis_edge(p->cols, j + 1) - axis_edge(p->cols, j));
            uint64_t count = p->counts[(size_t)i * (size_t)p->cols.fields + (size_t)j];
            repeat(p->style->shades[shade_of(count, height * width)], p->cell_width);
        }
        puts(p->style->vertical);
    }
    printf("%*s%s", p->margin, "", p->style->corners[2]);
    repeat(p->style->horizontal, p->cols.fields * p->cell_width);
    puts(p->style->corners[3]);
}

static void draw_legend(const struct screen *p)
{
    int32_t height = axis_largest_field(p->rows), width = axis_largest_field(p->cols);
    if (height == 1 && width == 1) {
        printf("%s in the mask, ' ' not\n", p->style->shades[NUM_SHADES - 1]);
        return;
    }
    printf("field of %d x %d: ' ' 0", height, width);
    for (int i = 1; i < NUM_SHADES; i++)
        printf(", %s %s%d%%", p->style->shades[i], i < NUM_SHADES - 1 ? "<" : "", limits_percent[i]);
    putchar('\n');
}

static void draw(const struct screen *p)
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

/* A side of the window in characters: what was asked for, what the terminal has, or what the environment says. */
static int find_side(const char *option, const char *text, int min, int in_terminal, const char *variable, int otherwise)
{
    if (text != NULL)
        return (int)cli_integer(option, text, min, MAX_SIDE);
    return between(in_terminal > 0 ? in_terminal : side_from_environment(variable, otherwise), min, MAX_SIDE);
}

/* Fits the picture into the window. The column numbers, two edges of the frame and the prompt that follows take a line each,
 * the title and the legend more than one where the window is narrow. */
static struct screen fit(const rmask *mask, const struct show_args *args)
{
    struct winsize window = {0};
    bool is_terminal = ioctl(STDOUT_FILENO, TIOCGWINSZ, &window) == 0 && window.ws_col > 0 && window.ws_row > 0;
    int screen_width =
        find_side("--width", args->picture.width, MIN_WIDTH, is_terminal ? window.ws_col : 0, "COLUMNS", 80);
    int screen_height =
        find_side("--height", args->picture.height, MIN_HEIGHT, is_terminal ? window.ws_row : 0, "LINES", 24);
    bool utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
    struct screen p = {
        .style = utf8 && !args->ascii ? &unicode_style : &ascii_style,
        .rows = axis_parse("--row-range", args->picture.row_range, rmask_rows(mask)),
        .cols = axis_parse("--col-range", args->picture.col_range, rmask_cols(mask)),
        .cell_width = 1,
    };
    p.margin = num_digits(p.rows.end) + 1;
    int text_lines = (TEXT_WIDTH + screen_width - 1) / screen_width;
    int width = screen_width - p.margin - 2, height = screen_height - 4 - 2 * text_lines;
    p.rows.fields = between(axis_length(p.rows), 0, height > 0 ? height : 1);
    p.cols.fields = between(axis_length(p.cols), 0, width);
    bool cell_by_cell = p.rows.fields == axis_length(p.rows) && p.cols.fields == axis_length(p.cols);
    if (cell_by_cell && 2 * p.cols.fields <= width)
        p.cell_width = 2; /* characters are twice as high as wide: cells come out square */
    return p;
}

static void show_on_screen(const rmask *mask, const struct show_args *args)
{
    struct screen screen = fit(mask, args);
    screen.counts = density_counts(mask, screen.rows, screen.cols);
    draw(&screen);
    free(screen.counts);
}

int show_main(int argc, char **argv)
{
    struct show_args args = {.grid = CLI_GRID_UNSET};
    int first = cli_parse(&show_argp, argc, argv, &args, 1, 1);
    picture_check_args(&args.picture);
    rmask *mask = cli_operand(argv[first], args.grid);
    if (args.picture.png != NULL || args.picture.svg != NULL) {
        struct picture picture;
        char summary[DENSITY_SUMMARY_SIZE];
        density_picture(&picture, mask, argv[first], &args.picture, summary);
        picture_write(&picture, &args.picture);
    } else {
        show_on_screen(mask, &args);
    }
    rmask_release(mask);
    return 0;
}
