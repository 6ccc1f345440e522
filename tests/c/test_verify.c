/* The verifier: every part of a proof that is altered, cut or made non-canonical is rejected by the check that sees it first, with its
 * code. Where the parts stand is worked out here from docs/protocol.md sections 7 and 8. False proofs whose hashes are right need a
 * prover that lies; those are in tests/test_soundness_*.py. */
#include "../../csrc/merkle.h"
#include "../../csrc/protocol.h"
#include "proofs.h"

enum { GRINDING_BITS = 16, MAX_PARTS = 256 };

typedef struct {
    size_t at, bytes;
    int32_t status; /* when altered */
    uint32_t detail;
    size_t leaf, salt; /* bytes of each leaf, and of the salt at its end; 0: not leaves */
    int elements;      /* whether it holds field elements */
} proof_part;

typedef struct {
    proof_part part[MAX_PARTS];
    uint32_t count;
    size_t at;
} proof_map;

static const uint8_t *add(proof_map *m, const honest_proof *p, size_t bytes, int32_t status, uint32_t detail, int elements) {
    CHECK(m->count < MAX_PARTS && m->at + bytes <= p->length);
    if (bytes > 0) m->part[m->count++] = (proof_part){m->at, bytes, status, detail, 0, 0, elements};
    m->at += bytes;
    return p->proof + m->at - bytes;
}

/* A tree's opening: leaves, then digests. */
static void add_opening(proof_map *m, const honest_proof *p, const apr_plan *plan, const uint32_t *indices, uint32_t count,
                        uint32_t log_leaves, size_t leaf, size_t salt, int32_t status, uint32_t detail) {
    uint32_t scratch[64];
    add(m, p, leaf * count, status, detail, 1);
    m->part[m->count - 1].leaf = leaf;
    m->part[m->count - 1].salt = salt;
    const size_t digests = apr_multiproof_length(indices, count, log_leaves, apr_log_cap(plan, log_leaves), scratch);
    add(m, p, digests * APR_DIGEST_BYTES, status, detail, 0);
}

/* From the parameters to the nonce; the transcript is left before the indices. */
static void map_head(proof_map *m, const honest_proof *p, const apr_plan *plan, apr_transcript *t) {
    fx drawn[600];
    const uint8_t *at = add(m, p, 8, -1, 0, 0);
    apr_absorb_statement(t, p->air, plan, at, p->encoding.publics, proof_statement, sizeof proof_statement, p->caps);
    size_t bytes = apr_caps_bytes(plan, APR_PHASE_TRACE);
    apr_transcript_absorb(t, APR_TAG_TRACE_CAP, add(m, p, bytes, APROVER_REJECT_QUOTIENT, 0, 0), bytes);
    if (p->air->interactions > 0) {
        apr_transcript_elements(t, drawn, 2);
        bytes = apr_caps_bytes(plan, APR_PHASE_LOOKUP);
        apr_transcript_absorb(t, APR_TAG_LOOKUP_CAP, add(m, p, bytes, APROVER_REJECT_QUOTIENT, 0, 0), bytes);
        bytes = 20 * (size_t)plan->sums;
        apr_transcript_absorb(t, APR_TAG_LOOKUP_SUM, add(m, p, bytes, APROVER_REJECT_LOOKUP_SUM, 0, 1), bytes);
    }
    apr_transcript_elements(t, drawn, 1);
    bytes = apr_caps_bytes(plan, APR_PHASE_QUOTIENT);
    apr_transcript_absorb(t, APR_TAG_QUOTIENT_CAP, add(m, p, bytes, APROVER_REJECT_QUOTIENT, 0, 0), bytes);
    apr_transcript_elements(t, drawn, 1);
    CHECK(!fx_is_base(drawn[0]));
    at = p->proof + m->at;
    for (uint32_t i = 0; i < plan->tables; i++) {
        const uint32_t end = i + 1 < plan->tables ? plan->table[i + 1].first_opening : plan->openings;
        add(m, p, 20 * (size_t)(end - plan->table[i].first_opening), APROVER_REJECT_QUOTIENT, i, 1);
    }
    apr_transcript_absorb(t, APR_TAG_OPENINGS, at, 20 * (size_t)plan->openings);
    CHECK(apr_batched(plan) <= 600);
    apr_batching(t, plan, drawn);
    for (uint32_t layer = 0; layer < plan->folds; layer++) {
        if (layer >= plan->first_layer) {
            bytes = apr_cap_bytes(plan, apr_layer_log_leaves(plan, layer));
            apr_transcript_absorb(t, APR_TAG_FRI_CAP, add(m, p, bytes, APROVER_REJECT_GRINDING, 0, 0), bytes);
        }
        apr_transcript_elements(t, drawn, 1);
    }
    bytes = (size_t)20 << plan->level[plan->folds].log_k;
    apr_transcript_absorb(t, APR_TAG_FINAL, add(m, p, bytes, APROVER_REJECT_GRINDING, 0, 1), bytes);
    apr_transcript_squeeze(t);
    apr_transcript_absorb(t, APR_TAG_NONCE, add(m, p, 8, APROVER_REJECT_GRINDING, 0, 0), 8);
}

static void map_proof(proof_map *m, const honest_proof *p, const apr_plan *plan) {
    static const int32_t codes[APR_PHASES] = {APROVER_REJECT_PREPROCESSED_MERKLE, APROVER_REJECT_TRACE_MERKLE,
                                              APROVER_REJECT_LOOKUP_MERKLE, APROVER_REJECT_QUOTIENT_MERKLE};
    uint32_t positions[APR_MAX_LEVELS][64], counts[APR_MAX_LEVELS];
    apr_transcript t;
    *m = (proof_map){.count = 0};
    map_head(m, p, plan, &t);
    CHECK(m->at == plan->head_bytes);
    counts[0] = plan->queries;
    apr_transcript_indices(&t, positions[0], plan->queries, plan->log_domain);
    for (uint32_t level = 0; level < plan->folds; level++)
        counts[level + 1] = apr_next_positions(plan, level, positions[level], counts[level], positions[level + 1]);
    for (int phase = 0; phase < APR_PHASES; phase++)
        for (uint32_t level = 0; level <= plan->folds; level++)
            if (plan->level[level].columns[phase] > 0)
                add_opening(m, p, plan, positions[level], counts[level], apr_tree_log_leaves(plan, level),
                            apr_tree_leaf_bytes(plan, phase, level), apr_tree_salted(plan, phase) ? APR_SALT_BYTES : 0, codes[phase],
                            level);
    for (uint32_t layer = plan->first_layer; layer < plan->folds; layer++)
        add_opening(m, p, plan, positions[layer + 1], counts[layer + 1], apr_layer_log_leaves(plan, layer),
                    apr_layer_leaf_bytes(plan, layer), 0, APROVER_REJECT_FRI_MERKLE, layer);
    CHECK(m->at == p->length);
}

/* Places in a part that differ in kind: its first and last bytes, and some between. */
static size_t place(const proof_part *part, uint32_t i, uint32_t of) { return part->at + (part->bytes - 1) * i / (of - 1); }

/* Whether the byte belongs to a word that is a field element. */
static int in_element(const proof_part *part, size_t at) {
    return part->elements && (part->leaf == 0 || (at - part->at) % part->leaf < part->leaf - part->salt);
}

static void expect(const aprover_error *error, int32_t status, uint32_t detail, size_t at) {
    if (error->status == status && error->detail == detail) return;
    fprintf(stderr, "byte %zu: status %d detail %u, not %d %u\n", at, error->status, error->detail, status, detail);
    exit(1);
}

/* One bit of a byte altered: the first byte of a word, so that a canonical value most often stays one. */
static void altered_parts(const honest_proof *p, const proof_map *m, uint8_t *copy) {
    for (uint32_t n = 0; n < m->count; n++) {
        const proof_part *part = &m->part[n];
        for (uint32_t i = 0; i < 24; i++) {
            const size_t at = place(part, i, 24) & ~(size_t)3;
            copy[at] ^= 1;
            const aprover_error error = verify_bytes(p, copy, p->length, i % 3);
            copy[at] ^= 1;
            if (part->status < 0) CHECK(error.status >= APROVER_REJECT_PARAMETERS);
            else expect(&error, part->status, part->detail, at);
        }
    }
}

/* x + p in place of x says the same number, but is no encoding of it. */
static void non_canonical_parts(const honest_proof *p, const proof_map *m, uint8_t *copy) {
    for (uint32_t n = 0; n < m->count; n++) {
        const proof_part *part = &m->part[n];
        for (uint32_t i = 0; i < 8; i++) {
            const size_t at = place(part, i, 8) & ~(size_t)3;
            const uint32_t word = apr_get_u32(copy + at);
            if (!in_element(part, at)) continue;
            apr_put_u32(copy + at, word + FP_P);
            const aprover_error error = verify_bytes(p, copy, p->length, 0);
            CHECK(error.status == APROVER_REJECT_NON_CANONICAL);
            apr_put_u32(copy + at, word);
        }
    }
}

/* What follows a cut is missing, whatever stands before it. */
static void cut_parts(const honest_proof *p, const proof_map *m) {
    for (uint32_t n = 0; n < m->count; n++)
        for (int less = 0; less < 2; less++) {
            const size_t length = m->part[n].at + (less ? m->part[n].bytes - 1 : 0);
            uint8_t *cut = malloc(length + 1);
            memcpy(cut, p->proof, length);
            CHECK(verify_bytes(p, cut, length, 0).status == APROVER_REJECT_TRUNCATED);
            free(cut);
        }
    uint8_t *longer = malloc(p->length + 1);
    memcpy(longer, p->proof, p->length);
    longer[p->length] = 0;
    CHECK(verify_bytes(p, longer, p->length + 1, 0).status == APROVER_REJECT_TRAILING);
    free(longer);
}

static void each_part_is_checked(void) {
    static honest_proof p;
    static proof_map map;
    for (uint32_t kind = 0; kind < PROOF_KINDS; kind++) {
        apr_plan plan;
        make_proof(&p, kind, GRINDING_BITS);
        CHECK(apr_plan_make(p.air, &p.parameters, &plan) == APROVER_OK);
        map_proof(&map, &p, &plan);
        uint8_t *copy = malloc(p.length);
        memcpy(copy, p.proof, p.length);
        CHECK(verify_bytes(&p, copy, p.length, 1).status == APROVER_OK && verify_bytes(&p, copy, p.length, 2).status == APROVER_OK);
        altered_parts(&p, &map, copy);
        non_canonical_parts(&p, &map, copy);
        cut_parts(&p, &map);
        free(copy);
        free_proof(&p);
        printf("ok each of %u parts is checked, proof %u\n", map.count, kind);
    }
}

/* Sums altered by opposite amounts still add up to zero, and break the identities of their tables. */
static void opposite_sums(void) {
    static honest_proof p;
    apr_plan plan;
    make_proof(&p, 3, 0);
    CHECK(apr_plan_make(p.air, &p.parameters, &plan) == APROVER_OK && plan.sums == 3);
    uint8_t *sums = p.proof + 8 + apr_caps_bytes(&plan, APR_PHASE_TRACE) + apr_caps_bytes(&plan, APR_PHASE_LOOKUP);
    const uint32_t second = apr_get_u32(sums + 20), third = apr_get_u32(sums + 40);
    apr_put_u32(sums + 20, (second + 1) % FP_P);
    apr_put_u32(sums + 40, (third + FP_P - 1) % FP_P);
    CHECK(verify_bytes(&p, p.proof, p.length, 0).status == APROVER_REJECT_QUOTIENT);
    free_proof(&p);
    puts("ok opposite sums");
}

/* A proof is bound to its public values, its statement, its AIR and the preprocessed columns. */
static void other_statements(void) {
    static honest_proof p, other;
    static uint8_t caps[1 << 12];
    for (uint32_t kind = 0; kind < PROOF_KINDS; kind++) {
        make_proof(&p, kind, 0);
        p.encoding.publics[0] = (p.encoding.publics[0] + 1) % FP_P;
        CHECK(verify_bytes(&p, p.proof, p.length, 0).status == APROVER_REJECT_QUOTIENT);
        p.encoding.publics[0] = FP_P;
        CHECK(verify_bytes(&p, p.proof, p.length, 0).status == APROVER_ERROR_PUBLICS);
        free_proof(&p);
    }
    make_proof(&p, 3, 0);
    CHECK(p.caps_length > 0 && p.caps_length <= sizeof caps);
    memcpy(caps, p.caps, p.caps_length);
    caps[p.caps_length - 1] ^= 1;
    const uint8_t *honest = p.caps;
    p.caps = caps;
    CHECK(verify_bytes(&p, p.proof, p.length, 0).status == APROVER_REJECT_QUOTIENT);
    p.caps = honest;
    p.caps_length--;
    CHECK(verify_bytes(&p, p.proof, p.length, 0).status == APROVER_ERROR_ARGUMENT);
    p.caps_length++;
    make_proof(&other, 0, 0);
    CHECK(verify_bytes(&p, other.proof, other.length, 0).status >= APROVER_REJECT_PARAMETERS);
    free_proof(&other);
    free_proof(&p);
    puts("ok other statements");
}

static void memory_and_arguments(void) {
    static honest_proof p;
    aprover_error error;
    make_proof(&p, 0, 0);
    const size_t bytes = aprover_verify_memory(p.air, &p.parameters);
    uint8_t *memory = aligned_block(bytes + 64);
#define VERIFY(air, publics, statement, proof, at, size) \
    aprover_verify(air, NULL, 0, publics, statement, sizeof proof_statement, proof, p.length, at, size, 0, &error)
    CHECK(VERIFY(p.air, p.encoding.publics, proof_statement, p.proof, memory, bytes) == APROVER_OK);
    CHECK(VERIFY(p.air, p.encoding.publics, proof_statement, p.proof, memory, bytes - 1) == APROVER_ERROR_MEMORY && error.index == bytes);
    CHECK(VERIFY(p.air, p.encoding.publics, proof_statement, p.proof, memory + 4, bytes) == APROVER_ERROR_MEMORY);
    CHECK(VERIFY(p.air, p.encoding.publics, proof_statement, p.proof, NULL, bytes) == APROVER_ERROR_MEMORY);
    CHECK(VERIFY(NULL, p.encoding.publics, proof_statement, p.proof, memory, bytes) == APROVER_ERROR_ARGUMENT);
    CHECK(VERIFY(p.air, NULL, proof_statement, p.proof, memory, bytes) == APROVER_ERROR_ARGUMENT);
    CHECK(VERIFY(p.air, p.encoding.publics, NULL, p.proof, memory, bytes) == APROVER_ERROR_ARGUMENT);
    CHECK(VERIFY(p.air, p.encoding.publics, proof_statement, NULL, memory, bytes) == APROVER_ERROR_ARGUMENT);
#undef VERIFY
    free(memory);
    free_proof(&p);
    puts("ok memory and arguments");
}

int main(void) {
    each_part_is_checked();
    opposite_sums();
    other_statements();
    memory_and_arguments();
    return 0;
}
