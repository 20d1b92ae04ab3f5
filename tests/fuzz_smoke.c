/* SPDX-License-Identifier: Apache-2.0
 * fuzz-smoke: many random corruptions of each golden file, from memory and mapped. With the checksums that they have they are
 * refused or hold the cells of the file; with right ones they are refused or make a mask whose answers agree. Each file is
 * tried in a child, so that a crash or a hang shows which input it was: inputs follow from seed, file and number alone. */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/check.h"
#include "support/corrupt.h"
#include "support/folder.h"
#include "support/golden.h"
#include "support/naive.h"
#include "support/raw.h"
#include "support/seal.h"
#include "support/twin.h"

/* What has come of the inputs of one file. */
enum {
    TRIED,
    SEALED,
    UNHARMED,
    TAKEN,
    DIFFERENT,
    BY_HEADER,
    BY_INDEX,
    BY_CONTENTS,
    MAPPED,
    OPENED,
    ROWS,
    BAD_ROWS,
    NUM_COUNTERS
};

static const struct {
    const char *key, *title, *about;
} counters[NUM_COUNTERS] = {
    [TRIED] = {"inputs", "inputs", "corruptions tried"},
    [SEALED] = {"sealed", "sealed", "of them with right checksums, so that they get past those"},
    [UNHARMED] = {"taken_unsealed", "unharmed", "taken with the checksums they came with: all have the cells of a golden file"},
    [TAKEN] = {"taken_sealed", "taken", "taken with right checksums: all answer consistently"},
    [DIFFERENT] = {"different_cells", "differ", "of these, masks of other cells"},
    [BY_HEADER] = {"refused_by_header", "header", "refused for their header, all with the status of a bad format"},
    [BY_INDEX] = {"refused_by_index", "index", "refused for strips, boundaries or directory"},
    [BY_CONTENTS] = {"refused_by_contents", "contents", "refused for containers, padding or counts"},
    [MAPPED] = {"mapped", "mapped", "tried from a mapped file as well: rmask_verify says what rmask_from_data says"},
    [OPENED] = {"opened", "opened", "of these, opened before verification"},
    [ROWS] = {"rows_read", "rows", "rows of opened masks that were read before verification"},
    [BAD_ROWS] = {"rows_refused", "bad rows", "rows of opened masks that were refused"},
};

typedef struct tally {
    volatile uint64_t counts[NUM_COUNTERS]; /* shared with the child that tries them */
} tally;

static struct {
    uint64_t count, seed;
    int jobs, seconds; /* children at a time; the most for one input */
    const char *json, *only;
} options = {.count = 100000, .seed = 1, .jobs = 1, .seconds = 10};

static golden *files;
static size_t num_files;

/* ---------------------------------------------------------------- one input */

typedef struct input {
    uint8_t *bytes;
    size_t num_bytes;
    bool sealed; /* with right checksums */
} input;

static void let_nothing_go(rmask_keeper *keeper) { (void)keeper; }

/* A mask over the bytes whose header and index are sound, or NULL and the counter of what has refused. The bytes are
 * aligned. */
static rmask *view(const input *in, rmask_keeper *keeper, int *stage)
{
    rmask_header header;
    const rmask_allocator allocator = rmask_allocator_or_default(NULL);
    *stage = BY_HEADER;
    if (rmask_check_header(in->bytes, in->num_bytes, &header, NULL)) return NULL;
    *stage = BY_INDEX;
    rmask *mask = rmask_new_view(in->bytes, keeper, &allocator);
    expect(mask != NULL, "the test itself is out of memory");
    if (rmask_check_index(mask, NULL) == RMASK_OK) return mask;
    rmask_release(mask);
    return NULL;
}

static int stage_of_refusal(const input *in)
{
    rmask_keeper keeper = {.let_go = let_nothing_go};
    int stage;
    atomic_init(&keeper.references, 1);
    rmask *mask = view(in, &keeper, &stage);
    if (mask) stage = BY_CONTENTS;
    rmask_release(mask);
    return stage;
}

/* Makes the counts right where header and index are, so that odd containers are looked at and not refused for their numbers. */
static void repair_counts(input *in)
{
    enum { FEW_CELLS = 40000 };
    rmask_keeper keeper = {.let_go = let_nothing_go};
    int stage;
    atomic_init(&keeper.references, 1);
    seal(in->bytes, in->num_bytes);
    rmask *mask = view(in, &keeper, &stage);
    if (mask && (int64_t)rmask_rows(mask) * rmask_cols(mask) <= FEW_CELLS) {
        naive n = naive_read(in->bytes);
        const uint64_t count = twin_count(n.t);
        memcpy(in->bytes + offsetof(raw_header, count), &count, sizeof count);
        if (n.all_sound) memcpy(in->bytes + offsetof(raw_header, num_exceptions), &n.num_exceptions, sizeof n.num_exceptions);
        naive_free(&n);
    }
    rmask_release(mask);
}

/* In memory of exactly this size, so that a sanitizer sees a read past the end. */
static input make_input(const golden *file, uint64_t number)
{
    rng random = rng_named(file->name);
    random.state ^= options.seed * 0x9e3779b97f4a7c15u + number * 0xd1342543de82ef95u;
    uint8_t *space = must_allocate(SEAL_HEADER_BYTES + CORRUPT_ROOM);
    input in = {.num_bytes = file->num_bytes};
    memcpy(space, file->bytes, file->num_bytes);
    const golden *other = &files[rng_below(&random, (int64_t)num_files)];
    in.sealed = number % 2;
    if (in.sealed && in.num_bytes > SEAL_HEADER_BYTES && rng_chance(&random, 0.6)) /* a header that still fits */
        (void)corrupt(space + SEAL_HEADER_BYTES, in.num_bytes - SEAL_HEADER_BYTES, other->bytes, other->num_bytes, &random);
    else
        in.num_bytes = corrupt(space, in.num_bytes, other->bytes, other->num_bytes, &random);
    in.bytes = must_allocate(in.num_bytes);
    memcpy(in.bytes, space, in.num_bytes);
    free(space);
    if (!in.sealed) return in;
    const uint64_t length = in.num_bytes;
    if (in.num_bytes >= SEAL_HEADER_BYTES && rng_chance(&random, 0.7))
        memcpy(in.bytes + offsetof(raw_header, num_bytes), &length, sizeof length);
    if (rng_chance(&random, 0.5)) repair_counts(&in);
    seal(in.bytes, in.num_bytes);
    return in;
}

/* The mask of the file that the bytes are a copy of: corruption may change nothing, or put a whole other file in its place. */
static bool is_some_file(const input *in)
{
    for (size_t i = 0; i < num_files; i++)
        if (files[i].num_bytes == in->num_bytes && memcmp(files[i].bytes, in->bytes, in->num_bytes) == 0) return true;
    return false;
}

static void try_taken(const input *in, const rmask *mask, const rmask *original, tally *t)
{
    bool same = false;
    check_consistent(mask);
    expect_ok(rmask_equal(mask, original, &same, test_error));
    t->counts[in->sealed ? TAKEN : UNHARMED]++;
    t->counts[DIFFERENT] += in->sealed && !same;
    expect(in->sealed || same || is_some_file(in), "other cells, and nobody has noticed");
}

/* Reads a mapped mask that nobody has verified. */
static void try_rows(const rmask *mask, tally *t)
{
    enum { MOST_ROWS = 60 };
    const int32_t rows = rmask_rows(mask), step = rows / MOST_ROWS + 1;
    for (int64_t row = 0; row < rows; row += step) {
        size_t count, num_ranges;
        const rmask_status status = rmask_row_count(mask, (int32_t)row, &count, NULL);
        expect(status == RMASK_OK || status == RMASK_ERR_FORMAT, "status \"%s\" of row %d", rmask_status_name(status),
               (int)row);
        expect(rmask_row_ranges(mask, (int32_t)row, NULL, 0, &num_ranges, NULL) == status, "row %d has two statuses", (int)row);
        t->counts[status ? BAD_ROWS : ROWS]++;
        if (status) expect(!rmask_contains(mask, (int32_t)row, 0), "a cell in a damaged row");
    }
    rmask *out;
    rmask_stats stats;
    rmask_get_stats(mask, &stats);
    (void)rmask_not(mask, &out, NULL);
    rmask_release(out);
}

static void try_mapped(const input *in, rmask_status wanted, tally *t)
{
    rmask *mask;
    t->counts[MAPPED]++;
    write_file(in_folder("input"), in->bytes, in->num_bytes);
    test_error_reset();
    rmask_status status = rmask_open(in_folder("input"), NULL, &mask, test_error);
    expect(unlink(in_folder("input")) == 0, "unlink: %s", strerror(errno));
    if (status == RMASK_OK) {
        t->counts[OPENED]++;
        try_rows(mask, t);
        status = rmask_verify(mask, test_error);
        rmask_release(mask);
    }
    expect(status == wanted, "mapped and verified it is \"%s\", from memory \"%s\"", rmask_status_name(status),
           rmask_status_name(wanted));
}

static void try_input(const golden *file, const rmask *original, uint64_t number, tally *t)
{
    enum { MAPPED_EVERY = 13 };
    const input in = make_input(file, number);
    rmask *mask = (void *)&test_poison;
    note("%s:%llu", file->name, (unsigned long long)number);
    test_error_reset();
    const rmask_status status = rmask_from_data(in.bytes, in.num_bytes, NULL, &mask, test_error);
    t->counts[SEALED] += in.sealed;
    if (status == RMASK_OK) {
        try_taken(&in, mask, original, t);
        rmask_release(mask);
    } else {
        expect_fails_at(__FILE__, __LINE__, "rmask_from_data", RMASK_ERR_FORMAT, status);
        expect(mask == NULL, "the output of a refusal is not NULL");
        expect(!is_some_file(&in), "a golden file is refused");
        t->counts[stage_of_refusal(&in)]++;
    }
    if (number / 2 % MAPPED_EVERY == 0) try_mapped(&in, status, t);
    free(in.bytes);
}

/* ---------------------------------------------------------------- all inputs, in children */

static void try_file(const golden *file, tally *t)
{
    rmask *original;
    expect_ok(rmask_from_data(file->bytes, file->num_bytes, NULL, &original, test_error));
    expect(make_folder(NULL) == 0, "no folder: %s", strerror(errno));
    for (uint64_t i = 0; i < options.count; i++) {
        try_input(file, original, i, t);
        t->counts[TRIED] = i + 1;
    }
    rmask_release(original);
    (void)remove_folder(NULL);
}

typedef struct child {
    pid_t pid; /* 0: none */
    size_t file;
    uint64_t num_tried; /* when it was looked at last */
    time_t since;
} child;

static bool start(child *c, size_t file, tally *t)
{
    fflush(stdout);
    *c = (child){fork(), file, 0, time(NULL)};
    if (c->pid < 0) perror("fork");
    if (c->pid != 0) return c->pid > 0;
    try_file(&files[file], t);
    exit(EXIT_SUCCESS);
}

/* False when the child has ended badly or hangs. Clears `pid` when it has ended. */
static bool look_after(child *c, const tally *t)
{
    int ended = 0;
    const char *what = NULL;
    if (waitpid(c->pid, &ended, WNOHANG) == c->pid) {
        if (!WIFEXITED(ended) || WEXITSTATUS(ended) != 0) what = WIFSIGNALED(ended) ? strsignal(WTERMSIG(ended)) : "failed";
        c->pid = 0;
    } else if (t->counts[TRIED] != c->num_tried) {
        c->num_tried = t->counts[TRIED];
        c->since = time(NULL);
    } else if (time(NULL) - c->since > options.seconds) {
        (void)kill(c->pid, SIGKILL);
        (void)waitpid(c->pid, NULL, 0);
        c->pid = 0;
        what = "hangs";
    }
    if (what)
        fprintf(stderr, "fuzz-smoke: %s: %s; repeat with --seed %llu --only %s:%llu\n", files[c->file].name, what,
                (unsigned long long)options.seed, files[c->file].name, (unsigned long long)t->counts[TRIED]);
    return what == NULL;
}

static bool try_all(tally *tallies)
{
    enum { MAX_JOBS = 64 };
    child children[MAX_JOBS] = {{0}};
    const int jobs = options.jobs < MAX_JOBS ? options.jobs : MAX_JOBS;
    size_t next = 0, num_running = 0;
    bool good = true;
    while (next < num_files || num_running > 0) {
        for (int i = 0; i < jobs; i++) {
            child *c = &children[i];
            if (c->pid) {
                good &= look_after(c, &tallies[c->file]);
                num_running -= c->pid == 0;
            } else if (next < num_files) {
                if (!start(c, next, &tallies[next])) return false;
                next++, num_running++;
            }
        }
        (void)nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    }
    return good;
}

/* ---------------------------------------------------------------- the report */

static void sum_up(const tally *tallies, tally *sum)
{
    *sum = (tally){{0}};
    for (size_t i = 0; i < num_files; i++)
        for (int k = 0; k < NUM_COUNTERS; k++) sum->counts[k] += tallies[i].counts[k];
}

static void print_table(const tally *tallies, const tally *sum)
{
    printf("%-20s", "file");
    for (int k = 0; k < NUM_COUNTERS; k++) printf(" %9s", counters[k].title);
    for (size_t i = 0; i <= num_files; i++) {
        printf("\n%-20s", i < num_files ? files[i].name : "all");
        for (int k = 0; k < NUM_COUNTERS; k++)
            printf(" %9llu", (unsigned long long)(i < num_files ? &tallies[i] : sum)->counts[k]);
    }
    printf("\n\n");
    for (int k = 0; k < NUM_COUNTERS; k++) printf("%9s  %s\n", counters[k].title, counters[k].about);
}

static bool write_json(const tally *tallies, const tally *sum)
{
    FILE *file = fopen(options.json, "w");
    if (!file) return false;
    fprintf(file, "{\n  \"seed\": %llu,\n  \"files\": [\n", (unsigned long long)options.seed);
    for (size_t i = 0; i <= num_files; i++) {
        fprintf(file, i < num_files ? "    {\"name\": \"%s\"" : "  \"all\": {\"name\": \"%s\"",
                i < num_files ? files[i].name : "all");
        for (int k = 0; k < NUM_COUNTERS; k++)
            fprintf(file, ", \"%s\": %llu", counters[k].key,
                    (unsigned long long)(i < num_files ? &tallies[i] : sum)->counts[k]);
        fprintf(file, i + 1 < num_files ? "},\n" : i < num_files ? "}\n  ],\n" : "}\n}\n");
    }
    return fclose(file) == 0;
}

/* Tries one input in this process, and leaves it in a file of its name. */
static int try_one(void)
{
    tally t = {{0}};
    const char *colon = strchr(options.only, ':');
    for (size_t i = 0; colon && i < num_files; i++) {
        if (strlen(files[i].name) != (size_t)(colon - options.only) ||
            strncmp(files[i].name, options.only, strlen(files[i].name)) != 0)
            continue;
        const uint64_t number = strtoull(colon + 1, NULL, 10);
        const input in = make_input(&files[i], number);
        write_file(options.only, in.bytes, in.num_bytes);
        free(in.bytes);
        rmask *original;
        expect_ok(rmask_from_data(files[i].bytes, files[i].num_bytes, NULL, &original, test_error));
        expect(make_folder(NULL) == 0, "no folder: %s", strerror(errno));
        try_input(&files[i], original, number, &t);
        rmask_release(original);
        (void)remove_folder(NULL);
        printf("nothing wrong with %s\n", options.only);
        return EXIT_SUCCESS;
    }
    fprintf(stderr, "fuzz-smoke: --only takes NAME:NUMBER, with the name of a golden file\n");
    return 2;
}

static bool parse_options(int argc, char **argv)
{
    static const struct option known[] = {{"count", required_argument, NULL, 'c'}, {"seed", required_argument, NULL, 's'},
                                          {"jobs", required_argument, NULL, 'j'},  {"json", required_argument, NULL, 'f'},
                                          {"limit", required_argument, NULL, 'l'}, {"only", required_argument, NULL, 'o'},
                                          {0}};
    const long num_cores = sysconf(_SC_NPROCESSORS_ONLN);
    if (num_cores > 1) options.jobs = (int)num_cores;
    for (int key; (key = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        switch (key) {
        case 'c': options.count = strtoull(optarg, NULL, 10); break;
        case 's': options.seed = strtoull(optarg, NULL, 10); break;
        case 'j': options.jobs = atoi(optarg); break;
        case 'l': options.seconds = atoi(optarg); break;
        case 'f': options.json = optarg; break;
        case 'o': options.only = optarg; break;
        default: return false;
        }
    }
    return optind == argc && options.jobs > 0;
}

int main(int argc, char **argv)
{
    if (!parse_options(argc, argv)) {
        fprintf(stderr,
                "usage: fuzz-smoke [--count N] [--seed N] [--jobs N] [--limit SECONDS] [--json FILE] [--only NAME:NUMBER]\n");
        return 2;
    }
    if (access("/dev/shm", W_OK) == 0) (void)setenv("TMPDIR", "/dev/shm", 0); /* many small files */
    files = golden_list(&num_files);
    if (options.only) return try_one();
    tally sum, *tallies = mmap(NULL, num_files * sizeof *tallies, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (tallies == MAP_FAILED) {
        perror("mmap");
        return EXIT_FAILURE;
    }
    const bool good = try_all(tallies);
    sum_up(tallies, &sum);
    print_table(tallies, &sum);
    if (options.json && !write_json(tallies, &sum)) {
        perror(options.json);
        return EXIT_FAILURE;
    }
    golden_free(files, num_files);
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
