/* Run-time choice of the instruction set. */
#ifndef APROVER_DISPATCH_H
#define APROVER_DISPATCH_H

/* A path forces an instruction set (tests compare them); APR_PATH_AUTO takes the best that runs here. All paths give
 * identical bytes. A path that cannot run here falls back to the next lower one. AVX-512 is AVX2 with another hash. */
enum apr_path { APR_PATH_AUTO = 0, APR_PATH_PORTABLE = 1, APR_PATH_AVX2 = 2, APR_PATH_AVX512 = 3 };

#if defined(__x86_64__) || defined(__i386__)
#define APR_HAVE_AVX2_BUILD 1
/* The compiler's own CPU model, filled in before main() with CPUID and XGETBV. */
static inline int apr_use_avx2(enum apr_path path) {
    return path != APR_PATH_PORTABLE && __builtin_cpu_supports("avx2");
}
static inline int apr_use_avx512(enum apr_path path) {
    return path != APR_PATH_AVX2 && apr_use_avx2(path) && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl");
}
#else
#define APR_HAVE_AVX2_BUILD 0
static inline int apr_use_avx2(enum apr_path path) {
    (void)path;
    return 0;
}
static inline int apr_use_avx512(enum apr_path path) {
    (void)path;
    return 0;
}
#endif

#endif
