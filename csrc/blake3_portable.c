#include "vec_portable.h"

#include "blake3_internal.h"

/* Four lanes at a time in the compiler's own vectors: SSE2, NEON or plain words, whatever the machine's base has. */
typedef uint32_t words __attribute__((vector_size(16)));
#define WORDS_LANES 4
#define HASH_SINGLES 5
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

APR_INLINE v8 quarters_load(const uint8_t *p, const uint8_t *q) {
    v8 r;
    memcpy(r.w, p, 16);
    memcpy(r.w + 4, q, 16);
    return r;
}
APR_INLINE void quarters_store(uint8_t *p, uint8_t *q, v8 a) {
    memcpy(p, a.w, 16);
    memcpy(q, a.w + 4, 16);
}
APR_INLINE void quarters_transpose(v8 r[4]) {
    v8 t[4];
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < 4; j++) {
            t[i].w[j] = r[j].w[i];
            t[i].w[j + 4] = r[j].w[i + 4];
        }
    memcpy(r, t, sizeof t);
}

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

APR_INLINE void rounds(const uint32_t cv[8], const void *block, uint32_t length, uint64_t counter, uint32_t flags,
                       uint32_t v[16]) {
    uint32_t m[16];
    memcpy(m, block, sizeof m);
    memcpy(v, cv, 32);
    v[8] = APR_B3_IV0;
    v[9] = APR_B3_IV1;
    v[10] = APR_B3_IV2;
    v[11] = APR_B3_IV3;
    v[12] = (uint32_t)counter;
    v[13] = (uint32_t)(counter >> 32);
    v[14] = length;
    v[15] = flags;
    APR_B3_SCHEDULE(ROUND);
}

void apr_blake3_compress_portable(const void *cv, const void *block, uint32_t length, uint64_t counter, uint32_t flags,
                                  void *out) {
    uint32_t old[8], v[16];
    memcpy(old, cv, sizeof old);
    rounds(old, block, length, counter, flags, v);
    for (int i = 0; i < 8; i++) v[i] ^= v[i + 8];
    memcpy(out, v, 32);
}

void apr_blake3_expand_portable(const void *cv, const void *block, uint32_t length, uint64_t counter, uint32_t flags,
                                void *out) {
    uint32_t old[8], v[16];
    memcpy(old, cv, sizeof old);
    rounds(old, block, length, counter, flags, v);
    for (int i = 0; i < 8; i++) {
        v[i] ^= v[i + 8];
        v[i + 8] ^= old[i];
    }
    memcpy(out, v, 64);
}

VEC_END
