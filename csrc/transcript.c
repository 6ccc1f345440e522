#include "transcript.h"

#include <string.h>

void apr_transcript_init(apr_transcript *t) {
    memset(&t->source, 0, sizeof t->source);
    memset(t->block, 0, sizeof t->block);
    apr_blake3_init(&t->hash, apr_key_transcript);
    t->next_block = 0;
    t->used = sizeof t->block;
}

void apr_transcript_absorb(apr_transcript *t, enum apr_tag tag, const void *data, size_t length) {
    uint8_t header[9];
    header[0] = (uint8_t)tag;
    for (int i = 0; i < 8; i++) header[1 + i] = (uint8_t)((uint64_t)length >> (8 * i));
    apr_blake3_update(&t->hash, header, sizeof header);
    apr_blake3_update(&t->hash, data, length);
}

void apr_transcript_squeeze(apr_transcript *t) {
    apr_blake3_finish(&t->hash, &t->source);
    apr_blake3_root_output(&t->source, 0, t->block);
    apr_blake3_init(&t->hash, t->block);
    t->next_block = 1;
    t->used = 32;
}

uint32_t apr_transcript_word(apr_transcript *t) {
    if (t->used == sizeof t->block) {
        apr_blake3_root_output(&t->source, t->next_block++, t->block);
        t->used = 0;
    }
    uint32_t word;
    memcpy(&word, t->block + t->used, 4);
    t->used += 4;
    return word;
}

static fp coefficient(apr_transcript *t) {
    uint32_t v;
    do v = apr_transcript_word(t) & 0x7fffffffu;
    while (v >= FP_P);
    return fp_from_u32(v);
}

void apr_transcript_elements(apr_transcript *t, fx *out, size_t count) {
    apr_transcript_squeeze(t);
    for (size_t i = 0; i < count; i++)
        for (int j = 0; j < FX_DEGREE; j++) out[i].c[j] = coefficient(t);
}

#define BITMAP_LOG_DOMAIN 12

/* One bit a value: cheap to check and sorted by nature. */
static void indices_by_bitmap(apr_transcript *t, uint32_t *out, uint32_t count, uint32_t mask) {
    uint64_t taken[((size_t)1 << BITMAP_LOG_DOMAIN) / 64];
    size_t words = (size_t)mask / 64 + 1;
    memset(taken, 0, words * sizeof taken[0]);
    for (uint32_t have = 0; have < count;) {
        uint32_t v = apr_transcript_word(t) & mask;
        uint64_t bit = (uint64_t)1 << (v % 64);
        have += (taken[v / 64] & bit) == 0;
        taken[v / 64] |= bit;
    }
    for (size_t i = 0; i < words; i++)
        for (uint64_t left = taken[i]; left != 0; left &= left - 1) *out++ = (uint32_t)(64 * i) + (uint32_t)__builtin_ctzll(left);
}

/* The number of values in the ascending list that are less than v. */
static uint32_t rank(const uint32_t *list, uint32_t length, uint32_t v) {
    uint32_t low = 0;
    while (length > 0) {
        uint32_t half = length / 2;
        if (list[low + half] < v) {
            low += half + 1;
            length -= half + 1;
        } else {
            length = half;
        }
    }
    return low;
}

static void indices_by_insertion(apr_transcript *t, uint32_t *out, uint32_t count, uint32_t mask) {
    for (uint32_t have = 0; have < count;) {
        uint32_t v = apr_transcript_word(t) & mask;
        uint32_t at = rank(out, have, v);
        if (at < have && out[at] == v) continue;
        memmove(out + at + 1, out + at, (have - at) * sizeof *out);
        out[at] = v;
        have++;
    }
}

void apr_transcript_indices(apr_transcript *t, uint32_t *out, uint32_t count, uint32_t log_domain) {
    const uint32_t mask = (uint32_t)(((uint64_t)1 << log_domain) - 1);
    apr_transcript_squeeze(t);
    if (log_domain <= BITMAP_LOG_DOMAIN) indices_by_bitmap(t, out, count, mask);
    else indices_by_insertion(t, out, count, mask);
}
