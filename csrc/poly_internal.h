/* What the polynomial kernels share with each other and with nobody else. */
#ifndef APROVER_POLY_INTERNAL_H
#define APROVER_POLY_INTERNAL_H

#include "poly.h"

/* Transforms of up to 2^APR_TABLE_LOG values (one L1 cache) have all their twiddles in the table. */
#define APR_TABLE_LOG 12

extern const fp apr_roots[FP_TWO_ADICITY + 1], apr_inverse_roots[FP_TWO_ADICITY + 1];

extern const apr_poly_kernels apr_poly_kernels_portable;
#if APR_HAVE_AVX2_BUILD
extern const apr_poly_kernels apr_poly_kernels_avx2;
#endif

#endif
