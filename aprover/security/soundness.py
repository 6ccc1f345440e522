"""Proven bits of security: docs/protocol.md, section 10.

A report is the minimum over the rounds, in the better of two regimes. In the Johnson regime one integer m is free: the
larger it is, the farther from the code a word must be to count as far, so the queries catch more, while the list and
the line errors of all other rounds grow. The best m is therefore where the two curves cross, and a bisection finds
it. For the same reason the fewest queries for some wanted bits belong to the largest m at which the other rounds
still reach them.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Iterator
from typing import Literal

import attrs

from aprover.security.shape import MAX_QUERIES, Layout, Parameters, Shape, layout_of, misfit

HASH_BITS = 128.0
"""Collision resistance of a 256-bit hash; no report says more."""

LOG2_FIELD = 5 * math.log2(2013265921)
"""log2 of the size of the challenge field, BabyBear to the fifth."""

MIN_MULTIPLICITY = 3
MAX_MULTIPLICITY = 1000


@attrs.frozen
class SecurityTerm:
    """One round of the proof: minus log2 of the chance that a false statement survives it."""

    name: str
    """`lookups`, `constraints`, `out-of-domain`, `batching`, `fold 0` and so on, `queries`, or `hash`."""
    bits: float
    """Infinite for queries that cannot all miss."""


@attrs.frozen
class SecurityReport:
    """Proven bits of security, round by round, in the random-oracle model."""

    proven_bits: float
    """The least of `terms`."""
    regime: Literal["johnson", "unique-decoding"]
    multiplicity: int | None
    """The `m` of the Johnson regime."""
    queries: int
    blowup: int
    grinding_bits: int
    terms: tuple[SecurityTerm, ...]


@attrs.frozen
class Code:
    """The Reed-Solomon codes of a shape at a blowup, with the errors of section 10 for any proximity parameter.

    There is one for each level; all have the same rate.
    """

    shape: Shape
    layout: Layout
    log_blowup: int
    independent: bool

    @property
    def indices(self) -> int:
        return 1 << self.layout.log_indices(self.log_blowup)

    # Everywhere `m` names the regime: the multiplicity of the Johnson regime, or None for unique decoding.

    def agreement(self, m: int | None) -> int:
        """A = floor((1 - theta) * M): how many indices may agree with a codeword though the word is far from it.

        In integers: a float would sometimes be one off.
        """
        if m is None:
            more, length = self.layout.slack.numerator, self.layout.slack.denominator
            return self.indices * ((length << self.log_blowup) + length + more) // (2 * length << self.log_blowup)
        # floor(sqrt(x)) = isqrt(floor(x)), with x = (M * (1 + 1/(2m)))^2 / B
        return math.isqrt((self.indices * (2 * m + 1)) ** 2 // ((4 * m * m) << self.log_blowup))

    def largest_multiplicity(self) -> int:
        """The largest m with 1 + 1/(2m) >= sqrt(rho), at most 1000; below 3 if there is none."""
        more, length = self.layout.slack.numerator, self.layout.slack.denominator
        return _last(
            MIN_MULTIPLICITY, MAX_MULTIPLICITY, lambda m: (2 * m + 1) ** 2 * length >= 4 * m * m * (length + more)
        )

    def _lines(self, m: int | None) -> Callable[[int], float]:
        """The line error times |F|, as a function of log2 of the domain's size."""
        if m is None:
            theta = (1 - (1 + float(self.layout.slack)) / (1 << self.log_blowup)) / 2
            return lambda log_n: theta * (1 << log_n) + 1
        t, root = m + 0.5, 2 ** (-self.log_blowup / 2)
        theta = 1 - root * (1 + 1 / (2 * m))
        slope = (2 * t**5 + 3 * t * theta * root * root) / (3 * root**3)
        return lambda log_n: slope * (1 << log_n) + t / root

    def terms(self, m: int | None) -> Iterator[tuple[str, float]]:
        """Names and bits of all rounds but the queries."""
        shape, levels = self.shape, self.layout.levels
        lines = self._lines(m)
        errors = [lines(level.log_length + self.log_blowup) for level in levels]
        log_list = 0.0 if m is None else math.log2(m + 0.5) + self.log_blowup / 2
        if shape.lookups:
            yield "lookups", LOG2_FIELD - log_list - math.log2((shape.bus_width + 1) * shape.lookups)
        yield "constraints", LOG2_FIELD - log_list - math.log2(shape.constraints)
        # |F| - p is |F| to within 2^-123 of itself
        yield "out-of-domain", LOG2_FIELD - log_list - math.log2(self._identity_degree())
        batched = sum(error for error, level in zip(errors, levels, strict=True) if level.tables)
        yield "batching", LOG2_FIELD - math.log2(batched * (1 if self.independent else self.layout.batched - 1))
        for t, (level, below) in enumerate(itertools.pairwise(levels)):
            powers = (1 << level.log_arity) - (0 if below.tables else 1)
            yield f"fold {t}", LOG2_FIELD - math.log2(powers * errors[t + 1])

    def _identity_degree(self) -> int:
        """In how many points the quotient identities of all tables may hold though one of them is false."""
        total = 0
        for table, place in zip(self.shape.tables, self.layout.tables, strict=True):
            column_degree = place.length + table.rows_read - 1
            chunks = table.height + (place.chunks - 1) * place.stride + column_degree
            total += max(table.numerator_degree(column_degree), chunks)
        return total

    def committed_bits(self, m: int | None) -> float:
        """The least of all rounds but the queries. Falls with m."""
        return min(bits for _, bits in self.terms(m))

    def query_bits(self, m: int | None, queries: int, grinding_bits: int) -> float:
        """Rises with m."""
        return grinding_bits + miss_bits(self.agreement(m), self.indices, queries)

    def best(self, queries: int, grinding_bits: int) -> tuple[int | None, float]:
        """The regime, as m or None, that gives most bits, and those bits, without the hash's limit."""

        def bits(m: int | None) -> float:
            return min(self.committed_bits(m), self.query_bits(m, queries, grinding_bits))

        candidates: list[int | None] = [None]
        top = self.largest_multiplicity()
        if top >= MIN_MULTIPLICITY:
            # The curves cross between `left` and `left + 1`. To the left the queries decide, in steps: the first m
            # of the step has the same bits as its last.
            left = _last(
                MIN_MULTIPLICITY, top, lambda m: self.query_bits(m, queries, grinding_bits) <= self.committed_bits(m)
            )
            if left >= MIN_MULTIPLICITY:
                step = self.agreement(left)
                candidates.append(_last(MIN_MULTIPLICITY, left, lambda m: self.agreement(m) > step) + 1)
            if left < top:
                candidates.append(left + 1)
        best = max(candidates, key=bits)
        return best, bits(best)

    def least_agreement(self, bits: float) -> int | None:
        """The agreement of the farthest words for which all rounds but the queries reach `bits`; None if none do."""
        top = _last(MIN_MULTIPLICITY, self.largest_multiplicity(), lambda m: self.committed_bits(m) >= bits)
        reached = [self.agreement(top)] if top >= MIN_MULTIPLICITY else []
        if self.committed_bits(None) >= bits:
            reached.append(self.agreement(None))
        return min(reached, default=None)


def _last(low: int, high: int, holds: Callable[[int], bool]) -> int:
    """The last integer of low..high at which `holds`, which is true first and false after; low - 1 if none."""
    while low <= high:
        middle = (low + high) // 2
        if holds(middle):
            low = middle + 1
        else:
            high = middle - 1
    return high


def log2_falling(a: int, q: int) -> float:
    """log2 of a * (a - 1) * .. * (a - q + 1), for 0 <= q <= a and q <= 4096, to about 1e-10.

    For large `a` Stirling's series, arranged so that no large terms cancel; its next term is below 1e-13.
    """
    if a < 2 * MAX_QUERIES:
        return (math.lgamma(a + 1) - math.lgamma(a - q + 1)) / math.log(2)
    rest = a - q
    natural = q * math.log(a) - (rest + 0.5) * math.log1p(-q / a) - q + (1 / a - 1 / rest) / 12
    return natural / math.log(2)


def miss_bits(agreement: int, indices: int, queries: int) -> float:
    """Minus log2 of the chance that all of `queries` distinct indices fall among the `agreement` of `indices`."""
    if queries > agreement:
        return math.inf
    return log2_falling(indices, queries) - log2_falling(agreement, queries)


def security_report(shape: Shape, parameters: Parameters) -> SecurityReport:
    """The proven bits of a proof of this shape with these parameters (docs/protocol.md, section 10). Cached.

    Raises:
        ProofFormatError: with code `PARAMETERS`: the parameters do not fit the shape (sections 5 and 6).
    """
    return cached_report(shape, parameters)


@functools.lru_cache(maxsize=1024)
def cached_report(shape: Shape, parameters: Parameters) -> SecurityReport:
    """`security_report`, apart from it because the cache's wrapper hides the types of the arguments."""
    code = Code(shape, layout_of(shape, parameters), parameters.log_blowup, parameters.independent)
    m, _ = code.best(parameters.queries, parameters.grinding_bits)
    terms = (
        *(SecurityTerm(name, bits) for name, bits in code.terms(m)),
        SecurityTerm("queries", code.query_bits(m, parameters.queries, parameters.grinding_bits)),
        SecurityTerm("hash", HASH_BITS),
    )
    return SecurityReport(
        proven_bits=min(term.bits for term in terms),
        regime="unique-decoding" if m is None else "johnson",
        multiplicity=m,
        queries=parameters.queries,
        blowup=1 << parameters.log_blowup,
        grinding_bits=parameters.grinding_bits,
        terms=terms,
    )


def fewest_queries(agreement: int, indices: int, bits: float) -> int | None:
    """The fewest distinct queries that all miss with at most 2**-bits; None if more than the protocol allows."""
    most = min(MAX_QUERIES, indices)
    found = _last(1, most, lambda q: miss_bits(agreement, indices, q) < bits) + 1
    return found if found <= most else None


def minimal_queries(
    shape: Shape, log_blowup: int, grinding_bits: int, independent: bool, bits: float, zk: bool = False
) -> int | None:
    """The fewest queries with which every round but the hash reaches `bits`; None if no number of them does.

    In a zero-knowledge proof more queries need more masks, and these may need longer codes; there it is the first
    number found that suffices with the masks that it needs.
    """
    queries = 1
    while True:
        agreement, indices = _least_agreement(shape, queries if zk else 0, log_blowup, independent, bits)
        if agreement is None:
            return None
        fewest = fewest_queries(agreement, indices, bits - grinding_bits)
        if fewest is None or not zk or fewest <= queries:
            return fewest
        queries = fewest


@functools.lru_cache(maxsize=1024)
def _least_agreement(
    shape: Shape, masked_queries: int, log_blowup: int, independent: bool, bits: float
) -> tuple[int | None, int]:
    """`Code.least_agreement`, None also where the layout does not fit, and the number of indices."""
    layout = shape.layout(masked_queries)
    if misfit(layout, log_blowup, max(1, masked_queries)) is not None:
        return None, 0
    code = Code(shape, layout, log_blowup, independent)
    return code.least_agreement(bits), code.indices
