/* SPDX-License-Identifier: Apache-2.0
 * NumPy arrays and torch tensors as pointers and strides. Tensors are asked through their Python methods: DLPack costs more than that, refuses
 * tensors that require gradients, and NumPy has no bfloat16 in it. */
#pragma once

#include "../common.h"

#include <array>

#include "roarmask/attention.h"

enum class Scalar { float32, bfloat16, float16, int32, other };

/* What an object shows of its memory while the caller holds it. Strides are in elements. */
struct View {
    static constexpr int MAX_DIMS = 4;

    char *data = nullptr;
    Scalar scalar = Scalar::other;
    int num_dims = 0;
    bool is_writable = true;
    std::array<int64_t, MAX_DIMS> shape{}, stride{};

    /* The dimension counted from the end: 1 is the last one. */
    int64_t size_from_end(int dim) const { return shape[(size_t)(num_dims - dim)]; }
    int64_t stride_from_end(int dim) const { return stride[(size_t)(num_dims - dim)]; }
};

/* TypeError for what is no array of NumPy and no tensor of torch in the CPU's memory; ValueError for strides or addresses that do not fit the
 * elements, and for more than MAX_DIMS dimensions. `name` is how the caller knows it. */
View view_of(nb::handle object, const char *name);

/* "float32 [2, 8, 1024, 64]" */
std::string text_of(const View &view);

/* A view of float32, bfloat16 or float16 with so many dimensions, which `dims` names. */
View floats_of(nb::handle object, const char *name, const char *dims, int num_dims);

/* Dimensions are given counted from the end. One of a single element may have any stride: it is never walked. `batch` 0 is none. */
int64_t stride_of(const View &view, int dim_from_end);
rmask_tensor tensor_of(const View &view, int batch, int token, int head, int dim);
void expect_contiguous_heads(const View &view, const char *name);

/* The functions over blocks of keys, in key_blocks.cpp. */
void add_key_blocks(nb::module_ &module);

/* A list of int32, taken as it lies where it is one, else copied. None is an empty list. */
class Int32List
{
  public:
    Int32List(nb::handle values, const char *name);
    const int32_t *data() const { return first; }
    size_t size() const { return length; }
    int32_t operator[](size_t i) const { return first[i]; }

  private:
    std::optional<Integers<int32_t>> copied;
    const int32_t *first = nullptr;
    size_t length = 0;
};
