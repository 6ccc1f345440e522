/* The quotient polynomial: constraints evaluated coset by coset, docs/protocol.md section 4.3.
 *
 * Q has degree < c * k, so its values on any c cosets of the trace domain determine it. On the coset s*D it agrees with
 * R = sum over j of s^(jk) Q_j, which has degree < k: so one small transform a coset gives R, and a c x c Vandermonde system in s^k,
 * the same for every coefficient, gives the chunks. Cosets of the LDE domain come first, since the trace is known there; for
 * degrees beyond the blowup more cosets are evaluated and thrown away.
 */
#include <string.h>

#include "prover.h"

/* Cosets 0 .. B-1 are those of the LDE domain; coset t is shifted by g^(t / B) more. Their s^k differ: within a group by roots of
 * unity of order B, between groups because g^(k * B) is no such root. */
static fp evaluation_shift(const apr_prover *p, uint32_t t) {
    const uint32_t blowup = 1u << p->plan.log_blowup;
    return fp_mul(apr_coset_shift(&p->plan, 0, t % blowup), fp_pow(fp_from_u32(FP_GENERATOR), t / blowup));
}

/* Row j of the inverse of the matrix (y_t^j): the coefficients of the Lagrange polynomials of the y_t. */
static void invert_vandermonde(fp *matrix, const fp *y, uint32_t c) {
    for (uint32_t t = 0; t < c; t++) {
        fp l[APR_MAX_CHUNKS] = {FP_ONE}, denominator = FP_ONE;
        uint32_t degree = 0;
        for (uint32_t u = 0; u < c; u++) {
            if (u == t) continue;
            for (uint32_t j = ++degree; j > 0; j--) l[j] = fp_sub(l[j - 1], fp_mul(l[j], y[u]));
            l[0] = fp_neg(fp_mul(l[0], y[u]));
            denominator = fp_mul(denominator, fp_sub(y[t], y[u]));
        }
        denominator = fp_inv(denominator);
        for (uint32_t j = 0; j < c; j++) matrix[j * c + t] = fp_mul(l[j], denominator);
    }
}

/* Boundary constraints on many rows: S and U as polynomials, one column after the other. */
static aprover_status add_sparse(apr_prover *p, apr_fxv q, const uint32_t *values, size_t stride, fp shift) {
    const aprover_air *air = p->air;
    const uint32_t log_k = air->log_height;
    const size_t k = (size_t)1 << log_k;
    uint32_t *s = p->sparse, *u = s + k, *s_values = u + k, *u_values = s_values + k;
    fp scale = shift;
    for (uint32_t i = 0; i < log_k; i++) scale = fp_sqr(scale);
    scale = fp_inv(fp_sub(scale, FP_ONE));
    for (uint32_t first = 0, end; first < air->boundaries; first = end) {
        const uint32_t constraint = air->boundary[first].constraint, column = air->boundary[first].column;
        memset(s, 0, 2 * 4 * k);
        for (end = first; end < air->boundaries && air->boundary[end].constraint == constraint; end++) {
            const apr_boundary *b = &air->boundary[end];
            s[b->row] = FP_ONE;
            u[b->row] = b->slot < air->first_constant ? p->publics[b->slot - air->first_public]
                                                      : air->constant[b->slot - air->first_constant];
        }
        if (p->poly->interpolate(&p->twiddles, s, log_k, apr_poll_cancel, p) ||
            p->poly->interpolate(&p->twiddles, u, log_k, apr_poll_cancel, p) ||
            p->poly->evaluate(&p->twiddles, s_values, s, log_k, shift, apr_poll_cancel, p) ||
            p->poly->evaluate(&p->twiddles, u_values, u, log_k, shift, apr_poll_cancel, p))
            return APROVER_CANCELLED;
        p->evaluator->boundary_column(q, s_values, u_values, values + stride * column, p->alphas[constraint], scale, k);
        if (apr_stopped(p)) return APROVER_CANCELLED;
    }
    return APROVER_OK;
}

/* Q's values on one coset, some rows a task. Each lane has an evaluator's scratch of its own. */
enum { ROWS_IN_TASK = 16 * APR_AIR_BLOCK };

typedef struct {
    const apr_prover *p;
    apr_air_coset coset;
    apr_fxv q;
    uint8_t prepared[APR_MAX_LANES];
    size_t count; /* rows that the evaluator takes at once */
} evaluation;

static aprover_status evaluate_rows(void *context, size_t index, uint32_t lane) {
    evaluation *job = context;
    const apr_prover *p = job->p;
    const size_t k = (size_t)1 << p->plan.log_k, start = index * ROWS_IN_TASK;
    apr_air_coset coset = job->coset;
    coset.scratch = (uint8_t *)p->scratch + p->scratch_bytes * lane;
    if (!job->prepared[lane]) p->evaluator->prepare(&coset);
    job->prepared[lane] = 1;
    for (size_t first = start; first < k && first < start + ROWS_IN_TASK; first += job->count) {
        p->evaluator->block(&coset, first, job->count, (apr_fxv){job->q.values + first, job->q.stride});
        if (apr_stopped(p)) return APROVER_CANCELLED;
    }
    return APROVER_OK;
}

static aprover_status evaluate_coset(apr_prover *p, uint32_t t, apr_fxv q) {
    const aprover_air *air = p->air;
    const size_t k = (size_t)1 << air->log_height;
    const uint32_t blowup = 1u << p->plan.log_blowup;
    const fp shift = evaluation_shift(p, t);
    aprover_status status;
    apr_air_coset coset = {.air = air, .shift = shift, .publics = p->publics, .alphas = p->alphas,
                           .direct_boundaries = air->rows <= APR_DIRECT_ROWS, .poly = p->poly, .twiddles = p->twiddles};
    if (t < blowup) {
        coset.values = p->trace_lde + (size_t)t * k;
        coset.stride = p->trace_commitment.matrix.stride;
    } else {
        const apr_columns trace = {p->trace, k, air->columns, air->log_height};
        status = apr_evaluate(p, &trace, p->coset, k, &shift, 0);
        if (status != APROVER_OK) return status;
        coset.values = p->coset;
        coset.stride = k;
    }
    /* Very long programs are polled often by taking fewer rows at once. */
    const size_t block = air->instructions > 1u << 16 ? 8 : APR_AIR_BLOCK;
    evaluation job = {p, coset, q, {0}, k < block ? k : block};
    status = apr_parallel(p->team, evaluate_rows, &job, (k + ROWS_IN_TASK - 1) / ROWS_IN_TASK);
    if (status != APROVER_OK) return status;
    return coset.direct_boundaries ? APROVER_OK : add_sparse(p, q, coset.values, coset.stride, shift);
}

/* From the remainders R on the cosets to the chunks, some coefficients a task. */
enum { ROWS_IN_MIX = 1 << 14 };

typedef struct {
    const apr_prover *p;
    uint32_t c;
    const fp *matrix;
    size_t slice;
} mixing;

static aprover_status mix_slice(void *context, size_t index, uint32_t lane) {
    const mixing *job = context;
    const apr_prover *p = job->p;
    uint32_t *x = p->quotient + index % FX_DEGREE * p->stride_k + index / FX_DEGREE * job->slice;
    (void)lane;
    p->evaluator->mix(x, FX_DEGREE * p->stride_k, job->c, job->matrix, job->slice);
    return apr_stopped(p) ? APROVER_CANCELLED : APROVER_OK;
}

aprover_status apr_quotient(apr_prover *p, fx alpha) {
    const aprover_air *air = p->air;
    const uint32_t c = air->chunks, log_k = air->log_height;
    const size_t k = (size_t)1 << log_k;
    fp y[APR_MAX_CHUNKS], matrix[APR_MAX_CHUNKS * APR_MAX_CHUNKS];
    p->alphas[0] = fx_one();
    for (uint32_t i = 1; i < air->constraints; i++) p->alphas[i] = fx_mul(p->alphas[i - 1], alpha);
    for (uint32_t t = 0; t < c; t++) {
        const fp shift = evaluation_shift(p, t), inverse = fp_inv(shift);
        apr_fxv q = {p->quotient + (size_t)t * FX_DEGREE * p->stride_k, p->stride_k};
        aprover_status status = evaluate_coset(p, t, q);
        if (status != APROVER_OK) return status;
        status = apr_interpolate(p, q.values, q.stride, FX_DEGREE, inverse);
        if (status != APROVER_OK) return status;
        y[t] = shift;
        for (uint32_t i = 0; i < log_k; i++) y[t] = fp_sqr(y[t]);
    }
    if (c == 1) return APROVER_OK;
    invert_vandermonde(matrix, y, c);
    mixing job = {p, c, matrix, k < ROWS_IN_MIX ? k : ROWS_IN_MIX};
    return apr_parallel(p->team, mix_slice, &job, FX_DEGREE * (k / job.slice));
}
