/* SPDX-License-Identifier: Apache-2.0
 * The suite `files`: how long until a mask on the disk can be asked for rows, and until it is known to be whole. Everything is in the
 * page cache; CRoaring has the same cells as one bitmap of row << 16 | col in its frozen (mapped) and portable forms. */
#define _XOPEN_SOURCE 700
#include "clock.h"
#include "croaring.h"
#include "format.h"
#include "heap.h"
#include "preset.h"
#include "race.h"
#include "report.h"
#include "suites.h"

#include "cli.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const preset_names[] = {"seed", "1m-structured", "1m", "1m-causal-random", "1m-vertical-slash"};
enum { NUM_PRESETS = sizeof preset_names / sizeof *preset_names, SOME_ROW = 777, MAX_ROW = 65536 + BENCH_SLACK };

/* ---------------------------------------------------------------- files */

enum file_kind { FILE_ROARMASK, FILE_FROZEN, FILE_PORTABLE, NUM_FILES };
static char folder[PATH_MAX], paths[NUM_FILES][PATH_MAX + 16];

static void remove_files(void)
{
    for (int i = 0; i < NUM_FILES; i++) unlink(paths[i]);
    rmdir(folder);
}

static void make_folder(void)
{
    const char *parent = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/roarmask-bench-XXXXXX", parent && *parent ? parent : "/tmp");
    if (!mkdtemp(folder)) cli_die(CLI_FAILED, "cannot make a temporary folder %s: %s", folder, strerror(errno));
    for (int i = 0; i < NUM_FILES; i++) snprintf(paths[i], sizeof paths[i], "%s/%d", folder, i);
    atexit(remove_files);
}

struct mapped {
    const uint8_t *data;
    size_t num_bytes;
};

static struct mapped map_file(enum file_kind kind)
{
    int file = open(paths[kind], O_RDONLY | O_CLOEXEC);
    struct stat facts;
    if (file < 0 || fstat(file, &facts) != 0) cli_die(CLI_FAILED, "cannot open %s: %s", paths[kind], strerror(errno));
    void *data = mmap(NULL, (size_t)facts.st_size, PROT_READ, MAP_PRIVATE, file, 0);
    if (data == MAP_FAILED) cli_die(CLI_FAILED, "cannot map %s: %s", paths[kind], strerror(errno));
    close(file);
    return (struct mapped){data, (size_t)facts.st_size};
}

static void unmap(struct mapped mapped) { munmap((void *)(uintptr_t)mapped.data, mapped.num_bytes); }

/* ---------------------------------------------------------------- the ways */

struct subject {
    const rmask *mask, *opened;
    int32_t out[MAX_ROW];
    volatile uint64_t sink; /* so that sums are not optimised away */
};

static void die_unless(rmask_status status, const rmask_error *error) { cli_check(status, error, "files: "); }

/* The least that can be done with a file: every word once. */
static void *run_touch(void *context)
{
    struct subject *subject = context;
    struct mapped mapped = map_file(FILE_ROARMASK);
    uint64_t sum = 0;
    for (size_t i = 0; i < mapped.num_bytes / 8; i++) sum += ((const uint64_t *)(const void *)mapped.data)[i];
    subject->sink = sum;
    unmap(mapped);
    return NULL;
}

static rmask *open_mask(void)
{
    rmask *mask;
    rmask_error error;
    die_unless(rmask_open(paths[FILE_ROARMASK], NULL, &mask, &error), &error);
    return mask;
}

static void *run_open(void *context)
{
    (void)context;
    rmask_release(open_mask());
    return NULL;
}

static void *run_open_row(void *context)
{
    struct subject *subject = context;
    rmask *mask = open_mask();
    rmask_error error;
    size_t count;
    die_unless(rmask_row(mask, SOME_ROW, subject->out, MAX_ROW, &count, &error), &error);
    rmask_release(mask);
    return NULL;
}

static void *run_load(void *context)
{
    (void)context;
    rmask *mask;
    rmask_error error;
    die_unless(rmask_load(paths[FILE_ROARMASK], NULL, &mask, &error), &error);
    return mask;
}

static void *run_verify(void *context)
{
    const struct subject *subject = context;
    rmask_error error;
    die_unless(rmask_verify(subject->opened, &error), &error);
    return NULL;
}

static void let_go_of_mask(void *made) { rmask_release(made); }

#ifdef ROARMASK_HAVE_CROARING

static size_t bitmap_row(const roaring_bitmap_t *bitmap, int32_t row, int32_t *out)
{
    uint32_t first = (uint32_t)row << 16;
    size_t count = (size_t)roaring_bitmap_range_cardinality_closed(bitmap, first, first | 0xffff);
    roaring_uint32_iterator_t iterator;
    roaring_iterator_init(bitmap, &iterator);
    if (count && roaring_uint32_iterator_move_equalorlarger(&iterator, first))
        roaring_uint32_iterator_read(&iterator, (uint32_t *)out, (uint32_t)count);
    for (size_t i = 0; i < count; i++) out[i] &= 0xffff;
    return count;
}

static const roaring_bitmap_t *view_frozen(struct mapped mapped)
{
    const roaring_bitmap_t *view = roaring_bitmap_frozen_view((const char *)mapped.data, mapped.num_bytes);
    if (!view) cli_die(CLI_FAILED, "files: CRoaring cannot view its own file");
    return view;
}

static void *run_frozen(void *context)
{
    (void)context;
    struct mapped mapped = map_file(FILE_FROZEN);
    roaring_bitmap_free(view_frozen(mapped));
    unmap(mapped);
    return NULL;
}

static void *run_frozen_row(void *context)
{
    struct subject *subject = context;
    struct mapped mapped = map_file(FILE_FROZEN);
    const roaring_bitmap_t *view = view_frozen(mapped);
    bitmap_row(view, SOME_ROW, subject->out);
    roaring_bitmap_free(view);
    unmap(mapped);
    return NULL;
}

static void *run_portable(void *context)
{
    (void)context;
    struct mapped mapped = map_file(FILE_PORTABLE);
    roaring_bitmap_t *bitmap = roaring_bitmap_portable_deserialize_safe((const char *)mapped.data, mapped.num_bytes);
    unmap(mapped);
    if (!bitmap) cli_die(CLI_FAILED, "files: CRoaring cannot read its own file");
    return bitmap;
}

static void *run_portable_checked(void *context)
{
    roaring_bitmap_t *bitmap = run_portable(context);
    const char *reason = NULL;
    if (!roaring_bitmap_internal_validate(bitmap, &reason))
        cli_die(CLI_FAILED, "files: CRoaring refuses its own file: %s", reason);
    return bitmap;
}

static void let_go_of_bitmap(void *made) { roaring_bitmap_free(made); }

static void write_file(enum file_kind kind, const void *data, size_t num_bytes)
{
    FILE *file = fopen(paths[kind], "wb");
    if (!file || fwrite(data, 1, num_bytes, file) != num_bytes || fclose(file) != 0)
        cli_die(CLI_FAILED, "cannot write %s: %s", paths[kind], strerror(errno));
}

static int add_row(void *context, int32_t row, const int32_t *cols, size_t num_cols)
{
    static uint32_t scratch[65536];
    bench_croaring_add(context, (uint32_t)row << 16, cols, num_cols, scratch);
    return 0;
}

/* Writes both files and sees that they hold the mask's cells. Returns whether the grid fits. */
static bool write_bitmaps(const rmask *mask)
{
    if (rmask_rows(mask) > 65536 || rmask_cols(mask) > 65536) return false;
    bench_croaring_hook();
    roaring_bitmap_t *bitmap = roaring_bitmap_create();
    rmask_error error;
    die_unless(rmask_for_each_row(mask, 0, rmask_rows(mask), add_row, bitmap, &error), &error);
    roaring_bitmap_run_optimize(bitmap);
    size_t frozen_bytes = roaring_bitmap_frozen_size_in_bytes(bitmap),
           portable_bytes = roaring_bitmap_portable_size_in_bytes(bitmap);
    char *bytes = bench_alloc(frozen_bytes > portable_bytes ? frozen_bytes : portable_bytes);
    roaring_bitmap_frozen_serialize(bitmap, bytes);
    write_file(FILE_FROZEN, bytes, frozen_bytes);
    roaring_bitmap_portable_serialize(bitmap, bytes);
    write_file(FILE_PORTABLE, bytes, portable_bytes);
    bench_free(bytes);
    struct mapped mapped = map_file(FILE_FROZEN);
    const roaring_bitmap_t *view = view_frozen(mapped);
    roaring_bitmap_t *read = run_portable_checked(NULL);
    if (roaring_bitmap_get_cardinality(bitmap) != rmask_count(mask) || !roaring_bitmap_equals(view, bitmap) ||
        !roaring_bitmap_equals(read, bitmap))
        cli_die(CLI_FAILED, "files: CRoaring's files do not hold the mask's cells");
    roaring_bitmap_free(view);
    roaring_bitmap_free(read);
    roaring_bitmap_free(bitmap);
    unmap(mapped);
    return true;
}

#endif

/* ---------------------------------------------------------------- a preset */

enum { TOUCH, OPEN, OPEN_ROW, LOAD, VERIFY, FROZEN, FROZEN_ROW, PORTABLE, PORTABLE_CHECKED, NUM_WAYS };

static const struct {
    const char *key, *text;
    enum file_kind file;
} ways[NUM_WAYS] = {
    [TOUCH] = {"touch", "map the file, read every word once", FILE_ROARMASK},
    [OPEN] = {"open", "roarmask open (mapped; header and index checked)", FILE_ROARMASK},
    [OPEN_ROW] = {"open_row", "  and its first row", FILE_ROARMASK},
    [LOAD] = {"load", "roarmask load (into memory; everything checked)", FILE_ROARMASK},
    [VERIFY] = {"verify", "roarmask verify (of an opened mask)", FILE_ROARMASK},
    [FROZEN] = {"frozen", "croaring2d frozen view (mapped; trusted)", FILE_FROZEN},
    [FROZEN_ROW] = {"frozen_row", "  and its first row", FILE_FROZEN},
    [PORTABLE] = {"portable", "croaring2d portable, deserialize_safe", FILE_PORTABLE},
    [PORTABLE_CHECKED] = {"portable_checked", "  and internal_validate", FILE_PORTABLE},
};

static size_t file_bytes(enum file_kind kind)
{
    struct stat facts;
    return stat(paths[kind], &facts) == 0 ? (size_t)facts.st_size : 0;
}

/* The opened mask is the saved one, and a flipped bit of the file is noticed. */
static void check_file(const rmask *mask)
{
    rmask_error error;
    rmask *opened = open_mask();
    bool equal;
    die_unless(rmask_equal(mask, opened, &equal, &error), &error);
    die_unless(rmask_verify(opened, &error), &error);
    size_t num_bytes;
    const uint8_t *data = rmask_data(opened, &num_bytes);
    uint8_t *changed = bench_alloc(num_bytes);
    memcpy(changed, data, num_bytes);
    changed[num_bytes / 2] ^= 1;
    rmask *taken;
    bool noticed = rmask_from_data(changed, num_bytes, NULL, &taken, NULL) != RMASK_OK;
    bench_free(changed);
    rmask_release(opened);
    if (!equal || !noticed)
        cli_die(CLI_FAILED, "files: the file does not hold the mask's cells, or a flipped bit goes unnoticed");
}

static json_t *measure(const struct bench_preset *preset, const struct bench_flags *flags, bool quiet)
{
    struct subject *subject = bench_alloc_zeroed(1, sizeof *subject);
    char *expression = bench_preset_expression(preset, flags->seed);
    rmask *mask;
    rmask_error error;
    die_unless(rmask_parse(expression, preset->num_blocks, preset->num_blocks, NULL, &mask, &error), &error);
    free(expression);
    die_unless(rmask_save(mask, paths[FILE_ROARMASK], &error), &error);
    check_file(mask);
    rmask *opened = open_mask();
    subject->mask = mask;
    subject->opened = opened;

    struct racer racers[NUM_WAYS] = {
        [TOUCH] = {.run = run_touch},       [OPEN] = {.run = run_open},
        [OPEN_ROW] = {.run = run_open_row}, [LOAD] = {.run = run_load, .let_go = let_go_of_mask},
        [VERIFY] = {.run = run_verify},
    };
    int num_racers = FROZEN;
#ifdef ROARMASK_HAVE_CROARING
    if (write_bitmaps(mask)) {
        racers[FROZEN].run = run_frozen;
        racers[FROZEN_ROW].run = run_frozen_row;
        racers[PORTABLE] = (struct racer){.run = run_portable, .let_go = let_go_of_bitmap};
        racers[PORTABLE_CHECKED] = (struct racer){.run = run_portable_checked, .let_go = let_go_of_bitmap};
        num_racers = NUM_WAYS;
    }
#endif
    for (int i = 0; i < NUM_WAYS; i++) {
        racers[i].name = ways[i].key;
        racers[i].context = subject;
        racers[i].ns = NAN;
    }
    char label[64];
    snprintf(label, sizeof label, "files: %s", preset->name);
    race(label, racers, num_racers, flags->effort.min_seconds);

    json_t *rows = json_array();
    if (!quiet) printf("\n%s: %s\n  %-52s %12s %12s %12s\n", preset->name, preset->summary, "", "file", "time", "GB/s");
    for (int i = 0; i < num_racers; i++) {
        size_t num_bytes = file_bytes(ways[i].file);
        double gigabytes = (double)num_bytes / racers[i].ns;
        bool reads_all = i == TOUCH || i == LOAD || i == VERIFY || i == PORTABLE_CHECKED;
        if (!quiet)
            printf("  %-52s %12s %12s %12s\n", ways[i].text, format_bytes((double)num_bytes).text, format_ns(racers[i].ns).text,
                   reads_all ? format_number(gigabytes).text : "-");
        json_array_append_new(rows,
                              json_pack("{s:s, s:I, s:o, s:o}", "way", ways[i].key, "file_bytes", (json_int_t)num_bytes, "ns",
                                        report_ns(racers[i].ns), "gb_per_s", reads_all ? json_real(gigabytes) : json_null()));
    }
    rmask_release(opened);
    rmask_release(mask);
    bench_free(subject);
    return json_pack("{s:s, s:o}", "preset", preset->name, "ways", rows);
}

json_t *suite_files(const struct bench_flags *flags, bool quiet)
{
    json_t *list = json_array();
    make_folder();
    if (!quiet)
        printf("files: until a mask on the disk can be read, and until it is known to be whole\n  %s\n", report_machine());
    for (int i = 0; i < bench_num_presets; i++)
        for (int j = 0; j < NUM_PRESETS; j++)
            if (strcmp(bench_presets[i].name, preset_names[j]) == 0)
                json_array_append_new(list, measure(&bench_presets[i], flags, quiet));
    json_t *object = json_pack("{s:s, s:I, s:o}", "suite", "files", "seed", (json_int_t)flags->seed, "presets", list);
    report_add_machine(object);
    return object;
}
