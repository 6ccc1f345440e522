/* Eight elements of the challenge field, one a lane. Include after vec_*.h. */
#ifndef APROVER_VEC_FX_H
#define APROVER_VEC_FX_H

typedef struct {
    v8 c[FX_DEGREE];
} vx;

static inline vx vx_set1(fx a) {
    vx r;
    for (int i = 0; i < FX_DEGREE; i++) r.c[i] = v8_set1(a.c[i]);
    return r;
}
static inline vx vx_add(vx a, vx b) {
    for (int i = 0; i < FX_DEGREE; i++) a.c[i] = v8_add(a.c[i], b.c[i]);
    return a;
}
static inline vx vx_sub(vx a, vx b) {
    for (int i = 0; i < FX_DEGREE; i++) a.c[i] = v8_sub(a.c[i], b.c[i]);
    return a;
}
static inline vx vx_add_base(vx a, v8 b) {
    a.c[0] = v8_add(a.c[0], b);
    return a;
}
static inline vx vx_scale(vx a, v8 s) {
    for (int i = 0; i < FX_DEGREE; i++) a.c[i] = v8_mul(a.c[i], s);
    return a;
}

/* As fx_mul, with the same bounds on the sums. */
static inline vx vx_mul(vx a, vx b) {
    v8_split x[FX_DEGREE], y[FX_DEGREE], doubled[FX_DEGREE];
    vx r;
    for (int i = 0; i < FX_DEGREE; i++) {
        x[i] = v8_split_of(a.c[i]);
        y[i] = v8_split_of(b.c[i]);
        doubled[i] = v8_split_of(v8_add(b.c[i], b.c[i]));
    }
    for (int i = 0; i < FX_DEGREE; i++) {
        v8_wide s = v8_wide_mul(x[0], y[i]);
        for (int j = 1; j < FX_DEGREE; j++) {
            if (j == 4) s = v8_wide_trim(s);
            s = v8_wide_add(s, v8_wide_mul(x[j], j <= i ? y[i - j] : doubled[i - j + FX_DEGREE]));
        }
        r.c[i] = v8_wide_reduce(v8_wide_trim(s));
    }
    return r;
}

/* a^(p-2) = a^(15 * 2^27 - 1): 0 for 0. */
static inline v8 v8_inv(v8 a) {
    /* p - 2 = 14 * 2^27 + (2^27 - 1): the chain builds a^(2^27 - 1) and a^14, whose exponents it then joins. */
    v8 a2 = v8_mul(a, a), a3 = v8_mul(a2, a), a6 = v8_mul(a3, a3), a7 = v8_mul(a6, a), a14 = v8_mul(a7, a7);
    v8 run = a7, power = a14; /* run = a^(2^i - 1), power = a^(14 * 2^i) */
    int i = 3;
    for (int n = 0; n < 3; n++) power = v8_mul(power, power);
    for (; i < 27; i++) {
        run = v8_mul(v8_mul(run, run), a);
        power = v8_mul(power, power);
    }
    return v8_mul(run, power);
}

/* As fx_inv: the product of the other conjugates over the norm. */
static inline vx vx_frobenius(vx a, unsigned times) {
    static const fp power[FX_DEGREE] = FX_FROBENIUS;
    for (unsigned i = 1; i < FX_DEGREE; i++) a.c[i] = v8_mul(a.c[i], v8_set1(power[i * times % FX_DEGREE]));
    return a;
}
static inline vx vx_inv(vx a) {
    vx f1 = vx_frobenius(a, 1);
    vx f12 = vx_mul(f1, vx_frobenius(f1, 1));
    vx others = vx_mul(f12, vx_frobenius(f12, 2));
    vx norm = vx_mul(a, others);
    return vx_scale(others, v8_inv(norm.c[0]));
}

static inline void vx_store(fx out[8], vx a) {
    uint32_t words[FX_DEGREE][8];
    for (int e = 0; e < FX_DEGREE; e++) v8_storeu(words[e], a.c[e]);
    for (int i = 0; i < 8; i++)
        for (int e = 0; e < FX_DEGREE; e++) out[i].c[e] = words[e][i];
}

#endif
