/* SPDX-License-Identifier: Apache-2.0 */
#if defined(__aarch64__)
#define TIER_VEC "simd/vec_neon.h"
#include "simd/kernels.h"
#else
typedef int rmask_no_neon; /* a translation unit may not be empty */
#endif
