/* SPDX-License-Identifier: Apache-2.0
 * The class Mask: its rows and cells. */
#include "mask.h"

#include <algorithm>

/* Columns that a row function of the library writes, as an array. Narrow rows are written into room for the widest and copied
 * at their length, which asks only once. Of wide ones the length is asked for first, so that no more memory is touched than
 * there are columns. */
template <typename Function, typename... Arguments>
static Int32Array read_columns(const Mask &mask, Function *function, Arguments... arguments)
{
    constexpr size_t NARROW = 1 << 16, QUICK = 1 << 14;
    thread_local int32_t room[NARROW];
    size_t count;
    int32_t *data;
    if ((size_t)mask.cols() <= NARROW) {
        call(function, arguments..., (int32_t *)room, NARROW, &count);
        Int32Array array = new_int32(count, data);
        std::copy(room, room + count, data);
        return array;
    }
    call(function, arguments..., (int32_t *)nullptr, (size_t)0, &count);
    Int32Array array = new_int32(count, data);
    call_quickly(count <= QUICK, function, arguments..., data, count, &count);
    return array;
}

Mask slice_mask(const Mask &mask, int64_t row_begin, std::optional<int64_t> row_end, int64_t col_begin,
                std::optional<int64_t> col_end)
{
    return make_mask_quickly(is_small(mask), rmask_slice, mask.get(), side("row_begin", row_begin),
                             side("row_end", row_end.value_or(mask.rows())), side("col_begin", col_begin),
                             side("col_end", col_end.value_or(mask.cols())));
}

struct Range {
    int32_t begin, end;
};

static Range range_of(const nb::slice &slice, int32_t length)
{
    auto [begin, end, step, count] = slice.compute((size_t)length);
    if (step != 1) complain("a slice of a mask has step 1: use take_rows for other rows");
    return {(int32_t)begin, (int32_t)(begin + (int64_t)count)};
}

static Int32Array get_row(const Mask &mask, const Index &row)
{
    return read_columns(mask, rmask_row, mask.get(), row_index(mask, row));
}

static Mask get_rows(const Mask &mask, const nb::slice &rows_slice)
{
    const Range rows = range_of(rows_slice, mask.rows());
    return slice_mask(mask, rows.begin, rows.end, 0, mask.cols());
}

static Mask get_window(const Mask &mask, const nb::typed<nb::tuple, nb::slice, nb::slice> &window)
{
    if (window.size() != 2 || !nb::isinstance<nb::slice>(window[0]) || !nb::isinstance<nb::slice>(window[1])) {
        PyErr_SetString(PyExc_TypeError, "two indices must both be slices; for one cell write (row, col) in mask");
        throw nb::python_error();
    }
    const Range rows = range_of(nb::slice(window[0]), mask.rows()), cols = range_of(nb::slice(window[1]), mask.cols());
    return slice_mask(mask, rows.begin, rows.end, cols.begin, cols.end);
}

struct RowIterator : nb::object {
    NB_OBJECT_DEFAULT(RowIterator, nb::object, "collections.abc.Iterator[numpy.typing.NDArray[numpy.int32]]", is_anything)
};

static RowIterator iterate(nb::handle mask)
{
    PyObject *iterator = PySeqIter_New(mask.ptr());
    if (!iterator) throw nb::python_error();
    return nb::steal<RowIterator>(iterator);
}

static bool contains(const Mask &mask, const nb::typed<nb::tuple, Index, Index> &cell)
{
    if (cell.size() != 2) complain("a cell is (row, col)");
    Py_ssize_t at[2];
    for (int i = 0; i < 2; i++) {
        at[i] = PyNumber_AsSsize_t(nb::object(cell[i]).ptr(), nullptr); /* numbers too large for it become the largest */
        if (at[i] == -1 && PyErr_Occurred()) throw nb::python_error();
    }
    return at[0] >= 0 && at[0] < mask.rows() && at[1] >= 0 && at[1] < mask.cols() &&
           rmask_contains(mask.get(), (int32_t)at[0], (int32_t)at[1]);
}

static size_t row_count(const Mask &mask, const Index &row)
{
    size_t count;
    call(rmask_row_count, mask.get(), row_index(mask, row), &count);
    return count;
}

static Int32Array row_ranges(const Mask &mask, const Index &row)
{
    size_t count;
    const int32_t index = row_index(mask, row);
    call(rmask_row_ranges, mask.get(), index, (int32_t *)nullptr, (size_t)0, &count);
    int32_t *data;
    Int32Array array = new_int32_2d(count, 2, data);
    call(rmask_row_ranges, mask.get(), index, data, count, &count);
    return array;
}

/* Rows one by one, in lists, or both. */
static std::vector<int32_t> rows_of(const Mask &mask, const nb::args &rows)
{
    std::vector<int32_t> list;
    for (nb::handle row : rows) {
        if (PyIndex_Check(row.ptr()) && !PySequence_Check(row.ptr())) {
            list.push_back(row_index(mask, nb::borrow<Index>(row)));
            continue;
        }
        for (nb::handle inner : nb::iter(row)) list.push_back(row_index(mask, nb::borrow<Index>(inner)));
    }
    return list;
}

/* Two rows are the usual case, and have a routine of their own. */
template <rmask_function function, auto *of_many> static Int32Array combine_rows(const Mask &mask, const nb::args &rows)
{
    const std::vector<int32_t> list = rows_of(mask, rows);
    if (list.size() == 2) return read_columns(mask, rmask_row_combine, mask.get(), list[0], mask.get(), list[1], function);
    return read_columns(mask, of_many, mask.get(), list.data(), list.size());
}

void bind_mask_rows(nb::class_<Mask> &mask)
{
    mask.def("__len__", &Mask::rows)
        .def("__iter__", &iterate, "Row after row, each as an int32 array of its columns.")
        .def("__getitem__", &get_row, "row"_a,
             "mask[r]: the columns of row r, ascending, as a new int32 array; mask[-1] is the last row. Raises IndexError.")
        .def("__getitem__", &get_rows, "rows"_a, "mask[a:b]: these rows as a mask.")
        .def("__getitem__", &get_window, "window"_a, "mask[a:b, c:d]: a part as a mask, with a grid of its own.")
        .def("__contains__", &contains, "cell"_a, "(row, col) in mask; False outside of the grid.")
        .def("row_count", &row_count, "row"_a, "The number of cells in a row. Raises IndexError.")
        .def("row_ranges", &row_ranges, "row"_a,
             "A row as half-open ranges of columns, int32 [n, 2], ascending and apart. Raises IndexError.")
        .def("intersection", &combine_rows<RMASK_AND, rmask_rows_and>,
             nb::sig("def intersection(self, *rows: typing.SupportsIndex | collections.abc.Iterable[typing.SupportsIndex]) -> "
                     "numpy.typing.NDArray[numpy.int32]"),
             "The columns that all of these rows have, int32: intersection(3, 5), intersection([3, 5, 9]). Of no rows: all "
             "columns.")
        .def("union", &combine_rows<RMASK_OR, rmask_rows_or>,
             nb::sig("def union(self, *rows: typing.SupportsIndex | collections.abc.Iterable[typing.SupportsIndex]) -> "
                     "numpy.typing.NDArray[numpy.int32]"),
             "The columns that any of these rows has, int32.");
}
