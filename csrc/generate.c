/* The small public functions around the prover: trace generators and parts that are useful alone. */
#include "aprover.h"
#include "blake3.h"
#include "field.h"
#include "trace.h"

static aprover_status check_arguments(const uint32_t *arguments, size_t count, size_t expected) {
    if (arguments == NULL || count != expected) return APROVER_ERROR_ARGUMENT;
    for (size_t i = 0; i < count; i++)
        if (arguments[i] >= FP_P) return APROVER_ERROR_ARGUMENT;
    return APROVER_OK;
}

aprover_status apr_generate(uint32_t generator, const uint32_t *arguments, size_t count, uint32_t *trace, size_t stride,
                            uint32_t columns, uint32_t log_height, enum apr_path path, const int32_t *cancel) {
    if (trace == NULL || log_height > 24) return APROVER_ERROR_ARGUMENT;
    switch (generator) {
    case APROVER_GENERATOR_FIBONACCI:
        if (columns != APR_FIBONACCI_COLUMNS || check_arguments(arguments, count, 2) != APROVER_OK) return APROVER_ERROR_ARGUMENT;
        apr_trace_fibonacci(trace, stride, log_height, arguments);
        return APROVER_OK;
    case APROVER_GENERATOR_POSEIDON2_CHAIN:
        if (columns != apr_poseidon2_columns || check_arguments(arguments, count, 16) != APROVER_OK)
            return APROVER_ERROR_ARGUMENT;
        return apr_trace_poseidon2_chain(trace, stride, log_height, arguments, path, cancel);
    case APROVER_GENERATOR_SHA256:
        if (columns != apr_sha256_columns || arguments == NULL) return APROVER_ERROR_ARGUMENT;
        return apr_trace_sha256(trace, stride, log_height, arguments, count, cancel);
    default:
        return APROVER_ERROR_ARGUMENT;
    }
}

aprover_status aprover_generate(uint32_t generator, const uint32_t *arguments, size_t count, uint32_t *trace,
                                uint32_t columns, uint32_t log_height, const int32_t *cancel) {
    if (log_height > 24) return APROVER_ERROR_ARGUMENT;
    return apr_generate(generator, arguments, count, trace, (size_t)1 << log_height, columns, log_height, APR_PATH_AUTO,
                        cancel);
}

void aprover_blake3_keyed(const uint8_t key[32], const uint8_t *data, size_t length, uint8_t out[32]) {
    apr_blake3_keyed(key, data, length, out);
}

aprover_status aprover_poseidon2_chain(uint32_t state[16], uint64_t count, const int32_t *cancel) {
    if (state == NULL || check_arguments(state, 16, 16) != APROVER_OK) return APROVER_ERROR_ARGUMENT;
    return apr_poseidon2_chain(state, count, APR_PATH_AUTO, cancel);
}

uint32_t aprover_path(uint32_t path) {
    if (apr_use_avx512((enum apr_path)path)) return APR_PATH_AVX512;
    return apr_use_avx2((enum apr_path)path) ? APR_PATH_AVX2 : APR_PATH_PORTABLE;
}
