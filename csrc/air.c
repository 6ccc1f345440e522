/* Loading an AIR: every rule of docs/protocol.md section 4 is checked here, once, so that the evaluators need check nothing.
 *
 * The words are gone through twice: a survey finds where each part stands and how much memory it takes, then the parts are loaded. */
#include "air.h"

#include <string.h>

#include "blake3.h"
#include "poly.h"

enum {
    VERSION = 2,
    FIRST_WORDS = 4,
    HEADER_WORDS = 12,
    MAX_WORDS = 8000000,
    MAX_COLUMNS = 4096,
    MAX_SLOTS = 65535,
    MAX_BUS_WIDTH = 16,
    MAX_LOG_PERIOD = 12,
    BOUNDARY_WORDS = 3,
    INTERACTION_WORDS = 3 /* and the values */
};

/* The header of a table, by word. */
enum {
    H_COLUMNS,
    H_PREPROCESSED,
    H_LOG_HEIGHT,
    H_LOG_SLOTS,
    H_READS,
    H_PERIODICS,
    H_CONSTANTS,
    H_REGISTERS,
    H_INSTRUCTIONS,
    H_BOUNDARIES,
    H_INTERACTIONS,
    H_BATCH
};

static const uint32_t header_min[HEADER_WORDS] = {1, 0, 3, 0, 1, 0, 0, 0, 0, 0, 0, 1};
static const uint32_t header_max[HEADER_WORDS] = {MAX_COLUMNS, MAX_COLUMNS, 24, 24, 16384, 1024, 16384, 4096, 1u << 20, 65536, 1024,
                                                  APR_MAX_BATCH};

static aprover_status fail(aprover_error *error, enum apr_air_rule rule, size_t word) {
    if (error != NULL) *error = (aprover_error){APROVER_ERROR_AIR, rule, word};
    return APROVER_ERROR_AIR;
}

/* ---- the survey ---- */

/* Reading front to back. */
struct cursor {
    const uint32_t *words;
    size_t count, at;
};

/* Where a table's parts stand in the words, and where they go, as bytes from the beginning of the memory. */
struct parts {
    struct {
        size_t header, reads, periodics, constants, instructions, boundaries, interactions, preprocessed;
    } from;
    struct {
        size_t read, constant, code, exemption, boundary, row, periodic, coefficients, interaction, values, lookup_degree,
            preprocessed;
    } to;
};

static size_t round_up(size_t bytes) { return (bytes + 63) & ~(size_t)63; }

static size_t take(size_t *at, size_t bytes) {
    size_t here = *at;
    *at = round_up(here + bytes);
    return here;
}

/* Go past so many words; 0 if there are fewer. */
static int skip(struct cursor *c, size_t words, size_t *from) {
    *from = c->at;
    if (c->count - c->at < words) return 0;
    c->at += words;
    return 1;
}

static size_t slots_of(const uint32_t *h, uint32_t publics) {
    return (size_t)h[H_REGISTERS] + h[H_READS] + h[H_PERIODICS] + publics + h[H_CONSTANTS];
}

static aprover_status check_header(const uint32_t *h, uint32_t publics, size_t at, aprover_error *error) {
    for (size_t i = 0; i < HEADER_WORDS; i++)
        if (h[i] < header_min[i] || h[i] > header_max[i]) return fail(error, APR_RULE_HEADER_RANGE, at + i);
    if (h[H_COLUMNS] + h[H_PREPROCESSED] > MAX_COLUMNS) return fail(error, APR_RULE_HEADER_RANGE, at + H_PREPROCESSED);
    if (h[H_LOG_SLOTS] > h[H_LOG_HEIGHT]) return fail(error, APR_RULE_HEADER_RANGE, at + H_LOG_SLOTS);
    if (h[H_READS] < h[H_COLUMNS] + h[H_PREPROCESSED]) return fail(error, APR_RULE_HEADER_RANGE, at + H_READS);
    if (h[H_INTERACTIONS] == 0 && h[H_BATCH] != 1) return fail(error, APR_RULE_HEADER_RANGE, at + H_BATCH);
    if (slots_of(h, publics) > MAX_SLOTS) return fail(error, APR_RULE_SLOTS, at + H_REGISTERS);
    return APROVER_OK;
}

/* The periodic columns; `words` becomes the number of their values. */
static aprover_status survey_periodics(struct cursor *c, const uint32_t *h, size_t *words, aprover_error *error) {
    *words = 0;
    for (uint32_t i = 0; i < h[H_PERIODICS]; i++) {
        size_t at;
        if (!skip(c, 1, &at)) return fail(error, APR_RULE_LENGTH, at);
        const uint32_t log_size = c->words[at];
        if (log_size > MAX_LOG_PERIOD || log_size > h[H_LOG_HEIGHT]) return fail(error, APR_RULE_PERIOD, at);
        if (!skip(c, (size_t)1 << log_size, &at)) return fail(error, APR_RULE_LENGTH, at);
        *words += (size_t)1 << log_size;
    }
    return APROVER_OK;
}

static aprover_status survey_interactions(struct cursor *c, const uint32_t *h, const uint32_t *first, size_t *values,
                                          aprover_error *error) {
    *values = 0;
    for (uint32_t i = 0; i < h[H_INTERACTIONS]; i++) {
        size_t at;
        if (!skip(c, INTERACTION_WORDS, &at)) return fail(error, APR_RULE_LENGTH, at);
        const uint32_t *w = c->words + at;
        if (w[0] >= first[2] || w[1] > 1) return fail(error, APR_RULE_INTERACTION, at);
        const uint32_t width = first[FIRST_WORDS + w[0]];
        if (!skip(c, width, &at)) return fail(error, APR_RULE_LENGTH, at);
        *values += width;
    }
    return APROVER_OK;
}

/* One table: the rules on its header and its length. first: the first words of the encoding, checked. */
static aprover_status survey_table(struct cursor *c, const uint32_t *first, struct parts *p, size_t *memory, aprover_error *error) {
    size_t values, tuple_values;
    aprover_status status;
    if (!skip(c, HEADER_WORDS, &p->from.header)) return fail(error, APR_RULE_LENGTH, c->at);
    const uint32_t *h = c->words + p->from.header;
    if ((status = check_header(h, first[3], p->from.header, error)) != APROVER_OK) return status;
    if (!skip(c, h[H_READS], &p->from.reads)) return fail(error, APR_RULE_LENGTH, c->at);
    p->from.periodics = c->at;
    if ((status = survey_periodics(c, h, &values, error)) != APROVER_OK) return status;
    if (!skip(c, h[H_CONSTANTS], &p->from.constants) || !skip(c, 2 * (size_t)h[H_INSTRUCTIONS], &p->from.instructions) ||
        !skip(c, BOUNDARY_WORDS * (size_t)h[H_BOUNDARIES], &p->from.boundaries))
        return fail(error, APR_RULE_LENGTH, c->at);
    p->from.interactions = c->at;
    if ((status = survey_interactions(c, h, first, &tuple_values, error)) != APROVER_OK) return status;
    if (!skip(c, (size_t)h[H_PREPROCESSED] << h[H_LOG_HEIGHT], &p->from.preprocessed)) return fail(error, APR_RULE_LENGTH, c->at);

    p->to.read = take(memory, 4 * (size_t)h[H_READS]);
    p->to.constant = take(memory, 4 * (size_t)h[H_CONSTANTS]);
    p->to.code = take(memory, sizeof(apr_instruction) * (size_t)h[H_INSTRUCTIONS]);
    p->to.exemption = take(memory, h[H_INSTRUCTIONS]);
    p->to.boundary = take(memory, sizeof(apr_boundary) * (size_t)h[H_BOUNDARIES]);
    p->to.row = take(memory, 4 * (size_t)h[H_BOUNDARIES]);
    p->to.periodic = take(memory, sizeof(apr_periodic) * (size_t)h[H_PERIODICS]);
    p->to.coefficients = take(memory, 4 * values);
    p->to.interaction = take(memory, sizeof(apr_interaction) * (size_t)h[H_INTERACTIONS]);
    p->to.values = take(memory, 4 * tuple_values);
    p->to.lookup_degree = take(memory, h[H_INTERACTIONS]);
    p->to.preprocessed = take(memory, 4 * ((size_t)h[H_PREPROCESSED] << h[H_LOG_HEIGHT]));
    return APROVER_OK;
}

struct survey {
    size_t bus_width, table, slots; /* places in the memory; slots: scratch of the loader */
    size_t bytes;
};

static aprover_status check_first(const uint32_t *words, size_t count, aprover_error *error) {
    static const uint32_t first_min[FIRST_WORDS] = {VERSION, 1, 0, 0};
    static const uint32_t first_max[FIRST_WORDS] = {VERSION, APR_MAX_TABLES, APR_MAX_BUSES, 65536};
    if (words == NULL || count < FIRST_WORDS || count > MAX_WORDS) return fail(error, APR_RULE_LENGTH, count);
    for (size_t i = 0; i < FIRST_WORDS; i++)
        if (words[i] < first_min[i] || words[i] > first_max[i]) return fail(error, i == 0 ? APR_RULE_VERSION : APR_RULE_HEADER_RANGE, i);
    if (count - FIRST_WORDS < words[2]) return fail(error, APR_RULE_LENGTH, count);
    for (size_t i = FIRST_WORDS; i < FIRST_WORDS + words[2]; i++)
        if (words[i] < 1 || words[i] > MAX_BUS_WIDTH) return fail(error, APR_RULE_HEADER_RANGE, i);
    return APROVER_OK;
}

static aprover_status survey_all(const uint32_t *words, size_t count, struct survey *s, struct parts parts[APR_MAX_TABLES],
                                 aprover_error *error) {
    aprover_status status = check_first(words, count, error);
    if (status != APROVER_OK) return status;
    struct cursor c = {words, count, FIRST_WORDS + words[2]};
    size_t slots = 0;
    s->bytes = round_up(sizeof(struct aprover_air));
    s->bus_width = take(&s->bytes, 4 * (size_t)words[2]);
    s->table = take(&s->bytes, sizeof(apr_table) * words[1]);
    for (uint32_t t = 0; t < words[1]; t++) {
        if ((status = survey_table(&c, words, &parts[t], &s->bytes, error)) != APROVER_OK) return status;
        const size_t own = slots_of(words + parts[t].from.header, words[3]);
        if (own > slots) slots = own;
    }
    if (c.at != count) return fail(error, APR_RULE_LENGTH, c.at);
    s->slots = take(&s->bytes, 2 * slots);
    return APROVER_OK;
}

size_t aprover_air_memory(const uint32_t *words, size_t count) {
    struct survey s;
    struct parts parts[APR_MAX_TABLES];
    return survey_all(words, count, &s, parts, NULL) == APROVER_OK ? s.bytes : 0;
}

/* ---- loading a table's parts, each from word `at` on ---- */

static aprover_status load_reads(const uint32_t *words, size_t at, apr_table *table, uint32_t *read, aprover_error *error) {
    const uint32_t columns = table->columns + table->preprocessed_columns;
    for (uint32_t i = 0; i < table->reads; i++, at++) {
        uint32_t word = words[at], offset = apr_read_offset(word);
        if (apr_read_column(word) >= columns || offset > APR_MAX_OFFSET || offset >= 1u << table->log_height)
            return fail(error, APR_RULE_READ, at);
        if ((i < columns) ? word != i : word <= read[i - 1]) return fail(error, APR_RULE_READ_ORDER, at);
        read[i] = word;
        if (offset > table->max_offset) table->max_offset = offset;
    }
    return APROVER_OK;
}

/* `count` canonical values to Montgomery form. */
static aprover_status load_values(const uint32_t *words, size_t at, size_t count, fp *out, aprover_error *error) {
    for (size_t i = 0; i < count; i++) {
        if (words[at + i] >= FP_P) return fail(error, APR_RULE_CANONICAL, at + i);
        out[i] = fp_from_u32(words[at + i]);
    }
    return APROVER_OK;
}

/* The coefficients of a periodic column, in place; periods are short, so the plain radix-2 transform will do. */
static void interpolate_period(fp *x, uint32_t log_n) {
    size_t n = (size_t)1 << log_n;
    for (uint32_t s = log_n; s > 0; s--) {
        size_t half = (size_t)1 << (s - 1);
        fp step = fp_root_inverse(s), w = FP_ONE;
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

static aprover_status load_periodics(const uint32_t *words, size_t at, const apr_table *table, apr_periodic *periodic,
                                     fp *coefficients, aprover_error *error) {
    for (uint32_t i = 0; i < table->periodics; i++) {
        const uint32_t log_size = words[at++];
        const size_t n = (size_t)1 << log_size;
        aprover_status status = load_values(words, at, n, coefficients, error);
        if (status != APROVER_OK) return status;
        interpolate_period(coefficients, log_size);
        periodic[i] = (apr_periodic){log_size, coefficients};
        coefficients += n;
        at += n;
    }
    return APROVER_OK;
}

/* What is known of each slot while the code is checked. A register that is not yet written has this degree: */
enum { UNWRITTEN = 255 };

struct slots {
    uint8_t *degree, *exemption;
};

static void slots_init(const apr_table *table, struct slots s) {
    memset(s.degree, UNWRITTEN, table->registers);
    memset(s.degree + table->first_read, 1, table->reads + table->periodics);
    memset(s.degree + table->first_public, 0, table->slots - table->first_public);
    memset(s.exemption, 0, table->slots);
    for (uint32_t i = 0; i < table->reads; i++) s.exemption[table->first_read + i] = (uint8_t)apr_read_offset(table->read[i]);
}

static int slot_ok(const apr_table *table, struct slots s, uint32_t slot) {
    return slot < table->slots && s.degree[slot] != UNWRITTEN;
}

static aprover_status load_assert(apr_instruction in, size_t at, apr_table *table, uint8_t *exemption, struct slots s,
                                  aprover_error *error) {
    const uint8_t degree = s.degree[in.a], exempt = s.exemption[in.a];
    if (in.dst != 0 || in.b != 0 || degree == 0) return fail(error, APR_RULE_ASSERT, at);
    if (exempt >= 1u << (table->log_height - table->log_slots)) return fail(error, APR_RULE_EXEMPTION, at);
    exemption[table->asserts++] = exempt;
    table->exemptions |= 1u << exempt;
    if (degree > table->exempted_degree[exempt]) table->exempted_degree[exempt] = degree;
    if (degree > table->degree) table->degree = degree;
    return APROVER_OK;
}

static aprover_status load_code(const uint32_t *words, size_t at, apr_table *table, apr_instruction *code, uint8_t *exemption,
                                struct slots s, aprover_error *error) {
    slots_init(table, s);
    for (uint32_t i = 0; i < table->instructions; i++, at += 2) {
        uint32_t w0 = words[at], w1 = words[at + 1];
        apr_instruction in = {(uint16_t)w0, (uint16_t)(w0 >> 16), (uint16_t)w1, (uint16_t)(w1 >> 16)};
        code[i] = in;
        if (in.op > APR_OP_ASSERT) return fail(error, APR_RULE_OPCODE, at);
        if (!slot_ok(table, s, in.a)) return fail(error, APR_RULE_OPERAND, at + 1);
        if (in.op == APR_OP_ASSERT) {
            aprover_status status = load_assert(in, at, table, exemption, s, error);
            if (status != APROVER_OK) return status;
            continue;
        }
        if (in.dst >= table->registers) return fail(error, APR_RULE_REGISTER, at);
        if (!slot_ok(table, s, in.b)) return fail(error, APR_RULE_OPERAND, at + 1);
        uint32_t da = s.degree[in.a], db = s.degree[in.b], d = in.op == APR_OP_MUL ? da + db : (da > db ? da : db);
        if (d > APR_MAX_DEGREE) return fail(error, APR_RULE_DEGREE, at);
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

static aprover_status load_boundaries(const uint32_t *words, size_t at, apr_table *table, apr_boundary *boundary, uint32_t *row,
                                      aprover_error *error) {
    uint32_t number = table->asserts;
    for (uint32_t i = 0; i < table->boundaries; i++, at += BOUNDARY_WORDS) {
        const uint32_t *w = words + at;
        if (w[0] >= table->columns || w[1] >= 1u << table->log_height || w[2] < table->first_public || w[2] >= table->slots)
            return fail(error, APR_RULE_BOUNDARY, at);
        if (i > 0) {
            const apr_boundary *last = &boundary[i - 1];
            if (w[0] < last->column || (w[0] == last->column && w[1] <= last->row)) return fail(error, APR_RULE_BOUNDARY_ORDER, at);
            if (w[0] != last->column) number++;
        }
        boundary[i] = (apr_boundary){w[0], w[1], w[2], 0, number};
        row[i] = w[1];
    }
    table->first_lookup = table->boundaries == 0 ? table->asserts : number + 1;
    sort_words(row, table->boundaries);
    for (uint32_t i = 0; i < table->boundaries; i++)
        if (i == 0 || row[i] != row[table->rows - 1]) row[table->rows++] = row[i];
    for (uint32_t i = 0; i < table->boundaries; i++) boundary[i].row_index = find_row(row, table->rows, boundary[i].row);
    return APROVER_OK;
}

/* The degree of a batch's lookup constraint, section 4.2: that of h times all fingerprints, or of a multiplicity times the other
 * fingerprints, whichever is larger. */
static uint32_t batch_degree(struct slots s, const apr_interaction *batch, uint32_t count) {
    uint32_t tuple[APR_MAX_BATCH] = {0}, all = 0, degree;
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t j = 0; j < batch[i].width; j++)
            if (s.degree[batch[i].value[j]] > tuple[i]) tuple[i] = s.degree[batch[i].value[j]];
        all += tuple[i];
    }
    degree = 1 + all;
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t term = s.degree[batch[i].multiplicity] + all - tuple[i];
        if (term > degree) degree = term;
    }
    return degree;
}

static aprover_status load_interactions(const uint32_t *words, size_t at, const uint32_t *bus_width, apr_table *table,
                                        apr_interaction *interaction, uint32_t *value, uint8_t *lookup_degree, struct slots s,
                                        aprover_error *error) {
    const size_t first = at;
    for (uint32_t i = 0; i < table->interactions; i++) {
        const uint32_t *w = words + at, width = bus_width[w[0]];
        if (!slot_ok(table, s, w[2])) return fail(error, APR_RULE_OPERAND, at + 2);
        interaction[i] = (apr_interaction){w[0], width, w[1], w[2], value};
        at += INTERACTION_WORDS;
        for (uint32_t j = 0; j < width; j++, at++) {
            if (!slot_ok(table, s, words[at])) return fail(error, APR_RULE_OPERAND, at);
            *value++ = words[at];
        }
    }
    for (uint32_t a = 0; a < table->lookup_columns; a++) {
        const uint32_t degree = batch_degree(s, interaction + apr_batch_first(table, a), apr_batch_count(table, a));
        if (degree > APR_MAX_DEGREE) return fail(error, APR_RULE_DEGREE, first);
        lookup_degree[a] = (uint8_t)degree;
        if (degree > table->degree) table->degree = degree;
    }
    return APROVER_OK;
}

static void set_header(apr_table *table, const uint32_t *h, uint32_t publics) {
    *table = (apr_table){.log_height = h[H_LOG_HEIGHT], .log_slots = h[H_LOG_SLOTS], .columns = h[H_COLUMNS],
                         .preprocessed_columns = h[H_PREPROCESSED], .reads = h[H_READS], .periodics = h[H_PERIODICS],
                         .constants = h[H_CONSTANTS], .registers = h[H_REGISTERS], .instructions = h[H_INSTRUCTIONS],
                         .boundaries = h[H_BOUNDARIES], .interactions = h[H_INTERACTIONS], .batch = h[H_BATCH], .degree = 1};
    table->lookup_columns = (table->interactions + table->batch - 1) / table->batch;
    table->first_read = table->registers;
    table->first_periodic = table->first_read + table->reads;
    table->first_public = table->first_periodic + table->periodics;
    table->first_constant = table->first_public + publics;
    table->slots = table->first_constant + table->constants;
}

static aprover_status load_table(const uint32_t *words, const struct parts *p, uint8_t *base, const struct aprover_air *air,
                                 struct slots s, apr_table *table, aprover_error *error) {
    aprover_status status;
    set_header(table, words + p->from.header, air->publics);
    table->read = (void *)(base + p->to.read);
    table->periodic = (void *)(base + p->to.periodic);
    table->constant = (void *)(base + p->to.constant);
    table->code = (void *)(base + p->to.code);
    table->exemption = base + p->to.exemption;
    table->boundary = (void *)(base + p->to.boundary);
    table->row = (void *)(base + p->to.row);
    table->interaction = (void *)(base + p->to.interaction);
    table->lookup_degree = base + p->to.lookup_degree;
    table->preprocessed = (void *)(base + p->to.preprocessed);

    if ((status = load_reads(words, p->from.reads, table, (void *)(base + p->to.read), error)) != APROVER_OK) return status;
    status = load_periodics(words, p->from.periodics, table, (void *)(base + p->to.periodic), (void *)(base + p->to.coefficients), error);
    if (status != APROVER_OK) return status;
    status = load_values(words, p->from.constants, table->constants, (void *)(base + p->to.constant), error);
    if (status != APROVER_OK) return status;
    status = load_code(words, p->from.instructions, table, (void *)(base + p->to.code), base + p->to.exemption, s, error);
    if (status != APROVER_OK) return status;
    status = load_boundaries(words, p->from.boundaries, table, (void *)(base + p->to.boundary), (void *)(base + p->to.row), error);
    if (status != APROVER_OK) return status;
    status = load_interactions(words, p->from.interactions, air->bus_width, table, (void *)(base + p->to.interaction),
                               (void *)(base + p->to.values), base + p->to.lookup_degree, s, error);
    if (status != APROVER_OK) return status;
    table->constraints = table->first_lookup + table->lookup_columns;
    if (table->constraints == 0) return fail(error, APR_RULE_EMPTY, p->from.header);
    table->rows_read = table->max_offset + 1;
    if (table->interactions > 0 && table->rows_read < 2) table->rows_read = 2;
    const size_t values = (size_t)table->preprocessed_columns << table->log_height;
    return load_values(words, p->from.preprocessed, values, (void *)(base + p->to.preprocessed), error);
}

/* Multiplicities add up in the field: counts stay below p only if there are fewer than p tuples on a bus. */
static aprover_status check_bus_counts(const struct aprover_air *air, aprover_error *error) {
    uint64_t tuples[APR_MAX_BUSES] = {0};
    for (uint32_t t = 0; t < air->tables; t++)
        for (uint32_t i = 0; i < air->table[t].interactions; i++)
            tuples[air->table[t].interaction[i].bus] += (uint64_t)1 << air->table[t].log_height;
    for (uint32_t b = 0; b < air->buses; b++)
        if (tuples[b] >= FP_P) return fail(error, APR_RULE_BUS_COUNT, FIRST_WORDS + (size_t)b);
    return APROVER_OK;
}

aprover_status aprover_air_load(const uint32_t *words, size_t count, void *memory, size_t bytes, aprover_error *error) {
    struct survey survey;
    struct parts parts[APR_MAX_TABLES];
    aprover_status status = survey_all(words, count, &survey, parts, error);
    if (status != APROVER_OK) return status;
    if (memory == NULL || bytes < survey.bytes) {
        if (error != NULL) *error = (aprover_error){APROVER_ERROR_MEMORY, 0, survey.bytes};
        return APROVER_ERROR_MEMORY;
    }
    uint8_t *base = memory;
    struct aprover_air *air = memory;
    apr_table *tables = (void *)(base + survey.table);
    *air = (struct aprover_air){.tables = words[1], .buses = words[2], .publics = words[3], .table = tables,
                                .bus_width = (void *)(base + survey.bus_width)};
    memcpy(base + survey.bus_width, words + FIRST_WORDS, 4 * (size_t)air->buses);
    for (uint32_t t = 0; t < air->tables; t++) {
        const size_t slots = slots_of(words + parts[t].from.header, air->publics);
        const struct slots s = {base + survey.slots, base + survey.slots + slots};
        status = load_table(words, &parts[t], base, air, s, &tables[t], error);
        if (status != APROVER_OK) return status;
        tables[t].first_constraint = air->constraints;
        air->constraints += tables[t].constraints;
        air->interactions += tables[t].interactions;
        air->preprocessed_columns += tables[t].preprocessed_columns;
    }
    if ((status = check_bus_counts(air, error)) != APROVER_OK) return status;
    apr_blake3_keyed(apr_key_air, words, 4 * count, air->digest);
    return APROVER_OK;
}

void aprover_air_shape(const aprover_air *air, aprover_shape *shape) {
    *shape = (aprover_shape){.tables = air->tables, .publics = air->publics, .constraints = air->constraints,
                             .preprocessed = air->preprocessed_columns, .interactions = air->interactions};
    for (uint32_t b = 0; b < air->buses; b++)
        if (air->bus_width[b] > shape->bus_width) shape->bus_width = air->bus_width[b];
    for (uint32_t t = 0; t < air->tables; t++)
        if (air->table[t].log_height > shape->max_log_height) shape->max_log_height = air->table[t].log_height;
}

aprover_status aprover_air_table_shape(const aprover_air *air, uint32_t table, aprover_table_shape *shape) {
    if (air == NULL || shape == NULL || table >= air->tables) return APROVER_ERROR_ARGUMENT;
    const apr_table *t = &air->table[table];
    *shape = (aprover_table_shape){.log_height = t->log_height, .log_slots = t->log_slots, .columns = t->columns,
                                   .preprocessed = t->preprocessed_columns, .reads = t->reads, .interactions = t->interactions,
                                   .lookup_columns = t->lookup_columns, .constraints = t->constraints, .degree = t->degree,
                                   .rows_read = t->rows_read};
    return APROVER_OK;
}

void aprover_air_digest(const aprover_air *air, uint8_t digest[32]) { memcpy(digest, air->digest, 32); }
