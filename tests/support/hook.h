/* SPDX-License-Identifier: Apache-2.0
 * An allocator that counts, checks what it gets back, and fails on demand. */
#ifndef ROARMASK_TESTS_HOOK_H
#define ROARMASK_TESTS_HOOK_H

#include "support.h"

/* Blocks are filled with rubbish before they are handed out and when they come back. Zeroed is a hook that never fails. */
typedef struct hook {
    size_t num_blocks, num_bytes; /* handed out and not yet released */
    size_t most_bytes;            /* the largest num_bytes so far */
    size_t num_calls;             /* of allocate */
    size_t num_failed;            /* of these calls */
    size_t fail_at;               /* the number of the first call that fails, from 1; 0 for none */
    bool fail_on;                 /* every call after that fails as well */
    const char *complaint;        /* the first misuse: a wrong size, a block that is not the hook's, no bytes at all */
} hook;

/* For one thread. The hook must outlive every object made with it. */
rmask_allocator hook_allocator(hook *h);

/* Expects that nothing is handed out and nothing was misused. */
void check_hook_empty(const hook *h);

/* Something that allocates through `allocator` only. Whatever it makes it destroys, whether it succeeds or not, and it expects
 * outputs that failed to be as promised. It is called over and over, so it must start afresh each time. */
typedef rmask_status (*work_function)(const rmask_allocator *allocator, void *context);

/* Runs `work` with the first allocation failing, then the second, and so on until none fails; once with only that allocation
 * failing and once with all after it failing as well. Each run must end in RMASK_ERR_NOMEM or RMASK_OK, the last in RMASK_OK,
 * and nothing may leak. Returns the number of allocations. */
size_t check_out_of_memory(work_function work, void *context);

#endif
