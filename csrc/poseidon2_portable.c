/* The Poseidon2 permutation in plain C. */
#include "vec_portable.h"

#include "poseidon2_impl.h"

VEC_END
