/* The prover's side of FRI, on coefficients, and the grinding: docs/protocol.md section 7, steps 7 to 9. */
#include "prover.h"

/* Results of a fold that a task makes. */
enum { FOLD_SLICE = 1 << 12 };

typedef struct {
    const apr_prover *p;
    apr_fxv out, f;
    uint32_t log_n, log_arity;
    fx beta;
    size_t count;
} folding;

static aprover_status fold_slice(void *context, size_t index, uint32_t lane) {
    const folding *job = context;
    (void)lane;
    job->p->poly->fold(job->out, job->f, job->log_n, job->log_arity, job->beta, index * job->count, job->count);
    return apr_stopped(job->p) ? APROVER_CANCELLED : APROVER_OK;
}

aprover_status apr_fold(const apr_prover *p, apr_fxv out, apr_fxv f, uint32_t log_n, uint32_t log_arity, fx beta) {
    const size_t results = (size_t)1 << (log_n - log_arity);
    folding job = {p, out, f, log_n, log_arity, beta, results < FOLD_SLICE ? results : FOLD_SLICE};
    return apr_parallel(p->team, fold_slice, &job, results / job.count);
}

/* D_(t+1) from D_t, in the same memory; the narrow layout made D_1 with the DEEP polynomial. */
static aprover_status fold_level(apr_prover *p, uint32_t t, fx beta) {
    const apr_level_plan *level = &p->plan.level[t];
    const apr_fxv deep = {p->levels[0].deep, p->levels[0].stride};
    aprover_status status = APROVER_OK;
    if (t > 0 || !p->plan.narrow) status = apr_fold(p, deep, deep, level->log_k, level->log_arity, beta);
    if (status != APROVER_OK || level[1].tables == 0) return status;
    const apr_fxv lower = {p->levels[t + 1].deep, p->levels[t + 1].stride};
    return apr_add_vector(p, deep, lower, fx_pow(beta, 1u << level->log_arity), level[1].log_k);
}

static aprover_status commit_layer(apr_prover *p, uint32_t t) {
    const apr_commitment *layer = &p->levels[t].layer;
    const apr_columns deep = {p->levels[0].deep, p->levels[0].stride, FX_DEGREE, p->plan.level[t].log_k};
    const size_t before = p->used;
    aprover_status status = apr_extend(p, &deep, t, layer, 0, 0);
    if (status == APROVER_OK) status = apr_hash_tree(p, layer);
    if (status != APROVER_OK) return status;
    apr_write_cap(p, layer);
    apr_transcript_absorb(&p->transcript, APR_TAG_FRI_CAP, p->out + before, p->used - before);
    return APROVER_OK;
}

aprover_status apr_fri(apr_prover *p) {
    const apr_plan *plan = &p->plan;
    for (uint32_t t = 0; t < plan->folds; t++) {
        aprover_status status = t >= plan->first_layer ? commit_layer(p, t) : APROVER_OK;
        if (status != APROVER_OK) return status;
        fx beta = p->first_beta;
        if (t > 0 || !plan->narrow) apr_transcript_elements(&p->transcript, &beta, 1);
        if ((status = fold_level(p, t, beta)) != APROVER_OK) return status;
    }
    uint8_t *final = p->out + p->used;
    const uint32_t log_count = plan->level[plan->folds].log_k, count = 1u << log_count;
    for (uint32_t i = 0; i < count; i++) {
        fx coefficient;
        for (int e = 0; e < FX_DEGREE; e++)
            coefficient.c[e] = p->levels[0].deep[(size_t)e * p->levels[0].stride + apr_bitrev(i, log_count)];
        apr_put_fx(final + (size_t)APR_ELEMENT_BYTES * i, coefficient);
    }
    apr_transcript_absorb(&p->transcript, APR_TAG_FINAL, final, (size_t)APR_ELEMENT_BYTES * count);
    p->used += (size_t)APR_ELEMENT_BYTES * count;
    return APROVER_OK;
}

/* The slices are tried in waves, so that the smallest nonce of all is found whatever the number of threads. */
enum { NONCES_IN_SLICE = 1 << 14, SLICES_IN_WAVE = APR_MAX_LANES };

typedef struct {
    const apr_prover *p;
    uint8_t key[32];
    uint64_t from;
    uint64_t found[SLICES_IN_WAVE]; /* the nonce, or the end of the slice */
} nonce_search;

static aprover_status try_nonces(void *context, size_t index, uint32_t lane) {
    nonce_search *job = context;
    (void)lane;
    job->found[index] = job->p->hash->grind(job->key, job->p->plan.grinding_bits, job->from + index * NONCES_IN_SLICE, NONCES_IN_SLICE);
    return apr_stopped(job->p) ? APROVER_CANCELLED : APROVER_OK;
}

static aprover_status find_nonce(apr_prover *p, uint64_t *nonce) {
    nonce_search job = {.p = p};
    const size_t slices = p->team == NULL ? 1 : p->lanes;
    apr_grinding_key(&p->transcript, job.key);
    for (;; job.from += slices * NONCES_IN_SLICE) {
        aprover_status status = apr_parallel(p->team, try_nonces, &job, slices);
        if (status != APROVER_OK) return status;
        for (size_t i = 0; i < slices; i++) {
            *nonce = job.found[i];
            if (*nonce != job.from + (i + 1) * NONCES_IN_SLICE) return APROVER_OK;
        }
    }
}

aprover_status apr_grind(apr_prover *p) {
    uint64_t nonce = 0;
    apr_transcript_squeeze(&p->transcript);
    if (p->plan.grinding_bits > 0) {
        aprover_status status = find_nonce(p, &nonce);
        if (status != APROVER_OK) return status;
    }
    apr_put_u32(p->out + p->used, (uint32_t)nonce);
    apr_put_u32(p->out + p->used + 4, (uint32_t)(nonce >> 32));
    apr_transcript_absorb(&p->transcript, APR_TAG_NONCE, p->out + p->used, APR_NONCE_BYTES);
    p->used += APR_NONCE_BYTES;
    return APROVER_OK;
}
