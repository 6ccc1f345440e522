/* The verifier's kernels in plain C. */
#include "vec_portable.h"

#include "verify_impl.h"

VEC_END
