/* SPDX-License-Identifier: Apache-2.0
 * The golden files. */
#include "golden.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "folder.h"
#include "raw.h"
#include "twin.h"

const char *golden_path(const char *name, const char *ending)
{
    static char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s.%s", GOLDEN_FOLDER, name, ending);
    return path;
}

static int by_name(const void *a, const void *b) { return strcmp(((const golden *)a)->file, ((const golden *)b)->file); }

/* 0 for what is no golden file, such as a text. */
static int kind_of(const char *file)
{
    const char *dot = strrchr(file, '.');
    if (!dot) return 0;
    return strcmp(dot, ".rmask") == 0 ? GOLDEN_MASK : strcmp(dot, ".ratlas") == 0 ? GOLDEN_ATLAS : 0;
}

golden *golden_list(golden_kind kinds, size_t *num_files)
{
    golden *files = NULL;
    DIR *entries = opendir(GOLDEN_FOLDER);
    expect(entries != NULL, "%s: %s", GOLDEN_FOLDER, strerror(errno));
    *num_files = 0;
    for (struct dirent *entry; (entry = readdir(entries)) != NULL;) {
        const int kind = kind_of(entry->d_name);
        if (!(kind & (int)kinds)) continue;
        files = realloc(files, (*num_files + 1) * sizeof *files);
        expect(files != NULL, "the test itself is out of memory");
        golden *file = &files[(*num_files)++];
        const char *dot = strrchr(entry->d_name, '.');
        file->kind = (golden_kind)kind;
        snprintf(file->file, sizeof file->file, "%.60s", entry->d_name);
        snprintf(file->name, sizeof file->name, "%.*s", (int)(dot - entry->d_name), entry->d_name);
        file->bytes = read_file(golden_path(file->name, dot + 1), &file->num_bytes);
    }
    closedir(entries);
    expect(*num_files > 0, "no golden files in %s", GOLDEN_FOLDER);
    qsort(files, *num_files, sizeof *files, by_name);
    return files;
}

void golden_free(golden *files, size_t num_files)
{
    for (size_t i = 0; i < num_files; i++) free(files[i].bytes);
    free(files);
}

void golden_made_of(const rmask *mask, char line[GOLDEN_LINE])
{
    raw_header header;
    rmask_stats stats;
    size_t num_bytes;
    memcpy(&header, rmask_data(mask, &num_bytes), sizeof header);
    rmask_get_stats(mask, &stats);
    const char *directory = header.num_directory_rows == 0 ? "no" : header.features & 1 ? "sparse" : "dense";
    snprintf(line, GOLDEN_LINE,
             "made of strips=%u fixed=%u sliding=%u directory=%s:%u exceptions=%llu arrays=%llu bitsets=%llu container_cols=%u",
             header.num_strips, header.num_fixed, header.num_sliding, directory, header.num_directory_rows,
             (unsigned long long)stats.num_exceptions, (unsigned long long)stats.num_arrays,
             (unsigned long long)stats.num_bitsets, header.container_cols);
}

/* ---------------------------------------------------------------- cells */

/* Expects the row to have the columns "3-9 12 40-599"; returns how many. */
static uint64_t check_row_text(const rmask *mask, int32_t row, const char *columns)
{
    size_t num_ranges, i = 0;
    uint64_t count = 0;
    expect_ok(rmask_row_ranges(mask, row, NULL, 0, &num_ranges, test_error));
    int32_t *ranges = must_allocate(2 * num_ranges * sizeof *ranges);
    expect_ok(rmask_row_ranges(mask, row, ranges, num_ranges, &num_ranges, test_error));
    for (char *end; *columns && *columns != '\n'; columns = end, i++) {
        const long first = strtol(columns, &end, 10), last = *end == '-' ? strtol(end + 1, &end, 10) : first;
        expect(end > columns, "no columns: %s", columns);
        expect(i < num_ranges && ranges[2 * i] == first && ranges[2 * i + 1] - 1 == last, "row %d is without %ld-%ld", row,
               first, last);
        count += (uint64_t)(last - first + 1);
    }
    expect(i == num_ranges, "row %d has more than its %zu ranges", row, i);
    free(ranges);
    return count;
}

static void check_formula(const rmask *mask, const char *expression)
{
    rmask *wanted;
    expect_ok(rmask_parse(expression, rmask_rows(mask), rmask_cols(mask), NULL, &wanted, test_error));
    check_equal(mask, wanted, true);
    if ((int64_t)rmask_rows(mask) * rmask_cols(mask) < 1000000) {
        twin *t = twin_of(wanted);
        check_rows(mask, t);
        twin_free(t);
    }
    rmask_release(wanted);
}

void golden_check(const rmask *mask, const char *name)
{
    FILE *text = fopen(golden_path(name, "txt"), "r");
    expect(text != NULL, "%s: %s", golden_path(name, "txt"), strerror(errno));
    char line[65536], made_of[GOLDEN_LINE];
    int rows, cols, row, begin, num_facts = 0;
    uint64_t count = 0;
    bool by_formula = false;
    golden_made_of(mask, made_of);
    while (fgets(line, sizeof line, text)) {
        expect(strchr(line, '\n') != NULL, "%s: a line that is too long", name);
        *strchr(line, '\n') = '\0';
        begin = 0;
        if (line[0] == '#') continue;
        if (sscanf(line, "grid %d x %d", &rows, &cols) == 2) {
            expect(rmask_rows(mask) == rows && rmask_cols(mask) == cols, "%s: the grid", name);
            num_facts++;
        } else if (strncmp(line, "made of", 7) == 0) {
            expect(strcmp(line, made_of) == 0, "%s is %s", name, made_of);
            num_facts++;
        } else if (strncmp(line, "cells ", 6) == 0) {
            check_formula(mask, line + 6);
            by_formula = true;
        } else {
            expect(sscanf(line, "row %d:%n", &row, &begin) == 1 && begin > 0, "%s: \"%s\"?", name, line);
            count += check_row_text(mask, row, line + begin);
        }
    }
    fclose(text);
    expect(num_facts == 2, "%s: a text without grid or sections", name);
    expect(by_formula || count == rmask_count(mask), "%s has %llu cells, its rows %llu", name,
           (unsigned long long)rmask_count(mask), (unsigned long long)count);
}
