/* The constraint evaluator: the bytecode run over blocks of rows, eight rows a vector. Compiled once for each instruction set.
 *
 * Within a block every slot is a vector pointer and a step: a step of 0 repeats one vector, so public values and constants need
 * no instructions of their own, and reads point straight into the columns (next-row reads one word further on).
 */
#include <string.h>

#include "air.h"

enum { LANES = 8, BLOCK = APR_AIR_BLOCK };

typedef struct {
    const uint32_t *at;
    size_t step; /* words from one vector to the next: 8, or 0 for a scalar */
} operand;

/* The scratch, laid out by carve(); all sizes in words. */
typedef struct {
    operand *operands;     /* one a slot */
    uint32_t *scalars;     /* 8 words for each public value and constant */
    uint32_t *registers;   /* a block each */
    uint32_t *wrapped;     /* a block for each read with an offset: where the last rows wrap round */
    uint32_t *periodic;    /* max(period, block) words for each */
    uint32_t *sums;        /* five blocks for each exemption up to the largest */
    uint32_t *powers;      /* w^0 .. w^(block-1) */
    uint32_t *inverses;    /* a block for each direct boundary row: w^r / (k (x - w^r)) */
    uint32_t *invert;      /* scratch of the inversion */
    fp *row_points;        /* w^r of the direct boundary rows */
    fp *coset;             /* [0] 1 / (shift^k - 1), [1] w, [2..] w^-1, w^-2, .. */
    size_t end;
} scratch_map;

#define carve VEC_NAME(apr_air_carve)

static size_t periodic_words(const apr_periodic *p) {
    size_t n = (size_t)1 << p->log_size;
    return n < BLOCK ? BLOCK : n;
}

static scratch_map carve(const aprover_air *air, void *memory) {
    scratch_map m = {0};
    const uintptr_t base = (uintptr_t)memory; /* an integer, since the size is asked for with NULL */
    size_t at = 0, periodic = 0;
    for (uint32_t i = 0; i < air->periodics; i++) periodic += periodic_words(&air->periodic[i]);
#define TAKE(member, count, type)                             \
    do {                                                      \
        m.member = (type *)(base + at);                       \
        at = (at + (count) * sizeof(type) + 63) & ~(size_t)63; \
    } while (0)
    size_t rows = air->rows;
    TAKE(operands, air->slots, operand);
    TAKE(scalars, (size_t)LANES * (air->publics + air->constants), uint32_t);
    TAKE(registers, (size_t)BLOCK * air->registers, uint32_t);
    TAKE(wrapped, (size_t)BLOCK * (air->reads - air->columns), uint32_t);
    TAKE(periodic, periodic, uint32_t);
    TAKE(sums, (size_t)BLOCK * FX_DEGREE * (air->max_offset + 1), uint32_t);
    TAKE(powers, BLOCK, uint32_t);
    rows = rows <= APR_DIRECT_ROWS ? rows : 0;
    TAKE(inverses, BLOCK * rows, uint32_t);
    TAKE(invert, BLOCK * rows, uint32_t);
    TAKE(row_points, rows, fp);
    TAKE(coset, APR_MAX_OFFSET + 2, fp);
#undef TAKE
    m.end = at;
    return m;
}

static void prepare_periodic(const apr_air_coset *c, const apr_periodic *p, uint32_t *out) {
    /* On the coset the column is P(x^(k/P)), and x^(k/P) runs through a coset of the small subgroup. */
    size_t n = (size_t)1 << p->log_size;
    fp shift = c->shift;
    for (uint32_t i = p->log_size; i < c->air->log_height; i++) shift = fp_sqr(shift);
    c->poly->evaluate(&c->twiddles, out, p->coefficients, p->log_size, shift, NULL, NULL);
    for (size_t i = n; i < BLOCK; i++) out[i] = out[i - n];
}

static void VEC_NAME(prepare)(const apr_air_coset *c) {
    const aprover_air *air = c->air;
    scratch_map m = carve(air, c->scratch);
    fp w = fp_root(air->log_height), power = c->shift;
    for (uint32_t i = 0; i < air->log_height; i++) power = fp_sqr(power);
    m.coset[0] = fp_inv(fp_sub(power, FP_ONE));
    m.coset[1] = w;
    fp w_inverse = fp_inv(w), last = FP_ONE;
    for (uint32_t s = 0; s < air->max_offset; s++) m.coset[2 + s] = last = fp_mul(last, w_inverse);
    power = FP_ONE;
    for (int i = 0; i < BLOCK; i++, power = fp_mul(power, w)) m.powers[i] = power;

    uint32_t *out = m.periodic;
    for (uint32_t i = 0; i < air->periodics; i++) {
        prepare_periodic(c, &air->periodic[i], out);
        out += periodic_words(&air->periodic[i]);
    }
    for (uint32_t i = 0; i < air->registers; i++)
        m.operands[i] = (operand){m.registers + (size_t)BLOCK * i, LANES};
    for (uint32_t i = 0; i < air->publics + air->constants; i++) {
        v8_storeu(m.scalars + (size_t)LANES * i, v8_set1(i < air->publics ? c->publics[i] : air->constant[i - air->publics]));
        m.operands[air->first_public + i] = (operand){m.scalars + (size_t)LANES * i, 0};
    }
    if (c->direct_boundaries)
        for (uint32_t i = 0; i < air->rows; i++) m.row_points[i] = fp_pow(w, air->row[i]);
}

/* Point the reads and the periodic columns at this block. */
static void aim(const apr_air_coset *c, const scratch_map *m, size_t first, size_t count) {
    const aprover_air *air = c->air;
    const size_t k = (size_t)1 << air->log_height;
    for (uint32_t i = 0; i < air->reads; i++) {
        const uint32_t *column = c->values + c->stride * apr_read_column(air->read[i]);
        size_t from = first + apr_read_offset(air->read[i]);
        if (from + count > k) {
            uint32_t *copy = m->wrapped + (size_t)BLOCK * (i - air->columns);
            size_t before = k - from;
            memcpy(copy, column + from, 4 * before);
            memcpy(copy + before, column, 4 * (count - before));
            m->operands[air->first_read + i] = (operand){copy, LANES};
        } else {
            m->operands[air->first_read + i] = (operand){column + from, LANES};
        }
    }
    const uint32_t *periodic = m->periodic;
    for (uint32_t i = 0; i < air->periodics; i++) {
        size_t words = periodic_words(&air->periodic[i]);
        m->operands[air->first_periodic + i] = (operand){periodic + (first & (words - 1)), LANES};
        periodic += words;
    }
}

static void add_to_sum(uint32_t *sum, operand a, fx alpha, size_t count) {
    v8 coefficient[FX_DEGREE];
    for (int e = 0; e < FX_DEGREE; e++) coefficient[e] = v8_set1(alpha.c[e]);
    for (size_t i = 0; i < count; i += LANES, a.at += a.step) {
        v8 x = v8_loadu(a.at);
        for (int e = 0; e < FX_DEGREE; e++) {
            uint32_t *to = sum + BLOCK * e + i;
            v8_storeu(to, v8_add(v8_loadu(to), v8_mul(x, coefficient[e])));
        }
    }
}

static void run_code(const apr_air_coset *c, const scratch_map *m, size_t count) {
    const aprover_air *air = c->air;
    uint32_t number = 0;
    for (uint32_t n = 0; n < air->instructions; n++) {
        const apr_instruction in = air->code[n];
        operand a = m->operands[in.a], b = m->operands[in.b];
        uint32_t *out = m->registers + (size_t)BLOCK * in.dst, *end = out + count;
        switch (in.op) {
        case APR_OP_ADD:
            for (; out < end; out += LANES, a.at += a.step, b.at += b.step) v8_storeu(out, v8_add(v8_loadu(a.at), v8_loadu(b.at)));
            break;
        case APR_OP_SUB:
            for (; out < end; out += LANES, a.at += a.step, b.at += b.step) v8_storeu(out, v8_sub(v8_loadu(a.at), v8_loadu(b.at)));
            break;
        case APR_OP_MUL:
            for (; out < end; out += LANES, a.at += a.step, b.at += b.step) v8_storeu(out, v8_mul(v8_loadu(a.at), v8_loadu(b.at)));
            break;
        default:
            add_to_sum(m->sums + (size_t)BLOCK * FX_DEGREE * air->exemption[number], a, c->alphas[number], count);
            number++;
        }
    }
}

/* inverses[r][i] = w^r / (k * (x_i - w^r)) */
static void invert_rows(const apr_air_coset *c, const scratch_map *m, fp start, size_t count) {
    const aprover_air *air = c->air;
    const fp k_inverse = fp_inv(fp_from_u32(1u << air->log_height));
    for (uint32_t r = 0; r < air->rows; r++)
        for (size_t i = 0; i < count; i += LANES) {
            v8 x = v8_mul(v8_loadu(m->powers + i), v8_set1(start));
            v8_storeu(m->inverses + r * count + i, v8_sub(x, v8_set1(m->row_points[r])));
        }
    c->poly->invert(m->inverses, count * air->rows, m->invert);
    for (uint32_t r = 0; r < air->rows; r++) {
        v8 scale = v8_set1(fp_mul(m->row_points[r], k_inverse));
        for (size_t i = 0; i < count; i += LANES)
            v8_storeu(m->inverses + r * count + i, v8_mul(v8_loadu(m->inverses + r * count + i), scale));
    }
}

static void add_boundaries(const apr_air_coset *c, const scratch_map *m, fp start, size_t count, apr_fxv out) {
    const aprover_air *air = c->air;
    invert_rows(c, m, start, count);
    for (uint32_t n = 0; n < air->boundaries; n++) {
        const apr_boundary *b = &air->boundary[n];
        const uint32_t *column = m->operands[air->first_read + b->column].at;
        const uint32_t *inverse = m->inverses + b->row_index * count;
        v8 value = v8_loadu(m->operands[b->slot].at), coefficient[FX_DEGREE];
        for (int e = 0; e < FX_DEGREE; e++) coefficient[e] = v8_set1(c->alphas[b->constraint].c[e]);
        for (size_t i = 0; i < count; i += LANES) {
            v8 term = v8_mul(v8_sub(v8_loadu(column + i), value), v8_loadu(inverse + i));
            for (int e = 0; e < FX_DEGREE; e++) {
                uint32_t *to = out.values + out.stride * e + i;
                v8_storeu(to, v8_add(v8_loadu(to), v8_mul(term, coefficient[e])));
            }
        }
    }
}

static void VEC_NAME(block)(const apr_air_coset *c, size_t first, size_t count, apr_fxv out) {
    const aprover_air *air = c->air;
    scratch_map m = carve(air, c->scratch);
    const fp start = fp_mul(c->shift, fp_pow(m.coset[1], first));
    for (uint32_t s = 0; s <= air->max_offset; s++)
        if (air->exemptions >> s & 1) memset(m.sums + (size_t)BLOCK * FX_DEGREE * s, 0, 4 * BLOCK * FX_DEGREE);
    aim(c, &m, first, count);
    run_code(c, &m, count);

    for (size_t i = 0; i < count; i += LANES) {
        v8 x = v8_mul(v8_loadu(m.powers + i), v8_set1(start));
        v8 factor = v8_set1(m.coset[0]), total[FX_DEGREE];
        for (int e = 0; e < FX_DEGREE; e++) total[e] = v8_set1(0);
        for (uint32_t s = 0;; s++) {
            if (air->exemptions >> s & 1)
                for (int e = 0; e < FX_DEGREE; e++)
                    total[e] = v8_add(total[e], v8_mul(factor, v8_loadu(m.sums + (size_t)BLOCK * (FX_DEGREE * s + e) + i)));
            if (s == air->max_offset) break;
            factor = v8_mul(factor, v8_sub(x, v8_set1(m.coset[2 + s])));
        }
        for (int e = 0; e < FX_DEGREE; e++) v8_storeu(out.values + out.stride * e + i, total[e]);
    }
    if (c->direct_boundaries && air->boundaries > 0) add_boundaries(c, &m, start, count, out);
}

static void VEC_NAME(mix)(uint32_t *x, size_t step, uint32_t c, const fp *matrix, size_t n) {
    for (size_t i = 0; i < n; i += LANES) {
        v8 in[APR_MAX_CHUNKS];
        for (uint32_t t = 0; t < c; t++) in[t] = v8_loadu(x + step * t + i);
        for (uint32_t j = 0; j < c; j++) {
            v8 sum = v8_mul(in[0], v8_set1(matrix[j * c]));
            for (uint32_t t = 1; t < c; t++) sum = v8_add(sum, v8_mul(in[t], v8_set1(matrix[j * c + t])));
            v8_storeu(x + step * j + i, sum);
        }
    }
}

static void VEC_NAME(boundary_column)(apr_fxv q, const uint32_t *s, const uint32_t *u, const uint32_t *t, fx alpha, fp scale,
                                      size_t n) {
    for (size_t i = 0; i < n; i += LANES) {
        v8 term = v8_mul(v8_sub(v8_mul(v8_loadu(s + i), v8_loadu(t + i)), v8_loadu(u + i)), v8_set1(scale));
        for (int e = 0; e < FX_DEGREE; e++) {
            uint32_t *to = q.values + q.stride * e + i;
            v8_storeu(to, v8_add(v8_loadu(to), v8_mul(term, v8_set1(alpha.c[e]))));
        }
    }
}

size_t VEC_NAME(apr_air_scratch)(const aprover_air *air) { return carve(air, NULL).end; }

const apr_air_kernels VEC_NAME(apr_air_kernels) = {VEC_NAME(prepare), VEC_NAME(block), VEC_NAME(mix), VEC_NAME(boundary_column)};
