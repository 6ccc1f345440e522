/* aprover: a STARK prover and verifier in C11. This is the one public header.
 *
 * The protocol is docs/protocol.md. Rules that hold throughout:
 *  - no function allocates, has global mutable state or starts a thread; the caller gives memory, whose size can be asked for;
 *  - every function that can fail returns an aprover_status and fills the aprover_error, if one is given;
 *  - functions are re-entrant; two calls may run at once as long as they share no memory that one of them writes;
 *  - numbers at this interface are canonical residues below p = 2013265921; Montgomery form stays inside.
 */
#ifndef APROVER_H
#define APROVER_H

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#pragma GCC visibility push(default)
#endif

/* cffi: begin */

typedef enum aprover_status {
    APROVER_OK = 0,
    APROVER_CANCELLED = 1,        /* the cancel flag was set */
    APROVER_ERROR_ARGUMENT = 2,   /* a pointer, a count or a generator that makes no sense */
    APROVER_ERROR_AIR = 3,        /* the AIR's encoding breaks section 4; index: the word */
    APROVER_ERROR_MEMORY = 4,     /* the memory given is too small; index: the bytes needed */
    APROVER_ERROR_PUBLICS = 5,    /* a public value >= p; index: which */
    APROVER_ERROR_TRACE = 6,      /* a trace value >= p; detail: the table; index: column * rows + row */
    APROVER_ERROR_CONSTRAINTS = 7, /* the trace does not satisfy a table's constraints; detail: the table */
    APROVER_ERROR_LOOKUPS = 8,    /* the buses do not balance: the lookup sums do not add up to zero */
    /* what a verifier says of a proof, section 9 */
    APROVER_REJECT_PARAMETERS = 16,
    APROVER_REJECT_TRUNCATED = 17,
    APROVER_REJECT_NON_CANONICAL = 18,
    APROVER_REJECT_QUOTIENT = 19,
    APROVER_REJECT_GRINDING = 20,
    APROVER_REJECT_TRAILING = 21,
    APROVER_REJECT_TRACE_MERKLE = 22,
    APROVER_REJECT_QUOTIENT_MERKLE = 23,
    APROVER_REJECT_FRI_MERKLE = 24,
    APROVER_REJECT_DEEP = 25,
    APROVER_REJECT_FRI_FOLD = 26,
    APROVER_REJECT_FRI_FINAL = 27,
    APROVER_REJECT_LOOKUP_SUM = 28,
    APROVER_REJECT_PREPROCESSED_MERKLE = 29,
    APROVER_REJECT_LOOKUP_MERKLE = 30
} aprover_status;

typedef struct aprover_error {
    int32_t status;  /* the aprover_status returned */
    uint32_t detail; /* APROVER_ERROR_AIR: the rule of section 4 that is broken, an apr_air_rule of air.h; REJECT_QUOTIENT: the table;
                        the rejections of trees: the level; those of FRI: the layer */
    uint64_t index;  /* as said at the status */
} aprover_error;

/* ---- the AIR ---- */

typedef struct aprover_air aprover_air; /* checked and decoded; read-only once loaded, so it can be shared by threads */

/* What the tables have together. */
typedef struct aprover_shape {
    uint32_t tables;
    uint32_t publics;
    uint32_t constraints;     /* C of section 4.2 */
    uint32_t preprocessed;    /* columns, of all tables; 0: proofs need no aprover_preprocessed */
    uint32_t interactions;    /* of all tables */
    uint32_t bus_width;       /* the widest bus; 0 if there is none */
    uint32_t max_log_height;
} aprover_shape;

typedef struct aprover_table_shape {
    uint32_t log_height;
    uint32_t log_slots;
    uint32_t columns;         /* W, which the prover chooses */
    uint32_t preprocessed;    /* P */
    uint32_t reads;
    uint32_t interactions;
    uint32_t lookup_columns;  /* A, elements of the challenge field */
    uint32_t constraints;
    uint32_t degree;
    uint32_t rows_read;       /* o */
} aprover_table_shape;

/* Bytes that aprover_air_load needs for this encoding; 0 if its headers are invalid or its parts do not fill it. */
size_t aprover_air_memory(const uint32_t *words, size_t count);
/* Check and decode. `memory` (64-byte aligned) becomes the aprover_air and must outlive it; `words` need not. */
aprover_status aprover_air_load(const uint32_t *words, size_t count, void *memory, size_t bytes, aprover_error *error);
void aprover_air_shape(const aprover_air *air, aprover_shape *shape);
/* table: below shape.tables */
aprover_status aprover_air_table_shape(const aprover_air *air, uint32_t table, aprover_table_shape *shape);
void aprover_air_digest(const aprover_air *air, uint8_t digest[32]);

/* ---- parameters ---- */

enum aprover_flag {
    APROVER_FLAG_INDEPENDENT = 1,   /* independent batching coefficients, else powers of one */
    APROVER_FLAG_ZERO_KNOWLEDGE = 2 /* the proof is masked */
};

/* Section 5. */
typedef struct aprover_parameters {
    uint8_t log_blowup;
    uint8_t grinding_bits;
    uint8_t cap_log;
    uint8_t flags; /* of aprover_flag */
    uint32_t queries;
} aprover_parameters;

/* What the parameters make of an AIR, section 6. */
typedef struct aprover_proof_shape {
    uint32_t narrow;
    uint32_t folds;
    uint32_t log_length;         /* l_0 */
    uint32_t openings;           /* N */
    uint32_t preprocessed_bytes; /* of the preprocessed caps; 0 if the AIR has no such columns */
    uint32_t chunks[64];         /* of each table's quotient */
    uint32_t level[64];          /* of each table */
    uint32_t length[64];         /* log lambda of each table */
} aprover_proof_shape;

/* APROVER_REJECT_PARAMETERS if the parameters break sections 5 or 6 for this AIR. */
aprover_status aprover_proof_shape_of(const aprover_air *air, const aprover_parameters *parameters, aprover_proof_shape *shape);

/* ---- preprocessed columns ---- */

/* The commitment to an AIR's preprocessed columns. It depends on the AIR, log_blowup, cap_log and, in zero knowledge, the queries; it is
 * read-only once made, so it can be shared by threads. */
typedef struct aprover_preprocessed aprover_preprocessed;

/* Bytes that it needs; 0 if the parameters do not fit the AIR or the AIR has no preprocessed columns. */
size_t aprover_preprocess_memory(const aprover_air *air, const aprover_parameters *parameters);
/* Make it in `memory` (64-byte aligned), which must outlive it, as must the AIR. cancel: as in a job. NULL on failure. */
const aprover_preprocessed *aprover_preprocess(const aprover_air *air, const aprover_parameters *parameters, void *memory,
                                               size_t bytes, const int32_t *cancel, uint32_t path, aprover_error *error);
/* Its caps, which are all that a verifier needs; `bytes` becomes their length. */
const uint8_t *aprover_preprocessed_caps(const aprover_preprocessed *preprocessed, size_t *bytes);

/* ---- proving ---- */

/* Trace generators that are built in; 0 means that the caller has written the trace. */
typedef enum aprover_generator {
    APROVER_GENERATOR_NONE = 0,
    APROVER_GENERATOR_FIBONACCI = 1,      /* 2 columns; arguments a, b */
    APROVER_GENERATOR_POSEIDON2_CHAIN = 2, /* arguments: the 16 words of the seed */
    APROVER_GENERATOR_SHA256 = 3           /* arguments: the 32-bit words of the padded message, 16 a block */
} aprover_generator;

/* Statements whose traces one generator makes, slot after slot of a table of an aggregate (section 14): slot i is run i mod 2^log_slots of
 * copy i >> log_slots of the columns. */
typedef struct aprover_members {
    uint32_t table;
    uint32_t generator;
    uint32_t columns;          /* of one statement */
    uint32_t first, count;     /* slots */
    uint32_t arguments_count;  /* of each statement */
    const uint32_t *arguments; /* one statement's after the other's */
} aprover_members;

/* Threads that work on one proof together (parallel.c). The caller gives the memory and the threads. */
typedef struct aprover_team aprover_team;

typedef struct aprover_job {
    const aprover_air *air;
    aprover_parameters parameters;
    const aprover_preprocessed *preprocessed; /* NULL if and only if the AIR has no preprocessed columns */
    const uint8_t *entropy;    /* 32 bytes of the system's randomness, never used twice; NULL without APROVER_FLAG_ZERO_KNOWLEDGE */
    uint32_t generator;        /* of table 0; an AIR of several tables has none */
    uint32_t arguments_count;
    const uint32_t *arguments; /* of the generator */
    const aprover_members *members; /* may be NULL; the caller has written the slots that are not among them */
    size_t members_count;
    const uint32_t *publics;   /* as many as the AIR has */
    uint32_t *found;           /* NULL, or the publics' memory: a UINT32_MAX there becomes the value of a cell where a boundary has it */
    const uint8_t *statement;
    size_t statement_length;
    void *arena;               /* aprover_prove_memory bytes, 64-byte aligned; the fewer they are, the more is evaluated twice */
    size_t arena_bytes;
    uint8_t *proof;            /* aprover_proof_bound bytes */
    size_t proof_capacity;
    size_t proof_length;       /* out */
    const int32_t *cancel;     /* may be NULL; polled at least every 10 ms; nonzero stops */
    uint32_t *progress;        /* may be NULL; grows from 0 to 1000 */
    uint32_t path;             /* 0: the best instruction set here, 1: portable, 2: AVX2, 3: AVX-512 */
    uint32_t status;           /* out: the aprover_status */
    aprover_team *team;        /* may be NULL; the proof's bytes are the same */
} aprover_job;

/* Bytes of arena that a proof by so many threads (1 to 16) needs: with limit 0 as many as are of use, else as many as are of use up to the
 * limit, or, if there is no such proof, the least that it needs. Its bytes are the same. 0 if the parameters do not fit the AIR. */
size_t aprover_prove_memory(const aprover_air *air, const aprover_parameters *parameters, uint32_t lanes, size_t limit);
/* An upper bound of the proof's length, or 0 likewise. */
size_t aprover_proof_bound(const aprover_air *air, const aprover_parameters *parameters);
/* Where in the job's arena the trace of a table belongs, if the caller writes it: column c, row i at [c * rows + i]; of the job only the
 * AIR, the parameters, the arena and the team are looked at. The arena keeps tables from one proof to the next, so its first use must be
 * with the first 64 bytes zero. NULL if it is too small. The proof consumes the trace. */
uint32_t *aprover_prove_trace(const aprover_job *job, uint32_t table);
/* Make the proof. On any failure nothing usable is in `proof`, and proof_length is 0. */
aprover_status aprover_prove(aprover_job *job, aprover_error *error);
/* Make several, one after the other; each job has its own status, and its error if errors is not NULL. Jobs may share an arena. */
void aprover_prove_batch(aprover_job *jobs, size_t count, aprover_error *errors);

size_t aprover_team_memory(void);
/* lanes: 1 to 16 threads, the proving one included. give_way: may be NULL; while it is nonzero, each of them lets other threads have its
 * processor, if any waits for it, whenever it has finished a task. */
aprover_status aprover_team_init(aprover_team *team, uint32_t lanes, const int32_t *give_way);
/* Work on the team's proofs until `leave` (which may be NULL) becomes nonzero, seen within 0.5 ms or at the end of a task, or until
 * the team is closed. Returns at once if all lanes are taken. On Linux the calling thread may be kept off the proving thread's
 * processor meanwhile; what it may use is as before when this returns. */
void aprover_help(aprover_team *team, const int32_t *leave);
/* Send the helpers home and wait until they are gone; no proof may be under way. Then destroy, then free the memory. */
void aprover_team_close(aprover_team *team);
void aprover_team_destroy(aprover_team *team);
/* Run a trace generator alone. cancel: as in a job. */
aprover_status aprover_generate(uint32_t generator, const uint32_t *arguments, size_t count, uint32_t *trace,
                                uint32_t columns, uint32_t log_height, const int32_t *cancel);

/* ---- verifying ---- */

/* Bytes of scratch memory that a verification needs; 0 if the parameters do not fit the AIR. */
size_t aprover_verify_memory(const aprover_air *air, const aprover_parameters *parameters);
/* The first three checks of section 9, which come before whatever grows with the parameters: these fit the AIR, all of the proof up to
 * the nonce is there and canonical, the lookup sums add up to zero. The parameters are valid from then on. */
aprover_status aprover_proof_head(const aprover_air *air, const uint8_t *proof, size_t length, aprover_parameters *parameters,
                                  aprover_error *error);
/* Check a proof. Whether its parameters are strong enough is for the caller to judge (section 10). caps: those of the AIR's preprocessed
 * columns under the proof's own parameters, NULL and 0 if it has none; they are the caller's, never the prover's. */
aprover_status aprover_verify(const aprover_air *air, const uint8_t *caps, size_t caps_length, const uint32_t *publics,
                              const uint8_t *statement, size_t statement_length, const uint8_t *proof, size_t length, void *memory,
                              size_t bytes, uint32_t path, aprover_error *error);

/* ---- parts that are useful alone ---- */

/* BLAKE3 in keyed mode, 32 bytes out. */
void aprover_blake3_keyed(const uint8_t key[32], const uint8_t *data, size_t length, uint8_t out[32]);
/* `count` Poseidon2 permutations over BabyBear, width 16, on canonical values; half a microsecond each with AVX2. cancel: as in a job. */
aprover_status aprover_poseidon2_chain(uint32_t state[16], uint64_t count, const int32_t *cancel);
/* The instruction set that a path takes here: 1 portable, 2 AVX2, 3 AVX-512. */
uint32_t aprover_path(uint32_t path);

/* cffi: end */

#if defined(__GNUC__)
#pragma GCC visibility pop
#endif

#endif
