/* The verifier: docs/protocol.md section 9, in its order and with its codes. */
#include <string.h>

#include "merkle.h"
#include "protocol.h"

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
    do apr_transcript_elements(t, &v->z, 1);
    while (fx_is_base(v->z));
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

/* ---- the DEEP polynomial at opened points ---- */

/* The openings that share a point z * w^offset. */
typedef struct {
    uint32_t first, end; /* reads */
    fx point, value;     /* value: sum of lambda * opening, the chunks included at offset 0 */
} point_group;

static uint32_t group_points(const verifier *v, point_group *groups) {
    const aprover_air *air = v->air;
    const fp w = fp_root(v->plan.log_k);
    uint32_t count = 0;
    for (uint32_t i = 0; i < air->reads;) {
        const uint32_t offset = apr_read_offset(air->read[i]);
        point_group *g = &groups[count++];
        *g = (point_group){i, i, fx_scale(v->z, fp_pow(w, offset)), fx_zero()};
        for (; i < air->reads && apr_read_offset(air->read[i]) == offset; i++)
            g->value = fx_add(g->value, fx_mul(v->lambdas[i], v->values[i]));
        g->end = i;
        for (uint32_t j = 0; offset == 0 && j < v->plan.chunks; j++)
            g->value = fx_add(g->value, fx_mul(v->lambdas[air->reads + j], v->values[air->reads + j]));
    }
    return count;
}

/* Sum of lambda * f for one group at one point. A column's value stands at trace + column * step. */
static fx weighted_sum(const verifier *v, const point_group *g, const uint8_t *trace, const uint8_t *quotient, size_t step) {
    const aprover_air *air = v->air;
    fx sum = fx_zero();
    for (uint32_t i = g->first; i < g->end; i++) {
        fp value = fp_from_u32(apr_get_u32(trace + step * apr_read_column(air->read[i])));
        sum = fx_add(sum, fx_scale(v->lambdas[i], value));
    }
    for (uint32_t j = 0; g->first == 0 && j < v->plan.chunks; j++) {
        fx chunk;
        for (int e = 0; e < FX_DEGREE; e++)
            chunk.c[e] = fp_from_u32(apr_get_u32(quotient + step * ((size_t)FX_DEGREE * j + (uint32_t)e)));
        sum = fx_add(sum, fx_mul(v->lambdas[air->reads + j], chunk));
    }
    return sum;
}

/* D_0 at `count` points x * w(3)^m (count 8 or 1), with one inversion for all of them. */
static void deep_values(const verifier *v, const point_group *groups, uint32_t group_count, fp x, uint32_t count,
                        const uint8_t *trace, const uint8_t *quotient, fx *out) {
    fx factor[APR_ARITY * (APR_MAX_OFFSET + 1)], prefix[APR_ARITY * (APR_MAX_OFFSET + 1)], product = fx_one();
    const fp zeta = fp_root(APR_LOG_ARITY);
    const uint32_t terms = count * group_count;
    for (uint32_t m = 0, i = 0; m < count; m++, x = fp_mul(x, zeta))
        for (uint32_t g = 0; g < group_count; g++, i++) {
            factor[i] = fx_sub(fx_from_fp(x), groups[g].point); /* never zero: the point lies outside Fp */
            prefix[i] = product;
            product = fx_mul(product, factor[i]);
        }
    fx rest = fx_inv(product);
    for (uint32_t m = 0; m < count; m++) out[m] = fx_zero();
    for (uint32_t i = terms; i-- > 0;) {
        const uint32_t m = i / group_count;
        const point_group *g = &groups[i % group_count];
        fx inverse = fx_mul(rest, prefix[i]);
        rest = fx_mul(rest, factor[i]);
        fx sum = weighted_sum(v, g, trace + 4 * m, quotient + 4 * m, (size_t)4 * count);
        out[m] = fx_add(out[m], fx_mul(fx_sub(sum, g->value), inverse));
    }
}

/* ---- folding ---- */

/* The fold of an octet, as three folds by two: by beta on x, beta^2 on x^2, beta^4 on x^4. */
static fx fold_octet(fx *values, fp x, fx beta) {
    const fp half = fp_inv(fp_from_u32(2));
    fp inverse = fp_mul(fp_inv(x), half), zeta = fp_inv(fp_root(APR_LOG_ARITY));
    for (uint32_t n = APR_ARITY / 2; n > 0; n /= 2) {
        fp at = inverse; /* 1 / (2 x zeta^m) */
        for (uint32_t m = 0; m < n; m++, at = fp_mul(at, zeta)) {
            fx even = fx_scale(fx_add(values[m], values[m + n]), half);
            fx odd = fx_scale(fx_sub(values[m], values[m + n]), at);
            values[m] = fx_add(even, fx_mul(beta, odd));
        }
        beta = fx_mul(beta, beta);
        zeta = fp_sqr(zeta);
        inverse = fp_mul(fp_sqr(inverse), fp_add(FP_ONE, FP_ONE)); /* 1 / (2 x^2) from 1 / (2x) */
    }
    return values[0];
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

static void fold_layer(verifier *v, uint32_t t) {
    const opening *o = &v->layers[t];
    for (uint32_t i = 0; i < o->count; i++) {
        fx values[APR_ARITY];
        for (uint32_t m = 0; m < APR_ARITY; m++) values[m] = leaf_value(o, i, m);
        v->folds[i] = fold_octet(values, apr_octet_point(&v->plan, t, o->indices[i]), v->betas[t]);
    }
}

static aprover_status check_folds(verifier *v) {
    const apr_plan *plan = &v->plan;
    point_group groups[APR_MAX_OFFSET + 1];
    const uint32_t group_count = group_points(v, groups);
    for (uint32_t i = 0; i < plan->queries; i++) {
        const uint8_t *trace = v->trace.leaves + v->trace.leaf_bytes * i;
        const uint8_t *quotient = v->quotient.leaves + v->quotient.leaf_bytes * i;
        const uint32_t index = v->trace.indices[i];
        fx values[APR_ARITY];
        if (plan->narrow) {
            fp x = apr_octet_point(plan, 0, index);
            deep_values(v, groups, group_count, x, APR_ARITY, trace, quotient, values);
            v->folds[i] = fold_octet(values, x, v->betas[0]);
        } else {
            deep_values(v, groups, group_count, apr_position_point(plan, 0, index), 1, trace, quotient, values);
            if (!fx_eq(values[0], value_at(v, 0, index))) return reject(v, APROVER_REJECT_DEEP, 0, index);
        }
    }
    const uint32_t *positions = v->trace.indices;
    uint32_t count = plan->queries;
    for (uint32_t t = plan->first_layer; t < plan->folds; t++) {
        for (uint32_t i = 0; t > 0 && i < count; i++)
            if (!fx_eq(v->folds[i], value_at(v, t, positions[i]))) return reject(v, APROVER_REJECT_FRI_FOLD, t, positions[i]);
        fold_layer(v, t);
        positions = v->layers[t].indices;
        count = v->layers[t].count;
    }
    for (uint32_t i = 0; i < count; i++) {
        const fp x = apr_position_point(plan, plan->folds, positions[i]);
        fx sum = fx_zero();
        for (uint32_t j = 1u << plan->log_final; j-- > 0;) sum = fx_add(fx_scale(sum, x), v->final[j]);
        if (!fx_eq(sum, v->folds[i])) return reject(v, APROVER_REJECT_FRI_FINAL, plan->folds, positions[i]);
    }
    return APROVER_OK;
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
    return run(&v, publics, statement, statement_length);
}
