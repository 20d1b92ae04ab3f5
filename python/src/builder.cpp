/* SPDX-License-Identifier: Apache-2.0
 * The class Builder. */
#include "common.h"

#include <mutex>

struct BuilderDeleter {
    void operator()(rmask_builder *builder) const { rmask_builder_destroy(builder); }
};

/* One thread at a time may be in a builder: the others wait, without the interpreter lock. */
struct Builder {
    std::unique_ptr<rmask_builder, BuilderDeleter> builder;
    std::mutex mutex;
    int32_t rows, cols;

    Builder(int64_t num_rows, std::optional<int64_t> num_cols)
        : rows(side("rows", num_rows)), cols(side("cols", num_cols.value_or(num_rows)))
    {
        rmask_builder *made = nullptr;
        call(rmask_builder_create, rows, cols, (const rmask_allocator *)nullptr, &made);
        builder.reset(made);
    }
};

static std::unique_lock<std::mutex> turn(Builder &builder)
{
    std::unique_lock<std::mutex> lock(builder.mutex, std::try_to_lock);
    if (!lock) {
        nb::gil_scoped_release unlocked;
        lock.lock();
    }
    return lock;
}

static int32_t row_of(const Builder &builder, int64_t row)
{
    if (row >= 0 && row < builder.rows) return (int32_t)row;
    PyErr_Format(PyExc_IndexError, "row %lld is out of range: the builder has %d rows", (long long)row, (int)builder.rows);
    throw nb::python_error();
}

static void add(Builder &builder, int64_t row, ArrayLike cols)
{
    const Integers<int32_t> list(cols, "cols");
    const auto lock = turn(builder);
    call(rmask_builder_add_sorted, builder.builder.get(), row_of(builder, row), list.data(), list.size());
}

static void add_range(Builder &builder, int64_t row, int32_t begin, int32_t end)
{
    const auto lock = turn(builder);
    call(rmask_builder_add, builder.builder.get(), row_of(builder, row), begin, end);
}

static void remove_range(Builder &builder, int64_t row, int32_t begin, int32_t end)
{
    const auto lock = turn(builder);
    call(rmask_builder_remove, builder.builder.get(), row_of(builder, row), begin, end);
}

static void add_mask(Builder &builder, const Mask &mask)
{
    const auto lock = turn(builder);
    call_unlocked(rmask_builder_add_mask, builder.builder.get(), mask.get());
}

static Mask freeze(Builder &builder)
{
    const auto lock = turn(builder);
    return make_mask(rmask_builder_freeze, builder.builder.get());
}

void bind_builder(nb::module_ &module)
{
    nb::class_<Builder>(module, "Builder",
                        "A set of cells of a grid that can change; later calls win. freeze() makes masks of it.")
        .def(nb::init<int64_t, std::optional<int64_t>>(), "rows"_a, "cols"_a = nb::none(),
             "An empty grid; cols is rows unless given.")
        .def_ro("rows", &Builder::rows, "Query blocks.")
        .def_ro("cols", &Builder::cols, "Key blocks.")
        .def("add", &add, "row"_a, "cols"_a,
             "Adds columns, strictly increasing, to a row. Raises IndexError out of the grid, ValueError for what is out of "
             "order; nothing is "
             "added then.")
        .def("add_range", &add_range, "row"_a, "begin"_a, "end"_a, "Adds the columns [begin, end) to a row. Raises IndexError.")
        .def("remove_range", &remove_range, "row"_a, "begin"_a, "end"_a,
             "Removes the columns [begin, end) from a row. Raises IndexError.")
        .def("add_mask", &add_mask, "mask"_a, "Adds every cell of a mask of the same grid.")
        .def("freeze", &freeze, "A mask of the cells now in the builder, which can go on changing.");
}
