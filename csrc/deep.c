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

/* Columns that a task opens a slice of. */
enum { OPENED = 32 };

static aprover_status open_slice(void *context, size_t index, uint32_t lane) {
    const opened_columns *job = context;
    const apr_prover *p = job->p;
    const apr_columns *f = job->columns;
    const uint32_t log_n = apr_log_slice(f->log_n), groups = (f->count + OPENED - 1) / OPENED, c = index % groups * OPENED;
    const uint32_t count = f->count - c < OPENED ? f->count - c : OPENED;
    const size_t slice = index / groups;
    const fx factor = fx_pow(job->z, apr_bitrev((uint32_t)slice, f->log_n - log_n));
    fx *sums = p->dots + (size_t)f->count * lane + c, part[OPENED] = {0};
    p->poly->dot_columns(part, f->values + f->stride * c + (slice << log_n), f->stride, count, p->powers, (size_t)1 << log_n);
    for (uint32_t i = 0; i < count; i++) sums[i] = fx_add(sums[i], fx_mul(part[i], factor));
    return apr_stopped(p) ? APROVER_CANCELLED : APROVER_OK;
}

/* The powers of z^S, until the next point. */
static void prepare_point(apr_prover *p, uint32_t log_n, fx z) {
    for (uint32_t i = apr_log_slice(log_n); i < log_n; i++) z = fx_mul(z, z);
    p->poly->powers(p->powers, apr_log_slice(log_n), z);
}

static aprover_status open_run(apr_prover *p, const apr_run *run, fx z) {
    const apr_columns *f = &run->columns;
    opened_columns job = {p, f, z};
    memset(p->dots, 0, sizeof(fx) * f->count * p->lanes);
    const size_t groups = (f->count + OPENED - 1) / OPENED;
    aprover_status status = apr_parallel(p->team, open_slice, &job, groups << (f->log_n - apr_log_slice(f->log_n)));
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
        aprover_status status = APROVER_OK;
        prepare_point(p, p->plan.level[point->level].log_k, point->z);
        for (uint32_t r = 0; r < p->runs_count && status == APROVER_OK; r++)
            if (p->runs[r].point == i) status = open_run(p, &p->runs[r], point->z);
        if (status != APROVER_OK) return status;
    }
    return APROVER_OK;
}

/* ---- the DEEP polynomials ---- */

/* Words of the columns that a task sums over, and the fewest places. */
enum { LOG_SUMMED = 17, LOG_FEWEST = 7 };

static uint32_t log_places(size_t columns, uint32_t log_n) {
    uint32_t log = apr_log_slice(log_n);
    while (log > LOG_FEWEST && columns << log > (size_t)1 << LOG_SUMMED) log--;
    return log;
}

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
    const size_t n = (size_t)1 << log_places(f->count, f->log_n), at = index * n;
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
    if (columns.count == 0) return APROVER_OK;
    return apr_parallel(p->team, sum_slice, &job, (size_t)1 << (f->log_n - log_places(columns.count, f->log_n)));
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

/* A division that one task makes, and the places of the results of a fold that are a task of a longer one. */
enum { LOG_DIVIDED = 14, LOG_PARTS = 3, DIVIDE_SLICE = 1 << 12 };

typedef struct {
    const apr_prover *p;
    apr_fxv f;
    uint32_t log_n;
    fx z;
    size_t count;
} division;

static aprover_status divide_slice(void *context, size_t index, uint32_t lane) {
    const division *job = context;
    (void)lane;
    job->p->poly->divide_back(job->f, job->log_n, LOG_PARTS, job->z, index * job->count, job->count);
    return apr_stopped(job->p) ? APROVER_CANCELLED : APROVER_OK;
}

/* f(X) to (f(X) - f(z)) / (X - z), in place */
static aprover_status divide(const apr_prover *p, apr_fxv f, uint32_t log_n, fx z) {
    if (log_n <= LOG_DIVIDED) {
        p->poly->divide(f, log_n, z);
        return apr_stopped(p) ? APROVER_CANCELLED : APROVER_OK;
    }
    const size_t results = (size_t)1 << (log_n - LOG_PARTS);
    division job = {p, f, log_n, z, results < DIVIDE_SLICE ? results : DIVIDE_SLICE};
    aprover_status status = apr_fold(p, f, f, log_n, LOG_PARTS, z);
    if (status == APROVER_OK) status = divide(p, f, log_n - LOG_PARTS, fx_pow(z, 1u << LOG_PARTS));
    return status == APROVER_OK ? apr_parallel(p->team, divide_slice, &job, results / job.count) : status;
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
    if (status == APROVER_OK) status = divide(p, sum, level->log_k, point->z);
    if (status == APROVER_OK && folded)
        status = apr_fold(p, first ? deep : work, work, level->log_k, level->log_arity, p->first_beta);
    if (status != APROVER_OK || first) return status;
    return apr_add_vector(p, deep, work, fx_one(), level->log_k - (folded ? level->log_arity : 0));
}

/* ---- the fold of a quotient, without the quotient ----
 *
 * Let q = (f - f(z)) / (X - z), f = sum of X^e f_e(Y) with Y = X^N, and Z = z^N. As X^N - Z = (X - z) * sum of z^l X^(N-1-l), the fold of q
 * by beta is that of f(X) * sum of z^l X^(N-1-l), divided by Y - Z up to a remainder. In that product X^(e+N-1-l) counts as
 * beta^(e+N-1-l) for l >= e, and as Y * beta^(e-1-l) for l < e. So the fold of q is
 *
 *     B(Y) + (C(Y) - C(Z)) / (Y - Z),    B = sum of b_e f_e,    C = sum of (a_e + Z b_e) f_e,
 *     a_e = sum over l >= e of z^l beta^(e+N-1-l),    b_e = sum over l < e of z^l beta^(e-1-l):
 *
 * two sums over parts of what is opened, and a division of one N-th of the length. */

typedef struct {
    apr_prover *p;
    uint32_t number; /* of the point */
    uint32_t log_places;
    fx b[APR_MAX_ARITY], c[APR_MAX_ARITY]; /* by segment: part e stands in segment bitrev(e) */
} fold_sum;

static void fold_factors(fold_sum *job, fx z, fx beta, uint32_t log_arity) {
    const uint32_t arity = 1u << log_arity;
    fx powers_z[APR_MAX_ARITY + 1] = {fx_one()}, powers_beta[APR_MAX_ARITY] = {fx_one()};
    for (uint32_t i = 1; i <= arity; i++) powers_z[i] = fx_mul(powers_z[i - 1], z);
    for (uint32_t i = 1; i < arity; i++) powers_beta[i] = fx_mul(powers_beta[i - 1], beta);
    for (uint32_t e = 0; e < arity; e++) {
        fx a = fx_zero(), b = fx_zero();
        for (uint32_t l = e; l < arity; l++) a = fx_add(a, fx_mul(powers_z[l], powers_beta[e + arity - 1 - l]));
        for (uint32_t l = 0; l < e; l++) b = fx_add(b, fx_mul(powers_z[l], powers_beta[e - 1 - l]));
        job->b[apr_bitrev(e, log_arity)] = b;
        job->c[apr_bitrev(e, log_arity)] = fx_add(a, fx_mul(powers_z[arity], b));
    }
}

/* A run's part of n places of B and C. */
static void add_folded_run(const fold_sum *job, const apr_run *run, size_t at, size_t n, apr_fxv b, apr_fxv c) {
    const apr_prover *p = job->p;
    const apr_level_plan *level = &p->plan.level[0];
    const apr_columns *f = &run->columns;
    const uint32_t arity = 1u << level->log_arity;
    const size_t segment = (size_t)1 << (level->log_k - level->log_arity);
    fx to_b[APR_NARROW_COLUMNS * APR_MAX_ARITY], to_c[APR_NARROW_COLUMNS * APR_MAX_ARITY];
    for (uint32_t i = 0; i < f->count; i++) {
        const fx *lambda = p->lambdas + run->first_opening + (run->elements ? i / FX_DEGREE : i);
        const fx weight = run->elements ? apr_shift_fx(*lambda, (int)(i % FX_DEGREE)) : *lambda;
        for (uint32_t s = 0; s < arity; s++) {
            to_b[i * arity + s] = fx_mul(weight, job->b[s]);
            to_c[i * arity + s] = fx_mul(weight, job->c[s]);
        }
    }
    p->poly->accumulate_parts(b, f->values + at, f->stride, f->count, segment, arity, to_b, n);
    p->poly->accumulate_parts(c, f->values + at, f->stride, f->count, segment, arity, to_c, n);
}

/* Some places of B, which is added to what is there from earlier points, and of C. */
static aprover_status sum_folded_slice(void *context, size_t index, uint32_t lane) {
    const fold_sum *job = context;
    const apr_prover *p = job->p;
    const size_t n = (size_t)1 << job->log_places, at = index * n;
    const apr_fxv b = {p->levels[0].deep + at, p->levels[0].stride}, c = {p->work + at, p->stride_work};
    (void)lane;
    for (int e = 0; e < FX_DEGREE; e++) {
        memset(c.values + (size_t)e * c.stride, 0, 4 * n);
        if (p->points[job->number].offset == 0) memset(b.values + (size_t)e * b.stride, 0, 4 * n);
    }
    for (uint32_t r = 0; r < p->runs_count; r++)
        if (p->runs[r].point == job->number) add_folded_run(job, &p->runs[r], at, n, b, c);
    return apr_stopped(p) ? APROVER_CANCELLED : APROVER_OK;
}

static aprover_status add_folded_point(apr_prover *p, uint32_t number) {
    const apr_opened_point *point = &p->points[number];
    const apr_level_plan *level = &p->plan.level[0];
    const uint32_t log_m = level->log_k - level->log_arity;
    const apr_fxv deep = {p->levels[0].deep, p->levels[0].stride}, work = {p->work, p->stride_work};
    size_t columns = 0;
    for (uint32_t r = 0; r < p->runs_count; r++)
        if (p->runs[r].point == number) columns += p->runs[r].columns.count;
    fold_sum job = {.p = p, .number = number, .log_places = log_places(columns << level->log_arity, log_m)};
    fold_factors(&job, point->z, p->first_beta, level->log_arity);
    aprover_status status = apr_parallel(p->team, sum_folded_slice, &job, (size_t)1 << (log_m - job.log_places));
    if (status == APROVER_OK) status = divide(p, work, log_m, fx_pow(point->z, 1u << level->log_arity));
    return status == APROVER_OK ? apr_add_vector(p, deep, work, fx_one(), log_m) : status;
}

aprover_status apr_deep_polynomials(apr_prover *p) {
    if (p->plan.narrow) apr_transcript_elements(&p->transcript, &p->first_beta, 1);
    /* Level by level, since the memory of a quotient of level 0 may serve those below once it has been summed. A level's first point is z
     * itself, which begins its vector. */
    for (uint32_t t = 0; t <= p->plan.folds; t++)
        for (uint32_t i = 0; i < p->points_count; i++) {
            if (p->points[i].level != t) continue;
            aprover_status status = t == 0 && apr_folds_first(&p->plan) ? add_folded_point(p, i) : add_point(p, i);
            if (status != APROVER_OK) return status;
        }
    if (!p->plan.zero_knowledge) return APROVER_OK;
    const apr_prover_level *top = &p->levels[0];
    return apr_add_vector(p, (apr_fxv){top->deep, top->stride}, (apr_fxv){p->mask, top->stride}, p->lambdas[p->plan.openings],
                          p->plan.level[0].log_k);
}
