/* SPDX-License-Identifier: Apache-2.0 */
#define ROARMASK_IMPORTS_NUMPY
#include "numpy_api.h"

#include "common.h"

NB_MODULE(_core, module)
{
    if (_import_array() < 0) throw nb::python_error();
    /* What is alive when the interpreter ends need not be a leak: with torch loaded, objects of any class that modules and frameworks
     * hold, a test's parameters for one, are never let go, and nobody could do anything about the warning. Tests switch it on. */
    nb::set_leak_warnings(false);
    module.def("_warn_of_leaks", &nb::set_leak_warnings, "warn"_a);
    module.doc() = "The engine of the package: masks, builders, growing masks and atlases over the C library.";
    module.attr("VERSION") = rmask_version();
    module.attr("MAX_SIDE") = RMASK_MAX_SIDE;
    module.def("simd_tier", &rmask_simd_tier, "The instruction set in use: \"scalar\", \"avx2\", \"avx512\" or \"neon\".");
    bind_mask(module);
    bind_builder(module);
    bind_atlas(module);
    bind_export(module);
}
