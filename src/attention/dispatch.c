/* SPDX-License-Identifier: Apache-2.0 */
#include "attention/kernels.h"

#include <string.h>

const rmask_attention_kernels *rmask_attention_kernels_get(void)
{
#if defined(__x86_64__)
    __builtin_cpu_init();
    const char *tier = rmask_simd_tier();
    if (__builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c")) {
        if (strcmp(tier, "avx512") == 0) return &rmask_attention_avx512;
        if (strcmp(tier, "avx2") == 0) return &rmask_attention_avx2;
    }
#endif
    return &rmask_attention_plain;
}
