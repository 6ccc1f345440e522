/* The state of one proof under way, shared by the phases of the prover. */
#ifndef APROVER_PROVER_H
#define APROVER_PROVER_H

#include "evaluator.h"
#include "mask.h"
#include "merkle.h"
#include "parallel.h"
#include "protocol.h"

/* A committed matrix over a level's domain. */
typedef struct {
    apr_matrix matrix; /* cosets 0 .. kept - 1 of the domain */
    apr_tree tree;
    uint32_t kept;
} apr_commitment;

/* Columns of coefficients. */
typedef struct {
    const uint32_t *values;
    size_t stride;
    uint32_t count;
    uint32_t log_n;
} apr_columns;

/* Columns of a matrix that stand side by side. */
typedef struct {
    apr_columns columns;
    uint32_t first;        /* in the matrix */
    uint32_t known_cosets; /* whose values are there already */
} apr_part;

typedef struct {
    const apr_table *table;
    const apr_table_plan *plan;
    size_t length;      /* of its polynomials */
    size_t stride;      /* between the lookup columns and between those of the quotient */
    uint32_t *trace;    /* columns, one after the other: k values each, then `length` coefficients */
    uint32_t *rows;     /* the trace's values, until lookups are made of them */
    uint32_t *lookup;   /* lookup columns, five base columns each */
    uint32_t *quotient; /* chunks likewise */
    fx sigma;           /* the lookup sum */
} apr_prover_table;

typedef struct {
    apr_commitment trees[APR_PHASES]; /* those with columns; the preprocessed one is the aprover_preprocessed's */
    apr_commitment layer;             /* of FRI */
    uint32_t *deep;                   /* five vectors of coefficients: G_t, and on level 0 D_0 and all that it is folded to, in the
                                         narrow layout only D_1 and on */
    size_t stride;                    /* between them */
    uint32_t *positions;              /* I_t */
    uint32_t queries;                 /* how many those are */
} apr_prover_level;

/* A point at which a level's columns are opened: z, or for tables of one height z * w(h)^offset. */
typedef struct {
    uint32_t level, log_height, offset;
    fx z;
} apr_opened_point;

/* Columns side by side that are opened at one point. Five base columns of an element make one opening. */
typedef struct {
    apr_columns columns;
    uint32_t point;
    uint32_t first_opening;
    int elements;
} apr_run;

/* What a column is masked with: see apr_random. Preprocessed columns are not. */
enum apr_stream { APR_STREAM_NONE, APR_STREAM_TRACE, APR_STREAM_LOOKUP, APR_STREAM_CHUNK, APR_STREAM_DEEP, APR_STREAM_SALT };

typedef struct {
    const aprover_job *job;
    const aprover_air *air;
    apr_plan plan;
    const apr_poly_kernels *poly;
    const apr_hash_kernels *hash;
    const apr_air_kernels *evaluator;
    apr_twiddles twiddles;
    apr_transcript transcript;
    apr_random random;      /* in zero knowledge */
    aprover_team *team;     /* NULL if one thread works: always for short traces */
    uint32_t lanes;
    uint32_t kept;          /* cosets of the large matrices that stay in memory, a power of two or none; the others are evaluated anew */

    /* Regions of the arena. */
    apr_prover_table *tables;
    apr_prover_level *levels;
    uint32_t *mask;         /* G, five vectors as long as level 0's, in zero knowledge */
    uint32_t *coset;        /* columns on one coset that is not kept, or not in the committed domain, as quotients need it */
    uint32_t *sparse;       /* 4 vectors for boundary constraints on many rows, else empty */
    uint32_t *scales;       /* likewise: the scales of these constraints */
    apr_fxv powers;         /* of z, for a slice of coefficients */
    uint32_t *work;         /* a vector over the challenge field: one point's part of the DEEP polynomial */
    size_t stride_work;
    uint32_t *reused;       /* the first quotient of level 0, if the DEEP polynomial may be made of it in its own memory; else NULL */
    fp *publics;
    fx *alphas;
    fx *openings;
    fx *lambdas;
    fx *slice_sums;         /* of the lookup columns */
    apr_opened_point *points;
    apr_run *runs;
    uint32_t points_count, runs_count;
    fx *dots;               /* sums of the columns under way, for each lane */
    fx *weights;            /* of the base columns of a run of elements */
    void *point_scratch;    /* of the evaluation at z */
    void *scratch;          /* of the evaluator, scratch_bytes for each lane */
    size_t scratch_bytes;
    uint32_t *proof_scratch; /* of the multi-proof */
    uint8_t *subtrees;      /* of one tall tree, where the queries fall */
    uint32_t *subtree_values; /* the values of their leaves, if they are evaluated again */
    uint32_t *column;       /* one column on one coset, likewise */

    apr_fingerprint fingerprint;
    fx first_beta;          /* of the first fold, which the narrow layout has before the DEEP polynomial is made */
    uint8_t *out;           /* where the proof is written */
    size_t used;
} apr_prover;

/* Nonzero if the job was cancelled. */
static inline int apr_stopped(const apr_prover *p) {
    return p->job->cancel != NULL && __atomic_load_n(p->job->cancel, __ATOMIC_RELAXED) != 0;
}
static inline void apr_progress(const apr_prover *p, uint32_t per_mille) {
    if (p->job->progress != NULL) __atomic_store_n(p->job->progress, per_mille, __ATOMIC_RELAXED);
}
/* The shift of coset j of level t's domain. */
static inline fp apr_coset_shift(const apr_plan *plan, uint32_t t, uint32_t j) {
    return fp_mul(apr_level_shift(plan, t), fp_pow(fp_root(plan->level[t].log_n), j));
}
/* Very long programs are polled often by taking fewer rows at once. */
static inline size_t apr_rows_at_once(const apr_table *table, size_t rows) {
    const size_t block = table->instructions > 1u << 16 ? 8 : APR_AIR_BLOCK;
    return rows < block ? rows : block;
}
/* Rows of a task of the evaluator, at most `most`: fewer for long programs and many lookups, whose rows take long. */
static inline size_t apr_rows_in_task(const apr_table *table, size_t most) {
    const size_t work = table->instructions + FX_DEGREE * (size_t)table->asserts + 120 * (size_t)table->interactions, allowed = 1u << 20;
    while (most > APR_AIR_BLOCK && most * work > allowed) most /= 2;
    return most;
}
#define APR_MAX_SUM_SLICES 1024 /* of a table's rows, when lookups are summed */

/* Cosets of a table's length that the quotient is evaluated on: enough for its degree, which is below chunks * stride. */
static inline uint32_t apr_quotient_cosets(const apr_table_plan *place) {
    return (uint32_t)(((size_t)place->chunks * place->stride + ((size_t)1 << place->log_length) - 1) >> place->log_length);
}
/* Whether nothing is evaluated again, so that the coefficients are free once the DEEP polynomials are made. */
static inline int apr_keeps_all(const apr_prover *p) { return p->kept == 1u << p->plan.log_blowup; }
/* Cosets of level t's matrices that are kept: of small ones, all. */
static inline uint32_t apr_kept(const apr_prover *p, uint32_t t) {
    return apr_tree_lowest(apr_tree_log_leaves(&p->plan, t)) == 0 ? 1u << p->plan.log_blowup : p->kept;
}
/* Whether the first level's DEEP polynomial is never made, but its fold at once: in the narrow layout, where it is not committed, unless
 * it is so short that vectors would not be filled. */
static inline int apr_folds_first(const apr_plan *plan) { return plan->narrow && plan->level[1].log_k >= 7; }
static inline const apr_table_plan *apr_first_on_top(const apr_plan *plan) {
    const apr_table_plan *place = plan->table;
    while (place->level > 0) place++;
    return place;
}
/* Coefficients that a task of the openings and of the DEEP polynomials takes at once: with the powers of z that belong to them they stay
 * in the second cache. */
enum { APR_LOG_SLICE = 13 };
static inline uint32_t apr_log_slice(uint32_t log_n) { return log_n < APR_LOG_SLICE ? log_n : APR_LOG_SLICE; }
/* Words after which the scales of boundary constraints on many rows repeat, filled up to a vector. */
static inline size_t apr_sparse_period(const apr_table *table, size_t length) {
    const size_t period = length >> table->log_height;
    return period < 8 ? 8 : period;
}
/* Whether the quotient is its only chunk and needs one coset, the first that it is committed on: its values are computed there, in the
 * matrix, and not once more from its coefficients. */
static inline int apr_quotient_in_place(const apr_prover *p, const apr_prover_table *t) {
    return t->plan->chunks == 1 && t->plan->masks == 0 && p->levels[t->plan->level].trees[APR_PHASE_QUOTIENT].kept > 0;
}
/* Column `first` of a matrix that is being filled: read-only for the hashing, its memory is the arena's own. */
static inline uint32_t *apr_committed(const apr_commitment *c, uint32_t first) {
    return (uint32_t *)(uintptr_t)c->matrix.values + c->matrix.stride * first;
}
static inline uint64_t apr_stream(enum apr_stream kind, uint32_t table, uint32_t column) {
    return (uint64_t)kind << 56 | (uint64_t)table << 32 | column;
}

/* arena.c */

typedef struct {
    uintptr_t base;
    size_t used;
} apr_bump;

/* Long vectors are set apart by a cache line more than a power of two, so that parallel streams do not share cache sets; longer ones by a
 * page and a line, so that these do not share those of the translation of addresses either. */
static inline size_t apr_padded(size_t n) { return n < 1024 ? n : n < 8192 ? n + 16 : n + 1040; }
/* Words between the columns of the subtrees' values, for as many subtrees as there may be on level t. */
static inline size_t apr_subtree_stride(const apr_plan *plan, uint32_t t) {
    return apr_padded(((size_t)plan->queries * APR_SUBTREE_LEAVES) << apr_tree_log_arity(plan, t));
}
void *apr_take(apr_bump *b, size_t bytes);
/* Room for level t's tree of so many columns, and for `kept` cosets of its matrix. */
void apr_lay_tree(apr_bump *b, const apr_plan *plan, uint32_t t, uint32_t columns, uint32_t log_arity, uint32_t kept, int salted,
                  apr_commitment *c);
/* Bind the regions to the arena, which needs `needed` bytes. Larger tables of earlier proofs are kept if the rest fits behind. */
aprover_status apr_open_arena(apr_prover *p, void *arena, size_t bytes, size_t *needed);
/* Have the system put memory behind all of the arena, once: by a write to each page that changes nothing. Until then the first write to
 * a page may take milliseconds, and helpers could not leave a task that makes one. APROVER_OK or APROVER_CANCELLED. */
aprover_status apr_back_arena(const apr_prover *p);

/* Phases. Each returns APROVER_OK or APROVER_CANCELLED unless said. */

/* commit.c: columns of 2^log_n values on the roots of unity, or on a coset of them with 1/scale as its shift, to coefficients, which may
 * take the place of the values. */
aprover_status apr_interpolate(const apr_prover *p, uint32_t *columns, size_t stride, const uint32_t *values, size_t values_stride,
                               uint32_t count, uint32_t log_n, fp scale);
/* Columns of values on a table's trace domain, k_stride apart, to the coefficients that are committed, `stride` >= k_stride apart in
 * the same memory: masked in zero knowledge. */
aprover_status apr_interpolate_table(const apr_prover *p, const apr_prover_table *t, uint32_t *columns, size_t k_stride, size_t stride,
                                     uint32_t count, enum apr_stream kind);
/* k coefficients in bit-reversed order to the order of `length` of them, the others zero; `to` may be `from` or lie behind it. */
void apr_spread(uint32_t *to, const uint32_t *from, size_t k, size_t length);
/* Evaluate columns on so many cosets, one after the other in `out`. */
aprover_status apr_evaluate(const apr_prover *p, const apr_columns *f, uint32_t *out, size_t stride, const fp *shifts, uint32_t cosets);
/* Evaluate columns on the domain of level t into the commitment's matrix, from column `first` and from coset `first_coset` on. */
aprover_status apr_extend(const apr_prover *p, const apr_columns *f, uint32_t t, const apr_commitment *c, uint32_t first,
                          uint32_t first_coset);
/* Hash the tree over the matrix, all of whose cosets are kept. */
aprover_status apr_hash_tree(const apr_prover *p, const apr_commitment *c);
/* The next part of a level's matrix: a table's columns, or at the end the mask. 0 if there is none; `next` begins with 0. */
int apr_next_part(const apr_prover *p, enum apr_phase phase, uint32_t t, uint32_t *next, apr_part *part);
/* A word of the salts of all leaves on one coset. */
aprover_status apr_draw_salts(const apr_prover *p, enum apr_phase phase, uint32_t t, uint32_t coset, uint32_t word, uint32_t *out);
/* Write the cap into the proof. */
void apr_write_cap(apr_prover *p, const apr_commitment *c);
/* A table's columns in a phase. */
apr_columns apr_phase_columns(const apr_prover *p, const apr_prover_table *t, enum apr_phase phase);
/* Extend a phase's columns, hash the trees, write the caps and absorb them. */
aprover_status apr_commit_phase(apr_prover *p, enum apr_phase phase);
/* preprocess.c */
apr_columns apr_preprocessed_columns(const aprover_preprocessed *preprocessed, uint32_t table);
const apr_commitment *apr_preprocessed_tree(const aprover_preprocessed *preprocessed, uint32_t level);
/* Whether it was made for this AIR and such parameters; without preprocessed columns it must be NULL. */
int apr_preprocessed_fits(const aprover_preprocessed *preprocessed, const aprover_air *air, const aprover_parameters *parameters);
/* lookup.c: draw the challenges, fill and commit the lookup columns, send the sums. APROVER_ERROR_LOOKUPS if they do not cancel. */
aprover_status apr_lookup(apr_prover *p);
/* quotient.c: the chunks' coefficients from the committed columns. */
aprover_status apr_quotient(apr_prover *p, const apr_prover_table *t);
/* deep.c: the openings of step 5, and G_t of step 6; in the narrow layout level 0's is folded as it is made. */
aprover_status apr_open_at_z(apr_prover *p, fx z);
aprover_status apr_deep_polynomials(apr_prover *p);
/* to += factor * from, vectors of 2^log_n elements */
aprover_status apr_add_vector(const apr_prover *p, apr_fxv to, apr_fxv from, fx factor, uint32_t log_n);
/* The fold of f, in memory that may be f's own. */
aprover_status apr_fold(const apr_prover *p, apr_fxv out, apr_fxv f, uint32_t log_n, uint32_t log_arity, fx beta);
/* fri.c: commit and fold until few coefficients are left, then send those; and the nonce. */
aprover_status apr_fri(apr_prover *p);
aprover_status apr_grind(apr_prover *p);
/* queries.c: draw the indices and open the trees. */
aprover_status apr_answer_queries(apr_prover *p);

#endif
