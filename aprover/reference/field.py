"""Section 1: the base field Fp and the challenge field F."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence

P = 15 * 2**27 + 1
GENERATOR = 31
DEGREE = 5
NON_RESIDUE = 2  # F = Fp[X] / (X^5 - 2)
FROBENIUS = pow(NON_RESIDUE, (P - 1) // DEGREE, P)  # X^p = FROBENIUS * X


def w(m: int) -> int:
    """The root of unity of order 2^m, for 0 <= m <= 27."""
    return pow(GENERATOR, (P - 1) >> m, P)


def inverse(a: int) -> int:
    """1/a in Fp; ValueError for zero."""
    return pow(a, -1, P)


def words(data: bytes) -> tuple[int, ...]:
    """The little-endian u32 words of `data`, whose length is a multiple of four."""
    return struct.unpack(f"<{len(data) // 4}I", data)


def word_bytes(values: Sequence[int]) -> bytes:
    """The little-endian u32 encoding of `values`."""
    return struct.pack(f"<{len(values)}I", *values)


class F:
    """An element of the challenge field: its five coefficients, lowest power first."""

    __slots__ = ("c",)

    def __init__(self, c: Iterable[int]) -> None:
        self.c = tuple(c)

    @classmethod
    def of(cls, a: int) -> F:
        """The base field element `a`, embedded."""
        return cls((a % P, 0, 0, 0, 0))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, F) and self.c == other.c

    def __hash__(self) -> int:
        return hash(self.c)

    def __repr__(self) -> str:
        return f"F{self.c}"

    def __add__(self, other: F) -> F:
        return F([(a + b) % P for a, b in zip(self.c, other.c, strict=True)])

    def __sub__(self, other: F) -> F:
        return F([(a - b) % P for a, b in zip(self.c, other.c, strict=True)])

    def __mul__(self, other: F) -> F:
        a0, a1, a2, a3, a4 = self.c
        b0, b1, b2, b3, b4 = other.c
        return F(
            (
                (a0 * b0 + NON_RESIDUE * (a1 * b4 + a2 * b3 + a3 * b2 + a4 * b1)) % P,
                (a0 * b1 + a1 * b0 + NON_RESIDUE * (a2 * b4 + a3 * b3 + a4 * b2)) % P,
                (a0 * b2 + a1 * b1 + a2 * b0 + NON_RESIDUE * (a3 * b4 + a4 * b3)) % P,
                (a0 * b3 + a1 * b2 + a2 * b1 + a3 * b0 + NON_RESIDUE * a4 * b4) % P,
                (a0 * b4 + a1 * b3 + a2 * b2 + a3 * b1 + a4 * b0) % P,
            )
        )

    def scale(self, s: int) -> F:
        """The product with the base field element `s`."""
        return F([a * s % P for a in self.c])

    def __pow__(self, exponent: int) -> F:
        result, square = ONE, self
        while exponent:
            if exponent & 1:
                result = result * square
            square = square * square
            exponent >>= 1
        return result

    def frobenius(self, times: int = 1) -> F:
        """`self` to the power p^times: the coefficient of X^i is multiplied by FROBENIUS^(i * times)."""
        return F([a * pow(FROBENIUS, i * times, P) % P for i, a in enumerate(self.c)])

    def inverse(self) -> F:
        """1/self; ValueError for zero.

        `self` times its four conjugates is the norm, which lies in Fp (Itoh and Tsujii, 1988).
        """
        conjugates = self.frobenius(1) * self.frobenius(2) * self.frobenius(3) * self.frobenius(4)
        return conjugates.scale(inverse((self * conjugates).c[0]))

    def in_base_field(self) -> bool:
        """Whether the coefficients 1..4 are all zero."""
        return not any(self.c[1:])


ZERO = F.of(0)
ONE = F.of(1)


def elements(values: Sequence[int]) -> list[F]:
    """Consecutive elements of F from their coefficients, five each."""
    return [F(values[i : i + DEGREE]) for i in range(0, len(values), DEGREE)]


def powers(x: F, count: int) -> list[F]:
    """x^0, x^1, ... x^(count-1)."""
    result = [ONE]
    while len(result) < count:
        result.append(result[-1] * x)
    return result[:count]


def horner(coefficients: Sequence[F], x: F) -> F:
    """The value at x of the polynomial with these coefficients, lowest first."""
    result = ZERO
    for coefficient in reversed(coefficients):
        result = result * x + coefficient
    return result
