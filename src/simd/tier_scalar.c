/* SPDX-License-Identifier: Apache-2.0 */
#define TIER_VEC "simd/vec_scalar.h"
#include "simd/kernels.h"
