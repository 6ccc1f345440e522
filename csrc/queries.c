/* The answers to the queries: leaves and multi-proofs, docs/protocol.md section 7, steps 10 and 11. */
#include <string.h>

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

/* ---- leaves whose values are evaluated again ---- */

/* The subtrees of a tall tree in which leaves are opened, in order. */
static uint32_t list_subtrees(const uint32_t *leaves, uint32_t count, uint32_t *subtrees) {
    uint32_t listed = 0;
    for (uint32_t i = 0; i < count; i++)
        if (listed == 0 || subtrees[listed - 1] != leaves[i] / APR_SUBTREE_LEAVES) subtrees[listed++] = leaves[i] / APR_SUBTREE_LEAVES;
    return listed;
}

/* The leaves of some subtrees as a matrix of their own, in which each subtree is a coset. */
typedef struct {
    const apr_matrix *whole;
    const uint32_t *subtrees;
    uint32_t count;
    apr_matrix matrix;
    uint32_t *values; /* of that matrix, salts included */
} gathering;

/* From a column on one coset of the whole to its column in the subtrees that lie there. */
static void gather_column(const gathering *g, uint32_t number, const uint32_t *column, uint32_t coset) {
    const uint32_t log_arity = g->whole->log_arity, log_rows = g->whole->log_coset - log_arity, log_subtrees = log_rows - APR_TREE_LOWEST;
    uint32_t *to = g->values + g->matrix.stride * number;
    for (uint32_t i = 0; i < g->count; i++) {
        if (g->subtrees[i] >> log_subtrees != coset) continue;
        const size_t row = (size_t)(g->subtrees[i] & ((1u << log_subtrees) - 1)) * APR_SUBTREE_LEAVES;
        for (size_t m = 0; m < (size_t)1 << log_arity; m++)
            memcpy(to + (((size_t)i << log_arity) + m) * APR_SUBTREE_LEAVES, column + (m << log_rows) + row, 4 * APR_SUBTREE_LEAVES);
    }
}

static void gather_kept(const gathering *g, uint32_t coset) {
    const apr_matrix *m = g->whole;
    const size_t at = (size_t)coset << m->log_coset;
    for (uint32_t c = 0; c < m->columns; c++) gather_column(g, c, m->values + m->stride * c + at, coset);
    for (uint32_t word = 0; word < APR_SALT_WORDS && m->salts != NULL; word++)
        gather_column(g, m->columns + word, m->salts + m->stride * word + at, coset);
}

static aprover_status gather_evaluated(const apr_prover *p, enum apr_phase phase, uint32_t t, const gathering *g, uint32_t coset) {
    const fp shift = apr_coset_shift(&p->plan, t, coset);
    aprover_status status = APROVER_OK;
    apr_part part;
    for (uint32_t next = 0; status == APROVER_OK && apr_next_part(p, phase, t, &next, &part);)
        for (uint32_t c = 0; c < part.columns.count && status == APROVER_OK; c++) {
            const apr_columns one = {part.columns.values + part.columns.stride * c, part.columns.stride, 1, part.columns.log_n};
            status = apr_evaluate(p, &one, p->column, (size_t)1 << one.log_n, &shift, 1);
            gather_column(g, part.first + c, p->column, coset);
        }
    for (uint32_t word = 0; word < APR_SALT_WORDS && g->matrix.salts != NULL && status == APROVER_OK; word++) {
        status = apr_draw_salts(p, phase, t, coset, word, p->column);
        gather_column(g, g->matrix.columns + word, p->column, coset);
    }
    return status;
}

static aprover_status gather(const apr_prover *p, enum apr_phase phase, uint32_t t, const apr_commitment *c, gathering *g) {
    const uint32_t log_subtrees = c->matrix.log_coset - c->matrix.log_arity - APR_TREE_LOWEST;
    aprover_status status = APROVER_OK;
    g->whole = &c->matrix;
    g->values = p->subtree_values;
    g->matrix = c->matrix;
    g->matrix.values = g->values;
    g->matrix.stride = apr_subtree_stride(&p->plan, t);
    g->matrix.salts = c->matrix.salts == NULL ? NULL : g->values + g->matrix.stride * g->matrix.columns;
    g->matrix.log_coset = APR_TREE_LOWEST + c->matrix.log_arity;
    for (uint32_t i = 0; i < g->count && status == APROVER_OK; i++) {
        const uint32_t coset = g->subtrees[i] >> log_subtrees;
        if (i > 0 && coset == g->subtrees[i - 1] >> log_subtrees) continue;
        if (coset < c->kept) gather_kept(g, coset);
        else status = gather_evaluated(p, phase, t, g, coset);
    }
    return status;
}

/* ---- openings ---- */

/* matrix: of all leaves, or if `gathered` of the subtrees that hold those to be opened. */
static void write_opening(apr_prover *p, const apr_tree *tree, const apr_matrix *matrix, int gathered, const uint32_t *leaves,
                          uint32_t count) {
    uint8_t *out = p->out + p->used, *subtree = p->subtrees;
    uint32_t *subtrees = p->proof_scratch, listed = tree->lowest > 0 ? list_subtrees(leaves, count, subtrees) : 0;
    for (uint32_t i = 0, s = 0; i < count; i++) {
        while (gathered && subtrees[s] != leaves[i] / APR_SUBTREE_LEAVES) s++;
        out = write_leaf(matrix, gathered ? s * APR_SUBTREE_LEAVES + leaves[i] % APR_SUBTREE_LEAVES : leaves[i], out);
    }
    for (uint32_t s = 0; s < listed; s++, subtree += APR_SUBTREE_BYTES) {
        p->hash->hash_leaves(matrix, (size_t)(gathered ? s : subtrees[s]) * APR_SUBTREE_LEAVES, APR_SUBTREE_LEAVES, subtree);
        apr_subtree_hash(p->hash, subtree, NULL);
    }
    out += apr_multiproof_write(tree, leaves, count, p->subtrees, p->proof_scratch, out);
    p->used = (size_t)(out - p->out);
}

static aprover_status open_level(apr_prover *p, enum apr_phase phase, uint32_t t) {
    const apr_prover_level *level = &p->levels[t];
    const apr_commitment *c = phase == APR_PHASE_PREPROCESSED ? apr_preprocessed_tree(p->job->preprocessed, t) : &level->trees[phase];
    if (c->kept == 1u << p->plan.log_blowup) {
        write_opening(p, &c->tree, &c->matrix, 0, level->positions, level->queries);
        return APROVER_OK;
    }
    gathering g = {.subtrees = p->proof_scratch, .count = list_subtrees(level->positions, level->queries, p->proof_scratch)};
    aprover_status status = gather(p, phase, t, c, &g);
    if (status == APROVER_OK) write_opening(p, &c->tree, &g.matrix, 1, level->positions, level->queries);
    return status;
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
            aprover_status status = plan->level[t].columns[phase] == 0 ? APROVER_OK : open_level(p, phase, t);
            if (status != APROVER_OK) return status;
        }
    /* A fold coset of level t is the position of level t + 1 with the same number. */
    for (uint32_t t = plan->first_layer; t < plan->folds; t++)
        write_opening(p, &levels[t].layer.tree, &levels[t].layer.matrix, 0, levels[t + 1].positions, levels[t + 1].queries);
    return apr_stopped(p) ? APROVER_CANCELLED : APROVER_OK;
}
