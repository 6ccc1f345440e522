"""A program with lookups: prove that one list is another one in ascending order.

That the two lists hold the same values, each as often, is a *permutation*; that the second one ascends is a *range
check* of each difference. The builder makes both out of buses, and fills the columns that they need.
"""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np
import trio
from numpy.typing import NDArray

import aprover
from aprover.testing import find_underconstrained

BITS = 29  # so that no difference of two values looks like another one modulo p


def small_ints(_program: object, _field: object, value: Any) -> None:
    """A validator says what is allowed; the ProgramError that comes of it names the field."""
    if not value or not all(type(item) is int and 0 <= item < 2**BITS for item in value):
        raise ValueError(f"one or more ints from 0 to 2**{BITS} - 1")


def count_of(program: Any) -> int:
    return len(program.values)


class Sort(aprover.Program):
    """Proves what `values` are in ascending order."""

    id = "examples.sort"

    values: tuple[int, ...] = aprover.public(validator=small_ints)
    # How many there are shapes the trace, and so is a parameter.
    count: int = attrs.field(init=False, default=attrs.Factory(count_of, takes_self=True))

    @classmethod
    def air(cls, b: aprover.AirBuilder, params: Any) -> None:
        b.rows(params.count)  # any number: rows are added up to a power of two, and hold zeros
        value, ascending = b.column("value"), b.column("ascending")
        b.permutation([value], [ascending], name="the same values")
        b.range_check(value, BITS, name="values are small")
        step = b.active(params.count - 1) * (ascending.next - ascending)
        b.range_check(step, BITS, name="ascending")
        # In both columns: else a value in the added rows of one could stand for a zero among the values of the other.
        for column in (value, ascending):
            b.assert_zero(column, when=1 - b.active(), name=f"zeros after the last {column}")
        for i in range(params.count):
            b.boundary(value, i, b.public("values", i), name=f"value {i}")
            b.boundary(ascending, i, b.output(i), name=f"sorted value {i}")

    def trace(self, out: NDArray[np.uint32]) -> None:
        out[: self.count, 0] = self.values
        out[: self.count, 1] = sorted(self.values)

    def public_outputs(self) -> tuple[int, ...]:
        return tuple(sorted(self.values))


class Wrong(Sort):
    """One value is put in the place of another one."""

    def trace(self, out: NDArray[np.uint32]) -> None:
        super().trace(out)
        out[2, 1] = out[1, 1]


async def main() -> None:
    program = Sort((31, 4, 15, 9, 26, 5, 35, 8, 9, 7))
    aprover.check(program)  # would name the constraint or the bus, the row and the values
    print("cells that nothing notices:", find_underconstrained(program) or "none")

    try:
        aprover.check(Wrong(program.values))
    except aprover.ConstraintError as error:
        print(error)

    proof = await aprover.prove(program)
    statement = aprover.verify(proof.to_bytes(), program=Sort)
    print(f"proved in {len(proof)} bytes: {statement.public_outputs!r}")


if __name__ == "__main__":
    trio.run(main)
