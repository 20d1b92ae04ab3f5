/* SPDX-License-Identifier: Apache-2.0
 * Time in nanoseconds, and the reproducible random numbers that pick rows. */
#ifndef ROARMASK_BENCH_CLOCK_H
#define ROARMASK_BENCH_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline double bench_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* SplitMix64. */
static inline uint64_t bench_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* From 0 to bound - 1. */
static inline int32_t bench_random_below(uint64_t *state, int32_t bound)
{
    return (int32_t)((bench_random(state) >> 32) * (uint64_t)bound >> 32);
}

#endif
