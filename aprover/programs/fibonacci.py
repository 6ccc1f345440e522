"""The Fibonacci sequence in the field."""

from __future__ import annotations

import functools
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray

from ..air.builder import AirBuilder
from ..air.field import P
from ..air.program import Program, public, shipped
from ..air.validators import integer

GENERATOR = 1
"""The number of the C trace generator; its arguments are a and b."""


@shipped
class Fibonacci(Program):
    """F(i+2) = F(i) + F(i+1) modulo P from F(0) = a and F(1) = b; proves F(n).

    Public statement: "F(n) is the public output", for public n, a and b. Nothing is private.

    Two columns: row i is (F(i), F(i+1)). So F(n) stands in the second column at row n - 1, and a power of two n
    needs no more than n rows.
    """

    id = "fibonacci"

    n: int = attrs.field(validator=integer(1, 2**22))
    a: int = public(default=0)
    b: int = public(default=1)

    @classmethod
    def air(cls, b: AirBuilder, params: Any) -> None:
        b.rows(params.n)
        x, y = b.column("x"), b.column("y")
        b.assert_equal(x.next, y, name="shift")
        b.assert_equal(y.next, x + y, name="sum")
        b.boundary(x, 0, b.public("a"), name="F(0)")
        b.boundary(y, 0, b.public("b"), name="F(1)")
        # Row 0 of y is taken by F(1), so n = 1 reads it where it stands in x.
        column, row = (y, params.n - 1) if params.n > 1 else (x, 1)
        b.boundary(column, row, b.output(0), name="F(n)")

    def trace(self, out: NDArray[np.uint32]) -> None:
        values = sequence(self.a, self.b, out.shape[0] + 1)
        out[:, 0] = values[:-1]
        out[:, 1] = values[1:]

    def public_outputs(self) -> tuple[int, ...]:
        low, high = _standard_pair(self.n)
        return (((high - low) * self.a + low * self.b) % P,)

    def native_trace(self) -> tuple[int, tuple[int, ...]]:
        return GENERATOR, (self.a, self.b)


@functools.lru_cache(maxsize=256)
def _standard_pair(n: int) -> tuple[int, int]:
    """f(n) and f(n+1) modulo P, where f(0) = 0 and f(1) = 1, by fast doubling.

    f(2m) = f(m) (2 f(m+1) - f(m)) and f(2m+1) = f(m)^2 + f(m+1)^2.
    """
    low, high = 0, 1
    for bit in bin(n)[2:]:
        low, high = low * (2 * high - low) % P, (low * low + high * high) % P
        if bit == "1":
            low, high = high, (low + high) % P
    return low, high


def sequence(a: int, b: int, count: int) -> NDArray[np.uint64]:
    """F(0) to F(count - 1).

    The known part almost doubles in each step: F(m + i) = f(i + 1) F(m) + f(i) F(m - 1), where f runs from 0 and 1.
    """
    size = max(4, count)
    first, standard = (np.empty(size, dtype=np.uint64) for _ in range(2))
    for values, start in ((first, (a, b)), (standard, (0, 1))):
        values[:2] = start
        values[2] = (values[0] + values[1]) % P
        values[3] = (values[1] + values[2]) % P
    known = 4
    while known < size:
        more = min(known - 2, size - known)
        for values in (first, standard):
            last, before = values[known - 1], values[known - 2]
            # Each product is below 2^62, so the sum fits.
            values[known : known + more] = (standard[2 : 2 + more] * last + standard[1 : 1 + more] * before) % P
        known += more
    return first[:count]
