/* SPDX-License-Identifier: Apache-2.0
 * fuzz-smoke: many random corruptions of each golden file, from memory and mapped. With the checksums that they have they are
 * refused or hold the cells of the file; with right ones they are refused or make masks and atlases whose answers agree. Each
 * file is tried in a child, so that a crash or a hang shows which input it was: inputs follow from seed, file and number
 * alone. */
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

#include "atlas/atlas.h"
#include "core/check.h"
#include "support/content.h"
#include "support/corrupt.h"
#include "support/folder.h"
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
    [UNHARMED] = {"taken_unsealed", "unharmed", "taken with the checksums they came with: all hold what a golden file holds"},
    [TAKEN] = {"taken_sealed", "taken", "taken with right checksums: all answer consistently"},
    [DIFFERENT] = {"different_cells", "differ", "of these, those of other cells, entries or notes"},
    [BY_HEADER] = {"refused_by_header", "header", "refused for their header, all with the status of a bad format"},
    [BY_INDEX] = {"refused_by_index", "index", "refused for strips, boundaries, directory; for tables and note of an atlas"},
    [BY_CONTENTS] = {"refused_by_contents", "contents", "refused for containers, padding, counts; for equal masks in an atlas"},
    [MAPPED] = {"mapped", "mapped", "tried from a mapped file as well: verified there, it is what it is from memory"},
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
    golden_kind kind;
    uint8_t *bytes;
    size_t num_bytes;
    bool sealed; /* with right checksums */
} input;

static void seal_input(const input *in) { (in->kind == GOLDEN_ATLAS ? seal_atlas : seal)(in->bytes, in->num_bytes); }

static void let_nothing_go(rmask_keeper *keeper) { (void)keeper; }

/* A mask over the bytes whose header and index are sound, or NULL and the counter of what has refused. The bytes are
 * aligned. */
static rmask *view_mask(const input *in, rmask_keeper *keeper, int *stage)
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

/* The same for an atlas: what rmask_atlas_open looks at is sound. */
static rmask_atlas *view_atlas(const input *in, rmask_keeper *keeper, int *stage)
{
    rmask_atlas_header header;
    const rmask_allocator allocator = rmask_allocator_or_default(NULL);
    *stage = BY_HEADER;
    if (rmask_atlas_peek_header(in->bytes, in->num_bytes, &header, NULL) || header.num_bytes != in->num_bytes) return NULL;
    *stage = BY_INDEX;
    if (rmask_atlas_check_head(in->bytes, in->num_bytes, NULL)) return NULL;
    rmask_atlas *atlas = rmask_atlas_new(in->bytes, keeper, &allocator);
    expect(atlas && rmask_atlas_put_masks(atlas), "the test itself is out of memory");
    if (rmask_atlas_check_masks(atlas, NULL) == RMASK_OK) return atlas;
    rmask_atlas_release(atlas);
    return NULL;
}

/* What has refused the input, as far as header and index go: otherwise *stage is BY_CONTENTS, and the view is made. */
static content view(const input *in, rmask_keeper *keeper, int *stage)
{
    content c = {0};
    *keeper = (rmask_keeper){.let_go = let_nothing_go};
    atomic_init(&keeper->references, 1);
    if (in->kind == GOLDEN_ATLAS)
        c.atlas = view_atlas(in, keeper, stage);
    else
        c.mask = view_mask(in, keeper, stage);
    if (c.mask || c.atlas) *stage = BY_CONTENTS;
    return c;
}

static int stage_of_refusal(const input *in)
{
    rmask_keeper keeper;
    int stage;
    content_release(view(in, &keeper, &stage));
    return stage;
}

static void repair_mask(uint8_t *bytes)
{
    naive n = naive_read(bytes);
    const uint64_t count = twin_count(n.t);
    memcpy(bytes + offsetof(raw_header, count), &count, sizeof count);
    if (n.all_sound) memcpy(bytes + offsetof(raw_header, num_exceptions), &n.num_exceptions, sizeof n.num_exceptions);
    naive_free(&n);
}

/* Makes the counts right where header and index are, so that odd containers are looked at and not refused for their numbers. */
static void repair_counts(const input *in)
{
    enum { FEW_CELLS = 40000 };
    rmask_keeper keeper;
    int stage;
    seal_input(in);
    const content c = view(in, &keeper, &stage);
    const rmask *mask;
    for (uint32_t i = 0; (mask = content_mask(&c, i)) != NULL; i++) {
        size_t num_bytes;
        const uint8_t *bytes = rmask_data(mask, &num_bytes);
        if ((int64_t)rmask_rows(mask) * rmask_cols(mask) <= FEW_CELLS) repair_mask(in->bytes + (bytes - in->bytes));
    }
    content_release(c);
}

/* In memory of exactly this size, so that a sanitizer sees a read past the end. */
static input make_input(const golden *file, uint64_t number)
{
    rng random = rng_named(file->file);
    const size_t header_bytes = file->kind == GOLDEN_ATLAS ? SEAL_ATLAS_HEADER_BYTES : SEAL_HEADER_BYTES;
    random.state ^= options.seed * 0x9e3779b97f4a7c15u + number * 0xd1342543de82ef95u;
    uint8_t *space = must_allocate(header_bytes + CORRUPT_ROOM);
    input in = {.kind = file->kind, .num_bytes = file->num_bytes};
    memcpy(space, file->bytes, file->num_bytes);
    const golden *other = &files[rng_below(&random, (int64_t)num_files)];
    in.sealed = number % 2;
    if (in.sealed && in.num_bytes > header_bytes && rng_chance(&random, 0.6)) /* a header that still fits */
        (void)corrupt(space + header_bytes, in.num_bytes - header_bytes, other->bytes, other->num_bytes, &random);
    else
        in.num_bytes = corrupt(space, in.num_bytes, other->bytes, other->num_bytes, &random);
    in.bytes = must_allocate(in.num_bytes);
    memcpy(in.bytes, space, in.num_bytes);
    free(space);
    if (!in.sealed) return in;
    const uint64_t length = in.num_bytes;
    if (in.num_bytes >= header_bytes && rng_chance(&random, 0.7)) /* in the same place of both headers */
        memcpy(in.bytes + offsetof(raw_header, num_bytes), &length, sizeof length);
    if (rng_chance(&random, 0.5)) repair_counts(&in);
    seal_input(&in);
    return in;
}

/* Whether the bytes are a copy of a golden file: corruption may change nothing, or put a whole other file in its place. */
static bool is_some_file(const input *in)
{
    for (size_t i = 0; i < num_files; i++)
        if (files[i].kind == in->kind && files[i].num_bytes == in->num_bytes &&
            memcmp(files[i].bytes, in->bytes, in->num_bytes) == 0)
            return true;
    return false;
}

static void try_taken(const input *in, const content *taken, const content *original, tally *t)
{
    content_check(taken);
    const bool same = content_equal(taken, original);
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
    content opened;
    t->counts[MAPPED]++;
    write_file(in_folder("input"), in->bytes, in->num_bytes);
    test_error_reset();
    rmask_status status = content_open(in->kind, in_folder("input"), &opened);
    expect(unlink(in_folder("input")) == 0, "unlink: %s", strerror(errno));
    if (status == RMASK_OK) {
        const rmask *mask;
        t->counts[OPENED]++;
        for (uint32_t i = 0; (mask = content_mask(&opened, i)) != NULL; i++) try_rows(mask, t);
        status = content_verify(&opened);
        content_release(opened);
    }
    expect(status == wanted, "mapped and verified it is \"%s\", from memory \"%s\"", rmask_status_name(status),
           rmask_status_name(wanted));
}

static void try_input(const golden *file, const content *original, uint64_t number, tally *t)
{
    enum { MAPPED_EVERY = 13 };
    const input in = make_input(file, number);
    content taken;
    note("%s:%llu", file->file, (unsigned long long)number);
    test_error_reset();
    const rmask_status status = content_from_data(in.kind, in.bytes, in.num_bytes, &taken);
    t->counts[SEALED] += in.sealed;
    if (status == RMASK_OK) {
        try_taken(&in, &taken, original, t);
        content_release(taken);
    } else {
        expect_fails_at(__FILE__, __LINE__, "reading from memory", RMASK_ERR_FORMAT, status);
        expect(!taken.mask && !taken.atlas, "the output of a refusal is not NULL");
        expect(!is_some_file(&in), "a golden file is refused");
        t->counts[stage_of_refusal(&in)]++;
    }
    if (number / 2 % MAPPED_EVERY == 0) try_mapped(&in, status, t);
    free(in.bytes);
}

/* ---------------------------------------------------------------- all inputs, in children */

/* The inputs [begin, end) of a file. */
static void try_inputs(const golden *file, uint64_t begin, uint64_t end, tally *t)
{
    content original;
    expect_ok(content_from_data(file->kind, file->bytes, file->num_bytes, &original));
    expect(make_folder(NULL) == 0, "no folder: %s", strerror(errno));
    for (uint64_t i = begin; i < end; i++) {
        try_input(file, &original, i, t);
        t->counts[TRIED] = i + 1;
    }
    content_release(original);
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
    try_inputs(&files[file], 0, options.count, t);
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
        fprintf(stderr, "fuzz-smoke: %s: %s; repeat with --seed %llu --only %s:%llu\n", files[c->file].file, what,
                (unsigned long long)options.seed, files[c->file].file, (unsigned long long)t->counts[TRIED]);
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
    printf("%-26s", "file");
    for (int k = 0; k < NUM_COUNTERS; k++) printf(" %9s", counters[k].title);
    for (size_t i = 0; i <= num_files; i++) {
        printf("\n%-26s", i < num_files ? files[i].file : "all");
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
                i < num_files ? files[i].file : "all");
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
        const size_t length = strlen(files[i].file);
        if (length != (size_t)(colon - options.only) || memcmp(files[i].file, options.only, length) != 0) continue;
        const uint64_t number = strtoull(colon + 1, NULL, 10);
        const input in = make_input(&files[i], number);
        write_file(options.only, in.bytes, in.num_bytes);
        free(in.bytes);
        try_inputs(&files[i], number, number + 1, &t);
        printf("nothing wrong with %s\n", options.only);
        return EXIT_SUCCESS;
    }
    fprintf(stderr, "fuzz-smoke: --only takes FILE:NUMBER, with the name of a golden file\n");
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
                "usage: fuzz-smoke [--count N] [--seed N] [--jobs N] [--limit SECONDS] [--json FILE] [--only FILE:NUMBER]\n");
        return 2;
    }
    if (access("/dev/shm", W_OK) == 0) (void)setenv("TMPDIR", "/dev/shm", 0); /* many small files */
    files = golden_list(GOLDEN_ANY, &num_files);
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
