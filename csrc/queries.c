/* The answers to the queries: leaves and multi-proofs, docs/protocol.md section 7, steps 9 and 10. */
#include "prover.h"

static void write_leaf(const apr_commitment *c, uint32_t leaf, uint8_t *out) {
    const apr_matrix *m = &c->matrix;
    const uint32_t log_octets = m->log_coset - APR_LOG_ARITY;
    size_t position = leaf, count = 1, step = 0;
    if (c->octets) {
        position = ((size_t)(leaf >> log_octets) << m->log_coset) + (leaf & ((1u << log_octets) - 1));
        count = APR_ARITY;
        step = (size_t)1 << log_octets;
    }
    for (uint32_t column = 0; column < m->columns; column++)
        for (size_t i = 0; i < count; i++, out += 4)
            apr_put_u32(out, fp_to_u32(m->values[m->stride * column + position + step * i]));
}

static void write_opening(apr_prover *p, const apr_commitment *c, const uint32_t *indices, uint32_t count) {
    const size_t leaf_bytes = (size_t)4 * c->matrix.columns * (c->octets ? APR_ARITY : 1);
    for (uint32_t i = 0; i < count; i++, p->used += leaf_bytes) write_leaf(c, indices[i], p->out + p->used);
    p->used += apr_multiproof_write(&c->tree, indices, count, p->proof_scratch, p->out + p->used);
}

aprover_status apr_answer_queries(apr_prover *p) {
    const apr_plan *plan = &p->plan;
    uint32_t count = plan->queries, *current = p->indices, *next = p->layer_indices;
    apr_transcript_indices(&p->transcript, current, count, plan->log_leaves);
    write_opening(p, &p->trace_commitment, current, count);
    write_opening(p, &p->quotient_commitment, current, count);
    for (uint32_t t = plan->first_layer; t < plan->folds; t++) {
        count = apr_octets_of(plan, t, current, count, next);
        write_opening(p, &p->layers[t], next, count);
        uint32_t *swap = current;
        current = next;
        next = swap;
    }
    return apr_stopped(p) ? APROVER_CANCELLED : APROVER_OK;
}
