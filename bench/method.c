/* SPDX-License-Identifier: Apache-2.0
 * The list of methods. */
#include "method.h"

const struct bench_method *const bench_methods[BENCH_NUM_METHODS] = {
    &bench_dense, &bench_bitset, &bench_coo, &bench_csr, &bench_croaring, &bench_croaring2d, &bench_roarmask,
};
