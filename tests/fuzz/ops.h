/* SPDX-License-Identifier: Apache-2.0
 * Programs of bytes over a few masks, a builder and a grower, each beside its twin. */
#ifndef ROARMASK_TESTS_OPS_H
#define ROARMASK_TESTS_OPS_H

#include "fuzz.h"
#include "support/generate.h"
#include "support/hook.h"

enum {
    NUM_SLOTS = 4,
    MAX_CELLS = 220000, /* of one mask: three rows of a little more than 65,536 columns */
    WORK = 1500000,     /* cells that one program may look at */
};

typedef struct slot {
    rmask *mask;
    twin *t;
} slot;

typedef struct world {
    fuzz_input in;
    hook h;
    rmask_allocator allocator;
    slot slots[NUM_SLOTS];
    rmask_builder *builder; /* NULL until there is one, as the grower */
    twin *built;
    rmask_grower *grower;
    twin *grown;
    rmask *structure; /* the last mask whose rows the grower got, NULL if none had any, and where these begin in it */
    int32_t structure_row;
    size_t fail_at; /* which allocation of the next call fails, from 1; 0 for none */
    int64_t work;   /* what is left of it */
} world;

/* Expects a call to succeed. If the program wants it, one of its allocations fails first: then it must either do without or say so, leave
 * nothing in `out`, a pointer to the output or NULL, and succeed when it is called again. */
#define succeeds(w, out, call)                                               \
    do {                                                                     \
        test_error_reset();                                                  \
        ops_arm(w);                                                          \
        const rmask_status status_ = (call);                                 \
        if (!ops_disarm(w, status_, #call, (out))) expect_ok(call);          \
    } while (0)

void ops_arm(world *w);
bool ops_disarm(world *w, rmask_status status, const char *call, const void *out);

slot *ops_slot(world *w);

/* Another slot with the same grid, perhaps the same one. */
slot *ops_slot_like(world *w, const slot *first);

shape ops_grid(world *w);

/* A row of the slot; its grid has one. */
int32_t ops_row(world *w, const slot *s);

/* Whether a result of this many cells is affordable. */
bool ops_affordable(const world *w, int64_t rows, int64_t cols);

/* Compares and puts both into some slot. */
void ops_put(world *w, rmask *mask, twin *t);

/* Compares a row that a function has written. */
void ops_check_columns(const int32_t *cols, size_t num_cols, const uint8_t *wanted, int32_t width, const char *what);

/* An instruction, by its number: numbers are never given to something else, because corpora and fixtures are made of them. */
typedef struct op {
    const char *name;
    void (*run)(world *w);
} op;

enum { NUM_OPS = 64 };
extern const op ops[NUM_OPS];

void op_generate(world *w);
void op_expression(world *w);
void op_raw(world *w);
void op_data(world *w);
void op_stream(world *w);
void op_open(world *w);
void op_new_builder(world *w);
void op_edit(world *w);
void op_edit_row(world *w);
void op_add_mask(world *w);
void op_freeze(world *w);

void op_combine(world *w);
void op_compare(world *w);
void op_row_combine(world *w);
void op_rows(world *w);
void op_not(world *w);

void op_transpose(world *w);
void op_slice(world *w);
void op_shift(world *w);
void op_concat(world *w);
void op_repeat(world *w);
void op_stack(world *w);
void op_take_rows(world *w);

void op_coarsen(world *w);
void op_refine(world *w);
void op_window(world *w);

void op_new_grower(world *w);
void op_grow_cols(world *w);
void op_grow_extend(world *w);
void op_grow_row(world *w);
void op_grow_rows(world *w);
void op_grower_mask(world *w);

void op_check_same(world *w);
void op_raster(world *w);
void op_csr(world *w);

#endif
