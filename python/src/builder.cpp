/* SPDX-License-Identifier: Apache-2.0
 * The class Builder. */
#include "common.h"

struct BuilderDeleter {
    void operator()(rmask_builder *builder) const { rmask_builder_destroy(builder); }
};

struct Builder {
    std::unique_ptr<rmask_builder, BuilderDeleter> builder;
    int32_t rows, cols;

    Builder(int64_t num_rows, std::optional<int64_t> num_cols)
        : rows(side("rows", num_rows)), cols(side("cols", num_cols.value_or(num_rows)))
    {
        rmask_builder *made = nullptr;
        call(rmask_builder_create, rows, cols, (const rmask_allocator *)nullptr, &made);
        builder.reset(made);
    }
};

static int32_t row_of(const Builder &builder, int64_t row)
{
    if (row >= 0 && row < builder.rows) return (int32_t)row;
    PyErr_Format(PyExc_IndexError, "row %lld is out of range: the builder has %d rows", (long long)row, (int)builder.rows);
    throw nb::python_error();
}

static void add(Builder &builder, int64_t row, Input<int32_t> cols)
{
    call(rmask_builder_add_sorted, builder.builder.get(), row_of(builder, row), cols.data(), (size_t)cols.size());
}

static void add_range(Builder &builder, int64_t row, int32_t begin, int32_t end)
{
    call(rmask_builder_add, builder.builder.get(), row_of(builder, row), begin, end);
}

static void remove_range(Builder &builder, int64_t row, int32_t begin, int32_t end)
{
    call(rmask_builder_remove, builder.builder.get(), row_of(builder, row), begin, end);
}

static void add_mask(Builder &builder, const Mask &mask) { call_unlocked(rmask_builder_add_mask, builder.builder.get(), mask.get()); }

static Mask freeze(Builder &builder) { return make_mask(rmask_builder_freeze, builder.builder.get()); }

void bind_builder(nb::module_ &module)
{
    nb::class_<Builder>(module, "Builder", "A set of cells that can change; later calls win. One thread at a time.")
        .def(nb::init<int64_t, std::optional<int64_t>>(), "rows"_a, "cols"_a = nb::none())
        .def_ro("rows", &Builder::rows)
        .def_ro("cols", &Builder::cols)
        .def("add", &add, "row"_a, "cols"_a, "Adds columns, strictly increasing, to a row.")
        .def("add_range", &add_range, "row"_a, "begin"_a, "end"_a, "Adds the columns [begin, end).")
        .def("remove_range", &remove_range, "row"_a, "begin"_a, "end"_a, "Removes the columns [begin, end).")
        .def("add_mask", &add_mask, "mask"_a, "Adds every cell of a mask of the same grid.")
        .def("freeze", &freeze, "A mask of the cells now in the builder, which can go on changing.");
}
