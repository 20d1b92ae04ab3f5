/* SPDX-License-Identifier: Apache-2.0
 * A folder of the test's own. */
#include "folder.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char folder[PATH_MAX];

const char *the_folder(void) { return folder; }

const char *in_folder(const char *name)
{
    static char path[2 * PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

int num_entries(void)
{
    int count = 0;
    DIR *entries = opendir(folder);
    expect(entries != NULL, "%s: %s", folder, strerror(errno));
    for (struct dirent *entry; (entry = readdir(entries)) != NULL;)
        count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    closedir(entries);
    return count;
}

static void remove_entries(void)
{
    DIR *entries = opendir(folder);
    for (struct dirent *entry; entries && (entry = readdir(entries)) != NULL;)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) (void)remove(in_folder(entry->d_name));
    if (entries) closedir(entries);
}

int make_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "%s/roarmask-test-XXXXXX", temporary_folder());
    return mkdtemp(folder) ? 0 : -1;
}

int remove_folder(void **state)
{
    (void)state;
    remove_entries();
    return rmdir(folder);
}

void write_file(const char *path, const void *bytes, size_t num_bytes)
{
    FILE *file = fopen(path, "wb");
    expect(file && fwrite(bytes, 1, num_bytes, file) == num_bytes && fclose(file) == 0, "%s: %s", path, strerror(errno));
}

uint8_t *read_file(const char *path, size_t *num_bytes)
{
    FILE *file = fopen(path, "rb");
    expect(file && fseek(file, 0, SEEK_END) == 0, "%s: %s", path, strerror(errno));
    const long size = ftell(file);
    expect(size >= 0 && fseek(file, 0, SEEK_SET) == 0, "%s: %s", path, strerror(errno));
    uint8_t *bytes = must_allocate((size_t)size);
    expect(fread(bytes, 1, (size_t)size, file) == (size_t)size && fclose(file) == 0, "%s: %s", path, strerror(errno));
    *num_bytes = (size_t)size;
    return bytes;
}
