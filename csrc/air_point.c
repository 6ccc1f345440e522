/* The quotient of a table at one point, for the verifier and for the prover's own check: docs/protocol.md sections 4.3 and 4.4. */
#include "air.h"
#include "poly.h"

typedef struct {
    const apr_table *table;
    const apr_point_challenges *challenges;
    const fx *openings;
    fx *registers, *periodics, *inverse, *prefix;
    fx power; /* of alpha, for the next constraint */
} point;

static size_t point_elements(const apr_table *table) {
    return (size_t)table->registers + table->periodics + 2 * (size_t)table->rows;
}

size_t apr_table_quotient_scratch(const aprover_air *air) {
    size_t largest = 1;
    for (uint32_t t = 0; t < air->tables; t++)
        if (point_elements(&air->table[t]) > largest) largest = point_elements(&air->table[t]);
    return (sizeof(fx) * largest + 63) & ~(size_t)63;
}

static fx slot_value(const point *p, uint32_t slot) {
    const apr_table *table = p->table;
    if (slot < table->first_read) return p->registers[slot];
    if (slot < table->first_periodic) return p->openings[slot - table->first_read];
    if (slot < table->first_public) return p->periodics[slot - table->first_periodic];
    if (slot < table->first_constant) return fx_from_fp(p->challenges->publics[slot - table->first_public]);
    return fx_from_fp(table->constant[slot - table->first_constant]);
}

static fx squared(fx x, uint32_t times) {
    for (uint32_t i = 0; i < times; i++) x = fx_sqr(x);
    return x;
}

static fx periodic_at(const apr_periodic *periodic, uint32_t log_height, fx z) {
    fx y = squared(z, log_height - periodic->log_size), sum = fx_zero();
    for (uint32_t i = 1u << periodic->log_size; i-- > 0;) {
        sum = fx_mul(sum, y);
        sum.c[0] = fp_add(sum.c[0], periodic->coefficients[apr_bitrev(i, periodic->log_size)]);
    }
    return sum;
}

/* Add the next constraint, whose value is given, to a sum. */
static void add_constraint(point *p, fx *sum, fx value) {
    *sum = fx_add(*sum, fx_mul(p->power, value));
    p->power = fx_mul(p->power, p->challenges->alpha);
}

/* The sums of alpha^i C_i(z), one for each exemption. */
static void sum_transitions(point *p, fx sums[APR_MAX_OFFSET + 1]) {
    const apr_table *table = p->table;
    uint32_t number = 0;
    for (uint32_t i = 0; i < table->instructions; i++) {
        apr_instruction in = table->code[i];
        fx a = slot_value(p, in.a);
        switch (in.op) {
        case APR_OP_ADD: p->registers[in.dst] = fx_add(a, slot_value(p, in.b)); break;
        case APR_OP_SUB: p->registers[in.dst] = fx_sub(a, slot_value(p, in.b)); break;
        case APR_OP_MUL: p->registers[in.dst] = fx_mul(a, slot_value(p, in.b)); break;
        default: add_constraint(p, &sums[table->exemption[number++]], a);
        }
    }
}

/* sum over s of sums[s] * E_s(z) */
static fx exempt(const point *p, const fx sums[APR_MAX_OFFSET + 1]) {
    const apr_table *table = p->table;
    const fx run = squared(p->challenges->z, table->log_slots); /* z^S, and w^S is the root of order k/S */
    const fp step = fp_root_inverse(table->log_height - table->log_slots);
    fx total = fx_zero(), factor = fx_one();
    fp last = FP_ONE;
    for (uint32_t s = 0; table->exemptions >> s != 0; s++) { /* factor = E_s(z) */
        total = fx_add(total, fx_mul(sums[s], factor));
        last = fp_mul(last, step);
        factor = fx_mul(factor, fx_sub(run, fx_from_fp(last)));
    }
    return total;
}

/* The inverses of V(z), which is returned, and of z - w^r for all boundary rows, with one inversion. z lies outside Fp, so none of them
 * is zero. */
static fx invert_all(const point *p) {
    const apr_table *table = p->table;
    const fp w = fp_root(table->log_height);
    const fx vanishing = fx_sub(squared(p->challenges->z, table->log_height), fx_one());
    fx product = vanishing;
    for (uint32_t i = 0; i < table->rows; i++) {
        p->inverse[i] = fx_sub(p->challenges->z, fx_from_fp(fp_pow(w, table->row[i])));
        p->prefix[i] = product;
        product = fx_mul(product, p->inverse[i]);
    }
    fx rest = fx_inv(product);
    for (uint32_t i = table->rows; i-- > 0;) {
        fx factor = p->inverse[i];
        p->inverse[i] = fx_mul(rest, p->prefix[i]);
        rest = fx_mul(rest, factor);
    }
    return rest;
}

/* sum of alpha^i B_i(z) */
static fx sum_boundaries(point *p) {
    const apr_table *table = p->table;
    const fp w = fp_root(table->log_height), k_inverse = fp_power_of_half(table->log_height);
    fx total = fx_zero();
    for (uint32_t i = 0; i < table->boundaries;) {
        const uint32_t constraint = table->boundary[i].constraint;
        fx column = fx_zero();
        for (; i < table->boundaries && table->boundary[i].constraint == constraint; i++) {
            const apr_boundary *b = &table->boundary[i];
            const fx difference = fx_sub(p->openings[b->column], slot_value(p, b->slot));
            const fx term = fx_mul(difference, p->inverse[b->row_index]);
            column = fx_add(column, fx_scale(term, fp_mul(fp_pow(w, b->row), k_inverse)));
        }
        add_constraint(p, &total, column);
    }
    return total;
}

/* gamma - (bus + sum of beta^j t_j) */
static fx fingerprint(const point *p, const apr_interaction *in) {
    fx sum = fx_zero();
    for (uint32_t j = in->width; j-- > 0;) sum = fx_mul(fx_add(sum, slot_value(p, in->value[j])), p->challenges->beta);
    sum = fx_add(sum, fx_from_fp(fp_from_u32(in->bus)));
    return fx_sub(p->challenges->gamma, sum);
}

/* The sum of a batch's fractions as one fraction N_a / F_a. */
static void batch_fraction(const point *p, uint32_t a, fx *numerator, fx *denominator) {
    const apr_interaction *in = p->table->interaction + apr_batch_first(p->table, a);
    const uint32_t count = apr_batch_count(p->table, a);
    *numerator = fx_zero();
    *denominator = fx_one();
    for (uint32_t i = 0; i < count; i++) { /* N/F + m/f = (N f + m F) / (F f) */
        const fx f = fingerprint(p, &in[i]), product = fx_mul(slot_value(p, in[i].multiplicity), *denominator);
        *numerator = fx_mul(*numerator, f);
        *numerator = in[i].minus ? fx_sub(*numerator, product) : fx_add(*numerator, product);
        *denominator = fx_mul(*denominator, f);
    }
}

/* sum of alpha^i L_a(z) */
static fx sum_lookups(point *p, fx sigma) {
    const apr_table *table = p->table;
    const fx *h = p->openings + table->reads;
    fx total = fx_zero(), others = fx_zero(), numerator, denominator;
    if (table->interactions == 0) return total;
    const uint32_t last = table->lookup_columns - 1;
    for (uint32_t a = 0; a < last; a++) {
        batch_fraction(p, a, &numerator, &denominator);
        add_constraint(p, &total, fx_sub(fx_mul(h[a], denominator), numerator));
        others = fx_add(others, h[a]);
    }
    batch_fraction(p, last, &numerator, &denominator);
    fx own = fx_sub(fx_sub(h[last + 1], h[last]), others);
    own = fx_add(own, fx_scale(sigma, fp_power_of_half(table->log_height)));
    add_constraint(p, &total, fx_sub(fx_mul(own, denominator), numerator));
    return total;
}

fx apr_table_quotient_at(const apr_table *table, const apr_point_challenges *challenges, const fx *openings, fx sigma, fx *power,
                         void *scratch) {
    point p = {.table = table, .challenges = challenges, .openings = openings, .registers = scratch, .power = *power};
    p.periodics = p.registers + table->registers;
    p.inverse = p.periodics + table->periodics;
    p.prefix = p.inverse + table->rows;
    fx sums[APR_MAX_OFFSET + 1] = {0};
    for (uint32_t i = 0; i < table->periodics; i++)
        p.periodics[i] = periodic_at(&table->periodic[i], table->log_height, challenges->z);
    const fx inverse = invert_all(&p);
    sum_transitions(&p, sums);
    const fx boundaries = sum_boundaries(&p), lookups = sum_lookups(&p, sigma);
    *power = p.power;
    return fx_add(fx_mul(fx_add(exempt(&p, sums), lookups), inverse), boundaries);
}
