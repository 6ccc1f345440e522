/* The answers to the queries: leaves and multi-proofs, docs/protocol.md section 7, steps 10 and 11. */
#include "prover.h"

/* The values of one column, `step` apart, in two halves that do not wait for each other. */
static uint8_t *write_octet(const uint32_t *values, size_t step, uint8_t *out) {
    const uint32_t *high = values + 4 * step;
    for (size_t i = 0; i < 4; i++) {
        apr_put_u32(out + 4 * i, fp_to_u32(values[step * i]));
        apr_put_u32(out + 16 + 4 * i, fp_to_u32(high[step * i]));
    }
    return out + 32;
}

static uint8_t *write_leaf(const apr_matrix *m, uint32_t leaf, uint8_t *out) {
    const uint32_t log_rows = m->log_coset - m->log_arity;
    const size_t step = (size_t)1 << log_rows, position = ((size_t)(leaf >> log_rows) << m->log_coset) + (leaf & (step - 1));
    const uint32_t *values = m->values + position;
    for (uint32_t column = 0; column < m->columns; column++, values += m->stride) {
        if (m->log_arity == 3) out = write_octet(values, step, out);
        else for (size_t i = 0; i < (size_t)1 << m->log_arity; i++, out += 4) apr_put_u32(out, fp_to_u32(values[step * i]));
    }
    for (uint32_t word = 0; m->salts != NULL && word < APR_SALT_WORDS; word++, out += 4)
        apr_put_u32(out, m->salts[m->stride * word + position]);
    return out;
}

static void write_opening(apr_prover *p, const apr_commitment *c, const uint32_t *indices, uint32_t count) {
    uint8_t *out = p->out + p->used, *subtree = p->subtrees;
    for (uint32_t i = 0; i < count; i++) out = write_leaf(&c->matrix, indices[i], out);
    for (uint32_t i = 0; i < count && c->tree.lowest > 0; i++) {
        const uint32_t number = indices[i] / APR_SUBTREE_LEAVES;
        if (i > 0 && number == indices[i - 1] / APR_SUBTREE_LEAVES) continue;
        p->hash->hash_leaves(&c->matrix, (size_t)number * APR_SUBTREE_LEAVES, APR_SUBTREE_LEAVES, subtree);
        apr_subtree_hash(p->hash, subtree, NULL);
        subtree += APR_SUBTREE_BYTES;
    }
    out += apr_multiproof_write(&c->tree, indices, count, p->subtrees, p->proof_scratch, out);
    p->used = (size_t)(out - p->out);
}

aprover_status apr_answer_queries(apr_prover *p) {
    const apr_plan *plan = &p->plan;
    apr_prover_level *levels = p->levels;
    levels[0].queries = plan->queries;
    apr_transcript_indices(&p->transcript, levels[0].positions, plan->queries, plan->log_domain);
    for (uint32_t t = 0; t < plan->folds; t++)
        levels[t + 1].queries = apr_next_positions(plan, t, levels[t].positions, levels[t].queries, levels[t + 1].positions);
    for (enum apr_phase phase = APR_PHASE_PREPROCESSED; phase < APR_PHASES; phase++)
        for (uint32_t t = 0; t <= plan->folds; t++) {
            if (plan->level[t].columns[phase] == 0) continue;
            const apr_commitment *c = phase == APR_PHASE_PREPROCESSED ? apr_preprocessed_tree(p->job->preprocessed, t) : &levels[t].trees[phase];
            write_opening(p, c, levels[t].positions, levels[t].queries);
        }
    /* A fold coset of level t is the position of level t + 1 with the same number. */
    for (uint32_t t = plan->first_layer; t < plan->folds; t++)
        write_opening(p, &levels[t].layer, levels[t + 1].positions, levels[t + 1].queries);
    return apr_stopped(p) ? APROVER_CANCELLED : APROVER_OK;
}
