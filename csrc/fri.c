/* The prover's side of FRI, on coefficients, and the grinding: docs/protocol.md section 7, steps 6 to 8. */
#include "prover.h"

aprover_status apr_fri(apr_prover *p) {
    const apr_plan *plan = &p->plan;
    const apr_fxv deep = {p->deep, p->stride_k};
    for (uint32_t t = 0; t < plan->folds; t++) {
        if (t >= plan->first_layer) {
            aprover_status status = apr_extend(p, p->deep, p->stride_k, t, &p->layers[t]);
            if (status == APROVER_OK) status = apr_commit(p, &p->layers[t], APR_TAG_FRI_CAP);
            if (status != APROVER_OK) return status;
        }
        fx beta;
        apr_transcript_elements(&p->transcript, &beta, 1);
        if (p->poly->fold(deep, deep, apr_layer_log_k(plan, t), APR_LOG_ARITY, beta, apr_poll_cancel, p)) return APROVER_CANCELLED;
    }
    uint8_t *final = p->out + p->used;
    const uint32_t count = 1u << plan->log_final;
    for (uint32_t i = 0; i < count; i++) {
        fx coefficient;
        for (int e = 0; e < FX_DEGREE; e++) coefficient.c[e] = p->deep[e * p->stride_k + apr_bitrev(i, plan->log_final)];
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
