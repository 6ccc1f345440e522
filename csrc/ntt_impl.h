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
    ROWS_LOG = 10,
    STRIP = 16
};

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

/* matrix may be values. */
static void strip_interpolate(strip matrix, strip values, strip buffer, uint32_t log_rows, const strip_points *points, const uint32_t *table) {
    const size_t rows = (size_t)1 << log_rows;
    for (size_t d = rows / 4; d >= 4; d /= 4) {
        const strip from = 4 * d == rows ? values : buffer;
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
        const strip from = rows == 4 ? values : buffer;
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

/* All stages of some columns, from `first` on, of a matrix of 2^log_rows rows (log_rows even, at least 2) of `columns` words, whose
 * points are shift * w^column; for interpolation the inverses of the points, and the table of inverse roots. `to` may be `from`, and
 * is for evaluation. */
typedef struct {
    uint32_t *to;
    const uint32_t *from;
    size_t columns, first, count;
    uint32_t log_rows;
    fp shift, w, root4;
    const uint32_t *table;
} columns_job;

static void transform_columns(const columns_job *job, int interpolation) {
    uint32_t memory[STRIP << ROWS_LOG];
    const strip buffer = {memory, STRIP};
    strip_points points;
    point_powers step;
    strip_points_init(&points, fp_mul(job->shift, fp_pow(job->w, job->first)), job->w, job->log_rows, job->root4);
    point_powers_init(&step, fp_sqr_times(job->w, 4), job->log_rows, FP_ONE);
    for (size_t i = job->first; i < job->first + job->count; i += STRIP) {
        const strip matrix = {job->to + i, job->columns};
        if (interpolation) {
            const strip values = {(uint32_t *)(uintptr_t)(job->from + i), job->columns};
            strip_interpolate(matrix, values, buffer, job->log_rows, &points, job->table);
        } else strip_evaluate(matrix, buffer, job->log_rows, &points, job->table);
        strip_points_next(&points, &step, job->log_rows);
    }
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

static void interpolate_tiny(uint32_t *x, const uint32_t *values, uint32_t log_n, fp inverse_shift) {
    const size_t n = (size_t)1 << log_n;
    for (size_t i = 0; i < n; i++) x[i] = values[i];
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
    if (log_n <= APR_SLICE_LOG) return (levels){block, 0, rest};
    const uint32_t least = (APR_SLICE_LOG - block) & ~1u, middle = rest - least > ROWS_LOG ? rest - ROWS_LOG : least;
    return (levels){block, middle, rest - middle};
}

/* The blocks, and the middle level, of words `first` to `end`, which are whole parts. */
static void evaluate_parts(const apr_twiddles *tw, uint32_t *out, const uint32_t *in, const levels *l, const uint32_t *table,
                           fp middle_shift, size_t first, size_t end) {
    const size_t block = (size_t)1 << l->block, part = block << l->middle;
    for (size_t i = first; i < end; i += part) {
        for (size_t j = i; j < i + part; j += block) evaluate_block(out + j, in + j, l->block, table);
        const columns_job middle = {out + i, out + i, block, 0, block, l->middle, middle_shift, apr_roots[l->block + l->middle],
                                    apr_roots[2], tw->words};
        if (l->middle != 0) transform_columns(&middle, 0);
    }
}

static void evaluate_strips(const apr_twiddles *tw, uint32_t *x, uint32_t log_n, fp shift, uint32_t log_rows, size_t first, size_t count) {
    const columns_job job = {x, x, (size_t)1 << (log_n - log_rows), first, count, log_rows, shift, apr_roots[log_n], apr_roots[2], tw->words};
    transform_columns(&job, 0);
}

static void evaluate_columns(const apr_twiddles *tw, uint32_t *out, size_t out_stride, const uint32_t *coefficients, size_t stride,
                             size_t columns, uint32_t log_n, fp shift) {
    uint32_t memory[BLOCK_TABLE];
    if (log_n < 3) {
        for (size_t c = 0; c < columns; c++) evaluate_tiny(out + c * out_stride, coefficients + c * stride, log_n, shift);
        return;
    }
    const levels l = levels_of(log_n);
    const fp middle_shift = fp_sqr_times(shift, l.outer);
    const uint32_t *table = coset_table(memory, tw->words, l.block, fp_sqr_times(middle_shift, l.middle));
    if (log_n < 6) {
        evaluate_small(out, out_stride, coefficients, stride, columns, log_n, table);
        return;
    }
    for (size_t c = 0; c < columns; c++) {
        evaluate_parts(tw, out + c * out_stride, coefficients + c * stride, &l, table, middle_shift, 0, (size_t)1 << log_n);
        if (l.outer != 0) evaluate_strips(tw, out + c * out_stride, log_n, shift, l.outer, 0, (size_t)1 << (log_n - l.outer));
    }
}

static void evaluate_slice(const apr_twiddles *tw, uint32_t *out, const uint32_t *coefficients, uint32_t log_n, fp shift, int step,
                           size_t slice) {
    uint32_t memory[BLOCK_TABLE];
    const levels l = levels_of(log_n);
    const size_t words = (size_t)1 << APR_SLICE_LOG, strips = words >> l.outer;
    const fp middle_shift = fp_sqr_times(shift, l.outer);
    if (step == 0) {
        const uint32_t *table = coset_table(memory, tw->words, l.block, fp_sqr_times(middle_shift, l.middle));
        evaluate_parts(tw, out, coefficients, &l, table, middle_shift, slice * words, (slice + 1) * words);
    } else evaluate_strips(tw, out, log_n, shift, l.outer, slice * strips, strips);
}

static void evaluate(const apr_twiddles *tw, uint32_t *out, const uint32_t *coefficients, uint32_t log_n, fp shift) {
    evaluate_columns(tw, out, 0, coefficients, 0, 1, log_n, shift);
}

static void interpolate_strips(const apr_twiddles *tw, uint32_t *out, const uint32_t *values, uint32_t log_n, fp inverse_shift,
                               uint32_t log_rows, size_t first, size_t count) {
    const columns_job job = {out, values, (size_t)1 << (log_n - log_rows), first, count, log_rows, inverse_shift,
                             apr_inverse_roots[log_n], apr_inverse_roots[2], apr_inverse_table(tw)};
    transform_columns(&job, 1);
}

/* `out` may be `in`. */
static void interpolate_parts(const apr_twiddles *tw, uint32_t *out, const uint32_t *in, const levels *l, const uint32_t *table,
                              fp middle_shift, fp scale, size_t first, size_t end) {
    const size_t block = (size_t)1 << l->block, part = block << l->middle;
    for (size_t i = first; i < end; i += part) {
        const columns_job middle = {out + i, in + i, block, 0, block, l->middle, middle_shift, apr_inverse_roots[l->block + l->middle],
                                    apr_inverse_roots[2], apr_inverse_table(tw)};
        if (l->middle != 0) transform_columns(&middle, 1);
        const uint32_t *from = l->middle != 0 ? out : in;
        for (size_t j = i; j < i + part; j += block) interpolate_block(out + j, from + j, l->block, table, scale);
    }
}

static void interpolate_columns(const apr_twiddles *tw, uint32_t *out, size_t out_stride, const uint32_t *values, size_t stride,
                                size_t columns, uint32_t log_n, fp inverse_shift) {
    uint32_t memory[BLOCK_TABLE];
    if (log_n < 3) {
        for (size_t c = 0; c < columns; c++) interpolate_tiny(out + c * out_stride, values + c * stride, log_n, inverse_shift);
        return;
    }
    const levels l = levels_of(log_n);
    const fp middle_shift = fp_sqr_times(inverse_shift, l.outer), scale = apr_inverse_size(log_n);
    const uint32_t *table = coset_table(memory, apr_inverse_table(tw), l.block, fp_sqr_times(middle_shift, l.middle));
    if (log_n < 6) {
        interpolate_small(out, out_stride, values, stride, columns, log_n, table, scale);
        return;
    }
    for (size_t c = 0; c < columns; c++) {
        uint32_t *to = out + c * out_stride;
        const uint32_t *from = values + c * stride;
        if (l.outer != 0) {
            interpolate_strips(tw, to, from, log_n, inverse_shift, l.outer, 0, (size_t)1 << (log_n - l.outer));
            from = to;
        }
        interpolate_parts(tw, to, from, &l, table, middle_shift, scale, 0, (size_t)1 << log_n);
    }
}

static void interpolate_slice(const apr_twiddles *tw, uint32_t *out, const uint32_t *values, uint32_t log_n, fp inverse_shift, int step,
                              size_t slice) {
    uint32_t memory[BLOCK_TABLE];
    const levels l = levels_of(log_n);
    const size_t words = (size_t)1 << APR_SLICE_LOG, strips = words >> l.outer;
    const fp middle_shift = fp_sqr_times(inverse_shift, l.outer);
    if (step != 0) {
        const uint32_t *table = coset_table(memory, apr_inverse_table(tw), l.block, fp_sqr_times(middle_shift, l.middle));
        interpolate_parts(tw, out, out, &l, table, middle_shift, apr_inverse_size(log_n), slice * words, (slice + 1) * words);
    } else interpolate_strips(tw, out, values, log_n, inverse_shift, l.outer, slice * strips, strips);
}

static void interpolate(const apr_twiddles *tw, uint32_t *x, uint32_t log_n) {
    interpolate_columns(tw, x, 0, x, 0, 1, log_n, FP_ONE);
}
