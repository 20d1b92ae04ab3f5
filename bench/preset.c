/* SPDX-License-Identifier: Apache-2.0
 * The presets: the published configurations, the same grown, and the patterns of the literature at 16,384 blocks. */
#include "preset.h"

#include "clock.h"
#include "heap.h"
#include "pattern.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "a, b, c": `count` distinct numbers below `bound`, increasing. The caller frees it. */
static char *draw_list(int32_t count, int32_t bound, uint64_t *state)
{
    bool *drawn = bench_alloc_zeroed((size_t)bound, sizeof *drawn);
    for (int32_t left = count; left > 0;) {
        bool *number = &drawn[bench_random_below(state, bound)];
        left -= !*number;
        *number = true;
    }
    char *text = bench_alloc((size_t)count * 12 + 1), *end = text;
    for (int32_t number = 0; number < bound; number++)
        if (drawn[number])
            end += sprintf(end, "%s%" PRId32, end == text ? "" : ", ", number);
    bench_free(drawn);
    return text;
}

static char *vertical_slash(int32_t num_blocks, uint64_t seed)
{
    char *columns = draw_list(1000, num_blocks, &seed);
    char *diagonals = draw_list(200, num_blocks, &seed);
    char *text = bench_pattern_format("causal & (columns(%s) | diagonals(%s) | window(4))", columns, diagonals);
    bench_free(columns);
    bench_free(diagonals);
    return text;
}

/* Packed documents of 2 to 512 blocks, short ones as frequent as long ones by octaves; causal inside each. */
static char *documents(int32_t num_blocks, uint64_t seed)
{
    char *lengths = bench_alloc((size_t)num_blocks * 12 + 1), *end = lengths;
    for (int32_t left = num_blocks, length; left > 0; left -= length) {
        int32_t octave = 1 << bench_random_below(&seed, 9);
        length = octave + bench_random_below(&seed, octave) + 1;
        length = length < left ? length : left;
        end += sprintf(end, "%s%" PRId32, end == lengths ? "" : ", ", length);
    }
    char *text = bench_pattern_format("causal & documents(%s)", lengths);
    bench_free(lengths);
    return text;
}

static const struct bench_published published_seed = {
    .dense_bytes = "976 KB", .coo_bytes = "3.78 MB", .roaring_bytes = "674 KB",
    .dense_query = "3.1 ms", .roaring_query = "0.4 ms", .dense_intersection = "1.7 ms", .roaring_intersection = "0.3 ms",
};
static const struct bench_published published_100k = {
    .dense_bytes = "37.25 MB", .coo_bytes = "15.20 MB", .roaring_bytes = "3.76 MB",
};
static const struct bench_published published_1m = {
    .dense_bytes = "3.64 GB", .coo_bytes = "307 MB", .roaring_bytes = "70.63 MB",
    .dense_query = "16.0 ms", .roaring_query = "0.5 ms", .dense_intersection = "21.1 ms", .roaring_intersection = "0.3 ms",
    .dense_build = "6.34 s", .roaring_build = "0.62 s",
};

/* Three of the literature's patterns, at 16 tokens a block: BigBird's two global, three local and three random blocks a row;
 * Longformer's two-sided window of 512 tokens and a few global tokens; a prefix of a quarter of the context that all see. */
const struct bench_preset bench_presets[] = {
    {"seed", "16k tokens: window 128, 16 global, 0.1% random", 1000, NULL, NULL, 128, 16, 0.99, &published_seed},
    {"100k", "100k tokens: window 128, 16 global, 0.1% random", 6250, NULL, NULL, 128, 16, 0.99, &published_100k},
    {"1m-structured", "1M tokens: window 512, 64 global", 62500, NULL, NULL, 512, 64, 1, NULL},
    {"1m", "1M tokens: window 512, 64 global, 0.1% random", 62500, NULL, NULL, 512, 64, 0.99, &published_1m},
    {"1m-causal-random", "1M tokens: window 128, 16 global, 1% random, causal", 62500, NULL,
     "causal & (global(16) | window(64, 63) | random(0.01))", 0, 0, 0, NULL},
    {"1m-vertical-slash", "1M tokens: 1,000 columns, 200 diagonals, causal", 62500, vertical_slash, NULL, 0, 0, 0, NULL},
    {"bigbird", "262k tokens: 2 global, window 3, 3 random a row", 16384, NULL,
     "global(2) | window(1, 1) | random(0.0002)", 0, 0, 0, NULL},
    {"longformer", "262k tokens: 1 global, window 33", 16384, NULL, "global(1) | window(16, 16)", 0, 0, 0, NULL},
    {"dilated", "262k tokens: window 8, every 4th of 1,024", 16384, NULL, "window(8) | dilated(256, 4)", 0, 0, 0, NULL},
    {"documents", "262k tokens: packed documents, causal in each", 16384, documents, NULL, 0, 0, 0, NULL},
    {"prefix", "262k tokens: a prefix of a quarter, then causal", 16384, NULL, "prefix(4096)", 0, 0, 0, NULL},
    {"random-1", "262k tokens: 1% random", 16384, NULL, "random(0.01)", 0, 0, 0, NULL},
    {"random-5", "262k tokens: 5% random", 16384, NULL, "random(0.05)", 0, 0, 0, NULL},
    {"random-20", "262k tokens: 20% random", 16384, NULL, "random(0.2)", 0, 0, 0, NULL},
};
const int bench_num_presets = sizeof bench_presets / sizeof *bench_presets;

bool bench_preset_is_named(const char *list, const struct bench_preset *preset)
{
    size_t length = strlen(preset->name);
    for (const char *at = list; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL)
        if (strcspn(at, ",") == length && strncmp(at, preset->name, length) == 0)
            return true;
    return strcmp(list, "all") == 0;
}

char *bench_preset_expression(const struct bench_preset *preset, uint64_t seed)
{
    if (preset->expression)
        return preset->expression(preset->num_blocks, seed);
    if (preset->pattern)
        return bench_pattern_reseed(preset->pattern, seed);
    return bench_pattern_published(preset->num_blocks, preset->window_size, preset->global_tokens, preset->sparsity, seed);
}
