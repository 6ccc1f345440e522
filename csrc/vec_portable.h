/* Eight 32-bit lanes in plain C: the fallback, and the definition of what vec_avx2.h must do.
 *
 * A kernel is written once, in a *_impl.h over these names, and compiled twice: by *_portable.c and by *_avx2.c.
 * Field operations take and give reduced Montgomery elements (field.h); the others work on raw words.
 */
#ifndef APROVER_VEC_PORTABLE_H
#define APROVER_VEC_PORTABLE_H

#include <string.h>

#include "field.h"

#define VEC_NAME(name) name##_portable
#define VEC_END

typedef struct {
    uint32_t w[8];
} v8;
/* A vector made ready for v8_wide_mul. */
typedef struct {
    v8 v;
} v8_split;
/* Eight 64-bit words: products, and sums of products. */
typedef struct {
    uint64_t w[8];
} v8_wide;

#define V8_LANES(expression)                              \
    do {                                                  \
        v8 r_;                                            \
        for (int i = 0; i < 8; i++) r_.w[i] = (expression); \
        return r_;                                        \
    } while (0)

static inline v8 v8_loadu(const uint32_t *p) { V8_LANES(p[i]); }
static inline void v8_storeu(uint32_t *p, v8 a) {
    for (int i = 0; i < 8; i++) p[i] = a.w[i];
}
static inline v8 v8_load_bytes(const uint8_t *p) {
    v8 r;
    memcpy(r.w, p, sizeof r.w);
    return r;
}
static inline v8 v8_set1(uint32_t x) { V8_LANES(((void)i, x)); }
/* Four words from each of two places; two words from each of four. */
static inline v8 v8_load_halves(const uint32_t *p, const uint32_t *q) { V8_LANES(i < 4 ? p[i] : q[i - 4]); }
static inline void v8_store_halves(uint32_t *p, uint32_t *q, v8 a) {
    for (int i = 0; i < 8; i++) (i < 4 ? p : q - 4)[i] = a.w[i];
}
static inline v8 v8_load_pairs(const uint32_t *p, const uint32_t *q, const uint32_t *r, const uint32_t *s) {
    return (v8){{p[0], p[1], q[0], q[1], r[0], r[1], s[0], s[1]}};
}

/* the field */
static inline v8 v8_add(v8 a, v8 b) { V8_LANES(fp_add(a.w[i], b.w[i])); }
static inline v8 v8_sub(v8 a, v8 b) { V8_LANES(fp_sub(a.w[i], b.w[i])); }
static inline v8 v8_mul(v8 a, v8 b) { V8_LANES(fp_mul(a.w[i], b.w[i])); }
/* Reads a ninth word. */
static inline v8_split v8_split_load(const uint32_t *p) { return (v8_split){v8_loadu(p)}; }
static inline v8_split v8_split_of(v8 a) { return (v8_split){a}; }
static inline v8_split v8_split_set1(uint32_t x) { return (v8_split){v8_set1(x)}; }
static inline v8_wide v8_wide_zero(void) { return (v8_wide){{0}}; }
static inline v8_wide v8_wide_mul(v8_split a, v8_split b) {
    v8_wide r;
    for (int i = 0; i < 8; i++) r.w[i] = (uint64_t)a.v.w[i] * b.v.w[i];
    return r;
}
static inline v8_wide v8_wide_add(v8_wide a, v8_wide b) {
    for (int i = 0; i < 8; i++) a.w[i] += b.w[i];
    return a;
}
/* fp_trim and fp_reduce in every lane. */
static inline v8_wide v8_wide_trim(v8_wide a) {
    for (int i = 0; i < 8; i++) a.w[i] = fp_trim(a.w[i]);
    return a;
}
static inline v8 v8_wide_reduce(v8_wide a) { V8_LANES(fp_reduce(a.w[i])); }
/* Horizontal: whether all lanes are below p; the sum of the eight, trimmed, for values below p * 2^32. */
static inline int v8_all_reduced(v8 a) {
    int r = 1;
    for (int i = 0; i < 8; i++) r &= a.w[i] < FP_P;
    return r;
}
static inline uint64_t v8_wide_total(v8_wide a) {
    uint64_t total = 0;
    for (int i = 0; i < 8; i++) total = fp_trim(total + a.w[i]);
    return total;
}
/* (a + r, a - r), where r is x reduced */
static inline void v8_wide_butterfly(v8 *a, v8 *b, v8_wide x) {
    v8 r = v8_wide_reduce(x);
    *b = v8_sub(*a, r);
    *a = v8_add(*a, r);
}
/* (a, b) -> (a + b, a - b);  (a + b t, a - b t);  (a + b, (a - b) t) */
static inline void v8_butterfly(v8 *a, v8 *b) {
    v8 t = *a;
    *a = v8_add(t, *b);
    *b = v8_sub(t, *b);
}
static inline void v8_butterfly_evaluate(v8 *a, v8 *b, v8_split t) {
    *b = v8_mul(*b, t.v);
    v8_butterfly(a, b);
}
static inline void v8_butterfly_interpolate(v8 *a, v8 *b, v8_split t) {
    v8_butterfly(a, b);
    *b = v8_mul(*b, t.v);
}
/* Out of Montgomery form: canonical words. */
static inline v8 v8_canonical(v8 a) { V8_LANES(fp_to_u32(a.w[i])); }

/* places within the vector: in each half lane i + 1 mod 4, or i + 2 mod 4, in the place of i; the halves exchanged; lane 0 */
static inline v8 v8_next_of_four(v8 a) { V8_LANES(a.w[(i & 4) | ((i + 1) & 3)]); }
static inline v8 v8_swap_pairs(v8 a) { V8_LANES(a.w[i ^ 2]); }
static inline v8 v8_swap_halves(v8 a) { V8_LANES(a.w[i ^ 4]); }
static inline uint32_t v8_first(v8 a) { return a.w[0]; }
static inline v8 v8_with_first(v8 a, uint32_t x) {
    a.w[0] = x;
    return a;
}

/* raw words */
static inline v8 v8_add32(v8 a, v8 b) { V8_LANES(a.w[i] + b.w[i]); }
static inline v8 v8_xor(v8 a, v8 b) { V8_LANES(a.w[i] ^ b.w[i]); }
static inline v8 v8_or(v8 a, v8 b) { V8_LANES(a.w[i] | b.w[i]); }
static inline v8 v8_rotr16(v8 a) { V8_LANES(a.w[i] >> 16 | a.w[i] << 16); }
static inline v8 v8_rotr12(v8 a) { V8_LANES(a.w[i] >> 12 | a.w[i] << 20); }
static inline v8 v8_rotr8(v8 a) { V8_LANES(a.w[i] >> 8 | a.w[i] << 24); }
static inline v8 v8_rotr7(v8 a) { V8_LANES(a.w[i] >> 7 | a.w[i] << 25); }

/* In each half of the four: lane j of r[i] <-> lane i of r[j]. */
static inline void v8_transpose_halves(v8 r[4]) {
    for (int h = 0; h < 8; h += 4)
        for (int i = 0; i < 4; i++)
            for (int j = 0; j < i; j++) {
                uint32_t t = r[i].w[h + j];
                r[i].w[h + j] = r[j].w[h + i];
                r[j].w[h + i] = t;
            }
}

/* r[i].w[j] <-> r[j].w[i] */
static inline void v8_transpose(v8 r[8]) {
    for (int i = 0; i < 8; i++)
        for (int j = 0; j < i; j++) {
            uint32_t t = r[i].w[j];
            r[i].w[j] = r[j].w[i];
            r[j].w[i] = t;
        }
}

#endif
