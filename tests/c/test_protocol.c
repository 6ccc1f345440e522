/* Steps that prover and verifier share, with scripted challenges. */
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

/* An octet's positions are where the position maps say, and fold to the octet's own number. */
static void octets_and_points_agree(void) {
    apr_plan plan = {.log_k = 7, .log_blowup = 2, .log_n = 9};
    const apr_points points = apr_position_points(&plan, 0), first = apr_octet_points(&plan, 0), next = apr_position_points(&plan, 1);
    for (uint32_t position = 0; position < 512; position++) {
        uint32_t place;
        const uint32_t octet = apr_octet_of(&plan, 0, position, &place);
        const fp x = apr_point(&points, position);
        CHECK(x == fp_mul(apr_point(&first, octet), fp_pow(fp_root(3), place)));
        CHECK(fp_pow(x, 8) == apr_point(&next, octet));
        CHECK(fp_mul(x, apr_point_inverse(&points, position)) == FP_ONE);
    }
    puts("ok octets and points agree");
}

int main(void) {
    z_is_redrawn();
    octets_and_points_agree();
    return 0;
}
