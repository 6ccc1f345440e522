/* Prove and verify whole statements: layouts, degrees beyond the blowup, boundaries on many rows, failures, mutants. */
#ifdef __linux__
#define _GNU_SOURCE /* which processor a thread runs on, and which it may use */
#endif
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#ifdef __linux__
#include <sys/mman.h>
#include <unistd.h>
#endif

#include "../../csrc/dispatch.h"
#include "airs.h"
#include "../../csrc/parallel.h"

static uint8_t *aligned(size_t bytes) {
    uint8_t *memory = aligned_alloc(64, (bytes + 63) & ~(size_t)63);
    CHECK(memory != NULL);
    return memory;
}

typedef struct {
    test_air encoding;
    uint32_t *trace; /* of all tables */
    uint8_t *air_memory;
    const aprover_air *air;
    aprover_parameters parameters;
    uint8_t *preprocessed_memory;
    const aprover_preprocessed *preprocessed;
    uint8_t *arena, *proof, *scratch;
    size_t arena_bytes, proof_capacity, scratch_bytes, length;
} fixture;

static const uint8_t statement[] = "a statement";
static const uint8_t entropy[32] = "not so random, but always so";

static uint32_t *trace_for(uint32_t cells) {
    uint32_t *trace = malloc(4 * (size_t)cells);
    CHECK(trace != NULL);
    return trace;
}

static void open_fixture(fixture *f, aprover_parameters parameters) {
    aprover_error error;
    const size_t bytes = aprover_air_memory(f->encoding.words, f->encoding.count);
    f->air_memory = aligned(bytes);
    CHECK(aprover_air_load(f->encoding.words, f->encoding.count, f->air_memory, bytes, &error) == APROVER_OK);
    f->air = (const aprover_air *)f->air_memory;
    f->parameters = parameters;
    f->arena_bytes = aprover_prove_memory(f->air, &parameters, 1, 0);
    f->proof_capacity = aprover_proof_bound(f->air, &parameters);
    f->scratch_bytes = aprover_verify_memory(f->air, &parameters);
    CHECK(f->arena_bytes > 0 && f->proof_capacity > 0 && f->scratch_bytes > 0);
    f->arena = aligned(f->arena_bytes);
    memset(f->arena, 0, 64);
    f->proof = aligned(f->proof_capacity);
    f->scratch = aligned(f->scratch_bytes);
    const size_t preprocess_bytes = aprover_preprocess_memory(f->air, &parameters);
    f->preprocessed_memory = NULL;
    f->preprocessed = NULL;
    if (preprocess_bytes == 0) return;
    f->preprocessed_memory = aligned(preprocess_bytes);
    f->preprocessed = aprover_preprocess(f->air, &parameters, f->preprocessed_memory, preprocess_bytes, NULL, 0, &error);
    CHECK(f->preprocessed != NULL && error.status == APROVER_OK);
}

static void close_fixture(fixture *f) {
    free(f->air_memory);
    free(f->preprocessed_memory);
    free(f->arena);
    free(f->proof);
    free(f->scratch);
    free(f->trace);
}

static aprover_job job_of(fixture *f) {
    return (aprover_job){.air = f->air, .parameters = f->parameters, .preprocessed = f->preprocessed,
                         .entropy = f->parameters.flags & APROVER_FLAG_ZERO_KNOWLEDGE ? entropy : NULL,
                         .publics = f->encoding.publics, .statement = statement, .statement_length = sizeof statement,
                         .arena = f->arena, .arena_bytes = f->arena_bytes, .proof = f->proof, .proof_capacity = f->proof_capacity};
}

static void place_trace(fixture *f, aprover_team *team) {
    aprover_job job = job_of(f);
    job.team = team;
    for (uint32_t i = 0; i < f->encoding.tables; i++) {
        uint32_t *trace = aprover_prove_trace(&job, i);
        CHECK(trace != NULL);
        memcpy(trace, f->trace + f->encoding.trace[i], 4 * (f->encoding.trace[i + 1] - f->encoding.trace[i]));
    }
}

static aprover_status prove(fixture *f, uint32_t path, aprover_error *error) {
    aprover_job job = job_of(f);
    job.path = path;
    place_trace(f, NULL);
    aprover_status status = aprover_prove(&job, error);
    f->length = job.proof_length;
    CHECK((int32_t)status == error->status);
    return status;
}

static aprover_status verify_bytes(fixture *f, const uint8_t *proof, size_t length, uint32_t path) {
    aprover_error error;
    aprover_parameters parameters;
    aprover_status status = aprover_proof_head(f->air, proof, length, &parameters, &error);
    if (status != APROVER_OK) return status;
    const size_t bytes = aprover_verify_memory(f->air, &parameters);
    uint8_t *scratch = aligned(bytes);
    size_t caps_length = 0;
    const uint8_t *caps = f->preprocessed == NULL ? NULL : aprover_preprocessed_caps(f->preprocessed, &caps_length);
    status = aprover_verify(f->air, caps, caps_length, f->encoding.publics, statement, sizeof statement, proof, length, scratch, bytes,
                            path, &error);
    free(scratch);
    CHECK((int32_t)status == error.status);
    return status;
}

static void alter_public(fixture *f) { f->encoding.publics[0] = (f->encoding.publics[0] + 1) % FP_P; }

/* Every path gives the same bytes, which verify on every path, and not for another public value. */
static void proves_and_verifies(fixture *f, aprover_parameters parameters) {
    aprover_error error;
    open_fixture(f, parameters);
    CHECK(prove(f, APR_PATH_PORTABLE, &error) == APROVER_OK);
    CHECK(f->length > 0 && f->length <= f->proof_capacity);
    uint8_t *first = aligned(f->length);
    const size_t length = f->length;
    memcpy(first, f->proof, length);
    for (enum apr_path path = APR_PATH_AVX2; path <= APR_PATH_AVX512; path++) {
        CHECK(prove(f, path, &error) == APROVER_OK);
        CHECK(f->length == length && memcmp(first, f->proof, length) == 0);
        CHECK(verify_bytes(f, first, length, path) == APROVER_OK);
    }
    CHECK(verify_bytes(f, first, length, APR_PATH_PORTABLE) == APROVER_OK);
    if (f->encoding.publics_count > 0) {
        const uint32_t value = f->encoding.publics[0];
        alter_public(f);
        CHECK(verify_bytes(f, first, length, APR_PATH_AUTO) != APROVER_OK);
        f->encoding.publics[0] = value;
    }
    free(first);
}

/* A wrong value at this place of the trace is not proved. */
static aprover_status prove_altered(fixture *f, size_t at, aprover_error *error) {
    const uint32_t value = f->trace[at];
    f->trace[at] = (value + 1) % FP_P;
    const aprover_status status = prove(f, APR_PATH_AUTO, error);
    f->trace[at] = value;
    CHECK(f->length == 0 || status == APROVER_OK);
    return status;
}

/* The first column of the only table is constrained in all rows. */
static void wrong_cells_are_not_proved(fixture *f) {
    aprover_error error;
    const size_t k = (size_t)1 << f->air->table[0].log_height, rows[4] = {0, k / 2, k - 2, k - 1};
    for (int i = 0; i < 4; i++) CHECK(prove_altered(f, rows[i], &error) == APROVER_ERROR_CONSTRAINTS && error.detail == 0);
}

static void narrow_traces(void) {
    static fixture f;
    for (uint32_t h = 3; h <= 12; h++) {
        f.trace = trace_for(2u << h);
        fibonacci_air(&f.encoding, h, (1u << h) - h + 3, f.trace);
        proves_and_verifies(&f, (aprover_parameters){1 + h % 3, h % 5, h % 4, h & 1, h < 8 ? 1u << (h - 3) : 20});
        wrong_cells_are_not_proved(&f);
        close_fixture(&f);
    }
    puts("ok narrow traces of 2^3 to 2^12 rows");
}

static void high_degrees(void) {
    static fixture f;
    for (uint32_t degree = 2; degree <= 8; degree++) {
        f.trace = trace_for(1u << 7);
        power_air(&f.encoding, 7, 1, degree, 4, f.trace);
        proves_and_verifies(&f, (aprover_parameters){1, 0, 0, 0, 20}); /* up to 8 chunks at blowup 2 */
        wrong_cells_are_not_proved(&f);
        close_fixture(&f);
    }
    puts("ok degrees 2 to 8 at blowup 2");
}

static void wide_traces(void) {
    static fixture f;
    for (uint32_t h = 3; h <= 10; h++) {
        f.trace = trace_for(40u << h);
        power_air(&f.encoding, h, 40, 3, 2, f.trace);
        proves_and_verifies(&f, (aprover_parameters){1 + h % 2, 2, h % 3, 1, h < 5 ? 7 : 40});
        wrong_cells_are_not_proved(&f);
        close_fixture(&f);
    }
    puts("ok wide traces of 2^3 to 2^10 rows");
}

/* With whatever memory the arena has, from the least that is asked for to the most that is of use: each is enough, and the bytes are the
 * same. Returns how many sizes there were. */
static int prove_in_less_memory(fixture *f) {
    aprover_error error;
    uint8_t *first = aligned(f->length), *own = f->arena;
    const size_t length = f->length, most = f->arena_bytes;
    int sizes = 0;
    memcpy(first, f->proof, length);
    for (size_t limit = most; ; limit = f->arena_bytes - 1) {
        const size_t bytes = aprover_prove_memory(f->air, &f->parameters, 1, limit);
        CHECK(bytes <= most);
        if (bytes > limit) {
            CHECK(bytes == f->arena_bytes && bytes == aprover_prove_memory(f->air, &f->parameters, 1, 1));
            f->arena_bytes = limit;
            aprover_job job = job_of(f);
            CHECK(aprover_prove(&job, &error) == APROVER_ERROR_MEMORY && error.index == bytes);
            break;
        }
        f->arena_bytes = bytes;
        f->arena = aligned(bytes);
        memset(f->arena, 0, 64);
        CHECK(prove(f, 0, &error) == APROVER_OK && f->length == length && memcmp(f->proof, first, length) == 0);
        free(f->arena);
        sizes++;
    }
    f->arena = own;
    f->arena_bytes = most;
    free(first);
    return sizes;
}

/* Trees of 2^16 leaves and more keep their upper levels only, and their matrices as much as there is memory for. */
static void tall_trees(void) {
    static fixture f;
    for (int kind = 0; kind < 4; kind++) {
        const uint32_t h = kind == 0 ? 18 : kind == 1 ? 14 : 12;
        f.trace = trace_for((kind == 1 ? 40u : 7u) << h);
        if (kind == 0) fibonacci_air(&f.encoding, h, 200000, f.trace);
        if (kind == 1) power_air(&f.encoding, h, 40, 3, 2, f.trace);
        if (kind >= 2) lookup_air(&f.encoding, h, 8, 2, f.trace);
        const uint8_t flags = kind == 3 ? APROVER_FLAG_ZERO_KNOWLEDGE : 0;
        const uint8_t log_blowup = kind == 0 ? 1 : kind == 1 ? 2 : 5;
        proves_and_verifies(&f, (aprover_parameters){log_blowup, 0, kind, flags, 40});
        CHECK(prove_in_less_memory(&f) == log_blowup + 2);
        close_fixture(&f);
    }
    puts("ok tall trees");
}

static void boundaries_on_many_rows(void) {
    static fixture f;
    for (uint32_t bound = 1; bound <= 256; bound *= 4) {
        f.trace = trace_for(2u << 8);
        power_air(&f.encoding, 8, 2, 2, bound, f.trace);
        proves_and_verifies(&f, (aprover_parameters){2, 0, 0, 0, 30});
        wrong_cells_are_not_proved(&f);
        close_fixture(&f);
    }
    puts("ok boundaries on 1 to 256 rows");
}

/* Runs of every number end where the next begins: the rule holds within each and not from one to the next. */
static void runs_of_rows(void) {
    static fixture f;
    aprover_error error;
    for (uint32_t log_slots = 0; log_slots <= 6; log_slots += 2)
        for (uint32_t zero_knowledge = 0; zero_knowledge < 2; zero_knowledge++) {
            f.trace = trace_for(1u << 8);
            runs_air(&f.encoding, 8, log_slots, f.trace);
            proves_and_verifies(&f, (aprover_parameters){1, 0, 0, zero_knowledge ? APROVER_FLAG_ZERO_KNOWLEDGE : 0, 20});
            wrong_cells_are_not_proved(&f);
            const uint32_t run = 256u >> log_slots;
            if (log_slots > 0) CHECK(prove_altered(&f, run + run / 2, &error) == APROVER_ERROR_CONSTRAINTS);
            close_fixture(&f);
        }
    puts("ok runs of 4 to 256 rows");
}

/* Lookups and buses between tables of all heights that share a level and that do not. */
static void several_tables(void) {
    static fixture f;
    aprover_error error;
    for (uint32_t h = 3; h <= 11; h += h < 6 ? 1 : 2)
        for (uint32_t log_range = 3; log_range <= 10; log_range += log_range < 6 ? 1 : 2) {
            f.trace = trace_for((6u << h) + (1u << log_range));
            lookup_air(&f.encoding, h, log_range, 1 + h % 2, f.trace);
            const uint8_t flags = (h + log_range) % 3 == 0 ? APROVER_FLAG_INDEPENDENT : 0;
            proves_and_verifies(&f, (aprover_parameters){1 + log_range % 3, h % 3, h % 4, flags, 8});
            const size_t *table = f.encoding.trace;
            CHECK(prove_altered(&f, table[0] + 2, &error) == APROVER_ERROR_LOOKUPS);                     /* not among the numbers */
            CHECK(prove_altered(&f, table[1] + 1, &error) == APROVER_ERROR_LOOKUPS);                     /* miscounted */
            CHECK(prove_altered(&f, table[2] + 2, &error) == APROVER_ERROR_LOOKUPS);                     /* a pair not sent */
            CHECK(prove_altered(&f, table[2] + 1, &error) == APROVER_OK);                                /* a row that counts zero */
            f.trace[table[0] + (1u << h) + 1] += 1;
            f.trace[table[2] + (4u << h) - 4] += 1; /* the same pair: the bus balances, the sum is wrong */
            CHECK(prove(&f, 0, &error) == APROVER_ERROR_CONSTRAINTS && error.detail == 0);
            close_fixture(&f);
        }
    puts("ok several tables");
}

/* Masked proofs verify; other entropy gives another proof, the same gives the same. */
static void zero_knowledge(void) {
    static fixture f;
    for (uint32_t h = 3; h <= 11; h += 2) {
        for (int kind = 0; kind < 3; kind++) {
            f.trace = trace_for((6u << h) + (40u << h) + 64);
            if (kind == 0) fibonacci_air(&f.encoding, h, (1u << h) - h + 3, f.trace);
            if (kind == 1) power_air(&f.encoding, h, 3, 2 + h % 7, h % 2 ? 2 : 1u << (h - 1), f.trace);
            if (kind == 2) lookup_air(&f.encoding, h, 6, 1 + h % 2, f.trace);
            proves_and_verifies(&f, (aprover_parameters){1 + h % 2, 0, h % 3, APROVER_FLAG_ZERO_KNOWLEDGE, h < 6 ? 7 : 40});
            uint8_t *first = aligned(f.length), other[32] = {1};
            memcpy(first, f.proof, f.length);
            aprover_job job = job_of(&f);
            job.entropy = other;
            place_trace(&f, NULL);
            CHECK(aprover_prove(&job, NULL) == APROVER_OK && job.proof_length > 1000);
            CHECK(memcmp(first + 8, f.proof + 8, 64) != 0);
            CHECK(verify_bytes(&f, f.proof, job.proof_length, 0) == APROVER_OK);
            job.entropy = NULL;
            CHECK(aprover_prove(&job, NULL) == APROVER_ERROR_ARGUMENT);
            free(first);
            close_fixture(&f);
        }
    }
    puts("ok zero knowledge");
}

static int32_t set_flag = 1;

static void failures_are_named(void) {
    static fixture f;
    aprover_error error;
    f.trace = trace_for(2u << 8);
    fibonacci_air(&f.encoding, 8, 200, f.trace);
    open_fixture(&f, (aprover_parameters){2, 4, 0, 0, 20});

    aprover_job job = job_of(&f);
    job.cancel = &set_flag;
    place_trace(&f, NULL);
    CHECK(aprover_prove(&job, &error) == APROVER_CANCELLED && job.proof_length == 0);

    job = job_of(&f);
    job.arena_bytes--;
    CHECK(aprover_prove(&job, &error) == APROVER_ERROR_MEMORY && error.index == f.arena_bytes);
    job = job_of(&f);
    job.proof_capacity--;
    CHECK(aprover_prove(&job, &error) == APROVER_ERROR_MEMORY);
    job = job_of(&f);
    job.generator = 99;
    CHECK(aprover_prove(&job, &error) == APROVER_ERROR_ARGUMENT);
    job = job_of(&f);
    job.parameters.queries = 0;
    CHECK(aprover_prove(&job, &error) == APROVER_REJECT_PARAMETERS);

    f.trace[256 + 17] = FP_P;
    CHECK(prove(&f, APR_PATH_AUTO, &error) == APROVER_ERROR_TRACE && error.index == 256 + 17);
    f.trace[256 + 17] = 0;
    f.encoding.publics[1] = FP_P;
    CHECK(prove(&f, APR_PATH_AUTO, &error) == APROVER_ERROR_PUBLICS && error.index == 1);
    close_fixture(&f);
    puts("ok failures are named");
}

/* An arena that made a large proof makes a small one, and a large one again, with the same bytes as a fresh arena. */
static void arenas_are_reused(void) {
    static fixture large, small;
    aprover_error error;
    large.trace = trace_for(2u << 10);
    small.trace = trace_for(2u << 4);
    fibonacci_air(&large.encoding, 10, 1000, large.trace);
    fibonacci_air(&small.encoding, 4, 16, small.trace);
    open_fixture(&large, (aprover_parameters){2, 0, 0, 0, 30});
    open_fixture(&small, (aprover_parameters){2, 0, 0, 0, 6});
    CHECK(prove(&large, 0, &error) == APROVER_OK && prove(&small, 0, &error) == APROVER_OK);
    CHECK(prove_in_less_memory(&large) == 1); /* small trees keep all */
    uint8_t *first = aligned(small.length);
    memcpy(first, small.proof, small.length);
    uint8_t *own = small.arena;
    const size_t own_bytes = small.arena_bytes;
    small.arena = large.arena;
    small.arena_bytes = large.arena_bytes;
    CHECK(prove(&small, 0, &error) == APROVER_OK && memcmp(first, small.proof, small.length) == 0);
    CHECK(prove(&large, 0, &error) == APROVER_OK && verify_bytes(&large, large.proof, large.length, 0) == APROVER_OK);
    small.arena = own;
    small.arena_bytes = own_bytes;
    free(first);
    close_fixture(&large);
    close_fixture(&small);
    puts("ok arenas are reused");
}

/* No mutant of a proof is accepted, and none reads outside its bytes (each is a block of its own, for the sanitizers). */
static void mutants_are_rejected(void) {
    static fixture f;
    aprover_error error;
    uint64_t state = 7;
    for (int wide = 0; wide < 2; wide++) {
        f.trace = trace_for(40u << 7);
        if (wide) power_air(&f.encoding, 7, 40, 2, 2, f.trace);
        else fibonacci_air(&f.encoding, 7, 100, f.trace);
        open_fixture(&f, (aprover_parameters){2, 3, 1, 0, 12});
        CHECK(prove(&f, 0, &error) == APROVER_OK);
        for (int i = 0; i < 1500; i++) {
            size_t length = f.length, at = random_u64(&state) % length;
            const uint32_t kind = random_u64(&state) % 8;
            if (kind == 0) length = at;
            if (kind == 1) length++;
            uint8_t *mutant = malloc(length > 0 ? length : 1);
            memcpy(mutant, f.proof, length < f.length ? length : f.length);
            if (kind == 1) mutant[length - 1] = 0;
            if (kind > 1) mutant[at] ^= (uint8_t)(1u << random_u64(&state) % 8);
            CHECK(verify_bytes(&f, mutant, length, 0) != APROVER_OK);
            free(mutant);
        }
        close_fixture(&f);
    }
    puts("ok mutants are rejected");
}

static void *help(void *team) {
    aprover_help(team, NULL);
    return NULL;
}

static int32_t leave_flag;
static void *help_until_told(void *team) {
    aprover_help(team, &leave_flag);
    return NULL;
}

#ifdef __linux__
static cpu_set_t allowed;
static int proving_on;
static int met; /* tasks that ran where the proving thread is, on other threads */

static void meets(void *prover, const char *task, int begins) {
    (void)task;
    if (begins && !pthread_equal(*(pthread_t *)prover, pthread_self()) && sched_getcpu() == proving_on)
        __atomic_fetch_add(&met, 1, __ATOMIC_RELAXED);
}

/* It begins where the proving thread is, and may go elsewhere. */
static void *help_from_there(void *team) {
    cpu_set_t there, after;
    CPU_ZERO(&there);
    CPU_SET(proving_on, &there);
    CHECK(sched_setaffinity(0, sizeof there, &there) == 0);
    CHECK(sched_setaffinity(0, sizeof allowed, &allowed) == 0);
    aprover_help(team, NULL);
    CHECK(sched_getaffinity(0, sizeof after, &after) == 0 && CPU_EQUAL(&after, &allowed));
    return NULL;
}

/* A helper works on no processor where the proving thread is, if there is another, and may use all again when it leaves. */
static void helpers_keep_off(void) {
    CHECK(sched_getaffinity(0, sizeof allowed, &allowed) == 0);
    if (CPU_COUNT(&allowed) > 1) {
        static fixture f;
        aprover_error error;
        cpu_set_t here;
        pthread_t prover = pthread_self(), helper;
        proving_on = sched_getcpu();
        CPU_ZERO(&here);
        CPU_SET(proving_on, &here);
        CHECK(sched_setaffinity(0, sizeof here, &here) == 0);
        f.trace = trace_for(2u << 14);
        fibonacci_air(&f.encoding, 14, 10000, f.trace);
        open_fixture(&f, (aprover_parameters){1, 12, 2, 0, 30});
        aprover_team *team = (aprover_team *)(void *)aligned(aprover_team_memory());
        CHECK(aprover_team_init(team, 2, NULL) == APROVER_OK);
        apr_team_watch(team, meets, &prover);
        f.arena_bytes = aprover_prove_memory(f.air, &f.parameters, 2, 0);
        free(f.arena);
        f.arena = aligned(f.arena_bytes);
        memset(f.arena, 0, 64);
        CHECK(pthread_create(&helper, NULL, help_from_there, team) == 0);
        for (int round = 0; round < 20; round++) {
            aprover_job job = job_of(&f);
            job.team = team;
            place_trace(&f, team);
            CHECK(aprover_prove(&job, &error) == APROVER_OK);
        }
        aprover_team_close(team);
        pthread_join(helper, NULL);
        aprover_team_destroy(team);
        free(team);
        CHECK(met == 0);
        CHECK(sched_setaffinity(0, sizeof allowed, &allowed) == 0);
        close_fixture(&f);
    }
    puts("ok helpers keep off the proving thread's processor");
}
#endif

/* Helpers, of which one leaves in the middle and one finds no lane, change nothing in the bytes. */
static void teams_give_the_same_bytes(void) {
    static fixture f;
    aprover_error error;
    aprover_team *team = (aprover_team *)(void *)aligned(aprover_team_memory());
    for (int wide = 0; wide < 2; wide++) {
        const uint32_t h = wide ? 13 : 18; /* the second is longer than a task transforms */
        f.trace = trace_for(40u << h);
        if (wide) power_air(&f.encoding, h, 40, 3, 20, f.trace);
        else fibonacci_air(&f.encoding, h, 10000, f.trace);
        open_fixture(&f, (aprover_parameters){1, 12, 2, 0, 30});
        CHECK(prove(&f, 0, &error) == APROVER_OK);
        uint8_t *alone = aligned(f.length);
        const size_t length = f.length;
        memcpy(alone, f.proof, length);

        CHECK(aprover_team_init(team, 3, NULL) == APROVER_OK);
        free(f.arena);
        f.arena_bytes = aprover_prove_memory(f.air, &f.parameters, 3, 0);
        f.arena = aligned(f.arena_bytes);
        memset(f.arena, 0, 64);
        pthread_t threads[3];
        leave_flag = 0;
        for (int i = 0; i < 3; i++) CHECK(pthread_create(&threads[i], NULL, i == 0 ? help_until_told : help, team) == 0);
        for (int round = 0; round < 3; round++) {
            aprover_job job = job_of(&f);
            job.team = team;
            place_trace(&f, team);
            if (round == 1) __atomic_store_n(&leave_flag, 1, __ATOMIC_RELAXED);
            CHECK(aprover_prove(&job, &error) == APROVER_OK);
            CHECK(job.proof_length == length && memcmp(f.proof, alone, length) == 0);
        }
        f.trace[5] ^= 1;
        aprover_job job = job_of(&f);
        job.team = team;
        place_trace(&f, team);
        CHECK(aprover_prove(&job, &error) == APROVER_ERROR_CONSTRAINTS);
        job.cancel = &set_flag;
        CHECK(aprover_prove(&job, &error) == APROVER_CANCELLED);
        aprover_team_close(team);
        for (int i = 0; i < 3; i++) CHECK(pthread_join(threads[i], NULL) == 0);
        aprover_team_destroy(team);
        free(alone);
        close_fixture(&f);
    }
    free(team);
    puts("ok teams give the same bytes");
}

/* Fibonacci's runs of 8 rows, four in each of two pairs of columns. A statement is in every slot but the last; statement i begins
 * with i, 2 and has its public values at 3 i; the last public value is bound nowhere if `loose`. */
enum { SLOTS = 8, STATEMENTS = 7, LOG_RUN = 3, LOG_RUNS = 2 };

static void members_air(test_air *a, int loose) {
    air_begin(a, 1, 3 * STATEMENTS + (loose ? 1 : 0), 0, NULL);
    air_table(a, (air_header){.columns = 4, .log_height = LOG_RUN + LOG_RUNS, .log_slots = LOG_RUNS, .reads = 8, .registers = 1});
    for (uint32_t i = 0; i < 8; i++) air_word(a, i / 4 << 16 | i % 4);
    for (uint32_t x = 1; x <= 3; x += 2) {
        air_op(a, APR_OP_SUB, 0, x + 4, x + 1);
        air_op(a, APR_OP_ASSERT, 0, 0, 0);
        air_op(a, APR_OP_ADD, 0, x, x + 1);
        air_op(a, APR_OP_SUB, 0, x + 5, 0);
        air_op(a, APR_OP_ASSERT, 0, 0, 0);
    }
    for (uint32_t column = 0; column < 4; column++)
        for (uint32_t i = column / 2 * 4; i < column / 2 * 4 + 4 && i < STATEMENTS; i++) {
            const uint32_t row = i % 4 << LOG_RUN, first = 9 + 3 * i;
            air_boundary(a, column, row, first + column % 2);
            if (column % 2 == 1) air_boundary(a, column, row + 7, first + 2);
        }
    for (uint32_t i = 0; i < 3 * STATEMENTS; i++) a->publics[i] = i % 3 == 0 ? i / 3 : i % 3 == 1 ? 2 : UINT32_MAX;
    if (loose) a->publics[3 * STATEMENTS] = UINT32_MAX;
}

static const uint32_t member_arguments[2 * SLOTS] = {0, 2, 1, 2, 2, 2, 3, 2, 4, 2, 5, 2, 6, 2, 6, 2};

static aprover_job members_job(fixture *f, aprover_members *m) {
    aprover_job job = job_of(f);
    m[0] = (aprover_members){.generator = APROVER_GENERATOR_FIBONACCI, .columns = 2, .first = 0, .count = 5, .arguments_count = 2,
                             .arguments = member_arguments};
    m[1] = m[0];
    m[1].first = 5;
    m[1].count = 3;
    m[1].arguments = member_arguments + 10;
    job.members = m;
    job.members_count = 2;
    job.found = f->encoding.publics;
    return job;
}

static void members_have_their_places(void) {
    const aprover_parameters parameters = {.log_blowup = 3, .queries = 12};
    fixture f = {.trace = NULL};
    aprover_members m[2];
    aprover_error error;
    uint32_t run[16];
    members_air(&f.encoding, 0);
    open_fixture(&f, parameters);
    aprover_job job = members_job(&f, m);
    CHECK(aprover_prove(&job, &error) == APROVER_OK);
    for (uint32_t i = 0; i < STATEMENTS; i++) {
        CHECK(aprover_generate(APROVER_GENERATOR_FIBONACCI, member_arguments + 2 * i, 2, run, 2, LOG_RUN, NULL) == APROVER_OK);
        CHECK(f.encoding.publics[3 * i + 2] == run[15]);
    }
    CHECK(verify_bytes(&f, f.proof, job.proof_length, 0) == APROVER_OK);
    f.encoding.publics[2] = (f.encoding.publics[2] + 1) % FP_P;
    CHECK(verify_bytes(&f, f.proof, job.proof_length, 0) == APROVER_REJECT_QUOTIENT);
    CHECK(aprover_prove(&job, &error) == APROVER_ERROR_CONSTRAINTS); /* what is given is not looked for */
    f.encoding.publics[2] = UINT32_MAX;
    job.found = NULL;
    CHECK(aprover_prove(&job, &error) == APROVER_ERROR_PUBLICS && error.index == 2);
    job.found = run;
    CHECK(aprover_prove(&job, &error) == APROVER_ERROR_ARGUMENT);
    const int32_t cancel = 1;
    job = members_job(&f, m);
    job.cancel = &cancel;
    CHECK(aprover_prove(&job, &error) == APROVER_CANCELLED);
    printf("ok members have their places\n");
    close_fixture(&f);
}

static void members_are_checked(void) {
    const aprover_parameters parameters = {.log_blowup = 3, .queries = 12};
    fixture f = {.trace = NULL};
    aprover_members m[2];
    aprover_error error;
    members_air(&f.encoding, 1);
    open_fixture(&f, parameters);
    aprover_job job = members_job(&f, m);
    CHECK(aprover_prove(&job, &error) == APROVER_ERROR_PUBLICS && error.index == 3 * STATEMENTS);
    job.members = NULL;
    CHECK(aprover_prove(&job, &error) == APROVER_ERROR_ARGUMENT);
#define REFUSED(change) \
    do { \
        job = members_job(&f, m); \
        change; \
        CHECK(aprover_prove(&job, &error) == APROVER_ERROR_ARGUMENT); \
    } while (0)
    REFUSED(m[1].table = 1);
    REFUSED(m[1].columns = 0);
    REFUSED(m[1].columns = 3);
    REFUSED(m[1].count = 4);
    REFUSED(m[1].first = UINT32_MAX);
    REFUSED(m[1].arguments = NULL);
    REFUSED(m[1].arguments_count = 1);
    REFUSED(m[1].generator = 77);
#undef REFUSED
    printf("ok members are checked\n");
    close_fixture(&f);
}

/* How many tasks of each kind a proof has. */
typedef struct {
    const char *name[32];
    size_t count[32], kinds;
} task_counts;

static void count_task(void *counts, const char *task, int begins) {
    task_counts *c = counts;
    size_t i = 0;
    while (i < c->kinds && strcmp(c->name[i], task) != 0) i++;
    CHECK(i < 32);
    c->name[i] = task;
    c->count[i] += (size_t)begins;
    if (i == c->kinds) c->kinds++;
}

static task_counts tasks_of_a_proof(fixture *f) {
    aprover_team *team = (aprover_team *)(void *)aligned(aprover_team_memory());
    task_counts counts = {.kinds = 0};
    CHECK(aprover_team_init(team, 1, NULL) == APROVER_OK);
    apr_team_watch(team, count_task, &counts);
    open_fixture(f, (aprover_parameters){1, 0, 0, 0, 30});
    aprover_job job = job_of(f);
    job.team = team;
    place_trace(f, team);
    CHECK(aprover_prove(&job, NULL) == APROVER_OK);
    aprover_team_close(team);
    aprover_team_destroy(team);
    free(team);
    close_fixture(f);
    return counts;
}

/* Twice the rows are more tasks, not tasks that take twice as long: helpers can leave only between them. Kinds of few tasks are
 * those of the short FRI layers. */
static void tasks_do_not_grow(void) {
    enum { FEW = 40 };
    static fixture f;
    task_counts counts[2];
    for (uint32_t i = 0; i < 2; i++) {
        f.trace = trace_for(2u << (19 + i));
        fibonacci_air(&f.encoding, 19 + i, 10000, f.trace);
        counts[i] = tasks_of_a_proof(&f);
    }
    CHECK(counts[0].kinds >= 8);
    for (size_t k = 0; k < counts[0].kinds; k++) {
        size_t other = 0;
        while (other < counts[1].kinds && strcmp(counts[1].name[other], counts[0].name[k]) != 0) other++;
        CHECK(other < counts[1].kinds);
        CHECK(counts[0].count[k] < FEW || 2 * counts[1].count[other] >= 3 * counts[0].count[k]);
    }
    puts("ok tasks do not grow");
}

static size_t tasks, gave_way;

/* Instead of the system's. */
int sched_yield(void) {
    gave_way++;
    return 0;
}

static aprover_status set_in_the_second(void *flag, size_t index, uint32_t lane) {
    (void)lane;
    tasks++;
    *(int32_t *)flag = index == 1;
    return APROVER_OK;
}

/* After a task, and not after the others. */
static void threads_give_way_while_they_are_told(void) {
    int32_t flag = 0;
    aprover_team *team = (aprover_team *)(void *)aligned(aprover_team_memory());
    CHECK(aprover_team_init(team, 2, &flag) == APROVER_OK);
    CHECK(apr_parallel(team, set_in_the_second, &flag, 5) == APROVER_OK);
    CHECK(tasks == 5 && gave_way == 1);
    aprover_team_close(team);
    aprover_team_destroy(team);
    free(team);
    puts("ok threads give way while they are told");
}

#ifdef __linux__
typedef struct {
    uint8_t *arena;
    size_t pages, tasks;
} backed_arena;

static void all_is_backed(void *context, const char *task, int begins) {
    backed_arena *a = context;
    (void)task;
    if (!begins || a->tasks++ > 0) return;
    unsigned char *resident = malloc(a->pages);
    CHECK(resident != NULL && mincore(a->arena, a->pages * (size_t)sysconf(_SC_PAGESIZE), resident) == 0);
    for (size_t i = 0; i < a->pages; i++) CHECK(resident[i] & 1);
    free(resident);
}

/* In the first task no page of a new arena is met for the first time, nor in any other: that may take the system longer than a task may. */
static void tasks_find_their_memory_there(void) {
    static fixture f;
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    aprover_team *team = (aprover_team *)(void *)aligned(aprover_team_memory());
    CHECK(aprover_team_init(team, 1, NULL) == APROVER_OK);
    f.trace = trace_for(2u << 16);
    fibonacci_air(&f.encoding, 16, 10000, f.trace);
    open_fixture(&f, (aprover_parameters){1, 0, 0, 0, 30});
    backed_arena a = {.pages = (f.arena_bytes + page - 1) / page};
    a.arena = mmap(NULL, a.pages * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(a.arena != MAP_FAILED);
    apr_team_watch(team, all_is_backed, &a);
    aprover_job job = job_of(&f);
    job.team = team;
    job.arena = a.arena;
    memcpy(aprover_prove_trace(&job, 0), f.trace, 4 * (2u << 16));
    CHECK(aprover_prove(&job, NULL) == APROVER_OK && a.tasks > 0);
    CHECK(munmap(a.arena, a.pages * page) == 0);
    aprover_team_close(team);
    aprover_team_destroy(team);
    free(team);
    close_fixture(&f);
    puts("ok tasks find their memory there");
}
#else
static void tasks_find_their_memory_there(void) {}
#endif

int main(void) {
    narrow_traces();
    high_degrees();
    wide_traces();
    tall_trees();
    boundaries_on_many_rows();
    runs_of_rows();
    members_have_their_places();
    members_are_checked();
    several_tables();
    zero_knowledge();
    failures_are_named();
    arenas_are_reused();
    mutants_are_rejected();
    teams_give_the_same_bytes();
#ifdef __linux__
    helpers_keep_off();
#endif
    tasks_do_not_grow();
    tasks_find_their_memory_there();
    threads_give_way_while_they_are_told();
    return 0;
}
