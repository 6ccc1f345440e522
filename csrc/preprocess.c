/* The commitment to an AIR's preprocessed columns, made once and shared by the proofs. */
#include <string.h>

#include "prover.h"

struct aprover_preprocessed {
    uint8_t digest[APR_DIGEST_BYTES]; /* of the AIR */
    aprover_parameters parameters;    /* as far as the commitment depends on them */
    apr_columns columns[APR_MAX_TABLES];
    apr_commitment trees[APR_MAX_FOLDS + 1];
    uint8_t *caps;
    size_t caps_bytes;
};

/* What cannot change the commitment is set to zero: lengths depend on the queries only in zero knowledge. */
static aprover_parameters relevant(const aprover_parameters *parameters) {
    const uint8_t zero_knowledge = parameters->flags & APROVER_FLAG_ZERO_KNOWLEDGE;
    return (aprover_parameters){.log_blowup = parameters->log_blowup, .cap_log = parameters->cap_log, .flags = zero_knowledge,
                                .queries = zero_knowledge ? parameters->queries : 0};
}

static int same(const aprover_parameters *a, const aprover_parameters *b) {
    return a->log_blowup == b->log_blowup && a->cap_log == b->cap_log && a->flags == b->flags && a->queries == b->queries;
}

/* `made` and the twiddles are laid out from `base` on; returns the bytes needed. With base 0 it only measures. */
static size_t lay_out(const aprover_air *air, const apr_plan *plan, uintptr_t base, aprover_preprocessed *made, void **twiddles) {
    apr_bump b = {base, 0};
    apr_take(&b, sizeof *made);
    *twiddles = apr_take(&b, apr_twiddles_bytes(plan->level[0].log_k));
    for (uint32_t i = 0; i < air->tables; i++) {
        const uint32_t log_n = plan->table[i].log_length, count = air->table[i].preprocessed_columns;
        const size_t stride = apr_padded((size_t)1 << log_n);
        made->columns[i] = (apr_columns){apr_take(&b, 4 * stride * count), stride, count, log_n};
    }
    for (uint32_t t = 0; t <= plan->folds; t++) {
        const uint32_t columns = plan->level[t].columns[APR_PHASE_PREPROCESSED];
        if (columns > 0) apr_lay_tree(&b, plan, t, columns, apr_tree_log_arity(plan, t), 1u << plan->log_blowup, 0, &made->trees[t]);
    }
    made->caps_bytes = apr_caps_bytes(plan, APR_PHASE_PREPROCESSED);
    made->caps = apr_take(&b, made->caps_bytes);
    return b.used;
}

size_t aprover_preprocess_memory(const aprover_air *air, const aprover_parameters *parameters) {
    apr_plan plan;
    aprover_preprocessed made;
    void *twiddles;
    if (air == NULL || parameters == NULL || air->preprocessed_columns == 0) return 0;
    if (apr_plan_make(air, parameters, &plan) != APROVER_OK) return 0;
    return lay_out(air, &plan, 0, &made, &twiddles);
}

static aprover_status commit(apr_prover *p, aprover_preprocessed *made) {
    aprover_status status = APROVER_OK;
    for (uint32_t i = 0; i < p->air->tables && status == APROVER_OK; i++) {
        const apr_table *table = &p->air->table[i];
        const apr_columns *columns = &made->columns[i];
        const size_t k = (size_t)1 << table->log_height;
        uint32_t *values = (uint32_t *)(uintptr_t)columns->values;
        const apr_prover_table t = {.table = table, .plan = &p->plan.table[i], .length = (size_t)1 << columns->log_n};
        if (columns->count == 0) continue;
        for (uint32_t c = 0; c < columns->count; c++) memcpy(values + columns->stride * c, table->preprocessed + k * c, 4 * k);
        status = apr_interpolate_table(p, &t, values, columns->stride, columns->stride, columns->count, APR_STREAM_NONE);
        if (status == APROVER_OK)
            status = apr_extend(p, columns, t.plan->level, &made->trees[t.plan->level], t.plan->first_column[APR_PHASE_PREPROCESSED], 0);
    }
    for (uint32_t t = 0; t <= p->plan.folds && status == APROVER_OK; t++) {
        if (p->plan.level[t].columns[APR_PHASE_PREPROCESSED] == 0) continue;
        status = apr_hash_tree(p, &made->trees[t]);
        if (status == APROVER_OK) apr_write_cap(p, &made->trees[t]);
    }
    return status;
}

const aprover_preprocessed *aprover_preprocess(const aprover_air *air, const aprover_parameters *parameters, void *memory,
                                               size_t bytes, const int32_t *cancel, uint32_t path, aprover_error *error) {
    aprover_error ignored;
    void *twiddles;
    if (error == NULL) error = &ignored;
    *error = (aprover_error){APROVER_ERROR_ARGUMENT, 0, 0};
    if (air == NULL || parameters == NULL || air->preprocessed_columns == 0) return NULL;
    const aprover_job job = {.cancel = cancel};
    apr_prover p = {.job = &job, .air = air, .lanes = 1, .poly = apr_poly_kernels_for((enum apr_path)path),
                    .hash = apr_hash_kernels_for((enum apr_path)path)};
    error->status = APROVER_REJECT_PARAMETERS;
    if (apr_plan_make(air, parameters, &p.plan) != APROVER_OK) return NULL;
    error->status = APROVER_ERROR_MEMORY;
    error->index = aprover_preprocess_memory(air, parameters);
    if (memory == NULL || ((uintptr_t)memory & 63) != 0 || bytes < error->index) return NULL;
    error->index = 0;
    aprover_preprocessed *made = memory;
    memset(made, 0, sizeof *made);
    lay_out(air, &p.plan, (uintptr_t)memory, made, &twiddles);
    apr_twiddles_init(&p.twiddles, p.plan.level[0].log_k, twiddles);
    memcpy(made->digest, air->digest, sizeof made->digest);
    made->parameters = relevant(parameters);
    p.out = made->caps;
    error->status = (int32_t)commit(&p, made);
    return error->status == APROVER_OK ? made : NULL;
}

const uint8_t *aprover_preprocessed_caps(const aprover_preprocessed *preprocessed, size_t *bytes) {
    *bytes = preprocessed->caps_bytes;
    return preprocessed->caps;
}

apr_columns apr_preprocessed_columns(const aprover_preprocessed *preprocessed, uint32_t table) {
    return preprocessed == NULL ? (apr_columns){0} : preprocessed->columns[table];
}

const apr_commitment *apr_preprocessed_tree(const aprover_preprocessed *preprocessed, uint32_t level) {
    return &preprocessed->trees[level];
}

int apr_preprocessed_fits(const aprover_preprocessed *preprocessed, const aprover_air *air, const aprover_parameters *parameters) {
    if (preprocessed == NULL) return air->preprocessed_columns == 0;
    const aprover_parameters expected = relevant(parameters);
    return memcmp(preprocessed->digest, air->digest, sizeof preprocessed->digest) == 0 && same(&preprocessed->parameters, &expected);
}
