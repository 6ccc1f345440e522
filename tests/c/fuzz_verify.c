/* libFuzzer: arbitrary bytes as an AIR, and as a proof for a few fixed AIRs. Nothing may crash, read outside its bytes, or be accepted
 * (an input that the mutator could only reach by copying an honest proof is not in the corpus). */
#include <stdlib.h>

#include "airs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const aprover_air *fixed_air(uint32_t which, test_air *encoding) {
    static _Alignas(64) uint8_t memory[2][1 << 16];
    static int ready[2];
    static uint32_t trace[40 << 7];
    if (which == 0) fibonacci_air(encoding, 5, 20, trace);
    else power_air(encoding, 7, 40, 3, 2, trace);
    if (!ready[which]) {
        CHECK(aprover_air_memory(encoding->words, encoding->count) <= sizeof memory[which]);
        CHECK(aprover_air_load(encoding->words, encoding->count, memory[which], sizeof memory[which], NULL) == APROVER_OK);
        ready[which] = 1;
    }
    return (const aprover_air *)(void *)memory[which];
}

static void load_air(const uint8_t *data, size_t size) {
    const size_t count = size / 4;
    uint32_t *words = malloc(4 * count + 1);
    memcpy(words, data, 4 * count);
    const size_t bytes = aprover_air_memory(words, count);
    if (bytes > 0 && bytes < 1 << 26) {
        void *memory = aligned_alloc(64, (bytes + 63) & ~(size_t)63);
        aprover_shape shape;
        if (aprover_air_load(words, count, memory, bytes, NULL) == APROVER_OK) aprover_air_shape(memory, &shape);
        free(memory);
    }
    free(words);
}

static void verify(uint32_t which, const uint8_t *data, size_t size) {
    static test_air encoding;
    const aprover_air *air = fixed_air(which, &encoding);
    aprover_parameters parameters;
    uint8_t *proof = malloc(size + 1); /* a block of its own, so that reading past the end is seen */
    memcpy(proof, data, size);
    if (aprover_proof_parameters(air, proof, size, &parameters, NULL) == APROVER_OK) {
        const size_t bytes = aprover_verify_memory(air, &parameters);
        void *memory = aligned_alloc(64, (bytes + 63) & ~(size_t)63);
        CHECK(aprover_verify(air, encoding.publics, data, 0, proof, size, memory, bytes, 0, NULL) != APROVER_OK);
        free(memory);
    }
    free(proof);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) return 0;
    if (data[0] % 3 == 2) load_air(data + 1, size - 1);
    else verify(data[0] % 3, data + 1, size - 1);
    return 0;
}
