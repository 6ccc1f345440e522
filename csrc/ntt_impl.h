/* Number-theoretic transforms, written once over the vectors of vec_*.h.
 *
 * evaluate goes from bit-reversed coefficients to values in natural order (decimation in time): in the stage of half-size
 * d, of the log_n stages d = 1, 2, 4, .., n/2, position i < d of a block of 2d meets position i + d with the factor
 * shift^(n/2d) * root(2d)^i. interpolate undoes the stages in the opposite order. Neither moves a word that it need not.
 *
 * The stages d and 2d are done together. With the factors t1 of stage d, t2 of stage 2d at i, t3 = t1 t2, and r = root(4), so
 * that r t2 is the factor of stage 2d at i + d, the four positions a, b, c, e become
 *
 *   (a + t1 b) + (t2 c + t3 e),  (a - t1 b) + (r t2 c - r t3 e),  (a + t1 b) - (t2 c + t3 e),  (a - t1 b) - (r t2 c - r t3 e):
 *
 * five products but three reductions, since the sum of two products is below 2 p^2 < p * 2^32.
 *
 * A transform has two levels, each with a loop that stays in a cache:
 *   blocks   of up to 2^BLOCK_LOG contiguous words, with all factors from a table of them;
 *   columns  of the matrix whose rows are the blocks, in strips of 16. A column is a transform of its own, on the coset of
 *            the column's point: the point enters the first two stages and one multiplication after them, and all later
 *            factors are single words, the same in all columns. (Very large ones have two such levels.)
 */
#include "poly_internal.h"

enum {
    BLOCK_LOG = APR_TABLE_LOG,
    BLOCK_TABLE = (APR_FACTORS << (BLOCK_LOG - 1)) + 32, /* words: apr_table_words(BLOCK_LOG) */
    ROWS_LOG = 10,
    STRIP = 16,
    POLL_WORDS = 1 << 17
};

/* Polls every POLL_WORDS words of a long operation. */
static int stop_at(size_t done, size_t total, apr_poll poll, void *context) {
    return total >= POLL_WORDS && done % POLL_WORDS == 0 && stopped(poll, context);
}

/* t1, t2, t3, r t2, -r t3 */
typedef struct {
    v8_split f[APR_FACTORS];
} factors;

static ALWAYS_INLINE factors factors_load(const uint32_t *p) {
    factors t;
    for (int f = 0; f < APR_FACTORS; f++) t.f[f] = v8_split_load(p + 8 * f);
    return t;
}

/* The factors of one i for all lanes. */
static ALWAYS_INLINE factors factors_set1(const uint32_t *table, size_t d, size_t i) {
    const uint32_t *p = table + apr_factors_at(d) + APR_FACTORS * (i & ~(size_t)7) + (i & 7);
    factors t;
    for (int f = 0; f < APR_FACTORS; f++) t.f[f] = v8_split_set1(p[8 * f]);
    return t;
}

static ALWAYS_INLINE void evaluate_four(v8 x[4], const factors *t) {
    const v8_split b = v8_split_of(x[1]), c = v8_split_of(x[2]), e = v8_split_of(x[3]);
    v8 plus = x[0], minus;
    v8_wide_butterfly(&plus, &minus, v8_wide_mul(b, t->f[0]));
    x[0] = plus;
    v8_wide_butterfly(&x[0], &x[2], v8_wide_add(v8_wide_mul(c, t->f[1]), v8_wide_mul(e, t->f[2])));
    x[1] = minus;
    v8_wide_butterfly(&x[1], &x[3], v8_wide_add(v8_wide_mul(c, t->f[3]), v8_wide_mul(e, t->f[4])));
}

/* The same backwards, up to the factor 4: with inverse factors. */
static ALWAYS_INLINE void interpolate_four(v8 x[4], const factors *t) {
    v8 ac = v8_add(x[0], x[2]), be = v8_add(x[1], x[3]);
    const v8_split c = v8_split_of(v8_sub(x[0], x[2])), e = v8_split_of(v8_sub(x[1], x[3]));
    x[0] = ac;
    x[1] = be;
    v8_butterfly_interpolate(&x[0], &x[1], t->f[0]);
    x[2] = v8_wide_reduce(v8_wide_add(v8_wide_mul(c, t->f[1]), v8_wide_mul(e, t->f[3])));
    x[3] = v8_wide_reduce(v8_wide_add(v8_wide_mul(c, t->f[2]), v8_wide_mul(e, t->f[4])));
}

static ALWAYS_INLINE void load_four(v8 x[4], const uint32_t *p, size_t d) {
    for (int k = 0; k < 4; k++) x[k] = v8_loadu(p + (size_t)k * d);
}
static ALWAYS_INLINE void store_four(uint32_t *p, size_t d, const v8 x[4]) {
    for (int k = 0; k < 4; k++) v8_storeu(p + (size_t)k * d, x[k]);
}

/* Eight vectors of eight words, wherever they are; four of them make 32 words of one transform, or some smaller transforms. In
 * low[k] are the first four words of vectors k and k + 4, in high[k] the other four: so the halves of these registers never
 * meet, and v8_transpose_halves is all the shuffling that the stages 1, 2 and 4 need. */
typedef struct {
    v8 low[4], high[4];
} octet;

static ALWAYS_INLINE octet octet_load(uint32_t *const at[8]) {
    octet x;
    for (int k = 0; k < 4; k++) {
        x.low[k] = v8_load_halves(at[k], at[k + 4]);
        x.high[k] = v8_load_halves(at[k] + 4, at[k + 4] + 4);
    }
    return x;
}

static ALWAYS_INLINE void octet_store(uint32_t *const at[8], const octet *x) {
    for (int k = 0; k < 4; k++) {
        v8_store_halves(at[k], at[k + 4], x->low[k]);
        v8_store_halves(at[k] + 4, at[k + 4] + 4, x->high[k]);
    }
}

static ALWAYS_INLINE v8_split split_halves(const uint32_t *p) { return v8_split_of(v8_load_halves(p, p)); }

/* Factors of the stages in an octet. The step of stages 1 and 2 is all lanes'; stage 4 joins position j of the low words with
 * position j of the high ones; the stages from 8 on go from vector to vector. `last` is 4, 8 or 16. */
typedef struct {
    factors first;
    v8_split four[4], eight[2];
    factors both[2]; /* of 8 and 16 */
} octet_factors;

static ALWAYS_INLINE octet_factors octet_factors_load(const uint32_t *table, int last) {
    octet_factors r;
    for (int f = 0; f < APR_FACTORS; f++) r.first.f[f] = v8_split_set1(table[f]);
    for (int j = 0; j < 4; j++) r.four[j] = v8_split_set1(table[APR_STAGE_4 + j]);
    for (int h = 0; h < 2; h++) {
        if (last == 8) r.eight[h] = split_halves(table + APR_STAGE_8 + 4 * h);
        if (last == 16)
            for (int f = 0; f < APR_FACTORS; f++) r.both[h].f[f] = split_halves(table + apr_factors_at(8) + 8 * f + 4 * h);
    }
    return r;
}

static ALWAYS_INLINE void octet_evaluate(octet *x, const octet_factors *t, int last) {
    v8_transpose_halves(x->low);
    v8_transpose_halves(x->high);
    evaluate_four(x->low, &t->first);
    evaluate_four(x->high, &t->first);
    for (int j = 0; j < 4; j++) v8_butterfly_evaluate(&x->low[j], &x->high[j], t->four[j]);
    v8_transpose_halves(x->low);
    v8_transpose_halves(x->high);
    if (last == 8)
        for (int k = 0; k < 4; k += 2) {
            v8_butterfly_evaluate(&x->low[k], &x->low[k + 1], t->eight[0]);
            v8_butterfly_evaluate(&x->high[k], &x->high[k + 1], t->eight[1]);
        }
    if (last == 16) {
        evaluate_four(x->low, &t->both[0]);
        evaluate_four(x->high, &t->both[1]);
    }
}

/* The same backwards, and a scaling: t->first has the scale in it, but no factor stands before the first of the four. */
static ALWAYS_INLINE void octet_interpolate(octet *x, const octet_factors *t, int last, v8_split scale) {
    if (last == 8)
        for (int k = 0; k < 4; k += 2) {
            v8_butterfly_interpolate(&x->low[k], &x->low[k + 1], t->eight[0]);
            v8_butterfly_interpolate(&x->high[k], &x->high[k + 1], t->eight[1]);
        }
    if (last == 16) {
        interpolate_four(x->low, &t->both[0]);
        interpolate_four(x->high, &t->both[1]);
    }
    v8_transpose_halves(x->low);
    v8_transpose_halves(x->high);
    for (int j = 0; j < 4; j++) v8_butterfly_interpolate(&x->low[j], &x->high[j], t->four[j]);
    interpolate_four(x->low, &t->first);
    interpolate_four(x->high, &t->first);
    x->low[0] = v8_wide_reduce(v8_wide_mul(v8_split_of(x->low[0]), scale));
    x->high[0] = v8_wide_reduce(v8_wide_mul(v8_split_of(x->high[0]), scale));
    v8_transpose_halves(x->low);
    v8_transpose_halves(x->high);
}

static ALWAYS_INLINE void octet_at(uint32_t *at[8], uint32_t *p) {
    for (int k = 0; k < 8; k++) at[k] = p + 8 * k;
}

/* The octets of all of a block of n >= 64 words. */
static ALWAYS_INLINE void evaluate_octets(uint32_t *out, const uint32_t *in, size_t n, const uint32_t *table, int last) {
    const octet_factors t = octet_factors_load(table, last);
    for (size_t i = 0; i < n; i += 64) {
        uint32_t *to[8], *from[8];
        octet_at(to, out + i);
        octet_at(from, (uint32_t *)(uintptr_t)(in + i));
        octet x = octet_load(from);
        octet_evaluate(&x, &t, last);
        octet_store(to, &x);
    }
}

static ALWAYS_INLINE void interpolate_octets(uint32_t *out, size_t n, const uint32_t *table, int last, fp scale) {
    octet_factors t = octet_factors_load(table, last);
    const v8_split scales = v8_split_set1(scale);
    for (int f = 0; f < APR_FACTORS; f++) t.first.f[f] = v8_split_set1(fp_mul(table[f], scale));
    for (size_t i = 0; i < n; i += 64) {
        uint32_t *at[8];
        octet_at(at, out + i);
        octet x = octet_load(at);
        octet_interpolate(&x, &t, last, scales);
        octet_store(at, &x);
    }
}

static void evaluate_block(uint32_t *out, const uint32_t *in, uint32_t log_n, const uint32_t *table) {
    const size_t n = (size_t)1 << log_n;
    if (log_n % 2 == 0) evaluate_octets(out, in, n, table, 8);
    else evaluate_octets(out, in, n, table, 16);
    for (size_t d = log_n % 2 == 0 ? 16 : 32; d < n; d *= 4)
        for (uint32_t *at = out; at < out + n; at += 4 * d) {
            const uint32_t *f = table + apr_factors_at(d);
            for (size_t i = 0; i < d; i += 8, f += APR_FACTORS * 8) {
                const factors t = factors_load(f);
                v8 x[4];
                load_four(x, at + i, d);
                evaluate_four(x, &t);
                store_four(at + i, d, x);
            }
        }
}

/* scale: what every coefficient is multiplied with. */
static void interpolate_block(uint32_t *out, uint32_t log_n, const uint32_t *table, fp scale) {
    const size_t n = (size_t)1 << log_n;
    for (size_t d = n / 4; d >= 16; d /= 4)
        for (uint32_t *at = out; at < out + n; at += 4 * d) {
            const uint32_t *f = table + apr_factors_at(d);
            for (size_t i = 0; i < d; i += 8, f += APR_FACTORS * 8) {
                const factors t = factors_load(f);
                v8 x[4];
                load_four(x, at + i, d);
                interpolate_four(x, &t);
                store_four(at + i, d, x);
            }
        }
    if (log_n % 2 == 0) interpolate_octets(out, n, table, 8, scale);
    else interpolate_octets(out, n, table, 16, scale);
}

/* Transforms of 8, 16 or 32 words: an octet holds some columns of them, the last one repeated if need be. */
static ALWAYS_INLINE void small_octet_at(uint32_t *at[8], uint32_t *x, size_t stride, size_t columns, size_t first, size_t n) {
    for (size_t k = 0; k < 8; k++) {
        const size_t column = first + 8 * k / n;
        at[k] = x + (column < columns ? column : columns - 1) * stride + (8 * k & (n - 1));
    }
}

static ALWAYS_INLINE void evaluate_small_last(uint32_t *out, size_t out_stride, const uint32_t *in, size_t stride, size_t columns,
                                       uint32_t log_n, const uint32_t *table, int last) {
    const size_t n = (size_t)1 << log_n;
    const octet_factors t = octet_factors_load(table, last);
    for (size_t c = 0; c < columns; c += 64 / n) {
        uint32_t *from[8], *to[8];
        small_octet_at(from, (uint32_t *)(uintptr_t)in, stride, columns, c, n);
        small_octet_at(to, out, out_stride, columns, c, n);
        octet x = octet_load(from);
        octet_evaluate(&x, &t, last);
        octet_store(to, &x);
    }
}

static ALWAYS_INLINE void interpolate_small_last(uint32_t *out, size_t stride, size_t columns, uint32_t log_n, const uint32_t *table,
                                          fp scale, int last) {
    const size_t n = (size_t)1 << log_n;
    octet_factors t = octet_factors_load(table, last);
    const v8_split scales = v8_split_set1(scale);
    for (int f = 0; f < APR_FACTORS; f++) t.first.f[f] = v8_split_set1(fp_mul(table[f], scale));
    for (size_t c = 0; c < columns; c += 64 / n) {
        uint32_t *at[8];
        small_octet_at(at, out, stride, columns, c, n);
        octet x = octet_load(at);
        octet_interpolate(&x, &t, last, scales);
        octet_store(at, &x);
    }
}

static void evaluate_small(uint32_t *out, size_t out_stride, const uint32_t *in, size_t stride, size_t columns, uint32_t log_n,
                           const uint32_t *table) {
    if (log_n == 3) evaluate_small_last(out, out_stride, in, stride, columns, log_n, table, 4);
    else if (log_n == 4) evaluate_small_last(out, out_stride, in, stride, columns, log_n, table, 8);
    else evaluate_small_last(out, out_stride, in, stride, columns, log_n, table, 16);
}

static void interpolate_small(uint32_t *x, size_t stride, size_t columns, uint32_t log_n, const uint32_t *table, fp scale) {
    if (log_n == 3) interpolate_small_last(x, stride, columns, log_n, table, scale, 4);
    else if (log_n == 4) interpolate_small_last(x, stride, columns, log_n, table, scale, 8);
    else interpolate_small_last(x, stride, columns, log_n, table, scale, 16);
}

/* The table of a block on a coset: the factors of stage d are scaled by shift^(n/2d), where n = 2^log_n. */
static const uint32_t *coset_table(uint32_t *table, const uint32_t *plain, uint32_t log_n, fp shift) {
    if (shift == FP_ONE) return plain;
    fp outer = shift; /* shift^(n/4d), of stage 2d */
    for (size_t d = (size_t)1 << (log_n - 2); d >= 8; d /= 4) {
        const fp inner = fp_sqr(outer);
        const v8 s1 = v8_set1(inner), s2 = v8_set1(outer), s3 = v8_set1(fp_mul(inner, outer)), s[APR_FACTORS] = {s1, s2, s3, s2, s3};
        const uint32_t *from = plain + apr_factors_at(d);
        uint32_t *to = table + apr_factors_at(d);
        for (size_t i = 0; i < d; i += 8)
            for (int f = 0; f < APR_FACTORS; f++, from += 8, to += 8) v8_storeu(to, v8_mul(v8_loadu(from), s[f]));
        outer = fp_sqr(inner);
        *to = 0; /* read with the last vector */
    }
    if (log_n > 3 && log_n % 2 == 0) {
        v8_storeu(table + APR_STAGE_8, v8_mul(v8_loadu(plain + APR_STAGE_8), v8_set1(outer)));
        outer = fp_sqr(outer);
    }
    for (int i = 0; i < 4; i++) table[APR_STAGE_4 + i] = fp_mul(plain[APR_STAGE_4 + i], outer);
    const fp s2 = fp_sqr(outer), s1 = fp_sqr(s2), s3 = fp_mul(s1, s2), s[APR_FACTORS] = {s1, s2, s3, s2, s3};
    for (int f = 0; f < APR_FACTORS; f++) table[f] = fp_mul(plain[f], s[f]);
    return table;
}

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

/* How the stages are shared out: blocks take so many that those left are even in number; of these the last level takes as
 * many as a strip may have rows, and one in between the rest. */
typedef struct {
    uint32_t block, middle, outer;
} levels;

static levels levels_of(uint32_t log_n) {
    if (log_n <= BLOCK_LOG) return (levels){log_n, 0, 0};
    const uint32_t block = BLOCK_LOG - (log_n - BLOCK_LOG) % 2, rest = log_n - block;
    const uint32_t outer = rest < ROWS_LOG ? rest : ROWS_LOG;
    return (levels){block, rest - outer, outer};
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
