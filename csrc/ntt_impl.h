/* Number-theoretic transforms, written once over the vectors of vec_*.h.
 *
 * evaluate goes from bit-reversed coefficients to values in natural order (decimation in time): in the stage of half-size
 * d, of the log_n stages d = 1, 2, 4, .., n/2, position i < d of a block of 2d meets position i + d with the factor
 * (shift^(n/2d)) * root(2d)^i. interpolate undoes the stages in the opposite order. Neither moves a word that it need not.
 *
 * A transform has up to three levels, each with a loop that stays in a cache:
 *   block    up to 2^12 contiguous words: all factors from a table of them, two stages at a time; the stages 1, 2, 4 within vectors;
 *   middle   16 blocks, which share the second-level cache: a strip of 16 columns of the matrix whose rows are the blocks;
 *   outer    the same with all of the rest, up to 2^8 rows.
 * In a strip a column is a transform of its own, on the coset of the column's point; so its factors are the point's powers
 * times the few roots that all columns share.
 */
#include "poly_internal.h"

enum { BLOCK_LOG = APR_TABLE_LOG, MIDDLE_LOG = 4, OUTER_LOG = 8, STRIP = 16 };

/* The factors of the stages 1, 2 and 4, laid out for pairs of vectors that v8_pick_* have interleaved. */
typedef struct {
    v8 one, two, four;
} first_stages;

static inline first_stages first_stages_of(v8 table) {
    return (first_stages){v8_permute(table, v8_set1(1)), v8_permute(table, v8_set(2, 2, 3, 3, 2, 2, 3, 3)),
                          v8_permute(table, v8_set(4, 4, 5, 5, 6, 6, 7, 7))};
}

static inline void evaluate_pair(v8 *x, v8 *y, first_stages t) {
    v8 a = v8_pick_even(*x, *y), b = v8_pick_odd(*x, *y);
    v8_butterfly_evaluate(&a, &b, t.one);
    v8 c = v8_pick_even(a, b), d = v8_pick_odd(a, b);
    v8_butterfly_evaluate(&c, &d, t.two);
    v8 e = v8_low_halves(c, d), f = v8_high_halves(c, d);
    v8_butterfly_evaluate(&e, &f, t.four);
    *x = v8_swap_middle(v8_pick_even(e, f));
    *y = v8_swap_middle(v8_pick_odd(e, f));
}

/* The stages 4, 2 and 1, and a scaling: t.four has the scale in it, and t.one is the scale alone. */
static inline void interpolate_pair(v8 *x, v8 *y, first_stages t) {
    v8 u = v8_swap_middle(*x), v = v8_swap_middle(*y);
    v8 e = v8_zip_low(u, v), f = v8_zip_high(u, v);
    v8_butterfly_interpolate(&e, &f, t.four);
    e = v8_mul(e, t.one);
    v8 c = v8_low_halves(e, f), d = v8_high_halves(e, f);
    v8_butterfly_interpolate(&c, &d, t.two);
    v8 a = v8_zip_low(c, d), b = v8_zip_high(c, d);
    v8_butterfly(&a, &b);
    *x = v8_zip_low(a, b);
    *y = v8_zip_high(a, b);
}

/* The stages d and 2d of a block. */
static void evaluate_two_stages(uint32_t *x, size_t n, size_t d, const uint32_t *table) {
    for (uint32_t *at = x; at < x + n; at += 4 * d)
        for (size_t i = 0; i < d; i += 8) {
            v8 t = v8_loadu(table + d + i);
            v8 a = v8_loadu(at + i), b = v8_loadu(at + d + i), c = v8_loadu(at + 2 * d + i), e = v8_loadu(at + 3 * d + i);
            v8_butterfly_evaluate(&a, &b, t);
            v8_butterfly_evaluate(&c, &e, t);
            v8_butterfly_evaluate(&a, &c, v8_loadu(table + 2 * d + i));
            v8_butterfly_evaluate(&b, &e, v8_loadu(table + 3 * d + i));
            v8_storeu(at + i, a), v8_storeu(at + d + i, b), v8_storeu(at + 2 * d + i, c), v8_storeu(at + 3 * d + i, e);
        }
}

static void interpolate_two_stages(uint32_t *x, size_t n, size_t d, const uint32_t *table) {
    for (uint32_t *at = x; at < x + n; at += 4 * d)
        for (size_t i = 0; i < d; i += 8) {
            v8 a = v8_loadu(at + i), b = v8_loadu(at + d + i), c = v8_loadu(at + 2 * d + i), e = v8_loadu(at + 3 * d + i);
            v8_butterfly_interpolate(&a, &c, v8_loadu(table + 2 * d + i));
            v8_butterfly_interpolate(&b, &e, v8_loadu(table + 3 * d + i));
            v8 t = v8_loadu(table + d + i);
            v8_butterfly_interpolate(&a, &b, t);
            v8_butterfly_interpolate(&c, &e, t);
            v8_storeu(at + i, a), v8_storeu(at + d + i, b), v8_storeu(at + 2 * d + i, c), v8_storeu(at + 3 * d + i, e);
        }
}

static void evaluate_block(uint32_t *out, const uint32_t *in, uint32_t log_n, const uint32_t *table) {
    const size_t n = (size_t)1 << log_n;
    const first_stages first = first_stages_of(v8_loadu(table));
    size_t d = 8;
    if (log_n == 3) {
        v8 x = v8_loadu(in), y = x;
        evaluate_pair(&x, &y, first);
        v8_storeu(out, x);
        return;
    }
    if (log_n % 2 != 0) {
        for (size_t i = 0; i < n; i += 16) {
            v8 x = v8_loadu(in + i), y = v8_loadu(in + i + 8);
            evaluate_pair(&x, &y, first);
            v8_storeu(out + i, x), v8_storeu(out + i + 8, y);
        }
    } else {
        v8 t = v8_loadu(table + 8);
        for (size_t i = 0; i < n; i += 16) {
            v8 x = v8_loadu(in + i), y = v8_loadu(in + i + 8);
            evaluate_pair(&x, &y, first);
            v8_butterfly_evaluate(&x, &y, t);
            v8_storeu(out + i, x), v8_storeu(out + i + 8, y);
        }
        d = 16;
    }
    for (; d < n; d *= 4) evaluate_two_stages(out, n, d, table);
}

/* scale: what every coefficient is multiplied with. */
static void interpolate_block(uint32_t *x, uint32_t log_n, const uint32_t *table, fp scale) {
    const size_t n = (size_t)1 << log_n;
    first_stages last = first_stages_of(v8_loadu(table));
    last.one = v8_set1(scale);
    last.four = v8_mul(last.four, last.one);
    if (log_n == 3) {
        v8 a = v8_loadu(x), b = a;
        interpolate_pair(&a, &b, last);
        v8_storeu(x, a);
        return;
    }
    size_t d = n / 4;
    for (; d >= 8; d /= 4) interpolate_two_stages(x, n, d, table);
    if (log_n % 2 != 0) {
        for (size_t i = 0; i < n; i += 16) {
            v8 a = v8_loadu(x + i), b = v8_loadu(x + i + 8);
            interpolate_pair(&a, &b, last);
            v8_storeu(x + i, a), v8_storeu(x + i + 8, b);
        }
    } else {
        v8 t = v8_loadu(table + 8);
        for (size_t i = 0; i < n; i += 16) {
            v8 a = v8_loadu(x + i), b = v8_loadu(x + i + 8);
            v8_butterfly_interpolate(&a, &b, t);
            interpolate_pair(&a, &b, last);
            v8_storeu(x + i, a), v8_storeu(x + i + 8, b);
        }
    }
}

/* A strip: two vectors of columns. roots[d + j] = root(2d)^j, point[v] the columns' points. */
typedef struct {
    uint32_t *words;
    size_t stride; /* from one row to the next */
} rows;

static inline void strip_factors(v8 t[6], const v8 at_d[2], const v8 at_2d[2], const uint32_t *roots, size_t d, size_t j) {
    v8 one = v8_set1(roots[d + j]), two = v8_set1(roots[2 * d + j]), three = v8_set1(roots[3 * d + j]);
    for (int v = 0; v < 2; v++) {
        t[v] = v8_mul(at_d[v], one);
        t[2 + v] = v8_mul(at_2d[v], two);
        t[4 + v] = v8_mul(at_2d[v], three);
    }
}

static inline void strip_evaluate_stages(rows to, rows from, size_t count, size_t d, const v8 at_d[2], const v8 at_2d[2],
                                         const uint32_t *roots) {
    for (size_t j = 0; j < d; j++) {
        v8 t[6];
        strip_factors(t, at_d, at_2d, roots, d, j);
        for (size_t r = j; r < count; r += 4 * d)
            for (int v = 0; v < 2; v++) {
                const uint32_t *in = from.words + r * from.stride + 8 * v;
                uint32_t *out = to.words + r * to.stride + 8 * v;
                const size_t i = d * from.stride, o = d * to.stride;
                v8 a = v8_loadu(in), b = v8_loadu(in + i), c = v8_loadu(in + 2 * i), e = v8_loadu(in + 3 * i);
                v8_butterfly_evaluate(&a, &b, t[v]);
                v8_butterfly_evaluate(&c, &e, t[v]);
                v8_butterfly_evaluate(&a, &c, t[2 + v]);
                v8_butterfly_evaluate(&b, &e, t[4 + v]);
                v8_storeu(out, a), v8_storeu(out + o, b), v8_storeu(out + 2 * o, c), v8_storeu(out + 3 * o, e);
            }
    }
}

static inline void strip_interpolate_stages(rows to, rows from, size_t count, size_t d, const v8 at_d[2], const v8 at_2d[2],
                                            const uint32_t *roots) {
    for (size_t j = 0; j < d; j++) {
        v8 t[6];
        strip_factors(t, at_d, at_2d, roots, d, j);
        for (size_t r = j; r < count; r += 4 * d)
            for (int v = 0; v < 2; v++) {
                const uint32_t *in = from.words + r * from.stride + 8 * v;
                uint32_t *out = to.words + r * to.stride + 8 * v;
                const size_t i = d * from.stride, o = d * to.stride;
                v8 a = v8_loadu(in), b = v8_loadu(in + i), c = v8_loadu(in + 2 * i), e = v8_loadu(in + 3 * i);
                v8_butterfly_interpolate(&a, &c, t[2 + v]);
                v8_butterfly_interpolate(&b, &e, t[4 + v]);
                v8_butterfly_interpolate(&a, &b, t[v]);
                v8_butterfly_interpolate(&c, &e, t[v]);
                v8_storeu(out, a), v8_storeu(out + o, b), v8_storeu(out + 2 * o, c), v8_storeu(out + 3 * o, e);
            }
    }
}

/* The points of columns 0 .. 15: shift * w^i. */
static inline void strip_points(v8 point[2], fp shift, fp w) {
    uint32_t words[8];
    for (int i = 0; i < 8; i++, shift = fp_mul(shift, w)) words[i] = shift;
    point[0] = v8_loadu(words);
    fp w8 = fp_sqr_times(w, 3);
    point[1] = v8_mul(point[0], v8_set1(w8));
}

/* All stages of a matrix of 2^log_rows rows (log_rows even) of `columns` words; the points are shift * w^column. */
static int evaluate_columns(uint32_t *x, size_t columns, uint32_t log_rows, fp shift, fp w, const uint32_t *roots, apr_poll poll,
                            void *context) {
    uint32_t buffer[STRIP << OUTER_LOG];
    const size_t count = (size_t)1 << log_rows;
    const rows local = {buffer, STRIP};
    const v8 step = v8_set1(fp_sqr_times(w, 4));
    v8 power[OUTER_LOG][2]; /* power[s] = point^(2^s) */
    strip_points(power[0], shift, w);
    for (size_t i = 0; i < columns; i += STRIP) {
        const rows matrix = {x + i, columns};
        if (((i * count) & 0x1ffff) == 0 && stopped(poll, context)) return 1;
        for (uint32_t s = 1; s < log_rows; s++)
            for (int v = 0; v < 2; v++) power[s][v] = v8_mul(power[s - 1][v], power[s - 1][v]);
        for (uint32_t s = 0; s < log_rows; s += 2)
            strip_evaluate_stages(s + 2 == log_rows ? matrix : local, s == 0 ? matrix : local, count, (size_t)1 << s,
                                  power[log_rows - 1 - s], power[log_rows - 2 - s], roots);
        for (int v = 0; v < 2; v++) power[0][v] = v8_mul(power[0][v], step);
    }
    return 0;
}

static int interpolate_columns(uint32_t *x, size_t columns, uint32_t log_rows, fp w, const uint32_t *roots, apr_poll poll,
                               void *context) {
    uint32_t buffer[STRIP << OUTER_LOG];
    const size_t count = (size_t)1 << log_rows;
    const rows local = {buffer, STRIP};
    const v8 step = v8_set1(fp_sqr_times(w, 4));
    v8 power[OUTER_LOG][2];
    strip_points(power[0], FP_ONE, w);
    for (size_t i = 0; i < columns; i += STRIP) {
        const rows matrix = {x + i, columns};
        if (((i * count) & 0x1ffff) == 0 && stopped(poll, context)) return 1;
        for (uint32_t s = 1; s < log_rows; s++)
            for (int v = 0; v < 2; v++) power[s][v] = v8_mul(power[s - 1][v], power[s - 1][v]);
        for (uint32_t s = log_rows; s > 0; s -= 2)
            strip_interpolate_stages(s == 2 ? matrix : local, s == log_rows ? matrix : local, count, (size_t)1 << (s - 2),
                                     power[log_rows + 1 - s], power[log_rows - s], roots);
        for (int v = 0; v < 2; v++) power[0][v] = v8_mul(power[0][v], step);
    }
    return 0;
}

/* How a large transform is cut: block + middle + outer stages, middle and outer even. */
typedef struct {
    uint32_t block, middle, outer;
} levels;

static levels levels_of(uint32_t log_n) {
    levels l = {log_n, 0, 0};
    if (log_n <= BLOCK_LOG) return l;
    l.block = BLOCK_LOG - (log_n - BLOCK_LOG) % 2;
    uint32_t rest = log_n - l.block;
    l.middle = rest < MIDDLE_LOG ? rest : MIDDLE_LOG;
    l.outer = rest - l.middle;
    return l;
}

/* The table of the stages of a block on a coset: the factors of stage d are scaled by shift^(n/2d). */
static const uint32_t *coset_table(uint32_t *table, const uint32_t *plain, uint32_t log_n, fp shift) {
    if (shift == FP_ONE) return plain;
    fp power = shift;
    for (size_t d = (size_t)1 << (log_n - 1); d >= 8; d /= 2, power = fp_sqr(power)) {
        v8 s = v8_set1(power);
        for (size_t i = d; i < 2 * d; i += 8) v8_storeu(table + i, v8_mul(v8_loadu(plain + i), s));
    }
    fp power2 = fp_sqr(power), power1 = fp_sqr(power2);
    v8_storeu(table, v8_mul(v8_loadu(plain), v8_set(FP_ONE, power1, power2, power2, power, power, power, power)));
    return table;
}

/* Transforms of less than a vector. */
static void evaluate_tiny(uint32_t *out, const uint32_t *in, uint32_t log_n, fp shift) {
    const size_t n = (size_t)1 << log_n;
    for (size_t i = 0; i < n; i++) out[i] = in[i];
    for (uint32_t s = 1; s <= log_n; s++) {
        size_t d = (size_t)1 << (s - 1);
        fp t[2] = {fp_sqr_times(shift, log_n - s), 0};
        t[1] = fp_mul(t[0], apr_roots[2]);
        for (size_t b = 0; b < n; b += 2 * d)
            for (size_t i = 0; i < d; i++) {
                fp u = out[b + i], v = fp_mul(out[b + d + i], t[i]);
                out[b + i] = fp_add(u, v);
                out[b + d + i] = fp_sub(u, v);
            }
    }
}

static void interpolate_tiny(uint32_t *x, uint32_t log_n) {
    const size_t n = (size_t)1 << log_n;
    const fp t[2] = {FP_ONE, apr_inverse_roots[2]}, scale = apr_inverse_size(log_n);
    for (size_t d = n / 2; d != 0; d /= 2)
        for (size_t b = 0; b < n; b += 2 * d)
            for (size_t i = 0; i < d; i++) {
                fp u = x[b + i], v = x[b + d + i];
                x[b + i] = fp_add(u, v);
                x[b + d + i] = fp_mul(fp_sub(u, v), t[i]);
            }
    for (size_t i = 0; i < n; i++) x[i] = fp_mul(x[i], scale);
}

static int evaluate(const apr_twiddles *tw, uint32_t *out, const uint32_t *coefficients, uint32_t log_n, fp shift,
                    apr_poll poll, void *context) {
    uint32_t memory[(size_t)1 << BLOCK_LOG];
    if (log_n < 3) {
        evaluate_tiny(out, coefficients, log_n, shift);
        return 0;
    }
    const levels l = levels_of(log_n);
    const fp middle_shift = fp_sqr_times(shift, l.outer), block_shift = fp_sqr_times(middle_shift, l.middle);
    const uint32_t *table = coset_table(memory, tw->words, l.block, block_shift);
    const size_t n = (size_t)1 << log_n, block = (size_t)1 << l.block, part = block << l.middle;
    for (size_t i = 0; i < n; i += part) {
        if (log_n > 16 && stopped(poll, context)) return 1;
        for (size_t j = i; j < i + part; j += block) evaluate_block(out + j, coefficients + j, l.block, table);
        if (l.middle != 0)
            evaluate_columns(out + i, block, l.middle, middle_shift, apr_roots[l.block + l.middle], tw->words, NULL, NULL);
    }
    if (l.outer == 0) return 0;
    return evaluate_columns(out, part, l.outer, shift, apr_roots[log_n], tw->words, poll, context);
}

static int interpolate(const apr_twiddles *tw, uint32_t *x, uint32_t log_n, apr_poll poll, void *context) {
    if (log_n < 3) {
        interpolate_tiny(x, log_n);
        return 0;
    }
    const levels l = levels_of(log_n);
    const uint32_t *table = apr_inverse_table(tw);
    const size_t n = (size_t)1 << log_n, block = (size_t)1 << l.block, part = block << l.middle;
    const fp scale = apr_inverse_size(log_n);
    if (l.outer != 0 && interpolate_columns(x, part, l.outer, apr_inverse_roots[log_n], table, poll, context)) return 1;
    for (size_t i = 0; i < n; i += part) {
        if (log_n > 16 && stopped(poll, context)) return 1;
        if (l.middle != 0)
            interpolate_columns(x + i, block, l.middle, apr_inverse_roots[l.block + l.middle], table, NULL, NULL);
        for (size_t j = i; j < i + part; j += block) interpolate_block(x + j, l.block, table, scale);
    }
    return 0;
}
