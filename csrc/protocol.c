/* The steps of the protocol that prover and verifier do alike, docs/protocol.md section 7. */
#include "protocol.h"

#include <string.h>

void apr_absorb_statement(apr_transcript *t, const aprover_air *air, const apr_plan *plan, const uint8_t *parameters,
                          const uint32_t *publics, const uint8_t *statement, size_t length, const uint8_t *caps) {
    static const char protocol[] = "aprover stark v2";
    uint8_t heights[4 * APR_MAX_TABLES];
    for (uint32_t i = 0; i < air->tables; i++) apr_put_u32(heights + 4 * i, air->table[i].log_height);
    apr_transcript_init(t);
    apr_transcript_absorb(t, APR_TAG_PROTOCOL, protocol, sizeof protocol - 1);
    apr_transcript_absorb(t, APR_TAG_PARAMETERS, parameters, APR_PARAMETER_BYTES);
    apr_transcript_absorb(t, APR_TAG_AIR, air->digest, sizeof air->digest);
    apr_transcript_absorb(t, APR_TAG_HEIGHT, heights, 4 * (size_t)air->tables);
    apr_transcript_absorb(t, APR_TAG_PUBLICS, publics, 4 * (size_t)air->publics);
    apr_transcript_absorb(t, APR_TAG_STATEMENT, statement, length);
    if (air->preprocessed_columns > 0)
        apr_transcript_absorb(t, APR_TAG_PREPROCESSED_CAP, caps, apr_caps_bytes(plan, APR_PHASE_PREPROCESSED));
}

void apr_grinding_key(const apr_transcript *t, uint8_t key[32]) {
    for (int i = 0; i < 8; i++) apr_put_u32(key + 4 * i, t->hash.key[i]);
}

fx apr_chunks_at(const apr_plan *plan, uint32_t table, const fx *chunks, fx z) {
    const apr_table_plan *place = &plan->table[table];
    const fx step = fx_pow(z, place->stride);
    fx sum = fx_zero();
    for (uint32_t j = place->chunks; j-- > 0;) sum = fx_add(fx_mul(sum, step), chunks[j]);
    return sum;
}

fx apr_draw_outside_base(apr_draw draw, void *source) {
    fx z;
    do z = draw(source);
    while (fx_is_base(z));
    return z;
}

static fx draw_element(void *transcript) {
    fx element;
    apr_transcript_elements(transcript, &element, 1);
    return element;
}

fx apr_out_of_domain_point(apr_transcript *transcript) { return apr_draw_outside_base(draw_element, transcript); }

void apr_batching(apr_transcript *transcript, const apr_plan *plan, fx *lambdas) {
    if (plan->independent) {
        apr_transcript_elements(transcript, lambdas, apr_batched(plan));
        return;
    }
    fx lambda;
    apr_transcript_elements(transcript, &lambda, 1);
    lambdas[0] = fx_one();
    for (uint32_t i = 1; i < apr_batched(plan); i++) lambdas[i] = fx_mul(lambdas[i - 1], lambda);
}

uint32_t apr_cosets_of(const apr_plan *plan, uint32_t t, const uint32_t *positions, uint32_t count, uint32_t *cosets) {
    /* Ascending positions do not give ascending cosets; insertion keeps the few there are in order. */
    uint32_t n = 0, place;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t coset = apr_coset_of(plan, t, positions[i], &place), low = 0, high = n;
        while (low < high) {
            uint32_t middle = (low + high) / 2;
            if (cosets[middle] < coset) low = middle + 1;
            else high = middle;
        }
        if (low < n && cosets[low] == coset) continue;
        memmove(cosets + low + 1, cosets + low, 4 * (size_t)(n - low));
        cosets[low] = coset;
        n++;
    }
    return n;
}

uint32_t apr_next_positions(const apr_plan *plan, uint32_t t, const uint32_t *positions, uint32_t count, uint32_t *next) {
    if (t > 0 || !plan->narrow) return apr_cosets_of(plan, t, positions, count, next);
    memcpy(next, positions, 4 * (size_t)count); /* in the narrow layout the indices are fold cosets already */
    return count;
}
