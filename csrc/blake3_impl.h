/* Eight BLAKE3 messages of one length in eight lanes. Compiled once for each instruction set: include vec_*.h first. */
#ifndef APROVER_BLAKE3_IMPL_H
#define APROVER_BLAKE3_IMPL_H

#include "blake3_internal.h"

#define APR_INLINE static inline __attribute__((always_inline))

#define G8(a, b, c, d, x, y)                            \
    do {                                                \
        v[a] = v8_add32(v8_add32(v[a], m[x]), v[b]);    \
        v[d] = v8_rotr16(v8_xor(v[d], v[a]));           \
        v[c] = v8_add32(v[c], v[d]);                    \
        v[b] = v8_rotr12(v8_xor(v[b], v[c]));           \
        v[a] = v8_add32(v8_add32(v[a], m[y]), v[b]);    \
        v[d] = v8_rotr8(v8_xor(v[d], v[a]));            \
        v[c] = v8_add32(v[c], v[d]);                    \
        v[b] = v8_rotr7(v8_xor(v[b], v[c]));            \
    } while (0)
#define ROUND8(...) APR_B3_ROUND(G8, __VA_ARGS__)

APR_INLINE void rounds8(v8 v[16], const v8 m[16]) { APR_B3_SCHEDULE(ROUND8); }

APR_INLINE void initial_state8(v8 v[16], const v8 cv[8], v8 counter_low, uint32_t counter_high, uint32_t length,
                               uint32_t flags) {
    for (int i = 0; i < 8; i++) v[i] = cv[i];
    v[8] = v8_set1(APR_B3_IV0);
    v[9] = v8_set1(APR_B3_IV1);
    v[10] = v8_set1(APR_B3_IV2);
    v[11] = v8_set1(APR_B3_IV3);
    v[12] = counter_low;
    v[13] = v8_set1(counter_high);
    v[14] = v8_set1(length);
    v[15] = v8_set1(flags);
}

static __attribute__((noinline)) void compress8(v8 cv[8], const v8 m[16], v8 counter_low, uint32_t counter_high,
                                                uint32_t length, uint32_t flags) {
    v8 v[16];
    initial_state8(v, cv, counter_low, counter_high, length, flags);
    rounds8(v, m);
    for (int i = 0; i < 8; i++) cv[i] = v8_xor(v[i], v[i + 8]);
}

/* left becomes the chaining values of the parents of left and right. */
static void merge8(const v8 key[8], v8 left[8], const v8 right[8], uint32_t flags) {
    v8 m[16];
    for (int i = 0; i < 8; i++) {
        m[i] = left[i];
        m[i + 8] = right[i];
        left[i] = key[i];
    }
    compress8(left, m, v8_set1(0), 0, APR_B3_BLOCK, flags | APR_B3_PARENT | APR_B3_KEYED);
}

/* Fills m with the words from byte `offset` on of the eight messages; words beyond `length` bytes are zero. */
typedef void load_block8(const void *source, size_t offset, uint32_t length, v8 m[16]);

APR_INLINE void chunk8(const v8 key[8], load_block8 *load, const void *source, size_t offset, size_t length, v8 counter_low,
                       uint32_t counter_high, uint32_t root, v8 cv[8]) {
    uint32_t flags = APR_B3_KEYED | APR_B3_CHUNK_START;
    for (int i = 0; i < 8; i++) cv[i] = key[i];
    for (;;) {
        v8 m[16];
        uint32_t take = length > APR_B3_BLOCK ? APR_B3_BLOCK : (uint32_t)length;
        length -= take;
        if (length == 0) flags |= APR_B3_CHUNK_END | root;
        load(source, offset, take, m);
        compress8(cv, m, counter_low, counter_high, take, flags);
        if (length == 0) break;
        offset += take;
        flags = APR_B3_KEYED;
    }
}

/* Digests of eight messages of `length` bytes; the first `count` are written. */
APR_INLINE void hash8(const uint8_t key_bytes[32], load_block8 *load, const void *source, size_t length, size_t count,
                      uint8_t *out) {
    v8 key[8], cv[8];
    uint32_t words[8];
    memcpy(words, key_bytes, 32);
    for (int i = 0; i < 8; i++) key[i] = v8_set1(words[i]);
    if (length <= APR_BLAKE3_CHUNK) {
        chunk8(key, load, source, 0, length, v8_set1(0), 0, APR_B3_ROOT, cv);
    } else {
        v8 stack[APR_B3_MAX_DEPTH][8];
        size_t depth = 0, chunk = 0, offset = 0;
        for (; length - offset > APR_BLAKE3_CHUNK; offset += APR_BLAKE3_CHUNK) {
            chunk8(key, load, source, offset, APR_BLAKE3_CHUNK, v8_set1((uint32_t)chunk), (uint32_t)((uint64_t)chunk >> 32), 0,
                   stack[depth++]);
            chunk++;
            for (size_t n = chunk; (n & 1) == 0; n >>= 1, depth--) merge8(key, stack[depth - 2], stack[depth - 1], 0);
        }
        chunk8(key, load, source, offset, length - offset, v8_set1((uint32_t)chunk), (uint32_t)((uint64_t)chunk >> 32), 0, cv);
        for (; depth > 0; depth--) {
            merge8(key, stack[depth - 1], cv, depth == 1 ? APR_B3_ROOT : 0);
            for (int i = 0; i < 8; i++) cv[i] = stack[depth - 1][i];
        }
    }
    v8_transpose(cv);
    for (size_t i = 0; i < count; i++) v8_store_bytes(out + APR_DIGEST_BYTES * i, cv[i]);
}

/* ---- messages as bytes ---- */

typedef struct {
    const uint8_t *lane[8];
} byte_source;

static inline void load_bytes8(const void *source, size_t offset, uint32_t length, v8 m[16]) {
    const byte_source *s = source;
    if (length == APR_B3_BLOCK) {
        for (int i = 0; i < 8; i++) {
            m[i] = v8_load_bytes(s->lane[i] + offset);
            m[i + 8] = v8_load_bytes(s->lane[i] + offset + 32);
        }
    } else {
        for (int i = 0; i < 8; i++) {
            uint8_t block[APR_B3_BLOCK] = {0};
            if (length > 0) memcpy(block, s->lane[i] + offset, length);
            m[i] = v8_load_bytes(block);
            m[i + 8] = v8_load_bytes(block + 32);
        }
    }
    v8_transpose(m);
    v8_transpose(m + 8);
}

static void VEC_NAME(hash_many)(const uint8_t key[32], const uint8_t *inputs, size_t step, size_t length, size_t count,
                                uint8_t *out) {
    while (count > 2) {
        size_t now = count < 8 ? count : 8;
        byte_source source;
        for (size_t i = 0; i < 8; i++) source.lane[i] = inputs + step * (i < now ? i : now - 1);
        hash8(key, load_bytes8, &source, length, now, out);
        inputs += step * now;
        out += APR_DIGEST_BYTES * now;
        count -= now;
    }
    for (; count > 0; count--, inputs += step, out += APR_DIGEST_BYTES) apr_blake3_keyed(key, inputs, length, out);
}

void VEC_NAME(apr_blake3_chunks8)(const uint32_t key_words[8], const uint8_t *data, uint64_t first_chunk, uint32_t cvs[8][8]) {
    v8 key[8], cv[8];
    byte_source source;
    uint32_t low[8];
    for (int i = 0; i < 8; i++) {
        key[i] = v8_set1(key_words[i]);
        source.lane[i] = data + APR_BLAKE3_CHUNK * i;
        low[i] = (uint32_t)first_chunk + (uint32_t)i;
    }
    /* first_chunk is a multiple of eight, so that no carry into the high word falls among the lanes. */
    chunk8(key, load_bytes8, &source, 0, APR_BLAKE3_CHUNK, v8_loadu(low), (uint32_t)(first_chunk >> 32), 0, cv);
    v8_transpose(cv);
    for (int i = 0; i < 8; i++) v8_storeu(cvs[i], cv[i]);
}

/* ---- leaves of a matrix ---- */

enum octet_layout { OCTETS_RUN, OCTETS_BY_4, OCTETS_BY_2, OCTETS_BY_1, OCTETS_ANY };

/* Lane i's octet has its values at position[i] + m * spacing. */
typedef struct {
    const uint32_t *values;
    size_t stride;
    size_t spacing;
    size_t position[8];
    enum octet_layout layout;
} octet_source;

APR_INLINE void load_octet_column(const octet_source *s, const uint32_t *column, v8 out[8]) {
    const size_t d = s->spacing;
    switch (s->layout) {
    case OCTETS_RUN:
        for (size_t m = 0; m < 8; m++) out[m] = v8_loadu(column + s->position[0] + m * d);
        break;
    case OCTETS_BY_4:
        for (size_t m = 0; m < 8; m++)
            out[m] = v8_load_halves(column + s->position[0] + m * 4, column + s->position[4] + m * 4);
        break;
    case OCTETS_BY_2:
        for (size_t m = 0; m < 8; m++)
            out[m] = v8_load_pairs(column + s->position[0] + m * 2, column + s->position[2] + m * 2,
                                   column + s->position[4] + m * 2, column + s->position[6] + m * 2);
        break;
    case OCTETS_BY_1:
        for (size_t i = 0; i < 8; i++) out[i] = v8_loadu(column + s->position[i]);
        v8_transpose(out);
        break;
    default:
        for (size_t m = 0; m < 8; m++) {
            uint32_t words[8];
            for (size_t i = 0; i < 8; i++) words[i] = column[s->position[i] + m * d];
            out[m] = v8_loadu(words);
        }
    }
    for (size_t m = 0; m < 8; m++) out[m] = v8_canonical(out[m]);
}

static inline void load_octets8(const void *source, size_t offset, uint32_t length, v8 m[16]) {
    const octet_source *s = source;
    const uint32_t *column = s->values + offset / 32 * s->stride;
    load_octet_column(s, column, m);
    if (length > 32) load_octet_column(s, column + s->stride, m + 8);
    else for (int i = 8; i < 16; i++) m[i] = v8_set1(0);
}

static void VEC_NAME(hash_octets)(const apr_matrix *matrix, size_t first, size_t count, uint8_t *out) {
    const size_t spacing = ((size_t)1 << matrix->log_coset) / 8;
    octet_source source = {matrix->values, matrix->stride, spacing, {0}, OCTETS_ANY};
    while (count > 0) {
        size_t now = count < 8 ? count : 8;
        for (size_t i = 0; i < 8; i++) {
            size_t leaf = first + (i < now ? i : now - 1);
            source.position[i] = leaf / spacing * (spacing * 8) + leaf % spacing;
        }
        source.layout = OCTETS_ANY;
        if (now == 8 && spacing >= 8 && first % spacing + 8 <= spacing) source.layout = OCTETS_RUN;
        else if (now == 8 && spacing == 4 && first % 4 == 0) source.layout = OCTETS_BY_4;
        else if (now == 8 && spacing == 2 && first % 2 == 0) source.layout = OCTETS_BY_2;
        else if (spacing == 1) source.layout = OCTETS_BY_1;
        hash8(apr_key_leaf, load_octets8, &source, (size_t)32 * matrix->columns, now, out);
        first += now;
        out += APR_DIGEST_BYTES * now;
        count -= now;
    }
}

typedef struct {
    const uint32_t *values; /* at the first of the rows */
    size_t stride;
    size_t rows;
} row_source;

static inline void load_rows8(const void *source, size_t offset, uint32_t length, v8 m[16]) {
    const row_source *s = source;
    const uint32_t *p = s->values + offset / 4 * s->stride;
    for (uint32_t i = 0; i < 16; i++, p += s->stride) {
        if (i >= length / 4) {
            m[i] = v8_set1(0);
        } else if (s->rows == 8) {
            m[i] = v8_canonical(v8_loadu(p));
        } else {
            uint32_t words[8] = {0};
            for (size_t r = 0; r < s->rows; r++) words[r] = p[r];
            m[i] = v8_canonical(v8_loadu(words));
        }
    }
}

static void VEC_NAME(hash_rows)(const apr_matrix *matrix, size_t first, size_t count, uint8_t *out) {
    while (count > 0) {
        size_t now = count < 8 ? count : 8;
        row_source source = {matrix->values + first, matrix->stride, now};
        hash8(apr_key_leaf, load_rows8, &source, (size_t)4 * matrix->columns, now, out);
        first += now;
        out += APR_DIGEST_BYTES * now;
        count -= now;
    }
}

/* ---- proof of work ---- */

static uint64_t VEC_NAME(grind)(const uint8_t key[32], uint32_t bits, uint64_t first, uint64_t count) {
    const uint32_t mask = bits >= 32 ? 0xffffffffu : ((uint32_t)1 << bits) - 1;
    v8 cv[8];
    uint32_t words[8];
    memcpy(words, key, 32);
    for (int i = 0; i < 8; i++) cv[i] = v8_set1(words[i]);
    for (uint64_t done = 0; done < count; done += 8) {
        uint32_t low[8], high[8];
        for (uint64_t i = 0; i < 8; i++) {
            low[i] = (uint32_t)(first + done + i);
            high[i] = (uint32_t)((first + done + i) >> 32);
        }
        v8 v[16], m[16];
        m[0] = v8_loadu(low);
        m[1] = v8_loadu(high);
        for (int i = 2; i < 16; i++) m[i] = v8_set1(0);
        initial_state8(v, cv, v8_set1(0), 0, 8, APR_B3_KEYED | APR_B3_CHUNK_START | APR_B3_CHUNK_END | APR_B3_ROOT);
        rounds8(v, m);
        v8_storeu(words, v8_xor(v[0], v[8]));
        for (uint64_t i = 0; i < 8 && done + i < count; i++)
            if ((words[i] & mask) == 0) return first + done + i;
    }
    return first + count;
}

const apr_hash_kernels VEC_NAME(apr_hash_kernels) = {
    VEC_NAME(hash_many),
    VEC_NAME(hash_octets),
    VEC_NAME(hash_rows),
    VEC_NAME(grind),
};

#endif
