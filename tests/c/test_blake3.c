/* BLAKE3: official vectors, streaming, and the eight-lane kernels against one message at a time, on every path. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../csrc/blake3_internal.h"
#include "../../csrc/field.h"
#include "blake3_vectors.h"

#define CHECK(condition)                                                        \
    do {                                                                        \
        if (!(condition)) {                                                     \
            printf("FAILED %s:%d %s\n", __FILE__, __LINE__, #condition);        \
            exit(1);                                                            \
        }                                                                       \
    } while (0)

static const uint8_t official_key[32] = {"whats the Elvish word for friend"};
enum { PATHS = 3 };
static const enum apr_path paths[PATHS] = {APR_PATH_PORTABLE, APR_PATH_AVX2, APR_PATH_AVX512};
static uint8_t input[1 << 18];

static uint64_t random_state = 88172645463325252u;
static uint32_t random_word(void) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)(random_state >> 16);
}

static void from_hex(const char *hex, uint8_t *out, size_t length) {
    for (size_t i = 0; i < length; i++) {
        unsigned byte;
        CHECK(sscanf(hex + 2 * i, "%2x", &byte) == 1);
        out[i] = (uint8_t)byte;
    }
}

/* One shot, extended output and the kernels give the official digests. */
static void test_official_vectors(void) {
    for (size_t i = 0; i < sizeof input; i++) input[i] = (uint8_t)(i % 251);
    for (size_t v = 0; v < sizeof blake3_vectors / sizeof blake3_vectors[0]; v++) {
        uint8_t expected[131], digest[32], blocks[192];
        size_t length = blake3_vectors[v].length;
        from_hex(blake3_vectors[v].hex, expected, 131);
        apr_blake3_keyed(official_key, input, length, digest);
        CHECK(memcmp(digest, expected, 32) == 0);

        apr_blake3 state;
        apr_blake3_init(&state, official_key);
        apr_blake3_update(&state, input, length);
        for (uint64_t b = 3; b-- > 0;) apr_blake3_output(&state, b, blocks + 64 * b);
        CHECK(memcmp(blocks, expected, 131) == 0);

        for (int p = 0; p < PATHS; p++) {
            uint8_t digests[9 * 32];
            apr_hash_kernels_for(paths[p])->hash_many(official_key, input, 0, length, 9, digests);
            for (int i = 0; i < 9; i++) CHECK(memcmp(digests + 32 * i, expected, 32) == 0);
        }
    }
}

/* The compression of one block is the same on every path, for any counter, length and flags. */
static void test_compress_paths(void) {
#if APR_HAVE_AVX2_BUILD
    if (!apr_use_avx2(APR_PATH_AVX2)) return;
    for (int round = 0; round < 2000; round++) {
        uint32_t cv[8], m[16], one[16], two[16];
        uint8_t block[64];
        for (int i = 0; i < 8; i++) cv[i] = random_word();
        for (int i = 0; i < 16; i++) m[i] = random_word();
        memcpy(block, m, 64);
        uint64_t counter = (uint64_t)random_word() << 32 | random_word();
        uint32_t length = random_word() % 65, flags = random_word() % 32;
        apr_blake3_expand_portable(cv, block, length, counter, flags, one);
        apr_blake3_expand_avx2(cv, block, length, counter, flags, two);
        CHECK(memcmp(one, two, 64) == 0);
        memcpy(two, cv, 32); /* in place */
        apr_blake3_compress_avx2(two, block, length, counter, flags, two);
        CHECK(memcmp(one, two, 32) == 0);
        if (apr_use_avx512(APR_PATH_AVX512)) {
            apr_blake3_expand_avx512(cv, block, length, counter, flags, two);
            CHECK(memcmp(one, two, 64) == 0);
            memcpy(two, cv, 32);
            apr_blake3_compress_avx512(two, block, length, counter, flags, two);
            CHECK(memcmp(one, two, 32) == 0);
        }
        apr_blake3_compress_portable(cv, block, length, counter, flags, cv);
        CHECK(memcmp(one, cv, 32) == 0);
    }
#endif
}

/* Eight chunks at once equal the compression of their blocks one by one, also where the chunk number needs its high word. */
static void test_chunks(void) {
    static const uint64_t firsts[] = {0, 8, 0xfffffff8u, 0x100000000u, 0x123456789abcde00u};
    for (size_t f = 0; f < sizeof firsts / sizeof firsts[0]; f++) {
        uint32_t key[8], expected[8][8], cvs[8][8];
        memcpy(key, official_key, 32);
        for (size_t i = 0; i < 8; i++) {
            memcpy(expected[i], key, 32);
            for (uint32_t b = 0; b < 16; b++) {
                uint32_t flags = APR_B3_KEYED | (b == 0 ? APR_B3_CHUNK_START : 0) | (b == 15 ? APR_B3_CHUNK_END : 0);
                apr_blake3_compress_portable(expected[i], input + f + 1024 * i + 64 * b, 64, firsts[f] + i, flags, expected[i]);
            }
        }
        apr_blake3_chunks8_portable(key, input + f, firsts[f], cvs);
        CHECK(memcmp(cvs, expected, sizeof cvs) == 0);
#if APR_HAVE_AVX2_BUILD
        if (!apr_use_avx2(APR_PATH_AVX2)) continue;
        apr_blake3_chunks8_avx2(key, input + f, firsts[f], cvs);
        CHECK(memcmp(cvs, expected, sizeof cvs) == 0);
        if (!apr_use_avx512(APR_PATH_AVX512)) continue;
        apr_blake3_chunks8_avx512(key, input + f, firsts[f], cvs);
        CHECK(memcmp(cvs, expected, sizeof cvs) == 0);
#endif
    }
}

/* However a message is cut into updates, its digest is that of the whole. */
static void test_streaming_splits(void) {
    for (int round = 0; round < 400; round++) {
        size_t length = random_word() % (round % 4 == 0 ? 100000 : 5000), done = 0;
        size_t largest = 1 + random_word() % (round % 3 == 0 ? 70 : 20000);
        uint8_t expected[32], block[64];
        apr_blake3 state;
        apr_blake3_init(&state, official_key);
        while (done < length) {
            size_t take = random_word() % (largest + 1);
            if (round % 5 == 0 && random_word() % 2) take = 1024;
            if (take > length - done) take = length - done;
            apr_blake3_update(&state, input + done, take);
            done += take;
            if (random_word() % 4 == 0) apr_blake3_output(&state, 0, block); /* must not disturb the state */
        }
        apr_blake3_output(&state, 0, block);
        apr_blake3_keyed(official_key, input, length, expected);
        CHECK(memcmp(block, expected, 32) == 0);
    }
}

/* hash_many equals one message at a time for any length, step and count; it writes nothing beyond its digests, and reads
 * nothing beyond the last message (which the sanitizer checks). */
static void test_hash_many(const apr_hash_kernels *kernels) {
    for (size_t i = 0; i < sizeof input; i++) input[i] = (uint8_t)random_word();
    for (size_t round = 0; round < 700; round++) {
        size_t length = round < 200 ? round : random_word() % (round % 2 ? 5000 : 300);
        if (round % 7 == 0) length = 64;
        size_t step = length + random_word() % 70, count = random_word() % 20;
        uint8_t out[21 * 32], expected[32];
        memset(out, 0xa5, sizeof out);
        size_t bytes = count == 0 ? 1 : 1 + step * (count - 1) + length;
        uint8_t *messages = malloc(bytes);
        CHECK(messages != NULL);
        memcpy(messages, input, bytes);
        kernels->hash_many(official_key, messages + 1, step, length, count, out);
        free(messages);
        for (size_t i = 0; i < count; i++) {
            apr_blake3_keyed(official_key, input + 1 + step * i, length, expected);
            CHECK(memcmp(out + 32 * i, expected, 32) == 0);
        }
        for (size_t i = 32 * count; i < sizeof out; i++) CHECK(out[i] == 0xa5);
    }
}

#define MAX_POSITIONS 1024
#define MAX_COLUMNS 600
static uint32_t matrix_values[MAX_COLUMNS * (MAX_POSITIONS + 5)];

static uint32_t matrix_salts[APR_SALT_WORDS * (MAX_POSITIONS + 5)];

static apr_matrix random_matrix(uint32_t columns, uint32_t log_coset, uint32_t log_blowup, uint32_t log_arity, int salted) {
    size_t n = (size_t)1 << (log_coset + log_blowup);
    apr_matrix m = {matrix_values, salted ? matrix_salts : NULL, n + random_word() % 6, columns, log_coset, log_blowup, log_arity};
    for (size_t i = 0; i < sizeof matrix_salts / 4; i++) matrix_salts[i] = random_word();
    CHECK(m.stride * columns <= sizeof matrix_values / 4);
    for (size_t i = 0; i < m.stride * columns; i++) {
        uint32_t r = random_word();
        matrix_values[i] = r % 16 == 0 ? 0 : r % 16 == 1 ? FP_P - 1 : r % FP_P;
    }
    return m;
}

/* Leaf bytes as docs/protocol.md section 6 writes them, a value at a time. */
static void slow_leaf(const apr_matrix *m, size_t leaf, uint8_t out[32]) {
    static uint32_t words[8 * MAX_COLUMNS + APR_SALT_WORDS];
    const size_t k = (size_t)1 << m->log_coset, arity = (size_t)1 << m->log_arity, step = k / arity;
    size_t count = 0;
    for (size_t c = 0; c < m->columns; c++)
        for (size_t e = 0; e < arity; e++)
            words[count++] = fp_to_u32(m->values[c * m->stride + leaf / step * k + leaf % step + e * step]);
    for (size_t i = 0; m->salts != NULL && i < APR_SALT_WORDS; i++) words[count++] = m->salts[i * m->stride + leaf];
    CHECK(4 * count == apr_matrix_leaf_bytes(m));
    apr_blake3_keyed(apr_key_leaf, words, 4 * count, out);
}

static void check_leaves(const apr_hash_kernels *kernels, const apr_matrix *m, size_t first, size_t count) {
    static uint8_t out[(MAX_POSITIONS + 1) * 32];
    uint8_t expected[32];
    memset(out, 0xa5, sizeof out);
    kernels->hash_leaves(m, first, count, out);
    for (size_t i = 0; i < count; i++) {
        slow_leaf(m, first + i, expected);
        CHECK(memcmp(out + 32 * i, expected, 32) == 0);
    }
    for (size_t i = 32 * count; i < 32 * count + 32; i++) CHECK(out[i] == 0xa5);
}

static void check_slices(const apr_hash_kernels *kernels, const apr_matrix *m) {
    const size_t leaves = (size_t)1 << (m->log_coset + m->log_blowup - m->log_arity);
    check_leaves(kernels, m, 0, leaves);
    for (int s = 0; s < 4; s++) {
        size_t first = random_word() % leaves, count = random_word() % (leaves - first + 1);
        check_leaves(kernels, m, first, count);
    }
}

/* Leaves of every small height, blowup and arity, whole and in slices that start and end anywhere; rows with salts too. */
static void test_leaves(const apr_hash_kernels *kernels) {
    static const uint32_t widths[] = {1, 2, 3, 5, 16, 17, 32, 33, 70};
    for (uint32_t log_coset = 3; log_coset <= 8; log_coset++)
        for (uint32_t log_blowup = 0; log_blowup <= 3 && log_coset + log_blowup <= 9; log_blowup++)
            for (size_t w = 0; w < sizeof widths / sizeof widths[0]; w++) {
                if (widths[w] > 5 && log_coset > 6) continue;
                for (uint32_t log_arity = 0; log_arity <= 3; log_arity++) {
                    const apr_matrix m = random_matrix(widths[w], log_coset, log_blowup, log_arity, 0);
                    check_slices(kernels, &m);
                }
                const apr_matrix salted = random_matrix(widths[w], log_coset, log_blowup, 0, 1);
                check_slices(kernels, &salted);
            }
    static const uint32_t wide[] = {252, 253, 255, 256, 257, 300, 508, 512, 513, 600};
    for (size_t w = 0; w < sizeof wide / sizeof wide[0]; w++) {
        for (int salted = 0; salted < 2; salted++) {
            const apr_matrix rows = random_matrix(wide[w], 4, 1, 0, salted);
            check_leaves(kernels, &rows, 0, 32);
            check_leaves(kernels, &rows, 3, 21);
        }
        for (uint32_t log_arity = 1; log_arity <= 3; log_arity++) {
            const apr_matrix cosets = random_matrix(wide[w], 4, 1, log_arity, 0);
            check_leaves(kernels, &cosets, 0, 32 >> log_arity);
        }
    }
}

static int nonce_is_valid(const uint8_t key[32], uint32_t bits, uint64_t nonce) {
    uint8_t bytes[8], digest[32];
    uint64_t word = 0;
    for (int i = 0; i < 8; i++) bytes[i] = (uint8_t)(nonce >> (8 * i));
    apr_blake3_keyed(key, bytes, 8, digest);
    for (int i = 0; i < 8; i++) word |= (uint64_t)digest[i] << (8 * i);
    return (word & (((uint64_t)1 << bits) - 1)) == 0;
}

/* grind finds the smallest valid nonce of its range, and says so when there is none. */
static void test_grind(const apr_hash_kernels *kernels) {
    static const uint64_t starts[] = {0, 5, 0xfffffffcu, 0x7ffffffffff0u};
    for (int round = 0; round < 60; round++) {
        uint8_t key[32];
        for (int i = 0; i < 32; i++) key[i] = (uint8_t)random_word();
        uint32_t bits = (uint32_t)round % 10;
        uint64_t first = starts[round % 4], count = random_word() % 3000, expected = first;
        while (expected < first + count && !nonce_is_valid(key, bits, expected)) expected++;
        CHECK(kernels->grind(key, bits, first, count) == expected);
        uint64_t short_of_it = expected - first > 0 ? expected - first - 1 : 0;
        CHECK(kernels->grind(key, bits, first, short_of_it) == first + short_of_it);
    }
    CHECK(kernels->grind(official_key, 32, 0, 1000) == 1000);
}

int main(void) {
    test_official_vectors();
    test_compress_paths();
    test_chunks();
    test_streaming_splits();
    for (int p = 0; p < PATHS; p++) {
        const apr_hash_kernels *kernels = apr_hash_kernels_for(paths[p]);
        test_hash_many(kernels);
        test_leaves(kernels);
        test_grind(kernels);
    }
    printf("ok blake3\n");
    return 0;
}
