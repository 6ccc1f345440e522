/* The verifier's kernels: what it computes at every query, eight queries at once. */
#ifndef APROVER_VERIFY_H
#define APROVER_VERIFY_H

#include "plan.h"

/* The openings of one level at one point. The columns of the level's trees are numbered through, phase after phase. */
typedef struct {
    fx point;
    fx value;               /* the weighted sum of the openings */
    const uint32_t *column; /* `terms` columns and their weights */
    const fx *weight;
    uint32_t terms;
} apr_point_group;

#define APR_NO_MASK UINT32_MAX

typedef struct {
    const apr_point_group *groups;
    uint32_t group_count;
    uint32_t columns[APR_PHASES]; /* of the level's trees */
    uint32_t mask;                /* the first column of G, or APR_NO_MASK */
    fx mask_weight;
    uint32_t log_arity;           /* of the fold; narrow only */
    fx beta;                      /* likewise */
    uint32_t *scratch;            /* apr_query_scratch_words, 64-byte aligned */
} apr_query_job;

/* Eight leaves of each phase that has columns. */
typedef const uint8_t *apr_eight_leaves[APR_PHASES][8];

/* columns: of all phases; places: positions in a leaf. */
static inline size_t apr_query_scratch_words(size_t groups, size_t columns, size_t places) {
    return 8 * (3 * FX_DEGREE * groups + columns * places);
}

/* Each kernel takes eight lanes; a caller with fewer repeats one. */
typedef struct {
    /* Narrow: the folds of D_0 over eight opened fold cosets, whose first points are x; x_inverse: 1/x. */
    void (*fold_cosets)(const apr_query_job *job, apr_eight_leaves leaves, const fp x[8], const fp x_inverse[8], fx out[8]);
    /* G_t at eight opened rows of level t, whose points are x. */
    void (*deep_rows)(const apr_query_job *job, apr_eight_leaves leaves, const fp x[8], fx out[8]);
    /* The folds of eight opened leaves of a FRI layer. */
    void (*fold_leaves)(const uint8_t *const leaves[8], uint32_t log_arity, const fp x_inverse[8], fx beta, fx out[8]);
    /* A polynomial, lowest coefficient first, at eight points. */
    void (*evaluate)(const fx *coefficients, size_t count, const fp x[8], fx out[8]);
} apr_verify_kernels;

const apr_verify_kernels *apr_verify_kernels_for(enum apr_path path);

#endif
