/* Choice of the kernels, and the tables of roots of unity. */
#include <string.h>

#include "poly_internal.h"

size_t apr_twiddles_bytes(uint32_t log_max) { return 2 * sizeof(uint32_t) * apr_table_words(apr_table_log(log_max)); }

/* power[j] = w^j for j < 2^log_n, where w has order 2^log_n; four chains, since one waits for each product. */
static void fill_powers(fp *power, uint32_t log_n, fp w) {
    const size_t n = (size_t)1 << log_n;
    fp w4 = fp_sqr_times(w, 2);
    power[0] = FP_ONE;
    for (size_t j = 1; j < n && j < 4; j++) power[j] = fp_mul(power[j - 1], w);
    for (size_t j = 4; j < n / 2; j++) power[j] = fp_mul(power[j - 4], w4);
    for (size_t j = n / 2; j < n; j++) power[j] = n == 1 ? FP_ONE : fp_neg(power[j - n / 2]);
}

/* See poly_internal.h. With root(4d)^e = power[step * e]: root(2d) is the power 2, root(4) the power d, -1 the power 2d. */
static void fill_table(uint32_t *table, uint32_t log_n, const fp *roots) {
    fp power[(size_t)1 << APR_TABLE_LOG];
    const uint32_t log_powers = log_n < 4 ? 4 : log_n;
    const size_t n = (size_t)1 << log_powers;
    fill_powers(power, log_powers, roots[log_powers]);
    memset(table, 0, apr_table_words(log_n) * sizeof(uint32_t));
    for (size_t i = 0; i < 4; i++) table[APR_STAGE_4 + i] = power[n / 8 * i];
    for (size_t i = 0; i < 8; i++) table[APR_STAGE_8 + i] = power[n / 16 * i];
    table[0] = table[1] = table[2] = FP_ONE;
    table[3] = power[n / 4];
    table[4] = fp_neg(table[3]);
    /* d = 4 serves the transforms that are larger than the table */
    for (size_t d = log_n == APR_TABLE_LOG ? 4 : 8; 4 * d <= n; d *= 2) {
        const size_t step = n / (4 * d);
        for (size_t i = 0; i < d; i++) {
            const size_t exponents[APR_FACTORS] = {2 * i, i, 3 * i, d + i, 3 * d + 3 * i};
            uint32_t *at = table + apr_factors_at(d) + APR_FACTORS * (i & ~(size_t)7) + (i & 7);
            for (size_t f = 0; f < APR_FACTORS; f++) at[8 * f] = power[step * exponents[f] & (n - 1)];
        }
    }
}

void apr_twiddles_init(apr_twiddles *twiddles, uint32_t log_max, void *memory) {
    uint32_t *words = memory;
    const uint32_t log_n = apr_table_log(log_max);
    fill_table(words, log_n, apr_roots);
    fill_table(words + apr_table_words(log_n), log_n, apr_inverse_roots);
    twiddles->words = words;
    twiddles->log_max = log_max;
}

const apr_poly_kernels *apr_poly_kernels_for(enum apr_path path) {
#if APR_HAVE_AVX2_BUILD
    if (apr_use_avx2(path)) return &apr_poly_kernels_avx2;
#endif
    (void)path;
    return &apr_poly_kernels_portable;
}
