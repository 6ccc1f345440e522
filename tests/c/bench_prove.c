/* Whole proofs: CPU time of the best of a few runs, and how long a helper may have to stay in one task. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "airs.h"

static double seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void *aligned(size_t bytes) {
    void *memory = aligned_alloc(64, (bytes + 63) & ~(size_t)63);
    CHECK(memory != NULL);
    return memory;
}

static test_air encoding;

static void bench(const char *name, const uint32_t *trace, aprover_parameters parameters, int proofs) {
    static const uint8_t entropy[32] = {1};
    aprover_error error;
    const size_t air_bytes = aprover_air_memory(encoding.words, encoding.count);
    aprover_air *air = aligned(air_bytes);
    CHECK(aprover_air_load(encoding.words, encoding.count, air, air_bytes, &error) == APROVER_OK);
    const size_t arena_bytes = aprover_prove_memory(air, &parameters, 1, 0), capacity = aprover_proof_bound(air, &parameters);
    const size_t preprocess_bytes = aprover_preprocess_memory(air, &parameters);
    uint8_t *arena = aligned(arena_bytes), *proof = aligned(capacity), *memory = aligned(preprocess_bytes + 64);
    memset(arena, 0, 64);
    aprover_job job = {.air = air, .parameters = parameters, .entropy = entropy, .publics = encoding.publics, .arena = arena,
                       .arena_bytes = arena_bytes, .proof = proof, .proof_capacity = capacity};
    if (preprocess_bytes > 0) job.preprocessed = aprover_preprocess(air, &parameters, memory, preprocess_bytes, NULL, 0, &error);
    double best = 1e9;
    for (int run = 0; run < 5; run++) {
        double spent = 0;
        for (int i = 0; i < proofs; i++) {
            for (uint32_t t = 0; t < encoding.tables; t++)
                memcpy(aprover_prove_trace(&job, t), trace + encoding.trace[t], 4 * (encoding.trace[t + 1] - encoding.trace[t]));
            const double begun = seconds();
            CHECK(aprover_prove(&job, &error) == APROVER_OK);
            spent += seconds() - begun;
        }
        if (spent / proofs < best) best = spent / proofs;
    }
    printf("  %-52s %12.1f us %9zu bytes %8.1f MiB\n", name, 1e6 * best, job.proof_length, (double)arena_bytes / (1 << 20));
    free(air), free(arena), free(proof), free(memory);
}

int main(void) {
    enum { LARGEST = 20 };
    uint32_t *trace = malloc((size_t)4 * 7 << LARGEST);
    CHECK(trace != NULL);
    const uint32_t heights[] = {5, 10, 16, LARGEST};
    for (int i = 0; i < 4; i++) {
        const uint32_t h = heights[i], queries = h == 5 ? 12 : 60;
        const int proofs = h < 10 ? 500 : h < 16 ? 20 : 1;
        char name[80];
        fibonacci_air(&encoding, h, (1u << h) - 12, trace);
        snprintf(name, sizeof name, "2 columns of 2^%u rows", h);
        bench(name, trace, (aprover_parameters){h < 10 ? 3 : 1, 0, 0, 0, queries}, proofs);
        snprintf(name, sizeof name, "the same in zero knowledge");
        bench(name, trace, (aprover_parameters){h < 10 ? 3 : 1, 0, 0, APROVER_FLAG_ZERO_KNOWLEDGE, queries}, proofs);
        if (h > 16) continue;
        lookup_air(&encoding, h, h < 10 ? 4 : 8, 2, trace);
        snprintf(name, sizeof name, "lookups: tables of 2^%u, 2^%u and 2^%u rows", h, h < 10 ? 4u : 8u, h + 1);
        bench(name, trace, (aprover_parameters){h < 10 ? 3 : 1, 0, 0, 0, queries}, proofs);
    }
    free(trace);
    return 0;
}
