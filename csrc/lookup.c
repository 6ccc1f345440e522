/* The lookup columns: docs/protocol.md section 4.4. */
#include <string.h>

#include "prover.h"

enum { MOST_ROWS = 8 * APR_AIR_BLOCK };

typedef struct {
    apr_prover *p;
    const apr_prover_table *t;
    apr_air_coset rows;                 /* the trace domain */
    uint8_t prepared[APR_MAX_LANES];
    size_t count;                       /* rows that the evaluator takes at once */
    size_t rows_in_task;                /* of the fractions */
    size_t slice;                       /* rows of a task of the sums */
    fx *slice_sums;
    fx drift;                           /* sigma / k */
} job;

static uint32_t *element(const apr_prover_table *t, uint32_t column, int e) {
    return t->lookup + t->stride * (FX_DEGREE * (size_t)column + (size_t)e);
}

/* The batches' fractions, of which the last lookup column holds its own batch's for now. */
static aprover_status fractions_of_rows(void *context, size_t index, uint32_t lane) {
    job *j = context;
    const apr_prover *p = j->p;
    const size_t k = (size_t)1 << j->t->table->log_height, start = index * j->rows_in_task;
    apr_air_coset rows = j->rows;
    rows.scratch = (uint8_t *)p->scratch + p->scratch_bytes * lane;
    if (!j->prepared[lane]) p->evaluator->prepare(&rows);
    j->prepared[lane] = 1;
    for (size_t first = start; first < k && first < start + j->rows_in_task; first += j->count) {
        p->evaluator->fractions(&rows, first, j->count, (apr_fxv){j->t->lookup + first, j->t->stride});
        if (apr_stopped(p)) return APROVER_CANCELLED;
    }
    return APROVER_OK;
}

/* The last lookup column becomes the sum of all fractions in each row; and its sum over the slice. */
static aprover_status sum_slice(void *context, size_t index, uint32_t lane) {
    job *j = context;
    const uint32_t last = j->t->table->lookup_columns - 1;
    const size_t first = index * j->slice;
    fx sum = fx_zero();
    (void)lane;
    for (int e = 0; e < FX_DEGREE; e++) {
        uint32_t *total = element(j->t, last, e) + first;
        for (uint32_t a = 0; a < last; a++) j->p->poly->add_scaled(total, element(j->t, a, e) + first, FP_ONE, j->slice);
        uint64_t words = 0; /* of at most 2^24 rows */
        for (size_t i = 0; i < j->slice; i++) words += total[i];
        sum.c[e] = (fp)(words % FP_P);
    }
    j->slice_sums[index] = sum;
    return apr_stopped(j->p) ? APROVER_CANCELLED : APROVER_OK;
}

/* From the sums of rows to the running sum; slice_sums holds what the slice begins with. */
static aprover_status run_slice(void *context, size_t index, uint32_t lane) {
    job *j = context;
    const uint32_t last = j->t->table->lookup_columns - 1;
    (void)lane;
    for (int e = 0; e < FX_DEGREE; e++) {
        uint32_t *phi = element(j->t, last, e) + index * j->slice;
        const fp drift = j->drift.c[e];
        fp sum = j->slice_sums[index].c[e];
        for (size_t i = 0; i < j->slice; i++) {
            const fp next = fp_sub(fp_add(sum, phi[i]), drift);
            phi[i] = sum;
            sum = next;
        }
    }
    return apr_stopped(j->p) ? APROVER_CANCELLED : APROVER_OK;
}

/* phi, and sigma */
static aprover_status running_sum(job *j, fx *sigma) {
    const uint32_t log_k = j->t->table->log_height;
    const size_t k = (size_t)1 << log_k, slices = k / j->slice;
    aprover_status status = apr_parallel(j->p->team, sum_slice, j, slices);
    if (status != APROVER_OK) return status;
    fx total = fx_zero();
    for (size_t i = 0; i < slices; i++) total = fx_add(total, j->slice_sums[i]);
    *sigma = total;
    const fp slice_rows = fp_from_u32((uint32_t)j->slice);
    j->drift = fx_scale(total, fp_inv(fp_from_u32((uint32_t)k)));
    fx before = fx_zero();
    for (size_t i = 0; i < slices; i++) {
        const fx after = fx_sub(fx_add(before, j->slice_sums[i]), fx_scale(j->drift, slice_rows));
        j->slice_sums[i] = before;
        before = after;
    }
    return apr_parallel(j->p->team, run_slice, j, slices);
}

static aprover_status fill_columns(apr_prover *p, apr_prover_table *t) {
    const apr_table *table = t->table;
    const size_t k = (size_t)1 << table->log_height;
    job j = {.p = p, .t = t, .count = apr_rows_at_once(table, k), .slice = k / APR_MAX_SUM_SLICES,
             .rows_in_task = apr_rows_in_task(table, MOST_ROWS), .slice_sums = p->slice_sums};
    if (j.slice < MOST_ROWS) j.slice = k < MOST_ROWS ? k : MOST_ROWS;
    j.rows = (apr_air_coset){.air = p->air, .table = table, .trace = {t->rows, k}, .preprocessed = {table->preprocessed, k},
                             .log_size = table->log_height, .shift = FP_ONE, .publics = p->publics,
                             .fingerprint = &p->fingerprint, .poly = p->poly, .twiddles = p->twiddles};
    aprover_status status = apr_parallel(p->team, fractions_of_rows, &j, (k + j.rows_in_task - 1) / j.rows_in_task);
    return status == APROVER_OK ? running_sum(&j, &t->sigma) : status;
}

aprover_status apr_lookup(apr_prover *p) {
    fx challenges[2], total = fx_zero();
    apr_transcript_elements(&p->transcript, challenges, 2);
    p->fingerprint.gamma = challenges[0];
    p->fingerprint.beta[0] = fx_one();
    for (uint32_t i = 1; i <= APR_MAX_BUS_WIDTH; i++) p->fingerprint.beta[i] = fx_mul(p->fingerprint.beta[i - 1], challenges[1]);
    for (uint32_t i = 0; i < p->air->tables; i++) {
        apr_prover_table *t = &p->tables[i];
        if (t->table->interactions == 0) continue;
        aprover_status status = fill_columns(p, t);
        if (status == APROVER_OK)
            status = apr_interpolate_table(p, t, t->lookup, t->stride, t->stride, FX_DEGREE * t->table->lookup_columns, APR_STREAM_LOOKUP);
        if (status != APROVER_OK) return status;
        total = fx_add(total, t->sigma);
    }
    if (!fx_is_zero(total)) return APROVER_ERROR_LOOKUPS;
    aprover_status status = apr_commit_phase(p, APR_PHASE_LOOKUP);
    if (status != APROVER_OK) return status;
    uint8_t *sums = p->out + p->used;
    size_t bytes = 0;
    for (uint32_t i = 0; i < p->air->tables; i++) {
        if (p->tables[i].table->interactions == 0) continue;
        apr_put_fx(sums + bytes, p->tables[i].sigma);
        bytes += APR_ELEMENT_BYTES;
    }
    apr_transcript_absorb(&p->transcript, APR_TAG_LOOKUP_SUM, sums, bytes);
    p->used += bytes;
    return APROVER_OK;
}
