/* The prover: the order of docs/protocol.md section 7. */
#include <string.h>

#include "prover.h"
#include "trace.h"

/* A phase of a shorter trace is over before a helper has woken up. */
enum { MIN_LOG_SHARED = 13 };

/* One table's trace: canonical, kept where lookups need its values, interpolated. */
static aprover_status take_trace(apr_prover *p, const apr_prover_table *t, aprover_error *error) {
    const size_t k = (size_t)1 << t->table->log_height;
    for (uint32_t c = 0; c < t->table->columns; c++) {
        size_t bad = p->poly->from_canonical(t->trace + c * k, k);
        if (bad < k) {
            *error = (aprover_error){APROVER_ERROR_TRACE, (uint32_t)(t - p->tables), c * k + bad};
            return APROVER_ERROR_TRACE;
        }
        if (apr_stopped(p)) return APROVER_CANCELLED;
    }
    if (t->table->interactions > 0) memcpy(t->rows, t->trace, 4 * k * t->table->columns);
    return apr_interpolate_table(p, t, t->trace, k, t->length, t->table->columns, APR_STREAM_TRACE);
}

static aprover_status commit_trace(apr_prover *p, aprover_error *error) {
    for (uint32_t i = 0; i < p->air->tables; i++) {
        aprover_status status = take_trace(p, &p->tables[i], error);
        if (status != APROVER_OK) return status;
    }
    return apr_commit_phase(p, APR_PHASE_TRACE);
}

/* Elements of G that a task draws. */
enum { MASK_SLICE = 1 << 14 };

static aprover_status draw_mask(void *context, size_t index, uint32_t lane) {
    const apr_prover *p = context;
    const size_t n = (size_t)1 << p->plan.level[0].log_k, slice = n < MASK_SLICE ? n : MASK_SLICE;
    apr_random_cursor cursor = {apr_stream(APR_STREAM_DEEP, 0, (uint32_t)index), 0};
    (void)lane;
    apr_random_elements(&p->random, &cursor, p->mask + index % FX_DEGREE * p->levels[0].stride + index / FX_DEGREE * slice, slice);
    return apr_stopped(p) ? APROVER_CANCELLED : APROVER_OK;
}

static aprover_status commit_quotient(apr_prover *p, fx alpha) {
    const size_t n = (size_t)1 << p->plan.level[0].log_k, slices = n < MASK_SLICE ? 1 : n / MASK_SLICE;
    aprover_status status = APROVER_OK;
    p->alphas[0] = fx_one();
    for (uint32_t i = 1; i < p->air->constraints; i++) p->alphas[i] = fx_mul(p->alphas[i - 1], alpha);
    for (uint32_t i = 0; i < p->air->tables && status == APROVER_OK; i++) status = apr_quotient(p, &p->tables[i]);
    if (status == APROVER_OK && p->plan.zero_knowledge) status = apr_parallel(p->team, draw_mask, p, FX_DEGREE * slices);
    return status == APROVER_OK ? apr_commit_phase(p, APR_PHASE_QUOTIENT) : status;
}

/* Interpolation always succeeds, so this is what keeps a false trace from becoming a proof. */
static aprover_status check_quotients(const apr_prover *p, fx alpha, fx z, aprover_error *error) {
    const apr_point_challenges challenges = {p->publics, alpha, p->fingerprint.gamma, p->fingerprint.beta[1], z};
    fx power = fx_one();
    for (uint32_t i = 0; i < p->air->tables; i++) {
        const apr_prover_table *t = &p->tables[i];
        const fx expected = apr_table_quotient_at(t->table, &challenges, p->openings + t->plan->first_opening, t->sigma, &power,
                                                  p->point_scratch);
        if (fx_eq(expected, apr_chunks_at(&p->plan, i, p->openings + t->plan->first_chunk, z))) continue;
        error->detail = i;
        return APROVER_ERROR_CONSTRAINTS;
    }
    return APROVER_OK;
}

static void send_openings(apr_prover *p) {
    uint8_t *openings = p->out + p->used;
    const size_t bytes = (size_t)APR_ELEMENT_BYTES * p->plan.openings;
    for (uint32_t i = 0; i < p->plan.openings; i++) apr_put_fx(openings + (size_t)APR_ELEMENT_BYTES * i, p->openings[i]);
    apr_transcript_absorb(&p->transcript, APR_TAG_OPENINGS, openings, bytes);
    p->used += bytes;
}

/* The masks come from the entropy and all that the transcript has absorbed. */
static void seed(apr_prover *p) {
    uint8_t state[64];
    apr_blake3_output(&p->transcript.hash, 0, state);
    apr_random_init(&p->random, p->hash, p->job->entropy, state, sizeof state);
}

static aprover_status run(apr_prover *p, aprover_error *error) {
    const aprover_job *job = p->job;
    fx alpha, z;
    size_t caps_bytes = 0;
    const uint8_t *caps = job->preprocessed == NULL ? NULL : aprover_preprocessed_caps(job->preprocessed, &caps_bytes);
    aprover_status status;
    apr_absorb_statement(&p->transcript, p->air, &p->plan, p->out, job->publics, job->statement, job->statement_length, caps);
    if (p->plan.zero_knowledge) seed(p);
    if ((status = commit_trace(p, error)) != APROVER_OK) return status;
    apr_progress(p, 250);
    if (p->air->interactions > 0 && (status = apr_lookup(p)) != APROVER_OK) return status;
    apr_transcript_elements(&p->transcript, &alpha, 1);
    if ((status = commit_quotient(p, alpha)) != APROVER_OK) return status;
    apr_progress(p, 650);
    z = apr_out_of_domain_point(&p->transcript);
    if ((status = apr_open_at_z(p, z)) != APROVER_OK) return status;
    if ((status = check_quotients(p, alpha, z, error)) != APROVER_OK) return status;
    send_openings(p);
    apr_batching(&p->transcript, &p->plan, p->lambdas);
    if ((status = apr_deep_polynomials(p)) != APROVER_OK) return status;
    apr_progress(p, 800);
    if ((status = apr_fri(p)) != APROVER_OK) return status;
    apr_progress(p, 900);
    if ((status = apr_grind(p)) != APROVER_OK) return status;
    return apr_answer_queries(p);
}

static int job_is_whole(const aprover_job *job) {
    if (job->air == NULL || job->proof == NULL) return 0;
    if (job->publics == NULL && job->air->publics > 0) return 0;
    if (job->statement == NULL && job->statement_length > 0) return 0;
    if (job->entropy == NULL && (job->parameters.flags & APROVER_FLAG_ZERO_KNOWLEDGE) != 0) return 0;
    if (job->generator != APROVER_GENERATOR_NONE && job->air->tables > 1) return 0;
    if (job->members == NULL && job->members_count > 0) return 0;
    if (job->found != NULL && job->found != job->publics) return 0;
    return apr_preprocessed_fits(job->preprocessed, job->air, &job->parameters);
}

/* The traces of these statements, each in its place: a run of rows of one copy of the columns. */
static aprover_status generate_members(const apr_prover *p, const aprover_members *m) {
    if (m->table >= p->air->tables || m->columns == 0 || (m->arguments == NULL && m->count > 0)) return APROVER_ERROR_ARGUMENT;
    const apr_table *table = p->tables[m->table].table;
    const size_t k = (size_t)1 << table->log_height, slots = (size_t)1 << table->log_slots;
    if ((uint64_t)m->first + m->count > (uint64_t)(table->columns / m->columns) << table->log_slots) return APROVER_ERROR_ARGUMENT;
    for (size_t i = 0; i < m->count; i++) {
        const size_t slot = m->first + i;
        uint32_t *at = p->tables[m->table].trace + (slot >> table->log_slots) * m->columns * k + (slot & (slots - 1)) * (k / slots);
        const aprover_status status = apr_generate(m->generator, m->arguments + i * m->arguments_count, m->arguments_count, at, k,
                                                   m->columns, table->log_height - table->log_slots,
                                                   (enum apr_path)p->job->path, p->job->cancel);
        if (status != APROVER_OK) return status;
        if (apr_stopped(p)) return APROVER_CANCELLED;
    }
    return APROVER_OK;
}

static aprover_status generate(const apr_prover *p) {
    const aprover_job *job = p->job;
    for (size_t i = 0; i < job->members_count; i++) {
        const aprover_status status = generate_members(p, &job->members[i]);
        if (status != APROVER_OK) return status;
    }
    if (job->generator == APROVER_GENERATOR_NONE) return APROVER_OK;
    const apr_table *table = p->tables[0].table;
    return apr_generate(job->generator, job->arguments, job->arguments_count, p->tables[0].trace, (size_t)1 << table->log_height,
                        table->columns, table->log_height, (enum apr_path)job->path, job->cancel);
}

/* Public values that only the trace knows. */
static void find_publics(const apr_prover *p) {
    for (uint32_t i = 0; i < p->air->tables; i++) {
        const apr_table *table = p->tables[i].table;
        for (uint32_t n = 0; n < table->boundaries; n++) {
            const apr_boundary *b = &table->boundary[n];
            if (b->slot >= table->first_constant) continue;
            uint32_t *value = &p->job->found[b->slot - table->first_public];
            if (*value == UINT32_MAX) *value = p->tables[i].trace[((size_t)b->column << table->log_height) + b->row];
        }
    }
}

static aprover_status take_publics(const apr_prover *p, aprover_error *error) {
    for (uint32_t i = 0; i < p->air->publics; i++) {
        if (p->job->publics[i] >= FP_P) {
            error->index = i;
            return APROVER_ERROR_PUBLICS;
        }
        p->publics[i] = fp_from_u32(p->job->publics[i]);
    }
    return APROVER_OK;
}

static aprover_status prepare(apr_prover *p, aprover_job *job, aprover_error *error) {
    size_t needed;
    if (!job_is_whole(job)) return APROVER_ERROR_ARGUMENT;
    *p = (apr_prover){.job = job, .air = job->air, .poly = apr_poly_kernels_for((enum apr_path)job->path),
                      .hash = apr_hash_kernels_for((enum apr_path)job->path),
                      .evaluator = apr_air_kernels_for((enum apr_path)job->path), .out = job->proof};
    if (apr_plan_make(job->air, &job->parameters, &p->plan) != APROVER_OK) return APROVER_REJECT_PARAMETERS;
    p->lanes = apr_lanes(job->team);
    p->team = p->plan.level[0].log_k >= MIN_LOG_SHARED ? job->team : NULL;
    needed = apr_plan_proof_bound(&p->plan);
    if (job->proof_capacity < needed || apr_open_arena(p, job->arena, job->arena_bytes, &needed) != APROVER_OK) {
        error->index = needed;
        return APROVER_ERROR_MEMORY;
    }
    if (apr_stopped(p)) return APROVER_CANCELLED;
    aprover_status status = p->team == NULL ? APROVER_OK : apr_back_arena(p);
    if (status == APROVER_OK) status = generate(p);
    if (status != APROVER_OK) return status;
    if (job->found != NULL) find_publics(p);
    return take_publics(p, error);
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
    job->status = (uint32_t)status;
    return status;
}

void aprover_prove_batch(aprover_job *jobs, size_t count, aprover_error *errors) {
    for (size_t i = 0; i < count; i++) aprover_prove(&jobs[i], errors == NULL ? NULL : &errors[i]);
}
