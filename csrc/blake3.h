/* BLAKE3, keyed mode: one message at a time, and eight messages of one length at once.
 * From the BLAKE3 paper (O'Connor, Aumasson, Neves, Wilcox-O'Hearn, 2020). */
#ifndef APROVER_BLAKE3_H
#define APROVER_BLAKE3_H

#include <stddef.h>
#include <stdint.h>

#include "dispatch.h"

#define APR_DIGEST_BYTES 32
#define APR_BLAKE3_CHUNK 1024

/* The keys of docs/protocol.md section 2. */
extern const uint8_t apr_key_leaf[32];
extern const uint8_t apr_key_node[32];
extern const uint8_t apr_key_air[32];
extern const uint8_t apr_key_transcript[32];
extern const uint8_t apr_key_trace[32];

/* Incremental keyed hashing: init, update any number of times, then output or finish; these do not alter the state. */
typedef struct {
    uint32_t key[8];
    uint32_t cv[8];           /* of the chunk under way */
    uint64_t chunks;          /* finished chunks */
    uint8_t block[64];        /* the last block, kept back because it may turn out to be the root; zero after its end */
    uint32_t block_length;
    uint32_t blocks_in_chunk; /* compressed so far in this chunk */
    uint32_t stack_length;
    uint32_t stack[54][8];    /* chaining values of finished subtrees; 2^54 chunks are more than any size_t counts */
} apr_blake3;

/* The last compression of a message, from which any part of its output comes. */
typedef struct {
    uint32_t cv[8];
    uint8_t block[64];
    uint32_t block_length;
    uint32_t flags;
} apr_blake3_root;

void apr_blake3_init(apr_blake3 *state, const uint8_t key[32]);
void apr_blake3_update(apr_blake3 *state, const void *data, size_t length);
void apr_blake3_finish(const apr_blake3 *state, apr_blake3_root *root);
/* 64 bytes of the extended output from byte 64 * block on. */
void apr_blake3_root_output(const apr_blake3_root *root, uint64_t block, uint8_t out[64]);
/* Both in one. */
void apr_blake3_output(const apr_blake3 *state, uint64_t block, uint8_t out[64]);
/* One shot, 32 bytes. */
void apr_blake3_keyed(const uint8_t key[32], const void *data, size_t length, uint8_t out[APR_DIGEST_BYTES]);

#define APR_SALT_BYTES 16
#define APR_SALT_WORDS 4

/* A matrix in the shape of docs/protocol.md section 6: column c, position j * k + i at values[c * stride + j * k + i],
 * Montgomery form; there are 2^log_blowup cosets of k = 2^log_coset values. A leaf is a row, or a fold coset of 2^log_arity
 * positions. */
typedef struct {
    const uint32_t *values;
    const uint32_t *salts; /* four words more for each row leaf, columns of their own as long, hashed as they stand; or NULL */
    size_t stride;
    uint32_t columns;
    uint32_t log_coset;
    uint32_t log_blowup;
    uint32_t log_arity; /* 0: row leaves */
} apr_matrix;

static inline size_t apr_matrix_leaf_bytes(const apr_matrix *m) {
    return ((size_t)4 * m->columns << m->log_arity) + (m->salts != NULL ? APR_SALT_BYTES : 0);
}

/* Kernels that hash eight at a time where that pays; count is any number, digests are written one after another. */
typedef struct {
    /* inputs: count messages of `length` bytes, message i at inputs + i * step. `out` does not overlap the inputs. */
    void (*hash_many)(const uint8_t key[32], const uint8_t *inputs, size_t step, size_t length, size_t count, uint8_t *out);
    /* Leaves `first .. first + count - 1` of the matrix, as canonical little-endian words (K_LEAF). */
    void (*hash_leaves)(const apr_matrix *matrix, size_t first, size_t count, uint8_t *out);
    /* Smallest nonce >= first, < first + count, for which the first u64 of H(key, u64 nonce) has its low `bits` bits
     * zero; returns first + count if there is none. bits <= 32. */
    uint64_t (*grind)(const uint8_t key[32], uint32_t bits, uint64_t first, uint64_t count);
} apr_hash_kernels;

const apr_hash_kernels *apr_hash_kernels_for(enum apr_path path);

#endif
