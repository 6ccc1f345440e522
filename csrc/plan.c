/* Deriving the shape of a proof, docs/protocol.md sections 5 to 7. */
#include "plan.h"

void apr_parameters_read(const uint8_t bytes[APR_PARAMETER_BYTES], aprover_parameters *parameters) {
    *parameters = (aprover_parameters){bytes[0], bytes[1], bytes[2], bytes[3], apr_get_u32(bytes + 4)};
}

void apr_parameters_write(const aprover_parameters *parameters, uint8_t bytes[APR_PARAMETER_BYTES]) {
    bytes[0] = parameters->log_blowup;
    bytes[1] = parameters->grinding_bits;
    bytes[2] = parameters->cap_log;
    bytes[3] = parameters->batching;
    apr_put_u32(bytes + 4, parameters->queries);
}

aprover_status apr_plan_make(const aprover_air *air, const aprover_parameters *parameters, apr_plan *plan) {
    const aprover_parameters *p = parameters;
    if (p->log_blowup < 1 || p->log_blowup > APR_MAX_LOG_BLOWUP || p->grinding_bits > 32 || p->cap_log > 8 || p->batching > 1 ||
        p->queries < 1 || p->queries > 4096 || air->log_height + p->log_blowup > FP_TWO_ADICITY)
        return APROVER_REJECT_PARAMETERS;
    *plan = (apr_plan){.log_k = air->log_height, .log_blowup = p->log_blowup, .log_n = air->log_height + p->log_blowup,
                       .narrow = air->narrow, .columns = air->columns, .quotient_columns = FX_DEGREE * air->chunks,
                       .chunks = air->chunks, .openings = air->reads + air->chunks, .queries = p->queries,
                       .grinding_bits = p->grinding_bits, .independent = p->batching, .cap_log = p->cap_log};
    plan->log_leaves = plan->narrow ? plan->log_n - APR_LOG_ARITY : plan->log_n;
    if (p->queries > (uint64_t)1 << plan->log_leaves) return APROVER_REJECT_PARAMETERS;
    do plan->folds++;
    while (apr_layer_log_k(plan, plan->folds) > APR_LOG_FINAL_MAX);
    plan->first_layer = plan->narrow ? 1 : 0;
    plan->log_final = apr_layer_log_k(plan, plan->folds);
    plan->head_bytes = APR_PARAMETER_BYTES + 2 * apr_cap_bytes(plan, plan->log_leaves) + (size_t)APR_ELEMENT_BYTES * plan->openings;
    for (uint32_t t = plan->first_layer; t < plan->folds; t++)
        plan->head_bytes += apr_cap_bytes(plan, apr_layer_log_leaves(plan, t));
    plan->head_bytes += ((size_t)APR_ELEMENT_BYTES << plan->log_final) + APR_NONCE_BYTES;
    return APROVER_OK;
}

static apr_points points_of(const apr_plan *plan, uint32_t t, uint32_t log_rows) {
    const fp shift = apr_layer_shift(t), root = fp_root(plan->log_n - APR_LOG_ARITY * t);
    return (apr_points){shift, fp_inv(shift), root, fp_inv(root), log_rows, plan->log_blowup};
}

apr_points apr_position_points(const apr_plan *plan, uint32_t t) { return points_of(plan, t, apr_layer_log_k(plan, t)); }

apr_points apr_octet_points(const apr_plan *plan, uint32_t t) {
    return points_of(plan, t, apr_layer_log_k(plan, t) - APR_LOG_ARITY);
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
