/* SPDX-License-Identifier: Apache-2.0
 * The operations of the suite `algebra` on compressed sparse rows: what a user of index tensors would write, and the answers that
 * roarmask's are checked against. Results are new objects. */
#ifndef ROARMASK_BENCH_CSR_OPS_H
#define ROARMASK_BENCH_CSR_OPS_H

#include "method.h"

void csr_release(struct bench_csr *csr); /* the arrays and the struct */

struct bench_csr *csr_transpose(const struct bench_csr *csr);
struct bench_csr *csr_slice(const struct bench_csr *csr, int32_t row_begin, int32_t row_end, int32_t col_begin,
                            int32_t col_end);
struct bench_csr *csr_shift(const struct bench_csr *csr, int32_t row_shift, int32_t col_shift);

/* Tiles of `side` x `side` with a cell, or with nothing but cells. */
void csr_coarsen(const struct bench_csr *csr, int32_t side, struct bench_csr **any, struct bench_csr **all);

/* Bit 2 * a + b of `function`, which is false of none and none, says whether a cell is in. */
struct bench_csr *csr_combine(const struct bench_csr *a, const struct bench_csr *b, unsigned function);

#endif
