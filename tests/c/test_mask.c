/* The randomness of masks: canonical, the same however it is drawn, and another for each stream, entropy and statement. */
#include "../../csrc/mask.h"
#include "check.h"

#include <stdio.h>
#include <string.h>

enum { WORDS = 5000 };
static uint32_t first[WORDS], second[WORDS];

static apr_random seeded(const apr_hash_kernels *hash, uint8_t entropy_byte, const char *statement) {
    const uint8_t entropy[APR_ENTROPY_BYTES] = {entropy_byte};
    apr_random random;
    apr_random_init(&random, hash, entropy, statement, strlen(statement));
    return random;
}

static void draw(const apr_random *random, uint64_t stream, uint32_t *out, size_t n) {
    apr_random_cursor cursor = {stream, 0};
    apr_random_elements(random, &cursor, out, n);
}

static size_t equal_words(void) {
    size_t equal = 0;
    for (size_t i = 0; i < WORDS; i++) equal += first[i] == second[i];
    return equal;
}

/* Elements are below p and half of them above p / 2, within what 5000 draws allow. */
static void elements_are_spread_over_the_field(void) {
    const apr_random random = seeded(apr_hash_kernels_for(APR_PATH_AUTO), 1, "a");
    size_t high = 0;
    draw(&random, 3, first, WORDS);
    for (size_t i = 0; i < WORDS; i++) {
        CHECK(first[i] < FP_P);
        high += first[i] > FP_P / 2;
    }
    CHECK(high > WORDS / 2 - 250 && high < WORDS / 2 + 250);
}

/* Portable and AVX2 draw the same; so does a shorter draw, as far as it goes. */
static void draws_do_not_depend_on_the_path(void) {
    const apr_random portable = seeded(apr_hash_kernels_for(APR_PATH_PORTABLE), 1, "a");
    const apr_random best = seeded(apr_hash_kernels_for(APR_PATH_AUTO), 1, "a");
    draw(&portable, 3, first, WORDS);
    draw(&best, 3, second, WORDS);
    CHECK(equal_words() == WORDS);
    apr_random_words(&portable, 4, first, WORDS);
    apr_random_words(&best, 4, second, WORDS);
    CHECK(equal_words() == WORDS);
    apr_random_words(&best, 4, second, 77);
    CHECK(equal_words() == WORDS);
}

/* No two of stream, entropy and statement share their words, and a cursor goes on where it was. */
static void streams_differ(void) {
    const apr_hash_kernels *hash = apr_hash_kernels_for(APR_PATH_AUTO);
    const apr_random random = seeded(hash, 1, "a"), other_entropy = seeded(hash, 2, "a"), other_statement = seeded(hash, 1, "b");
    draw(&random, 3, first, WORDS);
    draw(&random, 4, second, WORDS);
    CHECK(equal_words() < 3);
    draw(&other_entropy, 3, second, WORDS);
    CHECK(equal_words() < 3);
    draw(&other_statement, 3, second, WORDS);
    CHECK(equal_words() < 3);
    apr_random_cursor cursor = {3, 0};
    apr_random_elements(&random, &cursor, first, WORDS);
    apr_random_elements(&random, &cursor, second, WORDS);
    CHECK(equal_words() < 3);
}

int main(void) {
    elements_are_spread_over_the_field();
    draws_do_not_depend_on_the_path();
    streams_differ();
    puts("ok mask");
    return 0;
}
