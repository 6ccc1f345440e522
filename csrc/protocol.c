/* The steps of the protocol that prover and verifier do alike, docs/protocol.md section 7. */
#include "protocol.h"

#include <string.h>

void apr_absorb_statement(apr_transcript *t, const aprover_air *air, const uint8_t *parameters, const uint32_t *publics,
                          const uint8_t *statement, size_t length) {
    static const char protocol[] = "aprover stark v1";
    uint8_t height[4];
    apr_put_u32(height, air->log_height);
    apr_transcript_init(t);
    apr_transcript_absorb(t, APR_TAG_PROTOCOL, protocol, sizeof protocol - 1);
    apr_transcript_absorb(t, APR_TAG_PARAMETERS, parameters, APR_PARAMETER_BYTES);
    apr_transcript_absorb(t, APR_TAG_AIR, air->digest, sizeof air->digest);
    apr_transcript_absorb(t, APR_TAG_HEIGHT, height, sizeof height);
    apr_transcript_absorb(t, APR_TAG_PUBLICS, publics, 4 * (size_t)air->publics);
    apr_transcript_absorb(t, APR_TAG_STATEMENT, statement, length);
}

void apr_grinding_key(const apr_transcript *t, uint8_t key[32]) {
    for (int i = 0; i < 8; i++) apr_put_u32(key + 4 * i, t->hash.key[i]);
}

fx apr_chunks_at(const apr_plan *plan, const fx *chunks, fx z) {
    fx step = z, sum = fx_zero();
    for (uint32_t i = 0; i < plan->log_k; i++) step = fx_mul(step, step);
    for (uint32_t j = plan->chunks; j-- > 0;) sum = fx_add(fx_mul(sum, step), chunks[j]);
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
        apr_transcript_elements(transcript, lambdas, plan->openings);
        return;
    }
    fx lambda;
    apr_transcript_elements(transcript, &lambda, 1);
    lambdas[0] = fx_one();
    for (uint32_t i = 1; i < plan->openings; i++) lambdas[i] = fx_mul(lambdas[i - 1], lambda);
}

uint32_t apr_octets_of(const apr_plan *plan, uint32_t t, const uint32_t *positions, uint32_t count, uint32_t *octets) {
    /* Ascending positions do not give ascending octets; insertion keeps the few there are in order. */
    uint32_t n = 0, place;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t octet = apr_octet_of(plan, t, positions[i], &place), low = 0, high = n;
        while (low < high) {
            uint32_t middle = (low + high) / 2;
            if (octets[middle] < octet) low = middle + 1;
            else high = middle;
        }
        if (low < n && octets[low] == octet) continue;
        memmove(octets + low + 1, octets + low, 4 * (size_t)(n - low));
        octets[low] = octet;
        n++;
    }
    return n;
}
