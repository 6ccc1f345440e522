/* The shape of one proof: everything that follows from an AIR and parameters, derived once and used by prover and verifier alike. */
#ifndef APROVER_PLAN_H
#define APROVER_PLAN_H

#include "air.h"
#include "blake3.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "words are hashed as they stand in memory, which needs a little-endian machine"
#endif

#define APR_ELEMENT_BYTES (4 * FX_DEGREE)
#define APR_PARAMETER_BYTES 8
#define APR_NONCE_BYTES 8
#define APR_LOG_ARITY 3
#define APR_ARITY 8
#define APR_LOG_FINAL_MAX 6 /* folding stops at no more than 2^6 coefficients */
#define APR_MAX_FOLDS 8
#define APR_MAX_LOG_BLOWUP 6

typedef struct {
    uint32_t log_k, log_blowup, log_n, narrow;
    uint32_t columns, quotient_columns, chunks, openings;
    uint32_t queries, grinding_bits, independent;
    uint32_t cap_log;
    uint32_t log_leaves;  /* of the trace and quotient trees; also the index domain M */
    uint32_t folds;       /* layers 0 .. folds - 1 are folded */
    uint32_t first_layer; /* the committed ones are first_layer .. folds - 1 */
    uint32_t log_final;
    size_t head_bytes;    /* from the parameters to the nonce */
} apr_plan;

/* APROVER_REJECT_PARAMETERS if section 5 is broken. */
aprover_status apr_plan_make(const aprover_air *air, const aprover_parameters *parameters, apr_plan *plan);
void apr_parameters_read(const uint8_t bytes[APR_PARAMETER_BYTES], aprover_parameters *parameters);
void apr_parameters_write(const aprover_parameters *parameters, uint8_t bytes[APR_PARAMETER_BYTES]);

static inline uint32_t apr_log_cap(const apr_plan *plan, uint32_t log_leaves) {
    return plan->cap_log < log_leaves ? plan->cap_log : log_leaves;
}
static inline size_t apr_cap_bytes(const apr_plan *plan, uint32_t log_leaves) {
    return (size_t)APR_DIGEST_BYTES << apr_log_cap(plan, log_leaves);
}
/* Octets of FRI layer t. */
static inline uint32_t apr_layer_log_leaves(const apr_plan *plan, uint32_t t) { return plan->log_n - APR_LOG_ARITY * (t + 1); }
static inline uint32_t apr_layer_log_k(const apr_plan *plan, uint32_t t) { return plan->log_k - APR_LOG_ARITY * t; }
/* Bytes of a leaf of a matrix with so many columns. */
static inline size_t apr_leaf_bytes(const apr_plan *plan, uint32_t columns) {
    return (size_t)4 * columns * (plan->narrow ? APR_ARITY : 1);
}
static inline size_t apr_layer_leaf_bytes(void) { return (size_t)4 * APR_ARITY * FX_DEGREE; }

/* The octet that contains a position of FRI layer t (section 6), and the position's place in it. */
static inline uint32_t apr_octet_of(const apr_plan *plan, uint32_t t, uint32_t position, uint32_t *place) {
    uint32_t log_k = apr_layer_log_k(plan, t), log_octets = log_k - APR_LOG_ARITY;
    uint32_t coset = position >> log_k, row = position & ((1u << log_k) - 1);
    *place = row >> log_octets;
    return coset << log_octets | (row & ((1u << log_octets) - 1));
}

/* Shift of FRI layer t's domain: g^(8^t). */
static inline fp apr_layer_shift(uint32_t t) {
    return fp_pow(fp_from_u32(FP_GENERATOR), (uint64_t)1 << (APR_LOG_ARITY * t));
}
/* The points of FRI layer t's positions, or of the first positions of its octets. */
typedef struct {
    fp shift, shift_inverse, root, root_inverse;
    uint32_t log_rows, log_blowup;
} apr_points;

apr_points apr_position_points(const apr_plan *plan, uint32_t t);
apr_points apr_octet_points(const apr_plan *plan, uint32_t t);
fp apr_point(const apr_points *points, uint32_t index);
fp apr_point_inverse(const apr_points *points, uint32_t index);

static inline void apr_put_u32(uint8_t *out, uint32_t x) {
    for (int i = 0; i < 4; i++) out[i] = (uint8_t)(x >> (8 * i));
}
static inline uint32_t apr_get_u32(const uint8_t *in) {
    return in[0] | (uint32_t)in[1] << 8 | (uint32_t)in[2] << 16 | (uint32_t)in[3] << 24;
}
static inline void apr_put_fx(uint8_t *out, fx x) {
    for (int e = 0; e < FX_DEGREE; e++) apr_put_u32(out + 4 * e, fp_to_u32(x.c[e]));
}

/* X^e * a in the challenge field. */
static inline fx apr_shift_fx(fx a, int e) {
    fx r;
    for (int i = 0; i < FX_DEGREE; i++) {
        int j = i - e;
        r.c[i] = j >= 0 ? a.c[j] : fp_add(a.c[j + FX_DEGREE], a.c[j + FX_DEGREE]);
    }
    return r;
}

#endif
