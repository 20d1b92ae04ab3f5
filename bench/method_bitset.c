/* SPDX-License-Identifier: Apache-2.0
 * A bit a cell, rows padded to 64-bit words. */
#include "heap.h"
#include "method.h"
#include "sorted.h"

#include <string.h>

struct bitset {
    int32_t rows, cols;
    size_t row_words;
    uint64_t *words; /* rows * row_words */
};

static size_t words_for(int32_t cols)
{
    return ((size_t)cols + 63) / 64;
}

static size_t num_words(const struct bitset *bitset)
{
    return (size_t)bitset->rows * bitset->row_words;
}

static const uint64_t *row_of(const struct bitset *bitset, int32_t row)
{
    return bitset->words + (size_t)row * bitset->row_words;
}

static struct bitset *bitset_create(int32_t rows, int32_t cols)
{
    struct bitset *bitset = bench_alloc(sizeof *bitset);
    *bitset = (struct bitset){rows, cols, words_for(cols), NULL};
    bitset->words = bench_alloc(num_words(bitset) * 8);
    return bitset;
}

static size_t bitset_estimate(const struct bench_csr *csr)
{
    return (size_t)csr->rows * words_for(csr->cols) * 8;
}

static void *bitset_build(const struct bench_csr *csr)
{
    struct bitset *bitset = bitset_create(csr->rows, csr->cols);
    memset(bitset->words, 0, num_words(bitset) * 8);
    for (int32_t row = 0; row < csr->rows; row++) {
        uint64_t *words = bitset->words + (size_t)row * bitset->row_words;
        int64_t end = csr->indptr[row + 1];
        for (int64_t i = csr->indptr[row]; i < end;) {
            int32_t col = csr->indices[i];
            bool run = col % 64 == 0 && i + 63 < end && csr->indices[i + 63] == col + 63;
            words[col / 64] |= run ? UINT64_MAX : UINT64_C(1) << col % 64;
            i += run ? 64 : 1;
        }
    }
    return bitset;
}

static void bitset_release(void *mask)
{
    bench_free(((struct bitset *)mask)->words);
    bench_free(mask);
}

BENCH_CLONES static size_t bitset_row(const void *mask, int32_t row, int32_t *out)
{
    const struct bitset *bitset = mask;
    const uint64_t *words = row_of(bitset, row);
    int32_t *end = out;
    for (size_t i = 0; i < bitset->row_words; i++)
        if (words[i])
            end = sorted_emit_word(end, words[i], (int32_t)(64 * i));
    return (size_t)(end - out);
}

BENCH_CLONES static size_t bitset_row_and(const void *mask, int32_t row_a, int32_t row_b, int32_t *out)
{
    const struct bitset *bitset = mask;
    const uint64_t *a = row_of(bitset, row_a), *b = row_of(bitset, row_b);
    int32_t *end = out;
    for (size_t i = 0; i < bitset->row_words; i++)
        if (a[i] & b[i])
            end = sorted_emit_word(end, a[i] & b[i], (int32_t)(64 * i));
    return (size_t)(end - out);
}

BENCH_CLONES static void and_words(uint64_t *restrict out, const uint64_t *restrict a, const uint64_t *restrict b, size_t count)
{
    for (size_t i = 0; i < count; i++)
        out[i] = a[i] & b[i];
}

static void *bitset_and(const void *mask_a, const void *mask_b)
{
    const struct bitset *a = mask_a, *b = mask_b;
    struct bitset *out = bitset_create(a->rows, a->cols);
    and_words(out->words, a->words, b->words, num_words(a));
    return out;
}

static void bitset_to_csr(const void *mask, int64_t *indptr, int32_t *indices)
{
    const struct bitset *bitset = mask;
    indptr[0] = 0;
    for (int32_t row = 0; row < bitset->rows; row++)
        indptr[row + 1] = indptr[row] + (int64_t)bitset_row(mask, row, indices + indptr[row]);
}

static size_t bitset_serialized_bytes(const void *mask)
{
    return 8 + num_words(mask) * 8;
}

static void bitset_serialize(const void *mask, void *buffer)
{
    const struct bitset *bitset = mask;
    memcpy(buffer, bitset, 8);
    memcpy((char *)buffer + 8, bitset->words, num_words(bitset) * 8);
}

static void *bitset_deserialize(const void *buffer, size_t num_bytes)
{
    int32_t shape[2];
    memcpy(shape, buffer, 8);
    struct bitset *bitset = bitset_create(shape[0], shape[1]);
    memcpy(bitset->words, (const char *)buffer + 8, num_bytes - 8);
    return bitset;
}

const struct bench_method bench_bitset = {
    .name = "bitset",
    .estimate_bytes = bitset_estimate,
    .build_rows = bitset_build,
    .release = bitset_release,
    .row = bitset_row,
    .row_and = bitset_row_and,
    .mask_and = bitset_and,
    .to_csr = bitset_to_csr,
    .serialized_bytes = bitset_serialized_bytes,
    .serialize = bitset_serialize,
    .deserialize = bitset_deserialize,
};
