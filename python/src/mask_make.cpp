/* SPDX-License-Identifier: Apache-2.0
 * The class Mask: from expressions, arrays and bytes. */
#include "mask.h"

#include <algorithm>
#include <cstdio>

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
    Mask mask(out);
    const size_t end = expression.find('\0');
    if (status == RMASK_OK && end != std::string::npos) {
        snprintf(error.message, sizeof error.message, "unexpected NUL at position %zu; expected the end of the expression",
                 end);
        error.position = end;
        status = RMASK_ERR_SYNTAX;
    }
    check(status, error);
    return mask;
}

static Mask from_csr(ArrayLike indptr_like, ArrayLike indices_like, std::optional<int64_t> cols)
{
    const Integers<int64_t> indptr(indptr_like, "indptr");
    const Integers<int32_t> indices(indices_like, "indices");
    if (indptr.size() < 1) complain("indptr is empty: it has one entry more than there are rows");
    const int32_t rows = side("rows", (int64_t)indptr.size() - 1);
    if (!std::is_sorted(indptr.begin(), indptr.end())) complain("indptr decreases");
    if (indptr.begin()[0] != 0 || indptr.begin()[rows] > (int64_t)indices.size())
        complain("indptr must begin with 0 and end within the indices");
    return make_mask(rmask_from_csr, rows, side("cols", cols.value_or(rows)), indptr.data(), indices.data(),
                     (const rmask_allocator *)nullptr);
}

static Mask from_coo(ArrayLike rows_like, ArrayLike cols_like, int64_t rows, std::optional<int64_t> cols)
{
    const Integers<int32_t> rows_of(rows_like, "row_indices"), cols_of(cols_like, "col_indices");
    if (rows_of.size() != cols_of.size()) complain("row_indices and col_indices differ in length");
    return make_mask(rmask_from_coo, side("rows", rows), side("cols", cols.value_or(rows)), rows_of.data(), cols_of.data(),
                     rows_of.size(), (const rmask_allocator *)nullptr);
}

using Bytes2d = nb::ndarray<const uint8_t, nb::ndim<2>, nb::c_contig, nb::device::cpu>;

static Mask from_bytes_2d(Bytes2d cells)
{
    return make_mask(rmask_from_bytes, side("rows", (int64_t)cells.shape(0)), side("cols", (int64_t)cells.shape(1)),
                     cells.data(), (size_t)cells.shape(1), (const rmask_allocator *)nullptr);
}

/* Of bools and bytes the memory itself is read, of other numbers what is not 0. */
static Mask from_dense(ArrayLike given)
{
    nb::object cells = as_array(given);
    if (nb::cast<int>(cells.attr("ndim")) != 2)
        complain("a dense mask has two dimensions, not " + std::to_string(nb::cast<int>(cells.attr("ndim"))));
    if (nb::cast<int>(cells.attr("dtype").attr("itemsize")) != 1) cells = numpy().attr("not_equal")(cells, 0);
    return from_bytes_2d(nb::cast<Bytes2d>(numpy().attr("ascontiguousarray")(cells).attr("view")("uint8")));
}

static Mask from_rows(nb::typed<nb::iterable, ArrayLike> rows, int64_t cols)
{
    std::vector<int64_t> indptr{0};
    std::vector<int32_t> indices;
    for (nb::handle row : rows) {
        const Integers<int32_t> list(row, "a row");
        indices.insert(indices.end(), list.begin(), list.end());
        indptr.push_back((int64_t)indices.size());
    }
    return make_mask(rmask_from_csr, side("rows", (int64_t)indptr.size() - 1), side("cols", cols),
                     (const int64_t *)indptr.data(), (const int32_t *)indices.data(), (const rmask_allocator *)nullptr);
}

static Mask from_scipy(nb::object matrix)
{
    if (!nb::hasattr(matrix, "tocsr")) {
        PyErr_Format(PyExc_TypeError, "from_scipy takes a scipy.sparse matrix or array, not %S", matrix.type().ptr());
        throw nb::python_error();
    }
    nb::object csr = matrix.attr("tocsr")(nb::arg("copy") = true);
    csr.attr("sum_duplicates")();
    csr.attr("eliminate_zeros")();
    return from_csr(nb::borrow<ArrayLike>(csr.attr("indptr")), nb::borrow<ArrayLike>(csr.attr("indices")),
                    nb::cast<int64_t>(csr.attr("shape")[1]));
}

static Mask from_bits(ArrayLike given, int64_t cols)
{
    nb::object array = as_array(given);
    if (nb::cast<int>(array.attr("ndim")) != 2 || !array.attr("dtype").attr("__eq__")("uint8").is(nb::bool_(true)))
        complain("bits are a uint8 array with two dimensions");
    const Bytes2d bits = nb::cast<Bytes2d>(numpy().attr("ascontiguousarray")(array));
    return make_mask(rmask_from_bits, side("rows", (int64_t)bits.shape(0)), side("cols", cols), bits.data(),
                     (size_t)bits.shape(1), (const rmask_allocator *)nullptr);
}

static Mask from_data(BytesLike given)
{
    const nb::bytes data = bytes_of(given);
    return make_mask(rmask_from_data, (const void *)data.c_str(), data.size(), (const rmask_allocator *)nullptr);
}

static nb::bytes to_data(const Mask &mask)
{
    size_t num_bytes;
    const void *data = rmask_data(mask.get(), &num_bytes);
    if (!data) throw std::bad_alloc();
    return nb::bytes(data, num_bytes);
}

static Mask open_file(const PathLike &path)
{
    return make_mask(rmask_open, path_of(path).c_str(), (const rmask_allocator *)nullptr);
}
static Mask load_file(const PathLike &path)
{
    return make_mask(rmask_load, path_of(path).c_str(), (const rmask_allocator *)nullptr);
}
static void save_file(const Mask &mask, const PathLike &path) { call_unlocked(rmask_save, mask.get(), path_of(path).c_str()); }

void bind_mask_making(nb::class_<Mask> &mask)
{
    mask.def_static("parse", &parse, "expression"_a, "rows"_a, "cols"_a = nb::none(),
                    "The mask of an expression such as \"causal & (sink(64) | window(512))\" over rows x cols blocks.\n\n"
                    "cols is rows unless given. Raises ExpressionError, a ValueError with the `position` of the fault.")
        .def_static("from_csr", &from_csr, "indptr"_a, "indices"_a, "cols"_a = nb::none(),
                    "Row r has the columns indices[indptr[r]:indptr[r + 1]], strictly increasing.\n\n"
                    "indptr has an entry more than there are rows. cols is the number of rows unless given. Any integers will "
                    "do; int64 and int32 "
                    "are read in place. Structure is found by itself: a window given cell by cell costs the bytes of its "
                    "formula. Raises "
                    "ValueError for what is out of order, IndexError for a column out of range.")
        .def_static("from_coo", &from_coo, "row_indices"_a, "col_indices"_a, "rows"_a, "cols"_a = nb::none(),
                    "The cells (row_indices[i], col_indices[i]), in any order; duplicates are one cell.\n\n"
                    "Raises IndexError for a cell outside of the grid.")
        .def_static("from_dense", &from_dense, "cells"_a,
                    "The cells of a two-dimensional array (NumPy, torch on the CPU, lists) that are not 0.\n\n"
                    "Contiguous arrays of bool and uint8 are read in place.")
        .def_static("from_rows", &from_rows, "rows"_a, "cols"_a,
                    "From a list of strictly increasing columns for each row.\n\n"
                    "Raises ValueError for what is out of order, IndexError for a column out of range.")
        .def_static("from_scipy", &from_scipy, "matrix"_a, "The entries of a scipy.sparse matrix or array that are not 0.")
        .def_static("from_bits", &from_bits, "bits"_a, "cols"_a,
                    "Cells as bits: uint8 [rows, at least ceil(cols / 8)], little-endian bit order, as numpy.packbits with "
                    "bitorder=\"little\".")
        .def_static("open", &open_file, "path"_a,
                    "Maps a file: only its header and index are read and checked, rows when they are read (see verify).\n\n"
                    "The file must not be changed in place meanwhile; replacing it, as save does, is fine. Raises OSError or "
                    "FormatError.")
        .def_static("load", &load_file, "path"_a,
                    "Reads a file into memory and checks everything. Raises OSError or FormatError.")
        .def_static("frombytes", &from_data, "data"_a,
                    "The mask of tobytes(), from anywhere: everything is checked. Raises FormatError.")
        .def("save", &save_file, "path"_a, "Writes a file, which appears whole or not at all. Raises OSError.")
        .def("tobytes", &to_data, "The mask's flat buffer: what a file holds.")
        .def(
            "verify", [](const Mask &self) { call_unlocked(rmask_verify, self.get()); },
            "Checks everything about an opened mask. Raises FormatError with the byte offset of the fault.")
        .def("__getstate__", &to_data)
        .def("__setstate__",
             [](Mask &self, const nb::bytes &data) { new (&self) Mask(from_data(nb::borrow<BytesLike>(data))); })
        .def(
            "__copy__", [](nb::handle_t<Mask> self) { return self; }, nb::sig("def __copy__(self) -> Mask"))
        .def(
            "__deepcopy__", [](nb::handle_t<Mask> self, nb::handle) { return self; },
            nb::sig("def __deepcopy__(self, memo: object) -> Mask"));
}
