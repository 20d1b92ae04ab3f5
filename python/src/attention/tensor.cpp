/* SPDX-License-Identifier: Apache-2.0 */
#include "../numpy_api.h"

#include "tensor.h"

namespace
{
[[noreturn]] void refuse_type(const std::string &message)
{
    PyErr_SetString(PyExc_TypeError, message.c_str());
    throw nb::python_error();
}

/* ---------------------------------------------------------------- NumPy */

Scalar scalar_of(PyArray_Descr *type)
{
    switch (type->type_num) {
    case NPY_FLOAT32: return Scalar::float32;
    case NPY_FLOAT16: return Scalar::float16;
    case NPY_INT32: return Scalar::int32;
    default: break;
    }
    /* ml_dtypes registers its types with NumPy; the name is all that tells them. */
    const std::string name = type->typeobj->tp_name;
    const bool is_bfloat16 = type->type_num >= NPY_USERDEF && name.substr(name.rfind('.') + 1) == "bfloat16";
    return is_bfloat16 ? Scalar::bfloat16 : Scalar::other;
}

View view_of_array(PyArrayObject *array, const char *name)
{
    View view;
    view.num_dims = PyArray_NDIM(array);
    view.data = (char *)PyArray_DATA(array);
    view.is_writable = PyArray_ISWRITEABLE(array);
    if (view.num_dims > View::MAX_DIMS) return view; /* said by the caller, who knows how many there should be */
    if (PyArray_ISNOTSWAPPED(array)) view.scalar = scalar_of(PyArray_DESCR(array));
    const npy_intp width = PyArray_ITEMSIZE(array);
    bool is_aligned = (uintptr_t)view.data % (uintptr_t)width == 0;
    for (int i = 0; i < view.num_dims; i++) {
        view.shape[(size_t)i] = PyArray_DIM(array, i);
        view.stride[(size_t)i] = PyArray_STRIDE(array, i) / width;
        is_aligned = is_aligned && PyArray_STRIDE(array, i) % width == 0;
    }
    if (PyArray_SIZE(array) == 0) view.stride = {1, 1, 1, 1}; /* NumPy's are zeros then */
    if (!is_aligned) complain(std::string(name) + ": the elements are not aligned in memory; make a copy");
    return view;
}

/* ---------------------------------------------------------------- torch */

/* What of torch a view needs, once the program has imported it. Lives as long as the process. */
struct Torch {
    PyObject *tensor, *strided;
    std::array<std::pair<PyObject *, Scalar>, 4> scalars;
    PyObject *data_ptr, *stride, *shape, *dtype, *is_cpu, *layout;
};

const Torch *torch_if_imported()
{
    static Torch *torch = nullptr;
    if (torch) return torch;
    PyObject *module = PyDict_GetItemString(PyImport_GetModuleDict(), "torch"); /* borrowed */
    if (!module || !PyObject_HasAttrString(module, "Tensor")) return nullptr;
    const auto get = [module](const char *name) { return nb::object(nb::handle(module).attr(name)).release().ptr(); };
    const auto intern = [](const char *name) { return PyUnicode_InternFromString(name); };
    torch = new Torch{get("Tensor"),
                      get("strided"),
                      {{{get("float32"), Scalar::float32},
                        {get("bfloat16"), Scalar::bfloat16},
                        {get("float16"), Scalar::float16},
                        {get("int32"), Scalar::int32}}},
                      intern("data_ptr"),
                      intern("stride"),
                      intern("shape"),
                      intern("dtype"),
                      intern("is_cpu"),
                      intern("layout")};
    return torch;
}

nb::object attribute(nb::handle object, PyObject *name)
{
    PyObject *value = PyObject_GetAttr(object.ptr(), name);
    if (!value) throw nb::python_error();
    return nb::steal(value);
}

nb::object result_of(nb::handle object, PyObject *method)
{
    PyObject *value = PyObject_CallMethodNoArgs(object.ptr(), method);
    if (!value) throw nb::python_error();
    return nb::steal(value);
}

/* The whole numbers of a tuple (a torch.Size is one). */
void read_numbers(const nb::object &tuple, std::array<int64_t, View::MAX_DIMS> &numbers)
{
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(tuple.ptr()); i++) {
        numbers[(size_t)i] = PyLong_AsLongLong(PyTuple_GET_ITEM(tuple.ptr(), i));
        if (numbers[(size_t)i] == -1 && PyErr_Occurred()) throw nb::python_error();
    }
}

View view_of_tensor(const Torch &torch, nb::handle tensor, const char *name)
{
    if (attribute(tensor, torch.is_cpu).ptr() != Py_True || attribute(tensor, torch.layout).ptr() != torch.strided)
        refuse_type(std::string(name) + " must be a dense tensor in the CPU's memory");
    View view;
    const nb::object shape = attribute(tensor, torch.shape), dtype = attribute(tensor, torch.dtype);
    view.num_dims = (int)PyTuple_GET_SIZE(shape.ptr());
    if (view.num_dims > View::MAX_DIMS) return view;
    read_numbers(shape, view.shape);
    read_numbers(result_of(tensor, torch.stride), view.stride);
    for (const auto &[type, scalar] : torch.scalars)
        if (dtype.ptr() == type) view.scalar = scalar;
    view.data = (char *)PyLong_AsVoidPtr(result_of(tensor, torch.data_ptr).ptr());
    if (!view.data && PyErr_Occurred()) throw nb::python_error();
    /* A tensor without elements has no address, and the library wants one. */
    static int64_t nothing;
    if (!view.data) view.data = (char *)&nothing;
    return view;
}
} // namespace

View view_of(nb::handle object, const char *name)
{
    if (PyArray_Check(object.ptr())) return view_of_array((PyArrayObject *)object.ptr(), name);
    const Torch *torch = torch_if_imported();
    if (torch && PyObject_IsInstance(object.ptr(), torch->tensor) == 1) return view_of_tensor(*torch, object, name);
    refuse_type(std::string(name) + " must be a NumPy array or a torch tensor, not " + Py_TYPE(object.ptr())->tp_name);
}

std::string text_of(const View &view)
{
    static const char *const names[] = {"float32", "bfloat16", "float16", "int32", "another dtype"};
    std::string text = std::string(names[(size_t)view.scalar]) + " [";
    if (view.num_dims > View::MAX_DIMS) return text + std::to_string(view.num_dims) + " dimensions]";
    for (int i = 0; i < view.num_dims; i++) text += (i ? ", " : "") + std::to_string(view.shape[(size_t)i]);
    return text + "]";
}

Int32List::Int32List(nb::handle values, const char *name)
{
    if (values.is_none()) return;
    const Torch *torch = torch_if_imported();
    if (PyArray_Check(values.ptr()) || (torch && PyObject_IsInstance(values.ptr(), torch->tensor) == 1)) {
        const View view = view_of(values, name);
        if (view.scalar == Scalar::int32 && view.num_dims == 1 && (view.shape[0] <= 1 || view.stride[0] == 1)) {
            first = (const int32_t *)view.data;
            length = (size_t)view.shape[0];
            return;
        }
    }
    copied.emplace(values, name);
    first = copied->data();
    length = copied->size();
}

View floats_of(nb::handle object, const char *name, const char *dims, int num_dims)
{
    const View view = view_of(object, name);
    if (view.num_dims != num_dims) complain(std::string(name) + " must be [" + dims + "], not " + text_of(view));
    if (view.scalar == Scalar::other || view.scalar == Scalar::int32) {
        PyErr_Format(PyExc_TypeError, "%s must be float32, bfloat16 or float16, not %s", name, text_of(view).c_str());
        throw nb::python_error();
    }
    return view;
}

static rmask_dtype dtype_of(const View &view)
{
    return view.scalar == Scalar::float32 ? RMASK_FLOAT32 : view.scalar == Scalar::bfloat16 ? RMASK_BFLOAT16 : RMASK_FLOAT16;
}

int64_t stride_of(const View &view, int dim_from_end)
{
    return view.size_from_end(dim_from_end) <= 1 ? 1 : view.stride_from_end(dim_from_end);
}

rmask_tensor tensor_of(const View &view, int batch, int token, int head, int dim)
{
    return {view.data,
            dtype_of(view),
            batch ? view.stride_from_end(batch) : 0,
            stride_of(view, token),
            view.stride_from_end(head),
            stride_of(view, dim)};
}

void expect_contiguous_heads(const View &view, const char *name)
{
    if (stride_of(view, 1) == 1) return;
    complain(std::string(name) + " has the stride " + std::to_string(view.stride_from_end(1)) +
             " in its last dimension, which must be contiguous: make a copy");
}
