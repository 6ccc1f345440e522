/* Nanoseconds for a compression, on every path: best of several runs. Not a test. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "../../csrc/merkle.h"
#include "../../csrc/transcript.h"

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return 1e9 * (double)t.tv_sec + (double)t.tv_nsec;
}

/* The best of many short runs of `repeat` times the statement: other work on the machine spoils whole runs. */
#define MEASURE(name, repeat, units, statement)                                       \
    do {                                                                              \
        double best = 1e300;                                                          \
        for (int run = 0; run < 300; run++) {                                          \
            double start = now();                                                     \
            for (int rep = 0; rep < (repeat); rep++) { statement; }                   \
            double t = (now() - start) / (repeat);                                    \
            if (t < best) best = t;                                                   \
        }                                                                             \
        printf("  %-46s %10.1f ns a compression %12.0f ns in all\n", name, best / (units), best); \
    } while (0)

#define BIG ((size_t)1 << 16)
static uint32_t values[320 * (BIG + 16)];
static uint8_t digests[BIG * 64];

static void bench_path(const char *name, const apr_hash_kernels *k) {
    printf("%s\n", name);
    MEASURE("nodes, 4096 of 64 bytes", 1, 4096., k->hash_many(apr_key_node, (uint8_t *)values, 64, 64, 4096, digests));
    for (size_t count = 1; count <= 16; count *= 2) {
        char label[40];
        snprintf(label, sizeof label, "nodes, %zu of 64 bytes", count);
        MEASURE(label, 100, (double)count, k->hash_many(apr_key_node, (uint8_t *)values, 64, 64, count, digests));
    }
    for (uint32_t w = 2; w <= 5; w += 3) {
        char label[40];
        double blocks = (32. * w + 63) / 64;
        blocks = (double)(int)blocks;
        snprintf(label, sizeof label, "octets, %u columns, k = 2^5, B = 8", w);
        apr_matrix tiny = {values, NULL, 256, w, 5, 3, 3};
        MEASURE(label, 20, 32 * blocks, k->hash_leaves(&tiny, 0, 32, digests));
        snprintf(label, sizeof label, "octets, %u columns, k = 2^13, B = 8", w);
        apr_matrix large = {values, NULL, BIG + 16, w, 13, 3, 3};
        MEASURE(label, 1, 2048 * blocks, k->hash_leaves(&large, 0, 2048, digests));
    }
    apr_matrix wide = {values, NULL, BIG + 16, 300, 13, 3, 0};
    MEASURE("rows, 300 columns, padded stride", 1, 256 * 20., k->hash_leaves(&wide, 0, 256, digests));
    wide.stride = BIG;
    MEASURE("rows, 300 columns, stride 2^16", 1, 256 * 20., k->hash_leaves(&wide, 0, 256, digests));
    MEASURE("grind, a nonce", 1, 4096., k->grind(apr_key_trace, 32, 1000, 4096));
}

int main(void) {
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) values[i] = (uint32_t)(i * 2654435761u) % FP_P;
    bench_path("portable", apr_hash_kernels_for(APR_PATH_PORTABLE));
    bench_path("avx2", apr_hash_kernels_for(APR_PATH_AVX2));
    if (apr_use_avx512(APR_PATH_AUTO)) bench_path("avx512", apr_hash_kernels_for(APR_PATH_AVX512));
    printf("one message\n");
    uint8_t digest[64] = {0};
    MEASURE("64 bytes", 200, 1., apr_blake3_keyed(apr_key_node, digest, 64, digest));
    MEASURE("1024 bytes", 20, 16., apr_blake3_keyed(apr_key_node, values, 1024, digest));
    MEASURE("1 MiB", 1, 16384., apr_blake3_keyed(apr_key_node, values, 1 << 20, digest));
    apr_transcript t;
    fx e;
    apr_transcript_init(&t);
    MEASURE("transcript: absorb 64 bytes, one element", 100, 2.,
            (apr_transcript_absorb(&t, APR_TAG_TRACE_CAP, digest, 64), apr_transcript_elements(&t, &e, 1)));
    uint32_t indices[100];
    MEASURE("transcript: 30 indices of 2^10", 50, 3., apr_transcript_indices(&t, indices, 30, 10));
    MEASURE("transcript: 100 indices of 2^20", 10, 7., apr_transcript_indices(&t, indices, 100, 20));
    return (int)(digest[0] + e.c[0]) < 0;
}
