/* The prover's side of FRI, on coefficients: docs/protocol.md section 7, steps 6 and 7. */
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
        if (p->poly->fold(deep, deep, apr_layer_log_k(plan, t), beta, apr_poll_cancel, p)) return APROVER_CANCELLED;
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
