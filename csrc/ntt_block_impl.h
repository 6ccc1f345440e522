/* Transforms within the first cache: the steps of two stages, the stages inside vectors, blocks, and their tables on a coset.
 *
 * The stages d and 2d are done together. With the factors t1 of stage d, t2 of stage 2d at i, t3 = t1 t2, and r = root(4), so
 * that r t2 is the factor of stage 2d at i + d, the four positions a, b, c, e become
 *
 *   (a + t1 b) + (t2 c + t3 e),  (a - t1 b) + (r t2 c - r t3 e),  (a + t1 b) - (t2 c + t3 e),  (a - t1 b) - (r t2 c - r t3 e):
 *
 * five products but three reductions, since the sum of two products is below 2 p^2 < p * 2^32.
 */
#include "poly_internal.h"

/* t1, t2, t3, r t2, -r t3 */
typedef struct {
    v8_split f[APR_FACTORS];
} factors;

static ALWAYS_INLINE factors factors_load(const uint32_t *p) {
    factors t;
    for (int f = 0; f < APR_FACTORS; f++) t.f[f] = v8_split_load(p + 8 * f);
    return t;
}

/* The factors of one i for all lanes. */
static ALWAYS_INLINE factors factors_set1(const uint32_t *table, size_t d, size_t i) {
    const uint32_t *p = table + apr_factors_at(d) + APR_FACTORS * (i & ~(size_t)7) + (i & 7);
    factors t;
    for (int f = 0; f < APR_FACTORS; f++) t.f[f] = v8_split_set1(p[8 * f]);
    return t;
}

static ALWAYS_INLINE void evaluate_four(v8 x[4], const factors *t) {
    const v8_split b = v8_split_of(x[1]), c = v8_split_of(x[2]), e = v8_split_of(x[3]);
    v8 plus = x[0], minus;
    v8_wide_butterfly(&plus, &minus, v8_wide_mul(b, t->f[0]));
    x[0] = plus;
    v8_wide_butterfly(&x[0], &x[2], v8_wide_add(v8_wide_mul(c, t->f[1]), v8_wide_mul(e, t->f[2])));
    x[1] = minus;
    v8_wide_butterfly(&x[1], &x[3], v8_wide_add(v8_wide_mul(c, t->f[3]), v8_wide_mul(e, t->f[4])));
}

/* The same backwards, up to the factor 4: with inverse factors. */
static ALWAYS_INLINE void interpolate_four(v8 x[4], const factors *t) {
    v8 ac = v8_add(x[0], x[2]), be = v8_add(x[1], x[3]);
    const v8_split c = v8_split_of(v8_sub(x[0], x[2])), e = v8_split_of(v8_sub(x[1], x[3]));
    x[0] = ac;
    x[1] = be;
    v8_butterfly_interpolate(&x[0], &x[1], t->f[0]);
    x[2] = v8_wide_reduce(v8_wide_add(v8_wide_mul(c, t->f[1]), v8_wide_mul(e, t->f[3])));
    x[3] = v8_wide_reduce(v8_wide_add(v8_wide_mul(c, t->f[2]), v8_wide_mul(e, t->f[4])));
}

static ALWAYS_INLINE void load_four(v8 x[4], const uint32_t *p, size_t d) {
    for (int k = 0; k < 4; k++) x[k] = v8_loadu(p + (size_t)k * d);
}
static ALWAYS_INLINE void store_four(uint32_t *p, size_t d, const v8 x[4]) {
    for (int k = 0; k < 4; k++) v8_storeu(p + (size_t)k * d, x[k]);
}

/* Eight vectors of eight words, wherever they are; four of them make 32 words of one transform, or some smaller transforms. In
 * low[k] are the first four words of vectors k and k + 4, in high[k] the other four: so the halves of these registers never
 * meet, and v8_transpose_halves is all the shuffling that the stages 1, 2 and 4 need. */
typedef struct {
    v8 low[4], high[4];
} octet;

static ALWAYS_INLINE octet octet_load(uint32_t *const at[8]) {
    octet x;
    for (int k = 0; k < 4; k++) {
        x.low[k] = v8_load_halves(at[k], at[k + 4]);
        x.high[k] = v8_load_halves(at[k] + 4, at[k + 4] + 4);
    }
    return x;
}

static ALWAYS_INLINE void octet_store(uint32_t *const at[8], const octet *x) {
    for (int k = 0; k < 4; k++) {
        v8_store_halves(at[k], at[k + 4], x->low[k]);
        v8_store_halves(at[k] + 4, at[k + 4] + 4, x->high[k]);
    }
}

static ALWAYS_INLINE v8_split split_halves(const uint32_t *p) { return v8_split_of(v8_load_halves(p, p)); }

/* Factors of the stages in an octet. The step of stages 1 and 2 is all lanes'; stage 4 joins position j of the low words with
 * position j of the high ones; the stages from 8 on go from vector to vector. `last` is 4, 8 or 16. */
typedef struct {
    factors first;
    v8_split four[4], eight[2];
    factors both[2]; /* of 8 and 16 */
} octet_factors;

static ALWAYS_INLINE octet_factors octet_factors_load(const uint32_t *table, int last) {
    octet_factors r;
    for (int f = 0; f < APR_FACTORS; f++) r.first.f[f] = v8_split_set1(table[f]);
    for (int j = 0; j < 4; j++) r.four[j] = v8_split_set1(table[APR_STAGE_4 + j]);
    for (int h = 0; h < 2; h++) {
        if (last == 8) r.eight[h] = split_halves(table + APR_STAGE_8 + 4 * h);
        if (last == 16)
            for (int f = 0; f < APR_FACTORS; f++) r.both[h].f[f] = split_halves(table + apr_factors_at(8) + 8 * f + 4 * h);
    }
    return r;
}

static ALWAYS_INLINE void octet_evaluate(octet *x, const octet_factors *t, int last) {
    v8_transpose_halves(x->low);
    v8_transpose_halves(x->high);
    evaluate_four(x->low, &t->first);
    evaluate_four(x->high, &t->first);
    for (int j = 0; j < 4; j++) v8_butterfly_evaluate(&x->low[j], &x->high[j], t->four[j]);
    v8_transpose_halves(x->low);
    v8_transpose_halves(x->high);
    if (last == 8)
        for (int k = 0; k < 4; k += 2) {
            v8_butterfly_evaluate(&x->low[k], &x->low[k + 1], t->eight[0]);
            v8_butterfly_evaluate(&x->high[k], &x->high[k + 1], t->eight[1]);
        }
    if (last == 16) {
        evaluate_four(x->low, &t->both[0]);
        evaluate_four(x->high, &t->both[1]);
    }
}

/* The same backwards, and a scaling: t->first has the scale in it, but no factor stands before the first of the four. */
static ALWAYS_INLINE void octet_interpolate(octet *x, const octet_factors *t, int last, v8_split scale) {
    if (last == 8)
        for (int k = 0; k < 4; k += 2) {
            v8_butterfly_interpolate(&x->low[k], &x->low[k + 1], t->eight[0]);
            v8_butterfly_interpolate(&x->high[k], &x->high[k + 1], t->eight[1]);
        }
    if (last == 16) {
        interpolate_four(x->low, &t->both[0]);
        interpolate_four(x->high, &t->both[1]);
    }
    v8_transpose_halves(x->low);
    v8_transpose_halves(x->high);
    for (int j = 0; j < 4; j++) v8_butterfly_interpolate(&x->low[j], &x->high[j], t->four[j]);
    interpolate_four(x->low, &t->first);
    interpolate_four(x->high, &t->first);
    x->low[0] = v8_wide_reduce(v8_wide_mul(v8_split_of(x->low[0]), scale));
    x->high[0] = v8_wide_reduce(v8_wide_mul(v8_split_of(x->high[0]), scale));
    v8_transpose_halves(x->low);
    v8_transpose_halves(x->high);
}

static ALWAYS_INLINE void octet_at(uint32_t *at[8], uint32_t *p) {
    for (int k = 0; k < 8; k++) at[k] = p + 8 * k;
}

/* The octets of all of a block of n >= 64 words. */
static ALWAYS_INLINE void evaluate_octets(uint32_t *out, const uint32_t *in, size_t n, const uint32_t *table, int last) {
    const octet_factors t = octet_factors_load(table, last);
    for (size_t i = 0; i < n; i += 64) {
        uint32_t *to[8], *from[8];
        octet_at(to, out + i);
        octet_at(from, (uint32_t *)(uintptr_t)(in + i));
        octet x = octet_load(from);
        octet_evaluate(&x, &t, last);
        octet_store(to, &x);
    }
}

static ALWAYS_INLINE void interpolate_octets(uint32_t *out, size_t n, const uint32_t *table, int last, fp scale) {
    octet_factors t = octet_factors_load(table, last);
    const v8_split scales = v8_split_set1(scale);
    for (int f = 0; f < APR_FACTORS; f++) t.first.f[f] = v8_split_set1(fp_mul(table[f], scale));
    for (size_t i = 0; i < n; i += 64) {
        uint32_t *at[8];
        octet_at(at, out + i);
        octet x = octet_load(at);
        octet_interpolate(&x, &t, last, scales);
        octet_store(at, &x);
    }
}

static void evaluate_block(uint32_t *out, const uint32_t *in, uint32_t log_n, const uint32_t *table) {
    const size_t n = (size_t)1 << log_n;
    if (log_n % 2 == 0) evaluate_octets(out, in, n, table, 8);
    else evaluate_octets(out, in, n, table, 16);
    for (size_t d = log_n % 2 == 0 ? 16 : 32; d < n; d *= 4)
        for (uint32_t *at = out; at < out + n; at += 4 * d) {
            const uint32_t *f = table + apr_factors_at(d);
            for (size_t i = 0; i < d; i += 8, f += APR_FACTORS * 8) {
                const factors t = factors_load(f);
                v8 x[4];
                load_four(x, at + i, d);
                evaluate_four(x, &t);
                store_four(at + i, d, x);
            }
        }
}

/* out may be in. scale: what every coefficient is multiplied with. */
static void interpolate_block(uint32_t *out, const uint32_t *in, uint32_t log_n, const uint32_t *table, fp scale) {
    const size_t n = (size_t)1 << log_n;
    for (size_t d = n / 4; d >= 16; d /= 4, in = out)
        for (size_t at = 0; at < n; at += 4 * d) {
            const uint32_t *f = table + apr_factors_at(d);
            for (size_t i = at; i < at + d; i += 8, f += APR_FACTORS * 8) {
                const factors t = factors_load(f);
                v8 x[4];
                load_four(x, in + i, d);
                interpolate_four(x, &t);
                store_four(out + i, d, x);
            }
        }
    if (log_n % 2 == 0) interpolate_octets(out, n, table, 8, scale);
    else interpolate_octets(out, n, table, 16, scale);
}

/* Transforms of 8, 16 or 32 words: an octet holds some columns of them, the last one repeated if need be. */
static ALWAYS_INLINE void small_octet_at(uint32_t *at[8], uint32_t *x, size_t stride, size_t columns, size_t first, size_t n) {
    for (size_t k = 0; k < 8; k++) {
        const size_t column = first + 8 * k / n;
        at[k] = x + (column < columns ? column : columns - 1) * stride + (8 * k & (n - 1));
    }
}

static ALWAYS_INLINE void evaluate_small_last(uint32_t *out, size_t out_stride, const uint32_t *in, size_t stride, size_t columns,
                                       uint32_t log_n, const uint32_t *table, int last) {
    const size_t n = (size_t)1 << log_n;
    const octet_factors t = octet_factors_load(table, last);
    for (size_t c = 0; c < columns; c += 64 / n) {
        uint32_t *from[8], *to[8];
        small_octet_at(from, (uint32_t *)(uintptr_t)in, stride, columns, c, n);
        small_octet_at(to, out, out_stride, columns, c, n);
        octet x = octet_load(from);
        octet_evaluate(&x, &t, last);
        octet_store(to, &x);
    }
}

static ALWAYS_INLINE void interpolate_small_last(uint32_t *out, size_t out_stride, const uint32_t *in, size_t stride, size_t columns,
                                          uint32_t log_n, const uint32_t *table, fp scale, int last) {
    const size_t n = (size_t)1 << log_n;
    octet_factors t = octet_factors_load(table, last);
    const v8_split scales = v8_split_set1(scale);
    for (int f = 0; f < APR_FACTORS; f++) t.first.f[f] = v8_split_set1(fp_mul(table[f], scale));
    for (size_t c = 0; c < columns; c += 64 / n) {
        uint32_t *from[8], *to[8];
        small_octet_at(from, (uint32_t *)(uintptr_t)in, stride, columns, c, n);
        small_octet_at(to, out, out_stride, columns, c, n);
        octet x = octet_load(from);
        octet_interpolate(&x, &t, last, scales);
        octet_store(to, &x);
    }
}

static void evaluate_small(uint32_t *out, size_t out_stride, const uint32_t *in, size_t stride, size_t columns, uint32_t log_n,
                           const uint32_t *table) {
    if (log_n == 3) evaluate_small_last(out, out_stride, in, stride, columns, log_n, table, 4);
    else if (log_n == 4) evaluate_small_last(out, out_stride, in, stride, columns, log_n, table, 8);
    else evaluate_small_last(out, out_stride, in, stride, columns, log_n, table, 16);
}

static void interpolate_small(uint32_t *out, size_t out_stride, const uint32_t *in, size_t stride, size_t columns, uint32_t log_n,
                              const uint32_t *table, fp scale) {
    if (log_n == 3) interpolate_small_last(out, out_stride, in, stride, columns, log_n, table, scale, 4);
    else if (log_n == 4) interpolate_small_last(out, out_stride, in, stride, columns, log_n, table, scale, 8);
    else interpolate_small_last(out, out_stride, in, stride, columns, log_n, table, scale, 16);
}

/* The table of a block on a coset: the factors of stage d are scaled by shift^(n/2d), where n = 2^log_n. */
static const uint32_t *coset_table(uint32_t *table, const uint32_t *plain, uint32_t log_n, fp shift) {
    if (shift == FP_ONE) return plain;
    fp outer = shift; /* shift^(n/4d), of stage 2d */
    for (size_t d = (size_t)1 << (log_n - 2); d >= 8; d /= 4) {
        const fp inner = fp_sqr(outer);
        const v8 s1 = v8_set1(inner), s2 = v8_set1(outer), s3 = v8_set1(fp_mul(inner, outer)), s[APR_FACTORS] = {s1, s2, s3, s2, s3};
        const uint32_t *from = plain + apr_factors_at(d);
        uint32_t *to = table + apr_factors_at(d);
        for (size_t i = 0; i < d; i += 8)
            for (int f = 0; f < APR_FACTORS; f++, from += 8, to += 8) v8_storeu(to, v8_mul(v8_loadu(from), s[f]));
        outer = fp_sqr(inner);
        *to = 0; /* read with the last vector */
    }
    if (log_n > 3 && log_n % 2 == 0) {
        v8_storeu(table + APR_STAGE_8, v8_mul(v8_loadu(plain + APR_STAGE_8), v8_set1(outer)));
        outer = fp_sqr(outer);
    }
    for (int i = 0; i < 4; i++) table[APR_STAGE_4 + i] = fp_mul(plain[APR_STAGE_4 + i], outer);
    const fp s2 = fp_sqr(outer), s1 = fp_sqr(s2), s3 = fp_mul(s1, s2), s[APR_FACTORS] = {s1, s2, s3, s2, s3};
    for (int f = 0; f < APR_FACTORS; f++) table[f] = fp_mul(plain[f], s[f]);
    return table;
}
