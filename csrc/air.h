/* The AIR in memory, and its evaluation: docs/protocol.md section 4. */
#ifndef APROVER_AIR_H
#define APROVER_AIR_H

#include "aprover.h"
#include "poly.h"

#define APR_AIR_BLOCK 128 /* rows that the evaluator works on at once */
#define APR_MAX_CHUNKS 8
#define APR_MAX_OFFSET 15
/* Boundary constraints on at most so many distinct rows are evaluated row by row, with one batched inversion; more rows
 * cost less through the polynomials S and U of section 4.3. */
#define APR_DIRECT_ROWS 8

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
    uint32_t constraint; /* number of its boundary constraint */
} apr_boundary;

struct aprover_air {
    uint32_t log_height, columns, reads, periodics, publics, constants, registers, instructions, boundaries;
    uint32_t asserts;     /* asserted slots; boundary constraints are numbered from here */
    uint32_t constraints;
    uint32_t degree;
    uint32_t chunks;
    uint32_t max_offset;
    uint32_t narrow;
    uint32_t first_read, first_periodic, first_public, first_constant, slots;
    const uint32_t *read;             /* offset << 16 | column */
    const apr_periodic *periodic;
    const fp *constant;
    const apr_instruction *code;
    const uint8_t *exemption;         /* of each asserted slot */
    const apr_boundary *boundary;
    const uint32_t *row;              /* distinct boundary rows, ascending */
    uint32_t rows;
    uint32_t exemptions;              /* a bit for each exemption that some asserted slot has */
    uint8_t digest[32];
};

static inline uint32_t apr_read_column(uint32_t read) { return read & 0xffffu; }
static inline uint32_t apr_read_offset(uint32_t read) { return read >> 16; }

/* Scratch of apr_air_quotient_at, in bytes. */
size_t apr_air_quotient_scratch(const aprover_air *air);
/* Q(z) of section 4.3 from the trace openings. publics: Montgomery form. */
fx apr_air_quotient_at(const aprover_air *air, const fp *publics, const fx *openings, fx alpha, fx z, void *scratch);

/* One coset of the constraint evaluation. */
typedef struct {
    const aprover_air *air;
    const uint32_t *values; /* columns on the coset, natural order */
    size_t stride;
    fp shift;               /* of the coset */
    const fp *publics;      /* Montgomery form */
    const fx *alphas;       /* power i of alpha for each constraint */
    uint32_t direct_boundaries; /* whether the boundary constraints are evaluated too */
    void *scratch;          /* apr_air_coset_scratch bytes, prepared by apr_air_coset_prepare */
    const apr_poly_kernels *poly;
    apr_twiddles twiddles;
} apr_air_coset;

size_t apr_air_coset_scratch(const aprover_air *air);

typedef struct {
    /* Fill the scratch with what depends on the coset. */
    void (*prepare)(const apr_air_coset *coset);
    /* Q on rows first .. first + count - 1 of the coset: out holds five vectors. count: a multiple of 8, at most one block,
     * and first a multiple of the block. */
    void (*block)(const apr_air_coset *coset, size_t first, size_t count, apr_fxv out);
    /* out_j[i] = sum over t of matrix[j * c + t] * in_t[i], in place over c vectors `step` words apart. */
    void (*mix)(uint32_t *x, size_t step, uint32_t c, const fp *matrix, size_t n);
    /* q[e][i] += alpha.c[e] * (s[i] * t[i] - u[i]) * scale */
    void (*boundary_column)(apr_fxv q, const uint32_t *s, const uint32_t *u, const uint32_t *t, fx alpha, fp scale, size_t n);
} apr_air_kernels;

const apr_air_kernels *apr_air_kernels_for(enum apr_path path);

#endif
