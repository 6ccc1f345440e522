"""A committed value lies in a range."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray

from ..air.builder import AirBuilder, Column, Expr
from ..air.field import P
from ..air.program import Program, private, shipped
from ..air.validators import field_elements, integer
from ..errors import ProgramError
from .poseidon2 import (
    DIGEST,
    EXTERNAL_CONSTANTS,
    HALF_EXTERNAL_ROUNDS,
    INTERNAL_CONSTANTS,
    WIDTH,
    advance,
    external_layer,
    internal_layer,
)

BITS = 64
LIMB_BITS = 16
LIMBS = BITS // LIMB_BITS
BLINDING = 4
"""Elements of the blinding: 123 bits."""

TAG = int.from_bytes(b"RANG", "big")
"""The first element of the sponge's capacity, so that a commitment is no other program's digest."""

ROWS = 32
"""Two bits of each number a row, and one round of the permutation."""

_DIGITS_A_LIMB = LIMB_BITS // 2
_OUTPUT_ROW = 1 + 2 * HALF_EXTERNAL_ROUNDS + len(INTERNAL_CONSTANTS)


def _not_below_low(instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    integer(0, 2**BITS - 1)(instance, attribute, value)
    if value < instance.low:
        raise ProgramError(field=attribute.name, value=value, allowed=f"an int from low = {instance.low}")


@shipped
class RangeProof(Program):
    """The committed value is at least `low` and at most `high`, as integers of 64 bits.

    **Statement.** With the public `low` and `high` and the commitment, which is the output: there are an integer
    ``value`` with low <= value <= high and a blinding that `commit` maps to the commitment.

    **Commitment.** The value in four limbs of 16 bits, low limb first, then the blinding of four elements, are the rate
    of a sponge whose capacity is ``(TAG, 0, 0, 0, 0, 0, 0, 0)``; the commitment is the first 8 elements after one
    Poseidon2 permutation. Two values for one commitment are a collision of that sponge (124 bits).

    **No wrap-around.** Three numbers are written in 32 digits of two bits, each bit a cell that is 0 or 1: value, above
    and below. With the digits of low and high, which the constraints hold, and carries that are 0 or 1, digit i obeys
    ``low + above + carry in = value + 4 carry out`` and ``value + below + carry in = high + 4 carry out`` modulo P. No
    side exceeds 7, far below P, so these are equations of integers. The first carry in and the last carry out are 0, so
    their sum weighted by 4**i gives low + above = value and value + below = high as integers. above and below are not
    negative, which is the claim. A limb of value is below 2**16 < P, so the committed elements have one value only.

    **Witness.** `value` and `blinding` are private: no statement, repr or error shows them. The blinding must be random
    and used once (`random_blinding`), or the commitment can be searched for. A proof that is not zero-knowledge tells
    all the same: whoever has it can compute the trace, which is as small as this one.

    **Trace.** 32 rows of 30 columns, one round of the permutation a row, with constraints of degree 8.
    """

    id = "range-proof"

    value: int = private(validator=integer(0, 2**BITS - 1))
    low: int = attrs.field(validator=integer(0, 2**BITS - 1))
    high: int = attrs.field(validator=_not_below_low)
    blinding: tuple[int, ...] = private(validator=field_elements(BLINDING))

    def __attrs_post_init__(self) -> None:
        if not self.low <= self.value <= self.high:
            raise ProgramError(
                "the private field 'value' is outside the range",
                field="value",
                allowed=f"an int from {self.low} to {self.high}",
            )

    @staticmethod
    def random_blinding() -> tuple[int, ...]:
        """Four elements from the system's source of randomness, for `blinding`."""
        return tuple([secrets.randbelow(P) for _ in range(BLINDING)])

    @staticmethod
    def commit(value: int, blinding: Sequence[int]) -> tuple[int, ...]:
        """The commitment: 8 elements. `value` is below 2**64, `blinding` has 4 elements."""
        return advance(_sponge(value, blinding), 1)[:DIGEST]

    @classmethod
    def air(cls, b: AirBuilder, params: Any) -> None:
        b.rows(ROWS)
        value, above, below = (_digit(b, name) for name in ("value", "above", "below"))
        low, high = (b.periodic(_digits(number).tolist()) for number in (params.low, params.high))
        _add(b, "low", low, above, value)
        _add(b, "high", value, below, high)
        state = b.columns("state", WIDTH)
        first = _hash(b, state)
        last = b.periodic([0] * (ROWS - 1) + [1])
        for i, limb in enumerate(b.columns("limb", LIMBS)):
            # It starts as the committed limb, loses a digit a row, and nothing is left in the end.
            weights = [4 ** (row % _DIGITS_A_LIMB) if row // _DIGITS_A_LIMB == i else 0 for row in range(ROWS)]
            rest = limb - b.periodic(weights) * value
            b.assert_zero(first * (limb - state[i]), name=f"limb {i} is committed")
            b.assert_equal(limb.next, rest, name=f"limb {i} loses its digits")
            b.assert_zero(last * rest, name=f"limb {i} has no more digits")

    def trace(self, out: NDArray[np.uint32]) -> None:
        value, above, below = (
            _digits(number) for number in (self.value, self.value - self.low, self.high - self.value)
        )
        for column, digits in zip((0, 2, 4), (value, above, below), strict=True):
            out[:, column] = digits & 1
            out[:, column + 1] = digits >> 1
        for column, (x, y) in zip((6, 8), ((_digits(self.low), above), (value, below)), strict=True):
            carry = 0
            for row, digit in enumerate((x + y).tolist()):
                out[row, column] = carry
                carry = (digit + carry) >> 2
                out[row, column + 1] = carry
        state = list(_sponge(self.value, self.blinding))
        limbs = state[:LIMBS]
        for row, (kind, constants) in enumerate(_steps()):
            out[row, 10 : 10 + WIDTH] = state
            out[row, 10 + WIDTH :] = limbs
            state = _step(state, kind, constants)
            at = row // _DIGITS_A_LIMB
            limbs[at] -= int(value[row]) << 2 * (row % _DIGITS_A_LIMB)

    def public_outputs(self) -> tuple[int, ...]:
        return self.commit(self.value, self.blinding)


def _digits(number: int) -> NDArray[np.int64]:
    """The 32 digits of two bits, low digit first."""
    return np.array([number >> 2 * i & 3 for i in range(ROWS)], dtype=np.int64)


def _sponge(value: int, blinding: Sequence[int]) -> tuple[int, ...]:
    limbs = [value >> LIMB_BITS * i & (1 << LIMB_BITS) - 1 for i in range(LIMBS)]
    return (*limbs, *blinding, TAG, *[0] * (DIGEST - 1))


def _digit(b: AirBuilder, name: str) -> Expr:
    """A digit a row, of two boolean columns."""
    low, high = b.columns(name, 2)
    for i, bit in enumerate((low, high)):
        b.assert_zero(bit * (bit - 1), name=f"{name}[{i}] is boolean")
    return low + 2 * high


def _add(b: AirBuilder, name: str, x: Expr, y: Expr, total: Expr) -> None:
    """The numbers with the digits x and y have the sum with the digits `total`, without a carry out of the last."""
    carry, out = b.column(f"{name}_carry"), b.column(f"{name}_carry_out")
    b.assert_zero(out * (out - 1), name=f"{name}: the carry is boolean")
    b.assert_equal(x + y + carry, total + 4 * out, name=f"{name}: digits")
    b.assert_equal(carry.next, out, name=f"{name}: the carry goes on")
    b.boundary(carry, 0, 0, name=f"{name}: no carry into the first digit")
    b.boundary(out, ROWS - 1, 0, name=f"{name}: no carry out of the last digit")


def _steps() -> list[tuple[str, tuple[int, ...]]]:
    """From each row to the next: the first linear layer, the 21 rounds, and nothing."""
    nothing = (0,) * WIDTH
    steps = [("initial", nothing)]
    steps += [("external", constants) for constants in EXTERNAL_CONSTANTS[:HALF_EXTERNAL_ROUNDS]]
    steps += [("internal", (constant, *nothing[1:])) for constant in INTERNAL_CONSTANTS]
    steps += [("external", constants) for constants in EXTERNAL_CONSTANTS[HALF_EXTERNAL_ROUNDS:]]
    return steps + [("idle", nothing)] * (ROWS - len(steps))


def _step(state: list[int], kind: str, constants: Sequence[int]) -> list[int]:
    if kind == "idle":
        return state
    if kind == "initial":
        after = external_layer(state)
    elif kind == "external":
        after = external_layer([pow(value + constant, 7, P) for value, constant in zip(state, constants, strict=True)])
    else:
        after = internal_layer([pow(state[0] + constants[0], 7, P), *state[1:]])
    return [value % P for value in after]


def _hash(b: AirBuilder, state: list[Column]) -> Expr:
    """The permutation from row 0 on, its capacity and its output. Returns the selector of row 0."""
    steps = _steps()
    first, external, internal, idle = (
        b.periodic([int(kind == each) for kind, _ in steps]) for each in ("initial", "external", "internal", "idle")
    )
    boxed = [(value + b.periodic([constants[i] for _, constants in steps])) ** 7 for i, value in enumerate(state)]
    plain: list[Expr] = [*state]
    layers = external_layer(plain), external_layer(boxed), internal_layer([boxed[0], *plain[1:]])
    for i, column in enumerate(state):
        after = first * layers[0][i] + external * layers[1][i] + internal * layers[2][i] + idle * column
        b.assert_equal(column.next, after, name=f"round {i}")
    for i, constant in enumerate(_sponge(0, [0] * BLINDING)[DIGEST:], DIGEST):
        b.boundary(state[i], 0, constant, name=f"capacity {i - DIGEST}")
    for i in range(DIGEST):
        b.boundary(state[i], _OUTPUT_ROW, b.output(i), name=f"commitment {i}")
    return first
