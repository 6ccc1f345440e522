/* What the Poseidon2 kernels share with the functions of trace.h and with nobody else. */
#ifndef APROVER_POSEIDON2_INTERNAL_H
#define APROVER_POSEIDON2_INTERNAL_H

#include "dispatch.h"
#include "poseidon2_constants.h"

enum {
    APR_POSEIDON2_COLUMNS =
        POSEIDON2_WIDTH + 4 * POSEIDON2_HALF_EXTERNAL_ROUNDS * POSEIDON2_WIDTH + 2 * POSEIDON2_INTERNAL_ROUNDS,
    /* Rows made at once: two cache lines of each column. Columns are a power of two apart, so writing them row by row would
     * send all of them to the same few sets of the cache, and each is in a page of its own. */
    APR_POSEIDON2_BLOCK = 32,
    /* Words of a row while it is made: whole vectors. */
    APR_POSEIDON2_ROW = (APR_POSEIDON2_COLUMNS + 7) / 8 * 8,
};

typedef struct {
    /* `count` permutations, in Montgomery form. */
    void (*advance)(fp state[POSEIDON2_WIDTH], size_t count);
    /* `count` rows of the trace, at most a block: column c at trace[c * stride]. The cells, a block of rows, are scratch. */
    void (*rows)(fp state[POSEIDON2_WIDTH], uint32_t *trace, size_t stride, size_t count, fp *cells);
} apr_poseidon2_kernels;

extern const apr_poseidon2_kernels apr_poseidon2_kernels_portable;
#if APR_HAVE_AVX2_BUILD
extern const apr_poseidon2_kernels apr_poseidon2_kernels_avx2;
#endif

#endif
