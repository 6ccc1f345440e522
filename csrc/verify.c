/* The verifier: docs/protocol.md section 9, in its order and with its codes. */
#include <string.h>

#include "merkle.h"
#include "verifier.h"

/* ---- memory ---- */

/* Terms of all openings, at most what one level has: a column each, or five for a value in the challenge field. */
static size_t term_count(const aprover_air *air, const apr_plan *plan) {
    size_t terms = 0;
    for (uint32_t i = 0; i < air->tables; i++) {
        const apr_table *table = &air->table[i];
        terms += table->reads + FX_DEGREE * (size_t)(apr_trace_openings(table) - table->reads + plan->table[i].chunks);
    }
    return terms;
}

/* Points at which some level is opened, at most. */
static size_t group_count(const aprover_air *air) {
    size_t groups = 0;
    for (uint32_t i = 0; i < air->tables; i++) groups += air->table[i].rows_read;
    return groups;
}

static size_t query_words(const aprover_air *air, const apr_plan *plan) {
    size_t words = 0;
    for (uint32_t t = 0; t <= plan->folds; t++) {
        size_t columns = 0;
        for (enum apr_phase phase = 0; phase < APR_PHASES; phase++) columns += plan->level[t].columns[phase];
        const size_t own = apr_query_scratch_words(group_count(air), columns, (size_t)1 << apr_tree_log_arity(plan, t));
        if (own > words) words = own;
    }
    return words;
}

static size_t lay_out(apr_verifier *v, uintptr_t base) {
    const apr_plan *plan = &v->plan;
    const size_t q = plan->queries, terms = term_count(v->air, plan);
    size_t at = 0;
#define TAKE(member, bytes, type)                     \
    do {                                              \
        v->member = (type *)(base + at);              \
        at = (at + (bytes) + 63) & ~(size_t)63;       \
    } while (0)
    TAKE(publics, sizeof(fp) * v->air->publics, fp);
    TAKE(values, sizeof(fx) * plan->openings, fx);
    TAKE(lambdas, sizeof(fx) * apr_batched(plan), fx);
    TAKE(opened, sizeof(apr_opened_column) * plan->openings, apr_opened_column);
    TAKE(folds, sizeof(fx) * q, fx);
    TAKE(deep, sizeof(fx) * q, fx);
    for (uint32_t t = 0; t <= plan->folds; t++) TAKE(positions[t], 4 * q, uint32_t);
    TAKE(digests, APR_DIGEST_BYTES * q, uint8_t);
    TAKE(merkle_scratch, apr_multiproof_scratch_bytes(q), void);
    TAKE(air_scratch, apr_table_quotient_scratch(v->air), void);
    TAKE(groups, sizeof(apr_point_group) * group_count(v->air), apr_point_group);
    TAKE(columns, 4 * terms, uint32_t);
    TAKE(weights, sizeof(fx) * terms, fx);
    TAKE(query_scratch, 4 * query_words(v->air, plan), uint32_t);
#undef TAKE
    return at;
}

size_t aprover_verify_memory(const aprover_air *air, const aprover_parameters *parameters) {
    apr_verifier v = {.air = air};
    if (air == NULL || parameters == NULL || apr_plan_make(air, parameters, &v.plan) != APROVER_OK) return 0;
    return lay_out(&v, 0);
}

/* ---- reading the proof front to back ---- */

/* The next part of so many bytes, or NULL. */
static const uint8_t *part(apr_verifier *v, size_t bytes) {
    if (v->length - v->at < bytes) return NULL;
    const uint8_t *here = v->proof + v->at;
    v->at += bytes;
    return here;
}

static int canonical(const uint8_t *bytes, size_t length) {
    uint32_t bad = 0;
    for (size_t i = 0; i < length; i += 4) bad |= apr_get_u32(bytes + i) >= FP_P;
    return !bad;
}

static aprover_status part_of_elements(apr_verifier *v, size_t bytes, const uint8_t **out) {
    *out = part(v, bytes);
    if (*out == NULL) return apr_reject(v, APROVER_REJECT_TRUNCATED, 0, v->at);
    return canonical(*out, bytes) ? APROVER_OK : apr_reject(v, APROVER_REJECT_NON_CANONICAL, 0, v->at - bytes);
}

static fx get_fx(const uint8_t *in) {
    fx r;
    for (int e = 0; e < FX_DEGREE; e++) r.c[e] = fp_from_u32(apr_get_u32(in + 4 * e));
    return r;
}

/* What precedes the openings of trees. The caps of trees go straight to their openings. */
typedef struct {
    const uint8_t *phase_caps[APR_PHASES], *sums, *openings, *final, *nonce;
} head;

/* The caps of one phase, level after level. */
static aprover_status read_caps(apr_verifier *v, enum apr_phase phase, const uint8_t **all) {
    const size_t bytes = apr_caps_bytes(&v->plan, phase);
    *all = part(v, bytes);
    return *all != NULL ? APROVER_OK : apr_reject(v, APROVER_REJECT_TRUNCATED, 0, v->at);
}

/* All of the head is read before anything in it is judged. */
static aprover_status read_head(apr_verifier *v, head *h) {
    const apr_plan *plan = &v->plan;
    aprover_status status;
    v->at = APR_PARAMETER_BYTES;
    if ((status = read_caps(v, APR_PHASE_TRACE, &h->phase_caps[APR_PHASE_TRACE])) != APROVER_OK) return status;
    if ((status = read_caps(v, APR_PHASE_LOOKUP, &h->phase_caps[APR_PHASE_LOOKUP])) != APROVER_OK) return status;
    if ((status = part_of_elements(v, (size_t)APR_ELEMENT_BYTES * plan->sums, &h->sums)) != APROVER_OK) return status;
    if ((status = read_caps(v, APR_PHASE_QUOTIENT, &h->phase_caps[APR_PHASE_QUOTIENT])) != APROVER_OK) return status;
    if ((status = part_of_elements(v, (size_t)APR_ELEMENT_BYTES * plan->openings, &h->openings)) != APROVER_OK) return status;
    for (uint32_t t = plan->first_layer; t < plan->folds; t++)
        if ((v->layers[t].cap = part(v, apr_cap_bytes(plan, apr_layer_log_leaves(plan, t)))) == NULL)
            return apr_reject(v, APROVER_REJECT_TRUNCATED, t, v->at);
    status = part_of_elements(v, (size_t)APR_ELEMENT_BYTES << plan->level[plan->folds].log_k, &h->final);
    if (status != APROVER_OK) return status;
    if ((h->nonce = part(v, APR_NONCE_BYTES)) == NULL) return apr_reject(v, APROVER_REJECT_TRUNCATED, 0, v->at);
    return APROVER_OK;
}

/* ---- the transcript up to the nonce ---- */

static aprover_status check_sums(apr_verifier *v, const head *h) {
    fx sum = fx_zero();
    for (uint32_t i = 0; i < v->plan.sums; i++) sum = fx_add(sum, get_fx(h->sums + (size_t)APR_ELEMENT_BYTES * i));
    return fx_is_zero(sum) ? APROVER_OK : apr_reject(v, APROVER_REJECT_LOOKUP_SUM, 0, 0);
}

/* The quotient identity at z, table after table. */
static aprover_status check_quotients(apr_verifier *v, const head *h, const apr_point_challenges *challenges) {
    fx power = fx_one();
    for (uint32_t i = 0; i < v->plan.tables; i++) {
        const apr_table *table = &v->air->table[i];
        const apr_table_plan *place = &v->plan.table[i];
        const fx sigma = table->interactions > 0 ? get_fx(h->sums + (size_t)APR_ELEMENT_BYTES * place->sum) : fx_zero();
        const fx expected = apr_table_quotient_at(table, challenges, v->values + place->first_opening, sigma, &power, v->air_scratch);
        if (!fx_eq(expected, apr_chunks_at(&v->plan, i, v->values + place->first_chunk, v->z)))
            return apr_reject(v, APROVER_REJECT_QUOTIENT, i, 0);
    }
    return APROVER_OK;
}

/* Steps 1 to 8 of section 7 replayed, with the quotient identities. */
static aprover_status replay(apr_verifier *v, const head *h, const uint32_t *publics, const uint8_t *statement, size_t statement_length) {
    const apr_plan *plan = &v->plan;
    apr_transcript *t = &v->transcript;
    apr_point_challenges challenges = {.publics = v->publics};
    apr_absorb_statement(t, v->air, plan, v->proof, publics, statement, statement_length, h->phase_caps[APR_PHASE_PREPROCESSED]);
    apr_transcript_absorb(t, APR_TAG_TRACE_CAP, h->phase_caps[APR_PHASE_TRACE], apr_caps_bytes(plan, APR_PHASE_TRACE));
    if (plan->sums > 0) {
        fx drawn[2];
        apr_transcript_elements(t, drawn, 2);
        challenges.gamma = drawn[0];
        challenges.beta = drawn[1];
        apr_transcript_absorb(t, APR_TAG_LOOKUP_CAP, h->phase_caps[APR_PHASE_LOOKUP], apr_caps_bytes(plan, APR_PHASE_LOOKUP));
        apr_transcript_absorb(t, APR_TAG_LOOKUP_SUM, h->sums, (size_t)APR_ELEMENT_BYTES * plan->sums);
    }
    apr_transcript_elements(t, &challenges.alpha, 1);
    apr_transcript_absorb(t, APR_TAG_QUOTIENT_CAP, h->phase_caps[APR_PHASE_QUOTIENT], apr_caps_bytes(plan, APR_PHASE_QUOTIENT));
    v->z = challenges.z = apr_out_of_domain_point(t);
    for (uint32_t i = 0; i < plan->openings; i++) v->values[i] = get_fx(h->openings + (size_t)APR_ELEMENT_BYTES * i);
    const aprover_status status = check_quotients(v, h, &challenges);
    if (status != APROVER_OK) return status;
    apr_transcript_absorb(t, APR_TAG_OPENINGS, h->openings, (size_t)APR_ELEMENT_BYTES * plan->openings);
    apr_batching(t, plan, v->lambdas);
    for (uint32_t layer = 0; layer < plan->folds; layer++) {
        if (layer >= plan->first_layer)
            apr_transcript_absorb(t, APR_TAG_FRI_CAP, v->layers[layer].cap, apr_cap_bytes(plan, apr_layer_log_leaves(plan, layer)));
        apr_transcript_elements(t, &v->betas[layer], 1);
    }
    const uint32_t coefficients = 1u << plan->level[plan->folds].log_k;
    apr_transcript_absorb(t, APR_TAG_FINAL, h->final, (size_t)APR_ELEMENT_BYTES * coefficients);
    for (uint32_t i = 0; i < coefficients; i++) v->final[i] = get_fx(h->final + (size_t)APR_ELEMENT_BYTES * i);
    return APROVER_OK;
}

static aprover_status check_nonce(apr_verifier *v, const uint8_t *nonce) {
    const uint32_t bits = v->plan.grinding_bits;
    uint8_t key[32], digest[APR_DIGEST_BYTES];
    apr_transcript_squeeze(&v->transcript);
    if (bits == 0) {
        if ((apr_get_u32(nonce) | apr_get_u32(nonce + 4)) != 0) return apr_reject(v, APROVER_REJECT_GRINDING, 0, 0);
    } else {
        apr_grinding_key(&v->transcript, key);
        apr_blake3_keyed(key, nonce, APR_NONCE_BYTES, digest);
        if ((apr_get_u32(digest) & (uint32_t)(((uint64_t)1 << bits) - 1)) != 0) return apr_reject(v, APROVER_REJECT_GRINDING, 0, 0);
    }
    apr_transcript_absorb(&v->transcript, APR_TAG_NONCE, nonce, APR_NONCE_BYTES);
    return APROVER_OK;
}

/* ---- the openings of trees ---- */

/* The indices, and the positions of every level that follow from them. */
static void draw_positions(apr_verifier *v) {
    const apr_plan *plan = &v->plan;
    v->counts[0] = plan->queries;
    apr_transcript_indices(&v->transcript, v->positions[0], plan->queries, plan->log_domain);
    for (uint32_t t = 0; t < plan->folds; t++)
        v->counts[t + 1] = apr_next_positions(plan, t, v->positions[t], v->counts[t], v->positions[t + 1]);
}

/* The leaves, but for their salts, which may be any bytes. */
static int leaves_canonical(const apr_opening *o, size_t salt) {
    if (salt == 0) return canonical(o->leaves, o->leaf_bytes * o->count);
    for (uint32_t i = 0; i < o->count; i++)
        if (!canonical(o->leaves + o->leaf_bytes * i, o->leaf_bytes - salt)) return 0;
    return 1;
}

/* One tree's opening, but for its cap. positions: of the level that its leaves are. */
static aprover_status read_opening(apr_verifier *v, apr_opening *o, uint32_t positions, uint32_t log_leaves, size_t leaf_bytes,
                                   size_t salt, uint32_t level) {
    o->indices = v->positions[positions];
    o->count = v->counts[positions];
    o->log_leaves = log_leaves;
    o->leaf_bytes = leaf_bytes;
    const size_t bytes = leaf_bytes * o->count;
    o->leaves = part(v, bytes);
    if (o->leaves == NULL) return apr_reject(v, APROVER_REJECT_TRUNCATED, level, v->at);
    if (!leaves_canonical(o, salt)) return apr_reject(v, APROVER_REJECT_NON_CANONICAL, level, v->at - bytes);
    size_t digests = apr_multiproof_length(o->indices, o->count, log_leaves, apr_log_cap(&v->plan, log_leaves), v->merkle_scratch);
    o->digests = part(v, digests * APR_DIGEST_BYTES);
    return o->digests != NULL ? APROVER_OK : apr_reject(v, APROVER_REJECT_TRUNCATED, level, v->at);
}

static aprover_status read_phase(apr_verifier *v, enum apr_phase phase, const uint8_t *cap) {
    const apr_plan *plan = &v->plan;
    for (uint32_t t = 0; t <= plan->folds; t++) {
        if (plan->level[t].columns[phase] == 0) continue;
        const uint32_t log_leaves = apr_tree_log_leaves(plan, t);
        const aprover_status status =
            read_opening(v, &v->trees[phase][t], t, log_leaves, apr_tree_leaf_bytes(plan, phase, t),
                         apr_tree_salted(plan, phase) ? APR_SALT_BYTES : 0, t);
        if (status != APROVER_OK) return status;
        v->trees[phase][t].cap = cap;
        cap += apr_cap_bytes(plan, log_leaves);
    }
    return APROVER_OK;
}

static aprover_status read_openings(apr_verifier *v, const head *h) {
    const apr_plan *plan = &v->plan;
    aprover_status status;
    draw_positions(v);
    for (enum apr_phase phase = 0; phase < APR_PHASES; phase++)
        if ((status = read_phase(v, phase, h->phase_caps[phase])) != APROVER_OK) return status;
    for (uint32_t t = plan->first_layer; t < plan->folds; t++) {
        /* Leaves of layer t are the positions of level t + 1. */
        status = read_opening(v, &v->layers[t], t + 1, apr_layer_log_leaves(plan, t), apr_layer_leaf_bytes(plan, t), 0, t);
        if (status != APROVER_OK) return status;
    }
    return v->at == v->length ? APROVER_OK : apr_reject(v, APROVER_REJECT_TRAILING, 0, v->at);
}

static int tree_holds(apr_verifier *v, const apr_opening *o) {
    v->hash->hash_many(apr_key_leaf, o->leaves, o->leaf_bytes, o->leaf_bytes, o->count, v->digests);
    return apr_multiproof_verify(v->hash, v->digests, o->indices, o->count, o->log_leaves, apr_log_cap(&v->plan, o->log_leaves),
                                 o->digests, o->cap, v->merkle_scratch);
}

static aprover_status check_trees(apr_verifier *v) {
    static const aprover_status codes[APR_PHASES] = {APROVER_REJECT_PREPROCESSED_MERKLE, APROVER_REJECT_TRACE_MERKLE,
                                                     APROVER_REJECT_LOOKUP_MERKLE, APROVER_REJECT_QUOTIENT_MERKLE};
    for (enum apr_phase phase = 0; phase < APR_PHASES; phase++)
        for (uint32_t t = 0; t <= v->plan.folds; t++)
            if (v->plan.level[t].columns[phase] > 0 && !tree_holds(v, &v->trees[phase][t])) return apr_reject(v, codes[phase], t, 0);
    for (uint32_t t = v->plan.first_layer; t < v->plan.folds; t++)
        if (!tree_holds(v, &v->layers[t])) return apr_reject(v, APROVER_REJECT_FRI_MERKLE, t, 0);
    return APROVER_OK;
}

/* Steps 1 to 3, which take no memory but the verifier itself. */
static aprover_status begin(apr_verifier *v, head *h, aprover_parameters *parameters) {
    aprover_status status;
    if (v->length < APR_PARAMETER_BYTES) return apr_reject(v, APROVER_REJECT_TRUNCATED, 0, 0);
    apr_parameters_read(v->proof, parameters);
    if ((status = apr_plan_make(v->air, parameters, &v->plan)) != APROVER_OK) return apr_reject(v, status, 0, 0);
    if ((status = read_head(v, h)) != APROVER_OK) return status;
    return check_sums(v, h);
}

aprover_status aprover_proof_head(const aprover_air *air, const uint8_t *proof, size_t length, aprover_parameters *parameters,
                                  aprover_error *error) {
    aprover_error ignored;
    apr_verifier v = {.air = air, .proof = proof, .length = length, .error = error != NULL ? error : &ignored};
    head h;
    *v.error = (aprover_error){0, 0, 0};
    if (air == NULL || proof == NULL || parameters == NULL) return apr_reject(&v, APROVER_ERROR_ARGUMENT, 0, 0);
    return begin(&v, &h, parameters);
}

/* Steps 4 to 14. */
static aprover_status go_on(apr_verifier *v, const head *h, const uint32_t *publics, const uint8_t *statement, size_t statement_length) {
    aprover_status status;
    if ((status = replay(v, h, publics, statement, statement_length)) != APROVER_OK) return status;
    if ((status = check_nonce(v, h->nonce)) != APROVER_OK) return status;
    if ((status = read_openings(v, h)) != APROVER_OK) return status;
    if ((status = check_trees(v)) != APROVER_OK) return status;
    return apr_check_queries(v);
}

aprover_status aprover_verify(const aprover_air *air, const uint8_t *caps, size_t caps_length, const uint32_t *publics,
                              const uint8_t *statement, size_t statement_length, const uint8_t *proof, size_t length, void *memory,
                              size_t bytes, uint32_t path, aprover_error *error) {
    aprover_error ignored;
    apr_verifier v = {.air = air, .proof = proof, .length = length, .error = error != NULL ? error : &ignored};
    aprover_parameters parameters;
    head h = {.phase_caps = {[APR_PHASE_PREPROCESSED] = caps}};
    *v.error = (aprover_error){0, 0, 0};
    if (air == NULL || proof == NULL || (publics == NULL && air->publics > 0) || (statement == NULL && statement_length > 0) ||
        (caps == NULL && caps_length > 0))
        return apr_reject(&v, APROVER_ERROR_ARGUMENT, 0, 0);
    const aprover_status status = begin(&v, &h, &parameters);
    if (status != APROVER_OK) return status;
    if (caps_length != apr_caps_bytes(&v.plan, APR_PHASE_PREPROCESSED)) return apr_reject(&v, APROVER_ERROR_ARGUMENT, 0, 0);
    const size_t needed = lay_out(&v, 0);
    if (memory == NULL || ((uintptr_t)memory & 63) != 0 || bytes < needed) return apr_reject(&v, APROVER_ERROR_MEMORY, 0, needed);
    lay_out(&v, (uintptr_t)memory);
    for (uint32_t i = 0; i < air->publics; i++) {
        if (publics[i] >= FP_P) return apr_reject(&v, APROVER_ERROR_PUBLICS, 0, i);
        v.publics[i] = fp_from_u32(publics[i]);
    }
    v.hash = apr_hash_kernels_for((enum apr_path)path);
    v.kernels = apr_verify_kernels_for((enum apr_path)path);
    return go_on(&v, &h, publics, statement, statement_length);
}

/* ---- dispatch ---- */

extern const apr_verify_kernels apr_verify_kernels_portable, apr_verify_kernels_avx2;

const apr_verify_kernels *apr_verify_kernels_for(enum apr_path path) {
#if APR_HAVE_AVX2_BUILD
    if (apr_use_avx2(path)) return &apr_verify_kernels_avx2;
#endif
    (void)path;
    return &apr_verify_kernels_portable;
}
