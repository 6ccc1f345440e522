/* The verifier's kernels, one query a lane. Compiled once for each instruction set. */
#include "vec_fx.h"
#include "verify.h"

/* Word i of eight messages, in Montgomery form, for i < 8: out[i] holds one lane a message. */
static inline void load_words(const uint8_t *const from[8], size_t offset, v8 out[8]) {
    for (int i = 0; i < 8; i++) out[i] = v8_load_bytes(from[i] + offset);
    v8_transpose(out);
    for (int i = 0; i < 8; i++) out[i] = v8_mul(out[i], v8_set1(FP_R2));
}

/* `words` words of each message, one vector a word. */
static void load_all(const uint8_t *const from[8], size_t words, uint32_t *out) {
    size_t i = 0;
    for (; i + 8 <= words; i += 8) {
        v8 block[8];
        load_words(from, 4 * i, block);
        for (int j = 0; j < 8; j++) v8_storeu(out + 8 * (i + (size_t)j), block[j]);
    }
    for (; i < words; i++)
        for (int lane = 0; lane < 8; lane++) out[8 * i + (size_t)lane] = fp_from_u32(apr_get_u32(from[lane] + 4 * i));
}

/* Sum of weight * column - value, at place m of `step` places; the values stand in the job's scratch. */
static vx numerator(const apr_query_job *job, const apr_point_group *g, size_t m, size_t step) {
    vx sum = vx_set1(fx_sub(fx_zero(), g->value));
    for (uint32_t t = 0; t < g->terms; t++) {
        const v8_split x = v8_split_of(v8_loadu(job->scratch + 8 * (g->column[t] * step + m)));
        for (int e = 0; e < FX_DEGREE; e++)
            sum.c[e] = v8_add(sum.c[e], v8_wide_reduce(v8_wide_mul(x, v8_split_set1(g->weight[t].c[e]))));
    }
    return sum;
}

/* One halving: values at y_m and -y_m = y_{m+n} to those of the fold at y_m^2. half_inverse: 1 / (2 y_0); zeta^m steps from y_0 to y_m. */
static inline void halve(vx *values, int n, v8 half_inverse, fp zeta_inverse, vx beta) {
    const v8 half = v8_set1(fp_inv(fp_from_u32(2)));
    for (int m = 0; m < n; m++) {
        vx even = vx_scale(vx_add(values[m], values[m + n]), half);
        vx odd = vx_scale(vx_sub(values[m], values[m + n]), half_inverse);
        values[m] = vx_add(even, vx_mul(beta, odd));
        half_inverse = v8_mul(half_inverse, v8_set1(zeta_inverse));
    }
}

/* The fold of an octet is three halvings: by beta on y, beta^2 on y^2, beta^4 on y^4. */
static vx fold_values(vx values[8], v8 x_inverse, fx beta) {
    v8 half_inverse = v8_mul(x_inverse, v8_set1(fp_inv(fp_from_u32(2))));
    fp zeta = fp_inv(fp_root(APR_LOG_ARITY));
    for (int n = APR_ARITY / 2; n > 0; n /= 2) {
        halve(values, n, half_inverse, zeta, vx_set1(beta));
        half_inverse = v8_mul(half_inverse, half_inverse);
        half_inverse = v8_add(half_inverse, half_inverse);
        zeta = fp_sqr(zeta);
        beta = fx_mul(beta, beta);
    }
    return values[0];
}

/* For one point z: the fold of N(y) / (y - z), without any division but one. Each halving first widens the denominator:
 * N / (y - z) = N (y + z) / (y^2 - z^2), which y and -y share. What is left is divided by y^8 - z^8. */
static vx fold_group(const apr_query_job *job, const apr_point_group *g, v8 x, v8 x_inverse) {
    const fp zeta = fp_root(APR_LOG_ARITY);
    vx values[APR_ARITY];
    fx point = g->point, beta = job->beta;
    fp step = zeta, step_inverse = fp_inv(zeta);
    v8 half_inverse = v8_mul(x_inverse, v8_set1(fp_inv(fp_from_u32(2))));
    for (int m = 0; m < APR_ARITY; m++) values[m] = numerator(job, g, (size_t)m, APR_ARITY);
    for (int n = APR_ARITY / 2; n > 0; n /= 2) {
        v8 y = x;
        for (int m = 0; m < 2 * n; m++) {
            values[m] = vx_mul(values[m], vx_add_base(vx_set1(point), y));
            y = v8_mul(y, v8_set1(step));
        }
        halve(values, n, half_inverse, step_inverse, vx_set1(beta));
        x = v8_mul(x, x);
        half_inverse = v8_mul(half_inverse, half_inverse);
        half_inverse = v8_add(half_inverse, half_inverse);
        step = fp_sqr(step);
        step_inverse = fp_sqr(step_inverse);
        point = fx_mul(point, point);
        beta = fx_mul(beta, beta);
    }
    return values[0];
}

/* sum of numerator_g / denominator_g, with one inversion. None is zero: the points lie outside the base field. */
static vx sum_of_fractions(const vx *numerators, const vx *denominators, uint32_t count) {
    vx prefix[APR_MAX_OFFSET + 1], product = denominators[0], sum;
    for (uint32_t g = 1; g < count; g++) {
        prefix[g] = product;
        product = vx_mul(product, denominators[g]);
    }
    vx rest = vx_inv(product);
    for (uint32_t g = count; g-- > 0;) {
        vx term = vx_mul(numerators[g], g > 0 ? vx_mul(rest, prefix[g]) : rest);
        sum = g == count - 1 ? term : vx_add(sum, term);
        rest = vx_mul(rest, denominators[g]);
    }
    return sum;
}

static void load_queries(const apr_query_job *job, const uint8_t *const trace[8], const uint8_t *const quotient[8]) {
    const size_t places = job->plan->narrow ? APR_ARITY : 1;
    load_all(trace, places * job->plan->columns, job->scratch);
    load_all(quotient, places * job->plan->quotient_columns, job->scratch + 8 * places * job->plan->columns);
}

static void VEC_NAME(fold_octets)(const apr_query_job *job, const uint8_t *const trace[8], const uint8_t *const quotient[8],
                                  const fp x[8], const fp x_inverse[8], fx out[8]) {
    vx numerators[APR_MAX_OFFSET + 1], denominators[APR_MAX_OFFSET + 1];
    v8 points = v8_loadu(x), eighth = v8_mul(points, points);
    eighth = v8_mul(eighth, eighth);
    eighth = v8_mul(eighth, eighth);
    load_queries(job, trace, quotient);
    for (uint32_t g = 0; g < job->group_count; g++) {
        fx power = job->groups[g].point;
        for (int i = 0; i < APR_LOG_ARITY; i++) power = fx_mul(power, power);
        numerators[g] = fold_group(job, &job->groups[g], points, v8_loadu(x_inverse));
        denominators[g] = vx_add_base(vx_set1(fx_sub(fx_zero(), power)), eighth);
    }
    vx_store(out, sum_of_fractions(numerators, denominators, job->group_count));
}

static void VEC_NAME(deep_rows)(const apr_query_job *job, const uint8_t *const trace[8], const uint8_t *const quotient[8],
                                const fp x[8], fx out[8]) {
    vx numerators[APR_MAX_OFFSET + 1], denominators[APR_MAX_OFFSET + 1];
    load_queries(job, trace, quotient);
    for (uint32_t g = 0; g < job->group_count; g++) {
        numerators[g] = numerator(job, &job->groups[g], 0, 1);
        denominators[g] = vx_add_base(vx_set1(fx_sub(fx_zero(), job->groups[g].point)), v8_loadu(x));
    }
    vx_store(out, sum_of_fractions(numerators, denominators, job->group_count));
}

static void VEC_NAME(fold_leaves)(const uint8_t *const leaves[8], const fp x_inverse[8], fx beta, fx out[8]) {
    vx values[APR_ARITY];
    for (int e = 0; e < FX_DEGREE; e++) {
        v8 words[8];
        load_words(leaves, (size_t)4 * APR_ARITY * (size_t)e, words);
        for (int m = 0; m < APR_ARITY; m++) values[m].c[e] = words[m];
    }
    vx_store(out, fold_values(values, v8_loadu(x_inverse), beta));
}

static void VEC_NAME(evaluate)(const fx *coefficients, size_t count, const fp x[8], fx out[8]) {
    const v8 points = v8_loadu(x);
    vx sum = vx_set1(coefficients[count - 1]);
    for (size_t i = count - 1; i-- > 0;) sum = vx_add(vx_scale(sum, points), vx_set1(coefficients[i]));
    vx_store(out, sum);
}

const apr_verify_kernels VEC_NAME(apr_verify_kernels) = {VEC_NAME(fold_octets), VEC_NAME(deep_rows), VEC_NAME(fold_leaves),
                                                         VEC_NAME(evaluate)};
