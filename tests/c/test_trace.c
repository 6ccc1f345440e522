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
    for (enum apr_path path = APR_PATH_AUTO; path <= APR_PATH_AVX2; path++) {
        uint32_t image[16];
        memcpy(image, state, sizeof state);
        CHECK(apr_poseidon2_chain(image, 1, path, NULL) == APROVER_OK);
        CHECK(memcmp(image, expected, sizeof image) == 0);
    }
    printf("ok poseidon2\n");
}

/* The image of 0, 1, .., 15 after a hundred permutations by default_babybear_poseidon2_16 of Plonky3's p3-baby-bear. */
static void test_hundredth_state(void) {
    const uint32_t expected[16] = {623445744,  915203779,  30940434,   487226759, 454039560,  1350352270, 1729803777, 1897363860,
                                   1123582317, 1432040505, 2000239194, 728556490, 1540321662, 1590612037, 1598901898, 751862274};
    for (enum apr_path path = APR_PATH_AUTO; path <= APR_PATH_AVX2; path++) {
        uint32_t state[16];
        for (uint32_t i = 0; i < 16; i++) state[i] = i;
        CHECK(apr_poseidon2_chain(state, 100, path, NULL) == APROVER_OK);
        CHECK(memcmp(state, expected, sizeof state) == 0);
    }
    printf("ok poseidon2 a hundred times\n");
}

/* On states with extreme values too, and for counts that are no whole number of the steps between looks at the flag. */
static void test_paths_agree(void) {
    const uint32_t extremes[4] = {0, 1, FP_P - 1, FP_P - 2};
    uint64_t random = 7;
    for (uint64_t n = 0; n < 400; n++) {
        uint32_t start[16], plain[16], vectors[16];
        for (int i = 0; i < 16; i++) {
            const uint64_t r = random_u64(&random);
            start[i] = n % 4 == 0 ? extremes[r % 4] : (uint32_t)(r % FP_P);
        }
        memcpy(plain, start, sizeof start);
        memcpy(vectors, start, sizeof start);
        CHECK(apr_poseidon2_chain(plain, n % 40, APR_PATH_PORTABLE, NULL) == APROVER_OK);
        CHECK(apr_poseidon2_chain(vectors, n % 40, APR_PATH_AVX2, NULL) == APROVER_OK);
        CHECK(memcmp(plain, vectors, sizeof plain) == 0);
        CHECK(n % 40 != 0 || memcmp(plain, start, sizeof plain) == 0);
    }
    printf("ok poseidon2 paths\n");
}

/* Row i + 1 begins with the permutation of row i's beginning, which is also the end of row i; nothing else is written. All
 * paths make the same cells. */
static void test_chain(uint32_t log_height) {
    const size_t rows = (size_t)1 << log_height, columns = apr_poseidon2_columns, words = columns * rows + 1;
    uint32_t *trace = malloc(words * sizeof *trace), *other = malloc(words * sizeof *trace);
    CHECK(trace != NULL && other != NULL);
    memset(trace, 0xff, words * sizeof *trace);
    memset(other, 0xff, words * sizeof *trace);
    uint32_t state[16];
    uint64_t random = log_height;
    for (int i = 0; i < 16; i++) state[i] = (uint32_t)(random_u64(&random) % FP_P);
    CHECK(apr_trace_poseidon2_chain(trace, rows, log_height, state, APR_PATH_PORTABLE, NULL) == APROVER_OK);
    CHECK(apr_trace_poseidon2_chain(other, rows, log_height, state, APR_PATH_AUTO, NULL) == APROVER_OK);
    CHECK(memcmp(trace, other, words * sizeof *trace) == 0);
    for (size_t row = 0; row < rows; row++) {
        for (size_t i = 0; i < 16; i++) CHECK(trace[i * rows + row] == state[i]);
        CHECK(apr_poseidon2_chain(state, 1, APR_PATH_PORTABLE, NULL) == APROVER_OK);
        for (size_t i = 0; i < 16; i++) CHECK(trace[(columns - 16 + i) * rows + row] == state[i]);
        for (size_t c = 0; c < columns; c++) CHECK(trace[c * rows + row] < FP_P);
    }
    CHECK(trace[columns * rows] == 0xffffffffu);
    free(trace);
    free(other);
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
    test_hundredth_state();
    test_paths_agree();
    for (uint32_t log_height = 0; log_height < 7; log_height++) test_chain(log_height);
    printf("ok poseidon2 chain\n");
    test_fibonacci();
    return 0;
}
