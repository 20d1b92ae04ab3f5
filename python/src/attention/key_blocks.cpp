/* SPDX-License-Identifier: Apache-2.0
 * Summaries of blocks of keys, and queries' scores against them. roarmask/_key_blocks.py says what the arguments are. */
#include "tensor.h"

namespace
{
/* NumPy's float32, contiguous; written to. */
float *room(nb::handle object, const char *name, int num_dims, View &view)
{
    view = view_of(object, name);
    int64_t stride = 1;
    bool fits = view.scalar == Scalar::float32 && view.is_writable && view.num_dims == num_dims;
    for (int i = view.num_dims; fits && i-- > 0; stride *= view.shape[(size_t)i])
        fits = view.shape[(size_t)i] <= 1 || view.stride[(size_t)i] == stride;
    if (!fits) complain(std::string(name) + " must be writable contiguous float32, not " + text_of(view));
    return (float *)view.data;
}

rmask_key_blocks blocks_of(nb::handle numbers, int64_t dim, int32_t block, int32_t entry_blocks, bool bounds)
{
    View view;
    rmask_key_blocks blocks{};
    blocks.numbers = room(numbers, "numbers", 3, view);
    blocks.summary = bounds ? RMASK_KEY_BOUNDS : RMASK_KEY_MEANS;
    blocks.block = block;
    blocks.entry_blocks = entry_blocks;
    blocks.num_kv_heads = side("kv_heads", view.shape[1]);
    blocks.head_dim = side("head_dim", dim);
    if (entry_blocks < 1 || view.shape[0] % entry_blocks != 0 || view.shape[2] != (bounds ? 2 : 1) * dim)
        complain("numbers are " + text_of(view) + ", with " + std::to_string(entry_blocks) + " blocks an entry and head_dim " +
                 std::to_string(dim));
    blocks.num_entries = side("entries", view.shape[0] / entry_blocks);
    return blocks;
}

void summarize(nb::handle key_object, bool key_columns, nb::handle which_object, nb::handle counts_object, int32_t block,
               bool bounds, nb::handle numbers, int32_t threads)
{
    const View key = floats_of(key_object, "key", "entries, kv_heads, tokens, head_dim (or head_dim, tokens)", 4);
    const int token = key_columns ? 1 : 2, dim = key_columns ? 2 : 1;
    expect_contiguous_heads(key, "key");
    const int64_t num_tokens = key.size_from_end(token);
    if (block < 1) complain("a block has at least one token, not " + std::to_string(block));
    const rmask_key_blocks blocks =
        blocks_of(numbers, key.size_from_end(dim), block, side("blocks", (num_tokens + block - 1) / block), bounds);
    if (blocks.num_entries != key.shape[0] || blocks.num_kv_heads != key.shape[1])
        complain("numbers of " + std::to_string(blocks.num_entries) + " entries and " + std::to_string(blocks.num_kv_heads) +
                 " KV heads, and key is " + text_of(key));
    const Int32List which(which_object, "which"), counts(counts_object, "num_tokens");
    if (which.size() != counts.size()) complain("num_tokens and which must have the same length");
    for (size_t i = 0; i < which.size(); i++)
        if ((int64_t)(which[i] % blocks.entry_blocks) * block + counts[i] > num_tokens)
            complain("a block goes past its entry's end");
    const rmask_tensor tensor = tensor_of(key, 4, token, 3, dim);
    call_unlocked(rmask_summarize_keys, &blocks, &tensor, which.data(), counts.data(), which.size(), threads);
}

void score(nb::handle query_object, nb::handle starts_object, nb::handle numbers, nb::handle table_object, nb::handle of_object,
           nb::handle counts_object, bool bounds, float scale, nb::handle scores_object, int32_t threads)
{
    const View query = floats_of(query_object, "query", "tokens, heads, head_dim", 3);
    expect_contiguous_heads(query, "query");
    const rmask_key_blocks blocks = blocks_of(numbers, query.shape[2], 1, 1, bounds);
    const View table = view_of(table_object, "table");
    if (table.scalar != Scalar::int32 || table.num_dims != 2 || stride_of(table, 1) != 1)
        complain("table must be int32 [lists, blocks]");
    const Int32List starts(starts_object, "starts"), of(of_object, "list_of"), counts(counts_object, "num_blocks");
    View scores;
    float *to = room(scores_object, "scores", 3, scores);
    const size_t num_rows = of.size();
    if (counts.size() != num_rows || starts.size() != num_rows + 1 || scores.shape[0] != (int64_t)num_rows ||
        scores.shape[1] != query.shape[1])
        complain("scores are " + text_of(scores) + ", for " + std::to_string(num_rows) + " rows of " + text_of(query));
    std::vector<rmask_key_row> rows(num_rows);
    for (size_t i = 0; i < num_rows; i++) {
        if (starts[i] < 0 || starts[i + 1] > query.shape[0] || of[i] < 0 || of[i] >= table.shape[0] ||
            counts[i] > table.shape[1])
            complain("row " + std::to_string(i) + " lies outside of the queries or the table");
        rows[i] = {starts[i], starts[i + 1] - starts[i], counts[i],
                   (const int32_t *)table.data + (int64_t)of[i] * table.stride[0]};
    }
    const rmask_tensor tensor = tensor_of(query, 0, 3, 2, 1);
    call_unlocked(rmask_score_keys, &blocks, &tensor, side("heads", query.shape[1]), scale, rows.data(),
                  side("rows", (int64_t)num_rows), to, (size_t)scores.shape[2], threads);
}
} // namespace

void add_key_blocks(nb::module_ &module)
{
    module.def("summarize", &summarize, "key"_a, "key_columns"_a, "which"_a, "num_tokens"_a, "block"_a, "bounds"_a, "numbers"_a,
               "threads"_a);
    module.def("score", &score, "query"_a, "starts"_a, "numbers"_a, "table"_a, "list_of"_a, "num_blocks"_a, "bounds"_a,
               "scale"_a, "scores"_a, "threads"_a);
}
