/* Columns: interpolated, masked, extended to an evaluation domain, hashed into a tree. */
#include <string.h>

#include "prover.h"

/* Compressions in a task of hashing: under a millisecond with eight lanes. */
enum { HASH_SLICE = 1 << 15 };

/* A task transforms so many columns at once that it is not too small: what depends on the coset is made once for them. */
enum { LOG_TRANSFORMED = 13 };

static size_t columns_at_once(uint32_t log_n) { return log_n < LOG_TRANSFORMED ? (size_t)1 << (LOG_TRANSFORMED - log_n) : 1; }

/* Columns of part `index` of them. */
static size_t columns_in_part(size_t index, size_t at_once, uint32_t count) {
    return count - index * at_once < at_once ? count - index * at_once : at_once;
}

typedef struct {
    const apr_prover *p;
    uint32_t *columns;
    size_t stride;
    uint32_t count, log_n;
    size_t at_once;
    fp scale; /* s: the coefficients become those of f(sX) */
} interpolation;

static aprover_status interpolate_part(void *context, size_t index, uint32_t lane) {
    const interpolation *job = context;
    const apr_prover *p = job->p;
    (void)lane;
    if (p->poly->interpolate_columns(&p->twiddles, job->columns + job->stride * job->at_once * index, job->stride,
                                     columns_in_part(index, job->at_once, job->count), job->log_n, job->scale, apr_poll_cancel,
                                     (void *)(uintptr_t)p))
        return APROVER_CANCELLED;
    return apr_stopped(p) ? APROVER_CANCELLED : APROVER_OK;
}

aprover_status apr_interpolate(const apr_prover *p, uint32_t *columns, size_t stride, uint32_t count, uint32_t log_n, fp scale) {
    const size_t at_once = columns_at_once(log_n);
    interpolation job = {p, columns, stride, count, log_n, at_once, scale};
    return apr_parallel(p->team, interpolate_part, &job, (count + at_once - 1) / at_once);
}

/* Back to front, so that the two may share memory. */
void apr_spread(uint32_t *to, const uint32_t *from, size_t k, size_t length) {
    const size_t step = length / k;
    for (size_t i = k; i-- > 0;) {
        const uint32_t coefficient = from[i];
        memset(to + i * step, 0, 4 * step);
        to[i * step] = coefficient;
    }
}

/* f + (x^k - 1) r */
static void mask_column(const apr_prover *p, const apr_prover_table *t, uint32_t *column, uint64_t stream) {
    enum { AT_ONCE = 1024 };
    const uint32_t log_n = t->plan->log_length, k = 1u << t->table->log_height;
    uint32_t r[AT_ONCE];
    apr_random_cursor cursor = {stream, 0};
    for (uint32_t done = 0, now; done < t->plan->masks; done += now) {
        now = t->plan->masks - done < AT_ONCE ? t->plan->masks - done : AT_ONCE;
        apr_random_elements(&p->random, &cursor, r, now);
        for (uint32_t i = 0; i < now; i++) {
            uint32_t *low = column + apr_bitrev(done + i, log_n), *high = column + apr_bitrev(k + done + i, log_n);
            *low = fp_sub(*low, r[i]);
            *high = fp_add(*high, r[i]);
        }
    }
}

aprover_status apr_interpolate_table(const apr_prover *p, const apr_prover_table *t, uint32_t *columns, size_t k_stride, size_t stride,
                                     uint32_t count, enum apr_stream kind) {
    const size_t k = (size_t)1 << t->table->log_height;
    aprover_status status = apr_interpolate(p, columns, k_stride, count, t->table->log_height, FP_ONE);
    if (status != APROVER_OK || t->length == k) return status;
    for (uint32_t c = count; c-- > 0;) {
        uint32_t *column = columns + stride * c;
        apr_spread(column, columns + k_stride * c, k, t->length);
        if (t->plan->masks > 0 && kind != APR_STREAM_NONE) mask_column(p, t, column, apr_stream(kind, (uint32_t)(t - p->tables), c));
        if (apr_stopped(p)) return APROVER_CANCELLED;
    }
    return APROVER_OK;
}

typedef struct {
    const apr_prover *p;
    const apr_columns *coefficients;
    uint32_t *out;
    size_t stride;
    const fp *shifts;
    uint32_t log_cosets;
    size_t at_once;
} evaluation;

static aprover_status evaluate_part(void *context, size_t index, uint32_t lane) {
    const evaluation *job = context;
    const apr_prover *p = job->p;
    const apr_columns *f = job->coefficients;
    const size_t part = index >> job->log_cosets, coset = index & (((size_t)1 << job->log_cosets) - 1), first = part * job->at_once;
    (void)lane;
    if (p->poly->evaluate_columns(&p->twiddles, job->out + job->stride * first + (coset << f->log_n), job->stride,
                                  f->values + f->stride * first, f->stride, columns_in_part(part, job->at_once, f->count), f->log_n,
                                  job->shifts[coset], apr_poll_cancel, (void *)(uintptr_t)p))
        return APROVER_CANCELLED;
    return apr_stopped(p) ? APROVER_CANCELLED : APROVER_OK;
}

aprover_status apr_evaluate(const apr_prover *p, const apr_columns *f, uint32_t *out, size_t stride, const fp *shifts,
                            uint32_t log_cosets) {
    const size_t at_once = columns_at_once(f->log_n);
    evaluation job = {p, f, out, stride, shifts, log_cosets, at_once};
    return apr_parallel(p->team, evaluate_part, &job, (f->count + at_once - 1) / at_once << log_cosets);
}

aprover_status apr_extend(const apr_prover *p, const apr_columns *f, uint32_t t, const apr_commitment *c, uint32_t first) {
    const apr_matrix *m = &c->matrix;
    fp shifts[1 << APR_MAX_LOG_BLOWUP], step = fp_root(p->plan.level[t].log_n);
    shifts[0] = apr_level_shift(&p->plan, t);
    for (uint32_t j = 1; j < 1u << m->log_blowup; j++) shifts[j] = fp_mul(shifts[j - 1], step);
    /* The matrix is read-only for the hashing; its memory is the arena's own. */
    return apr_evaluate(p, f, (uint32_t *)(uintptr_t)m->values + m->stride * first, m->stride, shifts, m->log_blowup);
}

typedef struct {
    const apr_prover *p;
    const apr_tree *tree;
    const apr_matrix *matrix; /* of the leaves */
    size_t first;             /* leaf of the tree that is the matrix's first */
    uint32_t level;
    size_t slice, count;      /* leaves or nodes in a task, and in all */
} hashing;

/* Leaves to nodes of level `lowest`, some subtrees at a time, whose digests do not leave the first cache. */
static void hash_subtrees(const hashing *job, size_t first, size_t count) {
    enum { AT_ONCE = 8 * APR_SUBTREE_LEAVES };
    const apr_hash_kernels *kernels = job->p->hash;
    uint8_t digests[2][APR_DIGEST_BYTES * AT_ONCE];
    for (size_t now; count > 0; first += now, count -= now) {
        size_t nodes = now = count < AT_ONCE ? count : AT_ONCE;
        kernels->hash_leaves(job->matrix, first, now, digests[0]);
        for (uint32_t level = 1; level <= APR_TREE_LOWEST; level++) {
            uint8_t *to = level < APR_TREE_LOWEST ? digests[level & 1] : apr_tree_node(job->tree, level, (job->first + first) >> level);
            nodes /= 2;
            kernels->hash_many(apr_key_node, digests[(level + 1) & 1], 2 * APR_DIGEST_BYTES, 2 * APR_DIGEST_BYTES, nodes, to);
        }
    }
}

static aprover_status hash_slice(void *context, size_t index, uint32_t lane) {
    const hashing *job = context;
    const size_t first = index * job->slice, count = job->count - first < job->slice ? job->count - first : job->slice;
    (void)lane;
    if (job->level > 0) apr_tree_hash_level(job->p->hash, job->tree, job->level, first, count);
    else if (job->tree->lowest > 0) hash_subtrees(job, first, count);
    else job->p->hash->hash_leaves(job->matrix, first, count, apr_tree_node(job->tree, 0, job->first + first));
    return apr_stopped(job->p) ? APROVER_CANCELLED : APROVER_OK;
}

/* The matrix's leaves, which are the tree's from `first` on. */
static aprover_status hash_leaves(const apr_prover *p, const apr_tree *tree, const apr_matrix *m, size_t first) {
    const size_t compressions = (apr_matrix_leaf_bytes(m) + 63) / 64, slice = HASH_SLICE / compressions & ~(size_t)(APR_SUBTREE_LEAVES - 1);
    hashing job = {p, tree, m, first, 0, slice < APR_SUBTREE_LEAVES ? APR_SUBTREE_LEAVES : slice,
                   (size_t)1 << (m->log_coset + m->log_blowup - m->log_arity)};
    return apr_parallel(p->team, hash_slice, &job, (job.count + job.slice - 1) / job.slice);
}

static aprover_status hash_nodes(const apr_prover *p, const apr_tree *tree) {
    aprover_status status = APROVER_OK;
    for (uint32_t level = tree->lowest + 1; status == APROVER_OK && level <= tree->log_leaves - tree->log_cap; level++) {
        hashing job = {p, tree, NULL, 0, level, HASH_SLICE, (size_t)1 << (tree->log_leaves - level)};
        status = apr_parallel(p->team, hash_slice, &job, (job.count + job.slice - 1) / job.slice);
    }
    return status;
}

aprover_status apr_hash_tree(const apr_prover *p, const apr_commitment *c) {
    const aprover_status status = hash_leaves(p, &c->tree, &c->matrix, 0);
    return status == APROVER_OK ? hash_nodes(p, &c->tree) : status;
}

void apr_write_cap(apr_prover *p, const apr_commitment *c) {
    const size_t bytes = (size_t)APR_DIGEST_BYTES << c->tree.log_cap;
    memcpy(p->out + p->used, apr_tree_cap(&c->tree), bytes);
    p->used += bytes;
}

apr_columns apr_phase_columns(const apr_prover *p, const apr_prover_table *t, enum apr_phase phase) {
    const uint32_t log_n = t->plan->log_length;
    switch (phase) {
    case APR_PHASE_PREPROCESSED:
        return apr_preprocessed_columns(p->job->preprocessed, (uint32_t)(t - p->tables));
    case APR_PHASE_TRACE:
        return (apr_columns){t->trace, t->length, t->table->columns, log_n};
    case APR_PHASE_LOOKUP:
        return (apr_columns){t->lookup, t->stride, FX_DEGREE * t->table->lookup_columns, log_n};
    default:
        return (apr_columns){t->quotient, t->stride, FX_DEGREE * t->plan->chunks, log_n};
    }
}

/* Words of a task that draws salts. */
enum { SALT_SLICE = 1 << 16 };

typedef struct {
    const apr_prover *p;
    const apr_matrix *matrix;
    uint64_t stream;
    size_t slices, slice;
} salting;

static aprover_status draw_salts(void *context, size_t index, uint32_t lane) {
    const salting *job = context;
    const size_t word = index / job->slices, first = index % job->slices * job->slice;
    (void)lane;
    apr_random_words(&job->p->random, job->stream + index, (uint32_t *)(uintptr_t)job->matrix->salts + job->matrix->stride * word + first,
                     job->slice);
    return apr_stopped(job->p) ? APROVER_CANCELLED : APROVER_OK;
}

static aprover_status salt(const apr_prover *p, const apr_matrix *m, enum apr_phase phase, uint32_t t) {
    const size_t n = (size_t)1 << (m->log_coset + m->log_blowup), slice = n < SALT_SLICE ? n : SALT_SLICE;
    if (m->salts == NULL) return APROVER_OK;
    salting job = {p, m, apr_stream(APR_STREAM_SALT, (uint32_t)phase << 8 | t, 0), n / slice, slice};
    return apr_parallel(p->team, draw_salts, &job, APR_SALT_WORDS * job.slices);
}

static aprover_status commit_level(apr_prover *p, enum apr_phase phase, uint32_t t) {
    const apr_commitment *c = &p->levels[t].trees[phase];
    aprover_status status = salt(p, &c->matrix, phase, t);
    for (uint32_t i = 0; i < p->air->tables && status == APROVER_OK; i++) {
        const apr_prover_table *table = &p->tables[i];
        if (table->plan->level != t) continue;
        const apr_columns columns = apr_phase_columns(p, table, phase);
        status = apr_extend(p, &columns, t, c, table->plan->first_column[phase]);
    }
    if (status == APROVER_OK && phase == APR_PHASE_QUOTIENT && t == 0 && p->plan.zero_knowledge) {
        const apr_columns mask = {p->mask, p->levels[0].stride, FX_DEGREE, p->plan.level[0].log_k};
        status = apr_extend(p, &mask, 0, c, apr_mask_column(&p->plan));
    }
    if (status == APROVER_OK) status = apr_hash_tree(p, c);
    if (status == APROVER_OK) apr_write_cap(p, c);
    return status;
}

aprover_status apr_commit_phase(apr_prover *p, enum apr_phase phase) {
    static const enum apr_tag tags[APR_PHASES] = {APR_TAG_PREPROCESSED_CAP, APR_TAG_TRACE_CAP, APR_TAG_LOOKUP_CAP, APR_TAG_QUOTIENT_CAP};
    const size_t before = p->used;
    for (uint32_t t = 0; t <= p->plan.folds; t++) {
        if (p->plan.level[t].columns[phase] == 0) continue;
        aprover_status status = commit_level(p, phase, t);
        if (status != APROVER_OK) return status;
    }
    apr_transcript_absorb(&p->transcript, tags[phase], p->out + before, p->used - before);
    return APROVER_OK;
}
