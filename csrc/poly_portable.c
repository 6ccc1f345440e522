/* The polynomial kernels in plain C. */
#include "vec_portable.h"

#include "poly_impl.h"

VEC_END
