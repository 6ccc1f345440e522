/* Small AIRs, assembled by hand from docs/protocol.md section 4.1, and their traces. */
#ifndef APROVER_TEST_AIRS_H
#define APROVER_TEST_AIRS_H

#include <string.h>

#include "../../csrc/air.h"
#include "check.h"

enum { AIR_WORDS = 1 << 16 };

typedef struct {
    uint32_t words[AIR_WORDS];
    size_t count;
    uint32_t log_height, columns;
    uint32_t publics[512];
    size_t publics_count;
} test_air;

static inline void air_word(test_air *a, uint32_t word) {
    CHECK(a->count < AIR_WORDS);
    a->words[a->count++] = word;
}
static inline void air_op(test_air *a, uint32_t op, uint32_t dst, uint32_t x, uint32_t y) {
    air_word(a, op | dst << 16);
    air_word(a, x | y << 16);
    a->words[8]++;
}
static inline void air_boundary(test_air *a, uint32_t column, uint32_t row, uint32_t slot) {
    air_word(a, column);
    air_word(a, row);
    air_word(a, slot);
    a->words[9]++;
}
static inline void air_header(test_air *a, uint32_t columns, uint32_t log_height, uint32_t reads, uint32_t periodics,
                              uint32_t publics, uint32_t constants, uint32_t registers) {
    const uint32_t header[10] = {1, columns, log_height, reads, periodics, publics, constants, registers, 0, 0};
    memset(a, 0, sizeof *a);
    memcpy(a->words, header, sizeof header);
    a->count = 10;
    a->columns = columns;
    a->log_height = log_height;
    a->publics_count = publics;
}

/* Two columns x, y: x' = y, y' = x + y. Narrow, degree 1. The trace is that of the built-in generator. */
static inline void fibonacci_air(test_air *a, uint32_t log_height, uint32_t n, uint32_t *trace) {
    air_header(a, 2, log_height, 4, 0, 3, 0, 1);
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
    air_header(a, columns, log_height, 3 * columns, 1, bound, 0, 2);
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

#endif
