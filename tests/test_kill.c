/* SPDX-License-Identifier: Apache-2.0
 * kill -9 at random moments of saving: whatever the moment, the path has one whole mask of the two that are saved over each
 * other. */
#define _DEFAULT_SOURCE
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "support/folder.h"
#include "support/support.h"

enum { NUM_SAVES = 1000 };

/* What the child tells before it dies. */
typedef struct progress {
    _Atomic uint64_t begun, done; /* saves */
} progress;

/* Saves the masks in turn until somebody ends it. */
static void save_for_ever(rmask *const masks[2], const char *path, progress *p)
{
    for (;;) {
        const uint64_t number = p->begun++;
        if (rmask_save(masks[number % 2], path, NULL) != RMASK_OK) _exit(EXIT_FAILURE);
        p->done++;
    }
}

/* How many temporary files are left; removes them. */
static int remove_leftovers(const char *name)
{
    int count = 0;
    DIR *entries = opendir(the_folder());
    expect(entries != NULL, "%s: %s", the_folder(), strerror(errno));
    for (struct dirent *entry; (entry = readdir(entries)) != NULL;) {
        if (entry->d_name[0] == '.' || strcmp(entry->d_name, name) == 0) continue;
        const char *ending = strrchr(entry->d_name, '.');
        expect(strncmp(entry->d_name, name, strlen(name)) == 0 && ending && strcmp(ending, ".tmp") == 0, "who has left %s?",
               entry->d_name);
        expect(unlink(in_folder(entry->d_name)) == 0, "unlink: %s", strerror(errno));
        count++;
    }
    closedir(entries);
    return count;
}

/* Which of the masks is there. */
static int found_at(const char *path, rmask *const masks[2])
{
    rmask *opened;
    bool equal = false;
    int which = 0;
    expect_ok(rmask_open(path, NULL, &opened, test_error));
    expect_ok(rmask_verify(opened, test_error));
    for (; which < 2 && !equal; which++) expect_ok(rmask_equal(opened, masks[which], &equal, test_error));
    expect(equal, "a mask that nobody has saved");
    rmask_release(opened);
    return which - 1;
}

/* How long a save takes here, in nanoseconds. */
static int64_t save_time(rmask *mask, const char *path)
{
    struct timespec begin, end;
    (void)clock_gettime(CLOCK_MONOTONIC, &begin);
    for (int i = 0; i < 3; i++) expect_ok(rmask_save(mask, path, test_error));
    (void)clock_gettime(CLOCK_MONOTONIC, &end);
    return ((end.tv_sec - begin.tv_sec) * INT64_C(1000000000) + end.tv_nsec - begin.tv_nsec) / 3;
}

static void killed_while_saving(void **state)
{
    (void)state;
    rng random = rng_here();
    rmask *masks[2];
    expect_ok(rmask_parse("random(0.05, seed=1)", 6000, 6000, NULL, &masks[0], test_error));
    expect_ok(rmask_parse("causal ^ random(0.06, seed=2)", 6000, 6000, NULL, &masks[1], test_error));
    progress *p = mmap(NULL, sizeof *p, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    expect(p != MAP_FAILED, "mmap: %s", strerror(errno));
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s", in_folder("mask.rmask"));
    size_t num_bytes;
    for (int i = 0; i < 2; i++) (void)rmask_data(masks[i], &num_bytes); /* sealed before the children come */
    const int64_t nanoseconds = save_time(masks[1], path);
    uint64_t num_saves = 0;
    int num_kills = 0, num_during = 0, num_new = 0, num_old = 0, num_left = 0, found[2] = {0}, before = 1;

    for (; num_saves < NUM_SAVES; num_kills++) {
        note("kill %d after %llu saves", num_kills, (unsigned long long)num_saves);
        p->begun = p->done = 0;
        const pid_t child = fork();
        if (child == 0) save_for_ever(masks, path, p);
        expect(child > 0, "fork: %s", strerror(errno));
        const int64_t wait = rng_below(&random, 4 * nanoseconds);
        (void)nanosleep(&(struct timespec){wait / 1000000000, wait % 1000000000}, NULL);
        expect(kill(child, SIGKILL) == 0 && waitpid(child, NULL, 0) == child, "kill: %s", strerror(errno));
        const uint64_t begun = p->begun, done = p->done;
        const int now = found_at(path, masks), last_done = done ? (int)((done - 1) % 2) : before;
        if (begun > done) {
            const int saving = (int)(done % 2); /* the one at which it was killed is there already, or not yet */
            expect(now == saving || now == last_done, "neither the old nor the new mask");
            num_during++;
            *(now == saving && saving != last_done ? &num_new : &num_old) += 1;
        } else {
            expect(now == last_done, "not the mask that was saved last");
        }
        const int left = remove_leftovers("mask.rmask");
        expect(left <= 1, "%d temporary files of one save", left);
        num_left += left;
        found[now]++;
        before = now;
        num_saves += begun;
    }
    printf("%d kills in %llu saves of %zu bytes, %d of them during a save (%lld us each): the old mask was there %d times, the "
           "new one %d\n"
           "times; found: %d and %d; %d temporary files were left\n",
           num_kills, (unsigned long long)num_saves, num_bytes, num_during, (long long)(nanoseconds / 1000), num_old, num_new,
           found[0], found[1], num_left);
    expect(num_during > num_kills / 2 && num_left > 0 && found[0] > 0 && found[1] > 0,
           "the kills do not land where they should");
    (void)munmap(p, sizeof *p);
    rmask_release(masks[0]), rmask_release(masks[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(killed_while_saving, make_folder, remove_folder)};
    return run_test_program(tests);
}
