/* SPDX-License-Identifier: Apache-2.0
 * What the files of the class Mask share. */
#pragma once

#include "common.h"

#include <nanobind/stl/pair.h>

/* mask.slice, where None is the end. */
Mask slice_mask(const Mask &mask, int64_t row_begin, std::optional<int64_t> row_end, int64_t col_begin,
                std::optional<int64_t> col_end);

inline nb::module_ numpy() { return nb::module_::import_("numpy"); }

void bind_mask_making(nb::class_<Mask> &mask);
void bind_mask_rows(nb::class_<Mask> &mask);
void bind_mask_algebra(nb::class_<Mask> &mask);
void bind_mask_reshaping(nb::class_<Mask> &mask);
void bind_mask_output(nb::class_<Mask> &mask);
