/* SPDX-License-Identifier: Apache-2.0
 * Other programs' files as bytes: what is written is read again, variants that others write are read, and whatever else comes
 * is refused. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "convert/convert.h"
#include "support/generate.h"
#include "support/ways.h"

/* ---------------------------------------------------------------- files in memory */

typedef struct file {
    uint8_t *at;
    size_t num_bytes, room;
    size_t fail_at; /* bytes at which the disk is full; 0: never */
} file;

static int append(void *context, const void *data, size_t num_bytes)
{
    file *f = context;
    if (f->fail_at && f->num_bytes + num_bytes >= f->fail_at) return 28; /* ENOSPC */
    if (f->room - f->num_bytes < num_bytes) {
        f->room = 2 * f->room + num_bytes;
        f->at = realloc(f->at, f->room);
        expect(f->at != NULL, "out of memory");
    }
    if (num_bytes) memcpy(f->at + f->num_bytes, data, num_bytes);
    f->num_bytes += num_bytes;
    return 0;
}

typedef rmask_status reader(const void *data, size_t num_bytes, const convert_progress *progress, rmask **out,
                            rmask_error *error);
typedef rmask_status writer(const rmask *mask, rmask_writer write, void *context, const convert_progress *progress,
                            rmask_error *error);

static const struct {
    const char *name;
    reader *read;
    writer *write;
} formats[] = {
    {"npy", npy_read, npy_write},
    {"npz", npz_read, npz_write_csr},
    {"npz-coo", npz_read, npz_write_coo},
    {"mtx", mtx_read, mtx_write},
};
enum { NPY, NPZ, NPZ_COO, MTX, NUM_FORMATS };

static void count_reports(void *context, uint64_t done, uint64_t total)
{
    expect(done <= total, "%llu of %llu done", (unsigned long long)done, (unsigned long long)total);
    ++*(int *)context;
}

static file file_of(int format, const rmask *mask)
{
    file f = {0};
    int num_reports = 0;
    const convert_progress progress = {count_reports, &num_reports};
    expect_ok(formats[format].write(mask, append, &f, &progress, test_error));
    expect(num_reports > 0 || rmask_count(mask) == 0, "no progress");
    return f;
}

static void masks_come_back(void **state)
{
    (void)state;
    rng random = rng_here();
    for (int kind = 0; kind < NUM_KINDS; kind++)
        for (int i = 0; i < num_small_shapes + 3; i++) {
            const shape s = i < num_small_shapes ? shapes[i] : shapes[rng_below(&random, num_shapes)];
            twin *t = generate(kind, s.rows, s.cols, &random);
            rmask *mask = make_plain(t), *back;
            for (int format = 0; format < NUM_FORMATS; format++) {
                note("%s of %s %d x %d", formats[format].name, kind_name(kind), s.rows, s.cols);
                file f = file_of(format, mask);
                expect_ok(formats[format].read(f.at, f.num_bytes, NULL, &back, test_error));
                check_rows_release(back, t);
                free(f.at);
            }
            rmask_release(mask), twin_free(t);
        }
}

static void full_disks_are_told(void **state)
{
    (void)state;
    rng random = rng_here();
    twin *t = generate_named("random 20%", 200, 300, &random);
    rmask *mask = make_plain(t);
    for (int format = 0; format < NUM_FORMATS; format++) {
        file whole = file_of(format, mask);
        for (size_t fail_at = 1; fail_at < whole.num_bytes; fail_at += whole.num_bytes / 5) {
            file f = {.fail_at = fail_at};
            note("%s, full at byte %zu", formats[format].name, fail_at);
            expect_fails(RMASK_ERR_IO, formats[format].write(mask, append, (f.num_bytes = 0, &f), NULL, test_error));
            expect(strstr(test_error->message, "No space left on device") != NULL, "%s", test_error->message);
            free(f.at);
        }
        free(whole.at);
    }
    rmask_release(mask), twin_free(t);
}

/* Structure that cells could not tell in time: a wide and a high grid, nearly empty. */
static void large_grids(void **state)
{
    (void)state;
    const int32_t rows[] = {0, 1, 2}, cols[] = {RMASK_MAX_SIDE - 1, 5, 0};
    rmask *mask, *back;
    expect_ok(rmask_from_coo(3, RMASK_MAX_SIDE, rows, cols, 3, NULL, &mask, test_error));
    for (int format = NPZ; format < NUM_FORMATS; format++) {
        file f = file_of(format, mask);
        expect(f.num_bytes < 2000, "%zu bytes", f.num_bytes);
        expect_ok(formats[format].read(f.at, f.num_bytes, NULL, &back, test_error));
        check_equal(mask, back, true);
        rmask_release(back), free(f.at);
    }
    rmask_release(mask);
}

/* ---------------------------------------------------------------- what others write */

/* A .npy of this version around the items. */
static file npy_file(int version, const char *dictionary, const void *items, size_t num_bytes)
{
    file f = {0};
    const uint32_t length = (uint32_t)strlen(dictionary);
    const uint8_t start[] = {0x93, 'N', 'U', 'M', 'P', 'Y', (uint8_t)version, 0};
    append(&f, start, sizeof start);
    append(&f, &length, version == 1 ? 2 : 4);
    append(&f, dictionary, length);
    append(&f, items, num_bytes);
    return f;
}

static void expect_npy(const char *dictionary, const void *items, size_t num_bytes, int32_t rows, int32_t cols,
                       const char *cells)
{
    for (int version = 1; version <= 3; version++) {
        file f = npy_file(version, dictionary, items, num_bytes);
        rmask *mask;
        note("version %d, %s", version, dictionary);
        expect_ok(npy_read(f.at, f.num_bytes, NULL, &mask, test_error));
        expect(rmask_rows(mask) == rows && rmask_cols(mask) == cols, "%d x %d", rmask_rows(mask), rmask_cols(mask));
        for (int32_t i = 0; i < rows * cols; i++)
            expect(rmask_contains(mask, i / cols, i % cols) == (cells[i] == '1'), "cell %d", i);
        rmask_release(mask), free(f.at);
    }
}

static void arrays_of_every_type(void **state)
{
    (void)state;
    const uint8_t bytes[] = {0, 1, 255, 2, 0, 0};
    expect_npy("{'descr': '|b1', 'fortran_order': False, 'shape': (2, 3), }", bytes, 6, 2, 3, "011100");
    expect_npy("{'descr': '|u1', 'fortran_order': False, 'shape': (2, 3), }", bytes, 6, 2, 3, "011100");
    expect_npy("{\"shape\":(3,2),\"fortran_order\":True,\"descr\":\"|i1\"}\n", bytes, 6, 3, 2, "011010");
    expect_npy("{'shape': (2, 3,), 'descr': '|u1', 'fortran_order': True}  \n", bytes, 6, 2, 3, "010110");
    const int16_t shorts[] = {0, -1, 256, 0};
    expect_npy("{'descr': '<i2', 'fortran_order': False, 'shape': (1, 4), }", shorts, sizeof shorts, 1, 4, "0110");
    expect_npy("{'descr': '>u2', 'fortran_order': False, 'shape': (4, 1), }", shorts, sizeof shorts, 4, 1, "0110");
    const int64_t longs[] = {0, INT64_MIN, 1, INT64_C(1) << 40};
    expect_npy("{'descr': '<i8', 'fortran_order': False, 'shape': (2, 2), }", longs, sizeof longs, 2, 2, "0111");
    expect_npy("{'descr': '>i8', 'fortran_order': True, 'shape': (2, 2), }", longs, sizeof longs, 2, 2, "0111");
    const uint32_t words[] = {0, 0x80000000, 0x00000080, 1};
    expect_npy("{'descr': '<u4', 'fortran_order': False, 'shape': (1, 4), }", words, sizeof words, 1, 4, "0111");
    expect_npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1, 4), }", words, sizeof words, 1, 4, "0011"); /* -0.0 */
    expect_npy("{'descr': '>f4', 'fortran_order': False, 'shape': (1, 4), }", words, sizeof words, 1, 4, "0101");
    const uint16_t halves[] = {0, 0x8000, 0x7e00, 1}; /* 0, -0.0, nan, the smallest */
    expect_npy("{'descr': '<f2', 'fortran_order': False, 'shape': (1, 4), }", halves, sizeof halves, 1, 4, "0011");
    const double doubles[] = {0, -0.0, 1e-320, -3};
    expect_npy("{'descr': '<f8', 'fortran_order': True, 'shape': (4, 1), }", doubles, sizeof doubles, 4, 1, "0011");
    expect_npy("{'descr': '=f8', 'fortran_order': False, 'shape': (0, 7), }", NULL, 0, 0, 7, "");
    expect_npy("{'descr': '<f8', 'fortran_order': True, 'shape': (2147483647, 0), }", NULL, 0, RMASK_MAX_SIDE, 0, "");
}

static void large_arrays_in_fortran_order(void **state)
{
    (void)state;
    rng random = rng_here();
    twin *t = generate_named("random 20%", 200, 130, &random);
    uint32_t *items = must_allocate(200 * 130 * sizeof *items);
    for (int32_t row = 0; row < 200; row++)
        for (int32_t col = 0; col < 130; col++) items[col * 200 + row] = twin_at(t, row)[col] ? 0x01000000 : 0;
    file f = npy_file(2, "{'descr': '>u4', 'fortran_order': True, 'shape': (200, 130), }", items, 200 * 130 * sizeof *items);
    rmask *mask;
    expect_ok(npy_read(f.at, f.num_bytes, NULL, &mask, test_error));
    check_rows_release(mask, t);
    free(items), free(f.at), twin_free(t);
}

static void expect_mtx(const char *text, int32_t rows, int32_t cols, const char *cells)
{
    rmask *mask;
    note("%s", text);
    expect_ok(mtx_read(text, strlen(text), NULL, &mask, test_error));
    expect(rmask_rows(mask) == rows && rmask_cols(mask) == cols, "%d x %d", rmask_rows(mask), rmask_cols(mask));
    for (int32_t i = 0; i < rows * cols; i++)
        expect(rmask_contains(mask, i / cols, i % cols) == (cells[i] == '1'), "cell %d", i);
    rmask_release(mask);
}

static void matrices_of_every_field(void **state)
{
    (void)state;
    expect_mtx("%%MatrixMarket matrix coordinate pattern general\n2 3 2\n1 3\n2 1\n", 2, 3, "001100");
    expect_mtx("%%matrixmarket MATRIX Coordinate Pattern GENERAL\r\n% a comment\r\n\r\n%\r\n 2\t3  2 \r\n\r\n1 3\r\n2 1", 2, 3,
               "001100");
    expect_mtx("%%MatrixMarket matrix coordinate real general\n2 2 4\n1 1 -1.5e-3\n1 2 0.0\n2 1 -0\n2 2 nan\n", 2, 2, "1001");
    expect_mtx("%%MatrixMarket matrix coordinate integer general\n2 2 3\n1 1 7\n1 2 0\n1 1 0\n\n\n", 2, 2, "1000");
    expect_mtx("%%MatrixMarket matrix coordinate integer symmetric\n3 3 3\n1 1 7\n3 1 2\n3 2 0\n", 3, 3, "101000100");
    expect_mtx("%%MatrixMarket matrix coordinate real skew-symmetric\n2 2 1\n2 1 2\n", 2, 2, "0110");
    expect_mtx("%%MatrixMarket matrix coordinate complex hermitian\n2 2 2\n2 1 0 1\n1 1 0 0\n", 2, 2, "0110");
    expect_mtx("%%MatrixMarket matrix coordinate pattern general\n0 0 0\n", 0, 0, "");
}

/* ---------------------------------------------------------------- distrust */

static void expect_refused(int format, const void *data, size_t num_bytes, const char *words)
{
    rmask *out;
    expect_makes_nothing(RMASK_ERR_FORMAT, out, formats[format].read(data, num_bytes, NULL, &out, test_error));
    expect(strstr(test_error->message, words) != NULL, "\"%s\" does not say \"%s\"", test_error->message, words);
}

static void expect_npy_refused(const char *dictionary, const char *words)
{
    const uint8_t items[6] = {0};
    note("%s", dictionary);
    file f = npy_file(1, dictionary, items, sizeof items);
    expect_refused(NPY, f.at, f.num_bytes, words);
    free(f.at);
}

static void arrays_that_are_no_masks(void **state)
{
    (void)state;
    expect_refused(NPY, "", 0, "does not begin");
    expect_refused(NPY, "\x93NUMPY\x04\0", 8, "version 4");
    expect_refused(NPY, "\x93NUMPY\x01\0\xff", 9, "goes beyond its end at byte 9");
    expect_refused(NPY, "\x93NUMPY\x01\0\xff\xff{}", 12, "65535 bytes at byte 10 goes beyond its end at byte 12");
    expect_refused(NPY, "\x93NUMPY\x02\0\xff\xff\xff\xff{}", 14, "4294967295 bytes at byte 12");
    expect_npy_refused("", "no dictionary at byte 10");
    expect_npy_refused("{}", "lacks 'descr', 'fortran_order' or 'shape' at byte 12");
    expect_npy_refused("{'descr': '|b1', 'fortran_order': False, }", "lacks");
    expect_npy_refused("{'descr': '|b1', 'descr': '|b1', 'fortran_order': False, 'shape': (2, 3)}", "second time, at byte 27");
    expect_npy_refused("{'descr': '|b1', 'rank': 2}", "an unknown key");
    expect_npy_refused("{'descr': '|b1' 'shape': (2, 3)}", "no comma");
    expect_npy_refused("{'descr' '|b1'}", "no colon");
    expect_npy_refused("{'descr: |b1}", "a string without end");
    expect_npy_refused("{descr: '|b1'}", "no string at byte 11");
    expect_npy_refused("{'descr': '|O', 'fortran_order': False, 'shape': (2, 3)}",
                       "Python objects, which are not read, at byte 19");
    expect_npy_refused("{'descr': [('a', '<i4')], 'fortran_order': False, 'shape': (2, 3)}", "records");
    expect_npy_refused("{'descr': '<c8', 'fortran_order': False, 'shape': (2, 3)}", "neither bool, integer nor floating-point");
    expect_npy_refused("{'descr': '<M8[s]', 'fortran_order': False, 'shape': (2, 3)}", "neither bool");
    expect_npy_refused("{'descr': '<f16', 'fortran_order': False, 'shape': (2, 3)}", "numbers of a size that is not read");
    expect_npy_refused("{'descr': '|f1', 'fortran_order': False, 'shape': (2, 3)}", "numbers of a size");
    expect_npy_refused("{'descr': '<i3', 'fortran_order': False, 'shape': (2, 1)}", "numbers of a size");
    expect_npy_refused("{'descr': '<b2', 'fortran_order': False, 'shape': (1, 3)}", "numbers of a size");
    expect_npy_refused("{'descr': '|S1', 'fortran_order': False, 'shape': (2, 3)}", "text");
    expect_npy_refused("{'descr': '', 'fortran_order': False, 'shape': (2, 3)}", "an unknown type");
    expect_npy_refused("{'descr': '|b1', 'fortran_order': 0, 'shape': (2, 3)}", "neither True nor False");
    expect_npy_refused("{'descr': '|b1', 'fortran_order': False, 'shape': (2, 4)}", "does not fit the 6 bytes of items");
    expect_npy_refused("{'descr': '|b1', 'fortran_order': False, 'shape': (2, 2)}", "does not fit");
    expect_npy_refused("{'descr': '<i2', 'fortran_order': False, 'shape': (2, 3)}", "does not fit");
    expect_npy_refused("{'descr': '|b1', 'fortran_order': False, 'shape': (65536, 65536)}", "does not fit");
    expect_npy_refused("{'descr': '<i8', 'fortran_order': False, 'shape': (2147483647, 2147483647)}", "does not fit");
    expect_npy_refused("{'descr': '|b1', 'fortran_order': False, 'shape': (2147483648, 0)}", "a side of more than 2^31 - 1");
    expect_npy_refused("{'descr': '|b1', 'fortran_order': False, 'shape': (99999999999999999999, 1)}",
                       "a number that is too large");
    expect_npy_refused("{'descr': '|b1', 'fortran_order': False, 'shape': (-2, 3)}", "no number");
    expect_npy_refused("{'descr': '|b1', 'fortran_order': False, 'shape': (6,)}", "an array of 1 dimensions");
    expect_npy_refused("{'descr': '|b1', 'fortran_order': False, 'shape': (1, 2, 3)}", "more than two dimensions");
    expect_npy_refused("{'descr': '|b1', 'fortran_order': False, 'shape': (2, 3)} x", "something behind the dictionary");
}

static void expect_mtx_refused(const char *text, const char *words)
{
    note("%s", text);
    expect_refused(MTX, text, strlen(text), words);
}

static void matrices_that_make_no_sense(void **state)
{
    (void)state;
    const char banner[] = "%%MatrixMarket matrix coordinate pattern general\n"; /* 49 bytes */
    char text[256];
    expect_mtx_refused("", "%%MatrixMarket");
    expect_mtx_refused("%%MatrixMarket vector coordinate pattern general\n", "'matrix' at byte 15");
    expect_mtx_refused("%%MatrixMarket matrix array real general\n2 2\n1\n0\n0\n1\n",
                       "'coordinate', the only one that is read, at byte 22");
    expect_mtx_refused("%%MatrixMarket matrix coordinate double general\n", "an unknown field at byte 33");
    expect_mtx_refused("%%MatrixMarket matrix coordinate real cyclic\n", "an unknown symmetry at byte 38");
    expect_mtx_refused("%%MatrixMarket matrix coordinate pattern general twice\n", "behind the banner at byte 49");
    expect_mtx_refused("%%MatrixMarket matrix coordinate real symmetric\n2 3 0\n", "not square");
    static const char *const rest[][2] = {
        {"", "no number of rows up to 2^31 - 1 at byte 49"},
        {"% only a comment", "no number of rows up to 2^31 - 1 at byte 65"},
        {"2147483648 1 0\n", "no number of rows up to 2^31 - 1 at byte 49"},
        {"2 x 0\n", "no number of columns up to 2^31 - 1 at byte 51"},
        {"2 -3 0\n", "no number of columns"},
        {"2 2\n", "no number of entries at byte 52"},
        {"2 2 99999999999999999999\n", "no number of entries"},
        {"2 2 4000000000\n1 1\n", "more entries than the file has room for at byte 53"},
        {"2 2 2\n1 1\n", "more entries than the file has room for"},
        {"2 2 1 1\n1 1\n", "something behind the sizes"},
        {"2 2 1\n1 3\n", "an entry outside of the matrix at byte 55"},
        {"2 2 1\n0 1\n", "an entry outside of the matrix"},
        {"2 2 1\n1 1 1\n", "something behind an entry"},
        {"2 2 1\n1\n1\n", "no column"},
        {"2 2 1\n1 1\n2 2\n", "something behind the last entry at byte 59"},
        {"2 2 2\n1 1\n%  \n", "no row"},
    };
    for (size_t i = 0; i < sizeof rest / sizeof rest[0]; i++) {
        snprintf(text, sizeof text, "%s%s", banner, rest[i][0]);
        expect_mtx_refused(text, rest[i][1]);
    }
    expect_mtx_refused("%%MatrixMarket matrix coordinate real general\n2 2 1\n1 1 one\n", "no value at byte 56");
    expect_mtx_refused("%%MatrixMarket matrix coordinate real general\n2 2 1\n1 1    \n", "no value");
    memset(text, 'x', 200);
    text[200] = '\0';
    expect_mtx_refused(text, "a word that is too long at byte 0");
}

/* Finds a number of 4 bytes, which says what follows. */
static uint8_t *find(file f, const char *signature, int which)
{
    for (size_t i = 0; i + 4 <= f.num_bytes; i++)
        if (memcmp(f.at + i, signature, 4) == 0 && which-- == 0) return f.at + i;
    expect(false, "there is no such record");
    return NULL;
}

/* A few hundred bytes that claim gigabytes are refused before there is memory for them. */
static void archives_that_claim_too_much(void **state)
{
    (void)state;
    enum { COMPRESSED_AT = 20, SIZE_AT = 24, METHOD_AT = 10 }; /* in a member's record of the zip's directory */
    rmask *mask;
    expect_ok(rmask_parse("causal", 20, 20, NULL, &mask, test_error));
    for (int member = 0; member < 5; member++) {
        const uint32_t size = 0xfffffff0;
        const uint16_t bzip2 = 12;
        file f = file_of(NPZ, mask);
        uint8_t *record = find(f, "PK\1\2", member);
        note("member %d", member);
        memcpy(record + SIZE_AT, &size, sizeof size);
        expect_refused(NPZ, f.at, f.num_bytes, "claims 4294967280 bytes out of ");
        memcpy(record + COMPRESSED_AT, &size, sizeof size);
        expect_refused(NPZ, f.at, f.num_bytes, "claims 4294967280 bytes out of 4294967280 compressed ones");
        memcpy(record + METHOD_AT, &bzip2, sizeof bzip2);
        expect_refused(NPZ, f.at, f.num_bytes, "a way that NumPy does not use");
        free(f.at);
    }
    rmask_release(mask);
}

/* Random damage, in files of exactly the bytes they have: a mask that agrees with itself, or a message. */
static void damaged_files(void **state)
{
    (void)state;
    rng random = rng_here();
    for (int i = 0; i < 40 * NUM_FORMATS; i++) {
        const int format = i % NUM_FORMATS;
        twin *t = generate_any(20, 30, &random);
        rmask *mask = make_plain(t), *out;
        file whole = file_of(format, mask);
        for (int repeat = 0; repeat < 50; repeat++) {
            const size_t n = rng_chance(&random, 0.3) ? (size_t)rng_below(&random, (int64_t)whole.num_bytes) : whole.num_bytes;
            uint8_t *damaged = must_allocate(n);
            memcpy(damaged, whole.at, n);
            for (int64_t left = rng_between(&random, 1, 4); left > 0 && n; left--)
                damaged[rng_below(&random, (int64_t)n)] =
                    (uint8_t)(rng_chance(&random, 0.5) ? '0' + rng_below(&random, 10) : (int64_t)(rng_next(&random) >> 56));
            note("%s, %d, damage %d", formats[format].name, i, repeat);
            const rmask_status status = formats[format].read(damaged, n, NULL, &out, test_error);
            expect(status == RMASK_OK ? out != NULL : !out && status == RMASK_ERR_FORMAT, "status \"%s\"",
                   rmask_status_name(status));
            if (out && rmask_rows(out) < 100000) check_consistent(out);
            rmask_release(out);
            free(damaged);
        }
        free(whole.at), rmask_release(mask), twin_free(t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(masks_come_back),          cmocka_unit_test(full_disks_are_told),
        cmocka_unit_test(large_grids),              cmocka_unit_test(arrays_of_every_type),
        cmocka_unit_test(large_arrays_in_fortran_order), cmocka_unit_test(matrices_of_every_field),
        cmocka_unit_test(arrays_that_are_no_masks), cmocka_unit_test(matrices_that_make_no_sense),
        cmocka_unit_test(archives_that_claim_too_much), cmocka_unit_test(damaged_files),
    };
    return run_test_program(tests);
}
