/* SPDX-License-Identifier: Apache-2.0
 * Mapped masks: they answer as loaded ones do, outlive their files, and what cannot be mapped is refused. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "file/mapping.h"
#include "support/folder.h"
#include "support/generate.h"
#include "support/hook.h"
#include "support/raw.h"
#include "support/seal.h"
#include "support/ways.h"

static rmask *saved_and_opened(const twin *t, const rmask_allocator *allocator)
{
    rmask *mask = make_plain(t), *opened;
    expect_ok(rmask_save(mask, in_folder("mask.rmask"), test_error));
    expect_ok(rmask_open(in_folder("mask.rmask"), allocator, &opened, test_error));
    rmask_release(mask);
    return opened;
}

/* ---------------------------------------------------------------- the same answers */

static void opened_masks_answer_as_any(void **state)
{
    (void)state;
    rng random = rng_here();
    for (int kind = 0; kind < NUM_KINDS; kind++)
        for (int i = 0; i < 3; i++) {
            const shape s = i == 0 ? shapes[rng_below(&random, num_small_shapes)] : random_shape(2000, &random);
            twin *t = generate(kind, s.rows, s.cols, &random);
            rmask *opened = saved_and_opened(t, NULL);
            note("%s %d x %d", kind_name(kind), s.rows, s.cols);
            if (i < 2) expect_ok(rmask_verify(opened, test_error)); /* before the rows are read, or after */
            check_same(opened, t);
            expect_ok(rmask_verify(opened, test_error));
            rmask_release(opened), twin_free(t);
        }
}

static void wide_masks_open(void **state)
{
    (void)state;
    rng random = rng_here();
    for (int i = 0; i < 3; i++) {
        twin *t = twin_create(3, 65535 + 65536 * i / 2 + i);
        for (int k = 0; k < 300; k++) twin_at(t, (int32_t)rng_below(&random, 3))[rng_below(&random, t->cols)] = 1;
        for (int32_t col = t->cols - 70; col < t->cols; col++) twin_at(t, 1)[col] = rng_chance(&random, 0.5);
        check_same_release(saved_and_opened(t, NULL), t);
        twin_free(t);
    }
}

/* Operands that nobody has read yet. */
static void opened_masks_are_operands(void **state)
{
    (void)state;
    rng random = rng_here();
    for (int i = 0; i < 16; i++) {
        const shape s = random_shape(2000, &random);
        twin *a = generate_any(s.rows, s.cols, &random), *b = generate_any(s.rows, s.cols, &random);
        rmask *opened_a = saved_and_opened(a, NULL), *opened_b = saved_and_opened(b, NULL), *out;
        twin *t = twin_combine(a, b, (rmask_function)i);
        note("function %d of %d x %d", i, s.rows, s.cols);
        expect_ok(rmask_combine(opened_a, opened_b, (rmask_function)i, &out, test_error));
        rmask_release(opened_a), rmask_release(opened_b);
        check_rows_release(out, t);
        twin_free(a), twin_free(b), twin_free(t);
    }
}

/* ---------------------------------------------------------------- lives */

static void opened_masks_outlive_their_files(void **state)
{
    (void)state;
    rng random = rng_here();
    twin *first = generate_named("noisy structure", 300, 400, &random),
         *second = generate_named("random 20%", 300, 400, &random);
    rmask *a = saved_and_opened(first, NULL), *b = saved_and_opened(second, NULL);
    expect(unlink(in_folder("mask.rmask")) == 0, "unlink: %s", strerror(errno));
    expect_ok(rmask_verify(a, test_error));
    rmask *kept = rmask_retain(a);
    rmask_release(a);
    check_rows_release(kept, first);
    check_rows_release(b, second);
    twin_free(first), twin_free(second);
}

/* More masks than a process may have files open. */
static void opened_masks_hold_no_file(void **state)
{
    (void)state;
    enum { MANY = 500, FEW = 40 };
    rng random = rng_here();
    twin *t = generate_named("random 1%", 30, 40, &random);
    rmask_release(saved_and_opened(t, NULL));
    struct rlimit before, within;
    expect(getrlimit(RLIMIT_NOFILE, &before) == 0, "getrlimit: %s", strerror(errno));
    within = (struct rlimit){FEW, before.rlim_max};
    expect(setrlimit(RLIMIT_NOFILE, &within) == 0, "setrlimit: %s", strerror(errno));
    rmask *masks[MANY], *out;
    for (int i = 0; i < MANY; i++) expect_ok(rmask_open(in_folder("mask.rmask"), NULL, &masks[i], test_error));
    for (int i = 0; i < MANY; i++) /* nor do failures */
        expect_makes_nothing(RMASK_ERR_IO, out, rmask_open(the_folder(), NULL, &out, test_error));
    expect(setrlimit(RLIMIT_NOFILE, &before) == 0, "setrlimit: %s", strerror(errno));
    for (int i = 0; i < MANY; i++) check_rows_release(masks[i], t);
    twin_free(t);
}

/* The exceptions stay where they are. */
static void opening_allocates_little(void **state)
{
    (void)state;
    rmask *mask;
    hook h = {0};
    const rmask_allocator allocator = hook_allocator(&h);
    expect_ok(rmask_parse("random(0.1, seed=7)", 3000, 3000, NULL, &mask, test_error));
    expect_ok(rmask_save(mask, in_folder("mask.rmask"), test_error));
    rmask_release(mask);
    expect_ok(rmask_open(in_folder("mask.rmask"), &allocator, &mask, test_error));
    expect(h.most_bytes < 2000, "%zu bytes", h.most_bytes);
    const size_t num_calls = h.num_calls;
    expect_ok(rmask_verify(mask, test_error));
    expect(h.num_bytes < 2000 && h.num_calls < num_calls + 5, "%zu calls, %zu bytes", h.num_calls, h.num_bytes);
    rmask_release(mask);
    check_hook_empty(&h);
}

/* ---------------------------------------------------------------- what is no file, or no mask */

/* Both ways to read a file refuse it, with the file's name. */
static void refused_by_both(rmask_status status, const char *path)
{
    rmask *out;
    const char *name = strrchr(path, '/') + 1;
    expect_makes_nothing(status, out, rmask_open(path, NULL, &out, test_error));
    expect(strstr(test_error->message, name) != NULL, "without the name: %s", test_error->message);
    expect_makes_nothing(status, out, rmask_load(path, NULL, &out, test_error));
    expect(strstr(test_error->message, name) != NULL, "without the name: %s", test_error->message);
}

static void paths_that_are_no_masks(void **state)
{
    (void)state;
    rng random = rng_here();
    twin *t = generate_named("noisy structure", 30, 40, &random);
    rmask_release(saved_and_opened(t, NULL));
    size_t num_bytes;
    uint8_t *bytes = read_file(in_folder("mask.rmask"), &num_bytes);
    bytes = realloc(bytes, num_bytes + 5000);
    expect(bytes != NULL, "the test itself is out of memory");
    memset(bytes + num_bytes, 0, 5000);
    refused_by_both(RMASK_ERR_IO, in_folder("missing.rmask"));
    expect(mkdir(in_folder("folder"), 0755) == 0, "mkdir: %s", strerror(errno));
    refused_by_both(RMASK_ERR_IO, in_folder("folder"));
    for (size_t length = 0; length < num_bytes + 5000; length += length < num_bytes ? 3 : 700) {
        if (length == num_bytes) continue;
        note("%zu of %zu bytes", length, num_bytes);
        write_file(in_folder("cut"), bytes, length);
        refused_by_both(RMASK_ERR_FORMAT, in_folder("cut"));
        expect(length < 128 || strstr(test_error->message, "at byte ") != NULL, "without the offset: %s", test_error->message);
    }
    free(bytes), twin_free(t);
}

/* Under another name where the test runs as root, whom nothing is forbidden. */
static void files_without_permission(void **state)
{
    (void)state;
    rng random = rng_here();
    twin *t = generate_any(30, 40, &random);
    rmask_release(saved_and_opened(t, NULL));
    expect(chmod(in_folder("mask.rmask"), 0) == 0 && chmod(the_folder(), 0755) == 0, "chmod: %s", strerror(errno));
    const bool is_root = geteuid() == 0;
    if (is_root && seteuid(65534) != 0) skip();
    rmask *out;
    rmask_error errors[2];
    const rmask_status statuses[2] = {rmask_open(in_folder("mask.rmask"), NULL, &out, &errors[0]),
                                      rmask_load(in_folder("mask.rmask"), NULL, &out, &errors[1])};
    if (is_root) expect(seteuid(0) == 0, "seteuid: %s", strerror(errno));
    for (int i = 0; i < 2; i++)
        expect(statuses[i] == RMASK_ERR_IO && strstr(errors[i].message, strerror(EACCES)) != NULL, "%s: %s",
               rmask_status_name(statuses[i]), errors[i].message);
    twin_free(t);
}

static void pipes_are_loaded_and_not_opened(void **state)
{
    (void)state;
    rng random = rng_here();
    twin *t = generate_named("random 50%", 1000, 1000, &random); /* more than a pipe holds */
    rmask_release(saved_and_opened(t, NULL));
    size_t num_bytes;
    uint8_t *bytes = read_file(in_folder("mask.rmask"), &num_bytes);
    rmask *out;
    expect(mkfifo(in_folder("pipe"), 0644) == 0, "mkfifo: %s", strerror(errno));
    expect_makes_nothing(RMASK_ERR_IO, out, rmask_open(in_folder("pipe"), NULL, &out, test_error));
    expect(strstr(test_error->message, "load it instead") != NULL, "without the remedy: %s", test_error->message);
    for (size_t extra = 0; extra < 2; extra++) {
        const pid_t writer = fork();
        if (writer == 0) {
            const int file = open(in_folder("pipe"), O_WRONLY);
            for (size_t at = 0; at < num_bytes;) at += (size_t)write(file, bytes + at, num_bytes - at);
            if (extra) (void)!write(file, "?", 1);
            _exit(0);
        }
        test_error_reset();
        const rmask_status status = rmask_load(in_folder("pipe"), NULL, &out, test_error);
        expect(waitpid(writer, NULL, 0) == writer, "waitpid: %s", strerror(errno));
        if (extra) {
            expect_fails_at(__FILE__, __LINE__, "rmask_load", RMASK_ERR_FORMAT, status);
        } else {
            expect_ok_at(__FILE__, __LINE__, "rmask_load", status);
            check_rows_release(out, t);
        }
    }
    free(bytes), twin_free(t);
}

/* Saving to what is no file would put a file in its place. */
static void pipes_and_devices_are_not_replaced(void **state)
{
    (void)state;
    rng random = rng_here();
    twin *t = generate_any(30, 40, &random);
    rmask *mask = make_plain(t);
    struct stat about;
    expect(mkfifo(in_folder("pipe"), 0644) == 0, "mkfifo: %s", strerror(errno));
    expect(symlink("/dev/null", in_folder("null")) == 0, "symlink: %s", strerror(errno));
    const char *const names[] = {"pipe", "null"};
    for (int i = 0; i < 2; i++) {
        expect_fails(RMASK_ERR_IO, rmask_save(mask, in_folder(names[i]), test_error));
        expect(strstr(test_error->message, "not a regular file") != NULL, "%s", test_error->message);
        expect(stat(in_folder(names[i]), &about) == 0 && !S_ISREG(about.st_mode), "%s has been replaced", names[i]);
    }
    expect(num_entries() == 2, "%d entries", num_entries());
    rmask_release(mask), twin_free(t);
}

/* ---------------------------------------------------------------- files that change */

static void files_that_change_size_are_refused(void **state)
{
    (void)state;
    rng random = rng_here();
    twin *t = generate_named("random 20%", 300, 400, &random);
    rmask_release(saved_and_opened(t, NULL));
    const rmask_allocator allocator = rmask_allocator_or_default(NULL);
    size_t num_bytes;
    uint8_t *bytes = read_file(in_folder("mask.rmask"), &num_bytes);
    const size_t sizes[] = {num_bytes, num_bytes + 1, num_bytes + 100000, num_bytes - 1, 128, 0};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        rmask_mapping *mapping;
        note("a file of %zu bytes has %zu", num_bytes, sizes[i]);
        write_file(in_folder("mask.rmask"), bytes, num_bytes);
        expect_ok(rmask_map_file(in_folder("mask.rmask"), &allocator, &mapping, test_error));
        expect(mapping->num_bytes == num_bytes, "%zu bytes mapped", mapping->num_bytes);
        expect(truncate(in_folder("mask.rmask"), (off_t)sizes[i]) == 0, "truncate: %s", strerror(errno));
        test_error_reset();
        const rmask_status status = rmask_mapping_settled(mapping, test_error);
        if (i == 0)
            expect_ok_at(__FILE__, __LINE__, "settled", status);
        else
            expect_fails_at(__FILE__, __LINE__, "settled", RMASK_ERR_FORMAT, status);
        rmask_let_go(&mapping->keeper);
    }
    free(bytes), twin_free(t);
}

/* A header that is right in itself and announces gigabytes, in a file that is full of holes or short. */
static void claims_cost_nothing(void **state)
{
    (void)state;
    const raw_header header = {.magic = "\x93RMASK\r\n",
                               .version = 1,
                               .rows = INT32_MAX,
                               .cols = INT32_MAX,
                               .num_strips = INT32_MAX,
                               .container_cols = INT32_MAX,
                               .num_bytes = 128 + 20 * (uint64_t)INT32_MAX + 4};
    uint8_t bytes[RAW_HEADER_BYTES];
    memcpy(bytes, &header, sizeof header);
    seal(bytes, sizeof bytes);
    for (size_t length = 100; length <= sizeof bytes; length += 28) {
        write_file(in_folder("claim"), bytes, length);
        for (int way = 0; way < 2; way++) {
            hook h = {0};
            const rmask_allocator allocator = hook_allocator(&h);
            rmask *out;
            expect_makes_nothing(RMASK_ERR_FORMAT, out,
                                 (way ? rmask_open : rmask_load)(in_folder("claim"), &allocator, &out, test_error));
            check_hook_empty(&h);
            expect(h.most_bytes < 2000000, "%zu bytes for a file of %zu", h.most_bytes, length);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(opened_masks_answer_as_any, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(wide_masks_open, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(opened_masks_are_operands, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(opened_masks_outlive_their_files, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(opened_masks_hold_no_file, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(opening_allocates_little, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(paths_that_are_no_masks, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(files_without_permission, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(pipes_are_loaded_and_not_opened, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(pipes_and_devices_are_not_replaced, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(files_that_change_size_are_refused, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(claims_cost_nothing, make_folder, remove_folder),
    };
    return run_test_program(tests);
}
