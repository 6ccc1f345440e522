/* Trace generators of shipped programs. A trace is column-major: column c, row i at trace[(c << log_height) + i], canonical. */
#ifndef APROVER_TRACE_H
#define APROVER_TRACE_H

#include <stdint.h>

#define APR_FIBONACCI_COLUMNS 2

/* arguments: F(0), F(1). */
void apr_trace_fibonacci(uint32_t *trace, uint32_t log_height, const uint32_t *arguments);

/* arguments: the 16 words of the seed. */
extern const uint32_t apr_poseidon2_columns;
void apr_trace_poseidon2_chain(uint32_t *trace, uint32_t log_height, const uint32_t *arguments);
/* The permutation on canonical values. */
void apr_poseidon2_permute(uint32_t state[16]);

#endif
