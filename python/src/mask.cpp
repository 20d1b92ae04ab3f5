/* SPDX-License-Identifier: Apache-2.0
 * The class Mask. */
#include "common.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <string>

#include <nanobind/stl/pair.h>

/* ---------------------------------------------------------------- making */

static Mask parse(const std::string &expression, int64_t rows, std::optional<int64_t> cols)
{
    const int32_t r = side("rows", rows), c = side("cols", cols.value_or(rows));
    rmask *out = nullptr;
    rmask_error error;
    rmask_status status;
    {
        nb::gil_scoped_release unlocked;
        status = rmask_parse(expression.c_str(), r, c, nullptr, &out, &error);
    }
    if (status == RMASK_ERR_RANGE) status = RMASK_ERR_ARGUMENT; /* a ValueError: nothing is indexed here */
    check(status, error);
    return Mask(out);
}

static void complain(const char *message)
{
    PyErr_SetString(PyExc_ValueError, message);
    throw nb::python_error();
}

static nb::module_ numpy() { return nb::module_::import_("numpy"); }

static Mask from_csr(Input<int64_t> indptr, Input<int32_t> indices, std::optional<int64_t> cols)
{
    if (indptr.size() < 1) complain("indptr is empty: it has one entry more than there are rows");
    const int32_t rows = side("rows", (int64_t)indptr.size() - 1);
    const int64_t *at = indptr.data();
    for (int32_t row = 0; row < rows; row++)
        if (at[row + 1] < at[row]) complain("indptr decreases");
    if (at[0] != 0 || at[rows] > (int64_t)indices.size()) complain("indptr must begin with 0 and end within the indices");
    return make_mask(rmask_from_csr, rows, side("cols", cols.value_or(rows)), at, indices.data(), (const rmask_allocator *)nullptr);
}

static Mask from_coo(Input<int32_t> rows_of, Input<int32_t> cols_of, int64_t rows, std::optional<int64_t> cols)
{
    if (rows_of.size() != cols_of.size()) complain("row_indices and col_indices differ in length");
    return make_mask(rmask_from_coo, side("rows", rows), side("cols", cols.value_or(rows)), rows_of.data(), cols_of.data(),
                     (size_t)rows_of.size(), (const rmask_allocator *)nullptr);
}

using Bytes2d = nb::ndarray<const uint8_t, nb::ndim<2>, nb::c_contig, nb::device::cpu>;

static Mask from_bytes_2d(Bytes2d cells)
{
    return make_mask(rmask_from_bytes, side("rows", (int64_t)cells.shape(0)), side("cols", (int64_t)cells.shape(1)), cells.data(),
                     (size_t)cells.shape(1), (const rmask_allocator *)nullptr);
}

/* Anything that NumPy takes as an array: of bools and bytes the memory itself is read, of other numbers what is not 0. */
static Mask from_dense(nb::object array)
{
    nb::object cells = numpy().attr("asarray")(array);
    if (nb::cast<int>(cells.attr("ndim")) != 2) complain("a dense mask has two dimensions");
    if (nb::cast<int>(cells.attr("dtype").attr("itemsize")) != 1) cells = numpy().attr("not_equal")(cells, 0);
    return from_bytes_2d(nb::cast<Bytes2d>(numpy().attr("ascontiguousarray")(cells).attr("view")("uint8")));
}

static Input<int32_t> columns_of(nb::handle row)
{
    return nb::cast<Input<int32_t>>(numpy().attr("ascontiguousarray")(row, "int32"));
}

static Mask from_rows(nb::iterable rows, int64_t cols)
{
    std::vector<int64_t> indptr{0};
    std::vector<int32_t> indices;
    for (nb::handle row : rows) {
        const Input<int32_t> list = columns_of(row);
        indices.insert(indices.end(), list.data(), list.data() + list.size());
        indptr.push_back((int64_t)indices.size());
    }
    return make_mask(rmask_from_csr, side("rows", (int64_t)indptr.size() - 1), side("cols", cols), (const int64_t *)indptr.data(),
                     (const int32_t *)indices.data(), (const rmask_allocator *)nullptr);
}

static Mask from_scipy(nb::object matrix)
{
    nb::object csr = matrix.attr("tocsr")(nb::arg("copy") = true);
    csr.attr("sum_duplicates")();
    csr.attr("eliminate_zeros")();
    nb::object shape = csr.attr("shape");
    return from_csr(nb::cast<Input<int64_t>>(csr.attr("indptr").attr("astype")("int64")), columns_of(csr.attr("indices")),
                    nb::cast<int64_t>(shape[1]));
}

static Mask from_bits(Bytes2d bits, int64_t cols)
{
    return make_mask(rmask_from_bits, side("rows", (int64_t)bits.shape(0)), side("cols", cols), bits.data(), (size_t)bits.shape(1),
                     (const rmask_allocator *)nullptr);
}

static Mask from_data(nb::bytes data)
{
    return make_mask(rmask_from_data, (const void *)data.c_str(), data.size(), (const rmask_allocator *)nullptr);
}

static nb::bytes to_data(const Mask &mask)
{
    size_t num_bytes;
    const void *data = rmask_data(mask.get(), &num_bytes);
    if (!data) throw std::bad_alloc();
    return nb::bytes(data, num_bytes);
}

static Mask open_file(const std::filesystem::path &path) { return make_mask(rmask_open, path.c_str(), (const rmask_allocator *)nullptr); }
static Mask load_file(const std::filesystem::path &path) { return make_mask(rmask_load, path.c_str(), (const rmask_allocator *)nullptr); }
static void save_file(const Mask &mask, const std::filesystem::path &path) { call_unlocked(rmask_save, mask.get(), path.c_str()); }

/* ---------------------------------------------------------------- rows */

enum : int32_t { ROOM_COLS = 1 << 20 };

static nb::object read_row(const Mask &mask, int32_t row)
{
    size_t count;
    const int32_t cols = mask.cols();
    if (cols > ROOM_COLS) {
        call(rmask_row_count, mask.get(), row, &count);
        int32_t *data;
        nb::object array = new_int32(count, data);
        call(rmask_row, mask.get(), row, data, count, &count);
        return array;
    }
    int32_t *room = row_room((size_t)cols);
    call(rmask_row, mask.get(), row, room, (size_t)cols, &count);
    return copy_int32(room, count);
}

static Mask slice(const Mask &mask, int64_t row_begin, std::optional<int64_t> row_end, int64_t col_begin, std::optional<int64_t> col_end)
{
    return make_mask_quickly(is_small(mask.get()), rmask_slice, mask.get(), side("row_begin", row_begin),
                             side("row_end", row_end.value_or(mask.rows())), side("col_begin", col_begin),
                             side("col_end", col_end.value_or(mask.cols())));
}

struct Range {
    int32_t begin, end;
};

static Range range_of(nb::slice slice, int32_t length)
{
    auto [begin, end, step, count] = slice.compute((size_t)length);
    if (step != 1) complain("a slice of a mask has step 1: use take_rows for other rows");
    return {(int32_t)begin, (int32_t)(begin + (int64_t)count)};
}

static nb::object get_item(const Mask &mask, nb::handle key)
{
    if (nb::isinstance<nb::tuple>(key)) {
        nb::tuple pair = nb::borrow<nb::tuple>(key);
        if (pair.size() == 2 && nb::isinstance<nb::slice>(pair[0]) && nb::isinstance<nb::slice>(pair[1])) {
            const Range rows = range_of(nb::borrow<nb::slice>(pair[0]), mask.rows()), cols = range_of(nb::borrow<nb::slice>(pair[1]), mask.cols());
            return nb::cast(slice(mask, rows.begin, rows.end, cols.begin, cols.end));
        }
        complain("two indices must both be slices; for one cell write (row, col) in mask");
    }
    if (nb::isinstance<nb::slice>(key)) {
        const Range rows = range_of(nb::borrow<nb::slice>(key), mask.rows());
        return nb::cast(slice(mask, rows.begin, rows.end, 0, mask.cols()));
    }
    return read_row(mask, row_index(mask, nb::cast<int64_t>(key)));
}

static bool contains(const Mask &mask, std::pair<int64_t, int64_t> cell)
{
    auto [row, col] = cell;
    return row >= 0 && row < mask.rows() && col >= 0 && col < mask.cols() && rmask_contains(mask.get(), (int32_t)row, (int32_t)col);
}

static size_t row_count(const Mask &mask, int64_t row)
{
    size_t count;
    call(rmask_row_count, mask.get(), row_index(mask, row), &count);
    return count;
}

static nb::object row_ranges(const Mask &mask, int64_t row)
{
    size_t count;
    const int32_t index = row_index(mask, row);
    call(rmask_row_ranges, mask.get(), index, (int32_t *)nullptr, (size_t)0, &count);
    int32_t *data;
    nb::object array = new_int32(2 * count, data);
    call(rmask_row_ranges, mask.get(), index, data, count, &count);
    return array.attr("reshape")(count, 2);
}

static std::vector<int32_t> rows_of(const Mask &mask, nb::args rows)
{
    std::vector<int32_t> list;
    for (nb::handle row : rows) {
        if (nb::isinstance<nb::int_>(row) || nb::hasattr(row, "__index__")) {
            list.push_back(row_index(mask, nb::cast<int64_t>(nb::int_(row))));
            continue;
        }
        for (nb::handle inner : nb::iter(row)) list.push_back(row_index(mask, nb::cast<int64_t>(nb::int_(inner))));
    }
    return list;
}

template <typename Function> static nb::object combine_rows(Function *function, const Mask &mask, const std::vector<int32_t> &rows)
{
    size_t count;
    const int32_t cols = mask.cols();
    if (cols > ROOM_COLS) {
        call(function, mask.get(), rows.data(), rows.size(), (int32_t *)nullptr, (size_t)0, &count);
        int32_t *data;
        nb::object array = new_int32(count, data);
        call(function, mask.get(), rows.data(), rows.size(), data, count, &count);
        return array;
    }
    int32_t *room = row_room((size_t)cols);
    call(function, mask.get(), rows.data(), rows.size(), room, (size_t)cols, &count);
    return copy_int32(room, count);
}

/* Two rows are the usual case, and have a routine of their own. */
static nb::object combine_two(const Mask &mask, int32_t a, int32_t b, rmask_function function)
{
    size_t count;
    const int32_t cols = mask.cols();
    int32_t *room = row_room((size_t)cols);
    call(rmask_row_combine, mask.get(), a, mask.get(), b, function, room, (size_t)cols, &count);
    return copy_int32(room, count);
}

static nb::object intersection(const Mask &mask, nb::args rows)
{
    const std::vector<int32_t> list = rows_of(mask, rows);
    if (list.size() == 2 && mask.cols() <= ROOM_COLS) return combine_two(mask, list[0], list[1], RMASK_AND);
    return combine_rows(rmask_rows_and, mask, list);
}

static nb::object union_of(const Mask &mask, nb::args rows)
{
    const std::vector<int32_t> list = rows_of(mask, rows);
    if (list.size() == 2 && mask.cols() <= ROOM_COLS) return combine_two(mask, list[0], list[1], RMASK_OR);
    return combine_rows(rmask_rows_or, mask, list);
}

/* ---------------------------------------------------------------- algebra */

template <rmask_function function> static Mask combine(const Mask &a, const Mask &b)
{
    return make_mask_quickly(is_small(a.get()) && is_small(b.get()), rmask_combine, a.get(), b.get(), function);
}

static Mask combine_by(const Mask &a, const Mask &b, int function)
{
    return make_mask(rmask_combine, a.get(), b.get(), (rmask_function)function);
}

static uint64_t combine_count(const Mask &a, const Mask &b, int function)
{
    uint64_t count;
    call_unlocked(rmask_combine_count, a.get(), b.get(), (rmask_function)function, &count);
    return count;
}

static Mask invert(const Mask &mask) { return make_mask_quickly(is_small(mask.get()), rmask_not, mask.get()); }

static bool equal(const Mask &a, const Mask &b)
{
    bool equal;
    call_unlocked(rmask_equal, a.get(), b.get(), &equal);
    return equal;
}

/* a is in b when nothing of a is outside of b. */
static bool is_subset(const Mask &a, const Mask &b)
{
    uint64_t count;
    call_unlocked(rmask_combine_count, a.get(), b.get(), RMASK_AND_NOT, &count);
    return count == 0;
}

static double jaccard(const Mask &a, const Mask &b)
{
    double overlap;
    call_unlocked(rmask_jaccard, a.get(), b.get(), &overlap);
    return overlap;
}

/* ---------------------------------------------------------------- reshaping */

static Mask transpose(const Mask &mask) { return make_mask_quickly(is_small(mask.get()), rmask_transpose, mask.get()); }

static Mask shift(const Mask &mask, int32_t rows, std::optional<int32_t> cols)
{
    return make_mask_quickly(is_small(mask.get()), rmask_shift, mask.get(), rows, cols.value_or(rows));
}

static int32_t tile_side(const char *name, int64_t value)
{
    if (value < 1) complain((std::string(name) + " must be at least 1").c_str());
    return side(name, value);
}

static std::pair<Mask, Mask> coarsen_any_all(const Mask &mask, int64_t tile_rows, std::optional<int64_t> tile_cols)
{
    rmask *any = nullptr, *all = nullptr;
    call_unlocked(rmask_coarsen, mask.get(), tile_side("tile_rows", tile_rows), tile_side("tile_cols", tile_cols.value_or(tile_rows)), &any, &all);
    return {Mask(any), Mask(all)};
}

static std::pair<Mask, Mask> coarsen(const Mask &mask, int64_t tile_rows, std::optional<int64_t> tile_cols)
{
    auto [any, all] = coarsen_any_all(mask, tile_rows, tile_cols);
    Mask partial = combine<RMASK_AND_NOT>(any, all);
    return {std::move(all), std::move(partial)};
}

static Mask refine(const Mask &mask, int64_t tile_rows, std::optional<int64_t> tile_cols, std::optional<int64_t> rows, std::optional<int64_t> cols)
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

static Mask take_rows(const Mask &mask, Input<int32_t> rows)
{
    return make_mask(rmask_take_rows, mask.get(), rows.data(), (size_t)rows.size());
}

/* ---------------------------------------------------------------- growing */

/* The grower whose newest mask this is, or a new one. It leaves the mask, so that a second append to the same mask starts anew. */
static std::shared_ptr<rmask_grower> take_grower(Mask &mask)
{
    if (mask.grower) return std::move(mask.grower);
    rmask_grower *grower = nullptr;
    call_unlocked(rmask_grower_create, mask.get(), &grower);
    return std::shared_ptr<rmask_grower>(grower, GrowerDeleter());
}

static void widen(rmask_grower *grower, std::optional<int64_t> cols)
{
    if (!cols) return;
    const int64_t more = side("cols", *cols) - (int64_t)rmask_grower_cols(grower);
    if (more < 0) complain("cols is less than the mask has: columns are only added");
    call(rmask_grower_add_cols, grower, (int32_t)more);
}

static Mask grown(std::shared_ptr<rmask_grower> grower)
{
    rmask *out = nullptr;
    call(rmask_grower_mask, (const rmask_grower *)grower.get(), &out);
    Mask mask(out);
    mask.grower = std::move(grower);
    return mask;
}

static Mask append_mask(Mask &mask, const Mask &rows, std::optional<int64_t> cols)
{
    std::shared_ptr<rmask_grower> grower = take_grower(mask);
    widen(grower.get(), cols);
    call_unlocked(rmask_grower_add_rows, grower.get(), rows.get());
    return grown(std::move(grower));
}

static Mask append_lists(Mask &mask, nb::iterable rows, std::optional<int64_t> cols)
{
    std::shared_ptr<rmask_grower> grower = take_grower(mask);
    widen(grower.get(), cols);
    for (nb::handle row : rows) {
        const Input<int32_t> list = columns_of(row);
        call(rmask_grower_add_row, grower.get(), list.data(), (size_t)list.size());
    }
    return grown(std::move(grower));
}

static Mask extend(Mask &mask, int64_t rows, std::optional<int64_t> cols)
{
    std::shared_ptr<rmask_grower> grower = take_grower(mask);
    widen(grower.get(), cols);
    call(rmask_grower_extend, grower.get(), side("rows", rows));
    return grown(std::move(grower));
}

/* ---------------------------------------------------------------- whole masks out */

static std::pair<nb::object, nb::object> to_csr(const Mask &mask)
{
    int64_t *indptr;
    int32_t *indices;
    const size_t count = (size_t)rmask_count(mask.get());
    nb::object starts = new_int64((size_t)mask.rows() + 1, indptr), cols = new_int32(count, indices);
    call_unlocked(rmask_to_csr, mask.get(), 0, mask.rows(), indptr, indices, count);
    return {starts, cols};
}

static std::pair<nb::object, nb::object> to_coo(const Mask &mask)
{
    auto [starts, cols] = to_csr(mask);
    int32_t *rows;
    nb::object row_indices = new_int32((size_t)rmask_count(mask.get()), rows);
    const Input<int64_t> indptr = nb::cast<Input<int64_t>>(starts);
    for (int32_t row = 0; row < mask.rows(); row++) std::fill(rows + indptr.data()[row], rows + indptr.data()[row + 1], row);
    return {row_indices, cols};
}

static nb::object to_dense(const Mask &mask)
{
    uint8_t *cells;
    nb::object array = new_bool_2d((size_t)mask.rows(), (size_t)mask.cols(), cells);
    call_unlocked(rmask_to_bytes, mask.get(), 0, mask.rows(), 0, mask.cols(), cells, (size_t)mask.cols());
    return array;
}

static nb::object to_bits(const Mask &mask)
{
    uint8_t *bits;
    const size_t stride = ((size_t)mask.cols() + 7) / 8;
    nb::object array = new_uint8_2d((size_t)mask.rows(), stride, bits);
    call_unlocked(rmask_to_bits, mask.get(), 0, mask.rows(), 0, mask.cols(), bits, stride);
    return array;
}

static nb::object to_scipy(const Mask &mask)
{
    auto [indptr, indices] = to_csr(mask);
    nb::object ones = numpy().attr("ones")(rmask_count(mask.get()), "bool");
    return nb::module_::import_("scipy.sparse").attr("csr_array")(nb::make_tuple(ones, indices, indptr),
                                                                  nb::arg("shape") = nb::make_tuple(mask.rows(), mask.cols()));
}

static nb::object raster(const Mask &mask, int32_t height, int32_t width, std::optional<std::pair<int32_t, int32_t>> rows,
                         std::optional<std::pair<int32_t, int32_t>> cols)
{
    uint64_t *counts;
    const auto r = rows.value_or(std::pair<int32_t, int32_t>(0, mask.rows())), c = cols.value_or(std::pair<int32_t, int32_t>(0, mask.cols()));
    if (height < 1 || width < 1) complain("a raster has at least one field each way");
    nb::object array = new_uint64_2d((size_t)height, (size_t)width, counts);
    call_unlocked(rmask_raster, mask.get(), r.first, r.second, c.first, c.second, height, width, counts);
    return array;
}

static nb::dict stats(const Mask &mask)
{
    rmask_stats s;
    rmask_get_stats(mask.get(), &s);
    nb::dict dict;
    dict["nnz"] = s.count;
    dict["nbytes"] = s.num_bytes;
    dict["header_bytes"] = s.header_bytes;
    dict["strip_bytes"] = s.strip_bytes;
    dict["boundary_bytes"] = s.boundary_bytes;
    dict["directory_bytes"] = s.directory_bytes;
    dict["container_bytes"] = s.container_bytes;
    dict["strips"] = s.num_strips;
    dict["boundaries"] = s.num_boundaries;
    dict["exception_rows"] = s.num_exception_rows;
    dict["exceptions"] = s.num_exceptions;
    dict["arrays"] = s.num_arrays;
    dict["bitsets"] = s.num_bitsets;
    return dict;
}

/* ---------------------------------------------------------------- the class */

void bind_mask(nb::module_ &module)
{
    nb::class_<Mask>(module, "Mask", "A set of cells (row, col) of a grid: query block `row` may look at key block `col`. Immutable.")
        .def_static("parse", &parse, "expression"_a, "rows"_a, "cols"_a = nb::none(),
                    "The mask of an expression such as \"causal & (sink(64) | window(512))\" over rows x cols blocks; cols is rows unless given.\n\n"
                    "Raises ExpressionError, a ValueError with the `position` of the fault.")
        .def_static("from_csr", &from_csr, "indptr"_a, "indices"_a, "cols"_a = nb::none(),
                    "Row r has the columns indices[indptr[r]:indptr[r + 1]], strictly increasing. cols is the number of rows unless given.")
        .def_static("from_coo", &from_coo, "row_indices"_a, "col_indices"_a, "rows"_a, "cols"_a = nb::none(),
                    "Cells as pairs in any order; duplicates are one cell.")
        .def_static("from_dense", &from_dense, "cells"_a,
                    "From a two-dimensional array (NumPy, torch on the CPU, lists): cells that are not 0. bool and uint8 are not copied.")
        .def_static("from_rows", &from_rows, "rows"_a, "cols"_a, "From one list of ascending columns for each row.")
        .def_static("from_scipy", &from_scipy, "matrix"_a, "From a scipy.sparse matrix or array: its entries that are not 0.")
        .def_static("from_bits", &from_bits, "bits"_a, "cols"_a,
                    "Cells as bits, uint8 [rows, at least ceil(cols / 8)], little-endian bit order (numpy.packbits with bitorder=\"little\").")
        .def_static("open", &open_file, "path"_a,
                    "Maps a file. Only its header and index are read and checked; rows are checked when they are read. See verify().")
        .def_static("load", &load_file, "path"_a, "Reads a file into memory and checks everything.")
        .def_static("frombytes", &from_data, "data"_a, "The mask of tobytes(), from anywhere: everything is checked. Raises FormatError.")
        .def("save", &save_file, "path"_a, "Writes a file, which appears whole or not at all.")
        .def("tobytes", &to_data, "The mask's flat buffer: what a file holds.")
        .def("verify", [](const Mask &mask) { call_unlocked(rmask_verify, mask.get()); },
             "Checks everything about an opened mask. Raises FormatError with the byte offset of the fault.")
        .def("__getstate__", &to_data)
        .def("__setstate__", [](Mask &mask, nb::bytes data) { new (&mask) Mask(from_data(data)); })
        .def_prop_ro("rows", &Mask::rows, "Query blocks.")
        .def_prop_ro("cols", &Mask::cols, "Key blocks.")
        .def_prop_ro("shape", [](const Mask &mask) { return std::pair<int32_t, int32_t>(mask.rows(), mask.cols()); }, "(rows, cols)")
        .def_prop_ro("nnz", [](const Mask &mask) { return rmask_count(mask.get()); }, "The number of cells.")
        .def_prop_ro("density", [](const Mask &mask) { return rmask_density(mask.get()); }, "nnz over rows * cols, from 0 to 1.")
        .def_prop_ro("nbytes", [](const Mask &mask) { return rmask_num_bytes(mask.get()); }, "Bytes in memory and in a file.")
        .def("stats", &stats, "What the mask is made of, as a dict of counts and bytes.")
        .def("__len__", &Mask::rows)
        .def("__getitem__", &get_item, "key"_a,
             "mask[r]: the columns of row r, ascending, as a new int32 array. mask[a:b] and mask[a:b, c:d]: a part, as a mask.")
        .def("__contains__", &contains, "cell"_a, "(row, col) in mask; False outside of the grid.")
        .def("row_count", &row_count, "row"_a, "The number of cells in a row.")
        .def("row_ranges", &row_ranges, "row"_a, "A row as half-open ranges: int32 [n, 2].")
        .def("intersection", &intersection, "rows"_a, "The columns that all of these rows have: intersection(3, 5), intersection([3, 5, 9]).")
        .def("union", &union_of, "rows"_a, "The columns that any of these rows has.")
        .def("__and__", &combine<RMASK_AND>, nb::is_operator())
        .def("__or__", &combine<RMASK_OR>, nb::is_operator())
        .def("__xor__", &combine<RMASK_XOR>, nb::is_operator())
        .def("__sub__", &combine<RMASK_AND_NOT>, nb::is_operator(), "The cells of self that are not in the other mask.")
        .def("__invert__", &invert, "The cells of the grid that are not in the mask.")
        .def("__eq__", &equal, nb::is_operator(), "Whether both have the same grid and the same cells, however each was made.")
        .def("__ne__", [](const Mask &a, const Mask &b) { return !equal(a, b); }, nb::is_operator())
        .def("__le__", &is_subset, nb::is_operator(), "Whether all cells of self are in the other mask.")
        .def("__ge__", [](const Mask &a, const Mask &b) { return is_subset(b, a); }, nb::is_operator())
        .def("combine", &combine_by, "other"_a, "function"_a, "One of the 16 boolean functions: bit 2 * a + b of the number is f(a, b).")
        .def("combine_count", &combine_count, "other"_a, "function"_a, "The number of cells of combine(other, function), without making it.")
        .def("jaccard", &jaccard, "other"_a, "Cells in both over cells in either, from 0 to 1; 1 when both are empty.")
        .def("transpose", &transpose, "The cells (c, r) of all cells (r, c).")
        .def_prop_ro("T", &transpose, "transpose()")
        .def("slice", &slice, "row_begin"_a = 0, "row_end"_a = nb::none(), "col_begin"_a = 0, "col_end"_a = nb::none(),
             "Rows [row_begin, row_end) and columns [col_begin, col_end) as a grid of their own.")
        .def("shift", &shift, "rows"_a, "cols"_a = nb::none(), "Moves every cell down and right in the same grid; cols is rows unless given.")
        .def("coarsen", &coarsen, "tile_rows"_a, "tile_cols"_a = nb::none(),
             "(full, partial): the tiles with all of their cells in the mask, and those with some but not all. Edge tiles count only their "
             "cells inside the grid.")
        .def("coarsen_any_all", &coarsen_any_all, "tile_rows"_a, "tile_cols"_a = nb::none(), "(any, all): tiles with a cell, full tiles.")
        .def("refine", &refine, "tile_rows"_a, "tile_cols"_a = nb::none(), "rows"_a = nb::none(), "cols"_a = nb::none(),
             "Every cell becomes a tile; rows and cols may cut the last tiles off.")
        .def_static("concat", &concat, "masks"_a, "Packs masks along the diagonal.")
        .def_static("stack", &stack, "masks"_a, "Puts the rows of masks below each other.")
        .def("repeat", &repeat, "times"_a, "Copies of the mask packed along the diagonal.")
        .def("take_rows", &take_rows, "rows"_a, "Row i of the result is row rows[i].")
        .def("append_rows", &append_mask, "rows"_a, "cols"_a = nb::none(),
             "A new mask with the rows of another one below; self stays as it is. cols widens the grid first: older rows have nothing there. "
             "Appending to the newest mask costs what is new.")
        .def("append_rows", &append_lists, "rows"_a, "cols"_a = nb::none(), "The same with rows as lists of ascending columns.")
        .def("extend", &extend, "rows"_a, "cols"_a = nb::none(), "A new mask with rows more that go on as the structure of the last row does.")
        .def("to_csr", &to_csr, "(indptr int64 [rows + 1], indices int32 [nnz])")
        .def("to_coo", &to_coo, "(row_indices int32 [nnz], col_indices int32 [nnz]), row by row")
        .def("to_dense", &to_dense, "bool [rows, cols]")
        .def("to_bits", &to_bits, "uint8 [rows, ceil(cols / 8)], little-endian bit order")
        .def("to_scipy", &to_scipy, "scipy.sparse.csr_array of bool. Needs SciPy.")
        .def("show",
             [](nb::object mask, int width, int height) { nb::module_::import_("roarmask._picture").attr("show")(mask, width, height); },
             "width"_a = 64, "height"_a = 32, "Prints a picture of the mask.")
        .def("_repr_html_", [](nb::object mask) { return nb::module_::import_("roarmask._picture").attr("html")(mask); })
        .def("_repr_png_", [](nb::object mask) { return nb::module_::import_("roarmask._picture").attr("png")(mask); })
        .def("__repr__",
             [](const Mask &mask) {
                 char text[160];
                 snprintf(text, sizeof text, "<roarmask.Mask %d x %d, %llu cells (%.4g%%), %llu bytes>", (int)mask.rows(), (int)mask.cols(),
                          (unsigned long long)rmask_count(mask.get()), 100 * rmask_density(mask.get()),
                          (unsigned long long)rmask_num_bytes(mask.get()));
                 return std::string(text);
             })
        .def("raster", &raster, "height"_a, "width"_a, "rows"_a = nb::none(), "cols"_a = nb::none(),
             "uint64 [height, width]: how many cells lie in each field of a window (rows and cols as pairs), counted without expanding it.");
}
