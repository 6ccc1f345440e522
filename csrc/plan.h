/* The shape of one proof: everything that follows from an AIR and parameters, derived once and used by prover and verifier alike.
 * docs/protocol.md sections 5, 6 and 8. */
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
#define APR_MAX_LOG_ARITY 3
#define APR_MAX_ARITY 8
#define APR_LOG_FINAL_MAX 6 /* folding stops at no more than 2^6 coefficients */
#define APR_MAX_LOG_BLOWUP 6
#define APR_MAX_FOLDS 20    /* by 2 each time, from 2^26, the longest that a blowup of 2 leaves room for, down to 2^6 */
#define APR_MAX_LEVELS (APR_MAX_FOLDS + 1)
#define APR_MAX_QUERIES 4096
#define APR_NARROW_COLUMNS 32

/* The trees that have one for each level with columns in it. */
enum apr_phase { APR_PHASE_PREPROCESSED, APR_PHASE_TRACE, APR_PHASE_LOOKUP, APR_PHASE_QUOTIENT, APR_PHASES };

/* One size of domain. FRI layer t is the word on level t. */
typedef struct {
    uint32_t log_k;     /* l_t */
    uint32_t log_n;     /* of its domain */
    uint32_t log_arity; /* a_t; 0 on the last level */
    uint32_t tables;    /* that belong to it */
    uint32_t columns[APR_PHASES]; /* of its tree; 0: there is none. The quotient's include the mask. */
} apr_level_plan;

typedef struct {
    uint32_t level;
    uint32_t log_length; /* of lambda = 2^(l_t) */
    uint32_t masks;      /* R */
    uint32_t chunks;     /* c */
    uint32_t stride;     /* m = lambda - R, between chunks */
    uint32_t first_column[APR_PHASES]; /* in its level's matrix */
    uint32_t first_opening;            /* reads, lookup columns, then the chunks */
    uint32_t first_chunk;              /* opening */
    uint32_t sum;                      /* number of its lookup sum, if it has interactions */
} apr_table_plan;

typedef struct {
    uint32_t log_blowup, queries, grinding_bits, cap_log;
    uint32_t independent, zero_knowledge, narrow;
    uint32_t tables, openings;
    uint32_t sums;        /* lookup sums: tables with interactions */
    uint32_t folds;       /* layers 0 .. folds - 1 are folded; level `folds` is the last */
    uint32_t first_layer; /* the committed ones are first_layer .. folds - 1 */
    uint32_t log_domain;  /* of the query indices: M = 2^log_domain */
    size_t head_bytes;    /* from the parameters to the nonce */
    apr_level_plan level[APR_MAX_LEVELS];
    apr_table_plan table[APR_MAX_TABLES];
} apr_plan;

/* APROVER_REJECT_PARAMETERS if section 5 or 6 is broken. */
aprover_status apr_plan_make(const aprover_air *air, const aprover_parameters *parameters, apr_plan *plan);
/* An upper bound of the proof's length. */
size_t apr_plan_proof_bound(const apr_plan *plan);
void apr_parameters_read(const uint8_t bytes[APR_PARAMETER_BYTES], aprover_parameters *parameters);
void apr_parameters_write(const aprover_parameters *parameters, uint8_t bytes[APR_PARAMETER_BYTES]);

/* ---- trees ---- */

static inline uint32_t apr_log_cap(const apr_plan *plan, uint32_t log_leaves) {
    return plan->cap_log < log_leaves ? plan->cap_log : log_leaves;
}
static inline size_t apr_cap_bytes(const apr_plan *plan, uint32_t log_leaves) {
    return (size_t)APR_DIGEST_BYTES << apr_log_cap(plan, log_leaves);
}

/* Positions in a leaf of the trees of level t: a fold coset, or one row (0). */
static inline uint32_t apr_tree_log_arity(const apr_plan *plan, uint32_t t) {
    return plan->narrow && t == 0 ? plan->level[0].log_arity : 0;
}
static inline uint32_t apr_tree_log_leaves(const apr_plan *plan, uint32_t t) {
    return plan->level[t].log_n - apr_tree_log_arity(plan, t);
}
static inline int apr_tree_salted(const apr_plan *plan, enum apr_phase phase) {
    return plan->zero_knowledge && phase != APR_PHASE_PREPROCESSED;
}
static inline size_t apr_tree_leaf_bytes(const apr_plan *plan, enum apr_phase phase, uint32_t t) {
    return ((size_t)4 * plan->level[t].columns[phase] << apr_tree_log_arity(plan, t)) +
           (apr_tree_salted(plan, phase) ? APR_SALT_BYTES : 0);
}
/* All caps of a phase. */
size_t apr_caps_bytes(const apr_plan *plan, enum apr_phase phase);
/* Batching coefficients: one for each opening, and then the mask's. */
static inline uint32_t apr_batched(const apr_plan *plan) { return plan->openings + plan->zero_knowledge; }
/* Where the columns of G begin in the quotient matrix of level 0. */
static inline uint32_t apr_mask_column(const apr_plan *plan) { return plan->level[0].columns[APR_PHASE_QUOTIENT] - FX_DEGREE; }

/* Fold cosets of FRI layer t, which are its leaves and the positions of level t + 1. */
static inline uint32_t apr_layer_log_leaves(const apr_plan *plan, uint32_t t) {
    return plan->level[t].log_n - plan->level[t].log_arity;
}
static inline size_t apr_layer_leaf_bytes(const apr_plan *plan, uint32_t t) {
    return (size_t)APR_ELEMENT_BYTES << plan->level[t].log_arity;
}

/* The fold coset of level t that contains a position (section 6), and the position's place in it. */
static inline uint32_t apr_coset_of(const apr_plan *plan, uint32_t t, uint32_t position, uint32_t *place) {
    const uint32_t log_k = plan->level[t].log_k, log_rows = log_k - plan->level[t].log_arity;
    const uint32_t row = position & ((1u << log_k) - 1);
    *place = row >> log_rows;
    return position >> log_k << log_rows | (row & ((1u << log_rows) - 1));
}

/* ---- points ---- */

/* Shift of level t's domain: g^(2^(l_0 - l_t)). */
static inline fp apr_level_shift(const apr_plan *plan, uint32_t t) {
    return fp_pow(fp_from_u32(FP_GENERATOR), (uint64_t)1 << (plan->level[0].log_k - plan->level[t].log_k));
}

/* The points of level t's positions, or of the first positions of its fold cosets. */
typedef struct {
    fp shift, shift_inverse, root, root_inverse;
    uint32_t log_rows, log_blowup;
} apr_points;

apr_points apr_position_points(const apr_plan *plan, uint32_t t);
apr_points apr_coset_points(const apr_plan *plan, uint32_t t);
fp apr_point(const apr_points *points, uint32_t index);
fp apr_point_inverse(const apr_points *points, uint32_t index);

/* ---- bytes ---- */

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
