/* SPDX-License-Identifier: Apache-2.0
 * The kernels, and how they are launched. What a warp or a thread does is in expand.h. */
#include "cuda/device.h"

extern "C" {
#include "core/status.h"
}

#include <algorithm>
#include <cub/device/device_scan.cuh>

namespace {

constexpr int BLOCK_THREADS = 256, BLOCK_WARPS = BLOCK_THREADS / CU_LANES;
constexpr int64_t MAX_BLOCKS = INT32_MAX;

rmask_status finish(cudaError_t result, const char *what, rmask_error *error)
{
    if (result == cudaSuccess) return RMASK_OK;
    return rmask_fail(error, RMASK_ERR_IO, "CUDA could not %s: %s", what, cudaGetErrorString(result));
}

/* `NUM` is the number of masks, or 0 where it is known at run time only. */
template <int NUM, bool IS_TILED> __global__ void __launch_bounds__(BLOCK_THREADS) rows_kernel(const __grid_constant__ cu_rows_job job)
{
    const int64_t row = static_cast<int64_t>(blockIdx.x) * BLOCK_WARPS + threadIdx.x / CU_LANES;
    if (row <= job.num_rows) cu_rows_warp(&job, {NUM ? NUM : job.what.num_masks, IS_TILED}, static_cast<int32_t>(row));
}

template <bool IS_TILED> __global__ void __launch_bounds__(BLOCK_THREADS) dense_kernel(const __grid_constant__ cu_dense_job job)
{
    const int64_t piece = static_cast<int64_t>(blockIdx.x) * BLOCK_THREADS + threadIdx.x;
    if (piece >= cu_dense_pieces(&job)) return;
    for (int64_t row = blockIdx.y; row < job.num_rows; row += gridDim.y) cu_dense_thread(&job, IS_TILED, row, piece);
}

__global__ void __launch_bounds__(BLOCK_THREADS) tiles_kernel(const __grid_constant__ cu_tiles_job job)
{
    const uint64_t pieces = cu_tile_pieces(&job), num = pieces * job.max_tiles, step = static_cast<uint64_t>(gridDim.x) * BLOCK_THREADS;
    for (uint64_t i = static_cast<uint64_t>(blockIdx.x) * BLOCK_THREADS + threadIdx.x; i < num; i += step)
        cu_tile_thread(&job, i / pieces, i % pieces);
}

__global__ void __launch_bounds__(BLOCK_THREADS) packed_kernel(const __grid_constant__ cu_tiles_job job)
{
    for (int64_t row = blockIdx.x; row <= job.num_rows; row += gridDim.x)
        cu_packed_thread(&job, static_cast<int32_t>(row), threadIdx.x, BLOCK_THREADS);
}

/* `NUM` is the number of heads in a group, or 0 where it is known at run time only. */
template <int NUM> __global__ void __launch_bounds__(CU_PAGE_WARPS *CU_LANES) pages_kernel(const __grid_constant__ rmask_cuda_requests requests)
{
    __shared__ uint32_t counts[CU_PAGE_WARPS];
    const int num = NUM ? NUM : requests.heads_per_group;
    const int32_t i = static_cast<int32_t>(blockIdx.x), warp = static_cast<int32_t>(threadIdx.x / CU_LANES);
    const uint32_t count = cu_pages_count(&requests, num, i, warp);
    if (threadIdx.x % CU_LANES == 0) counts[warp] = count;
    __syncthreads();
    cu_pages_write(&requests, num, i, warp, counts);
}

template <typename Job>
rmask_status launch(void (*kernel)(Job), dim3 grid, int block_threads, const Job &job, rmask_cuda_stream stream, const char *what, rmask_error *error)
{
    cudaLaunchConfig_t config = {};
    config.gridDim = grid;
    config.blockDim = dim3(static_cast<unsigned>(block_threads));
    config.stream = stream;
    return finish(cudaLaunchKernelEx(&config, kernel, job), what, error);
}

} // namespace

extern "C" {

rmask_status rmask_cu_copy(void *to, const void *from, size_t num_bytes, rmask_cuda_stream stream, rmask_error *error)
{
    return finish(cudaMemcpyAsync(to, from, num_bytes, cudaMemcpyHostToDevice, stream), "copy a mask to the device", error);
}

rmask_status rmask_cu_rows(const cu_rows_job *job, rmask_cuda_stream stream, rmask_error *error)
{
    const auto blocks = (static_cast<int64_t>(job->num_rows) + 1 + BLOCK_WARPS - 1) / BLOCK_WARPS;
    const auto kernel = job->what.num_masks > 1 ? job->what.is_tiled ? rows_kernel<0, true> : rows_kernel<0, false>
                        : job->what.is_tiled    ? rows_kernel<1, true>
                                                : rows_kernel<1, false>;
    return launch(kernel, dim3(static_cast<unsigned>(blocks)), BLOCK_THREADS, *job, stream, "expand rows", error);
}

rmask_status rmask_cu_dense(const cu_dense_job *job, rmask_cuda_stream stream, rmask_error *error)
{
    const int64_t blocks = (cu_dense_pieces(job) + BLOCK_THREADS - 1) / BLOCK_THREADS;
    const dim3 grid(static_cast<unsigned>(blocks), static_cast<unsigned>(std::min(job->num_rows, 65535)));
    return launch(job->what.is_tiled ? dense_kernel<true> : dense_kernel<false>, grid, BLOCK_THREADS, *job, stream, "expand cells", error);
}

rmask_status rmask_cu_tiles(const cu_tiles_job *job, rmask_cuda_stream stream, rmask_error *error)
{
    const uint64_t threads = cu_tile_pieces(job) * job->max_tiles, blocks = (threads + BLOCK_THREADS - 1) / BLOCK_THREADS;
    const dim3 grid(static_cast<unsigned>(std::min<uint64_t>(blocks, MAX_BLOCKS)));
    return launch(tiles_kernel, grid, BLOCK_THREADS, *job, stream, "expand tiles", error);
}

rmask_status rmask_cu_packed(const cu_tiles_job *job, rmask_cuda_stream stream, rmask_error *error)
{
    const dim3 grid(static_cast<unsigned>(std::min<int64_t>(static_cast<int64_t>(job->num_rows) + 1, MAX_BLOCKS)));
    return launch(packed_kernel, grid, BLOCK_THREADS, *job, stream, "pack tiles", error);
}

rmask_status rmask_cu_pages(const rmask_cuda_requests *requests, rmask_cuda_stream stream, rmask_error *error)
{
    const dim3 grid(static_cast<unsigned>(requests->num_requests) * static_cast<unsigned>(requests->num_groups));
    const auto kernel = requests->heads_per_group == 1 ? pages_kernel<1> : pages_kernel<0>;
    return launch(kernel, grid, CU_PAGE_WARPS * CU_LANES, *requests, stream, "write block tables", error);
}

rmask_status rmask_cu_sums(int64_t *values, int64_t num, void *workspace, size_t *workspace_bytes, rmask_cuda_stream stream, rmask_error *error)
{
    return finish(cub::DeviceScan::InclusiveSum(workspace, *workspace_bytes, values, values, num, stream), "sum the rows' counts", error);
}

int32_t rmask_cu_num_devices(void)
{
    int num = 0;
    if (cudaGetDeviceCount(&num) == cudaSuccess) return num;
    cudaGetLastError(); /* nobody else is to find it */
    return 0;
}

} // extern "C"
