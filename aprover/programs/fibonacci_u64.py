"""The Fibonacci sequence in 64-bit integers, which wrap round."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeGuard

import attrs
import numpy as np
from numpy.typing import NDArray

from ..air.builder import AirBuilder, Expr
from ..air.field import P
from ..air.program import Program, public, shipped
from ..air.validators import integer
from ..errors import ProgramError

LIMBS = 4
LIMB_BITS = 16
LIMB = 1 << LIMB_BITS
MASK = 2**64 - 1


def to_limbs(value: int) -> tuple[int, ...]:
    """Four 16-bit limbs of an int in ``[0, 2^64)``, the lowest first."""
    return tuple([value >> LIMB_BITS * i & (LIMB - 1) for i in range(LIMBS)])


def from_limbs(limbs: object) -> int:
    """The inverse of `to_limbs`; so F(n) from the public outputs.

    Raises:
        ProgramError: They are not four ints below 2^16.
    """
    if not _are_limbs(limbs):
        raise ProgramError(field="limbs", value=limbs, allowed=f"{LIMBS} ints from 0 to {LIMB - 1}")
    return sum(limb << LIMB_BITS * i for i, limb in enumerate(limbs))


def _are_limbs(value: object) -> TypeGuard[Sequence[int]]:
    return (
        isinstance(value, Sequence)
        and len(value) == LIMBS
        and all(type(limb) is int and 0 <= limb < LIMB for limb in value)
    )


def _split(value: Any) -> Any:
    """Ints become limbs; everything else is left to the validator."""
    return to_limbs(value) if type(value) is int and 0 <= value <= MASK else value


def _check_limbs(_instance: object, attribute: attrs.Attribute[Any], value: Any) -> None:
    if type(value) is not tuple or not _are_limbs(value):
        raise ProgramError(
            field=attribute.name,
            value=value,
            allowed=f"an int from 0 to 2^64 - 1, or a tuple of its {LIMBS} limbs from 0 to {LIMB - 1}, lowest first",
        )


@shipped
class FibonacciU64(Program):
    """F(i+2) = F(i) + F(i+1) modulo 2^64 from F(0) = a and F(1) = b; proves F(n).

    Public statement: "F(n) is `from_limbs(public outputs)`", for public n, a and b. Nothing is private.

    Args:
        n: 1 to 2^20.
        a: An int below 2^64, or its four limbs of 16 bits, the lowest first; the field holds the limbs.
        b: Likewise.

    Row i is (F(i), F(i+1)) in limbs, eight columns, and what the range checks of the second four add: 64 bits, or, from
    2^16 rows on, lookups in a table of the numbers below 2^16.
    """

    id = "fibonacci-u64"

    n: int = attrs.field(validator=integer(1, 2**20))
    # What the caller may give; what is kept are the limbs.
    a: int | tuple[int, ...] = public(default=0, converter=_split, validator=_check_limbs)
    b: int | tuple[int, ...] = public(default=1, converter=_split, validator=_check_limbs)

    @classmethod
    def air(cls, b: AirBuilder, params: Any) -> None:
        b.rows(params.n)
        x, y = b.columns("x", LIMBS), b.columns("y", LIMBS)
        carry: Expr | int = 0
        column, row = (y, params.n - 1) if params.n > 1 else (x, 1)
        for i in range(LIMBS):
            b.range_check(y[i], LIMB_BITS, name=f"{y[i].name} is a limb")
            b.assert_equal(x[i].next, y[i], name=f"shift {i}")
            # All limbs are below 2^16: y is checked; x is a y of before, or the public a, whose limbs verifiers check.
            # So x + y + carry is below 2^17, and a carry of 0 or 1 makes it the next limb plus 2^16 carry as integers.
            # The carry is linear in the limbs and needs no column: to divide by 2^16 is to multiply by its inverse.
            carry = (x[i] + y[i] + carry - y[i].next) * pow(LIMB, -1, P)
            b.assert_zero(carry * (carry - 1), name=f"the carry of limb {i} is a bit")
            b.boundary(x[i], 0, b.public("a", i), name=f"F(0), limb {i}")
            b.boundary(y[i], 0, b.public("b", i), name=f"F(1), limb {i}")
            # Row 0 of y is taken by F(1), so n = 1 reads it where it stands in x.
            b.boundary(column[i], row, b.output(i), name=f"F(n), limb {i}")

    def trace(self, out: NDArray[np.uint32]) -> None:
        values = sequence(from_limbs(self.a), from_limbs(self.b), len(out) + 1)
        for i in range(LIMBS):
            limb = (values >> np.uint64(LIMB_BITS * i) & np.uint64(LIMB - 1)).astype(np.uint32)
            out[:, i], out[:, LIMBS + i] = limb[:-1], limb[1:]

    def public_outputs(self) -> tuple[int, ...]:
        # The powers of the matrix ((0, 1), (1, 1)) are ((f(m-1), f(m)), (f(m), f(m+1))) for f from 0 and 1.
        low, high = 0, 1
        for bit in bin(self.n)[2:]:
            low, high = low * (2 * high - low) & MASK, (low * low + high * high) & MASK
            if bit == "1":
                low, high = high, (low + high) & MASK
        return to_limbs(((high - low) * from_limbs(self.a) + low * from_limbs(self.b)) & MASK)


def sequence(a: int, b: int, count: int) -> NDArray[np.uint64]:
    """F(0) to F(count - 1) modulo 2^64.

    The known part almost doubles in each step: F(m + i) = f(i + 1) F(m) + f(i) F(m - 1), where f runs from 0 and 1. The
    products wrap round as they should.
    """
    size = max(4, count)
    first, standard = (np.empty(size, dtype=np.uint64) for _ in range(2))
    for values, start in ((first, (a, b)), (standard, (0, 1))):
        values[0], values[1] = np.uint64(start[0]), np.uint64(start[1])
        for i in (2, 3):
            values[i] = (int(values[i - 2]) + int(values[i - 1])) & MASK
    known = 4
    while known < size:
        more = min(known - 2, size - known)
        for values in (first, standard):
            last, before = values[known - 1 : known], values[known - 2 : known - 1]
            values[known : known + more] = standard[2 : 2 + more] * last + standard[1 : 1 + more] * before
        known += more
    return first[:count]
