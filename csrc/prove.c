/* The prover: the order of docs/protocol.md section 7, and the memory of a proof. */
#include <string.h>

#include "prover.h"

enum {
    ARENA_MAGIC = 0x31525041,
    HASH_SLICE = 1 << 17 /* compressions between two looks at the cancel flag: about 3 ms with eight lanes, 8 ms without */
};

/* The first 64 bytes of an arena; the twiddles behind them outlive a proof. */
typedef struct {
    uint32_t magic, log_twiddles;
    uint8_t unused[56];
} arena_header;

int apr_poll_cancel(void *prover) { return apr_stopped(prover); }

static size_t round_up(size_t bytes) { return (bytes + 63) & ~(size_t)63; }

/* Long vectors are set apart by a cache line more than a power of two, so that parallel streams do not share cache sets. */
static size_t padded(size_t n) { return n < 1024 ? n : n + 16; }

/* ---- memory ---- */

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
    size_t at_point = apr_air_quotient_scratch(air), on_coset = apr_air_coset_scratch(air);
    p->scratch = take(&b, at_point > on_coset ? at_point : on_coset);
    p->indices = take(&b, 4 * (size_t)plan->queries);
    p->layer_indices = take(&b, 4 * (size_t)plan->queries);
    p->proof_scratch = take(&b, 4 * (size_t)plan->queries);
    return b.used;
}

size_t aprover_prove_memory(const aprover_air *air, const aprover_parameters *parameters) {
    apr_prover p = {.air = air};
    if (air == NULL || parameters == NULL || apr_plan_make(air, parameters, &p.plan) != APROVER_OK) return 0;
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

/* Bind p's regions to the arena; keeps larger twiddle tables of earlier proofs as long as the rest fits behind them. */
static aprover_status open_arena(apr_prover *p, void *arena, size_t bytes, size_t *needed) {
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

uint32_t *aprover_prove_trace(const aprover_air *air, const aprover_parameters *parameters, void *arena, size_t bytes) {
    apr_prover p = {.air = air};
    size_t needed;
    if (air == NULL || parameters == NULL || apr_plan_make(air, parameters, &p.plan) != APROVER_OK) return NULL;
    return open_arena(&p, arena, bytes, &needed) == APROVER_OK ? p.trace : NULL;
}

/* ---- commitments ---- */

aprover_status apr_extend(const apr_prover *p, const uint32_t *coefficients, size_t stride, uint32_t t, apr_commitment *c) {
    const uint32_t log_k = c->matrix.log_coset, blowup = 1u << c->matrix.log_blowup;
    uint32_t *values = (uint32_t *)(uintptr_t)c->matrix.values; /* the arena's own memory */
    for (uint32_t column = 0; column < c->matrix.columns; column++)
        for (uint32_t j = 0; j < blowup; j++) {
            uint32_t *out = values + c->matrix.stride * column + ((size_t)j << log_k);
            if (p->poly->evaluate(&p->twiddles, out, coefficients + stride * column, log_k, apr_coset_shift(&p->plan, t, j),
                                  apr_poll_cancel, (void *)(uintptr_t)p) || apr_stopped(p))
                return APROVER_CANCELLED;
        }
    return APROVER_OK;
}

static aprover_status hash_tree(const apr_prover *p, const apr_commitment *c) {
    const size_t leaves = (size_t)1 << c->tree.log_leaves;
    const size_t compressions = ((size_t)4 * c->matrix.columns * (c->octets ? APR_ARITY : 1) + 63) / 64;
    size_t slice = HASH_SLICE / compressions & ~(size_t)7;
    if (slice < 8) slice = 8;
    for (size_t first = 0; first < leaves; first += slice) {
        size_t count = leaves - first < slice ? leaves - first : slice;
        (c->octets ? p->hash->hash_octets : p->hash->hash_rows)(&c->matrix, first, count, apr_tree_node(&c->tree, 0, first));
        if (apr_stopped(p)) return APROVER_CANCELLED;
    }
    for (uint32_t level = 1; level <= c->tree.log_leaves - c->tree.log_cap; level++) {
        const size_t nodes = leaves >> level;
        for (size_t first = 0; first < nodes; first += HASH_SLICE) {
            size_t count = nodes - first < HASH_SLICE ? nodes - first : HASH_SLICE;
            apr_tree_hash_level(p->hash, &c->tree, level, first, count);
            if (apr_stopped(p)) return APROVER_CANCELLED;
        }
    }
    return APROVER_OK;
}

aprover_status apr_commit(apr_prover *p, apr_commitment *c, enum apr_tag tag) {
    aprover_status status = hash_tree(p, c);
    if (status != APROVER_OK) return status;
    const size_t bytes = (size_t)APR_DIGEST_BYTES << c->tree.log_cap;
    memcpy(p->out + p->used, apr_tree_cap(&c->tree), bytes);
    apr_transcript_absorb(&p->transcript, tag, p->out + p->used, bytes);
    p->used += bytes;
    return APROVER_OK;
}

/* ---- the phases ---- */

static aprover_status commit_trace(apr_prover *p, aprover_error *error) {
    const size_t k = (size_t)1 << p->plan.log_k;
    for (uint32_t c = 0; c < p->air->columns; c++) {
        size_t bad = p->poly->from_canonical(p->trace + c * k, k);
        if (bad < k) {
            *error = (aprover_error){APROVER_ERROR_TRACE, 0, c * k + bad};
            return APROVER_ERROR_TRACE;
        }
        if (p->poly->interpolate(&p->twiddles, p->trace + c * k, p->plan.log_k, apr_poll_cancel, p) || apr_stopped(p))
            return APROVER_CANCELLED;
    }
    aprover_status status = apr_extend(p, p->trace, k, 0, &p->trace_commitment);
    return status == APROVER_OK ? apr_commit(p, &p->trace_commitment, APR_TAG_TRACE_CAP) : status;
}

static aprover_status commit_quotient(apr_prover *p, fx alpha) {
    aprover_status status = apr_quotient(p, alpha);
    if (status == APROVER_OK) status = apr_extend(p, p->quotient, p->stride_k, 0, &p->quotient_commitment);
    return status == APROVER_OK ? apr_commit(p, &p->quotient_commitment, APR_TAG_QUOTIENT_CAP) : status;
}

/* The end of the run of reads from `first` on that share its offset and have consecutive columns. */
static uint32_t run_end(const aprover_air *air, uint32_t first) {
    uint32_t end = first + 1;
    while (end < air->reads && air->read[end] == air->read[end - 1] + 1) end++;
    return end;
}

/* out[c] = the dot products of columns with the powers, cut so that the flag is polled. */
static aprover_status open_columns(apr_prover *p, fx *out, const uint32_t *x, size_t stride, uint32_t columns) {
    const size_t k = (size_t)1 << p->plan.log_k, slice = k < 65536 ? k : 65536;
    for (uint32_t c = 0; c < columns; c++) out[c] = fx_zero();
    for (uint32_t c = 0; c < columns; c += 32)
        for (size_t i = 0; i < k; i += slice) {
            apr_fxv powers = {p->work + i, p->stride_k};
            p->poly->dot_columns(out + c, x + c * stride + i, stride, columns - c < 32 ? columns - c : 32, powers, slice);
            if (apr_stopped(p)) return APROVER_CANCELLED;
        }
    return APROVER_OK;
}

/* Values at z * w^offset of every read, and of the chunks at z. */
static aprover_status open_at_z(apr_prover *p, fx z) {
    const aprover_air *air = p->air;
    const size_t k = (size_t)1 << p->plan.log_k;
    const fp w = fp_root(p->plan.log_k);
    const apr_fxv powers = {p->work, p->stride_k};
    uint32_t offset = UINT32_MAX;
    for (uint32_t i = 0, end; i < air->reads; i = end) {
        end = run_end(air, i);
        if (apr_read_offset(air->read[i]) != offset) {
            offset = apr_read_offset(air->read[i]);
            if (p->poly->powers(powers, p->plan.log_k, fx_scale(z, fp_pow(w, offset)), apr_poll_cancel, p))
                return APROVER_CANCELLED;
        }
        const uint32_t *columns = p->trace + k * apr_read_column(air->read[i]);
        aprover_status status = open_columns(p, p->openings + i, columns, k, end - i);
        if (status != APROVER_OK) return status;
        if (end != air->columns) continue;
        for (uint32_t j = 0; j < p->plan.chunks; j++) { /* the first run is all columns at offset 0: z itself */
            fx part[FX_DEGREE], value = fx_zero();
            status = open_columns(p, part, p->quotient + (size_t)j * FX_DEGREE * p->stride_k, p->stride_k, FX_DEGREE);
            if (status != APROVER_OK) return status;
            for (int e = 0; e < FX_DEGREE; e++) value = fx_add(value, apr_shift_fx(part[e], e));
            p->openings[air->reads + j] = value;
        }
    }
    return APROVER_OK;
}

static void clear(apr_fxv x, size_t n) {
    for (int e = 0; e < FX_DEGREE; e++) memset(x.values + e * x.stride, 0, 4 * n);
}

/* Add columns with challenge-field coefficients, cut so that the flag is polled. */
static aprover_status add_columns(apr_prover *p, apr_fxv to, const uint32_t *x, size_t stride, uint32_t columns,
                                  const fx *coefficients) {
    const size_t k = (size_t)1 << p->plan.log_k, slice = k < 65536 ? k : 65536;
    for (size_t i = 0; i < k; i += slice)
        for (uint32_t c = 0; c < columns; c += 32) {
            p->poly->accumulate((apr_fxv){to.values + i, to.stride}, x + c * stride + i, stride,
                                columns - c < 32 ? columns - c : 32, coefficients + c, slice);
            if (apr_stopped(p)) return APROVER_CANCELLED;
        }
    return APROVER_OK;
}

/* D_0: for each point the weighted sum of what is opened there, divided by (X - point), on coefficients. */
static aprover_status deep_polynomial(apr_prover *p, fx z) {
    const aprover_air *air = p->air;
    const size_t k = (size_t)1 << p->plan.log_k;
    const fp w = fp_root(p->plan.log_k);
    const apr_fxv deep = {p->deep, p->stride_k}, work = {p->work, p->stride_k};
    for (uint32_t i = 0; i < air->reads;) {
        const uint32_t offset = apr_read_offset(air->read[i]);
        const apr_fxv sum = offset == 0 ? deep : work;
        aprover_status status = APROVER_OK;
        clear(sum, k);
        while (status == APROVER_OK && i < air->reads && apr_read_offset(air->read[i]) == offset) {
            uint32_t end = run_end(air, i);
            status = add_columns(p, sum, p->trace + k * apr_read_column(air->read[i]), k, end - i, p->lambdas + i);
            i = end;
        }
        for (uint32_t j = 0; status == APROVER_OK && offset == 0 && j < p->plan.chunks; j++) {
            fx coefficients[FX_DEGREE];
            for (int e = 0; e < FX_DEGREE; e++) coefficients[e] = apr_shift_fx(p->lambdas[air->reads + j], e);
            status = add_columns(p, sum, p->quotient + (size_t)j * FX_DEGREE * p->stride_k, p->stride_k, FX_DEGREE, coefficients);
        }
        if (status != APROVER_OK) return status;
        if (p->poly->divide(sum, p->plan.log_k, fx_scale(z, fp_pow(w, offset)), apr_poll_cancel, p)) return APROVER_CANCELLED;
        if (offset == 0) continue;
        for (int e = 0; e < FX_DEGREE; e++) {
            p->poly->add_scaled(p->deep + e * p->stride_k, p->work + e * p->stride_k, FP_ONE, k);
            if (apr_stopped(p)) return APROVER_CANCELLED;
        }
    }
    return APROVER_OK;
}

static aprover_status grind(apr_prover *p) {
    const uint64_t slice = 1 << 16;
    uint64_t nonce = 0, from = 0;
    uint8_t key[32];
    apr_transcript_squeeze(&p->transcript);
    apr_grinding_key(&p->transcript, key);
    if (p->plan.grinding_bits > 0)
        while ((nonce = p->hash->grind(key, p->plan.grinding_bits, from, slice)) == from + slice) {
            if (apr_stopped(p)) return APROVER_CANCELLED;
            from += slice;
        }
    apr_put_u32(p->out + p->used, (uint32_t)nonce);
    apr_put_u32(p->out + p->used + 4, (uint32_t)(nonce >> 32));
    apr_transcript_absorb(&p->transcript, APR_TAG_NONCE, p->out + p->used, APR_NONCE_BYTES);
    p->used += APR_NONCE_BYTES;
    return APROVER_OK;
}

/* ---- openings of the trees ---- */

static void write_leaf(const apr_commitment *c, uint32_t leaf, uint8_t *out) {
    const apr_matrix *m = &c->matrix;
    const uint32_t log_octets = m->log_coset - APR_LOG_ARITY;
    size_t position = leaf, count = 1, step = 0;
    if (c->octets) {
        position = ((size_t)(leaf >> log_octets) << m->log_coset) + (leaf & ((1u << log_octets) - 1));
        count = APR_ARITY;
        step = (size_t)1 << log_octets;
    }
    for (uint32_t column = 0; column < m->columns; column++)
        for (size_t i = 0; i < count; i++, out += 4)
            apr_put_u32(out, fp_to_u32(m->values[m->stride * column + position + step * i]));
}

static void write_opening(apr_prover *p, const apr_commitment *c, const uint32_t *indices, uint32_t count) {
    const size_t leaf_bytes = (size_t)4 * c->matrix.columns * (c->octets ? APR_ARITY : 1);
    for (uint32_t i = 0; i < count; i++, p->used += leaf_bytes) write_leaf(c, indices[i], p->out + p->used);
    p->used += apr_multiproof_write(&c->tree, indices, count, p->proof_scratch, p->out + p->used);
}

static aprover_status answer_queries(apr_prover *p) {
    const apr_plan *plan = &p->plan;
    uint32_t count = plan->queries, *current = p->indices, *next = p->layer_indices;
    apr_transcript_indices(&p->transcript, current, count, plan->log_leaves);
    write_opening(p, &p->trace_commitment, current, count);
    write_opening(p, &p->quotient_commitment, current, count);
    for (uint32_t t = plan->first_layer; t < plan->folds; t++) {
        count = apr_octets_of(plan, t, current, count, next);
        write_opening(p, &p->layers[t], next, count);
        uint32_t *swap = current;
        current = next;
        next = swap;
    }
    return apr_stopped(p) ? APROVER_CANCELLED : APROVER_OK;
}

/* ---- the whole ---- */

static aprover_status run(apr_prover *p, aprover_error *error) {
    fx alpha, z;
    aprover_status status;
    apr_absorb_statement(&p->transcript, p->air, p->out, p->job->publics, p->job->statement, p->job->statement_length);
    if ((status = commit_trace(p, error)) != APROVER_OK) return status;
    apr_progress(p, 250);
    apr_transcript_elements(&p->transcript, &alpha, 1);
    if ((status = commit_quotient(p, alpha)) != APROVER_OK) return status;
    apr_progress(p, 650);
    do apr_transcript_elements(&p->transcript, &z, 1);
    while (fx_is_base(z));
    if ((status = open_at_z(p, z)) != APROVER_OK) return status;
    /* Interpolation always succeeds, so this is what keeps a false trace from becoming a proof. */
    fx expected = apr_air_quotient_at(p->air, p->publics, p->openings, alpha, z, p->scratch);
    if (!fx_eq(expected, apr_chunks_at(&p->plan, p->openings + p->air->reads, z))) return APROVER_ERROR_CONSTRAINTS;
    uint8_t *openings = p->out + p->used;
    for (uint32_t i = 0; i < p->plan.openings; i++) apr_put_fx(openings + (size_t)APR_ELEMENT_BYTES * i, p->openings[i]);
    p->used += (size_t)APR_ELEMENT_BYTES * p->plan.openings;
    apr_transcript_absorb(&p->transcript, APR_TAG_OPENINGS, openings, (size_t)APR_ELEMENT_BYTES * p->plan.openings);
    apr_batching(&p->transcript, &p->plan, p->lambdas);
    if ((status = deep_polynomial(p, z)) != APROVER_OK) return status;
    apr_progress(p, 800);
    if ((status = apr_fri(p)) != APROVER_OK) return status;
    apr_progress(p, 900);
    if ((status = grind(p)) != APROVER_OK) return status;
    return answer_queries(p);
}

static aprover_status prepare(apr_prover *p, aprover_job *job, aprover_error *error) {
    size_t needed;
    if (job->air == NULL || job->proof == NULL || (job->publics == NULL && job->air->publics > 0) ||
        (job->statement == NULL && job->statement_length > 0))
        return APROVER_ERROR_ARGUMENT;
    *p = (apr_prover){.job = job, .air = job->air, .poly = apr_poly_kernels_for((enum apr_path)job->path),
                      .hash = apr_hash_kernels_for((enum apr_path)job->path),
                      .evaluator = apr_air_kernels_for((enum apr_path)job->path), .out = job->proof};
    if (apr_plan_make(job->air, &job->parameters, &p->plan) != APROVER_OK) return APROVER_REJECT_PARAMETERS;
    needed = aprover_proof_bound(job->air, &job->parameters);
    if (job->proof_capacity < needed || open_arena(p, job->arena, job->arena_bytes, &needed) != APROVER_OK) {
        error->index = needed;
        return APROVER_ERROR_MEMORY;
    }
    for (uint32_t i = 0; i < job->air->publics; i++) {
        if (job->publics[i] >= FP_P) {
            error->index = i;
            return APROVER_ERROR_PUBLICS;
        }
        p->publics[i] = fp_from_u32(job->publics[i]);
    }
    if (apr_stopped(p)) return APROVER_CANCELLED;
    if (job->generator == APROVER_GENERATOR_NONE) return APROVER_OK;
    return aprover_generate(job->generator, job->arguments, job->arguments_count, p->trace, job->air->columns, p->plan.log_k,
                            job->cancel);
}

aprover_status aprover_prove(aprover_job *job, aprover_error *error) {
    aprover_error ignored;
    apr_prover p;
    if (error == NULL) error = &ignored;
    *error = (aprover_error){0, 0, 0};
    if (job == NULL) return (aprover_status)(error->status = APROVER_ERROR_ARGUMENT);
    job->proof_length = 0;
    aprover_status status = prepare(&p, job, error);
    if (status == APROVER_OK) {
        apr_parameters_write(&job->parameters, p.out);
        p.used = APR_PARAMETER_BYTES;
        apr_progress(&p, 50);
        status = run(&p, error);
    }
    if (status == APROVER_OK) {
        job->proof_length = p.used;
        apr_progress(&p, 1000);
    }
    error->status = (int32_t)status;
    return status;
}
