/* What the polynomial kernels share with each other and with nobody else. */
#ifndef APROVER_POLY_INTERNAL_H
#define APROVER_POLY_INTERNAL_H

#include "poly.h"

/* Transforms of up to 2^APR_TABLE_LOG values have all their factors in a table. */
#define APR_TABLE_LOG 12

/* A table of the factors for transforms of up to 2^log_n values. The factors of the stages d and 2d together (ntt_impl.h) at
 * i < d are, with root(m) of order m,
 *
 *   t1 = root(2d)^i,  t2 = root(4d)^i,  t3 = t1 t2,  root(4) t2,  -root(4) t3.
 *
 * Words 0 to 4 are those of d = 1; words 8 to 11 are root(8)^i and words 16 to 23 root(16)^i, of the stages 4 and 8 alone. Then,
 * for d = 4, 8, 16, .., for each eight i, eight words of each of the five. An apr_twiddles is two such tables, of the roots and
 * of their inverses. */
enum { APR_FACTORS = 5, APR_STAGE_4 = 8, APR_STAGE_8 = 16, APR_FIRST_FACTORS = 24 };
static inline size_t apr_factors_at(size_t d) { return APR_FIRST_FACTORS + (d == 4 ? 0 : APR_FACTORS * d); }
static inline size_t apr_table_words(uint32_t log_n) {
    /* the last vector is read a word too far */
    return APR_FIRST_FACTORS + (log_n < 5 ? APR_FACTORS * 8 : (size_t)APR_FACTORS << (log_n - 1)) + 8;
}
static inline uint32_t apr_table_log(uint32_t log_max) { return log_max < APR_TABLE_LOG ? log_max : APR_TABLE_LOG; }
static inline const uint32_t *apr_inverse_table(const apr_twiddles *tw) {
    return tw->words + apr_table_words(apr_table_log(tw->log_max));
}


/* 2^-m in Montgomery form */
static inline fp apr_inverse_size(uint32_t m) { return (fp)(((uint64_t)1 << 32 >> m) % FP_P); }

extern const apr_poly_kernels apr_poly_kernels_portable;
#if APR_HAVE_AVX2_BUILD
extern const apr_poly_kernels apr_poly_kernels_avx2;
#endif

#endif
