/* Trace generators of shipped programs. A trace is column-major: column c, row i at trace[c * stride + i], canonical. The stride is
 * the number of rows, 2^log_height, or more: of all rows, where the trace is one of an aggregate's. */
#ifndef APROVER_TRACE_H
#define APROVER_TRACE_H

#include "aprover.h"
#include "dispatch.h"

#define APR_FIBONACCI_COLUMNS 2

/* arguments: F(0), F(1). */
void apr_trace_fibonacci(uint32_t *trace, size_t stride, uint32_t log_height, const uint32_t *arguments);

/* arguments: the 16 words of the seed. */
extern const uint32_t apr_poseidon2_columns;
aprover_status apr_trace_poseidon2_chain(uint32_t *trace, size_t stride, uint32_t log_height, const uint32_t *arguments,
                                         enum apr_path path, const int32_t *cancel);
/* `count` permutations of canonical values. */
aprover_status apr_poseidon2_chain(uint32_t state[16], uint64_t count, enum apr_path path, const int32_t *cancel);

/* arguments: the words of the padded message, 16 a block; any 32-bit values. Blocks beyond them are zeros. */
extern const uint32_t apr_sha256_columns;
aprover_status apr_trace_sha256(uint32_t *trace, size_t stride, uint32_t log_height, const uint32_t *arguments, size_t count,
                                const int32_t *cancel);

/* Whichever generator; as aprover_generate. */
aprover_status apr_generate(uint32_t generator, const uint32_t *arguments, size_t count, uint32_t *trace, size_t stride,
                            uint32_t columns, uint32_t log_height, enum apr_path path, const int32_t *cancel);

/* Whether a cancel flag, which may be NULL, is set. */
static inline int apr_flag_is_set(const int32_t *flag) { return flag != NULL && __atomic_load_n(flag, __ATOMIC_RELAXED) != 0; }

#endif
