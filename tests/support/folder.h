/* SPDX-License-Identifier: Apache-2.0
 * A folder of the test's own, made before it and removed after it: cmocka_unit_test_setup_teardown(test, make_folder,
 * remove_folder). */
#ifndef ROARMASK_TESTS_FOLDER_H
#define ROARMASK_TESTS_FOLDER_H

#include "support.h"

int make_folder(void **state);
int remove_folder(void **state); /* with the files in it */

/* Where it is. */
const char *the_folder(void);

/* A path in it, valid until the next call. */
const char *in_folder(const char *name);

/* How many files and folders lie in it. */
int num_entries(void);

void write_file(const char *path, const void *bytes, size_t num_bytes);

/* All of a file; malloc'ed. */
uint8_t *read_file(const char *path, size_t *num_bytes);

#endif
