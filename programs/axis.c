/* SPDX-License-Identifier: Apache-2.0
 *
 * The arithmetic of a picture's sides, and their numbers. */
#include "axis.h"
#include "cli.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct axis axis_parse(const char *option, const char *range, int32_t size)
{
    if (range == NULL)
        return (struct axis){0, size, 0};
    char *colon, *end;
    long long first = strtoll(range, &colon, 10);
    bool valid = colon != range && *colon == ':';
    long long last = valid ? strtoll(colon + 1, &end, 10) : 0;
    if (!valid || end == colon + 1 || *end != '\0' || first < 0 || first >= last || last > size)
        cli_die(CLI_USAGE, "%s must be A:B with 0 <= A < B <= %d, not '%s'", option, size, range);
    return (struct axis){(int32_t)first, (int32_t)last, 0};
}

int32_t axis_length(struct axis axis)
{
    return axis.end - axis.begin;
}

int32_t axis_edge(struct axis axis, int32_t i)
{
    return (int32_t)(axis.begin + (int64_t)i * axis_length(axis) / axis.fields);
}

int32_t axis_largest_field(struct axis axis)
{
    return axis.fields > 0 ? (int32_t)(((int64_t)axis_length(axis) + axis.fields - 1) / axis.fields) : 0;
}

int64_t axis_round_step(double step)
{
    for (int64_t power = 1;; power *= 10)
        for (int64_t digit = 1; digit <= 5; digit += digit == 1 ? 1 : 3)
            if ((double)(digit * power) >= step)
                return digit * power;
}

char *axis_label(char label[AXIS_LABEL_SIZE], uint64_t number)
{
    char digits[AXIS_LABEL_SIZE];
    int length = snprintf(digits, sizeof digits, "%" PRIu64, number);
    char *end = label;
    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0)
            *end++ = ',';
        *end++ = digits[i];
    }
    *end = '\0';
    return label;
}

char *axis_short_label(char label[AXIS_LABEL_SIZE], uint64_t number)
{
    static const struct {
        uint64_t size;
        char name;
    } units[] = {{1000000000, 'G'}, {1000000, 'M'}, {1000, 'k'}};
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        uint64_t tenths = number / (units[i].size / 10);
        if (tenths < 10 || tenths * (units[i].size / 10) != number)
            continue;
        int length = snprintf(label, AXIS_LABEL_SIZE, "%" PRIu64, tenths / 10);
        if (tenths % 10 != 0)
            length += snprintf(label + length, AXIS_LABEL_SIZE - (size_t)length, ".%" PRIu64, tenths % 10);
        snprintf(label + length, AXIS_LABEL_SIZE - (size_t)length, "%c", units[i].name);
        return label;
    }
    return axis_label(label, number);
}
