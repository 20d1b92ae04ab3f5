/* SPDX-License-Identifier: Apache-2.0
 * The extension module of attention. It is a module of its own so that a program that only handles masks loads no OpenMP: roarmask/_attend.py
 * imports it with the first call. Masks come from _core: both modules are built from one common.h and share nanobind's types. */
#define ROARMASK_IMPORTS_NUMPY
#include "../numpy_api.h"

#include "tensor.h"

#include <nanobind/stl/pair.h>
#include <nanobind/stl/tuple.h>

namespace
{
/* ---------------------------------------------------------------- masks */

/* The masks of each batch entry; one list for all where there is one only. The caller's objects keep the masks alive during the call. */
class Masks
{
  public:
    Masks(nb::handle masks, size_t num_entries, const rmask_attention_args &args);
    void give_to(rmask_attention_sequence &sequence, size_t entry) const
    {
        const std::vector<const rmask *> &list = lists[lists.size() == 1 ? 0 : entry];
        sequence.masks = list.data();
        sequence.num_masks = (int32_t)list.size();
    }

  private:
    static bool is_list(nb::handle object) { return PyList_Check(object.ptr()) || PyTuple_Check(object.ptr()); }
    static std::vector<const rmask *> heads_of(nb::handle masks);
    static void join_groups(std::vector<const rmask *> &heads, const rmask_attention_args &args);
    std::vector<std::vector<const rmask *>> lists;
};

std::vector<const rmask *> Masks::heads_of(nb::handle masks)
{
    std::vector<const rmask *> heads;
    const auto add = [&heads](nb::handle mask) {
        const Mask *given = nullptr;
        if (!mask.is_none() && !nb::try_cast<const Mask *>(mask, given)) {
            PyErr_Format(PyExc_TypeError,
                         "a mask is a Mask, None, a list of these for the heads, or a list of such lists for the batch; not %s",
                         Py_TYPE(mask.ptr())->tp_name);
            throw nb::python_error();
        }
        heads.push_back(given ? given->get() : nullptr);
    };
    if (masks.is_none()) return heads;
    if (!is_list(masks))
        add(masks);
    else
        for (nb::handle mask : masks) add(mask);
    return heads;
}

/* Heads that share their keys and have one mask are worked together, so that keys are read once. */
void Masks::join_groups(std::vector<const rmask *> &heads, const rmask_attention_args &args)
{
    const size_t num_groups = (size_t)args.num_kv_heads;
    if (num_groups == 0 || heads.size() != (size_t)args.num_heads || heads.size() % num_groups != 0) return;
    const size_t group = heads.size() / num_groups;
    for (size_t i = 0; i < heads.size(); i++)
        if (heads[i] != heads[i / group * group]) return;
    for (size_t i = 0; i < num_groups; i++) heads[i] = heads[i * group];
    heads.resize(num_groups);
}

Masks::Masks(nb::handle masks, size_t num_entries, const rmask_attention_args &args)
{
    bool is_nested = false;
    if (is_list(masks))
        for (nb::handle entry : masks) is_nested = is_nested || is_list(entry);
    if (!is_nested) {
        lists.push_back(heads_of(masks));
    } else {
        for (nb::handle entry : masks) lists.push_back(heads_of(entry));
    }
    for (std::vector<const rmask *> &heads : lists) join_groups(heads, args);
    if (is_nested && lists.size() != num_entries)
        complain("masks of " + std::to_string(lists.size()) + " batch entries, and there are " + std::to_string(num_entries));
}

/* ---------------------------------------------------------------- tensors */

void expect_same_shape(const View &view, const char *name, const View &other, const char *other_name)
{
    if (view.num_dims == other.num_dims && view.shape == other.shape) return;
    complain(std::string(name) + " is " + text_of(view) + ", and " + other_name + " is " + text_of(other));
}

/* The output, and the log-sum-exp where it is wanted, in the shape of the queries. */
void take_outputs(const View &query, nb::handle out_object, nb::handle lse_object, const char *dims, bool has_batch, int token,
                  int head, rmask_attention_args &args)
{
    const View out = floats_of(out_object, "out", dims, query.num_dims);
    expect_same_shape(out, "out", query, "query");
    expect_contiguous_heads(out, "out");
    if (!out.is_writable) complain("out is read-only");
    for (int i = 0; i < out.num_dims; i++)
        if (out.shape[(size_t)i] > 1 && out.stride[(size_t)i] == 0)
            complain("out has elements that lie in one place: it is an expanded tensor");
    args.out = tensor_of(out, has_batch ? 4 : 0, token, head, 1);
    if (lse_object.is_none()) return;
    const View lse = view_of(lse_object, "lse");
    bool fits = lse.scalar == Scalar::float32 && lse.num_dims == query.num_dims - 1 && lse.is_writable;
    for (int i = 0; fits && i < lse.num_dims; i++) fits = lse.shape[(size_t)i] == query.shape[(size_t)i];
    if (!fits) complain("lse must be writable float32 in query's shape without its last dimension, not " + text_of(lse));
    args.lse = (float *)lse.data;
    args.lse_batch_stride = has_batch ? lse.stride_from_end(3) : 0;
    args.lse_token_stride = lse.stride_from_end(token - 1);
    args.lse_head_stride = lse.stride_from_end(head - 1);
}

const float *floats_per_head(nb::handle object, const char *name, int64_t num_heads)
{
    if (object.is_none()) return nullptr;
    const View view = view_of(object, name);
    if (view.scalar != Scalar::float32 || view.num_dims != 1 || view.shape[0] != num_heads || stride_of(view, 1) != 1)
        complain(std::string(name) + " must be contiguous float32 [" + std::to_string(num_heads) + "], one a head, not " +
                 text_of(view));
    return (const float *)view.data;
}

/* ---------------------------------------------------------------- what all forms share */

struct Options {
    nb::object masks;
    std::pair<int32_t, int32_t> block;
    bool causal;
    float scale, soft_cap;
    nb::object alibi_slopes, sinks;
    int32_t threads;
    bool reference;
};

void take_options(const Options &options, rmask_attention_args &args)
{
    args.block_queries = options.block.first;
    args.block_keys = options.block.second;
    args.causal = options.causal;
    args.scale = options.scale;
    args.soft_cap = options.soft_cap;
    args.alibi_slopes = floats_per_head(options.alibi_slopes, "alibi_slopes", args.num_heads);
    args.sinks = floats_per_head(options.sinks, "sinks", args.num_heads);
    args.num_threads = options.threads;
    args.method = options.reference ? RMASK_ATTENTION_REFERENCE : RMASK_ATTENTION_FAST;
}

void take_heads(int64_t num_heads, int64_t num_kv_heads, int64_t head_dim, rmask_attention_args &args)
{
    args.num_heads = side("heads", num_heads);
    args.num_kv_heads = side("KV heads", num_kv_heads);
    args.head_dim = side("head_dim", head_dim);
}

using Work = std::tuple<uint64_t, uint64_t, uint64_t, uint64_t>;

/* Python holds references to all arguments during the call, so nothing moves while others run. */
Work run(rmask_attention_args &args, const std::vector<rmask_attention_sequence> &sequences)
{
    rmask_attention_work work{};
    args.sequences = sequences.data();
    args.num_sequences = side("batch entries", (int64_t)sequences.size());
    args.work = &work;
    call_unlocked(rmask_attention, (const rmask_attention_args *)&args);
    return {work.visible_pairs, work.computed_pairs, work.tiles, work.key_tokens};
}

/* An entry of `starts`, which say where sequences begin in a packed tensor of num_tokens tokens, and where the last one ends. */
void expect_starts(const Int32List &starts, const char *name, int64_t num_tokens)
{
    if (starts.size() < 1 || starts[0] < 0 || starts[starts.size() - 1] > num_tokens)
        complain(std::string(name) + " must begin at 0 or more and end at most at the " + std::to_string(num_tokens) +
                 " tokens that there are");
    for (size_t i = 1; i < starts.size(); i++)
        if (starts[i] < starts[i - 1]) complain(std::string(name) + " must not decrease");
}

void expect_length(const Int32List &list, const char *name, size_t length)
{
    if (list.size() != length)
        complain(std::string(name) + " has " + std::to_string(list.size()) + " entries, and there are " +
                 std::to_string(length) + " sequences");
}

/* ---------------------------------------------------------------- the three forms */

/* [batch, heads, tokens, head_dim], as scaled_dot_product_attention has it. */
Work batched(nb::handle query_object, nb::handle key_object, nb::handle value_object, nb::handle out, nb::handle lse,
             nb::handle positions, nb::handle lengths, const Options &options)
{
    const View query = floats_of(query_object, "query", "batch, heads, tokens, head_dim", 4);
    const View key = floats_of(key_object, "key", "batch, kv_heads, tokens, head_dim", 4);
    const View value = floats_of(value_object, "value", "batch, kv_heads, tokens, head_dim", 4);
    expect_same_shape(value, "value", key, "key");
    if (query.shape[0] != key.shape[0] || query.shape[3] != key.shape[3])
        complain("query is " + text_of(query) + ", and key is " + text_of(key) + ": batch and head_dim must be the same");
    expect_contiguous_heads(query, "query");
    expect_contiguous_heads(key, "key");
    expect_contiguous_heads(value, "value");

    rmask_attention_args args{};
    take_heads(query.shape[1], key.shape[1], query.shape[3], args);
    args.query = tensor_of(query, 4, 2, 3, 1);
    args.key = tensor_of(key, 4, 2, 3, 1);
    args.value = tensor_of(value, 4, 2, 3, 1);
    take_outputs(query, out, lse, "batch, heads, tokens, head_dim", true, 2, 3, args);
    take_options(options, args);

    const size_t batch = (size_t)query.shape[0];
    const Int32List first_positions(positions, "first_position"), key_lens(lengths, "key_lens");
    if (first_positions.size()) expect_length(first_positions, "first_position", batch);
    if (key_lens.size()) expect_length(key_lens, "key_lens", batch);
    const Masks masks(options.masks, batch, args);
    const int32_t num_queries = side("tokens", query.shape[2]), num_keys = side("tokens", key.shape[2]);
    std::vector<rmask_attention_sequence> sequences(batch);
    for (size_t i = 0; i < batch; i++) {
        sequences[i].query_batch = sequences[i].key_batch = (int64_t)i;
        sequences[i].num_queries = num_queries;
        sequences[i].num_keys = key_lens.size() ? key_lens[i] : num_keys;
        sequences[i].first_position = first_positions.size() ? first_positions[i] : -1;
        if (sequences[i].num_keys < 0 || sequences[i].num_keys > num_keys)
            complain("key_lens[" + std::to_string(i) + "] is " + std::to_string(sequences[i].num_keys) + ", and there are " +
                     std::to_string(num_keys) + " keys");
        masks.give_to(sequences[i], i);
    }
    return run(args, sequences);
}

/* [tokens, heads, head_dim], sequences one after another. */
Work packed(nb::handle query_object, nb::handle key_object, nb::handle value_object, nb::handle out, nb::handle lse,
            nb::handle query_starts, nb::handle key_starts, nb::handle positions, const Options &options)
{
    const View query = floats_of(query_object, "query", "tokens, heads, head_dim", 3);
    const View key = floats_of(key_object, "key", "tokens, kv_heads, head_dim", 3);
    const View value = floats_of(value_object, "value", "tokens, kv_heads, head_dim", 3);
    expect_same_shape(value, "value", key, "key");
    if (query.shape[2] != key.shape[2])
        complain("query is " + text_of(query) + ", and key is " + text_of(key) + ": head_dim must be the same");
    expect_contiguous_heads(query, "query");
    expect_contiguous_heads(key, "key");
    expect_contiguous_heads(value, "value");

    rmask_attention_args args{};
    take_heads(query.shape[1], key.shape[1], query.shape[2], args);
    args.query = tensor_of(query, 0, 3, 2, 1);
    args.key = tensor_of(key, 0, 3, 2, 1);
    args.value = tensor_of(value, 0, 3, 2, 1);
    take_outputs(query, out, lse, "tokens, heads, head_dim", false, 3, 2, args);
    take_options(options, args);

    const Int32List query_at(query_starts, "cu_seqlens"), key_at(key_starts, "cu_seqlens_k"),
        first_positions(positions, "first_position");
    expect_starts(query_at, "cu_seqlens", side("tokens", query.shape[0]));
    expect_starts(key_at, "cu_seqlens_k", side("tokens", key.shape[0]));
    const size_t num_sequences = query_at.size() - 1;
    expect_length(key_at, "cu_seqlens_k", num_sequences + 1);
    if (first_positions.size()) expect_length(first_positions, "first_position", num_sequences);
    const Masks masks(options.masks, num_sequences, args);
    std::vector<rmask_attention_sequence> sequences(num_sequences);
    for (size_t i = 0; i < num_sequences; i++) {
        sequences[i].query_token = query_at[i];
        sequences[i].num_queries = query_at[i + 1] - query_at[i];
        sequences[i].key_token = key_at[i];
        sequences[i].num_keys = key_at[i + 1] - key_at[i];
        sequences[i].first_position = first_positions.size() ? first_positions[i] : -1;
        masks.give_to(sequences[i], i);
    }
    return run(args, sequences);
}

/* The rows of a block table, copied only where they are not int32 side by side. */
class BlockTable
{
  public:
    explicit BlockTable(nb::handle object)
    {
        View view = view_of(object, "block_table");
        if (view.num_dims != 2) complain("block_table must be [sequences, pages], not " + text_of(view));
        if (view.scalar != Scalar::int32 || stride_of(view, 1) != 1) {
            copy = nb::module_::import_("numpy").attr("ascontiguousarray")(object);
            if (!PyArray_ISINTEGER((PyArrayObject *)copy.ptr())) complain("block_table must be whole numbers");
            copy = copy.attr("clip")(-1, (int64_t)INT32_MAX).attr("astype")("int32");
            view = view_of(copy, "block_table");
        }
        first = (const int32_t *)view.data;
        num_rows = (size_t)view.shape[0];
        num_pages = view.shape[1];
        stride = view.stride[0];
    }
    const int32_t *row(size_t i) const { return first + (int64_t)i * stride; }

    size_t num_rows;
    int64_t num_pages;

  private:
    nb::object copy;
    const int32_t *first;
    int64_t stride;
};

/* query [tokens, heads, head_dim]; caches [pages, kv_heads, page_tokens, head_dim], or keys [pages, kv_heads, head_dim, page_tokens]. */
Work paged(nb::handle query_object, nb::handle key_object, nb::handle value_object, nb::handle out, nb::handle lse,
           nb::handle table, nb::handle lengths, nb::handle query_starts, bool key_columns, const Options &options)
{
    const View query = floats_of(query_object, "query", "tokens, heads, head_dim", 3);
    const char *key_dims = key_columns ? "pages, kv_heads, head_dim, page_tokens" : "pages, kv_heads, page_tokens, head_dim";
    const View key = floats_of(key_object, "key_cache", key_dims, 4);
    const View value = floats_of(value_object, "value_cache", "pages, kv_heads, page_tokens, head_dim", 4);
    const int key_token = key_columns ? 1 : 2, key_dim = key_columns ? 2 : 1;
    if (key.shape[0] != value.shape[0] || key.shape[1] != value.shape[1] || key.size_from_end(key_token) != value.shape[2] ||
        key.size_from_end(key_dim) != value.shape[3] || query.shape[2] != value.shape[3])
        complain("query is " + text_of(query) + ", key_cache " + text_of(key) + " (" + key_dims + ") and value_cache " +
                 text_of(value) + ": they do not go together");
    expect_contiguous_heads(query, "query");
    expect_contiguous_heads(key, "key_cache");
    expect_contiguous_heads(value, "value_cache");

    rmask_attention_args args{};
    take_heads(query.shape[1], key.shape[1], query.shape[2], args);
    args.query = tensor_of(query, 0, 3, 2, 1);
    args.key = tensor_of(key, 4, key_token, 3, key_dim);
    args.value = tensor_of(value, 4, 2, 3, 1);
    args.page_tokens = side("page_tokens", value.shape[2]);
    args.num_pages = side("pages", value.shape[0]);
    take_outputs(query, out, lse, "tokens, heads, head_dim", false, 3, 2, args);
    take_options(options, args);
    if (args.page_tokens < 1) complain("the pages of the cache hold no tokens");

    const Int32List seq_lens(lengths, "seq_lens"), query_at(query_starts, "query_start_loc");
    const BlockTable pages(table);
    const size_t num_sequences = seq_lens.size();
    expect_starts(query_at, "query_start_loc", side("tokens", query.shape[0]));
    expect_length(query_at, "query_start_loc", num_sequences + 1);
    if (pages.num_rows != num_sequences)
        complain("block_table has " + std::to_string(pages.num_rows) + " rows, and there are " + std::to_string(num_sequences) +
                 " sequences");
    const Masks masks(options.masks, num_sequences, args);
    std::vector<rmask_attention_sequence> sequences(num_sequences);
    for (size_t i = 0; i < num_sequences; i++) {
        sequences[i].query_token = query_at[i];
        sequences[i].num_queries = query_at[i + 1] - query_at[i];
        sequences[i].num_keys = seq_lens[i];
        sequences[i].first_position = -1;
        sequences[i].pages = pages.row(i);
        if (seq_lens[i] > pages.num_pages * args.page_tokens)
            complain("sequence " + std::to_string(i) + " has " + std::to_string(seq_lens[i]) +
                     " tokens, and its row of block_table holds " + std::to_string(pages.num_pages) + " pages of " +
                     std::to_string(args.page_tokens));
        masks.give_to(sequences[i], i);
    }
    return run(args, sequences);
}

void merge(nb::handle out_a, nb::handle lse_a, nb::handle out_b, nb::handle lse_b)
{
    const View a = view_of(out_a, "out"), a_lse = view_of(lse_a, "lse"), b = view_of(out_b, "other"),
               b_lse = view_of(lse_b, "other_lse");
    const auto is_plain = [](const View &view) {
        int64_t stride = 1;
        for (int i = view.num_dims; i-- > 0; stride *= view.shape[(size_t)i])
            if (view.shape[(size_t)i] > 1 && view.stride[(size_t)i] != stride) return false;
        return view.scalar == Scalar::float32 && view.num_dims > 0;
    };
    const auto count = [](const View &view, int num_dims) {
        int64_t product = 1;
        for (int i = 0; i < num_dims; i++) product *= view.shape[(size_t)i];
        return product;
    };
    if (!is_plain(a) || !is_plain(b) || !is_plain(a_lse) || !is_plain(b_lse) || !a.is_writable || !a_lse.is_writable)
        complain("partial results must be contiguous float32");
    expect_same_shape(b, "other", a, "out");
    expect_same_shape(b_lse, "other_lse", a_lse, "lse");
    const int64_t num_rows = count(a, a.num_dims - 1);
    if (a_lse.num_dims != a.num_dims - 1 || count(a_lse, a_lse.num_dims) != num_rows)
        complain("lse is " + text_of(a_lse) + ", and out is " + text_of(a) + ": one entry a row");
    const int32_t head_dim = side("head_dim", a.size_from_end(1));
    nb::gil_scoped_release unlocked;
    rmask_attention_merge((float *)a.data, (float *)a_lse.data, (const float *)b.data, (const float *)b_lse.data,
                          (size_t)num_rows, head_dim);
}
} // namespace

NB_MODULE(_attention, module)
{
    if (_import_array() < 0) throw nb::python_error();
    nb::set_leak_warnings(false);
    module.doc() =
        "Sparse attention on the CPU, over the C library. Arguments are checked here; roarmask.attention says what they are.";
    nb::class_<Options>(module, "Options")
        .def(nb::init<nb::object, std::pair<int32_t, int32_t>, bool, float, float, nb::object, nb::object, int32_t, bool>(),
             "mask"_a.none(), "block"_a, "causal"_a, "scale"_a, "soft_cap"_a, "alibi_slopes"_a.none(), "sinks"_a.none(),
             "threads"_a, "reference"_a);
    module.def("batched", &batched, "query"_a, "key"_a.none(), "value"_a.none(), "out"_a.none(), "lse"_a.none(),
               "first_position"_a.none(), "key_lens"_a.none(), "options"_a);
    module.def("packed", &packed, "query"_a, "key"_a.none(), "value"_a.none(), "out"_a.none(), "lse"_a.none(), "cu_seqlens"_a,
               "cu_seqlens_k"_a, "first_position"_a.none(), "options"_a);
    module.def("paged", &paged, "query"_a, "key_cache"_a.none(), "value_cache"_a.none(), "out"_a.none(), "lse"_a.none(),
               "block_table"_a.none(), "seq_lens"_a, "query_start_loc"_a, "key_columns"_a, "options"_a);
    module.def("merge", &merge, "out"_a.none(), "lse"_a.none(), "other"_a.none(), "other_lse"_a.none());
    add_key_blocks(module);
    module.def("peak_flops", &rmask_attention_peak_flops, nb::call_guard<nb::gil_scoped_release>());
}
