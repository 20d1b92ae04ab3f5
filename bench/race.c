/* SPDX-License-Identifier: Apache-2.0 */
#include "race.h"

#include "clock.h"
#include "heap.h"
#include "run.h"

#include <stdbool.h>

enum { MIN_TURN_NS = 20000, MAX_REPEATS = 1000, MIN_ROUNDS = 5, MAX_SECONDS = 2 };

struct lane {
    double samples[RUN_MAX_ROUNDS], total_ns;
    int count, repeats;
};

static double take_turn(const struct racer *racer, int repeats)
{
    double taken = 0;
    for (int i = 0; i < repeats; i++) {
        double begin = bench_now_ns();
        void *made = racer->run(racer->context);
        taken += bench_since_ns(begin);
        if (racer->let_go) racer->let_go(made);
    }
    return taken / repeats;
}

static void run_lane(struct lane *lane, const struct racer *racer)
{
    if (lane->repeats == 0) { /* the first run warms up, and says how often to repeat */
        double ns = take_turn(racer, 1);
        lane->repeats = ns * MAX_REPEATS > MIN_TURN_NS ? 1 + (int)(MIN_TURN_NS / ns) : MAX_REPEATS;
    }
    double begin = bench_now_ns();
    lane->samples[lane->count++] = take_turn(racer, lane->repeats);
    lane->total_ns += bench_now_ns() - begin;
}

static bool wants_more(const struct lane *lane, double seconds)
{
    if (lane->count == 0) return true;
    if (lane->count == RUN_MAX_ROUNDS || lane->total_ns >= MAX_SECONDS * 1e9) return false;
    return lane->count < MIN_ROUNDS || lane->total_ns < seconds * 1e9;
}

void race(const char *label, struct racer *racers, int num_racers, double seconds)
{
    struct lane *lanes = bench_alloc_zeroed((size_t)num_racers, sizeof *lanes);
    bool again = true;
    for (int round = 0; again; round++) {
        again = false;
        for (int i = 0; i < num_racers; i++) {
            int at = (i + round) % num_racers;
            if (!wants_more(&lanes[at], seconds)) continue;
            bench_progress("%s: %s", label, racers[at].name);
            run_lane(&lanes[at], &racers[at]);
            again |= wants_more(&lanes[at], seconds);
        }
    }
    for (int i = 0; i < num_racers; i++) racers[i].ns = bench_median(lanes[i].samples, lanes[i].count);
    bench_free(lanes);
}
