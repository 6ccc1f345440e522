"""Section 10: proven bits."""

from __future__ import annotations

from collections.abc import Iterator
from math import inf, isqrt, log2, sqrt

from .air import Air
from .domains import ARITY, folds
from .field import DEGREE, P
from .proof import ReferenceParameters

HASH_BITS = 128.0
FIELD = P**DEGREE


def _query_bits(agreeing: int, size: int, queries: int, grinding_bits: int) -> float:
    """-log2 of C(agreeing, queries) / C(size, queries) * 2^-grinding_bits."""
    if queries > agreeing:
        return inf
    return grinding_bits + sum(log2((size - i) / (agreeing - i)) for i in range(queries))


def _regimes(k: int, blowup: int, rows_read: int, size: int) -> Iterator[tuple[float, float, float, int]]:
    """Unique decoding, then Johnson for each allowed m, ascending.

    Each is the list size L, the line error e(x) * |F| = slope * x + constant at a length of x, and
    `A = floor((1 - theta) * M)`, which is computed exactly.
    """
    n, rate = k * blowup, 1 / blowup
    yield 1.0, (1 - (k + rows_read) / n) / 2, 1.0, size * (n + k + rows_read) // (2 * n)
    for m in range(3, 1001):
        if (2 * m + 1) ** 2 * k < (2 * m) ** 2 * (k + rows_read):  # 1 + 1/(2m) < sqrt((k+o)/k)
            return
        theta = 1 - sqrt(rate) * (1 + 1 / (2 * m))
        slope = (2 * (m + 0.5) ** 5 + 3 * (m + 0.5) * theta * rate) / (3 * rate**1.5)
        agreeing = isqrt((size * (2 * m + 1)) ** 2 // (4 * m * m * blowup))  # M * sqrt(r) * (2m+1)/(2m)
        yield (m + 0.5) / sqrt(rate), slope, (m + 0.5) / sqrt(rate), agreeing


def proven_bits(air: Air, parameters: ReferenceParameters) -> float:
    """The better regime's minimum over the rounds, at most 128."""
    k, blowup, o = 2**air.header.log_height, 2**parameters.log_blowup, air.rows_read
    n = k * blowup
    size = n // ARITY if air.narrow else n
    best = 0.0
    for list_size, slope, constant, agreeing in _regimes(k, blowup, o, size):
        errors = [
            list_size * air.constraints,
            list_size * (air.degree * (k + o - 1) + k - 1) * (FIELD / (FIELD - k - n)),
            (slope * n + constant) * (1 if parameters.independent else air.openings - 1),
            *(7 * (slope * n / ARITY ** (t + 1) + constant) for t in range(folds(air.header.log_height))),
        ]
        algebraic = log2(FIELD) - log2(max(errors))
        queries = _query_bits(agreeing, size, parameters.queries, parameters.grinding_bits)
        best = max(best, min(HASH_BITS, algebraic, queries))
        if queries >= algebraic:
            break  # in what follows, the algebraic rounds only lose bits
    return best
