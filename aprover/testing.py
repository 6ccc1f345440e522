"""For the tests of one's own programs: does every cell of the trace matter?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import attrs
import numpy as np
from numpy.typing import NDArray

from .air import Program, bytecode
from .air.bytecode import TableCode
from .air.check import check_trace, fill_trace
from .air.expr import ADD, SUB
from .air.field import P
from .air.program import describe
from .errors import ProgramError

__all__ = ["FreeCell", "FreeColumn", "find_underconstrained"]

MAX_VALUES = 2**24
"""The most intermediate values (instructions times rows) that are kept: 128 MiB."""

Values = NDArray[np.uint64]

_P = np.uint64(P)


@attrs.frozen
class FreeCell:
    """A cell that may hold another value, all others staying as they are."""

    row: int
    value: int
    """What the program wrote."""
    accepted: tuple[int, ...]
    """Other values that break no constraint, of those that were tried."""


@attrs.frozen
class FreeColumn:
    """A column with such cells."""

    name: str
    cells: tuple[FreeCell, ...]
    whole: bool
    """Whether every cell of the column is one."""

    def __str__(self) -> str:
        first = self.cells[0]
        count = len(self.cells)
        where = "every row" if self.whole else f"{count} row{'s, first' if count > 1 else ','} row {first.row}"
        values = ", ".join(map(str, first.accepted))
        return f"column {self.name!r} is free in {where}: no constraint notices {values} in place of {first.value}"


class _Step(NamedTuple):
    """An instruction with operands that no later one overwrites: leaves first, then results in their order."""

    op: int
    result: int
    a: int
    b: int


class _Assert(NamedTuple):
    operand: int
    reach: int
    """It does not hold on so many last rows."""


class _Code(NamedTuple):
    steps: list[_Step]
    asserts: list[_Assert]
    reads_below: list[int]
    """For each operand the reads that it depends on, as a set of bits."""


def find_underconstrained(
    program: Program, *, values: Sequence[int] = (), seed: int = 0, columns: Sequence[str] | None = None
) -> tuple[FreeColumn, ...]:
    """Changes one cell of the trace after the other, and reports those whose change no constraint notices.

    A cell x is changed to x + 1, x - 1, 1 - x (which turns booleans over), -x, 0, a random element, and to `values`.
    Only the constraints that read the cell are evaluated, on the rows from which they read it, for all rows of a column
    at once: a chain of Poseidon2 permutations on 8 rows, of 298 columns, takes about a second.

    It finds columns that nothing holds fast, such as a forgotten link or a boolean that is never used. It does not find
    freedom in which several cells must move together, so an empty result is no proof that an AIR is sound. Not all that
    it finds is a mistake: a private input may really be free.

    Args:
        program: With small parameters, so that the trace is small; its trace must satisfy its constraints.
        values: More values to try, modulo P.
        seed: Of the random elements.
        columns: Names; all by default.

    Returns:
        The columns with free cells, in order; empty if there are none. It shows values of the trace, which private
        inputs may follow from.

    Raises:
        ConstraintError: The program's own trace breaks a constraint.
        ProgramError: The trace is too large, a cell is not below P, or there is no such column.
    """
    air = program.compiled()
    if air.cost * air.height > MAX_VALUES:
        raise ProgramError(
            f"{air.height} rows times {air.cost} instructions are too many; choose parameters with a smaller trace"
        )
    for name in columns or ():
        if name not in air.column_names:
            raise ProgramError(field="columns", value=name, allowed="names of columns of the program")
    trace = fill_trace(program)[0]
    publics = air.publics(program.statement())
    check_trace(describe(program), air, [trace], publics)
    raw = bytecode.decode(air.data).tables[0]
    code = _without_registers(raw)
    operands = _evaluate(raw, code, trace, publics)
    bounded = [[row for column, row, _ in raw.boundaries if column == c] for c in range(raw.columns)]
    generator = np.random.default_rng(seed)
    found: list[FreeColumn] = []
    for index, name in enumerate(air.column_names):
        cells = trace[:, index].astype(np.uint64)
        tried = _mutations(cells, values, generator)
        if columns is not None and name not in columns:
            continue
        noticed = tried == cells
        noticed[:, bounded[index]] = True
        for read, (column, offset) in enumerate(raw.reads):
            if column == index:
                noticed |= _noticed_through(code, operands, read, offset, tried)
        free = [
            FreeCell(row, int(cells[row]), tuple(sorted({int(value) for value in tried[~noticed[:, row], row]})))
            for row in np.flatnonzero(~noticed.all(axis=0)).tolist()
        ]
        if free:
            found.append(FreeColumn(name, tuple(free), len(free) == len(cells)))
    return tuple(found)


def _mutations(cells: Values, values: Sequence[int], generator: np.random.Generator) -> Values:
    """Shape (values that are tried, rows)."""
    one = np.uint64(1)
    tried = [(cells + one) % _P, (cells + _P - one) % _P, (_P + one - cells) % _P, (_P - cells) % _P, cells * 0]
    tried.append(generator.integers(0, P, len(cells), dtype=np.uint64))
    tried += [np.full(len(cells), value % P, dtype=np.uint64) for value in values]
    return np.array(tried)


def _without_registers(raw: TableCode) -> _Code:
    leaves = len(raw.reads) + len(raw.periodics) + raw.publics + len(raw.constants)
    reads_below = [1 << i if i < len(raw.reads) else 0 for i in range(leaves)]
    register: dict[int, int] = {}

    def operand(slot: int) -> int:
        return register[slot] if slot < raw.registers else slot - raw.registers

    def reach(below: int) -> int:
        return max((offset for i, (_, offset) in enumerate(raw.reads) if below >> i & 1), default=0)

    steps: list[_Step] = []
    asserts: list[_Assert] = []
    for op, dst, a, b in raw.instructions:
        if op == bytecode.ASSERT:
            asserts.append(_Assert(operand(a), reach(reads_below[operand(a)])))
            continue
        step = _Step(op, len(reads_below), operand(a), operand(b))
        steps.append(step)
        reads_below.append(reads_below[step.a] | reads_below[step.b])
        register[dst] = step.result
    return _Code(steps, asserts, reads_below)


def _evaluate(raw: TableCode, code: _Code, trace: NDArray[np.uint32], publics: Sequence[int]) -> list[Values]:
    """Each operand on all rows; what a read finds below the last row is taken from the top, and asserts nothing."""
    rows = np.arange(len(trace))
    operands: list[Values] = [np.roll(trace[:, column], -offset).astype(np.uint64) for column, offset in raw.reads]
    operands += [np.array(cycle, dtype=np.uint64)[rows % len(cycle)] for cycle in raw.periodics]
    operands += [np.full(len(trace), value, dtype=np.uint64) for value in (*publics, *raw.constants)]
    for step in code.steps:
        operands.append(_apply(step.op, operands[step.a], operands[step.b]))
    return operands


def _noticed_through(code: _Code, operands: list[Values], read: int, offset: int, tried: Values) -> NDArray[np.bool_]:
    """Which changes an assertion notices that finds the cell by this read; shape as `tried`.

    An assertion on row a finds the changed cell on row a + offset, so the changes are moved up by `offset` rows.
    """
    height = tried.shape[1]
    changed: dict[int, Values] = {read: np.roll(tried, -offset, axis=1)}
    for step in _above(code, read):
        a, b = changed.get(step.a), changed.get(step.b)
        changed[step.result] = _apply(
            step.op, operands[step.a] if a is None else a, operands[step.b] if b is None else b
        )
    broken = np.zeros(tried.shape, dtype=np.bool_)
    for item in code.asserts:
        if item.operand in changed:
            holds_on = height - item.reach
            broken[:, :holds_on] |= changed[item.operand][:, :holds_on] != 0
    return np.roll(broken, offset, axis=1)


def _above(code: _Code, read: int) -> Iterator[_Step]:
    bit = 1 << read
    return (step for step in code.steps if code.reads_below[step.result] & bit)


def _apply(op: int, a: Values, b: Values) -> Values:
    if op == ADD:
        return (a + b) % _P
    if op == SUB:
        return (a + (_P - b)) % _P
    return a * b % _P
