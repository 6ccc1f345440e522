/* Prove and verify whole statements: layouts, degrees beyond the blowup, boundaries on many rows, failures, mutants. */
#include <pthread.h>
#include <stdlib.h>

#include "../../csrc/dispatch.h"
#include "airs.h"

static uint8_t *aligned(size_t bytes) {
    uint8_t *memory = aligned_alloc(64, (bytes + 63) & ~(size_t)63);
    CHECK(memory != NULL);
    return memory;
}

typedef struct {
    test_air encoding;
    uint32_t *trace;
    uint8_t *air_memory;
    const aprover_air *air;
    aprover_parameters parameters;
    uint8_t *arena, *proof, *scratch;
    size_t arena_bytes, proof_capacity, scratch_bytes, length;
} fixture;

static const uint8_t statement[] = "a statement";

static void open_fixture(fixture *f, aprover_parameters parameters) {
    aprover_error error;
    const size_t bytes = aprover_air_memory(f->encoding.words, f->encoding.count);
    f->air_memory = aligned(bytes);
    CHECK(aprover_air_load(f->encoding.words, f->encoding.count, f->air_memory, bytes, &error) == APROVER_OK);
    f->air = (const aprover_air *)f->air_memory;
    f->parameters = parameters;
    f->arena_bytes = aprover_prove_memory(f->air, &parameters, 1);
    f->proof_capacity = aprover_proof_bound(f->air, &parameters);
    f->scratch_bytes = aprover_verify_memory(f->air, &parameters);
    CHECK(f->arena_bytes > 0 && f->proof_capacity > 0 && f->scratch_bytes > 0);
    f->arena = aligned(f->arena_bytes);
    memset(f->arena, 0, 64);
    f->proof = aligned(f->proof_capacity);
    f->scratch = aligned(f->scratch_bytes);
}

static void close_fixture(fixture *f) {
    free(f->air_memory);
    free(f->arena);
    free(f->proof);
    free(f->scratch);
    free(f->trace);
}

static aprover_job job_of(fixture *f) {
    return (aprover_job){.air = f->air, .parameters = f->parameters, .publics = f->encoding.publics, .statement = statement,
                         .statement_length = sizeof statement, .arena = f->arena, .arena_bytes = f->arena_bytes,
                         .proof = f->proof, .proof_capacity = f->proof_capacity};
}

static void place_trace(fixture *f, aprover_team *team) {
    aprover_job job = job_of(f);
    job.team = team;
    uint32_t *trace = aprover_prove_trace(&job);
    CHECK(trace != NULL);
    memcpy(trace, f->trace, 4 * (size_t)f->encoding.columns << f->encoding.log_height);
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
    aprover_status status = aprover_proof_parameters(f->air, proof, length, &parameters, &error);
    if (status != APROVER_OK) return status;
    const size_t bytes = aprover_verify_memory(f->air, &parameters);
    uint8_t *scratch = aligned(bytes);
    status = aprover_verify(f->air, f->encoding.publics, statement, sizeof statement, proof, length, scratch, bytes, path, &error);
    free(scratch);
    CHECK((int32_t)status == error.status);
    return status;
}

/* Every path gives the same bytes, which verify on every path; a wrong cell anywhere is not proved. */
static void proves_and_verifies(fixture *f, aprover_parameters parameters) {
    aprover_error error;
    open_fixture(f, parameters);
    CHECK(prove(f, APR_PATH_PORTABLE, &error) == APROVER_OK);
    CHECK(f->length > 0 && f->length <= f->proof_capacity);
    uint8_t *first = aligned(f->length);
    const size_t length = f->length;
    memcpy(first, f->proof, length);
    CHECK(prove(f, APR_PATH_AVX2, &error) == APROVER_OK);
    CHECK(f->length == length && memcmp(first, f->proof, length) == 0);
    CHECK(verify_bytes(f, first, length, APR_PATH_PORTABLE) == APROVER_OK);
    CHECK(verify_bytes(f, first, length, APR_PATH_AVX2) == APROVER_OK);

    const uint32_t k = 1u << f->encoding.log_height, rows[4] = {0, k / 2, k - 2, k - 1};
    for (int i = 0; i < 4; i++) {
        f->trace[rows[i]] ^= 1;
        CHECK(prove(f, APR_PATH_AUTO, &error) == APROVER_ERROR_CONSTRAINTS && f->length == 0);
        f->trace[rows[i]] ^= 1;
    }
    f->encoding.publics[0] ^= 1;
    CHECK(verify_bytes(f, first, length, APR_PATH_AUTO) != APROVER_OK);
    f->encoding.publics[0] ^= 1;
    free(first);
}

static void narrow_traces(void) {
    static fixture f;
    for (uint32_t h = 3; h <= 12; h++) {
        f.trace = malloc(8u << h);
        fibonacci_air(&f.encoding, h, (1u << h) - h + 3, f.trace);
        proves_and_verifies(&f, (aprover_parameters){1 + h % 3, h % 5, h % 4, h & 1, h < 8 ? 1u << (h - 3) : 20});
        close_fixture(&f);
    }
    puts("ok narrow traces of 2^3 to 2^12 rows");
}

static void high_degrees(void) {
    static fixture f;
    for (uint32_t degree = 2; degree <= 8; degree++) {
        f.trace = malloc(4u << 7);
        power_air(&f.encoding, 7, 1, degree, 4, f.trace);
        proves_and_verifies(&f, (aprover_parameters){1, 0, 0, 0, 20}); /* up to 8 chunks at blowup 2 */
        close_fixture(&f);
    }
    puts("ok degrees 2 to 8 at blowup 2");
}

static void wide_traces(void) {
    static fixture f;
    for (uint32_t h = 3; h <= 10; h++) {
        f.trace = malloc(4u * 40 << h);
        power_air(&f.encoding, h, 40, 3, 2, f.trace);
        proves_and_verifies(&f, (aprover_parameters){1 + h % 2, 2, h % 3, 1, h < 5 ? 7 : 40});
        close_fixture(&f);
    }
    puts("ok wide traces of 2^3 to 2^10 rows");
}

static void boundaries_on_many_rows(void) {
    static fixture f;
    for (uint32_t bound = 1; bound <= 256; bound *= 4) {
        f.trace = malloc(4u * 2 << 8);
        power_air(&f.encoding, 8, 2, 2, bound, f.trace);
        proves_and_verifies(&f, (aprover_parameters){2, 0, 0, 0, 30});
        close_fixture(&f);
    }
    puts("ok boundaries on 1 to 256 rows");
}

static int32_t set_flag = 1;

static void failures_are_named(void) {
    static fixture f;
    aprover_error error;
    f.trace = malloc(8u << 8);
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
    large.trace = malloc(8u << 10);
    small.trace = malloc(8u << 4);
    fibonacci_air(&large.encoding, 10, 1000, large.trace);
    fibonacci_air(&small.encoding, 4, 16, small.trace);
    open_fixture(&large, (aprover_parameters){2, 0, 0, 0, 30});
    open_fixture(&small, (aprover_parameters){2, 0, 0, 0, 6});
    CHECK(prove(&large, 0, &error) == APROVER_OK && prove(&small, 0, &error) == APROVER_OK);
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
        f.trace = malloc(4u * 40 << 7);
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

/* Helpers, of which one leaves in the middle and one finds no lane, change nothing in the bytes. */
static void teams_give_the_same_bytes(void) {
    static fixture f;
    aprover_error error;
    aprover_team *team = (aprover_team *)(void *)aligned(aprover_team_memory());
    for (int wide = 0; wide < 2; wide++) {
        const uint32_t h = 13 + (wide == 0);
        f.trace = malloc(4u * 40 << h);
        if (wide) power_air(&f.encoding, h, 40, 3, 20, f.trace);
        else fibonacci_air(&f.encoding, h, 10000, f.trace);
        open_fixture(&f, (aprover_parameters){1, 12, 2, 0, 30});
        CHECK(prove(&f, 0, &error) == APROVER_OK);
        uint8_t *alone = aligned(f.length);
        const size_t length = f.length;
        memcpy(alone, f.proof, length);

        CHECK(aprover_team_init(team, 3) == APROVER_OK);
        free(f.arena);
        f.arena_bytes = aprover_prove_memory(f.air, &f.parameters, 3);
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

int main(void) {
    narrow_traces();
    high_degrees();
    wide_traces();
    boundaries_on_many_rows();
    failures_are_named();
    arenas_are_reused();
    mutants_are_rejected();
    teams_give_the_same_bytes();
    return 0;
}
