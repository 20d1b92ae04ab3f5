/* SPDX-License-Identifier: Apache-2.0
 * The bytes are a program over a few masks and their twins, a byte a cell: one byte is an instruction, those behind it are its arguments.
 * After each instruction the library and the naive twin must agree. The high bit of an instruction says that an allocation fails in it. */
#include "ops.h"

#include <string.h>

const op ops[NUM_OPS] = {
    [0] = {"generate", op_generate},
    [1] = {"expression", op_expression},
    [2] = {"raw", op_raw},
    [3] = {"combine", op_combine},
    [4] = {"compare", op_compare},
    [5] = {"row_combine", op_row_combine},
    [6] = {"rows_and, rows_or", op_rows},
    [7] = {"not", op_not},
    [8] = {"raster", op_raster},
    [9] = {"to_bits, to_bytes", op_window},
    [10] = {"to_csr, from_csr", op_csr},
    [11] = {"from_data", op_data},
    [12] = {"write, read", op_stream},
    [13] = {"open", op_open},
    [14] = {"new builder", op_new_builder},
    [15] = {"builder edits", op_edit},
    [16] = {"builder row", op_edit_row},
    [17] = {"builder mask", op_add_mask},
    [18] = {"freeze", op_freeze},
    [19] = {"check all readers", op_check_same},
    [20] = {"transpose", op_transpose},
    [21] = {"slice", op_slice},
    [22] = {"shift", op_shift},
    [23] = {"concat", op_concat},
    [24] = {"repeat", op_repeat},
    [25] = {"stack", op_stack},
    [26] = {"take_rows", op_take_rows},
    [27] = {"coarsen", op_coarsen},
    [28] = {"refine", op_refine},
    [30] = {"new grower", op_new_grower},
    [31] = {"grower columns", op_grow_cols},
    [32] = {"grower extend", op_grow_extend},
    [33] = {"grower row", op_grow_row},
    [34] = {"grower rows", op_grow_rows},
    [35] = {"grower mask", op_grower_mask},
};

/* ---------------------------------------------------------------- allocations that fail */

void ops_arm(world *w)
{
    w->h.num_failed = 0;
    w->h.fail_at = w->fail_at ? w->h.num_calls + w->fail_at : 0;
}

bool ops_disarm(world *w, rmask_status status, const char *call, const void *out)
{
    w->h.fail_at = w->fail_at = 0;
    if (w->h.num_failed == 0 || status == RMASK_OK) {
        expect_ok_at(__FILE__, __LINE__, call, status);
        return true;
    }
    expect_fails_at(__FILE__, __LINE__, call, RMASK_ERR_NOMEM, status);
    static const void *const nothing;
    expect(!out || memcmp(out, &nothing, sizeof nothing) == 0, "%s: an output without memory", call);
    return false;
}

/* ---------------------------------------------------------------- slots */

slot *ops_slot(world *w) { return &w->slots[fuzz_byte(&w->in) % NUM_SLOTS]; }

slot *ops_slot_like(world *w, const slot *first)
{
    slot *s = ops_slot(w);
    for (int i = 0; i < NUM_SLOTS; i++, s = s == &w->slots[NUM_SLOTS - 1] ? w->slots : s + 1)
        if (s->t->rows == first->t->rows && s->t->cols == first->t->cols) return s;
    return s;
}

/* Half of the time that of a mask which is there already, so that masks can be combined. */
shape ops_grid(world *w)
{
    static const int32_t wide[] = {65535, 65536, 65537, 70001};
    const uint8_t lot = fuzz_byte(&w->in);
    shape grid = {w->slots[lot % NUM_SLOTS].t->rows, w->slots[lot % NUM_SLOTS].t->cols};
    if (lot < 128) return grid;
    grid.rows = (int32_t)fuzz_between(&w->in, 0, 70), grid.cols = (int32_t)fuzz_between(&w->in, 0, 70);
    if (lot >= 252) grid = (shape){1 + grid.rows % 3, wide[lot - 252]};
    return grid;
}

int32_t ops_row(world *w, const slot *s) { return (int32_t)fuzz_between(&w->in, 0, s->t->rows - 1); }

bool ops_affordable(const world *w, int64_t rows, int64_t cols)
{
    return rows <= MAX_CELLS && cols <= MAX_CELLS && rows * cols <= MAX_CELLS && rows * cols <= w->work;
}

void ops_put(world *w, rmask *mask, twin *t)
{
    slot *s = ops_slot(w);
    check_rows(mask, t);
    expect_ok(rmask_verify(mask, test_error));
    rmask_release(s->mask), twin_free(s->t);
    *s = (slot){mask, t};
    w->work -= (int64_t)t->rows * t->cols + 100;
}

void ops_check_columns(const int32_t *cols, size_t num_cols, const uint8_t *wanted, int32_t width, const char *what)
{
    size_t at = 0;
    for (int32_t col = 0; col < width; col++)
        if (wanted[col]) expect(at < num_cols && cols[at++] == col, "%s: without column %d", what, col);
    expect(at == num_cols, "%s: %zu columns instead of %zu", what, num_cols, at);
}

/* ---------------------------------------------------------------- programs */

static void run(world *w)
{
    for (int step = 0; !fuzz_is_over(&w->in) && w->work > 0; step++) {
        const uint8_t code = fuzz_byte(&w->in);
        const op *o = &ops[code % NUM_OPS];
        if (!o->run) continue;
        w->fail_at = code & 0x80 ? (size_t)fuzz_between(&w->in, 1, 20) : 0;
        w->h.fail_on = code & 0x40;
        note("step %d: %s", step, o->name);
        o->run(w);
        w->fail_at = 0;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t num_bytes)
{
    world w = {.in = {bytes, bytes + num_bytes}, .work = WORK};
    w.allocator = hook_allocator(&w.h);
    for (int i = 0; i < NUM_SLOTS; i++) {
        w.slots[i].t = twin_create(5 * i, 7 * i);
        expect_ok(rmask_parse("none", 5 * i, 7 * i, &w.allocator, &w.slots[i].mask, test_error));
    }
    run(&w);
    note("the end");
    rmask_builder_destroy(w.builder), twin_free(w.built);
    rmask_grower_destroy(w.grower), twin_free(w.grown), rmask_release(w.structure);
    for (int i = 0; i < NUM_SLOTS; i++) {
        check_rows_release(w.slots[i].mask, w.slots[i].t);
        twin_free(w.slots[i].t);
    }
    check_hook_empty(&w.h);
    return 0;
}
