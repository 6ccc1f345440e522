"""Parameters for a shape and wanted bits: the fastest to prove, or the smallest proof."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator
from typing import Literal

from aprover.errors import SecurityError
from aprover.security.costs import committed_bytes, predicted_time, proof_size
from aprover.security.shape import MAX_LOG_BLOWUP, MAX_LOG_DOMAIN, MAX_QUERIES, Parameters, Shape
from aprover.security.soundness import HASH_BITS, minimal_queries

MARGIN = 0.01
"""Bits added to what is wanted, so that an implementation that rounds otherwise still agrees."""

MAX_GRINDING = 20

SMALL_LOG_HEIGHT = 9
"""Up to this height a proof takes well under a millisecond, and grinding would make that time vary from proof to proof
for the sake of a query or two; so, unless size is what counts or masks make the proof larger anyway, there is none."""

TRADE = 1.03
"""How much worse in what is preferred the parameters may be for being better in the other.

Both curves are flat at their minimum. Around the fastest parameters 1% of time buys up to 10% of the bytes, and around
the smallest proof the last percent of bytes costs 20 bits of grinding or twice the domain. So neither is had at any
price.
"""

MAX_COMMITTED_BYTES = 2**30
"""With prefer="size" the low-degree extensions stay below this where they can: each doubling of the blowup, which saves
a few queries, doubles the prover's memory."""


Cost = Callable[[Shape, Parameters], float]


def candidates(shape: Shape, bits: float, prefer: Literal["time", "size"], zk: bool = False) -> list[Parameters]:
    """All parameters that `choose` would compare, or none if none reach `bits`.

    With prefer="time" without grinding, whose time would be that of several statements.
    """
    if bits > HASH_BITS:
        return []
    return list(_candidates(shape, bits + MARGIN, 0 if prefer == "time" and not zk else MAX_GRINDING, zk))


def _log_blowups(shape: Shape, zk: bool) -> range:
    log_length = shape.layout(1 if zk else 0).log_length
    return range(1, min(MAX_LOG_BLOWUP, MAX_LOG_DOMAIN - log_length) + 1)


def _candidates(shape: Shape, bits: float, max_grinding: int, zk: bool) -> Iterator[Parameters]:
    """All parameters that reach `bits`, without those that need as many queries and more grinding than others.

    The cap is always the root. A larger one costs bytes, since a multi-proof sends no upper node twice anyway, and
    saves the prover only the levels that are too small to fill eight lanes: 0.3 us a proof.
    """
    for log_blowup in _log_blowups(shape, zk):
        # Independent coefficients cost more of the transcript and of the verifier: only where powers fall short.
        for independent in (False, True):
            fewest = MAX_QUERIES + 1
            for grinding_bits in range(max_grinding + 1):
                queries = minimal_queries(shape, log_blowup, grinding_bits, independent, bits, zk)
                if queries is not None and queries < fewest:
                    fewest = queries
                    yield Parameters(log_blowup, queries, grinding_bits, 0, independent, zk)
            if fewest <= MAX_QUERIES:
                break


def _reachable(shape: Shape, max_grinding: int, zk: bool) -> float:
    """The most bits that `choose` can promise for the shape, rounded down to a hundredth."""
    low, high = 0, round(100 * HASH_BITS)
    while low < high:
        middle = (low + high + 1) // 2
        if any(True for _ in _candidates(shape, middle / 100 + MARGIN, max_grinding, zk)):
            low = middle
        else:
            high = middle - 1
    return low / 100


def _best(shape: Shape, found: list[Parameters], first: Cost, second: Cost) -> Parameters:
    costs = [(first(shape, one), one) for one in found]
    limit = TRADE * min(cost for cost, _ in costs)
    return min((one for cost, one in costs if cost <= limit), key=lambda one: second(shape, one))


def choose(shape: Shape, bits: float = 100, prefer: Literal["time", "size"] = "time", zk: bool = False) -> Parameters:
    """Parameters with which proofs of this shape carry at least `bits` proven bits. Cached.

    With prefer="time" they minimise the predicted proving time, with prefer="size" the expected bytes of the proof,
    and within 3% of that minimum the other one. With `zk` they are those of a zero-knowledge proof.

    Raises:
        SecurityError: No parameters reach `bits`; `.reachable` says how many bits some do reach.
        ValueError: `prefer` is neither, or `bits` is not a number.
    """
    if prefer not in ("time", "size"):
        raise ValueError(f"prefer = {prefer!r}; allowed: 'time', 'size'")
    if math.isnan(bits):
        raise ValueError("bits is not a number")
    return _choose(shape, bits, prefer, zk)


@functools.lru_cache(maxsize=1024)
def _choose(shape: Shape, bits: float, prefer: Literal["time", "size"], zk: bool) -> Parameters:
    small = shape.log_height <= SMALL_LOG_HEIGHT and not zk
    max_grinding = 0 if prefer == "time" and small else MAX_GRINDING
    found: list[Parameters] = []
    if bits <= HASH_BITS:
        found = list(_candidates(shape, bits + MARGIN, max_grinding, zk))
    if not found:
        reachable = _reachable(shape, max_grinding, zk)
        raise SecurityError(
            f"no parameters give {bits:g} proven bits for 2**{shape.log_height} rows, {shape.constraints} constraints "
            f"and {shape.layout(1 if zk else 0).openings} openings; {reachable:.2f} bits are reachable",
            reachable=reachable,
        )
    if prefer == "time":
        return _best(shape, found, predicted_time, proof_size)
    modest = [one for one in found if committed_bytes(shape, one) <= MAX_COMMITTED_BYTES]
    least = min(one.log_blowup for one in found)
    return _best(shape, modest or [one for one in found if one.log_blowup == least], proof_size, predicted_time)
