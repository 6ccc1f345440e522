/* The choice of the evaluator's kernels, and what they share. */
#include "evaluator.h"

extern const apr_air_kernels apr_air_kernels_portable, apr_air_kernels_avx2;
size_t apr_air_scratch_portable(const aprover_air *air, const apr_table *table, uint32_t log_size);

const apr_air_kernels *apr_air_kernels_for(enum apr_path path) {
#if APR_HAVE_AVX2_BUILD
    if (apr_use_avx2(path)) return &apr_air_kernels_avx2;
#endif
    (void)path;
    return &apr_air_kernels_portable;
}

/* The layout is the same whatever the instruction set. */
size_t apr_evaluator_scratch(const aprover_air *air, const apr_table *table, uint32_t log_size) {
    return apr_air_scratch_portable(air, table, log_size);
}

/* x^k runs through the subgroup of order 2^(log_size - log_height), so there are few values to invert: one after the other. */
void apr_vanishing_inverses(uint32_t *out, size_t count, uint32_t log_height, uint32_t log_size, fp shift) {
    const size_t period = (size_t)1 << (log_size - log_height);
    const fp step = fp_root(log_size - log_height);
    fp power = fp_sqr_times(shift, log_height);
    for (size_t i = 0; i < count && i < period; i++, power = fp_mul(power, step)) out[i] = fp_inv(fp_sub(power, FP_ONE));
    for (size_t i = period; i < count; i++) out[i] = out[i - period];
}
