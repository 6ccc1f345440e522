/* The memory of a proof: one arena that the caller gives, laid out before anything is computed. */
#include "prover.h"

enum { ARENA_MAGIC = 0x31525041 };

/* The first 64 bytes of an arena; the twiddles behind them outlive a proof. */
typedef struct {
    uint32_t magic, log_twiddles;
    uint8_t unused[56];
} arena_header;

static size_t round_up(size_t bytes) { return (bytes + 63) & ~(size_t)63; }

/* Long vectors are set apart by a cache line more than a power of two, so that parallel streams do not share cache sets. */
static size_t padded(size_t n) { return n < 1024 ? n : n + 16; }

typedef struct {
    uintptr_t base;
    size_t used;
} bump;

static void *take(bump *b, size_t bytes) {
    void *here = (void *)(b->base + b->used);
    b->used += round_up(bytes);
    return here;
}

static void lay_commitment(bump *b, const apr_plan *plan, apr_commitment *c, uint32_t columns, uint32_t t, int octets) {
    const uint32_t log_k = apr_layer_log_k(plan, t);
    const size_t stride = padded((size_t)1 << (plan->log_n - APR_LOG_ARITY * t));
    c->octets = octets;
    c->matrix = (apr_matrix){take(b, 4 * stride * columns), stride, columns, log_k, plan->log_blowup};
    c->tree.log_leaves = plan->log_n - APR_LOG_ARITY * (t + (octets ? 1 : 0));
    c->tree.log_cap = apr_log_cap(plan, c->tree.log_leaves);
    c->tree.nodes = take(b, apr_tree_bytes(c->tree.log_leaves, c->tree.log_cap));
}

/* Lay the arena out; returns its size. With base 0 it only measures. */
static size_t lay_out(apr_prover *p, uintptr_t base, uint32_t log_twiddles) {
    const aprover_air *air = p->air;
    const apr_plan *plan = &p->plan;
    const size_t k = (size_t)1 << plan->log_k;
    bump b = {base, sizeof(arena_header)};
    take(&b, apr_twiddles_bytes(log_twiddles));
    p->stride_k = padded(k);
    p->trace = take(&b, 4 * k * air->columns);
    lay_commitment(&b, plan, &p->trace_commitment, plan->columns, 0, plan->narrow);
    p->trace_lde = (uint32_t *)(uintptr_t)p->trace_commitment.matrix.values;
    p->quotient = take(&b, 4 * p->stride_k * plan->quotient_columns);
    lay_commitment(&b, plan, &p->quotient_commitment, plan->quotient_columns, 0, plan->narrow);
    p->quotient_lde = (uint32_t *)(uintptr_t)p->quotient_commitment.matrix.values;
    p->coset = take(&b, air->chunks > 1u << plan->log_blowup ? 4 * k * air->columns : 0);
    p->sparse = take(&b, air->rows > APR_DIRECT_ROWS ? 4 * 4 * k : 0);
    p->work = take(&b, 4 * p->stride_k * FX_DEGREE);
    p->deep = take(&b, 4 * p->stride_k * FX_DEGREE);
    for (uint32_t t = plan->first_layer; t < plan->folds; t++) lay_commitment(&b, plan, &p->layers[t], FX_DEGREE, t, 1);
    p->publics = take(&b, 4 * (size_t)air->publics);
    p->alphas = take(&b, sizeof(fx) * air->constraints);
    p->openings = take(&b, sizeof(fx) * plan->openings);
    p->lambdas = take(&b, sizeof(fx) * plan->openings);
    const size_t run = air->columns > plan->quotient_columns ? air->columns : plan->quotient_columns;
    p->dots = take(&b, sizeof(fx) * run * p->lanes);
    p->point_scratch = take(&b, apr_air_quotient_scratch(air));
    p->scratch_bytes = round_up(apr_air_coset_scratch(air));
    p->scratch = take(&b, p->scratch_bytes * p->lanes);
    p->indices = take(&b, 4 * (size_t)plan->queries);
    p->layer_indices = take(&b, 4 * (size_t)plan->queries);
    p->proof_scratch = take(&b, 4 * (size_t)plan->queries);
    return b.used;
}

size_t aprover_prove_memory(const aprover_air *air, const aprover_parameters *parameters, uint32_t lanes) {
    apr_prover p = {.air = air, .lanes = lanes};
    if (air == NULL || parameters == NULL || lanes < 1 || lanes > APR_MAX_LANES) return 0;
    if (apr_plan_make(air, parameters, &p.plan) != APROVER_OK) return 0;
    return lay_out(&p, 0, air->log_height);
}

size_t aprover_proof_bound(const aprover_air *air, const aprover_parameters *parameters) {
    apr_plan plan;
    if (air == NULL || parameters == NULL || apr_plan_make(air, parameters, &plan) != APROVER_OK) return 0;
    size_t digests = 2 * (size_t)plan.log_leaves, bytes = plan.head_bytes;
    bytes += plan.queries * (apr_leaf_bytes(&plan, plan.columns) + apr_leaf_bytes(&plan, plan.quotient_columns));
    for (uint32_t t = plan.first_layer; t < plan.folds; t++) {
        digests += apr_layer_log_leaves(&plan, t);
        bytes += plan.queries * apr_layer_leaf_bytes();
    }
    return bytes + plan.queries * digests * APR_DIGEST_BYTES;
}

aprover_status apr_open_arena(apr_prover *p, void *arena, size_t bytes, size_t *needed) {
    arena_header *header = arena;
    uint32_t log_twiddles = p->plan.log_k;
    *needed = lay_out(p, 0, log_twiddles);
    if (arena == NULL || ((uintptr_t)arena & 63) != 0 || bytes < *needed) return APROVER_ERROR_MEMORY;
    if (header->magic == ARENA_MAGIC && header->log_twiddles > log_twiddles &&
        lay_out(p, 0, header->log_twiddles) <= bytes)
        log_twiddles = header->log_twiddles;
    lay_out(p, (uintptr_t)arena, log_twiddles);
    void *memory = (uint8_t *)arena + sizeof(arena_header);
    if (header->magic == ARENA_MAGIC && header->log_twiddles == log_twiddles) {
        p->twiddles = (apr_twiddles){memory, log_twiddles};
    } else {
        header->magic = 0;
        apr_twiddles_init(&p->twiddles, log_twiddles, memory);
        header->log_twiddles = log_twiddles;
        header->magic = ARENA_MAGIC;
    }
    return APROVER_OK;
}

uint32_t *aprover_prove_trace(const aprover_job *job) {
    if (job == NULL || job->air == NULL) return NULL;
    apr_prover p = {.air = job->air, .lanes = apr_lanes(job->team)};
    size_t needed;
    if (apr_plan_make(job->air, &job->parameters, &p.plan) != APROVER_OK) return NULL;
    return apr_open_arena(&p, job->arena, job->arena_bytes, &needed) == APROVER_OK ? p.trace : NULL;
}
