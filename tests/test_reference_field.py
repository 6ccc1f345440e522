"""The reference verifier's fields."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aprover.reference.field import (
    GENERATOR,
    ONE,
    ZERO,
    F,
    P,
    elements,
    horner,
    inverse,
    powers,
    w,
    word_bytes,
    words,
)

base = st.integers(0, P - 1)
challenge = st.tuples(base, base, base, base, base).map(F)
nonzero = challenge.filter(lambda x: x != ZERO)


def slow_product(a: F, b: F) -> F:
    """The product by polynomial multiplication and long division by X^5 - 2."""
    product = [0] * 9
    for i, x in enumerate(a.c):
        for j, y in enumerate(b.c):
            product[i + j] += x * y
    for degree in range(8, 4, -1):
        product[degree - 5] += 2 * product[degree]
        product[degree] = 0
    return F([x % P for x in product[:5]])


class TestBaseField:
    def test_modulus_is_prime_and_31_generates(self) -> None:
        """p is prime, and 31 has order p - 1: no (p-1)/q-th power is one for the prime factors q = 2, 3, 5."""
        assert P == 2013265921
        assert P - 1 == 2**27 * 3 * 5
        # Lucas: an element of order p - 1 exists only when p is prime.
        assert pow(GENERATOR, P - 1, P) == 1
        assert all(pow(GENERATOR, (P - 1) // q, P) != 1 for q in (2, 3, 5))

    def test_roots_of_unity(self) -> None:
        """w(m) has order exactly 2^m, and w(m)^2 = w(m-1)."""
        assert w(0) == 1
        assert w(1) == P - 1
        assert all(pow(w(m), 2, P) == w(m - 1) for m in range(1, 28))

    @given(base.filter(bool))
    def test_inverse(self, a: int) -> None:
        """a * (1/a) = 1."""
        assert a * inverse(a) % P == 1

    @given(st.lists(st.integers(0, 2**32 - 1), max_size=9))
    def test_words_are_little_endian(self, values: list[int]) -> None:
        """Words and their bytes are each other's inverse, least significant byte first."""
        data = b"".join(value.to_bytes(4, "little") for value in values)
        assert word_bytes(values) == data
        assert words(data) == tuple(values)


class TestChallengeField:
    def test_two_is_no_fifth_power(self) -> None:
        """X^5 - 2 is irreducible: 5 divides p - 1 and 2 is no fifth power (Lang, Algebra, theorem VI.9.1)."""
        assert (P - 1) % 5 == 0
        assert pow(2, (P - 1) // 5, P) != 1

    @given(challenge, challenge)
    def test_product(self, a: F, b: F) -> None:
        """The product is that of polynomials modulo X^5 - 2."""
        assert a * b == slow_product(a, b)

    @given(challenge, challenge, challenge)
    def test_ring_laws(self, a: F, b: F, c: F) -> None:
        """Addition and multiplication associate, commute and distribute; one and zero are neutral."""
        assert (a + b) + c == a + (b + c)
        assert a + b == b + a
        assert (a * b) * c == a * (b * c)
        assert a * b == b * a
        assert a * (b + c) == a * b + a * c
        assert a + ZERO == a * ONE == a
        assert (a - b) + b == a

    @given(challenge, base)
    def test_embedding(self, a: F, s: int) -> None:
        """Scaling by s is the product with the embedded s."""
        assert a.scale(s) == a * F.of(s)
        assert F.of(s).in_base_field()

    @given(st.tuples(base, base, base, base, base))
    def test_in_base_field(self, c: tuple[int, ...]) -> None:
        """An element lies in Fp exactly if its coefficients 1..4 are all zero."""
        assert F(c).in_base_field() == (c[1:] == (0, 0, 0, 0))
        for i in range(1, 5):
            assert not F([int(i == j) for j in range(5)]).in_base_field()

    @settings(max_examples=20, deadline=None)
    @given(nonzero)
    def test_inverse(self, a: F) -> None:
        """The inverse by conjugates is x^(p^5 - 2), and times x it is one."""
        assert a.inverse() == a ** (P**5 - 2)
        assert a * a.inverse() == ONE

    @settings(max_examples=20, deadline=None)
    @given(challenge)
    def test_frobenius(self, a: F) -> None:
        """The Frobenius map is the p-th power, and five of them are the identity."""
        assert a.frobenius() == a**P
        assert a.frobenius(5) == a

    def test_zero_has_no_inverse(self) -> None:
        """The inverse of zero is an error, never a value."""
        with pytest.raises(ValueError, match="not invertible"):
            ZERO.inverse()

    @given(challenge, st.integers(0, 12))
    def test_powers(self, a: F, count: int) -> None:
        """powers gives a^0 .. a^(count-1)."""
        assert powers(a, count) == [a**i for i in range(count)]

    @given(st.lists(challenge, max_size=6), challenge)
    def test_horner(self, coefficients: list[F], x: F) -> None:
        """horner is the sum of the coefficients times powers, lowest first."""
        total = ZERO
        for i, coefficient in enumerate(coefficients):
            total = total + coefficient * x**i
        assert horner(coefficients, x) == total

    @given(st.lists(challenge, max_size=4))
    def test_elements(self, values: list[F]) -> None:
        """elements groups coefficients by five, in order."""
        assert elements([c for value in values for c in value.c]) == values
