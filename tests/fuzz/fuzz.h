/* SPDX-License-Identifier: Apache-2.0
 * What every fuzz target shares. A target is one function of some bytes that aborts when the library answers wrongly; it is linked with
 * libFuzzer, which makes up the bytes, or with replay.c, which takes them from files. */
#ifndef ROARMASK_TESTS_FUZZ_H
#define ROARMASK_TESTS_FUZZ_H

#include "support/twin.h"

int LLVMFuzzerInitialize(int *num_arguments, char ***arguments);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t num_bytes);

/* Bytes from which a target takes its decisions, one after the other. Behind the last one there are zeros. */
typedef struct fuzz_input {
    const uint8_t *at, *end;
} fuzz_input;

static inline bool fuzz_is_over(const fuzz_input *in) { return in->at == in->end; }

uint8_t fuzz_byte(fuzz_input *in);

/* low <= result <= high, from as few bytes as can tell all of them apart. */
int64_t fuzz_between(fuzz_input *in, int64_t low, int64_t high);

/* Seeded with two bytes. */
rng fuzz_rng(fuzz_input *in);

/* Makes a file of these bytes that is not on any disk, and writes its path. Whoever has opened it may close it. */
enum { FUZZ_PATH_BYTES = 64 };
int fuzz_file(const void *bytes, size_t num_bytes, char path[FUZZ_PATH_BYTES]);
void fuzz_close(int file);

/* rmask_open of such a file. */
rmask_status fuzz_open(const void *bytes, size_t num_bytes, const rmask_allocator *allocator, rmask **out, rmask_error *error);

#endif
