/* BabyBear and its degree-5 extension, scalar arithmetic.
 *
 * p = 15 * 2^27 + 1. Elements are kept in Montgomery form (x * 2^32 mod p), always reduced to
 * [0, p); "canonical" in this code base means the plain residue, as it stands in proofs and traces.
 * The vector versions in vec_*.h give the same results.
 */
#ifndef APROVER_FIELD_H
#define APROVER_FIELD_H

#include <stddef.h>
#include <stdint.h>

#define FP_P 2013265921u
#define FP_PINV 2281701377u       /* p^-1 mod 2^32 */
#define FP_ONE 268435454u         /* 2^32 mod p */
#define FP_R2 1172168163u         /* 2^64 mod p */
#define FP_TWO_ADICITY 27
#define FP_GENERATOR 31u          /* canonical */
#define FX_DEGREE 5

typedef uint32_t fp;

static inline fp fp_add(fp a, fp b) {
    uint32_t t = a + b;
    return t >= FP_P ? t - FP_P : t;
}

static inline fp fp_sub(fp a, fp b) {
    uint32_t t = a - b;
    return a < b ? t + FP_P : t;
}

static inline fp fp_neg(fp a) { return a == 0 ? 0 : FP_P - a; }

/* x < p * 2^32 -> x / 2^32 mod p, reduced. */
static inline fp fp_reduce(uint64_t x) {
    uint32_t q = (uint32_t)x * FP_PINV;
    uint32_t hi = (uint32_t)(x >> 32);
    uint32_t m = (uint32_t)(((uint64_t)q * FP_P) >> 32);
    return hi < m ? hi - m + FP_P : hi - m;
}

static inline fp fp_mul(fp a, fp b) { return fp_reduce((uint64_t)a * b); }
static inline fp fp_sqr(fp a) { return fp_mul(a, a); }
static inline fp fp_from_u32(uint32_t canonical) { return fp_mul(canonical, FP_R2); }
static inline uint32_t fp_to_u32(fp a) { return fp_reduce(a); }

static inline fp fp_pow(fp a, uint64_t e) {
    fp r = FP_ONE;
    for (; e != 0; e >>= 1) {
        if (e & 1) r = fp_mul(r, a);
        a = fp_sqr(a);
    }
    return r;
}

/* The inverse of 0 is 0; callers that must not meet 0 check for it. */
static inline fp fp_inv(fp a) { return fp_pow(a, FP_P - 2); }

/* w(m): the root of unity of order 2^m that docs/protocol.md section 1 names. */
static inline fp fp_root(unsigned m) {
    fp r = fp_pow(fp_from_u32(FP_GENERATOR), (FP_P - 1) >> FP_TWO_ADICITY);
    for (unsigned i = m; i < FP_TWO_ADICITY; i++) r = fp_sqr(r);
    return r;
}

/* An element of Fp[X]/(X^5 - 2), lowest power first. */
typedef struct {
    fp c[FX_DEGREE];
} fx;

static inline fx fx_zero(void) { return (fx){{0, 0, 0, 0, 0}}; }
static inline fx fx_one(void) { return (fx){{FP_ONE, 0, 0, 0, 0}}; }
static inline fx fx_from_fp(fp a) { return (fx){{a, 0, 0, 0, 0}}; }

static inline fx fx_add(fx a, fx b) {
    for (int i = 0; i < FX_DEGREE; i++) a.c[i] = fp_add(a.c[i], b.c[i]);
    return a;
}

static inline fx fx_sub(fx a, fx b) {
    for (int i = 0; i < FX_DEGREE; i++) a.c[i] = fp_sub(a.c[i], b.c[i]);
    return a;
}

static inline fx fx_scale(fx a, fp s) {
    for (int i = 0; i < FX_DEGREE; i++) a.c[i] = fp_mul(a.c[i], s);
    return a;
}

static inline int fx_eq(fx a, fx b) {
    uint32_t d = 0;
    for (int i = 0; i < FX_DEGREE; i++) d |= a.c[i] ^ b.c[i];
    return d == 0;
}

static inline int fx_is_zero(fx a) { return fx_eq(a, fx_zero()); }

/* Whether the element lies in the base field. */
static inline int fx_is_base(fx a) { return (a.c[1] | a.c[2] | a.c[3] | a.c[4]) == 0; }

static inline fx fx_mul(fx a, fx b) {
    fx r;
    for (int i = 0; i < FX_DEGREE; i++) {
        fp low = 0, high = 0;
        for (int j = 0; j < FX_DEGREE; j++) {
            fp t = fp_mul(a.c[j], b.c[(i - j + FX_DEGREE) % FX_DEGREE]);
            if (j <= i) low = fp_add(low, t);
            else high = fp_add(high, t);
        }
        r.c[i] = fp_add(low, fp_add(high, high));
    }
    return r;
}

static inline fx fx_pow(fx a, uint64_t e) {
    fx r = fx_one();
    for (; e != 0; e >>= 1) {
        if (e & 1) r = fx_mul(r, a);
        a = fx_mul(a, a);
    }
    return r;
}

/* The Frobenius map x -> x^p: X^p = X * 2^((p-1)/5), so coefficient i is scaled by 2^(i(p-1)/5). */
static inline fx fx_frobenius(fx a) {
    const fp zeta = fp_pow(fp_from_u32(2), (FP_P - 1) / FX_DEGREE);
    fp s = FP_ONE;
    for (int i = 0; i < FX_DEGREE; i++) {
        a.c[i] = fp_mul(a.c[i], s);
        s = fp_mul(s, zeta);
    }
    return a;
}

/* a^-1 = (product of the four other conjugates) / norm; the norm lies in the base field.
 * The inverse of 0 is 0. */
static inline fx fx_inv(fx a) {
    fx f1 = fx_frobenius(a);
    fx f2 = fx_frobenius(f1);
    fx f12 = fx_mul(f1, f2);
    fx f34 = fx_frobenius(fx_frobenius(f12));
    fx others = fx_mul(f12, f34);
    fx norm = fx_mul(a, others);
    return fx_scale(others, fp_inv(norm.c[0]));
}

#endif
