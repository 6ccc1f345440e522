/* The same code over the field of 11 elements, where 2 is no fifth power: all 11^5 elements of the extension are tried. */
#define FP_P 11u
#define FP_PINV 3123612579u
#define FP_ONE 4u
#define FP_R2 5u
#define FP_TWO_ADICITY 1
#define FP_GENERATOR 2u
#define FX_FROBENIUS {4u, 5u, 9u, 3u, 1u}
#include "field.h"

#include "check.h"

enum { P = 11, ELEMENTS = 11 * 11 * 11 * 11 * 11 };

static fx element(int index) {
    fx r;
    for (int i = 0; i < FX_DEGREE; i++, index /= P) r.c[i] = fp_from_u32((uint32_t)(index % P));
    return r;
}

static int index_of(fx a) {
    int r = 0;
    for (int i = FX_DEGREE; i-- > 0;) r = r * P + (int)fp_to_u32(a.c[i]);
    return r;
}

/* Schoolbook product of canonical coefficients modulo X^5 - 2. */
static int product(int a, int b) {
    int x[FX_DEGREE], y[FX_DEGREE], wide[2 * FX_DEGREE] = {0}, r = 0;
    for (int i = 0; i < FX_DEGREE; i++, a /= P, b /= P) {
        x[i] = a % P;
        y[i] = b % P;
    }
    for (int i = 0; i < FX_DEGREE; i++)
        for (int j = 0; j < FX_DEGREE; j++) wide[i + j] += x[i] * y[j];
    for (int i = FX_DEGREE; i-- > 0;) r = r * P + (wide[i] + 2 * wide[i + FX_DEGREE]) % P;
    return r;
}

/* All pairs of the base field. */
static void base_field(void) {
    for (int a = 0; a < P; a++)
        for (int b = 0; b < P; b++) {
            fp x = fp_from_u32((uint32_t)a), y = fp_from_u32((uint32_t)b);
            CHECK(x < FP_P && fp_to_u32(x) == (uint32_t)a);
            CHECK(fp_to_u32(fp_add(x, y)) == (uint32_t)((a + b) % P));
            CHECK(fp_to_u32(fp_sub(x, y)) == (uint32_t)((a - b + P) % P));
            CHECK(fp_to_u32(fp_mul(x, y)) == (uint32_t)(a * b % P));
            CHECK(a == 0 ? fp_inv(x) == 0 : fp_mul(x, fp_inv(x)) == FP_ONE);
        }
    CHECK(fp_to_u32(fp_pow(fp_from_u32(2), (P - 1) / 5)) != 1);
}

/* Every element has its inverse, its square, its order dividing p^5 - 1, and its p-th power by Frobenius. */
static void every_element(void) {
    for (int i = 0; i < ELEMENTS; i++) {
        fx a = element(i);
        fx inverse = fx_inv(a);
        CHECK(i == 0 ? fx_is_zero(inverse) : fx_eq(fx_mul(a, inverse), fx_one()));
        CHECK(i == 0 || product(i, index_of(inverse)) == 1);
        CHECK(index_of(fx_sqr(a)) == product(i, i));
        if (i != 0) CHECK(fx_eq(fx_pow(a, ELEMENTS - 1), fx_one()));
        CHECK(fx_eq(fx_frobenius(a, 1), fx_pow(a, P)));
        CHECK(fx_is_zero(a) == (i == 0) && fx_is_base(a) == (i < P));
    }
}

/* Products of every eighth element with a walk through all sizes of the other factor. */
static void products(void) {
    for (int i = 0; i < ELEMENTS; i += 8)
        for (int j = 1, step = 0; j < ELEMENTS; j = j * 3 + (step++ & 1)) CHECK(index_of(fx_mul(element(i), element(j))) == product(i, j));
}

int main(void) {
    base_field();
    every_element();
    products();
    puts("ok toy_field");
    return 0;
}
