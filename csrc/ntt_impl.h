/* Number-theoretic transforms, written once over the vectors of vec_*.h.
 *
 * evaluate goes from bit-reversed coefficients to values in natural order (decimation in time): in the stage of half-size
 * d, of the log_n stages d = 1, 2, 4, .., n/2, position i < d of a block of 2d meets position i + d with the factor
 * shift^(n/2d) * root(2d)^i. interpolate undoes the stages in the opposite order. Neither moves a word that it need not.
 *
 * A transform has two levels, each with a loop that stays in a cache:
 *   blocks   of up to 2^BLOCK_LOG contiguous words, with all factors from a table of them (ntt_block_impl.h);
 *   columns  of the matrix whose rows are the blocks, in strips of 16. A column is a transform of its own, on the coset of
 *            the column's point: the point enters the first two stages and one multiplication after them, and all later
 *            factors are single words, the same in all columns. (Large ones have two such levels.)
 */
#include "poly_internal.h"

enum {
    BLOCK_LOG = APR_TABLE_LOG,
    BLOCK_TABLE = (APR_FACTORS << (BLOCK_LOG - 1)) + 32, /* words: apr_table_words(BLOCK_LOG) */
    PART_LOG = 16, /* words of a part, which stays in the second cache */
    ROWS_LOG = 10,
    STRIP = 16,
    POLL_WORDS = 1 << 17
};

/* Polls every POLL_WORDS words of a long operation. */
static int stop_at(size_t done, size_t total, apr_poll poll, void *context) {
    return total >= POLL_WORDS && done % POLL_WORDS == 0 && stopped(poll, context);
}

#include "ntt_block_impl.h"

/* A matrix of which a strip of 16 columns is worked on: the strip's first word, and the words from one row to the next. */
typedef struct {
    uint32_t *words;
    size_t stride;
} strip;

/* What depends on the point x of each of a strip's columns, in a transform of R = 2^log_rows rows: the factors of the stages
 * 1 and 2, where t1 = x^(R/2) and t2 = x^(R/4), and x^bitrev(k) for the group of rows 4k .. 4k+3, k < R/4. */
enum { GROUPS = 1 << (ROWS_LOG - 2) };
typedef struct {
    v8 first[2][APR_FACTORS], group[GROUPS][2];
} strip_points;

/* The same for one point; root4 is left out for w^16, by which the points of a strip become those of the next. */
typedef struct {
    fp first[APR_FACTORS], group[GROUPS];
} point_powers;

static void point_powers_init(point_powers *powers, fp x, uint32_t log_rows, fp root4) {
    /* bitrev(k) over log_rows - 2 bits: the top bit of k stands for x^1, the next for x^2, .. */
    const size_t groups = (size_t)1 << (log_rows - 2);
    powers->group[0] = FP_ONE;
    for (size_t half = groups / 2; half != 0; half /= 2, x = fp_sqr(x)) powers->group[half] = x;
    for (size_t k = 2; k < groups; k *= 2)
        for (size_t j = 1; j < k; j++) powers->group[k + j] = fp_mul(powers->group[k], powers->group[j]);
    const fp t2 = x, t1 = fp_sqr(t2), t3 = fp_mul(t1, t2);
    const fp t[APR_FACTORS] = {t1, t2, t3, fp_mul(root4, t2), root4 == FP_ONE ? t3 : fp_neg(fp_mul(root4, t3))};
    for (int f = 0; f < APR_FACTORS; f++) powers->first[f] = t[f];
}

/* The first strip: the points x w^i, i < 16. */
static void strip_points_init(strip_points *points, fp x, fp w, uint32_t log_rows, fp root4) {
    for (int i = 0; i < STRIP; i++, x = fp_mul(x, w)) {
        point_powers powers;
        point_powers_init(&powers, x, log_rows, root4);
        for (int f = 0; f < APR_FACTORS; f++) ((uint32_t *)&points->first[i / 8][f])[i % 8] = powers.first[f];
        for (size_t k = 0; k < (size_t)1 << (log_rows - 2); k++) ((uint32_t *)&points->group[k][i / 8])[i % 8] = powers.group[k];
    }
}

static void strip_points_next(strip_points *points, const point_powers *step, uint32_t log_rows) {
    for (int v = 0; v < 2; v++) {
        for (int f = 0; f < APR_FACTORS; f++) points->first[v][f] = v8_mul(points->first[v][f], v8_set1(step->first[f]));
        for (size_t k = 1; k < (size_t)1 << (log_rows - 2); k++)
            points->group[k][v] = v8_mul(points->group[k][v], v8_set1(step->group[k]));
    }
}

static ALWAYS_INLINE factors strip_first_factors(const strip_points *points, int v) {
    factors t;
    for (int f = 0; f < APR_FACTORS; f++) t.f[f] = v8_split_of(points->first[v][f]);
    return t;
}

static void strip_evaluate(strip matrix, strip buffer, uint32_t log_rows, const strip_points *points, const uint32_t *table) {
    const size_t rows = (size_t)1 << log_rows;
    const factors first[2] = {strip_first_factors(points, 0), strip_first_factors(points, 1)};
    for (size_t k = 0; k < rows / 4; k++) {
        const strip to = rows == 4 ? matrix : buffer;
        for (int v = 0; v < 2; v++) {
            v8 x[4];
            load_four(x, matrix.words + 4 * k * matrix.stride + 8 * v, matrix.stride);
            evaluate_four(x, &first[v]);
            if (k != 0)
                for (int m = 0; m < 4; m++) x[m] = v8_mul(x[m], points->group[k][v]);
            store_four(to.words + 4 * k * to.stride + 8 * v, to.stride, x);
        }
    }
    for (size_t d = 4; d < rows; d *= 4) {
        const strip to = 4 * d == rows ? matrix : buffer;
        for (size_t i = 0; i < d; i++) {
            const factors t = factors_set1(table, d, i);
            for (size_t r = i; r < rows; r += 4 * d)
                for (int v = 0; v < 2; v++) {
                    v8 x[4];
                    load_four(x, buffer.words + r * buffer.stride + 8 * v, d * buffer.stride);
                    evaluate_four(x, &t);
                    store_four(to.words + r * to.stride + 8 * v, d * to.stride, x);
                }
        }
    }
}

static void strip_interpolate(strip matrix, strip buffer, uint32_t log_rows, const strip_points *points, const uint32_t *table) {
    const size_t rows = (size_t)1 << log_rows;
    for (size_t d = rows / 4; d >= 4; d /= 4) {
        const strip from = 4 * d == rows ? matrix : buffer;
        for (size_t i = 0; i < d; i++) {
            const factors t = factors_set1(table, d, i);
            for (size_t r = i; r < rows; r += 4 * d)
                for (int v = 0; v < 2; v++) {
                    v8 x[4];
                    load_four(x, from.words + r * from.stride + 8 * v, d * from.stride);
                    interpolate_four(x, &t);
                    store_four(buffer.words + r * buffer.stride + 8 * v, d * buffer.stride, x);
                }
        }
    }
    const factors first[2] = {strip_first_factors(points, 0), strip_first_factors(points, 1)};
    for (size_t k = 0; k < rows / 4; k++) {
        const strip from = rows == 4 ? matrix : buffer;
        for (int v = 0; v < 2; v++) {
            v8 x[4];
            load_four(x, from.words + 4 * k * from.stride + 8 * v, from.stride);
            if (k != 0)
                for (int m = 0; m < 4; m++) x[m] = v8_mul(x[m], points->group[k][v]);
            interpolate_four(x, &first[v]);
            store_four(matrix.words + 4 * k * matrix.stride + 8 * v, matrix.stride, x);
        }
    }
}

/* All stages of a matrix of 2^log_rows rows (log_rows even, at least 2) of `columns` words, whose points are shift * w^column;
 * for interpolation the inverses of the points, and the table of inverse roots. */
static int transform_columns(int interpolation, uint32_t *words, size_t columns, uint32_t log_rows, fp shift, fp w, fp root4,
                             const uint32_t *table, apr_poll poll, void *context) {
    uint32_t memory[STRIP << ROWS_LOG];
    strip_points points;
    point_powers step;
    strip_points_init(&points, shift, w, log_rows, root4);
    point_powers_init(&step, fp_sqr_times(w, 4), log_rows, FP_ONE);
    for (size_t i = 0; i < columns; i += STRIP) {
        if (stop_at(i << log_rows, columns << log_rows, poll, context)) return 1;
        const strip matrix = {words + i, columns}, buffer = {memory, STRIP};
        if (interpolation) strip_interpolate(matrix, buffer, log_rows, &points, table);
        else strip_evaluate(matrix, buffer, log_rows, &points, table);
        strip_points_next(&points, &step, log_rows);
    }
    return 0;
}

/* Transforms of less than a vector. */
static void evaluate_tiny(uint32_t *out, const uint32_t *in, uint32_t log_n, fp shift) {
    const size_t n = (size_t)1 << log_n;
    for (size_t i = 0; i < n; i++) out[i] = in[i];
    for (uint32_t s = 1; s <= log_n; s++) {
        const size_t d = (size_t)1 << (s - 1);
        fp t = fp_sqr_times(shift, log_n - s);
        for (size_t i = 0; i < d; i++, t = fp_mul(t, apr_roots[2]))
            for (size_t b = i; b < n; b += 2 * d) {
                const fp u = out[b], v = fp_mul(out[b + d], t);
                out[b] = fp_add(u, v);
                out[b + d] = fp_sub(u, v);
            }
    }
}

static void interpolate_tiny(uint32_t *x, uint32_t log_n, fp inverse_shift) {
    const size_t n = (size_t)1 << log_n;
    const fp scale = apr_inverse_size(log_n);
    for (uint32_t s = log_n; s > 0; s--) {
        const size_t d = (size_t)1 << (s - 1);
        fp t = fp_sqr_times(inverse_shift, log_n - s);
        for (size_t i = 0; i < d; i++, t = fp_mul(t, apr_inverse_roots[2]))
            for (size_t b = i; b < n; b += 2 * d) {
                const fp u = x[b], v = x[b + d];
                x[b] = fp_add(u, v);
                x[b + d] = fp_mul(fp_sub(u, v), t);
            }
    }
    for (size_t i = 0; i < n; i++) x[i] = fp_mul(x[i], scale);
}

/* How the stages are shared out: blocks take so many that those left are even in number; the middle level makes parts of them; the
 * outer level takes the rest, few rows far apart, so that their strips are streams. With the rows of both in one level a strip would be
 * a line from each of hundreds of pages a power of two apart, which no cache holds: half as fast on what comes from memory. */
typedef struct {
    uint32_t block, middle, outer;
} levels;

static levels levels_of(uint32_t log_n) {
    if (log_n <= BLOCK_LOG) return (levels){log_n, 0, 0};
    const uint32_t block = BLOCK_LOG - (log_n - BLOCK_LOG) % 2, rest = log_n - block;
    if (log_n <= PART_LOG) return (levels){block, 0, rest};
    const uint32_t least = (PART_LOG - block) & ~1u, middle = rest - least > ROWS_LOG ? rest - ROWS_LOG : least;
    return (levels){block, middle, rest - middle};
}

/* The blocks, and the middle level. */
static int evaluate_parts(const apr_twiddles *tw, uint32_t *out, size_t out_stride, const uint32_t *in, size_t stride,
                          size_t columns, uint32_t log_n, fp shift, apr_poll poll, void *context) {
    uint32_t memory[BLOCK_TABLE];
    const levels l = levels_of(log_n);
    const fp middle_shift = fp_sqr_times(shift, l.outer);
    const uint32_t *table = coset_table(memory, tw->words, l.block, fp_sqr_times(middle_shift, l.middle));
    const size_t n = (size_t)1 << log_n, block = (size_t)1 << l.block, part = block << l.middle;
    if (log_n < 6) {
        evaluate_small(out, out_stride, in, stride, columns, log_n, table);
        return 0;
    }
    for (size_t c = 0; c < columns; c++)
        for (size_t i = 0; i < n; i += part) {
            uint32_t *at = out + c * out_stride + i;
            for (size_t j = 0; j < part; j += block) {
                if (stop_at(c * n + i + j, columns * n, poll, context)) return 1;
                evaluate_block(at + j, in + c * stride + i + j, l.block, table);
            }
            if (l.middle != 0)
                transform_columns(0, at, block, l.middle, middle_shift, apr_roots[l.block + l.middle], apr_roots[2], tw->words,
                                  NULL, NULL);
        }
    return 0;
}

static int evaluate_columns(const apr_twiddles *tw, uint32_t *out, size_t out_stride, const uint32_t *coefficients, size_t stride,
                            size_t columns, uint32_t log_n, fp shift, apr_poll poll, void *context) {
    if (log_n < 3) {
        for (size_t c = 0; c < columns; c++) evaluate_tiny(out + c * out_stride, coefficients + c * stride, log_n, shift);
        return 0;
    }
    const levels l = levels_of(log_n);
    if (evaluate_parts(tw, out, out_stride, coefficients, stride, columns, log_n, shift, poll, context)) return 1;
    const size_t n = (size_t)1 << log_n;
    for (size_t c = 0; c < columns && l.outer != 0; c++)
        if ((n < POLL_WORDS && stop_at(c * n, columns * n, poll, context)) ||
            transform_columns(0, out + c * out_stride, n >> l.outer, l.outer, shift, apr_roots[log_n], apr_roots[2],
                              tw->words, poll, context))
            return 1;
    return 0;
}

static int evaluate(const apr_twiddles *tw, uint32_t *out, const uint32_t *coefficients, uint32_t log_n, fp shift,
                    apr_poll poll, void *context) {
    return evaluate_columns(tw, out, 0, coefficients, 0, 1, log_n, shift, poll, context);
}

static int interpolate_parts(const apr_twiddles *tw, uint32_t *x, size_t stride, size_t columns, uint32_t log_n,
                             fp inverse_shift, apr_poll poll, void *context) {
    uint32_t memory[BLOCK_TABLE];
    const levels l = levels_of(log_n);
    const uint32_t *plain = apr_inverse_table(tw);
    const fp middle_shift = fp_sqr_times(inverse_shift, l.outer);
    const uint32_t *table = coset_table(memory, plain, l.block, fp_sqr_times(middle_shift, l.middle));
    const size_t n = (size_t)1 << log_n, block = (size_t)1 << l.block, part = block << l.middle;
    const fp scale = apr_inverse_size(log_n);
    if (log_n < 6) {
        interpolate_small(x, stride, columns, log_n, table, scale);
        return 0;
    }
    for (size_t c = 0; c < columns; c++)
        for (size_t i = 0; i < n; i += part) {
            uint32_t *at = x + c * stride + i;
            if (l.middle != 0)
                transform_columns(1, at, block, l.middle, middle_shift, apr_inverse_roots[l.block + l.middle],
                                  apr_inverse_roots[2], plain, NULL, NULL);
            for (size_t j = 0; j < part; j += block) {
                if (stop_at(c * n + i + j, columns * n, poll, context)) return 1;
                interpolate_block(at + j, l.block, table, scale);
            }
        }
    return 0;
}

static int interpolate_columns(const apr_twiddles *tw, uint32_t *x, size_t stride, size_t columns, uint32_t log_n,
                               fp inverse_shift, apr_poll poll, void *context) {
    if (log_n < 3) {
        for (size_t c = 0; c < columns; c++) interpolate_tiny(x + c * stride, log_n, inverse_shift);
        return 0;
    }
    const levels l = levels_of(log_n);
    const size_t n = (size_t)1 << log_n;
    for (size_t c = 0; c < columns && l.outer != 0; c++)
        if ((n < POLL_WORDS && stop_at(c * n, columns * n, poll, context)) ||
            transform_columns(1, x + c * stride, n >> l.outer, l.outer, inverse_shift, apr_inverse_roots[log_n],
                              apr_inverse_roots[2], apr_inverse_table(tw), poll, context))
            return 1;
    return interpolate_parts(tw, x, stride, columns, log_n, inverse_shift, poll, context);
}

static int interpolate(const apr_twiddles *tw, uint32_t *x, uint32_t log_n, apr_poll poll, void *context) {
    return interpolate_columns(tw, x, 0, 1, log_n, FP_ONE, poll, context);
}
