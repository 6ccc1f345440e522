/* A table's quotient polynomial: constraints evaluated coset by coset, docs/protocol.md section 4.3.
 *
 * Let L be the table's length. Q has degree < c * L, so its values on any c cosets of the subgroup of order L determine it. On the
 * coset that is shifted by s it agrees with R = sum over j of s^(jL) P_j, of degree < L, where Q = sum of x^(jL) P_j: so one small
 * transform a coset gives R, and a c x c Vandermonde system in s^L, the same for every coefficient, gives the P_j. These are the chunks,
 * unless masks shorten the stride. Cosets of the committed domain come first, since the columns are known there; for degrees beyond the
 * blowup more cosets are evaluated and thrown away.
 */
#include <string.h>

#include "prover.h"

/* Cosets 0 .. B-1 are those of the level's domain; coset t is shifted by g^(t / B) more. Their s^L differ: within a group by roots of
 * unity of order B, between groups because g^(L * u) with 0 < u < 15 is no such root. None meets the trace domain: the exponent of g
 * is a power of two and at most 3 more, no multiple of 15. */
static fp evaluation_shift(const apr_prover *p, const apr_prover_table *t, uint32_t coset) {
    const uint32_t blowup = 1u << p->plan.log_blowup;
    return fp_mul(apr_coset_shift(&p->plan, t->plan->level, coset % blowup), fp_pow(fp_from_u32(FP_GENERATOR), coset / blowup));
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

/* ---- boundary constraints on many rows ---- */

/* S and U of one column on the coset. */
typedef struct {
    const apr_prover *p;
    const apr_prover_table *t;
    fp shift;
    uint32_t *s, *u, *s_values, *u_values; /* `length` words each */
} sparse;

/* Values on the trace domain to those on the coset; `from` is used up. */
static aprover_status to_coset(const sparse *job, uint32_t *from, uint32_t *to) {
    const apr_prover *p = job->p;
    const uint32_t log_k = job->t->table->log_height, log_n = job->t->plan->log_length;
    const apr_columns column = {from, (size_t)1 << log_n, 1, log_n};
    aprover_status status = apr_interpolate(p, from, column.stride, from, column.stride, 1, log_k, FP_ONE);
    if (status != APROVER_OK) return status;
    apr_spread(from, from, (size_t)1 << log_k, (size_t)1 << log_n);
    return apr_evaluate(p, &column, to, column.stride, &job->shift, 1);
}

static uint32_t end_of_column(const apr_table *table, uint32_t first) {
    uint32_t end = first;
    while (end < table->boundaries && table->boundary[end].column == table->boundary[first].column) end++;
    return end;
}

/* Whether the columns whose boundaries begin at a and at b have them on the same rows, so that they share S. */
static int same_rows(const apr_table *table, uint32_t a, uint32_t a_end, uint32_t b, uint32_t b_end) {
    if (a_end - a != b_end - b) return 0;
    for (; a < a_end; a++, b++)
        if (table->boundary[a].row != table->boundary[b].row) return 0;
    return 1;
}

static aprover_status add_sparse(const apr_prover *p, const apr_prover_table *t, apr_fxv q, apr_coset_columns trace, fp shift) {
    const apr_table *table = t->table;
    const size_t k = (size_t)1 << table->log_height, length = t->length, period = apr_sparse_period(table, length);
    sparse job = {p, t, shift, p->sparse, p->sparse + length, p->sparse + 2 * length, p->sparse + 3 * length};
    apr_vanishing_inverses(p->scales, period, table->log_height, t->plan->log_length, shift);
    for (uint32_t first = 0, end, last = 0, last_end = 0; first < table->boundaries; last = first, last_end = end, first = end) {
        end = end_of_column(table, first);
        memset(job.u, 0, 4 * k);
        for (uint32_t i = first; i < end; i++) {
            const apr_boundary *b = &table->boundary[i];
            job.u[b->row] = b->slot < table->first_constant ? p->publics[b->slot - table->first_public]
                                                            : table->constant[b->slot - table->first_constant];
        }
        aprover_status status = to_coset(&job, job.u, job.u_values);
        if (status != APROVER_OK) return status;
        if (first == 0 || !same_rows(table, last, last_end, first, end)) {
            memset(job.s, 0, 4 * k);
            for (uint32_t i = first; i < end; i++) job.s[table->boundary[i].row] = FP_ONE;
            if ((status = to_coset(&job, job.s, job.s_values)) != APROVER_OK) return status;
        }
        p->evaluator->boundary_column(q, job.s_values, job.u_values, trace.values + trace.stride * table->boundary[first].column,
                                      p->alphas[table->first_constraint + table->boundary[first].constraint], p->scales, period, length);
        if (apr_stopped(p)) return APROVER_CANCELLED;
    }
    return APROVER_OK;
}

/* ---- one coset ---- */

/* Q's values on one coset, some rows a task. Each lane has an evaluator's scratch of its own. */
enum { MOST_ROWS = 16 * APR_AIR_BLOCK };

typedef struct {
    const apr_prover *p;
    apr_air_coset coset;
    apr_fxv q;
    uint8_t prepared[APR_MAX_LANES];
    size_t length;
    size_t count; /* rows that the evaluator takes at once */
    size_t rows;  /* of a task */
} evaluation;

static aprover_status evaluate_rows(void *context, size_t index, uint32_t lane) {
    evaluation *job = context;
    const apr_prover *p = job->p;
    const size_t start = index * job->rows;
    apr_air_coset coset = job->coset;
    coset.scratch = (uint8_t *)p->scratch + p->scratch_bytes * lane;
    if (!job->prepared[lane]) p->evaluator->prepare(&coset);
    job->prepared[lane] = 1;
    for (size_t first = start; first < job->length && first < start + job->rows; first += job->count) {
        p->evaluator->block(&coset, first, job->count, (apr_fxv){job->q.values + first, job->q.stride});
        if (apr_stopped(p)) return APROVER_CANCELLED;
    }
    return APROVER_OK;
}

/* A phase's columns on coset number `coset`: where they were committed, or evaluated into `out`, which is moved on. */
static aprover_status columns_on_coset(const apr_prover *p, const apr_prover_table *t, enum apr_phase phase, uint32_t coset, fp shift,
                                       uint32_t **out, apr_coset_columns *columns) {
    const apr_columns f = apr_phase_columns(p, t, phase);
    const uint32_t level = t->plan->level;
    *columns = (apr_coset_columns){NULL, 0};
    if (f.count == 0) return APROVER_OK;
    const apr_commitment *c = phase == APR_PHASE_PREPROCESSED ? apr_preprocessed_tree(p->job->preprocessed, level)
                                                        : &p->levels[level].trees[phase];
    if (coset < c->kept) {
        columns->values = c->matrix.values + c->matrix.stride * t->plan->first_column[phase] + t->length * coset;
        columns->stride = c->matrix.stride;
        return APROVER_OK;
    }
    *columns = (apr_coset_columns){*out, t->length};
    *out += t->length * f.count;
    return apr_evaluate(p, &f, (uint32_t *)(uintptr_t)columns->values, t->length, &shift, 1);
}

static aprover_status evaluate_coset(const apr_prover *p, const apr_prover_table *t, uint32_t number, fp shift, apr_fxv q) {
    const apr_table *table = t->table;
    uint32_t *room = p->coset;
    apr_air_coset coset = {.air = p->air, .table = table, .log_size = t->plan->log_length, .shift = shift, .publics = p->publics,
                           .alphas = p->alphas + table->first_constraint, .fingerprint = &p->fingerprint,
                           .drift = fx_scale(t->sigma, fp_inv(fp_from_u32(1u << table->log_height))),
                           .direct_boundaries = table->rows <= APR_DIRECT_ROWS, .poly = p->poly, .twiddles = p->twiddles};
    aprover_status status = columns_on_coset(p, t, APR_PHASE_TRACE, number, shift, &room, &coset.trace);
    if (status == APROVER_OK) status = columns_on_coset(p, t, APR_PHASE_PREPROCESSED, number, shift, &room, &coset.preprocessed);
    if (status == APROVER_OK) status = columns_on_coset(p, t, APR_PHASE_LOOKUP, number, shift, &room, &coset.lookup);
    if (status != APROVER_OK) return status;
    evaluation job = {p, coset, q, {0}, t->length, apr_rows_at_once(table, t->length), apr_rows_in_task(table, MOST_ROWS)};
    status = apr_parallel(p->team, evaluate_rows, &job, (t->length + job.rows - 1) / job.rows);
    if (status != APROVER_OK || coset.direct_boundaries) return status;
    return add_sparse(p, t, q, coset.trace, shift);
}

/* ---- the chunks ---- */

/* From the remainders R on the cosets to the P_j, some coefficients a task. */
enum { ROWS_IN_MIX = 1 << 14 };

typedef struct {
    const apr_prover *p;
    const apr_prover_table *t;
    uint32_t c;
    const fp *matrix;
    size_t slice;
} mixing;

static aprover_status mix_slice(void *context, size_t index, uint32_t lane) {
    const mixing *job = context;
    uint32_t *x = job->t->quotient + index % FX_DEGREE * job->t->stride + index / FX_DEGREE * job->slice;
    (void)lane;
    job->p->evaluator->mix(x, FX_DEGREE * job->t->stride, job->c, job->matrix, job->slice);
    return apr_stopped(job->p) ? APROVER_CANCELLED : APROVER_OK;
}

/* From the reversal of i to that of i - 1; from that of 0 to that of the largest. half: half of the count. */
static uint32_t reversed_before(uint32_t r, uint32_t half) {
    for (; half != 0 && (r & half) == 0; half >>= 1) r |= half;
    return r & ~half;
}

/* Coefficients of one base coordinate move from blocks of `length` to chunks of `stride` many. A place among the chunks is never before
 * the place among the blocks that it is filled from, so that the highest go first; and those of chunk 0 stay. */
static void move_to_chunks(const apr_prover_table *t, uint32_t *x, uint32_t blocks) {
    const uint32_t chunks = t->plan->chunks, stride = t->plan->stride, length = (uint32_t)t->length, half = length / 2;
    const size_t step = FX_DEGREE * t->stride;
    for (uint32_t block = blocks; block < chunks; block++) memset(x + step * block, 0, 4 * t->length);
    for (uint32_t j = chunks; j-- > 0;) {
        const size_t last = (size_t)j * stride + stride - 1;
        uint32_t *to = x + step * j, *from = x + step * (last / length);
        uint32_t r = length - 1, s = apr_bitrev((uint32_t)last & (length - 1), t->plan->log_length);
        for (uint32_t i = length; i > stride; i--, r = reversed_before(r, half)) to[r] = 0;
        for (uint32_t i = stride; i > 0 && j > 0; i--, r = reversed_before(r, half)) {
            to[r] = from[s];
            if (s == 0) from -= step;
            s = reversed_before(s, half);
        }
    }
}

/* The highest coefficients of the chunks hide them: Q_j + x^stride b_j - b_(j-1). */
static void mask_chunks(const apr_prover *p, const apr_prover_table *t, uint32_t *x, uint32_t coordinate) {
    enum { AT_ONCE = 1024 };
    const uint32_t stride = t->plan->stride, masks = t->plan->masks, log_n = t->plan->log_length;
    const size_t step = FX_DEGREE * t->stride;
    uint32_t b[AT_ONCE];
    for (uint32_t j = 0; j + 1 < t->plan->chunks; j++) {
        apr_random_cursor cursor = {apr_stream(APR_STREAM_CHUNK, (uint32_t)(t - p->tables), j * FX_DEGREE + coordinate), 0};
        for (uint32_t done = 0, now; done < masks; done += now) {
            now = masks - done < AT_ONCE ? masks - done : AT_ONCE;
            apr_random_elements(&p->random, &cursor, b, now);
            for (uint32_t i = 0; i < now; i++) {
                uint32_t *high = x + step * j + apr_bitrev(stride + done + i, log_n);
                uint32_t *low = x + step * (j + 1) + apr_bitrev(done + i, log_n);
                *high = fp_add(*high, b[i]);
                *low = fp_sub(*low, b[i]);
            }
        }
    }
}

/* By one thread: the places depend on each other, so that helpers would have to stay for all of a coordinate. */
static aprover_status mask_quotient(const apr_prover *p, const apr_prover_table *t, uint32_t blocks) {
    for (uint32_t e = 0; e < FX_DEGREE; e++) {
        uint32_t *x = t->quotient + t->stride * e;
        move_to_chunks(t, x, blocks);
        mask_chunks(p, t, x, e);
        if (apr_stopped(p)) return APROVER_CANCELLED;
    }
    return APROVER_OK;
}

aprover_status apr_quotient(apr_prover *p, const apr_prover_table *t) {
    const uint32_t c = apr_quotient_cosets(t->plan), log_n = t->plan->log_length;
    fp y[APR_MAX_CHUNKS], matrix[APR_MAX_CHUNKS * APR_MAX_CHUNKS];
    for (uint32_t i = 0; i < c; i++) {
        const fp shift = evaluation_shift(p, t, i);
        uint32_t *coefficients = t->quotient + (size_t)i * FX_DEGREE * t->stride;
        apr_fxv q = {coefficients, t->stride};
        if (apr_quotient_in_place(p, t)) {
            const apr_commitment *matrix = &p->levels[t->plan->level].trees[APR_PHASE_QUOTIENT];
            q = (apr_fxv){apr_committed(matrix, t->plan->first_column[APR_PHASE_QUOTIENT]), matrix->matrix.stride};
        }
        aprover_status status = evaluate_coset(p, t, i, shift, q);
        if (status == APROVER_OK) status = apr_interpolate(p, coefficients, t->stride, q.values, q.stride, FX_DEGREE, log_n, fp_inv(shift));
        if (status != APROVER_OK) return status;
        y[i] = fp_sqr_times(shift, log_n);
    }
    if (c > 1) {
        invert_vandermonde(matrix, y, c);
        mixing job = {p, t, c, matrix, t->length < ROWS_IN_MIX ? t->length : ROWS_IN_MIX};
        aprover_status status = apr_parallel(p->team, mix_slice, &job, FX_DEGREE * (t->length / job.slice));
        if (status != APROVER_OK) return status;
    }
    return t->plan->masks == 0 ? APROVER_OK : mask_quotient(p, t, c);
}
