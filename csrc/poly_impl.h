/* The polynomial kernels, written once over the vectors of vec_*.h. */
#include "poly_internal.h"

static inline fx fxv_get(apr_fxv v, size_t i) {
    fx r;
    for (int j = 0; j < FX_DEGREE; j++) r.c[j] = v.values[(size_t)j * v.stride + i];
    return r;
}

static inline void fxv_set(apr_fxv v, size_t i, fx a) {
    for (int j = 0; j < FX_DEGREE; j++) v.values[(size_t)j * v.stride + i] = a.c[j];
}

static int stopped(apr_poll poll, void *context) { return poll != NULL && poll(context) != 0; }

#include "ntt_impl.h"

static size_t from_canonical(uint32_t *x, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (x[i] >= FP_P) return i;
        x[i] = fp_from_u32(x[i]);
    }
    return n;
}

static void to_canonical(uint32_t *out, const uint32_t *x, size_t n) {
    for (size_t i = 0; i < n; i++) out[i] = fp_to_u32(x[i]);
}

static void scale_powers(uint32_t *x, uint32_t log_n, fp s) {
    fp w = FP_ONE;
    for (uint32_t e = 0; e < (uint32_t)1 << log_n; e++, w = fp_mul(w, s)) {
        uint32_t q = apr_bitrev(e, log_n);
        x[q] = fp_mul(x[q], w);
    }
}

static void scale(uint32_t *out, const uint32_t *a, fp s, size_t n) {
    for (size_t i = 0; i < n; i++) out[i] = fp_mul(a[i], s);
}

static void add_scaled(uint32_t *y, const uint32_t *a, fp s, size_t n) {
    for (size_t i = 0; i < n; i++) y[i] = fp_add(y[i], fp_mul(a[i], s));
}

static void invert(uint32_t *x, size_t n, uint32_t *scratch) {
    fp r = FP_ONE;
    for (size_t i = 0; i < n; i++) {
        scratch[i] = r;
        r = fp_mul(r, x[i]);
    }
    r = fp_inv(r);
    for (size_t i = n; i-- > 0;) {
        fp t = fp_mul(r, scratch[i]);
        r = fp_mul(r, x[i]);
        x[i] = t;
    }
}

static int powers(apr_fxv out, uint32_t log_n, fx z, apr_poll poll, void *context) {
    if (stopped(poll, context)) return 1;
    fx w = fx_one();
    for (uint32_t e = 0; e < (uint32_t)1 << log_n; e++, w = fx_mul(w, z)) fxv_set(out, apr_bitrev(e, log_n), w);
    return 0;
}

static fx dot(const uint32_t *column, apr_fxv table, size_t n) {
    fx r = fx_zero();
    for (size_t i = 0; i < n; i++) r = fx_add(r, fx_scale(fxv_get(table, i), column[i]));
    return r;
}

static void dot_columns(fx *out, const uint32_t *x, size_t stride, size_t columns, apr_fxv table, size_t n) {
    for (size_t c = 0; c < columns; c++) out[c] = fx_add(out[c], dot(x + c * stride, table, n));
}

static void accumulate(apr_fxv acc, const uint32_t *x, size_t stride, size_t columns, const fx *coefficients, size_t n) {
    for (size_t i = 0; i < n; i++) {
        fx r = fxv_get(acc, i);
        for (size_t c = 0; c < columns; c++) r = fx_add(r, fx_scale(coefficients[c], x[c * stride + i]));
        fxv_set(acc, i, r);
    }
}

static void accumulate_fx(apr_fxv acc, apr_fxv x, fx c, size_t n) {
    for (size_t i = 0; i < n; i++) fxv_set(acc, i, fx_add(fxv_get(acc, i), fx_mul(c, fxv_get(x, i))));
}

static int divide(apr_fxv f, uint32_t log_n, fx z, apr_poll poll, void *context) {
    if (stopped(poll, context)) return 1;
    fx h = fx_zero();
    for (uint32_t e = (uint32_t)1 << log_n; e-- > 0;) {
        uint32_t q = apr_bitrev(e, log_n);
        fx t = fxv_get(f, q);
        fxv_set(f, q, h);
        h = fx_add(t, fx_mul(z, h));
    }
    return 0;
}

static int fold(apr_fxv out, apr_fxv f, uint32_t log_n, fx beta, apr_poll poll, void *context) {
    if (stopped(poll, context)) return 1;
    size_t m = (size_t)1 << (log_n - 3);
    for (size_t i = 0; i < m; i++) {
        fx r = fx_zero();
        for (uint32_t e = 8; e-- > 0;) r = fx_add(fx_mul(r, beta), fxv_get(f, apr_bitrev(e, 3) * m + i));
        fxv_set(out, i, r);
    }
    return 0;
}

const apr_poly_kernels VEC_NAME(apr_poly_kernels) = {
    .from_canonical = from_canonical,
    .to_canonical = to_canonical,
    .interpolate = interpolate,
    .evaluate = evaluate,
    .interpolate_columns = interpolate_columns,
    .evaluate_columns = evaluate_columns,
    .scale_powers = scale_powers,
    .scale = scale,
    .add_scaled = add_scaled,
    .invert = invert,
    .powers = powers,
    .dot = dot,
    .dot_columns = dot_columns,
    .accumulate = accumulate,
    .accumulate_fx = accumulate_fx,
    .divide = divide,
    .fold = fold,
};
