/* SPDX-License-Identifier: Apache-2.0
 * NumPy's C API, whose function table module.cpp fills in for all files. */
#pragma once

#include <Python.h>

#define PY_ARRAY_UNIQUE_SYMBOL roarmask_numpy_api
#ifndef ROARMASK_IMPORTS_NUMPY
#define NO_IMPORT_ARRAY
#endif
#include <numpy/arrayobject.h>
