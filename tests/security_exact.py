"""Section 10 of docs/protocol.md again, in exact rational arithmetic, which the floats of aprover.security must match.

Square roots are bounded by integers, logarithms are bounded by repeated squaring of integers, and every multiplicity is
tried. Nothing is shared with aprover.security, and where algebra allows another form of a formula it is used.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from fractions import Fraction

FIELD = 2013265921**5
HALF = Fraction(1, 2)
SCALE = 200
"""Bits after the point in bounds of square roots and logarithms."""


@dataclasses.dataclass(frozen=True)
class TableCase:
    """One table of a case: what rounds depend on."""

    log_height: int
    rows_read: int
    constraints: int
    openings: int
    """with the chunks"""
    interactions: int
    log_length: int
    last_chunk: int
    """the power of x before the last chunk"""
    degrees: tuple[tuple[int, int], ...]
    """For each constraint (d, extra): its degree is d times that of the columns, and extra."""


@dataclasses.dataclass(frozen=True)
class Case:
    """One shape with one choice of parameters, laid out by hand."""

    tables: tuple[TableCase, ...]
    bus_width: int
    log_lengths: tuple[int, ...]
    """of the levels"""
    narrow: bool
    masked: bool
    log_blowup: int
    queries: int
    grinding_bits: int
    independent: bool

    @property
    def blowup(self) -> int:
        return 1 << self.log_blowup

    def n(self, t: int) -> int:
        return self.blowup << self.log_lengths[t]

    def arity(self, t: int) -> int:
        return 1 << self.log_lengths[t] - self.log_lengths[t + 1]

    def has_tables(self, t: int) -> bool:
        return any(table.log_length == self.log_lengths[t] for table in self.tables)

    @property
    def indices(self) -> int:
        return self.n(0) // self.arity(0) if self.narrow else self.n(0)

    @property
    def rho(self) -> Fraction:
        return max(Fraction(2**table.log_length + table.rows_read, 2**table.log_length) for table in self.tables)


def root_bounds(x: Fraction) -> tuple[Fraction, Fraction]:
    """Two rationals, 2**-SCALE apart, with the square root of `x` between them."""
    whole = math.isqrt((x.numerator << (2 * SCALE)) // x.denominator)
    return Fraction(whole, 1 << SCALE), Fraction(whole + 1, 1 << SCALE)


@functools.lru_cache(maxsize=100_000)
def log2_bounds(x: Fraction, digits: int = 40) -> tuple[Fraction, Fraction]:
    """Two rationals, about 2**-digits apart, with log2 of `x` > 0 between them."""
    exponent = x.numerator.bit_length() - x.denominator.bit_length()
    while x < Fraction(2) ** exponent:
        exponent -= 1
    while x >= Fraction(2) ** (exponent + 1):
        exponent += 1
    y = x / Fraction(2) ** exponent
    one = 1 << SCALE
    bounds = []
    for up in (0, 1):  # rounding down all the way gives a lower bound, rounding up an upper one
        mantissa = (y.numerator * one + up * (y.denominator - 1)) // y.denominator
        total = Fraction(exponent)
        for digit in range(1, digits + 1):
            mantissa = (mantissa * mantissa + up * (one - 1)) >> SCALE
            if mantissa >= 2 * one:
                mantissa = (mantissa + up) >> 1
                total += Fraction(1, 1 << digit)
        bounds.append(total + up * Fraction(1, 1 << digits))
    return bounds[0], bounds[1]


def log2(x: Fraction) -> float:
    """The middle of the bounds, which are far closer together than a float can say."""
    low, high = log2_bounds(x)
    assert 0 <= high - low < Fraction(1, 10**9)
    return float((low + high) / 2)


def agreement(case: Case, m: int | None) -> int:
    """The largest A with A <= (1 - theta) * M, found by comparing squares."""
    if m is None:
        limit = (1 + case.rho / case.blowup) / 2 * case.indices
        return limit.numerator // limit.denominator
    square = Fraction(1, case.blowup) * (1 + Fraction(1, 2 * m)) ** 2 * case.indices**2
    low, high = 0, 2 * case.indices
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if middle * middle <= square else (low, middle)
    return low


def line_error(case: Case, m: int | None, length: int) -> Fraction:
    """e(length) * |F|, or the middle of bounds of it that are closer than any test looks."""
    if m is None:
        theta = (1 - case.rho / case.blowup) / 2
        return theta * length + 1
    # With 1/s = sqrt(B) and theta/s = 1/s - (1 + 1/(2m)) the formula of section 10 becomes a * sqrt(B) - b.
    t = m + HALF
    a = Fraction(2, 3) * t**5 * length * case.blowup + t * length + t
    b = t * length * (1 + Fraction(1, 2 * m))
    low, high = root_bounds(Fraction(case.blowup))
    return a * (low + high) / 2 - b


def identity_degree(case: Case) -> int:
    """In how many points all quotient identities may hold though one is false."""
    total = 0
    for table in case.tables:
        column = 2**table.log_length + table.rows_read - 1
        chunks = 2**table.log_height + table.last_chunk + column
        total += max(chunks, *(d * column + extra for d, extra in table.degrees))
    return total


def rounds(case: Case, m: int | None) -> dict[str, float]:
    """Bits of every round in one regime (a multiplicity, or None for unique decoding)."""
    list_square = Fraction(1) if m is None else (m + HALF) ** 2 * case.blowup
    list_bits = log2(list_square) / 2
    terms = {}
    fractions = sum(table.interactions * 2**table.log_height for table in case.tables)
    if fractions:
        terms["lookups"] = -log2(Fraction(fractions * (case.bus_width + 1), FIELD)) - list_bits
    terms["constraints"] = -log2(Fraction(sum(table.constraints for table in case.tables), FIELD)) - list_bits
    terms["out-of-domain"] = -log2(Fraction(identity_degree(case), FIELD - 2013265921)) - list_bits
    coefficients = 1 if case.independent else sum(table.openings for table in case.tables) + case.masked - 1
    levels = range(len(case.log_lengths))
    together = sum((line_error(case, m, case.n(t)) for t in levels if case.has_tables(t)), Fraction(0))
    terms["batching"] = -log2(together * coefficients / FIELD)
    for t in levels[:-1]:
        powers = case.arity(t) - 1 + case.has_tables(t + 1)
        terms[f"fold {t}"] = -log2(line_error(case, m, case.n(t + 1)) * powers / FIELD)
    miss = _miss(agreement(case, m), case.indices, case.queries)
    terms["queries"] = math.inf if miss == 0 else case.grinding_bits - log2(miss)
    terms["hash"] = 128.0
    return terms


@functools.lru_cache(maxsize=10_000)
def _miss(agreeing: int, indices: int, queries: int) -> Fraction:
    return Fraction(math.comb(agreeing, queries), math.comb(indices, queries))


def allowed(case: Case, m: int) -> bool:
    """1 + 1/(2m) >= sqrt(rho)."""
    return (1 + Fraction(1, 2 * m)) ** 2 >= case.rho


def best(case: Case, most: int = 1000) -> tuple[int | None, dict[str, float]]:
    """The best regime by trying every one (the first of equals, unique decoding first), with its rounds."""

    def bits(terms: dict[str, float]) -> float:
        return min(value for name, value in terms.items() if name != "hash")

    regimes = [None, *(m for m in range(3, most + 1) if allowed(case, m))]
    found = [(m, rounds(case, m)) for m in regimes]
    return max(found, key=lambda one: bits(one[1]))
