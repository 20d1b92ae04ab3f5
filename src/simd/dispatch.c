/* SPDX-License-Identifier: Apache-2.0
 * Choosing the tier: the best of the machine, or the one that ROARMASK_SIMD names. */
#include "simd/simd.h"

#include "roarmask/roarmask.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_TIERS = 3 };

/* Best first. */
static size_t list_tiers(const rmask_simd *tiers[MAX_TIERS])
{
    size_t n = 0;
#if defined(__x86_64__)
    __builtin_cpu_init();
    bool has_avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") &&
                    __builtin_cpu_supports("popcnt");
    if (has_avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vbmi") &&
        __builtin_cpu_supports("avx512vbmi2") && __builtin_cpu_supports("avx512vpopcntdq") &&
        __builtin_cpu_supports("avx512bitalg"))
        tiers[n++] = &rmask_simd_avx512;
    if (has_avx2) tiers[n++] = &rmask_simd_avx2;
#elif defined(__aarch64__)
    tiers[n++] = &rmask_simd_neon;
#endif
    tiers[n++] = &rmask_simd_scalar;
    return n;
}

/* Several threads may choose at once: they all come to the same answer. */
static _Atomic(const rmask_simd *) chosen;

static const rmask_simd *choose(void)
{
    const rmask_simd *tiers[MAX_TIERS];
    size_t n = list_tiers(tiers);
    const rmask_simd *choice = tiers[0];
    const char *wanted = getenv("ROARMASK_SIMD");
    for (size_t i = 0; wanted && i < n; i++)
        if (strcmp(tiers[i]->name, wanted) == 0) choice = tiers[i];
    atomic_store_explicit(&chosen, choice, memory_order_release);
    return choice;
}

const rmask_simd *rmask_simd_get(void)
{
    const rmask_simd *choice = atomic_load_explicit(&chosen, memory_order_acquire);
    return choice ? choice : choose();
}

const char *rmask_simd_tier(void) { return rmask_simd_get()->name; }

const char *const *rmask_simd_tiers(void)
{
    static const char *const names[][MAX_TIERS + 1] = {{"scalar"}, {"avx2", "scalar"}, {"avx512", "avx2", "scalar"}, {"neon", "scalar"}};
    const rmask_simd *tiers[MAX_TIERS];
    size_t n = list_tiers(tiers);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(names[i][0], tiers[0]->name) == 0 && n > 0) return names[i];
    return names[0];
}

const char *rmask_simd_refused(void)
{
    const char *wanted = getenv("ROARMASK_SIMD");
    return wanted && *wanted && strcmp(wanted, rmask_simd_tier()) != 0 ? wanted : NULL;
}
