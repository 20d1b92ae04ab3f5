/* SPDX-License-Identifier: Apache-2.0
 * The golden files: tests/golden/NAME.rmask, which open for ever, and beside each NAME.txt, which says what is in it:
 *
 *     # a comment
 *     grid 40 x 600                        rows x columns
 *     made of strips=1 fixed=0 ...         golden_made_of
 *     cells causal & window(100)           an expression of the pattern language; or
 *     row 7: 3-9 12 40-599                 the columns of each row that has some */
#ifndef ROARMASK_TESTS_GOLDEN_H
#define ROARMASK_TESTS_GOLDEN_H

#include "support.h"

enum { GOLDEN_LINE = 512 };

/* The kinds of golden files; golden_atlas.h says what an atlas's text is like. */
typedef enum golden_kind { GOLDEN_MASK = 1, GOLDEN_ATLAS = 2, GOLDEN_ANY = 3 } golden_kind;

typedef struct golden {
    golden_kind kind; /* a mask or an atlas */
    char name[64];    /* without the ending */
    char file[64];    /* with it */
    uint8_t *bytes;
    size_t num_bytes;
} golden;

/* All golden files of these kinds, ordered by name; malloc'ed. */
golden *golden_list(golden_kind kinds, size_t *num_files);
void golden_free(golden *files, size_t num_files);

/* The path of a golden file, valid until the next call. `ending` is "rmask", "ratlas" or "txt". */
const char *golden_path(const char *name, const char *ending);

/* What the flat buffer of a mask is made of, in one line. */
void golden_made_of(const rmask *mask, char line[GOLDEN_LINE]);

/* Holds a mask against a golden text: grid, sections and every cell. */
void golden_check(const rmask *mask, const char *name);

#endif
