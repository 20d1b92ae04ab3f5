/* SPDX-License-Identifier: Apache-2.0
 *
 * Laying out and drawing a picture: title, two scales a side, fields as rectangles, legend. */
#include "picture.h"
#include "canvas.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    DEFAULT_SIDE = 900,
    MARGIN = 16,
    TITLE_SIZE = 16,
    TEXT_SIZE = 13,
    LABEL_SIZE = 12,
    TICK = 5,                            /* pixels */
    MIN_GRID_PIXELS = 6,                 /* smaller cells have no grid between them */
    MIN_CENTERED_PIXELS = 10,            /* larger cells have their number at the middle, smaller ones at the edge */
    SWATCH_HEIGHT = 14,
    MAX_ASPECT = 4,
    MAX_SVG_RECTS = 40000,               /* at 16 to 24 bytes each */
    HEADER = MARGIN + TITLE_SIZE + 22,   /* title and summary */
    SCALE = TICK + LABEL_SIZE + 24,      /* a scale above or below: ticks, numbers, name */
    FOOTER = 24 + SWATCH_HEIGHT + 18 + MARGIN,
};

static const uint32_t ink = 0x1b2330, soft_ink = 0x5b6673, frame_color = 0x8b95a1, grid_color = 0xc3ccd6;

/* About as wide as the text comes out, which an SVG cannot know. */
static int text_width(size_t num_chars, int size)
{
    return (int)(num_chars * (size_t)size * 3 / 5);
}

/* ---------------------------------------------------------------- layout */

static bool has_token_scale(const struct picture *p)
{
    return p->block_tokens > 1;
}

static const char *unit_of(const struct picture *p)
{
    return has_token_scale(p) ? "blocks" : "tokens";
}

/* Blocks and single tokens are counted exactly where that is not too wide; other tokens the way people speak of them. */
static char *scale_label(char label[AXIS_LABEL_SIZE], int64_t number, int tokens)
{
    return (tokens > 1 || number >= 10000000 ? axis_short_label : axis_label)(label, (uint64_t)number);
}

/* The longest number at a scale of `axis`, in characters: the last one, or one with a decimal more. */
static size_t label_chars(struct axis axis, int tokens)
{
    char label[AXIS_LABEL_SIZE];
    size_t exact = strlen(axis_label(label, (uint64_t)axis.end * (uint64_t)tokens));
    bool zoomed = axis_length(axis) < axis.end / 100;
    return zoomed || exact <= 6 || (tokens == 1 && axis.end < 10000000) ? exact : 6;
}

static int left_margin(const struct picture *p)
{
    return MARGIN + TEXT_SIZE + 10 + text_width(label_chars(p->rows, 1), LABEL_SIZE) + TICK + 3;
}

static int right_margin(const struct picture *p)
{
    int columns = text_width(label_chars(p->cols, 1), LABEL_SIZE) / 2;
    int tokens = text_width(label_chars(p->rows, p->block_tokens), LABEL_SIZE) + TICK + 3 + TEXT_SIZE + 10;
    return MARGIN + (has_token_scale(p) ? tokens : columns);
}

static int top_margin(void)
{
    return HEADER + SCALE;
}

static int bottom_margin(const struct picture *p)
{
    return FOOTER + (has_token_scale(p) ? SCALE : TICK);
}

/* Cuts an axis of `pixels` into fields of whole pixels: cells where they get `min_pixels` or more. Returns a field's pixels. */
static int cut(struct axis *axis, double pixels, int min_pixels, bool may_grow)
{
    int32_t length = axis_length(*axis);
    if (length == 0)
        return 1;
    int cell = (int)(pixels / length);
    cell += may_grow && cell >= 1 && cell < 3 && pixels / length - cell >= 0.6;
    if (cell >= min_pixels) {
        axis->fields = length;
        return cell;
    }
    axis->fields = (int32_t)(pixels / min_pixels);
    axis->fields = axis->fields < 1 ? 1 : axis->fields < length ? axis->fields : length;
    return min_pixels;
}

struct layout picture_layout(const struct picture *p, int min_pixels)
{
    struct layout layout = {.rows = p->rows, .cols = p->cols, .left = left_margin(p), .top = top_margin()};
    int width = p->width > 0 ? p->width : DEFAULT_SIDE;
    double box_width = width - layout.left - right_margin(p), box_height = box_width;
    if (p->height > 0)
        box_height = p->height - layout.top - bottom_margin(p);

    double num_rows = axis_length(p->rows), num_cols = axis_length(p->cols);
    bool long_window = num_rows > MAX_ASPECT * num_cols || num_cols > MAX_ASPECT * num_rows;
    double rows_pixels = box_height, cols_pixels = box_width;
    if (!long_window && num_rows > 0 && num_cols > 0) {
        double scale = box_height / num_rows < box_width / num_cols ? box_height / num_rows : box_width / num_cols;
        rows_pixels = num_rows * scale;
        cols_pixels = num_cols * scale;
    } else if (num_rows > num_cols && box_width > box_height / MAX_ASPECT) {
        cols_pixels = box_height / MAX_ASPECT;
    } else if (num_cols > num_rows && box_height > box_width / MAX_ASPECT) {
        rows_pixels = box_width / MAX_ASPECT;
    }
    bool may_grow = p->width == 0 && p->height == 0;
    layout.row_pixels = cut(&layout.rows, rows_pixels, min_pixels, may_grow);
    layout.col_pixels = cut(&layout.cols, cols_pixels, min_pixels, may_grow);

    int plot_width = layout.cols.fields * layout.col_pixels, plot_height = layout.rows.fields * layout.row_pixels;
    layout.width = p->width > 0 ? p->width : layout.left + plot_width + right_margin(p);
    layout.width = layout.width > PICTURE_MIN_SIDE ? layout.width : PICTURE_MIN_SIDE;
    layout.height = p->height > 0 ? p->height : layout.top + plot_height + bottom_margin(p);
    return layout;
}

static int plot_width(const struct layout *l)
{
    return l->cols.fields * l->col_pixels;
}

static int plot_height(const struct layout *l)
{
    return l->rows.fields * l->row_pixels;
}

/* ---------------------------------------------------------------- fields */

static bool is_cell_by_cell(const struct layout *l)
{
    return axis_largest_field(l->rows) == 1 && axis_largest_field(l->cols) == 1;
}

static const struct swatch *swatches_of(const struct picture *p, const struct layout *l, int *num_swatches)
{
    bool cells = is_cell_by_cell(l);
    *num_swatches = cells ? p->num_cell_swatches : p->num_field_swatches;
    return cells ? p->cell_swatches : p->field_swatches;
}

struct rects {
    struct rect *items;
    size_t count, capacity;
};

static struct rect *add_rect(struct rects *rects)
{
    if (rects->count == rects->capacity) {
        rects->capacity = rects->capacity > 0 ? 2 * rects->capacity : 1024;
        rects->items = realloc(rects->items, rects->capacity * sizeof *rects->items);
        if (rects->items == NULL)
            cli_die(CLI_FAILED, "out of memory for the picture");
    }
    return &rects->items[rects->count++];
}

/* The fields of one swatch as rectangles, in fields: runs of a row, and runs that are equal in the rows below made higher. `above[x]` is
 * scratch: one more than the index of the last rectangle that began at column x. */
static void merge(struct rects *rects, size_t *above, const struct layout *l, const uint8_t *fields, uint8_t swatch)
{
    rects->count = 0;
    memset(above, 0, (size_t)l->cols.fields * sizeof *above);
    for (int y = 0; y < l->rows.fields; y++) {
        const uint8_t *row = fields + (size_t)y * (size_t)l->cols.fields;
        for (int x = 0, end; x < l->cols.fields; x = end) {
            for (end = x; end < l->cols.fields && row[end] == swatch; end++) {}
            if (end == x) {
                end++;
                continue;
            }
            struct rect *last = above[x] > 0 ? &rects->items[above[x] - 1] : NULL;
            if (last != NULL && last->width == end - x && last->y + last->height == y) {
                last->height++;
                continue;
            }
            *add_rect(rects) = (struct rect){x, y, end - x, 1};
            above[x] = rects->count;
        }
    }
}

static uint8_t *paint(const struct picture *p, const struct layout *l)
{
    uint8_t *fields = cli_alloc((size_t)l->rows.fields, (size_t)l->cols.fields);
    if (l->rows.fields > 0 && l->cols.fields > 0)
        p->paint(p->context, l->rows, l->cols, fields);
    return fields;
}

static size_t count_rects(const struct picture *p, const struct layout *l, const uint8_t *fields)
{
    int num_swatches;
    swatches_of(p, l, &num_swatches);
    struct rects rects = {0};
    size_t *above = cli_alloc((size_t)l->cols.fields, sizeof *above), count = 0;
    for (int k = 1; k < num_swatches; k++) {
        merge(&rects, above, l, fields, (uint8_t)k);
        count += rects.count;
    }
    free(above);
    free(rects.items);
    return count;
}

static void draw_fields(struct canvas *canvas, const struct picture *p, const struct layout *l, const uint8_t *fields)
{
    int num_swatches;
    const struct swatch *swatches = swatches_of(p, l, &num_swatches);
    struct rect plot = {l->left, l->top, plot_width(l), plot_height(l)};
    struct rect frame = {plot.x - 1, plot.y - 1, plot.width + 2, plot.height + 2};
    canvas_fill(canvas, "frame", frame_color, &frame, 1);
    canvas_fill(canvas, swatches[0].name, swatches[0].color, &plot, 1);
    struct rects rects = {0};
    size_t *above = cli_alloc((size_t)l->cols.fields, sizeof *above);
    for (int k = 1; k < num_swatches; k++) {
        merge(&rects, above, l, fields, (uint8_t)k);
        for (size_t i = 0; i < rects.count; i++) {
            struct rect r = rects.items[i];
            rects.items[i] = (struct rect){l->left + r.x * l->col_pixels, l->top + r.y * l->row_pixels, r.width * l->col_pixels,
                                           r.height * l->row_pixels};
        }
        canvas_fill(canvas, swatches[k].name, swatches[k].color, rects.items, rects.count);
    }
    free(above);
    free(rects.items);
}

static void draw_grid(struct canvas *canvas, const struct layout *l)
{
    if (!is_cell_by_cell(l) || l->row_pixels < MIN_GRID_PIXELS || l->col_pixels < MIN_GRID_PIXELS)
        return;
    size_t count = 0;
    struct rect *lines = cli_alloc((size_t)l->rows.fields + (size_t)l->cols.fields, sizeof *lines);
    for (int i = 1; i < l->rows.fields; i++)
        lines[count++] = (struct rect){l->left, l->top + i * l->row_pixels, plot_width(l), 1};
    for (int i = 1; i < l->cols.fields; i++)
        lines[count++] = (struct rect){l->left + i * l->col_pixels, l->top, 1, plot_height(l)};
    canvas_fill(canvas, "grid", grid_color, lines, count);
    free(lines);
}

/* ---------------------------------------------------------------- scales */

enum side { TOP, LEFT, BOTTOM, RIGHT };

static struct text_style label_style(enum side side)
{
    static const enum anchor anchors[] = {ANCHOR_MIDDLE, ANCHOR_END, ANCHOR_MIDDLE, ANCHOR_START};
    return (struct text_style){.size = LABEL_SIZE, .color = soft_ink, .anchor = anchors[side]};
}

/* A tick and its number, `at` pixels from the plot's corner. */
static void draw_tick(struct canvas *canvas, const struct layout *l, enum side side, int at, const char *label)
{
    int right = l->left + plot_width(l), bottom = l->top + plot_height(l), x = l->left + at, y = l->top + at, middle = LABEL_SIZE / 3;
    const struct rect ticks[] = {[TOP] = {x, l->top - 1 - TICK, 1, TICK},
                                 [LEFT] = {l->left - 1 - TICK, y, TICK, 1},
                                 [BOTTOM] = {x, bottom + 1, 1, TICK},
                                 [RIGHT] = {right + 1, y, TICK, 1}};
    const struct { int x, y; } ends[] = {[TOP] = {x, l->top - TICK - 5},
                                         [LEFT] = {l->left - TICK - 5, y + middle},
                                         [BOTTOM] = {x, bottom + TICK + LABEL_SIZE + 2},
                                         [RIGHT] = {right + TICK + 5, y + middle}};
    canvas_fill(canvas, NULL, frame_color, &ticks[side], 1);
    canvas_text(canvas, ends[side].x, ends[side].y, label_style(side), label);
}

static void draw_scale_name(struct canvas *canvas, const struct picture *p, const struct layout *l, enum side side, const char *name)
{
    int middle_x = l->left + plot_width(l) / 2, middle_y = l->top + plot_height(l) / 2;
    struct text_style style = {.size = TEXT_SIZE, .color = ink, .anchor = ANCHOR_MIDDLE};
    switch (side) {
    case TOP:
        canvas_text(canvas, middle_x, HEADER + TEXT_SIZE + 4, style, name);
        break;
    case BOTTOM:
        canvas_text(canvas, middle_x, l->top + plot_height(l) + SCALE - 2, style, name);
        break;
    case LEFT:
        style.quarter_turns = 3;
        canvas_text(canvas, MARGIN + TEXT_SIZE - 2, middle_y, style, name);
        break;
    case RIGHT:
        style.quarter_turns = 1;
        canvas_text(canvas, l->left + plot_width(l) + right_margin(p) - MARGIN - TEXT_SIZE + 2, middle_y, style, name);
        break;
    }
}

/* A scale counts blocks, or the tokens in them. */
static void draw_scale(struct canvas *canvas, const struct picture *p, const struct layout *l, enum side side, int tokens,
                       const char *name)
{
    bool vertical = side == LEFT || side == RIGHT;
    struct axis axis = vertical ? l->rows : l->cols;
    int field_pixels = vertical ? l->row_pixels : l->col_pixels;
    double pixels = (double)axis.fields * field_pixels / axis_length(axis) / tokens; /* for a step of 1 */
    double distance = text_width(label_chars(axis, tokens), LABEL_SIZE) + 24;
    int64_t step = axis_round_step(distance / pixels), begin = (int64_t)axis.begin * tokens, end = (int64_t)axis.end * tokens;
    bool centered = tokens == 1 && pixels >= MIN_CENTERED_PIXELS;
    for (int64_t number = (begin + step - 1) / step * step; number <= end - centered; number += step) {
        char label[AXIS_LABEL_SIZE];
        int at = (int)((double)(number - begin) * pixels + (centered ? pixels / 2 : 0));
        draw_tick(canvas, l, side, at, scale_label(label, number, tokens));
    }
    draw_scale_name(canvas, p, l, side, name);
}

static void draw_scales(struct canvas *canvas, const struct picture *p, const struct layout *l)
{
    char name[64];
    snprintf(name, sizeof name, "key %s", unit_of(p));
    draw_scale(canvas, p, l, TOP, 1, name);
    snprintf(name, sizeof name, "query %s", unit_of(p));
    draw_scale(canvas, p, l, LEFT, 1, name);
    if (!has_token_scale(p))
        return;
    snprintf(name, sizeof name, "key tokens, %d a block", p->block_tokens);
    draw_scale(canvas, p, l, BOTTOM, p->block_tokens, name);
    draw_scale(canvas, p, l, RIGHT, p->block_tokens, "query tokens");
}

/* ---------------------------------------------------------------- words */

static void draw_legend(struct canvas *canvas, const struct picture *p, const struct layout *l)
{
    int num_swatches, left = l->left, room = l->width - left - MARGIN, y = l->height - FOOTER + 20;
    const struct swatch *swatches = swatches_of(p, l, &num_swatches);
    if (!is_cell_by_cell(l)) {
        char field[96], line[256], height[AXIS_LABEL_SIZE], width[AXIS_LABEL_SIZE];
        snprintf(field, sizeof field, "%s × %s %s", axis_label(height, (uint64_t)axis_largest_field(l->rows)),
                 axis_label(width, (uint64_t)axis_largest_field(l->cols)), unit_of(p));
        snprintf(line, sizeof line, p->legend, field);
        canvas_text(canvas, left, y - 2, (struct text_style){.size = LABEL_SIZE, .color = soft_ink}, line);
    }
    size_t longest = 0;
    for (int k = 0; k < num_swatches; k++)
        longest = strlen(swatches[k].label) > longest ? strlen(swatches[k].label) : longest;
    int box = text_width(longest, LABEL_SIZE) + 14;
    box = box * num_swatches < room ? box : room / num_swatches;
    struct rect frame = {left - 1, y + 5, box * num_swatches + 1, SWATCH_HEIGHT + 2};
    canvas_fill(canvas, "legend", frame_color, &frame, 1);
    for (int k = 0; k < num_swatches; k++) {
        struct rect rect = {left + k * box, y + 6, box - 1, SWATCH_HEIGHT};
        struct text_style style = {.size = LABEL_SIZE - 1, .color = soft_ink, .anchor = ANCHOR_MIDDLE};
        canvas_fill(canvas, NULL, swatches[k].color, &rect, 1);
        canvas_text(canvas, rect.x + box / 2, rect.y + SWATCH_HEIGHT + 14, style, swatches[k].label);
    }
}

/* The name as UTF-8 of at most `max_chars` characters: the middle gives way to an ellipsis. The caller frees it. */
static char *shorten(const char *name, size_t max_chars)
{
    size_t length = strlen(name), num_chars = 0;
    json_t *valid = json_string(name); /* NULL where it is not UTF-8 */
    char *text = cli_alloc(length + 4, 1), *end = text;
    for (size_t i = 0; i < length; i++)
        num_chars += (name[i] & 0xc0) != 0x80;
    size_t head = num_chars <= max_chars ? num_chars : max_chars * 2 / 3, tail = num_chars - (max_chars - head) + 1, seen = 0;
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)name[i];
        seen += (c & 0xc0) != 0x80;
        if (seen <= head || seen > tail || num_chars <= max_chars)
            *end++ = (char)(c < ' ' || c == 0x7f || (c >= 0x80 && valid == NULL) ? '?' : c);
        else if (seen == head + 1 && (c & 0xc0) != 0x80)
            end = stpcpy(end, "…");
    }
    json_decref(valid);
    return text;
}

static void *draw(enum canvas_kind kind, const struct picture *p, const struct layout *l, const uint8_t *fields, size_t *num_bytes)
{
    char *title = shorten(p->name, (size_t)((l->width - 2 * MARGIN) * 3 / 2 / TITLE_SIZE));
    char description[768];
    snprintf(description, sizeof description, "%s. Rows (query %s) go down, columns (key %s) go right.", p->summary, unit_of(p),
             unit_of(p));
    struct canvas *canvas = canvas_create(kind, l->width, l->height, title, description);
    canvas_text(canvas, MARGIN, MARGIN + TITLE_SIZE - 2, (struct text_style){.size = TITLE_SIZE, .color = ink, .bold = 1}, title);
    canvas_text(canvas, MARGIN, HEADER - 4, (struct text_style){.size = TEXT_SIZE, .color = soft_ink}, p->summary);
    if (l->rows.fields > 0 && l->cols.fields > 0) {
        draw_fields(canvas, p, l, fields);
        draw_grid(canvas, l);
        draw_scales(canvas, p, l);
        draw_legend(canvas, p, l);
    }
    free(title);
    return canvas_finish(canvas, num_bytes);
}

void *picture_svg(const struct picture *p, size_t *num_bytes)
{
    struct layout layout;
    uint8_t *fields = NULL;
    int pixels = 1;
    do {
        free(fields);
        layout = picture_layout(p, pixels++);
        fields = paint(p, &layout);
    } while (count_rects(p, &layout, fields) > MAX_SVG_RECTS);
    void *data = draw(CANVAS_SVG, p, &layout, fields, num_bytes);
    free(fields);
    return data;
}

void *picture_png(const struct picture *p, size_t *num_bytes)
{
    struct layout layout = picture_layout(p, 1);
    uint8_t *fields = paint(p, &layout);
    void *data = draw(CANVAS_PNG, p, &layout, fields, num_bytes);
    free(fields);
    return data;
}
