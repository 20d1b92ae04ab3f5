/* SPDX-License-Identifier: Apache-2.0
 * The allocator that counts, checks and fails. */
#include "hook.h"

#include <stdlib.h>
#include <string.h>

enum { STAMP = 0x600dca11 };

/* Stands before each block; its size keeps the block aligned for any type. */
typedef union block {
    struct {
        size_t num_bytes;
        uint32_t stamp;
    } about;
    max_align_t align;
} block;

static void *hook_allocate(void *context, size_t num_bytes)
{
    hook *h = context;
    h->num_calls++;
    if (num_bytes == 0 && !h->complaint) h->complaint = "allocate was called for 0 bytes";
    if (h->fail_at && (h->num_calls == h->fail_at || (h->fail_on && h->num_calls > h->fail_at))) {
        h->num_failed++;
        return NULL;
    }
    if (num_bytes > SIZE_MAX - sizeof(block)) return NULL;
    block *b = malloc(sizeof *b + num_bytes);
    if (!b) return NULL;
    memset(b, 0xa5, sizeof *b + num_bytes);
    b->about.num_bytes = num_bytes;
    b->about.stamp = STAMP;
    h->num_blocks++;
    h->num_bytes += num_bytes;
    if (h->num_bytes > h->most_bytes) h->most_bytes = h->num_bytes;
    return b + 1;
}

static void hook_release(void *context, void *memory, size_t num_bytes)
{
    hook *h = context;
    block *b = memory ? (block *)memory - 1 : NULL;
    if (!b || b->about.stamp != STAMP) {
        if (!h->complaint) h->complaint = "release was called with something that allocate never returned";
        return;
    }
    if (b->about.num_bytes != num_bytes && !h->complaint) h->complaint = "release was called with another size than allocate";
    h->num_blocks--;
    h->num_bytes -= b->about.num_bytes;
    memset(b, 0x5a, sizeof *b + b->about.num_bytes);
    free(b);
}

rmask_allocator hook_allocator(hook *h) { return (rmask_allocator){hook_allocate, hook_release, h}; }

void check_hook_empty(const hook *h)
{
    expect(h->complaint == NULL, "%s", h->complaint);
    expect(h->num_blocks == 0 && h->num_bytes == 0, "%zu blocks of %zu bytes have leaked", h->num_blocks, h->num_bytes);
}

size_t check_out_of_memory(work_function work, void *context)
{
    size_t num_allocations = 0;
    for (int fail_on = 0; fail_on < 2; fail_on++) {
        bool failed = true;
        for (size_t fail_at = 1; failed; fail_at++) {
            hook h = {.fail_at = fail_at, .fail_on = fail_on};
            rmask_allocator allocator = hook_allocator(&h);
            rmask_status status = work(&allocator, context);
            failed = h.num_failed > 0;
            expect(status == RMASK_OK || (failed && status == RMASK_ERR_NOMEM), "allocation %zu %s: status \"%s\"", fail_at,
                   failed ? "fails" : "does not fail", rmask_status_name(status));
            check_hook_empty(&h);
            num_allocations = h.num_calls;
        }
    }
    return num_allocations;
}
