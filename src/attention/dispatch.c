/* SPDX-License-Identifier: Apache-2.0 */
#include "attention/kernels.h"

#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>

/* Every machine with AVX2 so far has had both; the tiers of the rest of the library do not need them. */
static bool has_fma_and_f16c(void)
{
    unsigned a, b, c, d;
    return __get_cpuid(1, &a, &b, &c, &d) && (c & bit_FMA) && (c & bit_F16C);
}
#endif

const rmask_attention_kernels *rmask_attention_kernels_get(void)
{
#if defined(__x86_64__)
    const char *tier = rmask_simd_tier();
    if (has_fma_and_f16c()) {
        if (strcmp(tier, "avx512") == 0) return &rmask_attention_avx512;
        if (strcmp(tier, "avx2") == 0) return &rmask_attention_avx2;
    }
#endif
    return &rmask_attention_plain;
}
