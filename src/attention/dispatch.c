/* SPDX-License-Identifier: Apache-2.0 */
#include "attention/kernels.h"

#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#include <stdatomic.h>

/* Every machine with AVX2 so far has had both; the tiers of the rest of the library do not need them. The answer is kept: in a virtual machine
 * the instruction takes longer than a step of decoding. */
static bool has_fma_and_f16c(void)
{
    enum { UNKNOWN, NO, YES };
    static atomic_int known = UNKNOWN;
    int answer = atomic_load_explicit(&known, memory_order_relaxed);
    if (answer == UNKNOWN) {
        unsigned a, b, c, d;
        answer = __get_cpuid(1, &a, &b, &c, &d) && (c & bit_FMA) && (c & bit_F16C) ? YES : NO;
        atomic_store_explicit(&known, answer, memory_order_relaxed);
    }
    return answer == YES;
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
