#include "dispatch.h"

#if APR_HAVE_AVX2_BUILD

#include "vec_avx2.h"

#include "blake3_impl.h"

/* One compression with a row of the state in each register; the diagonal half of a round is the column half on rows
 * rotated against each other. */
typedef __m128i v4;

static inline v4 rotr16(v4 a) {
    return _mm_shuffle_epi8(a, _mm_set_epi8(13, 12, 15, 14, 9, 8, 11, 10, 5, 4, 7, 6, 1, 0, 3, 2));
}
static inline v4 rotr12(v4 a) { return _mm_or_si128(_mm_srli_epi32(a, 12), _mm_slli_epi32(a, 20)); }
static inline v4 rotr8(v4 a) {
    return _mm_shuffle_epi8(a, _mm_set_epi8(12, 15, 14, 13, 8, 11, 10, 9, 4, 7, 6, 5, 0, 3, 2, 1));
}
static inline v4 rotr7(v4 a) { return _mm_or_si128(_mm_srli_epi32(a, 7), _mm_slli_epi32(a, 25)); }

#define QUARTERS(x, y)                                   \
    do {                                                 \
        a = _mm_add_epi32(_mm_add_epi32(a, x), b);       \
        d = rotr16(_mm_xor_si128(d, a));                 \
        c = _mm_add_epi32(c, d);                         \
        b = rotr12(_mm_xor_si128(b, c));                 \
        a = _mm_add_epi32(_mm_add_epi32(a, y), b);       \
        d = rotr8(_mm_xor_si128(d, a));                  \
        c = _mm_add_epi32(c, d);                         \
        b = rotr7(_mm_xor_si128(b, c));                  \
    } while (0)

#define WORDS(i, j, k, l) _mm_set_epi32((int)m[l], (int)m[k], (int)m[j], (int)m[i])

#define ROUND(s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10, s11, s12, s13, s14, s15) \
    do {                                                                            \
        QUARTERS(WORDS(s0, s2, s4, s6), WORDS(s1, s3, s5, s7));                     \
        b = _mm_shuffle_epi32(b, 0x39);                                             \
        c = _mm_shuffle_epi32(c, 0x4e);                                             \
        d = _mm_shuffle_epi32(d, 0x93);                                             \
        QUARTERS(WORDS(s8, s10, s12, s14), WORDS(s9, s11, s13, s15));               \
        b = _mm_shuffle_epi32(b, 0x93);                                             \
        c = _mm_shuffle_epi32(c, 0x4e);                                             \
        d = _mm_shuffle_epi32(d, 0x39);                                             \
    } while (0)

void apr_blake3_compress_avx2(const uint32_t cv[8], const uint8_t block[64], uint32_t length, uint64_t counter,
                              uint32_t flags, uint32_t out[16]) {
    uint32_t m[16];
    memcpy(m, block, 64);
    const v4 cv0 = _mm_loadu_si128((const v4 *)(const void *)cv), cv1 = _mm_loadu_si128((const v4 *)(const void *)(cv + 4));
    v4 a = cv0, b = cv1, c = _mm_set_epi32((int)APR_B3_IV3, (int)APR_B3_IV2, (int)APR_B3_IV1, (int)APR_B3_IV0),
       d = _mm_set_epi32((int)flags, (int)length, (int)(counter >> 32), (int)counter);
    APR_B3_SCHEDULE(ROUND);
    v4 *o = (v4 *)(void *)out;
    _mm_storeu_si128(o, _mm_xor_si128(a, c));
    _mm_storeu_si128(o + 1, _mm_xor_si128(b, d));
    _mm_storeu_si128(o + 2, _mm_xor_si128(c, cv0));
    _mm_storeu_si128(o + 3, _mm_xor_si128(d, cv1));
}

VEC_END

#else
typedef int apr_blake3_avx2_is_empty;
#endif
