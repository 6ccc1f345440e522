/* The constraint evaluator in plain C. */
#include "vec_portable.h"

#include "air_impl.h"

VEC_END
