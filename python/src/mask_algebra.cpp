/* SPDX-License-Identifier: Apache-2.0
 * The class Mask: sets of cells. */
#include "mask.h"

template <rmask_function function> static Mask combine(const Mask &a, const Mask &b)
{
    return make_mask_quickly(is_small(a) && is_small(b), rmask_combine, a.get(), b.get(), function);
}

static rmask_function function_of(int number)
{
    if (number < 0 || number > 15) complain("a boolean function is a number from 0 to 15: bit 2 * a + b of it is f(a, b)");
    return (rmask_function)number;
}

static Mask combine_by(const Mask &a, const Mask &b, int function)
{
    return make_mask_quickly(is_small(a) && is_small(b), rmask_combine, a.get(), b.get(), function_of(function));
}

static uint64_t combine_count(const Mask &a, const Mask &b, int function)
{
    uint64_t count;
    call_quickly(is_small(a) && is_small(b), rmask_combine_count, a.get(), b.get(), function_of(function), &count);
    return count;
}

static Mask invert(const Mask &mask) { return make_mask_quickly(is_small(mask), rmask_not, mask.get()); }

static bool equal(const Mask &a, const Mask &b)
{
    bool equal;
    call_quickly(is_small(a) && is_small(b), rmask_equal, a.get(), b.get(), &equal);
    return equal;
}

/* a is in b when nothing of a is outside of b. */
static bool is_subset(const Mask &a, const Mask &b) { return combine_count(a, b, RMASK_AND_NOT) == 0; }
static bool is_proper_subset(const Mask &a, const Mask &b)
{
    return is_subset(a, b) && rmask_count(a.get()) < rmask_count(b.get());
}

/* Of the cells alone, however the mask was made: equal masks have equal hashes. */
static Py_hash_t hash(Mask &mask)
{
    enum { SIDE = 8 };
    if (mask.hash) return *mask.hash;
    uint64_t counts[SIDE * SIDE];
    call_quickly(is_small(mask), rmask_raster, mask.get(), 0, mask.rows(), 0, mask.cols(), (int32_t)SIDE, (int32_t)SIDE,
                 (uint64_t *)counts);
    uint64_t mixed = (uint64_t)mask.rows() << 32 ^ (uint64_t)mask.cols();
    for (uint64_t count : counts) {
        mixed = (mixed ^ count) * UINT64_C(0x9e3779b97f4a7c15);
        mixed ^= mixed >> 29;
    }
    mask.hash = (Py_hash_t)mixed == -1 ? -2 : (Py_hash_t)mixed; /* -1 is an error to Python */
    return *mask.hash;
}

static double jaccard(const Mask &a, const Mask &b)
{
    double overlap;
    call_quickly(is_small(a) && is_small(b), rmask_jaccard, a.get(), b.get(), &overlap);
    return overlap;
}

void bind_mask_algebra(nb::class_<Mask> &mask)
{
    mask.def("__and__", &combine<RMASK_AND>, nb::is_operator(), "The cells of both. The grids must be equal, else ValueError.")
        .def("__or__", &combine<RMASK_OR>, nb::is_operator(), "The cells of either.")
        .def("__xor__", &combine<RMASK_XOR>, nb::is_operator(), "The cells of one and not of the other.")
        .def("__sub__", &combine<RMASK_AND_NOT>, nb::is_operator(), "The cells of self that are not in the other mask.")
        .def("__invert__", &invert, "The cells of the grid that are not in the mask.")
        .def("__eq__", &equal, nb::is_operator(), nb::sig("def __eq__(self, arg: object, /) -> bool"),
             "Whether both have the same grid and the same cells, however each was made.")
        .def(
            "__ne__", [](const Mask &a, const Mask &b) { return !equal(a, b); }, nb::is_operator(),
            nb::sig("def __ne__(self, arg: object, /) -> bool"))
        .def("__hash__", &hash)
        .def("__le__", &is_subset, nb::is_operator(), "Whether all cells of self are in the other mask, of the same grid.")
        .def("__lt__", &is_proper_subset, nb::is_operator(), "Whether all cells of self are in the other mask, which has more.")
        .def(
            "__ge__", [](const Mask &a, const Mask &b) { return is_subset(b, a); }, nb::is_operator(),
            "Whether self has all cells of the other mask.")
        .def(
            "__gt__", [](const Mask &a, const Mask &b) { return is_proper_subset(b, a); }, nb::is_operator(),
            "Whether self has all cells of the other mask, and more.")
        .def("combine", &combine_by, "other"_a, "function"_a,
             "One of the 16 boolean functions of two memberships: bit 2 * a + b of the number is f(a, b). 8 is and, 14 or, 6 "
             "xor.")
        .def("combine_count", &combine_count, "other"_a, "function"_a,
             "The number of cells of combine(other, function), without making it.")
        .def("jaccard", &jaccard, "other"_a, "Cells in both over cells in either, from 0 to 1; 1 when both are empty.");
}
