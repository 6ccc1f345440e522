/* The trace of aprover/programs/fibonacci.py: row i is (F(i), F(i+1)). */
#include "field.h"
#include "trace.h"

void apr_trace_fibonacci(uint32_t *trace, size_t stride, uint32_t log_height, const uint32_t *arguments) {
    const size_t rows = (size_t)1 << log_height;
    uint32_t *x = trace;
    uint32_t *y = trace + stride;
    /* Additions only, so canonical values need no Montgomery form. */
    uint32_t low = arguments[0], high = arguments[1];
    for (size_t i = 0; i < rows; i++) {
        x[i] = low;
        y[i] = high;
        const uint32_t next = fp_add(low, high);
        low = high;
        high = next;
    }
}
