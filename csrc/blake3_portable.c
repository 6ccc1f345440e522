#include "vec_portable.h"

#include "blake3_internal.h"

/* Four lanes at a time in the compiler's own vectors: SSE2, NEON or plain words, whatever the machine's base has. */
typedef uint32_t words __attribute__((vector_size(16)));
#define WORDS_LANES 4
#define WORDS_SPILL(w) (void)(w)

APR_INLINE words words_get(const v8 *p, int g) {
    words w;
    memcpy(&w, p->w + 4 * g, sizeof w);
    return w;
}
APR_INLINE void words_put(v8 *p, int g, words w) { memcpy(p->w + 4 * g, &w, sizeof w); }
APR_INLINE words words_set1(uint32_t x) { return (words){x, x, x, x}; }
APR_INLINE words words_add(words a, words b) { return a + b; }
APR_INLINE words words_add_at(words a, const v8 *p, int g) { return a + words_get(p, g); }
APR_INLINE words words_xor(words a, words b) { return a ^ b; }
APR_INLINE words words_rotr16(words a) { return a >> 16 | a << 16; }
APR_INLINE words words_rotr12(words a) { return a >> 12 | a << 20; }
APR_INLINE words words_rotr8(words a) { return a >> 8 | a << 24; }
APR_INLINE words words_rotr7(words a) { return a >> 7 | a << 25; }

#include "blake3_impl.h"

#define ROTR(x, n) ((x) >> (n) | (x) << (32 - (n)))
#define G(a, b, c, d, x, y)               \
    do {                                  \
        v[a] = v[a] + v[b] + m[x];        \
        v[d] = ROTR(v[d] ^ v[a], 16);     \
        v[c] = v[c] + v[d];               \
        v[b] = ROTR(v[b] ^ v[c], 12);     \
        v[a] = v[a] + v[b] + m[y];        \
        v[d] = ROTR(v[d] ^ v[a], 8);      \
        v[c] = v[c] + v[d];               \
        v[b] = ROTR(v[b] ^ v[c], 7);      \
    } while (0)
#define ROUND(...) APR_B3_ROUND(G, __VA_ARGS__)

void apr_blake3_compress_portable(const uint32_t cv[8], const uint8_t block[64], uint32_t length, uint64_t counter,
                                  uint32_t flags, uint32_t out[16]) {
    uint32_t m[16];
    memcpy(m, block, 64);
    uint32_t v[16] = {cv[0], cv[1], cv[2], cv[3], cv[4], cv[5], cv[6], cv[7], APR_B3_IV0, APR_B3_IV1, APR_B3_IV2, APR_B3_IV3,
                      (uint32_t)counter, (uint32_t)(counter >> 32), length, flags};
    APR_B3_SCHEDULE(ROUND);
    for (int i = 0; i < 8; i++) {
        uint32_t old = cv[i];
        out[i] = v[i] ^ v[i + 8];
        out[i + 8] = v[i + 8] ^ old;
    }
}

VEC_END
