/* SPDX-License-Identifier: Apache-2.0
 * The device of the tests: the current one of CUDA. */
#include "place.h"

#include <cuda_runtime_api.h>
#include <stdio.h>
#include <stdlib.h>

static void must(cudaError_t result)
{
    if (result == cudaSuccess) return;
    fprintf(stderr, "CUDA: %s\n", cudaGetErrorString(result));
    abort();
}

bool place_is_there(void)
{
    int num = 0;
    const cudaError_t result = cudaGetDeviceCount(&num);
    if (result == cudaSuccess && num > 0) return true;
    fprintf(stderr, "skipped: no CUDA device (%s)\n", result == cudaSuccess ? "none is shown" : cudaGetErrorString(result));
    return false;
}

void *place_allocate(size_t num_bytes)
{
    void *memory = NULL;
    must(cudaMalloc(&memory, num_bytes + 1));
    must(cudaMemset(memory, 0xa7, num_bytes));
    return memory;
}

void place_free(void *memory) { must(cudaFree(memory)); }

void place_put(void *there, const void *here, size_t num_bytes) { must(cudaMemcpy(there, here, num_bytes, cudaMemcpyHostToDevice)); }

void place_get(void *here, const void *there, size_t num_bytes)
{
    must(cudaDeviceSynchronize());
    must(cudaMemcpy(here, there, num_bytes, cudaMemcpyDeviceToHost));
}

void place_shuffle(rng *random) { (void)random; }
