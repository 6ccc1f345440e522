/* The Fiat-Shamir transcript, docs/protocol.md section 3. */
#ifndef APROVER_TRANSCRIPT_H
#define APROVER_TRANSCRIPT_H

#include "blake3.h"
#include "field.h"

enum apr_tag {
    APR_TAG_PROTOCOL = 1,
    APR_TAG_PARAMETERS,
    APR_TAG_AIR,
    APR_TAG_HEIGHT,
    APR_TAG_PUBLICS,
    APR_TAG_STATEMENT,
    APR_TAG_TRACE_CAP,
    APR_TAG_QUOTIENT_CAP,
    APR_TAG_OPENINGS,
    APR_TAG_FRI_CAP,
    APR_TAG_FINAL,
    APR_TAG_NONCE,
    APR_TAG_PREPROCESSED_CAP,
    APR_TAG_LOOKUP_CAP,
    APR_TAG_LOOKUP_SUM
};

typedef struct {
    apr_blake3 hash;        /* keyed with S; holds what was absorbed since the last squeeze */
    apr_blake3_root source; /* what the words of the last squeeze come from */
    uint8_t block[64];      /* the block of output that words come from */
    uint64_t next_block;
    uint32_t used;          /* bytes of `block` that are used up */
} apr_transcript;

void apr_transcript_init(apr_transcript *t);
void apr_transcript_absorb(apr_transcript *t, enum apr_tag tag, const void *data, size_t length);
void apr_transcript_squeeze(apr_transcript *t);
/* The next word of the last squeeze; there must have been one. */
uint32_t apr_transcript_word(apr_transcript *t);
/* One squeeze, then `count` elements (Montgomery form). */
void apr_transcript_elements(apr_transcript *t, fx *out, size_t count);
/* One squeeze, then `count` distinct indices below 2^log_domain, ascending. count <= 2^log_domain. */
void apr_transcript_indices(apr_transcript *t, uint32_t *out, uint32_t count, uint32_t log_domain);

#endif
