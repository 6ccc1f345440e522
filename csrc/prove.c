/* The prover: the order of docs/protocol.md section 7. */
#include "prover.h"

/* A phase of a shorter trace is over before a helper has woken up. */
enum { MIN_LOG_SHARED = 13 };

int apr_poll_cancel(void *prover) { return apr_stopped(prover); }

static aprover_status commit_trace(apr_prover *p, aprover_error *error) {
    const size_t k = (size_t)1 << p->plan.log_k;
    for (uint32_t c = 0; c < p->air->columns; c++) {
        size_t bad = p->poly->from_canonical(p->trace + c * k, k);
        if (bad < k) {
            *error = (aprover_error){APROVER_ERROR_TRACE, 0, c * k + bad};
            return APROVER_ERROR_TRACE;
        }
        if (apr_stopped(p)) return APROVER_CANCELLED;
    }
    aprover_status status = apr_interpolate(p, p->trace, k, p->air->columns, FP_ONE);
    if (status != APROVER_OK) return status;
    status = apr_extend(p, p->trace, k, 0, &p->trace_commitment);
    return status == APROVER_OK ? apr_commit(p, &p->trace_commitment, APR_TAG_TRACE_CAP) : status;
}

static aprover_status commit_quotient(apr_prover *p, fx alpha) {
    aprover_status status = apr_quotient(p, alpha);
    if (status == APROVER_OK) status = apr_extend(p, p->quotient, p->stride_k, 0, &p->quotient_commitment);
    return status == APROVER_OK ? apr_commit(p, &p->quotient_commitment, APR_TAG_QUOTIENT_CAP) : status;
}

static aprover_status run(apr_prover *p, aprover_error *error) {
    fx alpha, z;
    aprover_status status;
    apr_absorb_statement(&p->transcript, p->air, p->out, p->job->publics, p->job->statement, p->job->statement_length);
    if ((status = commit_trace(p, error)) != APROVER_OK) return status;
    apr_progress(p, 250);
    apr_transcript_elements(&p->transcript, &alpha, 1);
    if ((status = commit_quotient(p, alpha)) != APROVER_OK) return status;
    apr_progress(p, 650);
    z = apr_out_of_domain_point(&p->transcript);
    if ((status = apr_open_at_z(p, z)) != APROVER_OK) return status;
    /* Interpolation always succeeds, so this is what keeps a false trace from becoming a proof. */
    fx expected = apr_air_quotient_at(p->air, p->publics, p->openings, alpha, z, p->point_scratch);
    if (!fx_eq(expected, apr_chunks_at(&p->plan, p->openings + p->air->reads, z))) return APROVER_ERROR_CONSTRAINTS;
    uint8_t *openings = p->out + p->used;
    for (uint32_t i = 0; i < p->plan.openings; i++) apr_put_fx(openings + (size_t)APR_ELEMENT_BYTES * i, p->openings[i]);
    p->used += (size_t)APR_ELEMENT_BYTES * p->plan.openings;
    apr_transcript_absorb(&p->transcript, APR_TAG_OPENINGS, openings, (size_t)APR_ELEMENT_BYTES * p->plan.openings);
    apr_batching(&p->transcript, &p->plan, p->lambdas);
    if ((status = apr_deep_polynomial(p, z)) != APROVER_OK) return status;
    apr_progress(p, 800);
    if ((status = apr_fri(p)) != APROVER_OK) return status;
    apr_progress(p, 900);
    if ((status = apr_grind(p)) != APROVER_OK) return status;
    return apr_answer_queries(p);
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
    p->lanes = apr_lanes(job->team);
    p->team = p->plan.log_k >= MIN_LOG_SHARED ? job->team : NULL;
    needed = aprover_proof_bound(job->air, &job->parameters);
    if (job->proof_capacity < needed || apr_open_arena(p, job->arena, job->arena_bytes, &needed) != APROVER_OK) {
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
    job->status = (uint32_t)status;
    return status;
}

void aprover_prove_batch(aprover_job *jobs, size_t count, aprover_error *errors) {
    for (size_t i = 0; i < count; i++) aprover_prove(&jobs[i], errors == NULL ? NULL : &errors[i]);
}
