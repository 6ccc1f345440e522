/* The trace of aprover/programs/poseidon2_chain.py, and the chain alone.
 *
 * A row has, in this order: the input; for each external round the 16 cubes of the S-boxes' inputs and the 16 entries of
 * the state after it; for each internal round the cube of the S-box's input and its output. The external rounds stand
 * four before and four after the internal ones.
 */
#include <string.h>

#include "poseidon2_internal.h"
#include "trace.h"

#define WIDTH POSEIDON2_WIDTH
#define BLOCK APR_POSEIDON2_BLOCK

const uint32_t apr_poseidon2_columns = APR_POSEIDON2_COLUMNS;

static const apr_poseidon2_kernels *kernels_for(enum apr_path path) {
#if APR_HAVE_AVX2_BUILD
    if (apr_use_avx2(path)) return &apr_poseidon2_kernels_avx2;
#endif
    (void)path;
    return &apr_poseidon2_kernels_portable;
}

aprover_status apr_poseidon2_chain(uint32_t state[16], uint64_t count, enum apr_path path, const int32_t *cancel) {
    const apr_poseidon2_kernels *kernels = kernels_for(path);
    fp inner[WIDTH];
    for (int i = 0; i < WIDTH; i++) inner[i] = fp_from_u32(state[i]);
    for (uint64_t n = 0; n < count; n += BLOCK) {
        if (apr_flag_is_set(cancel)) return APROVER_CANCELLED;
        kernels->advance(inner, count - n < BLOCK ? (size_t)(count - n) : BLOCK);
    }
    for (int i = 0; i < WIDTH; i++) state[i] = fp_to_u32(inner[i]);
    return APROVER_OK;
}

aprover_status apr_trace_poseidon2_chain(uint32_t *trace, size_t stride, uint32_t log_height, const uint32_t *arguments,
                                         enum apr_path path, const int32_t *cancel) {
    const apr_poseidon2_kernels *kernels = kernels_for(path);
    const size_t rows = (size_t)1 << log_height;
    const size_t block = rows < BLOCK ? rows : BLOCK;
    fp cells[APR_POSEIDON2_ROW * BLOCK];
    fp state[WIDTH];
    memset(cells, 0, sizeof(fp) * APR_POSEIDON2_ROW * ((block + 7) / 8 * 8)); /* whole vectors are read, and eight rows at once */
    for (int i = 0; i < WIDTH; i++) state[i] = fp_from_u32(arguments[i]);
    for (size_t row = 0; row < rows; row += block) {
        if (apr_flag_is_set(cancel)) return APROVER_CANCELLED;
        kernels->rows(state, trace + row, stride, block, cells);
    }
    return APROVER_OK;
}
