/* Columns: interpolated, extended to an evaluation domain, hashed into a tree. */
#include <string.h>

#include "prover.h"

/* Compressions in a task of hashing: under a millisecond with eight lanes. */
enum { HASH_SLICE = 1 << 15 };

typedef struct {
    const apr_prover *p;
    uint32_t *columns;
    size_t stride;
    fp scale; /* 1, or s: the coefficients become those of f(sX) */
} interpolation;

static aprover_status interpolate_column(void *context, size_t index, uint32_t lane) {
    const interpolation *job = context;
    const apr_prover *p = job->p;
    uint32_t *column = job->columns + job->stride * index;
    (void)lane;
    if (p->poly->interpolate(&p->twiddles, column, p->plan.log_k, apr_poll_cancel, (void *)(uintptr_t)p)) return APROVER_CANCELLED;
    if (job->scale != FP_ONE) p->poly->scale_powers(column, p->plan.log_k, job->scale);
    return apr_stopped(p) ? APROVER_CANCELLED : APROVER_OK;
}

aprover_status apr_interpolate(const apr_prover *p, uint32_t *columns, size_t stride, uint32_t count, fp scale) {
    interpolation job = {p, columns, stride, scale};
    return apr_parallel(p->team, interpolate_column, &job, count);
}

typedef struct {
    const apr_prover *p;
    const apr_columns *coefficients;
    uint32_t *out;
    size_t stride;
    const fp *shifts;
    uint32_t log_cosets;
} evaluation;

static aprover_status evaluate_column(void *context, size_t index, uint32_t lane) {
    const evaluation *job = context;
    const apr_prover *p = job->p;
    const apr_columns *f = job->coefficients;
    const size_t column = index >> job->log_cosets, coset = index & (((size_t)1 << job->log_cosets) - 1);
    (void)lane;
    if (p->poly->evaluate(&p->twiddles, job->out + job->stride * column + (coset << f->log_n), f->values + f->stride * column,
                          f->log_n, job->shifts[coset], apr_poll_cancel, (void *)(uintptr_t)p))
        return APROVER_CANCELLED;
    return apr_stopped(p) ? APROVER_CANCELLED : APROVER_OK;
}

aprover_status apr_evaluate(const apr_prover *p, const apr_columns *f, uint32_t *out, size_t stride, const fp *shifts,
                            uint32_t log_cosets) {
    evaluation job = {p, f, out, stride, shifts, log_cosets};
    return apr_parallel(p->team, evaluate_column, &job, (size_t)f->count << log_cosets);
}

aprover_status apr_extend(const apr_prover *p, const uint32_t *coefficients, size_t stride, uint32_t t, const apr_commitment *c) {
    const apr_matrix *m = &c->matrix;
    const apr_columns f = {coefficients, stride, m->columns, m->log_coset};
    fp shifts[1 << APR_MAX_LOG_BLOWUP], step = fp_root(p->plan.log_n - APR_LOG_ARITY * t);
    shifts[0] = apr_layer_shift(t);
    for (uint32_t j = 1; j < 1u << m->log_blowup; j++) shifts[j] = fp_mul(shifts[j - 1], step);
    /* The matrix is read-only for the hashing; its memory is the arena's own. */
    return apr_evaluate(p, &f, (uint32_t *)(uintptr_t)m->values, m->stride, shifts, m->log_blowup);
}

typedef struct {
    const apr_prover *p;
    const apr_commitment *commitment;
    uint32_t level;
    size_t slice, count; /* nodes in a task, and on the level */
} hashing;

static aprover_status hash_slice(void *context, size_t index, uint32_t lane) {
    const hashing *job = context;
    const apr_commitment *c = job->commitment;
    const apr_hash_kernels *kernels = job->p->hash;
    const size_t first = index * job->slice, count = job->count - first < job->slice ? job->count - first : job->slice;
    (void)lane;
    if (job->level > 0) apr_tree_hash_level(kernels, &c->tree, job->level, first, count);
    else (c->octets ? kernels->hash_octets : kernels->hash_rows)(&c->matrix, first, count, apr_tree_node(&c->tree, 0, first));
    return apr_stopped(job->p) ? APROVER_CANCELLED : APROVER_OK;
}

static aprover_status hash_tree(const apr_prover *p, const apr_commitment *c) {
    const size_t leaves = (size_t)1 << c->tree.log_leaves;
    const size_t compressions = ((size_t)4 * c->matrix.columns * (c->octets ? APR_ARITY : 1) + 63) / 64;
    aprover_status status = APROVER_OK;
    for (uint32_t level = 0; status == APROVER_OK && level <= c->tree.log_leaves - c->tree.log_cap; level++) {
        hashing job = {p, c, level, HASH_SLICE, leaves >> level};
        if (level == 0) job.slice = HASH_SLICE / compressions & ~(size_t)7;
        if (job.slice < 8) job.slice = 8;
        status = apr_parallel(p->team, hash_slice, &job, (job.count + job.slice - 1) / job.slice);
    }
    return status;
}

aprover_status apr_commit(apr_prover *p, apr_commitment *c, enum apr_tag tag) {
    aprover_status status = hash_tree(p, c);
    if (status != APROVER_OK) return status;
    const size_t bytes = (size_t)APR_DIGEST_BYTES << c->tree.log_cap;
    memcpy(p->out + p->used, apr_tree_cap(&c->tree), bytes);
    apr_transcript_absorb(&p->transcript, tag, p->out + p->used, bytes);
    p->used += bytes;
    return APROVER_OK;
}
