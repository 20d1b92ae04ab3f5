/* SPDX-License-Identifier: Apache-2.0 */
#include "numpy_api.h"

#include "common.h"

#include <cstring>

/* ---------------------------------------------------------------- failures */

static PyObject *exception_named(const char *name)
{
    return nb::object(nb::module_::import_("roarmask._errors").attr(name)).release().ptr();
}

void throw_status(rmask_status status, const rmask_error &error)
{
    PyObject *type = PyExc_ValueError;
    switch (status) {
    case RMASK_ERR_NOMEM: type = PyExc_MemoryError; break;
    case RMASK_ERR_RANGE: type = PyExc_IndexError; break;
    case RMASK_ERR_IO: type = PyExc_OSError; break;
    case RMASK_ERR_LIMIT: type = PyExc_OverflowError; break;
    case RMASK_ERR_FORMAT: type = exception_named("FormatError"); break;
    case RMASK_ERR_SYNTAX: {
        nb::object failure = nb::steal(exception_named("ExpressionError"))(error.message, error.position);
        PyErr_SetObject((PyObject *)Py_TYPE(failure.ptr()), failure.ptr());
        throw nb::python_error();
    }
    default: break;
    }
    PyErr_SetString(type, error.message);
    throw nb::python_error();
}

/* ---------------------------------------------------------------- arrays */

static nb::object new_array(int num_dims, const npy_intp *lengths, int type, void **data)
{
    PyObject *array = PyArray_SimpleNew(num_dims, const_cast<npy_intp *>(lengths), type);
    if (!array) throw nb::python_error();
    *data = PyArray_DATA((PyArrayObject *)array);
    return nb::steal(array);
}

nb::object new_int32(size_t length, int32_t *&data)
{
    const npy_intp lengths[] = {(npy_intp)length};
    return new_array(1, lengths, NPY_INT32, (void **)&data);
}

nb::object new_int64(size_t length, int64_t *&data)
{
    const npy_intp lengths[] = {(npy_intp)length};
    return new_array(1, lengths, NPY_INT64, (void **)&data);
}

nb::object new_bool_2d(size_t rows, size_t cols, uint8_t *&data)
{
    const npy_intp lengths[] = {(npy_intp)rows, (npy_intp)cols};
    return new_array(2, lengths, NPY_BOOL, (void **)&data);
}

nb::object new_uint8_2d(size_t rows, size_t cols, uint8_t *&data)
{
    const npy_intp lengths[] = {(npy_intp)rows, (npy_intp)cols};
    return new_array(2, lengths, NPY_UINT8, (void **)&data);
}

nb::object new_uint64_2d(size_t rows, size_t cols, uint64_t *&data)
{
    const npy_intp lengths[] = {(npy_intp)rows, (npy_intp)cols};
    return new_array(2, lengths, NPY_UINT64, (void **)&data);
}

nb::object copy_int32(const int32_t *values, size_t length)
{
    int32_t *data;
    nb::object array = new_int32(length, data);
    if (length) std::memcpy(data, values, length * sizeof *values);
    return array;
}

int32_t *row_room(size_t cols)
{
    thread_local std::vector<int32_t> room;
    if (room.size() < cols + 1) room.resize(cols + 1);
    return room.data();
}

/* ---------------------------------------------------------------- numbers */

bool is_small(const rmask *mask)
{
    return rmask_num_bytes(mask) <= SMALL_BYTES;
}

int32_t row_index(const Mask &mask, int64_t row)
{
    const int64_t rows = mask.rows(), index = row < 0 ? row + rows : row;
    if (index >= 0 && index < rows) return (int32_t)index;
    PyErr_Format(PyExc_IndexError, "row %lld is out of range: the mask has %lld rows", (long long)row, (long long)rows);
    throw nb::python_error();
}

int32_t side(const char *name, int64_t value)
{
    if (value >= 0 && value <= RMASK_MAX_SIDE) return (int32_t)value;
    PyErr_Format(PyExc_ValueError, "%s must be from 0 to %d, not %lld", name, (int)RMASK_MAX_SIDE, (long long)value);
    throw nb::python_error();
}
