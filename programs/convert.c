/* SPDX-License-Identifier: Apache-2.0
 *
 * roarmask convert: from one file format to another. */
#define _XOPEN_SOURCE 700
#include "convert/convert.h"
#include "cli.h"

#include <errno.h>
#include <fcntl.h>
#include <roarmask/exchange.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

typedef rmask_status reader(const void *data, size_t num_bytes, const convert_progress *progress, rmask **out,
                            rmask_error *error);
typedef rmask_status writer(const rmask *mask, rmask_writer write, void *context, const convert_progress *progress,
                            rmask_error *error);

static const struct format {
    const char *name, *ending; /* NULL: only by name */
    reader *read;              /* NULL: those that the library reads and writes by itself */
    writer *write;
    bool is_text;
} formats[] = {
    {"rmask", ".rmask", NULL, NULL, false},
    {"roaring", ".roaring", NULL, NULL, false},
    {"npy", ".npy", npy_read, npy_write, false},
    {"npz", ".npz", npz_read, npz_write_csr, false},
    {"npz-coo", NULL, npz_read, npz_write_coo, false},
    {"mtx", ".mtx", mtx_read, mtx_write, true},
};
enum { RMASK_FORMAT, ROARING_FORMAT, NUM_FORMATS = sizeof formats / sizeof *formats };
#define FORMAT_NAMES "rmask, roaring, npy, npz, npz-coo or mtx"

/* ---------------------------------------------------------------- arguments */

typedef struct convert_args {
    cli_grid grid;
    const char *from, *to; /* NULL where not given */
} convert_args;

enum { KEY_FROM = 0x2000, KEY_TO };

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    convert_args *args = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &args->grid;
        return 0;
    case KEY_FROM:
        args->from = argument;
        return 0;
    case KEY_TO:
        args->to = argument;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp convert_argp = {
    .options = (const struct argp_option[]){{"from", KEY_FROM, "FORMAT", 0, "the format of IN, whatever its name", 0},
                                            {"to", KEY_TO, "FORMAT", 0, "the format of OUT, whatever its name", 0},
                                            {0}},
    .parser = parse_option,
    .args_doc = "IN OUT",
    .doc = "Write the mask in the file IN to the file OUT in another format. The formats are " FORMAT_NAMES
           "; endings like these choose them. '-' is standard input or output. Roaring bitmaps do not tell their grid: give "
           "--rows, and --cols if it is not the same."
           "\vExamples:\n  roarmask convert mask.npz mask.rmask\n  roarmask convert mask.roaring - --rows 62500 --to mtx",
    .children = (const struct argp_child[]){{&cli_grid_argp, 0, NULL, 0}, {0}},
};

/* By its name if one was given with `option`, otherwise by the ending of `path`. */
static const struct format *find_format(const char *path, const char *name, const char *option)
{
    for (int i = 0; i < NUM_FORMATS; i++) {
        const char *ending = formats[i].ending;
        size_t length = ending != NULL ? strlen(ending) : 0, path_length = strlen(path);
        if (name != NULL ? strcmp(name, formats[i].name) == 0
                         : ending != NULL && path_length > length && strcmp(path + path_length - length, ending) == 0)
            return &formats[i];
    }
    if (name != NULL)
        cli_die(CLI_USAGE, "unknown format '%s': " FORMAT_NAMES, name);
    cli_die(CLI_USAGE, "the ending of '%s' tells no format: give %s " FORMAT_NAMES, path, option);
}

/* ---------------------------------------------------------------- progress */

/* A conversion that takes longer than a moment says on a terminal how far it is. */
typedef struct progress_line {
    const char *what;
    double begin, last; /* seconds */
    bool wanted, shown;
} progress_line;

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static void show_progress(void *context, uint64_t done, uint64_t total)
{
    progress_line *line = context;
    if (!line->wanted)
        return;
    double time = now();
    if (time - line->begin < 2 || time - line->last < 0.1)
        return;
    fprintf(stderr, "\r%s %3.0f%%", line->what, total > 0 ? 100.0 * (double)done / (double)total : 100.0);
    line->last = time;
    line->shown = true;
}

static void clear_progress(progress_line *line)
{
    if (line->shown)
        fputs("\r\033[K", stderr);
    line->shown = false;
}

/* ---------------------------------------------------------------- in */

typedef struct input {
    const char *name; /* for messages */
    void *data;
    size_t num_bytes;
    bool is_mapped;
} input;

static _Noreturn void die_of_input(const input *in) { cli_die(CLI_FAILED, "cannot read %s: %s", in->name, strerror(errno)); }

/* Whatever comes, to its end. */
static void read_stream(input *in, int file)
{
    size_t room = 0;
    for (;;) {
        if (in->num_bytes == room) {
            room = room > 0 ? 2 * room : 1 << 20;
            in->data = realloc(in->data, room);
            if (in->data == NULL)
                die_of_input(in);
        }
        ssize_t got = read(file, (char *)in->data + in->num_bytes, room - in->num_bytes);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            die_of_input(in);
        if (got == 0)
            return;
        in->num_bytes += (size_t)got;
    }
}

/* A file is mapped, for dense ones may be large. */
static input read_input(const char *path)
{
    bool is_stdin = strcmp(path, "-") == 0;
    input in = {.name = is_stdin ? "standard input" : path};
    int file = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    struct stat status;
    if (file < 0 || fstat(file, &status) != 0)
        die_of_input(&in);
    if (S_ISREG(status.st_mode) && status.st_size > 0 && !is_stdin) {
        in.num_bytes = (size_t)status.st_size;
        in.data = mmap(NULL, in.num_bytes, PROT_READ, MAP_PRIVATE, file, 0);
        if (in.data == MAP_FAILED)
            die_of_input(&in);
        in.is_mapped = true;
    } else {
        read_stream(&in, file);
    }
    if (!is_stdin)
        close(file);
    return in;
}

static void release_input(input *in)
{
    if (in->is_mapped)
        munmap(in->data, in->num_bytes);
    else
        free(in->data);
}

static rmask *read_mask(const input *in, const struct format *format, cli_grid grid, progress_line *line)
{
    rmask *mask;
    rmask_error error;
    rmask_status status;
    convert_progress progress = {show_progress, line};
    if (format->read != NULL) {
        status = format->read(in->data, in->num_bytes, &progress, &mask, &error);
    } else if (format == &formats[RMASK_FORMAT]) {
        status = rmask_from_data(in->data, in->num_bytes, NULL, &mask, &error);
    } else {
        if (grid.rows < 0)
            cli_die(CLI_USAGE, "a Roaring bitmap does not tell its grid: give --rows N");
        status = rmask_from_roaring(grid.rows, grid.cols >= 0 ? grid.cols : grid.rows, in->data, in->num_bytes, NULL, &mask,
                                    &error);
    }
    clear_progress(line);
    if (status == RMASK_OK) {
        cli_check_grid(mask, in->name, grid);
        return mask;
    }
    bool usage = status == RMASK_ERR_RANGE;
    cli_die(usage ? CLI_USAGE : CLI_FAILED, "%s: %s", in->name, error.message);
}

/* ---------------------------------------------------------------- out */

static rmask_status write_roaring(const rmask *mask, cli_file *file, rmask_error *error)
{
    size_t num_bytes;
    CONVERT_TRY(rmask_to_roaring(mask, NULL, 0, &num_bytes, error));
    void *bytes = cli_alloc(num_bytes, 1);
    rmask_status status = rmask_to_roaring(mask, bytes, num_bytes, &num_bytes, error);
    if (status == RMASK_OK)
        status = convert_written(cli_put(file, bytes, num_bytes), error);
    free(bytes);
    return status;
}

static void write_mask(const rmask *mask, const struct format *format, const char *path, progress_line *line)
{
    if (format == &formats[RMASK_FORMAT]) {
        cli_save(mask, path);
        return;
    }
    rmask_error error;
    convert_progress progress = {show_progress, line};
    cli_file file = cli_create(path);
    rmask_status status = format->write != NULL ? format->write(mask, cli_put, &file, &progress, &error)
                                                : write_roaring(mask, &file, &error);
    clear_progress(line);
    if (status != RMASK_OK) {
        cli_abandon(&file);
        cli_die(CLI_FAILED, "%s: %s", file.path, error.message);
    }
    cli_finish(&file);
}

int convert_main(int argc, char **argv)
{
    convert_args args = {.grid = CLI_GRID_UNSET};
    int first = cli_parse(&convert_argp, argc, argv, &args, 2, 2);
    const char *from = argv[first], *to = argv[first + 1];
    const struct format *from_format = find_format(from, args.from, "--from"), *to_format = find_format(to, args.to, "--to");
    if (!to_format->is_text)
        cli_check_output(to);
    double begin = now();
    bool wanted = isatty(STDERR_FILENO);
    progress_line reading = {.what = "reading", .begin = begin, .wanted = wanted};
    progress_line writing = {.what = "writing", .begin = begin, .wanted = wanted};
    input in = read_input(from);
    rmask *mask = read_mask(&in, from_format, args.grid, &reading);
    release_input(&in);
    write_mask(mask, to_format, to, &writing);
    rmask_release(mask);
    return 0;
}
