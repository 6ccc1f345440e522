"""A program of one's own: prove a term of a linear recurrence, and see what the tools for authors say.

x(i + d) = c(0) x(i) + c(1) x(i + 1) + ... + c(d - 1) x(i + d - 1), in the field of p = 15 * 2**27 + 1 elements.
Fibonacci's numbers are the case d = 2 with both coefficients 1.
"""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np
import trio
from numpy.typing import NDArray

import aprover
from aprover.testing import find_underconstrained

P = 15 * 2**27 + 1


def elements(_program: object, _field: object, value: Any) -> None:
    """A validator says what is allowed; the ProgramError that comes of it names the field."""
    if not value or len(value) > 15 or not all(type(item) is int and 0 <= item < P for item in value):
        raise ValueError(f"1 to 15 ints from 0 to {P - 1}")


def one_for_each_coefficient(program: Any, field: object, value: Any) -> None:
    elements(program, field, value)
    if len(value) != len(program.coefficients):
        raise ValueError(f"{len(program.coefficients)} ints, one for each coefficient")


def reachable(program: Any, _field: object, value: int) -> None:
    if not len(program.coefficients) <= value < 2**20:
        raise ValueError("from the number of coefficients to 2**20 - 1")


class LinearRecurrence(aprover.Program):
    """Proves x(n) of the recurrence that begins with `initial`."""

    id = "examples.linear-recurrence"  # so that a proof names the same program wherever this file is run from

    # Parameters shape the constraints, so each choice has constraints of its own. Public inputs only fill them in.
    coefficients: tuple[int, ...] = attrs.field(validator=elements)
    initial: tuple[int, ...] = aprover.public(validator=one_for_each_coefficient)
    n: int = attrs.field(validator=reachable)

    @classmethod
    def air(cls, b: aprover.AirBuilder, params: Any) -> None:
        order = len(params.coefficients)
        b.rows(params.n + 1)  # any number: the trace is padded to a power of two, and the recurrence goes on there
        x = b.column("x")
        total = sum((c * x.at(i) for i, c in enumerate(params.coefficients)), start=0 * x)
        b.assert_equal(x.at(order), total, name="recurrence")
        for i in range(order):
            b.boundary(x, i, b.public("initial", i), name=f"x({i})")
        b.boundary(x, params.n, b.output(0), name="x(n)")

    def terms(self, count: int) -> list[int]:
        x = list(self.initial)
        while len(x) < count:
            x.append(sum(c * term for c, term in zip(self.coefficients, x[-len(self.coefficients) :], strict=True)) % P)
        return x

    def trace(self, out: NDArray[np.uint32]) -> None:
        out[:, 0] = self.terms(len(out))

    def public_outputs(self) -> tuple[int, ...]:
        return (self.terms(self.n + 1)[self.n],)


async def main() -> None:
    lucas = LinearRecurrence(coefficients=(1, 1), initial=(2, 1), n=20)
    aprover.check(lucas)  # would name the constraint, the row and both values
    print("cells that no constraint notices:", find_underconstrained(lucas) or "none")

    proof = await aprover.prove(lucas)
    statement = aprover.verify(proof.to_bytes(), program=LinearRecurrence)
    print(f"proved in {len(proof)} bytes: the Lucas number L(20) is {statement.public_outputs[0]!r}")

    try:
        LinearRecurrence(coefficients=(1, 1), initial=(2, 1, 3), n=20)
    except aprover.ProgramError as error:
        print("refused:", error)


if __name__ == "__main__":
    trio.run(main)
