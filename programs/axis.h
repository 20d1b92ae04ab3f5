/* SPDX-License-Identifier: Apache-2.0
 *
 * One side of a picture: the rows, or the columns, begin to end - 1, cut into fields as rmask_raster cuts them. */
#ifndef ROARMASK_AXIS_H
#define ROARMASK_AXIS_H

#include <stddef.h>
#include <stdint.h>

struct axis {
    int32_t begin, end;
    int32_t fields;
};

/* Reads "A:B" for an axis of `size` rows or columns; NULL is all of it. There are no fields yet. Dies, naming `option`, where the range is
 * not 0 <= A < B <= size. */
struct axis axis_parse(const char *option, const char *range, int32_t size);

int32_t axis_length(struct axis axis);

/* Where field `i` begins; the last one ends at axis_edge(axis, axis.fields). */
int32_t axis_edge(struct axis axis, int32_t i);

/* Fields differ by one row or column where they do not divide the axis. */
int32_t axis_largest_field(struct axis axis);

/* The smallest of 1, 2, 5, 10, 20, 50 ... that is at least `step`. */
int64_t axis_round_step(double step);

enum { AXIS_LABEL_SIZE = 32 };

/* A number with commas: 62,500. Returns `label`. */
char *axis_label(char label[AXIS_LABEL_SIZE], uint64_t number);

/* A number in thousands, millions or billions where one decimal says it exactly: 16k, 62.5k, 1M; otherwise as axis_label. */
char *axis_short_label(char label[AXIS_LABEL_SIZE], uint64_t number);

#endif
