/* The field and its extension against plain integer arithmetic on canonical residues. */
#include "field.h"

#include "check.h"

typedef unsigned __int128 u128;

static uint64_t seed = 1;

static const uint32_t boundary[] = {
    0, 1, 2, 3, 4, 5, 30, 31, 32, 0xffff, 0x10000, (1u << 27) - 1, 1u << 27, (1u << 27) + 1, FP_P / 4, FP_P / 2, FP_P / 2 + 1,
    (1u << 30) - 1, 1u << 30, (1u << 30) + 1, FP_ONE - 1, FP_ONE, FP_ONE + 1, FP_R2, 0x55555555u, 0x6fffffffu, 0x77000000u,
    FP_P - (1u << 27), FP_P - 32, FP_P - 31, FP_P - 3, FP_P - 2, FP_P - 1};
enum { BOUNDARIES = sizeof boundary / sizeof *boundary };

/* Every third draw is a boundary value. */
static uint32_t draw(void) {
    uint64_t r = random_u64(&seed);
    return r % 3 == 0 ? boundary[(r >> 8) % BOUNDARIES] : (uint32_t)((r >> 8) % FP_P);
}

static uint64_t power(uint64_t a, uint64_t e) {
    uint64_t r = 1;
    for (; e != 0; e >>= 1, a = a * a % FP_P)
        if (e & 1) r = r * a % FP_P;
    return r;
}

/* An element of the extension in canonical residues, multiplied as polynomials and reduced by X^5 = 2. */
typedef struct {
    uint64_t c[FX_DEGREE];
} plain;

static plain plain_mul(plain a, plain b) {
    uint64_t wide[2 * FX_DEGREE - 1] = {0};
    plain r;
    for (int i = 0; i < FX_DEGREE; i++)
        for (int j = 0; j < FX_DEGREE; j++) wide[i + j] = (wide[i + j] + a.c[i] * b.c[j]) % FP_P;
    for (int i = 0; i < FX_DEGREE; i++) r.c[i] = (wide[i] + (i < FX_DEGREE - 1 ? 2 * wide[i + FX_DEGREE] : 0)) % FP_P;
    return r;
}

static fx from_plain(plain a) {
    fx r;
    for (int i = 0; i < FX_DEGREE; i++) r.c[i] = fp_from_u32((uint32_t)a.c[i]);
    return r;
}

static int same(fx a, plain b) {
    for (int i = 0; i < FX_DEGREE; i++)
        if (a.c[i] >= FP_P || fp_to_u32(a.c[i]) != b.c[i]) return 0;
    return 1;
}

static plain draw_plain(void) {
    plain r;
    for (int i = 0; i < FX_DEGREE; i++) r.c[i] = draw();
    return r;
}

/* The constants are what their comments say. */
static void constants(void) {
    CHECK((uint32_t)(FP_PINV * FP_P) == 1);
    CHECK(FP_ONE == ((uint64_t)1 << 32) % FP_P);
    CHECK(FP_R2 == (uint32_t)(((u128)1 << 64) % FP_P));
    CHECK(FP_P == 15u * (1u << 27) + 1);
    for (uint64_t d = 2; d * d <= FP_P; d++) CHECK(FP_P % d != 0);
    /* 31 generates the group: no prime factor of p - 1 may be missing from its order. */
    CHECK(power(FP_GENERATOR, (FP_P - 1) / 2) != 1);
    CHECK(power(FP_GENERATOR, (FP_P - 1) / 3) != 1);
    CHECK(power(FP_GENERATOR, (FP_P - 1) / 5) != 1);
    /* 2 is no fifth power, and 5 divides p - 1, so X^5 - 2 is irreducible. */
    CHECK((FP_P - 1) % 5 == 0 && power(2, (FP_P - 1) / 5) != 1);
}

/* Montgomery reduction is exact on its whole range, at its ends above all. */
static void reduction(void) {
    const uint64_t top = (uint64_t)FP_P << 32;
    uint64_t x[] = {0, 1, FP_P - 1, FP_P, UINT32_MAX, (uint64_t)1 << 32, top - 1, top - 2, top - FP_P, top / 2, (uint64_t)1 << 62,
                    (uint64_t)(FP_P - 1) * (FP_P - 1)};
    for (size_t i = 0; i < sizeof x / sizeof *x + 100000; i++) {
        uint64_t v = i < sizeof x / sizeof *x ? x[i] : random_u64(&seed) % top;
        fp r = fp_reduce(v);
        CHECK(r < FP_P && (((uint64_t)r << 32) % FP_P) == v % FP_P);
        CHECK(fp_trim(v) == v && fp_trim(v + top / 8) % FP_P == (v + top / 8) % FP_P);
        CHECK(fp_trim(v + top / 8) < top);
    }
}

static void check_pair(uint32_t a, uint32_t b) {
    fp x = fp_from_u32(a), y = fp_from_u32(b);
    CHECK(x < FP_P && fp_to_u32(x) == a);
    fp sum = fp_add(x, y), difference = fp_sub(x, y), product = fp_mul(x, y);
    CHECK(sum < FP_P && fp_to_u32(sum) == ((uint64_t)a + b) % FP_P);
    CHECK(difference < FP_P && fp_to_u32(difference) == ((uint64_t)a + FP_P - b) % FP_P);
    CHECK(product < FP_P && fp_to_u32(product) == (uint64_t)a * b % FP_P);
    CHECK(fp_neg(x) == fp_sub(0, x) && fp_sqr(x) == fp_mul(x, x));
}

/* Addition, subtraction and multiplication agree with integers modulo p, and stay reduced. */
static void base_arithmetic(void) {
    for (int i = 0; i < BOUNDARIES; i++)
        for (int j = 0; j < BOUNDARIES; j++) check_pair(boundary[i], boundary[j]);
    for (int i = 0; i < 200000; i++) check_pair(draw(), draw());
}

/* Inverses invert, zero's is zero, powers agree with integers. */
static void base_inverse(void) {
    CHECK(fp_inv(0) == 0);
    for (int i = 0; i < 3000; i++) {
        uint32_t a = i < BOUNDARIES ? boundary[i] : draw();
        fp x = fp_from_u32(a), inverse = fp_inv(x);
        if (a != 0) CHECK(fp_mul(x, inverse) == FP_ONE);
        CHECK(inverse == fp_pow(x, FP_P - 2));
        uint64_t e = random_u64(&seed) >> (i % 64);
        CHECK(fp_to_u32(fp_pow(x, e)) == (e == 0 ? 1 : power(a, e)));
    }
}

/* w(m) is 31^((p-1) / 2^m) and has order exactly 2^m. */
static void roots(void) {
    for (unsigned m = 0; m <= FP_TWO_ADICITY; m++) {
        fp w = fp_root(m);
        CHECK(fp_to_u32(w) == power(FP_GENERATOR, (FP_P - 1) >> m));
        CHECK(fp_pow(w, (uint64_t)1 << m) == FP_ONE);
        if (m > 0) CHECK(fp_pow(w, (uint64_t)1 << (m - 1)) == FP_P - FP_ONE);
        CHECK(fp_mul(fp_root_inverse(m), w) == FP_ONE);
        CHECK(fp_mul(fp_power_of_half(m), fp_pow(fp_from_u32(2), m)) == FP_ONE);
    }
}

/* The extension's product and square are those of polynomials modulo X^5 - 2. */
static void extension_product(void) {
    for (int i = 0; i < 50000; i++) {
        plain a = draw_plain(), b = draw_plain();
        fx x = from_plain(a), y = from_plain(b);
        CHECK(same(fx_mul(x, y), plain_mul(a, b)));
        CHECK(same(fx_sqr(x), plain_mul(a, a)));
    }
    /* all coefficients at the top of the range: the sums of products are as large as they can be */
    fx top = {{FP_P - 1, FP_P - 1, FP_P - 1, FP_P - 1, FP_P - 1}};
    plain t;
    for (int i = 0; i < FX_DEGREE; i++) t.c[i] = fp_to_u32(FP_P - 1);
    CHECK(same(fx_mul(top, top), plain_mul(t, t)) && same(fx_sqr(top), plain_mul(t, t)));
}

static void extension_linear(void) {
    for (int i = 0; i < 5000; i++) {
        plain a = draw_plain(), b = draw_plain(), sum, difference, scaled;
        uint32_t s = draw();
        for (int j = 0; j < FX_DEGREE; j++) {
            sum.c[j] = (a.c[j] + b.c[j]) % FP_P;
            difference.c[j] = (a.c[j] + FP_P - b.c[j]) % FP_P;
            scaled.c[j] = a.c[j] * s % FP_P;
        }
        fx x = from_plain(a), y = from_plain(b);
        CHECK(same(fx_add(x, y), sum) && same(fx_sub(x, y), difference) && same(fx_scale(x, fp_from_u32(s)), scaled));
        CHECK(fx_eq(fx_mul(x, fx_from_fp(fp_from_u32(s))), fx_scale(x, fp_from_u32(s))));
    }
    fx a = fx_zero();
    CHECK(fx_is_zero(a) && fx_is_base(a) && fx_is_base(fx_one()) && !fx_is_zero(fx_one()));
    for (int j = 0; j < FX_DEGREE; j++) {
        fx e = fx_zero();
        e.c[j] = 1;
        CHECK(!fx_eq(a, e) && !fx_is_zero(e) && fx_is_base(e) == (j == 0));
    }
}

/* Frobenius is the p-th power, and five of them are the identity: x^(p^5) = x, so x^(p^5 - 1) = 1. */
static void frobenius(void) {
    for (int i = 0; i < 200; i++) {
        fx x = from_plain(draw_plain());
        CHECK(fx_eq(fx_frobenius(x, 1), fx_pow(x, FP_P)));
        fx y = x;
        for (unsigned k = 0; k < FX_DEGREE; k++) {
            CHECK(fx_eq(y, fx_frobenius(x, k)));
            y = fx_frobenius(y, 1);
        }
        CHECK(fx_eq(y, x));
        fx all = x;
        for (int k = 1; k < FX_DEGREE; k++) all = fx_mul(fx_frobenius(all, 1), x);
        CHECK(fx_is_base(all)); /* the norm */
    }
}

/* Every element but zero times its inverse is one. */
static void extension_inverse(void) {
    CHECK(fx_is_zero(fx_inv(fx_zero())));
    for (int i = 0; i < 3000; i++) {
        plain a = {{0}};
        for (int j = 0; j < FX_DEGREE; j++)
            if (i >= 310 || (i % 31 + 1) >> j & 1) a.c[j] = draw();
        fx x = from_plain(a), inverse = fx_inv(x);
        if (fx_is_zero(x)) CHECK(fx_is_zero(inverse));
        else CHECK(same(fx_mul(x, inverse), (plain){{1, 0, 0, 0, 0}}));
    }
}

int main(void) {
    constants();
    reduction();
    base_arithmetic();
    base_inverse();
    roots();
    extension_product();
    extension_linear();
    frobenius();
    extension_inverse();
    puts("ok field");
    return 0;
}
