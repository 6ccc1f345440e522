/* The state of one proof under way, shared by the phases of the prover. */
#ifndef APROVER_PROVER_H
#define APROVER_PROVER_H

#include "merkle.h"
#include "parallel.h"
#include "protocol.h"

/* A committed matrix over an evaluation domain. */
typedef struct {
    apr_matrix matrix;
    apr_tree tree;
    int octets; /* octet leaves, or row leaves */
} apr_commitment;

typedef struct {
    const aprover_job *job;
    const aprover_air *air;
    apr_plan plan;
    const apr_poly_kernels *poly;
    const apr_hash_kernels *hash;
    const apr_air_kernels *evaluator;
    apr_twiddles twiddles;
    apr_transcript transcript;
    aprover_team *team;    /* NULL if one thread works: always for short traces */
    uint32_t lanes;

    /* Regions of the arena. Vectors over the challenge field have the stride `stride_k`. */
    size_t stride_k;
    uint32_t *trace;       /* columns * k: the trace, then its coefficients */
    uint32_t *trace_lde;   /* columns, stride_n apart */
    uint32_t *quotient;    /* 5 * chunks vectors of coefficients, stride_k apart */
    uint32_t *quotient_lde;
    uint32_t *coset;       /* columns * k words: one coset outside the LDE domain, if the quotient needs such */
    uint32_t *sparse;      /* 4 * k words for boundary constraints on many rows, else empty */
    uint32_t *work;        /* a vector over the challenge field: powers of z, then one point's part of the DEEP polynomial */
    uint32_t *deep;        /* a vector over the challenge field: coefficients of D_t */
    fp *publics;
    fx *alphas;
    fx *openings;
    fx *lambdas;
    fx *dots;              /* sums of the columns under way, for each lane */
    void *point_scratch;   /* of the evaluation at z */
    void *scratch;         /* of the evaluator, scratch_bytes for each lane */
    size_t scratch_bytes;
    uint32_t *indices;     /* queries: the sampled ones, one layer's, and scratch of the multi-proof */
    uint32_t *layer_indices;
    uint32_t *proof_scratch;
    apr_commitment trace_commitment, quotient_commitment;
    apr_commitment layers[APR_MAX_FOLDS];

    uint8_t *out;          /* where the proof is written */
    size_t used;
} apr_prover;

/* Nonzero if the job was cancelled. */
static inline int apr_stopped(const apr_prover *p) {
    return p->job->cancel != NULL && __atomic_load_n(p->job->cancel, __ATOMIC_RELAXED) != 0;
}
/* The same as an apr_poll; the context is the apr_prover. */
int apr_poll_cancel(void *prover);
static inline void apr_progress(const apr_prover *p, uint32_t per_mille) {
    if (p->job->progress != NULL) __atomic_store_n(p->job->progress, per_mille, __ATOMIC_RELAXED);
}
/* The shift of coset j of the LDE domain of FRI layer t. */
static inline fp apr_coset_shift(const apr_plan *plan, uint32_t t, uint32_t j) {
    return fp_mul(apr_layer_shift(t), fp_pow(fp_root(plan->log_n - APR_LOG_ARITY * t), j));
}

/* Columns of coefficients. */
typedef struct {
    const uint32_t *values;
    size_t stride;
    uint32_t count;
    uint32_t log_n;
} apr_columns;

/* arena.c: bind the regions to the arena, which needs `needed` bytes. Larger tables of earlier proofs are kept if the rest fits behind. */
aprover_status apr_open_arena(apr_prover *p, void *arena, size_t bytes, size_t *needed);

/* Phases. Each returns APROVER_OK or APROVER_CANCELLED. */

/* commit.c: columns of k values on the trace domain, or on a coset of it with 1/scale as its shift, to coefficients, in place. */
aprover_status apr_interpolate(const apr_prover *p, uint32_t *columns, size_t stride, uint32_t count, fp scale);
/* Evaluate columns on 2^log_cosets cosets, one after the other in `out`. */
aprover_status apr_evaluate(const apr_prover *p, const apr_columns *f, uint32_t *out, size_t stride, const fp *shifts,
                            uint32_t log_cosets);
/* Evaluate columns of coefficients on the domain of FRI layer t into the commitment's matrix. */
aprover_status apr_extend(const apr_prover *p, const uint32_t *coefficients, size_t stride, uint32_t t, const apr_commitment *c);
/* Hash the tree, write the cap into the proof and absorb it. */
aprover_status apr_commit(apr_prover *p, apr_commitment *c, enum apr_tag tag);
/* quotient.c: the quotient's coefficients from the committed trace. */
aprover_status apr_quotient(apr_prover *p, fx alpha);
/* deep.c: the openings of step 4, and D_0 of step 5. */
aprover_status apr_open_at_z(apr_prover *p, fx z);
aprover_status apr_deep_polynomial(apr_prover *p, fx z);
/* fri.c: commit and fold until few coefficients are left, then send those; and the nonce. */
aprover_status apr_fri(apr_prover *p);
aprover_status apr_grind(apr_prover *p);
/* queries.c: draw the indices and open the trees. */
aprover_status apr_answer_queries(apr_prover *p);

#endif
