/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* An expectation that fails ends the process with a signal, which is what a fuzzer looks for. */
int LLVMFuzzerInitialize(int *num_arguments, char ***arguments)
{
    (void)num_arguments, (void)arguments;
    return setenv("CMOCKA_TEST_ABORT", "1", 1);
}

uint8_t fuzz_byte(fuzz_input *in) { return in->at < in->end ? *in->at++ : 0; }

int64_t fuzz_between(fuzz_input *in, int64_t low, int64_t high)
{
    const uint64_t span = (uint64_t)(high - low);
    uint64_t value = 0;
    for (int shift = 0; shift < 64 && span >> shift; shift += 8) value |= (uint64_t)fuzz_byte(in) << shift;
    return low + (int64_t)(span == UINT64_MAX ? value : value % (span + 1));
}

rng fuzz_rng(fuzz_input *in) { return (rng){(uint64_t)fuzz_between(in, 0, UINT16_MAX)}; }

int fuzz_file(const void *bytes, size_t num_bytes, char path[FUZZ_PATH_BYTES])
{
    const int file = memfd_create("fuzz", MFD_CLOEXEC);
    expect(file >= 0 && write(file, bytes, num_bytes) == (ssize_t)num_bytes, "no memory for a file");
    snprintf(path, FUZZ_PATH_BYTES, "/proc/self/fd/%d", file);
    return file;
}

void fuzz_close(int file) { close(file); }

rmask_status fuzz_open(const void *bytes, size_t num_bytes, const rmask_allocator *allocator, rmask **out, rmask_error *error)
{
    char path[FUZZ_PATH_BYTES];
    const int file = fuzz_file(bytes, num_bytes, path);
    const rmask_status status = rmask_open(path, allocator, out, error);
    fuzz_close(file);
    return status;
}
