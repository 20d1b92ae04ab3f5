/* SPDX-License-Identifier: Apache-2.0
 * The kernels' tensors: thin wrappers that write into arrays of the caller. roarmask/export/ allocates and names them. */
#include "common.h"

#include <roarmask/export.h>

#include <nanobind/stl/tuple.h>

template <typename Scalar> using Output = nb::ndarray<Scalar, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
template <typename Scalar> using Output2d = nb::ndarray<Scalar, nb::ndim<2>, nb::device::cpu>;

static void expect_room(const char *name, size_t room, size_t needed)
{
    if (room >= needed) return;
    PyErr_Format(PyExc_ValueError, "%s has room for %zu entries, %zu are needed", name, room, needed);
    throw nb::python_error();
}

static void bsr(const Mask &mask, Output<int32_t> indptr, std::optional<Output<int32_t>> indices)
{
    expect_room("indptr", indptr.size(), (size_t)mask.rows() + 1);
    call_unlocked(rmask_export_bsr, mask.get(), 0, mask.rows(), indptr.data(), indices ? indices->data() : (int32_t *)nullptr,
                  indices ? (size_t)indices->size() : (size_t)0);
}

static void padded(const Mask &mask, Output<int32_t> counts, Output2d<int32_t> indices)
{
    expect_room("counts", counts.size(), (size_t)mask.rows());
    expect_room("indices", indices.shape(0), (size_t)mask.rows());
    if (indices.shape(1) > 0 && indices.stride(1) != 1) {
        PyErr_SetString(PyExc_ValueError, "rows of indices must be contiguous");
        throw nb::python_error();
    }
    if (mask.rows() > 1 && indices.stride(0) != (int64_t)indices.shape(1)) {
        PyErr_SetString(PyExc_ValueError, "indices must be contiguous");
        throw nb::python_error();
    }
    call_unlocked(rmask_export_padded, mask.get(), 0, mask.rows(), counts.data(), indices.data(), (size_t)indices.shape(1));
}

static size_t max_row_count(const Mask &mask)
{
    size_t count;
    call_unlocked(rmask_export_max_row_count, mask.get(), 0, mask.rows(), &count);
    return count;
}

static void tile_bits(const Mask &mask, const Mask &tiles, int32_t tile_rows, int32_t tile_cols, Output<uint8_t> bits)
{
    call_unlocked(rmask_export_tile_bits, mask.get(), tiles.get(), tile_rows, tile_cols, bits.data(), (size_t)bits.size());
}

static void packed_mask(const Mask &mask, const Mask &tiles, int32_t tile_rows, int32_t tile_cols, Output<int32_t> starts,
                        std::optional<Output<uint8_t>> bits)
{
    expect_room("mask_indptr", starts.size(), (size_t)tiles.rows() + 1);
    call_unlocked(rmask_export_packed_mask, mask.get(), tiles.get(), tile_rows, tile_cols, starts.data(),
                  bits ? bits->data() : (uint8_t *)nullptr, bits ? (size_t)bits->size() : (size_t)0);
}

static void pages(const std::vector<const Mask *> &masks, Input<int32_t> rows,
                  nb::ndarray<const int32_t, nb::ndim<2>, nb::c_contig, nb::device::cpu> block_table, Input<int32_t> seq_lens,
                  int32_t page_tokens, Output2d<int32_t> out_table, Output<int32_t> out_counts, Output<int32_t> out_lens)
{
    const size_t num_requests = masks.size();
    expect_room("rows", rows.size(), num_requests);
    expect_room("block_table", block_table.shape(0), num_requests);
    expect_room("seq_lens", seq_lens.size(), num_requests);
    expect_room("out_table", out_table.shape(0), num_requests);
    expect_room("out_counts", out_counts.size(), num_requests);
    expect_room("out_lens", out_lens.size(), num_requests);
    std::vector<const rmask *> list;
    for (const Mask *mask : masks) list.push_back(mask->get());
    call_unlocked(rmask_export_pages, (const rmask *const *)list.data(), rows.data(), (int32_t)num_requests, block_table.data(),
                  (size_t)block_table.shape(1), seq_lens.data(), page_tokens, out_table.data(), (size_t)out_table.shape(1),
                  out_counts.data(), out_lens.data());
}

static void flashmask(const Mask &mask, bool causal, int32_t num_bounds, Output<int32_t> bounds)
{
    expect_room("bounds", bounds.size(), (size_t)mask.cols() * (size_t)(num_bounds > 0 ? num_bounds : 0));
    call_unlocked(rmask_export_flashmask, mask.get(), causal, num_bounds, bounds.data());
}

static Mask from_flashmask(int64_t tokens, bool causal, int32_t num_bounds, Input<int32_t> bounds)
{
    const int32_t length = side("tokens", tokens);
    expect_room("bounds", bounds.size(), (size_t)length * (size_t)(num_bounds > 0 ? num_bounds : 0));
    return make_mask(rmask_from_flashmask, length, causal, num_bounds, bounds.data(), (const rmask_allocator *)nullptr);
}

static std::tuple<Int32Array, Int32Array, Int32Array> slices(const Mask &mask)
{
    size_t count;
    call_unlocked(rmask_export_slices, mask.get(), (int32_t *)nullptr, (int32_t *)nullptr, (int32_t *)nullptr, (size_t)0,
                  &count);
    int32_t *q_ranges, *k_ranges, *types;
    Int32Array q = new_int32_2d(count, 2, q_ranges), k = new_int32_2d(count, 2, k_ranges), t = new_int32(count, types);
    call_unlocked(rmask_export_slices, mask.get(), q_ranges, k_ranges, types, count, &count);
    return {q, k, t};
}

static Mask from_slices(int64_t rows, int64_t cols, Input<int32_t> q_ranges, Input<int32_t> k_ranges, Input<int32_t> types)
{
    expect_room("q_ranges", q_ranges.size(), 2 * types.size());
    expect_room("k_ranges", k_ranges.size(), 2 * types.size());
    return make_mask(rmask_from_slices, side("rows", rows), side("cols", cols), q_ranges.data(), k_ranges.data(), types.data(),
                     (size_t)types.size(), (const rmask_allocator *)nullptr);
}

static void vertical_slash(Input<int32_t> columns, Input<int32_t> distances, int64_t num_tokens, int64_t tile,
                           Output<int32_t> block_count, Output<int32_t> block_offset, Output<int32_t> column_count,
                           Output<int32_t> column_index)
{
    const int32_t tokens = side("num_tokens", num_tokens), length = side("block_size", tile);
    const size_t rows = length > 0 ? ((size_t)tokens + (size_t)length - 1) / (size_t)length : 0;
    expect_room("block_count", block_count.size(), rows);
    expect_room("block_offset", block_offset.size(), rows * distances.size());
    expect_room("column_count", column_count.size(), rows);
    expect_room("column_index", column_index.size(), rows * columns.size());
    call_unlocked(rmask_export_vertical_slash, columns.data(), (size_t)columns.size(), distances.data(),
                  (size_t)distances.size(), tokens, length, block_count.data(), block_offset.data(), column_count.data(),
                  column_index.data());
}

static void dense(const Mask &mask, Output2d<uint8_t> cells)
{
    if (cells.shape(0) != (size_t)mask.rows() || cells.shape(1) != (size_t)mask.cols() ||
        (cells.shape(1) > 0 && cells.stride(1) != 1)) {
        PyErr_SetString(PyExc_ValueError, "cells must be [rows, cols] with contiguous rows");
        throw nb::python_error();
    }
    if (mask.rows() == 0 || mask.cols() == 0) return;
    call_unlocked(rmask_to_bytes, mask.get(), 0, mask.rows(), 0, mask.cols(), cells.data(), (size_t)mask.cols());
}

void bind_export(nb::module_ &module)
{
    module.def("_flashmask", &flashmask, "mask"_a, "causal"_a, "num_bounds"_a, "bounds"_a);
    module.def("_from_flashmask", &from_flashmask, "tokens"_a, "causal"_a, "num_bounds"_a, "bounds"_a);
    module.def("_slices", &slices, "mask"_a);
    module.def("_from_slices", &from_slices, "rows"_a, "cols"_a, "q_ranges"_a, "k_ranges"_a, "types"_a);
    module.def("_vertical_slash", &vertical_slash, "columns"_a, "distances"_a, "num_tokens"_a, "tile"_a, "block_count"_a,
               "block_offset"_a, "column_count"_a, "column_index"_a);
    module.def("_dense", &dense, "mask"_a, "cells"_a);
    module.def("_bsr", &bsr, "mask"_a, "indptr"_a, "indices"_a = nb::none());
    module.def("_padded", &padded, "mask"_a, "counts"_a, "indices"_a);
    module.def("_max_row_count", &max_row_count, "mask"_a);
    module.def("_tile_bits", &tile_bits, "mask"_a, "tiles"_a, "tile_rows"_a, "tile_cols"_a, "bits"_a);
    module.def("_packed_mask", &packed_mask, "mask"_a, "tiles"_a, "tile_rows"_a, "tile_cols"_a, "starts"_a,
               "bits"_a = nb::none());
    module.def("_pages", &pages, "masks"_a, "rows"_a, "block_table"_a, "seq_lens"_a, "page_tokens"_a, "out_table"_a,
               "out_counts"_a, "out_lens"_a);
}
