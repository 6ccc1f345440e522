/* The trace of SHA-256. That it satisfies the constraints is for the Python tests to say. */
#include <string.h>

#include "../../csrc/field.h"
#include "../../csrc/trace.h"
#include "check.h"

enum { BLOCK_ROWS = 68, A = 0, E = 32, W = 64, HA = 100, HE = 102, CARRIES = 116, COLUMNS = 128 };

/* A word from its 32 signs. */
static uint32_t word_at(const uint32_t *trace, size_t rows, size_t first_column, size_t row) {
    uint32_t word = 0;
    for (size_t j = 0; j < 32; j++) {
        const uint32_t sign = trace[(first_column + j) * rows + row];
        CHECK(sign == 1 || sign == FP_P - 1);
        word |= (uint32_t)(sign != 1) << j;
    }
    return word;
}

static uint32_t limbs_at(const uint32_t *trace, size_t rows, size_t column, size_t row) {
    const uint32_t low = trace[column * rows + row], high = trace[(column + 1) * rows + row];
    CHECK(low < 1u << 16 && high < 1u << 16);
    return high << 16 | low;
}

/* The digest of "abc" after one block, in bits and in limbs, and the message in its rows; every cell is written, none beyond. */
static void test_abc(uint32_t log_height) {
    static const uint32_t digest[8] = {0xba7816bf, 0x8f01cfea, 0x414140de, 0x5dae2223,
                                       0xb00361a3, 0x96177a9c, 0xb410ff61, 0xf20015ad};
    const uint32_t words[16] = {0x61626380, [15] = 24};
    const size_t rows = (size_t)1 << log_height, cells = COLUMNS * rows;
    uint32_t *trace = malloc((cells + 1) * sizeof *trace);
    CHECK(trace != NULL);
    memset(trace, 0xff, (cells + 1) * sizeof *trace);
    CHECK(apr_sha256_columns == COLUMNS);
    CHECK(apr_trace_sha256(trace, (size_t)1 << log_height, log_height, words, 16, NULL) == APROVER_OK);
    for (size_t i = 0; i < cells; i++) CHECK(trace[i] < FP_P);
    CHECK(trace[cells] == 0xffffffffu);
    for (size_t i = 0; i < 4; i++) {
        const size_t row = BLOCK_ROWS + 3 - i;
        CHECK(word_at(trace, rows, A, row) == digest[i]);
        CHECK(word_at(trace, rows, E, row) == digest[4 + i]);
        CHECK(limbs_at(trace, rows, HA, row) == digest[i]);
        CHECK(limbs_at(trace, rows, HE, row) == digest[4 + i]);
    }
    for (size_t t = 0; t < 16; t++) CHECK(word_at(trace, rows, W, 4 + t) == words[t]);
    for (size_t c = CARRIES; c < COLUMNS; c++)
        for (size_t i = 0; i < rows; i++) CHECK(trace[c * rows + i] <= 2);
    free(trace);
}

/* As many blocks as the rows have room for, and no more. */
static void test_capacity(uint32_t log_height, size_t blocks) {
    const size_t cells = (size_t)COLUMNS << log_height;
    uint32_t *trace = malloc(cells * sizeof *trace), *words = calloc(16 * (blocks + 1), sizeof *words);
    CHECK(trace != NULL && words != NULL);
    CHECK(apr_trace_sha256(trace, (size_t)1 << log_height, log_height, words, 16 * blocks, NULL) == APROVER_OK);
    CHECK(apr_trace_sha256(trace, (size_t)1 << log_height, log_height, words, 16 * (blocks + 1), NULL) == APROVER_ERROR_ARGUMENT);
    CHECK(apr_trace_sha256(trace, (size_t)1 << log_height, log_height, words, 16 * blocks - 1, NULL) == APROVER_ERROR_ARGUMENT);
    CHECK(apr_trace_sha256(trace, (size_t)1 << log_height, log_height, words, 0, NULL) == APROVER_ERROR_ARGUMENT);
    CHECK(apr_trace_sha256(trace, 64, 6, words, 16, NULL) == APROVER_ERROR_ARGUMENT);
    const int32_t cancel = 1;
    CHECK(apr_trace_sha256(trace, (size_t)1 << log_height, log_height, words, 16, &cancel) == APROVER_CANCELLED);
    free(words);
    free(trace);
}

int main(void) {
    for (uint32_t log_height = 7; log_height <= 14; log_height++) test_abc(log_height);
    printf("ok sha256 trace\n");
    test_capacity(7, 1);
    test_capacity(11, 30);
    test_capacity(12, 60);
    test_capacity(13, 120);
    printf("ok sha256 capacity\n");
    return 0;
}
