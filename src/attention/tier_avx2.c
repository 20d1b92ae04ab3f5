/* SPDX-License-Identifier: Apache-2.0 */
#if defined(__x86_64__)
#include <immintrin.h>
#define TIER avx2
#define WIDTH 8
#define WIDEN_FLOAT16(h) ((vf)_mm256_cvtph_ps((__m128i)(h)))
#include "attention/kernels_template.h"
#else
typedef int rmask_no_attention_avx2; /* a translation unit may not be empty */
#endif
