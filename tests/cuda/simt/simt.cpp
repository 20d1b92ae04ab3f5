/* SPDX-License-Identifier: Apache-2.0
 * A device made of this machine: see simt.h and cuda_runtime_api.h. One thread may use it. */
#undef _FORTIFY_SOURCE /* its longjmp takes another fiber's stack for a mistake */
#include "simt.h"

#include <csetjmp>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <numeric>
#include <random>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>
#include <utility>
#include <vector>

dim3 gridDim, blockIdx, threadIdx;

namespace {

constexpr unsigned LANES = 32, MAX_THREADS = 1024;
constexpr size_t STACK_BYTES = 64 << 10;

[[noreturn]] void fail(const char *why)
{
    fprintf(stderr, "simt: block %u, thread %u: %s\n", blockIdx.x, threadIdx.x, why);
    abort();
}

/* ---------------------------------------------------------------- the threads of a block */

enum class State { RUNS, SHUFFLES, AT_BARRIER, DONE };

struct Fiber {
    jmp_buf here;
    State state;
    unsigned num_shuffles;
    uint32_t offered[2]; /* by the parity of the shuffle: nobody is two ahead of one who has still to read */
};

std::vector<Fiber> fibers;
std::vector<char> stacks;
jmp_buf scheduler;
const std::function<void()> *running;
unsigned num_threads;
std::minstd_rand lot;

/* Back to the scheduler, until it lets this thread go on. */
void wait_as(State state)
{
    Fiber &self = fibers[threadIdx.x];
    self.state = state;
    if (!_setjmp(self.here)) _longjmp(scheduler, 1);
}

/* A fiber lives as long as the program: it is one thread after the other. */
void run_threads()
{
    for (;;) {
        wait_as(State::DONE);
        (*running)();
    }
}

void switch_to(unsigned thread)
{
    threadIdx.x = thread;
    if (!_setjmp(scheduler)) _longjmp(fibers[thread].here, 1);
}

/* Fibers begin by swapcontext. From then on they jump, which spares two system calls a switch. */
void make_fibers(unsigned num)
{
    stacks.resize(MAX_THREADS * STACK_BYTES);
    fibers.reserve(MAX_THREADS);
    while (fibers.size() < num) {
        ucontext_t begin, back;
        getcontext(&begin);
        threadIdx.x = static_cast<unsigned>(fibers.size());
        begin.uc_stack.ss_sp = &stacks[fibers.size() * STACK_BYTES];
        begin.uc_stack.ss_size = STACK_BYTES;
        makecontext(&begin, run_threads, 0);
        fibers.emplace_back();
        if (!_setjmp(scheduler)) swapcontext(&back, &begin);
    }
}

/* Lets go whoever waits with all of the `num` threads from `first` on. */
bool release(unsigned first, unsigned num, State state)
{
    for (unsigned i = first; i < first + num; i++)
        if (fibers[i].state != state) return false;
    for (unsigned i = first; i < first + num; i++) fibers[i].state = State::RUNS;
    return true;
}

void run_block()
{
    std::vector<unsigned> order(num_threads);
    std::iota(order.begin(), order.end(), 0u);
    std::shuffle(order.begin(), order.end(), lot);
    for (unsigned i = 0; i < num_threads; i++) fibers[i].state = State::RUNS;
    for (bool is_done = false; !is_done;) {
        const unsigned first = static_cast<unsigned>(lot());
        bool has_run = false;
        for (unsigned k = 0; k < num_threads; k++) {
            const unsigned i = order[(first + k) % num_threads];
            if (fibers[i].state != State::RUNS) continue;
            has_run = true;
            switch_to(i);
        }
        if (!has_run) fail("threads wait for others that do not come");
        for (unsigned i = 0; i < num_threads; i += LANES) release(i, std::min(LANES, num_threads - i), State::SHUFFLES);
        release(0, num_threads, State::AT_BARRIER);
        is_done = release(0, num_threads, State::DONE);
    }
}

/* ---------------------------------------------------------------- memory and the stream */

std::map<char *, size_t> memory; /* whole pages, the last of which nobody may ever touch */
std::vector<std::function<void()>> stream;

size_t page_bytes() { return static_cast<size_t>(sysconf(_SC_PAGESIZE)); }

void open_memory(bool is_open)
{
    for (const auto &[begin, num_bytes] : memory)
        if (mprotect(begin, num_bytes - page_bytes(), is_open ? PROT_READ | PROT_WRITE : PROT_NONE)) fail("mprotect");
}

void do_now(const std::function<void()> &work)
{
    open_memory(true);
    for (const auto &earlier : std::exchange(stream, {})) earlier();
    work();
    open_memory(false);
}

} // namespace

void __syncthreads() { wait_as(State::AT_BARRIER); }

uint32_t simt_shuffle(uint32_t lanes, uint32_t value, unsigned from)
{
    if (lanes != 0xffffffffu) fail("a shuffle of a part of a warp");
    const unsigned self = threadIdx.x, parity = fibers[self].num_shuffles++ % 2;
    fibers[self].offered[parity] = value;
    wait_as(State::SHUFFLES);
    return fibers[self / LANES * LANES + from].offered[parity];
}

void simt_later(std::function<void()> work) { stream.push_back(std::move(work)); }

cudaError_t simt_launch(dim3 grid, dim3 block, std::function<void()> thread)
{
    if (grid.x < 1 || grid.x > INT32_MAX || grid.y < 1 || grid.y > 65535 || grid.z != 1) return cudaErrorInvalidConfiguration;
    if (block.x < 1 || block.x > MAX_THREADS || block.y != 1 || block.z != 1) return cudaErrorInvalidConfiguration;
    simt_later([grid, block, thread = std::move(thread)] {
        gridDim = grid;
        num_threads = block.x;
        running = &thread;
        make_fibers(num_threads);
        std::vector<std::pair<unsigned, unsigned>> blocks;
        for (unsigned y = 0; y < grid.y; y++)
            for (unsigned x = 0; x < grid.x; x++) blocks.emplace_back(x, y);
        std::shuffle(blocks.begin(), blocks.end(), lot);
        for (const auto &[x, y] : blocks) {
            blockIdx = dim3(x, y);
            run_block();
        }
    });
    return cudaSuccess;
}

extern "C" {

cudaError_t cudaGetDeviceCount(int *count)
{
    *count = 1;
    return cudaSuccess;
}

cudaError_t cudaGetLastError(void) { return cudaSuccess; }
const char *cudaGetErrorString(cudaError_t error) { return error == cudaSuccess ? "no error" : "an error of the device made of this machine"; }

cudaError_t cudaMalloc(void **out, size_t num_bytes)
{
    const size_t page = page_bytes(), all = (num_bytes + page - 1) / page * page + page;
    void *begin = mmap(nullptr, all, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (begin == MAP_FAILED) return cudaErrorMemoryAllocation;
    memory[static_cast<char *>(begin)] = all;
    *out = begin;
    return cudaSuccess;
}

cudaError_t cudaFree(void *begin)
{
    if (!begin) return cudaSuccess;
    const auto found = memory.find(static_cast<char *>(begin));
    if (found == memory.end()) return cudaErrorInvalidValue;
    cudaDeviceSynchronize();
    munmap(begin, found->second);
    memory.erase(found);
    return cudaSuccess;
}

cudaError_t cudaMemset(void *at, int value, size_t num_bytes)
{
    do_now([=] { memset(at, value, num_bytes); });
    return cudaSuccess;
}

cudaError_t cudaMemcpy(void *to, const void *from, size_t num_bytes, enum cudaMemcpyKind)
{
    do_now([=] { memcpy(to, from, num_bytes); });
    return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t num_bytes, enum cudaMemcpyKind, cudaStream_t)
{
    simt_later([=] { memcpy(to, from, num_bytes); });
    return cudaSuccess;
}

cudaError_t cudaDeviceSynchronize(void)
{
    if (!stream.empty()) do_now([] {});
    return cudaSuccess;
}

} // extern "C"
