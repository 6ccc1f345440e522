"""`check`: does a program's trace satisfy its constraints and balance its buses, and if not, where?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from . import bytecode
from .balance import Put, unbalanced
from .builder import AirBuilder
from .bytecode import TableCode
from .compiled import CompiledAir, CompiledTable
from .evaluate import Block, blocks
from .expr import ADD, CONSTANT, PERIODIC, PUBLIC, READ, SUB, Expr
from .failures import MOST_SHOWN, Failure, error_of
from .field import P
from .program import Program, describe
from .table import Assertion, TableBuilder
from .tracing import check_canonical, new_tables, written

__all__ = ["Trace", "check", "check_trace", "failures", "fill_trace"]

Trace = NDArray[np.uint32]
"""One table's values: shape (rows, columns), column-major."""

_MOST_CELLS = 12


def fill_trace(program: Program) -> list[Trace]:
    """The tables by the program's own `trace` method, with the columns that follow from it. Nothing is checked."""
    return _fill(program)[0]


def _fill(program: Program) -> tuple[list[Trace], list[Failure]]:
    air = program.compiled()
    tables = new_tables(air)
    program.trace(written(air, tables))
    if air.filling.is_empty:
        return [table.T for table in tables], []
    return [table.T for table in tables], air.filling.complete(tables, air.publics(program.statement()))


def check(program: Program) -> None:
    """Makes the trace of `program` in Python and evaluates every constraint and every bus on every row.

    Takes time proportional to rows times instructions; it is meant for the development of a program.

    The error shows the trace cells that failing constraints read, and these may hold or betray private values. It shows
    nothing else of the private fields.

    Raises:
        ConstraintError: A constraint fails, a cell has not its boundary value, a value is out of its range, a lookup
            finds nothing, or a tuple is not received as often as it is sent. The message has a line for each of these;
            `name`, `row` and `values` are those of the one in the lowest row: `values` are the two sides of
            ``assert_equal`` (the expression and 0 for ``assert_zero``), the cell's value and the one that it should
            have, or how often a tuple is on each side of its bus.
        ProgramError: The AIR is wrong, or a cell of the trace is not below P.
    """
    air = program.compiled()
    publics = air.publics(program.statement())
    traces, found = _fill(program)
    found += failures(describe(program), air, traces, publics, known=found)
    if found:
        raise error_of(found)


def check_trace(builder: AirBuilder, air: CompiledAir, traces: Sequence[Trace], publics: Sequence[int]) -> None:
    """Evaluates constraints and buses on a given trace, as `check` does.

    Args:
        builder: What `air` was compiled from; it words the error.
        air: Its bytecode is what is evaluated, so that exactly what is proved is checked.
        traces: Of each table an array of shape (rows, columns), automatic columns included.
        publics: In the order of `CompiledAir.public_spec`.
    """
    found = failures(builder, air, traces, publics)
    if found:
        raise error_of(found)


def failures(
    builder: AirBuilder,
    air: CompiledAir,
    traces: Sequence[Trace],
    publics: Sequence[int],
    *,
    known: Sequence[Failure] = (),
) -> list[Failure]:
    """What is wrong with a trace, of each table at most `MOST_SHOWN` constraints; arguments as for `check_trace`.

    Args:
        known: What is known to be wrong. What follows from it is left out.

    Raises:
        ProgramError: A cell is not below P.
    """
    code = bytecode.decode(air.data)
    found: list[Failure] = []
    puts: dict[int, list[Put]] = {}
    for table, described, own, trace in zip(air.tables, builder.tables, code.tables, traces, strict=True):
        check_canonical(table, trace.T)
        found += _broken_boundaries(table, own, trace, publics)
        found += _evaluate(_Checked(table, described, own, trace, publics, builder), puts)
    causes = tuple(f"{failure.name}: " for failure in known)
    silent = {failure.bus for failure in known}
    found = [failure for failure in found if not failure.name.startswith(causes)] if causes else found
    for number, (name, _) in enumerate(air.buses):
        failure = None if name in silent else unbalanced(name, puts[number])
        if failure is not None:
            found.append(failure)
    return found


def _broken_boundaries(table: CompiledTable, code: TableCode, trace: Trace, publics: Sequence[int]) -> list[Failure]:
    if not code.boundaries:
        return []
    values = np.array([*publics, *code.constants], dtype=np.uint32)
    columns, rows, slots = np.array(code.boundaries, dtype=np.int64).T
    expected = values[slots - (code.registers + len(code.reads) + len(code.periodics))]
    found = []
    for index in np.flatnonzero(trace[rows, columns] != expected).tolist():
        row, column = int(rows[index]), int(columns[index])
        pair = int(trace[row, column]), int(expected[index])
        name = table.boundary_names[index]
        text = (
            f"boundary {name!r}{_in(table.name)} fails at row {row}: "
            f"{table.column_names[column]} is {pair[0]}, and it should be {pair[1]}"
        )
        found.append(Failure(name, table.name, row, 1, pair, text))
    return found


def _in(table: str) -> str:
    return "" if table == "main" else f" of table {table!r}"


class _Checked:
    """A table with its values."""

    def __init__(
        self,
        table: CompiledTable,
        described: TableBuilder,
        code: TableCode,
        trace: Trace,
        publics: Sequence[int],
        builder: AirBuilder,
    ) -> None:
        self.name = table.name
        self.height = table.height
        self.described = described
        self.code = code
        self.columns = [*trace.T, *code.preprocessed]
        """In the order of the table."""
        self.publics = publics
        self.public_values = dict(zip(builder.public_names(), publics, strict=True))
        order = described.order()
        self.cells = {declared: self.columns[place] for place, declared in enumerate(order)}
        """By the numbers that expressions have for columns."""


def _evaluate(checked: _Checked, puts: dict[int, list[Put]]) -> list[Failure]:
    """The lowest assertions that fail; adds what the table puts on buses to `puts`."""
    code, height = checked.code, checked.height
    broken: dict[int, tuple[int, int]] = {}  # from an assertion to its first row and the number of rows
    parts: list[list[tuple[NDArray[np.int64], Trace, Trace]]] = [[] for _ in code.interactions]
    for block in blocks(code, checked.columns, checked.publics, height):

        def asserted(index: int, slot: int, block: Block = block) -> None:
            valid = max(0, height - block.reach(slot) - block.start)
            rows = np.flatnonzero(np.asarray(block.value(slot))[:valid])
            if len(rows):
                first, count = broken.get(index, (block.start + int(rows[0]), 0))
                broken[index] = first, count + len(rows)

        block.run(asserted)
        for part, (_, _, multiplicity, values) in zip(parts, code.interactions, strict=True):
            counts = np.broadcast_to(block.value(multiplicity), block.size)
            rows = np.flatnonzero(counts)
            tuples = np.array([np.broadcast_to(block.value(value), block.size)[rows] for value in values])
            part.append((rows + block.start, counts[rows].astype(np.uint32), tuples.astype(np.uint32)))
    for item, part, (bus, sign, _, _) in zip(checked.described.interactions, parts, code.interactions, strict=True):
        rows = np.concatenate([piece[0] for piece in part])
        multiplicities = np.concatenate([piece[1] for piece in part])
        tuples = np.concatenate([piece[2] for piece in part], axis=1)
        puts.setdefault(bus, []).append(Put(item.name, checked.name, sign, rows, multiplicities, tuples))
    lowest = sorted(broken, key=lambda index: (broken[index][0], index))[:MOST_SHOWN]
    return [_broken_assertion(checked, checked.described.assertions[index], *broken[index]) for index in lowest]


def _broken_assertion(checked: _Checked, assertion: Assertion, row: int, count: int) -> Failure:
    """Evaluates both sides from the expressions, on plain integers."""
    values: dict[int, int] = {}
    cells: list[str] = []

    def leaf_value(leaf: Expr) -> int:
        if leaf.kind == CONSTANT:
            return leaf.x
        if leaf.kind == PERIODIC:
            cycle = checked.described.cycle(leaf.x)
            return cycle[row % len(cycle)]
        if leaf.kind == PUBLIC:
            return checked.public_values[str(leaf)]
        assert leaf.kind == READ
        return int(checked.cells[leaf.x][(row + leaf.y) % checked.height])

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
    others = f" (and in {count - 1} other row{'s' if count > 2 else ''})" if count > 1 else ""
    text = (
        f"constraint {assertion.name!r}{_in(checked.name)} fails at row {row}{others}: {assertion.left} is {left}, "
        f"{assertion.right} is {right}; there {shown}"
    )
    return Failure(assertion.name, checked.name, row, count, (left, right), text)
