/* SPDX-License-Identifier: Apache-2.0
 * What the files of the binding share: the objects behind the Python classes, failures as exceptions, arrays in and out.
 *
 * Results are NumPy arrays made through NumPy's own C API: a row of a mask costs a fraction of a microsecond, and making an
 * array through DLPack alone would cost more than that. */
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "roarmask/roarmask.h"

namespace nb = nanobind;
using namespace nb::literals;

/* ---------------------------------------------------------------- failures */

/* Throws what a status is in Python: MemoryError, IndexError, OSError with its errno, or one of the package's ValueErrors. */
[[noreturn]] void throw_status(rmask_status status, const rmask_error &error);

/* Throws a ValueError. */
[[noreturn]] void complain(const std::string &message);

inline void check(rmask_status status, const rmask_error &error)
{
    if (status != RMASK_OK) throw_status(status, error);
}

/* Calls a function of the library whose last argument is its error, and throws when it fails. */
template <typename Function, typename... Arguments> void call(Function *function, Arguments... arguments)
{
    rmask_error error;
    check(function(arguments..., &error), error);
}

/* The same without the interpreter lock: for whatever may take longer than some microseconds. */
template <typename Function, typename... Arguments> void call_unlocked(Function *function, Arguments... arguments)
{
    rmask_error error;
    rmask_status status;
    {
        nb::gil_scoped_release unlocked;
        status = function(arguments..., &error);
    }
    check(status, error);
}

/* The same with the lock where work is small: letting go would cost more, above all when other threads wait for it. */
template <typename Function, typename... Arguments> void call_quickly(bool is_small, Function *function, Arguments... arguments)
{
    if (is_small)
        call(function, arguments...);
    else
        call_unlocked(function, arguments...);
}

/* ---------------------------------------------------------------- objects */

struct MaskDeleter {
    void operator()(rmask *mask) const { rmask_release(mask); }
};
using MaskPointer = std::unique_ptr<rmask, MaskDeleter>;

struct GrowerDeleter {
    void operator()(rmask_grower *grower) const { rmask_grower_destroy(grower); }
};

using GrowerPointer = std::unique_ptr<rmask_grower, GrowerDeleter>;

/* A mask of Python. One that append_rows made holds the grower that it is the newest mask of, so that the next append_rows goes
 * on there and costs what is new. */
struct Mask {
    MaskPointer mask;
    GrowerPointer grower;
    std::optional<Py_hash_t> hash;

    explicit Mask(rmask *made) : mask(made) {}
    const rmask *get() const { return mask.get(); }
    int32_t rows() const { return rmask_rows(get()); }
    int32_t cols() const { return rmask_cols(get()); }
};

/* Makes a mask with a function of the library that takes `rmask **out, rmask_error *error` at the end. Big work lets go of the
 * lock. */
template <typename Function, typename... Arguments> Mask make_mask(Function *function, Arguments... arguments)
{
    rmask *out = nullptr;
    call_unlocked(function, arguments..., &out);
    return Mask(out);
}

/* Operations on strips and few exceptions take microseconds, whatever the grid. */
constexpr uint64_t SMALL_BYTES = 4096;
inline bool is_small(const Mask &mask) { return rmask_num_bytes(mask.get()) <= SMALL_BYTES; }

template <typename Function, typename... Arguments>
Mask make_mask_quickly(bool is_small, Function *function, Arguments... arguments)
{
    rmask *out = nullptr;
    call_quickly(is_small, function, arguments..., &out);
    return Mask(out);
}

/* ---------------------------------------------------------------- arguments and results, with their names in signatures */

inline bool is_anything(PyObject *) { return true; }

struct ArrayLike : nb::object {
    NB_OBJECT_DEFAULT(ArrayLike, nb::object, "numpy.typing.ArrayLike", is_anything)
};
struct PathLike : nb::object {
    NB_OBJECT_DEFAULT(PathLike, nb::object, "str | os.PathLike[str]", is_anything)
};
struct BytesLike : nb::object {
    NB_OBJECT_DEFAULT(BytesLike, nb::object, "bytes | bytearray | memoryview", is_anything)
};
struct Index : nb::object {
    NB_OBJECT_DEFAULT(Index, nb::object, "typing.SupportsIndex", PyIndex_Check)
};
struct Int32Array : nb::object {
    NB_OBJECT_DEFAULT(Int32Array, nb::object, "numpy.typing.NDArray[numpy.int32]", is_anything)
};
struct Int64Array : nb::object {
    NB_OBJECT_DEFAULT(Int64Array, nb::object, "numpy.typing.NDArray[numpy.int64]", is_anything)
};
struct UInt8Array : nb::object {
    NB_OBJECT_DEFAULT(UInt8Array, nb::object, "numpy.typing.NDArray[numpy.uint8]", is_anything)
};
struct UInt64Array : nb::object {
    NB_OBJECT_DEFAULT(UInt64Array, nb::object, "numpy.typing.NDArray[numpy.uint64]", is_anything)
};
struct BoolArray : nb::object {
    NB_OBJECT_DEFAULT(BoolArray, nb::object, "numpy.typing.NDArray[numpy.bool_]", is_anything)
};

/* A path in the file system's encoding. */
std::string path_of(const PathLike &path);

/* The bytes of any object that has some; what others might change meanwhile is copied. */
nb::bytes bytes_of(const BytesLike &data);

/* ---------------------------------------------------------------- arrays */

template <typename Scalar> using Input = nb::ndarray<const Scalar, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

/* Anything that NumPy takes as an array: a tensor in the CPU's memory, an object with DLPack. */
nb::object as_array(nb::handle values);

/* A contiguous array of integers of NumPy's `type`, of anything that NumPy takes as a list of integers. What is no list of them
 * is refused by `name`, and so is what does not fit: nothing is cut off. */
nb::object as_integers(nb::handle values, const char *name, int type);

/* A list of whole numbers out of Python, int32 or int64, which is copied only where its type or its layout is another. */
template <typename Scalar> class Integers
{
  public:
    Integers(nb::handle values, const char *name);
    const Scalar *data() const { return first; }
    size_t size() const { return length; }
    const Scalar *begin() const { return first; }
    const Scalar *end() const { return first + length; }

  private:
    nb::object array;
    const Scalar *first;
    size_t length;
};

/* New, uninitialised NumPy arrays of the given lengths; `data` points into them. */
Int32Array new_int32(size_t length, int32_t *&data);
Int32Array new_int32_2d(size_t rows, size_t cols, int32_t *&data);
Int64Array new_int64(size_t length, int64_t *&data);
BoolArray new_bool_2d(size_t rows, size_t cols, uint8_t *&data);
UInt8Array new_uint8_2d(size_t rows, size_t cols, uint8_t *&data);
UInt64Array new_uint64_2d(size_t rows, size_t cols, uint64_t *&data);

/* Python's way with a row: negative ones count from the end. IndexError when out of range. */
int32_t row_index(const Mask &mask, const Index &row);

/* A whole number that fits, or ValueError with the name. */
int32_t side(const char *name, int64_t value);

void bind_mask(nb::module_ &module);
void bind_builder(nb::module_ &module);
void bind_atlas(nb::module_ &module);
void bind_export(nb::module_ &module);
