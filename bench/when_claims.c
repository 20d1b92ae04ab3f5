/* SPDX-License-Identifier: Apache-2.0
 * The published claims, each decided by counting the points where it is so. */
#include "suite_when.h"

#include "format.h"

#include <math.h>
#include <stdio.h>

/* A claim holds when it is so at this share of its points. */
static const double enough = 0.9;

enum { SHORT_TOKENS = 10000, LONG_TOKENS = 50000 };
static const double high_density = 0.2;

/* What a method must have less of to win at a point. */
enum stakes { BYTES_AND_ROWS, SET_OPERATIONS, SERIALISATION };

static int64_t tokens_of(const struct when_point *point)
{
    return (int64_t)point->num_blocks * WHEN_TOKENS_PER_BLOCK;
}

static bool is_structured(const struct when_point *point)
{
    return point->kind == WHEN_STRUCTURED;
}

static bool is_random(const struct when_point *point)
{
    return point->kind == WHEN_RANDOM;
}

static bool is_long(const struct when_point *point)
{
    return tokens_of(point) >= LONG_TOKENS;
}

static bool is_short(const struct when_point *point)
{
    return tokens_of(point) <= SHORT_TOKENS;
}

static bool is_dense_mask(const struct when_point *point)
{
    return point->density > high_density;
}

static bool is_any(const struct when_point *point)
{
    return point->measured;
}

static const struct claim {
    const char *text;
    bool (*concerns)(const struct when_point *point);
    enum stakes stakes;
    bool says_wins;
} claims[] = {
    {"wins on structured masks", is_structured, BYTES_AND_ROWS, true},
    {"wins from 50k tokens on", is_long, BYTES_AND_ROWS, true},
    {"wins in set operations", is_any, SET_OPERATIONS, true},
    {"wins in serialisation", is_any, SERIALISATION, true},
    {"loses above 20% density", is_dense_mask, BYTES_AND_ROWS, false},
    {"loses on random masks", is_random, BYTES_AND_ROWS, false},
    {"loses up to 10k tokens", is_short, BYTES_AND_ROWS, false},
};
enum { NUM_CLAIMS = sizeof claims / sizeof *claims, NUM_JUDGED = 2, NUM_YARDSTICKS = 2 };

static const struct bench_method *const judged[NUM_JUDGED] = {&bench_croaring, &bench_roarmask};

static bool has_less(const struct bench_method_result *a, const struct bench_method_result *b, enum bench_op op)
{
    return a->ns[op] < b->ns[op];
}

static bool beats(const struct bench_method_result *a, const struct bench_method_result *b, enum stakes stakes)
{
    switch (stakes) {
    case BYTES_AND_ROWS:
        return a->memory_bytes < b->memory_bytes && has_less(a, b, BENCH_QUERY) && has_less(a, b, BENCH_INTERSECTION);
    case SET_OPERATIONS:
        return has_less(a, b, BENCH_INTERSECTION) && has_less(a, b, BENCH_MASK_AND);
    default:
        return a->serialized_bytes < b->serialized_bytes && has_less(a, b, BENCH_ROUND_TRIP);
    }
}

struct count {
    int so, all;
};

/* The yardstick is dense alone, as published, or dense, bitset and csr together. */
static void count_point(struct count *count, const struct claim *claim, const struct when_point *point,
                        const struct bench_method *method, bool against_all)
{
    static const struct bench_method *const plain[] = {&bench_dense, &bench_bitset, &bench_csr};
    const struct bench_method_result *ours = when_find(point, method);
    if (!point->measured || !ours || !claim->concerns(point))
        return;
    int num_rivals = 0, num_beaten = 0;
    for (int i = 0; i < (against_all ? 3 : 1); i++) {
        const struct bench_method_result *rival = when_find(point, plain[i]);
        num_rivals += rival != NULL;
        num_beaten += rival && beats(ours, rival, claim->stakes);
    }
    if (num_rivals == 0)
        return;
    count->all++;
    count->so += (num_beaten == num_rivals) == claim->says_wins;
}

static struct count count_claim(const struct when_points *points, const struct claim *claim, const struct bench_method *method,
                                bool against_all)
{
    struct count count = {0, 0};
    for (int kind = 0; kind < WHEN_NUM_KINDS; kind++)
        for (int i = 0; i < WHEN_NUM_CONTEXTS; i++)
            for (int j = 0; j < WHEN_NUM_DENSITIES; j++)
                count_point(&count, claim, &points->at[kind][i][j], method, against_all);
    return count;
}

static const char *verdict(struct count count)
{
    if (count.all == 0)
        return "not measured";
    return count.so >= enough * count.all ? "holds" : "does not hold";
}

static void print_count(struct count count)
{
    char text[48];
    snprintf(text, sizeof text, "%s (%d of %d)", verdict(count), count.so, count.all);
    printf("%-28s", text);
}

void when_print_claims(const struct when_points *points, struct pool_factors pool)
{
    printf("\nClaims: each holds if it is so at %.0f of 10 points\n", enough * 10);
    printf("  %-26s%-28s%-28s%-28s%s\n", "published, of roaring", "croaring against dense", "against dense, bitset, csr",
           "roarmask against dense", "against dense, bitset, csr");
    for (int i = 0; i < NUM_CLAIMS; i++) {
        printf("  %-26s", claims[i].text);
        for (int m = 0; m < NUM_JUDGED; m++)
            for (int y = 0; y < NUM_YARDSTICKS; y++)
                print_count(count_claim(points, &claims[i], judged[m], y > 0));
        putchar('\n');
    }
    printf("  a block pool of it takes 2.3 times the memory of a free list: %s, %s\n", suite_block_pool_verdict(pool.memory),
           format_factor(pool.memory).text);
    printf("  ... and 4.6 times the time: %s, %s\n", suite_block_pool_verdict(pool.time), format_factor(pool.time).text);
    printf("  To win is to have less of all: bytes, row query and row intersection; in set operations row intersection and\n"
           "  mask AND; in serialisation bytes and the round trip.\n");
}

json_t *when_claims_json(const struct when_points *points, struct pool_factors pool)
{
    json_t *list = json_array();
    for (int i = 0; i < NUM_CLAIMS; i++)
        for (int m = 0; m < NUM_JUDGED; m++)
            for (int y = 0; y < NUM_YARDSTICKS; y++) {
                struct count count = count_claim(points, &claims[i], judged[m], y > 0);
                json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s, s:i, s:i}", "claim", claims[i].text, "method",
                                                      judged[m]->name, "against", y > 0 ? "dense, bitset, csr" : "dense",
                                                      "verdict", verdict(count), "points_so", count.so, "points", count.all));
            }
    const double factors[] = {pool.memory, pool.time};
    for (int i = 0; i < 2; i++)
        json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s, s:o}", "claim",
                                              i == 0 ? "block pool takes more memory" : "block pool is slower", "method",
                                              "croaring", "against", "free list", "verdict",
                                              suite_block_pool_verdict(factors[i]), "factor",
                                              isnan(factors[i]) ? json_null() : json_real(factors[i])));
    return list;
}
