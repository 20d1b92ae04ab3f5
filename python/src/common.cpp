/* SPDX-License-Identifier: Apache-2.0 */
#include "numpy_api.h"

#include "common.h"

#include <initializer_list>

/* ---------------------------------------------------------------- failures */

static nb::object exception_named(const char *name) { return nb::module_::import_("roarmask._errors").attr(name); }

[[noreturn]] static void raise(nb::handle type, const nb::object &failure)
{
    PyErr_SetObject(type.ptr(), failure.ptr());
    throw nb::python_error();
}

void throw_status(rmask_status status, const rmask_error &error)
{
    nb::handle type = PyExc_ValueError;
    switch (status) {
    case RMASK_ERR_NOMEM: type = PyExc_MemoryError; break;
    case RMASK_ERR_RANGE: type = PyExc_IndexError; break;
    case RMASK_ERR_LIMIT: type = PyExc_OverflowError; break;
    case RMASK_ERR_IO:
        /* With an errno Python makes it a FileNotFoundError and the like. */
        if (error.position) raise(PyExc_OSError, nb::make_tuple(error.position, error.message));
        type = PyExc_OSError;
        break;
    case RMASK_ERR_FORMAT: {
        const nb::object format_error = exception_named("FormatError");
        raise(format_error, nb::str(error.message));
    }
    case RMASK_ERR_SYNTAX: {
        const nb::object expression_error = exception_named("ExpressionError");
        raise(expression_error, nb::make_tuple(error.message, error.position));
    }
    default: break;
    }
    raise(type, nb::str(error.message));
}

void complain(const std::string &message) { raise(PyExc_ValueError, nb::str(message.c_str())); }

/* ---------------------------------------------------------------- arguments */

std::string path_of(const PathLike &path)
{
    PyObject *bytes = nullptr;
    if (!PyUnicode_FSConverter(path.ptr(), &bytes)) throw nb::python_error();
    return std::string(nb::steal<nb::bytes>(bytes).c_str());
}

nb::bytes bytes_of(const BytesLike &data)
{
    if (PyBytes_Check(data.ptr())) return nb::borrow<nb::bytes>(data);
    PyObject *view = PyMemoryView_FromObject(data.ptr());
    if (!view) throw nb::python_error();
    return nb::borrow<nb::bytes>(nb::steal(view).attr("tobytes")());
}

/* ---------------------------------------------------------------- arrays */

nb::object as_array(nb::handle values)
{
    const bool has_dlpack_only = !nb::hasattr(values, "__array__") && nb::hasattr(values, "__dlpack__");
    if (has_dlpack_only) return nb::module_::import_("numpy").attr("from_dlpack")(values);
    PyObject *array = PyArray_FROM_O(values.ptr());
    if (!array) throw nb::python_error();
    return nb::steal(array);
}

/* The array in memory order as `type`, whose values may be cut off. */
static nb::object cast_array(const nb::object &array, int type)
{
    PyObject *made =
        PyArray_FromArray((PyArrayObject *)array.ptr(), PyArray_DescrFromType(type), NPY_ARRAY_CARRAY_RO | NPY_ARRAY_FORCECAST);
    if (!made) throw nb::python_error();
    return nb::steal(made);
}

nb::object as_integers(nb::handle values, const char *name, int type)
{
    const nb::object array = as_array(values);
    PyArrayObject *given = (PyArrayObject *)array.ptr();
    if (PyArray_NDIM(given) != 1)
        complain(std::string(name) + " must be a list or an array with one dimension, not " +
                 std::to_string(PyArray_NDIM(given)));
    if (PyArray_SIZE(given) > 0 && !PyArray_ISINTEGER(given)) {
        PyErr_Format(PyExc_TypeError, "%s must be whole numbers, not %S", name, (PyObject *)PyArray_DESCR(given));
        throw nb::python_error();
    }
    if (PyArray_SIZE(given) == 0 || type == NPY_INT64 || PyArray_CanCastSafely(PyArray_TYPE(given), type))
        return cast_array(array, type);
    const nb::object wide = cast_array(array, NPY_INT64);
    const int64_t *value = (const int64_t *)PyArray_DATA((PyArrayObject *)wide.ptr()), *end = value + PyArray_SIZE(given);
    for (; value < end; value++)
        if (*value != (int32_t)*value) {
            PyErr_Format(PyExc_IndexError, "%s: %lld is out of range", name, (long long)*value);
            throw nb::python_error();
        }
    return cast_array(wide, type);
}

template <typename Scalar>
Integers<Scalar>::Integers(nb::handle values, const char *name)
    : array(as_integers(values, name, sizeof(Scalar) == 4 ? NPY_INT32 : NPY_INT64)),
      first((const Scalar *)PyArray_DATA((PyArrayObject *)array.ptr())),
      length((size_t)PyArray_SIZE((PyArrayObject *)array.ptr()))
{
}
template class Integers<int32_t>;
template class Integers<int64_t>;

template <typename Array, typename Scalar>
static Array new_array(std::initializer_list<npy_intp> lengths, int type, Scalar *&data)
{
    PyObject *array = PyArray_SimpleNew((int)lengths.size(), const_cast<npy_intp *>(lengths.begin()), type);
    if (!array) throw nb::python_error();
    data = (Scalar *)PyArray_DATA((PyArrayObject *)array);
    return nb::steal<Array>(array);
}

Int32Array new_int32(size_t length, int32_t *&data) { return new_array<Int32Array>({(npy_intp)length}, NPY_INT32, data); }
Int64Array new_int64(size_t length, int64_t *&data) { return new_array<Int64Array>({(npy_intp)length}, NPY_INT64, data); }

Int32Array new_int32_2d(size_t rows, size_t cols, int32_t *&data)
{
    return new_array<Int32Array>({(npy_intp)rows, (npy_intp)cols}, NPY_INT32, data);
}

BoolArray new_bool_2d(size_t rows, size_t cols, uint8_t *&data)
{
    return new_array<BoolArray>({(npy_intp)rows, (npy_intp)cols}, NPY_BOOL, data);
}

UInt8Array new_uint8_2d(size_t rows, size_t cols, uint8_t *&data)
{
    return new_array<UInt8Array>({(npy_intp)rows, (npy_intp)cols}, NPY_UINT8, data);
}

UInt64Array new_uint64_2d(size_t rows, size_t cols, uint64_t *&data)
{
    return new_array<UInt64Array>({(npy_intp)rows, (npy_intp)cols}, NPY_UINT64, data);
}

/* ---------------------------------------------------------------- numbers */

int32_t row_index(const Mask &mask, const Index &row)
{
    const int64_t rows = mask.rows();
    int64_t index = PyNumber_AsSsize_t(row.ptr(), nullptr); /* numbers too large for it become the largest */
    if (index == -1 && PyErr_Occurred()) throw nb::python_error();
    if (index < 0) index += rows;
    if (index >= 0 && index < rows) return (int32_t)index;
    PyErr_Format(PyExc_IndexError, "row %S is out of range: the mask has %lld rows", row.ptr(), (long long)rows);
    throw nb::python_error();
}

int32_t side(const char *name, int64_t value)
{
    if (value >= 0 && value <= RMASK_MAX_SIDE) return (int32_t)value;
    PyErr_Format(PyExc_ValueError, "%s must be from 0 to %d, not %lld", name, (int)RMASK_MAX_SIDE, (long long)value);
    throw nb::python_error();
}
