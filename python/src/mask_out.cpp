/* SPDX-License-Identifier: Apache-2.0
 * The class Mask: as arrays and pictures. */
#include "mask.h"

#include <algorithm>
#include <cstdio>

static std::pair<Int64Array, Int32Array> to_csr(const Mask &mask)
{
    int64_t *indptr;
    int32_t *indices;
    const size_t count = (size_t)rmask_count(mask.get());
    Int64Array starts = new_int64((size_t)mask.rows() + 1, indptr);
    Int32Array cols = new_int32(count, indices);
    call_unlocked(rmask_to_csr, mask.get(), 0, mask.rows(), indptr, indices, count);
    return {starts, cols};
}

static std::pair<Int32Array, Int32Array> to_coo(const Mask &mask)
{
    auto [starts, cols] = to_csr(mask);
    const Integers<int64_t> indptr(starts, "indptr");
    int32_t *rows;
    Int32Array row_indices = new_int32((size_t)rmask_count(mask.get()), rows);
    nb::gil_scoped_release unlocked;
    for (int32_t row = 0; row < mask.rows(); row++) std::fill(rows + indptr.data()[row], rows + indptr.data()[row + 1], row);
    return {std::move(row_indices), std::move(cols)};
}

static BoolArray to_dense(const Mask &mask)
{
    uint8_t *cells;
    BoolArray array = new_bool_2d((size_t)mask.rows(), (size_t)mask.cols(), cells);
    call_unlocked(rmask_to_bytes, mask.get(), 0, mask.rows(), 0, mask.cols(), cells, (size_t)mask.cols());
    return array;
}

static nb::object to_array(const Mask &mask, nb::object dtype, nb::object copy)
{
    if (copy.is(nb::bool_(false))) complain("a mask has no dense array to share: copy=False cannot be");
    const BoolArray cells = to_dense(mask);
    return dtype.is_none() ? nb::object(cells) : nb::object(cells.attr("astype")(dtype));
}

static UInt8Array to_bits(const Mask &mask)
{
    uint8_t *bits;
    const size_t stride = ((size_t)mask.cols() + 7) / 8;
    UInt8Array array = new_uint8_2d((size_t)mask.rows(), stride, bits);
    call_unlocked(rmask_to_bits, mask.get(), 0, mask.rows(), 0, mask.cols(), bits, stride);
    return array;
}

static nb::object to_scipy(const Mask &mask)
{
    nb::object csr_array = nb::module_::import_("scipy.sparse").attr("csr_array");
    auto [indptr, indices] = to_csr(mask);
    nb::object ones = numpy().attr("ones")(rmask_count(mask.get()), "bool");
    return csr_array(nb::make_tuple(ones, indices, indptr), nb::arg("shape") = nb::make_tuple(mask.rows(), mask.cols()));
}

static UInt64Array raster(const Mask &mask, int32_t height, int32_t width, std::optional<std::pair<int32_t, int32_t>> rows,
                          std::optional<std::pair<int32_t, int32_t>> cols)
{
    uint64_t *counts;
    const auto r = rows.value_or(std::pair<int32_t, int32_t>(0, mask.rows())),
               c = cols.value_or(std::pair<int32_t, int32_t>(0, mask.cols()));
    if (height < 1 || width < 1) complain("a raster has at least one field each way");
    UInt64Array array = new_uint64_2d((size_t)height, (size_t)width, counts);
    call_unlocked(rmask_raster, mask.get(), r.first, r.second, c.first, c.second, height, width, counts);
    return array;
}

static nb::typed<nb::dict, nb::str, int> stats(const Mask &mask)
{
    rmask_stats s;
    rmask_get_stats(mask.get(), &s);
    nb::typed<nb::dict, nb::str, int> dict;
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

static std::string text_of(const Mask &mask)
{
    char text[160];
    snprintf(text, sizeof text, "<roarmask.Mask %d x %d, %llu cells (%.4g%%), %llu bytes>", (int)mask.rows(), (int)mask.cols(),
             (unsigned long long)rmask_count(mask.get()), 100 * rmask_density(mask.get()),
             (unsigned long long)rmask_num_bytes(mask.get()));
    return text;
}

static nb::object draw(const char *how, nb::handle mask) { return nb::module_::import_("roarmask._picture").attr(how)(mask); }

void bind_mask_output(nb::class_<Mask> &mask)
{
    mask.def("to_csr", &to_csr, "(indptr int64 [rows + 1], indices int32 [nnz]): compressed sparse rows.")
        .def("to_coo", &to_coo, "(row_indices int32 [nnz], col_indices int32 [nnz]), row by row.")
        .def("to_dense", &to_dense, "bool [rows, cols]")
        .def("to_bits", &to_bits, "uint8 [rows, ceil(cols / 8)], little-endian bit order.")
        .def("to_scipy", &to_scipy, "scipy.sparse.csr_array of bool. Needs SciPy.")
        .def("__array__", &to_array, "dtype"_a = nb::none(), "copy"_a = nb::none(),
             "numpy.asarray(mask): to_dense(), as `dtype` if given.")
        .def("raster", &raster, "height"_a, "width"_a, "rows"_a = nb::none(), "cols"_a = nb::none(),
             "uint64 [height, width]: how many cells lie in each field of a window (rows and cols as pairs), counted without "
             "expanding it.")
        .def("stats", &stats, "What the mask is made of, as a dict of counts and bytes.")
        .def(
            "show",
            [](nb::handle self, int width, int height) {
                nb::module_::import_("roarmask._picture").attr("show")(self, width, height);
            },
            "width"_a = 64, "height"_a = 32, "Prints a picture of the mask, width x height characters.")
        .def(
            "_repr_html_", [](nb::handle self) { return draw("html", self); }, nb::sig("def _repr_html_(self) -> str"))
        .def(
            "_repr_png_", [](nb::handle self) { return draw("png", self); }, nb::sig("def _repr_png_(self) -> bytes"))
        .def(
            "cuda",
            [](nb::handle self, nb::handle device) { return nb::module_::import_("roarmask.cuda").attr("upload")(self, device); },
            "device"_a = nb::none(), nb::sig("def cuda(self, device: typing.Any = None) -> typing.Any"),
            "The mask in the memory of a GPU, a roarmask.cuda.CudaMask, by one asynchronous copy: docs/cuda.md. Needs PyTorch.")
        .def_prop_ro("_address", [](const Mask &self) { return (uintptr_t)self.get(); }) /* of the rmask: for roarmask.cuda */
        .def("__repr__", &text_of);
    /* So that an array on the left hands its operators over instead of combining mask and elements. */
    mask.attr("__array_ufunc__") = nb::none();
}
