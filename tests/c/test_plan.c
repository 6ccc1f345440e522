/* The shape of proofs, against cases worked out by hand from docs/protocol.md sections 5 and 6. */
#include "../../csrc/plan.h"
#include "check.h"

/* Tables without anything but their heights, one column and one constraint of the degree given. */
static apr_plan plan_of(const uint32_t *log_heights, uint32_t tables, uint32_t degree, aprover_parameters parameters, aprover_status expected) {
    apr_table table[APR_MAX_TABLES] = {0};
    const aprover_air air = {.tables = tables, .table = table};
    apr_plan plan = {0};
    for (uint32_t i = 0; i < tables; i++) {
        table[i] = (apr_table){.log_height = log_heights[i], .columns = 1, .reads = 2, .rows_read = 2, .exemptions = 2};
        table[i].exempted_degree[1] = (uint8_t)degree;
    }
    CHECK(apr_plan_make(&air, &parameters, &plan) == expected);
    return plan;
}

static const aprover_parameters plain = {1, 0, 0, 0, 2};

/* The levels' sizes, and the level of each table. */
static void levels_are(const uint32_t *log_heights, uint32_t tables, const uint32_t *log_k, uint32_t levels, const uint32_t *level_of) {
    const apr_plan plan = plan_of(log_heights, tables, 1, plain, APROVER_OK);
    CHECK(plan.folds + 1 == levels);
    for (uint32_t t = 0; t < levels; t++) {
        CHECK(plan.level[t].log_k == log_k[t] && plan.level[t].log_n == log_k[t] + 1);
        CHECK(plan.level[t].log_arity == (t + 1 < levels ? log_k[t] - log_k[t + 1] : 0));
    }
    for (uint32_t i = 0; i < tables; i++)
        CHECK(plan.table[i].level == level_of[i] && plan.table[i].log_length == log_k[level_of[i]] &&
              plan.table[i].stride == 1u << plan.table[i].log_length);
}
#define LIST(...) (const uint32_t[]){__VA_ARGS__}

static void levels(void) {
    levels_are(LIST(3), 1, LIST(3, 0), 2, LIST(0));
    levels_are(LIST(6), 1, LIST(6, 3), 2, LIST(0));
    levels_are(LIST(7), 1, LIST(7, 4), 2, LIST(0));
    levels_are(LIST(20), 1, LIST(20, 17, 14, 11, 8, 5), 6, LIST(0));
    levels_are(LIST(10, 8, 5), 3, LIST(10, 8, 5), 3, LIST(0, 1, 2));
    levels_are(LIST(7, 11, 12, 11), 4, LIST(12, 11, 8, 7, 4), 5, LIST(3, 1, 0, 1));
    levels_are(LIST(12, 5, 4), 3, LIST(12, 9, 6), 3, LIST(0, 2, 2)); /* longer than they are high */
    levels_are(LIST(9, 7), 2, LIST(9, 7, 4), 3, LIST(0, 1));
    levels_are(LIST(9, 6), 2, LIST(9, 6), 2, LIST(0, 1));
    puts("ok levels");
}

/* Every height there is, one below the other: the most folds. */
static void most_levels(void) {
    uint32_t heights[18];
    for (uint32_t i = 0; i < 18; i++) heights[i] = 24 - i;
    const apr_plan plan = plan_of(heights, 18, 1, plain, APROVER_OK);
    CHECK(plan.folds == 18 && plan.level[17].log_k == 7 && plan.level[18].log_k == 4 && plan.table[17].level == 17);
    const aprover_parameters masked = {1, 0, 0, APROVER_FLAG_ZERO_KNOWLEDGE, 4};
    const apr_plan longer = plan_of(heights, 18, 1, masked, APROVER_OK); /* each twice as long */
    CHECK(longer.folds == 18 && longer.level[0].log_k == 25 && longer.level[17].log_k == 8 && longer.level[18].log_k == 5);
    puts("ok most levels");
}

static void chunks(void) {
    for (uint32_t degree = 1; degree <= 8; degree++) {
        const uint32_t expected = degree == 1 ? 1 : degree - 1; /* degree * (k - 1) + 1 - k < (degree - 1) * k */
        CHECK(plan_of(LIST(9), 1, degree, plain, APROVER_OK).table[0].chunks == expected);
    }
    CHECK(plan_of(LIST(12, 5), 2, 8, plain, APROVER_OK).table[1].chunks == 4); /* 8 * 31 + 1 - 32 = 217 in strides of 64 */
    puts("ok chunks");
}

/* Section 13's own example, and masks that outnumber the rows by far. */
static void masks(void) {
    aprover_parameters masked = {1, 0, 0, APROVER_FLAG_ZERO_KNOWLEDGE, 60};
    apr_plan plan = plan_of(LIST(5), 1, 2, masked, APROVER_OK);
    CHECK(plan.table[0].masks == 130 && plan.table[0].log_length == 8 && plan.table[0].stride == 126 && !plan.narrow);
    CHECK(plan.table[0].chunks == 3); /* 2 * 161 + 1 - 32 = 291 in strides of 126 */
    CHECK(plan.level[0].columns[APR_PHASE_QUOTIENT] == 20 && apr_mask_column(&plan) == 15);
    masked.queries = 100; /* 8 rows and 210 masks in 256: strides of 46 would be 10 chunks of degree 2, so the table is longer */
    plan = plan_of(LIST(3), 1, 2, masked, APROVER_OK);
    CHECK(plan.table[0].masks == 210 && plan.table[0].log_length == 9 && plan.table[0].chunks == 2);
    puts("ok masks");
}

static void parameters_are_checked(void) {
    const aprover_parameters wrong[] = {{0, 0, 0, 0, 4},  {7, 0, 0, 0, 4}, {1, 33, 0, 0, 4}, {1, 0, 9, 0, 4},
                                        {1, 0, 0, 4, 4},  {1, 0, 0, 0, 0}, {1, 0, 0, 0, 4097}, {4, 0, 0, 0, 4}};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) plan_of(LIST(24), 1, 1, wrong[i], APROVER_REJECT_PARAMETERS);
    const aprover_parameters longest = {3, 32, 8, 3, 4096};
    plan_of(LIST(24), 1, 1, longest, APROVER_REJECT_PARAMETERS); /* 25 + 3 with its masks */
    plan_of(LIST(23), 1, 1, longest, APROVER_OK);
    /* As many queries as there are fold cosets, and one more. */
    CHECK(plan_of(LIST(6), 1, 1, (aprover_parameters){1, 0, 0, 0, 16}, APROVER_OK).log_domain == 4);
    plan_of(LIST(6), 1, 1, (aprover_parameters){1, 0, 0, 0, 17}, APROVER_REJECT_PARAMETERS);
    puts("ok parameters are checked");
}

int main(void) {
    levels();
    most_levels();
    chunks();
    masks();
    parameters_are_checked();
    return 0;
}
