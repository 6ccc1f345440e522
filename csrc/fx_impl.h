/* Vectors over the challenge field, written once over the vectors of vec_*.h.
 *
 * Sums of products are reduced late. Write T = p * 2^32 = 0.469 * 2^64, the bound of Montgomery reduction; p^2 < 0.47 T. A sum
 * below T takes two more products (below 1.94 T < 2^64) before it is trimmed to below T again; four products alone are
 * below 1.88 T.
 */
#include <string.h>

#include "poly_internal.h"

static ALWAYS_INLINE fx fxv_get(apr_fxv v, size_t i) {
    fx r;
    for (int j = 0; j < FX_DEGREE; j++) r.c[j] = v.values[(size_t)j * v.stride + i];
    return r;
}

static ALWAYS_INLINE void fxv_set(apr_fxv v, size_t i, fx a) {
    for (int j = 0; j < FX_DEGREE; j++) v.values[(size_t)j * v.stride + i] = a.c[j];
}

static ALWAYS_INLINE apr_fxv fxv_at(apr_fxv v, size_t i) { return (apr_fxv){v.values + i, v.stride}; }

/* Eight elements, and eight sums of products for each coefficient. */
typedef struct {
    v8 c[FX_DEGREE];
} fx8;
typedef struct {
    v8_wide c[FX_DEGREE];
} fx8_wide;

static ALWAYS_INLINE fx8 fx8_load(apr_fxv v, size_t i) {
    fx8 r;
    for (int j = 0; j < FX_DEGREE; j++) r.c[j] = v8_loadu(v.values + (size_t)j * v.stride + i);
    return r;
}

static ALWAYS_INLINE void fx8_store(apr_fxv v, size_t i, fx8 a) {
    for (int j = 0; j < FX_DEGREE; j++) v8_storeu(v.values + (size_t)j * v.stride + i, a.c[j]);
}

static ALWAYS_INLINE fx8 fx8_add(fx8 a, fx8 b) {
    for (int j = 0; j < FX_DEGREE; j++) a.c[j] = v8_add(a.c[j], b.c[j]);
    return a;
}

static ALWAYS_INLINE fx8_wide fx8_wide_zero(void) {
    fx8_wide r;
    for (int j = 0; j < FX_DEGREE; j++) r.c[j] = v8_wide_zero();
    return r;
}

static ALWAYS_INLINE fx8 fx8_wide_reduce(fx8_wide s) {
    fx8 r;
    for (int j = 0; j < FX_DEGREE; j++) r.c[j] = v8_wide_reduce(s.c[j]);
    return r;
}

/* A constant factor: the product's coefficient i takes word 4 + i - j times coefficient j, so words 4 to 8 are the factor's
 * coefficients and words 0 to 3 twice its coefficients 1 to 4 (X^5 = 2). */
typedef struct {
    fp w[2 * FX_DEGREE - 1];
} fx_factor;

static ALWAYS_INLINE fx_factor fx_factor_of(fx a) {
    fx_factor r;
    for (int i = 0; i < FX_DEGREE; i++) r.w[4 + i] = a.c[i];
    for (int i = 0; i < FX_DEGREE - 1; i++) r.w[i] = fp_add(a.c[1 + i], a.c[1 + i]);
    return r;
}

/* The words for coefficient j of the other factor, one for each coefficient of the product. */
static ALWAYS_INLINE const fp *fx_factor_row(const fx_factor *factor, int j) { return factor->w + 4 - j; }

/* One or two more products in each sum, which is trimmed before and after. Sum by sum, since ten sums and ten products would
 * not fit the registers. */
static ALWAYS_INLINE fx8_wide fx8_add_product(fx8_wide s, v8 x, const fp *a) {
    const v8_split u = v8_split_of(x);
    for (int i = 0; i < FX_DEGREE; i++) s.c[i] = v8_wide_trim(v8_wide_add(s.c[i], v8_wide_mul(u, v8_split_set1(a[i]))));
    return s;
}

static ALWAYS_INLINE fx8_wide fx8_add_two_products(fx8_wide s, v8 x, const fp *a, v8 y, const fp *b) {
    const v8_split u = v8_split_of(x), v = v8_split_of(y);
    for (int i = 0; i < FX_DEGREE; i++) {
        s.c[i] = v8_wide_add(s.c[i], v8_wide_mul(u, v8_split_set1(a[i])));
        s.c[i] = v8_wide_trim(v8_wide_add(s.c[i], v8_wide_mul(v, v8_split_set1(b[i]))));
    }
    return s;
}

static ALWAYS_INLINE fx8 fx8_mul(fx8 x, const fx_factor *factor) {
    fx8_wide s = fx8_wide_zero();
    fx8 r;
    for (int j = 0; j < 4; j++) {
        const v8_split u = v8_split_of(x.c[j]);
        const fp *a = fx_factor_row(factor, j);
        for (int i = 0; i < FX_DEGREE; i++) s.c[i] = v8_wide_add(s.c[i], v8_wide_mul(u, v8_split_set1(a[i])));
    }
    for (int i = 0; i < FX_DEGREE; i++) s.c[i] = v8_wide_trim(s.c[i]);
    s = fx8_add_product(s, x.c[4], fx_factor_row(factor, 4));
    for (int i = 0; i < FX_DEGREE; i++) r.c[i] = v8_wide_reduce(s.c[i]);
    return r;
}

/* ---- sums over a column ---- */

/* s += column times table at i, lane by lane; at i and j. */
static ALWAYS_INLINE fx8_wide dot_vector(fx8_wide s, const uint32_t *column, apr_fxv table, size_t i) {
    const v8_split x = v8_split_of(v8_loadu(column + i));
    for (int c = 0; c < FX_DEGREE; c++) {
        const uint32_t *t = table.values + (size_t)c * table.stride;
        s.c[c] = v8_wide_trim(v8_wide_add(s.c[c], v8_wide_mul(x, v8_split_of(v8_loadu(t + i)))));
    }
    return s;
}

static ALWAYS_INLINE fx8_wide dot_two_vectors(fx8_wide s, const uint32_t *column, apr_fxv table, size_t i, size_t j) {
    const v8_split x = v8_split_of(v8_loadu(column + i)), y = v8_split_of(v8_loadu(column + j));
    for (int c = 0; c < FX_DEGREE; c++) {
        const uint32_t *t = table.values + (size_t)c * table.stride;
        s.c[c] = v8_wide_add(s.c[c], v8_wide_mul(x, v8_split_of(v8_loadu(t + i))));
        s.c[c] = v8_wide_trim(v8_wide_add(s.c[c], v8_wide_mul(y, v8_split_of(v8_loadu(t + j)))));
    }
    return s;
}

static fx dot(const uint32_t *column, apr_fxv table, size_t n) {
    fx8_wide s = fx8_wide_zero();
    fx r;
    size_t i = 0;
    for (; i + 16 <= n; i += 16) s = dot_two_vectors(s, column, table, i, i + 8);
    for (; i + 8 <= n; i += 8) s = dot_vector(s, column, table, i);
    for (int c = 0; c < FX_DEGREE; c++) r.c[c] = fp_reduce(v8_wide_total(s.c[c]));
    for (; i < n; i++) r = fx_add(r, fx_scale(fxv_get(table, i), column[i]));
    return r;
}

static void dot_columns(fx *out, const uint32_t *x, size_t stride, size_t columns, apr_fxv table, size_t n) {
    enum { SLICE = 1024 }; /* of the table, in the first cache */
    for (size_t i = 0; i < n; i += SLICE)
        for (size_t c = 0; c < columns; c++)
            out[c] = fx_add(out[c], dot(x + c * stride + i, fxv_at(table, i), n - i < SLICE ? n - i : SLICE));
}

/* ---- sums over columns ---- */

/* Vectors on which the sums wait in memory while columns are added, some at a time. */
enum { SUMMED = 16 };

/* Columns a power of two apart compete for the same lines of a cache, of which there are eight or more: so eight columns at a time. */
static ALWAYS_INLINE void add_columns(fx8_wide sums[SUMMED], size_t vectors, const uint32_t *x, size_t stride, size_t columns,
                                      const fx *coefficients) {
    for (size_t v = 0; v < vectors; v++, x += 8) {
        fx8_wide s = sums[v];
        size_t c = 0;
        for (; c + 2 <= columns; c += 2)
            s = fx8_add_two_products(s, v8_loadu(x + c * stride), coefficients[c].c, v8_loadu(x + (c + 1) * stride),
                                     coefficients[c + 1].c);
        if (c < columns) s = fx8_add_product(s, v8_loadu(x + c * stride), coefficients[c].c);
        sums[v] = s;
    }
}

static ALWAYS_INLINE void add_sums(apr_fxv acc, size_t i, size_t vectors, const fx8_wide sums[SUMMED]) {
    for (size_t v = 0; v < vectors; v++, i += 8) fx8_store(acc, i, fx8_add(fx8_load(acc, i), fx8_wide_reduce(sums[v])));
}

static void accumulate(apr_fxv acc, const uint32_t *x, size_t stride, size_t columns, const fx *coefficients, size_t n) {
    enum { TOGETHER = 8 };
    size_t i = 0, vectors;
    for (; i + 8 <= n; i += 8 * vectors) {
        fx8_wide sums[SUMMED];
        vectors = (n - i) / 8 < SUMMED ? (n - i) / 8 : SUMMED;
        memset(sums, 0, vectors * sizeof *sums);
        for (size_t c = 0; c < columns; c += TOGETHER)
            add_columns(sums, vectors, x + c * stride + i, stride, columns - c < TOGETHER ? columns - c : TOGETHER, coefficients + c);
        add_sums(acc, i, vectors, sums);
    }
    for (; i < n; i++) {
        fx r = fxv_get(acc, i);
        for (size_t c = 0; c < columns; c++) r = fx_add(r, fx_scale(coefficients[c], x[c * stride + i]));
        fxv_set(acc, i, r);
    }
}

static void accumulate_parts(apr_fxv acc, const uint32_t *x, size_t stride, size_t columns, size_t step, size_t parts,
                             const fx *coefficients, size_t n) {
    for (size_t i = 0, vectors; i < n; i += 8 * vectors) {
        fx8_wide sums[SUMMED];
        vectors = (n - i) / 8 < SUMMED ? (n - i) / 8 : SUMMED;
        memset(sums, 0, vectors * sizeof *sums);
        for (size_t c = 0; c < columns; c++) add_columns(sums, vectors, x + c * stride + i, step, parts, coefficients + c * parts);
        add_sums(acc, i, vectors, sums);
    }
}

static void accumulate_fx(apr_fxv acc, apr_fxv x, fx c, size_t n) {
    const fx_factor factor = fx_factor_of(c);
    size_t i = 0;
    for (; i + 8 <= n; i += 8) fx8_store(acc, i, fx8_add(fx8_load(acc, i), fx8_mul(fx8_load(x, i), &factor)));
    for (; i < n; i++) fxv_set(acc, i, fx_add(fxv_get(acc, i), fx_mul(c, fxv_get(x, i))));
}

/* ---- polynomials in bit-reversed order ---- */

/* The first 2^s values are those for z^(n / 2^s); the next 2^s are these times the power that the new bit stands for. */
static void powers(apr_fxv out, uint32_t log_n, fx z) {
    fx step[32]; /* z^(2^i) */
    step[0] = z;
    for (uint32_t i = 1; i < log_n; i++) step[i] = fx_sqr(step[i - 1]);
    fxv_set(out, 0, fx_one());
    for (uint32_t s = 0; s < log_n; s++) {
        const size_t m = (size_t)1 << s;
        const fx by = step[log_n - 1 - s];
        const fx_factor factor = fx_factor_of(by);
        if (m < 8) {
            fxv_set(out, m, by);
            for (size_t i = 1; i < m; i++) fxv_set(out, m + i, fx_mul(fxv_get(out, i), by));
            continue;
        }
        for (size_t i = 0; i < m; i += 8) fx8_store(out, m + i, fx8_mul(fx8_load(out, i), &factor));
    }
}

/* out = the sum of z^e f_e for e < 2^log_parts, where part e is segment bitrev(e) of 2^log_parts, of m >= 8 elements each: the places
 * first .. end - 1 of it. */
static void combine(apr_fxv out, apr_fxv f, size_t m, uint32_t log_parts, fx z, size_t first, size_t end) {
    const uint32_t parts = 1u << log_parts;
    fx_factor factor[8];
    fx power = z;
    for (uint32_t e = 1; e < parts; e++, power = fx_mul(power, z)) factor[e] = fx_factor_of(power);
    for (size_t i = first; i < end; i += 8) {
        fx8_wide s = fx8_wide_zero();
        for (uint32_t e = 1; e < parts; e++) {
            const fx8 x = fx8_load(f, i + apr_bitrev(e, log_parts) * m);
            for (int j = 0; j < 4; j += 2)
                s = fx8_add_two_products(s, x.c[j], fx_factor_row(&factor[e], j), x.c[j + 1], fx_factor_row(&factor[e], j + 1));
            s = fx8_add_product(s, x.c[4], fx_factor_row(&factor[e], 4));
        }
        fx8_store(out, i, fx8_add(fx8_load(f, i), fx8_wide_reduce(s)));
    }
}

/* Less than eight results: part by part would leave lanes empty, so the halves are combined, which are the parts of even
 * and of odd exponents, then the quarters, then the eighths. */
static void fold_small(apr_fxv out, apr_fxv f, uint32_t log_n, uint32_t log_arity, fx beta) {
    enum { ROOM = 40 }; /* 32, and what a vector of less than eight reads too far */
    const size_t n = (size_t)1 << log_n, results = n >> log_arity;
    uint32_t words[FX_DEGREE * ROOM] = {0};
    const apr_fxv w = {words, ROOM};
    for (size_t i = 0; i < n; i += 8) fx8_store(w, i, fx8_load(f, i));
    for (size_t half = n / 2; half >= results; half /= 2, beta = fx_sqr(beta)) {
        const fx_factor factor = fx_factor_of(beta);
        for (size_t i = 0; i < half; i += 8)
            fx8_store(w, i, fx8_add(fx8_load(w, i), fx8_mul(fx8_load(w, half + i), &factor)));
    }
    for (size_t i = 0; i < results; i++) fxv_set(out, i, fxv_get(w, i));
}

static void fold(apr_fxv out, apr_fxv f, uint32_t log_n, uint32_t log_arity, fx beta, size_t first, size_t count) {
    if (log_n >= log_arity + 3) combine(out, f, (size_t)1 << (log_n - log_arity), log_arity, beta, first, first + count);
    else fold_small(out, f, log_n, log_arity, beta);
}

/* The quotient's coefficient at e is h(e+1), where h(e) = f(e) + z h(e+1).
 *
 * Let the exponents be e = l + 2^r E with l < 2^r, whose coefficients are one segment for each l. Then h(2^r E) satisfies the same
 * recurrence over E, for the polynomial sum z^l f_l and z^(2^r): dividing that in place gives h(2^r (E+1)) at E, which is the quotient's
 * coefficient at l = 2^r - 1, and from there h(e) for the other l follows segment by segment. So no step is sequential but
 * the last division, of eight coefficients. */
static void divide_back(apr_fxv f, uint32_t log_n, uint32_t log_parts, fx z, size_t first, size_t count) {
    const size_t m = (size_t)1 << (log_n - log_parts);
    const fx_factor factor = fx_factor_of(z);
    for (size_t i = first; i < first + count; i += 8) {
        fx8 h = fx8_load(f, i);
        for (uint32_t l = (1u << log_parts) - 1; l > 0; l--) {
            const size_t at = i + apr_bitrev(l, log_parts) * m;
            const fx8 c = fx8_load(f, at);
            fx8_store(f, at, h);
            h = fx8_add(c, fx8_mul(h, &factor));
        }
        fx8_store(f, i, h);
    }
}

static void divide(apr_fxv f, uint32_t log_n, fx z) {
    if (log_n <= 3) {
        fx h = fx_zero();
        for (uint32_t e = (1u << log_n) - 1; e > 0; e--) {
            const uint32_t q = apr_bitrev(e, log_n);
            const fx c = fxv_get(f, q);
            fxv_set(f, q, h);
            h = fx_add(c, fx_mul(z, h));
        }
        fxv_set(f, 0, h);
        return;
    }
    const uint32_t log_parts = log_n - 3 < 3 ? log_n - 3 : 3;
    const size_t m = (size_t)1 << (log_n - log_parts);
    fx power = z;
    for (uint32_t i = 0; i < log_parts; i++) power = fx_sqr(power);
    combine(f, f, m, log_parts, z, 0, m);
    divide(f, log_n - log_parts, power);
    divide_back(f, log_n, log_parts, z, 0, m);
}
