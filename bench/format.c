/* SPDX-License-Identifier: Apache-2.0
 * Numbers as a person reads them: three digits that matter, and a unit. */
#include "format.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static struct format with_unit(double value, const char *separator, const char *unit)
{
    struct format out;
    int decimals = value >= 99.95 || value == floor(value) ? 0 : value >= 9.995 ? 1 : 2;
    snprintf(out.text, sizeof out.text, "%.*f%s%s", decimals, value, separator, unit);
    return out;
}

static struct format none(void)
{
    return (struct format){"-"};
}

struct format format_bytes(double num_bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    int unit = 0;
    if (isnan(num_bytes))
        return none();
    for (; num_bytes >= 1023.5 && unit < 4; unit++)
        num_bytes /= 1024;
    return with_unit(num_bytes, " ", units[unit]);
}

struct format format_ns(double ns)
{
    static const char *const units[] = {"ns", "us", "ms", "s"};
    int unit = 0;
    if (isnan(ns))
        return none();
    for (; ns >= 999.5 && unit < 3; unit++)
        ns /= 1000;
    return with_unit(ns, " ", units[unit]);
}

struct format format_count(uint64_t count)
{
    char digits[24];
    struct format out;
    char *to = out.text;
    int length = snprintf(digits, sizeof digits, "%" PRIu64, count);
    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0)
            *to++ = ',';
        *to++ = digits[i];
    }
    *to = '\0';
    return out;
}

struct format format_factor(double factor)
{
    if (isnan(factor))
        return none();
    struct format out;
    if (factor < 0.095) {
        snprintf(out.text, sizeof out.text, "%.1gx", factor);
        return out;
    }
    if (factor < 99.95)
        return with_unit(factor, "", "x");
    out = format_count(factor < 1e18 ? (uint64_t)(factor + 0.5) : UINT64_MAX);
    strcat(out.text, "x");
    return out;
}

struct format format_number(double value)
{
    return isnan(value) ? none() : with_unit(value, "", "");
}

struct format format_percent(double share)
{
    return with_unit(share * 100, "", "%");
}
