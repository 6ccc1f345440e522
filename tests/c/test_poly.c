/* The polynomial kernels against their definitions, on every dispatch path. */
#include "poly.h"

#include <string.h>

#include "check.h"

static const apr_poly_kernels *kernels;
static uint64_t seed;

enum { LOG_MAX = 24, GUARD = 16 };
#define GUARD_WORD 0xa5a5a5a5u

/* Words with guards on both sides, 4 bytes off any larger alignment. */
typedef struct {
    uint32_t *memory, *words;
    size_t n;
} buffer;

static buffer buffer_new(size_t n) {
    buffer b = {malloc((n + 2 * GUARD + 1) * sizeof(uint32_t)), NULL, n};
    CHECK(b.memory != NULL);
    b.words = b.memory + GUARD + 1;
    for (size_t i = 0; i < GUARD + 1; i++) b.memory[i] = b.memory[n + GUARD + i] = GUARD_WORD;
    memset(b.words, 0, n * sizeof(uint32_t));
    return b;
}

static void buffer_free(buffer b) {
    for (size_t i = 0; i < GUARD; i++) CHECK(b.memory[i] == GUARD_WORD && b.memory[b.n + GUARD + 1 + i] == GUARD_WORD);
    free(b.memory);
}

/* Every fourth draw is at an end of the range. */
static fp draw(void) {
    static const fp ends[] = {0, 1, FP_P - 1, FP_P - 2, FP_P / 2, FP_P / 2 + 1, FP_ONE, FP_P - FP_ONE};
    uint64_t r = random_u64(&seed);
    return r % 4 == 0 ? ends[(r >> 8) % 8] : (fp)((r >> 8) % FP_P);
}

static fx draw_fx(void) {
    fx r;
    for (int j = 0; j < FX_DEGREE; j++) r.c[j] = draw();
    return r;
}

static buffer draw_buffer(size_t n) {
    buffer b = buffer_new(n);
    for (size_t i = 0; i < n; i++) b.words[i] = draw();
    return b;
}

/* All words at the top of the range, where sums of products are largest. */
static void fill_top(buffer b) {
    for (size_t i = 0; i < b.n; i++) b.words[i] = FP_P - 1;
}

static buffer copy_of(buffer b) {
    buffer r = buffer_new(b.n);
    memcpy(r.words, b.words, b.n * sizeof(uint32_t));
    return r;
}

static int equal(buffer a, buffer b) { return memcmp(a.words, b.words, a.n * sizeof(uint32_t)) == 0; }

static apr_fxv view(buffer b) { return (apr_fxv){b.words, b.n / FX_DEGREE}; }

static fx get(apr_fxv v, size_t i) {
    fx r;
    for (int j = 0; j < FX_DEGREE; j++) r.c[j] = v.values[(size_t)j * v.stride + i];
    return r;
}

static void set(apr_fxv v, size_t i, fx a) {
    for (int j = 0; j < FX_DEGREE; j++) v.values[(size_t)j * v.stride + i] = a.c[j];
}

/* Sizes around the vector length, and some larger ones. */
static const size_t sizes[] = {0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14,  15,  16,  17,   23,   24,  25,
                               31, 32, 33, 40, 47, 48, 63, 64, 65, 71, 72, 79, 80, 96, 127, 128, 129, 1000, 1023, 4100};
enum { SIZES = sizeof sizes / sizeof *sizes };

static apr_twiddles twiddles_new(uint32_t log_max, buffer *memory) {
    apr_twiddles tw;
    *memory = buffer_new(apr_twiddles_bytes(log_max) / sizeof(uint32_t));
    apr_twiddles_init(&tw, log_max, memory->words);
    return tw;
}

/* The value at x of the polynomial whose coefficients stand in bit-reversed order. */
static fp horner(const uint32_t *coefficients, uint32_t log_n, fp x) {
    fp r = 0;
    for (uint32_t e = (uint32_t)1 << log_n; e-- > 0;) r = fp_add(fp_mul(r, x), coefficients[apr_bitrev(e, log_n)]);
    return r;
}

static void transform_once(const apr_twiddles *tw, uint32_t log_n, fp shift, buffer coefficients, size_t points) {
    size_t n = (size_t)1 << log_n;
    buffer values = buffer_new(n), before = copy_of(coefficients);
    kernels->evaluate(tw, values.words, coefficients.words, log_n, shift);
    CHECK(equal(coefficients, before));
    fp w = fp_root(log_n);
    for (size_t k = 0; k < points; k++) {
        size_t i = points == n ? k : random_u64(&seed) % n;
        CHECK(values.words[i] == horner(coefficients.words, log_n, fp_mul(shift, fp_pow(w, i))));
    }
    for (size_t i = 0; i < n; i++) CHECK(values.words[i] < FP_P);
    /* back: to the coefficients of f(shift * X) */
    buffer scaled = copy_of(coefficients);
    kernels->scale_powers(scaled.words, log_n, shift);
    buffer again = buffer_new(n);
    kernels->interpolate_columns(tw, again.words, 0, values.words, 0, 1, log_n, FP_ONE);
    kernels->interpolate(tw, values.words, log_n);
    CHECK(equal(values, again));
    CHECK(equal(values, scaled));
    buffer_free(values), buffer_free(before), buffer_free(scaled), buffer_free(again);
}

/* evaluate is the O(n^2) definition at every point, and interpolate its inverse, for every size to 2^10 and several shifts,
 * with a table made for the size and with a larger one. */
static void small_transforms(void) {
    for (uint32_t log_n = 0; log_n <= 10; log_n++) {
        buffer exact_memory, large_memory;
        apr_twiddles exact = twiddles_new(log_n, &exact_memory), large = twiddles_new(LOG_MAX, &large_memory);
        size_t n = (size_t)1 << log_n;
        const fp shifts[] = {FP_ONE, fp_from_u32(FP_GENERATOR), FP_P - FP_ONE, draw()};
        for (int s = 0; s < 4; s++) {
            buffer c = draw_buffer(n);
            transform_once(s % 2 ? &large : &exact, log_n, shifts[s], c, n);
            buffer_free(c);
        }
        buffer top = buffer_new(n);
        fill_top(top);
        transform_once(&exact, log_n, FP_ONE, top, n < 64 ? n : 64);
        buffer_free(top), buffer_free(exact_memory), buffer_free(large_memory);
    }
}

/* Linear maps are known by their basis: each unit vector gives the powers of the points. */
static void transforms_of_the_basis(void) {
    buffer memory;
    apr_twiddles tw = twiddles_new(8, &memory);
    for (uint32_t log_n = 0; log_n <= 8; log_n++) {
        size_t n = (size_t)1 << log_n;
        buffer c = buffer_new(n), values = buffer_new(n);
        fp w = fp_root(log_n), shift = fp_from_u32(FP_GENERATOR);
        for (uint32_t q = 0; q < n; q++) {
            c.words[q] = FP_ONE;
            kernels->evaluate(&tw, values.words, c.words, log_n, shift);
            uint32_t e = apr_bitrev(q, log_n);
            fp expected = fp_pow(shift, e), step = fp_pow(w, e);
            for (size_t i = 0; i < n; i++, expected = fp_mul(expected, step)) CHECK(values.words[i] == expected);
            c.words[q] = 0;
        }
        buffer_free(c), buffer_free(values);
    }
    buffer_free(memory);
}

/* Large sizes: sampled points, and the way back. */
static void large_transforms(uint32_t log_last) {
    buffer memory;
    apr_twiddles tw = twiddles_new(LOG_MAX, &memory);
    for (uint32_t log_n = 11; log_n <= log_last; log_n++) {
        buffer c = draw_buffer((size_t)1 << log_n);
        transform_once(&tw, log_n, FP_ONE, c, 4);
        transform_once(&tw, log_n, draw(), c, 4);
        buffer_free(c);
    }
    buffer_free(memory);
}

/* The kernels for many columns do to each what those for one column do, and undo each other on a coset. */
static void transforms_of_columns(void) {
    buffer memory;
    apr_twiddles tw = twiddles_new(LOG_MAX, &memory);
    for (uint32_t log_n = 0; log_n <= 14; log_n++)
        for (size_t columns = 1; columns <= 11; columns += 1 + 4 * (log_n > 9)) {
            const size_t n = (size_t)1 << log_n, stride = n + 3, out_stride = n + 1;
            const fp shift = columns == 2 ? FP_ONE : fp_add(FP_ONE, draw() / 2);
            buffer c = draw_buffer(columns * stride), before = copy_of(c), one = buffer_new(n);
            buffer out = buffer_new(columns * out_stride);
            kernels->evaluate_columns(&tw, out.words, out_stride, c.words, stride, columns, log_n, shift);
            CHECK(equal(c, before));
            for (size_t k = 0; k < columns; k++) {
                kernels->evaluate(&tw, one.words, c.words + k * stride, log_n, shift);
                CHECK(memcmp(one.words, out.words + k * out_stride, n * sizeof(uint32_t)) == 0);
                CHECK(out.words[k * out_stride + n] == 0);
            }
            buffer again = buffer_new(columns * stride);
            kernels->interpolate_columns(&tw, again.words, stride, out.words, out_stride, columns, log_n, fp_inv(shift));
            for (size_t k = 0; k < columns; k++) {
                CHECK(memcmp(c.words + k * stride, again.words + k * stride, n * sizeof(uint32_t)) == 0);
                CHECK(again.words[k * stride + n] == 0);
            }
            kernels->interpolate_columns(&tw, out.words, out_stride, out.words, out_stride, columns, log_n, fp_inv(shift));
            for (size_t k = 0; k < columns; k++)
                CHECK(memcmp(c.words + k * stride, out.words + k * out_stride, n * sizeof(uint32_t)) == 0);
            buffer_free(c), buffer_free(before), buffer_free(one), buffer_free(out), buffer_free(again);
        }
    buffer_free(memory);
}

/* The slices of a step, in any order, do what the whole does. */
static void transforms_in_slices(void) {
    buffer memory;
    apr_twiddles tw = twiddles_new(LOG_MAX, &memory);
    for (uint32_t log_n = APR_SLICE_LOG + 1; log_n <= APR_SLICE_LOG + 4; log_n++) {
        const size_t n = (size_t)1 << log_n, slices = n >> APR_SLICE_LOG;
        const fp shift = fp_add(FP_ONE, draw() / 2);
        buffer c = draw_buffer(n), whole = buffer_new(n), sliced = buffer_new(n), back = buffer_new(n);
        kernels->evaluate(&tw, whole.words, c.words, log_n, shift);
        for (int step = 0; step < 2; step++)
            for (size_t s = slices; s-- > 0;) kernels->evaluate_slice(&tw, sliced.words, c.words, log_n, shift, step, s);
        CHECK(equal(whole, sliced));
        for (int step = 0; step < 2; step++)
            for (size_t s = slices; s-- > 0;)
                kernels->interpolate_slice(&tw, back.words, sliced.words, log_n, fp_inv(shift), step, s);
        CHECK(equal(back, c) && equal(whole, sliced));
        for (int step = 0; step < 2; step++)
            for (size_t s = 0; s < slices; s++)
                kernels->interpolate_slice(&tw, sliced.words, sliced.words, log_n, fp_inv(shift), step, s);
        CHECK(equal(back, sliced));
        buffer_free(c), buffer_free(whole), buffer_free(sliced), buffer_free(back);
    }
    buffer_free(memory);
}

/* scale_powers multiplies position q by s^bitrev(q). */
static void scaling_by_powers(void) {
    for (uint32_t log_n = 0; log_n <= 14; log_n++) {
        fp s = draw(), w = FP_ONE;
        buffer x = draw_buffer((size_t)1 << log_n), y = copy_of(x);
        kernels->scale_powers(x.words, log_n, s);
        for (uint32_t e = 0; e < x.n; e++, w = fp_mul(w, s)) {
            uint32_t q = apr_bitrev(e, log_n);
            CHECK(x.words[q] == fp_mul(y.words[q], w));
        }
        buffer_free(x), buffer_free(y);
    }
}

/* Canonical words become Montgomery form and back; the first word >= p is found wherever it stands. */
static void canonical_form(void) {
    for (int k = 0; k < SIZES; k++) {
        size_t n = sizes[k];
        buffer x = draw_buffer(n), y = copy_of(x), z = buffer_new(n);
        CHECK(kernels->from_canonical(x.words, n) == n);
        for (size_t i = 0; i < n; i++) CHECK(x.words[i] == fp_from_u32(y.words[i]));
        kernels->to_canonical(z.words, x.words, n);
        CHECK(equal(y, z));
        kernels->to_canonical(x.words, x.words, n);
        CHECK(equal(y, x));
        if (n > 0) {
            static const uint32_t bad[] = {FP_P, FP_P + 1, 1u << 31, UINT32_MAX};
            for (size_t i = 0; i < n; i += 1 + n / 50) {
                memcpy(x.words, y.words, n * sizeof(uint32_t));
                x.words[i] = bad[i % 4];
                x.words[i + (n - i) / 2] = UINT32_MAX; /* a later one does not hide it */
                CHECK(kernels->from_canonical(x.words, n) == i);
            }
        }
        buffer_free(x), buffer_free(y), buffer_free(z);
    }
}

static void base_vectors(void) {
    for (int k = 0; k < SIZES; k++) {
        size_t n = sizes[k];
        buffer a = draw_buffer(n), y = draw_buffer(n), out = buffer_new(n), expected = buffer_new(n);
        fp s = draw();
        kernels->scale(out.words, a.words, s, n);
        for (size_t i = 0; i < n; i++) expected.words[i] = fp_mul(a.words[i], s);
        CHECK(equal(out, expected));
        for (size_t i = 0; i < n; i++) expected.words[i] = fp_add(y.words[i], fp_mul(a.words[i], s));
        kernels->add_scaled(y.words, a.words, s, n);
        CHECK(equal(y, expected));
        kernels->scale(a.words, a.words, s, n);
        CHECK(n == 0 || equal(a, out));
        for (size_t i = 0; i < n; i++) y.words[i] += y.words[i] == 0;
        buffer inverse = copy_of(y), scratch = buffer_new(n);
        kernels->invert(inverse.words, n, scratch.words);
        for (size_t i = 0; i < n; i++) CHECK(inverse.words[i] == fp_inv(y.words[i]));
        buffer_free(a), buffer_free(y), buffer_free(out), buffer_free(expected), buffer_free(inverse), buffer_free(scratch);
    }
}

static void powers_of_a_point(void) {
    for (uint32_t log_n = 0; log_n <= 12; log_n++) {
        size_t n = (size_t)1 << log_n;
        buffer b = buffer_new(FX_DEGREE * (n + 3));
        apr_fxv out = view(b);
        fx z = draw_fx(), w = fx_one();
        kernels->powers(out, log_n, z);
        for (uint32_t e = 0; e < n; e++, w = fx_mul(w, z)) CHECK(fx_eq(get(out, apr_bitrev(e, log_n)), w));
        for (size_t i = n; i < n + 3; i++) CHECK(fx_is_zero(get(out, i)));
        buffer_free(b);
    }
}

/* dot and dot_columns are sums of products, at the top of the range too. */
static void dot_products(void) {
    for (int k = 0; k < SIZES; k++)
        for (int top = 0; top < 2; top++) {
            size_t n = sizes[k], columns = 1 + (size_t)k % 7, stride = n + 5;
            buffer t = draw_buffer(FX_DEGREE * (n + 1)), x = draw_buffer(columns * stride);
            if (top) fill_top(t), fill_top(x);
            fx expected[7], out[7];
            for (size_t c = 0; c < columns; c++) {
                fx sum = fx_zero();
                for (size_t i = 0; i < n; i++) sum = fx_add(sum, fx_scale(get(view(t), i), x.words[c * stride + i]));
                CHECK(fx_eq(kernels->dot(x.words + c * stride, view(t), n), sum));
                out[c] = draw_fx();
                expected[c] = fx_add(out[c], sum);
            }
            kernels->dot_columns(out, x.words, stride, columns, view(t), n);
            for (size_t c = 0; c < columns; c++) CHECK(fx_eq(out[c], expected[c]));
            buffer_free(t), buffer_free(x);
        }
}

static void accumulations(void) {
    for (int k = 0; k < SIZES; k++)
        for (int top = 0; top < 2; top++) {
            size_t n = sizes[k], columns = (size_t)k % 37, stride = n + 3;
            buffer acc = draw_buffer(FX_DEGREE * (n + 2)), x = draw_buffer(columns * stride), y = draw_buffer(FX_DEGREE * (n + 1));
            fx coefficients[37], c = draw_fx();
            for (int j = 0; j < 37; j++) coefficients[j] = draw_fx();
            if (top) {
                fill_top(acc), fill_top(x), fill_top(y);
                c = get(view(acc), 0);
                for (int j = 0; j < 37; j++) coefficients[j] = c;
            }
            buffer expected = copy_of(acc);
            for (size_t i = 0; i < n; i++) {
                fx sum = get(view(expected), i);
                for (size_t j = 0; j < columns; j++) sum = fx_add(sum, fx_scale(coefficients[j], x.words[j * stride + i]));
                set(view(expected), i, sum);
            }
            kernels->accumulate(view(acc), x.words, stride, columns, coefficients, n);
            CHECK(equal(acc, expected));
            for (size_t i = 0; i < n; i++)
                set(view(expected), i, fx_add(get(view(expected), i), fx_mul(c, get(view(y), i))));
            kernels->accumulate_fx(view(acc), view(y), c, n);
            CHECK(equal(acc, expected));
            buffer_free(acc), buffer_free(x), buffer_free(y), buffer_free(expected);
        }
}

/* The quotient times (X - z), plus f(z), is f again. */
static void divisions(void) {
    for (uint32_t log_n = 0; log_n <= 13; log_n++)
        for (int top = 0; top < 2; top++) {
            size_t n = (size_t)1 << log_n;
            buffer b = draw_buffer(FX_DEGREE * (n + 1));
            fx z = draw_fx();
            if (top) {
                fill_top(b);
                z = get(view(b), 0);
            }
            buffer f = copy_of(b);
            kernels->divide(view(b), log_n, z);
            fx next = fx_zero(); /* the quotient's coefficient at e */
            for (uint32_t e = (uint32_t)n - 1; e > 0; e--) {
                CHECK(fx_eq(get(view(b), apr_bitrev(e, log_n)), next));
                next = fx_add(get(view(f), apr_bitrev(e, log_n)), fx_mul(z, next));
            }
            CHECK(fx_eq(get(view(b), 0), next));
            CHECK(fx_eq(get(view(b), n), get(view(f), n)));
            buffer_free(b), buffer_free(f);
        }
}

/* A fold, a division of its results and the way back, place by place, are the division. */
static void divisions_in_parts(void) {
    for (uint32_t log_n = 6; log_n <= 12; log_n++)
        for (uint32_t log_parts = 1; log_parts <= 3; log_parts++) {
            const size_t n = (size_t)1 << log_n, m = n >> log_parts;
            buffer whole = draw_buffer(FX_DEGREE * (n + 1)), parts = copy_of(whole);
            const fx z = draw_fx();
            kernels->divide(view(whole), log_n, z);
            for (size_t i = 0; i < m; i += 8) kernels->fold(view(parts), view(parts), log_n, log_parts, z, i, 8);
            kernels->divide(view(parts), log_n - log_parts, fx_pow(z, 1u << log_parts));
            for (size_t i = m; i > 0; i -= 8) kernels->divide_back(view(parts), log_n, log_parts, z, i - 8, 8);
            CHECK(equal(whole, parts));
            buffer_free(whole), buffer_free(parts);
        }
}

/* Parts of columns are columns. */
static void accumulations_of_parts(void) {
    for (size_t n = 8; n <= 264; n += 64)
        for (size_t columns = 1; columns <= 9; columns += 4)
            for (size_t parts = 2; parts <= 8; parts *= 2) {
                const size_t step = n + 3, stride = parts * step + 5;
                buffer acc = draw_buffer(FX_DEGREE * (n + 1)), x = draw_buffer(columns * stride), expected = copy_of(acc);
                fx coefficients[9 * 8];
                for (size_t i = 0; i < columns * parts; i++) coefficients[i] = draw_fx();
                if (n == 72) fill_top(x), fill_top(acc), fill_top(expected);
                kernels->accumulate_parts(view(acc), x.words, stride, columns, step, parts, coefficients, n);
                for (size_t c = 0; c < columns; c++)
                    kernels->accumulate(view(expected), x.words + c * stride, step, parts, coefficients + c * parts, n);
                CHECK(equal(acc, expected));
                buffer_free(acc), buffer_free(x), buffer_free(expected);
            }
}

static void folds(void) {
    for (uint32_t log_n = 3; log_n <= 12; log_n++)
        for (uint32_t log_arity = 1; log_arity <= 3; log_arity++)
            for (int top = 0; top < 2; top++) {
                const size_t n = (size_t)1 << log_n, m = n >> log_arity;
                buffer f = draw_buffer(FX_DEGREE * (n + 1)), out = buffer_new(FX_DEGREE * (m + 1));
                fx beta = draw_fx();
                if (top) {
                    fill_top(f);
                    beta = get(view(f), 0);
                }
                kernels->fold(view(out), view(f), log_n, log_arity, beta, 0, m);
                for (uint32_t j = 0; j < m; j++) {
                    fx sum = fx_zero();
                    for (uint32_t e = 1u << log_arity; e-- > 0;)
                        sum = fx_add(fx_mul(sum, beta), get(view(f), apr_bitrev((j << log_arity) + e, log_n)));
                    CHECK(fx_eq(get(view(out), apr_bitrev(j, log_n - log_arity)), sum));
                }
                CHECK(fx_is_zero(get(view(out), m)));
                /* in its own memory, and place by place if there are vectors of them */
                const size_t count = m < 8 ? m : 8;
                for (size_t i = m; i > 0; i -= count) kernels->fold(view(f), view(f), log_n, log_arity, beta, i - count, count);
                for (size_t i = 0; i < m; i++) CHECK(fx_eq(get(view(f), i), get(view(out), i)));
                buffer_free(f), buffer_free(out);
            }
}

/* Every path gives the same words for large operations (the small ones are compared with the definition). */
static void paths_agree(void) {
    enum { LOG = 18 };
    const apr_poly_kernels *path[2] = {apr_poly_kernels_for(APR_PATH_PORTABLE), apr_poly_kernels_for(APR_PATH_AVX2)};
    size_t n = (size_t)1 << LOG;
    buffer memory, c = draw_buffer(n), v = draw_buffer(FX_DEGREE * n), values[2], scaled[2], vectors[2];
    apr_twiddles tw = twiddles_new(LOG, &memory);
    fx z = draw_fx();
    fp s = draw();
    for (int i = 0; i < 2; i++) {
        values[i] = buffer_new(n), scaled[i] = copy_of(c), vectors[i] = copy_of(v);
        path[i]->evaluate(&tw, values[i].words, c.words, LOG, s);
        path[i]->interpolate(&tw, values[i].words, LOG);
        path[i]->scale_powers(scaled[i].words, LOG, s);
        CHECK(equal(values[i], scaled[i]));
        path[i]->divide(view(vectors[i]), LOG, z);
        path[i]->fold(view(vectors[i]), view(vectors[i]), LOG, 3, z, 0, n / 8);
        apr_fxv upper = {vectors[i].words + n / 2, view(vectors[i]).stride};
        path[i]->powers(upper, LOG - 1, z);
    }
    CHECK(equal(values[0], values[1]) && equal(vectors[0], vectors[1]));
    for (int i = 0; i < 2; i++) buffer_free(values[i]), buffer_free(scaled[i]), buffer_free(vectors[i]);
    buffer_free(memory), buffer_free(c), buffer_free(v);
}

int main(void) {
    const enum apr_path path[] = {APR_PATH_PORTABLE, APR_PATH_AVX2};
    for (int i = 0; i < 2; i++) {
        kernels = apr_poly_kernels_for(path[i]);
        seed = 1;
        canonical_form();
        base_vectors();
        small_transforms();
        transforms_of_the_basis();
        large_transforms(19);
        transforms_of_columns();
        transforms_in_slices();
        scaling_by_powers();
        powers_of_a_point();
        dot_products();
        accumulations();
        accumulations_of_parts();
        divisions();
        divisions_in_parts();
        folds();
    }
    paths_agree();
    puts("ok poly");
    return 0;
}
