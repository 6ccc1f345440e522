/* Columns: interpolated, masked, extended to an evaluation domain, hashed into a tree. */
#include <string.h>

#include "prover.h"

/* Compressions in a task of hashing: a few hundred microseconds at most. */
enum { HASH_SLICE = 1 << 13 };

/* A task transforms so many words at least, of several columns if need be: what depends on the coset is made once for them. */
enum { LOG_TRANSFORMED = 13 };

/* A column up to so long is one task, a hundred microseconds or two; one thread, which nobody waits for, polls every few milliseconds. */
static uint32_t log_whole(const apr_prover *p) { return p->team != NULL ? APR_SLICE_LOG : 20; }

/* Columns to their coefficients, or to their values on cosets, which stand one after the other. */
typedef struct {
    const apr_prover *p;
    uint32_t *out;
    size_t out_stride;
    const uint32_t *in;
    size_t in_stride;
    uint32_t count, log_n, cosets;
    const fp *shifts;  /* of the cosets; the inverse of the only one, for interpolation */
    int interpolation;
    size_t at_once;    /* columns in a task */
    size_t first;      /* of the columns, times the cosets, that are shared out now, for long ones */
    int step;
} transform;

static aprover_status transform_whole(void *context, size_t index, uint32_t lane) {
    const transform *job = context;
    const apr_prover *p = job->p;
    const size_t coset = index % job->cosets, first = index / job->cosets * job->at_once;
    const size_t columns = job->count - first < job->at_once ? job->count - first : job->at_once;
    uint32_t *out = job->out + job->out_stride * first + (coset << job->log_n);
    const uint32_t *in = job->in + job->in_stride * first;
    (void)lane;
    if (job->interpolation)
        p->poly->interpolate_columns(&p->twiddles, out, job->out_stride, in, job->in_stride, columns, job->log_n, job->shifts[0]);
    else p->poly->evaluate_columns(&p->twiddles, out, job->out_stride, in, job->in_stride, columns, job->log_n, job->shifts[coset]);
    return apr_stopped(p) ? APROVER_CANCELLED : APROVER_OK;
}

static aprover_status transform_slice(void *context, size_t index, uint32_t lane) {
    const transform *job = context;
    const apr_prover *p = job->p;
    const uint32_t log_slices = job->log_n - APR_SLICE_LOG;
    const size_t unit = job->first + (index >> log_slices), slice = index & (((size_t)1 << log_slices) - 1), coset = unit % job->cosets;
    uint32_t *out = job->out + job->out_stride * (unit / job->cosets) + (coset << job->log_n);
    const uint32_t *in = job->in + job->in_stride * (unit / job->cosets);
    (void)lane;
    if (job->interpolation) p->poly->interpolate_slice(&p->twiddles, out, in, job->log_n, job->shifts[0], job->step, slice);
    else p->poly->evaluate_slice(&p->twiddles, out, in, job->log_n, job->shifts[coset], job->step, slice);
    return apr_stopped(p) ? APROVER_CANCELLED : APROVER_OK;
}

static aprover_status transform_all(transform *job) {
    const apr_prover *p = job->p;
    const size_t units = (size_t)job->count * job->cosets;
    aprover_status status = APROVER_OK;
    if (job->log_n <= log_whole(p)) {
        job->at_once = job->log_n < LOG_TRANSFORMED ? (size_t)1 << (LOG_TRANSFORMED - job->log_n) : 1;
        return apr_parallel(p->team, transform_whole, job, (job->count + job->at_once - 1) / job->at_once * job->cosets);
    }
    /* Helpers get all columns at once, so that they wait twice in all; alone, what is in the cache is best used at once. */
    const size_t together = p->team != NULL ? units : 1;
    for (job->first = 0; job->first < units && status == APROVER_OK; job->first += together)
        for (job->step = 0; job->step < 2 && status == APROVER_OK; job->step++)
            status = apr_parallel(p->team, transform_slice, job, together << (job->log_n - APR_SLICE_LOG));
    return status;
}

aprover_status apr_interpolate(const apr_prover *p, uint32_t *columns, size_t stride, const uint32_t *values, size_t values_stride,
                               uint32_t count, uint32_t log_n, fp scale) {
    transform job = {.p = p, .out = columns, .out_stride = stride, .in = values, .in_stride = values_stride, .count = count,
                     .log_n = log_n, .cosets = 1, .shifts = &scale, .interpolation = 1};
    return transform_all(&job);
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
    aprover_status status = apr_interpolate(p, columns, k_stride, columns, k_stride, count, t->table->log_height, FP_ONE);
    if (status != APROVER_OK || t->length == k) return status;
    for (uint32_t c = count; c-- > 0;) {
        uint32_t *column = columns + stride * c;
        apr_spread(column, columns + k_stride * c, k, t->length);
        if (t->plan->masks > 0 && kind != APR_STREAM_NONE) mask_column(p, t, column, apr_stream(kind, (uint32_t)(t - p->tables), c));
        if (apr_stopped(p)) return APROVER_CANCELLED;
    }
    return APROVER_OK;
}

aprover_status apr_evaluate(const apr_prover *p, const apr_columns *f, uint32_t *out, size_t stride, const fp *shifts,
                            uint32_t cosets) {
    transform job = {.p = p, .out = out, .out_stride = stride, .in = f->values, .in_stride = f->stride, .count = f->count,
                     .log_n = f->log_n, .cosets = cosets, .shifts = shifts};
    return transform_all(&job);
}

aprover_status apr_extend(const apr_prover *p, const apr_columns *f, uint32_t t, const apr_commitment *c, uint32_t first,
                          uint32_t first_coset) {
    const apr_matrix *m = &c->matrix;
    const uint32_t cosets = 1u << m->log_blowup;
    fp shifts[1 << APR_MAX_LOG_BLOWUP], step = fp_root(p->plan.level[t].log_n);
    shifts[0] = apr_level_shift(&p->plan, t);
    for (uint32_t j = 1; j < cosets; j++) shifts[j] = fp_mul(shifts[j - 1], step);
    uint32_t *out = apr_committed(c, first) + ((size_t)first_coset << m->log_coset);
    return apr_evaluate(p, f, out, m->stride, shifts + first_coset, cosets - first_coset);
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

int apr_next_part(const apr_prover *p, enum apr_phase phase, uint32_t t, uint32_t *next, apr_part *part) {
    while (*next < p->air->tables) {
        const apr_prover_table *table = &p->tables[(*next)++];
        if (table->plan->level != t) continue;
        *part = (apr_part){apr_phase_columns(p, table, phase), table->plan->first_column[phase],
                           phase == APR_PHASE_QUOTIENT && apr_quotient_in_place(p, table)};
        return 1;
    }
    if (*next > p->air->tables || phase != APR_PHASE_QUOTIENT || t > 0 || !p->plan.zero_knowledge) return 0;
    *next += 1;
    *part = (apr_part){{p->mask, p->levels[0].stride, FX_DEGREE, p->plan.level[0].log_k}, apr_mask_column(&p->plan), 0};
    return 1;
}

/* Words of a task that draws salts. */
enum { SALT_SLICE = 1 << 16 };

typedef struct {
    const apr_prover *p;
    uint32_t *out;
    uint64_t stream;
    size_t slice;
} salting;

static aprover_status draw_slice(void *context, size_t index, uint32_t lane) {
    const salting *job = context;
    (void)lane;
    apr_random_words(&job->p->random, job->stream + index, job->out + job->slice * index, job->slice);
    return apr_stopped(job->p) ? APROVER_CANCELLED : APROVER_OK;
}

aprover_status apr_draw_salts(const apr_prover *p, enum apr_phase phase, uint32_t t, uint32_t coset, uint32_t word, uint32_t *out) {
    const size_t n = (size_t)1 << p->plan.level[t].log_k, slice = n < SALT_SLICE ? n : SALT_SLICE, slices = n / slice;
    salting job = {p, out, apr_stream(APR_STREAM_SALT, (uint32_t)phase << 8 | t, (uint32_t)((APR_SALT_WORDS * coset + word) * slices)), slice};
    return apr_parallel(p->team, draw_slice, &job, slices);
}

/* The cosets of a level's matrix that are kept. */
static aprover_status commit_kept(const apr_prover *p, enum apr_phase phase, uint32_t t, const apr_commitment *c) {
    const apr_matrix *m = &c->matrix;
    aprover_status status = APROVER_OK;
    apr_part part;
    for (uint32_t next = 0; status == APROVER_OK && apr_next_part(p, phase, t, &next, &part);)
        status = apr_extend(p, &part.columns, t, c, part.first, part.known_cosets);
    for (uint32_t i = 0; i < APR_SALT_WORDS * c->kept && m->salts != NULL && status == APROVER_OK; i++) {
        const uint32_t coset = i / APR_SALT_WORDS, word = i % APR_SALT_WORDS;
        uint32_t *salts = (uint32_t *)(uintptr_t)m->salts; /* the arena's own, as in apr_committed */
        status = apr_draw_salts(p, phase, t, coset, word, salts + m->stride * word + ((size_t)coset << m->log_coset));
    }
    return status == APROVER_OK ? hash_leaves(p, &c->tree, m, 0) : status;
}

/* Another coset, which is forgotten once its leaves are hashed. */
static aprover_status commit_passing(const apr_prover *p, enum apr_phase phase, uint32_t t, const apr_commitment *c, uint32_t coset) {
    const fp shift = apr_coset_shift(&p->plan, t, coset);
    const size_t stride = apr_padded((size_t)1 << c->matrix.log_coset);
    uint32_t *values = p->coset, *salts = c->matrix.salts == NULL ? NULL : values + stride * c->matrix.columns;
    const apr_matrix m = {.values = values, .salts = salts, .stride = stride, .columns = c->matrix.columns,
                          .log_coset = c->matrix.log_coset, .log_arity = c->matrix.log_arity};
    aprover_status status = APROVER_OK;
    apr_part part;
    for (uint32_t next = 0; status == APROVER_OK && apr_next_part(p, phase, t, &next, &part);)
        status = apr_evaluate(p, &part.columns, values + stride * part.first, stride, &shift, 1);
    for (uint32_t word = 0; word < APR_SALT_WORDS && salts != NULL && status == APROVER_OK; word++)
        status = apr_draw_salts(p, phase, t, coset, word, salts + stride * word);
    return status == APROVER_OK ? hash_leaves(p, &c->tree, &m, (size_t)coset << (m.log_coset - m.log_arity)) : status;
}

static aprover_status commit_level(apr_prover *p, enum apr_phase phase, uint32_t t) {
    const apr_commitment *c = &p->levels[t].trees[phase];
    aprover_status status = c->kept > 0 ? commit_kept(p, phase, t, c) : APROVER_OK;
    for (uint32_t j = c->kept; j < 1u << p->plan.log_blowup && status == APROVER_OK; j++) status = commit_passing(p, phase, t, c, j);
    if (status == APROVER_OK) status = hash_nodes(p, &c->tree);
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
