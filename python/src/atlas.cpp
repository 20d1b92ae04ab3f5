/* SPDX-License-Identifier: Apache-2.0
 * The class Atlas. */
#include "common.h"

#include <roarmask/atlas.h>

#include <string>

#include <nanobind/stl/pair.h>

struct AtlasDeleter {
    void operator()(rmask_atlas *atlas) const { rmask_atlas_release(atlas); }
};

struct Atlas {
    std::unique_ptr<rmask_atlas, AtlasDeleter> atlas;
    explicit Atlas(rmask_atlas *made) : atlas(made) {}
    const rmask_atlas *get() const { return atlas.get(); }
};

template <typename Function, typename... Arguments> static Atlas make_atlas(Function *function, Arguments... arguments)
{
    rmask_atlas *out = nullptr;
    call_unlocked(function, arguments..., &out);
    return Atlas(out);
}

/* One list of masks (None is dense) for each layer, all of one length. The grid is that of the masks; without any it must be
 * given. */
static Atlas create(const std::vector<std::vector<std::optional<const Mask *>>> &masks, std::optional<int64_t> rows,
                    std::optional<int64_t> cols, const std::string &note)
{
    if (masks.empty() || masks[0].empty()) complain("an atlas has at least one layer and one head");
    const size_t heads = masks[0].size();
    std::vector<const rmask *> list;
    for (const auto &layer : masks) {
        if (layer.size() != heads) complain("the layers have different numbers of heads");
        for (const auto &mask : layer) {
            list.push_back(mask ? (*mask)->get() : nullptr);
            if (mask && !rows) rows = (*mask)->rows();
            if (mask && !cols) cols = (*mask)->cols();
        }
    }
    if (!rows) complain("every entry is dense: give the grid's rows");
    if (note.find('\0') != std::string::npos) complain("the note has a NUL");
    return make_atlas(rmask_atlas_create, side("layers", (int64_t)masks.size()), side("heads", (int64_t)heads),
                      side("rows", *rows), side("cols", cols.value_or(*rows)), (const rmask *const *)list.data(), note.c_str(),
                      (const rmask_allocator *)nullptr);
}

static std::optional<Mask> mask_or_none(const rmask *mask)
{
    if (!mask) return std::nullopt;
    return Mask(rmask_retain(mask));
}

static std::optional<Mask> get_item(const Atlas &atlas, std::pair<int64_t, int64_t> entry)
{
    const int32_t layers = rmask_atlas_layers(atlas.get()), heads = rmask_atlas_heads(atlas.get());
    auto [layer, head] = entry;
    if (layer < 0) layer += layers;
    if (head < 0) head += heads;
    if (layer < 0 || layer >= layers || head < 0 || head >= heads) {
        PyErr_Format(PyExc_IndexError, "layer %lld, head %lld is out of range: the atlas has %d layers of %d heads",
                     (long long)entry.first, (long long)entry.second, (int)layers, (int)heads);
        throw nb::python_error();
    }
    const rmask *mask;
    call(rmask_atlas_mask, atlas.get(), (int32_t)layer, (int32_t)head, &mask);
    return mask_or_none(mask);
}

static std::vector<Mask> distinct(const Atlas &atlas)
{
    std::vector<Mask> list;
    for (uint32_t i = 0; i < rmask_atlas_num_masks(atlas.get()); i++)
        list.emplace_back(rmask_retain(rmask_atlas_distinct(atlas.get(), i)));
    return list;
}

static nb::bytes to_data(const Atlas &atlas)
{
    size_t num_bytes;
    const void *data = rmask_atlas_data(atlas.get(), &num_bytes);
    return nb::bytes(data, num_bytes);
}

static Atlas from_data(BytesLike given)
{
    const nb::bytes data = bytes_of(given);
    return make_atlas(rmask_atlas_from_data, (const void *)data.c_str(), data.size(), (const rmask_allocator *)nullptr);
}

static Atlas open_file(const PathLike &path)
{
    return make_atlas(rmask_atlas_open, path_of(path).c_str(), (const rmask_allocator *)nullptr);
}
static Atlas load_file(const PathLike &path)
{
    return make_atlas(rmask_atlas_load, path_of(path).c_str(), (const rmask_allocator *)nullptr);
}
static void save_file(const Atlas &atlas, const PathLike &path)
{
    call_unlocked(rmask_atlas_save, atlas.get(), path_of(path).c_str());
}

/* A Python function on masks. What it raises goes through the library as RMASK_ERR_STOPPED and is raised again at the other
 * end. */
struct Mapping {
    nb::callable function;
    std::exception_ptr raised;
};

static rmask_status map_one(void *context, const rmask *mask, rmask **out, rmask_error *)
{
    Mapping *mapping = (Mapping *)context;
    *out = nullptr;
    try {
        nb::object made = mapping->function(Mask(rmask_retain(mask)));
        if (!nb::isinstance<Mask>(made)) {
            PyErr_Format(PyExc_TypeError, "the function must return a Mask, not %S", made.type().ptr());
            throw nb::python_error();
        }
        *out = rmask_retain(nb::cast<const Mask &>(made).get());
        return RMASK_OK;
    } catch (...) {
        mapping->raised = std::current_exception();
        return RMASK_ERR_STOPPED;
    }
}

static Atlas map(const Atlas &atlas, nb::typed<nb::callable, Mask(Mask)> function)
{
    Mapping mapping{function, nullptr};
    rmask_atlas *out = nullptr;
    rmask_error error{};
    const rmask_status status = rmask_atlas_map(atlas.get(), map_one, &mapping, &out, &error);
    if (mapping.raised) std::rethrow_exception(mapping.raised);
    check(status, error);
    return Atlas(out);
}

template <rmask_function function> static Atlas combine(const Atlas &a, const Atlas &b)
{
    return make_atlas(rmask_atlas_combine, a.get(), b.get(), function, (const rmask_progress *)nullptr);
}

static bool equal(const Atlas &a, const Atlas &b)
{
    bool equal;
    call_unlocked(rmask_atlas_equal, a.get(), b.get(), &equal);
    return equal;
}

static nb::typed<nb::dict, nb::str, double> stats(const Atlas &atlas, std::optional<int32_t> layer)
{
    rmask_atlas_stats s;
    call(rmask_atlas_get_stats, atlas.get(), layer.value_or(0), layer ? *layer + 1 : rmask_atlas_layers(atlas.get()), &s);
    nb::typed<nb::dict, nb::str, double> dict;
    dict["entries"] = s.num_entries;
    dict["dense"] = s.num_dense;
    dict["masks"] = s.num_masks;
    dict["nnz"] = s.num_cells;
    dict["density_min"] = s.density_min;
    dict["density_mean"] = s.density_mean;
    dict["density_max"] = s.density_max;
    dict["mask_bytes"] = s.mask_bytes;
    dict["unshared_bytes"] = s.unshared_bytes;
    return dict;
}

static std::vector<double> overlaps(const Atlas &atlas)
{
    std::vector<double> list((size_t)rmask_atlas_layers(atlas.get()));
    call_unlocked(rmask_atlas_overlaps, atlas.get(), list.data(), (const rmask_progress *)nullptr);
    return list;
}

/* Equal atlases have these in common. */
static Py_hash_t hash(const Atlas &atlas)
{
    const nb::tuple facts =
        nb::make_tuple(rmask_atlas_layers(atlas.get()), rmask_atlas_heads(atlas.get()), rmask_atlas_rows(atlas.get()),
                       rmask_atlas_cols(atlas.get()), rmask_atlas_num_masks(atlas.get()));
    return PyObject_Hash(facts.ptr());
}

void bind_atlas(nb::module_ &module)
{
    nb::class_<Atlas>(
        module, "Atlas",
        "The masks of a whole model: layers x heads -> mask, or None where a head is dense. Equal masks are stored once.")
        .def(
            "__init__",
            [](Atlas *self, const std::vector<std::vector<std::optional<const Mask *>>> &masks, std::optional<int64_t> rows,
               std::optional<int64_t> cols, const std::string &note) { new (self) Atlas(create(masks, rows, cols, note)); },
            "masks"_a, "rows"_a = nb::none(), "cols"_a = nb::none(), "note"_a = "",
            "masks: one list for each layer, of one Mask or None (dense) for each head. rows and cols are only needed where "
            "all are None.")
        .def_static("open", &open_file, "path"_a,
                    "Maps a file; header, tables and each mask's index are checked. See verify().")
        .def_static("load", &load_file, "path"_a, "Reads a file into memory and checks everything.")
        .def_static("frombytes", &from_data, "data"_a,
                    "The atlas of tobytes(), from anywhere: everything is checked. Raises FormatError.")
        .def("save", &save_file, "path"_a, "Writes a file, which appears whole or not at all.")
        .def("tobytes", &to_data, "The atlas's flat buffer: what a file holds.")
        .def(
            "verify", [](const Atlas &atlas) { call_unlocked(rmask_atlas_verify, atlas.get()); },
            "Checks everything about an opened atlas.")
        .def("__getstate__", &to_data)
        .def("__setstate__",
             [](Atlas &atlas, const nb::bytes &data) { new (&atlas) Atlas(from_data(nb::borrow<BytesLike>(data))); })
        .def_prop_ro("layers", [](const Atlas &atlas) { return rmask_atlas_layers(atlas.get()); })
        .def_prop_ro(
            "heads", [](const Atlas &atlas) { return rmask_atlas_heads(atlas.get()); }, "Heads in each layer.")
        .def_prop_ro(
            "rows", [](const Atlas &atlas) { return rmask_atlas_rows(atlas.get()); }, "Query blocks of every mask.")
        .def_prop_ro(
            "cols", [](const Atlas &atlas) { return rmask_atlas_cols(atlas.get()); }, "Key blocks of every mask.")
        .def_prop_ro("note", [](const Atlas &atlas) { return std::string(rmask_atlas_note(atlas.get())); })
        .def_prop_ro("masks", &distinct, "The distinct masks, in the order in which the entries first use them.")
        .def_prop_ro(
            "nbytes",
            [](const Atlas &atlas) {
                size_t num_bytes;
                rmask_atlas_data(atlas.get(), &num_bytes);
                return num_bytes;
            },
            "Bytes in memory and in a file.")
        /* Two for roarmask.cuda: where the rmask_atlas lies, and each entry's index into masks, layer by layer, -1 for a dense one. */
        .def_prop_ro("_address", [](const Atlas &atlas) { return (uintptr_t)atlas.get(); })
        .def_prop_ro("_table",
                     [](const Atlas &atlas) {
                         nb::typed<nb::list, int> table;
                         const size_t num = (size_t)rmask_atlas_layers(atlas.get()) * (size_t)rmask_atlas_heads(atlas.get());
                         for (size_t i = 0; i < num; i++) table.append((int32_t)rmask_atlas_table(atlas.get())[i]);
                         return table;
                     })
        .def("__getitem__", &get_item, "entry"_a, "atlas[layer, head]: the Mask, or None where the entry is dense.")
        .def("map", &map, "function"_a,
             "An atlas of function(mask) of every distinct mask; a dense entry counts as the full mask.")
        .def("__and__", &combine<RMASK_AND>, nb::is_operator())
        .def("__or__", &combine<RMASK_OR>, nb::is_operator())
        .def("__xor__", &combine<RMASK_XOR>, nb::is_operator())
        .def("__sub__", &combine<RMASK_AND_NOT>, nb::is_operator())
        .def("__eq__", &equal, nb::is_operator(), nb::sig("def __eq__(self, arg: object, /) -> bool"),
             "Whether both have the same entries.")
        .def(
            "__ne__", [](const Atlas &a, const Atlas &b) { return !equal(a, b); }, nb::is_operator(),
            nb::sig("def __ne__(self, arg: object, /) -> bool"))
        .def("__hash__", &hash)
        .def("stats", &stats, "layer"_a = nb::none(), "Counts, densities and bytes of one layer, or of all.")
        .def("overlaps", &overlaps, "For each layer the mean Jaccard overlap of its heads' pairs.")
        .def("__repr__", [](const Atlas &atlas) {
            return "<roarmask.Atlas " + std::to_string(rmask_atlas_layers(atlas.get())) + " layers x " +
                   std::to_string(rmask_atlas_heads(atlas.get())) + " heads, " +
                   std::to_string(rmask_atlas_num_masks(atlas.get())) + " masks of " +
                   std::to_string(rmask_atlas_rows(atlas.get())) + " x " + std::to_string(rmask_atlas_cols(atlas.get())) + ">";
        });
}
