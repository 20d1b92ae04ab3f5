/* SPDX-License-Identifier: Apache-2.0
 * Several ways to do one thing, timed in turns: what the suites use that are not about the methods of method.h. */
#ifndef ROARMASK_BENCH_RACE_H
#define ROARMASK_BENCH_RACE_H

/* One way. What `run` makes is handed to `let_go` outside of the time taken; `let_go` may be NULL. */
struct racer {
    const char *name;
    void *(*run)(void *context);
    void (*let_go)(void *made);
    void *context;
    double ns; /* the result: the median of one run */
};

enum { RACE_MAX_RACERS = 16 };

/* Gives every racer a turn in each round, another one first each time, until each has had `seconds` and five rounds, 201 rounds,
 * or two seconds. */
void race(const char *label, struct racer *racers, int num_racers, double seconds);

#endif
