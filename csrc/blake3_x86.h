/* BLAKE3 on x86-64: eight messages in lanes of 256 bits, and one message in rows of 128. Compiled once with AVX2, and once more with the
 * rotations and the 32 registers of AVX-512, on vectors of the same length; the file that includes it includes vec_avx2.h first. */
#ifndef APROVER_BLAKE3_X86_H
#define APROVER_BLAKE3_X86_H

#include "blake3_internal.h"

typedef v8 words;
#define WORDS_LANES 8
#define HASH_SINGLES 1

APR_INLINE words words_get(const v8 *p, int g) { return p[g]; }
APR_INLINE void words_put(v8 *p, int g, words w) { p[g] = w; }
APR_INLINE words words_set1(uint32_t x) { return v8_set1(x); }
APR_INLINE words words_add(words a, words b) { return v8_add32(a, b); }
APR_INLINE words words_xor(words a, words b) { return v8_xor(a, b); }
#if VEC_HAS_AVX512
APR_INLINE words words_rotr16(words a) { return _mm256_ror_epi32(a, 16); }
APR_INLINE words words_rotr12(words a) { return _mm256_ror_epi32(a, 12); }
APR_INLINE words words_rotr8(words a) { return _mm256_ror_epi32(a, 8); }
APR_INLINE words words_rotr7(words a) { return _mm256_ror_epi32(a, 7); }
#define WORDS_SPILL(w) ((void)0) /* there are 32 registers */
#else
APR_INLINE words words_rotr16(words a) { return v8_rotr16(a); }
APR_INLINE words words_rotr12(words a) { return v8_rotr12(a); }
APR_INLINE words words_rotr8(words a) { return v8_rotr8(a); }
APR_INLINE words words_rotr7(words a) { return v8_rotr7(a); }
#define WORDS_SPILL(w) __asm__("" : "+m"(w))
#endif
/* In assembly, since compilers copy the message words to the stack instead of adding them from where they are. */
APR_INLINE words words_add_at(words a, const v8 *p, int g) {
    words sum;
    __asm__("vpaddd %2, %1, %0" : "=" VEC_REGISTER(sum) : VEC_REGISTER(a), "m"(p[g]));
    return sum;
}

APR_INLINE v8 quarters_load(const uint8_t *p, const uint8_t *q) {
    return _mm256_loadu2_m128i((const __m128i_u *)(const void *)q, (const __m128i_u *)(const void *)p);
}
APR_INLINE void quarters_store(uint8_t *p, uint8_t *q, v8 a) {
    _mm256_storeu2_m128i((__m128i_u *)(void *)q, (__m128i_u *)(void *)p, a);
}
APR_INLINE void quarters_transpose(v8 r[4]) {
    v8 a = _mm256_unpacklo_epi32(r[0], r[1]), b = _mm256_unpackhi_epi32(r[0], r[1]);
    v8 c = _mm256_unpacklo_epi32(r[2], r[3]), d = _mm256_unpackhi_epi32(r[2], r[3]);
    r[0] = _mm256_unpacklo_epi64(a, c);
    r[1] = _mm256_unpackhi_epi64(a, c);
    r[2] = _mm256_unpacklo_epi64(b, d);
    r[3] = _mm256_unpackhi_epi64(b, d);
}

#include "blake3_impl.h"

/* One compression with a row of the state in each register. In the diagonal half of a round the rows stand rotated
 * against each other: the second, which is ready last, stays in place and the others move. */
typedef __m128i v4;

#if VEC_HAS_AVX512
static inline v4 rotr16(v4 a) { return _mm_ror_epi32(a, 16); }
static inline v4 rotr12(v4 a) { return _mm_ror_epi32(a, 12); }
static inline v4 rotr8(v4 a) { return _mm_ror_epi32(a, 8); }
static inline v4 rotr7(v4 a) { return _mm_ror_epi32(a, 7); }
#else
static inline v4 rotr16(v4 a) {
    return _mm_shuffle_epi8(a, _mm_set_epi8(13, 12, 15, 14, 9, 8, 11, 10, 5, 4, 7, 6, 1, 0, 3, 2));
}
static inline v4 rotr12(v4 a) { return _mm_or_si128(_mm_srli_epi32(a, 12), _mm_slli_epi32(a, 20)); }
static inline v4 rotr8(v4 a) {
    return _mm_shuffle_epi8(a, _mm_set_epi8(12, 15, 14, 13, 8, 11, 10, 9, 4, 7, 6, 5, 0, 3, 2, 1));
}
static inline v4 rotr7(v4 a) { return _mm_or_si128(_mm_srli_epi32(a, 7), _mm_slli_epi32(a, 25)); }
#endif

/* b is ready last: the empty assembly keeps compilers from adding the message word to it instead of to a. */
#define ADD_TO_A(word)                          \
    do {                                        \
        a = _mm_add_epi32(a, word);             \
        __asm__("" : "+" VEC_REGISTER(a));                  \
        a = _mm_add_epi32(a, b);                \
    } while (0)
#define QUARTERS(x, y)                          \
    do {                                        \
        ADD_TO_A(x);                            \
        d = rotr16(_mm_xor_si128(d, a));        \
        c = _mm_add_epi32(c, d);                \
        b = rotr12(_mm_xor_si128(b, c));        \
        ADD_TO_A(y);                            \
        d = rotr8(_mm_xor_si128(d, a));         \
        c = _mm_add_epi32(c, d);                \
        b = rotr7(_mm_xor_si128(b, c));         \
    } while (0)

/* Lanes i, j of p and k, l of q. */
#define PICK(p, i, j, q, k, l) \
    _mm_castps_si128(_mm_shuffle_ps(_mm_castsi128_ps(p), _mm_castsi128_ps(q), (i) | (j) << 2 | (k) << 4 | (l) << 6))
#define ORDER(p, i, j, k, l) _mm_shuffle_epi32(p, (i) | (j) << 2 | (k) << 4 | (l) << 6)

/* The words of a round in the order of its schedule s: x = s0 s2 s4 s6, y = s1 s3 s5 s7 for the columns, z = s14 s8 s10 s12,
 * w = s15 s9 s11 s13 for the diagonals. The next round's schedule is s2 s6 s3 s10 s7 s0 s4 s13 s1 s11 s12 s5 s9 s14 s15 s8. */
#define NEXT_WORDS                                                         \
    do {                                                                   \
        v4 x_ = ORDER(PICK(x, 1, 2, y, 1, 3), 0, 2, 3, 1);                 \
        v4 y_ = ORDER(PICK(x, 3, 0, _mm_blend_epi32(z, w, 8), 2, 3), 0, 2, 1, 3); \
        v4 z_ = PICK(_mm_unpacklo_epi32(w, y), 0, 1, PICK(z, 3, 3, w, 1, 1), 0, 2); \
        v4 w_ = ORDER(PICK(z, 1, 0, _mm_unpackhi_epi32(w, y), 0, 1), 0, 2, 3, 1); \
        x = x_;                                                            \
        y = y_;                                                            \
        z = z_;                                                            \
        w = w_;                                                            \
    } while (0)

#define ROUND_ROWS                  \
    do {                            \
        QUARTERS(x, y);             \
        a = ORDER(a, 3, 0, 1, 2);   \
        c = ORDER(c, 1, 2, 3, 0);   \
        d = ORDER(d, 2, 3, 0, 1);   \
        QUARTERS(z, w);             \
        a = ORDER(a, 1, 2, 3, 0);   \
        c = ORDER(c, 3, 0, 1, 2);   \
        d = ORDER(d, 2, 3, 0, 1);   \
    } while (0)

APR_INLINE void rounds(v4 v[4], const void *block, uint32_t length, uint64_t counter, uint32_t flags) {
    const v4 *in = block;
    const v4 m0 = _mm_loadu_si128(in), m1 = _mm_loadu_si128(in + 1), m2 = _mm_loadu_si128(in + 2), m3 = _mm_loadu_si128(in + 3);
    v4 a = v[0], b = v[1], c = _mm_set_epi32((int)APR_B3_IV3, (int)APR_B3_IV2, (int)APR_B3_IV1, (int)APR_B3_IV0),
       d = _mm_set_epi32((int)flags, (int)length, (int)(counter >> 32), (int)counter);
    v4 x = PICK(m0, 0, 2, m1, 0, 2), y = PICK(m0, 1, 3, m1, 1, 3), z = ORDER(PICK(m2, 0, 2, m3, 0, 2), 3, 0, 1, 2),
       w = ORDER(PICK(m2, 1, 3, m3, 1, 3), 3, 0, 1, 2);
    ROUND_ROWS;
    for (int round = 1; round < 7; round++) {
        NEXT_WORDS;
        ROUND_ROWS;
    }
    v[0] = a;
    v[1] = b;
    v[2] = c;
    v[3] = d;
}

void VEC_NAME(apr_blake3_compress)(const void *cv, const void *block, uint32_t length, uint64_t counter, uint32_t flags, void *out) {
    v4 v[4] = {_mm_loadu_si128((const v4 *)cv), _mm_loadu_si128((const v4 *)cv + 1)}, *o = out;
    rounds(v, block, length, counter, flags);
    _mm_storeu_si128(o, _mm_xor_si128(v[0], v[2]));
    _mm_storeu_si128(o + 1, _mm_xor_si128(v[1], v[3]));
}

void VEC_NAME(apr_blake3_expand)(const void *cv, const void *block, uint32_t length, uint64_t counter, uint32_t flags, void *out) {
    v4 v[4] = {_mm_loadu_si128((const v4 *)cv), _mm_loadu_si128((const v4 *)cv + 1)}, *o = out;
    const v4 cv0 = v[0], cv1 = v[1];
    rounds(v, block, length, counter, flags);
    _mm_storeu_si128(o, _mm_xor_si128(v[0], v[2]));
    _mm_storeu_si128(o + 1, _mm_xor_si128(v[1], v[3]));
    _mm_storeu_si128(o + 2, _mm_xor_si128(v[2], cv0));
    _mm_storeu_si128(o + 3, _mm_xor_si128(v[3], cv1));
}

#endif
