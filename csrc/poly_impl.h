/* The polynomial kernels, written once over the vectors of vec_*.h: base vectors here, transforms in ntt_impl.h, vectors over
 * the challenge field in fx_impl.h. */
#include "poly_internal.h"

/* The steps of a loop must not become calls, which would pass vectors through memory. */
#define ALWAYS_INLINE inline __attribute__((always_inline))

#include "ntt_impl.h"

#include "fx_impl.h"

static size_t from_canonical(uint32_t *x, size_t n) {
    const v8 r2 = v8_set1(FP_R2);
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        const v8 a = v8_loadu(x + i);
        if (!v8_all_reduced(a)) break;
        v8_storeu(x + i, v8_mul(a, r2));
    }
    for (; i < n; i++) {
        if (x[i] >= FP_P) return i;
        x[i] = fp_from_u32(x[i]);
    }
    return n;
}

static void to_canonical(uint32_t *out, const uint32_t *x, size_t n) {
    size_t i = 0;
    for (; i + 8 <= n; i += 8) v8_storeu(out + i, v8_canonical(v8_loadu(x + i)));
    for (; i < n; i++) out[i] = fp_to_u32(x[i]);
}

static void scale(uint32_t *out, const uint32_t *a, fp s, size_t n) {
    const v8 by = v8_set1(s);
    size_t i = 0;
    for (; i + 8 <= n; i += 8) v8_storeu(out + i, v8_mul(v8_loadu(a + i), by));
    for (; i < n; i++) out[i] = fp_mul(a[i], s);
}

static void add_scaled(uint32_t *y, const uint32_t *a, fp s, size_t n) {
    const v8 by = v8_set1(s);
    size_t i = 0;
    if (s == FP_ONE)
        for (; i + 8 <= n; i += 8) v8_storeu(y + i, v8_add(v8_loadu(y + i), v8_loadu(a + i)));
    for (; i + 8 <= n; i += 8) v8_storeu(y + i, v8_add(v8_loadu(y + i), v8_mul(v8_loadu(a + i), by)));
    for (; i < n; i++) y[i] = fp_add(y[i], fp_mul(a[i], s));
}

/* Position 8 k + i, of n = 2^log_n, has s^(bitrev3(i) n/8 + bitrev(k)). The second part is made of two: of the low six bits of
 * k, in a table, and of the rest, which changes every 512 words. */
static void scale_powers(uint32_t *x, uint32_t log_n, fp s) {
    const size_t n = (size_t)1 << log_n;
    if (log_n < 3) {
        fp power = FP_ONE;
        for (uint32_t e = 0; e < n; e++, power = fp_mul(power, s)) x[apr_bitrev(e, log_n)] = fp_mul(x[apr_bitrev(e, log_n)], power);
        return;
    }
    const fp s1 = fp_sqr_times(s, log_n - 3), s2 = fp_sqr(s1), s4 = fp_sqr(s2), s6 = fp_mul(s4, s2);
    const uint32_t lanes[8] = {FP_ONE, s4, s2, s6, s1, fp_mul(s4, s1), fp_mul(s2, s1), fp_mul(s6, s1)};
    const v8 inner = v8_loadu(lanes);
    const uint32_t log_table = log_n < 9 ? log_n - 3 : 6;
    fp table[64] = {FP_ONE};
    fp power = fp_sqr_times(s, log_n - 3 - log_table); /* k's high bits of these are the low powers */
    for (size_t half = (size_t)1 << log_table >> 1; half != 0; half /= 2, power = fp_sqr(power)) table[half] = power;
    for (size_t half = 2; half < (size_t)1 << log_table; half *= 2)
        for (size_t j = 1; j < half; j++) table[half + j] = fp_mul(table[half], table[j]);
    const size_t block = (size_t)8 << log_table;
    for (size_t b = 0; b < n / block; b++) {
        const v8 outer = v8_mul(inner, v8_set1(fp_pow(s, apr_bitrev((uint32_t)b, log_n - 3 - log_table))));
        for (size_t j = 0; 8 * j < block; j++) {
            uint32_t *at = x + b * block + 8 * j;
            v8_storeu(at, v8_mul(v8_loadu(at), v8_mul(outer, v8_set1(table[j]))));
        }
    }
}

/* Montgomery's trick in four times eight lanes: scratch holds the products of what stands before in the lane. Vector i of the
 * input belongs to chain i % 4; the last words, less than a vector, are filled up with ones. */
static void invert(uint32_t *x, size_t n, uint32_t *scratch) {
    enum { CHAINS = 4 };
    const size_t vectors = n / 8, rest = n % 8;
    uint32_t last[8], lanes[8], before[8];
    v8 product[CHAINS], end = v8_set1(FP_ONE);
    for (int c = 0; c < CHAINS; c++) product[c] = v8_set1(FP_ONE);
    for (size_t i = 0; i < vectors; i++) {
        v8_storeu(scratch + 8 * i, product[i % CHAINS]);
        product[i % CHAINS] = v8_mul(product[i % CHAINS], v8_loadu(x + 8 * i));
    }
    if (rest != 0) {
        for (size_t i = 0; i < 8; i++) last[i] = i < rest ? x[8 * vectors + i] : FP_ONE;
        end = v8_loadu(last);
    }
    const v8 p01 = v8_mul(product[0], product[1]), p23 = v8_mul(product[2], product[3]), all = v8_mul(p01, p23);
    v8_storeu(lanes, v8_mul(all, end));
    fp total = FP_ONE;
    for (int i = 0; i < 8; i++) {
        before[i] = total;
        total = fp_mul(total, lanes[i]);
    }
    total = fp_inv(total);
    for (int i = 8; i-- > 0;) {
        const fp inverse = fp_mul(total, before[i]);
        total = fp_mul(total, lanes[i]);
        lanes[i] = inverse;
    }
    v8 inverse = v8_loadu(lanes);
    if (rest != 0) {
        v8_storeu(last, v8_mul(inverse, all));
        for (size_t i = 0; i < rest; i++) x[8 * vectors + i] = last[i];
        inverse = v8_mul(inverse, end);
    }
    const v8 inverse01 = v8_mul(inverse, p23), inverse23 = v8_mul(inverse, p01);
    const v8 p0 = product[0], p2 = product[2];
    product[0] = v8_mul(inverse01, product[1]);
    product[1] = v8_mul(inverse01, p0);
    product[2] = v8_mul(inverse23, product[3]);
    product[3] = v8_mul(inverse23, p2);
    for (size_t i = vectors; i-- > 0;) {
        const v8 a = v8_loadu(x + 8 * i);
        v8_storeu(x + 8 * i, v8_mul(product[i % CHAINS], v8_loadu(scratch + 8 * i)));
        product[i % CHAINS] = v8_mul(product[i % CHAINS], a);
    }
}

const apr_poly_kernels VEC_NAME(apr_poly_kernels) = {
    .from_canonical = from_canonical,
    .to_canonical = to_canonical,
    .interpolate = interpolate,
    .evaluate = evaluate,
    .interpolate_columns = interpolate_columns,
    .evaluate_columns = evaluate_columns,
    .interpolate_slice = interpolate_slice,
    .evaluate_slice = evaluate_slice,
    .scale_powers = scale_powers,
    .scale = scale,
    .add_scaled = add_scaled,
    .invert = invert,
    .powers = powers,
    .dot = dot,
    .dot_columns = dot_columns,
    .accumulate = accumulate,
    .accumulate_parts = accumulate_parts,
    .accumulate_fx = accumulate_fx,
    .divide = divide,
    .divide_back = divide_back,
    .fold = fold,
};
