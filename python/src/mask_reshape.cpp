/* SPDX-License-Identifier: Apache-2.0
 * The class Mask: other grids, and growing. */
#include "mask.h"

static Mask transpose(const Mask &mask) { return make_mask_quickly(is_small(mask), rmask_transpose, mask.get()); }

static Mask shift(const Mask &mask, int32_t rows, std::optional<int32_t> cols)
{
    return make_mask_quickly(is_small(mask), rmask_shift, mask.get(), rows, cols.value_or(rows));
}

static int32_t tile_side(const char *name, int64_t value)
{
    if (value < 1) complain(std::string(name) + " must be at least 1");
    return side(name, value);
}

static std::pair<Mask, Mask> coarsen_any_all(const Mask &mask, int64_t tile_rows, std::optional<int64_t> tile_cols)
{
    rmask *any = nullptr, *all = nullptr;
    const int32_t a = tile_side("tile_rows", tile_rows), b = tile_side("tile_cols", tile_cols.value_or(tile_rows));
    call_unlocked(rmask_coarsen, mask.get(), a, b, &any, &all);
    return {Mask(any), Mask(all)};
}

static std::pair<Mask, Mask> coarsen(const Mask &mask, int64_t tile_rows, std::optional<int64_t> tile_cols)
{
    auto [any, all] = coarsen_any_all(mask, tile_rows, tile_cols);
    Mask partial = make_mask_quickly(is_small(any) && is_small(all), rmask_combine, any.get(), all.get(), RMASK_AND_NOT);
    return {std::move(all), std::move(partial)};
}

static Mask refine(const Mask &mask, int64_t tile_rows, std::optional<int64_t> tile_cols, std::optional<int64_t> rows,
                   std::optional<int64_t> cols)
{
    const int64_t a = tile_side("tile_rows", tile_rows), b = tile_side("tile_cols", tile_cols.value_or(tile_rows));
    return make_mask(rmask_refine, mask.get(), (int32_t)a, (int32_t)b, side("rows", rows.value_or(mask.rows() * a)),
                     side("cols", cols.value_or(mask.cols() * b)));
}

static std::vector<const rmask *> pointers_of(const std::vector<const Mask *> &masks)
{
    std::vector<const rmask *> list;
    for (const Mask *mask : masks) list.push_back(mask->get());
    return list;
}

static Mask concat(const std::vector<const Mask *> &masks)
{
    const auto list = pointers_of(masks);
    return make_mask(rmask_concat, list.data(), list.size(), (const rmask_allocator *)nullptr);
}

static Mask stack(const std::vector<const Mask *> &masks)
{
    if (masks.empty()) complain("stack needs at least one mask");
    const auto list = pointers_of(masks);
    return make_mask(rmask_stack, list.data(), list.size());
}

static Mask repeat(const Mask &mask, int32_t times)
{
    if (times < 0) complain("times must not be negative");
    return make_mask(rmask_repeat, mask.get(), times);
}

/* Negative rows count from the end, as everywhere in Python. */
static Mask take_rows(const Mask &mask, ArrayLike rows)
{
    const Integers<int64_t> given(rows, "rows");
    std::vector<int32_t> list;
    list.reserve(given.size());
    for (int64_t row : given) {
        const int64_t index = row < 0 ? row + mask.rows() : row;
        if (index < 0 || index >= mask.rows()) {
            PyErr_Format(PyExc_IndexError, "row %lld is out of range: the mask has %d rows", (long long)row, (int)mask.rows());
            throw nb::python_error();
        }
        list.push_back((int32_t)index);
    }
    return make_mask(rmask_take_rows, mask.get(), (const int32_t *)list.data(), list.size());
}

/* ---------------------------------------------------------------- growing */

/* The grower whose newest mask this is, or a new one. It leaves the mask, so that a second append starts anew. */
static GrowerPointer take_grower(Mask &mask)
{
    if (mask.grower) return std::move(mask.grower);
    rmask_grower *grower = nullptr;
    call_quickly(is_small(mask), rmask_grower_create, mask.get(), &grower);
    return GrowerPointer(grower);
}

static void widen(rmask_grower *grower, std::optional<int64_t> cols)
{
    if (!cols) return;
    const int64_t more = side("cols", *cols) - (int64_t)rmask_grower_cols(grower);
    if (more < 0) complain("cols is less than the mask has: columns are only added");
    call(rmask_grower_add_cols, grower, (int32_t)more);
}

static Mask grown(GrowerPointer grower)
{
    rmask *out = nullptr;
    call(rmask_grower_mask, (const rmask_grower *)grower.get(), &out);
    Mask mask(out);
    mask.grower = std::move(grower);
    return mask;
}

static Mask append_mask(Mask &mask, const Mask &rows, std::optional<int64_t> cols)
{
    GrowerPointer grower = take_grower(mask);
    widen(grower.get(), cols);
    call_quickly(is_small(rows), rmask_grower_add_rows, grower.get(), rows.get());
    return grown(std::move(grower));
}

static Mask append_lists(Mask &mask, nb::typed<nb::iterable, ArrayLike> rows, std::optional<int64_t> cols)
{
    GrowerPointer grower = take_grower(mask);
    widen(grower.get(), cols);
    for (nb::handle row : rows) {
        const Integers<int32_t> list(row, "a row");
        call(rmask_grower_add_row, grower.get(), list.data(), list.size());
    }
    return grown(std::move(grower));
}

static Mask extend(Mask &mask, int64_t rows, std::optional<int64_t> cols)
{
    GrowerPointer grower = take_grower(mask);
    widen(grower.get(), cols);
    call(rmask_grower_extend, grower.get(), side("rows", rows));
    return grown(std::move(grower));
}

void bind_mask_reshaping(nb::class_<Mask> &mask)
{
    mask.def("transpose", &transpose, "The cells (c, r) of all cells (r, c).")
        .def_prop_ro("T", &transpose, "transpose()")
        .def("slice", &slice_mask, "row_begin"_a = 0, "row_end"_a = nb::none(), "col_begin"_a = 0, "col_end"_a = nb::none(),
             "Rows [row_begin, row_end) and columns [col_begin, col_end) as a grid of their own. Raises IndexError.")
        .def("shift", &shift, "rows"_a, "cols"_a = nb::none(),
             "Moves every cell down and right in the same grid; cols is rows unless given. What leaves the grid is lost.")
        .def("coarsen", &coarsen, "tile_rows"_a, "tile_cols"_a = nb::none(),
             "(full, partial): the tiles with all of their cells in the mask, and those with some but not all.\n\n"
             "Their grids are ceil(rows / tile_rows) x ceil(cols / tile_cols). Of a tile at the edge only the cells inside the "
             "grid count. "
             "tile_cols is tile_rows unless given.")
        .def("coarsen_any_all", &coarsen_any_all, "tile_rows"_a, "tile_cols"_a = nb::none(),
             "(any, all): tiles with a cell, and full tiles.")
        .def("refine", &refine, "tile_rows"_a, "tile_cols"_a = nb::none(), "rows"_a = nb::none(), "cols"_a = nb::none(),
             "Every cell becomes a tile. rows and cols are the sides of the result, which may cut the last tiles off.")
        .def_static("concat", &concat, "masks"_a,
                    "Packs masks along the diagonal: sequences of one batch that do not see each other.")
        .def_static("stack", &stack, "masks"_a, "Puts the rows of masks with equal numbers of columns below each other.")
        .def("repeat", &repeat, "times"_a, "Copies of the mask packed along the diagonal.")
        .def("take_rows", &take_rows, "rows"_a,
             "Row i of the result is row rows[i]: in any order, again and again. Raises IndexError.")
        .def("append_rows", &append_mask, "rows"_a, "cols"_a = nb::none(),
             "A new mask with the rows of another one below; self stays as it is.\n\n"
             "cols widens the grid first: older rows have nothing in new columns. Appending to the newest of a series of masks "
             "costs what "
             "is new, to an older one or an older copy a copy of it.")
        .def("append_rows", &append_lists, "rows"_a, "cols"_a = nb::none(),
             "The same with a list of strictly increasing columns for each row.")
        .def("extend", &extend, "rows"_a, "cols"_a = nb::none(),
             "A new mask with that many rows more, which go on as the structure of the last row does: windows slide on, sinks "
             "stay.");
}
