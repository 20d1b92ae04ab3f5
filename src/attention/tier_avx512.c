/* SPDX-License-Identifier: Apache-2.0 */
#if defined(__x86_64__)
#include <immintrin.h>
#define TIER avx512
#define WIDTH 16
#define WIDEN_FLOAT16(h) ((vf)_mm512_cvtph_ps((__m256i)(h)))
#include "attention/kernels_template.h"
#else
typedef int rmask_no_attention_avx512; /* a translation unit may not be empty */
#endif
