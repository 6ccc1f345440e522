/* The state of one verification, and its two halves: verify.c reads the proof and checks what needs no query, verify_queries.c the rest. */
#ifndef APROVER_VERIFIER_H
#define APROVER_VERIFIER_H

#include "protocol.h"
#include "verify.h"

/* One tree's opening as it stands in the proof. */
typedef struct {
    const uint8_t *cap, *leaves, *digests;
    const uint32_t *indices;
    uint32_t count;
    uint32_t log_leaves;
    size_t leaf_bytes;
} apr_opening;

/* Which column an opening at z belongs to. */
typedef struct {
    uint32_t level;
    uint32_t column;   /* the first, among those of its level's trees, numbered through */
    uint32_t width;    /* 1, or 5 coefficients of a value in the challenge field */
    uint32_t exponent; /* the point is z * w(24)^exponent */
    uint32_t group;    /* of that level, once they are made */
} apr_opened_column;

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
    fx *lambdas;     /* of the openings, and of the mask */
    apr_opened_column *opened;
    fx *folds;       /* one for each position of the level reached */
    fx *deep;        /* of one lower level */
    uint32_t *positions[APR_MAX_LEVELS]; /* the indices drawn, then I_t of step 10 in section 7 */
    uint32_t counts[APR_MAX_LEVELS];
    uint8_t *digests;  /* of one tree's leaves */
    void *merkle_scratch;
    void *air_scratch;
    apr_point_group *groups; /* of one level, with its terms */
    uint32_t *columns;
    fx *weights;
    uint32_t *query_scratch;

    fx z, betas[APR_MAX_FOLDS], final[1 << APR_LOG_FINAL_MAX];
    apr_opening trees[APR_PHASES][APR_MAX_LEVELS], layers[APR_MAX_FOLDS];
} apr_verifier;

static inline aprover_status apr_reject(apr_verifier *v, aprover_status status, uint32_t detail, uint64_t index) {
    *v->error = (aprover_error){(int32_t)status, detail, index};
    return status;
}

/* Steps 12 to 14 of section 9, once all openings are read and all trees hold. */
aprover_status apr_check_queries(apr_verifier *v);

#endif
