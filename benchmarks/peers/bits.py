"""Proven bits of other provers, by the formula that `aprover.security` uses (docs/protocol.md, section 10).

What differs between the systems is said in a `System`: the field, what is batched and how, and how FRI folds. All of
them draw queries independently, so that a query may come twice, and each query is one index of the whole domain.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import attrs

HASH_BITS = 128.0
MULTIPLICITIES = range(3, 1001)


@attrs.frozen
class System:
    """A proof system on one statement, as far as its soundness depends on it."""

    log_field: float
    """log2 of the size of the challenge field."""
    openings: int
    """Batched pairs of a polynomial and a point."""
    independent: bool
    """Whether the batching coefficients are drawn one by one; else they are powers."""
    constraints: int
    degree: int
    """The largest degree of a constraint in the trace polynomials, selectors counted."""
    folds: Callable[[int, int], tuple[int, ...]]
    """log2 of the arity of each fold, by log2 of the rows and of the blowup."""
    rows_read: int = 2


@attrs.frozen
class Setting:
    """What a prover is free to choose."""

    log_blowup: int
    queries: int
    grinding_bits: int = 0


def _log2_line_error(system: System, log_rows: int, log_blowup: int, m: int | None) -> Callable[[int], float]:
    """log2 of the line error times the size of the field, by log2 of the domain."""
    rate = 2.0**-log_blowup
    if m is None:
        k = 1 << log_rows
        theta = (1 - (k + system.rows_read) * rate / k) / 2
        return lambda log_n: math.log2(theta * 2**log_n + 1)
    t, root = m + 0.5, math.sqrt(rate)
    theta = 1 - root * (1 + 1 / (2 * m))
    slope = (2 * t**5 + 3 * t * theta * rate) / (3 * rate * root)
    return lambda log_n: math.log2(slope * 2**log_n + t / root)


def committed_terms(system: System, log_rows: int, log_blowup: int, m: int | None) -> Iterator[float]:
    """Bits of all rounds but the queries. `m` is the multiplicity of the Johnson regime, None for unique decoding."""
    k = 1 << log_rows
    log_list = 0.0 if m is None else math.log2(m + 0.5) + log_blowup / 2
    line = _log2_line_error(system, log_rows, log_blowup, m)
    yield system.log_field - log_list - math.log2(system.constraints)
    yield system.log_field - log_list - math.log2(_identity_degree(system, k))
    log_n = log_rows + log_blowup
    yield system.log_field - line(log_n) - math.log2(1 if system.independent else system.openings - 1)
    for log_arity in system.folds(log_rows, log_blowup):
        log_n -= log_arity
        yield system.log_field - line(log_n) - math.log2((1 << log_arity) - 1)


def _identity_degree(system: System, k: int) -> int:
    """In how many points the quotient identity may hold though it is false; a chunk has k coefficients."""
    column = k + system.rows_read - 1
    return max(system.degree * column, k * max(1, system.degree - 1) + column)


def _query_bits(system: System, log_rows: int, log_blowup: int, m: int | None) -> float:
    """Bits of one query."""
    rate, k = 2.0**-log_blowup, 1 << log_rows
    agreement = (1 + (k + system.rows_read) * rate / k) / 2 if m is None else math.sqrt(rate) * (1 + 1 / (2 * m))
    return -math.log2(agreement)


def _regimes(system: System, log_rows: int) -> Iterator[int | None]:
    k, o = 1 << log_rows, system.rows_read
    yield None
    yield from (m for m in MULTIPLICITIES if (2 * m + 1) ** 2 * k >= 4 * m * m * (k + o))


def proven_bits(system: System, log_rows: int, setting: Setting) -> float:
    """The minimum over the rounds, in the best regime."""

    def bits(m: int | None) -> float:
        queries = setting.grinding_bits + setting.queries * _query_bits(system, log_rows, setting.log_blowup, m)
        return min(queries, *committed_terms(system, log_rows, setting.log_blowup, m))

    return min(HASH_BITS, max(bits(m) for m in _regimes(system, log_rows)))


def conjectured_bits(system: System, log_rows: int, setting: Setting) -> float:
    """By the ethSTARK conjecture, refuted since, that the projects' documentation counts with."""
    queries = setting.grinding_bits + setting.queries * setting.log_blowup
    return min(HASH_BITS, queries, system.log_field - log_rows - setting.log_blowup)


def fewest_queries(system: System, log_rows: int, log_blowup: int, grinding_bits: int, bits: float) -> int | None:
    """The fewest queries that reach `bits`; None if the other rounds do not."""
    found = [
        math.ceil((bits - grinding_bits) / _query_bits(system, log_rows, log_blowup, m))
        for m in _regimes(system, log_rows)
        if min(committed_terms(system, log_rows, log_blowup, m)) >= bits
    ]
    return min(found, default=None)
