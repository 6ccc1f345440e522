/* The verifier: docs/protocol.md section 9, in its order and with its codes. */
#include <string.h>

#include "merkle.h"
#include "protocol.h"
#include "verify.h"

/* One tree's opening as it stands in the proof. */
typedef struct {
    const uint8_t *cap, *leaves, *digests;
    const uint32_t *indices;
    uint32_t count;
    uint32_t log_leaves;
    size_t leaf_bytes;
} opening;

typedef struct {
    const aprover_air *air;
    apr_plan plan;
    const apr_hash_kernels *hash;
    const apr_verify_kernels *kernels;
    apr_transcript transcript;
    const uint8_t *proof;
    size_t length, at;
    aprover_error *error;

    fp *publics;
    fx *values;      /* openings at z */
    fx *lambdas;
    fx *folds;       /* one for each position of the layer reached */
    uint32_t *indices; /* queries words for each of the layers, after those of the queries themselves */
    uint8_t *digests;  /* of one tree's leaves */
    void *merkle_scratch;
    void *air_scratch;
    uint32_t *columns;       /* of the terms of each point, see group_points */
    fx *weights;
    uint32_t *query_scratch;

    fx z, betas[APR_MAX_FOLDS], final[1 << APR_LOG_FINAL_MAX];
    opening trace, quotient, layers[APR_MAX_FOLDS];
} verifier;

static aprover_status reject(verifier *v, aprover_status status, uint32_t layer, uint64_t index) {
    *v->error = (aprover_error){(int32_t)status, layer, index};
    return status;
}

/* ---- memory ---- */

static size_t lay_out(verifier *v, uintptr_t base) {
    const apr_plan *plan = &v->plan;
    const size_t q = plan->queries;
    size_t at = 0;
#define TAKE(member, bytes, type)                     \
    do {                                              \
        v->member = (type *)(base + at);              \
        at = (at + (bytes) + 63) & ~(size_t)63;       \
    } while (0)
    TAKE(publics, sizeof(fp) * v->air->publics, fp);
    TAKE(values, sizeof(fx) * plan->openings, fx);
    TAKE(lambdas, sizeof(fx) * plan->openings, fx);
    TAKE(folds, sizeof(fx) * q, fx);
    TAKE(indices, 4 * q * (plan->folds + 1), uint32_t);
    TAKE(digests, APR_DIGEST_BYTES * q, uint8_t);
    TAKE(merkle_scratch, apr_multiproof_scratch_bytes(q), void);
    TAKE(air_scratch, apr_air_quotient_scratch(v->air), void);
    TAKE(columns, 4 * ((size_t)v->air->reads + plan->quotient_columns), uint32_t);
    TAKE(weights, sizeof(fx) * ((size_t)v->air->reads + plan->quotient_columns), fx);
    TAKE(query_scratch, 4 * apr_query_scratch_words(plan), uint32_t);
#undef TAKE
    return at;
}

size_t aprover_verify_memory(const aprover_air *air, const aprover_parameters *parameters) {
    verifier v = {.air = air};
    if (air == NULL || parameters == NULL || apr_plan_make(air, parameters, &v.plan) != APROVER_OK) return 0;
    return lay_out(&v, 0);
}

aprover_status aprover_proof_parameters(const aprover_air *air, const uint8_t *proof, size_t length,
                                        aprover_parameters *parameters, aprover_error *error) {
    apr_plan plan;
    aprover_status status = APROVER_OK;
    if (air == NULL || proof == NULL || parameters == NULL) status = APROVER_ERROR_ARGUMENT;
    else if (length < APR_PARAMETER_BYTES) status = APROVER_REJECT_TRUNCATED;
    else {
        apr_parameters_read(proof, parameters);
        status = apr_plan_make(air, parameters, &plan);
    }
    if (error != NULL) *error = (aprover_error){(int32_t)status, 0, 0};
    return status;
}

/* ---- reading the proof front to back ---- */

/* The next part of so many bytes, or NULL. */
static const uint8_t *part(verifier *v, size_t bytes) {
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

static aprover_status part_of_elements(verifier *v, size_t bytes, const uint8_t **out) {
    *out = part(v, bytes);
    if (*out == NULL) return reject(v, APROVER_REJECT_TRUNCATED, 0, v->at);
    return canonical(*out, bytes) ? APROVER_OK : reject(v, APROVER_REJECT_NON_CANONICAL, 0, v->at - bytes);
}

static fx get_fx(const uint8_t *in) {
    fx r;
    for (int e = 0; e < FX_DEGREE; e++) r.c[e] = fp_from_u32(apr_get_u32(in + 4 * e));
    return r;
}

/* The steps before the nonce is checked: all of the head is read before anything is judged. */
typedef struct {
    const uint8_t *trace_cap, *quotient_cap, *openings, *layer_caps[APR_MAX_FOLDS], *final, *nonce;
} head;

static aprover_status read_head(verifier *v, head *h) {
    const apr_plan *plan = &v->plan;
    const size_t cap = apr_cap_bytes(plan, plan->log_leaves);
    aprover_status status;
    v->at = APR_PARAMETER_BYTES;
    if ((h->trace_cap = part(v, cap)) == NULL || (h->quotient_cap = part(v, cap)) == NULL)
        return reject(v, APROVER_REJECT_TRUNCATED, 0, v->at);
    if ((status = part_of_elements(v, (size_t)APR_ELEMENT_BYTES * plan->openings, &h->openings)) != APROVER_OK) return status;
    for (uint32_t t = plan->first_layer; t < plan->folds; t++)
        if ((h->layer_caps[t] = part(v, apr_cap_bytes(plan, apr_layer_log_leaves(plan, t)))) == NULL)
            return reject(v, APROVER_REJECT_TRUNCATED, t, v->at);
    if ((status = part_of_elements(v, (size_t)APR_ELEMENT_BYTES << plan->log_final, &h->final)) != APROVER_OK) return status;
    if ((h->nonce = part(v, APR_NONCE_BYTES)) == NULL) return reject(v, APROVER_REJECT_TRUNCATED, 0, v->at);
    return APROVER_OK;
}

/* Steps 1 to 6 of section 7 replayed, with the quotient identity. */
static aprover_status replay(verifier *v, const head *h, const uint32_t *publics, const uint8_t *statement, size_t statement_length) {
    const apr_plan *plan = &v->plan;
    apr_transcript *t = &v->transcript;
    const size_t cap = apr_cap_bytes(plan, plan->log_leaves);
    fx alpha;
    apr_absorb_statement(t, v->air, v->proof, publics, statement, statement_length);
    apr_transcript_absorb(t, APR_TAG_TRACE_CAP, h->trace_cap, cap);
    apr_transcript_elements(t, &alpha, 1);
    apr_transcript_absorb(t, APR_TAG_QUOTIENT_CAP, h->quotient_cap, cap);
    v->z = apr_out_of_domain_point(t);
    for (uint32_t i = 0; i < plan->openings; i++) v->values[i] = get_fx(h->openings + (size_t)APR_ELEMENT_BYTES * i);
    fx expected = apr_air_quotient_at(v->air, v->publics, v->values, alpha, v->z, v->air_scratch);
    if (!fx_eq(expected, apr_chunks_at(plan, v->values + v->air->reads, v->z)))
        return reject(v, APROVER_REJECT_QUOTIENT, 0, 0);
    apr_transcript_absorb(t, APR_TAG_OPENINGS, h->openings, (size_t)APR_ELEMENT_BYTES * plan->openings);
    apr_batching(t, plan, v->lambdas);
    for (uint32_t layer = 0; layer < plan->folds; layer++) {
        if (layer >= plan->first_layer)
            apr_transcript_absorb(t, APR_TAG_FRI_CAP, h->layer_caps[layer], apr_cap_bytes(plan, apr_layer_log_leaves(plan, layer)));
        apr_transcript_elements(t, &v->betas[layer], 1);
    }
    apr_transcript_absorb(t, APR_TAG_FINAL, h->final, (size_t)APR_ELEMENT_BYTES << plan->log_final);
    for (uint32_t i = 0; i < 1u << plan->log_final; i++) v->final[i] = get_fx(h->final + (size_t)APR_ELEMENT_BYTES * i);
    return APROVER_OK;
}

static aprover_status check_nonce(verifier *v, const uint8_t *nonce) {
    const uint32_t bits = v->plan.grinding_bits;
    uint8_t key[32], digest[APR_DIGEST_BYTES];
    apr_transcript_squeeze(&v->transcript);
    if (bits == 0) {
        if ((apr_get_u32(nonce) | apr_get_u32(nonce + 4)) != 0) return reject(v, APROVER_REJECT_GRINDING, 0, 0);
    } else {
        apr_grinding_key(&v->transcript, key);
        apr_blake3_keyed(key, nonce, APR_NONCE_BYTES, digest);
        if ((apr_get_u32(digest) & (uint32_t)(((uint64_t)1 << bits) - 1)) != 0) return reject(v, APROVER_REJECT_GRINDING, 0, 0);
    }
    apr_transcript_absorb(&v->transcript, APR_TAG_NONCE, nonce, APR_NONCE_BYTES);
    return APROVER_OK;
}

static aprover_status read_opening(verifier *v, opening *o, const uint8_t *cap, const uint32_t *indices, uint32_t count,
                                   uint32_t log_leaves, size_t leaf_bytes, uint32_t layer) {
    *o = (opening){.cap = cap, .indices = indices, .count = count, .log_leaves = log_leaves, .leaf_bytes = leaf_bytes};
    aprover_status status = part_of_elements(v, leaf_bytes * count, &o->leaves);
    if (status != APROVER_OK) return status;
    size_t digests = apr_multiproof_length(indices, count, log_leaves, apr_log_cap(&v->plan, log_leaves), v->merkle_scratch);
    o->digests = part(v, digests * APR_DIGEST_BYTES);
    return o->digests != NULL ? APROVER_OK : reject(v, APROVER_REJECT_TRUNCATED, layer, v->at);
}

static aprover_status read_openings(verifier *v, const head *h) {
    const apr_plan *plan = &v->plan;
    const uint32_t *current = v->indices;
    uint32_t count = plan->queries;
    aprover_status status;
    apr_transcript_indices(&v->transcript, v->indices, count, plan->log_leaves);
    status = read_opening(v, &v->trace, h->trace_cap, current, count, plan->log_leaves, apr_leaf_bytes(plan, plan->columns), 0);
    if (status != APROVER_OK) return status;
    status = read_opening(v, &v->quotient, h->quotient_cap, current, count, plan->log_leaves,
                          apr_leaf_bytes(plan, plan->quotient_columns), 0);
    if (status != APROVER_OK) return status;
    for (uint32_t t = plan->first_layer; t < plan->folds; t++) {
        uint32_t *octets = v->indices + (size_t)plan->queries * (t + 1);
        count = apr_octets_of(plan, t, current, count, octets);
        status = read_opening(v, &v->layers[t], h->layer_caps[t], octets, count, apr_layer_log_leaves(plan, t),
                              apr_layer_leaf_bytes(), t);
        if (status != APROVER_OK) return status;
        current = octets;
    }
    return v->at == v->length ? APROVER_OK : reject(v, APROVER_REJECT_TRAILING, 0, v->at);
}

/* ---- the trees ---- */

static int tree_holds(verifier *v, const opening *o) {
    static const uint8_t leaf_key[32] = "aprover v1 merkle leaf";
    v->hash->hash_many(leaf_key, o->leaves, o->leaf_bytes, o->leaf_bytes, o->count, v->digests);
    return apr_multiproof_verify(v->hash, v->digests, o->indices, o->count, o->log_leaves, apr_log_cap(&v->plan, o->log_leaves),
                                 o->digests, o->cap, v->merkle_scratch);
}

static aprover_status check_trees(verifier *v) {
    if (!tree_holds(v, &v->trace)) return reject(v, APROVER_REJECT_TRACE_MERKLE, 0, 0);
    if (!tree_holds(v, &v->quotient)) return reject(v, APROVER_REJECT_QUOTIENT_MERKLE, 0, 0);
    for (uint32_t t = v->plan.first_layer; t < v->plan.folds; t++)
        if (!tree_holds(v, &v->layers[t])) return reject(v, APROVER_REJECT_FRI_MERKLE, t, 0);
    return APROVER_OK;
}

/* ---- the DEEP polynomial at opened points, and folding ---- */

/* The openings by the points that they belong to, with their weighted sums. */
static uint32_t group_points(verifier *v, apr_point_group *groups) {
    const aprover_air *air = v->air;
    const fp w = fp_root(v->plan.log_k);
    uint32_t count = 0, term = 0;
    for (uint32_t i = 0; i < air->reads;) {
        const uint32_t offset = apr_read_offset(air->read[i]);
        apr_point_group *g = &groups[count++];
        *g = (apr_point_group){.point = fx_scale(v->z, fp_pow(w, offset)), .column = v->columns + term, .weight = v->weights + term};
        for (; i < air->reads && apr_read_offset(air->read[i]) == offset; i++, term++) {
            v->columns[term] = apr_read_column(air->read[i]);
            v->weights[term] = v->lambdas[i];
            g->value = fx_add(g->value, fx_mul(v->lambdas[i], v->values[i]));
        }
        for (uint32_t j = 0; offset == 0 && j < v->plan.chunks; j++) {
            const fx lambda = v->lambdas[air->reads + j];
            g->value = fx_add(g->value, fx_mul(lambda, v->values[air->reads + j]));
            for (int e = 0; e < FX_DEGREE; e++, term++) {
                v->columns[term] = v->plan.columns + FX_DEGREE * j + (uint32_t)e;
                v->weights[term] = apr_shift_fx(lambda, e);
            }
        }
        g->terms = (uint32_t)(v->columns + term - g->column);
    }
    return count;
}

/* Value m of an opened FRI leaf. */
static fx leaf_value(const opening *o, uint32_t leaf, uint32_t m) {
    fx r;
    for (uint32_t e = 0; e < FX_DEGREE; e++)
        r.c[e] = fp_from_u32(apr_get_u32(o->leaves + o->leaf_bytes * leaf + 4 * ((size_t)APR_ARITY * e + m)));
    return r;
}

static uint32_t find(const uint32_t *sorted, uint32_t count, uint32_t index) {
    uint32_t low = 0, high = count;
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (sorted[middle] <= index) low = middle;
        else high = middle;
    }
    return low;
}

/* The value at a position of layer t, out of the opened leaf that contains it. */
static fx value_at(const verifier *v, uint32_t t, uint32_t position) {
    uint32_t place, octet = apr_octet_of(&v->plan, t, position, &place);
    return leaf_value(&v->layers[t], find(v->layers[t].indices, v->layers[t].count, octet), place);
}

/* Leaves first .. first + 7 of an opening; past the end the last one stands again. */
static void eight_leaves(const opening *o, uint32_t first, const uint8_t *leaves[8], uint32_t indices[8]) {
    for (uint32_t lane = 0; lane < 8; lane++) {
        const uint32_t i = first + lane < o->count ? first + lane : o->count - 1;
        leaves[lane] = o->leaves + o->leaf_bytes * i;
        indices[lane] = o->indices[i];
    }
}

static void keep(fx *to, const fx from[8], uint32_t first, uint32_t count) {
    for (uint32_t lane = 0; lane < 8 && first + lane < count; lane++) to[first + lane] = from[lane];
}

/* Narrow: the folds of D_0 over the opened octets. Wide: D_0 at the opened rows. */
static void query_values(verifier *v) {
    const apr_plan *plan = &v->plan;
    apr_point_group groups[APR_MAX_OFFSET + 1];
    const apr_query_job job = {plan, groups, group_points(v, groups), v->betas[0], v->query_scratch};
    const apr_points points = plan->narrow ? apr_octet_points(plan, 0) : apr_position_points(plan, 0);
    for (uint32_t first = 0; first < plan->queries; first += 8) {
        const uint8_t *trace[8], *quotient[8];
        uint32_t indices[8];
        fp x[8], x_inverse[8];
        fx values[8];
        eight_leaves(&v->quotient, first, quotient, indices);
        eight_leaves(&v->trace, first, trace, indices);
        for (int lane = 0; lane < 8; lane++) x[lane] = apr_point(&points, indices[lane]);
        for (int lane = 0; lane < 8 && plan->narrow; lane++) x_inverse[lane] = apr_point_inverse(&points, indices[lane]);
        if (plan->narrow) v->kernels->fold_octets(&job, trace, quotient, x, x_inverse, values);
        else v->kernels->deep_rows(&job, trace, quotient, x, values);
        keep(v->folds, values, first, plan->queries);
    }
}

static void fold_layer(verifier *v, uint32_t t) {
    const opening *o = &v->layers[t];
    const apr_points points = apr_octet_points(&v->plan, t);
    for (uint32_t first = 0; first < o->count; first += 8) {
        const uint8_t *leaves[8];
        uint32_t indices[8];
        fp x_inverse[8];
        fx values[8];
        eight_leaves(o, first, leaves, indices);
        for (int lane = 0; lane < 8; lane++) x_inverse[lane] = apr_point_inverse(&points, indices[lane]);
        v->kernels->fold_leaves(leaves, x_inverse, v->betas[t], values);
        keep(v->folds, values, first, o->count);
    }
}

static aprover_status check_final(verifier *v, const uint32_t *positions, uint32_t count) {
    const apr_plan *plan = &v->plan;
    const apr_points points = apr_position_points(plan, plan->folds);
    for (uint32_t first = 0; first < count; first += 8) {
        fp x[8];
        fx values[8];
        for (uint32_t lane = 0; lane < 8; lane++) x[lane] = apr_point(&points, positions[first + lane < count ? first + lane : first]);
        v->kernels->evaluate(v->final, (size_t)1 << plan->log_final, x, values);
        for (uint32_t lane = 0; lane < 8 && first + lane < count; lane++)
            if (!fx_eq(values[lane], v->folds[first + lane]))
                return reject(v, APROVER_REJECT_FRI_FINAL, plan->folds, positions[first + lane]);
    }
    return APROVER_OK;
}

static aprover_status check_folds(verifier *v) {
    const apr_plan *plan = &v->plan;
    const uint32_t *positions = v->trace.indices;
    uint32_t count = plan->queries;
    query_values(v);
    for (uint32_t t = plan->first_layer; t < plan->folds; t++) {
        /* For t = 0 the folds are still the values of D_0 themselves. */
        const aprover_status status = t == 0 ? APROVER_REJECT_DEEP : APROVER_REJECT_FRI_FOLD;
        for (uint32_t i = 0; i < count; i++)
            if (!fx_eq(v->folds[i], value_at(v, t, positions[i]))) return reject(v, status, t, positions[i]);
        fold_layer(v, t);
        positions = v->layers[t].indices;
        count = v->layers[t].count;
    }
    return check_final(v, positions, count);
}

static aprover_status run(verifier *v, const uint32_t *publics, const uint8_t *statement, size_t statement_length) {
    head h;
    aprover_status status;
    if ((status = read_head(v, &h)) != APROVER_OK) return status;
    if ((status = replay(v, &h, publics, statement, statement_length)) != APROVER_OK) return status;
    if ((status = check_nonce(v, h.nonce)) != APROVER_OK) return status;
    if ((status = read_openings(v, &h)) != APROVER_OK) return status;
    if ((status = check_trees(v)) != APROVER_OK) return status;
    return check_folds(v);
}

aprover_status aprover_verify(const aprover_air *air, const uint32_t *publics, const uint8_t *statement, size_t statement_length,
                              const uint8_t *proof, size_t length, void *memory, size_t bytes, uint32_t path, aprover_error *error) {
    aprover_error ignored;
    verifier v = {.air = air, .proof = proof, .length = length, .error = error != NULL ? error : &ignored};
    aprover_parameters parameters;
    *v.error = (aprover_error){0, 0, 0};
    if (air == NULL || proof == NULL || (publics == NULL && air->publics > 0) || (statement == NULL && statement_length > 0))
        return reject(&v, APROVER_ERROR_ARGUMENT, 0, 0);
    aprover_status status = aprover_proof_parameters(air, proof, length, &parameters, v.error);
    if (status != APROVER_OK) return status;
    apr_plan_make(air, &parameters, &v.plan);
    const size_t needed = lay_out(&v, 0);
    if (memory == NULL || ((uintptr_t)memory & 63) != 0 || bytes < needed) return reject(&v, APROVER_ERROR_MEMORY, 0, needed);
    lay_out(&v, (uintptr_t)memory);
    for (uint32_t i = 0; i < air->publics; i++) {
        if (publics[i] >= FP_P) return reject(&v, APROVER_ERROR_PUBLICS, 0, i);
        v.publics[i] = fp_from_u32(publics[i]);
    }
    v.hash = apr_hash_kernels_for((enum apr_path)path);
    v.kernels = apr_verify_kernels_for((enum apr_path)path);
    return run(&v, publics, statement, statement_length);
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
