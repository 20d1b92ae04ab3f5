/* SPDX-License-Identifier: Apache-2.0
 *
 * The picture of one mask: fields by the share of their cells that are in the mask. */
#ifndef ROARMASK_DENSITY_H
#define ROARMASK_DENSITY_H

#include "picture.h"

/* The cells of each field, rows.fields x cols.fields; the caller frees them. */
uint64_t *density_counts(const rmask *mask, struct axis rows, struct axis cols);

/* A line about a window: its place in the grid, its cells and its density. */
enum { DENSITY_SUMMARY_SIZE = 512 };
void density_summarise(char summary[DENSITY_SUMMARY_SIZE], const rmask *mask, struct axis rows, struct axis cols);

/* The picture that the options ask for, under a name; it keeps the mask, the name and the summary, and frees nothing. */
void density_picture(struct picture *picture, const rmask *mask, const char *name, const struct picture_args *args,
                     char summary[DENSITY_SUMMARY_SIZE]);

#endif
