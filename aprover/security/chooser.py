"""Parameters for a shape and wanted bits: the fastest to prove, within usual sizes or at any, or the smallest proof."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator
from typing import Literal, get_args

from aprover.errors import SecurityError
from aprover.security.costs import committed_bytes, predicted_time, proof_size
from aprover.security.shape import EXTENSION_DEGREE, MAX_LOG_BLOWUP, MAX_LOG_DOMAIN, MAX_QUERIES, Parameters, Shape
from aprover.security.soundness import HASH_BITS, minimal_queries

MARGIN = 0.01
"""Bits added to what is wanted, so that an implementation that rounds otherwise still agrees."""

MAX_GRINDING = 20

LITTLE_GRINDING = 10
"""At most so many bits are ground where a proof is of many statements: 2^10 tries, about 20 us."""

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
"""With prefer="size" the extensions stay below this, or at what they are with prefer="time": each doubling of
the blowup, which saves a few queries, doubles the prover's memory."""

USUAL_BYTES = 0.6 * 1024
"""Bytes of a usual proof by the square of log2 of its rows, at 100 bits.

A query opens a path in the trees of about log2(rows) layers, each about log2(rows) deep: hence the square. The factor
is that of other provers as their documentation configures them (`benchmarks/peers`): for a trace of two columns the
curve runs along the larger proofs of Winterfell and Plonky3, which have up to 20 KiB at 2^5 rows, 43 to 65 at 2^10, 100
to 118 at 2^14, 136 to 154 at 2^16, 175 to 200 at 2^18 and 220 to 238 at 2^20.
"""

USUAL_COLUMN_BYTES = 100 * 4 + 2 * 16
"""By column, at 100 bits: a value in each of 100 queries, and two out of domain in a field of 16 bytes."""

DEAREST = 2.0
"""How many times as long as the fastest parameters those may take that keep a proof within its usual size or near."""

Prefer = Literal["time", "size", "fastest"]
Cost = Callable[[Shape, Parameters], float]


def usual_bytes(shape: Shape, bits: float = 100) -> float:
    """The size that proofs of a shape like this usually have: the most that `choose` allows with prefer="time".

    ``0.6 KiB * log2(rows)**2``, of the highest table, and 432 bytes for each committed column but two, in proportion to
    the bits. Smooth in rows and columns, and no promise of any prover's.
    """
    columns = sum(t.columns + t.preprocessed + EXTENSION_DEGREE * t.lookup_columns for t in shape.tables)
    return (USUAL_BYTES * shape.log_height**2 + USUAL_COLUMN_BYTES * max(0, columns - 2)) * bits / 100


def candidates(shape: Shape, bits: float, prefer: Prefer, zk: bool = False) -> list[Parameters]:
    """All parameters that `choose` would compare, or none if none reach `bits`.

    Unless prefer="size", with little grinding, which takes a few microseconds and saves a few queries.
    """
    if bits > HASH_BITS:
        return []
    return list(_candidates(shape, bits + MARGIN, MAX_GRINDING if prefer == "size" or zk else LITTLE_GRINDING, zk))


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


def _fastest_of_usual_size(shape: Shape, found: list[Parameters], bits: float) -> Parameters:
    """The fastest whose proof is no larger than usual. Where that takes too long, as with the masks of a short trace,
    the smallest that does not."""
    dearest = DEAREST * min(predicted_time(shape, one) for one in found)
    affordable = [one for one in found if predicted_time(shape, one) <= dearest]
    allowed = usual_bytes(shape, bits)
    within = [one for one in affordable if proof_size(shape, one) <= allowed]
    return (
        _best(shape, within, predicted_time, proof_size)
        if within
        else _best(shape, affordable, proof_size, predicted_time)
    )


def choose(shape: Shape, bits: float = 100, prefer: Prefer = "time", zk: bool = False) -> Parameters:
    """Parameters with which proofs of this shape carry at least `bits` proven bits. Cached.

    Args:
        shape: What is proved.
        bits: The proven bits that are wanted.
        prefer: "time": the least predicted proving time with which the expected proof is no larger than `usual_bytes`;
            if that takes more than twice the time of "fastest", the smallest proof that does not. "size": the least
            expected bytes. "fastest": the least predicted proving time, however large the proof. Each lets 3% of what
            it prefers go for the other.
        zk: Whether they are those of a zero-knowledge proof.

    Raises:
        SecurityError: No parameters reach `bits`; `.reachable` says how many bits some do reach.
        ValueError: `prefer` is none of these, or `bits` is not a number.
    """
    if prefer not in get_args(Prefer):
        raise ValueError(f"prefer = {prefer!r}; allowed: {', '.join(map(repr, get_args(Prefer)))}")
    if math.isnan(bits):
        raise ValueError("bits is not a number")
    return _choose(shape, bits, prefer, zk)


@functools.lru_cache(maxsize=1024)
def _choose(shape: Shape, bits: float, prefer: Prefer, zk: bool) -> Parameters:
    small = shape.log_height <= SMALL_LOG_HEIGHT and not zk
    max_grinding = 0 if prefer != "size" and small else MAX_GRINDING
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
    if prefer == "fastest":
        return _best(shape, found, predicted_time, proof_size)
    usual = _fastest_of_usual_size(shape, found, bits)
    if prefer == "time":
        return usual
    memory = max(MAX_COMMITTED_BYTES, committed_bytes(shape, usual))
    modest = [one for one in found if committed_bytes(shape, one) <= memory]
    return _best(shape, modest, proof_size, predicted_time)
