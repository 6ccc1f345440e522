/* Choice of the kernels, and the tables of roots of unity. */
#include "poly_internal.h"

/* fp_root(m) in Montgomery form, and its inverse. */
const fp apr_roots[FP_TWO_ADICITY + 1] = {
    268435454,  1744830467, 473486609,  1032137103, 1594287233, 1063008748, 1427548538, 1030481298, 1538277705, 1225259435,
    1418432144, 495756823,  753397990,  1645950751, 1833774456, 410087373,  993044098,  477054760,  1504714620, 444569516,
    120739356,  727325908,  1870472953, 383973657,  677034075,  232106476,  1139881320, 1476048622};
const fp apr_inverse_roots[FP_TWO_ADICITY + 1] = {
    268435454,  1744830467, 1539779312, 49022963,  1742743498, 1578764032, 1271660684, 200119505,  856370688, 1799788549,
    226753234,  652624788,  139809339,  1553924165, 1518053571, 1015743714, 202317926,  458347340,  1509538834, 890368018,
    102680671,  1607507051, 649969772,  309494574, 86827752,   50270477,   560783876,  1578289385};
size_t apr_twiddles_bytes(uint32_t log_max) { return sizeof(uint32_t) * 2 * ((size_t)1 << apr_table_log(log_max)); }

/* Stage by stage: table[d + i] = root(2d)^i for i < d; a stage is every second word of the next. */
static void fill(uint32_t *table, uint32_t log_size, const fp *roots) {
    table[0] = FP_ONE;
    if (log_size == 0) return;
    size_t d = (size_t)1 << (log_size - 1);
    fp w = FP_ONE;
    for (size_t i = 0; i < d; i++, w = fp_mul(w, roots[log_size])) table[d + i] = w;
    for (d >>= 1; d != 0; d >>= 1)
        for (size_t i = 0; i < d; i++) table[d + i] = table[2 * d + 2 * i];
}

void apr_twiddles_init(apr_twiddles *twiddles, uint32_t log_max, void *memory) {
    uint32_t *words = memory;
    uint32_t log_size = apr_table_log(log_max);
    fill(words, log_size, apr_roots);
    fill(words + ((size_t)1 << log_size), log_size, apr_inverse_roots);
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
