/* The verifier's kernels with AVX2. */
#include "dispatch.h"

#if APR_HAVE_AVX2_BUILD
#include "vec_avx2.h"

#include "verify_impl.h"

VEC_END
#else
typedef int apr_verify_avx2_is_not_built;
#endif
