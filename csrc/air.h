/* The AIR in memory, and its evaluation at one point: docs/protocol.md section 4. */
#ifndef APROVER_AIR_H
#define APROVER_AIR_H

#include "aprover.h"
#include "field.h"

#define APR_MAX_TABLES 64
#define APR_MAX_BUSES 64
#define APR_MAX_BATCH 4
#define APR_MAX_CHUNKS 8
#define APR_MAX_DEGREE 8
#define APR_MAX_OFFSET 15

/* aprover_error.detail for APROVER_ERROR_AIR. */
enum apr_air_rule {
    APR_RULE_VERSION = 1,
    APR_RULE_HEADER_RANGE,    /* a number in a header, or the width of a bus */
    APR_RULE_SLOTS,
    APR_RULE_LENGTH,          /* words are missing, or are left over */
    APR_RULE_READ,            /* column or offset out of range */
    APR_RULE_READ_ORDER,      /* not ascending, or not all columns at offset 0 first */
    APR_RULE_PERIOD,
    APR_RULE_CANONICAL,
    APR_RULE_OPCODE,
    APR_RULE_REGISTER,        /* destination out of range */
    APR_RULE_OPERAND,         /* slot out of range, or a register not yet written */
    APR_RULE_DEGREE,
    APR_RULE_ASSERT,          /* unused fields not zero, or the constraint reads no column */
    APR_RULE_EXEMPTION,       /* a constraint that is exempt on all rows of a run */
    APR_RULE_BOUNDARY,        /* column, row or slot out of range */
    APR_RULE_BOUNDARY_ORDER,
    APR_RULE_EMPTY,           /* a table without a constraint */
    APR_RULE_INTERACTION,     /* bus or sign out of range */
    APR_RULE_BUS_COUNT        /* p tuples or more on one bus */
};

enum apr_op { APR_OP_ADD, APR_OP_SUB, APR_OP_MUL, APR_OP_ASSERT };

typedef struct {
    uint16_t op, dst, a, b;
} apr_instruction;

typedef struct {
    uint32_t log_size;
    const fp *coefficients; /* bit-reversed order */
} apr_periodic;

typedef struct {
    uint32_t column, row, slot;
    uint32_t row_index;  /* into rows[] */
    uint32_t constraint; /* number of its boundary constraint, within its table */
} apr_boundary;

typedef struct {
    uint32_t bus, width;
    uint32_t minus;        /* 1: the sign is minus */
    uint32_t multiplicity; /* slot */
    const uint32_t *value; /* `width` slots */
} apr_interaction;

/* Constraints are numbered within a table: asserted slots, boundary constraints, lookup constraints. */
typedef struct {
    uint32_t log_height, log_slots;
    uint32_t columns, preprocessed_columns, reads, periodics, constants, registers, instructions, boundaries, interactions;
    uint32_t batch;            /* interactions to a lookup column */
    uint32_t lookup_columns;   /* A of section 4.2 */
    uint32_t asserts;          /* asserted slots */
    uint32_t first_lookup;     /* number of the first lookup constraint: asserted slots and boundary constraints */
    uint32_t constraints;
    uint32_t first_constraint; /* of the table, among those of all tables: the power of alpha it begins with */
    uint32_t degree;
    uint32_t max_offset;
    uint32_t rows_read;        /* o of section 4.2 */
    uint32_t first_read, first_periodic, first_public, first_constant, slots;
    const uint32_t *read;      /* offset << 16 | column; columns from `columns` on are preprocessed */
    const apr_periodic *periodic;
    const fp *constant;
    const apr_instruction *code;
    const uint8_t *exemption;     /* of each asserted slot */
    uint32_t exemptions;          /* a bit for each exemption that some asserted slot has */
    uint8_t exempted_degree[APR_MAX_OFFSET + 1]; /* the highest degree of an asserted slot with this exemption; 0: there is none */
    const apr_boundary *boundary;
    const uint32_t *row;          /* distinct boundary rows, ascending */
    uint32_t rows;
    const apr_interaction *interaction;
    const uint8_t *lookup_degree; /* of each batch */
    const fp *preprocessed;       /* column c, row i at [c << log_height | i] */
} apr_table;

struct aprover_air {
    uint32_t tables, buses, publics;
    uint32_t constraints, interactions, preprocessed_columns; /* of all tables */
    const uint32_t *bus_width;
    const apr_table *table;
    uint8_t digest[32];
};

static inline uint32_t apr_read_column(uint32_t read) { return read & 0xffffu; }
static inline uint32_t apr_read_offset(uint32_t read) { return read >> 16; }
/* Interactions of batch a: the first, and how many. */
static inline uint32_t apr_batch_first(const apr_table *table, uint32_t a) { return a * table->batch; }
static inline uint32_t apr_batch_count(const apr_table *table, uint32_t a) {
    const uint32_t left = table->interactions - a * table->batch;
    return left < table->batch ? left : table->batch;
}
/* Openings of the table before those of its chunks: the reads, h_0 .. h_(A-2) and phi at z, phi one row on. */
static inline uint32_t apr_trace_openings(const apr_table *table) {
    return table->reads + (table->interactions > 0 ? table->lookup_columns + 1 : 0);
}

/* ---- at one point: air_point.c ---- */

/* What the quotient at z depends on beside the table and its openings. Montgomery form throughout. */
typedef struct {
    const fp *publics;
    fx alpha, gamma, beta, z;
} apr_point_challenges;

/* Scratch of apr_table_quotient_at, in bytes, for any table of the AIR. */
size_t apr_table_quotient_scratch(const aprover_air *air);
/* Q(z) of section 4.3 for one table. openings: the table's own, in the order of section 7. sigma: its lookup sum.
 * power: alpha^first_constraint; becomes that of the next table. */
fx apr_table_quotient_at(const apr_table *table, const apr_point_challenges *challenges, const fx *openings, fx sigma, fx *power,
                         void *scratch);

#endif
