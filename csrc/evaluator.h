/* A table's constraints on a coset, eight rows a vector: what the quotient and the lookup columns are made of. */
#ifndef APROVER_EVALUATOR_H
#define APROVER_EVALUATOR_H

#include "air.h"
#include "poly.h"

#define APR_AIR_BLOCK 128 /* rows that the evaluator works on at once */
/* Boundary constraints on at most so many distinct rows are evaluated row by row, with one batched inversion; more rows
 * cost less through the polynomials S and U of docs/protocol.md section 4.3. */
#define APR_DIRECT_ROWS 8
#define APR_MAX_BUS_WIDTH 16

/* The challenges of lookups: gamma, and the powers of beta from beta^0 on. */
typedef struct {
    fx gamma;
    fx beta[APR_MAX_BUS_WIDTH + 1];
} apr_fingerprint;

/* Columns with their values on the coset in natural order. */
typedef struct {
    const uint32_t *values;
    size_t stride;
} apr_coset_columns;

typedef struct {
    const aprover_air *air;
    const apr_table *table;
    apr_coset_columns trace, preprocessed, lookup;
    uint32_t log_size; /* of the coset, at least the table's log_height */
    fp shift;
    const fp *publics;                   /* Montgomery form */
    const fx *alphas;                    /* the power of alpha for each constraint of the table; NULL for `fractions` alone */
    const apr_fingerprint *fingerprint;  /* if the table has interactions */
    fx drift;                            /* sigma / k */
    uint32_t direct_boundaries;          /* whether the boundary constraints are evaluated too */
    void *scratch;                       /* apr_evaluator_scratch bytes, prepared by `prepare` */
    const apr_poly_kernels *poly;
    apr_twiddles twiddles;
} apr_air_coset;

/* Bytes of scratch for cosets of 2^log_size rows. */
size_t apr_evaluator_scratch(const aprover_air *air, const apr_table *table, uint32_t log_size);

typedef struct {
    /* Fill the scratch with what depends on the coset. */
    void (*prepare)(const apr_air_coset *coset);
    /* Q on rows first .. first + count - 1 of the coset: out holds five vectors. count: a multiple of 8, at most one block,
     * and first a multiple of it. */
    void (*block)(const apr_air_coset *coset, size_t first, size_t count, apr_fxv out);
    /* The sum of each batch's fractions in these rows, of all batches: five vectors each, one after the other. */
    void (*fractions)(const apr_air_coset *coset, size_t first, size_t count, apr_fxv out);
    /* out_j[i] = sum over t of matrix[j * c + t] * in_t[i], in place over c vectors `step` words apart. */
    void (*mix)(uint32_t *x, size_t step, uint32_t c, const fp *matrix, size_t n);
    /* q[e][i] += alpha.c[e] * (s[i] * t[i] - u[i]) * scales[i mod period]; the period is a power of two, at least 8 */
    void (*boundary_column)(apr_fxv q, const uint32_t *s, const uint32_t *u, const uint32_t *t, fx alpha, const uint32_t *scales,
                            size_t period, size_t n);
} apr_air_kernels;

const apr_air_kernels *apr_air_kernels_for(enum apr_path path);

/* 1 / (x^k - 1) at the points x = shift * w(log_size)^i, i < max(period, least); it repeats after 2^(log_size - log_height). */
void apr_vanishing_inverses(uint32_t *out, size_t count, uint32_t log_height, uint32_t log_size, fp shift);

#endif
