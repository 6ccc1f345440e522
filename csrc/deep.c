/* Out of domain: the openings at z and the DEEP polynomials, docs/protocol.md section 7, steps 5 and 6. */
#include <string.h>

#include "prover.h"

/* ---- what is opened where ---- */

/* The number of the point, which is added if it is new. At z itself the tables of a level are opened together. */
static uint32_t point_of(apr_prover *p, const apr_prover_table *t, uint32_t offset, fx z) {
    const uint32_t level = t->plan->level, log_height = offset == 0 ? 0 : t->table->log_height;
    for (uint32_t i = 0; i < p->points_count; i++) {
        const apr_opened_point *point = &p->points[i];
        if (point->level == level && point->log_height == log_height && point->offset == offset) return i;
    }
    const fx at = offset == 0 ? z : fx_scale(z, fp_pow(fp_root(log_height), offset));
    p->points[p->points_count] = (apr_opened_point){level, log_height, offset, at};
    return p->points_count++;
}

static void add_run(apr_prover *p, apr_columns of, uint32_t first, uint32_t count, uint32_t point, uint32_t opening, int elements) {
    const apr_columns columns = {of.values + of.stride * first, of.stride, count, of.log_n};
    p->runs[p->runs_count++] = (apr_run){columns, point, opening, elements};
}

/* The reads in runs of consecutive columns of one kind at one offset. */
static void add_reads(apr_prover *p, const apr_prover_table *t, fx z) {
    const apr_table *table = t->table;
    for (uint32_t first = 0, end; first < table->reads; first = end) {
        const uint32_t column = apr_read_column(table->read[first]), offset = apr_read_offset(table->read[first]);
        const int own = column < table->columns;
        for (end = first + 1; end < table->reads && table->read[end] == table->read[end - 1] + 1; end++)
            if (own && apr_read_column(table->read[end]) == table->columns) break;
        add_run(p, apr_phase_columns(p, t, own ? APR_PHASE_TRACE : APR_PHASE_PREPROCESSED), own ? column : column - table->columns, end - first,
                point_of(p, t, offset, z), t->plan->first_opening + first, 0);
    }
}

static void list_runs(apr_prover *p, fx z) {
    p->points_count = p->runs_count = 0;
    for (uint32_t i = 0; i < p->air->tables; i++) {
        const apr_prover_table *t = &p->tables[i];
        const uint32_t lookups = t->table->lookup_columns, opening = t->plan->first_opening + t->table->reads;
        add_reads(p, t, z);
        if (lookups > 0) {
            const apr_columns columns = apr_phase_columns(p, t, APR_PHASE_LOOKUP);
            add_run(p, columns, 0, FX_DEGREE * lookups, point_of(p, t, 0, z), opening, 1);
            add_run(p, columns, FX_DEGREE * (lookups - 1), FX_DEGREE, point_of(p, t, 1, z), opening + lookups, 1);
        }
        add_run(p, apr_phase_columns(p, t, APR_PHASE_QUOTIENT), 0, FX_DEGREE * t->plan->chunks, point_of(p, t, 0, z), t->plan->first_chunk, 1);
    }
}

/* ---- openings ---- */

/* Coefficients are bit-reversed, so slice s of S holds those of x^(S i + bitrev(s)): its part of the value is z^bitrev(s) times its dot
 * product with the powers of z^S, a short table that all slices share. */
typedef struct {
    const apr_prover *p;
    const apr_columns *columns;
    fx z;
} opened_columns;

static aprover_status open_slice(void *context, size_t index, uint32_t lane) {
    const opened_columns *job = context;
    const apr_prover *p = job->p;
    const apr_columns *f = job->columns;
    const uint32_t log_n = apr_log_slice(f->log_n);
    const fx factor = fx_pow(job->z, apr_bitrev((uint32_t)index, f->log_n - log_n));
    fx *sums = p->dots + (size_t)f->count * lane;
    enum { AT_ONCE = 32 };
    for (uint32_t c = 0; c < f->count; c += AT_ONCE) {
        const uint32_t count = f->count - c < AT_ONCE ? f->count - c : AT_ONCE;
        fx part[AT_ONCE] = {0};
        p->poly->dot_columns(part, f->values + f->stride * c + (index << log_n), f->stride, count, p->powers, (size_t)1 << log_n);
        for (uint32_t i = 0; i < count; i++) sums[c + i] = fx_add(sums[c + i], fx_mul(part[i], factor));
    }
    return apr_stopped(p) ? APROVER_CANCELLED : APROVER_OK;
}

/* The powers of z^S, until the next point. */
static aprover_status prepare_point(apr_prover *p, uint32_t log_n, fx z) {
    for (uint32_t i = apr_log_slice(log_n); i < log_n; i++) z = fx_mul(z, z);
    return p->poly->powers(p->powers, apr_log_slice(log_n), z, apr_poll_cancel, p) ? APROVER_CANCELLED : APROVER_OK;
}

static aprover_status open_run(apr_prover *p, const apr_run *run, fx z) {
    const apr_columns *f = &run->columns;
    opened_columns job = {p, f, z};
    memset(p->dots, 0, sizeof(fx) * f->count * p->lanes);
    aprover_status status = apr_parallel(p->team, open_slice, &job, (size_t)1 << (f->log_n - apr_log_slice(f->log_n)));
    for (uint32_t c = 0; c < f->count; c++)
        for (uint32_t lane = 1; lane < p->lanes; lane++) p->dots[c] = fx_add(p->dots[c], p->dots[(size_t)f->count * lane + c]);
    fx *openings = p->openings + run->first_opening;
    if (!run->elements) memcpy(openings, p->dots, sizeof(fx) * f->count);
    for (uint32_t i = 0; run->elements && i < f->count / FX_DEGREE; i++) {
        openings[i] = fx_zero();
        for (int e = 0; e < FX_DEGREE; e++) openings[i] = fx_add(openings[i], apr_shift_fx(p->dots[FX_DEGREE * i + (uint32_t)e], e));
    }
    return status;
}

aprover_status apr_open_at_z(apr_prover *p, fx z) {
    list_runs(p, z);
    for (uint32_t i = 0; i < p->points_count; i++) {
        const apr_opened_point *point = &p->points[i];
        aprover_status status = prepare_point(p, p->plan.level[point->level].log_k, point->z);
        for (uint32_t r = 0; r < p->runs_count && status == APROVER_OK; r++)
            if (p->runs[r].point == i) status = open_run(p, &p->runs[r], point->z);
        if (status != APROVER_OK) return status;
    }
    return APROVER_OK;
}

/* ---- the DEEP polynomials ---- */

/* A run's part of the weighted sum of what is opened at one point. */
typedef struct {
    const apr_prover *p;
    const apr_columns *columns;
    apr_fxv sum;
    const fx *weights; /* of the base columns */
    int first;         /* nothing is in the sum yet */
} weighted_sum;

static aprover_status sum_slice(void *context, size_t index, uint32_t lane) {
    const weighted_sum *job = context;
    const apr_prover *p = job->p;
    const apr_columns *f = job->columns;
    const size_t n = (size_t)1 << apr_log_slice(f->log_n), at = index * n;
    const apr_fxv sum = {job->sum.values + at, job->sum.stride};
    (void)lane;
    for (int e = 0; job->first && e < FX_DEGREE; e++) memset(sum.values + (size_t)e * sum.stride, 0, 4 * n);
    p->poly->accumulate(sum, f->values + at, f->stride, f->count, job->weights, n);
    return apr_stopped(p) ? APROVER_CANCELLED : APROVER_OK;
}

/* The coefficients of an element count as those of X^0 .. X^4. */
static const fx *weights_of(apr_prover *p, const apr_run *run) {
    const fx *lambdas = p->lambdas + run->first_opening;
    if (!run->elements) return lambdas;
    for (uint32_t i = 0; i < run->columns.count / FX_DEGREE; i++)
        for (int e = 0; e < FX_DEGREE; e++) p->weights[FX_DEGREE * i + (uint32_t)e] = apr_shift_fx(lambdas[i], e);
    return p->weights;
}

/* to += factor * from */
typedef struct {
    const apr_prover *p;
    apr_fxv to, from;
    fx factor;
    size_t n;
} addition;

static aprover_status add_slice(void *context, size_t index, uint32_t lane) {
    const addition *job = context;
    const apr_poly_kernels *poly = job->p->poly;
    const apr_fxv to = {job->to.values + index * job->n, job->to.stride}, from = {job->from.values + index * job->n, job->from.stride};
    (void)lane;
    if (!fx_eq(job->factor, fx_one())) poly->accumulate_fx(to, from, job->factor, job->n);
    else for (size_t e = 0; e < FX_DEGREE; e++) poly->add_scaled(to.values + e * to.stride, from.values + e * from.stride, FP_ONE, job->n);
    return apr_stopped(job->p) ? APROVER_CANCELLED : APROVER_OK;
}

aprover_status apr_add_vector(const apr_prover *p, apr_fxv to, apr_fxv from, fx factor, uint32_t log_n) {
    addition job = {p, to, from, factor, (size_t)1 << apr_log_slice(log_n)};
    return apr_parallel(p->team, add_slice, &job, (size_t)1 << (log_n - apr_log_slice(log_n)));
}

/* Add a run's columns from number `from` on. */
static aprover_status add_run_to(apr_prover *p, const apr_run *run, uint32_t from, apr_fxv sum, int first) {
    const apr_columns *f = &run->columns, columns = {f->values + f->stride * from, f->stride, f->count - from, f->log_n};
    weighted_sum job = {p, &columns, sum, weights_of(p, run) + from, first};
    return columns.count == 0 ? APROVER_OK : apr_parallel(p->team, sum_slice, &job, (size_t)1 << (f->log_n - apr_log_slice(f->log_n)));
}

/* sum of lambda_i f_i over what is opened at one point. It may be made in the memory of the first of the f_i, whose turn then comes
 * first. */
static aprover_status sum_at_point(apr_prover *p, uint32_t number, apr_fxv sum) {
    aprover_status status = APROVER_OK;
    int first = 1;
    for (uint32_t r = 0; r < p->runs_count && first; r++) {
        const apr_run *run = &p->runs[r];
        if (run->point != number || run->columns.values != sum.values) continue;
        const fx less_one = fx_sub(p->lambdas[run->first_opening], fx_one());
        status = apr_add_vector(p, sum, sum, less_one, run->columns.log_n);
        if (status == APROVER_OK) status = add_run_to(p, run, FX_DEGREE, sum, 0);
        first = 0;
    }
    for (uint32_t r = 0; r < p->runs_count && status == APROVER_OK; r++) {
        const apr_run *run = &p->runs[r];
        if (run->point != number || run->columns.values == sum.values) continue;
        status = add_run_to(p, run, 0, sum, first);
        first = 0;
    }
    return status;
}

/* The part of a point: sum of lambda_i (f_i - y_i) / (x - z_i) over what is opened there; the values y_i fall away in the division. On
 * level 0 of the narrow layout, whose polynomial is not committed, at once its fold. */
static aprover_status add_point(apr_prover *p, uint32_t number) {
    const apr_opened_point *point = &p->points[number];
    const apr_level_plan *level = &p->plan.level[point->level];
    const int folded = p->plan.narrow && point->level == 0, first = point->offset == 0;
    const apr_fxv deep = {p->levels[point->level].deep, p->levels[point->level].stride}, work = {p->work, p->stride_work};
    const apr_fxv sum = first && !folded ? deep : work;
    aprover_status status = sum_at_point(p, number, sum);
    if (status != APROVER_OK) return status;
    if (p->poly->divide(sum, level->log_k, point->z, apr_poll_cancel, p)) return APROVER_CANCELLED;
    if (folded && p->poly->fold(first ? deep : work, work, level->log_k, level->log_arity, p->first_beta, apr_poll_cancel, p))
        return APROVER_CANCELLED;
    return first ? APROVER_OK : apr_add_vector(p, deep, work, fx_one(), level->log_k - (folded ? level->log_arity : 0));
}

aprover_status apr_deep_polynomials(apr_prover *p) {
    if (p->plan.narrow) apr_transcript_elements(&p->transcript, &p->first_beta, 1);
    /* Level by level, since the memory of a quotient of level 0 may serve those below once it has been summed. A level's first point is z
     * itself, which begins its vector. */
    for (uint32_t t = 0; t <= p->plan.folds; t++)
        for (uint32_t i = 0; i < p->points_count; i++) {
            aprover_status status = p->points[i].level == t ? add_point(p, i) : APROVER_OK;
            if (status != APROVER_OK) return status;
        }
    if (!p->plan.zero_knowledge) return APROVER_OK;
    const apr_prover_level *top = &p->levels[0];
    return apr_add_vector(p, (apr_fxv){top->deep, top->stride}, (apr_fxv){p->mask, top->stride}, p->lambdas[p->plan.openings],
                          p->plan.level[0].log_k);
}
