/* SPDX-License-Identifier: Apache-2.0
 * What a stranger writes against libroarmask-cuda. Without a device it is told so. */
#include <roarmask/cuda.h>
#include <stdio.h>

int main(void)
{
    rmask *mask;
    rmask_error error;
    rmask_cuda_mask handle;
    int32_t counts[8], indices[64];
    if (rmask_parse("causal", 8, 8, NULL, &mask, &error) != RMASK_OK) return fprintf(stderr, "%s\n", error.message), 1;
    if (rmask_cuda_handle(mask, NULL, &handle, &error) != RMASK_OK) return fprintf(stderr, "%s\n", error.message), 1;
    if (rmask_cuda_num_devices() == 0 &&
        rmask_cuda_padded((rmask_cuda_fold){.masks = &handle, .num_masks = 1}, 0, 8, counts, indices, 8, NULL, &error) != RMASK_ERR_IO)
        return fprintf(stderr, "kernels run without a device\n"), 1;
    rmask_release(mask);
    puts(rmask_version());
}
