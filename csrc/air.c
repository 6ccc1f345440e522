/* Loading an AIR: every rule of docs/protocol.md section 4 is checked here, once, so that the evaluators need check nothing. */
#include "air.h"

#include <string.h>

#include "blake3.h"

enum {
    HEADER_WORDS = 10,
    MAX_WORDS = 8000000,
    MAX_SLOTS = 65535,
    MAX_DEGREE = 8,
    MAX_LOG_PERIOD = 12,
    BOUNDARY_WORDS = 3
};

/* aprover_error.detail for APROVER_ERROR_AIR. */
enum air_rule {
    RULE_VERSION = 1,
    RULE_HEADER_RANGE,
    RULE_SLOTS,
    RULE_LENGTH,
    RULE_READ,          /* column or offset out of range */
    RULE_READ_ORDER,    /* not ascending, or not all columns at offset 0 first */
    RULE_PERIOD,
    RULE_CANONICAL,
    RULE_OPCODE,
    RULE_REGISTER,      /* destination out of range */
    RULE_OPERAND,       /* slot out of range, or a register not yet written */
    RULE_DEGREE,
    RULE_ASSERT,        /* unused fields not zero, or the constraint reads no column */
    RULE_BOUNDARY,      /* column, row or slot out of range */
    RULE_BOUNDARY_ORDER,
    RULE_EMPTY,         /* no constraint at all */
    RULE_CHUNKS
};

static const uint32_t header_min[HEADER_WORDS] = {1, 1, 3, 1, 0, 0, 0, 0, 0, 0};
static const uint32_t header_max[HEADER_WORDS] = {1, 4096, 24, 16384, 1024, 65536, 16384, 4096, 1u << 20, 65536};

/* Where the parts of an aprover_air stand in its memory. */
struct parts {
    size_t read, constant, code, exemption, boundary, row, periodic, coefficients, degree_of, exemption_of, end;
};

static size_t round_up(size_t bytes) { return (bytes + 63) & ~(size_t)63; }

static size_t take(size_t *at, size_t bytes) {
    size_t here = *at;
    *at = round_up(here + bytes);
    return here;
}

/* The periodic columns' total length is known only from the words, so the whole encoding bounds it. */
static struct parts lay_out(const uint32_t *header, size_t words) {
    struct parts p;
    size_t at = round_up(sizeof(struct aprover_air));
    size_t slots = (size_t)header[7] + header[3] + header[4] + header[5] + header[6];
    p.read = take(&at, 4 * (size_t)header[3]);
    p.constant = take(&at, 4 * (size_t)header[6]);
    p.code = take(&at, sizeof(apr_instruction) * (size_t)header[8]);
    p.exemption = take(&at, header[8]);
    p.boundary = take(&at, sizeof(apr_boundary) * (size_t)header[9]);
    p.row = take(&at, 4 * (size_t)header[9]);
    p.periodic = take(&at, sizeof(apr_periodic) * (size_t)header[4]);
    p.coefficients = take(&at, header[4] == 0 ? 0 : 4 * words);
    p.degree_of = take(&at, slots);
    p.exemption_of = take(&at, slots);
    p.end = at;
    return p;
}

static aprover_status fail(aprover_error *error, enum air_rule rule, size_t word) {
    if (error != NULL) *error = (aprover_error){APROVER_ERROR_AIR, rule, word};
    return APROVER_ERROR_AIR;
}

static aprover_status check_header(const uint32_t *words, size_t count, aprover_error *error) {
    if (words == NULL || count < HEADER_WORDS) return fail(error, RULE_LENGTH, count);
    for (size_t i = 0; i < HEADER_WORDS; i++)
        if (words[i] < header_min[i] || words[i] > header_max[i])
            return fail(error, i == 0 ? RULE_VERSION : RULE_HEADER_RANGE, i);
    if (words[3] < words[1]) return fail(error, RULE_HEADER_RANGE, 3);
    if ((size_t)words[7] + words[3] + words[4] + words[5] + words[6] > MAX_SLOTS) return fail(error, RULE_SLOTS, 7);
    if (count > MAX_WORDS) return fail(error, RULE_LENGTH, count);
    return APROVER_OK;
}

size_t aprover_air_memory(const uint32_t *words, size_t count) {
    if (check_header(words, count, NULL) != APROVER_OK) return 0;
    return lay_out(words, count).end;
}

/* Reading front to back. */
struct cursor {
    const uint32_t *words;
    size_t count, at;
};

static int has(const struct cursor *c, size_t words) { return c->count - c->at >= words; }

static aprover_status load_reads(struct cursor *c, struct aprover_air *air, uint32_t *read, aprover_error *error) {
    if (!has(c, air->reads)) return fail(error, RULE_LENGTH, c->at);
    for (uint32_t i = 0; i < air->reads; i++, c->at++) {
        uint32_t word = c->words[c->at], column = apr_read_column(word), offset = apr_read_offset(word);
        if (column >= air->columns || offset > APR_MAX_OFFSET || offset >= 1u << air->log_height)
            return fail(error, RULE_READ, c->at);
        if ((i < air->columns) ? word != i : word <= read[i - 1]) return fail(error, RULE_READ_ORDER, c->at);
        read[i] = word;
        if (offset > air->max_offset) air->max_offset = offset;
    }
    return APROVER_OK;
}

/* The coefficients of a periodic column, in place; periods are short, so the plain radix-2 transform will do. */
static void interpolate_period(fp *x, uint32_t log_n) {
    size_t n = (size_t)1 << log_n;
    for (uint32_t s = log_n; s > 0; s--) {
        size_t half = (size_t)1 << (s - 1);
        fp step = fp_inv(fp_root(s)), w = FP_ONE;
        for (size_t j = 0; j < half; j++, w = fp_mul(w, step))
            for (size_t i = j; i < n; i += 2 * half) {
                fp a = x[i], b = x[i + half];
                x[i] = fp_add(a, b);
                x[i + half] = fp_mul(fp_sub(a, b), w);
            }
    }
    fp scale = fp_inv(fp_from_u32((uint32_t)n));
    for (size_t i = 0; i < n; i++) x[i] = fp_mul(x[i], scale);
}

static aprover_status load_periodics(struct cursor *c, const struct aprover_air *air, apr_periodic *periodic, fp *coefficients,
                                     aprover_error *error) {
    for (uint32_t i = 0; i < air->periodics; i++) {
        if (!has(c, 1)) return fail(error, RULE_LENGTH, c->at);
        uint32_t log_size = c->words[c->at];
        if (log_size > MAX_LOG_PERIOD || log_size > air->log_height) return fail(error, RULE_PERIOD, c->at);
        c->at++;
        size_t n = (size_t)1 << log_size;
        if (!has(c, n)) return fail(error, RULE_LENGTH, c->at);
        for (size_t j = 0; j < n; j++, c->at++) {
            if (c->words[c->at] >= FP_P) return fail(error, RULE_CANONICAL, c->at);
            coefficients[j] = fp_from_u32(c->words[c->at]);
        }
        interpolate_period(coefficients, log_size);
        periodic[i] = (apr_periodic){log_size, coefficients};
        coefficients += n;
    }
    return APROVER_OK;
}

static aprover_status load_constants(struct cursor *c, const struct aprover_air *air, fp *constant, aprover_error *error) {
    if (!has(c, air->constants)) return fail(error, RULE_LENGTH, c->at);
    for (uint32_t i = 0; i < air->constants; i++, c->at++) {
        if (c->words[c->at] >= FP_P) return fail(error, RULE_CANONICAL, c->at);
        constant[i] = fp_from_u32(c->words[c->at]);
    }
    return APROVER_OK;
}

/* What is known of each slot while the code is checked. A register that is not yet written has this degree: */
enum { UNWRITTEN = 255 };

struct slots {
    uint8_t *degree, *exemption;
};

static void slots_init(const struct aprover_air *air, struct slots s) {
    memset(s.degree, UNWRITTEN, air->registers);
    memset(s.degree + air->first_read, 1, air->reads + air->periodics);
    memset(s.degree + air->first_public, 0, air->publics + air->constants);
    memset(s.exemption, 0, air->slots);
    for (uint32_t i = 0; i < air->reads; i++) s.exemption[air->first_read + i] = (uint8_t)apr_read_offset(air->read[i]);
}

static int slot_ok(const struct aprover_air *air, struct slots s, uint32_t slot) {
    return slot < air->slots && s.degree[slot] != UNWRITTEN;
}

/* The largest e = d(k-1) + s - k (section 4.2), kept signed since e is negative for d = 0 or 1. */
static void note_quotient_degree(int64_t *largest, const struct aprover_air *air, uint32_t degree, uint32_t exemption) {
    int64_t k = (int64_t)1 << air->log_height;
    int64_t e = (int64_t)degree * (k - 1) + exemption - k;
    if (e > *largest) *largest = e;
}

static aprover_status load_code(struct cursor *c, struct aprover_air *air, apr_instruction *code, uint8_t *exemption,
                                struct slots s, int64_t *largest, aprover_error *error) {
    if (!has(c, 2 * (size_t)air->instructions)) return fail(error, RULE_LENGTH, c->at);
    slots_init(air, s);
    for (uint32_t i = 0; i < air->instructions; i++, c->at += 2) {
        uint32_t w0 = c->words[c->at], w1 = c->words[c->at + 1];
        apr_instruction in = {(uint16_t)w0, (uint16_t)(w0 >> 16), (uint16_t)w1, (uint16_t)(w1 >> 16)};
        code[i] = in;
        if (in.op > APR_OP_ASSERT) return fail(error, RULE_OPCODE, c->at);
        if (!slot_ok(air, s, in.a)) return fail(error, RULE_OPERAND, c->at + 1);
        if (in.op == APR_OP_ASSERT) {
            if (in.dst != 0 || in.b != 0 || s.degree[in.a] == 0) return fail(error, RULE_ASSERT, c->at);
            exemption[air->asserts++] = s.exemption[in.a];
            air->exemptions |= 1u << s.exemption[in.a];
            if (s.degree[in.a] > air->degree) air->degree = s.degree[in.a];
            note_quotient_degree(largest, air, s.degree[in.a], s.exemption[in.a]);
            continue;
        }
        if (in.dst >= air->registers) return fail(error, RULE_REGISTER, c->at);
        if (!slot_ok(air, s, in.b)) return fail(error, RULE_OPERAND, c->at + 1);
        uint32_t da = s.degree[in.a], db = s.degree[in.b], d = in.op == APR_OP_MUL ? da + db : (da > db ? da : db);
        if (d > MAX_DEGREE) return fail(error, RULE_DEGREE, c->at);
        uint8_t ea = s.exemption[in.a], eb = s.exemption[in.b];
        s.degree[in.dst] = (uint8_t)d;
        s.exemption[in.dst] = ea > eb ? ea : eb;
    }
    return APROVER_OK;
}

static int compare_rows(uint32_t a, uint32_t b) { return a < b ? -1 : a > b; }

/* Heap sort: no allocation, no bad case. */
static void sort_words(uint32_t *x, size_t n) {
    for (size_t end = n, start = n / 2; end > 1;) {
        if (start > 0) start--;
        else {
            uint32_t t = x[--end];
            x[end] = x[0];
            x[0] = t;
        }
        for (size_t root = start, child; (child = 2 * root + 1) < end; root = child) {
            if (child + 1 < end && compare_rows(x[child], x[child + 1]) < 0) child++;
            if (compare_rows(x[root], x[child]) >= 0) break;
            uint32_t t = x[root];
            x[root] = x[child];
            x[child] = t;
        }
    }
}

static uint32_t find_row(const uint32_t *rows, uint32_t count, uint32_t row) {
    uint32_t low = 0, high = count;
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (rows[middle] <= row) low = middle;
        else high = middle;
    }
    return low;
}

static aprover_status load_boundaries(struct cursor *c, struct aprover_air *air, apr_boundary *boundary, uint32_t *row,
                                      aprover_error *error) {
    if (!has(c, BOUNDARY_WORDS * (size_t)air->boundaries)) return fail(error, RULE_LENGTH, c->at);
    uint32_t number = air->asserts;
    for (uint32_t i = 0; i < air->boundaries; i++, c->at += BOUNDARY_WORDS) {
        const uint32_t *w = c->words + c->at;
        if (w[0] >= air->columns || w[1] >= 1u << air->log_height || w[2] < air->first_public || w[2] >= air->slots)
            return fail(error, RULE_BOUNDARY, c->at);
        if (i > 0) {
            const apr_boundary *last = &boundary[i - 1];
            if (w[0] < last->column || (w[0] == last->column && w[1] <= last->row))
                return fail(error, RULE_BOUNDARY_ORDER, c->at);
            if (w[0] != last->column) number++;
        }
        boundary[i] = (apr_boundary){w[0], w[1], w[2], 0, number};
        row[i] = w[1];
    }
    air->constraints = air->boundaries == 0 ? air->asserts : number + 1;
    sort_words(row, air->boundaries);
    for (uint32_t i = 0; i < air->boundaries; i++)
        if (i == 0 || row[i] != row[air->rows - 1]) row[air->rows++] = row[i];
    for (uint32_t i = 0; i < air->boundaries; i++) boundary[i].row_index = find_row(row, air->rows, boundary[i].row);
    return APROVER_OK;
}

aprover_status aprover_air_load(const uint32_t *words, size_t count, void *memory, size_t bytes, aprover_error *error) {
    static const uint8_t key[32] = "aprover v1 air";
    aprover_status status = check_header(words, count, error);
    if (status != APROVER_OK) return status;
    struct parts p = lay_out(words, count);
    if (memory == NULL || bytes < p.end) {
        if (error != NULL) *error = (aprover_error){APROVER_ERROR_MEMORY, 0, p.end};
        return APROVER_ERROR_MEMORY;
    }
    uint8_t *base = memory;
    struct aprover_air *air = memory;
    *air = (struct aprover_air){.columns = words[1], .log_height = words[2], .reads = words[3], .periodics = words[4],
                                .publics = words[5], .constants = words[6], .registers = words[7],
                                .instructions = words[8], .boundaries = words[9]};
    air->first_read = air->registers;
    air->first_periodic = air->first_read + air->reads;
    air->first_public = air->first_periodic + air->periodics;
    air->first_constant = air->first_public + air->publics;
    air->slots = air->first_constant + air->constants;
    air->degree = 1;
    air->read = (void *)(base + p.read);
    air->constant = (void *)(base + p.constant);
    air->code = (void *)(base + p.code);
    air->exemption = base + p.exemption;
    air->boundary = (void *)(base + p.boundary);
    air->row = (void *)(base + p.row);
    air->periodic = (void *)(base + p.periodic);

    struct cursor c = {words, count, HEADER_WORDS};
    struct slots s = {base + p.degree_of, base + p.exemption_of};
    int64_t largest = 0;
    if ((status = load_reads(&c, air, (void *)(base + p.read), error)) != APROVER_OK) return status;
    status = load_periodics(&c, air, (void *)(base + p.periodic), (void *)(base + p.coefficients), error);
    if (status != APROVER_OK) return status;
    if ((status = load_constants(&c, air, (void *)(base + p.constant), error)) != APROVER_OK) return status;
    status = load_code(&c, air, (void *)(base + p.code), base + p.exemption, s, &largest, error);
    if (status != APROVER_OK) return status;
    status = load_boundaries(&c, air, (void *)(base + p.boundary), (void *)(base + p.row), error);
    if (status != APROVER_OK) return status;
    if (c.at != count) return fail(error, RULE_LENGTH, c.at);
    if (air->constraints == 0) return fail(error, RULE_EMPTY, count);

    int64_t k = (int64_t)1 << air->log_height;
    if (air->boundaries > 0 && k - 2 > largest) largest = k - 2;
    air->chunks = (uint32_t)(largest / k + 1);
    if (air->chunks > APR_MAX_CHUNKS) return fail(error, RULE_CHUNKS, count);
    air->narrow = air->columns + FX_DEGREE * air->chunks <= 32;
    apr_blake3_keyed(key, words, 4 * count, air->digest);
    return APROVER_OK;
}

void aprover_air_shape(const aprover_air *air, aprover_shape *shape) {
    *shape = (aprover_shape){.log_height = air->log_height, .columns = air->columns, .reads = air->reads,
                             .publics = air->publics, .constraints = air->constraints, .degree = air->degree,
                             .chunks = air->chunks, .rows_read = air->max_offset + 1, .narrow = air->narrow};
}

void aprover_air_digest(const aprover_air *air, uint8_t digest[32]) { memcpy(digest, air->digest, 32); }

/* ---- one row at z, for the verifier and for the prover's own check ---- */

size_t apr_air_quotient_scratch(const aprover_air *air) {
    size_t elements = air->registers + (size_t)air->periodics + 2 * (size_t)air->rows;
    return round_up(sizeof(fx) * (elements > 0 ? elements : 1));
}

struct point {
    const aprover_air *air;
    const fp *publics;
    const fx *openings;
    const fx *periodics;
    fx *registers;
};

static fx operand(const struct point *p, uint32_t slot) {
    const aprover_air *air = p->air;
    if (slot < air->first_read) return p->registers[slot];
    if (slot < air->first_periodic) return p->openings[slot - air->first_read];
    if (slot < air->first_public) return p->periodics[slot - air->first_periodic];
    if (slot < air->first_constant) return fx_from_fp(p->publics[slot - air->first_public]);
    return fx_from_fp(air->constant[slot - air->first_constant]);
}

static fx periodic_at(const apr_periodic *periodic, uint32_t log_height, fx z) {
    fx y = z, sum = fx_zero();
    for (uint32_t i = periodic->log_size; i < log_height; i++) y = fx_mul(y, y);
    for (uint32_t i = 1u << periodic->log_size; i-- > 0;) {
        sum = fx_mul(sum, y);
        sum.c[0] = fp_add(sum.c[0], periodic->coefficients[apr_bitrev(i, periodic->log_size)]);
    }
    return sum;
}

/* The sums of alpha^i C_i(z), one for each exemption. Returns alpha^asserts. */
static fx sum_transitions(const struct point *p, fx alpha, fx sums[APR_MAX_OFFSET + 1]) {
    const aprover_air *air = p->air;
    fx power = fx_one();
    uint32_t number = 0;
    for (uint32_t i = 0; i < air->instructions; i++) {
        apr_instruction in = air->code[i];
        fx a = operand(p, in.a);
        switch (in.op) {
        case APR_OP_ADD: p->registers[in.dst] = fx_add(a, operand(p, in.b)); break;
        case APR_OP_SUB: p->registers[in.dst] = fx_sub(a, operand(p, in.b)); break;
        case APR_OP_MUL: p->registers[in.dst] = fx_mul(a, operand(p, in.b)); break;
        default: {
            fx *sum = &sums[air->exemption[number++]];
            *sum = fx_add(*sum, fx_mul(power, a));
            power = fx_mul(power, alpha);
        }
        }
    }
    return power;
}

/* The inverses of z - w^r for all boundary rows with one inversion. z lies outside Fp, so none is zero. */
static void invert_rows(const aprover_air *air, fx z, fp w, fx *inverse, fx *prefix) {
    fx product = fx_one();
    for (uint32_t i = 0; i < air->rows; i++) {
        inverse[i] = fx_sub(z, fx_from_fp(fp_pow(w, air->row[i])));
        prefix[i] = product;
        product = fx_mul(product, inverse[i]);
    }
    fx rest = fx_inv(product);
    for (uint32_t i = air->rows; i-- > 0;) {
        fx factor = inverse[i];
        inverse[i] = fx_mul(rest, prefix[i]);
        rest = fx_mul(rest, factor);
    }
}

fx apr_air_quotient_at(const aprover_air *air, const fp *publics, const fx *openings, fx alpha, fx z, void *scratch) {
    fx *registers = scratch, *periodics = registers + air->registers, *inverse = periodics + air->periodics;
    struct point p = {air, publics, openings, periodics, registers};
    fx sums[APR_MAX_OFFSET + 1] = {0}, total = fx_zero(), factor = fx_one(), v = z;
    for (uint32_t i = 0; i < air->periodics; i++) periodics[i] = periodic_at(&air->periodic[i], air->log_height, z);
    fx power = sum_transitions(&p, alpha, sums);

    const fp w = fp_root(air->log_height), w_inverse = fp_inv(w);
    for (uint32_t i = 0; i < air->log_height; i++) v = fx_mul(v, v);
    v = fx_sub(v, fx_one());
    fp last = FP_ONE;
    for (uint32_t s = 0; s <= air->max_offset; s++) { /* factor = E_s(z) */
        total = fx_add(total, fx_mul(sums[s], factor));
        last = fp_mul(last, w_inverse);
        factor = fx_mul(factor, fx_sub(z, fx_from_fp(last)));
    }
    total = fx_mul(total, fx_inv(v));

    if (air->boundaries == 0) return total;
    invert_rows(air, z, w, inverse, inverse + air->rows);
    const fp k_inverse = fp_inv(fp_from_u32(1u << air->log_height));
    for (uint32_t i = 0; i < air->boundaries; i++) {
        const apr_boundary *b = &air->boundary[i];
        if (i > 0 && b->constraint != air->boundary[i - 1].constraint) power = fx_mul(power, alpha);
        fx difference = fx_sub(openings[b->column], operand(&p, b->slot));
        fx term = fx_scale(fx_mul(difference, inverse[b->row_index]), fp_mul(fp_pow(w, b->row), k_inverse));
        total = fx_add(total, fx_mul(power, term));
    }
    return total;
}

/* ---- dispatch ---- */

extern const apr_air_kernels apr_air_kernels_portable, apr_air_kernels_avx2;
size_t apr_air_scratch_portable(const aprover_air *air);

const apr_air_kernels *apr_air_kernels_for(enum apr_path path) {
#if APR_HAVE_AVX2_BUILD
    if (apr_use_avx2(path)) return &apr_air_kernels_avx2;
#endif
    (void)path;
    return &apr_air_kernels_portable;
}

/* The layout is the same whatever the instruction set. */
size_t apr_air_coset_scratch(const aprover_air *air) { return apr_air_scratch_portable(air); }
