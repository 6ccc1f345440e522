/* The verifier's kernels: what it computes at every query, eight queries at once. */
#ifndef APROVER_VERIFY_H
#define APROVER_VERIFY_H

#include "plan.h"

/* The openings that share a point z * w^offset. Columns of trace and quotient are numbered through. */
typedef struct {
    fx point;
    fx value;               /* the weighted sum of the openings */
    const uint32_t *column; /* `terms` columns and their weights */
    const fx *weight;
    uint32_t terms;
} apr_point_group;

typedef struct {
    const apr_plan *plan;
    const apr_point_group *groups;
    uint32_t group_count;
    fx beta;         /* of the fold of layer 0; narrow only */
    uint32_t *scratch; /* apr_query_scratch_words */
} apr_query_job;

static inline size_t apr_query_scratch_words(const apr_plan *plan) {
    return (size_t)8 * (plan->columns + plan->quotient_columns) * (plan->narrow ? APR_ARITY : 1);
}

/* Each kernel takes eight lanes; a caller with fewer repeats one. */
typedef struct {
    /* Narrow: the folds of D_0 over eight opened octets, whose first points are x; x_inverse: 1/x. */
    void (*fold_octets)(const apr_query_job *job, const uint8_t *const trace[8], const uint8_t *const quotient[8], const fp x[8],
                        const fp x_inverse[8], fx out[8]);
    /* Wide: D_0 at eight opened rows, whose points are x. */
    void (*deep_rows)(const apr_query_job *job, const uint8_t *const trace[8], const uint8_t *const quotient[8], const fp x[8],
                      fx out[8]);
    /* The folds of eight opened leaves of a FRI layer. */
    void (*fold_leaves)(const uint8_t *const leaves[8], const fp x_inverse[8], fx beta, fx out[8]);
    /* A polynomial, lowest coefficient first, at eight points. */
    void (*evaluate)(const fx *coefficients, size_t count, const fp x[8], fx out[8]);
} apr_verify_kernels;

const apr_verify_kernels *apr_verify_kernels_for(enum apr_path path);

#endif
