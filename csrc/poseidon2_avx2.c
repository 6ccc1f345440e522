/* The Poseidon2 permutation with AVX2. */
#include "dispatch.h"

#if APR_HAVE_AVX2_BUILD
#include "vec_avx2.h"

#include "poseidon2_impl.h"

VEC_END
#else
typedef int apr_poseidon2_avx2_is_not_built;
#endif
