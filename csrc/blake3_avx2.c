#include "dispatch.h"

#if APR_HAVE_AVX2_BUILD

#include "vec_avx2.h"

#include "blake3_x86.h"

VEC_END

#else
typedef int apr_blake3_avx2_is_empty;
#endif
