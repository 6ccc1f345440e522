"""Section 10: proven bits."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from math import inf, isqrt, log2, sqrt

from .air import Air
from .field import DEGREE, P
from .layout import Layout, ReferenceParameters

HASH_BITS = 128.0
FIELD = P**DEGREE


def _query_bits(agreeing: int, size: int, queries: int, grinding_bits: int) -> float:
    """-log2 of C(agreeing, queries) / C(size, queries) * 2^-grinding_bits."""
    if queries > agreeing:
        return inf
    return grinding_bits + sum(log2((size - i) / (agreeing - i)) for i in range(queries))


def _regimes(rho: Fraction, blowup: int, size: int) -> Iterator[tuple[float, float, float, int]]:
    """Unique decoding, then Johnson for each allowed m, ascending.

    Each is the list size L, the line error e(x) * |F| = slope * x + constant at a length of x, and
    `A = floor((1 - theta) * M)`, which is computed exactly.
    """
    rate = 1 / blowup
    yield 1.0, (1 - float(rho) * rate) / 2, 1.0, int(size * (1 + rho / blowup) / 2)
    for m in range(3, 1001):
        if (1 + Fraction(1, 2 * m)) ** 2 < rho:
            return
        theta = 1 - sqrt(rate) * (1 + 1 / (2 * m))
        slope = (2 * (m + 0.5) ** 5 + 3 * (m + 0.5) * theta * rate) / (3 * rate**1.5)
        agreeing = isqrt((size * (2 * m + 1)) ** 2 // (4 * m * m * blowup))  # M * sqrt(r) * (2m+1)/(2m)
        yield (m + 0.5) / sqrt(rate), slope, (m + 0.5) / sqrt(rate), agreeing


def _lookup_fractions(air: Air) -> int:
    """(w + 1) times the sum over tables of k * I."""
    return (max(air.buses, default=0) + 1) * sum(t.header.height * len(t.interactions) for t in air.tables)


def _identity_degree(layout: Layout) -> int:
    total = 0
    for place in layout.places:
        column_degree = place.length + place.table.rows_read - 1
        chunks = place.table.header.height + (place.chunks - 1) * place.stride + column_degree
        total += max(place.table.numerator_degree(column_degree), chunks)
    return total


def _fri_errors(layout: Layout, slope: float, constant: float) -> Iterator[float]:
    """The errors times |F| of batching and of each fold."""
    lines = [slope * (1 << domain.log_n) + constant for domain in layout.domains]
    with_tables = [bool(layout.tables_at(t)) for t in range(len(lines))]
    batched = sum(line for line, tables in zip(lines, with_tables, strict=True) if tables)
    yield batched * (1 if layout.parameters.independent else layout.batched - 1)
    for t in range(layout.folds):
        yield lines[t + 1] * (layout.domains[t].arity - (0 if with_tables[t + 1] else 1))


def proven_bits(air: Air, parameters: ReferenceParameters) -> float:
    """The better regime's minimum over the rounds, at most 128."""
    layout = Layout(air, parameters)
    rho = max(1 + Fraction(place.table.rows_read, place.length) for place in layout.places)
    size = 2**layout.log_indices
    best = 0.0
    for list_size, slope, constant, agreeing in _regimes(rho, 2**parameters.log_blowup, size):
        errors = [
            list_size * _lookup_fractions(air),
            list_size * air.constraints,
            list_size * _identity_degree(layout) * (FIELD / (FIELD - P)),
            *_fri_errors(layout, slope, constant),
        ]
        algebraic = log2(FIELD) - log2(max(errors))
        queries = _query_bits(agreeing, size, parameters.queries, parameters.grinding_bits)
        best = max(best, min(HASH_BITS, algebraic, queries))
        if queries >= algebraic:
            break  # in what follows, the algebraic rounds only lose bits
    return best
