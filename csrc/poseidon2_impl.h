/* The Poseidon2 permutation over the vectors of vec_*.h: the state is two of them.
 *
 * A chain's permutations wait for each other, so what counts is how long each step waits for the one before, not how many
 * products there are.
 */
#include <string.h>

#include "poseidon2_internal.h"

#define ALWAYS_INLINE inline __attribute__((always_inline))

typedef struct {
    v8 low, high;
} state16;

/* [[2, 3, 1, 1], [1, 2, 3, 1], [1, 1, 2, 3], [3, 1, 1, 2]] times each four: entry i is their sum + s_i + 2 s_(i+1). */
static ALWAYS_INLINE v8 mix_fours(v8 s) {
    const v8 next = v8_next_of_four(s), pair = v8_add(s, next);
    return v8_add(v8_add(pair, v8_swap_pairs(pair)), v8_add(pair, next));
}

/* circ(2M, M, M, M): M of each four plus the sum of the fours. */
static ALWAYS_INLINE state16 external_layer(state16 s) {
    v8 sum = v8_add(s.low, s.high);
    sum = v8_add(sum, v8_swap_halves(sum));
    return (state16){mix_fours(v8_add(s.low, sum)), mix_fours(v8_add(s.high, sum))};
}

/* x^7 = x^3 x^4, which are made side by side. */
static ALWAYS_INLINE v8 seventh_vector(v8 x, v8 *cube) {
    const v8_split s = v8_split_of(x);
    const v8_split square = v8_split_of(v8_wide_reduce(v8_wide_mul(s, s)));
    *cube = v8_wide_reduce(v8_wide_mul(square, s));
    return v8_mul(*cube, v8_wide_reduce(v8_wide_mul(square, square)));
}

static ALWAYS_INLINE fp seventh(fp x, fp *cube) {
    const fp square = fp_sqr(x);
    *cube = fp_mul(square, x);
    return fp_mul(*cube, fp_sqr(square));
}

static ALWAYS_INLINE state16 external_rounds(state16 s, const fp constants[][POSEIDON2_WIDTH], fp *cells) {
    for (int r = 0; r < POSEIDON2_HALF_EXTERNAL_ROUNDS; r++) {
        state16 cubes;
        s.low = seventh_vector(v8_add(s.low, v8_loadu(constants[r])), &cubes.low);
        s.high = seventh_vector(v8_add(s.high, v8_loadu(constants[r] + 8)), &cubes.high);
        s = external_layer(s);
        if (cells != NULL) {
            v8_storeu(cells, cubes.low);
            v8_storeu(cells + 8, cubes.high);
            v8_storeu(cells + 16, s.low);
            v8_storeu(cells + 24, s.high);
            cells += 2 * POSEIDON2_WIDTH;
        }
    }
    return s;
}

/* The internal layer is all ones plus the diagonal, whose entry 0 is -2. With y the output of the S-box, R the sum of the
 * other entries s_i, and T = y + R, the layer gives entry 0 = T - 2y = R - y, the others T + d_i s_i, and their sum
 * 15 T + sum of d_i s_i. So only the S-boxes wait for each other: the sum of the d_i s_i is ready before y. Entry 0 stands
 * outside of the vectors; a weight of 0 takes what is in its place there. */
static ALWAYS_INLINE state16 internal_rounds(state16 s, fp *cells) {
    const fp fifteen = fp_from_u32(15);
    const v8_split ones = v8_split_set1(FP_ONE), low_ones = v8_split_of(v8_with_first(v8_set1(FP_ONE), 0));
    const v8_split low_diagonal = v8_split_of(v8_with_first(v8_loadu(poseidon2_diagonal), 0));
    const v8_split high_diagonal = v8_split_of(v8_loadu(poseidon2_diagonal + 8));
    fp first = v8_first(s.low);
    fp rest = fp_reduce(v8_wide_total(v8_wide_add(v8_wide_mul(v8_split_of(s.low), low_ones), v8_wide_mul(v8_split_of(s.high), ones))));
    for (int r = 0; r < POSEIDON2_INTERNAL_ROUNDS; r++) {
        const v8_wide low = v8_wide_mul(v8_split_of(s.low), low_diagonal), high = v8_wide_mul(v8_split_of(s.high), high_diagonal);
        const uint64_t weighted = v8_wide_total(v8_wide_add(low, high)); /* 2 p^2 < 2^32 p, its bound */
        fp cube;
        const fp y = seventh(fp_add(first, poseidon2_internal[r]), &cube);
        const fp total = fp_add(y, rest);
        first = fp_sub(rest, y);
        rest = fp_reduce(fp_trim(weighted + (uint64_t)fifteen * total));
        s.low = v8_add(v8_wide_reduce(low), v8_set1(total));
        s.high = v8_add(v8_wide_reduce(high), v8_set1(total));
        if (cells != NULL) {
            *cells++ = cube;
            *cells++ = y;
        }
    }
    s.low = v8_with_first(s.low, first);
    return s;
}

/* Unless `cells` is NULL, the row goes there, in Montgomery form. */
static ALWAYS_INLINE state16 permute(state16 s, fp *cells) {
    enum { HALF = 2 * POSEIDON2_HALF_EXTERNAL_ROUNDS * POSEIDON2_WIDTH, INNER = POSEIDON2_WIDTH + HALF };
    if (cells != NULL) {
        v8_storeu(cells, s.low);
        v8_storeu(cells + 8, s.high);
    }
    s = external_rounds(external_layer(s), poseidon2_external, cells == NULL ? NULL : cells + POSEIDON2_WIDTH);
    s = internal_rounds(s, cells == NULL ? NULL : cells + INNER);
    return external_rounds(s, poseidon2_external + POSEIDON2_HALF_EXTERNAL_ROUNDS,
                           cells == NULL ? NULL : cells + INNER + 2 * POSEIDON2_INTERNAL_ROUNDS);
}

static void advance(fp state[POSEIDON2_WIDTH], size_t count) {
    state16 s = {v8_loadu(state), v8_loadu(state + 8)};
    for (size_t n = 0; n < count; n++) s = permute(s, NULL);
    v8_storeu(state, s.low);
    v8_storeu(state + 8, s.high);
}

static void rows(fp state[POSEIDON2_WIDTH], uint32_t *trace, size_t stride, size_t count, fp *cells) {
    state16 s = {v8_loadu(state), v8_loadu(state + 8)};
    for (size_t n = 0; n < count; n++) s = permute(s, cells + n * APR_POSEIDON2_ROW);
    v8_storeu(state, s.low);
    v8_storeu(state + 8, s.high);
    for (size_t c = 0; c < APR_POSEIDON2_COLUMNS; c += 8)
        for (size_t n = 0; n < count; n += 8) {
            v8 r[8];
            for (size_t i = 0; i < 8; i++) r[i] = v8_canonical(v8_loadu(cells + (n + i) * APR_POSEIDON2_ROW + c));
            v8_transpose(r);
            for (size_t i = 0; i < 8 && c + i < APR_POSEIDON2_COLUMNS; i++) {
                uint32_t *to = trace + (c + i) * stride + n;
                if (count - n >= 8) v8_storeu(to, r[i]);
                else memcpy(to, &r[i], 4 * (count - n));
            }
        }
}

const apr_poseidon2_kernels VEC_NAME(apr_poseidon2_kernels) = {advance, rows};
