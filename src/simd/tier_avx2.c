/* SPDX-License-Identifier: Apache-2.0 */
#if defined(__x86_64__)
#define TIER_VEC "simd/vec_avx2.h"
#include "simd/kernels.h"
#else
typedef int rmask_no_avx2; /* a translation unit may not be empty */
#endif
