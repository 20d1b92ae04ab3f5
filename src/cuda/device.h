/* SPDX-License-Identifier: Apache-2.0
 * What the library asks of a device: kernels.cu does it with CUDA, the tests do it on the host (tests/cuda/host.c). Each call puts its
 * work on the stream. Jobs are sound and have something to do. */
#ifndef ROARMASK_CUDA_DEVICE_H
#define ROARMASK_CUDA_DEVICE_H

#include "cuda/expand.h"

#ifdef __cplusplus
extern "C" {
#endif

int32_t rmask_cu_num_devices(void);
rmask_status rmask_cu_copy(void *to, const void *from, size_t num_bytes, rmask_cuda_stream stream, rmask_error *error);
rmask_status rmask_cu_rows(const cu_rows_job *job, rmask_cuda_stream stream, rmask_error *error);
rmask_status rmask_cu_dense(const cu_dense_job *job, rmask_cuda_stream stream, rmask_error *error);
rmask_status rmask_cu_tiles(const cu_tiles_job *job, rmask_cuda_stream stream, rmask_error *error);
rmask_status rmask_cu_packed(const cu_tiles_job *job, rmask_cuda_stream stream, rmask_error *error);
rmask_status rmask_cu_pages(const rmask_cuda_requests *requests, rmask_cuda_stream stream, rmask_error *error);

/* Replaces each of `num` values by the sum up to it. With `workspace` NULL only says how many bytes it needs. */
rmask_status rmask_cu_sums(int64_t *values, int64_t num, void *workspace, size_t *workspace_bytes, rmask_cuda_stream stream,
                           rmask_error *error);

#ifdef __cplusplus
}
#endif

#endif
