/* Loading: every rule of docs/protocol.md section 4, by the word that breaks it; and the quotient at a point. */
#include <stdlib.h>

#include "../../csrc/poly.h"
#include "airs.h"

static const aprover_air *load(const test_air *a) {
    const size_t bytes = aprover_air_memory(a->words, a->count);
    void *memory = aligned_alloc(64, bytes);
    CHECK(bytes > 0 && memory != NULL);
    CHECK(aprover_air_load(a->words, a->count, memory, bytes, NULL) == APROVER_OK);
    return memory;
}

static aprover_error load_error(const uint32_t *words, size_t count) {
    aprover_error error = {0, 0, 0};
    const size_t bytes = aprover_air_memory(words, count);
    void *memory = aligned_alloc(64, bytes + 64);
    CHECK(memory != NULL);
    CHECK((int32_t)aprover_air_load(words, count, memory, bytes, &error) == error.status);
    free(memory);
    return error;
}

/* ---- rules ---- */

/* Where the parts of lookup_air(.., 4, 3, ..) stand. */
enum {
    WIDTHS = 4,
    SUMS = 6,
    READS = SUMS + 12,
    CONSTANTS = READS + 3,
    CODE = CONSTANTS + 2,
    BOUNDARIES = CODE + 6,
    SENDS = BOUNDARIES + 6,
    RANGE = SENDS + 9,
    COUNTS = RANGE + 12 + 2,
    NUMBERS = COUNTS + 4,
    PAIRS = NUMBERS + 8,
    PERIOD = PAIRS + 12 + 2,
    RECEIVES = PERIOD + 3,
    END = RECEIVES + 5
};

static void rules_are_named(void) {
    static const struct {
        size_t at;
        uint32_t value, rule;
        size_t index; /* 0: the altered word */
    } cases[] = {
        {0, 1, APR_RULE_VERSION, 0},
        {0, 3, APR_RULE_VERSION, 0},
        {1, 0, APR_RULE_HEADER_RANGE, 0},
        {1, 65, APR_RULE_HEADER_RANGE, 0},
        {1, 2, APR_RULE_LENGTH, PAIRS},
        {1, 4, APR_RULE_LENGTH, END},
        {2, 65, APR_RULE_HEADER_RANGE, 0},
        {3, 65537, APR_RULE_HEADER_RANGE, 0},
        {3, 65536, APR_RULE_SLOTS, SUMS + 7},
        {WIDTHS, 0, APR_RULE_HEADER_RANGE, 0},
        {WIDTHS + 1, 17, APR_RULE_HEADER_RANGE, 0},
        {SUMS, 0, APR_RULE_HEADER_RANGE, 0},
        {SUMS, 4097, APR_RULE_HEADER_RANGE, 0},
        {SUMS + 1, 4095, APR_RULE_HEADER_RANGE, 0}, /* W + P */
        {SUMS + 2, 2, APR_RULE_HEADER_RANGE, 0},
        {SUMS + 2, 25, APR_RULE_HEADER_RANGE, 0},
        {SUMS + 3, 5, APR_RULE_HEADER_RANGE, 0}, /* more runs than rows */
        {SUMS + 4, 1, APR_RULE_HEADER_RANGE, 0}, /* fewer reads than columns */
        {SUMS + 4, 16385, APR_RULE_HEADER_RANGE, 0},
        {SUMS + 5, 1025, APR_RULE_HEADER_RANGE, 0},
        {SUMS + 6, 16385, APR_RULE_HEADER_RANGE, 0},
        {SUMS + 7, 4097, APR_RULE_HEADER_RANGE, 0},
        {SUMS + 8, (1u << 20) + 1, APR_RULE_HEADER_RANGE, 0},
        {SUMS + 8, 1u << 20, APR_RULE_LENGTH, CODE},
        {SUMS + 9, 65537, APR_RULE_HEADER_RANGE, 0},
        {SUMS + 10, 1025, APR_RULE_HEADER_RANGE, 0},
        {SUMS + 11, 0, APR_RULE_HEADER_RANGE, 0},
        {SUMS + 11, 5, APR_RULE_HEADER_RANGE, 0},
        {SUMS + 3, 4, APR_RULE_EXEMPTION, CODE + 4}, /* runs of one row, and one is exempt */
        {READS, 1, APR_RULE_READ_ORDER, 0},
        {READS + 2, 1, APR_RULE_READ_ORDER, 0}, /* twice */
        {READS + 2, 2, APR_RULE_READ, 0},       /* no such column */
        {READS + 2, 16u << 16, APR_RULE_READ, 0},
        {CONSTANTS + 1, FP_P, APR_RULE_CANONICAL, 0},
        {CODE, 4, APR_RULE_OPCODE, 0},
        {CODE, APR_OP_ADD | 1 << 16, APR_RULE_REGISTER, 0},
        {CODE + 1, 0 | 1 << 16, APR_RULE_OPERAND, 0}, /* register 0, not yet written */
        {CODE + 1, 1 | 7 << 16, APR_RULE_OPERAND, 0}, /* one past the last slot */
        {CODE + 4, APR_OP_ASSERT | 1 << 16, APR_RULE_ASSERT, 0},
        {CODE + 5, 0 | 1 << 16, APR_RULE_ASSERT, CODE + 4},
        {CODE + 5, 5, APR_RULE_ASSERT, CODE + 4}, /* a constant */
        {BOUNDARIES, 2, APR_RULE_BOUNDARY, 0},
        {BOUNDARIES + 1, 16, APR_RULE_BOUNDARY, BOUNDARIES},
        {BOUNDARIES + 2, 3, APR_RULE_BOUNDARY, BOUNDARIES}, /* a read */
        {BOUNDARIES + 2, 7, APR_RULE_BOUNDARY, BOUNDARIES},
        {BOUNDARIES + 4, 0, APR_RULE_BOUNDARY_ORDER, BOUNDARIES + 3},
        {BOUNDARIES + 3, 0, APR_RULE_BOUNDARY_ORDER, 0},
        {SENDS, 2, APR_RULE_INTERACTION, 0},
        {SENDS + 1, 2, APR_RULE_INTERACTION, SENDS},
        {SENDS + 2, 7, APR_RULE_OPERAND, 0},
        {SENDS + 3, 7, APR_RULE_OPERAND, 0},
        {RANGE + 1, 4096, APR_RULE_HEADER_RANGE, 0},
        {NUMBERS + 7, FP_P, APR_RULE_CANONICAL, 0},
        {PERIOD, 13, APR_RULE_PERIOD, 0},
        {PERIOD + 2, UINT32_MAX, APR_RULE_CANONICAL, 0},
    };
    static test_air a;
    static uint32_t trace[1 << 10];
    lookup_air(&a, 4, 3, 1, trace);
    CHECK(a.count == END && load_error(a.words, a.count).status == APROVER_OK);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const uint32_t value = a.words[cases[i].at];
        a.words[cases[i].at] = cases[i].value;
        const aprover_error error = load_error(a.words, a.count);
        if (error.status != APROVER_ERROR_AIR || error.detail != cases[i].rule || error.index != (cases[i].index ? cases[i].index : cases[i].at)) {
            fprintf(stderr, "case %zu: status %d rule %u word %llu\n", i, error.status, error.detail, (unsigned long long)error.index);
            exit(1);
        }
        a.words[cases[i].at] = value;
    }
    puts("ok each rule is named with its word");
}

/* Nothing shorter and nothing longer is an AIR, whatever the words are. */
static void lengths_are_exact(void) {
    static test_air a;
    static uint32_t trace[1 << 10];
    lookup_air(&a, 4, 3, 2, trace);
    for (size_t count = 0; count < a.count; count++) {
        uint32_t *words = malloc(4 * count + 1); /* a block of its own, so that reading past the end is seen */
        memcpy(words, a.words, 4 * count);
        const aprover_error error = load_error(words, count);
        CHECK(error.status == APROVER_ERROR_AIR && error.detail == APR_RULE_LENGTH && aprover_air_memory(words, count) == 0);
        free(words);
    }
    air_word(&a, 0);
    CHECK(load_error(a.words, a.count).detail == APR_RULE_LENGTH);
    CHECK(load_error(NULL, 0).detail == APR_RULE_LENGTH);
    puts("ok lengths are exact");
}

static void memory_is_checked(void) {
    static test_air a;
    static uint32_t trace[1 << 10];
    static _Alignas(64) uint8_t memory[1 << 14];
    aprover_error error;
    lookup_air(&a, 4, 3, 2, trace);
    const size_t bytes = aprover_air_memory(a.words, a.count);
    CHECK(aprover_air_load(a.words, a.count, memory, bytes - 1, &error) == APROVER_ERROR_MEMORY && error.index == bytes);
    CHECK(aprover_air_load(a.words, a.count, NULL, bytes, &error) == APROVER_ERROR_MEMORY);
    CHECK(aprover_air_load(a.words, a.count, memory, bytes, &error) == APROVER_OK);
    puts("ok memory is checked");
}

/* One table whose interactions have values of the degree given and multiplicities likewise, and no other constraint. */
static void degrees_air(test_air *a, uint32_t log_height, uint32_t interactions, uint32_t batch, uint32_t value_degree,
                        uint32_t multiplicity_degree) {
    const uint32_t widths[1] = {2};
    air_begin(a, 1, 0, 1, widths);
    air_table(a, (air_header){.columns = 1, .log_height = log_height, .reads = 1, .registers = 2, .constants = 1, .batch = batch});
    enum { VALUE, MULTIPLICITY, X, ONE };
    air_word(a, 0);
    air_word(a, 1);
    air_op(a, APR_OP_ADD, VALUE, value_degree > 0 ? X : ONE, ONE);
    for (uint32_t d = 1; d < value_degree; d++) air_op(a, APR_OP_MUL, VALUE, VALUE, X);
    air_op(a, APR_OP_ADD, MULTIPLICITY, multiplicity_degree > 0 ? X : ONE, ONE);
    for (uint32_t d = 1; d < multiplicity_degree; d++) air_op(a, APR_OP_MUL, MULTIPLICITY, MULTIPLICITY, X);
    for (uint32_t i = 0; i < interactions; i++) {
        air_interaction(a, 0, i & 1, MULTIPLICITY);
        air_word(a, ONE);
        air_word(a, VALUE);
    }
}

/* 1 + sum of f, or m + the sum of the others' f; at most 8, for the last and smaller batch too. */
static void lookup_degrees(void) {
    static const struct {
        uint32_t interactions, batch, value, multiplicity, degree;
    } cases[] = {
        {2, 1, 0, 0, 1}, {2, 1, 1, 0, 2}, {2, 1, 1, 1, 2}, {2, 1, 0, 5, 5}, {2, 1, 7, 0, 8}, {2, 1, 8, 0, 9},  {4, 2, 3, 0, 7},
        {4, 2, 3, 5, 8}, {4, 2, 3, 6, 9}, {6, 3, 2, 1, 7}, {8, 4, 2, 0, 9}, {7, 4, 1, 1, 5}, {1, 4, 7, 8, 8}, {1, 4, 8, 1, 9},
    };
    static test_air a;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        degrees_air(&a, 3, cases[i].interactions, cases[i].batch, cases[i].value, cases[i].multiplicity);
        if (cases[i].degree > 8) {
            CHECK(load_error(a.words, a.count).detail == APR_RULE_DEGREE);
            continue;
        }
        const aprover_air *air = load(&a);
        aprover_table_shape shape;
        CHECK(aprover_air_table_shape(air, 0, &shape) == APROVER_OK && shape.degree == cases[i].degree);
        CHECK(shape.lookup_columns == (cases[i].interactions + cases[i].batch - 1) / cases[i].batch);
        CHECK(shape.constraints == shape.lookup_columns && shape.rows_read == 2);
        CHECK(aprover_air_table_shape(air, 1, &shape) == APROVER_ERROR_ARGUMENT);
        free((void *)air);
    }
    puts("ok lookup degrees");
}

/* 120 * 2^24 = p - 1. */
static void buses_hold_less_than_p_tuples(void) {
    static test_air a;
    degrees_air(&a, 24, 120, 4, 1, 1);
    CHECK(load_error(a.words, a.count).status == APROVER_OK);
    degrees_air(&a, 24, 121, 4, 1, 1);
    const aprover_error error = load_error(a.words, a.count);
    CHECK(error.detail == APR_RULE_BUS_COUNT && error.index == WIDTHS);
    puts("ok buses hold less than p tuples");
}

static void tables_need_a_constraint(void) {
    static test_air a;
    degrees_air(&a, 3, 0, 1, 1, 1);
    const aprover_error error = load_error(a.words, a.count);
    CHECK(error.detail == APR_RULE_EMPTY && error.index == 5);
    puts("ok tables need a constraint");
}

static void shapes_are_counted(void) {
    static test_air a;
    static uint32_t trace[1 << 10];
    aprover_shape shape;
    aprover_table_shape sums, range, pairs;
    lookup_air(&a, 4, 3, 2, trace);
    const aprover_air *air = load(&a);
    aprover_air_shape(air, &shape);
    for (uint32_t i = 0; i < 3; i++) CHECK(aprover_air_table_shape(air, i, (aprover_table_shape *[]){&sums, &range, &pairs}[i]) == APROVER_OK);
    CHECK(shape.tables == 3 && shape.publics == 1 && shape.preprocessed == 1 && shape.interactions == 4 && shape.bus_width == 2);
    CHECK(shape.max_log_height == 5 && shape.constraints == 5);
    CHECK(sums.columns == 2 && sums.reads == 3 && sums.lookup_columns == 1 && sums.constraints == 3 && sums.degree == 3);
    CHECK(range.columns == 1 && range.preprocessed == 1 && range.constraints == 1 && range.degree == 2 && range.rows_read == 2);
    CHECK(pairs.log_height == 5 && pairs.constraints == 1);
    CHECK(air->table[0].first_constraint == 0 && air->table[1].first_constraint == 3 && air->table[2].first_constraint == 4);
    CHECK(apr_trace_openings(&air->table[0]) == 5 && apr_trace_openings(&air->table[1]) == 4);
    free((void *)air);
    puts("ok shapes are counted");
}

/* ---- the quotient at a point ---- */

enum { LOG_MORE = 4 }; /* 2^LOG_MORE times as many points as rows: more than any quotient has coefficients */

static uint64_t random_state = 88172645463325252u;
static uint32_t random_word(void) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)(random_state >> 32) % FP_P;
}
static fx random_fx(void) {
    fx x;
    for (int e = 0; e < FX_DEGREE; e++) x.c[e] = random_word();
    return x;
}

/* Lagrange's formula on the trace domain: the polynomial through the values, at x. */
static fp extend(const fp *values, uint32_t log_k, fp x) {
    const fp w = fp_root(log_k), k_inverse = fp_inv(fp_from_u32(1u << log_k));
    const fp vanishing = fp_sub(fp_pow(x, 1u << log_k), FP_ONE);
    fp sum = 0, point = FP_ONE;
    for (uint32_t i = 0; i < 1u << log_k; i++, point = fp_mul(point, w))
        sum = fp_add(sum, fp_mul(values[i], fp_mul(point, fp_inv(fp_sub(x, point)))));
    return fp_mul(fp_mul(vanishing, k_inverse), sum);
}
static fx extend_fx(const fx *values, uint32_t log_k, fp x) {
    fp column[1 << 8];
    fx r;
    for (int e = 0; e < FX_DEGREE; e++) {
        for (uint32_t i = 0; i < 1u << log_k; i++) column[i] = values[i].c[e];
        r.c[e] = extend(column, log_k, x);
    }
    return r;
}

/* A slot's value in one row, for the tables here: values and multiplicities of interactions are never registers. */
static fp cell(const apr_table *t, const fp *trace, uint32_t slot, uint32_t row) {
    if (slot >= t->first_constant) return t->constant[slot - t->first_constant];
    if (slot >= t->first_periodic) return row % 2 == 0 ? FP_ONE : 0; /* the only periodic column, of `pairs` */
    const uint32_t column = apr_read_column(t->read[slot - t->first_read]);
    const fp *values = column < t->columns ? trace + ((size_t)column << t->log_height)
                                           : t->preprocessed + ((size_t)(column - t->columns) << t->log_height);
    return values[row];
}

/* Lookup columns and the sum, straight from section 4.4. */
static fx lookup_columns(const apr_table *t, const fp *trace, const apr_point_challenges *ch, fx *h) {
    const uint32_t k = 1u << t->log_height, last = t->lookup_columns - 1;
    fx sigma = fx_zero(), phi = fx_zero(), all[1 << 8];
    for (uint32_t row = 0; row < k; row++) {
        all[row] = fx_zero();
        for (uint32_t a = 0; a < t->lookup_columns; a++) {
            fx batch = fx_zero();
            for (uint32_t i = a * t->batch; i < (a + 1) * t->batch && i < t->interactions; i++) {
                const apr_interaction *in = &t->interaction[i];
                fx f = fx_from_fp(fp_from_u32(in->bus));
                for (uint32_t j = 0; j < in->width; j++)
                    f = fx_add(f, fx_scale(fx_pow(ch->beta, j + 1), cell(t, trace, in->value[j], row)));
                const fx fraction = fx_scale(fx_inv(fx_sub(ch->gamma, f)), cell(t, trace, in->multiplicity, row));
                batch = in->minus ? fx_sub(batch, fraction) : fx_add(batch, fraction);
            }
            if (a < last) h[a * k + row] = batch;
            all[row] = fx_add(all[row], batch);
        }
        sigma = fx_add(sigma, all[row]);
    }
    const fx step = fx_scale(sigma, fp_inv(fp_from_u32(k)));
    for (uint32_t row = 0; row < k; row++) {
        h[last * k + row] = phi;
        phi = fx_add(phi, fx_sub(all[row], step));
    }
    CHECK(fx_is_zero(phi)); /* it runs round */
    return sigma;
}

/* The number of coefficients that Q has up to the last that is not zero, from its values on a coset outside the trace domain. */
static uint32_t quotient_length(const aprover_air *air, uint32_t number, const fp *trace, const fp *publics) {
    const apr_table *t = &air->table[number];
    const uint32_t log_n = t->log_height + LOG_MORE, n = 1u << log_n;
    apr_point_challenges ch = {.publics = publics, .alpha = random_fx(), .gamma = random_fx(), .beta = random_fx()};
    static fx h[1 << 10], openings[64];
    static uint32_t q[FX_DEGREE][1 << 10], twiddle_memory[1 << 14];
    void *scratch = aligned_alloc(64, apr_table_quotient_scratch(air));
    const apr_poly_kernels *poly = apr_poly_kernels_for(APR_PATH_AUTO);
    apr_twiddles twiddles;
    CHECK(apr_twiddles_bytes(log_n) <= sizeof twiddle_memory && t->lookup_columns << t->log_height <= 1 << 10);
    apr_twiddles_init(&twiddles, log_n, twiddle_memory);
    const fx sigma = t->interactions > 0 ? lookup_columns(t, trace, &ch, h) : fx_zero();
    const fp w = fp_root(t->log_height), generator = fp_from_u32(FP_GENERATOR);
    fp x = generator;
    for (uint32_t i = 0; i < n; i++, x = fp_mul(x, fp_root(log_n))) {
        fx *opening = openings;
        for (uint32_t r = 0; r < t->reads; r++) {
            const uint32_t column = apr_read_column(t->read[r]);
            const fp *values = column < t->columns ? trace + ((size_t)column << t->log_height)
                                                   : t->preprocessed + ((size_t)(column - t->columns) << t->log_height);
            *opening++ = fx_from_fp(extend(values, t->log_height, fp_mul(x, fp_pow(w, apr_read_offset(t->read[r])))));
        }
        for (uint32_t a = 0; a < t->lookup_columns; a++) *opening++ = extend_fx(h + (a << t->log_height), t->log_height, x);
        if (t->interactions > 0) *opening++ = extend_fx(h + ((t->lookup_columns - 1) << t->log_height), t->log_height, fp_mul(x, w));
        fx power = fx_pow(ch.alpha, t->first_constraint), before = power;
        ch.z = fx_from_fp(x);
        const fx value = apr_table_quotient_at(t, &ch, openings, sigma, &power, scratch);
        CHECK(fx_eq(power, fx_mul(before, fx_pow(ch.alpha, t->constraints))));
        for (int e = 0; e < FX_DEGREE; e++) q[e][i] = value.c[e];
    }
    uint32_t length = 0;
    for (int e = 0; e < FX_DEGREE; e++) {
        poly->interpolate(&twiddles, q[e], log_n);
        for (uint32_t i = 0; i < n; i++)
            if (q[e][i] != 0 && apr_bitrev(i, log_n) + 1 > length) length = apr_bitrev(i, log_n) + 1;
    }
    free(scratch);
    return length;
}

/* Lay a trace out in Montgomery form and measure the quotient of one of its tables. */
static uint32_t measure(const test_air *a, uint32_t number, const uint32_t *trace) {
    static fp values[1 << 12], publics[512];
    const aprover_air *air = load(a);
    for (size_t i = a->trace[number]; i < a->trace[number + 1]; i++) values[i - a->trace[number]] = fp_from_u32(trace[i]);
    for (size_t i = 0; i < a->publics_count; i++) publics[i] = fp_from_u32(a->publics[i]);
    const uint32_t length = quotient_length(air, number, values, publics);
    free((void *)air);
    return length;
}

/* Whatever the challenges, the quotient of a trace that satisfies its table is a polynomial, of the degree that section 6 counts
 * with; of a trace that does not, it is none, and its values fill the whole space. */
static void quotients_are_polynomials(void) {
    static test_air a;
    static uint32_t trace[1 << 12];
    fibonacci_air(&a, 4, 12, trace);
    CHECK(measure(&a, 0, trace) == 15); /* the boundaries': k - 2 is the highest power */
    trace[7]++;
    CHECK(measure(&a, 0, trace) == 16u << LOG_MORE);
    for (uint32_t degree = 2; degree <= 8; degree++) {
        power_air(&a, 4, 2, degree, 4, trace);
        CHECK(measure(&a, 0, trace) == degree * 15 + 2 - 16 + 1);
        trace[16 + 15]++; /* the last row of a column: in the rule of the row two before */
        CHECK(measure(&a, 0, trace) == 16u << LOG_MORE);
    }
    for (uint32_t log_slots = 0; log_slots < 4; log_slots++) {
        runs_air(&a, 4, log_slots, trace);
        CHECK(measure(&a, 0, trace) == 2 * 15 + (1u << log_slots) - 16 + 1);
        trace[15]++;
        CHECK(measure(&a, 0, trace) == 16u << LOG_MORE);
    }
    puts("ok quotients are polynomials");
}

static void lookup_quotients_are_polynomials(void) {
    static test_air a;
    static uint32_t trace[1 << 12];
    for (uint32_t batch = 1; batch <= 2; batch++) {
        lookup_air(&a, 4, 3, batch, trace);
        CHECK(measure(&a, 0, trace) == (1 + batch) * 15 - 16 + 1);
        CHECK(measure(&a, 1, trace) == 2 * 7 - 8 + 1);
        CHECK(measure(&a, 2, trace) == 2 * 31 - 32 + 1);
        trace[a.trace[1]]++; /* a wrong count alters the sum, not the identity */
        CHECK(measure(&a, 1, trace) == 2 * 7 - 8 + 1);
    }
    puts("ok quotients of lookups are polynomials");
}

int main(void) {
    rules_are_named();
    lengths_are_exact();
    memory_is_checked();
    lookup_degrees();
    buses_hold_less_than_p_tuples();
    tables_need_a_constraint();
    shapes_are_counted();
    quotients_are_polynomials();
    lookup_quotients_are_polynomials();
    return 0;
}
