/* SPDX-License-Identifier: Apache-2.0
 * What the files of the binding share: the objects behind the Python classes, failures as exceptions, arrays in and out.
 *
 * Results are NumPy arrays made through NumPy's own C API: a row of a mask costs a fraction of a microsecond, and making an array
 * through DLPack alone would cost more than that. */
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/filesystem.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <filesystem>
#include <memory>
#include <utility>
#include <vector>

#include "roarmask/roarmask.h"

namespace nb = nanobind;
using namespace nb::literals;

/* ---------------------------------------------------------------- failures */

/* Throws what a status is in Python: MemoryError, IndexError, OSError, or one of the package's own ValueErrors. */
[[noreturn]] void throw_status(rmask_status status, const rmask_error &error);

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

/* ---------------------------------------------------------------- objects */

struct MaskDeleter {
    void operator()(rmask *mask) const { rmask_release(mask); }
};
using MaskPointer = std::unique_ptr<rmask, MaskDeleter>;

struct GrowerDeleter {
    void operator()(rmask_grower *grower) const { rmask_grower_destroy(grower); }
};

/* A mask of Python. One that append_rows made remembers the grower that it is the newest mask of, so that the next append_rows goes on
 * there and costs what is new. */
struct Mask {
    MaskPointer mask;
    std::shared_ptr<rmask_grower> grower;

    explicit Mask(rmask *made) : mask(made) {}
    const rmask *get() const { return mask.get(); }
    int32_t rows() const { return rmask_rows(get()); }
    int32_t cols() const { return rmask_cols(get()); }
};

/* Makes a mask with a function of the library that takes `rmask **out, rmask_error *error` at the end. Big work lets go of the lock. */
template <typename Function, typename... Arguments> Mask make_mask(Function *function, Arguments... arguments)
{
    rmask *out = nullptr;
    call_unlocked(function, arguments..., &out);
    return Mask(out);
}

/* For operations on masks that together have few bytes: letting go of the lock would cost more than the work. */
constexpr uint64_t SMALL_BYTES = 4096;
bool is_small(const rmask *mask);

template <typename Function, typename... Arguments> Mask make_mask_quickly(bool small, Function *function, Arguments... arguments)
{
    if (!small) return make_mask(function, arguments...);
    rmask *out = nullptr;
    call(function, arguments..., &out);
    return Mask(out);
}

/* ---------------------------------------------------------------- arrays */

template <typename Scalar> using Input = nb::ndarray<const Scalar, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

/* New, uninitialised NumPy arrays of the given lengths; `data` points into them. */
nb::object new_int32(size_t length, int32_t *&data);
nb::object new_int64(size_t length, int64_t *&data);
nb::object new_bool_2d(size_t rows, size_t cols, uint8_t *&data);
nb::object new_uint8_2d(size_t rows, size_t cols, uint8_t *&data);
nb::object new_uint64_2d(size_t rows, size_t cols, uint64_t *&data);

/* An int32 array with a copy of these values. */
nb::object copy_int32(const int32_t *values, size_t length);

/* Room for a row of `cols` columns that lives as long as the thread: rows are read here and copied at their length. */
int32_t *row_room(size_t cols);

/* Python's way with a row: negative ones count from the end. IndexError when out of range. */
int32_t row_index(const Mask &mask, int64_t row);

/* A whole number that fits, or ValueError with the name. */
int32_t side(const char *name, int64_t value);

void bind_mask(nb::module_ &module);
void bind_builder(nb::module_ &module);
void bind_atlas(nb::module_ &module);
void bind_export(nb::module_ &module);
