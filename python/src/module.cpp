/* SPDX-License-Identifier: Apache-2.0 */
#define ROARMASK_IMPORTS_NUMPY
#include "numpy_api.h"

#include "common.h"

NB_MODULE(_core, module)
{
    if (_import_array() < 0) throw nb::python_error();
    nb::set_leak_warnings(false); /* the interpreter may end with masks alive in other modules' caches */
    module.doc() = "The engine of the package: masks, builders, growing masks and atlases over the C library.";
    module.attr("VERSION") = rmask_version();
    module.attr("MAX_SIDE") = RMASK_MAX_SIDE;
    module.def("simd_tier", &rmask_simd_tier, "The instruction set in use: \"scalar\", \"avx2\", \"avx512\" or \"neon\".");
    bind_mask(module);
    bind_builder(module);
    bind_atlas(module);
    bind_export(module);
}
