/* Small AIRs, assembled by hand from docs/protocol.md section 4.1, and their traces: table after table, column after column. */
#ifndef APROVER_TEST_AIRS_H
#define APROVER_TEST_AIRS_H

#include <string.h>

#include "../../csrc/air.h"
#include "check.h"

enum { AIR_WORDS = 1 << 16 };

/* A table's header, word by word. The three counts from `instructions` on are kept by air_op, air_boundary and air_interaction. */
typedef struct {
    uint32_t columns, preprocessed, log_height, log_slots, reads, periodics, constants, registers, instructions, boundaries,
        interactions, batch;
} air_header;

typedef struct {
    uint32_t words[AIR_WORDS];
    size_t count;
    size_t header;          /* where the header of the table under way stands */
    uint32_t publics[512];
    size_t publics_count;
    uint32_t tables;        /* begun so far */
    size_t trace[8];        /* where each table's trace begins; the entry after the last: its end */
} test_air;

static inline void air_word(test_air *a, uint32_t word) {
    CHECK(a->count < AIR_WORDS);
    a->words[a->count++] = word;
}
static inline void air_begin(test_air *a, uint32_t tables, uint32_t publics, uint32_t buses, const uint32_t *widths) {
    memset(a, 0, sizeof *a);
    air_word(a, 2);
    air_word(a, tables);
    air_word(a, buses);
    air_word(a, publics);
    for (uint32_t i = 0; i < buses; i++) air_word(a, widths[i]);
    a->publics_count = publics;
}
static inline void air_table(test_air *a, air_header h) {
    const uint32_t words[12] = {h.columns, h.preprocessed, h.log_height, h.log_slots, h.reads, h.periodics, h.constants, h.registers,
                                0, 0, 0, h.batch == 0 ? 1 : h.batch};
    a->header = a->count;
    for (int i = 0; i < 12; i++) air_word(a, words[i]);
    a->trace[a->tables + 1] = a->trace[a->tables] + ((size_t)h.columns << h.log_height);
    a->tables++;
}
static inline void air_op(test_air *a, uint32_t op, uint32_t dst, uint32_t x, uint32_t y) {
    air_word(a, op | dst << 16);
    air_word(a, x | y << 16);
    a->words[a->header + 8]++;
}
static inline void air_boundary(test_air *a, uint32_t column, uint32_t row, uint32_t slot) {
    air_word(a, column);
    air_word(a, row);
    air_word(a, slot);
    a->words[a->header + 9]++;
}
/* The values' slots follow, one air_word each. */
static inline void air_interaction(test_air *a, uint32_t bus, uint32_t minus, uint32_t multiplicity) {
    air_word(a, bus);
    air_word(a, minus);
    air_word(a, multiplicity);
    a->words[a->header + 10]++;
}

/* Two columns x, y: x' = y, y' = x + y. Narrow, degree 1. The trace is that of the built-in generator. */
static inline void fibonacci_air(test_air *a, uint32_t log_height, uint32_t n, uint32_t *trace) {
    air_begin(a, 1, 3, 0, NULL);
    air_table(a, (air_header){.columns = 2, .log_height = log_height, .reads = 4, .registers = 1});
    air_word(a, 0);
    air_word(a, 1);
    air_word(a, 1 << 16);
    air_word(a, 1 << 16 | 1);
    enum { X = 1, Y, X_NEXT, Y_NEXT, A, B, RESULT };
    air_op(a, APR_OP_SUB, 0, X_NEXT, Y);
    air_op(a, APR_OP_ASSERT, 0, 0, 0);
    air_op(a, APR_OP_ADD, 0, X, Y);
    air_op(a, APR_OP_SUB, 0, Y_NEXT, 0);
    air_op(a, APR_OP_ASSERT, 0, 0, 0);
    air_boundary(a, 0, 0, A);
    air_boundary(a, 1, 0, B);
    air_boundary(a, 1, n - 1, RESULT);
    const uint32_t start[2] = {3, 5};
    CHECK(aprover_generate(APROVER_GENERATOR_FIBONACCI, start, 2, trace, 2, log_height, NULL) == APROVER_OK);
    a->publics[0] = 3;
    a->publics[1] = 5;
    a->publics[2] = trace[(1u << log_height) + n - 1];
}

/* `columns` columns c with c'' = c^degree + t * c', t a periodic column; column 0 has a boundary on `bound` rows, one public value
 * each. Reads at offsets 0, 1 and 2, so two rows are exempt. */
static inline void power_air(test_air *a, uint32_t log_height, uint32_t columns, uint32_t degree, uint32_t bound, uint32_t *trace) {
    const uint32_t k = 1u << log_height, period[4] = {7, 11, FP_P - 1, 0};
    air_begin(a, 1, bound, 0, NULL);
    air_table(a, (air_header){.columns = columns, .log_height = log_height, .reads = 3 * columns, .periodics = 1, .registers = 2});
    for (uint32_t i = 0; i < 3 * columns; i++) air_word(a, i / columns << 16 | i % columns);
    air_word(a, 2);
    for (int i = 0; i < 4; i++) air_word(a, period[i]);
    const uint32_t read = 2, periodic = read + 3 * columns, publics = periodic + 1;
    for (uint32_t c = 0; c < columns; c++) {
        air_op(a, APR_OP_MUL, 0, read + c, read + c);
        for (uint32_t d = 2; d < degree; d++) air_op(a, APR_OP_MUL, 0, 0, read + c);
        air_op(a, APR_OP_MUL, 1, periodic, read + columns + c);
        air_op(a, APR_OP_ADD, 0, 0, 1);
        air_op(a, APR_OP_SUB, 0, 0, read + 2 * columns + c);
        air_op(a, APR_OP_ASSERT, 0, 0, 0);
    }
    for (uint32_t c = 0; c < columns; c++) {
        uint64_t x = 2 + c, y = 3;
        for (uint32_t i = 0; i < k; i++) {
            uint64_t power = 1;
            trace[(size_t)c * k + i] = (uint32_t)x;
            for (uint32_t d = 0; d < degree; d++) power = power * x % FP_P;
            const uint64_t next = (power + period[i & 3] * y) % FP_P;
            x = y;
            y = next;
        }
    }
    for (uint32_t i = 0; i < bound; i++) {
        const uint32_t row = i * (k / bound);
        air_boundary(a, 0, row, publics + i);
        a->publics[i] = trace[row];
    }
}

/* Runs of 2^(log_height - log_slots) rows, in each of which x' = x^2 + 1; the runs begin with 0, 1, 2, .. and row 0 is public. */
static inline void runs_air(test_air *a, uint32_t log_height, uint32_t log_slots, uint32_t *trace) {
    const uint32_t k = 1u << log_height, run = k >> log_slots;
    air_begin(a, 1, 1, 0, NULL);
    air_table(a, (air_header){.columns = 1, .log_height = log_height, .log_slots = log_slots, .reads = 2, .constants = 1,
                              .registers = 1});
    air_word(a, 0);
    air_word(a, 1 << 16);
    air_word(a, 1);
    enum { X = 1, NEXT, FIRST, ONE };
    air_op(a, APR_OP_MUL, 0, X, X);
    air_op(a, APR_OP_ADD, 0, 0, ONE);
    air_op(a, APR_OP_SUB, 0, 0, NEXT);
    air_op(a, APR_OP_ASSERT, 0, 0, 0);
    air_boundary(a, 0, 0, FIRST);
    for (uint32_t i = 0; i < k; i++)
        trace[i] = i % run == 0 ? i / run : (uint32_t)(((uint64_t)trace[i - 1] * trace[i - 1] + 1) % FP_P);
}

/* Three tables and two buses. `sums` (2^log_height rows): x and the sum of the x before it, whose last value is public; each x is
 * looked up among 0 .. 2^log_range - 1, and each pair (x, sum) sent on the second bus. `range` (2^log_range rows): these numbers, a
 * preprocessed column, and how often each is looked up. `pairs` (2^(log_height + 1) rows): the pairs in reverse order, in every other
 * row. batch: of `sums`, 1 or 2. */
static inline void lookup_air(test_air *a, uint32_t log_height, uint32_t log_range, uint32_t batch, uint32_t *trace) {
    const uint32_t k = 1u << log_height, range = 1u << log_range, widths[2] = {1, 2};
    air_begin(a, 3, 1, 2, widths);

    air_table(a, (air_header){.columns = 2, .log_height = log_height, .reads = 3, .constants = 2, .registers = 1, .batch = batch});
    enum { X = 1, SUM, SUM_NEXT, RESULT, ONE, ZERO };
    air_word(a, 0);
    air_word(a, 1);
    air_word(a, 1 << 16 | 1);
    air_word(a, 1);
    air_word(a, 0);
    air_op(a, APR_OP_ADD, 0, SUM, X);
    air_op(a, APR_OP_SUB, 0, SUM_NEXT, 0);
    air_op(a, APR_OP_ASSERT, 0, 0, 0);
    air_boundary(a, 1, 0, ZERO);
    air_boundary(a, 1, k - 1, RESULT);
    air_interaction(a, 0, 0, ONE);
    air_word(a, X);
    air_interaction(a, 1, 0, ONE);
    air_word(a, X);
    air_word(a, SUM);

    air_table(a, (air_header){.columns = 1, .preprocessed = 1, .log_height = log_range, .reads = 2});
    air_word(a, 0);
    air_word(a, 1);
    air_interaction(a, 0, 1, 0);
    air_word(a, 1);
    for (uint32_t i = 0; i < range; i++) air_word(a, i);

    air_table(a, (air_header){.columns = 2, .log_height = log_height + 1, .reads = 2, .periodics = 1});
    air_word(a, 0);
    air_word(a, 1);
    air_word(a, 1);
    air_word(a, 1);
    air_word(a, 0);
    air_interaction(a, 1, 1, 2);
    air_word(a, 0);
    air_word(a, 1);

    uint32_t *x = trace, *sum = x + k, *counts = trace + a->trace[1], *first = trace + a->trace[2], *second = first + 2 * k;
    memset(counts, 0, 4 * (size_t)range);
    for (uint32_t i = 0; i < k; i++) {
        x[i] = (i * 2654435761u >> 12) % range; /* no period */
        sum[i] = i == 0 ? 0 : (sum[i - 1] + x[i - 1]) % FP_P;
        counts[x[i]]++;
    }
    for (uint32_t i = 0; i < k; i++) {
        first[2 * i] = x[k - 1 - i];
        second[2 * i] = sum[k - 1 - i];
        first[2 * i + 1] = second[2 * i + 1] = i; /* anything */
    }
    a->publics[0] = sum[k - 1];
}

#endif
