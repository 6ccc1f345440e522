/* The transcript against an independent computation, and what it must bind. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../csrc/transcript.h"
#include "transcript_vectors.h"

#define CHECK(condition)                                                        \
    do {                                                                        \
        if (!(condition)) {                                                     \
            printf("FAILED %s:%d %s\n", __FILE__, __LINE__, #condition);        \
            exit(1);                                                            \
        }                                                                       \
    } while (0)

static uint8_t pattern[5000];

static void check_elements(apr_transcript *t, const uint32_t *expected, size_t count) {
    static fx out[512];
    apr_transcript_elements(t, out, count);
    for (size_t i = 0; i < count; i++)
        for (int j = 0; j < FX_DEGREE; j++) CHECK(fp_to_u32(out[i].c[j]) == expected[5 * i + (size_t)j]);
}

/* A run of absorptions, elements (more than one block of output, words above p skipped) and indices, as generate_vectors.py
 * computes it from the specification. */
static void test_vectors(void) {
    apr_transcript t;
    uint32_t indices[256];
    const uint8_t nonce[8] = {0x15, 0xcd, 0x5b, 0x07};
    apr_transcript_init(&t);
    apr_transcript_absorb(&t, APR_TAG_PROTOCOL, "aprover stark v2", 16);
    apr_transcript_absorb(&t, APR_TAG_STATEMENT, pattern, 5000);
    check_elements(&t, vector_first, sizeof vector_first / 20);
    check_elements(&t, vector_many, sizeof vector_many / 20);
    apr_transcript_absorb(&t, APR_TAG_TRACE_CAP, pattern, 64);
    apr_transcript_absorb(&t, APR_TAG_OPENINGS, NULL, 0);
    check_elements(&t, vector_few, sizeof vector_few / 20);
    apr_transcript_absorb(&t, APR_TAG_NONCE, nonce, 8);
    apr_transcript_indices(&t, indices, 200, 27);
    CHECK(memcmp(indices, vector_indices, sizeof vector_indices) == 0);
    apr_transcript_indices(&t, indices, 20, 5);
    CHECK(memcmp(indices, vector_small, sizeof vector_small) == 0);
}

typedef struct {
    enum apr_tag tag;
    const char *data;
    size_t length;
} message;

static uint32_t first_word(const message *messages, size_t count) {
    apr_transcript t;
    apr_transcript_init(&t);
    for (size_t i = 0; i < count; i++) apr_transcript_absorb(&t, messages[i].tag, messages[i].data, messages[i].length);
    apr_transcript_squeeze(&t);
    return apr_transcript_word(&t);
}

/* Transcripts that differ in a byte, a tag, a length, a cut, an order or an empty message draw different words. */
static void test_what_is_bound(void) {
    static const message runs[][2] = {
        {{APR_TAG_FINAL, "5757", 2}, {APR_TAG_NONCE, "x", 1}},   {{APR_TAG_FINAL, "57\0\0", 4}, {APR_TAG_NONCE, "x", 1}},
        {{APR_TAG_FINAL, "57\0", 3}, {APR_TAG_NONCE, "x", 1}},   {{APR_TAG_FINAL, "58", 2}, {APR_TAG_NONCE, "x", 1}},
        {{APR_TAG_FINAL, "57", 2}, {APR_TAG_NONCE, "y", 1}},     {{APR_TAG_FRI_CAP, "57", 2}, {APR_TAG_NONCE, "x", 1}},
        {{APR_TAG_FINAL, "57x", 3}, {APR_TAG_NONCE, "", 0}},     {{APR_TAG_FINAL, "5", 1}, {APR_TAG_NONCE, "7x", 2}},
        {{APR_TAG_FINAL, "", 0}, {APR_TAG_NONCE, "57x", 3}},     {{APR_TAG_NONCE, "x", 1}, {APR_TAG_FINAL, "57", 2}},
        {{APR_TAG_FINAL, "57x", 3}, {APR_TAG_FINAL, "", 0}},
    };
    enum { RUNS = sizeof runs / sizeof runs[0] };
    uint32_t words[RUNS + 1];
    for (size_t i = 0; i < RUNS; i++) words[i] = first_word(runs[i], 2);
    words[RUNS] = first_word(runs[0], 1);
    for (size_t i = 0; i <= RUNS; i++)
        for (size_t j = 0; j < i; j++) CHECK(words[i] != words[j]);
}

/* Each squeeze depends on all that came before it: two runs that differ early differ in every later squeeze, also
 * when nothing is absorbed in between; and equal runs draw the same, however many words they took before. */
static void test_state_carries_on(void) {
    apr_transcript a, b, c;
    apr_transcript_init(&a);
    apr_transcript_init(&b);
    apr_transcript_init(&c);
    apr_transcript_absorb(&a, APR_TAG_HEIGHT, "a", 1);
    apr_transcript_absorb(&b, APR_TAG_HEIGHT, "b", 1);
    apr_transcript_absorb(&c, APR_TAG_HEIGHT, "a", 1);
    uint32_t last = 0;
    for (int i = 0; i < 20; i++) {
        apr_transcript_squeeze(&a);
        apr_transcript_squeeze(&b);
        apr_transcript_squeeze(&c);
        uint32_t wa = apr_transcript_word(&a), wc = apr_transcript_word(&c);
        CHECK(wa == wc);
        CHECK(wa != apr_transcript_word(&b));
        CHECK(wa != last);
        last = wa;
        for (int w = 0; w < 3 * i; w++) apr_transcript_word(&c); /* how many words are taken is no part of the state */
        if (i % 2) {
            apr_transcript_absorb(&a, APR_TAG_FRI_CAP, pattern, 64);
            apr_transcript_absorb(&b, APR_TAG_FRI_CAP, pattern, 64);
            apr_transcript_absorb(&c, APR_TAG_FRI_CAP, pattern, 64);
        }
    }
}

/* Indices are the first distinct values of the word stream, sorted; with count = domain they are all of it. Domains on
 * both sides of the change of method at 2^12. */
static void test_indices(void) {
    for (uint32_t log_domain = 0; log_domain <= 14; log_domain++)
        for (uint32_t count = 1; count <= (uint32_t)1 << log_domain; count = count < 40 ? count + 1 : count * 2 - count % 3) {
            apr_transcript t, stream;
            static uint32_t indices[1 << 14];
            uint32_t drawn = 0;
            static uint8_t seen[1 << 14];
            memset(seen, 0, sizeof seen);
            apr_transcript_init(&t);
            apr_transcript_absorb(&t, APR_TAG_NONCE, &count, 4);
            stream = t;
            apr_transcript_squeeze(&stream);
            while (drawn < count) {
                uint32_t v = apr_transcript_word(&stream) & (((uint32_t)1 << log_domain) - 1);
                drawn += !seen[v];
                seen[v] = 1;
            }
            apr_transcript_indices(&t, indices, count, log_domain);
            uint32_t at = 0;
            for (uint32_t v = 0; v < (uint32_t)1 << log_domain; v++)
                if (seen[v]) CHECK(at < count && indices[at++] == v);
            CHECK(at == count);
        }
}

int main(void) {
    for (size_t i = 0; i < sizeof pattern; i++) pattern[i] = (uint8_t)(i % 251);
    test_vectors();
    test_what_is_bound();
    test_state_carries_on();
    test_indices();
    printf("ok transcript\n");
    return 0;
}
