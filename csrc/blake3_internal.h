/* What the BLAKE3 units share: constants, the message schedule, and the compression of one block.
 * Section and table numbers are those of the BLAKE3 paper. */
#ifndef APROVER_BLAKE3_INTERNAL_H
#define APROVER_BLAKE3_INTERNAL_H

#include <string.h>

#include "blake3.h"

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "words are read and written in place: only little-endian machines are supported"
#endif

#define APR_INLINE static inline __attribute__((always_inline))

/* Domain flags, table 3. */
enum {
    APR_B3_CHUNK_START = 1,
    APR_B3_CHUNK_END = 2,
    APR_B3_PARENT = 4,
    APR_B3_ROOT = 8,
    APR_B3_KEYED = 16
};

#define APR_B3_BLOCK 64
#define APR_B3_BLOCKS_IN_CHUNK 16
#define APR_B3_MAX_DEPTH 54

/* The first four words of the SHA-256 initial value, table 1. */
#define APR_B3_IV0 0x6a09e667u
#define APR_B3_IV1 0xbb67ae85u
#define APR_B3_IV2 0x3c6ef372u
#define APR_B3_IV3 0xa54ff53au

/* The order in which the seven rounds take the message words: each line is the one before under the permutation of
 * table 2. ROUND gets sixteen constants. */
#define APR_B3_SCHEDULE(ROUND)                                   \
    ROUND(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15); \
    ROUND(2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8); \
    ROUND(3, 4, 10, 12, 13, 2, 7, 14, 6, 5, 9, 0, 11, 15, 8, 1); \
    ROUND(10, 7, 12, 9, 14, 3, 13, 15, 4, 0, 11, 2, 5, 8, 1, 6); \
    ROUND(12, 13, 9, 11, 15, 10, 14, 8, 7, 2, 5, 3, 0, 1, 6, 4); \
    ROUND(9, 14, 11, 5, 8, 12, 15, 1, 13, 3, 0, 10, 2, 6, 4, 7); \
    ROUND(11, 15, 5, 0, 1, 9, 8, 6, 14, 10, 2, 12, 3, 4, 7, 13)

/* One round over a state v[16], G being the quarter-round; s0..s15 as above. */
#define APR_B3_ROUND(G, s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10, s11, s12, s13, s14, s15) \
    do {                                                                                      \
        G(0, 4, 8, 12, s0, s1);                                                               \
        G(1, 5, 9, 13, s2, s3);                                                               \
        G(2, 6, 10, 14, s4, s5);                                                              \
        G(3, 7, 11, 15, s6, s7);                                                              \
        G(0, 5, 10, 15, s8, s9);                                                              \
        G(1, 6, 11, 12, s10, s11);                                                            \
        G(2, 7, 8, 13, s12, s13);                                                             \
        G(3, 4, 9, 14, s14, s15);                                                             \
    } while (0)

/* The compression function of a block of 64 bytes, those from `length` on zero: `compress` gives the first 32 bytes, the
 * chaining value, `expand` all 64. out may be the same as cv; the pointers need no alignment. */
typedef void apr_blake3_compress(const void *cv, const void *block, uint32_t length, uint64_t counter, uint32_t flags,
                                 void *out);
apr_blake3_compress apr_blake3_compress_portable, apr_blake3_expand_portable;
#if APR_HAVE_AVX2_BUILD
apr_blake3_compress apr_blake3_compress_avx2, apr_blake3_expand_avx2, apr_blake3_compress_avx512, apr_blake3_expand_avx512;
#endif

/* The chaining values of eight consecutive whole chunks, none of which is the root; first_chunk is a multiple of 8. */
typedef void apr_blake3_chunks8(const uint32_t key[8], const uint8_t *data, uint64_t first_chunk, uint32_t cvs[8][8]);
apr_blake3_chunks8 apr_blake3_chunks8_portable;
extern const apr_hash_kernels apr_hash_kernels_portable;
#if APR_HAVE_AVX2_BUILD
apr_blake3_chunks8 apr_blake3_chunks8_avx2, apr_blake3_chunks8_avx512;
extern const apr_hash_kernels apr_hash_kernels_avx2, apr_hash_kernels_avx512;
#endif

#endif
