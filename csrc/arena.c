/* The memory of a proof: one arena that the caller gives, laid out before anything is computed. */
#include "prover.h"

enum { ARENA_MAGIC = 0x32525041 };

/* The first 64 bytes of an arena; the twiddles behind them outlive a proof. */
typedef struct {
    uint32_t magic, log_twiddles;
    uint64_t backed; /* bytes from the beginning that apr_back_arena has seen to */
    uint8_t unused[48];
} arena_header;

static size_t round_up(size_t bytes) { return (bytes + 63) & ~(size_t)63; }

void *apr_take(apr_bump *b, size_t bytes) {
    void *here = (void *)(b->base + b->used);
    b->used += round_up(bytes);
    return here;
}

void apr_lay_tree(apr_bump *b, const apr_plan *plan, uint32_t t, uint32_t columns, uint32_t log_arity, uint32_t kept, int salted,
                  apr_commitment *c) {
    const apr_level_plan *level = &plan->level[t];
    const size_t stride = apr_padded((size_t)kept << level->log_k);
    c->matrix = (apr_matrix){.values = apr_take(b, 4 * stride * columns), .stride = stride, .columns = columns,
                             .log_coset = level->log_k, .log_arity = log_arity};
    while (2u << c->matrix.log_blowup <= kept) c->matrix.log_blowup++;
    if (salted) c->matrix.salts = apr_take(b, 4 * stride * APR_SALT_WORDS);
    c->kept = kept;
    c->tree.log_leaves = level->log_n - log_arity;
    c->tree.log_cap = apr_log_cap(plan, c->tree.log_leaves);
    c->tree.lowest = apr_tree_lowest(c->tree.log_leaves);
    c->tree.nodes = apr_take(b, apr_tree_bytes(c->tree.log_leaves - c->tree.lowest, c->tree.log_cap));
}

/* What the largest table or level asks of the regions that one uses at a time. */
typedef struct {
    size_t coset, sparse, scales, run, elements, scratch, slice_sums;
} largest;

static void grow(size_t *to, size_t value) {
    if (value > *to) *to = value;
}

static void measure_table(const apr_prover *p, uint32_t i, largest *need) {
    const apr_table *table = &p->air->table[i];
    const apr_table_plan *place = &p->plan.table[i];
    const size_t length = (size_t)1 << place->log_length, elements = table->lookup_columns > place->chunks ? table->lookup_columns : place->chunks;
    const uint32_t cosets = apr_quotient_cosets(place);
    size_t evaluated = cosets > apr_kept(p, place->level) ? table->columns + FX_DEGREE * table->lookup_columns : 0;
    if (cosets > 1u << p->plan.log_blowup) evaluated += table->preprocessed_columns;
    grow(&need->coset, 4 * length * evaluated);
    if (table->rows > APR_DIRECT_ROWS) {
        grow(&need->sparse, 4 * 4 * length);
        grow(&need->scales, 4 * apr_sparse_period(table, length));
    }
    grow(&need->elements, FX_DEGREE * elements);
    grow(&need->run, table->columns > table->preprocessed_columns ? table->columns : table->preprocessed_columns);
    grow(&need->run, FX_DEGREE * elements);
    grow(&need->scratch, apr_evaluator_scratch(p->air, table, place->log_length));
    if (table->interactions > 0) grow(&need->slice_sums, sizeof(fx) * APR_MAX_SUM_SLICES);
}

static size_t quotient_bytes(const apr_table_plan *place) {
    return 4 * apr_padded((size_t)1 << place->log_length) * FX_DEGREE * place->chunks;
}

/* The trees, and as much of their matrices as is kept. */
static void lay_level(apr_prover *p, apr_bump *b, uint32_t t, apr_prover_level *level, largest *need) {
    const apr_plan *plan = &p->plan;
    const uint32_t kept = apr_kept(p, t), log_arity = apr_tree_log_arity(plan, t);
    for (enum apr_phase phase = APR_PHASE_TRACE; phase < APR_PHASES; phase++) {
        const uint32_t columns = plan->level[t].columns[phase], salts = apr_tree_salted(plan, phase) ? APR_SALT_WORDS : 0;
        if (columns == 0) continue;
        apr_lay_tree(b, plan, t, columns, log_arity, kept, salts > 0, &level->trees[phase]);
        if (kept < 1u << plan->log_blowup) grow(&need->coset, 4 * apr_padded((size_t)1 << plan->level[t].log_k) * (columns + salts));
    }
    level->positions = apr_take(b, 4 * (size_t)plan->queries);
    level->stride = apr_padded((size_t)1 << plan->level[t == 0 && plan->narrow ? 1 : t].log_k);
    if (t == 0 && apr_keeps_all(p) && !plan->narrow) level->deep = p->reused = apr_take(b, quotient_bytes(apr_first_on_top(plan)));
    else if (plan->level[t].tables > 0) level->deep = apr_take(b, 4 * level->stride * FX_DEGREE);
}

static void lay_small(apr_prover *p, apr_bump *b, const largest *need) {
    const aprover_air *air = p->air;
    const apr_plan *plan = &p->plan;
    size_t runs = 0, points = 0;
    for (uint32_t i = 0; i < air->tables; i++) {
        runs += air->table[i].reads + 3; /* lookup columns at two points, chunks */
        points += air->table[i].rows_read;
    }
    p->publics = apr_take(b, 4 * (size_t)air->publics);
    p->alphas = apr_take(b, sizeof(fx) * air->constraints);
    p->openings = apr_take(b, sizeof(fx) * plan->openings);
    p->lambdas = apr_take(b, sizeof(fx) * apr_batched(plan));
    p->slice_sums = apr_take(b, need->slice_sums);
    p->points = apr_take(b, sizeof *p->points * (points + plan->folds + 1));
    p->runs = apr_take(b, sizeof *p->runs * runs);
    p->dots = apr_take(b, sizeof(fx) * need->run * p->lanes);
    p->weights = apr_take(b, sizeof(fx) * need->elements);
    p->scales = apr_take(b, need->scales);
    p->point_scratch = apr_take(b, apr_table_quotient_scratch(air));
    p->scratch_bytes = round_up(need->scratch);
    p->scratch = apr_take(b, p->scratch_bytes * p->lanes);
    p->proof_scratch = apr_take(b, 4 * (size_t)plan->queries);
}

static void lay_table(apr_prover *p, apr_bump *b, uint32_t i, apr_prover_table *t) {
    const apr_table *table = &p->air->table[i];
    const apr_table_plan *place = &p->plan.table[i];
    const size_t length = (size_t)1 << place->log_length;
    const int reused = place == apr_first_on_top(&p->plan) && apr_keeps_all(p);
    *t = (apr_prover_table){.table = table, .plan = place, .length = length, .stride = apr_padded(length)};
    t->quotient = reused && !p->plan.narrow ? p->reused : apr_take(b, quotient_bytes(place));
    t->lookup = apr_take(b, 4 * t->stride * FX_DEGREE * table->lookup_columns);
    t->trace = apr_take(b, 4 * length * table->columns);
    if (reused) p->reused = t->quotient;
}

/* Of one tree at a time: the lowest levels where the queries fall, and these leaves' values if they have to be evaluated again, column by
 * column. */
static void lay_openings(apr_prover *p, apr_bump *b) {
    const apr_plan *plan = &p->plan;
    const int tall = apr_tree_lowest(apr_tree_log_leaves(plan, 0)) > 0;
    size_t values = 0;
    for (uint32_t t = 0; t <= plan->folds && !apr_keeps_all(p); t++) {
        if (apr_kept(p, t) == 1u << plan->log_blowup) continue;
        for (enum apr_phase phase = APR_PHASE_TRACE; phase < APR_PHASES; phase++)
            grow(&values, 4 * apr_subtree_stride(plan, t) * (plan->level[t].columns[phase] + (apr_tree_salted(plan, phase) ? APR_SALT_WORDS : 0)));
    }
    p->subtrees = apr_take(b, tall ? APR_SUBTREE_BYTES * (size_t)plan->queries : 0);
    p->subtree_values = apr_take(b, values);
    p->column = apr_take(b, tall && !apr_keeps_all(p) ? (size_t)4 << plan->level[0].log_k : 0);
}

/* Coefficients; and what passes, one over the other: what the commitments work with, then what the DEEP polynomials do, then the layers
 * of FRI and the openings. The last lie over the coefficients too, unless columns may be evaluated again. */
static size_t lay_passing(apr_prover *p, apr_bump *b, const largest *need, uintptr_t base) {
    const apr_plan *plan = &p->plan;
    const size_t stride = apr_padded((size_t)1 << plan->level[0].log_k);
    apr_bump late = *b;
    p->mask = apr_take(b, plan->zero_knowledge ? 4 * stride * FX_DEGREE : 0);
    for (uint32_t i = 0; i < p->air->tables; i++) {
        apr_prover_table t;
        lay_table(p, b, i, base == 0 ? &t : &p->tables[i]);
    }
    if (!apr_keeps_all(p)) late = *b;
    apr_bump early = *b, deep = *b;
    for (uint32_t i = 0; i < p->air->tables; i++) {
        const apr_table *table = &p->air->table[i];
        uint32_t *rows = apr_take(&early, table->interactions > 0 ? 4 * (size_t)table->columns << table->log_height : 0);
        if (base != 0) p->tables[i].rows = rows;
    }
    p->coset = apr_take(&early, need->coset);
    p->sparse = apr_take(&early, need->sparse);
    p->powers = (apr_fxv){NULL, apr_padded((size_t)1 << apr_log_slice(plan->level[0].log_k))};
    p->powers.values = apr_take(&deep, 4 * p->powers.stride * FX_DEGREE);
    p->stride_work = apr_folds_first(plan) ? apr_padded((size_t)1 << plan->level[1].log_k) : stride;
    p->work = plan->narrow && apr_keeps_all(p) && !apr_folds_first(plan) ? p->reused : apr_take(&deep, 4 * p->stride_work * FX_DEGREE);
    for (uint32_t t = plan->first_layer; t < plan->folds; t++) {
        apr_commitment layer = {0};
        apr_lay_tree(&late, plan, t, FX_DEGREE, plan->level[t].log_arity, 1u << plan->log_blowup, 0, &layer);
        if (base != 0) p->levels[t].layer = layer;
    }
    lay_openings(p, &late);
    const size_t used = early.used > deep.used ? early.used : deep.used;
    return used > late.used ? used : late.used;
}

/* Lay the arena out; returns its size. With base 0 it only measures. */
static size_t lay_out(apr_prover *p, uintptr_t base, uint32_t log_twiddles) {
    const apr_plan *plan = &p->plan;
    apr_bump b = {base, sizeof(arena_header)};
    largest need = {0};
    apr_take(&b, apr_twiddles_bytes(log_twiddles));
    p->tables = apr_take(&b, sizeof *p->tables * p->air->tables);
    p->levels = apr_take(&b, sizeof *p->levels * (plan->folds + 1));
    p->reused = NULL;
    for (uint32_t i = 0; i < p->air->tables; i++) measure_table(p, i, &need);
    for (uint32_t t = 0; t <= plan->folds; t++) {
        apr_prover_level level = {0};
        lay_level(p, &b, t, &level, &need);
        if (base != 0) p->levels[t] = level;
    }
    lay_small(p, &b, &need);
    return lay_passing(p, &b, &need, base);
}

/* Keep as many cosets as `bytes` have room for; returns what that takes, or the least that would do. */
static size_t fit(apr_prover *p, size_t bytes, uint32_t log_twiddles) {
    const int tall = apr_tree_lowest(apr_tree_log_leaves(&p->plan, 0)) > 0;
    p->kept = 1u << p->plan.log_blowup;
    for (;; p->kept /= 2) {
        const size_t needed = lay_out(p, 0, log_twiddles);
        if (needed <= bytes || p->kept == 0 || !tall) return needed;
    }
}

size_t aprover_prove_memory(const aprover_air *air, const aprover_parameters *parameters, uint32_t lanes, size_t limit) {
    apr_prover p = {.air = air, .lanes = lanes};
    if (air == NULL || parameters == NULL || lanes < 1 || lanes > APR_MAX_LANES) return 0;
    if (apr_plan_make(air, parameters, &p.plan) != APROVER_OK) return 0;
    return fit(&p, limit == 0 ? SIZE_MAX : limit, p.plan.level[0].log_k);
}

size_t aprover_proof_bound(const aprover_air *air, const aprover_parameters *parameters) {
    apr_plan plan;
    if (air == NULL || parameters == NULL || apr_plan_make(air, parameters, &plan) != APROVER_OK) return 0;
    return apr_plan_proof_bound(&plan);
}

aprover_status apr_open_arena(apr_prover *p, void *arena, size_t bytes, size_t *needed) {
    arena_header *header = arena;
    uint32_t log_twiddles = p->plan.level[0].log_k;
    *needed = fit(p, bytes, log_twiddles);
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

aprover_status apr_back_arena(const apr_prover *p) {
    enum { PAGE = 4096, BETWEEN_POLLS = 1 << 20 };
    uint8_t *bytes = p->job->arena;
    arena_header *header = p->job->arena;
    for (; header->backed < p->job->arena_bytes; header->backed += PAGE) {
        if (header->backed % BETWEEN_POLLS == 0 && apr_stopped(p)) return APROVER_CANCELLED;
        (void)__atomic_fetch_or(&bytes[header->backed], 0, __ATOMIC_RELAXED); /* which no compiler takes for nothing */
    }
    (void)__atomic_fetch_or(&bytes[p->job->arena_bytes - 1], 0, __ATOMIC_RELAXED);
    return APROVER_OK;
}

uint32_t *aprover_prove_trace(const aprover_job *job, uint32_t table) {
    if (job == NULL || job->air == NULL || table >= job->air->tables) return NULL;
    apr_prover p = {.air = job->air, .lanes = apr_lanes(job->team)};
    size_t needed;
    if (apr_plan_make(job->air, &job->parameters, &p.plan) != APROVER_OK) return NULL;
    return apr_open_arena(&p, job->arena, job->arena_bytes, &needed) == APROVER_OK ? p.tables[table].trace : NULL;
}
