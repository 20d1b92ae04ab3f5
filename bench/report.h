/* SPDX-License-Identifier: Apache-2.0
 * A result as tables on standard output, and as JSON. */
#ifndef ROARMASK_BENCH_REPORT_H
#define ROARMASK_BENCH_REPORT_H

#include "measure.h"

#include <jansson.h>

/* What ran: "roarmask 1.2.3, simd avx2, CRoaring 5.2.2, on NAME OF THE CPU". Static storage. */
const char *report_machine(void);

void report_tables(const struct bench_config *config, const struct bench_result *result);

/* The object of docs/benchmarking.md. */
json_t *report_json(const struct bench_config *config, const struct bench_result *result);

/* Adds "versions", "simd" and "cpu". */
void report_add_machine(json_t *object);

/* The number with a tenth of a nanosecond; null for NAN. */
json_t *report_ns(double ns);

#endif
