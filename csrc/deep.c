/* Out of domain: the openings at z and the DEEP polynomial, docs/protocol.md section 7, steps 4 and 5. */
#include <string.h>

#include "prover.h"

/* Coefficients that a task takes at once: with the powers of z that belong to them they stay in the second cache. */
enum { LOG_SLICE = 13 };

static uint32_t log_slice(const apr_prover *p) { return p->plan.log_k < LOG_SLICE ? p->plan.log_k : LOG_SLICE; }

/* The end of the run of reads from `first` on that share its offset and have consecutive columns. */
static uint32_t run_end(const aprover_air *air, uint32_t first) {
    uint32_t end = first + 1;
    while (end < air->reads && air->read[end] == air->read[end - 1] + 1) end++;
    return end;
}

/* ---- openings ---- */

/* Columns opened at one point. Coefficients are bit-reversed, so slice s of S holds those of x^(S i + bitrev(s)): its part of the value is
 * z^bitrev(s) times its dot product with the powers of z^S, a short table that all slices share. */
typedef struct {
    const apr_prover *p;
    const uint32_t *x;
    size_t stride;
    uint32_t columns;
    fx z;
} opened_columns;

static aprover_status open_slice(void *context, size_t index, uint32_t lane) {
    const opened_columns *job = context;
    const apr_prover *p = job->p;
    const uint32_t log_n = log_slice(p);
    const apr_fxv powers = {p->work, p->stride_k};
    const fx factor = fx_pow(job->z, apr_bitrev((uint32_t)index, p->plan.log_k - log_n));
    fx *sums = p->dots + (size_t)job->columns * lane;
    enum { AT_ONCE = 32 };
    for (uint32_t c = 0; c < job->columns; c += AT_ONCE) {
        const uint32_t count = job->columns - c < AT_ONCE ? job->columns - c : AT_ONCE;
        fx part[AT_ONCE] = {0};
        p->poly->dot_columns(part, job->x + job->stride * c + (index << log_n), job->stride, count, powers, (size_t)1 << log_n);
        for (uint32_t i = 0; i < count; i++) sums[c + i] = fx_add(sums[c + i], fx_mul(part[i], factor));
    }
    return apr_stopped(p) ? APROVER_CANCELLED : APROVER_OK;
}

/* The powers of z^S; `work` holds them until the next point. */
static aprover_status prepare_point(apr_prover *p, fx z) {
    for (uint32_t i = log_slice(p); i < p->plan.log_k; i++) z = fx_mul(z, z);
    return p->poly->powers((apr_fxv){p->work, p->stride_k}, log_slice(p), z, apr_poll_cancel, p) ? APROVER_CANCELLED : APROVER_OK;
}

static aprover_status open_columns(apr_prover *p, fx *out, const uint32_t *x, size_t stride, uint32_t columns, fx z) {
    opened_columns job = {p, x, stride, columns, z};
    memset(p->dots, 0, sizeof(fx) * columns * p->lanes);
    aprover_status status = apr_parallel(p->team, open_slice, &job, (size_t)1 << (p->plan.log_k - log_slice(p)));
    for (uint32_t c = 0; c < columns; c++) {
        out[c] = p->dots[c];
        for (uint32_t lane = 1; lane < p->lanes; lane++) out[c] = fx_add(out[c], p->dots[(size_t)columns * lane + c]);
    }
    return status;
}

aprover_status apr_open_at_z(apr_prover *p, fx z) {
    const aprover_air *air = p->air;
    const size_t k = (size_t)1 << p->plan.log_k;
    const fp w = fp_root(p->plan.log_k);
    fx point = z, parts[FX_DEGREE * APR_MAX_CHUNKS];
    aprover_status status = prepare_point(p, z);
    if (status == APROVER_OK) status = open_columns(p, parts, p->quotient, p->stride_k, p->plan.quotient_columns, z);
    for (uint32_t j = 0; j < p->plan.chunks; j++) {
        fx value = fx_zero();
        for (int e = 0; e < FX_DEGREE; e++) value = fx_add(value, apr_shift_fx(parts[FX_DEGREE * j + (uint32_t)e], e));
        p->openings[air->reads + j] = value;
    }
    for (uint32_t i = 0, end, offset = 0; status == APROVER_OK && i < air->reads; i = end) {
        end = run_end(air, i);
        if (apr_read_offset(air->read[i]) != offset) {
            offset = apr_read_offset(air->read[i]);
            point = fx_scale(z, fp_pow(w, offset));
            status = prepare_point(p, point);
        }
        if (status == APROVER_OK)
            status = open_columns(p, p->openings + i, p->trace + k * apr_read_column(air->read[i]), k, end - i, point);
    }
    return status;
}

/* ---- the DEEP polynomial ---- */

/* The weighted sum of what is opened at one point: reads first .. end - 1, and the chunks for z itself. */
typedef struct {
    const apr_prover *p;
    apr_fxv sum;
    uint32_t first, end;
    const fx *chunk_weights; /* of the quotient's base columns, or NULL */
} weighted_sum;

static aprover_status sum_slice(void *context, size_t index, uint32_t lane) {
    const weighted_sum *job = context;
    const apr_prover *p = job->p;
    const aprover_air *air = p->air;
    const size_t n = (size_t)1 << log_slice(p), at = index * n, k = (size_t)1 << p->plan.log_k;
    const apr_fxv sum = {job->sum.values + at, job->sum.stride};
    (void)lane;
    for (int e = 0; e < FX_DEGREE; e++) memset(sum.values + e * sum.stride, 0, 4 * n);
    for (uint32_t i = job->first, end; i < job->end; i = end) {
        end = run_end(air, i);
        p->poly->accumulate(sum, p->trace + k * apr_read_column(air->read[i]) + at, k, end - i, p->lambdas + i, n);
    }
    if (job->chunk_weights != NULL)
        p->poly->accumulate(sum, p->quotient + at, p->stride_k, p->plan.quotient_columns, job->chunk_weights, n);
    return apr_stopped(p) ? APROVER_CANCELLED : APROVER_OK;
}

static aprover_status add_slice(void *context, size_t index, uint32_t lane) {
    const apr_prover *p = context;
    const size_t n = (size_t)1 << log_slice(p), at = index * n;
    (void)lane;
    for (int e = 0; e < FX_DEGREE; e++)
        p->poly->add_scaled(p->deep + e * p->stride_k + at, p->work + e * p->stride_k + at, FP_ONE, n);
    return apr_stopped(p) ? APROVER_CANCELLED : APROVER_OK;
}

aprover_status apr_deep_polynomial(apr_prover *p, fx z) {
    const aprover_air *air = p->air;
    const size_t slices = (size_t)1 << (p->plan.log_k - log_slice(p));
    const fp w = fp_root(p->plan.log_k);
    fx chunk_weights[FX_DEGREE * APR_MAX_CHUNKS];
    for (uint32_t j = 0; j < p->plan.chunks; j++)
        for (int e = 0; e < FX_DEGREE; e++)
            chunk_weights[FX_DEGREE * j + (uint32_t)e] = apr_shift_fx(p->lambdas[air->reads + j], e);
    for (uint32_t first = 0, end; first < air->reads; first = end) {
        const uint32_t offset = apr_read_offset(air->read[first]);
        for (end = first; end < air->reads && apr_read_offset(air->read[end]) == offset;) end++;
        weighted_sum job = {p, {offset == 0 ? p->deep : p->work, p->stride_k}, first, end, offset == 0 ? chunk_weights : NULL};
        aprover_status status = apr_parallel(p->team, sum_slice, &job, slices);
        if (status != APROVER_OK) return status;
        const fx point = fx_scale(z, fp_pow(w, offset));
        if (p->poly->divide(job.sum, p->plan.log_k, point, apr_poll_cancel, p)) return APROVER_CANCELLED;
        if (offset != 0 && (status = apr_parallel(p->team, add_slice, p, slices)) != APROVER_OK) return status;
    }
    return APROVER_OK;
}
