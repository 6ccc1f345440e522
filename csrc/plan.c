/* Deriving the shape of a proof, docs/protocol.md sections 5 to 8. */
#include "plan.h"

void apr_parameters_read(const uint8_t bytes[APR_PARAMETER_BYTES], aprover_parameters *parameters) {
    *parameters = (aprover_parameters){bytes[0], bytes[1], bytes[2], bytes[3], apr_get_u32(bytes + 4)};
}

void apr_parameters_write(const aprover_parameters *parameters, uint8_t bytes[APR_PARAMETER_BYTES]) {
    bytes[0] = parameters->log_blowup;
    bytes[1] = parameters->grinding_bits;
    bytes[2] = parameters->cap_log;
    bytes[3] = parameters->flags;
    apr_put_u32(bytes + 4, parameters->queries);
}

static int in_range(const aprover_parameters *p) {
    return p->log_blowup >= 1 && p->log_blowup <= APR_MAX_LOG_BLOWUP && p->grinding_bits <= 32 && p->cap_log <= 8 &&
           (p->flags & ~(APROVER_FLAG_INDEPENDENT | APROVER_FLAG_ZERO_KNOWLEDGE)) == 0 && p->queries >= 1 &&
           p->queries <= APR_MAX_QUERIES;
}

/* R of section 6. */
static uint32_t masks_of(const apr_table *table, const apr_plan *plan) {
    return plan->zero_knowledge ? table->rows_read * (plan->queries + FX_DEGREE) : 0;
}

/* The levels' sizes; log_kappas: one for each table. */
static void make_levels(const aprover_air *air, const uint32_t *log_kappas, apr_plan *plan) {
    uint32_t log_k = 0, t = 0;
    for (uint32_t i = 0; i < air->tables; i++)
        if (log_kappas[i] > log_k) log_k = log_kappas[i];
    do {
        uint32_t next = APR_LOG_FINAL_MAX; /* the largest table that is neither on this level nor small enough for the last */
        for (uint32_t i = 0; i < air->tables; i++)
            if (log_kappas[i] < log_k && log_kappas[i] > next) next = log_kappas[i];
        uint32_t log_arity = APR_MAX_LOG_ARITY;
        if (next > APR_LOG_FINAL_MAX && log_k - next < log_arity) log_arity = log_k - next;
        plan->level[t++] = (apr_level_plan){.log_k = log_k, .log_n = log_k + plan->log_blowup, .log_arity = log_arity};
        log_k -= log_arity;
    } while (log_k > APR_LOG_FINAL_MAX);
    plan->level[t] = (apr_level_plan){.log_k = log_k, .log_n = log_k + plan->log_blowup};
    plan->folds = t;
}

/* c of section 6, for any stride. */
static uint32_t chunks_of(const apr_table *table, uint32_t masks, uint32_t stride) {
    const int64_t k = (int64_t)1 << table->log_height, degree = k + masks - 1;
    int64_t largest = 0;
    for (int64_t s = 0; s <= APR_MAX_OFFSET; s++) {
        const int64_t e = table->exempted_degree[s] * degree + (s << table->log_slots) - k;
        if (table->exempted_degree[s] > 0 && e > largest) largest = e;
    }
    if (table->boundaries > 0 && degree - 1 > largest) largest = degree - 1;
    for (uint32_t a = 0; a < table->lookup_columns; a++) {
        const int64_t e = table->lookup_degree[a] * degree - k;
        if (e > largest) largest = e;
    }
    return (uint32_t)(largest / stride + 1);
}

/* log kappa: room for the masks, and for the quotient in few chunks, which without masks are few anyway. */
static uint32_t log_masked_height(const apr_table *table, uint32_t masks) {
    uint32_t log = table->log_height;
    while ((1u << log) - (1u << table->log_height) < masks) log++;
    if (masks > 0)
        while (chunks_of(table, masks, (1u << log) - masks) > APR_MAX_CHUNKS) log++;
    return log;
}

/* A table's place: the last level that is long enough, and its columns behind those of the tables before it. */
static void place_table(const apr_table *table, uint32_t log_kappa, uint32_t masks, apr_plan *plan, apr_table_plan *place) {
    uint32_t t = plan->folds;
    while (plan->level[t].log_k < log_kappa) t--;
    apr_level_plan *level = &plan->level[t];
    *place = (apr_table_plan){.level = t, .log_length = level->log_k, .masks = masks, .first_opening = plan->openings,
                              .sum = plan->sums};
    place->stride = (1u << place->log_length) - masks;
    place->chunks = chunks_of(table, masks, place->stride);
    const uint32_t columns[APR_PHASES] = {table->preprocessed_columns, table->columns, FX_DEGREE * table->lookup_columns,
                                          FX_DEGREE * place->chunks};
    for (int phase = 0; phase < APR_PHASES; phase++) {
        place->first_column[phase] = level->columns[phase];
        level->columns[phase] += columns[phase];
    }
    level->tables++;
    place->first_chunk = place->first_opening + apr_trace_openings(table);
    plan->openings = place->first_chunk + place->chunks;
    plan->sums += table->interactions > 0;
}

static int is_narrow(const apr_plan *plan) {
    uint32_t columns = 0;
    for (uint32_t t = 0; t <= plan->folds; t++)
        for (int phase = 0; phase < APR_PHASES; phase++) columns += plan->level[t].columns[phase];
    return !plan->zero_knowledge && columns <= APR_NARROW_COLUMNS;
}

size_t apr_caps_bytes(const apr_plan *plan, enum apr_phase phase) {
    size_t bytes = 0;
    for (uint32_t t = 0; t <= plan->folds; t++)
        if (plan->level[t].columns[phase] > 0) bytes += apr_cap_bytes(plan, apr_tree_log_leaves(plan, t));
    return bytes;
}

static size_t head_bytes(const apr_plan *plan) {
    size_t bytes = APR_PARAMETER_BYTES + (size_t)APR_ELEMENT_BYTES * (plan->sums + plan->openings);
    for (enum apr_phase phase = APR_PHASE_TRACE; phase < APR_PHASES; phase++) bytes += apr_caps_bytes(plan, phase);
    for (uint32_t t = plan->first_layer; t < plan->folds; t++) bytes += apr_cap_bytes(plan, apr_layer_log_leaves(plan, t));
    return bytes + ((size_t)APR_ELEMENT_BYTES << plan->level[plan->folds].log_k) + APR_NONCE_BYTES;
}

aprover_status apr_plan_make(const aprover_air *air, const aprover_parameters *parameters, apr_plan *plan) {
    const aprover_parameters *p = parameters;
    uint32_t log_kappas[APR_MAX_TABLES], masks[APR_MAX_TABLES];
    if (!in_range(p)) return APROVER_REJECT_PARAMETERS;
    plan->log_blowup = p->log_blowup;
    plan->queries = p->queries;
    plan->grinding_bits = p->grinding_bits;
    plan->cap_log = p->cap_log;
    plan->independent = (p->flags & APROVER_FLAG_INDEPENDENT) != 0;
    plan->zero_knowledge = (p->flags & APROVER_FLAG_ZERO_KNOWLEDGE) != 0;
    plan->tables = air->tables;
    plan->openings = plan->sums = 0;
    for (uint32_t i = 0; i < air->tables; i++) {
        masks[i] = masks_of(&air->table[i], plan);
        log_kappas[i] = log_masked_height(&air->table[i], masks[i]);
        if (log_kappas[i] + p->log_blowup > FP_TWO_ADICITY) return APROVER_REJECT_PARAMETERS;
    }
    make_levels(air, log_kappas, plan);
    for (uint32_t i = 0; i < air->tables; i++)
        place_table(&air->table[i], log_kappas[i], masks[i], plan, &plan->table[i]);
    plan->narrow = is_narrow(plan);
    if (plan->zero_knowledge) plan->level[0].columns[APR_PHASE_QUOTIENT] += FX_DEGREE;
    plan->log_domain = apr_tree_log_leaves(plan, 0);
    if (plan->queries > (uint64_t)1 << plan->log_domain) return APROVER_REJECT_PARAMETERS;
    plan->first_layer = plan->narrow ? 1 : 0;
    plan->head_bytes = head_bytes(plan);
    return APROVER_OK;
}

/* No two queries share a digest, which is more than they can need. */
static size_t opening_bound(const apr_plan *plan, uint32_t log_leaves, size_t leaf_bytes) {
    return plan->queries * (leaf_bytes + (size_t)APR_DIGEST_BYTES * log_leaves);
}

size_t apr_plan_proof_bound(const apr_plan *plan) {
    size_t bytes = plan->head_bytes;
    for (enum apr_phase phase = 0; phase < APR_PHASES; phase++)
        for (uint32_t t = 0; t <= plan->folds; t++)
            if (plan->level[t].columns[phase] > 0)
                bytes += opening_bound(plan, apr_tree_log_leaves(plan, t), apr_tree_leaf_bytes(plan, phase, t));
    for (uint32_t t = plan->first_layer; t < plan->folds; t++)
        bytes += opening_bound(plan, apr_layer_log_leaves(plan, t), apr_layer_leaf_bytes(plan, t));
    return bytes;
}

aprover_status aprover_proof_shape_of(const aprover_air *air, const aprover_parameters *parameters, aprover_proof_shape *shape) {
    apr_plan plan;
    if (air == NULL || parameters == NULL || shape == NULL) return APROVER_ERROR_ARGUMENT;
    aprover_status status = apr_plan_make(air, parameters, &plan);
    if (status != APROVER_OK) return status;
    *shape = (aprover_proof_shape){.narrow = plan.narrow, .folds = plan.folds, .log_length = plan.level[0].log_k,
                                   .openings = plan.openings,
                                   .preprocessed_bytes = (uint32_t)apr_caps_bytes(&plan, APR_PHASE_PREPROCESSED)};
    for (uint32_t i = 0; i < plan.tables; i++) {
        shape->chunks[i] = plan.table[i].chunks;
        shape->level[i] = plan.table[i].level;
        shape->length[i] = plan.table[i].log_length;
    }
    return APROVER_OK;
}

/* ---- points ---- */

static apr_points points_of(const apr_plan *plan, uint32_t t, uint32_t log_rows) {
    const fp shift = apr_level_shift(plan, t), root = fp_root(plan->level[t].log_n);
    return (apr_points){shift, fp_inv(shift), root, fp_root_inverse(plan->level[t].log_n), log_rows, plan->log_blowup};
}

apr_points apr_position_points(const apr_plan *plan, uint32_t t) { return points_of(plan, t, plan->level[t].log_k); }

apr_points apr_coset_points(const apr_plan *plan, uint32_t t) {
    return points_of(plan, t, plan->level[t].log_k - plan->level[t].log_arity);
}

static uint32_t exponent(const apr_points *points, uint32_t index) {
    const uint32_t coset = index >> points->log_rows, row = index & ((1u << points->log_rows) - 1);
    return coset + (row << points->log_blowup);
}

fp apr_point(const apr_points *points, uint32_t index) {
    return fp_mul(points->shift, fp_pow(points->root, exponent(points, index)));
}

fp apr_point_inverse(const apr_points *points, uint32_t index) {
    return fp_mul(points->shift_inverse, fp_pow(points->root_inverse, exponent(points, index)));
}
