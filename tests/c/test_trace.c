/* The trace generators and the Poseidon2 permutation. */
#include <string.h>

#include "../../csrc/field.h"
#include "../../csrc/trace.h"
#include "check.h"

/* test_default_babybear_poseidon2_width_16 of Plonky3's p3-baby-bear. */
static void test_permutation(void) {
    uint32_t state[16] = {894848333, 1437655012, 1200606629, 1690012884, 71131202,  1749206695, 1717947831, 120589055,
                          19776022,  42382981,   1831865506, 724844064,  171220207, 1299207443, 227047920,  1783754913};
    const uint32_t expected[16] = {516096821, 90309867,   1101817252, 1660784290, 360715097,  1789519026, 1788910906, 563338433,
                                   319524748, 1741414159, 1650859320, 894311162,  1121347488, 1692793758, 1052633829, 1344246938};
    CHECK(apr_poseidon2_chain(state, 1, NULL) == APROVER_OK);
    CHECK(memcmp(state, expected, sizeof state) == 0);
    printf("ok poseidon2\n");
}

/* Row i + 1 begins with the permutation of row i's beginning, which is also the end of row i; nothing else is written. */
static void test_chain(uint32_t log_height) {
    const size_t rows = (size_t)1 << log_height, columns = apr_poseidon2_columns;
    uint32_t *trace = malloc((columns * rows + 1) * sizeof *trace);
    CHECK(trace != NULL);
    memset(trace, 0xff, (columns * rows + 1) * sizeof *trace);
    uint32_t state[16];
    uint64_t random = log_height;
    for (int i = 0; i < 16; i++) state[i] = (uint32_t)(random_u64(&random) % FP_P);
    CHECK(apr_trace_poseidon2_chain(trace, (size_t)1 << log_height, log_height, state, NULL) == APROVER_OK);
    for (size_t row = 0; row < rows; row++) {
        for (size_t i = 0; i < 16; i++) CHECK(trace[i * rows + row] == state[i]);
        CHECK(apr_poseidon2_chain(state, 1, NULL) == APROVER_OK);
        for (size_t i = 0; i < 16; i++) CHECK(trace[(columns - 16 + i) * rows + row] == state[i]);
        for (size_t c = 0; c < columns; c++) CHECK(trace[c * rows + row] < FP_P);
    }
    CHECK(trace[columns * rows] == 0xffffffffu);
    free(trace);
}

static void test_fibonacci(void) {
    uint32_t trace[2 * 64 + 1];
    const uint32_t arguments[2] = {FP_P - 1, FP_P - 2};
    memset(trace, 0xff, sizeof trace);
    apr_trace_fibonacci(trace, 64, 6, arguments);
    uint64_t low = arguments[0], high = arguments[1];
    for (int row = 0; row < 64; row++) {
        CHECK(trace[row] == low);
        CHECK(trace[64 + row] == high);
        const uint64_t next = (low + high) % FP_P;
        low = high;
        high = next;
    }
    CHECK(trace[128] == 0xffffffffu);
    printf("ok fibonacci trace\n");
}

int main(void) {
    test_permutation();
    for (uint32_t log_height = 0; log_height < 7; log_height++) test_chain(log_height);
    printf("ok poseidon2 chain\n");
    test_fibonacci();
    return 0;
}
