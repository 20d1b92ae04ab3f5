/* SPDX-License-Identifier: Apache-2.0
 * The golden atlases: tests/golden/NAME.ratlas, which open for ever, and beside each NAME.ratlas.txt, which says what is in it:
 *
 *     # a comment
 *     atlas 3 x 4 of 24 x 30               layers x heads of rows x columns
 *     note ...                             the note, to the end of the line
 *     0 0 dense                            an entry: layer, head, and an expression of the pattern language
 *     0 1 causal & window(3)               or "dense" */
#ifndef ROARMASK_TESTS_GOLDEN_ATLAS_H
#define ROARMASK_TESTS_GOLDEN_ATLAS_H

#include "roarmask/atlas.h"
#include "support.h"

/* The atlas that a text describes, made by the library of today. */
rmask_atlas *golden_atlas(const char *name);

#endif
