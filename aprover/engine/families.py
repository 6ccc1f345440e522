"""Programs of one shape, to be timed: those that are shipped, from tiny to large, zero-knowledge proofs among them.

Other inputs for each number, since the grinding, say, is a matter of luck for each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import attrs

from ..air import Program
from ..programs import (
    Fibonacci,
    FibonacciU64,
    MerkleMembership,
    Poseidon2Chain,
    RangeProof,
    Sha256,
    Transfers,
)
from ..programs.poseidon2 import compress

__all__ = ["Family", "every_family", "fibonacci", "fibonacci_u64", "poseidon2_chain"]

ZERO = (0,) * 8


@attrs.frozen
class Family:
    """Programs of one shape.

    Attributes:
        program: The class of the programs.
        size: What their shape depends on.
        make: Gives one for each number.
        zk: Whether to make zero-knowledge proofs of them.
    """

    program: str
    size: str
    make: Callable[[int], Program]
    zk: bool = False

    def __str__(self) -> str:
        return f"{self.program} {self.size}{', zk' if self.zk else ''}"


def fibonacci(n: int, *, zk: bool = False) -> Family:
    """A narrow trace, of n + 1 rows, made in C."""
    return Family("Fibonacci", f"{n}", lambda number: Fibonacci(n, a=number), zk)


def fibonacci_u64(n: int, *, zk: bool = False) -> Family:
    """A trace of n + 1 rows, written by Python, with range checks."""
    return Family("FibonacciU64", f"{n}", lambda number: FibonacciU64(n, a=number), zk)


def poseidon2_chain(n: int, *, zk: bool = False) -> Family:
    """A wide trace, of n rows, made in C."""
    return Family("Poseidon2Chain", f"{n}", lambda number: Poseidon2Chain((number,) * 16, n), zk)


def _sha256(length: int, *, zk: bool = False) -> Family:
    return Family("Sha256", f"{length}", lambda number: Sha256(number.to_bytes(length, "little")), zk)


def _membership(depth: int, *, zk: bool = False) -> Family:
    def make(number: int) -> MerkleMembership:
        leaf = (number, *ZERO[1:])
        node: tuple[int, ...] = leaf
        for _ in range(depth):
            node = compress(node, ZERO)
        return MerkleMembership(root=node, leaf=leaf, path=(ZERO,) * depth, position=0)

    return Family("MerkleMembership", f"{depth}", make, zk)


def _range_proof(*, zk: bool = False) -> Family:
    return Family("RangeProof", "64 bits", lambda number: RangeProof(number, 0, 2**64 - 1, (1, 2, 3, 4)), zk)


def _transfers(accounts: int, count: int, *, zk: bool = False) -> Family:
    def make(number: int) -> Transfers:
        moves = tuple((i % accounts, (7 * i + 1) % accounts, (i + number) % 10) for i in range(count))
        return Transfers((10**6,) * accounts, moves, (1, 2, 3, 4, 5, 6, 7))

    return Family("Transfers", f"{accounts}, {count}", make, zk)


def every_family(largest: int) -> Iterator[Family]:
    """All programs that are shipped, plain and zero-knowledge, the smallest first.

    Args:
        largest: Narrow traces have 2^3 to ``2**largest`` rows. Those that take longer for each row have fewer, so that
            what comes together takes a time of one order.
    """
    for zk in (False, True):
        yield fibonacci(7, zk=zk)
        yield fibonacci_u64(7, zk=zk)
        yield poseidon2_chain(8, zk=zk)
        yield _sha256(55, zk=zk)
        yield _range_proof(zk=zk)
        for depth in (4, 20, 40):
            yield _membership(depth, zk=zk)
        yield _transfers(8, 8, zk=zk)
    for size in range(4, largest + 1):
        for zk in (False, True):
            k = size - 2 if zk else size
            if k >= 4:
                yield fibonacci(2**k - 1, zk=zk)
            if k - 3 >= 4:
                yield fibonacci_u64(2 ** (k - 3) - 1, zk=zk)
            if k - 7 >= 4:
                yield poseidon2_chain(2 ** (k - 7), zk=zk)
            if k - 4 >= 8:
                yield _sha256(2 ** (k - 5) - 9, zk=zk)
            if k in (10, 13, 15):
                yield _transfers(2 ** (k // 2), 2 ** (k - 4), zk=zk)
