/* The trace of aprover/programs/sha256.py, which explains the layout of rows and columns.
 *
 * The columns, in order: 32 signs each of a, e and w; two limbs each of a, e, ha, he, f0, f1, w, before, s0, s1; a bit and a
 * rest for the lower and the upper carry of w, e and a.
 */
#include "field.h"
#include "trace.h"

#define ROUNDS 64
#define STATE_ROWS 4
#define BLOCK_ROWS (STATE_ROWS + ROUNDS)
#define LOG_PERIOD 12
#define MOST_ROWS ((1 << LOG_PERIOD) + STATE_ROWS)

const uint32_t apr_sha256_columns = 3 * 32 + 10 * 2 + 3 * 4;

/* FIPS 180-4, sections 4.2.2 and 5.3.3. */
static const uint32_t constants[ROUNDS] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};
static const uint32_t initial[8] = {
    0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
};

/* The words of a period's rows, and of the four rows below, which its sums are about: 80 KiB. Columns are written a period at
 * once, since short pieces of 128 columns would miss the caches. */
typedef struct {
    uint32_t a[MOST_ROWS], e[MOST_ROWS], w[MOST_ROWS], ha[MOST_ROWS], he[MOST_ROWS];
    size_t rows, blocks;
} period_words;

static inline uint32_t rotate(uint32_t x, int distance) { return x >> distance | x << (32 - distance); }
static inline uint32_t big_sigma0(uint32_t x) { return rotate(x, 2) ^ rotate(x, 13) ^ rotate(x, 22); }
static inline uint32_t big_sigma1(uint32_t x) { return rotate(x, 6) ^ rotate(x, 11) ^ rotate(x, 25); }
static inline uint32_t small_sigma0(uint32_t x) { return rotate(x, 7) ^ rotate(x, 18) ^ x >> 3; }
static inline uint32_t small_sigma1(uint32_t x) { return rotate(x, 17) ^ rotate(x, 19) ^ x >> 10; }
static inline uint32_t choose(uint32_t x, uint32_t y, uint32_t z) { return (x & y) ^ (~x & z); }
static inline uint32_t majority(uint32_t x, uint32_t y, uint32_t z) { return (x & y) ^ (x & z) ^ (y & z); }

/* The rows of a block from row `first` on: the state before it, then its rounds. The words are NULL for zeros; `state` becomes the
 * state after it. */
static void run_block(period_words *p, size_t first, uint32_t state[8], const uint32_t *words) {
    for (size_t i = 0; i < STATE_ROWS; i++) {
        p->a[first + i] = state[3 - i];
        p->e[first + i] = state[7 - i];
        p->w[first + i] = 0;
    }
    uint32_t *a = p->a + first + STATE_ROWS, *e = p->e + first + STATE_ROWS, *w = p->w + first + STATE_ROWS;
    for (size_t t = 0; t < 16; t++) w[t] = words == NULL ? 0 : words[t];
    for (size_t t = 16; t < ROUNDS; t++) w[t] = small_sigma1(w[t - 2]) + w[t - 7] + small_sigma0(w[t - 15]) + w[t - 16];
    for (ptrdiff_t t = 0; t < ROUNDS; t++) {
        const uint32_t t1 = e[t - 4] + big_sigma1(e[t - 1]) + choose(e[t - 1], e[t - 2], e[t - 3]) + constants[t] + w[t];
        e[t] = a[t - 4] + t1;
        a[t] = t1 + big_sigma0(a[t - 1]) + majority(a[t - 1], a[t - 2], a[t - 3]);
    }
    for (size_t i = 0; i < BLOCK_ROWS; i++) {
        p->ha[first + i] = state[3 - i % 4];
        p->he[first + i] = state[7 - i % 4];
    }
    for (size_t i = 0; i < STATE_ROWS; i++) {
        state[3 - i] += a[ROUNDS - STATE_ROWS + i];
        state[7 - i] += e[ROUNDS - STATE_ROWS + i];
    }
}

/* The state, again and again, from row `first` to the end and in the rows below. */
static void hold(period_words *p, size_t first, const uint32_t state[8]) {
    for (size_t i = 0; first + i < p->rows + STATE_ROWS; i++) {
        p->a[first + i] = p->ha[first + i] = state[3 - i % 4];
        p->e[first + i] = p->he[first + i] = state[7 - i % 4];
        p->w[first + i] = 0;
    }
}

static inline uint32_t half(uint32_t word, int upper) { return upper ? word >> 16 : word & 0xffff; }

static inline uint32_t f0_half(const period_words *p, size_t i, int upper) {
    return half(big_sigma0(p->a[i + 2]), upper) + half(majority(p->a[i + 2], p->a[i + 1], p->a[i]), upper);
}

static inline uint32_t f1_half(const period_words *p, size_t i, int upper) {
    return half(big_sigma1(p->e[i + 2]), upper) + half(choose(p->e[i + 2], p->e[i + 1], p->e[i]), upper);
}

/* The lower and the upper carry of w, e and a, for the rows of the block that begins in row r. Those of a are 1 more, since they
 * may be -1. */
static void block_carries(const period_words *p, size_t r, uint32_t carry[6][BLOCK_ROWS]) {
    const uint32_t *a = p->a + r, *e = p->e + r, *w = p->w + r, *ha = p->ha + r, *he = p->he + r;
    for (int upper = 0; upper < 2; upper++) {
        uint32_t *of_w = carry[upper], *of_e = carry[2 + upper], *of_a = carry[4 + upper];
        /* From the lower halves; from -1 for a. */
        const uint32_t *w_in = carry[0], *e_in = carry[2], *a_in = carry[4];
        /* Row i + 15 is round i + 11, and the rounds from 16 on have scheduled words. */
        for (size_t i = 5; i + 15 < BLOCK_ROWS; i++)
            of_w[i] = (half(small_sigma1(w[i + 13]), upper) + half(w[i + 8], upper) + half(small_sigma0(w[i]), upper) +
                       half(w[i - 1], upper) + (upper ? w_in[i] : 0)) >> 16;
        for (size_t i = 0; i < ROUNDS; i++) {
            of_e[i] = (half(a[i], upper) + half(e[i], upper) + f1_half(p, r + i + 1, upper) + half(constants[i], upper) +
                       half(w[i + 4], upper) + (upper ? e_in[i] : 0)) >> 16;
            of_a[i] = ((1u << 16) + half(e[i + 4], upper) + f0_half(p, r + i + 1, upper) - half(a[i], upper) +
                       (upper ? a_in[i] - 1 : 0)) >> 16;
        }
        for (size_t i = ROUNDS; i < BLOCK_ROWS; i++) {
            of_e[i] = (half(e[i], upper) + half(he[i], upper) + (upper ? e_in[i] : 0)) >> 16;
            of_a[i] = ((1u << 16) + half(a[i], upper) + half(ha[i], upper) + (upper ? a_in[i] - 1 : 0)) >> 16;
        }
    }
}

/* The 12 columns of carries; they are zero where no block is. */
static void write_carries(const period_words *p, uint32_t *to, size_t stride) {
    for (size_t block = 0; block < p->blocks; block++) {
        uint32_t carry[6][BLOCK_ROWS] = {{0}};
        block_carries(p, BLOCK_ROWS * block, carry);
        for (size_t c = 0; c < 12; c++) {
            uint32_t *column = to + c * stride + BLOCK_ROWS * block;
            for (size_t i = 0; i < BLOCK_ROWS; i++) column[i] = c % 2 ? carry[c / 2][i] >> 1 : carry[c / 2][i] & 1;
        }
    }
    for (size_t c = 0; c < 12; c++)
        for (size_t i = BLOCK_ROWS * p->blocks; i < p->rows; i++) to[c * stride + i] = 0;
}

/* The period's rows of all columns, from `at` on. */
static void write_period(const period_words *p, uint32_t *at, size_t stride) {
    const uint32_t *const signed_words[3] = {p->a, p->e, p->w};
    const uint32_t *const words[5] = {p->a, p->e, p->ha, p->he, p->w};
    static const uint32_t word_columns[5] = {96, 98, 100, 102, 108};
#define COLUMN(c) (at + (c) * stride)
    for (uint32_t c = 0; c < 96; c++) {
        const uint32_t *from = signed_words[c / 32];
        uint32_t *to = COLUMN(c);
        for (size_t i = 0; i < p->rows; i++) to[i] = 1 + (from[i] >> (c % 32) & 1) * (FP_P - 2);
    }
    for (int upper = 0; upper < 2; upper++) {
        for (size_t n = 0; n < 5; n++) {
            uint32_t *to = COLUMN(word_columns[n] + upper);
            for (size_t i = 0; i < p->rows; i++) to[i] = half(words[n][i], upper);
        }
        uint32_t *f0 = COLUMN(104 + upper), *f1 = COLUMN(106 + upper), *before = COLUMN(110 + upper);
        uint32_t *s0 = COLUMN(112 + upper), *s1 = COLUMN(114 + upper);
        for (size_t i = 0; i < p->rows; i++) f0[i] = f0_half(p, i, upper);
        for (size_t i = 0; i < p->rows; i++) f1[i] = f1_half(p, i, upper);
        /* The row above the first is a hold row, with w = 0. */
        before[0] = 0;
        for (size_t i = 1; i < p->rows; i++) before[i] = half(p->w[i - 1], upper);
        for (size_t i = 0; i < p->rows; i++) s0[i] = half(small_sigma0(p->w[i]), upper) + before[i];
        for (size_t i = 0; i < p->rows; i++) s1[i] = half(small_sigma1(p->w[i]), upper);
    }
    write_carries(p, COLUMN(116), stride);
#undef COLUMN
}

aprover_status apr_trace_sha256(uint32_t *trace, size_t stride, uint32_t log_height, const uint32_t *arguments, size_t count,
                                const int32_t *cancel) {
    if (log_height < 7 || count == 0 || count % 16 != 0) return APROVER_ERROR_ARGUMENT;
    const uint32_t log_period = log_height < LOG_PERIOD ? log_height : LOG_PERIOD;
    const size_t rows = (size_t)1 << log_height;
    period_words p;
    p.rows = (size_t)1 << log_period;
    p.blocks = (p.rows - STATE_ROWS) / BLOCK_ROWS;
    if (count / 16 > p.blocks << (log_height - log_period)) return APROVER_ERROR_ARGUMENT;
    uint32_t state[8];
    for (int i = 0; i < 8; i++) state[i] = initial[i];
    size_t used = 0;
    for (size_t start = 0; start < rows; start += p.rows) {
        if (apr_flag_is_set(cancel)) return APROVER_CANCELLED;
        for (size_t block = 0; block < p.blocks; block++) {
            run_block(&p, BLOCK_ROWS * block, state, used < count ? arguments + used : NULL);
            used += used < count ? 16 : 0;
        }
        hold(&p, BLOCK_ROWS * p.blocks, state);
        write_period(&p, trace + start, stride);
    }
    /* f0 and f1 of the last two rows would need rows below them. */
    for (size_t c = 104; c < 108; c++)
        for (size_t i = rows - 2; i < rows; i++) trace[c * stride + i] = 0;
    return APROVER_OK;
}
