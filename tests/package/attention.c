/* SPDX-License-Identifier: Apache-2.0
 * A stranger's first use of the attention library: two tokens of one head, of which the first sees itself only. It prints the version of the
 * mask library that it runs with. */
#include <roarmask/attention.h>
#include <stdio.h>

int main(void)
{
    float query[] = {1, 1}, key[] = {1, 1}, value[] = {2, 4}, out[] = {0, 0};
    rmask *mask;
    if (rmask_parse("causal", 2, 2, NULL, &mask, NULL) != RMASK_OK) return 1;
    const rmask *const masks[] = {mask};
    rmask_attention_sequence sequence = {.num_queries = 2, .num_keys = 2, .masks = masks, .num_masks = 1};
    rmask_attention_args args = {
        .query = {query, RMASK_FLOAT32, .token_stride = 1},
        .key = {key, RMASK_FLOAT32, .token_stride = 1},
        .value = {value, RMASK_FLOAT32, .token_stride = 1},
        .out = {out, RMASK_FLOAT32, .token_stride = 1},
        .num_heads = 1, .num_kv_heads = 1, .head_dim = 1,
        .sequences = &sequence, .num_sequences = 1,
        .block_queries = 1, .block_keys = 1,
    };
    rmask_error error;
    if (rmask_attention(&args, &error) != RMASK_OK) return puts(error.message), 1;
    rmask_release(mask);
    if (out[0] != 2 || out[1] != 3) return 1;
    return puts(rmask_version()) < 0;
}
