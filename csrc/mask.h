/* The randomness of a zero-knowledge proof: docs/protocol.md section 13. */
#ifndef APROVER_MASK_H
#define APROVER_MASK_H

#include "blake3.h"
#include "field.h"

#define APR_ENTROPY_BYTES 32

/* A keyed hash of counters. Its streams are independent, and each may be read once; so the words do not depend on the number of
 * threads that draw them. */
typedef struct {
    const apr_hash_kernels *hash;
    uint8_t key[APR_DIGEST_BYTES];
} apr_random;

/* The key depends on the statement too, so that entropy used twice by mistake does not give two statements the same masks. */
void apr_random_init(apr_random *random, const apr_hash_kernels *hash, const uint8_t entropy[APR_ENTROPY_BYTES],
                     const void *statement, size_t length);
/* n uniform words. */
void apr_random_words(const apr_random *random, uint64_t stream, uint32_t *out, size_t n);

/* Where a stream of field elements has been read to. */
typedef struct {
    uint64_t stream, block;
} apr_random_cursor;

/* The next n uniform elements of the base field, by rejection. A cursor begins with block 0. */
void apr_random_elements(const apr_random *random, apr_random_cursor *cursor, uint32_t *out, size_t n);

#endif
