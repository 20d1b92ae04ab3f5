/* SPDX-License-Identifier: Apache-2.0
 * Saving and loading: what comes back, what is refused, and what is left on the disk when it fails. */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/folder.h"
#include "support/generate.h"
#include "support/ways.h"

/* At least 100 KB in a file. */
static rmask *large_mask(rng *random)
{
    twin *t = generate_named("random 50%", 1000, 1000, random);
    rmask *mask = make_plain(t);
    twin_free(t);
    return mask;
}

/* ---------------------------------------------------------------- there and back */

static void masks_come_back(void **state)
{
    (void)state;
    rng random = rng_here();
    for (int kind = 0; kind < NUM_KINDS; kind++)
        for (int i = 0; i < 5; i++) {
            shape s = i == 0 ? shapes[rng_below(&random, num_shapes)] : random_shape(3000, &random);
            twin *t = generate(kind, s.rows, s.cols, &random);
            rmask *mask = make_plain(t), *loaded;
            note("%s %d x %d", kind_name(kind), s.rows, s.cols);
            expect_ok(rmask_save(mask, in_folder("mask.rmask"), test_error));
            expect_ok(rmask_load(in_folder("mask.rmask"), NULL, &loaded, test_error));
            check_equal(mask, loaded, true);
            check_rows_release(loaded, t);
            rmask_release(mask), twin_free(t);
        }
    expect(num_entries() == 1, "%d files beside one mask", num_entries());
}

static void the_file_is_the_flat_buffer(void **state)
{
    (void)state;
    rng random = rng_here();
    rmask *mask = large_mask(&random);
    size_t num_bytes;
    const void *data = rmask_data(mask, &num_bytes);
    expect_ok(rmask_save(mask, in_folder("mask.rmask"), test_error));
    size_t num_read;
    uint8_t *read = read_file(in_folder("mask.rmask"), &num_read);
    expect(num_read == num_bytes && memcmp(read, data, num_bytes) == 0, "the file has other bytes");
    free(read);
    rmask_release(mask);
}

/* Readable by whom the umask says, as any new file is. */
static void the_file_has_ordinary_permissions(void **state)
{
    (void)state;
    rng random = rng_here();
    rmask *mask = large_mask(&random);
    struct stat about;
    mode_t before = umask(027);
    expect_ok(rmask_save(mask, in_folder("mask.rmask"), test_error));
    umask(before);
    expect(stat(in_folder("mask.rmask"), &about) == 0 && (about.st_mode & 0777) == 0640, "mode %o", about.st_mode & 0777u);
    rmask_release(mask);
}

static void saving_replaces_and_masks_live_on(void **state)
{
    (void)state;
    rng random = rng_here();
    twin *first = generate_any(30, 40, &random), *second = generate_any(50, 20, &random);
    rmask *a = make_plain(first), *b = make_plain(second), *loaded;
    expect_ok(rmask_save(a, in_folder("mask.rmask"), test_error));
    expect_ok(rmask_load(in_folder("mask.rmask"), NULL, &loaded, test_error));
    expect_ok(rmask_save(b, in_folder("mask.rmask"), test_error));
    check_rows_release(loaded, first);
    expect_ok(rmask_load(in_folder("mask.rmask"), NULL, &loaded, test_error));
    check_rows_release(loaded, second);
    rmask_release(a), rmask_release(b);
    twin_free(first), twin_free(second);
}

static void paths_without_a_folder(void **state)
{
    (void)state;
    rng random = rng_here();
    twin *t = generate_any(30, 40, &random);
    rmask *mask = make_plain(t), *loaded;
    char before[PATH_MAX];
    expect(getcwd(before, sizeof before) && chdir(the_folder()) == 0, "%s: %s", the_folder(), strerror(errno));
    expect_ok(rmask_save(mask, "mask.rmask", test_error));
    expect_ok(rmask_load("mask.rmask", NULL, &loaded, test_error));
    expect(chdir(before) == 0, "%s: %s", before, strerror(errno));
    check_rows_release(loaded, t);
    expect(num_entries() == 1, "%d files beside one mask", num_entries());
    rmask_release(mask), twin_free(t);
}

/* ---------------------------------------------------------------- refusals */

static void paths_that_cannot_be_written(void **state)
{
    (void)state;
    rng random = rng_here();
    rmask *mask = large_mask(&random);
    char long_name[400];
    memset(long_name, 'm', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    expect(mkdir(in_folder("folder"), 0755) == 0, "mkdir: %s", strerror(errno));
    expect_fails(RMASK_ERR_IO, rmask_save(mask, in_folder("missing/mask.rmask"), test_error));
    expect(strstr(test_error->message, strerror(ENOENT)) != NULL, "without the reason: %s", test_error->message);
    expect_fails(RMASK_ERR_IO, rmask_save(mask, in_folder("folder"), test_error));
    expect_fails(RMASK_ERR_IO, rmask_save(mask, in_folder(long_name), test_error));
    expect_fails(RMASK_ERR_IO, rmask_save(mask, "", test_error));
    expect_fails(RMASK_ERR_IO, rmask_save(mask, in_folder("missing/two\nlines.rmask"), test_error));
    expect(num_entries() == 1, "%d entries beside one folder", num_entries() - 1);
    rmask_release(mask);
}

static void paths_that_cannot_be_read(void **state)
{
    (void)state;
    rmask *out;
    expect_makes_nothing(RMASK_ERR_IO, out, rmask_load(in_folder("missing.rmask"), NULL, &out, test_error));
    expect(strstr(test_error->message, strerror(ENOENT)) != NULL, "without the reason: %s", test_error->message);
    expect(strstr(test_error->message, "missing.rmask") != NULL, "without the file's name: %s", test_error->message);
    expect(test_error->position == ENOENT, "errno %zu", test_error->position);
    expect_makes_nothing(RMASK_ERR_IO, out, rmask_load(the_folder(), NULL, &out, test_error));
    expect_makes_nothing(RMASK_ERR_IO, out, rmask_load("", NULL, &out, test_error));
}

static void files_that_are_no_masks(void **state)
{
    (void)state;
    rng random = rng_here();
    twin *t = generate_named("noisy structure", 30, 40, &random);
    rmask *mask = make_plain(t), *out;
    size_t num_bytes;
    const char *data = rmask_data(mask, &num_bytes);
    char *changed = must_allocate(num_bytes + 1);
    const char *path = in_folder("mask.rmask");
    write_file(path, "", 0);
    expect_makes_nothing(RMASK_ERR_FORMAT, out, rmask_load(path, NULL, &out, test_error));
    write_file(path, "this is a letter, and no mask\n", 30);
    expect_makes_nothing(RMASK_ERR_FORMAT, out, rmask_load(path, NULL, &out, test_error));
    for (size_t length = 0; length < num_bytes; length += 7) {
        note("cut to %zu of %zu bytes", length, num_bytes);
        write_file(path, data, length);
        expect_makes_nothing(RMASK_ERR_FORMAT, out, rmask_load(path, NULL, &out, test_error));
    }
    memcpy(changed, data, num_bytes), changed[num_bytes] = 0;
    write_file(path, changed, num_bytes + 1);
    expect_makes_nothing(RMASK_ERR_FORMAT, out, rmask_load(path, NULL, &out, test_error));
    changed[3] ^= 1;
    write_file(path, changed, num_bytes);
    expect_makes_nothing(RMASK_ERR_FORMAT, out, rmask_load(path, NULL, &out, test_error));
    free(changed);
    rmask_release(mask), twin_free(t);
}

/* A full disk, as a limit on the size of files. */
static rmask_status save_within(rlim_t most_bytes, const rmask *mask, const char *path, rmask_error *error)
{
    struct rlimit before, within;
    (void)getrlimit(RLIMIT_FSIZE, &before);
    within = (struct rlimit){most_bytes, before.rlim_max};
    (void)setrlimit(RLIMIT_FSIZE, &within);
    rmask_status status = rmask_save(mask, path, error);
    (void)setrlimit(RLIMIT_FSIZE, &before);
    return status;
}

static void a_full_disk_leaves_nothing(void **state)
{
    (void)state;
    rng random = rng_here();
    rmask *mask = large_mask(&random), *loaded;
    twin *t = generate_any(30, 40, &random);
    rmask *old = make_plain(t);
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    size_t num_bytes;
    (void)rmask_data(mask, &num_bytes);
    const rlim_t limits[] = {0, 1, 4096, num_bytes / 2, num_bytes - 1};
    for (size_t i = 0; i < 5; i++) {
        note("a disk of %llu bytes", (unsigned long long)limits[i]);
        expect_fails(RMASK_ERR_IO, save_within(limits[i], mask, in_folder("mask.rmask"), test_error));
        expect(strstr(test_error->message, strerror(EFBIG)) != NULL, "without the reason: %s", test_error->message);
        expect(num_entries() == 0, "%d files are left", num_entries());
    }
    expect_ok(rmask_save(old, in_folder("mask.rmask"), test_error));
    expect_fails(RMASK_ERR_IO, save_within(4096, mask, in_folder("mask.rmask"), test_error));
    expect(num_entries() == 1, "%d files beside one mask", num_entries());
    expect_ok(rmask_load(in_folder("mask.rmask"), NULL, &loaded, test_error));
    check_rows_release(loaded, t);
    expect_ok(save_within(num_bytes, mask, in_folder("mask.rmask"), test_error));
    (void)signal(SIGXFSZ, handler);
    rmask_release(mask), rmask_release(old), twin_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(masks_come_back, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(the_file_is_the_flat_buffer, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(the_file_has_ordinary_permissions, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(saving_replaces_and_masks_live_on, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(paths_without_a_folder, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(paths_that_cannot_be_written, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(paths_that_cannot_be_read, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(files_that_are_no_masks, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(a_full_disk_leaves_nothing, make_folder, remove_folder),
    };
    return run_test_program(tests);
}
