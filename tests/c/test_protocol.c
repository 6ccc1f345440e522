/* Steps that prover and verifier share, with scripted challenges. */
#include <string.h>

#include "../../csrc/protocol.h"
#include "check.h"

typedef struct {
    fx elements[4];
    int used;
} script;

static fx next_element(void *source) {
    script *s = source;
    return s->elements[s->used++];
}

/* A point of the base field, zero and the points of domains among them, is never taken for z. */
static void z_is_redrawn(void) {
    script s = {{{{0, 0, 0, 0, 0}}, {{fp_root(5), 0, 0, 0, 0}}, {{7, 0, 0, 0, 1}}, {{1, 1, 1, 1, 1}}}, 0};
    fx z = apr_draw_outside_base(next_element, &s);
    CHECK(s.used == 3 && z.c[0] == 7 && z.c[4] == 1);
    for (int e = 1; e < FX_DEGREE; e++) { /* one coefficient outside is enough */
        script one = {{{{5, 0, 0, 0, 0}}}, 0};
        one.elements[0].c[e] = 1;
        apr_draw_outside_base(next_element, &one);
        CHECK(one.used == 1);
    }
    puts("ok z is redrawn");
}

/* Two levels of a plan, the first folded by 2^log_arity. */
static apr_plan two_levels(uint32_t log_k, uint32_t log_arity, uint32_t narrow) {
    apr_plan plan = {.log_blowup = 2, .folds = 1, .narrow = narrow, .first_layer = narrow};
    plan.level[0] = (apr_level_plan){.log_k = log_k, .log_n = log_k + 2, .log_arity = log_arity};
    plan.level[1] = (apr_level_plan){.log_k = log_k - log_arity, .log_n = log_k - log_arity + 2};
    return plan;
}

/* A fold coset's positions are where the position maps say, and fold to the coset's own number. */
static void cosets_and_points_agree(void) {
    for (uint32_t log_arity = 1; log_arity <= APR_MAX_LOG_ARITY; log_arity++) {
        const apr_plan plan = two_levels(7, log_arity, 0);
        const apr_points points = apr_position_points(&plan, 0), first = apr_coset_points(&plan, 0), next = apr_position_points(&plan, 1);
        for (uint32_t position = 0; position < 512; position++) {
            uint32_t place;
            const uint32_t coset = apr_coset_of(&plan, 0, position, &place);
            const fp x = apr_point(&points, position);
            CHECK(coset < 512u >> log_arity && place < 1u << log_arity);
            CHECK(x == fp_mul(apr_point(&first, coset), fp_pow(fp_root(log_arity), place)));
            CHECK(fp_pow(x, 1u << log_arity) == apr_point(&next, coset));
            CHECK(fp_mul(x, apr_point_inverse(&points, position)) == FP_ONE);
        }
    }
    puts("ok fold cosets and points agree");
}

/* The positions of the next level are the cosets of the indices, each once and ascending; or the indices, where these are cosets. */
static void positions_descend(void) {
    const uint32_t indices[5] = {3, 19, 35, 100, 129}; /* in cosets of 16 rows of 128: 3 = 3, 19 -> 3, 35 -> 3, 100 -> 4, 129 -> 17 */
    uint32_t next[5];
    apr_plan plan = two_levels(7, 3, 0);
    CHECK(apr_next_positions(&plan, 0, indices, 5, next) == 3 && next[0] == 3 && next[1] == 4 && next[2] == 17);
    plan = two_levels(7, 3, 1);
    CHECK(apr_next_positions(&plan, 0, indices, 5, next) == 5 && memcmp(next, indices, sizeof next) == 0);
    const uint32_t late[2] = {0, 128}, crossed[3] = {15, 16, 129}; /* 129 lies in coset 17, 16 in coset 0: not in the positions' order */
    plan = two_levels(7, 3, 0);
    CHECK(apr_next_positions(&plan, 0, late, 2, next) == 2 && next[0] == 0 && next[1] == 16);
    CHECK(apr_next_positions(&plan, 0, crossed, 3, next) == 3 && next[0] == 0 && next[1] == 15 && next[2] == 17);
    puts("ok positions descend");
}

/* Chunks are put together with the stride of their table, which masks make other than a power of two. */
static void chunks_are_joined(void) {
    const fx z = {{3, 1, 4, 1, 5}}, chunks[3] = {{{2, 7, 1, 8, 2}}, {{1, 6, 1, 8, 0}}, {{3, 3, 9, 8, 8}}};
    const uint32_t strides[3] = {8, 64, 53};
    apr_plan plan = {.tables = 2};
    for (int i = 0; i < 3; i++) {
        plan.table[1] = (apr_table_plan){.chunks = 3, .stride = strides[i]};
        const fx expected = fx_add(chunks[0], fx_add(fx_mul(fx_pow(z, strides[i]), chunks[1]), fx_mul(fx_pow(z, 2 * strides[i]), chunks[2])));
        CHECK(fx_eq(apr_chunks_at(&plan, 1, chunks, z), expected));
    }
    puts("ok chunks are joined");
}

int main(void) {
    z_is_redrawn();
    cosets_and_points_agree();
    positions_descend();
    chunks_are_joined();
    return 0;
}
