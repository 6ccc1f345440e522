/* libFuzzer: arbitrary bytes as an AIR, as a proof, and as changes to an honest proof of a few fixed AIRs. Nothing may crash, read outside
 * its bytes, or be accepted but the honest proof itself. */
#include "proofs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const honest_proof *fixed_proof(uint32_t kind) {
    static honest_proof proofs[PROOF_KINDS];
    if (proofs[kind].proof == NULL) make_proof(&proofs[kind], kind, 0);
    return &proofs[kind];
}

static void load_words(const uint32_t *words, size_t count) {
    const size_t bytes = aprover_air_memory(words, count);
    if (bytes == 0 || bytes >= 1 << 26) return;
    void *memory = aligned_block(bytes);
    if (aprover_air_load(words, count, memory, bytes, NULL) == APROVER_OK) {
        const aprover_parameters parameters = {1, 0, 0, words[count - 1] & 3, 1 + words[0] % 64};
        aprover_proof_shape shape;
        aprover_shape totals;
        aprover_air_shape(memory, &totals);
        aprover_proof_shape_of(memory, &parameters, &shape);
    }
    free(memory);
}

/* Changes, each a u16 place and a byte: put in the place of what stands there. */
static void change(uint8_t *bytes, size_t length, const uint8_t *changes, size_t size) {
    for (; size >= 3; changes += 3, size -= 3) bytes[(changes[0] | (size_t)changes[1] << 8) % length] = changes[2];
}

static void load_air(const uint8_t *data, size_t size) {
    uint32_t *words = malloc(size + 4);
    memcpy(words, data, size);
    load_words(words, size / 4);
    free(words);
}

static void load_changed(uint32_t kind, const uint8_t *data, size_t size) {
    const test_air *a = &fixed_proof(kind)->encoding;
    uint32_t *words = malloc(4 * a->count);
    memcpy(words, a->words, 4 * a->count);
    change((uint8_t *)words, 4 * a->count, data, size);
    load_words(words, a->count);
    free(words);
}

/* A proof whose caps are the fixed AIR's own, though the parameters in it may be others. */
static void verify(uint32_t kind, const uint8_t *data, size_t size, int changed, uint32_t path) {
    const honest_proof *p = fixed_proof(kind);
    const size_t length = changed ? p->length : size;
    uint8_t *bytes = malloc(length + 1);
    memcpy(bytes, changed ? p->proof : data, length);
    if (changed) change(bytes, length, data, size);
    const aprover_error error = verify_bytes(p, bytes, length, path);
    CHECK(error.status != APROVER_OK || (length == p->length && memcmp(bytes, p->proof, length) == 0));
    free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2) return 0;
    const uint32_t kind = data[1] % PROOF_KINDS, path = data[0] / 4 % 2; /* the best one, or portable */
    switch (data[0] % 4) {
    case 0: load_air(data + 2, size - 2); break;
    case 1: load_changed(kind, data + 2, size - 2); break;
    case 2: verify(kind, data + 2, size - 2, 0, path); break;
    default: verify(kind, data + 2, size - 2, 1, path);
    }
    return 0;
}
