/* See mask.h. */
#include "mask.h"

#include <string.h>

enum { MESSAGE_BYTES = 16, MESSAGES = 64, DIGEST_WORDS = APR_DIGEST_BYTES / 4, BUFFER_WORDS = MESSAGES * DIGEST_WORDS };

void apr_random_init(apr_random *random, const apr_hash_kernels *hash, const uint8_t entropy[APR_ENTROPY_BYTES],
                     const void *statement, size_t length) {
    random->hash = hash;
    apr_blake3_keyed(entropy, statement, length, random->key);
}

/* Words of `blocks` digests from block `first` on: digest i is the hash of the stream's number and i. */
static void fill(const apr_random *random, uint64_t stream, uint64_t first, size_t blocks, uint32_t *out) {
    uint64_t messages[2 * MESSAGES];
    for (size_t i = 0; i < blocks; i++) {
        messages[2 * i] = stream;
        messages[2 * i + 1] = first + i;
    }
    random->hash->hash_many(random->key, (const uint8_t *)messages, MESSAGE_BYTES, MESSAGE_BYTES, blocks, (uint8_t *)out);
}

void apr_random_words(const apr_random *random, uint64_t stream, uint32_t *out, size_t n) {
    uint32_t words[BUFFER_WORDS];
    for (size_t done = 0, now; done < n; done += now) {
        now = n - done < BUFFER_WORDS ? n - done : BUFFER_WORDS;
        fill(random, stream, done / DIGEST_WORDS, (now + DIGEST_WORDS - 1) / DIGEST_WORDS, words);
        memcpy(out + done, words, 4 * now);
    }
}

void apr_random_elements(const apr_random *random, apr_random_cursor *cursor, uint32_t *out, size_t n) {
    uint32_t words[BUFFER_WORDS];
    for (size_t done = 0; done < n;) {
        /* One word in sixteen is rejected; a short draw takes no more than it is likely to need. */
        const size_t wanted = (n - done + (n - done) / 8) / DIGEST_WORDS + 1, blocks = wanted < MESSAGES ? wanted : MESSAGES;
        fill(random, cursor->stream, cursor->block, blocks, words);
        cursor->block += blocks;
        for (size_t i = 0; i < blocks * DIGEST_WORDS && done < n; i++) {
            const uint32_t word = words[i] & 0x7fffffffu;
            if (word < FP_P) out[done++] = word;
        }
    }
}
