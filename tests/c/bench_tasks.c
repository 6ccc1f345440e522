/* How long a helper may have to stay in a task: the longest task of each kind, in the least of several runs, by the clock of the thread.
 * No task may take more than half a millisecond, at any size.
 *
 *   bench_tasks [log2 of the rows, default 14] [proofs, default 1]
 */
#include <string.h>
#include <time.h>

#include "../../csrc/parallel.h"
#include "airs.h"

enum { MOST = 1 << 16, ALLOWED_US = 500 };

static double seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* The tasks of a proof come in the same order whenever one thread works. */
static struct {
    const char *name[MOST];
    double least[MOST], begun;
    size_t count;
} tasks;

static void watch(void *context, const char *name, int begins) {
    (void)context;
    if (begins) {
        tasks.begun = seconds();
        return;
    }
    const double spent = seconds() - tasks.begun;
    if (tasks.count == MOST) return;
    tasks.name[tasks.count] = name;
    if (tasks.least[tasks.count] == 0 || spent < tasks.least[tasks.count]) tasks.least[tasks.count] = spent;
    tasks.count++;
}

static void show(const char *what, double whole) {
    double shared = 0, worst = 0;
    for (size_t i = 0; i < tasks.count; i++) shared += tasks.least[i];
    printf("%s: %zu tasks, %.1f%% of %.1f ms\n", what, tasks.count, 100 * shared / whole, 1e3 * whole);
    for (size_t i = 0; i < tasks.count; i++) {
        double longest = 0, sum = 0;
        size_t count = 0, seen = 0;
        for (size_t j = 0; j < i; j++) seen += strcmp(tasks.name[j], tasks.name[i]) == 0;
        if (seen > 0) continue;
        for (size_t j = i; j < tasks.count; j++) {
            if (strcmp(tasks.name[j], tasks.name[i]) != 0) continue;
            if (tasks.least[j] > longest) longest = tasks.least[j];
            sum += tasks.least[j];
            count++;
        }
        if (longest > worst) worst = longest;
        printf("  %-20s %6zu tasks, together %9.2f ms, the longest %8.0f us%s\n", tasks.name[i], count, 1e3 * sum, 1e6 * longest,
               1e6 * longest > ALLOWED_US ? "  TOO LONG" : "");
    }
    printf("  the longest of all takes %.0f us, of %d that it may\n", 1e6 * worst, ALLOWED_US);
}

static void *aligned(size_t bytes) {
    void *memory = aligned_alloc(64, (bytes + 63) & ~(size_t)63);
    CHECK(memory != NULL);
    memset(memory, 0, bytes);
    return memory;
}

static test_air encoding;

static void bench(const char *what, const uint32_t *trace, aprover_parameters parameters, int proofs) {
    static const uint8_t entropy[32] = {1};
    aprover_error error;
    double whole = 1e9;
    const size_t air_bytes = aprover_air_memory(encoding.words, encoding.count);
    aprover_air *air = aligned(air_bytes);
    CHECK(aprover_air_load(encoding.words, encoding.count, air, air_bytes, &error) == APROVER_OK);
    const size_t arena_bytes = aprover_prove_memory(air, &parameters, 1, 0), capacity = aprover_proof_bound(air, &parameters);
    const size_t preprocess_bytes = aprover_preprocess_memory(air, &parameters);
    uint8_t *arena = aligned(arena_bytes), *proof = aligned(capacity), *memory = aligned(preprocess_bytes + 64);
    aprover_team *team = aligned(aprover_team_memory());
    CHECK(aprover_team_init(team, 1, NULL) == APROVER_OK);
    apr_team_watch(team, watch, NULL);
    aprover_job job = {.air = air, .parameters = parameters, .entropy = entropy, .publics = encoding.publics, .arena = arena,
                       .arena_bytes = arena_bytes, .proof = proof, .proof_capacity = capacity, .team = team};
    if (preprocess_bytes > 0) job.preprocessed = aprover_preprocess(air, &parameters, memory, preprocess_bytes, NULL, 0, &error);
    memset(&tasks, 0, sizeof tasks);
    for (int i = 0; i < proofs; i++) {
        tasks.count = 0;
        for (uint32_t t = 0; t < encoding.tables; t++)
            memcpy(aprover_prove_trace(&job, t), trace + encoding.trace[t], 4 * (encoding.trace[t + 1] - encoding.trace[t]));
        const double begun = seconds();
        CHECK(aprover_prove(&job, &error) == APROVER_OK);
        const double spent = seconds() - begun;
        if (spent < whole) whole = spent;
    }
    show(what, whole);
    aprover_team_close(team);
    aprover_team_destroy(team);
    free(air), free(arena), free(proof), free(memory), free(team);
}

int main(int argc, char **argv) {
    const uint32_t h = argc > 1 ? (uint32_t)atoi(argv[1]) : 14;
    const int proofs = argc > 2 ? atoi(argv[2]) : 1;
    CHECK(h >= 13 && h <= 22);
    const aprover_parameters parameters = {.log_blowup = 1, .grinding_bits = 16, .queries = 60};
    aprover_parameters masked = parameters;
    masked.flags = APROVER_FLAG_ZERO_KNOWLEDGE;
    uint32_t *trace = malloc((size_t)4 * 40 << h);
    CHECK(trace != NULL);
    fibonacci_air(&encoding, h, (1u << h) - 12, trace);
    bench("2 columns", trace, parameters, proofs);
    bench("2 columns in zero knowledge", trace, masked, proofs);
    power_air(&encoding, h - 3, 40, 3, 64, trace);
    bench("40 columns of an eighth of the rows, with 64 boundary values", trace, parameters, proofs);
    lookup_air(&encoding, h - 2, 8, 2, trace);
    bench("lookups, of a quarter of the rows", trace, parameters, proofs);
    free(trace);
    return 0;
}
