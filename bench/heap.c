/* SPDX-License-Identifier: Apache-2.0
 * The counting allocator, and the memory that the system has left. */
#include "heap.h"

#include "cli.h"
#include "clock.h"

#include <malloc.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* New pages come slowly, on virtual machines above all: more than one core may wait for them. */
enum { WARMING_THREADS = 4, SLOW_BYTES = 1 << 29 };

static size_t live_bytes;

/* Each block of the heap costs a word in front of it. */
static size_t block_bytes(void *memory)
{
    return memory ? malloc_usable_size(memory) + sizeof(size_t) : 0;
}

static void *counted(void *memory, size_t num_bytes)
{
    if (!memory)
        cli_die(CLI_FAILED, "out of memory: %zu bytes more were refused; use fewer blocks or fewer --methods", num_bytes);
    live_bytes += block_bytes(memory);
    return memory;
}

void *bench_alloc(size_t num_bytes)
{
    return counted(malloc(num_bytes ? num_bytes : 1), num_bytes);
}

void *bench_alloc_zeroed(size_t count, size_t num_bytes)
{
    return counted(calloc(count ? count : 1, num_bytes ? num_bytes : 1), count * num_bytes);
}

void *bench_alloc_aligned(size_t alignment, size_t num_bytes)
{
    void *memory = NULL;
    return counted(posix_memalign(&memory, alignment, num_bytes) ? NULL : memory, num_bytes);
}

void *bench_realloc(void *memory, size_t num_bytes)
{
    live_bytes -= block_bytes(memory);
    return counted(realloc(memory, num_bytes ? num_bytes : 1), num_bytes);
}

void bench_free(void *memory)
{
    live_bytes -= block_bytes(memory);
    free(memory);
}

size_t bench_live_bytes(void)
{
    return live_bytes;
}

void bench_heap_keep(void)
{
    mallopt(M_MMAP_MAX, 0);
    mallopt(M_TRIM_THRESHOLD, -1);
}

struct stretch {
    volatile char *begin;
    size_t num_bytes;
};

static void *touch_pages(void *argument)
{
    const struct stretch *stretch = argument;
    for (size_t i = 0; i < stretch->num_bytes; i += 4096)
        stretch->begin[i] = 0;
    return NULL;
}

void bench_heap_warm(size_t num_bytes)
{
    pthread_t threads[WARMING_THREADS];
    struct stretch stretches[WARMING_THREADS];
    int num_started = 0;
    size_t kept = mallinfo2().fordblks;
    char *memory = bench_alloc(num_bytes);
    if (num_bytes > kept + SLOW_BYTES)
        bench_announce("touching %.1f GiB, so that new pages are not what is timed", (double)num_bytes / (1 << 30));
    for (int i = 0; i < WARMING_THREADS; i++) {
        size_t begin = num_bytes / WARMING_THREADS * (size_t)i;
        stretches[i] = (struct stretch){memory + begin, num_bytes / WARMING_THREADS};
    }
    while (num_started < WARMING_THREADS &&
           pthread_create(&threads[num_started], NULL, touch_pages, &stretches[num_started]) == 0)
        num_started++;
    for (int i = num_started; i < WARMING_THREADS; i++)
        touch_pages(&stretches[i]);
    while (num_started > 0)
        pthread_join(threads[--num_started], NULL);
    bench_free(memory);
}

size_t bench_available_bytes(void)
{
    unsigned long long kib = 0;
    char line[128];
    FILE *file = fopen("/proc/meminfo", "r");
    while (file && !kib && fgets(line, sizeof line, file))
        sscanf(line, "MemAvailable: %llu kB", &kib);
    if (file)
        fclose(file);
    size_t kept = mallinfo2().fordblks;
    return kept + (kib ? (size_t)kib * 1024 : (size_t)sysconf(_SC_AVPHYS_PAGES) * (size_t)sysconf(_SC_PAGESIZE));
}

/* When the last line of progress was printed. */
static double last_progress_ns;

static void print_progress(const char *format, va_list arguments)
{
    last_progress_ns = bench_now_ns();
    fputs("roarmask bench: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
}

void bench_announce(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    print_progress(format, arguments);
    va_end(arguments);
}

void bench_progress(const char *format, ...)
{
    if (last_progress_ns == 0)
        last_progress_ns = bench_now_ns();
    if (bench_now_ns() - last_progress_ns < 2e9)
        return;
    va_list arguments;
    va_start(arguments, format);
    print_progress(format, arguments);
    va_end(arguments);
}
