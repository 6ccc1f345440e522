/* The Poseidon2 permutation, and the trace of aprover/programs/poseidon2_chain.py.
 *
 * A row has, in this order: the input; for each external round the 16 cubes of the S-boxes' inputs and the 16 entries of
 * the state after it; for each internal round the cube of the S-box's input and its output. The external rounds stand
 * four before and four after the internal ones.
 */
#include "poseidon2_constants.h"
#include "trace.h"

#define WIDTH POSEIDON2_WIDTH
#define COLUMNS (WIDTH + 4 * POSEIDON2_HALF_EXTERNAL_ROUNDS * WIDTH + 2 * POSEIDON2_INTERNAL_ROUNDS)
/* Rows made at once: one cache line of each column. Columns are a power of two apart, so writing them row by row would
 * send all of them to the same few sets of the cache. */
#define BLOCK 16

const uint32_t apr_poseidon2_columns = COLUMNS;

/* circ(2M, M, M, M) with M = [[2, 3, 1, 1], [1, 2, 3, 1], [1, 1, 2, 3], [3, 1, 1, 2]]. */
static inline void external_layer(fp state[WIDTH]) {
    fp sums[4] = {0, 0, 0, 0};
    for (int i = 0; i < WIDTH; i += 4) {
        fp *s = state + i;
        const fp ab = fp_add(s[0], s[1]), cd = fp_add(s[2], s[3]);
        const fp total = fp_add(ab, cd);
        const fp with_b = fp_add(total, s[1]), with_d = fp_add(total, s[3]);
        s[3] = fp_add(with_d, fp_add(s[0], s[0]));
        s[1] = fp_add(with_b, fp_add(s[2], s[2]));
        s[0] = fp_add(with_b, ab);
        s[2] = fp_add(with_d, cd);
        for (int j = 0; j < 4; j++) sums[j] = fp_add(sums[j], s[j]);
    }
    for (int i = 0; i < WIDTH; i++) state[i] = fp_add(state[i], sums[i % 4]);
}

/* All ones plus the diagonal. The sum without entry 0 does not wait for the S-box. */
static inline void internal_layer(fp state[WIDTH]) {
    fp total = state[1];
    for (int i = 2; i < WIDTH; i++) total = fp_add(total, state[i]);
    total = fp_add(total, state[0]);
    for (int i = 0; i < WIDTH; i++) state[i] = fp_add(total, fp_mul(state[i], poseidon2_diagonal[i]));
}

/* x^7, and x^3 on the way. */
static inline fp seventh(fp x, fp *cube) {
    *cube = fp_mul(fp_sqr(x), x);
    return fp_mul(fp_sqr(*cube), x);
}

/* One permutation. Unless `cells` is NULL, cell c of its row goes to cells[c * BLOCK], in Montgomery form. */
static inline void permute(fp state[WIDTH], fp *cells) {
    size_t used = 0;
#define RECORD(value) \
    do { \
        if (cells != NULL) cells[BLOCK * used++] = (value); \
    } while (0)
    for (int i = 0; i < WIDTH; i++) RECORD(state[i]);
    external_layer(state);
    for (int half = 0; half < 2; half++) {
        for (int r = 0; r < POSEIDON2_HALF_EXTERNAL_ROUNDS; r++) {
            const fp *constants = poseidon2_external[half * POSEIDON2_HALF_EXTERNAL_ROUNDS + r];
            for (int i = 0; i < WIDTH; i++) {
                fp cube;
                state[i] = seventh(fp_add(state[i], constants[i]), &cube);
                RECORD(cube);
            }
            external_layer(state);
            for (int i = 0; i < WIDTH; i++) RECORD(state[i]);
        }
        for (int r = 0; half == 0 && r < POSEIDON2_INTERNAL_ROUNDS; r++) {
            fp cube;
            state[0] = seventh(fp_add(state[0], poseidon2_internal[r]), &cube);
            RECORD(cube);
            RECORD(state[0]);
            internal_layer(state);
        }
    }
#undef RECORD
}

aprover_status apr_poseidon2_chain(uint32_t state[16], uint64_t count, const int32_t *cancel) {
    fp inner[WIDTH];
    for (int i = 0; i < WIDTH; i++) inner[i] = fp_from_u32(state[i]);
    for (uint64_t n = 0; n < count; n++) {
        if (n % BLOCK == 0 && apr_flag_is_set(cancel)) return APROVER_CANCELLED;
        permute(inner, NULL);
    }
    for (int i = 0; i < WIDTH; i++) state[i] = fp_to_u32(inner[i]);
    return APROVER_OK;
}

aprover_status apr_trace_poseidon2_chain(uint32_t *trace, size_t stride, uint32_t log_height, const uint32_t *arguments,
                                         const int32_t *cancel) {
    const size_t rows = (size_t)1 << log_height;
    const size_t block = rows < BLOCK ? rows : BLOCK;
    fp cells[COLUMNS * BLOCK];
    fp state[WIDTH];
    for (int i = 0; i < WIDTH; i++) state[i] = fp_from_u32(arguments[i]);
    for (size_t row = 0; row < rows; row += block) {
        if (apr_flag_is_set(cancel)) return APROVER_CANCELLED;
        for (size_t i = 0; i < block; i++) permute(state, cells + i);
        for (size_t c = 0; c < COLUMNS; c++)
            for (size_t i = 0; i < block; i++) trace[c * stride + row + i] = fp_to_u32(cells[c * BLOCK + i]);
    }
    return APROVER_OK;
}
