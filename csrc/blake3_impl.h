/* Eight BLAKE3 messages of one length in eight lanes. Compiled once for each instruction set by a file that first
 * includes a vec_*.h and says how the lanes are computed:
 *   words                     as many lanes as one register holds; 8 / WORDS_LANES of them make a v8
 *   HASH_SINGLES              so many messages of one block are hashed faster one by one than in the lanes
 *   words_get(p, g), words_put(p, g, w)   group g of the lanes of *p
 *   words_set1, words_add, words_xor, words_rotr16, words_rotr12, words_rotr8, words_rotr7
 *   words_add_at(a, p, g)     a + words_get(p, g), without holding the latter in a register
 *   WORDS_SPILL(w)            w goes to memory here, where the compiler cannot choose well
 *   quarters_load, quarters_store(p, q)   16 bytes at each of two places, as the lower and the upper half of a v8
 *   quarters_transpose(r[4])  the 4x4 words of the lower halves, and those of the upper halves
 */
#ifndef APROVER_BLAKE3_IMPL_H
#define APROVER_BLAKE3_IMPL_H

#include "blake3_internal.h"

/* Half of four quarter-rounds at once, step by step, so that four independent chains fill the pipes. The state alone
 * would take all sixteen registers of AVX2: its third row, of which the least is asked, lives in memory. (Variables of
 * their own, v0 .. v15: an array would go to memory as a whole.) */
#define MIX1(i, x) v##i = words_add_at(v##i, &m[x], g)
#define MIX2(i, b) v##i = words_add(v##i, v##b)
#define MIX3(i, d, rotr) v##d = rotr(words_xor(v##d, v##i))
#define MIX4(b, c, d)                         \
    do {                                      \
        words sum_ = words_add(v##c, v##d);   \
        v##c = sum_;                          \
        WORDS_SPILL(v##c);                    \
        v##b = words_xor(v##b, sum_);         \
    } while (0)
#define MIX5(b, rotr) v##b = rotr(v##b)
#define MIX(b0, b1, b2, b3, c0, c1, c2, c3, d0, d1, d2, d3, x0, x1, x2, x3, rotr_d, rotr_b) \
    MIX1(0, x0); MIX1(1, x1); MIX1(2, x2); MIX1(3, x3);                                     \
    MIX2(0, b0); MIX2(1, b1); MIX2(2, b2); MIX2(3, b3);                                     \
    MIX3(0, d0, rotr_d); MIX3(1, d1, rotr_d); MIX3(2, d2, rotr_d); MIX3(3, d3, rotr_d);     \
    MIX4(b0, c0, d0); MIX4(b1, c1, d1); MIX4(b2, c2, d2); MIX4(b3, c3, d3);                 \
    MIX5(b0, rotr_b); MIX5(b1, rotr_b); MIX5(b2, rotr_b); MIX5(b3, rotr_b)
#define COLUMNS 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
#define DIAGONALS 5, 6, 7, 4, 10, 11, 8, 9, 15, 12, 13, 14
#define MIX_(...) MIX(__VA_ARGS__)
#define ROUND8(s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10, s11, s12, s13, s14, s15) \
    do {                                                                            \
        MIX_(COLUMNS, s0, s2, s4, s6, words_rotr16, words_rotr12);                  \
        MIX_(COLUMNS, s1, s3, s5, s7, words_rotr8, words_rotr7);                    \
        MIX_(DIAGONALS, s8, s10, s12, s14, words_rotr16, words_rotr12);             \
        MIX_(DIAGONALS, s9, s11, s13, s15, words_rotr8, words_rotr7);               \
    } while (0)

/* The chaining values that group g of the lanes gets. */
APR_INLINE void compress_group(words out[8], int g, const v8 cv[8], const v8 m[16], const v8 *counter_low,
                               uint32_t counter_high, uint32_t length, uint32_t flags) {
    words v0 = words_get(&cv[0], g), v1 = words_get(&cv[1], g), v2 = words_get(&cv[2], g), v3 = words_get(&cv[3], g),
          v4 = words_get(&cv[4], g), v5 = words_get(&cv[5], g), v6 = words_get(&cv[6], g), v7 = words_get(&cv[7], g),
          v8 = words_set1(APR_B3_IV0), v9 = words_set1(APR_B3_IV1), v10 = words_set1(APR_B3_IV2),
          v11 = words_set1(APR_B3_IV3), v12 = words_get(counter_low, g), v13 = words_set1(counter_high),
          v14 = words_set1(length), v15 = words_set1(flags);
    APR_B3_SCHEDULE(ROUND8);
    out[0] = words_xor(v0, v8);
    out[1] = words_xor(v1, v9);
    out[2] = words_xor(v2, v10);
    out[3] = words_xor(v3, v11);
    out[4] = words_xor(v4, v12);
    out[5] = words_xor(v5, v13);
    out[6] = words_xor(v6, v14);
    out[7] = words_xor(v7, v15);
}

/* out may be the same as cv. */
static __attribute__((noinline)) void compress8(const v8 cv[8], const v8 m[16], v8 counter_low, uint32_t counter_high,
                                                uint32_t length, uint32_t flags, v8 out[8]) {
    for (int g = 0; g < 8 / WORDS_LANES; g++) {
        words group[8];
        compress_group(group, g, cv, m, &counter_low, counter_high, length, flags);
        for (int i = 0; i < 8; i++) words_put(&out[i], g, group[i]);
    }
}

/* The chaining values of the parents of left and right; out may be one of them. */
static void merge8(const v8 key[8], const v8 left[8], const v8 right[8], uint32_t flags, v8 out[8]) {
    v8 m[16];
    for (int i = 0; i < 8; i++) {
        m[i] = left[i];
        m[i + 8] = right[i];
    }
    compress8(key, m, v8_set1(0), 0, APR_B3_BLOCK, flags | APR_B3_PARENT | APR_B3_KEYED, out);
}

/* Fills m with the words from byte `offset` on of the eight messages of a group; words beyond `length` bytes are zero. */
typedef void load_block8(const void *source, size_t group, size_t offset, uint32_t length, v8 m[16]);

/* The messages of several groups of eight advance block by block together, where they lie in the same cache lines. */
APR_INLINE void chunk8(const v8 key[8], load_block8 *load, const void *source, size_t groups, size_t offset, size_t length,
                       v8 counter_low, uint32_t counter_high, uint32_t root, v8 (*cv)[8]) {
    uint32_t flags = APR_B3_KEYED | APR_B3_CHUNK_START;
    for (int first = 1;; first = 0) {
        uint32_t take = length > APR_B3_BLOCK ? APR_B3_BLOCK : (uint32_t)length;
        length -= take;
        if (length == 0) flags |= APR_B3_CHUNK_END | root;
        for (size_t g = 0; g < groups; g++) {
            v8 m[16];
            load(source, g, offset, take, m);
            compress8(first ? key : cv[g], m, counter_low, counter_high, take, flags, cv[g]);
        }
        if (length == 0) break;
        offset += take;
        flags = APR_B3_KEYED;
    }
}

static void broadcast_key(const uint8_t bytes[32], v8 key[8]) {
    uint32_t key_words[8];
    memcpy(key_words, bytes, sizeof key_words);
    for (int i = 0; i < 8; i++) key[i] = v8_set1(key_words[i]);
}

/* Digest i stands in lane i of cv; the first `count` are written. */
APR_INLINE void store_digests(v8 cv[8], size_t count, uint8_t *out) {
    uint8_t all[8 * APR_DIGEST_BYTES], *to = count == 8 ? out : all;
    quarters_transpose(cv);
    quarters_transpose(cv + 4);
    for (int i = 0; i < 4; i++) {
        uint8_t *p = to + APR_DIGEST_BYTES * i, *q = p + 4 * APR_DIGEST_BYTES;
        quarters_store(p, q, cv[i]);
        quarters_store(p + 16, q + 16, cv[i + 4]);
    }
    if (count < 8) memcpy(out, all, APR_DIGEST_BYTES * count);
}

#define MAX_GROUPS 4

/* Digests of `groups` times eight messages of `length` bytes; the first `count` are written. */
APR_INLINE void hash8(const v8 key[8], load_block8 *load, const void *source, size_t groups, size_t length, size_t count,
                      uint8_t *out) {
    v8 cv[MAX_GROUPS][8];
    if (length <= APR_BLAKE3_CHUNK) {
        chunk8(key, load, source, groups, 0, length, v8_set1(0), 0, APR_B3_ROOT, cv);
    } else {
        v8 stack[APR_B3_MAX_DEPTH][MAX_GROUPS][8];
        size_t depth = 0, chunk = 0, offset = 0;
        for (; length - offset > APR_BLAKE3_CHUNK; offset += APR_BLAKE3_CHUNK) {
            chunk8(key, load, source, groups, offset, APR_BLAKE3_CHUNK, v8_set1((uint32_t)chunk),
                   (uint32_t)((uint64_t)chunk >> 32), 0, stack[depth++]);
            chunk++;
            for (size_t n = chunk; (n & 1) == 0; n >>= 1, depth--)
                for (size_t g = 0; g < groups; g++) merge8(key, stack[depth - 2][g], stack[depth - 1][g], 0, stack[depth - 2][g]);
        }
        chunk8(key, load, source, groups, offset, length - offset, v8_set1((uint32_t)chunk),
               (uint32_t)((uint64_t)chunk >> 32), 0, cv);
        for (; depth > 0; depth--)
            for (size_t g = 0; g < groups; g++)
                merge8(key, stack[depth - 1][g], cv[g], depth == 1 ? APR_B3_ROOT : 0, cv[g]);
    }
    for (size_t g = 0; g < groups; g++, out += 8 * APR_DIGEST_BYTES)
        store_digests(cv[g], count - 8 * g < 8 ? count - 8 * g : 8, out);
}

/* ---- messages as bytes ---- */

typedef struct {
    const uint8_t *first;
    size_t step;
    size_t last; /* lanes after this one repeat it */
} byte_source;

APR_INLINE void load_full_block8(const uint8_t *const lane[8], size_t offset, v8 m[16]) {
    for (int part = 0; part < 4; part++, m += 4, offset += 16) {
        for (int i = 0; i < 4; i++) m[i] = quarters_load(lane[i] + offset, lane[i + 4] + offset);
        quarters_transpose(m);
    }
}

APR_INLINE void load_bytes8(const void *source, size_t group, size_t offset, uint32_t length, v8 m[16]) {
    const byte_source *s = source;
    (void)group;
    const uint8_t *lane[8];
    for (size_t i = 0; i < 8; i++) lane[i] = s->first + s->step * (i < s->last ? i : s->last);
    if (length == APR_B3_BLOCK) {
        load_full_block8(lane, offset, m);
        return;
    }
    uint8_t padded[8][APR_B3_BLOCK] = {{0}};
    for (int i = 0; i < 8; i++) {
        if (length > 0) memcpy(padded[i], lane[i] + offset, length);
        lane[i] = padded[i];
    }
    load_full_block8(lane, 0, m);
}

APR_INLINE void hash_many8(const v8 key[8], const uint8_t *inputs, size_t step, size_t length, size_t count, uint8_t *out) {
    while (count > HASH_SINGLES) {
        size_t now = count < 8 ? count : 8;
        byte_source source = {inputs, step, now - 1};
        hash8(key, load_bytes8, &source, 1, length, now, out);
        inputs += step * now;
        out += APR_DIGEST_BYTES * now;
        count -= now;
    }
}

static void VEC_NAME(hash_many)(const uint8_t key[32], const uint8_t *inputs, size_t step, size_t length, size_t count,
                                uint8_t *out) {
    v8 key8[8];
    broadcast_key(key, key8);
    /* The nodes of a tree, with what is then constant folded in; a full eight of them without the repeated last lane. */
    if (length == APR_B3_BLOCK && step == APR_B3_BLOCK) {
        for (; count >= 8; count -= 8) {
            byte_source source = {inputs, APR_B3_BLOCK, 7};
            hash8(key8, load_bytes8, &source, 1, APR_B3_BLOCK, 8, out);
            inputs += 8 * APR_B3_BLOCK;
            out += 8 * APR_DIGEST_BYTES;
        }
        hash_many8(key8, inputs, APR_B3_BLOCK, APR_B3_BLOCK, count, out);
    } else {
        hash_many8(key8, inputs, step, length, count, out);
    }
    size_t rest = count % 8;
    if (rest > HASH_SINGLES) return;
    for (size_t i = count - rest; i < count; i++)
        apr_blake3_keyed(key, inputs + step * i, length, out + APR_DIGEST_BYTES * i);
}

void VEC_NAME(apr_blake3_chunks8)(const uint32_t key_words[8], const uint8_t *data, uint64_t first_chunk, uint32_t cvs[8][8]) {
    v8 key[8], cv[8];
    byte_source source = {data, APR_BLAKE3_CHUNK, 7};
    uint32_t low[8];
    for (int i = 0; i < 8; i++) {
        key[i] = v8_set1(key_words[i]);
        low[i] = (uint32_t)first_chunk + (uint32_t)i;
    }
    /* first_chunk is a multiple of eight, so that no carry into the high word falls among the lanes. */
    chunk8(key, load_bytes8, &source, 1, 0, APR_BLAKE3_CHUNK, v8_loadu(low), (uint32_t)(first_chunk >> 32), 0, &cv);
    store_digests(cv, 8, (uint8_t *)cvs);
}

/* ---- leaves of a matrix ---- */

/* Eight octets from leaf `first` on. In all layouts but the last they start at `start`, and lie in one coset or are all
 * the octets of 2, 4 or 8 cosets, which follow each other. */
enum octet_layout { OCTETS_IN_1, OCTETS_IN_2, OCTETS_IN_4, OCTETS_IN_8, OCTETS_ANYWHERE };

typedef struct {
    const uint32_t *values;
    size_t stride;
    size_t spacing; /* from one value of an octet to the next */
    size_t start;
    size_t position[8]; /* OCTETS_ANYWHERE: of the first value of each lane's octet */
    enum octet_layout layout;
} octet_source;

APR_INLINE size_t octet_position(size_t leaf, uint32_t log_spacing) {
    return (leaf >> log_spacing << (log_spacing + 3)) + (leaf & (((size_t)1 << log_spacing) - 1));
}

static octet_source octets_from(const apr_matrix *matrix, size_t first, size_t count) {
    const uint32_t log_spacing = matrix->log_coset - 3;
    octet_source s = {.values = matrix->values, .stride = matrix->stride, .spacing = (size_t)1 << log_spacing};
    size_t in_coset = first & (s.spacing - 1);
    s.start = octet_position(first, log_spacing);
    if (count == 8 && log_spacing >= 3 && in_coset + 8 <= s.spacing) {
        s.layout = OCTETS_IN_1;
    } else if (count == 8 && log_spacing < 3 && in_coset == 0) {
        s.layout = log_spacing == 2 ? OCTETS_IN_2 : log_spacing == 1 ? OCTETS_IN_4 : OCTETS_IN_8;
    } else {
        s.layout = OCTETS_ANYWHERE;
        for (size_t i = 0; i < 8; i++) s.position[i] = octet_position(first + (i < count ? i : count - 1), log_spacing);
    }
    return s;
}

APR_INLINE void load_octet_column(const octet_source *s, const uint32_t *column, v8 out[8]) {
    const uint32_t *p = column + s->start;
    switch (s->layout) {
    case OCTETS_IN_1:
        for (size_t m = 0; m < 8; m++) out[m] = v8_loadu(p + m * s->spacing);
        break;
    case OCTETS_IN_2:
        for (size_t m = 0; m < 8; m++) out[m] = v8_load_halves(p + 4 * m, p + 32 + 4 * m);
        break;
    case OCTETS_IN_4:
        for (size_t m = 0; m < 8; m++) out[m] = v8_load_pairs(p + 2 * m, p + 16 + 2 * m, p + 32 + 2 * m, p + 48 + 2 * m);
        break;
    case OCTETS_IN_8:
        for (size_t i = 0; i < 8; i++) out[i] = v8_loadu(p + 8 * i);
        v8_transpose(out);
        break;
    default:
        for (size_t m = 0; m < 8; m++) {
            uint32_t lanes[8];
            for (size_t i = 0; i < 8; i++) lanes[i] = column[s->position[i] + m * s->spacing];
            out[m] = v8_loadu(lanes);
        }
    }
    for (size_t m = 0; m < 8; m++) out[m] = v8_canonical(out[m]);
}

static inline void load_octets8(const void *source, size_t group, size_t offset, uint32_t length, v8 m[16]) {
    const octet_source *s = source;
    (void)group;
    const uint32_t *column = s->values + offset / 32 * s->stride;
    load_octet_column(s, column, m);
    if (length > 32) load_octet_column(s, column + s->stride, m + 8);
    else for (int i = 8; i < 16; i++) m[i] = v8_set1(0);
}

static __attribute__((noinline)) void hash_octets(const apr_matrix *matrix, size_t first, size_t count, uint8_t *out) {
    v8 key[8];
    broadcast_key(apr_key_leaf, key);
    while (count > 0) {
        size_t now = count < 8 ? count : 8;
        octet_source source = octets_from(matrix, first, now);
        hash8(key, load_octets8, &source, 1, (size_t)32 * matrix->columns, now, out);
        first += now;
        out += APR_DIGEST_BYTES * now;
        count -= now;
    }
}

/* Fold cosets of 2 or 4 positions, which only proofs of several tables have: word by word. */
typedef struct {
    const apr_matrix *matrix;
    size_t spacing;
    size_t position[8]; /* of the first value of each lane's coset */
    int adjacent;       /* whether these follow each other */
} coset_source;

static inline void load_cosets8(const void *source, size_t group, size_t offset, uint32_t length, v8 m[16]) {
    const coset_source *s = source;
    const uint32_t log_arity = s->matrix->log_arity;
    (void)group;
    for (size_t i = 0; i < 16; i++) {
        const size_t word = offset / 4 + i;
        if (4 * i >= length) {
            m[i] = v8_set1(0);
            continue;
        }
        const uint32_t *at = s->matrix->values + (word >> log_arity) * s->matrix->stride + (word & ((1u << log_arity) - 1)) * s->spacing;
        uint32_t lanes[8];
        if (!s->adjacent)
            for (size_t lane = 0; lane < 8; lane++) lanes[lane] = at[s->position[lane]];
        m[i] = v8_canonical(v8_loadu(s->adjacent ? at + s->position[0] : lanes));
    }
}

static __attribute__((noinline)) void hash_cosets(const apr_matrix *matrix, size_t first, size_t count, uint8_t *out) {
    v8 key[8];
    const uint32_t log_spacing = matrix->log_coset - matrix->log_arity;
    coset_source source = {.matrix = matrix, .spacing = (size_t)1 << log_spacing};
    broadcast_key(apr_key_leaf, key);
    for (size_t now; count > 0; count -= now, first += now, out += APR_DIGEST_BYTES * now) {
        now = count < 8 ? count : 8;
        for (size_t i = 0; i < 8; i++) {
            const size_t leaf = first + (i < now ? i : now - 1);
            source.position[i] = (leaf >> log_spacing << matrix->log_coset) + (leaf & (source.spacing - 1));
        }
        source.adjacent = now == 8 && (first & (source.spacing - 1)) + 8 <= source.spacing;
        hash8(key, load_cosets8, &source, 1, (size_t)4 * matrix->columns << matrix->log_arity, now, out);
    }
}

typedef struct {
    const uint32_t *values; /* at the first of the rows */
    const uint32_t *salts;  /* likewise, or NULL */
    size_t stride;
    size_t columns;
    size_t rows; /* of the only group; all groups are full where there are several */
} row_source;

/* The next block's columns, each in cache lines of its own, are asked for while this block is compressed: the line of sixteen
 * rows from `row` on; after the last column comes the first one of the next rows. (As integers, since these addresses may
 * lie past the matrix.) */
APR_INLINE void prefetch_columns(const row_source *s, size_t row, size_t column) {
    for (size_t i = 0; i < 16; i++, column++) {
        size_t wrapped = column < s->columns ? column * s->stride : (column - s->columns) * s->stride + 8 * MAX_GROUPS;
        __builtin_prefetch((const void *)((uintptr_t)s->values + sizeof(uint32_t) * (wrapped + row)));
    }
}

APR_INLINE v8 load_rows(const uint32_t *p, size_t rows) {
    if (rows == 8) return v8_loadu(p);
    uint32_t lanes[8] = {0};
    for (size_t r = 0; r < rows; r++) lanes[r] = p[r];
    return v8_loadu(lanes);
}

static inline void load_rows8(const void *source, size_t group, size_t offset, uint32_t length, v8 m[16]) {
    const row_source *s = source;
    const uint32_t *p = s->values + offset / 4 * s->stride + 8 * group;
    if (group % 2 == 0) prefetch_columns(s, 8 * group, offset / 4 + 16);
    for (uint32_t i = 0; i < 16; i++, p += s->stride) m[i] = i >= length / 4 ? v8_set1(0) : v8_canonical(load_rows(p, s->rows));
}

static inline void load_salted_rows8(const void *source, size_t group, size_t offset, uint32_t length, v8 m[16]) {
    const row_source *s = source;
    for (uint32_t i = 0; i < 16; i++) {
        const size_t word = offset / 4 + i;
        if (i >= length / 4) m[i] = v8_set1(0);
        else if (word < s->columns) m[i] = v8_canonical(load_rows(s->values + word * s->stride + 8 * group, s->rows));
        else m[i] = load_rows(s->salts + (word - s->columns) * s->stride + 8 * group, s->rows);
    }
}

static __attribute__((noinline)) void hash_rows(const apr_matrix *matrix, size_t first, size_t count, uint8_t *out) {
    v8 key[8];
    broadcast_key(apr_key_leaf, key);
    row_source source = {matrix->values + first, NULL, matrix->stride, matrix->columns, 8};
    const size_t length = apr_matrix_leaf_bytes(matrix), most = 8 * MAX_GROUPS;
    if (matrix->salts != NULL) {
        for (size_t done = 0; done < count; done += 8, out += 8 * APR_DIGEST_BYTES) {
            source = (row_source){matrix->values + first + done, matrix->salts + first + done, matrix->stride, matrix->columns,
                                  count - done < 8 ? count - done : 8};
            hash8(key, load_salted_rows8, &source, 1, length, source.rows, out);
        }
        return;
    }
    for (; count >= most; count -= most, source.values += most, out += most * APR_DIGEST_BYTES)
        hash8(key, load_rows8, &source, MAX_GROUPS, length, most, out);
    for (; count > 0; count -= source.rows, source.values += source.rows, out += 8 * APR_DIGEST_BYTES) {
        source.rows = count < 8 ? count : 8;
        hash8(key, load_rows8, &source, 1, length, source.rows, out);
    }
}

static void VEC_NAME(hash_leaves)(const apr_matrix *matrix, size_t first, size_t count, uint8_t *out) {
    if (matrix->log_arity == 0) hash_rows(matrix, first, count, out);
    else if (matrix->log_arity == 3) hash_octets(matrix, first, count, out);
    else hash_cosets(matrix, first, count, out);
}

/* ---- proof of work ---- */

static uint64_t VEC_NAME(grind)(const uint8_t key[32], uint32_t bits, uint64_t first, uint64_t count) {
    static const uint32_t lane_numbers[8] = {0, 1, 2, 3, 4, 5, 6, 7};
    const uint32_t mask = bits >= 32 ? 0xffffffffu : ((uint32_t)1 << bits) - 1;
    v8 cv[8], m[16], digest, zero = v8_set1(0);
    broadcast_key(key, cv);
    for (int i = 2; i < 16; i++) m[i] = zero;
    for (uint64_t done = 0; done < count; done += 8) {
        const uint64_t nonce = first + done;
        m[0] = v8_add32(v8_set1((uint32_t)nonce), v8_loadu(lane_numbers));
        m[1] = v8_set1((uint32_t)(nonce >> 32));
        if ((uint32_t)nonce > UINT32_MAX - 7) { /* a carry among the lanes */
            uint32_t high[8];
            for (uint64_t i = 0; i < 8; i++) high[i] = (uint32_t)((nonce + i) >> 32);
            m[1] = v8_loadu(high);
        }
        for (int g = 0; g < 8 / WORDS_LANES; g++) {
            words out[8];
            compress_group(out, g, cv, m, &zero, 0, 8, APR_B3_KEYED | APR_B3_CHUNK_START | APR_B3_CHUNK_END | APR_B3_ROOT);
            words_put(&digest, g, out[0]);
        }
        uint32_t lanes[8];
        v8_storeu(lanes, digest);
        for (uint64_t i = 0; i < 8 && done + i < count; i++)
            if ((lanes[i] & mask) == 0) return nonce + i;
    }
    return first + count;
}

const apr_hash_kernels VEC_NAME(apr_hash_kernels) = {
    VEC_NAME(hash_many),
    VEC_NAME(hash_leaves),
    VEC_NAME(grind),
};

#endif
