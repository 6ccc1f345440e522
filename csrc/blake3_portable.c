#include "vec_portable.h"

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
