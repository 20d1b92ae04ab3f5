/* SPDX-License-Identifier: Apache-2.0
 * CUDA's C++ for an ordinary compiler: included before kernels.cu, it has the kernels themselves, their launches and the device's side of
 * portable.h run by simt.cpp. Every thread of a block is a fiber; a warp's shuffle and a block's barrier wait for all who must come. */
#ifndef ROARMASK_TESTS_CUDA_SIMT_H
#define ROARMASK_TESTS_CUDA_SIMT_H

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <functional>

#include "cuda_runtime_api.h"

#define __CUDACC__
#define __CUDA_ARCH__ 800
#define __global__
#define __host__
#define __device__
#define __forceinline__ inline
#define __grid_constant__
#define __launch_bounds__(num_threads)
#define __align__(num_bytes) __attribute__((aligned(num_bytes)))
#define __shared__ static /* one block runs at a time */

struct dim3 {
    unsigned x, y, z;
    constexpr dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};

struct cudaLaunchConfig_t {
    dim3 gridDim, blockDim;
    size_t dynamicSmemBytes;
    cudaStream_t stream;
};

extern dim3 gridDim, blockIdx, threadIdx;

void __syncthreads();
uint32_t simt_shuffle(uint32_t lanes, uint32_t value, unsigned from);

inline uint32_t __shfl_sync(uint32_t lanes, uint32_t value, unsigned from) { return simt_shuffle(lanes, value, from % 32); }
inline uint32_t __shfl_up_sync(uint32_t lanes, uint32_t value, unsigned delta)
{
    const unsigned lane = threadIdx.x % 32;
    return simt_shuffle(lanes, value, lane < delta ? lane : lane - delta);
}
inline int __popc(uint32_t word) { return __builtin_popcount(word); }
inline int __ffs(int word) { return __builtin_ffs(word); }

/* Puts work on the one stream that there is. */
void simt_later(std::function<void()> work);

/* Runs `thread` as every thread of the grid. Blocks come one after the other, in any order; so do threads, as far as they do not wait. */
cudaError_t simt_launch(dim3 grid, dim3 block, std::function<void()> thread);

template <typename... Params, typename... Args>
cudaError_t cudaLaunchKernelEx(const cudaLaunchConfig_t *config, void (*kernel)(Params...), Args &&...args)
{
    return simt_launch(config->gridDim, config->blockDim, [=] { kernel(args...); });
}

#endif
