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

/* The columns of a query's leaves, place after place, and room for one fraction a point. */
typedef struct {
    vx *numerators, *denominators, *products;
    uint32_t *columns;
} query_scratch;

static query_scratch carve(const apr_query_job *job) {
    vx *fractions = (void *)job->scratch;
    const uint32_t n = job->group_count;
    return (query_scratch){fractions, fractions + n, fractions + 2 * (size_t)n, (void *)(fractions + 3 * (size_t)n)};
}

static void load_queries(const apr_query_job *job, apr_eight_leaves leaves, uint32_t log_places, uint32_t *out) {
    for (int phase = 0; phase < APR_PHASES; phase++) {
        const size_t words = (size_t)job->columns[phase] << log_places;
        if (words == 0) continue;
        load_all(leaves[phase], words, out);
        out += 8 * words;
    }
}

/* Sum of weight * column - value, at place m of `step` places. */
static vx numerator(const apr_point_group *g, const uint32_t *columns, size_t m, size_t step) {
    vx sum = vx_set1(fx_sub(fx_zero(), g->value));
    for (uint32_t t = 0; t < g->terms; t++) {
        const v8_split x = v8_split_of(v8_loadu(columns + 8 * (g->column[t] * step + m)));
        for (int e = 0; e < FX_DEGREE; e++)
            sum.c[e] = v8_add(sum.c[e], v8_wide_reduce(v8_wide_mul(x, v8_split_set1(g->weight[t].c[e]))));
    }
    return sum;
}

/* One halving: values at y_m and -y_m = y_{m+n} to those of the fold at y_m^2. half_inverse: 1 / (2 y_0); zeta^m steps from y_0 to y_m. */
static inline void halve(vx *values, int n, v8 half_inverse, fp zeta_inverse, vx beta) {
    const v8 half = v8_set1(fp_power_of_half(1));
    for (int m = 0; m < n; m++) {
        vx even = vx_scale(vx_add(values[m], values[m + n]), half);
        vx odd = vx_scale(vx_sub(values[m], values[m + n]), half_inverse);
        values[m] = vx_add(even, vx_mul(beta, odd));
        half_inverse = v8_mul(half_inverse, v8_set1(zeta_inverse));
    }
}

/* The fold of a coset of 8 is three halvings: by beta on y, beta^2 on y^2, beta^4 on y^4; of 4, two; of 2, one. */
static vx fold_values(vx *values, uint32_t log_arity, v8 x_inverse, fx beta) {
    v8 half_inverse = v8_mul(x_inverse, v8_set1(fp_power_of_half(1)));
    fp zeta = fp_root_inverse(log_arity);
    for (int n = 1 << log_arity >> 1; n > 0; n /= 2) {
        halve(values, n, half_inverse, zeta, vx_set1(beta));
        half_inverse = v8_mul(half_inverse, half_inverse);
        half_inverse = v8_add(half_inverse, half_inverse);
        zeta = fp_sqr(zeta);
        beta = fx_mul(beta, beta);
    }
    return values[0];
}

/* For one point z: the fold of N(y) / (y - z), without any division but one. Each halving first widens the denominator:
 * N / (y - z) = N (y + z) / (y^2 - z^2), which y and -y share. What is left is divided by y^N - z^N, the denominator. */
static vx fold_group(const apr_query_job *job, const apr_point_group *g, const uint32_t *columns, v8 x, v8 x_inverse, vx *denominator) {
    const fp zeta = fp_root(job->log_arity);
    const int arity = 1 << job->log_arity;
    vx values[APR_MAX_ARITY];
    fx point = g->point, beta = job->beta;
    fp step = zeta, step_inverse = fp_root_inverse(job->log_arity);
    v8 half_inverse = v8_mul(x_inverse, v8_set1(fp_power_of_half(1)));
    for (int m = 0; m < arity; m++) values[m] = numerator(g, columns, (size_t)m, (size_t)arity);
    for (int n = arity / 2; n > 0; n /= 2) {
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
    *denominator = vx_add_base(vx_set1(fx_sub(fx_zero(), point)), x);
    return values[0];
}

/* The sum of the fractions, with one inversion. No denominator is zero: the points lie outside the base field. */
static vx sum_of_fractions(const query_scratch *s, uint32_t count) {
    vx product = s->denominators[0], sum;
    for (uint32_t g = 1; g < count; g++) {
        s->products[g] = product;
        product = vx_mul(product, s->denominators[g]);
    }
    vx rest = vx_inv(product);
    for (uint32_t g = count; g-- > 0;) {
        vx term = vx_mul(s->numerators[g], g > 0 ? vx_mul(rest, s->products[g]) : rest);
        sum = g == count - 1 ? term : vx_add(sum, term);
        rest = vx_mul(rest, s->denominators[g]);
    }
    return sum;
}

static void VEC_NAME(fold_cosets)(const apr_query_job *job, apr_eight_leaves leaves, const fp x[8], const fp x_inverse[8], fx out[8]) {
    const query_scratch s = carve(job);
    load_queries(job, leaves, job->log_arity, s.columns);
    for (uint32_t g = 0; g < job->group_count; g++)
        s.numerators[g] = fold_group(job, &job->groups[g], s.columns, v8_loadu(x), v8_loadu(x_inverse), &s.denominators[g]);
    vx_store(out, sum_of_fractions(&s, job->group_count));
}

static void VEC_NAME(deep_rows)(const apr_query_job *job, apr_eight_leaves leaves, const fp x[8], fx out[8]) {
    const query_scratch s = carve(job);
    load_queries(job, leaves, 0, s.columns);
    for (uint32_t g = 0; g < job->group_count; g++) {
        s.numerators[g] = numerator(&job->groups[g], s.columns, 0, 1);
        s.denominators[g] = vx_add_base(vx_set1(fx_sub(fx_zero(), job->groups[g].point)), v8_loadu(x));
    }
    vx sum = sum_of_fractions(&s, job->group_count);
    if (job->mask != APR_NO_MASK) {
        vx mask;
        for (uint32_t e = 0; e < FX_DEGREE; e++) mask.c[e] = v8_loadu(s.columns + 8 * (size_t)(job->mask + e));
        sum = vx_add(sum, vx_mul(vx_set1(job->mask_weight), mask));
    }
    vx_store(out, sum);
}

static void VEC_NAME(fold_leaves)(const uint8_t *const leaves[8], uint32_t log_arity, const fp x_inverse[8], fx beta, fx out[8]) {
    uint32_t words[8 * FX_DEGREE * APR_MAX_ARITY];
    vx values[APR_MAX_ARITY];
    load_all(leaves, (size_t)FX_DEGREE << log_arity, words);
    for (size_t e = 0; e < FX_DEGREE; e++)
        for (size_t m = 0; m < (size_t)1 << log_arity; m++) values[m].c[e] = v8_loadu(words + 8 * ((e << log_arity) + m));
    vx_store(out, fold_values(values, log_arity, v8_loadu(x_inverse), beta));
}

static void VEC_NAME(evaluate)(const fx *coefficients, size_t count, const fp x[8], fx out[8]) {
    const v8 points = v8_loadu(x);
    vx sum = vx_set1(coefficients[count - 1]);
    for (size_t i = count - 1; i-- > 0;) sum = vx_add(vx_scale(sum, points), vx_set1(coefficients[i]));
    vx_store(out, sum);
}

const apr_verify_kernels VEC_NAME(apr_verify_kernels) = {VEC_NAME(fold_cosets), VEC_NAME(deep_rows), VEC_NAME(fold_leaves),
                                                         VEC_NAME(evaluate)};
