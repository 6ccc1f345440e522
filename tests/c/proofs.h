/* Honest proofs of the small AIRs, for tests of the verifier. */
#ifndef APROVER_TEST_PROOFS_H
#define APROVER_TEST_PROOFS_H

#include <stdlib.h>

#include "../../csrc/plan.h"
#include "airs.h"

enum { PROOF_KINDS = 5 };

typedef struct {
    test_air encoding;
    const aprover_air *air;
    aprover_parameters parameters;
    void *preprocessed_memory;
    const aprover_preprocessed *preprocessed;
    const uint8_t *caps; /* of the preprocessed columns */
    size_t caps_length;
    uint8_t *proof;
    size_t length;
} honest_proof;

static const uint8_t proof_statement[] = "a statement";

static inline void *aligned_block(size_t bytes) {
    void *memory = aligned_alloc(64, ((bytes > 0 ? bytes : 1) + 63) & ~(size_t)63);
    CHECK(memory != NULL);
    return memory;
}

/* Narrow; wide; runs; several tables, on three levels; the same in zero knowledge. Also sets log_blowup, cap_log, flags and queries. */
static inline void choose_proof(honest_proof *p, uint32_t kind, uint32_t *trace) {
    test_air *a = &p->encoding;
    switch (kind) {
    case 0: fibonacci_air(a, 11, 2000, trace); break;
    case 1: power_air(a, 10, 40, 3, 2, trace); break;
    case 2: runs_air(a, 7, 3, trace); break;
    default: lookup_air(a, 8, 7, 2, trace);
    }
    p->parameters.flags = kind == 1 ? APROVER_FLAG_INDEPENDENT : kind == 4 ? APROVER_FLAG_ZERO_KNOWLEDGE : 0;
    p->parameters.log_blowup = kind == 1 ? 1 : 2;
    p->parameters.cap_log = (uint8_t)(kind % 3);
    p->parameters.queries = 12;
}

/* Kind: below PROOF_KINDS. */
static inline void make_proof(honest_proof *p, uint32_t kind, uint8_t grinding_bits) {
    static uint32_t trace[40 << 10];
    static const uint8_t entropy[32] = "not so random, but always so";
    memset(p, 0, sizeof *p);
    choose_proof(p, kind, trace);
    p->parameters.grinding_bits = grinding_bits;
    const size_t air_bytes = aprover_air_memory(p->encoding.words, p->encoding.count);
    void *air = aligned_block(air_bytes);
    CHECK(aprover_air_load(p->encoding.words, p->encoding.count, air, air_bytes, NULL) == APROVER_OK);
    p->air = air;
    const size_t preprocess_bytes = aprover_preprocess_memory(p->air, &p->parameters);
    if (preprocess_bytes > 0) {
        p->preprocessed_memory = aligned_block(preprocess_bytes);
        p->preprocessed = aprover_preprocess(p->air, &p->parameters, p->preprocessed_memory, preprocess_bytes, NULL, 0, NULL);
        CHECK(p->preprocessed != NULL);
        p->caps = aprover_preprocessed_caps(p->preprocessed, &p->caps_length);
    }
    aprover_job job = {.air = p->air, .parameters = p->parameters, .preprocessed = p->preprocessed, .publics = p->encoding.publics,
                       .statement = proof_statement, .statement_length = sizeof proof_statement};
    if (p->parameters.flags & APROVER_FLAG_ZERO_KNOWLEDGE) job.entropy = entropy;
    job.arena_bytes = aprover_prove_memory(p->air, &p->parameters, 1, 0);
    job.arena = aligned_block(job.arena_bytes);
    memset(job.arena, 0, 64);
    job.proof_capacity = aprover_proof_bound(p->air, &p->parameters);
    job.proof = p->proof = aligned_block(job.proof_capacity);
    for (uint32_t t = 0; t < p->encoding.tables; t++)
        memcpy(aprover_prove_trace(&job, t), trace + p->encoding.trace[t], 4 * (p->encoding.trace[t + 1] - p->encoding.trace[t]));
    CHECK(aprover_prove(&job, NULL) == APROVER_OK);
    p->length = job.proof_length;
    free(job.arena);
}

static inline void free_proof(honest_proof *p) {
    free((void *)p->air);
    free(p->preprocessed_memory);
    free(p->proof);
}

/* Verify bytes that stand in a block of their own, in memory of exactly the size asked for, so that the sanitizers see any step outside. */
static inline aprover_error verify_bytes(const honest_proof *p, const uint8_t *bytes, size_t length, uint32_t path) {
    aprover_error error = {0, 0, 0};
    aprover_parameters parameters;
    if (aprover_proof_head(p->air, bytes, length, &parameters, &error) != APROVER_OK) return error;
    const size_t memory_bytes = aprover_verify_memory(p->air, &parameters);
    void *memory = aligned_block(memory_bytes);
    const aprover_status status = aprover_verify(p->air, p->caps, p->caps_length, p->encoding.publics, proof_statement,
                                                 sizeof proof_statement, bytes, length, memory, memory_bytes, path, &error);
    CHECK((int32_t)status == error.status);
    free(memory);
    return error;
}

#endif
