/* The constraint evaluator: the bytecode run over blocks of rows, eight rows a vector. Compiled once for each instruction set.
 *
 * Within a block every slot is a vector pointer and a step: a step of 0 repeats one vector, so public values and constants need
 * no instructions of their own, and reads point straight into the columns (the row that follows in the table is size / height
 * words further on).
 */
#include <string.h>

#include "evaluator.h"
#include "vec_fx.h"

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
    uint32_t *phi;         /* five blocks: phi in the next row, likewise */
    uint32_t *periodic;    /* periodic_words() of each */
    uint32_t *period;      /* one period while it is made */
    uint32_t *sums;        /* five blocks for each exemption up to the largest */
    uint32_t *pending;     /* a block: a constraint's value that waits for the next */
    uint32_t *powers;      /* w^0 .. w^(block-1) of the coset's w */
    uint32_t *slot_powers; /* their powers by the number of slots, if there are several */
    uint32_t *vanishing;   /* 1 / (x^k - 1), max(its period, block) words */
    uint32_t *inverses;    /* a block for each direct boundary row: w^r / (k (x - w^r)) */
    uint32_t *invert;      /* scratch of the inversion */
    fp *row_points;        /* w^r of the direct boundary rows */
    fp *last;              /* w^-S, w^-2S, .. of the table's w */
    fp *root;              /* the coset's w */
    size_t end;
} scratch_map;

static size_t block_or(size_t words) { return words < BLOCK ? BLOCK : words; }

/* On a longer coset a periodic column's period is as many times longer. */
static size_t periodic_words(const apr_table *table, uint32_t i, uint32_t log_size) {
    return block_or((size_t)1 << (table->periodic[i].log_size + log_size - table->log_height));
}

static scratch_map carve(const aprover_air *air, const apr_table *table, uint32_t log_size, void *memory) {
    scratch_map m = {0};
    const uintptr_t base = (uintptr_t)memory; /* an integer, since the size is asked for with NULL */
    const size_t direct = table->rows <= APR_DIRECT_ROWS ? table->rows : 0;
    size_t at = 0, periodic = 0, period = 0;
    for (uint32_t i = 0; i < table->periodics; i++) {
        const size_t words = periodic_words(table, i, log_size);
        periodic += words;
        if (words > period) period = words;
    }
#define TAKE(member, count, type)                             \
    do {                                                      \
        m.member = (type *)(base + at);                       \
        at = (at + (count) * sizeof(type) + 63) & ~(size_t)63; \
    } while (0)
    TAKE(operands, table->slots, operand);
    TAKE(scalars, (size_t)LANES * (air->publics + table->constants), uint32_t);
    TAKE(registers, (size_t)BLOCK * table->registers, uint32_t);
    TAKE(wrapped, (size_t)BLOCK * (table->reads - table->columns - table->preprocessed_columns), uint32_t);
    TAKE(phi, table->interactions > 0 ? BLOCK * FX_DEGREE : 0, uint32_t);
    TAKE(periodic, periodic, uint32_t);
    TAKE(period, log_size > table->log_height ? period : 0, uint32_t);
    TAKE(sums, (size_t)BLOCK * FX_DEGREE * (table->max_offset + 1), uint32_t);
    TAKE(pending, BLOCK, uint32_t);
    TAKE(powers, BLOCK, uint32_t);
    TAKE(slot_powers, table->log_slots > 0 ? BLOCK : 0, uint32_t);
    TAKE(vanishing, block_or((size_t)1 << (log_size - table->log_height)), uint32_t);
    TAKE(inverses, BLOCK * direct, uint32_t);
    TAKE(invert, BLOCK * direct, uint32_t);
    TAKE(row_points, direct, fp);
    TAKE(last, APR_MAX_OFFSET, fp);
    TAKE(root, 1, fp);
#undef TAKE
    m.end = at;
    return m;
}

/* On the coset the column is P(x^(k/P)), and x^(k/P) runs through a coset of a small subgroup, `spread` times as large as the
 * column's own: so through `spread` cosets of that. */
static void prepare_periodic(const apr_air_coset *c, const scratch_map *m, uint32_t i, uint32_t *out) {
    const apr_periodic *p = &c->table->periodic[i];
    const uint32_t log_spread = c->log_size - c->table->log_height;
    const size_t n = (size_t)1 << p->log_size, spread = (size_t)1 << log_spread, words = periodic_words(c->table, i, c->log_size);
    fp shift = fp_sqr_times(c->shift, c->table->log_height - p->log_size);
    if (spread == 1) {
        c->poly->evaluate(&c->twiddles, out, p->coefficients, p->log_size, shift);
    } else {
        const fp step = fp_root(p->log_size + log_spread);
        for (size_t a = 0; a < spread; a++, shift = fp_mul(shift, step)) {
            c->poly->evaluate(&c->twiddles, m->period, p->coefficients, p->log_size, shift);
            for (size_t b = 0; b < n; b++) out[a + spread * b] = m->period[b];
        }
    }
    for (size_t j = n * spread; j < words; j++) out[j] = out[j - n * spread];
}

/* Each product would wait for the one before: so the second half is the first times a power, eight at a time. */
static void fill_powers(uint32_t *out, size_t count, fp w) {
    fp power = FP_ONE;
    for (int i = 0; i < LANES; i++, power = fp_mul(power, w)) out[i] = power;
    for (size_t half = LANES; half < count; half *= 2, power = fp_sqr(power))
        for (size_t i = 0; i < half; i += LANES) v8_storeu(out + half + i, v8_mul(v8_loadu(out + i), v8_set1(power)));
}

static void VEC_NAME(prepare)(const apr_air_coset *c) {
    const aprover_air *air = c->air;
    const apr_table *table = c->table;
    const scratch_map m = carve(air, table, c->log_size, c->scratch);
    uint32_t *out = m.periodic;
    for (uint32_t i = 0; i < table->periodics; i++) {
        prepare_periodic(c, &m, i, out);
        out += periodic_words(table, i, c->log_size);
    }
    for (uint32_t i = 0; i < table->registers; i++) m.operands[i] = (operand){m.registers + (size_t)BLOCK * i, LANES};
    for (uint32_t i = 0; i < air->publics + table->constants; i++) {
        v8_storeu(m.scalars + (size_t)LANES * i, v8_set1(i < air->publics ? c->publics[i] : table->constant[i - air->publics]));
        m.operands[table->first_public + i] = (operand){m.scalars + (size_t)LANES * i, 0};
    }
    if (c->alphas == NULL) return;
    const fp w = fp_root(c->log_size), w_table = fp_root(table->log_height);
    const fp w_inverse = fp_root_inverse(table->log_height - table->log_slots);
    const size_t size = (size_t)1 << c->log_size, rows = size < BLOCK ? size : BLOCK, period = size >> table->log_height;
    fp last = FP_ONE;
    *m.root = w;
    for (uint32_t s = 0; s < table->max_offset; s++) m.last[s] = last = fp_mul(last, w_inverse);
    fill_powers(m.powers, rows, w);
    if (table->log_slots > 0) fill_powers(m.slot_powers, rows, fp_sqr_times(w, table->log_slots));
    apr_vanishing_inverses(m.vanishing, period < rows ? rows : period, table->log_height, c->log_size, c->shift);
    if (c->direct_boundaries)
        for (uint32_t i = 0; i < table->rows; i++) m.row_points[i] = fp_pow(w_table, table->row[i]);
}

/* `count` words of the column from `from` on, round the end of the coset; copied only there. */
static const uint32_t *window(const apr_air_coset *c, const uint32_t *column, size_t from, size_t count, uint32_t *copy) {
    const size_t size = (size_t)1 << c->log_size;
    from &= size - 1;
    if (from + count <= size) return column + from;
    memcpy(copy, column + from, 4 * (size - from));
    memcpy(copy + (size - from), column, 4 * (from + count - size));
    return copy;
}

/* Point the reads and the periodic columns at this block. */
static void aim(const apr_air_coset *c, const scratch_map *m, size_t first, size_t count) {
    const apr_table *table = c->table;
    const uint32_t log_spread = c->log_size - table->log_height, own = table->columns + table->preprocessed_columns;
    for (uint32_t i = 0; i < table->reads; i++) {
        const uint32_t number = apr_read_column(table->read[i]);
        const apr_coset_columns *part = number < table->columns ? &c->trace : &c->preprocessed;
        const uint32_t *column = part->values + part->stride * (number < table->columns ? number : number - table->columns);
        const size_t offset = (size_t)apr_read_offset(table->read[i]) << log_spread;
        uint32_t *copy = offset == 0 ? NULL : m->wrapped + (size_t)BLOCK * (i - own);
        m->operands[table->first_read + i] = (operand){window(c, column, first + offset, count, copy), LANES};
    }
    const uint32_t *periodic = m->periodic;
    for (uint32_t i = 0; i < table->periodics; i++) {
        const size_t words = periodic_words(table, i, c->log_size);
        m->operands[table->first_periodic + i] = (operand){periodic + (first & (words - 1)), LANES};
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

/* Two at once share the reduction: 2 p^2 < 2^32 p, its bound. */
static void add_pair_to_sum(uint32_t *sum, const uint32_t *a, fx alpha, operand b, fx beta, size_t count) {
    for (size_t i = 0; i < count; i += LANES, b.at += b.step) {
        const v8_split x = v8_split_of(v8_loadu(a + i)), y = v8_split_of(v8_loadu(b.at));
        for (int e = 0; e < FX_DEGREE; e++) {
            uint32_t *to = sum + BLOCK * e + i;
            const v8_wide both = v8_wide_add(v8_wide_mul(x, v8_split_set1(alpha.c[e])), v8_wide_mul(y, v8_split_set1(beta.c[e])));
            v8_storeu(to, v8_add(v8_loadu(to), v8_wide_reduce(both)));
        }
    }
}

/* The value of constraint `number`; of each two that follow each other with the same exemption the first waits for the
 * second, in a copy, since its register may be used again. */
static int add_constraint(const apr_air_coset *c, const scratch_map *m, uint32_t number, operand a, int waits, size_t count) {
    const apr_table *table = c->table;
    const uint8_t *exemption = table->exemption;
    uint32_t *sum = m->sums + (size_t)BLOCK * FX_DEGREE * exemption[number];
    if (waits) {
        add_pair_to_sum(sum, m->pending, c->alphas[number - 1], a, c->alphas[number], count);
        return 0;
    }
    if (number + 1 == table->asserts || exemption[number + 1] != exemption[number]) {
        add_to_sum(sum, a, c->alphas[number], count);
        return 0;
    }
    for (size_t i = 0; i < count; i += LANES, a.at += a.step) v8_storeu(m->pending + i, v8_loadu(a.at));
    return 1;
}

/* Without alphas the constraints are passed over: only the registers are wanted. */
static void run_code(const apr_air_coset *c, const scratch_map *m, size_t count) {
    const apr_table *table = c->table;
    uint32_t number = 0;
    int waits = 0;
    for (uint32_t n = 0; n < table->instructions; n++) {
        const apr_instruction in = table->code[n];
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
            if (c->alphas == NULL) break;
            waits = add_constraint(c, m, number, a, waits, count);
            number++;
        }
    }
}

/* ---- lookups ---- */

static inline v8 slot_value(const scratch_map *m, uint32_t slot, size_t i) {
    const operand a = m->operands[slot];
    return v8_loadu(a.at + i / LANES * a.step);
}

/* gamma - (bus + sum of beta^j t_j) */
static inline vx fingerprint_of(const apr_air_coset *c, const scratch_map *m, const apr_interaction *in, size_t i) {
    const apr_fingerprint *challenges = c->fingerprint;
    v8_wide sum[FX_DEGREE];
    vx f = vx_set1(fx_sub(challenges->gamma, fx_from_fp(fp_from_u32(in->bus))));
    for (int e = 0; e < FX_DEGREE; e++) sum[e] = v8_wide_zero();
    for (uint32_t j = 0; j < in->width; j++) {
        const v8_split t = v8_split_of(slot_value(m, in->value[j], i));
        for (int e = 0; e < FX_DEGREE; e++)
            sum[e] = v8_wide_trim(v8_wide_add(sum[e], v8_wide_mul(t, v8_split_set1(challenges->beta[j + 1].c[e]))));
    }
    for (int e = 0; e < FX_DEGREE; e++) f.c[e] = v8_sub(f.c[e], v8_wide_reduce(sum[e]));
    return f;
}

typedef struct {
    vx numerator, denominator;
} fraction;

/* The sum of a batch's fractions in eight rows. */
static inline fraction batch_fraction(const apr_air_coset *c, const scratch_map *m, uint32_t batch, size_t i) {
    const apr_table *table = c->table;
    const uint32_t first = apr_batch_first(table, batch), end = first + apr_batch_count(table, batch);
    fraction sum;
    for (uint32_t n = first; n < end; n++) {
        const apr_interaction *in = &table->interaction[n];
        v8 multiplicity = slot_value(m, in->multiplicity, i);
        if (in->minus) multiplicity = v8_sub(v8_set1(0), multiplicity);
        const vx f = fingerprint_of(c, m, in, i);
        if (n == first) {
            sum.numerator = vx_set1(fx_zero());
            sum.numerator.c[0] = multiplicity;
            sum.denominator = f;
            continue;
        }
        const vx left = n == first + 1 ? vx_scale(f, sum.numerator.c[0]) : vx_mul(sum.numerator, f);
        sum.numerator = vx_add(left, vx_scale(sum.denominator, multiplicity));
        sum.denominator = vx_mul(sum.denominator, f);
    }
    return sum;
}

static inline vx load_element(const uint32_t *values, size_t stride, size_t i) {
    vx r;
    for (int e = 0; e < FX_DEGREE; e++) r.c[e] = v8_loadu(values + stride * (size_t)e + i);
    return r;
}

static void add_lookups(const apr_air_coset *c, const scratch_map *m, size_t first, size_t count) {
    const apr_table *table = c->table;
    const uint32_t batches = table->lookup_columns;
    const fx *alphas = c->alphas + table->first_lookup;
    const uint32_t *here = c->lookup.values + first, *phi = here + c->lookup.stride * FX_DEGREE * (batches - 1), *next[FX_DEGREE];
    const size_t step = (size_t)1 << (c->log_size - table->log_height);
    for (int e = 0; e < FX_DEGREE; e++)
        next[e] = window(c, phi - first + c->lookup.stride * (size_t)e, first + step, count, m->phi + BLOCK * e);
    for (size_t i = 0; i < count; i += LANES) {
        /* phi(next row) - phi + sigma/k, from which the other batches' columns are taken */
        vx rest = vx_set1(c->drift), total = load_element(m->sums, BLOCK, i);
        for (int e = 0; e < FX_DEGREE; e++)
            rest.c[e] = v8_add(rest.c[e], v8_sub(v8_loadu(next[e] + i), v8_loadu(phi + c->lookup.stride * (size_t)e + i)));
        for (uint32_t a = 0; a < batches; a++) {
            const fraction f = batch_fraction(c, m, a, i);
            vx h = rest;
            if (a < batches - 1) {
                h = load_element(here + c->lookup.stride * FX_DEGREE * a, c->lookup.stride, i);
                rest = vx_sub(rest, h);
            }
            total = vx_add(total, vx_mul(vx_sub(vx_mul(h, f.denominator), f.numerator), vx_set1(alphas[a])));
        }
        for (int e = 0; e < FX_DEGREE; e++) v8_storeu(m->sums + BLOCK * e + i, total.c[e]);
    }
}

static void VEC_NAME(fractions)(const apr_air_coset *c, size_t first, size_t count, apr_fxv out) {
    const scratch_map m = carve(c->air, c->table, c->log_size, c->scratch);
    aim(c, &m, first, count);
    run_code(c, &m, count);
    for (size_t i = 0; i < count; i += LANES)
        for (uint32_t a = 0; a < c->table->lookup_columns; a++) {
            const fraction f = batch_fraction(c, &m, a, i);
            const vx h = vx_mul(f.numerator, vx_inv(f.denominator));
            for (int e = 0; e < FX_DEGREE; e++) v8_storeu(out.values + out.stride * (FX_DEGREE * a + (size_t)e) + i, h.c[e]);
        }
}

/* ---- boundaries ---- */

/* inverses[r][i] = w^r / (k * (x_i - w^r)) */
static void invert_rows(const apr_air_coset *c, const scratch_map *m, fp start, size_t count) {
    const apr_table *table = c->table;
    const fp k_inverse = fp_power_of_half(table->log_height);
    for (uint32_t r = 0; r < table->rows; r++)
        for (size_t i = 0; i < count; i += LANES) {
            v8 x = v8_mul(v8_loadu(m->powers + i), v8_set1(start));
            v8_storeu(m->inverses + r * count + i, v8_sub(x, v8_set1(m->row_points[r])));
        }
    c->poly->invert(m->inverses, count * table->rows, m->invert);
    for (uint32_t r = 0; r < table->rows; r++) {
        v8 scale = v8_set1(fp_mul(m->row_points[r], k_inverse));
        for (size_t i = 0; i < count; i += LANES)
            v8_storeu(m->inverses + r * count + i, v8_mul(v8_loadu(m->inverses + r * count + i), scale));
    }
}

static void add_boundaries(const apr_air_coset *c, const scratch_map *m, fp start, size_t count, apr_fxv out) {
    const apr_table *table = c->table;
    invert_rows(c, m, start, count);
    for (uint32_t n = 0; n < table->boundaries; n++) {
        const apr_boundary *b = &table->boundary[n];
        const uint32_t *column = m->operands[table->first_read + b->column].at;
        const uint32_t *inverse = m->inverses + b->row_index * count;
        v8 value = v8_loadu(m->operands[b->slot].at), coefficient[FX_DEGREE];
        for (int e = 0; e < FX_DEGREE; e++) coefficient[e] = v8_set1(c->alphas[b->constraint].c[e]);
        for (size_t i = 0; i < count; i += LANES) {
            v8 term = v8_mul(v8_sub(v8_loadu(column + i), value), v8_loadu(inverse + i));
            for (int e = 0; e < FX_DEGREE; e++) {
                uint32_t *to = out.values + out.stride * (size_t)e + i;
                v8_storeu(to, v8_add(v8_loadu(to), v8_mul(term, coefficient[e])));
            }
        }
    }
}

/* ---- the quotient ---- */

static void VEC_NAME(block)(const apr_air_coset *c, size_t first, size_t count, apr_fxv out) {
    const apr_table *table = c->table;
    const scratch_map m = carve(c->air, table, c->log_size, c->scratch);
    const fp start = fp_mul(c->shift, fp_pow(*m.root, first)), slot_start = fp_sqr_times(start, table->log_slots);
    const uint32_t *slot_powers = table->log_slots > 0 ? m.slot_powers : m.powers;
    const uint32_t exemptions = table->exemptions | (table->interactions > 0 ? 1u : 0u);
    const uint32_t *vanishing = m.vanishing + (first & (block_or((size_t)1 << (c->log_size - table->log_height)) - 1));
    for (uint32_t s = 0; s <= table->max_offset; s++)
        if (exemptions >> s & 1) memset(m.sums + (size_t)BLOCK * FX_DEGREE * s, 0, 4 * BLOCK * FX_DEGREE);
    aim(c, &m, first, count);
    run_code(c, &m, count);
    if (table->interactions > 0) add_lookups(c, &m, first, count);

    for (size_t i = 0; i < count; i += LANES) {
        const v8 x = v8_mul(v8_loadu(slot_powers + i), v8_set1(slot_start));
        v8 factor = v8_loadu(vanishing + i), total[FX_DEGREE];
        for (int e = 0; e < FX_DEGREE; e++) total[e] = v8_set1(0);
        for (uint32_t s = 0;; s++) {
            if (exemptions >> s & 1)
                for (int e = 0; e < FX_DEGREE; e++)
                    total[e] = v8_add(total[e], v8_mul(factor, v8_loadu(m.sums + (size_t)BLOCK * (FX_DEGREE * s + (uint32_t)e) + i)));
            if (s == table->max_offset) break;
            factor = v8_mul(factor, v8_sub(x, v8_set1(m.last[s])));
        }
        for (int e = 0; e < FX_DEGREE; e++) v8_storeu(out.values + out.stride * (size_t)e + i, total[e]);
    }
    if (c->direct_boundaries && table->boundaries > 0) add_boundaries(c, &m, start, count, out);
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

static void VEC_NAME(boundary_column)(apr_fxv q, const uint32_t *s, const uint32_t *u, const uint32_t *t, fx alpha,
                                      const uint32_t *scales, size_t period, size_t n) {
    for (size_t i = 0; i < n; i += LANES) {
        v8 term = v8_sub(v8_mul(v8_loadu(s + i), v8_loadu(t + i)), v8_loadu(u + i));
        term = v8_mul(term, v8_loadu(scales + (i & (period - 1))));
        for (int e = 0; e < FX_DEGREE; e++) {
            uint32_t *to = q.values + q.stride * (size_t)e + i;
            v8_storeu(to, v8_add(v8_loadu(to), v8_mul(term, v8_set1(alpha.c[e]))));
        }
    }
}

size_t VEC_NAME(apr_air_scratch)(const aprover_air *air, const apr_table *table, uint32_t log_size) {
    return carve(air, table, log_size, NULL).end;
}

const apr_air_kernels VEC_NAME(apr_air_kernels) = {VEC_NAME(prepare), VEC_NAME(block), VEC_NAME(fractions), VEC_NAME(mix),
                                                   VEC_NAME(boundary_column)};
