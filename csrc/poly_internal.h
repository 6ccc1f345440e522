/* What the polynomial kernels share with each other and with nobody else. */
#ifndef APROVER_POLY_INTERNAL_H
#define APROVER_POLY_INTERNAL_H

#include "poly.h"

/* Transforms of up to 2^APR_TABLE_LOG values (one L1 cache) have all their twiddles in the table. */
#define APR_TABLE_LOG 12

extern const fp apr_roots[FP_TWO_ADICITY + 1], apr_inverse_roots[FP_TWO_ADICITY + 1];

/* 2^-m in Montgomery form */
static inline fp apr_inverse_size(uint32_t m) { return (fp)(((uint64_t)1 << 32 >> m) % FP_P); }

/* An apr_twiddles has two tables of 2^apr_table_log words, of the roots and of their inverses: word d + i is root(2d)^i for i < d.
 * They have at least a vector each. */
static inline uint32_t apr_table_log(uint32_t log_max) {
    return log_max < 3 ? 3 : log_max < APR_TABLE_LOG ? log_max : APR_TABLE_LOG;
}
static inline const uint32_t *apr_inverse_table(const apr_twiddles *tw) {
    return tw->words + ((size_t)1 << apr_table_log(tw->log_max));
}

extern const apr_poly_kernels apr_poly_kernels_portable;
#if APR_HAVE_AVX2_BUILD
extern const apr_poly_kernels apr_poly_kernels_avx2;
#endif

#endif
