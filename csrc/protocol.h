/* The steps of the protocol that prover and verifier do alike, docs/protocol.md section 7. */
#ifndef APROVER_PROTOCOL_H
#define APROVER_PROTOCOL_H

#include "plan.h"
#include "transcript.h"

/* Step 1 of section 7. parameters: their eight bytes. caps: of the preprocessed trees, apr_caps_bytes of them; unused if there are none. */
void apr_absorb_statement(apr_transcript *t, const aprover_air *air, const apr_plan *plan, const uint8_t *parameters,
                          const uint32_t *publics, const uint8_t *statement, size_t length, const uint8_t *caps);
/* The key of the grinding hash: the transcript's state after the squeeze of step 9. */
void apr_grinding_key(const apr_transcript *t, uint8_t key[32]);
/* sum of z^(j m) chunks[j], the chunks of one table */
fx apr_chunks_at(const apr_plan *plan, uint32_t table, const fx *chunks, fx z);
/* The out-of-domain point of step 4: drawn again while it lies in the base field, where all domains are. */
typedef fx (*apr_draw)(void *source);
fx apr_draw_outside_base(apr_draw draw, void *source);
fx apr_out_of_domain_point(apr_transcript *transcript);
/* The batching coefficients of step 6, apr_batched of them. */
void apr_batching(apr_transcript *transcript, const apr_plan *plan, fx *lambdas);
/* The distinct fold cosets of level t that contain the positions, ascending; returns how many. */
uint32_t apr_cosets_of(const apr_plan *plan, uint32_t t, const uint32_t *positions, uint32_t count, uint32_t *cosets);
/* I_(t+1) of step 10 from the distinct ascending indices drawn (t = 0) or from I_t; returns how many. */
uint32_t apr_next_positions(const apr_plan *plan, uint32_t t, const uint32_t *positions, uint32_t count, uint32_t *next);

#endif
