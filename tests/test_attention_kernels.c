/* SPDX-License-Identifier: Apache-2.0
 * The vector work of attention, each tier that this machine has, against libm and plain loops: conversions on every number,
 * exponentials and hyperbolic tangents on many, and the small products that stand in for libxsmm. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attention/kernels.h"
#include "support/problem.h"

/* Those of the tier that is forced: ctest forces each in turn. */
static const rmask_attention_kernels *the_kernels(void) { return rmask_attention_kernels_get(); }

static void the_tier_is_the_librarys(void **state)
{
    (void)state;
    const char *tier = rmask_simd_tier(), *name = the_kernels()->name;
    if (strcmp(tier, "avx2") == 0 || strcmp(tier, "avx512") == 0)
        expect(strcmp(name, tier) == 0, "%s for %s", name, tier);
    else
        expect(strcmp(name, "plain") == 0, "%s for %s", name, tier);
}

/* ---------------------------------------------------------------- conversions */

static bool same_number(double a, double b) { return isnan(b) ? isnan(a) : a == b && signbit(a) == signbit(b); }

static void every_half_widens_and_comes_back(void **state)
{
    (void)state;
    enum { AT_ONCE = 37 };
    for (int dtype = RMASK_BFLOAT16; dtype <= RMASK_FLOAT16; dtype++)
        for (uint32_t first = 0; first < 65536; first += AT_ONCE) {
            uint16_t halves[AT_ONCE + 1], back[AT_ONCE + 1];
            float wide[AT_ONCE + 1];
            const uint32_t count = 65536 - first < AT_ONCE ? 65536 - first : AT_ONCE;
            for (uint32_t i = 0; i < count; i++) halves[i] = (uint16_t)(first + i);
            wide[count] = 77, back[count] = 77;
            the_kernels()->widen(wide, halves, (rmask_dtype)dtype, count);
            the_kernels()->narrow(back, wide, (rmask_dtype)dtype, count);
            for (uint32_t i = 0; i < count; i++) {
                const double wanted = number_at(&halves[i], (rmask_dtype)dtype);
                expect(same_number((double)wide[i], wanted), "dtype %d, %04x: %g, wanted %g", dtype, halves[i], (double)wide[i],
                       wanted);
                expect(isnan(wanted) ? isnan(number_at(&back[i], (rmask_dtype)dtype)) : back[i] == halves[i],
                       "dtype %d, %04x comes back as %04x", dtype, halves[i], back[i]);
            }
            expect(wide[count] == 77 && back[count] == 77, "written past the end");
        }
}

/* The nearest of the two halves around x, the even one in the middle: found among all by their values, which ascend with their
 * bits. */
static uint16_t nearest(double x, rmask_dtype dtype)
{
    const uint16_t infinity = dtype == RMASK_BFLOAT16 ? 0x7f80 : 0x7c00, sign = signbit(x) ? 0x8000 : 0;
    const double magnitude = fabs(x);
    uint16_t low = 0, high = infinity;
    while (high - low > 1) {
        const uint16_t middle = (uint16_t)((low + high) / 2);
        if (number_at(&middle, dtype) <= magnitude)
            low = middle;
        else
            high = middle;
    }
    /* Infinity rounds as the number that would come next. */
    const double below = number_at(&low, dtype),
                 above = high == infinity ? ldexp(1, dtype == RMASK_BFLOAT16 ? 128 : 16) : number_at(&high, dtype);
    const double up = magnitude - below, down = above - magnitude;
    return sign | (magnitude >= above || up > down || (up == down && (high & 1) == 0) ? high : low);
}

static void narrowing_rounds_to_nearest_even(void **state)
{
    (void)state;
    rng random = rng_here();
    for (int dtype = RMASK_BFLOAT16; dtype <= RMASK_FLOAT16; dtype++)
        for (int i = 0; i < 400000; i++) {
            /* Around every number of the narrow kind, and anywhere. */
            uint32_t bits = (uint32_t)rng_next(&random);
            const uint16_t half = (uint16_t)rng_next(&random);
            float x = (float)number_at(&half, (rmask_dtype)dtype);
            if (i % 4 == 0 && isfinite(x)) {
                memcpy(&bits, &x, sizeof bits);
                bits += (uint32_t)(i % 3 == 0 ? dtype == RMASK_BFLOAT16 ? 0x8000 : 0x1000 : 0) + (uint32_t)(i / 4 % 3) - 1;
            }
            memcpy(&x, &bits, sizeof x);
            uint16_t got;
            the_kernels()->narrow(&got, &x, (rmask_dtype)dtype, 1);
            if (isnan(x))
                expect(isnan(number_at(&got, (rmask_dtype)dtype)), "dtype %d, NaN %08x becomes %04x", dtype, bits, got);
            else
                expect(got == nearest((double)x, (rmask_dtype)dtype), "dtype %d, %.9g: %04x, wanted %04x", dtype, (double)x,
                       got, nearest((double)x, (rmask_dtype)dtype));
        }
}

/* ---------------------------------------------------------------- exponentials */

static void exponentials(void **state)
{
    (void)state;
    double worst = 0;
    for (double x = -140; x <= 0; x += 0.000913) {
        float score[2] = {(float)x, 0}, max = 0, sum = 0, factor;
        the_kernels()->softmax_row(score, 2, &max, &sum, &factor);
        const double wanted = exp2((double)(float)x);
        if ((float)x < -126)
            expect(score[0] == 0 || fabs((double)score[0] - wanted) < 0x1p-126, "2^%g is %g", x, (double)score[0]);
        else
            worst = fmax(worst, fabs((double)score[0] / wanted - 1));
        expect(score[1] == 1 && factor == 1 && max == 0, "the largest score weighs %g", (double)score[1]);
    }
    expect(worst < 2.5e-7, "relative error %g", worst);
}

static void caps(void **state)
{
    (void)state;
    for (int c = 0; c < 4; c++) {
        const float cap = (const float[]){1, 30, 50, 0.01f}[c];
        double worst = 0;
        for (double x = -100; x <= 100; x += 0.00731) {
            float score = (float)x;
            the_kernels()->cap(&score, 1, cap);
            worst = fmax(worst, fabs((double)score / (double)cap - tanh((double)(float)x)));
        }
        expect(worst < 3e-7, "tanh is off by %g under a cap of %g", worst, (double)cap);
        float odd[3] = {INFINITY, -INFINITY, NAN};
        the_kernels()->cap(odd, 3, cap);
        expect(odd[0] == cap && odd[1] == -cap && isnan(odd[2]), "infinities become %g and %g, NaN %g", (double)odd[0],
               (double)odd[1], (double)odd[2]);
    }
}

/* ---------------------------------------------------------------- softmax */

/* Both layouts, in pieces, against exponentials and sums of everything at once. Some rows begin with nothing at all. */
static void running_softmax(void **state)
{
    (void)state;
    enum { KEYS = 50 };
    rng random = rng_here();
    for (int lanes = 16; lanes <= 64; lanes += 16)
        for (int round = 0; round < 20; round++) {
            static float scores[KEYS * 64], column[KEYS];
            float max[64], sum[64], factor[64];
            double whole[64], kept[64];
            for (int lane = 0; lane < lanes; lane++) max[lane] = -INFINITY, sum[lane] = 0, whole[lane] = 0, kept[lane] = 0;
            static float held[KEYS * 64];
            for (int i = 0; i < KEYS * lanes; i++)
                held[i] = scores[i] = rng_chance(&random, 0.3) || (i / lanes < 10 && i % 3 == 0)
                                          ? -INFINITY
                                          : (float)rng_between(&random, -900, 900) / 64;
            for (int key = 0; key < KEYS;) {
                const int n = (int)rng_between(&random, 1, KEYS - key);
                const bool changed = the_kernels()->softmax_lanes(scores + key * lanes, n, lanes, max, sum, factor);
                bool any = false;
                for (int lane = 0; lane < lanes; lane++) {
                    any |= factor[lane] != 1;
                    kept[lane] *= (double)factor[lane];
                    for (int k = key; k < key + n; k++) kept[lane] += (double)scores[k * lanes + lane];
                }
                expect(changed == any, "says %d", changed);
                key += n;
            }
            for (int lane = 0; lane < lanes; lane++) {
                float top = -INFINITY, row_max = -INFINITY, row_sum = 0, row_factor;
                for (int key = 0; key < KEYS; key++) {
                    column[key] = held[key * lanes + lane];
                    top = fmaxf(top, column[key]);
                }
                for (int key = 0; key < KEYS && top > -INFINITY; key++) whole[lane] += exp2((double)column[key] - (double)top);
                for (int key = 0; key < KEYS; key += 25)
                    the_kernels()->softmax_row(column + key, 25, &row_max, &row_sum, &row_factor);
                expect(max[lane] == top && row_max == top, "maxima %g and %g, wanted %g", (double)max[lane], (double)row_max,
                       (double)top);
                expect(fabs((double)sum[lane] - whole[lane]) <= 1e-6 * whole[lane], "sum %g, wanted %g", (double)sum[lane],
                       whole[lane]);
                expect(fabs((double)row_sum - whole[lane]) <= 1e-6 * whole[lane], "sum of a row %g, wanted %g", (double)row_sum,
                       whole[lane]);
                expect(fabs(kept[lane] - whole[lane]) <= 1e-6 * whole[lane], "weights sum up to %g, wanted %g", kept[lane],
                       whole[lane]);
            }
        }
}

/* ---------------------------------------------------------------- products */

static float *some_floats(size_t count, rng *random)
{
    float *floats = must_allocate(count * sizeof *floats);
    for (size_t i = 0; i < count; i++)
        floats[i] = (float)rng_between(random, -64, 64) / 8; /* products and sums of these are exact */
    return floats;
}

static void products(void **state)
{
    (void)state;
    rng random = rng_here();
    for (int round = 0; round < 300; round++) {
        const int lanes = 16 * (int)rng_between(&random, 1, 4), outer = (int)rng_between(&random, 1, 40),
                  depth = (int)rng_between(&random, 1, 70);
        const bool columns = rng_chance(&random, 0.5), add = rng_chance(&random, 0.5);
        const ptrdiff_t b_outer = columns ? 1 : depth + 3, b_inner = columns ? outer + 5 : 1;
        note("%d lanes, %d x %d%s%s", lanes, outer, depth, columns ? ", columns" : "", add ? ", added" : "");
        float *a = some_floats((size_t)depth * (size_t)lanes, &random),
              *c = some_floats((size_t)outer * (size_t)lanes, &random);
        float *b = some_floats((size_t)((outer - 1) * b_outer + (depth - 1) * b_inner + 1), &random);
        float *wanted = must_allocate((size_t)outer * (size_t)lanes * sizeof *wanted);
        for (int j = 0; j < outer; j++)
            for (int lane = 0; lane < lanes; lane++) {
                float sum = add ? c[j * lanes + lane] : 0;
                for (int i = 0; i < depth; i++) sum += a[i * lanes + lane] * b[j * b_outer + i * b_inner];
                wanted[j * lanes + lane] = sum;
            }
        the_kernels()->product(a, b, b_outer, b_inner, c, lanes, outer, depth, add);
        expect(memcmp(c, wanted, (size_t)outer * (size_t)lanes * sizeof *c) == 0, "another product");
        free(a), free(b), free(c), free(wanted);
    }
}

/* One query against keys of every dtype, by rows and by columns, and weighted sums of values. */
static void dots_and_sums(void **state)
{
    (void)state;
    rng random = rng_here();
    for (int round = 0; round < 400; round++) {
        const int dim = (int)rng_between(&random, 1, 200), keys = (int)rng_between(&random, 1, 70);
        const rmask_dtype dtype = (rmask_dtype)rng_below(&random, 3);
        const bool columns = rng_chance(&random, 0.3);
        const ptrdiff_t token_stride = columns ? 1 : dim + rng_below(&random, 3),
                        dim_stride = columns ? keys + 1 + rng_below(&random, 3) : 1;
        note("dim %d, %d keys, dtype %d%s", dim, keys, dtype, columns ? ", columns" : "");
        const size_t room = (size_t)((keys - 1) * token_stride + (dim - 1) * dim_stride + 1),
                     size = dtype == RMASK_FLOAT32 ? 4 : 2;
        float *numbers = some_floats(room, &random), *query = some_floats((size_t)dim, &random),
              *out = some_floats((size_t)dim, &random);
        float *weights = some_floats((size_t)keys, &random), *scores = some_floats((size_t)keys, &random);
        char *stored = must_allocate(room * size);
        the_kernels()->narrow(stored, numbers, dtype, room);
        the_kernels()->dot_keys(query, dim, stored, dtype, token_stride, dim_stride, keys, scores);
        for (int k = 0; k < keys; k++) {
            float sum = 0;
            for (int d = 0; d < dim; d++) sum += query[d] * numbers[k * token_stride + d * dim_stride];
            expect(scores[k] == sum, "key %d: %g, wanted %g", k, (double)scores[k], (double)sum);
        }
        if (!columns) {
            float *wanted = must_allocate((size_t)dim * sizeof *wanted);
            for (int d = 0; d < dim; d++) {
                wanted[d] = out[d];
                for (int k = 0; k < keys; k++) wanted[d] += weights[k] * numbers[k * token_stride + d];
            }
            the_kernels()->add_values(out, dim, weights, stored, dtype, token_stride, keys);
            expect(memcmp(out, wanted, (size_t)dim * sizeof *out) == 0, "another sum of values");
            free(wanted);
        }
        free(numbers), free(query), free(out), free(weights), free(scores), free(stored);
    }
}

static void peak(void **state)
{
    (void)state;
    const double flops = rmask_attention_peak_flops();
    expect(flops > 1e7 && flops < 1e13, "%g operations a second", flops);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_tier_is_the_librarys),
        cmocka_unit_test(every_half_widens_and_comes_back),
        cmocka_unit_test(narrowing_rounds_to_nearest_even),
        cmocka_unit_test(exponentials),
        cmocka_unit_test(caps),
        cmocka_unit_test(running_softmax),
        cmocka_unit_test(products),
        cmocka_unit_test(dots_and_sums),
        cmocka_unit_test(peak),
    };
    return run_test_program(tests);
}
