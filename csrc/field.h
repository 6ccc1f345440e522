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

#define FX_DEGREE 5

/* Tests put a toy field in place of BabyBear (any prime p = 1 mod 5, p < 2^31, of which 2 is not a fifth power). */
#ifndef FP_P
#define FP_P 2013265921u
#define FP_PINV 2281701377u       /* p^-1 mod 2^32 */
#define FP_ONE 268435454u         /* 2^32 mod p */
#define FP_R2 1172168163u         /* 2^64 mod p */
#define FP_TWO_ADICITY 27
#define FP_GENERATOR 31u          /* canonical */
/* 2^(i(p-1)/5) for i < 5, in Montgomery form */
#define FX_FROBENIUS {268435454u, 1079828539u, 847078768u, 1597816133u, 233372948u}
#endif

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

/* a^(2^count) */
static inline fp fp_sqr_times(fp a, unsigned count) {
    while (count-- != 0) a = fp_sqr(a);
    return a;
}

/* The inverse of 0 is 0; callers that must not meet 0 check for it. Time depends on a: nothing here is secret.
 *
 * The binary Euclidean algorithm with its halvings put off (Kaliski 1995): a * u = x * 2^k and a * v = y * 2^k modulo p hold
 * throughout, x and y are odd, and |u| y + |v| x = p, so that both stay below 2^31. At the end x = y = 1. As a is the
 * Montgomery form of its element, the answer is v * 2^(64 - k); and 0 < k < 64. */
static inline fp fp_inv(fp a) {
    if (a == 0) return 0;
    unsigned k = (unsigned)__builtin_ctz(a);
    uint32_t x = FP_P, y = a >> k;
    int64_t u = 0, v = 1;
    while (x != y) {
        const int less = x < y;
        const uint32_t difference = less ? y - x : x - y;
        const int64_t w = less ? v - u : u - v, kept = less ? u : v;
        const unsigned zeros = (unsigned)__builtin_ctz(difference);
        y = less ? x : y;
        x = difference >> zeros;
        u = w;
        v = kept * ((int64_t)1 << zeros);
        k += zeros;
    }
    return fp_mul((uint32_t)(v < 0 ? v + FP_P : v), fp_from_u32((uint32_t)(((uint64_t)1 << (64 - k)) % FP_P)));
}

/* w(m), the root of unity of order 2^m that docs/protocol.md section 1 names, and its inverse, for m <= FP_TWO_ADICITY. From tables: a
 * proof of a few rows would spend a tenth of its time on computing the same ones. */
extern const fp apr_roots[FP_TWO_ADICITY + 1], apr_inverse_roots[FP_TWO_ADICITY + 1];
static inline fp fp_root(unsigned m) { return apr_roots[m]; }
static inline fp fp_root_inverse(unsigned m) { return apr_inverse_roots[m]; }

/* 2^-m for m <= FP_TWO_ADICITY: 2^m * (p-1)/2^m = -1. */
static inline fp fp_power_of_half(unsigned m) { return fp_from_u32(FP_P - ((FP_P - 1) >> m)); }

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

/* Takes a sum of products into the range of fp_reduce: x < 2 * p * 2^32 -> x or x - p * 2^32. */
static inline uint64_t fp_trim(uint64_t x) {
    const uint64_t top = (uint64_t)FP_P << 32;
    return x >= top ? x - top : x;
}

/* The product modulo X^5 - 2: coefficient i is the sum over j of a_j b_{i-j}, where b_{-k} stands for 2 b_{5-k}.
 * With p < 0.469 * 2^32, four products are below 1.88 * p * 2^32 < 2^64; trimmed and with the fifth, below 1.47 * p * 2^32. */
static inline fx fx_mul(fx a, fx b) {
    fp d[FX_DEGREE];
    fx r;
    for (int i = 0; i < FX_DEGREE; i++) d[i] = fp_add(b.c[i], b.c[i]);
    for (int i = 0; i < FX_DEGREE; i++) {
        uint64_t s = 0;
        for (int j = 0; j < FX_DEGREE; j++) {
            if (j == 4) s = fp_trim(s);
            s += (uint64_t)a.c[j] * (j <= i ? b.c[i - j] : d[i - j + FX_DEGREE]);
        }
        r.c[i] = fp_reduce(fp_trim(s));
    }
    return r;
}

/* The same with equal factors: three products for each coefficient, below 1.41 * p * 2^32. */
static inline fx fx_sqr(fx a) {
    const fp *c = a.c;
    fp d[FX_DEGREE], q[FX_DEGREE];
    for (int i = 0; i < FX_DEGREE; i++) {
        d[i] = fp_add(c[i], c[i]);
        q[i] = fp_add(d[i], d[i]);
    }
    const uint64_t s[FX_DEGREE] = {
        (uint64_t)c[0] * c[0] + (uint64_t)q[1] * c[4] + (uint64_t)q[2] * c[3],
        (uint64_t)d[0] * c[1] + (uint64_t)q[2] * c[4] + (uint64_t)d[3] * c[3],
        (uint64_t)d[0] * c[2] + (uint64_t)c[1] * c[1] + (uint64_t)q[3] * c[4],
        (uint64_t)d[0] * c[3] + (uint64_t)d[1] * c[2] + (uint64_t)d[4] * c[4],
        (uint64_t)d[0] * c[4] + (uint64_t)d[1] * c[3] + (uint64_t)c[2] * c[2],
    };
    fx r;
    for (int i = 0; i < FX_DEGREE; i++) r.c[i] = fp_reduce(fp_trim(s[i]));
    return r;
}

static inline fx fx_pow(fx a, uint64_t e) {
    fx r = fx_one();
    for (; e != 0; e >>= 1) {
        if (e & 1) r = fx_mul(r, a);
        a = fx_sqr(a);
    }
    return r;
}

/* The Frobenius map applied `times` (< 5) times: X^p = X * 2^((p-1)/5), so that coefficient i is scaled by
 * 2^(i * times * (p-1)/5), which has period 5 in i * times. */
static inline fx fx_frobenius(fx a, unsigned times) {
    static const fp power[FX_DEGREE] = FX_FROBENIUS;
    for (unsigned i = 1; i < FX_DEGREE; i++) a.c[i] = fp_mul(a.c[i], power[i * times % FX_DEGREE]);
    return a;
}

/* a^-1 = (product of the four other conjugates) / norm; the norm lies in the base field.
 * The inverse of 0 is 0. */
static inline fx fx_inv(fx a) {
    fx f12 = fx_mul(fx_frobenius(a, 1), fx_frobenius(a, 2));
    fx others = fx_mul(f12, fx_frobenius(f12, 2));
    fp high = 0;
    for (int j = 1; j < FX_DEGREE; j++) high = fp_add(high, fp_mul(a.c[j], others.c[FX_DEGREE - j]));
    fp norm = fp_add(fp_mul(a.c[0], others.c[0]), fp_add(high, high));
    return fx_scale(others, fp_inv(norm));
}

#endif
