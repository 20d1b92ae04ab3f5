/* SPDX-License-Identifier: Apache-2.0
 * CUB's prefix sum, as far as kernels.cu calls it: it wants a workspace of an odd size, and writes all of it. */
#include "simt.h"

namespace cub {

struct DeviceScan {
    template <typename In, typename Out, typename Num>
    static cudaError_t InclusiveSum(void *workspace, size_t &num_bytes, const In *in, Out *out, Num num, cudaStream_t)
    {
        constexpr size_t needed = 771;
        if (!workspace) {
            num_bytes = needed;
            return cudaSuccess;
        }
        if (num_bytes < needed) return cudaErrorInvalidValue;
        simt_later([=] {
            memset(workspace, 0xc3, needed);
            Out sum = 0;
            for (Num i = 0; i < num; i++) out[i] = sum += in[i];
        });
        return cudaSuccess;
    }
};

} // namespace cub
