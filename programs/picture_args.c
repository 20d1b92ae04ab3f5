/* SPDX-License-Identifier: Apache-2.0
 *
 * The options of the commands that draw pictures, and the files that come out. */
#include "picture.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { KEY_PNG = 0x2000, KEY_SVG, KEY_ROW_RANGE, KEY_COL_RANGE, KEY_WIDTH, KEY_HEIGHT, KEY_BLOCK, DEFAULT_BLOCK_TOKENS = 16 };

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    struct picture_args *args = state->input;
    switch (key) {
    case KEY_PNG:
        args->png = argument;
        return 0;
    case KEY_SVG:
        args->svg = argument;
        return 0;
    case KEY_ROW_RANGE:
        args->row_range = argument;
        return 0;
    case KEY_COL_RANGE:
        args->col_range = argument;
        return 0;
    case KEY_WIDTH:
        args->width = argument;
        return 0;
    case KEY_HEIGHT:
        args->height = argument;
        return 0;
    case KEY_BLOCK:
        args->block_tokens = (int)cli_integer("--block", argument, 1, 1 << 20);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

const struct argp picture_argp = {
    .options = (const struct argp_option[]){
        {"row-range", KEY_ROW_RANGE, "A:B", 0, "only the rows A to B - 1", 0},
        {"col-range", KEY_COL_RANGE, "A:B", 0, "only the columns A to B - 1", 0},
        {"png", KEY_PNG, "FILE", 0, "a picture of pixels", 0},
        {"svg", KEY_SVG, "FILE", 0, "a picture that scales, with text that can be searched", 0},
        {"width", KEY_WIDTH, "N", 0, "of the picture in pixels; about 900 if not given", 0},
        {"height", KEY_HEIGHT, "N", 0, "of the picture in pixels; so that cells are square if not given", 0},
        {"block", KEY_BLOCK, "N", 0, "tokens a row and column, for the second scale; 16 if not given", 0},
        {0}},
    .parser = parse_option,
};

static int side_of(const char *option, const char *text)
{
    return text != NULL ? (int)cli_integer(option, text, PICTURE_MIN_SIDE, PICTURE_MAX_SIDE) : 0;
}

void picture_check_args(const struct picture_args *args)
{
    if (args->png == NULL && args->svg == NULL) {
        if (args->block_tokens != 0)
            cli_die(CLI_USAGE, "--block is for the scales of a picture: give --png FILE or --svg FILE");
        return;
    }
    if (args->png != NULL && strcmp(args->png, "-") == 0 && isatty(STDOUT_FILENO))
        cli_die(CLI_USAGE, "a PNG is binary and standard output is a terminal: redirect it, or give --png FILE");
    side_of("--width", args->width);
    side_of("--height", args->height);
}

void picture_set(struct picture *picture, const struct picture_args *args, int32_t rows, int32_t cols)
{
    picture->rows = axis_parse("--row-range", args->row_range, rows);
    picture->cols = axis_parse("--col-range", args->col_range, cols);
    picture->width = side_of("--width", args->width);
    picture->height = side_of("--height", args->height);
    picture->block_tokens = args->block_tokens > 0 ? args->block_tokens : DEFAULT_BLOCK_TOKENS;
}

void picture_write(const struct picture *picture, const struct picture_args *args)
{
    size_t num_bytes;
    if (args->png != NULL) {
        void *data = picture_png(picture, &num_bytes);
        cli_write(args->png, data, num_bytes);
        free(data);
    }
    if (args->svg != NULL) {
        void *data = picture_svg(picture, &num_bytes);
        cli_write(args->svg, data, num_bytes);
        free(data);
    }
}
