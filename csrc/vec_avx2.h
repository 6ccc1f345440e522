/* Eight 32-bit lanes in one AVX2 register. See vec_portable.h for the contract.
 *
 * Include it first in a translation unit that may use AVX2 throughout: the pragmas below switch the instruction
 * set on for what follows, and run-time dispatch keeps such code from being reached where it cannot run.
 */
#ifndef APROVER_VEC_AVX2_H
#define APROVER_VEC_AVX2_H

#include <immintrin.h>

#include "field.h"

/* With VEC_WITH_AVX512, that unit may use AVX-512 on these registers too. VEC_END closes it; VEC_REGISTER is the constraint of a vector
 * in inline assembly. */
#ifdef VEC_WITH_AVX512
#define VEC_HAS_AVX512 1
#define VEC_NAME(name) name##_avx512
#define VEC_REGISTER "v"
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,avx512f,avx512vl"))), apply_to = function)
#else
#pragma GCC target("avx2,avx512f,avx512vl")
#endif
#else
#define VEC_HAS_AVX512 0
#define VEC_NAME(name) name##_avx2
#define VEC_REGISTER "x"
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2"))), apply_to = function)
#else
#pragma GCC target("avx2")
#endif
#endif
#if defined(__clang__)
#define VEC_END _Pragma("clang attribute pop")
#else
#define VEC_END
#endif

typedef __m256i v8;
/* vpmuludq multiplies the even lanes: a split vector has its odd lanes in a register of their own. */
typedef struct {
    v8 even, odd;
} v8_split;
typedef struct {
    v8 even, odd;
} v8_wide;

static inline v8 v8_loadu(const uint32_t *p) { return _mm256_loadu_si256((const __m256i *)(const void *)p); }
static inline void v8_storeu(uint32_t *p, v8 a) { _mm256_storeu_si256((__m256i *)(void *)p, a); }
static inline v8 v8_load_bytes(const uint8_t *p) { return _mm256_loadu_si256((const __m256i *)(const void *)p); }
static inline v8 v8_set1(uint32_t x) { return _mm256_set1_epi32((int)x); }
static inline v8 v8_load_halves(const uint32_t *p, const uint32_t *q) {
    return _mm256_loadu2_m128i((const __m128i_u *)(const void *)q, (const __m128i_u *)(const void *)p);
}
static inline void v8_store_halves(uint32_t *p, uint32_t *q, v8 a) { _mm256_storeu2_m128i((__m128i_u *)(void *)q, (__m128i_u *)(void *)p, a); }
static inline v8 v8_load_pairs(const uint32_t *p, const uint32_t *q, const uint32_t *r, const uint32_t *s) {
    __m128i low = _mm_unpacklo_epi64(_mm_loadl_epi64((const __m128i_u *)(const void *)p),
                                     _mm_loadl_epi64((const __m128i_u *)(const void *)q));
    __m128i high = _mm_unpacklo_epi64(_mm_loadl_epi64((const __m128i_u *)(const void *)r),
                                      _mm_loadl_epi64((const __m128i_u *)(const void *)s));
    return _mm256_set_m128i(high, low);
}

/* The unsigned minimum picks the reduced one of t and t -+ p, since the other has wrapped round 2^32. */
static inline v8 v8_add(v8 a, v8 b) {
    v8 t = _mm256_add_epi32(a, b);
    return _mm256_min_epu32(t, _mm256_sub_epi32(t, v8_set1(FP_P)));
}
static inline v8 v8_sub(v8 a, v8 b) {
    v8 t = _mm256_sub_epi32(a, b);
    return _mm256_min_epu32(t, _mm256_add_epi32(t, v8_set1(FP_P)));
}
/* Lanes 1, 3, 5, 7 in the place of 0, 2, 4, 6. */
static inline v8 v8_odd(v8 a) { return _mm256_castps_si256(_mm256_movehdup_ps(_mm256_castsi256_ps(a))); }
static inline v8_split v8_split_of(v8 a) { return (v8_split){a, v8_odd(a)}; }
static inline v8_split v8_split_load(const uint32_t *p) { return (v8_split){v8_loadu(p), v8_loadu(p + 1)}; }
static inline v8_split v8_split_set1(uint32_t x) { return (v8_split){v8_set1(x), v8_set1(x)}; }

static inline v8_wide v8_wide_zero(void) { return (v8_wide){_mm256_setzero_si256(), _mm256_setzero_si256()}; }
static inline v8_wide v8_wide_mul(v8_split a, v8_split b) {
    return (v8_wide){_mm256_mul_epu32(a.even, b.even), _mm256_mul_epu32(a.odd, b.odd)};
}
static inline v8_wide v8_wide_add(v8_wide a, v8_wide b) {
    return (v8_wide){_mm256_add_epi64(a.even, b.even), _mm256_add_epi64(a.odd, b.odd)};
}
/* The low words minus 0 are equal, so the minimum word by word is the minimum of the high words. */
static inline v8_wide v8_wide_trim(v8_wide a) {
    const v8 top = _mm256_set1_epi64x((long long)((uint64_t)FP_P << 32));
    return (v8_wide){_mm256_min_epu32(a.even, _mm256_sub_epi32(a.even, top)),
                     _mm256_min_epu32(a.odd, _mm256_sub_epi32(a.odd, top))};
}
/* Montgomery reduction up to the last correction: (-p, p), negative ones wrapped round 2^32. The low words of x and of
 * q * p are equal, so subtracting words gives the high part without a borrow. */
static inline v8 v8_wide_reduce_signed(v8_wide x) {
    const v8 p = v8_set1(FP_P), pinv = v8_set1(FP_PINV);
    v8 even = _mm256_mul_epu32(_mm256_mul_epu32(x.even, pinv), p);
    v8 odd = _mm256_mul_epu32(_mm256_mul_epu32(x.odd, pinv), p);
    return _mm256_blend_epi32(v8_odd(_mm256_sub_epi32(x.even, even)), _mm256_sub_epi32(x.odd, odd), 0xaa);
}
static inline v8 v8_wide_reduce(v8_wide x) {
    v8 t = v8_wide_reduce_signed(x);
    return _mm256_min_epu32(t, _mm256_add_epi32(t, v8_set1(FP_P)));
}
/* Horizontal: whether all lanes are below p; the sum of the eight, trimmed, for values below p * 2^32. */
static inline int v8_all_reduced(v8 a) {
    return _mm256_movemask_epi8(_mm256_cmpeq_epi32(_mm256_min_epu32(a, v8_set1(FP_P - 1)), a)) == -1;
}
static inline uint64_t v8_wide_total(v8_wide a) {
    a = v8_wide_trim((v8_wide){_mm256_add_epi64(a.even, a.odd), a.odd});
    a.even = _mm256_add_epi64(a.even, _mm256_permute4x64_epi64(a.even, 0x4e));
    a = v8_wide_trim(a);
    a.even = _mm256_add_epi64(a.even, _mm256_shuffle_epi32(a.even, 0x4e));
    a = v8_wide_trim(a);
    uint64_t total;
    _mm_storel_epi64((__m128i *)(void *)&total, _mm256_castsi256_si128(a.even));
    return total;
}
static inline v8 v8_mul(v8 a, v8 b) { return v8_wide_reduce(v8_wide_mul(v8_split_of(a), v8_split_of(b))); }
/* With c in (-p, p): a + c and a + c - sign(c) * p differ by p, one of them is reduced and the other has wrapped round or
 * is larger; the same for a - c. */
static inline void v8_wide_butterfly(v8 *a, v8 *b, v8_wide x) {
    v8 c = v8_wide_reduce_signed(x), p = _mm256_sign_epi32(v8_set1(FP_P), c);
    v8 sum = _mm256_add_epi32(*a, c), difference = _mm256_sub_epi32(*a, c);
    *a = _mm256_min_epu32(sum, _mm256_sub_epi32(sum, p));
    *b = _mm256_min_epu32(difference, _mm256_add_epi32(difference, p));
}
static inline void v8_butterfly_evaluate(v8 *a, v8 *b, v8_split t) {
    v8_wide_butterfly(a, b, v8_wide_mul(v8_split_of(*b), t));
}
/* a - b + p < 2p < 2^32, and 2p * p < p * 2^32, the range of the reduction. */
static inline void v8_butterfly_interpolate(v8 *a, v8 *b, v8_split t) {
    v8 difference = _mm256_sub_epi32(_mm256_add_epi32(*a, v8_set1(FP_P)), *b);
    *a = v8_add(*a, *b);
    *b = v8_wide_reduce(v8_wide_mul(v8_split_of(difference), t));
}
/* fp_to_u32: the product of a with 1 has no high word, so one reduction is all. */
static inline v8 v8_canonical(v8 a) {
    const v8 p = v8_set1(FP_P), q = _mm256_mullo_epi32(a, v8_set1(FP_PINV));
    v8 even_m = _mm256_mul_epu32(q, p);
    v8 odd_m = _mm256_mul_epu32(_mm256_srli_epi64(q, 32), p);
    v8 m = _mm256_blend_epi32(_mm256_srli_epi64(even_m, 32), odd_m, 0xaa);
    v8 t = _mm256_sub_epi32(_mm256_setzero_si256(), m);
    return _mm256_min_epu32(t, _mm256_add_epi32(t, p));
}

/* Places within the vector, as vec_portable.h defines them. */
static inline v8 v8_next_of_four(v8 a) { return _mm256_shuffle_epi32(a, 0x39); }
static inline v8 v8_swap_pairs(v8 a) { return _mm256_shuffle_epi32(a, 0x4e); }
static inline v8 v8_swap_halves(v8 a) { return _mm256_permute4x64_epi64(a, 0x4e); }
static inline uint32_t v8_first(v8 a) { return (uint32_t)_mm256_cvtsi256_si32(a); }
static inline v8 v8_with_first(v8 a, uint32_t x) {
    return _mm256_blend_epi32(a, _mm256_castsi128_si256(_mm_cvtsi32_si128((int)x)), 1);
}

static inline v8 v8_add32(v8 a, v8 b) { return _mm256_add_epi32(a, b); }
static inline v8 v8_xor(v8 a, v8 b) { return _mm256_xor_si256(a, b); }
static inline v8 v8_or(v8 a, v8 b) { return _mm256_or_si256(a, b); }
static inline v8 v8_rotr16(v8 a) {
    return _mm256_shuffle_epi8(a, _mm256_set_epi8(13, 12, 15, 14, 9, 8, 11, 10, 5, 4, 7, 6, 1, 0, 3, 2, 13, 12, 15, 14,
                                                  9, 8, 11, 10, 5, 4, 7, 6, 1, 0, 3, 2));
}
static inline v8 v8_rotr12(v8 a) { return v8_or(_mm256_srli_epi32(a, 12), _mm256_slli_epi32(a, 20)); }
static inline v8 v8_rotr8(v8 a) {
    return _mm256_shuffle_epi8(a, _mm256_set_epi8(12, 15, 14, 13, 8, 11, 10, 9, 4, 7, 6, 5, 0, 3, 2, 1, 12, 15, 14, 13,
                                                  8, 11, 10, 9, 4, 7, 6, 5, 0, 3, 2, 1));
}
static inline v8 v8_rotr7(v8 a) { return v8_or(_mm256_srli_epi32(a, 7), _mm256_slli_epi32(a, 25)); }

static inline void v8_transpose_halves(v8 r[4]) {
    v8 a = _mm256_unpacklo_epi32(r[0], r[1]), b = _mm256_unpackhi_epi32(r[0], r[1]);
    v8 c = _mm256_unpacklo_epi32(r[2], r[3]), d = _mm256_unpackhi_epi32(r[2], r[3]);
    r[0] = _mm256_unpacklo_epi64(a, c);
    r[1] = _mm256_unpackhi_epi64(a, c);
    r[2] = _mm256_unpacklo_epi64(b, d);
    r[3] = _mm256_unpackhi_epi64(b, d);
}

static inline void v8_transpose(v8 r[8]) {
    v8 a[8], b[8];
    for (int i = 0; i < 8; i += 2) {
        a[i] = _mm256_unpacklo_epi32(r[i], r[i + 1]);
        a[i + 1] = _mm256_unpackhi_epi32(r[i], r[i + 1]);
    }
    for (int i = 0; i < 8; i += 4) {
        b[i] = _mm256_unpacklo_epi64(a[i], a[i + 2]);
        b[i + 1] = _mm256_unpackhi_epi64(a[i], a[i + 2]);
        b[i + 2] = _mm256_unpacklo_epi64(a[i + 1], a[i + 3]);
        b[i + 3] = _mm256_unpackhi_epi64(a[i + 1], a[i + 3]);
    }
    for (int i = 0; i < 4; i++) {
        r[i] = _mm256_permute2x128_si256(b[i], b[i + 4], 0x20);
        r[i + 4] = _mm256_permute2x128_si256(b[i], b[i + 4], 0x31);
    }
}

#endif
