/* Number-theoretic transforms and arithmetic on vectors and polynomials.
 *
 * Values and coefficients are in Montgomery form. Values stand in natural order: value i belongs to shift * w(log_n)^i.
 * Coefficients stand in bit-reversed order: position q holds the coefficient of x^bitrev(q); so no transform
 * permutes memory. A vector over the challenge field is five base vectors, `stride` words apart (apr_fxv).
 * Sizes are 2^log_n with log_n >= 0 unless said; vectors need no alignment beyond 4 bytes but are fast at 64.
 */
#ifndef APROVER_POLY_H
#define APROVER_POLY_H

#include "dispatch.h"
#include "field.h"

/* Twiddle factors for transforms of up to 2^log_max values, in memory that the caller gives; never written again. */
typedef struct {
    const uint32_t *words;
    uint32_t log_max;
} apr_twiddles;

size_t apr_twiddles_bytes(uint32_t log_max);
void apr_twiddles_init(apr_twiddles *twiddles, uint32_t log_max, void *memory);

#define APR_SLICE_LOG 16 /* words of a slice of a transform: they stay in the second cache */

typedef struct {
    uint32_t *values;
    size_t stride;
} apr_fxv;

typedef struct {
    /* canonical -> Montgomery in place; returns the index of the first value >= p, or n if there is none */
    size_t (*from_canonical)(uint32_t *x, size_t n);
    /* Montgomery -> canonical */
    void (*to_canonical)(uint32_t *out, const uint32_t *x, size_t n);

    /* values on w^i -> coefficients, in place; includes the factor 1/n */
    void (*interpolate)(const apr_twiddles *tw, uint32_t *x, uint32_t log_n);
    /* coefficients -> values on shift * w^i; out != coefficients */
    void (*evaluate)(const apr_twiddles *tw, uint32_t *out, const uint32_t *coefficients, uint32_t log_n, fp shift);
    /* The same for `columns` columns that begin `stride` (out_stride) words apart; what depends on the shift alone is made
     * once, and transforms of less than 64 values fill vectors only together. interpolate_columns takes values on
     * w^i / inverse_shift: it gives what interpolate and then scale_powers by inverse_shift give; out may be values. */
    void (*interpolate_columns)(const apr_twiddles *tw, uint32_t *out, size_t out_stride, const uint32_t *values, size_t stride,
                                size_t columns, uint32_t log_n, fp inverse_shift);
    void (*evaluate_columns)(const apr_twiddles *tw, uint32_t *out, size_t out_stride, const uint32_t *coefficients,
                             size_t stride, size_t columns, uint32_t log_n, fp shift);
    /* The same for one column of more than 2^APR_SLICE_LOG values, shared out: step 0 and then step 1 in 2^(log_n - APR_SLICE_LOG)
     * slices each. The slices of a step are independent, and step 1 begins when all of step 0 are done. */
    void (*interpolate_slice)(const apr_twiddles *tw, uint32_t *out, const uint32_t *values, uint32_t log_n, fp inverse_shift,
                              int step, size_t slice);
    void (*evaluate_slice)(const apr_twiddles *tw, uint32_t *out, const uint32_t *coefficients, uint32_t log_n, fp shift, int step,
                           size_t slice);
    /* x[q] *= s^bitrev(q): turns coefficients of f(X) into those of f(sX) */
    void (*scale_powers)(uint32_t *x, uint32_t log_n, fp s);

    /* out[i] = a[i] * s,  y[i] += a[i] * s */
    void (*scale)(uint32_t *out, const uint32_t *a, fp s, size_t n);
    void (*add_scaled)(uint32_t *y, const uint32_t *a, fp s, size_t n);
    /* x[i] = 1 / x[i]; all must be nonzero. scratch: n words */
    void (*invert)(uint32_t *x, size_t n, uint32_t *scratch);

    /* out[q] = z^bitrev(q), an apr_fxv of 2^log_n */
    void (*powers)(apr_fxv out, uint32_t log_n, fx z);
    /* sum of column[i] * table[i] */
    fx (*dot)(const uint32_t *column, apr_fxv table, size_t n);
    /* out[c] += sum of x[c * stride + i] * table[i] for c < columns; a long table is read once, not once a column */
    void (*dot_columns)(fx *out, const uint32_t *x, size_t stride, size_t columns, apr_fxv table, size_t n);
    /* acc[i] += sum over c < columns of coefficients[c] * x[c * stride + i]   (base columns, challenge-field coefficients) */
    void (*accumulate)(apr_fxv acc, const uint32_t *x, size_t stride, size_t columns, const fx *coefficients, size_t n);
    /* acc[i] += sum over c < columns and s < parts of coefficients[c * parts + s] * x[c * stride + s * step + i]; at most 8 parts, and n is
     * a multiple of 8 */
    void (*accumulate_parts)(apr_fxv acc, const uint32_t *x, size_t stride, size_t columns, size_t step, size_t parts,
                             const fx *coefficients, size_t n);
    /* acc[i] += c * x[i] for a challenge-field vector x */
    void (*accumulate_fx)(apr_fxv acc, apr_fxv x, fx c, size_t n);
    /* coefficients of f -> those of (f(X) - f(z)) / (X - z), in place */
    void (*divide)(apr_fxv f, uint32_t log_n, fx z);
    /* The same of long ones, shared out: fold f by z and N = 2^log_parts in its own memory, divide the 2^(log_n - log_parts) results by
     * z^N, and then this, for some of the results' places (multiples of 8). */
    void (*divide_back)(apr_fxv f, uint32_t log_n, uint32_t log_parts, fx z, size_t first, size_t count);
    /* coefficients of f -> those of sum over e < N of beta^e f_e, where f(X) = sum X^e f_e(X^N) and N = 2^log_arity: of the results some
     * places (multiples of 8) or all. log_arity is 1 to 3, log_n >= 3; out may be f */
    void (*fold)(apr_fxv out, apr_fxv f, uint32_t log_n, uint32_t log_arity, fx beta, size_t first, size_t count);
} apr_poly_kernels;

const apr_poly_kernels *apr_poly_kernels_for(enum apr_path path);

/* bit reversal of the low `bits` bits */
static inline uint32_t apr_bitrev(uint32_t x, unsigned bits) {
    uint32_t r = 0;
    for (unsigned i = 0; i < bits; i++) r |= ((x >> i) & 1u) << (bits - 1 - i);
    return r;
}

#endif
