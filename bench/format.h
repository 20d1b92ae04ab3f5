/* SPDX-License-Identifier: Apache-2.0
 * Numbers as a person reads them. Each call returns its own text by value: printf("%s", format_bytes(n).text). */
#ifndef ROARMASK_BENCH_FORMAT_H
#define ROARMASK_BENCH_FORMAT_H

#include <stdint.h>

struct format {
    char text[32];
};

struct format format_bytes(double num_bytes); /* "977 KiB"; "-" for NAN */
struct format format_ns(double ns);           /* "14.9 ms"; "-" for NAN */
struct format format_count(uint64_t count);   /* "62,500" */
struct format format_factor(double factor);   /* "452x"; "-" for NAN */
struct format format_number(double value);     /* "14.9"; "-" for NAN */
struct format format_percent(double share);   /* 0.1543 is "15.4%" */

#endif
