"""`check`: does a program's trace satisfy its constraints, and if not, where?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..errors import ConstraintError, ProgramError
from . import bytecode
from .builder import AirBuilder, Assertion
from .bytecode import TableCode
from .compiled import CompiledAir
from .expr import ADD, CONSTANT, MUL, PERIODIC, PUBLIC, READ, SUB, Expr
from .field import P
from .program import Program, describe

BLOCK_ROWS = 2048
"""Rows evaluated at once: enough to hide numpy's cost of a call, few enough for a few registers to stay in cache."""

_MOST_CELLS = 12
_P = np.uint64(P)


def fill_trace(program: Program) -> NDArray[np.uint32]:
    """The trace by the program's own `trace` method: shape (height, columns), column-major. Nothing is checked."""
    air = program.compiled()
    out = np.zeros((air.columns, air.height), dtype=np.uint32).T
    program.trace(out)
    return out


def check(program: Program) -> None:
    """Makes the trace of `program` in Python and evaluates every constraint on every row.

    Takes time proportional to rows times instructions; it is meant for the development of a program. Where several
    constraints fail, the one that fails in the lowest row is reported.

    The error shows the trace cells that the failing constraint reads in that row, and these may hold or betray private
    values. It shows nothing else of the private fields.

    Raises:
        ConstraintError: A constraint fails, or a cell has not its boundary value. `name` and `row` say where; `values`
            are the two sides of ``assert_equal`` (the expression and 0 for ``assert_zero``), or the cell's value and
            the one that it should have.
        ProgramError: The AIR is wrong, or a cell of the trace is not below P.
    """
    publics = program.compiled().publics(program.statement())
    check_trace(describe(program), program.compiled(), fill_trace(program), publics)


def check_trace(builder: AirBuilder, air: CompiledAir, trace: NDArray[np.uint32], publics: Sequence[int]) -> None:
    """Evaluates the constraints on a given trace, as `check` does.

    Args:
        builder: What `air` was compiled from; it words the error.
        air: Its bytecode is what is evaluated, so that exactly what is proved is checked.
        trace: Shape (height, columns).
        publics: In the order of `CompiledAir.public_spec`.
    """
    _check_canonical(air, trace)
    code = bytecode.decode(air.data).tables[0]
    broken_boundary = _first_broken_boundary(air, code, trace, publics)
    before = broken_boundary.row if broken_boundary is not None else air.height
    found = _first_broken_assertion(code, trace, publics, before)
    if found is not None:
        row, index = found
        raise _broken_assertion(builder, builder.assertions[index], trace, publics, air, row)
    if broken_boundary is not None:
        raise broken_boundary


def _check_canonical(air: CompiledAir, trace: NDArray[np.uint32]) -> None:
    for column, name in enumerate(air.column_names):
        cells = trace[:, column]
        if cells.max() >= P:
            row = int(np.argmax(cells >= P))
            raise ProgramError(
                field=f"trace column {name!r}, row {row}", value=int(cells[row]), allowed=f"values from 0 to {P - 1}"
            )


def _first_broken_boundary(
    air: CompiledAir, code: TableCode, trace: NDArray[np.uint32], publics: Sequence[int]
) -> ConstraintError | None:
    if not code.boundaries:
        return None
    values = np.array([*publics, *code.constants], dtype=np.uint32)
    columns, rows, slots = np.array(code.boundaries, dtype=np.int64).T
    expected = values[slots - (code.registers + len(code.reads) + len(code.periodics))]
    broken = np.flatnonzero(trace[rows, columns] != expected)
    if not len(broken):
        return None
    first = int(broken[np.argmin(rows[broken])])
    row, column = int(rows[first]), int(columns[first])
    found, wanted = int(trace[row, column]), int(expected[first])
    return ConstraintError(
        f"boundary {air.boundary_names[first]!r} fails at row {row}: "
        f"{air.column_names[column]} is {found}, and it should be {wanted}",
        name=air.boundary_names[first],
        row=row,
        values=(found, wanted),
    )


class _Block:
    """Values of slots on consecutive rows, as uint64 below P."""

    def __init__(
        self, code: TableCode, trace: NDArray[np.uint32], publics: Sequence[int], start: int, size: int
    ) -> None:
        self._code = code
        self._trace = trace
        self._start = start
        self._size = size
        self._scalars = [np.uint64(value) for value in (*publics, *code.constants)]
        self._leaves: dict[int, NDArray[np.uint64] | np.uint64] = {}
        self.registers = np.empty((code.registers, size), dtype=np.uint64)
        # The largest offset that each register depends on.
        self.reach = [0] * code.registers

    def value(self, slot: int) -> NDArray[np.uint64] | np.uint64:
        index = slot - self._code.registers
        if index < 0:
            register: NDArray[np.uint64] = self.registers[slot]
            return register
        leaf = self._leaves.get(index)
        if leaf is None:
            leaf = self._leaves[index] = self._leaf(index)
        return leaf

    def reach_of(self, slot: int) -> int:
        index = slot - self._code.registers
        if index < 0:
            return self.reach[slot]
        return self._code.reads[index][1] if index < len(self._code.reads) else 0

    def _leaf(self, index: int) -> NDArray[np.uint64] | np.uint64:
        code = self._code
        if index < len(code.reads):
            column, offset = code.reads[index]
            first = self._start + offset
            cells = self._trace[first : first + self._size, column]
            if len(cells) < self._size:
                cells = np.concatenate([cells, self._trace[: self._size - len(cells), column]])
            return cells.astype(np.uint64)
        index -= len(code.reads)
        if index < len(code.periodics):
            cycle = np.array(code.periodics[index], dtype=np.uint64)
            return cycle[(self._start + np.arange(self._size)) % len(cycle)]
        return self._scalars[index - len(code.periodics)]


def _first_broken_assertion(
    code: TableCode, trace: NDArray[np.uint32], publics: Sequence[int], before: int
) -> tuple[int, int] | None:
    """The lowest row below `before` in which an asserted slot is not zero, and the first such assertion there."""
    height = 1 << code.log_height
    for start in range(0, before, BLOCK_ROWS):
        block = _Block(code, trace, publics, start, min(BLOCK_ROWS, height - start))
        found: tuple[int, int] | None = None
        scratch = np.empty(block.registers.shape[1:], dtype=np.uint64)
        index = 0
        for op, dst, a, b in code.instructions:
            if op == bytecode.ASSERT:
                valid = min(before, height - block.reach_of(a)) - start
                broken = np.flatnonzero(np.asarray(block.value(a))[: max(valid, 0)])
                if len(broken) and (found is None or start + int(broken[0]) < found[0]):
                    found = start + int(broken[0]), index
                index += 1
                continue
            _run(op, block.value(a), block.value(b), block.registers[dst], scratch)
            block.reach[dst] = max(block.reach_of(a), block.reach_of(b))
        if found is not None:
            return found
    return None


def _run(
    op: int,
    a: NDArray[np.uint64] | np.uint64,
    b: NDArray[np.uint64] | np.uint64,
    out: NDArray[np.uint64],
    scratch: NDArray[np.uint64],
) -> None:
    if op == MUL:
        np.multiply(a, b, out=out)
        # numpy divides by a scalar with SIMD, but takes remainders without.
        np.floor_divide(out, _P, out=scratch)
        np.multiply(scratch, _P, out=scratch)
        np.subtract(out, scratch, out=out)
        return
    if op == ADD:
        np.add(a, b, out=out)
        np.subtract(out, _P, out=scratch)
    else:
        np.subtract(a, b, out=out)
        np.add(out, _P, out=scratch)
    # One of the two is in [0, P); the other one, if it is not equal, is larger or wraps round to a huge number.
    np.minimum(out, scratch, out=out)


def _broken_assertion(
    builder: AirBuilder,
    assertion: Assertion,
    trace: NDArray[np.uint32],
    publics: Sequence[int],
    air: CompiledAir,
    row: int,
) -> ConstraintError:
    """Evaluates both sides from the expressions, on plain integers."""
    named = {builder.public_name(slot): value for slot, value in zip(air.public_spec, publics, strict=True)}
    values: dict[int, int] = {}
    cells: list[str] = []

    def leaf_value(leaf: Expr) -> int:
        if leaf.kind == CONSTANT:
            return leaf.x
        if leaf.kind == PERIODIC:
            cycle = builder.cycle(leaf.x)
            return cycle[row % len(cycle)]
        if leaf.kind == PUBLIC:
            return named[str(leaf)]
        assert leaf.kind == READ
        return int(trace[(row + leaf.y) % len(trace), leaf.x])

    plan = bytecode.schedule([assertion.left, assertion.right])
    for leaf in sorted(plan.leaves, key=lambda leaf: (leaf.y, leaf.x)):
        values[leaf.number] = leaf_value(leaf)
        if leaf.kind == READ:
            cells.append(f"{leaf} = {values[leaf.number]}")
    for node, _ in plan.steps:
        if node is None:
            continue
        assert node.left is not None
        assert node.right is not None
        a, b = values[node.left.number], values[node.right.number]
        values[node.number] = (a + b if node.kind == ADD else a - b if node.kind == SUB else a * b) % P
    left, right = values[assertion.left.number], values[assertion.right.number]
    shown = ", ".join(cells[:_MOST_CELLS]) + (", ..." if len(cells) > _MOST_CELLS else "")
    return ConstraintError(
        f"constraint {assertion.name!r} fails at row {row}: {assertion.left} is {left}, "
        f"{assertion.right} is {right}; there {shown}",
        name=assertion.name,
        row=row,
        values=(left, right),
    )
