"""From a described table to its encoding, and to what follows from it (docs/protocol.md, sections 4.1 and 4.2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ..errors import ProgramError, shown
from . import bytecode
from .buses import Bus, Interaction
from .compiled import CompiledTable
from .expr import CONSTANT, MAX_DEGREE, PERIODIC, PUBLIC, READ, Origin
from .table import Boundary, TableBuilder

__all__ = ["CheckedTable", "check_table", "encode_table"]

MAX_BATCH = 4
# What a row costs to prove, in cells of a trace column of about 18 ns; measured on one core with tables of 8 to 127
# columns and 4 to 19 interactions.
CELLS_OF_A_LOOKUP_COLUMN = 6
CELLS_OF_A_CHUNK = 7
CELLS_OF_A_COLUMN_IN_A_CHUNK = 0.13
CELLS_OF_A_FRACTION = 0.5
"""Once for each interaction that shares the lookup column: its denominator is a factor of their numerators."""


class CheckedTable(NamedTuple):
    """A table that passed the checks that concern it alone."""

    table: TableBuilder
    plan: bytecode.Schedule
    boundaries: list[Boundary]
    """With rows from 0."""
    publics: set[int]
    """The public values that it reads, by their number in the order of first mention."""


def check_table(table: TableBuilder) -> CheckedTable:
    """Checks one table, with all that it gets.

    Raises:
        ProgramError: See `AirBuilder.compile`.
    """
    if not table.assertions and not table.boundaries and not table.interactions:
        raise ProgramError(f"{_the(table)} has no constraints")
    height = 1 << table.log_height
    kept = [expr for item in table.interactions for expr in (item.multiplicity, *item.values)]
    plan = bytecode.schedule([assertion.difference for assertion in table.assertions], kept)
    boundaries = _resolve_boundaries(table, height)
    _check_reads(table, plan, height)
    publics = _check_used(table, plan, boundaries)
    if table.count(Origin.PREPROCESSED) == len(table.column_names):
        raise ProgramError(f"{_the(table)} has no columns")
    return CheckedTable(table, plan, boundaries, publics)


def encode_table(
    checked: CheckedTable, publics: Sequence[int], bus_numbers: Mapping[Bus, int]
) -> tuple[bytes, CompiledTable]:
    """The words of one table, and what follows from them.

    Args:
        checked: From `check_table`.
        publics: For each public value in the order of the statement, its number in the order of its first mention.
        bus_numbers: Their order.

    Raises:
        ProgramError: A lookup has too high a degree, or the table is larger than the protocol allows.
    """
    table, plan = checked.table, checked.plan
    interactions = table.interactions
    order = table.order()
    column_of = {column: position for position, column in enumerate(order)}
    fixed = table.count(Origin.PREPROCESSED)
    columns = len(order) - fixed
    reads = [(position, 0) for position in range(len(order))]
    below = {(column_of[leaf.x], leaf.y) for leaf in plan.leaves if leaf.kind == READ and leaf.y}
    reads += sorted(below, key=lambda read: read[::-1])
    boundaries = sorted(
        [item._replace(column=column_of[item.column]) for item in checked.boundaries],
        key=lambda item: (item.column, item.row),
    )
    rows = bytecode.assemble(
        plan,
        reads=reads,
        column_of=column_of,
        periodics=table.periodics,
        publics=publics,
        constants=[item.value.x for item in boundaries if item.value.kind == CONSTANT],
    )
    terms = tuple([(item.difference.degree, item.difference.reach) for item in table.assertions])
    batch, lookup_degrees = _choose_batch(interactions, max([1, *[degree for degree, _ in terms]]), len(order))
    data = bytecode.encode_table(
        rows,
        log_height=table.log_height,
        columns=columns,
        boundaries=[(item.column, item.row, item.value) for item in boundaries],
        interactions=[(bus_numbers[item.bus], item.sign, item.multiplicity, item.values) for item in interactions],
        batch=batch,
        preprocessed=[table.filled_up(column, values) for column, values in table.preprocessed_values()],
    )
    column_names = tuple([table.column_names[index] for index in order])
    names = [assertion.name for assertion in table.assertions]
    names += [f"boundaries of {column_names[column]}" for column in dict.fromkeys(item.column for item in boundaries)]
    names += [
        "lookups: " + ", ".join(item.name for item in interactions[first : first + batch])
        for first in range(0, len(interactions), batch)
    ]
    compiled = CompiledTable(
        name=table.name,
        log_height=table.log_height,
        columns=columns,
        written=table.count(Origin.WRITTEN),
        preprocessed=fixed,
        reads=tuple(reads),
        terms=terms,
        lookup_degrees=lookup_degrees,
        interactions=len(interactions),
        constraint_names=tuple(names),
        cost=len(rows.instructions),
        registers=rows.registers,
        column_names=column_names,
        boundary_names=tuple([item.name for item in boundaries]),
    )
    return data, compiled


def _the(table: TableBuilder) -> str:
    return "the AIR" if table.name == "main" else f"table {table.name!r}"


def _in(table: TableBuilder) -> str:
    return "" if table.name == "main" else f" of table {table.name!r}"


def _choose_batch(interactions: Sequence[Interaction], degree: int, columns: int) -> tuple[int, tuple[int, ...]]:
    """How many interactions share a lookup column, and the degrees of the lookup constraints.

    More of them mean fewer columns of five elements, but a higher degree: so more chunks of five elements, for each of
    which all columns are evaluated.

    Args:
        interactions: In the order of their declaration.
        degree: Of the other constraints.
        columns: Of the table.
    """
    if not interactions:
        return 1, ()
    best: tuple[int, tuple[int, ...]] | None = None
    least = 0.0
    chunk = CELLS_OF_A_CHUNK + CELLS_OF_A_COLUMN_IN_A_CHUNK * columns
    for batch in range(1, MAX_BATCH + 1):
        batches = [interactions[first : first + batch] for first in range(0, len(interactions), batch)]
        degrees = tuple([_lookup_degree(items) for items in batches])
        if max(degrees) > MAX_DEGREE:
            break
        cost = CELLS_OF_A_LOOKUP_COLUMN * len(degrees) + CELLS_OF_A_FRACTION * len(interactions) * batch
        cost += chunk * max(1, max(degree, *degrees) - 1)
        if best is None or cost < least:
            best, least = (batch, degrees), cost
    if best is None:
        item = max(interactions, key=lambda item: _lookup_degree([item]))
        high = max([item.multiplicity, *item.values], key=lambda expr: expr.degree)
        raise ProgramError(
            f"{item.name!r} on bus {item.bus.name!r} has degree {_lookup_degree([item])}, and the largest degree is "
            f"{MAX_DEGREE}. Split it: put ({high}) into a column of its own, say part = b.column('part'), with "
            "b.assert_equal(part, ...), and give the bus part"
        )
    return best


def _lookup_degree(items: Sequence[Interaction]) -> int:
    """docs/protocol.md, section 4.2: of ``h * F - N``."""
    values = [max(value.degree for value in item.values) for item in items]
    total = sum(values)
    return max(1 + total, *[item.multiplicity.degree + total - own for item, own in zip(items, values, strict=True)])


def _resolve_boundaries(table: TableBuilder, height: int) -> list[Boundary]:
    cells: dict[tuple[int, int], Boundary] = {}
    for boundary in table.boundaries:
        row = boundary.row + height if boundary.row < 0 else boundary.row
        if not 0 <= row < height:
            raise ProgramError(
                field=f"row of boundary {boundary.name!r}", value=boundary.row, allowed=f"{-height} to {height - 1}"
            )
        other = cells.setdefault((boundary.column, row), boundary._replace(row=row))
        if other.name != boundary.name:
            raise ProgramError(
                f"boundaries {other.name!r} and {boundary.name!r} meet in one cell: column "
                f"{table.column_names[boundary.column]}, row {row}; a cell has at most one"
            )
    return list(cells.values())


def _check_reads(table: TableBuilder, plan: bytecode.Schedule, height: int) -> None:
    for leaf in plan.leaves:
        if leaf.kind == READ and leaf.y >= height:
            names = [item.name for item in table.assertions if item.difference.reach >= height]
            names += [item.name for item in table.interactions]
            raise ProgramError(f"constraint {names[0]!r} reads {leaf}, but the trace has only {height} rows")
    for cycle in table.periodics:
        if len(cycle) > height:
            raise ProgramError(f"a periodic column repeats after {len(cycle)} rows, but the trace has {height}")


def _check_used(table: TableBuilder, plan: bytecode.Schedule, boundaries: Sequence[Boundary]) -> set[int]:
    """Refuses columns that nothing reads. Returns the numbers of the public values that are read."""
    columns = {leaf.x for leaf in plan.leaves if leaf.kind == READ}
    columns.update(boundary.column for boundary in boundaries)
    for index, name in enumerate(table.column_names):
        if index not in columns:
            raise ProgramError(f"no constraint reads the column {name!r}{_in(table)}: it would prove nothing")
    periodics = {leaf.x for leaf in plan.leaves if leaf.kind == PERIODIC}
    for index, cycle in enumerate(table.periodics):
        if index not in periodics:
            raise ProgramError(
                f"no constraint reads {table.periodic_name(index)}{_in(table)}, with values {shown(cycle)}"
            )
    publics = {leaf.x for leaf in plan.leaves if leaf.kind == PUBLIC}
    return publics | {boundary.value.x for boundary in boundaries if boundary.value.kind == PUBLIC}
