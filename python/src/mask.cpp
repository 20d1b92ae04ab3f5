/* SPDX-License-Identifier: Apache-2.0
 * The class Mask: what it is. What it does is in mask_*.cpp. */
#include "mask.h"

void bind_mask(nb::module_ &module)
{
    nb::class_<Mask> mask(module, "Mask", nb::is_weak_referenceable(),
                          "A set of cells (row, col) of a grid: query block `row` may look at key block `col`.\n\n"
                          "Immutable, hashable, and read by any number of threads at once.");
    mask.def_prop_ro("rows", &Mask::rows, "Query blocks.")
        .def_prop_ro("cols", &Mask::cols, "Key blocks.")
        .def_prop_ro(
            "shape", [](const Mask &self) { return std::pair<int32_t, int32_t>(self.rows(), self.cols()); }, "(rows, cols)")
        .def_prop_ro(
            "nnz", [](const Mask &self) { return rmask_count(self.get()); }, "The number of cells.")
        .def_prop_ro(
            "density", [](const Mask &self) { return rmask_density(self.get()); }, "nnz over rows * cols, from 0 to 1.")
        .def_prop_ro(
            "nbytes", [](const Mask &self) { return rmask_num_bytes(self.get()); }, "Bytes in memory and in a file.");
    bind_mask_making(mask);
    bind_mask_rows(mask);
    bind_mask_algebra(mask);
    bind_mask_reshaping(mask);
    bind_mask_output(mask);
}
