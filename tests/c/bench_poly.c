/* Nanoseconds an element for each polynomial kernel, the best of many short runs, on the best path (or the portable one).
 *
 *   bench_poly [largest size as a logarithm, default 10] [portable]
 */
#include <string.h>
#include <time.h>

#include "poly.h"

#include "check.h"

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

enum { COLUMNS = 32 };

static const apr_poly_kernels *kernels;
static apr_twiddles twiddles;
static uint32_t *x, *y, *columns; /* x and y hold five vectors each */
static uint32_t log_n;
static size_t n;
static fx z, coefficients[COLUMNS];

static apr_fxv view(uint32_t *words) { return (apr_fxv){words, n}; }

static void bench_from_canonical(void) { kernels->from_canonical(x, n); }
static void bench_to_canonical(void) { kernels->to_canonical(y, x, n); }
static void bench_interpolate(void) { kernels->interpolate(&twiddles, x, log_n); }
static void bench_evaluate(void) { kernels->evaluate(&twiddles, y, x, log_n, z.c[0]); }
static void bench_scale_powers(void) { kernels->scale_powers(x, log_n, z.c[0]); }
static void bench_scale(void) { kernels->scale(y, x, z.c[0], n); }
static void bench_add_scaled(void) { kernels->add_scaled(y, x, z.c[0], n); }
static void bench_invert(void) { kernels->invert(x, n, y); }
static void bench_powers(void) { kernels->powers(view(y), log_n, z); }
static void bench_dot(void) { coefficients[0] = kernels->dot(x, view(y), n); }
static void bench_accumulate_fx(void) { kernels->accumulate_fx(view(y), view(x), z, n); }
static void bench_divide(void) { kernels->divide(view(x), log_n, z); }
static void bench_fold(void) { kernels->fold(view(y), view(x), log_n, 3, z, 0, n / 8); }

/* As the prover calls them: slices of a matrix of columns, small enough for the cache. */
static void bench_dot_columns(void) {
    fx sums[COLUMNS] = {{{0}}};
    const size_t slice = n < 1024 ? n : 1024;
    for (size_t i = 0; i < n; i += slice)
        kernels->dot_columns(sums, columns + i, n, COLUMNS, (apr_fxv){y + i, n}, slice);
    coefficients[1] = sums[0];
}
static void bench_accumulate(void) {
    const size_t slice = n < 1024 ? n : 1024;
    for (size_t i = 0; i < n; i += slice)
        kernels->accumulate((apr_fxv){y + i, n}, columns + i, n, COLUMNS, coefficients, slice);
}

static const struct {
    const char *name;
    void (*run)(void);
    int per; /* elements for each of n */
} benches[] = {{"from_canonical", bench_from_canonical, 1},
               {"to_canonical", bench_to_canonical, 1},
               {"interpolate", bench_interpolate, 1},
               {"evaluate", bench_evaluate, 1},
               {"scale_powers", bench_scale_powers, 1},
               {"scale", bench_scale, 1},
               {"add_scaled", bench_add_scaled, 1},
               {"invert", bench_invert, 1},
               {"powers", bench_powers, 1},
               {"dot", bench_dot, 1},
               {"dot_columns", bench_dot_columns, COLUMNS},
               {"accumulate", bench_accumulate, COLUMNS},
               {"accumulate_fx", bench_accumulate_fx, 1},
               {"divide", bench_divide, 1},
               {"fold", bench_fold, 1}};

/* Nanoseconds an element; a timed stretch is a few dozen microseconds, so that other processes disturb few of them. */
static double best(void (*run)(void), int per, int stretches) {
    const size_t repeats = n < 4096 ? 4096 / n : 1;
    double least = 1e18;
    if (n >= (size_t)1 << 18) stretches = stretches / 20 + 2;
    for (int i = 0; i < stretches; i++) {
        double t = now();
        for (size_t k = 0; k < repeats; k++) run();
        t = now() - t;
        if (t < least) least = t;
    }
    return least / (double)repeats / (double)n / per;
}

static uint32_t *words_new(size_t count) {
    uint32_t *words = NULL;
    CHECK(posix_memalign((void **)&words, 64, count * sizeof(uint32_t)) == 0);
    uint64_t state = count;
    for (size_t i = 0; i < count; i++) words[i] = 1 + (uint32_t)(random_u64(&state) % (FP_P - 1));
    return words;
}

int main(int argc, char **argv) {
    static const uint32_t sizes[] = {3, 5, 8, 10, 12, 14, 16, 18, 20, 22, 24};
    enum { SIZES = sizeof sizes / sizeof *sizes, BENCHES = sizeof benches / sizeof *benches };
    const uint32_t largest = argc > 1 ? (uint32_t)atoi(argv[1]) : 10;
    const int portable = argc > 2 && strcmp(argv[2], "portable") == 0;
    const char *only = argc > 3 ? argv[3] : "";
    CHECK(largest >= 3 && largest <= 24);
    kernels = apr_poly_kernels_for(portable ? APR_PATH_PORTABLE : APR_PATH_AUTO);
    const size_t most = (size_t)1 << largest;
    x = words_new(most * FX_DEGREE);
    y = words_new(most * FX_DEGREE);
    columns = words_new(most * COLUMNS);
    apr_twiddles_init(&twiddles, largest, words_new(apr_twiddles_bytes(largest) / sizeof(uint32_t)));
    for (int j = 0; j < FX_DEGREE; j++) z.c[j] = x[j];
    for (int c = 0; c < COLUMNS; c++) coefficients[c] = z;
    printf("%-15s", "ns an element");
    for (int s = 0; s < SIZES && sizes[s] <= largest; s++) printf("    2^%-3u", sizes[s]);
    for (int b = 0; b < BENCHES; b++) {
        if (strstr(benches[b].name, only) == NULL) continue;
        printf("\n%-15s", benches[b].name);
        for (int s = 0; s < SIZES && sizes[s] <= largest; s++) {
            log_n = sizes[s];
            n = (size_t)1 << log_n;
            printf(" %8.3f", best(benches[b].run, benches[b].per, argc > 1 ? 400 : 3));
            fflush(stdout);
        }
    }
    puts("");
    free(x), free(y), free(columns), free((void *)(uintptr_t)twiddles.words);
    return 0;
}
