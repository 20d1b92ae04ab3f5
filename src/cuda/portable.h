/* SPDX-License-Identifier: Apache-2.0
 * What lets one text be a kernel's and a test's: it compiles as CUDA, where a warp runs it, and as C, where loops over its lanes do.
 *
 * A value of each lane is an array of CU_LANES_HERE: one entry on the device, all 32 on the host. CU_EACH_LANE goes over the lanes that are
 * here; what is outside of it is the same for the whole warp. Lanes must not depend on each other within it, so the host takes them in an order
 * that the tests choose. */
#ifndef ROARMASK_CUDA_PORTABLE_H
#define ROARMASK_CUDA_PORTABLE_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum { CU_LANES = 32 };

#if defined(__CUDACC__)
#define CU_FN static __host__ __device__ __forceinline__
#else
#define CU_FN static inline
#endif

#if defined(__CUDA_ARCH__)
enum { CU_LANES_HERE = 1 };
#define CU_EACH_LANE(slot, lane) for (int slot = 0, lane = (int)(threadIdx.x % CU_LANES); slot < 1; slot++)
#else
enum { CU_LANES_HERE = 32 };
#define CU_EACH_LANE(slot, lane) for (int slot = 0, lane = rmask_cu_lane(0); slot < CU_LANES; slot++, lane = rmask_cu_lane(slot))
extern unsigned rmask_cu_lane_order; /* 0 to 31 */
CU_FN int rmask_cu_lane(int slot) { return (int)(((unsigned)slot ^ rmask_cu_lane_order) % CU_LANES); }
#endif

/* 16 bytes that are stored at once. */
#if defined(__CUDACC__)
typedef struct __align__(16) cu_quad {
#else
typedef struct __attribute__((aligned(16))) cu_quad {
#endif
    uint32_t part[4];
} cu_quad;

CU_FN bool cu_is_aligned(const void *address) { return (uintptr_t)address % sizeof(cu_quad) == 0; }

/* `to` is aligned to 16 bytes. */
CU_FN void cu_store_quad(void *to, cu_quad quad) { *(cu_quad *)to = quad; }

/* The first `num_bytes` of 16 to any address. */
CU_FN void cu_store_some(uint8_t *to, cu_quad quad, int num_bytes)
{
    if (num_bytes == (int)sizeof quad && cu_is_aligned(to)) {
        cu_store_quad(to, quad);
        return;
    }
    for (int i = 0; i < num_bytes; i++) to[i] = (uint8_t)(quad.part[i / 4] >> i % 4 * 8);
}

CU_FN int cu_popcount(uint32_t word)
{
#if defined(__CUDA_ARCH__)
    return __popc(word);
#else
    return __builtin_popcount(word);
#endif
}

/* The lowest bit that is set; the word is not 0. */
CU_FN int cu_lowest(uint32_t word)
{
#if defined(__CUDA_ARCH__)
    return __ffs((int)word) - 1;
#else
    return __builtin_ctz(word);
#endif
}

/* Replaces each lane's value by the sum of those of the lanes before it, and returns the sum of all. Every lane of the warp takes part. */
CU_FN uint32_t cu_scan(uint32_t value[CU_LANES_HERE])
{
#if defined(__CUDA_ARCH__)
    const uint32_t own = value[0], lane = threadIdx.x % CU_LANES;
    uint32_t sum = own;
    for (uint32_t step = 1; step < CU_LANES; step *= 2) {
        const uint32_t left = __shfl_up_sync(0xffffffffu, sum, step);
        if (lane >= step) sum += left;
    }
    value[0] = sum - own;
    return __shfl_sync(0xffffffffu, sum, CU_LANES - 1);
#else
    uint32_t sum = 0, own[CU_LANES];
    for (int slot = 0; slot < CU_LANES; slot++) own[rmask_cu_lane(slot)] = value[slot];
    uint32_t before[CU_LANES];
    for (int lane = 0; lane < CU_LANES; lane++) {
        before[lane] = sum;
        sum += own[lane];
    }
    for (int slot = 0; slot < CU_LANES; slot++) value[slot] = before[rmask_cu_lane(slot)];
    return sum;
#endif
}

#endif
