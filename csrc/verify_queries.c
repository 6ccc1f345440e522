/* The verifier's checks at the queries: the DEEP polynomials and the folds, docs/protocol.md section 9, steps 12 to 14. */
#include "verifier.h"

enum { LOG_EXPONENTS = 24 }; /* no table is higher */

/* ---- the openings by the points that they belong to ---- */

/* Columns of a level's trees before those of a phase. */
static uint32_t columns_before(const apr_level_plan *level, enum apr_phase phase) {
    uint32_t columns = 0;
    for (enum apr_phase p = 0; p < phase; p++) columns += level->columns[p];
    return columns;
}

/* Where the openings of a table belong, in the order of section 7, step 5. */
static apr_opened_column *list_table(const apr_table *table, const apr_plan *plan, const apr_table_plan *place, apr_opened_column *out) {
    const apr_level_plan *level = &plan->level[place->level];
    uint32_t first[APR_PHASES];
    for (enum apr_phase phase = 0; phase < APR_PHASES; phase++)
        first[phase] = columns_before(level, phase) + place->first_column[phase];
    for (uint32_t i = 0; i < table->reads; i++) {
        const uint32_t column = apr_read_column(table->read[i]);
        const uint32_t at = column < table->columns ? first[APR_PHASE_TRACE] + column
                                                    : first[APR_PHASE_PREPROCESSED] + column - table->columns;
        *out++ = (apr_opened_column){place->level, at, 1, apr_read_offset(table->read[i]) << (LOG_EXPONENTS - table->log_height), 0};
    }
    for (uint32_t a = 0; a < table->lookup_columns; a++)
        *out++ = (apr_opened_column){place->level, first[APR_PHASE_LOOKUP] + FX_DEGREE * a, FX_DEGREE, 0, 0};
    if (table->lookup_columns > 0) { /* phi, one row on */
        *out = out[-1];
        out++->exponent = 1u << (LOG_EXPONENTS - table->log_height);
    }
    for (uint32_t j = 0; j < place->chunks; j++)
        *out++ = (apr_opened_column){place->level, first[APR_PHASE_QUOTIENT] + FX_DEGREE * j, FX_DEGREE, 0, 0};
    return out;
}

static void list_openings(apr_verifier *v) {
    apr_opened_column *out = v->opened;
    for (uint32_t i = 0; i < v->plan.tables; i++) out = list_table(&v->air->table[i], &v->plan, &v->plan.table[i], out);
}

/* The group of an exponent, made if it is new; openings come in runs of one point, so that the search is short. */
static uint32_t group_of(uint32_t *exponents, uint32_t *count, uint32_t last, uint32_t exponent) {
    if (last < *count && exponents[last] == exponent) return last;
    for (uint32_t g = 0; g < *count; g++)
        if (exponents[g] == exponent) return g;
    exponents[*count] = exponent;
    return (*count)++;
}

/* The groups of level t, their terms and their weighted sums; returns how many there are. */
static uint32_t group_openings(apr_verifier *v, uint32_t t) {
    const uint32_t openings = v->plan.openings;
    uint32_t *exponents = v->query_scratch, count = 0, last = 0, terms = 0;
    apr_point_group *groups = v->groups;
    for (uint32_t i = 0; i < openings; i++) {
        apr_opened_column *o = &v->opened[i];
        if (o->level != t) continue;
        const uint32_t known = count;
        o->group = last = group_of(exponents, &count, last, o->exponent);
        if (count > known) groups[last] = (apr_point_group){.terms = 0};
        groups[last].terms += o->width;
    }
    const fp root = fp_root(LOG_EXPONENTS);
    for (uint32_t g = 0; g < count; g++) {
        const uint32_t own = groups[g].terms;
        groups[g] = (apr_point_group){.point = fx_scale(v->z, fp_pow(root, exponents[g])), .column = v->columns + terms,
                                      .weight = v->weights + terms};
        terms += own;
    }
    for (uint32_t i = 0; i < openings; i++) {
        const apr_opened_column *o = &v->opened[i];
        if (o->level != t) continue;
        apr_point_group *g = &groups[o->group];
        const size_t at = (size_t)(g->column - v->columns) + g->terms;
        for (uint32_t e = 0; e < o->width; e++) {
            v->columns[at + e] = o->column + e;
            v->weights[at + e] = apr_shift_fx(v->lambdas[i], (int)e);
        }
        g->terms += o->width;
        g->value = fx_add(g->value, fx_mul(v->lambdas[i], v->values[i]));
    }
    return count;
}

/* ---- eight queries at a time ---- */

/* Leaves first .. first + 7 of an opening; past the end the last one stands again. */
static void eight_leaves(const apr_opening *o, uint32_t first, const uint8_t *leaves[8]) {
    for (uint32_t lane = 0; lane < 8; lane++)
        leaves[lane] = o->leaves + o->leaf_bytes * (first + lane < o->count ? first + lane : o->count - 1);
}

static void eight_indices(const uint32_t *indices, uint32_t count, uint32_t first, uint32_t out[8]) {
    for (uint32_t lane = 0; lane < 8; lane++) out[lane] = indices[first + lane < count ? first + lane : count - 1];
}

static void keep(fx *to, const fx from[8], uint32_t first, uint32_t count) {
    for (uint32_t lane = 0; lane < 8 && first + lane < count; lane++) to[first + lane] = from[lane];
}

/* G_t at the opened rows of level t; narrow and t = 0: the folds of D_0 over the opened fold cosets. */
static void level_values(apr_verifier *v, uint32_t t, fx *out) {
    const apr_plan *plan = &v->plan;
    const apr_level_plan *level = &plan->level[t];
    const int narrow = plan->narrow && t == 0;
    apr_query_job job = {.groups = v->groups, .group_count = group_openings(v, t), .mask = APR_NO_MASK, .log_arity = level->log_arity,
                         .beta = v->betas[0], .scratch = v->query_scratch};
    for (enum apr_phase phase = 0; phase < APR_PHASES; phase++) job.columns[phase] = level->columns[phase];
    if (plan->zero_knowledge && t == 0) {
        job.mask = columns_before(level, APR_PHASE_QUOTIENT) + apr_mask_column(plan);
        job.mask_weight = v->lambdas[plan->openings];
    }
    const apr_points points = narrow ? apr_coset_points(plan, t) : apr_position_points(plan, t);
    for (uint32_t first = 0; first < v->counts[t]; first += 8) {
        apr_eight_leaves leaves;
        uint32_t indices[8];
        fp x[8], x_inverse[8];
        fx values[8];
        eight_indices(v->positions[t], v->counts[t], first, indices);
        for (enum apr_phase phase = 0; phase < APR_PHASES; phase++)
            if (level->columns[phase] > 0) eight_leaves(&v->trees[phase][t], first, leaves[phase]);
        for (int lane = 0; lane < 8; lane++) x[lane] = apr_point(&points, indices[lane]);
        for (int lane = 0; lane < 8 && narrow; lane++) x_inverse[lane] = apr_point_inverse(&points, indices[lane]);
        if (narrow) v->kernels->fold_cosets(&job, leaves, x, x_inverse, values);
        else v->kernels->deep_rows(&job, leaves, x, values);
        keep(out, values, first, v->counts[t]);
    }
}

/* The folds of layer t's opened leaves, which are values at the positions of level t + 1. */
static void fold_layer(apr_verifier *v, uint32_t t) {
    const apr_opening *o = &v->layers[t];
    const apr_points points = apr_coset_points(&v->plan, t);
    for (uint32_t first = 0; first < o->count; first += 8) {
        const uint8_t *leaves[8];
        uint32_t indices[8];
        fp x_inverse[8];
        fx values[8];
        eight_leaves(o, first, leaves);
        eight_indices(o->indices, o->count, first, indices);
        for (int lane = 0; lane < 8; lane++) x_inverse[lane] = apr_point_inverse(&points, indices[lane]);
        v->kernels->fold_leaves(leaves, v->plan.level[t].log_arity, x_inverse, v->betas[t], values);
        keep(v->folds, values, first, o->count);
    }
}

/* Add beta^N * G_t to the folds, where level t has tables of its own. */
static void enter_tables(apr_verifier *v, uint32_t t) {
    fx power = v->betas[t - 1];
    if (v->plan.level[t].tables == 0) return;
    for (uint32_t i = 0; i < v->plan.level[t - 1].log_arity; i++) power = fx_sqr(power);
    level_values(v, t, v->deep);
    for (uint32_t i = 0; i < v->counts[t]; i++) v->folds[i] = fx_add(v->folds[i], fx_mul(power, v->deep[i]));
}

/* ---- the comparisons ---- */

static uint32_t find(const uint32_t *sorted, uint32_t count, uint32_t index) {
    uint32_t low = 0, high = count;
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (sorted[middle] <= index) low = middle;
        else high = middle;
    }
    return low;
}

/* The value at a position of layer t, out of the opened leaf that contains it. */
static fx value_at(const apr_verifier *v, uint32_t t, uint32_t position) {
    const apr_opening *o = &v->layers[t];
    uint32_t place;
    const uint32_t coset = apr_coset_of(&v->plan, t, position, &place);
    const uint8_t *leaf = o->leaves + o->leaf_bytes * find(o->indices, o->count, coset);
    fx r;
    for (uint32_t e = 0; e < FX_DEGREE; e++)
        r.c[e] = fp_from_u32(apr_get_u32(leaf + 4 * (((size_t)e << v->plan.level[t].log_arity) + place)));
    return r;
}

static aprover_status check_layer(apr_verifier *v, uint32_t t) {
    for (uint32_t i = 0; i < v->counts[t]; i++)
        if (!fx_eq(v->folds[i], value_at(v, t, v->positions[t][i])))
            return apr_reject(v, t == 0 ? APROVER_REJECT_DEEP : APROVER_REJECT_FRI_FOLD, t, v->positions[t][i]);
    return APROVER_OK;
}

static aprover_status check_final(apr_verifier *v) {
    const uint32_t t = v->plan.folds, count = v->counts[t];
    const apr_points points = apr_position_points(&v->plan, t);
    for (uint32_t first = 0; first < count; first += 8) {
        uint32_t indices[8];
        fp x[8];
        fx values[8];
        eight_indices(v->positions[t], count, first, indices);
        for (int lane = 0; lane < 8; lane++) x[lane] = apr_point(&points, indices[lane]);
        v->kernels->evaluate(v->final, (size_t)1 << v->plan.level[t].log_k, x, values);
        for (uint32_t lane = 0; lane < 8 && first + lane < count; lane++)
            if (!fx_eq(values[lane], v->folds[first + lane])) return apr_reject(v, APROVER_REJECT_FRI_FINAL, t, indices[lane]);
    }
    return APROVER_OK;
}

aprover_status apr_check_queries(apr_verifier *v) {
    list_openings(v);
    level_values(v, 0, v->folds);
    for (uint32_t t = v->plan.first_layer; t < v->plan.folds; t++) {
        if (t > 0) enter_tables(v, t);
        const aprover_status status = check_layer(v, t);
        if (status != APROVER_OK) return status;
        fold_layer(v, t);
    }
    enter_tables(v, v->plan.folds);
    return check_final(v);
}
